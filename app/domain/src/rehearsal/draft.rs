//! What somebody has in mind, before it is saved.

use serde::{Deserialize, Serialize};

use crate::{
    authorizations::Edit,
    ids::{ApplicationId, GroupId, ModelId, PolicyId},
    limits::{Meter, Mode},
    names::ModelName,
    policies::{Routing, Rules},
    roles::Act,
};

/// An edit of a rule, and whether what it says decides or only takes note. A rule that takes note
/// stands beside the one that decides: of the edit of one, `seen` is about the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleEdit {
    /// The edit.
    pub edit: Edit,
    /// Whether it decides.
    pub mode: Mode,
}

/// An edit of the matrix decides.
impl From<Edit> for RuleEdit {
    fn from(edit: Edit) -> Self {
        Self { edit, mode: Mode::Enforce }
    }
}

/// A change that is not made yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Draft {
    /// Rules.
    Authorizations(Vec<RuleEdit>),
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
        /// How it deals with those for which not everything is usual; none: as it does now.
        #[serde(default)]
        rules: Option<Rules>,
    },
    /// A group put elsewhere in the tree.
    Move {
        /// Where it stood when this was drafted.
        from: Option<GroupId>,
        /// Which.
        group: GroupId,
        /// Below what; none: at the top.
        parent: Option<GroupId>,
    },
    /// An application put into another group.
    MoveApplication {
        /// Which.
        application: ApplicationId,
        /// The version that was shown.
        version: i64,
        /// Where it was when this was drafted.
        from: GroupId,
        /// Into which group.
        to: GroupId,
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
            // In both groups.
            Self::MoveApplication { .. } => (Act::EditApplications, Some(Act::EditApplications)),
        }
    }

    /// Whether it could be made so that it only takes note: all of it says something.
    pub fn may_observe(&self) -> bool {
        match self {
            Self::Authorizations(edits) => edits.iter().all(|rule| rule.edit.say.is_some()),
            Self::Limit { .. } => true,
            Self::Policy { .. } | Self::Move { .. } | Self::MoveApplication { .. } => false,
        }
    }

    /// Whether all of it only takes note: then nothing is refused by it.
    pub fn only_observes(&self) -> bool {
        match self {
            Self::Authorizations(edits) => {
                !edits.is_empty() && edits.iter().all(|rule| rule.mode == Mode::Observe)
            }
            Self::Limit { mode, .. } => *mode == Mode::Observe,
            Self::Policy { .. } | Self::Move { .. } | Self::MoveApplication { .. } => false,
        }
    }

    /// The same draft, made so that it only takes note.
    #[must_use]
    pub fn observing(mut self) -> Self {
        match &mut self {
            Self::Authorizations(edits) => {
                for rule in edits.iter_mut() {
                    rule.mode = Mode::Observe;
                }
            }
            Self::Limit { mode, .. } => *mode = Mode::Observe,
            Self::Policy { .. } | Self::Move { .. } | Self::MoveApplication { .. } => {}
        }
        self
    }

    /// The same draft as it would be if what only takes note decided.
    #[must_use]
    pub fn enforced(mut self) -> Self {
        match &mut self {
            Self::Authorizations(edits) => {
                for rule in edits.iter_mut() {
                    rule.mode = Mode::Enforce;
                }
            }
            Self::Limit { mode, .. } => *mode = Mode::Enforce,
            Self::Policy { .. } | Self::Move { .. } | Self::MoveApplication { .. } => {}
        }
        self
    }
}
