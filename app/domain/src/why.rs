//! Why: a decision in words, step by step, and the cheapest changes that would turn a no into a yes.
//!
//! The words are about what [`crate::access::decide`] looked at; nothing here decides. Whether a
//! change helps is found out by making it to a copy of the facts and asking again.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    access::{
        Ask, Decision, Facts, GrantFacts, Grantee, Reason, Rule, Step, Verdict, decide, decide_with, ended,
        left_with_a_group,
    },
    authorizations::{State, Target},
    groups::Standing,
    ids::{AuthorizationId, GrantId, GroupId, ModelId, UserId},
    keys::{Feature, KeyModels},
    limits::{Level, Meter, Metric, Mode, Scope, Shortage, Worst},
    models::Review,
    prices::{self, DatedPrices},
    requests::Request,
    usage::Usage,
};

/// The whole path of a group, or the organization: `Engineering/Research`.
pub fn place(facts: &Facts, group: Option<GroupId>) -> String {
    let Some(id) = group else { return "the organization".to_owned() };
    let path = facts.groups.get(&id).map_or(&[][..], |group| group.path.as_slice());
    let names = path.iter().filter_map(|id| facts.groups.get(id)).map(|group| group.name.as_str());
    names.collect::<Vec<_>>().join("/")
}

/// The answer in one sentence. `who`: `Sam in Engineering/Research`. `asked`: a request for it waits.
pub fn sentence(
    facts: &Facts,
    who: &str,
    ask: &Ask<'_>,
    decision: &Decision,
    (steps, asked): (&[Step], bool),
    now: DateTime<Utc>,
) -> String {
    let name = facts.models.get(&ask.model).map_or("this model", |model| &model.name);
    let rule = steps.iter().find_map(|step| match step {
        Step::Rule { group, target, locked, decides: true, .. } => {
            let lock = if *locked { ", and locks it" } else { "" };
            Some(format!("{} says so about {}{lock}", place(facts, *group), facts.target_name(*target)))
        }
        _ => None,
    });
    let rule = rule.unwrap_or_else(|| "a rule says so".to_owned());
    match decision.verdict {
        Verdict::Allow if decision.grant.is_some() => {
            format!("{who} may use {name}: somebody agreed to a request, and the grant still holds.")
        }
        Verdict::Allow => format!("{who} may use {name}: {rule}."),
        Verdict::NeedsApproval => {
            let ask = match facts.contact_for(Some(ask.group)) {
                _ if asked => " It has been asked for.".to_owned(),
                contact => contact.map(|contact| format!(" Ask {contact}.")).unwrap_or_default(),
            };
            format!("{who} may use {name} once somebody has agreed: {rule}, and there is no grant.{ask}")
        }
        Verdict::Deny(Reason::Closed) => {
            format!("{who} may not use {name}: {}; {rule}.", Reason::Closed.sentence())
        }
        Verdict::Deny(reason) => format!("{who} may not use {name}: {}.", why_not(facts, ask, reason, now)),
    }
}

/// Why not, as the end of a sentence, with the group that has ended by its name.
pub fn why_not(facts: &Facts, ask: &Ask<'_>, reason: Reason, now: DateTime<Utc>) -> String {
    match reason {
        Reason::GroupEnded => over(facts, ask.group, now),
        Reason::NotAMember => ask.user.zip(ask.application).and_then(|(user, application)| {
            let (group, _) = left_with_a_group(facts, user, application, now)?;
            Some(format!("{}, and what its members hold ended with it", over(facts, group, now)?))
        }),
        _ => None,
    }
    .unwrap_or_else(|| reason.sentence())
}

/// What has ended of a group and those above it, and when: `Vision, which is above it, ended on 29 Nov 2026`;
/// none while all of them are open.
pub fn over(facts: &Facts, group: GroupId, now: DateTime<Utc>) -> Option<String> {
    let Over { group: ended, name, last } = first_over(facts, group, now)?;
    let above = if ended == group { "" } else { ", which is above it," };
    Some(format!("{name}{above} ended on {}", crate::time::date(last)))
}

/// Whether what left a group can be put back there: what has ended takes nothing in. None: the top of the tree.
pub fn takes_in(facts: &Facts, group: Option<GroupId>, now: DateTime<Utc>) -> bool {
    group.is_none_or(|group| over(facts, group, now).is_none())
}

/// A group that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over<'a> {
    /// Which.
    pub group: GroupId,
    /// What it is called.
    pub name: &'a str,
    /// Its last day.
    pub last: NaiveDate,
}

/// The first that ended of a group and those above it; none while all of them are open.
pub fn first_over(facts: &Facts, group: GroupId, now: DateTime<Utc>) -> Option<Over<'_>> {
    let (group, end) = ended(facts, group, now)?;
    let name = facts.groups.get(&group).map_or("a group", |group| group.name.as_str());
    Some(Over { group, name, last: facts.calendar.day(end - chrono::Duration::seconds(1)) })
}

/// To whom a grant was given, and until when.
pub fn grant(facts: &Facts, id: GrantId) -> Option<(String, DateTime<Utc>)> {
    let grant = facts.grants.values().flatten().find(|grant| grant.id == id)?;
    let person = |id: &UserId| facts.users.get(id).map(|user| user.name.clone());
    let to = match &grant.to {
        Grantee::User(user) => person(user),
        Grantee::Member(group, user) => {
            person(user).map(|name| format!("{name} in {}", place(facts, Some(*group))))
        }
        Grantee::Group(group) => Some(place(facts, Some(*group))),
    };
    Some((to.unwrap_or_else(|| "somebody".to_owned()), grant.ends_at))
}

/// What a grant does to a rule that says "by request": `A grant to Sam in Research lifts that, through 3 Dec 2026.`
pub fn lifts(facts: &Facts, id: GrantId) -> String {
    match grant(facts, id) {
        Some((to, ends_at)) => {
            let last = facts.calendar.day(ends_at - chrono::Duration::seconds(1));
            format!("A grant to {to} lifts that, through {}.", crate::time::date(last))
        }
        None => "A grant lifts that.".to_owned(),
    }
}

/// Whether the rule of a step is what decided in the end: no grant lifted it, and nothing else refused.
pub fn rule_decides(decision: &Decision) -> bool {
    decision.grant.is_none() && !matches!(decision.verdict, Verdict::Deny(reason) if reason != Reason::Closed)
}

/// The rule a step is about.
pub fn rule_of(facts: &Facts, group: Option<GroupId>, target: Target) -> Option<&Rule> {
    facts.rules.get(&group)?.get(&target)
}

/// The most a call of so many tokens can use: half of it read and half of it written would be a guess,
/// so that every token counts at the dearer price. Without a size: the smallest call there is.
pub fn worst(facts: &Facts, model: ModelId, tokens: Option<u64>, now: DateTime<Utc>) -> Worst {
    let tokens = tokens.unwrap_or(1).max(1);
    let (model, none) = (facts.models.get(&model), Usage::default());
    let cost = model.and_then(|model| model.prices_at(now)).map(|now| {
        [prices::ceiling(tokens, 0, &none, now), prices::ceiling(0, tokens, &none, now)]
            .into_iter()
            .flatten()
            .max()
    });
    Worst { input_tokens: tokens, output_tokens: 0, cost: cost.flatten().unwrap_or_default() }
}

/// A limit that a call has to fit into, with its level now.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// What it counts.
    pub meter: Meter,
    /// How much of it.
    pub cap: i64,
    /// What is used and held.
    pub level: Level,
    /// What the call would hold of it, in the unit of the metric.
    pub amount: i64,
    /// When it starts anew; none: never.
    pub ends_at: Option<DateTime<Utc>>,
}

impl Gate {
    /// The limit before a call. Only a call that costs nothing fits where no money is left.
    pub fn before(
        meter: Meter,
        cap: i64,
        level: Level,
        worst: &Worst,
        ends_at: Option<DateTime<Utc>>,
    ) -> Self {
        let amount = worst.amount(meter.metric);
        let amount = if meter.metric == Metric::Spend { amount } else { amount.max(1) };
        Self { meter, cap, level, amount, ends_at }
    }

    /// How tight a limit is for such calls: of two, the lesser is the tighter one. What only observes refuses
    /// nothing, and comes after all that do; otherwise it counts how many such calls still fit, and of as many,
    /// how much is used.
    pub fn looseness(&self, mode: Mode) -> (bool, i64, i64) {
        let room = self.level.room(self.cap).max(0);
        let calls = if self.amount > 0 { room / self.amount } else { i64::MAX };
        let used = self.level.settled.saturating_add(self.level.held);
        (mode != Mode::Enforce, calls, -crate::spend::percent(used, self.cap))
    }

    /// Whether the call fits.
    pub fn fits(&self) -> bool {
        self.level.fits(self.amount, self.cap).is_ok()
    }

    /// The least cap under which it would fit now; money in whole cents, which is how caps are set.
    pub fn enough(&self) -> i64 {
        const CENT: i64 = 10_000_000;
        let least = self.level.settled.saturating_add(self.level.held).saturating_add(self.amount);
        if self.meter.metric != Metric::Spend {
            return least;
        }
        match least % CENT {
            0 => least,
            over => least.saturating_add(CENT - over),
        }
    }
}

/// What would make room for a call that does not fit, the cheapest first: waiting costs nothing, where it
/// helps. `when` says a moment.
pub fn make_room(facts: &Facts, gate: &Gate, when: impl Fn(DateTime<Utc>) -> String) -> Option<String> {
    let shortage = gate.level.fits(gate.amount, gate.cap).err()?;
    let of =
        format!("the limit of {}, {}", facts.scope_name(gate.meter.scope), gate.meter.show_cap(gate.cap));
    if gate.meter.metric == Metric::ConcurrentCalls && gate.cap > 0 {
        return Some(format!("Wait until a call in flight has ended: {of}, is reached."));
    }
    if shortage == Shortage::Busy {
        let held = gate.meter.metric.show(gate.level.held);
        return Some(format!("Wait until calls in flight have ended: they hold {held} of {of}."));
    }
    let enough = gate.meter.metric.show_in_full(gate.enough());
    if let Scope::Grant(_) = gate.meter.scope {
        return Some(format!("Ask anew for {enough} or more: {of}, is used up."));
    }
    let anew = gate.ends_at.filter(|_| gate.amount <= gate.cap);
    Some(match anew {
        Some(end) => {
            let end = when(end);
            format!(
                "Wait until {end}, when {of}, starts anew; or an admin or owner raises it to {enough} or more."
            )
        }
        None => format!("An admin or owner raises {of}, to {enough} or more."),
    })
}

/// A change that makes a no into a yes, or the next step on the way there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fix {
    /// Ask for it: somebody has to agree.
    Ask(ModelId, GroupId),
    /// Say that the model is open to a group.
    Open(ModelId, GroupId),
    /// A lock above decides: change what it says (nothing: the organization's own).
    Unlock(AuthorizationId, Option<GroupId>, Target),
    /// Let a person in again.
    LetIn(UserId),
    /// Put a person into a group the key is for.
    Join(UserId, GroupId),
    /// Move the end of a group.
    Reopen(GroupId),
    /// Review the model.
    Accept(ModelId),
    /// Give the model a price.
    Price(ModelId),
    /// Add the model to the key's list.
    AllowInKey(ModelId),
    /// Turn a feature of the key on.
    TurnOn(Feature),
}

/// The changes, in order, after which the answer is yes. None when it is yes already, or when no
/// change short of a new model helps.
pub fn fixes(facts: &Facts, ask: &Ask<'_>, now: DateTime<Utc>) -> Vec<Fix> {
    if decide(facts, ask, now).verdict == Verdict::Allow {
        return Vec::new();
    }
    let (mut facts, mut application, user) = (facts.clone(), ask.application.cloned(), ask.user);
    let mut fixes = Vec::new();
    // Each reason is met once; a feature or an ended group may be met once each.
    for _ in 0..48 {
        let ask = Ask { application: application.as_ref(), ..*ask };
        let mut steps = Vec::new();
        let decision = decide_with(&facts, &ask, now, &mut steps);
        let Some(fix) = next(&facts, &ask, decision.verdict, &steps, now) else { break };
        make(&mut facts, &mut application, &fix, user, now);
        fixes.push(fix);
    }
    let ask = Ask { application: application.as_ref(), ..*ask };
    if decide(&facts, &ask, now).verdict == Verdict::Allow { fixes } else { Vec::new() }
}

/// What stands in the way next.
fn next(facts: &Facts, ask: &Ask<'_>, verdict: Verdict, steps: &[Step], now: DateTime<Utc>) -> Option<Fix> {
    let reason = match verdict {
        Verdict::Allow => return None,
        Verdict::NeedsApproval => return Some(Fix::Ask(ask.model, ask.group)),
        Verdict::Deny(reason) => reason,
    };
    let lock = steps.iter().find_map(|step| match step {
        Step::Rule { group, target, locked: true, decides: true, .. } => Some((*group, *target)),
        _ => None,
    });
    Some(match reason {
        Reason::UserSuspended => Fix::LetIn(ask.user?),
        Reason::NotAMember => {
            let (user, application) = (ask.user?, ask.application?);
            // The group that pays has to be open in any case, and whoever is in one that ended is in it again
            // when that is open.
            let over = first_ended(facts, ask.group, now)
                .or_else(|| left_with_a_group(facts, user, application, now).map(|(group, _)| group));
            match over {
                Some(group) => Fix::Reopen(group),
                None => {
                    let open = |group: &&GroupId| first_ended(facts, **group, now).is_none();
                    // The group of somebody's own context lets them call again, too, and is open.
                    let own = (application.personal == Some(user)).then_some(&ask.group);
                    let assigned = &application.assigned;
                    let group = assigned.iter().find(open).or(own).or_else(|| assigned.first());
                    Fix::Join(user, *group.unwrap_or(&ask.group))
                }
            }
        }
        Reason::GroupEnded => Fix::Reopen(first_ended(facts, ask.group, now)?),
        // It left the catalogue, or is of a kind that nobody can call: another one has to come.
        Reason::UnknownModel | Reason::NotServed => return None,
        Reason::Unreviewed => Fix::Accept(ask.model),
        Reason::Unpriced => Fix::Price(ask.model),
        Reason::Closed | Reason::Silence => match lock {
            // What is locked here about just this model is opened here.
            Some(at) if at == (Some(ask.group), Target::Model(ask.model)) => Fix::Open(ask.model, ask.group),
            Some((group, target)) => Fix::Unlock(rule_of(facts, group, target)?.id, group, target),
            None => Fix::Open(ask.model, ask.group),
        },
        Reason::KeyExcludes => Fix::AllowInKey(ask.model),
        Reason::FeatureOff(feature) => Fix::TurnOn(feature),
    })
}

/// The first group on the way down to this one that has ended.
fn first_ended(facts: &Facts, group: GroupId, now: DateTime<Utc>) -> Option<GroupId> {
    let ended = |id: &&GroupId| {
        facts.groups.get(*id).is_some_and(|group| group.ends_at.is_some_and(|end| end <= now))
    };
    facts.groups.get(&group)?.path.iter().find(ended).copied()
}

/// Makes a change to a copy of the facts.
fn make(
    facts: &mut Facts,
    application: &mut Option<crate::access::ApplicationFacts>,
    fix: &Fix,
    user: Option<UserId>,
    now: DateTime<Utc>,
) {
    let nil = uuid::Uuid::nil();
    let open = Rule { id: AuthorizationId(nil), state: State::Open, locked: false, ends_at: None };
    match fix {
        Fix::Ask(model, group) => {
            let to = user.map_or(Grantee::Group(*group), |user| Grantee::Member(*group, user));
            let ends_at = now + chrono::Duration::days(1);
            facts.grants.entry(*model).or_default().push(GrantFacts {
                id: GrantId(nil),
                to,
                starts_at: now,
                ends_at,
            });
        }
        Fix::Open(model, group) => {
            facts.rules.entry(Some(*group)).or_default().insert(Target::Model(*model), open);
        }
        Fix::Unlock(_, group, target) => {
            if let Some(rule) = facts.rules.get_mut(group).and_then(|rules| rules.get_mut(target)) {
                rule.locked = false;
            }
        }
        Fix::LetIn(user) => {
            if let Some(user) = facts.users.get_mut(user) {
                user.suspended = false;
            }
        }
        Fix::Join(user, group) => {
            if let Some(user) = facts.users.get_mut(user) {
                let (group, standing) = (*group, Standing::Member);
                user.memberships.push(crate::access::MembershipFacts { group, standing, ends_at: None });
            }
            // A key that is for no group yet has to be for this one, too.
            if let Some(application) = application
                && !application.assigned.contains(group)
            {
                application.assigned.push(*group);
            }
        }
        Fix::Reopen(group) => {
            if let Some(group) = facts.groups.get_mut(group) {
                group.ends_at = None;
            }
        }
        Fix::Accept(model) => {
            if let Some(model) = facts.models.get_mut(model) {
                model.review = Review::Accepted;
            }
        }
        Fix::Price(model) => {
            let free = crate::money::Price(0);
            let mut prices = crate::prices::Prices::default();
            for key in crate::prices::PriceKey::ALL {
                prices = prices.with(*key, Some(free));
            }
            if let Some(model) = facts.models.get_mut(model) {
                model.prices = vec![DatedPrices { from: now, prices }];
            }
        }
        Fix::AllowInKey(model) => {
            if let Some(KeyModels::These(models)) =
                application.as_mut().map(|application| &mut application.models)
            {
                models.push(*model);
            }
        }
        Fix::TurnOn(feature) => {
            if let Some(application) = application {
                application.features = application.features.with(*feature);
            }
        }
    }
}

/// A request that waits, in the place of the advice to ask: since when, and who can agree. `who`: whoever
/// asked, or `You`.
pub fn waits(facts: &Facts, request: &Request, who: &str) -> String {
    let for_all = match request.for_group {
        true => format!(" for everybody in {}", place(facts, Some(request.group.0))),
        false => String::new(),
    };
    let day = crate::time::date(facts.calendar.day(request.created_at));
    let so_far = request.progress().map(|progress| format!(" ({progress})")).unwrap_or_default();
    // Nobody decides on what they asked for, nor twice.
    let done: Vec<UserId> = std::iter::once(request.requester.0)
        .chain(request.approvals.iter().map(|approval| approval.who.0))
        .collect();
    let can = facts.contact_besides(request.group.0, &done).unwrap_or_else(|| "an admin".to_owned());
    let what = request.wish.name();
    format!("{who} asked for {what}{for_all} on {day}, and it still waits{so_far}: {can} can agree.")
}

/// A change in words. `who` makes it is part of them.
pub fn words(facts: &Facts, fix: &Fix) -> String {
    let model = |id: &ModelId| facts.models.get(id).map_or("the model", |model| &model.name).to_owned();
    let person = |id: &UserId| facts.users.get(id).map_or("the person", |user| &user.name).to_owned();
    match fix {
        Fix::Ask(id, group) => {
            let who = facts.contact_for(Some(*group)).unwrap_or_else(|| "an admin".to_owned());
            format!("Ask for {}; {who} can agree.", model(id))
        }
        Fix::Open(id, group) => {
            format!("An admin or owner opens {} for {}.", model(id), place(facts, Some(*group)))
        }
        Fix::Unlock(_, group, target) => format!(
            "An admin or owner unlocks, or changes, what {} says about {}.",
            place(facts, *group),
            facts.target_name(*target)
        ),
        Fix::LetIn(id) => format!("An admin or owner lets {} in again.", person(id)),
        Fix::Join(id, group) => format!(
            "A lead or admin adds {} to {}, and the key is for that group.",
            person(id),
            place(facts, Some(*group))
        ),
        Fix::Reopen(group) => {
            format!(
                "{} can give {} a later last day; an archived group stays closed.",
                facts.admins_by_name(),
                place(facts, Some(*group))
            )
        }
        Fix::Accept(id) => format!("An admin or owner reviews {}.", model(id)),
        Fix::Price(id) => format!("An admin or owner gives {} a price.", model(id)),
        Fix::AllowInKey(id) => format!("A lead or admin adds {} to the models of the key.", model(id)),
        Fix::TurnOn(feature) => format!("A lead or admin turns “{}” on for the key.", feature.label()),
    }
}
