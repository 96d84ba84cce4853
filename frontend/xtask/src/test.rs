//! Every check there is, step by step.

use std::process::Command;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use postgres::Cluster;

use crate::outcome::{Outcome, fail};
use crate::setup::Purpose;
use crate::wasm::{Compiler, TARGET};
use crate::workspace::Workspace;
use crate::{command, database, native, node, prepare, rooms, setup, wasm};

/// The packages for this machine, in the two groups that are built together. What this program
/// depends on would otherwise add features to what the server depends on, and everything would be
/// built once for the tests and once more for the server.
const NATIVE: [&[&str]; 2] =
    [&["--workspace", "--exclude", "frontend", "--exclude", "xtask"], &["--package", "xtask"]];

/// Compiles tests without running them.
const COMPILE: [&str; 3] = ["test", "--no-run", "--locked"];

/// One thing to check.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// Every source is formatted.
    Fmt,
    /// Everything is in its room.
    Rooms,
    /// The descriptions of queries are up to date.
    Queries,
    /// The compiler and its linter have nothing to say.
    Clippy,
    /// Every test of the packages, with a real Postgres.
    Packages,
    /// The browser half and the server can be built.
    Build,
    /// The journeys of people in a real browser.
    Browser,
    /// Real clients with a real model.
    Clients,
}

/// How a step went.
enum Verdict {
    Passed,
    NothingYet,
    Failed,
}

/// Sets up, performs the steps, and ends with a table of how they went.
pub fn everything(workspace: &Workspace, only: &[Step]) -> Outcome {
    setup::everything(workspace, Purpose::Test)?;
    let mut checks = Checks { workspace, cluster: None };
    let mut rows = Vec::new();
    for step in Step::value_variants() {
        if !only.is_empty() && !only.contains(step) {
            continue;
        }
        eprintln!("\n── {}", name(*step));
        let begun = Instant::now();
        let result = checks.perform(*step).unwrap_or_else(|failure| {
            eprintln!("{failure}");
            Verdict::Failed
        });
        rows.push((*step, result, begun.elapsed()));
    }
    print_table(&rows);
    let failed: Vec<String> =
        rows.iter().filter(|row| matches!(row.1, Verdict::Failed)).map(|row| name(row.0)).collect();
    if failed.is_empty() {
        return Ok(());
    }
    fail(format!("Failed: {}. Repeat one step with `cargo xtask test --only STEP`.", failed.join(", ")))
}

/// What the steps share.
struct Checks<'a> {
    workspace: &'a Workspace,
    /// Started by the first step that needs it.
    cluster: Option<Cluster>,
}

impl Checks<'_> {
    fn perform(&mut self, step: Step) -> Outcome<Verdict> {
        match step {
            Step::Fmt => self.cargo(["fmt", "--all", "--check"], "Run `cargo fmt --all`.")?,
            Step::Rooms => rooms::check(self.workspace)?,
            Step::Queries => self.queries()?,
            Step::Clippy => self.clippy()?,
            Step::Packages => self.packages()?,
            Step::Build => native::build_linted(self.workspace)?,
            Step::Browser => return self.browser(),
            Step::Clients => return self.clients(),
        }
        Ok(Verdict::Passed)
    }

    fn cargo<const N: usize>(&self, arguments: [&str; N], advice: &str) -> Outcome {
        command::run(self.workspace, &mut command::cargo(self.workspace, arguments), advice)
    }

    /// Where there is nothing yet, one compile does it all: it asks the database about the queries,
    /// lints, and makes the tests.
    fn queries(&self) -> Outcome {
        let mut cargo = command::linted(self.workspace, COMPILE)?;
        cargo.args(NATIVE[0]);
        prepare::queries_by(self.workspace, true, cargo)
    }

    fn clippy(&self) -> Outcome {
        let advice = "Mend what it found.";
        for native in NATIVE {
            let mut cargo = command::linted(self.workspace, COMPILE)?;
            command::run(self.workspace, cargo.args(native), advice)?;
        }
        let mut cargo = command::cargo(self.workspace, ["clippy", "--package", "frontend", "--locked"]);
        // Clippy belongs to the usual compiler. Where only Debian's can build for the browser, it
        // reads the same source as if for this machine.
        if matches!(wasm::compiler(self.workspace)?, Compiler::Usual) {
            cargo.args(["--target", TARGET]);
        }
        command::run(self.workspace, cargo.args(["--", "-D", "warnings"]), advice)
    }

    fn packages(&mut self) -> Outcome {
        for native in NATIVE {
            let mut cargo = command::linted(self.workspace, ["test", "--no-fail-fast", "--locked"])?;
            cargo.args(native);
            self.lend_database(&mut cargo)?;
            command::run(self.workspace, &mut cargo, "Mend what failed.")?;
        }
        Ok(())
    }

    fn browser(&mut self) -> Outcome<Verdict> {
        if !self.workspace.end2end().join("tests").exists() {
            return nothing_yet();
        }
        let mut npx = command::new(self.workspace, "npx");
        npx.args(["--no-install", "playwright", "test"]).current_dir(self.workspace.end2end());
        self.lend_everything(&mut npx)?;
        command::run(self.workspace, &mut npx, "Look at end2end/test-results.")?;
        Ok(Verdict::Passed)
    }

    fn clients(&mut self) -> Outcome<Verdict> {
        if !self.workspace.end2end().join("clients").exists() {
            return nothing_yet();
        }
        let end2end = self.workspace.end2end();
        let mut python = command::new(self.workspace, end2end.join(".venv/bin/python"));
        python.args(["-m", "pytest", "clients"]).current_dir(&end2end);
        self.lend_everything(&mut python)?;
        command::run(self.workspace, &mut python, "Mend what failed.")?;
        Ok(Verdict::Passed)
    }

    /// A Postgres whose tests make their own databases; with room for many at a time.
    fn lend_database(&mut self, command: &mut Command) -> Outcome {
        let cluster = match self.cluster.take() {
            Some(cluster) => cluster,
            None => database::start(300)?.1,
        };
        command.env("BURSAR_TEST_DATABASE_URL", cluster.url("postgres"));
        self.cluster = Some(cluster);
        Ok(())
    }

    fn lend_everything(&mut self, command: &mut Command) -> Outcome {
        self.lend_database(command)?;
        let binary = native::binary(self.workspace, false);
        if !binary.is_file() {
            return fail("The server is not built: run the step `build` first.");
        }
        command.env("BURSAR_BIN", binary);
        let Some(chromium) = node::chromium() else {
            return fail("Chromium is missing: run `cargo xtask setup`.");
        };
        command.env("BURSAR_CHROMIUM", chromium);
        Ok(())
    }
}

fn nothing_yet() -> Outcome<Verdict> {
    eprintln!("nothing to run yet");
    Ok(Verdict::NothingYet)
}

fn name(step: Step) -> String {
    step.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn print_table(rows: &[(Step, Verdict, Duration)]) {
    eprintln!();
    for (step, result, time) in rows {
        let word = match result {
            Verdict::Passed => "passed",
            Verdict::NothingYet => "nothing to run yet",
            Verdict::Failed => "FAILED",
        };
        eprintln!("{:<10} {:>8.1} s  {word}", name(*step), time.as_secs_f64());
    }
    let sum: Duration = rows.iter().map(|row| row.2).sum();
    eprintln!("{:<10} {:>8.1} s", "all", sum.as_secs_f64());
}
