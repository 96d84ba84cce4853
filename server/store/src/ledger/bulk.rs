//! Many finished calls, or many refusals, in one transaction: the same books as one by one.
//!
//! What one call at a time writes row by row is summed up here first, so that a window or a day
//! that a thousand calls count in is written once. Rows travel as one JSON value that Postgres
//! reads as rows of the table, so that a batch of any size is one statement.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    ids::{CallId, GroupId, OrgId, SecretId},
    limits::{Bucket, Meter, Metric, Scope},
    spend::Outcome,
    window::{Calendar, Span, Window},
};
use serde::Serialize;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{Event, Refusal, name_of, partition_day};
use crate::{
    Result, Store, StoreError,
    leases::{self, Consumed},
    windows::{self, Charge},
};

/// Books finished calls of one organization, and takes them out of the leases they were let through
/// by. What is booked already counts no second time. Returns how many were new.
///
/// # Errors
/// [`StoreError::Invalid`] when a call is of another organization; otherwise when the database
/// does not answer: then nothing is booked.
pub async fn book(
    store: &Store,
    org: OrgId,
    calendar: Calendar,
    events: &[Event],
    consumed: Option<&Consumed>,
) -> Result<usize> {
    if events.iter().any(|event| event.call.org != org) {
        return Err(StoreError::invalid("org", "Every call of a batch belongs to the same organization."));
    }
    let mut tx = store.pool().begin().await?;
    windows::share_bookings(&mut tx, org).await?;
    let new = insert_events(&mut tx, events).await?;
    let mut seen = HashSet::new();
    let events: Vec<&Event> =
        events.iter().filter(|event| new.contains(&event.call.id) && seen.insert(event.call.id)).collect();
    if events.is_empty() && consumed.is_none() {
        tx.rollback().await?;
        return Ok(0);
    }
    insert_paths(&mut tx, org, events.iter().map(|event| event.call.path.as_slice())).await?;
    insert_sets(&mut tx, org, events.iter().map(|event| event.call.member_of.as_slice())).await?;
    let charges = charges(&mut tx, org, calendar, &events).await?;
    windows::charge(&mut tx, org, &charges).await?;
    if let Some(consumed) = consumed {
        leases::consume(&mut tx, org, consumed).await?;
    }
    let mut days = Days::default();
    for event in &events {
        days.add(calendar, event);
    }
    days.write(&mut tx, org).await?;
    note_use(&mut tx, org, &events).await?;
    sqlx::query!("select pg_notify('bursar_ledger', $1)", org.0.to_string()).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(events.len())
}

/// Takes refusals of one organization down. Returns how many were new.
///
/// # Errors
/// As [`book`].
pub async fn refuse(store: &Store, org: OrgId, calendar: Calendar, refusals: &[Refusal]) -> Result<usize> {
    if refusals.iter().any(|refusal| refusal.org != org) {
        return Err(StoreError::invalid("org", "Every call of a batch belongs to the same organization."));
    }
    let mut tx = store.pool().begin().await?;
    let rows: Vec<RefusalRow<'_>> = refusals.iter().map(RefusalRow::of).collect();
    let new = sqlx::query_scalar!(
        "insert into refusals select * from json_populate_recordset(null::refusals, $1) on conflict do nothing returning call_id",
        Json(&rows) as _,
    )
    .fetch_all(&mut *tx)
    .await?;
    let new: HashSet<Uuid> = new.into_iter().collect();
    let mut seen = HashSet::new();
    let counted: Vec<&Refusal> = refusals
        .iter()
        .filter(|refusal| new.contains(&refusal.id.0) && seen.insert(refusal.id) && !refusal.observed)
        .collect();
    insert_paths(&mut tx, org, counted.iter().map(|refusal| refusal.path.as_slice())).await?;
    let mut days = Days::default();
    for refusal in counted {
        days.add_refusal(calendar, refusal);
    }
    days.write(&mut tx, org).await?;
    tx.commit().await?;
    Ok(new.len())
}

/// A row of `events`, by its columns.
#[derive(Serialize)]
struct EventRow<'a> {
    org_id: Uuid,
    day: NaiveDate,
    call_id: Uuid,
    started_at: DateTime<Utc>,
    finished_at: DateTime<Utc>,
    first_byte_ms: Option<i32>,
    duration_ms: i32,
    application_id: Uuid,
    key_id: Uuid,
    secret_id: Uuid,
    group_id: Uuid,
    path_id: Uuid,
    user_id: Option<Uuid>,
    set_id: Uuid,
    model_id: Uuid,
    provider_id: Uuid,
    authorization_id: Option<Uuid>,
    grant_id: Option<Uuid>,
    policy_id: Option<Uuid>,
    use_case: &'a str,
    session: &'a str,
    route: &'a str,
    streamed: bool,
    outcome: &'static str,
    status: u16,
    input: u64,
    cache_read: u64,
    cache_write: u64,
    cache_write_long: u64,
    output: u64,
    reasoning: u64,
    audio_input: u64,
    audio_output: u64,
    images: u64,
    cost: i64,
    priced_at: Option<DateTime<Utc>>,
    estimated: bool,
    overage: bool,
}

impl<'a> EventRow<'a> {
    fn of(event: &'a Event) -> Self {
        let Event { call, usage, .. } = event;
        Self {
            org_id: call.org.0,
            day: partition_day(call.started_at),
            call_id: call.id.0,
            started_at: call.started_at,
            finished_at: event.finished_at,
            first_byte_ms: event.first_byte_ms,
            duration_ms: event.duration_ms,
            application_id: call.application.0,
            key_id: call.key.0,
            secret_id: call.secret.0,
            group_id: call.path.last().map_or(Uuid::nil(), |group| group.0),
            path_id: name_of(&call.path),
            user_id: call.user.map(|user| user.0),
            set_id: name_of(&call.member_of),
            model_id: call.model.0,
            provider_id: call.provider.0,
            authorization_id: call.authorization.map(|id| id.0),
            grant_id: call.grant.map(|id| id.0),
            policy_id: call.policy.map(|id| id.0),
            use_case: &call.use_case,
            session: &call.session,
            route: &call.route,
            streamed: call.streamed,
            outcome: event.outcome.as_str(),
            status: event.status,
            input: usage.input,
            cache_read: usage.cache_read,
            cache_write: usage.cache_write,
            cache_write_long: usage.cache_write_long,
            output: usage.output,
            reasoning: usage.reasoning,
            audio_input: usage.audio_input,
            audio_output: usage.audio_output,
            images: usage.images,
            cost: event.cost.0,
            priced_at: call.priced_at,
            estimated: event.estimated,
            overage: event.overage(),
        }
    }
}

/// A row of `refusals`, by its columns.
#[derive(Serialize)]
struct RefusalRow<'a> {
    org_id: Uuid,
    day: NaiveDate,
    call_id: Uuid,
    at: DateTime<Utc>,
    application_id: Uuid,
    secret_id: Uuid,
    group_id: Uuid,
    user_id: Option<Uuid>,
    model: &'a str,
    model_id: Option<Uuid>,
    status: u16,
    code: &'a str,
    detail: &'a serde_json::Value,
    observed: bool,
}

impl<'a> RefusalRow<'a> {
    fn of(refusal: &'a Refusal) -> Self {
        Self {
            org_id: refusal.org.0,
            day: partition_day(refusal.at),
            call_id: refusal.id.0,
            at: refusal.at,
            application_id: refusal.application.0,
            secret_id: refusal.secret.0,
            group_id: refusal.path.last().map_or(Uuid::nil(), |group| group.0),
            user_id: refusal.user.map(|user| user.0),
            model: &refusal.model,
            model_id: refusal.model_id.map(|model| model.0),
            status: refusal.status,
            code: &refusal.code,
            detail: &refusal.detail,
            observed: refusal.observed,
        }
    }
}

/// Writes the rows that are new, and says which those are.
async fn insert_events(db: &mut PgConnection, events: &[Event]) -> Result<HashSet<CallId>> {
    let rows: Vec<EventRow<'_>> = events.iter().map(EventRow::of).collect();
    let new = sqlx::query_scalar!(
        "insert into events select * from json_populate_recordset(null::events, $1) on conflict do nothing returning call_id",
        Json(&rows) as _,
    )
    .fetch_all(db)
    .await?;
    Ok(new.into_iter().map(CallId).collect())
}

async fn insert_paths<'a>(
    db: &mut PgConnection,
    org: OrgId,
    paths: impl Iterator<Item = &'a [GroupId]>,
) -> Result<()> {
    #[derive(Serialize)]
    struct Row {
        org_id: Uuid,
        path_id: Uuid,
        groups: Vec<Uuid>,
    }
    let rows: Vec<Row> = distinct(paths)
        .map(|(path_id, groups)| Row {
            org_id: org.0,
            path_id,
            groups: groups.iter().map(|id| id.0).collect(),
        })
        .collect();
    sqlx::query!(
        "insert into group_paths select * from json_populate_recordset(null::group_paths, $1) on conflict do nothing",
        Json(&rows) as _,
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn insert_sets<'a>(
    db: &mut PgConnection,
    org: OrgId,
    sets: impl Iterator<Item = &'a [GroupId]>,
) -> Result<()> {
    #[derive(Serialize)]
    struct Row {
        org_id: Uuid,
        set_id: Uuid,
        groups: Vec<Uuid>,
    }
    let rows: Vec<Row> = distinct(sets.filter(|groups| !groups.is_empty()))
        .map(|(set_id, groups)| Row { org_id: org.0, set_id, groups: groups.iter().map(|id| id.0).collect() })
        .collect();
    sqlx::query!(
        "insert into member_sets select * from json_populate_recordset(null::member_sets, $1) on conflict do nothing",
        Json(&rows) as _,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Each list of groups once, by its name and in the order of names: two batches at a time write
/// the same rows in the same order.
fn distinct<'a>(lists: impl Iterator<Item = &'a [GroupId]>) -> impl Iterator<Item = (Uuid, &'a [GroupId])> {
    let lists: BTreeSet<&[GroupId]> = lists.collect();
    lists.into_iter().map(|groups| (name_of(groups), groups)).collect::<BTreeMap<_, _>>().into_iter()
}

/// What every window gets: the sum over the calls that count in it. Counted are the windows of
/// every limit there is, and everybody's month.
async fn charges(
    db: &mut PgConnection,
    org: OrgId,
    calendar: Calendar,
    events: &[&Event],
) -> Result<Vec<Charge>> {
    let scopes: BTreeSet<Scope> = events.iter().flat_map(|event| event.call.subject().scopes()).collect();
    let scopes: Vec<Scope> = scopes.into_iter().collect();
    let mut limited = HashMap::<Scope, Vec<Meter>>::new();
    for meter in windows::limited(db, org, &scopes).await? {
        limited.entry(meter.scope).or_default().push(meter);
    }
    let mut spans = Spans { calendar, last: HashMap::new() };
    let mut charges = HashMap::<Bucket, i64>::new();
    for event in events {
        let month = event.call.user.map(|user| Meter {
            scope: Scope::User(user),
            metric: Metric::Spend,
            window: Window::Month,
        });
        let mut counted = Vec::<Meter>::new();
        let scopes = event.call.subject().scopes();
        let limited = scopes.iter().filter_map(|scope| limited.get(scope)).flatten().copied();
        for meter in limited.chain(month) {
            if meter.metric == Metric::ConcurrentCalls || counted.contains(&meter) {
                continue;
            }
            counted.push(meter);
            let bucket = Bucket::of(meter, spans.of(meter.window, event.call.started_at));
            *charges.entry(bucket).or_default() += event.amount(meter.metric);
        }
    }
    Ok(charges.into_iter().map(|(bucket, used)| Charge { bucket, used }).collect())
}

/// The buckets the last call fell into: the next one mostly falls into the same.
struct Spans {
    calendar: Calendar,
    last: HashMap<Window, Span>,
}

impl Spans {
    fn of(&mut self, window: Window, at: DateTime<Utc>) -> Span {
        let calendar = self.calendar;
        let last = self.last.entry(window).or_insert_with(|| calendar.span(window, at));
        if !last.contains(at) {
            *last = calendar.span(window, at);
        }
        *last
    }
}

/// What names a row of `usage_by_day` within its organization, in the order of its key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct DayKey {
    day: NaiveDate,
    path_id: Uuid,
    application_id: Uuid,
    user_id: Uuid,
    set_id: Uuid,
    model_id: Uuid,
    use_case: String,
}

#[derive(Default, Serialize)]
struct DaySums {
    calls: i64,
    failed: i64,
    refused: i64,
    spend: i64,
    input: u64,
    cache_read: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
    duration_ms: i64,
}

/// Sums by day, in the order in which their rows are written.
#[derive(Default)]
struct Days(BTreeMap<DayKey, DaySums>);

impl Days {
    fn add(&mut self, calendar: Calendar, event: &Event) {
        let Event { call, usage, .. } = event;
        let sums = self.0.entry(DayKey {
            day: calendar.day(call.started_at),
            path_id: name_of(&call.path),
            application_id: call.application.0,
            user_id: call.user.map_or(Uuid::nil(), |user| user.0),
            set_id: name_of(&call.member_of),
            model_id: call.model.0,
            use_case: call.use_case.clone(),
        });
        let sums = sums.or_default();
        sums.calls += 1;
        sums.failed += i64::from(event.outcome == Outcome::UpstreamError);
        sums.spend += event.cost.0;
        sums.input += usage.input + usage.audio_input;
        sums.cache_read += usage.cache_read;
        sums.cache_write += usage.cache_write + usage.cache_write_long;
        sums.output += usage.output + usage.audio_output;
        sums.reasoning += usage.reasoning;
        sums.duration_ms += i64::from(event.duration_ms);
    }

    fn add_refusal(&mut self, calendar: Calendar, refusal: &Refusal) {
        let sums = self.0.entry(DayKey {
            day: calendar.day(refusal.at),
            path_id: name_of(&refusal.path),
            application_id: refusal.application.0,
            user_id: refusal.user.map_or(Uuid::nil(), |user| user.0),
            set_id: name_of(&refusal.member_of),
            model_id: refusal.model_id.map_or(Uuid::nil(), |model| model.0),
            use_case: String::new(),
        });
        sums.or_default().refused += 1;
    }

    async fn write(self, db: &mut PgConnection, org: OrgId) -> Result<()> {
        #[derive(Serialize)]
        struct Row {
            org_id: Uuid,
            #[serde(flatten)]
            key: DayKey,
            #[serde(flatten)]
            sums: DaySums,
        }
        let rows: Vec<Row> = self.0.into_iter().map(|(key, sums)| Row { org_id: org.0, key, sums }).collect();
        sqlx::query!(
            "insert into usage_by_day as d select * from json_populate_recordset(null::usage_by_day, $1)
             on conflict (org_id, day, path_id, application_id, user_id, set_id, model_id, use_case) do update
                 set calls = d.calls + excluded.calls, failed = d.failed + excluded.failed, refused = d.refused + excluded.refused,
                     spend = d.spend + excluded.spend, input = d.input + excluded.input,
                     cache_read = d.cache_read + excluded.cache_read, cache_write = d.cache_write + excluded.cache_write,
                     output = d.output + excluded.output, reasoning = d.reasoning + excluded.reasoning,
                     duration_ms = d.duration_ms + excluded.duration_ms",
            Json(&rows) as _,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// The last use of each secret.
async fn note_use(db: &mut PgConnection, org: OrgId, events: &[&Event]) -> Result<()> {
    let mut last = BTreeMap::<SecretId, DateTime<Utc>>::new();
    for event in events {
        let at = last.entry(event.call.secret).or_insert(event.call.started_at);
        *at = (*at).max(event.call.started_at);
    }
    let secrets: Vec<Uuid> = last.keys().map(|id| id.0).collect();
    let moments: Vec<DateTime<Utc>> = last.into_values().collect();
    sqlx::query!(
        "update secrets s set last_used_at = k.at
         from unnest($2::uuid[], $3::timestamptz[]) as k (secret_id, at)
         where s.org_id = $1 and s.secret_id = k.secret_id
           and (s.last_used_at is null or s.last_used_at < k.at - interval '10 seconds')",
        org.0,
        &secrets,
        &moments,
    )
    .execute(db)
    .await?;
    Ok(())
}
