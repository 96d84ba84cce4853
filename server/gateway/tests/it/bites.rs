//! Whatever is decided by: a change to it bites on the next call of the same replica, and within a
//! second on another one. And what only observes does not.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use domain::{
    access::Grantee,
    authorizations::{State, Target},
    keys::{Feature, Features, KeyModels},
    limits::{Meter, Metric, Mode, Scope},
    models::Review,
    money::Money,
    policies::Routing,
    providers::{Dialect, Waits},
    requests::{ApprovalRule, Per, Terms},
    window::Window,
};
use http::StatusCode;
use serde_json::{Value, json};
use store::{authorizations, groups, keys, models, organizations, policies, requests, testing, users};

use crate::{
    client::{Answer, Client, body, streamed},
    world::{Pair, Replica, World, prices},
};

/// Two replicas of one installation.
struct Two {
    world: World,
    other: Replica,
}

impl Two {
    async fn start() -> Self {
        let world = World::new().await;
        let other = Replica::start(&world).await;
        Self { world, other }
    }

    /// What both say to a call now. The first one is asked once; the other until it says the same.
    async fn say(&self, secret: &str, call: &Value, what: &str, holds: impl Fn(&Answer) -> bool) {
        let ask = async |client: &Client| {
            let client = Client { secret: secret.to_owned(), ..client.clone() };
            client.call(Dialect::OpenAi, call).await
        };
        let here = ask(&self.world.client).await;
        assert!(holds(&here), "{what}, the next call here: {} {}", here.status, here.text());
        let since = Instant::now();
        loop {
            let there = ask(&self.other.client).await;
            if holds(&there) {
                break;
            }
            assert!(
                since.elapsed() < Duration::from_secs(1),
                "{what}, on the other replica after a second: {} {}",
                there.status,
                there.text()
            );
        }
    }

    /// The same, by a status and a code.
    async fn refuse(&self, secret: &str, call: &Value, what: &str, status: u16, code: &str) {
        self.say(secret, call, what, |answer| answer.status == status && answer.code() == code).await;
    }

    async fn pass(&self, secret: &str, call: &Value, what: &str) {
        self.say(secret, call, what, |answer| answer.status == StatusCode::OK).await;
    }

    async fn answer_with(&self, call: &Value, what: &str, model: &str) {
        let named = |answer: &Answer| answer.header("x-bursar-model") == Some(model);
        self.say(&self.world.client.secret, call, what, named).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_limits_and_the_catalogue_bite() {
    let two = Two::start().await;
    let (world, secret, call) = (&two.world, two.world.client.secret.as_str(), body("small", 16));
    two.pass(secret, &call, "at first").await;
    let Pair { openai: small, .. } = world.small;

    for (state, status, code) in
        [(State::Closed, 404, "model_not_found"), (State::ByRequest, 403, "model_requires_approval")]
    {
        world.say(Some(world.platform), Target::Model(small), state).await;
        two.refuse(secret, &call, &format!("a rule that says {state}"), status, code).await;
    }
    world.say(Some(world.platform), Target::Model(small), State::Open).await;
    two.pass(secret, &call, "a rule that opens").await;
    let mut change = world.change().await;
    let say = Some(authorizations::Say { state: State::Closed, locked: true, ends_at: None });
    authorizations::set(&mut change, None, Target::Model(small), say).await.expect("a rule");
    change.commit().await.expect("it");
    two.refuse(secret, &call, "a lock above", 404, "model_not_found").await;
    let mut change = world.change().await;
    authorizations::set(&mut change, None, Target::Model(small), None).await.expect("no rule");
    change.commit().await.expect("it");
    two.pass(secret, &call, "a rule that is taken away").await;

    world.limit(Scope::Group(world.engineering), Metric::Requests, Window::Total, 0).await;
    two.refuse(secret, &call, "a limit", 402, "quota_exceeded").await;
    world.limit(Scope::Group(world.engineering), Metric::Requests, Window::Total, 1_000_000).await;
    two.pass(secret, &call, "a limit that is raised").await;

    // Observed, neither a rule nor a limit decides anything.
    let mut change = world.change().await;
    let say = Some(authorizations::Say { state: State::Closed, locked: true, ends_at: None });
    authorizations::observe(&mut change, None, Target::Model(small), say).await.expect("a rule");
    change.commit().await.expect("it");
    world.limit_in(Mode::Observe, Scope::Organization, Metric::Requests, Window::Total, 0).await;
    two.pass(secret, &call, "a rule and a limit that observe").await;
    // Who answers to a policy that was made after them has read them, too.
    world.policy("later", Routing::Fallback, &[(small, 1)]).await;
    two.answer_with(
        &body("policy/later", 16),
        "a rule and a limit that observe, once they are read",
        "small",
    )
    .await;

    let mut change = world.change().await;
    let dear =
        models::insert_tier(&mut change, &"Dear".parse().expect("a name"), true).await.expect("a tier");
    change.commit().await.expect("it");
    let now = models::get(&world.store, world.tenant.org, small).await.expect("the model");
    let form = models::ModelForm {
        name: now.name.parse().expect("a name"),
        provider: now.provider.0,
        upstream: now.upstream.clone(),
        modality: now.modality,
        tier: dear,
        context_tokens: now.context_tokens,
        max_output_tokens: now.max_output_tokens,
    };
    // Nothing but its tier opens it.
    let mut change = world.change().await;
    authorizations::set(&mut change, Some(world.platform), Target::Model(small), None)
        .await
        .expect("no rule");
    change.commit().await.expect("it");
    two.pass(secret, &call, "its tier alone").await;
    let mut change = world.change().await;
    models::update(&mut change, small, now.version, &form).await.expect("the model");
    change.commit().await.expect("it");
    two.refuse(secret, &call, "another tier", 404, "model_not_found").await;
    world.say(None, Target::Tier(dear), State::Open).await;
    two.pass(secret, &call, "a tier that is opened").await;
    let mut change = world.change().await;
    models::archive(&mut change, small).await.expect("it");
    change.commit().await.expect("it");
    two.refuse(secret, &call, "a model that is gone", 404, "model_not_found").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_and_their_secrets_bite() {
    let two = Two::start().await;
    let (world, call) = (&two.world, body("small", 16));
    let (mia, leaves) = world.member("Mia").await;
    let (noa, suspended) = world.member("Noa").await;
    for secret in [&leaves, &suspended] {
        two.pass(secret.reveal(), &call, "a new secret").await;
    }
    world.limit(Scope::Member(world.platform, mia), Metric::Requests, Window::Total, 0).await;
    two.refuse(leaves.reveal(), &call, "a limit of a person in a group", 402, "quota_exceeded").await;
    two.pass(suspended.reveal(), &call, "which is nobody else's").await;
    let mut change = world.change().await;
    groups::remove_member(&mut change, world.platform, mia).await.expect("she leaves");
    users::set_suspended(&mut change, noa, true).await.expect("she is suspended");
    change.commit().await.expect("both");
    two.refuse(leaves.reveal(), &call, "the end of a membership", 401, "invalid_api_key").await;
    two.refuse(suspended.reveal(), &call, "a suspension", 401, "invalid_api_key").await;
    let known = keys::known(&world.store, world.tenant.org).await.expect("secrets");
    let hash = keys::lookup_hash(&world.store, &world.client.secret).expect("a secret");
    let service = known.iter().find(|known| known.hash == hash).expect("it lives").id;
    let mut change = world.change().await;
    keys::revoke(&mut change, service).await.expect("it is revoked");
    change.commit().await.expect("it");
    two.refuse(&world.client.secret, &call, "a revocation", 401, "invalid_api_key").await;
    let (_, stays) = world.member("Eve").await;
    two.pass(stays.reveal(), &call, "a member's secret").await;
    // A file says what was: its last day is over, and nobody has looked for secrets that end with it.
    let file = domain::roles::Actor { door: domain::audit::Door::File, ..world.tenant.owner.clone() };
    let mut change = store::testing::begin(&world.store, &file, domain::roles::Act::ApplyFile).await;
    let version = groups::version(&mut change, world.platform).await.expect("it");
    let form = domain::groups::GroupForm {
        name: "Platform".parse().expect("a name"),
        kind: domain::groups::GroupKind::Department,
        ends_on: Some(store::clock::now().date_naive() - chrono::Days::new(2)),
    };
    groups::update(&mut change, world.platform, version, &form).await.expect("its last day");
    change.commit().await.expect("it");
    two.refuse(stays.reveal(), &call, "the end of the group", 401, "invalid_api_key").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_s_own_secret_that_is_replaced_goes_on_for_the_time_that_was_chosen() {
    let two = Two::start().await;
    let (world, call) = (&two.world, body("small", 16));
    let (mia, first) = world.member("Mia").await;
    let replace = async |grace: TimeDelta| {
        let mut change = world.tenant.change_as(&world.store, mia).await;
        let secret = keys::issue_member_until(&mut change, world.key, grace, None).await.expect("a secret");
        change.commit().await.expect("it");
        secret
    };
    let second = replace(TimeDelta::seconds(3)).await;
    two.pass(second.reveal(), &call, "the new one").await;
    two.pass(first.reveal(), &call, "the old one within its grace").await;
    let own = keys::own(&world.store, world.tenant.org, mia).await.expect("keys");
    let key = own.iter().find(|key| key.key == world.key).expect("hers");
    assert!(key.secret.as_ref().is_some_and(|secret| second.reveal().ends_with(tail(&secret.hint))));
    assert!(matches!(key.older.as_slice(), [old] if old.ends_at.is_some()), "{:?}", key.older);
    tokio::time::sleep(Duration::from_secs(3)).await;
    two.refuse(first.reveal(), &call, "the old one after it", 401, "invalid_api_key").await;
    let third = replace(TimeDelta::zero()).await;
    two.refuse(second.reveal(), &call, "one that was replaced at once", 401, "invalid_api_key").await;
    two.pass(third.reveal(), &call, "the newest").await;
}

/// The last characters of a secret, which are all that is known of it.
fn tail(hint: &str) -> &str {
    hint.rsplit('…').next().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_that_is_deleted_takes_its_secrets_with_it() {
    let two = Two::start().await;
    let (world, call) = (&two.world, body("small", 16));
    let (_, own) = world.member("Mia").await;
    let service = world.client.secret.clone();
    for secret in [&service, own.reveal()] {
        two.pass(secret, &call, "before").await;
    }
    let name = organizations::get(&world.store, world.tenant.org).await.expect("settings").name;
    organizations::delete(world.change().await, &name).await.expect("it is gone");
    for secret in [&service, own.reveal()] {
        two.refuse(secret, &call, "an organization that is gone", 401, "invalid_api_key").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_is_moved_is_decided_for_by_its_new_group() {
    let two = Two::start().await;
    let (world, secret, call) = (&two.world, two.world.client.secret.as_str(), body("small", 16));
    let Pair { openai: small, .. } = world.small;
    let mut change = world.change().await;
    let form = |name: &str| domain::groups::GroupForm {
        name: name.parse().expect("a name"),
        kind: domain::groups::GroupKind::Department,
        ends_on: None,
    };
    let closed = groups::insert(&mut change, None, &form("Closed")).await.expect("a group");
    let spent = groups::insert(&mut change, None, &form("Spent")).await.expect("a group");
    change.commit().await.expect("both");
    world.say(Some(closed), Target::Model(small), State::Closed).await;
    world.limit(Scope::Group(spent), Metric::Requests, Window::Total, 0).await;
    two.pass(secret, &call, "where it is").await;
    let mut from = world.platform;
    for (version, to) in [(1, closed), (2, spent), (3, world.platform)] {
        let mut change = world.change().await;
        store::applications::move_to(&mut change, world.application, version, from, to).await.expect("moved");
        change.commit().await.expect("it");
        from = to;
        if to == closed {
            two.refuse(secret, &call, "into a group that has the model closed", 404, "model_not_found").await;
        } else if to == spent {
            two.refuse(secret, &call, "into one whose limit is out", 402, "quota_exceeded").await;
        } else {
            two.pass(secret, &call, "and back").await;
        }
    }
    // What was called counts where it was called.
    world.books_agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_policies_and_providers_bite() {
    let two = Two::start().await;
    let (world, secret, call) = (&two.world, two.world.client.secret.as_str(), body("small", 16));
    let big = world.model("big", Some(prices()), Review::Accepted).await;
    let edit = async |edit: &dyn Fn(&mut keys::KeyForm)| {
        let mut change = world.change().await;
        world.edit_key(&mut change, |form| edit(form)).await;
        change.commit().await.expect("it");
    };
    let stream = streamed("small", 16);
    two.pass(secret, &stream, "at first").await;
    world.without(&[Feature::Streaming]).await;
    two.refuse(secret, &stream, "a feature turned off", 403, "feature_not_allowed").await;
    edit(&|form| (form.features, form.models) = (Features::all(), KeyModels::These(vec![big.openai]))).await;
    two.refuse(secret, &call, "a key that is narrowed", 403, "model_not_allowed").await;
    edit(&|form| form.models = KeyModels::All).await;
    two.pass(secret, &stream, "a key that is not").await;

    let id = world.policy("chain", Routing::Fallback, &[(world.small.openai, 1)]).await;
    let (named, unnamed) = (body("policy/chain", 16), json!({ "messages": [] }));
    two.answer_with(&named, "a policy", "small").await;
    let mut change = world.change().await;
    let form = policies::PolicyForm {
        name: "chain".parse().expect("a name"),
        routing: Routing::Fallback,
        steps: vec![(big.openai, 1), (world.small.openai, 1)],
        rules: Default::default(),
    };
    policies::update(&mut change, id, 1, &form).await.expect("the policy");
    change.commit().await.expect("it");
    two.answer_with(&named, "an edit of a policy", "big").await;
    world.group_policy(world.engineering, Some(id)).await;
    two.answer_with(&unnamed, "a group's policy", "big").await;
    world.script("big", bench::upstream::Script::error(500));
    two.answer_with(&named, "a model that fails", "small").await;
    let never = domain::policies::StepRules { after: std::iter::empty().collect(), ..Default::default() };
    world.rules(id, &[(big.openai, never)]).await;
    let fails = |answer: &Answer| answer.status == StatusCode::INTERNAL_SERVER_ERROR;
    two.say(secret, &named, "a step that never goes on", fails).await;

    world.waits(Dialect::OpenAi, Waits { first_byte: Some(1), ..Waits::default() }).await;
    let ending = bench::upstream::Ending::StallBeforeHeaders;
    world.script("small", bench::upstream::Script { ending, ..Default::default() });
    let late = |answer: &Answer| answer.status == StatusCode::GATEWAY_TIMEOUT;
    let here = world.client.call(Dialect::OpenAi, &call).await;
    assert!(late(&here), "{}", here.text());
    let there = two.other.client.call(Dialect::OpenAi, &call).await;
    assert!(late(&there), "{}", there.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_bite_and_grants_end_by_themselves() {
    let two = Two::start().await;
    let (world, call) = (&two.world, body("small", 16));
    let Pair { openai: small, .. } = world.small;
    let (mia, secret) = world.member("Mia").await;
    let secret = secret.reveal();
    world.say(None, Target::Model(small), State::ByRequest).await;
    let approval = async |what: &str| two.refuse(secret, &call, what, 403, "model_requires_approval").await;
    approval("by request").await;

    // The organization's, which is ahead of UTC.
    let today = store::clock::now().with_timezone(&chrono_tz::Europe::Berlin).date_naive();
    let form = requests::RequestForm {
        model: small,
        group: world.platform,
        for_group: false,
        reason: "to compare".parse().expect("a reason"),
        terms: Terms { amount: Money(1_000_000_000), ends_on: today + chrono::Days::new(3) },
        per: Per::Total,
    };
    let ask = async || {
        let mut change = world.tenant.change_as(&world.store, mia).await;
        let id = requests::insert(&mut change, &form).await.expect("a request");
        change.commit().await.expect("it");
        id
    };
    let approve = async |id| {
        let mut change = world.change().await;
        let decided = requests::approve(&mut change, id, None, None).await.expect("it is approved");
        change.commit().await.expect("it");
        decided
    };
    let first = ask().await;
    approval("a request that nobody has answered").await;
    assert_eq!(approve(first).await, requests::Decided::Now);
    two.pass(secret, &call, "an approval").await;
    two.refuse(&world.client.secret, &call, "an approval is nobody else's", 403, "model_requires_approval")
        .await;
    let mut change = world.change().await;
    requests::end(&mut change, first).await.expect("it ends");
    change.commit().await.expect("it");
    approval("a grant that a lead ended").await;

    // Two agree to more than nothing: one alone opens it on neither replica.
    let mut change = world.change().await;
    let rule = ApprovalRule { above: Money(0), approvers: 2, version: 0 };
    requests::set_rule(&mut change, &rule).await.expect("a rule");
    change.commit().await.expect("it");
    let second = ask().await;
    for again in [requests::Decided::More(1), requests::Decided::Waits(1)] {
        assert_eq!(approve(second).await, again);
        approval("one of two who agree, however often").await;
    }

    // A limit that is raised for a time, and lowered.
    let meter = Meter { scope: Scope::User(mia), metric: Metric::Spend, window: Window::Month };
    world.say(None, Target::Model(small), State::Open).await;
    world.limit(meter.scope, meter.metric, meter.window, 1).await;
    two.refuse(secret, &call, "a limit of next to nothing", 402, "budget_exceeded").await;
    let form = requests::RaiseForm {
        meter,
        group: world.platform,
        reason: "to compare".parse().expect("a reason"),
        terms: Terms { amount: Money(1_000_000_000), ends_on: today },
    };
    let mut change = world.change().await;
    let rule = ApprovalRule { above: Money(0), approvers: 1, version: 1 };
    requests::set_rule(&mut change, &rule).await.expect("one suffices");
    change.commit().await.expect("it");
    let mut change = world.tenant.change_as(&world.store, mia).await;
    let raise = requests::insert_raise(&mut change, &form).await.expect("a request");
    change.commit().await.expect("it");
    two.refuse(secret, &call, "a raise that nobody has agreed to", 402, "budget_exceeded").await;
    let mut change = world.change().await;
    let decided = requests::approve(&mut change, raise, None, None).await.expect("agreed");
    assert_eq!(decided, requests::Decided::Now);
    change.commit().await.expect("it");
    two.pass(secret, &call, "a raised limit").await;
    let mut change = world.change().await;
    requests::end(&mut change, raise).await.expect("it ends");
    change.commit().await.expect("it");
    two.refuse(secret, &call, "a limit that is no longer raised", 402, "budget_exceeded").await;
    let mut change = world.change().await;
    let (limit, _, version) =
        store::limits::said(&mut change, &meter).await.expect("an answer").expect("a limit");
    store::limits::remove(&mut change, limit, version).await.expect("it goes");
    change.commit().await.expect("it");
    world.say(None, Target::Model(small), State::ByRequest).await;

    // A grant's last moment comes: nobody changes anything, and both know.
    let mut change = world.change().await;
    let (from, until) = (change.at(), change.at() + chrono::TimeDelta::seconds(2));
    testing::grant(&mut change, small, Grantee::Member(world.platform, mia), from, until)
        .await
        .expect("a grant");
    change.commit().await.expect("it");
    two.pass(secret, &call, "a grant for two seconds").await;
    let left = (until - store::clock::now()).to_std().unwrap_or_default();
    tokio::time::sleep(left).await;
    approval("a grant that has ended by itself").await;
    world.books_agree().await;
}
