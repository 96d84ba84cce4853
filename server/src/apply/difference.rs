//! What a file would change: added, changed field by field, taken away.

use std::collections::{HashMap, HashSet};

use super::{
    document::Document,
    present::Present,
    things::{self, Key, Kind, Thing},
};

/// What happens to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Add,
    /// Some of its fields change.
    Change,
    /// It is taken away.
    Remove,
}

impl Action {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Remove => "remove",
        }
    }
}

/// A field before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which.
    pub field: &'static str,
    /// Before.
    pub before: Option<String>,
    /// After.
    pub after: Option<String>,
}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What happens.
    pub action: Action,
    /// To what.
    pub key: Key,
    /// What a person reads.
    pub title: String,
    /// Its fields.
    pub fields: Vec<Changed>,
}

/// Everything a file would change.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Added and changed things in the order of the file, then what is taken away.
    pub lines: Vec<Line>,
    /// Places in `lines`.
    places: HashMap<Key, usize>,
}

impl Plan {
    fn new(lines: Vec<Line>) -> Self {
        let places = lines.iter().enumerate().map(|(place, line)| (line.key.clone(), place)).collect();
        Self { lines, places }
    }

    /// The line about a thing.
    pub fn of(&self, key: &Key) -> Option<&Line> {
        self.places.get(key).and_then(|place| self.lines.get(*place))
    }

    /// What happens to a thing.
    pub fn action(&self, key: &Key) -> Option<Action> {
        self.of(key).map(|line| line.action)
    }

    /// How many lines have an action.
    pub fn count(&self, action: Action) -> usize {
        self.lines.iter().filter(|line| line.action == action).count()
    }
}

impl Line {
    /// Whether one of these fields changes.
    pub fn touches(&self, field: impl Fn(&str) -> bool) -> bool {
        self.action == Action::Add || self.fields.iter().any(|changed| field(changed.field))
    }
}

/// The difference between an installation and a file. `replaced`: providers whose stored
/// credential is not what the file's variable holds, with what there will be.
pub fn plan(present: &Present, file: &Document, replaced: &HashMap<Key, &'static str>) -> Plan {
    let before = things::of(&present.document);
    let known: HashMap<&Key, &Thing> = before.iter().map(|thing| (&thing.key, thing)).collect();
    let after = things::of(file);
    let wanted: HashSet<&Key> = after.iter().map(|thing| &thing.key).collect();
    let mut lines = Vec::new();
    for thing in &after {
        let mut line = match known.get(&thing.key) {
            None if present.had_secret(&thing.key) => continue,
            None => added(thing),
            Some(before) => changed(before, thing),
        };
        if let Some(word) = replaced.get(&thing.key) {
            let before = (line.action == Action::Change).then(|| present.credential_word(&thing.key));
            line.fields.push(Changed { field: "credential", before, after: Some((*word).to_owned()) });
        }
        if line.action == Action::Add || !line.fields.is_empty() {
            ends_a_raise(present, &mut line);
            lines.push(line);
        }
    }
    let deciding = things::deciding(file);
    let mut gone = HashSet::<&Key>::new();
    for thing in before.iter().filter(|thing| !wanted.contains(&thing.key) && thing.key.0 != Kind::Secret) {
        let Some(owner) = &thing.owner else { continue };
        let left_out = thing.owned && !present.is_kept(&thing.key) && deciding.contains(owner);
        if left_out || gone.contains(owner) {
            gone.insert(&thing.key);
            let mut line = removed(thing);
            ends_a_raise(present, &mut line);
            lines.push(line);
        }
    }
    Plan::new(lines)
}

/// A limit that is raised for a time is so no more once another amount is set, or it is taken away.
fn ends_a_raise(present: &Present, line: &mut Line) {
    let Some(raise) = present.ids.raises.get(&line.key) else { return };
    if line.action == Action::Change && !line.touches(|field| field == "cap") {
        return;
    }
    let (before, after) = match line.action {
        Action::Add => (None, Some(format!("{raise}, ends with this"))),
        Action::Change => (Some(raise.clone()), Some("ends with this".to_owned())),
        Action::Remove => (Some(format!("{raise}, ends with this")), None),
    };
    line.fields.push(Changed { field: "raised to", before, after });
}

fn added(thing: &Thing) -> Line {
    let written = thing.fields.iter().filter(|(field, _)| *field != "name" || thing.key.0 == Kind::User);
    let fields = written
        .filter(|(_, value)| value.is_some())
        .map(|(field, value)| Changed { field, before: None, after: value.clone() })
        .collect();
    Line { action: Action::Add, key: thing.key.clone(), title: thing.title.clone(), fields }
}

fn changed(before: &Thing, after: &Thing) -> Line {
    let mut fields = Vec::new();
    for (field, value) in &after.fields {
        let known = before.fields.iter().find(|(name, _)| name == field);
        let known = known.and_then(|(_, value)| value.clone());
        if known != *value {
            fields.push(Changed { field, before: known, after: value.clone() });
        }
    }
    Line { action: Action::Change, key: after.key.clone(), title: after.title.clone(), fields }
}

fn removed(thing: &Thing) -> Line {
    let fields = thing
        .fields
        .iter()
        .filter(|(_, value)| value.is_some())
        .map(|(field, value)| Changed { field, before: value.clone(), after: None })
        .collect();
    Line { action: Action::Remove, key: thing.key.clone(), title: thing.title.clone(), fields }
}
