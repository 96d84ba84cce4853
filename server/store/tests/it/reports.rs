//! Closed months: what was told stays told, what comes late is an adjustment, and the books know.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use domain::{
    calls::What,
    limits::{Meter, Metric, Mode, Scope},
    money::{Money, NANOS, Price},
    prices::{PriceKey, Prices},
    reports::{Report, Standing},
    roles::{Act, Place, permit},
    users::Role,
    window::Window,
};
use store::{StoreError, books, calls, clock, groups, ledger, limits, models, reports};

use crate::organization::{Organization, finished, group};

async fn drift(acme: &Organization) -> Vec<books::Drift> {
    let calendar = acme.facts().await.calendar;
    books::drift(&acme.store, acme.tenant.org, calendar, clock::now()).await.expect("a look")
}

async fn run(acme: &Organization, text: &'static str) {
    sqlx::query(text).execute(acme.store.pool()).await.expect("it runs");
}

/// The first day of the month that is so many months ago.
async fn month(acme: &Organization, ago: u32) -> NaiveDate {
    let today = acme.facts().await.calendar.day(clock::now());
    let first = chrono::Datelike::with_day(&today, 1).expect("a day");
    first.checked_sub_months(Months::new(ago)).expect("a month")
}

/// Noon of a day of a month, as Berlin has it.
async fn noon(acme: &Organization, month: NaiveDate, day: u64) -> DateTime<Utc> {
    acme.facts().await.calendar.midnight(month + Days::new(day)) + chrono::TimeDelta::hours(12)
}

async fn book(acme: &Organization, at: DateTime<Utc>, cost: i64) -> ledger::Event {
    let mut event = finished(ledger::Call { started_at: at, ..acme.call() });
    event.finished_at = at;
    event.cost = Money(cost);
    assert!(acme.book(&event).await);
    event
}

async fn report(acme: &Organization, month: NaiveDate) -> Report {
    let calendar = acme.facts().await.calendar;
    reports::get(&acme.store, acme.tenant.org, calendar, month).await.expect("a report")
}

async fn close(acme: &Organization, month: NaiveDate) -> Result<(), StoreError> {
    let calendar = acme.facts().await.calendar;
    let permit = permit(&acme.tenant.owner, Act::KeepBooks, Place::Organization).expect("owners may");
    let mut change = store::Change::begin(&acme.store, permit).await?;
    reports::close(&mut change, calendar, month).await?;
    change.commit().await?;
    Ok(())
}

fn sentence(outcome: Result<(), StoreError>) -> String {
    outcome.expect_err("refused").to_string()
}

#[tokio::test]
async fn a_closed_month_stays_and_what_comes_late_counts_in_the_next() {
    let acme = Organization::new().await;
    let (two, one, running) = (month(&acme, 2).await, month(&acme, 1).await, month(&acme, 0).await);
    assert!(sentence(close(&acme, one).await).contains("Nothing has been counted"));
    book(&acme, noon(&acme, two, 3).await, 1_000_000_001).await;
    book(&acme, noon(&acme, one, 5).await, 2_000).await;
    assert!(sentence(close(&acme, one).await).contains("closed in order"));
    close(&acme, two).await.expect("it is closed");
    assert!(sentence(close(&acme, two).await).contains("closed already"));
    assert!(sentence(close(&acme, running).await).contains("closed in order"));

    // Booked after the close: the month stays, the next one has it.
    let late = book(&acme, noon(&acme, two, 4).await, 77).await;
    assert!(!acme.book(&late).await, "booked twice, it counts once");
    let first = report(&acme, two).await;
    assert_eq!((first.total, first.adjusted), (Money(1_000_000_001), Money(0)));
    assert!(
        matches!(&first.standing, Standing::Closed(closed) if closed.zone == "Europe/Berlin" && closed.lines == 1)
    );
    let next = report(&acme, one).await;
    assert_eq!((next.total, next.adjusted, next.calls), (Money(2_077), Money(77), 2));
    assert_eq!(drift(&acme).await, []);

    close(&acme, one).await.expect("it is closed, with the adjustment in it");
    assert!(sentence(close(&acme, running).await).contains("not over"));
    assert_eq!(report(&acme, one).await.total, Money(2_077));
    // Two months late: still in the month that is next now.
    book(&acme, noon(&acme, two, 9).await, 5).await;
    assert_eq!(
        (report(&acme, running).await.total, report(&acme, running).await.adjusted),
        (Money(5), Money(5))
    );
    assert_eq!(drift(&acme).await, []);
    let calendar = acme.facts().await.calendar;
    let months = reports::months(&acme.store, acme.tenant.org, calendar).await.expect("months");
    let spends: Vec<i64> = months.iter().map(|row| row.spend.0).collect();
    assert_eq!(spends, [5, 2_077, 1_000_000_001], "every nano-dollar once");
    let mut lines = reports::lines(&acme.store, acme.tenant.org, calendar, one).await.expect("lines");
    let mut spends = Vec::new();
    while let Some(piece) = lines.next().await {
        spends.extend(piece.expect("lines").iter().map(|line| line.sums.spend.0));
    }
    assert_eq!(spends.iter().sum::<i64>(), 2_077);
    assert_eq!(spends.len(), 2, "an adjustment is a line of its own");
}

#[tokio::test]
async fn prices_put_right_for_days_that_are_over_change_no_call_no_report_and_no_seal() {
    let acme = Organization::new().await;
    let (two, one) = (month(&acme, 2).await, month(&acme, 1).await);
    let old = DateTime::UNIX_EPOCH;
    // By prices from some moment on, with an id as it was made then.
    let called = async |at: DateTime<Utc>, from, cost| {
        let time = uuid::Timestamp::from_unix(uuid::NoContext, at.timestamp().unsigned_abs(), 0);
        let id = uuid::Uuid::new_v7(time).into();
        let mut event = finished(ledger::Call { id, started_at: at, priced_at: Some(from), ..acme.call() });
        (event.finished_at, event.cost) = (at, Money(cost));
        assert!(acme.book(&event).await);
        event
    };
    let before = called(noon(&acme, two, 3).await, old, 30_000).await;
    let open = called(noon(&acme, one, 5).await, old, 30_000).await;
    close(&acme, two).await.expect("it is closed");
    let told = [report(&acme, two).await, report(&acme, one).await];

    // Dearer by half from before both calls on: what was called keeps its price.
    let corrected = noon(&acme, two, 1).await;
    let dearer = Prices::default()
        .with(PriceKey::Input, Some(Price(3 * NANOS / 2)))
        .with(PriceKey::Output, Some(Price(3 * NANOS / 2)));
    let mut change = acme.change().await;
    models::set_prices(&mut change, acme.model, corrected, &dearer).await.expect("prices");
    change.commit().await.expect("them");
    assert_eq!([report(&acme, two).await, report(&acme, one).await], told);

    // What was let through by either and is booked only now counts as it was priced, in the month that is
    // open, also where it was made in the one that is closed.
    let by_old = called(noon(&acme, two, 4).await, old, 30_000).await;
    let by_new = called(noon(&acme, one, 6).await, corrected, 45_000).await;
    for (event, priced_at, cost) in
        [(before, old, 30_000), (open, old, 30_000), (by_old, old, 30_000), (by_new, corrected, 45_000)]
    {
        let view = calls::get(&acme.store, acme.tenant.org, event.call.id).await.expect("the call");
        let What::Finished(call) = view.what else { panic!("{:?}", view.what) };
        assert_eq!((call.cost, call.priced_at), (Money(cost), Some(priced_at)));
        let lines: i128 = call.lines.iter().map(domain::calls::CostLine::millionths).sum();
        assert_eq!(lines, i128::from(cost) * 1_000_000, "its page adds up");
    }
    assert_eq!(report(&acme, two).await, told[0]);
    let open = report(&acme, one).await;
    assert_eq!((open.total, open.adjusted, open.calls), (Money(105_000), Money(30_000), 3));
    close(&acme, one).await.expect("it is closed");
    assert_eq!(report(&acme, one).await.total, Money(105_000));
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test]
async fn a_month_whose_books_do_not_agree_is_not_closed_and_it_is_said_what_differs() {
    let acme = Organization::new().await;
    let one = month(&acme, 1).await;
    let at = noon(&acme, one, 2).await;
    book(&acme, at, 1_000_000_000).await;
    // A second line of the same day, model and place: without a person.
    let mut alone = finished(ledger::Call { started_at: at, user: None, ..acme.call() });
    (alone.finished_at, alone.cost) = (at, Money(500));
    assert!(acme.book(&alone).await);
    let day = acme.facts().await.calendar.day(at);
    for (damage, repair, expected) in [
        (
            "update usage_by_day set spend = spend + 250000000 where spend > 500",
            "update usage_by_day set spend = spend - 250000000 where spend > 500",
            format!("spend of {day}: application {}, model {}", acme.application, acme.model),
        ),
        (
            "update usage_sums set spend = spend - 7 where grain = 'month' and scope = 'application'",
            "update usage_sums set spend = spend + 7 where grain = 'month' and scope = 'application'",
            format!(
                "spend by application of month {}, {}",
                day.with_day(1).expect("a day"),
                acme.application
            ),
        ),
        // As much in all, on somebody else's line.
        (
            "update usage_by_day set spend = spend + case when spend = 500 then 9 else -9 end",
            "update usage_by_day set spend = spend + case when spend = 509 then -9 else 9 end",
            "$0.000000509 where it should be $0.0000005, which is $0.000000009 away".to_owned(),
        ),
    ] {
        run(&acme, damage).await;
        let told = sentence(close(&acme, one).await);
        assert!(told.contains("was not closed") && told.contains(&expected), "{damage}: {told}");
        let standing = report(&acme, one).await.standing;
        assert_eq!(standing, Standing::Open { next: true }, "{damage}: nothing is left of it");
        run(&acme, repair).await;
    }
    close(&acme, one).await.expect("repaired, it is closed");
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test]
async fn months_end_at_midnight_of_the_organization() {
    let acme = Organization::new().await;
    let (two, one) = (month(&acme, 2).await, month(&acme, 1).await);
    let midnight = acme.facts().await.calendar.midnight(one);
    book(&acme, midnight - chrono::TimeDelta::microseconds(1), 10).await;
    book(&acme, midnight, 200).await;
    assert_eq!((report(&acme, two).await.total.0, report(&acme, one).await.total.0), (10, 200));
    close(&acme, two).await.expect("it is closed");
    assert_eq!((report(&acme, two).await.total.0, report(&acme, one).await.total.0), (10, 200));
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test]
async fn a_closed_month_keeps_the_clocks_it_was_closed_by() {
    let acme = Organization::new().await;
    let (two, one) = (month(&acme, 2).await, month(&acme, 1).await);
    book(&acme, noon(&acme, two, 3).await, 10).await;
    book(&acme, noon(&acme, one, 3).await, 200).await;
    close(&acme, two).await.expect("it is closed");
    // Booked after the close: an adjustment, made in the month that is closed.
    book(&acme, noon(&acme, two, 4).await, 77).await;
    let berlin = acme.facts().await.calendar;
    let elsewhere =
        domain::window::Calendar { zone: "America/New_York".parse().expect("a time zone"), ..berlin };
    let spans = async |month| {
        reports::lines(&acme.store, acme.tenant.org, elsewhere, month).await.expect("lines").spans
    };
    assert_eq!(spans(two).await[&two], (berlin.midnight(two), berlin.midnight(one)));
    let open = spans(one).await;
    assert_eq!(open[&two], (berlin.midnight(two), berlin.midnight(one)), "of an adjustment, too");
    let running = month(&acme, 0).await;
    assert_eq!(open[&one], (elsewhere.midnight(one), elsewhere.midnight(running)), "an open one moves");
}

#[tokio::test]
async fn names_of_a_closed_month_are_those_of_then() {
    let acme = Organization::new().await;
    let one = month(&acme, 1).await;
    book(&acme, noon(&acme, one, 1).await, 10).await;
    close(&acme, one).await.expect("it is closed");
    run(&acme, "update groups set name = 'Renamed', version = version + 1 where name = 'Child'").await;
    let report = report(&acme, one).await;
    let names: Vec<&str> = report.nodes.iter().map(|node| node.name()).collect();
    assert_eq!(names, ["Parent", "Child"]);
    assert_eq!(report.nodes[1].members, Some(Money(10)), "whoever called was a member");
    assert_eq!(report.nodes[0].own, Money(0));
}

#[tokio::test]
async fn groups_whose_people_spend_elsewhere_are_in_the_report_before_and_after_it_is_closed() {
    let acme = Organization::new().await;
    let mut change = acme.change().await;
    let other = groups::insert(&mut change, None, &group("Other")).await.expect("a group");
    change.commit().await.expect("it");
    let one = month(&acme, 1).await;
    let at = noon(&acme, one, 1).await;
    let mut event = finished(ledger::Call { started_at: at, path: vec![other], ..acme.call() });
    (event.finished_at, event.cost) = (at, Money(50));
    assert!(acme.book(&event).await);
    let told = async || {
        let report = report(&acme, one).await;
        let line = |node: &domain::reports::Node| {
            (node.name().to_owned(), node.depth(), node.total.0, node.members.map(|money| money.0))
        };
        assert_eq!((report.total, report.groups), (Money(50), 3));
        report.nodes.iter().map(line).collect::<Vec<_>>()
    };
    let expected = [
        ("Other".to_owned(), 0, 50, None),
        ("Parent".to_owned(), 0, 0, Some(50)),
        ("Child".to_owned(), 1, 0, Some(50)),
    ];
    assert_eq!(told().await, expected);
    close(&acme, one).await.expect("it is closed");
    assert_eq!(told().await, expected);
    run(&acme, "update groups set name = 'Renamed', version = version + 1 where name = 'Child'").await;
    assert_eq!(told().await, expected, "by the names of then");
    assert_eq!(drift(&acme).await, []);
}

#[tokio::test]
async fn a_closed_month_that_was_touched_is_found() {
    let acme = Organization::new().await;
    let one = month(&acme, 1).await;
    book(&acme, noon(&acme, one, 1).await, 10).await;
    close(&acme, one).await.expect("it is closed");
    book(&acme, noon(&acme, one, 2).await, 4).await;
    assert_eq!(drift(&acme).await, []);
    for (damage, repair, expected) in [
        (
            "update report_lines set spend = spend + 1",
            "update report_lines set spend = spend - 1",
            vec![
                ("seals that hold", 0, 1),
                ("spend", 11, 10),
                ("spend against the ledger", 11, 10),
                ("spend of groups", 10, 11),
            ],
        ),
        (
            "update report_groups set calls = calls + 1",
            "update report_groups set calls = calls - 1",
            vec![("calls of groups", 2, 1)],
        ),
        (
            "update report_names set name = 'Nobody' where kind = 'user'",
            "update report_names set name = 'Uma' where kind = 'user'",
            vec![("seals that hold", 0, 1)],
        ),
        (
            "update report_members set spend = spend - 1",
            "update report_members set spend = spend + 1",
            vec![("seals that hold", 0, 1)],
        ),
    ] {
        run(&acme, damage).await;
        let found = drift(&acme).await;
        let mut found: Vec<_> = found
            .iter()
            .map(|drift| (drift.what.rsplit(": ").next().unwrap_or_default(), drift.is, drift.should_be))
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{damage}");
        run(&acme, repair).await;
        assert_eq!(drift(&acme).await, [], "{repair}");
    }
    run(&acme, "delete from late_calls").await;
    let found = drift(&acme).await;
    assert_eq!(found.len(), 3, "a call in no report is missed: {found:?}");
}

#[tokio::test]
async fn only_owners_and_admins_close_months() {
    let acme = Organization::new().await;
    for (role, may) in
        [(Role::Owner, true), (Role::Admin, true), (Role::Auditor, false), (Role::Member, false)]
    {
        let actor = domain::roles::Actor { role, leads: vec![acme.parent], ..acme.tenant.owner.clone() };
        assert_eq!(permit(&actor, Act::KeepBooks, Place::Organization).is_ok(), may, "{role}");
    }
    let permit = permit(&acme.tenant.owner, Act::EditOrganization, Place::Organization).expect("owners may");
    let mut change = store::Change::begin(&acme.store, permit).await.expect("a change");
    let calendar = acme.facts().await.calendar;
    let refused = reports::close(&mut change, calendar, month(&acme, 1).await).await;
    assert!(matches!(refused, Err(StoreError::NotPermitted(Act::KeepBooks))), "{refused:?}");
}

#[tokio::test]
async fn days_that_the_ledger_has_let_go_of_are_no_drift_and_are_not_forgotten() {
    let acme = Organization::new().await;
    let (three, two, running) = (month(&acme, 3).await, month(&acme, 2).await, month(&acme, 0).await);
    let early = noon(&acme, three, 10).await;
    ledger::make_partitions(&acme.store, early.date_naive(), 2).await.expect("partitions");
    book(&acme, early, 1_000).await;
    // A day without a partition of its own.
    book(&acme, noon(&acme, three, 20).await, 200).await;
    book(&acme, noon(&acme, two, 5).await, 30).await;
    close(&acme, three).await.expect("closed");
    // Late, and in the month that is next.
    book(&acme, noon(&acme, three, 11).await, 4).await;
    close(&acme, two).await.expect("closed");
    book(&acme, noon(&acme, running, 0).await.min(clock::now()), 7).await;
    assert_eq!(drift(&acme).await, []);
    let before = report(&acme, three).await;

    // In the middle of a month: nobody can check the half that is left.
    let first = noon(&acme, three, 15).await.date_naive();
    assert_eq!(ledger::kept::let_go_before(&acme.store, first).await.expect("gone"), 4);
    assert_eq!(drift(&acme).await, [], "the first half of a closed month");
    assert_eq!(ledger::kept::let_go_before(&acme.store, first).await.expect("nothing to do"), 0);
    assert_eq!(ledger::kept::first_day(&acme.store).await.expect("a day"), Some(first));
    ledger::kept::let_go_before(&acme.store, noon(&acme, two, 1).await.date_naive()).await.expect("gone");
    assert_eq!(drift(&acme).await, [], "the whole month, and what came late");
    assert_eq!(report(&acme, three).await, before, "what was told stays told");
    // Asked for less than that, nothing comes back.
    ledger::kept::let_go_before(&acme.store, first).await.expect("nothing to do");
    assert_eq!(
        ledger::kept::first_day(&acme.store).await.expect("a day"),
        Some(noon(&acme, two, 1).await.date_naive())
    );

    // A limit that is set now counts what was before.
    let scopes = [
        Scope::Organization,
        Scope::Group(acme.parent),
        Scope::Application(acme.application),
        Scope::User(acme.user),
    ];
    let mut change = acme.change().await;
    for scope in scopes {
        let meter = Meter { scope, metric: Metric::Spend, window: Window::Total };
        let form = limits::LimitForm { cap: 1_000_000, mode: Mode::Enforce, thresholds: Vec::new() };
        limits::set(&mut change, meter, &form, limits::Seen::Nothing).await.expect("a limit");
    }
    change.commit().await.expect("limits");
    let facts = acme.facts().await;
    let levels = limits::list(&acme.store, acme.tenant.org, &facts, |_| true).await.expect("levels");
    let total: Vec<i64> = levels
        .iter()
        .filter(|level| level.limit.meter.window == Window::Total)
        .map(|level| level.level.settled)
        .collect();
    assert_eq!(total, [1_241; 4]);
    assert_eq!(drift(&acme).await, []);

    // What is spoilt among the days that are left is still found.
    run(&acme, "update usage_by_day set spend = spend + 1 where day = (select max(day) from usage_by_day)")
        .await;
    assert!(drift(&acme).await.iter().any(|drift| drift.what.starts_with("days: spend")));
}
