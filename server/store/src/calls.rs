//! Calls one by one: the ledger and the refusals beside it, as people look things up in them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use domain::{
    authorizations::{Cell, Target},
    calls::{
        CallLine, CallList, CallView, End, Ended, Finished, Refused, What, Whence, client_request, cost_lines,
    },
    explore::Period,
    guardrails::read_found,
    ids::{ApplicationId, CallId, GroupId, ModelId, OrgId, UserId},
    keys::Features,
    money::Money,
    prices::DatedPrices,
    spend::{Outcome, Sums},
    usage::{ToolUnits, Usage},
    window::Calendar,
};
use uuid::Uuid;

use crate::{
    Result, Store, StoreError, clock, groups, models,
    rollups::{self, Sight, Steps, Which},
};

/// Only these calls, each with the UTC day it is on; none: all of them.
type Only<'a> = Option<&'a [(NaiveDate, CallId)]>;

/// Which calls a list shows, beyond whose they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    /// How they ended; none: finished and refused.
    pub ended: Option<Ended>,
    /// From the start of this day.
    pub from: Option<NaiveDate>,
    /// Before the start of this day.
    pub to: Option<NaiveDate>,
    /// Only these, on the UTC days they are on: what [`by_request`] found.
    pub only: Only<'a>,
    /// After this one: the next page.
    pub after: Option<(DateTime<Utc>, CallId)>,
}

/// A page is mostly full of what is near: so many days are looked at before all of them. Every day
/// is a partition, and to plan for hundreds takes longer than to read one.
const NEAR: [u64; 2] = [2, 31];

/// The moments a list looks at.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

/// Where a list looks.
#[derive(Clone, Debug)]
struct Place {
    stretch: Stretch,
    /// UTC days; none: every day of the stretch.
    days: Option<Vec<NaiveDate>>,
}

impl Stretch {
    /// Midnights of the organization; without a day, everything there is.
    fn of(filter: &Filter<'_>, calendar: Calendar) -> Self {
        let distant = |year| {
            NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or_default().and_time(chrono::NaiveTime::MIN).and_utc()
        };
        Self {
            from: filter.from.map_or_else(|| distant(2000), |day| calendar.midnight(day)),
            to: filter.to.map_or_else(|| distant(3000), |day| calendar.midnight(day)),
        }
    }

    /// The latest moment there can be anything: nothing is booked ahead.
    fn end(self, after: Option<(DateTime<Utc>, CallId)>) -> DateTime<Utc> {
        let latest = after.map_or_else(clock::now, |(at, _)| at);
        self.to.min(latest)
    }
}

/// Calls, the newest first, at most `limit` a page.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    store: &Store,
    org: OrgId,
    calendar: Calendar,
    which: &Which,
    filter: &Filter<'_>,
    limit: usize,
) -> Result<CallList> {
    let whole = Stretch::of(filter, calendar);
    if let Some(only) = filter.only {
        let days = only.iter().map(|(day, _)| *day).collect();
        let place = Place { stretch: whole, days: Some(days) };
        return Ok(page(within(store, org, which, filter, &place, limit.saturating_add(1)).await?, limit));
    }
    let mut calls = Vec::new();
    let soon = whole.end(filter.after) + TimeDelta::days(1);
    for days in NEAR.map(Some).into_iter().chain([None]) {
        let stretch = match days.and_then(|days| whole.end(filter.after).checked_sub_days(Days::new(days))) {
            Some(from) => Stretch { from: from.max(whole.from), to: whole.to.min(soon) },
            None => whole,
        };
        // What is not near is looked for on the days that have any.
        let far = days != Some(NEAR[0]) && is_summed(which);
        let place = if far {
            let days = days_with(store, org, calendar, which, filter, limit).await?;
            Place { stretch: whole, days: Some(days) }
        } else {
            Place { stretch, days: None }
        };
        calls = within(store, org, which, filter, &place, limit.saturating_add(1)).await?;
        if far || calls.len() > limit || stretch.from == whole.from {
            break;
        }
    }
    Ok(page(calls, limit))
}

/// The first of these, and where the next page starts.
fn page(mut calls: Vec<CallLine>, limit: usize) -> CallList {
    let more = calls.len() > limit;
    calls.truncate(limit);
    let next =
        calls.last().filter(|_| more).map(|call| format!("{}~{}", call.at.timestamp_micros(), call.id));
    CallList { calls, next }
}

/// So many calls of one name are found: callers may give the same to all of theirs.
const NAMED_MAX: i64 = 500;

/// Calls by a request id: ours, or what their callers call them, the newest first. Each with the UTC
/// day it is on. Whose they are is not looked at.
///
/// # Errors
/// When the database does not answer.
pub async fn by_request(store: &Store, org: OrgId, text: &str) -> Result<Vec<(NaiveDate, CallId)>> {
    let text = client_request(text);
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"select k.day as "day!", k.call_id as "call_id!" from (
               (select e.day, e.call_id, e.started_at as at from events e
                where e.org_id = $1 and e.client_request = $2 and e.client_request <> ''
                order by e.started_at desc limit $3)
               union all
               (select r.day, r.call_id, r.at from refusals r
                where r.org_id = $1 and r.client_request = $2 and r.client_request <> '' and not r.observed
                order by r.at desc limit $3)
           ) as k order by k.at desc limit $3"#,
        org.0,
        text,
        NAMED_MAX,
    )
    .fetch_all(store.pool())
    .await?;
    let mut found: Vec<(NaiveDate, CallId)> =
        rows.into_iter().map(|row| (row.day, CallId(row.call_id))).collect();
    if let Some((id, (first, last))) = text.parse().ok().and_then(|id| Some((id, days_of(id)?))) {
        found.extend(first.iter_days().take_while(|day| *day <= last).map(|day| (day, id)));
    }
    Ok(found)
}

/// Whether sums say at once on which days something was called.
fn is_summed(which: &Which) -> bool {
    which.user.is_some() || (!which.members && which.sight == Sight::All)
}

/// The UTC days of the newest calls, so many that a page is full. The sums by day know them.
async fn days_with(
    store: &Store,
    org: OrgId,
    calendar: Calendar,
    which: &Which,
    filter: &Filter<'_>,
    limit: usize,
) -> Result<Vec<NaiveDate>> {
    let first = filter.from.or(NaiveDate::from_ymd_opt(2000, 1, 1)).unwrap_or_default();
    let last = calendar.day(filter.after.map_or_else(clock::now, |(at, _)| at));
    let to = [filter.to, last.succ_opt()].into_iter().flatten().min().unwrap_or(last);
    let mut sums = BTreeMap::<NaiveDate, Sums>::new();
    let period = Period { from: first, to };
    for (day, _, of_day) in rollups::read(store, org, which, None, period, Steps::Days, None, false).await? {
        *sums.entry(day).or_default() += of_day;
    }
    let (mut days, mut sure) = (BTreeSet::new(), 0);
    for (day, sums) in sums.iter().rev() {
        // Those that are certainly on the page, and whether there can be any.
        let (surely, any) = match filter.ended {
            None => (sums.calls + sums.refused, sums.calls + sums.refused > 0),
            Some(Ended::Finished) => (sums.calls, sums.calls > 0),
            Some(Ended::Refused) => (sums.refused, sums.refused > 0),
            Some(Ended::UpstreamError) => (sums.failed, sums.failed > 0),
            Some(Ended::Cached) => (sums.cached, sums.cached > 0),
            Some(_) => (0, sums.calls > 0),
        };
        if any {
            // The zone may have been another one when they were counted.
            days.extend([day.pred_opt(), Some(*day), day.succ_opt()].into_iter().flatten());
        }
        // The day a page starts in may be on the page before.
        sure += if *day < last { surely } else { 0 };
        if sure > i64::try_from(limit).unwrap_or(i64::MAX) {
            break;
        }
    }
    Ok(days.into_iter().collect())
}

/// The newest of a place.
async fn within(
    store: &Store,
    org: OrgId,
    which: &Which,
    filter: &Filter<'_>,
    place: &Place,
    limit: usize,
) -> Result<Vec<CallLine>> {
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut calls = match filter.ended {
        Some(Ended::Refused) => Vec::new(),
        ended => finished(store, org, which, (ended, filter.only), place, filter.after, rows).await?,
    };
    if matches!(filter.ended, None | Some(Ended::Refused)) {
        calls.extend(refused(store, org, which, filter.only, place, filter.after, rows).await?);
        calls.sort_by_key(|call| std::cmp::Reverse((call.at, call.id)));
    }
    Ok(calls)
}

/// Where a page starts, as [`CallList::next`] says it.
pub fn cursor(text: &str) -> Option<(DateTime<Utc>, CallId)> {
    let (at, id) = text.split_once('~')?;
    Some((DateTime::from_timestamp_micros(at.parse().ok()?)?, id.parse().ok()?))
}

fn count(tokens: i64) -> u64 {
    u64::try_from(tokens).unwrap_or_default()
}

async fn finished(
    store: &Store,
    org: OrgId,
    which: &Which,
    (ended, only): (Option<Ended>, Only<'_>),
    Place { stretch, days }: &Place,
    after: Option<(DateTime<Utc>, CallId)>,
    limit: i64,
) -> Result<Vec<CallLine>> {
    let (after_at, after_id) = after.map(|(at, id)| (at, id.0)).unzip();
    let led = which.sight.led();
    let only: Option<Vec<Uuid>> = only.map(|only| only.iter().map(|(_, id)| id.0).collect());
    let without = &which.without;
    let rows = sqlx::query!(
        r#"select e.call_id, e.started_at, e.application_id, a.name as "application?", e.user_id, u.name as "user_name?", e.model_id,
                  m.name as "model?", p.name as "policy?", e.use_case, e.outcome, e.input, e.cache_read, e.cache_write, e.cache_write_long, e.output,
                  e.reasoning, e.audio_input, e.audio_output, e.images, e.web_searches, e.file_searches, e.code_sessions, e.cost, e.estimated, e.duration_ms, e.cached,
                  e.group_id, g.name as "group?", e.key_id, e.secret_id, e.session
           from events e
           left join applications a on a.org_id = e.org_id and a.application_id = e.application_id
           left join models m on m.org_id = e.org_id and m.model_id = e.model_id
           left join users u on u.org_id = e.org_id and u.user_id = e.user_id
           left join policies p on p.org_id = e.org_id and p.policy_id = e.policy_id
           left join groups g on g.org_id = e.org_id and g.group_id = e.group_id
           where e.org_id = $1 and e.started_at >= $2 and e.started_at < $3 and e.day >= $4 and e.day <= $5
             and ($6::timestamptz is null or (e.started_at, e.call_id) < ($6, $7::uuid))
             and ($8::text is null or e.outcome = $8)
             and ($9::uuid is null or case when $10 then
                      e.set_id in (select s.set_id from member_sets s where s.org_id = $1 and s.groups @> array[$9::uuid])
                  else
                      e.path_id in (select p.path_id from group_paths p where p.org_id = $1 and p.groups @> array[$9::uuid])
                  end)
             and (not $11 or e.group_id = $9)
             and ($12::uuid is null or e.application_id = $12)
             and ($13::uuid is null or e.user_id = $13
                  or ($13 = '00000000-0000-0000-0000-000000000000'::uuid and e.user_id is null))
             and ($14::uuid is null or e.model_id = $14)
             and ($15::uuid is null or m.tier_id = $15)
             and ($16::text is null or e.use_case = $16)
             and ($20::int is null or case when $20 = 0 then e.features = 0 else e.features & $20 <> 0 end)
             and ($17::uuid[] is null or e.user_id = $18
                  or e.path_id in (select p.path_id from group_paths p where p.org_id = $1 and p.groups && $17))
             and (not $21 or e.cached)
             and (not $22 or e.guarded <> '')
             and ($23::date[] is null or e.day = any ($23))
             and ($24::uuid is null or m.provider_id = $24)
             and ($25::uuid[] is null or e.call_id = any ($25))
             and (cardinality($26::uuid[]) = 0 or e.path_id not in (
                      select p.path_id from group_paths p
                      where p.org_id = $1
                        and (p.groups && $26 or ('00000000-0000-0000-0000-000000000000' = any ($26) and p.groups[cardinality(p.groups)] = $9))))
             and e.application_id <> all ($27::uuid[])
             and coalesce(e.user_id, '00000000-0000-0000-0000-000000000000') <> all ($28::uuid[])
             and e.model_id <> all ($29::uuid[])
             and coalesce(m.tier_id, '00000000-0000-0000-0000-000000000000') <> all ($30::uuid[])
             and coalesce(m.provider_id, '00000000-0000-0000-0000-000000000000') <> all ($31::uuid[])
             and e.use_case <> all ($32::text[])
           order by e.started_at desc, e.call_id desc
           limit $19"#,
        org.0,
        stretch.from,
        stretch.to,
        stretch.from.date_naive(),
        stretch.to.date_naive(),
        after_at,
        after_id,
        ended.and_then(Ended::outcome).map(Outcome::as_str),
        which.group.map(|id| id.0),
        which.members,
        which.directly,
        which.application.map(|id| id.0),
        which.user.map(|id| id.0),
        which.model.map(|id| id.0),
        which.tier.map(|id| id.0),
        which.use_case.as_deref(),
        led.as_deref(),
        which.sight.me().0,
        limit,
        which.features.map(Features::bits),
        ended == Some(Ended::Cached),
        ended == Some(Ended::Guarded),
        days.as_deref(),
        which.provider.map(|id| id.0),
        only.as_deref(),
        &without.groups,
        &without.applications,
        &without.users,
        &without.models,
        &without.tiers,
        &without.providers,
        &without.use_cases,
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            let usage = Usage {
                input: count(row.input),
                cache_read: count(row.cache_read),
                cache_write: count(row.cache_write),
                cache_write_long: count(row.cache_write_long),
                output: count(row.output),
                reasoning: count(row.reasoning),
                audio_input: count(row.audio_input),
                audio_output: count(row.audio_output),
                images: count(row.images),
                tools: ToolUnits {
                    web_searches: count(row.web_searches),
                    file_searches: count(row.file_searches),
                    code_sessions: count(row.code_sessions),
                },
            };
            let end = End::Finished {
                outcome: row.outcome.parse()?,
                usage,
                cost: Money(row.cost),
                estimated: row.estimated,
                duration_ms: i64::from(row.duration_ms),
                cached: row.cached,
            };
            Ok(CallLine {
                id: CallId(row.call_id),
                at: row.started_at,
                application: (row.application_id.into(), named(row.application)),
                user: row.user_id.map(|id| (UserId(id), named(row.user_name))),
                model: (Some(row.model_id.into()), named(row.model)),
                policy: row.policy,
                use_case: (!row.use_case.is_empty()).then_some(row.use_case),
                end,
                opens: true,
                whence: Some(Whence {
                    group: (row.group_id.into(), named(row.group)),
                    key: Some(row.key_id.into()),
                    secret: row.secret_id.into(),
                    session: row.session,
                }),
            })
        })
        .collect()
}

/// What something is called that is not there any more.
fn named(name: Option<String>) -> String {
    name.unwrap_or_else(|| "unknown".to_owned())
}

async fn refused(
    store: &Store,
    org: OrgId,
    which: &Which,
    only: Only<'_>,
    Place { stretch, days }: &Place,
    after: Option<(DateTime<Utc>, CallId)>,
    limit: i64,
) -> Result<Vec<CallLine>> {
    let (after_at, after_id) = after.map(|(at, id)| (at, id.0)).unzip();
    let led = which.sight.led();
    let only: Option<Vec<Uuid>> = only.map(|only| only.iter().map(|(_, id)| id.0).collect());
    // The use case that a refused call named is not looked at: it counts with those that have none.
    let labelled = which.use_case.as_deref().is_some_and(|label| !label.is_empty());
    let without = &which.without;
    if labelled || without.use_cases.iter().any(String::is_empty) {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"select r.call_id, r.at, r.application_id, a.name as "application?", r.user_id, u.name as "user_name?", r.model_id, r.model,
                  r.status, r.code, r.group_id, g.name as "group?", r.secret_id, s.key_id as "key?"
           from refusals r
           left join applications a on a.org_id = r.org_id and a.application_id = r.application_id
           left join models m on m.org_id = r.org_id and m.model_id = r.model_id
           left join users u on u.org_id = r.org_id and u.user_id = r.user_id
           left join groups g on g.org_id = r.org_id and g.group_id = r.group_id
           left join secrets s on s.org_id = r.org_id and s.secret_id = r.secret_id
           where r.org_id = $1 and r.at >= $2 and r.at < $3 and r.day >= $4 and r.day <= $5 and not r.observed
             and ($6::timestamptz is null or (r.at, r.call_id) < ($6, $7::uuid))
             and ($8::uuid is null or case when $9 then
                      r.set_id in (select s.set_id from member_sets s where s.org_id = $1 and s.groups @> array[$8::uuid])
                  else
                      r.path_id in (select p.path_id from group_paths p where p.org_id = $1 and p.groups @> array[$8::uuid])
                  end)
             and (not $10 or r.group_id = $8)
             and ($11::uuid is null or r.application_id = $11)
             and ($12::uuid is null or r.user_id = $12
                  or ($12 = '00000000-0000-0000-0000-000000000000'::uuid and r.user_id is null))
             and ($13::uuid is null or r.model_id = $13
                  or ($13 = '00000000-0000-0000-0000-000000000000'::uuid and r.model_id is null))
             and ($14::uuid is null or m.tier_id = $14
                  or ($14 = '00000000-0000-0000-0000-000000000000'::uuid and r.model_id is null))
             and ($15::uuid[] is null or r.user_id = $16
                  or r.path_id in (select p.path_id from group_paths p where p.org_id = $1 and p.groups && $15))
             and ($18::date[] is null or r.day = any ($18))
             and ($20::uuid is null or m.provider_id = $20
                  or ($20 = '00000000-0000-0000-0000-000000000000'::uuid and r.model_id is null))
             and ($19::int is null or case when $19 = 0 then r.features = 0 else r.features & $19 <> 0 end)
             and ($21::uuid[] is null or r.call_id = any ($21))
             and (cardinality($22::uuid[]) = 0 or r.path_id not in (
                      select p.path_id from group_paths p
                      where p.org_id = $1
                        and (p.groups && $22 or ('00000000-0000-0000-0000-000000000000' = any ($22) and p.groups[cardinality(p.groups)] = $8))))
             and r.application_id <> all ($23::uuid[])
             and coalesce(r.user_id, '00000000-0000-0000-0000-000000000000') <> all ($24::uuid[])
             and coalesce(r.model_id, '00000000-0000-0000-0000-000000000000') <> all ($25::uuid[])
             and coalesce(m.tier_id, '00000000-0000-0000-0000-000000000000') <> all ($26::uuid[])
             and coalesce(m.provider_id, '00000000-0000-0000-0000-000000000000') <> all ($27::uuid[])
           order by r.at desc, r.call_id desc
           limit $17"#,
        org.0,
        stretch.from,
        stretch.to,
        stretch.from.date_naive(),
        stretch.to.date_naive(),
        after_at,
        after_id,
        which.group.map(|id| id.0),
        which.members,
        which.directly,
        which.application.map(|id| id.0),
        which.user.map(|id| id.0),
        which.model.map(|id| id.0),
        which.tier.map(|id| id.0),
        led.as_deref(),
        which.sight.me().0,
        limit,
        days.as_deref(),
        which.features.map(Features::bits),
        which.provider.map(|id| id.0),
        only.as_deref(),
        &without.groups,
        &without.applications,
        &without.users,
        &without.models,
        &without.tiers,
        &without.providers,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| CallLine {
            id: CallId(row.call_id),
            at: row.at,
            application: (row.application_id.into(), named(row.application)),
            user: row.user_id.map(|id| (UserId(id), named(row.user_name))),
            model: (row.model_id.map(ModelId), row.model),
            policy: None,
            use_case: None,
            end: End::Refused { status: row.status, code: row.code },
            opens: true,
            whence: Some(Whence {
                group: (row.group_id.into(), named(row.group)),
                key: row.key.map(Into::into),
                secret: row.secret_id.into(),
                session: String::new(),
            }),
        })
        .collect())
}

/// Which of these calls, each with the UTC day it is on, were made on the account of some groups, or of
/// what is below them.
///
/// # Errors
/// When the database does not answer.
pub async fn on_account_of(
    store: &Store,
    org: OrgId,
    calls: &[(NaiveDate, CallId)],
    groups: &[GroupId],
) -> Result<HashSet<CallId>> {
    let (days, ids): (Vec<NaiveDate>, Vec<Uuid>) = calls.iter().map(|(day, id)| (*day, id.0)).unzip();
    let groups: Vec<Uuid> = groups.iter().map(|group| group.0).collect();
    let found = sqlx::query_scalar!(
        r#"select k.call_id as "call_id!"
           from (select call_id, path_id from events where org_id = $1 and day = any ($2) and call_id = any ($3)
                 union all
                 select call_id, path_id from refusals where org_id = $1 and day = any ($2) and call_id = any ($3)) k
           join group_paths p on p.org_id = $1 and p.path_id = k.path_id
           where p.groups && $4"#,
        org.0,
        &days,
        &ids,
        &groups,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(found.into_iter().map(CallId).collect())
}

/// Everything about one call.
///
/// # Errors
/// [`StoreError::NotFound`] when the organization knows of none with this id.
pub async fn get(store: &Store, org: OrgId, id: CallId) -> Result<CallView> {
    let (first, last) = days_of(id).ok_or(StoreError::NotFound)?;
    let mut refusals = refusals_of(store, org, id, first, last).await?;
    let Some(mut view) = finished_one(store, org, id, first, last).await? else {
        let place = refusals.iter().position(|(_, _, observed)| !observed).ok_or(StoreError::NotFound)?;
        let (mut view, path_id, _) = refusals.swap_remove(place);
        view.path = path(store, org, path_id, view.path).await?;
        return Ok(view);
    };
    view.observed = refusals
        .into_iter()
        .filter_map(|(refusal, _, _)| match refusal.what {
            What::Refused(refused) => Some(refused),
            What::Finished(_) => None,
        })
        .collect();
    Ok(view)
}

/// The days whose partitions can have a call: its id says when it was made.
fn days_of(id: CallId) -> Option<(NaiveDate, NaiveDate)> {
    let day = DateTime::from_timestamp_millis(id.minted_at()?)?.date_naive();
    Some((day.checked_sub_days(Days::new(1))?, day.checked_add_days(Days::new(1))?))
}

async fn finished_one(
    store: &Store,
    org: OrgId,
    id: CallId,
    first: NaiveDate,
    last: NaiveDate,
) -> Result<Option<CallView>> {
    let row = sqlx::query!(
        r#"select e.*, a.name as "application?", u.name as "user_name?", m.name as "model?", v.name as "provider?",
                  c.name as "policy?", s.tail as "tail?", z.authorization_id as "rule?", z.group_id as "rule_group?",
                  z.model_id as "rule_model?", z.tier_id as "rule_tier?", zg.name as "rule_group_name?",
                  zm.name as "rule_model_name?", zt.name as "rule_tier_name?"
           from events e
           left join applications a on a.org_id = e.org_id and a.application_id = e.application_id
           left join users u on u.org_id = e.org_id and u.user_id = e.user_id
           left join models m on m.org_id = e.org_id and m.model_id = e.model_id
           left join providers v on v.org_id = e.org_id and v.provider_id = e.provider_id
           left join policies c on c.org_id = e.org_id and c.policy_id = e.policy_id
           left join secrets s on s.org_id = e.org_id and s.secret_id = e.secret_id
           left join authorizations z on z.org_id = e.org_id and z.authorization_id = e.authorization_id
           left join groups zg on zg.org_id = z.org_id and zg.group_id = z.group_id
           left join models zm on zm.org_id = z.org_id and zm.model_id = z.model_id
           left join tiers zt on zt.org_id = z.org_id and zt.tier_id = z.tier_id
           where e.org_id = $1 and e.day >= $2 and e.day <= $3 and e.call_id = $4"#,
        org.0,
        first,
        last,
        id.0,
    )
    .fetch_optional(store.pool())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let usage = Usage {
        input: count(row.input),
        cache_read: count(row.cache_read),
        cache_write: count(row.cache_write),
        cache_write_long: count(row.cache_write_long),
        output: count(row.output),
        reasoning: count(row.reasoning),
        audio_input: count(row.audio_input),
        audio_output: count(row.audio_output),
        images: count(row.images),
        tools: ToolUnits {
            web_searches: count(row.web_searches),
            file_searches: count(row.file_searches),
            code_sessions: count(row.code_sessions),
        },
    };
    let outcome: Outcome = row.outcome.parse()?;
    let model: ModelId = row.model_id.into();
    let dated = match row.priced_at {
        Some(from) => models::prices(store, org, model).await?.into_iter().find(|dated| dated.from == from),
        None => None,
    };
    let finished = Finished {
        finished_at: row.finished_at,
        first_byte_ms: row.first_byte_ms.map(i64::from),
        duration_ms: i64::from(row.duration_ms),
        outcome,
        status: row.status,
        provider: (row.provider_id.into(), named(row.provider)),
        authorization: row.rule.map(|_| {
            let (target, what) = match (row.rule_model, row.rule_tier) {
                (Some(model), _) => (Target::Model(model.into()), named(row.rule_model_name)),
                (_, Some(tier)) => (Target::Tier(tier.into()), format!("tier {}", named(row.rule_tier_name))),
                _ => (Target::All, "all models".to_owned()),
            };
            let of = row.rule_group_name.unwrap_or_else(|| "the organization".to_owned());
            (Cell { group: row.rule_group.map(Into::into), target }, format!("{what} for {of}"))
        }),
        grant: row.grant_id.map(Into::into),
        policy: row.policy_id.map(|id| (id.into(), named(row.policy))),
        use_case: row.use_case,
        session: row.session,
        route: row.route,
        streamed: row.streamed,
        features: Features::from_bits(row.features),
        usage,
        cost: Money(row.cost),
        priced_at: row.priced_at,
        lines: if row.cached { Vec::new() } else { arithmetic(outcome, &usage, dated.as_ref()) },
        estimated: row.estimated,
        overage: row.overage,
        cached: row.cached.then_some(Money(row.saved)),
        guarded: read_found(&row.guarded),
    };
    Ok(Some(CallView {
        id,
        at: row.started_at,
        application: (row.application_id.into(), named(row.application)),
        key: Some(row.key_id.into()),
        secret_tail: row.tail,
        path: path(store, org, row.path_id, Vec::new()).await?,
        user: row.user_id.map(|id| (UserId(id), named(row.user_name))),
        client_request: row.client_request,
        model: (Some(model), named(row.model)),
        what: What::Finished(Box::new(finished)),
        observed: Vec::new(),
    }))
}

/// The lines a cost is made of. A call that nobody knows the end of counts at the most it could
/// cost, and one that used nothing costs nothing: neither has lines.
fn arithmetic(outcome: Outcome, usage: &Usage, dated: Option<&DatedPrices>) -> Vec<domain::calls::CostLine> {
    let nothing = outcome == Outcome::UpstreamError && *usage == Usage::default();
    match dated {
        Some(dated) if outcome != Outcome::Lost && !nothing => cost_lines(usage, &dated.prices),
        _ => Vec::new(),
    }
}

/// What was refused, or would have been, under one id: with its path's name, and whether it passed.
async fn refusals_of(
    store: &Store,
    org: OrgId,
    id: CallId,
    first: NaiveDate,
    last: NaiveDate,
) -> Result<Vec<(CallView, Uuid, bool)>> {
    let rows = sqlx::query!(
        r#"select r.*, a.name as "application?", u.name as "user_name?", s.tail as "tail?", s.key_id as "key?", g.name as "group_name?"
           from refusals r
           left join applications a on a.org_id = r.org_id and a.application_id = r.application_id
           left join users u on u.org_id = r.org_id and u.user_id = r.user_id
           left join secrets s on s.org_id = r.org_id and s.secret_id = r.secret_id
           left join groups g on g.org_id = r.org_id and g.group_id = r.group_id
           where r.org_id = $1 and r.day >= $2 and r.day <= $3 and r.call_id = $4"#,
        org.0,
        first,
        last,
        id.0,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let refused = Refused {
                status: row.status,
                code: row.code,
                message: row.message,
                features: Features::from_bits(row.features),
                detail: fields(&row.detail),
            };
            let view = CallView {
                id,
                at: row.at,
                application: (row.application_id.into(), named(row.application)),
                key: row.key.map(Into::into),
                secret_tail: row.tail,
                path: vec![(GroupId(row.group_id), named(row.group_name))],
                user: row.user_id.map(|id| (UserId(id), named(row.user_name))),
                client_request: row.client_request.unwrap_or_default(),
                model: (row.model_id.map(ModelId), row.model),
                what: What::Refused(refused),
                observed: Vec::new(),
            };
            (view, row.path_id, row.observed)
        })
        .collect())
}

/// The fields of an `error.bursar` object, as text.
fn fields(detail: &serde_json::Value) -> Vec<(String, String)> {
    let Some(fields) = detail.as_object() else { return Vec::new() };
    fields
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect()
}

/// The groups of a path with their names of today; `otherwise` where the path is not known.
async fn path(
    store: &Store,
    org: OrgId,
    path_id: Uuid,
    otherwise: Vec<(GroupId, String)>,
) -> Result<Vec<(GroupId, String)>> {
    let ids = sqlx::query_scalar!(
        "select groups from group_paths where org_id = $1 and path_id = $2",
        org.0,
        path_id
    )
    .fetch_optional(store.pool())
    .await?;
    let Some(ids) = ids else { return Ok(otherwise) };
    let names = groups::names(store, org, &ids).await?;
    Ok(ids
        .into_iter()
        .map(|id| (GroupId(id), names.get(&GroupId(id)).cloned().unwrap_or_else(|| "unknown".to_owned())))
        .collect())
}

/// What applications somebody may filter by are called: the open ones, by name, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn applications(
    store: &Store,
    org: OrgId,
    led: Option<&[Uuid]>,
    limit: i64,
) -> Result<Vec<(ApplicationId, String)>> {
    let rows = sqlx::query!(
        "select a.application_id, a.name from applications a
         join groups g on g.org_id = a.org_id and g.group_id = a.group_id
         where a.org_id = $1 and a.archived_at is null
           and ($2::uuid[] is null or g.group_id = any ($2) or g.ancestors && $2)
         order by lower(a.name), a.application_id limit $3",
        org.0,
        led,
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.application_id.into(), row.name)).collect())
}
