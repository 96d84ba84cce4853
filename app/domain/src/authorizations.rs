//! Authorizations: which group may use which models, in three states; and drafts, which say what
//! several of them are to become at once. What a draft comes to is in [`crate::drafts`].

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{AuthorizationId, GroupId, ModelId, TierId},
    limits::Mode,
    window::Calendar,
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

/// What a rule is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Say {
    /// Open, by request, closed.
    pub state: State,
    /// Whether groups below cannot say otherwise.
    pub locked: bool,
    /// When it stops by itself.
    pub ends_at: Option<DateTime<Utc>>,
}

impl Say {
    /// As people read it: `Closed, locked, through 3 Dec 2026`.
    pub fn in_words(&self, calendar: &Calendar) -> String {
        let lock = if self.locked { ", locked" } else { "" };
        let through = self.ends_at.map(|end| {
            format!(", through {}", crate::time::date(calendar.day(end - chrono::Duration::seconds(1))))
        });
        format!("{}{lock}{}", self.state.label(), through.unwrap_or_default())
    }
}

/// A cell of the matrix: who, and what about. At most one rule stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// The group; none: the organization.
    pub group: Option<GroupId>,
    /// What it is about.
    pub target: Target,
}

/// Which rule somebody saw in a cell before they edited it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its id.
    pub id: AuthorizationId,
    /// Its version then.
    pub version: i64,
}

/// One edit of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Where.
    pub cell: Cell,
    /// What is to be said there; none: nothing of its own, so that it inherits.
    pub say: Option<Say>,
    /// The rule that stood there when the edit was made; none: there was none.
    pub seen: Option<Seen>,
}

/// Edits that are looked at, and then saved, together. A cell has at most one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// In the order they were made.
    pub edits: Vec<Edit>,
}

/// How many edits a draft may have.
pub const EDITS_MAX: usize = 1000;

impl Draft {
    /// Adds an edit, in place of what the draft says about its cell so far.
    pub fn put(&mut self, edit: Edit) {
        match self.edits.iter_mut().find(|known| known.cell == edit.cell) {
            Some(known) => *known = edit,
            None => self.edits.push(edit),
        }
    }

    /// Takes out what it says about a cell.
    pub fn drop_cell(&mut self, cell: Cell) {
        self.edits.retain(|edit| edit.cell != cell);
    }
}

/// Why a text is not a cell, or not an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInTheMatrix;

impl fmt::Display for NotInTheMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Choose a tier, a model, or all, and a group or the organization.")
    }
}

impl std::error::Error for NotInTheMatrix {}

/// `tier:tir_…`, `model:mdl_…` or `all`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Tier(id) => write!(f, "tier:{id}"),
            Self::Model(id) => write!(f, "model:{id}"),
        }
    }
}

impl FromStr for Target {
    type Err = NotInTheMatrix;

    fn from_str(text: &str) -> Result<Self, NotInTheMatrix> {
        match text.split_once(':') {
            None if text == "all" => Ok(Self::All),
            Some(("tier", id)) => id.parse().map(Self::Tier).map_err(|_| NotInTheMatrix),
            Some(("model", id)) => id.parse().map(Self::Model).map_err(|_| NotInTheMatrix),
            _ => Err(NotInTheMatrix),
        }
    }
}

/// `grp_…~tier:tir_…`; of the organization `~tier:tir_…`.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(group) = self.group {
            write!(f, "{group}")?;
        }
        write!(f, "~{}", self.target)
    }
}

impl FromStr for Cell {
    type Err = NotInTheMatrix;

    fn from_str(text: &str) -> Result<Self, NotInTheMatrix> {
        let (group, target) = text.split_once('~').ok_or(NotInTheMatrix)?;
        let group = match group {
            "" => None,
            id => Some(id.parse().map_err(|_| NotInTheMatrix)?),
        };
        Ok(Self { group, target: target.parse()? })
    }
}

/// The cell, then what is said, the lock, the end in Unix seconds, and the rule that was seen:
/// `grp_…~all~open~locked~1798671600~aut_…~3`, `~all~inherit~~~~`.
impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}~", self.cell, self.say.map_or("inherit", |say| say.state.as_str()))?;
        f.write_str(if self.say.is_some_and(|say| say.locked) { "locked~" } else { "~" })?;
        if let Some(end) = self.say.and_then(|say| say.ends_at) {
            write!(f, "{}", end.timestamp())?;
        }
        match self.seen {
            Some(seen) => write!(f, "~{}~{}", seen.id, seen.version),
            None => f.write_str("~~"),
        }
    }
}

impl FromStr for Edit {
    type Err = NotInTheMatrix;

    fn from_str(text: &str) -> Result<Self, NotInTheMatrix> {
        let parts: Vec<&str> = text.split('~').collect();
        let [group, target, state, locked, ends, id, version] = parts.as_slice() else {
            return Err(NotInTheMatrix);
        };
        let cell = format!("{group}~{target}").parse()?;
        let ends_at = match *ends {
            "" => None,
            text => {
                let seconds = text.parse().map_err(|_| NotInTheMatrix)?;
                Some(DateTime::from_timestamp(seconds, 0).ok_or(NotInTheMatrix)?)
            }
        };
        let say = match *state {
            "inherit" => None,
            word => {
                let state = word.parse().map_err(|_| NotInTheMatrix)?;
                Some(Say { state, locked: *locked == "locked", ends_at })
            }
        };
        let seen = match *id {
            "" => None,
            id => Some(Seen {
                id: id.parse().map_err(|_| NotInTheMatrix)?,
                version: version.parse().map_err(|_| NotInTheMatrix)?,
            }),
        };
        Ok(Self { cell, say, seen })
    }
}

/// The edits, separated by spaces: how forms send a draft.
impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, edit) in self.edits.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{edit}")?;
        }
        Ok(())
    }
}

impl FromStr for Draft {
    type Err = NotInTheMatrix;

    fn from_str(text: &str) -> Result<Self, NotInTheMatrix> {
        let mut draft = Self::default();
        for edit in text.split_whitespace() {
            draft.put(edit.parse()?);
        }
        Ok(draft)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_draft_survives_its_text_form_and_has_one_edit_for_each_cell() {
        let id = Uuid::from_u128;
        let cell = Cell { group: Some(GroupId(id(1))), target: Target::Tier(TierId(id(2))) };
        let say = Say {
            state: State::ByRequest,
            locked: true,
            ends_at: DateTime::from_timestamp(1_798_671_600, 0),
        };
        let seen = Seen { id: AuthorizationId(id(3)), version: 4 };
        let mut draft = Draft::default();
        draft.put(Edit { cell, say: None, seen: None });
        draft.put(Edit { cell: Cell { group: None, target: Target::All }, say: None, seen: None });
        draft.put(Edit { cell, say: Some(say), seen: Some(seen) });
        assert_eq!(draft.edits.len(), 2);
        assert_eq!(draft.to_string().parse(), Ok(draft));
    }

    #[test]
    fn what_is_not_an_edit_is_refused() {
        for text in [
            "x",
            "~all~open",
            "grp_1~all~open~~~~",
            "~all~wide~~~~",
            "~some~open~~~~",
            "~all~open~~soon~~",
            "~all~open~~~aut_1~1",
            "~all~open~~~~~",
        ] {
            assert_eq!(text.parse::<Edit>(), Err(NotInTheMatrix), "{text}");
        }
    }
}
