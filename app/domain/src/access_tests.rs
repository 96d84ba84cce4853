//! Pinned tests: what must stay true of who may use what, whatever else changes.
//!
//! A test is put to [`crate::access::decide`] like a call. A change that would break one is not
//! made, by whatever door it comes.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    access::{ApplicationFacts, Ask, Facts, belongs, callable, decide, ruling_for},
    authorizations::{State, Target},
    ids::{AccessTestId, GroupId, KeyId, ModelId, UserId},
    keys::Features,
    names::Name,
    why::place,
    words::words,
};

words! {
    /// What is expected.
    Expected("expectation") {
        /// It can be used at once.
        Open = "open",
        /// It can be used after somebody agreed.
        ByRequest = "by_request",
        /// It cannot be used.
        Closed = "closed",
        /// It cannot be used at once.
        NotOpen = "not_open",
    }
}

impl Expected {
    /// How people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::ByRequest => "By request",
            Self::Closed => "Closed",
            Self::NotOpen => "Not open",
        }
    }

    /// Whether a state is as expected.
    pub fn met_by(self, state: State) -> bool {
        match self {
            Self::Open => state == State::Open,
            Self::ByRequest => state == State::ByRequest,
            Self::Closed => state == State::Closed,
            Self::NotOpen => state != State::Open,
        }
    }

    /// Whether it is expected of everything below a group, too: what must not be open must not be
    /// open there either.
    const fn reaches_below(self) -> bool {
        matches!(self, Self::Closed | Self::NotOpen)
    }
}

/// Whom a test is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// A group; what must not be open, in everything below it, too.
    Group(GroupId),
    /// A person, in every group and with every key they have.
    User(UserId),
    /// A key.
    Key(KeyId),
}

/// A pinned test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessTest {
    /// Its id.
    pub id: AccessTestId,
    /// What it is called: "interns cannot use big-chat".
    pub name: Name,
    /// Whom it is about.
    pub subject: Subject,
    /// A model, or every model of a tier.
    pub target: Target,
    /// What is expected.
    pub expected: Expected,
}

/// Where a test does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What was expected.
    pub expected: Expected,
    /// What it is.
    pub found: State,
    /// Of what: a model, or a tier.
    pub what: String,
    /// For whom.
    pub whom: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (expected, found) = (self.expected.label().to_lowercase(), self.found.label().to_lowercase());
        write!(f, "expected {expected}, and {} is {found} for {}", self.what, self.whom)
    }
}

/// Whether a test holds; otherwise the first place where it does not.
///
/// # Errors
/// The failure.
pub fn run(facts: &Facts, test: &AccessTest, now: DateTime<Utc>) -> Result<(), Failure> {
    let fail = |found: State, what: String, whom: String| {
        Err(Failure { expected: test.expected, found, what, whom })
    };
    if let (Subject::Group(group), Target::Tier(_) | Target::All) = (test.subject, test.target) {
        // What no model is behind yet counts too: tomorrow one may be.
        for id in groups(facts, group, test.expected, now) {
            let path = facts.groups.get(&id).map_or(&[][..], |group| group.path.as_slice());
            let found =
                ruling_for(facts, path, test.target, now).map_or(State::Closed, |(_, rule)| rule.state);
            if !test.expected.met_by(found) {
                return fail(found, facts.target_name(test.target), place(facts, Some(id)));
            }
        }
    }
    for model in models(facts, test.target, now) {
        for (found, whom) in found(facts, test, model, now) {
            if !test.expected.met_by(found) {
                return fail(found, facts.target_name(Target::Model(model)), whom);
            }
        }
    }
    Ok(())
}

/// The models a test is about: of a tier, those that can be called at all.
fn models(facts: &Facts, target: Target, now: DateTime<Utc>) -> Vec<ModelId> {
    let Target::Tier(tier) = target else {
        return match target {
            Target::Model(id) => vec![id],
            Target::Tier(_) | Target::All => Vec::new(),
        };
    };
    let mut models: Vec<(&String, ModelId)> = facts
        .models
        .iter()
        .filter(|(id, model)| model.tier == tier && callable(facts, **id, now).is_ok())
        .map(|(id, model)| (&model.name, *id))
        .collect();
    models.sort();
    models.into_iter().map(|(_, id)| id).collect()
}

/// A group, with those below it where the expectation reaches them.
fn groups(facts: &Facts, group: GroupId, expected: Expected, now: DateTime<Utc>) -> Vec<GroupId> {
    let mut groups: Vec<(String, GroupId)> = facts
        .groups
        .iter()
        .filter(|(id, of)| **id == group || (expected.reaches_below() && of.path.contains(&group)))
        .filter(|(id, of)| **id == group || of.ends_at.is_none_or(|end| now < end))
        .map(|(id, _)| (place(facts, Some(*id)), *id))
        .collect();
    groups.sort();
    groups.into_iter().map(|(_, id)| id).collect()
}

/// What a model is for everybody the test is about, each with what they are called.
fn found(facts: &Facts, test: &AccessTest, model: ModelId, now: DateTime<Utc>) -> Vec<(State, String)> {
    let ask = |group, user, application: Option<&ApplicationFacts>| {
        let ask = Ask { group, user, application, model, features: Features::default() };
        State::from(decide(facts, &ask, now).verdict)
    };
    match test.subject {
        Subject::Group(group) => groups(facts, group, test.expected, now)
            .into_iter()
            .map(|id| (ask(id, None, None), place(facts, Some(id))))
            .collect(),
        Subject::User(id) => {
            let Some(user) = facts.users.get(&id) else { return vec![(State::Closed, "nobody".to_owned())] };
            let own = user
                .memberships
                .iter()
                .filter(|membership| membership.ends_at.is_none_or(|end| now < end))
                .map(|membership| ask(membership.group, Some(id), None));
            let shared = facts
                .applications
                .values()
                .filter(|application| {
                    application.personal == Some(id)
                        || application.assigned.iter().any(|group| belongs(facts, user, *group, now))
                })
                .map(|application| ask(application.group, Some(id), Some(application)));
            // Wherever they may use it most freely.
            vec![(own.chain(shared).min().unwrap_or(State::Closed), user.name.clone())]
        }
        Subject::Key(key) => {
            let application = facts.applications.values().find(|application| application.key == key);
            let Some(application) = application else {
                return vec![(State::Closed, "a key that is gone".to_owned())];
            };
            let found = ask(application.group, application.personal, Some(application));
            vec![(found, format!("the key of {}", application.name))]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_is_met_by_what_it_says() {
        let met = |expected: Expected| {
            State::ALL.iter().filter(|state| expected.met_by(**state)).copied().collect::<Vec<_>>()
        };
        assert_eq!(met(Expected::Open), [State::Open]);
        assert_eq!(met(Expected::ByRequest), [State::ByRequest]);
        assert_eq!(met(Expected::Closed), [State::Closed]);
        assert_eq!(met(Expected::NotOpen), [State::ByRequest, State::Closed]);
    }
}
