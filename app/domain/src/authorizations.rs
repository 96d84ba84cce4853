//! Authorizations: which group may use which models, in three states.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{AuthorizationId, GroupId, ModelId, TierId},
    limits::Mode,
    words::words,
};

words! {
    /// What a rule says. From wide to narrow.
    State("state") {
        /// Usable at once.
        Open = "open",
        /// Usable after somebody agreed.
        ByRequest = "by_request",
        /// Not usable.
        Closed = "closed",
    }
}

impl State {
    /// How people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::ByRequest => "By request",
            Self::Closed => "Closed",
        }
    }

    /// Whether this lets more through than `other`.
    pub fn wider_than(self, other: Self) -> bool {
        self < other
    }
}

/// What a rule is about. From near to far: within one group a model beats a tier beats all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    /// One model.
    Model(ModelId),
    /// Every model of a tier.
    Tier(TierId),
    /// Every model that is not of a high-cost tier.
    All,
}

/// A rule as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// Its id.
    pub id: AuthorizationId,
    /// The group it is set on; none: the organization.
    pub group: Option<GroupId>,
    /// What it is about.
    pub target: Target,
    /// What it says.
    pub state: State,
    /// Whether groups below cannot say otherwise.
    pub locked: bool,
    /// When it stops by itself.
    pub ends_at: Option<DateTime<Utc>>,
    /// Whether it decides, or only takes note.
    pub mode: Mode,
    /// Counts up with every change.
    pub version: i64,
}
