//! Starting, stopping, and what stands in the way.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

use crate::harness::{Server, TempDir, command, set_up};

/// Processes that were started for this folder.
fn processes_in(folder: &Path) -> Vec<String> {
    let listed = Command::new("ps").args(["-eo", "args"]).output().expect("ps runs");
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let folder = folder.to_string_lossy().into_owned();
    text.lines().filter(|line| line.contains(&folder)).map(str::to_owned).collect()
}

#[tokio::test]
async fn asked_to_stop_it_ends_with_success() {
    let server = Server::start().await;
    assert!(server.terminate().success());
}

#[test]
fn both_signals_leave_nothing_behind_of_the_private_postgres() {
    for signal in ["TERM", "INT"] {
        let data = TempDir::new();
        let mut child = command("", data.path())
            .env_remove("DATABASE_URL")
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn()
            .expect("bursar starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("one line");
        assert!(line.contains("/setup?token="), "{line}");
        assert!(!processes_in(data.path()).is_empty(), "it runs a Postgres of its own");
        let told = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(told.expect("kill runs").success());
        assert!(child.wait().expect("it ends").success(), "after SIG{signal}");
        assert_eq!(processes_in(data.path()), Vec::<String>::new(), "after SIG{signal}");
    }
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_way_out() {
    let server = Server::start().await;
    let address = server.base.trim_start_matches("http://").to_owned();
    let data = TempDir::new();
    let second = command(&server.database, data.path()).env("BURSAR_ADDR", &address).arg("serve").output();
    let second = second.expect("it runs");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success());
    assert!(said.contains(&address) && said.contains("BURSAR_ADDR"), "{said}");
}

#[test]
fn a_data_folder_that_is_a_file_and_a_database_that_is_not_there_are_named() {
    let data = TempDir::new();
    let file = data.path().join("taken");
    std::fs::write(&file, "something else").expect("a file");
    let said = |database: &str, folder: &Path| {
        let done = command(database, folder).arg("serve").output().expect("it runs");
        assert!(!done.status.success());
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    let about_folder = said("postgres://nobody@127.0.0.1:1/none", &file);
    assert!(about_folder.contains(&*file.to_string_lossy()), "{about_folder}");
    let about_database = said("postgres://nobody:sesame@127.0.0.1:1/none", data.path());
    assert!(about_database.contains("database cannot be reached"), "{about_database}");
    assert!(!about_database.contains("sesame"), "a password is not repeated: {about_database}");
}

#[tokio::test]
async fn a_refused_form_without_script_keeps_what_was_typed() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let name = "Plattform & Söhne \u{202e}gnirts";
    let refused = owner
        .submit(
            "/groups?dialog=new",
            "/console/groups/create",
            &[("name", name), ("kind", "no such kind"), ("parent", "")],
        )
        .await;
    assert!(refused.text.contains("Plattform &amp; Söhne"), "the name is still in its field");
}

#[tokio::test]
async fn a_form_with_a_field_that_is_missing_or_no_number_is_the_senders_mistake() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    for fields in [[("name", "Team"), ("kend", "project")], [("id", "x"), ("version", "many")]] {
        for path in ["/console/groups/create", "/console/groups/edit"] {
            let refused = owner.post(path, &fields).await;
            assert_eq!(refused.status, 422, "{path}: {}", refused.text);
            assert!(refused.text.contains("Invalid"), "{}", refused.text);
        }
    }
}

#[tokio::test]
async fn pages_are_compressed_for_browsers_that_can_read_it_and_for_nobody_else() {
    let server = Server::start().await;
    set_up(&server, "Acme").await;
    let plain = raw(&server.base, "GET", "/sign-in", "");
    assert!(!head(&plain).contains("content-encoding"), "{}", head(&plain));
    for coding in ["br", "gzip"] {
        let squeezed = raw(&server.base, "GET", "/sign-in", &format!("accept-encoding: {coding}\r\n"));
        assert!(head(&squeezed).contains(&format!("content-encoding: {coding}")), "{}", head(&squeezed));
        assert!(head(&squeezed).contains("vary: accept-encoding"), "{}", head(&squeezed));
        assert!(squeezed.len() < plain.len() * 2 / 3, "{} of {} bytes", squeezed.len(), plain.len());
    }
}

#[tokio::test]
async fn a_body_of_forty_megabytes_is_refused_before_it_is_read_and_says_how_much_may_be_sent() {
    let server = Server::start().await;
    for (path, most) in [("/console/accounts/sign-in", "1024 kB"), ("/console/imports/check", "kB")] {
        // Only the head: who waits for the rest would wait for ever.
        let answer = head_only(&server.base, path, 40 << 20);
        assert!(answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
        assert!(answer.contains("too large: at most") && answer.contains(most), "{answer}");
    }
    let answer =
        server.browser().post("/console/accounts/sign-in", &[("email", "a"), ("password", "b")]).await;
    assert_eq!(answer.status, 422, "what is small enough is read: {}", answer.text);
}

/// What is answered to the head of a request that promises so many bytes.
fn head_only(base: &str, path: &str, length: usize) -> String {
    let fields = format!("content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n");
    String::from_utf8(raw(base, "POST", path, &fields)).expect("text")
}

/// The bytes that are answered to the head of a request with these further fields.
fn raw(base: &str, method: &str, path: &str, fields: &str) -> Vec<u8> {
    let host = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).expect("a connection");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nsec-fetch-site: same-origin\r\nconnection: close\r\n{fields}\r\n"
    );
    stream.write_all(head.as_bytes()).expect("it takes the head");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    answer
}

/// Everything before the body.
fn head(answer: &[u8]) -> String {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
    String::from_utf8_lossy(&answer[..end]).into_owned()
}
