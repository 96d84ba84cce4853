//! Ends of what was agreed to, before their time.

use domain::{
    ids::{GrantId, RequestId},
    requests::Wish,
    time::Zone,
};
use uuid::Uuid;

use super::{Row, locked, raises, told};
use crate::{Change, Diff, Result, StoreError, Subject};

/// Ends what was agreed to before its time. Calls in flight are finished.
///
/// # Errors
/// [`StoreError::Invalid`] when nothing was agreed to; [`StoreError::Meanwhile`] when it is over already: who
/// ended it, and when.
pub async fn end(change: &mut Change, id: RequestId) -> Result<()> {
    let row = locked(change, id).await?;
    row.expect_decider(change)?;
    let nothing = || StoreError::invalid("", "There is nothing to end.");
    match &row.wish {
        Wish::Model { name, .. } => {
            let grant = row.grant.ok_or_else(nothing)?;
            if !revoke(change, GrantId(grant), name).await? {
                return Err(over(change, grant).await?);
            }
        }
        Wish::Raise { meter, .. } => {
            row.granted.ok_or_else(nothing)?;
            if row.ended {
                return Err(over(change, id.0).await?);
            }
            let (row, cap): (Row, _) = raises::lower(change, id, meter).await?;
            return told::revoked(change, id, &row, cap).await;
        }
    }
    told::revoked(change, id, &row, None).await
}

/// That a grant or a raise is over already: the log knows who ended it, and when. None of it: its last day is
/// over.
async fn over(change: &mut Change, subject: Uuid) -> Result<StoreError> {
    let (org, me) = (change.org(), change.permit().actor().user.map(|me| me.0));
    let last = sqlx::query!(
        r#"select actor, coalesce(actor_id = $3, false) as "own!", at from audit
           where org_id = $1 and subject_id = $2 and act in ('grant.end', 'request.end') order by seq desc limit 1"#,
        org.0,
        subject,
        me,
    )
    .fetch_optional(change.db())
    .await?;
    let Some(last) = last else {
        return Ok(StoreError::Meanwhile(
            "Its last day is over: it has ended by itself. Nothing was changed.".to_owned(),
        ));
    };
    let zone = change.facts().await?.calendar.zone;
    let who = if last.own { "You have".to_owned() } else { format!("{} has", last.actor) };
    let when = Zone::of(zone, last.at, last.at).full(last.at);
    Ok(StoreError::Meanwhile(format!("{who} ended this already, on {when}. Nothing was changed.")))
}

/// Ends what was agreed to because of a review of the group with this path, and says so to whoever asked for
/// it. `dropped`: somebody dropped it there; otherwise nobody confirmed it in time.
pub(crate) async fn end_by_review(
    change: &mut Change,
    id: GrantId,
    model: &str,
    (path, dropped): (&str, bool),
) -> Result<()> {
    if revoke(change, id, model).await? { told::reviewed(change, id, path, dropped).await } else { Ok(()) }
}

/// Ends a grant. Returns whether it was not over already.
pub(crate) async fn revoke(change: &mut Change, id: GrantId, model: &str) -> Result<bool> {
    let (org, at) = (change.org(), change.at());
    let until = sqlx::query_scalar!(
        "update grants set revoked_at = $3 where org_id = $1 and grant_id = $2 and revoked_at is null and ends_at > $3
         returning ends_at",
        org.0,
        id.0,
        at,
    )
    .fetch_optional(change.db())
    .await?;
    // Ended a moment ago, by itself or by somebody else: what was wanted is so.
    let Some(until) = until else { return Ok(false) };
    // What it limits is over; what was used of it stays counted.
    sqlx::query!(
        "delete from limits where org_id = $1 and scope_kind = 'grant' and thing_id = $2",
        org.0,
        id.0
    )
    .execute(change.db())
    .await?;
    let diff = Diff::new().field("until", Some(until.to_rfc3339()), Some(at.to_rfc3339()));
    change.record(Subject { kind: "grant", id: id.0, name: model }, "end", &diff).await?;
    Ok(true)
}
