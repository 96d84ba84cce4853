//! Measurements: figures, not verdicts. What a figure is worth depends on what else the machine does.

use std::path::PathBuf;

use clap::Subcommand;
use postgres::{Cluster, Options, Programs};

use crate::outcome::{Outcome, fail};
use crate::setup::Purpose;
use crate::workspace::Workspace;
use crate::{command, database, files, native, newcomer, pages, setup};

/// What can be measured.
#[derive(Subcommand)]
pub enum What {
    /// What one decision costs: five levels of groups, a thousand rules, fifty limits
    Decide {
        /// How often each round decides
        #[arg(long, default_value_t = 1_000_000)]
        times: u32,
    },
    /// What the gateway costs, beside the upstream alone and a bare proxy
    Gateway {
        /// Seconds of each measurement
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// Only this part (plain, streamed, added, open, memory); may be given several times
        #[arg(long)]
        only: Vec<String>,
        /// Measure the whole server instead of the gateway alone, which takes longer to build
        #[arg(long)]
        whole: bool,
    },
    /// What the gateway's memory does over many minutes of calls, replayed as fast as they are answered
    Soak {
        /// How many
        #[arg(long, default_value_t = 100)]
        minutes: u32,
        /// The whole server instead of the gateway alone, which takes longer to build
        #[arg(long)]
        whole: bool,
    },
    /// How fast finished calls go into the books of one Postgres: ledger, windows and every sum
    Booking {
        /// How many
        #[arg(long, default_value_t = 200_000)]
        calls: usize,
        /// How many in one transaction
        #[arg(long, default_value_t = 10_000)]
        batch: usize,
        /// How many transactions at a time
        #[arg(long, default_value_t = 2)]
        at_once: usize,
        /// Of how many organizations, in turn
        #[arg(long, default_value_t = 1)]
        organizations: usize,
        /// Everybody and every program calls as often as any other, and with any model
        #[arg(long)]
        even: bool,
    },
    /// What each page of the console costs the server, with the demo behind it
    Pages {
        /// How often each page is asked for
        #[arg(long, default_value_t = 200)]
        times: usize,
        /// How large the demo is
        #[command(flatten)]
        size: pages::Size,
        /// Only pages that have this in their address
        #[arg(long, default_value = "")]
        only: String,
        /// Measure a demo that runs already, at this address, instead of building and filling one
        #[arg(long)]
        at: Option<String>,
    },
    /// How long the two commands take in a fresh clone, and again
    Newcomer {
        /// `cargo xtask test` too, which takes longest
        #[arg(long)]
        test: bool,
    },
}

/// Measures.
pub fn run(workspace: &Workspace, what: &What) -> Outcome {
    match what {
        What::Decide { times } => decide(workspace, *times),
        What::Gateway { seconds, only, whole } => {
            let mut arguments = vec!["--seconds".to_owned(), seconds.to_string()];
            arguments.extend(only.iter().flat_map(|part| ["--only".to_owned(), part.clone()]));
            gateway(workspace, "gateway", &arguments, *whole)
        }
        What::Soak { minutes, whole } => {
            gateway(workspace, "soak", &["--minutes".to_owned(), minutes.to_string()], *whole)
        }
        What::Booking { calls, batch, at_once, organizations, even } => {
            let mut arguments = vec![
                format!("--calls={calls}"),
                format!("--batch={batch}"),
                format!("--at-once={at_once}"),
                format!("--organizations={organizations}"),
            ];
            arguments.extend(even.then(|| "--even".to_owned()));
            gateway(workspace, "booking", &arguments, false)
        }
        What::Pages { times, only, at: Some(base), .. } => pages::look_at(base, *times, only),
        What::Pages { times, size, only, at: None } => pages::measure(workspace, *times, size, only),
        What::Newcomer { test } => newcomer::measure(workspace, *test),
    }
}

/// Builds the programs that measure, and measures decisions: nothing else is needed.
fn decide(workspace: &Workspace, times: u32) -> Outcome {
    let mut cargo = command::cargo(workspace, ["build", "--release", "--package", "bench", "--locked"]);
    command::run(workspace, &mut cargo, "Mend app/domain or server/gateway.")?;
    let mut bench = command::new(workspace, workspace.target.join("release/bench"));
    bench.arg("decide").arg("--times").arg(times.to_string());
    command::run(workspace, &mut bench, "Look at what it says.")
}

/// Builds what is measured, starts a Postgres that waits for the disk as it would in earnest, and
/// measures.
fn gateway(workspace: &Workspace, what: &str, arguments: &[String], whole: bool) -> Outcome {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() < 2) {
        return fail("What is measured has a core of its own: this needs a machine with two.");
    }
    setup::measuring(workspace)?;
    let mut cargo = command::cargo(workspace, ["build", "--release", "--package", "bench", "--locked"]);
    command::run(workspace, &mut cargo, "Mend server/gateway.")?;
    if whole {
        setup::everything(workspace, Purpose::Run)?;
        native::build(workspace, true)?;
    }
    // On a disk, and where whoever runs Postgres can go.
    let folder = PathBuf::from("/var/tmp").join(format!("bursar-bench-{}", std::process::id()));
    let options = Options { durable: true, max_connections: 100, die_with_parent: true };
    let cluster = Cluster::start(&Programs::find()?, &folder, options)?;
    let mut bench = command::new(workspace, workspace.target.join("release/bench"));
    bench.arg(what).args(arguments);
    bench.arg("--database-url").arg(database::create(workspace, &cluster, "bench")?);
    if what != "soak" {
        bench.arg("--postgres-data").arg(cluster.data_dir());
    }
    if whole {
        bench.arg("--bursar").arg(native::binary(workspace, true));
    }
    let measured = command::run(workspace, &mut bench, "Look at what it says.");
    cluster.stop()?;
    files::remove_folder(&folder)?;
    measured
}
