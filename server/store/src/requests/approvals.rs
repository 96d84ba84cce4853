//! Requests that need several to agree: the rule, who agreed to what, and whether that is enough.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{
    ids::{GrantId, OrgId, RequestId, UserId},
    money::Money,
    requests::{
        Approval, ApprovalRule, Replaced, RequestState, Shown, Terms, Wish, Words, replaced, running,
    },
    roles::Act,
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Decided, Row};
use crate::{Change, Diff, Result, Store, StoreError, Subject, notices};

/// From which sum on several have to agree; none: one always suffices.
///
/// # Errors
/// When the database does not answer.
pub async fn rule(store: &Store, org: OrgId) -> Result<Option<ApprovalRule>> {
    read_rule(&mut *store.pool().acquire().await?, org).await
}

pub(super) async fn read_rule(db: &mut PgConnection, org: OrgId) -> Result<Option<ApprovalRule>> {
    let row = sqlx::query!("select above, approvers, version from approval_rules where org_id = $1", org.0)
        .fetch_optional(db)
        .await?;
    Ok(row.map(|row| ApprovalRule {
        above: Money(row.above),
        approvers: u8::try_from(row.approvers).unwrap_or(1),
        version: row.version,
    }))
}

/// How many have to agree to what is asked for now.
pub(super) async fn needed(change: &mut Change, wish: &Wish, terms: &Terms, today: NaiveDate) -> Result<u8> {
    let org = change.org();
    let rule = read_rule(change.db(), org).await?;
    Ok(rule.map_or(1, |rule| rule.needed(wish.most(terms, today))))
}

/// Groups in which fewer people may decide than have to agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TooFew {
    /// Some of them, those with the fewest first: what they are called, and how many may decide.
    pub some: Vec<(String, i64)>,
    /// How many there are.
    pub all: i64,
    /// Owners and admins, who alone raise limits.
    pub admins: i64,
}

/// Open groups in which fewer people may decide than `approvers`: owners, admins, and leads of the
/// group or one above it. Whoever asks never decides, and so is one fewer where they are among them.
///
/// # Errors
/// When the database does not answer.
pub async fn too_few(store: &Store, org: OrgId, approvers: u8) -> Result<TooFew> {
    // How many are named.
    const NAMED: usize = 5;
    let rows = sqlx::query!(
        r#"with everywhere as (
               select count(*) as people from users
               where org_id = $1 and role in ('owner', 'admin') and suspended_at is null and removed_at is null
           ), leads as (
               select m.group_id, m.user_id
               from memberships m
               join users u on u.org_id = m.org_id and u.user_id = m.user_id and u.role not in ('owner', 'admin')
                and u.suspended_at is null and u.removed_at is null
               where m.org_id = $1 and m.standing = 'lead' and m.ended_at is null and (m.ends_at is null or m.ends_at > $3)
           ), counted as (
               select g.group_id, g.name,
                      (select people from everywhere) + count(distinct l.user_id) as people
               from groups g
               cross join lateral unnest(g.ancestors || g.group_id) as p (id)
               left join leads l on l.group_id = p.id
               -- Enough of them everywhere: then nothing is counted.
               where g.org_id = $1 and g.archived_at is null and (select people from everywhere) < $2
               group by g.group_id, g.name
           )
           select name, people as "people!", count(*) over () as "all!" from counted
           where people < $2 order by people, lower(name) limit $4"#,
        org.0,
        i64::from(approvers),
        crate::clock::now(),
        i64::try_from(NAMED).unwrap_or(i64::MAX),
    )
    .fetch_all(store.pool())
    .await?;
    let admins = notices::admins(&mut *store.pool().acquire().await?, org).await?.len();
    Ok(TooFew {
        admins: i64::try_from(admins).unwrap_or(i64::MAX),
        all: rows.first().map_or(0, |row| row.all),
        some: rows.into_iter().map(|row| (row.name, row.people)).collect(),
    })
}

/// Says from which sum on how many have to agree; one: any of them suffices for every sum.
/// Requests that wait already keep the number they were made with.
///
/// # Errors
/// [`StoreError::Stale`] when the version is not the newest (0: there was none).
pub async fn set_rule(change: &mut Change, rule: &ApprovalRule) -> Result<()> {
    change.expect(Act::EditOrganization, None)?;
    let org = change.org();
    let before = read_rule(change.db(), org).await?;
    if before.as_ref().map_or(0, |before| before.version) != rule.version {
        return Err(StoreError::Stale);
    }
    if !(1..=5).contains(&rule.approvers) {
        return Err(StoreError::invalid("approvers", "Choose a number from 1 to 5."));
    }
    if rule.approvers == 1 {
        sqlx::query!("delete from approval_rules where org_id = $1", org.0).execute(change.db()).await?;
    } else {
        sqlx::query!(
            "insert into approval_rules as r (org_id, above, approvers) values ($1, $2, $3)
             on conflict (org_id) do update set above = excluded.above, approvers = excluded.approvers, version = r.version + 1",
            org.0,
            rule.above.0,
            i16::from(rule.approvers),
        )
        .execute(change.db())
        .await?;
    }
    let words = |rule: &ApprovalRule| format!("{} above {}", rule.approvers, rule.above.in_full());
    let after = (rule.approvers > 1).then(|| words(rule));
    let diff = Diff::new().field("approvers", before.as_ref().map(words), after);
    if diff.is_empty() {
        return Ok(());
    }
    change.record(Subject { kind: "organization", id: org.0, name: "Requests" }, "edit", &diff).await
}

/// Who agreed to the terms that some requests stand at, the first one first. Whose word still
/// counts is looked up anew: who has lost the role or the lead since does not count.
pub(super) async fn of(
    db: &mut PgConnection,
    org: OrgId,
    requests: &[Uuid],
    at: DateTime<Utc>,
) -> Result<HashMap<RequestId, Vec<Approval>>> {
    let mut all = HashMap::<RequestId, Vec<Approval>>::new();
    if requests.is_empty() {
        return Ok(all);
    }
    let rows = sqlx::query!(
        r#"select a.request_id, a.user_id, u.name, a.amount, a.ends_on, a.answer, a.approved_at,
                  (u.suspended_at is null and u.removed_at is null
                   and (u.role in ('owner', 'admin')
                        -- Limits are raised by nobody else.
                        or r.model_id is not null and exists (
                            select from memberships m
                            where m.org_id = $1 and m.user_id = a.user_id and m.standing = 'lead' and m.ended_at is null
                              and (m.ends_at is null or m.ends_at > $3)
                              and (m.group_id = r.group_id or m.group_id = any (g.ancestors))))) as "counts!"
           from request_approvals a
           join requests r on r.org_id = $1 and r.request_id = a.request_id and r.round = a.round
           join groups g on g.org_id = $1 and g.group_id = r.group_id
           join users u on u.org_id = $1 and u.user_id = a.user_id
           where a.org_id = $1 and a.request_id = any ($2)
           order by a.approved_at, a.user_id"#,
        org.0,
        requests,
        at,
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        all.entry(row.request_id.into()).or_default().push(Approval {
            who: (row.user_id.into(), row.name),
            terms: Terms { amount: Money(row.amount), ends_on: row.ends_on },
            answer: row.answer,
            at: row.approved_at,
            counts: row.counts,
        });
    }
    Ok(all)
}

/// What came of adding one more who agrees.
pub(super) struct Tally {
    /// How many agree to these terms now and may.
    pub agreed: u8,
    /// Those who agreed to other terms before, which no longer count.
    pub overruled: Vec<UserId>,
    /// Counts up with every change of the terms.
    pub round: i16,
}

/// What came of adding somebody.
pub(super) enum Added {
    /// They agree as well.
    Now(Tally),
    /// They had agreed to just this already.
    Before(Tally),
}

/// Adds somebody who agrees to these terms. Agreeing to other terms than those before begins anew, so
/// that nobody's name stands under what they have not seen.
pub(super) async fn add(
    change: &mut Change,
    id: RequestId,
    row: &Row,
    terms: &Terms,
    answer: Option<&Words>,
) -> Result<Added> {
    let me = change.permit().actor().user.ok_or(StoreError::NotPermitted(Act::DecideRequests))?;
    let (org, at) = (change.org(), change.at());
    let before = of(change.db(), org, &[id.0], at).await?.remove(&id).unwrap_or_default();
    let changed = before.first().is_some_and(|first| first.terms != *terms);
    if !changed && before.iter().any(|approval| approval.who.0 == me) {
        let agreed = before.iter().filter(|approval| approval.counts).count();
        let agreed = u8::try_from(agreed).unwrap_or(u8::MAX);
        return Ok(Added::Before(Tally { agreed, overruled: Vec::new(), round: row.round }));
    }
    let round = row.round + i16::from(changed);
    if changed {
        sqlx::query!(
            "update requests set round = $3 where org_id = $1 and request_id = $2",
            org.0,
            id.0,
            round
        )
        .execute(change.db())
        .await?;
    }
    sqlx::query!(
        "insert into request_approvals (org_id, request_id, round, user_id, requester_id, amount, ends_on, answer, approved_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        org.0,
        id.0,
        round,
        me.0,
        row.requester.0.0,
        terms.amount.0,
        terms.ends_on,
        answer.map_or("", Words::as_str),
        at,
    )
    .execute(change.db())
    .await?;
    let others = before.iter().filter(|approval| approval.who.0 != me);
    let (agreed, overruled) = if changed {
        (1, others.map(|approval| approval.who.0).collect())
    } else {
        (1 + others.filter(|approval| approval.counts).count(), Vec::new())
    };
    Ok(Added::Now(Tally { agreed: u8::try_from(agreed).unwrap_or(u8::MAX), overruled, round }))
}

/// Proves that a request stands as it was shown to whoever agrees to `meant`: a colleague may have agreed to
/// other terms since, or to another request whose grant this one would end. `shown`: none: the terms that were
/// asked for, and nothing is said of grants. What they agreed to themself just like this is no news to them.
///
/// # Errors
/// [`StoreError::Meanwhile`] with both terms and who agreed to those that stand now, or with the grant that has
/// begun.
pub async fn as_shown(
    change: &mut Change,
    id: RequestId,
    shown: Option<Shown>,
    meant: Option<Terms>,
) -> Result<()> {
    let row = super::locked(change, id).await?;
    // Of what is decided already, it is said how.
    if row.state != RequestState::Waiting {
        return Ok(());
    }
    at_these_terms(change, id, &row, shown.map_or(row.asked, |shown| shown.terms), meant).await?;
    match shown {
        Some(shown) => ends_as_shown(change, &row, shown.ends).await,
        None => Ok(()),
    }
}

async fn at_these_terms(
    change: &mut Change,
    id: RequestId,
    row: &Row,
    shown: Terms,
    meant: Option<Terms>,
) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let agreed = of(change.db(), org, &[id.0], at).await?.remove(&id).unwrap_or_default();
    let Some(first) = agreed.first().filter(|first| first.terms != shown) else { return Ok(()) };
    let me = change.permit().actor().user;
    let mine = |approval: &Approval| Some(approval.who.0) == me;
    if agreed.iter().any(mine) && meant.unwrap_or(shown) == first.terms {
        return Ok(());
    }
    let who = if mine(first) { "You, in another tab, have" } else { &format!("{} has", first.who.1) };
    Err(StoreError::Meanwhile(format!(
        "{who} agreed to {} since this was shown to you: then it was {}. Nothing was decided; approve it as it is now, or say again what you mean.",
        row.wish.terms_words(&first.terms),
        row.wish.terms_words(&shown),
    )))
}

/// A grant that was shown and is over since changes nothing; another one than was shown does.
async fn ends_as_shown(change: &mut Change, row: &Row, shown: Option<GrantId>) -> Result<()> {
    let Wish::Model { id: model, name, .. } = &row.wish else { return Ok(()) };
    let (now, facts) = (change.at(), change.facts().await?);
    let begun = running(&facts, *model, row.grantee(), now).next();
    let Some(grant) = begun.filter(|grant| Some(grant.id) != shown) else { return Ok(()) };
    let Replaced { ends_at, limit, .. } = replaced(&facts, grant);
    let last = domain::time::date(facts.calendar.day(ends_at - TimeDelta::seconds(1)));
    let limit = if limit.is_empty() { String::new() } else { format!(", {limit}") };
    Err(StoreError::Meanwhile(format!(
        "A grant of {name} to just these has begun since this was shown to you (until {last}{limit}), and approving would end it. Nothing was decided; approve it if that is what you mean."
    )))
}

/// To what whoever decides has agreed in the round that counts; none: they have not.
pub(super) async fn mine(change: &mut Change, id: RequestId) -> Result<Option<Terms>> {
    let (org, at) = (change.org(), change.at());
    let me = change.permit().actor().user;
    let agreed = of(change.db(), org, &[id.0], at).await?.remove(&id).unwrap_or_default();
    Ok(agreed.into_iter().find(|approval| Some(approval.who.0) == me).map(|approval| approval.terms))
}

/// They approve what they have approved already: a second click, or a page that was open before. Only the
/// terms they agreed to then hold.
///
/// # Errors
/// [`StoreError::Meanwhile`] when these are other terms; without any, those that were asked for.
pub(super) async fn again(change: &mut Change, id: RequestId, terms: Option<Terms>) -> Result<Decided> {
    let row = super::locked(change, id).await?;
    let terms = terms.unwrap_or(row.asked);
    match mine(change, id).await? {
        Some(mine) if mine != terms => Err(StoreError::Meanwhile(format!(
            "You have approved this already: {}. Nothing was changed.",
            row.wish.terms_words(&mine)
        ))),
        _ => Ok(Decided::Before),
    }
}
