//! Charts, drawn as SVG wherever the page is drawn: there without script, read by keyboard and
//! screen reader through the table beside them.

use chrono::{Datelike, NaiveDate};
use domain::{money::Money, spend::DaySpend, time};
use leptos::prelude::*;

const LEFT: f64 = 62.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 28.0;

/// A drawing for one width of screen: shrunk to another, its words could not be read.
#[derive(Clone, Copy)]
struct Sheet {
    class: &'static str,
    width: f64,
    height: f64,
}

const SHEETS: [Sheet; 2] = [
    Sheet { class: "large", width: 960.0, height: 224.0 },
    Sheet { class: "small", width: 340.0, height: 190.0 },
];

/// Spend by day, stacked by series; days to come are left open.
#[component]
pub fn DayBars(
    /// What the colours stand for.
    series: Vec<String>,
    /// The days so far.
    days: Vec<DaySpend>,
    /// The first day that is not shown any more.
    end: NaiveDate,
    /// What it shows, for those who do not see it.
    #[prop(into)]
    label: String,
) -> impl IntoView {
    let Some(first) = days.first().map(|day| day.day) else {
        return view! { <p class="pad muted">"Nothing yet."</p> }.into_any();
    };
    let drawings = SHEETS.map(|sheet| drawing(sheet, &days, first, end, label.clone())).collect_view();
    let head = series.iter().map(|name| view! { <th class="r">{name.clone()}</th> }).collect_view();
    let rows = days
        .iter()
        .map(|day| {
            let cells = day
                .parts
                .iter()
                .map(|part| view! { <td class="r num">{part.to_string()}</td> })
                .collect_view();
            view! { <tr><td>{time::date(day.day)}</td>{cells}</tr> }
        })
        .collect_view();
    view! {
        <div class="chart">{drawings}</div>
        <details class="as-table">
            <summary>"As a table"</summary>
            <div class="scroll" tabindex="0" role="region" aria-label="Spend by day as a table">
                <table class="table"><thead><tr><th>"Day"</th>{head}</tr></thead><tbody>{rows}</tbody></table>
            </div>
        </details>
    }
    .into_any()
}

/// The bars on one sheet.
fn drawing(
    sheet: Sheet,
    days: &[DaySpend],
    first: NaiveDate,
    end: NaiveDate,
    label: String,
) -> impl IntoView + use<> {
    let slots = (end - first).num_days().max(1) as f64;
    let highest = days.iter().map(|day| day.parts.iter().map(|part| part.0).sum::<i64>()).max().unwrap_or(0);
    let (top, step) = scale(highest);
    let (height, slot) = (sheet.height - TOP - BOTTOM, (sheet.width - LEFT - 4.0) / slots);
    let y = move |nanos: i64| TOP + height - nanos as f64 / top as f64 * height;
    let lines = (0..=top / step)
        .map(|number| {
            let value = number * step;
            let at = y(value);
            view! {
                <line class="grid" x1=LEFT.to_string() x2=sheet.width.to_string() y1=format!("{at:.1}") y2=format!("{at:.1}")/>
                <text class="axis" x=(LEFT - 8.0).to_string() y=format!("{:.1}", at + 4.0) text-anchor="end">{tick(value, step)}</text>
            }
        })
        .collect_view();
    let bars = days
        .iter()
        .enumerate()
        .map(|(place, day)| {
            let x = LEFT + place as f64 * slot + slot * 0.06;
            let mut base = 0_i64;
            let parts = day
                .parts
                .iter()
                .enumerate()
                .filter(|(_, part)| part.0 > 0)
                .map(|(number, part)| {
                    let (low, high) = (y(base), y(base + part.0));
                    base += part.0;
                    view! {
                        <rect
                            class=format!("s{}", number + 1) x=format!("{x:.1}") y=format!("{high:.1}") rx="1.5"
                            width=format!("{:.1}", slot * 0.88) height=format!("{:.1}", (low - high - 1.0).max(0.6))
                        />
                    }
                })
                .collect_view();
            let total = Money(day.parts.iter().map(|part| part.0).sum());
            view! { <g>{parts}<title>{format!("{}: {total}", time::date(day.day))}</title></g> }
        })
        .collect_view();
    let labels = (0..slots as i64)
        .filter(|day| day % 7 == 0)
        .filter_map(|day| first.checked_add_days(chrono::Days::new(u64::try_from(day).ok()?)).map(|date| (day, date)))
        .map(|(place, date)| {
            let x = LEFT + (place as f64 + 0.5) * slot;
            view! { <text class="axis" x=format!("{x:.1}") y=(sheet.height - 9.0).to_string() text-anchor="middle">{format!("{} {}", date.day(), date.format("%b"))}</text> }
        })
        .collect_view();
    let paper = format!("0 0 {} {}", sheet.width, sheet.height);
    view! { <svg class=sheet.class viewBox=paper role="img" aria-label=label>{lines}{bars}{labels}</svg> }
}

/// What the colours stand for.
#[component]
pub fn Legend(
    /// In the order of the colours.
    series: Vec<String>,
) -> impl IntoView {
    let items = series
        .into_iter()
        .enumerate()
        .map(|(number, name)| view! {
            <li><svg width="9" height="9" aria-hidden="true"><rect class=format!("s{}", number + 1) width="9" height="9" rx="2"/></svg>{name}</li>
        })
        .collect_view();
    view! { <ul class="legend">{items}</ul> }
}

/// The top of the axis and the distance of its lines: four steps of 1, 2 or 5 times a power of ten.
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
fn tick(value: i64, step: i64) -> String {
    let money = Money(value);
    if value == 0 {
        "$0".to_owned()
    } else if step % domain::money::NANOS == 0 {
        format!("${}", domain::money::grouped((value / domain::money::NANOS).unsigned_abs()))
    } else {
        money.to_string()
    }
}
