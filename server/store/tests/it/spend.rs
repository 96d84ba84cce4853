//! What whoever leads groups sees of their spend.

use domain::{
    ids::GroupId,
    limits::Scope,
    money::Money,
    spend::{Led, LedPage, Verdict},
};
use store::{groups, ledger, spend, testing};
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
