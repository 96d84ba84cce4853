//! Replicas that are not heard of: what they had set aside can be taken back knowingly, what they had
//! let through counts, and one that comes back takes nothing that others have.

use chrono::TimeDelta;
use domain::{
    in_flight::Phase,
    limits::{Meter, Metric, Scope},
    money::Money,
    roles::{Act, Place, permit},
    spend::Outcome,
    window::Window,
};
use store::{
    StoreError, books, clock, in_flight, leases,
    leases::Ask,
    rollups::{self, Which},
};
use uuid::Uuid;

use crate::organization::{Organization, finished, spend};

const AT_ONCE: Meter =
    Meter { scope: Scope::Organization, metric: Metric::ConcurrentCalls, window: Window::Total };

/// A call as its replica tells of it.
async fn tell(acme: &Organization, replica: Uuid, call: &store::ledger::Call) {
    let told = in_flight::Told {
        id: call.id,
        started_at: call.started_at,
        application: call.application,
        group: acme.child,
        user: call.user,
        model: call.model,
        route: "/v1/chat/completions",
        streamed: false,
        phase: Phase::Waiting,
        bytes: 0,
        worst: call.worst,
        secret: call.secret,
        authorization: None,
        beside: None,
        grant: None,
    };
    let telling = in_flight::Telling { calls: 1, cost: call.worst.cost, tokens: 200, told: vec![told] };
    in_flight::tell(&acme.store, acme.tenant.org, replica, &telling, true, clock::now()).await.expect("told");
}

async fn take_back(acme: &Organization, replica: Uuid) -> store::Result<domain::leases::Holder> {
    let permit =
        permit(&acme.tenant.owner, Act::EditOrganization, Place::Organization).expect("an owner may");
    leases::take_back(&acme.store, permit, replica, clock::now()).await
}

async fn agree(acme: &Organization) {
    let calendar = acme.facts().await.calendar;
    let drift = books::drift(&acme.store, acme.tenant.org, calendar, clock::now()).await.expect("a look");
    assert_eq!(drift, []);
}

#[tokio::test]
async fn what_a_lost_replica_had_is_taken_back_and_its_calls_count_in_full() {
    let acme = Organization::new().await;
    let money = spend(Scope::Organization);
    acme.limit(money, 1_000_000).await;
    let (lost, other) = (clock::id(), clock::id());
    let hour_ago = clock::now() - TimeDelta::hours(1);
    leases::hear(&acme.store, lost, hour_ago).await.expect("heard");
    acme.take(lost, &[acme.ask(money, 900_000, 1_000_000).await]).await;
    let call = acme.call();
    tell(&acme, lost, &call).await;
    assert_eq!(acme.take(other, &[acme.ask(money, 200_000, 1_000_000).await]).await[0].granted, 0);
    let holder = take_back(&acme, lost).await.expect("taken back");
    assert_eq!((holder.money, holder.calls, holder.cost), (Money(900_000), 1, Money(200_000)));
    assert_eq!(acme.level(money).await, (200_000, 0), "the call it had told of counts");
    assert_eq!(acme.take(other, &[acme.ask(money, 700_000, 1_000_000).await]).await[0].granted, 700_000);
    agree(&acme).await;
    let calls = rollups::calls(&acme.store, acme.tenant.org, &Which::default(), clock::now(), 10).await;
    let calls = calls.expect("the ledger");
    assert_eq!((calls.len(), calls[0].outcome, calls[0].estimated), (1, Outcome::Lost, true));
    // It comes back after all: what it believes it has is not there any more, and its call is booked.
    leases::hear(&acme.store, lost, clock::now()).await.expect("heard");
    let believes = Ask { keep: 900_000, ..acme.ask(money, 900_000, 1_000_000).await };
    assert_eq!(acme.take(lost, &[believes]).await[0].granted, 100_000, "what there is still room for");
    assert!(!acme.book(&finished(call)).await, "it counts no second time");
    let at_work = take_back(&acme, lost).await;
    assert!(matches!(at_work, Err(StoreError::Invalid { .. })), "it is at work: {at_work:?}");
    assert!(matches!(take_back(&acme, Uuid::nil()).await, Err(StoreError::NotFound)));
    agree(&acme).await;
}

#[tokio::test]
async fn what_a_silent_replica_holds_is_spent_after_its_time_and_nobody_has_to_do_anything() {
    let acme = Organization::new().await;
    let money = spend(Scope::Organization);
    acme.limit(money, 1_000_000).await;
    let (silent, slow, alive) = (clock::id(), clock::id(), clock::id());
    let minutes = |ago| clock::now() - TimeDelta::minutes(ago);
    for (replica, ago) in [(silent, 61), (slow, 50)] {
        leases::hear(&acme.store, replica, minutes(ago)).await.expect("heard");
        acme.take(replica, &[acme.ask(money, 300_000, 1_000_000).await]).await;
        tell(&acme, replica, &acme.call()).await;
    }
    assert_eq!(acme.level(money).await, (0, 600_000));
    let look = async |by| leases::settle_silent(&acme.store, by, clock::now()).await.expect("a look");
    let back = clock::id();
    leases::hear(&acme.store, back, minutes(2)).await.expect("heard");
    leases::hear(&acme.store, back, clock::now()).await.expect("heard");
    assert_eq!(look(back).await, 0, "it was not heard all the while itself: perhaps everybody was silent");
    for ago in [90, 65, 40, 15, 0] {
        let at = clock::now() - TimeDelta::seconds(ago);
        leases::hear(&acme.store, alive, at).await.expect("heard");
    }
    // Two that look at once do it once.
    let (one, two) = tokio::join!(look(alive), look(alive));
    assert!(one + two >= 1, "{one} {two}");
    assert_eq!(look(alive).await, 0, "and then there is nothing left to do");
    assert_eq!(
        acme.level(money).await,
        (200_000, 300_000),
        "one call counts in full, the other one may end yet"
    );
    assert_eq!(acme.leased(money).await, 600_000, "what else it may have spent is lent to nobody");
    agree(&acme).await;
    let told = in_flight::list(&acme.store, acme.tenant.org, &Which::default(), clock::now(), 10).await;
    assert_eq!(told.expect("calls in flight").calls, 1, "every page says the same");
    let calls = rollups::calls(&acme.store, acme.tenant.org, &Which::default(), clock::now(), 10).await;
    let calls = calls.expect("the ledger");
    assert_eq!((calls.len(), calls[0].outcome, calls[0].estimated), (1, Outcome::Lost, true));
    // It starts again after all, and gives back.
    leases::give_up(&acme.store, silent).await.expect("given back");
    assert_eq!(acme.leased(money).await, 300_000);
    agree(&acme).await;
}

#[tokio::test]
async fn a_replica_that_was_cut_off_does_not_bring_its_places_back() {
    let acme = Organization::new().await;
    let (cut_off, alive, third) = (clock::id(), clock::id(), clock::id());
    let seconds = |ago| clock::now() - TimeDelta::seconds(ago);
    leases::hear(&acme.store, cut_off, seconds(90)).await.expect("heard");
    acme.take(cut_off, &[acme.ask(AT_ONCE, 5, 5).await]).await;
    for ago in [90, 65, 40, 15, 0] {
        leases::hear(&acme.store, alive, seconds(ago)).await.expect("heard");
    }
    leases::bury(&acme.store, alive, clock::now()).await.expect("buried");
    assert_eq!(acme.take(third, &[acme.ask(AT_ONCE, 4, 5).await]).await[0].granted, 4);
    leases::hear(&acme.store, cut_off, clock::now()).await.expect("it is back");
    let believes = Ask { keep: 5, ..acme.ask(AT_ONCE, 5, 5).await };
    assert_eq!(acme.take(cut_off, &[believes]).await[0].granted, 1, "four of five are taken");
    agree(&acme).await;
}

#[tokio::test]
async fn after_an_outage_nobody_is_taken_for_dead_at_once() {
    let acme = Organization::new().await;
    let (slow, fast) = (clock::id(), clock::id());
    let minutes_ago = clock::now() - TimeDelta::minutes(10);
    for replica in [slow, fast] {
        leases::hear(&acme.store, replica, minutes_ago).await.expect("heard");
    }
    acme.take(slow, &[acme.ask(AT_ONCE, 5, 5).await]).await;
    // The database was away for all; one is a moment faster to be heard again.
    leases::hear(&acme.store, fast, clock::now()).await.expect("heard");
    leases::bury(&acme.store, fast, clock::now()).await.expect("a look");
    assert_eq!(acme.leased(AT_ONCE).await, 5, "the other one gets its time");
}
