//! Whether what ends for good is still as it was shown to whoever ends it.

use chrono::Duration;
use domain::ids::{OrgId, UserId};
pub use uuid::Uuid;

use crate::{Change, Result, Store, StoreError, clock};

/// The name of a thing of the organization when it still has the version it was shown with: an application, a
/// group, a model, a tier, a policy, a provider, a person or a webhook, told apart by their ids.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization; [`StoreError::Meanwhile`] when somebody
/// changed it since: who, and what before and after; or ended it.
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
    // As it was shown: what has ended is brought back from that, too.
    if now.version == version {
        return Ok(now.name);
    }
    let (who, what) = last(change, id).await?;
    if now.over.is_some() {
        return Err(StoreError::Meanwhile(format!(
            "{who} has {} {} already. Nothing was done.",
            now.how, now.name
        )));
    }
    let what = in_words(what);
    Err(StoreError::Meanwhile(format!(
        "{who} changed it since it was shown to you{what}. Nothing was done; say it again if you still mean it."
    )))
}

/// Fields with what was in them before and after.
type Changes = Vec<(String, Option<String>, Option<String>)>;

/// ` (name: “Research” → “Science”)`; nothing where no field changed.
fn in_words(what: Changes) -> String {
    let quoted = |text: Option<String>| {
        text.filter(|text| !text.is_empty()).map_or_else(|| "nothing".to_owned(), |text| format!("“{text}”"))
    };
    let what: Vec<String> = what
        .into_iter()
        .map(|(field, before, after)| format!("{field}: {} → {}", quoted(before), quoted(after)))
        .collect();
    if what.is_empty() { String::new() } else { format!(" ({})", what.join("; ")) }
}

/// What became of the things that somebody changed in a request of theirs, where that cannot be undone as it
/// was: who changed one of them since, what, and what to do. None: nobody did, or it is not their request.
///
/// # Errors
/// When the database does not answer.
pub async fn since(store: &Store, org: OrgId, me: UserId, request: &str) -> Result<Option<String>> {
    // A way back is offered for seconds, or stands on a page that was left open.
    let day_ago = clock::now() - Duration::days(1);
    let last = sqlx::query!(
        r#"with mine as (
             select seq, subject_kind, subject_id, after ->> 'group' as place from audit
             where org_id = $1 and actor_id = $2 and at > $4 and request = $3)
           select a.actor, a.actor_id = $2 as "own", a.subject, a.before, a.after from audit a
           join mine m on m.subject_kind = a.subject_kind and m.subject_id = a.subject_id and m.seq < a.seq
           where a.org_id = $1 and a.request is distinct from $3
             -- Of the same membership, and no other one of the same person.
             and coalesce(a.after ->> 'group' = m.place, true)
           order by a.seq desc limit 1"#,
        org.0,
        me.0,
        request,
        day_ago,
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(last.map(|row| {
        let what = in_words(crate::audit::changes(crate::audit::read_diff(row.before, row.after)));
        let who = if row.own == Some(true) { "You" } else { &row.actor };
        format!(
            "{who} changed {} since{what}. Nothing was undone: change it as it is now, if it is to be as before.",
            row.subject
        )
    }))
}

/// Who changed a thing last, and what: before and after, by field.
pub(crate) async fn last(change: &mut Change, id: Uuid) -> Result<(String, Changes)> {
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
