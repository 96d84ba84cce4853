//! Last days of groups: what has ended, what that takes in no more and takes along, and who may say otherwise.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    access::by_name,
    audit::Door,
    groups::{Group, end_of},
    ids::{GroupId, OrgId, UserId},
    roles::{Act, Actor, Place, allows},
    window::Calendar,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Change, Result, Store, StoreError, access, clock, keys, organizations};

/// The groups whose last day is over: of one organization, or of all. What is below them is over, too.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn over(db: &mut PgConnection, org: Option<OrgId>, at: DateTime<Utc>) -> Result<Vec<Uuid>> {
    Ok(days_over(db, org, at).await?.into_keys().collect())
}

/// The same, each with its last day.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn days_over(
    db: &mut PgConnection,
    org: Option<OrgId>,
    at: DateTime<Utc>,
) -> Result<HashMap<Uuid, NaiveDate>> {
    let rows = sqlx::query!(
        r#"select g.group_id, g.ends_on as "ends_on!", o.time_zone
           from groups g join organizations o on o.org_id = g.org_id
           where g.ends_on is not null and ($1::uuid is null or g.org_id = $1)"#,
        org.map(|org| org.0),
    )
    .fetch_all(db)
    .await?;
    let mut over = HashMap::new();
    for row in rows {
        let zone = organizations::time_zone(&row.time_zone)?;
        let calendar = Calendar { zone, week_start: chrono::Weekday::Mon };
        if end_of(row.ends_on, calendar).is_some_and(|end| end <= at) {
            over.insert(row.group_id, row.ends_on);
        }
    }
    Ok(over)
}

/// A default group that has ended: everybody new joined it, and nobody does any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultOver {
    /// Which.
    pub id: GroupId,
    /// The last day of it, or of the first group above it that ended.
    pub ended_on: NaiveDate,
}

/// The default groups that have ended. They are that still, and take people in again once they have a later last
/// day, but until then nobody is put into them.
///
/// # Errors
/// When the database does not answer.
pub async fn defaults_over(store: &Store, org: OrgId) -> Result<Vec<DefaultOver>> {
    let mut db = store.pool().acquire().await?;
    let days = days_over(&mut db, Some(org), clock::now()).await?;
    let rows = sqlx::query!(
        "select d.group_id, g.ancestors from default_groups d join groups g on g.org_id = d.org_id and g.group_id = d.group_id
         where d.org_id = $1 and g.archived_at is null order by d.group_id",
        org.0,
    )
    .fetch_all(&mut *db)
    .await?;
    let over = |id: Uuid, above: &[Uuid]| {
        let ended_on = above.iter().chain([&id]).filter_map(|id| days.get(id)).min()?;
        Some(DefaultOver { id: id.into(), ended_on: *ended_on })
    };
    Ok(rows.into_iter().filter_map(|row| over(row.group_id, &row.ancestors)).collect())
}

/// What has ended takes nothing in: neither people nor programs nor groups. That is for people, who can give
/// it a later last day first, or ask whoever may. A file is refused by its plan before it comes here, and what
/// stands in it already stays; what an identity provider says is what it says.
///
/// # Errors
/// [`StoreError::Invalid`] about `field` when the group, or one above it, has ended.
pub(crate) async fn takes_in(change: &mut Change, id: GroupId, field: &'static str) -> Result<()> {
    if !matches!(change.permit().actor().door, Door::Console | Door::Api) {
        return Ok(());
    }
    let (org, at) = (change.org(), change.at());
    let over = over(change.db(), Some(org), at).await?;
    let ended = sqlx::query!(
        r#"select e.name, e.ends_on as "ends_on!", e.group_id
           from groups g join groups e on e.org_id = g.org_id and e.group_id = any (g.ancestors || g.group_id)
           where g.org_id = $1 and g.group_id = $2 and e.group_id = any ($3)
           order by e.ends_on, cardinality(e.ancestors) limit 1"#,
        org.0,
        id.0,
        &over,
    )
    .fetch_optional(change.db())
    .await?;
    let Some(ended) = ended else { return Ok(()) };
    let (name, day) = (&ended.name, domain::time::date(ended.ends_on));
    let (above, it) = if ended.group_id == id.0 { ("", "it") } else { (", which is above it,", "that") };
    let way_on = if puts_off_ends(change.permit().actor()) {
        format!("Give {it} a later last day first.")
    } else {
        let admins = admins_by_name(change).await?;
        format!("Ask {admins} to give {it} a later last day first.")
    };
    Err(StoreError::invalid(field, format!("{name}{above} ended on {day}. {way_on}")))
}

/// Ends the secrets that an end has killed before that end is put off, or left by a move: they stay dead.
pub(super) async fn bury_members(change: &mut Change, id: GroupId) -> Result<usize> {
    let org = change.org();
    let members = sqlx::query_scalar!(
        "select distinct m.user_id from memberships m join groups g on g.org_id = m.org_id and g.group_id = m.group_id
         where m.org_id = $1 and m.ended_at is null and (g.group_id = $2 or g.ancestors @> array[$2::uuid])",
        org.0,
        id.0
    )
    .fetch_all(change.db())
    .await?;
    let members: Vec<UserId> = members.into_iter().map(UserId).collect();
    Ok(keys::revoke_orphans(change, &members).await?.into_values().flatten().count())
}

/// Who gives a group a later last day, by name.
async fn admins_by_name(change: &mut Change) -> Result<String> {
    let org = change.org();
    Ok(by_name(&access::admins(change.db(), org).await?))
}

/// Whether somebody may give a group a later last day: admins and owners.
fn puts_off_ends(actor: &Actor) -> bool {
    allows(actor, Act::EditGroup, Place::Organization)
}

/// A last day is given from above: whoever leads a group above may make it earlier, and only admins and
/// owners later. What was lent until a day is not kept by whoever it was lent to.
pub(super) async fn may_end(change: &mut Change, group: &Group, ends_on: Option<NaiveDate>) -> Result<()> {
    let actor = change.permit().actor().clone();
    if puts_off_ends(&actor) {
        return Ok(());
    }
    let path: Vec<GroupId> = group.path.iter().map(|(id, _)| *id).collect();
    // Who archives a group may end it, too: whoever leads one above.
    let admins = admins_by_name(change).await?;
    if !allows(&actor, Act::ArchiveGroup, Place::Group(&path)) {
        let sentence = format!("The last day of a group is set from above: ask {admins}.");
        return Err(StoreError::invalid("ends_on", sentence));
    }
    if ends_on.is_some_and(|new| group.ends_on.is_none_or(|old| new < old)) {
        return Ok(());
    }
    Err(StoreError::invalid(
        "ends_on",
        format!("You can make the last day earlier. A later one, or none, is for admins: ask {admins}."),
    ))
}
