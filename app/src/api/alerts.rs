//! Alerts: what was noticed about money, and how an organization wants to be told.

use domain::{
    alerts::{Alert, AlertKind, AlertSettings},
    ids::AlertId,
    webhooks::Webhook,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// A page of alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    /// The newest first.
    pub alerts: Vec<Alert>,
    /// Of which kind; none: all.
    pub kind: Option<AlertKind>,
    /// Where the next page starts.
    pub next: Option<AlertId>,
}

/// What was noticed: everything, or what concerns groups somebody leads and themself.
#[server(prefix = "/console", endpoint = "alerts/list")]
pub async fn load_alerts(kind: String, after: String) -> Result<Alerts, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    use store::alerts::Sees;
    // How many a page lists.
    const PAGE: i64 = 50;
    handle(|cx| async move {
        let org = cx.permit(Act::UseOwn)?.org();
        let sees = if cx.permit(Act::ReadOrganization).is_ok() {
            Sees::All
        } else {
            let actor = cx.actor()?;
            Sees::Some(actor.user.ok_or(AppError::NotFound)?, actor.leads.clone())
        };
        let (kind, after) = (read_some("kind", &kind)?, read_some("after", &after)?);
        let mut alerts = store::alerts::list(&cx.store, org, &sees, kind, after, PAGE + 1).await.known()?;
        let more = alerts.len() as i64 > PAGE;
        alerts.truncate(PAGE as usize);
        Ok(Alerts { next: alerts.last().filter(|_| more).map(|alert| alert.id), alerts, kind })
    })
    .await
}

/// How an organization wants to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watching {
    /// Kinds, floor, quiet hours.
    pub settings: AlertSettings,
    /// Where programs are told.
    pub webhooks: Vec<Webhook>,
    /// Whether mail is set up on this server.
    pub mail: bool,
}

/// How the organization wants to be told.
#[server(prefix = "/console", endpoint = "alerts/settings")]
pub async fn load_watching() -> Result<Watching, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        Ok(Watching {
            settings: store::alerts::settings(&cx.store, org).await.known()?,
            webhooks: store::webhooks::list(&cx.store, org).await.known()?,
            mail: cx.backend.mail,
        })
    })
    .await
}

/// Changes how the organization wants to be told. Both hours left empty: there are no quiet hours.
#[server(prefix = "/console", endpoint = "alerts/edit")]
pub async fn edit_watching(
    version: i64,
    #[server(default)] kinds: Vec<String>,
    floor: String,
    #[server(default)] quiet_from: String,
    #[server(default)] quiet_to: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        alerts::{Quiet, read_clock},
        roles::Act,
    };
    handle(|cx| async move {
        let permit = cx.permit(Act::EditOrganization)?;
        let kinds = kinds.iter().map(|kind| read("kinds", kind)).collect::<Result<_, _>>()?;
        let clock = |field: &str, text: &str| {
            let wrong = || AppError::field(field, "Enter a time like 22:00.");
            if text.trim().is_empty() { Ok(None) } else { read_clock(text).map(Some).ok_or_else(wrong) }
        };
        let quiet = match (clock("quiet_from", &quiet_from)?, clock("quiet_to", &quiet_to)?) {
            (None, None) => None,
            (Some(from), Some(to)) if from == to => {
                return Err(AppError::field("quiet_to", "It has to end at another time than it begins."));
            }
            (Some(from), Some(to)) => Some(Quiet { from, to }),
            (Some(_), None) => return Err(AppError::field("quiet_to", "Say when it ends, too.")),
            (None, Some(_)) => return Err(AppError::field("quiet_from", "Say when it begins, too.")),
        };
        let settings = AlertSettings { kinds, floor: read("floor", &floor)?, quiet, version };
        let before = store::alerts::settings(&cx.store, permit.org()).await.known()?;
        let mut change = cx.change(permit).await?;
        store::alerts::set_settings(&mut change, &settings).await.known()?;
        let undo = change.commit().await.known()?.then(|| ways_back::watching(&before));
        Ok(Done::said("Saved.").then("/alerts/settings").undone_by(undo))
    })
    .await
}
