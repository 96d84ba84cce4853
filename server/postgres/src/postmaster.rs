use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often files and processes are looked at while waiting.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// What a server writes about itself into `postmaster.pid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Postmaster {
    pub pid: u32,
    pub port: u16,
    pub socket_folder: PathBuf,
    pub state: State,
}

/// The last line of `postmaster.pid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    /// Starting, perhaps recovering from a crash; also what a file that is only half written says.
    Starting,
    Stopping,
}

/// What `postmaster.pid` of a data folder says, whether or not that server still lives.
pub(crate) fn read(data: &Path) -> Option<Postmaster> {
    parse(&fs::read_to_string(file(data)).ok()?)
}

pub(crate) fn file(data: &Path) -> PathBuf {
    data.join("postmaster.pid")
}

/// The server that lives on a data folder.
pub(crate) fn live(data: &Path) -> Option<Postmaster> {
    read(data).filter(|found| is_postgres_of(found.pid, data))
}

/// Waits until the server on the folder, if one lives there, is ready or gone.
pub(crate) fn ready(data: &Path, limit: Duration) -> Option<Postmaster> {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        let found = live(data)?;
        if found.state == State::Ready {
            return Some(found);
        }
        sleep(PAUSE);
    }
    None
}

/// The lines are: pid, data folder, start time, port, socket folder, listen address, shared memory
/// key, state.
fn parse(text: &str) -> Option<Postmaster> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    Some(Postmaster {
        // Stand-alone back ends write it negative.
        pid: lines.first()?.trim_start_matches('-').parse().ok()?,
        port: lines.get(3).and_then(|port| port.parse().ok()).unwrap_or(0),
        socket_folder: lines.get(4).map(PathBuf::from).unwrap_or_default(),
        state: match lines.get(7) {
            Some(&"ready") => State::Ready,
            Some(&"stopping") => State::Stopping,
            _ => State::Starting,
        },
    })
}

/// Whether the process is a Postgres that works in this folder. A number alone proves nothing:
/// after a crash or a reboot it may belong to any other program.
fn is_postgres_of(pid: u32, data: &Path) -> bool {
    if !Path::new("/proc/self").exists() {
        return accepts_signals(pid);
    }
    let process = PathBuf::from(format!("/proc/{pid}"));
    let Ok(status) = fs::read_to_string(process.join("status")) else {
        return false;
    };
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim).unwrap_or_default()
    };
    if field("State:").starts_with('Z') || !field("Name:").starts_with("post") {
        return false;
    }
    // A server works in its data folder; where that cannot be read, the name has to do.
    fs::read_link(process.join("cwd")).map_or(true, |folder| folder == data)
}

/// Whether any process, be it somebody else's, has this number.
pub(crate) fn is_taken(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists() || accepts_signals(pid)
}

fn accepts_signals(pid: u32) -> bool {
    signal("0", pid)
}

/// Sends a signal by its name, `INT` or `QUIT`; false if there is no such process of ours. The
/// shell does it, because the standard library has no safe way to.
pub(crate) fn signal(name: &str, pid: u32) -> bool {
    Command::new("sh")
        .args(["-c", "kill -\"$1\" \"$2\" 2>/dev/null", "sh", name])
        .arg(pid.to_string())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "4711\n/data\n1780000000\n5432\n/tmp/bursar-pg-1\n\n  5432001   163840\nready   \n";

    #[test]
    fn a_complete_file_tells_everything() {
        let found = parse(FILE).unwrap();
        assert_eq!(
            found,
            Postmaster {
                pid: 4711,
                port: 5432,
                socket_folder: PathBuf::from("/tmp/bursar-pg-1"),
                state: State::Ready,
            }
        );
    }

    #[test]
    fn a_half_written_file_means_starting() {
        let found = parse("4711\n/data\n").unwrap();
        assert_eq!(found.state, State::Starting);
        assert_eq!(parse(""), None);
        assert_eq!(parse("no number\n"), None);
    }

    #[test]
    fn a_recycled_number_is_not_a_server() {
        assert!(is_taken(std::process::id()));
        assert!(!is_postgres_of(std::process::id(), Path::new("/")));
    }
}
