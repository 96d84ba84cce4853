//! Is it known of each finished call how long it took?

use chrono::NaiveDate;
use domain::ids::OrgId;
use sqlx::PgConnection;

use crate::Result;

/// Sums that do not know of each of their finished calls how long it took: of what, of how many it is known, how
/// many there are. Classes of durations came later than the sums: days the ledger has let go of are left out.
/// `only`: of the days from the one until before the other.
pub(crate) async fn drift(
    db: &mut PgConnection,
    org: OrgId,
    only: Option<(NaiveDate, NaiveDate)>,
) -> Result<Vec<(String, i64, i64)>> {
    let rows = sqlx::query!(
        r#"select date_trunc('month', first_day)::date as "month!", scope::text as "scope!", grain::text as "grain!",
                  -- Of a number whose places are counts, this is the sum of them all.
                  mod(sum(took), 999999999999)::bigint as "timed!", sum(calls)::bigint as "finished!"
           from usage_sums
           where org_id = $1 and date_trunc('month', first_day) > coalesce((select first_day from ledger_start), '-infinity')
             and ($2::date is null or (first_day >= $2 and first_day < $3))
           group by 1, 2, 3
           having mod(sum(took), 999999999999)::bigint <> sum(calls)"#,
        org.0,
        only.map(|(first, _)| first),
        only.map(|(_, next)| next),
    )
    .fetch_all(&mut *db)
    .await?;
    let name = |scope, grain, month| format!("sums: durations of each {scope} by {grain} in {month}");
    Ok(rows.into_iter().map(|row| (name(row.scope, row.grain, row.month), row.timed, row.finished)).collect())
}
