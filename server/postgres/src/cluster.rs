use std::fs;
use std::path::{Path, PathBuf};

use crate::run_as::RunAs;
use crate::server::{START_LIMIT, Server};
use crate::{Error, Programs, folder, postmaster, socket};

/// How to run a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether what is committed survives a power cut. False only for data nobody will miss: it
    /// makes tests several times faster.
    pub durable: bool,
    /// How many connections may be open at a time.
    pub max_connections: u32,
    /// Whether the server stops when our process ends, however it ends, `kill -9` included.
    pub die_with_parent: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { durable: true, max_connections: 100, die_with_parent: true }
    }
}

/// A Postgres server on a data folder: one we started, or one we found running and joined.
///
/// Dropping it stops the server if we started it.
#[derive(Debug)]
pub struct Cluster {
    data: PathBuf,
    socket_folder: PathBuf,
    port: u16,
    /// Absent when another program started the server.
    server: Option<Server>,
}

impl Cluster {
    /// Starts a server on the data folder, or joins the one that runs there already.
    ///
    /// A missing or empty folder is initialized first: UTF-8, names compared byte by byte, and
    /// everybody trusted who can reach the Unix socket, which only the owner of its folder can.
    /// As root, the programs and the folder belong to user `postgres`. Returns when the server
    /// accepts connections.
    ///
    /// # Errors
    /// [`Error::Folder`] if the folder belongs to somebody else, cannot be entered or written,
    /// holds something else, or was made by another major version; [`Error::NoUser`] for root
    /// without a user `postgres`; [`Error::Failed`] with the end of the server's log if it does
    /// not start; [`Error::Io`] for anything the operating system refuses.
    pub fn start(programs: &Programs, data_dir: &Path, options: Options) -> Result<Cluster, Error> {
        let run_as = RunAs::choose()?;
        let data = folder::prepare(data_dir, &run_as)?;
        let _turn = folder::take_turn(&data)?;
        if let Some(cluster) = Cluster::join(&data) {
            return Ok(cluster);
        }
        if let Some(dead) = postmaster::read(&data) {
            socket::remove_left_over(&dead.socket_folder, &run_as);
        }
        folder::initialize(&data, programs, &run_as, options.durable)?;
        let socket_folder = socket::create_folder(&run_as)?;
        Cluster::start_in(programs, run_as, data, socket_folder, &options)
    }

    /// Starts a server that is gone without a trace when it is stopped or we end: its data lives
    /// in the socket folder and nothing waits for the disk. For tests and tools.
    ///
    /// # Errors
    /// Those of [`Cluster::start`], except the ones about a given folder.
    pub fn temporary(programs: &Programs, max_connections: u32) -> Result<Cluster, Error> {
        let options = Options { durable: false, max_connections, die_with_parent: true };
        let run_as = RunAs::choose()?;
        let socket_folder = socket::create_folder(&run_as)?;
        let made = folder::prepare(&socket_folder.join("data"), &run_as)
            .and_then(|data| {
                folder::initialize(&data, programs, &run_as, options.durable)?;
                Ok(data)
            })
            .inspect_err(|_| socket::remove_left_over(&socket_folder, &run_as))?;
        Cluster::start_in(programs, run_as, made, socket_folder, &options)
    }

    fn start_in(
        programs: &Programs,
        run_as: RunAs,
        data: PathBuf,
        socket_folder: PathBuf,
        options: &Options,
    ) -> Result<Cluster, Error> {
        let server = Server::start(programs, run_as, &data, &socket_folder, options)
            .inspect_err(|_| socket::remove_left_over(&socket_folder, &run_as))?;
        Ok(Cluster { data, socket_folder, port: socket::PORT, server: Some(server) })
    }

    /// Joins the server that runs on the data folder, once it is ready. None if there is none, or
    /// if the folder may not be read.
    pub fn join(data_dir: &Path) -> Option<Cluster> {
        let data = fs::canonicalize(data_dir).ok()?;
        let found = postmaster::ready(&data, START_LIMIT)?;
        Some(Cluster { data, socket_folder: found.socket_folder, port: found.port, server: None })
    }

    /// Whether another program started this server, so that it also decides when it ends.
    pub fn joined(&self) -> bool {
        self.server.is_none()
    }

    /// The real path of the data folder.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The folder of the Unix socket.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_folder
    }

    /// The number of the server's first process; none if it does not run.
    pub fn pid(&mut self) -> Option<u32> {
        match &mut self.server {
            Some(server) => server.is_running().then(|| server.pid()),
            None => postmaster::live(&self.data).map(|found| found.pid),
        }
    }

    /// The address of a database of this server, as sqlx and libpq understand it, for example
    /// `postgres://postgres@localhost/bursar?host=/tmp/bursar-pg-1a2b3c4d`.
    ///
    /// The database is not created by asking for its address.
    pub fn url(&self, database: &str) -> String {
        socket::url(&self.socket_folder, self.port, database)
    }

    /// Stops the server as a crash would and starts it again at the same address, to see how
    /// others bear it. Also starts a server that was killed.
    ///
    /// # Errors
    /// [`Error::NotOurs`] for a joined server, and what [`Cluster::start`] says of a server that
    /// does not start.
    pub fn restart_immediate(&mut self) -> Result<(), Error> {
        match &mut self.server {
            Some(server) => server.restart_immediate(),
            None => Err(Error::NotOurs(self.data.clone())),
        }
    }

    /// Stops the server and removes its socket folder, if we started it; returns when it is done.
    /// Connections are ended, what is committed is kept.
    ///
    /// # Errors
    /// [`Error::Io`] if the process cannot be waited for or the folder cannot be removed.
    pub fn stop(mut self) -> Result<(), Error> {
        match self.server.take() {
            Some(server) => server.stop(),
            None => Ok(()),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            // There is nobody to tell; the watchdog cleans up after us where there is one.
            let _ = server.stop();
        }
    }
}
