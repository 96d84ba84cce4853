//! People who come, go and hand over: nothing of theirs lives on, and nothing is left without anybody.

use domain::{
    access::Grantee,
    audit::Door,
    batches::{Outcome, Task},
    groups::{Source, Standing},
    ids::{GroupId, UserId},
    keys::PlainSecret,
    organizations::MembersMay,
    receipts::{Charge, Departure, Receipt},
    roles::{Act, Actor, Place, permit},
    users::Role,
};
use store::{
    Change, StoreError, access, accounts, applications, audit, clock, groups, heirs, keys, leads, leaks,
    notices, organizations, receipts, sessions, testing, users,
};

use crate::organization::Organization;

async fn person(change: &mut Change, name: &str) -> UserId {
    let form = users::UserForm {
        email: format!("{}@acme.example", name.to_lowercase()).parse().expect("an address"),
        name: name.parse().expect("a name"),
        role: Role::Member,
    };
    users::insert(change, &form).await.expect("a person")
}

/// Puts somebody into a group, and lets the application's key be for it.
async fn member_with_secret(org: &Organization, user: UserId, group: GroupId) -> PlainSecret {
    let mut change = org.change().await;
    groups::set_member(&mut change, group, user, Standing::Member, None).await.expect("a member");
    let key = keys::of_application(&org.store, org.tenant.org, org.application).await.expect("the key");
    let mut assigned: Vec<GroupId> = key.assigned.iter().map(|(id, _)| *id).collect();
    assigned.push(group);
    let form = keys::KeyForm {
        models: key.models,
        features: key.features,
        policy: None,
        assigned,
        handling: key.handling,
    };
    keys::update(&mut change, org.key, key.version, &form).await.expect("the key");
    change.commit().await.expect("all of it");
    let mut change = org.tenant.change_as(&org.store, user).await;
    let secret = keys::issue_member(&mut change, org.key).await.expect("a secret");
    change.commit().await.expect("it");
    secret
}

async fn live_secrets_of(org: &Organization, user: UserId) -> usize {
    let known = keys::known(&org.store, org.tenant.org).await.expect("secrets");
    known.iter().filter(|secret| secret.user == Some(user)).count()
}

async fn owner_of(org: &Organization) -> Option<UserId> {
    let application = applications::get(&org.store, org.tenant.org, org.application).await.expect("it");
    application.owner.map(|(id, _)| id)
}

async fn last_receipt(org: &Organization, user: UserId) -> Receipt {
    let all = receipts::of_user(&org.store, org.tenant.org, user).await.expect("receipts");
    receipts::get(&org.store, org.tenant.org, all[0].0).await.expect("the receipt")
}

fn invalid<T: std::fmt::Debug>(result: store::Result<T>, field: &str) {
    match result {
        Err(StoreError::Invalid { field: about, .. }) => assert_eq!(about, field),
        other => panic!("{other:?}"),
    }
}

async fn whole(org: &Organization) {
    let chain = audit::verify(&org.store, org.tenant.org).await.expect("a look");
    assert!(matches!(chain, audit::Chain::Whole { .. }), "{chain:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_new_joins_the_default_groups_and_it_says_so() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    groups::set_default(&mut change, org.parent, true).await.expect("a default");
    let new = person(&mut change, "New").await;
    change.commit().await.expect("both");
    let all = groups::memberships(&org.store, org.tenant.org).await.expect("memberships");
    let of_new: Vec<_> = all.iter().filter(|it| it.user == new).map(|it| (it.group, it.source)).collect();
    assert_eq!(of_new, [(org.parent, Source::Default)]);
    assert!(!all.iter().any(|it| it.user == org.user && it.group == org.parent), "who was here stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_kills_every_secret_for_good_and_says_which() {
    let org = Organization::new().await;
    let secret = member_with_secret(&org, org.user, org.child).await;
    let ends = clock::now() + chrono::Duration::days(9);
    let mut change = org.change().await;
    testing::grant(&mut change, org.model, Grantee::Member(org.child, org.user), clock::now(), ends)
        .await
        .expect("a grant");
    change.commit().await.expect("it");
    let mut change = org.change().await;
    users::set_suspended(&mut change, org.user, true).await.expect("suspended");
    change.commit().await.expect("it");
    assert_eq!(live_secrets_of(&org, org.user).await, 0);
    let receipt = last_receipt(&org, org.user).await;
    assert_eq!(
        (receipt.kind, receipt.actor.as_str(), receipt.name.as_str()),
        (Departure::Suspended, "Olga", "Uma")
    );
    let hints: Vec<_> = receipt.contents.secrets.iter().map(|dead| dead.hint.clone()).collect();
    assert_eq!(hints, [secret.hint()]);
    assert_eq!(receipt.contents.memberships.len(), 1);
    assert_eq!(receipt.contents.grants.len(), 1, "kept for a return, and written down");
    let mut change = org.change().await;
    users::set_suspended(&mut change, org.user, false).await.expect("let in again");
    change.commit().await.expect("it");
    assert_eq!(live_secrets_of(&org, org.user).await, 0, "dead secrets stay dead");
    let facts = access::facts(&org.store, org.tenant.org).await.expect("facts");
    assert_eq!(facts.users[&org.user].memberships.len(), 1, "groups were kept");
    assert_eq!(facts.grants[&org.model].len(), 1, "grants were kept");
    whole(&org).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_removed_is_followed_by_whoever_is_named() {
    let org = Organization::new().await;
    sign_in(&org, org.user).await;
    member_with_secret(&org, org.user, org.child).await;
    let mut change = org.change().await;
    let heir = person(&mut change, "Heir").await;
    let out = person(&mut change, "Out").await;
    groups::set_member(&mut change, org.parent, org.user, Standing::Lead, None).await.expect("a lead");
    let owner = owner_of(&org).await;
    applications::hand_over(&mut change, org.application, owner, org.user).await.expect("an owner");
    users::set_suspended(&mut change, out, true).await.expect("suspended");
    change.commit().await.expect("all of it");
    // Who has not accepted the invitation cannot take over.
    let mut change = org.change().await;
    invalid(users::remove(&mut change, org.user, Some(heir)).await, "heir");
    drop(change);
    sign_in(&org, heir).await;
    for heir in [org.user, out] {
        let mut change = org.change().await;
        invalid(users::remove(&mut change, org.user, Some(heir)).await, "heir");
    }
    let mut change = org.change().await;
    let unknown = users::remove(&mut change, org.user, Some(UserId(uuid::Uuid::max()))).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)), "{unknown:?}");
    drop(change);
    let mut change = org.change().await;
    users::remove(&mut change, org.user, Some(heir)).await.expect("removed");
    change.commit().await.expect("it");
    let application = applications::get(&org.store, org.tenant.org, org.application).await.expect("it");
    assert_eq!(application.owner, Some((heir, "Heir".to_owned())));
    assert!(groups::leads(&org.store, org.tenant.org, org.parent, heir).await.expect("an answer"));
    assert_eq!(live_secrets_of(&org, org.user).await, 0);
    let facts = access::facts(&org.store, org.tenant.org).await.expect("facts");
    assert!(facts.users[&org.user].memberships.is_empty());
    assert_eq!(facts.users[&org.user].name, "Uma", "the name stays for the books");
    let receipt = last_receipt(&org, org.user).await;
    assert_eq!(receipt.kind, Departure::Removed);
    let handed: Vec<_> =
        receipt.contents.handed.iter().map(|it| (it.charge, it.to.as_ref().map(|to| to.0))).collect();
    assert_eq!(
        handed,
        [(Charge::Application(org.application), Some(heir)), (Charge::Group(org.parent), Some(heir))]
    );
    // The address is free again: whoever comes back is somebody new.
    let mut change = org.change().await;
    let again = person(&mut change, "Uma").await;
    change.commit().await.expect("it");
    assert_ne!(again, org.user);
    whole(&org).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_owner_and_oneself_cannot_be_removed_and_admins_remove_no_owner() {
    let org = Organization::new().await;
    let owner = org.tenant.owner.user.expect("a person");
    let mut change = org.change().await;
    invalid(users::remove(&mut change, owner, None).await, "user");
    let admin = person(&mut change, "Adam").await;
    change.commit().await.expect("it");
    let actor = Actor { user: Some(admin), role: Role::Admin, ..org.tenant.owner.clone() };
    let mut change = testing::begin(&org.store, &actor, Act::EditUsers).await;
    invalid(users::remove(&mut change, owner, None).await, "role");
    drop(change);
    // An owner who has not joined yet is no other owner.
    let mut change = org.change().await;
    let form = users::UserForm {
        email: "second@acme.example".parse().expect("an address"),
        name: "Second".parse().expect("a name"),
        role: Role::Owner,
    };
    let second = users::insert(&mut change, &form).await.expect("invited");
    change.commit().await.expect("it");
    let other = Actor { user: Some(second), ..org.tenant.owner.clone() };
    let mut change = testing::begin(&org.store, &other, Act::EditUsers).await;
    invalid(users::remove(&mut change, owner, None).await, "role");
    drop(change);
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::EditRoles).await;
    invalid(users::hand_over_organization(&mut change, second, Role::Admin).await, "user");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_of_changing_people_takes_the_last_owner_away() {
    let org = Organization::new().await;
    let owner = org.tenant.owner.user.expect("a person");
    let all = users::all(&org.store, org.tenant.org).await.expect("people");
    let me = all.iter().find(|it| it.id == owner).expect("the owner").clone();
    let form = users::UserForm {
        email: me.email.parse().expect("an address"),
        name: me.name.parse().expect("a name"),
        role: Role::Admin,
    };
    let mut change = org.change().await;
    invalid(users::update(&mut change, owner, me.version, &form).await, "role");
    invalid(users::set_suspended(&mut change, owner, true).await, "role");
    invalid(users::suspend(&mut change, owner, org.user).await, "role");
    drop(change);
    // From a table; and with many others, where it is refused and the others are not.
    let row = store::imports::Row {
        suspended: None,
        line: 2,
        email: form.email.clone(),
        name: None,
        role: Some(Role::Member),
        groups: None,
        limit: None,
    };
    let mut change = org.change().await;
    let imported = store::imports::run(&mut change, &[row]).await.expect("a look");
    assert_eq!(imported.problems.len(), 1, "{imported:?}");
    drop(change);
    for task in [Task::Role(Role::Member), Task::Suspend] {
        let mut change = testing::begin(&org.store, &org.tenant.owner, task.permit().0).await;
        let effects = store::batches::run(&mut change, &[owner, org.user], task).await.expect("a look");
        let of_owner = effects.iter().find(|effect| effect.user == owner).expect("the owner");
        assert_eq!(of_owner.outcome, Outcome::Refused, "{effects:?}");
    }
    let all = users::all(&org.store, org.tenant.org).await.expect("people");
    assert_eq!(all.iter().find(|it| it.id == owner).map(|it| it.role), Some(Role::Owner));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_hands_over_to_whoever_is_named_and_by_a_file_too() {
    let org = Organization::new().await;
    sign_in(&org, org.user).await;
    let mut change = org.change().await;
    let heir = person(&mut change, "Heir").await;
    let owner = owner_of(&org).await;
    groups::set_member(&mut change, org.parent, org.user, Standing::Lead, None).await.expect("a lead");
    applications::hand_over(&mut change, org.application, owner, org.user).await.expect("an owner");
    change.commit().await.expect("all of it");
    let away = async || {
        let numbers =
            applications::neglected(&org.store, org.tenant.org, clock::now()).await.expect("numbers");
        let filter = applications::Filter { owner_away: true, ..Default::default() };
        let month = store::rollups::Month::current(&org.store, org.tenant.org).await.expect("a month");
        let list = applications::list(&org.store, org.tenant.org, &month, &filter, 9).await.expect("a list");
        assert_eq!(list.len() as i64, numbers.owner_away, "the number leads to the list");
        numbers.owner_away
    };
    // A file says itself who leads what, so it may not leave a group without anybody; who answers for an
    // application it does not say, so that goes on to who comes next.
    let by_file = Actor { door: Door::File, ..org.tenant.owner.clone() };
    let mut change = testing::begin(&org.store, &by_file, Act::EditUsers).await;
    invalid(users::set_suspended(&mut change, org.user, true).await, "suspended");
    drop(change);
    let mut change = org.change().await;
    groups::set_member(&mut change, org.parent, heir, Standing::Lead, None).await.expect("another lead");
    change.commit().await.expect("it");
    sign_in(&org, heir).await;
    let mut change = testing::begin(&org.store, &by_file, Act::EditUsers).await;
    users::set_suspended(&mut change, org.user, true).await.expect("suspended");
    change.commit().await.expect("it");
    let handed = last_receipt(&org, org.user).await.contents.handed;
    assert_eq!(handed.len(), 1, "{handed:?}");
    let went_on = i64::from(handed[0].to.is_none());
    assert_eq!(away().await, went_on, "it goes to somebody who can act, or is listed");
    let mut change = org.change().await;
    users::set_suspended(&mut change, org.user, false).await.expect("let in again");
    if owner_of(&org).await != Some(org.user) {
        let now = owner_of(&org).await;
        applications::hand_over(&mut change, org.application, now, org.user).await.expect("back");
    }
    groups::remove_member(&mut change, org.parent, heir).await.expect("one lead again");
    change.commit().await.expect("it");
    assert_eq!(away().await, 0);
    // Not to oneself; and to somebody else in the same change.
    let mut change = org.change().await;
    invalid(users::suspend(&mut change, org.user, org.user).await, "heir");
    drop(change);
    let mut change = org.change().await;
    users::suspend(&mut change, org.user, heir).await.expect("suspended");
    change.commit().await.expect("it");
    assert_eq!((away().await, owner_of(&org).await), (0, Some(heir)));
    let handed = last_receipt(&org, org.user).await.contents.handed;
    assert_eq!(handed.len(), 2, "{handed:?}");
    assert!(handed.iter().all(|handed| handed.to.as_ref().is_some_and(|(id, _)| *id == heir)), "{handed:?}");
    let all = groups::memberships(&org.store, org.tenant.org).await.expect("memberships");
    assert!(all.iter().any(|it| it.user == heir && it.group == org.parent && it.standing == Standing::Lead));
    whole(&org).await;
}

/// Gives somebody a sign-in, as if they had accepted their invitation.
pub async fn sign_in(org: &Organization, user: UserId) -> uuid::Uuid {
    let account: uuid::Uuid = clock::id();
    sqlx::query(
        "with a as (insert into accounts (account_id, email, name, created_at) values ($3, $3::text || '@acme.example', 'Joined', now()))
         update users set account_id = $3 where org_id = $1 and user_id = $2",
    )
    .bind(org.tenant.org.0)
    .bind(user.0)
    .bind(account)
    .execute(org.store.pool())
    .await
    .expect("it works");
    account
}

/// Somebody who has accepted their invitation.
async fn joined(org: &Organization, name: &str) -> UserId {
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::EditUsers).await;
    let id = person(&mut change, name).await;
    let token = users::invite(&mut change, id).await.expect("a token");
    change.commit().await.expect("it");
    let called = name.parse().expect("a name");
    let account = users::accept(
        &org.store,
        org.tenant.org,
        id,
        &token,
        &called,
        "a calm green ledger".to_owned(),
        None,
    );
    account.await.expect("joined");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_is_named_the_next_lead_above_takes_over_and_else_an_owner() {
    let org = Organization::new().await;
    sign_in(&org, org.user).await;
    let owner = org.tenant.owner.user.expect("a person");
    let (lead, next) = (joined(&org, "Lea").await, joined(&org, "Nea").await);
    let mut change = org.change().await;
    let invited = person(&mut change, "Ivo").await;
    for (group, user) in [(org.child, org.user), (org.child, invited), (org.parent, next)] {
        groups::set_member(&mut change, group, user, Standing::Lead, None).await.expect("a lead");
    }
    // Not with Ivo: who has not joined leads nothing yet.
    groups::set_member(&mut change, org.child, lead, Standing::Member, None).await.expect("a member");
    let before = applications::get(&org.store, org.tenant.org, org.application).await.expect("it");
    assert_eq!(before.path.last().map(|(id, _)| *id), Some(org.child), "in the group below");
    applications::hand_over(&mut change, org.application, owner_of(&org).await, org.user)
        .await
        .expect("an owner");
    change.commit().await.expect("all of it");

    // The confirmation says what will be.
    let would_be =
        heirs::would_be(&org.store, org.tenant.org, org.user, Some(owner)).await.expect("an answer");
    let words: Vec<String> = would_be.iter().map(|it| it.in_words()).collect();
    assert_eq!(
        words,
        ["Assistant to Nea", "Parent/Child to Nea"],
        "Ivo, who leads beside them, has not joined; so the lead above"
    );
    assert_eq!(would_be[0].because.as_deref(), Some("leads Parent"));

    let mut change = org.change().await;
    users::set_suspended(&mut change, org.user, true).await.expect("suspended");
    change.commit().await.expect("it");
    assert_eq!(owner_of(&org).await, Some(next));
    let handed = last_receipt(&org, org.user).await.contents.handed;
    assert_eq!(handed.iter().map(|it| it.in_words()).collect::<Vec<_>>(), words, "and was");
    let told = notices::list(&org.store, &own_of(&org, next).await, false, None, 9).await.expect("notices");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].body.contains("Assistant"), "{told:?}");

    // The lead above goes too: the group and the application are the owner's now.
    let mut change = org.change().await;
    users::remove(&mut change, next, None).await.expect("removed");
    change.commit().await.expect("it");
    assert_eq!(owner_of(&org).await, Some(owner));
    assert!(groups::leads(&org.store, org.tenant.org, org.parent, owner).await.expect("an answer"));
    let handed = last_receipt(&org, next).await.contents.handed;
    assert!(handed.iter().all(|it| it.because.as_deref() == Some("owner of the organization")), "{handed:?}");
    assert_eq!(handed.len(), 3, "{handed:?}");
    // With many others it says so in each line.
    let mut change = testing::begin(&org.store, &org.tenant.owner, Task::Suspend.permit().0).await;
    applications::hand_over(&mut change, org.application, Some(owner), lead)
        .await
        .expect_err("not by this permit");
    drop(change);
    let mut change = org.change().await;
    applications::hand_over(&mut change, org.application, Some(owner), lead).await.expect("handed over");
    change.commit().await.expect("it");
    let mut change = testing::begin(&org.store, &org.tenant.owner, Task::Suspend.permit().0).await;
    let effects = store::batches::run(&mut change, &[lead], Task::Suspend).await.expect("a look");
    assert!(effects[0].text.contains("handed over: Assistant to Olga"), "{effects:?}");
    whole(&org).await;
}

/// A permit for somebody's own things.
async fn own_of(org: &Organization, user: UserId) -> domain::roles::Permit {
    let actor = Actor { user: Some(user), role: Role::Member, ..org.tenant.owner.clone() };
    permit(&actor, Act::UseOwn, Place::Organization).expect("one's own")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_is_handed_to_somebody_who_has_joined() {
    let org = Organization::new().await;
    let owner = org.tenant.owner.user.expect("a person");
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::EditUsers).await;
    let next = person(&mut change, "Next").await;
    let token = users::invite(&mut change, next).await.expect("a token");
    change.commit().await.expect("it");
    let name = "Next".parse().expect("a name");
    let account = users::accept(
        &org.store,
        org.tenant.org,
        next,
        &token,
        &name,
        "a calm green ledger".to_owned(),
        None,
    );
    let account = account.await.expect("joined");
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::EditRoles).await;
    users::hand_over_organization(&mut change, next, Role::Auditor).await.expect("handed over");
    change.commit().await.expect("it");
    let actor =
        users::actor(&org.store, org.tenant.org, account).await.expect("an answer").expect("an actor");
    assert_eq!(actor.role, Role::Owner);
    let all = users::all(&org.store, org.tenant.org).await.expect("people");
    assert_eq!(all.iter().find(|it| it.id == owner).map(|it| it.role), Some(Role::Auditor));
    assert_eq!(accounts::organizations(&org.store, account).await.expect("them").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_lead_hands_over_before_leaving() {
    let org = Organization::new().await;
    sign_in(&org, org.user).await;
    let mut change = org.change().await;
    let other = person(&mut change, "Other").await;
    let outside = person(&mut change, "Outside").await;
    groups::set_member(&mut change, org.parent, org.user, Standing::Lead, None).await.expect("a lead");
    groups::set_member(&mut change, org.parent, other, Standing::Member, None).await.expect("a member");
    change.commit().await.expect("all of it");
    for who in [other, outside] {
        sign_in(&org, who).await;
    }
    let mut change = org.change().await;
    invalid(groups::remove_member(&mut change, org.parent, org.user).await, "user");
    invalid(groups::set_member(&mut change, org.parent, org.user, Standing::Member, None).await, "user");
    drop(change);
    // The lead themself, by nobody's leave: to somebody of the group only, and only for themself.
    let mut change = org.tenant.change_as(&org.store, org.user).await;
    invalid(
        leads::hand_over(
            &mut change,
            org.parent,
            org.user,
            outside,
            leads::After { stays: true, ..Default::default() },
        )
        .await,
        "user",
    );
    drop(change);
    let mut change = org.tenant.change_as(&org.store, other).await;
    let stolen = leads::hand_over(
        &mut change,
        org.parent,
        org.user,
        other,
        leads::After { stays: true, ..Default::default() },
    )
    .await;
    assert!(matches!(stolen, Err(StoreError::NotFound)), "{stolen:?}");
    drop(change);
    let mut change = org.tenant.change_as(&org.store, org.user).await;
    leads::hand_over(
        &mut change,
        org.parent,
        org.user,
        other,
        leads::After { stays: true, ..Default::default() },
    )
    .await
    .expect("handed over");
    change.commit().await.expect("it");
    let leads_now =
        async |user| groups::leads(&org.store, org.tenant.org, org.parent, user).await.expect("an answer");
    assert!(leads_now(other).await && !leads_now(org.user).await);
    // A file says the whole truth: a group may have no lead at all.
    let mut file = org.tenant.owner.clone();
    file.door = domain::audit::Door::File;
    let mut change = testing::begin(&org.store, &file, Act::ApplyFile).await;
    groups::remove_member(&mut change, org.parent, other).await.expect("by a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_handed_over_by_its_owner_or_whoever_edits_it() {
    let org = Organization::new().await;
    sign_in(&org, org.user).await;
    let mut change = org.change().await;
    let next = person(&mut change, "Next").await;
    change.commit().await.expect("it");
    sign_in(&org, next).await;
    let stolen = async |by| {
        let mut change = org.tenant.change_as(&org.store, by).await;
        applications::hand_over(&mut change, org.application, None, by).await
    };
    assert!(matches!(stolen(org.user).await, Err(StoreError::NotFound)), "not theirs");
    let mut change = org.change().await;
    let owner = owner_of(&org).await;
    applications::hand_over(&mut change, org.application, owner, org.user).await.expect("given");
    change.commit().await.expect("it");
    let mut change = org.tenant.change_as(&org.store, org.user).await;
    let late = applications::hand_over(&mut change, org.application, owner, next).await;
    assert!(matches!(late, Err(StoreError::Meanwhile(_))), "made from what is no longer so: {late:?}");
    applications::hand_over(&mut change, org.application, Some(org.user), next).await.expect("handed on");
    change.commit().await.expect("it");
    let application = applications::get(&org.store, org.tenant.org, org.application).await.expect("it");
    assert_eq!(application.owner.map(|(id, _)| id), Some(next));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_context_dies_with_its_group_and_opens_only_where_members_may() {
    let org = Organization::new().await;
    let mut change = org.tenant.change_as(&org.store, org.user).await;
    keys::open_personal(&mut change, org.child).await.expect("opened");
    change.commit().await.expect("it");
    assert_eq!(live_secrets_of(&org, org.user).await, 1);
    let mut change = org.change().await;
    groups::remove_member(&mut change, org.child, org.user).await.expect("out");
    change.commit().await.expect("it");
    assert_eq!(live_secrets_of(&org, org.user).await, 0);
    let mut change = org.change().await;
    groups::set_member(&mut change, org.child, org.user, Standing::Member, None).await.expect("in again");
    change.commit().await.expect("it");
    assert_eq!(live_secrets_of(&org, org.user).await, 0, "what died stays dead");
    let version = organizations::get(&org.store, org.tenant.org).await.expect("it").version;
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::EditOrganization).await;
    let may = MembersMay { applications: false, requests: true };
    organizations::set_members_may(&mut change, version, may).await.expect("set");
    change.commit().await.expect("it");
    let mut change = org.tenant.change_as(&org.store, org.user).await;
    invalid(keys::open_personal(&mut change, org.child).await.map(|_| ()), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_organization_is_gone_and_its_neighbour_is_not() {
    let store = testing::store().await;
    let operator = testing::operator(&store).await;
    let acme = Organization::in_store(&store, operator, "Acme").await;
    let globex = Organization::in_store(&store, operator, "Globex").await;
    acme.book(&crate::organization::finished(acme.call())).await;
    let theirs = organizations::weight(&store, globex.tenant.org).await.expect("a weight");
    let weight = organizations::weight(&store, acme.tenant.org).await.expect("a weight");
    assert_eq!((weight.users, weight.groups, weight.applications, weight.calls), (2, 2, 1, 1));
    let admin = Actor { role: Role::Admin, ..acme.tenant.owner.clone() };
    assert!(permit(&admin, Act::DeleteOrganization, Place::Organization).is_err(), "owners only");
    let change = testing::begin(&store, &acme.tenant.owner, Act::EditOrganization).await;
    let refused = organizations::delete(change, "Acme").await;
    assert!(matches!(refused, Err(StoreError::NotPermitted(Act::DeleteOrganization))), "{refused:?}");
    let change = testing::begin(&store, &acme.tenant.owner, Act::DeleteOrganization).await;
    invalid(organizations::delete(change, "acme").await, "typed");
    let change = testing::begin(&store, &acme.tenant.owner, Act::DeleteOrganization).await;
    organizations::delete(change, " Acme ").await.expect("deleted");
    let gone = organizations::get(&store, acme.tenant.org).await;
    assert!(matches!(gone, Err(StoreError::NotFound)), "{gone:?}");
    assert_eq!(organizations::all(&store).await.expect("them"), [globex.tenant.org]);
    assert_eq!(organizations::weight(&store, globex.tenant.org).await.expect("a weight"), theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_secret_is_dead_and_on_the_record_once() {
    let org = Organization::new().await;
    let secret = member_with_secret(&org, org.user, org.child).await;
    for _ in 0..2 {
        assert!(leaks::report(&org.store, &format!(" {}\n", secret.reveal())).await.expect("taken"));
    }
    assert!(!leaks::report(&org.store, testing::unknown_secret().reveal()).await.expect("taken"));
    assert_eq!(live_secrets_of(&org, org.user).await, 0);
    let filter = audit::Filter {
        kind: Some("secret".to_owned()),
        field: Some("leaked".to_owned()),
        ..Default::default()
    };
    let lines = audit::list(&org.store, org.tenant.org, &filter, 10).await.expect("the log");
    // Told once, whoever can do something about it: Olga, who owns all of it, and whose it was.
    // She reads that it was hers; he reads her name.
    let olga = org.tenant.owner.user.expect("a person");
    for (user, title, whose) in [
        (olga, "A secret of Assistant was found in the open", ", which Uma had, as leaked"),
        (org.user, "Your secret of Assistant was found in the open", ", your own secret, as leaked"),
    ] {
        let told =
            notices::list(&org.store, &own_of(&org, user).await, false, None, 9).await.expect("notices");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].title == title && told[0].body.contains(whose), "{told:?}");
        assert_eq!(told[0].body.contains("Uma"), user == olga, "{told:?}");
        assert!(!format!("{told:?}").contains(secret.reveal()));
    }
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((lines[0].act.as_str(), lines[0].actor.as_str()), ("secret.leak", "A leak report"));
    assert!(!format!("{lines:?}").contains(secret.reveal()), "never the secret itself");
    let since = clock::now() - chrono::Duration::days(1);
    let neglected = applications::neglected(&org.store, org.tenant.org, since).await.expect("numbers");
    let leaked = neglected.leaked;
    assert_eq!(leaked, 1);
    whole(&org).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_nobody_uses_are_found() {
    let org = Organization::new().await;
    let month = store::rollups::Month::current(&org.store, org.tenant.org).await.expect("a month");
    let names = async |since| {
        let filter = applications::Filter { unused_since: Some(since), ..Default::default() };
        let rows = applications::list(&org.store, org.tenant.org, &month, &filter, 10).await.expect("rows");
        rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
    };
    let (before, after) =
        (clock::now() - chrono::Duration::days(60), clock::now() + chrono::Duration::days(1));
    assert!(names(before).await.is_empty(), "too young to be unused");
    assert_eq!(names(after).await, ["Assistant"]);
    let count = async |since| {
        applications::neglected(&org.store, org.tenant.org, since).await.expect("numbers").unused
    };
    assert_eq!((count(before).await, count(after).await), (0, 1));
    let mut change = org.change().await;
    keys::revoke(&mut change, org.secret).await.expect("revoked");
    change.commit().await.expect("it");
    assert!(names(after).await.is_empty(), "dead secrets are not unused ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_secret_nobody_uses_is_found_beside_one_that_is_used() {
    use domain::applications::Unused;
    let org = Organization::new().await;
    let month = store::rollups::Month::current(&org.store, org.tenant.org).await.expect("a month");
    let since = clock::now() - chrono::Duration::days(domain::keys::UNUSED_DAYS);
    let listed = async |unused_since| {
        let filter = applications::Filter { unused_since, ..Default::default() };
        let rows = applications::list(&org.store, org.tenant.org, &month, &filter, 10).await.expect("rows");
        rows.into_iter().map(|row| row.unused).collect::<Vec<_>>()
    };
    let mut change = org.change().await;
    keys::issue_service(&mut change, org.key, None).await.expect("a second one");
    change.commit().await.expect("it");
    assert_eq!(listed(None).await, [Unused::No]);
    sqlx::query("update secrets set created_at = $3 where org_id = $1 and secret_id = $2")
        .bind(org.tenant.org.0)
        .bind(org.secret.0)
        .bind(since - chrono::Duration::days(1))
        .execute(org.store.pool())
        .await
        .expect("it was made long ago");
    assert_eq!(listed(None).await, [Unused::Services(1)]);
    assert_eq!(listed(Some(since)).await, [Unused::Services(1)], "the filter finds it");
    let found = applications::neglected(&org.store, org.tenant.org, since).await.expect("numbers");
    assert_eq!(found.unused, 1, "and it is counted");
    let mut change = org.change().await;
    keys::revoke(&mut change, org.secret).await.expect("revoked");
    change.commit().await.expect("it");
    assert_eq!(listed(Some(since)).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_had_of_a_private_context_dies_with_the_next_round() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let other = person(&mut change, "Other").await;
    groups::set_member(&mut change, org.child, other, Standing::Member, None).await.expect("a member");
    change.commit().await.expect("it");
    let mut change = org.tenant.change_as(&org.store, org.user).await;
    let (application, _) = keys::open_personal(&mut change, org.child).await.expect("a context");
    change.commit().await.expect("it");
    let key = keys::of_application(&org.store, org.tenant.org, application).await.expect("its key");
    // As it could be before it was refused.
    sqlx::query("insert into key_groups (org_id, key_id, group_id) values ($1, $2, $3)")
        .bind(org.tenant.org.0)
        .bind(key.id.0)
        .bind(org.child.0)
        .execute(org.store.pool())
        .await
        .expect("it is assigned");
    let mut change = org.tenant.change_as(&org.store, other).await;
    assert!(matches!(keys::issue_member(&mut change, key.id).await, Err(StoreError::NotFound)));
    drop(change);
    let theirs = "insert into secrets (org_id, secret_id, key_id, kind, user_id, hash, tail, created_at)
                  values ($1, $2, $3, 'member', $4, $5, 'abcd', now())";
    sqlx::query(theirs)
        .bind(org.tenant.org.0)
        .bind(clock::id::<domain::ids::SecretId>().0)
        .bind(key.id.0)
        .bind(other.0)
        .bind(vec![7_u8; 32])
        .execute(org.store.pool())
        .await
        .expect("a secret from before");
    keys::bury(&org.store, keys::Look::All, clock::now()).await.expect("a round");
    assert_eq!((live_secrets_of(&org, other).await, live_secrets_of(&org, org.user).await), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_identity_provider_put_there_is_not_undone_by_hand() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let user = person(&mut change, "Sync").await;
    groups::set_member(&mut change, org.parent, user, Standing::Member, None).await.expect("a member");
    change.commit().await.expect("it");
    for source in ["scim", "oidc"] {
        sqlx::query("update memberships set source = $2 where org_id = $1 and user_id = $3")
            .bind(org.tenant.org.0)
            .bind(source)
            .bind(user.0)
            .execute(org.store.pool())
            .await
            .expect("it works");
        let mut change = org.change().await;
        invalid(groups::remove_member(&mut change, org.parent, user).await, "user");
        invalid(groups::set_member(&mut change, org.parent, user, Standing::Lead, None).await, "user");
        let tomorrow = clock::now() + chrono::TimeDelta::days(1);
        invalid(
            groups::set_member(&mut change, org.parent, user, Standing::Member, Some(tomorrow)).await,
            "user",
        );
    }
    // Who leaves the organization leaves every group, whoever put them there.
    let mut change = org.change().await;
    users::remove(&mut change, user, None).await.expect("gone");
    change.commit().await.expect("it");
    whole(&org).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_lead_gets_no_last_day() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let other = person(&mut change, "Other").await;
    groups::set_member(&mut change, org.parent, org.user, Standing::Lead, None).await.expect("a lead");
    let tomorrow = Some(clock::now() + chrono::TimeDelta::days(1));
    invalid(groups::set_member(&mut change, org.parent, org.user, Standing::Lead, tomorrow).await, "user");
    groups::set_member(&mut change, org.parent, other, Standing::Lead, None).await.expect("a second lead");
    groups::set_member(&mut change, org.parent, org.user, Standing::Lead, tomorrow)
        .await
        .expect("now they may go");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leads_until_a_day_is_no_other_lead_of_a_group_that_lasts() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let temp = person(&mut change, "Temp").await;
    groups::set_member(&mut change, org.parent, org.user, Standing::Lead, None).await.expect("a lead");
    change.commit().await.expect("it");
    for who in [org.user, temp] {
        sign_in(&org, who).await;
    }
    let mut change = org.change().await;
    let week = Some(clock::now() + chrono::TimeDelta::days(7));
    groups::set_member(&mut change, org.parent, temp, Standing::Lead, week).await.expect("for a week");
    let refused = groups::remove_member(&mut change, org.parent, org.user).await;
    assert!(
        matches!(&refused, Err(StoreError::Invalid { sentence, .. }) if sentence.contains("only lead without a last day")),
        "{refused:?}"
    );
    invalid(groups::set_member(&mut change, org.parent, org.user, Standing::Member, None).await, "user");
    invalid(groups::set_member(&mut change, org.parent, org.user, Standing::Lead, week).await, "user");
    change.commit().await.expect("nothing but the lead for a week");
    // Whoever is removed hands it on, and not to one who leaves soon.
    let mut change = org.change().await;
    users::remove(&mut change, org.user, None).await.expect("gone");
    change.commit().await.expect("it");
    let receipt = last_receipt(&org, org.user).await;
    let handed = receipt.contents.handed;
    let group =
        handed.iter().find(|handed| handed.charge == Charge::Group(org.parent)).expect("it is handed on");
    assert!(group.to.as_ref().is_some_and(|(to, _)| *to != temp), "{group:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_seen_and_ended_by_oneself_and_by_who_edits_people() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let (user, other) = (person(&mut change, "Sess").await, person(&mut change, "Nosy").await);
    change.commit().await.expect("it");
    let account = sign_in(&org, user).await;
    let ids: [&[u8]; 3] = [b"first", b"second", b"third"];
    for id in ids {
        let session = sessions::StoredSession {
            content: serde_json::json!({ "device": "curl/8", "org": org.tenant.org }),
            expires_at: clock::now() + chrono::TimeDelta::days(1),
        };
        assert!(sessions::save(&org.store, id, &session, Some(account.into()), true).await.expect("kept"));
    }
    let list =
        async |here| sessions::of_user(&org.store, org.tenant.org, user, here, false).await.expect("a list");
    let seen = list(Some(ids[0])).await;
    assert_eq!(seen.iter().filter(|session| session.here).count(), 1);
    assert!(seen.iter().all(|session| session.device == "curl/8"));

    // Somebody else's are nobody's business but theirs who edit people.
    let mut change = org.tenant.change_as(&org.store, other).await;
    let stolen = sessions::end(&mut change, user, None, None).await;
    assert!(matches!(stolen, Err(StoreError::NotPermitted(_))), "{stolen:?}");
    drop(change);
    let mut change = org.tenant.change_as(&org.store, user).await;
    let third = seen.iter().find(|session| !session.here).expect("another").id;
    assert_eq!(sessions::end(&mut change, user, Some(third), Some(ids[0])).await.expect("ended"), 1);
    assert_eq!(sessions::end(&mut change, user, None, Some(ids[0])).await.expect("ended"), 1);
    change.commit().await.expect("it");
    assert_eq!(list(Some(ids[0])).await.len(), 1, "the one that asks stays");
    let mut change = org.change().await;
    assert_eq!(sessions::end(&mut change, user, None, None).await.expect("ended"), 1);
    let again = sessions::end(&mut change, user, Some(third), None).await;
    assert!(matches!(again, Err(StoreError::NotFound)), "{again:?}");
    change.commit().await.expect("it");
    assert!(list(None).await.is_empty());
    whole(&org).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_whose_time_has_come_says_until_when_it_was_to_whoever_has_its_token() {
    let org = Organization::new().await;
    let (store, tenant) = (&org.store, &org.tenant);
    let permit = permit(&tenant.owner, Act::EditUsers, Place::Organization).expect("they may");
    let before = clock::now() - chrono::TimeDelta::days(20);
    let mut change = Change::begin_at(store, permit, before).await.expect("a change");
    let form = users::UserForm {
        email: "late@acme.example".parse().expect("an address"),
        name: "Late".parse().expect("a name"),
        role: Role::Member,
    };
    let late = users::insert(&mut change, &form).await.expect("a person");
    let token = users::invite(&mut change, late).await.expect("a token");
    change.commit().await.expect("all of it");
    let spent = async |token: &str| {
        assert!(users::invitation(store, tenant.org, late, token).await.expect("an answer").is_none());
        users::spent_invitation(store, tenant.org, late, token).await.expect("an answer")
    };
    let Some(users::Spent::Expired(until)) = spent(&token).await else { panic!("it has expired") };
    assert_eq!((until - before).num_days(), 14);
    assert_eq!(spent("another").await, None);
    // A newer one takes its place: the old link says nothing any more.
    let mut change = testing::begin(store, &tenant.owner, Act::EditUsers).await;
    users::invite(&mut change, late).await.expect("a token");
    change.commit().await.expect("it");
    assert_eq!(spent(&token).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_suspends_themself_and_somebody_else_does() {
    let org = Organization::new().await;
    sign_in(&org, org.user).await;
    let me = Actor { user: Some(org.user), role: Role::Admin, ..org.tenant.owner.clone() };
    let mut change = testing::begin(&org.store, &me, Act::EditUsers).await;
    invalid(users::set_suspended(&mut change, org.user, true).await, "");
    invalid(users::suspend(&mut change, org.user, org.tenant.owner.user.expect("a person")).await, "");
    drop(change);
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::EditUsers).await;
    users::set_suspended(&mut change, org.user, true).await.expect("suspended");
    assert!(change.commit().await.expect("it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leads_a_group_together_and_goes_together_leaves_it_to_one_who_stays() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let mut leads = Vec::new();
    for name in ["Ann", "Ben"] {
        let id = person(&mut change, name).await;
        groups::set_member(&mut change, org.child, id, Standing::Lead, None).await.expect("a lead");
        leads.push(id);
    }
    let above = person(&mut change, "Cid").await;
    groups::set_member(&mut change, org.parent, above, Standing::Lead, None).await.expect("a lead");
    groups::set_member(&mut change, org.child, above, Standing::Member, None).await.expect("a member");
    let owner = owner_of(&org).await;
    applications::hand_over(&mut change, org.application, owner, leads[1]).await.expect_err("not joined");
    change.commit().await.expect("all of it");
    for id in leads.iter().chain([&above]) {
        sign_in(&org, *id).await;
    }
    let mut change = org.change().await;
    applications::hand_over(&mut change, org.application, owner, leads[1]).await.expect("theirs");
    change.commit().await.expect("it");
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::EditUsers).await;
    let task = domain::batches::Task::Suspend;
    let effects = store::batches::run(&mut change, &leads, task).await.expect("suspended");
    change.commit().await.expect("it");
    let texts: Vec<&str> = effects.iter().map(|effect| effect.text.as_str()).collect();
    assert!(texts[0].ends_with("handed over: Parent/Child to Cid"), "{texts:?}");
    assert!(texts[1].ends_with("handed over: Assistant to Cid"), "once only: {texts:?}");
    assert!(groups::leads(&org.store, org.tenant.org, org.child, above).await.expect("an answer"));
    let receipt = last_receipt(&org, leads[0]).await;
    assert_eq!(receipt.contents.handed[0].because.as_deref(), Some("leads Parent"));
    assert_eq!(receipt.contents.handed[0].was, Some(domain::receipts::WasIn::Member { until: None }));
    whole(&org).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_can_act_is_offered_a_group() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let mut people = Vec::new();
    for name in ["Ann", "Ben", "Cid", "Dot"] {
        let id = person(&mut change, name).await;
        groups::set_member(&mut change, org.child, id, Standing::Member, None).await.expect("a member");
        people.push(id);
    }
    change.commit().await.expect("all of it");
    for id in &people[..3] {
        sign_in(&org, *id).await;
    }
    let mut change = org.change().await;
    users::set_suspended(&mut change, people[1], true).await.expect("suspended");
    change.commit().await.expect("it");
    let month = store::rollups::Month::current(&org.store, org.tenant.org).await.expect("a month");
    // Ben is suspended, Dot and Uma have not joined, and Cid hands over. One is asked for, so one is found.
    let found =
        store::members::heirs(&org.store, org.tenant.org, org.parent, &month, "", &[people[2]], 1).await;
    let found: Vec<String> = found.expect("people").into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(found, ["Ann"]);
}
