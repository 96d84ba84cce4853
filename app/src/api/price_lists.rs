//! Price lists that people bring: read, looked at, applied.

use std::collections::HashMap;

use domain::{
    ids::PriceListId,
    price_lists::{Applied, Known, LeftOut, Listed},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::offers::There;
use crate::{error::AppError, frame::Done};

/// The book that is in this program.
#[server(prefix = "/console", endpoint = "price-lists/book")]
pub async fn load_book() -> Result<(String, usize), AppError> {
    use crate::backend::{catalogue::book_words, *};
    use domain::roles::Act;
    handle(|cx| async move {
        cx.permit(Act::EditCatalogue)?;
        let book = store::price_lists::book::book();
        Ok((book_words(book), book.len()))
    })
    .await
}

/// Reads a list, and keeps it until it is applied. Nothing is changed.
#[server(prefix = "/console", endpoint = "price-lists/read")]
pub async fn read_price_list(
    #[server(default)] file: String,
    #[server(default)] text: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    use store::price_lists::litellm;
    handle(|cx| async move {
        let permit = cx.permit(Act::EditCatalogue)?;
        let (field, list) =
            if file.trim().is_empty() && !text.trim().is_empty() { ("text", &text) } else { ("file", &file) };
        let list = litellm::read(list).map_err(|error| match error {
            store::StoreError::Invalid { sentence, .. } => AppError::field(field, sentence),
            error => translate(error),
        })?;
        let id = store::price_lists::keep(&cx.store, &permit, &list).await.known()?;
        let read = match list.listed.len() {
            1 => "1 model read".to_owned(),
            count => format!("{count} models read"),
        };
        let mut said = format!("{read}. Nothing has been changed yet.");
        said += &match list.unreadable.len() {
            0 => String::new(),
            1 => " 1 entry cannot be read and is left out: below it says why.".to_owned(),
            count => format!(" {count} entries cannot be read and are left out: below it says why."),
        };
        said += &match list.other {
            0 => String::new(),
            1 => " 1 is of a kind that is not called through here, and was left out.".to_owned(),
            other => format!(" {other} are of kinds that are not called through here, and were left out."),
        };
        Ok(Done::said(said).then(format!("/models/import/{id}")))
    })
    .await
}

/// A list beside the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceListView {
    /// Which.
    pub id: PriceListId,
    /// How many models it speaks of.
    pub listed: usize,
    /// When it was read.
    pub read_at: chrono::DateTime<chrono::Utc>,
    /// Entries that cannot be read.
    pub unreadable: Vec<LeftOut>,
    /// What was applied of it so far, the newest first.
    pub applied: Vec<Applied>,
    /// Models of ours that it prices otherwise.
    pub changed: Vec<Known>,
    /// How many of ours it prices as we do.
    pub same: usize,
    /// Vendors of models we do not have: id, name, how many.
    pub vendors: Vec<(String, String, usize)>,
    /// The vendor that is looked at.
    pub vendor: String,
    /// Its models that we do not have: those of this page.
    pub unknown: Vec<Unknown>,
    /// How many of them match what is looked for.
    pub total: usize,
    /// Where the next page starts.
    pub next: Option<String>,
    /// Providers: id and name, those of the vendor first.
    pub providers: Vec<(String, String)>,
    /// Whether one of them is the vendor's.
    pub own: bool,
    /// Providers that are nobody's as far as is known, whose models are not put beside the list, and how many
    /// those are.
    pub nobodys: Vec<(String, usize)>,
}

/// A model of a list that is not in the catalogue as one of its vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// What the list says of it.
    pub listed: Listed,
    /// The model of the catalogue that may be the same one.
    pub there: Option<There>,
}

/// A list beside the catalogue.
#[server(prefix = "/console", endpoint = "price-lists/get")]
pub async fn load_price_list(
    id: String,
    #[server(default)] vendor: String,
    #[server(default)] q: String,
    #[server(default)] after: String,
) -> Result<PriceListView, AppError> {
    use crate::backend::{catalogue::*, *};
    use domain::{
        price_lists::{compare, vendor_label},
        roles::Act,
    };
    use std::collections::{BTreeMap, HashSet};
    const PAGE: usize = 50;
    handle(|cx| async move {
        let permit = cx.permit(Act::EditCatalogue)?;
        let (org, me) = (permit.org(), permit.actor().user.ok_or(AppError::NotFound)?);
        let id: PriceListId = id.parse().map_err(|_| AppError::NotFound)?;
        let list = store::price_lists::get(&cx.store, org, me, id).await.known()?;
        let applied = store::price_lists::applied(&cx.store, org, id).await.known()?;
        let catalogue = Catalogue::of(&cx, org).await?;
        let ours = catalogue.vendors();
        let mut compared = compare(&catalogue.models, &ours, &list.listed);
        // What was taken from it is not offered again as long as it is there, whoever it was said to be offered by.
        let here = |model| catalogue.models.iter().any(|known| known.id == model);
        let taken: HashSet<(&str, &str)> = applied
            .iter()
            .flat_map(|applied| &applied.taken)
            .filter(|taken| here(taken.model))
            .map(|taken| (taken.vendor.as_str(), taken.listed.as_str()))
            .collect();
        compared.unknown.retain(|listed| !taken.contains(&(listed.vendor.as_str(), listed.name.as_str())));
        let mut counts = BTreeMap::<&str, usize>::new();
        for listed in &compared.unknown {
            *counts.entry(&listed.vendor).or_default() += 1;
        }
        // Without a choice, a vendor there is a provider for.
        let chosen = counts.keys().find(|known| **known == vendor);
        let vendor = chosen
            .or_else(|| counts.keys().find(|vendor| ours.values().any(|own| own == *vendor)))
            .or(counts.keys().next());
        let vendor = vendor.copied().unwrap_or_default();
        let wanted = q.trim().to_lowercase();
        let unknown: Vec<&&Listed> = compared
            .unknown
            .iter()
            .filter(|listed| listed.vendor == vendor && listed.name.to_lowercase().contains(&wanted))
            .collect();
        let later: Vec<&&Listed> =
            unknown.iter().copied().filter(|listed| after.is_empty() || listed.name > after).collect();
        let page: Vec<Unknown> = later
            .iter()
            .take(PAGE)
            .map(|listed| Unknown { listed: (**listed).clone(), there: catalogue.there(&listed.name) })
            .collect();
        let nobodys = catalogue.providers.iter().filter(|provider| !ours.contains_key(&provider.id));
        let nobodys = nobodys.filter_map(|provider| {
            let of = catalogue.models.iter().filter(|model| model.provider.0 == provider.id).count();
            (of > 0).then(|| (provider.name.clone(), of))
        });
        let mut providers: Vec<_> = catalogue.providers.iter().collect();
        providers.sort_by_key(|provider| ours.get(&provider.id) != Some(&vendor));
        let mut vendors: Vec<(String, String, usize)> = counts
            .iter()
            .map(|(vendor, count)| ((*vendor).to_owned(), vendor_label(vendor).to_owned(), *count))
            .collect();
        vendors.sort_by_key(|(_, label, _)| label.to_lowercase());
        Ok(PriceListView {
            id,
            listed: list.listed.len(),
            read_at: list.read_at,
            same: compared.same,
            vendor: vendor.to_owned(),
            total: unknown.len(),
            next: (later.len() > PAGE).then(|| page.last().map(|last| last.listed.name.clone())).flatten(),
            unknown: page,
            vendors,
            providers: providers.into_iter().map(|it| (it.id.to_string(), it.name.clone())).collect(),
            own: ours.values().any(|own| *own == vendor),
            nobodys: nobodys.collect(),
            changed: compared.changed,
            unreadable: list.unreadable,
            applied,
        })
    })
    .await
}

/// Gives models the prices of a list from now on, and takes others into the review inbox. `was`: what each model
/// cost when it was shown; what somebody changed since is left out, and named.
#[server(prefix = "/console", endpoint = "price-lists/apply")]
pub async fn apply_price_list(
    id: String,
    #[server(default)] models: Vec<String>,
    #[server(default)] was: HashMap<String, String>,
    #[server(default)] vendor: String,
    #[server(default)] provider: String,
    #[server(default)] names: Vec<String>,
) -> Result<Done, AppError> {
    use crate::backend::{catalogue::*, *};
    use domain::{
        ids::{ModelId, ProviderId},
        roles::Act,
    };
    use store::price_lists::Choice;
    handle(|cx| async move {
        let permit = cx.permit(Act::EditCatalogue)?;
        let (org, me) = (permit.org(), permit.actor().user.ok_or(AppError::NotFound)?);
        let list = store::price_lists::get(&cx.store, org, me, read("id", &id)?).await.known()?;
        if models.is_empty() && names.is_empty() {
            return Err(AppError::field("models", "Tick what is to be taken from the list."));
        }
        let catalogue = Catalogue::of(&cx, org).await?;
        let mut choice = Choice { prices: chosen(&models, &was)?, vendor, ..Choice::default() };
        if !names.is_empty() {
            if provider.is_empty() {
                return Err(AppError::field("provider", "Choose who offers the models that are ticked."));
            }
            let provider: ProviderId = read("provider", &provider)?;
            for name in &names {
                let listed =
                    list.listed.iter().find(|listed| listed.vendor == choice.vendor && listed.name == *name);
                let listed = listed.ok_or_else(|| {
                    AppError::field("names", format!("The list has no {name} of this vendor."))
                })?;
                choice.models.push(catalogue.candidate(provider, name, Some(listed))?);
            }
        }
        let mut change = cx.change(permit).await?;
        let vendors = catalogue.vendors();
        let applied = store::price_lists::apply(&mut change, &list, &vendors, &choice).await.known()?;
        change.commit().await.known()?;
        let mut said = vec![match applied.priced.len() {
            0 => "No price changed.".to_owned(),
            1 => "1 model has a new price from now on.".to_owned(),
            count => format!("{count} models have new prices from now on."),
        }];
        if !choice.models.is_empty() {
            let taken: Vec<ModelId> = applied.taken.iter().map(|taken| taken.model).collect();
            said.push(taken_words(&cx, org, &choice.models, &taken).await?);
        }
        said.extend(applied.left_out.iter().map(|line| format!("Left out is {}: {}", line.name, line.why)));
        let vendor = crate::ui::query::encoded(&choice.vendor);
        Ok(Done::said(said.join(" ")).then(format!("/models/import/{}?vendor={vendor}", list.id)))
    })
    .await
}
