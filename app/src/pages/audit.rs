//! The log of changes.

use chrono::DateTime;
use domain::{
    audit::{AuditRow, Door},
    money::how_many,
};
use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    api::audit::{Checked, Log, VerifyAudit, load_audit},
    ui::{
        Ago, Badge, Card, Empty, Form, Head, Hidden, Kind, Load, Menu, Page, Pager, Submit, When,
        context::frame, query,
    },
};

/// What the address says about which changes to show.
const FILTERS: [&str; 8] = ["subject", "batch", "who", "what", "kind", "field", "door", "request"];

/// Doors that changes come through here.
const DOORS: [Door; 4] = [Door::Console, Door::Api, Door::File, Door::System];

/// Kinds of things that are changed, as the log calls them.
const KINDS: [&str; 25] = [
    "organization",
    "user",
    "group",
    "membership",
    "application",
    "key",
    "secret",
    "authorization",
    "limit",
    "request",
    "grant",
    "model",
    "tier",
    "provider",
    "policy",
    "review",
    "recommendation",
    "test",
    "alerts",
    "webhook",
    "invoice",
    "month",
    "call",
    "prompt",
    "replica",
];

/// Who changed what, before and after.
#[component]
pub fn AuditPage() -> impl IntoView {
    let [subject, batch, who, what, kind, field, door, request] = FILTERS.map(query::value);
    let log = load_audit(query::value("after"), subject, batch, who, what, kind, field, door, request);
    view! {
        <Page title="Audit">
            <Load data=log let(log)><Content log/></Load>
        </Page>
    }
}

#[component]
fn Content(log: Log) -> impl IntoView {
    let narrowed = FILTERS.iter().any(|name| !query::value(name).is_empty());
    let (batch, many) = (query::value("batch"), log.many);
    let (kind, door) = (query::value("kind"), query::value("door"));
    let told = [
        (!kind.is_empty() && !KINDS.contains(&kind.as_str()))
            .then(|| format!("{}.", query::nothing_called(&kind))),
        (!door.is_empty() && door.parse::<Door>().is_err()).then(|| {
            let doors = DOORS.map(Door::as_str).join(", ");
            format!("{}: any door is shown. Doors are {doors}.", query::nothing_called(&door))
        }),
    ];
    let told: Vec<_> = told.into_iter().flatten().collect();
    let told = told.join(" ");
    view! {
        <Head title="Audit">
            <Chain checked=log.checked/>
            <a class="btn" href=query::href(&[("after", None)]).replacen("/audit", "/audit.csv", 1) download="audit.csv">"Export"</a>
            <Form to=VerifyAudit::PATH class="inline"><Submit label="Verify the chain" look=""/></Form>
        </Head>
        {log.checked.and_then(|checked| checked.broken).map(|seq| view! {
            <p class="banner bad" role="status">{format!("The chain breaks at change {seq}: it was altered, removed or put in. ")}<a href=format!("/audit?after={}", seq + 1)>"Go there"</a></p>
        })}
        <Filters narrowed/>
        {(!told.is_empty()).then(|| view! { <p class="banner warn" role="status">{told}</p> })}
        {(!batch.is_empty() && many).then(|| view! {
            <p class="note-line"><a href=format!("/users/batch/{batch}")>"What it did to each, and the way back"</a></p>
        })}
        <Card>
            {if !log.rows.is_empty() {
                view! { <Changes rows=log.rows.clone()/> }.into_any()
            } else if narrowed {
                view! { <Empty title="No change matches" text="Leave a filter out, or show all changes."><a class="btn" href="/audit">"Show all changes"</a></Empty> }.into_any()
            } else {
                view! { <Empty title="Nothing has been changed yet" text="Every change is written here as it is made: who, what, before and after."/> }.into_any()
            }}
            {log.end.map(|end| view! {
                <p class="note-line">"The log ends with "<code>{end.clone()}</code>". Written down elsewhere, it proves later that nothing was cut off: "<code>{format!("bursar verify --noted {end}")}</code></p>
            })}
        </Card>
        <Pager next=log.next.map(|next| next.to_string())/>
    }
}

/// What the last look through the chain found.
#[component]
fn Chain(checked: Option<Checked>) -> impl IntoView {
    match checked {
        None => view! { <Badge text="Never verified here"/> }.into_any(),
        Some(Checked { at, rows, broken: None }) => view! {
            <span class="row"><Badge text=format!("Whole: {}", how_many(rows.unsigned_abs(), "change", "changes")) kind=Kind::Good/><span class="muted">"verified "<Ago at=Some(at)/></span></span>
        }.into_any(),
        Some(Checked { at, broken: Some(seq), .. }) => view! {
            <span class="row"><Badge text=format!("Broken at {seq}") kind=Kind::Bad/><span class="muted">"looked at "<Ago at=Some(at)/></span></span>
        }.into_any(),
    }
}

/// Person, thing, field, kind, door: all of it in the address.
#[component]
fn Filters(narrowed: bool) -> impl IntoView {
    let kept = |but: &'static [&'static str]| {
        FILTERS
            .into_iter()
            .filter(|name| !but.contains(name))
            .map(|name| (name, query::value(name)))
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| view! { <Hidden name value/> })
            .collect_view()
    };
    let text = |name: &'static str, label: &'static str| {
        view! {
            <input type="search" name=name value=query::value(name) class="find audit-find" placeholder=label aria-label=label/>
        }
    };
    let links = |name: &'static str, any: &'static str, words: Vec<String>| {
        let now = query::value(name);
        let link = |value: Option<&str>, text: String| {
            let current = value.unwrap_or_default() == now;
            view! { <li><a href=query::href(&[(name, value), ("after", None)]) data-within="" aria-current=current.then_some("true")>{text}</a></li> }
        };
        let first = link(None, any.to_owned());
        let rest = words.iter().map(|word| link(Some(word), super::capital(word))).collect_view();
        view! { <ul>{first}{rest}</ul> }
    };
    // A word that is none is left out, and not shown as what is chosen.
    let shown = |name: &'static str, known: bool| match known {
        true => super::capital(&query::value(name)),
        false => String::new(),
    };
    let (kind, door) =
        (KINDS.contains(&query::value("kind").as_str()), query::value("door").parse::<Door>().is_ok());
    view! {
        <div class="filters row">
            <form method="get" action="/audit" class="row" role="search" autocomplete="off">
                {kept(&["who", "what", "field"])}
                {text("who", "By whom")}
                {text("what", "About what")}
                {text("field", "Field")}
                <button class="btn">"Search"</button>
            </form>
            <Menu id="by-kind" label="Kind" value=shown("kind", kind)>{links("kind", "Any kind", KINDS.map(str::to_owned).to_vec())}</Menu>
            <Menu id="by-door" label="Door" value=shown("door", door)>{links("door", "Any door", DOORS.map(|door| door.to_string()).to_vec())}</Menu>
            {narrowed.then(|| view! { <a class="link" href="/audit">"Show all"</a> })}
        </div>
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
        "hand-over" => "handed over",
        "leak" => "reported as leaked",
        "withdraw" => "withdrawn",
        "approve" => "approved",
        "agree" => "agreed to",
        "refuse" => "refused",
        "dismiss" => "dismissed",
        "restore" => "brought back",
        "reopen" => "put back into the inbox",
        "compare" => "compared",
        "sign-out" => "signed out",
        "replay" => "sent again",
        "test" => "tried out",
        "take-back" => "taken back",
        "read" => "read",
        "open" => "opened",
        "decide" => "decided",
        "close" => "closed",
        "cancel" => "cancelled",
        "prompts" => "keeping of prompts changed",
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
                    <td class="nw"><b>{row.actor}</b>
                        <div class="sub">{super::capital(row.door.as_str())}{row.address.map(|address| format!(" · {address}"))}</div>
                        {row.request.map(|id| view! { <div class="sub"><a class="mono" href=format!("/audit?request={id}") title="Everything this request changed">{id.clone()}</a></div> })}
                    </td>
                    <td title=row.act.clone()>
                        {words(&row.act)}<div class="sub">{row.subject}</div>
                        {row.batch.map(|batch| view! { <div class="sub"><a href=format!("/audit?batch={batch}")>"All of this change"</a></div> })}
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
