//! The groups somebody is in, and what ended for them with those that are over.

use std::collections::HashSet;

use chrono::{DateTime, Duration, Utc};
use domain::{
    access::{Ask, Facts, Verdict, callable, decide, ended, ruling_for},
    authorizations::{State, Target},
    groups::Standing,
    ids::{GroupId, UserId},
    roles::{Act, Actor, Place, allows},
    why::{self, Over},
};

use crate::api::my_models::{GroupOver, MyGroup};

/// How many models are named that somebody can no longer call.
const NAMED: usize = 5;

/// The groups they are in, by their paths.
pub fn of(facts: &Facts, actor: &Actor, me: UserId, now: DateTime<Utc>) -> Vec<MyGroup> {
    let memberships = facts.users.get(&me).map_or(&[][..], |user| user.memberships.as_slice());
    let mut groups: Vec<MyGroup> = memberships
        .iter()
        .filter(|membership| membership.ends_at.is_none_or(|end| now < end))
        .map(|membership| MyGroup {
            id: membership.group,
            path: why::place(facts, Some(membership.group)),
            lead: membership.standing == Standing::Lead,
            last_day: membership.ends_at.map(|end| facts.calendar.day(end - Duration::seconds(1))),
            over: over(facts, actor, me, membership.group, now),
        })
        .collect();
    groups.sort_by(|a, b| a.path.cmp(&b.path));
    groups
}

fn over(facts: &Facts, actor: &Actor, me: UserId, group: GroupId, now: DateTime<Utc>) -> Option<GroupOver> {
    let Over { group: first, last, .. } = why::first_over(facts, group, now)?;
    let what = why::over(facts, group, now)?;
    let path = facts.groups.get(&first).map_or(&[][..], |group| group.path.as_slice());
    let prolongs = allows(actor, Act::EditGroup, Place::Organization);
    let goes_on = if prolongs {
        "If it is to go on, give it a later last day on its page.".to_owned()
    } else if allows(actor, Act::EditGroup, Place::Group(path)) {
        format!("A later last day is for admins: ask {} if it is to go on.", facts.admins_by_name())
    } else {
        format!("Ask {} whether it goes on.", facts.contact_past(first, now))
    };
    let lost = lost(facts, me, group, now);
    let told = format!("{what}. Secrets you had through it no longer work. {lost} {goes_on}");
    Some(GroupOver { last, told, page: prolongs.then_some(first) })
}

/// What they could call through a group until it ended, and cannot through any other.
fn lost(facts: &Facts, me: UserId, group: GroupId, now: DateTime<Utc>) -> String {
    let Some((_, end)) = ended(facts, group, now) else { return String::new() };
    let path = facts.groups.get(&group).map_or(&[][..], |group| group.path.as_slice());
    let mut then = open(facts, me, group, end - Duration::seconds(1));
    // And what it would open by now, if it went on: a model that came since, or has a price since.
    let since = facts.models.iter().filter(|(id, model)| {
        let rule = ruling_for(facts, path, Target::Model(**id), now);
        !then.contains(&model.name.as_str())
            && callable(facts, **id, now).is_ok()
            && rule.is_some_and(|(_, rule)| rule.state == State::Open)
    });
    let since: Vec<&str> = since.map(|(_, model)| model.name.as_str()).collect();
    then.extend(since);
    let memberships = facts.users.get(&me).map_or(&[][..], |user| user.memberships.as_slice());
    let still: HashSet<&str> =
        memberships.iter().flat_map(|other| open(facts, me, other.group, now)).collect();
    let mut gone: Vec<&str> = then.iter().copied().filter(|name| !still.contains(name)).collect();
    gone.sort_unstable();
    match (then.is_empty(), gone.len()) {
        (true, _) => "No model was open to you through it.".to_owned(),
        (false, 0) => {
            "What you could call through it you still can through another group of yours.".to_owned()
        }
        (false, count) if count > NAMED => {
            format!("You can no longer call {}, and {} more.", gone[..NAMED].join(", "), count - NAMED)
        }
        _ => format!("You can no longer call {}.", gone.join(", ")),
    }
}

fn open(facts: &Facts, me: UserId, group: GroupId, at: DateTime<Utc>) -> Vec<&str> {
    let may = |model| {
        let ask = Ask { group, user: Some(me), application: None, model, features: Default::default() };
        decide(facts, &ask, at).verdict == Verdict::Allow
    };
    facts.models.iter().filter(|(id, _)| may(**id)).map(|(_, model)| model.name.as_str()).collect()
}
