//! What a month comes to, if it goes on as it went.
//!
//! The last four weeks say what a day costs: each day to come is expected to cost what the same
//! day of the week cost on average (with less than two weeks to look at, what any day cost). How
//! far those days strayed from that says how far the month may: the range holds four times out of
//! five if days stray independently of each other. It is an estimate, and all in integers.

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::money::Money;

/// How many days back are looked at.
pub const LOOK_BACK: u64 = 28;
/// Fewer say nothing.
const LEAST: usize = 3;
/// From here on days of the week are told apart.
const BY_WEEKDAY: usize = 14;
/// Four times out of five a normal sum is within so many hundredths of its deviation.
const RANGE: i128 = 128;

/// What a month comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// Expected at its end.
    pub end: Money,
    /// Four times out of five it is not less.
    pub low: Money,
    /// Four times out of five it is not more.
    pub high: Money,
    /// How many days it was learned from.
    pub learned_from: usize,
    /// What each day after today is expected to cost.
    pub days: Vec<(NaiveDate, Money)>,
    /// What today is still expected to cost.
    pub today: Money,
}

impl Forecast {
    /// The day on which so much is spent, if what is expected comes true. `spent`: so far.
    pub fn reaches(&self, cap: Money, spent: Money, today: NaiveDate) -> Option<NaiveDate> {
        let mut sum = spent.0.saturating_add(self.today.0);
        if sum >= cap.0 {
            return Some(today);
        }
        for (day, money) in &self.days {
            sum = sum.saturating_add(money.0);
            if sum >= cap.0 {
                return Some(*day);
            }
        }
        None
    }
}

/// What the month that ends before `end` comes to. `past`: the whole days before `today`, in order,
/// at most [`LOOK_BACK`] of them; those before anything was spent do not count. `spent`: in the
/// month so far, of that `spent_today` today. None: too little to go by.
pub fn forecast(
    past: &[(NaiveDate, Money)],
    spent: Money,
    spent_today: Money,
    today: NaiveDate,
    end: NaiveDate,
) -> Option<Forecast> {
    let begun = past.iter().position(|(_, money)| money.0 > 0)?;
    let past = &past[begun..];
    if past.len() < LEAST {
        return None;
    }
    let expected = |day: NaiveDate| {
        let same: Vec<i64> = past
            .iter()
            .filter(|(other, _)| past.len() < BY_WEEKDAY || other.weekday() == day.weekday())
            .map(|(_, money)| money.0)
            .collect();
        mean(&same)
    };
    let days: Vec<(NaiveDate, Money)> = today
        .iter_days()
        .skip(1)
        .take_while(|day| *day < end)
        .map(|day| (day, Money(expected(day))))
        .collect();
    let rest_of_today = Money(expected(today).saturating_sub(spent_today.0).max(0));
    let rest = days.iter().map(|(_, money)| i128::from(money.0)).sum::<i128>() + i128::from(rest_of_today.0);
    let strayed: i128 = past
        .iter()
        .map(|(day, money)| {
            let apart = i128::from(money.0) - i128::from(expected(*day));
            apart.saturating_mul(apart)
        })
        .fold(0, i128::saturating_add);
    // Today is not over, whatever it has cost already.
    let ahead = days.len() as i128 + 1;
    let variance = strayed / past.len() as i128;
    let spread = variance.saturating_mul(ahead).isqrt().saturating_mul(RANGE) / 100;
    let spent = i128::from(spent.0);
    let fits = |amount: i128| Money(i64::try_from(amount).unwrap_or(i64::MAX));
    Some(Forecast {
        end: fits(spent + rest),
        low: fits((spent + rest - spread).max(spent)),
        high: fits(spent + rest + spread),
        learned_from: past.len(),
        days,
        today: rest_of_today,
    })
}

fn mean(amounts: &[i64]) -> i64 {
    let sum: i128 = amounts.iter().map(|amount| i128::from(*amount)).sum();
    i64::try_from(sum / (amounts.len() as i128).max(1)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The days before 16 November 2026, a Monday, cost this many dollars each, the last one last.
    fn past(dollars: &[i64]) -> Vec<(NaiveDate, Money)> {
        let today = today();
        let first = today - chrono::Days::new(dollars.len() as u64);
        first.iter_days().zip(dollars).map(|(day, dollars)| (day, Money::cents(dollars * 100))).collect()
    }

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 16).unwrap()
    }

    /// Spent in the month and today, the days before, the end of the month; what is forecast.
    type Case = (&'static str, i64, i64, Vec<i64>, u32, Option<(i64, i64, i64)>);

    #[test]
    fn months_come_to_what_the_table_says() {
        let week = [10, 10, 10, 10, 10, 0, 0];
        // Two weeks on end that begin on a Monday.
        let even: Vec<i64> = week.iter().cycle().take(14).copied().collect();
        let four: Vec<i64> = week.iter().cycle().take(28).copied().collect();
        let cases: Vec<Case> = vec![
            ("nothing was ever spent", 0, 0, vec![0; 28], 21, None),
            ("two days say nothing", 20, 0, vec![0, 0, 0, 10, 10], 21, None),
            ("three days alike go on alike", 30, 0, vec![10, 10, 10], 21, Some((80, 80, 80))),
            (
                "what today has cost already is not expected twice",
                34,
                4,
                vec![10, 10, 10],
                21,
                Some((80, 80, 80)),
            ),
            (
                "a dear day today takes nothing from tomorrow",
                55,
                25,
                vec![10, 10, 10],
                21,
                Some((95, 95, 95)),
            ),
            (
                "days before it began are no days off",
                30,
                0,
                vec![0, 0, 0, 0, 10, 10, 10],
                21,
                Some((80, 80, 80)),
            ),
            ("weekends stay weekends after two weeks", 100, 0, even, 23, Some((150, 150, 150))),
            ("and after four", 100, 0, four, 30, Some((200, 200, 200))),
            (
                "the last day of the month has only its own rest to come",
                100,
                10,
                vec![10, 10, 10],
                17,
                Some((100, 100, 100)),
            ),
        ];
        for (name, spent, spent_today, days, end, expected) in cases {
            let end = NaiveDate::from_ymd_opt(2026, 11, end).unwrap();
            let dollars = |dollars: i64| Money::cents(dollars * 100);
            let found = forecast(&past(&days), dollars(spent), dollars(spent_today), today(), end);
            let expected = expected.map(|(end, low, high)| (dollars(end), dollars(low), dollars(high)));
            assert_eq!(found.map(|found| (found.end, found.low, found.high)), expected, "{name}");
        }
    }

    #[test]
    fn days_that_stray_widen_the_range_and_never_below_what_is_spent() {
        // Mean 10, each strays by 10: four days ahead stray by 20, four times out of five by 25.60.
        let end = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        let found = forecast(&past(&[20, 0, 20, 0]), Money::cents(4000), Money::ZERO, today(), end).unwrap();
        assert_eq!(
            (found.end, found.low, found.high),
            (Money::cents(8000), Money::cents(5440), Money::cents(10_560))
        );
        let found = forecast(&past(&[100, 0, 0, 0]), Money::cents(4000), Money::ZERO, today(), end).unwrap();
        assert_eq!(found.low, Money::cents(4000));
    }

    #[test]
    fn the_last_day_of_a_month_that_has_cost_what_it_usually_does_is_not_certain() {
        let end = NaiveDate::from_ymd_opt(2026, 11, 17).unwrap();
        let dollars = |dollars: i64| Money::cents(dollars * 100);
        let found = forecast(&past(&[20, 0, 20, 0]), dollars(40), dollars(12), today(), end).unwrap();
        assert_eq!((found.end, found.low, found.high), (dollars(40), dollars(40), Money::cents(5280)));
    }

    #[test]
    fn the_day_a_limit_is_reached_is_known() {
        let end = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        let spent = Money::cents(3000);
        let found = forecast(&past(&[10, 10, 10]), spent, Money::ZERO, today(), end).unwrap();
        for (cap, day) in [(4000, Some(16)), (4001, Some(17)), (8000, Some(20)), (8001, None)] {
            let reached = found.reaches(Money::cents(cap), spent, today());
            assert_eq!(reached.map(|day| day.day()), day, "{cap}");
        }
    }
}
