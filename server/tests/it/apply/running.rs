//! A file applied beside a running server: it notices, and people get in.

use std::time::{Duration, Instant};

use super::{ACME, errors, json, lines, run};
use crate::harness::{Browser, PASSWORD, Server, join, set_up};

/// Applies a file to the installation of a running server.
fn apply(server: &Server, file: &str) -> serde_json::Value {
    json(&run(&server.database, server.data(), &[], &["apply", "-", "--json"], file.as_bytes()))
}

fn secret_of(made: &serde_json::Value, application: &str) -> String {
    let secrets = made["secrets"].as_array().expect("secrets");
    let secret = secrets.iter().find(|secret| secret["application"] == application).expect("a secret");
    assert_eq!(secret["user"], serde_json::Value::Null);
    secret["secret"].as_str().expect("a text").to_owned()
}

/// The names on `/v1/models`; none when the secret is refused.
async fn models(browser: &Browser, secret: &str) -> Option<Vec<String>> {
    let bearer = format!("Bearer {secret}");
    let answer =
        browser.send(http::Method::GET, "/v1/models", &[("authorization", &bearer)], String::new()).await;
    if answer.status == 401 {
        return None;
    }
    assert_eq!(answer.status, 200, "{}", answer.text);
    let list = answer.json()["data"].as_array().expect("a list").clone();
    let mut names: Vec<String> =
        list.iter().map(|model| model["id"].as_str().expect("an id").to_owned()).collect();
    names.sort();
    Some(names)
}

/// Asks until the answer is this one.
async fn becomes(browser: &Browser, secret: &str, expected: &[&str]) {
    let begun = Instant::now();
    loop {
        let found = models(browser, secret).await;
        if found.as_deref().is_some_and(|found| found == expected) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{found:?} never became {expected:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_running_server_notices_and_the_secrets_printed_once_work() {
    let server = Server::start().await;
    let made = apply(&server, ACME);
    let browser = server.browser();
    let (bot, writer) = (secret_of(&made, "research-bot"), secret_of(&made, "campaign-writer"));
    let policies = ["policy/prod-chat", "policy/spread"];
    let both = [&["big-chat", "claude-like"], policies.as_slice(), &["small-chat"]].concat();
    becomes(&browser, &bot, &both).await;
    // The key narrows to one model, the group is closed for another tier; policies that lead to the
    // model are left.
    becomes(&browser, &writer, &[policies.as_slice(), &["small-chat"]].concat()).await;
    apply(
        &server,
        &ACME.replace("model = \"big-chat\"\nstate = \"open\"", "model = \"big-chat\"\nstate = \"closed\""),
    );
    becomes(&browser, &bot, &both[1..]).await;
}

#[tokio::test]
async fn whoever_sets_the_installation_up_owns_what_a_file_made_before() {
    let server = Server::start().await;
    let made = apply(&server, ACME);
    let token = server.token.clone().expect("a first start");
    let owner = server.browser();
    let fields = [
        ("token", token.as_str()),
        ("name", "Olga"),
        ("email", "olga@acme.example"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    let done = owner.must("/console/setup/owner", &fields).await;
    assert_eq!(done["go"], "/", "there is an organization already");
    let people = owner.get("/users").await;
    assert_eq!(people.status, 200);
    for name in ["Olga", "Ada", "Lin"] {
        assert!(people.text.contains(name), "{name}");
    }
    for (page, name) in
        [("/policies", "prod-chat"), ("/models", "embedder"), ("/applications", "research-bot")]
    {
        let text = owner.get(page).await.text;
        assert!(text.contains(name), "{name} is not on {page}");
    }
    assert_eq!(lines(&apply(&server, ACME)), Vec::<String>::new(), "the owner is not in the file, and stays");
    // Everything is on the record, through the door it came by, and the chain is whole.
    owner.must("/console/audit/verify", &[]).await;
    let log = owner.must("/console/audit/list", &[("before", ""), ("subject", "")]).await;
    assert!(log["checked"]["rows"].as_i64().is_some_and(|rows| rows > 0), "{log}");
    assert!(log["checked"]["broken"].is_null(), "{log}");
    let rows = log["rows"].as_array().expect("rows");
    assert!(rows.iter().any(|row| row["door"] == "file" && row["actor"] == "standard input"), "{log}");
    // People the file added come in by their invitations.
    let link = made["invitations"][0]["url"].as_str().expect("a link");
    assert_eq!(made["invitations"][0]["user"], "ada@acme.example");
    let parts: Vec<&str> = link.split('/').collect();
    let [.., org, user, token] = parts.as_slice() else { panic!("{link}") };
    let ada = server.browser();
    let fields = [("org", *org), ("user", *user), ("token", *token), ("name", "Ada"), ("password", PASSWORD)];
    ada.must("/console/join/accept", &fields).await;
    assert_eq!(ada.get("/audit").await.status, 200, "an admin, as the file says");
}

#[tokio::test]
async fn whoever_is_in_the_file_keeps_the_role_it_gives_them() {
    let server = Server::start().await;
    apply(&server, ACME);
    let token = server.token.clone().expect("a first start");
    let ada = server.browser();
    let fields = [
        ("token", token.as_str()),
        ("name", "Ada"),
        ("email", "ada@acme.example"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    ada.must("/console/setup/owner", &fields).await;
    assert_eq!(ada.get("/audit").await.status, 200);
    assert_eq!(lines(&apply(&server, ACME)), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_file_makes_later_belongs_to_who_set_the_installation_up() {
    let server = Server::start().await;
    let owner = set_up(&server, "Elsewhere").await;
    apply(&server, ACME);
    let organizations = owner.get("/").await.text;
    assert!(organizations.contains("Acme"), "both are there to choose from");
    // Applied to the one that was made by hand, a file changes only what it says.
    let file = "[organization]\nname = \"Elsewhere\"\n\n[[groups]]\npath = \"Team\"\n";
    assert_eq!(lines(&apply(&server, file)), ["+ group Team"]);
    assert!(owner.get("/groups").await.text.contains("Team"));
    assert_eq!(owner.get("/users").await.status, 200);
}

#[tokio::test]
async fn a_file_that_suspends_somebody_hands_on_what_they_answer_for() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let group = [("name", "Team"), ("kind", "custom"), ("parent", "")];
    let group = owner.create("/console/groups/create", &group).await;
    let (sam, _) = join(&server, &owner, "Sam", "member").await;
    let (lou, _) = join(&server, &owner, "Lou", "member").await;
    let app = owner.create("/console/applications/create", &[("name", "bot"), ("group", &group)]).await;
    for (user, leads) in [(&sam, "true"), (&lou, "false")] {
        let fields = [("group", group.as_str()), ("user", user.as_str()), ("lead", leads)];
        owner.must("/console/groups/add-member", &fields).await;
    }
    let shown = owner.get(&format!("/applications/{app}?dialog=hand-over")).await.text;
    let mut fields = crate::edits::hidden(&shown, "applications/hand-over", &app);
    fields.push(("user".to_owned(), sam.clone()));
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    owner.must("/console/applications/hand-over", &fields).await;

    let output = run(&server.database, server.data(), &[], &["export"], b"");
    assert!(output.status.success(), "{}", errors(&output));
    let file = String::from_utf8(output.stdout).expect("text");
    let (before, of_sam) = file.split_once("email = \"sam@acme.example\"").expect("Sam is in the file");
    let suspended = format!("{before}email = \"sam@acme.example\"\nsuspended = true{of_sam}");
    // Nobody else leads the group: the file has to say who does.
    let refused = run(&server.database, server.data(), &[], &["apply", "-", "--json"], suspended.as_bytes());
    assert!(!refused.status.success(), "a group without a lead who can act");
    assert!(errors(&refused).contains("Team"), "{}", errors(&refused));
    let answers = async |name: &str| {
        let page = owner.get(&format!("/applications/{app}")).await.text;
        page.split("Owner: ")
            .nth(1)
            .is_some_and(|rest| rest.split("</p>").next().unwrap_or("").contains(name))
    };
    assert!(answers("Sam").await, "nothing of a refused file is done");

    // Lou leads it, too: what Sam answers for goes to the nearest lead.
    let fields = [("group", group.as_str()), ("user", lou.as_str()), ("was", "member"), ("lead", "true")];
    owner.must("/console/groups/edit-member", &fields).await;
    let output = run(&server.database, server.data(), &[], &["export"], b"");
    let file = String::from_utf8(output.stdout).expect("text");
    let (before, of_sam) = file.split_once("email = \"sam@acme.example\"").expect("Sam is in the file");
    let suspended = format!("{before}email = \"sam@acme.example\"\nsuspended = true{of_sam}");
    let made = lines(&apply(&server, &suspended));
    assert_eq!(made, ["~ user sam@acme.example suspended: false → true"]);
    assert!(answers("Lou").await, "the application is Lou's");
    // The receipt and the log say so, and by which door.
    let page = owner.get(&format!("/users/{sam}")).await.text;
    let receipt =
        page.find("/receipts/").map(|at| page[at..].split('"').next().unwrap_or_default().to_owned());
    let receipt = owner.get(&receipt.expect("a receipt")).await.text;
    assert!(receipt.contains("bot") && receipt.contains("Lou"), "{receipt}");
    let log = owner.must("/console/audit/list", &[("before", ""), ("subject", "")]).await;
    let rows = log["rows"].as_array().expect("rows");
    assert!(rows.iter().any(|row| row["door"] == "file" && row["act"] == "user.suspend"), "{log}");
    assert_eq!(lines(&apply(&server, &suspended)), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_says_of_a_raised_limit_what_lasts() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let group = [("name", "Team"), ("kind", "custom"), ("parent", "")];
    let group = owner.create("/console/groups/create", &group).await;
    let (sam, own) = join(&server, &owner, "Sam", "member").await;
    owner.must("/console/groups/add-member", &[("group", &group), ("user", &sam)]).await;
    let limit = format!("group:{group}/spend/month");
    let scope = format!("group:{group}");
    let fields = [("scope", scope.as_str()), ("metric", "spend"), ("window", "month"), ("cap", "10")];
    owner.must("/console/limits/set", &fields).await;
    let export = || {
        let output = run(&server.database, server.data(), &[], &["export"], b"");
        assert!(output.status.success(), "{}", errors(&output));
        String::from_utf8(output.stdout).expect("text")
    };
    let before = export();
    assert!(before.contains("cap = \"10.00\""), "{before}");

    let in_days = |days| (store::clock::now() + chrono::TimeDelta::days(days)).date_naive();
    let raise = async |amount: &str, days: i64| {
        let day = in_days(days).to_string();
        let terms = [("amount", amount), ("ends_on", day.as_str())];
        let asked =
            [&[("limit", limit.as_str()), ("group", &group), ("reason", "A month of more")][..], &terms]
                .concat();
        let request = own.create("/console/requests/raise", &asked).await;
        let agreed = [&[("id", request.as_str())][..], &terms].concat();
        owner.must("/console/requests/approve", &agreed).await;
        request
    };
    let request = raise("25", 10).await;
    let page = owner.get(&format!("/groups/{group}")).await.text;
    assert!(page.contains("$25.00"), "the raise holds: {page}");
    assert_eq!(export(), before, "the file says what holds without the raise");
    assert_eq!(lines(&apply(&server, &before)), Vec::<String>::new(), "and it is no change of it");
    let page = owner.get(&format!("/groups/{group}")).await.text;
    assert!(page.contains("$25.00"), "which the raise outlives: {page}");

    // Who is told when is another thing than how much.
    let sooner = before.replace("cap = \"10.00\"", "cap = \"10.00\", thresholds = [40]");
    let planned = run(&server.database, server.data(), &[], &["apply", "-", "--plan"], sooner.as_bytes());
    let planned = String::from_utf8(planned.stdout).expect("text");
    assert!(planned.contains("thresholds") && !planned.contains("ends with this"), "{planned}");
    assert_eq!(lines(&apply(&server, &sooner)).len(), 1);
    assert_eq!(export(), sooner);
    let page = owner.get(&format!("/groups/{group}")).await.text;
    assert!(page.contains("$25.00"), "which the raise outlives, too: {page}");

    // A file that says another amount sets it, as somebody by hand would: that ends the raise, and one above
    // it that would have ended sooner.
    let higher = raise("30", 5).await;
    let twelve = before.replace("\"10.00\"", "\"12.00\"");
    let planned = run(&server.database, server.data(), &[], &["apply", "-", "--plan"], twelve.as_bytes());
    let planned = String::from_utf8(planned.stdout).expect("text");
    let both = format!("$30.00 a month until {}, and a lower one", domain::time::date(in_days(5)));
    assert!(planned.contains(&both) && planned.contains("ends with this"), "{planned}");
    let made = lines(&apply(&server, &twelve));
    assert_eq!(made.len(), 1, "{made:?}");
    assert!(export().contains("cap = \"12.00\""));
    for request in [request, higher] {
        let page = owner.get(&format!("/requests/{request}")).await.text;
        assert!(page.contains("Ended"), "{page}");
    }
}
