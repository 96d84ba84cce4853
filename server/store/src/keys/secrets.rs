//! Secrets of a key: made, listed, revoked, buried when what they stand on is gone.

use std::collections::HashMap;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use domain::{
    access::{Facts, left_with_a_group},
    ids::{ApplicationId, GroupId, KeyId, OrgId, SecretId, UserId},
    keys::{PlainSecret, SecretKind, SecretRow},
    roles::{Act, Actor, Place, permit},
    why::first_over,
};

use super::{hint, home, read};
use crate::{
    Change, Diff, Purpose, Result, Store, StoreError, Subject, access, clock, groups, receipts,
    vault::{is_secret, new_secret},
};

/// The secrets of a key, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn secrets(store: &Store, org: OrgId, key: KeyId) -> Result<Vec<SecretRow>> {
    let rows = sqlx::query!(
        r#"select s.secret_id, s.kind, s.user_id, u.name as "user_name?", s.tail, s.created_at, s.expires_at, s.revoked_at, s.last_used_at, s.leaked_at
           from secrets s left join users u on u.org_id = s.org_id and u.user_id = s.user_id
           where s.org_id = $1 and s.key_id = $2
           order by s.revoked_at is not null, s.created_at desc limit 200"#,
        org.0,
        key.0
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(SecretRow {
                id: row.secret_id.into(),
                kind: row.kind.parse()?,
                user: row.user_id.map(UserId).zip(row.user_name),
                hint: format!("{}…{}", PlainSecret::PREFIX, row.tail),
                created_at: row.created_at,
                expires_at: row.expires_at,
                revoked_at: row.revoked_at,
                last_used_at: row.last_used_at,
                leaked_at: row.leaked_at,
            })
        })
        .collect()
}

/// What ends by itself ends later than now.
///
/// # Errors
/// [`StoreError::Invalid`] about `ends_on`.
pub(crate) fn yet_to_come(ends_at: Option<DateTime<Utc>>, at: DateTime<Utc>) -> Result<()> {
    match ends_at {
        Some(end) if end <= at => Err(StoreError::invalid("ends_on", "Choose today or a later day.")),
        _ => Ok(()),
    }
}

async fn write_secret(
    change: &mut Change,
    key: KeyId,
    user: Option<UserId>,
    ends_at: Option<DateTime<Utc>>,
) -> Result<(SecretId, PlainSecret)> {
    let plain = new_secret();
    let id: SecretId = clock::id();
    let (org, at) = (change.org(), change.at());
    let hash = change.store().vault().hash(Purpose::Secret, plain.reveal().as_bytes());
    let tail = &plain.reveal()[plain.reveal().len() - 4..];
    let kind = if user.is_some() { SecretKind::Member } else { SecretKind::Service };
    sqlx::query!(
        "insert into secrets (org_id, secret_id, key_id, kind, user_id, hash, tail, created_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        org.0,
        id.0,
        key.0,
        kind.as_str(),
        user.map(|user| user.0),
        &hash,
        tail,
        at,
        ends_at,
    )
    .execute(change.db())
    .await?;
    Ok((id, plain))
}

/// Makes a service secret. The ones before live on for `grace`, then stop by themselves.
///
/// # Errors
/// [`StoreError::Invalid`] for a personal application, whose secrets name the person.
pub async fn issue_service(change: &mut Change, key: KeyId, grace: Option<Duration>) -> Result<PlainSecret> {
    issue_service_until(change, key, grace, None).await
}

/// The same of a secret that stops by itself at `ends_at`.
///
/// # Errors
/// As [`issue_service`], and [`StoreError::Invalid`] about `ends_on` for an end that has passed, or when the
/// application's group, or one above it, has ended.
pub async fn issue_service_until(
    change: &mut Change,
    key: KeyId,
    grace: Option<Duration>,
    ends_at: Option<DateTime<Utc>>,
) -> Result<PlainSecret> {
    let (org, at) = (change.org(), change.at());
    yet_to_come(ends_at, at)?;
    let home = home(change.db(), org, key).await?;
    change.expect(Act::EditSecrets, Some(home.group))?;
    if home.personal.is_some() {
        return Err(StoreError::invalid(
            "key",
            "The secrets of a personal application belong to the person.",
        ));
    }
    // Every call with it would be refused.
    groups::takes_in(change, home.group, "").await?;
    let replaced = match grace {
        None => Vec::new(),
        Some(grace) => {
            sqlx::query_scalar!(
                "update secrets set expires_at = $3
                 where org_id = $1 and key_id = $2 and kind = 'service' and revoked_at is null and (expires_at is null or expires_at > $3)
                 returning tail",
                org.0,
                key.0,
                at + grace
            )
            .fetch_all(change.db())
            .await?
        }
    };
    let (id, plain) = write_secret(change, key, None, ends_at).await?;
    let mut diff = Diff::new().set("application", &home.name).set("kind", SecretKind::Service);
    if let Some(end) = ends_at {
        diff = diff.set("ends", end.to_rfc3339());
    }
    if let Some(grace) = grace {
        diff = replaces(diff, &replaced, at + grace);
    }
    change.record(Subject { kind: "secret", id: id.0, name: &plain.hint() }, "create", &diff).await?;
    Ok(plain)
}

/// Makes a person's own secret of a key: for a member of an assigned group, or the owner of a
/// personal application. Any earlier one of theirs is revoked.
///
/// # Errors
/// [`StoreError::NotFound`] when the key is not for them.
pub async fn issue_member(change: &mut Change, key: KeyId) -> Result<PlainSecret> {
    issue_member_until(change, key, Duration::zero(), None).await
}

/// The same of a secret that stops by itself at `ends_at`. Earlier ones of theirs live on for `grace`; without
/// any they are revoked.
///
/// # Errors
/// As [`issue_member`], and [`StoreError::Invalid`] about `ends_on` for an end that has passed, or when the
/// application's group, or one above it, has ended.
pub async fn issue_member_until(
    change: &mut Change,
    key: KeyId,
    grace: Duration,
    ends_at: Option<DateTime<Utc>>,
) -> Result<PlainSecret> {
    change.expect(Act::UseOwn, None)?;
    let user = change.permit().actor().user.ok_or(StoreError::NotPermitted(Act::UseOwn))?;
    let (org, at) = (change.org(), change.at());
    yet_to_come(ends_at, at)?;
    let home = home(change.db(), org, key).await?;
    let facts = access::read(change.db(), org).await?;
    let assigned = read(change.db(), org, key).await?.assigned;
    let belongs =
        |group| facts.users.get(&user).is_some_and(|user| domain::access::belongs(&facts, user, group, at));
    let own = home.personal == Some(user) && belongs(home.group);
    // A private context is its person's alone, whatever it was assigned to.
    let shared = home.personal.is_none() && assigned.iter().any(|(group, _)| belongs(*group));
    if !own && !shared {
        return Err(StoreError::NotFound);
    }
    // On whose account its calls would be: they would all be refused.
    groups::takes_in(change, home.group, "").await?;
    let replaced = replace_own(change, key, user, grace).await?;
    let (id, plain) = write_secret(change, key, Some(user), ends_at).await?;
    let mut diff = Diff::new().set("application", &home.name).set("kind", SecretKind::Member);
    if let Some(end) = ends_at {
        diff = diff.set("ends", end.to_rfc3339());
    }
    diff = replaces(diff, &replaced, at + grace);
    change.record(Subject { kind: "secret", id: id.0, name: &plain.hint() }, "create", &diff).await?;
    Ok(plain)
}

/// Which secrets another one stands for from now on, by their last characters, and when they end.
fn replaces(diff: Diff, tails: &[String], end: DateTime<Utc>) -> Diff {
    if tails.is_empty() {
        return diff;
    }
    let hints: Vec<String> = tails.iter().map(|tail| hint(tail)).collect();
    diff.set("replaces", hints.join(", ")).set("older secrets end", end.to_rfc3339())
}

/// Gives somebody's secrets of a key that are there so much more time; none: they are revoked. Returns the last
/// characters of those that that shortens.
async fn replace_own(change: &mut Change, key: KeyId, user: UserId, grace: Duration) -> Result<Vec<String>> {
    let (org, at) = (change.org(), change.at());
    let tails = if grace > Duration::zero() {
        sqlx::query_scalar!(
            "update secrets set expires_at = $4
             where org_id = $1 and key_id = $2 and user_id = $3 and revoked_at is null and (expires_at is null or expires_at > $4)
             returning tail",
            org.0,
            key.0,
            user.0,
            at + grace
        )
        .fetch_all(change.db())
        .await?
    } else {
        sqlx::query_scalar!(
            "update secrets set revoked_at = $4 where org_id = $1 and key_id = $2 and user_id = $3 and revoked_at is null
             returning tail",
            org.0,
            key.0,
            user.0,
            at
        )
        .fetch_all(change.db())
        .await?
    };
    Ok(tails)
}

/// Kills a secret at once. Returns its last characters, which are all that is known of it.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn revoke(change: &mut Change, id: SecretId) -> Result<String> {
    let org = change.org();
    let row = sqlx::query!(
        "select key_id, user_id, tail, revoked_at from secrets where org_id = $1 and secret_id = $2",
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    let home = home(change.db(), org, row.key_id.into()).await?;
    if change.permit().act() == Act::UseOwn {
        let own = row.user_id.is_some() && row.user_id.map(UserId) == change.permit().actor().user;
        if !own {
            return Err(StoreError::NotFound);
        }
    } else {
        change.expect(Act::EditSecrets, Some(home.group))?;
    }
    if row.revoked_at.is_none() {
        kill(change, id).await?;
    }
    Ok(row.tail)
}

/// Revokes a secret, for whoever has asked for a permit.
pub(crate) async fn kill(change: &mut Change, id: SecretId) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let row = sqlx::query!(
        "select s.tail, s.revoked_at, a.name from secrets s
         join keys k on k.org_id = s.org_id and k.key_id = s.key_id
         join applications a on a.org_id = k.org_id and a.application_id = k.application_id
         where s.org_id = $1 and s.secret_id = $2",
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    if row.revoked_at.is_some() {
        return Ok(());
    }
    sqlx::query!("update secrets set revoked_at = $3 where org_id = $1 and secret_id = $2", org.0, id.0, at)
        .execute(change.db())
        .await?;
    receipts::record_dead(change, id, &hint(&row.tail), &row.name).await
}

/// Revokes the secrets of these people that no membership of theirs carries any more: whoever comes back
/// into a group later makes a new one. Returns their hints, by whose they were.
pub(crate) async fn revoke_orphans(
    change: &mut Change,
    users: &[UserId],
) -> Result<HashMap<UserId, Vec<String>>> {
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let (org, at) = (change.org(), change.at());
    let users: Vec<uuid::Uuid> = users.iter().map(|user| user.0).collect();
    let over = groups::over(change.db(), Some(org), at).await?;
    let rows = sqlx::query!(
        r#"update secrets s set revoked_at = $3
         from keys k, applications a
         where s.org_id = $1 and s.user_id = any ($2) and s.revoked_at is null
           and k.org_id = $1 and k.key_id = s.key_id
           and a.org_id = $1 and a.application_id = k.application_id
           and not exists (
               select from memberships m join groups g on g.org_id = m.org_id and g.group_id = m.group_id
               where m.org_id = $1 and m.user_id = s.user_id and m.ended_at is null and (m.ends_at is null or m.ends_at > $3)
                 and not (g.ancestors || g.group_id) && $4
                 and case when a.personal_user_id is not null
                     then a.personal_user_id = s.user_id and (g.group_id = a.group_id or g.ancestors @> array[a.group_id])
                     else exists (select from key_groups t where t.org_id = $1 and t.key_id = k.key_id
                                  and (g.group_id = t.group_id or g.ancestors @> array[t.group_id])) end)
         returning s.secret_id, s.user_id as "user_id!", s.tail, a.application_id, a.name"#,
        org.0,
        &users,
        at,
        &over,
    )
    .fetch_all(change.db())
    .await?;
    if !over.is_empty() {
        let dead: Vec<(SecretId, UserId, ApplicationId)> = rows
            .iter()
            .map(|row| (row.secret_id.into(), row.user_id.into(), row.application_id.into()))
            .collect();
        keep_why_fallen(change, &dead).await?;
    }
    let mut hints = HashMap::<UserId, Vec<String>>::new();
    for row in rows {
        let hint = format!("{}…{}", PlainSecret::PREFIX, row.tail);
        receipts::record_dead(change, row.secret_id.into(), &hint, &row.name).await?;
        hints.entry(row.user_id.into()).or_default().push(hint);
    }
    change.fell(&hints);
    Ok(hints)
}

/// Writes down with which group's end secrets died, of those that did: whoever calls with them is told so.
async fn keep_why_fallen(change: &mut Change, dead: &[(SecretId, UserId, ApplicationId)]) -> Result<()> {
    if dead.is_empty() {
        return Ok(());
    }
    let (org, at) = (change.org(), change.at());
    let facts = change.facts().await?;
    let mut fell: (Vec<uuid::Uuid>, Vec<uuid::Uuid>, Vec<NaiveDate>) = Default::default();
    for (secret, user, application) in dead {
        let application = facts.applications.get(application);
        let left = application.and_then(|application| left_with_a_group(&facts, *user, application, at));
        let Some(over) = left.and_then(|(group, _)| first_over(&facts, group, at)) else { continue };
        fell.0.push(secret.0);
        fell.1.push(over.group.0);
        fell.2.push(over.last);
    }
    sqlx::query!(
        "update secrets s set fell_group_id = k.group_id, fell_on = k.last
         from unnest($2::uuid[], $3::uuid[], $4::date[]) as k (secret_id, group_id, last)
         where s.org_id = $1 and s.secret_id = k.secret_id",
        org.0,
        &fell.0,
        &fell.1,
        &fell.2,
    )
    .execute(change.db())
    .await?;
    Ok(())
}

/// Which member secrets a round looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Those of people whose last day in some group has come, or that of the group.
    Lapsed,
    /// All of them.
    All,
}

/// Revokes the member secrets that no membership carries any more: a last day comes without anybody's
/// doing. Returns how many died.
///
/// # Errors
/// When the database does not answer.
pub async fn bury(store: &Store, look: Look, now: DateTime<Utc>) -> Result<usize> {
    let over = groups::over(&mut *store.pool().acquire().await?, None, now).await?;
    let rows = sqlx::query!(
        r#"select distinct s.org_id, s.user_id as "user_id!" from secrets s
           join keys k on k.org_id = s.org_id and k.key_id = s.key_id
           join applications a on a.org_id = k.org_id and a.application_id = k.application_id
           where s.user_id is not null and s.revoked_at is null
             and ($2 or exists (select from memberships l join groups g on g.org_id = l.org_id and g.group_id = l.group_id
                                where l.org_id = s.org_id and l.user_id = s.user_id and l.ended_at is null
                                  and (l.ends_at <= $1 or (g.ancestors || g.group_id) && $3)))
             and not exists (
                 select from memberships m join groups g on g.org_id = m.org_id and g.group_id = m.group_id
                 where m.org_id = s.org_id and m.user_id = s.user_id and m.ended_at is null
                   and (m.ends_at is null or m.ends_at > $1)
                   and not (g.ancestors || g.group_id) && $3
                   and case when a.personal_user_id is not null
                       then a.personal_user_id = s.user_id and (g.group_id = a.group_id or g.ancestors @> array[a.group_id])
                       else exists (select from key_groups t where t.org_id = s.org_id and t.key_id = k.key_id
                                    and (g.group_id = t.group_id or g.ancestors @> array[t.group_id])) end)
           order by s.org_id"#,
        now,
        look == Look::All,
        &over,
    )
    .fetch_all(store.pool())
    .await?;
    let mut dead = 0;
    for orphans in rows.chunk_by(|one, other| one.org_id == other.org_id) {
        let Some(org) = orphans.first().map(|row| OrgId(row.org_id)) else { continue };
        let users: Vec<UserId> = orphans.iter().map(|row| row.user_id.into()).collect();
        let permit = permit(&Actor::bursar(org), Act::EditSecrets, Place::Organization)
            .map_err(|refused| StoreError::NotPermitted(refused.act))?;
        // Of two replicas one waits here, and finds nothing left.
        let mut change = Change::begin_at(store, permit, now).await?;
        dead += revoke_orphans(&mut change, &users).await?.values().map(Vec::len).sum::<usize>();
        change.commit().await?;
    }
    Ok(dead)
}

/// A secret as the gateway knows it.
#[derive(Clone, Debug)]
pub struct KnownSecret {
    /// Keyed hash of the text a client sends.
    pub hash: [u8; 32],
    /// Its id.
    pub id: SecretId,
    /// Whose key it is of.
    pub application: ApplicationId,
    /// The person it names.
    pub user: Option<UserId>,
    /// When it stops.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether what its calls say is kept.
    pub keeps_prompts: bool,
    /// The group with whose end it died, and that group's last day then; none: it lives.
    pub fell: Option<(GroupId, NaiveDate)>,
}

/// Every secret of an organization that still lives.
///
/// # Errors
/// When the database does not answer.
pub async fn known(store: &Store, org: OrgId) -> Result<Vec<KnownSecret>> {
    let rows = sqlx::query!(
        r#"select s.hash, s.secret_id, k.application_id, s.user_id, s.expires_at,
                exists (select from prompt_keeping p where p.org_id = k.org_id and p.application_id = k.application_id) as "keeps_prompts!"
         from secrets s
         join keys k on k.org_id = s.org_id and k.key_id = s.key_id
         join applications a on a.org_id = k.org_id and a.application_id = k.application_id
         where s.org_id = $1 and s.revoked_at is null and a.archived_at is null and (s.expires_at is null or s.expires_at > $2)"#,
        org.0,
        clock::now(),
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(KnownSecret {
                hash: read_hash(row.hash)?,
                id: row.secret_id.into(),
                application: row.application_id.into(),
                user: row.user_id.map(UserId),
                expires_at: row.expires_at,
                keeps_prompts: row.keeps_prompts,
                fell: None,
            })
        })
        .collect()
}

/// How long it is said of a secret that it died with a group.
const SAID_FOR: Duration = Duration::days(90);

/// Member secrets that died because the group ended through which their person had them: their callers are
/// told so. What was revoked, replaced or reported before is not among them.
///
/// # Errors
/// When the database does not answer.
pub async fn fallen(store: &Store, facts: &Facts) -> Result<Vec<KnownSecret>> {
    let (org, now) = (facts.org, clock::now());
    let over = groups::over(&mut *store.pool().acquire().await?, Some(org), now).await?;
    let rows = sqlx::query!(
        r#"select s.hash, s.secret_id, k.application_id, s.user_id as "user_id!", s.revoked_at as "revoked_at!",
                  s.fell_group_id, s.fell_on
         from secrets s
         join keys k on k.org_id = s.org_id and k.key_id = s.key_id
         join applications a on a.org_id = k.org_id and a.application_id = k.application_id
         where s.org_id = $1 and s.user_id is not null and a.archived_at is null and s.leaked_at is null
           and s.revoked_at > $2 and (s.expires_at is null or s.expires_at > s.revoked_at)
           and (s.fell_group_id is not null
                -- What died before that was written down.
                or cardinality($3::uuid[]) > 0
                   and exists (select from memberships l join groups g on g.org_id = l.org_id and g.group_id = l.group_id
                               where l.org_id = $1 and l.user_id = s.user_id and l.ended_at is null
                                 and (g.ancestors || g.group_id) && $3))"#,
        org.0,
        now - SAID_FOR,
        &over,
    )
    .fetch_all(store.pool())
    .await?;
    let mut fallen = Vec::new();
    for row in rows {
        let (application, user) = (row.application_id.into(), UserId(row.user_id));
        let with = row.fell_group_id.map(GroupId).zip(row.fell_on).or_else(|| {
            let application = facts.applications.get(&application)?;
            let (group, end) = left_with_a_group(facts, user, application, now)?;
            let over = first_over(facts, group, now).filter(|_| end <= row.revoked_at)?;
            Some((over.group, over.last))
        });
        if let Some(fell) = with {
            fallen.push(KnownSecret {
                hash: read_hash(row.hash)?,
                id: row.secret_id.into(),
                application,
                user: Some(user),
                expires_at: None,
                keeps_prompts: false,
                fell: Some(fell),
            });
        }
    }
    Ok(fallen)
}

fn read_hash(hash: Vec<u8>) -> Result<[u8; 32]> {
    hash.try_into().map_err(|_| StoreError::Unreadable("a secret's hash".to_owned()))
}

/// How the text a client sends is looked up; none when it cannot be a secret at all.
pub fn lookup_hash(store: &Store, text: &str) -> Option<[u8; 32]> {
    is_secret(text).then(|| store.vault().hash(Purpose::Secret, text.as_bytes()))
}
