//! `cargo xtask`: set-up, build, run and test, each with one command on a fresh machine.
//!
//! Every command does what is missing and nothing else, so that a second call is fast. What it
//! starts it prints in one line, and what fails ends in a sentence that says what to do.

mod apt;
mod bench;
mod browser;
mod citus;
mod command;
mod css;
mod database;
mod files;
mod native;
mod newcomer;
mod node;
mod outcome;
mod pages;
mod prepare;
mod price_book;
mod python;
mod rooms;
mod rust_text;
mod setup;
mod site;
mod sql_text;
mod started;
mod test;
mod visitor;
mod wasm;
mod workspace;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::outcome::Outcome;
use crate::setup::Purpose;
use crate::test::Step;
use crate::workspace::Workspace;

/// Set-up, build, run and test of Bursar.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing on this machine; `run` and `test` do it by themselves
    Setup {
        /// What it is for: `run` needs less
        #[arg(long = "for", value_name = "PURPOSE", default_value = "test")]
        purpose: Purpose,
    },
    /// Build the browser half into target/site, then the server
    Build {
        #[command(flatten)]
        profile: Profile,
    },
    /// Set up, build and run `bursar serve`
    Run {
        #[command(flatten)]
        profile: Profile,
        /// What `bursar serve` gets
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Set up, build and run `bursar demo`
    Demo {
        #[command(flatten)]
        profile: Profile,
        /// What `bursar demo` gets
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Renew server/store/.sqlx, the description of every query that lets us build without a Postgres
    Prepare {
        /// Change nothing; fail if it is out of date
        #[arg(long)]
        check: bool,
    },
    /// Renew the price book in server/store/price-book from LiteLLM's model_prices_and_context_window.json
    PriceBook {
        /// The list, in a file
        list: std::path::PathBuf,
        /// Which version of LiteLLM it is of: 1.110.2
        #[arg(long)]
        version: String,
        /// The day of that version: 2026-11-20
        #[arg(long)]
        date: String,
    },
    /// Run a throw-away Postgres with every migration, until Ctrl-C
    Database,
    /// Measure, and print the figures
    Bench {
        #[command(subcommand)]
        what: bench::What,
    },
    /// Set up and run every check there is
    Test {
        /// Only this step; may be given several times
        #[arg(long, value_name = "STEP")]
        only: Vec<Step>,
    },
}

#[derive(Args, Clone, Copy)]
struct Profile {
    /// Optimize the server
    #[arg(long)]
    release: bool,
}

fn main() -> ExitCode {
    match perform(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\n{failure}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Outcome {
    let workspace = Workspace::find()?;
    match task {
        Task::Setup { purpose } => setup::everything(&workspace, purpose),
        Task::Build { profile } => native::build(&workspace, profile.release),
        Task::Run { profile, arguments } => {
            native::build_and_become(&workspace, profile.release, "serve", &arguments)
        }
        Task::Demo { profile, arguments } => {
            native::build_and_become(&workspace, profile.release, "demo", &arguments)
        }
        Task::Prepare { check } => prepare::queries(&workspace, check),
        Task::PriceBook { list, version, date } => price_book::renew(&workspace, &list, &version, &date),
        Task::Database => database::until_interrupted(&workspace),
        Task::Bench { what } => bench::run(&workspace, &what),
        Task::Test { only } => test::everything(&workspace, &only),
    }
}
