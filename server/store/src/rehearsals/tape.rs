//! Recorded calls, those that were answered and those that were refused, as a rehearsal replays them.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use domain::{
    ids::{AuthorizationId, CallId, GrantId, GroupId, OrgId, PolicyId, UserId},
    limits::{Meter, Scope, ScopeKind},
    money::Money,
    rehearsal::{Booked, Finished, Period, Recorded, Refused, Then},
    usage::{ToolUnits, Usage},
    window::Window,
};
use uuid::Uuid;

use crate::{Result, Store};

/// How many calls are read at a time.
const PAGE: i64 = 10_000;

/// Recorded calls by the order of time, some thousands at a time.
pub struct Tape<'a> {
    store: &'a Store,
    org: OrgId,
    period: Period,
    /// Where groups stood, by the paths that calls were booked on.
    paths: HashMap<Uuid, Arc<[GroupId]>>,
    finished: VecDeque<Recorded>,
    refused: VecDeque<Recorded>,
    /// The last that was read; none when there are no more.
    finished_after: Option<(DateTime<Utc>, Uuid)>,
    refused_after: Option<(DateTime<Utc>, Uuid)>,
}

impl<'a> Tape<'a> {
    /// At its beginning.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn new(store: &'a Store, org: OrgId, period: Period) -> Result<Self> {
        let start = Some((period.since, Uuid::nil()));
        Ok(Self {
            store,
            org,
            period,
            paths: paths(store, org).await?,
            finished: VecDeque::new(),
            refused: VecDeque::new(),
            finished_after: start,
            refused_after: start,
        })
    }

    /// The next call; none: that was the last.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn next(&mut self) -> Result<Option<Recorded>> {
        if self.finished.is_empty()
            && let Some(after) = self.finished_after
        {
            self.finished = self.read_finished(after).await?;
            self.finished_after = last(&self.finished);
        }
        if self.refused.is_empty()
            && let Some(after) = self.refused_after
        {
            self.refused = refused(self.store, self.org, self.period, after).await?;
            self.refused_after = last(&self.refused);
        }
        let refused_first = match (self.finished.front(), self.refused.front()) {
            (Some(finished), Some(refused)) => refused.at < finished.at,
            (None, _) => true,
            (_, None) => false,
        };
        Ok(if refused_first { self.refused.pop_front() } else { self.finished.pop_front() })
    }

    async fn read_finished(&self, (at, id): (DateTime<Utc>, Uuid)) -> Result<VecDeque<Recorded>> {
        let rows = sqlx::query!(
            "select call_id, started_at, finished_at, path_id, application_id, user_id, model_id, policy_id, authorization_id, grant_id,
                    input, cache_read, cache_write, cache_write_long, output, reasoning, audio_input, audio_output, images, web_searches, file_searches, code_sessions, cost
             from events
             where org_id = $1 and day >= $2 and started_at >= $3 and started_at < $4 and (started_at, call_id) > ($3, $5)
             order by started_at, call_id limit $6",
            self.org.0,
            at.date_naive(),
            at,
            self.period.until,
            id,
            PAGE,
        )
        .fetch_all(self.store.pool())
        .await?;
        let count = |amount: i64| u64::try_from(amount).unwrap_or_default();
        Ok(rows
            .into_iter()
            .map(|row| Recorded {
                id: CallId(row.call_id),
                at: row.started_at,
                application: row.application_id.into(),
                user: row.user_id.map(UserId),
                then: Then::Finished(Finished {
                    model: row.model_id.into(),
                    policy: row.policy_id.map(PolicyId),
                    usage: Usage {
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
                    },
                    cost: Money(row.cost),
                    finished_at: row.finished_at,
                    booked: Booked {
                        path: self.paths.get(&row.path_id).cloned().unwrap_or_default(),
                        authorization: row.authorization_id.map(AuthorizationId),
                        grant: row.grant_id.map(GrantId),
                    },
                }),
            })
            .collect())
    }
}

/// Every path that calls were booked on, from the top.
async fn paths(store: &Store, org: OrgId) -> Result<HashMap<Uuid, Arc<[GroupId]>>> {
    let rows = sqlx::query!("select path_id, groups from group_paths where org_id = $1", org.0)
        .fetch_all(store.pool())
        .await?;
    let path = |groups: Vec<Uuid>| groups.into_iter().map(GroupId).collect();
    Ok(rows.into_iter().map(|row| (row.path_id, path(row.groups))).collect())
}

/// Where the next page begins; none when this one was not full.
fn last(page: &VecDeque<Recorded>) -> Option<(DateTime<Utc>, Uuid)> {
    let full = i64::try_from(page.len()).is_ok_and(|length| length >= PAGE);
    page.back().filter(|_| full).map(|call| (call.at, call.id.0))
}

async fn refused(
    store: &Store,
    org: OrgId,
    period: Period,
    (at, id): (DateTime<Utc>, Uuid),
) -> Result<VecDeque<Recorded>> {
    let rows = sqlx::query!(
        r#"select call_id, at, application_id, user_id, model, detail->>'scope' as scope, detail->>'scope_id' as scope_id,
                  detail->>'metric' as metric, detail->>'window' as "window"
           from refusals
           where org_id = $1 and day >= $2 and at >= $3 and at < $4 and (at, call_id) > ($3, $5) and not observed
             and code not in ('invalid_api_key', 'invalid_request', 'request_too_large', 'unavailable', 'upstream_error')
           order by at, call_id limit $6"#,
        org.0,
        at.date_naive(),
        at,
        period.until,
        id,
        PAGE,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let user = row.user_id.map(UserId);
            let by = meter(&row.scope, &row.scope_id, user, &row.metric, &row.window);
            Recorded {
                id: CallId(row.call_id),
                at: row.at,
                application: row.application_id.into(),
                user,
                then: Then::Refused(Refused { asked: row.model, by }),
            }
        })
        .collect())
}

/// The meter that a refusal names; none when it names no limit.
fn meter(
    scope: &Option<String>,
    id: &Option<String>,
    user: Option<UserId>,
    metric: &Option<String>,
    window: &Option<String>,
) -> Option<Meter> {
    let metric = metric.as_ref()?.parse().ok()?;
    let window = match window {
        Some(window) => window.parse().ok()?,
        None => Window::Total,
    };
    let id = id.as_deref().unwrap_or_default();
    let scope = match scope.as_ref()?.parse::<ScopeKind>().ok()? {
        ScopeKind::Organization => Scope::Organization,
        ScopeKind::Group => Scope::Group(id.parse().ok()?),
        ScopeKind::Application => Scope::Application(id.parse().ok()?),
        ScopeKind::User => Scope::User(id.parse().ok()?),
        ScopeKind::Member => Scope::Member(id.parse().ok()?, user?),
        ScopeKind::Authorization => Scope::Authorization(id.parse().ok()?),
        ScopeKind::Grant => Scope::Grant(id.parse().ok()?),
    };
    Some(Meter { scope, metric, window })
}
