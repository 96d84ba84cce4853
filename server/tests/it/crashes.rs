//! `kill -9` at any moment, under load: nothing beyond the cap, nothing finished lost, nothing held
//! for ever, and nobody has to do anything.

use std::{sync::Arc, time::Duration};

use bench::upstream::{Script, Served, Upstream};

use crate::{
    harness::{Server, set_up},
    load::{self, CAP, Load, Seen},
};

const ROUNDS: u64 = 20;
const CLIENTS: usize = 8;

/// In nano-dollars: more than a call of these clients can cost, so that less room than this is none.
const DEAREST: i64 = 250_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_crashes_under_load_lose_nothing_and_spend_nothing_beyond_the_cap() {
    let upstream = Upstream::start().await.expect("an upstream");
    let between = Duration::from_millis(2);
    upstream.script("small", Script { between, ..Script::using(10, 15) });
    let mut server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let secret = load::secret(&owner, &upstream.base_url()).await;
    let seen = Arc::new(Seen::default());
    for _ in 0..ROUNDS {
        let load = Load::start(CLIENTS, &server.base, &secret, &seen);
        tokio::time::sleep(Duration::from_millis(rand::random_range(20..250))).await;
        server = server.crash_and_restart();
        load.stop().await;
    }
    // What the crashed ones held has come back: the rest can be used, down to what no call fits in.
    let load = Load::start(CLIENTS, &server.base, &secret, &seen);
    seen.is_used_up().await;
    load.stop().await;
    assert!(server.stop().success());

    let Served { input, output, .. } = upstream.served();
    let served = i64::try_from(input * 1_000 + output * 2_000).expect("an amount");
    assert!(served <= CAP, "the upstream served {served} against a cap of {CAP}");
    let (ids, spent) = load::booked(&server.database).await;
    let finished = seen.finished.lock().clone();
    let missing: Vec<_> = finished.difference(&ids).collect();
    assert!(missing.is_empty(), "finished for a client and not in the books: {missing:?}");
    assert!(spent >= served, "every token that was served is booked, or more: {spent} of {served}");
    assert!(spent <= CAP, "{spent} is booked against a cap of {CAP}");
    assert!(CAP - spent < DEAREST, "{} of {CAP} could not be used", CAP - spent);
    server.verify();
}
