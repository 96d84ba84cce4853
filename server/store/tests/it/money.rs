//! Leases, bookings, and whether the books agree.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::limits::{Meter, Metric, Scope};
use domain::window::Window;
use store::{
    StoreError, books,
    books::Drift,
    clock,
    leases::{self, Ask, Consumed, Granted},
    ledger::{Event, bulk},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::organization::{Organization, finished, spend};

async fn drift(organization: &Organization) -> Vec<Drift> {
    let calendar = organization.facts().await.calendar;
    books::drift(&organization.store, organization.tenant.org, calendar, clock::now()).await.expect("a look")
}

async fn run(organization: &Organization, text: &'static str) {
    sqlx::query(text).execute(organization.store.pool()).await.expect("it runs");
}

/// Books a call and takes it out of a lease, of which so much is left and nothing is held.
async fn book(acme: &Organization, replica: Uuid, meter: Meter, left: i64, event: &Event) -> usize {
    let consumed = Consumed { replica, leases: vec![(acme.bucket(meter).await, left, 0)] };
    let (org, calendar) = (acme.tenant.org, acme.facts().await.calendar);
    bulk::book(&acme.store, org, calendar, std::slice::from_ref(event), Some(&consumed))
        .await
        .expect("booked")
}

#[tokio::test]
async fn a_call_that_is_booked_twice_counts_once() {
    let acme = Organization::new().await;
    let (meter, replica) = (spend(Scope::Group(acme.parent)), clock::id());
    acme.limit(meter, 1_000_000).await;
    let granted = acme.take(replica, &[acme.ask(meter, 200_000, 1_000_000).await]).await;
    assert_eq!(granted[0], Granted { granted: 200_000, ..Granted::default() });
    assert_eq!(acme.level(meter).await, (0, 200_000));
    let event = finished(acme.call());
    assert_eq!(book(&acme, replica, meter, 170_000, &event).await, 1);
    assert_eq!(book(&acme, replica, meter, 170_000, &event).await, 0, "not new any more");
    assert_eq!(acme.level(meter).await, (30_000, 0));
    assert_eq!(acme.leased(meter).await, 170_000);
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test]
async fn a_call_that_is_booked_by_twenty_at_once_counts_once() {
    let acme = Organization::new().await;
    let meter = spend(Scope::Organization);
    acme.limit(meter, 1_000_000).await;
    let event = finished(acme.call());
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
async fn a_call_whose_lease_is_gone_still_counts() {
    let acme = Organization::new().await;
    let meter = spend(Scope::Application(acme.application));
    acme.limit(meter, 1_000_000).await;
    assert_eq!(book(&acme, clock::id(), meter, 0, &finished(acme.call())).await, 1);
    assert_eq!(acme.level(meter).await, (30_000, 0));
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test]
async fn a_replica_that_gives_up_twice_gives_back_once() {
    let acme = Organization::new().await;
    let meter = spend(Scope::Organization);
    let (one, other) = (clock::id(), clock::id());
    acme.take(one, &[acme.ask(meter, 200_000, 1_000_000).await]).await;
    acme.take(other, &[acme.ask(meter, 300_000, 1_000_000).await]).await;
    for _ in 0..2 {
        leases::give_up(&acme.store, one).await.expect("given back");
        assert_eq!((acme.level(meter).await, acme.leased(meter).await), ((0, 300_000), 300_000));
    }
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test]
async fn asking_again_for_the_same_changes_nothing() {
    let acme = Organization::new().await;
    let (meter, replica) = (spend(Scope::Organization), clock::id());
    let ask = acme.ask(meter, 200_000, 1_000_000).await;
    for _ in 0..3 {
        let granted = acme.take(replica, &[Ask { keep: 200_000, ..ask }]).await[0];
        assert_eq!((granted.granted, acme.leased(meter).await), (200_000, 200_000));
    }
    let back = acme.take(replica, &[acme.ask(meter, 50_000, 1_000_000).await]).await[0];
    assert_eq!((back.granted, acme.leased(meter).await), (50_000, 50_000), "less is given back");
    acme.take(replica, &[acme.ask(meter, 0, 1_000_000).await]).await;
    assert_eq!((acme.level(meter).await, acme.leased(meter).await), ((0, 0), 0));
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test]
async fn slices_shrink_as_the_cap_comes_near_down_to_what_is_needed() {
    let acme = Organization::new().await;
    let meter = spend(Scope::Organization);
    let ask = Ask { extra: i64::MAX / 4, ..acme.ask(meter, 1_000, 1_000_000).await };
    let mut left = 1_000_000;
    let mut slices = Vec::new();
    loop {
        let granted = acme.take(clock::id(), &[ask]).await[0].granted;
        if granted == 0 {
            break;
        }
        assert!(granted >= 1_000 && granted <= 1_000 + (left - 1_000) / 8, "{granted} of {left}");
        left -= granted;
        slices.push(granted);
    }
    assert!(slices.is_sorted_by(|a, b| a >= b), "{slices:?}");
    assert!(left < 1_000, "everything that can be used was handed out: {left} is left");
}

#[tokio::test]
async fn halves_of_what_is_needed_are_not_handed_out() {
    let acme = Organization::new().await;
    let meter = spend(Scope::Organization);
    acme.take(clock::id(), &[acme.ask(meter, 600, 1_000).await]).await;
    let second = acme.take(clock::id(), &[acme.ask(meter, 600, 1_000).await]).await[0];
    let expected = Granted { granted: 0, others: 600, others_held: 600, lost: 600, settled: 0 };
    assert_eq!(second, expected, "400 help nobody who needs 600");
    // Those who wait for more together than there is get what there is, if one of them is helped.
    let several = Ask { need: 900, ..acme.ask(meter, 300, 1_000).await };
    assert_eq!(acme.take(clock::id(), &[several]).await[0].granted, 400);
}

#[tokio::test]
async fn a_cap_that_was_lowered_takes_nothing_away_from_calls_in_flight() {
    let acme = Organization::new().await;
    let (meter, replica) = (spend(Scope::Organization), clock::id());
    acme.take(replica, &[acme.ask(meter, 900, 1_000).await]).await;
    let more = Ask { keep: 900, useful: 950, need: 950, ..acme.ask(meter, 900, 100).await };
    assert_eq!(acme.take(replica, &[more]).await[0].granted, 900);
    assert_eq!(acme.take(clock::id(), &[acme.ask(meter, 1, 100).await]).await[0].granted, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_replicas_at_once_as_many_are_served_as_fit() {
    let acme = Organization::new().await;
    let meters = [Scope::Organization, Scope::Group(acme.child), Scope::User(acme.user)].map(spend);
    let mut asks = Vec::new();
    for meter in meters {
        asks.push(acme.ask(meter, 200_000, 100_000_000).await);
    }
    asks[1].cap = 7 * 200_000 + 199_999;
    let narrow = asks[1].bucket;
    let acme = std::sync::Arc::new(acme);
    let mut takers = JoinSet::new();
    for turn in 0..100 {
        let (acme, mut asks) = (acme.clone(), asks.clone());
        // Whoever asks in another order must not meet the others crosswise.
        asks.rotate_left(turn % 3);
        takers.spawn(async move {
            let granted = acme.take(clock::id(), &asks).await;
            asks.iter().zip(granted).any(|(ask, got)| ask.bucket == narrow && got.granted == 200_000)
        });
    }
    let served = takers.join_all().await.into_iter().filter(|served| *served).count();
    assert_eq!(served, 7);
    assert_eq!(acme.leased(meters[1]).await, 7 * 200_000);
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_booking_and_giving_up_crosswise_leaves_the_books_right() {
    let acme = Organization::new().await;
    let meters =
        [Scope::Organization, Scope::Group(acme.parent), Scope::Member(acme.child, acme.user)].map(spend);
    for meter in meters {
        acme.limit(meter, 20_000_000).await;
    }
    let mut asks = Vec::new();
    for meter in meters {
        asks.push(acme.ask(meter, 200_000, 20_000_000).await);
    }
    let calendar = acme.facts().await.calendar;
    let acme = std::sync::Arc::new(acme);
    let mut replicas = JoinSet::new();
    for turn in 0..40 {
        let (acme, mut asks) = (acme.clone(), asks.clone());
        asks.rotate_left(turn % 3);
        replicas.spawn(async move {
            let replica = clock::id();
            acme.take(replica, &asks).await;
            let mut spent = 0;
            if turn % 4 != 0 {
                let leases = asks.iter().map(|ask| (ask.bucket, 170_000, 0)).collect();
                let consumed = Consumed { replica, leases };
                let event = finished(acme.call());
                let org = acme.tenant.org;
                bulk::book(&acme.store, org, calendar, &[event], Some(&consumed)).await.expect("booked");
                spent = 30_000;
            }
            leases::give_up(&acme.store, replica).await.expect("given back");
            spent
        });
    }
    let spent: i64 = replicas.join_all().await.into_iter().sum();
    for meter in meters {
        assert_eq!((acme.level(meter).await, acme.leased(meter).await), ((spent, 0), 0));
    }
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test]
async fn what_a_dead_replica_had_stays_set_aside_but_for_its_calls_at_once() {
    let acme = Organization::new().await;
    let money = spend(Scope::Organization);
    let at_once =
        Meter { scope: Scope::Organization, metric: Metric::ConcurrentCalls, window: Window::Total };
    let (dead, alive) = (clock::id(), clock::id());
    let hour_ago = clock::now() - TimeDelta::hours(1);
    leases::hear(&acme.store, dead, hour_ago).await.expect("heard");
    for seconds in [75, 50, 25, 0] {
        let then = clock::now() - TimeDelta::seconds(seconds);
        leases::hear(&acme.store, alive, then).await.expect("heard");
    }
    for replica in [dead, alive] {
        let asks = [acme.ask(money, 400, 1_000).await, acme.ask(at_once, 2, 5).await];
        acme.take(replica, &asks).await;
    }
    leases::bury(&acme.store, alive, clock::now()).await.expect("buried");
    let third = clock::id();
    let asks = [acme.ask(money, 300, 1_000).await, acme.ask(at_once, 3, 5).await];
    let granted = acme.take(third, &asks).await;
    assert_eq!((granted[0].granted, granted[0].others, granted[0].lost), (0, 800, 400));
    assert_eq!((granted[1].granted, granted[1].lost), (3, 0), "dead calls do not run");
    leases::give_up(&acme.store, dead).await.expect("it is back and says what became of its calls");
    assert_eq!(acme.take(third, &asks).await[0].granted, 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_taken_for_dead_and_lives_leaves_the_books_right() {
    let acme = Organization::new().await;
    let at_once =
        Meter { scope: Scope::Organization, metric: Metric::ConcurrentCalls, window: Window::Total };
    let ask = acme.ask(at_once, 2, 50).await;
    for turn in 0..30 {
        let (slow, other) = (clock::id(), clock::id());
        acme.take(slow, &[ask]).await;
        acme.take(other, &[ask]).await;
        for seconds in [75, 50, 25, 0] {
            let then = clock::now() - TimeDelta::seconds(seconds);
            leases::hear(&acme.store, other, then).await.expect("heard");
        }
        leases::hear(&acme.store, slow, clock::now() - TimeDelta::hours(1)).await.expect("heard");
        // It wakes up at the moment when the others bury it.
        let waking = async {
            leases::hear(&acme.store, slow, clock::now()).await.expect("heard");
            for _ in 0..3 {
                acme.take(slow, &[Ask { keep: 2, need: 3, ..ask }]).await;
            }
        };
        let burying = async { leases::bury(&acme.store, other, clock::now()).await.expect("buried") };
        let more = [Ask { keep: 2, need: 2, ..ask }];
        let busy = acme.take(other, &more);
        tokio::join!(waking, burying, busy);
        assert_eq!(drift(&acme).await, [], "turn {turn}");
        for replica in [slow, other] {
            leases::give_up(&acme.store, replica).await.expect("given back");
        }
    }
    assert_eq!(acme.leased(at_once).await, 0);
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
    acme.take(clock::id(), &[acme.ask(meter, 200_000, 1_000_000).await]).await;
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
            "update leases set granted = granted + 7",
            "update leases set granted = granted - 7",
            vec![("leased", 200_000, 200_007)],
        ),
        (
            "update usage_sums set spend = spend + 2 where scope = 'user' and grain = 'month'",
            "update usage_sums set spend = spend - 2 where scope = 'user' and grain = 'month'",
            vec![("sums", 30_002, 30_000)],
        ),
        (
            "update usage_sums set calls = calls + 1 where scope = 'members' and grain = 'day'",
            "update usage_sums set calls = calls - 1 where scope = 'members' and grain = 'day'",
            // Their month has fewer, and of those there are too many, nobody knows how long they took.
            vec![("sums", 2, 1), ("sums", 1, 2), ("sums", 2, 4)],
        ),
        (
            "update usage_sums set took = took * 2 where scope = 'organization'",
            "update usage_sums set took = took / 2 where scope = 'organization'",
            // A month, and a day with and without its model.
            vec![("sums", 2, 1), ("sums", 4, 2)],
        ),
        (
            "update usage_by_day set spend = spend - 1, calls = calls + 1, output = output + 5",
            "update usage_by_day set spend = spend + 1, calls = calls - 1, output = output - 5",
            // And with every kind of coarser sum.
            vec![
                ("days", 2, 1),
                ("days", 29_999, 30_000),
                ("days", 25, 20),
                ("sums", 1, 2),
                ("sums", 30_000, 29_999),
                ("sums", 20, 25),
            ],
        ),
        (
            "update events set cost = cost + 1",
            "update events set cost = cost - 1",
            vec![("days", 30_000, 30_001), ("windows", 30_000, 30_001)],
        ),
        (
            "update usage_by_day set features = 2, spend = spend + 1",
            "update usage_by_day set features = 0, spend = spend - 1",
            // One row that is not in the ledger, and one that is missing: calls, spend, input, output, milliseconds.
            [("days", 0, 1), ("days", 0, 30_000), ("days", 0, 10), ("days", 0, 20), ("days", 0, 2)]
                .into_iter()
                .flat_map(|(what, is, should_be)| {
                    [(what, is, should_be), (what, should_be + i64::from(should_be == 30_000), 0)]
                })
                .chain([("sums", 30_000, 30_001)])
                .chain([1, 30_001, 10, 20, 2].map(|should_be| ("sums", 0, should_be)))
                .collect(),
        ),
    ] {
        run(&acme, damage).await;
        let found = drift(&acme).await;
        // What several rows say alike is said once here.
        let found: BTreeSet<_> = found
            .iter()
            .map(|drift| (drift.what.split(':').next().unwrap_or_default(), drift.is, drift.should_be))
            .collect();
        assert_eq!(found, BTreeSet::from_iter(expected), "{damage}");
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
