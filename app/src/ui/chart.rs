//! Charts, drawn as SVG wherever the page is drawn: there without script. Each step of time is a
//! link to what it counts, so that a keyboard reads it step by step; beside the chart is a table, and
//! a file of it. Things are shown and hidden by links, so that the address says which; the read-out
//! and choosing days by drawing over them are alive in the browser (`ui/brush.rs`).

use chrono::{Datelike, NaiveDate};
use domain::{
    csv,
    explore::{Explored, Interval, Measure},
    money::{Money, NANOS, grouped},
    time,
};
use leptos::prelude::*;

use super::query;

const LEFT: f64 = 62.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 28.0;

/// How things are marked: by a colour, by what is laid over it, and by an edge.
macro_rules! marks {
    ($($colour:literal),*) => {
        [$([
            marks!(@$colour, ""), marks!(@$colour, " striped"), marks!(@$colour, " slanted"),
            marks!(@$colour, " dotted"), marks!(@$colour, " ruled"), marks!(@$colour, " columned"),
        ]),*]
    };
    (@$colour:literal, $texture:literal) => {
        [concat!($colour, $texture), concat!($colour, $texture, " edged"), concat!($colour, $texture, " ringed")]
    };
}

/// Of how many things there may be over a colour, nothing included.
const TEXTURES: usize = 6;

/// A thing has its colour and its texture everywhere, whatever it is drawn with: both come of its id alone.
/// So two of a chart may have the same: then the one whose id is the greater has an edge as well, and those
/// after it a broken one. What is left over has a colour of its own.
const MARKS: [[[&str; 3]; TEXTURES]; 8] = marks!("s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8");

/// What the address hides.
const HIDE: &str = "hide";

/// A drawing for one width of screen: shrunk to another, its words could not be read.
#[derive(Clone, Copy)]
struct Sheet {
    class: &'static str,
    width: f64,
    height: f64,
    /// About how many labels fit under it.
    labels: usize,
}

const SHEETS: [Sheet; 2] = [
    Sheet { class: "large", width: 960.0, height: 224.0, labels: 8 },
    Sheet { class: "small", width: 340.0, height: 190.0, labels: 4 },
];

/// One thing of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Which, in the address: without commas.
    pub key: String,
    /// What it is called.
    pub name: String,
    /// Its mark: `s1` to `s8`, with what is laid over it, or `rest`.
    pub class: &'static str,
}

impl Series {
    /// Whether the address hides it.
    fn hidden(&self, hidden: &str) -> bool {
        hidden.split(',').any(|key| key == self.key)
    }

    /// This page with it hidden, or shown.
    fn turned(&self, hidden: bool) -> String {
        query::href(&[(HIDE, Some(&query::turned(HIDE, &self.key, hidden)))])
    }
}

/// One step of time.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it is called: a day, a week, a month.
    pub label: String,
    /// How it is called under the chart.
    pub short: String,
    /// One amount for each series; none where there is nothing to take a mean of.
    pub parts: Vec<Option<i64>>,
    /// All of it; none where there is nothing, or where the parts are views of one thing.
    pub whole: Option<i64>,
    /// The calls behind it.
    pub href: String,
    /// Its first and its last day.
    pub days: (NaiveDate, NaiveDate),
}

/// The time before, as a line over a chart.
#[derive(Clone, Debug)]
pub struct Before {
    /// What it is called: `October`.
    pub name: String,
    /// What each step's counterpart came to.
    pub amounts: Vec<i64>,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What is counted.
    pub measure: Measure,
    /// Whether the parts of a step come to its whole. Two views of one thing do not: they are lines.
    pub stacked: bool,
    /// What it shows.
    pub title: String,
    /// What is to be seen in it, in one sentence.
    pub sentence: String,
    /// What the colours stand for.
    pub series: Vec<Series>,
    /// The steps so far.
    pub steps: Vec<Step>,
    /// Steps to come: how they are called under the chart, and what they are expected to be.
    pub ahead: Vec<(String, Option<i64>)>,
    /// What it is compared with.
    pub before: Option<Before>,
    /// The page that shows some days of it: its address without them.
    pub brush: Option<String>,
    /// Where the same is as a file; none: the file is in the page.
    pub csv: Option<String>,
}

impl Chart {
    /// The sum of what is shown in a step, or the highest.
    fn height_of(&self, step: &Step, hidden: &[bool]) -> i64 {
        let amounts =
            step.parts.iter().zip(hidden).filter(|(_, hidden)| !**hidden).filter_map(|(part, _)| *part);
        if self.stacked { amounts.fold(0, i64::saturating_add) } else { amounts.max().unwrap_or(0) }
    }

    /// A step in words: its sum, the time before, and its parts.
    fn read_out(&self, place: usize, hidden: &[bool]) -> String {
        let Some(step) = self.steps.get(place) else { return String::new() };
        let measure = self.measure;
        // Two views of one thing have no sum, only themselves.
        let views = step.whole.is_none() && step.parts.iter().any(Option::is_some);
        let mut text = match step.whole {
            Some(whole) => format!("{}: {}", step.label, measure.show(whole)),
            None if views => step.label.clone(),
            None => format!("{}: nothing", step.label),
        };
        if let Some((name, amount)) =
            self.before.as_ref().and_then(|before| Some((&before.name, before.amounts.get(place)?)))
        {
            text += &format!(" ({name} {})", measure.show(*amount));
        }
        for ((part, series), hidden) in step.parts.iter().zip(&self.series).zip(hidden) {
            if let Some(part) = part.filter(|part| (*part != 0 || views) && !hidden) {
                text += &format!(" · {} {}", series.name, measure.show(part));
            }
        }
        text
    }

    /// The chart as comma-separated values, as an address.
    fn file(&self) -> String {
        let names = self.series.iter().map(|series| series.name.as_str());
        let mut text = csv::line(["from", "to"].into_iter().chain(names));
        for step in &self.steps {
            let mut cells = vec![step.days.0.to_string(), step.days.1.to_string()];
            cells.extend(
                step.parts.iter().map(|part| part.map(|part| self.measure.exact(part)).unwrap_or_default()),
            );
            text += &csv::line(cells.iter().map(String::as_str));
        }
        format!("data:text/csv;charset=utf-8,{}", query::encoded(&text))
    }
}

/// The things of a table with their marks.
pub fn series(table: &Explored) -> Vec<Series> {
    let keys: Vec<&str> = table.rows.iter().filter_map(|row| row.key.as_deref()).collect();
    let class = |key: Option<&str>| {
        let Some(key) = key else { return "rest" };
        let mark = mark(key);
        let twins = keys.iter().filter(|other| **other < key && self::mark(other) == mark).count();
        MARKS[mark.0][mark.1][twins.min(2)]
    };
    table
        .rows
        .iter()
        .map(|row| Series {
            key: row.key.as_deref().unwrap_or("other").replace(',', ";"),
            name: row.name.clone(),
            class: class(row.key.as_deref()),
        })
        .collect()
}

/// The colour of a thing and its texture. Plain ones are the easiest to read: there are twice as many.
fn mark(key: &str) -> (usize, usize) {
    // FNV-1a: the same everywhere, for ever.
    let hash =
        key.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    // Ids that were made together differ in a few letters: every bit of the hash has its part in what is
    // taken of it (the end of MurmurHash3).
    let mixed = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    let mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    let mixed = (mixed ^ (mixed >> 16)) as usize;
    let colours = MARKS.len();
    (mixed % colours, (mixed / colours % (TEXTURES + 1)).saturating_sub(1))
}

/// What is laid over the colour of a mark.
fn texture(class: &str) -> Option<&str> {
    class.split(' ').find(|word| ["striped", "slanted", "dotted", "ruled", "columned"].contains(word))
}

/// How a step is called: `22 Nov 2026`, `16–22 Nov 2026`, `November 2026`.
pub fn step_label(interval: Interval, from: NaiveDate, to: NaiveDate) -> String {
    let last = to.pred_opt().unwrap_or(to);
    match interval {
        Interval::Month if from.day() == 1 && to.day() == 1 => from.format("%B %Y").to_string(),
        _ if from == last => time::date(from),
        _ => format!("{} – {}", time::day(from), time::date(last)),
    }
}

/// How a step is called where there is little room.
pub fn step_short(interval: Interval, from: NaiveDate) -> String {
    match interval {
        Interval::Month => from.format("%b %y").to_string(),
        Interval::Day | Interval::Week => time::day(from),
    }
}

/// A chart and the table behind it.
#[component]
pub fn ChartView(
    /// What is drawn.
    chart: Chart,
    /// Whether a table of the same stands elsewhere on the page.
    #[prop(optional)]
    bare: bool,
) -> impl IntoView {
    if chart.steps.is_empty() || chart.series.is_empty() {
        return view! { <p class="pad muted">"Nothing yet."</p> }.into_any();
    }
    let hide = query::value(HIDE);
    let hidden: Vec<bool> = chart.series.iter().map(|series| series.hidden(&hide)).collect();
    let drawings = SHEETS.map(|sheet| drawing(sheet, &chart, &hidden)).collect_view();
    let table = (!bare).then(|| table(&chart));
    let mut told: Vec<String> = (0..chart.steps.len()).map(|place| chart.read_out(place, &hidden)).collect();
    let last = told.last().cloned().unwrap_or_default();
    // The longest keeps the place for every other: none is cut, and the chart stays where it is.
    told.sort_by_key(|text| text.chars().count());
    let longest = told.pop();
    let how = chart
        .brush
        .is_some()
        .then_some("Arrow keys go from step to step; with Shift they choose days, and Enter shows those.");
    view! {
        <div class="chart" data-brush=chart.brush.clone()>
            <div class="read-space num" data-longest=longest aria-hidden="true"><p class="read-out">{last}</p></div>
            {drawings}
            <p class="sr" role="status"></p>
            {how.map(|how| view! { <p class="sr">{how}</p> })}
        </div>
        {table}
    }
    .into_any()
}

fn table(chart: &Chart) -> impl IntoView + use<> {
    let measure = chart.measure;
    let all = chart.stacked && chart.series.len() > 1;
    let head = chart.series.iter().map(|one| view! { <th class="r">{one.name.clone()}</th> }).collect_view();
    let before = chart.before.as_ref();
    let cell = move |amount: Option<i64>| {
        let exact = amount.map(|amount| measure.exact(amount));
        view! { <td class="r num">{exact.map(|exact| view! { <data value=exact>{shown(measure, amount)}</data> })}</td> }
    };
    let rows = chart
        .steps
        .iter()
        .enumerate()
        .map(|(place, step)| {
            let cells = step.parts.iter().map(|part| cell(*part)).collect_view();
            let then = before.map(|before| cell(before.amounts.get(place).copied()));
            view! { <tr><td class="nw"><a href=step.href.clone()>{step.label.clone()}</a></td>{all.then(|| cell(step.whole))}{cells}{then}</tr> }
        })
        .collect_view();
    let then = before.map(|before| view! { <th class="r">{before.name.clone()}</th> });
    let file = chart.csv.clone().unwrap_or_else(|| chart.file());
    let name = format!("{}.csv", chart.title.to_lowercase().replace(' ', "-"));
    view! {
        <div class="chart-foot">
            <details class="as-table">
                <summary>"As a table"</summary>
                <div class="scroll" tabindex="0" role="region" aria-label=format!("{}, as a table", chart.title)>
                    <table class="table">
                        <thead><tr><th>"When"</th>{all.then(|| view! { <th class="r">"All"</th> })}{head}{then}</tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            </details>
            <a class="link" href=file download=name>"Download CSV"</a>
        </div>
    }
}

/// An amount, or a gap.
pub fn shown(measure: Measure, amount: Option<i64>) -> String {
    amount.map_or_else(|| "–".to_owned(), |amount| measure.show(amount))
}

/// The chart on one sheet.
fn drawing(sheet: Sheet, chart: &Chart, hidden: &[bool]) -> impl IntoView + use<> {
    let measure = chart.measure;
    let stacked = chart.stacked;
    let slots = (chart.steps.len() + chart.ahead.len()).max(1);
    // Of a part, neither the time before nor what is to come is known.
    let whole = !hidden.contains(&true);
    let before =
        chart.before.as_ref().filter(|_| whole).map(|before| before.amounts.as_slice()).unwrap_or_default();
    let before = &before[..before.len().min(slots)];
    let to_come = if whole { chart.ahead.as_slice() } else { &[] };
    let ahead =
        to_come.iter().filter_map(|(_, amount)| *amount).chain(before.iter().copied()).max().unwrap_or(0);
    let highest = chart.steps.iter().map(|step| chart.height_of(step, hidden)).max().unwrap_or(0).max(ahead);
    let (top, step) = scale(highest);
    let (height, slot) = (sheet.height - TOP - BOTTOM, (sheet.width - LEFT - 4.0) / slots as f64);
    let y = move |amount: i64| TOP + height - amount as f64 / top as f64 * height;
    let x = move |place: usize| LEFT + place as f64 * slot;
    let lines = (0..=top / step)
        .map(|number| {
            let value = number * step;
            let at = y(value);
            view! {
                <line class="grid" x1=LEFT.to_string() x2=sheet.width.to_string() y1=format!("{at:.1}") y2=format!("{at:.1}")/>
                <text class="axis" x=(LEFT - 8.0).to_string() y=format!("{:.1}", at + 4.0) text-anchor="end">{tick(measure, value, step)}</text>
            }
        })
        .collect_view();
    let marks = chart
        .steps
        .iter()
        .enumerate()
        .map(|(place, one)| {
            let parts = if stacked { bar(chart, hidden, sheet, one, x(place), slot, y) } else { points(chart, hidden, one, x(place) + slot / 2.0, y) };
            let text = chart.read_out(place, hidden);
            let (from, to) = (one.days.0.to_string(), one.days.1.to_string());
            view! {
                <a href=one.href.clone() data-step="" data-from=from data-to=to>
                    <rect class="hit" x=format!("{:.1}", x(place)) y=TOP.to_string() width=format!("{slot:.1}") height=height.to_string()/>
                    {parts}
                    <title>{text}</title>
                </a>
            }
        })
        .collect_view();
    let paths = (!stacked).then(|| lines_between(chart, hidden, slot, x, y));
    let then = (!before.is_empty()).then(|| {
        let line: String = before
            .iter()
            .enumerate()
            .map(|(place, amount)| {
                format!(
                    "{}{:.1} {:.1}H{:.1}",
                    if place == 0 { 'M' } else { 'L' },
                    x(place),
                    y(*amount),
                    x(place + 1)
                )
            })
            .collect();
        view! { <path class="before" d=line/> }
    });
    let to_come = to_come
        .iter()
        .enumerate()
        .filter_map(|(number, (label, amount))| {
            let amount = (*amount)?;
            let (left, high) = (x(chart.steps.len() + number) + slot * 0.06, y(amount));
            let text = format!("{label}: about {} expected", measure.show(amount));
            Some(view! {
                <rect class="ahead" x=format!("{left:.1}") y=format!("{high:.1}") rx="1.5" width=format!("{:.1}", slot * 0.88) height=format!("{:.1}", (y(0) - high).max(0.6))>
                    <title>{text}</title>
                </rect>
            })
        })
        .collect_view();
    let every = slots.div_ceil(sheet.labels).max(1);
    // Days are told a week apart: the same day of the week each time.
    let every = if (5..=7).contains(&every) { 7 } else { every };
    let labels = chart
        .steps
        .iter()
        .map(|one| one.short.clone())
        .chain(chart.ahead.iter().map(|(label, _)| label.clone()))
        .enumerate()
        .filter(|(place, _)| place % every == 0)
        .map(|(place, text)| {
            let middle = (x(place) + slot / 2.0).min(sheet.width - 22.0);
            view! { <text class="axis" x=format!("{middle:.1}") y=(sheet.height - 9.0).to_string() text-anchor="middle">{text}</text> }
        })
        .collect_view();
    let paper = format!("0 0 {} {}", sheet.width, sheet.height);
    view! {
        <svg class=sheet.class viewBox=paper role="group" aria-label=chart.title.clone()>
            <title>{chart.title.clone()}</title>
            <desc>{chart.sentence.clone()}</desc>
            {stacked.then(|| textures(sheet))}
            {lines}{to_come}{marks}{paths}{then}{labels}
        </svg>
    }
}

/// What is laid over colours, so that there are more marks than colours.
fn textures(sheet: Sheet) -> impl IntoView {
    let id = |texture: &str| format!("{texture}-{}", sheet.class);
    view! {
        <defs>
            <pattern id=id("striped") width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="gap" width="2" height="6"/></pattern>
            <pattern id=id("slanted") width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><rect class="gap" width="2" height="6"/></pattern>
            <pattern id=id("columned") width="5" height="6" patternUnits="userSpaceOnUse"><rect class="gap" width="1.7" height="6"/></pattern>
            <pattern id=id("ruled") width="6" height="5" patternUnits="userSpaceOnUse"><rect class="gap" width="6" height="1.7"/></pattern>
            <pattern id=id("dotted") width="6" height="6" patternUnits="userSpaceOnUse"><circle class="gap" cx="3" cy="3" r="1.5"/></pattern>
        </defs>
    }
}

/// The parts of one step on top of each other.
fn bar(
    chart: &Chart,
    hidden: &[bool],
    sheet: Sheet,
    step: &Step,
    left: f64,
    slot: f64,
    y: impl Fn(i64) -> f64,
) -> AnyView {
    let measure = chart.measure;
    let mut base = 0_i64;
    step.parts
        .iter()
        .zip(&chart.series)
        .zip(hidden)
        .filter_map(|((part, series), hidden)| Some((part.filter(|_| !hidden)?, series.class)))
        .filter(|(part, _)| *part > 0)
        .map(|(part, class)| {
            let (low, high) = (y(base), y(base + part));
            base += part;
            let (across, down) = (format!("{:.1}", left + slot * 0.06), format!("{high:.1}"));
            let (wide, tall) = (format!("{:.1}", slot * 0.88), format!("{:.1}", (low - high - 1.0).max(0.6)));
            let over = texture(class).map(|texture| format!("url(#{texture}-{})", sheet.class));
            let over = over.map(|fill| view! { <rect fill=fill x=across.clone() y=down.clone() width=wide.clone() height=tall.clone()/> });
            view! { <rect class=class x=across y=down rx="1.5" data-amount=measure.exact(part) width=wide height=tall/>{over} }
        })
        .collect_view()
        .into_any()
}

/// What cannot be put on top of each other: a point for each part.
fn points(chart: &Chart, hidden: &[bool], step: &Step, middle: f64, y: impl Fn(i64) -> f64) -> AnyView {
    let measure = chart.measure;
    step.parts
        .iter()
        .zip(&chart.series)
        .zip(hidden)
        .filter_map(|((part, series), hidden)| Some((part.filter(|_| !hidden)?, series.class)))
        .map(|(part, class)| {
            view! { <circle class=class cx=format!("{middle:.1}") cy=format!("{:.1}", y(part)) r="2.6" data-amount=measure.exact(part)/> }
        })
        .collect_view()
        .into_any()
}

/// Lines between the points of each series; where there is nothing, there is a gap.
fn lines_between(
    chart: &Chart,
    hidden: &[bool],
    slot: f64,
    x: impl Fn(usize) -> f64,
    y: impl Fn(i64) -> f64,
) -> AnyView {
    chart
        .series
        .iter()
        .enumerate()
        .filter(|(number, _)| !hidden.get(*number).copied().unwrap_or_default())
        .map(|(number, series)| {
            let mut path = String::new();
            let mut drawing = false;
            for (place, step) in chart.steps.iter().enumerate() {
                let Some(amount) = step.parts.get(number).copied().flatten() else {
                    drawing = false;
                    continue;
                };
                let to = if drawing { 'L' } else { 'M' };
                path += &format!("{to}{:.1} {:.1}", x(place) + slot / 2.0, y(amount));
                drawing = true;
            }
            view! { <path class=format!("line {}", series.class) d=path/> }
        })
        .collect_view()
        .into_any()
}

/// What the colours stand for. Each thing can be hidden in the chart, and shown again.
#[component]
pub fn Legend(
    /// In the order of the chart.
    series: Vec<Series>,
    /// What the dotted line over it stands for.
    #[prop(default = None)]
    before: Option<String>,
) -> impl IntoView {
    let before = before.map(|name| {
        let name = name.replacen("the ", "The ", 1);
        view! { <li><svg class="chart-line" width="18" height="9" aria-hidden="true"><path class="before" d="M0 4.5H18"/></svg>{name}<span class="sr">", the dotted line"</span></li> }
    });
    let hide = query::value(HIDE);
    let alone = series.len() < 2;
    let items = series
        .into_iter()
        .map(|one| {
            let hidden = one.hidden(&hide);
            let name = view! { <Swatch class=one.class/>{one.name.clone()} };
            if alone {
                return view! { <li>{name}</li> }.into_any();
            }
            let what = if hidden { "Show in the chart" } else { "Hide in the chart" };
            view! {
                <li><a href=one.turned(!hidden) data-within="" data-off=hidden.then_some("") title=what>{name}<span class="sr">{if hidden { ", hidden: show it" } else { ": hide it" }}</span></a></li>
            }
            .into_any()
        })
        .collect_view();
    view! { <ul class="legend">{items}{before}</ul> }
}

/// A colour beside a name.
#[component]
pub fn Swatch(
    /// Which.
    class: &'static str,
) -> impl IntoView {
    let over = texture(class).map(|texture| match texture {
        "striped" => view! { <path class="gap" d="M0 5 5 0H8L0 8Z"/> }.into_any(),
        "slanted" => view! { <path class="gap" d="M9 5 4 0H1L9 8Z"/> }.into_any(),
        "columned" => view! { <path class="gap" d="M2 0V9H3.5V0ZM5.5 0V9H7V0Z"/> }.into_any(),
        "ruled" => view! { <path class="gap" d="M0 2H9V3.5H0ZM0 5.5H9V7H0Z"/> }.into_any(),
        _ => view! { <circle class="gap" cx="4.5" cy="4.5" r="2"/> }.into_any(),
    });
    view! { <svg class="swatch" width="9" height="9" aria-hidden="true"><rect class=class width="9" height="9" rx="2"/>{over}</svg> }
}

/// The top of the axis and the distance of its lines: about four steps of 1, 2 or 5 times a power
/// of ten.
fn scale(highest: i64) -> (i64, i64) {
    let wanted = highest.max(4).saturating_add(3) / 4;
    let mut step = 1_i64;
    loop {
        for factor in [1, 2, 5] {
            let step = step.saturating_mul(factor);
            if step >= wanted {
                // The top of the highest there is, is that.
                let top = highest.max(1);
                return (((top - 1) / step + 1).checked_mul(step).unwrap_or(top), step);
            }
        }
        step = step.saturating_mul(10);
    }
}

/// A value of the axis with as many digits as its step needs.
fn tick(measure: Measure, value: i64, step: i64) -> String {
    match measure {
        Measure::Spend | Measure::Saved if value == 0 => "$0".to_owned(),
        Measure::Spend | Measure::Saved if step % NANOS == 0 => {
            format!("${}", grouped((value / NANOS).unsigned_abs()))
        }
        Measure::Spend | Measure::Saved => Money(value).to_string(),
        Measure::Latency | Measure::Median | Measure::Slow => measure.show(value),
        _ if step % 1_000_000 == 0 && value > 0 => {
            format!("{} M", grouped((value / 1_000_000).unsigned_abs()))
        }
        _ if step % 1_000 == 0 && value > 0 => format!("{} k", grouped((value / 1_000).unsigned_abs())),
        _ => grouped(value.unsigned_abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_has_its_mark_whatever_it_is_drawn_with() {
        use domain::{
            explore::{By, Period, Row},
            spend::Sums,
        };
        let colours = |keys: &[String]| {
            let row = |key: &String| Row {
                key: Some(key.clone()),
                name: key.clone(),
                cells: vec![],
                total: Sums::default(),
                before: Sums::default(),
            };
            let day = NaiveDate::default();
            let table = Explored {
                measure: Measure::Spend,
                by: By::Model,
                interval: Interval::Day,
                period: Period { from: day, to: day },
                before: Period { from: day, to: day },
                steps: vec![],
                rows: keys.iter().map(row).collect(),
                more: vec![],
                things: keys.len(),
                whole: None,
                began: None,
            };
            series(&table).into_iter().map(|one| one.class).collect::<Vec<_>>()
        };
        let keys: Vec<String> = (0..40).map(|number| format!("mdl_{number}")).collect();
        let together = colours(&keys);
        for (key, class) in keys.iter().zip(&together) {
            let alone = colours(std::slice::from_ref(key))[0];
            assert!(
                [alone, &format!("{alone} edged"), &format!("{alone} ringed")].contains(class),
                "{key}: {class}"
            );
        }
        for ten in keys.windows(10) {
            let seen: std::collections::HashSet<_> = colours(ten).into_iter().collect();
            assert_eq!(seen.len(), 10, "told apart: {:?}", colours(ten));
        }
        let plain = together.iter().filter(|class| texture(class).is_none()).count();
        assert!((4..=20).contains(&plain), "{plain} plain ones: {together:?}");
    }

    #[test]
    fn an_axis_reaches_what_is_drawn_in_few_round_steps() {
        for (highest, top, step) in
            [(0, 1, 1), (1, 1, 1), (7, 8, 2), (100, 100, 50), (101, 150, 50), (999, 1000, 500)]
        {
            assert_eq!(scale(highest), (top, step), "{highest}");
        }
        for highest in 1..5_000 {
            let (top, step) = scale(highest);
            assert!(top >= highest && top / step <= 4, "{highest}");
        }
        for highest in [i64::MAX, i64::MAX - 1, 9_000_000_000_000_000_000, i64::MIN] {
            let (top, step) = scale(highest);
            assert!(top >= highest && top / step <= 4, "{highest}");
        }
    }
}
