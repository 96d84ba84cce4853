//! People from a table.

use domain::money::grouped;
use leptos::{prelude::*, server_fn::ServerFn};

use super::capital;
use crate::{
    api::imports::{CheckImport, RunImport, load_import},
    frame::{Differs, Once},
    ui::{Card, FileField, Form, Head, Kept, Load, Page, Submit, TextArea, context::frame},
};

/// The table, its difference, and the import.
#[component]
pub fn ImportPage() -> impl IntoView {
    view! { <Page title="Import people"><Load data=load_import() let(columns)><Content columns/></Load></Page> }
}

#[component]
fn Content(columns: Vec<String>) -> impl IntoView {
    let columns = columns.join(", ");
    let flash = frame().flash.clone().filter(|flash| flash.to == CheckImport::PATH);
    let once = flash.and_then(|flash| flash.outcome.ok()).and_then(|done| done.once);
    let shown = match once {
        Some(Once::Difference { sentence, parts, dying, .. }) => Some((sentence, parts, dying)),
        _ => None,
    };
    let open = shown.is_none();
    view! {
        <Head title="Import people" crumbs=vec![("/users".to_owned(), "Users".to_owned())]>
            <a class="btn" href="/users.csv" download="users.csv">"Export what there is"</a>
        </Head>
        {open.then(|| view! { <p class="lead">"The address tells people apart: who is new is added, who is here is changed, and nobody is removed. All of it happens at once, or nothing."</p> })}
        <Form to=CheckImport::PATH also=RunImport::PATH file=true class="import">
            <Kept name="seen"/>
            {shown.clone().map(|(sentence, parts, dying)| view! { <Difference sentence parts dying/> })}
            <Card class="pad">
                <details class="folded" open=open>
                    <summary>"The table"</summary>
                    <div class="form">
                        <FileField name="file" label="A file" accept=".csv,.txt,text/csv" hint="An export, or a table with the same columns, parted by commas, semicolons or tabs. What it says stands below once the difference is shown."/>
                        <TextArea
                            name="csv" label="Or the table itself" rows=14
                            hint=format!("The first line names the columns: {columns}, status; email there has to be. Groups by path, like Engineering/Research, one a line within the cell: they become all the groups that person is in directly. An empty monthly_limit means the organization's default. What has no column stays as it is. A status is not changed by a table: it has to be as it is, or empty.")
                        />
                        <div class="row end"><Submit label="Show the difference" look=if open { "go" } else { "" } running="Comparing: a large table takes seconds…"/></div>
                    </div>
                </details>
            </Card>
        </Form>
    }
}

/// What the table would change, by kind, and the one button.
#[component]
fn Difference(sentence: String, parts: Vec<Differs>, dying: Option<(String, Vec<String>)>) -> impl IntoView {
    let any = !parts.is_empty();
    let dying = dying.map(|(sentence, whose)| {
        let whose = whose.into_iter().map(|whose| view! { <li>{whose}</li> }).collect_view();
        view! { <div class="banner warn" role="status"><p>{sentence}</p><ul class="listed">{whose}</ul></div> }
    });
    let parts = parts.into_iter().map(|part| view! { <Part part/> }).collect_view();
    view! {
        // Where the focus is on the page that answers, and what is read out first.
        <h2 id="difference" tabindex="-1" autofocus="">"The difference"</h2>
        <p class="lead" role="status">{sentence}</p>
        {dying}
        {parts}
        {any.then(|| view! {
            <div class="row end">
                <div data-as-shown=""><Submit label="Import" to=RunImport::PATH running="Importing: a large table takes seconds…"/></div>
                <p class="muted" role="status" data-outdated="" hidden="">"The table is not the one that was compared any more: show the difference again before it is imported."</p>
            </div>
        })}
    }
}

/// One kind of what changes, person by person.
#[component]
fn Part(part: Differs) -> impl IntoView {
    let Differs { title, people, lines } = part;
    let more = people.saturating_sub(lines.len());
    let note = grouped(people as u64);
    let rows = lines
        .into_iter()
        .map(|(name, email, what)| {
            let what = what.into_iter().map(|what| view! { <div>{capital(&what)}</div> }).collect_view();
            view! { <tr><td><b>{name}</b><div class="sub">{email}</div></td><td>{what}</td></tr> }
        })
        .collect_view();
    view! {
        <Card title note>
            <table class="table stack effects"><thead class="sr"><tr><th>"Person"</th><th>"What"</th></tr></thead><tbody>{rows}</tbody></table>
            {(more > 0).then(|| view! { <p class="note-line">{format!("And {} more: the import itself lists every one, and undoes all of them.", grouped(more as u64))}</p> })}
        </Card>
    }
}
