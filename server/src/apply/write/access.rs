//! Authorizations, applications, keys, secrets.

use domain::{
    authorizations::Target as TargetId,
    ids::{AuthorizationId, GroupId, KeyId},
    keys::KeyModels as KeyModelIds,
    limits::Mode,
};
use store::{StoreError, applications::ApplicationForm, authorizations::Say, keys::KeyForm};

use super::{Step, Writer, blame};
use crate::apply::{
    difference::{Action, Line},
    document::{Application, KeyModels, Target},
    print::Secret,
    things::{self, Kind},
};

impl Writer<'_> {
    pub(super) async fn authorizations(&mut self) -> Step {
        for rule in &self.file.authorizations {
            let key = things::authorization_key(rule.group.as_deref(), &rule.target, rule.mode);
            if self.plan.action(&key).is_none() {
                continue;
            }
            let group = rule.group.as_deref().map(|path| self.group(path)).transpose()?;
            let target = self.target(&rule.target)?;
            let say = Say { state: rule.state, locked: rule.locked, ends_at: rule.ends_at };
            let set = self.say(group, target, Some(say), rule.mode).await;
            if let Some(id) = set.map_err(|error| blame(&rule.lines, error))? {
                self.present.ids.authorizations.insert(key, id);
            }
        }
        let mut gone = Vec::new();
        for rule in &self.present.document.authorizations {
            let key = things::authorization_key(rule.group.as_deref(), &rule.target, rule.mode);
            if self.plan.action(&key) == Some(Action::Remove) {
                let group = rule.group.as_deref().map(|path| self.group(path)).transpose()?;
                gone.push((group, self.target(&rule.target)?, rule.mode));
            }
        }
        for (group, target, mode) in gone {
            self.say(group, target, None, mode).await?;
        }
        Ok(())
    }

    /// A rule that decides, or one that only takes note.
    async fn say(
        &mut self,
        group: Option<GroupId>,
        target: TargetId,
        say: Option<Say>,
        mode: Mode,
    ) -> store::Result<Option<AuthorizationId>> {
        match mode {
            Mode::Enforce => store::authorizations::set(self.change, group, target, say).await,
            Mode::Observe => store::authorizations::observe(self.change, group, target, say).await,
        }
    }

    fn target(&self, target: &Target) -> Step<TargetId> {
        Ok(match target {
            Target::All => TargetId::All,
            Target::Model(name) => TargetId::Model(self.model(name)?),
            Target::Tier(name) => {
                let known = self.present.ids.tiers.get(&name.to_lowercase());
                TargetId::Tier(known.ok_or(StoreError::NotFound)?.0)
            }
        })
    }

    pub(super) async fn applications(&mut self) -> Step {
        for application in &self.file.applications {
            let key = things::application_key(&application.group, application.name.as_str());
            let Some(line) = self.plan.of(&key) else { continue };
            let form = ApplicationForm {
                name: application.name.clone(),
                description: application.description.clone(),
                use_cases: application.use_cases.clone(),
            };
            let wanted = self.key_form(application)?;
            let blame = |error| blame(&application.lines, error);
            match self.present.ids.applications.get(&key).copied() {
                Some(((id, version), (own, key_version))) => {
                    if line.touches(|field| !field.starts_with("key.")) {
                        store::applications::update(self.change, id, version, &form).await.map_err(blame)?;
                    }
                    if line.touches(|field| field.starts_with("key.")) {
                        store::keys::update(self.change, own, key_version, &wanted).await.map_err(blame)?;
                    }
                }
                None => {
                    let group = self.group(&application.group)?;
                    let (models, features) = (&wanted.models, wanted.features);
                    let made = store::applications::insert(self.change, group, &form, models, features).await;
                    let (id, own) = made.map_err(blame)?;
                    if has_more(line) {
                        store::keys::update(self.change, own, 1, &wanted).await.map_err(blame)?;
                    }
                    self.present.ids.applications.insert(key, ((id, 1), (own, 1)));
                }
            }
        }
        Ok(())
    }

    fn key_form(&self, application: &Application) -> Step<KeyForm> {
        let key = &application.key;
        let models = match &key.models {
            KeyModels::All => KeyModelIds::All,
            KeyModels::These(names) => {
                let ids: Result<Vec<_>, _> = names.iter().map(|model| self.model(&model.name)).collect();
                KeyModelIds::These(ids?)
            }
        };
        let assigned: Result<Vec<_>, _> =
            key.assigned_groups.iter().map(|group| self.group(&group.name)).collect();
        let policy = match &key.policy {
            Some(name) => Some(self.present.ids.policies.get(name).ok_or(StoreError::NotFound)?.0),
            None => None,
        };
        Ok(KeyForm { models, features: key.features, policy, assigned: assigned?, handling: key.handling })
    }

    pub(super) async fn service_secrets(&mut self) -> Step {
        for application in self.file.applications.iter().filter(|application| application.service_secret) {
            let key = things::application_key(&application.group, application.name.as_str());
            if self.plan.action(&(Kind::Secret, key.1.clone())) != Some(Action::Add) {
                continue;
            }
            let known = self.present.ids.applications.get(&key).ok_or(StoreError::NotFound)?;
            let own: KeyId = known.1.0;
            let plain = store::keys::issue_service(self.change, own, None)
                .await
                .map_err(|error| blame(&application.lines, error))?;
            self.secrets.push(Secret {
                application: application.name.to_string(),
                group: application.group.clone(),
                plain,
            });
        }
        Ok(())
    }
}

/// Whether a new key is more than models and features: what it is made with.
fn has_more(line: &Line) -> bool {
    line.fields.iter().any(|changed| {
        matches!(changed.field, "key.policy" | "key.assigned_groups" | "key.cache_seconds" | "key.guardrails")
    })
}
