//! What ended with somebody's suspension or removal: a sheet to keep, to print, to hand on.

use domain::{
    groups::Standing,
    receipts::{Charge, Contents, Departure, Handed, Receipt},
    roles::Act,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::param;
use crate::{
    api::{
        receipts::{ReceiptView, load_receipt},
        users::SuspendUser,
    },
    ui::{Ago, Badge, Card, Empty, Form, Head, Hidden, Kind, Load, Page, Submit, When, context::frame, may},
};

/// A receipt.
#[component]
pub fn ReceiptPage() -> impl IntoView {
    let receipt = load_receipt(param("id"));
    view! { <Page title="Receipt"><Load data=receipt let(view)><Content view/></Load></Page> }
}

#[component]
fn Content(view: ReceiptView) -> impl IntoView {
    let ReceiptView { receipt, suspended } = view;
    let removed = receipt.kind == Departure::Removed;
    let title = format!("{} was {}", receipt.name, receipt.kind);
    let user = receipt.user.to_string();
    let crumbs =
        vec![("/users".to_owned(), "Users".to_owned()), (format!("/users/{user}"), receipt.name.clone())];
    let (secrets, sessions) = (receipt.contents.secrets.len(), receipt.contents.sessions);
    let back = suspended && !removed && may(Act::EditUsers);
    let log = may(Act::ReadAudit).then(|| format!("/audit?subject={}", receipt.user.0));
    view! {
        <Head title note=receipt.email.clone() crumbs>
            <PrintButton/>
            {log.map(|href| view! { <a class="btn" href=href>"In the audit log"</a> })}
            {back.then(|| view! {
                <Form to=SuspendUser::PATH class="inline"><Hidden name="id" value=user.clone()/><Hidden name="suspended" value="false"/><Submit label="Let in again" look=""/></Form>
            })}
        </Head>
        <div class="receipt">
            <section class="facts three">
                <div><h2>"In effect since"</h2><div class="big num">{frame().zone.full(receipt.at)}</div><p class="under">{format!("{}. Here at once, on every replica within a second", frame().zone.city())}</p></div>
                <div><h2>"By"</h2><div class="big">{receipt.actor.clone()}</div><p class="under">{format!("Receipt {}", receipt.id)}</p></div>
                <div><h2>"Secrets revoked"</h2><div class="big num">{secrets}</div><p class="under">{format!("{sessions} signed-in browsers ended")}</p></div>
            </section>
            {(!removed && !suspended).then(|| view! { <p class="banner">"They have been let in again since, or removed. The secrets below stayed dead."</p> })}
            <Secrets contents=receipt.contents.clone()/>
            <HandedOver receipt=receipt.clone()/>
            <Held receipt/>
        </div>
    }
}

#[component]
fn Secrets(contents: Contents) -> impl IntoView {
    if contents.secrets.is_empty() {
        return view! { <Card title="Secrets"><Empty title="None" text="No live secret named this person."/></Card> }.into_any();
    }
    let rows = contents
        .secrets
        .into_iter()
        .map(|secret| {
            view! {
                <tr>
                    <td class="mono">{secret.hint}</td>
                    <td>{secret.application}</td>
                    <td class="nw">{match secret.last_used_at {
                        Some(at) => view! { <When at/> }.into_any(),
                        None => view! { <Ago at=None never="never used"/> }.into_any(),
                    }}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="Secrets" note="revoked: they stay dead, whatever comes">
            <table class="table">
                <thead><tr><th>"Secret"</th><th>"Called for"</th><th>"Last call before"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </Card>
    }
    .into_any()
}

#[component]
fn HandedOver(receipt: Receipt) -> impl IntoView {
    let handed = receipt.contents.handed;
    if handed.is_empty() {
        return ().into_any();
    }
    let open = handed.iter().any(|handed| handed.to.is_none());
    let note = if open { "still theirs: hand it on if they do not come back" } else { "handed over" };
    let removed = receipt.kind == Departure::Removed;
    let rows = handed
        .into_iter()
        .map(|Handed { charge, name, to, because, .. }| {
            let (href, what) = match charge {
                Charge::Application(id) => (format!("/applications/{id}"), "Application"),
                Charge::Group(id) => (format!("/groups/{id}"), "Group without another lead"),
            };
            view! {
                <tr>
                    <td><a href=href><b>{name}</b></a><div class="sub">{what}</div></td>
                    <td>{match to {
                        Some((id, name)) => view! {
                            <a href=format!("/users/{id}")>{name}</a>
                            {because.map(|because| view! { <div class="sub">{because}</div> })}
                        }.into_any(),
                        None => view! { <Badge text="nobody else yet" kind=Kind::Warn/> }.into_any(),
                    }}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="What they answered for" note>
            <table class="table"><thead><tr><th>"What"</th><th>"Who answers for it now"</th></tr></thead><tbody>{rows}</tbody></table>
            {(!removed).then(|| view! { <p class="receipt-note">"Letting them in again does not give this back, nor revive a secret: whoever took over hands it back. Undoing the suspension gives back what is still with whoever took over."</p> })}
        </Card>
    }
    .into_any()
}

/// Groups, grants, requests, private contexts: ended, or waiting for a return.
#[component]
fn Held(receipt: Receipt) -> impl IntoView {
    let removed = receipt.kind == Departure::Removed;
    let note = if removed { "ended" } else { "kept for a return; nothing of it can be used until then" };
    let Contents { memberships, grants, requests, personal, .. } = receipt.contents;
    let groups = memberships
        .into_iter()
        .map(|held| {
            let lead = held.standing == Standing::Lead;
            view! { <li><a href=format!("/groups/{}", held.group)>{held.path}</a>{lead.then(|| view! { " "<Badge text="lead" kind=Kind::Good/> })}</li> }
        })
        .collect_view();
    let grants = grants
        .into_iter()
        .map(|held| view! { <li><span class="mono">{held.model}</span><span class="muted">" until "<When at=held.ends_at/></span></li> })
        .collect_view();
    let list = |title: &'static str, names: Vec<String>| {
        (!names.is_empty()).then(|| view! { <dt>{title}</dt><dd>{names.join(", ")}</dd> })
    };
    let (asked, contexts) =
        (list("Requests withdrawn", requests), list("Private contexts closed, with their keys", personal));
    let (no_groups, no_grants) = (groups.is_empty(), grants.is_empty());
    view! {
        <Card title="Groups and grants" note>
            <dl class="facts-list">
                <dt>"Groups"</dt><dd>{if no_groups { view! { "None" }.into_any() } else { view! { <ul>{groups}</ul> }.into_any() }}</dd>
                <dt>"Grants"</dt><dd>{if no_grants { view! { "None" }.into_any() } else { view! { <ul>{grants}</ul> }.into_any() }}</dd>
                {asked}{contexts}
            </dl>
            <p class="receipt-note">"Their name and their spend stay on the books."</p>
        </Card>
    }
}

/// The browser's own printing, by a button. Without script the browser's menu does it.
#[island]
fn PrintButton() -> impl IntoView {
    view! { <button type="button" class="btn scripted" on:click=|_| { let _ = window().print(); }>"Print"</button> }
}
