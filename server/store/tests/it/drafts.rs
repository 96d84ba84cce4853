//! Drafts of authorizations: what was shown is what is saved, all of it or nothing, and back again.

use std::{collections::BTreeMap, sync::Arc};

use domain::{
    access_tests::{Expected, Subject},
    authorizations::{Cell, Draft, Edit, Say, Seen, State, Target},
    ids::{BatchId, GroupId},
    limits::{Meter, Metric, Mode, Scope},
    roles::{Act, Actor, Permit, Place, permit, permit_in_all},
    users::Role,
    window::Window,
};
use store::{
    Change, StoreError, access, access_tests,
    audit::{self, Chain},
    authorizations::{
        self,
        drafts::{self, Kept},
    },
    limits, testing,
};

use crate::organization::{Organization, group};

fn say(state: State) -> Option<Say> {
    Some(Say { state, locked: false, ends_at: None })
}

/// Every rule that stands: where, which, what it says.
type Rules = BTreeMap<Cell, (Seen, Say)>;

#[tokio::test]
async fn a_rule_that_is_over_before_it_begins_is_not_saved_and_one_that_ended_may_stay() {
    let world = World::new().await;
    let (group, model) = (Some(world.acme.parent), Target::Model(world.acme.model));
    let over = Some(Say {
        state: State::Open,
        locked: false,
        ends_at: Some("2020-01-01T00:00:00Z".parse().expect("a moment")),
    });
    let draft = Draft { edits: vec![world.edit(group, model, over).await] };
    let mut change = Change::begin(&world.acme.store, world.owner.clone()).await.expect("a change");
    let looked = drafts::look(&mut change, &draft).await.expect("a look");
    assert!(looked[0].refused.as_ref().is_some_and(|why| why.contains("is over")), "{looked:?}");
    let refused = drafts::run(&mut change, &draft).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field: "edits", .. })), "{refused:?}");
    drop(change);

    // It ended while it stood there: it may be locked, and stays as it is otherwise.
    let mut change = world.acme.change().await;
    authorizations::set(&mut change, group, model, over).await.expect("what a file says");
    change.commit().await.expect("a rule");
    let locked = over.map(|say| Say { locked: true, ..say });
    let draft = Draft { edits: vec![world.edit(group, model, locked).await] };
    let mut change = Change::begin(&world.acme.store, world.owner.clone()).await.expect("a change");
    assert_eq!(drafts::run(&mut change, &draft).await.expect("it may").len(), 1);
}

struct World {
    acme: Organization,
    owner: Permit,
}

impl World {
    /// The tier is open to everybody, with a quota; the child has the model by request.
    async fn new() -> Self {
        let acme = Organization::new().await;
        let owner =
            permit(&acme.tenant.owner, Act::WidenAuthorizations, Place::Organization).expect("they may");
        let mut change = acme.change().await;
        let tier = Target::Tier(acme.tier);
        let rule = authorizations::set(&mut change, None, tier, say(State::Open)).await.expect("a rule");
        let scope = Scope::Authorization(rule.expect("a rule"));
        let meter = Meter { scope, metric: Metric::Requests, window: Window::Day };
        let form = limits::LimitForm { cap: 5, mode: Mode::Enforce, thresholds: Vec::new() };
        limits::set(&mut change, meter, &form, limits::Seen::Nothing).await.expect("a quota");
        let model = Target::Model(acme.model);
        authorizations::set(&mut change, Some(acme.child), model, say(State::ByRequest))
            .await
            .expect("a rule");
        change.commit().await.expect("both");
        Self { acme, owner }
    }

    async fn rules(&self) -> Rules {
        let rules = authorizations::list(&self.acme.store, self.acme.tenant.org, None).await.expect("rules");
        rules
            .into_iter()
            .filter(|rule| rule.mode == Mode::Enforce)
            .map(|rule| {
                let say = Say { state: rule.state, locked: rule.locked, ends_at: rule.ends_at };
                let cell = Cell { group: rule.group, target: rule.target };
                (cell, (Seen { id: rule.id, version: rule.version }, say))
            })
            .collect()
    }

    /// An edit by somebody who looks at the matrix now.
    async fn edit(&self, group: Option<GroupId>, target: Target, say: Option<Say>) -> Edit {
        let cell = Cell { group, target };
        Edit { cell, say, seen: self.rules().await.get(&cell).map(|(seen, _)| *seen) }
    }

    /// One rule more, one changed and locked, one taken away.
    async fn draft(&self) -> Draft {
        let (tier, model) = (Target::Tier(self.acme.tier), Target::Model(self.acme.model));
        let locked = Some(Say { state: State::Closed, locked: true, ends_at: None });
        Draft {
            edits: vec![
                self.edit(Some(self.acme.parent), tier, say(State::Open)).await,
                self.edit(Some(self.acme.child), model, locked).await,
                self.edit(None, tier, None).await,
            ],
        }
    }

    async fn keep(&self, draft: &Draft) -> Kept {
        let id = drafts::keep(&self.acme.store, &self.owner, draft).await.expect("kept");
        self.get(id).await
    }

    async fn get(&self, id: BatchId) -> Kept {
        drafts::get(&self.acme.store, self.acme.tenant.org, id).await.expect("it is there")
    }

    async fn begin(&self) -> Change {
        testing::begin(&self.acme.store, &self.acme.tenant.owner, Act::WidenAuthorizations).await
    }

    async fn save(&self, kept: &Kept) -> store::Result<usize> {
        let mut change = self.begin().await;
        let changed = drafts::save(&mut change, kept).await?;
        change.commit().await?;
        Ok(changed)
    }

    async fn undo(&self, kept: &Kept) -> store::Result<usize> {
        let kept = self.get(kept.id).await;
        let mut change = self.begin().await;
        let changed = drafts::undo(&mut change, &kept).await?;
        change.commit().await?;
        Ok(changed)
    }
}

/// What rules say, without what counts up.
fn said(rules: &Rules) -> Vec<(Cell, authorizations::Say, domain::ids::AuthorizationId)> {
    rules.iter().map(|(cell, (seen, say))| (*cell, *say, seen.id)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_what_is_saved_and_undoing_it_brings_everything_back() {
    let world = World::new().await;
    let before = world.rules().await;
    let kept = world.keep(&world.draft().await).await;
    let mut change = world.begin().await;
    let shown = drafts::run(&mut change, &kept.draft).await.expect("a look");
    let expected = drafts::rules(&mut change).await.expect("the rules");
    drop(change);
    assert_eq!(world.rules().await, before, "a look changes nothing");

    assert_eq!(world.save(&kept).await.expect("saved"), 3);
    let facts = access::facts(&world.acme.store, world.acme.tenant.org).await.expect("the facts");
    let states = |rules: &domain::Map<Option<GroupId>, domain::access::RuleSet>| {
        let mut states: Vec<_> = rules
            .iter()
            .flat_map(|(group, rules)| {
                rules.iter().map(|(target, rule)| (*group, *target, rule.state, rule.locked))
            })
            .collect();
        states.sort_by_key(|(group, target, ..)| (*group, *target));
        states
    };
    assert_eq!(states(&facts.rules), states(&expected));
    let cells = |made: &[drafts::Made]| made.iter().map(|made| (made.cell, made.before)).collect::<Vec<_>>();
    let made = world.get(kept.id).await.made.expect("what was done");
    assert_eq!(cells(&made), cells(&shown));
    let lines = audit::Filter { batch: Some(kept.id), ..audit::Filter::default() };
    let lines = audit::list(&world.acme.store, world.acme.tenant.org, &lines, 100).await.expect("the log");
    assert_eq!(lines.len(), 3, "a line for every cell");
    assert!(matches!(world.save(&kept).await, Err(StoreError::Stale)), "it is saved once");

    assert_eq!(world.undo(&kept).await.expect("undone"), 3);
    assert_eq!(said(&world.rules().await), said(&before), "the same rules say the same");
    let facts = access::facts(&world.acme.store, world.acme.tenant.org).await.expect("the facts");
    let rule = facts.rules[&None][&Target::Tier(world.acme.tier)].id;
    assert!(facts.limits.contains_key(&Scope::Authorization(rule)), "and the quota is on it again");
    assert!(matches!(world.undo(&kept).await, Err(StoreError::Meanwhile(_))), "it is undone once");
    let chain = audit::verify(&world.acme.store, world.acme.tenant.org).await.expect("an answer");
    assert!(matches!(chain, Chain::Whole { .. }), "{chain:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_that_somebody_else_changed_keeps_the_whole_draft_from_being_saved() {
    let world = World::new().await;
    let kept = world.keep(&world.draft().await).await;
    let (child, model) = (Some(world.acme.child), Target::Model(world.acme.model));
    let mut change = world.begin().await;
    authorizations::set(&mut change, child, model, say(State::Open)).await.expect("theirs");
    change.commit().await.expect("it");
    let before = world.rules().await;
    let saved = world.save(&kept).await;
    assert!(matches!(saved, Err(StoreError::Stale)), "{saved:?}");
    assert_eq!(world.rules().await, before, "nothing of it was saved");
    let mut change = world.begin().await;
    let looked = drafts::look(&mut change, &kept.draft).await.expect("a look");
    let stale: Vec<_> = looked.iter().filter(|look| look.stale).collect();
    let [look] = stale.as_slice() else { panic!("{looked:?}") };
    assert_eq!(look.now.map(|(_, say)| say.state), Some(State::Open), "theirs is shown");
    assert_eq!(look.edit.say.map(|say| say.state), Some(State::Closed), "beside mine");
    drop(change);
    // Whoever wants the same is not asked to choose.
    let mut change = world.begin().await;
    let mine = look.edit.say;
    authorizations::set(&mut change, child, model, mine).await.expect("the same");
    change.commit().await.expect("it");
    assert_eq!(world.save(&kept).await.expect("saved"), 2, "the third is so already");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_save_the_same_draft_at_once_one_does() {
    let world = Arc::new(World::new().await);
    let kept = world.keep(&world.draft().await).await;
    let mut saves = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let (world, kept) = (Arc::clone(&world), kept.clone());
        saves.spawn(async move { world.save(&kept).await });
    }
    let results = saves.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_since_is_not_undone_and_neither_is_the_rest() {
    let world = World::new().await;
    let kept = world.keep(&world.draft().await).await;
    world.save(&kept).await.expect("saved");
    let mut change = world.begin().await;
    let tier = Target::Tier(world.acme.tier);
    authorizations::set(&mut change, Some(world.acme.parent), tier, say(State::Closed))
        .await
        .expect("another");
    change.commit().await.expect("it");
    let before = world.rules().await;
    let undone = world.undo(&kept).await;
    assert!(
        matches!(&undone, Err(StoreError::Meanwhile(said)) if said.contains("Parent was changed again since: it is “")),
        "{undone:?}"
    );
    assert_eq!(world.rules().await, before);
    assert!(world.get(kept.id).await.undone_at.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_narrows_what_they_lead_and_widens_nothing_by_narrowing_elsewhere() {
    let world = World::new().await;
    let acme = &world.acme;
    let mut change = acme.change().await;
    let elsewhere = store::groups::insert(&mut change, None, &group("Elsewhere")).await.expect("a group");
    change.commit().await.expect("it");
    let lead = Actor {
        user: Some(acme.user),
        role: Role::Member,
        leads: vec![acme.parent],
        ..acme.tenant.owner.clone()
    };
    let paths: [&[GroupId]; 2] = [&[acme.parent], &[acme.parent, acme.child]];
    let begin = || async {
        let permit = permit_in_all(&lead, Act::NarrowAuthorizations, &paths).expect("they lead both");
        Change::begin(&acme.store, permit).await.expect("a change begins")
    };
    let (tier, model) = (Target::Tier(acme.tier), Target::Model(acme.model));
    let narrow = world.edit(Some(acme.parent), tier, say(State::Closed)).await;
    let widen = world.edit(Some(acme.child), model, say(State::Open)).await;
    let mut change = begin().await;
    let looked = drafts::look(&mut change, &Draft { edits: vec![narrow, widen] }).await.expect("a look");
    assert!(looked[0].refused.is_none(), "{looked:?}");
    assert!(looked[1].refused.as_ref().is_some_and(|sentence| sentence.contains("Child")), "{looked:?}");
    let both = drafts::run(&mut change, &Draft { edits: vec![narrow, widen] }).await;
    assert!(matches!(both, Err(StoreError::Invalid { .. })), "{both:?}");
    drop(change);
    let mut change = begin().await;
    let made = drafts::run(&mut change, &Draft { edits: vec![narrow] }).await.expect("narrower");
    assert_eq!(made.len(), 1);
    drop(change);
    // Passing by a rule without the quota that is on the one above is no narrowing.
    let around = world.edit(Some(acme.parent), tier, say(State::Open)).await;
    let looked = drafts::look(&mut begin().await, &Draft { edits: vec![around] }).await.expect("a look");
    assert!(looked[0].refused.as_ref().is_some_and(|sentence| sentence.contains("quota")), "{looked:?}");
    // A lock from above stays.
    let mut change = acme.change().await;
    let lock = Some(Say { state: State::ByRequest, locked: true, ends_at: None });
    authorizations::set(&mut change, None, model, lock).await.expect("a lock");
    change.commit().await.expect("it");
    let mut change = begin().await;
    let under = Draft { edits: vec![world.edit(Some(acme.child), model, say(State::Closed)).await] };
    assert_eq!(drafts::run(&mut change, &under).await.expect("it comes to nothing").len(), 1);
    drop(change);
    for group in [None, Some(elsewhere)] {
        let draft = Draft { edits: vec![narrow, world.edit(group, tier, say(State::Closed)).await] };
        let looked = drafts::look(&mut begin().await, &draft).await;
        assert!(matches!(looked, Err(StoreError::NotPermitted(_))), "{looked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_and_what_they_name_stay_in_their_organization() {
    let store = testing::store().await;
    let operator = testing::operator(&store).await;
    let acme = Organization::in_store(&store, operator, "Acme").await;
    let globex = Organization::in_store(&store, operator, "Globex").await;
    let owner = permit(&acme.tenant.owner, Act::WidenAuthorizations, Place::Organization).expect("they may");
    let edit = |group, target| Edit { cell: Cell { group, target }, say: say(State::Open), seen: None };
    for edit in [
        edit(Some(globex.child), Target::All),
        edit(None, Target::Tier(globex.tier)),
        edit(Some(acme.child), Target::Model(globex.model)),
    ] {
        let mut change = testing::begin(&store, &acme.tenant.owner, Act::WidenAuthorizations).await;
        let made = drafts::run(&mut change, &Draft { edits: vec![edit] }).await;
        assert!(matches!(made, Err(StoreError::NotFound)), "{made:?}");
    }
    let draft = Draft { edits: vec![edit(Some(acme.child), Target::All)] };
    let id = drafts::keep(&store, &owner, &draft).await.expect("kept");
    let theirs = drafts::get(&store, globex.tenant.org, id).await;
    assert!(matches!(theirs, Err(StoreError::NotFound)), "{theirs:?}");
    let kept = drafts::get(&store, acme.tenant.org, id).await.expect("mine");
    let mut change = testing::begin(&store, &globex.tenant.owner, Act::WidenAuthorizations).await;
    assert!(drafts::save(&mut change, &kept).await.is_err(), "not even by its content");
    let nothing = drafts::keep(&store, &owner, &Draft::default()).await;
    assert!(matches!(nothing, Err(StoreError::Invalid { .. })), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_for_pages_are_read_anew_when_something_changed() {
    let world = World::new().await;
    let (store, org) = (&world.acme.store, world.acme.tenant.org);
    let first = access::current(store, org).await.expect("the facts");
    let second = access::current(store, org).await.expect("the facts");
    assert!(Arc::ptr_eq(&first, &second), "nothing changed");
    let other = testing::as_another_process(store);
    let mut change = testing::begin(&other, &world.acme.tenant.owner, Act::WidenAuthorizations).await;
    authorizations::set(&mut change, None, Target::All, say(State::Open)).await.expect("a rule");
    change.commit().await.expect("it");
    let third = access::current(store, org).await.expect("the facts");
    assert!(third.rules[&None].contains_key(&Target::All), "though another process changed it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_only_takes_note_stands_in_no_drafts_way_and_stays_as_it_is() {
    let world = World::new().await;
    let tier = Target::Tier(world.acme.tier);
    let mut change = world.acme.change().await;
    let noted = authorizations::observe(&mut change, None, tier, say(State::ByRequest)).await;
    let noted = noted.expect("a rule").expect("its id");
    change.commit().await.expect("it");
    let before = world.rules().await;
    let kept = world.keep(&world.draft().await).await;
    assert_eq!(world.save(&kept).await.expect("nobody changed a cell"), 3);
    assert_eq!(world.acme.facts().await.observed[&None][&tier].id, noted);
    assert_eq!(world.undo(&kept).await.expect("nor since"), 3);
    assert_eq!(said(&world.rules().await), said(&before));
    assert_eq!(world.acme.facts().await.observed[&None][&tier].id, noted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_would_break_a_pinned_test_is_not_saved() {
    let world = World::new().await;
    let mut change = testing::begin(&world.acme.store, &world.acme.tenant.owner, Act::EditAccessTests).await;
    let (name, model) = ("They have to ask".parse().expect("a name"), Target::Model(world.acme.model));
    let subject = Subject::Group(world.acme.child);
    access_tests::insert(&mut change, &name, subject, model, Expected::ByRequest).await.expect("pinned");
    change.commit().await.expect("it");
    let before = world.rules().await;
    let kept = world.keep(&world.draft().await).await;
    let refused = world.save(&kept).await;
    assert!(matches!(refused, Err(StoreError::Pinned(_))), "{refused:?}");
    assert_eq!(world.rules().await, before);
    // What does not break it is saved.
    let rest =
        Draft { edits: kept.draft.edits.into_iter().filter(|edit| edit.cell.target != model).collect() };
    assert_eq!(world.save(&world.keep(&rest).await).await.expect("the test holds"), 2);
}
