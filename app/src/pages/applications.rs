//! Applications, their key and its secrets.

use domain::{
    applications::Unused,
    guardrails::{Action, Guard},
    ids::GroupId,
    keys::{CACHE_MAX_SECONDS, Feature, Handling, KeyModels, SecretKind, SecretRow, UNUSED_DAYS},
    limits::Scope,
    money::{grouped, how_many},
    roles::{Act, Place},
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{
    calls::LastCalls,
    heirs::{FindHeir, nobody_yet},
    limits::LimitCard,
    param,
    prompts::Keeping,
};
use crate::{
    api::{
        applications::{
            ApplicationView, Applications, ArchiveApplication, CreateApplication, EditApplication,
            HandOverApplication, Over, load_application, load_applications,
        },
        keys::{EditKey, IssueSecret, RevokeSecret},
        rehearsals::RehearseApplicationMove,
    },
    ui::{
        Ago, Badge, Card, Check, Confirm, Consent, Dialog, Empty, Field, Form, Head, Hidden, Kind, Load,
        Meter, OpenDialog, Page, Pager, PickGroup, Select, Submit, TextArea, When,
        context::{frame, now},
        may, pick_group, query,
    },
};

/// Every application.
#[component]
pub fn ApplicationsPage() -> impl IntoView {
    let (search, after) = (query::value("q"), query::value("after"));
    let unused = query::value("unused") == "1";
    let away = query::value("away") == "1";
    let nobody = query::value("nobody") == "1";
    let list = load_applications(search.clone(), after, unused, away, nobody, query::value("group"));
    view! {
        <Page title="Applications" live=true>
            <Load data=list let(list)><ListView list search/></Load>
        </Page>
    }
}

#[component]
fn ListView(list: Applications, search: String) -> impl IntoView {
    let Applications { rows, next, groups, unused, leaked, within, owner_away, unanswered, over } = list;
    let [only_unused, only_away, only_nobody] =
        ["unused", "away", "nobody"].map(|name| query::value(name) == "1");
    let create = !groups.is_empty();
    let stopped = rows.iter().filter(|app| over.iter().any(|(group, _)| *group == app.group)).count();
    let ended = move |id: GroupId| over.iter().find(|(group, _)| *group == id).map(|(_, since)| *since);
    let empty = rows.is_empty();
    let searched = !search.is_empty();
    let rows = rows
        .into_iter()
        .map(|app| {
            let level = domain::limits::Level { settled: app.spend.0, held: 0 };
            view! {
                <tr>
                    <td>
                        <a href=format!("/applications/{}", app.id)><b>{app.name}</b></a>
                        {app.personal.is_some().then(|| view! { " "<Badge text="personal"/> })}
                        {match app.unused {
                            Unused::No => None,
                            Unused::Whole => Some("unused for 60 days".to_owned()),
                            Unused::Services(1) => Some("1 service secret unused for 60 days".to_owned()),
                            Unused::Services(count) => Some(format!("{count} service secrets unused for 60 days")),
                        }.map(|text| view! { " "<Badge text kind=Kind::Warn/> })}
                        {app.unanswered.then(|| view! { " "<Badge text="nobody answers for it" kind=Kind::Bad/> })}
                        {ended(app.group).map(|since| view! { " "<Badge text="group has ended" kind=Kind::Bad/><div class="sub">"Calls are refused since "<When at=since/>"."</div> })}
                        <div class="sub"><a href=format!("/groups/{}", app.group)>{app.group_path}</a></div>
                    </td>
                    <td class="r num hide">{app.secrets}</td>
                    <td class="r num" data-th="Month">{app.spend.to_string()}</td>
                    <td class="meter-cell hide">{match app.cap {
                        Some(cap) => view! { <Meter level cap=cap.0 text=format!("{} of {} this month", app.spend, cap.in_full()) small=true/><div class="sub num">{format!("of {}", cap.in_full())}</div> }.into_any(),
                        None => view! { <span class="muted">"no limit"</span> }.into_any(),
                    }}</td>
                    <td class="nw" data-th="Last call"><Ago at=app.last_call never="never called"/></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Head title="Applications">{create.then(|| view! { <OpenDialog name="new" label="New application" look="btn go"/> })}</Head>
        <form method="get" action="/applications" class="filters row" role="search">
            <input type="search" name="q" value=search class="find" placeholder="Name" aria-label="Name"/>
            <button class="btn">"Search"</button>
            {only_unused.then(|| view! { <Hidden name="unused" value="1"/> })}
            {within.map(|path| view! {
                <Hidden name="group" value=query::value("group")/>
                <a class="chip" href=query::href(&[("group", None), ("after", None)])>"Group: "<b>{path}</b><span aria-hidden="true">" ×"</span></a>
            })}
            {only_away.then(|| view! { <Hidden name="away" value="1"/> })}
            {only_nobody.then(|| view! { <Hidden name="nobody" value="1"/> })}
            {(unused > 0 || only_unused).then(|| view! {
                <a class="chip" href=query::href(&[("unused", (!only_unused).then_some("1")), ("after", None)]) aria-current=only_unused.then_some("true")>
                    "Unused for 60 days"<b>{if only_unused { "×".to_owned() } else { grouped(unused.unsigned_abs()) }}</b>
                </a>
            })}
            {(owner_away > 0 || only_away).then(|| view! {
                <a class="chip" href=query::href(&[("away", (!only_away).then_some("1")), ("after", None)]) aria-current=only_away.then_some("true")>
                    "Owner suspended"<b>{if only_away { "×".to_owned() } else { grouped(owner_away.unsigned_abs()) }}</b>
                </a>
            })}
            {(unanswered > 0 || only_nobody).then(|| view! {
                <a class="chip" href=query::href(&[("nobody", (!only_nobody).then_some("1")), ("after", None)]) aria-current=only_nobody.then_some("true")>
                    "Nobody answers"<b>{if only_nobody { "×".to_owned() } else { grouped(unanswered.unsigned_abs()) }}</b>
                </a>
            })}
            {(searched || only_unused || only_away || only_nobody).then(|| view! { <a class="link" href="/applications">"Show all"</a> })}
        </form>
        {(leaked > 0).then(|| view! {
            <p class="banner bad">{format!("{} reported as leaked in the last 60 days, and died with the report. ", if leaked == 1 { "1 secret was".to_owned() } else { format!("{leaked} secrets were") })}<a href="/audit?kind=secret&field=reported+as+leaked">"Which"</a></p>
        })}
        {(stopped > 0).then(|| view! {
            <p class="banner warn">{if stopped == 1 {
                "1 application on this page is in a group that has ended: all of its calls are refused. Its page leads to what helps: a later last day for the group, or another group for the application."
            } else {
                "Some applications on this page are in a group that has ended: all of their calls are refused. Their pages lead to what helps: a later last day for the group, or another group for the application."
            }}</p>
        })}
        <Card>
            {if empty && only_unused {
                view! { <Empty title="Nothing is unused" text="Every application with live secrets was called within 60 days, with each secret of its services, or is younger."/> }.into_any()
            } else if empty && (searched || only_away || only_nobody) {
                view! { <Empty title="No application is like that" text="Look for another part of its name, leave a filter out, or show all of them."><a class="btn" href="/applications">"Show all"</a></Empty> }.into_any()
            } else if empty {
                view! {
                    <Empty title="No applications" text="An application is a service that calls models. It lives in one group and has exactly one key; every cent is attributed to it.">
                        {create.then(|| view! { <OpenDialog name="new" label="Create one" look="btn go"/> })}
                    </Empty>
                }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Applications">
                        <table class="table stack">
                            <thead><tr><th aria-sort="ascending">"Name"</th><th class="r hide">"Secrets"</th><th class="r">"Month"</th><th class="hide">"Limit"</th><th>"Last call"</th></tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
        <Pager next/>
        <Dialog name="new" title="New application" when=create>
            <Form to=CreateApplication::PATH>
                <Field name="name" label="Name" placeholder="research-bot"/>
                <PickGroup name="group" label="Group" groups=groups.clone() hint="Its models and budgets apply, and its spend counts there."/>
                <TextArea name="description" label="What it is for" optional=true rows=2/>
                <div class="row end"><Submit label="Create the application"/></div>
            </Form>
        </Dialog>
    }
}

/// An application.
#[component]
pub fn ApplicationPage() -> impl IntoView {
    let id = param("id");
    let app = load_application(id, query::value("find"), query::value("dialog"));
    view! { <Page title="Application" live=true><Load data=app let(view)><Content view/></Load></Page> }
}

#[component]
fn Content(view: ApplicationView) -> impl IntoView {
    let app = view.application.clone();
    let path: Vec<_> = app.path.iter().map(|(id, _)| *id).collect();
    let frame = frame();
    let allows = |act| frame.allows(act, Place::Group(&path));
    let (edit, secrets) = (allows(Act::EditApplications), allows(Act::EditSecrets) && app.personal.is_none());
    let live = app.archived_at.is_none();
    let me = frame.here().map(|here| here.user);
    let owner = app.owner.clone();
    let mine = owner.as_ref().is_some_and(|(owner, _)| Some(*owner) == me);
    let away = app.owner_away;
    let answers = owner.as_ref().map(|(owner, _)| owner.to_string()).unwrap_or_default();
    let give = (edit || mine) && app.personal.is_none();
    let moves = edit && live && app.personal.is_none();
    let heirs = view.heirs.clone();
    let nobody = heirs.is_empty();
    let (places, nowhere) = (view.places.clone(), view.places.is_empty());
    let leaked: Vec<String> = view
        .secrets
        .iter()
        .filter(|secret| secret.leaked_at.is_some())
        .map(|secret| secret.hint.clone())
        .collect();
    let alive = view.secrets.iter().filter(|secret| secret.lives(now()));
    let stops = match alive.clone().count() {
        0 => "It has no live secret: nothing stops".to_owned(),
        1 => "1 live secret of its key stops".to_owned(),
        count => format!("{count} live secrets of its key stop"),
    };
    let last = alive.filter_map(|secret| secret.last_used_at).max();
    let last = last.map(|at| format!(", the last on {}", frame.zone.full(at))).unwrap_or_default();
    let id = app.id;
    // Whoever only answers for it sees its page, and not what leads on from there.
    let (reads, all) = (allows(Act::ReadGroup), may(Act::ReadOrganization));
    let mut crumbs = if reads {
        vec![("/applications".to_owned(), "Applications".to_owned())]
    } else {
        vec![("/my-models".to_owned(), "My models".to_owned())]
    };
    // A group of the path is there for those who read it: leads from the one they lead downwards.
    let readable = |place: usize| frame.allows(Act::ReadGroup, Place::Group(&path[..=place]));
    crumbs.extend(
        app.path
            .iter()
            .enumerate()
            .filter(|(place, _)| readable(*place))
            .map(|(_, (id, name))| (format!("/groups/{id}"), name.clone())),
    );
    let group = app.path.last().map(|(_, name)| name.clone()).unwrap_or_default();
    let answering = match &view.led_by {
        Some((led, _)) if path.last() == Some(led) => {
            "No one person owns it: the leads of its group answer for it.".to_owned()
        }
        Some((_, name)) => {
            format!("No one person owns it, and nobody leads {group}: the leads of {name} answer for it.")
        }
        None => format!("It has no owner, and nobody leads {group} or a group above it."),
    };
    let unanswered = owner.is_none() && view.led_by.is_none();
    // Every call with a new one would be refused where its group has ended.
    let issues = secrets && live && view.over.is_none();
    let (name, description, use_cases, version) =
        (app.name.clone(), app.description.clone(), app.use_cases.join(", "), app.version);
    view! {
        <Head title=app.name.clone() crumbs>
            {reads.then(|| view! { <a class="btn" href=format!("/spend/{id}")>"Spend"</a> })}
            {(edit && live).then(|| view! { <OpenDialog name="edit" label="Edit"/> })}
            {(give && live).then(|| view! { <OpenDialog name="hand-over" label="Hand over"/> })}
            {moves.then(|| view! { <OpenDialog name="move" label="Move"/> })}
            {(edit && live).then(|| view! { <OpenDialog name="archive" label="Archive"/> })}
        </Head>
        {(!leaked.is_empty()).then(|| view! { <p class="banner bad">{format!("Reported as leaked, and dead since: {}. Make a new secret, and look where the old one was kept.", leaked.join(", "))}</p> })}
        {(!live).then(|| view! { <p class="banner bad">"This application is archived. Its secrets are dead, its spend stays on the books."</p> })}
        {view.over.clone().filter(|_| live).map(|over| view! { <Ended over moves/> })}
        {(!app.description.is_empty()).then(|| view! { <p class="lead">{app.description.clone()}</p> })}
        {app.personal.is_none().then(|| view! {
            <p class="lead">{match owner {
                Some((id, name)) => view! { "Owner: "{if all { view! { <a href=format!("/users/{id}")>{name}</a> }.into_any() } else { name.into_any() }}{mine.then_some(" (you)")}{away.then(|| view! { " "<Badge text="suspended" kind=Kind::Bad/>" Nobody answers for it until it is handed over, or they return." })} }.into_any(),
                None => view! { {unanswered.then(|| view! { <Badge text="nobody answers for it" kind=Kind::Bad/>" " })}{answering} }.into_any(),
            }}</p>
        })}
        <section class="facts three">
            <div><h2>"Month to date"</h2><div class="big num">{view.month.spend.to_string()}</div><p class="under num">{format!("{} in, {} out tokens", grouped(view.month.input_tokens().unsigned_abs()), grouped(view.month.output_tokens().unsigned_abs()))}</p></div>
            <div><h2>"Calls"</h2><div class="big num">{grouped(view.month.calls.unsigned_abs())}</div><p class="under num">{format!("{} refused", grouped(view.month.refused.unsigned_abs()))}{(view.month.cached > 0).then(|| {
                let cached = format!("{} from the cache, {} saved", grouped(view.month.cached.unsigned_abs()), view.month.saved);
                view! { " · "{if reads { view! { <a href=format!("/calls?application={id}&outcome=cached")>{cached}</a> }.into_any() } else { cached.into_any() }} }
            })}</p></div>
            <div><h2>"Use cases"</h2><p>{if app.use_cases.is_empty() {
                view! { <span class="muted">"none"</span> }.into_any()
            } else {
                app.use_cases.iter().map(|label| view! { <Badge text=label.clone()/>" " }).collect_view().into_any()
            }}</p><p class="under">"Named by a call's x-bursar-use-case"</p></div>
        </section>
        <div class="two">
            <div><KeyCard view=view.clone() edit=edit && live/>{reads.then(|| view! { <Keeping application=id.to_string()/> })}</div>
            <div>
                <Card title="Secrets" note="strings that clients send" actions=ViewFn::from(move || view! { {issues.then(|| view! { <OpenDialog name="secret" label="Make a secret" look="btn small"/> })} })>
                    <Secrets secrets=view.secrets.clone() application=id.to_string() edit=secrets && live/>
                </Card>
                <LimitCard scope=Scope::Application(app.id) limits=view.limits.clone() above=view.above.clone() may_set=allows(Act::TightenLimits) && live may_remove=may(Act::LoosenLimits)/>
            </div>
        </div>
        {if reads {
            view! { <LastCalls title="Last calls" calls=view.calls.clone()/> }.into_any()
        } else {
            view! { <p class="muted">"You answer for it. Who calls with it, and what each call cost, is for those who lead its group."</p> }.into_any()
        }}
        <Dialog name="edit" title="Edit the application" when=edit && live>
            <Form to=EditApplication::PATH>
                <Hidden name="id" value=app.id.to_string()/>
                <Hidden name="version" value=version.to_string()/>
                <Field name="name" label="Name" value=name.clone()/>
                <TextArea name="description" label="What it is for" value=description.clone() optional=true rows=2/>
                <Field name="use_cases" label="Use cases" value=use_cases.clone() optional=true hint="Separated by commas. A call can name one of them; spend is split by them."/>
                <div class="row end"><Submit label="Save"/></div>
            </Form>
        </Dialog>
        <Dialog name="hand-over" title="Who answers for it?" when=give && live>
            <FindHeir page=format!("/applications/{id}") dialog="hand-over"/>
            {if nobody {
                view! { <Empty title="Nobody to hand it to" text="It goes to somebody who has joined and is not suspended: look for another name, or invite them first."/> }.into_any()
            } else {
                view! {
                    <Form to=HandOverApplication::PATH>
                        <Hidden name="id" value=id.to_string()/>
                        <Hidden name="was" value=answers.clone()/>
                        <Select name="user" label="Its next owner" options=nobody_yet(heirs.clone()) hint="Named where people ask about it. They see its spend, its limits and how its secrets end, can ask for more under its limits, and can hand it on. Not listed? Look for them above."/>
                        <div class="row end"><Submit label="Hand over"/></div>
                    </Form>
                }.into_any()
            }}
        </Dialog>
        <Dialog name="move" title="Move the application" when=moves>
            {if nowhere {
                view! { <Empty title="There is no other group for it" text="Make one first, or ask an admin: you move applications only into groups that you lead."/> }.into_any()
            } else {
                view! {
                    // Nothing is moved from here: first it is said which models it gains and loses, and which limits apply.
                    <Form to=RehearseApplicationMove::PATH>
                        <Hidden name="id" value=id.to_string()/>
                        <Hidden name="version" value=version.to_string()/>
                        <PickGroup name="group" label="Into which group" groups=places.clone() searched=true hint="From the next call on it has the models and limits of that group, and counts there. Its key and secrets stay, and what it has spent so far stays where it was."/>
                        <div class="row end"><Submit label="See what changes"/></div>
                    </Form>
                }.into_any()
            }}
        </Dialog>
        <Dialog name="secret" title="Make a secret" when=issues>
            <Form to=IssueSecret::PATH>
                <Hidden name="application" value=app.id.to_string()/>
                <Hidden name="key" value=app.key.to_string()/>
                <Select name="grace_hours" label="Secrets that are there" options=vec![
                    (String::new(), "stay as they are".to_owned()), ("0".to_owned(), "stop now".to_owned()), ("1".to_owned(), "stop in an hour".to_owned()),
                    ("24".to_owned(), "stop tomorrow".to_owned()), ("168".to_owned(), "stop in a week".to_owned()),
                ] hint="To rotate: give programs time to take the new one."/>
                <Field name="ends_on" label="Last day" kind="date" optional=true hint="The new one stops by itself after this day. Empty: when somebody revokes it."/>
                {crate::ui::asked().then(|| view! { <Consent name="known"/> })}
                <div class="row end"><Submit label="Make the secret"/></div>
            </Form>
        </Dialog>
        <Confirm
            when=edit && live name="archive" title=format!("Archive {}?", app.name) to=ArchiveApplication::PATH label="Archive the application" fields=vec![("id", id.to_string()), ("version", version.to_string())] typed=app.name.clone()
            consequence=format!("{stops} with the next call; it made {} this month{last}. Its spend stays on the books. This cannot be undone.", how_many(view.month.calls.unsigned_abs(), "call", "calls"))
        />
    }
}

/// Why none of its calls are let through, and what helps.
#[component]
fn Ended(over: Over, moves: bool) -> impl IntoView {
    let Over { group, name, since, ended_on, edits, admins } = over;
    let how = match ended_on {
        Some(day) => format!("its group {name} ended on {}.", domain::time::date(day)),
        None => format!("its group {name} is archived."),
    };
    let helps = match (edits, moves) {
        (true, true) => view! { <a href=format!("/groups/{group}?dialog=edit")>{format!("Give {name} a later last day")}</a>", or "<a href=query::href(&[("dialog", Some("move"))]) data-within="">"move the application"</a>" to a group that is open." }.into_any(),
        (true, false) => view! { <a href=format!("/groups/{group}?dialog=edit")>{format!("Give {name} a later last day")}</a>"." }.into_any(),
        (false, true) if ended_on.is_some() => view! { {format!("Ask {admins} to give {name} a later last day, or ")}<a href=query::href(&[("dialog", Some("move"))]) data-within="">"move the application"</a>" to a group that is open." }.into_any(),
        (false, true) => view! { <a href=query::href(&[("dialog", Some("move"))]) data-within="">"Move the application"</a>" to a group that is open." }.into_any(),
        (false, false) if ended_on.is_some() => view! { {format!("Ask {admins} to give it a later last day.")} }.into_any(),
        (false, false) => view! { {format!("Ask {admins} to move the application.")} }.into_any(),
    };
    view! { <p class="banner bad">"All calls of this application are refused since "<When at=since/>": "{how}" "{helps}</p> }
}

#[component]
fn KeyCard(view: ApplicationView, edit: bool) -> impl IntoView {
    let key = view.key.clone();
    let models = match &key.models {
        KeyModels::All => "Everything its group has".to_owned(),
        KeyModels::These(these) if these.is_empty() => "None: nothing can be called".to_owned(),
        KeyModels::These(_) => {
            let names: Vec<_> = view
                .models
                .iter()
                .filter(|(_, _, allowed)| *allowed)
                .map(|(_, name, _)| name.clone())
                .collect();
            if names.is_empty() { "Only models its group does not have".to_owned() } else { names.join(", ") }
        }
    };
    let features: Vec<_> = key.features.iter().map(|feature| feature.label()).collect();
    let policy = key
        .policy
        .and_then(|id| view.policies.iter().find(|(other, _)| *other == id.to_string()))
        .map(|(_, name)| format!("policy/{name}"));
    let led: Vec<GroupId> = frame().here().map(|here| here.leads.clone()).unwrap_or_default();
    let home: Vec<GroupId> = view.application.path.iter().map(|(id, _)| *id).collect();
    let reaches = |group: GroupId| {
        let within = home.iter().position(|id| *id == group).map(|place| &home[..=place]);
        may(Act::ReadOrganization)
            || led.contains(&group)
            || within.is_some_and(|path| path.iter().any(|id| led.contains(id)))
    };
    let assigned = key
        .assigned
        .iter()
        .map(|(id, name)| {
            let href = if reaches(*id) { format!("/groups/{id}") } else { String::new() };
            view! { <Badge text=name.clone() href/>" " }
        })
        .collect_view();
    let nobody = key.assigned.is_empty();
    let cache = match key.handling.cache_seconds {
        None => "Off".to_owned(),
        Some(seconds) => format!("For {}", lasting(seconds)),
    };
    let rails: Vec<String> = key
        .handling
        .guardrails
        .iter()
        .map(|(guard, action)| format!("{}: {}", guard.label(), action.label().to_lowercase()))
        .collect();
    let rails = if rails.is_empty() { "Nothing".to_owned() } else { rails.join("; ") };
    view! {
        <Card title="Key" note="what its calls are narrowed to" actions=ViewFn::from(move || view! { {edit.then(|| view! { <OpenDialog name="key" label="Edit" look="btn small"/> })} })>
            <dl class="facts-list">
                <dt>"Models"</dt><dd>{models}</dd>
                <dt>"Features"</dt><dd>{if features.is_empty() { "None".to_owned() } else { features.join(", ") }}</dd>
                <dt>"Policy"</dt><dd>{policy.unwrap_or_else(|| "None".to_owned())}</dd>
                <dt>"Answers from the cache"</dt><dd>{cache}</dd>
                <dt>{if key.handling.guardrails.answers { "Looked for in input and whole answers" } else { "Looked for in the input" }}</dt><dd>{rails}</dd>
                <dt>"Assigned groups"</dt><dd>{assigned}{nobody.then_some("None: no personal secrets")}</dd>
            </dl>
        </Card>
        <Dialog name="key" title="Edit the key" when=edit><KeyForm view=view.clone()/></Dialog>
    }
}

/// How long answers can be kept.
const CACHED: [u32; 6] = [60, 600, 3_600, 6 * 3_600, 24 * 3_600, CACHE_MAX_SECONDS];

/// Seconds as people say them.
fn lasting(seconds: u32) -> String {
    let (count, unit) = match seconds {
        seconds if seconds.is_multiple_of(86_400) => (seconds / 86_400, "day"),
        seconds if seconds.is_multiple_of(3_600) => (seconds / 3_600, "hour"),
        seconds if seconds.is_multiple_of(60) => (seconds / 60, "minute"),
        seconds => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// What happens to the calls of a key besides.
#[component]
fn HandlingFields(handling: Handling) -> impl IntoView {
    let now = handling.cache_seconds;
    let mut kept = vec![(String::new(), "Never".to_owned())];
    let mut choices = CACHED.to_vec();
    // What a file has set stays as it is.
    choices.extend(now.filter(|seconds| !CACHED.contains(seconds)));
    choices.sort_unstable();
    kept.extend(
        choices.into_iter().map(|seconds| (seconds.to_string(), format!("For {}", lasting(seconds)))),
    );
    let rails = Guard::ALL
        .iter()
        .map(|&guard| {
            let mut actions = vec![(String::new(), "Do not look".to_owned())];
            actions.extend(Action::ALL.iter().map(|action| (action.to_string(), action.label().to_owned())));
            let value = handling.guardrails.get(guard).map(|action| action.to_string()).unwrap_or_default();
            view! { <Select name=format!("guards[{guard}]") label=guard.label() options=actions value hint=guard.hint()/> }
        })
        .collect_view();
    view! {
        <Select name="cache_seconds" label="Give the same answer again to the very same call" options=kept value=now.map(|seconds| seconds.to_string()).unwrap_or_default()
            hint="Within this application only. It costs nothing, and still counts as a request. Who may no longer use the model gets no old answer either."/>
        <fieldset><legend>"Look for in the input of calls"</legend><div class="pair">{rails}</div>
            <Check name="guard_answers" label="In answers, too" checked=handling.guardrails.answers hint="What is refused has been paid for by then, and counts. Of an answer in a stream the last words are held back until nothing can begin in them; one that is refused ends there."/>
        </fieldset>
    }
}

/// How many models are listed at once that a key does not name.
const MODELS: usize = 40;

#[component]
fn KeyForm(view: ApplicationView) -> impl IntoView {
    let key = view.key.clone();
    let all = key.models == KeyModels::All;
    let (of_models, of_groups, assigned_to) =
        (view.models.clone(), view.groups.clone(), key.assigned.clone());
    // Where there are too many, those that are ticked are listed, and of the others those that are looked
    // for. What is not listed is not ticked, so nothing gets lost.
    let find = query::value("find").trim().to_lowercase();
    let (count, many_models) = (of_models.len(), of_models.len() > MODELS);
    let (ticked, others): (Vec<_>, Vec<_>) =
        of_models.into_iter().partition(|(_, _, allowed)| !all && *allowed);
    let fits = |(_, name, _): &(String, String, bool)| name.to_lowercase().contains(&find);
    let most = if many_models { MODELS } else { usize::MAX };
    let others = others.into_iter().filter(|line| !many_models || fits(line)).take(most);
    let mut of_models: Vec<_> = ticked.into_iter().chain(others).collect();
    of_models.sort_by(|a, b| a.1.cmp(&b.1));
    let application = view.application.id.to_string();
    // Made within the form: fields know which one they are in.
    let models = move || {
        of_models.into_iter().map(|(id, name, allowed)| view! { <Check name="models[]" label=name value=id checked=!all && allowed/> }).collect_view()
    };
    let features = move || {
        Feature::ALL.iter().map(|feature| view! { <Check name="features[]" label=feature.label() value=feature.as_str() checked=key.features.has(*feature)/> }).collect_view()
    };
    // Where there are too many to tick, those that are assigned are, and others are written.
    let many = of_groups.len() > pick_group::LISTED;
    let (shared, foreign) = (view.application.personal.is_none(), view.foreign);
    let assigned = move || {
        of_groups
            .into_iter()
            .filter(|(id, _)| !many || assigned_to.iter().any(|(group, _)| group.to_string() == *id))
            .map(|(id, path)| {
                let checked = assigned_to.iter().any(|(group, _)| group.to_string() == id);
                view! { <Check name="assigned[]" label=path value=id checked/> }
            })
            .collect_view()
    };
    let mut policies = vec![(String::new(), "None".to_owned())];
    policies.extend(view.policies.iter().map(|(id, name)| (id.clone(), format!("policy/{name}"))));
    view! {
        {many_models.then(|| view! {
            <FindHeir page=format!("/applications/{application}") dialog="key" what="Model"/>
            <p class="hint">{format!("Of {count} models those that are ticked are listed, and of the others up to {MODELS} that have this in their name.")}<span class="unscripted">" Save before you look for more."</span></p>
        })}
        <Form to=EditKey::PATH>
            <Hidden name="application" value=view.application.id.to_string()/>
            <Hidden name="key" value=key.id.to_string()/>
            <Hidden name="version" value=key.version.to_string()/>
            <fieldset><legend>"Models"</legend>
                <Check name="all_models" label="Everything its group has" checked=all hint="Otherwise only the ones ticked here; none ticked means none."/>
                <div class="checks">{models()}</div>
            </fieldset>
            <fieldset><legend>"Features"</legend><div class="checks">{features()}</div></fieldset>
            <Select name="policy" label="Policy for calls that name no model" options=policies value=key.policy.map(|id| id.to_string()).unwrap_or_default()/>
            <HandlingFields handling=key.handling/>
            {shared.then(|| view! {
                <fieldset><legend>"Groups whose members may have a secret of their own"</legend><div class="checks tall">{assigned()}</div>
                    {foreign.then(|| view! { <p class="hint">"Some of these you do not lead: an admin assigned them, and only an admin puts back what you take off."</p> })}
                    {many.then(|| view! { <TextArea name="more" label="Other groups" optional=true rows=2 hint="Their names or paths, one a line: Engineering/Platform."/> })}
                </fieldset>
            })}
            <Consent name="known"/>
            <div class="row end"><Submit label="Save"/></div>
        </Form>
    }
}

#[component]
fn Secrets(secrets: Vec<SecretRow>, application: String, edit: bool) -> impl IntoView {
    if secrets.is_empty() {
        return view! { <Empty title="No secrets yet" text="Without one nothing can call. A secret is shown once, when it is made."/> }.into_any();
    }
    let dialogs = secrets
        .iter()
        .filter(|secret| edit && secret.lives(now()))
        .map(|secret| {
            let whose = secret.user.as_ref().map_or_else(|| "Programs that send it".to_owned(), |(_, name)| format!("{name}'s programs"));
            view! { <Revoke secret=secret.id.to_string() application=application.clone() hint=secret.hint.clone() whose used=secret.last_used_at/> }
        })
        .collect_view();
    let all = may(Act::ReadOrganization);
    let rows = secrets
        .into_iter()
        .map(|secret| {
            let id = secret.id.to_string();
            let ended = secret.expires_at.is_some_and(|end| end <= now());
            let dead = !secret.lives(now());
            let state = match (secret.revoked_at, secret.expires_at) {
                (Some(at), _) if secret.leaked_at.is_some() => view! { <Badge text="leaked, revoked" kind=Kind::Bad/>" "<Ago at=Some(at)/> }.into_any(),
                (Some(at), _) => view! { <Badge text="revoked" kind=Kind::Bad/>" "<Ago at=Some(at)/> }.into_any(),
                (None, Some(_)) if ended => view! { <Badge text="ended" kind=Kind::Bad/> }.into_any(),
                (None, Some(end)) => view! { <Badge text="stops" kind=Kind::Warn/>" "<When at=end/> }.into_any(),
                (None, None) if secret.last_used_at.is_none() => view! { <span class="muted">"Never used"</span> }.into_any(),
                (None, None) => view! { <span class="muted">"Last used "<Ago at=secret.last_used_at/></span> }.into_any(),
            };
            let touched = secret.last_used_at.unwrap_or(secret.created_at);
            let idle = !dead && now() - touched > chrono::Duration::days(UNUSED_DAYS);
            view! {
                <tr class=if dead { "faded" } else { "" }>
                    <td><span class="mono">{secret.hint}</span><div class="sub">{match secret.user {
                        Some((id, name)) if all => view! { <a href=format!("/users/{id}")>{name}</a> }.into_any(),
                        Some((_, name)) => name.into_any(),
                        None => view! { {if secret.kind == SecretKind::Service { "Service" } else { "Member" }} }.into_any(),
                    }}</div></td>
                    <td>{state}{idle.then(|| view! { " "<Badge text="unused for 60 days" kind=Kind::Warn/> })}</td>
                    <td class="r">{(edit && !dead).then(|| view! { <OpenDialog name=format!("revoke-{id}") label="Revoke" look="link danger"/> })}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        {dialogs}
        <table class="table">
            <thead><tr><th>"Secret"</th><th>"State"</th><th><span class="sr">"Actions"</span></th></tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

/// Asks for the last characters of a secret before it dies for good.
#[component]
pub fn Revoke(
    /// Which.
    secret: String,
    /// Whose key it is of.
    application: String,
    /// What is known of it.
    hint: String,
    /// Whose programs stop.
    whose: String,
    /// When it was used last.
    used: Option<chrono::DateTime<chrono::Utc>>,
) -> impl IntoView {
    let typed = hint.rsplit('…').next().unwrap_or_default().to_owned();
    let used = used.map_or_else(
        || "It was never used.".to_owned(),
        |at| format!("It was used last on {}.", frame().zone.full(at)),
    );
    view! {
        <Confirm
            name=format!("revoke-{secret}") title=format!("Revoke {hint}?") to=RevokeSecret::PATH label="Revoke it" fields=vec![("application", application), ("secret", secret)] typed
            consequence=format!("{whose} are refused with the next call, for good. {used} To replace it without a gap, make a new secret first and let this one run out. This cannot be undone.")
        />
    }
}
