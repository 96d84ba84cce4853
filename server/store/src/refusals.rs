//! Calls that were refused: read back, so that the person concerned can be told why.

use chrono::{DateTime, Days, Utc};
use domain::{
    ids::{ApplicationId, CallId, GroupId, ModelId, OrgId, SecretId, UserId},
    keys::Features,
    refusals::{self, Told},
};

use crate::{Result, Store, StoreError, clock, vault::Purpose};

/// A refused call as it was written down.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Its request id.
    pub id: CallId,
    /// When.
    pub at: DateTime<Utc>,
    /// What called.
    pub application: ApplicationId,
    /// By which secret.
    pub secret: SecretId,
    /// On whose account.
    pub group: GroupId,
    /// Who, where the secret named somebody.
    pub user: Option<UserId>,
    /// What the caller wrote.
    pub model: String,
    /// Which model that was.
    pub model_id: Option<ModelId>,
    /// What it would have used of its key.
    pub features: Features,
    /// The answer's status.
    pub status: i16,
    /// The answer's code.
    pub code: String,
    /// The sentence the caller read; empty: taken down before sentences were.
    pub message: String,
    /// The answer's `error.bursar`.
    pub detail: serde_json::Value,
    /// The call passed: a rule or limit that only observes would have refused it.
    pub observed: bool,
}

/// A refused call by its request id.
///
/// # Errors
/// [`crate::StoreError::NotFound`] when it is not among the organization's refusals.
pub async fn get(store: &Store, org: OrgId, id: CallId) -> Result<Refused> {
    // The id says when it was made; only the partitions of those days are looked at.
    let made = id.minted_at().and_then(DateTime::from_timestamp_millis);
    let day = made.unwrap_or_default().date_naive();
    let (from, to) = (day.checked_sub_days(Days::new(1)), day.checked_add_days(Days::new(1)));
    let row = sqlx::query!(
        "select call_id, at, application_id, secret_id, group_id, user_id, model, model_id, features, status, code, message, detail, observed
         from refusals where org_id = $1 and day between $2 and $3 and call_id = $4
         order by observed, observer_id limit 1",
        org.0,
        from.unwrap_or(day),
        to.unwrap_or(day),
        id.0,
    )
    .fetch_one(store.pool())
    .await?;
    Ok(Refused {
        id: row.call_id.into(),
        at: row.at,
        application: row.application_id.into(),
        secret: row.secret_id.into(),
        group: row.group_id.into(),
        user: row.user_id.map(UserId),
        model: row.model,
        model_id: row.model_id.map(ModelId),
        features: Features::from_bits(row.features),
        status: row.status,
        code: row.code,
        message: row.message,
        detail: row.detail,
        observed: row.observed,
    })
}

fn mark(store: &Store) -> impl FnOnce(&[u8]) -> u32 {
    |bytes| {
        let hash = store.vault().hash(Purpose::Refusal, bytes);
        u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
    }
}

/// The request id of a refused call, which says why by itself.
pub fn telling(store: &Store, id: CallId, told: Told) -> CallId {
    refusals::telling(id, told, mark(store))
}

/// What a request id of this installation says of a refusal, and when that was.
pub fn told(store: &Store, id: CallId) -> Option<(Told, DateTime<Utc>)> {
    let at = DateTime::from_timestamp_millis(id.minted_at()?)?;
    Some((refusals::told(id, mark(store))?, at))
}

/// A secret that opens nothing any more, and what it belonged to.
#[derive(Clone, Debug)]
pub struct Dead {
    /// As it is looked up.
    pub hash: [u8; 32],
    /// In which organization.
    pub org: OrgId,
    /// The secret.
    pub id: SecretId,
    /// What called by it.
    pub application: ApplicationId,
    /// From the root to that application's group.
    pub path: Vec<GroupId>,
    /// The person, where it names one.
    pub user: Option<UserId>,
}

/// Those of these that once opened something in one of these organizations.
///
/// # Errors
/// When the database does not answer.
pub async fn dead(store: &Store, orgs: &[OrgId], hashes: &[[u8; 32]]) -> Result<Vec<Dead>> {
    let orgs: Vec<_> = orgs.iter().map(|org| org.0).collect();
    let hashes: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.to_vec()).collect();
    let rows = sqlx::query!(
        r#"select s.org_id, s.hash, s.secret_id, s.user_id, a.application_id, g.ancestors || g.group_id as "path!"
           from secrets s
           join keys k on k.org_id = s.org_id and k.key_id = s.key_id
           join applications a on a.org_id = k.org_id and a.application_id = k.application_id
           join groups g on g.org_id = a.org_id and g.group_id = a.group_id
           where s.org_id = any ($1) and s.hash = any ($2)
             and (s.revoked_at is not null or s.expires_at <= $3 or a.archived_at is not null)"#,
        &orgs,
        &hashes,
        clock::now(),
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            let hash =
                row.hash.try_into().map_err(|_| StoreError::Unreadable("a secret's hash".to_owned()))?;
            Ok(Dead {
                hash,
                org: row.org_id.into(),
                id: row.secret_id.into(),
                application: row.application_id.into(),
                path: row.path.into_iter().map(GroupId).collect(),
                user: row.user_id.map(UserId),
            })
        })
        .collect()
}

/// How a secret came to its end.
#[derive(Clone, Debug)]
pub struct End {
    /// How people tell it apart.
    pub tail: String,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When its grace period was over, or will be.
    pub expires_at: Option<DateTime<Utc>>,
    /// When somebody reported it as leaked.
    pub leaked_at: Option<DateTime<Utc>>,
    /// When its application was archived.
    pub archived_at: Option<DateTime<Utc>>,
}

/// How a secret came to its end.
///
/// # Errors
/// [`StoreError::NotFound`] when the organization never had it.
pub async fn end_of(store: &Store, org: OrgId, secret: SecretId) -> Result<End> {
    let row = sqlx::query!(
        "select s.tail, s.revoked_at, s.expires_at, s.leaked_at, a.archived_at
         from secrets s
         join keys k on k.org_id = s.org_id and k.key_id = s.key_id
         join applications a on a.org_id = k.org_id and a.application_id = k.application_id
         where s.org_id = $1 and s.secret_id = $2",
        org.0,
        secret.0,
    )
    .fetch_one(store.pool())
    .await?;
    Ok(End {
        tail: row.tail,
        revoked_at: row.revoked_at,
        expires_at: row.expires_at,
        leaked_at: row.leaked_at,
        archived_at: row.archived_at,
    })
}
