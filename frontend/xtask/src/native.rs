//! The native half: the server, with the site built in.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use crate::outcome::{Outcome, fail};
use crate::setup::Purpose;
use crate::workspace::Workspace;
use crate::{command, setup, site};

/// Builds the site, then the server, each with a cargo call of its own.
pub fn build(workspace: &Workspace, release: bool) -> Outcome {
    site::build(workspace)?;
    let mut cargo = command::cargo(workspace, ["build", "--package", "server", "--locked"]);
    if release {
        cargo.arg("--release");
    }
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
