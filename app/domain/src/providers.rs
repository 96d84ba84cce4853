//! Upstreams.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ids::ProviderId, words::words};

words! {
    /// The language an upstream speaks.
    Dialect("dialect") {
        /// OpenAI's API.
        OpenAi = "openai",
        /// Anthropic's API.
        Anthropic = "anthropic",
    }
}

impl Dialect {
    /// How people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::OpenAi => "OpenAI",
            Self::Anthropic => "Anthropic",
        }
    }
}

words! {
    /// What is waited for, and how long at most.
    Wait("wait") {
        /// Until a connection stands.
        Connection = "connection",
        /// Until the head of an answer.
        FirstByte = "first_byte",
        /// Between two pieces of a stream.
        Silence = "between_chunks",
        /// For all of an answer.
        Total = "total",
    }
}

impl Wait {
    /// How people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connection => "Until it is connected",
            Self::FirstByte => "Until an answer begins",
            Self::Silence => "Between two pieces",
            Self::Total => "For a whole answer",
        }
    }

    /// Seconds, unless a provider says otherwise. Long answers that are not streamed take minutes.
    pub const fn usual(self) -> u16 {
        match self {
            Self::Connection => 10,
            Self::FirstByte => 600,
            Self::Silence => 300,
            Self::Total => 3600,
        }
    }

    /// The most seconds a provider can say; the least is one.
    pub const fn most(self) -> u16 {
        match self {
            Self::Connection => 60,
            Self::FirstByte | Self::Silence => 1800,
            Self::Total => 7200,
        }
    }
}

/// How many seconds a provider is waited for; none: what is usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// Until a connection stands.
    pub connection: Option<u16>,
    /// Until the head of an answer.
    pub first_byte: Option<u16>,
    /// Between two pieces of a stream.
    pub silence: Option<u16>,
    /// For all of an answer.
    pub total: Option<u16>,
}

impl Waits {
    /// One of them.
    pub const fn get(&self, wait: Wait) -> Option<u16> {
        match wait {
            Wait::Connection => self.connection,
            Wait::FirstByte => self.first_byte,
            Wait::Silence => self.silence,
            Wait::Total => self.total,
        }
    }

    /// With another one.
    #[must_use]
    pub const fn with(mut self, wait: Wait, seconds: Option<u16>) -> Self {
        match wait {
            Wait::Connection => self.connection = seconds,
            Wait::FirstByte => self.first_byte = seconds,
            Wait::Silence => self.silence = seconds,
            Wait::Total => self.total = seconds,
        }
        self
    }
}

/// An upstream as its page shows it: never the credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// Its id.
    pub id: ProviderId,
    /// What it is called.
    pub name: String,
    /// The language it speaks.
    pub dialect: Dialect,
    /// Everything before the route, `/v1` included.
    pub base_url: String,
    /// Whether a credential is stored.
    pub has_credential: bool,
    /// Whether it may be on this machine or in a private network.
    pub allow_private_address: bool,
    /// How long it is waited for.
    pub waits: Waits,
    /// Models that use it.
    pub models: i64,
    /// Archived since.
    pub archived_at: Option<DateTime<Utc>>,
    /// Counts up with every change.
    pub version: i64,
}
