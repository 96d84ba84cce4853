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
    /// Models that use it.
    pub models: i64,
    /// Archived since.
    pub archived_at: Option<DateTime<Utc>>,
    /// Counts up with every change.
    pub version: i64,
}
