//! A replica that is gone for good, and one that is asked to stop in the middle of streams.

use std::{fs, time::Duration};

use bench::upstream::{Hold, Script, Upstream};
use domain::ids::OrgId;
use store::{MasterKey, Store};

use crate::{
    harness::{Browser, Server, TempDir, command, set_up},
    load,
};

/// A stream that is in its middle, and goes on when the upstream is told so. What it says at last.
fn open(server: &Server, secret: &str) -> tokio::task::JoinHandle<Option<String>> {
    let (base, bearer) = (server.base.clone(), format!("Bearer {secret}"));
    let body = serde_json::json!({
        "model": "small", "max_tokens": 20, "stream": true, "messages": [{ "role": "user", "content": "Hi" }]
    });
    tokio::spawn(async move {
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let client = Browser::new(&base);
        let answer =
            client.try_send(http::Method::POST, "/v1/chat/completions", &headers, body.to_string()).await;
        answer.map(|answer| answer.text)
    })
}

/// What `bursar leases` says, and whether it ends with success.
fn leases(server: &Server, arguments: &[&str]) -> (bool, String) {
    let mut program = command(&server.database, server.data());
    let output = program.arg("leases").args(arguments).output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_process_that_is_gone_for_good_had_set_aside_is_taken_back() {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.script("small", Script { hold: Some(Hold::MidStream), ..Script::using(10, 15) });
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let secret = load::secret(&owner, &upstream.base_url()).await;
    let store = Store::connect(&server.database, 1, MasterKey::generate()).await.expect("the database");
    let org: OrgId = store::testing::only_organization(&store).await;
    let stream = open(&server, &secret);
    let holders = async || {
        let now = store::clock::now();
        store::leases::holders(&store, org, now).await.expect("a look")
    };
    let told = async {
        loop {
            if let Some(holder) = holders().await.into_iter().find(|holder| holder.calls == 1) {
                return holder.replica;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(30), told).await.expect("it tells of its call");
    let name = gone.to_string();

    // The machine burns down, with everything but the key.
    let folder = TempDir::new();
    fs::copy(server.data().join("master.key"), folder.path().join("master.key")).expect("the key");
    let database = server.database.clone();
    drop(server);
    stream.await.expect("a client");
    let mut server = Server::with(database, folder);
    let (done, said) = leases(&server, &["--take-back", &name]);
    assert!(!done && said.contains("at work"), "it may still come back: {said}");
    let long_ago = store::clock::now() - chrono::TimeDelta::minutes(2);
    store::leases::hear(&store, gone, long_ago).await.expect("so long is it silent");
    let (done, said) = leases(&server, &[]);
    assert!(done && said.contains(&name), "{said}");
    let (done, said) = leases(&server, &["--take-back", &name, "--organization", "Acme"]);
    assert!(done && said.contains("taken back; 1 calls booked as lost"), "{said}");
    let (done, said) = leases(&server, &["--take-back", &name]);
    assert!(!done, "there is nothing left: {said}");

    // Its call counts at the most it can cost, once; and others go on.
    upstream.script("small", Script::using(10, 15));
    let answer = open(&server, &secret).await.expect("a client").expect("an answer");
    assert!(answer.ends_with("data: [DONE]\n\n"), "{answer}");
    load::until_booked(&server.database, 2).await;
    assert!(server.stop().success());
    let (ids, _) = load::booked(&server.database).await;
    assert_eq!(ids.len(), 2);
    server.verify();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_outlast_the_drain_are_ended_validly_and_booked() {
    const STREAMS: usize = 3;
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.script("small", Script { hold: Some(Hold::MidStream), ..Script::using(10, 15) });
    let mut server = Server::with_settings(vec![("BURSAR_DRAIN_SECONDS", "6".to_owned())]).await;
    let owner = set_up(&server, "Acme").await;
    let secret = load::secret(&owner, &upstream.base_url()).await;
    let streams: Vec<_> = (0..STREAMS).map(|_| open(&server, &secret)).collect();
    upstream.until(|served| served.at_once == STREAMS as u64).await;
    assert!(server.stop().success(), "it ends with success");
    for stream in streams {
        let text = stream.await.expect("a client").expect("a whole answer");
        assert!(text.ends_with("data: [DONE]\n\n") && text.contains("\"stopping\""), "{text}");
    }
    let (ids, spent) = load::booked(&server.database).await;
    assert_eq!(ids.len(), STREAMS, "each is in the books, and nothing is set aside");
    assert!(spent > 0);
    server.verify();
}
