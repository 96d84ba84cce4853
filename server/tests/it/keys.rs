//! Secrets of keys, as programs and strangers meet them.

use http::Method;

use crate::harness::{Browser, Server, join, set_up};

/// What a program with this secret gets for its list of models.
async fn models(server: &Server, secret: &str) -> u16 {
    let bearer = format!("Bearer {secret}");
    let program = server.browser();
    let answer = program.send(Method::GET, "/v1/models", &[("authorization", &bearer)], String::new()).await;
    answer.status.as_u16()
}

async fn secret(owner: &Browser, app: &str, key: &str, grace: &str) -> String {
    let fields = [("application", app), ("key", key), ("grace_hours", grace)];
    let asked = owner.post("/console/keys/issue", &fields).await;
    let done = match asked.json()["Changed"].as_str() {
        // Those that stop at once are named, and nothing is made before that is meant.
        Some(known) => {
            assert!(known.contains("stop with the next call, for good: bsr_live_…"), "{known}");
            let fields = [("application", app), ("key", key), ("grace_hours", grace), ("known", known)];
            owner.must("/console/keys/issue", &fields).await
        }
        None => asked.json(),
    };
    done["once"]["Secret"]["secret"].as_str().expect("a secret").to_owned()
}

/// An application and its key.
async fn application(owner: &Browser) -> (String, String) {
    let fields = [("name", "Research"), ("kind", "custom"), ("parent", "")];
    let group = owner.create("/console/groups/create", &fields).await;
    let app = owner.create("/console/applications/create", &[("name", "bot"), ("group", &group)]).await;
    let page = owner.get(&format!("/applications/{app}?dialog=secret")).await.text;
    let start = page.find("key_").expect("its key");
    (app, page[start..start + 30].to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_secret_works_through_its_grace_period_and_not_beyond() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let (app, key) = application(&owner).await;
    let old = secret(&owner, &app, &key, "").await;
    let beside = secret(&owner, &app, &key, "").await;
    assert_eq!(
        [models(&server, &old).await, models(&server, &beside).await],
        [200, 200],
        "both stay as they are"
    );
    let rotated = secret(&owner, &app, &key, "24").await;
    for one in [&old, &beside, &rotated] {
        assert_eq!(models(&server, one).await, 200, "programs have a day to take the new one");
    }
    let page = owner.get(&format!("/applications/{app}")).await.text;
    assert_eq!(page.matches(">stops<").count(), 2, "and the page says when the old ones stop");
    let fields = [("application", app.as_str()), ("key", key.as_str()), ("grace_hours", "0")];
    let asked = owner.post("/console/keys/issue", &fields).await;
    assert!(asked.status == 409 && asked.text.contains("3 secrets stop"), "{}", asked.text);
    assert_eq!(models(&server, &old).await, 200, "nothing is done before it is meant");
    let last = secret(&owner, &app, &key, "0").await;
    // The log names the new one, and those it stands for.
    let log = owner.must("/console/audit/list", &[("before", ""), ("subject", "")]).await;
    let hint = |secret: &String| format!("bsr_live_…{}", &secret[secret.len() - 4..]);
    let made = log["rows"].as_array().expect("rows").iter().find(|row| row["act"] == "secret.create");
    let made = made.expect("its line").to_string();
    for one in [&last, &old, &beside, &rotated] {
        assert!(made.contains(&hint(one)), "{}: {made}", hint(one));
    }
    for dead in [&old, &beside, &rotated] {
        assert_eq!(models(&server, dead).await, 401, "a grace period that is cut short is over");
    }
    assert_eq!(models(&server, &last).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_made_with_a_last_day() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let (app, key) = application(&owner).await;
    let made = async |day: &str| {
        let fields = [("application", app.as_str()), ("key", key.as_str()), ("ends_on", day)];
        owner.post("/console/keys/issue", &fields).await
    };
    assert_eq!(made("2020-02-29").await.status, 422, "a day that has passed");
    assert_eq!(made("tomorrow").await.status, 422);
    let page = owner.get(&format!("/applications/{app}")).await.text;
    assert!(page.contains("No secrets yet"), "and nothing was made");
    assert_eq!(made("2999-12-31").await.status, 200);
    let page = owner.get(&format!("/applications/{app}")).await.text;
    assert_eq!(page.matches(">stops<").count(), 1, "the page says when it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_a_leak_kills_the_secret_and_tells_nobody_whether_there_was_one() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let (app, key) = application(&owner).await;
    let (leaked, other) = (secret(&owner, &app, &key, "").await, secret(&owner, &app, &key, "").await);
    let report = async |text: &str| {
        let stranger = server.browser();
        let kind = [("content-type", "text/plain")];
        stranger.send(Method::POST, "/api/v1/secrets/leaked", &kind, text.to_owned()).await
    };
    // One letter off: nothing of it is ours, and the answer is the same.
    let mut close = leaked.clone();
    let end = close.pop().expect("a letter");
    close.push(if end == 'a' { 'b' } else { 'a' });
    let unknown = report(&close).await;
    assert_eq!(models(&server, &leaked).await, 200, "nobody kills what they do not hold");
    for _ in 0..2 {
        let known = report(&leaked).await;
        assert_eq!((known.status, &known.text), (unknown.status, &unknown.text));
        assert_eq!(known.status, 202);
    }
    assert_eq!([models(&server, &leaked).await, models(&server, &other).await], [401, 200]);
    let log = owner.get("/audit?kind=secret").await.text;
    assert_eq!(log.matches("A leak report").count(), 1, "it is on the record, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_ones_own_is_made_with_a_last_day() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let fields = [("name", "Research"), ("kind", "custom"), ("parent", "")];
    let group = owner.create("/console/groups/create", &fields).await;
    let (mia, member) = join(&server, &owner, "Mia", "member").await;
    owner.must("/console/groups/add-member", &[("group", &group), ("user", &mia)]).await;
    let opened = async |day: &str| {
        member.post("/console/keys/open-personal", &[("group", group.as_str()), ("ends_on", day)]).await
    };
    assert_eq!(opened("2020-02-29").await.status, 422, "a day that has passed");
    assert_eq!(opened("tomorrow").await.status, 422);
    assert!(!member.get("/my-models").await.text.contains("Replace my secret"), "and nothing was made");
    let first = opened("2999-12-31").await.json();
    let secret = first["once"]["Secret"]["secret"].as_str().expect("a secret").to_owned();
    assert_eq!(models(&server, &secret).await, 200);
    let page = member.get("/my-models").await.text;
    assert!(page.contains("stops after 31 Dec 2999"), "the page says when it stops");

    // The one that takes its place has none, unless that is said, too.
    let start = page.find("key_").expect("its key");
    let key = page[start..start + 30].to_owned();
    let past =
        member.post("/console/keys/issue-own", &[("key", key.as_str()), ("ends_on", "2020-02-29")]).await;
    assert_eq!(past.status, 422);
    assert_eq!(models(&server, &secret).await, 200, "the one before lives on");
    // Nor does a button that is pressed twice make two.
    let shown = [("key", key.as_str()), ("was", "none")];
    assert_eq!(member.post("/console/keys/issue-own", &shown).await.status, 422);
    let second = member.must("/console/keys/issue-own", &[("key", key.as_str())]).await;
    let second = second["once"]["Secret"]["secret"].as_str().expect("a secret").to_owned();
    let page = member.get("/my-models").await.text;
    assert!(!page.contains("stops after") && page.contains("replaced"), "{page}");
    assert_eq!([models(&server, &secret).await, models(&server, &second).await], [200, 200]);
    member.must("/console/keys/issue-own", &[("key", key.as_str()), ("grace_hours", "0")]).await;
    assert_eq!([models(&server, &secret).await, models(&server, &second).await], [401, 401]);
}
