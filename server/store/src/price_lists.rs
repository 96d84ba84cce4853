//! Price lists: the book in this program, and lists that people bring. A list that was read is kept
//! until it is applied, so that what is done is what was looked at.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::{
    ids::{BatchId, ModelId, OrgId, PriceListId, UserId},
    price_lists::{Known, Listed},
    prices::{Origin, PriceSource},
    roles::{Act, Permit},
};
use serde_json::json;

use crate::{
    Change, Result, Store, StoreError, clock,
    model_reviews::{self, Candidate},
    prices,
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
pub async fn keep(store: &Store, permit: &Permit, listed: &[Listed]) -> Result<PriceListId> {
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
        "insert into price_lists (org_id, price_list_id, actor_id, entries, read_at) values ($1, $2, $3, $4, $5)",
        org.0,
        id.0,
        actor.0,
        json!(listed),
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
        "select entries, read_at from price_lists where org_id = $1 and price_list_id = $2 and actor_id = $3",
        org.0,
        id.0,
        by.0
    )
    .fetch_one(store.pool())
    .await?;
    let listed =
        serde_json::from_value(row.entries).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    Ok(Kept { id, listed, read_at: row.read_at })
}

/// What applying a list came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// How many models have another price now.
    pub priced: usize,
    /// Models that wait for review now.
    pub taken: Vec<ModelId>,
    /// Under which batch the log has it.
    pub batch: Option<BatchId>,
}

/// Gives models the prices of a list from now on, and takes others into the review inbox: all of it or
/// nothing. What is so already stays untouched.
///
/// # Errors
/// As [`prices::set`] and [`model_reviews::take`].
pub async fn apply(
    change: &mut Change,
    list: &Kept,
    known: &[Known],
    candidates: &[Candidate],
) -> Result<Applied> {
    change.expect(Act::EditCatalogue, None)?;
    let batch: BatchId = clock::id();
    change.in_batch(batch);
    let (org, at) = (change.org(), change.at());
    let (mut priced, mut seen) = (0, HashSet::new());
    for known in known.iter().filter(|known| seen.insert(known.model.id)) {
        let model = crate::models::read_one(change.db(), org, known.model.id).await?;
        let known = Known { model, listed: known.listed.clone() };
        let then = known.then();
        if known.model.archived_at.is_none() && known.now() != then {
            prices::set(change, known.model.id, at, &then, list.origin()).await?;
            priced += 1;
        }
    }
    let taken = model_reviews::take(change, candidates, list.origin()).await?;
    let any = priced > 0 || !taken.is_empty();
    Ok(Applied { priced, taken, batch: any.then_some(batch) })
}
