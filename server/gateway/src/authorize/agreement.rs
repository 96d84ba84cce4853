//! What is enforced is what is listed is what is explained, over random organizations: the functions
//! that the calls themselves go through, without a network.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use domain::{
    access::{Ask, Facts, Step, Verdict, decide_with},
    ids::{ApplicationId, SecretId, UserId},
    keys::{Feature, Features},
    policies,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use store::keys::KnownSecret;
use uuid::Uuid;

use super::{authorize, list};
use crate::{
    authenticate::Caller,
    routing::{DEFAULT, PREFIX, unnamed},
    snapshot::Snapshot,
    wire::{
        Route,
        refusal::{Kind, Refusal},
        request::Request,
    },
};

// The organizations are those that the domain's own test of agreement draws from.
#[path = "../../../../app/domain/tests/it/organizations.rs"]
mod organizations;
#[path = "../../../../app/domain/tests/it/world.rs"]
mod world;

use organizations::{APPLICATION, MODELS, PEOPLE, any_features, any_organization};

fn caller(snapshot: &Arc<Snapshot>, user: Option<UserId>) -> Caller {
    Caller {
        snapshot: Arc::clone(snapshot),
        client_request: String::new(),
        secret: KnownSecret {
            hash: [0; 32],
            id: SecretId(Uuid::from_u128(1)),
            application: ApplicationId(world::id(APPLICATION)),
            user,
            expires_at: None,
            keeps_prompts: false,
            fell: None,
        },
        id: store::clock::id(),
        now: world::now(),
    }
}

/// A body for a model that uses these features, as clients write it, and the route it goes to. What is of
/// no kind that is served goes where words do.
fn request(facts: &Facts, model: &str, features: Features) -> (Route, Request) {
    let of = &facts.models[&world::model(model)];
    let dialect = facts.providers[&of.provider].dialect;
    let route = Route::of(dialect, of.modality).unwrap_or(Route::ChatCompletions);
    let body = match route {
        Route::Embeddings => json!({ "model": model, "input": "Hello" }),
        Route::Messages => message(model, features),
        _ => chat(model, features),
    };
    (route, Request::read(route, Bytes::from(body.to_string())).expect("a body"))
}

fn chat(model: &str, features: Features) -> Value {
    let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": "Hello" }] });
    for feature in features.iter() {
        match feature {
            Feature::Streaming => body["stream"] = json!(true),
            Feature::Tools => body["tools"] = json!([{ "type": "function", "function": { "name": "f" } }]),
            Feature::StructuredOutputs => body["response_format"] = json!({ "type": "json_object" }),
            Feature::Vision => {
                body["messages"][0]["content"] =
                    json!([{ "type": "image_url", "image_url": { "url": "x" } }]);
            }
            Feature::Reasoning => body["reasoning_effort"] = json!("high"),
            // A route of its own.
            Feature::Embeddings => {}
        }
    }
    body
}

/// The same in Anthropic's dialect, which has no structured outputs.
fn message(model: &str, features: Features) -> Value {
    let mut body =
        json!({ "model": model, "max_tokens": 100, "messages": [{ "role": "user", "content": "Hello" }] });
    for feature in features.iter() {
        match feature {
            Feature::Streaming => body["stream"] = json!(true),
            Feature::Tools => body["tools"] = json!([{ "name": "f", "input_schema": { "type": "object" } }]),
            Feature::Vision => {
                let source = json!({ "type": "url", "url": "x" });
                body["messages"][0]["content"] = json!([{ "type": "image", "source": source }]);
            }
            Feature::Reasoning => body["thinking"] = json!({ "type": "enabled", "budget_tokens": 50 }),
            Feature::StructuredOutputs | Feature::Embeddings => {}
        }
    }
    body
}

/// What a refusal stands for.
fn expected(verdict: Verdict) -> Option<Kind> {
    use domain::access::Reason;
    Some(match verdict {
        Verdict::Allow => return None,
        Verdict::NeedsApproval => Kind::RequiresApproval,
        Verdict::Deny(Reason::KeyExcludes) => Kind::ModelNotAllowed,
        Verdict::Deny(Reason::FeatureOff(_)) => Kind::FeatureNotAllowed,
        Verdict::Deny(Reason::UserSuspended | Reason::NotAMember) => Kind::InvalidSecret,
        Verdict::Deny(_) => Kind::ModelNotFound,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_enforced_is_listed_and_explained(organization in any_organization(), features in any_features()) {
        let facts = organization.facts();
        let snapshot = Arc::new(Snapshot::of(facts));
        let facts = &snapshot.facts;
        for user in std::iter::once(None).chain(PEOPLE.map(|name| Some(world::user(name)))) {
            let caller = caller(&snapshot, user);
            let names = |requestable| -> HashMap<String, bool> {
                list(&caller, requestable).into_iter().map(|model| (model.name, model.by_request)).collect()
            };
            let (listed, requestable) = (names(false), names(true));
            let enforce = |model: &str, features| -> Option<Refusal> {
                let (route, request) = request(facts, model, features);
                authorize("https://ai.example", caller.clone(), request, route, world::model(model), None).err()
            };
            for model in MODELS {
                // As it is called: with what a body like this uses.
                let used = request(facts, model, features).1.features;
                let application = caller.application();
                let group = application.expect("an application").group;
                let ask = Ask { group, user, application, model: world::model(model), features: used };
                let mut steps = Vec::new();
                let explained = decide_with(facts, &ask, world::now(), &mut steps).verdict;
                prop_assert_eq!(steps.last(), Some(&Step::Verdict(explained)));
                let refusal = enforce(model, features);
                prop_assert_eq!(refusal.as_ref().map(|refusal| refusal.kind), expected(explained), "{}", model);
                // Lists are about a call that uses nothing in particular.
                let plain = enforce(model, Features::default()).map(|refusal| refusal.kind);
                prop_assert_eq!(listed.contains_key(model), plain.is_none(), "{} is listed", model);
                let asked = requestable.get(model).copied();
                prop_assert_eq!(asked == Some(true), plain == Some(Kind::RequiresApproval), "{} can be asked for", model);
                prop_assert_eq!(asked == Some(false), plain.is_none(), "{} is listed among those", model);
            }
            // A policy is listed when one of its models takes the call.
            let named = facts.policies.iter().map(|(name, policy)| (name.as_str(), policy));
            let default = unnamed(&caller).map(|found| (DEFAULT, found.policy));
            for (name, policy) in named.chain(default) {
                let models = policies::order(policy.routing, &policy.steps, 0);
                let takes = models.iter().any(|model| enforce(&facts.models[model].name, Features::default()).is_none());
                prop_assert_eq!(listed.contains_key(&format!("{PREFIX}{name}")), takes, "{}", name);
            }
        }
    }
}
