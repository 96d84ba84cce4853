//! The one binary: `bursar`.

mod apply;
mod assets;
mod audit;
mod calls;
mod config;
mod database;
mod demo;
mod directory;
mod explain;
mod explore;
mod files;
mod forms;
mod http;
mod invoices;
mod jobs;
mod keeper;
mod leaks;
mod leases;
mod live;
mod mail;
mod outbox;
mod password;
mod reports;
mod serve;
mod sessions;
mod verify;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use config::Config;

/// A call allocates little, but it allocates, and this one does so in half the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Who may use which AI model, within which limits, at whose cost.
#[derive(Debug, Parser)]
#[command(name = "bursar", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    config: Config,
    #[command(subcommand)]
    program: Program,
}

#[derive(Debug, Subcommand)]
enum Program {
    /// Serve the console and the gateway.
    Serve,
    /// Make an organization what a file says.
    Apply(apply::ApplyArgs),
    /// Print an organization as a file that `apply` takes.
    Export(apply::ExportArgs),
    /// Serve an organization with three months behind it, and a provider that is simulated.
    Demo(demo::Options),
    /// Say whether somebody may use a model now, and why.
    Explain(explain::Options),
    /// List what processes have set aside of the limits, or take it back from one that is gone.
    Leases(leases::Options),
    /// Print a link to choose another password with, for somebody who forgot theirs.
    Password(password::Options),
    /// Check that ledger, windows, sums and the audit chain agree.
    Verify(verify::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    config::log(&cli.config);
    // One cryptography for every connection; the binary carries no other.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = match cli.program {
        Program::Serve => serve::run(cli.config).await.map(|()| ExitCode::SUCCESS),
        Program::Apply(args) => apply::apply(cli.config, args).await,
        Program::Export(args) => apply::export(cli.config, args).await,
        Program::Demo(options) => demo::run(cli.config, options).await.map(|()| ExitCode::SUCCESS),
        Program::Explain(options) => explain::run(cli.config, options).await,
        Program::Leases(options) => leases::run(cli.config, options).await,
        Program::Password(options) => password::run(cli.config, options).await,
        Program::Verify(options) => verify::run(cli.config, options).await,
    };
    match outcome {
        Ok(code) => code,
        Err(sentence) => {
            eprintln!("bursar: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// What a program that cannot go on says, in one sentence.
#[derive(Debug)]
pub struct Fatal(String);

impl std::fmt::Display for Fatal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Fatal {
    /// What was being done, and what went wrong.
    fn new(doing: &str, cause: impl std::fmt::Display) -> Self {
        Self(format!("{doing}: {cause}"))
    }
}

impl From<store::StoreError> for Fatal {
    fn from(error: store::StoreError) -> Self {
        Self(error.to_string())
    }
}

impl From<gateway::StartError> for Fatal {
    fn from(error: gateway::StartError) -> Self {
        Self(error.to_string())
    }
}
