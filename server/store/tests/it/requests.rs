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
    requests::{ApprovalRule, Made, Per, RequestState, Terms},
    reviews::{self as looks, ItemKind},
    roles::{Act, Actor, Place, permit},
    users::Role,
};
use store::{
    Change, StoreError, authorizations,
    authorizations::Say,
    clock, groups, notices,
    requests::{self, Decided, RequestForm},
    reviews, testing, users,
};

use crate::organization::Organization;

/// Lena leads the group; Uma is in it and asks. The model is open by request.
struct World {
    acme: Organization,
    lena: Actor,
}

/// The day it is in the organization's time zone, which is ahead of UTC.
fn today() -> NaiveDate {
    clock::now().with_timezone(&chrono_tz::Europe::Berlin).date_naive()
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
        Err(StoreError::Invalid { sentence, .. } | StoreError::Meanwhile(sentence))
            if sentence.contains(words) => {}
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
    // Its limit is gone with it, and ending twice changes nothing and says who was first.
    assert!(!world.acme.facts().await.limits.keys().any(|scope| matches!(scope, Scope::Grant(_))));
    let mut change = world.deciding(&world.lena).await;
    told(requests::end(&mut change, id).await, "You have ended this already, on ");
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

#[tokio::test]
async fn a_grant_does_nothing_only_where_it_lifts_nothing_in_its_group_and_below() {
    let world = World::new().await;
    let id = world.ask(&world.uma(), terms(5, 10)).await.expect("a request");
    let (model, parent) = (Target::Model(world.acme.model), world.acme.parent);
    let says = async |group, state| {
        let mut change = world.acme.change().await;
        let say = Say { state, locked: false, ends_at: None };
        authorizations::set(&mut change, Some(group), model, Some(say)).await.expect("a rule");
        change.commit().await.expect("it");
    };
    let idle = async || {
        let filter = requests::Filter { only: Some(id), ..Default::default() };
        let live = requests::live(&world.acme.store, world.acme.tenant.org, &filter).await.expect("it");
        live.into_iter().find_map(|request| request.idle)
    };
    assert_eq!(idle().await, None, "it can be agreed to");
    says(parent, State::Open).await;
    assert!(idle().await.is_some_and(|why| why.ends_with("by now: nobody has to agree any more.")));
    says(parent, State::ByRequest).await;
    world.approve(&world.lena, id, None).await.expect("yes");
    assert_eq!(idle().await, None, "it lifts");
    says(parent, State::Open).await;
    assert!(
        idle()
            .await
            .is_some_and(|why| why.starts_with("This does nothing now: ") && why.ends_with(" anyway."))
    );
    says(parent, State::Closed).await;
    assert_eq!(idle().await.as_deref(), Some("This does nothing now: it is closed."));
}

/// Several have to agree to more than a dollar; Ada is an admin.
async fn world_of_several(approvers: u8) -> (World, Actor) {
    let world = World::new().await;
    let mut change = world.acme.change().await;
    let rule = ApprovalRule { above: Money::cents(100), approvers, version: 0 };
    requests::set_rule(&mut change, &rule).await.expect("a rule");
    let form = users::UserForm {
        email: "ada@acme.example".parse().expect("an address"),
        name: "Ada".parse().expect("a name"),
        role: Role::Admin,
    };
    let ada = users::insert(&mut change, &form).await.expect("a user");
    change.commit().await.expect("all of it");
    let ada = Actor { role: Role::Admin, ..World::person(&world.acme, ada, "Ada", Vec::new()) };
    (world, ada)
}

impl World {
    async fn progress(&self, id: RequestId) -> String {
        let request = requests::get(&self.acme.store, self.acme.tenant.org, id).await.expect("the request");
        request.progress().expect("several have to agree")
    }
}

#[tokio::test]
async fn a_large_sum_holds_once_enough_different_people_agree() {
    let (world, ada) = world_of_several(3).await;
    let id = world.ask(&world.uma(), terms(50, 10)).await.expect("a request");
    assert_eq!(world.approve(&world.lena, id, None).await.expect("one"), Decided::More(2));
    assert_eq!(world.verdict(world.acme.child).await, Verdict::NeedsApproval);
    // The same person twice is one person.
    assert_eq!(world.approve(&world.lena, id, None).await.expect("the same"), Decided::Waits(2));
    assert_eq!(world.approve(&ada, id, None).await.expect("two"), Decided::More(1));
    assert_eq!(world.progress(id).await, "2 of 3 agree");
    let owner = world.acme.tenant.owner.clone();
    assert_eq!(world.approve(&owner, id, None).await.expect("three"), Decided::Now);
    assert_eq!(world.verdict(world.acme.child).await, Verdict::Allow);
    // What costs less than that needs one.
    let mut change = world.acme.change().await;
    let rule = ApprovalRule { above: Money::cents(10_000), approvers: 3, version: 1 };
    requests::set_rule(&mut change, &rule).await.expect("another sum");
    change.commit().await.expect("it");
    let small = world.ask(&world.uma(), terms(5, 10)).await.expect("a request");
    assert_eq!(world.approve(&world.lena, small, None).await.expect("enough"), Decided::Now);
}

#[tokio::test]
async fn one_person_who_clicks_often_at_once_is_one_person() {
    let (world, _) = world_of_several(2).await;
    let world = std::sync::Arc::new(world);
    let id = world.ask(&world.uma(), terms(50, 10)).await.expect("a request");
    let mut clicks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let world = world.clone();
        clicks.spawn(async move { world.approve(&world.lena, id, None).await.expect("no error") });
    }
    let came = clicks.join_all().await;
    assert_eq!(came.iter().filter(|decided| **decided == Decided::More(1)).count(), 1, "{came:?}");
    assert_eq!(came.iter().filter(|decided| **decided == Decided::Waits(1)).count(), 5, "{came:?}");
    assert_eq!(world.state(id).await, RequestState::Waiting);
}

#[tokio::test]
async fn whoever_asks_is_no_second_approver() {
    let (world, ada) = world_of_several(2).await;
    let id = world.ask(&world.lena, terms(50, 10)).await.expect("a request");
    assert_eq!(world.approve(&ada, id, None).await.expect("one"), Decided::More(1));
    told(world.approve(&world.lena, id, None).await, "Somebody else has to decide");
    // Past every function of the store, the schema refuses it too.
    let past = sqlx::query(
        "insert into request_approvals (org_id, request_id, round, user_id, requester_id, amount, ends_on, approved_at)
         select org_id, request_id, round, requester_id, requester_id, amount, ends_on, created_at from requests
         where request_id = $1",
    )
    .bind(id.0)
    .execute(world.acme.store.pool())
    .await;
    let refused = past.expect_err("refused").to_string();
    assert!(refused.contains("request_approvals_not_by_oneself"), "{refused}");
    // And a grant that not enough have agreed to.
    let past = sqlx::query(
        "with g as (
             insert into grants (org_id, grant_id, model_id, user_id, starts_at, ends_at)
             select org_id, request_id, model_id, requester_id, created_at, created_at from requests where request_id = $1
             returning org_id, grant_id)
         update requests r set state = 'approved', decided_at = created_at, grant_id = g.grant_id, granted = 1
         from g where r.org_id = g.org_id and r.request_id = $1",
    )
    .bind(id.0)
    .execute(world.acme.store.pool())
    .await;
    let refused = past.expect_err("refused").to_string();
    assert!(refused.contains("requests_enough"), "{refused}");
    assert_eq!(world.state(id).await, RequestState::Waiting);
}

#[tokio::test]
async fn who_has_lost_the_lead_before_the_last_one_agrees_does_not_count() {
    let (world, ada) = world_of_several(2).await;
    let id = world.ask(&world.uma(), terms(50, 10)).await.expect("a request");
    assert_eq!(world.approve(&world.lena, id, None).await.expect("one"), Decided::More(1));
    let mut change = world.acme.change().await;
    let (lena, uma) = (world.lena.user.expect("a person"), world.uma().user.expect("a person"));
    // Somebody has to lead it; whoever asks does not decide.
    groups::set_member(&mut change, world.acme.child, uma, Standing::Lead, None).await.expect("a lead");
    groups::set_member(&mut change, world.acme.child, lena, Standing::Member, None).await.expect("no lead");
    change.commit().await.expect("it");
    assert_eq!(world.progress(id).await, "0 of 2 agree");
    assert_eq!(world.approve(&ada, id, None).await.expect("one again"), Decided::More(1));
    assert_eq!(world.state(id).await, RequestState::Waiting);
    let owner = world.acme.tenant.owner.clone();
    assert_eq!(world.approve(&owner, id, None).await.expect("two"), Decided::Now);
}

#[tokio::test]
async fn who_has_the_lead_back_counts_again_and_whoever_agreed_completes_it() {
    let (world, ada) = world_of_several(2).await;
    let (acme, org) = (&world.acme, world.acme.tenant.org);
    let id = world.ask(&world.uma(), terms(50, 10)).await.expect("a request");
    assert_eq!(world.approve(&world.lena, id, None).await.expect("one"), Decided::More(1));
    let (lena, uma) = (world.lena.user.expect("a person"), world.uma().user.expect("a person"));
    let stand = async |lena_leads: bool| {
        let standing = |leads| if leads { Standing::Lead } else { Standing::Member };
        let mut change = acme.change().await;
        groups::set_member(&mut change, acme.child, uma, Standing::Lead, None).await.expect("a lead");
        groups::set_member(&mut change, acme.child, lena, standing(lena_leads), None).await.expect("it");
        change.commit().await.expect("it");
    };
    stand(false).await;
    assert_eq!(world.approve(&ada, id, None).await.expect("one again"), Decided::More(1));
    let request = async || requests::get(&acme.store, org, id).await.expect("the request");
    let seen = request().await;
    assert_eq!(seen.progress().as_deref(), Some("1 of 2 agree"));
    assert_eq!(seen.missing().as_deref(), Some("1 more has to"));
    let says = "Lena agreed and may not decide now: this does not count until they may again.";
    assert_eq!(seen.not_counting().as_deref(), Some(says));
    let waits = async |who: &Actor| {
        requests::waiting(&acme.store, org, who.user.expect("a person"), None).await.expect("a number")
    };
    assert_eq!(waits(&ada).await, 0, "others have to");
    assert_eq!(world.approve(&ada, id, None).await.expect("again"), Decided::Waits(1));

    // The lead is back: enough agree, and nothing has come of it by itself.
    stand(true).await;
    let seen = request().await;
    assert!(seen.enough_agree() && seen.not_counting().is_none());
    assert_eq!(seen.missing().as_deref(), Some("enough: one of them completes it"));
    assert_eq!(world.verdict(acme.child).await, Verdict::NeedsApproval);
    assert_eq!(waits(&ada).await, 1, "whoever agreed can complete it");
    assert_eq!(world.approve(&ada, id, None).await.expect("it holds"), Decided::Now);
    assert_eq!(world.verdict(acme.child).await, Verdict::Allow);
    assert_eq!(request().await.missing(), None);
}

#[tokio::test]
async fn a_grant_that_another_ends_is_named_before_and_says_what_ended_it() {
    let world = World::new().await;
    let (store, org) = (&world.acme.store, world.acme.tenant.org);
    let first = world.ask(&world.uma(), terms(40, 10)).await.expect("a request");
    world.approve(&world.lena, first, None).await.expect("a grant");
    let second = world.ask(&world.uma(), terms(50, 20)).await.expect("another request");
    let seen = async |id| {
        let mut one = vec![requests::get(store, org, id).await.expect("the request")];
        requests::judge(store, org, &mut one).await.expect("judged");
        one.remove(0)
    };
    let replaces = seen(second).await.replaces.expect("the running grant");
    assert_eq!((replaces.request, replaces.limit.as_str()), (Some(first), "$40.00 a month"));
    assert_eq!(seen(first).await.replaces, None, "it waits for nobody");
    world.approve(&world.lena, second, None).await.expect("a grant");
    assert_eq!(seen(second).await.replaces, None, "it is done");
    let ended = seen(first).await;
    assert_eq!(ended.state, RequestState::Ended);
    let Some(Made::Grant(grant)) = ended.grant.map(|grant| grant.made) else { panic!("a grant") };
    let successor = requests::successor(store, org, grant).await.expect("an answer").expect("a successor");
    assert_eq!((successor.request, successor.decider.as_deref()), (second, Some("Lena")));
    // What is ended by hand has none.
    let mut change = world.deciding(&world.lena).await;
    requests::end(&mut change, second).await.expect("ended");
    change.commit().await.expect("it");
    let Some(Made::Grant(grant)) = seen(second).await.grant.map(|grant| grant.made) else {
        panic!("a grant")
    };
    assert_eq!(requests::successor(store, org, grant).await.expect("an answer"), None);
}

#[tokio::test]
async fn agreeing_to_other_terms_begins_the_count_anew_and_says_so_to_those_before() {
    let (world, ada) = world_of_several(2).await;
    let id = world.ask(&world.uma(), terms(50, 10)).await.expect("a request");
    assert_eq!(world.approve(&world.lena, id, None).await.expect("one"), Decided::More(1));
    assert_eq!(world.approve(&ada, id, Some(terms(20, 10))).await.expect("less"), Decided::Anew(1));
    assert_eq!(world.progress(id).await, "1 of 2 agree");
    let titles = world.told(&world.lena).await;
    assert!(titles.contains(&"Ada agrees to other terms for small".to_owned()), "{titles:?}");
    // Without terms of one's own one agrees to those that stand.
    assert_eq!(world.approve(&world.lena, id, None).await.expect("two"), Decided::Now);
    let request = requests::get(&world.acme.store, world.acme.tenant.org, id).await.expect("it");
    assert_eq!(request.grant.expect("a grant").cap, Money::cents(2000));
}

#[tokio::test]
async fn one_refusal_ends_it_and_a_waiting_request_keeps_the_number_it_was_made_with() {
    let (world, ada) = world_of_several(2).await;
    let first = world.ask(&world.uma(), terms(50, 10)).await.expect("a request");
    assert_eq!(world.approve(&world.lena, first, None).await.expect("one"), Decided::More(1));
    let mut change = world.deciding(&ada).await;
    requests::refuse(&mut change, first, &"no".parse().expect("a word")).await.expect("refused");
    change.commit().await.expect("it");
    assert_eq!(world.state(first).await, RequestState::Refused);
    let second = world.ask(&world.uma(), terms(50, 10)).await.expect("a request");
    let mut change = world.acme.change().await;
    let rule = ApprovalRule { above: Money::ZERO, approvers: 1, version: 1 };
    requests::set_rule(&mut change, &rule).await.expect("no rule");
    change.commit().await.expect("it");
    assert_eq!(world.approve(&world.lena, second, None).await.expect("one"), Decided::More(1));
}

impl World {
    /// What somebody was told, the newest first.
    async fn told(&self, actor: &Actor) -> Vec<String> {
        let permit = permit(actor, Act::UseOwn, Place::Organization).expect("everybody may");
        let notices =
            store::notices::list(&self.acme.store, &permit, false, None, 50).await.expect("notices");
        notices.into_iter().map(|notice| notice.title).collect()
    }
}

#[tokio::test]
async fn those_who_decide_are_told_and_whoever_asked_is_answered() {
    let world = World::new().await;
    let owner = world.acme.tenant.owner.clone();
    let id = world.ask(&world.uma(), terms(5, 10)).await.expect("a request");
    assert_eq!(world.told(&world.lena).await, ["Uma asks for small"]);
    assert_eq!(world.told(&owner).await, ["Uma asks for small"]);
    assert!(world.told(&world.uma()).await.is_empty());
    world.approve(&world.lena, id, None).await.expect("it is approved");
    assert_eq!(world.told(&world.uma()).await, ["small is yours to call"]);
    // What is decided waits for nobody.
    let permit = permit(&owner, Act::UseOwn, Place::Organization).expect("everybody may");
    assert_eq!(store::notices::unread(&world.acme.store, &permit).await.expect("a count"), 0);

    let mut change = world.deciding(&world.lena).await;
    requests::end(&mut change, id).await.expect("it ends");
    change.commit().await.expect("it");
    assert_eq!(world.told(&world.uma()).await[0], "Your grant for small was ended");
    // A change that is not kept tells nobody.
    let mut change = testing::begin(&world.acme.store, &world.lena, Act::UseOwn).await;
    let form = RequestForm {
        model: world.acme.model,
        group: world.acme.child,
        for_group: false,
        reason: "to compare".parse().expect("a reason"),
        terms: terms(5, 10),
        per: Per::Month,
    };
    requests::insert(&mut change, &form).await.expect("a request");
    drop(change);
    assert_eq!(world.told(&owner).await.len(), 1);
}

#[tokio::test]
async fn whoever_has_a_grant_is_told_before_it_ends_and_when_it_has_once_each() {
    let world = World::new().await;
    let id = world.ask(&world.uma(), terms(5, 10)).await.expect("a request");
    world.approve(&world.lena, id, None).await.expect("it is approved");
    let (store, org) = (&world.acme.store, world.acme.tenant.org);
    let later = |days| clock::now() + Duration::days(days);
    assert_eq!(requests::ends(store, org, later(5)).await.expect("a look"), 0);
    assert_eq!(requests::ends(store, org, later(9)).await.expect("a look"), 1);
    assert_eq!(requests::ends(store, org, later(9)).await.expect("a look"), 0);
    assert_eq!(world.told(&world.uma()).await[0], "Your grant for small ends soon");
    assert_eq!(requests::ends(store, org, later(12)).await.expect("a look"), 1);
    assert_eq!(requests::ends(store, org, later(12)).await.expect("a look"), 0);
    assert_eq!(world.told(&world.uma()).await[0], "Your grant for small has ended");
}

impl World {
    /// Time passes: its last day was the day before yesterday, in every time zone.
    async fn let_lapse(&self, id: RequestId) {
        sqlx::query("update requests set ends_on = $2 where request_id = $1")
            .bind(id.0)
            .bind(today() - Days::new(2))
            .execute(self.acme.store.pool())
            .await
            .expect("time passes");
    }
}

#[tokio::test]
async fn what_was_asked_for_until_a_day_that_is_over_is_nobodys_to_approve_and_can_be_asked_anew() {
    let (world, ada) = world_of_several(2).await;
    let (store, org) = (&world.acme.store, world.acme.tenant.org);
    let waiting = async |actor: &Actor| {
        let me = actor.user.expect("a person");
        requests::waiting(store, org, me, Some(&[world.acme.child])).await.expect("a count")
    };
    let id = world.ask(&world.uma(), terms(50, 10)).await.expect("a request");
    assert_eq!(world.approve(&ada, id, None).await.expect("one"), Decided::More(1));
    assert_eq!(waiting(&world.lena).await, 1);
    assert_eq!(requests::ends(store, org, clock::now()).await.expect("a look"), 0);
    world.let_lapse(id).await;
    assert_eq!((world.state(id).await, waiting(&world.lena).await), (RequestState::Lapsed, 0));
    // Neither as it was asked for, nor to the day that is over, nor to a later one.
    for terms in [None, Some(Terms { ends_on: today() - Days::new(2), ..terms(50, 0) }), Some(terms(50, 5))] {
        let refused = world.approve(&world.lena, id, terms).await;
        told(refused, "that day is over: nobody can agree to it any more. Uma can ask anew");
    }
    assert!(world.acme.facts().await.grants.is_empty());
    // Whoever asked is told once, and nobody is asked to decide any more.
    assert_eq!(requests::ends(store, org, clock::now()).await.expect("a look"), 1);
    assert_eq!(requests::ends(store, org, clock::now()).await.expect("a look"), 0);
    assert_eq!(world.told(&world.uma()).await[0], "Nobody answered your request for small");
    let lena = permit(&world.lena, Act::UseOwn, Place::Organization).expect("everybody may");
    assert_eq!(store::notices::unread(store, &lena).await.expect("a count"), 0);
    // Asking anew takes its place, and asking twice is still once.
    let anew = world.ask(&world.uma(), terms(20, 5)).await.expect("a new request");
    assert_eq!(world.state(id).await, RequestState::Withdrawn);
    told(world.ask(&world.uma(), terms(20, 5)).await.map_err(as_invalid), "You have asked for this already");
    assert_eq!(world.approve(&world.lena, anew, None).await.expect("one"), Decided::More(1));
    assert_eq!(world.approve(&ada, anew, None).await.expect("two"), Decided::Now);
}

#[tokio::test]
async fn groups_with_too_few_people_to_decide_are_named() {
    let (world, _) = world_of_several(3).await;
    let (store, org) = (&world.acme.store, world.acme.tenant.org);
    // The owner and Ada decide everywhere; Lena leads the child.
    let found = requests::too_few(store, org, 3).await.expect("an answer");
    let named: Vec<(&str, i64)> = found.some.iter().map(|(name, people)| (name.as_str(), *people)).collect();
    assert!(found.all >= 1 && named.iter().all(|(_, people)| *people == 2), "{named:?}");
    let child = groups::get(store, org, world.acme.child).await.expect("the group");
    assert!(named.iter().all(|(name, _)| *name != child.name()), "Lena makes three there: {named:?}");
    let everywhere = requests::too_few(store, org, 4).await.expect("an answer");
    assert_eq!(everywhere.all, found.all + 1);
    let enough = requests::too_few(store, org, 2).await.expect("an answer");
    assert_eq!((enough.all, enough.admins), (0, 2), "limits are raised by the owner and Ada");
}

#[tokio::test]
async fn whoever_asked_is_told_that_a_review_ended_what_was_agreed_to() {
    let world = World::new().await;
    let (store, org) = (&world.acme.store, world.acme.tenant.org);
    let first = world.ask(&world.uma(), terms(5, 10)).await.expect("a request");
    world.approve(&world.lena, first, None).await.expect("it is approved");
    // Leads are told of a review of their group that somebody else opens, and of its last day, once.
    let day = world.acme.facts().await.calendar.day(clock::now()) + Days::new(9);
    let mut change = testing::begin(store, &world.acme.tenant.owner, Act::ReviewAccess).await;
    let id = reviews::open(&mut change, world.acme.child, false, day).await.expect("a review");
    change.commit().await.expect("it");
    let mut change = testing::begin(store, &world.acme.tenant.owner, Act::ReviewAccess).await;
    let again = reviews::open(&mut change, world.acme.child, false, day).await;
    let already = |sentence: &str| sentence.contains("You have opened this review already");
    assert!(matches!(&again, Err(StoreError::Invalid { sentence, .. }) if already(sentence)), "{again:?}");
    drop(change);
    let told = async |actor: &Actor| {
        let own = permit(actor, Act::UseOwn, Place::Organization).expect("everybody may");
        let notices = notices::list(store, &own, false, None, 50).await.expect("notices");
        notices.into_iter().map(|notice| (notice.title, notice.body)).collect::<Vec<_>>()
    };
    let lena = told(&world.lena).await;
    assert!(lena.iter().any(|(title, _)| title.contains("asks who still needs what in")), "{lena:?}");
    let soon = clock::now() + Duration::days(8);
    // Lena, and whoever opened it.
    assert_eq!(reviews::near(store, org, soon).await.expect("a look"), 2);
    assert_eq!(reviews::near(store, org, soon).await.expect("a look"), 0, "each is told once");
    assert_eq!(reviews::waiting_in(store, org, Some(&[world.acme.child])).await.expect("a count"), 1);
    assert_eq!(reviews::waiting_in(store, org, Some(&[])).await.expect("a count"), 0);

    let items = reviews::items(store, org, id, reviews::Filter::default(), 50).await.expect("lines");
    let grant = items.iter().find(|item| item.kind == ItemKind::Grant).expect("the grant").id;
    let path = [world.acme.parent, world.acme.child];
    let permit = permit(&world.lena, Act::ReviewAccess, Place::Group(&path)).expect("they may");
    let mut change = Change::begin(store, permit).await.expect("a change begins");
    reviews::decide(&mut change, id, &[grant], looks::Verdict::Drop).await.expect("decided");
    change.commit().await.expect("it");
    let uma = told(&world.uma()).await;
    assert!(uma.iter().any(|(_, body)| body.contains("Lena dropped it in the access review of")), "{uma:?}");
    assert_eq!(world.state(first).await, RequestState::Ended);
    let request = requests::get(store, org, first).await.expect("the request");
    let Some(Made::Grant(grant)) = request.grant.map(|grant| grant.made) else { panic!("it led to a grant") };
    let ended = reviews::that_ended(store, org, grant).await.expect("an answer").expect("a review did");
    assert_eq!((ended.review, ended.by.as_deref()), (id, Some("Lena")));

    // One that somebody ends by hand is ended by no review.
    let second = world.ask(&world.uma(), terms(5, 10)).await.expect("a request");
    world.approve(&world.lena, second, None).await.expect("it is approved");
    let mut change = world.deciding(&world.lena).await;
    requests::end(&mut change, second).await.expect("it ends");
    change.commit().await.expect("it");
    let request = requests::get(store, org, second).await.expect("the request");
    let Some(Made::Grant(grant)) = request.grant.map(|grant| grant.made) else { panic!("it led to a grant") };
    assert!(reviews::that_ended(store, org, grant).await.expect("an answer").is_none());
}
