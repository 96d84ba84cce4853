//! What limits a person, and what they may expect of a model.

use std::collections::{HashMap, HashSet};

use chrono::{Days, NaiveDate};
use domain::{
    access::{Decision, Facts},
    ids::{ApplicationId, GroupId, ModelId, OrgId, UserId},
    limits::{Level, Limit, Meter, Metric, Mode, Scope, Subject},
    models::Modality,
    money::Money,
    providers::Dialect,
    spend::LimitLevel,
    why::{self, Gate},
    window::Window,
};

use super::{AppError, Cx, Known};
use crate::api::my_models::{Door, Tight, Usual};

/// How many days of calls say what one usually costs.
const DAYS: u64 = 30;

/// Where a model of this kind answers: nothing is translated from one dialect to another.
pub fn door(dialect: Option<Dialect>, modality: Modality) -> Option<Door> {
    let dialect = dialect.filter(|dialect| modality.is_served(*dialect))?;
    Some(match (dialect, modality) {
        (Dialect::OpenAi, Modality::Embedding) => Door::Embeddings,
        (Dialect::OpenAi, _) => Door::Chat,
        (Dialect::Anthropic, _) => Door::Messages,
    })
}

/// Every limit that can apply to somebody in some groups, with some applications, passing by some rules
/// and grants, each with its level now.
///
/// # Errors
/// When the database does not answer.
pub async fn all(
    cx: &Cx,
    facts: &Facts,
    me: UserId,
    mine: &[GroupId],
    applications: &[ApplicationId],
    passed_by: &HashSet<Scope>,
) -> Result<Vec<LimitLevel>, AppError> {
    let on_my_paths = |group: GroupId| {
        mine.iter().any(|own| facts.groups.get(own).is_some_and(|own| own.path.contains(&group)))
    };
    let mut limits = store::limits::list(&cx.store, facts.org, facts, |scope| match scope {
        Scope::Organization => true,
        Scope::Authorization(_) | Scope::Grant(_) => passed_by.contains(&scope),
        Scope::Group(group) => on_my_paths(group),
        Scope::User(user) => user == me,
        Scope::Member(group, user) => user == me && on_my_paths(group),
        Scope::Application(application) => applications.contains(&application),
    })
    .await
    .known()?;
    let own_month = Meter { scope: Scope::User(me), metric: Metric::Spend, window: Window::Month };
    let own = limits.iter().any(|level| level.limit.meter == own_month);
    if !own {
        limits.extend(default_month(cx, facts, me).await?);
    }
    Ok(limits)
}

/// The organization's default limit as it holds for somebody who has no own one, with its level now.
///
/// # Errors
/// When the database does not answer.
pub async fn default_month(cx: &Cx, facts: &Facts, user: UserId) -> Result<Option<LimitLevel>, AppError> {
    let Some(cap) = facts.default_user_limit else { return Ok(None) };
    let meter = Meter { scope: Scope::User(user), metric: Metric::Spend, window: Window::Month };
    let span = facts.calendar.span(meter.window, store::clock::now());
    let limit = Limit { id: None, meter, cap: cap.0, mode: Mode::Enforce, thresholds: Default::default() };
    let mut level = [LimitLevel {
        limit,
        scope_name: facts.scope_name(meter.scope),
        level: Level::default(),
        starts_at: span.start,
        ends_at: span.end,
        version: None,
        raised: None,
    }];
    store::limits::fill_levels(&cx.store, facts.org, &mut level).await.known()?;
    Ok(level.into_iter().next())
}

/// What is left to somebody on a group's account.
pub struct Room {
    /// The least money, and by what it is limited; none: nothing limits it.
    pub left: Option<(Money, String)>,
    /// The limit in which not even the smallest call fits.
    pub full: Option<Tight>,
    /// The limit in which the smallest call fits, and one as they usually are does not.
    pub short: Option<Tight>,
}

/// What is left to somebody for calls of a model on a group's account. `usual`: what such a call usually costs.
pub fn room(
    facts: &Facts,
    limits: &[LimitLevel],
    me: UserId,
    (group, model, usual): (GroupId, ModelId, Option<Money>),
    decision: &Decision,
) -> Room {
    let subject = Subject {
        path: facts.groups.get(&group).map_or(&[], |group| &group.path),
        application: ApplicationId(store::limits::NOBODY),
        user: Some(me),
        authorization: decision.rule,
        beside: None,
        grant: decision.grant,
    };
    let scopes = subject.scopes();
    let counts =
        |level: &&LimitLevel| level.limit.mode == Mode::Enforce && scopes.contains(&level.limit.meter.scope);
    let named =
        |level: &LimitLevel| format!("{}: {}", level.scope_name, level.limit.meter.show_cap(level.limit.cap));
    let smallest = why::worst(facts, model, None, store::clock::now());
    let fits = |level: &LimitLevel| {
        let Limit { meter, cap, .. } = level.limit;
        // Calls at once come and go, and say nothing of what is left.
        meter.metric == Metric::ConcurrentCalls
            || Gate::before(meter, cap, level.level, &smallest, level.ends_at).fits()
    };
    let applying: Vec<&LimitLevel> = limits.iter().filter(counts).collect();
    let money = applying.iter().filter(|level| level.limit.meter.metric == Metric::Spend);
    let least = money.min_by_key(|level| level.level.room(level.limit.cap));
    let room = |level: &LimitLevel| Money(level.level.room(level.limit.cap));
    let tight = |level: &LimitLevel| Tight { limit: named(level), anew: level.ends_at };
    // Of several, it fits again when the last of them begins anew.
    let full = applying.iter().filter(|level| !fits(level));
    let full = full.max_by_key(|level| level.ends_at.map_or((1, None), |end| (0, Some(end))));
    let short = least.filter(|level| full.is_none() && usual.is_some_and(|usual| room(level) < usual));
    Room {
        left: least.map(|level| (room(level), named(level))),
        full: full.map(|level| tight(level)),
        short: short.map(|level| tight(level)),
    }
}

/// What a call of each model cost on average in the last days: mine, where there were any.
///
/// # Errors
/// When the database does not answer.
pub async fn usual(
    cx: &Cx,
    org: OrgId,
    me: UserId,
    today: NaiveDate,
) -> Result<HashMap<ModelId, Usual>, AppError> {
    let from = today.checked_sub_days(Days::new(DAYS)).unwrap_or(today);
    let to = today.succ_opt().unwrap_or(today);
    let mut usual = HashMap::new();
    for (user, mine) in [(None, false), (Some(me), true)] {
        let which = store::rollups::Which { user, ..Default::default() };
        for (model, sums) in store::rollups::by_model(&cx.store, org, &which, from, to).await.known()? {
            // Answers from the cache cost nothing: the next one will.
            let asked = sums.calls - sums.cached - sums.failed;
            if asked > 0 {
                usual.insert(model, Usual { cost: Money(sums.spend.0 / asked), mine });
            }
        }
    }
    Ok(usual)
}
