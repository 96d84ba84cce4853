//! The tenant.

use chrono::Weekday;
use serde::{Deserialize, Serialize};

use crate::{ids::OrgId, money::Money, words::words};

words! {
    /// The day a week starts on.
    WeekStart("day") {
        /// Monday.
        Monday = "monday",
        /// Tuesday.
        Tuesday = "tuesday",
        /// Wednesday.
        Wednesday = "wednesday",
        /// Thursday.
        Thursday = "thursday",
        /// Friday.
        Friday = "friday",
        /// Saturday.
        Saturday = "saturday",
        /// Sunday.
        Sunday = "sunday",
    }
}

impl From<WeekStart> for Weekday {
    fn from(day: WeekStart) -> Self {
        match day {
            WeekStart::Monday => Self::Mon,
            WeekStart::Tuesday => Self::Tue,
            WeekStart::Wednesday => Self::Wed,
            WeekStart::Thursday => Self::Thu,
            WeekStart::Friday => Self::Fri,
            WeekStart::Saturday => Self::Sat,
            WeekStart::Sunday => Self::Sun,
        }
    }
}

words! {
    /// The status a spent budget is answered with, for clients that insist.
    BudgetStatus("status") {
        /// 402 Payment Required: the default, never retried by the official SDKs.
        PaymentRequired = "402",
        /// 429 Too Many Requests.
        TooManyRequests = "429",
        /// 403 Forbidden.
        Forbidden = "403",
    }
}

impl BudgetStatus {
    /// As an HTTP status.
    pub const fn code(self) -> u16 {
        match self {
            Self::PaymentRequired => 402,
            Self::TooManyRequests => 429,
            Self::Forbidden => 403,
        }
    }
}

/// What members may do by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersMay {
    /// Open a private context of their own in a group of theirs.
    pub applications: bool,
    /// Ask for models.
    pub requests: bool,
}

impl Default for MembersMay {
    fn default() -> Self {
        Self { applications: true, requests: true }
    }
}

/// What goes when an organization is deleted, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weight {
    /// People.
    pub users: i64,
    /// Groups.
    pub groups: i64,
    /// Applications, with their keys.
    pub applications: i64,
    /// Secrets that live.
    pub secrets: i64,
    /// Models in the catalogue.
    pub models: i64,
    /// Calls in the ledger.
    pub calls: i64,
    /// What they cost.
    pub spend: Money,
    /// Lines of the audit log.
    pub changes: i64,
}

/// The settings of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Its id.
    pub id: OrgId,
    /// What it is called.
    pub name: String,
    /// A name of the time zone database.
    pub time_zone: String,
    /// The first day of a week.
    pub week_start: WeekStart,
    /// Monthly spend of a user without a limit of their own; none: no limit.
    pub default_user_limit: Option<Money>,
    /// How a spent budget is answered.
    pub budget_status: BudgetStatus,
    /// Whom a refused caller should ask, when no lead or admin is nearer.
    pub contact: Option<String>,
    /// What members may do by themselves.
    pub members: MembersMay,
    /// Counts up with every change; a form that shows an older one is refused.
    pub version: i64,
}
