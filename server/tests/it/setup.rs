//! First steps and signing in.

use crate::harness::{PASSWORD, Server, set_up};

#[tokio::test]
async fn of_two_that_set_up_at_once_exactly_one_becomes_the_owner() {
    let server = Server::start().await;
    let token = server.token.clone().expect("a first start");
    let attempt = |name: &'static str| {
        let (browser, token) = (server.browser(), token.clone());
        async move {
            let email = format!("{name}@acme.example");
            let fields = [
                ("token", token.as_str()),
                ("name", name),
                ("email", &email),
                ("password", PASSWORD),
                ("again", PASSWORD),
            ];
            browser.post("/console/setup/owner", &fields).await.status.as_u16()
        }
    };
    let (one, other) = tokio::join!(attempt("one"), attempt("other"));
    let mut statuses = [one, other];
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert!(matches!(statuses[1], 404 | 422), "{statuses:?}");
    let page = server.browser().get("/setup").await;
    assert_eq!(page.status, 404, "afterwards the page is gone");
    let again = Server::on(server.database.clone());
    assert_eq!(again.token, None, "and stays gone after a restart");
    assert_eq!(again.browser().get("/setup").await.status, 404);
}

#[tokio::test]
async fn a_wrong_token_sets_nothing_up() {
    let server = Server::start().await;
    assert_eq!(server.browser().get("/setup?token=guess").await.status, 403);
    let fields = [
        ("token", "guess"),
        ("name", "Eve"),
        ("email", "eve@acme.example"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    assert_eq!(server.browser().post("/console/setup/owner", &fields).await.status, 422);
}

#[tokio::test]
async fn signing_in_and_out_and_changing_the_password() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let elsewhere = server.browser();
    let wrong = elsewhere
        .post("/console/accounts/sign-in", &[("email", "olga@acme.example"), ("password", "not this one")])
        .await;
    assert_eq!(wrong.status, 422);
    elsewhere
        .must("/console/accounts/sign-in", &[("email", "OLGA@acme.example"), ("password", PASSWORD)])
        .await;
    assert_eq!(elsewhere.get("/users").await.status, 200);

    let new = "another calm ledger";
    let fields = [("current", PASSWORD), ("password", new), ("again", new)];
    owner.must("/console/accounts/password", &fields).await;
    assert_eq!(owner.get("/users").await.status, 200, "this session stays");
    assert_eq!(elsewhere.get("/users").await.status, 302, "every other one ends");
    let old = elsewhere
        .post("/console/accounts/sign-in", &[("email", "olga@acme.example"), ("password", PASSWORD)])
        .await;
    assert_eq!(old.status, 422);

    owner.must("/console/accounts/sign-out", &[]).await;
    let page = owner.get("/users").await;
    assert_eq!(
        (page.status.as_u16(), page.headers["location"].to_str().unwrap()),
        (302, "/sign-in?next=%2Fusers")
    );
}

#[tokio::test]
async fn a_session_id_from_before_signing_in_is_worth_nothing_afterwards() {
    let server = Server::start().await;
    set_up(&server, "Acme").await;
    let browser = server.browser();
    browser
        .must("/console/accounts/sign-in", &[("email", "olga@acme.example"), ("password", PASSWORD)])
        .await;
    let first = browser.cookie("bursar").expect("a session");
    browser
        .must("/console/accounts/sign-in", &[("email", "olga@acme.example"), ("password", PASSWORD)])
        .await;
    let second = browser.cookie("bursar").expect("a session");
    assert_ne!(first, second);
    browser.set_cookie("bursar", &first);
    assert_eq!(browser.get("/users").await.status, 302);
}

#[tokio::test]
async fn guessing_a_password_is_slowed_down() {
    let server = Server::start().await;
    set_up(&server, "Acme").await;
    let guess = |number: usize| {
        let browser = server.browser();
        async move {
            let password = format!("guess number {number}");
            browser
                .post("/console/accounts/sign-in", &[("email", "olga@acme.example"), ("password", &password)])
                .await
                .text
        }
    };
    let mut answers = Vec::new();
    for number in 0..12 {
        answers.push(guess(number).await);
    }
    assert!(answers[0].contains("do not belong together"), "{}", answers[0]);
    assert!(answers[11].contains("Too many tries"), "{}", answers[11]);
}

#[tokio::test]
async fn a_change_from_another_site_is_refused() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let body = "name=Evil&kind=custom".to_owned();
    let form = ("content-type", "application/x-www-form-urlencoded");
    for origin in
        [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("x-nothing", "said")]
    {
        let answer =
            owner.send(http::Method::POST, "/console/groups/create", &[form, origin], body.clone()).await;
        assert_eq!(answer.status, 403, "{origin:?}");
    }
    let answer = owner
        .send(http::Method::GET, "/console/groups/create?name=Evil&kind=custom", &[], String::new())
        .await;
    assert_eq!(answer.status, 303, "a change is never a GET");
    assert!(!owner.get("/groups").await.text.contains("Evil"));
}

#[tokio::test]
async fn a_form_without_script_keeps_what_was_typed_and_gives_no_password_back() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let fields = [("name", "Mia <b>&\"quoted\""), ("email", "not an address"), ("role", "auditor")];
    let headers = [
        ("accept", "text/html"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
        ("referer", "http://console.example/users?dialog=invite"),
    ];
    let body = serde_urlencoded::to_string(fields).unwrap();
    let page = owner.send(http::Method::POST, "/console/users/create", &headers, body).await;
    assert_eq!(page.status, 422);
    assert!(
        page.text.contains("value=\"Mia &lt;b&gt;&amp;&quot;quoted&quot;\""),
        "typed text is back, escaped"
    );
    assert!(page.text.contains("value=\"not an address\""));
    assert!(page.text.contains("Enter an email address like"), "with the sentence at its field");
    assert!(page.text.contains("<option value=\"auditor\" selected"), "choices too");
    assert!(
        page.text.contains("history.replaceState(null,\"\",\"/users?dialog=invite\")"),
        "the address bar says the page"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_was_used_says_so_to_whoever_has_it_and_to_nobody_else() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let fields = [("name", "Mia"), ("email", "mia@acme.example"), ("role", "member")];
    let done = owner.must("/console/users/create", &fields).await;
    let link = done["once"]["Link"]["url"].as_str().expect("a link").to_owned();
    let path = link[link.find("/join/").expect("its path")..].to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    let [.., org, user, token] = parts.as_slice() else { panic!("{path}") };
    let fields = [("org", *org), ("user", *user), ("token", *token), ("name", "Mia"), ("password", PASSWORD)];
    let somebody = server.browser();
    assert_eq!(somebody.get(&path).await.status, 200);
    somebody.must("/console/join/accept", &fields).await;

    let again = server.browser().get(&path).await;
    assert_eq!(again.status, 410, "{}", again.text);
    assert!(
        again.text.contains("This invitation was used") && again.text.contains("/sign-in"),
        "{}",
        again.text
    );
    let late = server.browser().post("/console/join/accept", &fields).await;
    assert_eq!(late.status, 422, "{}", late.text);
    assert!(late.text.contains("was used or has expired"), "{}", late.text);

    // Nobody learns who was invited, or where there is anything.
    let wrong = "x".repeat(token.len());
    let pages = [
        format!("/join/{org}/{user}/{wrong}"),
        format!("/join/{org}/{org}/{token}"),
        format!("/join/{user}/{user}/{token}"),
        "/join/x/y/z".to_owned(),
    ];
    for page in pages {
        let answer = server.browser().get(&page).await;
        assert_eq!(answer.status, 404, "{page}");
        assert!(answer.text.contains("This link does not work"), "{page}: {}", answer.text);
        assert!(!answer.text.contains("Mia") && !answer.text.contains("Acme"), "{page}: {}", answer.text);
    }
}
