//! The log of changes: chained, and telling when somebody touched it.

use domain::{
    organizations::WeekStart,
    roles::{Act, Place, permit},
};
use store::{
    audit::{self, Chain, Filter},
    groups, organizations,
};

use crate::organization::{CREDENTIAL, Organization, group};

async fn chain(acme: &Organization) -> Chain {
    audit::verify(&acme.store, acme.tenant.org).await.expect("a look")
}

async fn rows(acme: &Organization) -> i64 {
    match chain(acme).await {
        Chain::Whole { rows } => rows,
        Chain::Broken { seq } => panic!("broken at {seq}"),
    }
}

async fn run(acme: &Organization, text: &'static str) {
    sqlx::query(text).execute(acme.store.pool()).await.expect("it runs");
}

#[tokio::test]
async fn every_change_adds_its_line_and_the_chain_is_whole() {
    let acme = Organization::new().await;
    let before = rows(&acme).await;
    let mut change = acme.change().await;
    groups::update(&mut change, acme.child, 1, &group("Renamed")).await.expect("renamed");
    change.commit().await.expect("it");
    assert_eq!(rows(&acme).await, before + 1);
    let newest = audit::list(&acme.store, acme.tenant.org, &Filter::default(), 1).await.expect("the log");
    assert_eq!(newest[0].subject, "Renamed");
    assert_eq!(newest[0].actor, "Olga");
    let expected = ("name".to_owned(), Some("Child".to_owned()), Some("Renamed".to_owned()));
    assert!(newest[0].changes.contains(&expected), "{:?}", newest[0].changes);
}

#[tokio::test]
async fn a_change_that_is_not_committed_leaves_no_line() {
    let acme = Organization::new().await;
    let before = rows(&acme).await;
    let mut change = acme.change().await;
    groups::update(&mut change, acme.child, 1, &group("Renamed")).await.expect("renamed");
    drop(change);
    assert_eq!(rows(&acme).await, before);
}

#[tokio::test]
async fn changes_at_the_same_time_leave_no_gap() {
    let acme = std::sync::Arc::new(Organization::new().await);
    let before = rows(&acme).await;
    let mut changes = tokio::task::JoinSet::new();
    for turn in 0..20 {
        let acme = acme.clone();
        changes.spawn(async move {
            let mut change = acme.change().await;
            groups::insert(&mut change, None, &group(&format!("Group {turn}"))).await.expect("a group");
            change.commit().await.expect("it");
        });
    }
    changes.join_all().await;
    assert_eq!(rows(&acme).await, before + 20);
}

#[tokio::test]
async fn whatever_is_changed_in_a_line_is_found() {
    for damage in [
        "update audit set at = at + interval '1 microsecond' where seq = 3",
        "update audit set actor = 'Somebody else' where seq = 3",
        "update audit set actor_id = null where seq = 3",
        "update audit set door = 'system' where seq = 3",
        "update audit set act = 'group.delete' where seq = 3",
        "update audit set subject = 'Other' where seq = 3",
        "update audit set subject_kind = 'user' where seq = 3",
        "update audit set subject_id = org_id where seq = 3",
        "update audit set after = '{\"name\": \"Other\"}' where seq = 3",
        "update audit set before = '{\"name\": \"Other\"}' where seq = 3",
        "update audit set hash = decode(repeat('00', 32), 'hex') where seq = 3",
        "delete from audit where seq = 3",
    ] {
        let acme = Organization::new().await;
        assert!(rows(&acme).await > 3);
        run(&acme, damage).await;
        assert_eq!(chain(&acme).await, Chain::Broken { seq: 3 }, "{damage}");
    }
}

#[tokio::test]
async fn lines_that_change_places_or_are_cut_off_at_the_end_are_found() {
    let acme = Organization::new().await;
    let last = rows(&acme).await;
    run(&acme, "update audit set seq = -seq where seq in (3, 4)").await;
    run(&acme, "update audit set seq = 7 + seq where seq < 0").await;
    assert_eq!(chain(&acme).await, Chain::Broken { seq: 3 });
    let acme = Organization::new().await;
    run(&acme, "delete from audit where seq = (select max(seq) from audit)").await;
    assert_eq!(chain(&acme).await, Chain::Broken { seq: last });
    // Even when the organization's own count is cut with it.
    run(&acme, "update organizations set audit_seq = audit_seq - 1").await;
    assert!(matches!(chain(&acme).await, Chain::Broken { .. }));
}

#[tokio::test]
async fn an_end_that_is_cut_off_with_the_head_put_back_is_known_to_whoever_looked_before_or_noted_it() {
    let acme = Organization::new().await;
    let (org, last) = (acme.tenant.org, rows(&acme).await);
    let noted = audit::end(&acme.store, org).await.expect("an answer").expect("an end");
    assert_eq!(
        (noted.seq, noted.to_string().parse::<audit::End>().expect("as it is shown")),
        (last, noted.clone())
    );
    let mut change = acme.change().await;
    groups::insert(&mut change, None, &group("One more")).await.expect("a group");
    change.commit().await.expect("it");
    assert!(audit::goes_on_from(&acme.store, org, &noted).await.expect("an answer"), "more came behind it");
    let longer = audit::end(&acme.store, org).await.expect("an answer").expect("an end");

    let cut = "update organizations o set audit_seq = a.seq - 1, audit_hash = (select hash from audit b where b.seq = a.seq - 1)
               from (select max(seq) as seq from audit) a";
    run(&acme, cut).await;
    run(&acme, "delete from audit where seq > (select audit_seq from organizations)").await;
    assert_eq!(chain(&acme).await, Chain::Whole { rows: longer.seq - 1 }, "nobody had looked, and it fits");
    assert!(!audit::goes_on_from(&acme.store, org, &longer).await.expect("an answer"));
    assert!(audit::goes_on_from(&acme.store, org, &noted).await.expect("an answer"));

    let permit = permit(&acme.tenant.owner, Act::ReadAudit, Place::Organization).expect("a permit");
    audit::check(&acme.store, &permit).await.expect("a look");
    run(&acme, cut).await;
    run(&acme, "delete from audit where seq > (select audit_seq from organizations)").await;
    let broken = Chain::Broken { seq: longer.seq - 1 };
    for _ in 0..2 {
        assert_eq!(audit::check(&acme.store, &permit).await.expect("a look"), broken, "and it stays so");
    }
    for wrong in ["", "12", "x:0000000000000000", "12:00", "12:zzzzzzzzzzzzzzzz"] {
        assert!(wrong.parse::<audit::End>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_secret_never_stands_in_the_log() {
    let acme = Organization::new().await;
    let mut change = acme.change().await;
    let plain = store::keys::issue_service(&mut change, acme.key, None).await.expect("a secret");
    change.commit().await.expect("it");
    let log = audit::list(&acme.store, acme.tenant.org, &Filter::default(), 1_000).await.expect("the log");
    let text = format!("{log:?}");
    assert!(!text.contains(plain.reveal()), "the secret");
    assert!(!text.contains(CREDENTIAL), "the provider's credential");
}

#[tokio::test]
async fn settings_are_logged_field_by_field() {
    let acme = Organization::new().await;
    let now = organizations::get(&acme.store, acme.tenant.org).await.expect("the organization");
    let settings = organizations::Settings {
        name: now.name.parse().expect("a name"),
        time_zone: "America/New_York".to_owned(),
        week_start: WeekStart::Sunday,
        default_user_limit: now.default_user_limit,
        budget_status: now.budget_status,
        contact: now.contact,
    };
    let mut change = acme.change().await;
    organizations::update(&mut change, now.version, &settings).await.expect("settings");
    change.commit().await.expect("them");
    let newest = audit::list(&acme.store, acme.tenant.org, &Filter::default(), 1).await.expect("the log");
    let fields: Vec<&str> = newest[0].changes.iter().map(|(field, ..)| field.as_str()).collect();
    assert_eq!(fields, ["time_zone", "week_start"]);
    rows(&acme).await;
}

#[tokio::test]
async fn where_a_change_came_from_is_in_its_line_and_in_the_chain() {
    let acme = Organization::new().await;
    let mut change = acme.change().await.asked_from("req_of_the_page", Some("203.0.113.7"));
    groups::update(&mut change, acme.child, 1, &group("Renamed")).await.expect("renamed");
    change.commit().await.expect("it");
    let of_it = Filter { request: Some("req_of_the_page".to_owned()), ..Filter::default() };
    let lines = audit::list(&acme.store, acme.tenant.org, &of_it, 9).await.expect("the log");
    assert_eq!(lines.len(), 1, "what it changed, and nothing else: {lines:?}");
    assert_eq!(lines[0].address.as_deref(), Some("203.0.113.7"));
    let newest = rows(&acme).await;
    run(&acme, "update audit set address = '198.51.100.1' where address is not null").await;
    assert_eq!(chain(&acme).await, Chain::Broken { seq: newest });
    run(&acme, "update audit set address = '203.0.113.7', request = null where address is not null").await;
    assert_eq!(chain(&acme).await, Chain::Broken { seq: newest });
}
