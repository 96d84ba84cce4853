//! The native half: the server, with the site built in.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::outcome::{Outcome, fail};
use crate::setup::Purpose;
use crate::workspace::Workspace;
use crate::{command, setup, site};

const SERVER: [&str; 4] = ["build", "--package", "server", "--locked"];

/// Builds the site, then the server, each with a cargo call of its own.
pub fn build(workspace: &Workspace, release: bool) -> Outcome {
    let mut cargo = command::cargo(workspace, SERVER);
    if release {
        cargo.arg("--release");
    }
    build_by(workspace, cargo)
}

/// For the tests: of the packages that have been linted already.
pub fn build_linted(workspace: &Workspace) -> Outcome {
    build_by(workspace, command::linted(workspace, SERVER)?)
}

fn build_by(workspace: &Workspace, mut cargo: Command) -> Outcome {
    site::build(workspace)?;
    command::run(workspace, &mut cargo, "Mend the server (server/, app/).")
}

/// The server, once it is built.
pub fn binary(workspace: &Workspace, release: bool) -> PathBuf {
    let profile = if release { "release" } else { "debug" };
    workspace.target.join(profile).join("bursar")
}

/// Sets up, builds, and becomes the server: signals then go straight to it.
pub fn build_and_become(
    workspace: &Workspace,
    release: bool,
    program: &str,
    arguments: &[String],
) -> Outcome {
    setup::everything(workspace, Purpose::Run)?;
    build(workspace, release)?;
    let mut server = command::new(workspace, binary(workspace, release));
    server.arg(program).args(arguments);
    command::show(workspace, &server);
    let error = server.exec();
    fail(format!("The server cannot be run: {error}."))
}
