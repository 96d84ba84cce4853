//! Everything this machine must have, and nothing it has already.

use clap::ValueEnum;
use postgres::Programs;

use crate::outcome::Outcome;
use crate::workspace::Workspace;
use crate::{apt, command, node, python, wasm};

/// What the set-up is for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Purpose {
    /// Building and running the server.
    Run,
    /// That, and every test.
    Test,
}

/// Installs what is missing for this purpose.
pub fn everything(workspace: &Workspace, purpose: Purpose) -> Outcome {
    let mut packages = node::missing_node();
    packages.extend(missing_postgres());
    if purpose == Purpose::Test {
        packages.extend(node::missing_chromium()?);
        packages.extend(python::missing(workspace));
    }
    apt::install(workspace, &packages)?;
    Programs::find()?;
    wasm::set_up(workspace)?;
    node::install_packages(workspace)?;
    if purpose == Purpose::Test {
        python::install_packages(workspace)?;
    }
    Ok(())
}

/// Installs what measuring needs: a Postgres, and the programs that pin a process to a core.
pub fn measuring(workspace: &Workspace) -> Outcome {
    let mut packages = missing_postgres();
    if ["taskset", "prlimit"].iter().any(|program| command::on_path(program).is_none()) {
        packages.push("util-linux".to_owned());
    }
    apt::install(workspace, &packages)?;
    Programs::find()?;
    Ok(())
}

fn missing_postgres() -> Vec<String> {
    // A wrong BURSAR_POSTGRES_BIN is a mistake to be told, not a package to be installed.
    let missing = Programs::find().is_err() && std::env::var_os("BURSAR_POSTGRES_BIN").is_none();
    if missing { vec!["postgresql".to_owned()] } else { Vec::new() }
}
