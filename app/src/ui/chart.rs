//! Charts, drawn as SVG wherever the page is drawn: there without script. Each step of time is a
//! link to what it counts, so that a keyboard reads it step by step; beside the chart is a table.

use chrono::{Datelike, NaiveDate};
use domain::{
    explore::{Explored, Interval, Measure},
    money::{Money, NANOS, grouped},
    time,
};
use leptos::prelude::*;

const LEFT: f64 = 62.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 28.0;

/// How many colours there are for things; what is left over has one of its own.
const COLOURS: usize = 8;

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
    /// What it is called.
    pub name: String,
    /// Its colour: `s1` to `s8`, or `rest`.
    pub class: &'static str,
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
    /// All of it, where that is more than a sum can say.
    pub whole: Option<i64>,
    /// The calls behind it.
    pub href: String,
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
}

/// The colours of things: each has one that it prefers, wherever it is drawn; those of a chart that
/// prefer the same take turns.
pub fn series(table: &Explored) -> Vec<Series> {
    const CLASSES: [&str; COLOURS] = ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"];
    let mut keys: Vec<&str> = table.rows.iter().filter_map(|row| row.key.as_deref()).collect();
    keys.sort_unstable();
    let mut taken: Vec<Option<&str>> = vec![None; COLOURS];
    for key in keys {
        // FNV-1a: the same everywhere, for ever.
        let hash = key
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let wanted = hash as usize % COLOURS;
        let place = (0..COLOURS).map(|step| (wanted + step) % COLOURS).find(|place| taken[*place].is_none());
        if let Some(place) = place {
            taken[place] = Some(key);
        }
    }
    let class = |key: Option<&str>| {
        key.and_then(|key| taken.iter().position(|other| *other == Some(key)))
            .map_or("rest", |place| CLASSES[place])
    };
    table.rows.iter().map(|row| Series { name: row.name.clone(), class: class(row.key.as_deref()) }).collect()
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
    let drawings = SHEETS.map(|sheet| drawing(sheet, &chart)).collect_view();
    let table = (!bare).then(|| table(&chart));
    view! { <div class="chart">{drawings}</div>{table} }.into_any()
}

fn table(chart: &Chart) -> impl IntoView + use<> {
    let measure = chart.measure;
    let head = chart.series.iter().map(|one| view! { <th class="r">{one.name.clone()}</th> }).collect_view();
    let rows = chart
        .steps
        .iter()
        .map(|step| {
            let cells = step
                .parts
                .iter()
                .map(|part| view! { <td class="r num">{shown(measure, *part)}</td> })
                .collect_view();
            view! { <tr><td class="nw"><a href=step.href.clone()>{step.label.clone()}</a></td>{cells}</tr> }
        })
        .collect_view();
    view! {
        <details class="as-table">
            <summary>"As a table"</summary>
            <div class="scroll" tabindex="0" role="region" aria-label=format!("{}, as a table", chart.title)>
                <table class="table"><thead><tr><th>"When"</th>{head}</tr></thead><tbody>{rows}</tbody></table>
            </div>
        </details>
    }
}

/// An amount, or a gap.
pub fn shown(measure: Measure, amount: Option<i64>) -> String {
    amount.map_or_else(|| "–".to_owned(), |amount| measure.show(amount))
}

/// The chart on one sheet.
fn drawing(sheet: Sheet, chart: &Chart) -> impl IntoView + use<> {
    let measure = chart.measure;
    let stacked = chart.stacked;
    let slots = (chart.steps.len() + chart.ahead.len()).max(1);
    let height_of = |step: &Step| {
        let amounts = step.parts.iter().flatten();
        if stacked { amounts.sum::<i64>() } else { amounts.copied().max().unwrap_or(0) }
    };
    let ahead = chart.ahead.iter().filter_map(|(_, amount)| *amount).max().unwrap_or(0);
    let highest = chart.steps.iter().map(height_of).max().unwrap_or(0).max(ahead);
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
            let parts = if stacked { bar(chart, one, x(place), slot, y) } else { points(chart, one, x(place) + slot / 2.0, y) };
            let whole = one.whole.map(|whole| measure.show(whole)).unwrap_or_else(|| "nothing".to_owned());
            let text = format!("{}: {whole}", one.label);
            let spoken = text.clone();
            view! {
                <a href=one.href.clone() aria-label=spoken>
                    <rect class="hit" x=format!("{:.1}", x(place)) y=TOP.to_string() width=format!("{slot:.1}") height=height.to_string()/>
                    {parts}
                    <title>{text}</title>
                </a>
            }
        })
        .collect_view();
    let paths = (!stacked).then(|| lines_between(chart, slot, x, y));
    let to_come = chart
        .ahead
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
            {lines}{to_come}{paths}{marks}{labels}
        </svg>
    }
}

/// The parts of one step on top of each other.
fn bar(chart: &Chart, step: &Step, left: f64, slot: f64, y: impl Fn(i64) -> f64) -> AnyView {
    let measure = chart.measure;
    let mut base = 0_i64;
    step.parts
        .iter()
        .zip(&chart.series)
        .filter_map(|(part, series)| Some(((*part)?, series.class)))
        .filter(|(part, _)| *part > 0)
        .map(|(part, class)| {
            let (low, high) = (y(base), y(base + part));
            base += part;
            view! {
                <rect
                    class=class x=format!("{:.1}", left + slot * 0.06) y=format!("{high:.1}") rx="1.5" data-amount=measure.exact(part)
                    width=format!("{:.1}", slot * 0.88) height=format!("{:.1}", (low - high - 1.0).max(0.6))
                />
            }
        })
        .collect_view()
        .into_any()
}

/// What cannot be put on top of each other: a point for each part.
fn points(chart: &Chart, step: &Step, middle: f64, y: impl Fn(i64) -> f64) -> AnyView {
    let measure = chart.measure;
    step.parts
        .iter()
        .zip(&chart.series)
        .filter_map(|(part, series)| Some(((*part)?, series.class)))
        .map(|(part, class)| {
            view! { <circle class=class cx=format!("{middle:.1}") cy=format!("{:.1}", y(part)) r="2.6" data-amount=measure.exact(part)/> }
        })
        .collect_view()
        .into_any()
}

/// Lines between the points of each series; where there is nothing, there is a gap.
fn lines_between(chart: &Chart, slot: f64, x: impl Fn(usize) -> f64, y: impl Fn(i64) -> f64) -> AnyView {
    chart
        .series
        .iter()
        .enumerate()
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

/// What the colours stand for.
#[component]
pub fn Legend(
    /// In the order of the chart.
    series: Vec<Series>,
) -> impl IntoView {
    let items =
        series.into_iter().map(|one| view! { <li><Swatch class=one.class/>{one.name}</li> }).collect_view();
    view! { <ul class="legend">{items}</ul> }
}

/// A colour beside a name.
#[component]
pub fn Swatch(
    /// Which.
    class: &'static str,
) -> impl IntoView {
    view! { <svg class="swatch" width="9" height="9" aria-hidden="true"><rect class=class width="9" height="9" rx="2"/></svg> }
}

/// The top of the axis and the distance of its lines: about four steps of 1, 2 or 5 times a power
/// of ten.
fn scale(highest: i64) -> (i64, i64) {
    let wanted = (highest.max(4) + 3) / 4;
    let mut step = 1_i64;
    loop {
        for factor in [1, 2, 5] {
            if step * factor >= wanted {
                let step = step * factor;
                return ((highest.max(1) + step - 1) / step * step, step);
            }
        }
        step *= 10;
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
        Measure::Latency => measure.show(value),
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
    }
}
