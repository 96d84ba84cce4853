//! Sessions of calls: gathered as calls are booked, so that a list of them reads no ledger.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    call_sessions::{CallSession, SessionKey},
    calls::{CallLine, End},
    ids::{ApplicationId, CallId, OrgId, UserId},
    money::Money,
    spend::Outcome,
    usage::{ToolUnits, Usage},
};
use serde::Serialize;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{Result, Store, StoreError, ledger::Event, rollups::Which};

/// A row of `call_sessions`, by its columns.
#[derive(Serialize)]
struct Row<'a> {
    org_id: Uuid,
    application_id: Uuid,
    session: &'a str,
    user_id: Uuid,
    path_id: Uuid,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    ended_at: DateTime<Utc>,
    calls: i64,
    failed: i64,
    spend: i64,
    tokens: u64,
    models: Vec<Uuid>,
}

/// Counts new calls in their sessions; each with the name of its path.
pub(crate) async fn gather<'a>(
    db: &mut PgConnection,
    org: OrgId,
    calls: impl Iterator<Item = (&'a Event, Uuid)>,
) -> Result<()> {
    // In the order of the key: batches that overlap wait for each other and never cross.
    let mut rows = BTreeMap::<(Uuid, Uuid, &str), Row<'_>>::new();
    for (event, path_id) in calls.filter(|(event, _)| !event.call.session.is_empty()) {
        let call = &event.call;
        let user_id = call.user.map_or(Uuid::nil(), |user| user.0);
        let row = rows.entry((call.application.0, user_id, &call.session)).or_insert_with(|| Row {
            org_id: org.0,
            application_id: call.application.0,
            session: &call.session,
            user_id,
            path_id,
            first_at: call.started_at,
            last_at: call.started_at,
            ended_at: event.finished_at,
            calls: 0,
            failed: 0,
            spend: 0,
            tokens: 0,
            models: Vec::new(),
        });
        if call.started_at >= row.last_at {
            (row.last_at, row.path_id) = (call.started_at, path_id);
        }
        row.first_at = row.first_at.min(call.started_at);
        row.ended_at = row.ended_at.max(event.finished_at);
        row.calls += 1;
        row.failed += i64::from(event.outcome == Outcome::UpstreamError);
        row.spend += event.cost.0;
        row.tokens += event.usage.tokens();
        if !row.models.contains(&call.model.0) {
            row.models.push(call.model.0);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let rows: Vec<Row<'_>> = rows.into_values().collect();
    sqlx::query!(
        "insert into call_sessions as s select * from jsonb_populate_recordset(null::call_sessions, $1)
         on conflict (org_id, application_id, user_id, session) do update
             set path_id = case when excluded.last_at >= s.last_at then excluded.path_id else s.path_id end,
                 first_at = least(s.first_at, excluded.first_at), last_at = greatest(s.last_at, excluded.last_at),
                 ended_at = greatest(s.ended_at, excluded.ended_at), calls = s.calls + excluded.calls,
                 failed = s.failed + excluded.failed, spend = s.spend + excluded.spend, tokens = s.tokens + excluded.tokens,
                 models = case when s.models @> excluded.models then s.models
                               else array(select distinct m from unnest(s.models || excluded.models) as m) end",
        Json(&rows) as _,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Where a page of sessions starts.
#[derive(Clone, Debug)]
pub struct After {
    /// The last call of the session before.
    pub at: DateTime<Utc>,
    /// Which that was.
    pub key: SessionKey,
}

/// Sessions, the latest first, at most `limit`; or only the one with this key.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    store: &Store,
    org: OrgId,
    which: &Which,
    label: &str,
    only: Option<&SessionKey>,
    after: Option<&After>,
    limit: i64,
) -> Result<Vec<CallSession>> {
    let led = which.sight.led();
    let rows = sqlx::query!(
        r#"select s.application_id, s.session, s.user_id, s.first_at, s.last_at, s.ended_at, s.calls, s.failed, s.spend, s.tokens,
                  a.name as "application?", u.name as "user?",
                  array(select m.name from models m where m.org_id = s.org_id and m.model_id = any (s.models) order by m.name) as "models!"
           from call_sessions s
           left join applications a on a.org_id = s.org_id and a.application_id = s.application_id
           left join users u on u.org_id = s.org_id and u.user_id = s.user_id
           where s.org_id = $1
             and ($2::uuid is null or s.path_id in (select p.path_id from group_paths p where p.org_id = $1 and p.groups @> array[$2::uuid]))
             and ($3::uuid is null or s.application_id = $3)
             and ($4::uuid is null or s.user_id = $4)
             and ($5::uuid[] is null or s.user_id = $6
                  or s.path_id in (select p.path_id from group_paths p where p.org_id = $1 and p.groups && $5))
             and ($7 = '' or starts_with(s.session, $7))
             and ($8::uuid is null or (s.application_id = $8 and s.user_id = $9 and s.session = $10))
             and ($11::timestamptz is null or (s.last_at, s.application_id, s.user_id, s.session) < ($11, $12::uuid, $13::uuid, $14::text))
           order by s.last_at desc, s.application_id desc, s.user_id desc, s.session desc
           limit $15"#,
        org.0,
        which.group.map(|id| id.0),
        which.application.map(|id| id.0),
        which.user.map(|id| id.0),
        led.as_deref(),
        which.sight.me().0,
        label,
        only.map(|key| key.application.0),
        only.map(|key| key.user.0),
        only.map(|key| key.label.as_str()),
        after.map(|after| after.at),
        after.map(|after| after.key.application.0),
        after.map(|after| after.key.user.0),
        after.map(|after| after.key.label.as_str()),
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| CallSession {
            key: SessionKey {
                application: ApplicationId(row.application_id),
                user: UserId(row.user_id),
                label: row.session,
            },
            application: row.application.unwrap_or_else(|| "unknown".to_owned()),
            user: row.user,
            first_at: row.first_at,
            last_at: row.last_at,
            ended_at: row.ended_at,
            calls: row.calls,
            failed: row.failed,
            spend: Money(row.spend),
            tokens: row.tokens,
            models: row.models,
        })
        .collect())
}

/// One session, if whoever asks may see it.
///
/// # Errors
/// [`StoreError::NotFound`] when there is none, or it is not theirs to see.
pub async fn get(store: &Store, org: OrgId, which: &Which, key: &SessionKey) -> Result<CallSession> {
    list(store, org, which, "", Some(key), None, 1).await?.pop().ok_or(StoreError::NotFound)
}

/// The finished calls of a session, the first first, at most `limit`, after one of them.
///
/// # Errors
/// When the database does not answer.
pub async fn calls(
    store: &Store,
    org: OrgId,
    session: &CallSession,
    after: Option<(DateTime<Utc>, CallId)>,
    limit: i64,
) -> Result<Vec<CallLine>> {
    let (after_at, after_id) = after.map(|(at, id)| (at, id.0)).unzip();
    let key = &session.key;
    let rows = sqlx::query!(
        r#"select e.call_id, e.started_at, e.model_id, m.name as "model?", p.name as "policy?", e.use_case, e.outcome, e.input, e.cache_read,
                  e.cache_write, e.cache_write_long, e.output, e.reasoning, e.audio_input, e.audio_output, e.images, e.web_searches, e.file_searches, e.code_sessions, e.cost, e.estimated, e.duration_ms, e.cached
           from events e
           left join models m on m.org_id = e.org_id and m.model_id = e.model_id
           left join policies p on p.org_id = e.org_id and p.policy_id = e.policy_id
           where e.org_id = $1 and e.application_id = $2 and e.session = $3 and e.session <> ''
             and coalesce(e.user_id, '00000000-0000-0000-0000-000000000000') = $4
             and e.day >= $5 and e.day <= $6 and e.started_at >= $7 and e.started_at <= $8
             and ($9::timestamptz is null or (e.started_at, e.call_id) > ($9, $10::uuid))
           order by e.started_at, e.call_id limit $11"#,
        org.0,
        key.application.0,
        key.label,
        key.user.0,
        session.first_at.date_naive(),
        session.last_at.date_naive(),
        session.first_at,
        session.last_at,
        after_at,
        after_id,
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    let user = session.user.clone().map(|name| (key.user, name));
    let count = |tokens: i64| u64::try_from(tokens).unwrap_or_default();
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
                application: (key.application, session.application.clone()),
                user: user.clone(),
                model: (Some(row.model_id.into()), row.model.unwrap_or_else(|| "unknown".to_owned())),
                policy: row.policy,
                use_case: (!row.use_case.is_empty()).then_some(row.use_case),
                end,
                opens: true,
                whence: None,
            })
        })
        .collect()
}
