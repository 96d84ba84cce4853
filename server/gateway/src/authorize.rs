//! Step 2: may it use this model now?

use domain::{
    access::{Ask, Decision, ModelFacts, ProviderFacts, Reason, Verdict, decide, person_refused},
    ids::ModelId,
    keys::Features,
    models::Review,
    prices::Prices,
};

use crate::{
    Gateway,
    authenticate::Caller,
    wire::{
        models::Listed,
        refusal::{Detail, Kind, Refusal},
        request::Request,
    },
};

/// A call that may be made, if there is room.
#[derive(Debug)]
pub struct Authorized {
    pub caller: Caller,
    pub request: Request,
    pub model: ModelId,
    pub decision: Decision,
}

impl Authorized {
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

/// Asks `decide`, and says no in words.
pub fn authorize(
    gateway: &Gateway,
    caller: Caller,
    request: Request,
    route: crate::wire::Route,
) -> Result<Authorized, Refusal> {
    let facts = &caller.snapshot.facts;
    let Some(application) = caller.application() else {
        return Err(Refusal::new(Kind::InvalidSecret, caller.id, "This secret's application is gone."));
    };
    let Some(&model) = facts.model_names.get(&request.model) else {
        return Err(no_such_model(&caller, &request.model, Reason::UnknownModel));
    };
    let ask = Ask {
        group: application.group,
        user: caller.secret.user,
        application: Some(application),
        model,
        features: request.features,
    };
    let decision = decide(facts, &ask, caller.now);
    match decision.verdict {
        Verdict::Allow => {}
        Verdict::NeedsApproval => return Err(needs_approval(gateway, &caller, &request.model)),
        Verdict::Deny(reason) => return Err(denied(&caller, &request.model, reason)),
    }
    let authorized = Authorized { caller, request, model, decision };
    let speaks = authorized.provider().map(|provider| provider.dialect);
    if speaks != Some(route.dialect()) {
        let other = match route.dialect() {
            domain::providers::Dialect::OpenAi => "/v1/messages",
            domain::providers::Dialect::Anthropic => "/v1/chat/completions",
        };
        let message = format!("{} is served at {other}. Call it there.", authorized.request.model);
        return Err(Refusal::new(Kind::BadRequest, authorized.caller.id, message).about(Some("model")));
    }
    Ok(authorized)
}

/// One answer for everything that is not visible: whether a model exists is not said.
fn no_such_model(caller: &Caller, name: &str, reason: Reason) -> Refusal {
    tracing::debug!(call = %caller.id, reason = reason.as_str(), "model not visible");
    let shown: String = name.chars().take(100).collect();
    let message = format!("There is no model {shown} for this key. GET /v1/models lists what there is.");
    Refusal::new(Kind::ModelNotFound, caller.id, message).about(Some("model"))
}

fn with_contact(caller: &Caller, mut refusal: Refusal, reason: Reason) -> Refusal {
    let group = caller.application().map(|application| application.group);
    let facts = &caller.snapshot.facts;
    let contact = facts.contact_for(group);
    if let Some(contact) = &contact {
        refusal.message += &format!(" Ask {contact}.");
    }
    let detail = Detail {
        reason: reason.as_str().to_owned(),
        scope: Some("group"),
        scope_id: group.map(|id| id.to_string()),
        scope_name: group.and_then(|id| facts.groups.get(&id)).map(|group| group.name.clone()),
        contact,
        ..*refusal.detail
    };
    refusal.detail = Box::new(detail);
    refusal
}

fn needs_approval(gateway: &Gateway, caller: &Caller, name: &str) -> Refusal {
    let message = format!("{name} is open to your group by request only, and nobody has agreed yet.");
    let refusal = Refusal::new(Kind::RequiresApproval, caller.id, message).about(Some("model"));
    let mut refusal = with_contact(caller, refusal, Reason::Silence);
    // The form, filled in. Every character a model's name can have may stand in a query.
    let group =
        caller.application().map_or_else(String::new, |application| format!("&group={}", application.group));
    refusal.detail.request_url =
        Some(format!("{}/requests/new?model={name}{group}", gateway.settings.public_url));
    refusal.detail.reason = "requires_approval".to_owned();
    refusal
}

fn denied(caller: &Caller, name: &str, reason: Reason) -> Refusal {
    let application = caller.application().map_or("this application", |application| &application.name);
    let refuse = |kind, message: String| Refusal::new(kind, caller.id, message);
    match reason {
        reason if reason.hides() => no_such_model(caller, name, reason),
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
        _ => {
            let message = "This secret's owner has left the groups its key is for.".to_owned();
            with_contact(caller, refuse(Kind::InvalidSecret, message), reason)
        }
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

/// What a caller can see: the same question for every model. `requestable` adds those that
/// somebody would have to agree to.
pub fn list(caller: &Caller, requestable: bool) -> Vec<Listed> {
    let facts = &caller.snapshot.facts;
    let Some(application) = caller.application() else { return Vec::new() };
    let mut listed: Vec<Listed> = facts
        .models
        .iter()
        .filter(|(_, model)| !model.archived && model.review == Review::Accepted)
        .filter_map(|(&id, model)| {
            let ask = Ask {
                group: application.group,
                user: caller.secret.user,
                application: Some(application),
                model: id,
                features: Features::default(),
            };
            let by_request = match decide(facts, &ask, caller.now).verdict {
                Verdict::Allow => false,
                Verdict::NeedsApproval if requestable => true,
                Verdict::NeedsApproval | Verdict::Deny(_) => return None,
            };
            let owned_by = facts
                .providers
                .get(&model.provider)
                .map_or_else(String::new, |provider| provider.name.clone());
            Some(Listed { name: model.name.clone(), owned_by, created_at: model.created_at, by_request })
        })
        .collect();
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    listed
}
