//! Months of an address.

use chrono::NaiveDate;

use super::AppError;

/// The first day of a month: `2026-11`.
///
/// # Errors
/// When it is no month: there is nothing at that address.
pub fn month(text: &str) -> Result<NaiveDate, AppError> {
    let digits = text.len() == 7 && text.bytes().enumerate().all(|(at, byte)| (at == 4) == (byte == b'-'));
    let day = digits.then(|| NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok()).flatten();
    day.ok_or(AppError::NotFound)
}
