//! What became of a rule that only took note, and undoing it: it was made to decide, or taken away.

use domain::{
    authorizations::{Cell, Draft, Edit, Seen},
    ids::{AuthorizationId, GroupId, OrgId},
    limits::{Mode, Scope},
    roles::Act,
};
use serde::{Deserialize, Serialize};

use super::{Known, Say, changed_since, describe, known, observe, refused, target, write};
use crate::{Change, Diff, Result, Store, StoreError, Subject, change::exactly_one};

/// What stood in a cell before, and what stands there since: all it takes to put it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stood {
    /// Where.
    cell: Cell,
    /// The rule that only took note.
    watched: (AuthorizationId, Say),
    /// The rule that decided, before and after.
    decided: (Option<(Seen, Say)>, Option<Seen>),
}

/// What has become of a rule that takes note no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Became {
    /// Where it stood.
    pub cell: Cell,
    /// Whether it was made to decide, itself or in what the rule says that decided before.
    pub promoted: bool,
    /// What the rule says that decides there now.
    pub now: Option<Say>,
}

/// What has become of a rule that takes note no more. None: there never was such a rule.
///
/// # Errors
/// When the database does not answer.
pub async fn became(store: &Store, org: OrgId, id: AuthorizationId) -> Result<Option<Became>> {
    let row = sqlx::query!(
        r#"select o.group_id, o.model_id, o.tier_id, o.mode, o.removed_at is null as "stands!",
                  d.state as "state?", d.locked as "locked?", d.ends_at,
                  -- The rule that decides was edited in the very change that took this one away.
                  exists (select 1 from audit a join audit b on b.org_id = a.org_id and b.at = a.at
                          where a.org_id = $1 and a.subject_id = $2 and a.act = 'authorization.remove'
                            and b.subject_id = d.authorization_id) as "handed_on!"
           from authorizations o
           left join authorizations d on d.org_id = o.org_id and d.group_id is not distinct from o.group_id
             and d.model_id is not distinct from o.model_id and d.tier_id is not distinct from o.tier_id
             and d.mode = 'enforce' and d.removed_at is null
           where o.org_id = $1 and o.authorization_id = $2"#,
        org.0,
        id.0,
    )
    .fetch_optional(store.pool())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let says = |state: String, locked| {
        Ok::<_, StoreError>(Say { state: state.parse()?, locked, ends_at: row.ends_at })
    };
    let now = row.state.zip(row.locked).map(|(state, locked)| says(state, locked)).transpose()?;
    let itself = row.mode == Mode::Enforce.as_str() && row.stands;
    Ok(Some(Became {
        cell: Cell { group: row.group_id.map(GroupId), target: target(row.model_id, row.tier_id) },
        promoted: itself || (row.mode == Mode::Observe.as_str() && row.handed_on),
        now,
    }))
}

/// A rule that only takes note, before something becomes of it.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    cell: Cell,
    watched: Known,
    decided: Option<Known>,
    /// Whether it has quotas that would go over to another rule.
    quotas: bool,
}

/// What stands in a cell, before it is changed. None where nothing only takes note there.
///
/// # Errors
/// When the database does not answer.
pub async fn before(change: &mut Change, cell: Cell) -> Result<Option<Before>> {
    let Some(watched) = known(change, cell, Mode::Observe).await? else { return Ok(None) };
    let decided = known(change, cell, Mode::Enforce).await?;
    let facts = change.facts().await?;
    let quotas = facts.limits.contains_key(&Scope::Authorization(watched.seen.id));
    Ok(Some(Before { cell, watched, decided, quotas }))
}

/// What puts it back, after it was changed. None where it cannot be put back by whoever changed it: what
/// narrowed may not be widened again by those who may only narrow, and quotas that two rules had are one
/// now.
///
/// # Errors
/// When the database does not answer.
pub async fn stood(change: &mut Change, before: Before) -> Result<Option<Stood>> {
    let Before { cell, watched, decided, quotas } = before;
    let now = known(change, cell, Mode::Enforce).await?;
    let promoted = now.map(|now| now.seen) != decided.map(|decided| decided.seen);
    let widens = change.expect(Act::WidenAuthorizations, cell.group).is_ok();
    if promoted && (!widens || (quotas && decided.is_some())) {
        return Ok(None);
    }
    let decided = decided.map(|decided| (decided.seen, decided.say));
    Ok(Some(Stood {
        cell,
        watched: (watched.seen.id, watched.say),
        decided: (decided, now.map(|now| now.seen)),
    }))
}

/// Whose permit it takes: the draft of putting back what decided.
pub fn draft(stood: &Stood) -> Draft {
    let (before, after) = stood.decided;
    let say = before.map(|(_, say)| say);
    Draft { edits: vec![Edit { cell: stood.cell, say, seen: after }] }
}

/// Puts it back.
///
/// # Errors
/// [`StoreError::Meanwhile`] when somebody changed one of the two since; [`StoreError::Invalid`] when
/// whoever asks may not say again what was said.
pub async fn put_back(change: &mut Change, stood: &Stood) -> Result<()> {
    let Stood { cell, watched: (id, say), decided: (before, after) } = *stood;
    let now = known(change, cell, Mode::Enforce).await?;
    let again = known(change, cell, Mode::Observe).await?;
    if now.map(|now| now.seen) != after || again.is_some() || !is_of(change, id, cell).await? {
        return Err(changed_since(change, cell, now).await?);
    }
    // Promoted without another in its place: the very rule that decides now takes note again.
    if before.is_none() && after.is_some_and(|after| after.id == id) {
        if let Some((_, sentence)) = refused(change, &draft(stood)).await?.pop_first() {
            return Err(StoreError::invalid("state", sentence));
        }
        return take_note(change, cell, id).await;
    }
    if before.map(|(seen, _)| seen) != after {
        if let Some((_, sentence)) = refused(change, &draft(stood)).await?.pop_first() {
            return Err(StoreError::invalid("state", sentence));
        }
        write(change, cell, Mode::Enforce, now, before.map(|(_, say)| say), None).await?;
    } else {
        // It opens and closes nothing.
        observe(change, cell.group, cell.target, None).await?;
    }
    write(change, cell, Mode::Observe, None, Some(say), Some(id)).await.map(|_| ())
}

/// Whether this rule stands, or stood, in this cell.
async fn is_of(change: &mut Change, id: AuthorizationId, cell: Cell) -> Result<bool> {
    let org = change.org();
    let row = sqlx::query!(
        "select group_id, model_id, tier_id from authorizations where org_id = $1 and authorization_id = $2",
        org.0,
        id.0
    )
    .fetch_optional(change.db())
    .await?;
    Ok(row.is_some_and(|row| {
        row.group_id == cell.group.map(|id| id.0) && target(row.model_id, row.tier_id) == cell.target
    }))
}

async fn take_note(change: &mut Change, cell: Cell, id: AuthorizationId) -> Result<()> {
    let org = change.org();
    let done = sqlx::query!(
        "update authorizations set mode = 'observe', version = version + 1
         where org_id = $1 and authorization_id = $2 and removed_at is null and mode = 'enforce'",
        org.0,
        id.0,
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    let name = describe(change, cell).await?;
    let diff = Diff::new().field("mode", Some(Mode::Enforce), Some(Mode::Observe));
    change.record(Subject { kind: "authorization", id: id.0, name: &name }, "edit", &diff).await
}
