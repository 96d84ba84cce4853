//! A newer version of the program works on the same database.

use std::{
    fs,
    sync::{Arc, atomic::Ordering},
};

use bench::upstream::{Script, Upstream};
use http::StatusCode;

use crate::{
    harness::{Server, TempDir, command, set_up},
    load::{self, Load, Seen},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_version_beside_this_one_breaks_no_call_and_nobody_goes_back_behind_it() {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.script("small", Script::using(10, 15));
    let mut server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let secret = load::secret(&owner, &upstream.base_url()).await;
    let seen = Arc::new(Seen::default());
    let load = Load::start(4, &server.base, &secret, &seen);
    seen.finishes(20).await;
    store::testing::newer_version(&server.database).await;
    seen.finishes(40).await;
    for path in ["/", "/calls", "/models", "/groups", "/spend"] {
        assert_eq!(owner.get(path).await.status, StatusCode::OK, "{path}");
    }
    owner.create("/console/groups/create", &[("name", "Later"), ("kind", "project"), ("parent", "")]).await;
    seen.finishes(20).await;
    load.stop().await;
    assert_eq!(seen.unavailable.load(Ordering::Relaxed), 0, "nobody was sent away");

    // One that starts now would not know what it reads.
    let folder = TempDir::new();
    fs::copy(server.data().join("master.key"), folder.path().join("master.key")).expect("the key");
    let another = command(&server.database, folder.path()).arg("serve").output().expect("it runs");
    let said = String::from_utf8_lossy(&another.stderr).into_owned();
    assert!(!another.status.success() && said.contains("newer version"), "{said}");

    assert!(server.stop().success());
    let (ids, _) = load::booked(&server.database).await;
    assert_eq!(seen.finished.lock().clone(), ids, "every call is in the books, once");
}
