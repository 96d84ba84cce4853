//! Calls that were refused: read back, so that the person concerned can be told why.

use chrono::{DateTime, Days, Utc};
use domain::{
    ids::{ApplicationId, CallId, GroupId, ModelId, OrgId, UserId},
    keys::Features,
};

use crate::{Result, Store};

/// A refused call as it was written down.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Its request id.
    pub id: CallId,
    /// When.
    pub at: DateTime<Utc>,
    /// What called.
    pub application: ApplicationId,
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
    let seconds = id.0.get_timestamp().map_or(0, |at| at.to_unix().0);
    let made = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let day = made.unwrap_or_default().date_naive();
    let (from, to) = (day.checked_sub_days(Days::new(1)), day.checked_add_days(Days::new(1)));
    let row = sqlx::query!(
        "select call_id, at, application_id, group_id, user_id, model, model_id, features, status, code, detail, observed
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
        group: row.group_id.into(),
        user: row.user_id.map(UserId),
        model: row.model,
        model_id: row.model_id.map(ModelId),
        features: Features::from_bits(row.features),
        status: row.status,
        code: row.code,
        detail: row.detail,
        observed: row.observed,
    })
}
