//! The upstream alone, a bare proxy, and the gateway with everything on, side by side.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use store::{MasterKey, Store};

use crate::{
    Failure, PIECES,
    load::Measured,
    organization,
    process::{Pinned, on_core, ourselves, postgres_time},
    serve,
};

/// How to measure.
pub struct Setting {
    pub database_url: String,
    pub postgres_data: Option<PathBuf>,
    pub bursar: Option<PathBuf>,
    pub seconds: u64,
    /// Only these parts; all of them when there are none.
    pub only: Vec<Part>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Whole answers side by side
    Plain,
    /// Streams side by side
    Streamed,
    /// What a call waits longer at one connection, everything on one core
    Added,
    /// At fixed rates
    Open,
    /// Resident memory
    Memory,
}

impl Setting {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

/// The core of what is measured; load and upstream are on the other.
const MEASURED: usize = 0;
const OTHER: usize = 1;

const CONNECTIONS: [usize; 3] = [1, 8, 64];
const HELD: usize = 1_000;
const SILENT: usize = 10_000;

/// Somebody who answers calls.
struct Target<'a> {
    name: &'static str,
    process: &'a Pinned,
    secret: &'a str,
}

/// A measurement with the processor time it took, per call, in microseconds.
struct Row {
    measured: Measured,
    own: f64,
    postgres: f64,
}

pub async fn run(setting: &Setting) -> Result<(), Failure> {
    let data = Folder::new()?;
    let upstream = Pinned::start({
        let mut command = on_core(OTHER, &ourselves()?);
        command.arg("upstream");
        command
    })?;
    let proxy = Pinned::start({
        let mut command = on_core(MEASURED, &ourselves()?);
        command.arg("proxy").arg(upstream.address.to_string());
        command
    })?;
    let store = Store::connect(&setting.database_url, 2, serve::master_key(&data.0)?).await?;
    let secret = organization::make(&store, &format!("http://{}/v1", upstream.address)).await?;
    store.close().await;
    let gateway = start_gateway(setting, &data.0)?;
    let idle = gateway.memory();
    let targets = [
        Target { name: "upstream alone", process: &upstream, secret: "none" },
        Target { name: "bare proxy", process: &proxy, secret: "none" },
        Target { name: "bursar", process: &gateway, secret: secret.reveal() },
    ];
    introduce(setting);
    for target in &targets[1..] {
        // Connections, caches, and what is only done once.
        load(setting, target, OTHER, &["--connections", "64"], 2)?;
        load(setting, target, OTHER, &["--connections", "64", "--streams"], 2)?;
    }
    for (part, streams) in [(Part::Plain, false), (Part::Streamed, true)] {
        if setting.wants(part) {
            side_by_side(setting, &targets, streams)?;
        }
    }
    if setting.wants(Part::Added) {
        on_one_core(setting, &targets)?;
    }
    if setting.wants(Part::Open) {
        open_loop(setting, &targets)?;
    }
    if setting.wants(Part::Memory) {
        memory(&targets, idle)?;
    }
    Ok(())
}

pub fn start_gateway(setting: &Setting, data: &Path) -> Result<Pinned, Failure> {
    let ours = ourselves()?;
    let mut command = on_core(MEASURED, setting.bursar.as_deref().unwrap_or(&ours));
    command.arg("serve").env("DATABASE_URL", &setting.database_url).env("BURSAR_DATA_DIR", data);
    command.env("BURSAR_ADDR", "127.0.0.1:0").env("BURSAR_LOG", "error").env_remove("BURSAR_MASTER_KEY_FILE");
    Pinned::start(command)
}

fn introduce(setting: &Setting) {
    let what =
        if setting.bursar.is_some() { "the whole server" } else { "the gateway alone, without the console" };
    println!("Bursar is {what}, on core {MEASURED}, as is the proxy; upstream and load are on core {OTHER}.");
    println!("On: {}.", organization::DESCRIPTION);
    println!("Postgres is on no core of its own. A stream has {PIECES} events of text, a millisecond apart.");
    println!("Each line: {} s. CPU is user and system time per answered call.\n", setting.seconds);
}

fn side_by_side(setting: &Setting, targets: &[Target<'_>], streams: bool) -> Result<(), Failure> {
    println!("{}", if streams { "STREAMED" } else { "PLAIN" });
    println!(
        "{:<16}{:>6}{:>12}{:>12}{:>12}{:>12}{:>14}{:>14}{:>10}",
        "", "conns", "calls/s", "p50 µs", "p99 µs", "first µs", "CPU µs/call", "Postgres µs", "× proxy"
    );
    for connections in CONNECTIONS {
        let mut proxy = 0.0;
        for target in targets {
            let count = connections.to_string();
            let mut arguments = vec!["--connections", &count];
            if streams {
                arguments.push("--streams");
            }
            let row = load(setting, target, OTHER, &arguments, setting.seconds)?;
            if target.name == "bare proxy" {
                proxy = row.own;
            }
            let times = if target.name == "bursar" && proxy > 0.0 {
                format!("{:.1}", row.own / proxy)
            } else {
                String::new()
            };
            let Measured { p50, p99, first_p50, .. } = row.measured;
            println!(
                "{:<16}{connections:>6}{:>12.0}{p50:>12.0}{p99:>12.0}{first_p50:>12.0}{:>14.1}{:>14.1}{times:>10}{}",
                target.name,
                row.measured.rate(),
                row.own,
                row.postgres,
                failures(&row.measured),
            );
        }
    }
    println!();
    Ok(())
}

fn failures(measured: &Measured) -> String {
    match measured.failed {
        0 => String::new(),
        failed => format!("  {failed} FAILED"),
    }
}

/// Everything on one core at one connection: what a call waits longer because somebody is between.
fn on_one_core(setting: &Setting, targets: &[Target<'_>]) -> Result<(), Failure> {
    println!("ADDED AT ONE CONNECTION, everything but Postgres on core {MEASURED}");
    println!("{:<16}{:>14}{:>14}{:>20}", "", "added p50 µs", "added p99 µs", "added first byte µs");
    targets[0].process.move_to(MEASURED)?;
    for streams in [&[][..], &["--streams"]] {
        let mut rows = Vec::new();
        for target in targets {
            rows.push(load(setting, target, MEASURED, streams, setting.seconds)?.measured);
        }
        for (target, measured) in targets.iter().zip(&rows).skip(1) {
            println!(
                "{:<16}{:>14.0}{:>14.0}{:>20.0}  {}{}",
                target.name,
                measured.p50 - rows[0].p50,
                measured.p99 - rows[0].p99,
                measured.first_p50 - rows[0].first_p50,
                if streams.is_empty() { "plain" } else { "streamed" },
                failures(measured),
            );
        }
    }
    targets[0].process.move_to(OTHER)?;
    println!();
    Ok(())
}

/// At fixed rates, each call timed from when it was meant to be sent.
fn open_loop(setting: &Setting, targets: &[Target<'_>]) -> Result<(), Failure> {
    println!("OPEN LOOP, plain, 64 connections, timed from when a call was meant to be sent");
    println!(
        "{:<16}{:>12}{:>12}{:>12}{:>12}{:>12}",
        "", "asked/s", "calls/s", "p50 µs", "p99 µs", "p99.9 µs"
    );
    for target in &targets[1..] {
        let most = load(setting, target, OTHER, &["--connections", "64"], setting.seconds)?.measured.rate();
        for part in [0.5, 0.8] {
            let rate = format!("{:.0}", most * part);
            let arguments = ["--connections", "64", "--rate", &rate];
            let measured = load(setting, target, OTHER, &arguments, setting.seconds)?.measured;
            let (answered, Measured { p50, p99, p999, .. }) = (measured.rate(), &measured);
            println!(
                "{:<16}{rate:>12}{answered:>12.0}{p50:>12.0}{p99:>12.0}{p999:>12.0}{}",
                target.name,
                failures(&measured)
            );
        }
    }
    println!();
    Ok(())
}

fn memory(targets: &[Target<'_>], idle: u64) -> Result<(), Failure> {
    println!("RESIDENT MEMORY, MB");
    println!(
        "{:<16}{:>10}{:>14}{:>18}{:>14}{:>26}",
        "", "idle", "after load", "1 000 streams", "afterwards", "10 000 idle connections"
    );
    let megabytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    for target in &targets[1..] {
        let idle = if target.name == "bursar" { format!("{:.1}", megabytes(idle)) } else { "–".to_owned() };
        let after = target.process.memory();
        let (streams, held) = keeping(target, &["--hold", "--model", "held"], HELD)?;
        let afterwards = target.process.memory();
        let (connections, silent) = keeping(target, &["--idle"], SILENT)?;
        println!(
            "{:<16}{idle:>10}{:>14.1}{:>18.1}{:>14.1}{:>26.1}  ({streams} streams and {connections} connections open)",
            target.name,
            megabytes(after),
            megabytes(held),
            megabytes(afterwards),
            megabytes(silent),
        );
    }
    Ok(())
}

/// What a target's memory is while somebody keeps so many connections; how many they have.
fn keeping(target: &Target<'_>, arguments: &[&str], connections: usize) -> Result<(String, u64), Failure> {
    let mut command = on_core(OTHER, &ourselves()?);
    command.arg("load").args(arguments).args(["--secret", target.secret]);
    command.args(["--connections", &connections.to_string()]).arg(target.process.address.to_string());
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut line)?;
    }
    let held = target.process.memory();
    let _ = child.kill();
    let _ = child.wait();
    Ok((line.trim().to_owned(), held))
}

/// One load, with what it cost the one who was called.
fn load(
    setting: &Setting,
    target: &Target<'_>,
    core: usize,
    arguments: &[&str],
    seconds: u64,
) -> Result<Row, Failure> {
    let mut command = on_core(core, &ourselves()?);
    command.arg("load").args(arguments).args(["--secret", target.secret, "--seconds", &seconds.to_string()]);
    command.arg(target.process.address.to_string());
    let postgres = || setting.postgres_data.as_deref().map(postgres_time).unwrap_or_default();
    let (own_before, postgres_before) = (target.process.processor_time(), postgres());
    let output = command.stderr(Stdio::inherit()).output()?;
    let (own, postgres) =
        (target.process.processor_time() - own_before, postgres().saturating_sub(postgres_before));
    let measured: Measured = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("the load on {} came to nothing: {error}", target.name))?;
    let per_call = |time: Duration| time.as_secs_f64() * 1e6 / (measured.calls.max(1) as f64);
    let (own, postgres) = (per_call(own), per_call(postgres));
    Ok(Row { measured, own, postgres: if target.name == "bursar" { postgres } else { 0.0 } })
}

/// A folder with a master key in it; goes away with its owner.
pub struct Folder(pub PathBuf);

impl Folder {
    /// With a new key.
    pub fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("bursar-bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        let key: String = MasterKey::generate().reveal().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path.join("master.key"))?;
        writeln!(file, "{key}")?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
