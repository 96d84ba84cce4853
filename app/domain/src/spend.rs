//! Spend as pages show it.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    durations::Durations,
    explore::{By, Explored},
    forecast::Forecast,
    ids::{ApplicationId, CallId, GroupId, KeyId, ModelId, RequestId, UserId},
    limits::{Level, Limit, Metric, Mode, Scope},
    money::{Money, how_many},
    usage::Usage,
    window::Span,
    words::words,
};

words! {
    /// How a call ended.
    Outcome("outcome") {
        /// Answered.
        Ok = "ok",
        /// The upstream refused or broke.
        UpstreamError = "upstream_error",
        /// The caller hung up; what was used is on the books.
        HungUp = "hung_up",
        /// Nobody knows how it ended: the process died. Booked at what was held.
        Lost = "lost",
        /// Bursar ended it: somebody wanted it, or what it held was used up.
        Ended = "ended",
    }
}

words! {
    /// Which of the two true answers to "what did this group spend".
    View("view") {
        /// By the applications of the group: every cent once.
        Attributed = "attributed",
        /// By the people who were members when they called, wherever they called from.
        Members = "members",
    }
}

/// A limit with its level now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitLevel {
    /// The limit.
    pub limit: Limit,
    /// What its scope is called.
    pub scope_name: String,
    /// What is used and held.
    pub level: Level,
    /// When the current window started.
    pub starts_at: DateTime<Utc>,
    /// When it ends.
    pub ends_at: Option<DateTime<Utc>>,
    /// Counts up with every change; none for the default user limit.
    pub version: Option<i64>,
    /// Until which day it is raised by request.
    pub raised: Option<Raised>,
}

/// A limit that is raised by request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    /// By which one.
    pub request: RequestId,
    /// Until the end of this day.
    pub until: NaiveDate,
    /// What it is after that; none: it has no cap of its own then.
    pub then: Option<Money>,
}

impl LimitLevel {
    /// Settled use in per cent of the cap, rounded down, so that 100 means spent.
    pub fn percent(&self) -> i64 {
        percent(self.level.settled, self.limit.cap)
    }

    /// The same, as people say it.
    pub fn share(&self) -> String {
        share(self.level.settled, self.limit.cap)
    }

    /// Whether somebody can ask that it be raised: it refuses for want of money. A grant's is not: one asks
    /// for the model anew.
    pub const fn can_be_raised(&self) -> bool {
        matches!(self.limit.mode, Mode::Enforce)
            && matches!(self.limit.meter.metric, Metric::Spend)
            && !matches!(self.limit.meter.scope, Scope::Grant(_))
    }

    /// Its window.
    pub fn span(&self) -> Span {
        Span { start: self.starts_at, end: self.ends_at }
    }
}

/// `used` of `cap` as people say it: `76 %`, `< 1 %` when it is a little, `over 999 %` when it is a lot.
pub fn share(used: i64, cap: i64) -> String {
    match percent(used, cap) {
        0 if used > 0 => "< 1 %".to_owned(),
        1000.. => "over 999 %".to_owned(),
        whole => format!("{whole} %"),
    }
}

/// `used` in per cent of `cap`, rounded down. Of a cap of zero, any use is all of it.
pub fn percent(used: i64, cap: i64) -> i64 {
    if cap <= 0 {
        return if used > 0 { 100 } else { 0 };
    }
    i64::try_from(i128::from(used) * 100 / i128::from(cap)).unwrap_or(i64::MAX)
}

/// Sums over some calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Finished calls.
    pub calls: i64,
    /// Those of them whose provider failed.
    pub failed: i64,
    /// Refused calls.
    pub refused: i64,
    /// What finished calls cost.
    pub spend: Money,
    /// Input tokens that were neither read from nor written to a cache, audio included.
    pub input: i64,
    /// Input tokens read from a cache.
    pub cache_read: i64,
    /// Input tokens written to a cache.
    pub cache_write: i64,
    /// Output tokens that the caller sees, audio included.
    pub output: i64,
    /// Output tokens spent on reasoning.
    pub reasoning: i64,
    /// Milliseconds finished calls took, together.
    pub duration_ms: i64,
    /// Calls that were answered from what an earlier one brought.
    pub cached: i64,
    /// What those earlier calls had cost.
    pub saved: Money,
    /// How many finished calls took how long, where that was asked for.
    #[serde(default, skip_serializing_if = "Durations::is_empty")]
    pub durations: Durations,
}

impl Sums {
    /// All input tokens, cached or not.
    pub const fn input_tokens(&self) -> i64 {
        self.input + self.cache_read + self.cache_write
    }

    /// All output tokens, seen or not.
    pub const fn output_tokens(&self) -> i64 {
        self.output + self.reasoning
    }
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.refused += other.refused;
        self.spend.0 += other.spend.0;
        self.input += other.input;
        self.cache_read += other.cache_read;
        self.cache_write += other.cache_write;
        self.output += other.output;
        self.reasoning += other.reasoning;
        self.duration_ms += other.duration_ms;
        self.cached += other.cached;
        self.saved.0 += other.saved.0;
        self.durations += other.durations;
    }
}

impl std::ops::Sub for Sums {
    type Output = Self;

    /// What is left of a whole without one of its parts.
    fn sub(self, part: Self) -> Self {
        Self {
            calls: self.calls - part.calls,
            failed: self.failed - part.failed,
            refused: self.refused - part.refused,
            spend: Money(self.spend.0 - part.spend.0),
            input: self.input - part.input,
            cache_read: self.cache_read - part.cache_read,
            cache_write: self.cache_write - part.cache_write,
            output: self.output - part.output,
            reasoning: self.reasoning - part.reasoning,
            duration_ms: self.duration_ms - part.duration_ms,
            cached: self.cached - part.cached,
            saved: Money(self.saved.0 - part.saved.0),
            durations: self.durations - part.durations,
        }
    }
}

impl std::iter::Sum for Sums {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |mut sum, part| {
            sum += part;
            sum
        })
    }
}

/// One finished call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRow {
    /// Its id, which is also the request id the caller saw.
    pub id: CallId,
    /// When it was let through.
    pub at: DateTime<Utc>,
    /// By which application.
    pub application: (ApplicationId, String),
    /// By whom, where the secret names a person.
    pub user: Option<(UserId, String)>,
    /// Which model answered.
    pub model: (ModelId, String),
    /// The policy that chose it.
    pub policy: Option<String>,
    /// The label it carried.
    pub use_case: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Money,
    /// Whether the usage is an estimate.
    pub estimated: bool,
    /// From the first byte in to the last byte out, milliseconds.
    pub duration_ms: i64,
    /// Whether it was answered from what an earlier call brought.
    pub cached: bool,
    /// Whether whoever asks may read it by itself.
    pub opens: bool,
}

words! {
    /// How much time a spend page looks at.
    Range("range") {
        /// One calendar month, day by day.
        Month = "month",
        /// The last ninety days, day by day.
        Days = "days",
        /// The last twelve months, month by month.
        Year = "year",
        /// Days that somebody chose.
        Own = "own",
    }
}

/// Whose spend a page shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whose {
    /// Everybody's.
    Organization,
    /// A group's: from the root to it.
    Group(Vec<(GroupId, String)>),
    /// An application's, with the group it lives in.
    Application(ApplicationId, String, GroupId),
    /// An application's, found by its key.
    Key(KeyId, ApplicationId, String, GroupId),
    /// A person's, wherever they spend.
    User(UserId, String),
    /// A model's.
    Model(ModelId, String),
}

/// What calls in flight may still cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flying {
    /// How many there are.
    pub calls: i64,
    /// What is held for them.
    pub cost: Money,
}

/// What most of some spend went to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// What kind of thing it is.
    pub by: By,
    /// Its id, as filters name it.
    pub key: String,
    /// What it is called.
    pub name: String,
    /// How much of it.
    pub spend: Money,
}

/// How people's month stands to their own limit, or to the organization's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct People {
    /// How many there are.
    pub all: usize,
    /// Nothing is left of their limit.
    pub over: usize,
    /// Of so many at least 80 % is used, and something is left.
    pub near: usize,
    /// No limit of their own counts them.
    pub open: usize,
}

impl People {
    /// Are they fine, and why.
    fn verdict(self) -> (Verdict, String) {
        let Self { all, over, near, open } = self;
        let of = format!("Of {}", how_many(all as u64, "person", "people"));
        let verb = |count| if count == 1 { "has" } else { "have" };
        let open_too = if open > 0 {
            format!(" {} no monthly limit of their own.", count_have(open))
        } else {
            String::new()
        };
        match (over, near) {
            (0, 0) if open == all => {
                (Verdict::Open, format!("{of}, nobody has a monthly limit of their own."))
            }
            (0, 0) => (Verdict::Fine, format!("{of}, nobody is near their monthly limit.{open_too}")),
            (0, near) => (
                Verdict::Near,
                format!("{of}, {near} {} used 80 % or more of their monthly limit.{open_too}", verb(near)),
            ),
            (over, near) => {
                let more = if near > 0 { format!(", and {near} more 80 % of it") } else { String::new() };
                (
                    Verdict::Over,
                    format!("{of}, {over} {} used up their monthly limit{more}.{open_too}", verb(over)),
                )
            }
        }
    }
}

/// `3 have`, `1 has`.
fn count_have(count: usize) -> String {
    format!("{count} {}", if count == 1 { "has" } else { "have" })
}

/// Are we fine?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Fine,
    /// Not for long, as it looks.
    Near,
    /// No.
    Over,
    /// Nobody has said what is too much.
    Open,
}

/// The spend page: the same for everything that spends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendPage {
    /// Whose.
    pub whose: Whose,
    /// Which spend it shows.
    pub view: View,
    /// How much time it looks at.
    pub range: Range,
    /// The first day of the month it shows, or of this one.
    pub month: NaiveDate,
    /// The first day after what it could show: of a month, the first of the next.
    pub end: NaiveDate,
    /// Today, in the organization's time zone.
    pub today: NaiveDate,
    /// By what it can be split.
    pub tabs: Vec<By>,
    /// What was spent, by the chosen split.
    pub table: Explored,
    /// The month before, whole.
    pub before_whole: Money,
    /// What each step's counterpart in the time before came to.
    pub before_steps: Vec<Money>,
    /// The cap on monthly spend with its level, if there is one.
    pub budget: Option<LimitLevel>,
    /// Of the caps on monthly spend of what it is part of, the one of which most is used.
    pub above: Option<LimitLevel>,
    /// Of the limits that refuse its calls, its own and those above, in any measure: the one that
    /// presses most, if one does.
    pub pressing: Option<LimitLevel>,
    /// Of people, where the page is about what they spend: how their month stands to their limits.
    pub people: Option<People>,
    /// What is in flight now, if the page shows the time that runs and it is known.
    pub flying: Option<Flying>,
    /// What most of it went to, by other splits than the table's.
    pub leaders: Vec<Leader>,
    /// How many people there are, where they are too many to look for the one who spent most: of days
    /// that are no month. The split by person has them all.
    pub crowd: Option<i64>,
    /// What this month comes to, if it runs and there is enough to go by.
    pub forecast: Option<Forecast>,
    /// The last calls; none when the ledger cannot be read.
    pub calls: Option<Vec<CallRow>>,
}

impl SpendPage {
    /// Whether it shows the month that runs.
    pub fn runs(&self) -> bool {
        self.range == Range::Month && self.end > self.today && self.month <= self.today
    }

    /// Of the caps that stop it, the one of which most is used.
    pub fn tightest(&self) -> Option<&LimitLevel> {
        [self.budget.as_ref(), self.above.as_ref()].into_iter().flatten().max_by_key(|limit| limit.percent())
    }

    /// Whether what it shows goes on to this day: limits say whether that is fine.
    pub fn is_current(&self) -> bool {
        self.table.period.from <= self.today && self.table.period.to > self.today
    }

    /// Are we fine, and why: as limits stand now, where the page shows this day. `day` says a day.
    pub fn verdict(&self, day: impl Fn(NaiveDate) -> String) -> Option<(Verdict, String)> {
        if !self.is_current() {
            return None;
        }
        let (verdict, text) = match self.people {
            // What members spend elsewhere counts in limits elsewhere, but always in their own.
            Some(people) if self.view == View::Members => people.verdict(),
            _ => self.judged(day),
        };
        Some((verdict, if self.runs() { text } else { format!("This month: {text}") }))
    }

    fn judged(&self, day: impl Fn(NaiveDate) -> String) -> (Verdict, String) {
        let heading = self.forecast.as_ref().map(|forecast| forecast.end);
        let pressed = self.pressing.as_ref().map(pressed);
        let Some(limit) = self.tightest() else {
            if let Some(pressed) = pressed {
                return pressed;
            }
            let toward = match heading {
                Some(end) => {
                    format!(" The month is heading for {end}, after {} last month.", self.before_whole)
                }
                None => String::new(),
            };
            return (Verdict::Open, format!("No monthly limit counts this.{toward}"));
        };
        let own = self.budget.as_ref().is_some_and(|budget| budget == limit);
        let judged = judged(limit, self.forecast.as_ref().filter(|_| own), own, self.today, day);
        worse(judged, limit, pressed)
    }
}

/// In per cent from which a limit presses.
const PRESSING: i64 = 80;

impl LimitLevel {
    /// How much it presses, in per cent: of a limit that has nothing to give, all is used.
    fn pressure(&self) -> i64 {
        if self.limit.cap <= 0 { 100 } else { self.percent() }
    }

    /// Of these limits, the one that refuses calls, or is the nearest to. What starts anew within the
    /// hour is only said when it is used up: by the time it is read, being near says nothing.
    pub fn pressing<'a>(limits: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        limits
            .into_iter()
            .filter(|level| level.limit.mode == Mode::Enforce)
            .filter(|level| {
                level.pressure() >= if level.limit.meter.window.is_short() { 100 } else { PRESSING }
            })
            .max_by_key(|level| level.pressure())
            .cloned()
    }
}

/// What a limit that presses says.
fn pressed(level: &LimitLevel) -> (Verdict, String) {
    let Limit { meter, cap, .. } = &level.limit;
    let cap_words = meter.show_cap(*cap);
    if *cap <= 0 {
        let text =
            format!("The limit of {}, {cap_words}, leaves nothing: calls are refused.", level.scope_name);
        return (Verdict::Over, text);
    }
    let used = format!("{} % of the limit of {}, {cap_words}, is used", level.percent(), level.scope_name);
    match level.percent() {
        100.. if level.ends_at.is_some() => {
            (Verdict::Over, format!("{used}: further calls are refused until it starts anew."))
        }
        100.. => (Verdict::Over, format!("{used}: further calls are refused.")),
        _ => (Verdict::Near, format!("{used}.")),
    }
}

/// What the month's limit says, or what presses where that is worse: calls that are refused are, when
/// the month's limit only observes.
fn worse(
    judged: (Verdict, String),
    limit: &LimitLevel,
    pressed: Option<(Verdict, String)>,
) -> (Verdict, String) {
    match pressed {
        Some(pressed)
            if rank(pressed.0) > rank(judged.0)
                || (pressed.0 == Verdict::Over && limit.limit.mode == Mode::Observe) =>
        {
            pressed
        }
        _ => judged,
    }
}

const fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Open => 0,
        Verdict::Fine => 1,
        Verdict::Near => 2,
        Verdict::Over => 3,
    }
}

/// What a limit on this month's spend says: whether it is fine, and why. `forecast`: what counts in it
/// comes to at its end; `own`: it is the limit of what the page is about, not of something above.
fn judged(
    limit: &LimitLevel,
    forecast: Option<&Forecast>,
    own: bool,
    today: NaiveDate,
    day: impl Fn(NaiveDate) -> String,
) -> (Verdict, String) {
    let cap = Money(limit.limit.cap);
    let whose = if own { "the limit".to_owned() } else { format!("the limit of {}", limit.scope_name) };
    let used = format!("{} of {whose}, {}, is used", limit.share(), cap.in_full());
    if limit.percent() >= 100 {
        let then = match limit.limit.mode {
            Mode::Enforce => "further calls are refused until it starts anew",
            Mode::Observe => "it only observes, so calls go on",
        };
        return (Verdict::Over, format!("{used}: {then}."));
    }
    let reached = forecast.and_then(|forecast| forecast.reaches(cap, Money(limit.level.settled), today));
    match (forecast, reached) {
        (_, Some(on)) if limit.limit.mode == Mode::Observe => (
            Verdict::Near,
            format!("{used}, and as it looks it is passed on {}. It only observes, so calls go on.", day(on)),
        ),
        (_, Some(on)) => (Verdict::Near, format!("{used}, and as it looks the rest is gone on {}.", day(on))),
        (Some(forecast), None) if forecast.high > cap => {
            (Verdict::Near, format!("{used}, and the month may end at up to {}.", forecast.high))
        }
        _ if limit.percent() >= 80 => (Verdict::Near, format!("{used}.")),
        (Some(forecast), None) => {
            (Verdict::Fine, format!("{used}, and the month is heading for {}.", forecast.end))
        }
        (None, None) => (Verdict::Fine, format!("{used}.")),
    }
}

/// What groups spend in the month that runs, for whoever leads them and does not read the organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedPage {
    /// The first day of the month.
    pub month: NaiveDate,
    /// Today, in the organization's time zone.
    pub today: NaiveDate,
    /// Some of the groups, by path.
    pub groups: Vec<Led>,
    /// How many there are besides.
    pub more: usize,
}

/// What one of them spends: its applications and those of the groups below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Led {
    /// The group.
    pub group: GroupId,
    /// Its names from the root to itself.
    pub path: String,
    /// In the month so far.
    pub spent: Money,
    /// In the month before, by the same day.
    pub before: Money,
    /// Its cap on monthly spend with its level, if there is one.
    pub budget: Option<LimitLevel>,
    /// Of the caps on monthly spend of the groups above and the organization, the one of which most is
    /// used.
    pub above: Option<LimitLevel>,
    /// Of the limits that refuse its calls, its own and those above, in any measure: the one that
    /// presses most, if one does.
    pub pressing: Option<LimitLevel>,
    /// What the month comes to, if there is enough to go by.
    pub forecast: Option<Forecast>,
}

impl Led {
    /// Is it fine, and why: by its own limit, or by one above of which more is used. `day` says a day.
    pub fn verdict(&self, today: NaiveDate, day: impl Fn(NaiveDate) -> String) -> (Verdict, String) {
        let above = self.above.as_ref().map(|limit| judged(limit, None, false, today, &day));
        let own = self.budget.as_ref().map(|limit| judged(limit, self.forecast.as_ref(), true, today, &day));
        let month = match (own.zip(self.budget.as_ref()), above.zip(self.above.as_ref())) {
            (Some((own, _)), Some((above, limit))) if rank(above.0) > rank(own.0) => Some((above, limit)),
            (Some(own), _) => Some(own),
            (None, above) => above,
        };
        let pressed = self.pressing.as_ref().map(pressed);
        match month {
            Some((judged, limit)) => worse(judged, limit, pressed),
            None => pressed.unwrap_or_else(|| (Verdict::Open, "No monthly limit counts this.".to_owned())),
        }
    }
}
