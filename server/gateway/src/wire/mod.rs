//! The two dialects on the wire: what is read of a request and of an answer, and how a refusal is
//! written. Bodies are looked at, never rebuilt.

pub mod answer;
pub mod estimate;
pub mod models;
pub mod refusal;
pub mod request;
pub mod sse;
pub mod usage;

use http::HeaderMap;

/// A metered route: the language the caller speaks, and where the call goes upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `POST /v1/chat/completions`, OpenAI.
    ChatCompletions,
    /// `POST /v1/messages`, Anthropic.
    Messages,
}

impl Route {
    /// The path after `/v1`.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Messages => "/messages",
        }
    }

    /// The whole path.
    pub const fn full_path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
        }
    }

    /// The language.
    pub const fn dialect(self) -> domain::providers::Dialect {
        match self {
            Self::ChatCompletions => domain::providers::Dialect::OpenAi,
            Self::Messages => domain::providers::Dialect::Anthropic,
        }
    }
}

/// The language a caller without a dialect's own route speaks: only Anthropic's clients send
/// their version.
pub fn dialect_of(headers: &HeaderMap) -> domain::providers::Dialect {
    if headers.contains_key("anthropic-version") {
        domain::providers::Dialect::Anthropic
    } else {
        domain::providers::Dialect::OpenAi
    }
}
