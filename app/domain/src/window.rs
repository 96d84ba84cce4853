//! Windows of time by the calendar of an organization: its time zone and the day its week starts.
//!
//! A window is a bucket with a start and an end. Nothing is ever reset: when a window ends, the
//! next one is another, empty bucket.

use chrono::{
    DateTime, Datelike, Days, Duration, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike, Utc,
    Weekday,
};
use chrono_tz::Tz;

use crate::words::words;

words! {
    /// How long a limit counts before it starts anew.
    Window("window") {
        /// A minute of the clock.
        Minute = "minute",
        /// An hour of the clock.
        Hour = "hour",
        /// A calendar day.
        Day = "day",
        /// A calendar week.
        Week = "week",
        /// A calendar month.
        Month = "month",
        /// A calendar year.
        Year = "year",
        /// For ever.
        Total = "total",
    }
}

impl Window {
    /// Whether waiting for the next window is a matter of minutes: such a refusal is a rate limit
    /// (429), every longer one is a quota (402).
    pub const fn is_short(self) -> bool {
        matches!(self, Self::Minute | Self::Hour)
    }

    /// "a day", "a month"; for `total`: "in total".
    pub const fn per(self) -> &'static str {
        match self {
            Self::Minute => "a minute",
            Self::Hour => "an hour",
            Self::Day => "a day",
            Self::Week => "a week",
            Self::Month => "a month",
            Self::Year => "a year",
            Self::Total => "in total",
        }
    }

    /// "this minute", "today", "this month"; for `total`: "so far".
    pub const fn current(self) -> &'static str {
        match self {
            Self::Minute => "this minute",
            Self::Hour => "this hour",
            Self::Day => "today",
            Self::Week => "this week",
            Self::Month => "this month",
            Self::Year => "this year",
            Self::Total => "so far",
        }
    }
}

/// How an organization counts time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Where midnight is.
    pub zone: Tz,
    /// The first day of a week.
    pub week_start: Weekday,
}

/// One bucket of time: from `start` until just before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first moment.
    pub start: DateTime<Utc>,
    /// The first moment of the next bucket; none when it never ends.
    pub end: Option<DateTime<Utc>>,
}

impl Span {
    /// Whether `at` falls into this bucket.
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.start <= at && self.end.is_none_or(|end| at < end)
    }
}

impl Calendar {
    /// The bucket of `window` that `at` falls into.
    pub fn span(&self, window: Window, at: DateTime<Utc>) -> Span {
        let local = at.with_timezone(&self.zone);
        let date = local.date_naive();
        let days = |first: NaiveDate, next: Option<NaiveDate>| Span {
            start: self.midnight(first),
            end: next.map(|date| self.midnight(date)),
        };
        match window {
            // Taken off the instant, not off the wall clock: when clocks go back, the repeated
            // hour is a bucket of its own.
            Window::Minute => clock_span(at, i64::from(local.second()), local.nanosecond(), 60),
            Window::Hour => {
                let into = i64::from(local.minute()) * 60 + i64::from(local.second());
                clock_span(at, into, local.nanosecond(), 3600)
            }
            Window::Day => days(date, date.checked_add_days(Days::new(1))),
            Window::Week => {
                let first = date.week(self.week_start).first_day();
                days(first, first.checked_add_days(Days::new(7)))
            }
            Window::Month => {
                let first = date.with_day(1).unwrap_or(date);
                days(first, first.checked_add_months(Months::new(1)))
            }
            Window::Year => {
                let first = NaiveDate::from_ymd_opt(date.year(), 1, 1).unwrap_or(date);
                days(first, NaiveDate::from_ymd_opt(date.year() + 1, 1, 1))
            }
            Window::Total => Span { start: DateTime::UNIX_EPOCH, end: None },
        }
    }

    /// The calendar day of a moment, as people of the organization call it.
    pub fn day(&self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.zone).date_naive()
    }

    /// The first moment of a day: usually 00:00, but some zones move their clocks at midnight.
    pub fn midnight(&self, date: NaiveDate) -> DateTime<Utc> {
        let mut wall = NaiveDateTime::new(date, NaiveTime::MIN);
        // No zone has ever skipped more than a day; a step of a quarter of an hour meets every gap.
        for _ in 0..=96 {
            if let Some(found) = self.zone.from_local_datetime(&wall).earliest() {
                return found.with_timezone(&Utc);
            }
            wall += Duration::minutes(15);
        }
        NaiveDateTime::new(date, NaiveTime::MIN).and_utc()
    }
}

fn clock_span(at: DateTime<Utc>, seconds_into: i64, nanos: u32, length: i64) -> Span {
    let start =
        at - Duration::seconds(seconds_into) - Duration::nanoseconds(i64::from(nanos % 1_000_000_000));
    Span { start, end: Some(start + Duration::seconds(length)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn calendar(zone: Tz) -> Calendar {
        Calendar { zone, week_start: Weekday::Mon }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_in_berlin_starts_before_the_month_in_utc() {
        let span = calendar(Tz::Europe__Berlin).span(Window::Month, at("2026-10-31T23:30:00Z"));
        assert_eq!(span.start, at("2026-10-31T23:00:00Z"));
        assert_eq!(span.end, Some(at("2026-11-30T23:00:00Z")));
    }

    #[test]
    fn the_day_clocks_go_back_has_25_hours_and_the_repeated_hour_twice() {
        let berlin = calendar(Tz::Europe__Berlin);
        let day = berlin.span(Window::Day, at("2026-10-25T12:00:00Z"));
        assert_eq!(day.end.unwrap() - day.start, Duration::hours(25));
        let first = berlin.span(Window::Hour, at("2026-10-25T00:30:00Z"));
        let second = berlin.span(Window::Hour, at("2026-10-25T01:30:00Z"));
        assert_eq!(first.end, Some(second.start));
    }

    #[test]
    fn a_day_that_begins_at_one_o_clock_begins_at_one_o_clock() {
        // Beirut: clocks went from 00:00 to 01:00 on 26 March 2023 … in most years; Santiago does
        // the same in September.
        let day = calendar(Tz::America__Santiago).span(Window::Day, at("2026-09-06T12:00:00Z"));
        assert_eq!(day.start, at("2026-09-06T04:00:00Z"));
        assert_eq!(day.end.unwrap() - day.start, Duration::hours(23));
    }

    #[test]
    fn weeks_start_on_the_day_the_organization_says() {
        let sunday = Calendar { zone: Tz::UTC, week_start: Weekday::Sun };
        let span = sunday.span(Window::Week, at("2026-11-22T00:00:00Z"));
        assert_eq!(span.start, at("2026-11-22T00:00:00Z"));
        let monday = calendar(Tz::UTC).span(Window::Week, at("2026-11-22T00:00:00Z"));
        assert_eq!(monday.start, at("2026-11-16T00:00:00Z"));
    }

    #[test]
    fn an_hour_in_a_zone_with_a_half_hour_offset_follows_its_wall_clock() {
        let span = calendar(Tz::Asia__Kolkata).span(Window::Hour, at("2026-11-22T10:40:00Z"));
        assert_eq!(span.start, at("2026-11-22T10:30:00Z"));
    }

    proptest! {
        #[test]
        fn every_moment_is_in_its_bucket_and_buckets_touch(
            seconds in 0_i64..4_102_444_800,
            nanos in 0_u32..1_000_000_000,
            zone in proptest::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
            window in proptest::sample::select(Window::ALL.to_vec()),
            start in 0_u8..7,
        ) {
            let calendar = Calendar { zone, week_start: Weekday::try_from(start).unwrap() };
            let now = DateTime::from_timestamp(seconds, nanos).unwrap();
            let span = calendar.span(window, now);
            prop_assert!(span.contains(now), "{span:?} {now}");
            prop_assert_eq!(calendar.span(window, span.start), span);
            if let Some(end) = span.end {
                prop_assert_eq!(calendar.span(window, end).start, end);
                prop_assert_eq!(calendar.span(window, end - Duration::nanoseconds(1)), span);
            }
        }
    }
}
