//! What an installation has now: the document it would export, and the ids behind its names.

use std::collections::{HashMap, HashSet};

use domain::{
    access::Facts,
    authorizations::Target as TargetId,
    groups::{Source as Origin, Standing},
    ids::{
        ApplicationId, AuthorizationId, GroupId, KeyId, LimitId, ModelId, OrgId, PolicyId, ProviderId,
        TierId, UserId,
    },
    keys::KeyModels as KeyModelIds,
    limits::{Limit as LimitFact, Meter, Scope},
    names::GroupName,
    prices::Prices,
};
use store::{Result, Store, requests::Raising};

use super::{
    document::{
        Application, Authorization, Document, Group, Key, KeyModels, Limit, Lines, Membership, Model,
        Organization, Policy, Provider, Reference, Settings, Source, Target, Tier, User,
    },
    things::{self, Key as ThingKey, Kind},
};

/// An id and the version that goes with it.
pub type Known<Id> = (Id, i64);

/// The ids behind names. Grows as things are made.
#[derive(Debug, Default)]
pub struct Ids {
    /// Tiers by name, in lower case as providers and groups are.
    pub tiers: HashMap<String, Known<TierId>>,
    /// Providers by name.
    pub providers: HashMap<String, Known<ProviderId>>,
    /// Models by name.
    pub models: HashMap<String, Known<ModelId>>,
    /// Groups by path.
    pub groups: HashMap<String, Known<GroupId>>,
    /// People by address.
    pub users: HashMap<String, Known<UserId>>,
    /// Policies by name.
    pub policies: HashMap<String, Known<PolicyId>>,
    /// Applications by their key, with their API key.
    pub applications: HashMap<ThingKey, (Known<ApplicationId>, Known<KeyId>)>,
    /// Rules by their key.
    pub authorizations: HashMap<ThingKey, AuthorizationId>,
    /// Limits by their key.
    pub limits: HashMap<ThingKey, LimitId>,
    /// Limits that are raised for a time, and to what: `$39.00 a month until 5 Dec 2026`.
    pub raises: HashMap<ThingKey, String>,
    /// The same by what they count.
    raised: HashMap<Meter, Raising>,
}

/// What an installation has now.
#[derive(Debug, Default)]
pub struct Present {
    /// As a file would say it.
    pub document: Document,
    /// The ids behind it.
    pub ids: Ids,
    /// The organization's version.
    pub version: i64,
    /// Memberships that nobody put there by hand: a file takes them away only if it names them.
    kept: HashSet<ThingKey>,
    /// Applications that have had a service secret.
    had_secret: HashSet<ThingKey>,
    /// Stored credentials by provider, in plain text.
    pub credentials: HashMap<String, String>,
}

impl Present {
    /// Whether a thing stays although a file that names its owner leaves it out.
    pub fn is_kept(&self, key: &ThingKey) -> bool {
        self.kept.contains(key)
    }

    /// Whether this is a service secret of an application that has had one. Revoked is revoked: a
    /// file does not undo it.
    pub fn had_secret(&self, key: &ThingKey) -> bool {
        key.0 == Kind::Secret && self.had_secret.contains(key)
    }

    /// Whether a provider has a stored credential, in a word.
    pub fn credential_word(&self, key: &ThingKey) -> String {
        if self.credentials.contains_key(&key.1) { "set" } else { "none" }.to_owned()
    }

    /// The variable the credential of a provider came from.
    pub fn variable_of(&self, provider: &str) -> Option<&str> {
        let mut known = self.document.providers.iter();
        match &known.find(|known| known.name.as_str().to_lowercase() == provider)?.credential {
            Some(Source::Variable { name, .. }) => Some(name),
            Some(Source::Nothing) | None => None,
        }
    }

    /// Reads an organization. Nothing may change it meanwhile: whoever reads holds its row.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn read(store: &Store, org: OrgId) -> Result<Self> {
        let mut facts = store::access::facts(store, org).await?;
        // A file says what lasts: a cap that is raised until a day is in it as it is without that.
        facts.recap(&store::requests::lasting_caps(store, org).await?);
        let mut present = Self::default();
        present.ids.raised = store::requests::raised_limits(store, org).await?;
        let names = Names::read(store, org).await?;
        present.read_catalogue(store, org).await?;
        present.read_policies(store, org).await?;
        present.read_groups(&names, &facts)?;
        present.read_organization(store, org, &names, &facts).await?;
        present.read_users(store, org, &names, &facts).await?;
        present.read_authorizations(store, org, &names, &facts).await?;
        present.read_applications(store, org, &names, &facts).await?;
        Ok(present)
    }

    async fn read_catalogue(&mut self, store: &Store, org: OrgId) -> Result<()> {
        for tier in store::models::tiers(store, org).await? {
            let name = tier.name.parse()?;
            self.document.tiers.push(Tier { lines: Lines::default(), name, high_cost: tier.high_cost });
            self.ids.tiers.insert(tier.name.to_lowercase(), (tier.id, tier.version));
        }
        let plain: HashMap<ProviderId, String> =
            store::providers::credentials(store, org).await?.into_iter().collect();
        let origins = store::providers::origins(store, org).await?;
        for provider in store::providers::list(store, org).await? {
            let origin = origins.iter().find(|origin| origin.provider == provider.id);
            let credential = origin.and_then(|origin| {
                let (name, optional) = (origin.variable.clone()?, origin.optional);
                Some(Source::Variable { name, optional })
            });
            self.document.providers.push(Provider {
                lines: Lines::default(),
                name: provider.name.parse()?,
                dialect: provider.dialect,
                base_url: provider.base_url,
                allow_private_address: provider.allow_private_address,
                waits: provider.waits,
                credential,
            });
            if let Some(plain) = plain.get(&provider.id) {
                self.credentials.insert(provider.name.to_lowercase(), plain.clone());
            }
            self.ids.providers.insert(provider.name.to_lowercase(), (provider.id, provider.version));
        }
        for model in store::models::list(store, org).await? {
            self.ids.models.insert(model.name.clone(), (model.id, model.version));
            self.document.models.push(Model {
                lines: Lines::default(),
                name: model.name.parse()?,
                provider: model.provider.1,
                upstream: model.upstream,
                modality: model.modality,
                tier: model.tier.1,
                context_tokens: model.context_tokens,
                max_output_tokens: model.max_output_tokens,
                review: model.review,
                price: model.prices.map_or_else(Prices::default, |dated| dated.prices),
            });
        }
        Ok(())
    }

    fn read_groups(&mut self, names: &Names, facts: &Facts) -> Result<()> {
        for group in &names.groups {
            let path = group.path_text();
            let parsed: std::result::Result<Vec<GroupName>, _> =
                group.path.iter().map(|(_, name)| name.parse()).collect();
            self.document.groups.push(Group {
                lines: Lines::default(),
                path: parsed?,
                kind: group.kind,
                ends_on: group.ends_on,
                policy: group.policy.and_then(|id| self.policy_name(id)),
                limits: self.ids.limits(facts, Scope::Group(group.id), &things::group_key(&path)),
            });
            self.ids.groups.insert(path.to_lowercase(), (group.id, group.version));
        }
        self.document.groups.sort_by_key(|group| group.path_text().to_lowercase());
        Ok(())
    }

    async fn read_organization(
        &mut self,
        store: &Store,
        org: OrgId,
        names: &Names,
        facts: &Facts,
    ) -> Result<()> {
        let organization = store::organizations::get(store, org).await?;
        self.version = organization.version;
        let mut default_groups: Vec<Reference> = names
            .groups
            .iter()
            .filter(|group| group.is_default)
            .map(|group| mention(group.path_text()))
            .collect();
        default_groups.sort_by(|a, b| a.name.cmp(&b.name));
        self.document.organization = Some(Organization {
            lines: Lines::default(),
            name: organization.name.parse()?,
            settings: Some(Settings {
                time_zone: organization.time_zone,
                week_start: organization.week_start,
                default_user_limit: organization.default_user_limit,
                budget_status: organization.budget_status,
                contact: organization.contact,
                members: organization.members,
                default_groups,
                limits: self.ids.limits(facts, Scope::Organization, &things::organization_key()),
            }),
        });
        Ok(())
    }

    async fn read_users(&mut self, store: &Store, org: OrgId, names: &Names, facts: &Facts) -> Result<()> {
        let mut by_user = HashMap::<UserId, Vec<store::groups::Membership>>::new();
        for membership in store::groups::memberships(store, org).await? {
            by_user.entry(membership.user).or_default().push(membership);
        }
        for user in store::users::all(store, org).await? {
            let mut groups = Vec::new();
            for membership in by_user.remove(&user.id).unwrap_or_default() {
                let Some(path) = names.path(membership.group) else { continue };
                let key = things::membership_key(&user.email, &path);
                let own = self.ids.limits(facts, Scope::Member(membership.group, user.id), &key);
                let plain =
                    membership.standing == Standing::Member && membership.ends_at.is_none() && own.is_empty();
                let by_hand = match membership.source {
                    Origin::Manual => true,
                    // Untouched since it came by itself.
                    Origin::Default => !plain,
                    Origin::Scim | Origin::Oidc => false,
                };
                if !by_hand {
                    self.kept.insert(key);
                }
                groups.push(Membership {
                    lines: Lines::default(),
                    path,
                    standing: membership.standing,
                    ends_at: membership.ends_at,
                    limits: own,
                });
            }
            groups.sort_by_key(|membership| membership.path.to_lowercase());
            self.ids.users.insert(user.email.clone(), (user.id, user.version));
            self.document.users.push(User {
                lines: Lines::default(),
                email: user.email.parse()?,
                name: user.name.parse()?,
                role: user.role,
                suspended: user.suspended,
                limits: self.ids.limits(facts, Scope::User(user.id), &things::user_key(&user.email)),
                groups,
            });
        }
        Ok(())
    }

    async fn read_authorizations(
        &mut self,
        store: &Store,
        org: OrgId,
        names: &Names,
        facts: &Facts,
    ) -> Result<()> {
        for rule in store::authorizations::list(store, org, None).await? {
            let group = match rule.group {
                Some(group) => match names.path(group) {
                    Some(path) => Some(path),
                    // Of a group that was closed.
                    None => continue,
                },
                None => None,
            };
            let target = match rule.target {
                TargetId::Model(id) => {
                    let known = facts.models.get(&id).filter(|model| !model.archived);
                    let Some(model) = known else { continue };
                    Target::Model(model.name.clone())
                }
                TargetId::Tier(id) => {
                    let known = facts.tiers.get(&id).filter(|tier| {
                        self.ids.tiers.get(&tier.name.to_lowercase()).is_some_and(|(open, _)| *open == id)
                    });
                    let Some(tier) = known else { continue };
                    Target::Tier(tier.name.clone())
                }
                TargetId::All => Target::All,
            };
            let key = things::authorization_key(group.as_deref(), &target, rule.mode);
            let limits = self.ids.limits(facts, Scope::Authorization(rule.id), &key);
            self.ids.authorizations.insert(key, rule.id);
            self.document.authorizations.push(Authorization {
                lines: Lines::default(),
                group,
                target,
                state: rule.state,
                locked: rule.locked,
                ends_at: rule.ends_at,
                mode: rule.mode,
                limits,
            });
        }
        self.document.authorizations.sort_by_key(|rule| {
            let (order, name) = match &rule.target {
                Target::All => (0, String::new()),
                Target::Tier(name) => (1, name.to_lowercase()),
                Target::Model(name) => (2, name.clone()),
            };
            (rule.group.as_deref().map(str::to_lowercase), order, name, rule.mode)
        });
        Ok(())
    }

    async fn read_policies(&mut self, store: &Store, org: OrgId) -> Result<()> {
        for policy in store::policies::list(store, org).await? {
            self.ids.policies.insert(policy.name.clone(), (policy.id, policy.version));
            self.document.policies.push(Policy {
                lines: Lines::default(),
                name: policy.name.parse()?,
                routing: policy.routing,
                steps: policy
                    .steps
                    .into_iter()
                    .map(|(id, name, weight)| {
                        (mention(name), weight, policy.rules.get(&id).copied().unwrap_or_default())
                    })
                    .collect(),
            });
        }
        Ok(())
    }

    async fn read_applications(
        &mut self,
        store: &Store,
        org: OrgId,
        names: &Names,
        facts: &Facts,
    ) -> Result<()> {
        for entry in store::applications::all(store, org).await? {
            let Some(group) = names.path(entry.group) else { continue };
            let key = things::application_key(&group, &entry.name);
            if entry.had_service_secret {
                self.had_secret.insert((Kind::Secret, key.1.clone()));
            }
            let limits = self.ids.limits(facts, Scope::Application(entry.id), &key);
            let known = ((entry.id, entry.version), (entry.key, entry.key_version));
            self.ids.applications.insert(key, known);
            let policy = entry.policy.and_then(|id| self.policy_name(id));
            let mut assigned: Vec<String> = entry.assigned.iter().filter_map(|id| names.path(*id)).collect();
            assigned.sort();
            let models = match entry.models {
                KeyModelIds::All => KeyModels::All,
                KeyModelIds::These(ids) => {
                    let known = |id: &ModelId| facts.models.get(id).filter(|model| !model.archived);
                    let mut models: Vec<String> =
                        ids.iter().filter_map(known).map(|model| model.name.clone()).collect();
                    models.sort();
                    KeyModels::These(models.into_iter().map(mention).collect())
                }
            };
            self.document.applications.push(Application {
                lines: Lines::default(),
                name: entry.name.parse()?,
                group,
                description: entry.description,
                use_cases: entry.use_cases,
                key: Key {
                    lines: Lines::default(),
                    models,
                    features: entry.features,
                    policy,
                    assigned_groups: assigned.into_iter().map(mention).collect(),
                    handling: entry.handling,
                    limits,
                },
                service_secret: entry.has_service_secret,
            });
        }
        self.document
            .applications
            .sort_by_key(|app| (app.group.to_lowercase(), app.name.as_str().to_lowercase()));
        Ok(())
    }

    fn policy_name(&self, id: PolicyId) -> Option<String> {
        self.ids.policies.iter().find(|(_, (policy, _))| *policy == id).map(|(name, _)| name.clone())
    }
}

impl Ids {
    /// The limits of a scope, by metric and window; keeps their ids under the owner's key.
    fn limits(&mut self, facts: &Facts, scope: Scope, owner: &ThingKey) -> Vec<Limit> {
        let mut limits: Vec<Limit> = Vec::new();
        for fact in facts.limits.get(&scope).into_iter().flatten() {
            let limit = limit(fact);
            if let Some(id) = fact.id {
                self.limits.insert(things::limit_key(owner, &limit), id);
            }
            limits.push(limit);
        }
        for (meter, raise) in self.raised.iter().filter(|(meter, _)| meter.scope == scope) {
            let key = things::limit_key_of(owner, meter.metric, meter.window);
            self.raises.insert(key, raise.show(meter));
        }
        limits.sort_by_key(|limit| (limit.metric, limit.window));
        limits
    }
}

fn limit(fact: &LimitFact) -> Limit {
    Limit {
        lines: Lines::default(),
        metric: fact.meter.metric,
        window: fact.meter.window,
        cap: fact.cap,
        mode: fact.mode,
        thresholds: fact.thresholds.to_vec(),
    }
}

fn mention(name: String) -> Reference {
    Reference { name, line: 0 }
}

/// Paths of open groups.
struct Names {
    groups: Vec<domain::groups::Group>,
    paths: HashMap<GroupId, String>,
}

impl Names {
    async fn read(store: &Store, org: OrgId) -> Result<Self> {
        let groups = store::groups::all(store, org).await?;
        let paths = groups.iter().map(|group| (group.id, group.path_text())).collect();
        Ok(Self { groups, paths })
    }

    fn path(&self, id: GroupId) -> Option<String> {
        self.paths.get(&id).cloned()
    }
}
