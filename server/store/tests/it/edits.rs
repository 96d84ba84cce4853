//! Edits that meet another edit, and trees that would bite their tail.

use domain::{
    limits::{Mode, Scope},
    names::Name,
};
use store::{Conflict, StoreError, applications, groups, keys, limits, models, organizations};

use crate::organization::{Organization, group, model_form, spend};

fn stale<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Stale)), "{result:?}");
}

#[tokio::test]
async fn an_edit_of_what_somebody_else_has_changed_is_refused() {
    let acme = Organization::new().await;
    let mut change = acme.change().await;
    groups::update(&mut change, acme.child, 1, &group("First")).await.expect("the first edit");
    change.commit().await.expect("it");
    let mut change = acme.change().await;
    stale(groups::update(&mut change, acme.child, 1, &group("Second")).await);
    drop(change);
    let name = groups::get(&acme.store, acme.tenant.org, acme.child).await.expect("the group");
    assert_eq!(name.name(), "First");
}

#[tokio::test]
async fn of_two_edits_at_the_same_time_one_wins_and_the_other_is_told() {
    let acme = std::sync::Arc::new(Organization::new().await);
    let mut edits = tokio::task::JoinSet::new();
    for name in ["One", "Two", "Three", "Four"] {
        let acme = acme.clone();
        edits.spawn(async move {
            let mut change = acme.change().await;
            let done = groups::update(&mut change, acme.child, 1, &group(name)).await;
            if done.is_ok() {
                change.commit().await.expect("it");
            }
            done
        });
    }
    let results = edits.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    for result in results.into_iter().filter(Result::is_err) {
        stale(result);
    }
}

#[tokio::test]
async fn every_form_with_a_version_refuses_an_old_one() {
    let acme = Organization::new().await;
    let org = acme.tenant.org;
    let mut change = acme.change().await;
    let form = applications::ApplicationForm {
        name: "Other".parse().expect("a name"),
        description: String::new(),
        use_cases: Vec::new(),
    };
    stale(applications::update(&mut change, acme.application, 0, &form).await);
    let key = keys::of_application(&acme.store, org, acme.application).await.expect("the key");
    let form = keys::KeyForm {
        models: key.models,
        features: key.features,
        policy: None,
        assigned: Vec::new(),
        handling: key.handling,
    };
    stale(keys::update(&mut change, acme.key, 0, &form).await);
    stale(models::update(&mut change, acme.model, 0, &model_form("other", acme.provider, acme.tier)).await);
    let name: Name = "Other".parse().expect("a name");
    stale(models::update_tier(&mut change, acme.tier, 0, &name, false).await);
    let now = organizations::get(&acme.store, org).await.expect("the organization");
    let settings = organizations::Settings {
        name,
        time_zone: now.time_zone,
        week_start: now.week_start,
        default_user_limit: None,
        budget_status: now.budget_status,
        contact: None,
    };
    stale(organizations::update(&mut change, 0, &settings).await);
    let meter = spend(Scope::Organization);
    let form = limits::LimitForm { cap: 1, mode: Mode::Enforce, thresholds: Vec::new() };
    limits::set(&mut change, meter, &form, limits::Seen::Nothing).await.expect("a limit");
    stale(limits::set(&mut change, meter, &form, limits::Seen::Version(0)).await);
}

#[tokio::test]
async fn a_limit_that_came_went_or_changed_meanwhile_is_told() {
    let acme = Organization::new().await;
    let meter = spend(Scope::Group(acme.child));
    let form = |cap| limits::LimitForm { cap, mode: Mode::Enforce, thresholds: Vec::new() };
    let told = |result: Result<(), StoreError>, what: &str| match result {
        Err(StoreError::Meanwhile(said)) => assert!(said.contains(what), "{said}"),
        other => panic!("{other:?}"),
    };
    let mut change = acme.change().await;
    let id =
        limits::set(&mut change, meter, &form(10_000_000_000), limits::Seen::Nothing).await.expect("a limit");
    let twice = limits::set(&mut change, meter, &form(1), limits::Seen::Nothing).await;
    told(twice.map(drop), "$10.00");
    limits::set(&mut change, meter, &form(20_000_000_000), limits::Seen::Version(1)).await.expect("changed");
    change.commit().await.expect("both");
    let mut change = acme.change().await;
    told(limits::remove(&mut change, id, 1).await.map(drop), "$20.00");
    drop(change);
    let mut change = acme.change().await;
    limits::remove(&mut change, id, 2).await.expect("gone");
    let gone = limits::set(&mut change, meter, &form(1), limits::Seen::Version(2)).await;
    told(gone.map(drop), "away");
}

#[tokio::test]
async fn a_group_that_was_moved_meanwhile_is_not_moved_again_unseen() {
    let acme = Organization::new().await;
    let mut change = acme.change().await;
    let other = groups::insert(&mut change, None, &group("Other")).await.expect("a group");
    groups::move_from(&mut change, acme.child, Some(acme.parent), Some(other)).await.expect("moved");
    change.commit().await.expect("it");
    let mut change = acme.change().await;
    let late = groups::move_from(&mut change, acme.child, Some(acme.parent), None).await;
    assert!(matches!(&late, Err(StoreError::Meanwhile(said)) if said.contains("in Other now")), "{late:?}");
}

#[tokio::test]
async fn a_group_cannot_be_put_inside_itself() {
    let acme = Organization::new().await;
    let mut change = acme.change().await;
    let grandchild = groups::insert(&mut change, Some(acme.child), &group("Grandchild")).await;
    let grandchild = grandchild.expect("a group");
    change.commit().await.expect("it");
    let before = format!("{:?}", acme.facts().await.groups[&grandchild].path);
    for below in [acme.parent, acme.child, grandchild] {
        let mut change = acme.change().await;
        let moved = groups::move_to(&mut change, acme.parent, Some(below)).await;
        let refused = matches!(moved, Err(StoreError::Conflict(Conflict { field: "parent", .. })));
        assert!(refused, "{moved:?}");
    }
    assert_eq!(format!("{:?}", acme.facts().await.groups[&grandchild].path), before);
}

#[tokio::test]
async fn two_moves_at_the_same_time_never_make_a_circle() {
    for _ in 0..5 {
        let acme = std::sync::Arc::new(Organization::new().await);
        let mut change = acme.change().await;
        let one = groups::insert(&mut change, None, &group("One")).await.expect("a group");
        let two = groups::insert(&mut change, None, &group("Two")).await.expect("a group");
        change.commit().await.expect("both");
        let mut moves = tokio::task::JoinSet::new();
        for (group, parent) in [(one, two), (two, one)] {
            let acme = acme.clone();
            moves.spawn(async move {
                let mut change = acme.change().await;
                let moved = groups::move_to(&mut change, group, Some(parent)).await;
                moved.is_ok() && change.commit().await.is_ok()
            });
        }
        let moved = moves.join_all().await.into_iter().filter(|moved| *moved).count();
        assert_eq!(moved, 1);
        let facts = acme.facts().await;
        let mut lengths = [facts.groups[&one].path.len(), facts.groups[&two].path.len()];
        lengths.sort_unstable();
        assert_eq!(lengths, [1, 2]);
    }
}

#[tokio::test]
async fn a_tree_is_at_most_so_deep() {
    let acme = Organization::new().await;
    let mut change = acme.change().await;
    let mut parent = acme.child;
    let mut deepest = 2;
    let refused = loop {
        match groups::insert(&mut change, Some(parent), &group("Deeper")).await {
            Ok(id) => (parent, deepest) = (id, deepest + 1),
            Err(error) => break error,
        }
    };
    assert_eq!(deepest, domain::groups::DEPTH_MAX);
    assert!(matches!(refused, StoreError::Conflict(Conflict { field: "parent", .. })), "{refused:?}");
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused_with_the_field() {
    let acme = Organization::new().await;
    let mut change = acme.change().await;
    let taken = groups::insert(&mut change, Some(acme.parent), &group("child")).await;
    assert!(matches!(taken, Err(StoreError::Conflict(Conflict { field: "name", .. }))), "{taken:?}");
}
