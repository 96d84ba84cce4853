//! Reservations, bookings, and whether the books agree.

use std::time::Duration;

use chrono::TimeDelta;
use domain::limits::{Meter, Metric, Scope};
use domain::window::Window;
use store::{
    StoreError, books,
    books::Drift,
    clock,
    windows::{self, Reserved},
};
use tokio::task::JoinSet;

use crate::organization::{Organization, finished, spend};

const MINUTE: TimeDelta = TimeDelta::minutes(1);

async fn drift(organization: &Organization) -> Vec<Drift> {
    let calendar = organization.facts().await.calendar;
    books::drift(&organization.store, organization.tenant.org, calendar, clock::now()).await.expect("a look")
}

async fn run(organization: &Organization, text: &'static str) {
    sqlx::query(text).execute(organization.store.pool()).await.expect("it runs");
}

#[tokio::test]
async fn a_call_that_is_booked_twice_counts_once() {
    let acme = Organization::new().await;
    let meter = spend(Scope::Group(acme.parent));
    acme.limit(meter, 1_000_000).await;
    let call = acme.call();
    let claim = acme.claim(meter, 200_000, 1_000_000).await;
    assert!(matches!(acme.reserve(&call, &[claim], MINUTE).await, Reserved::Held { .. }));
    assert_eq!(acme.level(meter).await, (0, 200_000));
    let event = finished(call);
    assert!(acme.book(&event).await);
    assert!(!acme.book(&event).await, "not new any more");
    assert_eq!(acme.level(meter).await, (30_000, 0));
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test]
async fn a_call_that_is_booked_by_twenty_at_once_counts_once() {
    let acme = Organization::new().await;
    let meter = spend(Scope::Organization);
    acme.limit(meter, 1_000_000).await;
    let call = acme.call();
    let claim = acme.claim(meter, 200_000, 1_000_000).await;
    acme.reserve(&call, &[claim], MINUTE).await;
    let event = finished(call);
    let calendar = acme.facts().await.calendar;
    let mut bookings = JoinSet::new();
    for _ in 0..20 {
        let (store, event) = (acme.store.clone(), event.clone());
        bookings.spawn(async move { store::ledger::book(&store, calendar, &event).await.expect("booked") });
    }
    let new = bookings.join_all().await.into_iter().filter(|new| *new).count();
    assert_eq!(new, 1);
    assert_eq!(acme.level(meter).await, (30_000, 0));
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test]
async fn a_call_whose_hold_is_gone_still_counts() {
    let acme = Organization::new().await;
    let meter = spend(Scope::Application(acme.application));
    acme.limit(meter, 1_000_000).await;
    assert!(acme.book(&finished(acme.call())).await);
    assert_eq!(acme.level(meter).await, (30_000, 0));
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test]
async fn a_hold_that_is_given_back_twice_is_given_back_once() {
    let acme = Organization::new().await;
    let meter = spend(Scope::Organization);
    let (call, other) = (acme.call(), acme.call());
    let claim = acme.claim(meter, 200_000, 1_000_000).await;
    acme.reserve(&call, &[claim], MINUTE).await;
    acme.reserve(&other, &[claim], MINUTE).await;
    for _ in 0..2 {
        windows::release(&acme.store, call.org, call.id).await.expect("given back");
        assert_eq!(acme.level(meter).await, (0, 200_000));
    }
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test]
async fn a_reservation_holds_everything_or_nothing() {
    let acme = Organization::new().await;
    let roomy = [Scope::Organization, Scope::Group(acme.parent), Scope::User(acme.user)].map(spend);
    let narrow = spend(Scope::Application(acme.application));
    let mut claims = Vec::new();
    for meter in roomy {
        claims.push(acme.claim(meter, 200_000, 1_000_000).await);
    }
    claims.insert(1, acme.claim(narrow, 200_000, 199_999).await);
    let Reserved::Short(short) = acme.reserve(&acme.call(), &claims, MINUTE).await else {
        panic!("there is no room")
    };
    assert_eq!(short.iter().map(|short| short.claim.meter).collect::<Vec<_>>(), [narrow]);
    for meter in roomy {
        assert_eq!(acme.level(meter).await, (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_reservations_at_once_as_many_pass_as_fit() {
    let acme = Organization::new().await;
    let meters = [Scope::Organization, Scope::Group(acme.child), Scope::User(acme.user)].map(spend);
    let mut claims = Vec::new();
    for meter in meters {
        claims.push(acme.claim(meter, 200_000, 10_000_000).await);
    }
    claims[1].cap = 7 * 200_000 + 199_999;
    let acme = std::sync::Arc::new(acme);
    let mut reservations = JoinSet::new();
    for turn in 0..100 {
        let (acme, mut claims) = (acme.clone(), claims.clone());
        // Whoever asks in another order must not meet the others crosswise.
        claims.rotate_left(turn % 3);
        reservations.spawn(async move {
            matches!(acme.reserve(&acme.call(), &claims, MINUTE).await, Reserved::Held { .. })
        });
    }
    let held = reservations.join_all().await.into_iter().filter(|held| *held).count();
    assert_eq!(held, 7);
    for meter in meters {
        assert_eq!(acme.level(meter).await, (0, 7 * 200_000));
    }
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reserving_booking_and_releasing_crosswise_leaves_the_books_right() {
    let acme = Organization::new().await;
    let meters =
        [Scope::Organization, Scope::Group(acme.parent), Scope::Member(acme.child, acme.user)].map(spend);
    for meter in meters {
        acme.limit(meter, 2_000_000).await;
    }
    let mut claims = Vec::new();
    for meter in meters {
        claims.push(acme.claim(meter, 200_000, 2_000_000).await);
    }
    let acme = std::sync::Arc::new(acme);
    let mut calls = JoinSet::new();
    for turn in 0..60 {
        let (acme, claims) = (acme.clone(), claims.clone());
        calls.spawn(async move {
            let call = acme.call();
            if !matches!(acme.reserve(&call, &claims, MINUTE).await, Reserved::Held { .. }) {
                return 0;
            }
            tokio::time::sleep(Duration::from_millis(turn % 5)).await;
            if turn % 3 == 0 {
                windows::release(&acme.store, call.org, call.id).await.expect("given back");
                return 0;
            }
            acme.book(&finished(call)).await;
            30_000
        });
    }
    let spent: i64 = calls.join_all().await.into_iter().sum();
    for meter in meters {
        assert_eq!(acme.level(meter).await, (spent, 0));
    }
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test]
async fn a_hold_outlives_its_time_only_if_its_replica_says_so() {
    let acme = Organization::new().await;
    let call = acme.call();
    let claim = acme.claim(spend(Scope::Organization), 200_000, 1_000_000).await;
    acme.reserve(&call, &[claim], TimeDelta::seconds(-1)).await;
    let orphans = windows::orphans(&acme.store, clock::now(), 10).await.expect("orphans");
    assert_eq!(orphans.iter().map(|orphan| orphan.call).collect::<Vec<_>>(), [call.id]);
    assert_eq!(
        serde_json::from_value::<store::ledger::Call>(orphans[0].record.clone()).expect("a call"),
        call
    );
    windows::extend(&acme.store, uuid::Uuid::nil(), clock::now() + MINUTE).await.expect("extended");
    assert!(windows::orphans(&acme.store, clock::now(), 10).await.expect("orphans").is_empty());
}

#[tokio::test]
async fn a_limit_that_is_made_later_knows_what_was_spent_before() {
    let acme = Organization::new().await;
    acme.book(&finished(acme.call())).await;
    for scope in [
        Scope::Organization,
        Scope::Group(acme.parent),
        Scope::Group(acme.child),
        Scope::Application(acme.application),
        Scope::User(acme.user),
        Scope::Member(acme.parent, acme.user),
    ] {
        for (metric, used) in [
            (Metric::Spend, 30_000),
            (Metric::Requests, 1),
            (Metric::Tokens, 30),
            (Metric::InputTokens, 10),
            (Metric::OutputTokens, 20),
        ] {
            let meter = Meter { scope, metric, window: Window::Year };
            acme.limit(meter, 1).await;
            assert_eq!(acme.level(meter).await, (used, 0), "{meter:?}");
        }
    }
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test]
async fn every_kind_of_drift_is_found() {
    let acme = Organization::new().await;
    let meter = spend(Scope::Group(acme.parent));
    acme.limit(meter, 1_000_000).await;
    acme.book(&finished(acme.call())).await;
    let call = acme.call();
    let claim = acme.claim(meter, 200_000, 1_000_000).await;
    acme.reserve(&call, &[claim], MINUTE).await;
    assert_eq!(drift(&acme).await, []);
    for (damage, repair, expected) in [
        (
            "update windows set settled = settled + 1 where scope_kind = 'group'",
            "update windows set settled = settled - 1 where scope_kind = 'group'",
            vec![("windows", 30_001, 30_000)],
        ),
        (
            "update windows set settled = 0 where scope_kind = 'user'",
            "update windows set settled = 30000 where scope_kind = 'user'",
            vec![("windows", 0, 30_000)],
        ),
        (
            "update windows set held = 0 where scope_kind = 'group'",
            "update windows set held = 200000 where scope_kind = 'group'",
            vec![("held", 0, 200_000)],
        ),
        (
            "update usage_by_day set spend = spend - 1, calls = calls + 1, output = output + 5",
            "update usage_by_day set spend = spend + 1, calls = calls - 1, output = output - 5",
            vec![("days", 2, 1), ("days", 29_999, 30_000), ("days", 35, 30)],
        ),
        (
            "update events set cost = cost + 1",
            "update events set cost = cost - 1",
            vec![("days", 30_000, 30_001), ("windows", 30_000, 30_001), ("windows", 30_000, 30_001)],
        ),
    ] {
        run(&acme, damage).await;
        let found = drift(&acme).await;
        let found: Vec<_> = found
            .iter()
            .map(|drift| (drift.what.split(':').next().unwrap_or_default(), drift.is, drift.should_be))
            .collect();
        assert_eq!(found, expected, "{damage}");
        run(&acme, repair).await;
        assert_eq!(drift(&acme).await, [], "{repair}");
    }
}

#[tokio::test]
async fn the_ledger_takes_no_negative_cost_and_windows_never_go_below_zero() {
    let acme = Organization::new().await;
    let mut event = finished(acme.call());
    event.cost = domain::money::Money(-1);
    let calendar = acme.facts().await.calendar;
    let refused = store::ledger::book(&acme.store, calendar, &event).await;
    assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
    assert_eq!(drift(&acme).await, []);
}
