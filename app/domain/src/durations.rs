//! How many calls took how long: counts by class of duration, which add up, so that the percentiles of
//! any days and things together follow from what is kept of each.

use serde::{Deserialize, Serialize};

/// Where the next class begins, in milliseconds. Each class is about 1.4 times as long as the one
/// before it. Kept counts are by these numbers: a change of them needs a migration.
pub const BOUNDS: [i32; 31] = [
    10, 14, 20, 28, 40, 56, 80, 110, 160, 220, 320, 450, 630, 900, 1_250, 1_800, 2_500, 3_500, 5_000, 7_000,
    10_000, 14_000, 20_000, 28_000, 40_000, 56_000, 80_000, 110_000, 160_000, 220_000, 320_000,
];

/// How far a percentile may be from the exact one, in words: half a class.
pub const PRECISION: &str = "about a fifth";

/// How many digits a class has in a number of counts.
const DIGITS: usize = 12;

/// Counts by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations([i32; BOUNDS.len() + 1]);

/// The class of a duration, as Postgres's `width_bucket` numbers it.
pub fn class(millis: i32) -> i16 {
    i16::try_from(BOUNDS.partition_point(|bound| *bound <= millis)).unwrap_or(i16::MAX)
}

impl Durations {
    /// So many calls of one class.
    pub fn of(class: i16, calls: i64) -> Self {
        let mut durations = Self::default();
        let place = usize::try_from(class).unwrap_or_default().min(BOUNDS.len());
        durations.0[place] = i32::try_from(calls).unwrap_or(i32::MAX);
        durations
    }

    /// As one number, which adds up with others as the counts do: twelve digits for each class, the
    /// shortest last. `3e24` are three calls of the third class.
    pub fn to_number(&self) -> String {
        let Some(first) = self.0.iter().position(|count| *count != 0) else { return "0".to_owned() };
        let mut text = String::new();
        for count in self.0[first..].iter().rev().skip_while(|count| **count == 0) {
            // The first one has no digits before it.
            let width = if text.is_empty() { 1 } else { DIGITS };
            text.push_str(&format!("{count:0width$}"));
        }
        text.push_str(&format!("e{}", first * DIGITS));
        text
    }

    /// Reads what [`Durations::to_number`] stands for, written out in digits. What is no such number is
    /// nothing that is known.
    pub fn of_number(digits: &str) -> Self {
        let mut durations = Self::default();
        let mut rest = digits;
        for count in &mut durations.0 {
            let (above, own) = rest.split_at_checked(rest.len().saturating_sub(DIGITS)).unwrap_or_default();
            *count = own.parse().unwrap_or_default();
            rest = above;
        }
        durations
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }

    /// How many calls it knows of.
    pub fn calls(&self) -> i64 {
        self.0.iter().copied().map(i64::from).sum()
    }

    /// What `percent` of a hundred calls took at most, in milliseconds: the middle of its class, as ratios
    /// go, so that the exact figure is within [`PRECISION`] of it, above or below. Of the longest class:
    /// where it begins; of the shortest, half of where it ends. None: no calls.
    pub fn within(&self, percent: i64) -> Option<i64> {
        let calls = self.calls();
        if calls <= 0 {
            return None;
        }
        let wanted = (calls * percent + 99) / 100;
        let mut below = 0;
        for (place, count) in self.0.iter().copied().map(i64::from).enumerate() {
            if count > 0 && below + count >= wanted {
                let from = place.checked_sub(1).map_or(0, |place| i64::from(BOUNDS[place]));
                let to = BOUNDS.get(place).map_or(from, |bound| i64::from(*bound));
                return Some(if from == 0 { to / 2 } else { (from * to).isqrt() });
            }
            below += count;
        }
        None
    }
}

impl std::ops::AddAssign for Durations {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
    }
}

impl std::ops::Sub for Durations {
    type Output = Self;

    fn sub(mut self, part: Self) -> Self {
        for (count, less) in self.0.iter_mut().zip(part.0) {
            *count = count.saturating_sub(less);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: &[i32]) -> Durations {
        millis.iter().fold(Durations::default(), |mut sum, millis| {
            sum += Durations::of(class(*millis), 1);
            sum
        })
    }

    #[test]
    fn a_duration_is_in_the_class_that_holds_it() {
        for (millis, expected) in [(0, 0), (9, 0), (10, 1), (13, 1), (14, 2), (319_999, 30), (i32::MAX, 31)] {
            assert_eq!(class(millis), expected, "{millis}");
        }
    }

    #[test]
    fn counts_are_one_number_and_come_back() {
        assert_eq!(Durations::default().to_number(), "0");
        assert_eq!(
            (Durations::of(0, 7).to_number(), Durations::of(2, 3).to_number()),
            ("7e0".into(), "3e24".into())
        );
        let mut two = Durations::of(1, 5);
        two += Durations::of(3, 12);
        assert_eq!(two.to_number(), "12000000000000000000000005e12");
        let zeros = "0".repeat(12);
        assert_eq!(Durations::of_number(&format!("12000000000000000000000005{zeros}")), two);
        let (one, last) = (Durations::of(31, 1), format!("1{}", "0".repeat(31 * 12)));
        assert_eq!(Durations::of_number(&last), one);
        for nothing in ["0", ""] {
            assert!(Durations::of_number(nothing).is_empty(), "{nothing:?}");
        }
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Durations::default().within(50), None);
        assert!(Durations::default().is_empty());
    }

    #[test]
    fn percentiles_are_right_to_a_class_and_parts_add_up_to_them() {
        let all: Vec<i32> = (1..=1_000).collect();
        for (percent, exact) in [(50, 500), (95, 950), (100, 1_000)] {
            let found = of(&all).within(percent).unwrap();
            let holds = class(i32::try_from(found).unwrap()) - class(exact);
            assert!(holds.abs() <= 1, "{percent}: {found} is not near {exact}");
        }
        let (mut sum, rest) = (of(&all[..300]), of(&all[300..]));
        sum += rest;
        assert_eq!(sum, of(&all));
        assert_eq!(sum - rest, of(&all[..300]));
    }

    #[test]
    fn no_percentile_is_further_from_the_exact_one_than_half_a_class() {
        // The worst there are: every call at the beginning, or just before the end, of its class.
        for pair in BOUNDS.windows(2) {
            for exact in [pair[0], pair[1] - 1] {
                for (calls, percent) in [(1, 50), (20, 95), (1000, 95), (1000, 50)] {
                    let found = of(&vec![exact; calls]).within(percent).unwrap();
                    let ratio = found as f64 / f64::from(exact);
                    assert!((0.82..1.21).contains(&ratio), "{exact} ms, {calls} calls: {found}");
                }
            }
        }
    }

    #[test]
    fn one_slow_call_of_twenty_is_not_the_median() {
        let mut calls = vec![100; 19];
        calls.push(100_000);
        let sum = of(&calls);
        assert!(sum.within(50).unwrap() < 110);
        assert!(sum.within(95).unwrap() <= 110);
        assert!(sum.within(96).unwrap() > 80_000);
    }
}
