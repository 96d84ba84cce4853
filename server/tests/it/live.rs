//! What an open page hears of a finished call, and what it shows then.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::json;

use crate::{demo::Demo, harness::Browser};

/// Pages that show calls or what they come to, each of them open: two seconds after a call is over at most,
/// it is told, and the page that is drawn anew has it. Two seconds are what is promised.
pub async fn a_finished_call_is_told_within_two_seconds(demo: &Demo, owner: &Browser) {
    let asked =
        json!({ "model": "gpt-4.1-mini", "messages": [{ "role": "user", "content": "who shows me?" }] });
    let app = {
        let id = call(demo, &asked).await;
        let page = shown(owner, &format!("/calls/{id}"), &id).await;
        let (_, rest) = page.split_once("/applications/app_").expect("its application");
        format!("app_{}", &rest[..26])
    };
    for path in [
        "/spend".to_owned(),
        "/calls".to_owned(),
        format!("/calls?application={app}"),
        format!("/applications/{app}"),
    ] {
        let since = store::clock::now().timestamp_millis();
        let mut live = owner.listen(&format!("/live?since={since}")).await;
        let id = call(demo, &asked).await;
        let heard = async {
            while let Some(Ok(frame)) = live.frame().await {
                let text = frame.into_data().map(|data| String::from_utf8_lossy(&data).into_owned());
                if text.is_ok_and(|text| text.contains("event: ledger")) {
                    return owner.get(&path).await.text;
                }
            }
            panic!("{path}: the stream ends");
        };
        let page = tokio::time::timeout(Duration::from_secs(2), heard).await.expect("two seconds");
        assert!(page.contains(&id), "{path} shows {id}");
    }
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
