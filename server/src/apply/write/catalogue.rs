//! Tiers, providers, models, policies.

use domain::{
    models::Review,
    policies::{Rules, StepRules},
    providers::Waits,
};
use store::{StoreError, models::ModelForm, policies::PolicyForm, providers::ProviderForm};

use super::{Step, Writer, blame};
use crate::apply::{
    difference::{Action, Line},
    document::Model,
    things::Kind,
};

/// The version of what was just made.
const FIRST: i64 = 1;

impl Writer<'_> {
    pub(super) async fn tiers(&mut self) -> Step {
        for tier in &self.file.tiers {
            let name = tier.name.as_str().to_lowercase();
            let blame = |error| blame(&tier.lines, error);
            match (self.plan.action(&(Kind::Tier, name.clone())), self.present.ids.tiers.get(&name)) {
                (Some(Action::Add), _) => {
                    let made = store::models::insert_tier(self.change, &tier.name, tier.high_cost).await;
                    self.present.ids.tiers.insert(name, (made.map_err(blame)?, FIRST));
                }
                (Some(_), Some(&(id, version))) => {
                    store::models::update_tier(self.change, id, version, &tier.name, tier.high_cost)
                        .await
                        .map_err(blame)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) async fn providers(&mut self) -> Step {
        for provider in &self.file.providers {
            let name = provider.name.as_str().to_lowercase();
            let form = ProviderForm {
                name: provider.name.clone(),
                dialect: provider.dialect,
                base_url: provider.base_url.clone(),
                allow_private_address: provider.allow_private_address,
            };
            let credential = self.credentials.of(provider);
            let blame = |error| blame(&provider.lines, error);
            match (self.plan.action(&(Kind::Provider, name.clone())), self.present.ids.providers.get(&name)) {
                (Some(Action::Add), _) => {
                    let made = store::providers::insert(self.change, &form, &credential).await;
                    let id = made.map_err(blame)?;
                    self.present.ids.providers.insert(name, (id, FIRST));
                    if provider.waits != Waits::default() {
                        store::providers::set_waits(self.change, id, FIRST, &provider.waits)
                            .await
                            .map_err(blame)?;
                    }
                }
                (Some(_), Some(&(id, version))) => {
                    store::providers::update(self.change, id, version, &form, &credential)
                        .await
                        .map_err(blame)?;
                    store::providers::set_waits(self.change, id, version + 1, &provider.waits)
                        .await
                        .map_err(blame)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) async fn models(&mut self) -> Step {
        for model in &self.file.models {
            let name = model.name.as_str();
            let Some(line) = self.plan.of(&(Kind::Model, name.to_owned())) else { continue };
            let known = self.present.ids.models.get(name).copied();
            let form = self.model_form(model)?;
            let blame = |error| blame(&model.lines, error);
            let id = match known {
                None => {
                    let made = store::models::insert(self.change, &form, model.review).await;
                    let id = made.map_err(blame)?;
                    self.present.ids.models.insert(name.to_owned(), (id, FIRST));
                    id
                }
                Some((id, version)) => {
                    if line.touches(|field| !field.starts_with("price.") && field != "review") {
                        store::models::update(self.change, id, version, &form).await.map_err(blame)?;
                    }
                    if line.touches(|field| field == "review") && model.review == Review::Accepted {
                        store::models::accept(self.change, id).await.map_err(blame)?;
                    }
                    id
                }
            };
            if prices_differ(line) {
                let from = self.change.at();
                store::models::set_prices(self.change, id, from, &model.price).await.map_err(blame)?;
            }
        }
        Ok(())
    }

    fn model_form(&self, model: &Model) -> Step<ModelForm> {
        let ids = &self.present.ids;
        Ok(ModelForm {
            name: model.name.clone(),
            provider: ids.providers.get(&model.provider.to_lowercase()).ok_or(StoreError::NotFound)?.0,
            upstream: model.upstream.clone(),
            modality: model.modality,
            tier: ids.tiers.get(&model.tier.to_lowercase()).ok_or(StoreError::NotFound)?.0,
            context_tokens: model.context_tokens,
            max_output_tokens: model.max_output_tokens,
        })
    }

    pub(super) async fn policies(&mut self) -> Step {
        for policy in &self.file.policies {
            let name = policy.name.as_str();
            let Some(action) = self.plan.action(&(Kind::Policy, name.to_owned())) else { continue };
            let (mut steps, mut rules) = (Vec::new(), Rules::new());
            for (model, weight, own) in &policy.steps {
                let model = self.model(&model.name)?;
                steps.push((model, *weight));
                if *own != StepRules::default() {
                    rules.insert(model, *own);
                }
            }
            let form = PolicyForm { name: policy.name.clone(), routing: policy.routing, steps, rules };
            let blame = |error| blame(&policy.lines, error);
            match (action, self.present.ids.policies.get(name)) {
                (Action::Change, Some(&(id, version))) => {
                    store::policies::update(self.change, id, version, &form).await.map_err(blame)?;
                }
                _ => {
                    let id = store::policies::insert(self.change, &form).await.map_err(blame)?;
                    self.present.ids.policies.insert(name.to_owned(), (id, FIRST));
                }
            }
        }
        Ok(())
    }
}

/// Whether a model needs a new price: an added one only if it has any.
fn prices_differ(line: &Line) -> bool {
    line.fields.iter().any(|changed| changed.field.starts_with("price."))
}
