//! Routing policies.

use domain::{ids::ModelId, policies::Policy};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::my_models::Door;
use crate::{error::AppError, frame::Done};

/// Every policy, and the models one could name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policies {
    /// By name.
    pub policies: Vec<Policy>,
    /// Models: id and name.
    pub models: Vec<(String, String)>,
    /// Of the models that policies name, those that cannot be called any more.
    pub gone: Vec<ModelId>,
    /// Where each model that policies name answers, as far as it can be called.
    pub doors: Vec<(ModelId, Door)>,
}

/// Every policy.
#[server(prefix = "/console", endpoint = "policies/list")]
pub async fn load_policies() -> Result<Policies, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let models = store::models::list(&cx.store, org).await.known()?;
        let policies = store::policies::list(&cx.store, org).await.known()?;
        let facts = store::access::current(&cx.store, org).await.known()?;
        let left = |id: &ModelId| {
            let live = facts.models.get(id).filter(|model| !model.archived);
            let provider = live.and_then(|model| facts.providers.get(&model.provider));
            provider.is_none_or(|provider| provider.archived)
        };
        let named = policies.iter().flat_map(|policy| &policy.steps).map(|(id, ..)| *id);
        let door = |id: ModelId| {
            let model = facts.models.get(&id)?;
            let dialect = facts.providers.get(&model.provider).map(|provider| provider.dialect);
            Some((id, my_limits::door(dialect, model.modality)?))
        };
        Ok(Policies {
            gone: named.clone().filter(left).collect(),
            doors: named.filter(|id| !left(id)).filter_map(door).collect(),
            policies,
            models: models.into_iter().map(|model| (model.id.to_string(), model.name)).collect(),
        })
    })
    .await
}

/// Adds a policy, or changes one.
#[server(prefix = "/console", endpoint = "policies/save")]
pub async fn save_policy(
    #[server(default)] id: String,
    #[server(default)] version: String,
    name: String,
    routing: String,
    steps: String,
    #[server(default)] after: Vec<String>,
    #[server(default)] attempts: Vec<String>,
    #[server(default)] first_byte: Vec<String>,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::PolicyId, roles::Act};
    use store::policies::PolicyForm;
    handle(|cx| async move {
        let permit = cx.permit(Act::EditPolicies)?;
        let models = store::models::list(&cx.store, permit.org()).await.known()?;
        let id = read_some::<PolicyId>("id", &id)?;
        let was = match id {
            Some(id) => Some(store::policies::get(&cx.store, permit.org(), id).await.known()?),
            None => None,
        };
        let (before, known) = was.clone().map(domain::policies::Policy::said).unwrap_or_default();
        let models = nameable(&models, was.as_ref());
        let steps = read_steps(&models, &steps)?;
        let lines = RuleLines { after, attempts, first_byte };
        let form = PolicyForm {
            name: read("name", &name)?,
            routing: read("routing", &routing)?,
            rules: lines.read(&models, &steps, &before, &known)?,
            steps,
        };
        let mut change = cx.change(permit).await?;
        match id {
            Some(id) => {
                store::policies::update(&mut change, id, read("version", &version)?, &form).await.known()?
            }
            None => {
                store::policies::insert(&mut change, &form).await.known()?;
            }
        }
        let saved = change.commit().await.known()?;
        let undo = was.as_ref().filter(|_| saved).map(ways_back::policy);
        let said = match form.name.as_str() {
            domain::policies::DEFAULT => {
                "Policy saved. Calls to policy/default go to it now, whatever their key or group names."
            }
            _ => "Policy saved.",
        };
        Ok(Done::said(said).then("/policies").undone_by(undo))
    })
    .await
}

/// Takes a policy out of use. `version`: as it was shown; `typed`: its
/// name, typed out.
#[server(prefix = "/console", endpoint = "policies/archive")]
pub async fn archive_policy(
    id: String,
    version: i64,
    #[server(default)] typed: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::PolicyId, roles::Act};
    handle(|cx| async move {
        let id: PolicyId = read("id", &id)?;
        let mut change = cx.change(cx.permit(Act::EditPolicies)?).await?;
        as_shown(&mut change, id.0, version, Some(&typed)).await?;
        store::policies::archive(&mut change, id).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Policy archived."))
    })
    .await
}
