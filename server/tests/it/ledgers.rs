//! Pages do not grow slow with the ledger: those that list no calls do not ask it.

use bench::upstream::{Script, Upstream};
use http::StatusCode;

use crate::{
    harness::{Server, set_up},
    load::{self, Load, Seen},
};

/// Pages that show sums, and no calls.
const PAGES: [&str; 8] =
    ["/users", "/groups", "/applications", "/models", "/explore", "/limits", "/alerts", "/recommendations"];

/// Pages that show the last calls besides: the ledger's newest days, and no more of it. Before the id of
/// something, where such things are listed, and what follows it.
const WITH_CALLS: [(&str, &str, &str); 9] = [
    ("/my-models", "", ""),
    ("/spend", "", ""),
    ("/spend/me", "", ""),
    ("/spend/", "/groups", ""),
    ("/spend/", "/groups", "?view=members"),
    ("/spend/", "/applications", ""),
    ("/spend/", "/models", ""),
    ("/applications/", "/applications", ""),
    ("/users/", "/users", ""),
];

/// What a page says that shows nothing.
const FAILED: &str = "role=\"alert\" class=\"card pad state\"";

/// What stands in place of the calls.
const NOTICE: &str = "The calls cannot be read right now";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_show_everything_but_calls_without_the_ledger() {
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
    for path in PAGES.into_iter().chain(["/"]) {
        let page = owner.get(path).await;
        assert!(page.status == StatusCode::OK, "{path}: {}", page.text);
        assert!(!page.text.contains(FAILED), "{path} asks the ledger: {}", page.text);
    }
    for (of, listed, view) in WITH_CALLS {
        let id = if listed.is_empty() { String::new() } else { first(&owner.get(listed).await.text, listed) };
        let path = format!("{of}{id}{view}");
        let page = owner.get(&path).await;
        assert!(page.status == StatusCode::OK, "{path}: {}", page.text);
        assert!(!page.text.contains(FAILED), "{path} shows nothing else: {}", page.text);
        assert!(page.text.contains(NOTICE), "{path} says why there are no calls: {}", page.text);
    }
}

/// The id of the first thing that a page links to under this path.
fn first(page: &str, under: &str) -> String {
    let mark = format!("href=\"{under}/");
    let ids = page.match_indices(&mark).map(|(at, _)| {
        page[at + mark.len()..]
            .chars()
            .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
            .collect::<String>()
    });
    ids.into_iter().find(|id| id.len() == 30).unwrap_or_else(|| panic!("nothing under {under}: {page}"))
}
