//! What an open page hears of a finished call, and what it shows then.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::json;

use crate::{demo::Demo, harness::Browser};

/// Every page that shows a call or what it comes to, each of them open: once a call is over it is told, and
/// the page that is drawn anew has it. Two seconds are what is promised, and what the lists and the spend page
/// are held to; the others are told by the same stream, and only have to show it. Calls in flight lose it
/// then; that is a test of their own.
pub async fn a_finished_call_is_told_within_two_seconds(demo: &Demo, owner: &Browser) {
    let asked =
        json!({ "model": "gpt-4.1-mini", "messages": [{ "role": "user", "content": "who shows me?" }] });
    let first = call(demo, &asked).await;
    let told = shown(owner, &format!("/calls/{first}"), &first).await;
    let (_, told) = told.split_once("<main").expect("what the page is about");
    let id_of = |kind: &str| {
        let (_, rest) =
            told.split_once(&format!("{kind}_")).unwrap_or_else(|| panic!("a {kind} of the call"));
        format!("{kind}_{}", &rest[..26])
    };
    let (app, key, group, model) = (id_of("app"), id_of("key"), id_of("grp"), id_of("mdl"));
    let page = owner.get(&format!("/applications/{app}")).await.text;
    assert!(page.contains(&group), "the application is of the group");
    // A count of calls moves by one; money is rounded where a page shows much of it.
    for scope in [format!("application:{app}"), format!("group:{group}")] {
        let cap = [("cap", "100000"), ("mode", "enforce"), ("thresholds", "")];
        let limit = [("scope", scope.as_str()), ("metric", "requests"), ("window", "month")];
        owner.must("/console/limits/set", &[limit, cap].concat()).await;
    }
    let (promised, patient) = (Duration::from_secs(2), Duration::from_secs(30));
    // The call itself, in a list of the last ones.
    for (path, within) in [
        ("/spend".to_owned(), promised),
        ("/calls".to_owned(), promised),
        (format!("/calls?application={app}"), promised),
        (format!("/applications/{app}"), promised),
        (format!("/spend/{app}"), patient),
        (format!("/spend/{group}"), patient),
        (format!("/spend?key={key}"), patient),
        (format!("/spend?model={model}"), patient),
    ] {
        let (id, page) = after_a_call(demo, owner, &path, &asked, within).await;
        assert!(page.contains(&id), "{path} shows {id}");
    }
    // What it comes to, exactly as charts, tables and meters have it for whoever does not see them.
    for path in [
        "/".to_owned(),
        format!("/groups/{group}"),
        format!("/groups/{group}/analytics"),
        "/explore?measure=calls".to_owned(),
        format!("/explore?by=model&application={app}"),
        "/limits?kind=application".to_owned(),
    ] {
        let before = exact(&owner.get(&path).await.text);
        let (_, page) = after_a_call(demo, owner, &path, &asked, patient).await;
        assert!(!before.is_empty(), "{path} has figures");
        assert_ne!(exact(&page), before, "{path} counts the call");
    }
}

/// The figures of a page that are not rounded, and what its meters say.
fn exact(page: &str) -> Vec<String> {
    ["data value=\"", "data-amount=\"", "aria-valuetext=\"", "class=\"settled\" width=\""]
        .iter()
        .flat_map(|start| page.split(start).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
}

/// Listens as an open page does, calls, and asks for the page once the call has been told: the call's id, and
/// the page.
async fn after_a_call(
    demo: &Demo,
    owner: &Browser,
    path: &str,
    asked: &serde_json::Value,
    within: Duration,
) -> (String, String) {
    let since = store::clock::now().timestamp_millis();
    let mut live = owner.listen(&format!("/live?since={since}")).await;
    let id = call(demo, asked).await;
    let heard = async {
        while let Some(Ok(frame)) = live.frame().await {
            let text = frame.into_data().map(|data| String::from_utf8_lossy(&data).into_owned());
            if text.is_ok_and(|text| text.contains("event: ledger")) {
                return owner.get(path).await.text;
            }
        }
        panic!("{path}: the stream ends");
    };
    (id, tokio::time::timeout(within, heard).await.expect("told, and drawn, in time"))
}

/// The id of a call that has been answered.
async fn call(demo: &Demo, asked: &serde_json::Value) -> String {
    let answer = demo.post("/v1/chat/completions", asked).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.headers["x-request-id"].to_str().expect("an id").to_owned()
}

/// The page of a call, as soon as it is in the books.
async fn shown(owner: &Browser, path: &str, id: &str) -> String {
    let mut live = owner.listen("/live?since=0").await;
    loop {
        let page = owner.get(path).await;
        if page.status == 200 && page.text.contains(id) {
            return page.text;
        }
        live.frame().await.expect("the stream goes on").expect("a piece");
    }
}
