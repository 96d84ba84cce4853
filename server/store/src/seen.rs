//! Whether what ends for good is still as it was shown to whoever ends it.

pub use uuid::Uuid;

use crate::{Change, Result, StoreError};

/// The name of a thing of the organization when it still has the version it was shown with: an application, a
/// group, a model, a tier, a policy, a provider, a person or a webhook, told apart by their ids.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization; [`StoreError::Meanwhile`] when somebody
/// changed it since: who, and what before and after; or when it has ended already.
pub async fn unchanged(change: &mut Change, id: Uuid, version: i64) -> Result<String> {
    let org = change.org();
    let now = sqlx::query!(
        r#"select version as "version!", name as "name!", archived_at as "over?", 'archived' as "how!" from applications where org_id = $1 and application_id = $2
           union all select version, name, archived_at, 'archived' from groups where org_id = $1 and group_id = $2
           union all select version, name, archived_at, 'archived' from models where org_id = $1 and model_id = $2
           union all select version, name, archived_at, 'archived' from tiers where org_id = $1 and tier_id = $2
           union all select version, name, archived_at, 'archived' from policies where org_id = $1 and policy_id = $2
           union all select version, name, archived_at, 'archived' from providers where org_id = $1 and provider_id = $2
           union all select version, name, removed_at, 'removed' from users where org_id = $1 and user_id = $2
           union all select version, url, archived_at, 'archived' from webhooks where org_id = $1 and webhook_id = $2"#,
        org.0,
        id
    )
    .fetch_one(change.db())
    .await?;
    if now.over.is_none() && now.version == version {
        return Ok(now.name);
    }
    let (who, what) = last(change, id).await?;
    if now.over.is_some() {
        return Err(StoreError::Meanwhile(format!(
            "{who} has {} {} already. Nothing was done.",
            now.how, now.name
        )));
    }
    let quoted = |text: Option<String>| {
        text.filter(|text| !text.is_empty()).map_or_else(|| "nothing".to_owned(), |text| format!("“{text}”"))
    };
    let what: Vec<String> = what
        .into_iter()
        .map(|(field, before, after)| format!("{field}: {} → {}", quoted(before), quoted(after)))
        .collect();
    let what = if what.is_empty() { String::new() } else { format!(" ({})", what.join("; ")) };
    Err(StoreError::Meanwhile(format!(
        "{who} changed it since it was shown to you{what}. Nothing was done; say it again if you still mean it."
    )))
}

/// Who changed a thing last, and what: before and after, by field.
pub(crate) async fn last(
    change: &mut Change,
    id: Uuid,
) -> Result<(String, Vec<(String, Option<String>, Option<String>)>)> {
    let org = change.org();
    let last = sqlx::query!(
        "select actor, before, after from audit where org_id = $1 and subject_id = $2 order by seq desc limit 1",
        org.0,
        id
    )
    .fetch_optional(change.db())
    .await?;
    Ok(last.map_or_else(
        || ("Somebody".to_owned(), Vec::new()),
        |row| (row.actor, crate::audit::changes(crate::audit::read_diff(row.before, row.after))),
    ))
}
