//! `bench`: what the gateway costs, beside the upstream alone and a bare proxy, in one run.
//!
//! `bench decide` measures one decision alone. `bench soak` looks at memory over many minutes of calls. `bench gateway` starts everything else as processes of their own, so that each can be pinned to
//! a core and its processor time be read. Figures are printed; nothing is asserted about them.

mod booking;
mod comparison;
mod decide;
mod load;
mod organization;
mod process;
mod serve;
mod soak;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use bench::{
    proxy,
    upstream::{Script, Tokens, Upstream},
};
use clap::{Parser, Subcommand};
use tokio::net::TcpListener;

/// The server's, for everything that is measured: the bare proxy has it, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whatever went wrong, in words.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    program: Program,
}

#[derive(Subcommand)]
enum Program {
    /// Compare the gateway with the upstream alone and a bare proxy
    Gateway {
        /// An empty database
        #[arg(long, env = "DATABASE_URL")]
        database_url: String,
        /// Where that Postgres keeps its data, to read its processor time
        #[arg(long)]
        postgres_data: Option<PathBuf>,
        /// The whole server instead of the gateway alone
        #[arg(long)]
        bursar: Option<PathBuf>,
        /// Seconds of each measurement
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// Only this part; may be given several times
        #[arg(long)]
        only: Vec<comparison::Part>,
    },
    /// What the gateway's memory does over many minutes of calls, replayed as fast as they are answered
    Soak {
        /// An empty database
        #[arg(long, env = "DATABASE_URL")]
        database_url: String,
        /// The whole server instead of the gateway alone
        #[arg(long)]
        bursar: Option<PathBuf>,
        /// How many
        #[arg(long, default_value_t = 100)]
        minutes: u32,
    },
    /// How fast finished calls are booked, with every sum they count in
    Booking {
        /// An empty database
        #[arg(long, env = "DATABASE_URL")]
        database_url: String,
        /// Where that Postgres keeps its data, to read its processor time
        #[arg(long)]
        postgres_data: Option<PathBuf>,
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
    /// What one decision costs
    Decide {
        /// How often each round decides
        #[arg(long, default_value_t = 1_000_000)]
        times: u32,
    },
    /// The scripted upstream
    Upstream,
    /// The bare proxy
    Proxy { upstream: SocketAddr },
    /// The gateway alone, as the server would serve it
    Serve {
        #[arg(long, env = "DATABASE_URL")]
        database_url: String,
        #[arg(long, env = "BURSAR_DATA_DIR")]
        data_dir: PathBuf,
    },
    /// Load
    Load(load::Ask),
}

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(perform(Arguments::parse().program)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn perform(program: Program) -> Result<(), Failure> {
    match program {
        Program::Gateway { database_url, postgres_data, bursar, seconds, only } => {
            comparison::run(&comparison::Setting { database_url, postgres_data, bursar, seconds, only }).await
        }
        Program::Soak { database_url, bursar, minutes } => soak::run(database_url, bursar, minutes).await,
        Program::Booking { database_url, postgres_data, calls, batch, at_once, organizations, even } => {
            let run = booking::Run { calls, batch, at_once, organizations, even };
            booking::run(&database_url, postgres_data.as_deref(), run).await
        }
        Program::Decide { times } => decide::run(times),
        Program::Upstream => upstream().await,
        Program::Proxy { upstream } => {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            println!("{}", listener.local_addr()?);
            Ok(proxy::run(listener, upstream).await?)
        }
        Program::Serve { database_url, data_dir } => serve::run(&database_url, &data_dir).await,
        Program::Load(ask) => load::run(ask).await,
    }
}

/// Events of a stream.
const PIECES: usize = 20;

/// Answers at once; the model `held` begins a stream and goes on only after a long while.
async fn upstream() -> Result<(), Failure> {
    let tokens = Tokens { input: 50, output: 20 };
    let between = Duration::from_millis(1);
    let script =
        Script { tokens, pieces: PIECES, text: "twenty words ".repeat(10), between, ..Script::default() };
    let upstream = Upstream::listen(SocketAddr::from(([127, 0, 0, 1], 0)), script.clone(), false).await?;
    upstream.script("held", Script { pieces: 2, between: Duration::from_secs(60), ..script });
    println!("{}", upstream.address());
    std::future::pending().await
}
