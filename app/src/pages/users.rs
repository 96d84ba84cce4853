//! People.

use domain::{
    limits::Scope,
    roles::Act,
    time,
    users::{Role, UserRow, UserStatus},
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{calls::CallTable, capital, choices, limits::LimitCard, param};
use crate::{
    api::{
        groups::{AddMember, RemoveMember},
        users::{CreateUser, Directory, EditUser, InviteUser, SuspendUser, UserView, load_user, load_users},
    },
    ui::{
        Ago, Badge, Card, Confirm, Dialog, Empty, Field, Form, Head, Hidden, Kind, Load, Meter, OpenDialog,
        Page, Pager, Select, Submit, badge::StatusMark, context::frame, may, query,
    },
};

fn roles() -> Vec<(String, String)> {
    choices(Role::ALL, |role| capital(role.as_str()))
}

/// Everybody.
#[component]
pub fn UsersPage() -> impl IntoView {
    let (search, after) = (query::value("q"), query::value("after"));
    let users = load_users(search.clone(), after);
    view! {
        <Page title="Users">
            <Load data=users let(directory)><DirectoryView directory search/></Load>
        </Page>
    }
}

#[component]
fn DirectoryView(directory: Directory, search: String) -> impl IntoView {
    let Directory { users, all, matching, default_limit, next } = directory;
    let edit = may(Act::EditUsers);
    let searched = !search.is_empty();
    let rows = users.iter().map(|user| view! { <Line user=user.clone() default_limit/> }).collect_view();
    view! {
        <Head title="Users" note=all.to_string()>
            {edit.then(|| view! { <OpenDialog name="invite" label="Invite" look="btn go"/> })}
        </Head>
        <form method="get" action="/users" class="filters row" role="search">
            <input type="search" name="q" value=search class="find" placeholder="Name or email" aria-label="Name or email"/>
            <button class="btn">"Search"</button>
            {searched.then(|| view! { <span class="muted num">{format!("{matching} of {all}")}</span><a class="link" href="/users">"Show all"</a> })}
        </form>
        <Card>
            {if users.is_empty() {
                view! { <Empty title="Nobody matches" text="Look for another name or address, or show everybody."/> }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Users">
                        <table class="table">
                            <thead><tr>
                                <th aria-sort="ascending">"Name"</th><th class="hide">"Role"</th><th class="hide">"Groups"</th><th class="r">"Month"</th>
                                <th class="r hide">"Limit"</th><th class="hide">"Used"</th><th>"Activity"</th>
                            </tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
        <Pager next/>
        <Dialog name="invite" title="Invite somebody">
            <Form to=CreateUser::PATH>
                <Field name="name" label="Name"/>
                <Field name="email" label="Email" kind="email"/>
                <Select name="role" label="Role" options=roles() value="member" hint="Roles govern the console. They never open a model."/>
                <div class="row end"><Submit label="Invite"/></div>
            </Form>
        </Dialog>
    }
}

#[component]
fn Line(user: UserRow, default_limit: Option<domain::money::Money>) -> impl IntoView {
    let limit = user.limit(default_limit);
    let groups = user.groups.iter().take(4).map(|badge| {
        let text = match badge.ends_at {
            Some(end) => format!("{} · until {}", badge.name, time::day(frame().zone.local(end).date())),
            None => badge.name.clone(),
        };
        view! { <Badge text kind=if badge.inherited { Kind::Inherited } else { Kind::Plain } href=format!("/groups/{}", badge.group)/>" " }
    }).collect_view();
    let more = user.groups.len().saturating_sub(4);
    let none = user.groups.is_empty();
    let level = domain::limits::Level { settled: user.spend.0, held: user.held.0 };
    view! {
        <tr>
            <td><a href=format!("/users/{}", user.id)><b>{user.name}</b></a><div class="sub">{user.email}</div></td>
            <td class="hide">{capital(user.role.as_str())}</td>
            <td class="hide">{groups}{(more > 0).then(|| view! { <span class="muted">{format!("+{more}")}</span> })}{none.then(|| view! { <span class="muted">"none"</span> })}</td>
            <td class="r num">{user.spend.to_string()}</td>
            <td class="r num hide">{match (user.own_limit, limit) {
                (Some(own), _) => view! { {own.to_string()} }.into_any(),
                (None, Some(default)) => view! { <span class="muted nw">{format!("{default} default")}</span> }.into_any(),
                (None, None) => view! { <span class="muted">"no limit"</span> }.into_any(),
            }}</td>
            <td class="meter-cell hide">{limit.map(|limit| view! { <Meter level cap=limit.0 text=format!("{} of {limit} this month", user.spend) small=true/> })}</td>
            <td class="nw">
                <StatusMark status=user.status/>
                <div class="sub">{match user.status {
                    UserStatus::Invited => view! { <Ago at=user.invited_at/> }.into_any(),
                    _ => view! { <Ago at=user.last_call never="never called"/> }.into_any(),
                }}</div>
            </td>
        </tr>
    }
}

/// A person.
#[component]
pub fn UserPage() -> impl IntoView {
    let id = param("id");
    let user = load_user(id);
    view! { <Page title="User"><Load data=user let(view)><Content view/></Load></Page> }
}

#[component]
fn Content(view: UserView) -> impl IntoView {
    let UserView { user, default_limit, limits, calls, groups } = view;
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
                <p>"Makes a new link; the one before stops working."</p>
                <Hidden name="id" value=edited.id.to_string()/>
                <div class="row end"><Submit label="Make a new link"/></div>
            </Form>
        </Dialog>
        <Confirm
            name="suspend" title=format!("Suspend {}?", user.name) consequence to=SuspendUser::PATH label="Suspend"
            fields=vec![("id", user.id.to_string()), ("suspended", "true".to_owned())]
        />
    }
}
