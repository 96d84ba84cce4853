use std::path::PathBuf;

use postgres::{Cluster, Error, Options, Programs};

use crate::{Place, ask, eventually, kill, processes_about, programs, quick, runs};

#[test]
fn a_new_folder_becomes_a_server_with_unicode_and_no_port() {
    let place = Place::new();
    let cluster = Cluster::start(&programs(), &place.data(), quick()).expect("a server");
    let url = cluster.url("postgres");
    assert!(!cluster.joined());
    assert_eq!(ask(&url, "show server_encoding"), "UTF8");
    assert_eq!(ask(&url, "show listen_addresses"), "");
    assert_eq!(ask(&url, "show max_connections"), "10");
    assert_eq!(ask(&url, "select 'B' < 'a'"), "t");
    assert!(url.starts_with("postgres://postgres@localhost/postgres?host=/"));
}

#[test]
fn what_is_committed_is_there_after_a_stop() {
    let place = Place::new();
    let options = Options::default();
    let cluster = Cluster::start(&programs(), &place.data(), options.clone()).expect("a server");
    ask(&cluster.url("postgres"), "create table kept as select 42 as answer");
    cluster.stop().expect("a stop");
    let cluster = Cluster::start(&programs(), &place.data(), options).expect("a second start");
    assert_eq!(ask(&cluster.url("postgres"), "table kept"), "42");
    assert_eq!(ask(&cluster.url("postgres"), "show fsync"), "on");
}

#[test]
fn stopping_leaves_no_process_and_no_socket_folder() {
    let place = Place::new();
    let mut cluster = Cluster::start(&programs(), &place.data(), quick()).expect("a server");
    let (pid, sockets) = (cluster.pid().expect("a number"), PathBuf::from(cluster.socket_dir()));
    assert!(runs(pid) && sockets.exists());
    assert!(!processes_about(&sockets).is_empty());
    cluster.stop().expect("a stop");
    assert!(!runs(pid) && !sockets.exists());
    assert_eq!(processes_about(&sockets), Vec::<String>::new());
    assert!(Cluster::join(&place.data()).is_none());
}

#[test]
fn a_running_server_is_joined_and_left_running() {
    let place = Place::new();
    assert!(Cluster::join(&place.data()).is_none());
    let mut first = Cluster::start(&programs(), &place.data(), quick()).expect("a server");
    let mut second = Cluster::start(&programs(), &place.data(), quick()).expect("a guest");
    assert!(second.joined());
    assert_eq!((second.pid(), second.url("x")), (first.pid(), first.url("x")));
    assert!(matches!(second.restart_immediate(), Err(Error::NotOurs(_))));
    second.stop().expect("a guest leaves");
    assert_eq!(ask(&first.url("postgres"), "select 1"), "1");
}

#[test]
fn programs_that_start_at_once_share_one_server() {
    let place = Place::new();
    let starters: Vec<_> = (0..4)
        .map(|_| {
            let data = place.data();
            std::thread::spawn(move || Cluster::start(&programs(), &data, quick()))
        })
        .collect();
    let clusters: Vec<_> =
        starters.into_iter().map(|starter| starter.join().expect("no panic").expect("a server")).collect();
    let hosts = clusters.iter().filter(|cluster| !cluster.joined()).count();
    assert_eq!(hosts, 1);
}

#[test]
fn after_kill_9_of_the_server_it_starts_again() {
    let place = Place::new();
    let mut cluster = Cluster::start(&programs(), &place.data(), quick()).expect("a server");
    let old_sockets = PathBuf::from(cluster.socket_dir());
    kill("-9", cluster.pid().expect("a number"));
    eventually("the server is gone", || Cluster::join(&place.data()).is_none());
    let next = Cluster::start(&programs(), &place.data(), quick()).expect("a start after it");
    assert!(!next.joined());
    assert_eq!(ask(&next.url("postgres"), "select 1"), "1");
    assert!(!old_sockets.exists(), "what the crash left is cleared away");
    drop(cluster);
    assert_eq!(ask(&next.url("postgres"), "select 1"), "1");
}

#[test]
fn an_immediate_restart_keeps_the_address_and_what_is_committed() {
    let place = Place::new();
    let mut cluster = Cluster::start(&programs(), &place.data(), Options::default()).expect("a server");
    let (url, pid) = (cluster.url("postgres"), cluster.pid());
    ask(&url, "create table kept as select 42 as answer");
    cluster.restart_immediate().expect("a restart");
    assert_eq!(ask(&url, "table kept"), "42");
    assert_ne!(cluster.pid(), pid);
    kill("-9", cluster.pid().expect("a number"));
    cluster.restart_immediate().expect("a restart after a crash");
    assert_eq!(ask(&url, "table kept"), "42");
}

#[test]
fn a_temporary_server_takes_its_data_with_it() {
    let cluster = Cluster::temporary(&programs(), 10).expect("a server");
    let folder = PathBuf::from(cluster.socket_dir());
    assert!(cluster.data_dir().starts_with(&folder));
    assert_eq!(ask(&cluster.url("postgres"), "show fsync"), "off");
    cluster.stop().expect("a stop");
    assert!(!folder.exists());
}

#[test]
fn missing_programs_say_what_to_install() {
    let place = Place::new();
    let error = Programs::in_folder(&place.0).expect_err("an empty folder");
    let sentence = error.to_string();
    assert!(sentence.contains("BURSAR_POSTGRES_BIN"), "{sentence}");
    assert!(sentence.contains(&*place.0.to_string_lossy()), "{sentence}");
}
