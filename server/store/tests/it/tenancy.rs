//! Two organizations in one database: what belongs to one does not exist for the other.

use std::fmt::Debug;

use chrono::TimeDelta;
use domain::{
    access::Grantee,
    authorizations::{State, Target},
    groups::Standing,
    keys::{Feature, Features, KeyModels},
    limits::{Mode, Scope},
    models::Review,
    policies::Routing,
    prices::Prices,
    users::Role,
};
use store::{
    Change, StoreError, applications, audit, authorizations, clock, groups, keys, ledger, limits, models,
    policies, providers,
    rollups::{self, Which},
    testing, users,
};

use crate::organization::{Organization, finished, group, model_form, spend};

async fn two() -> (Organization, Organization) {
    let store = testing::store().await;
    let operator = testing::operator(&store).await;
    let acme = Organization::in_store(&store, operator, "Acme").await;
    (acme, Organization::in_store(&store, operator, "Globex").await)
}

/// Not there; or, for an edit, not there in this version.
fn refused<T: Debug>(what: &str, result: store::Result<T>) {
    assert!(matches!(result, Err(StoreError::NotFound | StoreError::Stale)), "{what}: {result:?}");
}

/// Tries something with a change of one's own organization, which is then thrown away: a failed
/// statement ends its transaction.
macro_rules! try_all {
    ($acme:ident, $($what:literal => |$change:ident| $try:expr;)+) => { $({
        let mut own = $acme.change().await;
        let $change: &mut Change = &mut own;
        refused($what, $try.await);
    })+ };
}

#[tokio::test]
async fn ids_of_another_organization_are_not_found_by_any_change() {
    let (acme, globex) = two().await;
    let theirs = format!("{:?}", sorted(&globex).await);
    let application = applications::ApplicationForm {
        name: "Mine".parse().expect("a name"),
        description: String::new(),
        use_cases: Vec::new(),
    };
    let key = keys::KeyForm {
        models: KeyModels::These(vec![globex.model]),
        features: Features::default().with(Feature::Streaming),
        policy: None,
        assigned: vec![globex.child],
        handling: domain::keys::Handling::default(),
    };
    let user = users::UserForm {
        email: "x@acme.example".parse().expect("an address"),
        name: "X".parse().expect("a name"),
        role: Role::Member,
    };
    let provider = providers::ProviderForm {
        name: "Mine".parse().expect("a name"),
        dialect: domain::providers::Dialect::OpenAi,
        base_url: "https://provider.example/v1".to_owned(),
        allow_private_address: false,
    };
    let policy = policies::PolicyForm {
        rules: Default::default(),
        name: "mine".parse().expect("a name"),
        routing: Routing::Fallback,
        steps: vec![(globex.model, 1)],
    };
    let say = Some(authorizations::Say { state: State::Open, locked: false, ends_at: None });
    let limit = limits::LimitForm { cap: 1, mode: Mode::Enforce, thresholds: Vec::new() };
    let (only, other) = (Features::all(), clock::now());
    let theirs_only = KeyModels::These(vec![globex.model]);
    try_all! { acme,
        "rename a group" => |change| groups::update(change, globex.child, 1, &group("Mine"));
        "make a group below theirs" => |change| groups::insert(change, Some(globex.child), &group("Mine"));
        "move a group" => |change| groups::move_to(change, globex.child, None);
        "move below theirs" => |change| groups::move_to(change, acme.child, Some(globex.parent));
        "archive a group" => |change| groups::archive(change, globex.child);
        "make it a default" => |change| groups::set_default(change, globex.child, true);
        "put their user into a group" => |change| groups::set_member(change, acme.child, globex.user, Standing::Member, None);
        "put a user into their group" => |change| groups::set_member(change, globex.child, acme.user, Standing::Lead, None);
        "take a member out" => |change| groups::remove_member(change, globex.child, globex.user);
        "edit a user" => |change| users::update(change, globex.user, 1, &user);
        "suspend a user" => |change| users::set_suspended(change, globex.user, true);
        "invite a user" => |change| users::invite(change, globex.user);
        "edit a provider" => |change| providers::update(change, globex.provider, 1, &provider, &providers::Credential::Clear);
        "archive a provider" => |change| providers::archive(change, globex.provider);
        "add a model on their provider" => |change| models::insert(change, &model_form("mine", globex.provider, acme.tier), Review::Accepted);
        "add a model in their tier" => |change| models::insert(change, &model_form("mine", acme.provider, globex.tier), Review::Accepted);
        "edit a model" => |change| models::update(change, globex.model, 1, &model_form("mine", acme.provider, acme.tier));
        "accept a model" => |change| models::accept(change, globex.model);
        "archive a model" => |change| models::archive(change, globex.model);
        "price a model" => |change| models::set_prices(change, globex.model, other, &Prices::default());
        "edit a tier" => |change| models::update_tier(change, globex.tier, 1, &"Mine".parse().expect("a name"), true);
        "archive a tier" => |change| models::archive_tier(change, globex.tier);
        "open their model" => |change| authorizations::set(change, None, Target::Model(globex.model), say);
        "open their tier" => |change| authorizations::set(change, None, Target::Tier(globex.tier), say);
        "open for their group" => |change| authorizations::set(change, Some(globex.child), Target::All, say);
        "grant their model" => |change| testing::grant(change, globex.model, Grantee::User(acme.user), other, other);
        "grant to their user" => |change| testing::grant(change, acme.model, Grantee::User(globex.user), other, other);
        "add an application" => |change| applications::insert(change, globex.child, &application, &KeyModels::All, only);
        "add one for their model" => |change| applications::insert(change, acme.child, &application, &theirs_only, only);
        "edit an application" => |change| applications::update(change, globex.application, 1, &application);
        "archive an application" => |change| applications::archive(change, globex.application);
        "edit a key" => |change| keys::update(change, globex.key, 1, &key);
        "assign a key to theirs" => |change| keys::update(change, acme.key, 1, &key);
        "make a secret" => |change| keys::issue_service(change, globex.key, None);
        "make a member's secret" => |change| keys::issue_member(change, globex.key);
        "revoke a secret" => |change| keys::revoke(change, globex.secret);
        "open a personal application" => |change| keys::open_personal(change, globex.child);
        "limit their group" => |change| limits::set(change, spend(Scope::Group(globex.child)), &limit, limits::Seen::Nothing);
        "limit their application" => |change| limits::set(change, spend(Scope::Application(globex.application)), &limit, limits::Seen::Nothing);
        "limit their user" => |change| limits::set(change, spend(Scope::User(globex.user)), &limit, limits::Seen::Nothing);
        "limit their member" => |change| limits::set(change, spend(Scope::Member(acme.child, globex.user)), &limit, limits::Seen::Nothing);
        "route to their model" => |change| policies::insert(change, &policy);
    }
    assert_eq!(format!("{:?}", sorted(&globex).await), theirs, "nothing of theirs has changed");
    let chain = audit::verify(&globex.store, globex.tenant.org).await.expect("a look");
    assert!(matches!(chain, audit::Chain::Whole { .. }));
}

/// What is decided by, in an order that does not change.
async fn sorted(organization: &Organization) -> Vec<String> {
    let facts = organization.facts().await;
    let mut lines = vec![format!("{} {}", facts.org_name, facts.version)];
    lines.extend(facts.groups.iter().map(|line| format!("{line:?}")));
    lines.extend(facts.users.iter().map(|line| format!("{line:?}")));
    lines.extend(facts.models.iter().map(|line| format!("{line:?}")));
    lines.extend(facts.providers.iter().map(|line| format!("{line:?}")));
    lines.extend(facts.applications.iter().map(|line| format!("{line:?}")));
    lines.extend(facts.rules.iter().map(|line| format!("{line:?}")));
    lines.extend(facts.limits.iter().map(|line| format!("{line:?}")));
    lines.sort();
    lines
}

#[tokio::test]
async fn nothing_of_another_organization_can_be_read() {
    let (acme, globex) = two().await;
    let (store, org) = (&acme.store, acme.tenant.org);
    refused("a group", groups::get(store, org, globex.child).await);
    refused("a model", models::get(store, org, globex.model).await);
    refused("a provider", providers::get(store, org, globex.provider).await);
    refused("an application", applications::get(store, org, globex.application).await);
    refused("a key", keys::of_application(store, org, globex.application).await);
    assert_eq!(keys::secrets(store, org, globex.key).await.expect("an answer").len(), 0);
    assert_eq!(models::prices(store, org, globex.model).await.expect("an answer").len(), 0);
    let credential = providers::credential(store, org, globex.provider).await;
    assert!(!matches!(credential, Ok(Some(_))), "a credential");
}

#[tokio::test]
async fn calls_count_only_where_they_were_made() {
    let (acme, globex) = two().await;
    let meter = spend(Scope::Organization);
    acme.limit(meter, 1_000_000).await;
    globex.limit(meter, 1_000_000).await;
    acme.book(&finished(acme.call())).await;
    assert_eq!(acme.level(meter).await, (30_000, 0));
    assert_eq!(globex.level(meter).await, (0, 0));
    let which = Which::default();
    let now = clock::now();
    let calls = |of: &Organization| {
        let (store, org, which) = (of.store.clone(), of.tenant.org, which.clone());
        async move {
            rollups::calls(&store, org, &which, now + TimeDelta::hours(1), 10).await.expect("calls").len()
        }
    };
    assert_eq!((calls(&acme).await, calls(&globex).await), (1, 0));
}

#[tokio::test]
async fn a_lease_in_one_organization_is_nothing_to_another() {
    let (acme, globex) = two().await;
    let meter = spend(Scope::Organization);
    let replica = clock::id();
    let call = acme.call();
    acme.take(replica, &[acme.ask(meter, 200_000, 1_000_000).await]).await;
    globex.take(replica, &[globex.ask(meter, 0, 1_000_000).await]).await;
    assert_eq!((acme.leased(meter).await, globex.leased(meter).await), (200_000, 0));
    // The same id, booked in another organization, is another call.
    let stolen = ledger::Call { id: call.id, ..globex.call() };
    globex.book(&finished(stolen)).await;
    assert_eq!(acme.level(meter).await, (0, 200_000));
    assert!(acme.book(&finished(call)).await);
}
