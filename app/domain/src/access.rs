//! May this application, or this person, use this model now?
//!
//! [`decide`] is the only place that answers. The gateway enforces what it says, lists of models
//! are filtered by it, explanations print its trace. It is pure: [`Facts`] and the time come in.
//!
//! What it does not know: HTTP, SQL, and how much of a limit is left. The reservation has the last
//! word on money.

mod facts;

use chrono::{DateTime, Utc};
use smallvec::SmallVec;

use crate::{
    Map,
    authorizations::{Cell, State, Target},
    ids::{AuthorizationId, GrantId, GroupId, ModelId, PolicyId, UserId},
    keys::{Feature, Features},
    limits::{Meter, Metric, Mode, Scope, Subject},
    models::{Modality, Review},
    window::Window,
};

pub use facts::{
    ApplicationFacts, Facts, GrantFacts, Grantee, GroupFacts, MembershipFacts, ModelFacts, PolicyFacts,
    ProviderFacts, Rule, RuleSet, TierFacts, UserFacts, by_name,
};

/// What stands for a model that a call does not name.
#[derive(Clone, Copy, Debug)]
pub struct Unnamed<'a> {
    /// What callers write after `policy/`.
    pub name: &'a str,
    /// The policy.
    pub policy: &'a PolicyFacts,
    /// The group that says so; none: the key itself.
    pub from: Option<GroupId>,
}

/// The policy of a group's calls that name no model: its own, or the nearest one above.
pub fn policy_of_group(facts: &Facts, group: GroupId) -> Option<Unnamed<'_>> {
    let path = facts.groups.get(&group)?.path.as_slice();
    path.iter().rev().find_map(|&from| {
        let (name, policy) = policy_named(facts, facts.groups.get(&from)?.policy?)?;
        Some(Unnamed { name, policy, from: Some(from) })
    })
}

/// The policy of an application's calls that name no model: its key's, else its group's.
pub fn policy_of<'a>(facts: &'a Facts, application: &ApplicationFacts) -> Option<Unnamed<'a>> {
    let own = application.policy.and_then(|id| policy_named(facts, id));
    match own {
        Some((name, policy)) => Some(Unnamed { name, policy, from: None }),
        None => policy_of_group(facts, application.group),
    }
}

fn policy_named(facts: &Facts, id: PolicyId) -> Option<(&str, &PolicyFacts)> {
    facts.policies.iter().find(|(_, policy)| policy.id == id).map(|(name, policy)| (name.as_str(), policy))
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The group on whose account: the application's.
    pub group: GroupId,
    /// The person, where one is known.
    pub user: Option<UserId>,
    /// The application whose key narrows; none when a person looks around.
    pub application: Option<&'a ApplicationFacts>,
    /// Which model.
    pub model: ModelId,
    /// What the call uses.
    pub features: Features,
}

/// The answer, with what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Yes, after somebody agreed, or no.
    pub verdict: Verdict,
    /// The rule that decided; none when nothing matched.
    pub rule: Option<AuthorizationId>,
    /// The grant that lifted it.
    pub grant: Option<GrantId>,
}

/// Yes, after somebody agreed, or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go ahead.
    Allow,
    /// Visible, and somebody has to agree first.
    NeedsApproval,
    /// No.
    Deny(Reason),
}

/// As a state of a cell, for those who ask what somebody comes to.
impl From<Verdict> for State {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allow => Self::Open,
            Verdict::NeedsApproval => Self::ByRequest,
            Verdict::Deny(_) => Self::Closed,
        }
    }
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The person is suspended.
    UserSuspended,
    /// The person is no longer in a group the key is assigned to.
    NotAMember,
    /// The group, or one above it, has ended.
    GroupEnded,
    /// No such model, or it left the catalogue.
    UnknownModel,
    /// Nobody has reviewed it yet.
    Unreviewed,
    /// It has no price.
    Unpriced,
    /// Calls to a model of its kind are not served, by anybody's rules.
    NotServed,
    /// A rule says closed.
    Closed,
    /// No rule says anything.
    Silence,
    /// The group may; this key is narrowed to other models.
    KeyExcludes,
    /// The key has this feature off.
    FeatureOff(Feature),
}

impl Reason {
    /// Whether the model's existence stays unsaid.
    pub const fn hides(self) -> bool {
        matches!(
            self,
            Self::UnknownModel
                | Self::Unreviewed
                | Self::Unpriced
                | Self::NotServed
                | Self::Closed
                | Self::Silence
                | Self::GroupEnded
        )
    }

    /// The reason for people, as the end of a sentence.
    pub fn sentence(self) -> String {
        match self {
            Self::UserSuspended => "the person is suspended".to_owned(),
            Self::NotAMember => "the person is in none of the groups the key is for".to_owned(),
            Self::GroupEnded => "the group, or one above it, has ended".to_owned(),
            Self::UnknownModel => "the model, or its provider, is no longer in the catalogue".to_owned(),
            Self::Unreviewed => "nobody has reviewed the model yet".to_owned(),
            Self::Unpriced => "the model has no price".to_owned(),
            Self::NotServed => "models of its kind are not served here".to_owned(),
            Self::Closed => "it is closed".to_owned(),
            Self::Silence => "no rule on the way opens it, and silence denies".to_owned(),
            Self::KeyExcludes => "the group may, but the key is narrowed to other models".to_owned(),
            Self::FeatureOff(feature) => format!("the key has “{}” turned off", feature.label()),
        }
    }

    /// The reason as one word for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserSuspended => "user_suspended",
            Self::NotAMember => "not_a_member",
            Self::GroupEnded => "group_ended",
            Self::UnknownModel => "unknown_model",
            Self::Unreviewed => "unreviewed",
            Self::Unpriced => "unpriced",
            Self::NotServed => "not_served",
            Self::Closed => "closed",
            Self::Silence => "silence",
            Self::KeyExcludes => "key_excludes_model",
            Self::FeatureOff(_) => "feature_off",
        }
    }
}

/// One thing that was looked at on the way to a decision, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A rule that matches the model: where it is set, what it says, whether it decided.
    Rule {
        /// `None`: the organization's baseline.
        group: Option<GroupId>,
        /// What it is about.
        target: Target,
        /// What it says.
        state: State,
        /// Whether groups below cannot say otherwise.
        locked: bool,
        /// Whether it is the one that decided.
        decides: bool,
    },
    /// A grant that lifts *by request*.
    Grant(GrantId),
    /// A rule that only observes, and what it would say in the place of the answer.
    Observed(Observed),
    /// The verdict.
    Verdict(Verdict),
}

/// What a rule that only observes would have made of a call that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Which rule.
    pub rule: AuthorizationId,
    /// Where it is set; `None`: the organization's baseline.
    pub group: Option<GroupId>,
    /// What it is about.
    pub target: Target,
    /// What it would say.
    pub verdict: Verdict,
}

/// Takes the steps of a decision down; `()` takes nothing and costs nothing.
pub trait Trace {
    /// One more step.
    fn step(&mut self, step: impl FnOnce() -> Step);

    /// Whether anything is taken down at all.
    fn takes_notes(&self) -> bool {
        true
    }
}

impl Trace for () {
    fn step(&mut self, _: impl FnOnce() -> Step) {}

    fn takes_notes(&self) -> bool {
        false
    }
}

impl Trace for Vec<Step> {
    fn step(&mut self, step: impl FnOnce() -> Step) {
        self.push(step());
    }
}

/// Decides. See the module.
pub fn decide(facts: &Facts, ask: &Ask<'_>, now: DateTime<Utc>) -> Decision {
    decide_with(facts, ask, now, &mut ())
}

/// Decides, and takes down what was looked at.
pub fn decide_with(facts: &Facts, ask: &Ask<'_>, now: DateTime<Utc>, trace: &mut impl Trace) -> Decision {
    let decision = judge(facts, ask, now, trace);
    if trace.takes_notes()
        && let Some(observed) = observe(facts, ask, &decision, now)
    {
        trace.step(|| Step::Observed(observed));
    }
    trace.step(|| Step::Verdict(decision.verdict));
    decision
}

/// What the rules that only observe would have refused of a call that `decision` lets pass, if they
/// stood in the place of those that decide. None when they would let it pass, too.
pub fn observe(facts: &Facts, ask: &Ask<'_>, decision: &Decision, now: DateTime<Utc>) -> Option<Observed> {
    beside(facts, ask, decision, now).filter(|observed| observed.verdict != Verdict::Allow)
}

/// The rule that only observes and would have decided in the place of those that do, and what it says
/// about a call that `decision` lets pass. Where that is yes, too, the call counts in its quotas.
pub fn beside(facts: &Facts, ask: &Ask<'_>, decision: &Decision, now: DateTime<Utc>) -> Option<Observed> {
    if facts.observed.is_empty() || decision.verdict != Verdict::Allow {
        return None;
    }
    let path = open_path(facts, ask.group, now)?;
    let targets = covering(facts, Target::Model(ask.model));
    let matching = matching(&[&facts.observed, &facts.rules], path, &targets, None, now);
    let (group, target, rule) = matching[deciding(&matching)?];
    let own = facts.observed.get(&group).and_then(|rules| rules.get(&target));
    own.filter(|own| own.id == rule.id)?;
    let verdict = match rule.state {
        State::Open => Verdict::Allow,
        State::ByRequest if lifting_grant(facts, path, ask, now).is_some() => Verdict::Allow,
        State::ByRequest => Verdict::NeedsApproval,
        State::Closed => Verdict::Deny(Reason::Closed),
    };
    Some(Observed { rule: rule.id, group, target, verdict })
}

fn judge(facts: &Facts, ask: &Ask<'_>, now: DateTime<Utc>, trace: &mut impl Trace) -> Decision {
    let deny = |reason| Decision { verdict: Verdict::Deny(reason), rule: None, grant: None };
    if let Some(reason) = person_refused(facts, ask.user, ask.application, now) {
        return deny(reason);
    }
    let Some(path) = open_path(facts, ask.group, now) else {
        return deny(Reason::GroupEnded);
    };
    if let Err(reason) = callable(facts, ask.model, now) {
        return deny(reason);
    }
    let targets = covering(facts, Target::Model(ask.model));
    let Some((_, _, rule)) = ruling(facts, path, &targets, None, now, trace) else {
        return deny(Reason::Silence);
    };
    let decided = |verdict| Decision { verdict, rule: Some(rule.id), grant: None };
    if rule.state == State::Closed {
        return decided(Verdict::Deny(Reason::Closed));
    }
    if let Some(application) = ask.application {
        if !application.models.allow(ask.model) {
            return decided(Verdict::Deny(Reason::KeyExcludes));
        }
        let used = ask.features.or(needed(facts, ask.model));
        if let Some(feature) = used.without(application.features).iter().next() {
            return decided(Verdict::Deny(Reason::FeatureOff(feature)));
        }
    }
    if rule.state == State::Open {
        return decided(Verdict::Allow);
    }
    match lifting_grant(facts, path, ask, now) {
        Some(grant) => {
            trace.step(|| Step::Grant(grant));
            Decision { verdict: Verdict::Allow, rule: Some(rule.id), grant: Some(grant) }
        }
        None => decided(Verdict::NeedsApproval),
    }
}

/// A suspended person cannot call; neither can one who left the groups a shared key is for.
pub fn person_refused(
    facts: &Facts,
    user: Option<UserId>,
    application: Option<&ApplicationFacts>,
    now: DateTime<Utc>,
) -> Option<Reason> {
    let id = user?;
    let Some(user) = facts.users.get(&id) else {
        return Some(Reason::UserSuspended);
    };
    if user.suspended {
        return Some(Reason::UserSuspended);
    }
    let application = application?;
    // A private context is one of its group: who leaves that calls no longer on its account.
    let own = application.personal == Some(id) && belongs(facts, user, application.group, now);
    let assigned = || application.assigned.iter().any(|&group| belongs(facts, user, group, now));
    (!own && !assigned()).then_some(Reason::NotAMember)
}

/// Whether somebody belongs to a group: directly, or to one below it. Nobody belongs to what is over: with a
/// group, or one above it, ends whatever its members hold by it.
pub fn belongs(facts: &Facts, user: &UserFacts, group: GroupId, now: DateTime<Utc>) -> bool {
    user.memberships.iter().any(|membership| {
        membership.ends_at.is_none_or(|end| now < end)
            && open_path(facts, membership.group, now).is_some_and(|path| path.contains(&group))
    })
}

/// The group whose end took somebody out of all that a key is for, and since when: of those who would
/// belong to one of its groups still if that were open.
pub fn left_with_a_group(
    facts: &Facts,
    user: UserId,
    application: &ApplicationFacts,
    now: DateTime<Utc>,
) -> Option<(GroupId, DateTime<Utc>)> {
    let private = application.personal == Some(user);
    let is_for =
        |group: &GroupId| application.assigned.contains(group) || (private && application.group == *group);
    let memberships = facts.users.get(&user)?.memberships.iter();
    memberships
        .filter(|membership| membership.ends_at.is_none_or(|end| now < end))
        .filter(|membership| {
            facts.groups.get(&membership.group).is_some_and(|group| group.path.iter().any(is_for))
        })
        .filter_map(|membership| {
            let path = facts.groups.get(&membership.group)?.path.iter();
            let over = |id: &&GroupId| {
                facts.groups.get(*id).is_some_and(|group| group.ends_at.is_some_and(|end| end <= now))
            };
            // Whose path needs the fewest ends to be put off.
            Some((path.filter(over).count(), ended(facts, membership.group, now)?))
        })
        .min_by_key(|(many, (_, end))| (*many, *end))
        .map(|(_, found)| found)
}

/// The group on the path to this one that ended first, and since when nothing in it can call; none: all of
/// them are open.
pub fn ended(facts: &Facts, group: GroupId, now: DateTime<Utc>) -> Option<(GroupId, DateTime<Utc>)> {
    let path = facts.groups.get(&group)?.path.iter();
    path.filter_map(|id| Some((*id, facts.groups.get(id)?.ends_at.filter(|end| *end <= now)?)))
        .min_by_key(|(_, end)| *end)
}

/// The path from the root to the group, if every group on it is still open.
fn open_path(facts: &Facts, group: GroupId, now: DateTime<Utc>) -> Option<&[GroupId]> {
    let path = facts.groups.get(&group)?.path.as_slice();
    let open = path
        .iter()
        .all(|id| facts.groups.get(id).is_some_and(|group| group.ends_at.is_none_or(|end| now < end)));
    open.then_some(path)
}

/// Whether anybody could call a model, whatever they are authorized for.
///
/// # Errors
/// Why nobody can.
pub fn callable(facts: &Facts, id: ModelId, now: DateTime<Utc>) -> Result<(), Reason> {
    let model = facts.models.get(&id).filter(|model| !model.archived).ok_or(Reason::UnknownModel)?;
    let provider = facts.providers.get(&model.provider).filter(|provider| !provider.archived);
    let provider = provider.ok_or(Reason::UnknownModel)?;
    if model.review != Review::Accepted {
        return Err(Reason::Unreviewed);
    }
    if model.prices_at(now).is_none() {
        return Err(Reason::Unpriced);
    }
    if !model.modality.is_served(provider.dialect) {
        return Err(Reason::NotServed);
    }
    Ok(())
}

/// What every call to a model uses, whatever else is in it.
fn needed(facts: &Facts, model: ModelId) -> Features {
    match facts.models.get(&model).map(|model| model.modality) {
        Some(Modality::Embedding) => Features::default().with(Feature::Embeddings),
        _ => Features::default(),
    }
}

/// The rule that decides about a target on a path, and where it is set (`None`: the organization).
/// For a tier: what holds for its models unless something is said about one of them.
pub fn ruling_for(
    facts: &Facts,
    path: &[GroupId],
    target: Target,
    now: DateTime<Utc>,
) -> Option<(Option<GroupId>, Rule)> {
    ruling(facts, path, &covering(facts, target), None, now, &mut ()).map(|(place, _, rule)| (place, rule))
}

/// The same, with what the deciding rule is about; and, with `except`, as if nothing were said in
/// that cell.
pub fn ruling_in(
    facts: &Facts,
    path: &[GroupId],
    target: Target,
    except: Option<Cell>,
    now: DateTime<Utc>,
) -> Option<(Option<GroupId>, Target, Rule)> {
    ruling(facts, path, &covering(facts, target), except, now, &mut ())
}

/// The targets whose rules cover a target, the nearest first. `all` covers no high-cost tier: those
/// open only by their own name or a model's.
pub fn covering(facts: &Facts, target: Target) -> SmallVec<[Target; 3]> {
    let tier = match target {
        Target::Model(id) => facts.models.get(&id).map(|model| model.tier),
        Target::Tier(tier) => Some(tier),
        Target::All => None,
    };
    let high_cost = tier.is_some_and(|tier| facts.tiers.get(&tier).is_none_or(|tier| tier.high_cost));
    let mut targets = SmallVec::new();
    if target != Target::All {
        targets.push(target);
    }
    targets.extend(tier.map(Target::Tier).filter(|tier| *tier != target));
    if !high_cost {
        targets.push(Target::All);
    }
    targets
}

/// The first locked rule from the root down; without one, the one nearest to the group.
fn ruling(
    facts: &Facts,
    path: &[GroupId],
    targets: &[Target],
    except: Option<Cell>,
    now: DateTime<Utc>,
    trace: &mut impl Trace,
) -> Option<(Option<GroupId>, Target, Rule)> {
    let matching = matching(&[&facts.rules], path, targets, except, now);
    let decides = deciding(&matching);
    for (position, (group, target, rule)) in matching.iter().enumerate() {
        trace.step(|| Step::Rule {
            group: *group,
            target: *target,
            state: rule.state,
            locked: rule.locked,
            decides: Some(position) == decides,
        });
    }
    decides.map(|position| matching[position])
}

/// Rules on a path that match, in the order in which they were looked at.
type Matching = SmallVec<[(Option<GroupId>, Target, Rule); 8]>;

/// The rules that match, from the organization down, the nearest target first. Of two that say
/// something about the same target in the same place, the one of the first set counts. With
/// `except`, as if nothing were said in that cell.
fn matching(
    sets: &[&Map<Option<GroupId>, RuleSet>],
    path: &[GroupId],
    targets: &[Target],
    except: Option<Cell>,
    now: DateTime<Utc>,
) -> Matching {
    let mut matching = Matching::new();
    for place in std::iter::once(None).chain(path.iter().copied().map(Some)) {
        let here: SmallVec<[&RuleSet; 2]> = sets.iter().filter_map(|rules| rules.get(&place)).collect();
        if here.is_empty() {
            continue;
        }
        for &target in targets.iter().filter(|target| except != Some(Cell { group: place, target: **target }))
        {
            let mut said = here.iter().filter_map(|rules| rules.get(&target));
            if let Some(rule) = said.find(|rule| rule.ends_at.is_none_or(|end| now < end)) {
                matching.push((place, target, *rule));
            }
        }
    }
    matching
}

/// Which of them decides: the first locked one, else the first of those set nearest to the group.
fn deciding(matching: &Matching) -> Option<usize> {
    let nearest = matching.last().map(|(place, ..)| *place);
    matching
        .iter()
        .position(|(_, _, rule)| rule.locked)
        .or_else(|| matching.iter().position(|(place, ..)| Some(*place) == nearest))
}

fn lifting_grant(facts: &Facts, path: &[GroupId], ask: &Ask<'_>, now: DateTime<Utc>) -> Option<GrantId> {
    let grants = facts.grants.get(&ask.model)?;
    let fits = |grant: &&GrantFacts| {
        let to_caller = match grant.to {
            Grantee::User(user) => ask.user == Some(user),
            Grantee::Member(group, user) => ask.user == Some(user) && path.contains(&group),
            Grantee::Group(group) => path.contains(&group),
        };
        to_caller && grant.starts_at <= now && now < grant.ends_at
    };
    grants.iter().find(fits).map(|grant| grant.id)
}

/// A limit that applies to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What it counts.
    pub meter: Meter,
    /// How much of it.
    pub cap: i64,
    /// What happens without room.
    pub mode: Mode,
}

/// Every limit the call must fit into. A person without a monthly spend limit of their own has
/// the organization's default. The quotas of a rule that only observes count, and refuse nobody.
pub fn applicable(facts: &Facts, subject: &Subject<'_>) -> SmallVec<[Applied; 12]> {
    let mut applied = SmallVec::new();
    for scope in subject.scopes() {
        let own = facts.limits.get(&scope).map_or(&[][..], Vec::as_slice);
        let observes = subject.beside.is_some_and(|rule| scope == Scope::Authorization(rule));
        applied.extend(own.iter().map(|limit| Applied {
            meter: limit.meter,
            cap: limit.cap,
            mode: if observes { Mode::Observe } else { limit.mode },
        }));
        if matches!(scope, Scope::User(_)) {
            let meter = Meter { scope, metric: Metric::Spend, window: Window::Month };
            if let Some(cap) =
                facts.default_user_limit.filter(|_| !own.iter().any(|limit| limit.meter == meter))
            {
                applied.push(Applied { meter, cap: cap.0, mode: Mode::Enforce });
            }
        }
    }
    applied
}
