//! Changes to many people: what was shown is what happens, all of it or nothing, and back again.

use domain::{
    batches::{Effect, Outcome, Task, count},
    groups::{Source, Standing},
    ids::{BatchId, GroupId, UserId},
    money::Money,
    roles::{Act, Actor, Place, permit},
    users::Role,
};
use store::{
    Change, StoreError, access, applications, audit,
    audit::Chain,
    batches, clock,
    directory::{self, Ask},
    groups, imports, limits,
    rollups::Month,
    testing, users,
};

use crate::{organization::Organization, people::sign_in};

async fn person(change: &mut Change, name: &str) -> UserId {
    let form = users::UserForm {
        email: format!("{}@acme.example", name.to_lowercase()).parse().expect("an address"),
        name: name.parse().expect("a name"),
        role: Role::Member,
    };
    users::insert(change, &form).await.expect("a person")
}

struct World {
    org: Organization,
    owner: UserId,
    people: Vec<UserId>,
}

impl World {
    async fn new() -> Self {
        let org = Organization::new().await;
        let mut change = org.change().await;
        let mut people = Vec::new();
        for name in ["Ann", "Ben", "Cid"] {
            people.push(person(&mut change, name).await);
        }
        change.commit().await.expect("all of it");
        let owner = org.tenant.owner.user.expect("a person");
        Self { org, owner, people }
    }

    async fn prepare(&self, ids: &[UserId]) -> BatchId {
        let permit = permit(&self.org.tenant.owner, Act::EditUsers, Place::Organization).expect("they may");
        batches::prepare(&self.org.store, &permit, ids).await.expect("prepared")
    }

    async fn change(&self, task: Task) -> Change {
        testing::begin(&self.org.store, &self.org.tenant.owner, task.permit().0).await
    }

    async fn confirm(&self, ids: &[UserId], task: Task) -> (BatchId, Vec<Effect>) {
        let id = self.prepare(ids).await;
        let batch = batches::get(&self.org.store, self.org.tenant.org, self.owner, id).await.expect("it");
        let mut change = self.change(task).await;
        let effects = batches::confirm(&mut change, &batch, task).await.expect("done");
        change.commit().await.expect("all of it");
        (id, effects)
    }

    async fn undo(&self, id: BatchId, task: Task) -> store::Result<(usize, usize)> {
        let batch = batches::get(&self.org.store, self.org.tenant.org, self.owner, id).await.expect("it");
        let mut change = self.change(task).await;
        let undone = batches::undo(&mut change, &batch).await?;
        change.commit().await?;
        Ok(undone)
    }

    /// Everybody's role, limit, standing and groups.
    async fn state(&self) -> Vec<(String, Role, Option<Money>, bool, usize)> {
        let month = Month::current(&self.org.store, self.org.tenant.org).await.expect("a month");
        let filter = domain::directory::Filter::default();
        let ask = Ask { month: &month, default_limit: None, filter: &filter, order: directory::BY_NAME };
        let page = directory::page(&self.org.store, self.org.tenant.org, &ask, None, 100).await;
        let rows = page.expect("a page").rows;
        rows.into_iter()
            .map(|row| {
                let suspended = row.status == domain::users::UserStatus::Suspended;
                (row.name, row.role, row.own_limit, suspended, row.groups.len())
            })
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_what_happens_and_undoing_it_brings_everybody_back() {
    let world = World::new().await;
    let everybody = [world.people.as_slice(), &[world.org.user, world.owner]].concat();
    let join = Task::Join { group: world.org.child, standing: Standing::Member, ends_at: None };
    for task in [
        join,
        Task::Limit(Some(Money(7))),
        Task::Role(Role::Auditor),
        Task::Suspend,
        Task::Leave(world.org.child),
    ] {
        let before = world.state().await;
        let mut change = world.change(task).await;
        let shown = batches::run(&mut change, &everybody, task).await.expect("a look");
        drop(change);
        assert_eq!(world.state().await, before, "a look at {task:?} changes nothing");
        let (id, effects) = world.confirm(&everybody, task).await;
        assert_eq!(effects, shown);
        assert_ne!(world.state().await, before);
        let lines = audit::Filter { batch: Some(id), ..audit::Filter::default() };
        let lines = audit::list(&world.org.store, world.org.tenant.org, &lines, 100).await.expect("the log");
        let changed = count(&effects, Outcome::Changed);
        assert_eq!(lines.len(), changed, "a line for everybody who changed");
        assert_eq!(world.undo(id, task).await.expect("undone"), (changed, 0));
        assert_eq!(world.state().await, before, "{task:?} is undone");
        let again = world.undo(id, task).await;
        let who = |said: &str| said.ends_with("has undone this already. Nothing was changed.");
        assert!(matches!(&again, Err(StoreError::Meanwhile(said)) if who(said)), "{again:?}");
    }
    let chain = audit::verify(&world.org.store, world.org.tenant.org).await.expect("an answer");
    assert!(matches!(chain, Chain::Whole { .. }), "{chain:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_left_a_default_group_or_was_moved_out_of_it_comes_back_as_by_default() {
    let world = World::new().await;
    let org = &world.org;
    let mut change = org.change().await;
    groups::set_default(&mut change, org.child, true).await.expect("a default");
    let new = person(&mut change, "New").await;
    change.commit().await.expect("both");
    let source = async || {
        let all = groups::memberships(&org.store, org.tenant.org).await.expect("memberships");
        all.iter().find(|it| it.user == new && it.group == org.child).map(|it| it.source)
    };
    assert_eq!(source().await, Some(Source::Default));
    for task in [Task::Leave(org.child), Task::Move { from: org.child, to: org.parent }] {
        let (id, _) = world.confirm(&[new], task).await;
        assert_eq!(source().await, None);
        assert_eq!(world.undo(id, task).await.expect("undone"), (1, 0));
        assert_eq!(source().await, Some(Source::Default), "{task:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_changed_is_named_and_does_not_keep_the_others_from_it() {
    let world = World::new().await;
    let everybody = [world.people.as_slice(), &[world.owner]].concat();
    for task in [Task::Suspend, Task::Role(Role::Member)] {
        let mut change = world.change(task).await;
        let effects = batches::run(&mut change, &everybody, task).await.expect("a look");
        let owner = effects.iter().find(|effect| effect.user == world.owner).expect("the owner");
        assert_eq!(owner.outcome, Outcome::Refused, "{owner:?}");
    }
    // An admin cannot touch the owner, who is the last one.
    let mut change = world.org.change().await;
    let admin = person(&mut change, "Adam").await;
    change.commit().await.expect("it");
    let actor = Actor { user: Some(admin), role: Role::Admin, ..world.org.tenant.owner.clone() };
    for task in [Task::Suspend, Task::Role(Role::Auditor)] {
        let mut change = testing::begin(&world.org.store, &actor, task.permit().0).await;
        let effects = batches::run(&mut change, &everybody, task).await.expect("a look");
        assert_eq!(count(&effects, Outcome::Changed), 3);
        assert_eq!(count(&effects, Outcome::Refused), 1, "{effects:?}");
    }
    let task = Task::Role(Role::Admin);
    let mut change = testing::begin(&world.org.store, &actor, Act::EditUsers).await;
    let effects = batches::run(&mut change, &world.people, task).await.expect("a look");
    assert_eq!(count(&effects, Outcome::Refused), 3, "only an owner makes admins: {effects:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn undoing_leaves_those_alone_whom_somebody_changed_since() {
    let world = World::new().await;
    let task = Task::Limit(Some(Money(7)));
    let (id, _) = world.confirm(&world.people, task).await;
    let mut change = world.org.change().await;
    limits::set_month(&mut change, world.people[1], Some(Money(9))).await.expect("a limit");
    change.commit().await.expect("it");
    assert_eq!(world.undo(id, task).await.expect("undone"), (2, 1));
    assert_eq!(world.state().await.iter().filter_map(|row| row.2).collect::<Vec<_>>(), [Money(9)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_belongs_to_whoever_made_it_and_is_used_once() {
    let world = World::new().await;
    let (store, org) = (&world.org.store, world.org.tenant.org);
    let id = world.prepare(&world.people).await;
    let other = batches::get(store, org, world.org.user, id).await;
    assert!(matches!(other, Err(StoreError::NotFound)), "{other:?}");
    let batch = batches::get(store, org, world.owner, id).await.expect("it");
    let mut change = world.change(Task::Suspend).await;
    batches::confirm(&mut change, &batch, Task::Suspend).await.expect("done");
    change.commit().await.expect("it");
    let mut change = world.change(Task::Reinstate).await;
    let twice = batches::confirm(&mut change, &batch, Task::Reinstate).await;
    assert!(matches!(twice, Err(StoreError::Stale)), "{twice:?}");
    drop(change);
    // A permit for something else is none for this.
    let mut change = world.change(Task::Limit(None)).await;
    let refused = batches::run(&mut change, &world.people, Task::Suspend).await;
    assert!(matches!(refused, Err(StoreError::NotPermitted(Act::EditUsers))), "{refused:?}");
    let permit = permit(&world.org.tenant.owner, Act::EditUsers, Place::Organization).expect("they may");
    let nobody = batches::prepare(store, &permit, &[]).await;
    assert!(matches!(nobody, Err(StoreError::Invalid { .. })), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_is_not_taken_out_with_many_others() {
    let world = World::new().await;
    let mut change = world.org.change().await;
    let lead = world.people[0];
    groups::set_member(&mut change, world.org.child, lead, Standing::Lead, None).await.expect("a lead");
    change.commit().await.expect("it");
    let (_, effects) = world.confirm(&[lead, world.org.user], Task::Leave(world.org.child)).await;
    assert_eq!((count(&effects, Outcome::Changed), count(&effects, Outcome::Refused)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn undoing_a_suspension_gives_back_what_is_still_with_whoever_took_over() {
    let world = World::new().await;
    let (store, org) = (&world.org.store, world.org.tenant.org);
    let [ann, ben, cid] = world.people[..] else { panic!("three people") };
    let task = Task::Suspend;
    let mut change = world.change(task).await;
    let token = users::invite(&mut change, ben).await.expect("a token");
    change.commit().await.expect("it");
    let name = "Ben".parse().expect("a name");
    users::accept(store, org, ben, &token, &name, "a calm green ledger".to_owned(), None)
        .await
        .expect("joined");
    for who in [ann, cid] {
        sign_in(&world.org, who).await;
    }
    let app = world.org.application;
    let owner =
        async || applications::get(store, org, app).await.expect("it is there").owner.map(|(owner, _)| owner);
    let give = async |to: UserId| {
        let mut change = world.org.change().await;
        applications::hand_over(&mut change, app, owner().await, to).await.expect("handed over");
        change.commit().await.expect("it");
    };
    let mut change = world.org.change().await;
    groups::set_member(&mut change, world.org.child, ben, Standing::Lead, None).await.expect("a lead");
    change.commit().await.expect("it");

    give(ann).await;
    let (id, _) = world.confirm(&[ann], task).await;
    assert_eq!(owner().await, Some(ben), "it went to the nearest lead");
    world.undo(id, task).await.expect("undone");
    assert_eq!(owner().await, Some(ann), "and back");

    // What somebody has handed on since is theirs to hand on.
    let (id, _) = world.confirm(&[ann], task).await;
    give(cid).await;
    world.undo(id, task).await.expect("undone");
    assert_eq!(owner().await, Some(cid));
}

#[tokio::test(flavor = "multi_thread")]
async fn undoing_a_suspension_makes_whoever_took_a_group_over_what_they_were_before() {
    let world = World::new().await;
    let [ann, ben, cid] = world.people[..] else { panic!("three people") };
    for who in [ann, ben, cid] {
        sign_in(&world.org, who).await;
    }
    let (group, until) = (world.org.child, clock::now() + chrono::TimeDelta::days(9));
    let standing = async |who: UserId| {
        let all = groups::memberships(&world.org.store, world.org.tenant.org).await.expect("memberships");
        all.into_iter().find(|it| it.user == who && it.group == group).map(|it| it.standing)
    };
    let set = async |who: UserId, standing: Standing, until| {
        let mut change = world.org.change().await;
        groups::set_member(&mut change, group, who, standing, until).await.expect("in it");
        change.commit().await.expect("it");
    };
    let away = async |heir: UserId| {
        let mut change = world.org.change().await;
        users::suspend(&mut change, ann, heir).await.expect("suspended");
        change.commit().await.expect("it");
        assert_eq!(standing(heir).await, Some(Standing::Lead));
    };
    let back = async || {
        let mut change = world.org.change().await;
        users::take_back_suspension(&mut change, ann).await.expect("let in again");
        change.commit().await.expect("it");
        assert_eq!(standing(ann).await, Some(Standing::Lead));
    };
    set(ann, Standing::Lead, None).await;

    // Who was not of the group is not of it again, who was a member is one, until the day it was.
    assert_eq!(standing(ben).await, None);
    away(ben).await;
    back().await;
    assert_eq!(standing(ben).await, None);
    set(cid, Standing::Member, Some(until)).await;
    away(cid).await;
    back().await;
    assert_eq!(standing(cid).await, Some(Standing::Member));
    let facts = access::facts(&world.org.store, world.org.tenant.org).await.expect("facts");
    let of_cid = facts.users[&cid].memberships.iter().find(|it| it.group == group).expect("a membership");
    assert_eq!(of_cid.ends_at.map(|end| end.timestamp_millis()), Some(until.timestamp_millis()));

    // What somebody said since is so: they lead it until a day, or do not lead it.
    for said in [Standing::Lead, Standing::Member] {
        away(cid).await;
        set(ben, Standing::Lead, None).await;
        set(cid, said, Some(until)).await;
        back().await;
        assert_eq!(standing(cid).await, Some(said));
        let mut change = world.org.change().await;
        groups::remove_member(&mut change, group, ben).await.expect("out");
        change.commit().await.expect("it");
    }
}

/// One more than a thousand and a half: what was done one by one would be noticed.
const CROWD: usize = 1_501;

fn table(groups: &[GroupId]) -> Vec<imports::Row> {
    (0..CROWD)
        .map(|nth| imports::Row {
            suspended: None,
            line: nth + 2,
            email: format!("p{nth}@acme.example").parse().expect("an address"),
            name: Some(format!("Person {nth}").parse().expect("a name")),
            role: None,
            groups: Some(groups.iter().copied().collect()),
            limit: Some(Some(Money(7_000_000_000 + i64::try_from(nth).expect("few")))),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_imported_changed_and_brought_back_as_one() {
    let world = World::new().await;
    let (store, org) = (&world.org.store, world.org.tenant.org);
    let (group, other) = (world.org.child, world.org.parent);
    let before = world.state().await;

    let import = async |rows: &[imports::Row]| {
        let mut change = testing::begin(store, &world.org.tenant.owner, Act::ApplyFile).await;
        let imported = imports::run(&mut change, rows).await.expect("an answer");
        change.commit().await.expect("all of it");
        imported
    };
    let imported = import(&table(&[group])).await;
    assert_eq!(imported.problems, []);
    assert_eq!(imported.effects.len(), 3 * CROWD, "new, in a group, with a limit");
    assert_eq!(import(&table(&[group])).await.effects, [], "the same table again changes nothing");
    let batch = imported.batch.expect("it is kept");
    let tallies = batches::tallies(store, org, batch).await.expect("an answer");
    let tally = tallies[&Outcome::Changed];
    assert_eq!((tally.people, tally.effects, tally.undoable), (CROWD, 3 * CROWD, CROWD));
    let last = batches::lines(store, org, batch, Outcome::Changed, CROWD - 1, 9).await.expect("a page");
    let said: Vec<(UserId, String)> =
        last.iter().flat_map(|line| line.said.iter().map(|(said, _)| (line.user, said.clone()))).collect();
    let of_last = imported.effects[3 * CROWD - 3..].iter().map(|effect| (effect.user, effect.text.clone()));
    assert_eq!(last.len(), 1, "page by page, to the end: each person once");
    assert_eq!(said, of_last.collect::<Vec<_>>(), "with all that became of them");

    let mut people: Vec<UserId> = imported.effects.iter().map(|effect| effect.user).collect();
    people.dedup();
    let crowd = async || {
        let facts = access::facts(store, org).await.expect("facts");
        let is_in = |group| {
            let of = |id: &&UserId| facts.users[*id].memberships.iter().any(|it| it.group == group);
            people.iter().filter(of).count()
        };
        let suspended = people.iter().filter(|id| facts.users[id].suspended).count();
        (is_in(group), is_in(other), suspended)
    };
    assert_eq!(crowd().await, (CROWD, 0, 0));
    let shift = Task::Move { from: group, to: other };
    for (task, then) in [
        (shift, (0, CROWD, 0)),
        (Task::Suspend, (CROWD, 0, CROWD)),
        (Task::Role(Role::Auditor), (CROWD, 0, 0)),
        (Task::Leave(group), (0, 0, 0)),
    ] {
        let (id, effects) = world.confirm(&people, task).await;
        assert_eq!(count(&effects, Outcome::Changed), CROWD, "{task:?}");
        assert_eq!(crowd().await, then, "{task:?}");
        let lines = audit::Filter { batch: Some(id), ..audit::Filter::default() };
        let lines = audit::list(store, org, &lines, 2 * CROWD as i64 + 9).await.expect("the log").len();
        let each = if task == shift { 2 } else { 1 };
        assert_eq!(lines, each * CROWD, "{task:?} stands in the log for each");
        assert_eq!(world.undo(id, task).await.expect("undone"), (CROWD, 0), "{task:?}");
        assert_eq!(crowd().await, (CROWD, 0, 0), "{task:?} is undone");
    }

    // Who has signed in since the import, or got a limit of another size, is left alone.
    let mut change = world.change(Task::Suspend).await;
    let token = users::invite(&mut change, people[0]).await.expect("a token");
    change.commit().await.expect("it");
    let name = "Pia".parse().expect("a name");
    users::accept(store, org, people[0], &token, &name, "a calm green ledger".to_owned(), None)
        .await
        .expect("joined");
    let mut change = testing::begin(store, &world.org.tenant.owner, Act::ApplyFile).await;
    let kept = batches::get(store, org, world.owner, batch).await.expect("it");
    assert_eq!(batches::undo(&mut change, &kept).await.expect("undone"), (CROWD - 1, 1));
    change.commit().await.expect("all of it");
    let after = world.state().await;
    assert_eq!(after.len(), before.len() + 1);
    assert!(after.iter().any(|row| row.0 == "Pia"));
    let chain = audit::verify(store, org).await.expect("an answer");
    assert!(matches!(chain, Chain::Whole { .. }), "{chain:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_those_who_are_suspended_together_answered_for_goes_to_none_of_them() {
    let world = World::new().await;
    let [ann, ben, cid] = world.people[..] else { panic!("three people") };
    let (store, org, group) = (&world.org.store, world.org.tenant.org, world.org.child);
    let mut change = world.org.change().await;
    for (who, standing) in [(ann, Standing::Lead), (ben, Standing::Lead), (cid, Standing::Member)] {
        groups::set_member(&mut change, group, who, standing, None).await.expect("in it");
    }
    applications::hand_over(&mut change, world.org.application, None, ann).await.ok();
    change.commit().await.expect("it");
    let leads = async || {
        let all = groups::memberships(store, org).await.expect("memberships");
        let mut leads: Vec<UserId> = all
            .into_iter()
            .filter(|it| it.group == group && it.standing == Standing::Lead)
            .map(|it| it.user)
            .collect();
        leads.sort_unstable();
        leads
    };
    let before = leads().await;
    let (id, effects) = world.confirm(&[ann, ben, cid], Task::Suspend).await;
    assert_eq!(count(&effects, Outcome::Changed), 3, "{effects:?}");
    let heirs: Vec<UserId> = leads().await.into_iter().filter(|who| !before.contains(who)).collect();
    assert_eq!(heirs, [world.owner], "the owner, not one who goes, too");
    world.undo(id, Task::Suspend).await.expect("undone");
    assert_eq!(leads().await, before, "and back");
}
