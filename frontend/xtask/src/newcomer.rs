//! How long the two commands take somebody who has just cloned the project.
//!
//! What is not committed is not cloned. Packages that this machine has already (those of the system
//! and cargo's downloads) are not fetched again.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::outcome::Outcome;
use crate::started::Started;
use crate::workspace::Workspace;
use crate::{command, files};

/// Clones the checkout, and measures `run` until it is ready and `test` until it has passed, each in
/// a clone of its own: first as it is, then again.
pub fn measure(workspace: &Workspace, test: bool) -> Outcome {
    let mut rows = Vec::new();
    let clone = Checkout::make(workspace, "run")?;
    rows.push(("cargo xtask run, until it is ready", clone.ready(workspace)?, clone.ready(workspace)?));
    drop(clone);
    if test {
        let clone = Checkout::make(workspace, "test")?;
        rows.push(("cargo xtask test", clone.tested(workspace)?, clone.tested(workspace)?));
    }
    println!("{:<36} {:>8} {:>8}", "command", "cold s", "warm s");
    for (name, cold, warm) in rows {
        println!("{name:<36} {:>8.1} {:>8.1}", cold.as_secs_f64(), warm.as_secs_f64());
    }
    Ok(())
}

/// A clone that is removed when this is gone.
struct Checkout(PathBuf);

impl Checkout {
    /// Where whoever runs Postgres can go.
    fn make(workspace: &Workspace, name: &str) -> Outcome<Checkout> {
        let folder = PathBuf::from("/var/tmp").join(format!("bursar-new-{name}-{}", std::process::id()));
        let mut git = command::new(workspace, "git");
        git.args(["clone", "--quiet", "."]).arg(&folder);
        command::run(workspace, &mut git, "Is this a checkout?")?;
        Ok(Checkout(folder))
    }

    fn cargo(&self, workspace: &Workspace, arguments: &[&str]) -> Command {
        let mut cargo = command::new(workspace, "cargo");
        cargo.arg("xtask").args(arguments).current_dir(&self.0);
        for own in ["CARGO_TARGET_DIR", "DATABASE_URL", "BURSAR_DATA_DIR", "BURSAR_SITE"] {
            cargo.env_remove(own);
        }
        cargo.env("BURSAR_ADDR", "127.0.0.1:0");
        command::show(workspace, &cargo);
        cargo
    }

    fn ready(&self, workspace: &Workspace) -> Outcome<Duration> {
        let begun = Instant::now();
        let mut server = Started::start(&mut self.cargo(workspace, &["run"]))?;
        let taken = begun.elapsed();
        server.stop()?;
        Ok(taken)
    }

    fn tested(&self, workspace: &Workspace) -> Outcome<Duration> {
        let begun = Instant::now();
        let mut test = self.cargo(workspace, &["test"]);
        command::run_quietly(workspace, test.stdout(Stdio::null()), "A time is worth nothing then.")?;
        Ok(begun.elapsed())
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if let Err(failure) = files::remove_folder(&self.0) {
            eprintln!("{failure}");
        }
    }
}
