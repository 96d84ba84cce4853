//! What a provider offers, beside what the catalogue has.

use domain::{models::Modality, prices::Prices, providers::Provider};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// A model that a provider offers and the catalogue does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// What the provider calls it.
    pub upstream: String,
    /// What it seems to be.
    pub modality: Modality,
    /// What the price book says it costs.
    pub prices: Option<Prices>,
    /// The tier it seems to belong to.
    pub tier: Option<String>,
    /// Why that one, or why it cannot be taken.
    pub why: String,
    /// Whether it can be taken into the inbox.
    pub fits: bool,
    /// The model of the catalogue that may be the same one.
    pub there: Option<There>,
}

/// A model of the catalogue that may be the same as one that can be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct There {
    /// What callers write.
    pub name: String,
    /// Whose it is.
    pub by: String,
    /// What the other one is called beside it, where its name is taken.
    pub called: Option<String>,
}

/// What a provider offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offers {
    /// Which provider.
    pub provider: Provider,
    /// Whether it answered with a list.
    pub good: bool,
    /// What came of asking.
    pub sentence: String,
    /// What is new, by name: those of this page.
    pub new: Vec<Offer>,
    /// How many are new and match what is looked for.
    pub total: usize,
    /// Where the next page starts.
    pub next: Option<String>,
    /// Models of the catalogue that it offers: id, name, and what is in the way of calling it.
    pub known: Vec<(String, String, Option<String>)>,
    /// Models of the catalogue that it does not offer, or not any more: id and name.
    pub gone: Vec<(String, String)>,
    /// Which price book was looked into.
    pub book: String,
    /// Whether the book knows which vendor this is.
    pub vendor_known: bool,
}

/// Asks a provider which models it offers.
#[server(prefix = "/console", endpoint = "offers/list")]
pub async fn load_offers(
    id: String,
    #[server(default)] q: String,
    #[server(default)] after: String,
) -> Result<Offers, AppError> {
    use crate::backend::{catalogue::*, *};
    use domain::{models::Model, price_lists::listed_name, roles::Act};
    use std::collections::BTreeSet;
    const PAGE: usize = 100;
    // Nobody looks at an empty page for longer: it says what it waited for, and offers to ask again.
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
    handle(|cx| async move {
        let org = cx.permit(Act::EditCatalogue)?.org();
        let id = id.parse().map_err(|_| AppError::NotFound)?;
        let provider = store::providers::get(&cx.store, org, id).await.known()?;
        if provider.archived_at.is_some() {
            return Err(AppError::NotFound);
        }
        let ask = ProbeAsk {
            base_url: provider.base_url.clone(),
            dialect: provider.dialect,
            credential: store::providers::credential(&cx.store, org, id).await.known()?,
            allow_private: provider.allow_private_address,
            patience: PATIENCE,
        };
        let answer = (cx.backend.hooks.probe)(ask).await;
        let catalogue = Catalogue::of(&cx, org).await?;
        let offered: BTreeSet<&str> = answer.models.iter().map(|name| listed_name(name)).collect();
        let (here, gone): (Vec<&Model>, Vec<&Model>) = catalogue
            .models
            .iter()
            .filter(|model| model.provider.0 == id)
            .partition(|model| offered.contains(listed_name(&model.upstream)));
        let wanted = q.trim().to_lowercase();
        let new: Vec<&str> = answer
            .models
            .iter()
            .map(String::as_str)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(|name| !here.iter().any(|model| listed_name(&model.upstream) == listed_name(name)))
            .filter(|name| name.to_lowercase().contains(&wanted))
            .collect();
        let later: Vec<&str> =
            new.iter().copied().filter(|name| after.is_empty() || *name > after.as_str()).collect();
        let offer = |upstream: &str| {
            let listed = in_book(&provider, upstream);
            let prices = listed.map(|listed| listed.dearest());
            match catalogue.candidate(id, upstream, listed) {
                Ok(candidate) => {
                    let suggestion = catalogue.suggest(candidate.modality, &candidate.prices);
                    let tier = catalogue.tiers.iter().find(|tier| tier.id == candidate.tier);
                    Offer {
                        upstream: upstream.to_owned(),
                        modality: candidate.modality,
                        prices,
                        tier: tier.map(|tier| tier.name.clone()),
                        why: suggestion.map(|suggestion| suggestion.why).unwrap_or_default(),
                        fits: true,
                        there: catalogue.there(upstream),
                    }
                }
                Err(error) => Offer {
                    upstream: upstream.to_owned(),
                    modality: domain::models::Modality::Chat,
                    prices,
                    tier: None,
                    why: error.sentence(),
                    fits: false,
                    there: None,
                },
            }
        };
        let page: Vec<Offer> = later.iter().take(PAGE).map(|name| offer(name)).collect();
        // Who gave no list has not said what is gone.
        let good = answer.good && !answer.models.is_empty();
        let gone = if good { gone } else { Vec::new() };
        Ok(Offers {
            good,
            sentence: answer.sentence,
            next: (later.len() > PAGE).then(|| page.last().map(|last| last.upstream.clone())).flatten(),
            new: page,
            total: new.len(),
            known: here
                .into_iter()
                .map(|model| (model.id.to_string(), model.name.clone(), model.obstacle().map(str::to_owned)))
                .collect(),
            gone: gone.into_iter().map(|model| (model.id.to_string(), model.name.clone())).collect(),
            book: book_words(store::price_lists::book::book()),
            vendor_known: catalogue.vendors().contains_key(&id),
            provider,
        })
    })
    .await
}

/// Takes models that a provider offers into the review inbox, closed to everybody.
#[server(prefix = "/console", endpoint = "offers/take")]
pub async fn take_offers(provider: String, #[server(default)] names: Vec<String>) -> Result<Done, AppError> {
    use crate::backend::{catalogue::*, *};
    use domain::{ids::ProviderId, roles::Act};
    handle(|cx| async move {
        let permit = cx.permit(Act::EditCatalogue)?;
        let id: ProviderId = read("provider", &provider)?;
        let provider = store::providers::get(&cx.store, permit.org(), id).await.known()?;
        if names.is_empty() {
            return Err(AppError::field("names", "Tick the models to take into the review inbox."));
        }
        let catalogue = Catalogue::of(&cx, permit.org()).await?;
        let mut candidates = Vec::new();
        for name in &names {
            candidates.push(catalogue.candidate(id, name, in_book(&provider, name))?);
        }
        let mut change = cx.change(permit).await?;
        let origin = store::price_lists::book::book().origin();
        let taken = store::model_reviews::take_together(&mut change, &candidates, origin).await.known()?;
        change.commit().await.known()?;
        let said = taken_words(&cx, cx.org()?, &candidates, &taken).await?;
        Ok(Done::said(said).then("/models/review"))
    })
    .await
}
