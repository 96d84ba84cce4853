//! Coarser sums than those by day and person: what pages about a whole organization read.
//!
//! `usage_sums` follows from `usage_by_day` and is written with it. Questions it cannot answer (what
//! one person did within a group, labels, what members spent) are asked of `usage_by_day`.

use std::collections::HashMap;

use chrono::{Datelike, Months, NaiveDate};
use domain::{
    explore::{By, Period},
    ids::OrgId,
    money::Money,
    spend::Sums,
};
use serde::Serialize;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    Result, Store, access, clock,
    rollups::{Key, Sight, Steps, Which, exact},
};

/// A step of time, a thing (none: all the rest), and what it comes to.
pub(crate) type Line = (NaiveDate, Option<Key>, Sums);

/// The sums that rows of `usage_by_day` count in. `$source` reads those rows as `d`.
macro_rules! spread {
    ($head:literal, $source:literal, $tail:literal $(, $more:expr)*) => {
        sqlx::query!(
            $head
                + r#"insert into usage_sums as s
           select d.org_id, k.scope, k.within_id, k.grain, k.first_day, k.thing_id, k.path_id, k.model_id, sum(d.calls), sum(d.failed),
                  sum(d.refused), sum(d.spend), sum(d.input), sum(d.cache_read), sum(d.cache_write), sum(d.output), sum(d.reasoning),
                  sum(d.duration_ms), sum(d.cached), sum(d.saved)
           from "#
                + $source
                + r#" d
           left join group_paths p on p.org_id = d.org_id and p.path_id = d.path_id
           cross join lateral (values (uuid '00000000-0000-0000-0000-000000000000', uuid 'ffffffff-ffff-ffff-ffff-ffffffffffff',
                                       date_trunc('month', d.day)::date)) as c (none, every, month)
           cross join lateral (
               select 'organization', c.none, g.grain, g.first_day, c.none, c.none, g.model_id
               from (values ('day', d.day, c.every), ('month', c.month, c.every), ('day', d.day, d.model_id)) as g (grain, first_day, model_id)
               union all
               select 'group', coalesce(p.groups[a.place - 1], c.none), g.grain, g.first_day, a.id, c.none, g.model_id
               from unnest(p.groups) with ordinality as a (id, place)
               cross join (values ('day', d.day, c.every), ('month', c.month, c.every), ('day', d.day, d.model_id))
                    as g (grain, first_day, model_id)
               union all
               select 'application', c.none, g.grain, g.first_day, d.application_id, d.path_id, c.every
               from (values ('day', d.day), ('month', c.month)) as g (grain, first_day)
               union all
               select 'user', c.none, g.grain, g.first_day, d.user_id, c.none, c.every
               from (values ('day', d.day), ('month', c.month)) as g (grain, first_day)
               where g.grain = 'month' or d.user_id = c.none
           ) as k (scope, within_id, grain, first_day, thing_id, path_id, model_id)
           group by 1, 2, 3, 4, 5, 6, 7, 8
           order by 1, 2, 3, 4, 5, 6, 7, 8
           "#
                + $tail
            $(, $more)*
        )
    };
}

/// Adds what was added to rows of `usage_by_day`: in the order of keys, so that two that book at once
/// wait for each other and never cross.
pub(crate) async fn add<Row: Serialize + Sync>(db: &mut PgConnection, rows: &[Row]) -> Result<()> {
    spread!(
        "",
        "jsonb_populate_recordset(null::usage_by_day, $1)",
        "on conflict (org_id, scope, within_id, grain, first_day, thing_id, path_id, model_id) do update
             set calls = s.calls + excluded.calls, failed = s.failed + excluded.failed, refused = s.refused + excluded.refused,
                 spend = s.spend + excluded.spend, input = s.input + excluded.input,
                 cache_read = s.cache_read + excluded.cache_read, cache_write = s.cache_write + excluded.cache_write,
                 output = s.output + excluded.output, reasoning = s.reasoning + excluded.reasoning,
                 duration_ms = s.duration_ms + excluded.duration_ms, cached = s.cached + excluded.cached,
                 saved = s.saved + excluded.saved",
        Json(rows) as _
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Makes them anew from `usage_by_day`. Nothing may book meanwhile.
pub(crate) async fn rebuild(db: &mut PgConnection, org: OrgId) -> Result<()> {
    sqlx::query!("delete from usage_sums where org_id = $1", org.0).execute(&mut *db).await?;
    spread!("", "(select * from usage_by_day where org_id = $1)", "", org.0).execute(db).await?;
    Ok(())
}

/// What differs from `usage_by_day`: of what, what is written, what should be. Each kind of sum holds
/// every call once, groups at the top those that are in a group.
pub(crate) async fn drift(db: &mut PgConnection, org: OrgId) -> Result<Vec<(String, i64, i64)>> {
    let rows = sqlx::query!(
        r#"with d as (
               select date_trunc('month', day)::date as month, sum(calls + refused) as calls, sum(spend) as spend,
                      sum(calls + refused) filter (where p.path_id is not null) as placed_calls,
                      sum(spend) filter (where p.path_id is not null) as placed_spend
               from usage_by_day u left join group_paths p on p.org_id = u.org_id and p.path_id = u.path_id
               where u.org_id = $1 group by 1
           ), s as (
               select date_trunc('month', first_day)::date as month, scope, grain, model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff' as every,
                      sum(calls + refused) as calls, sum(spend) as spend
               from usage_sums
               where org_id = $1 and within_id = '00000000-0000-0000-0000-000000000000' and (scope <> 'user' or grain = 'month')
               group by 1, 2, 3, 4
           ), kinds as (
               select distinct scope, grain, every from s
               union values ('organization', 'month', true), ('group', 'month', true), ('application', 'month', true), ('user', 'month', true)
           )
           select coalesce(d.month, s.month) as "month!", k.scope as "scope!", k.grain as "grain!",
                  coalesce(s.calls, 0)::bigint as "calls!", coalesce(s.spend, 0)::bigint as "spend!",
                  coalesce(case k.scope when 'group' then d.placed_calls else d.calls end, 0)::bigint as "should_calls!",
                  coalesce(case k.scope when 'group' then d.placed_spend else d.spend end, 0)::bigint as "should_spend!"
           from kinds k
           cross join (select month from d union select month from s) m
           left join d on d.month = m.month
           left join s on s.month = m.month and s.scope = k.scope and s.grain = k.grain and s.every = k.every"#,
        org.0
    )
    .fetch_all(db)
    .await?;
    let lines = rows.into_iter().flat_map(|row| {
        let name = |what| format!("sums: {what} of each {} by {} in {}", row.scope, row.grain, row.month);
        [(name("calls"), row.calls, row.should_calls), (name("spend"), row.spend, row.should_spend)]
    });
    Ok(lines.filter(|(_, is, should_be)| is != should_be).collect())
}

/// Answers, if these sums can: as [`crate::rollups::read`].
pub(crate) async fn read(
    store: &Store,
    org: OrgId,
    which: &Which,
    by: Option<By>,
    period: Period,
    steps: Steps,
    only: Option<&[Key]>,
) -> Result<Option<Vec<Line>>> {
    let narrowed = which.members || which.directly || which.application.is_some() || which.user.is_some();
    if narrowed || which.use_case.is_some() || which.sight != Sight::All || by == Some(By::UseCase) {
        return Ok(None);
    }
    let today = access::current(store, org).await?.calendar.day(clock::now());
    let asked = Asked { store, org, which, period, steps, today };
    let Some(keys) = only else { return asked.all(by).await };
    let Some(mut lines) = asked.these(by, keys).await? else { return Ok(None) };
    let mut rest: HashMap<NaiveDate, Sums> = HashMap::new();
    for (step, _, sums) in asked.total(None).await? {
        *rest.entry(step).or_default() += sums;
    }
    for (step, _, sums) in &lines {
        let left = rest.entry(*step).or_default();
        *left = less(*left, *sums);
    }
    lines.extend(
        rest.into_iter().filter(|(_, sums)| *sums != Sums::default()).map(|(step, sums)| (step, None, sums)),
    );
    Ok(Some(lines))
}

/// A question, without by what it is split.
struct Asked<'a> {
    store: &'a Store,
    org: OrgId,
    which: &'a Which,
    period: Period,
    steps: Steps,
    today: NaiveDate,
}

/// Which rows: of what, in which group, and which of them.
struct Rows<'a> {
    scope: &'static str,
    within: Option<Uuid>,
    thing: Option<Uuid>,
    /// One row for each model.
    models: bool,
    /// By what they are told apart.
    by: &'static str,
    only: Option<&'a [Uuid]>,
}

impl Asked<'_> {
    /// Whether rows for each model are needed.
    const fn of_a_model(&self) -> bool {
        self.which.model.is_some() || self.which.tier.is_some()
    }

    /// Everything, by thing; none: these sums do not know.
    async fn all(&self, by: Option<By>) -> Result<Option<Vec<Line>>> {
        match by {
            None | Some(By::Model | By::Tier) => self.total(by).await.map(Some),
            Some(By::Group) => self.children(None).await.map(Some),
            Some(By::Application) if !self.of_a_model() => self.applications(None).await.map(Some),
            Some(By::User) if !self.of_a_model() && self.which.group.is_none() => self.people().await,
            Some(_) => Ok(None),
        }
    }

    /// Only these things.
    async fn these(&self, by: Option<By>, keys: &[Key]) -> Result<Option<Vec<Line>>> {
        let ids: Vec<Uuid> = keys.iter().map(|key| key.id).collect();
        let chosen = |lines: Vec<Line>| {
            let known = |line: &Line| line.1.as_ref().is_some_and(|key| ids.contains(&key.id));
            lines.into_iter().filter(known).collect::<Vec<_>>()
        };
        Ok(match by {
            Some(By::Model | By::Tier) => Some(chosen(self.total(by).await?)),
            Some(By::Group) => Some(chosen(self.children(Some(&ids)).await?)),
            Some(By::Application) if !self.of_a_model() => Some(self.applications(Some(&ids)).await?),
            Some(By::User) if !self.of_a_model() && self.which.group.is_none() => {
                Some(self.persons(&ids).await?)
            }
            _ => None,
        })
    }

    /// Of the organization or the group, by model, by tier or in one.
    async fn total(&self, by: Option<By>) -> Result<Vec<Line>> {
        let (scope, thing) = match self.which.group {
            Some(group) => ("group", group.0),
            None => ("organization", Uuid::nil()),
        };
        let by = match by {
            Some(By::Model) => "model",
            Some(By::Tier) => "tier",
            _ => "",
        };
        let models = self.of_a_model() || !by.is_empty();
        self.rows(Rows { scope, within: None, thing: Some(thing), models, by, only: None }).await
    }

    /// By group directly below; under nil what is in none of them.
    async fn children(&self, only: Option<&[Uuid]>) -> Result<Vec<Line>> {
        let within = self.which.group.map_or(Uuid::nil(), |group| group.0);
        let models = self.of_a_model();
        let only = only.filter(|ids| !ids.contains(&Uuid::nil()));
        let rows = Rows { scope: "group", within: Some(within), thing: None, models, by: "thing", only };
        let mut lines = self.rows(rows).await?;
        if only.is_none() {
            let mut direct: HashMap<NaiveDate, Sums> = HashMap::new();
            for (step, _, sums) in self.total(None).await? {
                *direct.entry(step).or_default() += sums;
            }
            for (step, _, sums) in &lines {
                let left = direct.entry(*step).or_default();
                *left = less(*left, *sums);
            }
            let none = || Some(Key { id: Uuid::nil(), label: String::new() });
            lines.extend(
                direct
                    .into_iter()
                    .filter(|(_, sums)| *sums != Sums::default())
                    .map(|(step, sums)| (step, none(), sums)),
            );
        }
        Ok(lines)
    }

    async fn applications(&self, only: Option<&[Uuid]>) -> Result<Vec<Line>> {
        let within = Some(Uuid::nil());
        self.rows(Rows { scope: "application", within, thing: None, models: false, by: "thing", only }).await
    }

    /// By person: months that are whole from their sums, other days from the days.
    async fn people(&self) -> Result<Option<Vec<Line>>> {
        let Steps::Marks(..) = self.steps else { return Ok(None) };
        let rows = Rows {
            scope: "user",
            within: Some(Uuid::nil()),
            thing: None,
            models: false,
            by: "thing",
            only: None,
        };
        let segments = self.segments(true);
        let (months, days): (Vec<Segment>, Vec<Segment>) =
            segments.into_iter().partition(|segment| segment.months);
        let mut lines = self.rows_in(&rows, &months).await?;
        for Segment { from, to, step, .. } in days {
            let days = Period { from, to };
            for (_, key, sums) in exact(
                self.store,
                self.org,
                self.which,
                Some(By::User),
                days,
                Steps::Marks(from, from),
                None,
                None,
            )
            .await?
            {
                lines.push((step, key, sums));
            }
        }
        Ok(Some(lines))
    }

    /// Some people; nil: nobody in particular.
    async fn persons(&self, ids: &[Uuid]) -> Result<Vec<Line>> {
        let (nobody, people): (Vec<Uuid>, Vec<Uuid>) = ids.iter().partition(|id| id.is_nil());
        let mut lines = if people.is_empty() {
            Vec::new()
        } else {
            let by = Some(By::User);
            exact(self.store, self.org, self.which, by, self.period, self.steps, None, Some(&people)).await?
        };
        if !nobody.is_empty() {
            let (nil, only) = (Some(Uuid::nil()), Some(nobody.as_slice()));
            let rows = Rows { scope: "user", within: nil, thing: nil, models: false, by: "thing", only };
            lines.extend(self.rows(rows).await?);
        }
        Ok(lines)
    }

    async fn rows(&self, rows: Rows<'_>) -> Result<Vec<Line>> {
        // A model's are kept by day.
        let segments = self.segments(!rows.models);
        self.rows_in(&rows, &segments).await
    }

    async fn rows_in(&self, rows: &Rows<'_>, segments: &[Segment]) -> Result<Vec<Line>> {
        let column = |of: fn(&Segment) -> NaiveDate| segments.iter().map(of).collect::<Vec<_>>();
        let grains: Vec<String> =
            segments.iter().map(|segment| if segment.months { "month" } else { "day" }.to_owned()).collect();
        let found = sqlx::query!(
            r#"select case when $6 then s.first_day else k.step end as "step!",
                      case $12::text when 'thing' then s.thing_id when 'model' then s.model_id
                          when 'tier' then coalesce(m.tier_id, '00000000-0000-0000-0000-000000000000')
                          else '00000000-0000-0000-0000-000000000000' end as "id!",
                      sum(s.calls)::bigint as "calls!", sum(s.failed)::bigint as "failed!", sum(s.refused)::bigint as "refused!",
                      sum(s.spend)::bigint as "spend!", sum(s.input)::bigint as "input!", sum(s.cache_read)::bigint as "cache_read!",
                      sum(s.cache_write)::bigint as "cache_write!", sum(s.output)::bigint as "output!",
                      sum(s.reasoning)::bigint as "reasoning!", sum(s.duration_ms)::bigint as "duration_ms!",
                      sum(s.cached)::bigint as "cached!", sum(s.saved)::bigint as "saved!"
               from unnest($2::text[], $3::date[], $4::date[], $5::date[]) as k (grain, first, next, step)
               join usage_sums s on s.org_id = $1 and s.scope = $7 and s.grain = k.grain and s.first_day >= k.first and s.first_day < k.next
               left join models m on $8 and m.org_id = s.org_id and m.model_id = s.model_id
               where ($9::uuid is null or s.within_id = $9) and ($10::uuid is null or s.thing_id = $10)
                 and (s.model_id <> 'ffffffff-ffff-ffff-ffff-ffffffffffff') = $8
                 and ($11::uuid[] is null or s.thing_id = any ($11))
                 and ($13::uuid is null or s.model_id = $13)
                 and ($14::uuid is null or coalesce(m.tier_id, '00000000-0000-0000-0000-000000000000') = $14)
                 and ($15::uuid is null or s.path_id in (select p.path_id from group_paths p where p.org_id = $1 and p.groups @> array[$15::uuid]))
               group by 1, 2"#,
            self.org.0,
            &grains,
            &column(|segment| segment.from),
            &column(|segment| segment.to),
            &column(|segment| segment.step),
            matches!(self.steps, Steps::Days),
            rows.scope,
            rows.models,
            rows.within,
            rows.thing,
            rows.only,
            rows.by,
            self.which.model.map(|id| id.0),
            self.which.tier.map(|id| id.0),
            self.which.group.filter(|_| rows.scope == "application").map(|id| id.0),
        )
        .fetch_all(self.store.pool())
        .await?;
        let lines = found.into_iter().map(|row| {
            let sums = Sums {
                calls: row.calls,
                failed: row.failed,
                refused: row.refused,
                spend: Money(row.spend),
                input: row.input,
                cache_read: row.cache_read,
                cache_write: row.cache_write,
                output: row.output,
                reasoning: row.reasoning,
                duration_ms: row.duration_ms,
                cached: row.cached,
                saved: Money(row.saved),
            };
            (row.step, Some(Key { id: row.id, label: String::new() }), sums)
        });
        Ok(lines.collect())
    }

    /// The period, cut where steps begin, into whole months (if they serve) and single days.
    fn segments(&self, months: bool) -> Vec<Segment> {
        let Period { from, to } = self.period;
        let Steps::Marks(first, second) = self.steps else {
            return vec![Segment { months: false, from, to, step: from }];
        };
        let cuts = [from, first.clamp(from, to), second.clamp(from, to), to];
        let steps = [from, first, second];
        cuts.windows(2)
            .zip(steps)
            .filter(|(cut, _)| cut[0] < cut[1])
            .flat_map(|(cut, step)| whole_months(cut[0], cut[1], self.today, step, months))
            .collect()
    }
}

/// Days that are read as months or one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    months: bool,
    from: NaiveDate,
    to: NaiveDate,
    step: NaiveDate,
}

/// Cuts days into those before the first whole month, whole months, and those after. A month that
/// runs is whole: nothing comes after today.
fn whole_months(
    from: NaiveDate,
    to: NaiveDate,
    today: NaiveDate,
    step: NaiveDate,
    months: bool,
) -> Vec<Segment> {
    let days = |from, to| Segment { months: false, from, to, step };
    let first = |date: NaiveDate| date.with_day(1).unwrap_or(date);
    let next = |date: NaiveDate| first(date).checked_add_months(Months::new(1)).unwrap_or(date);
    if !months {
        return vec![days(from, to)];
    }
    let begin = if from == first(from) { from } else { next(from) };
    let end = if to > today { next(to) } else { first(to) };
    if begin >= end || begin >= to {
        return vec![days(from, to)];
    }
    let parts = [days(from, begin), Segment { months: true, from: begin, to: end, step }, days(end, to)];
    parts.into_iter().filter(|part| part.from < part.to).collect()
}

/// One less the other.
fn less(a: Sums, b: Sums) -> Sums {
    Sums {
        calls: a.calls - b.calls,
        failed: a.failed - b.failed,
        refused: a.refused - b.refused,
        spend: Money(a.spend.0 - b.spend.0),
        input: a.input - b.input,
        cache_read: a.cache_read - b.cache_read,
        cache_write: a.cache_write - b.cache_write,
        output: a.output - b.output,
        reasoning: a.reasoning - b.reasoning,
        duration_ms: a.duration_ms - b.duration_ms,
        cached: a.cached - b.cached,
        saved: Money(a.saved.0 - b.saved.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn cut(from: &str, to: &str) -> Vec<String> {
        let parts = whole_months(day(from), day(to), day("2026-11-20"), day(from), true);
        parts
            .iter()
            .map(|part| format!("{} {}..{}", if part.months { "months" } else { "days" }, part.from, part.to))
            .collect()
    }

    #[test]
    fn whole_months_are_read_as_months_and_the_rest_by_day() {
        assert_eq!(cut("2026-01-01", "2026-03-01"), ["months 2026-01-01..2026-03-01"]);
        assert_eq!(
            cut("2026-01-10", "2026-03-05"),
            ["days 2026-01-10..2026-02-01", "months 2026-02-01..2026-03-01", "days 2026-03-01..2026-03-05"]
        );
        assert_eq!(cut("2026-03-02", "2026-03-30"), ["days 2026-03-02..2026-03-30"]);
    }

    #[test]
    fn the_month_that_runs_is_whole() {
        assert_eq!(cut("2026-10-01", "2026-11-21"), ["months 2026-10-01..2026-12-01"]);
        assert_eq!(cut("2026-11-01", "2026-11-19"), ["days 2026-11-01..2026-11-19"]);
    }
}
