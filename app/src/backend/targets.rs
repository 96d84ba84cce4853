//! What forms call the things that rules and limits are about.

use domain::{
    authorizations::Target,
    ids::{ModelId, TierId},
    limits::{Scope, ScopeKind},
};

/// `tier:tir_…`, `model:mdl_…` or `all`.
pub fn key(target: Target) -> String {
    match target {
        Target::All => "all".to_owned(),
        Target::Tier(id) => format!("tier:{id}"),
        Target::Model(id) => format!("model:{id}"),
    }
}

/// The reverse of [`key`].
pub fn target(text: &str) -> Option<Target> {
    match text.split_once(':') {
        None => (text == "all").then_some(Target::All),
        Some(("tier", id)) => id.parse::<TierId>().ok().map(Target::Tier),
        Some(("model", id)) => id.parse::<ModelId>().ok().map(Target::Model),
        Some(_) => None,
    }
}

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
