//! The matrix: groups × tiers, unfolded to models.

use domain::{
    authorizations::{Edit, Target},
    ids::GroupId,
    roles::Act,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{look, says, staged};
use crate::{
    api::authorizations::{
        Column, Matrix, One, Row, Saved, Shown, StageAuthorizations, UndoDraft, load_matrix, rule_href,
    },
    ui::{
        Card, Check, Dialog, Empty, Field, Form, Head, Hidden, Load, OpenDialog, Page, Select, StateMark,
        Submit,
        context::reads_groups,
        grid::{Carried, Grid},
        may, query,
    },
};

/// The class of a row for its depth.
fn depth(row: &Row) -> String {
    format!("depth-{}", row.depth.min(8))
}

/// Groups × tiers, unfolded to models.
#[component]
pub fn AuthorizationPage() -> impl IntoView {
    let of = query::value;
    let matrix = load_matrix(
        of("open"),
        of("unfold"),
        of("fold"),
        of("q"),
        of("after"),
        of("at"),
        of("draft"),
        of("saved"),
        of("model"),
    );
    view! { <Page title="Authorization"><Load data=matrix let(matrix)><Content matrix/></Load></Page> }
}

#[component]
fn Content(matrix: Matrix) -> impl IntoView {
    let Matrix { columns, rows, next, one, groups, draft, saved } = matrix;
    let several = rows.iter().any(|row| row.editable) && !columns.is_empty();
    let head = view! {
        <Head title="Which team may use which model">
            <a class="btn" href="/why">"Why…"</a>
            {reads_groups().then(|| view! { <a class="btn" href="/authorization/observed">"Observed"</a> })}
            {may(Act::ReadOrganization).then(|| view! { <a class="btn" href="/authorization/tests">"Pinned tests"</a> })}
            {several.then(|| view! { <OpenDialog name="several" label="Change several"/> })}
        </Head>
    };
    let Some(one) = one.filter(|_| !columns.is_empty()) else {
        let (title, text, href, go) = if columns.is_empty() {
            (
                "No tiers yet",
                "Rules open tiers or single models to groups. Add a tier and a model first.",
                "/models",
                "To the models",
            )
        } else {
            (
                "No groups to see",
                "Here stands what the groups may use that you lead.",
                "/my-models",
                "To my models",
            )
        };
        return view! { {head}<Card><Empty title text><a class="btn go" href=href>{go}</a></Empty></Card> }
            .into_any();
    };
    let cells = saved.as_ref().filter(|saved| !saved.undone).map(|saved| saved.cells.clone());
    let saved_id = saved.as_ref().map(|saved| saved.id.to_string()).unwrap_or_default();
    let (draft_id, staged) = draft.map(|(id, draft)| (id.to_string(), draft)).unwrap_or_default();
    let text = staged.to_string();
    let count = staged.edits.len();
    let several = (rows.clone(), columns.clone(), text.clone());
    view! {
        {head}
        <p class="lead">"Full strength: set here. Faded: inherited, and from where. Silence means closed; high-cost tiers open only by name. Nothing you change is live before you save it."</p>
        {saved.map(|saved| view! { <SavedLine saved/> })}
        <Find groups/>
        <Grid draft_id=draft_id.clone() draft=staged saved_id saved=cells.unwrap_or_default()>
            <Wide rows columns=columns.clone() next/>
            <Narrow one columns/>
            <Bar draft_id text count/>
            <CellMenu/>
            <Leaving/>
        </Grid>
        <Several rows=several.0 columns=several.1 text=several.2/>
    }
    .into_any()
}

/// What was just saved, and the way back.
#[component]
fn SavedLine(saved: Saved) -> impl IntoView {
    let count = saved.cells.len();
    let changes = if count == 1 { "1 change".to_owned() } else { format!("{count} changes") };
    let id = saved.id.to_string();
    let log =
        may(Act::ReadAudit).then(|| view! { <a href=format!("/audit?batch={id}")>"In the audit log"</a> });
    if saved.undone {
        let was = if count == 1 { "was" } else { "were" };
        return view! { <p class="banner row between"><span>{format!("{changes} {was} saved, and undone again.")}</span>{log}</p> }.into_any();
    }
    view! {
        <div class="banner good row between">
            <span>{format!("{changes} saved: {} from the next call on.", if count == 1 { "it holds" } else { "they hold" })}</span>
            <span class="row">
                {log}
                {if saved.may_undo {
                    view! {
                        <Form to=UndoDraft::PATH class="inline">
                            <Hidden name="id" value=id.clone()/><Hidden name="back" value=look()/><Submit label="Undo" look="small"/>
                        </Form>
                    }.into_any()
                } else {
                    view! { <span class="muted">"Undoing this widens: an admin or owner can do it."</span> }.into_any()
                }}
            </span>
        </div>
    }
    .into_any()
}

/// Looks for groups and models by their names.
#[component]
fn Find(groups: usize) -> impl IntoView {
    let kept = ["open", "unfold", "fold", "draft"]
        .into_iter()
        .map(|name| (name, query::value(name)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| view! { <input type="hidden" name=name value=value/> })
        .collect_view();
    let (q, model) = (query::value("q"), query::value("model"));
    let clear = (!q.is_empty() || !model.is_empty()).then(|| {
        let href = query::href(&[("q", None), ("model", None), ("after", None)]);
        view! { <a class="btn" href=href data-within="">"Show the tree"</a> }
    });
    view! {
        <form method="get" action="/authorization" class="row filters mx-find" role="search" data-finds="">
            {kept}
            <input class="find" type="search" name="q" value=q placeholder=format!("Find one of {groups} groups") aria-label="Find a group" autocomplete="off"/>
            <input class="find" type="search" name="model" value=model placeholder="Find a model" aria-label="Find a model" autocomplete="off"/>
            <button class="btn">"Find"</button>{clear}
        </form>
    }
}

#[component]
fn Wide(rows: Vec<Row>, columns: Vec<Column>, next: Option<GroupId>) -> impl IntoView {
    let head = columns.iter().map(|column| view! { <ColumnHead column=column.clone()/> }).collect_view();
    let empty = rows.is_empty();
    let body = rows.into_iter().map(|row| view! { <RowView row/> }).collect_view();
    let later = !query::value("after").is_empty();
    let pager = (later || next.is_some()).then(|| {
        let first = later.then(|| view! { <a class="btn" href=query::href(&[("after", None)])>"First groups"</a> });
        let next = next.map(|id| view! { <a class="btn" href=query::href(&[("after", Some(&id.to_string()))]) rel="next">"More groups"</a> });
        view! { <nav class="pager row" aria-label="Pages">{first}{next}</nav> }
    });
    view! {
        <Card class="mx-wide">
            {if empty {
                view! { <Empty title="No group is called that" text="Part of a name is enough."/> }.into_any()
            } else {
                view! {
                    <div class="scroll mx-scroll" tabindex="-1" role="region" aria-label="Authorizations">
                        <table class="table matrix" role="grid" aria-multiselectable="true" aria-label="Groups and what they may use">
                            <thead><tr><th scope="col">"Group"</th>{head}</tr></thead>
                            <tbody>{body}</tbody>
                        </table>
                    </div>
                    <p class="note-line scripted">"Arrows move, Shift selects a range. "<kbd>"Space"</kbd>" goes round; "<kbd>"O"</kbd>" open, "<kbd>"R"</kbd>" by request, "<kbd>"C"</kbd>" closed, "<kbd>"I"</kbd>" inherit, "<kbd>"L"</kbd>" lock, "<kbd>"Ctrl Z"</kbd>" takes back, "<kbd>"Enter"</kbd>" opens the menu."</p>
                }.into_any()
            }}
        </Card>
        {pager}
    }
}

#[component]
fn ColumnHead(column: Column) -> impl IntoView {
    let tier = match column.target {
        Target::Tier(id) => Some(id.to_string()),
        _ => None,
    };
    let model = matches!(column.target, Target::Model(_));
    let name = column.name.clone();
    let link = tier.map(|id| {
        let folded = !query::value("open").split(',').any(|open| open == id);
        let href = query::href(&[("open", Some(&query::turned("open", &id, folded)))]);
        view! { <a class="link" href=href data-within="">{if folded { "Unfold" } else { "Fold" }}<span class="sr">" "{name}</span></a> }
    });
    view! {
        <th class=if model { "of-tier" } else { "" } scope="col">
            <span class=if model { "mono" } else { "" }>{column.name}</span>
            <div class="sub num">{column.note}" "{link}</div>
        </th>
    }
}

#[component]
fn RowView(row: Row) -> impl IntoView {
    let class = depth(&row);
    let fold = row.group.filter(|_| row.below > 0 && row.trail.is_empty() && query::value("q").is_empty());
    let fold = fold.map(|id| {
        let (id, folded) = (id.to_string(), row.folded);
        let (fold, unfold) = (query::turned("fold", &id, !folded), query::turned("unfold", &id, folded));
        let href = query::href(&[("fold", Some(&fold)), ("unfold", Some(&unfold))]);
        let text = if folded { format!("Unfold {}: {} below", row.name, row.below) } else { format!("Fold {}", row.name) };
        view! { <a class="mx-fold" href=href data-within="" aria-label=text aria-expanded=if folded { "false" } else { "true" }>{if folded { "▸" } else { "▾" }}</a> }
    });
    let name = match row.group {
        Some(id) => view! { <a href=format!("/groups/{id}")>{row.name.clone()}</a> }.into_any(),
        None => view! { {row.name.clone()} }.into_any(),
    };
    let (editable, place) = (row.editable, row.name);
    let cells = row
        .cells
        .into_iter()
        .map(|shown| view! { <Square shown editable place=place.clone() column=String::new()/> })
        .collect_view();
    view! {
        <tr>
            <th scope="row" class=class>
                {fold}{name}
                {(!row.trail.is_empty()).then(|| view! { <div class="sub">{row.trail}</div> })}
            </th>
            {cells}
        </tr>
    }
}

/// A cell: in the grid a `td`, in the list of one group a line with what it is about.
#[component]
fn Square(shown: Shown, editable: bool, place: String, column: String) -> impl IntoView {
    let key = shown.cell.to_string();
    let own = shown.own.as_ref().map(|own| {
        let edit = Edit { cell: shown.cell, say: Some(own.say), seen: Some(own.seen) };
        edit.to_string()
    });
    let (above, held) = (shown.above.label(), shown.held.then_some(""));
    let is_staged = shown.staged.is_some().then_some("");
    let can = editable.then_some("");
    let listed = !column.is_empty();
    let content = view! { <Inside shown/> };
    if listed {
        view! {
            <li data-cell=key data-own=own data-above=above data-held=held data-staged=is_staged data-editable=can data-place=place>
                <span class="mx-about">{column}</span>{content}
            </li>
        }
        .into_any()
    } else {
        view! {
            <td data-cell=key data-own=own data-above=above data-held=held data-staged=is_staged data-editable=can data-place=place>{content}</td>
        }
        .into_any()
    }
}

#[component]
fn Inside(shown: Shown) -> impl IntoView {
    let inherited = shown.own.is_none();
    let (class, words) =
        shown.staged.as_ref().map(|edit| staged(edit, shown.above, shown.held)).unwrap_or_default();
    let href = rule_href(shown.cell);
    let back = Some(look()).filter(|look| !look.is_empty());
    let back = back.map(|look| format!("&back={}", query::encoded(&look))).unwrap_or_default();
    let draft = Some(query::value("draft")).filter(|draft| !draft.is_empty());
    let draft = draft.map(|draft| format!("&draft={}", query::encoded(&draft))).unwrap_or_default();
    let href = format!("{href}{back}{draft}");
    let notes = shown.own.map(|own| {
        let quotas = own.quotas.into_iter().map(|quota| view! { <span class="sub num">{quota}</span> }).collect_view();
        let overruled = own.say.state != shown.state;
        view! {
            {own.say.locked.then(|| view! { <span class="sub">"locked"</span> })}
            {overruled.then(|| {
                let said = own.say.state.label().to_lowercase();
                let words = if shown.waits { format!("says {said}") } else { format!("says {said}, a lock above overrules") };
                view! { <span class="sub">{words}</span> }
            })}
            {quotas}
        }
    });
    let observed = shown.observed.map(|state| {
        let text = format!("observes: {}", state.label().to_lowercase());
        view! { <span class="sub">{text}</span> }
    });
    view! {
        <a class="cell-link" href=href>
            <span class="mx-now"><StateMark state=shown.state inherited/></span>
            <span class=format!("mx-next {class}")>{words}</span>
            {(!shown.from.is_empty()).then(|| view! { <span class="sub mx-from">{shown.from}</span> })}
            {notes}{observed}
        </a>
    }
}

/// One group alone: what a small screen shows in place of the grid.
#[component]
fn Narrow(one: One, columns: Vec<Column>) -> impl IntoView {
    let at = |id: Option<GroupId>| {
        let id = id.map(|id| id.to_string());
        query::href(&[("at", id.as_deref()), ("q", None)])
    };
    let above = one
        .above
        .iter()
        .map(|(id, name)| view! { <li><a href=at(*id) data-within="">{name.clone()}</a></li> })
        .collect_view();
    let below = one.below.iter().map(|(id, name)| view! { <li><a class="chip" href=at(Some(*id)) data-within="">{name.clone()}</a></li> }).collect_view();
    let any_below = !one.below.is_empty();
    let looking = !query::value("q").is_empty();
    let Row { name, cells, editable, .. } = one.row;
    let lines = cells
        .into_iter()
        .zip(columns)
        .map(|(shown, column)| {
            let model = matches!(column.target, Target::Model(_));
            let unfold = match column.target {
                Target::Tier(id) => {
                    let id = id.to_string();
                    let folded = !query::value("open").split(',').any(|open| open == id);
                    let href = query::href(&[("open", Some(&query::turned("open", &id, folded)))]);
                    let name = column.name.clone();
                    Some(view! { <li class="mx-unfold"><a class="link" href=href data-within="">{if folded { format!("Models of {name}") } else { format!("Fold {name}") }}</a></li> })
                }
                _ => None,
            };
            let about = if model { format!("· {}", column.name) } else { column.name };
            view! { <Square shown editable place=name.clone() column=about/>{unfold} }
        })
        .collect_view();
    let title = name.clone();
    view! {
        <section class="card mx-narrow" aria-label=format!("What {name} may use")>
            <header><h2>{title}</h2></header>
            <nav class="crumbs" aria-label="Groups above"><ol>{above}</ol></nav>
            {any_below.then(|| view! { <nav aria-label=if looking { "Groups found" } else { "Groups below" }><ul class="chips">{below}</ul></nav> })}
            <ul class="mx-list">{lines}</ul>
        </section>
    }
}

/// What is staged, and what can be done with it: there as soon as something is.
#[component]
fn Bar(draft_id: String, text: String, count: usize) -> impl IntoView {
    let any = (count > 0).then_some("");
    let words = crate::ui::grid::pending(count);
    let preview = (!draft_id.is_empty()).then_some(draft_id);
    view! {
        <div class="bar mx-bar" data-any=any>
            <Form to=StageAuthorizations::PATH which="bar" class="bar-form">
                <span class="mx-count num"><b>{words}</b></span>
                <span class="muted scripted">"Nothing is live before you save."</span>
                <Carried first=text/>
                <Hidden name="back" value=look()/>
                <div class="row">
                    <a class="btn mx-discard" href=query::href(&[("draft", None)]) data-draft=preview data-within="">"Discard"</a>
                    <Submit label="Preview"/>
                </div>
            </Form>
        </div>
    }
}

/// A lock, drawn: not every font has the sign.
#[component]
fn Padlock() -> impl IntoView {
    view! {
        <svg viewBox="0 0 20 20" width="13" height="13" fill="none" stroke="currentColor" stroke-width="1.8" aria-hidden="true">
            <rect x="4" y="9" width="12" height="8" rx="2"/><path d="M7 9V6.5a3 3 0 0 1 6 0V9"/>
        </svg>
    }
}

/// What opens at a cell: the choices, and the way to everything about its rule.
#[component]
fn CellMenu() -> impl IntoView {
    let item = |what: &'static str, sign: &'static str, label: &'static str, key: &'static str| {
        view! {
            <button type="button" role="menuitem" tabindex="-1" data-do=what>
                <span><i class=format!("mx-sign {sign}") aria-hidden="true">{(sign == "lock").then(|| view! { <Padlock/> })}</i>{label}</span><kbd aria-hidden="true">{key}</kbd>
            </button>
        }
    };
    view! {
        <div class="menu mx-menu" popover="auto" role="menu" aria-label="This cell">
            <p class="mx-what sub"></p>
            <div class="mx-edits-only" role="none">
                {item("open", "open", "Open", "O")}
                {item("by_request", "ask", "By request", "R")}
                {item("closed", "shut", "Closed", "C")}
                {item("inherit", "inherit", "Inherit", "I")}
                {item("lock", "lock", "Lock or unlock", "L")}
                {item("clear", "clear", "As it was", "Esc")}
            </div>
            <a role="menuitem" tabindex="-1" class="mx-details" href="/authorization">"Quotas, end, history…"</a>
        </div>
    }
}

/// Asks before staged edits are left behind.
#[component]
fn Leaving() -> impl IntoView {
    view! {
        <dialog class="dialog mx-leave" aria-label="Leave without saving?">
            <header><h2>"Leave without saving?"</h2></header>
            <p><span class="mx-count num"></span>" would be gone. Nothing of it is live."</p>
            <div class="row end">
                <button type="button" class="btn" data-leave="stay">"Stay here"</button>
                <button type="button" class="btn danger" data-leave="go">"Discard and leave"</button>
            </div>
        </dialog>
    }
}

/// Several cells at once, chosen from lists: what a range is, without script.
#[component]
fn Several(rows: Vec<Row>, columns: Vec<Column>, text: String) -> impl IntoView {
    // Made within the form: fields know which one they are in.
    let groups = move || {
        rows.into_iter()
            .filter(|row| row.editable)
            .map(|row| {
                let id = row.group.map(|id| id.to_string()).unwrap_or_default();
                view! { <Check name="groups[]" value=id label=row.path/> }
            })
            .collect_view()
    };
    let targets = move || {
        columns
            .into_iter()
            .map(|column| view! { <Check name="targets[]" value=column.target.to_string() label=column.name/> })
            .collect_view()
    };
    view! {
        <Dialog name="several" title="Change several">
            <Form to=StageAuthorizations::PATH which="several">
                <p class="muted">"Every group you tick is to say the same about everything you tick. Groups and models that are folded away are not listed."</p>
                <fieldset><legend>"Groups"</legend><div class="checks tall">{groups()}</div></fieldset>
                <fieldset><legend>"What"</legend><div class="checks tall">{targets()}</div></fieldset>
                <Select name="state" label="Is to be" options=says()/>
                <Check name="locked" label="Locked" hint="Groups below cannot say otherwise."/>
                <Field name="ends_on" label="Last day" kind="date" optional=true/>
                <Carried first=text/>
                <Hidden name="back" value=look()/>
                <div class="row end">
                    <button class="btn" name="then" value="more">"Stage, and go on"</button>
                    <Submit label="Preview"/>
                </div>
            </Form>
        </Dialog>
    }
}
