//! Requests as pages find them: whose, in which state, with what is used of their grants.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    access::{Ask, Facts},
    ids::{GrantId, GroupId, ModelId, OrgId, RequestId, UserId},
    limits::{Meter, Metric, Mode, Scope},
    money::Money,
    requests::{Granted, Made, Now, Request, RequestState, Terms, Wish, idle, takes_place_of},
    window::{Calendar, Window},
};
use uuid::Uuid;

use super::approvals;
use crate::{Result, Store, StoreError, access, clock, limits, organizations, users};

/// Whose requests somebody sees.
#[derive(Clone, Debug, Default)]
pub enum Sees {
    /// Everybody's.
    #[default]
    All,
    /// Their own, and those of groups they lead and everything below.
    Some(UserId, Vec<GroupId>),
}

/// Which requests to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of those somebody sees.
    pub sees: Sees,
    /// In this state.
    pub state: Option<RequestState>,
    /// Of people whose name or address has this in it.
    pub who: Option<String>,
    /// For models, or limits on what has this in its name.
    pub what: Option<String>,
    /// Of this person, for themself.
    pub user: Option<UserId>,
    /// On the account of this group, whoever asked.
    pub group: Option<GroupId>,
    /// Only this one.
    pub only: Option<RequestId>,
    /// Older than this one.
    pub after: Option<RequestId>,
}

/// Requests, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn list(store: &Store, org: OrgId, filter: &Filter, limit: i64) -> Result<Vec<Request>> {
    let now = clock::now();
    let calendar = organizations::calendar(store, org).await?;
    let today = calendar.day(now);
    let (me, leads) = match &filter.sees {
        Sees::All => (None, Vec::new()),
        Sees::Some(me, leads) => (Some(me.0), leads.iter().map(|group| group.0).collect::<Vec<Uuid>>()),
    };
    let like = |text: &Option<String>| text.as_deref().map(|text| format!("%{}%", users::escape_like(text)));
    let rows = sqlx::query!(
        r#"select r.request_id, r.model_id, coalesce(m.name, r.thing_name) as "name!", r.requester_id,
                  u.name as requester, u.suspended_at is not null as "away!", r.group_id, g.name as group_name, g.ancestors, r.for_group, r.reason, r.amount, r.per,
                  r.scope_kind, r.thing_id, r.person_id, r.window_kind, r.cap_before, r.cap_after, r.raised_until, r.ended_at, r.granted,
                  r.ends_on, r.created_at, r.state, r.decided_at, d.name as "decider?", r.answer, r.approvers,
                  t.grant_id as "grant_id?", t.ends_at as "grant_ends_at?", t.revoked_at as "revoked_at?", l.cap as "cap?",
                  l.mode as "mode?", o.default_user_limit,
                  -- What a raised limit falls back to when this raise ends.
                  (select max(a.granted) from requests a
                   where a.org_id = r.org_id and a.scope_kind = r.scope_kind and a.thing_id = r.thing_id and a.person_id = r.person_id
                     and a.window_kind = r.window_kind and a.raised_until is not null and a.ended_at is null
                     and a.request_id <> r.request_id) as falls_to
           from requests r
           join organizations o on o.org_id = r.org_id
           left join models m on m.org_id = r.org_id and m.model_id = r.model_id
           join users u on u.org_id = r.org_id and u.user_id = r.requester_id
           join groups g on g.org_id = r.org_id and g.group_id = r.group_id
           left join users d on d.org_id = r.org_id and d.user_id = r.decided_by
           left join grants t on t.org_id = r.org_id and t.grant_id = r.grant_id
           left join limits l on l.org_id = r.org_id and l.scope_kind = coalesce(r.scope_kind, 'grant')
                and l.thing_id = coalesce(r.thing_id, r.grant_id)
                and l.person_id = coalesce(r.person_id, '00000000-0000-0000-0000-000000000000')
                and l.metric = 'spend' and l.window_kind = coalesce(r.window_kind, r.per)
           where r.org_id = $1
             and ($2::uuid is null or r.requester_id = $2 or r.group_id = any($3) or g.ancestors && $3)
             and ($4::text is null or $4 = case
                    when r.state = 'approved' and (t.revoked_at is not null or t.ends_at <= $5
                                                     or r.ended_at is not null or r.raised_until < $13) then 'ended'
                    when r.state = 'waiting' and r.ends_on < $13 then 'lapsed'
                    else r.state end)
             and ($6::text is null or u.name ilike $6 or u.email ilike $6)
             and ($7::text is null or m.name ilike $7 or r.thing_name ilike $7)
             and ($8::uuid is null or (r.requester_id = $8 and not r.for_group))
             and ($9::uuid is null or r.group_id = $9)
             and ($10::uuid is null or r.request_id = $10)
             and ($11::uuid is null or r.request_id < $11)
           order by r.request_id desc
           limit $12"#,
        org.0,
        me,
        &leads,
        filter.state.map(RequestState::as_str),
        now,
        like(&filter.who),
        like(&filter.what),
        filter.user.map(|id| id.0),
        filter.group.map(|id| id.0),
        filter.only.map(|id| id.0),
        filter.after.map(|id| id.0),
        limit,
        today,
    )
    .fetch_all(store.pool())
    .await?;
    let mut requests = Vec::with_capacity(rows.len());
    for row in rows {
        let made = match (row.grant_id, row.model_id) {
            (Some(grant), _) => Some(Made::Grant(GrantId(grant))),
            (None, Some(_)) => None,
            (None, None) => Some(Made::Raise {
                before: row.falls_to.or(row.cap_after).map(Money),
                now: row.cap.map(Money),
            }),
        };
        // Of a grant whose limit was set anew, that one counts.
        let cap = if row.grant_id.is_some() { row.cap.or(row.granted) } else { row.granted };
        let last = row.raised_until.unwrap_or(row.ends_on);
        let ends_at = || calendar.midnight(last.succ_opt().unwrap_or(last));
        let grant = made.zip(cap).map(|(made, cap)| Granted {
            made,
            cap: Money(cap),
            used: Money(0),
            held: Money(0),
            ends_at: row.grant_ends_at.unwrap_or_else(ends_at),
            revoked_at: row.revoked_at.or(row.ended_at),
        });
        let over = grant.as_ref().is_some_and(|grant| grant.revoked_at.is_some() || grant.ends_at <= now);
        let state = match row.state.parse()? {
            _ if over => RequestState::Ended,
            RequestState::Waiting if row.ends_on < today => RequestState::Lapsed,
            state => state,
        };
        let meter = (row.scope_kind, row.thing_id, row.person_id, row.window_kind);
        let wish = wish((row.model_id, row.per), meter, row.cap_before, row.name)?;
        let month = matches!(
            wish,
            Wish::Raise { meter: Meter { scope: Scope::User(_), window: Window::Month, .. }, .. }
        );
        let default = row.default_user_limit.filter(|_| month);
        let refuses = row.mode.as_deref().is_none_or(|mode| mode == Mode::Enforce.as_str());
        let now = row
            .cap
            .or(default)
            .filter(|_| wish.is_raise() && state == RequestState::Waiting)
            .map(|cap| Now { cap: Money(cap), refuses, used: Money(0), held: Money(0) });
        requests.push(Request {
            id: row.request_id.into(),
            wish,
            requester: (row.requester_id.into(), row.requester),
            away: row.away,
            group: (row.group_id.into(), row.group_name),
            path: row.ancestors.into_iter().chain([row.group_id]).map(GroupId).collect(),
            for_group: row.for_group,
            reason: row.reason,
            asked: Terms { amount: Money(row.amount), ends_on: row.ends_on },
            created_at: row.created_at,
            state,
            decided: row.decided_at.map(|at| (at, row.decider)),
            answer: row.answer,
            approvers: u8::try_from(row.approvers).unwrap_or(1),
            approvals: Vec::new(),
            grant,
            now,
            idle: None,
            replaces: None,
        });
    }
    fill_use(store, org, &mut requests, &calendar, now).await?;
    let several: Vec<Uuid> =
        requests.iter().filter(|request| request.approvers > 1).map(|request| request.id.0).collect();
    let mut db = store.pool().acquire().await?;
    let mut agreed = approvals::of(&mut db, org, &several, now).await?;
    for request in &mut requests {
        request.approvals = agreed.remove(&request.id).unwrap_or_default();
    }
    Ok(requests)
}

/// What is spent of the grants, and of limits that somebody asks to be raised.
async fn fill_use(
    store: &Store,
    org: OrgId,
    requests: &mut [Request],
    calendar: &Calendar,
    now: DateTime<Utc>,
) -> Result<()> {
    let counted: Vec<(Meter, (&mut Money, &mut Money))> = requests
        .iter_mut()
        .filter_map(|request| match (&mut request.grant, &mut request.now, &request.wish) {
            (Some(grant), ..) => {
                Some((meter_of(&request.wish, grant.made)?, (&mut grant.used, &mut grant.held)))
            }
            (None, Some(now), Wish::Raise { meter, .. }) => Some((*meter, (&mut now.used, &mut now.held))),
            (None, ..) => None,
        })
        .collect();
    if counted.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = counted.iter().map(|(meter, _)| (*meter, calendar.span(meter.window, now))).collect();
    let levels = limits::levels(store, org, &keys).await?;
    for ((_, (used, held)), level) in counted.into_iter().zip(levels) {
        (*used, *held) = (Money(level.settled), Money(level.held));
    }
    Ok(())
}

/// What counts the money that was agreed to; none where the one cannot come of the other.
const fn meter_of(wish: &Wish, made: Made) -> Option<Meter> {
    match (wish, made) {
        (Wish::Raise { meter, .. }, _) => Some(*meter),
        (Wish::Model { per, .. }, Made::Grant(grant)) => {
            Some(Meter { scope: Scope::Grant(grant), metric: Metric::Spend, window: per.window() })
        }
        (Wish::Model { .. }, Made::Raise { .. }) => None,
    }
}

/// A wish as it is kept: a model and how its money is counted, or a meter and its cap then.
pub(super) fn wish(
    model: (Option<Uuid>, Option<String>),
    meter: (Option<String>, Option<Uuid>, Option<Uuid>, Option<String>),
    from: Option<i64>,
    name: String,
) -> Result<Wish> {
    if let (Some(id), Some(per)) = model {
        return Ok(Wish::Model { id: ModelId(id), name, per: per.parse()? });
    }
    let (Some(kind), Some(thing), Some(person), Some(window)) = meter else {
        return Err(StoreError::NotFound);
    };
    let scope = Scope::from_parts(kind.parse()?, thing, person);
    let meter = Meter { scope, metric: Metric::Spend, window: window.parse()? };
    Ok(Wish::Raise { meter, name, from: Money(from.unwrap_or_default()) })
}

/// One request.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn get(store: &Store, org: OrgId, id: RequestId) -> Result<Request> {
    let filter = Filter { only: Some(id), ..Filter::default() };
    list(store, org, &filter, 1).await?.pop().ok_or(StoreError::NotFound)
}

/// Where a request is decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By those who decide in this group, on whose account a model is asked for.
    Group(GroupId),
    /// By those who may raise limits.
    Limits,
}

/// Where a request is decided on.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn place_of(store: &Store, org: OrgId, id: RequestId) -> Result<Place> {
    let row = sqlx::query!(
        "select group_id, model_id from requests where org_id = $1 and request_id = $2",
        org.0,
        id.0
    )
    .fetch_one(store.pool())
    .await?;
    Ok(if row.model_id.is_some() { Place::Group(row.group_id.into()) } else { Place::Limits })
}

/// How many requests wait for somebody: all, or those for models in groups they lead; those they did not make,
/// that can still be agreed to, and that they have not agreed to while others still have to.
///
/// # Errors
/// When the database does not answer.
pub async fn waiting(store: &Store, org: OrgId, me: UserId, leads: Option<&[GroupId]>) -> Result<i64> {
    let groups: Vec<Uuid> = leads.unwrap_or_default().iter().map(|group| group.0).collect();
    let now = clock::now();
    let rows = sqlx::query!(
        r#"select r.request_id, r.approvers,
                  exists (select from request_approvals a
                          where a.org_id = $1 and a.request_id = r.request_id and a.round = r.round
                            and a.user_id = $2) as "agreed!"
           from requests r
           join groups g on g.org_id = r.org_id and g.group_id = r.group_id
           join organizations o on o.org_id = r.org_id
           where r.org_id = $1 and r.state = 'waiting' and r.ends_on >= ($5 at time zone o.time_zone)::date
             and r.requester_id <> $2
             and ($3 or r.model_id is not null and (r.group_id = any($4) or g.ancestors && $4))"#,
        org.0,
        me.0,
        leads.is_none(),
        &groups,
        now,
    )
    .fetch_all(store.pool())
    .await?;
    let agreed: Vec<Uuid> = rows.iter().filter(|row| row.agreed).map(|row| row.request_id).collect();
    let approvals = approvals::of(&mut *store.pool().acquire().await?, org, &agreed, now).await?;
    // Enough of those who agreed may decide again: whoever agreed can complete it.
    let enough = |id: Uuid, approvers: i16| {
        let of = approvals.get(&RequestId(id)).map_or(&[][..], Vec::as_slice);
        of.iter().filter(|approval| approval.counts).count() >= usize::try_from(approvers).unwrap_or(1)
    };
    let waits = rows.iter().filter(|row| !row.agreed || enough(row.request_id, row.approvers)).count();
    Ok(i64::try_from(waits).unwrap_or(i64::MAX))
}

/// The request that waits and would let this pass, once it is agreed to: somebody's own before one for
/// everybody, the one of the nearest group first.
///
/// # Errors
/// When the database does not answer.
pub async fn lifting(
    store: &Store,
    facts: &Facts,
    ask: &Ask<'_>,
    now: DateTime<Utc>,
) -> Result<Option<Request>> {
    let path = facts.groups.get(&ask.group).map_or(&[][..], |group| group.path.as_slice());
    let path: Vec<Uuid> = path.iter().map(|group| group.0).collect();
    let id = sqlx::query_scalar!(
        "select request_id from requests
         where org_id = $1 and state = 'waiting' and ends_on >= $2 and model_id = $3 and group_id = any($4)
           and (for_group or requester_id = $5)
         order by for_group, array_position($4, group_id) desc, request_id
         limit 1",
        facts.org.0,
        facts.calendar.day(now),
        ask.model.0,
        &path,
        ask.user.map(|user| user.0),
    )
    .fetch_optional(store.pool())
    .await?;
    match id {
        Some(id) => get(store, facts.org, id.into()).await.map(Some),
        None => Ok(None),
    }
}

/// Requests of one person or group that are still of interest: those that wait, and grants that
/// hold.
///
/// # Errors
/// When the database does not answer.
pub async fn live(store: &Store, org: OrgId, of: &Filter) -> Result<Vec<Request>> {
    let mut all = Vec::new();
    for state in [RequestState::Waiting, RequestState::Approved] {
        let filter = Filter { state: Some(state), ..of.clone() };
        all.extend(list(store, org, &filter, 50).await?);
    }
    judge(store, org, &mut all).await?;
    Ok(all)
}

/// Says of each request where agreeing to it would change nothing, or what was agreed to does nothing now.
///
/// # Errors
/// When the database does not answer.
pub async fn judge(store: &Store, org: OrgId, requests: &mut [Request]) -> Result<()> {
    if requests.is_empty() {
        return Ok(());
    }
    let facts = access::current(store, org).await?;
    let now = clock::now();
    for request in requests.iter_mut() {
        request.idle = idle(&facts, request, now);
        request.replaces = takes_place_of(&facts, request, now);
    }
    let grants: Vec<_> = requests.iter().filter_map(|it| it.replaces.as_ref()).map(|it| it.grant).collect();
    if grants.is_empty() {
        return Ok(());
    }
    let of = of_grants(store, org, &grants).await?;
    for replaced in requests.iter_mut().filter_map(|request| request.replaces.as_mut()) {
        replaced.request = of.get(&replaced.grant).copied();
    }
    Ok(())
}

/// What took the place of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Successor {
    /// The request that was agreed to.
    pub request: RequestId,
    /// Who had asked.
    pub requester: (UserId, String),
    /// Who agreed last; none: they are not known any more.
    pub decider: Option<String>,
}

/// What took the place of a grant; none: it was ended otherwise, or has not ended. One grant takes the place of
/// another in one change, so the one begins at the very moment at which the other ends.
///
/// # Errors
/// When the database does not answer.
pub async fn successor(store: &Store, org: OrgId, grant: GrantId) -> Result<Option<Successor>> {
    let row = sqlx::query!(
        r#"select r.request_id, r.requester_id, u.name as requester, d.name as "decider?"
           from grants t
           join grants n on n.org_id = t.org_id and n.model_id = t.model_id and n.grant_id <> t.grant_id
                and n.user_id is not distinct from t.user_id and n.group_id is not distinct from t.group_id
                and n.starts_at = t.revoked_at
           join requests r on r.org_id = n.org_id and r.grant_id = n.grant_id
           join users u on u.org_id = r.org_id and u.user_id = r.requester_id
           left join users d on d.org_id = r.org_id and d.user_id = r.decided_by
           where t.org_id = $1 and t.grant_id = $2 limit 1"#,
        org.0,
        grant.0
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| Successor {
        request: row.request_id.into(),
        requester: (row.requester_id.into(), row.requester),
        decider: row.decider,
    }))
}

/// Grants by id, for those who look at a trace: which request each came of.
///
/// # Errors
/// When the database does not answer.
pub async fn of_grants(store: &Store, org: OrgId, grants: &[GrantId]) -> Result<HashMap<GrantId, RequestId>> {
    let ids: Vec<Uuid> = grants.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select grant_id as "grant_id!", request_id from requests where org_id = $1 and grant_id = any($2)"#,
        org.0,
        &ids
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (GrantId(row.grant_id), RequestId(row.request_id))).collect())
}
