//! Many finished calls, or many refusals, in one transaction: the same books as one by one.
//!
//! What one call at a time writes row by row is summed up here first, so that a window or a day
//! that a thousand calls count in is written once. Calls travel as columns; what is rarer travels as one JSON
//! value that Postgres reads as rows of the table.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    Map,
    durations::{Durations, class},
    guardrails::write_found,
    ids::{CallId, GroupId, OrgId, SecretId, UserId},
    limits::{Bucket, Meter, Metric, Scope},
    spend::{Outcome, Sums},
    usage::Usage,
    window::{Calendar, Span, Window},
};
use serde::Serialize;
use sqlx::{Acquire, PgConnection, PgTransaction, types::Json};
use uuid::Uuid;

use super::{Event, Observer, Refusal, late, name_of, partition_day};
use crate::{
    Result, Store, StoreError, call_sessions,
    kept_answers::{self, Kept},
    leases::{self, Consumed},
    observed, rolls,
    sums::{self, Amounts, Part, add_amounts},
    windows::{self, Charge},
};

/// So many calls of a batch are many.
const MANY: usize = 200;

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
    let mut names = Names::default();
    let mut named: Vec<Named<'_>> = events.iter().map(|event| names.of_call(event)).collect();
    let mut db = store.pool().acquire().await?;
    names.write(&mut db, org).await?;
    let mut tx = db.begin().await?;
    windows::share_bookings(&mut tx, org).await?;
    // In one order everywhere: batches that overlap wait for each other and never cross.
    named.sort_by_key(|named| named.event.call.id);
    if let Some(new) = insert_events(&mut tx, org, &named).await? {
        let mut seen = HashSet::new();
        named.retain(|named| new.contains(&named.event.call.id) && seen.insert(named.event.call.id));
    }
    if named.is_empty() && consumed.is_none() {
        tx.rollback().await?;
        return Ok(0);
    }
    // First what hardly any two batches have in common, last what all of them have: they wait for each
    // other as late as can be.
    let mut days = Days::default();
    for named in &named {
        days.add(calendar, named);
    }
    days.write(&mut tx, org).await?;
    days.write_sums(&mut tx, org).await?;
    // Whoever needs more of a lease waits for who has changed its window: for what is left from here on.
    let charges = charges(&mut tx, org, calendar, &named).await?;
    windows::charge(&mut tx, org, &charges).await?;
    if let Some(consumed) = consumed {
        leases::consume(&mut tx, org, consumed).await?;
    }
    let calls = named.iter().map(|named| (named.event, named.path_id, named.set_id));
    late::note(&mut tx, org, calendar, calls).await?;
    let costs = named
        .iter()
        .map(|Named { event, .. }| (partition_day(event.call.started_at), event.call.id.0, event.cost.0));
    observed::charge(&mut tx, org, &costs.collect::<Vec<_>>()).await?;
    let calls = named.iter().map(|named| (named.event, named.path_id));
    call_sessions::gather(&mut tx, org, calls).await?;
    note_use(&mut tx, org, &named).await?;
    let kept = named.iter().filter_map(|named| Kept::of(named.event));
    kept_answers::remember(&mut tx, org, kept).await?;
    let people = named.iter().filter_map(|named| named.event.call.user).collect();
    rolls::note(&mut tx, org, Some(people)).await?;
    sqlx::query!("select pg_notify('bursar_ledger', $1)", org.0.to_string()).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(named.len())
}

/// Takes refusals of one organization down. Returns how many were new.
///
/// # Errors
/// As [`book`].
pub async fn refuse(store: &Store, org: OrgId, calendar: Calendar, refusals: &[Refusal]) -> Result<usize> {
    if refusals.iter().any(|refusal| refusal.org != org) {
        return Err(StoreError::invalid("org", "Every call of a batch belongs to the same organization."));
    }
    let mut names = Names::default();
    for refusal in refusals {
        names.of_refusal(refusal);
    }
    let mut db = store.pool().acquire().await?;
    names.write(&mut db, org).await?;
    let mut tx = db.begin().await?;
    windows::hold_organization(&mut tx, org).await?;
    if refusals.iter().any(|refusal| refusal.observer.is_some()) {
        // What such a call costs is added by whoever comes second, so one has to see the other.
        windows::hold_bookings(&mut tx, org).await?;
    }
    let rows: Vec<RefusalRow<'_>> = refusals.iter().map(RefusalRow::of).collect();
    let new = sqlx::query!(
        "insert into refusals select * from jsonb_populate_recordset(null::refusals, $1) on conflict do nothing
         returning call_id, observer_id, day",
        Json(&rows) as _,
    )
    .fetch_all(&mut *tx)
    .await?;
    let noted: Vec<(NaiveDate, Uuid, Uuid)> = new
        .iter()
        .filter(|row| !row.observer_id.is_nil())
        .map(|row| (row.day, row.call_id, row.observer_id))
        .collect();
    if !noted.is_empty() {
        observed::add(&mut tx, org, &noted).await?;
    }
    let new: HashSet<Uuid> = new.into_iter().map(|row| row.call_id).collect();
    let mut seen = HashSet::new();
    let counted: Vec<&Refusal> = refusals
        .iter()
        .filter(|refusal| {
            new.contains(&refusal.id.0) && seen.insert(refusal.id) && refusal.observer.is_none()
        })
        .collect();
    let mut days = Days::default();
    for refusal in counted {
        days.add_refusal(calendar, refusal, names.path(&refusal.path));
    }
    days.write(&mut tx, org).await?;
    days.write_sums(&mut tx, org).await?;
    tx.commit().await?;
    Ok(new.len())
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
    features: i32,
    status: u16,
    code: &'a str,
    detail: &'a serde_json::Value,
    observed: bool,
    message: &'a str,
    path_id: Uuid,
    set_id: Uuid,
    observer_id: Uuid,
    client_request: &'a str,
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
            features: refusal.features.bits(),
            status: refusal.status,
            code: &refusal.code,
            detail: &refusal.detail,
            observed: refusal.observer.is_some(),
            message: &refusal.message,
            path_id: name_of(&refusal.path),
            set_id: name_of(&refusal.member_of),
            observer_id: refusal.observer.map_or(Uuid::nil(), Observer::id),
            client_request: &refusal.client_request,
        }
    }
}

/// One column of a batch.
fn column<'a, T>(events: &[Named<'a>], of: impl Fn(&'a Event) -> T) -> Vec<T> {
    events.iter().map(|named| of(named.event)).collect()
}

/// A count of tokens of a batch, as a column.
fn tokens(events: &[Named<'_>], of: impl Fn(&Usage) -> u64) -> Vec<i64> {
    events.iter().map(|named| i64::try_from(of(&named.event.usage)).unwrap_or(i64::MAX)).collect()
}

/// Writes rows of `events`; what is said at the end makes the difference.
macro_rules! write_events {
    ($org:expr, $events:expr, $end:tt) => {
        sqlx::query!(
            "insert into events (org_id, day, call_id, started_at, finished_at, first_byte_ms, duration_ms, application_id, key_id,
                                      secret_id, group_id, path_id, user_id, set_id, model_id, provider_id, authorization_id, grant_id,
                                      policy_id, use_case, session, route, streamed, outcome, status, input, cache_read, cache_write,
                                      cache_write_long, output, reasoning, audio_input, audio_output, images, cost, priced_at, estimated,
                                      overage, features, cached, saved, guarded, observed_by, web_searches, file_searches, code_sessions,
                                      client_request)
             select $1, k.*
             from (select unnest($2::date[]), unnest($3::uuid[]), unnest($4::timestamptz[]), unnest($5::timestamptz[]),
                                unnest($6::int[]), unnest($7::int[]), unnest($8::uuid[]), unnest($9::uuid[]), unnest($10::uuid[]),
                                unnest($11::uuid[]), unnest($12::uuid[]), unnest($13::uuid[]), unnest($14::uuid[]), unnest($15::uuid[]),
                                unnest($16::uuid[]), unnest($17::uuid[]), unnest($18::uuid[]), unnest($19::uuid[]), unnest($20::text[]),
                                unnest($21::text[]), unnest($22::text[]), unnest($23::bool[]), unnest($24::text[]),
                                unnest($25::smallint[]), unnest($26::bigint[]), unnest($27::bigint[]), unnest($28::bigint[]),
                                unnest($29::bigint[]), unnest($30::bigint[]), unnest($31::bigint[]), unnest($32::bigint[]),
                                unnest($33::bigint[]), unnest($34::bigint[]), unnest($35::bigint[]), unnest($36::timestamptz[]),
                                unnest($37::bool[]), unnest($38::bool[]), unnest($39::int[]), unnest($40::bool[]), unnest($41::bigint[]),
                                unnest($42::text[]), unnest($43::uuid[]), unnest($44::bigint[]), unnest($45::bigint[]),
                                unnest($46::bigint[]), unnest($47::text[])) as k
             " + $end,
                $org.0,
                &column($events, |event| partition_day(event.call.started_at)),
                &column($events, |event| event.call.id.0),
                &column($events, |event| event.call.started_at),
                &column($events, |event| event.finished_at),
                &column($events, |event| event.first_byte_ms) as &[Option<i32>],
                &column($events, |event| event.duration_ms),
                &column($events, |event| event.call.application.0),
                &column($events, |event| event.call.key.0),
                &column($events, |event| event.call.secret.0),
                &column($events, |event| event.call.path.last().map_or(Uuid::nil(), |group| group.0)),
                &$events.iter().map(|named| named.path_id).collect::<Vec<_>>(),
                &column($events, |event| event.call.user.map(|id| id.0)) as &[Option<Uuid>],
                &$events.iter().map(|named| named.set_id).collect::<Vec<_>>(),
                &column($events, |event| event.call.model.0),
                &column($events, |event| event.call.provider.0),
                &column($events, |event| event.call.authorization.map(|id| id.0)) as &[Option<Uuid>],
                &column($events, |event| event.call.grant.map(|id| id.0)) as &[Option<Uuid>],
                &column($events, |event| event.call.policy.map(|id| id.0)) as &[Option<Uuid>],
                &column($events, |event| event.call.use_case.as_str()) as &[&str],
                &column($events, |event| event.call.session.as_str()) as &[&str],
                &column($events, |event| event.call.route.as_str()) as &[&str],
                &column($events, |event| event.call.streamed),
                &column($events, |event| event.outcome.as_str()) as &[&str],
                &column($events, |event| i16::try_from(event.status).unwrap_or_default()),
                &tokens($events, |usage| usage.input),
                &tokens($events, |usage| usage.cache_read),
                &tokens($events, |usage| usage.cache_write),
                &tokens($events, |usage| usage.cache_write_long),
                &tokens($events, |usage| usage.output),
                &tokens($events, |usage| usage.reasoning),
                &tokens($events, |usage| usage.audio_input),
                &tokens($events, |usage| usage.audio_output),
                &tokens($events, |usage| usage.images),
                &column($events, |event| event.cost.0),
                &column($events, |event| event.call.priced_at) as &[Option<DateTime<Utc>>],
                &column($events, |event| event.estimated),
                &column($events, Event::overage),
                &column($events, |event| event.call.features.bits()),
                &column($events, |event| event.marks.cached.is_some()),
                &column($events, |event| event.marks.cached.unwrap_or_default().0),
                &column($events, |event| write_found(&event.call.guarded)),
                &column($events, |event| event.call.beside.map(|id| id.0)) as &[Option<Uuid>],
                &tokens($events, |usage| usage.tools.web_searches),
                &tokens($events, |usage| usage.tools.file_searches),
                &tokens($events, |usage| usage.tools.code_sessions),
                &column($events, |event| event.call.client_request.as_str()) as &[&str],
        )
    };
}

/// Writes the rows that are new, and says which those are. None: all of them.
///
/// Nearly always all of many are. Whether each is there is asked only when one was: a row that may be
/// there costs half as much again as one that is not.
async fn insert_events(
    tx: &mut PgTransaction<'_>,
    org: OrgId,
    events: &[Named<'_>],
) -> Result<Option<HashSet<CallId>>> {
    if events.len() >= MANY {
        let mut attempt = tx.begin().await?;
        match write_events!(org, events, "").execute(&mut *attempt).await {
            Ok(_) => {
                attempt.commit().await?;
                return Ok(None);
            }
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => attempt.rollback().await?,
            Err(error) => return Err(error.into()),
        }
    }
    let new =
        write_events!(org, events, "on conflict do nothing returning call_id").fetch_all(&mut **tx).await?;
    Ok(Some(new.into_iter().map(|row| CallId(row.call_id)).collect()))
}

/// The lists of groups of a batch by their names, each named once.
#[derive(Default)]
struct Names<'a> {
    paths: Map<&'a [GroupId], Uuid>,
    sets: Map<&'a [GroupId], Uuid>,
}

impl<'a> Names<'a> {
    fn of_call(&mut self, event: &'a Event) -> Named<'a> {
        let set = event.call.member_of.as_slice();
        let set_id = *self.sets.entry(set).or_insert_with(|| name_of(set));
        Named { event, path_id: self.path(&event.call.path), set_id }
    }

    fn of_refusal(&mut self, refusal: &'a Refusal) {
        let set = refusal.member_of.as_slice();
        self.path(&refusal.path);
        self.sets.entry(set).or_insert_with(|| name_of(set));
    }

    fn path(&mut self, path: &'a [GroupId]) -> Uuid {
        *self.paths.entry(path).or_insert_with(|| name_of(path))
    }

    /// Writes what those stand for that nobody has named yet, before the transaction that counts by them: a
    /// name that it had made would hold up every other batch with the same new one until it is over, and
    /// what a name stands for is true whatever becomes of the batch. In the order of names: two batches at a
    /// time then wait for each other and never cross.
    async fn write(&self, db: &mut PgConnection, org: OrgId) -> Result<()> {
        #[derive(Serialize)]
        struct Path {
            org_id: Uuid,
            path_id: Uuid,
            groups: Vec<Uuid>,
        }
        #[derive(Serialize)]
        struct Set {
            org_id: Uuid,
            set_id: Uuid,
            groups: Vec<Uuid>,
        }
        // Nobody's groups are nobody's set.
        let sets = self.sets.iter().filter(|(groups, _)| !groups.is_empty());
        let sets: BTreeMap<Uuid, &[GroupId]> = sets.map(|(groups, id)| (*id, *groups)).collect();
        let paths: BTreeMap<Uuid, &[GroupId]> =
            self.paths.iter().map(|(groups, id)| (*id, *groups)).collect();
        let (path_ids, set_ids): (Vec<Uuid>, Vec<Uuid>) =
            (paths.keys().copied().collect(), sets.keys().copied().collect());
        let new = sqlx::query!(
            r#"select k.id as "id!" from unnest($2::uuid[]) as k (id)
               where not exists (select from group_paths p where p.org_id = $1 and p.path_id = k.id)
               union all
               select k.id from unnest($3::uuid[]) as k (id)
               where not exists (select from member_sets m where m.org_id = $1 and m.set_id = k.id)"#,
            org.0,
            &path_ids,
            &set_ids,
        )
        .fetch_all(&mut *db)
        .await?;
        if new.is_empty() {
            return Ok(());
        }
        let ids = |groups: &[GroupId]| groups.iter().map(|id| id.0).collect::<Vec<_>>();
        // A set may have the groups of a path, and so its name: whatever is there already stays.
        let new: HashSet<Uuid> = new.into_iter().map(|row| row.id).collect();
        let paths: Vec<Path> = paths
            .into_iter()
            .filter(|(id, _)| new.contains(id))
            .map(|(path_id, groups)| Path { org_id: org.0, path_id, groups: ids(groups) })
            .collect();
        sqlx::query!(
            "insert into group_paths select * from jsonb_populate_recordset(null::group_paths, $1) on conflict do nothing",
            Json(&paths) as _,
        )
        .execute(&mut *db)
        .await?;
        let sets: Vec<Set> = sets
            .into_iter()
            .filter(|(id, _)| new.contains(id))
            .map(|(set_id, groups)| Set { org_id: org.0, set_id, groups: ids(groups) })
            .collect();
        sqlx::query!(
            "insert into member_sets select * from jsonb_populate_recordset(null::member_sets, $1) on conflict do nothing",
            Json(&sets) as _,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// What every window gets: the sum over the calls that count in it. Counted are the windows of
/// every limit there is, and everybody's month.
async fn charges(
    db: &mut PgConnection,
    org: OrgId,
    calendar: Calendar,
    events: &[Named<'_>],
) -> Result<Vec<Charge>> {
    let mut subjects = Map::<SubjectKey, Vec<Tally>>::default();
    for named in events {
        subjects.entry(named.subject()).or_default();
    }
    let limited = limited(db, org, events).await?;
    for named in events {
        if let Some(tallies) = subjects.get_mut(&named.subject()).filter(|tallies| tallies.is_empty()) {
            let scopes = named.event.call.subject().scopes();
            let own = scopes.iter().filter_map(|scope| limited.get(scope)).flatten().copied();
            let month = named.event.call.user.map(person_month);
            let mut meters: Vec<Meter> = own.chain(month).collect();
            meters.retain(|meter| meter.metric != Metric::ConcurrentCalls);
            meters.sort();
            meters.dedup();
            tallies.extend(meters.into_iter().map(|meter| Tally { meter, span: None, used: 0 }));
        }
    }
    let mut sums = Map::default();
    for named in events {
        for tally in subjects.get_mut(&named.subject()).into_iter().flatten() {
            tally.count(calendar, named.event, &mut sums);
        }
    }
    for tally in subjects.into_values().flatten() {
        tally.flush(&mut sums);
    }
    Ok(sums.into_iter().map(|(bucket, used)| Charge { bucket, used }).collect())
}

/// Which meters of the scopes that some calls count in have a limit.
async fn limited(db: &mut PgConnection, org: OrgId, events: &[Named<'_>]) -> Result<Map<Scope, Vec<Meter>>> {
    let subjects: Map<SubjectKey, &Event> =
        events.iter().map(|named| (named.subject(), named.event)).collect();
    let scopes: BTreeSet<Scope> =
        subjects.into_values().flat_map(|event| event.call.subject().scopes()).collect();
    let scopes: Vec<Scope> = scopes.into_iter().collect();
    let mut limited = Map::<Scope, Vec<Meter>>::default();
    for meter in windows::limited(db, org, &scopes).await? {
        limited.entry(meter.scope).or_default().push(meter);
    }
    Ok(limited)
}

/// A person's month is counted whether it has a limit or not.
const fn person_month(user: UserId) -> Meter {
    Meter { scope: Scope::User(user), metric: Metric::Spend, window: Window::Month }
}

/// What decides in which meters a call counts: path, application, person, authorization and the one
/// beside it, grant.
type SubjectKey = (Uuid, Uuid, Option<Uuid>, [Option<Uuid>; 2], Option<Uuid>);

/// A call with the names of its lists of groups.
#[derive(Clone, Copy)]
struct Named<'a> {
    event: &'a Event,
    path_id: Uuid,
    set_id: Uuid,
}

impl Named<'_> {
    fn subject(&self) -> SubjectKey {
        let call = &self.event.call;
        let rules = [call.authorization, call.beside].map(|rule| rule.map(|id| id.0));
        (self.path_id, call.application.0, call.user.map(|id| id.0), rules, call.grant.map(|id| id.0))
    }
}

/// What the calls of one subject have used of a meter, in the bucket the last of them fell into:
/// the next one mostly falls into the same.
struct Tally {
    meter: Meter,
    span: Option<Span>,
    used: i64,
}

impl Tally {
    fn count(&mut self, calendar: Calendar, event: &Event, sums: &mut Map<Bucket, i64>) {
        let at = event.call.started_at;
        if !self.span.is_some_and(|span| span.contains(at)) {
            self.flush(sums);
            (self.span, self.used) = (Some(calendar.span(self.meter.window, at)), 0);
        }
        self.used += event.amount(self.meter.metric);
    }

    fn flush(&self, sums: &mut Map<Bucket, i64>) {
        if let Some(span) = self.span {
            *sums.entry(Bucket::of(self.meter, span)).or_default() += self.used;
        }
    }
}

/// What names a row of `usage_by_day` within its organization, in the order of its key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct DayKey<'a> {
    day: NaiveDate,
    path_id: Uuid,
    application_id: Uuid,
    user_id: Uuid,
    set_id: Uuid,
    model_id: Uuid,
    use_case: &'a str,
    features: i32,
}

/// Sums by day, with the groups that their names stand for.
#[derive(Default)]
struct Days<'a> {
    days: Map<DayKey<'a>, Sums>,
    groups: Map<Uuid, &'a [GroupId]>,
}

impl<'a> Days<'a> {
    fn add(&mut self, calendar: Calendar, named: &Named<'a>) {
        let &Named { event, path_id, set_id } = named;
        let Event { call, usage, .. } = event;
        let day = DayKey {
            day: calendar.day(call.started_at),
            path_id,
            application_id: call.application.0,
            user_id: call.user.map_or(Uuid::nil(), |user| user.0),
            set_id,
            model_id: call.model.0,
            use_case: &call.use_case,
            features: call.features.bits(),
        };
        let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        *self.row(day, &call.path, &call.member_of) += Sums {
            calls: 1,
            failed: i64::from(event.outcome == Outcome::UpstreamError),
            refused: 0,
            spend: event.cost,
            input: tokens(usage.input + usage.audio_input),
            cache_read: tokens(usage.cache_read),
            cache_write: tokens(usage.cache_write + usage.cache_write_long),
            output: tokens(usage.output + usage.audio_output),
            reasoning: tokens(usage.reasoning),
            duration_ms: i64::from(event.duration_ms),
            cached: i64::from(event.marks.cached.is_some()),
            saved: event.marks.cached.unwrap_or_default(),
            durations: Durations::of(class(event.duration_ms), 1),
        };
    }

    fn row(&mut self, day: DayKey<'a>, path: &'a [GroupId], set: &'a [GroupId]) -> &mut Sums {
        self.groups.insert(day.path_id, path);
        self.groups.insert(day.set_id, set);
        self.days.entry(day).or_default()
    }

    fn add_refusal(&mut self, calendar: Calendar, refusal: &'a Refusal, path_id: Uuid) {
        let day = DayKey {
            day: calendar.day(refusal.at),
            path_id,
            application_id: refusal.application.0,
            user_id: refusal.user.map_or(Uuid::nil(), |user| user.0),
            set_id: name_of(&refusal.member_of),
            model_id: refusal.model_id.map_or(Uuid::nil(), |model| model.0),
            use_case: "",
            features: refusal.features.bits(),
        };
        self.row(day, &refusal.path, &refusal.member_of).refused += 1;
    }

    /// In the order of keys: batches that overlap wait for each other and never cross.
    async fn write(&self, db: &mut PgConnection, org: OrgId) -> Result<()> {
        let mut rows: Vec<(&DayKey<'_>, &Sums)> = self.days.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        fn column<'a, T>(rows: &[(&'a DayKey<'a>, &Sums)], of: impl Fn(&'a DayKey<'a>) -> T) -> Vec<T> {
            rows.iter().map(|(key, _)| of(key)).collect()
        }
        add_amounts!(
            db,
            org,
            Amounts::of(rows.iter().map(|(_, sums)| *sums)),
            "usage_by_day",
            "day, path_id, application_id, user_id, set_id, model_id, use_case, features",
            "unnest($15::date[]), unnest($16::uuid[]), unnest($17::uuid[]), unnest($18::uuid[]), unnest($19::uuid[]),
             unnest($20::uuid[]), unnest($21::text[]), unnest($22::int[])",
            &column(&rows, |key| key.day),
            &column(&rows, |key| key.path_id),
            &column(&rows, |key| key.application_id),
            &column(&rows, |key| key.user_id),
            &column(&rows, |key| key.set_id),
            &column(&rows, |key| key.model_id),
            &column(&rows, |key| key.use_case) as &[&str],
            &column(&rows, |key| key.features),
        )
    }

    /// Every coarser sum.
    async fn write_sums(&self, db: &mut PgConnection, org: OrgId) -> Result<()> {
        let groups = |id: &Uuid| self.groups.get(id).copied().unwrap_or_default();
        let parts = self.days.iter().map(|(key, sums)| Part {
            day: key.day,
            path_id: key.path_id,
            path: groups(&key.path_id),
            application_id: key.application_id,
            user_id: key.user_id,
            set: groups(&key.set_id),
            model_id: key.model_id,
            use_case: key.use_case,
            features: key.features,
            sums,
        });
        sums::add(db, org, parts).await
    }
}

/// The last use of each secret.
async fn note_use(db: &mut PgConnection, org: OrgId, events: &[Named<'_>]) -> Result<()> {
    let mut last = BTreeMap::<SecretId, DateTime<Utc>>::new();
    for Named { event, .. } in events {
        let at = last.entry(event.call.secret).or_insert(event.call.started_at);
        *at = (*at).max(event.call.started_at);
    }
    let secrets: Vec<Uuid> = last.keys().map(|id| id.0).collect();
    let moments: Vec<DateTime<Utc>> = last.into_values().collect();
    sqlx::query!(
        "with k as (
             select s.secret_id, k.at from unnest($2::uuid[], $3::timestamptz[]) as k (secret_id, at)
             join secrets s on s.org_id = $1 and s.secret_id = k.secret_id
             where s.last_used_at is null or s.last_used_at < k.at - interval '10 seconds'
             order by s.secret_id for update of s
         )
         update secrets s set last_used_at = k.at from k where s.org_id = $1 and s.secret_id = k.secret_id",
        org.0,
        &secrets,
        &moments,
    )
    .execute(db)
    .await?;
    Ok(())
}
