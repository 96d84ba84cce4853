//! Whether what ends for good is still as it was shown to whoever ends it.

use std::collections::HashMap;

use chrono::{DateTime, Duration};
use chrono_tz::Tz;
use domain::{
    ids::{BatchId, GroupId, OrgId, UserId},
    limits::Meter,
    time::Zone,
};
pub use uuid::Uuid;

use crate::{Change, Result, Store, StoreError, access, clock, organizations};

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
           union all select version, name, archived_at, -- What leaves the catalogue without having been accepted was dismissed.
                     case when review = 'accepted' then 'archived' else 'dismissed' end
                     from models where org_id = $1 and model_id = $2
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
    let Last { who, own, what } = last(change, id).await?;
    if now.over.is_some() {
        let has = if own { "have" } else { "has" };
        return Err(StoreError::Meanwhile(format!(
            "{who} {has} {} {} already. Nothing was done.",
            now.how, now.name
        )));
    }
    let zone = zone(change).await?;
    let what = in_words(what, zone);
    let who = if own { "You, in another tab," } else { &who };
    Err(StoreError::Meanwhile(format!(
        "{who} changed it since it was shown to you{what}. Nothing was done; say it again if you still mean it."
    )))
}

/// Fields with what was in them before and after.
type Changes = Vec<(String, Option<String>, Option<String>)>;

/// ` (name: “Research” → “Science”)`; nothing where no field changed. Moments are those of the organization's
/// clocks.
fn in_words(what: Changes, zone: Tz) -> String {
    let moment = |text: String| match DateTime::parse_from_rfc3339(&text) {
        Ok(at) => Zone::of(zone, at.to_utc(), at.to_utc()).full(at.to_utc()),
        Err(_) => text,
    };
    let quoted = |text: Option<String>| {
        let text = text.filter(|text| !text.is_empty()).map(moment);
        text.map_or_else(|| "nothing".to_owned(), |text| format!("“{text}”"))
    };
    // Of which group a membership is that was changed is written beside it, and is no change of it; where one
    // begins, its source is written, too.
    let begins = what.iter().any(|(field, ..)| field == "source");
    let place = |field: &str, before: &Option<String>| field == "group" && before.is_none() && !begins;
    let what: Vec<String> = what
        .into_iter()
        .filter(|(field, before, _)| !place(field, before))
        .map(|(field, before, after)| {
            format!("{}: {} → {}", field.replace('_', " "), quoted(before), quoted(after))
        })
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
    let zone = organizations::calendar(store, org).await?.zone;
    Ok(last.map(|row| {
        let what = in_words(crate::audit::changes(crate::audit::read_diff(row.before, row.after)), zone);
        let who = if row.own == Some(true) { "You" } else { &row.actor };
        format!(
            "{who} changed {} since{what}. Nothing was undone: change it as it is now, if it is to be as before.",
            row.subject
        )
    }))
}

/// The last change of a thing.
pub(crate) struct Last {
    /// Who made it: a name, or `You`.
    pub who: String,
    /// Whether it was whoever asks, in another tab.
    pub own: bool,
    /// What: before and after, by field.
    pub what: Changes,
}

impl Last {
    /// Who, as the subject of a sentence: `Olga`, or `You, in another tab,`.
    pub(crate) fn as_subject(&self) -> &str {
        if self.own { "You, in another tab," } else { &self.who }
    }
}

/// Who changed a thing last, and what.
pub(crate) async fn last(change: &mut Change, id: Uuid) -> Result<Last> {
    let (org, me) = (change.org(), change.permit().actor().user.map(|me| me.0));
    let last = sqlx::query!(
        r#"select actor, coalesce(actor_id = $3, false) as "own!", before, after from audit
           where org_id = $1 and subject_id = $2 order by seq desc limit 1"#,
        org.0,
        id,
        me,
    )
    .fetch_optional(change.db())
    .await?;
    Ok(last.map_or_else(
        || Last { who: "Somebody".to_owned(), own: false, what: Vec::new() },
        |row| Last {
            who: if row.own { "You".to_owned() } else { row.actor },
            own: row.own,
            what: crate::audit::changes(crate::audit::read_diff(row.before, row.after)),
        },
    ))
}

/// Who changed a thing last, as the subject of a sentence: `Olga`, or `You, in another tab,`. None: the log knows
/// nothing of it.
///
/// # Errors
/// When the database does not answer.
pub async fn who_last(store: &Store, org: OrgId, me: Option<UserId>, ids: &[Uuid]) -> Result<Option<String>> {
    let last = sqlx::query!(
        r#"select actor, coalesce(actor_id = $3, false) as "own!" from audit
           where org_id = $1 and subject_id = any($2) order by seq desc limit 1"#,
        org.0,
        ids,
        me.map(|me| me.0),
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(last.map(|row| if row.own { "You, in another tab,".to_owned() } else { row.actor }))
}

/// What a form was about.
#[derive(Clone, Copy, Debug)]
pub enum Edited {
    /// A thing with an id of its own.
    Thing(Uuid),
    /// A limit, by what it counts.
    Limit(Meter),
    /// What somebody is in a group.
    Member(GroupId, UserId),
}

/// Who changed last what a form was about, as the subject of a sentence. None: the log knows nothing of it.
///
/// # Errors
/// When the database does not answer.
pub async fn first(store: &Store, org: OrgId, me: Option<UserId>, edited: Edited) -> Result<Option<String>> {
    let id = match edited {
        Edited::Thing(id) => id,
        Edited::Member(group, user) => return who_last_of_member(store, org, me, (group, user)).await,
        Edited::Limit(meter) => {
            let facts = access::current(store, org).await?;
            let limits = facts.limits.get(&meter.scope).map_or(&[][..], Vec::as_slice);
            let limit = limits.iter().find(|limit| limit.meter == meter).and_then(|limit| limit.id);
            let Some(limit) = limit else { return Ok(None) };
            limit.0
        }
    };
    let last = sqlx::query!(
        // What somebody is in a group is told of them, too, and is not what was edited.
        r#"select actor, coalesce(actor_id = $3, false) as "own!" from audit
           where org_id = $1 and subject_id = $2 and subject_kind <> 'membership' order by seq desc limit 1"#,
        org.0,
        id,
        me.map(|me| me.0),
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(last.map(|row| if row.own { "You, in another tab,".to_owned() } else { row.actor }))
}

/// The same of somebody's membership in a group.
///
/// # Errors
/// When the database does not answer.
pub async fn who_last_of_member(
    store: &Store,
    org: OrgId,
    me: Option<UserId>,
    (group, user): (GroupId, UserId),
) -> Result<Option<String>> {
    let last = sqlx::query!(
        r#"select actor, coalesce(actor_id = $4, false) as "own!" from audit
           where org_id = $1 and subject_kind = 'membership' and subject_id = $3
             and coalesce(after ->> 'group', before ->> 'group') = (select g.name from groups g where g.org_id = $1 and g.group_id = $2)
           order by seq desc limit 1"#,
        org.0,
        group.0,
        user.0,
        me.map(|me| me.0),
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(last.map(|row| if row.own { "You, in another tab,".to_owned() } else { row.actor }))
}

/// `Olga was here before you`; whoever has two tabs open is not told of themself as of somebody else.
pub(crate) fn was_here(who: &str, own: bool) -> String {
    if own { "You were here before, in another tab".to_owned() } else { format!("{who} was here before you") }
}

async fn zone(change: &mut Change) -> Result<Tz> {
    let org = change.org();
    let organization = organizations::read(change.db(), org).await?;
    Ok(organizations::calendar_of(&organization)?.zone)
}

/// Somebody whom a batch changed: who, what they are called, and which kind of thing the log says it of.
pub(crate) struct Changed {
    /// Who.
    pub user: UserId,
    /// What they are called.
    pub name: String,
    /// `membership`, `limit` or `user`.
    pub kind: &'static str,
}

/// Who changed people again since a batch did, and what, in a sentence for each. Where the log does not know, it
/// says nothing of them.
pub(crate) async fn since_batch(
    change: &mut Change,
    batch: BatchId,
    people: &[Changed],
) -> Result<HashMap<UserId, String>> {
    if people.is_empty() {
        return Ok(HashMap::new());
    }
    let org = change.org();
    let rows = sqlx::query!(
        r#"with mine as (
             select seq, subject_kind, subject_id, subject, coalesce(after ->> 'group', before ->> 'group') as place
             from audit where org_id = $1 and batch_id = $2)
           select distinct on (k.user_id) k.user_id as "user_id!", a.actor, a.before, a.after
           from unnest($3::uuid[], $4::text[], $5::text[]) as k (user_id, name, kind)
           join audit a on a.org_id = $1 and a.subject_kind = k.kind and a.batch_id is distinct from $2
            and a.seq > (select max(seq) from mine)
           where case k.kind
                 when 'limit' then
                   a.subject_id in (select l.limit_id from limits l
                                    where l.org_id = $1 and l.scope_kind = 'user' and l.thing_id = k.user_id)
                   -- One that is gone by now is known by its line in the log alone.
                   or a.subject_id in (select m.subject_id from mine m where m.subject_kind = 'limit' and m.subject = k.name)
                 when 'membership' then
                   a.subject_id = k.user_id
                   and coalesce(a.after ->> 'group', a.before ->> 'group')
                       in (select m.place from mine m where m.subject_id = k.user_id)
                 else a.subject_id = k.user_id end
           order by k.user_id, a.seq desc"#,
        org.0,
        batch.0,
        &people.iter().map(|person| person.user.0).collect::<Vec<_>>(),
        &people.iter().map(|person| person.name.clone()).collect::<Vec<_>>(),
        &people.iter().map(|person| person.kind.to_owned()).collect::<Vec<_>>(),
    )
    .fetch_all(change.db())
    .await?;
    let zone = zone(change).await?;
    let names: HashMap<UserId, &str> =
        people.iter().map(|person| (person.user, person.name.as_str())).collect();
    let told = rows.into_iter().map(|row| {
        let user = UserId(row.user_id);
        let what = in_words(crate::audit::changes(crate::audit::read_diff(row.before, row.after)), zone);
        let name = names.get(&user).copied().unwrap_or_default();
        // Kept and read by others, too: nobody is “you” in it.
        (user, format!("{} changed {name} again since{what}.", row.actor))
    });
    Ok(told.collect())
}
