//! One's own sign-in.

use domain::{
    time,
    users::{SessionRow, device},
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{my_models::OverLine, notices::ByMail};
use crate::{
    api::{
        accounts::{ChangePassword, EndSession, load_sessions},
        my_models::{MyGroup, load_my_groups},
    },
    frame::Me,
    ui::{
        Ago, Badge, Card, Empty, Field, Form, Head, Hidden, Kind, Load, Page, Submit, When, context::frame,
    },
};

/// Name, address, notices by mail, password.
#[component]
pub fn AccountPage() -> impl IntoView {
    let me = frame().me.clone();
    let user = me.as_ref().and_then(|me| me.here.as_ref()).map(|here| here.user.to_string());
    let organizations = me.as_ref().map(|me| view! { <Organizations me=me.clone()/> });
    let (name, email) = me.map(|me| (me.name, me.email)).unwrap_or_default();
    view! {
        <Page title="My account">
            <Head title="My account"/>
            <Card title="Sign-in" class="narrow">
                <dl class="facts-list"><dt>"Name"</dt><dd>{name}</dd><dt>"Email"</dt><dd>{email}</dd></dl>
            </Card>
            {user.clone().map(|user| {
                let sessions = load_sessions();
                view! { <div class="narrow"><Load data=sessions let(sessions)><Sessions user=user.clone() sessions may_end=true empty="You are signed in nowhere else."/></Load></div> }
            })}
            {user.map(|_| {
                let groups = load_my_groups();
                view! { <Load data=groups let(groups)><Groups groups/></Load> }
            })}
            {organizations}
            <ByMail/>
            <Card title="Password" class="narrow">
                <Form to=ChangePassword::PATH class="pad">
                    <Field name="current" label="Current password" kind="password" autocomplete="current-password"/>
                    <Field name="password" label="New password" kind="password" autocomplete="new-password" hint="At least 12 characters. Every other session of yours is signed out."/>
                    <Field name="again" label="New password again" kind="password" autocomplete="new-password"/>
                    <div class="row end"><Submit label="Change password"/></div>
                </Form>
            </Card>
        </Page>
    }
}

/// The groups somebody is in: what models and secrets come by.
#[component]
fn Groups(groups: Vec<MyGroup>) -> impl IntoView {
    let none = groups.is_empty();
    let items = groups
        .into_iter()
        .map(|MyGroup { id, path, lead, last_day, over }| {
            let until = last_day.map(|day| format!("You are in it until {}.", time::date(day)));
            let path = match lead {
                true => view! { <a href=format!("/groups/{id}")><b>{path}</b></a>" "<Badge text="you lead it"/> }.into_any(),
                false => view! { <b>{path}</b> }.into_any(),
            };
            let said = match over {
                Some(over) => view! { " "<Badge text="has ended" kind=Kind::Bad/><div class="sub"><OverLine over/></div> }.into_any(),
                None => until.map(|until| view! { <div class="sub">{until}</div> }).into_any(),
            };
            view! { <li>{path}{said}</li> }
        })
        .collect_view();
    view! {
        <Card title="My groups" class="narrow">
            {if none {
                view! { <Empty title="In no group" text="Models come through groups; ask an admin to add you to one."/> }.into_any()
            } else {
                view! { <ul class="list">{items}</ul> }.into_any()
            }}
        </Card>
    }
}

/// Organizations somebody belongs to, and the way to another one for whoever may make them.
#[component]
fn Organizations(me: Me) -> impl IntoView {
    let here = me.here.as_ref().map(|here| here.org);
    let shown = me.operator || me.organizations.len() > 1;
    let rows = me
        .organizations
        .into_iter()
        .map(|(id, name)| {
            let called = name.clone();
            let go = if Some(id) == here {
                view! { <Badge text="this one" kind=Kind::Good/> }.into_any()
            } else {
                view! {
                    <Form to="/console/accounts/enter" which=id.to_string() class="inline"><Hidden name="org" value=id.to_string()/><button class="link">"Go there"<span class="sr">{format!(": {name}")}</span></button></Form>
                }.into_any()
            };
            view! { <tr><td><b>{called}</b></td><td class="r">{go}</td></tr> }
        })
        .collect_view();
    let make = me.operator.then(|| view! {
        <div class="pad row between">
            <p class="muted">"You set this installation up: only you can make organizations. Nothing of one is seen in another."</p>
            <a class="btn" href="/welcome/organization">"New organization"</a>
        </div>
    });
    shown.then(|| view! {
        <Card title="Organizations" class="narrow">
            <table class="table"><thead class="sr"><tr><th>"Name"</th><th>"Actions"</th></tr></thead><tbody>{rows}</tbody></table>
            {make}
        </Card>
    })
}

/// Browsers that somebody is signed in with, and a way to end each.
#[component]
pub fn Sessions(
    /// Whose.
    user: String,
    /// The one that was seen last first.
    sessions: Vec<SessionRow>,
    /// Whether whoever looks may end them.
    may_end: bool,
    /// What it says when there is none.
    empty: &'static str,
) -> impl IntoView {
    let others = sessions.iter().any(|session| !session.here);
    let none = sessions.is_empty();
    let end_all = user.clone();
    let rows = sessions
        .into_iter()
        .map(|session| {
            let (id, named) = (session.id.to_string(), device(&session.device));
            let (user, label) = (user.clone(), format!("End the session of {named}"));
            let end = (may_end && !session.here).then(|| view! {
                <Form to=EndSession::PATH which=id.clone() class="inline">
                    <Hidden name="user" value=user.clone()/><Hidden name="session" value=id.clone()/>
                    <button class="link" aria-label=label>"End"</button>
                </Form>
            });
            view! {
                <tr>
                    <td><b title=session.device>{named}</b>{session.here.then(|| view! { " "<Badge text="this one" kind=Kind::Good/> })}</td>
                    <td class="hide"><When at=session.started_at/></td>
                    <td><Ago at=Some(session.seen_at)/></td>
                    <td class="r">{end}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="Signed in" note="a session ends by itself after seven days">
            {if none {
                view! { <Empty title="No session" text=empty/> }.into_any()
            } else {
                view! {
                    <table class="table">
                        <thead><tr><th>"With"</th><th class="hide">"Since"</th><th>"Last seen"</th><th><span class="sr">"Actions"</span></th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                }.into_any()
            }}
            {(may_end && others).then(|| view! {
                <Form to=EndSession::PATH which="all" class="pad">
                    <Hidden name="user" value=end_all.clone()/>
                    <div class="row end"><Submit label="End every other session" look=""/></div>
                </Form>
            })}
        </Card>
    }
}
