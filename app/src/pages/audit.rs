//! The log of changes.

use chrono::DateTime;
use domain::audit::AuditRow;
use leptos::prelude::*;

use crate::{
    api::audit::load_audit,
    ui::{Card, Empty, Head, Load, Page, Pager, When, context::frame, query},
};

/// Who changed what, before and after.
#[component]
pub fn AuditPage() -> impl IntoView {
    let (after, subject, check) = (query::value("after"), query::value("subject"), query::value("check"));
    let log = load_audit(after, subject, check == "1", query::value("batch"));
    let verify = query::href(&[("check", Some("1"))]);
    view! {
        <Page title="Audit">
            <Load data=log let(log)>
                <Head title="Audit"><a class="btn" href=verify>"Verify the chain"</a></Head>
                {log.chain.clone().map(|(whole, sentence)| view! {
                    <p class=if whole { "banner good" } else { "banner bad" } role="status">{sentence}</p>
                })}
                <Card>
                    {if log.rows.is_empty() {
                        view! { <Empty title="Nothing has been changed yet" text="Every change is written here as it is made: who, what, before and after."/> }.into_any()
                    } else {
                        view! { <Changes rows=log.rows.clone()/> }.into_any()
                    }}
                </Card>
                <Pager next=log.next.map(|next| next.to_string())/>
            </Load>
        </Page>
    }
}

/// A value as people read it: moments in their zone, words for yes and no.
fn shown(value: Option<String>) -> String {
    let Some(text) = value.filter(|text| !text.is_empty()) else { return "–".to_owned() };
    match text.as_str() {
        "true" => "yes".to_owned(),
        "false" => "no".to_owned(),
        _ => match DateTime::parse_from_rfc3339(&text) {
            Ok(moment) => frame().zone.full(moment.to_utc()),
            Err(_) => text,
        },
    }
}

/// `group.create` as people read it: `Group created`.
fn words(act: &str) -> String {
    let (noun, verb) = act.split_once('.').unwrap_or((act, ""));
    let verb = match verb {
        "create" => "created",
        "edit" => "changed",
        "archive" => "archived",
        "remove" => "removed",
        "move" => "moved",
        "default" => "default changed",
        "start" => "started",
        "end" => "ended",
        "accept" => "reviewed",
        "price" => "priced",
        "revoke" => "revoked",
        "invite" => "invited",
        "join" => "joined",
        "suspend" => "suspended",
        "reinstate" => "let in again",
        other => other,
    };
    super::capital(&format!("{noun} {verb}"))
}

/// Lines of the log.
#[component]
pub fn Changes(rows: Vec<AuditRow>) -> impl IntoView {
    let rows = rows
        .into_iter()
        .map(|row| {
            let changes = row
                .changes
                .into_iter()
                .map(|(field, before, after)| (field, before.filter(|text| !text.is_empty()), after))
                .filter(|(_, before, after)| before.is_some() || after.as_ref().is_some_and(|text| !text.is_empty()))
                .map(|(field, before, after)| {
                    view! {
                        <li><span class="muted">{super::capital(&field)}</span>" "
                            {before.map(|before| view! { <del>{shown(Some(before))}</del>" → " })}
                            <ins>{shown(after)}</ins>
                        </li>
                    }
                })
                .collect_view();
            view! {
                <tr>
                    <td class="nw"><When at=row.at/><div class="sub num">{format!("#{}", row.seq)}</div></td>
                    <td class="nw beside"><b>{row.actor}</b><div class="sub">{super::capital(row.door.as_str())}</div></td>
                    <td title=row.act.clone()>
                        {words(&row.act)}<div class="sub">{row.subject}</div>
                        {row.batch.map(|batch| view! { <div class="sub"><a href=format!("/audit?batch={batch}")>"One of many"</a></div> })}
                    </td>
                    <td><ul class="changes">{changes}</ul></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="Changes">
            <table class="table stack">
                <thead><tr><th>"When"</th><th>"Who"</th><th>"What"</th><th>"Before → after"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}
