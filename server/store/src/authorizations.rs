//! Which group may use which models.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    access::{Facts, Rule, ruling_for},
    authorizations::{Authorization, State, Target},
    ids::{AuthorizationId, GroupId, ModelId, OrgId, TierId},
    limits::Mode,
    roles::Act,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Change, Diff, Result, Store, StoreError, Subject, access, clock};

/// Every rule, or those set on one group (`Some(None)`: the organization).
///
/// # Errors
/// When the database does not answer.
pub async fn list(store: &Store, org: OrgId, on: Option<Option<GroupId>>) -> Result<Vec<Authorization>> {
    let rows = sqlx::query!(
        "select authorization_id, group_id, model_id, tier_id, state, locked, ends_at, mode, version
         from authorizations
         where org_id = $1 and removed_at is null and (not $2 or group_id is not distinct from $3)
         order by created_at, authorization_id",
        org.0,
        on.is_some(),
        on.flatten().map(|id| id.0),
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Authorization {
                id: row.authorization_id.into(),
                group: row.group_id.map(GroupId),
                target: target(row.model_id, row.tier_id),
                state: row.state.parse()?,
                locked: row.locked,
                ends_at: row.ends_at,
                mode: row.mode.parse()?,
                version: row.version,
            })
        })
        .collect()
}

pub(crate) fn target(model: Option<Uuid>, tier: Option<Uuid>) -> Target {
    match (model, tier) {
        (Some(model), _) => Target::Model(ModelId(model)),
        (None, Some(tier)) => Target::Tier(TierId(tier)),
        (None, None) => Target::All,
    }
}

const fn columns(target: Target) -> (Option<Uuid>, Option<Uuid>) {
    match target {
        Target::Model(model) => (Some(model.0), None),
        Target::Tier(tier) => (None, Some(tier.0)),
        Target::All => (None, None),
    }
}

/// What a rule is to say; nothing: the group inherits again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Say {
    /// Open, by request, closed.
    pub state: State,
    /// Whether groups below cannot say otherwise.
    pub locked: bool,
    /// When it stops by itself.
    pub ends_at: Option<DateTime<Utc>>,
}

/// Sets what a group (none: the organization) says about a target, or takes it away. A permit to
/// narrow is enough as long as no model becomes wider for anybody.
///
/// # Errors
/// [`StoreError::Invalid`] when it would widen and the permit is to narrow.
pub async fn set(
    change: &mut Change,
    group: Option<GroupId>,
    target: Target,
    say: Option<Say>,
) -> Result<Option<AuthorizationId>> {
    let may_widen = change.expect(Act::WidenAuthorizations, group).is_ok();
    if !may_widen {
        change.expect(Act::NarrowAuthorizations, group)?;
        refuse_widening(change, group, target, say).await?;
    }
    put(change, group, target, say, Mode::Enforce).await
}

/// The same for a rule that stands beside the one that decides and only takes note of what it would
/// refuse. It opens nothing, so a permit to narrow is enough.
///
/// # Errors
/// When the group or the target is not in the organization.
pub async fn observe(
    change: &mut Change,
    group: Option<GroupId>,
    target: Target,
    say: Option<Say>,
) -> Result<Option<AuthorizationId>> {
    if change.expect(Act::WidenAuthorizations, group).is_err() {
        change.expect(Act::NarrowAuthorizations, group)?;
    }
    put(change, group, target, say, Mode::Observe).await
}

/// An observed rule of the organization: where it is set, about what, and what it says.
///
/// # Errors
/// [`StoreError::NotFound`] when there is none with this id.
pub async fn observed(
    db: &mut PgConnection,
    org: OrgId,
    id: AuthorizationId,
) -> Result<(Option<GroupId>, Target, Say)> {
    let row = sqlx::query!(
        "select group_id, model_id, tier_id, state, locked, ends_at from authorizations
         where org_id = $1 and authorization_id = $2 and removed_at is null and mode = 'observe'",
        org.0,
        id.0,
    )
    .fetch_one(db)
    .await?;
    let say = Say { state: row.state.parse()?, locked: row.locked, ends_at: row.ends_at };
    Ok((row.group_id.map(GroupId), target(row.model_id, row.tier_id), say))
}

/// Makes an observed rule the one that decides, in the place of the one that did.
///
/// # Errors
/// [`StoreError::NotFound`] when there is none with this id; those of [`set`].
pub async fn promote(change: &mut Change, id: AuthorizationId) -> Result<()> {
    let org = change.org();
    let (group, target, say) = observed(change.db(), org, id).await?;
    set(change, group, target, Some(say)).await?;
    observe(change, group, target, None).await?;
    Ok(())
}

async fn put(
    change: &mut Change,
    group: Option<GroupId>,
    target: Target,
    say: Option<Say>,
    mode: Mode,
) -> Result<Option<AuthorizationId>> {
    let (org, at) = (change.org(), change.at());
    let (model, tier) = columns(target);
    let known = sqlx::query!(
        "select authorization_id, state, locked, ends_at from authorizations
         where org_id = $1 and group_id is not distinct from $2 and model_id is not distinct from $3
           and tier_id is not distinct from $4 and mode = $5 and removed_at is null",
        org.0,
        group.map(|id| id.0),
        model,
        tier,
        mode.as_str(),
    )
    .fetch_optional(change.db())
    .await?;
    let (id, verb) = match (&known, say) {
        (None, None) => return Ok(None),
        (Some(known), None) => {
            sqlx::query!(
                "update authorizations set removed_at = $3, version = version + 1 where org_id = $1 and authorization_id = $2",
                org.0,
                known.authorization_id,
                at
            )
            .execute(change.db())
            .await?;
            (known.authorization_id, "remove")
        }
        (Some(known), Some(say)) => {
            sqlx::query!(
                "update authorizations set state = $3, locked = $4, ends_at = $5, version = version + 1
                 where org_id = $1 and authorization_id = $2",
                org.0,
                known.authorization_id,
                say.state.as_str(),
                say.locked,
                say.ends_at,
            )
            .execute(change.db())
            .await?;
            (known.authorization_id, "edit")
        }
        (None, Some(say)) => {
            let id: AuthorizationId = clock::id();
            sqlx::query!(
                "insert into authorizations (org_id, authorization_id, group_id, model_id, tier_id, state, locked, ends_at, mode, created_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                org.0,
                id.0,
                group.map(|id| id.0),
                model,
                tier,
                say.state.as_str(),
                say.locked,
                say.ends_at,
                mode.as_str(),
                at,
            )
            .execute(change.db())
            .await?;
            (id.0, "create")
        }
    };
    let diff = Diff::new()
        .field("state", known.as_ref().map(|known| known.state.clone()), say.map(|say| say.state))
        .field("locked", known.as_ref().map(|known| known.locked), say.map(|say| say.locked))
        .field(
            "ends_at",
            known.as_ref().and_then(|known| known.ends_at).map(|at| at.to_rfc3339()),
            say.and_then(|say| say.ends_at).map(|at| at.to_rfc3339()),
        );
    if diff.is_empty() {
        return Ok(Some(id.into()));
    }
    let mut name = describe(change, group, target).await?;
    if mode == Mode::Observe {
        name += ", only observed";
    }
    change.record(Subject { kind: "authorization", id, name: &name }, verb, &diff).await?;
    Ok(say.is_some().then_some(id.into()))
}

/// `big-chat for Research`.
async fn describe(change: &mut Change, group: Option<GroupId>, target: Target) -> Result<String> {
    let org = change.org();
    let (model, tier) = columns(target);
    let row = sqlx::query!(
        r#"select (select name from groups where org_id = $1 and group_id = $2) as group_name,
                  (select name from models where org_id = $1 and model_id = $3) as model,
                  (select name from tiers where org_id = $1 and tier_id = $4) as tier"#,
        org.0,
        group.map(|id| id.0),
        model,
        tier,
    )
    .fetch_one(change.db())
    .await?;
    let what = row
        .model
        .or_else(|| row.tier.map(|tier| format!("tier {tier}")))
        .unwrap_or_else(|| "all models".to_owned());
    Ok(format!("{what} for {}", row.group_name.unwrap_or_else(|| "the organization".to_owned())))
}

async fn refuse_widening(
    change: &mut Change,
    group: Option<GroupId>,
    target: Target,
    say: Option<Say>,
) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let before = access::read(change.db(), org).await?;
    let mut after = before.clone();
    let rules = after.rules.entry(group).or_default();
    match say {
        Some(say) => {
            let id = rules.get(&target).map_or_else(clock::id, |rule| rule.id);
            rules.insert(target, Rule { id, state: say.state, locked: say.locked, ends_at: say.ends_at });
        }
        None => {
            rules.remove(&target);
        }
    }
    match widened(&before, &after, group, at) {
        None => Ok(()),
        Some(sentence) => Err(StoreError::invalid("state", sentence)),
    }
}

/// The first thing that a group (`below` or under it) could use more freely after a change, now or once a rule has
/// ended, as a sentence. What no model is behind yet counts too: tomorrow one may be.
fn widened(before: &Facts, after: &Facts, below: Option<GroupId>, at: DateTime<Utc>) -> Option<String> {
    let rules = || before.rules.values().chain(after.rules.values()).flat_map(HashMap::values);
    let mut moments: Vec<_> = rules().filter_map(|rule| rule.ends_at).filter(|end| *end > at).collect();
    moments.push(at);
    let targets: Vec<Target> = std::iter::once(Target::All)
        .chain(before.tiers.keys().copied().map(Target::Tier))
        .chain(before.models.keys().copied().map(Target::Model))
        .collect();
    for group in before.groups.values().filter(|facts| below.is_none_or(|group| facts.path.contains(&group)))
    {
        for &target in &targets {
            for &moment in &moments {
                let width = |facts| width(ruling_for(facts, &group.path, target, moment));
                if width(after) > width(before) {
                    return Some(format!(
                        "This would make {} wider for {}. Only an admin or owner can do that; leads can narrow.",
                        before.target_name(target),
                        group.name
                    ));
                }
            }
        }
    }
    None
}

fn width(ruling: Option<(Option<GroupId>, Rule)>) -> u8 {
    match ruling.map(|(_, rule)| rule.state) {
        Some(State::Open) => 2,
        Some(State::ByRequest) => 1,
        Some(State::Closed) | None => 0,
    }
}
