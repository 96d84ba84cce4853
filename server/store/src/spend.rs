//! The spend page: the same for everything that spends.

use std::collections::BTreeMap;

use chrono::{Days, Months, NaiveDate};
use domain::{
    access::Facts,
    authorizations::Target,
    explore::{By, Interval, Measure, Period},
    forecast::{Forecast, LOOK_BACK, forecast},
    ids::{ApplicationId, AuthorizationId, GroupId, KeyId, ModelId, OrgId, UserId},
    limits::{Level, Limit, Meter, Metric, Mode, Scope},
    money::Money,
    spend::{Flying, Leader, Led, LedPage, LimitLevel, Range, SpendPage, View, Whose},
    window::Window,
};

use crate::{
    Result, Store, StoreError, access, applications, census, clock, directory,
    explore::{self, Question},
    groups, in_flight, limits,
    rollups::{self, Month, Steps, Which},
    sums,
};

/// How many things a chart tells apart; the rest is one more.
const TOP: usize = 6;

/// Of how many people the one who spent most is looked for in days that are no month: beyond, that takes
/// longer than a page may. Of a month it is found among any number.
const CROWD: i64 = 300;

/// Days are shown one by one up to so many, weeks up to so many days.
const BY_DAY: i64 = 100;
const BY_WEEK: i64 = 400;

/// Whose spend is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Everybody's.
    Organization,
    /// A group's.
    Group(GroupId),
    /// An application's.
    Application(ApplicationId),
    /// The application's that has this key.
    Key(KeyId, ApplicationId),
    /// A person's.
    User(UserId),
    /// A model's.
    Model(ModelId),
}

impl Of {
    fn which(self, view: View) -> Which {
        let all = Which::default();
        match self {
            Self::Organization => all,
            Self::Group(group) => Which { group: Some(group), members: view == View::Members, ..all },
            Self::Application(application) | Self::Key(_, application) => {
                Which { application: Some(application), ..all }
            }
            Self::User(user) => Which { user: Some(user), ..all },
            Self::Model(model) => Which { model: Some(model), ..all },
        }
    }

    /// What limits count it; a model has none.
    const fn scope(self) -> Option<Scope> {
        match self {
            Self::Organization => Some(Scope::Organization),
            Self::Group(group) => Some(Scope::Group(group)),
            Self::Application(application) | Self::Key(_, application) => {
                Some(Scope::Application(application))
            }
            Self::User(user) => Some(Scope::User(user)),
            Self::Model(_) => None,
        }
    }

    /// By what it can be split.
    fn tabs(self, view: View) -> Vec<By> {
        let without: &[By] = match self {
            Self::Organization => &[],
            Self::Group(_) if view == View::Members => &[By::Group],
            Self::Group(_) => &[],
            Self::Application(_) | Self::Key(..) => &[By::Group, By::Application],
            Self::User(_) => &[By::Group, By::User],
            Self::Model(_) => &[By::Model, By::Tier, By::Provider],
        };
        // A key is its application.
        By::ALL.iter().copied().filter(|by| *by != By::Key && !without.contains(by)).collect()
    }
}

/// What a page looks at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Which spend, of a group.
    pub view: View,
    /// How much time.
    pub range: Range,
    /// Which month; none: this one.
    pub month: Option<NaiveDate>,
    /// The days somebody chose, for [`Range::Own`].
    pub own: Option<Period>,
    /// By what; none: what fits best.
    pub by: Option<By>,
}

/// The days a page shows, those it compares them with, and the end of what it could show.
fn stretch(
    range: Range,
    own: Option<Period>,
    month: NaiveDate,
    today: NaiveDate,
) -> (Period, Period, NaiveDate) {
    let tomorrow = today.checked_add_days(Days::new(1)).unwrap_or(today);
    let back = |date: NaiveDate, months| date.checked_sub_months(Months::new(months)).unwrap_or(date);
    match (range, own) {
        (Range::Own, Some(period)) => (period, period.before(), period.to),
        (Range::Days | Range::Own, _) => {
            let from = tomorrow.checked_sub_days(Days::new(90)).unwrap_or(today);
            let period = Period { from, to: tomorrow };
            (period, period.before(), tomorrow)
        }
        (Range::Year, _) => {
            let from = back(month, 11);
            let before = Period { from: back(from, 12), to: back(tomorrow, 12).min(from) };
            (Period { from, to: tomorrow }, before, tomorrow)
        }
        (Range::Month, _) => {
            let next = month.checked_add_months(Months::new(1)).unwrap_or(month);
            let period = Period { from: month, to: next.min(tomorrow).max(month) };
            let first = back(month, 1);
            let to =
                first.checked_add_days(Days::new(period.days().unsigned_abs())).unwrap_or(month).min(month);
            (period, Period { from: first, to }, next)
        }
    }
}

/// The spend page of something.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn page(store: &Store, org: OrgId, of: Of, look: Look) -> Result<SpendPage> {
    let whose = whose(store, org, of).await?;
    let facts = access::current(store, org).await?;
    let now = clock::now();
    let today = facts.calendar.day(now);
    let this_month = Month::of(facts.calendar, now).first;
    let month = match look.range {
        Range::Month => look.month.unwrap_or(this_month),
        Range::Days | Range::Year | Range::Own => this_month,
    };
    let (period, before, end) = stretch(look.range, look.own, month, today);
    let interval = match (look.range, period.days()) {
        (Range::Year, _) => Interval::Month,
        (_, ..=BY_DAY) => Interval::Day,
        (_, ..=BY_WEEK) => Interval::Week,
        _ => Interval::Month,
    };
    let tabs = of.tabs(look.view);
    let usual = match of {
        Of::Organization => By::Group,
        _ if tabs.contains(&By::Application) => By::Application,
        _ => By::Model,
    };
    let by = look.by.filter(|by| tabs.contains(by)).unwrap_or(usual);
    let question = Question {
        measure: Measure::Spend,
        by,
        interval,
        period,
        before,
        top: TOP,
        week_start: facts.calendar.week_start,
        today,
    };
    let which = of.which(look.view);
    let next_month = this_month.checked_add_months(Months::new(1)).unwrap_or(this_month);
    let before_month = month.checked_sub_months(Months::new(1)).unwrap_or(month);
    let shown_before = match look.range {
        Range::Month => Period { from: before_month, to: month },
        _ => before,
    };
    // Limits say whether what goes on is fine, however many days are looked at.
    let current = period.from <= today && period.to > today;
    let looked_back = if current { back(today) } else { shown_before };
    let running = Period { from: this_month, to: if current { back(today).to } else { this_month } };
    let counted = look.view == View::Attributed;
    let flying = async {
        if !counted || period.to <= today || period.from > today {
            return Ok(None);
        }
        let found = in_flight::list(store, org, &which, now, 1).await?;
        Ok(Some(Flying { calls: found.calls, cost: found.cost }))
    };
    let above =
        async { if current && counted { above(store, org, &facts, of).await } else { Ok((None, None)) } };
    let budget = async {
        match of.scope().filter(|_| current && counted) {
            Some(scope) => budget(store, org, &facts, scope).await,
            None => Ok(None),
        }
    };
    let people = async {
        match of {
            Of::Group(group) if current && !counted => {
                directory::stand(store, org, group, &Month::of(facts.calendar, now), facts.default_user_limit)
                    .await
                    .map(Some)
            }
            _ => Ok(None),
        }
    };
    // None needs what another finds: the page takes as long as the longest of them.
    let (table, (leaders, crowd), whole, flying, (above, pressing), budget, people, calls) = tokio::try_join!(
        explore::ask(store, org, &which, &question),
        leaders(store, org, &facts, of, &question, &which, (look.range == Range::Month).then_some(month)),
        Whole::read(
            store,
            org,
            &which,
            [shown_before, Period { from: before_month, to: month }, looked_back, running]
        ),
        flying,
        above,
        budget,
        people,
        async { Ok(rollups::last_calls(store, org, &which, now, 10).await) },
    )?;
    Ok(SpendPage {
        whose,
        view: look.view,
        range: look.range,
        month,
        end,
        today,
        before_whole: whole.of(Period { from: before_month, to: month }),
        before_steps: before_steps(&whole, &question, shown_before),
        forecast: current.then(|| ahead(&whole, this_month, today, next_month)).flatten(),
        table,
        above,
        pressing,
        people,
        flying,
        leaders,
        crowd,
        budget,
        calls,
        tabs,
    })
}

/// The days a forecast looks at.
fn back(today: NaiveDate) -> Period {
    let from = today.checked_sub_days(Days::new(LOOK_BACK)).unwrap_or(today);
    Period { from, to: today.checked_add_days(Days::new(1)).unwrap_or(today) }
}

/// What all of it came to, by day.
struct Whole(BTreeMap<NaiveDate, Money>);

impl Whole {
    /// Of every day of these periods, and of what lies between them.
    async fn read<const N: usize>(
        store: &Store,
        org: OrgId,
        which: &Which,
        periods: [Period; N],
    ) -> Result<Self> {
        let all = periods
            .into_iter()
            .filter(|period| period.from < period.to)
            .reduce(|all, period| Period { from: all.from.min(period.from), to: all.to.max(period.to) });
        let Some(all) = all else { return Ok(Self(BTreeMap::new())) };
        let mut days = BTreeMap::<NaiveDate, Money>::new();
        for (day, _, sums) in rollups::read(store, org, which, None, all, Steps::Days, None, false).await? {
            days.entry(day).or_default().0 += sums.spend.0;
        }
        Ok(Self(days))
    }

    fn on(&self, day: NaiveDate) -> Money {
        self.0.get(&day).copied().unwrap_or_default()
    }

    fn of(&self, period: Period) -> Money {
        if period.from >= period.to {
            return Money::ZERO;
        }
        Money(self.0.range(period.from..period.to).map(|(_, spend)| spend.0).sum())
    }
}

async fn whose(store: &Store, org: OrgId, of: Of) -> Result<Whose> {
    let named = async |by, id: uuid::Uuid| {
        rollups::names(store, org, by, &[id]).await?.remove(&id).ok_or(StoreError::NotFound)
    };
    Ok(match of {
        Of::Organization => Whose::Organization,
        Of::Group(id) => Whose::Group(groups::get(store, org, id).await?.path),
        Of::Application(id) => {
            let group = applications::group_of(store, org, id).await?;
            Whose::Application(id, named(By::Application, id.0).await?, group)
        }
        Of::Key(key, id) => {
            let group = applications::group_of(store, org, id).await?;
            Whose::Key(key, id, named(By::Application, id.0).await?, group)
        }
        Of::User(id) => Whose::User(id, named(By::User, id.0).await?),
        Of::Model(id) => Whose::Model(id, named(By::Model, id.0).await?),
    })
}

/// The cap on monthly spend with its level: its own, or for a person the default.
async fn budget(store: &Store, org: OrgId, facts: &Facts, scope: Scope) -> Result<Option<LimitLevel>> {
    let meter = Meter { scope, metric: Metric::Spend, window: Window::Month };
    let own = limits::list(store, org, facts, |other| other == scope).await?;
    if let Some(level) = own.into_iter().find(|level| level.limit.meter == meter) {
        return Ok(Some(level));
    }
    let default = facts.default_user_limit.filter(|_| matches!(scope, Scope::User(_)));
    let Some(Money(cap)) = default else { return Ok(None) };
    let span = facts.calendar.span(Window::Month, clock::now());
    let mut level = [LimitLevel {
        limit: Limit { id: None, meter, cap, mode: Mode::Enforce, thresholds: Default::default() },
        scope_name: facts.scope_name(scope),
        level: Level::default(),
        starts_at: span.start,
        ends_at: span.end,
        version: None,
        raised: None,
    }];
    limits::fill_levels(store, org, &mut level).await?;
    Ok(level.into_iter().next())
}

/// Of the caps on monthly spend of the groups above and the organization, the one of which most is used;
/// and of every limit that counts its calls, its own ones too, the one that presses most.
async fn above(
    store: &Store,
    org: OrgId,
    facts: &Facts,
    of: Of,
) -> Result<(Option<LimitLevel>, Option<LimitLevel>)> {
    let (group, person) = match of {
        Of::Group(group) => (Some(group), None),
        Of::Application(application) | Of::Key(_, application) => {
            (facts.applications.get(&application).map(|facts| facts.group), None)
        }
        Of::User(person) => (None, Some(person)),
        Of::Organization | Of::Model(_) => (None, None),
    };
    // A model's calls count in the organization, and in the quotas of the rules that open it.
    let opens: Vec<AuthorizationId> = match of {
        Of::Model(model) => rules_for(facts, model),
        _ => Vec::new(),
    };
    let path = group.and_then(|group| facts.groups.get(&group)).map(|facts| facts.path.as_slice());
    let own = of.scope();
    let counts = |scope| match scope {
        Scope::Organization => true,
        Scope::Group(group) => path.is_some_and(|path| path.contains(&group)),
        Scope::Member(_, member) => person == Some(member),
        Scope::Authorization(rule) if opens.contains(&rule) => true,
        scope => Some(scope) == own,
    };
    let found = limits::list(store, org, facts, counts).await?;
    let pressing = LimitLevel::pressing(&found);
    let above = found.into_iter().filter(|level| {
        matches!(level.limit.meter, Meter { scope, metric: Metric::Spend, window: Window::Month }
            if Some(scope) != own && !matches!(scope, Scope::Member(..)))
    });
    Ok((above.max_by_key(LimitLevel::percent), pressing))
}

/// The rules that speak of a model by its name or by its tier.
fn rules_for(facts: &Facts, model: ModelId) -> Vec<AuthorizationId> {
    let tier = facts.models.get(&model).map(|model| model.tier);
    let speaks = |target: &Target| match target {
        Target::Model(other) => *other == model,
        Target::Tier(other) => tier == Some(*other),
        Target::All => false,
    };
    let rules = facts.rules.values().flatten();
    rules.filter(|(target, _)| speaks(target)).map(|(_, rule)| rule.id).collect()
}

/// What each step's counterpart came to: steps of the same length, from the start of the time before.
fn before_steps(whole: &Whole, question: &Question, before: Period) -> Vec<Money> {
    let steps = match question.interval {
        // Weeks are seven days from the first: those of the calendar would not fall together.
        Interval::Week => {
            let now = question.interval.steps(question.period.from, question.period.to, question.week_start);
            let back = question.period.from - before.from;
            now.into_iter().map(|(from, to)| (from - back, to - back)).collect()
        }
        interval => interval.steps(before.from, before.to, question.week_start),
    };
    steps
        .into_iter()
        .map(|(from, to)| whole.of(Period { from: from.max(before.from), to: to.min(before.to) }))
        .collect()
}

/// What most of it went to: the model and the person, where the page is not about one or split by
/// them. And how many people there are, where those are too many to look for one.
async fn leaders(
    store: &Store,
    org: OrgId,
    facts: &Facts,
    of: Of,
    question: &Question,
    which: &Which,
    month: Option<NaiveDate>,
) -> Result<(Vec<Leader>, Option<i64>)> {
    let Question { by, period, .. } = *question;
    let models = by != By::Model && !matches!(of, Of::Model(_));
    let people = match of {
        Of::Organization => i64::try_from(facts.users.len()).unwrap_or(i64::MAX),
        Of::Group(group) => census::current(store, org).await?.count(group).members_below,
        Of::Application(_) | Of::Key(..) => 0,
        Of::User(_) | Of::Model(_) => CROWD + 1,
    };
    // The first day of the month the page is about, if it is: nothing comes after its last day.
    let month =
        month.filter(|_| people > CROWD && !which.members && matches!(of, Of::Organization | Of::Group(_)));
    let persons = by != By::User && (people <= CROWD || month.is_some());
    let many = matches!(of, Of::Organization | Of::Group(_)) && by != By::User && !persons;
    let model = async {
        let found = if models { most(store, org, which, By::Model, period).await? } else { None };
        leader(store, org, By::Model, found).await
    };
    let person = async {
        let found = match month {
            _ if !persons => None,
            Some(month) => {
                let paths = rollups::within(store, org, which).await?.paths;
                sums::top_person(store, org, month, paths.as_deref()).await?
            }
            None => most(store, org, which, By::User, period).await?,
        };
        leader(store, org, By::User, found).await
    };
    let (model, person) = tokio::try_join!(model, person)?;
    Ok((model.into_iter().chain(person).collect(), many.then_some(people)))
}

/// What was found, with its name.
async fn leader(
    store: &Store,
    org: OrgId,
    by: By,
    found: Option<(uuid::Uuid, Money)>,
) -> Result<Option<Leader>> {
    let Some((id, spend)) = found else { return Ok(None) };
    let name = rollups::names(store, org, by, &[id]).await?.remove(&id);
    let key = if by == By::Model { ModelId(id).to_string() } else { UserId(id).to_string() };
    Ok(name.map(|name| Leader { by, key, name, spend }))
}

/// What of some kind spent most, and how much.
async fn most(
    store: &Store,
    org: OrgId,
    which: &Which,
    by: By,
    period: Period,
) -> Result<Option<(uuid::Uuid, Money)>> {
    let marks = Steps::Marks(period.from, period.from);
    let mut things = std::collections::HashMap::<uuid::Uuid, Money>::new();
    for (_, key, sums) in rollups::read(store, org, which, Some(by), period, marks, None, false).await? {
        if let Some(key) = key.filter(|key| !key.id.is_nil()) {
            things.entry(key.id).or_default().0 += sums.spend.0;
        }
    }
    Ok(things.into_iter().max_by_key(|(id, spend)| (spend.0, *id)).filter(|(_, spend)| spend.0 > 0))
}

/// What the running month comes to.
fn ahead(whole: &Whole, month: NaiveDate, today: NaiveDate, end: NaiveDate) -> Option<Forecast> {
    let Period { from: first, to: tomorrow } = back(today);
    let past: Vec<(NaiveDate, Money)> =
        first.iter_days().take_while(|day| *day < today).map(|day| (day, whole.on(day))).collect();
    forecast(&past, whole.of(Period { from: month, to: tomorrow }), whole.on(today), today, end)
}

/// What groups spend in the month that runs: of the first `most` of them by path.
///
/// # Errors
/// When the database does not answer.
pub async fn led(store: &Store, org: OrgId, groups: &[GroupId], most: usize) -> Result<LedPage> {
    let facts = access::current(store, org).await?;
    let now = clock::now();
    let today = facts.calendar.day(now);
    let month = Month::of(facts.calendar, now).first;
    let (period, before, end) = stretch(Range::Month, None, month, today);
    let mut paths = groups::paths(store, org).await?;
    paths.retain(|(group, _)| groups.contains(group));
    let more = paths.len().saturating_sub(most);
    paths.truncate(most);
    let above = |group: &GroupId| facts.groups.get(group).map_or(&[][..], |facts| facts.path.as_slice());
    let counts = |scope| match scope {
        Scope::Organization => true,
        Scope::Group(group) => paths.iter().any(|(led, _)| above(led).contains(&group)),
        _ => false,
    };
    let caps = limits::list(store, org, &facts, counts).await?;
    let monthly =
        |cap: &LimitLevel| cap.limit.meter.metric == Metric::Spend && cap.limit.meter.window == Window::Month;
    let mut led = Vec::with_capacity(paths.len());
    for (group, path) in paths.iter().cloned() {
        let which = Which { group: Some(group), ..Which::default() };
        let whole = Whole::read(store, org, &which, [period, before, back(today)]).await?;
        let counted = caps.iter().filter(|cap| match cap.limit.meter.scope {
            Scope::Group(scope) => above(&group).contains(&scope),
            _ => true,
        });
        let pressing = LimitLevel::pressing(counted.clone());
        let (own, above): (Vec<_>, Vec<_>) =
            counted.filter(|cap| monthly(cap)).partition(|cap| cap.limit.meter.scope == Scope::Group(group));
        led.push(Led {
            group,
            path,
            spent: whole.of(period),
            before: whole.of(before),
            budget: own.into_iter().next().cloned(),
            above: above.into_iter().max_by_key(|cap| cap.percent()).cloned(),
            pressing,
            forecast: ahead(&whole, month, today, end),
        });
    }
    Ok(LedPage { month, today, groups: led, more })
}

/// The application that has a key.
///
/// # Errors
/// [`StoreError::NotFound`] when the key is not in the organization.
pub async fn application_of(store: &Store, org: OrgId, key: KeyId) -> Result<ApplicationId> {
    let id = sqlx::query_scalar!(
        "select application_id from keys where org_id = $1 and key_id = $2",
        org.0,
        key.0
    )
    .fetch_one(store.pool())
    .await?;
    Ok(id.into())
}
