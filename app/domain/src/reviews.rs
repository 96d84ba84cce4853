//! Looks at who still needs what. Whoever answers for a group confirms or drops each membership, grant
//! and secret until a day; what nobody confirmed is listed, and grants of high-cost models lapse.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{GroupId, ReviewId, ReviewItemId, UserId},
    words::words,
};

/// For how many days a review can be open at most.
pub const DAYS_MAX: i64 = 366;

words! {
    /// What is looked at.
    ItemKind("kind") {
        /// Somebody's membership.
        Member = "member",
        /// A model that was agreed to.
        Grant = "grant",
        /// A secret that lives.
        Secret = "secret",
    }
}

words! {
    /// What was said about it.
    ItemState("state") {
        /// Nothing yet.
        Waiting = "waiting",
        /// Still needed.
        Confirmed = "confirmed",
        /// Not needed: it ended at once.
        Dropped = "dropped",
        /// Nobody said anything until the day, and it was a grant of a high-cost model.
        Lapsed = "lapsed",
    }
}

words! {
    /// What is said about it.
    Verdict("verdict") {
        /// Still needed.
        Confirm = "confirm",
        /// Not needed: it ends at once.
        Drop = "drop",
    }
}

/// What becomes of something nobody confirmed until the day.
pub const fn unconfirmed(kind: ItemKind, high_cost: bool) -> ItemState {
    match (kind, high_cost) {
        (ItemKind::Grant, true) => ItemState::Lapsed,
        _ => ItemState::Waiting,
    }
}

/// How far a review is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Everything there is to look at.
    pub all: i64,
    /// Confirmed.
    pub confirmed: i64,
    /// Dropped.
    pub dropped: i64,
    /// Lapsed by themselves.
    pub lapsed: i64,
}

impl Progress {
    /// What somebody said something about.
    pub const fn decided(&self) -> i64 {
        self.confirmed + self.dropped
    }

    /// What nobody said anything about.
    pub const fn waiting(&self) -> i64 {
        self.all - self.confirmed - self.dropped - self.lapsed
    }
}

/// A review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Its id.
    pub id: ReviewId,
    /// Of which group.
    pub group: GroupId,
    /// Its path as text.
    pub path: String,
    /// Whether the groups below are looked at, too.
    pub below: bool,
    /// The last day.
    pub due_on: NaiveDate,
    /// Who opened it.
    pub opened_by: String,
    /// Who that was; none where nobody wrote it down.
    pub opened_by_id: Option<UserId>,
    /// When.
    pub opened_at: DateTime<Utc>,
    /// When it ended.
    pub closed_at: Option<DateTime<Utc>>,
    /// Who ended it before its day, without any consequence.
    pub cancelled_by: Option<String>,
    /// How far it is.
    pub progress: Progress,
}

/// A line of a review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: ReviewItemId,
    /// What it is.
    pub kind: ItemKind,
    /// The group it is in: its path at that time.
    pub place: String,
    /// The person, where there is one.
    pub user: Option<UserId>,
    /// The person, the model, or the secret's hint.
    pub name: String,
    /// What more there is to say.
    pub detail: String,
    /// When it was used last.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Whether it opens a high-cost model.
    pub high_cost: bool,
    /// What was said about it.
    pub state: ItemState,
    /// By whom.
    pub decided_by: Option<String>,
    /// It waits, and what it is about has ended: it can only be dropped.
    pub gone: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grants_of_high_cost_models_lapse_by_themselves() {
        for (kind, high_cost, state) in [
            (ItemKind::Grant, true, ItemState::Lapsed),
            (ItemKind::Grant, false, ItemState::Waiting),
            (ItemKind::Member, true, ItemState::Waiting),
            (ItemKind::Member, false, ItemState::Waiting),
            (ItemKind::Secret, true, ItemState::Waiting),
            (ItemKind::Secret, false, ItemState::Waiting),
        ] {
            assert_eq!(unconfirmed(kind, high_cost), state, "{kind} {high_cost}");
        }
    }
}
