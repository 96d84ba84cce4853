//! One cell of the matrix: what holds, where that comes from, and what is to hold.

use domain::{
    authorizations::{Edit, State},
    limits::Scope,
    money::grouped,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{last_day, modes, said, says};
use crate::{
    api::{
        authorizations::{RuleView, StageAuthorizations, Watched, load_rule, rule_href},
        rehearsals::RehearseAuthorization,
    },
    pages::{audit::Changes, limits::LimitCard},
    ui::{
        Badge, Card, Check, Field, Form, Head, Hidden, Load, Page, Select, StateMark, Submit, When,
        grid::Carried, query,
    },
};

/// One cell.
#[component]
pub fn RulePage() -> impl IntoView {
    let rule = load_rule(query::value("of"));
    view! { <Page title="Authorization" live=true><Load data=rule let(view)><Content view/></Load></Page> }
}

#[component]
fn Content(view: RuleView) -> impl IntoView {
    let back = query::value("back");
    let matrix = if back.is_empty() { "/authorization".to_owned() } else { format!("/authorization?{back}") };
    let crumbs = vec![(matrix, "Authorization".to_owned())];
    let group = view.shown.cell.group.map(|id| id.to_string());
    let why = group.zip(view.model.clone()).map(|(who, model)| {
        let href = crate::pages::why::href(&[("who", &who), ("model", &model)]);
        view! { <a class="btn" href=href>"Why"</a> }
    });
    let own = view.shown.own.clone();
    let limits = own.as_ref().map(|own| {
        let scope = Scope::Authorization(own.seen.id);
        view! { <LimitCard scope limits=view.limits.clone() may_set=view.editable may_remove=view.may_loosen/> }
    });
    // A page has one dialog for a new limit: where a rule decides, that rule's.
    let alone = own.is_none() && view.watched.is_some();
    let no_limits = (own.is_none() && !alone).then(|| view! {
        <Card title="Quotas"><p class="pad muted">"A quota stands on a rule, and counts everybody who passes by it. Nothing is said here yet: say something first."</p></Card>
    });
    let below = view.below.clone();
    let history = view.history.clone();
    view! {
        <Head title=format!("{} for {}", view.what, view.group) crumbs>{why}</Head>
        <div class="two wide-left">
            <div>
                <Now view=view.clone()/>
                {view.editable.then(|| view! { <Edited view=view.clone() back/> })}
            </div>
            <div>
                {limits}{no_limits}
                {(!below.is_empty()).then(|| {
                    let lines = below.into_iter().map(|(cell, name, say)| view! {
                        <li class="row between"><a href=rule_href(cell)>{name}</a><span class="muted">{said(Some(say))}</span></li>
                    }).collect_view();
                    view! { <Card title="Below say their own"><ul class="list">{lines}</ul></Card> }
                })}
            </div>
        </div>
        {view.watched.clone().map(|watched| view! { <Beside watched may_set=alone && view.editable may_loosen=view.may_loosen/> })}
        {(!history.is_empty()).then(|| view! { <Card title="What became of it"><Changes rows=history/></Card> })}
    }
}

/// The rule beside it that only takes note: what it would have refused, its quotas, what became of it.
#[component]
fn Beside(watched: Watched, may_set: bool, may_loosen: bool) -> impl IntoView {
    let Watched { id, state, locked, noted, limits, history } = watched;
    let figures = match noted {
        None => "Nothing in the last 90 days".to_owned(),
        Some((calls, people, spend)) => {
            let calls = if calls == 1 {
                "1 call".to_owned()
            } else {
                format!("{} calls", grouped(calls.unsigned_abs()))
            };
            let people = match people {
                0 => "of programs".to_owned(),
                1 => "of 1 person".to_owned(),
                people => format!("of {} people", grouped(people.unsigned_abs())),
            };
            format!("{calls} {people} in the last 90 days, {spend}")
        }
    };
    let scope = Scope::Authorization(id);
    let unused = limits.is_empty();
    view! {
        <section aria-label="The rule that only takes note">
            <div class="two wide-left">
                <Card title="The rule that only takes note" actions=ViewFn::from(|| view! { <a class="btn small" href="/authorization/observed">"Rehearse, promote or drop it"</a> })>
                    <dl class="facts-list">
                        <dt>"It says"</dt><dd><StateMark state/>{locked.then(|| view! { " "<Badge text="locked"/> })}</dd>
                        <dt>"It would have refused"</dt><dd class="num">{figures}</dd>
                        <dt>"What holds"</dt><dd>"It decides nothing until it is promoted."</dd>
                    </dl>
                    {(!history.is_empty()).then(|| view! { <Changes rows=history/> })}
                </Card>
                <div>
                    <LimitCard scope limits may_set may_remove=may_loosen/>
                    {(!unused).then(|| view! { <p class="hint">"They count what would pass by this rule already, and take note of what they would refuse. When it is promoted they go along."</p> })}
                </div>
            </div>
        </section>
    }
}

/// What holds here, and where that comes from.
#[component]
fn Now(view: RuleView) -> impl IntoView {
    let shown = view.shown;
    let inherited = shown.own.is_none();
    let from = match (view.decides, inherited) {
        (Some((cell, name)), _) => view! { <a href=rule_href(cell)>{name}</a> }.into_any(),
        (None, false) => view! { "This very rule" }.into_any(),
        (None, true) => {
            view! { <span class="muted">"Nothing is said anywhere above: silence denies"</span> }.into_any()
        }
    };
    let own = shown.own.map(|own| {
        let overruled = own.say.state != shown.state;
        let ends = last_day(own.say).map(domain::time::date);
        view! {
            <dt>"Said here"</dt>
            <dd>{own.say.state.label()}{own.say.locked.then(|| view! { " "<Badge text="locked"/> })}{overruled.then_some(if shown.waits { ", once it can be called" } else { ", overruled by a lock above" })}</dd>
            {ends.map(|day| view! { <dt>"Last day"</dt><dd class="num">{day}</dd> })}
        }
    });
    let observed = shown.observed.map(|state| {
        view! {
            <dt>"Observes"</dt>
            <dd>{state.label()}", which only takes note: "<a href="/authorization/observed">"what it would refuse"</a></dd>
        }
    });
    view! {
        <Card title="What holds">
            <dl class="facts-list">
                <dt>"State"</dt><dd><StateMark state=shown.state inherited/></dd>
                <dt>"Decided by"</dt><dd>{from}</dd>
                {view.by.map(|(who, at)| view! { <dt>"Set by"</dt><dd>{who}", "<When at/></dd> })}
                {own}{observed}
                <dt>"Without a rule here"</dt><dd>{shown.above.label()}{shown.held.then_some(", by a lock above: what is said here comes to nothing")}</dd>
            </dl>
        </Card>
    }
}

/// What is to be said here.
#[component]
fn Edited(view: RuleView, back: String) -> impl IntoView {
    let cell = view.shown.cell;
    let own = view.shown.own;
    let value = own.as_ref().map_or_else(|| "inherit".to_owned(), |own| own.say.state.to_string());
    // A link can bring along what it proposes.
    let proposed = query::value("say").parse::<State>().ok();
    let unlock = query::value("lock") == "no";
    let proposes = unlock || proposed.is_some();
    let value = proposed.map_or(value, |state| state.to_string());
    let ends_on =
        own.as_ref().and_then(|own| last_day(own.say)).map(|day| day.to_string()).unwrap_or_default();
    let locked = !unlock && own.as_ref().is_some_and(|own| own.say.locked);
    let seen = Edit { cell, say: own.as_ref().map(|own| own.say), seen: own.as_ref().map(|own| own.seen) };
    view! {
        <Card title="What is to hold">
            <div class="pad">{proposes.then(|| view! { <p class="banner">"Filled in for you, and not saved: look at it, rehearse it, or leave it."</p> })}<Form to=StageAuthorizations::PATH also=RehearseAuthorization::PATH which="rule">
                <Hidden name="group" value=cell.group.map(|id| id.to_string()).unwrap_or_default()/>
                <Hidden name="target" value=cell.target.to_string()/>
                <input type="hidden" name="groups[]" value=cell.group.map(|id| id.to_string()).unwrap_or_default()/>
                <input type="hidden" name="targets[]" value=cell.target.to_string()/>
                <Hidden name="seen" value=seen.to_string()/>
                <Hidden name="back" value=back/>
                <Hidden name="draft" value=query::value("draft")/>
                <Carried first=String::new()/>
                <Select name="state" label="Here" options=says() value/>
                <Check name="locked" label="Locked" checked=locked hint="Groups below cannot say otherwise."/>
                <Field name="ends_on" label="Last day" kind="date" value=ends_on optional=true hint="Afterwards it is as if nothing were said here."/>
                <Select name="mode" label="How" options=modes() hint="A rule that only takes note stands beside the one that decides, and is saved by itself: “inherit” takes it away again."/>
                <div class="row end">
                    <Submit label="Rehearse on 30 days" look="" to=RehearseAuthorization::PATH/>
                    <button class="btn" name="then" value="more">"Stage, and go on"</button>
                    <Submit label="Preview"/>
                </div>
            </Form></div>
        </Card>
    }
}
