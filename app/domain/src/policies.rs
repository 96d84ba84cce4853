//! Routing policies: a name that callers can write in place of a model.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{ModelId, PolicyId},
    words::words,
};

words! {
    /// How a policy chooses.
    Routing("routing") {
        /// The first that works, in order.
        Fallback = "fallback",
        /// By weight.
        Balance = "balance",
    }
}

/// A named route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its id.
    pub id: PolicyId,
    /// Callers write `policy/` and this.
    pub name: String,
    /// How it chooses.
    pub routing: Routing,
    /// The models: id, name and weight (1 in a fallback), in order.
    pub steps: Vec<(ModelId, String, i32)>,
    /// Counts up with every change.
    pub version: i64,
}
