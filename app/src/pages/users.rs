//! People.

use domain::{
    limits::Scope,
    notices::Sending,
    roles::Act,
    users::{Role, UserStatus},
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{calls::CallTable, capital, choices, limits::LimitCard, param, requests::Grants};
use crate::{
    api::{
        groups::{AddMember, RemoveMember},
        users::{EditUser, InviteUser, Invited, SuspendUser, UserView, load_user},
    },
    ui::{
        Ago, Badge, Card, Confirm, Dialog, Empty, Field, Form, Head, Hidden, Kind, Load, Meter, OpenDialog,
        Page, Select, Submit, When, badge::StatusMark, context::now, may,
    },
};

/// Roles as the choices of a select.
pub fn roles() -> Vec<(String, String)> {
    choices(Role::ALL, |role| capital(role.as_str()))
}

/// A person.
#[component]
pub fn UserPage() -> impl IntoView {
    let id = param("id");
    let user = load_user(id);
    view! { <Page title="User"><Load data=user let(view)><Content view/></Load></Page> }
}

/// An invitation that was not accepted yet: until when it can be, and whether it arrived.
#[component]
fn InvitationLine(invitation: Invited) -> impl IntoView {
    let over = invitation.until <= now();
    let failed = invitation.mail.as_ref().is_some_and(|(state, ..)| *state == Sending::Failed);
    let mail = invitation.mail.map(|(state, at, error)| match (state, error) {
        (Sending::Sent, _) => view! { " Sent by mail "<Ago at=Some(at)/>"." }.into_any(),
        (Sending::Due, None) => view! { " The mail is on its way." }.into_any(),
        (Sending::Due, Some(error)) => {
            view! { {format!(" The mail could not be sent yet and is tried again: {error}")} }.into_any()
        }
        (Sending::Failed, error) => {
            view! { {format!(" The mail was not sent: {}", error.unwrap_or_default())} }.into_any()
        }
    });
    view! {
        <p class=if over || failed { "banner warn" } else { "banner" } role="status">
            {if over { "The invitation ran out " } else { "Invited. The link works until " }}<When at=invitation.until/>"."{mail}
        </p>
    }
}

#[component]
fn Content(view: UserView) -> impl IntoView {
    let UserView { user, default_limit, limits, calls, requests, groups, invitation, mail } = view;
    let edit = may(Act::EditUsers);
    let suspended = user.status == UserStatus::Suspended;
    let id = user.id;
    let limit = user.limit(default_limit);
    let badges = user.groups.iter().filter(|badge| !badge.inherited).map(|badge| {
        let group = badge.group.to_string();
        view! {
            <li class="row between">
                <span>
                    <Badge text=badge.name.clone() href=format!("/groups/{group}")/>
                    {(badge.standing == domain::groups::Standing::Lead).then(|| view! { " "<Badge text="lead" kind=Kind::Good/> })}
                </span>
                {edit.then(|| view! {
                    <Form to=RemoveMember::PATH which=group.clone() class="inline">
                        <Hidden name="group" value=group.clone()/><Hidden name="user" value=id.to_string()/>
                        <button class="link">"Remove"</button>
                    </Form>
                })}
            </li>
        }
    }).collect_view();
    let level = domain::limits::Level { settled: user.spend.0, held: user.held.0 };
    let spent = match limit {
        Some(limit) => view! {
            <div class="big num">{user.spend.to_string()}<small>{format!(" of {limit}{}", if user.own_limit.is_none() { " (default)" } else { "" })}</small></div>
            <Meter level cap=limit.0 text=format!("{} of {limit} this month", user.spend)/>
        }.into_any(),
        None => view! { <div class="big num">{user.spend.to_string()}</div><p class="under">"No monthly limit"</p> }.into_any(),
    };
    let edited = user.clone();
    let email = user.email.clone();
    let consequence = "Every secret of theirs stops working with the next call, and they are signed out everywhere. Their spend stays on the books. You can let them in again.";
    view! {
        <Head title=user.name.clone() note=user.email.clone() crumbs=vec![("/users".to_owned(), "Users".to_owned())]>
            <a class="btn" href=format!("/spend/{id}")>"Spend"</a>
            {(edit && user.status == UserStatus::Invited).then(|| view! { <OpenDialog name="invite" label="Invite again"/> })}
            {edit.then(|| view! { <OpenDialog name="edit" label="Edit"/> })}
            {edit.then(|| if suspended {
                view! {
                    <Form to=SuspendUser::PATH class="inline"><Hidden name="id" value=id.to_string()/><Hidden name="suspended" value="false"/><Submit label="Let in again" look=""/></Form>
                }.into_any()
            } else {
                view! { <OpenDialog name="suspend" label="Suspend"/> }.into_any()
            })}
        </Head>
        {invitation.map(|invitation| view! { <InvitationLine invitation/> })}
        <section class="facts three">
            <div><h2>"This month, anywhere"</h2>{spent}</div>
            <div><h2>"Role"</h2><div class="big">{capital(user.role.as_str())}</div><p class="under">"Roles govern the console, never models"</p></div>
            <div><h2>"Activity"</h2><div class="big"><StatusMark status=user.status/></div><p class="under">"Last call: "<Ago at=user.last_call/></p></div>
        </section>
        <div class="two">
            <Card title="Groups" actions=ViewFn::from(move || view! { {edit.then(|| view! { <OpenDialog name="join" label="Add to a group" look="btn small"/> })} })>
                {if user.groups.is_empty() {
                    view! { <Empty title="In no group" text="Models come through groups: without one there is nothing this person can use."/> }.into_any()
                } else {
                    view! { <ul class="list">{badges}</ul> }.into_any()
                }}
            </Card>
            <LimitCard scope=Scope::User(user.id) limits may_set=may(Act::LoosenLimits) may_remove=may(Act::LoosenLimits)/>
        </div>
        <Grants requests empty="What this person asked for, and what was agreed to until when, stands here."/>
        <Card title="Last calls"><CallTable calls/></Card>
        <Dialog name="edit" title="Edit the user">
            <Form to=EditUser::PATH>
                <Hidden name="id" value=edited.id.to_string()/>
                <Hidden name="version" value=edited.version.to_string()/>
                <Field name="name" label="Name" value=edited.name.clone()/>
                <Field name="email" label="Email" kind="email" value=edited.email.clone()/>
                <Select name="role" label="Role" options=roles() value=edited.role.to_string() hint="Roles govern the console. They never open a model."/>
                <div class="row end"><Submit label="Save"/></div>
            </Form>
        </Dialog>
        <Dialog name="join" title="Add to a group">
            <Form to=AddMember::PATH>
                <Hidden name="user" value=edited.id.to_string()/>
                <Select name="group" label="Group" options=groups.clone()/>
                <Field name="ends_on" label="Last day" kind="date" optional=true hint="Empty: until somebody takes them out."/>
                <div class="row end"><Submit label="Add"/></div>
            </Form>
        </Dialog>
        <Dialog name="invite" title="Invite again">
            <Form to=InviteUser::PATH>
                <p>{if mail { format!("Sends a new link to {}; the one before stops working.", email) } else { "Makes a new link; the one before stops working.".to_owned() }}</p>
                <Hidden name="id" value=edited.id.to_string()/>
                <div class="row end"><Submit label=if mail { "Send a new link" } else { "Make a new link" }/></div>
            </Form>
        </Dialog>
        <Confirm
            name="suspend" title=format!("Suspend {}?", user.name) consequence to=SuspendUser::PATH label="Suspend"
            fields=vec![("id", user.id.to_string()), ("suspended", "true".to_owned())]
        />
    }
}
