//! What a caller has left: `GET /v1/me/limits`, and the rate-limit headers.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use domain::{
    access::{Applied, Facts, applicable},
    leases::Claim,
    limits::{Bucket, Level, Meter, Metric, Scope, Subject},
    money::Money,
    providers::Dialect,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use store::StoreError;

use crate::{
    Gateway,
    authenticate::Caller,
    authorize::{self, Passed},
    reserve::is_rate,
};

/// A limit that a caller's calls have to fit into.
struct Held<'a> {
    limit: Applied,
    /// The models whose calls count in it; none: all of them do.
    models: Option<Vec<&'a str>>,
}

/// Everything that may stop a caller: the limits that count each of its calls, then those that count by what
/// a call passes, with the models that pass by it. What would apply to a call of each model is asked for, as
/// it is when one is reserved.
fn held(caller: &Caller) -> Vec<Held<'_>> {
    let facts = &caller.snapshot.facts;
    let group = caller.application().and_then(|application| facts.groups.get(&application.group));
    let subject = Subject {
        path: group.map(|group| group.path.as_slice()).unwrap_or_default(),
        application: caller.secret.application,
        user: caller.secret.user,
        authorization: None,
        beside: None,
        grant: None,
    };
    let mut held: Vec<Held<'_>> =
        applicable(facts, &subject).into_iter().map(|limit| Held { limit, models: None }).collect();
    let always = held.len();
    let mut by_models: BTreeMap<Meter, (Applied, Vec<&str>)> = BTreeMap::new();
    for Passed { model, decision, beside } in authorize::passed(caller) {
        let subject = Subject { authorization: decision.rule, beside, grant: decision.grant, ..subject };
        let more = applicable(facts, &subject);
        for limit in more.into_iter().filter(|limit| held[..always].iter().all(|held| held.limit != *limit)) {
            by_models.entry(limit.meter).or_insert_with(|| (limit, Vec::new())).1.push(model);
        }
    }
    held.extend(by_models.into_values().map(|(limit, models)| Held { limit, models: Some(models) }));
    held
}

/// A caller's own limits, each with its level now.
pub async fn limits(gateway: &Gateway, caller: &Caller) -> Result<Value, StoreError> {
    let facts = &caller.snapshot.facts;
    let application = caller.application();
    let held = held(caller);
    let keys: Vec<_> = held
        .iter()
        .map(|Held { limit, .. }| (limit.meter, facts.calendar.span(limit.meter.window, caller.now)))
        .collect();
    let levels = store::limits::levels(&gateway.store, facts.org, &keys).await?;
    let list: Vec<Value> = held
        .iter()
        .zip(&keys)
        .zip(levels)
        .map(|((held, (meter, span)), level)| {
            let level = gateway.leases.put_right(facts.org, &Bucket::of(*meter, *span), level);
            written(facts, held, span.end, &level)
        })
        .collect();
    Ok(json!({
        "object": "limits",
        "organization": facts.org_name,
        "application": application.map(|application| &application.name),
        "group": application.map(|application| facts.scope_name(Scope::Group(application.group))),
        "user": caller.secret.user.map(|user| facts.scope_name(Scope::User(user))),
        "currency": "USD",
        "limits": list,
    }))
}

fn written(facts: &Facts, held: &Held<'_>, end: Option<DateTime<Utc>>, level: &Level) -> Value {
    let Held { limit, models } = held;
    let Meter { scope, metric, window } = limit.meter;
    let figure = |amount: i64| match metric {
        Metric::Spend => json!(Money(amount).exact()),
        _ => json!(amount),
    };
    json!({
        "scope": scope.kind().as_str(),
        "scope_id": scope.id(),
        "scope_name": facts.scope_name(scope),
        "models": models,
        "metric": metric.as_str(),
        "window": (metric != Metric::ConcurrentCalls).then_some(window.as_str()),
        "mode": limit.mode.as_str(),
        "cap": figure(limit.cap),
        "used": figure(level.settled),
        "reserved": figure(level.held),
        "remaining": figure(level.room(limit.cap)),
        "resets_at": end.map(|end| end.to_rfc3339_opts(SecondsFormat::Secs, true)),
    })
}

const fn names(text: [&'static str; 3]) -> [HeaderName; 3] {
    [HeaderName::from_static(text[0]), HeaderName::from_static(text[1]), HeaderName::from_static(text[2])]
}

/// Limit, what is left, and when it starts anew.
static OPENAI: [(Metric, [HeaderName; 3]); 2] = [
    (
        Metric::Requests,
        names(["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"]),
    ),
    (
        Metric::Tokens,
        names(["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]),
    ),
];

/// The same.
static ANTHROPIC: [(Metric, [HeaderName; 3]); 4] = [
    (
        Metric::Requests,
        names([
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ]),
    ),
    (
        Metric::Tokens,
        names([
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ]),
    ),
    (
        Metric::InputTokens,
        names([
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
        ]),
    ),
    (
        Metric::OutputTokens,
        names([
            "anthropic-ratelimit-output-tokens-limit",
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
        ]),
    ),
];

static BUDGET_REMAINING: HeaderName = HeaderName::from_static("x-bursar-budget-remaining-usd");

/// Rate-limit headers from the tightest limit of each kind, in the dialect's own spelling.
pub fn rate_headers(dialect: Dialect, levels: &[(Claim, Level)], headers: &mut HeaderMap) {
    let now = store::clock::now();
    let kinds: &[(Metric, [HeaderName; 3])] = match dialect {
        Dialect::OpenAi => &OPENAI,
        Dialect::Anthropic => &ANTHROPIC,
    };
    for (metric, [limit, remaining, resets]) in kinds {
        let of_kind = levels.iter().filter(|(claim, _)| {
            claim.bucket.meter.metric == *metric
                && claim.enforced
                && is_rate(claim.bucket.meter.metric, claim.bucket.meter.window)
        });
        let left =
            |(claim, level): &(Claim, Level)| level.room(claim.cap).saturating_sub(claim.amount).max(0);
        let Some(tightest) = of_kind.min_by_key(|entry| left(entry)) else { continue };
        let (claim, _) = tightest;
        let Some(end) = claim.bucket.ends_at else { continue };
        let reset = match dialect {
            Dialect::OpenAi => duration_text((end - now).num_seconds().max(0)),
            Dialect::Anthropic => end.to_rfc3339_opts(SecondsFormat::Secs, true),
        };
        headers.insert(limit, HeaderValue::from(claim.cap));
        headers.insert(remaining, HeaderValue::from(left(tightest)));
        if let Ok(reset) = HeaderValue::from_str(&reset) {
            headers.insert(resets, reset);
        }
    }
    let money =
        levels.iter().filter(|(claim, _)| claim.bucket.meter.metric == Metric::Spend && claim.enforced);
    if let Some(left) =
        money.map(|(claim, level)| level.room(claim.cap).saturating_sub(claim.amount).max(0)).min()
        && let Ok(value) = HeaderValue::from_str(&Money(left).exact())
    {
        headers.insert(&BUDGET_REMAINING, value);
    }
}

/// OpenAI's way to write a duration: `6m0s`.
fn duration_text(seconds: i64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_openai_writes_them() {
        assert_eq!(duration_text(1), "1s");
        assert_eq!(duration_text(360), "6m0s");
        assert_eq!(duration_text(90_061), "25h1m1s");
    }
}
