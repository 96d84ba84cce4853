//! Whatever happens around a server under load: it bears it, and the books agree afterwards.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bench::upstream::{Script, Upstream};
use http::StatusCode;
use postgres::{Cluster, Options, Programs};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpSocket, TcpStream},
};

use crate::{
    harness::{Server, TempDir, set_up},
    load::{self, Load, Seen},
};

const CLIENTS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_stop_under_load_it_ends_every_stream_and_books_every_call() {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.script("small", Script { between: Duration::from_millis(30), ..Script::using(10, 15) });
    let mut server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let secret = load::secret(&owner, &upstream.base_url()).await;
    let seen = Arc::new(Seen::default());
    let load = Load::start(CLIENTS, &server.base, &secret, &seen);
    seen.finishes(2 * CLIENTS).await;
    upstream.until(|served| served.at_once > 1).await;
    assert!(server.stop().success(), "it ends with success");
    load.stop().await;
    let (ids, _) = load::booked(&server.database).await;
    assert_eq!(seen.finished.lock().clone(), ids, "what came to its end is in the books, and nothing else");
    assert_eq!(upstream.served().calls, ids.len() as u64, "whatever was asked for came to its end");
    server.verify();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_own_postgres_is_killed_under_load_and_runs_again_by_itself() {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.script("small", Script { between: Duration::from_millis(5), ..Script::using(10, 15) });
    let mut server = Server::with(String::new(), TempDir::new());
    let owner = set_up(&server, "Acme").await;
    let secret = load::secret(&owner, &upstream.base_url()).await;
    let seen = Arc::new(Seen::default());
    let load = Load::start(CLIENTS, &server.base, &secret, &seen);
    for _ in 0..2 {
        seen.finishes(20).await;
        let file = server.data().join("postgres/postmaster.pid");
        let pid =
            std::fs::read_to_string(file).expect("it runs").lines().next().expect("a number").to_owned();
        assert!(Command::new("kill").args(["-9", &pid]).status().expect("kill").success());
        // Nobody starts it again but the server.
        seen.is_unavailable().await;
    }
    seen.finishes(20).await;
    load.stop().await;
    let page = owner.get("/calls").await;
    assert_eq!(page.status, StatusCode::OK, "the console is back, too: {}", page.text);
    assert!(server.stop().success());
    assert!(seen.finished.lock().len() as u64 <= upstream.served().calls);
    server.verify();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_crashes_under_load_and_nobody_has_to_do_anything() {
    // Durable: what was committed has to be there afterwards.
    let data = std::env::temp_dir().join(format!("bursar-faults-{:016x}", rand::random::<u64>()));
    let start = move || {
        let programs = Programs::find().expect("Postgres is installed");
        let options = Options { durable: true, max_connections: 60, die_with_parent: true };
        Cluster::start(&programs, &data, options).expect("Postgres starts")
    };
    let mut cluster = tokio::task::spawn_blocking(start).await.expect("it starts");
    store::ensure_database(&cluster.url("postgres"), "bursar").await.expect("a database");
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.script("small", Script { between: Duration::from_millis(5), ..Script::using(10, 15) });
    let mut server = Server::on(cluster.url("bursar"));
    let owner = set_up(&server, "Acme").await;
    let secret = load::secret(&owner, &upstream.base_url()).await;
    let seen = Arc::new(Seen::default());
    let load = Load::start(CLIENTS, &server.base, &secret, &seen);
    for _ in 0..3 {
        seen.finishes(20).await;
        // As `pg_ctl stop -m immediate`: no connection is told, nothing is written down.
        let pid = cluster.pid().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-QUIT", &pid]).status().expect("kill").success());
        seen.is_unavailable().await;
        let restart = move || {
            cluster.restart_immediate().expect("Postgres starts again");
            cluster
        };
        cluster = tokio::task::spawn_blocking(restart).await.expect("it starts");
    }
    seen.finishes(20).await;
    load.stop().await;
    assert!(server.stop().success());
    let (ids, _) = load::booked(&server.database).await;
    assert_eq!(seen.finished.lock().clone(), ids, "every call is in the books, once");
    assert_eq!(upstream.served().calls, ids.len() as u64);
    server.verify();
    let remove = move || {
        let data = cluster.data_dir().to_owned();
        cluster.stop().expect("Postgres stops");
        std::fs::remove_dir_all(data)
    };
    tokio::task::spawn_blocking(remove).await.expect("it ends").expect("its data is removed");
}

/// Sends a request on a connection of its own, and reads the head of the answer.
async fn connect(address: &str, request: &str) -> (BufReader<TcpStream>, String) {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("it goes out");
    let mut reader = BufReader::with_capacity(512, stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).await.expect("a head") > 0, "{head}");
    }
    (reader, head)
}

/// Lets this process, and those it starts, open as many files as ten thousand connections take.
fn raise_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const NEEDED: u64 = 12_000;
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Only root goes beyond what it was given.
    let maximum = maximum.map(|maximum| maximum.max(NEEDED));
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .expect("12 000 open files may be had: `ulimit -Hn 12000`");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_are_borne() {
    /// What a connection that says nothing may take.
    const EACH: u64 = 40 << 10;
    raise_files();
    let wanted = 10_000;
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.script("small", Script::using(10, 15));
    let mut server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let secret = load::secret(&owner, &upstream.base_url()).await;
    let address = server.base.trim_start_matches("http://").to_owned();
    let before = server.memory();
    let mut idle = Vec::with_capacity(wanted);
    while idle.len() < wanted {
        let batch = (0..100.min(wanted - idle.len())).map(|_| {
            let address = address.clone();
            tokio::spawn(
                async move { connect(&address, "GET /healthz HTTP/1.1\r\nhost: bursar\r\n\r\n").await },
            )
        });
        for one in batch.collect::<Vec<_>>() {
            let (connection, head) = one.await.expect("a connection");
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            idle.push(connection);
        }
    }
    let took = server.memory().saturating_sub(before);
    println!("{wanted} idle connections: {} MB before, {} MB more", before >> 20, took >> 20);
    assert!(took < EACH * wanted as u64, "{took} bytes for {wanted} connections");
    let seen = Arc::new(Seen::default());
    let load = Load::start(2, &server.base, &secret, &seen);
    seen.finishes(20).await;
    load.stop().await;
    drop(idle);
    assert!(server.stop().success());
    load::booked(&server.database).await;
    server.verify();
}

/// A provider that says as much as is taken, until it is told to come to its end.
struct Talkative {
    base_url: String,
    said: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    ended: Arc<AtomicU64>,
}

impl Talkative {
    async fn start() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        // What waits in the kernel is no memory of a process, and takes long to be read.
        socket.set_send_buffer_size(64 << 10).expect("a size");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let listener = socket.listen(128).expect("it listens");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("its address"));
        let (said, ends, ended) = <(Arc<AtomicU64>, Arc<AtomicBool>, Arc<AtomicU64>)>::default();
        let all = (said.clone(), ends.clone(), ended.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (said, ends, ended) = all.clone();
                tokio::spawn(async move {
                    talk(stream, &said, &ends).await.expect("it is listened to");
                    ended.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        Self { base_url, said, ends, ended }
    }

    /// Comes to its end, and waits until everybody who listens has come there too.
    async fn end(&self, listeners: u64) {
        self.ends.store(true, Ordering::Relaxed);
        while self.ended.load(Ordering::Relaxed) < listeners {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How much was taken, once nobody takes any more.
    async fn said(&self) -> u64 {
        let mut last = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let now = self.said.load(Ordering::Relaxed);
            if now == last && now > 0 {
                return now;
            }
            last = now;
        }
    }
}

async fn talk(mut stream: TcpStream, said: &AtomicU64, ends: &AtomicBool) -> std::io::Result<()> {
    let mut asked = Vec::new();
    while !asked.ends_with(b"}") {
        stream.read_buf(&mut asked).await?;
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        .await?;
    // In few events: an answer of more of them than it may have tokens is ended.
    let text = "a".repeat(256 << 10);
    let event = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    while !ends.load(Ordering::Relaxed) {
        stream.write_all(event.as_bytes()).await?;
        said.fetch_add(event.len() as u64, Ordering::Relaxed);
    }
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":15}}"#;
    stream.write_all(format!("data: {usage}\n\ndata: [DONE]\n\n").as_bytes()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_slow_their_provider_down_and_fill_no_memory() {
    const READERS: usize = 12;
    /// What one of them may take: buffers, whatever the provider would say. On a busy machine one to three
    /// megabytes were seen; without a bound it is as much as is said, which never ends.
    const EACH: u64 = 6 << 20;
    let provider = Talkative::start().await;
    let mut server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let secret = load::secret(&owner, &provider.base_url).await;
    let address = server.base.trim_start_matches("http://").to_owned();
    let body =
        r#"{"model":"small","max_tokens":20,"stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bursar\r\nauthorization: Bearer {secret}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // What the first of all needs is no matter of how many there are.
    let mut readers = vec![connect(&address, &request).await];
    provider.said().await;
    let before = server.memory();
    for _ in 1..READERS {
        readers.push(connect(&address, &request).await);
    }
    for (_, head) in &readers {
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
    let said = provider.said().await;
    let took = server.memory().saturating_sub(before);
    let more = READERS as u64 - 1;
    println!(
        "{READERS} slow readers: {} MB taken from the provider, {} MB of memory for {more} of them",
        said >> 20,
        took >> 20
    );
    assert!(took < EACH * more, "{took} bytes for {more} readers");
    // Others are served meanwhile.
    assert_eq!(owner.get("/healthz").await.status, StatusCode::OK);
    // They hang up, and what their provider still says is read to its end.
    drop(readers);
    provider.end(READERS as u64).await;
    load::until_booked(&server.database, READERS).await;
    assert!(server.stop().success());
    let (ids, spent) = load::booked(&server.database).await;
    assert_eq!(ids.len(), READERS, "each is in the books, once");
    assert_eq!(spent, 40_000 * READERS as i64, "as the provider reported it");
    server.verify();
}
