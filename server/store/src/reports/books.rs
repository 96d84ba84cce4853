//! Do closed months agree with the ledger, and is each still what was sealed?

use chrono::NaiveDate;
use domain::ids::OrgId;
use sqlx::PgConnection;

use super::seal;
use crate::{Result, books::Drift};

/// Everything about closed months that does not agree.
pub(crate) async fn drift(db: &mut PgConnection, org: OrgId, found: &mut Vec<Drift>) -> Result<()> {
    let months = sqlx::query_as!(
        Written,
        "select month, calls, spend, adjusted, lines, seal from closed_months where org_id = $1 order by month",
        org.0
    )
    .fetch_all(&mut *db)
    .await?;
    for row in months {
        of_month(db, org, &row, found).await?;
    }
    Ok(())
}

/// What was written down when a month was closed.
struct Written {
    month: NaiveDate,
    calls: i64,
    spend: i64,
    adjusted: i64,
    lines: i64,
    seal: Vec<u8>,
}

/// Everything about a month that is just being closed that does not agree: what was frozen against the
/// ledger, line by line too.
pub(crate) async fn just_closed(db: &mut PgConnection, org: OrgId, month: NaiveDate) -> Result<Vec<Drift>> {
    let kept = kept(db, org, month).await?;
    let mut found = Vec::new();
    ledger(db, org, month, kept, &mut found).await?;
    if kept.days && found.is_empty() {
        lines(db, org, month, &mut found).await?;
    }
    Ok(found)
}

/// Everything about one closed month that does not agree.
async fn of_month(db: &mut PgConnection, org: OrgId, row: &Written, found: &mut Vec<Drift>) -> Result<()> {
    let (fresh, totals) = seal(db, org, row.month).await?;
    let named = |what: &str| format!("report of {}: {what}", row.month.format("%Y-%m"));
    for (what, is, should_be) in [
        ("lines", totals.lines, row.lines),
        ("calls", totals.calls, row.calls),
        ("spend", totals.spend, row.spend),
        ("adjustments", totals.adjusted, row.adjusted),
        // One that is whole, or none.
        ("seals that hold", i64::from(fresh[..] == row.seal[..]), 1),
    ] {
        if is != should_be {
            found.push(Drift { what: named(what), is, should_be });
        }
    }
    let groups = sqlx::query!(
            r#"select coalesce(sum(g.calls), 0)::bigint as "calls!", coalesce(sum(g.spend), 0)::bigint as "spend!",
                      coalesce(sum(g.spend) filter (where g.late), 0)::bigint as "adjusted!"
               from report_groups g where g.org_id = $1 and g.month = $2"#,
            org.0,
            row.month,
        )
        .fetch_one(&mut *db)
        .await?;
    for (what, is, should_be) in [
        ("calls of groups", groups.calls, totals.calls),
        ("spend of groups", groups.spend, totals.spend),
        ("adjustments of groups", groups.adjusted, totals.adjusted),
    ] {
        if is != should_be {
            found.push(Drift { what: named(what), is, should_be });
        }
    }
    let kept = kept(db, org, row.month).await?;
    ledger(db, org, row.month, kept, found).await
}

/// How many lines of a month's own calls differ from what the ledger has of their place, application,
/// person and model: sums that agree as a whole may still be somebody else's.
async fn lines(db: &mut PgConnection, org: OrgId, month: NaiveDate, found: &mut Vec<Drift>) -> Result<()> {
    let row = sqlx::query!(
        r#"with c as (select starts_at, ends_at from closed_months where org_id = $1 and month = $2),
                l as (select path_id, application_id, user_id, model_id, calls, spend from report_lines
                      where org_id = $1 and month = $2 and of_month = $2),
                e as (select e.path_id, e.application_id, coalesce(e.user_id, '00000000-0000-0000-0000-000000000000') as user_id,
                             e.model_id, count(*) as calls, sum(e.cost) as spend
                      from events e, c
                      where e.org_id = $1 and e.day >= (c.starts_at at time zone 'UTC')::date and e.day <= (c.ends_at at time zone 'UTC')::date
                        and e.started_at >= c.starts_at and e.started_at < c.ends_at
                        and not exists (select from late_calls t where t.org_id = $1 and t.call_id = e.call_id)
                      group by 1, 2, 3, 4)
           select count(*) as "lines!", coalesce(sum(abs(coalesce(l.spend, 0) - coalesce(e.spend, 0))), 0)::bigint as "spend!"
           from l full join e using (path_id, application_id, user_id, model_id)
           where coalesce(l.calls, 0) <> coalesce(e.calls, 0) or coalesce(l.spend, 0) <> coalesce(e.spend, 0)"#,
        org.0,
        month,
    )
    .fetch_one(db)
    .await?;
    for (what, is) in
        [("lines that the ledger has otherwise", row.lines), ("spend on the wrong lines", row.spend)]
    {
        if is != 0 {
            found.push(Drift {
                what: format!("report of {}: {what}", month.format("%Y-%m")),
                is,
                should_be: 0,
            });
        }
    }
    Ok(())
}

/// What of a closed month the ledger still has in full.
#[derive(Clone, Copy)]
struct Kept {
    /// The days of the month.
    days: bool,
    /// The late calls that count in it.
    late: bool,
}

async fn kept(db: &mut PgConnection, org: OrgId, month: NaiveDate) -> Result<Kept> {
    let row = sqlx::query!(
        r#"select not exists (select from ledger_start s, closed_months c
                              where c.org_id = $1 and c.month = $2 and (c.starts_at at time zone 'UTC')::date < s.first_day) as "days!",
                  not exists (select from ledger_start s, late_calls t
                              where t.org_id = $1 and t.month = $2 and t.day < s.first_day) as "late!""#,
        org.0,
        month,
    )
    .fetch_one(db)
    .await?;
    Ok(Kept { days: row.days, late: row.late })
}

/// A closed month's own lines against the ledger's calls of that time that were not late, and its
/// adjustments against the late calls that count in it.
async fn ledger(
    db: &mut PgConnection,
    org: OrgId,
    month: NaiveDate,
    kept: Kept,
    found: &mut Vec<Drift>,
) -> Result<()> {
    let row = sqlx::query!(
        r#"with c as (select starts_at, ends_at from closed_months where org_id = $1 and month = $2),
                l as (select coalesce(sum(calls) filter (where of_month = month), 0) as calls,
                             coalesce(sum(spend) filter (where of_month = month), 0) as spend,
                             coalesce(sum(input + cache_read + cache_write + output + reasoning) filter (where of_month = month), 0) as tokens,
                             coalesce(sum(calls) filter (where of_month < month), 0) as late_calls,
                             coalesce(sum(spend) filter (where of_month < month), 0) as late_spend
                      from report_lines where org_id = $1 and month = $2),
                e as (select count(*) as calls, coalesce(sum(e.cost), 0) as spend,
                             coalesce(sum(e.input + e.cache_read + e.cache_write + e.cache_write_long + e.audio_input
                                          + e.output + e.reasoning + e.audio_output), 0) as tokens
                      from events e, c
                      where e.org_id = $1 and e.day >= (c.starts_at at time zone 'UTC')::date and e.day <= (c.ends_at at time zone 'UTC')::date
                        and e.started_at >= c.starts_at and e.started_at < c.ends_at
                        and not exists (select from late_calls t where t.org_id = $1 and t.call_id = e.call_id)),
                t as (select count(*) as calls, coalesce(sum(e.cost), 0) as spend
                      from late_calls t join events e on e.org_id = t.org_id and e.day = t.day and e.call_id = t.call_id
                      where t.org_id = $1 and t.month = $2)
           select l.calls::bigint as "calls!", e.calls as "should_calls!", l.spend::bigint as "spend!", e.spend::bigint as "should_spend!",
                  l.tokens::bigint as "tokens!", e.tokens::bigint as "should_tokens!", l.late_calls::bigint as "late_calls!",
                  t.calls as "should_late_calls!", l.late_spend::bigint as "late_spend!", t.spend::bigint as "should_late_spend!"
           from l, e, t"#,
        org.0,
        month,
    )
    .fetch_one(db)
    .await?;
    for (kept, what, is, should_be) in [
        (kept.days, "calls against the ledger", row.calls, row.should_calls),
        (kept.days, "spend against the ledger", row.spend, row.should_spend),
        (kept.days, "tokens against the ledger", row.tokens, row.should_tokens),
        (kept.late, "adjusted calls against the ledger", row.late_calls, row.should_late_calls),
        (kept.late, "adjustments against the ledger", row.late_spend, row.should_late_spend),
    ] {
        if kept && is != should_be {
            found.push(Drift { what: format!("report of {}: {what}", month.format("%Y-%m")), is, should_be });
        }
    }
    Ok(())
}
