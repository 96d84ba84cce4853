//! What ended with somebody's suspension or removal.

use domain::receipts::Receipt;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::AppError;

/// A receipt, and whether the suspension it is about still holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptView {
    /// The receipt.
    pub receipt: Receipt,
    /// Whether they are kept out now, by this suspension or another.
    pub suspended: bool,
}

/// A receipt.
#[server(prefix = "/console", endpoint = "receipts/get")]
pub async fn load_receipt(id: String) -> Result<ReceiptView, AppError> {
    use crate::backend::*;
    use domain::{ids::ReceiptId, roles::Act, users::UserStatus};
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let id: ReceiptId = id.parse().map_err(|_| AppError::NotFound)?;
        let receipt = store::receipts::get(&cx.store, org, id).await.known()?;
        let month = cx.month().await?;
        let rows = store::users::rows(&cx.store, org, &month, &[receipt.user]).await.known()?;
        let suspended = rows.first().is_some_and(|row| row.status == UserStatus::Suspended);
        Ok(ReceiptView { receipt, suspended })
    })
    .await
}
