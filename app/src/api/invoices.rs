//! What providers bill, beside the ledger.

use domain::{
    ids::InvoiceId,
    invoices::{Invoice, InvoiceLine},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// A page of invoices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoices {
    /// The newest first.
    pub invoices: Vec<Invoice>,
    /// Where the next page starts.
    pub next: Option<InvoiceId>,
    /// Whose they may be: id and name.
    pub providers: Vec<(String, String)>,
}

/// Invoices, the newest first.
#[server(prefix = "/console", endpoint = "invoices/list")]
pub async fn load_invoices(#[server(default)] after: String) -> Result<Invoices, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    const PAGE: i64 = 50;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let after = read_some("after", &after)?;
        let mut invoices = store::invoices::list(&cx.store, org, None, after, PAGE + 1).await.known()?;
        let more = invoices.len() as i64 > PAGE;
        invoices.truncate(PAGE as usize);
        let providers = store::providers::list(&cx.store, org).await.known()?;
        let open = providers.into_iter().filter(|provider| provider.archived_at.is_none());
        Ok(Invoices {
            next: invoices.last().filter(|_| more).map(|invoice| invoice.id),
            invoices,
            providers: open.map(|provider| (provider.id.to_string(), provider.name)).collect(),
        })
    })
    .await
}

/// An invoice with its lines, and what somebody should know before they trust the comparison.
#[server(prefix = "/console", endpoint = "invoices/get")]
pub async fn load_invoice(id: String) -> Result<(Invoice, Vec<InvoiceLine>, Vec<String>), AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let id = id.parse().map_err(|_| AppError::NotFound)?;
        let (invoice, lines) = store::invoices::get(&cx.store, org, id).await.known()?;
        let remarks = store::invoices::remarks(&cx.store, org, &invoice).await.known()?;
        Ok((invoice, lines, remarks))
    })
    .await
}

/// Reads a provider's export and puts it beside the ledger. A file with mistakes leaves nothing.
#[server(prefix = "/console", endpoint = "invoices/create")]
pub async fn create_invoice(
    provider: String,
    name: String,
    #[server(default)] file: String,
    #[server(default)] text: String,
    #[server(default)] day: String,
    #[server(default)] model: String,
    #[server(default)] cost: String,
    #[server(default)] input: String,
    #[server(default)] output: String,
    #[server(default)] tokens: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        invoices::{FILE_MAX, Mapping, told},
        roles::Act,
    };
    handle(|cx| async move {
        let permit = cx.permit(Act::KeepBooks)?;
        let provider = provider.parse().map_err(|_| AppError::NotFound)?;
        let name = read("name", &name)?;
        let (field, csv) =
            if file.trim().is_empty() && !text.trim().is_empty() { ("text", &text) } else { ("file", &file) };
        if csv.trim().is_empty() {
            return Err(AppError::field("file", "Choose a file, or paste its text below."));
        }
        if csv.len() > FILE_MAX {
            return Err(AppError::field(field, "It is larger than 8 MB. Bring fewer days at a time."));
        }
        let mapping = Mapping { day, model, cost, input, output, tokens };
        let bill = domain::invoices::read(csv, &mapping)
            .map_err(|mistakes| AppError::field(field, told(&mistakes)))?;
        let mut change = cx.change(permit).await?;
        let id = store::invoices::insert(&mut change, provider, &name, &bill).await.known()?;
        change.commit().await.known()?;
        let said = "Read, and put beside the ledger.";
        let said = bill.remark().map_or_else(|| said.to_owned(), |remark| format!("{said} {remark}"));
        Ok(Done::said(said).then(format!("/invoices/{id}")))
    })
    .await
}

/// Looks at the ledger again.
#[server(prefix = "/console", endpoint = "invoices/compare")]
pub async fn compare_invoice(id: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::KeepBooks)?;
        let which = id.parse().map_err(|_| AppError::NotFound)?;
        let mut change = cx.change(permit).await?;
        store::invoices::compare(&mut change, which).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Compared with the ledger as it is now.").then(format!("/invoices/{id}")))
    })
    .await
}

/// Puts an invoice away. `typed`: its name, typed out.
#[server(prefix = "/console", endpoint = "invoices/archive")]
pub async fn archive_invoice(id: String, #[server(default)] typed: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::KeepBooks)?;
        let id = id.parse().map_err(|_| AppError::NotFound)?;
        let mut change = cx.change(permit).await?;
        // Looked at before it is so: what was not meant is not committed.
        let name = store::invoices::archive(&mut change, id).await.known()?;
        typed_out(&typed, &name)?;
        change.commit().await.known()?;
        Ok(Done::said("The invoice is put away.").then("/invoices"))
    })
    .await
}
