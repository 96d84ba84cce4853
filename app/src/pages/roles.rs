//! Who may do what, drawn from the function that enforces it.

use domain::{
    money::grouped,
    roles::{Part, Row, matrix},
    users::Role,
};
use leptos::prelude::*;

use super::capital;
use crate::{
    api::roles::{Holders, RolesView, load_roles},
    ui::{Card, Head, Load, Page},
};

/// The matrix, and who holds which role.
#[component]
pub fn RolesPage() -> impl IntoView {
    let roles = load_roles();
    view! {
        <Page title="Roles">
            <Head title="Who may do what"/>
            <Load data=roles let(view)>
                <HoldersCard view/>
                <Card title="The matrix" note="drawn from the function that enforces it"><Matrix/></Card>
                <p class="muted">"No role opens a model. Models come through groups: see "<a href="/authorization">"Authorization"</a>"."</p>
            </Load>
        </Page>
    }
}

/// What leading a group is enough for: there and below, only below, or not.
fn as_lead(row: &Row) -> (bool, &'static str) {
    let member = Role::ALL.iter().zip(&row.by_role).any(|(role, yes)| *role == Role::Member && *yes);
    match (member, row.leading, row.above) {
        (true, ..) => (true, "yes"),
        (false, true, _) => (true, "there and below"),
        (false, false, true) => (true, "below only"),
        (false, false, false) => (false, "no"),
    }
}

#[component]
fn Matrix() -> impl IntoView {
    let cell = |yes: bool, word: &'static str| {
        let (class, sign) = if yes { ("roles-yes", "●") } else { ("roles-no", "–") };
        let shown = if matches!(word, "yes" | "no") { "sr" } else { "" };
        view! { <td class=class><span aria-hidden="true">{sign}</span>" "<span class=shown>{word}</span></td> }
    };
    let all = matrix();
    let parts = Part::ALL
        .iter()
        .map(|part| {
            let rows = all
                .iter()
                .filter(|row| row.act.part() == *part)
                .map(|row| {
                    let by_role = row.by_role.iter().map(|yes| cell(*yes, if *yes { "yes" } else { "no" })).collect_view();
                    let (yes, word) = as_lead(row);
                    view! { <tr><th scope="row">{row.act.label()}<span class="sub mono">{row.act.as_str()}</span></th>{by_role}{cell(yes, word)}</tr> }
                })
                .collect_view();
            view! { <tr class="roles-part"><th colspan="6" scope="colgroup">{part.label()}</th></tr>{rows} }
        })
        .collect_view();
    let heads =
        Role::ALL.iter().map(|role| view! { <th scope="col">{capital(role.as_str())}</th> }).collect_view();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="Who may do what">
            <table class="table roles-table">
                <thead><tr><th scope="col">"May"</th>{heads}<th scope="col">"Lead of a group"</th></tr></thead>
                <tbody>{parts}</tbody>
            </table>
        </div>
    }
}

#[component]
fn HoldersCard(view: RolesView) -> impl IntoView {
    if view.holders.is_empty() {
        return ().into_any();
    }
    let rows = view
        .holders
        .into_iter()
        .map(|Holders { role, count, first }| {
            let more = count - i64::try_from(first.len()).unwrap_or(0);
            let none = first.is_empty();
            let names = first.into_iter().map(|(id, name)| view! { <a href=format!("/users/{id}")>{name}</a> }).collect_view();
            view! {
                <dt>{capital(role.as_str())}" "<span class="count num">{grouped(count.unsigned_abs())}</span></dt>
                <dd>
                    {names}
                    {(more > 0).then(|| view! { <a class="muted" href=format!("/users?role={role}")>{if none { "All of them".to_owned() } else { format!("and {} more", grouped(more.unsigned_abs())) }}</a> })}
                    {(count == 0).then_some("Nobody")}
                </dd>
            }
        })
        .collect_view();
    view! {
        <Card title="Who holds which role">
            <dl class="facts-list roles-holders">
                {rows}
                <dt>"Leads a group "<span class="count num">{grouped(view.leads.unsigned_abs())}</span></dt>
                <dd><a class="muted" href="/groups">"Groups name their leads"</a></dd>
            </dl>
        </Card>
    }
    .into_any()
}
