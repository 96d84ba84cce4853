//! Applications and secrets that nobody has used for long.

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::OrgId;

use crate::{Change, Result, Store, access, clock};

/// What asks for a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Neglected {
    /// Applications with live secrets of which nobody has used any, or not one of the services'.
    pub unused: i64,
    /// Secrets that were reported as leaked.
    pub leaked: i64,
    /// Applications whose owner is suspended.
    pub owner_away: i64,
    /// Applications that have no owner, and whose group nobody leads, nor one above it.
    pub unanswered: i64,
}

/// What asked for a look, when, and of which facts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looked {
    version: i64,
    at: DateTime<Utc>,
    since: DateTime<Utc>,
    found: Neglected,
}

/// A look through all secrets counts for so long, while nothing is changed: nobody who has not called
/// for weeks is worth a new one for every page.
const LOOK_HOLDS: TimeDelta = TimeDelta::seconds(30);

/// What asks for a look: applications with live secrets of which nobody has used any since `since`, or not one of the services', counted anew
/// after each change and every half minute; secrets that were reported as leaked since then; and
/// applications whose owner is suspended, or for which nobody answers.
///
/// # Errors
/// When the database does not answer.
pub async fn neglected(store: &Store, org: OrgId, since: DateTime<Utc>) -> Result<Neglected> {
    let (version, at) = (access::version(store, org).await?, clock::now());
    let known = store.looked(org).filter(|looked| {
        looked.version == version && at - looked.at < LOOK_HOLDS && (since - looked.since).abs() <= LOOK_HOLDS
    });
    if let Some(known) = known {
        return Ok(known.found);
    }
    let found = look(store, org, since).await?;
    store.keep_look(org, Looked { version, at, since, found });
    Ok(found)
}

async fn look(store: &Store, org: OrgId, since: DateTime<Utc>) -> Result<Neglected> {
    let row = sqlx::query!(
        // Of most applications the first secret that is looked at says enough.
        r#"select (select count(*) from applications a join keys k on k.org_id = a.org_id and k.application_id = a.application_id
                   where a.org_id = $1 and a.archived_at is null
                     and ((select true from secrets s
                          where s.org_id = $1 and s.key_id = k.key_id and s.revoked_at is null and (s.expires_at is null or s.expires_at > $3)
                          limit 1)
                     and (select true from secrets s
                          where s.org_id = $1 and s.key_id = k.key_id and greatest(s.last_used_at, s.created_at) >= $2
                          limit 1) is null
                     or exists (select from secrets s
                                where s.org_id = $1 and s.key_id = k.key_id and s.kind = 'service' and s.revoked_at is null
                                  and (s.expires_at is null or s.expires_at > $3)
                                  and greatest(s.last_used_at, s.created_at) < $2))) as "unused!",
                  (select count(*) from secrets where org_id = $1 and leaked_at >= $2) as "leaked!",
                  (select count(*) from applications a join users o on o.org_id = a.org_id and o.user_id = a.owner_id
                   where a.org_id = $1 and a.archived_at is null and a.personal_user_id is null and o.suspended_at is not null)
                      as "owner_away!",
                  (select count(*) from applications a join groups g on g.org_id = a.org_id and g.group_id = a.group_id
                   where a.org_id = $1 and a.archived_at is null and a.personal_user_id is null and a.owner_id is null
                     and not exists (
                         select from memberships m join users u on u.org_id = m.org_id and u.user_id = m.user_id
                         where m.org_id = $1 and (m.group_id = g.group_id or m.group_id = any (g.ancestors)) and m.standing = 'lead'
                           and m.ended_at is null and (m.ends_at is null or m.ends_at > $3)
                           and u.account_id is not null and u.suspended_at is null and u.removed_at is null))
                      as "unanswered!""#,
        org.0,
        since,
        clock::now(),
    )
    .fetch_one(store.pool())
    .await?;
    Ok(Neglected {
        unused: row.unused,
        leaked: row.leaked,
        owner_away: row.owner_away,
        unanswered: row.unanswered,
    })
}

/// An application for which nobody answers, as a change leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// Its name.
    pub name: String,
    /// The path of its group.
    pub group: String,
    /// Whose it is, who is suspended or gone; none: nobody's, and nobody leads its group or one above it.
    pub owner: Option<String>,
}

/// Applications for which nobody answers, by group and name. Whoever leads and is only invited yet counts: of
/// them it is said by their invitation.
///
/// # Errors
/// When the database does not answer.
pub async fn unanswered(change: &mut Change) -> Result<Vec<Unanswered>> {
    let (org, at) = (change.org(), change.at());
    let rows = sqlx::query!(
        r#"select a.name, o.name as "owner?",
                  (select string_agg(p.name, '/' order by cardinality(p.ancestors)) from groups p
                   where p.org_id = $1 and (p.group_id = g.group_id or p.group_id = any (g.ancestors))) as "path!"
           from applications a
           join groups g on g.org_id = a.org_id and g.group_id = a.group_id
           left join users o on o.org_id = a.org_id and o.user_id = a.owner_id
           where a.org_id = $1 and a.archived_at is null and a.personal_user_id is null
             and (o.suspended_at is not null or o.removed_at is not null
                  or (a.owner_id is null and not exists (
                      select from memberships m join users u on u.org_id = m.org_id and u.user_id = m.user_id
                      where m.org_id = $1 and (m.group_id = g.group_id or m.group_id = any (g.ancestors)) and m.standing = 'lead'
                        and m.ended_at is null and (m.ends_at is null or m.ends_at > $2)
                        and u.suspended_at is null and u.removed_at is null)))
           order by 3, lower(a.name), a.application_id"#,
        org.0,
        at,
    )
    .fetch_all(change.db())
    .await?;
    let unanswered = |name, group, owner| Unanswered { name, group, owner };
    Ok(rows.into_iter().map(|row| unanswered(row.name, row.path, row.owner)).collect())
}
