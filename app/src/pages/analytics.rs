//! How a group uses models: trend, preference, what it gets for its money, and what that suggests.

use std::collections::HashMap;

use domain::{
    analytics::{Analytics, Efficiency, TierCost},
    explore::{Explored, Measure},
    money::{Money, grouped},
    recommendations::MODEL_DAYS,
    reports::{share, share_text},
    spend::Sums,
};
use leptos::prelude::*;

use super::{param, recommendations::Recommended, spend::chart_of};
use crate::{
    api::analytics::{GroupAnalytics, load_analytics},
    filters::Filters,
    ui::{
        Badge, Card, Empty, Head, Kind, Load, Page,
        chart::{Chart, ChartView, Legend, Swatch},
        money::{change, each},
    },
};

/// The analytics of a group.
#[component]
pub fn AnalyticsPage() -> impl IntoView {
    let analytics = load_analytics(param("id"));
    view! { <Page title="Analytics" live=true><Load data=analytics let(view)><Content view/></Load></Page> }
}

#[component]
fn Content(view: GroupAnalytics) -> impl IntoView {
    let GroupAnalytics { analytics, recommendations } = view;
    let (above, own) = analytics.path.split_at(analytics.path.len().saturating_sub(1));
    let (id, name) = own.first().cloned().map(|(id, name)| (id.to_string(), name)).unwrap_or_default();
    let mut crumbs = vec![("/groups".to_owned(), "Groups".to_owned())];
    crumbs.extend(above.iter().map(|(id, name)| (format!("/groups/{id}"), name.clone())));
    crumbs.push((format!("/groups/{id}"), name.clone()));
    let filters = Filters { group: id.clone(), ..Filters::default() };
    let brush = Some(format!("/spend/{id}?range=own&by=model"));
    let chart = Chart { brush, ..chart_of(&analytics.trend, "Spend by week and model".to_owned(), &filters) };
    let legend = chart.series.clone();
    // A model has the colour it has in the chart.
    let keys = analytics.trend.rows.iter().filter_map(|row| row.key.clone());
    let colours: HashMap<String, &'static str> = keys.zip(legend.iter().map(|series| series.class)).collect();
    let sentence = analytics.trend.what_changed();
    let some = (!recommendations.is_empty()).then(|| {
        let note = recommendations.len().to_string();
        view! { <Card title="What that suggests" note=note><Recommended found=recommendations/></Card> }
    });
    view! {
        <Head title=format!("Analytics of {name}") note=format!("attributed, with everything below; the last {MODEL_DAYS} days") crumbs>
            <a class="btn" href=format!("/spend/{id}")>"Spend"</a>
        </Head>
        <EfficiencyFacts analytics=analytics.clone()/>
        <Card title="Spend by week and model" actions=ViewFn::from(move || view! { <Legend series=legend.clone()/> })>
            <ChartView chart/>
            <p class="note-line">{sentence}</p>
        </Card>
        {some}
        <Preference table=analytics.models.clone() filters=filters.clone() colours/>
        <Tiers tiers=analytics.tiers text=analytics.text/>
        {analytics.splits.into_iter().map(|table| view! { <Split table filters=filters.clone()/> }).collect_view()}
    }
}

/// A figure beside the group in the middle.
fn beside(
    own: Option<i64>,
    median: Option<i64>,
    show: impl Fn(i64) -> String,
    name: &'static str,
) -> AnyView {
    let big = own.map_or_else(|| "–".to_owned(), &show);
    let under = match (own, median) {
        (_, None) => "No group to compare with yet".to_owned(),
        (None, Some(middle)) => format!("{} at the middle group", show(middle)),
        (Some(own), Some(middle)) if own == middle => format!("{}, as the middle group", show(middle)),
        (Some(own), Some(middle)) => {
            let word = if own > middle { "more" } else { "less" };
            format!("{word} than the {} of the middle group", show(middle))
        }
    };
    view! { <div><h2>{name}</h2><div class="big num">{big}</div><p class="under num">{under}</p></div> }
        .into_any()
}

#[component]
fn EfficiencyFacts(analytics: Analytics) -> impl IntoView {
    let own = analytics.own;
    let (median, groups) = analytics.median.unwrap_or((Efficiency::default(), 0));
    let money = |money: Option<Money>| money.map(|money| money.0);
    let dollars = |nanos: i64| Money(nanos).to_string();
    let sums = analytics.models.total();
    let before = analytics.models.total_before();
    view! {
        <section class="facts">
            <div><h2>"Spend"</h2><div class="big num">{sums.spend.to_string()}</div>
                {analytics.models.comparable().then(|| view! { <p class="under num">{format!("{} against the {MODEL_DAYS} days before", change(sums.spend, before.spend))}</p> })}</div>
            {beside(money(own.per_call), money(median.per_call), dollars, "A call costs")}
            {beside(money(own.per_thousand_output), money(median.per_thousand_output), dollars, "A thousand output tokens cost")}
            {beside(own.cache_share, median.cache_share, share_text, "Input from the cache")}
        </section>
        <p class="hint">{(groups > 0).then(|| match groups {
            1 => "The middle group is the one group that has calls, with everything below it. ".to_owned(),
            groups => format!("The middle group is the median of the {groups} groups that have calls, each with everything below it, figure by figure. "),
        })}"A thousand output tokens: all that was spent, input included."</p>
    }
}

/// Which models it prefers.
#[component]
fn Preference(
    table: Explored,
    filters: Filters,
    /// Of models, by their ids.
    colours: HashMap<String, &'static str>,
) -> impl IntoView {
    let total = table.total();
    let (from, to) = (table.period.from.to_string(), table.period.last().to_string());
    let empty = table.rows.is_empty();
    let rows = table
        .rows
        .into_iter()
        .filter(|row| row.total.calls > 0 || row.before.calls > 0)
        .map(|row| {
            let class = row.key.as_ref().and_then(|key| colours.get(key)).copied().unwrap_or("rest");
            let calls = filters.href(
                "/calls",
                &[
                    ("model", row.key.as_deref().unwrap_or_default()),
                    ("outcome", "finished"),
                    ("from", &from),
                    ("to", &to),
                ],
            );
            let of_calls = share(Money(row.total.calls), Money(total.calls));
            view! {
                <tr>
                    <td><span class="row tight"><Swatch class=class/>{row.name.clone()}</span></td>
                    <td class="r num"><a href=calls>{grouped(row.total.calls.unsigned_abs())}</a></td>
                    <td class="r num">{share_text(of_calls)}</td>
                    <td class="r num">{row.total.spend.to_string()}</td>
                    <td class="r num">{share_text(share(row.total.spend, total.spend))}</td>
                    <td class="r num">{change(row.total.spend, row.before.spend)}</td>
                    <td class="r num">{each(row.total.spend, row.total.calls)}</td>
                    <td class="r num">{tokens_each(&row.total)}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="Which models it prefers" note=format!("the last {MODEL_DAYS} days")>
            {if empty {
                view! { <Empty title="No calls in these days" text="Models stand here by what was spent on them."/> }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Which models it prefers">
                        <table class="table">
                            <thead><tr><th>"Model"</th><th class="r">"Calls"</th><th class="r">"Of calls"</th><th class="r">"Spend"</th><th class="r">"Of spend"</th><th class="r">"Change"</th><th class="r">"A call"</th><th class="r">"Tokens a call"</th></tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
    }
}

fn tokens_each(sums: &Sums) -> String {
    match sums.calls {
        0 => "–".to_owned(),
        calls => {
            let (input, output) = (sums.input_tokens() / calls, sums.output_tokens() / calls);
            format!("{} in, {} out", grouped(input.unsigned_abs()), grouped(output.unsigned_abs()))
        }
    }
}

/// What the same calls would have cost.
#[component]
fn Tiers(tiers: Vec<TierCost>, text: Sums) -> impl IntoView {
    if tiers.is_empty() {
        return ().into_any();
    }
    let spent = text.spend;
    let rows = tiers
        .into_iter()
        .map(|tier| {
            let state = if tier.open {
                view! { <Badge text="open to it" kind=Kind::Good/> }.into_any()
            } else {
                view! { <Badge text="not open to it"/> }.into_any()
            };
            view! {
                <tr>
                    <td><b>{tier.tier}</b><div class="sub mono">{tier.model.1}</div></td>
                    <td class="beside">{state}</td>
                    <td class="r num" data-th="Would have cost">{tier.cost.to_string()}</td>
                    <td class="r num" data-th="Against what was spent">{change(tier.cost, spent)}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="What another tier would have cost" note=format!("{spent} was spent on text")>
            <div class="scroll" tabindex="0" role="region" aria-label="What another tier would have cost">
                <table class="table stack">
                    <thead><tr><th>"Tier and its cheapest model"</th><th>"Now"</th><th class="r">"Would have cost"</th><th class="r">"Against what was spent"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            <p class="note-line">"The same tokens by the prices in force now. Another model uses other numbers of tokens for the same question: a sense of size, no offer."</p>
        </Card>
    }
    .into_any()
}

/// For what or how it calls. Without any that is named there is nothing to say.
#[component]
fn Split(table: Explored, filters: Filters) -> impl IntoView {
    let by = table.by;
    let named =
        table.rows.iter().any(|row| row.key.as_deref().is_some_and(|key| key != domain::explore::NONE));
    if !named {
        return ().into_any();
    }
    let total = table.total();
    let explore = filters.href("/explore", &[("by", by.as_str()), ("measure", Measure::Spend.as_str())]);
    let rows = table
        .rows
        .into_iter()
        .filter(|row| row.total.calls > 0)
        .map(|row| view! {
            <tr><td>{row.name}</td><td class="r num">{grouped(row.total.calls.unsigned_abs())}</td><td class="r num">{row.total.spend.to_string()}</td>
                <td class="r num">{share_text(share(row.total.spend, total.spend))}</td><td class="r num">{each(row.total.spend, row.total.calls)}</td></tr>
        })
        .collect_view();
    view! {
        <Card title=by.plural() note=format!("the last {MODEL_DAYS} days")>
            <div class="scroll" tabindex="0" role="region" aria-label=by.plural()>
                <table class="table">
                    <thead><tr><th>{by.one()}</th><th class="r">"Calls"</th><th class="r">"Spend"</th><th class="r">"Of spend"</th><th class="r">"A call"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            <p class="note-line">{by.overlaps().then_some("A call can use several of them, so they come to more than the whole. ")}<a href=explore>"Over time"</a></p>
        </Card>
    }
    .into_any()
}
