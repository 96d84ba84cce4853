//! Answers that are given again: whole ones only, to the very same call of the same application,
//! for as long as its key says. In the memory of this process, and bounded there.
//!
//! The call is decided and counted as any other before it gets an old answer; only the provider is
//! not asked, so it costs nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use domain::money::Money;
use http::{HeaderMap, HeaderValue, header};
use quick_cache::{Weighter, sync::Cache as Entries};
use serde_json::Value;

use crate::{Gateway, authorize::Authorized, exchange::Sent, wire::Route};

/// What all answers together may take.
const CAPACITY: u64 = 64 << 20;
/// A larger answer is not kept.
const ENTRY_MAX: usize = 1 << 20;
/// A first guess at how many there are; it also keeps the parts of the cache so few that an answer
/// fits into each.
const EXPECTED: usize = 256;
/// What an answer weighs besides its body.
const OVERHEAD: u64 = 256;

/// Headers that change what an answer says.
const TELLING: [&str; 3] = ["anthropic-version", "anthropic-beta", "openai-beta"];
/// Labels of ours in `metadata`: no provider reads them.
const LABELS: [&str; 4] = ["x-bursar-use-case", "bursar_use_case", "x-bursar-session", "bursar_session"];

/// An answer.
#[derive(Debug)]
pub struct Kept {
    since: Instant,
    /// Of the body.
    pub content_type: HeaderValue,
    /// As the client got it.
    pub body: Bytes,
    /// What it had cost.
    pub cost: Money,
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<[u8; 32], Arc<Kept>> for ByBytes {
    fn weight(&self, _: &[u8; 32], kept: &Arc<Kept>) -> u64 {
        kept.body.len() as u64 + OVERHEAD
    }
}

/// All of them.
#[derive(Debug)]
pub struct Cache(Entries<[u8; 32], Arc<Kept>, ByBytes, std::hash::RandomState>);

impl Default for Cache {
    fn default() -> Self {
        Self(Entries::with(
            EXPECTED,
            CAPACITY,
            ByBytes,
            std::hash::RandomState::new(),
            quick_cache::sync::DefaultLifecycle::default(),
        ))
    }
}

/// The place of a call's answer.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    key: [u8; 32],
    lasts: Duration,
    /// The caller wants a new answer, whatever is here.
    anew: bool,
}

impl Cache {
    /// The answer that is there and young enough.
    pub fn get(&self, slot: &Slot) -> Option<Arc<Kept>> {
        if slot.anew {
            return None;
        }
        self.0.get(&slot.key).filter(|kept| kept.since.elapsed() < slot.lasts)
    }

    fn keep(&self, slot: &Slot, kept: Kept) {
        if kept.body.len() <= ENTRY_MAX {
            self.0.insert(slot.key, Arc::new(kept));
        }
    }

    /// Keeps a whole answer.
    pub fn keep_whole(&self, slot: &Slot, headers: &HeaderMap, body: &Bytes, cost: Money) {
        if let Some(content_type) = headers.get(header::CONTENT_TYPE) {
            let (content_type, body) = (content_type.clone(), body.clone());
            self.keep(slot, Kept { since: Instant::now(), content_type, body, cost });
        }
    }
}

/// A stream that is being kept, as far as it has gone.
#[derive(Debug)]
pub struct Keeping {
    slot: Slot,
    sent: BytesMut,
    too_large: bool,
}

impl Keeping {
    /// From its beginning.
    pub fn new(slot: Slot) -> Self {
        Self { slot, sent: BytesMut::new(), too_large: false }
    }

    /// A piece goes to the client.
    pub fn add(&mut self, piece: &[u8]) {
        if self.too_large || self.sent.len() + piece.len() > ENTRY_MAX {
            (self.too_large, self.sent) = (true, BytesMut::new());
        } else {
            self.sent.extend_from_slice(piece);
        }
    }

    /// It came to its end.
    pub fn done(self, cache: &Cache, cost: Money) {
        if !self.too_large {
            let content_type = HeaderValue::from_static("text/event-stream");
            let body = self.sent.freeze();
            cache.keep(&self.slot, Kept { since: Instant::now(), content_type, body, cost });
        }
    }
}

/// Where a call's answer is kept; none when its key keeps none, or when the answer depends on more
/// than the call says.
pub fn slot(gateway: &Gateway, authorized: &Authorized, sent: &Sent<'_>) -> Option<Slot> {
    let application = authorized.caller.application()?;
    let seconds = application.handling.cache_seconds?;
    if authorized.route == Route::CountTokens || !authorized.request.says_all() {
        return None;
    }
    let told = |name: &str| sent.headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
    let asks = |word: &[u8]| {
        told(header::CACHE_CONTROL.as_str()).any(|value| memchr::memmem::find(value, word).is_some())
    };
    if asks(b"no-store") {
        return None;
    }
    let (model, provider) = authorized.model().zip(authorized.provider())?;
    // Every part ends with a zero, which none of them has in it.
    let mut call = Vec::with_capacity(authorized.request.body().len() + 512);
    let mut part = |bytes: &[u8]| {
        call.extend_from_slice(bytes);
        call.push(0);
    };
    let facts = &authorized.caller.snapshot.facts;
    part(facts.org.to_string().as_bytes());
    part(authorized.caller.secret.application.to_string().as_bytes());
    part(authorized.route.full_path().as_bytes());
    part(authorized.model.to_string().as_bytes());
    part(model.upstream.as_bytes());
    part(provider.base_url.as_bytes());
    part(sent.query.unwrap_or_default().as_bytes());
    // What is looked for in answers is looked for before they are kept: under other rules it is another answer.
    part(&serde_json::to_vec(&application.handling.guardrails).ok()?);
    for name in TELLING {
        told(name).for_each(&mut part);
        part(name.as_bytes());
    }
    part(canonical(authorized.request.body())?.as_bytes());
    let key = gateway.store.vault().hash(store::Purpose::Cache, &call);
    Some(Slot { key, lasts: Duration::from_secs(u64::from(seconds)), anew: asks(b"no-cache") })
}

/// A body in one way to write it: fields in the order of their names, nothing between them, without
/// what only we read.
fn canonical(body: &[u8]) -> Option<String> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    let fields = value.as_object_mut()?;
    // The model is part of the place already, whatever it was called by.
    fields.remove("model");
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        for label in LABELS {
            metadata.remove(label);
        }
        if metadata.is_empty() {
            fields.remove("metadata");
        }
    }
    Some(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_call_is_the_same_however_it_is_written() {
        let one = canonical(br#"{"model":"a","n":1,"messages":[{"role":"user","content":"\u0041"}]}"#);
        let other = canonical(
            br#" {"messages" : [{"content":"A","role":"user"}], "n":1, "model":"policy/b", "metadata":{"bursar_session":"s"}}"#,
        );
        assert!(one.is_some());
        assert_eq!(one, other);
        assert_ne!(one, canonical(br#"{"model":"a","n":2,"messages":[{"role":"user","content":"A"}]}"#));
        assert_ne!(one, canonical(br#"{"n":1,"messages":[{"role":"user","content":"A"}],"stream":true}"#));
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let cache = Cache::default();
        let slot = Slot { key: [7; 32], lasts: Duration::from_secs(60), anew: false };
        let mut keeping = Keeping::new(slot);
        keeping.add(&[b'x'; ENTRY_MAX]);
        keeping.add(b"y");
        keeping.add(b"z");
        keeping.done(&cache, Money(1));
        assert!(cache.get(&slot).is_none());
        let mut keeping = Keeping::new(slot);
        keeping.add(b"data: one\n\n");
        keeping.done(&cache, Money(1));
        assert_eq!(cache.get(&slot).expect("it").body, "data: one\n\n");
        assert!(cache.get(&Slot { lasts: Duration::ZERO, ..slot }).is_none(), "its time is over");
        assert!(cache.get(&Slot { anew: true, ..slot }).is_none(), "asked anew");
    }
}
