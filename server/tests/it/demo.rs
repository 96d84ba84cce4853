//! `bursar demo`: a real process, a small past, and what people and programs find in it.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use http::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use store::{MasterKey, Store};

use crate::harness::{Answer, Browser, TempDir, command, database};

/// A running demo; killed when dropped.
struct Demo {
    line: String,
    base: String,
    key: String,
    child: Child,
}

impl Demo {
    fn start(database: &str, data: &Path, arguments: &[&str]) -> Self {
        let mut child =
            demo(database, data, arguments).stdout(Stdio::piped()).spawn().expect("bursar starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("one line");
        let word = |start: &str| {
            line.split_whitespace().find(|word| word.starts_with(start)).unwrap_or_default().to_owned()
        };
        Self { base: word("http://"), key: word("bsr_live_"), line, child }
    }

    fn stop(mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(self.child.wait().expect("it ends").success());
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        Browser::new(&self.base).send(Method::POST, path, &headers, body.to_string()).await
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn demo(database: &str, data: &Path, arguments: &[&str]) -> Command {
    let mut command = command(database, data);
    command.arg("demo").args(arguments);
    command
}

const SMALL: [&str; 3] = ["--calls", "2000", "--quiet"];

/// How many rows each table has: what a start that changes nothing leaves as it is.
async fn counts(pool: &PgPool) -> Vec<(String, i64)> {
    let mut counts = Vec::new();
    for table in [
        "organizations",
        "users",
        "groups",
        "applications",
        "secrets",
        "models",
        "limits",
        "audit",
        "events",
        "refusals",
    ] {
        let count = sqlx::query_scalar::<_, i64>(AssertSqlSafe(format!("select count(*) from {table}")));
        counts.push((table.to_owned(), count.fetch_one(pool).await.expect("a count")));
    }
    counts
}

#[tokio::test]
async fn a_demo_never_touches_a_database_that_is_in_use() {
    let (database, data) = (database().await, TempDir::new());
    let store = Store::connect(&database, 2, MasterKey::generate()).await.unwrap();
    store.migrate().await.unwrap();
    let token = store::installation::offer_token(&store).await.unwrap().unwrap();
    let (name, email) = ("Olga".parse().unwrap(), "olga@acme.example".parse().unwrap());
    store::installation::set_up(&store, &token, &name, &email, "no password").await.unwrap();
    let before = counts(store.pool()).await;
    for arguments in [&SMALL[..], &["--fresh", "--quiet"]] {
        let mut child = demo(&database, data.path(), arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(said.contains("this database is in use"), "{said}");
    }
    assert_eq!(counts(store.pool()).await, before);
}

#[tokio::test]
async fn a_demo_has_true_books_and_people_who_can_sign_in_and_a_second_start_changes_nothing() {
    let (database, data) = (database().await, TempDir::new());
    let demo = Demo::start(&database, data.path(), &SMALL);
    assert!(demo.line.contains("this-is-a-demo"), "{}", demo.line);
    let store = Store::connect(&database, 4, MasterKey::generate()).await.unwrap();
    books_are_true(&store).await;

    for (who, page) in [("olga", "/audit"), ("lin", "/groups"), ("sam", "/my-models"), ("noor", "/spend")] {
        let browser = Browser::new(&demo.base);
        let email = format!("{who}@acme.example");
        browser.must("/console/accounts/sign-in", &[("email", &email), ("password", "this-is-a-demo")]).await;
        assert_eq!(browser.get(page).await.status, 200, "{who} {page}");
    }
    simulated_provider_answers(&demo).await;

    demo.stop();
    let before = counts(store.pool()).await;
    let again = Demo::start(&database, data.path(), &SMALL);
    assert_eq!(counts(store.pool()).await, before);
    let asked =
        json!({ "model": "gpt-4.1-mini", "messages": [{ "role": "user", "content": "still there?" }] });
    assert_eq!(again.post("/v1/chat/completions", &asked).await.status, 200);
}

/// Every limit's window, everybody's month and every day against the ledger.
async fn books_are_true(store: &Store) {
    let orgs = store::organizations::all(store).await.unwrap();
    let [org] = orgs.as_slice() else { panic!("{orgs:?}") };
    let calendar = store::organizations::calendar(store, *org).await.unwrap();
    let drift = store::books::drift(store, *org, calendar, store::clock::now()).await.unwrap();
    assert_eq!(drift, []);
    let events =
        sqlx::query_scalar::<_, i64>("select count(*) from events").fetch_one(store.pool()).await.unwrap();
    assert!((1_700..=2_000).contains(&events), "{events}");
    let outcomes = "select count(distinct outcome) from events";
    assert!(sqlx::query_scalar::<_, i64>(outcomes).fetch_one(store.pool()).await.unwrap() >= 2);
    for text in [
        "select count(*) from refusals",
        "select count(*) from users where suspended_at is not null",
        "select count(*) from users where account_id is null and invitation_expires_at > now()",
        "select count(*) from models where review = 'pending'",
        "select count(*) from authorizations where locked",
        "select count(*) from windows w join limits l using (org_id, scope_kind, thing_id, person_id, metric, window_kind)
         where w.settled > l.cap and w.ends_at > now() and l.mode = 'enforce'",
    ] {
        let found = sqlx::query_scalar::<_, i64>(text).fetch_one(store.pool()).await.unwrap();
        assert!(found > 0, "{text}");
    }
}

async fn simulated_provider_answers(demo: &Demo) {
    let messages = json!([{ "role": "user", "content": "hello" }]);
    let plain = json!({ "model": "gpt-4.1-mini", "messages": messages });
    let answer = demo.post("/v1/chat/completions", &plain).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let text = answer.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
    assert!(text.contains("simulated provider"), "{text}");
    assert!(answer.json()["usage"]["completion_tokens"].as_u64().unwrap() > 0);

    let streamed = json!({ "model": "gpt-4.1-mini", "messages": messages, "stream": true });
    let answer = demo.post("/v1/chat/completions", &streamed).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.contains("data: [DONE]"), "{}", answer.text);

    for stream in [false, true] {
        let asked =
            json!({ "model": "claude-haiku-4-5", "messages": messages, "max_tokens": 20, "stream": stream });
        let answer = demo.post("/v1/messages", &asked).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(
            answer.text.contains(if stream { "message_stop" } else { "\"stop_reason\"" }),
            "{}",
            answer.text
        );
    }
    let closed = json!({ "model": "claude-opus-4-1", "messages": messages });
    assert_eq!(demo.post("/v1/chat/completions", &closed).await.status, 403, "rules hold in a demo too");
    // What was called is on the books before the next page is looked at.
    tokio::time::sleep(Duration::from_millis(50)).await;
}
