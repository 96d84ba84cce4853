//! Changes to many people at once: one transaction, one line of the log per person, one id that all
//! of them carry. However many there are, it takes as many statements as for a few, but for those few
//! whom something hangs on (owners, leads, whoever answers for something): they are seen to one by one.

mod doing;
mod undoing;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Duration, Utc};
use domain::{
    batches::{Alone, Batch, Effect, Kept, Line, Outcome, Tally, Task},
    groups::{Source, Standing},
    ids::{BatchId, GroupId, OrgId, UserId},
    keys::Fallen,
    money::Money,
    roles::Permit,
    users::Role,
};
use serde_json::json;
use uuid::Uuid;

use crate::{Change, Result, Store, StoreError, clock};

pub use doing::run;
pub use undoing::undo;

/// How long people who were chosen are kept without anything being done.
const KEPT_HOURS: i64 = 24;

/// Writes down whom a change is to be about. Nothing is changed by it.
///
/// # Errors
/// [`StoreError::Invalid`] when there is nobody.
pub async fn prepare(store: &Store, permit: &Permit, ids: &[UserId]) -> Result<BatchId> {
    let org = permit.org();
    let actor = permit.actor().user.ok_or(StoreError::NotPermitted(permit.act()))?;
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let known = sqlx::query_scalar!(
        "select user_id from users where org_id = $1 and user_id = any ($2) and removed_at is null order by lower(name), user_id",
        org.0,
        &ids
    )
    .fetch_all(store.pool())
    .await?;
    if known.is_empty() {
        return Err(StoreError::invalid("users", "Choose at least one person."));
    }
    let (id, now) = (clock::id::<BatchId>(), clock::now());
    sqlx::query!(
        "delete from batches where org_id = $1 and done_at is null and prepared_at < $2",
        org.0,
        now - Duration::hours(KEPT_HOURS)
    )
    .execute(store.pool())
    .await?;
    sqlx::query!(
        "insert into batches (org_id, batch_id, actor_id, user_ids, prepared_at) values ($1, $2, $3, $4, $5)",
        org.0,
        id.0,
        actor.0,
        &known,
        now,
    )
    .execute(store.pool())
    .await?;
    Ok(id)
}

/// A batch: one that was done, or this person's. Who else may see what was done is for whoever asks.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not there, or somebody else's that was not done.
pub async fn get(store: &Store, org: OrgId, actor: UserId, id: BatchId) -> Result<Batch> {
    let row = sqlx::query!(
        "select actor_id, user_ids, task, undone_at,
                (select a.actor from audit a where a.org_id = b.org_id and a.batch_id = b.batch_id and a.at = b.undone_at
                 order by a.seq limit 1) as undone_by
         from batches b where org_id = $1 and batch_id = $2 and (actor_id = $3 or done_at is not null)",
        org.0,
        id.0,
        actor.0,
    )
    .fetch_one(store.pool())
    .await?;
    let done = row.task.map(serde_json::from_value).transpose();
    Ok(Batch {
        id,
        actor: row.actor_id.into(),
        users: row.user_ids.into_iter().map(UserId).collect(),
        done: done.map_err(|error| StoreError::Unreadable(error.to_string()))?,
        undone_at: row.undone_at,
        undone_by: row.undone_by,
    })
}

/// What a change that was made comes to, by outcome; what came to nobody is left out.
///
/// # Errors
/// When the database does not answer.
pub async fn tallies(store: &Store, org: OrgId, id: BatchId) -> Result<HashMap<Outcome, Tally>> {
    let rows = sqlx::query!(
        r#"select outcome, count(distinct user_id) as "people!", count(*) as "effects!", count(undo) as "undoable!"
           from batch_effects where org_id = $1 and batch_id = $2 group by outcome"#,
        org.0,
        id.0
    )
    .fetch_all(store.pool())
    .await?;
    let size = |count: i64| usize::try_from(count).unwrap_or_default();
    rows.into_iter()
        .map(|row| {
            let (people, effects, undoable) = (size(row.people), size(row.effects), size(row.undoable));
            Ok((row.outcome.parse()?, Tally { people, effects, undoable }))
        })
        .collect()
}

/// What a change that was made did to each, from the person at `from` (counted from zero) of those with this
/// outcome on; at most `limit` people.
///
/// # Errors
/// When the database does not answer.
pub async fn lines(
    store: &Store,
    org: OrgId,
    id: BatchId,
    outcome: Outcome,
    from: usize,
    limit: usize,
) -> Result<Vec<Line>> {
    let rows = sqlx::query!(
        r#"select user_id, min(name) as "name!", min(email) as "email!", array_agg(said order by place) as "said!",
                  array_agg(left_alone order by place) as "left!"
           from batch_effects where org_id = $1 and batch_id = $2 and outcome = $3
           group by user_id order by min(place) offset $4 limit $5"#,
        org.0,
        id.0,
        outcome.as_str(),
        i64::try_from(from).unwrap_or(i64::MAX),
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
    .fetch_all(store.pool())
    .await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.user_id).collect();
    let dead = died_of(store, org, id, &ids).await?;
    Ok(rows
        .into_iter()
        .map(|row| Line {
            user: row.user_id.into(),
            name: row.name,
            email: row.email,
            said: row.said.into_iter().zip(row.left).collect(),
            dead: dead.get(&row.user_id.into()).copied().unwrap_or_default(),
        })
        .collect())
}

/// How many secrets of each of these died with it.
async fn died_of(store: &Store, org: OrgId, id: BatchId, users: &[Uuid]) -> Result<HashMap<UserId, usize>> {
    let rows = sqlx::query!(
        r#"select s.user_id as "user_id!", count(*) as "secrets!" from batches b
           join secrets s on s.org_id = b.org_id and s.user_id = any ($3) and s.revoked_at = b.done_at
           where b.org_id = $1 and b.batch_id = $2 group by s.user_id"#,
        org.0,
        id.0,
        users,
    )
    .fetch_all(store.pool())
    .await?;
    let size = |count: i64| usize::try_from(count).unwrap_or_default();
    Ok(rows.into_iter().map(|row| (row.user_id.into(), size(row.secrets))).collect())
}

/// How many secrets of each of these have died with a change so far, whatever they died of.
///
/// # Errors
/// When the database does not answer.
pub async fn dead_so_far(change: &mut Change, users: &[UserId]) -> Result<HashMap<UserId, usize>> {
    let (org, at) = (change.org(), change.at());
    let users: Vec<Uuid> = users.iter().map(|user| user.0).collect();
    let rows = sqlx::query!(
        r#"select user_id as "user_id!", count(*) as "secrets!" from secrets
           where org_id = $1 and user_id = any ($2) and revoked_at = $3 group by user_id"#,
        org.0,
        &users,
        at,
    )
    .fetch_all(change.db())
    .await?;
    let size = |count: i64| usize::try_from(count).unwrap_or_default();
    Ok(rows.into_iter().map(|row| (row.user_id.into(), size(row.secrets))).collect())
}

/// What undoing it left alone: whom, what was done to them, and why; none: somebody changed it again since. At
/// most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn left_alone(store: &Store, org: OrgId, id: BatchId, limit: i64) -> Result<Vec<Alone>> {
    let rows = sqlx::query!(
        "select user_id, name, said, left_because from batch_effects
         where org_id = $1 and batch_id = $2 and left_alone order by place limit $3",
        org.0,
        id.0,
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    let alone = rows.into_iter().map(|row| Alone {
        user: row.user_id.into(),
        name: row.name,
        said: row.said,
        because: row.left_because,
    });
    Ok(alone.collect())
}

/// Secrets that died with it: nothing brings them back. Those that died in the same moment of the same
/// people.
///
/// # Errors
/// When the database does not answer.
pub async fn died(store: &Store, org: OrgId, id: BatchId) -> Result<Fallen> {
    let row = sqlx::query!(
        r#"select count(*) as "secrets!", count(distinct s.user_id) as "people!" from batches b
           join secrets s on s.org_id = b.org_id and s.user_id = any (b.user_ids) and s.revoked_at = b.done_at
           where b.org_id = $1 and b.batch_id = $2"#,
        org.0,
        id.0,
    )
    .fetch_one(store.pool())
    .await?;
    let size = |count: i64| usize::try_from(count).unwrap_or_default();
    Ok(Fallen { secrets: size(row.secrets), people: size(row.people) })
}

/// Keeps what became of everybody.
async fn keep(change: &mut Change, id: BatchId, effects: &[Effect]) -> Result<()> {
    let org = change.org();
    let mut next = HashMap::<Outcome, i32>::new();
    let places: Vec<i32> = effects
        .iter()
        .map(|effect| {
            let next = next.entry(effect.outcome).or_default();
            *next += 1;
            *next - 1
        })
        .collect();
    sqlx::query!(
        "insert into batch_effects (org_id, batch_id, outcome, place, user_id, name, email, said, undo)
         select $1, $2, k.* from unnest($3::text[], $4::integer[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::jsonb[]) as k",
        org.0,
        id.0,
        &effects.iter().map(|effect| effect.outcome.as_str().to_owned()).collect::<Vec<_>>(),
        &places,
        &effects.iter().map(|effect| effect.user.0).collect::<Vec<_>>(),
        &effects.iter().map(|effect| effect.name.clone()).collect::<Vec<_>>(),
        &effects.iter().map(|effect| effect.email.clone()).collect::<Vec<_>>(),
        &effects.iter().map(|effect| effect.text.clone()).collect::<Vec<_>>(),
        &effects.iter().map(|effect| effect.undo.as_ref().map(|undo| json!(undo))).collect::<Vec<_>>()
            as &[Option<serde_json::Value>],
    )
    .execute(change.db())
    .await?;
    Ok(())
}

/// One of the people, as they are when the change comes to them.
struct Person {
    id: UserId,
    name: String,
    email: String,
    role: Role,
    suspended: bool,
    account: Option<Uuid>,
    version: i64,
    own_limit: Option<Money>,
    /// How that is kept.
    kept: Option<Kept>,
}

async fn people(change: &mut Change, ids: &[UserId]) -> Result<Vec<Person>> {
    let org = change.org();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select u.user_id, u.name, u.email, u.role, u.suspended_at is not null as "suspended!", u.account_id,
                  u.version, l.cap as "cap?", l.mode as "mode?", l.thresholds as "thresholds?"
           from users u
           left join limits l
             on l.org_id = u.org_id and l.scope_kind = 'user' and l.thing_id = u.user_id
            and l.person_id = '00000000-0000-0000-0000-000000000000' and l.metric = 'spend' and l.window_kind = 'month'
           where u.org_id = $1 and u.user_id = any ($2) and u.removed_at is null
           order by lower(u.name), u.user_id"#,
        org.0,
        &ids
    )
    .fetch_all(change.db())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Person {
                id: row.user_id.into(),
                name: row.name,
                email: row.email,
                role: row.role.parse()?,
                suspended: row.suspended,
                account: row.account_id,
                version: row.version,
                own_limit: row.cap.map(Money),
                kept: kept(row.mode.as_deref(), row.thresholds)?,
            })
        })
        .collect()
}

/// How a limit is kept, as it is stored.
pub(crate) fn kept(mode: Option<&str>, thresholds: Option<Vec<i16>>) -> Result<Option<Kept>> {
    let mode = mode.map(str::parse).transpose()?;
    Ok(mode.zip(thresholds).map(|(mode, thresholds)| Kept { mode, thresholds }))
}

/// Somebody's place in a group.
#[derive(Clone, Copy)]
struct Belonging {
    standing: Standing,
    source: Source,
    ends_at: Option<DateTime<Utc>>,
}

/// Who is in a group that is open.
#[derive(Default)]
struct Members {
    /// What the group is called.
    name: String,
    here: HashMap<UserId, Belonging>,
    /// Whose last day has come, and nobody has ended it.
    lapsed: HashSet<UserId>,
}

/// Who is in these groups. Those that are not there, or not open any more, are left out.
async fn members(change: &mut Change, groups: &[GroupId]) -> Result<HashMap<GroupId, Members>> {
    let (org, at) = (change.org(), change.at());
    let ids: Vec<Uuid> = groups.iter().map(|group| group.0).collect();
    let open = sqlx::query!(
        "select group_id, name from groups where org_id = $1 and group_id = any ($2) and archived_at is null",
        org.0,
        &ids
    )
    .fetch_all(change.db())
    .await?;
    let named = |name| Members { name, ..Members::default() };
    let mut all: HashMap<GroupId, Members> =
        open.into_iter().map(|row| (row.group_id.into(), named(row.name))).collect();
    let rows = sqlx::query!(
        "select group_id, user_id, standing, source, ends_at from memberships
         where org_id = $1 and group_id = any ($2) and ended_at is null",
        org.0,
        &ids,
    )
    .fetch_all(change.db())
    .await?;
    for row in rows {
        let Some(members) = all.get_mut(&GroupId(row.group_id)) else { continue };
        if row.ends_at.is_some_and(|end| end <= at) {
            members.lapsed.insert(row.user_id.into());
            continue;
        }
        let belonging =
            Belonging { standing: row.standing.parse()?, source: row.source.parse()?, ends_at: row.ends_at };
        members.here.insert(row.user_id.into(), belonging);
    }
    Ok(all)
}

/// Does it, and keeps what became of everybody. Links of invitations are handed over and not kept.
///
/// # Errors
/// [`StoreError::Stale`] when it was done already; those of [`run`].
pub async fn confirm(change: &mut Change, batch: &Batch, task: Task) -> Result<Vec<Effect>> {
    let (org, at) = (change.org(), change.at());
    change.in_batch(batch.id);
    let effects = run(change, &batch.users, task).await?;
    let done = sqlx::query!(
        "update batches set task = $3, done_at = $4 where org_id = $1 and batch_id = $2 and done_at is null",
        org.0,
        batch.id.0,
        json!(task),
        at,
    )
    .execute(change.db())
    .await?;
    crate::change::exactly_one(&done)?;
    if task == Task::Invite {
        let mut kept = effects.clone();
        for effect in kept.iter_mut().filter(|effect| effect.outcome == Outcome::Changed) {
            "is invited again".clone_into(&mut effect.text);
        }
        keep(change, batch.id, &kept).await?;
    } else {
        keep(change, batch.id, &effects).await?;
    }
    Ok(effects)
}

/// Keeps what a table changed as a change to many people, so that it can be undone as one.
pub(crate) async fn keep_import(change: &mut Change, id: BatchId, effects: &[Effect]) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let actor = change.permit().actor().user.ok_or(StoreError::NotPermitted(change.permit().act()))?;
    let mut ids: Vec<Uuid> = effects.iter().map(|effect| effect.user.0).collect();
    ids.sort_unstable();
    ids.dedup();
    sqlx::query!(
        "insert into batches (org_id, batch_id, actor_id, user_ids, prepared_at, task, done_at)
         values ($1, $2, $3, $4, $5, $6, $5)",
        org.0,
        id.0,
        actor.0,
        &ids,
        at,
        json!(Task::Import),
    )
    .execute(change.db())
    .await?;
    keep(change, id, effects).await
}
