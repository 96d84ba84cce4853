//! Rehearsals: what a draft would have meant is found by making it, replaying recorded calls, and
//! keeping nothing of it.

use chrono::Duration;
use domain::{
    authorizations::{Cell, Edit, State, Target},
    ids::{CallId, GroupId},
    limits::{Meter, Metric, Mode, Scope},
    models::Review,
    money::Money,
    rehearsal::{Draft, RuleEdit},
    roles::{Act, Actor, Permit, Place, permit},
    users::Role,
    window::Window,
};
use store::{
    StoreError, access, audit,
    authorizations::{self, Say},
    clock,
    ledger::{self, Event, bulk},
    models,
    rehearsals::{self, Rehearsed},
    testing,
};

use crate::organization::{Organization, finished, model_form};

/// Everything is open to the organization.
async fn open(org: &Organization) {
    let say = Say { state: State::Open, locked: false, ends_at: None };
    let mut change = org.change().await;
    authorizations::set(&mut change, None, Target::All, Some(say)).await.expect("a rule");
    change.commit().await.expect("it");
}

fn may(org: &Organization, act: Act) -> Permit {
    permit(&org.tenant.owner, act, Place::Organization).expect("they may")
}

/// A call of a program some days ago, which cost so much.
fn past(org: &Organization, days: i64, cost: i64) -> Event {
    let at = clock::now() - Duration::days(days);
    let millis = u64::try_from(at.timestamp_millis()).expect("after 1970");
    let random = clock::id::<CallId>().0.into_bytes();
    let bytes = random[6..].try_into().expect("ten bytes");
    let id = CallId(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid());
    let call = ledger::Call { id, started_at: at, user: None, member_of: Vec::new(), ..org.call() };
    Event { cost: Money(cost), finished_at: at + Duration::seconds(1), ..finished(call) }
}

fn closed(group: Option<GroupId>, mode: Mode) -> Draft {
    let say = Some(Say { state: State::Closed, locked: false, ends_at: None });
    let edit = Edit { cell: Cell { group, target: Target::All }, say, seen: None };
    Draft::Authorizations(vec![RuleEdit { edit, mode }])
}

fn limit(scope: Scope, window: Window, cap: i64) -> Draft {
    let meter = Meter { scope, metric: Metric::Spend, window };
    Draft::Limit { meter, cap, mode: Mode::Enforce, thresholds: Vec::new(), version: None }
}

async fn rehearse(org: &Organization, draft: &Draft, days: u32) -> Rehearsed {
    let permit = may(org, draft.acts().0);
    rehearsals::rehearse(&org.store, permit, draft, days).await.expect("it can be rehearsed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_says_what_would_have_been_refused_and_keeps_nothing() {
    let org = Organization::new().await;
    open(&org).await;
    for (days, cost) in [(1, 10), (2, 20), (40, 70)] {
        assert!(org.book(&past(&org, days, cost)).await);
    }
    let before = access::version(&org.store, org.tenant.org).await.expect("a version");
    let lines =
        audit::list(&org.store, org.tenant.org, &audit::Filter::default(), 100).await.expect("the log");
    for (days, refused, saved) in [(7, 2, 30), (30, 2, 30), (90, 3, 100)] {
        let done = rehearse(&org, &closed(Some(org.child), Mode::Enforce), days).await;
        assert_eq!(
            (done.report.sums.refused, done.report.sums.saved),
            (refused, Money(saved)),
            "{days} days"
        );
        assert_eq!(done.report.calls, refused);
        assert_eq!(done.reach.len(), 1, "the group loses its models: {:?}", done.reach);
        let elsewhere = rehearse(&org, &limit(Scope::Organization, Window::Total, 1_000), days).await;
        assert!(elsewhere.report.sums.is_empty(), "there is room: {:?}", elsewhere.report.sums);
    }
    assert_eq!(access::version(&org.store, org.tenant.org).await.expect("a version"), before);
    let after =
        audit::list(&org.store, org.tenant.org, &audit::Filter::default(), 100).await.expect("the log");
    assert_eq!(after, lines);
    // Nobody waits for what was not kept.
    org.change().await.commit().await.expect("nothing, at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_before_the_days_that_are_replayed_fills_the_window() {
    let org = Organization::new().await;
    open(&org).await;
    for (days, cost) in [(20, 60), (3, 40), (2, 40)] {
        assert!(org.book(&past(&org, days, cost)).await);
    }
    for (cap, refused) in [(140, 0), (139, 1), (99, 2)] {
        for scope in [Scope::Organization, Scope::Group(org.parent), Scope::Application(org.application)] {
            let done = rehearse(&org, &limit(scope, Window::Total, cap), 7).await;
            assert_eq!(done.report.sums.refused, refused, "{cap} on {scope:?}");
        }
    }
    let done = rehearse(&org, &limit(Scope::Group(org.parent), Window::Day, 39), 30).await;
    assert_eq!(done.report.sums.refused, 3, "each is alone on its day and does not fit");
    assert_eq!(done.report.by_reason.len(), 1);
    assert!(
        done.budgets.iter().any(|budget| budget.tighter && budget.before.is_none()),
        "{:?}",
        done.budgets
    );
}

/// What has happened since must not make a longer replay forget what a shorter one finds used.
#[tokio::test(flavor = "multi_thread")]
async fn a_longer_rehearsal_of_a_limit_knows_what_a_shorter_one_does() {
    let org = Organization::new().await;
    open(&org).await;
    let mut change = org.change().await;
    let form = model_form("large", org.provider, org.tier);
    let large = models::insert(&mut change, &form, Review::Accepted).await.expect("a model");
    change.commit().await.expect("it");
    for (days, cost, model) in [(25, 60, large), (20, 20, org.model), (3, 40, org.model)] {
        let mut event = past(&org, days, cost);
        event.call.model = model;
        assert!(org.book(&event).await);
    }
    let draft = limit(Scope::Group(org.parent), Window::Total, 100);
    let refused = async || {
        let mut refused = Vec::new();
        for days in [7, 30, 90] {
            let sums = rehearse(&org, &draft, days).await.report.sums;
            refused.push((sums.refused, sums.saved));
        }
        refused
    };
    let expected = [(1, Money(40)); 3];
    assert_eq!(refused().await, expected);
    let mut change = org.change().await;
    models::archive(&mut change, large).await.expect("out of the catalogue");
    change.commit().await.expect("it");
    assert_eq!(refused().await, expected, "its model has left the catalogue");
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_calls_are_read_piece_by_piece_and_none_twice() {
    let org = Organization::new().await;
    open(&org).await;
    let events: Vec<Event> = (0..20_500).map(|number| past(&org, number % 6, 1)).collect();
    let calendar = org.facts().await.calendar;
    for piece in events.chunks(4_000) {
        bulk::book(&org.store, org.tenant.org, calendar, piece, None).await.expect("booked");
    }
    let done = rehearse(&org, &closed(Some(org.child), Mode::Enforce), 30).await;
    assert_eq!(
        (done.report.calls, done.report.sums.refused, done.report.sums.saved),
        (20_500, 20_500, Money(20_500))
    );
    assert_eq!(done.report.days.iter().map(|(_, sums)| sums.refused).sum::<u64>(), 20_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_its_makers_is_saved_once_and_what_was_rehearsed_is_what_happens() {
    let org = Organization::new().await;
    open(&org).await;
    let draft = closed(Some(org.child), Mode::Enforce);
    let widen = || may(&org, Act::WidenAuthorizations);
    let id = rehearsals::prepare(&org.store, widen(), &draft, "/authorization", &[]).await.expect("kept");
    let owner = org.tenant.owner.user.expect("a person");
    let other = rehearsals::get(&org.store, org.tenant.org, org.user, id).await;
    assert!(matches!(other, Err(StoreError::NotFound)), "{other:?}");
    let prepared = rehearsals::get(&org.store, org.tenant.org, owner, id).await.expect("it");
    assert_eq!(prepared.draft, draft);
    for expected in [true, false] {
        let mut change = testing::begin(&org.store, &org.tenant.owner, Act::WidenAuthorizations).await;
        let saved = rehearsals::save(&mut change, &prepared).await;
        assert_eq!(saved.is_ok(), expected, "{saved:?}");
        if expected {
            change.commit().await.expect("all of it");
        }
    }
    let rules = org.facts().await.rules;
    assert_eq!(rules[&Some(org.child)][&Target::All].state, State::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_saved_cannot_be_rehearsed() {
    let org = Organization::new().await;
    let elsewhere: GroupId = clock::id();
    for draft in [
        closed(Some(elsewhere), Mode::Enforce),
        closed(Some(elsewhere), Mode::Observe),
        limit(Scope::Group(elsewhere), Window::Month, 1),
        Draft::Move { group: elsewhere, from: None, parent: None },
        Draft::Move { group: org.child, from: Some(org.parent), parent: Some(elsewhere) },
    ] {
        let permit = || may(&org, draft.acts().0);
        let kept = rehearsals::prepare(&org.store, permit(), &draft, "/", &[]).await;
        assert!(matches!(kept, Err(StoreError::NotFound)), "{draft:?}: {kept:?}");
        let done = rehearsals::rehearse(&org.store, permit(), &draft, 30).await;
        assert!(matches!(done, Err(StoreError::NotFound)), "{draft:?}");
    }
    // A permit for something else is none for this.
    let draft = closed(Some(org.child), Mode::Enforce);
    let done = rehearsals::rehearse(&org.store, may(&org, Act::EditPolicies), &draft, 30).await;
    assert!(matches!(done, Err(StoreError::NotPermitted(_))));
    let nothing = Draft::Authorizations(Vec::new());
    let kept = rehearsals::prepare(&org.store, may(&org, Act::WidenAuthorizations), &nothing, "/", &[]).await;
    assert!(matches!(kept, Err(StoreError::Invalid { .. })), "{kept:?}");
    // Whoever leads a group may not rehearse what they could not do.
    let lead = Actor {
        user: Some(org.user),
        role: Role::Member,
        leads: vec![org.child],
        ..org.tenant.owner.clone()
    };
    let path = [org.parent, org.child];
    let narrow = || permit(&lead, Act::NarrowAuthorizations, Place::Group(&path)).expect("they lead it");
    let say = Some(Say { state: State::Open, locked: false, ends_at: None });
    let cell = Cell { group: Some(org.child), target: Target::All };
    let wider = Draft::Authorizations(vec![Edit { cell, say, seen: None }.into()]);
    let done = rehearsals::rehearse(&org.store, narrow(), &wider, 30).await;
    assert!(matches!(done, Err(StoreError::Invalid { .. })));
    let above = closed(Some(org.parent), Mode::Enforce);
    let done = rehearsals::rehearse(&org.store, narrow(), &above, 30).await;
    assert!(matches!(done, Err(StoreError::NotPermitted(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observed_rule_stands_beside_the_one_that_decides_until_it_is_promoted() {
    let org = Organization::new().await;
    open(&org).await;
    let closed = Say { state: State::Closed, locked: false, ends_at: None };
    let mut change = org.change().await;
    let id = authorizations::observe(&mut change, None, Target::All, Some(closed)).await.expect("a rule");
    change.commit().await.expect("it");
    let facts = org.facts().await;
    assert_eq!(facts.rules[&None][&Target::All].state, State::Open, "it decides nothing");
    assert_eq!(facts.observed[&None][&Target::All].state, State::Closed);
    let mut change = org.change().await;
    authorizations::promote(&mut change, id.expect("its id")).await.expect("it decides now");
    change.commit().await.expect("it");
    let facts = org.facts().await;
    assert_eq!(facts.rules[&None][&Target::All].state, State::Closed);
    assert!(facts.observed.is_empty());
    let mut change = org.change().await;
    let again = authorizations::promote(&mut change, id.expect("its id")).await;
    assert!(matches!(again, Err(StoreError::NotFound)), "{again:?}");
}
