//! What becomes of a server when the program that started it is killed. That program is this test
//! binary once more, told by its environment to hold a server.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use postgres::{Cluster, Options};

use crate::{Place, ask, eventually, kill, processes_about, programs, quick, runs};

const FOLDER: &str = "BURSAR_TEST_HOLD";
const ALONE: &str = "BURSAR_TEST_HOLD_WITHOUT_WATCHDOG";

/// Not a test by itself: what the other program does. It also has a child that outlives it, which
/// must not keep the watchdog waiting.
#[test]
fn hold_a_server_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let options = Options { die_with_parent: std::env::var_os(ALONE).is_none(), ..quick() };
    let mut cluster = Cluster::start(&programs(), Path::new(&folder), options).expect("a server");
    let bystander = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn();
    let bystander = bystander.expect("a bystander").id();
    let pid = cluster.pid().expect("a number");
    println!("\nholding {pid} {bystander} {}", cluster.socket_dir().display());
    std::thread::sleep(Duration::from_secs(60));
}

struct Held {
    parent: Child,
    server: u32,
    bystander: u32,
    sockets: PathBuf,
}

/// Starts the other program and waits until it holds a server.
fn hold(data: &Path, with_watchdog: bool) -> Held {
    let mut command = Command::new(std::env::current_exe().expect("our own path"));
    command
        .args(["--exact", "orphans::hold_a_server_until_killed", "--nocapture"])
        .env(FOLDER, data)
        .stdout(Stdio::piped());
    if !with_watchdog {
        command.env(ALONE, "1");
    }
    let mut parent = command.spawn().expect("this binary again");
    let output = BufReader::new(parent.stdout.take().expect("its output"));
    let line = output
        .lines()
        .map_while(Result::ok)
        .find(|line| line.starts_with("holding "))
        .expect("a server that is held");
    let words: Vec<&str> = line.split(' ').collect();
    Held {
        parent,
        server: words[1].parse().expect("a number"),
        bystander: words[2].parse().expect("a number"),
        sockets: PathBuf::from(words[3]),
    }
}

#[test]
fn a_killed_parent_takes_its_server_along() {
    let place = Place::new();
    let mut held = hold(&place.data(), true);
    assert!(runs(held.server));
    kill("-9", held.parent.id());
    held.parent.wait().expect("an end");
    eventually("the server is gone", || !runs(held.server));
    eventually("its folder is gone", || !held.sockets.exists());
    eventually("the watchdog is gone", || processes_about(&held.sockets).is_empty());
    assert!(runs(held.bystander), "another child lives on and held up nothing");
    kill("-9", held.bystander);
    // It was a stop and no crash, so there is nothing to recover from.
    assert!(!place.data().join("postmaster.pid").exists());
    let again = Cluster::start(&programs(), &place.data(), quick()).expect("a start after it");
    assert!(!again.joined());
}

#[test]
fn the_signals_of_a_terminal_do_not_reach_the_server() {
    let place = Place::new();
    let mut held = hold(&place.data(), true);
    // Its own process group is led by the server itself, and so is the watchdog's.
    let group = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
        let after_name = stat.rsplit(')').next().unwrap_or_default().to_owned();
        after_name.split_whitespace().nth(2).and_then(|group| group.parse::<u32>().ok())
    };
    assert_eq!(group(held.server), Some(held.server));
    assert_ne!(group(held.parent.id()), Some(held.server));
    kill("-9", held.bystander);
    kill("-9", held.parent.id());
    held.parent.wait().expect("an end");
    eventually("the server is gone", || !runs(held.server));
    eventually("its folder is gone", || !held.sockets.exists());
}

#[test]
fn without_a_watchdog_the_server_lives_on_and_can_be_joined() {
    let place = Place::new();
    let mut held = hold(&place.data(), false);
    kill("-9", held.bystander);
    kill("-9", held.parent.id());
    held.parent.wait().expect("an end");
    let mut joined = Cluster::join(&place.data()).expect("a server");
    assert_eq!(joined.pid(), Some(held.server));
    assert_eq!(ask(&joined.url("postgres"), "select 1"), "1");
    kill("-INT", held.server);
    eventually("the server is gone", || !runs(held.server));
    drop(joined);
    let _ = std::fs::remove_dir_all(&held.sockets);
}
