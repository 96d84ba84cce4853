//! A call to a policy: one model after another, until one answers.
//!
//! Each is decided and reserved for itself. One that the caller may not use, or that there is no
//! room for, is left out; one whose provider fails before anything was said is followed by the
//! next. Once an answer has begun it is the answer.

use std::{fmt::Write as _, sync::Arc, time::Instant};

use axum::response::Response;
use domain::ids::{ModelId, PolicyId};
use http::HeaderValue;
use tokio_util::sync::CancellationToken;

use crate::{
    Gateway,
    authenticate::{Caller, authenticate},
    authorize::no_such_model,
    exchange::{Sent, Turn, attempt},
    routing::more_useful,
    wire::{
        refusal::{Kind, Refusal, Skipped},
        request::Request,
    },
};

/// What was asked of a policy.
#[derive(Debug)]
pub struct Asked {
    pub caller: Caller,
    pub request: Request,
    /// The policy, and what the caller calls it.
    pub policy: (PolicyId, String),
    /// Its models, in the order they are tried.
    pub models: Vec<ModelId>,
    /// Cancelled when the client has left: then nobody else is asked.
    pub left: Option<CancellationToken>,
}

/// Goes from model to model.
pub async fn hops(gateway: &Arc<Gateway>, asked: Asked, sent: Sent<'_>) -> Result<Response, Refusal> {
    let Asked { mut caller, request, policy: (policy, name), models, left } = asked;
    let first = caller.clone();
    let (mut refused, mut failed) = (None::<Refusal>, None);
    let mut skipped = Vec::new();
    let mut sent = sent;
    for (place, &model) in models.iter().enumerate() {
        if left.as_ref().is_some_and(CancellationToken::is_cancelled) {
            break;
        }
        if failed.is_some() {
            // Something was sent, and time has passed: who calls, and what holds, is asked anew.
            caller = authenticate(gateway, sent.headers).await?;
            sent.started = Instant::now();
        }
        let patience = gateway.settings.patience;
        let another = place + 1 < models.len();
        sent.head = if another && request.stream { patience.hop.min(patience.head) } else { patience.head };
        let called = caller.snapshot.facts.models.get(&model).map(|model| model.name.clone());
        let turn = attempt(gateway, caller.clone(), request.clone(), (model, Some(policy)), sent).await;
        let reason = match turn {
            Turn::Answered(mut response) => {
                say_skipped(&skipped, &mut response);
                return Ok(response);
            }
            Turn::Failed(answer, reason) => {
                failed = Some(answer);
                reason
            }
            Turn::Refused(refusal) => {
                let reason = refusal.kind.code();
                let hidden = refusal.kind == Kind::ModelNotFound;
                refused = Some(match refused {
                    Some(before) => more_useful(before, refusal),
                    None => refusal,
                });
                if hidden {
                    continue;
                }
                reason.to_owned()
            }
        };
        tracing::debug!(call = %caller.id, policy = name, model = called, reason, "a policy goes on");
        skipped.extend(called.map(|model| Skipped { model, reason }));
    }
    if let Some(mut answer) = failed {
        match &mut answer {
            Ok(response) => say_skipped(&skipped, response),
            Err(refusal) => refusal.detail.skipped = skipped,
        }
        return answer;
    }
    let mut refusal = match refused.filter(|refusal| refusal.kind != Kind::ModelNotFound) {
        Some(refusal) => refusal,
        // Whatever its models are called: that is not said.
        None => no_such_model(&first, &name),
    };
    refusal.detail.skipped = skipped;
    gateway.refused(&first, &name, &refusal);
    Err(refusal)
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
