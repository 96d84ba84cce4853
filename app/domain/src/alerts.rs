//! Alerts: what is noticed about money, and when it may be told.
//!
//! Each fires once: its key names the thing, the window or day, and the threshold. Nothing here
//! refuses a call; that is [`crate::limits`].

use chrono::{DateTime, Days, Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{AlertId, CallId, ProviderId},
    limits::{Meter, Metric, Mode},
    money::Money,
    notices::{NoticeKind, Telling},
    time,
    window::{Calendar, Span, Window},
    words::words,
};

words! {
    /// What fired.
    AlertKind("kind") {
        /// A threshold of a limit was crossed.
        Limit = "limit",
        /// A limit will be reached before its window ends.
        Forecast = "forecast",
        /// A day costs a multiple of the usual.
        Anomaly = "anomaly",
        /// A budget that nobody uses.
        Unused = "unused",
    }
}

impl From<AlertKind> for NoticeKind {
    fn from(kind: AlertKind) -> Self {
        match kind {
            AlertKind::Limit => Self::Limit,
            AlertKind::Forecast => Self::Forecast,
            AlertKind::Anomaly => Self::Anomaly,
            AlertKind::Unused => Self::Unused,
        }
    }
}

impl AlertKind {
    /// How people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Limit => "Thresholds",
            Self::Forecast => "Forecasts",
            Self::Anomaly => "Anomalies",
            Self::Unused => "Unused budgets",
        }
    }

    /// What it means, in a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Limit => {
                "A limit crosses one of the thresholds that were set on it: told once for each window, and of a minute, an hour or calls at once, once a day."
            }
            Self::Forecast => {
                "A limit will be reached before its window ends, or one in total within 90 days, if things go on as they went. A minute is over before anybody could read of it, and calls at once have no future; those have thresholds only."
            }
            Self::Anomaly => {
                "A day of a group or an application costs four times what the same day of the week usually costs, or a provider answers without saying what was used."
            }
            Self::Unused => {
                "Less than a tenth of a monthly budget of the organization, a group, an application or a rule was used last month."
            }
        }
    }
}

/// When it is quiet: minutes of the day, by the organization's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// From this minute on.
    pub from: u16,
    /// Until before this one; past midnight when it is the smaller.
    pub to: u16,
}

impl Quiet {
    /// When what happens at a moment may be told: then, or when it is no longer quiet.
    pub fn told_at(self, at: DateTime<Utc>, calendar: Calendar) -> DateTime<Utc> {
        let local = at.with_timezone(&calendar.zone);
        let minute = u16::try_from(local.hour() * 60 + local.minute()).unwrap_or(0);
        let over_midnight = self.from > self.to;
        let quiet = if over_midnight {
            minute >= self.from || minute < self.to
        } else {
            (self.from..self.to).contains(&minute)
        };
        if !quiet {
            return at;
        }
        let today = local.date_naive();
        let day = if over_midnight && minute >= self.from {
            today.checked_add_days(Days::new(1)).unwrap_or(today)
        } else {
            today
        };
        wall(calendar, day, self.to).max(at)
    }
}

/// The moment the clocks show this minute of a day, or the first one after it that there is.
fn wall(calendar: Calendar, day: NaiveDate, minute: u16) -> DateTime<Utc> {
    let mut wall = NaiveDateTime::new(day, NaiveTime::MIN) + Duration::minutes(i64::from(minute));
    for _ in 0..=96 {
        if let Some(found) = calendar.zone.from_local_datetime(&wall).earliest() {
            return found.with_timezone(&Utc);
        }
        wall += Duration::minutes(15);
    }
    calendar.midnight(day)
}

/// `07:30`.
pub fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Reads `7:30` or `07:30`.
pub fn read_clock(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// How an organization wants to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertSettings {
    /// Kinds that are watched for.
    pub kinds: Vec<AlertKind>,
    /// A day that costs less is no anomaly.
    pub floor: Money,
    /// When mail and webhooks wait.
    pub quiet: Option<Quiet>,
    /// Counts up with every change; 0 before the first.
    pub version: i64,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self { kinds: AlertKind::ALL.to_vec(), floor: Money::cents(1000), quiet: None, version: 0 }
    }
}

/// Something that was noticed, as pages show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// What fired.
    pub kind: AlertKind,
    /// One line.
    pub title: String,
    /// A sentence or two.
    pub body: String,
    /// The rule that fired, in words.
    pub rule: String,
    /// The page it is about.
    pub href: String,
    /// When.
    pub fired_at: DateTime<Utc>,
    /// How many people were told.
    pub told: i32,
}

/// Something that was noticed, before it is known whether it was told already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// What is told.
    pub telling: Telling,
    /// What fired.
    pub kind: AlertKind,
    /// The rule, in words.
    pub rule: String,
}

/// The thresholds that are crossed, in order. Nothing is crossed where nothing is used.
pub fn crossed(thresholds: &[u8], used: i64, cap: i64) -> Vec<u8> {
    let reached = |percent: &&u8| i128::from(used) * 100 >= i128::from(cap) * i128::from(**percent);
    if used <= 0 || cap <= 0 {
        return Vec::new();
    }
    let mut crossed: Vec<u8> = thresholds.iter().filter(reached).copied().collect();
    crossed.sort_unstable();
    crossed.dedup();
    crossed
}

/// The bucket that something is told once in: that of the limit, but of a minute, an hour or calls at once
/// the day, so that nobody is told sixty times an hour.
pub fn told_once_in(meter: &Meter, calendar: Calendar, at: DateTime<Utc>) -> Span {
    let by_day = meter.window.is_short() || meter.metric == Metric::ConcurrentCalls;
    calendar.span(if by_day { Window::Day } else { meter.window }, at)
}

/// A limit, as far as it is told of.
#[derive(Clone, Copy, Debug)]
pub struct Watched<'a> {
    /// What it counts.
    pub meter: Meter,
    /// Whose: `Research`.
    pub name: &'a str,
    /// How much.
    pub cap: i64,
    /// Whether it refuses.
    pub mode: Mode,
    /// Where it is.
    pub href: &'a str,
}

/// When so much of a limit was used.
#[derive(Clone, Copy, Debug)]
pub enum Use<'a> {
    /// In the window that runs, which ends then, in words, or never.
    Runs(Option<&'a str>),
    /// In a window that ended then, in words.
    Ended(&'a str),
    /// At a moment, in words.
    At(&'a str),
}

/// When a limit will be reached.
#[derive(Clone, Debug)]
pub struct Ahead {
    /// For a title: `on 25 Nov`, `at 16:20`.
    pub short: String,
    /// For a sentence: `on 25 November 2026`, `today at 16:20`.
    pub full: String,
    /// What it was learned from: `28 days`.
    pub learned_from: String,
}

/// Names a crossing: once for each limit, cap, window and threshold. The cap is part of it: a raised limit
/// that comes near again is told of again.
pub fn crossing_key(meter: &Meter, cap: i64, percent: u8, since: DateTime<Utc>) -> String {
    format!("{}:{percent}:{cap}", key_of("limit", meter, since))
}

fn key_of(what: &str, meter: &Meter, since: DateTime<Utc>) -> String {
    let (kind, thing, person) = meter.scope.parts();
    let Meter { metric, window, .. } = meter;
    format!("{what}:{kind}:{thing}:{person}:{metric}:{window}:{}", since.timestamp())
}

impl Watched<'_> {
    fn telling(&self, kind: NoticeKind, key: String, title: String, body: String) -> Telling {
        Telling { kind, key, title, body, href: self.href.to_owned() }
    }

    /// A threshold was crossed in the window, or on the day, that began at `since`.
    pub fn threshold(&self, percent: u8, used: i64, since: DateTime<Utc>, when: Use<'_>) -> Fired {
        let (metric, window) = (self.meter.metric, self.meter.window);
        let cap = self.meter.show_cap(self.cap);
        let had = if matches!(when, Use::Runs(_)) { "has used" } else { "used" };
        let title = match when {
            Use::At(_) if percent >= 100 => format!("{} reached {cap}", self.name),
            Use::At(_) => format!("{} reached {percent} % of {cap}", self.name),
            _ if percent >= 100 => format!("{} {had} up {cap}", self.name),
            _ => format!("{} {had} {percent} % of {cap}", self.name),
        };
        let of = metric.show_in_full(self.cap);
        let body = match when {
            Use::Runs(until) => {
                let until = until.map(|until| format!(" The window ends {until}.")).unwrap_or_default();
                format!("{} of {of} {}.{until}", metric.show(used), window.current())
            }
            Use::Ended(end) => {
                format!("{} of {of} in the {window} that ended {end}.", metric.show(used))
            }
            Use::At(moment) => format!("{used} of {of} {moment}."),
        };
        let key = crossing_key(&self.meter, self.cap, percent, since);
        Fired {
            telling: self.telling(NoticeKind::Limit, key, title, body),
            kind: AlertKind::Limit,
            rule: format!("{percent} % of {cap}"),
        }
    }

    /// It will be reached before its window ends, or, of one that never ends, soon. `since`: of the window, or
    /// of the day, that it is told once in.
    pub fn runs_out(&self, ahead: &Ahead, used: i64, since: DateTime<Utc>) -> Fired {
        let (metric, window) = (self.meter.metric, self.meter.window);
        let cap = self.meter.show_cap(self.cap);
        let Ahead { short, full, learned_from } = ahead;
        let (title, then) = match self.mode {
            Mode::Enforce => (format!("{} will run out {short}", self.name), ""),
            Mode::Observe => (
                format!("{} will pass {cap} {short}", self.name),
                " It only observes: calls go on, and what it would have refused is recorded.",
            ),
        };
        let before = if window == Window::Total { "" } else { ", before the window ends" };
        let mut key = key_of("forecast", &self.meter, since);
        if window == Window::Total {
            // It never begins anew: a raised one is told of again.
            key.push_str(&format!(":{}", self.cap));
        }
        let body = format!(
            "{} of {} are used {}. If things go on as they went, the limit is reached {full}{before}.{then}",
            metric.show(used),
            metric.show_in_full(self.cap),
            window.current()
        );
        Fired {
            telling: self.telling(NoticeKind::Forecast, key, title, body),
            kind: AlertKind::Forecast,
            rule: format!("forecast from {learned_from} reaches {cap}"),
        }
    }

    /// Hardly anything was used of it in a month.
    pub fn unused(&self, used: i64, month: NaiveDate) -> Fired {
        let metric = self.meter.metric;
        let (kind, thing, person) = self.meter.scope.parts();
        let name = month.format("%B %Y");
        Fired {
            telling: self.telling(
                NoticeKind::Unused,
                format!("unused:{kind}:{thing}:{person}:{metric}:{}", month.format("%Y-%m")),
                format!("{} hardly uses its budget", self.name),
                format!(
                    "In {name} {} of {} were used. A budget that nobody needs can be lowered.",
                    metric.show(used),
                    metric.show_in_full(self.cap)
                ),
            ),
            kind: AlertKind::Unused,
            rule: format!("less than {UNUSED_BELOW} % of {} in a whole month", self.meter.show_cap(self.cap)),
        }
    }
}

/// Names what is told of a provider that did not say what a call of this day used: once each.
pub fn unreported_key(provider: ProviderId, day: NaiveDate) -> String {
    format!("unreported:{}:{day}", provider.0)
}

/// A provider answered, and did not say what was used. `call`: one of those calls.
pub fn unreported(provider: (ProviderId, &str), model: &str, call: CallId, day: NaiveDate) -> Fired {
    let (id, name) = provider;
    Fired {
        telling: Telling {
            kind: NoticeKind::Anomaly,
            key: unreported_key(id, day),
            title: format!("{name} does not say what was used"),
            body: format!(
                "On {} a call to {model} was answered without usage. Such calls count by Bursar's own figures, which may be less or more than the provider charges. Compare them with its invoice, and ask whoever runs it to report usage.",
                time::date(day)
            ),
            href: format!("/calls/{call}"),
        },
        kind: AlertKind::Anomaly,
        rule: "an answer without usage".to_owned(),
    }
}

/// A budget is unused when less than so many per cent of it are.
pub const UNUSED_BELOW: i64 = 10;

/// Whether a budget is unused.
pub fn is_unused(used: i64, cap: i64) -> bool {
    cap > 0 && i128::from(used) * 100 < i128::from(cap) * i128::from(UNUSED_BELOW)
}

/// An anomaly is a day that costs so many times the usual.
pub const ANOMALY_TIMES: i64 = 4;
/// How many weeks back are looked at.
pub const ANOMALY_WEEKS: u64 = 8;
/// Fewer say nothing about what is usual.
const ANOMALY_LEAST: usize = 3;

/// A day that costs a multiple of the usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusual {
    /// What the same day of the week usually costs: the median.
    pub usual: Money,
    /// How many times that is; none when it usually costs nothing.
    pub times: Option<i64>,
}

/// Whether a day is an anomaly. `weeks`: what the same day of the week cost, the last one first;
/// those before anything was spent do not count.
pub fn anomaly(today: Money, weeks: &[Money], floor: Money) -> Option<Unusual> {
    let begun = weeks.iter().rposition(|money| money.0 > 0)? + 1;
    let mut known: Vec<i64> = weeks[..begun].iter().map(|money| money.0).collect();
    if known.len() < ANOMALY_LEAST {
        return None;
    }
    known.sort_unstable();
    let middle = known.len() / 2;
    let median =
        if known.len() % 2 == 1 { known[middle] } else { i64::midpoint(known[middle - 1], known[middle]) };
    let over = today.0 > 0 && today >= floor && today.0 >= median.saturating_mul(ANOMALY_TIMES);
    over.then(|| Unusual { usual: Money(median), times: (median > 0).then(|| today.0 / median) })
}

/// An anomaly in words. `key`: names the thing.
pub fn unusual_day(key: &str, name: &str, href: &str, day: NaiveDate, spent: Money, found: Unusual) -> Fired {
    let weekday = day.format("%A");
    let title = match found.times {
        Some(4) => format!("{name} costs four times the usual {weekday}"),
        Some(times) => format!("{name} costs {times} times the usual {weekday}"),
        None => format!("{name} costs {spent} on a {weekday} that usually costs nothing"),
    };
    Fired {
        telling: Telling {
            kind: NoticeKind::Anomaly,
            key: format!("anomaly:{key}:{day}"),
            title,
            body: format!(
                "{spent} so far on {}. The same day of the week usually comes to {}.",
                time::date(day),
                found.usual
            ),
            href: href.to_owned(),
        },
        kind: AlertKind::Anomaly,
        rule: format!(
            "a day at {ANOMALY_TIMES} times the median of the same weekday over the last {ANOMALY_WEEKS} weeks, or more"
        ),
    }
}

/// How a limit is forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forecasting {
    /// By what each of the last days used: the sums by day know it.
    ByDay,
    /// By the pace since its window, or the rule or grant it is on, began.
    ByPace,
}

/// How a limit is forecast; none: there is nothing to foresee. A minute is over before anybody could read of
/// it, and calls at once do not add up.
pub const fn forecasting(meter: &Meter) -> Option<Forecasting> {
    use crate::limits::Scope;
    if matches!(meter.metric, Metric::ConcurrentCalls) || matches!(meter.window, Window::Minute) {
        return None;
    }
    let short = matches!(meter.window, Window::Hour | Window::Day);
    let by_name = matches!(meter.scope, Scope::Authorization(_) | Scope::Grant(_));
    Some(if short || by_name { Forecasting::ByPace } else { Forecasting::ByDay })
}

/// How far ahead a limit that never begins anew is looked.
pub const DAYS_AHEAD: u64 = 90;

/// When a limit is reached, if it goes on at the pace it had since it began, and before its `end` or within
/// [`DAYS_AHEAD`]. None: it is not, or a quarter of the window, at most a week, is not over yet.
pub fn pace(
    used: i64,
    cap: i64,
    since: DateTime<Utc>,
    end: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let week = Duration::days(7);
    let least = end.map_or(week, |end| ((end - since) / 4).min(week));
    let gone = now - since;
    if used <= 0 || used >= cap || gone < least || gone <= Duration::zero() {
        return None;
    }
    let seconds = i128::from(gone.num_seconds()) * i128::from(cap) / i128::from(used);
    let reached = since.checked_add_signed(Duration::try_seconds(i64::try_from(seconds).ok()?)?)?;
    let last = end.unwrap_or(now + Duration::days(DAYS_AHEAD.cast_signed()));
    (reached < last).then_some(reached.max(now))
}

#[cfg(test)]
mod tests {
    use chrono::Weekday;
    use chrono_tz::Tz;

    use super::*;
    use crate::limits::Scope;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn berlin() -> Calendar {
        Calendar { zone: Tz::Europe__Berlin, week_start: Weekday::Mon }
    }

    #[test]
    fn what_happens_in_quiet_hours_is_told_when_they_end() {
        let night = Quiet { from: 22 * 60, to: 7 * 60 };
        let noon = Quiet { from: 12 * 60, to: 13 * 60 };
        // Berlin is an hour ahead of UTC in November, two in July.
        for (quiet, happens, told) in [
            (night, "2026-11-24T20:59:00Z", "2026-11-24T20:59:00Z"),
            (night, "2026-11-24T21:00:00Z", "2026-11-25T06:00:00Z"),
            (night, "2026-11-25T05:59:59Z", "2026-11-25T06:00:00Z"),
            (night, "2026-11-25T06:00:00Z", "2026-11-25T06:00:00Z"),
            (night, "2026-07-24T20:00:00Z", "2026-07-25T05:00:00Z"),
            (noon, "2026-11-24T11:30:00Z", "2026-11-24T12:00:00Z"),
            (noon, "2026-11-24T12:00:00Z", "2026-11-24T12:00:00Z"),
            // The night clocks go back, and the one they go forward.
            (night, "2026-10-24T21:00:00Z", "2026-10-25T06:00:00Z"),
            (night, "2026-03-28T22:00:00Z", "2026-03-29T05:00:00Z"),
        ] {
            assert_eq!(quiet.told_at(at(happens), berlin()), at(told), "{happens}");
        }
    }

    #[test]
    fn quiet_hours_that_end_in_an_hour_that_is_not_there_end_with_it() {
        // On 29 March 2026 two o'clock is followed by three o'clock.
        let quiet = Quiet { from: 60, to: 150 };
        assert_eq!(quiet.told_at(at("2026-03-29T00:30:00Z"), berlin()), at("2026-03-29T01:00:00Z"));
    }

    #[test]
    fn clocks_are_read_as_people_write_them() {
        for (text, minute) in
            [("7:05", Some(425)), ("23:59", Some(1439)), ("24:00", None), ("7", None), ("a:b", None)]
        {
            assert_eq!(read_clock(text), minute, "{text}");
        }
        assert_eq!(clock(425), "07:05");
    }

    #[test]
    fn thresholds_are_crossed_by_what_is_used_and_by_nothing_else() {
        for (used, cap, expected) in [
            (0, 100, &[][..]),
            (49, 100, &[]),
            (50, 100, &[50]),
            (99, 100, &[50, 80]),
            (100, 100, &[50, 80, 100]),
            (150, 100, &[50, 80, 100]),
            // A cap of zero is a closed door, not a budget that is used up.
            (0, 0, &[]),
            (i64::MAX, i64::MAX, &[50, 80, 100]),
        ] {
            assert_eq!(crossed(&[100, 50, 80, 80], used, cap), expected, "{used} of {cap}");
        }
    }

    #[test]
    fn a_limit_by_the_minute_is_told_of_once_a_day() {
        let now = at("2026-11-24T11:30:40Z");
        let day = berlin().span(Window::Day, now);
        let meter = |metric, window| Meter { scope: Scope::Organization, metric, window };
        for (metric, window, expected) in [
            (Metric::Requests, Window::Minute, day),
            (Metric::Requests, Window::Hour, day),
            (Metric::ConcurrentCalls, Window::Total, day),
            (Metric::Spend, Window::Month, berlin().span(Window::Month, now)),
            (Metric::Spend, Window::Total, berlin().span(Window::Total, now)),
        ] {
            assert_eq!(told_once_in(&meter(metric, window), berlin(), now), expected, "{metric} {window}");
        }
    }

    #[test]
    fn a_raised_cap_that_comes_near_again_is_another_crossing() {
        let meter = Meter { scope: Scope::Organization, metric: Metric::Spend, window: Window::Month };
        let watched = |cap| Watched { meter, name: "Acme", cap, mode: Mode::Enforce, href: "/spend" };
        let since = at("2026-11-01T00:00:00Z");
        let key = |cap, percent| watched(cap).threshold(percent, 1, since, Use::Runs(None)).telling.key;
        assert_eq!(key(100, 80), key(100, 80));
        assert_ne!(key(100, 80), key(100, 100));
        assert_ne!(key(100, 80), key(200, 80));
    }

    #[test]
    fn what_goes_on_at_its_pace_is_reached_in_time_or_not_told() {
        let (since, end) = (at("2026-11-24T00:00:00Z"), Some(at("2026-11-25T00:00:00Z")));
        for (name, used, now, end, expected) in [
            ("half by eight", 50, "2026-11-24T08:00:00Z", end, Some("2026-11-24T16:00:00Z")),
            ("a third by eight is just enough for the day", 33, "2026-11-24T08:00:00Z", end, None),
            ("too early to say", 50, "2026-11-24T05:59:00Z", end, None),
            ("nothing is used", 0, "2026-11-24T08:00:00Z", end, None),
            ("reached already", 100, "2026-11-24T08:00:00Z", end, None),
            ("for ever, within ninety days", 50, "2026-12-04T00:00:00Z", None, Some("2026-12-14T00:00:00Z")),
            ("for ever, in years", 1, "2026-12-04T00:00:00Z", None, None),
            ("for ever, too early to say", 50, "2026-11-30T00:00:00Z", None, None),
        ] {
            assert_eq!(pace(used, 100, since, end, at(now)), expected.map(at), "{name}");
        }
    }

    #[test]
    fn what_only_observes_does_not_run_out() {
        let meter = Meter { scope: Scope::Organization, metric: Metric::Spend, window: Window::Total };
        let since = at("2026-11-01T00:00:00Z");
        let ahead =
            Ahead { short: "on 3 Dec".into(), full: "on 3 Dec 2026".into(), learned_from: "28 days".into() };
        let said = |mode| {
            let watched = Watched { meter, name: "Acme", cap: 5_000_000_000, mode, href: "/spend" };
            let Telling { title, body, .. } = watched.runs_out(&ahead, 1, since).telling;
            (title, body.contains("calls go on"))
        };
        assert_eq!(said(Mode::Enforce), ("Acme will run out on 3 Dec".to_owned(), false));
        assert_eq!(said(Mode::Observe), ("Acme will pass $5.00 in total on 3 Dec".to_owned(), true));
    }

    #[test]
    fn an_anomaly_is_four_times_the_usual_day_of_the_week_and_above_the_floor() {
        let dollars = |amounts: &[i64]| amounts.iter().map(|a| Money::cents(a * 100)).collect::<Vec<_>>();
        let floor = Money::cents(1000);
        for (name, today, weeks, expected) in [
            ("four times", 40, &[10, 9, 11, 10, 10, 8, 12, 10][..], Some((10, Some(4)))),
            ("not quite", 39, &[10, 9, 11, 10, 10, 8, 12, 10], None),
            ("one wild week does not hide it", 44, &[10, 500, 11, 10, 10, 8, 12, 12], Some((10, Some(4)))),
            ("below the floor", 9, &[1, 1, 1, 1], None),
            ("too little to go by", 500, &[1, 1], None),
            ("it began three weeks ago", 60, &[10, 10, 10, 0, 0, 0, 0, 0], Some((10, Some(6)))),
            ("it began last week", 60, &[10, 0, 0, 0, 0, 0, 0, 0], None),
            ("it rests on this day", 20, &[0, 0, 0, 5, 0, 0, 0, 0], Some((0, None))),
            ("nothing today", 0, &[0, 0, 0, 5], None),
        ] {
            let found = anomaly(Money::cents(today * 100), &dollars(weeks), floor);
            let expected = expected.map(|(usual, times)| Unusual { usual: Money::cents(usual * 100), times });
            let usual =
                |found: Option<Unusual>| found.map(|found| (found.usual.0 / 1_000_000_000, found.times));
            assert_eq!(usual(found), usual(expected), "{name}");
        }
    }

    #[test]
    fn a_budget_of_which_a_tenth_is_used_is_used() {
        for (used, cap, expected) in [(0, 100, true), (9, 100, true), (10, 100, false), (0, 0, false)] {
            assert_eq!(is_unused(used, cap), expected, "{used} of {cap}");
        }
    }
}
