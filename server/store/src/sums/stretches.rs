//! A period cut into stretches: whole months where they serve, and single days.

use chrono::{Datelike, Months, NaiveDate};

/// Days that are read as months or one by one, and added or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub months: bool,
    pub sign: i32,
    pub from: NaiveDate,
    pub to: NaiveDate,
    pub step: NaiveDate,
}

/// Segments as columns of a query.
pub(super) struct Columns {
    pub grains: Vec<String>,
    pub from: Vec<NaiveDate>,
    pub to: Vec<NaiveDate>,
    pub steps: Vec<NaiveDate>,
    pub signs: Vec<i32>,
}

impl Columns {
    pub fn of(segments: &[Segment]) -> Self {
        let column = |of: fn(&Segment) -> NaiveDate| segments.iter().map(of).collect::<Vec<_>>();
        let grain = |segment: &Segment| if segment.months { "month" } else { "day" }.to_owned();
        Self {
            grains: segments.iter().map(grain).collect(),
            from: column(|segment| segment.from),
            to: column(|segment| segment.to),
            steps: column(|segment| segment.step),
            signs: segments.iter().map(|segment| segment.sign).collect(),
        }
    }
}

/// Cuts days into whole months and single days: of a month of which more than half is meant, the month
/// without its other days. Nothing comes after today, so the month that runs ends with it.
pub(super) fn whole_months(
    from: NaiveDate,
    to: NaiveDate,
    today: NaiveDate,
    step: NaiveDate,
    months: bool,
) -> Vec<Segment> {
    let days = |sign, from, to| Segment { months: false, sign, from, to, step };
    if !months {
        return vec![days(1, from, to)];
    }
    let mut parts: Vec<Segment> = Vec::new();
    let mut month = from.with_day(1).unwrap_or(from);
    while month < to {
        let next = month.checked_add_months(Months::new(1)).unwrap_or(to);
        let end = if today < next { today.succ_opt().unwrap_or(next).max(month) } else { next };
        let (first, last) = (from.max(month), to.min(end));
        let (inside, outside) = (last - first, (first - month) + (end - last));
        if outside < inside {
            match parts.last_mut().filter(|part| part.months && part.to == month) {
                Some(part) => part.to = next,
                None => parts.push(Segment { months: true, sign: 1, from: month, to: next, step }),
            }
            parts.extend(
                [days(-1, month, first), days(-1, last, end)].into_iter().filter(|part| part.from < part.to),
            );
        } else if first < last {
            parts.push(days(1, first, last));
        }
        month = next;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn cut(from: &str, to: &str) -> Vec<String> {
        let parts = whole_months(day(from), day(to), day("2026-11-20"), day(from), true);
        let sign = |part: &Segment| if part.sign < 0 { "without " } else { "" };
        let grain = |part: &Segment| if part.months { "months" } else { "days" };
        parts.iter().map(|part| format!("{}{} {}..{}", sign(part), grain(part), part.from, part.to)).collect()
    }

    #[test]
    fn whole_months_are_read_as_months_and_the_rest_by_day() {
        assert_eq!(cut("2026-01-01", "2026-03-01"), ["months 2026-01-01..2026-03-01"]);
        assert_eq!(
            cut("2026-01-20", "2026-04-05"),
            ["days 2026-01-20..2026-02-01", "months 2026-02-01..2026-04-01", "days 2026-04-01..2026-04-05"]
        );
        assert_eq!(cut("2026-03-10", "2026-03-20"), ["days 2026-03-10..2026-03-20"]);
    }

    #[test]
    fn of_most_of_a_month_the_other_days_are_taken_away() {
        assert_eq!(
            cut("2026-01-10", "2026-03-05"),
            [
                "months 2026-01-01..2026-02-01",
                "without days 2026-01-01..2026-01-10",
                "months 2026-02-01..2026-03-01",
                "days 2026-03-01..2026-03-05"
            ]
        );
        assert_eq!(
            cut("2026-03-02", "2026-03-30"),
            [
                "months 2026-03-01..2026-04-01",
                "without days 2026-03-01..2026-03-02",
                "without days 2026-03-30..2026-04-01"
            ]
        );
    }

    #[test]
    fn the_month_that_runs_ends_today() {
        assert_eq!(cut("2026-10-01", "2026-11-21"), ["months 2026-10-01..2026-12-01"]);
        assert_eq!(
            cut("2026-11-01", "2026-11-19"),
            ["months 2026-11-01..2026-12-01", "without days 2026-11-19..2026-11-21"]
        );
        assert_eq!(cut("2026-11-18", "2026-11-25"), ["days 2026-11-18..2026-11-21"]);
    }
}
