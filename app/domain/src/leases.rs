//! Leases: what one replica may let through of a window without asking, and its arithmetic.
//!
//! A lease was set aside for this replica in the books that all replicas share. Calls in flight hold
//! some of it, finished calls have used some of it; the rest is free. Nothing goes upstream that
//! does not fit into what is free, so that all replicas together never go beyond the cap.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    limits::{Bucket, Level, Shortage},
    money::Money,
};

/// What a call needs of one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Of which window.
    pub bucket: Bucket,
    /// At most so much.
    pub amount: i64,
    /// The cap.
    pub cap: i64,
    /// Whether it refuses, or only takes note.
    pub enforced: bool,
}

/// A window without room for a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// Which of the claims.
    pub claim: Claim,
    /// The level it met.
    pub level: Level,
    /// Whether waiting for calls in flight would help.
    pub shortage: Shortage,
}

/// A process that lets calls through, and what it has leased of one organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Which.
    pub replica: Uuid,
    /// When it was last heard of.
    pub heard_at: Option<DateTime<Utc>>,
    /// Whether that is so long ago that it is taken for dead.
    pub lost: bool,
    /// On how many windows.
    pub leases: i64,
    /// What is set aside for it, of the widest limit on money.
    pub money: Money,
    /// The part of that which its calls in flight held, as it last said.
    pub held: Money,
    /// Calls in flight that it had told of.
    pub calls: i64,
    /// What those can cost at most.
    pub cost: Money,
}

/// A replica's lease on one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// What was set aside.
    pub granted: i64,
    /// What calls in flight hold of it.
    pub reserved: i64,
    /// What finished calls have used of it that is not in the shared books yet.
    pub spent: i64,
    /// What the shared books had settled, when last heard.
    pub settled: i64,
    /// What was set aside for other replicas, when last heard.
    pub others: i64,
    /// The part of that which does not come back soon: its replicas are gone.
    pub lost: i64,
}

impl Lease {
    /// What another call may take. Below zero after a call that used more than it held.
    pub const fn free(&self) -> i64 {
        self.granted - self.reserved - self.spent
    }

    /// What has to stay set aside.
    pub const fn bound(&self) -> i64 {
        self.reserved + self.spent
    }

    /// What is used and held of the window, as far as this replica knows.
    pub const fn level(&self) -> Level {
        Level {
            settled: self.settled + self.spent + self.lost,
            held: self.reserved + self.others - self.lost,
        }
    }

    /// A call holds this much from now on. The caller has looked that it is free.
    pub const fn reserve(&mut self, amount: i64) {
        self.reserved += amount;
    }

    /// A call is over: what it held is free again, but for what it used.
    pub const fn settle(&mut self, held: i64, used: i64) {
        self.reserved -= held;
        self.spent += used;
    }

    /// What was used goes to the shared books: it is taken out of what was set aside, as far as
    /// that is not held by calls in flight. Returns how much is.
    pub fn begin_booking(&mut self, used: i64) -> i64 {
        let taken = used.min((self.granted - self.reserved).max(0));
        self.granted -= taken;
        self.spent -= used;
        taken
    }

    /// The shared books have it.
    pub const fn booked(&mut self, used: i64) {
        self.settled += used;
    }

    /// The shared books could not be reached: as if nothing had been begun.
    pub const fn booking_failed(&mut self, used: i64, taken: i64) {
        self.granted += taken;
        self.spent += used;
    }

    /// Takes what is free out of this replica's hands, before it is given back. What remains.
    pub fn let_go(&mut self) -> i64 {
        self.granted = self.granted.min(self.bound()).max(0);
        self.granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_did_not_use_is_free_again() {
        let mut lease = Lease { granted: 100, ..Lease::default() };
        lease.reserve(60);
        assert_eq!(lease.free(), 40);
        lease.settle(60, 10);
        assert_eq!(lease.free(), 90);
        assert_eq!(lease.level(), Level { settled: 10, held: 0 });
    }

    #[test]
    fn booking_moves_what_was_used_and_leaves_what_is_free_alone() {
        let mut lease = Lease { granted: 100, ..Lease::default() };
        lease.reserve(60);
        lease.settle(60, 10);
        lease.reserve(30);
        let before = lease.free();
        let taken = lease.begin_booking(10);
        lease.booked(10);
        assert_eq!((taken, lease.free(), lease.granted), (10, before, 90));
        assert_eq!(lease.level(), Level { settled: 10, held: 30 });
    }

    #[test]
    fn a_booking_that_failed_never_was() {
        let mut lease = Lease { granted: 100, ..Lease::default() };
        lease.reserve(60);
        lease.settle(60, 10);
        let before = lease;
        let taken = lease.begin_booking(10);
        lease.booking_failed(10, taken);
        assert_eq!(lease, before);
    }

    #[test]
    fn a_call_that_used_more_than_it_held_does_not_take_from_calls_in_flight() {
        let mut lease = Lease { granted: 100, ..Lease::default() };
        lease.reserve(50);
        lease.reserve(50);
        lease.settle(50, 70);
        assert_eq!(lease.free(), -20, "nobody gets in");
        assert_eq!(lease.begin_booking(70), 50, "the other call's half stays set aside");
        assert_eq!((lease.granted, lease.reserved, lease.free()), (50, 50, 0));
    }

    #[test]
    fn letting_go_keeps_what_is_bound() {
        let mut lease = Lease { granted: 100, ..Lease::default() };
        lease.reserve(30);
        lease.settle(10, 5);
        assert_eq!(lease.let_go(), 25);
        assert_eq!(lease.free(), 0);
    }
}
