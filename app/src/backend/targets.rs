//! What forms call the things that limits are about.

use domain::limits::{Scope, ScopeKind};

/// The reverse of `scope_key`, which pages use too.
pub fn scope_of(text: &str) -> Option<Scope> {
    let mut parts = text.split(':');
    let kind: ScopeKind = parts.next()?.parse().ok()?;
    let (thing, person) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    Some(match kind {
        ScopeKind::Organization => Scope::Organization,
        ScopeKind::Group => Scope::Group(thing.parse().ok()?),
        ScopeKind::Application => Scope::Application(thing.parse().ok()?),
        ScopeKind::User => Scope::User(thing.parse().ok()?),
        ScopeKind::Member => Scope::Member(thing.parse().ok()?, person.parse().ok()?),
        ScopeKind::Authorization => Scope::Authorization(thing.parse().ok()?),
        ScopeKind::Grant => Scope::Grant(thing.parse().ok()?),
    })
}
