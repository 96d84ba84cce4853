//! Every server function as every role, against `roles.txt`, and everything of one organization
//! seen from another.

use crate::world::{WHO, World, parts};

fn fields(text: &str) -> Vec<(String, String)> {
    serde_urlencoded::from_str(text).expect("fields of the table")
}

/// Lines of the table: function, fields, expected statuses.
fn table() -> Vec<(String, String, Vec<String>)> {
    include_str!("roles.txt")
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| {
            let parts: Vec<&str> = line.split('|').map(str::trim).collect();
            let [function, fields, statuses] = parts.as_slice() else { panic!("{line}") };
            (
                (*function).to_owned(),
                (*fields).to_owned(),
                statuses.split_whitespace().map(str::to_owned).collect(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_server_function_answers_every_role_as_the_table_says() {
    let mut world = World::new().await;
    let mut wrong = Vec::new();
    for (function, template, expected) in table() {
        assert_eq!(expected.len(), WHO.len(), "{function} says something about everybody");
        for (place, who) in WHO.iter().enumerate() {
            let text = world.fill(&template).await;
            let pairs = fields(&text);
            let pairs: Vec<(&str, &str)> =
                pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let answer = world.people[place].post(&format!("/console/{function}"), &pairs).await;
            if answer.status.as_str() != expected[place] {
                wrong.push(format!(
                    "{function} as {who}: {} instead of {} ({})",
                    answer.status, expected[place], answer.text
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Rows besides those of the table, with ids it does not have: a form of one organization that names
/// something of the other in one place.
const MIXED: [&str; 12] = [
    "keys/edit | application={new pair}&version=1&all_models=true&features[0]=streaming&assigned[0]={team}",
    "keys/edit | application={new pair}&version=1&features[0]=streaming&models[0]={model}",
    "keys/edit | application={new pair}&version=1&all_models=true&policy={new policy}",
    "groups/policy | id={new group}&version=1&policy={new policy}",
    "groups/create | name=x-{n}&kind=custom&parent={team}",
    "applications/create | name=x-{n}&group={team}",
    "limits/set | scope=member:{team}:{member}&metric=requests&window=day&cap=10",
    "reviews/decide | id={new line}&verdict=confirm",
    "groups/hand-over | group={team}&from={lead}&user={member}&stays=true",
    "users/remove | id={new named}&heir={member}",
    "organizations/hand-over | user={member}&then=owner&typed={org name}",
    "groups/default | id={new group}&was=false&default=true",
];

/// What fills a template in without naming anything of an organization.
const NO_ID: [&str; 7] = ["n", "day", "own day", "month", "pricelist", "org", "org name"];

/// What says nothing of anybody's all the same: tiers of models that are not accepted are not read, and
/// nothing was kept of a call that never was.
const IGNORED: [&str; 2] = ["model-reviews/accept", "prompts/kept"];

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_one_organization_reaches_nothing_of_another() {
    let mut acme = World::new().await;
    let mut other = acme.twin().await;
    let rows = table().into_iter().map(|(function, template, _)| (function, template));
    let mixed = MIXED.iter().map(|row| {
        let (function, template) = row.split_once(" | ").expect("two parts");
        (function.to_owned(), template.to_owned())
    });
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (function, template) in rows.chain(mixed) {
        let pieces = parts(&template);
        let ids: Vec<usize> = (0..pieces.len())
            .filter(|place| pieces[*place].1.is_some_and(|what| !NO_ID.contains(&what)))
            .collect();
        for foreign in &ids {
            let mut text = String::new();
            for (place, (before, what)) in pieces.iter().enumerate() {
                text += before;
                if let Some(what) = what {
                    let whose = if place == *foreign { &mut acme } else { &mut other };
                    text += &whose.value(what).await;
                }
            }
            let pairs = fields(&text);
            let pairs: Vec<(&str, &str)> =
                pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let answer = other.owner.post(&format!("/console/{function}"), &pairs).await;
            tried += 1;
            if answer.status.is_success() && !IGNORED.contains(&function.as_str()) {
                wrong.push(format!("{function} {template}, {foreign}: {} {}", answer.status, answer.text));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(tried > 150, "the table was read: {tried}");
    let log = acme.owner.get("/audit?who=Stan").await.text;
    assert!(log.contains("No change matches"), "nothing of theirs is in the log of Acme");
}

#[test]
fn no_server_function_is_missing_from_the_table() {
    // Links the console in, so that its functions are registered.
    let _ = app::backend::may_try;
    let known: Vec<String> =
        table().into_iter().map(|(function, ..)| format!("/console/{function}")).collect();
    let missing: Vec<_> = leptos::server_fn::axum::server_fn_paths()
        .filter(|(path, _)| !known.iter().any(|known| known == path))
        .collect();
    assert!(missing.is_empty(), "add a line to roles.txt for {missing:?}");
    assert!(known.len() > 50, "the table was read");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_one_organization_do_not_exist_in_another() {
    let mut world = World::new().await;
    let rehearsal = world.fresh("rehearsal").await;
    for thing in ["observed", "test"] {
        world.fresh(thing).await;
    }
    let stranger = world.people.last().expect("somebody").clone();
    let page = |kind: &str, id: &str| format!("/{kind}/{}", world.ids[id]);
    for path in [
        page("groups", "team"),
        page("spend", "team"),
        page("spend", "app"),
        page("spend", "member"),
        page("spend", "model"),
        page("calls", "call"),
        format!("/calls?application={}", world.ids["app"]),
        format!("/explore?group={}", world.ids["team"]),
        format!("/explore.csv?group={}", world.ids["team"]),
        page("users", "member"),
        page("applications", "app"),
        page("models", "model"),
        page("providers", "provider"),
        format!("/providers/{}/offers", world.ids["provider"]),
        page("requests", "request"),
        page("webhooks", "webhook"),
        page("receipts", "receipt"),
        page("reviews", "review"),
        page("invoices", "invoice"),
        format!("/rehearsals/{rehearsal}"),
    ] {
        assert_eq!(world.owner.get(&path).await.status, 200, "{path}");
        let answer = stranger.get(&path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.text.contains("Research"), "{path}");
    }
    for path in [
        "/users",
        "/groups",
        "/applications",
        "/models",
        "/models/review",
        "/audit",
        "/spend",
        "/limits",
        "/calls",
        "/explore",
        "/authorization",
        "/authorization/observed",
        "/authorization/tests",
        "/policies",
        "/providers",
        "/requests?state=all",
        "/notices?show=all",
        "/alerts",
        "/alerts/settings",
        "/reports",
        "/invoices",
        "/reviews",
        "/roles",
        "/settings",
    ] {
        let text = stranger.get(path).await.text;
        for name in ["Research", "Mia", "Leo", "app-", "model-", "webhook-", "tier-", "test-"] {
            assert!(!text.contains(name), "{name} of Acme is on {path} of Other");
        }
    }
    drop(world.server);
}
