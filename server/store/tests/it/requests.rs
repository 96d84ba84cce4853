//! Requests: who may answer, once, and what an answer opens.

use chrono::{Days, Duration, NaiveDate};
use domain::{
    access::{Ask, Verdict, decide},
    authorizations::{State, Target},
    groups::Standing,
    ids::{GroupId, RequestId, UserId},
    keys::Features,
    limits::Scope,
    money::Money,
    requests::{Per, RequestState, Terms},
    roles::{Act, Actor, Place, permit},
    users::Role,
};
use store::{
    Change, StoreError, authorizations,
    authorizations::Say,
    clock, groups,
    requests::{self, Decided, RequestForm},
    testing, users,
};

use crate::organization::Organization;

/// Lena leads the group; Uma is in it and asks. The model is open by request.
struct World {
    acme: Organization,
    lena: Actor,
}

fn today() -> NaiveDate {
    clock::now().date_naive()
}

fn terms(dollars: i64, days: u64) -> Terms {
    Terms { amount: Money::cents(dollars * 100), ends_on: today() + Days::new(days) }
}

impl World {
    async fn new() -> Self {
        let acme = Organization::new().await;
        let mut change = acme.change().await;
        let form = users::UserForm {
            email: "lena@acme.example".parse().expect("an address"),
            name: "Lena".parse().expect("a name"),
            role: Role::Member,
        };
        let lena = users::insert(&mut change, &form).await.expect("a user");
        groups::set_member(&mut change, acme.child, lena, Standing::Lead, None).await.expect("a lead");
        let say = Say { state: State::ByRequest, locked: false, ends_at: None };
        authorizations::set(&mut change, Some(acme.parent), Target::Model(acme.model), Some(say))
            .await
            .expect("a rule");
        change.commit().await.expect("all of it");
        let lena = Self::person(&acme, lena, "Lena", vec![acme.child]);
        Self { acme, lena }
    }

    fn person(acme: &Organization, user: UserId, name: &str, leads: Vec<GroupId>) -> Actor {
        Actor {
            user: Some(user),
            name: name.to_owned(),
            role: Role::Member,
            leads,
            ..acme.tenant.owner.clone()
        }
    }

    fn uma(&self) -> Actor {
        Self::person(&self.acme, self.acme.user, "Uma", Vec::new())
    }

    /// A change by somebody who leads the group, or may do everything.
    async fn deciding(&self, actor: &Actor) -> Change {
        let path = [self.acme.parent, self.acme.child];
        let permit = permit(actor, Act::DecideRequests, Place::Organization)
            .or_else(|_| permit(actor, Act::DecideRequests, Place::Group(&path)))
            .expect("they may");
        Change::begin(&self.acme.store, permit).await.expect("a change begins")
    }

    async fn ask(&self, actor: &Actor, terms: Terms) -> Result<RequestId, StoreError> {
        let mut change = testing::begin(&self.acme.store, actor, Act::UseOwn).await;
        let form = RequestForm {
            model: self.acme.model,
            group: self.acme.child,
            for_group: false,
            reason: "to compare".parse().expect("a reason"),
            terms,
            per: Per::Month,
        };
        let id = requests::insert(&mut change, &form).await?;
        change.commit().await?;
        Ok(id)
    }

    async fn approve(
        &self,
        actor: &Actor,
        id: RequestId,
        terms: Option<Terms>,
    ) -> Result<Decided, StoreError> {
        let mut change = self.deciding(actor).await;
        let decided = requests::approve(&mut change, id, terms, None).await?;
        change.commit().await?;
        Ok(decided)
    }

    async fn state(&self, id: RequestId) -> RequestState {
        requests::get(&self.acme.store, self.acme.tenant.org, id).await.expect("the request").state
    }

    /// What Uma may do in a group.
    async fn verdict(&self, group: GroupId) -> Verdict {
        let ask = Ask {
            group,
            user: Some(self.acme.user),
            application: None,
            model: self.acme.model,
            features: Features::default(),
        };
        decide(&self.acme.facts().await, &ask, clock::now()).verdict
    }
}

fn told<T: std::fmt::Debug>(result: Result<T, StoreError>, words: &str) {
    match result {
        Err(StoreError::Invalid { sentence, .. }) if sentence.contains(words) => {}
        other => panic!("{other:?} does not say: {words}"),
    }
}

#[tokio::test]
async fn nobody_decides_on_what_they_asked_for_themselves() {
    let world = World::new().await;
    let id = world.ask(&world.lena, terms(5, 10)).await.expect("a request");
    told(world.approve(&world.lena, id, None).await, "Somebody else has to decide");
    let mut change = world.deciding(&world.lena).await;
    let no = "no".parse().expect("a word");
    told(requests::refuse(&mut change, id, &no).await, "Somebody else has to decide");
    drop(change);
    // With every right there is, it is the same.
    let mut almighty = world.lena.clone();
    almighty.role = Role::Owner;
    told(world.approve(&almighty, id, None).await, "Somebody else has to decide");
    assert_eq!(world.state(id).await, RequestState::Waiting);
    assert!(world.acme.facts().await.grants.is_empty());
}

#[tokio::test]
async fn of_many_clicks_and_two_deciders_one_grant_comes() {
    let world = std::sync::Arc::new(World::new().await);
    let id = world.ask(&world.uma(), terms(5, 10)).await.expect("a request");
    let mut clicks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let world = world.clone();
        clicks.spawn(async move { world.approve(&world.lena, id, None).await.expect("no error") });
    }
    let came = clicks.join_all().await;
    assert_eq!(came.iter().filter(|decided| **decided == Decided::Now).count(), 1, "{came:?}");
    // Whoever comes second learns who was first; what that one did stands.
    let owner = world.acme.tenant.owner.clone();
    told(world.approve(&owner, id, None).await, "Lena has approved this already");
    let mut change = world.deciding(&owner).await;
    let no = "no".parse().expect("a word");
    told(requests::refuse(&mut change, id, &no).await, "Lena has approved this already");
    drop(change);
    let facts = world.acme.facts().await;
    assert_eq!(facts.grants.values().flatten().count(), 1);
    let scopes = facts.limits.keys().filter(|scope| matches!(scope, Scope::Grant(_))).count();
    assert_eq!(scopes, 1);
}

#[tokio::test]
async fn a_lead_gives_less_and_never_more_and_only_within_their_group() {
    let world = World::new().await;
    assert_eq!(world.verdict(world.acme.child).await, Verdict::NeedsApproval);
    let id = world.ask(&world.uma(), terms(5, 10)).await.expect("a request");
    told(world.approve(&world.lena, id, Some(terms(6, 10))).await, "Agree to that or to less");
    told(world.approve(&world.lena, id, Some(terms(5, 11))).await, "Agree to that day or an earlier one");
    world.approve(&world.lena, id, Some(terms(4, 9))).await.expect("it is approved");
    assert_eq!(world.verdict(world.acme.child).await, Verdict::Allow);
    assert_eq!(world.verdict(world.acme.parent).await, Verdict::NeedsApproval);
    let request = requests::get(&world.acme.store, world.acme.tenant.org, id).await.expect("it");
    let grant = request.grant.expect("a grant");
    assert_eq!((request.state, grant.cap), (RequestState::Approved, Money::cents(400)));

    // Asking again is allowed; a new grant takes the place of the old one.
    let second = world.ask(&world.uma(), terms(9, 20)).await.expect("a second request");
    told(world.ask(&world.uma(), terms(9, 20)).await.map_err(as_invalid), "You have asked for this already");
    world.approve(&world.lena, second, None).await.expect("it is approved");
    assert_eq!(world.state(id).await, RequestState::Ended);
    assert_eq!(world.state(second).await, RequestState::Approved);

    // A lead of another group has no say.
    let other = World::person(&world.acme, world.acme.user, "Olaf", vec![world.acme.parent]);
    let third = world.ask(&world.lena, terms(5, 10)).await.expect("a request");
    let permit =
        permit(&other, Act::DecideRequests, Place::Group(&[world.acme.parent])).expect("there they may");
    let mut change = Change::begin(&world.acme.store, permit).await.expect("a change begins");
    let refused = requests::approve(&mut change, third, None, None).await;
    assert!(matches!(refused, Err(StoreError::NotPermitted(Act::DecideRequests))), "{refused:?}");
}

fn as_invalid(error: StoreError) -> StoreError {
    match error {
        StoreError::Conflict(conflict) => StoreError::invalid(conflict.field, conflict.sentence),
        other => other,
    }
}

#[tokio::test]
async fn a_grant_lifts_by_request_never_closed() {
    let world = World::new().await;
    let first = world.ask(&world.uma(), terms(5, 10)).await.expect("a request");
    world.approve(&world.lena, first, None).await.expect("it is approved");
    let second = world.ask(&world.uma(), terms(5, 10)).await.expect("a request");
    let mut change = world.acme.change().await;
    let say = Say { state: State::Closed, locked: false, ends_at: None };
    let target = Target::Model(world.acme.model);
    authorizations::set(&mut change, Some(world.acme.child), target, Some(say)).await.expect("a rule");
    change.commit().await.expect("it");
    assert!(matches!(world.verdict(world.acme.child).await, Verdict::Deny(_)));
    told(world.approve(&world.lena, second, None).await, "lifts “by request” and nothing else");
    told(world.ask(&world.lena, terms(5, 10)).await, "cannot ask for this model");
}

#[tokio::test]
async fn a_grant_ends_by_itself_or_by_a_lead_and_then_the_model_is_by_request_again() {
    let world = World::new().await;
    let id = world.ask(&world.uma(), terms(5, 10)).await.expect("a request");
    world.approve(&world.lena, id, None).await.expect("it is approved");
    let ask = |group| Ask {
        group,
        user: Some(world.acme.user),
        application: None,
        model: world.acme.model,
        features: Features::default(),
    };
    let facts = world.acme.facts().await;
    let later = |days| decide(&facts, &ask(world.acme.child), clock::now() + Duration::days(days)).verdict;
    assert_eq!((later(8), later(12)), (Verdict::Allow, Verdict::NeedsApproval));

    let mut change = world.deciding(&world.lena).await;
    requests::end(&mut change, id).await.expect("it ends");
    change.commit().await.expect("it");
    assert_eq!(world.verdict(world.acme.child).await, Verdict::NeedsApproval);
    assert_eq!(world.state(id).await, RequestState::Ended);
    // Its limit is gone with it, and ending twice changes nothing.
    assert!(!world.acme.facts().await.limits.keys().any(|scope| matches!(scope, Scope::Grant(_))));
    let mut change = world.deciding(&world.lena).await;
    requests::end(&mut change, id).await.expect("it has ended");
    assert!(!change.commit().await.expect("nothing"));
}

#[tokio::test]
async fn what_was_taken_back_cannot_be_answered_and_only_by_whoever_asked() {
    let world = World::new().await;
    let id = world.ask(&world.uma(), terms(5, 10)).await.expect("a request");
    let mut change = testing::begin(&world.acme.store, &world.lena, Act::UseOwn).await;
    let refused = requests::withdraw(&mut change, id).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    drop(change);
    let mut change = testing::begin(&world.acme.store, &world.uma(), Act::UseOwn).await;
    requests::withdraw(&mut change, id).await.expect("it is taken back");
    change.commit().await.expect("it");
    told(world.approve(&world.lena, id, None).await, "Uma has taken this back");
    assert!(world.acme.facts().await.grants.is_empty());
}

#[tokio::test]
async fn asking_needs_a_group_one_can_call_for_money_and_a_day_that_comes() {
    let world = World::new().await;
    told(world.ask(&world.uma(), terms(0, 10)).await, "above zero");
    told(world.ask(&world.uma(), terms(5, 400)).await, "a year at most");
    let yesterday = Terms { ends_on: today() - Days::new(2), ..terms(5, 0) };
    told(world.ask(&world.uma(), yesterday).await, "This day is over");
    let owner = world.acme.tenant.owner.clone();
    let refused = world.ask(&owner, terms(5, 10)).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
}
