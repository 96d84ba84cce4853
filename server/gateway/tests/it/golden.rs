//! Answers against files that people can read. `BURSAR_RENEW_GOLDEN=1` writes them anew; what
//! changed is then for a person to look at.

use std::{fmt::Write as _, fs, path::PathBuf, time::Duration};

use domain::{providers::Dialect, refusals::Told};
use serde_json::Value;

use crate::{
    client::{Answer, DIALECTS, route},
    world::{World, named},
};

/// What differs from run to run, and what is written in its place.
pub type Names<'a> = &'a [(&'a str, String)];

/// Makes a refused call in both dialects, and compares both answers with the file of this name.
pub async fn refused(name: &str, world: &World, model: &str, names: Names<'_>) {
    let mut answers = Vec::new();
    for dialect in DIALECTS {
        let body = crate::client::body(&named(model, dialect), 16);
        answers.push((dialect, world.client.call(dialect, &body).await));
    }
    compare(name, world, &answers, names);
    written_down(world, answers.iter().map(|(_, answer)| answer)).await;
}

/// What the request id of an answer says of it by itself: of every refusal, whatever it is about.
pub fn told_by(world: &World, answer: &Answer) -> Told {
    let id = answer.header("x-request-id").and_then(|id| id.parse().ok()).expect("an id");
    let (told, at) = store::refusals::told(&world.store, id).unwrap_or_else(|| panic!("{}", answer.text()));
    assert!((store::clock::now() - at).num_minutes() == 0, "when it was");
    told
}

/// Waits until every refusal of a known caller is kept under the request id that its caller was told, as
/// it was answered: by that id its page of reasons is found. Of who nobody knows nothing is kept, and
/// while the database is away nothing can be yet: their ids say why.
pub async fn written_down(world: &World, answers: impl IntoIterator<Item = &Answer>) {
    for answer in answers {
        let told = &answer.json()["error"]["bursar"];
        let reason = told["reason"].as_str().expect("a refusal says why").to_owned();
        let id = answer.header("x-request-id").and_then(|id| id.parse().ok()).expect("an id");
        if reason.starts_with("upstream_") && store::refusals::told(&world.store, id).is_none() {
            // What may have been executed is in the books.
            while store::calls::get(&world.store, world.tenant.org, id).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            continue;
        }
        told_by(world, answer);
        if ["invalid_api_key", "unavailable"].contains(&reason.as_str()) {
            continue;
        }
        let written = async {
            loop {
                match store::refusals::get(&world.store, world.tenant.org, id).await {
                    Ok(refused) => return refused,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let refused = tokio::time::timeout(Duration::from_secs(60), written).await;
        let refused = refused.unwrap_or_else(|_| panic!("nothing is kept of {}", answer.text()));
        assert_eq!(refused.status, i16::try_from(answer.status.as_u16()).expect("a status"), "{reason}");
        assert_eq!((refused.application, refused.observed), (world.application, false), "{reason}");
        for name in ["reason", "scope", "scope_id", "metric", "window", "cap", "request_id"] {
            assert_eq!(refused.detail[name], told[name], "{reason}: {name}");
        }
    }
}

/// Compares answers with the file of this name.
pub fn compare(name: &str, world: &World, answers: &[(Dialect, Answer)], names: Names<'_>) {
    let answers: Vec<_> = answers.iter().map(|(dialect, answer)| (route(*dialect), answer)).collect();
    compare_routes(name, world, &answers, names);
}

/// The same for answers of any routes.
pub fn compare_routes(name: &str, world: &World, answers: &[(&str, &Answer)], names: Names<'_>) {
    let mut text = String::new();
    for (route, answer) in answers {
        let _ = write!(text, "POST {route}\n\n{}\n", written(world, answer, names));
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(format!("{name}.txt"));
    if std::env::var_os("BURSAR_RENEW_GOLDEN").is_some() {
        fs::write(&path, &text).expect("the file can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{}", path.display());
}

/// Status, headers in order, body; with names for what differs from run to run.
fn written(world: &World, answer: &Answer, names: Names<'_>) -> String {
    let mut text = format!("{}\n", answer.status);
    let mut headers: Vec<(&str, &str)> = answer
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "content-length"))
        .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
        .collect();
    headers.sort_unstable();
    for (name, value) in headers {
        // Another one each second.
        let value = if name.starts_with("x-ratelimit-reset-") { "{duration}" } else { value };
        let _ = writeln!(text, "{name}: {value}");
    }
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let _ = writeln!(text, "\n{body:#}");
    let request_id = answer.header("x-request-id").expect("every answer has an id").to_owned();
    let known = [
        ("{request id}", request_id),
        ("{Acme}", world.tenant.org.to_string()),
        ("{Engineering}", world.engineering.to_string()),
        ("{Platform}", world.platform.to_string()),
        ("{Assistant}", world.application.to_string()),
    ];
    for (name, value) in known.iter().chain(names) {
        text = text.replace(value.as_str(), name);
    }
    text
}
