//! The real binary on a real Postgres, and somebody with a browser in front of it.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use parking_lot::Mutex;
use serde_json::Value;
use store::testing::empty_database;

/// A running `bursar serve`; killed when dropped.
pub struct Server {
    pub base: String,
    /// The one-time token of its first start.
    pub token: Option<String>,
    pub database: String,
    data: Arc<TempDir>,
    settings: Vec<(&'static str, String)>,
    child: Child,
}

impl Server {
    /// On a database of its own.
    pub async fn start() -> Self {
        Self::on(empty_database().await)
    }

    /// On this database.
    pub fn on(database: String) -> Self {
        Self::with(database, TempDir::new())
    }

    /// On this database, with this data folder: empty for a private Postgres in the folder.
    pub fn with(database: String, data: TempDir) -> Self {
        Self::in_folder(database, Arc::new(data), Vec::new())
    }

    /// On a database of its own, with these variables in its environment.
    pub async fn with_settings(settings: Vec<(&'static str, String)>) -> Self {
        Self::in_folder(empty_database().await, Arc::new(TempDir::new()), settings)
    }

    /// On a database of its own, with everything it has to say written into a file.
    pub async fn heard_in(log: &Path) -> Self {
        let said = std::fs::File::create(log).expect("a file");
        let data = Arc::new(TempDir::new());
        Self::saying_to(said.into(), empty_database().await, data, vec![("BURSAR_LOG", "trace".to_owned())])
    }

    /// The power is cut; then it starts again, where it was.
    pub fn crash_and_restart(self) -> Self {
        let (database, data) = (self.database.clone(), Arc::clone(&self.data));
        let settings = self.settings.clone();
        drop(self);
        Self::in_folder(database, data, settings)
    }

    fn in_folder(database: String, data: Arc<TempDir>, settings: Vec<(&'static str, String)>) -> Self {
        Self::saying_to(Stdio::inherit(), database, data, settings)
    }

    fn saying_to(
        log: Stdio,
        database: String,
        data: Arc<TempDir>,
        settings: Vec<(&'static str, String)>,
    ) -> Self {
        let mut child = command(&database, data.path())
            .arg("serve")
            .envs(settings.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("bursar starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("one line");
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect(&line).to_owned();
        let (base, token) = match url.split_once("/setup?token=") {
            Some((base, token)) => (base.to_owned(), Some(token.to_owned())),
            None => (url, None),
        };
        Self { base, token, database, data, settings, child }
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Asks it to stop, and waits.
    pub fn terminate(mut self) -> std::process::ExitStatus {
        self.stop()
    }

    /// The same, with what it has left still there.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        self.child.wait().expect("it ends")
    }

    /// `bursar verify` on what it has left finds nothing.
    pub fn verify(&self) {
        let output = self.program(&["verify"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Another program of the binary, on what it serves.
    pub fn program(&self, arguments: &[&str]) -> std::process::Output {
        command(&self.database, self.data.path()).args(arguments).output().expect("it runs")
    }

    /// Its resident memory, in bytes: what it has allocated, not how much of its program it has run through.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a figure");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").trim().parse().expect("a number");
        kilobytes * 1024
    }

    pub fn browser(&self) -> Browser {
        Browser::new(&self.base)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary with an environment of its own. Without a database it runs a private one.
pub fn command(database: &str, data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bursar"));
    match database {
        "" => command.env_remove("DATABASE_URL"),
        url => command.env("DATABASE_URL", url),
    };
    command
        .env("BURSAR_DATA_DIR", data)
        .env("BURSAR_ADDR", "127.0.0.1:0")
        .env_remove("BURSAR_PUBLIC_URL")
        .env_remove("BURSAR_SMTP_URL")
        .env_remove("BURSAR_MAIL_FROM")
        .env_remove("BURSAR_MASTER_KEY_FILE");
    command
}

/// A folder that goes away with its owner.
pub struct TempDir(std::path::PathBuf, bool);

impl TempDir {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("bursar-test-{:016x}", rand::random::<u64>()));
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path, true)
    }

    /// A folder that somebody else owns.
    pub fn borrowed(path: &Path) -> Self {
        Self(path.to_owned(), false)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if self.1 {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

/// Somebody with a browser: keeps cookies, says where a change comes from.
#[derive(Clone)]
pub struct Browser {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
    cookies: std::sync::Arc<Mutex<HashMap<String, String>>>,
}

impl Browser {
    pub fn new(base: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self { base: base.to_owned(), client, cookies: std::sync::Arc::default() }
    }

    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().get(name).cloned()
    }

    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().insert(name.to_owned(), value.to_owned());
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[("accept", "text/html")], String::new()).await
    }

    /// What a page's script sends.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.form(&self.base, path, fields, "application/json").await
    }

    /// What a browser without script sends from this page.
    pub async fn submit(&self, page: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.form(&format!("{}{page}", self.base), path, fields, "text/html").await
    }

    async fn form(&self, page: &str, path: &str, fields: &[(&str, &str)], accept: &str) -> Answer {
        let body = serde_urlencoded::to_string(fields).expect("fields");
        let headers = [
            ("accept", accept),
            ("content-type", "application/x-www-form-urlencoded"),
            ("sec-fetch-site", "same-origin"),
            ("referer", page),
        ];
        self.send(Method::POST, path, &headers, body).await
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        self.try_send(method, path, headers, body).await.expect("an answer")
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let cookies = self
            .cookies
            .lock()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ");
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies);
        }
        request.body(Full::new(Bytes::from(body))).expect("a request")
    }

    /// What is said piece by piece for as long as one listens.
    pub async fn listen(&self, path: &str) -> hyper::body::Incoming {
        let request = self.request(Method::GET, path, &[("accept", "text/event-stream")], String::new());
        let response = self.client.request(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.into_body()
    }

    /// How long a file is that comes compressed, by its own last word; it is read to its end.
    pub async fn length_compressed(&self, path: &str) -> usize {
        let request = self.request(Method::GET, path, &[("accept-encoding", "gzip")], String::new());
        let response = self.client.request(request).await.expect("an answer");
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip", "{path}");
        let bytes = response.into_body().collect().await.expect("all of it").to_bytes();
        let last = bytes.last_chunk::<4>().expect("a file");
        u32::from_le_bytes(*last) as usize
    }

    /// None when there is no whole answer.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Option<Answer> {
        let request = self.request(method, path, headers, body);
        let response = tokio::time::timeout(Duration::from_secs(30), self.client.request(request)).await;
        let response = response.expect("an answer in time").ok()?;
        let (head, body) = response.into_parts();
        for value in head.headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let (name, value) =
                value.split(';').next().unwrap_or_default().split_once('=').unwrap_or_default();
            self.cookies.lock().insert(name.to_owned(), value.to_owned());
        }
        let bytes = body.collect().await.ok()?.to_bytes();
        Some(Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    /// Posts, and expects that it worked.
    pub async fn must(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        let answer = self.post(path, fields).await;
        assert!(answer.status.is_success(), "{path} {fields:?}: {} {}", answer.status, answer.text);
        answer.json()
    }

    /// Posts something that leads to the page of a new thing; returns its id.
    pub async fn create(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let done = self.must(path, fields).await;
        let go = done["go"].as_str().unwrap_or_else(|| panic!("{path} leads nowhere: {done}"));
        go.rsplit('/').next().unwrap_or_default().to_owned()
    }
}

/// A password that is long enough.
pub const PASSWORD: &str = "a calm green ledger";

/// Sets an installation up: its first owner, and an organization.
pub async fn set_up(server: &Server, organization: &str) -> Browser {
    let owner = server.browser();
    let token = server.token.clone().expect("a first start");
    owner
        .must(
            "/console/setup/owner",
            &[
                ("token", &token),
                ("name", "Olga"),
                ("email", "olga@acme.example"),
                ("password", PASSWORD),
                ("again", PASSWORD),
            ],
        )
        .await;
    let fields = [("name", organization), ("time_zone", "Europe/Berlin"), ("default_user_limit", "50.00")];
    owner.must("/console/setup/organization", &fields).await;
    owner
}

/// Invites somebody, who accepts: their id, and they with their browser.
pub async fn join(server: &Server, admin: &Browser, name: &str, role: &str) -> (String, Browser) {
    let email = format!("{}@acme.example", name.to_lowercase());
    let done =
        admin.must("/console/users/create", &[("name", name), ("email", &email), ("role", role)]).await;
    let link = done["once"]["Link"]["url"].as_str().expect("a link").to_owned();
    let parts: Vec<&str> = link.split('/').collect();
    let [.., org, user, token] = parts.as_slice() else { panic!("{link}") };
    let somebody = server.browser();
    let fields = [("org", *org), ("user", *user), ("token", *token), ("name", name), ("password", PASSWORD)];
    somebody.must("/console/join/accept", &fields).await;
    ((*user).to_owned(), somebody)
}
