//! Asking that a limit be raised.

use domain::{ids::GroupId, limits::Meter, spend::LimitLevel, time};
use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    api::requests::{CreateRaise, Raisable, load_raisable},
    ui::{Card, Empty, Field, Form, Head, Hidden, LimitMeter, Load, Page, Select, Submit, TextArea, query},
};

/// Where somebody asks that a limit be raised, for calls on a group's account.
pub fn raise_href(meter: &Meter, group: Option<GroupId>) -> String {
    let group = group.map(|group| format!("&group={group}")).unwrap_or_default();
    format!("/requests/raise?limit={}{group}", query::encoded(&meter.key()))
}

/// Asking that a limit be raised.
#[component]
pub fn NewRaisePage() -> impl IntoView {
    let raisable = load_raisable(query::value("limit"));
    view! {
        <Page title="Ask for more money">
            <Head title="Ask for more money" crumbs=vec![("/requests".to_owned(), "Requests".to_owned())]/>
            <Load data=raisable let(raisable)><Ask raisable/></Load>
        </Page>
    }
}

#[component]
fn Ask(raisable: Raisable) -> impl IntoView {
    let Raisable { limits, limit, groups, why_not, may, waits, last_day } = raisable;
    let banner = why_not.map(|sentence| view! { <p class="banner warn" role="status">{sentence}</p> });
    let (none, unnamed) = (limits.is_empty(), query::value("limit").is_empty());
    let chosen = limit.as_ref().map(|limit| limit.limit.meter.key()).unwrap_or_default();
    let unchosen = chosen.is_empty();
    let options = limits
        .into_iter()
        .map(|(key, title)| {
            let selected = key == chosen;
            view! { <option value=key selected=selected>{title}</option> }
        })
        .collect_view();
    let choice = (!none).then(|| view! {
        <form method="get" action="/requests/raise" class="row model-choice">
            <div class="field"><label for="which-limit">"Limit"</label>
                <select id="which-limit" name="limit">{unchosen.then(|| view! { <option value="" selected="">"Choose a limit"</option> })}{options}</select></div>
            <button class="btn">"Choose"</button>
        </form>
    });
    let Some(limit) = limit else {
        let own = (may && !unnamed).then(|| view! { <p class="banner">"You may raise every limit yourself: "<a href="/limits">"to the limits"</a>"."</p> });
        return view! {
            {banner}
            {own}
            {if none {
                view! { <Card><Empty title="No limit to ask about" text="No limit on money applies to your calls, so none has to be raised. A model that is by request is asked for under Requests."><a class="btn" href="/my-models">"To my models"</a></Empty></Card> }.into_any()
            } else {
                view! { <Card class="pad narrow">{choice}</Card> }.into_any()
            }}
        }
        .into_any();
    };
    let own = may.then(|| {
        view! { <p class="banner">"You may raise this limit yourself: "<a href="/limits">"to the limits"</a>"."</p> }
    });
    let body = match waits {
        Some(id) => view! {
            <Empty title="You have asked already" text="Your request for this limit waits for an answer. Take it back to ask for something else."><a class="btn" href=format!("/requests/{id}")>"See it"</a></Empty>
        }
        .into_any(),
        None => view! { <AskForm limit=limit.clone() groups last_day/> }.into_any(),
    };
    view! {
        {banner}
        {own}
        <Card class="pad narrow">
            {choice}
            <div class="field"><LimitMeter limit/></div>
            {body}
        </Card>
    }
    .into_any()
}

#[component]
fn AskForm(limit: LimitLevel, groups: Vec<(String, String)>, last_day: chrono::NaiveDate) -> impl IntoView {
    let meter = limit.limit.meter;
    let label = format!("New limit, in US dollars {}", meter.window.per());
    let hint = format!("Instead of {}.", meter.show_cap(limit.limit.cap));
    let raised = limit.raised.map(|raised| {
        format!(
            "It is raised until {} already. What lasts as long takes the place of that; after what ends sooner, that holds again.",
            time::date(raised.until)
        )
    });
    let afterwards =
        if raised.is_some() { "After it that ends." } else { "After it the limit is what it was." };
    let named = query::value("group");
    let group = groups.iter().find(|(id, _)| *id == named).or_else(|| groups.first());
    let group = group.map(|(id, _)| id.clone()).unwrap_or_default();
    let several = groups.len() > 1;
    view! {
        <Form to=CreateRaise::PATH>
            <Hidden name="limit" value=meter.key()/>
            {if several {
                view! { <Select name="group" label="Asked for calls paid by" options=groups value=group hint="Its leads see what you ask for. The limit is raised for everything it covers."/> }.into_any()
            } else {
                view! { <Hidden name="group" value=group/> }.into_any()
            }}
            {raised.map(|text| view! { <p class="hint">{text}</p> })}
            <TextArea name="reason" label="Why" hint="Whoever decides reads this: what for, and why it costs more than was thought."/>
            <div class="pair">
                <Field name="amount" label=label inputmode="decimal" placeholder="60.00" hint=hint/>
                <Field name="ends_on" label="Last day" kind="date" value=last_day.to_string() hint=format!("{afterwards} Proposed: {}.", time::date(last_day))/>
            </div>
            <div class="row end"><Submit label="Ask"/></div>
        </Form>
    }
}
