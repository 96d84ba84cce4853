//! Real servers in temporary folders: how they start, are joined, stop, crash and are orphaned.

mod folders;
mod lives;
mod orphans;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use postgres::{Options, Programs};

/// A folder of its own for one test, removed with everything in it.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("bursar-postgres-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a folder for the test");
        Place(path)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn programs() -> Programs {
    Programs::find().expect("an installed Postgres")
}

fn quick() -> Options {
    Options { durable: false, max_connections: 10, die_with_parent: true }
}

/// Asks the server with its own client and returns what it prints.
fn ask(url: &str, question: &str) -> String {
    let output = Command::new(programs().folder().join("psql"))
        .args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", question])
        .arg(url)
        .output()
        .expect("psql runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{question}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Whether a process still runs; one that has ended but was not collected does not.
fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status"))
        .is_ok_and(|status| !status.lines().any(|line| line.starts_with("State:\tZ")))
}

fn kill(signal: &str, pid: u32) {
    let status = Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill runs");
    assert!(status.success(), "kill {signal} {pid}");
}

/// Waits until it is so, for at most twenty seconds.
fn eventually(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "not so: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// The processes whose command line names the folder.
fn processes_about(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&*folder.to_string_lossy()))
        .collect()
}
