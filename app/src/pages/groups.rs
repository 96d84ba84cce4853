//! The tree of groups, and a group's page.

use chrono::{DateTime, Utc};
use domain::{
    groups::{Group, GroupKind, seen_as},
    ids::GroupId,
    limits::Scope,
    money::{Money, grouped, how_many},
    roles::{Act, Place},
    time,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{
    add_people::AddPeople, authorizations::Lines, capital, choices, grants::Grants, limits::LimitCard,
    members::People, param,
};
use crate::{
    api::{
        groups::{
            ArchiveGroup, Branch, CreateGroup, EditGroup, GroupView, RemoveMember, Routing, SetDefaultGroup,
            SetGroupPolicy, Tree, load_group, load_groups,
        },
        rehearsals::RehearseMove,
    },
    ui::{
        AtOnce, Card, Confirm, Dialog, Empty, Field, Form, Head, Hidden, Load, Meter, OpenDialog, Page,
        PickGroup, Select, Submit, TreeKeys, When, context::frame, may, query,
    },
};

fn kinds() -> Vec<(String, String)> {
    choices(GroupKind::ALL, |kind| capital(kind.as_str()))
}

/// Whether a last day has passed.
fn is_over(last: chrono::NaiveDate) -> bool {
    let frame = frame();
    last < frame.zone.local(frame.now).date()
}

/// What is said of a group's last day.
fn until(last: chrono::NaiveDate) -> String {
    let word = if is_over(last) { "ended on" } else { "until" };
    format!(" · {word} {}", time::date(last))
}

/// The whole tree.
#[component]
pub fn GroupsPage() -> impl IntoView {
    let archived = query::value("archived") == "1";
    let tree = load_groups(query::value("fold"), query::value("unfold"), query::value("q"), archived);
    view! {
        <Page title="Groups" live=true>
            <Load data=tree let(tree)><TreeView tree/></Load>
        </Page>
    }
}

#[component]
fn TreeView(tree: Tree) -> impl IntoView {
    let Tree { groups, more, all, places, archived } = tree;
    let closed = query::value("archived") == "1";
    let create = may(Act::CreateGroup);
    let q = query::value("q");
    let looked = !q.is_empty();
    let any = groups.iter().any(|branch| branch.below > 0) || looked || closed;
    let unfolded = !query::value("unfold").is_empty() || !query::value("fold").is_empty();
    view! {
        <Head title="Groups" note=grouped(all as u64)>
            {create.then(|| view! { <OpenDialog name="new" label="New group" look="btn go"/> })}
        </Head>
        {any.then(|| view! {
            <form method="get" action="/groups" class="filters row" role="search">
                <input type="search" name="q" value=q class="find" placeholder="Name of a group" aria-label="Name of a group"/>
                <button class="btn">"Search"</button>
                {closed.then(|| view! { <Hidden name="archived" value="1"/> })}
                {(looked || unfolded || closed).then(|| view! { <a class="link" href="/groups">"Show the tree"</a> })}
                {(!closed).then(|| view! { <a class="chip" href=query::href(&[("archived", Some("1"))])>"Archived"</a> })}
            </form>
        })}
        {(!any).then(|| view! { <p class="filters row"><a class="chip" href="/groups?archived=1">"Archived"</a></p> })}
        <Card>
            {if closed && archived.is_empty() {
                view! { <Empty title="No archived group" text=if looked { "None of them is called that." } else { "A group that is archived stands here, with what is on its books." }/> }.into_any()
            } else if closed {
                view! { <ArchivedTable rows=archived/> }.into_any()
            } else if !groups.is_empty() {
                view! {
                    <TreeTable groups/>
                    {(more > 0).then(|| view! { <p class="note-line">{format!("And {} more: fold something, or look for a longer name.", grouped(more as u64))}</p> })}
                }.into_any()
            } else if looked {
                view! { <Empty title="No group is called that" text="Look for another part of its name."><a class="btn" href="/groups">"Show the tree"</a></Empty> }.into_any()
            } else {
                view! {
                    <Empty title="No groups yet" text="Groups hold people and applications. Budgets and models are given to groups, and everything below inherits them.">
                        {create.then(|| view! { <OpenDialog name="new" label="Create the first group" look="btn go"/> })}
                    </Empty>
                }.into_any()
            }}
        </Card>
        <Dialog name="new" title="New group" when=create>
            <Form to=CreateGroup::PATH>
                <Field name="name" label="Name" placeholder="Engineering"/>
                <PickGroup name="parent" label="Inside" groups=places.clone() none="At the top"/>
                <Select name="kind" label="Kind" options=kinds()/>
                <Field name="ends_on" label="Last day" kind="date" optional=true hint="Its applications stop calling after this day."/>
                <div class="row end"><Submit label="Create the group"/></div>
            </Form>
        </Dialog>
    }
}

/// Groups that are closed: their pages say what was in them, and their spend stays.
#[component]
fn ArchivedTable(rows: Vec<(GroupId, String, DateTime<Utc>)>) -> impl IntoView {
    let rows = rows
        .into_iter()
        .map(|(id, path, since)| {
            view! {
                <tr>
                    <td><a href=format!("/groups/{id}")><b>{path}</b></a></td>
                    <td class="nw"><When at=since/></td>
                    <td class="r"><a href=format!("/spend/{id}")>"Spend"</a></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="Archived groups">
            <table class="table">
                <thead><tr><th>"Group"</th><th>"Archived"</th><th><span class="sr">"Spend"</span></th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

/// A link that shows or hides what is below a group: it works without script, and the address says
/// what is shown.
#[component]
fn Fold(id: String, name: String, below: usize, folded: bool) -> impl IntoView {
    let (fold, unfold) = (query::turned("fold", &id, !folded), query::turned("unfold", &id, folded));
    let href = query::href(&[("fold", Some(&fold)), ("unfold", Some(&unfold))]);
    let text = if folded { format!("Unfold {name}: {below} below") } else { format!("Fold {name}") };
    view! { <a class="mx-fold" href=href data-within="" aria-label=text aria-expanded=if folded { "false" } else { "true" }>{if folded { "▸" } else { "▾" }}</a> }
}

#[component]
fn TreeTable(groups: Vec<Branch>) -> impl IntoView {
    let rows = groups
        .into_iter()
        .map(|Branch { row: group, below, folded, trail, models }| {
            let looked = !query::value("q").is_empty();
            let depth = if looked { 0 } else { group.ancestors.len() };
            let indirect = group.members_below - group.members;
            let fold = (below > 0 && !looked).then(|| view! { <Fold id=group.id.to_string() name=group.name.clone() below folded/> });
            let (open, ask) = models;
            let name = group.name.clone();
            let limited = group.cap.map_or_else(|| "no limit".to_owned(), |cap| format!("{} a month", cap.in_full()));
            let unfolded = (below > 0 && !looked).then_some(if folded { "false" } else { "true" });
            view! {
                <tr data-row=group.id.to_string() data-name=name data-level=(depth + 1).to_string() aria-expanded=unfolded>
                    <td class=format!("depth-{}", depth.min(8))>
                        {fold}<a href=format!("/groups/{}", group.id)><b>{group.name}</b></a>
                        <div class="sub">{capital(group.kind.as_str())}{group.ends_on.map(until)}{(!trail.is_empty()).then(|| format!(" · in {trail}"))}</div>
                        <div class="sub num narrow-only">{format!("{} · {limited}", how_many(group.applications.unsigned_abs(), "application", "applications"))}</div>
                    </td>
                    <td class="r num">{group.members}{(indirect > 0).then(|| view! { <span class="muted">{format!(" + {indirect} below")}</span> })}</td>
                    <td class="r num hide">{group.applications}</td>
                    <td class="r num hide">{open}{(ask > 0).then(|| view! { <span class="muted">{format!(" + {ask} by request")}</span> })}</td>
                    <td class="r num"><a href=format!("/spend/{}", group.id)>{group.spend.to_string()}</a></td>
                    <td class="meter-cell hide">{match group.cap {
                        Some(cap) => {
                            let level = domain::limits::Level { settled: group.spend.0, held: 0 };
                            let said = cap.in_full();
                            let text = format!("{} of {said} this month", group.spend);
                            view! { <Meter level cap=cap.0 text small=true/><div class="sub num">{format!("of {said}")}</div> }.into_any()
                        }
                        None => view! { <span class="muted">"no limit"</span> }.into_any(),
                    }}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <TreeKeys>
        <div class="scroll" tabindex="0" role="region" aria-label="Groups">
            <table class="table tree" role="treegrid" aria-label="Groups">
                <thead><tr><th>"Group"</th><th class="r">"People"</th><th class="r hide">"Applications"</th><th class="r hide">"Models"</th><th class="r">"This month"</th><th class="hide">"Monthly limit"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        </TreeKeys>
    }
}

/// A group.
#[component]
pub fn GroupPage() -> impl IntoView {
    let id = param("id");
    let [find, chosen, dialog, q, after] = ["find", "chosen", "dialog", "q", "after"].map(query::value);
    let group = load_group(id, find, chosen, dialog, query::values("who").join(","), q, after);
    view! { <Page title="Group" live=true><Load data=group let(view)><Content view/></Load></Page> }
}

#[component]
fn Content(view: GroupView) -> impl IntoView {
    let GroupView {
        group,
        over,
        admins,
        members,
        matching,
        next,
        leads,
        named,
        heirs,
        people_in,
        applications,
        applications_below,
        inside,
        below,
        limits,
        above,
        models,
        requests,
        places,
        people: found,
        chosen,
        dying,
        spend,
        tree,
        targets,
        routing,
    } = view;
    let path: Vec<_> = group.path.iter().map(|(id, _)| *id).collect();
    let frame = frame();
    let allows = |act| frame.allows(act, Place::Group(&path));
    // What is archived is over: it is looked at, and not changed.
    let live = group.archived_at.is_none();
    let allows = |act| live && allows(act);
    let (edit, people, edit_leads) =
        (allows(Act::EditGroup), allows(Act::EditMembers), allows(Act::EditLeads));
    // What has ended takes nothing in: its banner says how it goes on.
    let open = over.is_none();
    let (add, create) = (open && people, open && allows(Act::CreateGroup));
    let (shift, archive) = (allows(Act::MoveGroup), allows(Act::ArchiveGroup));
    let mut crumbs = vec![("/groups".to_owned(), "Groups".to_owned())];
    crumbs.extend(
        group.path[..group.path.len().saturating_sub(1)]
            .iter()
            .map(|(id, name)| (format!("/groups/{id}"), name.clone())),
    );
    let name = group.name().to_owned();
    let id = group.id;
    let places: Vec<(String, String)> = places.into_iter().map(|(id, path)| (id.to_string(), path)).collect();
    let parent = group.path.iter().rev().nth(1).map(|(id, _)| id.to_string()).unwrap_or_default();
    let ends_on = group.ends_on.map(|day| day.to_string()).unwrap_or_default();
    let (kind, version) = (group.kind, group.version);
    let leaver = (add && query::value("dialog") == "leave")
        .then(|| named.iter().find(|member| member.through.is_none()))
        .flatten()
        .map(|member| {
            (member.user.to_string(), member.name.clone(), seen_as(member.standing, member.ends_at))
        });
    // Whoever cannot give it one is told who can.
    let ask = if may(Act::EditGroup) { String::new() } else { format!(" Ask {admins} for one.") };
    let unled = (!leads.is_empty() && leads.iter().all(|lead| lead.suspended))
        .then(|| leads.iter().map(|lead| lead.name.clone()).collect::<Vec<_>>().join(", "));
    let leave = match people_in.0 {
        0 => "Nobody is in it".to_owned(),
        1 => "1 person leaves it".to_owned(),
        people => format!("{} people leave it", grouped(people.unsigned_abs())),
    };
    let dying = if dying.is_empty() { "No secret of its people dies with it.".to_owned() } else { dying };
    let mut end = vec![("id", id.to_string()), ("version", version.to_string())];
    end.extend(inside.iter().map(|(id, _)| ("applications[]", id.clone())));
    // A group with others in it is not archived: that is said at once, with the way to them.
    let (empty, in_the_way) = (below.is_empty(), below.clone());
    let names = inside.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", ");
    let within = match inside.len() {
        0 => String::new(),
        1 => format!(" Its application is archived with it, and every secret of it is dead: {names}."),
        count => format!(
            " Its {count} applications are archived with it, and every secret of theirs is dead: {names}."
        ),
    };
    let facts = format!(
        "{}{}{}",
        capital(kind.as_str()),
        group.ends_on.map(until).unwrap_or_default(),
        match (group.is_default, over.is_some()) {
            (false, _) => "",
            (true, false) => " · new users join",
            (true, true) => " · a default group that takes nobody in",
        }
    );
    view! {
        <Head title=name.clone() note=facts crumbs>
            <a class="btn" href=format!("/spend/{id}")>{format!("Spend: {spend}")}</a>
            <a class="btn" href=format!("/groups/{id}/analytics")>"Analytics"</a>
            {create.then(|| view! { <OpenDialog name="new" label="New group below"/> })}
            {edit.then(|| view! { <OpenDialog name="edit" label="Edit"/> })}
            {shift.then(|| view! { <OpenDialog name="move" label="Move"/> })}
            {archive.then(|| view! { <OpenDialog name="archive" label="Archive"/> })}
        </Head>
        {group.archived_at.is_some().then(|| view! { <p class="banner bad">"This group is archived. Nothing in it can call."</p> })}
        {over.filter(|_| group.archived_at.is_none()).map(|over| view! {
            <p class="banner bad">{format!("{over}. Nothing in this group can call, and it takes nobody in, until it has a later last day.{ask}")}</p>
        })}
        {unled.map(|names| view! { <p class="banner warn">{format!("Nobody who leads this group can act: {names}, suspended. Hand the lead over, from the menu of their line.")}</p> })}
        <div class="two wide-left">
            <People members matching next named heirs count=people_in group=group.clone() tree=tree.clone() targets edit=people add edit_leads/>
            <div>
                <LimitCard scope=Scope::Group(group.id) limits above may_set=allows(Act::TightenLimits) may_remove=live && may(Act::LoosenLimits)/>
                <Card title="Applications" note=applications_below.to_string()><Applications group=id.to_string() all=applications_below applications/></Card>
                <Unnamed group=group.clone() routing edit/>
                {(!below.is_empty()).then(|| view! {
                    <Card title="Groups below" note=below.len().to_string()>
                        <ul class="list">{below.into_iter().map(|(id, name, people)| view! {
                            <li><a href=format!("/groups/{id}")>{name}</a><span class="muted num">{format!(" {}", how_many(people.unsigned_abs(), "person", "people"))}</span></li>
                        }).collect_view()}</ul>
                    </Card>
                })}
            </div>
        </div>
        <Grants requests empty="What people ask for on this group’s account, and what was agreed to until when, stands here."/>
        <Lines models group=id.to_string()/>
        <Dialog name="add" title="Add people" when=add>
            <AddPeople group=id.to_string() chosen=chosen.clone() found=found.clone() leads=edit_leads/>
        </Dialog>
        <Dialog name="edit" title="Edit the group" when=edit clone:name>
            <Form to=EditGroup::PATH>
                <Hidden name="id" value=group.id.to_string()/>
                <Hidden name="version" value=version.to_string()/>
                <Field name="name" label="Name" value=name.clone()/>
                <Select name="kind" label="Kind" options=kinds() value=kind.to_string()/>
                {match (may(Act::EditGroup), archive) {
                    (true, _) => view! { <Field name="ends_on" label="Last day" kind="date" value=ends_on.clone() optional=true hint="Its applications stop calling after this day."/> }.into_any(),
                    (false, true) => view! { <Field name="ends_on" label="Last day" kind="date" value=ends_on.clone() optional=true hint=format!("Its applications stop calling after this day. You can make it earlier; a later one is for admins: ask {admins}.")/> }.into_any(),
                    (false, false) => view! { <Hidden name="ends_on" value=ends_on.clone()/> }.into_any(),
                }}
                <div class="row end"><Submit label="Save"/></div>
            </Form>
            {(may(Act::EditOrganization) && (open || group.is_default)).then(|| view! {
                <Form to=SetDefaultGroup::PATH at_once=AtOnce::Turned(if group.is_default { "New users do not join it" } else { "New users join it" })>
                    <Hidden name="id" value=group.id.to_string()/>
                    <Hidden name="was" value=group.is_default.to_string()/>
                    <Hidden name="default" value=(!group.is_default).to_string()/>
                    <div class="row"><Submit label=if group.is_default { "Stop new users from joining it" } else { "Let new users join it" } look=""/></div>
                </Form>
            })}
        </Dialog>
        <Dialog name="new" title="New group below" when=create>
            <Form to=CreateGroup::PATH>
                <Hidden name="parent" value=group.id.to_string()/>
                <Field name="name" label="Name"/>
                <Select name="kind" label="Kind" options=kinds()/>
                <Field name="ends_on" label="Last day" kind="date" optional=true/>
                <div class="row end"><Submit label="Create the group"/></div>
            </Form>
        </Dialog>
        <Dialog name="move" title="Move the group" when=shift>
            // Nothing is moved from here: first it is said who gains and loses what, and which limits tighten.
            <Form to=RehearseMove::PATH>
                <Hidden name="id" value=group.id.to_string()/>
                <PickGroup name="parent" label="Inside" groups=places.clone() none="At the top" value=parent.clone() hint="Everything below moves along. From the next call on it inherits models and limits from there; spend so far stays where it was."/>
                <div class="row end"><Submit label="See what changes"/></div>
            </Form>
        </Dialog>
        {leaver.map(|(user, who, was)| view! {
            <Confirm
                name="leave" title=format!("Take {who} out of {name}?") to=RemoveMember::PATH label=format!("Take {who} out") fields=vec![("group", id.to_string()), ("user", user), ("was", was)]
                consequence=format!("{who} no longer has what {name} opens, and secrets that only this group carried die for good. What they spent stays on the books.")
            />
        })}
        <Dialog name="archive" title=format!("{name} cannot be archived yet") when=archive && !empty>
            <p>{match in_the_way.len() {
                1 => "It still has a group below it. Move or archive that one first.".to_owned(),
                count => format!("It still has {count} groups below it. Move or archive them first."),
            }}</p>
            <ul class="list">{in_the_way.iter().map(|(id, name, people)| view! {
                <li><a href=format!("/groups/{id}")>{name.clone()}</a><span class="muted num">{format!(" {}", how_many(people.unsigned_abs(), "person", "people"))}</span></li>
            }).collect_view()}</ul>
        </Dialog>
        <Confirm
            when=archive && empty name="archive" title=format!("Archive {name}?") to=ArchiveGroup::PATH label=if inside.is_empty() { "Archive the group" } else { "Archive the group with them" } fields=end typed=name.clone()
            consequence=format!("{leave}. {dying}{within} Names and spend stay on the books. This cannot be undone.")
        />
    }
}

/// Where calls go that name no model.
#[component]
fn Unnamed(group: Group, routing: Routing, edit: bool) -> impl IntoView {
    let Routing { stands, policies } = routing;
    let id = group.id;
    let says = match &stands {
        Some((name, from, _)) if *from == id => {
            view! { <b class="mono">{format!("policy/{name}")}</b> }.into_any()
        }
        Some((name, from, above)) => view! {
            <b class="mono">{format!("policy/{name}")}</b>
            <span class="muted">", from "<a href=format!("/groups/{from}")>{above.clone()}</a></span>
        }
        .into_any(),
        None => view! { <span class="muted">"Nowhere: they are refused, and asked to name a model."</span> }
            .into_any(),
    };
    let mut options = vec![(String::new(), "What the group above says".to_owned())];
    options.extend(policies.into_iter().map(|(id, name)| (id, format!("policy/{name}"))));
    let many = options.len() > 1;
    let chosen = group.policy.map(|id| id.to_string()).unwrap_or_default();
    view! {
        <Card title="Calls that name no model">
            <div class="pad form">
                <p>{says}</p>
                <p class="hint">"A key’s own policy comes first, then that of the nearest group. Callers can also write "<span class="mono">"policy/default"</span>". Every model of the policy is decided for the caller as always."</p>
                {(edit && many).then(|| view! {
                    <Form to=SetGroupPolicy::PATH clone:options clone:chosen>
                        <Hidden name="id" value=id.to_string()/>
                        <Hidden name="version" value=group.version.to_string()/>
                        <Select name="policy" label="Policy of this group" options=options.clone() value=chosen.clone()/>
                        <div class="row end"><Submit label="Set the policy" look=""/></div>
                    </Form>
                })}
                {(edit && !many).then(|| view! { <p class="hint">"There is no policy yet. "<a href="/policies">"Policies"</a>" are made by admins."</p> })}
            </div>
        </Card>
    }
}

#[component]
fn Applications(group: String, all: i64, applications: Vec<(String, String, Money)>) -> impl IntoView {
    if applications.is_empty() {
        return view! { <Empty title="No applications" text="Services of this group that call models."/> }
            .into_any();
    }
    let more = all > applications.len() as i64;
    let rows = applications
        .into_iter()
        .map(|(id, name, spend)| view! { <tr><td><a href=format!("/applications/{id}")>{name}</a></td><td class="r num">{spend.to_string()}</td></tr> })
        .collect_view();
    view! { <table class="table"><thead><tr><th>"Name"</th><th class="r">"Month"</th></tr></thead><tbody>{rows}</tbody></table>
        {more.then(|| view! { <p class="note-line"><a href=format!("/applications?group={group}")>{format!("All {} applications", grouped(all.unsigned_abs()))}</a></p> })}
    }
    .into_any()
}
