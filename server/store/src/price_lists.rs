//! Price lists: the book in this program, and lists that people bring. A list that was read is kept
//! until it is applied, so that what is done is what was looked at.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::{
    ids::{BatchId, ModelId, OrgId, PriceListId, ProviderId, UserId},
    price_lists::{Applied, Known, LeftOut, Listed, Repriced, TakenIn, listed_for},
    prices::{Origin, PriceSource, Prices},
    roles::{Act, Permit},
};
use serde_json::json;

use self::litellm::Read;
use crate::{
    Change, Result, Store, StoreError, clock,
    model_reviews::{self, Candidate},
    models, prices,
};

pub mod book;
pub mod litellm;

/// A list that somebody brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which.
    pub id: PriceListId,
    /// What it says.
    pub listed: Vec<Listed>,
    /// Entries that could not be read.
    pub unreadable: Vec<LeftOut>,
    /// When it was read.
    pub read_at: DateTime<Utc>,
}

impl Kept {
    /// Where a price of it comes from.
    pub fn origin(&self) -> Origin {
        Origin { source: PriceSource::List, of: Some(self.read_at.date_naive()) }
    }
}

/// Keeps a list for whoever brought it, in place of the one they brought before.
///
/// # Errors
/// When the permit is not for changing the catalogue, or is nobody's.
pub async fn keep(store: &Store, permit: &Permit, list: &Read) -> Result<PriceListId> {
    if !permit.covers(Act::EditCatalogue, None) {
        return Err(StoreError::NotPermitted(Act::EditCatalogue));
    }
    let (org, id) = (permit.org(), clock::id::<PriceListId>());
    let actor = permit.actor().user.ok_or(StoreError::NotFound)?;
    let mut tx = store.pool().begin().await?;
    sqlx::query!("delete from price_lists where org_id = $1 and actor_id = $2", org.0, actor.0)
        .execute(&mut *tx)
        .await?;
    sqlx::query!(
        "insert into price_lists (org_id, price_list_id, actor_id, entries, unreadable, read_at)
         values ($1, $2, $3, $4, $5, $6)",
        org.0,
        id.0,
        actor.0,
        json!(list.listed),
        json!(list.unreadable),
        clock::now(),
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(id)
}

/// A list that this person brought.
///
/// # Errors
/// [`StoreError::NotFound`] when they did not.
pub async fn get(store: &Store, org: OrgId, by: UserId, id: PriceListId) -> Result<Kept> {
    let row = sqlx::query!(
        "select entries, unreadable, read_at from price_lists where org_id = $1 and price_list_id = $2 and actor_id = $3",
        org.0,
        id.0,
        by.0
    )
    .fetch_one(store.pool())
    .await?;
    Ok(Kept {
        id,
        listed: serde_json::from_value(row.entries).map_err(unreadable)?,
        unreadable: serde_json::from_value(row.unreadable).map_err(unreadable)?,
        read_at: row.read_at,
    })
}

fn unreadable(error: serde_json::Error) -> StoreError {
    StoreError::Unreadable(error.to_string())
}

/// What has been applied of a list so far, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn applied(store: &Store, org: OrgId, id: PriceListId) -> Result<Vec<Applied>> {
    let rows = sqlx::query_scalar!(
        "select did from price_list_uses where org_id = $1 and price_list_id = $2 order by applied_at desc",
        org.0,
        id.0,
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter().map(|did| serde_json::from_value(did).map_err(unreadable)).collect()
}

/// A model of ours that is to have the price of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Which.
    pub model: ModelId,
    /// What it cost when it was chosen.
    pub was: Prices,
}

/// What is chosen of a list.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Models of ours that are to have its prices.
    pub prices: Vec<Chosen>,
    /// Whose the models are that are taken, as the list names them.
    pub vendor: String,
    /// What is taken into the review inbox.
    pub models: Vec<Candidate>,
}

/// Gives models the prices of a list from now on, and takes others into the review inbox: all of it in one
/// step. What is so already stays untouched; what somebody changed since it was chosen is left out, and
/// named. `vendors`: which vendor each provider is.
///
/// # Errors
/// [`StoreError::Meanwhile`] when all that was chosen was changed since; those of [`prices::edit`] and
/// [`model_reviews::take`].
pub async fn apply(
    change: &mut Change,
    list: &Kept,
    vendors: &HashMap<ProviderId, &'static str>,
    choice: &Choice,
) -> Result<Applied> {
    change.expect(Act::EditCatalogue, None)?;
    let batch: BatchId = clock::id();
    change.in_batch(batch);
    let (mut priced, mut left_out, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for chosen in choice.prices.iter().filter(|chosen| seen.insert(chosen.model)) {
        match reprice(change, list, vendors, chosen).await? {
            Turned::Priced(line) => priced.push(line),
            Turned::LeftOut(line) => left_out.push(line),
            Turned::SoAlready => {}
        }
    }
    let taken = take(change, list, choice).await?;
    if priced.is_empty() && taken.is_empty() && !left_out.is_empty() {
        let lines = left_out.iter().map(|line| format!("{}: {}", line.name, line.why));
        let sentence = format!("Nothing was applied. {}", lines.collect::<Vec<_>>().join(" "));
        return Err(StoreError::Meanwhile(sentence));
    }
    let by = change.permit().actor().name.clone();
    let applied = Applied { at: change.at(), by, priced, taken, left_out };
    if !applied.priced.is_empty() || !applied.taken.is_empty() {
        note(change, list, batch, &applied).await?;
    }
    Ok(applied)
}

/// What became of a model that was to have the price of a list.
enum Turned {
    /// It has it.
    Priced(Repriced),
    /// It is not what it was when it was chosen.
    LeftOut(LeftOut),
    /// It had it before.
    SoAlready,
}

async fn reprice(
    change: &mut Change,
    list: &Kept,
    vendors: &HashMap<ProviderId, &'static str>,
    chosen: &Chosen,
) -> Result<Turned> {
    let (org, at) = (change.org(), change.at());
    let model = models::read_one(change.db(), org, chosen.model).await?;
    let name = model.name.clone();
    let left_out = |why: String| Ok(Turned::LeftOut(LeftOut { name: name.clone(), why }));
    if model.archived_at.is_some() {
        let last = crate::seen::last(change, chosen.model.0).await?;
        let has = if last.own { "have" } else { "has" };
        return left_out(format!("{} {has} archived it since.", last.who));
    }
    let Some(listed) = listed_for(&model, vendors, &list.listed) else {
        return left_out(
            "The list says nothing about it by the name its provider has for it now.".to_owned(),
        );
    };
    let known = Known { listed: listed.clone(), model };
    let (now, then) = (known.now(), known.then());
    if now == then {
        return Ok(Turned::SoAlready);
    }
    if now != chosen.was {
        let who = prices::set_by(change, chosen.model).await?;
        let (was, now) = (chosen.was.in_words(), now.in_words());
        return left_out(format!("{who} changed it from {was} to {now} since."));
    }
    prices::edit(change, chosen.model, known.model.version, at, &then, list.origin()).await?;
    let (from, to) = (now.in_words(), then.in_words());
    Ok(Turned::Priced(Repriced { model: chosen.model, name, from, to }))
}

/// Takes entries of a list into the review inbox.
async fn take(change: &mut Change, list: &Kept, choice: &Choice) -> Result<Vec<TakenIn>> {
    let org = change.org();
    let mut taken = Vec::new();
    for id in model_reviews::take(change, &choice.models, list.origin()).await? {
        let model = models::read_one(change.db(), org, id).await?;
        let vendor = choice.vendor.clone();
        taken.push(TakenIn { model: id, name: model.name, vendor, listed: model.upstream });
    }
    Ok(taken)
}

/// Takes down what was applied, for whoever looks at the list again.
async fn note(change: &mut Change, list: &Kept, batch: BatchId, applied: &Applied) -> Result<()> {
    let org = change.org();
    sqlx::query!(
        "insert into price_list_uses (org_id, price_list_id, batch_id, applied_at, did) values ($1, $2, $3, $4, $5)",
        org.0,
        list.id.0,
        batch.0,
        applied.at,
        json!(applied),
    )
    .execute(change.db())
    .await?;
    Ok(())
}
