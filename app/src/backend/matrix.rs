//! What the rules come to, cell by cell: the gateway's own reading of them.

use chrono::{DateTime, Utc};
use domain::{
    access::{Facts, ruling_for},
    authorizations::{State, Target},
    ids::GroupId,
    limits::Scope,
    models::Review,
};

use crate::api::authorizations::{Cell, Line, Own};

/// What the place a rule is set on is called.
fn place_name(facts: &Facts, place: Option<GroupId>) -> String {
    place
        .and_then(|id| facts.groups.get(&id))
        .map_or_else(|| facts.org_name.clone(), |group| group.name.clone())
}

/// What the rules on a path come to for a tier as a whole, or for one model.
pub fn cell(
    facts: &Facts,
    group: Option<GroupId>,
    path: &[GroupId],
    target: Target,
    now: DateTime<Utc>,
) -> Cell {
    let ruling = ruling_for(facts, path, target, now);
    let own = facts.rules.get(&group).and_then(|rules| rules.get(&target)).map(|rule| Own {
        id: rule.id.to_string(),
        state: rule.state,
        locked: rule.locked,
        ends_at: rule.ends_at,
        quotas: facts
            .limits
            .get(&Scope::Authorization(rule.id))
            .map(|limits| limits.iter().map(|limit| limit.meter.show_cap(limit.cap)).collect())
            .unwrap_or_default(),
    });
    Cell {
        state: ruling.map_or(State::Closed, |(_, rule)| rule.state),
        own,
        from: ruling.map(|(place, _)| place_name(facts, place)).unwrap_or_default(),
        observed: facts.observed.get(&group).and_then(|rules| rules.get(&target)).map(|rule| rule.state),
    }
}

/// What a group may do with each model, the widest first, then by name.
pub fn lines(facts: &Facts, group: Option<GroupId>, now: DateTime<Utc>) -> Vec<Line> {
    let path = group.and_then(|id| facts.groups.get(&id)).map(|group| group.path.clone()).unwrap_or_default();
    let mut lines: Vec<Line> = facts
        .models
        .iter()
        .filter(|(_, model)| !model.archived)
        .map(|(id, model)| {
            let ruling = ruling_for(facts, &path, Target::Model(*id), now);
            Line {
                model: *id,
                name: model.name.clone(),
                tier: facts.tiers.get(&model.tier).map(|tier| tier.name.clone()).unwrap_or_default(),
                state: ruling.map_or(State::Closed, |(_, rule)| rule.state),
                obstacle: match () {
                    () if model.review == Review::Pending => Some("waits for review".to_owned()),
                    () if model.prices_at(now).is_none() => Some("has no price".to_owned()),
                    () => None,
                },
                from: ruling.map(|(place, _)| place_name(facts, place)),
            }
        })
        .collect();
    lines.sort_by(|a, b| (a.state, &a.name).cmp(&(b.state, &b.name)));
    lines
}
