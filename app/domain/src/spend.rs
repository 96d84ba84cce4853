//! Spend as pages show it.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{ApplicationId, CallId, GroupId, ModelId, UserId},
    limits::{Level, Limit},
    money::Money,
    usage::Usage,
    window::Span,
    words::words,
};

words! {
    /// How a call ended.
    Outcome("outcome") {
        /// Answered.
        Ok = "ok",
        /// The upstream refused or broke.
        UpstreamError = "upstream_error",
        /// The caller hung up; what was used is on the books.
        HungUp = "hung_up",
        /// Nobody knows how it ended: the process died. Booked at what was held.
        Lost = "lost",
    }
}

words! {
    /// Which of the two true answers to "what did this group spend".
    View("view") {
        /// By the applications of the group: every cent once.
        Attributed = "attributed",
        /// By the people who were members when they called, wherever they called from.
        Members = "members",
    }
}

/// A limit with its level now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitLevel {
    /// The limit.
    pub limit: Limit,
    /// What its scope is called.
    pub scope_name: String,
    /// What is used and held.
    pub level: Level,
    /// When the current window started.
    pub starts_at: DateTime<Utc>,
    /// When it ends.
    pub ends_at: Option<DateTime<Utc>>,
    /// Counts up with every change; none for the default user limit.
    pub version: Option<i64>,
}

impl LimitLevel {
    /// Settled use in per cent of the cap, rounded down, so that 100 means spent.
    pub fn percent(&self) -> i64 {
        percent(self.level.settled, self.limit.cap)
    }

    /// Its window.
    pub fn span(&self) -> Span {
        Span { start: self.starts_at, end: self.ends_at }
    }
}

/// `used` in per cent of `cap`, rounded down. Of a cap of zero, any use is all of it.
pub fn percent(used: i64, cap: i64) -> i64 {
    if cap <= 0 {
        return if used > 0 { 100 } else { 0 };
    }
    i64::try_from(i128::from(used) * 100 / i128::from(cap)).unwrap_or(i64::MAX)
}

/// Sums over some calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Finished calls.
    pub calls: i64,
    /// Refused calls.
    pub refused: i64,
    /// What they cost.
    pub spend: Money,
    /// Input tokens.
    pub input_tokens: i64,
    /// Output tokens.
    pub output_tokens: i64,
}

/// One line of a breakdown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice<Id> {
    /// Which; none for what has no such thing (calls without a person).
    pub id: Option<Id>,
    /// What it is called.
    pub name: String,
    /// This window.
    pub now: Sums,
    /// The same stretch of the window before.
    pub before: Money,
}

/// Spend of one day, split by the largest applications.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaySpend {
    /// The day, in the organization's time zone.
    pub day: NaiveDate,
    /// One amount per series of the chart.
    pub parts: Vec<Money>,
}

/// One finished call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRow {
    /// Its id, which is also the request id the caller saw.
    pub id: CallId,
    /// When it was let through.
    pub at: DateTime<Utc>,
    /// By which application.
    pub application: (ApplicationId, String),
    /// By whom, where the secret names a person.
    pub user: Option<(UserId, String)>,
    /// Which model answered.
    pub model: (ModelId, String),
    /// The policy that chose it.
    pub policy: Option<String>,
    /// The label it carried.
    pub use_case: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Money,
    /// Whether the usage is an estimate.
    pub estimated: bool,
    /// From the first byte in to the last byte out, milliseconds.
    pub duration_ms: i64,
}

/// The spend page of a group, or of the organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendPage {
    /// From the root to the group; empty for the organization.
    pub path: Vec<(GroupId, String)>,
    /// Which spend it shows.
    pub view: View,
    /// The first day of the month it shows.
    pub month: NaiveDate,
    /// The first day of the month after.
    pub month_end: NaiveDate,
    /// Today, in the organization's time zone.
    pub today: NaiveDate,
    /// The whole month so far.
    pub total: Sums,
    /// The month before, up to the same day.
    pub before: Money,
    /// The month before, whole.
    pub before_whole: Money,
    /// The cap on monthly spend with its level, if there is one.
    pub budget: Option<LimitLevel>,
    /// Names of the chart's series; the last may be "other".
    pub series: Vec<String>,
    /// Each day of the month so far.
    pub days: Vec<DaySpend>,
    /// By group below.
    pub groups: Vec<Slice<GroupId>>,
    /// By application.
    pub applications: Vec<Slice<ApplicationId>>,
    /// By model.
    pub models: Vec<Slice<ModelId>>,
    /// By person.
    pub users: Vec<Slice<UserId>>,
    /// The last calls.
    pub calls: Vec<CallRow>,
}
