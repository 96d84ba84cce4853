//! The review inbox: new models wait in it until a person accepts or dismisses them.

use domain::{
    ids::{BatchId, ModelId, ProviderId, TierId},
    model_reviews::MODELS_MAX,
    models::{Modality, Review},
    names::ModelName,
    prices::{Origin, Prices},
    roles::Act,
};

use crate::{
    Change, Diff, Result, StoreError, Subject, clock,
    models::{self, ModelForm},
    prices,
};

/// A model that somebody found and may take into the inbox.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What callers will write, if that is free.
    pub name: ModelName,
    /// Where it is.
    pub provider: ProviderId,
    /// What the provider calls it.
    pub upstream: String,
    /// What goes in and comes out.
    pub modality: Modality,
    /// The class it seems to belong to.
    pub tier: TierId,
    /// Tokens that fit in and out together.
    pub context_tokens: Option<i64>,
    /// The most it answers with.
    pub max_output_tokens: Option<i64>,
    /// What it costs, where that is known.
    pub prices: Prices,
}

/// Takes models into the inbox, closed to everybody. What the provider calls a model tells it apart:
/// one that is in the catalogue is left alone. A name that is taken gets a number.
///
/// # Errors
/// When one cannot be kept; then none is.
pub async fn take(change: &mut Change, candidates: &[Candidate], origin: Origin) -> Result<Vec<ModelId>> {
    change.expect(Act::EditCatalogue, None)?;
    at_most(candidates.len())?;
    let at = change.at();
    let mut taken = Vec::new();
    for candidate in candidates {
        if is_known(change, candidate.provider, &candidate.upstream).await? {
            continue;
        }
        let form = ModelForm {
            name: free_name(change, &candidate.name).await?,
            provider: candidate.provider,
            upstream: candidate.upstream.clone(),
            modality: candidate.modality,
            tier: candidate.tier,
            context_tokens: candidate.context_tokens,
            max_output_tokens: candidate.max_output_tokens,
        };
        let id = models::insert(change, &form, Review::Pending).await?;
        if !candidate.prices.is_empty() {
            prices::set(change, id, at, &candidate.prices, origin).await?;
        }
        taken.push(id);
    }
    Ok(taken)
}

/// As one change to several models, with one number in the log.
///
/// # Errors
/// As [`take`].
pub async fn take_together(
    change: &mut Change,
    candidates: &[Candidate],
    origin: Origin,
) -> Result<Vec<ModelId>> {
    change.in_batch(clock::id());
    take(change, candidates, origin).await
}

fn at_most(count: usize) -> Result<()> {
    if count <= MODELS_MAX {
        return Ok(());
    }
    Err(StoreError::invalid("names", format!("At most {MODELS_MAX} models at once; these are {count}.")))
}

async fn is_known(change: &mut Change, provider: ProviderId, upstream: &str) -> Result<bool> {
    let org = change.org();
    let known = sqlx::query_scalar!(
        r#"select exists (select 1 from models
                          where org_id = $1 and provider_id = $2 and upstream = $3 and archived_at is null) as "known!""#,
        org.0,
        provider.0,
        upstream.trim(),
    );
    Ok(known.fetch_one(change.db()).await?)
}

/// The name itself, or with the first number that makes it free.
async fn free_name(change: &mut Change, name: &ModelName) -> Result<ModelName> {
    let org = change.org();
    let taken = sqlx::query_scalar!(
        "select name from models where org_id = $1 and archived_at is null and starts_with(name, $2)",
        org.0,
        name.as_str(),
    )
    .fetch_all(change.db())
    .await?;
    let free = name.free(|name| taken.iter().any(|taken| taken == name));
    free.map_err(|error| StoreError::invalid("name", format!("{name}: {error}")))
}

/// Accepts models, each into a class: from now on the rules decide who may call them. One that was
/// accepted meanwhile stays as it is.
///
/// # Errors
/// [`StoreError::NotFound`] when one is not in the organization, [`StoreError::Stale`] when one was
/// dismissed meanwhile; then nothing is accepted.
pub async fn accept(change: &mut Change, choices: &[(ModelId, Option<TierId>)]) -> Result<usize> {
    change.expect(Act::EditCatalogue, None)?;
    at_most(choices.len())?;
    together(change, choices.len());
    let org = change.org();
    let mut accepted = 0;
    for &(id, tier) in choices {
        if let Some(tier) = tier {
            in_use(change, tier).await?;
        }
        let before = models::read_one(change.db(), org, id).await?;
        if before.archived_at.is_some() {
            return Err(StoreError::Stale);
        }
        if before.review == Review::Accepted {
            continue;
        }
        sqlx::query!(
            "update models set review = 'accepted', tier_id = $3, version = version + 1 where org_id = $1 and model_id = $2",
            org.0,
            id.0,
            tier.unwrap_or(before.tier.0).0,
        )
        .execute(change.db())
        .await?;
        let after = models::read_one(change.db(), org, id).await?;
        let diff = Diff::new().field("review", Some(Review::Pending), Some(Review::Accepted)).field(
            "tier",
            Some(before.tier.1),
            Some(after.tier.1),
        );
        change.record(Subject { kind: "model", id: id.0, name: &before.name }, "accept", &diff).await?;
        accepted += 1;
    }
    Ok(accepted)
}

async fn in_use(change: &mut Change, tier: TierId) -> Result<()> {
    let org = change.org();
    let archived = sqlx::query_scalar!(
        r#"select archived_at is not null as "archived!" from tiers where org_id = $1 and tier_id = $2"#,
        org.0,
        tier.0
    );
    if archived.fetch_one(change.db()).await? {
        return Err(StoreError::invalid("tier", "This tier was archived meanwhile. Choose another one."));
    }
    Ok(())
}

/// Dismisses models that wait: they leave the catalogue without ever having been called.
///
/// # Errors
/// [`StoreError::Stale`] when one was accepted meanwhile; then nothing is dismissed.
pub async fn dismiss(change: &mut Change, ids: &[ModelId]) -> Result<usize> {
    change.expect(Act::EditCatalogue, None)?;
    at_most(ids.len())?;
    together(change, ids.len());
    let org = change.org();
    let mut dismissed = 0;
    for &id in ids {
        let before = models::read_one(change.db(), org, id).await?;
        if before.review == Review::Accepted {
            return Err(StoreError::Stale);
        }
        if before.archived_at.is_none() {
            models::archive(change, id).await?;
            dismissed += 1;
        }
    }
    Ok(dismissed)
}

/// Puts models back into the inbox that were accepted or dismissed by mistake, each as it was left, and
/// into the tier it was in. From the next call on nobody can call them until somebody decides anew.
///
/// # Errors
/// [`StoreError::Meanwhile`] when somebody changed one since: then none is put back;
/// [`StoreError::Conflict`] when another model has its name by now.
pub async fn reopen(change: &mut Change, models: &[(ModelId, i64, Option<TierId>)]) -> Result<usize> {
    change.expect(Act::EditCatalogue, None)?;
    at_most(models.len())?;
    together(change, models.len());
    let org = change.org();
    for &(id, version, tier) in models {
        crate::seen::unchanged(change, id.0, version).await?;
        if let Some(tier) = tier {
            in_use(change, tier).await?;
        }
        let before = models::read_one(change.db(), org, id).await?;
        sqlx::query!(
            "update models set review = 'pending', archived_at = null, tier_id = $3, version = version + 1
             where org_id = $1 and model_id = $2",
            org.0,
            id.0,
            tier.unwrap_or(before.tier.0).0,
        )
        .execute(change.db())
        .await?;
        let after = models::read_one(change.db(), org, id).await?;
        let archived = before.archived_at.is_some();
        let diff = Diff::new()
            .field("review", Some(before.review), Some(after.review))
            .field("tier", Some(before.tier.1), Some(after.tier.1))
            .field("archived", Some(archived), Some(false));
        change.record(Subject { kind: "model", id: id.0, name: &before.name }, "reopen", &diff).await?;
    }
    Ok(models.len())
}

fn together(change: &mut Change, count: usize) {
    if count > 1 {
        change.in_batch(clock::id::<BatchId>());
    }
}
