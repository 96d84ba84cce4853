//! The ledger: finished calls, booked exactly once, together with every sum they count in.

pub mod bulk;
pub mod kept;
mod late;

use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::{
    access::{Facts, UserFacts},
    guardrails::Found,
    ids::{
        ApplicationId, AuthorizationId, CallId, GrantId, GroupId, KeyId, LimitId, ModelId, OrgId, PolicyId,
        ProviderId, SecretId, UserId,
    },
    keys::Features,
    limits::{Metric, Subject, Worst},
    money::Money,
    spend::Outcome,
    usage::Usage,
    window::Calendar,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Result, Store};

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
    /// The rule that only observes, and would have let it pass, too: it counts in that one's quotas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<AuthorizationId>,
    /// The grant that lifted it.
    pub grant: Option<GrantId>,
    /// The policy that chose the model.
    pub policy: Option<PolicyId>,
    /// The use case it named, if the application knows it.
    pub use_case: String,
    /// The session it named.
    pub session: String,
    /// What its caller calls it, in its own `x-request-id`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client_request: String,
    /// `/v1/chat/completions`.
    pub route: String,
    /// Whether it asked for a stream.
    pub streamed: bool,
    /// What it used of its key. What was written down before this was has none.
    #[serde(default)]
    pub features: Features,
    /// What it may use at most.
    pub worst: Worst,
    /// Which prices: when they started.
    pub priced_at: Option<DateTime<Utc>>,
    /// What was found in its input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guarded: Vec<Found>,
}

/// What few calls have besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// It was answered from what an earlier call brought; what that one had cost.
    pub cached: Option<Money>,
    /// What the provider keeps of it, by its name there: whoever goes on from it has to be the same
    /// application.
    pub answer: Option<String>,
}

impl Marks {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
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
    /// What few calls have besides.
    pub marks: Marks,
}

/// How a call ended: what an event knows beyond its call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finish {
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
    /// What few calls have besides.
    #[serde(default, skip_serializing_if = "Marks::is_empty")]
    pub marks: Marks,
}

impl Call {
    /// What limits see of it.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            path: &self.path,
            application: self.application,
            user: self.user,
            authorization: self.authorization,
            beside: self.beside,
            grant: self.grant,
        }
    }
}

impl Event {
    /// A call and its end.
    pub fn of(call: Call, finish: Finish) -> Self {
        let Finish {
            finished_at,
            first_byte_ms,
            duration_ms,
            outcome,
            status,
            usage,
            cost,
            estimated,
            marks,
        } = finish;
        Self { call, finished_at, first_byte_ms, duration_ms, outcome, status, usage, cost, estimated, marks }
    }

    /// A call of which nobody knows how it ended: it counts in full, marked as lost.
    pub fn lost(call: Call, now: DateTime<Utc>) -> Self {
        let worst = call.worst;
        let finish = Finish {
            finished_at: now,
            first_byte_ms: None,
            duration_ms: i32::try_from((now - call.started_at).num_milliseconds()).unwrap_or(i32::MAX),
            outcome: Outcome::Lost,
            status: 0,
            usage: Usage { input: worst.input_tokens, output: worst.output_tokens, ..Usage::default() },
            cost: worst.cost,
            estimated: true,
            marks: Marks::default(),
        };
        Self::of(call, finish)
    }

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
pub(crate) fn name_of(groups: &[GroupId]) -> Uuid {
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
    let new = bulk::book(store, event.call.org, calendar, std::slice::from_ref(event), None).await?;
    Ok(new == 1)
}

/// A call that was refused, or that an observed rule or limit would have refused.
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
    /// What its caller calls it, in its own `x-request-id`.
    pub client_request: String,
    /// The model that is, if it is one.
    pub model_id: Option<ModelId>,
    /// What it would have used of its key.
    pub features: Features,
    /// The answer's status.
    pub status: u16,
    /// The answer's code.
    pub code: String,
    /// The sentence the caller read.
    pub message: String,
    /// The answer's `error.bursar` object.
    pub detail: serde_json::Value,
    /// The call passed: this only took note of what it would have refused.
    pub observer: Option<Observer>,
}

/// What takes note of a call without refusing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Observer {
    /// A rule.
    Rule(AuthorizationId),
    /// A limit.
    Limit(LimitId),
}

impl Observer {
    /// Its id.
    pub const fn id(self) -> Uuid {
        match self {
            Self::Rule(id) => id.0,
            Self::Limit(id) => id.0,
        }
    }
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
