//! Throw-away Postgres servers for tools and tests.

use std::path::PathBuf;
use std::thread::park;

use postgres::{Cluster, Programs};

use crate::outcome::{Outcome, fail};
use crate::workspace::Workspace;
use crate::{command, files};

/// The name of the database the migrations are applied to.
const NAME: &str = "bursar";

/// Starts a server that is gone with us, and says which programs it is made of.
pub fn start(max_connections: u32) -> Outcome<(Programs, Cluster)> {
    let programs = Programs::find()?;
    let cluster = Cluster::temporary(&programs, max_connections)?;
    Ok((programs, cluster))
}

/// The same with a database that has every migration, and its address.
pub fn migrated(workspace: &Workspace) -> Outcome<(Cluster, String)> {
    let (programs, cluster) = start(300)?;
    let url = create(workspace, &cluster, NAME)?;
    let psql = client(&programs, "psql")?;
    let migrations = migrations(workspace)?;
    eprintln!("applying {} migrations to a throw-away Postgres", migrations.len());
    for migration in &migrations {
        let mut apply = command::new(workspace, &psql);
        apply.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
        if !files::read_text(migration)?.starts_with("-- no-transaction") {
            apply.arg("--single-transaction");
        }
        apply.arg("--file").arg(migration).arg(&url).env("PGOPTIONS", "-c client_min_messages=warning");
        let advice = format!("Mend {}.", workspace.short(migration).display());
        command::run_quietly(workspace, &mut apply, &advice)?;
    }
    Ok((cluster, url))
}

/// Makes an empty database in a server; returns its address.
pub fn create(workspace: &Workspace, cluster: &Cluster, name: &str) -> Outcome<String> {
    let mut create = command::new(workspace, client(&Programs::find()?, "createdb")?);
    // This program takes an address only where it takes a name to connect to.
    create.arg("--maintenance-db").arg(cluster.url("postgres")).arg(name);
    command::run_quietly(workspace, &mut create, "Reinstall Postgres' client programs.")?;
    Ok(cluster.url(name))
}

/// Every migration, in the order they are applied.
pub fn migrations(workspace: &Workspace) -> Outcome<Vec<PathBuf>> {
    files::with_extension(&workspace.root.join("migrations"), "sql")
}

/// Prints the address of a migrated database and keeps it until Ctrl-C. That ends us at once; the
/// server and its data are cleared away by the watchdog that comes with it.
pub fn until_interrupted(workspace: &Workspace) -> Outcome {
    let (_cluster, url) = migrated(workspace)?;
    println!("{url}");
    eprintln!("It is gone with Ctrl-C.");
    loop {
        park();
    }
}

fn client(programs: &Programs, name: &str) -> Outcome<PathBuf> {
    let beside = programs.folder().join(name);
    if beside.is_file() {
        return Ok(beside);
    }
    match command::on_path(name) {
        Some(found) => Ok(found),
        None => fail(format!(
            "The program `{name}` is missing: install the client programs of Postgres (on Debian, \
             `apt-get install postgresql-client`)."
        )),
    }
}
