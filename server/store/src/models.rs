//! The catalogue: tiers, models, prices.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use domain::{
    ids::{ModelId, OrgId, ProviderId, TierId},
    models::{Modality, Model, Review, Tier},
    money::Price,
    names::{ModelName, Name},
    prices::{DatedPrices, Origin, PriceKey, Prices},
    roles::Act,
};
use sqlx::PgConnection;

use crate::{
    Change, Diff, Result, Store, StoreError, Subject, change::exactly_one, clock, model_reviews, prices,
};

/// What a new or edited model is given.
#[derive(Clone, Debug)]
pub struct ModelForm {
    /// What callers write.
    pub name: ModelName,
    /// Where it is.
    pub provider: ProviderId,
    /// What the provider calls it.
    pub upstream: String,
    /// What goes in and comes out.
    pub modality: Modality,
    /// Its class.
    pub tier: TierId,
    /// Tokens that fit in and out together.
    pub context_tokens: Option<i64>,
    /// The most it answers with.
    pub max_output_tokens: Option<i64>,
}

/// Every tier, in order.
///
/// # Errors
/// When the database does not answer.
pub async fn tiers(store: &Store, org: OrgId) -> Result<Vec<Tier>> {
    let rows = sqlx::query!(
        r#"select t.tier_id, t.name, t.high_cost, t.version, count(m.model_id) as "models!"
           from tiers t left join models m on m.org_id = t.org_id and m.tier_id = t.tier_id and m.archived_at is null
           where t.org_id = $1 and t.archived_at is null
           group by t.org_id, t.tier_id
           order by t.position, lower(t.name)"#,
        org.0
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Tier {
            id: row.tier_id.into(),
            name: row.name,
            high_cost: row.high_cost,
            models: row.models,
            version: row.version,
        })
        .collect())
}

/// Adds a tier.
///
/// # Errors
/// [`StoreError::Conflict`] when the name is taken.
pub async fn insert_tier(change: &mut Change, name: &Name, high_cost: bool) -> Result<TierId> {
    change.expect(Act::EditCatalogue, None)?;
    let id: TierId = clock::id();
    let (org, at) = (change.org(), change.at());
    sqlx::query!(
        "insert into tiers as t (org_id, tier_id, name, high_cost, position, created_at)
         select $1, $2, $3, $4, coalesce(max(x.position), 0) + 1, $5 from tiers x where x.org_id = $1",
        org.0,
        id.0,
        name.as_str(),
        high_cost,
        at
    )
    .execute(change.db())
    .await?;
    let diff = Diff::new().set("name", name.as_str()).set("high_cost", high_cost);
    change.record(Subject { kind: "tier", id: id.0, name: name.as_str() }, "create", &diff).await?;
    Ok(id)
}

/// Changes a tier.
///
/// # Errors
/// [`StoreError::Stale`] when `version` is not the newest.
pub async fn update_tier(
    change: &mut Change,
    id: TierId,
    version: i64,
    name: &Name,
    high_cost: bool,
) -> Result<()> {
    change.expect(Act::EditCatalogue, None)?;
    let org = change.org();
    let before =
        sqlx::query!("select name, high_cost from tiers where org_id = $1 and tier_id = $2", org.0, id.0)
            .fetch_one(change.db())
            .await?;
    let done = sqlx::query!(
        "update tiers set name = $4, high_cost = $5, version = version + 1
         where org_id = $1 and tier_id = $2 and version = $3 and archived_at is null",
        org.0,
        id.0,
        version,
        name.as_str(),
        high_cost
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    let diff = Diff::new().field("name", Some(&before.name), Some(name.as_str())).field(
        "high_cost",
        Some(before.high_cost),
        Some(high_cost),
    );
    if diff.is_empty() {
        return Ok(());
    }
    change.record(Subject { kind: "tier", id: id.0, name: name.as_str() }, "edit", &diff).await
}

/// Takes a tier out of use.
///
/// # Errors
/// [`StoreError::Invalid`] while models are in it.
pub async fn archive_tier(change: &mut Change, id: TierId) -> Result<()> {
    change.expect(Act::EditCatalogue, None)?;
    let (org, at) = (change.org(), change.at());
    let row = sqlx::query!(
        r#"select name, (select count(*) from models where org_id = $1 and tier_id = $2 and archived_at is null) as "models!"
           from tiers where org_id = $1 and tier_id = $2"#,
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    if row.models > 0 {
        let sentence = match row.models {
            1 => "1 model is in it. Move it to another tier first.".to_owned(),
            models => format!("{models} models are in it. Move them to another tier first."),
        };
        return Err(StoreError::invalid("tier", sentence));
    }
    let done = sqlx::query!(
        "update tiers set archived_at = $3, version = version + 1 where org_id = $1 and tier_id = $2 and archived_at is null",
        org.0,
        id.0,
        at
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    change
        .record(
            Subject { kind: "tier", id: id.0, name: &row.name },
            "archive",
            &Diff::new().set("archived", true),
        )
        .await
}

/// Every model by name, with the prices in force.
///
/// # Errors
/// When the database does not answer.
pub async fn list(store: &Store, org: OrgId) -> Result<Vec<Model>> {
    read(&mut *store.pool().acquire().await?, org, None).await
}

/// One model.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn get(store: &Store, org: OrgId, id: ModelId) -> Result<Model> {
    read_one(&mut *store.pool().acquire().await?, org, id).await
}

pub(crate) async fn read_one(db: &mut PgConnection, org: OrgId, id: ModelId) -> Result<Model> {
    read(db, org, Some(id)).await?.pop().ok_or(StoreError::NotFound)
}

async fn read(db: &mut PgConnection, org: OrgId, only: Option<ModelId>) -> Result<Vec<Model>> {
    let rows = sqlx::query!(
        r#"select m.model_id, m.name, m.provider_id, v.name as provider, v.dialect, m.upstream, m.modality, m.tier_id, t.name as tier,
                  t.high_cost, m.context_tokens, m.max_output_tokens, m.review, m.archived_at, m.version,
                  p.starts_at as "starts_at?", p.input, p.cache_read, p.cache_write, p.cache_write_long, p.output, p.reasoning,
                  p.audio_input, p.audio_output, p.image, p.call, p.web_search, p.file_search, p.code_session
           from models m
           join providers v on v.org_id = m.org_id and v.provider_id = m.provider_id
           join tiers t on t.org_id = m.org_id and t.tier_id = m.tier_id
           left join lateral (
               select * from prices p where p.org_id = m.org_id and p.model_id = m.model_id and p.starts_at <= $3
               order by p.starts_at desc limit 1
           ) p on true
           where m.org_id = $1 and (m.model_id = $2 or ($2::uuid is null and m.archived_at is null))
           order by lower(m.name)"#,
        org.0,
        only.map(|id| id.0),
        clock::now(),
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let columns = [
                row.input,
                row.cache_read,
                row.cache_write,
                row.cache_write_long,
                row.output,
                row.reasoning,
                row.audio_input,
                row.audio_output,
                row.image,
                row.call,
                row.web_search,
                row.file_search,
                row.code_session,
            ];
            Ok(Model {
                id: row.model_id.into(),
                name: row.name,
                provider: (row.provider_id.into(), row.provider),
                dialect: row.dialect.parse()?,
                upstream: row.upstream,
                modality: row.modality.parse()?,
                tier: (row.tier_id.into(), row.tier),
                high_cost: row.high_cost,
                context_tokens: row.context_tokens,
                max_output_tokens: row.max_output_tokens,
                prices: row.starts_at.map(|from| DatedPrices { from, prices: from_columns(columns) }),
                review: row.review.parse()?,
                archived_at: row.archived_at,
                version: row.version,
            })
        })
        .collect()
}

/// The columns of `prices` in the order of [`PriceKey::ALL`].
pub(crate) fn from_columns(columns: [Option<i64>; PriceKey::ALL.len()]) -> Prices {
    PriceKey::ALL
        .iter()
        .zip(columns)
        .fold(Prices::default(), |prices, (&key, nanos)| prices.with(key, nanos.map(Price)))
}

/// Every price a model has had, has or will have, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn prices(store: &Store, org: OrgId, id: ModelId) -> Result<Vec<DatedPrices>> {
    let history = prices::history(store, org, id).await?;
    Ok(history.into_iter().map(|priced| priced.dated).collect())
}

/// How many tokens a model may have room for.
pub const TOKENS: RangeInclusive<i64> = 1..=100_000_000;

/// Checks what a provider is said to call a model.
///
/// # Errors
/// With a sentence for the person who typed it.
pub fn check_upstream(text: &str) -> Result<()> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 200 || text.chars().any(char::is_control) {
        return Err(StoreError::invalid(
            "upstream",
            "Enter what the provider calls the model, at most 200 characters.",
        ));
    }
    Ok(())
}

fn check(form: &ModelForm) -> Result<()> {
    check_upstream(&form.upstream)?;
    for (field, tokens) in
        [("context_tokens", form.context_tokens), ("max_output_tokens", form.max_output_tokens)]
    {
        if tokens.is_some_and(|tokens| !TOKENS.contains(&tokens)) {
            return Err(StoreError::invalid(field, "Enter a number of tokens from 1 to 100000000."));
        }
    }
    Ok(())
}

/// Adds a model. It lands in review, and closed, unless `review` says that a person has decided.
///
/// # Errors
/// [`StoreError::Conflict`] when the name is taken.
pub async fn insert(change: &mut Change, form: &ModelForm, review: Review) -> Result<ModelId> {
    change.expect(Act::EditCatalogue, None)?;
    check(form)?;
    let id: ModelId = clock::id();
    let (org, at) = (change.org(), change.at());
    sqlx::query!(
        "insert into models (org_id, model_id, name, provider_id, upstream, modality, tier_id, context_tokens, max_output_tokens,
                             review, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        org.0,
        id.0,
        form.name.as_str(),
        form.provider.0,
        form.upstream.trim(),
        form.modality.as_str(),
        form.tier.0,
        form.context_tokens,
        form.max_output_tokens,
        review.as_str(),
        at,
    )
    .execute(change.db())
    .await?;
    let after = read_one(change.db(), org, id).await?;
    let diff = Diff::new()
        .set("name", form.name.as_str())
        .set("upstream", form.upstream.trim())
        .set("modality", form.modality)
        .set("tier", after.tier.1)
        .set("provider", after.provider.1)
        .set("review", review)
        .field("context_tokens", None::<i64>, form.context_tokens)
        .field("max_output_tokens", None::<i64>, form.max_output_tokens);
    change.record(Subject { kind: "model", id: id.0, name: form.name.as_str() }, "create", &diff).await?;
    Ok(id)
}

/// Changes a model.
///
/// # Errors
/// [`StoreError::Stale`] when `version` is not the newest.
pub async fn update(change: &mut Change, id: ModelId, version: i64, form: &ModelForm) -> Result<()> {
    change.expect(Act::EditCatalogue, None)?;
    check(form)?;
    let org = change.org();
    let before = read_one(change.db(), org, id).await?;
    let done = sqlx::query!(
        "update models set name = $4, provider_id = $5, upstream = $6, modality = $7, tier_id = $8, context_tokens = $9,
                max_output_tokens = $10, version = version + 1
         where org_id = $1 and model_id = $2 and version = $3 and archived_at is null",
        org.0,
        id.0,
        version,
        form.name.as_str(),
        form.provider.0,
        form.upstream.trim(),
        form.modality.as_str(),
        form.tier.0,
        form.context_tokens,
        form.max_output_tokens,
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    let after = read_one(change.db(), org, id).await?;
    let diff = Diff::new()
        .field("name", Some(before.name.as_str()), Some(form.name.as_str()))
        .field("provider", Some(before.provider.1), Some(after.provider.1))
        .field("upstream", Some(before.upstream.as_str()), Some(form.upstream.trim()))
        .field("modality", Some(before.modality), Some(form.modality))
        .field("tier", Some(before.tier.1), Some(after.tier.1))
        .field("context_tokens", before.context_tokens, form.context_tokens)
        .field("max_output_tokens", before.max_output_tokens, form.max_output_tokens);
    if diff.is_empty() {
        return Ok(());
    }
    change.record(Subject { kind: "model", id: id.0, name: form.name.as_str() }, "edit", &diff).await
}

/// Says that a person has looked at a new model: from now on the rules decide who may call it.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn accept(change: &mut Change, id: ModelId) -> Result<()> {
    model_reviews::accept(change, &[(id, None)]).await.map(|_| ())
}

/// Takes a model out of the catalogue.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn archive(change: &mut Change, id: ModelId) -> Result<()> {
    change.expect(Act::EditCatalogue, None)?;
    let (org, at) = (change.org(), change.at());
    let before = read_one(change.db(), org, id).await?;
    if before.archived_at.is_some() {
        return Ok(());
    }
    sqlx::query!(
        "update models set archived_at = $3, version = version + 1 where org_id = $1 and model_id = $2",
        org.0,
        id.0,
        at
    )
    .execute(change.db())
    .await?;
    change
        .record(
            Subject { kind: "model", id: id.0, name: &before.name },
            "archive",
            &Diff::new().set("archived", true),
        )
        .await
}

/// Sets the prices of a model from a moment on, as somebody typed them.
///
/// # Errors
/// As [`prices::set`].
pub async fn set_prices(
    change: &mut Change,
    id: ModelId,
    from: DateTime<Utc>,
    prices: &Prices,
) -> Result<()> {
    prices::set(change, id, from, prices, Origin::TYPED).await.map(drop)
}
