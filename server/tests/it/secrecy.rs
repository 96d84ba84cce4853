//! Whatever happens to a call, no secret is in the log, the database, the spool, an answer or a page.

use std::{fs, path::Path, process::Command};

use bench::upstream::{Script, Upstream};
use http::{Method, StatusCode};
use postgres::Programs;

use crate::{
    harness::{PASSWORD, Server, TempDir, set_up},
    load,
};

/// Every file below a folder, with its name.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("a kind"));
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push((path.display().to_string(), fs::read(&path).expect("a file")));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_in_no_log_no_table_no_file_and_no_answer() {
    let folder = TempDir::new();
    let log = folder.path().join("log");
    let upstream = Upstream::start().await.expect("an upstream");
    let mut server = Server::heard_in(&log).await;
    let owner = set_up(&server, "Acme").await;
    let secret = load::secret(&owner, &upstream.base_url()).await;
    let unknown = store::testing::unknown_secret().reveal().to_owned();
    let token = server.token.clone().expect("a token");
    let planted = [&secret, &unknown, "sk-upstream", PASSWORD, &token];

    let mut answers = Vec::new();
    let call = async |secret: &str, body: &str| {
        let bearer = format!("Bearer {secret}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("x-api-key", &unknown),
            ("content-type", "application/json"),
        ];
        let answer = owner.send(Method::POST, "/v1/chat/completions", &headers, body.to_owned()).await;
        (answer.status, format!("{:?} {}", answer.headers, answer.text))
    };
    let body = |stream: bool| {
        let messages = r#"[{"role":"user","content":"Hi"}]"#;
        format!(r#"{{"model":"small","max_tokens":20,"stream":{stream},"messages":{messages}}}"#)
    };
    answers.push(call(&secret, &body(false)).await);
    answers.push(call(&secret, &body(true)).await);
    answers.push(call(&unknown, &body(false)).await);
    answers.push(call(&secret, &format!(r#"{{"model":"{secret}"}}"#)).await);
    answers.push(call(&secret, &format!("{{{secret}")).await);
    upstream.script("small", Script::error(401));
    answers.push(call(&secret, &body(false)).await);
    upstream.script("small", Script::error(500));
    answers.push(call(&secret, &body(true)).await);
    upstream.stop().await;
    answers.push(call(&secret, &body(false)).await);
    let none = [("scope", "organization"), ("metric", "spend"), ("window", "month"), ("cap", "0")];
    owner.must("/console/limits/set", &none).await;
    answers.push(call(&secret, &body(false)).await);
    let statuses: Vec<u16> = answers.iter().map(|(status, _)| status.as_u16()).collect();
    assert_eq!(statuses, [200, 200, 401, 404, 400, 502, 500, 502, 402]);
    for path in ["/", "/applications", "/providers", "/models", "/calls", "/audit"] {
        let page = owner.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        answers.push((page.status, page.text));
    }
    load::until_booked(&server.database, 4).await;
    assert!(server.stop().success());

    let mut places = files(server.data());
    places.retain(|(name, _)| !name.ends_with("master.key"));
    assert!(places.iter().any(|(name, _)| name.contains("spool")), "there is a spool");
    places.push(("the log".to_owned(), fs::read(&log).expect("a log")));
    let dump = Programs::find().expect("Postgres is installed").folder().join("pg_dump");
    let dump = Command::new(dump).arg(&server.database).output().expect("pg_dump runs");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    places.push(("the database".to_owned(), dump.stdout));
    for (name, text) in &places {
        if name.starts_with("the ") {
            assert!(text.len() > 10_000, "{name} says something");
        }
    }
    let said = answers.into_iter().enumerate();
    places
        .extend(said.map(|(place, (status, text))| (format!("answer {place}, {status}"), text.into_bytes())));
    for (name, text) in &places {
        for one in planted {
            // What a caller has written into its body as a name may be said to it again.
            if one == secret && name.starts_with("answer 3") {
                continue;
            }
            let at = text.windows(one.len()).position(|part| part == one.as_bytes());
            let around = at.map(|at| String::from_utf8_lossy(&text[at.saturating_sub(200)..at]).into_owned());
            assert_eq!(around, None, "{name} has {one} in it");
        }
    }
}
