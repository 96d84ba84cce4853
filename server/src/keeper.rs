//! Keeps the private Postgres of a server running: one that was killed, by the system for want of memory or by
//! hand, is started again at the same address. Connections find it there by themselves.

use std::{
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::Duration,
};

use postgres::Cluster;

/// How often it is looked whether it runs.
const LOOK: Duration = Duration::from_millis(500);
/// After a start that failed it is tried again this much later, and each time after twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// But never later than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A Postgres that is looked after.
pub struct Keeper {
    joined: bool,
    enough: Sender<()>,
    thread: JoinHandle<Cluster>,
}

impl Keeper {
    /// Begins to look after it. One that another program started is that program's to start again.
    pub fn of(cluster: Cluster) -> Self {
        let (enough, told) = mpsc::channel();
        let joined = cluster.joined();
        let thread = std::thread::spawn(move || keep(cluster, &told));
        Self { joined, enough, thread }
    }

    /// Whether another program started it, and may stop it.
    pub const fn joined(&self) -> bool {
        self.joined
    }

    /// Ends that: it is stopped by whoever asks. Waits for a start that has begun.
    pub fn hand_over(self) -> Option<Cluster> {
        let _gone = self.enough.send(());
        self.thread.join().ok()
    }
}

fn keep(mut cluster: Cluster, told: &mpsc::Receiver<()>) -> Cluster {
    let mut wait = LOOK;
    let mut pause = FIRST_PAUSE;
    // Told, or nobody is left who could.
    while told.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        wait = LOOK;
        if cluster.joined() || cluster.pid().is_some() {
            continue;
        }
        tracing::error!("the private Postgres has ended without being asked to: it is started again");
        match cluster.restart_immediate() {
            Ok(()) => {
                tracing::info!("the private Postgres runs again");
                pause = FIRST_PAUSE;
            }
            Err(error) => {
                tracing::error!(%error, again_in = ?pause, "the private Postgres does not start");
                wait = pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    cluster
}
