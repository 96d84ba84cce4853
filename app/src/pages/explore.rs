//! The explorer: what is counted, by what, in which steps of time. All of it is in the address.

use domain::{
    durations::PRECISION,
    explore::{By, Explored, Interval, Measure, Row},
    money::{Money, how_many},
};
use leptos::prelude::*;

use super::{
    calls::{Choice, FilterBar},
    choices,
    spend::{chart_of, overlap},
};
use crate::{
    api::explore::{Answer, load_explored},
    filters::Filters,
    ui::{
        Card, Empty, Head, Load, Page,
        chart::{Chart, ChartView, Legend, Series, Swatch, shown, step_label, step_short},
        context::{frame, reads_groups},
        query,
    },
};

/// Use by thing and time.
#[component]
pub fn ExplorePage() -> impl IntoView {
    let value = query::value;
    let filters = Filters::here();
    let answer = load_explored(
        filters.clone(),
        value("measure"),
        value("by"),
        value("interval"),
        value("from"),
        value("to"),
        false,
    );
    view! { <Page title="Explore" live=true><Load data=answer let(answer)><Content answer filters/></Load></Page> }
}

#[component]
fn Content(answer: Answer, filters: Filters) -> impl IntoView {
    let Answer { explored, named, remarks, .. } = answer;
    let Explored { measure, by, interval, period, .. } = explored;
    let title = format!("{} by {}", measure.label(), interval.as_str());
    let brush = Some(query::href(&[("from", None), ("to", None)]));
    let chart = Chart { brush, ..chart_of(&explored, title.clone(), &filters) };
    let (series, sentence) = (chart.series.clone(), chart.sentence.clone());
    let legend = series.clone();
    let span = step_label(Interval::Day, period.from, period.to);
    let (total, before) = (measure.of(&explored.total()), measure.of(&explored.total_before()));
    let (total, before) = (shown(measure, total), shown(measure, before));
    let in_all = if explored.comparable() {
        format!(
            "In all {total}, against {before} in the {} before.",
            how_many(period.days().unsigned_abs(), "day", "days")
        )
    } else {
        format!("In all {total}.")
    };
    let (from, last) = (period.from.to_string(), period.last().to_string());
    let csv = filters.href(
        "/explore.csv",
        &[
            ("measure", measure.as_str()),
            ("by", by.as_str()),
            ("interval", interval.as_str()),
            ("from", &from),
            ("to", &last),
        ],
    );
    let any = !named.set.is_empty()
        || ["from", "to", "measure", "by", "interval"].iter().any(|name| !query::value(name).is_empty());
    let narrowed = named.narrowed;
    let empty = explored.rows.is_empty();
    let overlap = overlap(by);
    let told =
        explored.rows.iter().filter(|row| row.key.is_some()).any(|row| measure.of(&row.total).is_some());
    let untold = measure.is_percentile() && !empty && !told;
    view! {
        <Head title="Explore" note=span><a class="btn" href=csv download="">"Download CSV"</a></Head>
        {narrowed.then(|| view! { <p class="lead">{if reads_groups() { "What the groups you lead used, and what you used yourself." } else { "What you used yourself." }}</p> })}
        <FilterBar path="/explore" filters=filters.clone() named any>
            <Choice name="measure" label="Count" choices=choices(Measure::ALL, |measure| measure.label().to_owned()) value=measure.to_string()/>
            <Choice name="by" label="Split by" choices=choices(By::ALL, |by| by.plural().to_owned()) value=by.to_string()/>
            <Choice name="interval" label="In steps of a" choices=choices(Interval::ALL, |interval| interval.to_string()) value=interval.to_string()/>
        </FilterBar>
        {remarks.into_iter().map(|remark| view! { <p class="banner warn" role="status">{remark}</p> }).collect_view()}
        <Card title=title actions=ViewFn::from(move || view! { <Legend series=legend.clone()/> })>
            {if empty {
                view! { <Empty title="Nothing in these days" text="Choose other days, or take a filter away."/> }.into_any()
            } else if untold {
                view! {
                    <Empty title="No finished calls in these days" text="How long calls took is known of those that were finished; these were refused."/>
                }.into_any()
            } else {
                view! { <ChartView chart bare=true/> }.into_any()
            }}
            <p class="note-line">{sentence}" "{in_all}{measure.is_percentile().then(|| format!(" How long calls took is counted by classes: this is within {PRECISION} of the exact figure."))}{overlap.map(|text| format!(" {text}"))}</p>
        </Card>
        {(!empty).then(|| view! { <Table explored series filters/> })}
    }
}

/// The table behind the chart: things down, time across; every number leads to its calls.
#[component]
fn Table(explored: Explored, series: Vec<Series>, filters: Filters) -> impl IntoView {
    let measure = explored.measure;
    let by = explored.by;
    let head = explored
        .steps
        .iter()
        .map(|(from, to)| {
            let title = step_label(explored.interval, *from, *to);
            view! { <th class="r nw" title=title>{step_short(explored.interval, *from)}</th> }
        })
        .collect_view();
    let lines = explored
        .rows
        .iter()
        .zip(&series)
        .map(|(row, one)| line(&explored, row, one.class, &filters))
        .collect_view();
    let sums = (0..explored.steps.len())
        .map(|place| {
            let amount = measure.of(&explored.step(place));
            view! { <td class="r num">{number(measure, amount, step_href(&explored, place, &filters))}</td> }
        })
        .collect_view();
    let total = measure.of(&explored.total());
    let total = number(measure, total, period_href(&explored, &filters));
    let more = (!explored.more.is_empty()).then(|| others(&explored, &filters));
    let note = frame().zone.name.clone();
    view! {
        <Card title="The same as a table" note=format!("days of {note}")>
            <div class="scroll tall" tabindex="0" role="region" aria-label="The same as a table">
                <table class="table wide-table">
                    <thead><tr><th>{by.one()}</th><th class="r">"In all"</th>{head}</tr></thead>
                    <tbody>{lines}</tbody>
                    <tfoot><tr><th>"All"</th><td class="r num"><b>{total}</b></td>{sums}</tr></tfoot>
                </table>
            </div>
            {more}
        </Card>
    }
}

/// An amount to its last digit, where it is shown with fewer.
fn exactly(measure: Measure, amount: i64) -> Option<String> {
    matches!(measure, Measure::Spend | Measure::Saved).then(|| Money(amount).in_full())
}

/// A number that leads to what it counts; nothing leads nowhere.
fn number(measure: Measure, amount: Option<i64>, href: String) -> AnyView {
    match amount {
        Some(amount) if amount != 0 => {
            view! { <a href=href title=exactly(measure, amount)><data value=measure.exact(amount)>{measure.show(amount)}</data></a> }
                .into_any()
        }
        _ => view! { <span class="muted">"–"</span> }.into_any(),
    }
}

fn step_href(explored: &Explored, place: usize, filters: &Filters) -> String {
    let (from, to) = explored.steps[place];
    let last = to.pred_opt().unwrap_or(to);
    filters.href(
        "/calls",
        &[("outcome", explored.measure.ended()), ("from", &from.to_string()), ("to", &last.to_string())],
    )
}

fn period_href(explored: &Explored, filters: &Filters) -> String {
    let (from, last) = (explored.period.from.to_string(), explored.period.last().to_string());
    filters.href("/calls", &[("outcome", explored.measure.ended()), ("from", &from), ("to", &last)])
}

/// A thing over time. Its name narrows to it; that of what is left over to what is none of the others.
fn line(explored: &Explored, row: &Row, class: &'static str, filters: &Filters) -> AnyView {
    let measure = explored.measure;
    let narrowed = match row.key.as_deref() {
        Some(key) => Some(filters.with(explored.by, key)),
        None if explored.by.overlaps() => None,
        // What is left over: none of those that are named.
        None => Some(filters.besides(explored.by, explored.named())),
    };
    let name = match &narrowed {
        Some(filters) => {
            let by = if row.key.is_some() { into(explored.by) } else { explored.by };
            view! { <a href=narrow(explored, filters, by)>{row.name.clone()}</a> }.into_any()
        }
        None => view! { {row.name.clone()} }.into_any(),
    };
    let cell = |amount: Option<i64>, href: Option<String>| {
        match (amount, href) {
        (Some(amount), None) if amount != 0 => {
            view! { <data value=measure.exact(amount) title=exactly(measure, amount)>{measure.show(amount)}</data> }.into_any()
        }
        (amount, href) => number(measure, amount, href.unwrap_or_default()),
    }
    };
    let cells = row
        .cells
        .iter()
        .enumerate()
        .map(|(place, sums)| {
            let href = narrowed.as_ref().map(|filters| step_href(explored, place, filters));
            view! { <td class="r num">{cell(measure.of(sums), href)}</td> }
        })
        .collect_view();
    let total = cell(measure.of(&row.total), narrowed.as_ref().map(|filters| period_href(explored, filters)));
    view! {
        <tr>
            <th scope="row"><span class="row tight"><Swatch class=class/>{name}</span></th>
            <td class="r num">{total}</td>{cells}
        </tr>
    }
    .into_any()
}

/// What says most about one thing.
const fn into(by: By) -> By {
    match by {
        By::Group => By::Group,
        By::Application | By::Key | By::UseCase | By::User | By::Tier | By::Provider => By::Model,
        By::Model | By::Feature => By::Application,
    }
}

/// The same question about less, split by something.
fn narrow(explored: &Explored, filters: &Filters, by: By) -> String {
    let (from, last) = (explored.period.from.to_string(), explored.period.last().to_string());
    filters.href(
        "/explore",
        &[
            ("measure", explored.measure.as_str()),
            ("by", by.as_str()),
            ("interval", explored.interval.as_str()),
            ("from", &from),
            ("to", &last),
        ],
    )
}

/// What is left over, one by one.
fn others(explored: &Explored, filters: &Filters) -> impl IntoView + use<> {
    let measure = explored.measure;
    let listed = explored.more.len();
    let rows = explored
        .more
        .iter()
        .map(|row| {
            let filters = filters.with(explored.by, row.key.as_deref().unwrap_or_default());
            let amount = number(measure, measure.of(&row.total), period_href(explored, &filters));
            view! { <tr><td><a href=narrow(explored, &filters, into(explored.by))>{row.name.clone()}</a></td><td class="r num">{amount}</td></tr> }
        })
        .collect_view();
    view! {
        <details class="as-table">
            <summary>{format!("What Other is made of: {listed}")}</summary>
            <div class="scroll" tabindex="0" role="region" aria-label="What Other is made of">
                <table class="table"><thead><tr><th>{explored.by.one()}</th><th class="r">"In all"</th></tr></thead><tbody>{rows}</tbody></table>
            </div>
        </details>
    }
}
