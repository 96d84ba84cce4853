//! The price book that is built into the server.
//!
//! The store reads such lists anyway; what it makes of one is written down by an example of its own.

use std::path::Path;

use crate::command;
use crate::outcome::{Outcome, Trying};
use crate::workspace::Workspace;

/// Makes the book anew from a list. The difference is for a person to look at before it is committed.
pub fn renew(workspace: &Workspace, list: &Path, version: &str, date: &str) -> Outcome {
    let list = list.canonicalize().trying(format!("Cannot read {}", list.display()))?;
    let book = workspace.root.join("server/store/price-book/litellm.tsv");
    let mut cargo =
        command::cargo(workspace, ["run", "--package", "store", "--example", "price_book", "--locked", "--"]);
    cargo.args([&list, &book]).args([version, date]);
    command::run(workspace, &mut cargo, "Look at the list: is it LiteLLM's, and is the date like 2026-11-20?")
}
