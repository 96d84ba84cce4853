//! What models cost, from when, and who said so.

use chrono::{DateTime, Utc};
use domain::{
    audit::Door,
    ids::{ModelId, OrgId},
    prices::{DatedPrices, Origin, PriceKey, PriceSource, Priced, Prices},
    roles::Act,
};

use crate::{Change, Diff, Result, Store, StoreError, Subject, models};

/// Every price a model has had, has or will have, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn history(store: &Store, org: OrgId, id: ModelId) -> Result<Vec<Priced>> {
    let rows = sqlx::query!(
        "select starts_at, input, cache_read, cache_write, cache_write_long, output, reasoning, audio_input, audio_output, image, call,
                web_search, file_search, code_session, source, source_date, set_by
         from prices where org_id = $1 and model_id = $2 order by starts_at desc",
        org.0,
        id.0
    )
    .fetch_all(store.pool())
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
            Ok(Priced {
                dated: DatedPrices { from: row.starts_at, prices: models::from_columns(columns) },
                origin: Origin { source: row.source.parse()?, of: row.source_date },
                by: row.set_by,
            })
        })
        .collect()
}

/// Takes the prices away that are to come from a moment on; none: none are, or they have begun.
async fn take(change: &mut Change, id: ModelId, from: DateTime<Utc>) -> Result<Option<Prices>> {
    let (org, at) = (change.org(), change.at());
    let row = sqlx::query!(
        "delete from prices where org_id = $1 and model_id = $2 and starts_at = $3 and starts_at > $4
         returning input, cache_read, cache_write, cache_write_long, output, reasoning, audio_input, audio_output, image, call,
                   web_search, file_search, code_session",
        org.0,
        id.0,
        from,
        at,
    )
    .fetch_optional(change.db())
    .await?;
    Ok(row.map(|row| {
        models::from_columns([
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
        ])
    }))
}

/// Sets the prices of a model from a moment on. What was called before keeps its price. Returns the prices
/// that were to come from that moment: these take their place.
///
/// # Errors
/// [`StoreError::Conflict`] when a price that holds already starts at that very moment.
pub async fn set(
    change: &mut Change,
    id: ModelId,
    from: DateTime<Utc>,
    prices: &Prices,
    origin: Origin,
) -> Result<Option<Prices>> {
    change.expect(Act::EditCatalogue, None)?;
    let org = change.org();
    let before = models::read_one(change.db(), org, id).await?;
    let nanos = |key| prices.own(key).map(|price| price.0);
    let actor = change.permit().actor();
    let by = actor.name.clone();
    let source = match (origin.source, actor.door) {
        (PriceSource::Typed, Door::File) => PriceSource::File,
        (source, _) => source,
    };
    let replaced = take(change, id, from).await?;
    sqlx::query!(
        "insert into prices (org_id, model_id, starts_at, input, cache_read, cache_write, cache_write_long, output, reasoning,
                             audio_input, audio_output, image, call, source, source_date, set_by, web_search, file_search, code_session)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
        org.0,
        id.0,
        from,
        nanos(PriceKey::Input),
        nanos(PriceKey::CacheRead),
        nanos(PriceKey::CacheWrite),
        nanos(PriceKey::CacheWriteLong),
        nanos(PriceKey::Output),
        nanos(PriceKey::Reasoning),
        nanos(PriceKey::AudioInput),
        nanos(PriceKey::AudioOutput),
        nanos(PriceKey::Image),
        nanos(PriceKey::Call),
        source.as_str(),
        origin.of,
        by,
        nanos(PriceKey::WebSearch),
        nanos(PriceKey::FileSearch),
        nanos(PriceKey::CodeSession),
    )
    .execute(change.db())
    .await?;
    let old = replaced.or(before.prices.map(|dated| dated.prices)).unwrap_or_default();
    let diff = Diff::new()
        .set("from", from.to_rfc3339())
        .field("source", None::<String>, (source != PriceSource::Typed).then_some(source))
        .field("source_date", None::<String>, origin.of);
    let diff =
        PriceKey::ALL.iter().fold(diff, |diff, &key| diff.field(key.as_str(), old.own(key), prices.own(key)));
    change.record(Subject { kind: "model", id: id.0, name: &before.name }, "price", &diff).await?;
    Ok(replaced)
}

/// Takes back the prices that are to come from a moment on, by somebody who saw the model at this version.
///
/// # Errors
/// [`StoreError::Invalid`] when they hold already; [`StoreError::Meanwhile`] when the model was changed since,
/// or none are to come from that moment.
pub async fn drop_coming(
    change: &mut Change,
    id: ModelId,
    version: i64,
    from: DateTime<Utc>,
) -> Result<Prices> {
    change.expect(Act::EditCatalogue, None)?;
    let name = crate::seen::unchanged(change, id.0, version).await?;
    if from <= change.at() {
        let sentence =
            "These prices hold already, and what was called keeps them. Set others from now or a later day.";
        return Err(StoreError::invalid("", sentence));
    }
    let Some(prices) = take(change, id, from).await? else {
        let sentence = format!(
            "No prices of {name} are to come from this moment any more: they were taken back already. Nothing was changed."
        );
        return Err(StoreError::Meanwhile(sentence));
    };
    let diff = Diff::new().field("from", Some(from.to_rfc3339()), None::<String>);
    let diff = PriceKey::ALL
        .iter()
        .fold(diff, |diff, &key| diff.field(key.as_str(), prices.own(key), None::<domain::money::Price>));
    change.record(Subject { kind: "model", id: id.0, name: &name }, "drop_price", &diff).await?;
    raise_version(change, id).await?;
    Ok(prices)
}

/// Who set the prices of a model that are in force.
pub(crate) async fn set_by(change: &mut Change, id: ModelId) -> Result<String> {
    let (org, at) = (change.org(), change.at());
    let by = sqlx::query_scalar!(
        "select set_by from prices where org_id = $1 and model_id = $2 and starts_at <= $3 order by starts_at desc limit 1",
        org.0,
        id.0,
        at,
    )
    .fetch_optional(change.db())
    .await?;
    Ok(by.filter(|name| !name.is_empty()).unwrap_or_else(|| "Somebody".to_owned()))
}

async fn raise_version(change: &mut Change, id: ModelId) -> Result<()> {
    let org = change.org();
    sqlx::query!("update models set version = version + 1 where org_id = $1 and model_id = $2", org.0, id.0)
        .execute(change.db())
        .await?;
    Ok(())
}

/// As [`set`], by somebody who saw the model at this version. Whoever saw it before does not set prices,
/// and does not accept it, without having seen these.
///
/// # Errors
/// [`StoreError::Meanwhile`] when it was changed since; those of [`set`].
pub async fn edit(
    change: &mut Change,
    id: ModelId,
    version: i64,
    from: DateTime<Utc>,
    prices: &Prices,
    origin: Origin,
) -> Result<Option<Prices>> {
    crate::seen::unchanged(change, id.0, version).await?;
    let replaced = set(change, id, from, prices, origin).await?;
    raise_version(change, id).await?;
    Ok(replaced)
}
