//! Limits that people ask to be raised: who may ask and who agrees, how high, and what holds afterwards.

use chrono::{DateTime, Days, Duration, NaiveDate, Utc};
use domain::{
    ids::{GrantId, RequestId, UserId},
    limits::{Meter, Metric, Mode, Scope},
    money::Money,
    requests::{ApprovalRule, Made, RequestState, Terms},
    roles::{Act, Actor, Place, permit},
    users::Role,
    window::Window,
};
use store::{
    Change, StoreError, clock, groups,
    limits::{self, LimitForm, Seen},
    organizations,
    requests::{self, Decided, RaiseForm},
    testing, users,
};

use crate::organization::Organization;

/// Uma is in the child group, Lena leads it; the parent may spend ten dollars a month, Uma five.
struct World {
    acme: Organization,
    lena: Actor,
    parents: Meter,
    umas: Meter,
}

fn dollars(dollars: i64) -> Money {
    Money::cents(dollars * 100)
}

/// The day it is in the organization's time zone, which is ahead of UTC.
fn today() -> NaiveDate {
    clock::now().with_timezone(&chrono_tz::Europe::Berlin).date_naive()
}

fn terms(cap: i64, days: u64) -> Terms {
    Terms { amount: dollars(cap), ends_on: today() + Days::new(days) }
}

fn a_month(scope: Scope) -> Meter {
    Meter { scope, metric: Metric::Spend, window: Window::Month }
}

/// Noon of the day after one so many days from now: what ends with that day is over everywhere.
fn after(days: u64) -> DateTime<Utc> {
    let day = today() + Days::new(days + 1);
    day.and_hms_opt(12, 0, 0).expect("a time").and_utc()
}

impl World {
    async fn new() -> Self {
        let acme = Organization::new().await;
        let lena = Self::joins(&acme, "Lena", Role::Member).await;
        let mut change = acme.change().await;
        let lead = domain::groups::Standing::Lead;
        let id = lena.user.expect("she has joined");
        groups::set_member(&mut change, acme.child, id, lead, None).await.expect("a lead");
        change.commit().await.expect("it");
        let lena = Actor { leads: vec![acme.child], ..lena };
        let (parents, umas) = (a_month(Scope::Group(acme.parent)), a_month(Scope::User(acme.user)));
        let world = Self { acme, lena, parents, umas };
        world.set(parents, 10, Mode::Enforce).await;
        world.set(umas, 5, Mode::Enforce).await;
        world
    }

    async fn joins(acme: &Organization, name: &str, role: Role) -> Actor {
        let mut change = acme.change().await;
        let form = users::UserForm {
            email: format!("{}@acme.example", name.to_lowercase()).parse().expect("an address"),
            name: name.parse().expect("a name"),
            role,
        };
        let id = users::insert(&mut change, &form).await.expect("a user");
        change.commit().await.expect("it");
        Self::person(acme, id, name, role)
    }

    fn person(acme: &Organization, user: UserId, name: &str, role: Role) -> Actor {
        Actor {
            user: Some(user),
            name: name.to_owned(),
            role,
            leads: Vec::new(),
            ..acme.tenant.owner.clone()
        }
    }

    fn uma(&self) -> Actor {
        Self::person(&self.acme, self.acme.user, "Uma", Role::Member)
    }

    fn owner(&self) -> Actor {
        self.acme.tenant.owner.clone()
    }

    async fn set(&self, meter: Meter, cap: i64, mode: Mode) {
        let mut change = self.acme.change().await;
        let form = LimitForm { cap: dollars(cap).0, mode, thresholds: vec![80] };
        limits::set(&mut change, meter, &form, Seen::Whatever).await.expect("a limit");
        change.commit().await.expect("it");
    }

    async fn remove(&self, meter: Meter) {
        let mut change = self.acme.change().await;
        let (id, _, version) = limits::said(&mut change, &meter).await.expect("an answer").expect("a limit");
        limits::remove(&mut change, id, version).await.expect("it goes");
        change.commit().await.expect("it");
    }

    async fn ask(&self, who: &Actor, meter: Meter, terms: Terms) -> Result<RequestId, StoreError> {
        let mut change = testing::begin(&self.acme.store, who, Act::UseOwn).await;
        let reason = "twice the tickets".parse().expect("a reason");
        let form = RaiseForm { meter, group: self.acme.child, reason, terms };
        let id = requests::insert_raise(&mut change, &form).await?;
        change.commit().await?;
        Ok(id)
    }

    async fn approve(&self, who: &Actor, id: RequestId, terms: Option<Terms>) -> Result<Decided, StoreError> {
        let permit = permit(who, Act::LoosenLimits, Place::Organization).expect("they may raise limits");
        let mut change = Change::begin(&self.acme.store, permit).await?;
        let decided = requests::approve(&mut change, id, terms, None).await?;
        change.commit().await?;
        Ok(decided)
    }

    /// The cap of a meter as calls meet it; none: no limit of its own.
    async fn cap(&self, meter: Meter) -> Option<Money> {
        let facts = self.acme.facts().await;
        let limits = facts.limits.get(&meter.scope)?;
        let limit = limits.iter().find(|limit| limit.meter == meter)?;
        assert_eq!(limit.mode, Mode::Enforce, "a limit that refuses still does");
        Some(Money(limit.cap))
    }

    async fn state(&self, id: RequestId) -> RequestState {
        requests::get(&self.acme.store, self.acme.tenant.org, id).await.expect("the request").state
    }

    async fn ends(&self, at: DateTime<Utc>) -> usize {
        requests::end_due(&self.acme.store, at).await.expect("what is due ends")
    }
}

fn told<T: std::fmt::Debug>(result: Result<T, StoreError>, words: &str) {
    match result {
        Err(StoreError::Invalid { sentence, .. } | StoreError::Meanwhile(sentence))
            if sentence.contains(words) => {}
        Err(StoreError::Conflict(conflict)) if conflict.sentence.contains(words) => {}
        other => panic!("{other:?} does not say: {words}"),
    }
}

#[tokio::test]
async fn a_limit_is_raised_by_what_was_agreed_to_and_is_what_it_was_after_the_last_day() {
    let world = World::new().await;
    let id = world.ask(&world.uma(), world.umas, terms(20, 10)).await.expect("a request");
    assert_eq!(world.cap(world.umas).await, Some(dollars(5)), "asking raises nothing");
    told(world.approve(&world.owner(), id, Some(terms(21, 10))).await, "Agree to that or to less");
    told(world.approve(&world.owner(), id, Some(terms(20, 11))).await, "Agree to that day or an earlier one");
    told(world.approve(&world.owner(), id, Some(terms(5, 10))).await, "It is $5.00 a month now");
    assert_eq!(world.approve(&world.owner(), id, Some(terms(15, 8))).await.expect("yes"), Decided::Now);
    assert_eq!(world.cap(world.umas).await, Some(dollars(15)));
    let request = requests::get(&world.acme.store, world.acme.tenant.org, id).await.expect("it");
    let made = Made::Raise { before: Some(dollars(5)), now: Some(dollars(15)) };
    assert_eq!(request.grant.map(|grant| (grant.made, grant.cap)), Some((made, dollars(15))));

    // On its last day it holds; when that is over it does not, once.
    assert_eq!(world.ends(after(7)).await, 0);
    assert_eq!(world.cap(world.umas).await, Some(dollars(15)));
    assert_eq!(world.ends(after(8)).await, 1);
    assert_eq!(world.cap(world.umas).await, Some(dollars(5)));
    assert_eq!(world.state(id).await, RequestState::Ended);
    assert_eq!(world.ends(after(9)).await, 0);
    let audit = store::audit::Filter { subject: Some(id.0), ..Default::default() };
    let lines =
        store::audit::list(&world.acme.store, world.acme.tenant.org, &audit, 10).await.expect("the log");
    let acts: Vec<&str> = lines.iter().rev().map(|line| line.act.as_str()).collect();
    assert_eq!(acts, ["request.create", "request.approve", "request.end"]);
}

#[tokio::test]
async fn nobody_agrees_but_those_who_raise_limits_and_never_to_their_own() {
    let world = World::new().await;
    let id =
        world.ask(&world.lena, world.parents, terms(20, 10)).await.expect("a lead asks for the group above");
    // She leads the group on whose account it is, and decides on models there; not on this.
    let path = [world.acme.parent, world.acme.child];
    let lead = permit(&world.lena, Act::DecideRequests, Place::Group(&path)).expect("she decides there");
    let mut change = Change::begin(&world.acme.store, lead).await.expect("a change begins");
    let refused = requests::approve(&mut change, id, None, None).await;
    assert!(matches!(refused, Err(StoreError::NotPermitted(Act::LoosenLimits))), "{refused:?}");
    let no = "no".parse().expect("a word");
    let refused = requests::refuse(&mut change, id, &no).await;
    assert!(matches!(refused, Err(StoreError::NotPermitted(Act::LoosenLimits))), "{refused:?}");
    drop(change);
    let almighty = Actor { role: Role::Owner, ..world.lena.clone() };
    told(world.approve(&almighty, id, None).await, "Somebody else has to decide");
    assert_eq!(world.cap(world.parents).await, Some(dollars(10)));
    // It waits for whoever may, and not for leads.
    let org = world.acme.tenant.org;
    let other = world.acme.user;
    let waiting = |leads| requests::waiting(&world.acme.store, org, other, leads);
    assert_eq!(waiting(None).await.expect("a number"), 1);
    assert_eq!(waiting(Some(&path[..])).await.expect("a number"), 0);
}

#[tokio::test]
async fn only_limits_on_money_that_one_runs_into_or_leads_can_be_asked_about() {
    let world = World::new().await;
    let tokens = Meter { metric: Metric::Tokens, ..world.umas };
    let stranger = World::joins(&world.acme, "Sven", Role::Member).await;
    let admin = World::joins(&world.acme, "Ada", Role::Admin).await;
    let grant = a_month(Scope::Grant(clock::id::<GrantId>()));
    for (who, meter, what) in [
        (&world.uma(), tokens, "tokens"),
        (&world.uma(), a_month(Scope::User(world.lena.user.expect("an id"))), "somebody else's"),
        (&world.uma(), grant, "a grant"),
        (&stranger, world.parents, "a group that one is not in"),
        (&admin, world.parents, "on the account of a group that one does not call for"),
    ] {
        let refused = world.ask(who, meter, terms(20, 10)).await;
        assert!(matches!(refused, Err(StoreError::NotFound)), "{what}: {refused:?}");
    }
    // A lead asks for a member.
    world.ask(&world.lena, world.umas, terms(20, 10)).await.expect("for Uma");
    // Not at all where members do not ask; leads do.
    let mut change = world.acme.change().await;
    let version = organizations::get(&world.acme.store, world.acme.tenant.org).await.expect("it").version;
    let may = domain::organizations::MembersMay { requests: false, applications: true };
    organizations::set_members_may(&mut change, version, may).await.expect("a setting");
    change.commit().await.expect("it");
    told(world.ask(&world.uma(), world.umas, terms(20, 10)).await, "Ask a lead of the group");
    world.ask(&world.lena, world.parents, terms(20, 10)).await.expect("a lead");
}

#[tokio::test]
async fn whoever_answers_for_an_application_asks_for_it_though_they_never_call_it() {
    let world = World::new().await;
    let sven = World::joins(&world.acme, "Sven", Role::Admin).await;
    let its = a_month(Scope::Application(world.acme.application));
    world.set(its, 10, Mode::Enforce).await;
    let refused = world.ask(&sven, its, terms(20, 10)).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "none of theirs: {refused:?}");
    // Whoever made it answers for it, and belongs to no group.
    let owner = world.owner();
    let id = world.ask(&owner, its, terms(20, 10)).await.expect("a request");
    told(world.approve(&owner, id, None).await, "Somebody else has to decide");
    assert_eq!(world.approve(&sven, id, None).await.expect("yes"), Decided::Now);
    assert_eq!(world.cap(its).await, Some(dollars(20)));
    // Its calls run into what its group has, too; not into what people have.
    world.ask(&owner, world.parents, terms(20, 10)).await.expect("a request");
    let refused = world.ask(&owner, world.umas, terms(20, 10)).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "somebody else's: {refused:?}");
}

#[tokio::test]
async fn there_has_to_be_something_to_raise_when_it_is_asked_and_when_it_is_agreed_to() {
    let world = World::new().await;
    told(world.ask(&world.uma(), world.umas, terms(5, 10)).await, "It is $5.00 a month now");
    let daily = Meter { window: Window::Day, ..world.umas };
    told(world.ask(&world.uma(), daily, terms(5, 10)).await, "no such limit");
    told(world.ask(&world.uma(), world.umas, terms(6, 400)).await, "a year at most");
    let id = world.ask(&world.uma(), world.umas, terms(8, 10)).await.expect("a request");
    told(world.ask(&world.uma(), world.umas, terms(9, 10)).await, "You have asked for this already");
    world.set(world.umas, 8, Mode::Enforce).await;
    told(world.approve(&world.owner(), id, None).await, "It is $8.00 a month now");
    world.set(world.umas, 5, Mode::Observe).await;
    told(world.approve(&world.owner(), id, None).await, "only takes note");
    world.remove(world.umas).await;
    told(world.approve(&world.owner(), id, None).await, "no such limit any more");
    assert_eq!(world.cap(world.umas).await, None);
}

#[tokio::test]
async fn who_has_the_default_limit_has_it_again_afterwards() {
    let world = World::new().await;
    world.remove(world.umas).await;
    let now = organizations::get(&world.acme.store, world.acme.tenant.org).await.expect("the organization");
    let settings = organizations::Settings {
        name: now.name.parse().expect("a name"),
        time_zone: now.time_zone,
        week_start: now.week_start,
        default_user_limit: Some(dollars(3)),
        budget_status: now.budget_status,
        contact: now.contact,
    };
    let mut change = world.acme.change().await;
    organizations::update(&mut change, now.version, &settings).await.expect("settings");
    change.commit().await.expect("them");
    let id = world.ask(&world.uma(), world.umas, terms(9, 2)).await.expect("a request");
    world.approve(&world.owner(), id, None).await.expect("yes");
    assert_eq!(world.cap(world.umas).await, Some(dollars(9)));
    assert_eq!(world.ends(after(2)).await, 1);
    assert_eq!(world.cap(world.umas).await, None, "the default counts again");
    // A default that is set higher than a raise leaves nobody below it.
    let id = world.ask(&world.uma(), world.umas, terms(9, 2)).await.expect("a request");
    world.approve(&world.owner(), id, None).await.expect("yes");
    let now = organizations::get(&world.acme.store, world.acme.tenant.org).await.expect("the organization");
    let settings = organizations::Settings { default_user_limit: Some(dollars(20)), ..settings };
    let mut change = world.acme.change().await;
    organizations::update(&mut change, now.version, &settings).await.expect("settings");
    change.commit().await.expect("them");
    assert_eq!(world.cap(world.umas).await, None);
    assert_eq!(world.state(id).await, RequestState::Ended);
}

#[tokio::test]
async fn who_asks_in_steps_asks_for_the_whole_of_it() {
    let world = World::new().await;
    let ada = World::joins(&world.acme, "Ada", Role::Admin).await;
    let mut change = world.acme.change().await;
    let rule = ApprovalRule { above: dollars(100), approvers: 2, version: 0 };
    requests::set_rule(&mut change, &rule).await.expect("a rule");
    change.commit().await.expect("it");
    let last = today();
    let to = |cap| Terms { amount: dollars(cap), ends_on: last };
    let first = world.ask(&world.uma(), world.umas, to(95)).await.expect("a request");
    assert_eq!(world.approve(&ada, first, None).await.expect("ninety more"), Decided::Now);
    // From the raised cap on it is ninety again, from the one that lasts a hundred and eighty.
    let second = world.ask(&world.uma(), world.umas, to(185)).await.expect("a request");
    assert_eq!(world.approve(&ada, second, None).await.expect("one of two"), Decided::More(1));
    assert_eq!(world.cap(world.umas).await, Some(dollars(95)));
    // What is lowered while somebody waits is more to go beyond.
    let third = world.ask(&world.uma(), world.parents, to(100)).await.expect("a request");
    world.set(world.parents, 1, Mode::Enforce).await;
    let fourth = world.ask(&world.lena, world.parents, to(105)).await.expect("a request");
    world.set(world.parents, 0, Mode::Enforce).await;
    assert_eq!(world.approve(&ada, third, None).await.expect("a hundred is not above"), Decided::Now);
    assert_eq!(world.approve(&ada, fourth, None).await.expect("from zero"), Decided::More(1));
}

#[tokio::test]
async fn a_raise_of_what_is_archived_since_ends_and_holds_up_no_other() {
    let world = World::new().await;
    let mut change = world.acme.change().await;
    let form = domain::groups::GroupForm {
        name: "Short-lived".parse().expect("a name"),
        kind: domain::groups::GroupKind::Custom,
        ends_on: None,
    };
    let group = groups::insert(&mut change, Some(world.acme.parent), &form).await.expect("a group");
    let lead = domain::groups::Standing::Lead;
    groups::set_member(&mut change, group, world.lena.user.expect("an id"), lead, None)
        .await
        .expect("a lead");
    change.commit().await.expect("it");
    let meter = a_month(Scope::Group(group));
    world.set(meter, 5, Mode::Enforce).await;
    let mut change = testing::begin(&world.acme.store, &world.lena, Act::UseOwn).await;
    let reason = "for a while".parse().expect("a reason");
    let form = RaiseForm { meter, group, reason, terms: terms(9, 2) };
    let first = requests::insert_raise(&mut change, &form).await.expect("a request");
    change.commit().await.expect("it");
    world.approve(&world.owner(), first, None).await.expect("yes");
    let second = world.ask(&world.uma(), world.umas, terms(9, 2)).await.expect("a request");
    world.approve(&world.owner(), second, None).await.expect("yes");
    let mut change = world.acme.change().await;
    groups::archive(&mut change, group).await.expect("it is archived");
    change.commit().await.expect("it");
    assert_eq!(world.ends(after(2)).await, 2);
    assert_eq!(world.state(first).await, RequestState::Ended);
    assert_eq!(world.cap(world.umas).await, Some(dollars(5)));
}

#[tokio::test]
async fn a_lead_lowers_what_is_raised_to_no_more_than_it_is_without_that() {
    let world = World::new().await;
    let meter = a_month(Scope::Group(world.acme.child));
    world.set(meter, 5, Mode::Enforce).await;
    let id = world.ask(&world.uma(), meter, terms(50, 5)).await.expect("a request");
    world.approve(&world.owner(), id, None).await.expect("yes");
    let lower = async |cap: i64| {
        let path = [world.acme.parent, world.acme.child];
        let lead = permit(&world.lena, Act::TightenLimits, Place::Group(&path)).expect("she leads it");
        let mut change = Change::begin(&world.acme.store, lead).await?;
        let form = LimitForm { cap: dollars(cap).0, mode: Mode::Enforce, thresholds: Vec::new() };
        limits::set(&mut change, meter, &form, Seen::Whatever).await?;
        change.commit().await
    };
    // That would stay when the raise is over.
    told(lower(40).await, "$5.00 a month or less");
    assert_eq!(world.cap(meter).await, Some(dollars(50)));
    lower(3).await.expect("less than before");
    assert_eq!((world.cap(meter).await, world.state(id).await), (Some(dollars(3)), RequestState::Ended));
    assert_eq!(world.ends(after(5)).await, 0);
    assert_eq!(world.cap(meter).await, Some(dollars(3)));
}

#[tokio::test]
async fn a_shorter_raise_falls_back_to_the_longer_one() {
    let world = World::new().await;
    let long = world.ask(&world.uma(), world.umas, terms(10, 50)).await.expect("a request");
    world.approve(&world.owner(), long, None).await.expect("yes");
    let short = world.ask(&world.uma(), world.umas, terms(20, 2)).await.expect("a request");
    world.approve(&world.owner(), short, None).await.expect("yes");
    assert_eq!(world.cap(world.umas).await, Some(dollars(20)));
    assert_eq!(world.state(long).await, RequestState::Approved);
    let org = world.acme.tenant.org;
    let request = requests::get(&world.acme.store, org, short).await.expect("it");
    let made = Made::Raise { before: Some(dollars(10)), now: Some(dollars(20)) };
    assert_eq!(request.grant.map(|grant| grant.made), Some(made));
    let lasting = requests::lasting_caps(&world.acme.store, org).await.expect("caps");
    assert_eq!(lasting.get(&world.umas), Some(&Some(dollars(5))), "what an export says");
    assert_eq!(world.ends(after(2)).await, 1);
    assert_eq!(world.cap(world.umas).await, Some(dollars(10)));
    assert_eq!(world.ends(after(50)).await, 1);
    assert_eq!(world.cap(world.umas).await, Some(dollars(5)));
}

#[tokio::test]
async fn a_second_raise_ends_to_what_was_before_the_first() {
    let world = World::new().await;
    let first = world.ask(&world.uma(), world.umas, terms(10, 5)).await.expect("a request");
    world.approve(&world.owner(), first, None).await.expect("yes");
    let second = world.ask(&world.lena, world.umas, terms(12, 20)).await.expect("a request");
    world.approve(&world.owner(), second, None).await.expect("yes");
    assert_eq!(
        (world.state(first).await, world.state(second).await),
        (RequestState::Ended, RequestState::Approved)
    );
    assert_eq!(world.ends(after(6)).await, 0, "the second has taken its place");
    assert_eq!(world.cap(world.umas).await, Some(dollars(12)));
    assert_eq!(world.ends(after(20)).await, 1);
    assert_eq!(world.cap(world.umas).await, Some(dollars(5)));
}

#[tokio::test]
async fn what_somebody_sets_since_stays_and_ending_early_lowers_at_once() {
    let world = World::new().await;
    let id = world.ask(&world.uma(), world.umas, terms(10, 5)).await.expect("a request");
    world.approve(&world.owner(), id, None).await.expect("yes");
    // Another way of telling somebody is no other limit.
    let mut change = world.acme.change().await;
    let form = LimitForm { cap: dollars(10).0, mode: Mode::Enforce, thresholds: vec![90] };
    limits::set(&mut change, world.umas, &form, Seen::Whatever).await.expect("a limit");
    change.commit().await.expect("it");
    assert_eq!(world.state(id).await, RequestState::Approved);
    world.set(world.umas, 40, Mode::Enforce).await;
    assert_eq!(world.state(id).await, RequestState::Ended);
    // Also where they come back to the same cap.
    world.set(world.umas, 10, Mode::Enforce).await;
    assert_eq!(world.ends(after(5)).await, 0);
    assert_eq!(world.cap(world.umas).await, Some(dollars(10)));

    let id = world.ask(&world.uma(), world.parents, terms(50, 5)).await.expect("a request");
    world.approve(&world.owner(), id, None).await.expect("yes");
    let end = async |who: &Actor, act| {
        let path = [world.acme.parent, world.acme.child];
        let place = if act == Act::LoosenLimits { Place::Organization } else { Place::Group(&path) };
        let mut change = Change::begin(&world.acme.store, permit(who, act, place).expect("it")).await?;
        requests::end(&mut change, id).await?;
        change.commit().await
    };
    let refused = end(&world.lena, Act::DecideRequests).await;
    assert!(matches!(refused, Err(StoreError::NotPermitted(Act::LoosenLimits))), "{refused:?}");
    assert!(end(&world.owner(), Act::LoosenLimits).await.expect("it ends"));
    assert_eq!(world.cap(world.parents).await, Some(dollars(10)));
    assert_eq!(world.state(id).await, RequestState::Ended);
    // Twice is once, also where somebody gives the same cap for good.
    world.set(world.parents, 50, Mode::Enforce).await;
    let again = end(&world.owner(), Act::LoosenLimits).await;
    assert!(
        matches!(&again, Err(StoreError::Meanwhile(said)) if said.starts_with("You have ended this already, on ")),
        "{again:?}"
    );
    assert_eq!(world.cap(world.parents).await, Some(dollars(50)));
}

#[tokio::test]
async fn a_large_sum_needs_several_who_raise_limits() {
    let world = World::new().await;
    let ada = World::joins(&world.acme, "Ada", Role::Admin).await;
    let mut change = world.acme.change().await;
    let rule = ApprovalRule { above: dollars(100), approvers: 2, version: 0 };
    requests::set_rule(&mut change, &rule).await.expect("a rule");
    change.commit().await.expect("it");
    // Ninety more for this month and no longer; then two hundred more.
    let last = today();
    let small = Terms { amount: dollars(95), ends_on: last };
    let id = world.ask(&world.uma(), world.umas, small).await.expect("a request");
    assert_eq!(world.approve(&ada, id, None).await.expect("one suffices"), Decided::Now);
    // The same again is a second click; from a page that was open before, something else is not so.
    assert_eq!(world.approve(&ada, id, Some(small)).await.expect("the same"), Decided::Before);
    let other = Terms { amount: dollars(90), ends_on: last };
    let error = world.approve(&ada, id, Some(other)).await.expect_err("other terms");
    let StoreError::Meanwhile(sentence) = &error else { panic!("{error}") };
    assert!(sentence.contains("You have approved this already: $95.00 a month until"), "{sentence}");
    assert_eq!(world.cap(world.umas).await, Some(dollars(95)));
    let large = Terms { amount: dollars(210), ends_on: last };
    let large = world.ask(&world.uma(), world.parents, large).await.expect("a request");
    assert_eq!(world.approve(&ada, large, None).await.expect("one"), Decided::More(1));
    assert_eq!(world.approve(&ada, large, None).await.expect("the same"), Decided::Waits(1));
    assert_eq!(world.cap(world.parents).await, Some(dollars(10)));
    let less = Terms { amount: dollars(205), ends_on: last };
    assert_eq!(
        world.approve(&world.owner(), large, Some(less)).await.expect("other terms"),
        Decided::Anew(1)
    );
    assert_eq!(world.approve(&ada, large, None).await.expect("two"), Decided::Now);
    assert_eq!(world.cap(world.parents).await, Some(dollars(205)));
    let told = async |actor: &Actor, terms| match world.approve(actor, large, terms).await {
        Err(StoreError::Meanwhile(sentence)) => sentence,
        other => panic!("{other:?}"),
    };
    let as_asked = told(&ada, None).await;
    assert!(as_asked.starts_with("You have approved this already: $205.00 a month until"), "{as_asked}");
    let other = told(&world.owner(), Some(less)).await;
    assert!(other.starts_with("This holds already, and you have agreed to it: $205.00 a month"), "{other}");
}

#[tokio::test]
async fn those_who_may_are_told_of_it_and_whoever_asked_of_what_comes() {
    let world = World::new().await;
    let (store, org) = (&world.acme.store, world.acme.tenant.org);
    let id = world.ask(&world.uma(), world.parents, terms(30, 20)).await.expect("a request");
    let titles = async |who: &Actor| {
        let permit = permit(who, Act::UseOwn, Place::Organization).expect("their own");
        let page = store::notices::list(store, &permit, false, None, 20).await.expect("notices");
        page.into_iter().map(|notice| notice.title).collect::<Vec<_>>()
    };
    assert_eq!(titles(&world.owner()).await, ["Uma asks for a higher limit for Parent"]);
    assert!(titles(&world.lena).await.is_empty(), "she cannot decide on it");
    world.approve(&world.owner(), id, None).await.expect("yes");
    requests::ends(store, org, after(20) - Duration::days(2)).await.expect("a look");
    requests::ends(store, org, after(20) - Duration::days(2)).await.expect("another look");
    world.ends(after(20)).await;
    let told: Vec<String> = titles(&world.uma()).await.into_iter().rev().collect();
    let expected = [
        "The limit of Parent is raised",
        "The raised limit of Parent ends soon",
        "The raised limit of Parent has ended",
    ];
    assert_eq!(told, expected);
}
