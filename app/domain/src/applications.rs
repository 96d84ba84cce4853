//! Applications: what calls models. The unit of attribution.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{ApplicationId, GroupId, KeyId, UserId},
    money::Money,
};

/// A line of the list of applications.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationRow {
    /// Its id.
    pub id: ApplicationId,
    /// What it is called.
    pub name: String,
    /// The group it lives in.
    pub group: GroupId,
    /// That group's path as text.
    pub group_path: String,
    /// Whose private context it is.
    pub personal: Option<UserId>,
    /// Live secrets of its key.
    pub secrets: i64,
    /// Spent this month.
    pub spend: Money,
    /// Its own monthly cap, if it has one.
    pub cap: Option<Money>,
    /// Its last call.
    pub last_call: Option<DateTime<Utc>>,
    /// What of it nobody has used for long.
    pub unused: Unused,
    /// Whether it has no owner, and nobody leads its group or one above it.
    pub unanswered: bool,
}

/// What nobody has used for [`crate::keys::UNUSED_DAYS`] days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unused {
    /// Nothing.
    #[default]
    No,
    /// So many of the live secrets of services, beside others that are used.
    Services(i64),
    /// Every live secret of its key.
    Whole,
}

/// One application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// From the root to its group.
    pub path: Vec<(GroupId, String)>,
    /// Whose private context it is.
    pub personal: Option<UserId>,
    /// Who answers for it: id and name.
    pub owner: Option<(UserId, String)>,
    /// Whether they are suspended.
    pub owner_away: bool,
    /// Labels a call may carry.
    pub use_cases: Vec<String>,
    /// Its one key.
    pub key: KeyId,
    /// Archived since.
    pub archived_at: Option<DateTime<Utc>>,
    /// Counts up with every change.
    pub version: i64,
}
