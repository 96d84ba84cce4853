//! What calls said, for keys that keep it: listened to while it passes, written down behind it. Calls of
//! other keys know nothing of this, and no call waits for it.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::{
    ids::{ApplicationId, CallId, OrgId},
    prompts::{KEPT_BYTES, Prompt, cut},
};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

use crate::{Gateway, authorize::Authorized};

/// How many wait to be written down; when there are more, what was said is let go.
const WAITING: usize = 256;

/// What was said.
#[derive(Debug)]
pub struct Told {
    org: OrgId,
    application: ApplicationId,
    call: CallId,
    at: DateTime<Utc>,
    request: Bytes,
    answer: Vec<u8>,
}

/// Where listeners leave what they have heard.
#[derive(Debug)]
pub struct Keeper(Sender<Told>);

impl Keeper {
    pub fn new() -> (Self, Receiver<Told>) {
        let (sender, receiver) = channel(WAITING);
        (Self(sender), receiver)
    }
}

/// Writes down what was heard, until the gateway stops.
pub async fn run(gateway: Arc<Gateway>, mut heard: Receiver<Told>) {
    let stopping = gateway.stopping.clone();
    loop {
        let told = tokio::select! {
            told = heard.recv() => told,
            () = stopping.cancelled() => heard.try_recv().ok(),
        };
        let Some(told) = told else { return };
        let (request, request_cut) = cut(&told.request, KEPT_BYTES);
        let (answer, answer_cut) = cut(&told.answer, KEPT_BYTES);
        let prompt = Prompt { request, request_cut, answer, answer_cut };
        let kept =
            store::prompts::keep(&gateway.store, told.org, told.application, (told.call, told.at), &prompt);
        if let Err(error) = kept.await {
            tracing::warn!(%error, call = %told.call, "what a call said could not be kept");
        }
    }
}

/// Listens to one call. What it has heard is left with the keeper when it goes.
#[derive(Debug)]
pub struct Listener {
    keeper: Sender<Told>,
    told: Option<Told>,
}

impl Listener {
    /// For a call whose key keeps what it says; none for any other.
    pub fn of(gateway: &Gateway, authorized: &Authorized) -> Option<Box<Self>> {
        let caller = &authorized.caller;
        if !caller.secret.keeps_prompts {
            return None;
        }
        let told = Told {
            org: caller.snapshot.facts.org,
            application: caller.secret.application,
            call: caller.id,
            at: caller.now,
            request: authorized.request.body().clone(),
            answer: Vec::new(),
        };
        Some(Box::new(Self { keeper: gateway.prompts.0.clone(), told: Some(told) }))
    }

    /// A piece of the answer has come.
    pub fn hear(&mut self, piece: &[u8]) {
        let Some(told) = &mut self.told else { return };
        // One byte more than is kept says that there was more.
        let room = (KEPT_BYTES + 1).saturating_sub(told.answer.len());
        told.answer.extend_from_slice(&piece[..piece.len().min(room)]);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let Some(told) = self.told.take() else { return };
        if let Err(TrySendError::Full(told)) = self.keeper.try_send(told) {
            tracing::warn!(call = %told.call, "too much is waiting: what a call said is not kept");
        }
    }
}
