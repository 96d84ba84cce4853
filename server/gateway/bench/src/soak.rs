//! Many minutes of calls, replayed as fast as they are answered: does the memory of the gateway grow?

use std::{path::PathBuf, process::Stdio};

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
const WARM: u32 = 10;

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
    let (mut calls, mut failed, mut warm) = (0, 0, 0);
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
        if minute == WARM.min(minutes) {
            warm = now;
        }
        println!("{minute:>8}{calls:>12}{failed:>10}{took:>10.1}{:>16.1}", megabytes(now));
    }
    let grown = megabytes(gateway.memory()) - megabytes(warm);
    println!("\nFrom minute {} to minute {minutes}: {grown:+.1} MB.", WARM.min(minutes));
    Ok(())
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
