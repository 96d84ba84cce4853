//! Pages do not grow slow with the ledger: those that list no calls do not ask it.

use bench::upstream::{Script, Upstream};
use http::StatusCode;

use crate::{
    harness::{Server, set_up},
    load::{self, Load, Seen},
};

/// Pages that show sums. Those of spend, and one's own, list the latest calls too: the ledger's newest
/// days, and no more of it.
const PAGES: [&str; 8] =
    ["/users", "/groups", "/applications", "/models", "/explore", "/limits", "/alerts", "/recommendations"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_list_no_calls_never_ask_the_ledger() {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.script("small", Script::using(10, 15));
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let secret = load::secret(&owner, &upstream.base_url()).await;
    let seen = std::sync::Arc::new(Seen::default());
    let load = Load::start(1, &server.base, &secret, &seen);
    seen.finishes(4).await;
    load.stop().await;
    let finished = seen.finished.lock().len();
    load::until_booked(&server.database, finished).await;
    store::testing::hide_ledger(&server.database).await;
    let page = owner.get("/calls").await;
    assert!(!page.text.contains("Assistant"), "it is hidden indeed: {}", page.text);
    for path in PAGES {
        let page = owner.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.text.contains("state\" role=\"alert\""), "{path} asks the ledger: {}", page.text);
    }
}
