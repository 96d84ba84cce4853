//! Alerts: each once, by whoever looks, and to those who look after a thing.

use chrono::{DateTime, Datelike, Duration, Utc};
use domain::{
    alerts::{AlertKind, AlertSettings, Quiet},
    groups::Standing,
    ids::UserId,
    limits::{Meter, Metric, Mode, Scope},
    money::Money,
    roles::{Act, Actor, Permit, Place, permit},
    spend::Outcome,
    users::Role,
    window::Window,
};
use store::{
    StoreError,
    alerts::{self, Sees, watch},
    clock, groups, ledger, limits, mails, notices, organizations, testing, users,
};

use crate::organization::{Organization, finished};

fn own(actor: &Actor) -> Permit {
    permit(actor, Act::UseOwn, Place::Organization).expect("everybody may")
}

async fn titles(acme: &Organization, actor: &Actor) -> Vec<String> {
    let list = notices::list(&acme.store, &own(actor), false, None, 50).await.expect("notices");
    list.into_iter().map(|notice| notice.title).collect()
}

/// Lena leads the child.
async fn lead(acme: &Organization) -> Actor {
    let mut change = acme.change().await;
    let form = users::UserForm {
        email: "lena@acme.example".parse().expect("an address"),
        name: "Lena".parse().expect("a name"),
        role: Role::Member,
    };
    let lena = users::insert(&mut change, &form).await.expect("a user");
    groups::set_member(&mut change, acme.child, lena, Standing::Lead, None).await.expect("a lead");
    change.commit().await.expect("all of it");
    person(acme, lena, "Lena")
}

fn person(acme: &Organization, user: UserId, name: &str) -> Actor {
    Actor { user: Some(user), name: name.to_owned(), role: Role::Member, ..acme.tenant.owner.clone() }
}

const fn spend(scope: Scope, window: Window) -> Meter {
    Meter { scope, metric: Metric::Spend, window }
}

async fn limit(acme: &Organization, meter: Meter, dollars: i64, thresholds: &[u8]) {
    let mut change = acme.change().await;
    let cap = Money::cents(dollars * 100).0;
    let form = limits::LimitForm { cap, mode: Mode::Enforce, thresholds: thresholds.to_vec() };
    limits::set(&mut change, meter, &form, limits::Seen::Whatever).await.expect("a limit");
    change.commit().await.expect("it");
}

/// Uma's call of so many dollars at a moment.
async fn call(acme: &Organization, dollars: i64, at: DateTime<Utc>) {
    let call = ledger::Call { started_at: at, ..acme.call() };
    let event = ledger::Event { finished_at: at, cost: Money::cents(dollars * 100), ..finished(call) };
    assert!(acme.book(&event).await);
}

async fn look(acme: &Organization) -> usize {
    watch::thresholds(&acme.store, acme.tenant.org, clock::now()).await.expect("a look")
}

#[tokio::test]
async fn a_threshold_is_told_once_to_whoever_leads_the_group() {
    let acme = Organization::new().await;
    let lena = lead(&acme).await;
    limit(&acme, spend(Scope::Group(acme.child), Window::Month), 10, &[50, 80, 100]).await;
    assert_eq!(look(&acme).await, 0);
    call(&acme, 6, clock::now()).await;
    assert_eq!(look(&acme).await, 1);
    assert_eq!(look(&acme).await, 0);
    assert_eq!(titles(&acme, &lena).await, ["Child has used 50 % of $10.00 a month"]);
    // Two thresholds at once: the higher one is told, both are on the page.
    call(&acme, 5, clock::now()).await;
    assert_eq!(look(&acme).await, 1);
    assert_eq!(titles(&acme, &lena).await[0], "Child has used up $10.00 a month");
    let list = alerts::list(&acme.store, acme.tenant.org, &Sees::All, None, None, 50).await.expect("alerts");
    assert_eq!(list.len(), 3);
    assert_eq!(list.iter().filter(|alert| alert.told == 1).count(), 2);
    // Those who do not look after it are not told; without a lead nearer, admins are.
    assert!(titles(&acme, &acme.tenant.owner).await.is_empty());
    limit(&acme, spend(Scope::Group(acme.parent), Window::Month), 10, &[100]).await;
    assert_eq!(look(&acme).await, 1);
    assert_eq!(titles(&acme, &acme.tenant.owner).await, ["Parent has used up $10.00 a month"]);
}

#[tokio::test]
async fn of_several_processes_that_look_at_once_one_tells() {
    let acme = Organization::new().await;
    limit(&acme, spend(Scope::Organization, Window::Day), 10, &[50]).await;
    call(&acme, 6, clock::now()).await;
    let (mut looks, org, now) = (tokio::task::JoinSet::new(), acme.tenant.org, clock::now());
    for _ in 0..6 {
        let store = testing::as_another_process(&acme.store);
        looks.spawn(async move { watch::thresholds(&store, org, now).await.expect("a look") });
    }
    assert_eq!(looks.join_all().await.iter().sum::<usize>(), 1);
    assert_eq!(titles(&acme, &acme.tenant.owner).await.len(), 1);
    assert_eq!(mails::take(&acme.store, org, now, 50).await.expect("mail").len(), 1);
}

#[tokio::test]
async fn a_raised_limit_that_comes_near_again_is_told_again_and_a_person_of_their_own() {
    let acme = Organization::new().await;
    let uma = person(&acme, acme.user, "Uma");
    limit(&acme, spend(Scope::User(acme.user), Window::Month), 10, &[80]).await;
    call(&acme, 9, clock::now()).await;
    assert_eq!(look(&acme).await, 1);
    limit(&acme, spend(Scope::User(acme.user), Window::Month), 20, &[80]).await;
    assert_eq!(look(&acme).await, 0);
    call(&acme, 8, clock::now()).await;
    assert_eq!(look(&acme).await, 1);
    assert_eq!(
        titles(&acme, &uma).await,
        ["Uma has used 80 % of $20.00 a month", "Uma has used 80 % of $10.00 a month"]
    );
    // She sees what concerns her, and nothing else.
    let sees = Sees::Some(acme.user, Vec::new());
    assert_eq!(
        alerts::list(&acme.store, acme.tenant.org, &sees, None, None, 50).await.expect("alerts").len(),
        2
    );
    let nobody = Sees::Some(UserId::NIL, Vec::new());
    assert!(
        alerts::list(&acme.store, acme.tenant.org, &nobody, None, None, 50).await.expect("none").is_empty()
    );
}

#[tokio::test]
async fn what_happens_in_quiet_hours_is_in_the_console_at_once_and_in_the_mail_later() {
    let acme = Organization::new().await;
    let now = clock::now();
    let local = now.with_timezone(&acme.facts().await.calendar.zone);
    let minute = u16::try_from(chrono::Timelike::hour(&local) * 60 + chrono::Timelike::minute(&local))
        .expect("it fits");
    let quiet = Quiet { from: minute, to: (minute + 120) % 1440 };
    let settings = AlertSettings { quiet: Some(quiet), ..AlertSettings::default() };
    let mut change = acme.change().await;
    alerts::set_settings(&mut change, &settings).await.expect("settings");
    change.commit().await.expect("it");
    limit(&acme, spend(Scope::Organization, Window::Year), 10, &[50]).await;
    call(&acme, 6, now).await;
    assert_eq!(watch::thresholds(&acme.store, acme.tenant.org, now).await.expect("a look"), 1);
    assert_eq!(titles(&acme, &acme.tenant.owner).await.len(), 1);
    let due = async |at| mails::waiting(&acme.store, at).await.expect("an answer").len();
    assert_eq!(due(now + Duration::minutes(60)).await, 0);
    assert_eq!(due(now + Duration::minutes(121)).await, 1);
    // The version that was shown is not the newest any more.
    let mut change = acme.change().await;
    let stale = alerts::set_settings(&mut change, &settings).await;
    assert!(matches!(stale, Err(StoreError::Stale)), "{stale:?}");
    drop(change);
    // Hours that are quiet for longer hold what waits; without any, it goes at once.
    for (quiet, waits) in [(Some(Quiet { from: minute, to: (minute + 240) % 1440 }), true), (None, false)] {
        let version = alerts::settings(&acme.store, acme.tenant.org).await.expect("settings").version;
        let mut change = acme.change().await;
        let settings = AlertSettings { quiet, version, ..AlertSettings::default() };
        alerts::set_settings(&mut change, &settings).await.expect("settings");
        change.commit().await.expect("it");
        assert_eq!(due(now + Duration::minutes(180)).await, 1 - usize::from(waits), "{quiet:?}");
        assert_eq!(due(clock::now()).await, 1 - usize::from(waits), "{quiet:?}");
    }
}

#[tokio::test]
async fn a_kind_that_is_not_watched_for_does_not_fire() {
    let acme = Organization::new().await;
    let settings = AlertSettings { kinds: vec![AlertKind::Anomaly], ..AlertSettings::default() };
    let mut change = acme.change().await;
    alerts::set_settings(&mut change, &settings).await.expect("settings");
    change.commit().await.expect("it");
    limit(&acme, spend(Scope::Organization, Window::Month), 10, &[50]).await;
    call(&acme, 11, clock::now()).await;
    assert_eq!(look(&acme).await, 0);
    assert!(titles(&acme, &acme.tenant.owner).await.is_empty());
}

#[tokio::test]
async fn a_limit_that_will_be_reached_before_its_window_ends_is_told_once() {
    let acme = Organization::new().await;
    let (org, calendar) = (acme.tenant.org, acme.facts().await.calendar);
    // The 15th, so that there are days behind it and days ahead; ten dollars a day until then.
    let today = clock::now().date_naive().with_day(15).expect("every month has one");
    let noon = |day: chrono::NaiveDate| calendar.midnight(day) + Duration::hours(12);
    for day in today
        .iter_days()
        .take(1)
        .chain((1..=20).filter_map(|back| today.checked_sub_days(chrono::Days::new(back))))
    {
        call(&acme, 10, noon(day)).await;
    }
    // Of 250 dollars a month 150 are used: ten more days. Counted by the limit, as it is set.
    let meter = spend(Scope::Organization, Window::Month);
    limit(&acme, meter, 250, &[]).await;
    let spent = Money::cents(15_000).0;
    let starts = calendar.span(Window::Month, noon(today));
    sqlx::query(
        "insert into windows (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at, ends_at, settled)
         values ($1, 'organization', $2, $2, 'spend', 'month', $3, $4, $5)
         on conflict (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at) do update set settled = excluded.settled",
    )
    .bind(org.0)
    .bind(uuid::Uuid::nil())
    .bind(starts.start)
    .bind(starts.end)
    .bind(spent)
    .execute(acme.store.pool())
    .await
    .expect("a window");
    let now = noon(today) + Duration::hours(1);
    assert_eq!(watch::forecasts(&acme.store, org, now).await.expect("a look"), 1);
    assert_eq!(watch::forecasts(&acme.store, org, now).await.expect("a look"), 0);
    let told = titles(&acme, &acme.tenant.owner).await;
    let day = today.with_day(25).expect("a day").format("%b");
    assert_eq!(told, [format!("Acme will run out on 25 {day}")]);
    // With room to the end of the month there is nothing to tell.
    limit(&acme, spend(Scope::Group(acme.parent), Window::Month), 400, &[]).await;
    assert_eq!(watch::forecasts(&acme.store, org, now).await.expect("a look"), 0);
}

#[tokio::test]
async fn a_day_at_four_times_the_usual_is_told_once_for_the_group_and_the_application() {
    let acme = Organization::new().await;
    let (org, calendar) = (acme.tenant.org, acme.facts().await.calendar);
    let today = calendar.day(clock::now());
    let noon = |day: chrono::NaiveDate| calendar.midnight(day) + Duration::hours(12);
    let now = noon(today);
    for weeks in 1..=5 {
        call(&acme, 10, noon(today - Duration::weeks(weeks))).await;
    }
    call(&acme, 39, now).await;
    assert_eq!(watch::anomalies(&acme.store, org, now).await.expect("a look"), 0);
    call(&acme, 1, now).await;
    // The application, its group and the group above.
    assert_eq!(watch::anomalies(&acme.store, org, now).await.expect("a look"), 3);
    assert_eq!(watch::anomalies(&acme.store, org, now).await.expect("a look"), 0);
    let told = titles(&acme, &acme.tenant.owner).await;
    let weekday = acme.facts().await.calendar.day(now).format("%A").to_string();
    assert!(told.contains(&format!("Assistant costs four times the usual {weekday}")), "{told:?}");
}

#[tokio::test]
async fn a_budget_nobody_used_last_month_is_told_once_a_month() {
    let acme = Organization::new().await;
    let org = acme.tenant.org;
    limit(&acme, spend(Scope::Group(acme.child), Window::Month), 100, &[]).await;
    // It has not been there for a whole month yet.
    assert_eq!(watch::unused(&acme.store, org, clock::now()).await.expect("a look"), 0);
    let later = clock::now() + Duration::days(62);
    assert_eq!(watch::unused(&acme.store, org, later).await.expect("a look"), 1);
    assert_eq!(watch::unused(&acme.store, org, later).await.expect("a look"), 0);
    assert_eq!(titles(&acme, &acme.tenant.owner).await, ["Child hardly uses its budget"]);
}

#[tokio::test]
async fn an_organization_is_told_of_its_own_limits_only() {
    let store = testing::store().await;
    let operator = testing::operator(&store).await;
    let acme = Organization::in_store(&store, operator, "Acme").await;
    let other = Organization::in_store(&store, operator, "Other").await;
    limit(&acme, spend(Scope::Organization, Window::Month), 10, &[50]).await;
    call(&acme, 11, clock::now()).await;
    assert_eq!(look(&other).await, 0);
    assert_eq!(look(&acme).await, 1);
    assert!(titles(&other, &other.tenant.owner).await.is_empty());
    assert!(
        alerts::list(&store, other.tenant.org, &Sees::All, None, None, 50).await.expect("none").is_empty()
    );
}

#[tokio::test]
async fn a_provider_that_does_not_say_what_was_used_is_told_of_once_a_day() {
    let acme = Organization::new().await;
    let (org, now) = (acme.tenant.org, clock::now());
    let look = async |at| watch::unreported(&acme.store, org, at).await.expect("a look");
    let book = async |at, outcome, estimated| {
        let event = finished(ledger::Call { started_at: at, ..acme.call() });
        assert!(acme.book(&ledger::Event { finished_at: at, outcome, estimated, ..event }).await);
    };
    // Who hung up, or was failed by the provider, is not answered; and who is answered says what was used.
    book(now, Outcome::HungUp, true).await;
    book(now, Outcome::UpstreamError, true).await;
    book(now, Outcome::Lost, true).await;
    book(now, Outcome::Ok, false).await;
    assert_eq!(look(now).await, 0);
    book(now, Outcome::Ok, true).await;
    book(now, Outcome::Ok, true).await;
    assert_eq!(look(now).await, 1);
    assert_eq!(look(now).await, 0);
    assert_eq!(titles(&acme, &acme.tenant.owner).await, ["Provider does not say what was used"]);
    let list = alerts::list(&acme.store, org, &Sees::All, Some(AlertKind::Anomaly), None, 50).await;
    let alert = list.expect("alerts").remove(0);
    assert!(alert.body.contains("a call to small was answered without usage"), "{}", alert.body);
    assert!(alert.href.starts_with("/calls/"), "{}", alert.href);
    // The next day is told of anew; of several that look at once one tells.
    let tomorrow = now + Duration::days(1);
    book(tomorrow, Outcome::Ok, true).await;
    let mut looks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = testing::as_another_process(&acme.store);
        looks.spawn(async move { watch::unreported(&store, org, tomorrow).await.expect("a look") });
    }
    assert_eq!(looks.join_all().await.iter().sum::<usize>(), 1);
    assert_eq!(titles(&acme, &acme.tenant.owner).await.len(), 2);
    // An organization that does not want to hear of it does not.
    let globex = Organization::new().await;
    let mut change = globex.change().await;
    let none = AlertSettings { kinds: Vec::new(), ..AlertSettings::default() };
    alerts::set_settings(&mut change, &none).await.expect("settings");
    change.commit().await.expect("them");
    let event = finished(globex.call());
    assert!(globex.book(&ledger::Event { estimated: true, ..event }).await);
    assert_eq!(watch::unreported(&globex.store, globex.tenant.org, now).await.expect("a look"), 0);
}

/// An organization that lives by the clocks of Santiago.
async fn santiago() -> Organization {
    let acme = Organization::new().await;
    let now = organizations::get(&acme.store, acme.tenant.org).await.expect("the organization");
    let settings = organizations::Settings {
        name: now.name.parse().expect("a name"),
        time_zone: "America/Santiago".to_owned(),
        week_start: now.week_start,
        default_user_limit: now.default_user_limit,
        budget_status: now.budget_status,
        contact: now.contact,
    };
    let mut change = acme.change().await;
    organizations::update(&mut change, now.version, &settings).await.expect("a time zone");
    change.commit().await.expect("it");
    acme
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a moment")
}

#[tokio::test]
async fn the_usual_tuesday_is_that_of_the_organization_also_after_its_clocks_were_changed() {
    let acme = santiago().await;
    let org = acme.tenant.org;
    // The clocks went forward on Sunday, 8 September 2024. Ten dollars every Tuesday before, in its
    // first and its last minute there: of which UTC has the last on a Wednesday.
    for (first, last) in [
        ("2024-08-13T04:00:00Z", "2024-08-14T03:59:00Z"),
        ("2024-08-20T04:00:00Z", "2024-08-21T03:59:00Z"),
        ("2024-08-27T04:00:00Z", "2024-08-28T03:59:00Z"),
        ("2024-09-03T04:00:00Z", "2024-09-04T03:59:00Z"),
    ] {
        call(&acme, 5, at(first)).await;
        call(&acme, 5, at(last)).await;
    }
    // Mondays cost a hundred, up to their last minute; another measure for another day.
    for monday in ["2024-08-27T03:59:00Z", "2024-09-03T03:59:00Z", "2024-09-10T02:59:00Z"] {
        call(&acme, 100, at(monday)).await;
    }
    let late = at("2024-09-11T02:59:30Z");
    call(&acme, 20, at("2024-09-10T03:00:00Z")).await;
    call(&acme, 19, at("2024-09-11T02:59:00Z")).await;
    assert_eq!(watch::anomalies(&acme.store, org, late).await.expect("a look"), 0, "39 of usually ten");
    // The next day is not this one's excess, and the hour that is not Tuesday any more is not either.
    call(&acme, 1, at("2024-09-11T03:00:00Z")).await;
    assert_eq!(watch::anomalies(&acme.store, org, late).await.expect("a look"), 0, "still 39");
    call(&acme, 1, at("2024-09-10T12:00:00Z")).await;
    // What began after the last look of the day is found by the first one of the next; a day later it is
    // too late. A look at the same day, however often, tells nothing twice.
    let (wednesday, thursday) = (at("2024-09-11T03:00:30Z"), at("2024-09-12T03:00:30Z"));
    assert_eq!(watch::anomalies(&acme.store, org, thursday).await.expect("a look"), 0);
    assert_eq!(watch::anomalies(&acme.store, org, wednesday).await.expect("a look"), 3);
    assert_eq!(watch::anomalies(&acme.store, org, at("2024-09-10T20:00:00Z")).await.expect("a look"), 0);
    assert_eq!(watch::anomalies(&acme.store, org, wednesday).await.expect("a look"), 0);
    let list = alerts::list(&acme.store, org, &Sees::All, None, None, 50).await.expect("alerts");
    let titles: Vec<&str> = list.iter().map(|alert| alert.title.as_str()).collect();
    assert!(titles.contains(&"Assistant costs four times the usual Tuesday"), "{titles:?}");
    assert!(titles.iter().all(|title| title.ends_with("four times the usual Tuesday")), "{titles:?}");
}

#[tokio::test]
async fn a_budget_is_unused_below_a_tenth_by_the_months_of_the_organization() {
    let acme = santiago().await;
    let org = acme.tenant.org;
    limit(&acme, spend(Scope::Group(acme.child), Window::Month), 100, &[]).await;
    limit(&acme, spend(Scope::Application(acme.application), Window::Month), 101, &[]).await;
    limit(&acme, spend(Scope::Organization, Window::Year), 10_000, &[]).await;
    // They have been there for long.
    sqlx::query("update limits set created_at = '2024-01-01T00:00:00Z'")
        .execute(acme.store.pool())
        .await
        .expect("a limit of then");
    // August ends at four o'clock of UTC: five dollars in its last minute are August's, and a hundred
    // a minute later are not.
    call(&acme, 5, at("2024-08-01T04:00:00Z")).await;
    call(&acme, 5, at("2024-09-01T03:59:00Z")).await;
    call(&acme, 100, at("2024-09-01T04:00:00Z")).await;
    // While August runs it is July that is looked back at: of that nobody used anything.
    let july = watch::unused(&acme.store, org, at("2024-09-01T03:59:59Z")).await.expect("a look");
    assert_eq!(july, 2);
    // Of a hundred ten were used, which is a tenth; of 101 it is less.
    let september = at("2024-09-01T04:00:00Z");
    assert_eq!(watch::unused(&acme.store, org, september).await.expect("a look"), 1);
    let later = at("2024-09-30T12:00:00Z");
    assert_eq!(watch::unused(&acme.store, org, later).await.expect("a look"), 0, "once a month");
    let list = alerts::list(&acme.store, org, &Sees::All, None, None, 50).await.expect("alerts");
    let of = |name: &str| list.iter().filter(|alert| alert.title.starts_with(name)).count();
    assert_eq!((of("Child"), of("Assistant")), (1, 2));
}
