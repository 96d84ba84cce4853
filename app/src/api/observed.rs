//! Rules and limits that only observe: what they would have refused, and whether they should.

use chrono::{DateTime, Utc};
use domain::money::Money;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// What observes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Watching {
    /// A rule.
    Rule,
    /// A limit.
    Limit,
    /// A quota of a rule that only observes: it decides when that does.
    Quota,
}

impl Watching {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Limit => "limit",
            Self::Quota => "quota",
        }
    }
}

/// A rule or a limit that only observes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedLine {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: Watching,
    /// What it is called.
    pub name: String,
    /// What it says.
    pub says: String,
    /// Of a rule: what decides in its place now, and which rule says so, as its form sends it along; empty:
    /// no rule does.
    pub decides: String,
    /// The page it belongs to.
    pub href: String,
    /// Calls it would have refused.
    pub calls: i64,
    /// People among them.
    pub people: i64,
    /// What they are called, who called last first; of very many the first.
    pub names: Vec<String>,
    /// What those calls cost.
    pub spend: Money,
    /// The first and the last of them.
    pub noted: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Whether whoever looks may make it decide, or take it away.
    pub editable: bool,
}

/// Every rule and limit that only observes.
#[server(prefix = "/console", endpoint = "observed/list")]
pub async fn load_observed() -> Result<Vec<ObservedLine>, AppError> {
    use crate::backend::*;
    handle(|cx| async move { observed::list(&cx).await }).await
}

/// Makes a rule or a limit decide from the next call on. `was`: what it was shown to say; `decides`: what was
/// shown to decide in the place of a rule.
#[server(prefix = "/console", endpoint = "observed/promote")]
pub async fn promote_observed(
    id: String,
    was: String,
    #[server(default)] decides: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let draft = observed::as_shown(&cx, &id, &was).await?;
        observed::decides_as_shown(&cx, &draft, &decides).await?;
        let mut change = cx.change(rehearsals::permit(&cx, &draft).await?).await?;
        let mut undo = ways_back::draft(&mut change, &draft).await.known()?;
        let before = observed::before(&mut change, &draft).await?;
        if let Err(error) = store::rehearsals::apply(&mut change, &draft).await.known() {
            drop(change);
            return Err(observed::overtaken(&cx, error, &id, &was, &decides).await);
        }
        if let Some(before) = before {
            undo = ways_back::watched(&mut change, before).await.known()?;
        }
        change.commit().await.known()?;
        Ok(Done::said("Promoted. It decides from the next call on.").undone_by(undo))
    })
    .await
}

/// Shows what would have been different if a rule or a limit had decided.
#[server(prefix = "/console", endpoint = "observed/rehearse")]
pub async fn rehearse_observed(id: String, #[server(default)] days: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use leptos::server_fn::ServerFn;
    handle(|cx| async move {
        let draft = observed::draft(&cx, &id).await?;
        let back = rehearsals::Back::new(PromoteObserved::PATH, "/authorization/observed", &[]);
        rehearsals::prepare(&cx, draft, back, &days).await
    })
    .await
}

/// Takes a rule or a limit away that only observes. `was`: what it was shown to say.
#[server(prefix = "/console", endpoint = "observed/drop")]
pub async fn drop_observed(id: String, was: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{rehearsal::Draft, roles::Act};
    handle(|cx| async move {
        let mut undo = None;
        if let Ok(limit) = id.parse() {
            let permit = cx.permit(Act::LoosenLimits)?;
            let Draft::Limit { version: Some(version), .. } = observed::as_shown(&cx, &id, &was).await?
            else {
                return Err(AppError::NotFound);
            };
            let mut change = cx.change(permit).await?;
            let (meter, form, raised) = store::limits::remove(&mut change, limit, version).await.known()?;
            change.commit().await.known()?;
            undo =
                ways_back::lasting(form, raised.as_ref()).map(|form| ways_back::limit_again(&meter, &form));
        } else {
            let draft = observed::as_shown(&cx, &id, &was).await?;
            let draft = observed::without(draft);
            let mut change = cx.change(rehearsals::permit(&cx, &draft).await?).await?;
            let before = observed::before(&mut change, &draft).await?;
            store::rehearsals::apply(&mut change, &draft).await.known()?;
            if let Some(before) = before {
                undo = ways_back::watched(&mut change, before).await.known()?;
            }
            change.commit().await.known()?;
        }
        Ok(Done::said("Dropped. It takes note of nothing any more.").undone_by(undo))
    })
    .await
}

/// Makes a rule that was promoted or dropped take note again. `stood`: what stood there before, and what
/// stands there since, as the answer to that change said it.
#[server(prefix = "/console", endpoint = "observed/restore")]
pub async fn restore_observed(stood: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use store::authorizations::watching;
    handle(|cx| async move {
        cx.actor()?;
        let stood: watching::Stood = serde_json::from_str(&stood).map_err(|_| {
            AppError::field("", "This cannot be undone by its address alone: undo it where it was changed.")
        })?;
        let facts = store::access::current(&cx.store, cx.org()?).await.known()?;
        let mut change = cx.change(drafts::permit(&cx, &facts, &watching::draft(&stood))?).await?;
        watching::put_back(&mut change, &stood).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("It takes note again, and refuses nothing.").then("/authorization/observed"))
    })
    .await
}
