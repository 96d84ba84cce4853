//! Drafts: edits of many cells that are kept, looked at, saved and undone together, under one id.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use domain::{
    access::RuleSet,
    authorizations::{Cell, Draft, EDITS_MAX, Edit, Say, Seen},
    ids::{AuthorizationId, BatchId, GroupId, OrgId, UserId},
    limits::Mode,
    roles::Permit,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Known, changed_since, refused, target, write};
use crate::{Change, Result, Store, StoreError, access, change::exactly_one, clock};

/// How long a draft is kept without being saved.
const KEPT_HOURS: i64 = 24 * 7;

/// A draft as it is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its id; lines of the log carry it too.
    pub id: BatchId,
    /// Who made it.
    pub actor: UserId,
    /// The edits.
    pub draft: Draft,
    /// What was done to each cell; none until it is saved.
    pub made: Option<Vec<Made>>,
    /// Saved since.
    pub done_at: Option<DateTime<Utc>>,
    /// Undone since.
    pub undone_at: Option<DateTime<Utc>>,
}

/// What was done to a cell, and what it takes to undo it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Which.
    pub cell: Cell,
    /// The rule that stood there before, and what it said.
    pub before: Option<(AuthorizationId, Say)>,
    /// The rule that stands there since.
    pub after: Option<Seen>,
}

/// An edit beside what stands in its cell now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The edit.
    pub edit: Edit,
    /// What stands there now.
    pub now: Option<(Seen, Say)>,
    /// Somebody else changed it to something else since the edit was made.
    pub stale: bool,
    /// Why whoever looks may not make it.
    pub refused: Option<String>,
}

/// Keeps a draft. Nothing is changed by it.
///
/// # Errors
/// [`StoreError::Invalid`] when it has no edits, or too many.
pub async fn keep(store: &Store, permit: &Permit, draft: &Draft) -> Result<BatchId> {
    let org = permit.org();
    let actor = permit.actor().user.ok_or(StoreError::NotPermitted(permit.act()))?;
    if draft.edits.is_empty() {
        return Err(StoreError::invalid("edits", "Change at least one cell."));
    }
    if draft.edits.len() > EDITS_MAX {
        let sentence = format!("At most {EDITS_MAX} cells are changed at once. Save some of them first.");
        return Err(StoreError::invalid("edits", sentence));
    }
    let (id, now) = (clock::id::<BatchId>(), clock::now());
    sqlx::query!(
        "delete from drafts where org_id = $1 and done_at is null and prepared_at < $2",
        org.0,
        now - Duration::hours(KEPT_HOURS)
    )
    .execute(store.pool())
    .await?;
    sqlx::query!(
        "insert into drafts (org_id, draft_id, actor_id, edits, prepared_at) values ($1, $2, $3, $4, $5)",
        org.0,
        id.0,
        actor.0,
        json!(draft),
        now,
    )
    .execute(store.pool())
    .await?;
    Ok(id)
}

/// A draft of the organization.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not there.
pub async fn get(store: &Store, org: OrgId, id: BatchId) -> Result<Kept> {
    let row = sqlx::query!(
        "select actor_id, edits, made, done_at, undone_at from drafts where org_id = $1 and draft_id = $2",
        org.0,
        id.0,
    )
    .fetch_one(store.pool())
    .await?;
    let unreadable = |error: serde_json::Error| StoreError::Unreadable(error.to_string());
    Ok(Kept {
        id,
        actor: row.actor_id.into(),
        draft: serde_json::from_value(row.edits).map_err(unreadable)?,
        made: row.made.map(serde_json::from_value).transpose().map_err(unreadable)?,
        done_at: row.done_at,
        undone_at: row.undone_at,
    })
}

/// What stands in the cells of some groups.
async fn standing(change: &mut Change, cells: impl Iterator<Item = Cell>) -> Result<HashMap<Cell, Known>> {
    let org = change.org();
    let groups: Vec<Uuid> = cells.filter_map(|cell| cell.group).map(|group| group.0).collect();
    let rows = sqlx::query!(
        "select authorization_id, group_id, model_id, tier_id, state, locked, ends_at, version from authorizations
         where org_id = $1 and removed_at is null and mode = 'enforce'
           and (group_id is null or group_id = any ($2))",
        org.0,
        &groups
    )
    .fetch_all(change.db())
    .await?;
    rows.into_iter()
        .map(|row| {
            let cell = Cell { group: row.group_id.map(GroupId), target: target(row.model_id, row.tier_id) };
            let say = Say { state: row.state.parse()?, locked: row.locked, ends_at: row.ends_at };
            let seen = Seen { id: row.authorization_id.into(), version: row.version };
            Ok((cell, Known { seen, say }))
        })
        .collect()
}

/// Every edit beside what stands in its cell now, and whether it can be made.
///
/// # Errors
/// [`StoreError::NotPermitted`] when the permit is not for the groups of the draft.
pub async fn look(change: &mut Change, draft: &Draft) -> Result<Vec<Looked>> {
    let mut refused = refused(change, draft).await?;
    let standing = standing(change, draft.edits.iter().map(|edit| edit.cell)).await?;
    let at = change.at();
    Ok(draft
        .edits
        .iter()
        .enumerate()
        .map(|(place, edit)| {
            let now = standing.get(&edit.cell).map(|known| (known.seen, known.say));
            let other = now.map(|(seen, _)| seen) != edit.seen;
            // Somebody else wanted the same: there is nothing to choose between.
            let stale = other && now.map(|(_, say)| say) != edit.say;
            // What ends before it begins would be saved and decide nothing. What ended long ago may stay.
            let ends = |say: Option<Say>| say.and_then(|say| say.ends_at);
            let over = ends(edit.say).filter(|end| *end <= at && Some(*end) != ends(now.map(|(_, say)| say)));
            let over = over.map(|_| "Its last day is over. Choose today or a later day.".to_owned());
            Looked { edit: *edit, now, stale, refused: refused.remove(&place).or(over) }
        })
        .collect())
}

/// Makes every edit of a draft. Looking at what it would do is the same, without the commit: so what
/// was shown is what happens.
///
/// # Errors
/// [`StoreError::Stale`] when somebody else changed one of the cells; [`StoreError::Invalid`] when
/// one may not be made; [`StoreError::NotFound`] when something it names is not in the organization.
pub async fn run(change: &mut Change, draft: &Draft) -> Result<Vec<Made>> {
    let looked = look(change, draft).await?;
    if looked.iter().any(|look| look.stale) {
        return Err(StoreError::Stale);
    }
    if let Some(sentence) = looked.iter().find_map(|look| look.refused.clone()) {
        return Err(StoreError::invalid("edits", sentence));
    }
    let mut made = Vec::new();
    for Looked { edit, now, .. } in looked {
        let known = now.map(|(seen, say)| Known { seen, say });
        let after = write(change, edit.cell, Mode::Enforce, known, edit.say, None).await?;
        let before = now.map(|(seen, say)| (seen.id, say));
        if after != now.map(|(seen, _)| seen) {
            made.push(Made { cell: edit.cell, before, after });
        }
    }
    Ok(made)
}

/// The rules that decide, as this change has left them so far.
///
/// # Errors
/// When the database does not answer.
pub async fn rules(change: &mut Change) -> Result<domain::Map<Option<GroupId>, RuleSet>> {
    let org = change.org();
    access::read_rules(change.db(), org).await.map(|(rules, _)| rules)
}

/// Saves a draft, and keeps what was done to each cell. Returns how many changed.
///
/// # Errors
/// Those of [`run`]; [`StoreError::Stale`] when it was saved already.
pub async fn save(change: &mut Change, kept: &Kept) -> Result<usize> {
    let (org, at) = (change.org(), change.at());
    change.in_batch(kept.id);
    let made = run(change, &kept.draft).await?;
    let done = sqlx::query!(
        "update drafts set made = $3, done_at = $4 where org_id = $1 and draft_id = $2 and done_at is null",
        org.0,
        kept.id.0,
        json!(made),
        at,
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    Ok(made.len())
}

/// Makes every edit of a draft that was not kept before, and keeps it as one that was saved, so that it can
/// be undone like any other. Its id.
///
/// # Errors
/// Those of [`run`].
pub(crate) async fn save_at_once(change: &mut Change, draft: &Draft) -> Result<BatchId> {
    let (org, at, id) = (change.org(), change.at(), clock::id::<BatchId>());
    let actor = change.permit().actor().user.ok_or(StoreError::NotPermitted(change.permit().act()))?;
    change.in_batch(id);
    let made = run(change, draft).await?;
    sqlx::query!(
        "insert into drafts (org_id, draft_id, actor_id, edits, prepared_at, made, done_at) values ($1, $2, $3, $4, $5, $6, $5)",
        org.0,
        id.0,
        actor.0,
        json!(draft),
        at,
        json!(made),
    )
    .execute(change.db())
    .await?;
    Ok(id)
}

/// Puts every cell back to what it said before a draft was saved: the inverse draft, judged like any
/// other. All of them, or none. Returns how many that were.
///
/// # Errors
/// [`StoreError::Stale`] when it was not saved; [`StoreError::Meanwhile`] when it was undone already, or one of
/// the cells was changed since; [`StoreError::Invalid`] when whoever undoes it may not say again what it said.
pub async fn undo(change: &mut Change, kept: &Kept) -> Result<usize> {
    let (org, at) = (change.org(), change.at());
    let Some(made) = &kept.made else { return Err(StoreError::Stale) };
    if kept.undone_at.is_some() {
        return Err(StoreError::Meanwhile("This was undone already. Nothing was changed.".to_owned()));
    }
    let done = sqlx::query!(
        "update drafts set undone_at = $3 where org_id = $1 and draft_id = $2 and done_at is not null and undone_at is null",
        org.0,
        kept.id.0,
        at,
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    change.in_batch(kept.id);
    let edit = |made: &Made| Edit { cell: made.cell, say: made.before.map(|(_, say)| say), seen: made.after };
    let inverse = Draft { edits: made.iter().map(edit).collect() };
    if let Some((_, sentence)) = refused(change, &inverse).await?.pop_first() {
        return Err(StoreError::invalid("edits", sentence));
    }
    let standing = standing(change, made.iter().map(|made| made.cell)).await?;
    for Made { cell, before, after } in made {
        let known = standing.get(cell).copied();
        if known.map(|known| known.seen) != *after {
            return Err(changed_since(change, *cell, known).await?);
        }
        write(change, *cell, Mode::Enforce, known, before.map(|(_, say)| say), before.map(|(id, _)| id))
            .await?;
    }
    Ok(made.len())
}
