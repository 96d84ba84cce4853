//! Who is told of reviews: those who lead the group, or one below it with lines of its own, when one is opened
//! and when its last day is near.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use domain::{
    groups::Group,
    ids::{GroupId, OrgId, ReviewId, UserId},
    notices::OpenReview,
};
use sqlx::PgConnection;

use super::get;
use crate::{Change, Result, Store, notices};

/// Leads are told so long before a review closes.
const BEFORE: Duration = Duration::days(3);
/// A review that is not open for longer needs no such notice.
const LONG: Duration = Duration::days(5);

/// Those who lead a group, or one above it, and are not kept out.
async fn leads(db: &mut PgConnection, org: OrgId, group: GroupId, at: DateTime<Utc>) -> Result<Vec<UserId>> {
    let rows = sqlx::query_scalar!(
        "select distinct m.user_id from memberships m
         join groups g on g.org_id = m.org_id and g.group_id = $2
         join users u on u.org_id = m.org_id and u.user_id = m.user_id
         where m.org_id = $1 and m.standing = 'lead' and m.ended_at is null and (m.ends_at is null or m.ends_at > $3)
           and (m.group_id = $2 or m.group_id = any (g.ancestors)) and u.suspended_at is null and u.removed_at is null
         order by m.user_id",
        org.0,
        group.0,
        at,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(UserId).collect())
}

/// Those who lead a group below the one that is looked at, and neither that nor one above it: by how many
/// lines that wait are theirs to decide on.
async fn leads_below(
    db: &mut PgConnection,
    org: OrgId,
    review: ReviewId,
    at: DateTime<Utc>,
) -> Result<BTreeMap<i64, Vec<UserId>>> {
    let rows = sqlx::query!(
        r#"select m.user_id, count(distinct i.item_id) as "lines!"
           from reviews r
           join groups g on g.org_id = r.org_id and g.group_id = r.group_id
           join review_items i on i.org_id = r.org_id and i.review_id = r.review_id and i.state = 'waiting'
           join groups h on h.org_id = i.org_id and h.group_id = i.group_id
           join memberships m on m.org_id = r.org_id and m.group_id = any (h.ancestors || h.group_id)
           join users u on u.org_id = m.org_id and u.user_id = m.user_id
           where r.org_id = $1 and r.review_id = $2 and m.standing = 'lead' and m.ended_at is null
             and (m.ends_at is null or m.ends_at > $3) and u.suspended_at is null and u.removed_at is null
             and not exists (
                 select from memberships n where n.org_id = $1 and n.user_id = m.user_id and n.standing = 'lead' and n.ended_at is null
                   and (n.ends_at is null or n.ends_at > $3) and n.group_id = any (g.ancestors || g.group_id))
           group by m.user_id order by m.user_id"#,
        org.0,
        review.0,
        at,
    )
    .fetch_all(db)
    .await?;
    let mut by_lines = BTreeMap::<i64, Vec<UserId>>::new();
    for row in rows {
        by_lines.entry(row.lines).or_default().push(UserId(row.user_id));
    }
    Ok(by_lines)
}

/// To the leads, but not to whoever opened it.
pub(super) async fn opened(
    change: &mut Change,
    id: ReviewId,
    group: &Group,
    until: NaiveDate,
    lines: usize,
) -> Result<()> {
    let (org, at, actor) = (change.org(), change.at(), change.permit().actor().clone());
    let mut people = leads(change.db(), org, group.id, at).await?;
    people.retain(|person| Some(*person) != actor.user);
    let below = leads_below(change.db(), org, id, at).await?;
    let (id, path) = (id.to_string(), group.path_text());
    let review = OpenReview { id: &id, by: &actor.name, path: &path, until };
    notices::tell_of(change, &people, &review.opened(lines)).await?;
    for (lines, people) in below {
        notices::tell_of(change, &people, &review.opened(usize::try_from(lines).unwrap_or_default())).await?;
    }
    Ok(())
}

/// Tells leads, and whoever opened it, of reviews that close soon with lines that nobody has decided on.
/// Returns how many were told.
///
/// # Errors
/// When the database does not answer.
pub async fn near(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    let ids = sqlx::query_scalar!(
        "select review_id from reviews
         where org_id = $1 and closed_at is null and due_at > $2 and due_at <= $3
           and due_at - opened_at > $4::bigint * interval '1 second'",
        org.0,
        now,
        now + BEFORE,
        LONG.num_seconds(),
    )
    .fetch_all(store.pool())
    .await?;
    let mut told = 0;
    for id in ids {
        let review = get(store, org, id.into()).await?;
        let waiting = review.progress.waiting();
        if waiting == 0 {
            continue;
        }
        let mut tx = store.pool().begin().await?;
        let mut people = leads(&mut tx, org, review.group, now).await?;
        let mut below = leads_below(&mut tx, org, review.id, now).await?;
        // Whoever opened it is told of all of it.
        below.values_mut().for_each(|people| people.retain(|person| Some(*person) != review.opened_by_id));
        people.extend(review.opened_by_id.filter(|opener| !people.contains(opener)));
        let id = review.id.to_string();
        let telling = OpenReview { id: &id, by: &review.opened_by, path: &review.path, until: review.due_on };
        told += notices::tell(store, &mut tx, org, &people, &telling.ending(waiting), now, now).await?;
        for (lines, people) in below {
            told += notices::tell(store, &mut tx, org, &people, &telling.ending(lines), now, now).await?;
        }
        tx.commit().await?;
    }
    Ok(told)
}
