//! A private Postgres: found, initialized, started, joined and stopped by us.
//!
//! Bursar needs one Postgres and nothing else. Whoever has one says so with `DATABASE_URL`; for
//! everybody else, and for every test, this package runs one of its own: the programs of an
//! installed Postgres, a data folder, and a Unix socket in a folder that only its owner can enter.
//! No port is opened, so there is no password to invent and none to lose.
//!
//! It blocks and depends on the standard library alone. What is absent on purpose: a connection to
//! Postgres (that is the `store`'s), and any use of a server that merely happens to run.
//!
//! ```no_run
//! use postgres::{Cluster, Options, Programs};
//!
//! let programs = Programs::find()?;
//! let cluster = Cluster::start(&programs, "data/postgres".as_ref(), Options::default())?;
//! println!("{}", cluster.url("bursar"));
//! cluster.stop()?;
//! # Ok::<(), postgres::Error>(())
//! ```

mod cluster;
mod error;
mod folder;
mod postmaster;
mod programs;
mod run_as;
mod server;
mod socket;
mod watchdog;

pub use cluster::{Cluster, Options};
pub use error::Error;
pub use programs::Programs;
