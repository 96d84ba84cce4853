//! Pinned tests: no change breaks one, by whatever door it comes.

use chrono::{DateTime, Duration, Utc};
use domain::{
    access::Grantee,
    access_tests::{Expected, Subject},
    authorizations::{self as said, Cell, Edit, State, Target},
    batches::Task,
    groups::{GroupForm, Standing},
    ids::{AccessTestId, GroupId},
    keys::{Features, KeyModels},
    models::{Modality, Review},
    money::{Money, Price},
    notices::NoticeKind,
    prices::{Origin, PriceKey, Prices},
    rehearsal::Draft,
    requests::{Per, RequestState, Terms},
    roles::{Act, Actor, Place, permit},
    users::Role,
};
use store::{
    Change, StoreError, access, access_tests,
    authorizations::{self, Say, drafts},
    batches, clock, groups, imports, keys, mails, model_reviews, models, notices, prices as model_prices,
    rehearsals, requests, testing, users,
};

use crate::organization::{Organization, group, model_form};

const OPEN: Say = Say { state: State::Open, locked: false, ends_at: None };
const CLOSED: Say = Say { state: State::Closed, locked: false, ends_at: None };

struct World {
    org: Organization,
    /// A group in which the model is open.
    elsewhere: GroupId,
}

impl World {
    /// The model is closed to Parent, open to Elsewhere.
    async fn new() -> Self {
        let org = Organization::new().await;
        let mut change = org.change().await;
        let elsewhere = groups::insert(&mut change, None, &group("Elsewhere")).await.expect("a group");
        for (place, say) in [(Some(org.parent), CLOSED), (Some(elsewhere), OPEN)] {
            let target = Target::Model(org.model);
            authorizations::set(&mut change, place, target, Some(say)).await.expect("a rule");
        }
        change.commit().await.expect("all of it");
        Self { org, elsewhere }
    }

    async fn pin(&self, name: &str, subject: Subject, expected: Expected) -> AccessTestId {
        let mut change = self.org.change().await;
        let target = Target::Model(self.org.model);
        let name = name.parse().expect("a name");
        let id = access_tests::insert(&mut change, &name, subject, target, expected).await.expect("pinned");
        change.commit().await.expect("it");
        id
    }

    async fn version(&self) -> i64 {
        access::version(&self.org.store, self.org.tenant.org).await.expect("a version")
    }

    /// A draft is refused when it is saved from its rehearsal, which had named the test.
    async fn rehearsed_and_refused(&self, what: &str, draft: &Draft, test: &str) {
        let (store, tenant, owner) = (&self.org.store, self.org.tenant.org, &self.org.tenant.owner);
        let permit = || permit(owner, draft.acts().0, Place::Organization).expect("they may");
        let id = rehearsals::prepare(store, permit(), draft, "/", &[]).await.expect("kept");
        let prepared = rehearsals::get(store, tenant, owner.user.expect("a person"), id).await.expect("it");
        let rehearsed = rehearsals::rehearse(store, permit(), draft, 7).await.expect("rehearsed");
        assert!(rehearsed.broken.iter().any(|broken| broken.name == test), "{what}: {:?}", rehearsed.broken);
        let mut change = Change::begin(store, permit()).await.expect("a change");
        rehearsals::save(&mut change, &prepared).await.expect("made");
        self.refused(what, change, test).await;
    }

    /// The change is refused, with the test named, and nothing of it stays.
    async fn refused(&self, what: &str, change: Change, test: &str) {
        let before = self.version().await;
        match change.commit().await {
            Err(StoreError::Pinned(broken)) => assert_eq!(broken.name, test, "{what}"),
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(self.version().await, before, "{what} left something behind");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_door_leads_past_a_pinned_test() {
    let world = World::new().await;
    let org = &world.org;
    world.pin("Nobody below Parent", Subject::Group(org.parent), Expected::Closed).await;
    world.pin("Not Uma", Subject::User(org.user), Expected::NotOpen).await;
    world.pin("Not the assistant", Subject::Key(org.key), Expected::Closed).await;
    let below = "Nobody below Parent";

    let mut change = org.change().await;
    let target = Target::Model(org.model);
    authorizations::set(&mut change, Some(org.child), target, Some(OPEN)).await.expect("a rule");
    world.refused("a rule on a group below", change, below).await;

    let mut change = org.change().await;
    authorizations::set(&mut change, Some(org.parent), target, None).await.expect("a rule");
    authorizations::set(&mut change, None, Target::Tier(org.tier), Some(OPEN)).await.expect("a rule");
    world.refused("a rule that is taken away", change, below).await;

    let mut change = org.change().await;
    groups::move_to(&mut change, org.child, Some(world.elsewhere)).await.expect("moved");
    world.refused("a group that moves", change, "Not the assistant").await;

    let mut change = org.change().await;
    let member = Standing::Member;
    groups::set_member(&mut change, world.elsewhere, org.user, member, None).await.expect("a member");
    world.refused("a person who joins a group", change, "Not Uma").await;

    let mut change = org.change().await;
    let by_request = Say { state: State::ByRequest, ..CLOSED };
    authorizations::set(&mut change, Some(org.parent), target, Some(by_request)).await.expect("a rule");
    world.refused("a rule that asks for approval", change, below).await;

    // Each of these alone is fine; what they come to is not.
    let mut change = org.change().await;
    authorizations::set(&mut change, None, Target::All, Some(OPEN)).await.expect("a rule");
    assert!(change.commit().await.expect("Parent stays closed"));

    // What keeps the tests is not in the way.
    let mut change = org.change().await;
    let locked = Say { locked: true, ..CLOSED };
    authorizations::set(&mut change, Some(org.parent), target, Some(locked)).await.expect("a rule");
    assert!(change.commit().await.expect("it keeps the tests"));
}

/// Doors that are not about rules: each would open the model to somebody for whom it has to stay closed.
#[tokio::test(flavor = "multi_thread")]
async fn a_last_day_breaks_no_test_when_it_is_over() {
    let world = World::new().await;
    let org = &world.org;
    let (id, target) = (Subject::Group(world.elsewhere), Target::Model(org.model));
    world.pin("Elsewhere has it", id, Expected::Open).await;
    let facts = org.facts().await;
    let midnight = |days| facts.calendar.midnight(facts.calendar.day(clock::now() + Duration::days(days)));
    let until = |days| Some(Say { ends_at: Some(midnight(days)), ..OPEN });
    let mut change = org.change().await;
    authorizations::set(&mut change, Some(world.elsewhere), target, until(3)).await.expect("a rule");
    match change.commit().await {
        Err(StoreError::Pinned(broken)) => {
            assert_eq!(broken.from, Some(facts.calendar.day(midnight(3))));
            let said = StoreError::Pinned(broken).to_string();
            assert!(said.contains("“Elsewhere has it” would break from "), "{said}");
        }
        other => panic!("{other:?}"),
    }
    // What stands below it for when it is over keeps the test.
    let mut change = org.change().await;
    authorizations::set(&mut change, None, Target::Model(org.model), Some(OPEN)).await.expect("a rule");
    authorizations::set(&mut change, Some(world.elsewhere), target, until(3)).await.expect("a rule");
    change.commit().await.expect("nothing breaks");
    // And then that is what the test hangs on, though it decides nothing yet.
    let mut change = org.change().await;
    authorizations::set(&mut change, None, Target::Model(org.model), None).await.expect("a rule");
    world.refused("what a last day falls back to", change, "Elsewhere has it").await;
    // What changes no rule is not held up by last days, nor is a test that is broken by then already.
    let mut change = org.change().await;
    groups::insert(&mut change, None, &group("New")).await.expect("a group");
    change.commit().await.expect("it has nothing to do with it");
}

/// A rule of another tier, or of another group, that lets go on a day to come: whoever puts something under it is
/// told of that day, as whoever sets such a rule is.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_under_a_rule_with_a_last_day_breaks_no_test_when_it_is_over() {
    let world = World::new().await;
    let org = &world.org;
    let facts = org.facts().await;
    let day = facts.calendar.midnight(facts.calendar.day(clock::now() + Duration::days(3)));
    let mut change = org.change().await;
    let name = "Special".parse().expect("a name");
    let special = models::insert_tier(&mut change, &name, false).await.expect("a tier");
    let form = model_form("other", org.provider, org.tier);
    let other = models::insert(&mut change, &form, Review::Accepted).await.expect("a model");
    let price: Price = "1".parse().expect("a price");
    let priced = Prices::default().with(PriceKey::Input, Some(price)).with(PriceKey::Output, Some(price));
    let now = change.at();
    model_prices::set(&mut change, other, now, &priced, Origin::TYPED).await.expect("a price");
    // Special is open to everybody, and to Elsewhere only when its own rule is over.
    let until = Say { ends_at: Some(day), ..CLOSED };
    for (place, say) in [(None, OPEN), (Some(world.elsewhere), until)] {
        authorizations::set(&mut change, place, Target::Tier(special), Some(say)).await.expect("a rule");
    }
    change.commit().await.expect("all of it");
    let pin = async |name: &str, group: GroupId| {
        let mut change = org.change().await;
        let (subject, target) = (Subject::Group(group), Target::Model(other));
        let name = name.parse().expect("a name");
        let pinned = access_tests::insert(&mut change, &name, subject, target, Expected::NotOpen).await;
        pinned.expect("pinned");
        change.commit().await.expect("it");
    };
    pin("Elsewhere never has it", world.elsewhere).await;
    let from_that_day = async |what: &str, change: Change| match change.commit().await {
        Err(StoreError::Pinned(broken)) => {
            assert_eq!(broken.from, Some(facts.calendar.day(day)), "{what}");
            assert_eq!(broken.name, "Elsewhere never has it", "{what}");
        }
        other => panic!("{what}: {other:?}"),
    };
    let mut change = org.change().await;
    let form = model_form("other", org.provider, special);
    models::update(&mut change, other, 1, &form).await.expect("a model");
    from_that_day("a model that changes its tier", change).await;

    // A price from that day on opens what the rules open already.
    let mut change = org.change().await;
    let form = model_form("unpriced", org.provider, org.tier);
    let unpriced = models::insert(&mut change, &form, Review::Accepted).await.expect("a model");
    let target = Target::Model(unpriced);
    authorizations::set(&mut change, Some(world.elsewhere), target, Some(OPEN)).await.expect("a rule");
    change.commit().await.expect("nobody can call it");
    let mut change = org.change().await;
    let name = "Elsewhere never has it, either".parse().expect("a name");
    let subject = Subject::Group(world.elsewhere);
    access_tests::insert(&mut change, &name, subject, target, Expected::NotOpen).await.expect("pinned");
    change.commit().await.expect("it");
    let mut change = org.change().await;
    model_prices::set(&mut change, unpriced, day, &priced, Origin::TYPED).await.expect("a price");
    match change.commit().await {
        Err(StoreError::Pinned(broken)) => assert_eq!(broken.from, Some(facts.calendar.day(day))),
        other => panic!("a price to come: {other:?}"),
    }

    // A last day of a group is held against nobody, whatever else happens after it; and what nobody can call by
    // its kind is nothing that a tier could open.
    let mut change = org.change().await;
    let name = "Parent has Special".parse().expect("a name");
    let (subject, target) = (Subject::Group(org.parent), Target::Tier(special));
    access_tests::insert(&mut change, &name, subject, target, Expected::Open).await.expect("pinned");
    change.commit().await.expect("it");
    let last = facts.calendar.day(clock::now() + Duration::days(1));
    let mut change = org.change().await;
    let version = groups::version(&mut change, org.parent).await.expect("a version");
    let form = GroupForm { ends_on: Some(last), ..group("Parent") };
    groups::update(&mut change, org.parent, version, &form).await.expect("a last day");
    change.commit().await.expect("before the day on which a rule ends");
    let mut change = org.change().await;
    let form =
        models::ModelForm { modality: Modality::Image, ..model_form("painter", org.provider, special) };
    let painter = models::insert(&mut change, &form, Review::Accepted).await.expect("a model");
    let by_image = Prices::default().with(PriceKey::Image, Some(price));
    let now = change.at();
    model_prices::set(&mut change, painter, now, &by_image, Origin::TYPED).await.expect("a price");
    change.commit().await.expect("a model for images breaks nothing");

    // A change that has nothing to do with it is not held up.
    let mut change = org.change().await;
    groups::insert(&mut change, None, &group("New")).await.expect("a group");
    change.commit().await.expect("nothing breaks");
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_changes_imports_reviews_prices_requests_and_drafts_meet_the_same_tests() {
    let world = World::new().await;
    let org = &world.org;
    let tenant = org.tenant.org;
    let target = Target::Model(org.model);
    world.pin("Not Uma", Subject::User(org.user), Expected::NotOpen).await;
    world.pin("Nobody below Parent", Subject::Group(org.parent), Expected::NotOpen).await;

    // Many people at once, and the way back.
    let mut change = org.change().await;
    let join = Task::Join { group: world.elsewhere, standing: Standing::Member, ends_at: None };
    batches::run(&mut change, &[org.user], join).await.expect("a look");
    world.refused("a change of many people", change, "Not Uma").await;

    // A table.
    let email = users::name(&org.store, tenant, org.user).await.expect("Uma").1;
    let row = imports::Row {
        suspended: None,
        line: 2,
        email: email.parse().expect("an address"),
        name: None,
        role: None,
        groups: Some([world.elsewhere].into()),
        limit: None,
    };
    let mut change = org.change().await;
    let imported = imports::run(&mut change, &[row]).await.expect("a look");
    assert!(imported.problems.is_empty(), "{:?}", imported.problems);
    world.refused("a table of people", change, "Not Uma").await;

    // A new model, which its name or its tier opens the moment it is accepted or has a price.
    let mut change = org.change().await;
    let open_tier =
        models::insert_tier(&mut change, &"Open".parse().expect("a name"), false).await.expect("a tier");
    authorizations::set(&mut change, Some(org.parent), Target::Tier(open_tier), Some(OPEN))
        .await
        .expect("a rule");
    let [waiting, free] = ["waiting", "unpriced"].map(|name| model_form(name, org.provider, open_tier));
    let waiting = models::insert(&mut change, &waiting, Review::Pending).await.expect("a model");
    let free = models::insert(&mut change, &free, Review::Accepted).await.expect("a model");
    let now = change.at();
    let price: Price = "1".parse().expect("a price");
    let priced = Prices::default().with(PriceKey::Input, Some(price)).with(PriceKey::Output, Some(price));
    model_prices::set(&mut change, waiting, now, &priced, Origin::TYPED).await.expect("a price");
    change.commit().await.expect("neither can be called yet");
    for (name, model) in [("Not waiting", waiting), ("Not unpriced", free)] {
        let mut change = org.change().await;
        let (group, name) = (Subject::Group(org.parent), name.parse().expect("a name"));
        access_tests::insert(&mut change, &name, group, Target::Model(model), Expected::NotOpen)
            .await
            .expect("pinned");
        change.commit().await.expect("it");
    }
    let mut change = org.change().await;
    model_reviews::accept(&mut change, &[(waiting, None)]).await.expect("accepted");
    world.refused("a model that is accepted", change, "Not waiting").await;
    let mut change = org.change().await;
    let now = change.at();
    model_prices::set(&mut change, free, now, &priced, Origin::TYPED).await.expect("a price");
    world.refused("a model that gets a price", change, "Not unpriced").await;

    // A draft of the matrix, saved by itself and from its rehearsal; a group that moves from its own.
    let cell = Cell { group: Some(org.child), target };
    let edit = Edit { cell, say: Some(OPEN), seen: None };
    let permit = |act| permit(&org.tenant.owner, act, Place::Organization).expect("they may");
    let draft = said::Draft { edits: vec![edit] };
    let kept = drafts::keep(&org.store, &permit(Act::WidenAuthorizations), &draft).await.expect("kept");
    let kept = drafts::get(&org.store, tenant, kept).await.expect("it");
    let mut change = org.change().await;
    drafts::save(&mut change, &kept).await.expect("made");
    world.refused("a draft of the matrix", change, "Nobody below Parent").await;
    let draft = Draft::Authorizations(vec![edit.into()]);
    world.rehearsed_and_refused("a draft of rules from its rehearsal", &draft, "Nobody below Parent").await;

    // What observes changes nothing, and is stopped when it is to decide.
    let mut change = org.change().await;
    let rule =
        authorizations::observe(&mut change, Some(org.child), target, Some(OPEN)).await.expect("a rule");
    change.commit().await.expect("it opens nothing");
    let mut change = org.change().await;
    authorizations::promote(&mut change, rule.expect("its id")).await.expect("it would decide");
    if let Err(error) = change.commit().await {
        assert!(matches!(error, StoreError::Pinned(_)), "{error:?}");
    } else {
        panic!("a rule that is promoted met no test");
    }

    // The group takes what is open elsewhere, and leaves the one whose test was about it.
    world.pin("Not Child", Subject::Group(org.child), Expected::NotOpen).await;
    let moved = Draft::Move { group: org.child, from: Some(org.parent), parent: Some(world.elsewhere) };
    world.rehearsed_and_refused("a move from its rehearsal", &moved, "Not Child").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_agreed_to_meets_the_tests() {
    let world = World::new().await;
    let org = &world.org;
    let target = Target::Model(org.model);
    let mut change = org.change().await;
    let by_request = Say { state: State::ByRequest, ..CLOSED };
    authorizations::set(&mut change, Some(org.parent), target, Some(by_request)).await.expect("a rule");
    change.commit().await.expect("it");
    world.pin("Not Uma", Subject::User(org.user), Expected::NotOpen).await;
    let uma = Actor {
        user: Some(org.user),
        name: "Uma".to_owned(),
        role: Role::Member,
        leads: Vec::new(),
        ..org.tenant.owner.clone()
    };
    let mut change = testing::begin(&org.store, &uma, Act::UseOwn).await;
    let form = requests::RequestForm {
        model: org.model,
        group: org.child,
        for_group: false,
        reason: "to compare".parse().expect("a reason"),
        terms: Terms { amount: Money::cents(500), ends_on: (clock::now() + Duration::days(9)).date_naive() },
        per: Per::Total,
    };
    let id = requests::insert(&mut change, &form).await.expect("asked");
    change.commit().await.expect("asking opens nothing");
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::DecideRequests).await;
    requests::approve(&mut change, id, None, None).await.expect("agreed");
    world.refused("a request that is agreed to", change, "Not Uma").await;
    let request = requests::get(&org.store, org.tenant.org, id).await.expect("it");
    assert_eq!(request.state, RequestState::Waiting, "it still waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_and_a_shared_key_count_for_a_person() {
    let world = World::new().await;
    let org = &world.org;
    let target = Target::Model(org.model);
    let mut change = org.change().await;
    let by_request = Say { state: State::ByRequest, ..CLOSED };
    authorizations::set(&mut change, Some(org.parent), target, Some(by_request)).await.expect("a rule");
    change.commit().await.expect("it");
    world.pin("Not Uma", Subject::User(org.user), Expected::NotOpen).await;

    let mut change = org.change().await;
    let (from, to) = (clock::now() - Duration::days(1), clock::now() + Duration::days(1));
    testing::grant(&mut change, org.model, Grantee::User(org.user), from, to).await.expect("a grant");
    world.refused("a grant", change, "Not Uma").await;

    let mut change = org.change().await;
    let form = store::applications::ApplicationForm {
        name: "Shared".parse().expect("a name"),
        description: String::new(),
        use_cases: Vec::new(),
    };
    let made =
        store::applications::insert(&mut change, world.elsewhere, &form, &KeyModels::All, Features::all());
    let (application, key) = made.await.expect("an application");
    change.commit().await.expect("nobody has a secret of it");
    let version =
        keys::of_application(&org.store, org.tenant.org, application).await.expect("its key").version;
    let mut change = org.change().await;
    let form = keys::KeyForm {
        models: KeyModels::All,
        features: Features::all(),
        policy: None,
        assigned: vec![org.child],
        handling: domain::keys::Handling::default(),
    };
    keys::update(&mut change, key, version, &form).await.expect("a key");
    world.refused("a key that is for their group", change, "Not Uma").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_is_every_model_in_it_and_those_to_come() {
    let world = World::new().await;
    let org = &world.org;
    let mut change = org.change().await;
    let special = models::insert_tier(&mut change, &"Special".parse().expect("a name"), true).await;
    let special = special.expect("a tier");
    change.commit().await.expect("it");
    let mut change = org.change().await;
    let name = "Nothing special".parse().expect("a name");
    let subject = Subject::Group(world.elsewhere);
    access_tests::insert(&mut change, &name, subject, Target::Tier(special), Expected::NotOpen)
        .await
        .expect("pinned");
    change.commit().await.expect("it");
    // No model is in it yet.
    let mut change = org.change().await;
    authorizations::set(&mut change, None, Target::Tier(special), Some(OPEN)).await.expect("a rule");
    world.refused("a tier that is opened", change, "Nothing special").await;
    // A model that is open by its own name, put into the tier.
    let version = models::get(&org.store, org.tenant.org, org.model).await.expect("a model").version;
    let mut change = org.change().await;
    let form = model_form("small", org.provider, special);
    models::update(&mut change, org.model, version, &form).await.expect("a model");
    world.refused("a model that changes its tier", change, "Nothing special").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_that_break_a_test_together_one_is_made() {
    let world = World::new().await;
    let org = &world.org;
    let target = Target::Model(org.model);
    let mut change = org.change().await;
    authorizations::set(&mut change, Some(org.child), target, Some(CLOSED)).await.expect("a rule");
    change.commit().await.expect("closed twice");
    world.pin("Not Child", Subject::Group(org.child), Expected::Closed).await;
    let one = async {
        let mut change = org.change().await;
        authorizations::set(&mut change, Some(org.child), target, None).await.expect("a rule");
        change.commit().await
    };
    let other = async {
        let mut change = org.change().await;
        authorizations::set(&mut change, Some(org.parent), target, Some(OPEN)).await.expect("a rule");
        change.commit().await
    };
    let (one, other) = tokio::join!(one, other);
    let refused = [&one, &other].iter().filter(|done| matches!(done, Err(StoreError::Pinned(_)))).count();
    assert_eq!(refused, 1, "{one:?} {other:?}");
    assert!(one.is_ok() || other.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_fails_already_holds_nothing_until_it_passes() {
    let world = World::new().await;
    let org = &world.org;
    let id = world.pin("Everybody", Subject::Group(org.parent), Expected::Open).await;
    let mut change = org.change().await;
    groups::insert(&mut change, None, &group("Another")).await.expect("a group");
    assert!(change.commit().await.expect("it breaks nothing"));
    let target = Target::Model(org.model);
    let mut change = org.change().await;
    authorizations::set(&mut change, Some(org.parent), target, Some(OPEN)).await.expect("a rule");
    change.commit().await.expect("it passes now");
    let mut change = org.change().await;
    authorizations::set(&mut change, Some(org.parent), target, Some(CLOSED)).await.expect("a rule");
    world.refused("closing it again", change, "Everybody").await;
    // The test is taken away first.
    let mut change = org.change().await;
    access_tests::remove(&mut change, id).await.expect("gone");
    authorizations::set(&mut change, Some(org.parent), target, Some(CLOSED)).await.expect("a rule");
    assert!(change.commit().await.expect("nothing holds it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_of_another_organization_and_things_of_another_organization() {
    let store = testing::store().await;
    let operator = testing::operator(&store).await;
    let acme = Organization::in_store(&store, operator, "Acme").await;
    let other = Organization::in_store(&store, operator, "Other").await;
    let name = "Not here".parse().expect("a name");
    for (subject, target) in [
        (Subject::Group(other.parent), Target::Model(acme.model)),
        (Subject::Group(acme.parent), Target::Model(other.model)),
        (Subject::User(other.user), Target::Tier(acme.tier)),
        (Subject::Key(other.key), Target::Tier(acme.tier)),
    ] {
        let mut change = acme.change().await;
        let pinned = access_tests::insert(&mut change, &name, subject, target, Expected::Closed).await;
        assert!(matches!(pinned, Err(StoreError::NotFound)), "{subject:?} {target:?}: {pinned:?}");
    }
    let mut change = other.change().await;
    let closed = Expected::Closed;
    let subject = Subject::Group(other.parent);
    let id = access_tests::insert(&mut change, &name, subject, Target::Model(other.model), closed).await;
    let id = id.expect("pinned");
    change.commit().await.expect("it");
    let mut change = acme.change().await;
    let removed = access_tests::remove(&mut change, id).await;
    assert!(matches!(removed, Err(StoreError::NotFound)), "{removed:?}");
    drop(change);
    // A permit for something else is none for this.
    let mut change = testing::begin(&store, &other.tenant.owner, Act::EditUsers).await;
    let removed = access_tests::remove(&mut change, id).await;
    assert!(matches!(removed, Err(StoreError::NotPermitted(Act::EditAccessTests))), "{removed:?}");
    assert_eq!(access_tests::list(&store, other.tenant.org).await.expect("a list").len(), 1);
    assert_eq!(access_tests::list(&store, acme.tenant.org).await.expect("a list").len(), 0);
}

/// Titles and bodies of what the owner was told of pinned tests, the oldest first.
async fn told(org: &Organization) -> Vec<(String, String)> {
    let own = permit(&org.tenant.owner, Act::UseOwn, Place::Organization).expect("everybody may");
    let mut list = notices::list(&org.store, &own, false, None, 50).await.expect("notices");
    list.retain(|notice| notice.kind == NoticeKind::Test);
    assert!(list.iter().all(|notice| notice.href == "/authorization/tests"));
    list.into_iter().rev().map(|notice| (notice.title, notice.body)).collect()
}

/// Whether each test holds, as it was taken down, with since when it fails.
async fn standing(org: &Organization) -> Vec<(String, Option<DateTime<Utc>>)> {
    let list = access_tests::list(&org.store, org.tenant.org).await.expect("a list");
    list.into_iter().map(|pinned| (pinned.test.name.to_string(), pinned.fails_since)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_a_date_breaks_is_told_of_once_each_time() {
    let world = World::new().await;
    let (org, now) = (&world.org, clock::now());
    let (store, tenant) = (&org.store, org.tenant.org);
    let look = async |days: i64| {
        let at = now + Duration::days(days);
        access_tests::watch::look(store, tenant, at).await.expect("a look")
    };
    let until = |days| Some(now + Duration::days(days));
    let mut change = org.change().await;
    groups::set_member(&mut change, world.elsewhere, org.user, Standing::Member, until(2)).await.expect("it");
    change.commit().await.expect("a member for two days");
    world.pin("Uma has it", Subject::User(org.user), Expected::Open).await;
    world.pin("Fails from the start", Subject::Group(org.parent), Expected::Open).await;
    assert_eq!((look(0).await, look(1).await), (0, 0), "what fails when it is pinned is no news");
    assert_eq!(told(org).await, []);

    // Two days later: told once, whoever looks, and however often.
    let (one, other) = tokio::join!(look(2), look(2));
    assert_eq!((one + other, look(2).await, look(3).await), (1, 0, 0));
    let list = told(org).await;
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0].0, "The pinned test “Uma has it” no longer holds");
    assert!(list[0].1.contains("“Uma has it”: expected open, and small is closed for Uma."), "{list:?}");
    assert_eq!(
        standing(org).await,
        [("Fails from the start".to_owned(), None), ("Uma has it".to_owned(), until(2))]
    );
    let mail = mails::take(store, tenant, clock::now() + Duration::days(9), 50).await.expect("mail");
    let subjects: Vec<&str> = mail.iter().map(|mail| mail.letter.subject.as_str()).collect();
    assert_eq!(subjects, [list[0].0.as_str()]);

    // It is mended, and a group's last day breaks it again; with it another.
    let mut change = org.change().await;
    groups::set_member(&mut change, world.elsewhere, org.user, Standing::Member, None).await.expect("it");
    change.commit().await.expect("a member for good");
    world.pin("Elsewhere has it", Subject::Group(world.elsewhere), Expected::Open).await;
    assert_eq!((look(4).await, standing(org).await[2].1), (0, None));
    let calendar = org.facts().await.calendar;
    let form = GroupForm { ends_on: Some(calendar.day(now + Duration::days(5))), ..group("Elsewhere") };
    let mut change = org.change().await;
    let version = groups::version(&mut change, world.elsewhere).await.expect("a version");
    groups::update(&mut change, world.elsewhere, version, &form).await.expect("a last day");
    change.commit().await.expect("it breaks nothing today");
    assert_eq!((look(4).await, look(7).await, look(8).await), (0, 2, 0));
    let list = told(org).await;
    assert_eq!(list[1].0, "2 pinned tests no longer hold");
    assert!(list[1].1.contains("“Elsewhere has it”") && list[1].1.contains("“Uma has it”"), "{list:?}");
    assert_eq!(list.len(), 2);

    // What is expected otherwise holds, and is no longer said to fail.
    let list = access_tests::list(store, tenant).await.expect("a list");
    let uma = &list[2].test;
    let mut change = org.change().await;
    let seen = (uma.name.as_str(), Expected::Open);
    access_tests::update(&mut change, uma.id, seen, &uma.name, Expected::NotOpen).await.expect("edited");
    change.commit().await.expect("it");
    assert_eq!((look(9).await, standing(org).await[2].1), (0, None));
    assert_eq!(told(org).await.len(), 2);
}
