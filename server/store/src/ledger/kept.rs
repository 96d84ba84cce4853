//! How far back the ledger goes. Whole days are let go of with their partitions, which costs nothing
//! however many calls they had; sums, windows and closed months stay.

use chrono::NaiveDate;

use crate::{Result, Store};

/// The first day that the ledger has; none: nothing was ever let go of.
///
/// # Errors
/// When the database does not answer.
pub async fn first_day(store: &Store) -> Result<Option<NaiveDate>> {
    Ok(sqlx::query_scalar!("select first_day from ledger_start").fetch_optional(store.pool()).await?)
}

/// Lets go of every finished and every refused call before a UTC day, a day at a time. What was
/// begun and could not be ended, because somebody reads the ledger for long, is gone on with when this
/// is asked again. Returns how many partitions went.
///
/// # Errors
/// When the database does not answer, or does not get to it within two seconds.
pub async fn let_go_before(store: &Store, first: NaiveDate) -> Result<usize> {
    let mut tables: Vec<(NaiveDate, String)> = Vec::new();
    for name in sqlx::query_scalar!(
        r#"select c.relname as "name!" from pg_inherits i join pg_class c on c.oid = i.inhrelid
           where i.inhparent in ('events'::regclass, 'refusals'::regclass)"#
    )
    .fetch_all(store.pool())
    .await?
    {
        let day = name.rsplit('_').next().and_then(|day| NaiveDate::parse_from_str(day, "%Y%m%d").ok());
        tables.extend(day.filter(|day| *day < first).map(|day| (day, name)));
    }
    tables.sort();
    for days in tables.chunk_by(|(a, _), (b, _)| a == b) {
        let names: Vec<&str> = days.iter().map(|(_, name)| name.as_str()).collect();
        let mut tx = begin_from(store, first).await?;
        // Names cannot be parameters; these are of our own making.
        let text = format!("drop table {}", names.join(", "));
        sqlx::query(sqlx::AssertSqlSafe(text)).execute(&mut *tx).await?;
        tx.commit().await?;
    }
    // What came after its day had gone.
    let strays = sqlx::query_scalar!(
        r#"select exists (select from events_default where day < $1) or exists (select from refusals_default where day < $1) as "any!""#,
        first
    );
    if strays.fetch_one(store.pool()).await? {
        let mut tx = begin_from(store, first).await?;
        sqlx::query!("delete from events_default where day < $1", first).execute(&mut *tx).await?;
        sqlx::query!("delete from refusals_default where day < $1", first).execute(&mut *tx).await?;
        tx.commit().await?;
    }
    Ok(tables.len())
}

/// A transaction in which the ledger begins at a day: checks never see one without the other. It waits
/// for nobody for long, because calls that are being booked would wait behind it.
async fn begin_from(store: &Store, first: NaiveDate) -> Result<sqlx::PgTransaction<'static>> {
    let mut tx = store.pool().begin().await?;
    sqlx::query!("set local lock_timeout = '2s'").execute(&mut *tx).await?;
    sqlx::query!(
        "insert into ledger_start as s (first_day) values ($1)
         on conflict (only_one) do update set first_day = greatest(s.first_day, excluded.first_day)",
        first
    )
    .execute(&mut *tx)
    .await?;
    Ok(tx)
}
