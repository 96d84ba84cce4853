//! Showing moments in an organization's time zone, without a time zone database in the browser.
//!
//! The server looks up when the zone's offset changes and sends those few steps along; after that
//! a moment becomes a wall clock time by one look at a short list.

use chrono::{DateTime, Datelike, Duration, FixedOffset, NaiveDate, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// A time zone between two moments: from each instant on, this many seconds east of UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// The name in the time zone database: `Europe/Berlin`.
    pub name: String,
    /// Unix seconds and the offset from then on, in order. Never empty.
    steps: Vec<(i64, i32)>,
}

impl Zone {
    /// The steps of `zone` from `from` to `to`. Before the first and after the last step the
    /// nearest one serves.
    pub fn of(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let offset =
            |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
        let mut steps = vec![(from.timestamp(), offset(from))];
        let mut day = from;
        while day < to {
            let next = day + Duration::days(1);
            if offset(next) != offset(day) {
                let (mut before, mut after) = (day.timestamp(), next.timestamp());
                while after - before > 1 {
                    let middle = before + (after - before) / 2;
                    let at = DateTime::from_timestamp(middle, 0).unwrap_or(day);
                    if offset(at) == offset(day) { before = middle } else { after = middle }
                }
                steps.push((after, offset(next)));
            }
            day = next;
        }
        Self { name: zone.name().to_owned(), steps }
    }

    /// UTC, for pages without an organization.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), steps: vec![(0, 0)] }
    }

    /// The wall clock at a moment.
    pub fn local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        let step = self.steps.partition_point(|(from, _)| *from <= at.timestamp());
        let seconds = self.steps[step.saturating_sub(1)].1;
        FixedOffset::east_opt(seconds)
            .map_or(at.naive_utc(), |offset| at.with_timezone(&offset).naive_local())
    }

    /// `Berlin`: the part of the name that people say.
    pub fn city(&self) -> String {
        self.name.rsplit('/').next().unwrap_or(&self.name).replace('_', " ")
    }

    /// `22 Nov 2026, 14:03`.
    pub fn full(&self, at: DateTime<Utc>) -> String {
        let local = self.local(at);
        format!("{}, {}", date(local.date()), local.format("%H:%M"))
    }

    /// `22 Nov 14:03`, without the year when it is the year of `now`.
    pub fn brief(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
        let local = self.local(at);
        if local.year() == self.local(now).year() {
            format!("{} {}", day(local.date()), local.format("%H:%M"))
        } else {
            self.full(at)
        }
    }
}

/// `22 Nov 2026`.
pub fn date(date: NaiveDate) -> String {
    format!("{} {}", day(date), date.year())
}

/// `22 Nov`.
pub fn day(date: NaiveDate) -> String {
    format!("{} {}", date.day(), date.format("%b"))
}

/// How long ago, as people say it: `now`, `2 min ago`, `yesterday`, `4 d ago`. A moment ahead:
/// `in 5 min`.
pub fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - at).num_seconds();
    let amount = |seconds: i64| match seconds {
        0..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        86_400..5_184_000 => format!("{} d", seconds / 86_400),
        _ => format!("{} months", seconds / 2_592_000),
    };
    match seconds {
        ..-60 => format!("in {}", amount(-seconds)),
        -60..60 => "now".to_owned(),
        86_400..172_800 => "yesterday".to_owned(),
        _ => format!("{} ago", amount(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_zone_shows_the_wall_clock_on_both_sides_of_a_change() {
        let zone = Zone::of(Tz::Europe__Berlin, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        assert_eq!(zone.steps.len(), 3);
        assert_eq!(zone.full(at("2026-10-25T00:59:59Z")), "25 Oct 2026, 02:59");
        assert_eq!(zone.full(at("2026-10-25T01:00:00Z")), "25 Oct 2026, 02:00");
        assert_eq!(zone.full(at("2026-07-01T12:00:00Z")), "1 Jul 2026, 14:00");
        assert_eq!(zone.city(), "Berlin");
    }

    #[test]
    fn how_long_ago_is_said_as_people_say_it() {
        let now = at("2026-11-22T12:00:00Z");
        for (then, said) in [
            ("2026-11-22T11:59:30Z", "now"),
            ("2026-11-22T11:58:00Z", "2 min ago"),
            ("2026-11-22T09:00:00Z", "3 h ago"),
            ("2026-11-21T11:00:00Z", "yesterday"),
            ("2026-11-18T11:00:00Z", "4 d ago"),
            ("2026-11-22T12:05:10Z", "in 5 min"),
        ] {
            assert_eq!(ago(at(then), now), said);
        }
    }
}
