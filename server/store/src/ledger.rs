//! The ledger: finished calls, booked exactly once, together with every sum they count in.

pub mod bulk;

use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::{
    access::{Facts, UserFacts},
    ids::{
        ApplicationId, AuthorizationId, CallId, GrantId, GroupId, KeyId, ModelId, OrgId, PolicyId,
        ProviderId, SecretId, UserId,
    },
    limits::{Meter, Metric, Scope, Subject, Worst},
    money::Money,
    spend::Outcome,
    usage::Usage,
    window::{Calendar, Window},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result, Store,
    windows::{self, Claim},
};

/// Who called what: known before the call, kept with its hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The call.
    pub id: CallId,
    /// In which organization.
    pub org: OrgId,
    /// When it was let through: decides its windows.
    pub started_at: DateTime<Utc>,
    /// Which application.
    pub application: ApplicationId,
    /// By which key.
    pub key: KeyId,
    /// By which secret.
    pub secret: SecretId,
    /// From the root to the application's group.
    pub path: Vec<GroupId>,
    /// The person, where the secret names one.
    pub user: Option<UserId>,
    /// Every group that person belonged to, with everything above; sorted.
    pub member_of: Vec<GroupId>,
    /// Which model.
    pub model: ModelId,
    /// Where that is.
    pub provider: ProviderId,
    /// The rule that let it pass.
    pub authorization: Option<AuthorizationId>,
    /// The grant that lifted it.
    pub grant: Option<GrantId>,
    /// The policy that chose the model.
    pub policy: Option<PolicyId>,
    /// The use case it named, if the application knows it.
    pub use_case: String,
    /// The session it named.
    pub session: String,
    /// `/v1/chat/completions`.
    pub route: String,
    /// Whether it asked for a stream.
    pub streamed: bool,
    /// What it may use at most.
    pub worst: Worst,
    /// Which prices: when they started.
    pub priced_at: Option<DateTime<Utc>>,
}

/// A finished call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Who called what.
    pub call: Call,
    /// When the last byte came.
    pub finished_at: DateTime<Utc>,
    /// Milliseconds to the first byte of the answer.
    pub first_byte_ms: Option<i32>,
    /// Milliseconds in all.
    pub duration_ms: i32,
    /// How it ended.
    pub outcome: Outcome,
    /// The status the upstream answered with; 0 when it did not.
    pub status: u16,
    /// What it used.
    pub usage: Usage,
    /// What that costs.
    pub cost: Money,
    /// The upstream did not say; these are our figures.
    pub estimated: bool,
}

impl Call {
    /// What limits see of it.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            path: &self.path,
            application: self.application,
            user: self.user,
            authorization: self.authorization,
            grant: self.grant,
        }
    }
}

impl Event {
    /// How much of a metric it used.
    pub fn amount(&self, metric: Metric) -> i64 {
        let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        match metric {
            Metric::Spend => self.cost.0,
            Metric::Requests => 1,
            Metric::Tokens => tokens(self.usage.tokens()),
            Metric::InputTokens => tokens(self.usage.input_tokens()),
            Metric::OutputTokens => tokens(self.usage.output_tokens()),
            Metric::ConcurrentCalls => 0,
        }
    }

    /// Whether it cost more than was held for it.
    pub fn overage(&self) -> bool {
        self.cost > self.call.worst.cost
    }
}

/// Every group a person belongs to now, with everything above; sorted.
pub fn member_of(facts: &Facts, user: &UserFacts, now: DateTime<Utc>) -> Vec<GroupId> {
    let mut groups: Vec<GroupId> = user
        .memberships
        .iter()
        .filter(|membership| membership.ends_at.is_none_or(|end| now < end))
        .filter_map(|membership| facts.groups.get(&membership.group))
        .flat_map(|group| group.path.iter().copied())
        .collect();
    groups.sort();
    groups.dedup();
    groups
}

/// A list of groups is named by a hash of itself: the same everywhere without asking anybody. The
/// empty list is nil.
fn name_of(groups: &[GroupId]) -> Uuid {
    if groups.is_empty() {
        return Uuid::nil();
    }
    let mut hasher = Sha256::new();
    for group in groups {
        hasher.update(group.0.as_bytes());
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The UTC day that names an event's partition.
fn partition_day(at: DateTime<Utc>) -> NaiveDate {
    at.date_naive()
}

/// Books a finished call: ledger, windows and sums in one transaction. Booked twice, it counts
/// once. Returns whether it was new.
///
/// # Errors
/// When the database does not answer: book it again later.
pub async fn book(store: &Store, calendar: Calendar, event: &Event) -> Result<bool> {
    let org = event.call.org;
    let mut tx = store.pool().begin().await?;
    windows::share_bookings(&mut tx, org).await?;
    let (path_id, set_id) = (name_of(&event.call.path), name_of(&event.call.member_of));
    if !insert_event(&mut tx, event, path_id, set_id).await? {
        tx.rollback().await?;
        return Ok(false);
    }
    insert_names(&mut tx, event, path_id, set_id).await?;
    let held = windows::take(&mut tx, org, event.call.id).await?;
    let charges = charges(&mut tx, calendar, event, held).await?;
    windows::charge(&mut tx, org, &charges).await?;
    add_to_day(&mut tx, calendar, event, path_id, set_id).await?;
    sqlx::query!(
        "update secrets set last_used_at = $3
         where org_id = $1 and secret_id = $2 and (last_used_at is null or last_used_at < $3::timestamptz - interval '10 seconds')",
        org.0,
        event.call.secret.0,
        event.call.started_at,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("select pg_notify('bursar_ledger', $1)", org.0.to_string()).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(true)
}

/// Every window the call counts in: those it held, those whose limit was made meanwhile, and its
/// person's month, which is always counted.
async fn charges(
    db: &mut PgConnection,
    calendar: Calendar,
    event: &Event,
    held: Vec<Claim>,
) -> Result<Vec<(Claim, i64)>> {
    let mut charges: Vec<(Claim, i64)> =
        held.into_iter().map(|claim| (claim, event.amount(claim.meter.metric))).collect();
    let scopes = event.call.subject().scopes();
    let mut meters = windows::limited(db, event.call.org, &scopes).await?;
    meters.extend(event.call.user.map(|user| Meter {
        scope: Scope::User(user),
        metric: Metric::Spend,
        window: Window::Month,
    }));
    for meter in meters {
        if meter.metric == Metric::ConcurrentCalls || charges.iter().any(|(claim, _)| claim.meter == meter) {
            continue;
        }
        let span = calendar.span(meter.window, event.call.started_at);
        let claim =
            Claim { meter, starts_at: span.start, ends_at: span.end, amount: 0, cap: 0, enforced: false };
        charges.push((claim, event.amount(meter.metric)));
    }
    Ok(charges)
}

async fn insert_event(db: &mut PgConnection, event: &Event, path_id: Uuid, set_id: Uuid) -> Result<bool> {
    let Event { call, usage, .. } = event;
    let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    let done = sqlx::query!(
        "insert into events (org_id, day, call_id, started_at, finished_at, first_byte_ms, duration_ms, application_id, key_id,
                             secret_id, group_id, path_id, user_id, set_id, model_id, provider_id, authorization_id, grant_id,
                             policy_id, use_case, session, route, streamed, outcome, status, input, cache_read, cache_write,
                             cache_write_long, output, reasoning, audio_input, audio_output, images, cost, priced_at, estimated,
                             overage)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25,
                 $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38)
         on conflict do nothing",
        call.org.0,
        partition_day(call.started_at),
        call.id.0,
        call.started_at,
        event.finished_at,
        event.first_byte_ms,
        event.duration_ms,
        call.application.0,
        call.key.0,
        call.secret.0,
        call.path.last().map_or(Uuid::nil(), |group| group.0),
        path_id,
        call.user.map(|user| user.0),
        set_id,
        call.model.0,
        call.provider.0,
        call.authorization.map(|id| id.0),
        call.grant.map(|id| id.0),
        call.policy.map(|id| id.0),
        call.use_case,
        call.session,
        call.route,
        call.streamed,
        event.outcome.as_str(),
        i16::try_from(event.status).unwrap_or_default(),
        count(usage.input),
        count(usage.cache_read),
        count(usage.cache_write),
        count(usage.cache_write_long),
        count(usage.output),
        count(usage.reasoning),
        count(usage.audio_input),
        count(usage.audio_output),
        count(usage.images),
        event.cost.0,
        call.priced_at,
        event.estimated,
        event.overage(),
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn insert_names(db: &mut PgConnection, event: &Event, path_id: Uuid, set_id: Uuid) -> Result<()> {
    let ids = |groups: &[GroupId]| groups.iter().map(|group| group.0).collect::<Vec<_>>();
    sqlx::query!(
        "insert into group_paths (org_id, path_id, groups) values ($1, $2, $3) on conflict do nothing",
        event.call.org.0,
        path_id,
        &ids(&event.call.path),
    )
    .execute(&mut *db)
    .await?;
    if !event.call.member_of.is_empty() {
        sqlx::query!(
            "insert into member_sets (org_id, set_id, groups) values ($1, $2, $3) on conflict do nothing",
            event.call.org.0,
            set_id,
            &ids(&event.call.member_of),
        )
        .execute(db)
        .await?;
    }
    Ok(())
}

async fn add_to_day(
    db: &mut PgConnection,
    calendar: Calendar,
    event: &Event,
    path_id: Uuid,
    set_id: Uuid,
) -> Result<()> {
    let Event { call, usage, .. } = event;
    let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    sqlx::query!(
        "insert into usage_by_day as d (org_id, day, path_id, application_id, user_id, set_id, model_id, use_case, calls, failed,
                                        spend, input, cache_read, cache_write, output, reasoning, duration_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $10, $11, $12, $13, $14, $15, $16)
         on conflict (org_id, day, path_id, application_id, user_id, set_id, model_id, use_case) do update
             set calls = d.calls + 1, failed = d.failed + excluded.failed, spend = d.spend + excluded.spend,
                 input = d.input + excluded.input, cache_read = d.cache_read + excluded.cache_read,
                 cache_write = d.cache_write + excluded.cache_write, output = d.output + excluded.output,
                 reasoning = d.reasoning + excluded.reasoning, duration_ms = d.duration_ms + excluded.duration_ms",
        call.org.0,
        calendar.day(call.started_at),
        path_id,
        call.application.0,
        call.user.map_or(Uuid::nil(), |user| user.0),
        set_id,
        call.model.0,
        call.use_case,
        i64::from(event.outcome == Outcome::UpstreamError),
        event.cost.0,
        count(usage.input + usage.audio_input),
        count(usage.cache_read),
        count(usage.cache_write + usage.cache_write_long),
        count(usage.output + usage.audio_output),
        count(usage.reasoning),
        i64::from(event.duration_ms),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A call that was refused, or that an observed limit would have refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The request id the caller saw.
    pub id: CallId,
    /// In which organization.
    pub org: OrgId,
    /// When.
    pub at: DateTime<Utc>,
    /// Which application.
    pub application: ApplicationId,
    /// By which secret.
    pub secret: SecretId,
    /// From the root to the application's group.
    pub path: Vec<GroupId>,
    /// The person, where the secret names one.
    pub user: Option<UserId>,
    /// Every group that person belonged to.
    pub member_of: Vec<GroupId>,
    /// What the caller wrote.
    pub model: String,
    /// The model that is, if it is one.
    pub model_id: Option<ModelId>,
    /// The answer's status.
    pub status: u16,
    /// The answer's code.
    pub code: String,
    /// The answer's `error.bursar` object.
    pub detail: serde_json::Value,
    /// The call passed.
    pub observed: bool,
}

/// Takes refusals down. They cost nothing and are never booked twice, but a flood of them must not
/// keep the ledger busy: the caller batches.
///
/// # Errors
/// When the database does not answer.
pub async fn refuse(store: &Store, calendar: Calendar, refusal: &Refusal) -> Result<()> {
    let (path_id, set_id) = (name_of(&refusal.path), name_of(&refusal.member_of));
    let mut tx = store.pool().begin().await?;
    let done = sqlx::query!(
        "insert into refusals (org_id, day, call_id, at, application_id, secret_id, group_id, user_id, model, model_id, status, code,
                               detail, observed)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         on conflict do nothing",
        refusal.org.0,
        partition_day(refusal.at),
        refusal.id.0,
        refusal.at,
        refusal.application.0,
        refusal.secret.0,
        refusal.path.last().map_or(Uuid::nil(), |group| group.0),
        refusal.user.map(|user| user.0),
        refusal.model,
        refusal.model_id.map(|model| model.0),
        i16::try_from(refusal.status).unwrap_or_default(),
        refusal.code,
        refusal.detail,
        refusal.observed,
    )
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 1 && !refusal.observed {
        let ids: Vec<Uuid> = refusal.path.iter().map(|group| group.0).collect();
        sqlx::query!(
            "insert into group_paths (org_id, path_id, groups) values ($1, $2, $3) on conflict do nothing",
            refusal.org.0,
            path_id,
            &ids
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "insert into usage_by_day as d (org_id, day, path_id, application_id, user_id, set_id, model_id, use_case, refused)
             values ($1, $2, $3, $4, $5, $6, $7, '', 1)
             on conflict (org_id, day, path_id, application_id, user_id, set_id, model_id, use_case) do update
                 set refused = d.refused + excluded.refused",
            refusal.org.0,
            calendar.day(refusal.at),
            path_id,
            refusal.application.0,
            refusal.user.map_or(Uuid::nil(), |user| user.0),
            set_id,
            refusal.model_id.map_or(Uuid::nil(), |model| model.0),
        )
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Makes the partitions of some days, if they are missing. Safe from several replicas at once.
///
/// # Errors
/// When the database does not answer.
pub async fn make_partitions(store: &Store, first: NaiveDate, days: u64) -> Result<()> {
    for offset in 0..days {
        let Some(day) = first.checked_add_days(Days::new(offset)) else { continue };
        let Some(next) = day.checked_add_days(Days::new(1)) else { continue };
        for table in ["events", "refusals"] {
            // Names and bounds cannot be parameters; both come from a date.
            let name = format!("{table}_{}", day.format("%Y%m%d"));
            let known = sqlx::query_scalar!(r#"select to_regclass($1) is not null as "known!""#, name)
                .fetch_one(store.pool())
                .await?;
            if known {
                continue;
            }
            let text = format!(
                "create table if not exists {name} partition of {table} for values from ('{day}') to ('{next}')"
            );
            let made = sqlx::query(sqlx::AssertSqlSafe(text)).execute(store.pool()).await;
            if let Err(error) = made {
                // Rows of that day are in the default partition already: they stay there.
                tracing::warn!(%error, table, %day, "no partition of its own for a day");
            }
        }
    }
    Ok(())
}
