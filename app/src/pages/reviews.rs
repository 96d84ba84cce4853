//! Looks at who still needs what: the list of reviews, and a review.

use domain::{
    limits::Level,
    reviews::{Item, ItemKind, ItemState, Progress, Review},
    roles::Act,
    time,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{capital, param};
use crate::{
    api::reviews::{DecideReview, OpenReview, ReviewView, Reviews, load_review, load_reviews},
    ui::{
        Ago, Badge, Card, Check, Dialog, Empty, Field, Form, Head, Hidden, Kind, Load, Menu, Meter,
        OpenDialog, Page, Pager, PickGroup, Submit, Tick, When, may, query,
    },
};

/// Every review.
#[component]
pub fn ReviewsPage() -> impl IntoView {
    let reviews = load_reviews();
    view! { <Page title="Access reviews"><Load data=reviews let(reviews)><List reviews/></Load></Page> }
}

fn kind_name(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Member => "Membership",
        ItemKind::Grant => "Grant",
        ItemKind::Secret => "Secret",
    }
}

#[component]
fn List(reviews: Reviews) -> impl IntoView {
    let Reviews { rows, groups } = reviews;
    let open = !groups.is_empty();
    let none = rows.is_empty();
    let rows = rows
        .into_iter()
        .map(|review| {
            let below = if review.below { " and below" } else { "" };
            view! {
                <tr>
                    <td><a href=format!("/reviews/{}", review.id)><b>{review.path.clone()}</b></a><div class="sub">{format!("opened by {}{below}", review.opened_by)}</div></td>
                    <td class="meter-cell"><Bar progress=review.progress small=true/></td>
                    <td class="r num hide">{review.progress.waiting()}</td>
                    <td class="nw beside"><State review/></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Head title="Access reviews">{open.then(|| view! { <OpenDialog name="new" label="Open a review" look="btn go"/> })}</Head>
        <Card>
            {if none {
                view! {
                    <Empty title="No reviews yet" text="A review lists every membership, grant and secret of a group with its last use. Somebody who answers for the group confirms or drops each until a day; grants of high-cost models that nobody confirmed then end by themselves.">
                        {open.then(|| view! { <OpenDialog name="new" label="Open the first review" look="btn go"/> })}
                    </Empty>
                }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Access reviews">
                        <table class="table stack">
                            <thead><tr><th>"Group"</th><th>"Decided"</th><th class="r hide">"Waiting"</th><th>"State"</th></tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
        <Dialog name="new" title="Open a review">
            <Form to=OpenReview::PATH>
                <PickGroup name="group" label="Group" groups=groups.clone() value=query::value("group") searched=true/>
                <Check name="below" label="With every group below" checked=true/>
                <Field name="due_on" label="Last day" kind="date" hint="Grants of high-cost models that nobody confirmed by then end by themselves."/>
                <div class="row end"><Submit label="Open it"/></div>
            </Form>
        </Dialog>
    }
}

#[component]
fn State(review: Review) -> impl IntoView {
    let due = time::date(review.due_on);
    match review.closed_at {
        Some(at) if review.progress.waiting() > 0 => view! { <Badge text=format!("closed, {} unconfirmed", review.progress.waiting()) kind=Kind::Warn/>" "<When at/> }.into_any(),
        Some(at) => view! { <Badge text="closed" kind=Kind::Good/>" "<When at/> }.into_any(),
        None => view! { <span>{format!("until {due}")}</span> }.into_any(),
    }
}

#[component]
fn Bar(progress: Progress, #[prop(optional)] small: bool) -> impl IntoView {
    let decided = progress.all - progress.waiting();
    let text = format!("{decided} of {} decided", progress.all);
    view! {
        <Meter level=Level { settled: decided, held: 0 } cap=progress.all.max(1) text small calm=true/>
        <div class="sub num">{format!("{decided} of {}", progress.all)}</div>
    }
}

/// A review.
#[component]
pub fn ReviewPage() -> impl IntoView {
    let review = load_review(param("id"), query::value("state"), query::value("kind"), query::value("after"));
    view! { <Page title="Access review"><Load data=review let(view)><Content view/></Load></Page> }
}

#[component]
fn Content(view: ReviewView) -> impl IntoView {
    let ReviewView { review, items, next, decides } = view;
    let crumbs = vec![("/reviews".to_owned(), "Access reviews".to_owned())];
    let progress = review.progress;
    let log = may(Act::ReadAudit).then(|| format!("/audit?subject={}", review.id.0));
    let (closed, waiting) = (review.closed_at, progress.waiting());
    view! {
        <Head title=review.path.clone() note=if review.below { "and every group below" } else { "" } crumbs>
            <a class="btn" href=format!("/groups/{}", review.group)>"The group"</a>
            {log.map(|href| view! { <a class="btn" href=href>"In the audit log"</a> })}
        </Head>
        {closed.map(|_| if waiting > 0 {
            view! { <p class="banner">{format!("Closed with {waiting} that nobody confirmed: they go on, and stand below.")}</p> }.into_any()
        } else {
            view! { <p class="banner good">"Closed: somebody decided on every line."</p> }.into_any()
        })}
        <section class="facts three">
            <div><h2>"Decided"</h2><div class="big num">{format!("{}", progress.all - waiting)}<small>{format!(" of {}", progress.all)}</small></div><Bar progress/></div>
            <div><h2>"So far"</h2><div class="big num">{progress.confirmed}<small>" confirmed"</small></div><p class="under num">{format!("{} dropped, {} lapsed", progress.dropped, progress.lapsed)}</p></div>
            <div><h2>"Last day"</h2><div class="big num">{time::date(review.due_on)}</div><p class="under">{format!("Opened by {} ", review.opened_by)}<Ago at=Some(review.opened_at)/></p></div>
        </section>
        <Filters/>
        <div class="reviews">
            <Card>
                {if items.is_empty() {
                    view! { <Empty title="Nothing here" text="No line of this review is like that. Show all of them."><a class="btn" href=format!("/reviews/{}", review.id)>"Show all"</a></Empty> }.into_any()
                } else {
                    view! { <Items items decides/> }.into_any()
                }}
            </Card>
            {decides.then(|| view! { <Decide id=review.id.to_string()/> })}
        </div>
        <Pager next/>
    }
}

#[component]
fn Filters() -> impl IntoView {
    let links = |name: &'static str, any: &'static str, words: Vec<(&'static str, String)>| {
        let now = query::value(name);
        let link = |value: Option<&str>, text: String| {
            let current = value.unwrap_or_default() == now;
            view! { <li><a href=query::href(&[(name, value), ("after", None)]) data-within="" aria-current=current.then_some("true")>{text}</a></li> }
        };
        let first = link(None, any.to_owned());
        let rest = words.into_iter().map(|(word, text)| link(Some(word), text)).collect_view();
        view! { <ul>{first}{rest}</ul> }
    };
    let states = ItemState::ALL.iter().map(|state| (state.as_str(), capital(state.as_str()))).collect();
    let kinds = ItemKind::ALL.iter().map(|kind| (kind.as_str(), kind_name(*kind).to_owned())).collect();
    let kind = query::value("kind").parse().map(kind_name).unwrap_or_default();
    view! {
        <div class="filters row">
            <Menu id="by-state" label="State" value=capital(&query::value("state"))>{links("state", "Any state", states)}</Menu>
            <Menu id="by-kind" label="Kind" value=kind>{links("kind", "Any kind", kinds)}</Menu>
        </div>
    }
}

#[component]
fn Items(items: Vec<Item>, decides: bool) -> impl IntoView {
    let rows = items
        .into_iter()
        .map(|item| {
            let open = decides && item.state == ItemState::Waiting;
            let label = format!("Select {} of {}", kind_name(item.kind).to_lowercase(), item.name);
            let mono = item.kind != ItemKind::Member;
            let (state, kind) = match item.state {
                ItemState::Waiting if item.gone => ("has ended since", Kind::Warn),
                ItemState::Waiting => ("waiting", Kind::Plain),
                ItemState::Confirmed => ("confirmed", Kind::Good),
                ItemState::Dropped => ("dropped", Kind::Bad),
                ItemState::Lapsed => ("lapsed by itself", Kind::Warn),
            };
            view! {
                <tr>
                    {decides.then(|| view! { <td class="tick-cell">{open.then(|| view! { <Tick form="review-many" name="items[]" value=item.id.to_string() label/> })}</td> })}
                    <td>
                        {match item.user.filter(|_| item.kind == ItemKind::Member) {
                            Some(id) => view! { <a href=format!("/users/{id}")><b>{item.name}</b></a> }.into_any(),
                            None => view! { <b class=if mono { "mono" } else { "" }>{item.name}</b> }.into_any(),
                        }}
                        {item.high_cost.then(|| view! { " "<Badge text="high-cost" kind=Kind::Warn/> })}
                        <div class="sub">{item.detail}</div>
                    </td>
                    <td class="hide">{kind_name(item.kind)}<div class="sub">{item.place}</div></td>
                    <td class="nw"><Ago at=item.last_used_at never="never used"/></td>
                    <td class="nw"><Badge text=state kind/>{item.decided_by.map(|by| view! { <div class="sub">{by}</div> })}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="What is looked at">
            <table class="table">
                <thead><tr>
                    {decides.then(|| view! { <th class="tick-cell"><span class="sr">"Select"</span></th> })}
                    <th>"What"</th><th class="hide">"Kind and group"</th><th>"Last use"</th><th>"State"</th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

/// What is said about the lines that are ticked.
#[component]
fn Decide(id: String) -> impl IntoView {
    view! {
        <div class="reviews-bar">
            <Form to=DecideReview::PATH which="many" id="review-many" class="bar-form">
                <Hidden name="id" value=id/>
                <span class="muted">"Dropped memberships, grants and secrets end at once."</span>
                <div class="row end">
                    <button class="btn danger" name="verdict" value="drop">"Drop those ticked"</button>
                    <button class="btn go" name="verdict" value="confirm">"Confirm those ticked"</button>
                </div>
            </Form>
        </div>
    }
}
