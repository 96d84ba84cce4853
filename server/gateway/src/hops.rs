//! A call to a policy: one model after another, until one answers.
//!
//! Each is decided and reserved for itself. One that the caller may not use, or that there is no
//! room for, is left out; one whose provider fails before anything was said is tried again or followed
//! by the next, as the policy says of it. Once an answer has begun it is the answer.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::response::Response;
use domain::{
    access::{Ask, Verdict, decide},
    ids::{ModelId, PolicyId},
    keys::Features,
    policies::StepRules,
};
use http::HeaderValue;
use tokio_util::sync::CancellationToken;

use crate::{
    Gateway,
    authenticate::{Caller, authenticate},
    authorize::no_such_model,
    exchange::{Failed, Sent, Turn, attempt, pause},
    routing::more_useful,
    wire::{
        refusal::{Kind, Refusal, Skipped},
        request::Request,
    },
};

/// Between two tries of one model, times the tries there were, where its provider names no time.
const BETWEEN: Duration = Duration::from_millis(250);

/// A provider that asks for a longer pause than this is not tried again by the same call.
const LONGEST: Duration = Duration::from_secs(2);

/// What was asked of a policy.
#[derive(Debug)]
pub struct Asked {
    pub caller: Caller,
    pub request: Request,
    /// The policy, and what the caller calls it.
    pub policy: (PolicyId, String),
    /// Its models, in the order they are tried.
    pub models: Vec<ModelId>,
    /// Those that are tried last because their provider asked for a pause.
    pub rest: Vec<ModelId>,
    /// Cancelled when the client has left: then nobody else is asked.
    pub left: Option<CancellationToken>,
}

/// Goes from model to model.
pub async fn hops(gateway: &Arc<Gateway>, asked: Asked, sent: Sent<'_>) -> Result<Response, Refusal> {
    let Asked { mut caller, request, policy: (policy, name), models, rest, left } = asked;
    let (first, features) = (caller.clone(), request.features);
    let (mut refused, mut failed) = (None::<Refusal>, None);
    let mut elsewhere = None;
    let mut skipped = Vec::new();
    let mut sent = sent;
    let mut tries = 0;
    let mut place = 0;
    while let Some(&model) = models.get(place) {
        if left.as_ref().is_some_and(CancellationToken::is_cancelled) {
            break;
        }
        if failed.is_some() {
            // Something was sent, and time has passed: who calls, and what holds, is asked anew.
            caller = authenticate(gateway, sent.headers).await?;
            sent.started = Instant::now();
        }
        let facts = &caller.snapshot.facts;
        let rules =
            facts.policies.values().find(|known| known.id == policy).map(|known| known.rules_of(model));
        let rules = rules.unwrap_or_default();
        let another = place + 1 < models.len();
        let usual = (another && request.stream).then_some(gateway.settings.patience.hop);
        sent.head = rules.first_byte.map(|seconds| Duration::from_secs(u64::from(seconds))).or(usual);
        let called = facts.models.get(&model).map(|model| model.name.clone());
        tries += 1;
        let turn = attempt(gateway, caller.clone(), request.clone(), (model, Some(policy)), sent).await;
        let next = match turn {
            Turn::Answered(mut response) => {
                let untried = models[place..].iter().skip(1).filter(|model| rest.contains(model));
                skipped.extend(untried.filter_map(|&model| resting(&caller, features, model)));
                say_skipped(&skipped, &mut response);
                return Ok(response);
            }
            Turn::Failed(turn) => {
                let next = after(&turn, rules, tries);
                tracing::debug!(call = %caller.id, policy = name, model = called, turn.reason, ?next, "a model failed");
                skipped.extend(called.map(|model| Skipped { model, reason: turn.reason }));
                failed = Some(turn.answer);
                next
            }
            Turn::Refused(refusal) => {
                // Of what is hidden, nothing is said.
                let called = called.filter(|_| refusal.kind != Kind::ModelNotFound);
                skipped.extend(called.map(|model| Skipped { model, reason: refusal.kind.code().to_owned() }));
                if refusal.kind == Kind::BadRequest && refusal.param == Some("model") {
                    elsewhere.get_or_insert_with(|| refusal.message.clone());
                }
                refused = Some(match refused {
                    Some(before) => more_useful(before, refusal),
                    None => refusal,
                });
                Next::Model
            }
        };
        match next {
            Next::Again(pause) => tokio::time::sleep(pause).await,
            Next::Model => (place, tries) = (place + 1, 0),
            Next::Nobody => break,
        }
    }
    if let Some(mut answer) = failed {
        match &mut answer {
            Ok(response) => say_skipped(&skipped, response),
            Err(refusal) => {
                refusal.detail.skipped = skipped;
                gateway.refused(&first, &name, features, refusal);
            }
        }
        return answer;
    }
    let mut refusal = match refused.filter(|refusal| refusal.kind != Kind::ModelNotFound) {
        Some(refusal) => refusal,
        // Whatever its models are called: that is not said.
        None => no_such_model(&first, &name),
    };
    // One that answers at another address may be all the caller needs.
    if let Some(elsewhere) = elsewhere.filter(|_| refusal.kind == Kind::RequiresApproval) {
        refusal.message = format!("{} {elsewhere}", refusal.message);
    }
    refusal.detail.skipped = skipped;
    gateway.refused(&first, &name, features, &refusal);
    Err(refusal)
}

/// A model that was not asked because it rests: said of those that the caller may use, and of no other.
fn resting(caller: &Caller, features: Features, model: ModelId) -> Option<Skipped> {
    let facts = &caller.snapshot.facts;
    let application = caller.application()?;
    let (group, user) = (application.group, caller.secret.user);
    let ask = Ask { group, user, application: Some(application), model, features };
    let may = decide(facts, &ask, caller.now).verdict == Verdict::Allow;
    let model = may.then(|| facts.models.get(&model)).flatten()?.name.clone();
    Some(Skipped { model, reason: "rests".to_owned() })
}

/// What is done after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The same model is tried again, after a pause.
    Again(Duration),
    /// The next one is.
    Model,
    /// It is the answer.
    Nobody,
}

/// What a policy does after a failure of one of its models, of which this was the `tries`th try.
fn after(turn: &Failed, rules: StepRules, tries: u8) -> Next {
    let said = turn.answer.as_ref().ok().and_then(|response| pause(response.headers()));
    let pause = said.unwrap_or(BETWEEN * u32::from(tries));
    if turn.again && tries < rules.attempts && pause <= LONGEST {
        return Next::Again(pause);
    }
    if rules.after.has(turn.trouble) { Next::Model } else { Next::Nobody }
}

/// `x-bursar-skipped: big-chat=budget_exceeded, other=upstream_503`.
fn say_skipped(skipped: &[Skipped], response: &mut Response) {
    let mut text = String::new();
    for Skipped { model, reason } in skipped {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{model}={reason}");
    }
    if !text.is_empty()
        && let Ok(value) = HeaderValue::from_str(&text)
    {
        response.headers_mut().insert("x-bursar-skipped", value);
    }
}
