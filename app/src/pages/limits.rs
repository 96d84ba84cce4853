//! Limits: the list of all of them, and the card that stands on every page of something that can
//! have one.

use domain::{
    limits::{Metric, Mode, Scope, ScopeKind},
    money::grouped,
    roles::Act,
    spend::LimitLevel,
    time,
    window::Window,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{choices, heirs::FindHeir, raises::raise_href};
use crate::{
    api::{
        limits::{Limits, RemoveLimit, SetLimit, load_limits},
        rehearsals::RehearseLimit,
    },
    ui::{
        Badge, Card, Dialog, Empty, Field, Form, Head, Hidden, Kind, LimitMeter, Load, Menu, OpenDialog,
        Page, Pager, Select, Submit, may, query,
    },
};

fn metrics() -> Vec<(String, String)> {
    choices(Metric::ALL, |metric| metric.label().to_owned())
}

fn windows() -> Vec<(String, String)> {
    let mut windows = choices(Window::ALL, |window| super::capital(window.per()));
    windows.sort_by_key(|(key, _)| key != "month");
    windows
}

fn modes() -> Vec<(String, String)> {
    choices(Mode::ALL, |mode| match mode {
        Mode::Enforce => "Refuse what does not fit".to_owned(),
        Mode::Observe => "Only take note".to_owned(),
    })
}

/// What a scope's page is.
fn scope_href(scope: Scope) -> String {
    match scope {
        Scope::Organization => "/spend".to_owned(),
        Scope::Group(id) | Scope::Member(id, _) => format!("/groups/{id}"),
        Scope::Application(id) => format!("/applications/{id}"),
        Scope::User(id) => format!("/users/{id}"),
        Scope::Authorization(_) | Scope::Grant(_) => "/authorization".to_owned(),
    }
}

/// Every limit.
#[component]
pub fn LimitsPage() -> impl IntoView {
    let limits =
        load_limits(query::value("q"), query::value("kind"), query::value("after"), query::value("find"));
    view! { <Page title="Limits" live=true><Load data=limits let(limits)><Content limits/></Load></Page> }
}

#[component]
fn Content(limits: Limits) -> impl IntoView {
    let Limits { limits, all, next, scopes } = limits;
    let set = may(Act::LoosenLimits);
    let count = grouped(all as u64);
    let (q, kind) = (query::value("q"), query::value("kind"));
    let narrowed = !q.is_empty() || !kind.is_empty();
    let kinds = ScopeKind::ALL
        .iter()
        .map(|of| {
            let href = query::href(&[("kind", Some(of.as_str())), ("after", None)]);
            view! { <li><a href=href data-within="" aria-current=(kind == of.as_str()).then_some("true")>{super::capital(of.as_str())}</a></li> }
        })
        .collect_view();
    let kept = (!kind.is_empty()).then(|| view! { <Hidden name="kind" value=kind.clone()/> });
    let shown = super::capital(&kind);
    let empty = limits.is_empty();
    let rows = limits.iter().map(|limit| view! { <Line limit=limit.clone() set/> }).collect_view();
    let dialogs =
        limits.into_iter().filter(|_| set).map(|limit| view! { <EditDialog limit/> }).collect_view();
    view! {
        <Head title="Limits" note=count>{set.then(|| view! { <OpenDialog name="new" label="New limit" look="btn go"/> })}</Head>
        <p class="lead">"Every limit that applies to a call must have room for its worst case before the call is made. There is no precedence to learn."</p>
        {(all > 0).then(|| view! {
            <div class="filters row">
                <form method="get" action="/limits" class="row" role="search">
                    {kept}
                    <input type="search" name="q" value=q class="find" placeholder="What it is on" aria-label="What the limit is on"/>
                    <button class="btn">"Search"</button>
                </form>
                <Menu id="by-kind" label="On" value=shown><ul>{kinds}</ul></Menu>
                {narrowed.then(|| view! { <a class="link" href="/limits">"Show all"</a> })}
            </div>
        })}
        <Card>
            {if empty && narrowed {
                view! { <Empty title="No limit matches" text="Look for another name, or show all of them."><a class="btn" href="/limits">"Show all"</a></Empty> }.into_any()
            } else if empty {
                view! { <Empty title="No limits yet" text="A limit caps money, calls or tokens of an organization, a group, an application or a person, per minute up to a year."/> }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Limits">
                        <table class="table stack">
                            <thead><tr><th>"On"</th><th>"Cap"</th><th class="wide">"Now"</th><th><span class="sr">"Actions"</span></th></tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
        <Pager next/>
        <Dialog name="new" title="New limit">
            <FindHeir page="/limits" dialog="new" what="Group, application or person"/>
            <Form to=SetLimit::PATH also=RehearseLimit::PATH which="new">
                <Select name="scope" label="On" options=scopes.clone() hint="Not listed? Look for it above. Everything that can have a limit has it on its own page, too."/>
                <Fields/>
                <div class="row end"><Submit label="Rehearse on 30 days" look="" to=RehearseLimit::PATH/><Submit label="Set the limit"/></div>
            </Form>
        </Dialog>
        {dialogs}
    }
}

/// Metric, window, cap, mode, thresholds of a new limit.
#[component]
fn Fields() -> impl IntoView {
    view! {
        <div class="pair">
            <Select name="metric" label="Of" options=metrics()/>
            <Select name="window" label="Per" options=windows()/>
        </div>
        <Field name="cap" label="At most" inputmode="decimal" placeholder="500.00" hint="US dollars for spend; a whole number of calls or tokens otherwise."/>
        <Select name="mode" label="Without room" options=modes()/>
        <Field name="thresholds" label="Tell somebody at, per cent" value="50, 80, 100" optional=true/>
    }
}

#[component]
fn Line(limit: LimitLevel, set: bool) -> impl IntoView {
    let meter = limit.limit.meter;
    let cap = meter.show_cap(limit.limit.cap);
    let observe = limit.limit.mode == Mode::Observe;
    let id = limit.limit.id.map(|id| id.to_string());
    let (name, href) = (limit.scope_name.clone(), scope_href(meter.scope));
    let version = limit.version.unwrap_or_default().to_string();
    view! {
        <tr>
            <td><a href=href><b>{name}</b></a><div class="sub">{super::capital(meter.scope.kind().as_str())}</div></td>
            <td class="num">{cap}{observe.then(|| view! { <div><Badge text="observes" kind=Kind::Warn/></div> })}</td>
            <td><LimitMeter limit/></td>
            <td class="beside"><div class="row end">{set.then(|| id.map(|id| view! {
                <OpenDialog name=format!("limit-{id}") label="Edit" look="link"/>
                <Form to=RemoveLimit::PATH which=id.clone() class="inline"><Hidden name="id" value=id.clone()/><Hidden name="version" value=version.clone()/><button class="link danger">"Remove"</button></Form>
            }))}</div></td>
        </tr>
    }
}

#[component]
fn EditDialog(limit: LimitLevel) -> impl IntoView {
    let meter = limit.limit.meter;
    let id = limit.limit.id.map(|id| id.to_string()).unwrap_or_default();
    let cap = match meter.metric {
        Metric::Spend => domain::money::Money(limit.limit.cap).exact(),
        _ => limit.limit.cap.to_string(),
    };
    let thresholds = limit.limit.thresholds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    // A link can bring the cap it proposes along.
    let cap = Some(query::value("cap")).filter(|proposed| !proposed.is_empty()).unwrap_or(cap);
    let title = format!("{} · {}", limit.scope_name, meter.show_cap(limit.limit.cap));
    let (mode, version) = (limit.limit.mode, limit.version);
    // A lead does not let what refuses take note only.
    let mut modes = modes();
    modes.retain(|(key, _)| may(Act::LoosenLimits) || mode == Mode::Observe || *key == mode.as_str());
    let raised = limit.raised.map(|raised| view! {
        <p class="banner">{format!("Raised by request until {}: another amount ends that, and stays. To keep this one for good, ", time::date(raised.until))}<a href=format!("/requests/{}", raised.request)>"end the raise"</a>" first."</p>
    });
    view! {
        <Dialog name=format!("limit-{id}") title>
            {raised}
            <Form to=SetLimit::PATH also=RehearseLimit::PATH which=id.clone()>
                <Hidden name="scope" value=meter.scope.key()/>
                <Hidden name="metric" value=meter.metric.to_string()/>
                <Hidden name="window" value=meter.window.to_string()/>
                <Hidden name="version" value=version.map(|version| version.to_string()).unwrap_or_default()/>
                <Field name="cap" label="At most" inputmode="decimal" value=cap.clone() hint="What is used of it stays used."/>
                <Select name="mode" label="Without room" options=modes.clone() value=mode.to_string()/>
                <Field name="thresholds" label="Tell somebody at, per cent" value=thresholds.clone() optional=true/>
                <div class="row end"><Submit label="Rehearse on 30 days" look="" to=RehearseLimit::PATH/><Submit label="Save"/></div>
            </Form>
        </Dialog>
    }
}

/// The limits of one thing, on its page.
#[component]
pub fn LimitCard(
    /// Whose.
    scope: Scope,
    /// With their levels.
    limits: Vec<LimitLevel>,
    /// Whether whoever looks may add or lower one.
    may_set: bool,
    /// Whether they may take one away.
    may_remove: bool,
    /// Those that apply from above: in words, and of what.
    #[prop(optional)]
    above: Vec<(String, String)>,
) -> impl IntoView {
    let inherited = above
        .into_iter()
        .map(|(limit, of)| view! { <li class="row between"><span class="num">{limit}</span><Badge text=format!("from {of}") kind=Kind::Inherited/></li> })
        .collect_view();
    let from_above = !inherited.is_empty();
    let empty = limits.is_empty();
    let items = limits
        .iter()
        .map(|limit| {
            let id = limit.limit.id.map(|id| id.to_string());
            let title = limit.limit.meter.show_cap(limit.limit.cap);
            let observe = limit.limit.mode == Mode::Observe;
            let version = limit.version.unwrap_or_default().to_string();
            view! {
                <li>
                    <div class="row between">
                        <b class="num">{title}{observe.then(|| view! { " "<Badge text="observes" kind=Kind::Warn/> })}</b>
                        <span class="row">{id.map(|id| view! {
                            {may_set.then(|| view! { <OpenDialog name=format!("limit-{id}") label="Edit" look="link"/> })}
                            {may_remove.then(|| view! { <Form to=RemoveLimit::PATH which=id.clone() class="inline"><Hidden name="id" value=id.clone()/><Hidden name="version" value=version.clone()/><button class="link danger">"Remove"</button></Form> })}
                        })}</span>
                    </div>
                    <LimitMeter limit=limit.clone()/>
                    {(!may_remove && limit.can_be_raised()).then(|| view! { <a class="link" href=raise_href(&limit.limit.meter, None)>"Ask for more"</a> })}
                </li>
            }
        })
        .collect_view();
    let dialogs =
        limits.into_iter().filter(|_| may_set).map(|limit| view! { <EditDialog limit/> }).collect_view();
    view! {
        <Card title="Limits" actions=ViewFn::from(move || view! { {may_set.then(|| view! { <OpenDialog name="new-limit" label="New limit" look="btn small"/> })} })>
            {if empty && from_above {
                ().into_any()
            } else if empty {
                view! { <Empty title="No limit of its own" text="Limits of everything above it still apply."/> }.into_any()
            } else {
                view! { <ul class="list">{items}</ul> }.into_any()
            }}
            {from_above.then(|| view! { <p class="note-line">{if empty { "None of its own; these apply from above:" } else { "These apply from above, too:" }}</p><ul class="list">{inherited}</ul> })}
        </Card>
        {dialogs}
        <Dialog name="new-limit" title="New limit">
            <Form to=SetLimit::PATH also=RehearseLimit::PATH which="new">
                <Hidden name="scope" value=scope.key()/>
                <Fields/>
                <div class="row end"><Submit label="Rehearse on 30 days" look="" to=RehearseLimit::PATH/><Submit label="Set the limit"/></div>
            </Form>
        </Dialog>
    }
}
