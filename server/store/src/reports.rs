//! Allocation: the report of each month, and closing a month.
//!
//! The report of an open month is read from the sums by day; closing copies it, so that what finance
//! was told stays. Booking and closing exclude each other: a call of a closed month is noted as late in
//! the transaction that books it (`ledger/late.rs`), and counts in the report of the month that is next.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use domain::{
    ids::{GroupId, OrgId},
    money::Money,
    reports::{Closed, MonthRow, Own, Report, Standing, report},
    roles::Act,
    spend::Sums,
    window::Calendar,
};
use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Change, Diff, Result, Store, StoreError, Subject, clock, windows};

pub(crate) mod books;
mod lines;

pub use lines::{Kind, Line, Lines, lines};
use lines::{Of, frozen_names};

/// The first day of the month after.
fn after(month: NaiveDate) -> NaiveDate {
    month.checked_add_months(Months::new(1)).unwrap_or(month)
}

/// The first day of the month a moment falls into.
fn month_of(calendar: Calendar, at: DateTime<Utc>) -> NaiveDate {
    let day = calendar.day(at);
    day.with_day(1).unwrap_or(day)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The last month that is closed.
pub(crate) async fn last_closed(db: &mut PgConnection, org: OrgId) -> Result<Option<NaiveDate>> {
    Ok(sqlx::query_scalar!("select max(month) from closed_months where org_id = $1", org.0)
        .fetch_one(db)
        .await?)
}

/// The first month that is not closed: the one after the last that is, else the first in which
/// anything was counted.
async fn first_open(db: &mut PgConnection, org: OrgId) -> Result<Option<NaiveDate>> {
    if let Some(last) = last_closed(db, org).await? {
        return Ok(Some(after(last)));
    }
    let first = sqlx::query_scalar!("select min(day) from usage_by_day where org_id = $1", org.0)
        .fetch_one(db)
        .await?;
    Ok(first.and_then(|day| day.with_day(1)))
}

/// Every month from the first in which anything was counted to the running one, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn months(store: &Store, org: OrgId, calendar: Calendar) -> Result<Vec<MonthRow>> {
    let running = month_of(calendar, clock::now());
    let mut db = store.pool().acquire().await?;
    let closed = sqlx::query!(
        "select month, time_zone, closed_at, closed_name, calls, spend, adjusted, lines, seal
         from closed_months where org_id = $1 order by month",
        org.0
    )
    .fetch_all(&mut *db)
    .await?;
    let mut rows: Vec<MonthRow> = closed
        .into_iter()
        .map(|row| MonthRow {
            month: row.month,
            standing: Standing::Closed(Closed {
                at: row.closed_at,
                by: row.closed_name,
                zone: row.time_zone,
                lines: row.lines,
                seal: hex(&row.seal),
            }),
            spend: Money(row.spend),
            adjusted: Money(row.adjusted),
            calls: row.calls,
        })
        .collect();
    let Some(first) = first_open(&mut db, org).await? else { return Ok(rows) };
    let open = sqlx::query!(
        r#"select month as "month!", sum(calls)::bigint as "calls!", sum(spend)::bigint as "spend!", sum(adjusted)::bigint as "adjusted!"
           from (select first_day as month, calls, spend, 0 as adjusted
                 from usage_sums
                 where org_id = $1 and scope = 'organization' and within_id = '00000000-0000-0000-0000-000000000000' and grain = 'month'
                   and first_day >= $2 and model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
                 union all
                 select month, count(*), sum(spend), sum(spend) from late_calls where org_id = $1 and month >= $2 group by 1) s
           group by month"#,
        org.0,
        first,
    )
    .fetch_all(&mut *db)
    .await?;
    let open: HashMap<NaiveDate, (i64, i64, i64)> =
        open.into_iter().map(|row| (row.month, (row.calls, row.spend, row.adjusted))).collect();
    let mut month = first;
    while month <= running {
        let (calls, spend, adjusted) = open.get(&month).copied().unwrap_or_default();
        let standing =
            if month == running { Standing::Running } else { Standing::Open { next: month == first } };
        rows.push(MonthRow { month, standing, spend: Money(spend), adjusted: Money(adjusted), calls });
        month = after(month);
    }
    rows.reverse();
    Ok(rows)
}

/// Where one month stands.
async fn standing(
    db: &mut PgConnection,
    org: OrgId,
    calendar: Calendar,
    month: NaiveDate,
) -> Result<Standing> {
    let row = sqlx::query!(
        "select time_zone, closed_at, closed_name, lines, seal from closed_months where org_id = $1 and month = $2",
        org.0,
        month,
    )
    .fetch_optional(&mut *db)
    .await?;
    if let Some(row) = row {
        return Ok(Standing::Closed(Closed {
            at: row.closed_at,
            by: row.closed_name,
            zone: row.time_zone,
            lines: row.lines,
            seal: hex(&row.seal),
        }));
    }
    let first = first_open(db, org).await?;
    let running = month_of(calendar, clock::now());
    // What lies before everything that was counted, and what is yet to come, has no report.
    if month > running || first.is_none_or(|first| month < first) {
        return Err(StoreError::NotFound);
    }
    Ok(if month == running { Standing::Running } else { Standing::Open { next: first == Some(month) } })
}

/// The report of a month, group by group.
///
/// # Errors
/// [`StoreError::NotFound`] when nothing was counted by then, or the month has not begun.
pub async fn get(store: &Store, org: OrgId, calendar: Calendar, month: NaiveDate) -> Result<Report> {
    let mut tx = store.pool().begin().await?;
    sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let standing = standing(&mut tx, org, calendar, month).await?;
    let closed = matches!(standing, Standing::Closed(_));
    let rows = sqlx::query!(
        r#"with l as (
               select path_id, late, calls, failed, spend, input, cache_read, cache_write, output, reasoning
               from report_groups where $3 and org_id = $1 and month = $2
               union all
               select path_id, false, calls, failed, spend, input, cache_read, cache_write, output, reasoning
               from usage_sums
               where not $3 and org_id = $1 and scope = 'application' and within_id = '00000000-0000-0000-0000-000000000000'
                 and grain = 'month' and first_day = $2 and model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
               union all
               select path_id, true, 1, failed, spend, input, cache_read, cache_write, output, reasoning
               from late_calls where not $3 and org_id = $1 and month = $2
           )
           select p.groups, l.late as "late!", sum(l.calls)::bigint as "calls!", sum(l.failed)::bigint as "failed!",
                  sum(l.spend)::bigint as "spend!", sum(l.input)::bigint as "input!", sum(l.cache_read)::bigint as "cache_read!",
                  sum(l.cache_write)::bigint as "cache_write!", sum(l.output)::bigint as "output!", sum(l.reasoning)::bigint as "reasoning!"
           from l join group_paths p on p.org_id = $1 and p.path_id = l.path_id
           group by p.path_id, p.groups, l.late having sum(l.calls) > 0"#,
        org.0,
        month,
        closed,
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut owns: Vec<Own> = rows
        .into_iter()
        .map(|row| Own {
            path: row.groups.into_iter().map(GroupId).collect(),
            adjustment: row.late,
            sums: Sums {
                calls: row.calls,
                failed: row.failed,
                spend: Money(row.spend),
                input: row.input,
                cache_read: row.cache_read,
                cache_write: row.cache_write,
                output: row.output,
                reasoning: row.reasoning,
                ..Sums::default()
            },
        })
        .collect();
    let members = members(&mut tx, org, month, closed).await?;
    owns.extend(only_members(&mut tx, org, &owns, &members).await?);
    let mut ids: Vec<Uuid> = owns.iter().flat_map(|own| &own.path).map(|id| id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    let names = sqlx::query!(
        r#"select thing_id as "id!", name as "name!" from report_names where $3 and org_id = $1 and month = $4 and kind = 'group'
           union all
           select group_id, name from groups
           where org_id = $1 and group_id = any ($2)
             and not ($3 and group_id in (select thing_id from report_names where org_id = $1 and month = $4 and kind = 'group'))"#,
        org.0,
        &ids,
        closed,
        month,
    )
    .fetch_all(&mut *tx)
    .await?;
    let names = names.into_iter().map(|row| (GroupId(row.id), row.name)).collect();
    let members = members.into_iter().map(|(id, _, spend)| (id, spend)).collect();
    tx.rollback().await?;
    Ok(report(month, standing, &owns, &names, &members))
}

/// The places of groups whose people spent while none of their own applications did, nor any below: where
/// they are now, as nothing was counted there.
async fn only_members(
    db: &mut PgConnection,
    org: OrgId,
    owns: &[Own],
    members: &[(GroupId, i64, Money)],
) -> Result<Vec<Own>> {
    let there: HashSet<GroupId> = owns.iter().flat_map(|own| own.path.iter().copied()).collect();
    let others: Vec<Uuid> =
        members.iter().filter(|(id, ..)| !there.contains(id)).map(|(id, ..)| id.0).collect();
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_scalar!(
        r#"select ancestors || group_id as "path!" from groups where org_id = $1 and group_id = any ($2)"#,
        org.0,
        &others,
    )
    .fetch_all(db)
    .await?;
    let path = |path: Vec<Uuid>| path.into_iter().map(GroupId).collect();
    Ok(rows
        .into_iter()
        .map(|ids| Own { path: path(ids), adjustment: false, sums: Sums::default() })
        .collect())
}

/// Member spend of each group: id, calls, money.
async fn members(
    db: &mut PgConnection,
    org: OrgId,
    month: NaiveDate,
    closed: bool,
) -> Result<Vec<(GroupId, i64, Money)>> {
    let rows = sqlx::query!(
        r#"select id as "id!", sum(calls)::bigint as "calls!", sum(spend)::bigint as "spend!"
           from (select thing_id as id, calls, spend from usage_sums
                 where not $3 and org_id = $1 and scope = 'members' and within_id = '00000000-0000-0000-0000-000000000000'
                   and grain = 'month' and first_day = $2 and model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
                 union all
                 select g.id, 1, l.spend from late_calls l
                 join member_sets m on m.org_id = l.org_id and m.set_id = l.set_id cross join unnest(m.groups) as g (id)
                 where not $3 and l.org_id = $1 and l.month = $2) s
           group by id having sum(calls) > 0
           union all
           select group_id, calls, spend from report_members where $3 and org_id = $1 and month = $2
           order by 1"#,
        org.0,
        month,
        closed,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (GroupId(row.id), row.calls, Money(row.spend))).collect())
}

/// Closes a month for good: it has to be over, every month before it closed, and what is frozen has to
/// be what the ledger has.
///
/// # Errors
/// [`StoreError::Invalid`] about `month` when it is not the one that can be closed, or its books do not
/// agree.
pub async fn close(change: &mut Change, calendar: Calendar, month: NaiveDate) -> Result<()> {
    change.expect(Act::KeepBooks, None)?;
    let (org, at) = (change.org(), change.at());
    // Calls that are being booked at this moment are waited for; those that come later are late.
    windows::hold_bookings(change.db(), org).await?;
    if last_closed(change.db(), org).await?.is_some_and(|last| month <= last) {
        return Err(StoreError::invalid("month", "This month is closed already."));
    }
    match first_open(change.db(), org).await? {
        None => return Err(StoreError::invalid("month", "Nothing has been counted yet.")),
        Some(first) if first != month => {
            let sentence = format!("Months are closed in order: {} is next.", first.format("%B %Y"));
            return Err(StoreError::invalid("month", sentence));
        }
        Some(_) => {}
    }
    let (starts_at, ends_at) = (calendar.midnight(month), calendar.midnight(after(month)));
    if at < ends_at {
        return Err(StoreError::invalid("month", "This month is not over yet."));
    }
    agree(month, &crate::books::of_month(change.db(), org, calendar, (month, after(month))).await?)?;
    freeze(change, month).await?;
    let (seal, totals) = seal(change.db(), org, month).await?;
    let actor = change.permit().actor().clone();
    sqlx::query!(
        "insert into closed_months (org_id, month, time_zone, starts_at, ends_at, closed_at, closed_by, closed_name, calls, spend, adjusted, lines, seal)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        org.0,
        month,
        calendar.zone.name(),
        starts_at,
        ends_at,
        at,
        actor.user.map(|user| user.0),
        actor.name,
        totals.calls,
        totals.spend,
        totals.adjusted,
        totals.lines,
        &seal[..],
    )
    .execute(change.db())
    .await?;
    agree(month, &books::just_closed(change.db(), org, month).await?)?;
    let name = month.format("%B %Y").to_string();
    // A month has no id of its own: its log lines are about the organization.
    let diff =
        Diff::new().set("closed", &name).set("spend", Money(totals.spend).exact()).set("seal", hex(&seal));
    change.record(Subject { kind: "month", id: org.0, name: &name }, "close", &diff).await
}

/// What is sealed stays for good, so nothing is that is not the ledger's.
fn agree(month: NaiveDate, found: &[crate::books::Drift]) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    let sentence = format!(
        "{} was not closed: its figures are not those of the ledger. {}. Nothing was changed; bursar verify lists everything that differs.",
        month.format("%B %Y"),
        crate::books::told(found)
    );
    Err(StoreError::invalid("month", sentence))
}

/// Copies what the report of an open month is made of.
async fn freeze(change: &mut Change, month: NaiveDate) -> Result<()> {
    let org = change.org();
    let next = after(month);
    sqlx::query!(
        "insert into report_lines (org_id, month, of_month, path_id, application_id, user_id, model_id, calls, failed, spend, input, cache_read,
                                   cache_write, output, reasoning)
         select $1, $2, of_month, path_id, application_id, user_id, model_id, sum(calls), sum(failed), sum(spend), sum(input), sum(cache_read),
                sum(cache_write), sum(output), sum(reasoning)
         from (select $2::date as of_month, path_id, application_id, user_id, model_id, calls, failed, spend, input, cache_read, cache_write, output, reasoning
               from usage_by_day where org_id = $1 and day >= $2 and day < $3
               union all
               select of_month, path_id, application_id, user_id, model_id, 1, failed, spend, input, cache_read, cache_write, output, reasoning
               from late_calls where org_id = $1 and month = $2) l
         group by of_month, path_id, application_id, user_id, model_id having sum(calls) > 0",
        org.0,
        month,
        next,
    )
    .execute(change.db())
    .await?;
    sqlx::query!(
        "insert into report_groups
         select org_id, month, path_id, of_month < month, sum(calls), sum(failed), sum(spend), sum(input), sum(cache_read), sum(cache_write),
                sum(output), sum(reasoning)
         from report_lines where org_id = $1 and month = $2 group by 1, 2, 3, 4",
        org.0,
        month,
    )
    .execute(change.db())
    .await?;
    sqlx::query!(
        "with s as (
             select set_id, sum(calls) as calls, sum(spend) as spend
             from (select set_id, calls, spend from usage_by_day where org_id = $1 and day >= $2 and day < $3
                   union all
                   select set_id, 1, spend from late_calls where org_id = $1 and month = $2) u
             group by set_id
         )
         insert into report_members (org_id, month, group_id, calls, spend)
         select $1, $2, g.id, sum(s.calls), sum(s.spend)
         from s join member_sets m on m.org_id = $1 and m.set_id = s.set_id cross join unnest(m.groups) as g (id)
         group by g.id having sum(s.calls) > 0",
        org.0,
        month,
        next,
    )
    .execute(change.db())
    .await?;
    sqlx::query!(
        "with l as (select path_id, application_id, user_id, model_id from report_lines where org_id = $1 and month = $2)
         insert into report_names (org_id, month, kind, thing_id, name)
         select $1, $2, 'group', g.group_id, g.name from groups g
         where g.org_id = $1 and g.group_id in
               (select unnest(p.groups) from group_paths p where p.org_id = $1 and p.path_id in (select path_id from l)
                union select unnest(m.ancestors || m.group_id) from groups m
                      join report_members r on r.org_id = $1 and r.month = $2 and r.group_id = m.group_id where m.org_id = $1)
         union all
         select $1, $2, 'application', a.application_id, a.name from applications a
         where a.org_id = $1 and a.application_id in (select application_id from l)
         union all
         select $1, $2, 'user', u.user_id, u.name from users u where u.org_id = $1 and u.user_id in (select user_id from l)
         union all
         select $1, $2, 'model', m.model_id, m.name from models m where m.org_id = $1 and m.model_id in (select model_id from l)
         union all
         select $1, $2, 'provider', m.model_id, v.name from models m
             join providers v on v.org_id = m.org_id and v.provider_id = m.provider_id
         where m.org_id = $1 and m.model_id in (select model_id from l)",
        org.0,
        month,
    )
    .execute(change.db())
    .await?;
    Ok(())
}

/// What a closed month's lines come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) calls: i64,
    pub(crate) spend: i64,
    pub(crate) adjusted: i64,
    pub(crate) lines: i64,
}

/// The seal over a closed month: every line, name and member's sum, in the order of their keys.
pub(crate) async fn seal(db: &mut PgConnection, org: OrgId, month: NaiveDate) -> Result<([u8; 32], Totals)> {
    let mut hasher = Sha256::new();
    let mut totals = Totals::default();
    hasher.update(format!("{org} {month}\n"));
    let mut lines = lines::of(db, org, month, Of::Closed);
    while let Some(line) = lines.try_next().await? {
        let Line { of_month, path, application, user, model, sums } = line;
        let Sums { calls, failed, spend, input, cache_read, cache_write, output, reasoning, .. } = sums;
        hasher.update(format!(
            "{of_month} {path} {application} {user} {model} {calls} {failed} {} {input} {cache_read} {cache_write} {output} {reasoning}\n",
            spend.0
        ));
        totals.calls += calls;
        totals.spend += spend.0;
        totals.adjusted += if of_month < month { spend.0 } else { 0 };
        totals.lines += 1;
    }
    drop(lines);
    for (kind, id, name) in frozen_names(db, org, month).await? {
        hasher.update(format!("{kind} {id} {} {name}\n", name.len()));
    }
    for (group, calls, spend) in members(db, org, month, true).await? {
        hasher.update(format!("{} {calls} {}\n", group.0, spend.0));
    }
    Ok((hasher.finalize().into(), totals))
}
