//! Who takes over when somebody goes and names nobody: whoever leads above, else an owner.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::{
    ids::{ApplicationId, GroupId, OrgId, UserId},
    receipts::{Charge, Handed, Heir},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, Store, clock, groups};

/// What somebody answers for, what it is called, and the group whose leads come next.
pub(crate) struct Charged {
    pub charge: Charge,
    pub name: String,
    group: GroupId,
}

/// What would be left without anybody if somebody went: applications they own, and groups that
/// nobody else leads who can act. Not their private contexts.
pub(crate) async fn charges(
    db: &mut PgConnection,
    org: OrgId,
    user: UserId,
    at: DateTime<Utc>,
) -> Result<Vec<Charged>> {
    let owned = sqlx::query!(
        "select application_id, group_id, name from applications
         where org_id = $1 and owner_id = $2 and archived_at is null and personal_user_id is null
         order by lower(name), application_id",
        org.0,
        user.0,
    )
    .fetch_all(&mut *db)
    .await?;
    let mut charges: Vec<Charged> = owned
        .into_iter()
        .map(|row| Charged {
            charge: Charge::Application(ApplicationId(row.application_id)),
            name: row.name,
            group: row.group_id.into(),
        })
        .collect();
    for group in crate::leads::alone(db, org, user, at).await? {
        let name = groups::read(db, org, group).await?.path_text();
        charges.push(Charged { charge: Charge::Group(group), name, group });
    }
    Ok(charges)
}

/// Who of these people answers for something.
pub(crate) async fn charged(
    db: &mut PgConnection,
    org: OrgId,
    users: &[Uuid],
    at: DateTime<Utc>,
) -> Result<HashSet<UserId>> {
    let ids = sqlx::query_scalar!(
        r#"select owner_id as "user_id!" from applications
           where org_id = $1 and owner_id = any ($2) and archived_at is null and personal_user_id is null
           union
           select user_id from memberships
           where org_id = $1 and user_id = any ($2) and standing = 'lead' and ended_at is null
             and (ends_at is null or ends_at > $3)"#,
        org.0,
        users,
        at,
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(UserId).collect())
}

impl Charged {
    /// Who comes next: the lead of the nearest group from its own upwards, who has been one the
    /// longest; else an owner, before all others whoever makes the change. None where nobody can act.
    pub(crate) async fn next(
        &self,
        db: &mut PgConnection,
        org: OrgId,
        leaver: UserId,
        actor: Option<UserId>,
        at: DateTime<Utc>,
    ) -> Result<Option<Heir>> {
        let lead = sqlx::query!(
            r#"select u.user_id, u.name, p.name as "group!" from groups g
               join groups p on p.org_id = g.org_id and (p.group_id = g.group_id or p.group_id = any (g.ancestors))
               join memberships m on m.org_id = p.org_id and m.group_id = p.group_id
               join users u on u.org_id = m.org_id and u.user_id = m.user_id
               where g.org_id = $1 and g.group_id = $2 and p.archived_at is null
                 and m.standing = 'lead' and m.ended_at is null and (m.ends_at is null or m.ends_at > $4)
                 and u.user_id <> $3 and u.account_id is not null and u.suspended_at is null and u.removed_at is null
               order by cardinality(p.ancestors) desc, m.membership_id limit 1"#,
            org.0,
            self.group.0,
            leaver.0,
            at,
        )
        .fetch_optional(&mut *db)
        .await?;
        if let Some(lead) = lead {
            let because = format!("leads {}", lead.group);
            return Ok(Some(Heir { id: lead.user_id.into(), name: lead.name, because }));
        }
        let owner = sqlx::query!(
            "select user_id, name from users
             where org_id = $1 and user_id <> $2 and role = 'owner' and account_id is not null
               and suspended_at is null and removed_at is null
             order by user_id is not distinct from $3 desc, user_id limit 1",
            org.0,
            leaver.0,
            actor.map(|actor| actor.0),
        )
        .fetch_optional(db)
        .await?;
        let because = "owner of the organization".to_owned();
        Ok(owner.map(|owner| Heir { id: owner.user_id.into(), name: owner.name, because }))
    }
}

/// What somebody answers for, with who takes it over if they go and nobody else is named.
///
/// # Errors
/// When the database does not answer.
pub async fn would_be(store: &Store, org: OrgId, user: UserId, actor: Option<UserId>) -> Result<Vec<Handed>> {
    let (mut db, at) = (store.pool().acquire().await?, clock::now());
    let mut would_be = Vec::new();
    for charged in charges(&mut db, org, user, at).await? {
        let heir = charged.next(&mut db, org, user, actor, at).await?;
        would_be.push(Handed::to_next(charged.charge, charged.name, heir));
    }
    Ok(would_be)
}
