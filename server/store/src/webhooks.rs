//! Webhooks: where programs are told of alerts, and what became of every message.
//!
//! Signed as the Standard Webhooks specification says. The secret is shown once, kept sealed, and
//! opened only to sign.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Duration, Utc};
use domain::{
    alerts::AlertKind,
    ids::{AlertId, DeliveryId, OrgId, WebhookId},
    notices::back_off,
    roles::Act,
    webhooks::{Delivery, Webhook},
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Change, Diff, Result, SealedFor, Store, StoreError, Subject, change::exactly_one, clock, providers,
};

/// How many webhooks an organization has at most.
const MOST: i64 = 20;
/// What a secret starts with.
const PREFIX: &str = "whsec_";
/// How much of an answer is kept.
const ANSWER_MAX: usize = 500;
/// How long whoever takes a message has to deliver it, before another takes it.
const TAKEN_FOR: Duration = Duration::minutes(2);

/// What a new webhook is given.
#[derive(Clone, Debug)]
pub struct WebhookForm {
    /// Where messages go.
    pub url: String,
    /// Of which alerts.
    pub kinds: Vec<AlertKind>,
    /// Whether it may be on this machine or in a private network.
    pub allow_private_address: bool,
}

/// Checks where messages are to go, by the rules for providers.
fn address(text: &str, allow_private: bool) -> Result<String> {
    let about = providers::About {
        field: "url",
        without_more: "Enter the address without “?” and “#”",
        example: "https://hooks.example.com/bursar",
    };
    providers::address(text, allow_private, &about)
}

/// Every webhook, the newest last.
///
/// # Errors
/// When the database does not answer.
pub async fn list(store: &Store, org: OrgId) -> Result<Vec<Webhook>> {
    let rows = sqlx::query!(
        r#"select w.webhook_id, w.url, w.kinds, w.allow_private_address, w.created_at, w.version,
                  d.created_at as "last_at?", d.state as "last_state?"
           from webhooks w
           left join lateral (
               select created_at, state from deliveries
               where org_id = $1 and webhook_id = w.webhook_id order by delivery_id desc limit 1
           ) d on true
           where w.org_id = $1 and w.archived_at is null order by w.webhook_id"#,
        org.0
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Webhook {
                id: row.webhook_id.into(),
                url: row.url,
                kinds: row.kinds.iter().filter_map(|kind| kind.parse().ok()).collect(),
                allow_private_address: row.allow_private_address,
                created_at: row.created_at,
                version: row.version,
                last: match (row.last_at, row.last_state) {
                    (Some(at), Some(state)) => Some((at, state.parse()?)),
                    _ => None,
                },
            })
        })
        .collect()
}

/// One webhook.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization, or was removed.
pub async fn get(store: &Store, org: OrgId, id: WebhookId) -> Result<Webhook> {
    list(store, org).await?.into_iter().find(|webhook| webhook.id == id).ok_or(StoreError::NotFound)
}

/// Its messages, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn deliveries(
    store: &Store,
    org: OrgId,
    webhook: WebhookId,
    after: Option<DeliveryId>,
    limit: i64,
) -> Result<Vec<Delivery>> {
    let rows = sqlx::query!(
        r#"select delivery_id, type as kind, body, state, tries, next_at, status, answer,
                  replay_of is not null as "replay!", created_at
           from deliveries
           where org_id = $1 and webhook_id = $2 and ($3::uuid is null or delivery_id < $3)
           order by delivery_id desc limit $4"#,
        org.0,
        webhook.0,
        after.map(|id| id.0),
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Delivery {
                id: row.delivery_id.into(),
                kind: row.kind,
                body: row.body,
                state: row.state.parse()?,
                tries: u16::try_from(row.tries).unwrap_or(u16::MAX),
                next_at: row.next_at,
                status: row.status.and_then(|status| u16::try_from(status).ok()),
                answer: row.answer,
                replay: row.replay,
                created_at: row.created_at,
            })
        })
        .collect()
}

/// Adds a webhook. Returns its secret, which is shown once.
///
/// # Errors
/// [`StoreError::Invalid`] for an address messages may not go to, or no kind at all.
pub async fn insert(change: &mut Change, form: &WebhookForm) -> Result<(WebhookId, String)> {
    change.expect(Act::EditOrganization, None)?;
    let (org, at, id) = (change.org(), change.at(), clock::id::<WebhookId>());
    let url = address(&form.url, form.allow_private_address)?;
    if form.kinds.is_empty() {
        return Err(StoreError::invalid("kinds", "Choose at least one kind of alert."));
    }
    let known = sqlx::query_scalar!(
        r#"select count(*) as "count!" from webhooks where org_id = $1 and archived_at is null"#,
        org.0
    );
    if known.fetch_one(change.db()).await? >= MOST {
        return Err(StoreError::invalid(
            "url",
            format!("There are {MOST} webhooks already. Remove one first."),
        ));
    }
    let secret = format!("{PREFIX}{}", STANDARD.encode(rand::random::<[u8; 32]>()));
    let sealed = change.store().vault().seal(SealedFor::Webhook(org, id), &secret)?;
    let kinds: Vec<String> = form.kinds.iter().map(ToString::to_string).collect();
    sqlx::query!(
        "insert into webhooks (org_id, webhook_id, url, secret, kinds, allow_private_address, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        org.0,
        id.0,
        url,
        sealed,
        &kinds,
        form.allow_private_address,
        at,
    )
    .execute(change.db())
    .await?;
    let diff =
        Diff::new().set("kinds", kinds.join(", ")).set("allow_private_address", form.allow_private_address);
    change.record(Subject { kind: "webhook", id: id.0, name: &url }, "create", &diff).await?;
    Ok((id, secret))
}

/// Changes where a webhook leads and what it tells of. Its secret stays; what waits goes to the new address.
///
/// # Errors
/// As [`insert`]; [`StoreError::Stale`] when `version` is not the newest.
pub async fn update(change: &mut Change, id: WebhookId, version: i64, form: &WebhookForm) -> Result<()> {
    change.expect(Act::EditOrganization, None)?;
    let org = change.org();
    let url = address(&form.url, form.allow_private_address)?;
    if form.kinds.is_empty() {
        return Err(StoreError::invalid("kinds", "Choose at least one kind of alert."));
    }
    let kinds: Vec<String> = form.kinds.iter().map(ToString::to_string).collect();
    let before = sqlx::query!(
        "select url, kinds, allow_private_address from webhooks where org_id = $1 and webhook_id = $2 and archived_at is null",
        org.0,
        id.0,
    )
    .fetch_one(change.db())
    .await?;
    let done = sqlx::query!(
        "update webhooks set url = $4, kinds = $5, allow_private_address = $6, version = version + 1
         where org_id = $1 and webhook_id = $2 and version = $3 and archived_at is null",
        org.0,
        id.0,
        version,
        url,
        &kinds,
        form.allow_private_address,
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    let diff = Diff::new()
        .field("url", Some(&before.url), Some(&url))
        .field("kinds", Some(before.kinds.join(", ")), Some(kinds.join(", ")))
        .field("allow_private_address", Some(before.allow_private_address), Some(form.allow_private_address));
    if diff.is_empty() {
        return Ok(());
    }
    change.record(Subject { kind: "webhook", id: id.0, name: &url }, "edit", &diff).await
}

/// The address of a webhook that is not removed.
async fn url_of(change: &mut Change, id: WebhookId) -> Result<String> {
    let org = change.org();
    let url = sqlx::query_scalar!(
        "select url from webhooks where org_id = $1 and webhook_id = $2 and archived_at is null",
        org.0,
        id.0
    );
    Ok(url.fetch_one(change.db()).await?)
}

/// Takes a webhook away. What waits to be delivered is given up; the log stays.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn archive(change: &mut Change, id: WebhookId) -> Result<()> {
    change.expect(Act::EditOrganization, None)?;
    let (org, at) = (change.org(), change.at());
    let url = url_of(change, id).await?;
    sqlx::query!(
        "update webhooks set archived_at = $3 where org_id = $1 and webhook_id = $2",
        org.0,
        id.0,
        at
    )
    .execute(change.db())
    .await?;
    sqlx::query!(
        "update deliveries set state = 'failed', answer = 'The webhook was removed.', ended_at = $3
         where org_id = $1 and webhook_id = $2 and state = 'due'",
        org.0,
        id.0,
        at,
    )
    .execute(change.db())
    .await?;
    let diff = Diff::new().field("url", Some(&url), None::<String>);
    change.record(Subject { kind: "webhook", id: id.0, name: &url }, "remove", &diff).await
}

/// Writes a message that only tries the webhook out; it is due at once.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn test(change: &mut Change, id: WebhookId) -> Result<DeliveryId> {
    change.expect(Act::EditOrganization, None)?;
    let (org, at, delivery) = (change.org(), change.at(), clock::id::<DeliveryId>());
    let url = url_of(change, id).await?;
    let by = change.permit().actor().name.clone();
    let data =
        json!({ "title": "A test", "text": format!("{by} tries this webhook out."), "organization": org });
    let message = Message { id: delivery.0, kind: "test".to_owned(), body: body("test", at, &data) };
    put(change.db(), org, delivery, id, &message, None, at, at).await?;
    let diff = Diff::new().set("delivery", delivery);
    change.record(Subject { kind: "webhook", id: id.0, name: &url }, "test", &diff).await?;
    Ok(delivery)
}

/// Plays a delivery again: the same message, signed anew; it is due at once.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization or its webhook was removed;
/// [`StoreError::Invalid`] while it is still being tried.
pub async fn replay(change: &mut Change, id: DeliveryId) -> Result<(WebhookId, DeliveryId)> {
    change.expect(Act::EditOrganization, None)?;
    let (org, at, delivery) = (change.org(), change.at(), clock::id::<DeliveryId>());
    let row = sqlx::query!(
        "select webhook_id, message_id, type as kind, body, state from deliveries where org_id = $1 and delivery_id = $2",
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    let webhook = WebhookId(row.webhook_id);
    let url = url_of(change, webhook).await?;
    if row.state == "due" {
        return Err(StoreError::invalid(
            "",
            "This is still being tried. Wait until it was delivered or given up.",
        ));
    }
    let message = Message { id: row.message_id, kind: row.kind, body: row.body };
    put(change.db(), org, delivery, webhook, &message, Some(id), at, at).await?;
    let diff = Diff::new().set("delivery", id);
    change.record(Subject { kind: "webhook", id: webhook.0, name: &url }, "replay", &diff).await?;
    Ok((webhook, delivery))
}

struct Message {
    id: Uuid,
    kind: String,
    body: String,
}

fn body(kind: &str, at: DateTime<Utc>, data: &serde_json::Value) -> String {
    json!({ "type": kind, "timestamp": at.to_rfc3339(), "data": data }).to_string()
}

async fn put(
    db: &mut PgConnection,
    org: OrgId,
    id: DeliveryId,
    webhook: WebhookId,
    message: &Message,
    replay_of: Option<DeliveryId>,
    at: DateTime<Utc>,
    after: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "insert into deliveries (org_id, delivery_id, webhook_id, message_id, type, body, state, next_at, replay_of, created_at)
         values ($1, $2, $3, $4, $5, $6, 'due', $7, $8, $9)",
        org.0,
        id.0,
        webhook.0,
        message.id,
        message.kind,
        message.body,
        after,
        replay_of.map(|id| id.0),
        at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Puts an alert into the outbox of every webhook that wants its kind, not before `after`.
pub(crate) async fn post(
    db: &mut PgConnection,
    org: OrgId,
    alert: AlertId,
    kind: AlertKind,
    data: &serde_json::Value,
    at: DateTime<Utc>,
    after: DateTime<Utc>,
) -> Result<()> {
    let webhooks = sqlx::query_scalar!(
        "select webhook_id from webhooks where org_id = $1 and archived_at is null and $2 = any (kinds)",
        org.0,
        kind.as_str(),
    )
    .fetch_all(&mut *db)
    .await?;
    let kind = format!("alert.{kind}");
    for webhook in webhooks {
        let message = Message { id: alert.0, kind: kind.clone(), body: body(&kind, at, data) };
        put(db, org, clock::id(), WebhookId(webhook), &message, None, at, after).await?;
    }
    Ok(())
}

/// A message that somebody has taken to deliver.
#[derive(Clone)]
pub struct Taken {
    /// In which organization.
    pub org: OrgId,
    /// Which.
    pub id: DeliveryId,
    /// Where it goes.
    pub url: String,
    /// Whether that may be on this machine or in a private network.
    pub allow_private: bool,
    /// What it says.
    pub body: String,
    /// Which try this is.
    pub tries: u16,
    message_id: Uuid,
    secret: String,
}

impl std::fmt::Debug for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Taken").field("id", &self.id).field("url", &self.url).finish_non_exhaustive()
    }
}

impl Taken {
    /// The headers that sign it, at a moment.
    pub fn headers(&self, at: DateTime<Utc>) -> [(&'static str, String); 3] {
        let (id, timestamp) = (format!("msg_{}", self.message_id.simple()), at.timestamp().to_string());
        let signature = sign(&self.secret, &id, &timestamp, &self.body);
        [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)]
    }
}

/// `v1,` and the HMAC-SHA-256 of id, time and body under the bytes of the secret.
fn sign(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    let key = STANDARD.decode(secret.trim_start_matches(PREFIX)).unwrap_or_default();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key)
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    for part in [id, ".", timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Organizations with messages to deliver.
///
/// # Errors
/// When the database does not answer.
pub async fn waiting(store: &Store, now: DateTime<Utc>) -> Result<Vec<OrgId>> {
    let rows = sqlx::query_scalar!(
        "select distinct org_id from deliveries where state = 'due' and next_at <= $1 order by org_id",
        now
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(OrgId).collect())
}

/// Takes some messages to deliver them, or this one: nobody else gets them for some minutes.
///
/// # Errors
/// When the database does not answer.
pub async fn take(
    store: &Store,
    org: OrgId,
    only: Option<DeliveryId>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Taken>> {
    let rows = sqlx::query!(
        r#"update deliveries as d set tries = d.tries + 1, next_at = $3
           from webhooks w
           where d.org_id = $1 and w.org_id = d.org_id and w.webhook_id = d.webhook_id
             and d.delivery_id in (
                 select k.delivery_id from deliveries k
                 where k.org_id = $1 and k.state = 'due' and k.next_at <= $2 and ($5::uuid is null or k.delivery_id = $5)
                 order by k.next_at limit $4 for update skip locked)
           returning d.delivery_id, d.webhook_id, d.message_id, d.body, d.tries, w.url, w.secret, w.allow_private_address"#,
        org.0,
        now,
        now + TAKEN_FOR,
        limit,
        only.map(|id| id.0),
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            let secret = store.vault().open(SealedFor::Webhook(org, row.webhook_id.into()), &row.secret)?;
            Ok(Taken {
                org,
                id: row.delivery_id.into(),
                url: row.url,
                allow_private: row.allow_private_address,
                body: row.body,
                tries: u16::try_from(row.tries).unwrap_or(u16::MAX),
                message_id: row.message_id,
                secret,
            })
        })
        .collect()
}

/// Notes what came back: a status with the beginning of the answer, or why nothing did. Anything
/// but 2xx is tried again, less and less often, and given up in the end; 410 says that nobody wants
/// it any more. Returns whether it was delivered.
///
/// # Errors
/// When the database does not answer.
pub async fn note(
    store: &Store,
    taken: &Taken,
    status: Option<u16>,
    answer: &str,
    at: DateTime<Utc>,
) -> Result<bool> {
    let good = status.is_some_and(|status| (200..300).contains(&status));
    let wait = back_off(taken.tries).filter(|_| !good && status != Some(410));
    let state = match (good, wait) {
        (true, _) => "sent",
        (false, Some(_)) => "due",
        (false, None) => "failed",
    };
    // Postgres keeps no nul in a text.
    let answer: String = answer.chars().filter(|c| *c != '\0').take(ANSWER_MAX).collect();
    sqlx::query!(
        "update deliveries set state = $3, status = $4, answer = $5, next_at = $6,
                ended_at = case when $3 = 'due' then null else $7::timestamptz end
         where org_id = $1 and delivery_id = $2 and state = 'due'",
        taken.org.0,
        taken.id.0,
        state,
        status.and_then(|status| i16::try_from(status).ok()),
        answer,
        at + wait.unwrap_or_default(),
        at,
    )
    .execute(store.pool())
    .await?;
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn a_message_is_signed_as_the_specification_says() {
        let signature = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
