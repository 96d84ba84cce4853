//! The directory of people: which of them, in which order.

use serde::{Deserialize, Serialize};

use crate::{
    ids::GroupId,
    users::{Role, UserStatus},
    words::words,
};

words! {
    /// What people are put in order by.
    Sort("order") {
        /// Their names.
        Name = "name",
        /// Where they stand: active, inactive, invited, suspended.
        Status = "status",
        /// What they spent this month.
        Spend = "spend",
        /// The monthly limit that applies; without one comes after every other.
        Limit = "limit",
        /// Spend as a share of that limit; without one comes before every other.
        Used = "used",
        /// Their last call; never comes before every other.
        LastCall = "last_call",
    }
}

words! {
    /// How somebody's month stands to their limit.
    Standing("limit") {
        /// No limit applies.
        None = "none",
        /// At 80 % or more, with something left.
        Near = "near",
        /// Nothing left.
        Over = "over",
    }
}

/// Which people. Everything that is not set lets everybody through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Part of a name or email address.
    pub search: String,
    /// Where they stand.
    pub status: Option<UserStatus>,
    /// Members of this group or of one below it.
    pub group: Option<GroupId>,
    /// What they may do in the console.
    pub role: Option<Role>,
    /// How their month stands to their limit.
    pub limit: Option<Standing>,
}

impl Filter {
    /// From the words of an address. A word that is none is left out: an old link shows more, not
    /// an error.
    pub fn read(search: &str, status: &str, group: &str, role: &str, limit: &str) -> Self {
        Self {
            search: search.trim().to_owned(),
            status: status.parse().ok(),
            group: group.parse().ok(),
            role: role.parse().ok(),
            limit: limit.parse().ok(),
        }
    }

    /// Whether it lets everybody through.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
