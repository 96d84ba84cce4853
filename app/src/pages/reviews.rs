//! Looks at who still needs what: the list of reviews, and a review.

use domain::{
    limits::Level,
    money::how_many,
    reviews::{Item, ItemKind, ItemState, Progress, Review},
    roles::Act,
    time,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{capital, param};
use crate::{
    api::reviews::{CancelReview, DecideReview, OpenReview, ReviewView, Reviews, load_review, load_reviews},
    ui::{
        Ago, Badge, Card, Check, Confirm, Dialog, Empty, Field, Form, Head, Hidden, Kind, Load, Menu, Meter,
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
                    <td class="meter-cell"><Told progress=review.progress closed=review.closed_at.is_some()/></td>
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
    if let Some((at, by)) = review.closed_at.zip(review.cancelled_by) {
        return view! { <Badge text=format!("cancelled by {by}") kind=Kind::Plain/>" "<When at/> }.into_any();
    }
    match review.closed_at {
        Some(at) if review.progress.waiting() > 0 => view! { <Badge text=format!("closed, {} unconfirmed", review.progress.waiting()) kind=Kind::Warn/>" "<When at/> }.into_any(),
        Some(at) => view! { <Badge text="closed" kind=Kind::Good/>" "<When at/> }.into_any(),
        None => view! { <span>{format!("until {due}")}</span> }.into_any(),
    }
}

/// What came of a review that closed on its day.
fn outcome(progress: Progress) -> String {
    let Progress { all, confirmed, dropped, lapsed } = progress;
    let some = |count: i64, said: &str| (count > 0).then(|| format!("{count} {said}"));
    let parts = [
        some(confirmed, "confirmed"),
        some(dropped, "dropped, which ended at once"),
        some(
            lapsed,
            if lapsed == 1 { "lapsed, as nobody confirmed it" } else { "lapsed, as nobody confirmed them" },
        ),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let said = if parts.is_empty() { "nothing was decided".to_owned() } else { parts.join("; ") };
    let rest = match progress.waiting() {
        0 => String::new(),
        1 => " 1 that nobody decided on goes on, and stands below.".to_owned(),
        waiting => format!(" {waiting} that nobody decided on go on, and stand below."),
    };
    format!("Closed. Of {all}: {said}.{rest}")
}

#[component]
fn Bar(progress: Progress, #[prop(optional)] small: bool) -> impl IntoView {
    let text = format!("{} of {} decided", progress.decided(), progress.all);
    view! { <Meter level=Level { settled: progress.decided(), held: 0 } cap=progress.all.max(1) text small calm=true/> }
}

/// The same with its figures below, for a table.
#[component]
fn Told(progress: Progress, closed: bool) -> impl IntoView {
    let decided = progress.decided();
    let Progress { all, confirmed, dropped, lapsed } = progress;
    let under = if closed {
        format!("{confirmed} confirmed, {dropped} dropped, {lapsed} lapsed")
    } else {
        format!("{decided} of {all}")
    };
    view! {
        <Bar progress small=true/>
        <div class="sub num">{under}</div>
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
    let ReviewView { review, items, next, part, decides, cancels } = view;
    let crumbs = vec![("/reviews".to_owned(), "Access reviews".to_owned())];
    let progress = review.progress;
    let log = may(Act::ReadAudit).then(|| format!("/audit?subject={}", review.id.0));
    let (closed, waiting) = (review.closed_at, progress.waiting());
    let some = items.iter().any(|item| item.state == ItemState::Waiting);
    let ticked = query::values("items[]");
    let ticked: Vec<Item> = items
        .iter()
        .filter(|item| item.state == ItemState::Waiting && ticked.contains(&item.id.to_string()))
        .cloned()
        .collect();
    view! {
        <Head title=review.path.clone() note=match (part, review.below) {
            (true, _) => "what is in the groups you lead",
            (false, true) => "and every group below",
            (false, false) => "",
        } crumbs>
            {(!part).then(|| view! { <a class="btn" href=format!("/groups/{}", review.group)>"The group"</a> })}
            {log.map(|href| view! { <a class="btn" href=href>"In the audit log"</a> })}
            {cancels.then(|| view! { <OpenDialog name="cancel" label="Cancel the review"/> })}
        </Head>
        {closed.map(|_| if let Some(by) = review.cancelled_by.clone() {
            view! { <p class="banner">{format!("{by} cancelled this review. {}", if waiting > 0 { "What nobody had decided on stays as it is." } else { "What was decided stays decided." })}</p> }.into_any()
        } else {
            view! { <p class=if progress.decided() == progress.all { "banner good" } else { "banner" }>{outcome(progress)}</p> }.into_any()
        })}
        <section class="facts three">
            <div><h2>{if closed.is_some() { "Decided by somebody" } else { "Decided" }}</h2><div class="big num">{progress.decided()}<small>{format!(" of {}", progress.all)}</small></div><Bar progress/></div>
            <div><h2>{if closed.is_some() { "What came of it" } else { "So far" }}</h2><div class="big num">{progress.confirmed}<small>" confirmed"</small></div><p class="under num">{format!("{} dropped, {} lapsed", progress.dropped, progress.lapsed)}{(closed.is_some() && waiting > 0).then(|| format!(", {waiting} not decided"))}</p></div>
            <div><h2>"Last day"</h2><div class="big num">{time::date(review.due_on)}</div><p class="under">{format!("Opened by {} ", review.opened_by)}<Ago at=Some(review.opened_at)/></p></div>
        </section>
        <Filters closed=review.closed_at.is_some()/>
        <div class="reviews">
            <Card>
                {if items.is_empty() {
                    view! { <Empty title="Nothing here" text="No line of this review is like that. Show all of them."><a class="btn" href=format!("/reviews/{}", review.id)>"Show all"</a></Empty> }.into_any()
                } else {
                    view! { <Items items decides closed=review.closed_at.is_some()/> }.into_any()
                }}
            </Card>
            {decides.then(|| if some {
                view! { <Decide id=review.id.to_string() page=format!("/reviews/{}", review.id)/> }.into_any()
            } else {
                view! { <Decided waiting/> }.into_any()
            })}
        </div>
        <Pager next/>
        {decides.then(|| view! { <Drop id=review.id.to_string() ticked/> })}
        <Confirm
            when=cancels name="cancel" title="Cancel this review?" to=CancelReview::PATH label="Cancel the review" fields=vec![("id", review.id.to_string())]
            consequence=format!("It closes without any consequence: {waiting} that nobody has decided on stay as they are, and no grant ends by it. What was dropped already has ended. The log says who cancelled it. This cannot be undone; another review can be opened.")
        />
    }
}

#[component]
fn Filters(closed: bool) -> impl IntoView {
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
    let named = |state: ItemState| match state {
        ItemState::Waiting if closed => "Nobody decided".to_owned(),
        state => capital(state.as_str()),
    };
    let states = ItemState::ALL.iter().map(|state| (state.as_str(), named(*state))).collect();
    let state = query::value("state").parse().map(named).unwrap_or_default();
    let kinds = ItemKind::ALL.iter().map(|kind| (kind.as_str(), kind_name(*kind).to_owned())).collect();
    let kind = query::value("kind").parse().map(kind_name).unwrap_or_default();
    view! {
        <div class="filters row">
            <Menu id="by-state" label="State" value=state>{links("state", "Any state", states)}</Menu>
            <Menu id="by-kind" label="Kind" value=kind>{links("kind", "Any kind", kinds)}</Menu>
        </div>
    }
}

#[component]
fn Items(items: Vec<Item>, decides: bool, closed: bool) -> impl IntoView {
    let all_users = may(Act::ReadOrganization);
    let all = query::value("ticked") == "all";
    let some = decides && items.iter().any(|item| item.state == ItemState::Waiting);
    let rows = items
        .into_iter()
        .map(|item| {
            let open = decides && item.state == ItemState::Waiting;
            let label = format!("Select {} of {}", kind_name(item.kind).to_lowercase(), item.name);
            let mono = item.kind != ItemKind::Member;
            let (state, kind) = match item.state {
                // It waits for nobody any more.
                ItemState::Waiting if closed => ("nobody decided", Kind::Plain),
                ItemState::Waiting if item.gone => ("has ended since", Kind::Warn),
                ItemState::Waiting => ("waiting", Kind::Plain),
                ItemState::Confirmed => ("confirmed", Kind::Good),
                ItemState::Dropped => ("dropped", Kind::Bad),
                ItemState::Lapsed => ("lapsed by itself", Kind::Warn),
            };
            view! {
                <tr>
                    {decides.then(|| view! { <td class="tick-cell">{open.then(|| view! { <Tick form="review-many" name="items[]" value=item.id.to_string() label checked=all/> })}</td> })}
                    <td>
                        {match item.user.filter(|_| all_users && item.kind == ItemKind::Member) {
                            Some(id) => view! { <a href=format!("/users/{id}")><b>{item.name}</b></a> }.into_any(),
                            None => view! { <b class=if mono { "mono" } else { "" }>{item.name}</b> }.into_any(),
                        }}
                        {item.high_cost.then(|| view! { " "<Badge text="high-cost" kind=Kind::Warn/> })}
                        <div class="sub">{item.detail}</div>
                    </td>
                    <td>{kind_name(item.kind)}<div class="sub">{item.place}</div></td>
                    <td class="nw" data-th="Last use"><Ago at=item.last_used_at never="never used"/>{(item.kind == ItemKind::Member).then(|| view! { <div class="sub">"of any secret of theirs"</div> })}</td>
                    <td class="nw beside"><Badge text=state kind/>{item.decided_by.map(|by| view! { <div class="sub">{by}</div> })}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        {some.then(|| view! {
            <p class="note-line"><a class="link" href=query::href(&[("ticked", (!all).then_some("all")), ("dialog", None)])>{if all { "Select none" } else { "Select all on this page" }}</a></p>
        })}
        <div class="scroll" tabindex="0" role="region" aria-label="What is looked at">
            <table class=if decides { "table stack reviews-lines ticked" } else { "table stack reviews-lines" }>
                <thead><tr>
                    {decides.then(|| view! { <th class="tick-cell"><span class="sr">"Select"</span></th> })}
                    <th>"What"</th><th>"Kind and group"</th><th>"Last use"</th><th>"State"</th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

/// `1 membership ends`, `3 memberships end`; none where there are none.
fn counted(count: usize, one: &str, many: &str, (ends, end): (&str, &str)) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {one} {ends}")),
        count => Some(format!("{count} {many} {end}")),
    }
}

/// How many lines are named before they are dropped.
const NAMED: usize = 10;

/// Says what ends with the lines that are ticked before they are dropped.
#[component]
fn Drop(id: String, ticked: Vec<Item>) -> impl IntoView {
    let of = |kind| ticked.iter().filter(|item| item.kind == kind).count();
    let ends = ("ends", "end");
    let members = counted(of(ItemKind::Member), "membership", "memberships", ends);
    let mut parts: Vec<String> = Vec::new();
    parts.extend(members.map(|text| format!("{text}, and secrets that nothing else carries are revoked")));
    parts.extend(counted(of(ItemKind::Grant), "grant", "grants", ends));
    parts.extend(counted(of(ItemKind::Secret), "secret", "secrets", ("is revoked", "are revoked")));
    // Which they are: a tick may be pages away from the question.
    let mut lines: Vec<String> =
        ticked.iter().take(NAMED).map(|item| format!("{} ({})", item.name, item.detail)).collect();
    if ticked.len() > NAMED {
        lines.push(format!("and {} more", ticked.len() - NAMED));
    }
    let consequence = format!(
        "{}: with the next call, and for good. This cannot be undone. It is about: {}.",
        parts.join("; "),
        lines.join("; ")
    );
    let mut fields = vec![("id", id), ("verdict", "drop".to_owned())];
    fields.extend(ticked.iter().map(|item| ("items[]", item.id.to_string())));
    if ticked.is_empty() {
        return view! {
            <Dialog name="drop" title="Drop what is ticked?"><Empty title="Nothing is ticked" text="Tick lines that wait first."/></Dialog>
        }
        .into_any();
    }
    let title = if ticked.len() == 1 {
        "Drop this line?".to_owned()
    } else {
        format!("Drop {} lines?", ticked.len())
    };
    view! { <Confirm name="drop" title to=DecideReview::PATH label="Drop them" fields consequence/> }
        .into_any()
}

/// Why nothing of what is shown can be decided on. `waiting`: how many lines of the review wait.
#[component]
fn Decided(waiting: i64) -> impl IntoView {
    if waiting == 0 {
        return view! { <p class="muted" role="status">"No line of this review waits any more: there is nothing to decide."</p> }.into_any();
    }
    let those = query::href(&[("state", Some("waiting")), ("kind", None), ("after", None), ("dialog", None)]);
    let lines = how_many(waiting.unsigned_abs(), "line waits", "lines wait");
    view! { <p class="muted" role="status">{format!("No line shown here waits, so there is nothing to tick. In the whole review {lines}. ")}<a href=those>"Show what waits"</a></p> }.into_any()
}

/// What is said about the lines that are ticked.
#[component]
fn Decide(id: String, page: String) -> impl IntoView {
    // The question is asked on the same page of lines.
    let kept = ["state", "kind", "after"]
        .map(|name| (name, query::value(name)))
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| view! { <Hidden name value/> })
        .collect_view();
    view! {
        <div class="reviews-bar">
            <Form to=DecideReview::PATH which="many" id="review-many" class="bar-form">
                <Hidden name="id" value=id/>
                {kept}
                <span class="muted">"Dropped memberships, grants and secrets end at once."</span>
                <div class="row end">
                    // What ends is said first.
                    <button class="btn danger" name="dialog" value="drop" formmethod="get" formaction=page>"Drop those ticked…"</button>
                    <button class="btn go" name="verdict" value="confirm">"Confirm those ticked"</button>
                </div>
            </Form>
        </div>
    }
}
