//! Which team may use which model.

use domain::{authorizations::State, limits::Mode, roles::Act};
use leptos::{prelude::*, server_fn::ServerFn};

use super::choices;
use crate::{
    api::{
        authorizations::{Cell, Column, Line, Matrix, Row, SetAuthorization, load_matrix},
        rehearsals::RehearseAuthorization,
    },
    ui::{
        Badge, Card, Check, Dialog, Empty, Field, Form, Head, Hidden, Kind, Load, Page, Select, StateMark,
        Submit, may, query,
    },
};

/// Groups × tiers, unfolded to models.
#[component]
pub fn AuthorizationPage() -> impl IntoView {
    let matrix = load_matrix(query::value("open"));
    view! {
        <Page title="Authorization">
            <Load data=matrix let(matrix)>
                <Head title="Which team may use which model"><a class="btn" href="/authorization/observed">"Observed"</a>{may(Act::ReadOrganization).then(|| view! { <a class="btn" href="/authorization/tests">"Pinned tests"</a> })}</Head>
                <p class="lead">"Full strength: set here. Faded: inherited from above. Silence means closed; high-cost tiers open only by name. Choose a cell to change it."</p>
                <MatrixView matrix/>
            </Load>
        </Page>
    }
}

#[component]
fn MatrixView(matrix: Matrix) -> impl IntoView {
    let Matrix { columns, rows } = matrix;
    if columns.is_empty() {
        return view! {
            <Card><Empty title="No tiers yet" text="Rules open tiers or single models to groups. Add a tier and a model first."><a class="btn go" href="/models">"To the models"</a></Empty></Card>
        }
        .into_any();
    }
    let head = columns.iter().map(|column| view! { <ColumnHead column=column.clone()/> }).collect_view();
    let body =
        rows.iter().map(|row| view! { <RowView row=row.clone() columns=columns.clone()/> }).collect_view();
    view! {
        <Card>
            <div class="scroll" tabindex="0" role="region" aria-label="Authorizations">
                <table class="table matrix">
                    <thead><tr><th>"Group"</th>{head}</tr></thead>
                    <tbody>{body}</tbody>
                </table>
            </div>
        </Card>
        <CellDialog rows columns/>
    }
    .into_any()
}

#[component]
fn ColumnHead(column: Column) -> impl IntoView {
    let id = column.key.split_once(':').map(|(_, id)| id.to_owned()).unwrap_or_default();
    let tier = column.tier;
    let open = query::value("open");
    let mut ids: Vec<&str> = open.split(',').filter(|part| !part.is_empty()).collect();
    let folded = !ids.contains(&id.as_str());
    if folded {
        ids.push(&id);
    } else {
        ids.retain(|other| *other != id);
    }
    let href = query::href(&[("open", Some(&ids.join(",")))]);
    let name = column.name.clone();
    let link = tier.then(
        || view! { <a class="link" href=href data-within="">{if folded { "Unfold" } else { "Fold" }}<span class="sr">" "{name}</span></a> },
    );
    view! {
        <th class=if tier { "" } else { "of-tier" } scope="col">
            <span class=if tier { "" } else { "mono" }>{column.name}</span>
            <div class="sub num">{column.note}" "{link}</div>
        </th>
    }
}

#[component]
fn RowView(row: Row, columns: Vec<Column>) -> impl IntoView {
    let group = row.group.map(|id| id.to_string()).unwrap_or_default();
    let name = match row.group {
        Some(id) => view! { <a href=format!("/groups/{id}")>{row.name.clone()}</a> }.into_any(),
        None => view! { {row.name.clone()} }.into_any(),
    };
    let cells = row
        .cells
        .into_iter()
        .zip(columns)
        .map(|(cell, column)| view! { <td><CellView cell key=cell_key(&group, &column.key) editable=row.editable/></td> })
        .collect_view();
    view! {
        <tr>
            <th scope="row" class=format!("depth-{}", row.depth.min(8))>{name}</th>
            {cells}
        </tr>
    }
}

/// Which cell a dialog is about: `GROUP~TARGET`.
fn cell_key(group: &str, target: &str) -> String {
    format!("{group}~{target}")
}

#[component]
fn CellView(cell: Cell, key: String, editable: bool) -> impl IntoView {
    let inherited = cell.own.is_none();
    let notes = cell.own.as_ref().map(|own| {
        let quotas = own.quotas.iter().map(|quota| view! { <div class="sub num">{quota.clone()}</div> }).collect_view();
        let overruled = own.state != cell.state;
        view! {
            {own.locked.then(|| view! { <span class="sub">" locked"</span> })}
            {overruled.then(|| view! { <div class="sub">{format!("says {}, a lock above overrules", own.state.label().to_lowercase())}</div> })}
            {quotas}
        }
    });
    let observed = cell.observed.map(|state| {
        let text = format!("observes: {}", state.label().to_lowercase());
        view! { <div class="sub">{text}</div> }
    });
    let mark = view! { <StateMark state=cell.state inherited/>{notes}{observed} };
    if editable {
        let href = query::href(&[("dialog", Some("cell")), ("cell", Some(&key))]);
        view! { <a class="cell-link" href=href data-within="">{mark}</a> }.into_any()
    } else {
        mark.into_any()
    }
}

/// Changes one cell: the one the address names.
#[component]
fn CellDialog(rows: Vec<Row>, columns: Vec<Column>) -> impl IntoView {
    let key = query::value("cell");
    let (group, target) = key.split_once('~').unwrap_or_default();
    let place = columns.iter().position(|column| column.key == target);
    let row = rows
        .into_iter()
        .find(|row| row.group.map(|id| id.to_string()).unwrap_or_default() == group && row.editable);
    let found = place.zip(row).and_then(|(place, row)| {
        Some((row.name, row.cells.get(place)?.clone(), columns.get(place)?.clone()))
    });
    let group = group.to_owned();
    view! {
        <Dialog name="cell" title="What holds here">
            {found.map(|(name, cell, column)| view! { <CellForm group name cell column/> })}
        </Dialog>
    }
}

#[component]
fn CellForm(group: String, name: String, cell: Cell, column: Column) -> impl IntoView {
    let mut states = vec![("inherit".to_owned(), "Nothing of its own: inherit".to_owned())];
    states.extend(choices(State::ALL, |state| state.label().to_owned()));
    let own = cell.own.clone();
    let value = own.as_ref().map_or_else(|| "inherit".to_owned(), |own| own.state.to_string());
    let ends_on =
        own.as_ref().and_then(|own| own.ends_at).map(|end| end.date_naive().to_string()).unwrap_or_default();
    let locked = own.is_some_and(|own| own.locked);
    let from = if cell.from.is_empty() {
        "Nothing is said anywhere above.".to_owned()
    } else {
        format!("{} comes from {}.", cell.state.label(), cell.from)
    };
    let why = (!column.tier && !group.is_empty()).then(|| {
        let href = super::why::href(&[("who", &group), ("model", &column.name)]);
        view! { " "<a href=href>"Why"</a> }
    });
    view! {
        <Form to=SetAuthorization::PATH also=RehearseAuthorization::PATH>
            <p><b>{name}</b>" and "<b>{column.name}</b>". "<span class="muted">{from}</span>{why}</p>
            <Hidden name="group" value=group/>
            <Hidden name="target" value=column.key/>
            <Select name="state" label="Here" options=states value/>
            <Check name="locked" label="Locked" checked=locked hint="Groups below cannot say otherwise."/>
            <Field name="ends_on" label="Last day" kind="date" value=ends_on optional=true hint="Afterwards it is as if nothing were said here."/>
            <Select name="mode" label="How" options=modes() hint="A rule that only takes note stands beside the one that decides: “inherit” takes it away again."/>
            <div class="row end"><Submit label="Rehearse on 30 days" look="" to=RehearseAuthorization::PATH/><Submit label="Save"/></div>
        </Form>
    }
}

fn modes() -> Vec<(String, String)> {
    choices(Mode::ALL, |mode| match mode {
        Mode::Enforce => "Decide".to_owned(),
        Mode::Observe => "Only take note of what it would refuse".to_owned(),
    })
}

/// What a group may do with each model, on the group's page.
#[component]
pub fn Lines(models: Vec<Line>, group: String) -> impl IntoView {
    let open = models.iter().filter(|line| line.state == State::Open && line.obstacle.is_none()).count();
    let empty = models.is_empty();
    let why = |model: &str| super::why::href(&[("who", &group), ("model", model)]);
    let rows = models
        .into_iter()
        .map(|line| view! {
            <tr>
                <td><a href=format!("/models/{}", line.model)><span class="mono">{line.name.clone()}</span></a></td>
                <td class="hide">{line.tier}</td>
                <td><StateMark state=line.state/>{line.obstacle.map(|why| view! { " "<Badge text=why kind=Kind::Bad/> })}</td>
                <td class="muted"><a href=why(&line.name)>{line.from.map_or_else(|| "nothing said".to_owned(), |from| format!("from {from}"))}</a></td>
            </tr>
        })
        .collect_view();
    view! {
        <Card title="Models" note=format!("{open} open") actions=ViewFn::from(|| view! { <a class="btn small" href="/authorization">"Change"</a> })>
            {if empty {
                view! { <Empty title="No models yet" text="The catalogue is empty."/> }.into_any()
            } else {
                view! {
                    <table class="table" id=format!("models-of-{group}")>
                        <thead><tr><th>"Model"</th><th class="hide">"Tier"</th><th>"State"</th><th>"Why"</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                }.into_any()
            }}
        </Card>
    }
}
