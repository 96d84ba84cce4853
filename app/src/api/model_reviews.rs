//! The review inbox: new models, and what is decided about them.

use std::collections::HashMap;

use domain::{ids::TierId, model_reviews::Suggestion, models::Model};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// Who would have a model if it were accepted into a tier and had a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Which tier.
    pub tier: TierId,
    /// What it is called.
    pub name: String,
    /// Whether it opens by its own name only.
    pub high_cost: bool,
    /// How many groups may call it.
    pub open: usize,
    /// In how many somebody has to agree first.
    pub by_request: usize,
    /// How many groups there are.
    pub of: usize,
    /// Where it is open: groups with everything below them.
    pub open_in: Vec<String>,
    /// Where it is by request.
    pub by_request_in: Vec<String>,
}

impl Reach {
    /// Whether no rule gives it to anybody, not even by request.
    pub const fn reaches_nobody(&self) -> bool {
        self.open == 0 && self.by_request == 0
    }
}

/// A model that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The model.
    pub model: Model,
    /// Where its price comes from.
    pub origin: Option<String>,
    /// What to know before taking that price as it is.
    pub caution: Option<String>,
    /// Into which tier it seems to belong.
    pub suggestion: Option<Suggestion>,
    /// Who would have it, by tier.
    pub reaches: Vec<Reach>,
}

/// The inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewInbox {
    /// Those of this page, by name.
    pub waiting: Vec<Waiting>,
    /// How many wait altogether.
    pub total: usize,
    /// Where the next page starts.
    pub next: Option<String>,
}

/// Models that wait for review, each with the groups that the rules would give it to. `q`: only those with
/// this in their names or their provider's.
#[server(prefix = "/console", endpoint = "model-reviews/list")]
pub async fn load_reviews(
    #[server(default)] after: String,
    #[server(default)] q: String,
) -> Result<ReviewInbox, AppError> {
    use crate::backend::{catalogue::*, *};
    use domain::{models::Review, roles::Act};
    const PAGE: usize = 25;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let catalogue = Catalogue::of(&cx, org).await?;
        let facts = store::access::current(&cx.store, org).await.known()?;
        let mut reaches = Reaches::new(facts.of_groups(), &catalogue.tiers, store::clock::now());
        let pending: Vec<&Model> =
            catalogue.models.iter().filter(|model| model.review == Review::Pending).collect();
        let later: Vec<&Model> = pending
            .iter()
            .copied()
            .filter(|model| model.is_called(&q))
            .filter(|model| after.is_empty() || model.name.to_lowercase() > after.to_lowercase())
            .collect();
        let mut waiting = Vec::new();
        for model in later.iter().take(PAGE) {
            let prices = model.prices.map(|dated| dated.prices).unwrap_or_default();
            let history = store::prices::history(&cx.store, org, model.id).await.known()?;
            let provider = catalogue.providers.iter().find(|provider| provider.id == model.provider.0);
            let listed = provider.and_then(|provider| in_book(provider, &model.upstream));
            waiting.push(Waiting {
                origin: model.prices.and_then(|now| {
                    history.iter().find(|priced| priced.dated.from == now.from).map(|priced| priced.origin())
                }),
                caution: listed
                    .filter(|listed| [listed.prices, listed.dearest()].contains(&prices))
                    .and_then(|listed| listed.caution()),
                suggestion: catalogue.suggest(model.modality, &prices),
                reaches: reaches.of(model),
                model: (*model).clone(),
            });
        }
        let next = (later.len() > PAGE).then(|| waiting.last().map(|last| last.model.name.clone())).flatten();
        Ok(ReviewInbox { waiting, total: pending.len(), next })
    })
    .await
}

/// Accepts models, each into the tier chosen for it: from now on the rules decide who may call them.
/// `seen`: the version each was shown with.
#[server(prefix = "/console", endpoint = "model-reviews/accept")]
pub async fn accept_reviews(
    #[server(default)] ids: Vec<String>,
    #[server(default)] seen: HashMap<String, i64>,
    #[server(default)] tiers: HashMap<String, String>,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::ModelId, roles::Act};
    handle(|cx| async move {
        let mut change = cx.change(cx.permit(Act::EditCatalogue)?).await?;
        let mut choices = Vec::new();
        for id in &ids {
            let tier = tiers.get(id).map(String::as_str).unwrap_or_default();
            choices.push((read::<ModelId>("ids", id)?, read_some::<TierId>("tiers", tier)?));
        }
        let known = catalogue::as_seen(&cx, &mut change, &ids, &seen).await?;
        let accepted = store::model_reviews::accept(&mut change, &choices).await.known()?;
        let facts = store::access::current(&cx.store, change.org()).await.known()?;
        let undo = change.commit().await.known()?.then(|| ways_back::reviews(&known));
        let priced = |id: &ModelId| {
            facts.models.get(id).is_some_and(|model| model.prices_at(store::clock::now()).is_some())
        };
        let unpriced = known.iter().filter(|(id, ..)| !priced(id)).count();
        Ok(Done::said(match (accepted, unpriced) {
            (0, _) => "They were accepted already.".to_owned(),
            (1, 0) => "Accepted. From now on the rules decide who may call it.".to_owned(),
            (1, _) => "Accepted. It has no price yet, and nobody can call it before it has one.".to_owned(),
            (count, 0) => {
                format!("{count} models accepted. From now on the rules decide who may call them.")
            }
            (count, 1) => format!(
                "{count} models accepted. From now on the rules decide who may call them; 1 has no price yet, and nobody can call it before."
            ),
            (count, some) => format!(
                "{count} models accepted. From now on the rules decide who may call them; {some} have no price yet, and nobody can call those before."
            ),
        })
        .undone_by(undo))
    })
    .await
}

/// Dismisses models: they leave the catalogue without ever having been called. `seen`: the version each was
/// shown with.
#[server(prefix = "/console", endpoint = "model-reviews/dismiss")]
pub async fn dismiss_reviews(
    #[server(default)] ids: Vec<String>,
    #[server(default)] seen: HashMap<String, i64>,
    #[server(default)] tiers: HashMap<String, String>,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::ModelId, roles::Act};
    handle(|cx| async move {
        // Which tier they would have gone into is of no account.
        drop(tiers);
        let mut change = cx.change(cx.permit(Act::EditCatalogue)?).await?;
        let known = catalogue::as_seen(&cx, &mut change, &ids, &seen).await?;
        let ids: Vec<ModelId> = known.iter().map(|(id, ..)| *id).collect();
        let dismissed = store::model_reviews::dismiss(&mut change, &ids).await.known()?;
        let undo = change.commit().await.known()?.then(|| ways_back::reviews(&known));
        Ok(Done::said(match dismissed {
            0 => "They were dismissed already.".to_owned(),
            1 => "Dismissed. It is out of the catalogue.".to_owned(),
            count => format!("{count} models dismissed. They are out of the catalogue."),
        })
        .undone_by(undo))
    })
    .await
}

/// Puts models back into the inbox that were accepted or dismissed: `seen` as that left them, into the tiers
/// they were in.
#[server(prefix = "/console", endpoint = "model-reviews/reopen")]
pub async fn reopen_reviews(
    #[server(default)] ids: Vec<String>,
    #[server(default)] seen: HashMap<String, i64>,
    #[server(default)] tiers: HashMap<String, String>,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let mut change = cx.change(cx.permit(Act::EditCatalogue)?).await?;
        let known = catalogue::as_seen(&cx, &mut change, &ids, &seen).await?;
        let mut models = Vec::new();
        for (id, version, _) in known {
            let tier = tiers.get(&id.to_string()).map(String::as_str).unwrap_or_default();
            models.push((id, version, read_some::<TierId>("tiers", tier)?));
        }
        store::model_reviews::reopen(&mut change, &models).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Undone: they wait for review as before, and cannot be called."))
    })
    .await
}
