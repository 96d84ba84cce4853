//! What only observes refuses nobody, and every call it would have refused is written down.

use std::time::Duration;

use domain::{
    authorizations::{State, Target},
    ids::AuthorizationId,
    limits::{Metric, Mode, Scope},
    providers::Dialect,
    roles::{Act, Actor, Place, permit},
    users::Role,
    window::Window,
};
use http::StatusCode;
use store::{
    authorizations::{self, Say},
    calls,
    observed::{self, Noted},
};
use uuid::Uuid;

use crate::{
    client::{DIALECTS, body},
    world::{World, named},
};

/// A rule that only observes, on the organization and every model that is not of a high-cost tier.
async fn observe(world: &World, state: State) -> AuthorizationId {
    let mut change = world.change().await;
    let say = Some(Say { state, locked: true, ends_at: None });
    let id = authorizations::observe(&mut change, None, Target::All, say).await.expect("a rule");
    change.commit().await.expect("it");
    id.expect("its id")
}

/// What was noted by something, once `calls` are written down.
async fn noted(world: &World, id: Uuid, calls: i64) -> Noted {
    let written = async {
        loop {
            let noted = observed::noted(&world.store, world.tenant.org, &[id]).await.expect("an answer");
            match noted.get(&id) {
                Some(noted) if noted.calls >= calls => return noted.clone(),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), written).await.expect("every call is written down")
}

#[tokio::test]
async fn an_observed_rule_refuses_nobody_and_notes_every_call_it_would_have_refused() {
    let world = World::new().await;
    let rule = observe(&world, State::Closed).await;
    world.limit_in(Mode::Observe, Scope::Organization, Metric::Spend, Window::Month, 0).await;
    let facts = store::access::facts(&world.store, world.tenant.org).await.expect("the facts");
    let limit = facts.limits[&Scope::Organization][0].id.expect("a limit of its own");
    for dialect in DIALECTS {
        let answer = world.client.call(dialect, &body(&named("small", dialect), 16)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    let spent = world.ledger().await.iter().map(|call| call.cost.0).sum::<i64>();
    // One call is noted by both: by the rule and by the limit.
    for id in [rule.0, limit.0] {
        let noted = noted(&world, id, 2).await;
        assert_eq!((noted.calls, noted.spend.0), (2, spent), "{id}");
    }
    let id = world.ledger().await[0].id;
    let call = calls::get(&world.store, world.tenant.org, id).await.expect("the call");
    assert_eq!(call.observed.len(), 2, "{:?}", call.observed);
    assert!(call.observed.iter().any(|one| one.message.contains("only observes")), "{:?}", call.observed);
}

#[tokio::test]
async fn an_observed_rule_that_would_let_a_call_pass_notes_nothing() {
    let world = World::new().await;
    let open = observe(&world, State::Open).await;
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    // Then it says something else, and is heard with the next call.
    let by_request = observe(&world, State::ByRequest).await;
    assert_eq!(open, by_request, "the same rule");
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    world.quiet().await;
    assert_eq!(noted(&world, by_request.0, 1).await.calls, 1);
}

#[tokio::test]
async fn the_quota_of_a_rule_that_only_observes_counts_from_the_first_call_and_goes_along_when_it_is_promoted()
 {
    let world = World::new().await;
    let rule = observe(&world, State::Open).await;
    let scope = Scope::Authorization(rule);
    world.limit(scope, Metric::Requests, Window::Year, 1).await;
    let facts = store::access::facts(&world.store, world.tenant.org).await.expect("the facts");
    let quota = facts.limits[&scope][0].id.expect("a limit of its own");
    for _ in 0..2 {
        let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
        assert_eq!(answer.status, StatusCode::OK, "it refuses nobody: {}", answer.text());
    }
    assert_eq!(noted(&world, quota.0, 1).await.calls, 1, "the second one had no room");
    world.quiet().await;
    // The books know by which rule it counted: they agree with what was counted.
    let calendar =
        store::organizations::calendar(&world.store, world.tenant.org).await.expect("the calendar");
    let books = store::books::drift(&world.store, world.tenant.org, calendar, store::clock::now())
        .await
        .expect("the books");
    assert!(books.is_empty(), "{books:?}");
    let mut change = world.change().await;
    authorizations::promote(&mut change, rule).await.expect("it decides");
    change.commit().await.expect("it");
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::PAYMENT_REQUIRED, "what it had counted counts: {}", answer.text());
    assert_eq!(answer.json()["error"]["bursar"]["scope"], "authorization");
}

/// A rule that opens everything and one beside it that only observes, each with quotas that have
/// counted one call.
async fn two_rules(world: &World) -> (AuthorizationId, AuthorizationId) {
    let mut change = world.change().await;
    let say = |locked| Some(Say { state: State::Open, locked, ends_at: None });
    let cell = (Some(world.platform), Target::All);
    let standing = authorizations::set(&mut change, cell.0, cell.1, say(false)).await.expect("a rule");
    let beside = authorizations::observe(&mut change, cell.0, cell.1, say(true)).await.expect("a rule");
    change.commit().await.expect("both");
    let (standing, beside) = (standing.expect("its id"), beside.expect("its id"));
    world.limit(Scope::Authorization(standing), Metric::Requests, Window::Year, 2).await;
    world.limit(Scope::Authorization(standing), Metric::Requests, Window::Total, 50).await;
    world.limit(Scope::Authorization(beside), Metric::Requests, Window::Year, 9).await;
    world.limit(Scope::Authorization(beside), Metric::Requests, Window::Month, 3).await;
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    world.quiet().await;
    (standing, beside)
}

#[tokio::test]
async fn a_rule_that_is_promoted_where_one_decides_takes_its_place_with_the_quotas_of_both() {
    // Whoever may widen gives it the quota that was observed; a lead the lower one of both.
    for (leads, year) in [(false, 9), (true, 2)] {
        let world = World::new().await;
        let (standing, beside) = two_rules(&world).await;
        let mut change = if leads {
            let path = [world.engineering, world.platform];
            let lead =
                Actor { role: Role::Member, leads: vec![world.engineering], ..world.tenant.owner.clone() };
            let act = Act::NarrowAuthorizations;
            let permit = permit(&lead, act, Place::Group(&path)).expect("they lead it");
            store::Change::begin(&world.store, permit).await.expect("a change begins")
        } else {
            world.change().await
        };
        authorizations::promote(&mut change, beside).await.expect("it decides");
        change.commit().await.expect("it");
        let facts = store::access::facts(&world.store, world.tenant.org).await.expect("the facts");
        let rule = &facts.rules[&Some(world.platform)][&Target::All];
        assert_eq!((rule.id, rule.locked), (standing, true), "the same rule says the other thing");
        assert!(facts.observed.is_empty(), "it observes no longer");
        let mut caps: Vec<_> = facts.limits[&Scope::Authorization(standing)]
            .iter()
            .map(|quota| (quota.meter.window, quota.cap))
            .collect();
        caps.sort_by_key(|(_, cap)| *cap);
        let mut expected = vec![(Window::Month, 3), (Window::Year, year), (Window::Total, 50)];
        expected.sort_by_key(|(_, cap)| *cap);
        assert_eq!(caps, expected, "leads: {leads}");
        // What each had counted counts: one call is gone from the month and from the year.
        let room = year.min(3) - 1;
        for call in 0..=room {
            let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
            let expected = if call < room { StatusCode::OK } else { StatusCode::PAYMENT_REQUIRED };
            assert_eq!(answer.status, expected, "leads: {leads}, call {call}: {}", answer.text());
        }
        world.books_agree().await;
    }
}

#[tokio::test]
async fn a_closed_rule_that_is_promoted_where_one_opens_bites_on_the_next_call() {
    let world = World::new().await;
    world.say(None, Target::All, State::Open).await;
    let rule = observe(&world, State::Closed).await;
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let mut change = world.change().await;
    authorizations::promote(&mut change, rule).await.expect("it decides");
    change.commit().await.expect("it");
    for dialect in DIALECTS {
        let answer = world.client.call(dialect, &body(&named("small", dialect), 16)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.text());
    }
    let facts = store::access::facts(&world.store, world.tenant.org).await.expect("the facts");
    assert!(facts.observed.is_empty(), "it observes no longer");
}
