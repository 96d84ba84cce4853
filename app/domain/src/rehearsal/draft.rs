//! What somebody has in mind, before it is saved.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    authorizations::{State, Target},
    ids::{GroupId, ModelId, PolicyId},
    limits::{Meter, Mode},
    names::ModelName,
    policies::Routing,
    roles::Act,
};

/// How many rules one draft changes at most.
pub const EDITS_MAX: usize = 500;

/// What a group says about a target from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The group; none: the organization.
    pub group: Option<GroupId>,
    /// About what.
    pub target: Target,
    /// What is said; none: nothing any more.
    pub say: Option<Saying>,
    /// Whether it decides, or only takes note.
    pub mode: Mode,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saying {
    /// Open, by request, closed.
    pub state: State,
    /// Whether groups below cannot say otherwise.
    pub locked: bool,
    /// When it stops by itself.
    pub ends_at: Option<DateTime<Utc>>,
}

/// A change that is not made yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Draft {
    /// Rules.
    Authorizations(Vec<Edit>),
    /// A cap on a meter.
    Limit {
        /// What is counted.
        meter: Meter,
        /// How much of it.
        cap: i64,
        /// What happens without room.
        mode: Mode,
        /// Per cent of the cap at which somebody is told.
        thresholds: Vec<u8>,
        /// The version that was shown.
        version: Option<i64>,
    },
    /// A routing policy.
    Policy {
        /// Which; none: a new one.
        id: Option<PolicyId>,
        /// The version that was shown.
        version: i64,
        /// Callers write `policy/` and this.
        name: ModelName,
        /// How it chooses.
        routing: Routing,
        /// Models and weights, in order.
        steps: Vec<(ModelId, i32)>,
    },
    /// A group put elsewhere in the tree.
    Move {
        /// Which.
        group: GroupId,
        /// Below what; none: at the top.
        parent: Option<GroupId>,
    },
}

impl Draft {
    /// Who may always do it, and whether less is enough within one group.
    pub fn acts(&self) -> (Act, Option<Act>) {
        match self {
            Self::Authorizations(_) => (Act::WidenAuthorizations, Some(Act::NarrowAuthorizations)),
            Self::Limit { .. } => (Act::LoosenLimits, Some(Act::TightenLimits)),
            Self::Policy { .. } => (Act::EditPolicies, None),
            Self::Move { .. } => (Act::MoveGroup, None),
        }
    }

    /// Whether all of it only takes note: then nothing is refused by it.
    pub fn only_observes(&self) -> bool {
        match self {
            Self::Authorizations(edits) => {
                !edits.is_empty() && edits.iter().all(|edit| edit.mode == Mode::Observe)
            }
            Self::Limit { mode, .. } => *mode == Mode::Observe,
            Self::Policy { .. } | Self::Move { .. } => false,
        }
    }

    /// The same draft, made so that it only takes note.
    #[must_use]
    pub fn observing(mut self) -> Self {
        match &mut self {
            Self::Authorizations(edits) => {
                for edit in edits.iter_mut() {
                    edit.mode = Mode::Observe;
                }
            }
            Self::Limit { mode, .. } => *mode = Mode::Observe,
            Self::Policy { .. } | Self::Move { .. } => {}
        }
        self
    }

    /// The same draft as it would be if what only takes note decided.
    #[must_use]
    pub fn enforced(mut self) -> Self {
        match &mut self {
            Self::Authorizations(edits) => {
                for edit in edits.iter_mut() {
                    edit.mode = Mode::Enforce;
                }
            }
            Self::Limit { mode, .. } => *mode = Mode::Enforce,
            Self::Policy { .. } | Self::Move { .. } => {}
        }
        self
    }
}
