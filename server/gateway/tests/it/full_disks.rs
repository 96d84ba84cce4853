//! A disk that fills up: nobody gets in, nothing is lost, and it goes on by itself when there is room.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use bench::upstream::{Hold, Script};
use domain::{
    limits::{Metric, Scope},
    providers::Dialect,
    window::Window,
};
use http::StatusCode;

use crate::{
    client::{DIALECTS, body, route, streamed},
    world::{World, cost, named},
};

const STREAMS: usize = 8;

/// A disk of one megabyte; gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where we may not make one.
    fn new() -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("bursar-disk-{:016x}", rand::random::<u64>()));
        fs::create_dir(&folder).expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&folder);
        let mounted = mount.output().is_ok_and(|done| done.status.success());
        if !mounted {
            fs::remove_dir(&folder).expect("it is empty");
            eprintln!("no file system can be mounted here: the disk is only full by its limit");
        }
        mounted.then_some(Self(folder))
    }

    /// Fills what is left, to the last byte.
    fn fill(&self) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.0.join("ballast")).expect("it");
        for size in [64 << 10, 4096, 512, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("ballast")).expect("the ballast");
    }

    fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

/// Nobody gets in any more, once what the disk has promised is used up.
async fn refused(world: &World) {
    for _ in 0..1000 {
        let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            break;
        }
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    let before = world.upstream.served().calls;
    let why = world.gateway.takes_calls().expect_err("whoever asks whether it is ready hears of it");
    assert!(why.to_string().contains("full"), "{why}");
    for dialect in DIALECTS {
        // A name makes the record longer than those before: a shorter one, as of a route with a shorter path,
        // might still fit.
        let request = world.client.request(dialect, route(dialect));
        let request = request.header("x-bursar-session", "a-conversation-with-quite-a-long-name");
        let answer = world.client.send(request, body(&named("small", dialect), 16).to_string()).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(world.upstream.served().calls, before, "nothing went upstream");
}

/// Streams that are in their middle while `fill` takes the room, and end in front of a full disk.
/// `fill` may open more of them, and says how many.
async fn streams_end(world: &World, spool: &Path, fill: impl AsyncFnOnce() -> usize) {
    world.limit(Scope::Organization, Metric::Spend, Window::Month, 1_000_000_000).await;
    world.script("small", Script { hold: Some(Hold::MidStream), ..Script::default() });
    let mut streams = Vec::new();
    for turn in 0..STREAMS {
        let dialect = DIALECTS[turn % 2];
        streams.push(world.client.stream(dialect, &streamed(&named("small", dialect), 100)).await);
    }
    let others = fill().await;
    refused(world).await;
    let ended = world.finished_in(spool);
    world.upstream.release(STREAMS + others);
    for stream in streams {
        let text = stream.rest().await.text();
        assert!(text.contains("[DONE]") || text.contains("message_stop"), "{text}");
    }
    assert!(world.finished_in(spool) >= ended + STREAMS, "how each ended is on the disk");
    let whole = world.ledger().await.into_iter().filter(|call| call.cost == cost(10, 20)).count();
    assert_eq!(whole, STREAMS + others, "each is in the books, as it was reported");
    world.script("small", Script::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_lets_nobody_in_and_loses_nobody() {
    let Some(disk) = SmallDisk::new() else { return };
    let world = World::with(|settings| settings.spool_dir = disk.spool()).await;
    streams_end(&world, &disk.spool(), async || {
        disk.fill();
        0
    })
    .await;
    disk.make_room();
    for _ in 0..20 {
        let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    world.books_agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_alone_do_not_fill_a_small_disk_for_good() {
    let Some(disk) = SmallDisk::new() else { return };
    let world = World::with(|settings| settings.spool_dir = disk.spool()).await;
    let (mut passed, mut waited) = (0, 0);
    while passed < 800 {
        let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
        match answer.status {
            StatusCode::OK => passed += 1,
            StatusCode::SERVICE_UNAVAILABLE => {
                waited += 1;
                assert!(waited < 100, "it does not go on: {}", answer.text());
                world.quiet().await;
            }
            status => panic!("{status}: {}", answer.text()),
        }
    }
    assert_eq!(world.ledger().await.len(), passed);
    world.books_agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_on_the_spool_is_a_full_disk_too() {
    let world = World::with(|settings| settings.spool_limit = 96 << 10).await;
    let spool = world.spool().to_owned();
    let mut others = Vec::new();
    let fill = async || {
        // More streams, until no other one may begin.
        loop {
            let stream = world.client.stream(Dialect::OpenAi, &streamed("small", 100)).await;
            if stream.answer.status() == StatusCode::SERVICE_UNAVAILABLE {
                return others.len();
            }
            others.push(stream);
            assert!(others.len() < 200, "there is a limit");
        }
    };
    streams_end(&world, &spool, fill).await;
    drop(others);
    world.gateway.takes_calls().expect("there is room again");
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    world.books_agree().await;
    assert!(world.written() <= 96 << 10);
}
