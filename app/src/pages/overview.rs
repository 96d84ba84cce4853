//! The first page.

use domain::roles::Act;
use leptos::prelude::*;
use leptos_router::components::Redirect;

use super::{
    audit::Changes,
    spend::{Answers, Facts, spend_chart},
};
use crate::{
    api::overview::{Overview, load_overview},
    filters::Filters,
    ui::{
        Card, Head, LimitMeter, Load, Page,
        chart::{ChartView, Legend},
        context::frame,
        may,
    },
};

/// Are we fine, and what waits?
#[component]
pub fn OverviewPage() -> impl IntoView {
    if !may(Act::ReadOrganization) {
        return view! { <Redirect path="/my-models"/> }.into_any();
    }
    let overview = load_overview();
    view! {
        <Page title="Overview" live=true>
            <Head title=frame().here().map(|here| here.org_name.clone()).unwrap_or_default()/>
            <Load data=overview let(overview)><Content overview/></Load>
        </Page>
    }
    .into_any()
}

#[component]
fn Content(overview: Overview) -> impl IntoView {
    let Overview { spend, steps, reviews, near, neglected, changes } = overview;
    let steps = [
        (steps.provider, "Add a provider", "/welcome/provider"),
        (steps.model, "Add a model with its price", "/welcome/model"),
        (steps.group, "Create a group", "/welcome/group"),
        (steps.application, "Create an application and its key", "/welcome/application"),
        (steps.call, "Make the first call", "/welcome/application"),
    ];
    let checklist = steps.iter().any(|(done, ..)| !done).then(|| {
        let items = steps
            .into_iter()
            .map(|(done, text, href)| {
                if done {
                    view! { <li class="ok">{text}</li> }.into_any()
                } else {
                    view! { <li class="todo"><a href=href>{text}</a></li> }.into_any()
                }
            })
            .collect_view();
        view! { <Card title="First steps" note="what is left"><ol class="checklist">{items}</ol></Card> }
    });
    let waiting = (!reviews.is_empty()).then(|| {
        let items = reviews.into_iter().map(|(id, name)| view! { <li><a href=format!("/models/{id}")>{name}</a></li> }).collect_view();
        view! { <Card title="Models that wait for review" note="closed until somebody decides"><ul class="list">{items}</ul></Card> }
    });
    let near = (!near.is_empty()).then(|| {
        let items = near
            .into_iter()
            .map(|limit| {
                let title = format!("{} · {}", limit.scope_name, limit.limit.meter.show_cap(limit.limit.cap));
                view! { <li><b>{title}</b><LimitMeter limit/></li> }
            })
            .collect_view();
        view! { <Card title="Near or over" note="limits at 80 % and more"><ul class="list">{items}</ul></Card> }
    });
    let (unused, leaked, away) = neglected;
    let look = (unused > 0 || leaked > 0 || away > 0).then(|| {
        let one = |count: i64, one: &str, many: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {many}") };
        view! {
            <Card title="Secrets to look at">
                <ul class="list">
                    {(leaked > 0).then(|| view! { <li><a href="/audit?kind=secret&field=reported+as+leaked">{one(leaked, "secret was reported as leaked", "secrets were reported as leaked")}</a><span class="muted">" and died with the report"</span></li> })}
                    {(away > 0).then(|| view! { <li><a href="/applications?away=1">{one(away, "application has", "applications have")}" an owner who is suspended"</a></li> })}
                    {(unused > 0).then(|| view! { <li><a href="/applications?unused=1">{one(unused, "application has", "applications have")}" secrets nobody used for 60 days"</a></li> })}
                </ul>
            </Card>
        }
    });
    let chart = spend_chart(&spend, &Filters::default());
    view! {
        {checklist}
        <Facts page=spend.clone()/>
        <Answers page=spend/>
        <Card title="Spend by day" actions=ViewFn::from({ let series = chart.series.clone(); move || view! { <Legend series=series.clone()/> } })>
            <ChartView chart/>
            <p class="note-line"><a href="/spend">"Everything about spend"</a></p>
        </Card>
        <div class="two">{near}{waiting}{look}</div>
        <Card title="Last changes">
            <Changes rows=changes/>
            <p class="note-line"><a href="/audit">"All changes"</a></p>
        </Card>
    }
}
