//! Webhooks: programs that are told of alerts, by the Standard Webhooks specification.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    alerts::AlertKind,
    ids::{DeliveryId, WebhookId},
    notices::Sending,
};

/// A webhook as its page shows it: never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Where messages go.
    pub url: String,
    /// Of which alerts.
    pub kinds: Vec<AlertKind>,
    /// Whether it may be on this machine or in a private network.
    pub allow_private_address: bool,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// The last message, and what became of it.
    pub last: Option<(DateTime<Utc>, Sending)>,
    /// Counts up with every change.
    pub version: i64,
}

/// One message to a webhook, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// What it says: `alert.limit`.
    pub kind: String,
    /// The body, as it is sent.
    pub body: String,
    /// What became of it.
    pub state: Sending,
    /// How often it was tried.
    pub tries: u16,
    /// When it is tried next, while it is due.
    pub next_at: DateTime<Utc>,
    /// The status that came back last.
    pub status: Option<u16>,
    /// The beginning of the answer, or why there was none.
    pub answer: Option<String>,
    /// Whether it plays an earlier one again.
    pub replay: bool,
    /// Since when.
    pub created_at: DateTime<Utc>,
}
