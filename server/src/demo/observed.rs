//! What rules and limits that only observe have noted in those three months: found by asking the same
//! function that the gateway asks.

use chrono::Duration;
use domain::{
    access::{Ask, Facts, Verdict, decide, observe},
    keys::Features,
    limits::{Metric, Scope as Counted},
    window::Window,
};
use serde_json::json;
use store::ledger::{Event, Observer, Refusal};

use super::{acme, acme::DAYS, refusals::add_limit, script::Scope, stage::Stage};
use crate::Fatal;

/// The limit that observes, from which day on it had no room, and every how manieth call met it.
const LIMIT: (Scope, Metric, Window) = (Scope::Group("Sales"), Metric::Spend, Window::Month);
const SINCE: i64 = DAYS - 9;
const EVERY: usize = 5;

/// What was noted of calls that passed.
pub fn noted(stage: &Stage, facts: &Facts, events: &[Event]) -> Result<Vec<Refusal>, Fatal> {
    let mut noted = Vec::new();
    for event in events {
        noted.extend(by_rule(stage, facts, event));
    }
    let (scope, metric, window) = (stage.scope(LIMIT.0)?, LIMIT.1, LIMIT.2);
    let limits = facts.limits.get(&scope).map_or(&[][..], Vec::as_slice);
    let limit = limits.iter().find(|limit| limit.meter.metric == metric && limit.meter.window == window);
    let (Counted::Group(group), Some(id)) = (scope, limit.and_then(|limit| limit.id)) else {
        return Ok(noted);
    };
    let since = stage.start + Duration::days(SINCE);
    let met =
        events.iter().filter(|event| event.call.started_at >= since && event.call.path.contains(&group));
    for event in met.step_by(EVERY) {
        let mut refusal = refusal(facts, event, 402, "budget_exceeded", Observer::Limit(id));
        add_limit(&mut refusal.detail, facts, scope, metric, window, event.call.started_at);
        refusal.message = format!("{} has used its money this month.", facts.scope_name(scope));
        noted.push(refusal);
    }
    Ok(noted)
}

/// What the rules that only observe would have made of a call, once they were there.
fn by_rule(stage: &Stage, facts: &Facts, event: &Event) -> Option<Refusal> {
    let first = acme::RULES.iter().filter(|rule| rule.observes).map(|rule| rule.day).min()?;
    if event.call.started_at < stage.start + Duration::days(first + 1) {
        return None;
    }
    let application = facts.applications.get(&event.call.application)?;
    let ask = Ask {
        group: application.group,
        user: event.call.user,
        application: Some(application),
        model: event.call.model,
        features: Features::default(),
    };
    let at = event.call.started_at;
    let observed = observe(facts, &ask, &decide(facts, &ask, at), at)?;
    let name = facts.scope_name(Counted::Authorization(observed.rule));
    let (status, code, says) = match observed.verdict {
        Verdict::NeedsApproval => (403, "model_requires_approval", "by request only"),
        _ => (404, "model_not_found", "closed"),
    };
    let mut refusal = refusal(facts, event, status, code, Observer::Rule(observed.rule));
    refusal.message =
        format!("The rule {name} only observes. It says {says}, and would have refused this call.");
    refusal.detail["scope"] = json!("authorization");
    refusal.detail["scope_id"] = json!(observed.rule.to_string());
    refusal.detail["scope_name"] = json!(name);
    Some(refusal)
}

fn refusal(facts: &Facts, event: &Event, status: u16, code: &str, observer: Observer) -> Refusal {
    let call = &event.call;
    Refusal {
        id: call.id,
        org: call.org,
        at: call.started_at,
        application: call.application,
        secret: call.secret,
        path: call.path.clone(),
        user: call.user,
        member_of: call.member_of.clone(),
        model: facts.models.get(&call.model).map(|model| model.name.clone()).unwrap_or_default(),
        client_request: String::new(),
        model_id: Some(call.model),
        features: call.features,
        status,
        code: code.to_owned(),
        message: String::new(),
        detail: json!({ "reason": code, "request_id": call.id.to_string() }),
        observer: Some(observer),
    }
}
