//! Calls in flight: let through, and not at their end.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{ApplicationId, CallId, ModelId, UserId},
    money::Money,
    words::words,
};

words! {
    /// How far a call is.
    Phase("phase") {
        /// The provider has it and has not answered.
        Waiting = "waiting",
        /// The head of the answer is here.
        Answering = "answering",
        /// The answer comes piece by piece.
        Streaming = "streaming",
        /// The client has left; what the provider still says is read for the books.
        Left = "left",
    }
}

impl Phase {
    /// How people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting for the provider",
            Self::Answering => "Answering",
            Self::Streaming => "Streaming",
            Self::Left => "Caller left, reading on",
        }
    }
}

/// One call in flight, as a page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    /// Its id, which is also the request id the caller sees.
    pub id: CallId,
    /// When it was let through.
    pub at: DateTime<Utc>,
    /// By which application.
    pub application: (ApplicationId, String),
    /// By whom, where the secret names a person.
    pub user: Option<(UserId, String)>,
    /// Which model answers.
    pub model: (ModelId, String),
    /// `/v1/chat/completions`.
    pub route: String,
    /// Whether it asked for a stream.
    pub streamed: bool,
    /// How far it is.
    pub phase: Phase,
    /// Bytes of the answer that have gone out.
    pub bytes: i64,
    /// What it holds of every limit on money.
    pub cost: Money,
    /// What it holds of every limit on tokens.
    pub tokens: i64,
    /// Somebody has ended it; the process that serves it has not said so yet.
    pub ending: bool,
    /// Whether whoever looks may end it.
    pub may_end: bool,
}

/// Calls in flight, and what they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// Those that last, the longest first.
    pub flights: Vec<Flight>,
    /// How many there are in all.
    pub calls: i64,
    /// What all of them hold.
    pub cost: Money,
    /// The same in tokens.
    pub tokens: i64,
}

impl InFlight {
    /// How many are not listed.
    pub fn others(&self) -> i64 {
        self.calls.saturating_sub(i64::try_from(self.flights.len()).unwrap_or(i64::MAX)).max(0)
    }
}
