//! Step 1: whose secret is it?

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{access::ApplicationFacts, ids::CallId, keys::Features, refusals::Told};
use http::{HeaderMap, HeaderName, header};
use store::keys::KnownSecret;

use crate::{
    Gateway, authorize,
    guard::without_secrets,
    refused::Unknown,
    snapshot::Snapshot,
    wire::refusal::{Kind, Refusal},
};

const UNCERTAIN: &str = "Bursar cannot check its rules and limits right now, so it does not let this call through. Try again in a moment.";

/// Somebody who sent a live secret.
#[derive(Clone, Debug)]
pub struct Caller {
    pub snapshot: Arc<Snapshot>,
    pub secret: KnownSecret,
    /// The call, from now on.
    pub id: CallId,
    pub now: DateTime<Utc>,
    /// What it calls its request; empty where it does not say.
    pub client_request: String,
}

impl Caller {
    /// The application that calls. Secrets are only listed together with theirs.
    pub fn application(&self) -> Option<&ApplicationFacts> {
        self.snapshot.facts.applications.get(&self.secret.application)
    }
}

/// Where clients put their secret, besides a bearer token.
static ELSEWHERE: [HeaderName; 2] =
    [HeaderName::from_static("x-api-key"), HeaderName::from_static("api-key")];

/// The secret in a request: a bearer token, or one of the two headers that clients use.
fn secret(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let bearer = text(&header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let elsewhere = ELSEWHERE.iter().filter_map(text);
    bearer.into_iter().chain(elsewhere).find(|text| !text.is_empty())
}

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a caller calls its request. It may be anything, also a secret that was meant for another header.
fn client_request(headers: &HeaderMap) -> String {
    let text = headers.get(&REQUEST_ID).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    text.map(|text| domain::calls::client_request(&without_secrets(text))).unwrap_or_default()
}

/// Finds out who calls.
pub async fn authenticate(gateway: &Gateway, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let (id, now): (CallId, _) = (store::clock::id(), store::clock::now());
    let refuse = |message: &str| Refusal::new(Kind::InvalidSecret, id, message);
    let Some(text) = secret(headers) else {
        let message = "Send your Bursar secret as a bearer token, in x-api-key or in api-key.";
        return Err(refuse(message).because(Told::NoSecret));
    };
    let unknown = |told: Told| {
        refuse("This secret is not known here. It may have been mistyped, rotated or revoked.").because(told)
    };
    let hash = store::keys::lookup_hash(&gateway.store, text).ok_or_else(|| unknown(Told::NotASecret))?;
    let found = gateway.snapshots.find(&gateway.store, &hash).await.map_err(|error| {
        tracing::warn!(%error, call = %id, "facts are not available");
        Refusal::new(Kind::Unavailable, id, UNCERTAIN)
    })?;
    let caller =
        |snapshot, secret| Caller { snapshot, secret, id, now, client_request: client_request(headers) };
    let Some((snapshot, secret)) = found else {
        if let Some((snapshot, secret)) = gateway.snapshots.fallen(&hash) {
            let caller = caller(snapshot, secret);
            if let Some(refusal) = authorize::fallen(&caller) {
                gateway.refused(&caller, "", Features::default(), &refusal);
                return Err(refusal);
            }
        }
        let refusal = unknown(Told::UnknownSecret);
        // Perhaps it was somebody's once: that is looked up beside the call.
        gateway.booking.push_unknown(Unknown { hash, at: now, refusal: refusal.clone() });
        return Err(refusal);
    };
    let caller = caller(snapshot, secret);
    if caller.secret.expires_at.is_some_and(|end| end <= now) {
        let message = "This secret was rotated and its grace period is over. Use the new one.";
        let refusal = refuse(message).because(Told::RotatedSecret);
        gateway.refused(&caller, "", Features::default(), &refusal);
        return Err(refusal);
    }
    if caller.application().is_none() {
        return Err(unknown(Told::UnknownSecret));
    }
    Ok(caller)
}
