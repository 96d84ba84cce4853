//! The directory of people: which of them, in which order.

use serde::{Deserialize, Serialize};

use crate::{
    ids::GroupId,
    money::Money,
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
        /// The first of their own groups by name; without one comes after every other.
        Groups = "groups",
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
    /// What they spent this month, compared with amounts.
    #[serde(default)]
    pub month: Between,
    /// The monthly limit that applies, compared with amounts. No limit is more than any.
    #[serde(default)]
    pub cap: Between,
}

/// Amounts that a figure is compared with. One that is not set lets everything through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Between {
    /// The figure is greater.
    pub over: Option<Money>,
    /// The figure is less.
    pub under: Option<Money>,
}

impl Between {
    /// Whether a figure lies there; none is greater than any amount.
    pub fn holds(self, figure: Option<Money>) -> bool {
        self.over.is_none_or(|over| figure.is_none_or(|figure| figure > over))
            && self.under.is_none_or(|under| figure.is_some_and(|figure| figure < under))
    }

    fn read(over: &str, under: &str) -> Self {
        Self { over: over.trim().parse().ok(), under: under.trim().parse().ok() }
    }
}

/// What an address says about whom to show, word by word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Words {
    /// Part of a name or email address.
    pub q: String,
    /// Where they stand.
    pub status: String,
    /// Members of this group or of one below it: its id, or words for it.
    pub group: String,
    /// What they may do in the console.
    pub role: String,
    /// How their month stands to their limit.
    pub limit: String,
    /// They spent more than this many dollars this month.
    pub month_over: String,
    /// They spent less.
    pub month_under: String,
    /// Their monthly limit is more than this many dollars, or there is none.
    pub limit_over: String,
    /// It is less.
    pub limit_under: String,
}

impl Words {
    /// What the words are called, in the order of the chips.
    pub const NAMES: [&str; 9] =
        ["q", "status", "group", "role", "limit", "month_over", "month_under", "limit_over", "limit_under"];
    /// Those of them that are amounts.
    pub const AMOUNTS: [&str; 4] = ["month_over", "month_under", "limit_over", "limit_under"];

    /// From whatever knows values by their names.
    pub fn read(value: impl Fn(&str) -> String) -> Self {
        let [q, status, group, role, limit, month_over, month_under, limit_over, limit_under] =
            Self::NAMES.map(value);
        Self { q, status, group, role, limit, month_over, month_under, limit_over, limit_under }
    }

    /// What stands where an amount should and is none.
    pub fn not_amounts(&self) -> Vec<&str> {
        [&self.month_over, &self.month_under, &self.limit_over, &self.limit_under]
            .into_iter()
            .map(|text| text.trim())
            .filter(|text| !text.is_empty() && text.parse::<Money>().is_err())
            .collect()
    }

    /// What stands where one of a few words should and is none of them: what is chosen there, and what
    /// stands there.
    pub fn not_words(&self) -> Vec<(&'static str, &str)> {
        [
            ("status", &self.status, self.status.parse::<UserStatus>().is_err()),
            ("role", &self.role, self.role.parse::<Role>().is_err()),
            ("limit", &self.limit, self.limit.parse::<Standing>().is_err()),
        ]
        .into_iter()
        .filter(|(_, text, wrong)| !text.is_empty() && *wrong)
        .map(|(what, text, _)| (what, text.as_str()))
        .collect()
    }
}

impl Filter {
    /// From the words of an address, with the group's id for what it is called. A word that is none is
    /// left out, as a page that says so may: an old link shows more, not an error.
    pub fn read(words: &Words) -> Self {
        Self {
            search: words.q.trim().to_owned(),
            status: words.status.parse().ok(),
            group: words.group.parse().ok(),
            role: words.role.parse().ok(),
            limit: words.limit.parse().ok(),
            month: Between::read(&words.month_over, &words.month_under),
            cap: Between::read(&words.limit_over, &words.limit_under),
        }
    }

    /// Whether it lets everybody through.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
