//! The log of changes.

use chrono::{DateTime, Utc};
use domain::audit::AuditRow;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// A page of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The newest first.
    pub rows: Vec<AuditRow>,
    /// Where the next page starts.
    pub next: Option<i64>,
    /// Whether it is of one change to many people, which has a page of its own.
    pub many: bool,
    /// What the last look through the whole chain found.
    pub checked: Option<Checked>,
    /// Where the chain ends now, to be noted: `1489:3fa2c1d0b5e49f76`. None: nothing was written yet.
    pub end: Option<String>,
}

/// What a look through the chain found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// When.
    pub at: DateTime<Utc>,
    /// How many changes fit, from the first on.
    pub rows: i64,
    /// The first that did not.
    pub broken: Option<i64>,
}

/// The log, as its address narrows it.
#[server(prefix = "/console", endpoint = "audit/list")]
pub async fn load_audit(
    before: String,
    subject: String,
    #[server(default)] batch: String,
    #[server(default)] who: String,
    #[server(default)] what: String,
    #[server(default)] kind: String,
    #[server(default)] field: String,
    #[server(default)] door: String,
    #[server(default)] request: String,
) -> Result<Log, AppError> {
    use crate::backend::*;
    use domain::{ids::BatchId, roles::Act};
    use store::audit::Filter;
    // How many changes a page lists.
    const PAGE: i64 = 50;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadAudit)?.org();
        let some = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let id = |field: &str, text: String| {
            let read = |text: String| {
                let sentence = format!("{text} is no id. Copy it from the address of a page.");
                domain::ids::of_any(&text).ok_or_else(|| AppError::field(field, sentence))
            };
            some(text).map(read).transpose()
        };
        let filter = Filter {
            before: read_some("before", &before)?,
            subject: id("subject", subject)?,
            with_theirs: true,
            batch: id("batch", batch)?.map(BatchId),
            who: some(who),
            what: some(what),
            kind: some(kind),
            field: some(field),
            request: some(request),
            // A word that is none is left out: an old link shows more, not an error.
            door: door.parse().ok(),
        };
        let mut rows = store::audit::list(&cx.store, org, &filter, PAGE + 1).await.known()?;
        let more = rows.len() as i64 > PAGE;
        rows.truncate(PAGE as usize);
        let checked = store::audit::checked(&cx.store, org).await.known()?;
        let checked = checked.map(|it| Checked { at: it.at, rows: it.rows, broken: it.broken });
        let many = match (filter.batch, cx.actor()?.user) {
            (Some(batch), Some(me)) => {
                store::batches::get(&cx.store, org, me, batch).await.is_ok_and(|it| it.done.is_some())
            }
            _ => false,
        };
        let end = store::audit::end(&cx.store, org).await.known()?.map(|end| end.to_string());
        Ok(Log { many, next: rows.last().filter(|_| more).map(|row| row.seq), rows, checked, end })
    })
    .await
}

/// Looks through the whole chain, and keeps what was found.
#[server(prefix = "/console", endpoint = "audit/verify")]
pub async fn verify_audit() -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{money::grouped, roles::Act};
    use store::audit::Chain;
    handle(|cx| async move {
        let permit = cx.permit(Act::ReadAudit)?;
        match store::audit::check(&cx.store, &permit).await.known()? {
            Chain::Whole { rows: 1 } => Ok(Done::said("The one change is here, unaltered.")),
            Chain::Whole { rows } => Ok(Done::said(format!(
                "All {} changes are here, unaltered and in order.",
                grouped(rows.unsigned_abs())
            ))),
            // The page says where, and leads there; nothing about it is done well.
            Chain::Broken { .. } => Ok(Done::default()),
        }
    })
    .await
}
