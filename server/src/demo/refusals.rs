//! Calls that were refused in those three months, each with the detail its caller got.

use chrono::{DateTime, Duration, Utc};
use domain::{
    access::Facts,
    ids::CallId,
    keys::{Feature, Features},
    limits::{Meter, Metric, Scope as Counted},
    window::Window,
};
use rand::{Rng, RngExt, rngs::Xoshiro256PlusPlus};
use serde_json::{Value, json};
use store::ledger::Refusal;

use super::{
    acme::DAYS,
    calls::{Caller, Line},
    script::Scope,
    stage::Stage,
};
use crate::Fatal;

/// Who asked for what, and what they were told.
struct Refused {
    program: &'static str,
    /// Only this person.
    by: Option<&'static str>,
    model: &'static str,
    status: u16,
    code: &'static str,
    /// The limit that had no room.
    limit: Option<(Scope, Metric, Window)>,
    /// From this day to that one.
    days: (i64, i64),
    /// Of ten thousand calls of everybody.
    share: usize,
}

const fn refused(
    program: &'static str,
    model: &'static str,
    status: u16,
    code: &'static str,
    share: usize,
) -> Refused {
    Refused { program, by: None, model, status, code, limit: None, days: (20, DAYS), share }
}

const REFUSED: [Refused; 9] = [
    refused("campaign-writer", "claude-sonnet-4-5", 403, "model_not_allowed", 18),
    refused("support-assist", "claude-sonnet-4-5", 404, "model_not_found", 22),
    refused("copy-desk", "claude-sonnet-4-5", 403, "model_requires_approval", 24),
    refused("sql-helper", "o3", 403, "model_requires_approval", 12),
    refused("lead-scoring", "gpt-4.1", 404, "model_not_found", 6),
    refused("ticket-router", "gpt-4.1-nano", 403, "feature_not_allowed", 9),
    Refused {
        limit: Some((Scope::Application("query-rewriter"), Metric::Requests, Window::Minute)),
        ..refused("query-rewriter", "gpt-4.1-nano", 429, "rate_limit_exceeded", 60)
    },
    Refused {
        limit: Some((Scope::Application("code-review"), Metric::Spend, Window::Month)),
        days: (DAYS - 6, DAYS - 5),
        ..refused("code-review", "claude-sonnet-4-5", 402, "budget_exceeded", 16)
    },
    Refused {
        by: Some("jo"),
        limit: Some((Scope::User("jo"), Metric::Spend, Window::Month)),
        days: (DAYS - 2, DAYS),
        ..refused("support-assist", "claude-haiku-4-5", 402, "budget_exceeded", 5)
    },
];

/// Makes the refusals that belong to `total` calls.
pub fn refusals(
    stage: &Stage,
    facts: &Facts,
    lines: &[Line],
    total: usize,
    now: DateTime<Utc>,
    rng: &mut Xoshiro256PlusPlus,
) -> Result<Vec<Refusal>, Fatal> {
    let mut made = Vec::new();
    for refused in &REFUSED {
        let Some(line) = lines.iter().find(|line| line.program.name == refused.program) else { continue };
        let only = refused.by.map(|key| stage.user(key)).transpose()?;
        let callers: Vec<Caller> =
            line.callers.iter().filter(|caller| only.is_none() || caller.user == only).copied().collect();
        if callers.is_empty() {
            continue;
        }
        for _ in 0..(refused.share * total).div_ceil(10_000) {
            let caller = callers[rng.random_range(0..callers.len())];
            let minute = rng.random_range(refused.days.0 * 24 * 60..refused.days.1 * 24 * 60);
            let at = stage.start
                + Duration::minutes(minute)
                + Duration::microseconds(rng.random_range(0..60_000_000));
            if caller.since < at && at < now {
                made.extend(refusal(stage, facts, refused, &caller, at, rng)?);
            }
        }
    }
    made.sort_by_key(|refusal| (refusal.at, refusal.id));
    Ok(made)
}

fn refusal(
    stage: &Stage,
    facts: &Facts,
    refused: &Refused,
    caller: &Caller,
    at: DateTime<Utc>,
    rng: &mut Xoshiro256PlusPlus,
) -> Result<Option<Refusal>, Fatal> {
    let mut random = [0; 10];
    rng.fill_bytes(&mut random);
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
    let id = CallId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid());
    let Some(application) = facts.applications.get(&caller.application) else { return Ok(None) };
    let Some(group) = facts.groups.get(&application.group) else { return Ok(None) };
    let user = caller.user.and_then(|id| facts.users.get(&id));
    let mut detail = json!({
        "reason": refused.code,
        "contact": facts.contact_for(Some(application.group)),
        "request_url": match refused.code {
            "model_requires_approval" => format!("/requests/new?model={}&group={}", refused.model, application.group),
            "budget_exceeded" => match refused.limit {
                Some((scope, metric, window)) => {
                    let meter = Meter { scope: stage.scope(scope)?, metric, window };
                    format!("/requests/raise?limit={}&group={}", meter.key(), application.group)
                }
                None => "/my-models".to_owned(),
            },
            _ => "/my-models".to_owned(),
        },
        "request_id": id.to_string(),
    });
    if let Some((scope, metric, window)) = refused.limit {
        add_limit(&mut detail, facts, stage.scope(scope)?, metric, window, at);
    }
    Ok(Some(Refusal {
        id,
        org: stage.org,
        at,
        application: caller.application,
        secret: caller.secret,
        path: group.path.clone(),
        user: caller.user,
        member_of: user.map(|user| store::ledger::member_of(facts, user, at)).unwrap_or_default(),
        model: refused.model.to_owned(),
        client_request: String::new(),
        model_id: facts.model_names.get(refused.model).copied(),
        features: match refused.code {
            "feature_not_allowed" => Features::default().with(Feature::Tools),
            _ => Features::default(),
        },
        status: refused.status,
        code: refused.code.to_owned(),
        message: sentence(refused, &detail),
        detail,
        observer: None,
    }))
}

/// What the caller read, in the gateway's words.
fn sentence(refused: &Refused, detail: &Value) -> String {
    let (model, program) = (refused.model, refused.program);
    match refused.code {
        "model_not_found" => {
            format!("There is no model {model} for this key. GET /v1/models lists what there is.")
        }
        "model_not_allowed" => format!("The key of {program} is narrowed to other models than {model}."),
        "model_requires_approval" => {
            format!("{model} is open to your group by request only, and nobody has agreed yet.")
        }
        "feature_not_allowed" => {
            format!("The key of {program} has a feature turned off that this call needs.")
        }
        _ => {
            let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
            let figure = match text("metric").as_str() {
                "spend" => format!("${}", text("cap")),
                _ => format!("{} {}", detail["cap"], text("metric")),
            };
            format!("{} has used {figure} of {figure} this {}.", text("scope_name"), text("window"))
        }
    }
}

/// Which limit had no room, as the gateway says it.
pub fn add_limit(
    detail: &mut Value,
    facts: &Facts,
    scope: Counted,
    metric: Metric,
    window: Window,
    at: DateTime<Utc>,
) {
    let limits = facts.limits.get(&scope).map_or(&[][..], Vec::as_slice);
    let Some(limit) =
        limits.iter().find(|limit| limit.meter.metric == metric && limit.meter.window == window)
    else {
        return;
    };
    let figure = |amount: i64| match metric {
        Metric::Spend => json!(domain::money::Money(amount).exact()),
        _ => json!(amount),
    };
    let more = json!({
        "scope": scope.kind().as_str(),
        "scope_id": scope.id().unwrap_or_else(|| facts.org.to_string()),
        "scope_name": facts.scope_name(scope),
        "metric": metric.as_str(),
        "window": window.as_str(),
        "cap": figure(limit.cap),
        "used": figure(limit.cap),
        "reserved": figure(0),
        "resets_at": facts.calendar.span(window, at).end.map(|end| end.to_rfc3339()),
    });
    if let (Value::Object(detail), Value::Object(more)) = (detail, more) {
        detail.extend(more);
    }
}
