//! Limits that somebody can ask to be raised.

use std::collections::HashSet;

use chrono::{Days, TimeDelta};
use domain::{
    access::Facts,
    ids::{GroupId, RequestId, UserId},
    limits::{Meter, Scope},
    requests::{RequestState, Wish, answered_accounts, led_by, raisable as can_ask},
    roles::Act,
    spend::LimitLevel,
    window::Window,
};

use super::{AppError, Cx, Known, my_limits};
use crate::api::requests::Raisable;

/// Which limits whoever asks can ask to be raised, and the one that was named, or the tightest.
///
/// # Errors
/// When the database does not answer.
pub async fn raisable(cx: &Cx, named: &str) -> Result<Raisable, AppError> {
    let permit = cx.permit(Act::UseOwn)?;
    let (org, me) = (permit.org(), permit.actor().user.ok_or(AppError::NotFound)?);
    let facts = store::access::current(&cx.store, org).await.known()?;
    let now = store::clock::now();
    let mine = answered_accounts(&facts, me, now);
    let keys = store::keys::own(&cx.store, org, me).await.known()?;
    let owned = facts.applications.iter().filter(|(_, application)| application.owner == Some(me));
    let applications: Vec<_> =
        keys.iter().map(|key| key.application).chain(owned.map(|(id, _)| *id)).collect();
    let mut limits = my_limits::all(cx, &facts, me, &mine, &applications, &HashSet::new()).await?;
    limits.retain(|level| level.can_be_raised() && can_ask(&facts, &level.limit.meter, me, now));
    limits.sort_by_key(|level| std::cmp::Reverse(level.percent()));
    let meter = Meter::from_key(named);
    let asked = match meter.filter(|meter| can_ask(&facts, meter, me, now)) {
        Some(meter) => standing(cx, &facts, meter).await?.filter(LimitLevel::can_be_raised),
        None => None,
    };
    // Of a limit that is none of theirs they do not learn that there is one.
    let may = cx.permit(Act::LoosenLimits).is_ok();
    let told = |meter: &Meter| may || can_ask(&facts, meter, me, now);
    let there = match meter.filter(|meter| asked.is_none() && told(meter)) {
        Some(meter) => standing(cx, &facts, meter).await?,
        None => None,
    };
    let why_not = (!named.is_empty() && asked.is_none()).then(|| why_not(meter, there.as_ref()).to_owned());
    // Whoever named a limit that cannot be asked about did not mean another one.
    let limit = asked.or_else(|| limits.first().filter(|_| named.is_empty()).cloned());
    if let Some(limit) = &limit
        && !limits.iter().any(|known| known.limit.meter == limit.limit.meter)
    {
        limits.push(limit.clone());
    }
    let groups = match &limit {
        Some(limit) => accounts(cx, &facts, me, &limit.limit.meter).await?,
        None => Vec::new(),
    };
    let waits = match &limit {
        Some(limit) => waiting(cx, me, &limit.limit.meter).await?,
        None => None,
    };
    let today = facts.calendar.day(now);
    let this_window = limit
        .as_ref()
        .filter(|limit| matches!(limit.limit.meter.window, Window::Week | Window::Month | Window::Year));
    let last_day = this_window
        .and_then(|limit| limit.ends_at)
        .map(|end| facts.calendar.day(end - TimeDelta::seconds(1)))
        .unwrap_or_else(|| today + Days::new(30));
    Ok(Raisable {
        limits: limits.iter().map(|level| (level.limit.meter.key(), title(level))).collect(),
        limit,
        groups,
        why_not,
        may,
        waits,
        last_day,
    })
}

/// `Research: $40.00 a month`.
fn title(level: &LimitLevel) -> String {
    format!("{}: {}", level.scope_name, level.limit.meter.show_cap(level.limit.cap))
}

const fn why_not(meter: Option<Meter>, there: Option<&LimitLevel>) -> &'static str {
    match (meter, there) {
        (Some(Meter { scope: Scope::Grant(_), .. }), _) => {
            "This is the money of a grant. Ask for the model anew, and for more: the new grant takes the place of this one."
        }
        (_, Some(there)) if !there.can_be_raised() => {
            "This limit only takes note and refuses nothing: nothing has to be raised."
        }
        (_, Some(_)) => {
            "No call of yours, nor of an application you answer for, runs into this limit, so it is not for you to ask that it be raised."
        }
        (_, None) => "This limit is not there any more, or applies to no call of yours. Choose another one.",
    }
}

/// A limit as it stands, with its level; the organization's default where a person has none.
async fn standing(cx: &Cx, facts: &Facts, meter: Meter) -> Result<Option<LimitLevel>, AppError> {
    let known =
        store::limits::list(&cx.store, facts.org, facts, |scope| scope == meter.scope).await.known()?;
    if let Some(level) = known.into_iter().find(|level| level.limit.meter == meter) {
        return Ok(Some(level));
    }
    match meter {
        Meter { scope: Scope::User(user), window: Window::Month, .. } => {
            my_limits::default_month(cx, facts, user).await
        }
        _ => Ok(None),
    }
}

/// Groups on whose account calls run into a limit: those whoever asks calls or answers for, and those they
/// lead, with their paths. Their own come first.
async fn accounts(
    cx: &Cx,
    facts: &Facts,
    me: UserId,
    meter: &Meter,
) -> Result<Vec<(String, String)>, AppError> {
    let now = store::clock::now();
    let path = |group: &GroupId| facts.groups.get(group).map_or(&[][..], |facts| facts.path.as_slice());
    let of = |person: UserId| {
        let memberships = facts.users.get(&person).map_or(&[][..], |facts| facts.memberships.as_slice());
        memberships.iter().map(|membership| membership.group).collect::<Vec<_>>()
    };
    let fits = |group: &GroupId| match meter.scope {
        Scope::Group(id) | Scope::Member(id, _) => path(group).contains(&id),
        Scope::Application(id) => facts.applications.get(&id).is_some_and(|known| known.group == *group),
        Scope::User(id) if id != me => of(id).contains(group),
        Scope::Authorization(id) => {
            let mut rules = facts.rules.iter();
            let place = rules.find(|(_, rules)| rules.values().any(|rule| rule.id == id));
            place.is_some_and(|(place, _)| place.is_none_or(|place| path(group).contains(&place)))
        }
        _ => true,
    };
    let own = answered_accounts(facts, me, now);
    let mut groups: Vec<GroupId> = own.iter().copied().filter(fits).collect();
    groups.extend(led_by(facts, me, now).into_iter().filter(fits).filter(|group| !own.contains(group)));
    // The nearest first: that is where most of their calls are.
    groups.sort_by_key(|group| (!own.contains(group), std::cmp::Reverse(path(group).len()), *group));
    let paths = store::groups::paths(&cx.store, facts.org).await.known()?;
    let named = |group: &GroupId| {
        let path = paths.iter().find(|(id, _)| id == group).map(|(_, path)| path.clone());
        (group.to_string(), path.unwrap_or_default())
    };
    Ok(groups.iter().map(named).collect())
}

/// A request of theirs for this limit that waits.
async fn waiting(cx: &Cx, me: UserId, meter: &Meter) -> Result<Option<RequestId>, AppError> {
    let filter = store::requests::Filter {
        sees: store::requests::Sees::Some(me, Vec::new()),
        state: Some(RequestState::Waiting),
        ..Default::default()
    };
    let waiting = store::requests::list(&cx.store, cx.org()?, &filter, 100).await.known()?;
    let same = |wish: &Wish| matches!(wish, Wish::Raise { meter: asked, .. } if asked == meter);
    Ok(waiting.into_iter().find(|request| same(&request.wish)).map(|request| request.id))
}
