//! The directory of people: any filter in any order, page by page, over the whole organization.

use domain::{
    directory::{Filter, Sort},
    ids::{GroupId, OrgId, UserId},
    money::Money,
    users::UserRow,
};

use crate::{Result, Store, clock, rollups::Month, users};

/// In which order, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: Sort,
    /// The greatest first.
    pub down: bool,
}

/// By name.
pub const BY_NAME: Order = Order { by: Sort::Name, down: false };

/// What a page is read with.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The month that figures are about.
    pub month: &'a Month,
    /// The limit of those without one of their own.
    pub default_limit: Option<Money>,
    /// Which people.
    pub filter: &'a Filter,
    /// In which order.
    pub order: Order,
}

/// Behind whom the next page starts: what they are put in order by, and who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    key: String,
    id: UserId,
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}~{}", self.id, self.key)
    }
}

impl Mark {
    /// The reverse of `Display`; none when it is not one.
    pub fn read(text: &str) -> Option<Self> {
        let (id, key) = text.split_once('~')?;
        Some(Self { key: key.to_owned(), id: id.parse().ok()? })
    }
}

/// Everybody whom the filter lets through, with what they can be put in order by. The planner drops
/// every join that the parameters make needless: each is one row to one.
macro_rules! people {
    ($head:tt $tail:tt, $ask:expr, $org:expr $(, $more:expr)*) => {
        sqlx::query!(
            $head + r#"
           from users u
           left join windows w
             on w.org_id = u.org_id and w.scope_kind = 'user' and w.thing_id = u.user_id
            and w.person_id = '00000000-0000-0000-0000-000000000000' and w.metric = 'spend'
            and w.window_kind = 'month' and w.starts_at = $2
           left join limits l
             on l.org_id = u.org_id and l.scope_kind = 'user' and l.thing_id = u.user_id
            and l.person_id = '00000000-0000-0000-0000-000000000000' and l.metric = 'spend' and l.window_kind = 'month'
           left join (
               select org_id, user_id, max(last_used_at) as last_used_at,
                      bool_or(revoked_at is null and (expires_at is null or expires_at > $3)) as live
               from secrets where org_id = $1 and user_id is not null group by org_id, user_id
           ) s on s.org_id = u.org_id and s.user_id = u.user_id
           where u.org_id = $1 and u.removed_at is null
             and ($5::text is null or u.name ilike $5 or u.email ilike $5)
             and ($6::text is null or case $6
                 when 'suspended' then u.suspended_at is not null
                 when 'active' then u.suspended_at is null and s.live
                 when 'inactive' then u.suspended_at is null and s.live is not true and u.account_id is not null
                 else u.suspended_at is null and s.live is not true and u.account_id is null end)
             and ($7::uuid is null or u.user_id in (
                 select m.user_id from memberships m join groups g on g.org_id = m.org_id and g.group_id = m.group_id
                 where m.org_id = $1 and (g.group_id = $7 or g.ancestors @> array[$7::uuid]) and g.archived_at is null
                   and m.ended_at is null and (m.ends_at is null or m.ends_at > $3)))
             and ($8::text is null or u.role = $8)
             and ($9::text is null or case $9
                 when 'none' then coalesce(l.cap, $4) is null
                 when 'near' then coalesce(w.settled, 0)::float8 >= 0.8 * coalesce(l.cap, $4) and coalesce(w.settled, 0) < coalesce(l.cap, $4)
                 else coalesce(w.settled, 0) >= coalesce(l.cap, $4) end)
"# + $tail,
            $org.0,
            $ask.month.starts_at,
            clock::now(),
            $ask.default_limit.map(|limit| limit.0),
            like(&$ask.filter.search),
            $ask.filter.status.map(|status| status.as_str()),
            $ask.filter.group.map(|group| group.0),
            $ask.filter.role.map(|role| role.as_str()),
            $ask.filter.limit.map(|limit| limit.as_str())
            $(, $more)*
        )
    };
}

fn like(search: &str) -> Option<String> {
    Some(search.trim()).filter(|text| !text.is_empty()).map(|text| format!("%{}%", users::escape_like(text)))
}

/// A page of people, at most `limit`, and behind whom the next one starts, if there are more.
///
/// # Errors
/// When the database does not answer.
pub async fn page(
    store: &Store,
    org: OrgId,
    ask: &Ask<'_>,
    after: Option<&Mark>,
    limit: usize,
) -> Result<(Vec<UserRow>, Option<Mark>)> {
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut marks = match ask.order {
        Order { by: Sort::Name, down } => by_name(store, org, ask, down, after, one_more).await?,
        Order { .. } => by_figure(store, org, ask, after, one_more).await?,
    };
    let more = marks.len() > limit;
    marks.truncate(limit);
    let ids: Vec<UserId> = marks.iter().map(|mark| mark.id).collect();
    let rows = users::rows(store, org, ask.month, &ids).await?;
    Ok((rows, marks.pop().filter(|_| more)))
}

async fn by_name(
    store: &Store,
    org: OrgId,
    ask: &Ask<'_>,
    down: bool,
    after: Option<&Mark>,
    limit: i64,
) -> Result<Vec<Mark>> {
    let (key, id) = (after.map(|mark| mark.key.clone()), after.map(|mark| mark.id.0));
    let mark = |key: String, id: uuid::Uuid| Mark { key, id: id.into() };
    Ok(if down {
        let rows = people!(
            r#"select u.user_id, lower(u.name) as "key!""#
            r#" and ($10::text is null or (lower(u.name), u.user_id) < ($10, $11::uuid))
                order by lower(u.name) desc, u.user_id desc limit $12"#,
            ask, org, key, id, limit
        );
        let rows = rows.fetch_all(store.pool()).await?;
        rows.into_iter().map(|row| mark(row.key, row.user_id)).collect()
    } else {
        let rows = people!(
            r#"select u.user_id, lower(u.name) as "key!""#
            r#" and ($10::text is null or (lower(u.name), u.user_id) > ($10, $11::uuid))
                order by lower(u.name), u.user_id limit $12"#,
            ask, org, key, id, limit
        );
        let rows = rows.fetch_all(store.pool()).await?;
        rows.into_iter().map(|row| mark(row.key, row.user_id)).collect()
    })
}

/// By a number, counted down by its negative: so that ties keep one order both ways.
async fn by_figure(
    store: &Store,
    org: OrgId,
    ask: &Ask<'_>,
    after: Option<&Mark>,
    limit: i64,
) -> Result<Vec<Mark>> {
    let rows = people!(
        r#"select * from (select u.user_id, $11::bigint * case $10::text
               when 'status' then case when u.suspended_at is not null then 3 when s.live then 0
                   when u.account_id is not null then 1 else 2 end
               when 'spend' then coalesce(w.settled, 0)
               when 'limit' then coalesce(l.cap, $4, 9223372036854775807)
               when 'used' then coalesce(least(coalesce(w.settled, 0)::float8 / greatest(coalesce(l.cap, $4), 1) * 1e6, 9e18)::bigint, -1)
               else coalesce((extract(epoch from s.last_used_at) * 1000000)::bigint, -1)
               end as "key!""#
        r#") p where $12::bigint is null or ("key!", user_id) > ($12, $13::uuid)
           order by "key!", user_id limit $14"#,
        ask, org,
        ask.order.by.as_str(),
        if ask.order.down { -1_i64 } else { 1 },
        after.and_then(|mark| mark.key.parse::<i64>().ok()),
        after.map(|mark| mark.id.0),
        limit
    );
    let rows = rows.fetch_all(store.pool()).await?;
    Ok(rows.into_iter().map(|row| Mark { key: row.key.to_string(), id: row.user_id.into() }).collect())
}

/// How many people the filter lets through.
///
/// # Errors
/// When the database does not answer.
pub async fn count(store: &Store, org: OrgId, ask: &Ask<'_>) -> Result<i64> {
    let count = people!(r#"select count(*) as "count!""# "", ask, org);
    Ok(count.fetch_one(store.pool()).await?.count)
}

/// Who they are, by name, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn ids(store: &Store, org: OrgId, ask: &Ask<'_>, limit: i64) -> Result<Vec<UserId>> {
    let ids = people!("select u.user_id" "order by lower(u.name), u.user_id limit $10", ask, org, limit);
    Ok(ids.fetch_all(store.pool()).await?.into_iter().map(|row| row.user_id.into()).collect())
}

/// People who are not in a group, by name, whose name or address has this in it; at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn candidates(
    store: &Store,
    org: OrgId,
    group: GroupId,
    search: &str,
    limit: i64,
) -> Result<Vec<(UserId, String, String)>> {
    let rows = sqlx::query!(
        "select u.user_id, u.name, u.email from users u
         where u.org_id = $1 and u.removed_at is null and u.suspended_at is null
           and ($3::text is null or u.name ilike $3 or u.email ilike $3)
           and not exists (select from memberships m where m.org_id = $1 and m.group_id = $2 and m.user_id = u.user_id and m.ended_at is null)
         order by lower(u.name), u.user_id limit $4",
        org.0,
        group.0,
        like(search),
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id.into(), row.name, row.email)).collect())
}

/// People who can take something over, by name, whose name or address has this in it; at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn people(
    store: &Store,
    org: OrgId,
    search: &str,
    limit: i64,
) -> Result<Vec<(UserId, String, String)>> {
    let rows = sqlx::query!(
        "select user_id, name, email from users
         where org_id = $1 and removed_at is null and suspended_at is null
           and ($2::text is null or name ilike $2 or email ilike $2)
         order by lower(name), user_id limit $3",
        org.0,
        like(search),
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id.into(), row.name, row.email)).collect())
}

/// Names and addresses of some people, by name. Who is not there is left out.
///
/// # Errors
/// When the database does not answer.
pub async fn names(store: &Store, org: OrgId, ids: &[UserId]) -> Result<Vec<(UserId, String, String)>> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        "select user_id, name, email from users where org_id = $1 and user_id = any ($2) and removed_at is null
         order by lower(name), user_id",
        org.0,
        &ids
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id.into(), row.name, row.email)).collect())
}
