//! What ended with somebody's suspension or removal: written down when it happens, never changed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    groups::Standing,
    ids::{ApplicationId, GroupId, ReceiptId, SecretId, UserId},
    words::words,
};

words! {
    /// How somebody went.
    Departure("kind") {
        /// Kept out until somebody lets them in again.
        Suspended = "suspended",
        /// Gone for good.
        Removed = "removed",
    }
}

/// A secret that was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadSecret {
    /// Its id.
    pub id: SecretId,
    /// The start and the last four characters.
    pub hint: String,
    /// The application it called for.
    pub application: String,
    /// Its last call.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A group they were in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldMembership {
    /// Which.
    pub group: GroupId,
    /// Its path as text.
    pub path: String,
    /// What they were in it.
    pub standing: Standing,
}

/// A model they had been granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldGrant {
    /// The model's name.
    pub model: String,
    /// Until when it was agreed to.
    pub ends_at: DateTime<Utc>,
}

/// Something that was theirs to answer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Charge {
    /// An application they owned.
    Application(ApplicationId),
    /// A group that nobody else led.
    Group(GroupId),
}

/// What they answered for, and who does now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// What.
    pub charge: Charge,
    /// What it is called.
    pub name: String,
    /// Who answers for it now; none: still they, who are suspended.
    pub to: Option<(UserId, String)>,
    /// Why it is they, where nobody was named: `leads Engineering`.
    #[serde(default)]
    pub because: Option<String>,
    /// What they were in a group before they took it over; none: it is no group, or nobody wrote it down.
    #[serde(default)]
    pub was: Option<WasIn>,
}

/// What somebody was in a group before they led it in somebody's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WasIn {
    /// Not in it.
    Outside,
    /// A member of it.
    Member {
        /// Until then; none: for good.
        until: Option<DateTime<Utc>>,
    },
    /// A lead already, and stays one.
    Lead,
}

/// Who takes something over when nobody is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heir {
    /// Who.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// Why it is they: `leads Engineering`.
    pub because: String,
}

impl Handed {
    /// To whoever comes next; none: to nobody.
    pub fn to_next(charge: Charge, name: String, heir: Option<Heir>) -> Self {
        let (to, because) = heir.map(|heir| ((heir.id, heir.name), heir.because)).unzip();
        Self { charge, name, to, because, was: None }
    }

    /// `Billing to Lea`.
    pub fn in_words(&self) -> String {
        let to = self.to.as_ref().map_or("nobody", |(_, name)| name);
        format!("{} to {to}", self.name)
    }
}

/// What ended with it, and what stays in place for a return.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Secrets that were revoked. They stay dead, whatever comes.
    pub secrets: Vec<DeadSecret>,
    /// Browsers that were signed out.
    pub sessions: u64,
    /// Groups they were in: ended by a removal, kept by a suspension.
    pub memberships: Vec<HeldMembership>,
    /// Grants they had: ended by a removal, kept by a suspension.
    pub grants: Vec<HeldGrant>,
    /// Models they had asked for without an answer yet.
    pub requests: Vec<String>,
    /// Private contexts, whose keys were closed by a removal.
    pub personal: Vec<String>,
    /// What was handed over.
    pub handed: Vec<Handed>,
}

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Its id.
    pub id: ReceiptId,
    /// Who went.
    pub user: UserId,
    /// Their name.
    pub name: String,
    /// Their email address.
    pub email: String,
    /// How.
    pub kind: Departure,
    /// From when on nothing of theirs is let through.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub actor: String,
    /// What ended.
    pub contents: Contents,
}
