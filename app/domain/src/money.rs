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
    /// A comma that does not group three digits.
    Comma,
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
            Self::Comma => {
                "A comma only groups thousands, as in 1,250.00. Cents stand after a point, as in 12.50."
            }
            Self::Negative => "An amount cannot be below zero.",
            Self::TooFine => "At most nine digits after the point can be kept exactly; this has more.",
            Self::TooLarge => "At most $100,000,000 fits here.",
        })
    }
}

impl std::error::Error for MoneyError {}

/// Whole digits without the commas that group them by threes; none where a comma stands elsewhere: whoever
/// writes `12,5` means less than thirteen.
pub fn ungrouped(whole: &str) -> Option<String> {
    let (first, groups) = whole.split_once(',').unwrap_or((whole, ""));
    let grouped = !whole.contains(',')
        || ((1..=3).contains(&first.len()) && groups.split(',').all(|group| group.len() == 3));
    grouped.then(|| whole.replace(',', ""))
}

/// Reads decimal dollars exactly. A leading `$`, commas that group thousands and `_` between digits are
/// accepted.
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
    let whole = whole.replace('_', "");
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let amount = |c: char| c == ',' || c.is_ascii_digit();
    if (whole.is_empty() && fraction.is_empty())
        || !whole.chars().all(amount)
        || !fraction.chars().all(amount)
    {
        return Err(MoneyError::NotANumber);
    }
    let whole = ungrouped(&whole).filter(|_| digits(fraction)).ok_or(MoneyError::Comma)?;
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

    /// What somebody set, for people, to its last digit: `$1,250.00`, `$12.345`. A cap or a sum that is agreed to
    /// is never shown as another one; what was spent is read in cents.
    pub fn in_full(self) -> String {
        let sign = if self.0 < 0 { "−" } else { "" };
        let exact = Self(self.0.saturating_abs()).exact();
        let (whole, rest) = exact.split_once('.').unwrap_or((&exact, "00"));
        format!("{sign}${}.{rest}", whole.parse().map_or_else(|_| whole.to_owned(), grouped))
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

    /// From what a single unit costs, as price lists write it: `1.5e-07` dollars a token. Digit by
    /// digit, never through a float; what a float left in such a list beyond a nano-dollar per million
    /// (`6.000000000000001e-08`) is rounded to the nearest.
    ///
    /// # Errors
    /// When it is not a number, is below zero, or is more than may be entered.
    pub fn per_unit(text: &str) -> Result<Self, MoneyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(MoneyError::Empty);
        }
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().map_err(|_| MoneyError::NotANumber)?;
        let negative = mantissa.starts_with('-');
        let (whole, fraction) = mantissa
            .trim_start_matches(['-', '+'])
            .split_once('.')
            .unwrap_or((mantissa.trim_start_matches(['-', '+']), ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(MoneyError::NotANumber);
        }
        let significant = digits.trim_start_matches('0');
        if significant.is_empty() {
            return Ok(Self(0));
        }
        if negative {
            return Err(MoneyError::Negative);
        }
        // A dollar a unit is a million dollars a million: nano-dollars stand fifteen digits further left.
        let after_point = i32::try_from(fraction.len()).map_err(|_| MoneyError::NotANumber)?;
        let places = exponent.checked_sub(after_point).and_then(|places| places.checked_add(15));
        let length = i32::try_from(significant.len()).map_err(|_| MoneyError::NotANumber)?;
        let places = places.ok_or(MoneyError::NotANumber)?;
        match length.checked_add(places) {
            // Less than half a nano-dollar per million, or more than fits.
            Some(..0) => return Ok(Self(0)),
            Some(0..=18) => {}
            Some(_) | None => return Err(MoneyError::TooLarge),
        }
        let kept = usize::try_from(length + places.min(0)).map_err(|_| MoneyError::NotANumber)?;
        let mut nanos: i64 = match &significant[..kept] {
            "" => 0,
            kept => kept.parse().map_err(|_| MoneyError::TooLarge)?,
        };
        if significant.as_bytes().get(kept).is_some_and(|next| *next >= b'5') {
            nanos += 1;
        }
        for _ in 0..places {
            nanos = nanos.checked_mul(10).ok_or(MoneyError::TooLarge)?;
        }
        if nanos <= MAX_ENTERED { Ok(Self(nanos)) } else { Err(MoneyError::TooLarge) }
    }
}

/// Nano-dollars as decimal dollars with at least `least` digits after the point.
fn decimal(nanos: i64, least: usize) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let mut text = format!("{sign}{}.{:09}", nanos / NANOS.unsigned_abs(), nanos % NANOS.unsigned_abs());
    let fraction = text.len() - 9;
    let kept = text[fraction..].trim_end_matches('0').len().max(least);
    text.truncate(fraction + kept);
    text
}

/// `1 day`, `2,000 days`: so many of something, as people say it.
pub fn how_many(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
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

impl Money {
    /// The same or more, with no more digits than people read: a bound stays one when it is shown.
    pub fn rounded_up(self) -> Self {
        const CENT: u64 = NANOS.unsigned_abs() / 100;
        let Ok(nanos) = u64::try_from(self.0) else { return self };
        let step = match nanos {
            CENT.. => CENT,
            small => 10_u64.pow(small.max(1).ilog10().saturating_sub(1)),
        };
        let up = nanos.checked_next_multiple_of(step).and_then(|up| i64::try_from(up).ok());
        up.map_or(self, Self)
    }
}

/// What people read: `$1,234.56`. Amounts below a cent keep two significant digits (`$0.00032`),
/// so that the cost of one call is never shown as nothing.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "−" } else { "" };
        let nanos = self.0.unsigned_abs();
        let one = NANOS.unsigned_abs();
        if nanos > 0 && nanos < one / 100 {
            // Two digits that say something, rounded as cents are.
            let unit = 10_u64.pow(nanos.ilog10().saturating_sub(1));
            let digits = format!("{:09}", (nanos + unit / 2) / unit * unit);
            let kept = digits.trim_end_matches('0');
            return write!(f, "{sign}$0.{kept:0<2}");
        }
        let cents = (nanos + one / 200) / (one / 100);
        write!(f, "{sign}${}.{:02}", grouped(cents / 100), cents % 100)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.exact();
        let (whole, rest) = exact.split_once('.').unwrap_or((&exact, ""));
        match whole.parse() {
            Ok(whole) => write!(f, "${}.{rest}", grouped(whole)),
            Err(_) => write!(f, "${exact}"),
        }
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
    fn a_bound_is_rounded_up_to_what_is_shown() {
        for (nanos, shown) in [
            (186_800, "$0.00019"),
            (190_000, "$0.00019"),
            (1, "$0.000000001"),
            (10_000_001, "$0.02"),
            (10_000_000, "$0.01"),
            (9_999_999, "$0.01"),
            (0, "$0.00"),
        ] {
            let up = Money(nanos).rounded_up();
            assert!(up.0 >= nanos, "{nanos}");
            assert_eq!(up.to_string(), shown);
        }
    }

    #[test]
    fn amounts_are_read_exactly() {
        for (text, nanos) in [
            ("50.00", 50 * NANOS),
            ("0.1", 100_000_000),
            (".5", 500_000_000),
            ("5.", 5 * NANOS),
            ("$1,250.00", 1_250 * NANOS),
            ("1,234,567.5", 1_234_567 * NANOS + NANOS / 2),
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
            // A decimal comma never makes more of it.
            ("12,5", MoneyError::Comma),
            ("12,50", MoneyError::Comma),
            ("0,005,", MoneyError::Comma),
            ("1234,567", MoneyError::Comma),
            ("1,23,456", MoneyError::Comma),
            (",500", MoneyError::Comma),
            (",", MoneyError::Comma),
            ("1.234,56", MoneyError::Comma),
            ("0.0000000001", MoneyError::TooFine),
            ("100000000.01", MoneyError::TooLarge),
            ("99999999999999999999", MoneyError::TooLarge),
        ] {
            assert_eq!(text.parse::<Money>(), Err(error), "{text}");
        }
    }

    #[test]
    fn what_was_set_is_shown_to_its_last_digit() {
        for (typed, shown) in [
            ("12.345", "$12.345"),
            ("12.34", "$12.34"),
            ("1250", "$1,250.00"),
            ("1000000.123456789", "$1,000,000.123456789"),
            ("0.000321", "$0.000321"),
            ("0", "$0.00"),
        ] {
            assert_eq!(typed.parse::<Money>().map(Money::in_full), Ok(shown.to_owned()), "{typed}");
        }
        assert_eq!(Money(-2_500_000_000).in_full(), "−$2.50");
    }

    #[test]
    fn people_read_cents_and_small_amounts_never_as_nothing() {
        for (nanos, text) in [
            (0, "$0.00"),
            (1, "$0.000000001"),
            (320_000, "$0.00032"),
            (9_949_999, "$0.0099"),
            (9_950_000, "$0.01"),
            (9_999_999, "$0.01"),
            (125_000, "$0.00013"),
            (124_999, "$0.00012"),
            (10_000_000, "$0.01"),
            (379_415_000_000, "$379.42"),
            (1_234_567_890_000_000, "$1,234,567.89"),
            (-2_500_000_000, "−$2.50"),
        ] {
            assert_eq!(Money(nanos).to_string(), text);
        }
    }

    #[test]
    fn what_a_unit_costs_becomes_what_a_million_costs_digit_by_digit() {
        for (text, exact) in [
            ("1.5e-07", "0.15"),
            ("1.5E-07", "0.15"),
            ("0.00000015", "0.15"),
            ("2.5e-06", "2.50"),
            ("1e-05", "10.00"),
            ("7.5e-05", "75.00"),
            ("0.0", "0.00"),
            ("0", "0.00"),
            ("-0.0", "0.00"),
            ("0.04", "40000.00"),
            ("12", "12000000.00"),
            // What floats leave behind.
            ("6.000000000000001e-08", "0.06"),
            ("2.9999999999999997e-07", "0.30"),
            ("1.0000000000000002e-06", "1.00"),
            // A nano-dollar per million, its half, and less.
            ("1e-15", "0.000000001"),
            ("5e-16", "0.000000001"),
            ("4e-16", "0.00"),
            ("1e-300", "0.00"),
        ] {
            assert_eq!(Price::per_unit(text).map(Price::exact), Ok(exact.to_owned()), "{text}");
        }
        for (text, error) in [
            ("", MoneyError::Empty),
            ("-1e-06", MoneyError::Negative),
            ("NaN", MoneyError::NotANumber),
            ("Infinity", MoneyError::NotANumber),
            ("1e", MoneyError::NotANumber),
            ("1.2.3", MoneyError::NotANumber),
            ("e-7", MoneyError::NotANumber),
            ("0x1", MoneyError::NotANumber),
            ("1e99999999999", MoneyError::NotANumber),
            ("1e9", MoneyError::TooLarge),
            ("101", MoneyError::TooLarge),
            ("99999999999999999999999", MoneyError::TooLarge),
        ] {
            assert_eq!(Price::per_unit(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_price_per_unit_is_the_price_per_million_shifted(nanos in 1..=MAX_ENTERED) {
            prop_assert_eq!(Price::per_unit(&format!("{nanos}e-15")), Ok(Price(nanos)));
        }

        #[test]
        fn no_price_per_unit_panics(text in "[-+0-9.eE]{0,30}") {
            let _ = Price::per_unit(&text);
        }

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
