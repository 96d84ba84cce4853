//! What there is to ask for, and what agreeing to it changes.

use chrono::{DateTime, Utc};

use super::{Made, Replaced, Request, RequestState, Wish, accounts_of};
use crate::{
    access::{Ask, Decision, Facts, GrantFacts, Grantee, Reason, Verdict, decide},
    ids::{GroupId, ModelId, UserId},
    keys::Features,
    limits::Scope,
    why,
};

/// Why there is nothing to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NothingToAsk {
    /// It is open: nobody has to agree.
    Open,
    /// Closed, or not there: the two are not told apart.
    Hidden(Reason),
}

impl NothingToAsk {
    /// Why agreeing would change nothing.
    pub fn sentence(self, model: &str, group: &str) -> String {
        match self {
            Self::Open => format!("{model} is open to {group} by now: nobody has to agree any more."),
            Self::Hidden(reason) => format!(
                "A grant lifts “by request” and nothing else, and {model} cannot be called by {group} at all now: {}.",
                reason.sentence()
            ),
        }
    }
}

/// Whether a model can be asked for on a group's account, for one person or (none) for everybody.
/// One who has a grant may ask for the next.
///
/// # Errors
/// Why there is nothing to ask for.
pub fn askable(
    facts: &Facts,
    group: GroupId,
    user: Option<UserId>,
    model: ModelId,
    now: DateTime<Utc>,
) -> Result<(), NothingToAsk> {
    let decision = decide(facts, &ask(group, user, model), now);
    match decision.verdict {
        Verdict::NeedsApproval => Ok(()),
        Verdict::Allow if decision.grant.is_some() => Ok(()),
        Verdict::Allow => Err(NothingToAsk::Open),
        Verdict::Deny(reason) => Err(NothingToAsk::Hidden(reason)),
    }
}

/// Grants of a model to just these that hold at some time from now on: a new one takes their place.
pub fn running(
    facts: &Facts,
    model: ModelId,
    to: Grantee,
    now: DateTime<Utc>,
) -> impl Iterator<Item = &GrantFacts> {
    let grants = facts.grants.get(&model).map_or(&[][..], Vec::as_slice);
    grants.iter().filter(move |grant| grant.to == to && now < grant.ends_at)
}

/// The grant that ends when a request that waits is agreed to; none: there is none.
pub fn takes_place_of(facts: &Facts, request: &Request, now: DateTime<Utc>) -> Option<Replaced> {
    let model = request.wish.model().filter(|_| request.state == RequestState::Waiting)?;
    let to = if request.for_group {
        Grantee::Group(request.group.0)
    } else {
        Grantee::Member(request.group.0, request.requester.0)
    };
    Some(replaced(facts, running(facts, model, to, now).next()?))
}

/// A running grant as it is told to whoever ends it.
pub fn replaced(facts: &Facts, grant: &GrantFacts) -> Replaced {
    let limits = facts.limits.get(&Scope::Grant(grant.id)).map_or(&[][..], Vec::as_slice);
    let limits: Vec<String> = limits.iter().map(|limit| limit.meter.show_cap(limit.cap)).collect();
    Replaced { grant: grant.id, request: None, ends_at: grant.ends_at, limit: limits.join(", ") }
}

/// Why agreeing to a request that waits would change nothing, or why what was agreed to does nothing as long as
/// it holds; none: it does something, or is over.
pub fn idle(facts: &Facts, request: &Request, now: DateTime<Utc>) -> Option<String> {
    let waits = match request.state {
        RequestState::Waiting => true,
        RequestState::Approved => false,
        _ => return None,
    };
    match &request.wish {
        Wish::Raise { .. } if waits => request.needless().map(str::to_owned),
        Wish::Raise { .. } => idle_raise(request),
        Wish::Model { id, name, .. } => {
            let user = (!request.for_group).then_some(request.requester.0);
            let ask = ask(request.group.0, user, *id);
            if waits {
                let nothing = askable(facts, ask.group, user, *id, now).err()?;
                return Some(nothing.sentence(name, &request.group.1));
            }
            idle_grant(facts, &ask, (name, &request.group.1), now)
        }
    }
}

/// Why a grant lifts nothing now: neither on the account of its group nor on one below it.
fn idle_grant(
    facts: &Facts,
    ask: &Ask<'_>,
    (model, group): (&str, &str),
    now: DateTime<Utc>,
) -> Option<String> {
    let lifts = |decision: &Decision| decision.grant.is_some();
    let decision = decide(facts, ask, now);
    let why = match decision.verdict {
        Verdict::Allow if lifts(&decision) => return None,
        Verdict::Allow => format!("{model} is open to {group} anyway"),
        Verdict::NeedsApproval => return None,
        Verdict::Deny(reason) => why::why_not(facts, ask, reason, now),
    };
    let below = |id: &GroupId| {
        *id != ask.group && facts.groups.get(id).is_some_and(|facts| facts.path.contains(&ask.group))
    };
    let accounts = match ask.user {
        Some(user) => accounts_of(facts, user, now),
        None => facts.groups.keys().copied().collect(),
    };
    let mut below = accounts.into_iter().filter(below);
    let somewhere = below.any(|group| lifts(&decide(facts, &Ask { group, ..*ask }, now)));
    (!somewhere).then(|| format!("This does nothing now: {why}."))
}

/// Why a raise that was agreed to does nothing now: another cap holds.
fn idle_raise(request: &Request) -> Option<String> {
    let grant = request.grant.as_ref().filter(|grant| !grant.stands())?;
    let Made::Raise { now, .. } = grant.made else { return None };
    Some(match now {
        Some(cap) => format!("This does nothing now: the limit is {}.", request.wish.show(cap)),
        None => "This does nothing now: there is no such limit any more.".to_owned(),
    })
}

/// As somebody looks around, without an application's key.
fn ask(group: GroupId, user: Option<UserId>, model: ModelId) -> Ask<'static> {
    Ask { group, user, application: None, model, features: Features::default() }
}
