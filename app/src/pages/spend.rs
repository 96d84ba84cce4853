//! Spend: are we fine, who and what drives it, what changed.

use chrono::{Datelike, Months, NaiveDate};
use domain::{
    money::{Money, grouped},
    spend::{Slice, SpendPage as Data, View},
};
use leptos::prelude::*;

use super::{calls::CallTable, param};
use crate::{
    api::spend::load_spend,
    ui::{
        Card, Empty, Head, Load, Meter, Page,
        chart::{DayBars, Legend},
        meter::sentence,
        money::{change, each},
        query,
    },
};

/// The spend page of a group, or of the organization.
#[component]
pub fn SpendPage() -> impl IntoView {
    let (group, view, month) = (param("group"), query::value("view"), query::value("month"));
    let page = load_spend(group, view, month);
    view! { <Page title="Spend" live=true><Load data=page let(page)><Content page/></Load></Page> }
}

fn month_name(month: NaiveDate) -> String {
    month.format("%B %Y").to_string()
}

#[component]
fn Content(page: Data) -> impl IntoView {
    let title = page.path.last().map_or_else(|| "Spend".to_owned(), |(_, name)| name.clone());
    let mut crumbs = Vec::new();
    if !page.path.is_empty() {
        crumbs.push(("/spend".to_owned(), "Spend".to_owned()));
        crumbs.extend(
            page.path[..page.path.len() - 1].iter().map(|(id, name)| (format!("/spend/{id}"), name.clone())),
        );
    }
    let views = (!page.path.is_empty()).then(|| {
        let links = [(View::Attributed, "By applications"), (View::Members, "By members")]
            .into_iter()
            .map(|(view, name)| {
                let href = query::href(&[("view", Some(view.as_str()))]);
                view! { <a href=href aria-current=(view == page.view).then_some("true")>{name}</a> }
            })
            .collect_view();
        view! { <div class="seg" role="group" aria-label="Which spend">{links}</div> }
    });
    let step = |months: i32| {
        let other = if months < 0 {
            page.month.checked_sub_months(Months::new(1))
        } else {
            page.month.checked_add_months(Months::new(1))
        };
        other.map(|month| query::href(&[("month", Some(&format!("{}-{:02}", month.year(), month.month())))]))
    };
    let earlier =
        step(-1).map(|href| view! { <a class="btn" href=href aria-label="The month before">"‹"</a> });
    let later = step(1)
        .filter(|_| page.month_end <= page.today)
        .map(|href| view! { <a class="btn" href=href aria-label="The month after">"›"</a> });
    let (series, days, end) = (page.series.clone(), page.days.clone(), page.month_end);
    let members = page.view == View::Members;
    let (changed, calls) = (what_changed(&page), page.calls.clone());
    view! {
        <Head title crumbs>
            {views}
            <div class="row">{earlier}<span class="month">{month_name(page.month)}</span>{later}</div>
        </Head>
        {members.then(|| view! {
            <p class="lead">"What the people of this group spent, wherever they called from, while they were members. People belong to several groups, so such figures overlap and do not add up to the organization's."</p>
        })}
        <Facts page=page.clone()/>
        <Card title="Spend by day" actions=ViewFn::from({ let series = series.clone(); move || view! { <Legend series=series.clone()/> } })>
            <DayBars series days end label=format!("Spend by day in {}, stacked by application", month_name(page.month))/>
            <p class="note-line">{changed}</p>
        </Card>
        <div class="two">
            {(!page.groups.is_empty()).then(|| view! { <Breakdown title="Groups" slices=page.groups.clone() href=|id| format!("/spend/{id}")/> })}
            <Breakdown title="Applications" slices=page.applications.clone() href=|id| format!("/applications/{id}")/>
            <Breakdown title="Models" slices=page.models.clone() href=|id| format!("/models/{id}")/>
            <Breakdown title="People" slices=page.users.clone() href=|id| format!("/users/{id}")/>
        </div>
        <Card title="Last calls">
            <CallTable calls/>
        </Card>
    }
}

/// The four figures that answer "are we fine".
#[component]
pub fn Facts(page: Data) -> impl IntoView {
    let total = page.total;
    let budget = match &page.budget {
        Some(limit) => {
            let text = sentence(limit);
            view! {
                <div class="big num">{Money(limit.level.settled).to_string()}<small>{format!(" of {}", Money(limit.limit.cap))}</small></div>
                <Meter level=limit.level cap=limit.limit.cap text=text.clone()/>
                <p class="under num">{text}</p>
            }
            .into_any()
        }
        None => view! {
            <div class="big num">{total.spend.to_string()}</div>
            <p class="under">"No monthly limit here"</p>
        }
        .into_any(),
    };
    let running = page.month_end > page.today && page.month <= page.today;
    let forecast = running.then(|| {
        let elapsed = (page.today - page.month).num_days().max(0) + 1;
        let whole = (page.month_end - page.month).num_days().max(1);
        let end = Money(i64::try_from(i128::from(total.spend.0) * i128::from(whole) / i128::from(elapsed)).unwrap_or(i64::MAX));
        let over = page.budget.as_ref().is_some_and(|limit| end.0 > limit.limit.cap);
        view! {
            <div>
                <h2>"At this pace, end of month"</h2>
                <div class=if over { "big num warn-text" } else { "big num" }>{end.to_string()}</div>
                <p class="under num">{format!("after {elapsed} of {whole} days{}", if over { " · over the limit" } else { "" })}</p>
            </div>
        }
    });
    let average = each(total.spend, total.calls);
    view! {
        <section class="facts">
            <div><h2>{if running { "Month to date" } else { "The month" }}</h2>{budget}</div>
            {forecast}
            <div>
                <h2>"Against the month before"</h2>
                {if page.before_whole.0 == 0 {
                    view! { <div class="big num muted">"–"</div><p class="under">"Nothing was spent then"</p> }.into_any()
                } else {
                    view! {
                        <div class="big num">{change(total.spend, page.before)}</div>
                        <p class="under num">{format!("{} by the same day, {} in all", page.before, page.before_whole)}</p>
                    }.into_any()
                }}
            </div>
            <div>
                <h2>"Calls"</h2>
                <div class="big num">{grouped(total.calls.unsigned_abs())}</div>
                <p class="under num">{format!("{average} each · {} refused", grouped(total.refused.unsigned_abs()))}</p>
            </div>
        </section>
    }
}

/// One sentence about the largest change.
fn what_changed(page: &Data) -> String {
    let moved = page.applications.iter().max_by_key(|slice| (slice.now.spend.0 - slice.before.0).abs());
    match moved {
        Some(slice) if slice.before.0 > 0 && slice.now.spend != slice.before => {
            format!(
                "What changed most: {} spent {}, {} against the month before.",
                slice.name,
                slice.now.spend,
                change(slice.now.spend, slice.before)
            )
        }
        Some(slice) if slice.now.spend.0 > 0 => format!("{} spends most: {}.", slice.name, slice.now.spend),
        _ => "Nothing was spent yet.".to_owned(),
    }
}

/// A breakdown, the largest first.
#[component]
fn Breakdown<Id: Copy + Send + Sync + 'static>(
    title: &'static str,
    slices: Vec<Slice<Id>>,
    href: fn(Id) -> String,
) -> impl IntoView {
    let count = slices.len();
    let rows = slices
        .into_iter()
        .take(12)
        .map(|slice| {
            let name = match slice.id {
                Some(id) => view! { <a href=href(id)>{slice.name}</a> }.into_any(),
                None => view! { <span class="muted">{slice.name}</span> }.into_any(),
            };
            view! {
                <tr>
                    <td>{name}</td>
                    <td class="r num">{slice.now.spend.to_string()}</td>
                    <td class="r num muted">{change(slice.now.spend, slice.before)}</td>
                    <td class="r num muted hide">{grouped(slice.now.calls.unsigned_abs())}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title=title note=count.to_string()>
            {if count == 0 {
                view! { <Empty title="Nothing yet" text="Once a call is made it shows up here within two seconds."/> }.into_any()
            } else {
                view! {
                    <table class="table">
                        <thead><tr><th>"Name"</th><th class="r">"Month"</th><th class="r">"Change"</th><th class="r hide">"Calls"</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                }.into_any()
            }}
        </Card>
    }
}
