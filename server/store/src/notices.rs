//! Notices: what people are told without looking, written in the transaction of what it tells of.

use chrono::{DateTime, Utc};
use domain::{
    ids::{GroupId, NoticeId, OrgId, UserId},
    notices::{Letter, Notice, NoticeKind, Telling},
    roles::{Act, Permit},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Change, Diff, Result, Store, StoreError, Subject, clock, mails};

/// Tells some people: each once, however often this is called. Who has this kind by mail has it by
/// mail too, not before `mail_after`. Returns how many were told now.
pub(crate) async fn tell(
    store: &Store,
    db: &mut PgConnection,
    org: OrgId,
    people: &[UserId],
    telling: &Telling,
    at: DateTime<Utc>,
    mail_after: DateTime<Utc>,
) -> Result<usize> {
    if people.is_empty() {
        return Ok(0);
    }
    let users: Vec<Uuid> = people.iter().map(|user| user.0).collect();
    let ids: Vec<Uuid> = people.iter().map(|_| clock::id::<NoticeId>().0).collect();
    let told = sqlx::query_scalar!(
        "insert into notices as n (org_id, notice_id, user_id, kind, key, title, body, href, created_at)
         select $1, k.notice_id, k.user_id, $4, $5, $6, $7, $8, $9
         from unnest($2::uuid[], $3::uuid[]) as k (notice_id, user_id)
         on conflict (org_id, user_id, key) do nothing
         returning n.user_id",
        org.0,
        &ids,
        &users,
        telling.kind.as_str(),
        telling.key,
        telling.title,
        telling.body,
        telling.href,
        at,
    )
    .fetch_all(&mut *db)
    .await?;
    if told.is_empty() {
        return Ok(0);
    }
    let by_mail = sqlx::query!(
        "select u.user_id, o.name as organization
         from users u
         join organizations o on o.org_id = u.org_id
         left join notice_preferences p on p.org_id = u.org_id and p.user_id = u.user_id and p.kind = $3
         where u.org_id = $1 and u.user_id = any ($2) and u.account_id is not null and u.suspended_at is null
           and u.removed_at is null and coalesce(p.by_mail, true)",
        org.0,
        &told,
        telling.kind.as_str(),
    )
    .fetch_all(&mut *db)
    .await?;
    if let Some(first) = by_mail.first() {
        let letter = Letter::of(telling, &first.organization);
        let people: Vec<UserId> = by_mail.iter().map(|row| UserId(row.user_id)).collect();
        mails::post(store, db, org, &people, telling.kind.into(), &letter, at, mail_after).await?;
    }
    sqlx::query!("select pg_notify('bursar_notices', $1)", org.0.to_string()).execute(db).await?;
    Ok(told.len())
}

/// Counts what told somebody of something as read: it is so no longer.
pub(crate) async fn count_as_read(change: &mut Change, user: UserId, key: &str) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    sqlx::query!(
        "update notices set read_at = coalesce(read_at, $4) where org_id = $1 and user_id = $2 and key = $3",
        org.0,
        user.0,
        key,
        at,
    )
    .execute(change.db())
    .await?;
    Ok(())
}

/// Tells some people of a change, in the change.
pub(crate) async fn tell_of(change: &mut Change, people: &[UserId], telling: &Telling) -> Result<()> {
    let (org, at, store) = (change.org(), change.at(), change.store().clone());
    tell(&store, change.db(), org, people, telling, at, at).await?;
    Ok(())
}

/// Those who decide for a group: its leads, those of the groups above, admins and owners. None
/// who is suspended or has left.
pub(crate) async fn deciders(
    db: &mut PgConnection,
    org: OrgId,
    group: GroupId,
    at: DateTime<Utc>,
) -> Result<Vec<UserId>> {
    let rows = sqlx::query_scalar!(
        "select u.user_id from users u
         where u.org_id = $1 and u.suspended_at is null and u.removed_at is null
           and (u.role in ('owner', 'admin')
                or u.user_id in (
                    select m.user_id from memberships m
                    join groups g on g.org_id = m.org_id and g.group_id = $2
                    where m.org_id = $1 and m.standing = 'lead' and m.ended_at is null
                      and (m.ends_at is null or m.ends_at > $3)
                      and (m.group_id = $2 or m.group_id = any (g.ancestors))))
         order by u.user_id",
        org.0,
        group.0,
        at,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(UserId).collect())
}

/// Owners and admins who are not suspended.
pub(crate) async fn admins(db: &mut PgConnection, org: OrgId) -> Result<Vec<UserId>> {
    let rows = sqlx::query_scalar!(
        "select user_id from users
         where org_id = $1 and role in ('owner', 'admin') and suspended_at is null and removed_at is null
         order by user_id",
        org.0
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(UserId).collect())
}

/// Whose notices a permit is for.
fn me(permit: &Permit) -> Result<UserId> {
    let own = permit.covers(Act::UseOwn, None);
    permit.actor().user.filter(|_| own).ok_or(StoreError::NotPermitted(Act::UseOwn))
}

/// One's own notices, the newest first: at most `limit`, older than `after`.
///
/// # Errors
/// When the permit is not for one's own things or the database does not answer.
pub async fn list(
    store: &Store,
    permit: &Permit,
    unread: bool,
    after: Option<NoticeId>,
    limit: i64,
) -> Result<Vec<Notice>> {
    let rows = sqlx::query!(
        "select notice_id, kind, title, body, href, created_at, read_at from notices
         where org_id = $1 and user_id = $2 and (not $3 or read_at is null) and ($4::uuid is null or notice_id < $4)
         order by notice_id desc limit $5",
        permit.org().0,
        me(permit)?.0,
        unread,
        after.map(|id| id.0),
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Notice {
                id: row.notice_id.into(),
                kind: row.kind.parse()?,
                title: row.title,
                body: row.body,
                href: row.href,
                created_at: row.created_at,
                read_at: row.read_at,
            })
        })
        .collect()
}

/// How many of one's own notices are unread.
///
/// # Errors
/// As [`list`].
pub async fn unread(store: &Store, permit: &Permit) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from notices where org_id = $1 and user_id = $2 and read_at is null"#,
        permit.org().0,
        me(permit)?.0,
    );
    Ok(count.fetch_one(store.pool()).await?)
}

/// Marks one of one's own notices as read, and says where it leads.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not one's own.
pub async fn read(store: &Store, permit: &Permit, id: NoticeId, at: DateTime<Utc>) -> Result<String> {
    let href = sqlx::query_scalar!(
        "update notices set read_at = coalesce(read_at, $4) where org_id = $1 and user_id = $2 and notice_id = $3
         returning href",
        permit.org().0,
        me(permit)?.0,
        id.0,
        at,
    );
    Ok(href.fetch_one(store.pool()).await?)
}

/// Marks all of one's own notices as read, up to the newest that was shown. Returns how many.
///
/// # Errors
/// As [`list`].
pub async fn read_all(store: &Store, permit: &Permit, up_to: NoticeId, at: DateTime<Utc>) -> Result<u64> {
    let done = sqlx::query!(
        "update notices set read_at = $4 where org_id = $1 and user_id = $2 and notice_id <= $3 and read_at is null",
        permit.org().0,
        me(permit)?.0,
        up_to.0,
        at,
    );
    Ok(done.execute(store.pool()).await?.rows_affected())
}

/// Which kinds one has by mail.
///
/// # Errors
/// As [`list`].
pub async fn by_mail(store: &Store, permit: &Permit) -> Result<Vec<NoticeKind>> {
    let rows = sqlx::query!(
        "select kind, by_mail from notice_preferences where org_id = $1 and user_id = $2",
        permit.org().0,
        me(permit)?.0,
    )
    .fetch_all(store.pool())
    .await?;
    let off = |kind: &NoticeKind| rows.iter().any(|row| row.kind == kind.as_str() && !row.by_mail);
    Ok(NoticeKind::ALL.iter().copied().filter(|kind| !off(kind)).collect())
}

/// Chooses which kinds one has by mail; all others only in the console. What cannot reach them stays as it was
/// chosen: it counts once they lead something.
///
/// # Errors
/// When the permit is not for one's own things.
pub async fn prefer(change: &mut Change, kinds: &[NoticeKind]) -> Result<()> {
    change.expect(Act::UseOwn, None)?;
    let (org, user) = (change.org(), me(change.permit())?);
    let actor = change.permit().actor();
    let reaches = |kind: &&NoticeKind| kind.reaches(actor.role, !actor.leads.is_empty());
    let shown: Vec<NoticeKind> = NoticeKind::ALL.iter().filter(reaches).copied().collect();
    let all: Vec<String> = shown.iter().map(ToString::to_string).collect();
    let chosen: Vec<bool> = shown.iter().map(|kind| kinds.contains(kind)).collect();
    sqlx::query!(
        "insert into notice_preferences as p (org_id, user_id, kind, by_mail)
         select $1, $2, k.kind, k.by_mail from unnest($3::text[], $4::boolean[]) as k (kind, by_mail)
         on conflict (org_id, user_id, kind) do update set by_mail = excluded.by_mail",
        org.0,
        user.0,
        &all,
        &chosen,
    )
    .execute(change.db())
    .await?;
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    let text = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let name = change.permit().actor().name.clone();
    let diff = Diff::new().set("notices by mail", text);
    change.record(Subject { kind: "user", id: user.0, name: &name }, "edit", &diff).await
}
