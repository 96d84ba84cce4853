//! Which models a call may go to: the one it names, or those of a policy in the order they are
//! tried.

use domain::{
    access::{PolicyFacts, Unnamed, policy_of},
    ids::{ModelId, PolicyId},
    policies,
};

use crate::{
    Gateway,
    authenticate::Caller,
    authorize::no_such_model,
    wire::{
        refusal::{Kind, Refusal},
        request::Request,
    },
};

/// Behind [`PREFIX`]: the policy of a call that names no model, unless one is called that.
pub const DEFAULT: &str = policies::DEFAULT;

/// What callers write before the name of a policy.
pub const PREFIX: &str = "policy/";

/// Where a call may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// To one model.
    Model(ModelId),
    /// To the first of these that takes it.
    Policy {
        /// Whose steps these are.
        id: PolicyId,
        /// Its models, in the order they are tried.
        models: Vec<ModelId>,
        /// Those of them that others were put before because they rest.
        rest: Vec<ModelId>,
    },
}

/// Plans a call. What it is called in refusals comes back beside the plan.
pub fn plan(gateway: &Gateway, caller: &Caller, request: &Request) -> Result<(String, Plan), Refusal> {
    let facts = &caller.snapshot.facts;
    let Some(name) = &request.model else {
        let found = unnamed(caller).ok_or_else(|| {
            Refusal::new(Kind::BadRequest, caller.id, "Name a model in `model`.").about(Some("model"))
        })?;
        return Ok((format!("{PREFIX}{}", found.name), ordered(gateway, caller, found.policy)));
    };
    let plan = match name.strip_prefix(PREFIX) {
        Some(DEFAULT) if !facts.policies.contains_key(DEFAULT) => {
            unnamed(caller).map(|found| ordered(gateway, caller, found.policy))
        }
        Some(policy) => facts.policies.get(policy).map(|policy| ordered(gateway, caller, policy)),
        None => facts.model_names.get(name).map(|&model| Plan::Model(model)),
    };
    match plan {
        Some(plan) => Ok((name.clone(), plan)),
        None => Err(no_such_model(caller, name)),
    }
}

/// The policy that stands for a model the caller does not name: its key's, else that of the nearest
/// group.
pub fn unnamed(caller: &Caller) -> Option<Unnamed<'_>> {
    policy_of(&caller.snapshot.facts, caller.application()?)
}

/// A policy's models as they are tried. Those that asked for a pause are tried last.
fn ordered(gateway: &Gateway, caller: &Caller, policy: &PolicyFacts) -> Plan {
    // The call's id ends in random bits.
    let (_, draw) = caller.id.0.as_u64_pair();
    let mut models = policies::order(policy.routing, &policy.steps, draw);
    // By one reading of the clock: what is said to rest is what was put last.
    let resting: Vec<ModelId> = models.iter().copied().filter(|model| gateway.health.rests(*model)).collect();
    let mut rest = Vec::new();
    if !resting.is_empty() {
        let awake = models.iter().rposition(|model| !resting.contains(model)).unwrap_or_default();
        rest.extend(models[..awake].iter().filter(|model| resting.contains(model)));
        models.sort_by_key(|model| resting.contains(model));
    }
    Plan::Policy { id: policy.id, models, rest }
}

/// Of two refusals the one that helps more: what passes by itself, then what money or a person can
/// lift, then what the key says, then what is not there.
pub fn more_useful(one: Refusal, other: Refusal) -> Refusal {
    let rank = |refusal: &Refusal| match refusal.kind {
        Kind::Busy => 0,
        Kind::RateLimited => 1,
        Kind::Unavailable => 2,
        Kind::QuotaExceeded => 3,
        Kind::BudgetExceeded => 4,
        Kind::RequiresApproval => 5,
        Kind::FeatureNotAllowed => 6,
        Kind::ModelNotAllowed => 7,
        Kind::BadRequest => 8,
        _ => 9,
    };
    if rank(&other) < rank(&one) { other } else { one }
}
