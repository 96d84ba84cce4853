//! What this replica has let through, on disk before anybody else knows of it.
//!
//! A call is written down when it is let through and again when it is finished, so that a process
//! that dies knows when it starts again which calls were finished and which nobody knows of. Each
//! record is a line: a checksum and JSON. Records go to numbered files; a file is deleted when every
//! call that began in it, and in all files before it, is in the books.
//!
//! Written means: in the kernel's hands, which survives the end of the process. A thread brings it
//! to the disk within [`SYNC`], which is what a loss of power can cost.

use std::{
    collections::{HashMap, VecDeque},
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::ids::CallId;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use store::ledger::{Call, Event, Finish};
use uuid::Uuid;

/// When a file is full.
const FULL: u64 = 16 << 20;
/// How long what is written may be in the kernel's hands only.
const SYNC: Duration = Duration::from_millis(20);

/// What is written down.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Record<'a> {
    Begun(&'a Call),
    Finished { id: CallId, finish: &'a Finish },
    Released(CallId),
}

/// What is read back.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Found {
    Begun(Box<Call>),
    Finished { id: CallId, finish: Finish },
    Released(CallId),
}

/// Which file a call began in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u64);

/// What a process that died has left behind.
#[derive(Debug, Default)]
pub struct Left {
    /// Finished calls that may not be in the books.
    pub finished: Vec<Event>,
    /// Calls that were let through, and nobody knows how they ended.
    pub unknown: Vec<Call>,
}

/// The files.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    /// Names this replica, from one start to the next.
    pub replica: Uuid,
    state: Mutex<State>,
    dirty: Arc<AtomicBool>,
    /// Nobody else uses this folder while this is open.
    _alone: File,
}

#[derive(Debug)]
struct State {
    /// Written to.
    file: Arc<File>,
    number: u64,
    bytes: u64,
    line: Vec<u8>,
    /// Calls that began in each file and are not in the books, oldest file first; the last one is
    /// written to.
    open: VecDeque<(u64, u64)>,
}

impl Spool {
    /// Opens the folder, and reads what was left there.
    ///
    /// # Errors
    /// When the folder cannot be used, or another process uses it.
    pub fn open(dir: &Path) -> io::Result<(Self, Left)> {
        fs::create_dir_all(dir)?;
        let alone = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("lock"))?;
        alone
            .try_lock()
            .map_err(|error| io::Error::other(format!("another process uses {}: {error}", dir.display())))?;
        let replica = replica(dir)?;
        let old = numbers(dir)?;
        let left = read(dir, &old)?;
        let number = old.last().map_or(1, |last| last + 1);
        // What was left stays until it is in the books: the old files count as one open call each.
        let mut open: VecDeque<(u64, u64)> = old.iter().map(|number| (*number, 1)).collect();
        open.push_back((number, 0));
        let file = Arc::new(create(dir, number)?);
        let state = State { file, number, bytes: 0, line: Vec::with_capacity(2048), open };
        let spool = Self {
            dir: dir.to_owned(),
            replica,
            state: Mutex::new(state),
            dirty: Arc::default(),
            _alone: alone,
        };
        Ok((spool, left))
    }

    /// Writes down that a call is let through. From here on it counts, whatever happens.
    ///
    /// # Errors
    /// When it cannot be written: then it must not be let through.
    pub fn begin(&self, call: &Call) -> io::Result<Place> {
        let mut state = self.state.lock();
        if state.bytes >= FULL {
            let number = state.number + 1;
            state.file = Arc::new(create(&self.dir, number)?);
            (state.number, state.bytes) = (number, 0);
            state.open.push_back((number, 0));
        }
        self.write(&mut state, &Record::Begun(call))?;
        if let Some((_, open)) = state.open.back_mut() {
            *open += 1;
        }
        Ok(Place(state.number))
    }

    /// Writes down how a call ended.
    ///
    /// # Errors
    /// When it cannot be written. If the process then dies before the call is in the books, it counts
    /// as one that nobody knows of: at its worst case.
    pub fn finish(&self, id: CallId, finish: &Finish) -> io::Result<()> {
        self.write(&mut self.state.lock(), &Record::Finished { id, finish })
    }

    /// Writes down that a call never reached its provider.
    ///
    /// # Errors
    /// As [`Spool::finish`].
    pub fn release(&self, id: CallId) -> io::Result<()> {
        self.write(&mut self.state.lock(), &Record::Released(id))
    }

    fn write(&self, state: &mut State, record: &Record<'_>) -> io::Result<()> {
        let State { file, line, bytes, .. } = state;
        line.clear();
        line.extend_from_slice(b"00000000 ");
        serde_json::to_writer(&mut *line, record)?;
        let sum = crc32fast::hash(&line[9..]);
        line[..8].copy_from_slice(format!("{sum:08x}").as_bytes());
        line.push(b'\n');
        let length = line.len() as u64;
        if let Err(error) = (&**file).write_all(line) {
            // A record that was cut short must not swallow the next one.
            let _ = file.set_len(*bytes);
            return Err(error);
        }
        *bytes += length;
        self.dirty.store(true, Ordering::Release);
        Ok(())
    }

    /// Calls that began here are in the books, or were released.
    pub fn booked(&self, places: impl IntoIterator<Item = Place>) {
        let mut state = self.state.lock();
        for Place(number) in places {
            if let Some((_, open)) = state.open.iter_mut().find(|(known, _)| *known == number) {
                *open = open.saturating_sub(1);
            }
        }
        self.delete_done(&mut state);
    }

    /// What was left by the process before this one is in the books.
    pub fn left_is_booked(&self) {
        let mut state = self.state.lock();
        let current = state.number;
        state
            .open
            .retain(|(number, _)| *number >= current || fs::remove_file(path(&self.dir, *number)).is_err());
        self.delete_done(&mut state);
    }

    fn delete_done(&self, state: &mut State) {
        while state.open.len() > 1 && state.open.front().is_some_and(|(_, open)| *open == 0) {
            if let Some((number, _)) = state.open.pop_front()
                && let Err(error) = fs::remove_file(path(&self.dir, number))
            {
                tracing::warn!(%error, number, "a file of the spool could not be deleted");
            }
        }
    }

    /// Brings what is written to the disk. Blocks.
    pub fn sync(&self) -> io::Result<()> {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let file = Arc::clone(&self.state.lock().file);
        file.sync_data()
    }

    /// How often [`Spool::sync`] is to be called.
    pub const fn sync_every() -> Duration {
        SYNC
    }
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("calls-{number:010}.log"))
}

fn create(dir: &Path, number: u64) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path(dir, number))
}

/// The name of this replica: made once, kept in the folder.
fn replica(dir: &Path) -> io::Result<Uuid> {
    let file = dir.join("replica");
    if let Ok(text) = fs::read_to_string(&file)
        && let Ok(id) = text.trim().parse()
    {
        return Ok(id);
    }
    let id: Uuid = store::clock::id();
    fs::write(file, id.to_string())?;
    Ok(id)
}

fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers: Vec<u64> = fs::read_dir(dir)?
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            name.strip_prefix("calls-")?.strip_suffix(".log")?.parse().ok()
        })
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn read(dir: &Path, numbers: &[u64]) -> io::Result<Left> {
    let mut begun = HashMap::<CallId, Call>::new();
    let mut left = Left::default();
    for number in numbers {
        for line in BufReader::new(File::open(path(dir, *number))?).split(b'\n') {
            match parse(&line?) {
                Some(Found::Begun(call)) => {
                    begun.insert(call.id, *call);
                }
                Some(Found::Finished { id, finish }) => {
                    left.finished.extend(begun.remove(&id).map(|call| Event::of(call, finish)));
                }
                Some(Found::Released(id)) => {
                    begun.remove(&id);
                }
                None => tracing::warn!(number, "a torn record of the spool is left out"),
            }
        }
    }
    left.unknown = begun.into_values().collect();
    Ok(left)
}

fn parse(line: &[u8]) -> Option<Found> {
    let (sum, json) = line.split_at_checked(9)?;
    let sum = std::str::from_utf8(sum.get(..8)?).ok()?;
    (u32::from_str_radix(sum, 16).ok()? == crc32fast::hash(json)).then_some(())?;
    serde_json::from_slice(json).ok()
}

#[cfg(test)]
mod tests {
    use domain::{limits::Worst, money::Money, spend::Outcome, usage::Usage};

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("bursar-spool-{}", store::clock::id::<Uuid>())))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn call() -> Call {
        use store::clock::id;
        Call {
            id: id(),
            org: id(),
            started_at: store::clock::now(),
            application: id(),
            key: id(),
            secret: id(),
            path: vec![id(), id()],
            user: None,
            member_of: Vec::new(),
            model: id(),
            provider: id(),
            authorization: None,
            grant: None,
            policy: None,
            use_case: String::new(),
            session: String::new(),
            route: "/v1/messages".to_owned(),
            streamed: false,
            features: Default::default(),
            worst: Worst { input_tokens: 10, output_tokens: 20, cost: Money(1_000) },
            priced_at: None,
            guarded: Vec::new(),
        }
    }

    fn finish() -> Finish {
        Finish {
            finished_at: store::clock::now(),
            first_byte_ms: Some(5),
            duration_ms: 9,
            outcome: Outcome::Ok,
            status: 200,
            usage: Usage { input: 7, output: 3, ..Usage::default() },
            cost: Money(500),
            estimated: false,
            marks: store::ledger::Marks::default(),
        }
    }

    #[test]
    fn a_process_that_died_is_remembered_call_by_call() {
        let folder = Folder::new();
        let (finished, unknown, released, finish) = (call(), call(), call(), finish());
        {
            let (spool, left) = Spool::open(&folder.0).unwrap();
            assert!(left.finished.is_empty() && left.unknown.is_empty());
            for call in [&finished, &unknown, &released] {
                spool.begin(call).unwrap();
            }
            spool.finish(finished.id, &finish).unwrap();
            spool.release(released.id).unwrap();
        }
        let (spool, left) = Spool::open(&folder.0).unwrap();
        assert_eq!(left.finished, [Event::of(finished, finish)]);
        assert_eq!(left.unknown, [unknown]);
        spool.left_is_booked();
        drop(spool);
        let (_, left) = Spool::open(&folder.0).unwrap();
        assert!(left.finished.is_empty() && left.unknown.is_empty(), "booked is booked");
    }

    #[test]
    fn a_torn_record_is_left_out_and_the_others_stay() {
        let folder = Folder::new();
        let (whole, torn) = (call(), call());
        {
            let (spool, _) = Spool::open(&folder.0).unwrap();
            spool.begin(&whole).unwrap();
            spool.begin(&torn).unwrap();
        }
        let file = path(&folder.0, 1);
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() - 40]).unwrap();
        let (_, left) = Spool::open(&folder.0).unwrap();
        assert_eq!(left.unknown, [whole]);
    }

    #[test]
    fn one_folder_serves_one_process_and_names_it_for_ever() {
        let folder = Folder::new();
        let (first, _) = Spool::open(&folder.0).unwrap();
        assert!(Spool::open(&folder.0).is_err(), "somebody is there");
        let name = first.replica;
        drop(first);
        assert_eq!(Spool::open(&folder.0).unwrap().0.replica, name);
    }

    #[test]
    fn files_go_away_in_order_when_their_calls_are_booked() {
        let folder = Folder::new();
        let (spool, _) = Spool::open(&folder.0).unwrap();
        let first = spool.begin(&call()).unwrap();
        spool.state.lock().bytes = FULL;
        let second = spool.begin(&call()).unwrap();
        assert_ne!(first, second);
        spool.state.lock().bytes = FULL;
        let third = spool.begin(&call()).unwrap();
        spool.booked([second]);
        assert_eq!(numbers(&folder.0).unwrap(), [1, 2, 3], "the first one is still needed");
        spool.booked([first]);
        assert_eq!(numbers(&folder.0).unwrap(), [3]);
        spool.booked([third]);
        assert_eq!(numbers(&folder.0).unwrap(), [3], "written to");
    }
}
