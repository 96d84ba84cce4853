//! The people of a group beside the tree of groups: taken out, moved and added, by mouse, by
//! keyboard, by menu and without script.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{
    groups::{Group, Member, Source, Standing, seen_as},
    money::grouped,
    roles::Act,
    time,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{
    heirs::{FindHeir, nobody_yet},
    users::source,
};
use crate::{
    api::groups::{EditMember, HandOverGroup, MovePeople, Node, RemoveMember},
    ui::{
        AtOnce, Badge, Card, Check, Consent, Dialog, Empty, Field, Form, Hidden, Kept, Kind, Menu, Moving,
        OpenDialog, Pager, PickGroup, Select, Submit, asked, context::frame, may, query,
    },
};

/// The card of the people, the tree beside it, and the dialogs between them.
#[component]
pub fn People(
    /// A page of them, leads first.
    members: Vec<Member>,
    /// How many match what is looked for.
    matching: usize,
    /// Where the next page starts.
    next: Option<String>,
    /// Those whom the address names.
    named: Vec<Member>,
    /// Who could lead it next: id, and name with address.
    heirs: Vec<(String, String)>,
    /// How many are in it directly, and in all.
    count: (i64, i64),
    /// Of which group.
    group: Group,
    /// Where they can be moved to with the mouse.
    tree: Vec<Node>,
    /// Where they can be moved to at all.
    targets: Vec<(String, String)>,
    /// Whether people may be taken out, and put elsewhere.
    edit: bool,
    /// Whether people may be put in.
    add: bool,
    /// Whether it may be said who leads.
    edit_leads: bool,
) -> impl IntoView {
    let id = group.id.to_string();
    let (direct, all) = count;
    let number = |count: i64| grouped(count.unsigned_abs());
    let note = format!("{} direct, {} in all", number(direct), number(all));
    let looked = query::value("q");
    // Where one page does not hold all of them they are looked for.
    let many = all > members.len() as i64 || !looked.is_empty();
    let movable = edit && tree.len() > 1;
    let form = id.clone();
    let (edited, leads) = (named.clone(), named.clone());
    let of = group.clone();
    let out = members.iter().find(|member| query::value("dialog") == take_out(&member.user.to_string()));
    let out = out.filter(|_| edit).map(|member| {
        let was = seen_as(member.standing, member.ends_at);
        view! { <TakeOut name=take_out(&member.user.to_string()) which=member.user.to_string() group=id.clone() of=group.name().to_owned() user=member.user.to_string() who=member.name.clone() was/> }
    });
    view! {
        <Moving from=id.clone()>
            <div class=if movable { "members with-tree" } else { "members" }>
                <Card title="People" note actions=ViewFn::from(move || view! { {add.then(|| view! { <OpenDialog name="add" label="Add people" look="btn small"/> })} })>
                    {many.then(|| view! { <Find group=form.clone() matching/> })}
                    <Table members=members.clone() group=id.clone() movable edit edit_leads/>
                    {movable.then(|| view! { <Bar group=form.clone()/> })}
                    {many.then(|| view! { <Pager next=next.clone()/> })}
                </Card>
                {movable.then(|| view! { <Tree tree/> })}
            </div>
        </Moving>
        {out}
        {edit.then(|| view! { <Membership members=edited group=of.clone() edit_leads/> })}
        {edit.then(|| view! { <Shift members=named group=of targets/> })}
        <HandOver members=leads heirs group edit_leads/>
    }
}

/// The dialog that asks before somebody is out of a group, with whose secrets.
pub(super) fn take_out(whom: &str) -> String {
    format!("take-out-{whom}")
}

/// Asks before somebody is out of a group whose secrets die with that; who has none of them is out at once,
/// by the form in the menu of their line, which is answered with this.
#[component]
pub(super) fn TakeOut(
    /// The dialog.
    name: String,
    /// Which form it answers.
    which: String,
    /// Out of which group.
    group: String,
    /// What that is called.
    of: String,
    /// Who.
    user: String,
    /// What they are called.
    who: String,
    /// What they were shown as.
    was: String,
) -> impl IntoView {
    view! {
        <Dialog name title=format!("Take {who} out of {of}?") leave="Cancel">
            <Form to=RemoveMember::PATH which>
                <p>{format!("{who} no longer has what only {of} opens for them. What they spent stays on the books.")}</p>
                <Hidden name="group" value=group.clone()/><Hidden name="user" value=user.clone()/><Hidden name="was" value=was.clone()/>
                <Consent name="known"/>
                <div class="row end"><Submit label=format!("Take {who} out") look="danger"/></div>
            </Form>
        </Dialog>
    }
}

/// Where the form is that takes somebody out of a group, should it have to ask first.
pub(super) fn asks_on(whom: &str) -> String {
    query::href(&[("dialog", Some(&take_out(whom))), ("who", None)])
}

/// Somebody among many, and the way to all of them with their limits.
#[component]
fn Find(group: String, matching: usize) -> impl IntoView {
    let q = query::value("q");
    let found = (!q.is_empty()).then(|| format!("{} found", grouped(matching as u64)));
    view! {
        <form method="get" action=format!("/groups/{group}") class="row find-people" role="search">
            <input type="search" name="q" value=q.clone() class="find" placeholder="Name or email" aria-label="Somebody of the group: name or email"/>
            <button class="btn">"Search"</button>
            {found.map(|found| view! { <span class="muted num" role="status">{found}</span> })}
            {(!q.is_empty()).then(|| view! { <a class="link" href=format!("/groups/{group}")>"Show everybody"</a> })}
            {may(Act::ReadOrganization).then(|| view! { <a class="link" href=format!("/users?group={group}")>"In the directory"</a> })}
        </form>
    }
}

#[component]
fn Table(members: Vec<Member>, group: String, movable: bool, edit: bool, edit_leads: bool) -> impl IntoView {
    if members.is_empty() && !query::value("q").is_empty() {
        return view! { <Empty title="Nobody is called that" text="Look for another part of the name or address."/> }.into_any();
    }
    if members.is_empty() {
        return view! { <Empty title="Nobody yet" text="People of a group share its models and its budget, and can have secrets of keys that are assigned to it."/> }.into_any();
    }
    let rows = members
        .into_iter()
        .map(|member| view! { <Line member group=group.clone() movable edit edit_leads/> })
        .collect_view();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="People">
            <table class="table">
                <thead><tr>
                    {movable.then(|| view! { <th class="tick-cell"><span class="sr">"Select"</span></th> })}
                    <th>"Person"</th><th class="hide">"Through"</th><th class="r hide">"Month, anywhere"</th><th><span class="sr">"Actions"</span></th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// An address that breaks after its signs, where it does not fit into a line.
pub(super) fn address(email: &str) -> impl IntoView {
    let pieces = email.split_inclusive(['.', '@', '-', '_', '+']);
    pieces.map(|piece| view! { {piece.to_owned()}<wbr/> }).collect_view()
}

#[component]
fn Line(member: Member, group: String, movable: bool, edit: bool, edit_leads: bool) -> impl IntoView {
    let lead = member.standing == Standing::Lead;
    let direct = member.through.is_none();
    let me = frame().here().map(|here| here.user);
    let removable = direct && (edit_leads || (edit && !lead));
    let gives = direct && lead && (edit_leads || me == Some(member.user));
    let moves = movable && direct && !lead;
    let user = member.user.to_string();
    let (name, tick) = (member.name.clone(), user.clone());
    let actions = format!("Actions for {}", member.name);
    let dialog = |name: &str, copy: Option<&str>| {
        query::href(&[("dialog", Some(name)), ("who", Some(&user)), ("copy", copy)])
    };
    let (shift, copy, give) = (dialog("shift", None), dialog("shift", Some("1")), dialog("hand-over", None));
    let change = dialog("membership", None);
    // What the identity provider said is changed there.
    let changes = removable && matches!(member.source, Source::Manual | Source::Default);
    let any = removable || gives || movable;
    // Why a line does not go along when people are moved.
    let stays = match (lead, &member.through) {
        _ if moves || !movable => None,
        (_, Some((_, name))) => Some(format!("{} is here through {name}, and is moved there.", member.name)),
        (_, None) if lead => Some(format!(
            "{} leads this group: hand the lead over before you move them, or add them to another group, too.",
            member.name
        )),
        _ => None,
    };
    let (remove, out) = (user.clone(), asks_on(&user));
    let stays_too = stays.clone().filter(|_| direct);
    let why_id = format!("stays-{user}");
    let was = seen_as(member.standing, member.ends_at);
    let until = last_day(member.ends_at).map(|day| format!(" · through {}", time::date(day)));
    view! {
        <tr draggable=movable.then_some("true") title=stays.clone() data-stays=stays data-user=movable.then(|| user.clone()) data-name=name.clone()>
            {movable.then(|| view! { <td class="tick-cell">
                {moves.then(|| view! { <input type="checkbox" class="members-tick" form="members-many" name="who" value=tick aria-label=format!("Select {name}") autocomplete="off"/> })}
                {stays_too.is_some().then(|| view! { <input type="checkbox" disabled aria-label=format!("Select {name}") aria-describedby=why_id.clone()/> })}
            </td> })}
            <td>
                <a href=format!("/users/{}", member.user)><b>{member.name}</b></a>
                {lead.then(|| view! { " "<Badge text="lead" kind=Kind::Good/> })}
                {member.suspended.then(|| view! { " "<Badge text="suspended" kind=Kind::Bad/> })}
                <div class="sub">{address(&member.email)}<span class="narrow-only num">{format!("{} this month", member.spend)}{until.clone()}</span></div>
                {stays_too.clone().map(|why| view! { <div class="sub" id=why_id.clone()>{why}</div> })}
                {member.through.clone().map(|(id, name)| view! {
                    <div class="narrow-only"><Badge text=format!("through {name}") kind=Kind::Inherited href=format!("/groups/{id}")/></div>
                })}
            </td>
            <td class="hide">{match member.through {
                Some((id, name)) => view! { <Badge text=format!("through {name}") kind=Kind::Inherited href=format!("/groups/{id}")/> }.into_any(),
                None => view! { <span class="muted">{super::capital(source(member.source))}{until}</span> }.into_any(),
            }}</td>
            <td class="r num hide">{member.spend.to_string()}</td>
            <td class="r">{any.then(|| view! {
                <Menu id=format!("menu-{user}") label="⋯" name=actions look="btn small dots">
                    <ul>
                        {moves.then(|| view! { <li><a href=shift data-within="">"Move to…"<span class="muted">"M"</span></a></li> })}
                        {movable.then(|| view! { <li><a href=copy data-within="">"Add to…"</a></li> })}
                        {changes.then(|| view! { <li><a href=change data-within="">"Edit the membership…"</a></li> })}
                        {gives.then(|| view! { <li><a href=give data-within="">"Hand the lead over…"</a></li> })}
                        {removable.then(|| view! {
                            <li><Form to=RemoveMember::PATH which=remove.clone() asks_on=out.clone() at_once=AtOnce::Gone>
                                <Hidden name="group" value=group.clone()/><Hidden name="user" value=remove.clone()/><Hidden name="was" value=was.clone()/>
                                <button class="members-remove">"Remove from the group"</button>
                            </Form></li>
                        })}
                    </ul>
                </Menu>
            })}</td>
        </tr>
    }
}

/// The last day of a membership that ends by itself.
pub(super) fn last_day(ends_at: Option<DateTime<Utc>>) -> Option<NaiveDate> {
    ends_at.map(|end| frame().zone.local(end - TimeDelta::seconds(1)).date())
}

/// What somebody is in the group, and until when.
#[component]
fn Membership(members: Vec<Member>, group: Group, edit_leads: bool) -> impl IntoView {
    let who = query::value("who");
    let Some(member) =
        members.into_iter().find(|member| member.user.to_string() == who && member.through.is_none())
    else {
        return ().into_any();
    };
    let lead = member.standing == Standing::Lead;
    let was = seen_as(member.standing, member.ends_at);
    let day = last_day(member.ends_at).map(|day| day.to_string()).unwrap_or_default();
    let id = group.id.to_string();
    view! {
        <Dialog name="membership" title=format!("{} in {}", member.name, group.name())>
            <Form to=EditMember::PATH>
                <Hidden name="group" value=id.clone()/><Hidden name="user" value=who.clone()/><Hidden name="was" value=was.clone()/>
                {edit_leads.then(|| view! { <Check name="lead" label="They lead this group" checked=lead hint="Manages people, applications and limits here and below."/> })}
                <Field name="ends_on" label="Last day" kind="date" value=day.clone() optional=true hint="The membership ends by itself after this day. Empty: it goes on until somebody takes them out."/>
                <div class="row end"><Submit label="Save"/></div>
            </Form>
        </Dialog>
    }
    .into_any()
}

/// What can be done with those who are ticked.
#[component]
fn Bar(group: String) -> impl IntoView {
    view! {
        <form method="get" action=format!("/groups/{group}") id="members-many" class="members-bar row between">
            <Hidden name="dialog" value="shift"/>
            <b role="status" class="members-count">"Those selected"</b>
            <span class="row">
                <button class="btn small">"Move to…"</button>
                <button class="btn small" name="copy" value="1">"Add to…"</button>
            </span>
        </form>
    }
}

/// The tree as somewhere to drop people.
#[component]
fn Tree(tree: Vec<Node>) -> impl IntoView {
    let rows = tree
        .into_iter()
        .map(|node| {
            let open = node.closed.is_none();
            view! {
                // As the island draws those that it opens, too.
                <li class=format!("members-node depth-{}", node.depth.min(8)) data-into=open.then(|| node.id.to_string()) data-closed=node.closed data-folded=node.folded.then(|| node.id.to_string())>
                    <a href=format!("/groups/{}", node.id) draggable="false">{node.name}</a><span class="members-new num"></span>
                </li>
            }
        })
        .collect_view();
    view! {
        <Card title="Groups" class="members-tree">
            <p class="members-hint scripted">"Drag people onto a group to move them; with Ctrl, or ⌥ on a Mac, they stay here, too."</p>
            <ul>{rows}</ul>
        </Card>
    }
}

/// Who is meant by the address: one from a menu or a key, several from the bar.
fn chosen(members: &[Member]) -> Vec<(String, String)> {
    let ids: Vec<String> =
        query::values("who").iter().flat_map(|ids| ids.split(',')).map(str::to_owned).collect();
    let known = |member: &&Member| ids.contains(&member.user.to_string());
    members.iter().filter(known).map(|member| (member.user.to_string(), member.name.clone())).collect()
}

/// Moving and adding, as a form.
#[component]
fn Shift(members: Vec<Member>, group: Group, targets: Vec<(String, String)>) -> impl IntoView {
    let copy = query::value("copy") == "1";
    let who = chosen(&members);
    let title = match (who.as_slice(), copy) {
        ([(_, name)], false) => format!("Move {name}"),
        ([(_, name)], true) => format!("Add {name} to another group"),
        (_, false) => format!("Move {} people", who.len()),
        (_, true) => format!("Add {} people to another group", who.len()),
    };
    let from = group.name().to_owned();
    view! {
        <Dialog name="shift" title>
            {if who.is_empty() {
                view! { <Empty title="Nobody is chosen" text="Tick people of the group first, or use the menu at the end of their line."/> }.into_any()
            } else if targets.is_empty() {
                view! { <Empty title="There is no other group for them" text="Make one first, or ask an admin: you put people only into groups that you lead."/> }.into_any()
            } else {
                let names: Vec<_> = who.iter().map(|(_, name)| name.clone()).collect();
                view! {
                    // One person is named by the title.
                    {(names.len() > 1).then(|| view! { <p class="muted">{names.join(", ")}</p> })}
                    <Form to=MovePeople::PATH>
                        <Hidden name="from" value=group.id.to_string()/>
                        {who.iter().map(|(id, _)| view! { <Hidden name="users[]" value=id.clone()/> }).collect_view()}
                        {if asked() {
                            // What dies with it is said above: nothing else is to be said any more.
                            view! {
                                <Kept name="to"/><Consent name="known"/>
                                <div class="row end"><Submit label="Move all the same" look="danger"/></div>
                            }.into_any()
                        } else {
                            view! {
                                <PickGroup name="to" label="To which group" groups=targets.clone() searched=true/>
                                <Check name="copy" label=format!("They stay in {from}, too") checked=copy/>
                                <div class="row end"><Submit label=if copy { "Add" } else { "Move" }/></div>
                            }.into_any()
                        }}
                    </Form>
                }.into_any()
            }}
        </Dialog>
    }
}

/// From one lead to the next.
#[component]
fn HandOver(
    members: Vec<Member>,
    heirs: Vec<(String, String)>,
    group: Group,
    edit_leads: bool,
) -> impl IntoView {
    let who = query::value("who");
    let leads: Vec<&Member> = members
        .iter()
        .filter(|member| member.standing == Standing::Lead && member.through.is_none())
        .collect();
    let Some(lead) = leads.iter().find(|lead| lead.user.to_string() == who) else { return ().into_any() };
    let (name, from) = (lead.name.clone(), who.clone());
    let none = heirs.is_empty();
    let page = format!("/groups/{}", group.id);
    let note = if edit_leads || may(Act::EditUsers) {
        "They lead it and everything below from then on."
    } else {
        "They lead it and everything below from then on; you do not any more."
    };
    view! {
        <Dialog name="hand-over" title=format!("Who leads {} after {name}?", group.name())>
            <FindHeir page dialog="hand-over"/>
            {if none {
                view! { <Empty title="Nobody to hand it to" text="It goes to somebody of the group: look for another name, or add them first."/> }.into_any()
            } else {
                view! {
                    <Form to=HandOverGroup::PATH>
                        <Hidden name="group" value=group.id.to_string()/>
                        <Hidden name="from" value=from.clone()/>
                        <Select name="user" label="The next lead" options=nobody_yet(heirs.clone()) hint=note/>
                        <Check name="stays" label=format!("{name} stays as a member") checked=true hint="Otherwise they leave it, and secrets of theirs that only this group carries die for good, whether or not this is undone."/>
                        <div class="row end"><Submit label="Hand over"/></div>
                    </Form>
                }.into_any()
            }}
        </Dialog>
    }
    .into_any()
}
