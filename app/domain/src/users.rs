//! People.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    groups::{Source, Standing},
    ids::{GroupId, UserId},
    money::Money,
    words::words,
};

words! {
    /// What somebody may do in the console. Never which models they may use.
    Role("role") {
        /// Everything, handing the organization over included.
        Owner = "owner",
        /// Everything but that.
        Admin = "admin",
        /// Reads everything, changes nothing.
        Auditor = "auditor",
        /// Their own things, and the groups they lead.
        Member = "member",
    }
}

words! {
    /// Where somebody stands.
    UserStatus("status") {
        /// Can make a call now: has a live secret of a live key.
        Active = "active",
        /// Cannot: no live secret.
        Inactive = "inactive",
        /// Has not accepted the invitation yet.
        Invited = "invited",
        /// Suspended: every secret is dead, and sign-in is refused.
        Suspended = "suspended",
    }
}

/// A group as a badge beside a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Badge {
    /// Which group.
    pub group: GroupId,
    /// Its name.
    pub name: String,
    /// What the person is in it.
    pub standing: Standing,
    /// Who put them there.
    pub source: Source,
    /// When the membership ends by itself.
    pub ends_at: Option<DateTime<Utc>>,
    /// Belongs only through a group below.
    pub inherited: bool,
}

/// A line of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRow {
    /// Who.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// Their email address.
    pub email: String,
    /// What they may do in the console.
    pub role: Role,
    /// Where they stand.
    pub status: UserStatus,
    /// Their groups.
    pub groups: Vec<Badge>,
    /// What they spent this month, anywhere.
    pub spend: Money,
    /// Held by calls in flight.
    pub held: Money,
    /// Their own monthly limit.
    pub own_limit: Option<Money>,
    /// Their last call.
    pub last_call: Option<DateTime<Utc>>,
    /// When they were invited.
    pub invited_at: Option<DateTime<Utc>>,
    /// Counts up with every change.
    pub version: i64,
}

impl UserRow {
    /// The monthly limit that applies, given the organization's default.
    pub fn limit(&self, default: Option<Money>) -> Option<Money> {
        self.own_limit.or(default)
    }
}
