//! What spend is made of.

use domain::{
    explore::{By, Row},
    money::{Money, grouped},
    reports::{share as tenths, share_text},
    spend::SpendPage as Data,
};
use leptos::prelude::*;

use super::answers::explore_one;
use crate::{
    filters::Filters,
    ui::{
        Card, Empty,
        chart::{Series, Swatch},
        context::{frame, reads_groups},
        money::change,
        query,
    },
};

/// How many things a breakdown lists; the explorer has them all.
const LISTED: usize = 15;

/// Where a thing of a breakdown has a spend page of its own.
pub(super) fn spend_of(by: By, row: &Row, all: bool) -> Option<String> {
    let key = row.key.as_deref().filter(|key| *key != domain::explore::NONE)?;
    match by {
        By::Group | By::Application if reads_groups() => Some(format!("/spend/{key}")),
        By::User | By::Model if all => Some(format!("/spend/{key}")),
        _ => None,
    }
}

/// What spend is made of, by one split at a time, the largest first.
#[component]
pub(super) fn Breakdown(page: Data, series: Vec<Series>, filters: Filters) -> impl IntoView {
    let table = page.table;
    let by = table.by;
    let all = frame().may(domain::roles::Act::ReadOrganization);
    let tabs: Vec<(String, By)> =
        page.tabs.into_iter().map(|tab| (query::href(&[("by", Some(tab.as_str()))]), tab)).collect();
    let total = table.total().spend;
    let (from, to) = (table.period.from.to_string(), table.period.last().to_string());
    let listed: Vec<(Option<&'static str>, Row)> = table
        .rows
        .iter()
        .zip(&series)
        .filter(|(row, _)| row.key.is_some())
        .map(|(row, one)| (Some(one.class), row.clone()))
        .chain(table.more.iter().map(|row| (None, row.clone())))
        .take(LISTED)
        .collect();
    let unlisted = table.things - listed.len();
    let empty = listed.is_empty();
    let explore = filters.href("/explore", &[("by", by.as_str()), ("from", &from), ("to", &to)]);
    let comparable = table.comparable();
    let rows = listed
        .into_iter()
        .map(|(class, row)| {
            let key = row.key.as_deref().unwrap_or_default();
            let href = spend_of(by, &row, all).unwrap_or_else(|| explore_one(&table, &filters, by, key));
            let name = view! { <a href=href>{row.name.clone()}</a> };
            let narrowed = filters.with(by, row.key.as_deref().unwrap_or_default());
            let calls = |ended| narrowed.href("/calls", &[("outcome", ended), ("from", &from), ("to", &to)]);
            let refused = row.total.refused;
            view! {
                <tr>
                    <td><span class="row tight"><Swatch class=class.unwrap_or("rest")/>{name}</span></td>
                    <td class="r num"><a href=calls("finished") title=row.total.spend.in_full()>{row.total.spend.to_string()}</a></td>
                    <td class="r num muted hide">{share(row.total.spend, total)}</td>
                    <td class="r num muted">{if comparable { change(row.total.spend, row.before.spend) } else { "–".to_owned() }}</td>
                    <td class="r num muted hide">{grouped(row.total.calls.unsigned_abs())}</td>
                    <td class="r num muted hide">{(refused > 0).then(|| view! { <a href=calls("refused")>{grouped(refused.unsigned_abs())}</a> })}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="What it is made of" actions=ViewFn::from(move || splits(&tabs, by))>
            {if empty {
                view! { <Empty title="Nothing yet" text="Once a call is made it shows up here within two seconds."/> }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="What it is made of">
                        <table class="table">
                            <thead><tr>
                                <th>{by.one()}</th><th class="r">"Spend"</th><th class="r hide">"Share"</th><th class="r">"Change"</th><th class="r hide">"Calls"</th><th class="r hide">"Refused"</th>
                            </tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
            {overlap(by).map(|text| view! { <p class="note-line">{text}</p> })}
            {(unlisted > 0).then(|| view! { <p class="note-line">{format!("And {} more, smaller ones. ", grouped(unlisted as u64))}<a href=explore>"Explore them"</a></p> })}
        </Card>
    }
}

/// Why parts come to more than the whole, where they do.
pub fn overlap(by: By) -> Option<&'static str> {
    let text = "One call may use several features and is in the row of each, so the rows come to more than the \
                whole. “None of them” are calls that used none, or that were booked or refused before features \
                were taken down.";
    by.overlaps().then_some(text)
}

/// By what it can be split.
fn splits(tabs: &[(String, By)], by: By) -> impl IntoView + use<> {
    let tabs = tabs
        .iter()
        .cloned()
        .map(|(href, tab)| view! { <a href=href data-within="" aria-current=(tab == by).then_some("true")>{tab.plural()}</a> })
        .collect_view();
    view! { <div class="seg" role="group" aria-label="Split by">{tabs}</div> }
}

/// `12.3 %` of the whole.
pub fn share(part: Money, whole: Money) -> String {
    if whole.0 <= 0 { "–".to_owned() } else { share_text(tenths(part, whole)) }
}
