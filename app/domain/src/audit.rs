//! The record of every change.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ids::BatchId, words::words};

words! {
    /// Through which door a change came.
    Door("door") {
        /// A person in the console.
        Console = "console",
        /// A program, by the management API.
        Api = "api",
        /// A file, by `bursar apply`.
        File = "file",
        /// An identity provider.
        Scim = "scim",
        /// Bursar itself: something ended on its date.
        System = "system",
    }
}

/// One change, as the log shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Its place in the organization's chain, from 1.
    pub seq: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who: the name at that time.
    pub actor: String,
    /// Through which door.
    pub door: Door,
    /// The change to many people that it belongs to.
    pub batch: Option<BatchId>,
    /// The number of the request that made it, where one did.
    pub request: Option<String>,
    /// The address it was asked from.
    pub address: Option<String>,
    /// What was done: `group.rename`.
    pub act: String,
    /// To what kind of thing: `group`.
    pub subject_kind: String,
    /// Its id as text.
    pub subject_id: String,
    /// Its name at that time.
    pub subject: String,
    /// The fields that changed: name, before, after.
    pub changes: Vec<(String, Option<String>, Option<String>)>,
}
