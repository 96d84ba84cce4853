//! What a draft comes to, before it is saved: edit by edit, model by model, and for whom.

use domain::authorizations::State;
use leptos::{prelude::*, server_fn::ServerFn};

use super::said;
use crate::{
    api::{
        authorizations::{
            AppLine, DraftView, EditLine, ModelLine, SaveDraft, UndoDraft, UnstageAuthorization, load_draft,
            rule_href,
        },
        rehearsals::Replay,
    },
    pages::{
        param,
        rehearsals::{Rehearsed, Stretches},
    },
    ui::{Badge, Card, Form, Head, Hidden, Kind, Load, Page, StateMark, Submit, When, query},
};

/// How many groups are named for one move of a model.
const NAMED: usize = 8;
/// How many lines a list has before the rest is folded away.
const LINES: usize = 40;

/// A draft.
#[component]
pub fn DraftPage() -> impl IntoView {
    let draft = load_draft(param("id"), query::value("rehearse"));
    view! { <Page title="Preview"><Load data=draft let(view)><Content view/></Load></Page> }
}

fn changes(count: usize) -> String {
    if count == 1 { "1 change".to_owned() } else { format!("{count} changes") }
}

#[component]
fn Content(view: DraftView) -> impl IntoView {
    let back = query::value("back");
    let matrix = if back.is_empty() { "/authorization".to_owned() } else { format!("/authorization?{back}") };
    let crumbs = vec![(matrix.clone(), "Authorization".to_owned())];
    let count = view.lines.len();
    let id = view.id.to_string();
    let title = match (view.done, view.undone) {
        (false, _) => format!("{}, not live yet", changes(count)),
        (true, false) => format!("{}, saved", changes(count)),
        (true, true) => format!("{}, undone again", changes(count)),
    };
    let join = if back.is_empty() { "?" } else { "&" };
    let keep = format!("{matrix}{join}draft={id}");
    let open = !view.done;
    let lines = view.lines.clone();
    let (models, applications) = (view.models.clone(), view.applications.clone());
    let (decidable, replay) = (open && !view.stale && !view.refused, view.replay.clone());
    view! {
        <Head title crumbs>{open.then(|| view! { <a class="btn" href=keep>"Keep editing"</a> })}</Head>
        {if open {
            view! { <Decide view=view.clone() back=back.clone() matrix/> }.into_any()
        } else {
            view! { <Done view=view.clone() back=back.clone()/> }.into_any()
        }}
        <Edits lines id=id.clone() back open/>
        {(!models.is_empty()).then(|| view! { <Models models/> })}
        {(!applications.is_empty()).then(|| view! { <Applications applications/> })}
        {decidable.then(|| view! { <Rehearsal replay/> })}
    }
}

/// What it comes to, and the one button.
#[component]
fn Decide(view: DraftView, back: String, matrix: String) -> impl IntoView {
    let count = view.lines.len();
    if view.stale || view.refused {
        let sentence = match (view.stale, view.refused) {
            (true, _) => {
                "Somebody else changed what you are about to change. Choose below whose it is to be."
            }
            _ if view.past => "The last day of some of this is over. Leave it out, or choose another day.",
            _ => "Some of this only an admin or owner may do. Leave it out, or ask one of them.",
        };
        return view! { <p class="banner warn" role="status">{sentence}</p> }.into_any();
    }
    let warn = (!view.may_undo).then(
        || view! { <p class="muted">"You narrow with this, and only an admin or owner can widen again."</p> },
    );
    let broken = view
        .broken
        .into_iter()
        .map(|text| view! { <p class="banner bad" role="status">{text}" "<a href="/authorization/tests">"Pinned tests"</a></p> })
        .collect_view();
    view! {
        {broken}
        <Card class="pad decide">
            <p role="status">{view.summary}</p>
            {warn}
            <Form to=SaveDraft::PATH>
                <Hidden name="id" value=view.id.to_string()/>
                <Hidden name="back" value=back/>
                <div class="row end"><a class="btn" href=matrix>"Not now"</a><Submit label=format!("Save {}", changes(count))/></div>
            </Form>
        </Card>
    }
    .into_any()
}

/// What recorded calls would have met with the draft: replayed when somebody asks, before it is saved.
#[component]
fn Rehearsal(replay: Option<Replay>) -> impl IntoView {
    let days = replay.as_ref().map(|replay| replay.days);
    view! {
        <Card title="What recorded calls would have met" class="pad">
            <div class="row between">
                <span class="muted">"Rehearse it on the calls of the last"</span>
                <Stretches name="rehearse" days/>
            </div>
        </Card>
        {replay.map(|replay| view! { <Rehearsed replay/> })}
    }
}

#[component]
fn Done(view: DraftView, back: String) -> impl IntoView {
    let id = view.id.to_string();
    if view.undone {
        return view! { <p class="banner" role="status">"This was saved, and undone again. Both are in the audit log."</p> }.into_any();
    }
    view! {
        <div class="banner good row between">
            <span role="status">"Saved: it holds since then."</span>
            {view.may_undo.then(|| view! {
                <Form to=UndoDraft::PATH class="inline"><Hidden name="id" value=id/><Hidden name="back" value=back/><Submit label="Undo" look="small"/></Form>
            })}
        </div>
    }
    .into_any()
}

/// Edit by edit: what is in the way first.
#[component]
fn Edits(lines: Vec<EditLine>, id: String, back: String, open: bool) -> impl IntoView {
    let mut lines = lines;
    lines.sort_by_key(|line| !(line.stale || line.refused.is_some()));
    let (count, rest) = (lines.len(), lines.split_off(lines.len().min(LINES)));
    let table = move |lines: Vec<EditLine>| {
        let rows = lines
            .into_iter()
            .map(|line| view! { <EditRow line id=id.clone() back=back.clone() open/> })
            .collect_view();
        view! {
            <table class="table stack">
                <thead><tr><th>"Where"</th><th>"Now"</th><th>"Then"</th><th><span class="sr">"Actions"</span></th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        }
    };
    let more = rest.len();
    view! {
        <Card title=if open { "What is to be said" } else { "What was said" } note=changes(count)>
            {table(lines)}
            {(more > 0).then(|| view! { <details class="as-table"><summary>{format!("{more} more")}</summary>{table(rest)}</details> })}
        </Card>
    }
}

#[component]
fn EditRow(line: EditLine, id: String, back: String, open: bool) -> impl IntoView {
    let cell = line.edit.cell;
    let key = cell.to_string();
    let inherited = line.now.is_none();
    let now = match line.comes_to {
        Some(state) => view! { <StateMark state inherited/> }.into_any(),
        None => view! { {said(line.now)} }.into_any(),
    };
    let theirs = line.stale.then(|| {
        let whose = line.theirs.map(|(who, at)| view! { {who}", "<When at/>": " });
        view! { <div class="theirs">{whose}{said(line.now)}</div> }
    });
    let (stale, which) = (line.stale, key.clone());
    let form = move |how: &'static str, label: &'static str, look: &'static str| {
        let (id, which, back) = (id.clone(), which.clone(), back.clone());
        view! {
            <Form to=UnstageAuthorization::PATH which=format!("{how}{which}") class="inline">
                <Hidden name="draft" value=id/><Hidden name="cell" value=which/>
                <Hidden name="how" value=how.to_owned()/><Hidden name="back" value=back/>
                <button class=look>{label}</button>
            </Form>
        }
    };
    let actions = open.then(|| {
        if stale {
            view! { {form("mine", "Take mine", "btn small")}{form("drop", "Keep theirs", "btn small")} }
                .into_any()
        } else {
            view! { {form("drop", "Leave out", "link")} }.into_any()
        }
    });
    let quotas = (!line.quotas.is_empty())
        .then(|| view! { <div class="sub">{format!("Goes away with it: {}", line.quotas.join(", "))}</div> });
    view! {
        <tr>
            <td><a href=rule_href(cell)><b>{line.group}</b></a><div class="sub">{line.what}</div></td>
            <td>{now}{theirs}</td>
            <td><b>{said(line.edit.say)}</b>{quotas}{line.held.map(|sentence| view! { <div class="sub held">{sentence}</div> })}{line.refused.map(|sentence| view! { <p class="error">{sentence}</p> })}</td>
            <td class="beside"><div class="row end">{actions}</div></td>
        </tr>
    }
}

fn mark(state: State) -> impl IntoView {
    view! { <StateMark state/> }
}

/// Model by model: who gains and loses it, and in which groups.
#[component]
fn Models(models: Vec<ModelLine>) -> impl IntoView {
    let note = if models.len() == 1 { "1 model".to_owned() } else { format!("{} models", models.len()) };
    let verb = |count: usize, verb: &str| match count {
        1 => format!("1 person {verb}s"),
        count => format!("{count} people {verb}"),
    };
    let rows = models
        .into_iter()
        .map(|line| {
            let moves = line
                .moves
                .into_iter()
                .map(|(before, after, groups)| {
                    let more = groups.len().saturating_sub(NAMED);
                    let names = groups.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
                    let more = (more > 0).then(|| format!(" and {more} more"));
                    view! { <li>{mark(before)}" → "{mark(after)}<span class="muted">" in "{names}{more}</span></li> }
                })
                .collect_view();
            view! {
                <tr>
                    <td><a href=format!("/models/{}", line.model)><span class="mono">{line.name}</span></a></td>
                    <td class="nw">
                        {(line.gain > 0).then(|| view! { <Badge text=format!("{} it", verb(line.gain, "gain")) kind=Kind::Good/>" " })}
                        {(line.lose > 0).then(|| view! { <Badge text=format!("{} it", verb(line.lose, "lose")) kind=Kind::Warn/> })}
                        {(line.gain + line.lose == 0).then(|| view! { <span class="muted">"no person gains or loses it altogether"</span> })}
                    </td>
                    <td><ul class="changes">{moves}</ul></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="What changes, by model" note>
            <table class="table stack">
                <thead><tr><th>"Model"</th><th>"People"</th><th>"Groups"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </Card>
    }
}

/// Applications whose calls it decides about.
#[component]
fn Applications(applications: Vec<AppLine>) -> impl IntoView {
    let count = applications.len();
    let note = if count == 1 { "1 application".to_owned() } else { format!("{count} applications") };
    let mut applications = applications;
    let rest = applications.split_off(count.min(LINES));
    let row = |line: AppLine| {
        let part = |words: &'static str, names: Vec<String>, kind| {
            (!names.is_empty()).then(|| view! { <div><Badge text=words kind/>" "<span class="mono">{names.join(", ")}</span></div> })
        };
        view! {
            <tr>
                <td><a href=format!("/applications/{}", line.application)><b>{line.name}</b></a><div class="sub">{line.place}</div></td>
                <td>{part("can call no longer", line.stops, Kind::Warn)}{part("can call", line.starts, Kind::Good)}</td>
            </tr>
        }
    };
    let more = rest.len();
    view! {
        <Card title="Applications" note>
            <table class="table stack">
                <thead><tr><th>"Application"</th><th>"What"</th></tr></thead>
                <tbody>{applications.into_iter().map(row).collect_view()}</tbody>
            </table>
            {(more > 0).then(|| view! { <p class="note-line">{format!("And {more} more.")}</p> })}
        </Card>
    }
}
