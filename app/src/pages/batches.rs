//! A change to many people: what it would do to each of them, one button to do it, and then what it
//! did, with a way back.

use domain::{
    batches::{Action, Alone, Line, Outcome},
    money::grouped,
    roles::Act,
    users::Role,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{capital, param, users::roles};
use crate::{
    api::batches::{BatchView, ConfirmBatch, Part, UndoBatch, load_batch},
    ui::{
        Badge, Card, Form, Head, Hidden, Kind, Load, Page, Submit, Unticked, context::frame, may, once,
        pick_group, query, suggested::Suggested,
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

/// Where these people were chosen: back there, without doing it.
fn back() -> String {
    let page = query::value("back");
    // Two slashes would lead to another host, and browsers read a backslash as one.
    let stays = page.starts_with('/') && !page[1..].starts_with(['/', '\\']);
    if stays { page } else { "/users".to_owned() }
}

#[component]
fn Content(view: BatchView) -> impl IntoView {
    let note = people(view.people);
    let parts = view.parts.clone();
    let undoable = parts.iter().flatten().any(|part| part.tally.undoable > 0);
    let undoable = undoable && view.may_undo;
    let dead = view
        .died
        .in_words()
        .map(|secrets| format!(" {secrets} died with it for good: undoing it brings none back."));
    let left_alone = view.left_alone.clone();
    let partly = !left_alone.is_empty();
    let (done, undone, id) = (view.done, view.undone.clone(), view.id.to_string());
    let which = id.clone();
    let (summary, seen) = (view.summary.clone(), view.seen.clone());
    let changed = parts.iter().flatten().find(|part| part.outcome == Outcome::Changed);
    let changes = changed.map_or(0, |part| part.tally.people);
    let log = (done && may(Act::ReadAudit)).then(|| format!("/audit?batch={id}"));
    let chosen = back();
    let group = chosen.starts_with("/groups/").then(|| chosen.clone());
    let crumb = if chosen.split('?').next() == Some("/users") { chosen } else { "/users".to_owned() };
    let stage = match (done, undone.is_some()) {
        (false, _) => Stage::Asked,
        (true, false) => Stage::Done,
        (true, true) => Stage::Undone,
    };
    view! {
        <Head title=title(view.action) note crumbs=vec![(crumb, "Users".to_owned())]>
            {group.map(|href| view! { <a class="btn" href=href>"Back to the group"</a> })}
            {log.map(|href| view! { <a class="btn" href=href>"In the audit log"</a> })}
        </Head>
        {match (done, undone) {
            (true, Some((at, by))) => {
                let said = undone_words(&frame().zone.full(at), &by, partly, dead.is_some());
                view! { <p class="banner" role="status">{said}{dead.clone()}</p> }.into_any()
            }
            (true, None) => view! {
                <div class="banner good row between">
                    <span role="status">{format!("Done: {} changed, all at once.", people(changes))}{dead.clone()}</span>
                    {undoable.then(|| view! {
                        <Form to=UndoBatch::PATH class="inline"><Hidden name="id" value=which.clone()/><Submit label="Undo" look="small" running=running("Bringing back", changes)/></Form>
                    })}
                </div>
            }.into_any(),
            (false, _) => view! { <What view=view.clone()/> }.into_any(),
        }}
        {done.then(|| view! { <Unticked/> })}
        {done.then(|| view! { <once::Outcome of=ConfirmBatch::PATH/> })}
        // A table invites nobody: who is new has no link until they are invited.
        {(stage == Stage::Done && view.action == Action::Import && may(Act::EditUsers)).then(|| view! {
            <p class="note-line">"Who is new gets a link to join by being invited: tick them, then “Invite again”. "<a href="/users?status=invited">"Everybody who has not joined"</a></p>
        })}
        {(stage == Stage::Undone && partly).then(|| view! { <LeftAlone rows=left_alone/> })}
        {parts.map(|parts| view! {
            {(!done).then(|| view! { <Decide id action=view.action summary=summary.clone() seen=seen.clone() changes/> })}
            <Parts parts stage partly/>
        })}
    }
}

/// How far a change has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is looked at.
    Asked,
    /// It was made.
    Done,
    /// It was made, and undone.
    Undone,
}

fn undone_words(at: &str, by: &str, partly: bool, dead: bool) -> String {
    let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
    let rest = match (partly, dead) {
        (false, false) => "all is as it was before",
        (false, true) => "all is as it was before, but for secrets that died",
        (true, false) => "all is as it was before, but for what was left alone: it stands below",
        (true, true) => {
            "all is as it was before, but for secrets that died, and for what was left alone: it stands below"
        }
    };
    format!("This was done, and undone again{by} on {at}: {rest}. Both are in the audit log.")
}

/// What undoing it did not bring back.
#[component]
fn LeftAlone(rows: Vec<Alone>) -> impl IntoView {
    let note = grouped(rows.len() as u64);
    let changed = "Somebody changed this again since.";
    let rows = rows
        .into_iter()
        .map(|Alone { user, name, said, because }| {
            view! {
                <tr>
                    <td><a href=format!("/users/{user}")><b>{name}</b></a></td>
                    <td>{capital(&said)}<div class="sub">{because.unwrap_or_else(|| changed.to_owned())}</div></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="Not undone" note>
            <p class="note-line">"This was left as it is now."</p>
            <table class="table stack effects"><thead class="sr"><tr><th>"Person"</th><th>"What was done"</th></tr></thead><tbody>{rows}</tbody></table>
        </Card>
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
    // It was asked, and nothing said.
    let empty = |name: &str| {
        (!query::values(name).is_empty() && query::value(name).trim().is_empty()).then(|| {
            match name {
                "cap" => "Write an amount, or default.",
                "role" => "Choose a role.",
                _ => "Choose a group.",
            }
            .to_owned()
        })
    };
    let problem = |name: &str| {
        let wrong = view.problem.as_ref().filter(|(field, _)| field == name);
        let wrong = wrong.map(|(_, sentence)| sentence.clone());
        wrong.or_else(|| empty(name).filter(|_| name != "ends_on"))
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
                <Hidden name="back" value=query::encoded(&back()).to_string()/>
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
fn Decide(id: String, action: Action, summary: String, seen: String, changes: usize) -> impl IntoView {
    let fields = FIELDS
        .into_iter()
        .map(|name| (name, query::value(name)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| view! { <Hidden name value/> })
        .collect_view();
    let look = if action == Action::Suspend { "danger" } else { "go" };
    // Links are shown once, on the page of what was done: with script that page is gone to, too.
    let whole = action == Action::Invite;
    view! {
        <Card class="pad decide">
            {if changes == 0 {
                // What was refused because of it is said here all the same.
                view! {
                    <p role="status">"There is nothing to change: see below."</p>
                    <Form to=ConfirmBatch::PATH><Hidden name="id" value=id/></Form>
                    <div class="row end"><a class="btn" href=back()>"Back"</a></div>
                }.into_any()
            } else {
                view! {
                    <p role="status">{summary}</p>
                    <Form to=ConfirmBatch::PATH whole>
                        <Hidden name="id" value=id/>
                        <Hidden name="seen" value=seen/>
                        {fields}
                        <div class="row end"><a class="btn" href=back()>"Cancel"</a><Submit label=format!("Confirm for {}", people(changes)) look running=running("Changing", changes)/></div>
                    </Form>
                }.into_any()
            }}
        </Card>
    }
}

/// Person by person, page by page: what changes first, then what cannot, then what is so already.
#[component]
fn Parts(parts: Vec<Part>, stage: Stage, partly: bool) -> impl IntoView {
    let chosen = query::value("part");
    let cards = parts
        .into_iter()
        .map(|part| {
            let Part { outcome, tally, from, rows } = part;
            let (title, kind) = match (outcome, stage) {
                (Outcome::Changed, Stage::Asked) => ("Would change", Kind::Good),
                (Outcome::Changed, Stage::Done) => ("Changed", Kind::Good),
                (Outcome::Changed, Stage::Undone) if partly => {
                    ("Was changed, and undone where nothing was changed since", Kind::Plain)
                }
                (Outcome::Changed, Stage::Undone) => ("Was changed, and undone", Kind::Plain),
                (Outcome::Refused, Stage::Asked) => ("Cannot be changed", Kind::Bad),
                (Outcome::Refused, _) => ("Not changed", Kind::Bad),
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
            let pages = (tally.people > rows.len()).then(|| {
                let step = rows.len().max(1);
                let before = (from > 0).then(|| view! { <a class="btn" href=at(0)>"First page"</a> });
                let next = (until < tally.people).then(|| view! { <a class="btn" href=at(until) rel="next">"Next page"</a> });
                let last = (until + step < tally.people).then(|| view! { <a class="btn" href=at((tally.people - 1) / step * step)>"Last page"</a> });
                let which = format!("{}–{} of {}", grouped(from as u64 + 1), grouped(until as u64), grouped(tally.people as u64));
                view! { <nav class="pager row" aria-label=format!("Pages: {title}")><span class="muted num">{which}</span>{before}{next}{last}</nav> }
            });
            let rows = rows.into_iter().map(|line| view! { <Row line kind stage/> }).collect_view();
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

/// One person, with all that becomes of them.
#[component]
fn Row(line: Line, kind: Kind, stage: Stage) -> impl IntoView {
    let said = line
        .said
        .into_iter()
        .map(|(text, left)| match (stage, left) {
            (Stage::Undone, true) => {
                view! { <Badge text=format!("Changed again since: {text}") kind=Kind::Warn/>" " }.into_any()
            }
            (Stage::Undone, false) if kind == Kind::Plain => {
                // What dies is not undone, and is said beside it.
                let undone = text.split("; every secret").next().unwrap_or_default();
                view! { <Badge text=format!("Undone: {undone}") kind/>" " }.into_any()
            }
            _ => view! { <Badge text=capital(&text) kind/>" " }.into_any(),
        })
        .collect_view();
    let dead = (line.dead > 0).then(|| {
        let text = match (line.dead, stage) {
            (1, Stage::Asked) => "1 secret dies".to_owned(),
            (1, Stage::Done) => "1 secret died".to_owned(),
            (1, Stage::Undone) => "1 secret stays dead".to_owned(),
            (count, Stage::Asked) => format!("{} secrets die", grouped(count as u64)),
            (count, Stage::Done) => format!("{} secrets died", grouped(count as u64)),
            (count, Stage::Undone) => format!("{} secrets stay dead", grouped(count as u64)),
        };
        view! { <Badge text kind=Kind::Bad/> }
    });
    view! {
        <tr>
            <td><a href=format!("/users/{}", line.user)><b>{line.name}</b></a><div class="sub">{line.email}</div></td>
            <td>{said}{dead}</td>
        </tr>
    }
}
