//! Which group may use which models.

pub mod drafts;
pub mod watching;

use std::collections::BTreeMap;

use domain::{
    authorizations::{Authorization, Cell, Draft, Edit, Seen, Target},
    drafts::widenings,
    ids::{AuthorizationId, GroupId, ModelId, OrgId, TierId},
    limits::Mode,
    roles::Act,
};
use sqlx::PgConnection;
use uuid::Uuid;

pub use domain::authorizations::Say;

use crate::{Change, Diff, Result, Store, StoreError, Subject, access, change::exactly_one, clock, limits};

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
    let cell = Cell { group, target };
    let draft = Draft { edits: vec![Edit { cell, say, seen: None }] };
    if let Some((_, sentence)) = refused(change, &draft).await?.pop_first() {
        return Err(StoreError::invalid("state", sentence));
    }
    let known = known(change, cell, Mode::Enforce).await?;
    let made = write(change, cell, Mode::Enforce, known, say, None).await?;
    Ok(made.map(|seen| seen.id))
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
    let cell = Cell { group, target };
    let known = known(change, cell, Mode::Observe).await?;
    let made = write(change, cell, Mode::Observe, known, say, None).await?;
    Ok(made.map(|seen| seen.id))
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

/// Makes an observed rule the one that decides, in the place of the one that did. Its quotas go along:
/// what they have counted stays counted. Where both had a quota on the same, whoever may widen has
/// the observed rule's, and a lead the lower one.
///
/// # Errors
/// [`StoreError::NotFound`] when there is none with this id; those of [`set`].
pub async fn promote(change: &mut Change, id: AuthorizationId) -> Result<()> {
    let org = change.org();
    let (group, target, say) = observed(change.db(), org, id).await?;
    let cell = Cell { group, target };
    let draft = Draft { edits: vec![Edit { cell, say: Some(say), seen: None }] };
    if let Some((_, sentence)) = refused(change, &draft).await?.pop_first() {
        return Err(StoreError::invalid("state", sentence));
    }
    match known(change, cell, Mode::Enforce).await? {
        None => decide(change, cell, id).await,
        Some(standing) => {
            let facts = access::read(change.db(), org).await?;
            write(change, cell, Mode::Enforce, Some(standing), Some(say), None).await?;
            limits::hand_on(change, &facts, id, standing.seen.id).await?;
            observe(change, group, target, None).await.map(|_| ())
        }
    }
}

/// Makes what stands in a cell and only takes note decide, if it still says this.
///
/// # Errors
/// [`StoreError::Stale`] when it says something else by now; those of [`promote`].
pub(crate) async fn promote_in(change: &mut Change, cell: Cell, say: Option<Say>) -> Result<()> {
    match known(change, cell, Mode::Observe).await? {
        Some(known) if Some(known.say) == say => promote(change, known.seen.id).await,
        _ => Err(StoreError::Stale),
    }
}

/// A rule that only took note decides from now on: the very same, so that its quotas count on.
async fn decide(change: &mut Change, cell: Cell, id: AuthorizationId) -> Result<()> {
    let org = change.org();
    let done = sqlx::query!(
        "update authorizations set mode = 'enforce', version = version + 1
         where org_id = $1 and authorization_id = $2 and removed_at is null and mode = 'observe'",
        org.0,
        id.0,
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    let name = describe(change, cell).await?;
    let diff = Diff::new().field("mode", Some(Mode::Observe), Some(Mode::Enforce));
    change.record(Subject { kind: "authorization", id: id.0, name: &name }, "edit", &diff).await
}

/// The edits of a draft that whoever has the permit may not make, each with a sentence. A permit to
/// widen is for all of them.
///
/// # Errors
/// [`StoreError::NotPermitted`] when the permit is not even to narrow, everywhere in it.
async fn refused(change: &mut Change, draft: &Draft) -> Result<BTreeMap<usize, String>> {
    let everywhere = |act| draft.edits.iter().try_for_each(|edit| change.expect(act, edit.cell.group));
    if everywhere(Act::WidenAuthorizations).is_ok() {
        return Ok(BTreeMap::new());
    }
    everywhere(Act::NarrowAuthorizations)?;
    let (org, at) = (change.org(), change.at());
    let before = access::read(change.db(), org).await?;
    Ok(widenings(&before, &draft.on(&before), draft, at))
}

/// The rule that stands in a cell: of those that decide, or of those that only take note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    seen: Seen,
    say: Say,
}

async fn known(change: &mut Change, cell: Cell, mode: Mode) -> Result<Option<Known>> {
    let org = change.org();
    let (model, tier) = columns(cell.target);
    let row = sqlx::query!(
        "select authorization_id, state, locked, ends_at, version from authorizations
         where org_id = $1 and group_id is not distinct from $2 and model_id is not distinct from $3
           and tier_id is not distinct from $4 and mode = $5 and removed_at is null",
        org.0,
        cell.group.map(|id| id.0),
        model,
        tier,
        mode.as_str(),
    )
    .fetch_optional(change.db())
    .await?;
    row.map(|row| {
        Ok(Known {
            seen: Seen { id: row.authorization_id.into(), version: row.version },
            say: Say { state: row.state.parse()?, locked: row.locked, ends_at: row.ends_at },
        })
    })
    .transpose()
}

/// Makes a cell say something, or nothing any more; returns the rule that stands there afterwards.
/// `revive`: the rule that stood there before it was taken away, with the quotas on it.
async fn write(
    change: &mut Change,
    cell: Cell,
    mode: Mode,
    known: Option<Known>,
    say: Option<Say>,
    revive: Option<AuthorizationId>,
) -> Result<Option<Seen>> {
    let (org, at) = (change.org(), change.at());
    let diff = difference(known.map(|known| known.say), say);
    let (id, verb) = match (known, say) {
        (None, None) => return Ok(None),
        (Some(known), Some(_)) if diff.is_empty() => return Ok(Some(known.seen)),
        (Some(known), None) => {
            sqlx::query!(
                "update authorizations set removed_at = $3, version = version + 1 where org_id = $1 and authorization_id = $2",
                org.0,
                known.seen.id.0,
                at
            )
            .execute(change.db())
            .await?;
            (known.seen.id, "remove")
        }
        (Some(known), Some(say)) => {
            edit(change, known.seen.id, say).await?;
            (known.seen.id, "edit")
        }
        (None, Some(say)) => match revive {
            Some(id) => {
                edit(change, id, say).await?;
                (id, "create")
            }
            None => (insert(change, cell, mode, say).await?, "create"),
        },
    };
    let mut name = describe(change, cell).await?;
    if mode == Mode::Observe {
        name += ", only observed";
    }
    change.record(Subject { kind: "authorization", id: id.0, name: &name }, verb, &diff).await?;
    if say.is_none() {
        return Ok(None);
    }
    let version = sqlx::query_scalar!(
        "select version from authorizations where org_id = $1 and authorization_id = $2",
        org.0,
        id.0
    );
    Ok(Some(Seen { id, version: version.fetch_one(change.db()).await? }))
}

fn difference(before: Option<Say>, after: Option<Say>) -> Diff {
    let ends = |say: Option<Say>| say.and_then(|say| say.ends_at).map(|end| end.to_rfc3339());
    Diff::new()
        .field("state", before.map(|say| say.state), after.map(|say| say.state))
        .field("locked", before.map(|say| say.locked), after.map(|say| say.locked))
        .field("ends_at", ends(before), ends(after))
}

async fn edit(change: &mut Change, id: AuthorizationId, say: Say) -> Result<()> {
    let org = change.org();
    let done = sqlx::query!(
        "update authorizations set state = $3, locked = $4, ends_at = $5, removed_at = null, version = version + 1
         where org_id = $1 and authorization_id = $2",
        org.0,
        id.0,
        say.state.as_str(),
        say.locked,
        say.ends_at,
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)
}

async fn insert(change: &mut Change, cell: Cell, mode: Mode, say: Say) -> Result<AuthorizationId> {
    let (org, at) = (change.org(), change.at());
    let (model, tier) = columns(cell.target);
    let id: AuthorizationId = clock::id();
    sqlx::query!(
        "insert into authorizations (org_id, authorization_id, group_id, model_id, tier_id, state, locked, ends_at, mode, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        org.0,
        id.0,
        cell.group.map(|id| id.0),
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
    Ok(id)
}

/// `big-chat for Research`.
/// Why nothing is undone in a cell: what it says now, which is not what it was left with.
async fn changed_since(change: &mut Change, cell: Cell, now: Option<Known>) -> Result<StoreError> {
    let name = describe(change, cell).await?;
    let calendar = change.facts().await?.calendar;
    let now = now.map_or_else(
        || "nothing is said about it there any more".to_owned(),
        |known| format!("it is “{}” now", known.say.in_words(&calendar)),
    );
    Ok(StoreError::Meanwhile(format!(
        "{name} was changed again since: {now}. Nothing was undone; change it as it is now, if it is to be as before."
    )))
}

async fn describe(change: &mut Change, cell: Cell) -> Result<String> {
    let org = change.org();
    let (model, tier) = columns(cell.target);
    let row = sqlx::query!(
        r#"select (select name from groups where org_id = $1 and group_id = $2) as group_name,
                  (select name from models where org_id = $1 and model_id = $3) as model,
                  (select name from tiers where org_id = $1 and tier_id = $4) as tier"#,
        org.0,
        cell.group.map(|id| id.0),
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
