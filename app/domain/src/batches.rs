//! Changes to many people at once.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    groups::{Source, Standing},
    ids::{BatchId, GroupId, UserId},
    limits::Mode,
    money::Money,
    roles::Act,
    users::Role,
    words::words,
};

words! {
    /// What is done to each of them.
    Action("action") {
        /// Put into a group.
        Join = "join",
        /// Taken out of a group.
        Leave = "leave",
        /// Put from one group into another.
        Move = "move",
        /// Given a monthly limit.
        Limit = "limit",
        /// Given a role.
        Role = "role",
        /// Suspended.
        Suspend = "suspend",
        /// Let in again.
        Reinstate = "reinstate",
        /// Invited again.
        Invite = "invite",
        /// Made what a table says.
        Import = "import",
    }
}

/// What is done to each of them, with all it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Put into a group.
    Join {
        /// Which.
        group: GroupId,
        /// As what.
        standing: Standing,
        /// Until when.
        ends_at: Option<DateTime<Utc>>,
    },
    /// Taken out of a group.
    Leave(GroupId),
    /// Put from one group into another.
    Move {
        /// Out of which.
        from: GroupId,
        /// Into which.
        to: GroupId,
    },
    /// Given a monthly limit; none: the organization's default again.
    Limit(Option<Money>),
    /// Given a role.
    Role(Role),
    /// Suspended.
    Suspend,
    /// Let in again.
    Reinstate,
    /// Invited again.
    Invite,
    /// Made what a table says, each something else.
    Import,
}

impl Task {
    /// What kind it is.
    pub const fn action(self) -> Action {
        match self {
            Self::Join { .. } => Action::Join,
            Self::Leave(_) => Action::Leave,
            Self::Move { .. } => Action::Move,
            Self::Limit(_) => Action::Limit,
            Self::Role(_) => Action::Role,
            Self::Suspend => Action::Suspend,
            Self::Reinstate => Action::Reinstate,
            Self::Invite => Action::Invite,
            Self::Import => Action::Import,
        }
    }

    /// The other group that it takes the same permit in.
    pub const fn also(self) -> Option<GroupId> {
        match self {
            Self::Move { from, .. } => Some(from),
            _ => None,
        }
    }

    /// What permit it takes, and in which group.
    pub const fn permit(self) -> (Act, Option<GroupId>) {
        match self {
            Self::Join { group, standing: Standing::Lead, .. } => (Act::EditLeads, Some(group)),
            Self::Join { group, .. } | Self::Leave(group) | Self::Move { to: group, .. } => {
                (Act::EditMembers, Some(group))
            }
            Self::Limit(_) => (Act::LoosenLimits, None),
            Self::Role(_) | Self::Suspend | Self::Reinstate | Self::Invite => (Act::EditUsers, None),
            Self::Import => (Act::ApplyFile, None),
        }
    }
}

words! {
    /// What becomes of one person.
    Outcome("outcome") {
        /// Something changes.
        Changed = "changed",
        /// It is so already.
        Already = "already",
        /// It cannot be.
        Refused = "refused",
    }
}

/// How a limit is kept besides its cap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Whether it refuses, or only takes note.
    pub mode: Mode,
    /// Per cent of the cap at which somebody is told.
    pub thresholds: Vec<i16>,
}

/// What it takes to bring one person back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Undo {
    /// Out of the group again.
    Leave(GroupId),
    /// Into the group again.
    Join {
        /// Which.
        group: GroupId,
        /// Until when.
        ends_at: Option<DateTime<Utc>>,
        /// Who had put them there.
        #[serde(default = "by_hand")]
        source: Source,
    },
    /// Out of the group they were moved to, and back into the one they came from.
    Back {
        /// Where they came from.
        from: GroupId,
        /// Where they were moved to.
        to: GroupId,
        /// Until when they were there.
        ends_at: Option<DateTime<Utc>>,
        /// Who had put them there.
        #[serde(default = "by_hand")]
        source: Source,
    },
    /// The limit before, unless it is no longer the one that was set.
    Limit {
        /// Before.
        before: Option<Money>,
        /// What was set.
        set: Option<Money>,
        /// How the limit before was kept, and who was told; none where nobody wrote it down, or there was
        /// no limit.
        #[serde(default)]
        kept: Option<Kept>,
        /// What it was raised to for a time: that has ended, and does not come back.
        #[serde(default)]
        raised: Option<Money>,
    },
    /// The role before, unless it is no longer the one that was given.
    Role {
        /// Before.
        before: Role,
        /// What was given.
        given: Role,
    },
    /// Suspended as before, or not.
    Suspended(bool),
    /// A member again, no longer a lead.
    Member {
        /// Of which group.
        group: GroupId,
        /// Until when.
        ends_at: Option<DateTime<Utc>>,
    },
    /// The name before, unless it is no longer the one that was given.
    Name {
        /// Before.
        before: String,
        /// What was given.
        given: String,
    },
    /// Gone again: they were not here before. Who has signed in since stays.
    Added,
}

/// Of changes that were kept before it was written down.
const fn by_hand() -> Source {
    Source::Manual
}

impl Undo {
    /// The groups in which it looks at what they are.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        let (one, other) = match self {
            Self::Leave(group) | Self::Join { group, .. } | Self::Member { group, .. } => {
                (Some(*group), None)
            }
            Self::Back { from, to, .. } => (Some(*from), Some(*to)),
            Self::Limit { .. } | Self::Role { .. } | Self::Suspended(_) | Self::Name { .. } | Self::Added => {
                (None, None)
            }
        };
        one.into_iter().chain(other)
    }

    /// The group that it puts them into.
    pub const fn joins(&self) -> Option<GroupId> {
        match self {
            Self::Join { group, .. } | Self::Back { from: group, .. } => Some(*group),
            _ => None,
        }
    }
}

/// What becomes of one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Who.
    pub user: UserId,
    /// Their name.
    pub name: String,
    /// Their email address.
    pub email: String,
    /// What.
    pub outcome: Outcome,
    /// The same in words.
    pub text: String,
    /// What it takes to bring them back; none where there is no way.
    pub undo: Option<Undo>,
}

/// How many people have an effect with this outcome. A table can change several things of one person.
pub fn count(effects: &[Effect], outcome: Outcome) -> usize {
    let of = effects.iter().filter(|effect| effect.outcome == outcome);
    of.map(|effect| effect.user).collect::<HashSet<_>>().len()
}

/// What all of it comes to for those with one outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many people.
    pub people: usize,
    /// How many effects on them.
    pub effects: usize,
    /// How many of these have a way back.
    pub undoable: usize,
}

/// What effects come to, by outcome.
pub fn tally(effects: &[Effect], outcome: Outcome) -> Tally {
    let of = || effects.iter().filter(|effect| effect.outcome == outcome);
    Tally {
        people: count(effects, outcome),
        effects: of().count(),
        undoable: of().filter(|effect| effect.undo.is_some()).count(),
    }
}

/// A change to many people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Which.
    pub id: BatchId,
    /// Who chose them.
    pub actor: UserId,
    /// Whom it is about.
    pub users: Vec<UserId>,
    /// What was done, once it was.
    pub done: Option<Task>,
    /// When it was undone.
    pub undone_at: Option<DateTime<Utc>>,
    /// By whom: the name at that time, as the log has it.
    pub undone_by: Option<String>,
}

/// What a change that was made did to one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Who.
    pub user: UserId,
    /// Their name.
    pub name: String,
    /// Their email address.
    pub email: String,
    /// What, in words, and whether undoing it left that alone.
    pub said: Vec<(String, bool)>,
    /// How many secrets of theirs died with it.
    pub dead: usize,
}

/// What undoing a change left alone of one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alone {
    /// Who.
    pub user: UserId,
    /// Their name.
    pub name: String,
    /// What was done.
    pub said: String,
    /// Why; none: somebody changed it again since.
    pub because: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_counted_once_however_much_changes_of_them() {
        let effect = |user: u128, outcome| Effect {
            user: uuid::Uuid::from_u128(user).into(),
            name: String::new(),
            email: String::new(),
            outcome,
            text: String::new(),
            undo: None,
        };
        let effects = [
            effect(1, Outcome::Changed),
            effect(1, Outcome::Changed),
            effect(2, Outcome::Changed),
            effect(3, Outcome::Refused),
        ];
        assert_eq!(count(&effects, Outcome::Changed), 2);
        assert_eq!(count(&effects, Outcome::Refused), 1);
        assert_eq!(count(&effects, Outcome::Already), 0);
    }
}
