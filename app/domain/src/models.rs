//! The catalogue: models and their tiers.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{ModelId, ProviderId, TierId},
    prices::{DatedPrices, Prices},
    providers::Dialect,
    words::words,
};

words! {
    /// What goes in and comes out.
    Modality("modality") {
        /// Text in, text out.
        Chat = "chat",
        /// Text and images in, text out.
        Vision = "vision",
        /// Text in, vectors out.
        Embedding = "embedding",
        /// Images out.
        Image = "image",
        /// Sound in or out.
        Audio = "audio",
        /// Video out.
        Video = "video",
        /// Documents in order of relevance.
        Rerank = "rerank",
    }
}

/// Said of a model that has all it takes and yet cannot be called.
pub const NOT_SERVED: &str = "is not served here";

impl Modality {
    /// Whether models of this kind can be called at all, at a provider that speaks this dialect.
    pub const fn is_served(self, dialect: Dialect) -> bool {
        match self {
            Self::Chat | Self::Vision | Self::Audio => true,
            Self::Embedding => matches!(dialect, Dialect::OpenAi),
            Self::Image | Self::Video | Self::Rerank => false,
        }
    }
}

words! {
    /// Whether a person has looked at a new model.
    Review("review state") {
        /// Waits in the review inbox; cannot be called.
        Pending = "pending",
        /// Decided.
        Accepted = "accepted",
    }
}

/// A class of models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// Its id.
    pub id: TierId,
    /// What it is called.
    pub name: String,
    /// Opens only by its own name or a model's, never by "all".
    pub high_cost: bool,
    /// Models in it.
    pub models: i64,
    /// Counts up with every change.
    pub version: i64,
}

/// A catalogue entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its id.
    pub id: ModelId,
    /// What callers write.
    pub name: String,
    /// Where it is.
    pub provider: (ProviderId, String),
    /// The language its provider speaks.
    pub dialect: Dialect,
    /// What the provider calls it.
    pub upstream: String,
    /// What goes in and comes out.
    pub modality: Modality,
    /// Its class.
    pub tier: (TierId, String),
    /// Whether that class is high-cost.
    pub high_cost: bool,
    /// Tokens that fit in and out together.
    pub context_tokens: Option<i64>,
    /// The most it answers with.
    pub max_output_tokens: Option<i64>,
    /// The prices in force now.
    pub prices: Option<DatedPrices>,
    /// Whether a person has looked at it.
    pub review: Review,
    /// Archived since.
    pub archived_at: Option<DateTime<Utc>>,
    /// Counts up with every change.
    pub version: i64,
}

impl Model {
    /// Whether a text is in one of its names, or in its provider's; an empty one is.
    pub fn is_called(&self, text: &str) -> bool {
        let text = text.trim().to_lowercase();
        [&self.name, &self.upstream, &self.provider.1].iter().any(|name| name.to_lowercase().contains(&text))
    }

    /// Why nobody can call it, whatever they are authorized for.
    pub fn obstacle(&self) -> Option<&'static str> {
        if self.archived_at.is_some() {
            return Some("archived");
        }
        if self.review == Review::Pending {
            return Some("waits for review");
        }
        let prices = self.prices.map_or_else(Prices::default, |dated| dated.prices);
        if !prices.complete_for(self.modality) {
            return Some("has no price");
        }
        (!self.modality.is_served(self.dialect)).then_some(NOT_SERVED)
    }
}
