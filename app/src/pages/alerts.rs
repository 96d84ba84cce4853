//! Alerts: what was noticed about money, by which rule, and how to be told.

use domain::{
    alerts::{Alert, AlertKind, clock},
    roles::Act,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::webhooks::Webhooks;
use crate::{
    api::alerts::{Alerts, EditWatching, Watching, load_alerts, load_watching},
    ui::{
        Badge, Card, Check, Empty, Field, Form, Head, Hidden, Kind, Load, Page, Pager, Submit, When,
        context::frame, may, query,
    },
};

/// What was noticed, the newest first.
#[component]
pub fn AlertsPage() -> impl IntoView {
    let alerts = load_alerts(query::value("kind"), query::value("after"));
    view! { <Page title="Alerts" live=true><Load data=alerts let(alerts)><Content alerts/></Load></Page> }
}

/// One word for a kind.
const fn word(kind: AlertKind) -> (&'static str, Kind) {
    match kind {
        AlertKind::Limit => ("Threshold", Kind::Warn),
        AlertKind::Forecast => ("Forecast", Kind::Warn),
        AlertKind::Anomaly => ("Anomaly", Kind::Bad),
        AlertKind::Unused => ("Unused", Kind::Plain),
    }
}

#[component]
fn Content(alerts: Alerts) -> impl IntoView {
    let Alerts { alerts, kind, next } = alerts;
    let all = may(Act::ReadOrganization);
    let chip = |key: &'static str, text: &'static str, current: bool| {
        let href = query::href(&[("kind", Some(key)), ("after", None)]);
        view! { <a href=href aria-current=current.then_some("true")>{text}</a> }
    };
    let chips = AlertKind::ALL
        .iter()
        .map(|word| chip(word.as_str(), word.label(), kind == Some(*word)))
        .collect_view();
    let empty = alerts.is_empty();
    let rows = alerts.into_iter().map(|alert| view! { <Line alert/> }).collect_view();
    view! {
        <Head title="Alerts">{all.then(|| view! { <a class="btn" href="/alerts/settings">"How to be told"</a> })}</Head>
        <p class="lead">"Each fires once: a threshold in a window, a forecast in a window, an anomaly on a day, an unused budget in a month."</p>
        <div class="filters row"><div class="seg" role="group" aria-label="Which alerts">{chip("", "All", kind.is_none())}{chips}</div></div>
        <Card>
            {if empty && kind.is_some() {
                view! { <Empty title="None of this kind" text=kind.map(AlertKind::sentence).unwrap_or_default()><a class="btn" href="/alerts">"Show all"</a></Empty> }.into_any()
            } else if empty {
                view! {
                    <Empty title="Nothing was noticed yet" text="Limits that cross a threshold or will be reached early, days that cost a multiple of the usual, and budgets nobody uses stand here.">
                        {all.then(|| view! { <a class="btn go" href="/limits">"To the limits"</a> })}
                    </Empty>
                }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Alerts">
                        <table class="table stack">
                            <thead><tr><th>"What"</th><th>"Rule"</th><th>"Told"</th><th>"When"</th></tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
        <Pager next=next.map(|id| id.to_string())/>
    }
}

#[component]
fn Line(alert: Alert) -> impl IntoView {
    let (text, kind) = word(alert.kind);
    let told = match alert.told {
        // Of several thresholds that are crossed at once people hear of the highest.
        0 if alert.kind == AlertKind::Limit => {
            view! { <span class="muted">"of a higher one"</span> }.into_any()
        }
        0 => view! { <span class="muted">"nobody"</span> }.into_any(),
        1 => view! { "1 person" }.into_any(),
        told => view! { {format!("{told} people")} }.into_any(),
    };
    view! {
        <tr>
            <td class="alert-what"><a href=alert.href><b>{alert.title}</b></a><div class="sub">{alert.body}</div></td>
            <td class="alert-rule"><Badge text kind/><div class="sub">{alert.rule}</div></td>
            <td class="nw" data-th="Told">{told}</td>
            <td class="nw" data-th="When"><When at=alert.fired_at/></td>
        </tr>
    }
}

/// How the organization wants to be told.
#[component]
pub fn AlertSettingsPage() -> impl IntoView {
    let watching = load_watching();
    let crumbs = vec![("/alerts".to_owned(), "Alerts".to_owned())];
    view! {
        <Page title="How to be told">
            <Head title="How to be told" crumbs/>
            <Load data=watching let(watching)><Told watching/></Load>
        </Page>
    }
}

#[component]
fn Told(watching: Watching) -> impl IntoView {
    let Watching { settings, webhooks, mail } = watching;
    let edit = may(Act::EditOrganization);
    let zone = frame().zone.city();
    let quiet = settings.quiet;
    let recipients = if mail {
        "Whoever looks after a thing is told: the person, the leads of the group, else admins and owners. In the console, and by mail where they want it."
    } else {
        "Whoever looks after a thing is told: the person, the leads of the group, else admins and owners. In the console; mail is not set up on this server."
    };
    view! {
        <Card title="What is watched for" class="narrow">
            {if edit {
                view! {
                    <Form to=EditWatching::PATH class="pad">
                        <p class="muted">{recipients}</p>
                        <Hidden name="version" value=settings.version.to_string()/>
                        {AlertKind::ALL.iter().map(|kind| view! {
                            <Check name="kinds[]" label=kind.label() value=kind.to_string() checked=settings.kinds.contains(kind) hint=kind.sentence()/>
                        }).collect_view()}
                        <Field name="floor" label="Smallest anomaly, in US dollars" inputmode="decimal" value=settings.floor.exact() hint="A day that costs less is none, whatever is usual."/>
                        <div class="pair">
                            <Field name="quiet_from" label="Quiet from" optional=true placeholder="22:00" value=quiet.map(|quiet| clock(quiet.from)).unwrap_or_default() hint=format!("Mail and webhooks wait, by the clocks of {zone}.")/>
                            <Field name="quiet_to" label="Quiet until" optional=true placeholder="07:00" value=quiet.map(|quiet| clock(quiet.to)).unwrap_or_default() hint="Then they are sent. The console shows alerts at once."/>
                        </div>
                        <div class="row end"><Submit label="Save"/></div>
                    </Form>
                }.into_any()
            } else {
                view! {
                    <dl class="facts-list">
                        <dt>"Watched for"</dt><dd>{settings.kinds.iter().map(|kind| kind.label()).collect::<Vec<_>>().join(", ")}</dd>
                        <dt>"Smallest anomaly"</dt><dd class="num">{settings.floor.to_string()}</dd>
                        <dt>"Quiet hours"</dt><dd class="num">{quiet.map_or_else(|| "None".to_owned(), |quiet| format!("{} to {}, {zone}", clock(quiet.from), clock(quiet.to)))}</dd>
                    </dl>
                }.into_any()
            }}
        </Card>
        <Webhooks webhooks edit/>
    }
}
