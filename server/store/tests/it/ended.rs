//! What has ended stays ended, and nobody comes in by a door that is somebody else's.

use chrono::{DateTime, Duration, Utc};
use domain::{
    applications::ApplicationRow,
    audit::Door,
    batches::{Outcome, Task, Undo},
    groups::{GroupForm, Standing},
    ids::{GroupId, UserId},
    limits::{Mode, Scope},
    money::Money,
    reviews::Verdict,
    roles::{Act, Actor, Place, permit},
    users::{Role, UserStatus},
};
use store::{
    Change, StoreError, applications, audit, batches, clock, groups, imports, keys, leads, limits, reviews,
    sessions, testing, users,
};

use crate::{
    organization::{Organization, group, spend},
    people::sign_in,
};

async fn person(change: &mut Change, name: &str, role: Role) -> UserId {
    let form = users::UserForm {
        email: format!("{}@acme.example", name.to_lowercase()).parse().expect("an address"),
        name: name.parse().expect("a name"),
        role,
    };
    users::insert(change, &form).await.expect("a person")
}

fn invalid<T: std::fmt::Debug>(result: store::Result<T>, field: &str) -> String {
    match result {
        Err(StoreError::Invalid { field: about, sentence }) => {
            assert_eq!(about, field, "{sentence}");
            sentence
        }
        other => panic!("{other:?}"),
    }
}

/// The key is for the members of these groups.
async fn assign(org: &Organization, assigned: &[GroupId]) {
    let key = keys::of_application(&org.store, org.tenant.org, org.application).await.expect("the key");
    let form = keys::KeyForm {
        models: key.models,
        features: key.features,
        policy: None,
        assigned: assigned.to_vec(),
        handling: key.handling,
    };
    let mut change = org.change().await;
    keys::update(&mut change, org.key, key.version, &form).await.expect("the key");
    change.commit().await.expect("it");
}

async fn member(org: &Organization, group: GroupId, user: UserId, standing: Standing) {
    let mut change = org.change().await;
    groups::set_member(&mut change, group, user, standing, None).await.expect("a member");
    change.commit().await.expect("it");
}

async fn secret(org: &Organization, user: UserId) {
    let mut change = org.tenant.change_as(&org.store, user).await;
    keys::issue_member(&mut change, org.key).await.expect("a secret");
    change.commit().await.expect("it");
    assert_eq!(live(org, user).await, 1);
}

/// How many secrets of theirs the gateway knows.
async fn live(org: &Organization, user: UserId) -> usize {
    let known = keys::known(&org.store, org.tenant.org).await.expect("secrets");
    known.iter().filter(|secret| secret.user == Some(user)).count()
}

/// Their last day in the group has come.
async fn lapse(org: &Organization, group: GroupId, user: UserId) {
    sqlx::query(
        "update memberships set started_at = started_at - interval '2 days', ends_at = now() - interval '1 second'
         where org_id = $1 and group_id = $2 and user_id = $3 and ended_at is null",
    )
    .bind(org.tenant.org.0)
    .bind(group.0)
    .bind(user.0)
    .execute(org.store.pool())
    .await
    .expect("it works");
}

/// The last day of the group was yesterday, or is none.
async fn over(org: &Organization, group: GroupId, over: bool) {
    let yesterday = over.then(|| clock::now().date_naive() - chrono::Days::new(2));
    sqlx::query("update groups set ends_on = $3 where org_id = $1 and group_id = $2")
        .bind(org.tenant.org.0)
        .bind(group.0)
        .bind(yesterday)
        .execute(org.store.pool())
        .await
        .expect("it works");
    // As a change does: whoever has the facts in memory reads them anew.
    sqlx::query("update organizations set facts_version = facts_version + 1 where org_id = $1")
        .bind(org.tenant.org.0)
        .execute(org.store.pool())
        .await
        .expect("it works");
}

async fn until(
    org: &Organization,
    group: GroupId,
    user: UserId,
) -> Option<(Standing, Option<DateTime<Utc>>)> {
    let mut change = org.change().await;
    groups::standing(&mut change, group, user).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_does_not_become_an_owner_by_an_invitation() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let owner = person(&mut change, "Pia", Role::Owner).await;
    let admin = person(&mut change, "Adam", Role::Admin).await;
    let plain = person(&mut change, "Max", Role::Member).await;
    let away = person(&mut change, "Owen", Role::Owner).await;
    users::set_suspended(&mut change, away, true).await.expect("suspended");
    change.commit().await.expect("all of it");
    let actor = Actor { user: Some(admin), role: Role::Admin, ..org.tenant.owner.clone() };
    let begin = async || testing::begin(&org.store, &actor, Act::EditUsers).await;

    let mut change = begin().await;
    invalid(users::invite(&mut change, owner).await, "role");
    invalid(users::set_suspended(&mut change, away, false).await, "role");
    let (mut form, version) = users::said(&mut change, owner).await.expect("their form");
    form.email = "adam.again@acme.example".parse().expect("an address");
    invalid(users::update(&mut change, owner, version, &form).await, "role");
    let token = users::invite(&mut change, plain).await.expect("a member is invited by an admin");
    change.commit().await.expect("it");
    for (task, who) in [(Task::Invite, [owner, plain]), (Task::Reinstate, [away, plain])] {
        let mut change = begin().await;
        let effects = batches::run(&mut change, &who, task).await.expect("a look");
        let of = effects.iter().find(|effect| effect.user == who[0]).expect("the owner");
        assert_eq!(of.outcome, Outcome::Refused, "{effects:?}");
        assert!(!of.text.contains(&owner.to_string()), "no link: {effects:?}");
    }
    let row = imports::Row {
        suspended: None,
        line: 2,
        email: "pia@acme.example".parse().expect("an address"),
        name: Some("Somebody".parse().expect("a name")),
        role: None,
        groups: None,
        limit: None,
    };
    let mut change = testing::begin(&org.store, &actor, Act::ApplyFile).await;
    let imported = imports::run(&mut change, &[row]).await.expect("a look");
    assert_eq!(imported.problems.len(), 1, "{imported:?}");
    drop(change);
    // What is one's own is for oneself.
    let mut change = begin().await;
    let (mut form, version) = users::said(&mut change, admin).await.expect("their form");
    form.name = "Adam Ant".parse().expect("a name");
    users::update(&mut change, admin, version, &form).await.expect("their own name");
    drop(change);

    // The link that the admin has seen is none for what an owner makes of them later.
    let mut change = org.change().await;
    let (mut form, version) = users::said(&mut change, plain).await.expect("their form");
    form.role = Role::Owner;
    users::update(&mut change, plain, version, &form).await.expect("an owner");
    change.commit().await.expect("it");
    let opened = users::invitation(&org.store, org.tenant.org, plain, &token).await.expect("an answer");
    assert!(opened.is_none());
    let mut change = org.change().await;
    users::invite(&mut change, plain).await.expect("an owner invites owners");
    users::set_suspended(&mut change, away, false).await.expect("and lets them in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_secret_dies_with_the_membership_and_never_comes_back() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let team = groups::insert(&mut change, None, &group("Team")).await.expect("a group");
    let other = groups::insert(&mut change, None, &group("Other")).await.expect("a group");
    change.commit().await.expect("both");
    assign(&org, &[team, other]).await;

    // By a date, seen by nobody: the next membership does not carry it.
    member(&org, team, org.user, Standing::Member).await;
    secret(&org, org.user).await;
    lapse(&org, team, org.user).await;
    member(&org, team, org.user, Standing::Member).await;
    assert_eq!(live(&org, org.user).await, 0, "added again: the old one is dead");
    // By a date, and Bursar looked.
    secret(&org, org.user).await;
    lapse(&org, team, org.user).await;
    assert_eq!(keys::bury(&org.store, keys::Look::Lapsed, clock::now()).await.expect("a round"), 1);
    assert_eq!(live(&org, org.user).await, 0);
    assert_eq!(keys::bury(&org.store, keys::Look::All, clock::now()).await.expect("a round"), 0);
    let month = store::rollups::Month::current(&org.store, org.tenant.org).await.expect("a month");
    let rows = users::rows(&org.store, org.tenant.org, &month, &[org.user]).await.expect("rows");
    assert_ne!(rows[0].status, UserStatus::Active, "nothing of theirs can call");
    let by_day =
        audit::Filter { kind: Some("secret".to_owned()), door: Some(Door::System), ..Default::default() };
    let lines = audit::list(&org.store, org.tenant.org, &by_day, 9).await.expect("the log");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((lines[0].act.as_str(), lines[0].actor.as_str()), ("secret.revoke", "Bursar"));

    // Taken off the key, and put back.
    member(&org, team, org.user, Standing::Member).await;
    secret(&org, org.user).await;
    assign(&org, &[other]).await;
    assert_eq!(live(&org, org.user).await, 0);
    assign(&org, &[team, other]).await;
    assert_eq!(live(&org, org.user).await, 0, "put back: the old one stays dead");
    // What another group carries lives on.
    member(&org, other, org.user, Standing::Member).await;
    secret(&org, org.user).await;
    assign(&org, &[other]).await;
    assert_eq!(live(&org, org.user).await, 1);
    assign(&org, &[]).await;
    assert_eq!(live(&org, org.user).await, 0);
    assign(&org, &[team]).await;

    // Moved away from what carries it.
    let mut change = org.change().await;
    let below = groups::insert(&mut change, Some(team), &group("Below")).await.expect("a group");
    groups::remove_member(&mut change, team, org.user).await.expect("out");
    groups::set_member(&mut change, below, org.user, Standing::Member, None).await.expect("in");
    change.commit().await.expect("it");
    secret(&org, org.user).await;
    let mut change = org.change().await;
    groups::move_to(&mut change, below, None).await.expect("moved");
    change.commit().await.expect("it");
    assert_eq!(live(&org, org.user).await, 0);

    // Archived, and the same person in another group that the key is for.
    member(&org, team, org.user, Standing::Member).await;
    secret(&org, org.user).await;
    let mut change = org.change().await;
    groups::archive(&mut change, team).await.expect("archived");
    change.commit().await.expect("it");
    assert_eq!(live(&org, org.user).await, 0);
    assign(&org, &[other]).await;
    assert_eq!(live(&org, org.user).await, 0, "carried by another group: the old one stays dead");
    secret(&org, org.user).await;
    assert!(matches!(
        audit::verify(&org.store, org.tenant.org).await.expect("a look"),
        audit::Chain::Whole { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_whose_term_is_over_hands_nothing_over_and_can_be_added_again() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let heir = person(&mut change, "Heir", Role::Member).await;
    groups::set_member(&mut change, org.parent, heir, Standing::Member, None).await.expect("a member");
    change.commit().await.expect("it");
    sign_in(&org, heir).await;
    member(&org, org.parent, org.user, Standing::Lead).await;
    lapse(&org, org.parent, org.user).await;
    let stays = leads::After { stays: true, ..Default::default() };
    let mut change = org.tenant.change_as(&org.store, org.user).await;
    let late = leads::hand_over(&mut change, org.parent, org.user, heir, stays).await;
    assert!(matches!(late, Err(StoreError::Meanwhile(_))), "{late:?}");
    drop(change);
    assert!(!groups::leads(&org.store, org.tenant.org, org.parent, org.user).await.expect("an answer"));
    // By a permit for members alone: there is no lead to be changed.
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::EditMembers).await;
    groups::set_member(&mut change, org.parent, org.user, Standing::Member, None).await.expect("again");
    change.commit().await.expect("it");
    assert_eq!(until(&org, org.parent, org.user).await, Some((Standing::Member, None)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_that_is_taken_back_leaves_last_days_as_they_were() {
    let org = Organization::new().await;
    let (may, soon) = (clock::now() + Duration::days(9), clock::now() + Duration::days(5));
    let (may, soon) = (moment(may), moment(soon));
    let mut change = org.change().await;
    let (lead, heir) =
        (person(&mut change, "Lea", Role::Member).await, person(&mut change, "Nea", Role::Member).await);
    groups::set_member(&mut change, org.parent, lead, Standing::Lead, Some(may)).await.expect("a lead");
    groups::set_member(&mut change, org.parent, heir, Standing::Member, Some(soon)).await.expect("a member");
    change.commit().await.expect("all of it");
    // Who has not joined takes nothing over.
    let mut change = org.change().await;
    invalid(leads::hand_over(&mut change, org.parent, lead, heir, leads::After::default()).await, "user");
    drop(change);
    sign_in(&org, lead).await;
    sign_in(&org, heir).await;
    let mut change = org.change().await;
    let stays = leads::After { stays: true, ..Default::default() };
    leads::hand_over(&mut change, org.parent, lead, heir, stays).await.expect("handed over");
    change.commit().await.expect("it");
    assert_eq!(until(&org, org.parent, heir).await, Some((Standing::Lead, None)));
    // Whoever leads it cannot give themself more time by it.
    let mut change = org.tenant.change_as(&org.store, heir).await;
    let longer =
        leads::After { stays: true, member_until: Some(may + Duration::days(900)), lead_until: None };
    leads::hand_over(&mut change, org.parent, heir, lead, longer).await.expect("their own lead");
    assert_eq!(
        groups::standing(&mut change, org.parent, heir).await.expect("an answer"),
        Some((Standing::Member, None))
    );
    drop(change);
    let mut change = org.change().await;
    let back = leads::After { stays: true, member_until: Some(soon), lead_until: Some(may) };
    leads::hand_over(&mut change, org.parent, heir, lead, back).await.expect("handed back");
    change.commit().await.expect("it");
    assert_eq!(until(&org, org.parent, lead).await, Some((Standing::Lead, Some(may))));
    assert_eq!(until(&org, org.parent, heir).await, Some((Standing::Member, Some(soon))));
}

/// As the database keeps it.
fn moment(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).expect("a moment")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_joined_is_no_other_lead_and_takes_nothing_over() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let (lead, ghost) =
        (person(&mut change, "Lea", Role::Member).await, person(&mut change, "Gus", Role::Member).await);
    groups::set_member(&mut change, org.parent, lead, Standing::Lead, None).await.expect("a lead");
    groups::set_member(&mut change, org.parent, ghost, Standing::Lead, None).await.expect("another");
    change.commit().await.expect("it");
    sign_in(&org, lead).await;
    let mut change = org.change().await;
    invalid(groups::remove_member(&mut change, org.parent, lead).await, "user");
    let owner = org.tenant.owner.user;
    invalid(applications::hand_over(&mut change, org.application, owner, ghost).await, "user");
    drop(change);
    let would_be = store::heirs::would_be(&org.store, org.tenant.org, lead, owner).await.expect("an answer");
    assert_eq!(would_be.len(), 1, "the group goes to somebody who can act: {would_be:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_group_takes_nobody_in_and_stands_in_nobodys_way() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let team = groups::insert(&mut change, None, &group("Team")).await.expect("a group");
    groups::set_default(&mut change, team, true).await.expect("a default");
    groups::archive(&mut change, team).await.expect("archived");
    change.commit().await.expect("all of it");
    assert!(groups::defaults(&org.store, org.tenant.org).await.expect("them").is_empty());
    let mut change = org.change().await;
    invalid(groups::set_default(&mut change, team, true).await, "id");
    invalid(groups::turn_default(&mut change, team, false, true).await, "id");
    drop(change);
    // As it was left by who said so before that was refused.
    sqlx::query("insert into default_groups (org_id, group_id) values ($1, $2)")
        .bind(org.tenant.org.0)
        .bind(team.0)
        .execute(org.store.pool())
        .await
        .expect("it works");
    let mut change = org.change().await;
    person(&mut change, "New", Role::Member).await;
    let row = imports::Row {
        suspended: None,
        line: 2,
        email: "ina@acme.example".parse().expect("an address"),
        name: Some("Ina".parse().expect("a name")),
        role: None,
        groups: None,
        limit: None,
    };
    let imported = imports::run(&mut change, &[row]).await.expect("a look");
    assert!(imported.problems.is_empty() && imported.batch.is_some(), "{imported:?}");
    groups::set_default(&mut change, team, false).await.expect("taken off");
    change.commit().await.expect("all of it");
    // What stands in the way of archiving is said as it can be helped.
    let mut change = org.change().await;
    let sentence = invalid(groups::archive(&mut change, org.child).await, "group");
    assert_eq!(sentence, "It still has 1 application. Move or archive what is in it first.");
    let sentence = invalid(groups::archive(&mut change, org.parent).await, "group");
    assert_eq!(sentence, "It still has 1 group below it. Move or archive what is below first.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_only_takes_note_does_so_again_after_an_undo() {
    let org = Organization::new().await;
    let owner = org.tenant.owner.user.expect("a person");
    let meter = spend(Scope::User(org.user));
    let form = limits::LimitForm { cap: 5_000, mode: Mode::Observe, thresholds: vec![42] };
    let mut change = org.change().await;
    limits::set(&mut change, meter, &form, limits::Seen::Nothing).await.expect("a limit");
    change.commit().await.expect("it");
    for task in [Task::Limit(None), Task::Limit(Some(Money(7)))] {
        let begin = async || testing::begin(&org.store, &org.tenant.owner, task.permit().0).await;
        let all = permit(&org.tenant.owner, Act::EditUsers, Place::Organization).expect("they may");
        let id = batches::prepare(&org.store, &all, &[org.user]).await.expect("prepared");
        let batch = batches::get(&org.store, org.tenant.org, owner, id).await.expect("it");
        let mut change = begin().await;
        batches::confirm(&mut change, &batch, task).await.expect("done");
        change.commit().await.expect("it");
        let batch = batches::get(&org.store, org.tenant.org, owner, id).await.expect("it");
        let mut change = begin().await;
        assert_eq!(batches::undo(&mut change, &batch).await.expect("undone"), (1, 0));
        change.commit().await.expect("it");
        let mut change = org.change().await;
        let (_, said, _) = limits::said(&mut change, &meter).await.expect("an answer").expect("a limit");
        assert_eq!((said.cap, said.mode, said.thresholds), (5_000, Mode::Observe, vec![42]), "{task:?}");
    }
    // One that was written down before how a limit is kept was.
    let undo = Undo::Limit { before: Some(Money(5)), set: None, kept: None, raised: None };
    let mut text = serde_json::to_value(&undo).expect("a text");
    let fields = text.as_object_mut().and_then(|it| it.values_mut().next()).and_then(|it| it.as_object_mut());
    assert!(fields.expect("its fields").remove("kept").is_some());
    assert_eq!(serde_json::from_value::<Undo>(text).expect("it is read"), undo);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_day_that_has_passed_is_refused() {
    let org = Organization::new().await;
    let past = Some(clock::now() - Duration::days(1));
    let mut change = org.change().await;
    let user = person(&mut change, "Late", Role::Member).await;
    invalid(groups::set_member(&mut change, org.parent, user, Standing::Member, past).await, "ends_on");
    invalid(groups::set_member(&mut change, org.child, org.user, Standing::Member, past).await, "ends_on");
    let over =
        GroupForm { ends_on: past.map(|at| at.date_naive().pred_opt().expect("a day")), ..group("Over") };
    invalid(groups::insert(&mut change, None, &over).await, "ends_on");
    let version = groups::version(&mut change, org.parent).await.expect("it");
    invalid(groups::update(&mut change, org.parent, version, &over).await, "ends_on");
    change.commit().await.expect("the person");
    let task = Task::Join { group: org.parent, standing: Standing::Member, ends_at: past };
    let mut change = org.change().await;
    invalid(batches::run(&mut change, &[user], task).await, "ends_on");
    drop(change);
    // A file says what was, and may be older than its days.
    let by_file = Actor { door: Door::File, ..org.tenant.owner.clone() };
    let mut change = testing::begin(&org.store, &by_file, Act::ApplyFile).await;
    groups::set_member(&mut change, org.parent, user, Standing::Member, past).await.expect("as it says");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_in_another_organization_are_not_this_ones_business() {
    let store = testing::store().await;
    let operator = testing::operator(&store).await;
    let acme = Organization::in_store(&store, operator, "Acme").await;
    let umbrella = Organization::in_store(&store, operator, "Umbrella").await;
    let account = sign_in(&acme, acme.user).await;
    sqlx::query("update users set account_id = $3 where org_id = $1 and user_id = $2")
        .bind(umbrella.tenant.org.0)
        .bind(umbrella.user.0)
        .bind(account)
        .execute(store.pool())
        .await
        .expect("it works");
    for (id, org) in [(b"acme", acme.tenant.org), (b"here", umbrella.tenant.org)] {
        let session = sessions::StoredSession {
            content: serde_json::json!({ "device": "curl/8", "org": org }),
            expires_at: clock::now() + Duration::days(1),
        };
        assert!(sessions::save(&store, id, &session, Some(account.into()), true).await.expect("kept"));
    }
    let list = async |org: &Organization, all| {
        sessions::of_user(&store, org.tenant.org, org.user, None, all).await.expect("a list")
    };
    assert_eq!((list(&acme, false).await.len(), list(&umbrella, false).await.len()), (1, 1));
    assert_eq!(list(&acme, true).await.len(), 2, "one's own are one's own everywhere");
    let theirs = list(&acme, false).await[0].id;
    let mut change = umbrella.change().await;
    let stolen = sessions::end(&mut change, umbrella.user, Some(theirs), None).await;
    assert!(matches!(stolen, Err(StoreError::NotFound)), "{stolen:?}");
    users::set_suspended(&mut change, umbrella.user, true).await.expect("suspended");
    change.commit().await.expect("it");
    assert_eq!((list(&acme, false).await.len(), list(&umbrella, false).await.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_applications_is_full_of_what_its_reader_sees() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let team = groups::insert(&mut change, None, &group("Team")).await.expect("a group");
    for name in ["A one", "A two", "Z own"] {
        let form = applications::ApplicationForm {
            name: name.parse().expect("a name"),
            description: String::new(),
            use_cases: Vec::new(),
        };
        let place = if name == "Z own" { team } else { org.child };
        let models = domain::keys::KeyModels::All;
        let features = domain::keys::Features::all();
        applications::insert(&mut change, place, &form, &models, features).await.expect("it");
    }
    change.commit().await.expect("all of it");
    let month = store::rollups::Month::current(&org.store, org.tenant.org).await.expect("a month");
    let names = async |among| {
        let filter = applications::Filter { among, ..Default::default() };
        let rows: Vec<ApplicationRow> =
            applications::list(&org.store, org.tenant.org, &month, &filter, 2).await.expect("rows");
        rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
    };
    assert_eq!(names(Some(vec![team])).await, ["Z own"]);
    assert_eq!(names(None).await, ["A one", "A two"]);
    assert!(names(Some(Vec::new())).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_not_confirmed_in_a_review() {
    let org = Organization::new().await;
    assign(&org, &[org.child]).await;
    secret(&org, org.user).await;
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::ReviewAccess).await;
    let day = org.facts().await.calendar.day(clock::now()) + chrono::Days::new(10);
    let review = reviews::open(&mut change, org.child, false, day).await.expect("open");
    change.commit().await.expect("it");
    let items = async || {
        let all = reviews::Filter::default();
        reviews::items(&org.store, org.tenant.org, review, all, 9).await.expect("lines")
    };
    assert!(items().await.iter().all(|item| !item.gone));
    let mut change = org.change().await;
    groups::remove_member(&mut change, org.child, org.user).await.expect("out");
    change.commit().await.expect("it");
    let gone: Vec<_> = items().await.into_iter().filter(|item| item.gone).map(|item| item.id).collect();
    assert_eq!(gone.len(), 2, "the membership and its secret: {:?}", items().await);
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::ReviewAccess).await;
    let decided = reviews::decide(&mut change, review, &gone, Verdict::Confirm).await.expect("a look");
    assert_eq!((decided.count, decided.left.len()), (0, 2), "{decided:?}");
    let decided = reviews::decide(&mut change, review, &gone, Verdict::Drop).await.expect("dropped");
    assert_eq!(decided.count, 2, "what was wanted is so");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_members_hold_ends_with_the_group_and_never_comes_back() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let above = groups::insert(&mut change, None, &group("Above")).await.expect("a group");
    let team = groups::insert(&mut change, Some(above), &group("Team")).await.expect("a group");
    change.commit().await.expect("both");
    assign(&org, &[team]).await;
    member(&org, team, org.user, Standing::Member).await;
    for ends in [team, above] {
        secret(&org, org.user).await;
        over(&org, ends, true).await;
        let facts = org.facts().await;
        let application = &facts.applications[&org.application];
        let refused = domain::access::person_refused(&facts, Some(org.user), Some(application), clock::now());
        assert_eq!(refused, Some(domain::access::Reason::NotAMember), "at once, whoever has looked");
        let left = domain::access::left_with_a_group(&facts, org.user, application, clock::now());
        assert_eq!(left.map(|(group, _)| group), Some(ends));
        let mut change = org.tenant.change_as(&org.store, org.user).await;
        let new = keys::issue_member(&mut change, org.key).await;
        assert!(matches!(new, Err(StoreError::NotFound)), "{new:?}");
        drop(change);
        assert!(keys::own(&org.store, org.tenant.org, org.user).await.expect("theirs").is_empty());
        // Nobody looked before it was given a later last day.
        let mut change = org.change().await;
        let version = groups::version(&mut change, ends).await.expect("it");
        let form = if ends == team { group("Team") } else { group("Above") };
        groups::update(&mut change, ends, version, &form).await.expect("it goes on");
        change.commit().await.expect("it");
        assert_eq!(live(&org, org.user).await, 0, "it stays dead");
    }
    // Bursar looked.
    secret(&org, org.user).await;
    over(&org, above, true).await;
    assert_eq!(keys::bury(&org.store, keys::Look::Lapsed, clock::now()).await.expect("a round"), 1);
    assert_eq!(live(&org, org.user).await, 0);
    assert_eq!(keys::bury(&org.store, keys::Look::All, clock::now()).await.expect("a round"), 0);
    // Out of what has ended: what died with that stays dead.
    over(&org, above, false).await;
    secret(&org, org.user).await;
    over(&org, above, true).await;
    let mut change = org.change().await;
    groups::move_to(&mut change, team, None).await.expect("out of it");
    change.commit().await.expect("it");
    assert_eq!(live(&org, org.user).await, 0);
    secret(&org, org.user).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_has_ended_takes_nothing_in() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let above = groups::insert(&mut change, None, &group("Above")).await.expect("a group");
    let team = groups::insert(&mut change, Some(above), &group("Team")).await.expect("a group");
    groups::set_default(&mut change, team, true).await.expect("a default");
    let user = person(&mut change, "Nea", Role::Member).await;
    change.commit().await.expect("all of it");
    over(&org, above, true).await;
    assert!(groups::defaults(&org.store, org.tenant.org).await.expect("them").is_empty());
    let mut change = org.change().await;
    person(&mut change, "New", Role::Member).await;
    let sentence = invalid(groups::insert(&mut change, Some(above), &group("Sub")).await, "parent");
    assert!(sentence.starts_with("Above ended on ") && sentence.ends_with("Give it a later last day first."));
    let sentence = invalid(groups::move_to(&mut change, org.child, Some(team)).await, "parent");
    assert!(sentence.starts_with("Above, which is above it, ended on "), "{sentence}");
    let joins = groups::set_member(&mut change, above, user, Standing::Lead, None).await;
    invalid(joins, "user");
    invalid(groups::set_default(&mut change, above, true).await, "id");
    let form = applications::ApplicationForm {
        name: "Late".parse().expect("a name"),
        description: String::new(),
        use_cases: Vec::new(),
    };
    let models = domain::keys::KeyModels::All;
    let features = domain::keys::Features::all();
    invalid(applications::insert(&mut change, team, &form, &models, features).await, "group");
    let moved = applications::move_to(&mut change, org.application, 1, org.child, team).await;
    invalid(moved, "group");
    let task = Task::Join { group: above, standing: Standing::Member, ends_at: None };
    drop(change);
    let mut change = org.change().await;
    invalid(batches::run(&mut change, &[user], task).await, "group");
    let places = groups::places(&org.store, org.tenant.org).await.expect("places");
    assert!(places.iter().all(|(id, _)| *id != above && *id != team), "{places:?}");
    drop(change);
    // A file says what was.
    let by_file = Actor { door: Door::File, ..org.tenant.owner.clone() };
    let mut change = testing::begin(&org.store, &by_file, Act::ApplyFile).await;
    groups::set_member(&mut change, above, user, Standing::Member, None).await.expect("as it says");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_names_no_group_that_has_ended_as_a_new_place() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let above = groups::insert(&mut change, None, &group("Above")).await.expect("a group");
    let team = groups::insert(&mut change, Some(above), &group("Team")).await.expect("a group");
    let inside = person(&mut change, "Ida", Role::Member).await;
    groups::set_member(&mut change, team, inside, Standing::Member, None).await.expect("a member");
    person(&mut change, "Nea", Role::Member).await;
    change.commit().await.expect("all of it");
    over(&org, above, true).await;
    let row = |line, name: &str| imports::Row {
        suspended: None,
        line,
        email: format!("{}@acme.example", name.to_lowercase()).parse().expect("an address"),
        name: Some(name.parse().expect("a name")),
        role: None,
        groups: Some([team].into()),
        limit: None,
    };
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::ApplyFile).await;
    let rows = [row(2, "Ida"), row(3, "Nea"), row(4, "New")];
    let imported = imports::run(&mut change, &rows).await.expect("a look");
    let told: Vec<(usize, &str)> = imported.problems.iter().map(|at| (at.line, at.column)).collect();
    assert_eq!(told, [(3, "groups"), (4, "groups")], "who is in it already may stand there");
    let why = &imported.problems[0].sentence;
    assert!(why.starts_with("Above, which is above it, ended on ") && why.ends_with("later last day first."));
    drop(change);
    over(&org, above, false).await;
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::ApplyFile).await;
    let imported = imports::run(&mut change, &rows).await.expect("it");
    assert!(imported.problems.is_empty() && imported.batch.is_some(), "{imported:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn undoing_puts_nobody_back_into_what_has_ended_since_and_says_why() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let team = groups::insert(&mut change, None, &group("Team")).await.expect("a group");
    let other = groups::insert(&mut change, None, &group("Other")).await.expect("a group");
    let (ann, ben) =
        (person(&mut change, "Ann", Role::Member).await, person(&mut change, "Ben", Role::Member).await);
    for user in [ann, ben] {
        groups::set_member(&mut change, team, user, Standing::Member, None).await.expect("a member");
    }
    change.commit().await.expect("all of it");
    let owner = org.tenant.owner.user.expect("a person");
    let act = |act| testing::begin(&org.store, &org.tenant.owner, act);
    for task in [Task::Leave(team), Task::Move { from: team, to: other }] {
        let leave = permit(&org.tenant.owner, Act::EditUsers, Place::Organization).expect("they may");
        let id = batches::prepare(&org.store, &leave, &[ann, ben]).await.expect("prepared");
        let batch = async || batches::get(&org.store, org.tenant.org, owner, id).await.expect("it");
        let mut change = act(Act::EditMembers).await;
        batches::confirm(&mut change, &batch().await, task).await.expect("done");
        change.commit().await.expect("it");
        over(&org, team, true).await;
        let mut change = act(Act::EditMembers).await;
        let refused = left_alone(batches::undo(&mut change, &batch().await).await);
        assert!(refused.starts_with("Nothing was undone. Team ended on "), "{refused}");
        drop(change);
        assert_eq!(until(&org, team, ann).await, None, "{task:?}");
        over(&org, team, false).await;
        let mut change = act(Act::EditMembers).await;
        assert_eq!(batches::undo(&mut change, &batch().await).await.expect("undone"), (2, 0));
        change.commit().await.expect("it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn undoing_that_would_leave_no_owner_says_so_and_brings_the_others_back() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let (pia, max) =
        (person(&mut change, "Pia", Role::Member).await, person(&mut change, "Max", Role::Member).await);
    change.commit().await.expect("both");
    let owner = org.tenant.owner.user.expect("a person");
    let edits = permit(&org.tenant.owner, Act::EditUsers, Place::Organization).expect("they may");
    let task = Task::Role(Role::Owner);
    let mut ids = Vec::new();
    for who in [&[pia][..], &[max]] {
        let id = batches::prepare(&org.store, &edits, who).await.expect("prepared");
        let batch = batches::get(&org.store, org.tenant.org, owner, id).await.expect("it");
        let mut change = testing::begin(&org.store, &org.tenant.owner, task.permit().0).await;
        batches::confirm(&mut change, &batch, task).await.expect("done");
        change.commit().await.expect("it");
        ids.push(id);
    }
    // Whoever owned it before steps back, and Max is gone: Pia is the last one.
    let by_pia = Actor { user: Some(pia), ..org.tenant.owner.clone() };
    sign_in(&org, pia).await;
    let mut change = testing::begin(&org.store, &by_pia, Act::EditUsers).await;
    for who in [owner, max] {
        users::set_suspended(&mut change, who, true).await.expect("suspended");
    }
    change.commit().await.expect("it");
    let batch = batches::get(&org.store, org.tenant.org, pia, ids[0]).await.expect("it");
    let mut change = testing::begin(&org.store, &by_pia, task.permit().0).await;
    let refused = left_alone(batches::undo(&mut change, &batch).await);
    assert_eq!(refused, "Nothing was undone. This is the last owner. Make somebody else an owner first.");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_put_there_again_joins_anew_and_what_was_stays_written_down() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let team = groups::insert(&mut change, None, &group("Team")).await.expect("a group");
    change.commit().await.expect("it");
    let rows = async || {
        sqlx::query_as::<_, (String, Option<DateTime<Utc>>, Option<DateTime<Utc>>)>(
            "select standing, ends_at, ended_at from memberships where org_id = $1 and group_id = $2 order by membership_id",
        )
        .bind(org.tenant.org.0)
        .bind(team.0)
        .fetch_all(org.store.pool())
        .await
        .expect("rows")
    };
    member(&org, team, org.user, Standing::Member).await;
    lapse(&org, team, org.user).await;
    member(&org, team, org.user, Standing::Member).await;
    let list = rows().await;
    assert_eq!(list.len(), 2, "{list:?}");
    assert!(list[0].2.is_some() && list[0].1 == list[0].2, "it ended on its day: {list:?}");
    assert_eq!((list[1].1, list[1].2), (None, None));
    let joined = audit::Filter { kind: Some("membership".to_owned()), ..Default::default() };
    let lines = audit::list(&org.store, org.tenant.org, &joined, 1).await.expect("the log");
    assert_eq!(lines[0].act, "membership.start");
    // Whoever takes over what somebody led, too.
    let mut change = org.change().await;
    let lead = person(&mut change, "Lea", Role::Member).await;
    groups::set_member(&mut change, team, lead, Standing::Lead, None).await.expect("a lead");
    change.commit().await.expect("it");
    sign_in(&org, lead).await;
    sign_in(&org, org.user).await;
    lapse(&org, team, org.user).await;
    let mut change = org.change().await;
    leads::hand_over(&mut change, team, lead, org.user, leads::After::default()).await.expect("handed over");
    change.commit().await.expect("it");
    assert_eq!(until(&org, team, org.user).await, Some((Standing::Lead, None)));
    assert_eq!(rows().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_made_on_whose_calls_nothing_would_pass() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let team = groups::insert(&mut change, None, &group("Team")).await.expect("a group");
    change.commit().await.expect("it");
    // Its members have secrets of an application that lives elsewhere.
    assign(&org, &[team]).await;
    member(&org, team, org.user, Standing::Member).await;
    over(&org, org.child, true).await;
    let mut change = org.change().await;
    let sentence = invalid(keys::issue_service(&mut change, org.key, None).await, "");
    assert!(
        sentence.contains(" ended on ") && sentence.contains("Give it a later last day first."),
        "{sentence}"
    );
    drop(change);
    let mut change = org.tenant.change_as(&org.store, org.user).await;
    let sentence = invalid(keys::issue_member(&mut change, org.key).await, "");
    assert!(sentence.contains(" to give it a later last day first."), "{sentence}");
    drop(change);
    over(&org, org.child, false).await;
    secret(&org, org.user).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_batch_cannot_bring_back_says_who_changed_it_since_and_what() {
    let org = Organization::new().await;
    let mut change = org.change().await;
    let team = groups::insert(&mut change, None, &group("Team")).await.expect("a group");
    let (ann, ben) =
        (person(&mut change, "Ann", Role::Member).await, person(&mut change, "Ben", Role::Member).await);
    let ada = person(&mut change, "Ada", Role::Admin).await;
    change.commit().await.expect("all of it");
    let owner = org.tenant.owner.user.expect("a person");
    let by_ada = Actor { user: Some(ada), name: "Ada".to_owned(), ..org.tenant.owner.clone() };
    let task = Task::Join { group: team, standing: Standing::Member, ends_at: None };
    let edits = permit(&org.tenant.owner, Act::EditUsers, Place::Organization).expect("they may");
    let id = batches::prepare(&org.store, &edits, &[ann, ben]).await.expect("prepared");
    let batch = async || batches::get(&org.store, org.tenant.org, owner, id).await.expect("it");
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::EditMembers).await;
    batches::confirm(&mut change, &batch().await, task).await.expect("done");
    change.commit().await.expect("it");
    let mut change = testing::begin(&org.store, &by_ada, Act::EditLeads).await;
    groups::set_member(&mut change, team, ann, Standing::Lead, None).await.expect("a lead");
    change.commit().await.expect("it");
    let mut change = testing::begin(&org.store, &by_ada, Act::EditMembers).await;
    groups::remove_member(&mut change, team, ben).await.expect("out");
    change.commit().await.expect("it");
    let mut change = testing::begin(&org.store, &org.tenant.owner, Act::EditMembers).await;
    let refused = left_alone(batches::undo(&mut change, &batch().await).await);
    assert!(refused.starts_with("Nothing was undone. Ada changed Ann again since ("), "{refused}");
    assert!(refused.contains("standing: “member” → “lead”"), "{refused}");
    assert!(!refused.contains("group: nothing"), "the group stayed the same: {refused}");
    assert!(refused.contains("Ada changed Ben again since (group: “Team” → nothing"), "{refused}");
}

/// The sentence of an undo that could do nothing.
fn left_alone<T: std::fmt::Debug>(outcome: store::Result<T>) -> String {
    match outcome {
        Err(StoreError::Meanwhile(sentence)) => sentence,
        other => panic!("{other:?}"),
    }
}
