//! The catalogue: models, tiers, prices.

use domain::{
    models::{Model, Tier},
    price_lists::Listed,
    prices::Priced,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// The catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// Models by name.
    pub models: Vec<Model>,
    /// How many there are altogether.
    pub all: usize,
    /// Tiers in order.
    pub tiers: Vec<Tier>,
    /// Providers: id and name.
    pub providers: Vec<(String, String)>,
}

/// The catalogue. `q`: only models with this in their name, their name at the provider, or its name.
#[server(prefix = "/console", endpoint = "models/list")]
pub async fn load_models(#[server(default)] q: String) -> Result<Catalogue, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let providers = store::providers::list(&cx.store, org).await.known()?;
        let all = store::models::list(&cx.store, org).await.known()?;
        Ok(Catalogue {
            all: all.len(),
            models: all.into_iter().filter(|model| model.is_called(&q)).collect(),
            tiers: store::models::tiers(&cx.store, org).await.known()?,
            providers: providers.into_iter().map(|it| (it.id.to_string(), it.name)).collect(),
        })
    })
    .await
}

/// Everything on a model's page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelView {
    /// The model.
    pub model: Model,
    /// Every price it has, had or will have, the newest first.
    pub prices: Vec<Priced>,
    /// What the price book says about it, and which book that is.
    pub book: Option<(Listed, String)>,
    /// Tiers: id and name.
    pub tiers: Vec<(String, String)>,
    /// Providers: id and name.
    pub providers: Vec<(String, String)>,
    /// Policies that name it, and whether they name another one that can be called.
    pub policies: Vec<(String, bool)>,
    /// Groups for which the rules open it, or open it by request, whether it can be called or not: id, path
    /// and state.
    pub groups: Vec<(String, String, domain::authorizations::State)>,
}

/// A model.
#[server(prefix = "/console", endpoint = "models/get")]
pub async fn load_model(id: String) -> Result<ModelView, AppError> {
    use crate::backend::*;
    use domain::{ids::ModelId, roles::Act};
    use store::price_lists::book::book;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let id: ModelId = id.parse().map_err(|_| AppError::NotFound)?;
        let facts = store::access::current(&cx.store, org).await.known()?;
        let paths = store::groups::paths(&cx.store, org).await.known()?;
        let groups = catalogue::reached(facts.of_groups(), paths, id, store::clock::now());
        let providers = store::providers::list(&cx.store, org).await.known()?;
        let tiers = store::models::tiers(&cx.store, org).await.known()?;
        let model = store::models::get(&cx.store, org, id).await.known()?;
        let of = providers.iter().find(|provider| provider.id == model.provider.0);
        let listed = of.and_then(|provider| catalogue::in_book(provider, &model.upstream));
        let others = |policy: &domain::access::PolicyFacts| {
            let live = |other: &ModelId| facts.models.get(other).is_some_and(|other| !other.archived);
            policy.steps.iter().any(|(other, _)| *other != id && live(other))
        };
        let mut policies: Vec<(String, bool)> = facts
            .policies
            .iter()
            .filter(|(_, policy)| policy.steps.iter().any(|(step, _)| *step == id))
            .map(|(name, policy)| (name.clone(), others(policy)))
            .collect();
        policies.sort();
        Ok(ModelView {
            policies,
            book: listed.map(|listed| (listed.clone(), catalogue::book_words(book()))),
            model,
            prices: store::prices::history(&cx.store, org, id).await.known()?,
            tiers: tiers.into_iter().map(|it| (it.id.to_string(), it.name)).collect(),
            providers: providers.into_iter().map(|it| (it.id.to_string(), it.name)).collect(),
            groups,
        })
    })
    .await
}

/// Adds a model. It lands in review, closed to everybody.
#[server(prefix = "/console", endpoint = "models/create")]
pub async fn create_model(
    name: String,
    provider: String,
    upstream: String,
    modality: String,
    tier: String,
    context_tokens: String,
    max_output_tokens: String,
    #[server(default)] price_input: String,
    #[server(default)] price_output: String,
    #[server(default)] cache_read: String,
    #[server(default)] cache_write: String,
    #[server(default)] cache_write_long: String,
    #[server(default)] reasoning: String,
    #[server(default)] audio_input: String,
    #[server(default)] audio_output: String,
    #[server(default)] image: String,
    #[server(default)] call: String,
    #[server(default)] web_search: String,
    #[server(default)] file_search: String,
    #[server(default)] code_session: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        models::Review,
        prices::{Origin, PriceKey},
        roles::Act,
    };
    use store::{models::ModelForm, price_lists::book::book};
    handle(|cx| async move {
        let form = ModelForm {
            name: read("name", &name)?,
            provider: read("provider", &provider)?,
            upstream: if upstream.trim().is_empty() { name.trim().to_owned() } else { upstream },
            modality: read("modality", &modality)?,
            tier: read("tier", &tier)?,
            context_tokens: read_some("context_tokens", &context_tokens)?,
            max_output_tokens: read_some("max_output_tokens", &max_output_tokens)?,
        };
        let prices = catalogue::read_prices(&[
            (PriceKey::CacheRead, cache_read),
            (PriceKey::CacheWrite, cache_write),
            (PriceKey::CacheWriteLong, cache_write_long),
            (PriceKey::Reasoning, reasoning),
            (PriceKey::AudioInput, audio_input),
            (PriceKey::AudioOutput, audio_output),
            (PriceKey::Image, image),
            (PriceKey::Call, call),
            (PriceKey::WebSearch, web_search),
            (PriceKey::FileSearch, file_search),
            (PriceKey::CodeSession, code_session),
        ])?
        .with(PriceKey::Input, read_some("price_input", &price_input)?)
        .with(PriceKey::Output, read_some("price_output", &price_output)?);
        let mut change = cx.change(cx.permit(Act::EditCatalogue)?).await?;
        let provider = store::providers::get(&cx.store, change.org(), form.provider).await.known()?;
        let from = change.at();
        let id = store::models::insert(&mut change, &form, Review::Pending).await.known()?;
        if !prices.is_empty() {
            let of_book = catalogue::is_of_book(&provider, &form.upstream, &prices);
            let origin = if of_book { book().origin() } else { Origin::TYPED };
            store::prices::set(&mut change, id, from, &prices, origin).await.known()?;
        }
        change.commit().await.known()?;
        Ok(Done::said(format!("{} was added. It stays closed until it is reviewed.", form.name))
            .then(format!("/models/{id}")))
    })
    .await
}

/// Fills the form of a new model with what the price book says about it. Changes nothing.
#[server(prefix = "/console", endpoint = "models/fill")]
pub async fn fill_model(
    provider: String,
    #[server(default)] name: String,
    #[server(default)] upstream: String,
) -> Result<Done, AppError> {
    use crate::backend::{catalogue::*, *};
    use domain::{ids::ProviderId, roles::Act};
    handle(|cx| async move {
        let org = cx.permit(Act::EditCatalogue)?.org();
        let id: ProviderId = read("provider", &provider)?;
        let provider = store::providers::get(&cx.store, org, id).await.known()?;
        let upstream = if upstream.trim().is_empty() { name.trim() } else { upstream.trim() };
        let listed = looked_up(&provider, upstream)?;
        let suggestion = Catalogue::of(&cx, org).await?.suggest(listed.modality, &listed.dearest());
        Ok(Done::once(filled(listed, suggestion)))
    })
    .await
}

/// Changes a model. `known`: who gains and loses it by another tier, as it was said; what was not said is not
/// done.
#[server(prefix = "/console", endpoint = "models/edit")]
pub async fn edit_model(
    id: String,
    version: i64,
    name: String,
    provider: String,
    upstream: String,
    modality: String,
    tier: String,
    context_tokens: String,
    max_output_tokens: String,
    #[server(default)] known: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::ModelId, roles::Act};
    use store::models::ModelForm;
    handle(|cx| async move {
        let id: ModelId = read("id", &id)?;
        let form = ModelForm {
            name: read("name", &name)?,
            provider: read("provider", &provider)?,
            upstream,
            modality: read("modality", &modality)?,
            tier: read("tier", &tier)?,
            context_tokens: read_some("context_tokens", &context_tokens)?,
            max_output_tokens: read_some("max_output_tokens", &max_output_tokens)?,
        };
        let permit = cx.permit(Act::EditCatalogue)?;
        let before = store::models::get(&cx.store, permit.org(), id).await.known()?;
        let mut change = cx.change(permit).await?;
        let (facts, now) = (change.facts().await.known()?, change.at());
        store::models::update(&mut change, id, version, &form).await.known()?;
        // Looked at before it is so: what was not meant is not committed.
        match catalogue::by_tier(&facts, id, form.tier, now) {
            Some(question) if question != known => return Err(AppError::Changed(question)),
            _ => {}
        }
        let mut undo = change.commit().await.known()?.then(|| ways_back::model(&before));
        if before.tier.0 != form.tier {
            let facts = store::access::current(&cx.store, cx.org()?).await.known()?;
            let question = catalogue::by_tier(&facts, id, before.tier.0, now).unwrap_or_default();
            undo = undo.map(|undo| undo.with("known", question));
        }
        Ok(Done::said("Model saved.").then(format!("/models/{id}")).undone_by(undo))
    })
    .await
}

/// Says that a person has looked at a new model. `version`: as it was shown.
#[server(prefix = "/console", endpoint = "models/accept")]
pub async fn accept_model(id: String, version: i64) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::ModelId, roles::Act};
    handle(|cx| async move {
        let id: ModelId = read("id", &id)?;
        let permit = cx.permit(Act::EditCatalogue)?;
        let before = store::models::get(&cx.store, permit.org(), id).await.known()?;
        let mut change = cx.change(permit).await?;
        as_shown(&mut change, id.0, version, None).await?;
        store::models::accept(&mut change, id).await.known()?;
        let saved = change.commit().await.known()?;
        let undo = saved.then(|| ways_back::reviews(&[(id, version, before.tier.0)]));
        let priced = before.prices.is_some_and(|dated| dated.prices.complete_for(before.modality));
        let said = match priced {
            true => "Reviewed. From now on the rules decide who may call it.",
            false => "Reviewed. It has no price yet, and nobody can call it before it has one.",
        };
        Ok(Done::said(said).undone_by(undo))
    })
    .await
}

/// Takes a model out of the catalogue. `version`: as it was shown; `typed`: its
/// name, typed out.
#[server(prefix = "/console", endpoint = "models/archive")]
pub async fn archive_model(
    id: String,
    version: i64,
    #[server(default)] typed: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::ModelId, roles::Act};
    handle(|cx| async move {
        let id: ModelId = read("id", &id)?;
        let mut change = cx.change(cx.permit(Act::EditCatalogue)?).await?;
        as_shown(&mut change, id.0, version, Some(&typed)).await?;
        store::models::archive(&mut change, id).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Model archived.").then("/models"))
    })
    .await
}

/// Sets a model's prices from now, or from the start of a day. `version`: as it was shown.
#[server(prefix = "/console", endpoint = "models/price")]
pub async fn set_prices(
    id: String,
    version: i64,
    #[server(default)] from: String,
    #[server(default)] input: String,
    #[server(default)] cache_read: String,
    #[server(default)] cache_write: String,
    #[server(default)] cache_write_long: String,
    #[server(default)] output: String,
    #[server(default)] reasoning: String,
    #[server(default)] audio_input: String,
    #[server(default)] audio_output: String,
    #[server(default)] image: String,
    #[server(default)] call: String,
    #[server(default)] web_search: String,
    #[server(default)] file_search: String,
    #[server(default)] code_session: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        prices::{Origin, PriceKey},
        roles::Act,
    };
    use store::price_lists::book::book;
    handle(|cx| async move {
        let id = read("id", &id)?;
        let prices = catalogue::read_prices(&[
            (PriceKey::Input, input),
            (PriceKey::CacheRead, cache_read),
            (PriceKey::CacheWrite, cache_write),
            (PriceKey::CacheWriteLong, cache_write_long),
            (PriceKey::Output, output),
            (PriceKey::Reasoning, reasoning),
            (PriceKey::AudioInput, audio_input),
            (PriceKey::AudioOutput, audio_output),
            (PriceKey::Image, image),
            (PriceKey::Call, call),
            (PriceKey::WebSearch, web_search),
            (PriceKey::FileSearch, file_search),
            (PriceKey::CodeSession, code_session),
        ])?;
        if prices.is_empty() {
            return Err(AppError::field(
                "input",
                "Enter at least one price. A price of 0 makes a model free.",
            ));
        }
        let calendar = cx.calendar().await?;
        let day = read_date("from", &from)?.map(|day| calendar.midnight(day));
        let mut change = cx.change(cx.permit(Act::EditCatalogue)?).await?;
        let now = change.at();
        if day.is_some_and(|day| day < now - chrono::Duration::days(1)) {
            return Err(AppError::field(
                "from",
                "Finished calls keep the price they had. Choose today or a later day.",
            ));
        }
        let model = store::models::get(&cx.store, change.org(), id).await.known()?;
        let provider = store::providers::get(&cx.store, change.org(), model.provider.0).await.known()?;
        let of_book = catalogue::is_of_book(&provider, &model.upstream, &prices);
        let origin = if of_book { book().origin() } else { Origin::TYPED };
        let from = day.filter(|day| *day > now).unwrap_or(now);
        let replaced = store::prices::edit(&mut change, id, version, from, &prices, origin).await.known()?;
        change.commit().await.known()?;
        let day = calendar.day(from);
        let (said, undo) = match (from > now, replaced) {
            // What was called meanwhile keeps its price; from now on it is the one before.
            (false, _) => {
                let before = model.prices.map(|dated| ways_back::prices(id, version + 1, &dated.prices));
                ("Prices saved.".to_owned(), before)
            }
            (true, None) => {
                let said = format!("Prices saved. They hold from {} on.", domain::time::date(day));
                (said, Some(ways_back::coming_price(id, version + 1, from)))
            }
            (true, Some(before)) => {
                let said = format!(
                    "Prices saved. They hold from {} on, in place of {} that were to.",
                    domain::time::date(day),
                    crate::ui::money::pair(&before),
                );
                (said, Some(ways_back::prices(id, version + 1, &before).with("from", day)))
            }
        };
        Ok(Done::said(said).undone_by(undo))
    })
    .await
}

/// Takes back prices that are to come. `version`: of the model, as it was shown; `from`: the moment from which
/// they were to hold.
#[server(prefix = "/console", endpoint = "models/drop-price")]
pub async fn drop_price(id: String, version: i64, from: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use chrono::{DateTime, Utc};
    use domain::roles::Act;
    handle(|cx| async move {
        let id = read("id", &id)?;
        let from: DateTime<Utc> = from.parse().map_err(|_| AppError::NotFound)?;
        let calendar = cx.calendar().await?;
        let mut change = cx.change(cx.permit(Act::EditCatalogue)?).await?;
        let gone = store::prices::drop_coming(&mut change, id, version, from).await.known()?;
        change.commit().await.known()?;
        let day = calendar.day(from);
        // The form says days.
        let undo = (calendar.midnight(day) == from)
            .then(|| ways_back::prices(id, version + 1, &gone).with("from", day));
        let said = format!("Taken back: what was to hold from {} on.", domain::time::date(day));
        Ok(Done::said(said).undone_by(undo))
    })
    .await
}

/// Fills the form of a model's prices with what the price book says. Changes nothing.
#[server(prefix = "/console", endpoint = "models/fill-prices")]
pub async fn fill_prices(id: String) -> Result<Done, AppError> {
    use crate::backend::{catalogue::*, *};
    use domain::roles::Act;
    handle(|cx| async move {
        let org = cx.permit(Act::EditCatalogue)?.org();
        let model = store::models::get(&cx.store, org, read("id", &id)?).await.known()?;
        let provider = store::providers::get(&cx.store, org, model.provider.0).await.known()?;
        Ok(Done::once(filled(looked_up(&provider, &model.upstream)?, None)))
    })
    .await
}

/// Adds a tier.
#[server(prefix = "/console", endpoint = "models/create-tier")]
pub async fn create_tier(name: String, #[server(default)] high_cost: bool) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let mut change = cx.change(cx.permit(Act::EditCatalogue)?).await?;
        store::models::insert_tier(&mut change, &read("name", &name)?, high_cost).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Tier added."))
    })
    .await
}

/// Changes a tier. `known`: who gains and loses which models by its mark, as it was said; what was not said is
/// not done.
#[server(prefix = "/console", endpoint = "models/edit-tier")]
pub async fn edit_tier(
    id: String,
    version: i64,
    name: String,
    #[server(default)] high_cost: bool,
    #[server(default)] known: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::TierId, roles::Act};
    handle(|cx| async move {
        let permit = cx.permit(Act::EditCatalogue)?;
        let (id, name): (TierId, _) = (read("id", &id)?, read("name", &name)?);
        let tiers = store::models::tiers(&cx.store, permit.org()).await.known()?;
        let before = tiers.into_iter().find(|tier| tier.id == id);
        let mut change = cx.change(permit).await?;
        let (facts, now) = (change.facts().await.known()?, change.at());
        store::models::update_tier(&mut change, id, version, &name, high_cost).await.known()?;
        // Looked at before it is so: what was not meant is not committed.
        match catalogue::by_mark(&facts, id, high_cost, now) {
            Some(question) if question != known => return Err(AppError::Changed(question)),
            _ => {}
        }
        let saved = change.commit().await.known()?;
        let mut undo = before.as_ref().filter(|_| saved).map(ways_back::tier);
        if let Some(before) = before.filter(|before| before.high_cost != high_cost) {
            let facts = store::access::current(&cx.store, cx.org()?).await.known()?;
            let question = catalogue::by_mark(&facts, id, before.high_cost, now).unwrap_or_default();
            undo = undo.map(|undo| undo.with("known", question));
        }
        Ok(Done::said("Tier saved.").undone_by(undo))
    })
    .await
}

/// Takes a tier out of use. `version`: as it was shown; `typed`: its name, typed out.
#[server(prefix = "/console", endpoint = "models/archive-tier")]
pub async fn archive_tier(
    id: String,
    version: i64,
    #[server(default)] typed: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::TierId, roles::Act};
    handle(|cx| async move {
        let id: TierId = read("id", &id)?;
        let mut change = cx.change(cx.permit(Act::EditCatalogue)?).await?;
        as_shown(&mut change, id.0, version, Some(&typed)).await?;
        store::models::archive_tier(&mut change, id).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Tier archived."))
    })
    .await
}
