//! Sessions: the calls of one application and person that carried the same label.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    calls::CallLine,
    ids::{ApplicationId, UserId},
    money::Money,
};

/// What names a session in an address: its application, its person, and the label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKey {
    /// The application.
    pub application: ApplicationId,
    /// The person; nil where the secret named none.
    pub user: UserId,
    /// The label.
    pub label: String,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSession {
    /// Which.
    pub key: SessionKey,
    /// What its application is called.
    pub application: String,
    /// What its person is called, where there is one.
    pub user: Option<String>,
    /// When its first call was let through.
    pub first_at: DateTime<Utc>,
    /// When its last call was let through.
    pub last_at: DateTime<Utc>,
    /// When its last call had ended.
    pub ended_at: DateTime<Utc>,
    /// Finished calls.
    pub calls: i64,
    /// Those whose provider failed.
    pub failed: i64,
    /// What they cost.
    pub spend: Money,
    /// Tokens in and out.
    pub tokens: i64,
    /// Names of the models it called, by name.
    pub models: Vec<String>,
}

impl CallSession {
    /// From the first call's beginning to the last one's end, in milliseconds.
    pub fn duration_ms(&self) -> i64 {
        (self.ended_at - self.first_at).num_milliseconds().max(0)
    }
}

/// A call on the time line of its session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Where it begins, in hundredths of a per cent of the session.
    pub from: i64,
    /// How long it is, in the same.
    pub length: i64,
}

/// Where calls lie between two moments. A session without any length is full of its one call.
pub fn time_line(first: DateTime<Utc>, last: DateTime<Utc>, calls: &[(DateTime<Utc>, i64)]) -> Vec<Mark> {
    const WHOLE: i64 = 10_000;
    let length = (last - first).num_milliseconds().max(1);
    let place =
        |at: TimeDelta| (i128::from(at.num_milliseconds()) * i128::from(WHOLE) / i128::from(length)) as i64;
    calls
        .iter()
        .map(|(at, took)| {
            let from = place(*at - first).clamp(0, WHOLE);
            let length = place(TimeDelta::milliseconds((*took).max(0))).clamp(0, WHOLE - from);
            Mark { from, length }
        })
        .collect()
}

/// A session with its calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// The session.
    pub session: CallSession,
    /// Its calls, in order: those of this page.
    pub calls: Vec<CallLine>,
    /// Where the next page starts.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stay_on_the_line() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).expect("a moment");
        let marks = time_line(
            at(100),
            at(200),
            &[(at(100), 10_000), (at(150), 50_000), (at(190), 90_000), (at(50), 0)],
        );
        let places: Vec<_> = marks.iter().map(|mark| (mark.from, mark.length)).collect();
        assert_eq!(places, [(0, 1000), (5000, 5000), (9000, 1000), (0, 0)]);
        let one = time_line(at(1), at(1), &[(at(1), 0)]);
        assert_eq!((one[0].from, one[0].length), (0, 0));
    }
}
