//! A change to many people: what it would do to each of them, one button to do it, and then what it
//! did, with a way back.

use domain::{
    batches::{Action, Outcome},
    money::grouped,
    roles::Act,
    users::Role,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{capital, param, users::roles};
use crate::{
    api::batches::{BatchView, ConfirmBatch, Part, UndoBatch, load_batch},
    ui::{
        Badge, Card, Form, Head, Hidden, Kind, Load, Page, Submit, may, pick_group, query,
        suggested::Suggested,
    },
};

/// The fields of the address that say what exactly is to be done.
const FIELDS: [&str; 5] = ["action", "group", "cap", "role", "ends_on"];

/// From how many people on a change takes seconds, which its button then says.
const MANY: usize = 5_000;

/// A change to many people.
#[component]
pub fn BatchPage() -> impl IntoView {
    let [action, group, cap, role, ends_on] = FIELDS.map(query::value);
    let [part, from] = ["part", "from"].map(query::value);
    let batch = load_batch(param("id"), action, group, cap, role, ends_on, part, from);
    view! { <Page title="Change many people"><Load data=batch let(view)><Content view/></Load></Page> }
}

fn title(action: Action) -> &'static str {
    match action {
        Action::Join => "Add to a group",
        Action::Leave => "Remove from a group",
        Action::Move => "Move to another group",
        Action::Limit => "Set a monthly limit",
        Action::Role => "Change the role",
        Action::Suspend => "Suspend",
        Action::Reinstate => "Let in again",
        Action::Invite => "Invite again",
        Action::Import => "Import people",
    }
}

fn people(count: usize) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{} people", grouped(count as u64)) }
}

#[component]
fn Content(view: BatchView) -> impl IntoView {
    let note = people(view.people);
    let parts = view.parts.clone();
    let undoable = parts.iter().flatten().any(|part| part.tally.undoable > 0);
    let (done, undone, id) = (view.done, view.undone, view.id.to_string());
    let which = id.clone();
    let summary = view.summary.clone();
    let changed = parts.iter().flatten().find(|part| part.outcome == Outcome::Changed);
    let changes = changed.map_or(0, |part| part.tally.people);
    let log = (done && may(Act::ReadAudit)).then(|| format!("/audit?batch={id}"));
    view! {
        <Head title=title(view.action) note crumbs=vec![("/users".to_owned(), "Users".to_owned())]>
            {log.map(|href| view! { <a class="btn" href=href>"In the audit log"</a> })}
        </Head>
        {match (done, undone) {
            (true, true) => view! { <p class="banner" role="status">"This was done, and undone again. Both are in the audit log."</p> }.into_any(),
            (true, false) => view! {
                <div class="banner good row between">
                    <span role="status">{format!("Done: {} changed, all at once.", people(changes))}</span>
                    {undoable.then(|| view! {
                        <Form to=UndoBatch::PATH class="inline"><Hidden name="id" value=which.clone()/><Submit label="Undo" look="small" running=running("Bringing back", changes)/></Form>
                    })}
                </div>
            }.into_any(),
            (false, _) => view! { <What view=view.clone()/> }.into_any(),
        }}
        {parts.map(|parts| view! {
            {(!done).then(|| view! { <Decide id summary=summary.clone() changes/> })}
            <Parts parts done/>
        })}
    }
}

/// What a button says while it runs; nothing where that is over at once.
fn running(verb: &str, count: usize) -> String {
    if count < MANY { String::new() } else { format!("{verb} {}: this takes seconds…", people(count)) }
}

/// Into which group, which limit, which role: asked with the address, so that it can be looked at
/// before anything is done.
#[component]
fn What(view: BatchView) -> impl IntoView {
    let action = view.action;
    let problem = |name: &str| {
        view.problem.as_ref().filter(|(field, _)| field == name).map(|(_, sentence)| sentence.clone())
    };
    let field = match action {
        Action::Join | Action::Leave => {
            let options = std::iter::once((String::new(), "Choose a group".to_owned())).chain(view.groups.clone());
            let last = (action == Action::Join).then(|| {
                let value = query::value("ends_on");
                view! {
                    <div class="field">
                        <label for="ends_on">"Last day"<span class="muted">" optional"</span></label>
                        <input type="date" id="ends_on" name="ends_on" value=value/>
                        <p class="error">{problem("ends_on")}</p>
                    </div>
                }
            });
            view! { <Pick name="group" label="Group" options=options.collect() problem=problem("group")/>{last} }.into_any()
        }
        Action::Limit => view! {
            <div class="field">
                <label for="cap">"Dollars a month"</label>
                <input id="cap" name="cap" inputmode="decimal" value=query::value("cap") aria-describedby="cap-hint"
                    aria-invalid=problem("cap").is_some().then_some("true")/>
                <p class="hint" id="cap-hint">"Write default to give them the organization's default again."</p>
                <p class="error">{problem("cap")}</p>
            </div>
        }.into_any(),
        Action::Role => {
            let mut options = roles();
            options.sort_by_key(|(role, _)| role.parse::<Role>().ok().map(std::cmp::Reverse));
            options.insert(0, (String::new(), "Choose a role".to_owned()));
            view! { <Pick name="role" label="Role" options problem=problem("role")/> }.into_any()
        }
        Action::Move | Action::Suspend | Action::Reinstate | Action::Invite | Action::Import => {
            return ().into_any();
        }
    };
    view! {
        <Card class="pad">
            <form method="get" action=format!("/users/batch/{}", view.id) class="form asked">
                <Hidden name="action" value=action.to_string()/>
                {field}
                <div class="row"><button class="btn">"Show what would happen"</button></div>
            </form>
        </Card>
    }
    .into_any()
}

#[component]
fn Pick(
    name: &'static str,
    label: &'static str,
    options: Vec<(String, String)>,
    problem: Option<String>,
) -> impl IntoView {
    let now = query::value(name);
    let many = options.len() > pick_group::LISTED;
    let found = if many && problem.is_some() { pick_group::matching(&options, &now) } else { Vec::new() };
    if many && found.is_empty() {
        let invalid = problem.is_some().then_some("true");
        return view! {
            <div class="field">
                <label for=name>{label}</label>
                <Suggested><input id=name name=name value=now aria-describedby="group-hint" aria-invalid=invalid/></Suggested>
                <p class="hint" id="group-hint">"Its name or path: Engineering/Platform."</p>
                <p class="error">{problem}</p>
            </div>
        }
        .into_any();
    }
    // Words that several paths have: they are the choice now.
    let options = if found.is_empty() {
        options
    } else {
        let none = (pick_group::NONE.to_owned(), "Choose one, or send this to write another".to_owned());
        std::iter::once(none).chain(found).collect()
    };
    let options = options
        .into_iter()
        .map(|(key, text)| {
            let chosen = key == now;
            view! { <option value=key selected=chosen>{text}</option> }
        })
        .collect_view();
    view! {
        <div class="field">
            <label for=name>{label}</label>
            <select id=name name=name>{options}</select>
            <p class="error">{problem}</p>
        </div>
    }
    .into_any()
}

/// What it comes to, and the one button.
#[component]
fn Decide(id: String, summary: String, changes: usize) -> impl IntoView {
    let fields = FIELDS
        .into_iter()
        .map(|name| (name, query::value(name)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| view! { <Hidden name value/> })
        .collect_view();
    let action = query::value("action").parse().ok();
    let look = if action == Some(Action::Suspend) { "danger" } else { "go" };
    view! {
        <Card class="pad decide">
            {if changes == 0 {
                view! { <p role="status">"There is nothing to change: see below."</p> }.into_any()
            } else {
                view! {
                    <p role="status">{summary}</p>
                    <Form to=ConfirmBatch::PATH>
                        <Hidden name="id" value=id/>
                        {fields}
                        <div class="row end"><a class="btn" href="/users">"Cancel"</a><Submit label=format!("Confirm for {}", people(changes)) look running=running("Changing", changes)/></div>
                    </Form>
                }.into_any()
            }}
        </Card>
    }
}

/// Person by person, page by page: what changes first, then what cannot, then what is so already.
#[component]
fn Parts(parts: Vec<Part>, done: bool) -> impl IntoView {
    let chosen = query::value("part");
    let cards = parts
        .into_iter()
        .map(|part| {
            let Part { outcome, tally, from, rows } = part;
            let (title, kind) = match (outcome, done) {
                (Outcome::Changed, false) => ("Would change", Kind::Good),
                (Outcome::Changed, true) => ("Changed", Kind::Good),
                (Outcome::Refused, false) => ("Cannot be changed", Kind::Bad),
                (Outcome::Refused, true) => ("Not changed", Kind::Bad),
                (Outcome::Already, _) => ("Nothing to change", Kind::Plain),
            };
            let at = move |from: usize| {
                query::href(&[("part", Some(outcome.as_str())), ("from", Some(&from.to_string()))])
            };
            // Who pages through some of them has come for those.
            if !chosen.is_empty() && chosen != outcome.as_str() {
                return view! {
                    <Card title note=people(tally.people)><p class="note-line"><a class="link" href=at(0)>"Show them"</a></p></Card>
                }
                .into_any();
            }
            let until = from + rows.len();
            let pages = (tally.effects > rows.len()).then(|| {
                let step = rows.len().max(1);
                let before = (from > 0).then(|| view! { <a class="btn" href=at(0)>"First page"</a> });
                let next = (until < tally.effects).then(|| view! { <a class="btn" href=at(until) rel="next">"Next page"</a> });
                let last = (until + step < tally.effects).then(|| view! { <a class="btn" href=at((tally.effects - 1) / step * step)>"Last page"</a> });
                let which = format!("{}–{} of {}", grouped(from as u64 + 1), grouped(until as u64), grouped(tally.effects as u64));
                view! { <nav class="pager row" aria-label=format!("Pages: {title}")><span class="muted num">{which}</span>{before}{next}{last}</nav> }
            });
            let rows = rows
                .into_iter()
                .map(|effect| view! {
                    <tr>
                        <td><a href=format!("/users/{}", effect.user)><b>{effect.name}</b></a><div class="sub">{effect.email}</div></td>
                        <td><Badge text=capital(&effect.text) kind/></td>
                    </tr>
                })
                .collect_view();
            view! {
                <Card title note=people(tally.people)>
                    <table class="table stack effects"><thead class="sr"><tr><th>"Person"</th><th>"What"</th></tr></thead><tbody>{rows}</tbody></table>
                </Card>
                {pages}
            }
            .into_any()
        })
        .collect_view();
    view! { {cards} }
}
