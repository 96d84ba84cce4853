//! Reviews: what is looked at, who decides, and what happens on the day.

use chrono::{Days, Duration};
use domain::{
    access::Grantee,
    groups::Standing,
    ids::{ReviewId, UserId},
    reviews::{Item, ItemKind, ItemState, Verdict},
    roles::{Act, Actor, Place, permit},
    users::Role,
};
use store::{
    Change, StoreError, access, audit, clock, groups, keys, models,
    reviews::{self, Filter},
    testing, users,
};

use crate::organization::{Organization, model_form};

struct World {
    org: Organization,
    lead: UserId,
    dear: domain::ids::ModelId,
}

impl World {
    /// A lead and a member in the child group; a grant of a high-cost model and one of another.
    async fn new() -> Self {
        let org = Organization::new().await;
        let mut change = org.change().await;
        let form = users::UserForm {
            email: "lena@acme.example".parse().expect("an address"),
            name: "Lena".parse().expect("a name"),
            role: Role::Member,
        };
        let lead = users::insert(&mut change, &form).await.expect("a lead");
        groups::set_member(&mut change, org.child, lead, Standing::Lead, None).await.expect("a lead");
        let tier =
            models::insert_tier(&mut change, &"Dear".parse().expect("a name"), true).await.expect("a tier");
        let form = model_form("dear", org.provider, tier);
        let dear =
            models::insert(&mut change, &form, domain::models::Review::Accepted).await.expect("a model");
        let ends = clock::now() + Duration::days(200);
        for model in [dear, org.model] {
            testing::grant(&mut change, model, Grantee::Member(org.child, org.user), clock::now(), ends)
                .await
                .expect("a grant");
        }
        change.commit().await.expect("all of it");
        Self { org, lead, dear }
    }

    async fn open(&self) -> ReviewId {
        let mut change = testing::begin(&self.org.store, &self.org.tenant.owner, Act::ReviewAccess).await;
        let day = self.org.facts().await.calendar.day(clock::now()) + Days::new(10);
        let id = reviews::open(&mut change, self.org.parent, true, day).await.expect("open");
        change.commit().await.expect("it");
        id
    }

    async fn items(&self, id: ReviewId) -> Vec<Item> {
        reviews::items(&self.org.store, self.org.tenant.org, id, Filter::default(), 100).await.expect("items")
    }

    async fn as_lead(&self) -> Change {
        let actor = Actor {
            user: Some(self.lead),
            name: "Lena".to_owned(),
            role: Role::Member,
            leads: vec![self.org.parent],
            ..self.org.tenant.owner.clone()
        };
        let permit = permit(&actor, Act::ReviewAccess, Place::Group(&[self.org.parent])).expect("they may");
        Change::begin(&self.org.store, permit).await.expect("a change")
    }
}

fn of(items: &[Item], kind: ItemKind, name: &str) -> Item {
    let found = items.iter().find(|item| item.kind == kind && item.name == name);
    found.unwrap_or_else(|| panic!("{kind} {name} in {items:?}")).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_was_used_when_a_call_went_by_it_and_what_waits_comes_first() {
    let world = World::new().await;
    let facts = world.org.facts().await;
    let of_dear = facts.grants[&world.dear][0].id;
    let call = store::ledger::Call { model: world.dear, grant: Some(of_dear), ..world.org.call() };
    let plain = world.org.call();
    for call in [call, plain] {
        let event = crate::organization::finished(call);
        assert!(world.org.book(&event).await);
    }
    let id = world.open().await;
    let items = world.items(id).await;
    assert!(of(&items, ItemKind::Grant, "dear").last_used_at.is_some());
    // Their secret called, but not by this grant.
    assert_eq!(of(&items, ItemKind::Grant, "small").last_used_at, None);
    // What was decided comes after what waits, on every page.
    let uma = of(&items, ItemKind::Member, "Uma");
    let mut change = world.as_lead().await;
    reviews::decide(&mut change, id, &[uma.id], Verdict::Confirm).await.expect("decided");
    change.commit().await.expect("it");
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let filter = Filter { after, ..Filter::default() };
        let page =
            reviews::items(&world.org.store, world.org.tenant.org, id, filter, 2).await.expect("items");
        let Some(last) = page.last() else { break };
        after = reviews::After::read(&reviews::After::of(last).to_string());
        assert_eq!(after, Some(reviews::After::of(last)));
        seen.extend(page.into_iter().map(|item| (item.state, item.id)));
    }
    assert_eq!(seen.len(), items.len());
    assert_eq!(seen.last(), Some(&(ItemState::Confirmed, uma.id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_about_somebody_is_their_limits_too() {
    use domain::limits::{Meter, Metric, Scope};
    let world = World::new().await;
    let org = &world.org;
    let meter = |window| Meter { scope: Scope::User(org.user), metric: Metric::Spend, window };
    org.limit(meter(domain::window::Window::Day), 5_000_000_000).await;
    org.limit(meter(domain::window::Window::Week), 5_000_000_000).await;
    let acts = async || {
        let about = audit::Filter { subject: Some(org.user.0), ..Default::default() };
        let rows = audit::list(&org.store, org.tenant.org, &about, 50).await.expect("rows");
        let acts = rows.into_iter().filter(|row| row.subject_kind == "limit").map(|row| row.act);
        acts.collect::<Vec<_>>()
    };
    assert_eq!(acts().await, ["limit.create", "limit.create"]);
    let facts = org.facts().await;
    let day = facts.limits[&Scope::User(org.user)]
        .iter()
        .find_map(|limit| (limit.meter.window == domain::window::Window::Day).then_some(limit.id?));
    let mut change = org.change().await;
    store::limits::remove(&mut change, day.expect("a limit"), 1).await.expect("removed");
    change.commit().await.expect("it");
    assert_eq!(acts().await, ["limit.remove", "limit.create", "limit.create"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_ends_at_once_and_what_is_confirmed_goes_on() {
    let world = World::new().await;
    let id = world.open().await;
    let items = world.items(id).await;
    let names: Vec<_> = items.iter().map(|item| (item.kind, item.high_cost)).collect();
    assert_eq!(
        names,
        [
            (ItemKind::Member, false),
            (ItemKind::Member, false),
            (ItemKind::Grant, true),
            (ItemKind::Grant, false),
            (ItemKind::Secret, false)
        ]
    );
    let (uma, lena) = (of(&items, ItemKind::Member, "Uma"), of(&items, ItemKind::Member, "Lena"));
    let (dear, small) = (of(&items, ItemKind::Grant, "dear"), of(&items, ItemKind::Grant, "small"));
    let secret = items.iter().find(|item| item.kind == ItemKind::Secret).expect("a secret").clone();
    let mut change = world.as_lead().await;
    let dropped =
        reviews::decide(&mut change, id, &[uma.id, lena.id, dear.id, secret.id], Verdict::Drop).await;
    let reviews::Decided { count, left, .. } = dropped.expect("decided");
    assert_eq!((count, left.len()), (3, 1), "a lead is handed over first: {left:?}");
    let reviews::Decided { count, left, .. } =
        reviews::decide(&mut change, id, &[small.id, lena.id], Verdict::Confirm).await.expect("decided");
    assert_eq!((count, left.len()), (1, 1), "nobody confirms what is their own: {left:?}");
    change.commit().await.expect("all of it");
    let facts = access::facts(&world.org.store, world.org.tenant.org).await.expect("facts");
    assert!(facts.users[&world.org.user].memberships.is_empty());
    assert!(!facts.grants.contains_key(&world.dear) && facts.grants.contains_key(&world.org.model));
    assert_eq!(keys::known(&world.org.store, world.org.tenant.org).await.expect("secrets").len(), 0);
    let review = reviews::get(&world.org.store, world.org.tenant.org, id).await.expect("it");
    let progress = review.progress;
    assert_eq!((progress.all, progress.confirmed, progress.dropped, progress.waiting()), (5, 1, 3, 1));
    // Said once is said.
    let mut change = world.as_lead().await;
    let again = reviews::decide(&mut change, id, &[uma.id, small.id], Verdict::Drop).await.expect("nothing");
    assert_eq!((again.count, again.left), (0, Vec::new()));
    assert_eq!(again.settled.len(), 2, "and whoever says something else learns who said what");
    assert!(again.settled[1].contains("confirmed by"), "{:?}", again.settled);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_day_unconfirmed_grants_of_high_cost_models_lapse_and_the_rest_is_listed() {
    let world = World::new().await;
    let (store, org) = (&world.org.store, world.org.tenant.org);
    let id = world.open().await;
    assert_eq!(reviews::close_due(store, clock::now()).await.expect("a look"), 0, "not yet");
    let later = clock::now() + Duration::days(12);
    let together = tokio::join!(reviews::close_due(store, later), reviews::close_due(store, later));
    assert!(together.0.is_ok() && together.1.is_ok(), "{together:?}");
    let facts = access::facts(store, org).await.expect("facts");
    assert!(!facts.grants.contains_key(&world.dear), "lapsed");
    assert!(facts.grants.contains_key(&world.org.model), "listed only");
    let review = reviews::get(store, org, id).await.expect("it");
    assert!(review.closed_at.is_some());
    assert_eq!((review.progress.lapsed, review.progress.waiting()), (1, 4));
    let lapsed = Filter { state: Some(ItemState::Lapsed), ..Filter::default() };
    let lapsed = reviews::items(store, org, id, lapsed, 10).await.expect("items");
    assert_eq!(lapsed.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["dear"]);
    let mut change = world.as_lead().await;
    let late = reviews::decide(&mut change, id, &[lapsed[0].id], Verdict::Confirm).await;
    assert!(matches!(late, Err(StoreError::Invalid { .. })), "{late:?}");
    drop(change);
    let closes = audit::Filter {
        kind: Some("review".to_owned()),
        door: Some(domain::audit::Door::System),
        ..Default::default()
    };
    let closes = audit::list(store, org, &closes, 10).await.expect("the log");
    assert_eq!(closes.len(), 1, "closed once, whoever was first: {closes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_is_cancelled_by_who_opened_it_and_nothing_comes_of_it() {
    let world = World::new().await;
    let (store, org) = (&world.org.store, world.org.tenant.org);
    let id = world.open().await;
    let uma = of(&world.items(id).await, ItemKind::Member, "Uma");
    let mut change = world.as_lead().await;
    reviews::decide(&mut change, id, &[uma.id], Verdict::Drop).await.expect("decided");
    change.commit().await.expect("it");
    // The lead who is looked at does not get out of it that way.
    let mut change = world.as_lead().await;
    let refused = reviews::cancel(&mut change, id).await;
    assert!(matches!(refused, Err(StoreError::NotPermitted(Act::ReviewAccess))), "{refused:?}");
    drop(change);
    let mut change = testing::begin(store, &world.org.tenant.owner, Act::ReviewAccess).await;
    reviews::cancel(&mut change, id).await.expect("cancelled");
    assert!(change.commit().await.expect("it"));
    let review = reviews::get(store, org, id).await.expect("it");
    assert_eq!(review.cancelled_by.as_deref(), Some("Olga"));
    let later = clock::now() + Duration::days(12);
    assert_eq!(reviews::close_due(store, later).await.expect("a look"), 0);
    let facts = access::facts(store, org).await.expect("facts");
    assert!(facts.grants.contains_key(&world.dear), "nothing lapses");
    assert!(facts.users[&world.org.user].memberships.is_empty(), "what was decided stays decided");
    let mut change = testing::begin(store, &world.org.tenant.owner, Act::ReviewAccess).await;
    let again = reviews::cancel(&mut change, id).await;
    assert!(
        matches!(&again, Err(StoreError::Meanwhile(how)) if how.starts_with("You cancelled it already")),
        "{again:?}"
    );
    drop(change);
    let cancels = audit::Filter { kind: Some("review".to_owned()), ..Default::default() };
    let cancels = audit::list(store, org, &cancels, 1).await.expect("the log");
    assert_eq!((cancels[0].act.as_str(), cancels[0].actor.as_str()), ("review.cancel", "Olga"));
    // One's own is one's own to cancel, for a lead too.
    let mut change = world.as_lead().await;
    let day = world.org.facts().await.calendar.day(clock::now()) + Days::new(3);
    let own = reviews::open(&mut change, world.org.parent, true, day).await.expect("open");
    change.commit().await.expect("it");
    let mut change = world.as_lead().await;
    reviews::cancel(&mut change, own).await.expect("cancelled");
    assert!(change.commit().await.expect("it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_belongs_to_its_organization_and_its_group() {
    let store = testing::store().await;
    let operator = testing::operator(&store).await;
    let acme = Organization::in_store(&store, operator, "Acme").await;
    let globex = Organization::in_store(&store, operator, "Globex").await;
    let day = globex.facts().await.calendar.day(clock::now()) + Days::new(3);
    let mut change = testing::begin(&store, &globex.tenant.owner, Act::ReviewAccess).await;
    let theirs = reviews::open(&mut change, globex.child, false, day).await.expect("open");
    change.commit().await.expect("it");
    let items =
        reviews::items(&store, globex.tenant.org, theirs, Filter::default(), 10).await.expect("items");
    let hidden = reviews::get(&store, acme.tenant.org, theirs).await;
    assert!(matches!(hidden, Err(StoreError::NotFound)), "{hidden:?}");
    assert!(
        reviews::items(&store, acme.tenant.org, theirs, Filter::default(), 10)
            .await
            .expect("none")
            .is_empty()
    );
    let mut change = testing::begin(&store, &acme.tenant.owner, Act::ReviewAccess).await;
    let decided = reviews::decide(&mut change, theirs, &[items[0].id], Verdict::Drop).await;
    assert!(matches!(decided, Err(StoreError::NotFound)), "{decided:?}");
    let opened = reviews::open(&mut change, globex.child, false, day).await;
    assert!(matches!(opened, Err(StoreError::NotFound)), "{opened:?}");
    drop(change);
    // A lead of another group of the same organization.
    let actor = Actor { role: Role::Member, leads: vec![globex.parent], ..globex.tenant.owner.clone() };
    let permit = permit(&actor, Act::ReviewAccess, Place::Group(&[globex.parent])).expect("they may, there");
    let mut change = Change::begin(&store, permit).await.expect("a change");
    let refused = reviews::decide(&mut change, theirs, &[items[0].id], Verdict::Drop).await;
    assert!(matches!(refused, Err(StoreError::NotPermitted(Act::ReviewAccess))), "{refused:?}");
}
