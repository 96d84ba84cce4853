//! How sums are written: what finished calls add to every sum they count in, and all of them anew.
//!
//! What a batch adds is summed up here, not in the database: a row that a thousand calls count in is sent,
//! and written, once.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use domain::{
    Map,
    ids::{GroupId, OrgId},
    spend::Sums,
};
use md5::{Digest, Md5};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Result;

/// Every model together.
const EVERY: Uuid = Uuid::max();

/// What is added to a row of `usage_by_day`, with the groups that its names stand for.
pub(crate) struct Part<'a> {
    pub day: NaiveDate,
    pub path_id: Uuid,
    /// From the root to the application's group.
    pub path: &'a [GroupId],
    pub application_id: Uuid,
    /// Nil: nobody in particular.
    pub user_id: Uuid,
    /// Every group the person belongs to.
    pub set: &'a [GroupId],
    /// Nil: refused before a model was known.
    pub model_id: Uuid,
    pub use_case: &'a str,
    pub features: i32,
    pub sums: &'a Sums,
}

/// What names a row of `usage_sums` within its organization, in the order of its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    scope: &'static str,
    within: Uuid,
    grain: &'static str,
    first_day: NaiveDate,
    thing: Uuid,
    path: Uuid,
    model: Uuid,
}

/// Amounts as columns for `unnest`, in the order of the tables'.
#[derive(Default)]
pub(crate) struct Amounts {
    /// Calls, failed, refused, spend, five kinds of tokens, milliseconds, cached and saved.
    pub counts: [Vec<i64>; 12],
    /// How many calls took how long.
    pub took: Vec<String>,
}

impl Amounts {
    pub fn of<'a>(sums: impl Iterator<Item = &'a Sums>) -> Self {
        let mut columns = Self::default();
        for sums in sums {
            let Sums {
                calls,
                failed,
                refused,
                spend,
                input,
                cache_read,
                cache_write,
                output,
                reasoning,
                duration_ms,
                cached,
                saved,
                durations,
            } = *sums;
            let counts = [
                calls,
                failed,
                refused,
                spend.0,
                input,
                cache_read,
                cache_write,
                output,
                reasoning,
                duration_ms,
                cached,
                saved.0,
            ];
            columns.counts.iter_mut().zip(counts).for_each(|(column, count)| column.push(count));
            columns.took.push(durations.to_number());
        }
        columns
    }
}

/// Adds amounts to the rows of a table of sums that have some keys, in the order they come in: the columns of
/// its key beyond the organization, what unpacks them (from the fifteenth parameter on), and they themselves.
/// Columns are unpacked side by side as they are read, because from a function in `from` each would be
/// written down first.
macro_rules! add_amounts {
    ($db:expr, $org:expr, $amounts:expr, $table:tt, $keys:tt, $unpacked:tt, $($key:expr),+ $(,)?) => {{
        let $crate::sums::Amounts { counts, took } = $amounts;
        sqlx::query!(
            "insert into " + $table + " as s (org_id, calls, failed, refused, spend, input, cache_read, cache_write, output, reasoning,
                                              duration_ms, cached, saved, took, " + $keys + ")
             select $1, k.*
             from (select unnest($2::bigint[]), unnest($3::bigint[]), unnest($4::bigint[]), unnest($5::bigint[]), unnest($6::bigint[]),
                          unnest($7::bigint[]), unnest($8::bigint[]), unnest($9::bigint[]), unnest($10::bigint[]), unnest($11::bigint[]),
                          unnest($12::bigint[]), unnest($13::bigint[]), unnest($14::text[])::numeric, " + $unpacked + ") as k
             on conflict (org_id, " + $keys + ") do update
                 set calls = s.calls + excluded.calls, failed = s.failed + excluded.failed, refused = s.refused + excluded.refused,
                     spend = s.spend + excluded.spend, input = s.input + excluded.input,
                     cache_read = s.cache_read + excluded.cache_read, cache_write = s.cache_write + excluded.cache_write,
                     output = s.output + excluded.output, reasoning = s.reasoning + excluded.reasoning,
                     duration_ms = s.duration_ms + excluded.duration_ms, cached = s.cached + excluded.cached,
                     saved = s.saved + excluded.saved, took = s.took + excluded.took",
            $org.0,
            &counts[0],
            &counts[1],
            &counts[2],
            &counts[3],
            &counts[4],
            &counts[5],
            &counts[6],
            &counts[7],
            &counts[8],
            &counts[9],
            &counts[10],
            &counts[11],
            &took,
            $($key),+
        )
        .execute($db)
        .await?;
        Ok(())
    }};
}
pub(crate) use add_amounts;

/// The name of a label, as Postgres's `md5` makes it.
fn label_id(label: &str) -> Uuid {
    Uuid::from_bytes(Md5::digest(label).into())
}

/// Everything that some rows of `usage_by_day` count in.
fn spread<'a>(parts: impl Iterator<Item = Part<'a>>) -> Map<Key, Sums> {
    let mut found = Map::<Key, Sums>::default();
    for part in parts {
        let month = part.day.with_day(1).unwrap_or(part.day);
        let mut add = |scope, within, thing, path, model, monthly: bool| {
            let key = Key { scope, within, grain: "day", first_day: part.day, thing, path, model };
            *found.entry(key).or_default() += *part.sums;
            if monthly {
                *found.entry(Key { grain: "month", first_day: month, ..key }).or_default() += *part.sums;
            }
        };
        let none = Uuid::nil();
        add("organization", none, none, none, EVERY, true);
        add("organization", none, none, none, part.model_id, false);
        let mut within = none;
        for group in part.path {
            add("group", within, group.0, none, EVERY, true);
            add("group", within, group.0, none, part.model_id, false);
            within = group.0;
        }
        add("application", none, part.application_id, part.path_id, EVERY, true);
        add("user", none, part.user_id, part.path_id, EVERY, true);
        for group in part.set {
            add("members", none, group.0, none, EVERY, true);
        }
        for within in [none].into_iter().chain(part.path.iter().map(|group| group.0)) {
            if !part.use_case.is_empty() {
                add("use_case", within, label_id(part.use_case), none, EVERY, false);
            }
            if part.features != 0 {
                let set = Uuid::from_u128(u128::from(part.features.cast_unsigned()));
                add("feature", within, set, none, EVERY, false);
            }
        }
    }
    found
}

/// Adds what was added to rows of `usage_by_day`: in the order of keys, so that two that book at once wait
/// for each other and never cross.
pub(crate) async fn add<'a>(
    db: &mut PgConnection,
    org: OrgId,
    parts: impl Iterator<Item = Part<'a>> + Clone,
) -> Result<()> {
    let labels: BTreeMap<Uuid, &str> = parts
        .clone()
        .filter(|part| !part.use_case.is_empty())
        .map(|part| (label_id(part.use_case), part.use_case))
        .collect();
    if !labels.is_empty() {
        let (ids, labels): (Vec<Uuid>, Vec<&str>) = labels.into_iter().unzip();
        sqlx::query!(
            "insert into use_case_labels select $1, k.* from unnest($2::uuid[], $3::text[]) as k on conflict do nothing",
            org.0,
            &ids,
            &labels as &[&str],
        )
        .execute(&mut *db)
        .await?;
    }
    let mut rows: Vec<(Key, Sums)> = spread(parts).into_iter().collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    fn column<T>(rows: &[(Key, Sums)], of: impl Fn(&Key) -> T) -> Vec<T> {
        rows.iter().map(|(key, _)| of(key)).collect()
    }
    add_amounts!(
        db,
        org,
        Amounts::of(rows.iter().map(|(_, sums)| sums)),
        "usage_sums",
        "scope, within_id, grain, first_day, thing_id, path_id, model_id",
        "unnest($15::text[])::sum_scope, unnest($16::uuid[]), unnest($17::text[])::sum_grain, unnest($18::date[]), unnest($19::uuid[]), unnest($20::uuid[]),
         unnest($21::uuid[])",
        &column(&rows, |key| key.scope) as &[&str],
        &column(&rows, |key| key.within),
        &column(&rows, |key| key.grain) as &[&str],
        &column(&rows, |key| key.first_day),
        &column(&rows, |key| key.thing),
        &column(&rows, |key| key.path),
        &column(&rows, |key| key.model),
    )
}

/// Makes the sums of a day anew from `usage_by_day`, where there are none.
pub(crate) async fn day(db: &mut PgConnection, org: OrgId, day: NaiveDate) -> Result<()> {
    sqlx::query!(
        "insert into usage_sums (org_id, scope, within_id, grain, first_day, thing_id, path_id, model_id, calls, failed, refused, spend, input,
                                 cache_read, cache_write, output, reasoning, duration_ms, cached, saved, took)
         select org_id, scope, within_id, 'day', first_day, thing_id, path_id, model_id, calls, failed, refused, spend, input, cache_read,
                cache_write, output, reasoning, duration_ms, cached, saved, took
         from sums_that_should_be where org_id = $1 and first_day = $2",
        org.0,
        day,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Makes the sums of months anew from those of their days, from a month on, where there are none.
pub(crate) async fn months(db: &mut PgConnection, org: OrgId, from: NaiveDate) -> Result<()> {
    sqlx::query!(
        "insert into usage_sums
         select org_id, scope, within_id, 'month'::sum_grain, date_trunc('month', first_day)::date, thing_id, path_id, model_id, sum(calls),
                sum(failed), sum(refused), sum(spend), sum(input), sum(cache_read), sum(cache_write), sum(output), sum(reasoning),
                sum(duration_ms), sum(cached), sum(saved), sum(took)
         from usage_sums
         where org_id = $1 and scope in ('organization', 'group', 'application', 'user', 'members') and grain = 'day'
           and model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff' and first_day >= $2
         group by 1, 2, 3, 4, 5, 6, 7, 8",
        org.0,
        from,
    )
    .execute(db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_the_name_that_postgres_gives_it() {
        assert_eq!(label_id("triage").to_string(), "466e8b3f-0e23-fe8e-8aab-5b042fb51c90");
    }
}
