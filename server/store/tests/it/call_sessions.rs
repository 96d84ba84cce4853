//! Sessions: calls with the same label are one, whoever books them and in which order.

use chrono::TimeDelta;
use domain::{call_sessions::SessionKey, ids::UserId, money::Money};
use store::{
    call_sessions, clock, ledger,
    rollups::{Sight, Which},
};

use crate::organization::{Organization, finished};

#[tokio::test]
async fn calls_of_one_label_are_one_session_of_each_person() {
    let acme = Organization::new().await;
    let start = clock::now() - TimeDelta::hours(2);
    let call = |minutes: i64, label: &str, user: Option<UserId>| {
        let at = start + TimeDelta::minutes(minutes);
        let call = ledger::Call { started_at: at, session: label.to_owned(), user, ..acme.call() };
        ledger::Event { finished_at: at + TimeDelta::seconds(30), duration_ms: 30_000, ..finished(call) }
    };
    // Out of order, twice, without a label, and by nobody.
    let events = [
        call(10, "a/b~c", Some(acme.user)),
        call(0, "a/b~c", Some(acme.user)),
        call(5, "", Some(acme.user)),
        call(7, "a/b~c", None),
    ];
    for event in &events {
        acme.book(event).await;
        acme.book(event).await;
    }
    let (store, org, all) = (&acme.store, acme.tenant.org, Which::default());
    let list = call_sessions::list(store, org, &all, "", None, None, 9).await.expect("sessions");
    let told: Vec<_> =
        list.iter().map(|one| (one.key.user, one.calls, one.spend, one.duration_ms())).collect();
    assert_eq!(told, [(acme.user, 2, Money(60_000), 630_000), (UserId::NIL, 1, Money(30_000), 30_000)]);
    assert_eq!(list[0].models, ["small"]);
    let after = call_sessions::After { at: list[0].last_at, key: list[0].key.clone() };
    let next = call_sessions::list(store, org, &all, "", None, Some(&after), 9).await.expect("sessions");
    assert_eq!(next, list[1..]);

    let calls = call_sessions::calls(store, org, &list[0], None, 9).await.expect("calls");
    let ids: Vec<_> = calls.iter().map(|call| call.id).collect();
    assert_eq!(ids, [events[1].call.id, events[0].call.id], "the first first");

    // Who leads another group sees their own; who asks for what is not theirs finds nothing.
    let led = |led, me| Which { sight: Sight::Own { led, me }, ..Which::default() };
    let key = SessionKey { application: acme.application, user: acme.user, label: "a/b~c".to_owned() };
    assert!(call_sessions::get(store, org, &led(vec![acme.parent], UserId::NIL), &key).await.is_ok());
    assert!(call_sessions::get(store, org, &led(vec![], acme.user), &key).await.is_ok());
    assert!(call_sessions::get(store, org, &led(vec![clock::id()], clock::id()), &key).await.is_err());
}
