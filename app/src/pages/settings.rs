//! The organization's settings.

use chrono::NaiveDate;
use domain::{
    money::grouped,
    organizations::{BudgetStatus, Organization, WeekStart, Weight},
    roles::Act,
    time,
    users::Role,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{
    capital, choices,
    heirs::{FindHeir, nobody_yet},
    leases::HoldersCard,
    requests::ApprovalRuleCard,
};
use crate::{
    api::{
        groups::SetDefaultGroup,
        organizations::{
            DeleteOrganization, EditOrganization, HandOverOrganization, SetMembersMay, SettingsView,
            load_settings,
        },
    },
    ui::{
        AtOnce, Card, Check, Dialog, Empty, Field, Form, Head, Hidden, Load, OpenDialog, Page, PickGroup,
        Select, Submit, may, query,
    },
};

/// Name, time, defaults, answers, members, owner, end.
#[component]
pub fn SettingsPage() -> impl IntoView {
    let settings = load_settings(query::value("find"));
    view! {
        <Page title="Settings">
            <Load data=settings let(view)>
                <Head title="Settings"><a class="btn" href="/roles">"Who may do what"</a></Head>
                <Content view/>
            </Load>
        </Page>
    }
}

#[component]
fn Content(view: SettingsView) -> impl IntoView {
    let SettingsView { organization, defaults, defaults_over, groups, heirs, weight } = view;
    let edit = may(Act::EditOrganization);
    let name = organization.name.clone();
    view! {
        <div class="settings">
            <div>
                {if edit {
                    view! { <Edit organization=organization.clone()/> }.into_any()
                } else {
                    view! { <Shown organization=organization.clone()/> }.into_any()
                }}
            </div>
            <div>
                <Defaults defaults over=defaults_over groups edit/>
                <Members organization edit/>
                <HoldersCard/>
                {weight.map(|weight| view! { <Danger weight name heirs/> })}
            </div>
        </div>
    }
}

fn status_text(status: BudgetStatus) -> String {
    match status {
        BudgetStatus::PaymentRequired => "402 Payment Required (never retried)".to_owned(),
        BudgetStatus::TooManyRequests => "429 Too Many Requests".to_owned(),
        BudgetStatus::Forbidden => "403 Forbidden".to_owned(),
    }
}

#[component]
fn Edit(organization: Organization) -> impl IntoView {
    let limit = organization.default_user_limit.map(|limit| limit.exact()).unwrap_or_default();
    let statuses = choices(BudgetStatus::ALL, status_text);
    view! {
        <Card title="Organization">
            <Form to=EditOrganization::PATH class="pad">
                <Hidden name="version" value=organization.version.to_string()/>
                <Field name="name" label="Name" value=organization.name/>
                <Field name="time_zone" label="Time zone" value=organization.time_zone hint="Days, weeks and months begin at midnight there. It stays once calls are in the books."/>
                <Select name="week_start" label="The week starts on" options=choices(WeekStart::ALL, |day| capital(day.as_str())) value=organization.week_start.to_string()/>
                <Field name="default_user_limit" label="Monthly limit of each person, in US dollars" value=limit inputmode="decimal" optional=true hint="For everybody without a limit of their own. Empty: no limit."/>
                <Select name="budget_status" label="A spent budget is answered with" options=statuses value=organization.budget_status.to_string() hint="Change this only for clients that cannot take a 402."/>
                <Field name="contact" label="Whom refused callers should ask" value=organization.contact.unwrap_or_default() optional=true hint="Named in refusals when no lead of a group is nearer."/>
                <div class="row end"><Submit label="Save"/></div>
            </Form>
        </Card>
        <ApprovalRuleCard/>
    }
}

/// The same for those who only read.
#[component]
fn Shown(organization: Organization) -> impl IntoView {
    let limit = organization.default_user_limit.map_or_else(|| "None".to_owned(), |limit| limit.in_full());
    view! {
        <Card title="Organization" note="admins and owners can change it">
            <dl class="facts-list">
                <dt>"Name"</dt><dd>{organization.name}</dd>
                <dt>"Time zone"</dt><dd>{organization.time_zone}</dd>
                <dt>"The week starts on"</dt><dd>{capital(organization.week_start.as_str())}</dd>
                <dt>"Monthly limit of each person"</dt><dd class="num">{limit}</dd>
                <dt>"A spent budget is answered with"</dt><dd>{status_text(organization.budget_status)}</dd>
                <dt>"Whom refused callers should ask"</dt><dd>{organization.contact.unwrap_or_else(|| "Nobody in particular".to_owned())}</dd>
            </dl>
        </Card>
    }
}

/// The groups that everybody new joins. `over`: those that have ended, with their last day.
#[component]
fn Defaults(
    defaults: Vec<(String, String)>,
    over: Vec<(String, String, NaiveDate)>,
    groups: Vec<(String, String)>,
    edit: bool,
) -> impl IntoView {
    let none = defaults.is_empty() && over.is_empty();
    let open = defaults.into_iter().map(|(id, path)| (id, path, None));
    let rows = open
        .chain(over.into_iter().map(|(id, path, day)| (id, path, Some(day))))
        .map(|(id, path, ended_on)| {
            let ended = ended_on.map(|day| view! {
                <div class="sub">{format!("Ended on {}: nobody is put into it. With a later last day it takes new people in again.", time::date(day))}</div>
            });
            view! {
                <li class="row between">
                    <div><a href=format!("/groups/{id}")>{path.clone()}</a>{ended}</div>
                    {edit.then(|| view! {
                        <Form to=SetDefaultGroup::PATH which=id.clone() class="inline" at_once=AtOnce::Gone>
                            <Hidden name="id" value=id.clone()/><Hidden name="was" value="true"/><Hidden name="default" value="false"/>
                            <button class="link" aria-label=format!("Stop new people from joining {path}")>"Leave out"</button>
                        </Form>
                    })}
                </li>
            }
        })
        .collect_view();
    view! {
        <Card title="Default groups" note="everybody new joins them">
            {if none {
                view! { <Empty title="None" text="Who is invited, created or imported is in no group until somebody puts them into one."/> }.into_any()
            } else {
                view! { <ul class="list" id="default-groups">{rows}</ul> }.into_any()
            }}
            {(edit && !groups.is_empty()).then(|| view! {
                <Form to=SetDefaultGroup::PATH which="add" class="pad" at_once=AtOnce::Listed("default-groups")>
                    <Hidden name="was" value="false"/>
                    <Hidden name="default" value="true"/>
                    <PickGroup name="id" label="Another group" groups=groups.clone() hint="From now on. Who is here already stays where they are."/>
                    <div class="row end"><Submit label="Let new people join it" look=""/></div>
                </Form>
            })}
        </Card>
    }
}

/// What members may do without asking anybody.
#[component]
fn Members(organization: Organization, edit: bool) -> impl IntoView {
    let may = organization.members;
    if !edit {
        let word = |yes: bool| if yes { "Yes" } else { "No" };
        return view! {
            <Card title="What members may do by themselves">
                <dl class="facts-list">
                    <dt>"Open a private context"</dt><dd>{word(may.applications)}</dd>
                    <dt>"Ask for models"</dt><dd>{word(may.requests)}</dd>
                </dl>
            </Card>
        }
        .into_any();
    }
    view! {
        <Card title="What members may do by themselves">
            <Form to=SetMembersMay::PATH class="pad">
                <Hidden name="version" value=organization.version.to_string()/>
                <Check name="applications" label="Open a private context" checked=may.applications hint="One for each group they are in, with a secret of their own. Off: those that are there go on."/>
                <Check name="requests" label="Ask for models" checked=may.requests hint="Off: leads still ask for their whole group. What waits for an answer can still be answered."/>
                <div class="row end"><Submit label="Set for members"/></div>
            </Form>
        </Card>
    }
    .into_any()
}

/// Handing the organization over, and its end.
#[component]
fn Danger(weight: Weight, name: String, heirs: Vec<(String, String)>) -> impl IntoView {
    let roles = choices(&[Role::Admin, Role::Auditor, Role::Member, Role::Owner], |role| match role {
        Role::Owner => "Owner, too".to_owned(),
        role => capital(role.as_str()),
    });
    let number = |count: i64| grouped(count.unsigned_abs());
    let typed = format!("Type {name} to confirm");
    view! {
        <Card title="Danger zone" note="owners only" class="settings-danger">
            <ul class="list">
                <li class="row between"><span><b>"Hand the organization over"</b><span class="sub">"Somebody else becomes its owner."</span></span><OpenDialog name="hand-over" label="Hand over"/></li>
                <li class="row between"><span><b>"Delete the organization"</b><span class="sub">"With everything in it, for good."</span></span><OpenDialog name="delete" label="Delete" look="btn danger"/></li>
            </ul>
        </Card>
        <Dialog name="hand-over" title="Hand the organization over">
            <FindHeir page="/settings" dialog="hand-over"/>
            <Form to=HandOverOrganization::PATH>
                <Select name="user" label="Its next owner" options=nobody_yet(heirs.clone()) hint="Somebody who has accepted their invitation. Not listed? Look for them above."/>
                <Select name="then" label="What you are from then on" options=roles.clone() value="admin"/>
                <Field name="typed" label=typed.clone() hint="What is yours alone as an owner you cannot take back yourself."/>
                <div class="row end"><Submit label="Hand over" look="danger"/></div>
            </Form>
        </Dialog>
        <Dialog name="delete" title=format!("Delete {name}?")>
            <p>"This goes, and nothing of it comes back: not the ledger, not the log of changes. Every secret stops with the next call."</p>
            <dl class="facts-list">
                <dt>"People"</dt><dd class="num">{number(weight.users)}</dd>
                <dt>"Groups"</dt><dd class="num">{number(weight.groups)}</dd>
                <dt>"Applications and their keys"</dt><dd class="num">{number(weight.applications)}</dd>
                <dt>"Secrets that live"</dt><dd class="num">{number(weight.secrets)}</dd>
                <dt>"Models"</dt><dd class="num">{number(weight.models)}</dd>
                <dt>"Calls in the ledger"</dt><dd class="num">{format!("{}, {}", number(weight.calls), weight.spend)}</dd>
                <dt>"Changes in the log"</dt><dd class="num">{number(weight.changes)}</dd>
            </dl>
            <Form to=DeleteOrganization::PATH>
                <Field name="typed" label=format!("Type {name} to confirm")/>
                <div class="row end"><Submit label="Delete it for good" look="danger"/></div>
            </Form>
        </Dialog>
    }
}
