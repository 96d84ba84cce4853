//! Whoever sends a form is who acts, whatever else the same threads do for others meanwhile.

use futures_util::future::join_all;
use http::{Method, StatusCode};

use crate::harness::{Server, join, set_up};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_is_of_whoever_sent_it_however_many_pages_are_drawn_for_others() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let (_, member) = join(&server, &owner, "Sam", "member").await;
    let nobody = server.browser();
    let pages = join_all((0..12).map(async |place| {
        let (who, path) = [(&member, "/my-models"), (&nobody, "/sign-in"), (&owner, "/groups")][place % 3];
        loop {
            assert_eq!(who.get(path).await.status, StatusCode::OK, "{path}");
        }
    }));
    let forms = async {
        for round in 0..40 {
            let name = format!("Group {round}");
            let fields = [("name", name.as_str()), ("kind", "custom"), ("parent", "")];
            let made = owner.post("/console/groups/create", &fields).await;
            assert_eq!(made.status, StatusCode::OK, "the owner in round {round}: {}", made.text);
            let refused = member.post("/console/groups/create", &fields).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "a member in round {round}: {}", refused.text);
            let unknown = nobody.post("/console/groups/create", &fields).await;
            assert_eq!(unknown.status, StatusCode::UNAUTHORIZED, "nobody in round {round}: {}", unknown.text);
        }
    };
    tokio::select! {
        () = forms => {}
        _ = pages => unreachable!("pages are drawn until the forms are through"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_made_in_one_organization_is_not_sent_to_the_one_another_tab_has_gone_on_to() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let org_of = async || {
        let page = owner.get("/groups").await.text;
        page.split_once("data-org=\"").expect("an organization").1[..30].to_owned()
    };
    let acme = org_of().await;
    let second = [("name", "Umbrella"), ("time_zone", "UTC"), ("default_user_limit", "50.00")];
    owner.must("/console/setup/organization", &second).await;
    let umbrella = org_of().await;
    assert_ne!(acme, umbrella, "who makes an organization goes on to it");
    let fields = [("name", "Secret plans"), ("kind", "custom"), ("parent", "")];
    let body = serde_urlencoded::to_string(fields).expect("fields");
    let scripted = [
        ("accept", "application/json"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
    ];
    let headers = [scripted.as_slice(), &[("x-bursar-org", acme.as_str())]].concat();
    let answer = owner.send(Method::POST, "/console/groups/create", &headers, body.clone()).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text.contains("This was made in Acme"), "{}", answer.text);
    let plain = [fields.as_slice(), &[("_org", acme.as_str())]].concat();
    let answer = owner.submit("/groups?dialog=new", "/console/groups/create", &plain).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text.contains("gone on to Umbrella"), "{}", answer.text);
    assert!(!answer.text.contains("Secret plans"), "nor does it stand in a form of the other");
    assert!(!owner.get("/groups").await.text.contains("Secret plans"));

    let headers = [scripted.as_slice(), &[("x-bursar-org", umbrella.as_str())]].concat();
    let answer = owner.send(Method::POST, "/console/groups/create", &headers, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let plain = [("name", "Open plans"), ("kind", "custom"), ("parent", ""), ("_org", umbrella.as_str())];
    assert_eq!(
        owner.submit("/groups?dialog=new", "/console/groups/create", &plain).await.status,
        StatusCode::SEE_OTHER
    );
}
