//! Limits that are told of: each crossing once, however late it is seen; and those that will be reached.

use chrono::{DateTime, Duration, Utc};
use domain::{
    authorizations::{State, Target},
    ids::OrgId,
    limits::{Meter, Metric, Mode, Scope},
    money::Money,
    roles::{Act, Place, permit},
    window::Window,
};
use store::{
    alerts::watch,
    authorizations::{self, Say},
    clock, ledger, limits, notices, organizations,
};
use uuid::Uuid;

use crate::organization::{Organization, finished};

async fn titles(acme: &Organization) -> Vec<String> {
    let own = permit(&acme.tenant.owner, Act::UseOwn, Place::Organization).expect("everybody may");
    let list = notices::list(&acme.store, &own, false, None, 50).await.expect("notices");
    list.into_iter().map(|notice| notice.title).collect()
}

const fn meter(scope: Scope, metric: Metric, window: Window) -> Meter {
    Meter { scope, metric, window }
}

async fn limit(acme: &Organization, meter: Meter, cap: i64, mode: Mode, thresholds: &[u8]) {
    let mut change = acme.change().await;
    let form = limits::LimitForm { cap, mode, thresholds: thresholds.to_vec() };
    limits::set(&mut change, meter, &form, limits::Seen::Whatever).await.expect("a limit");
    change.commit().await.expect("it");
}

async fn call(acme: &Organization, dollars: i64, from: DateTime<Utc>, to: DateTime<Utc>) {
    let call = ledger::Call { started_at: from, ..acme.call() };
    let event = ledger::Event { finished_at: to, cost: dollars_of(dollars), ..finished(call) };
    assert!(acme.book(&event).await);
}

const fn dollars_of(dollars: i64) -> Money {
    Money::cents(dollars * 100)
}

/// Sets what a meter has used in the window of a moment.
async fn used(acme: &Organization, meter: Meter, at: DateTime<Utc>, amount: i64) {
    let span = acme.facts().await.calendar.span(meter.window, at);
    let (kind, thing, person) = meter.scope.parts();
    sqlx::query(
        "insert into windows (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at, ends_at, settled)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at) do update set settled = excluded.settled",
    )
    .bind(acme.tenant.org.0)
    .bind(kind.as_str())
    .bind(thing)
    .bind(person)
    .bind(meter.metric.as_str())
    .bind(meter.window.as_str())
    .bind(span.start)
    .bind(span.end)
    .bind(amount)
    .execute(acme.store.pool())
    .await
    .expect("a window");
}

async fn near(acme: &Organization, at: DateTime<Utc>) -> usize {
    watch::thresholds(&acme.store, acme.tenant.org, at).await.expect("a look")
}

async fn late(acme: &Organization, at: DateTime<Utc>) -> usize {
    watch::late(&acme.store, acme.tenant.org, at).await.expect("a look")
}

async fn ahead(acme: &Organization, at: DateTime<Utc>) -> usize {
    watch::forecasts(&acme.store, acme.tenant.org, at).await.expect("a look")
}

/// When the window ends that runs now.
async fn end(acme: &Organization, window: Window) -> DateTime<Utc> {
    acme.facts().await.calendar.span(window, clock::now()).end.expect("it ends")
}

async fn default_limit(acme: &Organization, org: OrgId, default: Option<Money>) {
    let now = organizations::get(&acme.store, org).await.expect("it is there");
    let settings = organizations::Settings {
        name: now.name.parse().expect("a name"),
        time_zone: now.time_zone.clone(),
        week_start: now.week_start,
        default_user_limit: default,
        budget_status: now.budget_status,
        contact: now.contact.clone(),
    };
    let mut change = acme.change().await;
    organizations::update(&mut change, now.version, &settings).await.expect("settings");
    change.commit().await.expect("them");
}

#[tokio::test]
async fn what_is_crossed_just_before_a_window_ends_is_told_by_the_first_look_after_it() {
    let acme = Organization::new().await;
    let day = meter(Scope::Organization, Metric::Spend, Window::Day);
    limit(&acme, day, dollars_of(10).0, Mode::Enforce, &[50, 80]).await;
    let end = end(&acme, Window::Day).await;
    used(&acme, day, clock::now(), dollars_of(9).0).await;
    // Nobody looked before midnight.
    assert_eq!(near(&acme, end + Duration::minutes(30)).await, 1);
    assert_eq!(titles(&acme).await, ["Acme used 80 % of $10.00 a day"]);
    for hours in [1, 20, 300] {
        let at = end + Duration::hours(hours);
        assert_eq!((near(&acme, at).await, late(&acme, at).await), (0, 0), "{hours} hours later");
    }
}

#[tokio::test]
async fn what_is_booked_days_after_its_window_is_told_all_the_same_and_once() {
    let acme = Organization::new().await;
    let month = meter(Scope::Group(acme.child), Metric::Spend, Window::Month);
    limit(&acme, month, dollars_of(10).0, Mode::Enforce, &[100]).await;
    let end = end(&acme, Window::Month).await;
    used(&acme, month, clock::now(), dollars_of(10).0).await;
    let at = end + Duration::days(4);
    // It is not what is looked at with every booking; a few times an hour it is.
    assert_eq!((near(&acme, at).await, late(&acme, at).await, late(&acme, at).await), (0, 1, 0));
    assert_eq!(titles(&acme).await, ["Child used up $10.00 a month"]);
}

#[tokio::test]
async fn a_window_that_had_ended_before_a_limit_was_lowered_is_not_measured_by_it() {
    let acme = Organization::new().await;
    let day = meter(Scope::Organization, Metric::Spend, Window::Day);
    limit(&acme, day, dollars_of(100).0, Mode::Enforce, &[50]).await;
    let end = end(&acme, Window::Day).await;
    used(&acme, day, clock::now(), dollars_of(9).0).await;
    limit(&acme, day, dollars_of(10).0, Mode::Enforce, &[50]).await;
    sqlx::query("update limits set changed_at = $2 where org_id = $1 and changed_at is not null")
        .bind(acme.tenant.org.0)
        .bind(end + Duration::minutes(1))
        .execute(acme.store.pool())
        .await
        .expect("it was lowered just after midnight");
    assert_eq!(
        (near(&acme, end + Duration::minutes(30)).await, late(&acme, end + Duration::hours(2)).await),
        (0, 0)
    );
}

#[tokio::test]
async fn a_limit_by_the_minute_is_told_of_once_a_day_by_the_minute_that_used_most() {
    let acme = Organization::new().await;
    let minute = meter(Scope::Organization, Metric::Requests, Window::Minute);
    limit(&acme, minute, 10, Mode::Enforce, &[50, 100]).await;
    // From noon of the day after: wherever the day is now, this one has minutes before it.
    let noon = end(&acme, Window::Day).await + Duration::hours(12);
    for (minutes, requests) in [(3, 10), (2, 6), (1, 7)] {
        used(&acme, minute, noon - Duration::minutes(minutes), requests).await;
    }
    assert_eq!(near(&acme, noon).await, 1);
    assert_eq!(titles(&acme).await, ["Acme used up 10 requests a minute"]);
    used(&acme, minute, noon, 10).await;
    assert_eq!((near(&acme, noon).await, late(&acme, noon + Duration::hours(3)).await), (0, 0));
}

#[tokio::test]
async fn a_person_who_passed_the_default_just_before_the_month_ended_is_told() {
    let acme = Organization::new().await;
    default_limit(&acme, acme.tenant.org, Some(dollars_of(10))).await;
    let month = meter(Scope::User(acme.user), Metric::Spend, Window::Month);
    used(&acme, month, clock::now(), dollars_of(11).0).await;
    let end = end(&acme, Window::Month).await;
    assert_eq!(near(&acme, end + Duration::minutes(5)).await, 1);
    assert_eq!(
        (near(&acme, end + Duration::minutes(9)).await, late(&acme, end + Duration::days(2)).await),
        (0, 0)
    );
    // One that was set after it is not what the month was under.
    let other = Organization::new().await;
    default_limit(&other, other.tenant.org, Some(dollars_of(10))).await;
    let month = meter(Scope::User(other.user), Metric::Spend, Window::Month);
    used(&other, month, clock::now(), dollars_of(11).0).await;
    sqlx::query("update organizations set default_user_limit_since = $2 where org_id = $1")
        .bind(other.tenant.org.0)
        .bind(end)
        .execute(other.store.pool())
        .await
        .expect("it was set later");
    assert_eq!(late(&other, end + Duration::minutes(5)).await, 0);
}

#[tokio::test]
async fn calls_at_once_are_told_of_by_what_is_held_and_by_what_the_ledger_had() {
    let acme = Organization::new().await;
    let at_once = meter(Scope::Group(acme.child), Metric::ConcurrentCalls, Window::Total);
    limit(&acme, at_once, 4, Mode::Enforce, &[50, 100]).await;
    let now = clock::now();
    assert_eq!((near(&acme, now).await, late(&acme, now).await), (0, 0));
    let seconds = |from: i64| now + Duration::seconds(from);
    // One after the other, and two that only touch.
    call(&acme, 0, seconds(10), seconds(20)).await;
    call(&acme, 0, seconds(20), seconds(30)).await;
    assert_eq!(late(&acme, seconds(31)).await, 0);
    // Three at the same moment, for a second, between two looks.
    for from in [40, 41, 42] {
        call(&acme, 0, seconds(from), seconds(43)).await;
    }
    assert_eq!((near(&acme, seconds(50)).await, late(&acme, seconds(50)).await), (0, 1));
    assert_eq!(late(&acme, seconds(55)).await, 0);
    assert_eq!(titles(&acme).await, ["Child reached 50 % of 4 calls at once"]);
    // All of them are held now.
    let ask = store::leases::Ask { reserved: 4, ..acme.ask(at_once, 4, 4).await };
    acme.take(Uuid::from_u128(7), &[ask]).await;
    assert_eq!((near(&acme, seconds(60)).await, near(&acme, seconds(60)).await), (1, 0));
    assert_eq!(titles(&acme).await[0], "Child reached 4 calls at once");
}

#[tokio::test]
async fn a_limit_by_the_day_that_will_be_reached_today_is_told() {
    let acme = Organization::new().await;
    let day = meter(Scope::Organization, Metric::Spend, Window::Day);
    let watching = meter(Scope::Group(acme.child), Metric::Requests, Window::Day);
    limit(&acme, day, dollars_of(10).0, Mode::Enforce, &[]).await;
    limit(&acme, watching, 100, Mode::Observe, &[]).await;
    let calendar = acme.facts().await.calendar;
    // The first of July: a day of 24 hours everywhere.
    let noon = calendar.midnight("2027-07-01".parse().expect("a day")) + Duration::hours(12);
    used(&acme, day, noon, dollars_of(6).0).await;
    used(&acme, watching, noon, 75).await;
    assert_eq!((ahead(&acme, noon).await, ahead(&acme, noon).await), (2, 0));
    let mut told = titles(&acme).await;
    told.sort();
    assert_eq!(told, ["Acme will run out at 20:00", "Child will pass 100 requests a day at 16:00"]);
    // What has room until midnight is not told of.
    used(&acme, day, noon + Duration::days(1), dollars_of(4).0).await;
    assert_eq!(ahead(&acme, noon + Duration::days(1)).await, 0);
}

#[tokio::test]
async fn what_a_rule_may_spend_in_a_month_and_in_all_is_forecast_by_its_pace() {
    let acme = Organization::new().await;
    let mut change = acme.change().await;
    let say = Say { state: State::Open, locked: false, ends_at: None };
    let target = Target::Model(acme.model);
    authorizations::set(&mut change, Some(acme.parent), target, Some(say)).await.expect("a rule");
    change.commit().await.expect("it");
    let facts = acme.facts().await;
    let rule = facts.rules.values().flatten().map(|(_, rule)| rule.id).next().expect("a rule");
    let month = meter(Scope::Authorization(rule), Metric::Spend, Window::Month);
    let whole = meter(Scope::Authorization(rule), Metric::Spend, Window::Total);
    for meter in [month, whole] {
        limit(&acme, meter, dollars_of(100).0, Mode::Enforce, &[]).await;
    }
    // Ten days after the rule was made half of it is gone.
    let at = clock::now() + Duration::days(10);
    used(&acme, whole, at, dollars_of(50).0).await;
    assert_eq!((ahead(&acme, at).await, ahead(&acme, at).await), (1, 0));
    let day = domain::time::day(facts.calendar.day(at + Duration::days(10)));
    assert!(titles(&acme).await[0].ends_with(&format!("will run out on {day}")), "{:?}", titles(&acme).await);
    // Raised, it comes near again.
    limit(&acme, whole, dollars_of(120).0, Mode::Enforce, &[]).await;
    assert_eq!(ahead(&acme, at).await, 1);
    // A month by its own pace.
    let start = facts.calendar.span(Window::Month, at + Duration::days(62)).start;
    used(&acme, month, start, dollars_of(60).0).await;
    assert_eq!(ahead(&acme, start + Duration::days(12)).await, 1);
}

#[tokio::test]
async fn the_default_of_people_and_what_is_for_ever_are_forecast_by_their_days() {
    let acme = Organization::new().await;
    default_limit(&acme, acme.tenant.org, Some(dollars_of(100))).await;
    let whole = meter(Scope::Application(acme.application), Metric::Spend, Window::Total);
    limit(&acme, whole, dollars_of(400).0, Mode::Enforce, &[]).await;
    let calendar = acme.facts().await.calendar;
    let month = calendar.span(Window::Month, clock::now());
    // Five dollars on each of the first fifteen days of the month, and of twenty days before it.
    let noon = month.start + Duration::days(14) + Duration::hours(12);
    for back in 0..=25 {
        let at = noon - Duration::days(back);
        call(&acme, 5, at, at).await;
    }
    let person = meter(Scope::User(acme.user), Metric::Spend, Window::Month);
    used(&acme, person, noon, dollars_of(75).0).await;
    used(&acme, whole, noon, dollars_of(130).0).await;
    let at = noon + Duration::hours(1);
    assert_eq!((ahead(&acme, at).await, ahead(&acme, at).await), (2, 0));
    let told: Vec<(String, String)> =
        sqlx::query_as("select title, rule from alerts where org_id = $1 order by title")
            .bind(acme.tenant.org.0)
            .fetch_all(acme.store.pool())
            .await
            .expect("alerts");
    // Another 25 dollars are five days; 270 are 54.
    let on = |days| domain::time::day(calendar.day(noon + Duration::days(days)));
    let titles: Vec<&String> = told.iter().map(|(title, _)| title).collect();
    assert_eq!(
        titles,
        [&format!("Assistant will run out on {}", on(54)), &format!("Uma will run out on {}", on(5))]
    );
    assert!(told.iter().all(|(_, rule)| rule.starts_with("forecast from 25 days")), "{told:?}");
}
