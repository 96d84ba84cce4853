//! Who is told what of requests and grants, in the change or when time has passed.

use chrono::{DateTime, Duration, Utc};
use domain::{
    ids::{GrantId, OrgId, RequestId, UserId},
    notices::{About, NoticeKind, Telling},
    requests::{Terms, Words},
};

use sqlx::PgConnection;

use super::{RequestForm, Row};
use crate::{Change, Result, Store, notices, organizations};

/// Somebody is told so long before their grant ends.
const BEFORE: Duration = Duration::days(3);
/// A grant that is not longer needs no such notice.
const LONG: Duration = Duration::days(5);

impl Row {
    /// For whom, as people say it.
    pub(super) fn whom(&self) -> String {
        if self.for_group {
            format!("everybody in {}", self.group.1)
        } else {
            format!("{} in {}", self.requester.1, self.group.1)
        }
    }
}

fn by(change: &Change) -> String {
    change.permit().actor().name.clone()
}

/// To those who can decide, but not to whoever asked.
pub(super) async fn asked(
    change: &mut Change,
    id: RequestId,
    form: &RequestForm,
    (model, group): (&str, &str),
    approvers: u8,
) -> Result<()> {
    let (org, at, me) = (change.org(), change.at(), change.permit().actor().user);
    let (id, requester) = (id.to_string(), by(change));
    let whom =
        if form.for_group { format!("everybody in {group}") } else { format!("{requester} in {group}") };
    let about = About { id: &id, model, requester: &requester, whom: &whom };
    let terms = form.per.show(form.terms.amount);
    let telling = about.asked(&terms, form.terms.ends_on, form.reason.as_str(), approvers);
    let mut people = notices::deciders(change.db(), org, form.group, at).await?;
    people.retain(|person| Some(*person) != me);
    notices::tell_of(change, &people, &telling).await
}

/// To those who agreed to other terms before.
pub(super) async fn overruled(
    change: &mut Change,
    id: RequestId,
    row: &Row,
    terms: &Terms,
    people: &[UserId],
    round: i16,
) -> Result<()> {
    let telling = row.about(&id.to_string(), |about| {
        about.changed(&by(change), &row.per.show(terms.amount), terms.ends_on, round)
    });
    notices::tell_of(change, people, &telling).await
}

/// To whoever asked: it holds.
pub(super) async fn approved(
    change: &mut Change,
    id: RequestId,
    row: &Row,
    terms: &Terms,
    answer: Option<&Words>,
) -> Result<()> {
    let answer = answer.map_or("", Words::as_str);
    let telling = row.about(&id.to_string(), |about| {
        about.approved(&by(change), &row.per.show(terms.amount), terms.ends_on, answer)
    });
    notices::tell_of(change, &[row.requester.0], &telling).await
}

/// To whoever asked: no.
pub(super) async fn refused(change: &mut Change, id: RequestId, row: &Row, answer: &Words) -> Result<()> {
    let telling = row.about(&id.to_string(), |about| about.refused(&by(change), answer.as_str()));
    notices::tell_of(change, &[row.requester.0], &telling).await
}

impl Row {
    fn about(&self, id: &str, say: impl FnOnce(&About<'_>) -> Telling) -> Telling {
        let whom = self.whom();
        say(&About { id, model: &self.model.1, requester: &self.requester.1, whom: &whom })
    }
}

/// Nobody has to decide on it any more: what was told of that counts as read.
pub(super) async fn settled(change: &mut Change, id: RequestId) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    count_as_read(change.db(), org, id, at).await
}

async fn count_as_read(db: &mut PgConnection, org: OrgId, id: RequestId, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update notices set read_at = $4
         where org_id = $1 and kind = $3 and href = $2 and read_at is null",
        org.0,
        format!("/requests/{id}"),
        NoticeKind::Request.as_str(),
        at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// To whoever asked: somebody ended their grant early. Not when it was they themself.
pub(super) async fn revoked(change: &mut Change, grant: GrantId) -> Result<()> {
    let (org, me) = (change.org(), change.permit().actor().user);
    let row = sqlx::query!(
        "select r.request_id, r.requester_id, u.name as requester, g.name as group_name, r.for_group, m.name as model
         from requests r
         join users u on u.org_id = $1 and u.user_id = r.requester_id
         join groups g on g.org_id = $1 and g.group_id = r.group_id
         join models m on m.org_id = $1 and m.model_id = r.model_id
         where r.org_id = $1 and r.grant_id = $2",
        org.0,
        grant.0
    )
    .fetch_optional(change.db())
    .await?;
    let Some(row) = row.filter(|row| me.map(|me| me.0) != Some(row.requester_id)) else { return Ok(()) };
    let id = RequestId(row.request_id).to_string();
    let whom = whom(row.for_group, &row.requester, &row.group_name);
    let about = About { id: &id, model: &row.model, requester: &row.requester, whom: &whom };
    let telling = about.revoked(&by(change));
    notices::tell_of(change, &[UserId(row.requester_id)], &telling).await
}

fn whom(for_group: bool, requester: &str, group: &str) -> String {
    if for_group { format!("everybody in {group}") } else { format!("{requester} in {group}") }
}

/// Tells those whose requests nobody answered before their last day was over. Returns how many.
async fn lapses(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    let today = organizations::calendar(store, org).await?.day(now);
    let rows = sqlx::query!(
        "select r.request_id, r.requester_id, u.name as requester, g.name as group_name, r.for_group, r.ends_on, m.name as model
         from requests r
         join users u on u.org_id = $1 and u.user_id = r.requester_id and u.removed_at is null
         join groups g on g.org_id = $1 and g.group_id = r.group_id
         join models m on m.org_id = $1 and m.model_id = r.model_id
         where r.org_id = $1 and r.state = 'waiting' and r.ends_on < $2",
        org.0,
        today,
    )
    .fetch_all(store.pool())
    .await?;
    let mut told = 0;
    for row in rows {
        let id = RequestId(row.request_id);
        let (key, whom) = (id.to_string(), whom(row.for_group, &row.requester, &row.group_name));
        let about = About { id: &key, model: &row.model, requester: &row.requester, whom: &whom };
        let telling = about.lapsed(row.ends_on);
        let mut tx = store.pool().begin().await?;
        let now_told =
            notices::tell(store, &mut tx, org, &[UserId(row.requester_id)], &telling, now, now).await?;
        if now_told > 0 {
            count_as_read(&mut tx, org, id, now).await?;
        }
        tx.commit().await?;
        told += now_told;
    }
    Ok(told)
}

/// Tells those whose grants end soon, or have ended by themselves, and those whose requests nobody
/// answered in time. Returns how many.
///
/// # Errors
/// When the database does not answer.
pub async fn ends(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    let rows = sqlx::query!(
        r#"select r.request_id, r.requester_id, u.name as requester, g.name as group_name, r.for_group, m.name as model,
                  t.ends_at, t.ends_at <= $2 as "over!"
           from grants t
           join requests r on r.org_id = $1 and r.grant_id = t.grant_id
           join users u on u.org_id = $1 and u.user_id = r.requester_id and u.removed_at is null
           join groups g on g.org_id = $1 and g.group_id = r.group_id
           join models m on m.org_id = $1 and m.model_id = r.model_id
           where t.org_id = $1 and t.revoked_at is null and t.ends_at > $3 and t.ends_at <= $4
             and (t.ends_at <= $2 or t.ends_at - t.starts_at > $5::bigint * interval '1 second')"#,
        org.0,
        now,
        now - BEFORE,
        now + BEFORE,
        LONG.num_seconds(),
    )
    .fetch_all(store.pool())
    .await?;
    let mut told = lapses(store, org, now).await?;
    if rows.is_empty() {
        return Ok(told);
    }
    let zone = organizations::calendar(store, org).await?.zone;
    for row in rows {
        let id = RequestId(row.request_id).to_string();
        let whom = whom(row.for_group, &row.requester, &row.group_name);
        let about = About { id: &id, model: &row.model, requester: &row.requester, whom: &whom };
        let telling = if row.over {
            about.ended()
        } else {
            // It holds to the end of the day before.
            let last = (row.ends_at - Duration::seconds(1)).with_timezone(&zone).date_naive();
            about.ending(&format!("the end of {}", domain::time::date(last)))
        };
        let mut tx = store.pool().begin().await?;
        told += notices::tell(store, &mut tx, org, &[UserId(row.requester_id)], &telling, now, now).await?;
        tx.commit().await?;
    }
    Ok(told)
}
