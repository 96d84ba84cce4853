//! Recommendations: found from the sums, put aside with a reason, back when their figures are others.

use chrono::TimeDelta;
use domain::{
    authorizations::{State, Target},
    groups::Standing,
    models::Review,
    money::{Money, Price},
    prices::{PriceKey, Prices},
    recommendations::{Kind, Recommendation},
    roles::Act,
};
use store::{
    StoreError,
    alerts::Sees,
    analytics,
    authorizations::{self, Say},
    clock, groups, models, recommendations, testing, turns, users,
};

use crate::organization::{Organization, finished, group, model_form};

const OPEN: Say = Say { state: State::Open, locked: false, ends_at: None };

async fn found(acme: &Organization) -> Vec<Recommendation> {
    let org = acme.tenant.org;
    recommendations::refresh(&acme.store, org, clock::now()).await.expect("a look");
    recommendations::list(&acme.store, org, &Sees::All, None).await.expect("a list")
}

async fn book(acme: &Organization, calls: usize, cost: i64) {
    for _ in 0..calls {
        let mut event = finished(acme.call());
        event.cost = Money(cost);
        acme.book(&event).await;
    }
}

/// Everything is open to everybody, a cheap model too.
async fn open_a_cheap_model(acme: &Organization) {
    let mut change = acme.change().await;
    let form = model_form("tiny", acme.provider, acme.tier);
    let cheap = models::insert(&mut change, &form, Review::Accepted).await.expect("a model");
    let prices = Prices::default()
        .with(PriceKey::Input, Some(Price(1_000_000)))
        .with(PriceKey::Output, Some(Price(1_000_000)));
    models::set_prices(&mut change, cheap, chrono::DateTime::UNIX_EPOCH, &prices).await.expect("prices");
    authorizations::set(&mut change, None, Target::All, Some(OPEN)).await.expect("open");
    change.commit().await.expect("kept");
}

#[tokio::test]
async fn a_cheaper_model_is_told_of_by_its_figures_until_somebody_says_why_not() {
    let acme = Organization::new().await;
    book(&acme, 25, 100_000_000).await;
    assert_eq!(found(&acme).await, [], "there is no other model");
    let mut change = acme.change().await;
    let cheap =
        models::insert(&mut change, &model_form("tiny", acme.provider, acme.tier), Review::Accepted).await;
    let cheap = cheap.expect("a model");
    let prices = Prices::default()
        .with(PriceKey::Input, Some(Price(1_000_000)))
        .with(PriceKey::Output, Some(Price(1_000_000)));
    models::set_prices(&mut change, cheap, chrono::DateTime::UNIX_EPOCH, &prices).await.expect("prices");
    change.commit().await.expect("kept");
    assert_eq!(found(&acme).await, [], "it is not open to the group");
    let mut change = acme.change().await;
    authorizations::set(&mut change, None, Target::All, Some(OPEN)).await.expect("open");
    change.commit().await.expect("kept");

    let list = found(&acme).await;
    let [one] = list.as_slice() else { panic!("{list:?}") };
    assert_eq!((one.kind, one.saves), (Kind::Cheaper, Money(2_499_999_250)));
    assert!(one.body.contains("spent $2.50 on small: 25 calls of 10 tokens in and 20 out"), "{}", one.body);
    assert!(one.href.starts_with("/authorization/rule?of=grp_"), "{}", one.href);

    let mut change = testing::begin(&acme.store, &acme.tenant.owner, Act::ReviewAccess).await;
    let nothing = recommendations::dismiss(&mut change, &one.topic, &one.figures, " ").await;
    assert!(matches!(nothing, Err(StoreError::Invalid { field: "reason", .. })), "{nothing:?}");
    // Whoever saw other figures is told what they are now; nothing is put aside, and nothing brought back.
    let other = recommendations::dismiss(&mut change, &one.topic, "1 of 2", "It writes better").await;
    let Err(StoreError::Meanwhile(sentence)) = other else { panic!("{other:?}") };
    assert!(sentence.contains(&one.body), "{sentence}");
    let early = recommendations::restore(&mut change, &one.topic, &one.figures).await;
    assert!(matches!(early, Err(StoreError::Meanwhile(_))), "{early:?}");
    recommendations::dismiss(&mut change, &one.topic, &one.figures, "It writes better")
        .await
        .expect("put aside");
    let twice = recommendations::dismiss(&mut change, &one.topic, &one.figures, "It is faster").await;
    assert!(matches!(twice, Err(StoreError::Meanwhile(_))), "{twice:?}");
    let other = recommendations::restore(&mut change, &one.topic, "1 of 2").await;
    assert!(matches!(other, Err(StoreError::Meanwhile(_))), "{other:?}");
    recommendations::restore(&mut change, &one.topic, &one.figures).await.expect("brought back");
    recommendations::dismiss(&mut change, &one.topic, &one.figures, "It writes better")
        .await
        .expect("put aside again");
    change.commit().await.expect("kept");
    book(&acme, 2, 100_000_000).await;
    assert_eq!(found(&acme).await, [], "nearly the same figures");
    book(&acme, 10, 100_000_000).await;
    assert_eq!(found(&acme).await.len(), 1, "other figures");
    let led = Sees::Some(clock::id(), vec![acme.parent]);
    let of_lead = recommendations::list(&acme.store, acme.tenant.org, &led, None).await.expect("a list");
    assert_eq!(of_lead.len(), 1, "whoever leads above sees it");
    let other = Sees::Some(acme.user, vec![clock::id()]);
    assert_eq!(recommendations::list(&acme.store, acme.tenant.org, &other, None).await.expect("a list"), []);

    // Followed, it is gone at once, and does not come back while the model stays by request.
    let model = Target::Model(acme.model);
    let mut change = acme.change().await;
    let say = Say { state: State::ByRequest, ..OPEN };
    authorizations::set(&mut change, Some(acme.parent), model, Some(say)).await.expect("by request");
    change.commit().await.expect("kept");
    let now = recommendations::list(&acme.store, acme.tenant.org, &Sees::All, None).await.expect("a list");
    assert_eq!(now, []);
    assert_eq!(found(&acme).await, []);

    let page = analytics::page(&acme.store, acme.tenant.org, acme.parent).await.expect("analytics");
    assert_eq!(page.own.per_call, Some(Money(100_000_000)));
    assert_eq!(
        page.median.map(|(median, groups)| (median.per_call, groups)),
        Some((Some(Money(100_000_000)), 2)),
        "the group that calls, and the one it is in"
    );
    assert_eq!(page.tiers[0].model.1, "tiny");
    assert_eq!(page.trend.total().spend, page.models.total().spend);
}

#[tokio::test]
async fn a_group_that_was_moved_is_one_and_its_days_are_those_of_the_table_beside() {
    let acme = Organization::new().await;
    open_a_cheap_model(&acme).await;
    let calendar = acme.facts().await.calendar;
    let early = calendar.midnight(calendar.day(clock::now()) - chrono::Days::new(30)) + TimeDelta::hours(12);
    // Too few in each place alone, and one of the day before the thirty.
    for number in 0..26 {
        let mut event = finished(acme.call());
        event.cost = Money(100_000_000);
        if number % 2 == 0 {
            event.call.path = vec![acme.child];
        }
        if number == 25 {
            (event.call.started_at, event.finished_at) = (early, early);
        }
        assert!(acme.book(&event).await);
    }
    let list = found(&acme).await;
    let [one] = list.as_slice() else { panic!("{list:?}") };
    assert!(one.body.contains("spent $2.50 on small: 25 calls"), "{}", one.body);
    let page = analytics::page(&acme.store, acme.tenant.org, acme.child).await.expect("analytics");
    let total = page.models.total();
    assert_eq!((total.spend, total.calls), (Money(2_500_000_000), 25), "as the table beside says");
}

#[tokio::test]
async fn what_a_group_asks_of_a_model_counts_everything_below_it_as_in_the_table_beside() {
    let acme = Organization::new().await;
    let org = acme.tenant.org;
    open_a_cheap_model(&acme).await;
    book(&acme, 25, 100_000_000).await;
    for _ in 0..30 {
        let mut event = finished(acme.call());
        (event.cost, event.call.path) = (Money(200_000_000), vec![acme.parent]);
        assert!(acme.book(&event).await);
    }
    recommendations::refresh(&acme.store, org, clock::now()).await.expect("a look");
    let list = async |sees: &Sees, group| {
        recommendations::list(&acme.store, org, sees, group).await.expect("a list")
    };

    // Whoever sees both groups is told of the one that has it all: the sums of a list count nothing twice.
    let all = list(&Sees::All, None).await;
    let [one] = all.as_slice() else { panic!("{all:?}") };
    assert!(one.body.contains("with everything below it, spent $8.50 on small: 55 calls"), "{}", one.body);
    let page = analytics::page(&acme.store, org, acme.parent).await.expect("analytics");
    assert_eq!((page.models.total().spend, page.models.total().calls), (Money(8_500_000_000), 55));
    // One group costs 100 a call, the other with it 154.
    let middle = Money(i64::midpoint(100_000_000, 8_500_000_000 / 55));
    assert_eq!(page.median.map(|(median, groups)| (median.per_call, groups)), Some((Some(middle), 2)));

    // Whoever leads the one below is told of that one, and its page says so to everybody.
    let led = Sees::Some(acme.user, vec![acme.child]);
    for own in [list(&led, None).await, list(&Sees::All, Some(acme.child)).await] {
        let [one] = own.as_slice() else { panic!("{own:?}") };
        assert!(
            one.body.contains("with everything below it, spent $2.50 on small: 25 calls"),
            "{}",
            one.body
        );
    }
    let page = analytics::page(&acme.store, org, acme.child).await.expect("analytics");
    assert_eq!((page.models.total().spend, page.models.total().calls), (Money(2_500_000_000), 25));

    // Put aside for all of it, it does not come back for a part.
    let mut change = testing::begin(&acme.store, &acme.tenant.owner, Act::ReviewAccess).await;
    recommendations::dismiss(&mut change, &one.topic, &one.figures, "It writes better").await.expect("aside");
    change.commit().await.expect("kept");
    assert_eq!(list(&Sees::All, None).await, []);
}

#[tokio::test]
async fn nobody_who_was_taken_out_or_removed_is_recommended_to_join() {
    let acme = Organization::new().await;
    let mut change = acme.change().await;
    let other = groups::insert(&mut change, None, &group("Other")).await.expect("a group");
    let form = users::UserForm {
        email: "ines@acme.example".parse().expect("an address"),
        name: "Ines".parse().expect("a name"),
        role: domain::users::Role::Member,
    };
    let ines = users::insert(&mut change, &form).await.expect("a user");
    change.commit().await.expect("kept");
    for user in [acme.user, ines] {
        for _ in 0..30 {
            let mut event = finished(acme.call());
            (event.call.user, event.call.path) = (Some(user), vec![other]);
            assert!(acme.book(&event).await);
        }
    }
    let joining = async || {
        let list = found(&acme).await;
        list.into_iter().filter(|one| one.kind == Kind::Join).map(|one| one.topic).collect::<Vec<_>>()
    };
    let (uma, ines_too) = (format!("join {other} {}", acme.user), format!("join {other} {ines}"));
    let mut both = vec![uma.clone(), ines_too.clone()];
    both.sort();
    assert_eq!(joining().await, both);
    // In the group, and then taken out of it by somebody.
    let mut change = acme.change().await;
    groups::set_member(&mut change, other, acme.user, Standing::Member, None).await.expect("a member");
    change.commit().await.expect("kept");
    assert_eq!(joining().await, [ines_too]);
    let mut change = acme.change().await;
    groups::remove_member(&mut change, other, acme.user).await.expect("taken out");
    users::remove(&mut change, ines, None).await.expect("removed");
    change.commit().await.expect("kept");
    assert_eq!(joining().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_turn_is_taken_by_one_until_it_is_over() {
    let acme = Organization::new().await;
    let (now, minute) = (clock::now(), std::time::Duration::from_secs(60));
    let take = |after| turns::take(&acme.store, "watch", minute, now + TimeDelta::seconds(after));
    let mut outcomes = Vec::new();
    for after in [0, 0, 30, 60, 61, 125] {
        outcomes.push(take(after).await.expect("an answer"));
    }
    assert_eq!(outcomes, [true, false, false, true, false, true]);
}
