//! Coarser sums than those by day and person: what pages about many read.
//!
//! `usage_sums` follows from `usage_by_day` and is written with it. Questions it cannot answer (a label of
//! one person, a model of one application) are asked of `usage_by_day`.

use std::collections::HashMap;

use chrono::{Datelike, NaiveDate};
use domain::{
    durations::Durations,
    explore::{By, Measure, Period},
    ids::OrgId,
    money::Money,
    spend::Sums,
};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::{
    Result, Store, clock,
    rollups::{self, Key, Sight, Steps, Which},
};

mod drift;
mod stretches;
mod written;

pub(crate) use drift::drift;
use stretches::{Columns, Segment, whole_months};
pub(crate) use written::{Amounts, Part, add, add_amounts, day, months};

/// A step of time, a thing (none: all the rest), and what it comes to.
pub(crate) type Line = (NaiveDate, Option<Key>, Sums);

/// Answers, if these sums can: as [`crate::rollups::read`]. Split by features, labels are sets of them.
pub(crate) async fn read(
    store: &Store,
    org: OrgId,
    which: &Which,
    by: Option<By>,
    period: Period,
    steps: Steps,
    only: Option<&[Key]>,
    timed: bool,
) -> Result<Option<Vec<Line>>> {
    let Some(asked) = Asked::of(store, org, which, period, steps, timed) else { return Ok(None) };
    if !which.without.is_empty() {
        return match which.without.only() {
            Some((split, without)) => asked.besides(by, split, &without, only).await,
            None => Ok(None),
        };
    }
    // Features overlap: all others together are nothing that could be told.
    let Some(keys) = only.filter(|_| by != Some(By::Feature)) else { return asked.all(by).await };
    if !asked.knows(by) {
        return Ok(None);
    }
    let (mut lines, whole) = tokio::try_join!(asked.these(by, keys), asked.total(None))?;
    lines.extend(left(whole, &lines).into_iter().map(|(step, sums)| (step, None, sums)));
    Ok(Some(lines))
}

/// How long calls took, as Postgres says it.
pub(crate) fn took(digits: Option<&str>) -> Durations {
    digits.map(Durations::of_number).unwrap_or_default()
}

/// What is left of a whole without its parts, where anything is.
fn left(whole: Vec<Line>, parts: &[Line]) -> HashMap<NaiveDate, Sums> {
    let mut rest: HashMap<NaiveDate, Sums> = HashMap::new();
    for (step, _, sums) in whole {
        *rest.entry(step).or_default() += sums;
    }
    for (step, _, sums) in parts {
        let left = rest.entry(*step).or_default();
        *left = *left - *sums;
    }
    rest.retain(|_, sums| *sums != Sums::default());
    rest
}

/// A transaction that reads what an index finds page by page, not row by row: rows of tens of thousands of
/// people lie anywhere in their table, several on each page. Postgres would choose so if it knew how many
/// of them a month has.
async fn page_by_page(store: &Store) -> Result<Transaction<'static, Postgres>> {
    let mut reading = store.pool().begin().await?;
    sqlx::query!("set local enable_indexscan = off").execute(&mut *reading).await?;
    Ok(reading)
}

/// The things of which there is most, at most `limit`, and how many there are. None: these sums do not
/// know.
pub(crate) async fn top(
    store: &Store,
    org: OrgId,
    which: &Which,
    by: By,
    period: Period,
    measure: Measure,
    limit: usize,
) -> Result<Option<(Vec<Key>, usize)>> {
    let steps = Steps::Marks(period.from, period.from);
    let Some(asked) = Asked::of(store, org, which, period, steps, false) else { return Ok(None) };
    if asked.of_a_model() || !asked.is_group() || !which.without.is_empty() {
        return Ok(None);
    }
    let scope = match by {
        By::User => "user",
        By::Application => "application",
        _ => return Ok(None),
    };
    let paths = asked.paths().await?;
    let parts = asked.segments(true);
    let columns = Columns::of(&parts);
    let mut reading = page_by_page(store).await?;
    let found = sqlx::query!(
        r#"with g as (
               select s.thing_id,
                      sum(k.sign * s.size) as size, sum(k.sign * s.spend) as spend
               from unnest($2::text[]::sum_grain[], $3::date[], $4::date[], $5::int[]) as k (grain, first, next, sign)
               cross join lateral (
                   select s.thing_id, s.spend, s.calls, s.refused,
                          case $8 when 'spend' then s.spend when 'tokens' then s.input + s.cache_read + s.cache_write + s.output + s.reasoning
                              when 'input' then s.input when 'cache_read' then s.cache_read when 'cache_write' then s.cache_write
                              when 'output' then s.output when 'reasoning' then s.reasoning when 'refused' then s.refused
                              when 'failed' then s.failed when 'cached' then s.cached when 'saved' then s.saved else s.calls end as size
                   from usage_sums s
                   where s.org_id = $1 and s.scope = $6::text::sum_scope and s.grain = k.grain and s.first_day >= k.first and s.first_day < k.next
                     and ($6::text = 'user' or (s.within_id = '00000000-0000-0000-0000-000000000000'
                                          and s.model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                     and ($7::uuid[] is null or s.path_id = any ($7))
                   offset 0
               ) s
               group by s.thing_id
               having sum(k.sign * (s.calls + s.refused)) > 0
           )
           select thing_id, count(*) over () as "things!" from g order by size desc, spend desc, thing_id limit $9"#,
        org.0,
        &columns.grains,
        &columns.from,
        &columns.to,
        &columns.signs,
        scope,
        paths.as_deref(),
        measure.as_str(),
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
    .fetch_all(&mut *reading)
    .await?;
    reading.commit().await?;
    let things = found.first().map_or(0, |row| usize::try_from(row.things).unwrap_or_default());
    Ok(Some((found.into_iter().map(|row| Key::of(row.thing_id)).collect(), things)))
}

/// Who spent most in a month of the organization, or with what belongs to some paths, and how much: whoever
/// is nobody in particular is left out.
pub(crate) async fn top_person(
    store: &Store,
    org: OrgId,
    month: NaiveDate,
    paths: Option<&[Uuid]>,
) -> Result<Option<(Uuid, Money)>> {
    let mut reading = page_by_page(store).await?;
    let found = sqlx::query!(
        r#"select thing_id, sum(spend)::bigint as "spend!" from usage_sums
           where org_id = $1 and scope = 'user' and grain = 'month' and first_day = $2 and ($3::uuid[] is null or path_id = any ($3))
             and thing_id <> '00000000-0000-0000-0000-000000000000'
           group by thing_id order by sum(spend) desc, thing_id desc limit 1"#,
        org.0,
        month,
        paths,
    )
    .fetch_optional(&mut *reading)
    .await?;
    reading.commit().await?;
    Ok(found.map(|row| (row.thing_id, Money(row.spend))).filter(|(_, spend)| spend.0 > 0))
}

/// A question, without by what it is split.
struct Asked<'a> {
    store: &'a Store,
    org: OrgId,
    which: &'a Which,
    period: Period,
    steps: Steps,
    /// Nothing comes after it.
    today: NaiveDate,
    /// With how long calls took.
    timed: bool,
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

impl<'a> Asked<'a> {
    /// None: whose calls these are is not what sums are kept of.
    fn of(
        store: &'a Store,
        org: OrgId,
        which: &'a Which,
        period: Period,
        steps: Steps,
        timed: bool,
    ) -> Option<Self> {
        let Which {
            group,
            members,
            directly,
            application,
            user,
            model,
            tier,
            provider,
            use_case,
            features,
            sight,
            without: _,
        } = which;
        let one =
            [application.is_some(), user.is_some(), model.is_some() || tier.is_some() || provider.is_some()];
        let narrowed = one.into_iter().filter(|set| *set).count();
        let alone = narrowed == 0 || (narrowed == 1 && (one[2] || group.is_none()));
        if !alone || (*members && narrowed > 0) || *directly || use_case.is_some() || features.is_some() {
            return None;
        }
        if *sight != Sight::All {
            return None;
        }
        // Nowhere is it a later day than this, and nothing is booked ahead.
        let today = clock::now().date_naive().succ_opt()?;
        Some(Self { store, org, which, period, steps, today, timed })
    }

    /// Whether rows for each model are needed.
    const fn of_a_model(&self) -> bool {
        self.which.model.is_some() || self.which.tier.is_some() || self.which.provider.is_some()
    }

    /// Whether it is about the organization or a group, by what was called with.
    const fn is_group(&self) -> bool {
        self.which.application.is_none() && self.which.user.is_none() && !self.which.members
    }

    /// The paths through the group, where it is about one.
    async fn paths(&self) -> Result<Option<Vec<Uuid>>> {
        Ok(rollups::within(self.store, self.org, self.which).await?.paths)
    }

    /// Everything, by thing; none: these sums do not know.
    async fn all(&self, by: Option<By>) -> Result<Option<Vec<Line>>> {
        if by.is_some() && !self.is_group() {
            return Ok(None);
        }
        match by {
            None | Some(By::Model | By::Tier | By::Provider) => self.total(by).await.map(Some),
            Some(By::Group) => self.children(None).await.map(Some),
            _ if self.of_a_model() => Ok(None),
            Some(By::Application) => self.things("application", None).await.map(Some),
            Some(By::User) if !matches!(self.steps, Steps::Days) => self.things("user", None).await.map(Some),
            Some(By::UseCase) => self.labels().await.map(Some),
            Some(By::Feature) => self.features().await.map(Some),
            Some(By::User | By::Key) => Ok(None),
        }
    }

    /// Whether single things are known.
    fn knows(&self, by: Option<By>) -> bool {
        self.is_group()
            && match by {
                Some(By::Model | By::Tier | By::Provider | By::Group) => true,
                Some(By::Application | By::User | By::UseCase) => !self.of_a_model(),
                _ => false,
            }
    }

    /// Everything but some things of a split: in one, or by that same split. None: these sums do not know.
    async fn besides(
        &self,
        by: Option<By>,
        split: By,
        without: &[Key],
        only: Option<&[Key]>,
    ) -> Result<Option<Vec<Line>>> {
        // The things below a group are told apart as seen from the group that is asked for, and only there.
        if !self.knows(Some(split)) || by.is_some_and(|by| by != split) {
            return Ok(None);
        }
        let is_out = |line: &Line| line.1.as_ref().is_some_and(|key| without.contains(key));
        if by.is_some() && only.is_none() {
            let lines = self.all(by).await?;
            return Ok(lines.map(|lines| lines.into_iter().filter(|line| !is_out(line)).collect()));
        }
        let shown: Vec<Key> =
            only.unwrap_or_default().iter().filter(|key| !without.contains(key)).cloned().collect();
        let told: Vec<Key> = shown.iter().chain(without).cloned().collect();
        let (mut lines, whole) = tokio::try_join!(self.these(Some(split), &told), self.total(None))?;
        let rest = left(whole, &lines);
        lines.retain(|line| !is_out(line));
        let rest_key = by.is_none().then(|| Key::of(Uuid::nil()));
        lines.extend(rest.into_iter().map(|(step, sums)| (step, rest_key.clone(), sums)));
        Ok(Some(lines))
    }

    /// Only these things, of those that are known.
    async fn these(&self, by: Option<By>, keys: &[Key]) -> Result<Vec<Line>> {
        let ids: Vec<Uuid> = keys.iter().map(|key| key.id).collect();
        let chosen = |lines: Vec<Line>| {
            let known = |line: &Line| line.1.as_ref().is_some_and(|key| keys.contains(key));
            lines.into_iter().filter(known).collect::<Vec<_>>()
        };
        Ok(match by {
            Some(By::Model | By::Tier | By::Provider) => chosen(self.total(by).await?),
            Some(By::Group) => chosen(self.children(Some(&ids)).await?),
            Some(By::Application) => self.things("application", Some(&ids)).await?,
            Some(By::User) => self.things("user", Some(&ids)).await?,
            _ => chosen(self.labels().await?),
        })
    }

    /// Of all of it, by model, tier or provider, or in one.
    async fn total(&self, by: Option<By>) -> Result<Vec<Line>> {
        let Which { group, application, user, members, .. } = self.which;
        let (scope, thing) = match (group, application, user) {
            (Some(group), ..) => (if *members { "members" } else { "group" }, group.0),
            (_, Some(application), _) => ("application", application.0),
            (.., Some(user)) => ("user", user.0),
            _ => ("organization", Uuid::nil()),
        };
        let by = match by {
            Some(By::Model) => "model",
            Some(By::Tier) => "tier",
            Some(By::Provider) => "provider",
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
            let direct = left(self.total(None).await?, &lines);
            lines.extend(direct.into_iter().map(|(step, sums)| (step, Some(Key::of(Uuid::nil())), sums)));
        }
        Ok(lines)
    }

    /// By application, or by person.
    async fn things(&self, scope: &'static str, only: Option<&[Uuid]>) -> Result<Vec<Line>> {
        let within = only.is_none().then(Uuid::nil);
        self.rows(Rows { scope, within, thing: None, models: false, by: "thing", only }).await
    }

    /// By label; those without one, too.
    async fn labels(&self) -> Result<Vec<Line>> {
        let lines = self.hashed("use_case").await?;
        let ids: Vec<Uuid> = lines.iter().filter_map(|(_, key, _)| Some(key.as_ref()?.id)).collect();
        let known = sqlx::query!(
            "select label_id, label from use_case_labels where org_id = $1 and label_id = any ($2)",
            self.org.0,
            &ids
        )
        .fetch_all(self.store.pool())
        .await?;
        let known: HashMap<Uuid, String> = known.into_iter().map(|row| (row.label_id, row.label)).collect();
        self.with_rest(lines, |id| known.get(&id).cloned().unwrap_or_default()).await
    }

    /// By set of features; those that used none, too.
    async fn features(&self) -> Result<Vec<Line>> {
        let lines = self.hashed("feature").await?;
        self.with_rest(lines, |id| id.as_u128().to_string()).await
    }

    async fn hashed(&self, scope: &'static str) -> Result<Vec<Line>> {
        let within = Some(self.which.group.map_or(Uuid::nil(), |group| group.0));
        let rows = Rows { scope, within, thing: None, models: false, by: "thing", only: None };
        // They are kept by day.
        let segments = self.segments(false);
        self.rows_in(&rows, &segments).await
    }

    /// Under their labels, and all that has none under the empty one.
    async fn with_rest(&self, lines: Vec<Line>, label: impl Fn(Uuid) -> String) -> Result<Vec<Line>> {
        let rest = left(self.total(None).await?, &lines);
        let named = |label: String| Some(Key { id: Uuid::nil(), label });
        let mut lines: Vec<Line> = lines
            .into_iter()
            .map(|(step, key, sums)| (step, named(key.map(|key| label(key.id)).unwrap_or_default()), sums))
            .collect();
        lines.extend(rest.into_iter().map(|(step, sums)| (step, named(String::new()), sums)));
        Ok(lines)
    }

    async fn rows(&self, rows: Rows<'_>) -> Result<Vec<Line>> {
        // A model's are kept by day.
        let segments = self.segments(!rows.models);
        self.rows_in(&rows, &segments).await
    }

    async fn rows_in(&self, rows: &Rows<'_>, segments: &[Segment]) -> Result<Vec<Line>> {
        let columns = Columns::of(segments);
        let paths = match rows.scope {
            "application" | "user" if self.which.group.is_some() => self.paths().await?,
            _ => None,
        };
        // Each stretch of time by an index: what is looked at does not grow with what there is.
        let found = sqlx::query!(
            r#"select case when $6 then s.first_day else k.step end as "step!",
                      case $12::text when 'thing' then s.thing_id when 'model' then s.model_id
                          when 'tier' then coalesce(m.tier_id, '00000000-0000-0000-0000-000000000000')
                          when 'provider' then coalesce(m.provider_id, '00000000-0000-0000-0000-000000000000')
                          else '00000000-0000-0000-0000-000000000000' end as "id!",
                      sum(k.sign * s.calls)::bigint as "calls!", sum(k.sign * s.failed)::bigint as "failed!",
                      sum(k.sign * s.refused)::bigint as "refused!", sum(k.sign * s.spend)::bigint as "spend!",
                      sum(k.sign * s.input)::bigint as "input!", sum(k.sign * s.cache_read)::bigint as "cache_read!",
                      sum(k.sign * s.cache_write)::bigint as "cache_write!", sum(k.sign * s.output)::bigint as "output!",
                      sum(k.sign * s.reasoning)::bigint as "reasoning!", sum(k.sign * s.duration_ms)::bigint as "duration_ms!",
                      sum(k.sign * s.cached)::bigint as "cached!", sum(k.sign * s.saved)::bigint as "saved!",
                      sum(case when $18 then k.sign * s.took end)::text as took
               from unnest($2::text[]::sum_grain[], $3::date[], $4::date[], $5::date[], $16::int[]) as k (grain, first, next, step, sign)
               cross join lateral (
                   select * from usage_sums s
                   where s.org_id = $1 and s.scope = $7::text::sum_scope and s.grain = k.grain and s.first_day >= k.first and s.first_day < k.next
                     and ($9::uuid is null or s.within_id = $9) and ($10::uuid is null or s.thing_id = $10)
                     and (($8 and s.model_id <> 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                          or (not $8 and s.model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                     and ($11::uuid[] is null or s.thing_id = any ($11))
                     and ($13::uuid is null or s.model_id = $13)
                     and ($15::uuid[] is null or s.path_id = any ($15))
                   offset 0
               ) s
               left join models m on $8 and m.org_id = s.org_id and m.model_id = s.model_id
               where ($14::uuid is null or coalesce(m.tier_id, '00000000-0000-0000-0000-000000000000') = $14)
                 and ($17::uuid is null or coalesce(m.provider_id, '00000000-0000-0000-0000-000000000000') = $17)
               group by 1, 2"#,
            self.org.0,
            &columns.grains,
            &columns.from,
            &columns.to,
            &columns.steps,
            !matches!(self.steps, Steps::Marks(..)),
            rows.scope,
            rows.models,
            rows.within,
            rows.thing,
            rows.only,
            rows.by,
            self.which.model.map(|id| id.0),
            self.which.tier.map(|id| id.0),
            paths.as_deref(),
            &columns.signs,
            self.which.provider.map(|id| id.0),
            self.timed,
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
                durations: took(row.took.as_deref()),
            };
            // What is kept by day only is of its month, too.
            let step = match self.steps {
                Steps::Months => row.step.with_day(1).unwrap_or(row.step),
                _ => row.step,
            };
            (step, Some(Key::of(row.id)), sums)
        });
        // What a month had outside the period is taken from it: nothing may be left.
        Ok(lines.filter(|(.., sums)| *sums != Sums::default()).collect())
    }

    /// The period, cut where steps begin, into whole months (if they serve) and single days.
    fn segments(&self, months: bool) -> Vec<Segment> {
        let Period { from, to } = self.period;
        let (first, second) = match self.steps {
            Steps::Marks(first, second) => (first, second),
            Steps::Days => return vec![Segment { months: false, sign: 1, from, to, step: from }],
            Steps::Months => return vec![Segment { months, sign: 1, from, to, step: from }],
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
