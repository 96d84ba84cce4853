//! Questions about use: what is counted, by what it is split, in which steps of time.

mod without;

use chrono::{Datelike, Days, Months, NaiveDate, Weekday};
use serde::{Deserialize, Serialize};

pub use self::without::{Unreadable, Without};
use crate::{
    csv,
    money::{Money, grouped},
    spend::Sums,
    time,
    words::words,
};

words! {
    /// By what use is split.
    By("split") {
        /// The groups directly below.
        Group = "group",
        /// Applications.
        Application = "application",
        /// The keys of applications: each has one.
        Key = "key",
        /// The labels calls carried.
        UseCase = "use_case",
        /// People.
        User = "user",
        /// Models.
        Model = "model",
        /// Classes of models, as the catalogue has them now.
        Tier = "tier",
        /// Providers of models, as the catalogue has them now.
        Provider = "provider",
        /// What calls used of their key: streaming, tools and so on. A call may use several.
        Feature = "feature",
    }
}

impl By {
    /// How people call several of them.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Group => "Groups",
            Self::Application => "Applications",
            Self::Key => "Keys",
            Self::UseCase => "Use cases",
            Self::User => "People",
            Self::Model => "Models",
            Self::Tier => "Tiers",
            Self::Provider => "Providers",
            Self::Feature => "Features",
        }
    }

    /// How people call one of them.
    pub const fn one(self) -> &'static str {
        match self {
            Self::Group => "Group",
            Self::Application => "Application",
            Self::Key => "Key",
            Self::UseCase => "Use case",
            Self::User => "Person",
            Self::Model => "Model",
            Self::Tier => "Tier",
            Self::Provider => "Provider",
            Self::Feature => "Feature",
        }
    }

    /// What stands for those that have none of it.
    pub const fn none(self) -> &'static str {
        match self {
            Self::Group => "Its own applications",
            Self::Application => "Unknown application",
            Self::Key => "Unknown key",
            Self::UseCase => "No use case",
            Self::User => "No person (service secrets)",
            Self::Model => "No model",
            Self::Tier => "No tier",
            Self::Provider => "No provider",
            Self::Feature => "None of them",
        }
    }

    /// Whether one call may be in several of the parts, so that they come to more than the whole.
    pub const fn overlaps(self) -> bool {
        matches!(self, Self::Feature)
    }
}

words! {
    /// What is counted.
    Measure("measure") {
        /// What finished calls cost.
        Spend = "spend",
        /// Finished calls.
        Calls = "calls",
        /// All tokens.
        Tokens = "tokens",
        /// Input tokens that were neither read from nor written to a cache.
        Input = "input",
        /// Input tokens read from a cache.
        CacheRead = "cache_read",
        /// Input tokens written to a cache.
        CacheWrite = "cache_write",
        /// Output tokens that the caller sees.
        Output = "output",
        /// Output tokens spent on reasoning.
        Reasoning = "reasoning",
        /// Calls that were refused.
        Refused = "refused",
        /// Calls whose provider failed.
        Failed = "failed",
        /// Calls that were answered from what an earlier one brought.
        Cached = "cached",
        /// What those earlier calls had cost.
        Saved = "saved",
        /// What half of the calls took at most.
        Median = "p50",
        /// What 95 of a hundred calls took at most.
        Slow = "p95",
        /// How long calls took on average.
        Latency = "latency",
    }
}

impl Measure {
    /// How people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Spend => "Spend",
            Self::Calls => "Calls",
            Self::Tokens => "Tokens, all",
            Self::Input => "Input tokens",
            Self::CacheRead => "Cached input tokens",
            Self::CacheWrite => "Cache write tokens",
            Self::Output => "Output tokens",
            Self::Reasoning => "Reasoning tokens",
            Self::Refused => "Refused calls",
            Self::Failed => "Failed calls",
            Self::Cached => "Calls from the cache",
            Self::Saved => "Saved by the cache",
            Self::Median => "Duration, half of the calls (p50)",
            Self::Slow => "Duration, 95 of 100 calls (p95)",
            Self::Latency => "Duration, mean",
        }
    }

    /// How much of it there is. None: a mean of nothing.
    pub fn of(self, sums: &Sums) -> Option<i64> {
        match self {
            Self::Spend => Some(sums.spend.0),
            Self::Calls => Some(sums.calls),
            Self::Tokens => Some(sums.input_tokens() + sums.output_tokens()),
            Self::Input => Some(sums.input),
            Self::CacheRead => Some(sums.cache_read),
            Self::CacheWrite => Some(sums.cache_write),
            Self::Output => Some(sums.output),
            Self::Reasoning => Some(sums.reasoning),
            Self::Refused => Some(sums.refused),
            Self::Failed => Some(sums.failed),
            Self::Cached => Some(sums.cached),
            Self::Saved => Some(sums.saved.0),
            Self::Median => sums.durations.within(50),
            Self::Slow => sums.durations.within(95),
            Self::Latency => sums.duration_ms.checked_div(sums.calls),
        }
    }

    /// Whether parts add up to the whole. A mean does not.
    pub const fn adds_up(self) -> bool {
        !matches!(self, Self::Latency | Self::Median | Self::Slow)
    }

    /// Whether it is read from how many calls took how long.
    pub const fn is_percentile(self) -> bool {
        matches!(self, Self::Median | Self::Slow)
    }

    /// An amount as people read it: `$5.00`, `60`, `840 ms`.
    pub fn show(self, amount: i64) -> String {
        match self {
            Self::Spend | Self::Saved => Money(amount).to_string(),
            Self::Latency | Self::Median | Self::Slow => millis(amount),
            _ => grouped(amount.unsigned_abs()),
        }
    }

    /// An amount to its last digit, as programs read it: dollars, counts, milliseconds.
    pub fn exact(self, amount: i64) -> String {
        match self {
            Self::Spend | Self::Saved => Money(amount).exact(),
            _ => amount.to_string(),
        }
    }

    /// The outcome of the calls it counts, as the list of calls filters by it.
    pub const fn ended(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Failed => "upstream_error",
            Self::Cached | Self::Saved => "cached",
            _ => "finished",
        }
    }
}

/// `840 ms`, `2.4 s`.
pub fn millis(amount: i64) -> String {
    if amount < 1000 {
        format!("{amount} ms")
    } else {
        let tenths = (amount + 50) / 100;
        format!("{}.{} s", tenths / 10, tenths % 10)
    }
}

words! {
    /// The steps of time.
    Interval("interval") {
        /// Calendar days.
        Day = "day",
        /// Calendar weeks.
        Week = "week",
        /// Calendar months.
        Month = "month",
    }
}

impl Interval {
    /// The first day of the step a day falls into.
    pub fn first(self, day: NaiveDate, week_start: Weekday) -> NaiveDate {
        match self {
            Self::Day => day,
            Self::Week => day.week(week_start).first_day(),
            Self::Month => day.with_day(1).unwrap_or(day),
        }
    }

    /// The first day of the step after the one that begins on `first`.
    pub fn next(self, first: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => first.checked_add_days(Days::new(1)),
            Self::Week => first.checked_add_days(Days::new(7)),
            Self::Month => first.checked_add_months(Months::new(1)),
        }
        .unwrap_or(NaiveDate::MAX)
    }

    /// The steps that days from `from` until before `to` fall into: each from its first day in the
    /// period until before its last.
    pub fn steps(self, from: NaiveDate, to: NaiveDate, week_start: Weekday) -> Vec<(NaiveDate, NaiveDate)> {
        let mut steps = Vec::new();
        let mut day = from;
        while day < to {
            let next = self.next(self.first(day, week_start)).min(to);
            steps.push((day, next));
            day = next;
        }
        steps
    }
}

/// Some days: from `from` until before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// The first day.
    pub from: NaiveDate,
    /// The first day after.
    pub to: NaiveDate,
}

impl Period {
    /// How many days it has.
    pub fn days(self) -> i64 {
        (self.to - self.from).num_days().max(0)
    }

    /// Its last day.
    pub fn last(self) -> NaiveDate {
        self.to.pred_opt().unwrap_or(self.to)
    }

    /// As many days just before.
    #[must_use]
    pub fn before(self) -> Self {
        let days = Days::new(self.days().unsigned_abs());
        Self { from: self.from.checked_sub_days(days).unwrap_or(self.from), to: self.from }
    }
}

/// How many days a table looks at, at most.
pub const DAYS_MAX: i64 = 800;
/// How many it looks at where nobody says which.
const USUAL: u64 = 30;

/// The days an address asks for, from the first to the last, both included. What it does not say: up to
/// today, and thirty days.
///
/// # Errors
/// What is wrong with them, in a sentence.
pub fn chosen(from: &str, to: &str, today: NaiveDate) -> Result<Period, String> {
    let read = |text: &str| match text.trim() {
        "" => Ok(None),
        text => text
            .parse::<NaiveDate>()
            .ok()
            .filter(|day| (1970..=9999).contains(&day.year()))
            .map(Some)
            .ok_or_else(|| format!("“{}” is no day.", text.chars().take(40).collect::<String>())),
    };
    let last = read(to)?.unwrap_or(today);
    let to = last.succ_opt().unwrap_or(last);
    let from = read(from)?.or(to.checked_sub_days(Days::new(USUAL))).unwrap_or(last);
    let period = Period { from, to };
    if from > last {
        return Err(format!("The first day, {}, is after the last, {}.", time::date(from), time::date(last)));
    }
    if period.days() > DAYS_MAX {
        return Err(format!("These are {} days, and at most {DAYS_MAX} are shown at a time.", period.days()));
    }
    Ok(period)
}

/// One thing in a table of use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Which, as filters name it: an id, a label, or [`NONE`]. None: all the rest together.
    pub key: Option<String>,
    /// What it is called.
    pub name: String,
    /// Sums of each step.
    pub cells: Vec<Sums>,
    /// Sums of the period.
    pub total: Sums,
    /// Sums of the period before.
    pub before: Sums,
}

/// What filters write for calls that have none of something.
pub const NONE: &str = "-";

/// A table of use: things down, time across.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explored {
    /// What is counted.
    pub measure: Measure,
    /// By what it is split.
    pub by: By,
    /// The steps of time.
    pub interval: Interval,
    /// The time it looks at.
    pub period: Period,
    /// The time it is compared with.
    pub before: Period,
    /// Each step: from its first day until before its last.
    pub steps: Vec<(NaiveDate, NaiveDate)>,
    /// The largest things, the largest first, and all the rest together.
    pub rows: Vec<Row>,
    /// What the rest is made of, as far as it is listed, without steps.
    pub more: Vec<Row>,
    /// How many things there are.
    pub things: usize,
    /// Everything, each call once: where parts overlap, adding them up would say too much.
    pub whole: Option<Row>,
    /// The first day on which anything was counted at all, by anybody.
    pub began: Option<NaiveDate>,
}

impl Explored {
    /// Sums of the period.
    pub fn total(&self) -> Sums {
        if let Some(whole) = &self.whole {
            return whole.total;
        }
        self.rows.iter().map(|row| row.total).sum()
    }

    /// Sums of the period before.
    pub fn total_before(&self) -> Sums {
        if let Some(whole) = &self.whole {
            return whole.before;
        }
        self.rows.iter().map(|row| row.before).sum()
    }

    /// Sums of one step.
    pub fn step(&self, place: usize) -> Sums {
        if let Some(whole) = &self.whole {
            return whole.cells.get(place).copied().unwrap_or_default();
        }
        self.rows.iter().filter_map(|row| row.cells.get(place)).copied().sum()
    }

    /// Whether the time before was counted from its first day on: otherwise nothing is compared with it.
    pub fn comparable(&self) -> bool {
        self.began.is_none_or(|began| began <= self.before.from)
    }

    /// What it names, so that the rest can be asked for; nothing where parts overlap or nothing is left over.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().filter_map(|row| row.key.as_deref())
    }

    /// One sentence about the largest change.
    pub fn what_changed(&self) -> String {
        let measure = self.measure;
        if let Some(began) = self.began.filter(|_| !self.comparable()) {
            let began = time::date(began);
            return format!(
                "Calls are counted since {began}, which is not the whole time before: there is nothing to compare with yet."
            );
        }
        let amount = |sums: &Sums| measure.of(sums).unwrap_or_default();
        let listed = self.rows.iter().filter(|row| row.key.is_some()).chain(&self.more);
        let moved = listed.max_by_key(|row| (amount(&row.total) - amount(&row.before)).abs());
        let total = self.total();
        let Some(row) = moved.filter(|_| total != Sums::default() || self.total_before() != Sums::default())
        else {
            return "Nothing was counted in this time, nor in the time before.".to_owned();
        };
        let (now, before) = (amount(&row.total), amount(&row.before));
        let (is, was) = (measure.show(now), measure.show(before));
        match (now, before) {
            (now, before) if now == before => "Nothing changed against the time before.".to_owned(),
            (_, 0) => format!("What changed most: {} is new, with {is}.", row.name),
            (0, _) => format!("What changed most: {} stopped; it had {was} in the time before.", row.name),
            (now, before) => {
                let word = if now > before { "rose" } else { "fell" };
                format!(
                    "What changed most: {} {word} from {was} to {is}, by {}.",
                    row.name,
                    percent(now, before)
                )
            }
        }
    }

    /// The day on which one thing was furthest above what it usually has on that day of the week: at
    /// least twice that, and a twentieth of everything. Usually: the mean of the other such days.
    pub fn spike(&self) -> Option<Spike<'_>> {
        let measure = self.measure;
        if self.interval != Interval::Day || !measure.adds_up() {
            return None;
        }
        let least = measure.of(&self.total()).unwrap_or_default() / 20;
        let mut found: Option<Spike<'_>> = None;
        for row in self.rows.iter().filter(|row| row.key.is_some()) {
            let amounts: Vec<i64> =
                row.cells.iter().map(|sums| measure.of(sums).unwrap_or_default()).collect();
            for (place, amount) in amounts.iter().copied().enumerate() {
                let (mut sum, mut count) = (0_i64, 0_i64);
                for other in (place % 7..amounts.len()).step_by(7).filter(|other| *other != place) {
                    sum += amounts[other];
                    count += 1;
                }
                let usual = sum.checked_div(count).unwrap_or_default();
                let far = count >= 2 && usual > 0 && amount >= 2 * usual && amount - usual > least;
                if far && found.as_ref().is_none_or(|best| amount - usual > best.amount - best.usual) {
                    found = Some(Spike { row, day: self.steps[place].0, amount, usual });
                }
            }
        }
        found
    }

    /// The whole table as comma-separated values: a line for each step and thing that has any. Where
    /// things overlap, lines of `all` say what there was, each call once.
    pub fn csv(&self) -> String {
        let mut out = csv::line(["from", "to", self.by.as_str(), "name", self.measure.as_str(), "calls"]);
        let whole = self.whole.as_ref().filter(|_| self.by.overlaps());
        for (row, rest) in self.rows.iter().map(|row| (row, "other")).chain(whole.map(|row| (row, "all"))) {
            for ((from, to), sums) in self.steps.iter().zip(&row.cells) {
                let Some(amount) = self.measure.of(sums).filter(|_| *sums != Sums::default()) else {
                    continue;
                };
                let last = to.pred_opt().unwrap_or(*to);
                let key = match row.key.as_deref() {
                    None => rest,
                    Some(NONE) => "none",
                    Some(key) => key,
                };
                out += &csv::line([
                    from.to_string().as_str(),
                    &last.to_string(),
                    key,
                    &row.name,
                    &self.measure.exact(amount),
                    &sums.calls.to_string(),
                ]);
            }
        }
        out
    }
}

/// A thing far above its usual on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spike<'a> {
    /// Which.
    pub row: &'a Row,
    /// When.
    pub day: NaiveDate,
    /// How much there was.
    pub amount: i64,
    /// How much there usually is.
    pub usual: i64,
}

impl Spike<'_> {
    /// `3.1 times its usual Tuesday`.
    pub fn words(&self) -> String {
        let usual = i128::from(self.usual.max(1));
        let tenths = (i128::from(self.amount) * 20 + usual) / (usual * 2);
        format!("{}.{} times its usual {}", tenths / 10, tenths % 10, self.day.format("%A"))
    }
}

/// How much one amount is away from another: `12 %`, `×3.1`.
fn percent(now: i64, before: i64) -> String {
    let (now, before) = (i128::from(now), i128::from(before).max(1));
    if now >= before * 3 {
        let tenths = (now * 20 + before) / (before * 2);
        return format!("a factor of {}.{}", tenths / 10, tenths % 10);
    }
    // To the nearest, as tables say it.
    format!("{} %", ((now - before).abs() * 200 + before) / (before * 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn steps_cover_a_period_without_gaps_and_stay_inside() {
        for (interval, from, to, firsts) in [
            (Interval::Day, "2026-11-29", "2026-12-02", vec!["2026-11-29", "2026-11-30", "2026-12-01"]),
            (Interval::Week, "2026-11-04", "2026-11-20", vec!["2026-11-04", "2026-11-09", "2026-11-16"]),
            (Interval::Month, "2026-01-31", "2026-03-02", vec!["2026-01-31", "2026-02-01", "2026-03-01"]),
            (Interval::Day, "2026-11-29", "2026-11-29", vec![]),
        ] {
            let steps = interval.steps(day(from), day(to), Weekday::Mon);
            assert_eq!(
                steps.iter().map(|step| step.0).collect::<Vec<_>>(),
                firsts.into_iter().map(day).collect::<Vec<_>>()
            );
            assert!(steps.windows(2).all(|pair| pair[0].1 == pair[1].0));
            assert_eq!(steps.last().map_or(day(to), |step| step.1), day(to));
        }
    }

    #[test]
    fn a_week_begins_on_the_day_the_organization_says() {
        let thursday = day("2026-11-26");
        assert_eq!(Interval::Week.first(thursday, Weekday::Mon), day("2026-11-23"));
        assert_eq!(Interval::Week.first(thursday, Weekday::Sun), day("2026-11-22"));
    }

    fn row(name: &str, now: i64, before: i64) -> Row {
        let sums = |cents| Sums { calls: 1, spend: Money::cents(cents), ..Sums::default() };
        Row {
            key: Some(name.to_owned()),
            name: name.to_owned(),
            cells: vec![sums(now)],
            total: sums(now),
            before: sums(before),
        }
    }

    fn table(rows: Vec<Row>) -> Explored {
        let period = Period { from: day("2026-11-01"), to: day("2026-11-02") };
        Explored {
            measure: Measure::Spend,
            by: By::Application,
            interval: Interval::Day,
            period,
            before: period.before(),
            steps: vec![(period.from, period.to)],
            things: rows.len(),
            rows,
            more: Vec::new(),
            whole: None,
            began: None,
        }
    }

    #[test]
    fn what_changed_most_is_said_in_one_sentence() {
        for (rows, sentence) in [
            (
                vec![row("a", 150, 100), row("b", 120, 100)],
                "What changed most: a rose from $1.00 to $1.50, by 50 %.",
            ),
            (
                vec![row("a", 110, 100), row("b", 20, 100)],
                "What changed most: b fell from $1.00 to $0.20, by 80 %.",
            ),
            (vec![row("a", 83, 120)], "What changed most: a fell from $1.20 to $0.83, by 31 %."),
            (vec![row("a", 310, 100)], "What changed most: a rose from $1.00 to $3.10, by a factor of 3.1."),
            (vec![row("a", 100, 100), row("b", 30, 0)], "What changed most: b is new, with $0.30."),
            (vec![row("a", 0, 30)], "What changed most: a stopped; it had $0.30 in the time before."),
            (vec![row("a", 100, 100)], "Nothing changed against the time before."),
            (vec![], "Nothing was counted in this time, nor in the time before."),
        ] {
            assert_eq!(table(rows).what_changed(), sentence);
        }
    }

    #[test]
    fn days_that_cannot_be_shown_are_said_to_be_so() {
        let today = day("2026-11-20");
        for (from, to, days) in
            [("", "", 30), ("2026-11-20", "", 1), ("2026-11-01", "2026-11-03", 3), ("", "2026-01-31", 30)]
        {
            assert_eq!(chosen(from, to, today).map(Period::days), Ok(days), "{from} {to}");
        }
        for (from, to, sentence) in [
            ("2026-11-03", "2026-11-01", "The first day, 3 Nov 2026, is after the last, 1 Nov 2026."),
            ("2021-11-03", "2026-11-01", "These are 1825 days, and at most 800"),
            ("nope", "", "“nope” is no day."),
            ("", "2026-02-30", "“2026-02-30” is no day."),
            ("+262142-01-01", "", "is no day."),
            ("2026-11-21", "", "is after the last"),
        ] {
            let told = chosen(from, to, today).unwrap_err();
            assert!(told.contains(sentence), "{told}");
        }
    }

    #[test]
    fn what_was_not_counted_is_compared_with_nothing() {
        let mut one = table(vec![row("a", 5900, 100)]);
        for (began, comparable) in [
            (one.before.from.pred_opt(), true),
            (Some(one.before.from), true),
            (one.before.from.succ_opt(), false),
            (one.period.to.pred_opt(), false),
            (None, true),
        ] {
            one.began = began;
            assert_eq!(one.comparable(), comparable, "{began:?}");
            assert_eq!(one.what_changed().contains("a factor of 59"), comparable, "{began:?}");
            assert_eq!(one.what_changed().starts_with("Calls are counted since "), !comparable);
        }
    }

    #[test]
    fn a_day_far_above_its_usual_is_found_and_one_that_is_always_so_is_not() {
        let days = |amounts: [i64; 28]| {
            let mut row = row("bot", amounts.iter().sum(), 0);
            row.cells = amounts.map(|cents| Sums { spend: Money::cents(cents), ..Sums::default() }).to_vec();
            let mut table = table(vec![row]);
            table.period = Period { from: day("2026-11-01"), to: day("2026-11-29") };
            table.steps = Interval::Day.steps(table.period.from, table.period.to, Weekday::Mon);
            table
        };
        // Mondays are always much.
        let mut amounts = [10_i64; 28];
        for place in (1..28).step_by(7) {
            amounts[place] = 90;
        }
        assert_eq!(days(amounts).spike(), None);
        amounts[16] = 310;
        let table = days(amounts);
        let spike = table.spike().unwrap();
        assert_eq!((spike.day, spike.amount, spike.usual), (day("2026-11-17"), 3_100_000_000, 100_000_000));
        assert_eq!(spike.words(), "31.0 times its usual Tuesday");
    }

    #[test]
    fn where_parts_overlap_the_whole_is_not_their_sum() {
        let mut overlapping = table(vec![row("streaming", 150, 100), row("tools", 120, 100)]);
        assert_eq!(overlapping.total().spend, Money::cents(270));
        overlapping.whole = Some(row("all", 160, 110));
        assert_eq!(overlapping.total().spend, Money::cents(160));
        assert_eq!(overlapping.total_before().spend, Money::cents(110));
        assert_eq!((overlapping.step(0).spend, overlapping.step(9).spend), (Money::cents(160), Money::ZERO));
        overlapping.by = By::Feature;
        if let Some(whole) = &mut overlapping.whole {
            (whole.key, whole.name) = (None, "All calls".to_owned());
        }
        let text = overlapping.csv();
        let told: Vec<&str> = text
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(",2026-11-01,"))
            .map(|(_, rest)| rest)
            .collect();
        assert_eq!(told, ["streaming,streaming,1.50,1", "tools,tools,1.20,1", "all,All calls,1.60,1"]);
    }

    #[test]
    fn a_table_is_written_with_exact_amounts() {
        let mut one = row("=cmd", 0, 0);
        one.cells[0].spend = Money(1);
        let text = table(vec![one, row("b", 150, 0)]).csv();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0], "from,to,application,name,spend,calls");
        assert_eq!(lines[1], "2026-11-01,2026-11-01,'=cmd,'=cmd,0.000000001,1");
        assert_eq!(lines[2..], ["2026-11-01,2026-11-01,b,b,1.50,1", ""]);
    }

    #[test]
    fn a_mean_of_nothing_is_not_zero() {
        assert_eq!(Measure::Latency.of(&Sums::default()), None);
        assert_eq!(Measure::Latency.of(&Sums { calls: 3, duration_ms: 10, ..Sums::default() }), Some(3));
        assert_eq!((millis(840), millis(2_449)), ("840 ms".to_owned(), "2.4 s".to_owned()));
    }
}
