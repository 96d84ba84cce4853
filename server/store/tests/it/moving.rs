//! An application is put into another group by whoever may change it in both: what it has spent stays where it
//! was, and from then on it has what its new group has.

use domain::{
    authorizations::{State, Target},
    groups::GroupKind,
    ids::{ApplicationId, GroupId},
    keys::{Features, KeyModels},
    limits::Scope,
    money::Money,
    rehearsal::Draft,
    roles::{Act, Actor, Permit, permit_between},
    users::Role,
};
use store::{
    Change, StoreError, applications, audit,
    authorizations::{self, Say},
    books, clock, groups, keys, rehearsals,
    rollups::Month,
    testing,
};

use crate::organization::{Organization, finished, group, spend};

/// An organization with a group beside the one the application is in.
async fn world() -> (Organization, GroupId) {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let beside = groups::insert(&mut change, None, &group("Beside")).await.expect("a group");
    change.commit().await.expect("it");
    (org, beside)
}

/// A permit of somebody who leads these groups, for two groups by their paths.
fn between(org: &Organization, leads: &[GroupId], from: &[GroupId], to: &[GroupId]) -> Option<Permit> {
    let lead =
        Actor { user: Some(org.user), role: Role::Member, leads: leads.to_vec(), ..org.tenant.owner.clone() };
    permit_between(&lead, Act::EditApplications, from, to).ok()
}

async fn begin(org: &Organization) -> Change {
    testing::begin(&org.store, &org.tenant.owner, Act::EditApplications).await
}

async fn place(org: &Organization) -> GroupId {
    applications::group_of(&org.store, org.tenant.org, org.application).await.expect("its group")
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_moves_an_application_who_may_not_change_it_in_both_groups() {
    let (org, beside) = world().await;
    let path = [org.parent, org.child];
    assert!(between(&org, &[org.child], &path, &[beside]).is_none(), "a lead of where it is");
    assert!(between(&org, &[beside], &path, &[beside]).is_none(), "a lead of where it would be");
    // A permit for one of the two groups is none, however it was come by.
    for (from, to) in [(&path[..], &path[..]), (&[beside][..], &[beside][..])] {
        let permit = between(&org, &[org.child, beside], from, to).expect("they lead both");
        let mut change = Change::begin(&org.store, permit).await.expect("a change");
        let moved = applications::move_to(&mut change, org.application, 1, org.child, beside).await;
        assert!(matches!(moved, Err(StoreError::NotPermitted(Act::EditApplications))), "{moved:?}");
    }
    assert_eq!(place(&org).await, org.child);
    let permit = between(&org, &[org.child, beside], &path, &[beside]).expect("they lead both");
    let mut change = Change::begin(&org.store, permit).await.expect("a change");
    applications::move_to(&mut change, org.application, 1, org.child, beside).await.expect("moved");
    assert!(change.commit().await.expect("it"));
    assert_eq!(place(&org).await, beside);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_moved_only_as_it_was_shown_into_an_open_group_of_its_organization() {
    let store = testing::store().await;
    let operator = testing::operator(&store).await;
    let org = Organization::in_store(&store, operator, "Acme").await;
    let other = Organization::in_store(&store, operator, "Globex").await;
    let mut change = org.change().await;
    let beside = groups::insert(&mut change, None, &group("Beside")).await.expect("a group");
    let closed = groups::insert(&mut change, None, &group("Closed")).await.expect("a group");
    groups::archive(&mut change, closed).await.expect("archived");
    let form = applications::ApplicationForm {
        name: "Assistant".parse().expect("a name"),
        description: String::new(),
        use_cases: Vec::new(),
    };
    let taken = groups::insert(&mut change, None, &group("Taken")).await.expect("a group");
    applications::insert(&mut change, taken, &form, &KeyModels::All, Features::all()).await.expect("one");
    change.commit().await.expect("all of it");
    let attempt = async |application: ApplicationId, version: i64, from: GroupId, to: GroupId| {
        let mut change = begin(&org).await;
        applications::move_to(&mut change, application, version, from, to).await
    };
    let app = org.application;
    let theirs = attempt(app, 1, org.child, other.child).await;
    assert!(matches!(theirs, Err(StoreError::NotFound)), "{theirs:?}");
    let theirs = attempt(other.application, 1, other.child, beside).await;
    assert!(matches!(theirs, Err(StoreError::NotFound)), "{theirs:?}");
    let archived = attempt(app, 1, org.child, closed).await;
    assert!(matches!(&archived, Err(StoreError::Invalid { field: "group", .. })), "{archived:?}");
    let same = attempt(app, 1, org.child, org.child).await;
    assert!(matches!(&same, Err(StoreError::Invalid { field: "group", .. })), "{same:?}");
    let twice = attempt(app, 1, org.child, taken).await;
    assert!(matches!(&twice, Err(StoreError::Conflict(conflict)) if conflict.field == "name"), "{twice:?}");
    let elsewhere = attempt(app, 1, beside, taken).await;
    assert!(matches!(elsewhere, Err(StoreError::Stale)), "{elsewhere:?}");
    let mut change = begin(&org).await;
    let renamed = applications::ApplicationForm { name: "Helper".parse().expect("a name"), ..form };
    applications::update(&mut change, app, 1, &renamed).await.expect("renamed");
    change.commit().await.expect("it");
    let stale = attempt(app, 1, org.child, beside).await;
    assert!(
        matches!(&stale, Err(StoreError::Meanwhile(now)) if now.contains("“Assistant” → “Helper”")),
        "{stale:?}"
    );
    // A private context is its person's.
    let mut change = org.tenant.change_as(&store, org.user).await;
    let (personal, _) = keys::open_personal_until(&mut change, org.child, None).await.expect("theirs");
    change.commit().await.expect("it");
    let private = attempt(personal, 1, org.child, beside).await;
    assert!(matches!(&private, Err(StoreError::Invalid { field: "group", .. })), "{private:?}");
    assert_eq!(place(&org).await, org.child);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_has_spent_stays_where_it_was_and_the_log_says_from_where_to_where() {
    let (org, beside) = world().await;
    let (store, id) = (&org.store, org.tenant.org);
    for scope in [Scope::Group(org.child), Scope::Group(beside), Scope::Application(org.application)] {
        org.limit(spend(scope), 1_000_000).await;
    }
    assert!(org.book(&finished(org.call())).await);
    let mut change = begin(&org).await;
    applications::move_to(&mut change, org.application, 1, org.child, beside).await.expect("moved");
    change.commit().await.expect("it");
    let mut call = org.call();
    call.path = vec![beside];
    for _ in 0..2 {
        let call = store::ledger::Call { id: clock::id(), ..call.clone() };
        assert!(org.book(&finished(call)).await);
    }
    let level = async |scope| org.level(spend(scope)).await.0;
    assert_eq!(level(Scope::Group(org.child)).await, 30_000);
    assert_eq!(level(Scope::Group(beside)).await, 60_000);
    assert_eq!(level(Scope::Application(org.application)).await, 90_000);
    let month = Month::current(store, id).await.expect("a month");
    let rows = groups::rows(store, id, &month, &[org.parent, org.child, beside]).await.expect("rows");
    let spent: Vec<_> = rows.iter().map(|row| row.spend).collect();
    assert_eq!(spent, [Money(30_000), Money(30_000), Money(60_000)], "every cent once");
    let calendar = org.facts().await.calendar;
    assert_eq!(books::drift(store, id, calendar, clock::now()).await.expect("a look"), []);
    let key = keys::of_application(store, id, org.application).await.expect("its key");
    assert_eq!(key.id, org.key);
    assert!(
        keys::secrets(store, id, key.id).await.expect("secrets").iter().all(|it| it.revoked_at.is_none())
    );
    let lines = audit::Filter { kind: Some("application".to_owned()), ..Default::default() };
    let lines = audit::list(store, id, &lines, 1).await.expect("the log");
    assert_eq!(lines[0].act, "application.move");
    let said = format!("{:?}", lines[0]);
    assert!(said.contains("Parent/Child") && said.contains("Beside"), "{said}");
    let chain = audit::verify(store, id).await.expect("a look");
    assert!(matches!(chain, audit::Chain::Whole { .. }), "{chain:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_rehearsal_says_which_models_it_gains_and_loses_and_which_limits_apply_then() {
    let (org, beside) = world().await;
    let mut change = org.change().await;
    let say = Say { state: State::Open, locked: false, ends_at: None };
    authorizations::set(&mut change, Some(org.child), Target::Model(org.model), Some(say))
        .await
        .expect("a rule");
    change.commit().await.expect("it");
    org.limit(spend(Scope::Group(org.parent)), 500).await;
    org.limit(spend(Scope::Group(beside)), 100).await;
    org.limit(spend(Scope::Organization), 900).await;
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::EditPolicies).await;
    let form = store::policies::PolicyForm {
        name: "code".parse().expect("a name"),
        routing: domain::policies::Routing::Fallback,
        steps: vec![(org.model, 1)],
        rules: domain::policies::Rules::default(),
    };
    let policy = store::policies::insert(&mut change, &form).await.expect("a policy");
    change.commit().await.expect("it");
    let mut change = org.change().await;
    let version = groups::version(&mut change, org.parent).await.expect("it");
    groups::set_policy(&mut change, org.parent, version, Some(policy)).await.expect("routed");
    change.commit().await.expect("it");
    let draft =
        Draft::MoveApplication { application: org.application, version: 1, from: org.child, to: beside };
    let path = [org.parent, org.child];
    let lead = between(&org, &[org.child, beside], &path, &[beside]).expect("they lead both");
    let owner = begin(&org).await.permit().clone();
    for (permit, sees) in [(owner, true), (lead, false)] {
        let done = rehearsals::rehearse(&org.store, permit, &draft, 7).await.expect("a rehearsal");
        let [reach] = done.reach.as_slice() else { panic!("{:?}", done.reach) };
        assert_eq!((reach.application, reach.group), (Some(org.application), beside));
        assert_eq!(reach.loses().map(|(name, ..)| name.as_str()).collect::<Vec<_>>(), ["small"]);
        assert_eq!(reach.gains().count(), 0);
        let [route] = done.rerouted.as_slice() else { panic!("{:?}", done.rerouted) };
        assert_eq!((route.before.as_deref(), route.after.as_deref()), (Some("code"), None));
        assert_eq!(route.applications.len(), 1);
        let budgets: Vec<_> = done
            .budgets
            .iter()
            .map(|budget| {
                (budget.before.is_some(), budget.after.is_some(), budget.tighter, budget.used.is_some())
            })
            .collect();
        // The organization's stays; what is used of the limit of a group above is for those who read it there.
        assert!(budgets.contains(&(false, true, true, true)), "{budgets:?}");
        assert!(budgets.contains(&(true, false, false, sees)), "{budgets:?}");
        assert_eq!(budgets.len(), 2);
    }
    assert_eq!(place(&org).await, org.child, "nothing was moved by looking");
    // Into a group that is over it loses what it has; out of one it gains it back.
    let mut change = org.change().await;
    let day = org.facts().await.calendar.day(clock::now());
    let form = domain::groups::GroupForm { ends_on: Some(day), kind: GroupKind::Project, ..group("Child") };
    groups::update(&mut change, org.child, 1, &form).await.expect("its last day");
    change.commit().await.expect("it");
    let facts = org.facts().await;
    let later = clock::now() + chrono::Duration::days(2);
    let (ended, since) = domain::access::ended(&facts, org.child, later).expect("it is over then");
    assert_eq!((ended, since), (org.child, facts.calendar.midnight(day.succ_opt().expect("a day"))));
    assert_eq!(domain::access::ended(&facts, org.child, clock::now()), None, "open through its last day");
    assert_eq!(domain::access::ended(&facts, org.parent, later), None);
    let mut moved = facts.clone();
    moved.applications.get_mut(&org.application).expect("it").group = beside;
    let none = domain::rehearsal::reach_of_application(&facts, &moved, org.application, later);
    assert!(none.is_empty(), "nothing is lost where nothing could be called: {none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_somebody_overtook_is_told_of_and_saves_nothing() {
    let (org, beside) = world().await;
    let draft =
        Draft::MoveApplication { application: org.application, version: 1, from: org.child, to: beside };
    let permit = begin(&org).await.permit().clone();
    let id = rehearsals::prepare(&org.store, permit, &draft, "/", &[]).await.expect("kept");
    let owner = org.tenant.owner.user.expect("a person");
    let prepared = rehearsals::get(&org.store, org.tenant.org, owner, id).await.expect("it");
    let mut change = begin(&org).await;
    applications::move_to(&mut change, org.application, 1, org.child, org.parent).await.expect("moved");
    change.commit().await.expect("it");
    let mut change = begin(&org).await;
    let saved = rehearsals::save(&mut change, &prepared).await;
    assert!(
        matches!(&saved, Err(StoreError::Meanwhile(now)) if now.contains("“Parent/Child” → “Parent”")),
        "{saved:?}"
    );
    drop(change);
    assert_eq!(place(&org).await, org.parent);
}
