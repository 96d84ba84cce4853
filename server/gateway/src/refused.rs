//! What is kept of refused calls: found again by the request id that their callers were told.
//!
//! A rule's, a limit's and a key's refusals are kept one by one. What is nobody's rule (a body that is
//! not well formed, a provider that is down, our own trouble) and what comes with a dead secret is kept
//! within bounds, because it costs its sender nothing: the first few of a second, and one more that says
//! how many there were. Of what is not kept, the request id says why by itself (`domain::refusals`).

use std::{collections::HashMap, mem};

use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::{
    ids::{CallId, OrgId, SecretId},
    keys::Features,
    providers::Dialect,
};
use parking_lot::Mutex;
use store::{
    StoreError,
    ledger::{Observer, Refusal as Record},
    refusals::Dead,
};

use crate::{
    Gateway,
    authenticate::Caller,
    authorize::Authorized,
    guard::without_secrets,
    wire::refusal::{Kind, Refusal},
};

/// How many of one kind are kept of one secret and second.
const A_SECOND: u32 = 10;

/// Unknown secrets that wait to be looked up; beyond that they stay unknown.
const UNKNOWN: usize = 200;

/// A call with a well-formed secret that opens nothing.
#[derive(Clone, Debug)]
pub struct Unknown {
    /// As it would be looked up.
    pub hash: [u8; 32],
    /// When.
    pub at: DateTime<Utc>,
    /// What its caller was told.
    pub refusal: Refusal,
}

/// Unknown secrets that wait to be looked up.
#[derive(Debug, Default)]
pub struct Unknowns(Mutex<Vec<Unknown>>);

impl Unknowns {
    pub fn push(&self, unknown: Unknown) {
        let mut waiting = self.0.lock();
        if waiting.len() < UNKNOWN {
            waiting.push(unknown);
        }
    }

    pub fn take(&self) -> Vec<Unknown> {
        mem::take(&mut *self.0.lock())
    }

    pub fn wait(&self) -> bool {
        !self.0.lock().is_empty()
    }
}

/// One second of one kind of refusals of one secret.
#[derive(Debug)]
struct Second {
    second: i64,
    kept: u32,
    /// The last one that was not kept by itself, and how many there were.
    left: Option<(Box<Record>, u64)>,
}

/// What is kept within bounds.
#[derive(Debug, Default)]
pub struct Bounded(Mutex<HashMap<(SecretId, &'static str), Second>>);

impl Bounded {
    /// What of it is kept by itself now: this one, if there are few, and what the second before left.
    pub fn take(&self, kind: Kind, record: Record) -> impl Iterator<Item = Record> + use<> {
        let second = record.at.timestamp();
        let mut seconds = self.0.lock();
        let new = Second { second, kept: 0, left: None };
        let known = seconds.entry((record.secret, kind.code())).or_insert(new);
        let mut over = None;
        if known.second != second {
            over = mem::replace(known, Second { second, kept: 0, left: None }).left;
        }
        let kept = if known.kept < A_SECOND {
            known.kept += 1;
            Some(record)
        } else {
            let count = known.left.take().map_or(0, |(_, count)| count);
            known.left = Some((Box::new(record), count + 1));
            None
        };
        kept.into_iter().chain(over.map(summed_up))
    }

    /// What seconds left that are over.
    pub fn over(&self, now: DateTime<Utc>) -> Vec<Record> {
        let now = now.timestamp();
        let mut left = Vec::new();
        self.0.lock().retain(|_, second| {
            let over = second.second < now;
            if over {
                left.extend(second.left.take().map(summed_up));
            }
            !over
        });
        left
    }
}

/// The last of many, with how many there were.
fn summed_up((mut record, count): (Box<Record>, u64)) -> Record {
    if let Some(detail) = record.detail.as_object_mut() {
        detail.insert("times".to_owned(), count.into());
    }
    *record
}

/// Whether it is kept within bounds only.
const fn is_bounded(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::InvalidSecret
            | Kind::BadRequest
            | Kind::TooLarge
            | Kind::Unavailable
            | Kind::UpstreamError
            | Kind::UpstreamTimeout
    )
}

impl Gateway {
    /// Takes a refusal down, with what the call would have used of its key, without keeping the caller
    /// waiting. A call that is in the books is there already.
    pub(crate) fn refused(&self, caller: &Caller, model: &str, features: Features, refusal: &Refusal) {
        if refusal.booked {
            return;
        }
        let refusal = refusal.clone().known_by(self.telling(refusal));
        let record = record(caller, model, features, &refusal, None);
        if is_bounded(refusal.kind) {
            self.booking.push_bounded(refusal.kind, record);
        } else {
            self.booking.push_refusal(record);
        }
    }

    /// Takes down what an observed rule or limit would have refused.
    pub(crate) fn observed(&self, authorized: &Authorized, refusal: &Refusal, observer: Option<Observer>) {
        // A limit that is gone meanwhile has nobody to tell.
        if observer.is_some() {
            let name = authorized.model().map_or("", |model| &model.name);
            let features = authorized.request.features;
            self.booking.push_refusal(record(&authorized.caller, name, features, refusal, observer));
        }
    }

    /// A refusal as its caller gets it, under an id that says why.
    pub(crate) fn say(&self, refusal: Refusal, dialect: Dialect) -> Response {
        let id = self.telling(&refusal);
        refusal.known_by(id).into_response(dialect)
    }

    /// The id under which a refused call is found.
    pub(crate) fn telling(&self, refusal: &Refusal) -> CallId {
        match refusal.booked {
            true => refusal.id,
            false => store::refusals::telling(&self.store, refusal.id, refusal.told),
        }
    }

    /// Takes calls down that came with a secret that was somebody's once.
    pub(crate) async fn look_up_unknown(&self) -> Result<(), StoreError> {
        let unknown = self.booking.unknown();
        if unknown.is_empty() {
            return Ok(());
        }
        let orgs: Vec<OrgId> = self.snapshots.organizations();
        let mut hashes: Vec<[u8; 32]> = unknown.iter().map(|unknown| unknown.hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let dead = store::refusals::dead(&self.store, &orgs, &hashes).await.inspect_err(|_| {
            unknown.iter().for_each(|unknown| self.booking.push_unknown(unknown.clone()));
        })?;
        for unknown in unknown {
            if let Some(dead) = dead.iter().find(|dead| dead.hash == unknown.hash) {
                let id = self.telling(&unknown.refusal);
                let record = by_dead(dead, unknown.at, &unknown.refusal.known_by(id));
                self.booking.push_bounded(Kind::InvalidSecret, record);
            }
        }
        Ok(())
    }
}

fn record(
    caller: &Caller,
    model: &str,
    features: Features,
    refusal: &Refusal,
    observer: Option<Observer>,
) -> Record {
    let facts = &caller.snapshot.facts;
    let group = caller.application().and_then(|application| facts.groups.get(&application.group));
    let user = caller.secret.user.and_then(|id| facts.users.get(&id));
    let model_id = facts.model_names.get(model).copied();
    let detail = serde_json::to_value(&refusal.detail).unwrap_or_default();
    // What is nobody's name may be anything, also the secret that was meant for another field.
    let (model, message, detail) = match model_id {
        Some(_) => (model.to_owned(), refusal.message.clone(), detail),
        None => (
            without_secrets(model).chars().take(100).collect(),
            without_secrets(&refusal.message),
            serde_json::from_str(&without_secrets(&detail.to_string())).unwrap_or_default(),
        ),
    };
    Record {
        id: refusal.id,
        org: facts.org,
        at: caller.now,
        application: caller.secret.application,
        secret: caller.secret.id,
        path: group.map(|group| group.path.clone()).unwrap_or_default(),
        user: caller.secret.user,
        member_of: user.map(|user| store::ledger::member_of(facts, user, caller.now)).unwrap_or_default(),
        model,
        client_request: caller.client_request.clone(),
        model_id,
        features,
        status: refusal.status.as_u16(),
        code: refusal.kind.code().to_owned(),
        message,
        detail,
        observer,
    }
}

/// A call whose secret opens nothing any more. Which model it meant was not looked at.
fn by_dead(dead: &Dead, at: DateTime<Utc>, refusal: &Refusal) -> Record {
    Record {
        id: refusal.id,
        org: dead.org,
        at,
        application: dead.application,
        secret: dead.id,
        path: dead.path.clone(),
        user: dead.user,
        member_of: Vec::new(),
        model: String::new(),
        client_request: String::new(),
        model_id: None,
        features: Features::default(),
        status: refusal.status.as_u16(),
        code: refusal.kind.code().to_owned(),
        message: refusal.message.clone(),
        detail: serde_json::to_value(&refusal.detail).unwrap_or_default(),
        observer: None,
    }
}
