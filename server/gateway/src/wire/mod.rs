//! The two dialects on the wire: what is read of a request and of an answer, and how a refusal is
//! written. Bodies are looked at, never rebuilt.

pub mod answer;
mod content;
pub mod estimate;
mod fields;
#[cfg(test)]
mod hostile;
pub mod last_words;
pub mod models;
mod offers;
pub mod refusal;
pub mod request;
pub mod said;
pub mod sse;
pub mod tools;
pub mod usage;

use domain::{models::Modality, providers::Dialect};
use http::HeaderMap;

/// A route: the language the caller speaks, and where the call goes upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `POST /v1/chat/completions`, OpenAI.
    ChatCompletions,
    /// `POST /v1/responses`, OpenAI.
    Responses,
    /// `POST /v1/embeddings`, OpenAI.
    Embeddings,
    /// `POST /v1/messages`, Anthropic.
    Messages,
    /// `POST /v1/messages/count_tokens`, Anthropic. Costs nothing.
    CountTokens,
}

impl Route {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::ChatCompletions, Self::Responses, Self::Embeddings, Self::Messages, Self::CountTokens];

    /// The path after `/v1`.
    pub fn path(self) -> &'static str {
        self.full_path().trim_start_matches("/v1")
    }

    /// The whole path.
    pub const fn full_path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Embeddings => "/v1/embeddings",
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
        }
    }

    /// The language.
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::ChatCompletions | Self::Responses | Self::Embeddings => Dialect::OpenAi,
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
        }
    }

    /// Whether a model of this kind answers here.
    pub const fn serves(self, modality: Modality) -> bool {
        match modality {
            Modality::Chat | Modality::Vision | Modality::Audio => !matches!(self, Self::Embeddings),
            Modality::Embedding => matches!(self, Self::Embeddings),
            Modality::Image | Modality::Video | Modality::Rerank => false,
        }
    }

    /// The route where a model of this kind answers in this language, if there is one.
    pub const fn of(dialect: Dialect, modality: Modality) -> Option<Self> {
        let route = match (dialect, modality) {
            (Dialect::OpenAi, Modality::Embedding) => Self::Embeddings,
            (Dialect::OpenAi, _) => Self::ChatCompletions,
            (Dialect::Anthropic, _) => Self::Messages,
        };
        if modality.is_served(dialect) { Some(route) } else { None }
    }
}

/// The language a caller without a dialect's own route speaks: only Anthropic's clients send
/// their version.
pub fn dialect_of(headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") { Dialect::Anthropic } else { Dialect::OpenAi }
}
