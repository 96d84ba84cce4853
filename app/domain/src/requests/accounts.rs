//! On whose account somebody calls, and for whom they may ask.

use chrono::{DateTime, Utc};

use crate::{
    access::{Facts, belongs},
    groups::Standing,
    ids::{GroupId, UserId},
    limits::{Meter, Metric, Scope},
};

/// Whether somebody may ask that a limit on money be raised: it applies to calls of theirs or of an
/// application they answer for, or to a group or person that they lead. A grant is no such limit: one asks for the model anew, and for more.
pub fn raisable(facts: &Facts, meter: &Meter, user: UserId, now: DateTime<Utc>) -> bool {
    let accounts = answered_accounts(facts, user, now);
    let led = led_by(facts, user, now);
    let path = |group: &GroupId| facts.groups.get(group).map_or(&[][..], |facts| facts.path.as_slice());
    let on_path = |of: GroupId| accounts.iter().any(|own| path(own).contains(&of)) || led.contains(&of);
    let leads_of = |person: UserId| {
        let known = facts.users.get(&person).map_or(&[][..], |facts| facts.memberships.as_slice());
        known.iter().any(|membership| led.contains(&membership.group))
    };
    let concerns = match meter.scope {
        Scope::Organization => facts.users.contains_key(&user),
        Scope::Group(group) => on_path(group),
        Scope::Application(id) => facts.applications.get(&id).is_some_and(|application| {
            led.contains(&application.group)
                || [application.personal, application.owner].contains(&Some(user))
                || facts.users.get(&user).is_some_and(|person| {
                    application.assigned.iter().any(|group| belongs(facts, person, *group, now))
                })
        }),
        Scope::User(id) => id == user || leads_of(id),
        Scope::Member(group, id) => (id == user && on_path(group)) || led.contains(&group),
        Scope::Authorization(id) => {
            let rules = facts.rules.iter().find(|(_, rules)| rules.values().any(|rule| rule.id == id));
            rules.is_some_and(|(place, _)| place.is_none_or(on_path))
        }
        Scope::Grant(_) => false,
    };
    meter.metric == Metric::Spend && concerns
}

/// Groups on whose account somebody can call: those they belong to, and those of applications they
/// may have a secret of.
pub fn accounts_of(facts: &Facts, user: UserId, now: DateTime<Utc>) -> Vec<GroupId> {
    let Some(person) = facts.users.get(&user) else { return Vec::new() };
    let own = person.memberships.iter().filter(|membership| membership.ends_at.is_none_or(|end| now < end));
    let mut groups: Vec<GroupId> = own.map(|membership| membership.group).collect();
    let shared = facts.applications.values().filter(|application| {
        application.personal == Some(user)
            || application.assigned.iter().any(|group| belongs(facts, person, *group, now))
    });
    groups.extend(shared.map(|application| application.group));
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// [`accounts_of`] somebody, and those of the applications they answer for, which they need not call.
pub fn answered_accounts(facts: &Facts, user: UserId, now: DateTime<Utc>) -> Vec<GroupId> {
    let mut groups = accounts_of(facts, user, now);
    let owned = facts.applications.values().filter(|application| application.owner == Some(user));
    groups.extend(owned.map(|application| application.group));
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// Groups somebody leads: directly, and everything below.
pub fn led_by(facts: &Facts, user: UserId, now: DateTime<Utc>) -> Vec<GroupId> {
    let Some(person) = facts.users.get(&user) else { return Vec::new() };
    let leads: Vec<GroupId> = person
        .memberships
        .iter()
        .filter(|membership| membership.standing == Standing::Lead)
        .filter(|membership| membership.ends_at.is_none_or(|end| now < end))
        .map(|membership| membership.group)
        .collect();
    let below = facts.groups.iter().filter(|(_, group)| group.path.iter().any(|id| leads.contains(id)));
    let mut groups: Vec<GroupId> = below.map(|(id, _)| *id).collect();
    groups.sort_unstable();
    groups
}
