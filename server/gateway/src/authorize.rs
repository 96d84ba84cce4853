//! Step 2: may it use this model now?

use domain::{
    access::{
        Ask, Decision, Facts, ModelFacts, Observed, ProviderFacts, Reason, Verdict, beside, decide,
        left_with_a_group, person_refused,
    },
    ids::{AuthorizationId, ModelId, PolicyId},
    keys::Features,
    limits::Scope,
    models::Review,
    prices::Prices,
    time,
    why::{Over, first_over},
};

use crate::{
    authenticate::Caller,
    routing::{DEFAULT, PREFIX, unnamed},
    wire::{
        Route,
        models::Listed,
        refusal::{Detail, Kind, Refusal},
        request::Request,
    },
};

#[cfg(test)]
mod agreement;

/// A call that may be made, if there is room.
#[derive(Debug)]
pub struct Authorized {
    pub caller: Caller,
    pub request: Request,
    pub route: Route,
    pub model: ModelId,
    /// The policy that chose the model.
    pub policy: Option<PolicyId>,
    pub decision: Decision,
}

impl Authorized {
    /// The use case that the call names, empty for none. Those of its application are known; any other
    /// name is the error.
    pub fn use_case(&self) -> Result<&str, &str> {
        let label = self.request.use_case.as_deref().unwrap_or_default();
        let application = self.caller.application();
        let known = application.is_some_and(|app| app.use_cases.iter().any(|name| name == label));
        if known || label.is_empty() { Ok(label) } else { Err(label) }
    }

    pub fn model(&self) -> Option<&ModelFacts> {
        self.caller.snapshot.facts.models.get(&self.model)
    }

    pub fn provider(&self) -> Option<&ProviderFacts> {
        self.caller.snapshot.facts.providers.get(&self.model()?.provider)
    }

    pub fn prices(&self) -> Option<&Prices> {
        self.model()?.prices_at(self.caller.now)
    }
}

/// What is asked about a model in the name of a caller; nothing once the application is gone.
fn ask(caller: &Caller, model: ModelId, features: Features) -> Option<Ask<'_>> {
    let application = caller.application()?;
    let (group, user) = (application.group, caller.secret.user);
    Some(Ask { group, user, application: Some(application), model, features })
}

/// Asks `decide`, and says no in words. `public_url`: where somebody can ask for what is by request.
pub fn authorize(
    public_url: &str,
    caller: Caller,
    request: Request,
    route: Route,
    model: ModelId,
    policy: Option<PolicyId>,
) -> Result<Authorized, Refusal> {
    let facts = &caller.snapshot.facts;
    let Some(ask) = ask(&caller, model, request.features) else {
        return Err(Refusal::new(Kind::InvalidSecret, caller.id, "This secret's application is gone."));
    };
    let decision = decide(facts, &ask, caller.now);
    let name = || facts.models.get(&model).map_or("", |model| &model.name);
    match decision.verdict {
        Verdict::Allow => {}
        Verdict::NeedsApproval => return Err(needs_approval(public_url, &caller, name())),
        Verdict::Deny(reason) => return Err(denied(&caller, name(), reason)),
    }
    let mut authorized = Authorized { caller, request, route, model, policy, decision };
    served(&mut authorized)?;
    Ok(authorized)
}

/// What the rule that only observes says of this call, if one would have decided it.
pub fn observed(authorized: &Authorized) -> Option<Observed> {
    let Authorized { caller, request, decision, model, .. } = authorized;
    let ask = ask(caller, *model, request.features)?;
    beside(&caller.snapshot.facts, &ask, decision, caller.now)
}

/// What such a rule would have refused, in the words of a refusal.
pub fn would_refuse(authorized: &Authorized, observed: &Observed) -> Option<(Refusal, AuthorizationId)> {
    if observed.verdict == Verdict::Allow {
        return None;
    }
    let caller = &authorized.caller;
    let facts = &caller.snapshot.facts;
    let (kind, reason, says) = match observed.verdict {
        Verdict::NeedsApproval => (Kind::RequiresApproval, "requires_approval", "by request only"),
        _ => (Kind::ModelNotFound, Reason::Closed.as_str(), "closed"),
    };
    let name = facts.scope_name(Scope::Authorization(observed.rule));
    let message = format!("The rule {name} only observes. It says {says}, and would have refused this call.");
    let mut refusal = Refusal::new(kind, caller.id, message).about(Some("model"));
    refusal.detail = Box::new(Detail {
        reason: reason.to_owned(),
        scope: Some("authorization"),
        scope_id: Some(observed.rule.to_string()),
        scope_name: Some(name),
        ..*refusal.detail
    });
    Some((refusal, observed.rule))
}

/// Where a model of this catalogue answers.
fn route_of(facts: &Facts, model: &ModelFacts) -> Option<Route> {
    Route::of(facts.providers.get(&model.provider)?.dialect, model.modality)
}

/// Whether the model answers on this route: nothing is translated from one dialect to another.
fn served(authorized: &mut Authorized) -> Result<(), Refusal> {
    let Authorized { caller, route, .. } = &*authorized;
    let Some((model, provider)) = authorized.model().zip(authorized.provider()) else {
        return Err(no_such_model(caller, ""));
    };
    if provider.dialect == route.dialect() && route.serves(model.modality) {
        return priced_tools(authorized);
    }
    let Some(other) = route_of(&caller.snapshot.facts, model) else {
        return Err(no_such_model(caller, &model.name));
    };
    let message = format!("{} is served at {}. Call it there.", model.name, other.full_path());
    Err(Refusal::new(Kind::BadRequest, caller.id, message).about(Some("model")))
}

/// What a provider's own tool does costs something beside the tokens: without a price for it that
/// could be neither held nor charged. What is only offered is left out; what is asked for is refused.
fn priced_tools(authorized: &mut Authorized) -> Result<(), Refusal> {
    if authorized.route == Route::CountTokens {
        return Ok(());
    }
    let Some(prices) = authorized.prices() else { return Ok(()) };
    let Some(label) = authorized.request.tools.unpriced(prices) else { return Ok(()) };
    if let Some(rest) = authorized.request.without_unpriced(prices) {
        authorized.request = rest;
        return Ok(());
    }
    let Authorized { caller, .. } = &*authorized;
    let name = authorized.model().map_or("", |model| &model.name);
    let what = label.to_lowercase();
    let message = format!(
        "{name} has no price for {what} here, and this call could make some. Take the tool out, or have a price set."
    );
    let refusal = Refusal::new(Kind::FeatureNotAllowed, caller.id, message).about(Some("tools"));
    let group = caller.application().map(|application| application.group);
    let contact = caller.snapshot.facts.contact_for(group);
    Err(Refusal { detail: Box::new(Detail { contact, ..*refusal.detail }), ..refusal })
}

/// One answer for everything that is not visible: whether a model exists is not said. Where the group is over
/// that is said instead, whatever was asked for.
pub fn no_such_model(caller: &Caller, name: &str) -> Refusal {
    if let Some(refusal) = group_over(caller) {
        return refusal;
    }
    let shown: String = name.chars().take(100).collect();
    let message = format!("There is no model {shown} for this key. GET /v1/models lists what there is.");
    Refusal::new(Kind::ModelNotFound, caller.id, message).about(Some("model"))
}

/// What is said of every model when the caller's group, or one above it, has ended.
fn group_over(caller: &Caller) -> Option<Refusal> {
    let facts = &caller.snapshot.facts;
    let group = caller.application()?.group;
    let over = first_over(facts, group, caller.now)?;
    let with_it = facts.groups.get(&group).filter(|_| group != over.group);
    let with_it = with_it.map(|group| format!(", and {} with it", group.name)).unwrap_or_default();
    let message = format!(
        "{} ended on {}{with_it}. Nothing in it can call a model until it has a later last day.",
        over.name,
        time::date(over.last)
    );
    let refusal = Refusal::new(Kind::ModelNotFound, caller.id, message).about(Some("model"));
    Some(ended_by(caller, refusal, &over, Reason::GroupEnded))
}

/// A secret that ended with the group through which its person had it.
fn secret_over(caller: &Caller) -> Option<Refusal> {
    let facts = &caller.snapshot.facts;
    let (user, application) = caller.secret.user.zip(caller.application())?;
    let (group, _) = left_with_a_group(facts, user, application, caller.now)?;
    let over = first_over(facts, group, caller.now)?;
    Some(fell_with(caller, &over, "Use one of another group of yours."))
}

/// That a secret ended with a group, and what its caller does about it.
fn fell_with(caller: &Caller, over: &Over<'_>, helps: &str) -> Refusal {
    let message =
        format!("{} ended on {}, and this secret ended with it. {helps}", over.name, time::date(over.last));
    let refusal = Refusal::new(Kind::InvalidSecret, caller.id, message);
    ended_by(caller, refusal, over, Reason::NotAMember)
}

/// Says which group it was, its last day, and who may know how it goes on.
fn ended_by(caller: &Caller, mut refusal: Refusal, over: &Over<'_>, reason: Reason) -> Refusal {
    let contact = caller.snapshot.facts.contact_past(over.group, caller.now);
    refusal.message += &format!(" Ask {contact}.");
    refusal.detail = Box::new(Detail {
        reason: reason.as_str().to_owned(),
        scope: Some("group"),
        scope_id: Some(over.group.to_string()),
        scope_name: Some(over.name.to_owned()),
        ended_on: Some(over.last.to_string()),
        contact: Some(contact),
        ..*refusal.detail
    });
    refusal
}

/// What is said of a secret that died because a group ended; none: there was another reason, which nobody
/// hears. It stays dead where that group goes on, or its person has the key through another one by now.
pub fn fallen(caller: &Caller) -> Option<Refusal> {
    let facts = &caller.snapshot.facts;
    match person_refused(facts, caller.secret.user, caller.application(), caller.now) {
        Some(Reason::NotAMember) => secret_over(caller).or_else(|| fell_before(caller)),
        None => fell_before(caller),
        // Of a person who is away nothing is told.
        Some(_) => None,
    }
}

/// A secret that died with a group that is not over any more, or is over no longer for its person.
fn fell_before(caller: &Caller) -> Option<Refusal> {
    let (group, last) = caller.secret.fell?;
    let name = caller.snapshot.facts.groups.get(&group)?.name.as_str();
    let over = Over { group, name, last };
    Some(fell_with(caller, &over, "It stays dead: make a new one under My models."))
}

fn with_contact(caller: &Caller, mut refusal: Refusal, reason: Reason) -> Refusal {
    let group = caller.application().map(|application| application.group);
    let facts = &caller.snapshot.facts;
    let contact = facts.contact_for(group);
    if let Some(contact) = &contact {
        refusal.message += &format!(" Ask {contact}.");
    }
    // What a key leaves out is its application's; all else, the group's.
    let (scope, scope_id, scope_name) = match reason {
        Reason::KeyExcludes | Reason::FeatureOff(_) => {
            let name = caller.application().map(|application| application.name.clone());
            ("application", Some(caller.secret.application.to_string()), name)
        }
        _ => {
            let name = group.and_then(|id| facts.groups.get(&id)).map(|group| group.name.clone());
            ("group", group.map(|id| id.to_string()), name)
        }
    };
    let detail = Detail {
        reason: reason.as_str().to_owned(),
        scope: Some(scope),
        scope_id,
        scope_name,
        contact,
        ..*refusal.detail
    };
    refusal.detail = Box::new(detail);
    refusal
}

fn needs_approval(public_url: &str, caller: &Caller, name: &str) -> Refusal {
    let message = format!("{name} is open to your group by request only, and nobody has agreed yet.");
    let refusal = Refusal::new(Kind::RequiresApproval, caller.id, message).about(Some("model"));
    let mut refusal = with_contact(caller, refusal, Reason::Silence);
    // The form, filled in. Every character a model's name can have may stand in a query.
    let group =
        caller.application().map_or_else(String::new, |application| format!("&group={}", application.group));
    refusal.detail.request_url = Some(format!("{public_url}/requests/new?model={name}{group}"));
    refusal.detail.reason = "requires_approval".to_owned();
    refusal
}

fn denied(caller: &Caller, name: &str, reason: Reason) -> Refusal {
    let application = caller.application().map_or("this application", |application| &application.name);
    let refuse = |kind, message: String| Refusal::new(kind, caller.id, message);
    match reason {
        reason if reason.hides() => {
            tracing::debug!(call = %caller.id, reason = reason.as_str(), "model not visible");
            no_such_model(caller, name)
        }
        Reason::KeyExcludes => {
            let message = format!("The key of {application} is narrowed to other models than {name}.");
            with_contact(caller, refuse(Kind::ModelNotAllowed, message).about(Some("model")), reason)
        }
        Reason::FeatureOff(feature) => {
            let message = format!("The key of {application} has “{}” turned off.", feature.label());
            with_contact(caller, refuse(Kind::FeatureNotAllowed, message), reason)
        }
        Reason::UserSuspended => {
            let message = "This secret belongs to somebody who is suspended.".to_owned();
            with_contact(caller, refuse(Kind::InvalidSecret, message), reason)
        }
        _ => secret_over(caller).unwrap_or_else(|| {
            let message = "This secret's owner has left the groups its key is for.".to_owned();
            with_contact(caller, refuse(Kind::InvalidSecret, message), reason)
        }),
    }
}

/// Whether the person behind a secret may call at all, for routes that are about no model.
pub fn person(caller: &Caller) -> Result<(), Refusal> {
    let application = caller.application();
    match person_refused(&caller.snapshot.facts, caller.secret.user, application, caller.now) {
        Some(reason) => Err(denied(caller, "", reason)),
        None => Ok(()),
    }
}

/// The models that answer here, each with what is decided of a plain call.
fn answering(caller: &Caller) -> impl Iterator<Item = (&ModelFacts, Ask<'_>, Decision)> {
    let facts = &caller.snapshot.facts;
    facts.models.iter().filter(|(_, model)| !model.archived && model.review == Review::Accepted).filter_map(
        |(&id, model)| {
            let ask = ask(caller, id, Features::default())?;
            Some((model, ask, decide(facts, &ask, caller.now)))
        },
    )
}

/// A model that a caller may call, and what its calls pass by: they count in its quotas.
#[derive(Debug)]
pub struct Passed<'a> {
    pub model: &'a str,
    pub decision: Decision,
    /// The rule that only observes, and lets them pass, too.
    pub beside: Option<AuthorizationId>,
}

/// Every model a caller may call now, by name.
pub fn passed(caller: &Caller) -> Vec<Passed<'_>> {
    let passing = answering(caller).filter(|(_, _, decision)| decision.verdict == Verdict::Allow);
    let mut passed: Vec<_> = passing
        .map(|(model, ask, decision)| {
            let beside = beside(&caller.snapshot.facts, &ask, &decision, caller.now);
            let beside = beside.filter(|rule| rule.verdict == Verdict::Allow).map(|rule| rule.rule);
            Passed { model: &model.name, decision, beside }
        })
        .collect();
    passed.sort_unstable_by_key(|passed| passed.model);
    passed
}

/// What a caller can see: the same question for every model, and every policy with a model among
/// them. `requestable` adds those that somebody would have to agree to.
pub fn list(caller: &Caller, requestable: bool) -> Vec<Listed> {
    let facts = &caller.snapshot.facts;
    let models = answering(caller).filter_map(|(model, _, decision)| {
        let by_request = match decision.verdict {
            Verdict::Allow => false,
            Verdict::NeedsApproval if requestable => true,
            Verdict::NeedsApproval | Verdict::Deny(_) => return None,
        };
        let owned_by =
            facts.providers.get(&model.provider).map_or_else(String::new, |provider| provider.name.clone());
        Some(Listed { name: model.name.clone(), owned_by, created_at: model.created_at, by_request })
    });
    let unnamed = unnamed(caller).filter(|_| !facts.policies.contains_key(DEFAULT));
    let unnamed = unnamed.map(|found| (DEFAULT, found.policy));
    let named = facts.policies.iter().map(|(name, policy)| (name.as_str(), policy));
    let policies = named.chain(unnamed).filter_map(|(name, policy)| {
        let open = policy.steps.iter().filter(|(id, _)| {
            let ask = ask(caller, *id, Features::default());
            ask.is_some_and(|ask| decide(facts, &ask, caller.now).verdict == Verdict::Allow)
        });
        // As old as the oldest model that it can lead to.
        let created_at = open.filter_map(|(model, _)| Some(facts.models.get(model)?.created_at)).min()?;
        let (name, owned_by) = (format!("{PREFIX}{name}"), facts.org_name.clone());
        Some(Listed { name, owned_by, created_at, by_request: false })
    });
    let mut listed: Vec<Listed> = models.chain(policies).collect();
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    listed
}
