//! Webhooks: where programs are told of alerts, and what became of every message.

use domain::{
    ids::DeliveryId,
    webhooks::{Delivery, Webhook},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// A webhook with its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookView {
    /// The webhook.
    pub webhook: Webhook,
    /// Its messages, the newest first.
    pub deliveries: Vec<Delivery>,
    /// Where the next page starts.
    pub next: Option<DeliveryId>,
}

/// A webhook and its log.
#[server(prefix = "/console", endpoint = "webhooks/get")]
pub async fn load_webhook(id: String, after: String) -> Result<WebhookView, AppError> {
    use crate::backend::*;
    use domain::{ids::WebhookId, roles::Act};
    // How many messages a page lists.
    const PAGE: i64 = 25;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let id: WebhookId = id.parse().map_err(|_| AppError::NotFound)?;
        let webhook = store::webhooks::get(&cx.store, org, id).await.known()?;
        let after = read_some("after", &after)?;
        let mut deliveries =
            store::webhooks::deliveries(&cx.store, org, id, after, PAGE + 1).await.known()?;
        let more = deliveries.len() as i64 > PAGE;
        deliveries.truncate(PAGE as usize);
        let next = deliveries.last().filter(|_| more).map(|delivery| delivery.id);
        Ok(WebhookView { webhook, deliveries, next })
    })
    .await
}

/// Adds a webhook. Its secret is in the answer, and nowhere afterwards.
#[server(prefix = "/console", endpoint = "webhooks/create")]
pub async fn create_webhook(
    url: String,
    #[server(default)] kinds: Vec<String>,
    #[server(default)] allow_private_address: bool,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{alerts::AlertKind, roles::Act};
    use store::webhooks::WebhookForm;
    handle(|cx| async move {
        let kinds = kinds.iter().map(|kind| read("kinds", kind)).collect::<Result<Vec<AlertKind>, _>>()?;
        let form = WebhookForm { url, kinds, allow_private_address };
        let mut change = cx.change(cx.permit(Act::EditOrganization)?).await?;
        let (_, secret) = store::webhooks::insert(&mut change, &form).await.known()?;
        change.commit().await.known()?;
        let once = Once::Secret { secret, curl: None };
        Ok(Done { notice: Some("The webhook was added.".to_owned()), ..Done::once(once) })
    })
    .await
}

/// Changes where a webhook leads and what it tells of.
#[server(prefix = "/console", endpoint = "webhooks/edit")]
pub async fn edit_webhook(
    id: String,
    version: i64,
    url: String,
    #[server(default)] kinds: Vec<String>,
    #[server(default)] allow_private_address: bool,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{alerts::AlertKind, roles::Act};
    use store::webhooks::WebhookForm;
    handle(|cx| async move {
        let permit = cx.permit(Act::EditOrganization)?;
        let which = read("id", &id)?;
        let kinds = kinds.iter().map(|kind| read("kinds", kind)).collect::<Result<Vec<AlertKind>, _>>()?;
        let form = WebhookForm { url, kinds, allow_private_address };
        let before = store::webhooks::get(&cx.store, permit.org(), which).await.known()?;
        let mut change = cx.change(permit).await?;
        store::webhooks::update(&mut change, which, version, &form).await.known()?;
        let undo = change.commit().await.known()?.then(|| ways_back::webhook(&before));
        Ok(Done::said("Saved.").then(format!("/webhooks/{id}")).undone_by(undo))
    })
    .await
}

/// Takes a webhook away. `version`: as it was shown; `typed`: its address, typed out.
#[server(prefix = "/console", endpoint = "webhooks/archive")]
pub async fn archive_webhook(
    id: String,
    version: i64,
    #[server(default)] typed: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::WebhookId, roles::Act};
    handle(|cx| async move {
        let id: WebhookId = read("id", &id)?;
        let mut change = cx.change(cx.permit(Act::EditOrganization)?).await?;
        as_shown(&mut change, id.0, version, Some(&typed)).await?;
        store::webhooks::archive(&mut change, id).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("The webhook was removed.").then("/alerts/settings"))
    })
    .await
}

/// Sends a message that only tries the webhook out, and says what came back.
#[server(prefix = "/console", endpoint = "webhooks/test")]
pub async fn test_webhook(id: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::WebhookId, roles::Act};
    handle(|cx| async move {
        let mut change = cx.change(cx.permit(Act::EditOrganization)?).await?;
        let org = change.org();
        let id: WebhookId = read("id", &id)?;
        let delivery = store::webhooks::test(&mut change, id).await.known()?;
        change.commit().await.known()?;
        let (good, sentence) = (cx.backend.hooks.deliver)(org, delivery).await;
        let said = if good { format!("Delivered. {sentence}") } else { format!("Not delivered. {sentence}") };
        Ok(Done::said(said).then(format!("/webhooks/{id}")))
    })
    .await
}

/// Plays an earlier message again, and says what came back.
#[server(prefix = "/console", endpoint = "webhooks/replay")]
pub async fn replay_delivery(id: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let mut change = cx.change(cx.permit(Act::EditOrganization)?).await?;
        let org = change.org();
        let (webhook, delivery) = store::webhooks::replay(&mut change, read("id", &id)?).await.known()?;
        change.commit().await.known()?;
        let (good, sentence) = (cx.backend.hooks.deliver)(org, delivery).await;
        let said = if good { format!("Delivered. {sentence}") } else { format!("Not delivered. {sentence}") };
        Ok(Done::said(said).then(format!("/webhooks/{webhook}")))
    })
    .await
}
