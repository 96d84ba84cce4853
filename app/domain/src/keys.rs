//! Keys and their secrets. One key per application; a key only narrows.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    guardrails::Guardrails,
    ids::{GroupId, KeyId, ModelId, PolicyId, SecretId, UserId},
    words::words,
};

words! {
    /// What calls with a key may use. A feature that is not on the key is refused.
    Feature("feature") {
        /// Answers as a stream.
        Streaming = "streaming",
        /// Tool definitions and tool calls.
        Tools = "tools",
        /// Answers by a schema.
        StructuredOutputs = "structured_outputs",
        /// Images in the input.
        Vision = "vision",
        /// Asking for a reasoning effort.
        Reasoning = "reasoning",
        /// The embeddings route.
        Embeddings = "embeddings",
    }
}

impl Feature {
    /// How people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Streaming => "Streaming",
            Self::Tools => "Tools",
            Self::StructuredOutputs => "Structured outputs",
            Self::Vision => "Vision input",
            Self::Reasoning => "Reasoning effort",
            Self::Embeddings => "Embeddings",
        }
    }
}

/// A set of features, small enough to copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Features(u32);

impl Features {
    /// All of them.
    pub fn all() -> Self {
        Feature::ALL.iter().copied().collect()
    }

    /// Whether this one is in.
    pub const fn has(self, feature: Feature) -> bool {
        self.0 & (1 << feature as u32) != 0
    }

    /// With one more.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Self {
        Self(self.0 | (1 << feature as u32))
    }

    /// Those in this set that are not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether none is in.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As a number, a bit each: what the ledger keeps.
    pub const fn bits(self) -> i32 {
        self.0.cast_signed()
    }

    /// From such a number. Bits that stand for nothing are left out.
    pub fn from_bits(bits: i32) -> Self {
        Self(bits.cast_unsigned()).and(Self::all())
    }

    /// Each one, in order.
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL.iter().copied().filter(move |&feature| self.has(feature))
    }
}

impl FromIterator<Feature> for Features {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        features.into_iter().fold(Self::default(), Self::with)
    }
}

/// The models a key narrows its group's to. Empty means none; all is written out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyModels {
    /// Whatever the group has.
    All,
    /// Only these.
    These(Vec<ModelId>),
}

impl KeyModels {
    /// Whether this model is in.
    pub fn allow(&self, model: ModelId) -> bool {
        match self {
            Self::All => true,
            Self::These(models) => models.contains(&model),
        }
    }
}

/// What happens to the calls of a key besides being let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handling {
    /// For how many seconds a whole answer is given again to the same call; none: never.
    pub cache_seconds: Option<u32>,
    /// What is looked for in their input.
    pub guardrails: Guardrails,
}

/// The longest an answer is kept: a week.
pub const CACHE_MAX_SECONDS: u32 = 7 * 24 * 3600;

/// A key as its page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// The models it narrows to.
    pub models: KeyModels,
    /// What calls may use.
    pub features: Features,
    /// The policy that answers when a call names no model.
    pub policy: Option<PolicyId>,
    /// Groups whose members may have a secret of their own.
    pub assigned: Vec<(GroupId, String)>,
    /// What happens to its calls besides.
    pub handling: Handling,
    /// Counts up with every change.
    pub version: i64,
}

words! {
    /// Whose a secret is.
    SecretKind("kind") {
        /// The application's.
        Service = "service",
        /// One person's, for a key assigned to a group of theirs.
        Member = "member",
    }
}

/// Member secrets that a change killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallen {
    /// How many.
    pub secrets: usize,
    /// Of how many people.
    pub people: usize,
}

impl Fallen {
    /// `1 secret of 1 person`, `3 secrets of 2 people`; none when there are none.
    pub fn in_words(self) -> Option<String> {
        let count = |count: usize, one: &str, many: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{} {many}", crate::money::grouped(count as u64)),
        };
        (self.secrets > 0).then(|| {
            format!(
                "{} of {}",
                count(self.secrets, "secret", "secrets"),
                count(self.people, "person", "people")
            )
        })
    }
}

/// A secret as lists show it: never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRow {
    /// Its id.
    pub id: SecretId,
    /// Whose it is.
    pub kind: SecretKind,
    /// The person, for a member secret.
    pub user: Option<(UserId, String)>,
    /// The start and the last four characters: `bsr_live_…x7Qa`.
    pub hint: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops by itself: the end of a grace period.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Its last call.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When somebody reported that it was found where it must not be.
    pub leaked_at: Option<DateTime<Utc>>,
}

impl SecretRow {
    /// Whether a call with it still gets in.
    pub fn lives(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}

/// For how many days nobody has to use a secret until it is listed as unused.
pub const UNUSED_DAYS: i64 = 60;

/// A secret in plain text, on its one way to the person who made it. Prints as dots.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlainSecret(String);

impl PlainSecret {
    /// What every secret starts with, for scanners.
    pub const PREFIX: &'static str = "bsr_live_";

    /// Wraps a text that is a secret.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text. Every use of this is a place where a secret can leak.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What may be shown afterwards: the prefix and the last four characters.
    pub fn hint(&self) -> String {
        let tail = self.0.len().saturating_sub(4);
        format!("{}…{}", Self::PREFIX, self.0.get(tail..).unwrap_or_default())
    }
}

impl fmt::Debug for PlainSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainSecret(…)")
    }
}
