//! Who is told what of requests and grants, in the change or when time has passed.

use chrono::{DateTime, Duration, Utc};
use domain::{
    ids::{GrantId, GroupId, OrgId, RequestId, UserId},
    limits::Scope,
    money::Money,
    notices::{About, NoticeKind, Telling},
    requests::{Request, Terms, Wish, Words, whom},
};

use sqlx::PgConnection;

use super::{Row, found, locked, raises::Overtaken};
use crate::{Change, Result, Store, notices, organizations};

/// Somebody is told so long before their grant ends.
const BEFORE: Duration = Duration::days(3);
/// A grant that is not longer needs no such notice.
const LONG: Duration = Duration::days(5);

fn by(change: &Change) -> String {
    change.permit().actor().name.clone()
}

/// To those who can decide, but not to whoever asked. `group`: on whose account, its name, and whether it
/// is for everybody in it.
pub(super) async fn asked(
    change: &mut Change,
    id: RequestId,
    wish: &Wish,
    (group, name, for_group): (GroupId, &str, bool),
    terms: &Terms,
    (reason, approvers): (&Words, u8),
) -> Result<()> {
    let (org, at, me) = (change.org(), change.at(), change.permit().actor().user);
    let (id, requester) = (id.to_string(), by(change));
    let whom = match wish {
        Wish::Model { .. } => whom(for_group, &requester, name),
        Wish::Raise { .. } => name.to_owned(),
    };
    let about = About { id: &id, wish, requester: &requester, whom: &whom };
    let money = match wish {
        Wish::Model { .. } => wish.show(terms.amount),
        Wish::Raise { from, .. } => format!("{} instead of {}", wish.show(terms.amount), from.in_full()),
    };
    let telling = about.asked(&money, terms.ends_on, reason.as_str(), approvers);
    let mut people = match wish {
        Wish::Model { .. } => notices::deciders(change.db(), org, group, at).await?,
        Wish::Raise { .. } => notices::admins(change.db(), org).await?,
    };
    people.retain(|person| Some(*person) != me);
    notices::tell_of(change, &people, &telling).await
}

/// To those who agreed to other terms before.
pub(super) async fn overruled(
    change: &mut Change,
    id: RequestId,
    row: &Row,
    terms: &Terms,
    people: &[UserId],
    round: i16,
) -> Result<()> {
    let telling = row.about(&id.to_string(), |about| {
        about.changed(&by(change), &row.wish.show(terms.amount), terms.ends_on, round)
    });
    notices::tell_of(change, people, &telling).await
}

/// What holds for a person's month without a limit of its own: the organization's default.
async fn default_of(change: &mut Change, row: &Row) -> Result<Option<Money>> {
    let org = change.org();
    match &row.wish {
        Wish::Raise { meter, .. } if meter.is_month_of_a_person() => {
            Ok(organizations::read(change.db(), org).await?.default_user_limit)
        }
        _ => Ok(None),
    }
}

/// To whoever asked, and to the person whose limit it is, but to nobody who did it themself.
async fn tell_concerned(change: &mut Change, row: &Row, telling: &Telling) -> Result<()> {
    tell_each(change, row, telling, telling).await
}

/// The same, where the two are told in other words: whoever asked, and the person.
async fn tell_each(change: &mut Change, row: &Row, telling: &Telling, theirs: &Telling) -> Result<()> {
    let me = change.permit().actor().user;
    let (requester, _) = row.requester;
    if me != Some(requester) {
        notices::tell_of(change, &[requester], telling).await?;
    }
    let Wish::Raise { meter, .. } = &row.wish else { return Ok(()) };
    let (Scope::User(person) | Scope::Member(_, person)) = meter.scope else { return Ok(()) };
    if person == requester || me == Some(person) {
        return Ok(());
    }
    // What was asked about them is for whoever asked and whoever decides; what came of it they see there.
    let telling = Telling { href: "/my-models".to_owned(), ..theirs.clone() };
    notices::tell_of(change, &[person], &telling).await
}

/// To whoever asked, and the person whose limit it is: it holds.
pub(super) async fn approved(
    change: &mut Change,
    id: RequestId,
    row: &Row,
    terms: &Terms,
    answer: Option<&Words>,
) -> Result<()> {
    let answer = answer.map_or("", Words::as_str);
    let (by, amount) = (by(change), row.wish.show(terms.amount));
    let said = |you: bool| {
        row.about(&id.to_string(), |about| about.approved(&by, &amount, terms.ends_on, answer, you))
    };
    tell_each(change, row, &said(true), &said(false)).await
}

/// To whoever asked: no.
pub(super) async fn refused(change: &mut Change, id: RequestId, row: &Row, answer: &Words) -> Result<()> {
    let telling = row.about(&id.to_string(), |about| about.refused(&by(change), answer.as_str()));
    notices::tell_of(change, &[row.requester.0], &telling).await
}

impl Row {
    /// For whom, as people say it.
    pub(super) fn whom(&self) -> String {
        match self.wish {
            Wish::Model { .. } => whom(self.for_group, &self.requester.1, &self.group.1),
            Wish::Raise { .. } => self.group.1.clone(),
        }
    }

    fn about(&self, id: &str, say: impl FnOnce(&About<'_>) -> Telling) -> Telling {
        let whom = self.whom();
        say(&About { id, wish: &self.wish, requester: &self.requester.1, whom: &whom })
    }
}

/// Nobody has to decide on it any more: what was told of that counts as read.
pub(super) async fn settled(change: &mut Change, id: RequestId) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    count_as_read(change.db(), org, id, at).await
}

async fn count_as_read(db: &mut PgConnection, org: OrgId, id: RequestId, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update notices set read_at = $4
         where org_id = $1 and kind = $3 and href = $2 and read_at is null",
        org.0,
        format!("/requests/{id}"),
        NoticeKind::Request.as_str(),
        at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// To whoever asked, and the person whose limit it is: somebody ended it early. `now`: the cap that a limit
/// falls back to.
pub(super) async fn revoked(change: &mut Change, id: RequestId, row: &Row, now: Option<Money>) -> Result<()> {
    let now = now.or(default_of(change, row).await?);
    let telling = row.about(&id.to_string(), |about| about.revoked(&by(change), now));
    tell_concerned(change, row, &telling).await
}

/// To whoever asked for a grant: a review of the group with this path ended it.
pub(super) async fn reviewed(change: &mut Change, grant: GrantId, path: &str, dropped: bool) -> Result<()> {
    let org = change.org();
    let request = sqlx::query_scalar!(
        "select request_id from requests where org_id = $1 and grant_id = $2",
        org.0,
        grant.0
    )
    .fetch_optional(change.db())
    .await?;
    let Some(id) = request.map(RequestId) else { return Ok(()) };
    let (row, by) = (locked(change, id).await?, by(change));
    let by = dropped.then_some(by.as_str());
    let telling = row.about(&id.to_string(), |about| about.reviewed(path, by));
    tell_concerned(change, &row, &telling).await
}

/// To the same: a raised limit is what it was before, or what a raise that lasts longer says.
pub(super) async fn ended(change: &mut Change, id: RequestId, row: &Row, now: Option<Money>) -> Result<()> {
    let now = now.or(default_of(change, row).await?);
    let telling = row.about(&id.to_string(), |about| about.ended(now));
    tell_concerned(change, row, &telling).await
}

/// To the same: something else holds now.
pub(super) async fn overtaken(
    change: &mut Change,
    id: RequestId,
    row: &Row,
    because: &Overtaken<'_>,
) -> Result<()> {
    let default = default_of(change, row).await?;
    let telling = row.about(&id.to_string(), |about| match because {
        Overtaken::ByRaise(terms) => about.surpassed(&row.wish.show(terms.amount), terms.ends_on),
        Overtaken::BySetting(cap) => about.set_anew(&by(change), *cap, default),
    });
    tell_concerned(change, row, &telling).await
}

/// Tells those whose requests nobody answered before their last day was over. Returns how many.
async fn lapses(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    let today = organizations::calendar(store, org).await?.day(now);
    let ids = sqlx::query_scalar!(
        "select r.request_id from requests r
         join users u on u.org_id = $1 and u.user_id = r.requester_id and u.removed_at is null
         where r.org_id = $1 and r.state = 'waiting' and r.ends_on < $2",
        org.0,
        today,
    )
    .fetch_all(store.pool())
    .await?;
    let mut told = 0;
    for id in ids {
        let request = found::get(store, org, id.into()).await?;
        let telling = about(&request, |about| about.lapsed(request.asked.ends_on));
        let mut tx = store.pool().begin().await?;
        let now_told = notices::tell(store, &mut tx, org, &[request.requester.0], &telling, now, now).await?;
        if now_told > 0 {
            count_as_read(&mut tx, org, request.id, now).await?;
        }
        tx.commit().await?;
        told += now_told;
    }
    Ok(told)
}

fn about(request: &Request, say: impl FnOnce(&About<'_>) -> Telling) -> Telling {
    let id = request.id.to_string();
    let whom = if request.wish.is_raise() { request.group.1.clone() } else { request.whom() };
    say(&About { id: &id, wish: &request.wish, requester: &request.requester.1, whom: &whom })
}

/// Tells those whose grants or raised limits end soon, whose grants have ended by themselves, and whose
/// requests nobody answered in time. Returns how many.
///
/// # Errors
/// When the database does not answer.
pub async fn ends(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    let calendar = organizations::calendar(store, org).await?;
    let today = calendar.day(now);
    let ids = sqlx::query_scalar!(
        r#"select r.request_id as "id!"
           from grants t
           join requests r on r.org_id = $1 and r.grant_id = t.grant_id
           join users u on u.org_id = $1 and u.user_id = r.requester_id and u.removed_at is null
           where t.org_id = $1 and t.revoked_at is null and t.ends_at > $3 and t.ends_at <= $4
             and (t.ends_at <= $2 or t.ends_at - t.starts_at > $5::bigint * interval '1 second')
           union all
           select r.request_id from requests r
           join users u on u.org_id = $1 and u.user_id = r.requester_id and u.removed_at is null
           where r.org_id = $1 and r.ended_at is null and r.raised_until >= $6 and r.raised_until <= $7
             and r.raised_until > (r.decided_at + $5::bigint * interval '1 second')::date"#,
        org.0,
        now,
        now - BEFORE,
        now + BEFORE,
        LONG.num_seconds(),
        today,
        calendar.day(now + BEFORE - Duration::days(1)),
    )
    .fetch_all(store.pool())
    .await?;
    let mut told = lapses(store, org, now).await?;
    for id in ids {
        let request = found::get(store, org, id.into()).await?;
        let Some(grant) = &request.grant else { continue };
        let telling = about(&request, |about| {
            if grant.ends_at <= now {
                return about.ended(None);
            }
            // It holds to the end of the day before.
            let last = calendar.day(grant.ends_at - Duration::seconds(1));
            about.ending(&format!("the end of {}", domain::time::date(last)))
        });
        let mut tx = store.pool().begin().await?;
        told += notices::tell(store, &mut tx, org, &[request.requester.0], &telling, now, now).await?;
        tx.commit().await?;
    }
    Ok(told)
}
