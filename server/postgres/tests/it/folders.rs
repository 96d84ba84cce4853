use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use postgres::{Cluster, Programs};

use crate::{Place, ask, programs, quick};

/// The sentence a start on this folder fails with.
fn refusal(data: &Path) -> String {
    let error = Cluster::start(&programs(), data, quick()).expect_err("a refusal");
    error.to_string()
}

fn assert_says(sentence: &str, folder: &Path, part: &str) {
    assert!(sentence.contains(&*folder.to_string_lossy()), "{sentence}");
    assert!(sentence.contains(part), "{sentence}");
}

#[test]
fn a_very_long_path_is_no_trouble() {
    let place = Place::new();
    let data = place.0.join("long".repeat(50)).join("longer".repeat(30));
    let cluster = Cluster::start(&programs(), &data, quick()).expect("a server");
    assert!(data.as_os_str().len() > 300);
    assert!(cluster.socket_dir().as_os_str().len() < 90);
    assert_eq!(ask(&cluster.url("postgres"), "select 1"), "1");
}

#[test]
fn a_path_with_spaces_and_quotes_is_no_trouble() {
    let place = Place::new();
    let data = place.0.join("Ann's \"data\" $HOME; folder");
    let cluster = Cluster::start(&programs(), &data, quick()).expect("a server");
    assert_eq!(ask(&cluster.url("postgres"), "select 1"), "1");
}

#[test]
fn a_folder_with_something_else_is_refused_and_left_alone() {
    let place = Place::new();
    let start = Cluster::start(&programs(), &place.data(), quick()).expect("a server");
    start.stop().expect("a stop");
    fs::remove_file(place.data().join("PG_VERSION")).expect("no longer a Postgres folder");
    assert_says(&refusal(&place.data()), &place.data(), "not a Postgres folder");
    assert!(place.data().join("base").exists());
}

#[test]
fn a_file_in_place_of_the_folder_is_refused() {
    let place = Place::new();
    fs::write(place.data(), "letters").expect("a file");
    assert_says(&refusal(&place.data()), &place.data(), "is not a folder");
}

#[test]
fn another_version_is_refused_by_name() {
    let place = Place::new();
    let start = Cluster::start(&programs(), &place.data(), quick()).expect("a server");
    start.stop().expect("a stop");
    fs::write(place.data().join("PG_VERSION"), "9\n").expect("an old folder");
    assert_says(&refusal(&place.data()), &place.data(), "made by Postgres 9");
}

#[test]
fn a_folder_that_cannot_be_written_is_refused() {
    let place = Place::new();
    let start = Cluster::start(&programs(), &place.data(), quick()).expect("a server");
    start.stop().expect("a stop");
    let mode = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(place.data(), mode(0o500)).expect("a read-only folder");
    let sentence = refusal(&place.data());
    fs::set_permissions(place.data(), mode(0o700)).expect("the mode it had");
    assert_says(&sentence, &place.data(), "cannot be read and written");
}

#[test]
fn a_folder_of_somebody_else_is_refused() {
    // Root's own folder, when an ordinary user asks; as root, a folder that is neither empty nor
    // user `postgres`'s.
    let sentence = refusal(Path::new("/etc"));
    assert_says(&sentence, Path::new("/etc"), "belongs to another user");
}

#[test]
fn a_folder_behind_a_closed_door_is_refused_and_the_door_named() {
    let place = Place::new();
    let door = place.0.join("door");
    let data = door.join("data");
    fs::create_dir_all(&data).expect("folders");
    fs::set_permissions(&door, fs::Permissions::from_mode(0o600)).expect("a closed door");
    let sentence = refusal(&data);
    fs::set_permissions(&door, fs::Permissions::from_mode(0o700)).expect("an open door");
    assert_says(&sentence, &data, &door.to_string_lossy());
}

#[test]
fn an_interrupted_initialization_begins_again() {
    let place = Place::new();
    let start = Cluster::start(&programs(), &place.data(), quick()).expect("a server");
    start.stop().expect("a stop");
    // As if `initdb` had been killed: its folder is there, and nothing that names a version.
    let partial = place.data().join("initdb.partial");
    fs::create_dir(&partial).expect("a partial folder");
    for name in entries(&place.data()) {
        if name != "initdb.partial" {
            let _ = fs::remove_dir_all(place.data().join(&name));
            let _ = fs::remove_file(place.data().join(&name));
        }
    }
    fs::write(partial.join("PG_VERSION"), "15\n").expect("a half-made Postgres");
    let cluster = Cluster::start(&programs(), &place.data(), quick()).expect("a server");
    assert_eq!(ask(&cluster.url("postgres"), "select 1"), "1");
    assert!(!partial.exists());
}

#[test]
fn an_interrupted_move_is_finished() {
    let place = Place::new();
    let start = Cluster::start(&programs(), &place.data(), quick()).expect("a server");
    ask(&start.url("postgres"), "create table kept as select 42 as answer");
    start.stop().expect("a stop");
    // As if we had been killed while moving up what `initdb` made.
    let complete = place.data().join("initdb.complete");
    fs::create_dir(&complete).expect("a complete folder");
    for name in ["PG_VERSION", "base", "global"] {
        fs::rename(place.data().join(name), complete.join(name)).expect("not yet moved");
    }
    let cluster = Cluster::start(&programs(), &place.data(), quick()).expect("a server");
    assert_eq!(ask(&cluster.url("postgres"), "table kept"), "42");
    assert!(!complete.exists());
}

#[test]
fn a_failed_start_ends_with_the_servers_own_words() {
    let place = Place::new();
    let start = Cluster::start(&programs(), &place.data(), quick()).expect("a server");
    start.stop().expect("a stop");
    let settings = place.data().join("postgresql.conf");
    fs::write(settings, "no_such_setting = on\n").expect("a wrong setting");
    assert_says(&refusal(&place.data()), &place.data(), "no_such_setting");
}

#[test]
fn a_stale_file_whose_number_is_taken_does_not_prevent_a_start() {
    let place = Place::new();
    let start = Cluster::start(&programs(), &place.data(), quick()).expect("a server");
    start.stop().expect("a stop");
    // A process of whom Postgres runs as, and no Postgres: what a reboot can leave.
    let guest = Cluster::temporary(&programs(), 10).expect("another server");
    let pid = watchdog_of(&guest);
    let stale = format!("{pid}\n{}\n1\n5432\n/tmp/none\n\n1 1\nready\n", place.data().display());
    fs::write(place.data().join("postmaster.pid"), stale).expect("a stale file");
    let cluster = Cluster::start(&programs(), &place.data(), quick()).expect("a server");
    assert!(!cluster.joined());
    assert_eq!(ask(&cluster.url("postgres"), "select 1"), "1");
}

#[test]
fn programs_are_at_least_version_15() {
    let programs: Programs = programs();
    assert!(programs.version() >= 15);
    assert!(programs.folder().is_absolute());
}

fn entries(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect()
}

fn watchdog_of(cluster: &Cluster) -> u32 {
    let sockets = cluster.socket_dir().to_string_lossy().into_owned();
    fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.contains("watchdog") && line.contains(&sockets)
        })
        .find_map(|entry| entry.file_name().to_str()?.parse().ok())
        .expect("a watchdog")
}
