//! People.

use domain::{
    groups::{Source, seen_as},
    ids::UserId,
    limits::Scope,
    notices::Sending,
    receipts::{Charge, Handed},
    roles::Act,
    users::{Role, UsedApplication, UserStatus},
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{
    account::Sessions,
    audit::Changes,
    calls::LastCalls,
    capital, choices,
    grants::Grants,
    heirs::FindHeir,
    limits::LimitCard,
    members::{self, TakeOut, last_day},
    param,
    spend::chart_of,
};
use crate::{
    api::{
        groups::{AddMember, EditMember, RemoveMember},
        users::{
            EditUser, Gone, InviteUser, Invited, Person, RemoveUser, Slip, SuspendUser, UserView, load_user,
        },
    },
    filters::Filters,
    ui::{
        Ago, AtOnce, Badge, Card, Check, Dialog, Empty, Field, Form, Head, Hidden, Kind, Load, Meter,
        OpenDialog, Page, PickGroup, Select, Submit, When,
        badge::StatusMark,
        chart::{Chart, ChartView, Legend},
        context::{frame, now},
        may, query,
    },
};

/// Whether whoever looks may give and take a role, and change those who hold it.
pub fn may_give(role: Role) -> bool {
    !matches!(role, Role::Owner | Role::Admin) || may(Act::EditRoles)
}

/// The roles that whoever looks may give, as the choices of a select.
pub fn roles() -> Vec<(String, String)> {
    let given: Vec<Role> = Role::ALL.iter().copied().filter(|role| may_give(*role)).collect();
    choices(&given, |role| capital(role.as_str()))
}

/// What somebody's role can be made by whoever looks: only itself, where they may not take it.
fn roles_from(role: Role) -> Vec<(String, String)> {
    if may_give(role) { roles() } else { choices(&[role], |role| capital(role.as_str())) }
}

/// Whether whoever looks may change this person: by their role, or because it is themself.
pub fn may_change(id: UserId, role: Role) -> bool {
    may(Act::EditUsers) && (may_give(role) || frame().here().is_some_and(|here| here.user == id))
}

/// Where a membership comes from, in words.
pub fn source(source: Source) -> &'static str {
    match source {
        Source::Manual => "put there by somebody",
        Source::Default => "default group",
        Source::Scim => "by the identity provider",
        Source::Oidc => "by the identity provider, at sign-in",
    }
}

/// A person.
#[component]
pub fn UserPage() -> impl IntoView {
    let id = param("id");
    let user = load_user(id, query::value("find"));
    view! {
        <Page title="User" live=true>
            <Load data=user let(person)>{match person {
                Person::Here(view) => view! { <Content view=*view/> }.into_any(),
                Person::Gone(gone) => view! { <Left gone/> }.into_any(),
            }}</Load>
        </Page>
    }
}

/// Somebody who left: their name, and what was written down about it.
#[component]
fn Left(gone: Gone) -> impl IntoView {
    let Gone { name, email, receipts } = gone;
    view! {
        <Head title=name note=email crumbs=vec![("/users".to_owned(), "Users".to_owned())]/>
        <p class="banner">"They left the organization. Their name and their spend stay on the books; to come back they are invited anew."</p>
        <Receipts receipts/>
    }
}

/// What was written down when somebody was suspended or removed.
#[component]
fn Receipts(receipts: Vec<Slip>) -> impl IntoView {
    if receipts.is_empty() {
        return ().into_any();
    }
    let rows = receipts
        .into_iter()
        .map(|(id, kind, at)| view! { <li class="row between"><a href=format!("/receipts/{id}")>{capital(kind.as_str())}</a><When at/></li> })
        .collect_view();
    view! { <Card title="Receipts" note="what ended, when, and who took over"><ul class="list">{rows}</ul></Card> }.into_any()
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
    let UserView {
        user,
        default_limit,
        limits,
        above,
        calls,
        requests,
        groups,
        charges,
        heirs,
        receipts,
        invitation,
        mail,
        sessions,
        days,
        spent,
        applications,
        changes,
    } = view;
    let filters = Filters { user: user.id.to_string(), ..Filters::default() };
    let brush = Some(filters.href("/explore", &[("measure", "calls"), ("by", "model")]));
    let chart = Chart { brush, ..chart_of(&days, "Calls by day".to_owned(), &filters) };
    let (legend, sentence, called) = (chart.series.clone(), chart.sentence.clone(), !days.rows.is_empty());
    let brush = Some(filters.href("/explore", &[("measure", "spend"), ("by", "model")]));
    let trend = Chart { brush, ..chart_of(&spent, "Spend by day".to_owned(), &filters) };
    let trend_sentence = trend.sentence.clone();
    let trend_legend = trend.series.clone();
    let edit = may(Act::EditUsers);
    // What only an owner may do to them is not offered to others.
    let (over, changes_them) = (edit && may_give(user.role), may_change(user.id, user.role));
    let suspended = user.status == UserStatus::Suspended;
    let id = user.id;
    // Somebody else has to suspend one.
    let suspends = over && !suspended && crate::ui::context::frame().here().map(|here| here.user) != Some(id);
    let limit = user.limit(default_limit);
    let said_limit = limit.map(domain::money::Money::in_full).unwrap_or_default();
    let badges = user.groups.iter().filter(|badge| !badge.inherited).map(|badge| {
        let (group, was) = (badge.group.to_string(), seen_as(badge.standing, badge.ends_at));
        view! {
            <li class="row between">
                <span>
                    <Badge text=badge.name.clone() href=format!("/groups/{group}")/>
                    {(badge.standing == domain::groups::Standing::Lead).then(|| view! { " "<Badge text="lead" kind=Kind::Good/> })}
                    {badge.ended_on.map(|day| view! { " "<Badge text=format!("ended {}", domain::time::date(day)) kind=Kind::Bad/> })}
                    {(badge.source != Source::Manual).then(|| view! { " "<span class="muted">{source(badge.source)}</span> })}
                    {last_day(badge.ends_at).map(|day| view! { " "<span class="muted">{format!("through {}", domain::time::date(day))}</span> })}
                </span>
                {edit.then(|| view! {
                    <span class="row">
                    {by_hand(badge.source).then(|| view! { <OpenDialog name=format!("membership-{group}") label="Change" look="link"/> })}
                    <Form to=RemoveMember::PATH which=group.clone() class="inline" asks_on=members::asks_on(&group) at_once=AtOnce::Gone>
                        <Hidden name="group" value=group.clone()/><Hidden name="user" value=id.to_string()/>
                        <Hidden name="was" value=was.clone()/>
                        <button class="link">"Remove"</button>
                    </Form>
                    </span>
                })}
            </li>
        }
    }).collect_view();
    let memberships = user
        .groups
        .iter()
        .filter(|badge| edit && !badge.inherited && by_hand(badge.source))
        .map(|badge| view! { <Membership badge=badge.clone() user=id.to_string() who=user.name.clone()/> })
        .collect_view();
    let leaves = user
        .groups
        .iter()
        .filter(|badge| edit && !badge.inherited)
        .map(|badge| {
            let group = badge.group.to_string();
            let was = seen_as(badge.standing, badge.ends_at);
            view! { <TakeOut name=members::take_out(&group) which=group.clone() group=group.clone() of=badge.name.clone() user=id.to_string() who=user.name.clone() was/> }
        })
        .collect_view();
    let level = domain::limits::Level { settled: user.spend.0, held: user.held.0 };
    let spent = match limit {
        Some(limit) => view! {
            <div class="big num">{user.spend.to_string()}<small>{format!(" of {said_limit}{}", if user.own_limit.is_none() { " (default)" } else { "" })}</small></div>
            <Meter level cap=limit.0 text=format!("{} of {said_limit} this month", user.spend)/>
        }.into_any(),
        None => view! { <div class="big num">{user.spend.to_string()}</div><p class="under">"No monthly limit"</p> }.into_any(),
    };
    let carried: Vec<String> =
        applications.iter().filter(|app| app.secret.is_some()).map(|app| app.name.clone()).collect();
    let edited = user.clone();
    let email = user.email.clone();
    view! {
        <Head title=user.name.clone() note=user.email.clone() crumbs=vec![("/users".to_owned(), "Users".to_owned())]>
            <a class="btn" href=format!("/spend/{id}")>"Spend"</a>
            {(over && user.status == UserStatus::Invited).then(|| view! { <OpenDialog name="invite" label="Invite again"/> })}
            {changes_them.then(|| view! { <OpenDialog name="edit" label="Edit"/> })}
            {(over && suspended).then(|| {
                view! {
                    <Form to=SuspendUser::PATH class="inline" at_once=AtOnce::Turned("Let in")><Hidden name="id" value=id.to_string()/><Hidden name="suspended" value="false"/><Submit label="Let in again" look=""/></Form>
                }
            })}
            {suspends.then(|| view! { <OpenDialog name="suspend" label="Suspend"/> })}
            {over.then(|| view! { <OpenDialog name="remove" label="Remove"/> })}
        </Head>
        {(edit && !over && !changes_them).then(|| view! {
            <p class="banner">{format!("Only an owner edits, invites, suspends or removes somebody who is {}.", user.role)}</p>
        })}
        {invitation.map(|invitation| view! { <InvitationLine invitation/> })}
        <section class="facts three">
            <div><h2>"This month, anywhere"</h2>{spent}</div>
            <div><h2>"Role"</h2><div class="big">{capital(user.role.as_str())}</div><p class="under"><a href="/roles">"Roles govern the console, never models"</a></p></div>
            <div><h2>"Activity"</h2><div class="big"><StatusMark status=user.status/></div><p class="under">"Last call: "<Ago at=user.last_call/></p></div>
        </section>
        <div class="two">
            <Card title="Groups" actions=ViewFn::from(move || view! { {edit.then(|| view! { <OpenDialog name="join" label="Add to a group" look="btn small"/> })} })>
                {if user.groups.is_empty() {
                    view! { <Empty title="In no group" text="Models come through groups: without one there is nothing this person can use."/> }.into_any()
                } else {
                    view! { <ul class="list" id="their-groups">{badges}</ul> }.into_any()
                }}
            </Card>
            <LimitCard scope=Scope::User(user.id) limits above may_set=may(Act::LoosenLimits) may_remove=may(Act::LoosenLimits)/>
        </div>
        <Applications applications/>
        <Grants requests empty="What this person asked for, and what was agreed to until when, stands here."/>
        <Receipts receipts/>
        <Card title="Spend by day" note="the last 30 days, by model" actions=ViewFn::from(move || view! { <Legend series=trend_legend.clone()/> })>
            {if called {
                view! { <ChartView chart=trend/><p class="note-line">{trend_sentence}</p> }.into_any()
            } else {
                view! { <Empty title="Nothing spent in 30 days" text="A day appears here as soon as one of their secrets calls."/> }.into_any()
            }}
        </Card>
        <Card title="Calls by day" note="the last 30 days, by model" actions=ViewFn::from(move || view! { <Legend series=legend.clone()/> })>
            {if called {
                view! { <ChartView chart/><p class="note-line">{sentence}</p> }.into_any()
            } else {
                view! { <Empty title="No calls in 30 days" text="A day appears here as soon as one of their secrets calls."/> }.into_any()
            }}
        </Card>
        <LastCalls title="Last calls" calls/>
        {may(Act::ReadAudit).then(|| view! {
            <Card title="Changes about them" actions=ViewFn::from(move || view! { <a class="btn small" href=format!("/audit?subject={}", id.0)>"All of them"</a> })>
                {if changes.is_empty() {
                    view! { <Empty title="No changes" text="What is changed about this person is written here as it is made."/> }.into_any()
                } else {
                    view! { <Changes rows=changes.clone()/> }.into_any()
                }}
            </Card>
        })}
        <Sessions user=id.to_string() sessions may_end=changes_them empty="Nobody is signed in as this person."/>
        {suspends.then(|| view! { <Suspend id=id.to_string() version=user.version name=user.name.clone() carried charges=charges.clone() heirs=heirs.clone()/> })}
        {over.then(|| view! { <Remove id=id.to_string() version=user.version name=user.name.clone() charges heirs/> })}
        {memberships}
        {leaves}
        <Dialog name="edit" title="Edit the user" when=changes_them>
            <Form to=EditUser::PATH>
                <Hidden name="id" value=edited.id.to_string()/>
                <Hidden name="version" value=edited.version.to_string()/>
                <Field name="name" label="Name" value=edited.name.clone()/>
                <Field name="email" label="Email" kind="email" value=edited.email.clone() hint="Whoever has joined still signs in with the address they joined with."/>
                <Select name="role" label="Role" options=roles_from(edited.role) value=edited.role.to_string() hint="Roles govern the console. They never open a model."/>
                <div class="row end"><Submit label="Save"/></div>
            </Form>
        </Dialog>
        <Dialog name="join" title="Add to a group" when=edit>
            <Form to=AddMember::PATH at_once=AtOnce::Listed("their-groups")>
                <Hidden name="user" value=edited.id.to_string()/>
                <PickGroup name="group" label="Group" groups=groups.clone()/>
                <Field name="ends_on" label="Last day" kind="date" optional=true hint="Empty: until somebody takes them out."/>
                <div class="row end"><Submit label="Add"/></div>
            </Form>
        </Dialog>
        <Dialog name="invite" title="Invite again" when=over>
            <Form to=InviteUser::PATH>
                <p>{if mail { format!("Sends a new link to {}; the one before stops working.", email) } else { "Makes a new link; the one before stops working.".to_owned() }}</p>
                <Hidden name="id" value=edited.id.to_string()/>
                <div class="row end"><Submit label=if mail { "Send a new link" } else { "Make a new link" }/></div>
            </Form>
        </Dialog>
    }
}

/// Whether people change a membership: what an identity provider put there is its own.
const fn by_hand(source: Source) -> bool {
    matches!(source, Source::Manual | Source::Default)
}

/// What they are in a group, and until when.
#[component]
fn Membership(badge: domain::users::Badge, user: String, who: String) -> impl IntoView {
    let group = badge.group.to_string();
    let was = seen_as(badge.standing, badge.ends_at);
    let day = last_day(badge.ends_at).map(|day| day.to_string()).unwrap_or_default();
    let lead = badge.standing == domain::groups::Standing::Lead;
    view! {
        <Dialog name=format!("membership-{group}") title=format!("{who} in {}", badge.name)>
            <Form to=EditMember::PATH which=group.clone()>
                <Hidden name="group" value=group.clone()/><Hidden name="user" value=user/>
                <Hidden name="was" value=was/><Hidden name="next" value="user"/>
                <Check name="lead" label="They lead this group" checked=lead hint="Manages people, applications and limits here and below."/>
                <Field name="ends_on" label="Last day" kind="date" value=day optional=true hint="The membership ends by itself after this day. Empty: it goes on until somebody takes them out."/>
                <div class="row end"><Submit label="Save"/></div>
            </Form>
        </Dialog>
    }
}

/// What they answer for and call for, and their secrets of it.
#[component]
fn Applications(applications: Vec<UsedApplication>) -> impl IntoView {
    if applications.is_empty() {
        return view! { <Card title="Applications and secrets"><Empty title="None" text="Applications they answer for, and keys they have a secret of, stand here."/></Card> }.into_any();
    }
    let rows = applications
        .into_iter()
        .map(|UsedApplication { id, name, group, owns, personal, secret }| {
            let secret = match secret {
                Some((hint, since, used)) => view! {
                    <span class="mono">{hint}</span>
                    <div class="sub">"since "<When at=since/>" · last call "<Ago at=used/></div>
                }
                .into_any(),
                None => view! { <span class="muted">"no secret of theirs"</span> }.into_any(),
            };
            view! {
                <tr>
                    <td>
                        <a href=format!("/applications/{id}")><b>{name}</b></a>
                        {owns.then(|| view! { " "<Badge text="answers for it"/> })}
                        {personal.then(|| view! { " "<Badge text="private context"/> })}
                        <div class="sub">{group}</div>
                    </td>
                    <td>{secret}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="Applications and secrets">
            <div class="scroll" tabindex="0" role="region" aria-label="Applications and secrets">
                <table class="table stack"><thead><tr><th>"Application"</th><th>"Their secret"</th></tr></thead><tbody>{rows}</tbody></table>
            </div>
        </Card>
    }
    .into_any()
}

/// What somebody answers for, and who takes each of it over if nobody is named.
#[component]
fn Charges(charges: Vec<Handed>) -> impl IntoView {
    let items = charges
        .into_iter()
        .map(|Handed { charge, name, to, because, .. }| {
            let (href, what) = match charge {
                Charge::Application(id) => (format!("/applications/{id}"), "application"),
                Charge::Group(id) => (format!("/groups/{id}"), "group, as its last lead"),
            };
            let to = match (to, because) {
                (Some((_, heir)), Some(because)) => format!("goes to {heir}, {because}"),
                (Some((_, heir)), None) => format!("goes to {heir}"),
                (None, _) => "nobody else can take it over: name somebody".to_owned(),
            };
            view! { <li><a href=href>{name}</a><span class="muted">{format!(" {what}")}</span><div class="sub">{to}</div></li> }
        })
        .collect_view();
    view! { <div class="chosen"><p><b>"They answer for"</b></p><ul>{items}</ul></div> }
}

/// Who takes over: everybody beside whom something stands, or one person for all of it.
#[component]
fn Heir(heirs: Vec<(String, String)>) -> impl IntoView {
    let options =
        std::iter::once((String::new(), "Each goes to whom it says above".to_owned())).chain(heirs).collect();
    view! { <Select name="heir" label="Who takes over" options hint="Or one person for all of it. Not listed? Look for them above."/> }
}

/// Which secrets die with a suspension.
fn revoked(carried: &[String]) -> String {
    match carried {
        [] => "No secret of theirs lives that would be revoked".to_owned(),
        [one] => format!("Their secret of {one} is revoked with the next call, for good"),
        some => format!(
            "Their secrets of {} applications are revoked with the next call, for good: {}",
            some.len(),
            some.join(", ")
        ),
    }
}

/// Out until somebody lets them in again: what they answer for is handed over with it.
#[component]
fn Suspend(
    id: String,
    version: i64,
    name: String,
    /// The applications they have a live secret of.
    carried: Vec<String>,
    charges: Vec<Handed>,
    heirs: Vec<(String, String)>,
) -> impl IntoView {
    let page = format!("/users/{id}");
    let heir = !charges.is_empty();
    view! {
        <Dialog name="suspend" title=format!("Suspend {name}?")>
            <p>{revoked(&carried)}", and they are signed out everywhere. Groups and grants are kept for a return; what they answer for is handed over and stays there. A receipt says what ended. You can let them in again: they then make new secrets."</p>
            {heir.then(|| view! { <Charges charges=charges.clone()/><FindHeir page dialog="suspend"/> })}
            <Form to=SuspendUser::PATH>
                <Hidden name="id" value=id.clone()/>
                <Hidden name="version" value=version.to_string()/>
                <Hidden name="suspended" value="true"/>
                {heir.then(|| view! { <Heir heirs=heirs.clone()/> })}
                <div class="row end"><Submit label="Suspend" look="danger"/></div>
            </Form>
        </Dialog>
    }
}

/// Out for good, and what they answer for is handed over.
#[component]
fn Remove(
    id: String,
    version: i64,
    name: String,
    charges: Vec<Handed>,
    heirs: Vec<(String, String)>,
) -> impl IntoView {
    let page = format!("/users/{id}");
    let heir = !charges.is_empty();
    view! {
        <Dialog name="remove" title=format!("Remove {name}?")>
            <p>"Their secrets, memberships and grants end for good, and their private contexts are closed. Their name and their spend stay on the books. This cannot be undone; a receipt says what ended."</p>
            {heir.then(|| view! {
                <Charges charges=charges.clone()/>
                <FindHeir page dialog="remove"/>
            })}
            <Form to=RemoveUser::PATH>
                <Hidden name="id" value=id.clone()/>
                <Hidden name="version" value=version.to_string()/>
                {heir.then(|| view! { <Heir heirs=heirs.clone()/> })}
                <Field name="typed" label=format!("Type {name} to confirm")/>
                <div class="row end"><Submit label="Remove for good" look="danger"/></div>
            </Form>
        </Dialog>
    }
}
