//! The tree of groups and who is in them.

use chrono::{DateTime, Utc};
use domain::{
    groups::{Group, GroupRow, Member},
    ids::GroupId,
    money::Money,
    requests::Request,
    spend::LimitLevel,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{api::authorizations::Line, error::AppError, frame::Done};

/// The tree, with what the organization spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// The groups that are shown, parents before children.
    pub groups: Vec<Branch>,
    /// How many match beyond those.
    pub more: usize,
    /// How many groups there are.
    pub all: usize,
    /// Every group by its path: id and path.
    pub places: Vec<(String, String)>,
    /// Archived groups, the newest first, where those are asked for: id, path, since when.
    pub archived: Vec<(GroupId, String, DateTime<Utc>)>,
}

/// A row of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// The group with its figures.
    pub row: GroupRow,
    /// How many groups are directly below.
    pub below: usize,
    /// Whether those are left out.
    pub folded: bool,
    /// Where it stands, if it was looked for.
    pub trail: String,
    /// How many models are open to it, and how many more by request.
    pub models: (usize, usize),
}

/// The tree. `fold` and `unfold`: groups whose rows below are hidden or shown; `q`: part of a name;
/// `archived`: those that are closed, instead of the tree.
#[server(prefix = "/console", endpoint = "groups/tree")]
pub async fn load_groups(
    #[server(default)] fold: String,
    #[server(default)] unfold: String,
    #[server(default)] q: String,
    #[server(default)] archived: bool,
) -> Result<Tree, AppError> {
    use crate::backend::*;
    use domain::roles::{Act, Place, allows};
    // How many archived groups are listed.
    const CLOSED: i64 = 200;
    handle(|cx| async move {
        let actor = cx.actor()?.clone();
        let month = cx.month().await?;
        let all = cx.permit(Act::ReadOrganization).is_ok();
        let census = store::census::current(&cx.store, actor.org).await.known()?;
        let look = groups::Look {
            fold: matrix::list(&fold),
            unfold: matrix::list(&unfold),
            q: domain::names::sought(&q),
        };
        let (spots, more) =
            if archived { (Vec::new(), 0) } else { groups::rows(&census, &actor, all, &look) };
        let closed = if archived {
            store::groups::archived(&cx.store, actor.org, &q, CLOSED).await.known()?
        } else {
            Vec::new()
        };
        let reads = |path: &[GroupId]| allows(&actor, Act::ReadGroup, Place::Group(path));
        let closed = closed
            .into_iter()
            .filter(|(path, ..)| reads(path))
            .filter_map(|(path, name, since)| Some((*path.last()?, name, since)))
            .collect();
        if spots.is_empty() && !all && look.q.is_empty() && actor.leads.is_empty() {
            return Err(AppError::Forbidden("You do not lead a group. Admins see all of them.".to_owned()));
        }
        let ids: Vec<GroupId> = spots.iter().map(|spot| spot.group.id).collect();
        let rows = store::groups::rows(&cx.store, actor.org, &month, &ids).await.known()?;
        let (facts, now) = (store::access::current(&cx.store, actor.org).await.known()?, store::clock::now());
        let shown = rows.into_iter().filter_map(|row| {
            let spot = spots.iter().find(|spot| spot.group.id == row.id)?;
            let trail = if look.q.is_empty() { None } else { row.ancestors.last() };
            Some(Branch {
                below: census.below.get(&row.id).copied().unwrap_or_default(),
                folded: spot.folded,
                trail: trail.and_then(|above| census.path(*above)).unwrap_or_default().to_owned(),
                models: matrix::count(&facts, row.id, now),
                row,
            })
        });
        Ok(Tree {
            archived: closed,
            groups: shown.collect(),
            more,
            // Whoever leads some of them counts those.
            all: census.order.iter().filter(|group| all || groups::reads(&actor, group)).count(),
            places: if cx.permit(Act::CreateGroup).is_ok() {
                groups::places(&store::groups::places(&cx.store, actor.org).await.known()?)
            } else {
                Vec::new()
            },
        })
    })
    .await
}

/// Paths of groups that have every word of what is typed in them, the shortest first; a few.
#[server(prefix = "/console", endpoint = "groups/find")]
pub async fn find_groups(q: String) -> Result<Vec<String>, AppError> {
    use crate::backend::*;
    // How many suggestions are read.
    const SUGGESTED: usize = 12;
    handle(|cx| async move {
        let mut found = groups::matching(&cx, &q).await?;
        found.sort_by_key(|(_, path)| path.len());
        found.truncate(SUGGESTED);
        Ok(found.into_iter().map(|(_, path)| path).collect())
    })
    .await
}

/// Everything on a group's page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    /// The group.
    pub group: Group,
    /// What has ended of it and the groups above it, and when.
    pub over: Option<String>,
    /// Who may give it a later last day, by name.
    pub admins: String,
    /// A page of its people and those below, leads first.
    pub members: Vec<Member>,
    /// How many match what is looked for among them.
    pub matching: usize,
    /// Where the next page starts.
    pub next: Option<String>,
    /// Who leads it.
    pub leads: Vec<Member>,
    /// People of it whom the address names, for dialogs about them.
    pub named: Vec<Member>,
    /// People of it whom `find` finds and who can lead it, to hand it over to: id, and name with address.
    pub heirs: Vec<(String, String)>,
    /// How many are in it directly, and in all.
    pub people_in: (i64, i64),
    /// Applications in it: id, name, spend of the month.
    pub applications: Vec<(String, String, Money)>,
    /// How many applications it and the groups below have.
    pub applications_below: i64,
    /// Applications directly in it, to be archived with it: id and name; only where that is asked about.
    pub inside: Vec<(String, String)>,
    /// Groups directly below: id, name, people.
    pub below: Vec<(GroupId, String, i64)>,
    /// Its limits.
    pub limits: Vec<LimitLevel>,
    /// Limits from above: in words, and of what.
    pub above: Vec<(String, String)>,
    /// What it may use, model by model.
    pub models: Vec<Line>,
    /// Requests on its account that wait, and grants that hold.
    pub requests: Vec<Request>,
    /// Where it could be moved: id and path.
    pub places: Vec<(GroupId, String)>,
    /// People who could be added: id, name, address.
    pub people: Vec<(String, String, String)>,
    /// People who are chosen to be added.
    pub chosen: Vec<(String, String, String)>,
    /// Which secrets of whom would die if it were archived, where that is asked; empty: none.
    pub dying: String,
    /// Attributed spend of the month.
    pub spend: Money,
    /// Groups that people can be moved to from here, as a tree: parents before children.
    pub tree: Vec<Node>,
    /// Every group people can be put into: id and path.
    pub targets: Vec<(String, String)>,
    /// What stands for calls that name no model.
    pub routing: Routing,
}

/// What stands for a group's calls that name no model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routing {
    /// The policy, and the group that says so.
    pub stands: Option<(String, GroupId, String)>,
    /// Policies to choose from: id and name.
    pub policies: Vec<(String, String)>,
}

/// A line of the tree beside a group's people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Which group.
    pub id: GroupId,
    /// What it is called.
    pub name: String,
    /// How far down it is.
    pub depth: usize,
    /// Why nobody can be put there by whoever looks; none: they can.
    pub closed: Option<String>,
    /// Whether there are groups below it that the tree leaves out.
    pub folded: bool,
}

/// A group. `dialog`: which of its dialogs is open; `find`: whom to look for in it; `chosen`: who is
/// chosen already to be added, `who`: whom the dialog is about, by commas; `q` and `after`: which page of
/// its people.
#[server(prefix = "/console", endpoint = "groups/get")]
pub async fn load_group(
    id: String,
    #[server(default)] find: String,
    #[server(default)] chosen: String,
    #[server(default)] dialog: String,
    #[server(default)] who: String,
    #[server(default)] q: String,
    #[server(default)] after: String,
) -> Result<GroupView, AppError> {
    use crate::backend::*;
    use domain::{
        ids::UserId,
        limits::Scope,
        roles::{Act, Place, allows},
    };
    // How many people a search finds, and how many a page lists.
    const FOUND: usize = 20;
    const PAGE: usize = 50;
    // How many applications it shows: those that spend most.
    const MOST: i64 = 8;
    handle(|cx| async move {
        let id: GroupId = id.parse().map_err(|_| AppError::NotFound)?;
        let org = cx.permit_in(Act::ReadGroup, id).await?.org();
        let month = cx.month().await?;
        let facts = store::access::current(&cx.store, org).await.known()?;
        let after = store::directory::Mark::read(&after);
        let page =
            store::members::page(&cx.store, org, id, &month, &q, after.as_ref(), PAGE).await.known()?;
        let leads = store::members::leads(&cx.store, org, id, &month).await.known()?;
        let who: Vec<UserId> = who.split(',').filter_map(|id| id.parse().ok()).collect();
        let named = store::members::these(&cx.store, org, id, &month, &who).await.known()?;
        let heirs = if dialog == "hand-over" {
            store::members::heirs(&cx.store, org, id, &month, &find, &who, FOUND).await.known()?
        } else {
            Vec::new()
        };
        let applications = store::applications::most(&cx.store, org, &month, id, MOST).await.known()?;
        let census = store::census::current(&cx.store, org).await.known()?;
        let asked = store::requests::Filter { group: Some(id), ..Default::default() };
        let chosen: Vec<UserId> = chosen.split(',').filter_map(|id| id.parse().ok()).collect();
        let found = if dialog == "add" {
            store::directory::candidates(&cx.store, org, id, &find, FOUND).await.known()?
        } else {
            Vec::new()
        };
        let chosen = store::directory::names(&cx.store, org, &chosen).await.known()?;
        let people = |list: Vec<(UserId, String, String)>| {
            list.into_iter().map(|(user, name, email)| (user.to_string(), name, email)).collect()
        };
        let actor = cx.actor()?.clone();
        let may = |group: GroupId, act| {
            let path = facts.groups.get(&group).map(|group| group.path.as_slice()).unwrap_or_default();
            allows(&actor, act, Place::Group(path))
        };
        let shown: Vec<_> = census.order.iter().filter(|row| may(row.id, Act::ReadGroup)).collect();
        let below: Vec<GroupId> =
            census.order.iter().filter(|row| row.ancestors.last() == Some(&id)).map(|row| row.id).collect();
        let own = store::groups::rows(&cx.store, org, &month, &[id]).await.known()?;
        let near = groups::neighbours(&shown, id);
        let inside = |other: GroupId| facts.groups.get(&other).is_some_and(|group| group.path.contains(&id));
        let contents = if dialog == "archive" {
            store::applications::directly_in(&cx.store, org, id).await.known()?
        } else {
            Vec::new()
        };
        let dying = match cx.permit_in(Act::ArchiveGroup, id).await {
            // What it would do is found out by doing it, and not keeping it.
            Ok(permit) if dialog == "archive" => {
                let mut change = cx.change(permit).await?.only_a_look();
                let with: Vec<_> = contents.iter().map(|(id, _)| *id).collect();
                match store::groups::archive_with(&mut change, id, &with).await {
                    Ok(()) => secrets::die_next(&change).await?,
                    // Groups below it are in the way, which its page says.
                    Err(_) => String::new(),
                }
            }
            _ => String::new(),
        };
        let now = store::clock::now();
        let open = |id: GroupId| domain::access::ended(&facts, id, now).is_none();
        Ok(GroupView {
            over: domain::why::over(&facts, id, now),
            admins: facts.admins_by_name(),
            dying,
            inside: contents.into_iter().map(|(id, name)| (id.to_string(), name)).collect(),
            group: store::groups::get(&cx.store, org, id).await.known()?,
            applications_below: census.count(id).applications,
            applications: applications
                .into_iter()
                .map(|(id, name, spend)| (id.to_string(), name, spend))
                .collect(),
            below: store::groups::rows(&cx.store, org, &month, &below)
                .await
                .known()?
                .into_iter()
                .map(|row| (row.id, row.name, row.members_below))
                .collect(),
            above: facts
                .groups
                .get(&id)
                .map(|group| {
                    groups::limits_from_above(&facts, &group.path[..group.path.len().saturating_sub(1)])
                })
                .unwrap_or_default(),
            limits: store::limits::list(&cx.store, org, &facts, |scope| scope == Scope::Group(id))
                .await
                .known()?,
            requests: store::requests::live(&cx.store, org, &asked).await.known()?,
            models: matrix::lines(&facts, Some(id), store::clock::now()),
            targets: census
                .paths
                .iter()
                .filter(|(other, _)| {
                    dialog == "shift" && *other != id && open(*other) && may(*other, Act::EditMembers)
                })
                .map(|(other, path)| (other.to_string(), path.clone()))
                .collect(),
            tree: groups::nodes(&facts, &actor, id, &shown, &near, now),
            places: census
                .paths
                .iter()
                .filter(|(other, _)| dialog == "move" && !inside(*other) && open(*other))
                .cloned()
                .collect(),
            people: people(found),
            chosen: people(chosen),
            routing: Routing {
                stands: domain::access::policy_of_group(&facts, id).and_then(|found| {
                    let from = found.from?;
                    let name = facts.groups.get(&from).map(|group| group.name.clone()).unwrap_or_default();
                    Some((found.name.to_owned(), from, name))
                }),
                policies: store::policies::list(&cx.store, org)
                    .await
                    .known()?
                    .into_iter()
                    .map(|policy| (policy.id.to_string(), policy.name))
                    .collect(),
            },
            people_in: own.first().map(|row| (row.members, row.members_below)).unwrap_or_default(),
            spend: own.first().map(|row| row.spend).unwrap_or_default(),
            members: page.members,
            matching: page.matching,
            next: page.next.map(|mark| mark.to_string()),
            heirs: heirs
                .into_iter()
                .map(|(user, name, email)| (user.to_string(), format!("{name} ({email})")))
                .collect(),
            leads,
            named,
        })
    })
    .await
}

/// The groups directly below one, as places for people of the group `from`.
#[server(prefix = "/console", endpoint = "groups/below")]
pub async fn load_below(id: String, from: String) -> Result<Vec<Node>, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let (id, from): (GroupId, GroupId) = (read("id", &id)?, read("from", &from)?);
        let org = cx.permit_in(Act::ReadGroup, id).await?.org();
        cx.permit_in(Act::ReadGroup, from).await?;
        let actor = cx.actor()?;
        let facts = store::access::current(&cx.store, org).await.known()?;
        let census = store::census::current(&cx.store, org).await.known()?;
        let shown: Vec<_> = census.order.iter().filter(|row| groups::reads(actor, row)).collect();
        let below = groups::directly_below(&shown, id);
        Ok(groups::nodes(&facts, actor, from, &shown, &below, store::clock::now()))
    })
    .await
}

/// Adds a group.
#[server(prefix = "/console", endpoint = "groups/create")]
pub async fn create_group(
    name: String,
    kind: String,
    #[server(default)] parent: String,
    #[server(default)] ends_on: String,
    #[server(default)] next: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{groups::GroupForm, roles::Act};
    handle(|cx| async move {
        let parent = groups::named_some(&cx, "parent", &parent).await?;
        let form = GroupForm {
            name: read("name", &name)?,
            kind: read("kind", &kind)?,
            ends_on: read_date("ends_on", &ends_on)?,
        };
        let permit = match parent {
            Some(parent) => cx.permit_in(Act::CreateGroup, parent).await?,
            None => cx.permit(Act::CreateGroup)?,
        };
        let mut change = cx.change(permit).await?;
        let id = store::groups::insert(&mut change, parent, &form).await.known()?;
        change.commit().await.known()?;
        let next =
            if next == "welcome" { "/welcome/application".to_owned() } else { format!("/groups/{id}") };
        Ok(Done::said(format!("{} was created.", form.name)).then(next))
    })
    .await
}

/// Changes a group's name, kind and end.
#[server(prefix = "/console", endpoint = "groups/edit")]
pub async fn edit_group(
    id: String,
    version: i64,
    name: String,
    kind: String,
    #[server(default)] ends_on: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{groups::GroupForm, roles::Act};
    handle(|cx| async move {
        let id = read("id", &id)?;
        let form = GroupForm {
            name: read("name", &name)?,
            kind: read("kind", &kind)?,
            ends_on: read_date("ends_on", &ends_on)?,
        };
        let permit = cx.permit_in(Act::EditGroup, id).await?;
        let before = store::groups::get(&cx.store, permit.org(), id).await.known()?;
        let mut change = cx.change(permit).await?;
        store::groups::update(&mut change, id, version, &form).await.known()?;
        let saved = change.commit().await.known()?;
        // Who made its end earlier may not make it later again, and a day that is over is nobody's to give.
        let today = cx.calendar().await?.day(store::clock::now());
        let to_come = before.ends_on.is_none_or(|last| last >= today);
        let again = before.ends_on == form.ends_on || (to_come && cx.permit(Act::EditGroup).is_ok());
        let undo = (saved && again).then(|| ways_back::group(&before));
        Ok(Done::said("Group saved.").then(format!("/groups/{id}")).undone_by(undo))
    })
    .await
}

/// Says which policy stands for a group's calls that name no model; empty: the one of the group above.
#[server(prefix = "/console", endpoint = "groups/policy")]
pub async fn set_group_policy(
    id: String,
    version: i64,
    #[server(default)] policy: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let id = read("id", &id)?;
        let permit = cx.permit_in(Act::EditGroup, id).await?;
        let before = store::groups::get(&cx.store, permit.org(), id).await.known()?;
        let mut change = cx.change(permit).await?;
        store::groups::set_policy(&mut change, id, version, read_some("policy", &policy)?).await.known()?;
        let saved = change.commit().await.known()?;
        let undo = saved.then(|| ways_back::group_policy(&before));
        Ok(Done::said("Saved. It holds from the next call on.").then(format!("/groups/{id}")).undone_by(undo))
    })
    .await
}

/// Puts a group elsewhere in the tree. `was`: the group it was shown in, empty for the top.
#[server(prefix = "/console", endpoint = "groups/move")]
pub async fn move_group(
    id: String,
    was: String,
    #[server(default)] parent: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let id: GroupId = read("id", &id)?;
        let permit = cx.permit(Act::MoveGroup)?;
        let parent = groups::named_some(&cx, "parent", &parent).await?;
        let (mut change, was) = (cx.change(permit).await?, read_some("was", &was)?);
        store::groups::move_from(&mut change, id, was, parent).await.known()?;
        let saved = change.commit().await.known()? && groups::takes_in(&cx, was).await?;
        let undo = saved.then(|| ways_back::place(id, was, parent));
        Ok(Done::said("Group moved.").then(format!("/groups/{id}")).undone_by(undo))
    })
    .await
}

/// Closes a group for good. `version`: as it was shown; `typed`: its name, typed out; `applications`: those
/// in it, as they were named, which are closed with it.
#[server(prefix = "/console", endpoint = "groups/archive")]
pub async fn archive_group(
    id: String,
    version: i64,
    #[server(default)] typed: String,
    #[server(default)] applications: Vec<String>,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let id: GroupId = read("id", &id)?;
        let applications =
            applications.iter().map(|id| read("applications", id)).collect::<Result<Vec<_>, _>>()?;
        let mut change = cx.change(cx.permit_in(Act::ArchiveGroup, id).await?).await?;
        as_shown(&mut change, id.0, version, Some(&typed)).await?;
        store::groups::archive_with(&mut change, id, &applications).await.known()?;
        let fallen = change.fallen();
        change.commit().await.known()?;
        let said = match applications.len() {
            0 => "Group archived. Its spend stays on the books.".to_owned(),
            1 => "Group archived with its application. Their spend stays on the books.".to_owned(),
            count => format!("Group archived with its {count} applications. Their spend stays on the books."),
        };
        Ok(Done::said(secrets::with_dead(&said, fallen, false)).then("/groups"))
    })
    .await
}

/// Says whether new users join a group. `was`: whether they do, as it was shown.
#[server(prefix = "/console", endpoint = "groups/default")]
pub async fn set_default_group(
    id: String,
    was: bool,
    #[server(default)] default: bool,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::EditOrganization)?;
        let id = groups::named(&cx, "id", &id).await?;
        let mut change = cx.change(permit).await?;
        store::groups::turn_default(&mut change, id, was, default).await.known()?;
        let undo = change.commit().await.known()?.then(|| ways_back::default_group(id, default));
        let said =
            if default { "New users join this group." } else { "New users no longer join this group." };
        Ok(Done::said(said).undone_by(undo))
    })
    .await
}

/// Puts a person into a group, or changes what they are in it and until when.
#[server(prefix = "/console", endpoint = "groups/add-member")]
pub async fn add_member(
    group: String,
    user: String,
    #[server(default)] lead: bool,
    #[server(default)] ends_on: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        batches::{Outcome, Task, Undo},
        groups::Standing,
        roles::Act,
    };
    handle(|cx| async move {
        let (group, user) = (groups::named(&cx, "group", &group).await?, read("user", &user)?);
        let standing = if lead { Standing::Lead } else { Standing::Member };
        let calendar = cx.calendar().await?;
        let ends_at =
            read_date("ends_on", &ends_on)?.and_then(|day| day.succ_opt()).map(|day| calendar.midnight(day));
        if store::groups::leads(&cx.store, cx.org()?, group, user).await.known()? {
            cx.permit_in(Act::EditLeads, group).await?;
        }
        let task = Task::Join { group, standing, ends_at };
        let permit = batches::permit(&cx, task).await?;
        let (mut change, batch, effect) = batches::of_one(&cx, permit, user, task).await?;
        // Who is in it already is changed where it is shown what they are.
        let there = match effect.undo {
            Some(Undo::Member { ends_at, .. }) => Some((Standing::Member, ends_at)),
            _ if effect.outcome == Outcome::Already => {
                store::groups::standing(&mut change, group, user).await.known()?
            }
            _ => None,
        };
        if let Some(now) = there.filter(|now| *now != (standing, ends_at)) {
            return Err(groups::there_already(calendar, now));
        }
        let undo = change.commit().await.known()?.then(|| ways_back::batch(batch));
        Ok(Done::said("Membership saved.").undone_by(undo))
    })
    .await
}

/// Changes what somebody is in a group, and until when. `was`: what was shown, as
/// [`domain::groups::seen_as`] writes it; `next`: `user` where their own page comes next.
#[server(prefix = "/console", endpoint = "groups/edit-member")]
pub async fn edit_member(
    group: String,
    user: String,
    was: String,
    #[server(default)] lead: bool,
    #[server(default)] ends_on: String,
    #[server(default)] next: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        groups::{Standing, seen_as},
        roles::Act,
    };
    handle(|cx| async move {
        let (group, user) = (read("group", &group)?, read("user", &user)?);
        let standing = if lead { Standing::Lead } else { Standing::Member };
        let calendar = cx.calendar().await?;
        let ends_at =
            read_date("ends_on", &ends_on)?.and_then(|day| day.succ_opt()).map(|day| calendar.midnight(day));
        let was_lead = store::groups::leads(&cx.store, cx.org()?, group, user).await.known()?;
        let act = if lead || was_lead { Act::EditLeads } else { Act::EditMembers };
        let mut change = cx.change(cx.permit_in(act, group).await?).await?;
        let now = store::groups::standing(&mut change, group, user).await.known()?;
        let (standing_now, until) = now.ok_or(AppError::NotFound)?;
        if seen_as(standing_now, until) != was {
            return Err(AppError::Stale);
        }
        store::groups::set_member(&mut change, group, user, standing, ends_at).await.known()?;
        let now = store::groups::standing(&mut change, group, user).await.known()?;
        let saved = change.commit().await.known()?;
        let undo = now
            .filter(|_| saved)
            .map(|now| ways_back::membership(calendar, group, user, (standing_now, until), now));
        let next = if next == "user" { format!("/users/{user}") } else { format!("/groups/{group}") };
        Ok(Done::said("Membership saved.").then(next).undone_by(undo))
    })
    .await
}

/// Puts several people into a group at once.
#[server(prefix = "/console", endpoint = "groups/add-members")]
pub async fn add_members(
    group: String,
    #[server(default)] users: Vec<String>,
    #[server(default)] lead: bool,
    #[server(default)] ends_on: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        batches::{Outcome, Task, count},
        groups::Standing,
        ids::UserId,
    };
    handle(|cx| async move {
        let calendar = cx.calendar().await?;
        let day = read_date("ends_on", &ends_on)?.and_then(|day| day.succ_opt());
        let group = read("group", &group)?;
        let task = Task::Join {
            group,
            standing: if lead { Standing::Lead } else { Standing::Member },
            ends_at: day.map(|day| calendar.midnight(day)),
        };
        let ids: Vec<UserId> = users.iter().map(|id| read("users", id)).collect::<Result<_, _>>()?;
        let permit = batches::permit(&cx, task).await?;
        let me = permit.actor().user.ok_or(AppError::NotFound)?;
        let id = store::batches::prepare(&cx.store, &permit, &ids).await.known()?;
        let batch = store::batches::get(&cx.store, permit.org(), me, id).await.known()?;
        let mut change = cx.change(permit).await?;
        let effects = store::batches::confirm(&mut change, &batch, task).await.known()?;
        if !change.commit().await.known()? {
            return Err(AppError::field("users", "They are in the group already."));
        }
        let changed = batches::people(count(&effects, Outcome::Changed));
        Ok(Done::said(format!("{changed} added.")).then(format!("/users/batch/{id}?back=/groups/{group}")))
    })
    .await
}

/// Takes a person out of a group. `was`: what they were shown as, as [`domain::groups::seen_as`] writes
/// it; `known`: which secrets die with it, as it was said; what was not said is not done.
#[server(prefix = "/console", endpoint = "groups/remove-member")]
pub async fn remove_member(
    group: String,
    user: String,
    was: String,
    #[server(default)] known: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        batches::{Task, Undo},
        groups::{Standing, seen_as},
        roles::Act,
    };
    handle(|cx| async move {
        let (group, user) = (read("group", &group)?, read("user", &user)?);
        let said = "Removed from the group.";
        if store::groups::leads(&cx.store, cx.org()?, group, user).await.known()? {
            let mut change = cx.change(cx.permit_in(Act::EditLeads, group).await?).await?;
            let now = store::groups::standing(&mut change, group, user).await.known()?;
            let now = now.ok_or(AppError::NotFound)?;
            if seen_as(now.0, now.1) != was {
                return Err(groups::not_as_shown(&cx, (group, user), now).await?);
            }
            store::groups::remove_member(&mut change, group, user).await.known()?;
            let (name, _) = store::users::name(&cx.store, change.org(), user).await.known()?;
            secrets::meant(&change, "", &[(user, &name)], &known)?;
            let fallen = change.fallen();
            change.commit().await.known()?;
            let again = groups::takes_in(&cx, Some(group)).await?;
            let undo = again.then_some(ways_back::lead(cx.calendar().await?, group, user, now.1));
            return Ok(Done::said(secrets::with_dead(said, fallen, again)).undone_by(undo));
        }
        let task = Task::Leave(group);
        let permit = batches::permit(&cx, task).await?;
        let (change, batch, effect) = batches::of_one(&cx, permit, user, task).await?;
        let Some(Undo::Join { ends_at, .. }) = effect.undo else { return Err(AppError::NotFound) };
        if seen_as(Standing::Member, ends_at) != was {
            return Err(groups::not_as_shown(&cx, (group, user), (Standing::Member, ends_at)).await?);
        }
        secrets::meant(&change, "", &[(user, &effect.name)], &known)?;
        let fallen = change.fallen();
        change.commit().await.known()?;
        let again = groups::takes_in(&cx, Some(group)).await?;
        let undo = again.then(|| ways_back::batch(batch));
        Ok(Done::said(secrets::with_dead(said, fallen, again)).undone_by(undo))
    })
    .await
}

/// Puts people from one group into another; with `copy` they stay in the first one, too. `known`: which
/// secrets die with it, as it was said; what was not said is not done.
#[server(prefix = "/console", endpoint = "groups/move-people")]
pub async fn move_people(
    from: String,
    to: String,
    #[server(default)] users: Vec<String>,
    #[server(default)] copy: bool,
    #[server(default)] known: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        batches::{Outcome, Task, count},
        groups::Standing,
        ids::UserId,
    };
    handle(|cx| async move {
        let from: GroupId = read("from", &from)?;
        let to = groups::named(&cx, "to", &to).await?;
        // Where they are stays as it is; it has to be here all the same.
        store::groups::path(&cx.store, cx.org()?, from).await.known()?;
        let task = if copy {
            Task::Join { group: to, standing: Standing::Member, ends_at: None }
        } else {
            Task::Move { from, to }
        };
        let ids: Vec<UserId> = users.iter().map(|id| read("users", id)).collect::<Result<_, _>>()?;
        let permit = batches::permit(&cx, task).await?;
        let (org, me) = (permit.org(), permit.actor().user.ok_or(AppError::NotFound)?);
        let id = store::batches::prepare(&cx.store, &permit, &ids).await.known()?;
        let batch = store::batches::get(&cx.store, org, me, id).await.known()?;
        let mut change = cx.change(permit).await?;
        let effects = store::batches::confirm(&mut change, &batch, task).await.known()?;
        let name = store::groups::get(&cx.store, org, to).await.known()?.name().to_owned();
        let moved: Vec<_> = effects.iter().filter(|effect| effect.outcome == Outcome::Changed).collect();
        let [first, ..] = moved.as_slice() else {
            let why = effects.first().map_or_else(String::new, |effect| {
                format!("{} {}.", effect.name, effect.text.trim_end_matches('.'))
            });
            return Err(AppError::field("to", why));
        };
        let people: Vec<_> = moved.iter().map(|effect| (effect.user, effect.name.as_str())).collect();
        let who = if moved.len() == 1 { first.name.clone() } else { batches::people(moved.len()) };
        let was = store::groups::get(&cx.store, org, from).await.known()?.name().to_owned();
        let s = if moved.len() == 1 { "s" } else { "" };
        let doing = if copy {
            format!("{who} join{s} {name}, too, and stay{s} in {was}.")
        } else {
            format!("{who} move{s} from {was} to {name}.")
        };
        secrets::meant(&change, &doing, &people, &known)?;
        let fallen = change.fallen();
        change.commit().await.known()?;
        let left = effects.len() - count(&effects, Outcome::Changed);
        let rest =
            if left == 0 { String::new() } else { format!(" {} left where they were.", batches::were(left)) };
        let verb = if copy { "Added" } else { "Moved" };
        let again = copy || groups::takes_in(&cx, Some(from)).await?;
        let undo = again.then(|| ways_back::batch(id));
        let done = Done::said(secrets::with_dead(&format!("{verb} {who} to {name}.{rest}"), fallen, again));
        Ok(Done {
            stays: true,
            ..done.then(format!("/users/batch/{id}?back=/groups/{from}")).undone_by(undo)
        })
    })
    .await
}

/// Hands a group from one of its leads to somebody else. `stays`: the lead goes on as a member;
/// `member_until` and `lead_until`: the moments at which the one and the other leave by themselves, where a
/// hand-over is taken back, for those who say who leads it.
#[server(prefix = "/console", endpoint = "groups/hand-over")]
pub async fn hand_over_group(
    group: String,
    from: String,
    user: String,
    #[server(default)] stays: bool,
    #[server(default)] member_until: String,
    #[server(default)] lead_until: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{groups::Standing, roles::Act};
    handle(|cx| async move {
        let (group, from) = (read("group", &group)?, read("from", &from)?);
        let user = heirs::chosen("user", &user)?;
        let permit = match cx.permit_in(Act::EditLeads, group).await {
            // One's own lead is handed over without anybody's leave; the store looks whose it is.
            Err(AppError::Forbidden(_)) => cx.permit(Act::UseOwn)?,
            permit => permit?,
        };
        let after = store::leads::After {
            stays,
            member_until: read_moment("member_until", &member_until)?,
            lead_until: read_moment("lead_until", &lead_until)?,
        };
        let mut change = cx.change(permit).await?;
        let there = store::groups::standing(&mut change, group, user).await.known()?;
        let led_until =
            store::groups::standing(&mut change, group, from).await.known()?.and_then(|was| was.1);
        store::leads::hand_over(&mut change, group, from, user, after).await.known()?;
        let fallen = change.fallen();
        change.commit().await.known()?;
        // Who led it and handed it over has no say in who leads it; who led it already goes on.
        let led = there.is_some_and(|(standing, _)| standing == Standing::Lead);
        let undo = (!led && cx.permit_in(Act::EditLeads, group).await.is_ok())
            .then(|| ways_back::group_lead(group, (from, led_until), user, there.map(|there| there.1)));
        let (name, _) = store::users::name(&cx.store, cx.org()?, user).await.known()?;
        let next = if cx.permit_in(Act::ReadGroup, group).await.is_ok() {
            format!("/groups/{group}")
        } else {
            "/".to_owned()
        };
        let said = secrets::with_dead(&format!("{name} leads the group now."), fallen, undo.is_some());
        Ok(Done::said(said).then(next).undone_by(undo))
    })
    .await
}
