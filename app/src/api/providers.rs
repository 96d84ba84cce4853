//! Upstreams.

use domain::providers::Provider;
use leptos::prelude::*;

use crate::{error::AppError, frame::Done};

/// Every provider.
#[server(prefix = "/console", endpoint = "providers/list")]
pub async fn load_providers() -> Result<Vec<Provider>, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::ReadOrganization)?;
        store::providers::list(&cx.store, permit.org()).await.known()
    })
    .await
}

/// One provider.
#[server(prefix = "/console", endpoint = "providers/get")]
pub async fn load_provider(id: String) -> Result<Provider, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::ReadOrganization)?;
        let id = id.parse().map_err(|_| AppError::NotFound)?;
        store::providers::get(&cx.store, permit.org(), id).await.known()
    })
    .await
}

/// Tries a provider out without saving anything. An empty credential: the stored one, if the
/// address is still its host's.
#[server(prefix = "/console", endpoint = "providers/test")]
pub async fn test_provider(
    #[server(default)] id: String,
    dialect: String,
    base_url: String,
    #[server(default)] credential: String,
    #[server(default)] allow_private_address: bool,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::ProviderId, roles::Act};
    handle(|cx| async move {
        let org = cx.permit(Act::EditCatalogue)?.org();
        let base_url = store::providers::base_url(&base_url, allow_private_address).known()?;
        let stored = match read_some::<ProviderId>("id", &id)? {
            Some(id) if credential.trim().is_empty() => {
                let provider = store::providers::get(&cx.store, org, id).await.known()?;
                let same = store::providers::same_origin(&provider.base_url, &base_url);
                if same { store::providers::credential(&cx.store, org, id).await.known()? } else { None }
            }
            _ => Some(credential.trim().to_owned()).filter(|text| !text.is_empty()),
        };
        let ask = ProbeAsk {
            base_url,
            dialect: read("dialect", &dialect)?,
            credential: stored,
            allow_private: allow_private_address,
            patience: std::time::Duration::from_secs(15),
        };
        let answer = (cx.backend.hooks.probe)(ask).await;
        Ok(Done::once(Once::Found { good: answer.good, sentence: answer.sentence, lines: answer.models }))
    })
    .await
}

/// Adds a provider.
#[server(prefix = "/console", endpoint = "providers/create")]
pub async fn create_provider(
    name: String,
    dialect: String,
    base_url: String,
    #[server(default)] credential: String,
    #[server(default)] allow_private_address: bool,
    #[server(default)] next: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    use store::providers::{Credential, ProviderForm};
    handle(|cx| async move {
        let form = ProviderForm {
            name: read("name", &name)?,
            dialect: read("dialect", &dialect)?,
            base_url,
            allow_private_address,
        };
        let credential = match credential.trim() {
            "" => Credential::Clear,
            text => Credential::Set(text.to_owned()),
        };
        let mut change = cx.change(cx.permit(Act::EditCatalogue)?).await?;
        let id = store::providers::insert(&mut change, &form, &credential).await.known()?;
        change.commit().await.known()?;
        let next = if next == "welcome" { "/welcome/model".to_owned() } else { format!("/providers/{id}") };
        Ok(Done::said(format!("{} was added.", form.name)).then(next))
    })
    .await
}

/// Changes a provider. An empty credential keeps the stored one.
#[server(prefix = "/console", endpoint = "providers/edit")]
pub async fn edit_provider(
    id: String,
    version: i64,
    name: String,
    dialect: String,
    base_url: String,
    #[server(default)] credential: String,
    #[server(default)] clear_credential: bool,
    #[server(default)] allow_private_address: bool,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    use store::providers::{Credential, ProviderForm};
    handle(|cx| async move {
        let id = read("id", &id)?;
        let form = ProviderForm {
            name: read("name", &name)?,
            dialect: read("dialect", &dialect)?,
            base_url,
            allow_private_address,
        };
        let credential = match credential.trim() {
            "" if clear_credential => Credential::Clear,
            "" => Credential::Keep,
            text => Credential::Set(text.to_owned()),
        };
        let permit = cx.permit(Act::EditCatalogue)?;
        let before = store::providers::get(&cx.store, permit.org(), id).await.known()?;
        let mut change = cx.change(permit).await?;
        store::providers::update(&mut change, id, version, &form, &credential).await.known()?;
        let saved = change.commit().await.known()?;
        // What it was reached with is forgotten when another one takes its place, and with another address.
        let same = matches!(credential, Credential::Keep)
            && (!before.has_credential || store::providers::same_origin(&before.base_url, &form.base_url));
        let undo = (saved && same).then(|| ways_back::provider(&before));
        Ok(Done::said("Provider saved.").then(format!("/providers/{id}")).undone_by(undo))
    })
    .await
}

/// Says how long a provider is waited for, in seconds; empty: what is usual.
#[server(prefix = "/console", endpoint = "providers/waits")]
pub async fn set_waits(
    id: String,
    version: i64,
    #[server(default)] connection: String,
    #[server(default)] first_byte: String,
    #[server(default)] between_chunks: String,
    #[server(default)] total: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        providers::{Wait, Waits},
        roles::Act,
    };
    handle(|cx| async move {
        let id = read("id", &id)?;
        let said = [
            (Wait::Connection, connection),
            (Wait::FirstByte, first_byte),
            (Wait::Silence, between_chunks),
            (Wait::Total, total),
        ];
        let mut waits = Waits::default();
        for (wait, text) in said.iter().map(|(wait, text)| (*wait, text.trim())) {
            if !text.is_empty() {
                let seconds = text.parse().map_err(|_| {
                    AppError::field(wait.as_str(), format!("Enter 1 to {} seconds.", wait.most()))
                })?;
                waits = waits.with(wait, Some(seconds));
            }
        }
        let permit = cx.permit(Act::EditCatalogue)?;
        let before = store::providers::get(&cx.store, permit.org(), id).await.known()?;
        let mut change = cx.change(permit).await?;
        store::providers::set_waits(&mut change, id, version, &waits).await.known()?;
        let undo = change.commit().await.known()?.then(|| ways_back::waits(&before));
        let said = Done::said("Saved. It holds from the next call on.");
        Ok(said.then(format!("/providers/{id}")).undone_by(undo))
    })
    .await
}

/// Takes a provider out of use. `version`: as it was shown; `typed`: its
/// name, typed out.
#[server(prefix = "/console", endpoint = "providers/archive")]
pub async fn archive_provider(
    id: String,
    version: i64,
    #[server(default)] typed: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::ProviderId, roles::Act};
    handle(|cx| async move {
        let id: ProviderId = read("id", &id)?;
        let mut change = cx.change(cx.permit(Act::EditCatalogue)?).await?;
        as_shown(&mut change, id.0, version, Some(&typed)).await?;
        store::providers::archive(&mut change, id).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Provider archived.").then("/providers"))
    })
    .await
}
