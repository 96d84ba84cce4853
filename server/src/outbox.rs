//! The outbox: mail and messages to webhooks, sent after the change that wrote them. Each is taken by
//! one process at a time, tried again less and less often, and given up in the end, with the reason
//! kept.

use std::{future::Future, time::Duration};

use domain::ids::{DeliveryId, OrgId};
use futures_util::future::join_all;
use store::{Store, StoreError, clock, mails, webhooks};
use tokio::sync::watch;

use crate::mail::Mailer;

/// How often the outbox is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How many mails of an organization are taken at once: as many as can be sent before they are left
/// to somebody else.
const MAILS: i64 = 4;
/// How many messages of an organization are taken at once.
const MESSAGES: i64 = 16;
/// What is said of mail where none is set up.
const NO_MAIL: &str = "Mail is not set up on this server (BURSAR_SMTP_URL).";

/// Sends until it is told to stop.
pub async fn run(store: Store, mailer: Option<Mailer>, stopping: watch::Receiver<bool>) {
    let (store, mailer) = (&store, mailer.as_ref());
    tokio::join!(
        forever(stopping.clone(), || mail_round(store, mailer)),
        forever(stopping, || message_round(store))
    );
}

/// Round after round; what fails is tried again in the next. A round that has begun is ended.
async fn forever<F, R>(mut stopping: watch::Receiver<bool>, round: F)
where
    F: Fn() -> R,
    R: Future<Output = Result<bool, StoreError>>,
{
    while !*stopping.borrow() {
        let more = round().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the outbox could not be emptied; trying again");
            false
        });
        if !more {
            let _ = tokio::time::timeout(LOOK, stopping.changed()).await;
        }
    }
}

/// Sends some mail of every organization. Returns whether there was any.
async fn mail_round(store: &Store, mailer: Option<&Mailer>) -> Result<bool, StoreError> {
    let mut any = false;
    for org in mails::waiting(store, clock::now()).await? {
        for mail in mails::take(store, org, clock::now(), MAILS).await? {
            any = true;
            let Some(mailer) = mailer else {
                mails::not_sent(store, &mail, NO_MAIL, false, clock::now()).await?;
                continue;
            };
            match mailer.send(&mail).await {
                Ok(()) => mails::sent(store, mail.org, mail.id, clock::now()).await?,
                Err(error) => {
                    tracing::warn!(mail = %mail.id, tries = mail.tries, error = %error.sentence, "a mail was not sent");
                    mails::not_sent(store, &mail, &error.sentence, error.may_try, clock::now()).await?;
                }
            }
        }
    }
    Ok(any)
}

/// Delivers some messages of every organization, side by side. Returns whether there were any.
async fn message_round(store: &Store) -> Result<bool, StoreError> {
    let mut taken = Vec::new();
    for org in webhooks::waiting(store, clock::now()).await? {
        taken.extend(webhooks::take(store, org, None, clock::now(), MESSAGES).await?);
    }
    let any = !taken.is_empty();
    for delivered in join_all(taken.iter().map(|message| deliver(store, message))).await {
        delivered?;
    }
    Ok(any)
}

async fn deliver(store: &Store, message: &webhooks::Taken) -> Result<(bool, String), StoreError> {
    let headers = message.headers(clock::now());
    let answer = gateway::post(&message.url, &headers, message.body.clone(), message.allow_private).await;
    let (status, text) = match answer {
        Ok((status, text)) => (Some(status), text),
        Err(sentence) => (None, sentence),
    };
    let good = webhooks::note(store, message, status, &text, clock::now()).await?;
    Ok((good, status.map_or(text, |status| format!("It answered with status {status}."))))
}

/// Delivers one message now, unless somebody else is about to. Returns whether it was taken, and a
/// sentence.
pub async fn deliver_now(store: &Store, org: OrgId, id: DeliveryId) -> (bool, String) {
    let delivered = async {
        match webhooks::take(store, org, Some(id), clock::now(), 1).await?.first() {
            Some(message) => deliver(store, message).await.map(Some),
            None => Ok(None),
        }
    };
    match delivered.await {
        Ok(Some(outcome)) => outcome,
        Ok(None) => (true, "It is on its way: see below.".to_owned()),
        Err(error) => {
            tracing::warn!(%error, "a message could not be delivered");
            (false, "It will be tried again in a moment.".to_owned())
        }
    }
}
