//! Records that are composed and not written yet: one write for all whose calls are ready at once.
//!
//! A crowd of calls comes in with one look at the network. Each takes its record down and lets the
//! others go first; then the first of them writes what all have gathered. What is sent on for them
//! afterwards goes out in one go, too, and whoever receives it is woken once instead of every time.

use std::{
    collections::HashSet,
    future::poll_fn,
    io,
    task::{Context, Poll},
};

/// A record that is written, or will be when its turn has come.
#[derive(Debug)]
#[must_use = "nothing may be sent before it is written"]
pub struct Written(Option<u64>);

impl Written {
    /// It is.
    pub const fn now() -> Self {
        Self(None)
    }

    /// It will be.
    pub const fn later(number: u64) -> Self {
        Self(Some(number))
    }

    /// Its number, if it is still to be waited for.
    pub const fn number(&self) -> Option<u64> {
        self.0
    }
}

/// Records in the order they are to be written.
#[derive(Debug, Default)]
pub struct Gathered {
    bytes: Vec<u8>,
    /// How many were ever added.
    added: u64,
    /// How many of those are not here any more.
    gone: u64,
    /// Those that could not be written, until somebody has asked.
    failed: HashSet<u64>,
}

impl Gathered {
    /// What is to be written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds a record; returns its number.
    pub fn add(&mut self, record: &[u8]) -> u64 {
        self.bytes.extend_from_slice(record);
        self.added += 1;
        self.added
    }

    /// Whether it is still here.
    pub const fn holds(&self, number: u64) -> bool {
        number > self.gone
    }

    /// Everything was written, or nothing was.
    pub fn done(&mut self, well: bool) {
        if !well {
            self.failed.extend(self.gone + 1..=self.added);
        }
        self.gone = self.added;
        self.bytes.clear();
    }

    /// What became of a record that is not here any more.
    ///
    /// # Errors
    /// When it could not be written. It is said once.
    pub fn outcome(&mut self, number: u64) -> io::Result<()> {
        match !self.failed.is_empty() && self.failed.remove(&number) {
            true => Err(io::Error::other("what was gathered could not be written")),
            false => Ok(()),
        }
    }
}

/// Lets everybody else go first who can go on right now.
pub fn turn() -> impl Future<Output = ()> {
    let mut waited = false;
    poll_fn(move |cx: &mut Context<'_>| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}
