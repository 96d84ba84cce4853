//! Every route that is not a server function, as somebody of another organization asks it: what it
//! needs an id for is not there, and what it lists is their own. A route without a row fails, and so
//! does a page of one thing.

use http::{Method, StatusCode};
use http_body_util::BodyExt;

use crate::{
    harness::Browser,
    world::{WHO, World, parts},
};

/// How a route is asked.
enum How {
    /// As somebody who is signed in elsewhere: each address, and what they get. Of the owner it is 200.
    Signed(&'static [(&'static str, u16)]),
    /// With a secret of another organization. Of a secret of its own it is as the last says.
    Secret(Method, &'static str, &'static str, u16),
    /// It stays open; what it tells is tried by itself.
    Stream,
    /// It takes no id and tells nothing of an organization. Why.
    Nothing(&'static str),
}

use How::{Nothing, Secret, Signed, Stream};

const CALL: &str = r#"{"model":"{model name}","messages":[{"role":"user","content":"hi"}],"max_tokens":5}"#;
const INPUT: &str = r#"{"model":"{model name}","input":"hi"}"#;

/// Every route, and how it is tried.
fn routes() -> Vec<(&'static str, How)> {
    vec![
        ("/console", Nothing("answers nothing but that it is not there")),
        ("/console/{*function}", Nothing("server functions stand in roles.txt")),
        ("/assets/{file}", Nothing("files of the program")),
        ("/healthz", Nothing("of the process")),
        ("/readyz", Nothing("of the process")),
        ("/api/v1/secrets/leaked", Nothing("takes whole secrets only, and says the same of each")),
        ("/live", Stream),
        (
            "/users.csv",
            Signed(&[
                ("/users.csv", 200),
                ("/users.csv?group={team}", 200),
                ("/users.csv?q=mia", 200),
                ("/users.csv?users[]={member}", 200),
            ]),
        ),
        (
            "/explore.csv",
            Signed(&[
                ("/explore.csv", 200),
                ("/explore.csv?group={team}", 404),
                ("/explore.csv?application={app}", 404),
                ("/explore.csv?user={member}", 404),
                ("/explore.csv?model={model}", 404),
                ("/explore.csv?tier={tier}", 404),
            ]),
        ),
        (
            "/calls.csv",
            Signed(&[
                ("/calls.csv", 200),
                ("/calls.csv?group={team}", 404),
                ("/calls.csv?application={app}", 404),
                ("/calls.csv?user={member}", 404),
                ("/calls.csv?model={model}", 404),
            ]),
        ),
        ("/audit.csv", Signed(&[("/audit.csv", 200), ("/audit.csv?what=research", 200)])),
        ("/reports.csv", Signed(&[("/reports.csv?month={month}", 200)])),
        ("/reports.focus.csv", Signed(&[("/reports.focus.csv?month={month}", 200)])),
        ("/invoices.csv", Signed(&[("/invoices.csv?id={invoice}", 404)])),
        ("/v1/models", Secret(Method::GET, "/v1/models", "", 200)),
        ("/v1/models/{*id}", Secret(Method::GET, "/v1/models/{model name}", "", 404)),
        ("/v1/me/limits", Secret(Method::GET, "/v1/me/limits", "", 200)),
        ("/v1", Secret(Method::POST, "/v1", CALL, 404)),
        ("/v1/{*rest}", Secret(Method::POST, "/v1/images/generations", CALL, 404)),
        ("/v1/chat/completions", Secret(Method::POST, "/v1/chat/completions", CALL, 404)),
        ("/v1/messages", Secret(Method::POST, "/v1/messages", CALL, 404)),
        ("/v1/messages/count_tokens", Secret(Method::POST, "/v1/messages/count_tokens", CALL, 404)),
        ("/v1/responses", Secret(Method::POST, "/v1/responses", INPUT, 404)),
        ("/v1/embeddings", Secret(Method::POST, "/v1/embeddings", INPUT, 404)),
    ]
}

/// Addresses as every role: those of routes that are no server function, and every page of the site map
/// that is not about one thing. A page says what its server function says (302: to the sign-in, from the overview to one's own
/// page, and from the spend page to the only group one leads).
/// In the order of [`WHO`].
#[rustfmt::skip]
const ROLES: &[(&str, [u16; 8])] = &[
    ("/users.csv",                         [401, 403, 403, 403, 200, 200, 200, 200]),
    ("/audit.csv",                         [401, 403, 403, 403, 200, 200, 200, 200]),
    ("/reports.csv?month={month}",         [401, 403, 403, 403, 200, 200, 200, 404]),
    ("/reports.focus.csv?month={month}",   [401, 403, 403, 403, 200, 200, 200, 404]),
    ("/invoices.csv?id={invoice}",         [401, 403, 403, 403, 200, 200, 200, 404]),
    ("/explore.csv",                       [401, 200, 200, 200, 200, 200, 200, 200]),
    ("/explore.csv?group={team}",          [401, 200, 200, 403, 200, 200, 200, 404]),
    ("/calls.csv",                         [401, 200, 200, 200, 200, 200, 200, 200]),
    ("/calls.csv?group={team}",            [401, 200, 200, 403, 200, 200, 200, 404]),
    ("/",                                  [302, 302, 302, 302, 200, 200, 200, 200]),
    ("/my-models",                         [302, 200, 200, 200, 200, 200, 200, 200]),
    ("/notices",                           [302, 200, 200, 200, 200, 200, 200, 200]),
    ("/alerts",                            [302, 200, 200, 200, 200, 200, 200, 200]),
    ("/alerts/settings",                   [302, 403, 403, 403, 200, 200, 200, 200]),
    ("/users",                             [302, 403, 403, 403, 200, 200, 200, 200]),
    ("/groups",                            [302, 403, 200, 200, 200, 200, 200, 200]),
    ("/authorization",                     [302, 200, 200, 200, 200, 200, 200, 200]),
    ("/authorization/observed",            [302, 403, 200, 200, 200, 200, 200, 200]),
    ("/authorization/tests",               [302, 403, 403, 403, 200, 200, 200, 200]),
    ("/models",                            [302, 403, 403, 403, 200, 200, 200, 200]),
    ("/models/review",                     [302, 403, 403, 403, 200, 200, 200, 200]),
    ("/providers",                         [302, 403, 403, 403, 200, 200, 200, 200]),
    ("/policies",                          [302, 403, 403, 403, 200, 200, 200, 200]),
    ("/applications",                      [302, 403, 200, 200, 200, 200, 200, 200]),
    ("/calls",                             [302, 200, 200, 200, 200, 200, 200, 200]),
    ("/calls/live",                        [302, 200, 200, 200, 200, 200, 200, 200]),
    ("/sessions",                          [302, 200, 200, 200, 200, 200, 200, 200]),
    ("/explore",                           [302, 200, 200, 200, 200, 200, 200, 200]),
    ("/spend",                             [302, 403, 302, 302, 200, 200, 200, 200]),
    ("/recommendations",                   [302, 403, 200, 200, 200, 200, 200, 200]),
    ("/invoices",                          [302, 403, 403, 403, 200, 200, 200, 200]),
    ("/reports",                           [302, 403, 403, 403, 200, 200, 200, 200]),
    ("/requests",                          [302, 200, 200, 200, 200, 200, 200, 200]),
    ("/requests/new",                      [302, 200, 200, 200, 200, 200, 200, 200]),
    ("/requests/raise",                    [302, 200, 200, 200, 200, 200, 200, 200]),
    ("/roles",                             [302, 200, 200, 200, 200, 200, 200, 200]),
    ("/reviews",                           [302, 403, 200, 200, 200, 200, 200, 200]),
    ("/why",                               [302, 200, 200, 200, 200, 200, 200, 200]),
    ("/limits",                            [302, 403, 403, 403, 200, 200, 200, 200]),
    ("/audit",                             [302, 403, 403, 403, 200, 200, 200, 200]),
    ("/settings",                          [302, 403, 403, 403, 200, 200, 200, 200]),
    ("/account",                           [302, 200, 200, 200, 200, 200, 200, 200]),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_download_and_every_page_answers_every_role_as_the_table_says() {
    let mut world = World::new().await;
    let mut wrong = Vec::new();
    for (address, expected) in ROLES {
        let path = world.fill(address).await;
        for (place, who) in WHO.iter().enumerate() {
            let answer = world.people[place].get(&path).await;
            if answer.status.as_u16() != expected[place] {
                wrong.push(format!("{address} as {who}: {} instead of {}", answer.status, expected[place]));
            }
        }
    }
    let source = include_str!("../../../app/src/app.rs");
    // Forms without anything to load, and pages of one thing, which are tried below.
    let alone = ["users/import", "models/import", "", "*any", "authorization/rule", "sessions/one"];
    for path in source.split("path=path!(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        let known = ROLES.iter().any(|(address, _)| address.split('?').next() == Some(&format!("/{path}")));
        if !known && !path.contains(':') && !path.starts_with('/') && !alone.contains(&path) {
            wrong.push(format!("say what every role gets of {path}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_the_organization_is_led_on_to_what_they_may_read() {
    let world = World::new().await;
    let team = format!("href=\"/spend/{}\"", world.ids["team"]);
    for (who, leads_the_team) in [("member", false), ("lead", true), ("other", false)] {
        let place = WHO.iter().position(|other| *other == who).expect("one of them");
        let answer = world.people[place].get("/spend").await;
        let led_on = answer.headers.get(http::header::LOCATION).and_then(|to| to.to_str().ok());
        let only = format!("/spend/{}", world.ids["team"]);
        assert_eq!(led_on == Some(&only), leads_the_team, "{who}: who leads one group is taken there");
        let page = match led_on {
            Some(to) => world.people[place].get(to).await.text,
            None => answer.text,
        };
        assert!(page.contains("href=\"/spend/me\""), "{who}");
        assert_eq!(page.contains(&team), leads_the_team, "{who}");
        let listed: Vec<&str> =
            page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        for path in listed.into_iter().filter(|path| path.starts_with("/spend/")) {
            assert_eq!(world.people[place].get(path).await.status, StatusCode::OK, "{who} {path}");
        }
    }
}

/// Names of people of Acme whose like Other does not have.
const NAMES: [&str; 5] = ["Mia", "Leo", "Aude", "Adam", "lea@"];

/// Routes as their routers say them.
fn written() -> Vec<&'static str> {
    let sources = [include_str!("../../src/http.rs"), include_str!("../../gateway/src/pipeline.rs")];
    let literal = |source: &'static str| {
        source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>()
    };
    let calls = gateway::wire::Route::ALL.iter().map(|route| route.full_path());
    sources.into_iter().flat_map(literal).chain(calls).collect()
}

#[test]
fn no_route_is_missing_from_the_table() {
    let known: Vec<&str> = routes().into_iter().map(|(route, _)| route).collect();
    let missing: Vec<_> = written().into_iter().filter(|route| !known.contains(route)).collect();
    assert!(missing.is_empty(), "say how {missing:?} is tried");
    let unsaid = routes().into_iter().filter(|(_, how)| matches!(how, Nothing("")));
    assert_eq!(unsaid.count(), 0, "what is not tried says why");
    assert!(written().len() >= 20, "the routers were read: {:?}", written());
    // A router of another file would not be seen.
    let others = include_str!("../../src/http.rs").matches(".nest").count()
        + include_str!("../../src/http.rs").matches(".merge(").count();
    assert_eq!(others, 5, "a router was merged whose routes are not read here");
}

fn names_in<'a>(text: &str, names: &[&'a str]) -> Vec<&'a str> {
    names.iter().copied().filter(|name| text.contains(name)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_download_stream_or_call_reaches_anything_of_another_organization() {
    let mut acme = World::new().await;
    let name = acme.name_of("model").await;
    acme.ids.insert("model name", name);
    let other = acme.twin().await;
    let secret = other.secret().await;
    let bearer = format!("Bearer {secret}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let program = acme.server.browser();
    let mut wrong = Vec::new();
    for (route, how) in routes() {
        match how {
            Nothing(_) => {}
            Stream => hears_of_its_own(&mut acme, &other.owner, &mut wrong).await,
            Signed(addresses) => {
                for (address, expected) in addresses {
                    let path = acme.fill(address).await;
                    let (own, theirs) = (acme.owner.get(&path).await, other.owner.get(&path).await);
                    if own.status != StatusCode::OK {
                        wrong.push(format!("{address} of its own: {} {}", own.status, own.text));
                    }
                    if theirs.status.as_u16() != *expected {
                        wrong.push(format!("{address}: {}", theirs.status));
                    }
                    for name in names_in(&theirs.text, &NAMES) {
                        wrong.push(format!("{address} names {name}"));
                    }
                    if acme.server.browser().get(&path).await.status != 401 {
                        wrong.push(format!("{address} answers nobody"));
                    }
                }
            }
            Secret(method, path, body, expected) => {
                let path = path.replace("{model name}", &acme.ids["model name"]);
                let body = body.replace("{model name}", &acme.ids["model name"]);
                let answer = program.send(method, &path, &headers, body).await;
                if answer.status.as_u16() != expected {
                    wrong.push(format!("{route}: {} {}", answer.status, answer.text));
                }
                // What was asked for is said again; nothing else of theirs is.
                if expected == 200 && answer.text.contains(&acme.ids["model name"]) {
                    wrong.push(format!("{route} lists a model of Acme: {}", answer.text));
                }
                for name in names_in(&answer.text, &NAMES) {
                    wrong.push(format!("{route} names {name}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whoever listens elsewhere hears nothing of what happens in Acme, and of their own the next thing.
async fn hears_of_its_own(acme: &mut World, stranger: &Browser, wrong: &mut Vec<String>) {
    let (model, team) = (acme.fresh("asked").await, format!("group:{}", acme.ids["team"]));
    let day = crate::world::last_day();
    let asks = [
        ("model", model.as_str()),
        ("whom", &team),
        ("reason", "x"),
        ("amount", "5"),
        ("per", "total"),
        ("ends_on", &day),
    ];
    let (mut ours, mut theirs) = (acme.owner.listen("/live").await, stranger.listen("/live").await);
    // A request tells whoever decides, before anything else is said of it.
    acme.owner.must("/console/requests/create", &asks).await;
    let heard = next(&mut ours).await;
    if heard != "notices" {
        wrong.push(format!("/live tells its own of {heard}"));
    }
    stranger.create("/console/groups/create", &[("name", "Heard"), ("kind", "custom")]).await;
    let heard = next(&mut theirs).await;
    if heard != "facts" {
        wrong.push(format!("/live tells another organization of {heard}"));
    }
}

/// The next thing a stream tells.
async fn next(stream: &mut hyper::body::Incoming) -> String {
    let mut text = String::new();
    loop {
        let frame = stream.frame().await.expect("it goes on").expect("a piece");
        text += &String::from_utf8_lossy(frame.data_ref().map(|data| data.as_ref()).unwrap_or_default());
        if let Some(what) = text.split("event: ").nth(1).filter(|rest| rest.contains('\n')) {
            return what.lines().next().unwrap_or_default().to_owned();
        }
    }
}

/// Pages of one thing, whose address is its own, by the routes of the site map.
const PAGES: [(&str, &str); 20] = [
    ("webhooks/:id", "webhooks/{webhook}"),
    ("users/:id", "users/{member}"),
    ("users/batch/:id", "users/batch/{new batch}?action=suspend"),
    ("groups/:id", "groups/{team}"),
    ("groups/:id/analytics", "groups/{team}/analytics"),
    ("authorization/draft/:id", "authorization/draft/{new draft}"),
    ("models/import/:id", "models/import/{new list}"),
    ("models/:id", "models/{model}"),
    ("providers/:id", "providers/{provider}"),
    ("providers/:id/offers", "providers/{provider}/offers"),
    ("applications/:id", "applications/{app}"),
    ("calls/:id", "calls/{call}"),
    ("receipts/:id", "receipts/{receipt}"),
    ("rehearsals/:id", "rehearsals/{new rehearsal}"),
    ("invoices/:id", "invoices/{invoice}"),
    ("requests/:id", "requests/{request}"),
    ("reviews/:id", "reviews/{review}"),
    ("spend/:of", "spend/{team}"),
    ("authorization/rule", "authorization/rule?of={team}~all"),
    ("sessions/one", "sessions/one?application={app}&label=x"),
];

/// The rest of the addresses that have a part of their own, and name nothing of an organization.
const NO_PAGE: [&str; 4] =
    ["/welcome/:step", "/join/:org/:user/:token", "/password/:token", "reports/:month"];

#[test]
fn no_page_of_one_thing_is_missing_from_the_table() {
    let source = include_str!("../../../app/src/app.rs");
    let written: Vec<&str> = source
        .split("path=path!(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|path| path.contains(':'))
        .collect();
    assert!(written.len() > 15, "the site map was read: {written:?}");
    let known: Vec<&str> = PAGES.iter().map(|(route, _)| *route).chain(NO_PAGE).collect();
    let missing: Vec<_> = written.into_iter().filter(|path| !known.contains(path)).collect();
    assert!(missing.is_empty(), "say with what {missing:?} is tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_one_thing_does_not_exist_in_another_organization() {
    let mut world = World::new().await;
    let stranger = world.people.last().expect("somebody").clone();
    let mut wrong = Vec::new();
    for (route, template) in PAGES {
        assert!(!parts(template).is_empty());
        let path = format!("/{}", world.fill(template).await);
        let (own, theirs) = (world.owner.get(&path).await, stranger.get(&path).await);
        if theirs.status != 404 {
            wrong.push(format!("{route}: {}", theirs.status));
        }
        if own.status != 200 && route != "sessions/one" {
            wrong.push(format!("{route} of its own: {}", own.status));
        }
        for name in names_in(&theirs.text, &["Research", "Mia", "Leo", "app-", "tier-"]) {
            wrong.push(format!("{route} names {name}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
