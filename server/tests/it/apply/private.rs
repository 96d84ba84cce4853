//! Without `DATABASE_URL`: joining the Postgres of a running server, or starting one for the moment.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{ACME, Place, errors, lines};
use crate::harness::{Server, TempDir};

/// Processes of a Postgres or its watchdog that name this folder.
fn left_running(folder: &Path) -> Vec<String> {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let folder = folder.to_string_lossy().into_owned();
    let entries = fs::read_dir("/proc").expect("a list of processes").flatten();
    entries
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&folder))
        .collect()
}

#[test]
fn a_postgres_is_started_for_the_moment_and_nothing_of_it_stays() {
    let place = Place::private();
    let nothing = place.run(&["export"], "");
    assert_eq!(nothing.status.code(), Some(1), "{}", errors(&nothing));
    assert!(!lines(&place.plan(ACME)).is_empty());
    let broken = place.run(&["apply", "-"], &ACME.replace("\"Marketing\"\ntier", "\"Marketting\"\ntier"));
    assert_eq!(broken.status.code(), Some(2));
    assert_eq!(fs::read_dir(place.data.path()).expect("a folder").count(), 0, "nothing was made for that");

    place.apply(ACME);
    assert_eq!(left_running(place.data.path()), Vec::<String>::new());
    assert_eq!(lines(&place.apply(&place.export())), Vec::<String>::new());
    assert_eq!(left_running(place.data.path()), Vec::<String>::new());
    assert!(!place.data.path().join("postgres/postmaster.pid").exists());
}

#[test]
fn two_at_once_in_an_empty_folder_take_turns() {
    let place = Place::private();
    let all: Vec<usize> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..2).map(|_| scope.spawn(|| lines(&place.apply(ACME)).len())).collect();
        runs.into_iter().map(|run| run.join().expect("it ends")).collect()
    });
    assert_eq!(all.iter().filter(|count| **count > 0).count(), 1, "{all:?}");
    assert_eq!(left_running(place.data.path()), Vec::<String>::new());
}

#[tokio::test]
async fn files_are_applied_while_servers_come_and_go() {
    let place = Place::private();
    place.apply(ACME);
    let folder = place.data.path().to_owned();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let applying = scope.spawn(|| {
            let mut rounds = 0;
            while !done.load(Ordering::Relaxed) || rounds < 4 {
                let cap = format!("cap = {}", 100 + rounds);
                let changed = lines(&place.apply(&ACME.replace("cap = 60", &cap)));
                assert_eq!(changed.len(), 1, "round {rounds}: {changed:?}");
                rounds += 1;
            }
            rounds
        });
        for _ in 0..3 {
            // Starts beside whatever runs for the moment, and stays.
            let server = Server::with(String::new(), TempDir::borrowed(&folder));
            std::thread::sleep(std::time::Duration::from_millis(300));
            assert!(server.terminate().success());
        }
        done.store(true, Ordering::Relaxed);
        assert!(applying.join().expect("every file was applied") >= 4);
    });
    assert_eq!(left_running(&folder), Vec::<String>::new());
}
