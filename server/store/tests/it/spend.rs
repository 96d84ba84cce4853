//! What whoever leads groups sees of their spend.

use domain::{
    explore::By,
    ids::GroupId,
    limits::{Meter, Metric, Mode, Scope},
    money::Money,
    spend::{Led, LedPage, Range, Verdict, View},
    window::Window,
};
use store::{calls, groups, ledger, limits, spend, testing};
use uuid::Uuid;

use crate::organization::{Organization, finished, group, spend as month};

async fn led(acme: &Organization, groups: &[GroupId], most: usize) -> LedPage {
    spend::led(&acme.store, acme.tenant.org, groups, most).await.expect("an answer")
}

fn verdict(led: &Led, page: &LedPage) -> (Verdict, String) {
    led.verdict(page.today, |day| day.to_string())
}

#[tokio::test]
async fn a_lead_sees_what_their_groups_spend_with_those_below_and_what_stops_them() {
    let store = testing::store().await;
    let operator = testing::operator(&store).await;
    let acme = Organization::in_store(&store, operator, "Acme").await;
    let globex = Organization::in_store(&store, operator, "Globex").await;
    let mut change = acme.change().await;
    let other = groups::insert(&mut change, None, &group("Other")).await.expect("a group");
    change.commit().await.expect("it");
    // Two calls below what is led, one beside it, and one of another organization.
    for path in [vec![acme.parent, acme.child], vec![acme.parent], vec![other]] {
        let mut event = finished(acme.call());
        event.call.path = path;
        assert!(acme.book(&event).await);
    }
    assert!(globex.book(&ledger::Event { cost: Money(7), ..finished(globex.call()) }).await);

    // Nobody leads a group of another organization, or one that is not there, whoever says so.
    let page = led(&acme, &[acme.parent, globex.parent, GroupId(Uuid::nil())], 15).await;
    assert_eq!((page.groups.len(), page.more), (1, 0));
    let parent = &page.groups[0];
    assert_eq!((parent.group, parent.path.as_str(), parent.spent), (acme.parent, "Parent", Money(60_000)));
    assert_eq!((parent.budget.as_ref(), parent.above.as_ref()), (None, None));
    assert_eq!(verdict(parent, &page).0, Verdict::Open);
    // The first by path, and how many there are besides.
    let page = led(&acme, &[acme.parent, acme.child, other], 1).await;
    assert_eq!((page.groups[0].group, page.more), (other, 2));

    // Its own limit has room; then the organization's has none, and that is what is said.
    acme.limit(month(Scope::Group(acme.parent)), 1_000_000).await;
    let page = led(&acme, &[acme.parent], 15).await;
    let (judged, why) = verdict(&page.groups[0], &page);
    assert_eq!((judged, why.as_str()), (Verdict::Fine, "6 % of the limit, $0.001, is used."));
    acme.limit(month(Scope::Organization), 90_000).await;
    let page = led(&acme, &[acme.parent, acme.child], 15).await;
    for group in &page.groups {
        let (judged, why) = verdict(group, &page);
        assert_eq!(judged, Verdict::Over, "{}", group.path);
        assert!(why.starts_with("100 % of the limit of Acme"), "{why}");
    }
    // What is below has no limit of its own; the one above counts it.
    let child = page.groups.iter().find(|group| group.group == acme.child).expect("it is led");
    assert_eq!((child.spent, child.budget.as_ref()), (Money(30_000), None));
}

/// What the page of something says, and whether it is fine.
async fn fine(acme: &Organization, of: spend::Of, view: View, range: Range) -> Option<(Verdict, String)> {
    let look = spend::Look { view, range, month: None, own: None, by: None };
    let page = spend::page(&acme.store, acme.tenant.org, of, look).await.expect("a page");
    page.verdict(|day| day.to_string())
}

#[tokio::test]
async fn people_are_fine_by_their_own_limits_and_other_days_by_those_of_the_month() {
    let acme = Organization::new().await;
    let of = spend::Of::Group(acme.parent);
    assert!(acme.book(&finished(acme.call())).await);
    let told = fine(&acme, of, View::Members, Range::Month).await.expect("an answer");
    assert_eq!((told.0, told.1.ends_with("nobody has a monthly limit of their own.")), (Verdict::Open, true));
    acme.limit(month(Scope::User(acme.user)), 100_000).await;
    for (calls, verdict, sentence) in [
        (0, Verdict::Fine, "nobody is near"),
        (2, Verdict::Near, "1 has used 80 % or more"),
        (1, Verdict::Over, "1 has used up"),
    ] {
        for _ in 0..calls {
            assert!(acme.book(&finished(acme.call())).await);
        }
        let told = fine(&acme, of, View::Members, Range::Month).await.expect("an answer");
        assert_eq!(told.0, verdict, "{}", told.1);
        assert!(told.1.contains(sentence), "{}", told.1);
        let year = fine(&acme, of, View::Members, Range::Year).await.expect("an answer");
        assert_eq!(year, (told.0, format!("This month: {}", told.1)));
    }
    acme.limit(month(Scope::Group(acme.parent)), 1_000_000).await;
    for range in [Range::Days, Range::Year] {
        let told = fine(&acme, of, View::Attributed, range).await.expect("an answer");
        assert_eq!(told, (Verdict::Fine, "This month: 12 % of the limit, $0.001, is used.".to_owned()));
    }
}

#[tokio::test]
async fn a_model_is_counted_by_the_limits_that_its_calls_have_to_fit_into_and_split_by_group() {
    let acme = Organization::new().await;
    assert!(acme.book(&finished(acme.call())).await);
    let of = spend::Of::Model(acme.model);
    assert_eq!(fine(&acme, of, View::Attributed, Range::Month).await.map(|told| told.0), Some(Verdict::Open));
    acme.limit(month(Scope::Organization), 60_000).await;
    let told = fine(&acme, of, View::Attributed, Range::Month).await.expect("an answer");
    assert_eq!(told, (Verdict::Fine, "50 % of the limit of Acme, $0.00006, is used.".to_owned()));
    let look = spend::Look {
        view: View::Attributed,
        range: Range::Month,
        month: None,
        own: None,
        by: Some(By::Group),
    };
    let page = spend::page(&acme.store, acme.tenant.org, of, look).await.expect("a page");
    let rows: Vec<(&str, Money)> =
        page.table.rows.iter().map(|row| (row.name.as_str(), row.total.spend)).collect();
    assert_eq!(rows, [("Parent", Money(30_000))]);
}

#[tokio::test]
async fn what_members_call_on_another_account_is_told_from_what_their_leads_may_read() {
    let acme = Organization::new().await;
    let mut change = acme.change().await;
    let other = groups::insert(&mut change, None, &group("Other")).await.expect("a group");
    change.commit().await.expect("it");
    let (here, mut there) = (finished(acme.call()), finished(acme.call()));
    there.call.path = vec![other];
    for event in [&here, &there] {
        assert!(acme.book(event).await);
    }
    let calls = [&here, &there].map(|event| (event.call.started_at.date_naive(), event.call.id));
    let opening = async |groups: &[GroupId]| {
        calls::on_account_of(&acme.store, acme.tenant.org, &calls, groups).await.expect("an answer")
    };
    assert_eq!(opening(&[acme.parent]).await, [here.call.id].into(), "a lead above reads what is below");
    assert_eq!(opening(&[other]).await, [there.call.id].into());
    assert_eq!(opening(&[]).await, [].into());
}

#[tokio::test]
async fn nobody_is_fine_while_a_limit_of_any_kind_refuses_their_calls() {
    let acme = Organization::new().await;
    let org = acme.tenant.org;
    let limit = async |scope, metric, window, cap, mode| {
        let mut change = acme.change().await;
        let form = limits::LimitForm { cap, mode, thresholds: Vec::new() };
        limits::set(&mut change, Meter { scope, metric, window }, &form, limits::Seen::Nothing)
            .await
            .expect("a limit");
        change.commit().await.expect("it");
    };
    let page = async |of| {
        let look =
            spend::Look { view: View::Attributed, range: Range::Month, month: None, own: None, by: None };
        let page = spend::page(&acme.store, org, of, look).await.expect("a page");
        page.verdict(|day| day.to_string()).expect("of the month that runs")
    };
    for _ in 0..4 {
        assert!(acme.book(&finished(acme.call())).await);
    }
    let (application, group) = (spend::Of::Application(acme.application), spend::Of::Group(acme.child));
    assert_eq!(page(application).await.0, Verdict::Open);
    // Observed, it refuses nobody.
    limit(Scope::Group(acme.child), Metric::Tokens, Window::Year, 4, Mode::Observe).await;
    assert_eq!(page(application).await.0, Verdict::Open);
    // Near by requests of the year, of the group above; the money of the month is fine.
    limit(Scope::Application(acme.application), Metric::Spend, Window::Month, 1_000_000_000, Mode::Enforce)
        .await;
    assert_eq!(page(application).await.0, Verdict::Fine);
    limit(Scope::Group(acme.parent), Metric::Requests, Window::Year, 5, Mode::Enforce).await;
    let near = (Verdict::Near, "80 % of the limit of Parent, 5 requests a year, is used.".to_owned());
    assert_eq!(page(application).await, near);
    assert_eq!(page(group).await, near);
    // Nothing is used, and nothing may be.
    let mut change = acme.change().await;
    let other =
        groups::insert(&mut change, None, &crate::organization::group("Other")).await.expect("a group");
    change.commit().await.expect("it");
    acme.limit(month(Scope::Group(other)), 0).await;
    let led_page = led(&acme, &[other], 5).await;
    let (judged, why) = verdict(&led_page.groups[0], &led_page);
    assert_eq!(
        (judged, why.as_str()),
        (Verdict::Over, "The limit of Other, $0.00 a month, leaves nothing: calls are refused.")
    );
    // Used up for ever, of the organization: everything in it is over, for its leads too.
    limit(Scope::Organization, Metric::Requests, Window::Total, 4, Mode::Enforce).await;
    for of in [application, group, spend::Of::Organization, spend::Of::User(acme.user)] {
        let (verdict, why) = page(of).await;
        assert_eq!(verdict, Verdict::Over, "{of:?}: {why}");
        assert!(why.contains("of the limit of Acme, 4 requests"), "{why}");
        assert!(why.ends_with("is used: further calls are refused."), "{why}");
    }
    let page = led(&acme, &[acme.child], 5).await;
    assert_eq!(verdict(&page.groups[0], &page).0, Verdict::Over);
}
