//! Where finished calls wait while the database does not answer.
//!
//! One JSON line per call, each with a checksum, synced before the call's last byte goes out. A
//! torn last line is left alone: its call was never finished for anybody.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use store::ledger::Event;

#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    /// Open while something waits.
    file: Mutex<Option<File>>,
}

impl Spool {
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { path: dir.join("events.jsonl"), file: Mutex::new(None) })
    }

    /// Keeps a call: on disk when this returns.
    pub fn keep(&self, event: &Event) -> io::Result<()> {
        let json = serde_json::to_string(event)?;
        let line = format!("{:08x} {json}\n", checksum(&json));
        let mut file = self.file.lock();
        let open = match file.as_mut() {
            Some(open) => open,
            None => file.insert(OpenOptions::new().create(true).append(true).open(&self.path)?),
        };
        open.write_all(line.as_bytes())?;
        open.sync_data()
    }

    /// Takes what waits; what cannot be booked is to be kept again.
    pub fn take(&self) -> io::Result<Vec<Event>> {
        let taken = self.path.with_extension("booking");
        // A crash between taking and booking leaves the taken file behind: it comes first, alone.
        if !taken.exists() {
            let mut file = self.file.lock();
            *file = None;
            match fs::rename(&self.path, &taken) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                renamed => renamed?,
            }
        }
        read(&taken)
    }

    /// Everything that was taken is booked, or kept again.
    pub fn done(&self) -> io::Result<()> {
        match fs::remove_file(self.path.with_extension("booking")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<Event>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut events = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        match parse(&line?) {
            Some(event) => events.push(event),
            None => tracing::warn!(path = %path.display(), "a torn line in the spool is left out"),
        }
    }
    Ok(events)
}

fn parse(line: &[u8]) -> Option<Event> {
    let line = std::str::from_utf8(line).ok()?;
    let (sum, json) = line.split_once(' ')?;
    (u32::from_str_radix(sum, 16).ok()? == checksum(json)).then_some(())?;
    serde_json::from_str(json).ok()
}

fn checksum(text: &str) -> u32 {
    crc32fast::hash(text.as_bytes())
}
