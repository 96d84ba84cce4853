//! The log of changes.

use domain::audit::AuditRow;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::AppError;

/// A page of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The newest first.
    pub rows: Vec<AuditRow>,
    /// Where the next page starts.
    pub next: Option<i64>,
    /// Whether the chain is whole, in words.
    pub chain: Option<(bool, String)>,
}

/// The log. `check`: verify the whole chain too.
#[server(prefix = "/console", endpoint = "audit/list")]
pub async fn load_audit(
    before: String,
    subject: String,
    check: bool,
    #[server(default)] batch: String,
) -> Result<Log, AppError> {
    use crate::backend::*;
    use domain::{money::grouped, roles::Act};
    use store::audit::{Chain, Filter};
    // How many changes a page lists.
    const PAGE: i64 = 50;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadAudit)?.org();
        let filter = Filter {
            before: read_some("before", &before)?,
            subject: read_some("subject", &subject)?,
            actor: None,
            batch: read_some("batch", &batch)?,
        };
        let mut rows = store::audit::list(&cx.store, org, &filter, PAGE + 1).await.known()?;
        let more = rows.len() as i64 > PAGE;
        rows.truncate(PAGE as usize);
        let chain = if check {
            Some(match store::audit::verify(&cx.store, org).await.known()? {
                Chain::Whole { rows } => (
                    true,
                    format!("All {} changes are here, unaltered and in order.", grouped(rows.unsigned_abs())),
                ),
                Chain::Broken { seq } => {
                    (false, format!("The chain breaks at change {seq}: it was altered, removed or put in."))
                }
            })
        } else {
            None
        };
        Ok(Log { next: rows.last().filter(|_| more).map(|row| row.seq), rows, chain })
    })
    .await
}
