//! Who can take something over, for the select of a dialog.

use domain::ids::UserId;

use super::{Cx, Known, read};
use crate::error::AppError;

/// How many people a search finds.
const FOUND: usize = 20;

/// Whom a form names: somebody has to be chosen.
///
/// # Errors
/// A sentence beside the field.
pub fn chosen(field: &str, text: &str) -> Result<UserId, AppError> {
    if text.trim().is_empty() {
        return Err(AppError::field(field, "Choose who takes it over."));
    }
    read(field, text)
}

/// People who have joined and are not suspended, but for one, whose name or address has this in it: id, and
/// name with address.
///
/// # Errors
/// When the database does not answer.
pub async fn found(cx: &Cx, find: &str, but: Option<UserId>) -> Result<Vec<(String, String)>, AppError> {
    let found = store::directory::heirs(&cx.store, cx.org()?, find, FOUND).await.known()?;
    Ok(found
        .into_iter()
        .filter(|(id, ..)| Some(*id) != but)
        .map(|(id, name, email)| (id.to_string(), format!("{name} ({email})")))
        .collect())
}
