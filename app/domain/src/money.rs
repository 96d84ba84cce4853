//! Money is an integer of nano-dollars. Floats never touch it.
//!
//! `i64` holds ±9.2 billion dollars. A price is nano-dollars per million units, so a price list
//! quoted to nine decimals per million tokens is exact. The only rounding is in
//! [`crate::prices::cost`]: once per call, upwards.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Nano-dollars in a dollar.
pub const NANOS: i64 = 1_000_000_000;

/// The largest amount a person may enter: one hundred million dollars.
const MAX_ENTERED: i64 = 100_000_000 * NANOS;

/// An amount of US dollars in nano-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(pub i64);

/// Nano-dollars per million units (tokens; for images and calls, per million of those).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Price(pub i64);

/// Why a text is not an amount. `Display` is a sentence for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    /// Nothing there.
    Empty,
    /// Not digits with at most one point.
    NotANumber,
    /// A minus sign.
    Negative,
    /// More than nine digits after the point.
    TooFine,
    /// More than a hundred million dollars.
    TooLarge,
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Enter an amount in US dollars, for instance 50.00.",
            Self::NotANumber => "Enter digits with a point before the cents, for instance 1250.00.",
            Self::Negative => "An amount cannot be below zero.",
            Self::TooFine => "At most nine digits after the point can be kept exactly; this has more.",
            Self::TooLarge => "At most $100,000,000 fits here.",
        })
    }
}

impl std::error::Error for MoneyError {}

/// Reads decimal dollars exactly. A leading `$` and `,` or `_` between digits are accepted.
fn nanos(text: &str) -> Result<i64, MoneyError> {
    let text = text.trim();
    let text = text.strip_prefix('$').unwrap_or(text).trim_start();
    if text.is_empty() {
        return Err(MoneyError::Empty);
    }
    if text.starts_with(['-', '−']) {
        return Err(MoneyError::Negative);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: String = whole.chars().filter(|c| !matches!(c, ',' | '_')).collect();
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(&whole) || !digits(fraction) {
        return Err(MoneyError::NotANumber);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 9 {
        return Err(MoneyError::TooFine);
    }
    let whole: i64 = match whole.trim_start_matches('0') {
        "" => 0,
        significant => significant.parse().map_err(|_| MoneyError::TooLarge)?,
    };
    let fraction: i64 = format!("{fraction:0<9}").parse().map_err(|_| MoneyError::NotANumber)?;
    whole
        .checked_mul(NANOS)
        .and_then(|nanos| nanos.checked_add(fraction))
        .filter(|nanos| *nanos <= MAX_ENTERED)
        .ok_or(MoneyError::TooLarge)
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Whole cents, for figures that are written in the program.
    pub const fn cents(cents: i64) -> Self {
        Self(cents * (NANOS / 100))
    }

    /// The sum, or none if it does not fit.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// What is left of `self` after `other`, never below zero.
    pub fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(0))
    }

    /// The exact decimal text without currency: `0.00025`, at least two digits after the point.
    /// Reading it back gives the same amount.
    pub fn exact(self) -> String {
        decimal(self.0, 2)
    }
}

impl Price {
    /// The exact decimal text, dollars per million: `0.10`.
    pub fn exact(self) -> String {
        decimal(self.0, 2)
    }
}

/// Nano-dollars as decimal dollars with at least `least` digits after the point.
fn decimal(nanos: i64, least: usize) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let fraction = format!("{:09}", nanos % NANOS.unsigned_abs());
    let kept = fraction.trim_end_matches('0').len().max(least);
    format!("{sign}{}.{}", nanos / NANOS.unsigned_abs(), &fraction[..kept])
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// What people read: `$1,234.56`. Amounts below a cent keep two significant digits (`$0.00032`),
/// so that the cost of one call is never shown as nothing.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "−" } else { "" };
        let nanos = self.0.unsigned_abs();
        let one = NANOS.unsigned_abs();
        if nanos > 0 && nanos < one / 100 {
            let digits = format!("{nanos:09}");
            let first = digits.bytes().position(|b| b != b'0').unwrap_or(0);
            let kept = digits[..(first + 2).min(9)].trim_end_matches('0');
            return write!(f, "{sign}$0.{kept}");
        }
        let cents = (nanos + one / 200) / (one / 100);
        write!(f, "{sign}${}.{:02}", grouped(cents / 100), cents % 100)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}", self.exact())
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        nanos(text).map(Self)
    }
}

impl FromStr for Price {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        nanos(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_read_exactly() {
        for (text, nanos) in [
            ("50.00", 50 * NANOS),
            ("0.1", 100_000_000),
            (".5", 500_000_000),
            ("5.", 5 * NANOS),
            ("$1,250.00", 1_250 * NANOS),
            ("0.000000001", 1),
            ("0.1000000000000", 100_000_000),
            ("000012", 12 * NANOS),
        ] {
            assert_eq!(text.parse(), Ok(Money(nanos)), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_kept_exactly_is_refused_with_the_reason() {
        for (text, error) in [
            ("", MoneyError::Empty),
            ("$", MoneyError::Empty),
            ("-1", MoneyError::Negative),
            ("−1", MoneyError::Negative),
            ("1.2.3", MoneyError::NotANumber),
            (".", MoneyError::NotANumber),
            ("1e3", MoneyError::NotANumber),
            ("1,5 €", MoneyError::NotANumber),
            ("NaN", MoneyError::NotANumber),
            ("0.0000000001", MoneyError::TooFine),
            ("100000000.01", MoneyError::TooLarge),
            ("99999999999999999999", MoneyError::TooLarge),
        ] {
            assert_eq!(text.parse::<Money>(), Err(error), "{text}");
        }
    }

    #[test]
    fn people_read_cents_and_small_amounts_never_as_nothing() {
        for (nanos, text) in [
            (0, "$0.00"),
            (1, "$0.000000001"),
            (320_000, "$0.00032"),
            (9_999_999, "$0.0099"),
            (10_000_000, "$0.01"),
            (379_415_000_000, "$379.42"),
            (1_234_567_890_000_000, "$1,234,567.89"),
            (-2_500_000_000, "−$2.50"),
        ] {
            assert_eq!(Money(nanos).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn the_exact_text_reads_back(nanos in 0..=MAX_ENTERED) {
            prop_assert_eq!(Money(nanos).exact().parse(), Ok(Money(nanos)));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Money>();
        }
    }
}
