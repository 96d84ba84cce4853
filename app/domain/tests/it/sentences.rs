//! What people read: caps to their last digit, numbers with their nouns, names as many as a sentence holds.

use domain::{
    access::by_name,
    alerts::{Ahead, Use, Watched},
    limits::{Meter, Metric, Mode, Scope},
    money::how_many,
    notices::NoticeKind,
    users::Role,
    window::Window,
};

#[test]
fn what_is_told_of_a_limit_rounds_no_cap() {
    let meter = Meter { scope: Scope::Organization, metric: Metric::Spend, window: Window::Month };
    let watched = Watched { meter, name: "Acme", cap: 12_345_000_000, mode: Mode::Observe, href: "/limits" };
    let day = "2026-11-30".parse().expect("a day");
    let at = "2026-11-01T00:00:00Z".parse().expect("a moment");
    let ahead =
        Ahead { short: "on 30 Nov".into(), full: "on 30 Nov 2026".into(), learned_from: "28 days".into() };
    let told = [
        watched.threshold(80, 10_004_000_000, at, Use::Runs(None)),
        watched.threshold(80, 10_004_000_000, at, Use::Ended("yesterday")),
        watched.runs_out(&ahead, 10_004_000_000, at),
        watched.unused(4_000_000, day),
    ];
    for fired in told {
        let said = format!("{} {} {}", fired.telling.title, fired.telling.body, fired.rule);
        assert!(said.contains("$12.345") && !said.contains("$12.35"), "{said}");
    }
}

#[test]
fn numbers_and_names_are_said_as_people_say_them() {
    assert_eq!(how_many(1, "day", "days"), "1 day");
    assert_eq!(how_many(0, "day", "days"), "0 days");
    assert_eq!(how_many(2_000, "day", "days"), "2,000 days");
    let names = ["Ada", "Bea", "Cleo", "Dan"].map(str::to_owned);
    for (count, said) in
        [(0, "an admin"), (1, "Ada"), (2, "Ada or Bea"), (3, "Ada, Bea or Cleo"), (4, "Ada, Bea or Cleo")]
    {
        assert_eq!(by_name(&names[..count]), said);
    }
}

#[test]
fn who_leads_nothing_is_asked_for_nothing() {
    for (role, leads, request, test) in [
        (Role::Member, false, false, false),
        (Role::Member, true, true, false),
        (Role::Auditor, false, false, false),
        (Role::Admin, false, true, true),
        (Role::Owner, false, true, true),
    ] {
        assert_eq!(NoticeKind::Request.reaches(role, leads), request, "{role} {leads}");
        assert_eq!(NoticeKind::Review.reaches(role, leads), request, "{role} {leads}");
        assert_eq!(NoticeKind::Test.reaches(role, leads), test, "{role} {leads}");
        assert!(NoticeKind::Answer.reaches(role, leads) && NoticeKind::Secret.reaches(role, leads));
    }
}
