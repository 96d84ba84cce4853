//! Going on from an answer that the provider keeps: only the application that got it may.
//!
//! The provider sees one account, ours, and would give any of its answers to whoever names it.

use std::time::Duration;

use domain::ids::{ApplicationId, OrgId};
use quick_cache::sync::Cache as Entries;
use store::StoreError;

use crate::{
    Gateway,
    authenticate::Caller,
    wire::{
        refusal::{Kind, Refusal},
        request::Request,
    },
};

/// How many answers of late this process knows by heart.
const RECENT: usize = 8_192;
/// An answer of another process is in the books a moment after its client has it: how often is
/// looked, and how long is waited in between.
const LOOKS: usize = 4;
const BETWEEN: Duration = Duration::from_millis(100);

/// Whose answers of late are.
#[derive(Debug)]
pub struct KeptAnswers(
    Entries<(OrgId, Box<str>), ApplicationId, quick_cache::UnitWeighter, std::hash::RandomState>,
);

impl Default for KeptAnswers {
    fn default() -> Self {
        let (hash, life) = (std::hash::RandomState::new(), quick_cache::sync::DefaultLifecycle::default());
        Self(Entries::with(RECENT, RECENT as u64, quick_cache::UnitWeighter, hash, life))
    }
}

impl KeptAnswers {
    /// An application got this answer. The first to have one is whose it stays.
    pub fn note(&self, org: OrgId, answer: &str, application: ApplicationId) {
        if self.owner(org, answer).is_none() {
            self.0.insert((org, answer.into()), application);
        }
    }

    fn owner(&self, org: OrgId, answer: &str) -> Option<ApplicationId> {
        self.0.get(&(org, Box::from(answer)))
    }
}

/// Whether a call goes on from what is its application's own. Most calls go on from nothing.
pub async fn check(gateway: &Gateway, caller: &Caller, request: &Request) -> Result<(), Refusal> {
    let own = caller.secret.application;
    for (field, what, name) in [
        ("previous_response_id", "response", &request.previous_answer),
        ("conversation", "conversation", &request.conversation),
    ] {
        let Some(name) = name else { continue };
        let owner = match field {
            "conversation" => conversation(gateway, caller, name).await,
            _ => answer(gateway, caller, name).await,
        };
        let owner = owner.map_err(|error| {
            tracing::warn!(%error, call = %caller.id, "it cannot be said whose an answer is");
            Refusal::new(
                Kind::Unavailable,
                caller.id,
                "Bursar cannot look up whose this answer is right now.",
            )
        })?;
        if owner != Some(own) {
            // The same for what is somebody else's and for what never was.
            let shown: String = name.chars().take(100).collect();
            let message = format!("There is no {what} {shown} of this application.");
            return Err(Refusal::new(Kind::AnswerNotFound, caller.id, message).about(Some(field)));
        }
    }
    Ok(())
}

async fn answer(gateway: &Gateway, caller: &Caller, name: &str) -> Result<Option<ApplicationId>, StoreError> {
    let org = caller.snapshot.facts.org;
    if name.is_empty() || name.len() > store::kept_answers::NAME_MAX {
        return Ok(None);
    }
    for look in 0..LOOKS {
        if let Some(owner) = gateway.kept_answers.owner(org, name) {
            return Ok(Some(owner));
        }
        if let Some(owner) = store::kept_answers::owner(&gateway.store, org, name).await? {
            gateway.kept_answers.note(org, name, owner);
            return Ok(Some(owner));
        }
        if look + 1 < LOOKS {
            tokio::time::sleep(BETWEEN).await;
        }
    }
    Ok(None)
}

/// Conversations are made elsewhere: whoever names one first has it.
async fn conversation(
    gateway: &Gateway,
    caller: &Caller,
    name: &str,
) -> Result<Option<ApplicationId>, StoreError> {
    let (org, own) = (caller.snapshot.facts.org, caller.secret.application);
    if name.is_empty() || name.len() > store::kept_answers::NAME_MAX {
        return Ok(None);
    }
    if let Some(owner) = gateway.kept_answers.owner(org, name) {
        return Ok(Some(owner));
    }
    let owner = store::kept_answers::claim(&gateway.store, org, name, own).await?;
    gateway.kept_answers.note(org, name, owner);
    Ok(Some(owner))
}
