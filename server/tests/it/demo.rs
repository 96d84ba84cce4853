//! `bursar demo`: a real process, a small past, and what people and programs find in it.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
};

use chrono::Days;
use domain::{
    authorizations::State, ids::OrgId, limits::Mode, models::Review, spend::Sums, users::UserStatus,
};
use http::Method;
use serde_json::{Value, json};
use store::{MasterKey, Store, audit::Chain, directory, rollups::Month, testing::empty_database};

use crate::{
    explore,
    harness::{Answer, Browser, TempDir, command},
    live, recommendations, reports,
};

/// A running demo; killed when dropped.
pub struct Demo {
    line: String,
    pub base: String,
    key: String,
    child: Child,
}

impl Demo {
    pub fn start(database: &str, data: &Path, arguments: &[&str]) -> Self {
        let mut child =
            demo(database, data, arguments).stdout(Stdio::piped()).spawn().expect("bursar starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("one line");
        let word = |start: &str| {
            line.split_whitespace().find(|word| word.starts_with(start)).unwrap_or_default().to_owned()
        };
        Self { base: word("http://"), key: word("bsr_live_"), line, child }
    }

    pub fn stop(mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(self.child.wait().expect("it ends").success());
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
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

/// The key the demo made for itself: the audit chain is hashed with it.
pub fn master_key(data: &Path) -> MasterKey {
    key_in(&data.join("demo"))
}

/// The key that an installation made for itself in its folder.
pub fn key_in(data: &Path) -> MasterKey {
    let text = std::fs::read_to_string(data.join("master.key")).expect("a key");
    let digits = |place: usize| u8::from_str_radix(&text[place * 2..place * 2 + 2], 16).expect("digits");
    MasterKey::new(std::array::from_fn(digits))
}

/// How much of everything there is: what a start that changes nothing leaves as it is.
async fn counts(store: &Store) -> Vec<i64> {
    let org = only(store).await;
    let newest = store::audit::list(store, org, &store::audit::Filter::default(), 1).await.expect("the log");
    let sums = all_time(store, org).await;
    let whole = store::census::current(store, org).await.expect("the census").whole;
    vec![newest[0].seq, whole.users, whole.groups, whole.applications, sums.calls, sums.refused, sums.spend.0]
}

pub async fn only(store: &Store) -> OrgId {
    let orgs = store::organizations::all(store).await.expect("organizations");
    let [org] = orgs.as_slice() else { panic!("{orgs:?}") };
    *org
}

async fn all_time(store: &Store, org: OrgId) -> Sums {
    let today = store::clock::now().date_naive();
    let which = store::rollups::Which::default();
    store::rollups::sums(store, org, &which, today - Days::new(200), today + Days::new(2))
        .await
        .expect("sums")
}

#[tokio::test]
async fn a_demo_never_touches_a_database_that_is_in_use() {
    let (database, data) = (empty_database().await, TempDir::new());
    let store = Store::connect(&database, 2, MasterKey::generate()).await.expect("it works");
    store.migrate().await.expect("it works");
    let token = store::installation::offer_token(&store).await.expect("it works").expect("it works");
    let (name, email) = ("Olga".parse().expect("it works"), "olga@acme.example".parse().expect("it works"));
    store::installation::set_up(&store, &token, &name, &email, "no password").await.expect("it works");
    for arguments in [&SMALL[..], &["--fresh", "--quiet"]] {
        let mut child = demo(&database, data.path(), arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it works");
        let mut said = String::new();
        child.stderr.take().expect("it works").read_to_string(&mut said).expect("it works");
        assert!(!child.wait().expect("it works").success());
        assert!(said.contains("this database is in use"), "{said}");
    }
    assert_eq!(store::organizations::all(&store).await.expect("it works"), []);
}

#[tokio::test]
async fn a_demo_has_true_books_and_people_who_can_sign_in_and_a_second_start_changes_nothing() {
    let (database, data) = (empty_database().await, TempDir::new());
    let demo = Demo::start(&database, data.path(), &SMALL);
    assert!(demo.line.contains("this-is-a-demo"), "{}", demo.line);
    let store = Store::connect(&database, 4, master_key(data.path())).await.expect("it works");
    books_are_true(&store).await;

    for (who, page) in [("olga", "/audit"), ("lin", "/groups"), ("sam", "/my-models"), ("noor", "/spend")] {
        let browser = Browser::new(&demo.base);
        let email = format!("{who}@acme.example");
        browser.must("/console/accounts/sign-in", &[("email", &email), ("password", "this-is-a-demo")]).await;
        assert_eq!(browser.get(page).await.status, 200, "{who} {page}");
    }
    let owner = Browser::new(&demo.base);
    owner
        .must("/console/accounts/sign-in", &[("email", "olga@acme.example"), ("password", "this-is-a-demo")])
        .await;
    explore::agrees_with_the_ledger(&owner, &store, only(&store).await).await;
    explore::every_measure_agrees_with_the_ledger(&owner, &store, only(&store).await).await;
    explore::says_what_is_odd_about_an_address(&owner).await;
    explore::leaves_nobody_at_a_dead_end(&owner).await;
    let groups = store::groups::paths(&store, only(&store).await).await.expect("groups");
    let (group, _) = groups.iter().find(|(_, path)| path == "Engineering").expect("a group");
    explore::says_whether_all_is_fine(&owner, &group.to_string()).await;
    explore::is_filtered_by_people_as_they_are_called(&owner).await;
    explore::features_agree_with_the_ledger(&owner, &store, only(&store).await).await;
    explore::numbers_lead_to_their_calls(&owner).await;
    live::a_finished_call_is_told_within_two_seconds(&demo, &owner).await;
    reports::agree_with_the_ledger(&owner, &store, only(&store).await).await;
    recommendations::lead_to_filled_forms(&owner).await;
    simulated_provider_answers(&demo).await;

    demo.stop();
    let before = counts(&store).await;
    let again = Demo::start(&database, data.path(), &SMALL);
    assert_eq!(counts(&store).await, before);
    let asked =
        json!({ "model": "gpt-4.1-mini", "messages": [{ "role": "user", "content": "still there?" }] });
    assert_eq!(again.post("/v1/chat/completions", &asked).await.status, 200);
}

/// Every limit's window, everybody's month and every day against the ledger; and something of
/// everything to look at.
async fn books_are_true(store: &Store) {
    let (org, now) = (only(store).await, store::clock::now());
    let facts = store::access::facts(store, org).await.expect("an answer");
    let drift = store::books::drift(store, org, facts.calendar, now).await.expect("an answer");
    assert_eq!(drift, []);
    assert!(
        matches!(store::audit::verify(store, org).await.expect("an answer"), Chain::Whole { rows } if rows > 500)
    );
    let sums = all_time(store, org).await;
    assert!((1_700..=2_000).contains(&sums.calls), "{sums:?}");
    assert!(sums.refused > 5, "{sums:?}");
    let month = Month::current(store, org).await.expect("an answer");
    let filter = domain::directory::Filter::default();
    let ask =
        directory::Ask { month: &month, default_limit: None, filter: &filter, order: directory::BY_NAME };
    let people = directory::page(store, org, &ask, None, 1000).await.expect("an answer").rows;
    for status in UserStatus::ALL {
        assert!(people.iter().any(|user| user.status == *status), "nobody is {status}");
    }
    let models = store::models::list(store, org).await.expect("an answer");
    assert!(models.iter().any(|model| model.review == Review::Pending));
    let rules = store::authorizations::list(store, org, None).await.expect("an answer");
    for state in State::ALL {
        assert!(rules.iter().any(|rule| rule.state == *state), "no rule says {state}");
    }
    assert!(rules.iter().any(|rule| rule.locked));
    let limits = store::limits::list(store, org, &facts, |_| true).await.expect("an answer");
    assert!(limits.iter().any(|level| level.limit.mode == Mode::Observe));
    // How near people are to their limits depends on how old the month is.
    let kinds: BTreeSet<_> = limits.iter().map(|level| level.limit.meter.scope.kind()).collect();
    assert!(kinds.len() >= 6, "{kinds:?}");
}

async fn simulated_provider_answers(demo: &Demo) {
    let messages = json!([{ "role": "user", "content": "hello" }]);
    let plain = json!({ "model": "gpt-4.1-mini", "messages": messages });
    let answer = demo.post("/v1/chat/completions", &plain).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let text = answer.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
    assert!(text.contains("simulated provider"), "{text}");
    assert!(answer.json()["usage"]["completion_tokens"].as_u64().expect("an answer") > 0);

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
    assert_eq!(demo.post("/v1/chat/completions", &closed).await.status, 404, "rules hold in a demo too");
}
