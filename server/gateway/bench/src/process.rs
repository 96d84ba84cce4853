//! Processes that are pinned to a core, and what they use of it.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::Failure;

/// Ticks of `/proc/PID/stat` in a second; the same on every Linux that Rust runs on.
const TICKS: u32 = 100;

/// A program on a core; ends with its owner.
pub struct Pinned {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that runs on a core.
pub fn on_core(core: usize, program: &Path) -> Command {
    let mut command = Command::new("prlimit");
    // A thousand streams are two thousand sockets in a gateway: as many as the system lets it have.
    command.arg(format!("--nofile={}:", most_files())).args(["taskset", "--cpu-list", &core.to_string()]);
    command.arg(program);
    command
}

/// How many files a process may open if it asks.
fn most_files() -> String {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(1)).unwrap_or("4096").to_owned()
}

/// This program.
pub fn ourselves() -> Result<PathBuf, Failure> {
    Ok(std::env::current_exe()?)
}

impl Pinned {
    /// Starts a program that prints one line with its address when it is ready.
    pub fn start(mut command: Command) -> Result<Self, Failure> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let last = line.split_whitespace().find(|word| word.contains("127.0.0.1:"));
        let address = last
            .map(|word| word.trim_start_matches("http://"))
            .map(|word| word.split('/').next().unwrap_or(word))
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| format!("it does not say where it listens: {line:?}"))?;
        Ok(Self { child, address })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Puts it on another core.
    pub fn move_to(&self, core: usize) -> Result<(), Failure> {
        let done = Command::new("taskset")
            .args(["--all-tasks", "--pid", "--cpu-list", &core.to_string(), &self.id().to_string()])
            .stdout(Stdio::null())
            .status()?;
        if done.success() { Ok(()) } else { Err("a process cannot be put on another core".into()) }
    }

    /// Processor time it has used.
    pub fn processor_time(&self) -> Duration {
        processor_time(self.id())
    }

    /// Its resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
        kilobytes.unwrap_or_default() * 1024
    }
}

/// User and system time of a process and the children it has waited for.
pub fn processor_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name is in parentheses and may hold anything; the fields behind it are numbered from 3.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<u32>().ok());
    let sum: u32 = [14, 15, 16, 17].into_iter().filter_map(ticks).sum();
    Duration::from_secs(u64::from(sum)) / TICKS
}

/// Processor time of a Postgres: its first process and every one that has that for a parent.
pub fn postgres_time(data: &Path) -> Duration {
    let file = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let Some(first) = file.lines().next().and_then(|line| line.trim().parse::<u32>().ok()) else {
        return Duration::ZERO;
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    processor_time(first) + numbers.filter(|pid| parent(*pid) == Some(first)).map(processor_time).sum()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}
