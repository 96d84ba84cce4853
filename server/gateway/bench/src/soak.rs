//! Many minutes of calls, replayed as fast as they are answered: does the memory of the gateway grow?

use std::{path::PathBuf, process::Stdio, time::Duration};

use store::Store;

use crate::{
    Failure,
    comparison::{Folder, Setting, start_gateway},
    load::Measured,
    organization,
    process::{Pinned, on_core, ourselves},
    serve,
};

/// Calls of a minute: a hundred a second, a tenth of them streams.
const CALLS: [(&str, &[&str]); 2] = [("5400", &[]), ("600", &["--streams"])];

/// Connections that each part of a minute comes in on.
const CONNECTIONS: &str = "64";

/// The first minutes fill caches and pools.
const WARM: usize = 10;

/// What memory does in one minute says little: bursts fill buffers, and the allocator gives back what
/// they took only a while later. So ten minutes are looked at together, and a rest at the end.
const TOGETHER: usize = 10;
const REST: Duration = Duration::from_secs(60);

/// Replays the minutes and prints a line for each.
pub async fn run(database_url: String, bursar: Option<PathBuf>, minutes: u32) -> Result<(), Failure> {
    let data = Folder::new()?;
    let upstream = Pinned::start({
        let mut command = on_core(1, &ourselves()?);
        command.arg("upstream");
        command
    })?;
    let store = Store::connect(&database_url, 2, serve::master_key(&data.0)?).await?;
    let secret = organization::make(&store, &format!("http://{}/v1", upstream.address)).await?;
    store.close().await;
    let setting = Setting { database_url, postgres_data: None, bursar, seconds: 0, only: Vec::new() };
    let gateway = start_gateway(&setting, &data.0)?;
    println!("On: {}.", organization::DESCRIPTION);
    println!("A minute is 5 400 plain calls and 600 streams, at {CONNECTIONS} connections each.\n");
    println!("{:>8}{:>12}{:>10}{:>10}{:>16}", "minute", "calls", "failed", "took s", "resident MB");
    println!("{:>8}{:>12}{:>10}{:>10}{:>16.1}", 0, 0, 0, "", megabytes(gateway.memory()));
    let (mut calls, mut failed, mut resident) = (0, 0, Vec::new());
    for minute in 1..=minutes {
        let mut took = 0.0;
        for (count, streams) in CALLS {
            let mut command = on_core(1, &ourselves()?);
            command.args(["load", "--connections", CONNECTIONS, "--seconds", "3600", "--calls", count]);
            command.args(streams).args(["--secret", secret.reveal()]).arg(gateway.address.to_string());
            let output = command.stderr(Stdio::inherit()).output()?;
            let measured: Measured = serde_json::from_slice(&output.stdout)?;
            calls += measured.calls;
            failed += measured.failed;
            took += measured.seconds;
        }
        let now = gateway.memory();
        resident.push(now);
        println!("{minute:>8}{calls:>12}{failed:>10}{took:>10.1}{:>16.1}", megabytes(now));
    }
    println!("\nThe least that was resident in {TOGETHER} minutes, MB:");
    for (place, minutes) in resident.get(WARM..).unwrap_or_default().chunks(TOGETHER).enumerate() {
        let least = minutes.iter().copied().min().unwrap_or_default();
        let first = WARM + place * TOGETHER + 1;
        println!("{:>8}{:>12.1}", format!("{first}–{}", first + minutes.len() - 1), megabytes(least));
    }
    tokio::time::sleep(REST).await;
    println!("\nAfter {} s of rest: {:.1} MB.", REST.as_secs(), megabytes(gateway.memory()));
    Ok(())
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
