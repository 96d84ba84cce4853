//! An answer for people, and for programs.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use domain::{
    access::{Applied, Decision, Facts, PolicyFacts, Step, Verdict},
    authorizations::{State, Target},
    ids::ModelId,
    keys::KeyModels,
    limits::{Level, Mode},
    models::Modality,
    policies::Routing,
    providers::Dialect,
    why::{self, grant, place},
    window::Span,
};
use serde_json::{Value, json};

use super::{Answer, subject::Subject};

/// Answers in the order people care for.
pub fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Allow => 0,
        Verdict::NeedsApproval => 1,
        Verdict::Deny(_) => 2,
    }
}

/// The sentence, then what it rests on.
pub fn text(facts: &Facts, answer: &Answer<'_>, now: DateTime<Utc>) -> String {
    let full = if answer.full { " But a limit has no room: a call is refused for now." } else { "" };
    let mut text = format!("{}{full}\n\n", sentence(facts, answer));
    // Writing into a string does not fail.
    for (step, set_by) in answer.steps.iter().zip(&answer.set_by) {
        match step {
            // As the page about it says it: it is open, and for now there is nothing left.
            Step::Verdict(Verdict::Allow) if answer.full => {
                text.push_str("  Verdict: allowed, and no room for now.\n")
            }
            _ => {
                let _ = writeln!(text, "  {}", step_line(facts, *step, &answer.decision));
            }
        }
        if let Some((who, at)) = set_by {
            let _ = writeln!(text, "      set by {who}, {}", moment(*at));
        }
    }
    for (place, help) in answer.help.iter().enumerate() {
        let head = if place == 0 { "To a yes" } else { "" };
        let gap = if place == 0 { "\n" } else { "" };
        let _ = writeln!(text, "{gap}  {head:<8} {help}");
    }
    let _ = writeln!(text, "\n  Model   {}", model_line(facts, answer.model, now));
    if let Some((_, application)) = answer.subject.application {
        let models = match &application.models {
            KeyModels::All => "every model of its group".to_owned(),
            KeyModels::These(models) => {
                let names =
                    models.iter().filter_map(|id| facts.models.get(id)).map(|model| model.name.as_str());
                format!("only {}", names.collect::<Vec<_>>().join(", "))
            }
        };
        let features: Vec<&str> = application.features.iter().map(|feature| feature.as_str()).collect();
        let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
        let _ = writeln!(text, "  Key     {models}; features: {features}");
    }
    for (place, (applied, span, level, fits)) in answer.limits.iter().enumerate() {
        let head = if place == 0 { "Limits" } else { "" };
        let _ = writeln!(text, "  {head:<7} {}", limit_line(facts, applied, (*span, *level, *fits)));
    }
    text
}

/// How a policy chooses among its models, and which of them a call of somebody would come to.
pub fn policy_text(
    facts: &Facts,
    name: &str,
    policy: &PolicyFacts,
    subject: &Subject<'_>,
    answers: &[Answer<'_>],
) -> String {
    let model = |id: &ModelId| facts.target_name(Target::Model(*id));
    let steps: Vec<String> = policy
        .steps
        .iter()
        .map(|(id, weight)| match policy.routing {
            Routing::Fallback => model(id),
            Routing::Balance => format!("{} {weight}", model(id)),
        })
        .collect();
    let steps = match policy.routing {
        Routing::Fallback => format!("asks in this order: {}", steps.join(", ")),
        Routing::Balance => format!("balances by weight: {}", steps.join(", ")),
    };
    let open: Vec<ModelId> =
        answers.iter().filter(|answer| answer.goes()).map(|answer| answer.model).collect();
    let who = format!("{} in {}", subject.name, subject.path);
    let goes = |open: &[ModelId]| match (policy.routing, open) {
        (Routing::Balance, [_, _, ..]) => {
            format!("goes to one of {}", open.iter().map(model).collect::<Vec<_>>().join(", "))
        }
        (_, open) => format!("goes to {} first", open.first().map(model).unwrap_or_default()),
    };
    // Nothing is translated: a call comes to models of its own dialect and kind alone.
    let mut doors: Vec<(&str, Vec<ModelId>)> = Vec::new();
    for id in &open {
        let door = door(facts, *id);
        match doors.iter_mut().find(|(known, _)| *known == door) {
            Some((_, models)) => models.push(*id),
            None => doors.push((door, vec![*id])),
        }
    }
    let comes_to = match doors.as_slice() {
        [] => format!("{who} can use none of them now: a call is refused."),
        [(_, models)] => format!("A call of {who} {}.", goes(models)),
        several => {
            let each = several.iter().map(|(door, models)| format!("to {door} {}", goes(models)));
            format!("Nothing is translated. A call of {who} {}.", each.collect::<Vec<_>>().join("; "))
        }
    };
    let mut text = format!("policy/{name} {steps}. {comes_to}\n\n");
    for (place, answer) in (1..).zip(answers) {
        let asked = open.iter().filter(|id| door(facts, **id) == door(facts, answer.model));
        let first = asked.clone().next() == Some(&answer.model);
        let ruling = match answer.decision.verdict {
            Verdict::Allow if answer.full => "left out for now: a limit has no room for a call".to_owned(),
            Verdict::Allow => {
                let when = match policy.routing {
                    Routing::Balance => "may answer",
                    Routing::Fallback if first => "answers",
                    Routing::Fallback => "is asked when those before it fail",
                };
                format!("{when}, at {}", door(facts, answer.model))
            }
            Verdict::NeedsApproval => "left out: somebody has to agree first".to_owned(),
            Verdict::Deny(reason) => {
                let ask = subject.ask(answer.model);
                format!("left out: {}", why::why_not(facts, &ask, reason, store::clock::now()))
            }
        };
        let _ = writeln!(text, "  {place}. {}: {ruling}", model(&answer.model));
    }
    text
}

/// Where a model is called.
fn door(facts: &Facts, id: ModelId) -> &'static str {
    let Some(model) = facts.models.get(&id) else { return "no address" };
    match (facts.providers.get(&model.provider).map(|provider| provider.dialect), model.modality) {
        (Some(Dialect::Anthropic), _) => "/v1/messages",
        (_, Modality::Embedding) => "/v1/embeddings",
        _ => "/v1/chat/completions and /v1/responses",
    }
}

/// The same for programs.
pub fn policy_json(facts: &Facts, name: &str, policy: &PolicyFacts, answers: &[Answer<'_>]) -> Value {
    let hop = |answer: &Answer<'_>| {
        let mut hop = json(facts, answer);
        hop["goes"] = json!(answer.goes());
        hop["at"] = json!(door(facts, answer.model));
        hop
    };
    let answers: Vec<Value> = answers.iter().map(hop).collect();
    json!({ "policy": name, "routing": policy.routing, "answers": answers })
}

fn sentence(facts: &Facts, answer: &Answer<'_>) -> String {
    let subject = &answer.subject;
    let who = format!("{} in {}", subject.name, subject.path);
    let steps = (answer.steps.as_slice(), answer.asked.is_some());
    why::sentence(facts, &who, &subject.ask(answer.model), &answer.decision, steps, store::clock::now())
}

fn step_line(facts: &Facts, step: Step, decision: &Decision) -> String {
    match step {
        Step::Rule { group, target, state, locked, decides } => {
            let locked = if locked { ", locked" } else { "" };
            let decides = if decides && why::rule_decides(decision) { "  ← decides" } else { "" };
            let state = state.label().to_lowercase();
            format!("{}: {} is {state}{locked}{decides}", place(facts, group), facts.target_name(target))
        }
        Step::Grant(id) => format!("{}  ← decides", why::lifts(facts, id)),
        Step::Observed(observed) => {
            let says = if observed.verdict == Verdict::NeedsApproval { "by request" } else { "closed" };
            let what = facts.target_name(observed.target);
            format!("{}: {what} is {says}, only observed: it would refuse this", place(facts, observed.group))
        }
        Step::Verdict(Verdict::Allow) => "Verdict: allowed.".to_owned(),
        Step::Verdict(Verdict::NeedsApproval) => "Verdict: somebody has to agree first.".to_owned(),
        Step::Verdict(Verdict::Deny(reason)) => format!("Verdict: denied ({}).", reason.as_str()),
    }
}

/// `2026-12-01T00:00:00Z`.
pub fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn model_line(facts: &Facts, id: ModelId, now: DateTime<Utc>) -> String {
    let Some(model) = facts.models.get(&id) else { return "unknown".to_owned() };
    let tier = facts.tiers.get(&model.tier);
    let tier_name = tier.map_or("?", |tier| &tier.name);
    let high_cost = if tier.is_some_and(|tier| tier.high_cost) { " (high-cost)" } else { "" };
    let provider = facts.providers.get(&model.provider).map_or("?", |provider| &provider.name);
    let prices = match model.prices_at(now) {
        Some(prices) => {
            let each = prices.set().map(|(key, price)| format!("{} {price}", key.label().to_lowercase()));
            format!("{} per million", each.collect::<Vec<_>>().join(", "))
        }
        None => "no price".to_owned(),
    };
    format!("{} at {provider}, tier {tier_name}{high_cost}, {}; {prices}", model.name, model.review)
}

fn limit_line(facts: &Facts, applied: &Applied, (span, level, fits): (Span, Level, bool)) -> String {
    let metric = applied.meter.metric;
    let held = if level.held > 0 { format!(" and {} held", metric.show(level.held)) } else { String::new() };
    let full = if fits { "" } else { "  ← no room" };
    let observed = if applied.mode == Mode::Observe { ", only observed" } else { "" };
    let until = span.end.map(|end| format!(", until {}", moment(end))).unwrap_or_default();
    format!(
        "{}: {} used{held} of {}{observed}{until}{full}",
        facts.scope_name(applied.meter.scope),
        metric.show(level.settled),
        applied.meter.show_cap(applied.cap),
    )
}

/// The same for programs: ids beside names, amounts as integers.
pub fn json(facts: &Facts, answer: &Answer<'_>) -> Value {
    let subject = &answer.subject;
    let (verdict, reason) = match answer.decision.verdict {
        Verdict::Allow => ("allow", None),
        Verdict::NeedsApproval => ("needs_approval", None),
        Verdict::Deny(reason) => ("deny", Some(reason.as_str())),
    };
    let trace: Vec<Value> = answer
        .steps
        .iter()
        .zip(&answer.set_by)
        .filter_map(|(step, set_by)| {
            let mut step = step_json(facts, *step, &answer.decision)?;
            if let Some((who, at)) = set_by {
                step["set_by"] = json!(who);
                step["set_at"] = json!(at);
            }
            Some(step)
        })
        .collect();
    let limits: Vec<Value> = answer
        .limits
        .iter()
        .map(|(applied, span, level, fits)| limit_json(facts, applied, (*span, *level, *fits)))
        .collect();
    json!({
        "sentence": sentence(facts, answer),
        "no_room": answer.full,
        "verdict": verdict,
        "reason": reason,
        "user": subject.user,
        "application": subject.application.map(|(id, _)| id),
        "group": subject.group,
        "group_path": subject.path,
        "model": answer.model,
        "authorization": answer.decision.rule,
        "grant": answer.decision.grant,
        "trace": trace,
        "would_help": answer.help,
        "waiting_request": answer.asked,
        "limits": limits,
    })
}

fn step_json(facts: &Facts, step: Step, decision: &Decision) -> Option<Value> {
    match step {
        Step::Rule { group, target, state, locked, decides } => Some(json!({
            "place": group,
            "place_name": place(facts, group),
            "target": facts.target_name(target),
            "state": State::as_str(state),
            "locked": locked,
            "decides": decides && why::rule_decides(decision),
        })),
        Step::Grant(id) => {
            let until = grant(facts, id).map(|(_, ends_at)| ends_at);
            Some(json!({ "grant": id, "until": until, "decides": true }))
        }
        Step::Observed(observed) => Some(json!({
            "observed": observed.rule,
            "place": observed.group,
            "place_name": place(facts, observed.group),
            "target": facts.target_name(observed.target),
            "would_be": if observed.verdict == Verdict::NeedsApproval { "by_request" } else { "closed" },
        })),
        // It stands beside the trace already.
        Step::Verdict(_) => None,
    }
}

fn limit_json(facts: &Facts, applied: &Applied, (span, level, fits): (Span, Level, bool)) -> Value {
    json!({
        "scope": applied.meter.scope.kind(),
        "scope_name": facts.scope_name(applied.meter.scope),
        "metric": applied.meter.metric,
        "window": applied.meter.window,
        "mode": applied.mode,
        "cap": applied.cap,
        "settled": level.settled,
        "held": level.held,
        "resets_at": span.end,
        "fits": fits,
    })
}
