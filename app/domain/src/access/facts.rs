//! What is decided by: the facts of one organization at one version.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::{
    Map,
    authorizations::{State, Target},
    groups::Standing,
    ids::{
        ApplicationId, AuthorizationId, GrantId, GroupId, KeyId, ModelId, OrgId, PolicyId, ProviderId,
        TierId, UserId,
    },
    keys::{Features, Handling, KeyModels},
    limits::{Limit, Meter, Scope},
    models::{Modality, Review},
    money::Money,
    organizations::BudgetStatus,
    policies::{Routing, Rules, StepRules},
    prices::{DatedPrices, Prices, in_force},
    providers::{Dialect, Waits},
    window::Calendar,
};

/// Everything that is decided by, for one organization at one version.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Whose facts.
    pub org: OrgId,
    /// What the organization is called.
    pub org_name: String,
    /// Counts up with every change in the organization.
    pub version: i64,
    /// Its time zone and week start.
    pub calendar: Calendar,
    /// Monthly spend of a user without a limit of their own.
    pub default_user_limit: Option<Money>,
    /// How a spent budget is answered.
    pub budget_status: BudgetStatus,
    /// Whom to ask when no lead is nearer.
    pub contact: Option<String>,
    /// The names of admins and owners who have joined and are not suspended: who may do what leads may not.
    pub admins: Vec<String>,
    /// Classes of models.
    pub tiers: Map<TierId, TierFacts>,
    /// The catalogue.
    pub models: Map<ModelId, ModelFacts>,
    /// The catalogue by what callers write.
    pub model_names: HashMap<String, ModelId>,
    /// Upstreams.
    pub providers: Map<ProviderId, ProviderFacts>,
    /// The tree.
    pub groups: Map<GroupId, GroupFacts>,
    /// Rules by the group they are set on; `None`: the organization's baseline.
    pub rules: Map<Option<GroupId>, RuleSet>,
    /// Rules that decide nothing: what they would refuse is taken down.
    pub observed: Map<Option<GroupId>, RuleSet>,
    /// Approved requests by model.
    pub grants: Map<ModelId, Vec<GrantFacts>>,
    /// What calls.
    pub applications: Map<ApplicationId, ApplicationFacts>,
    /// People.
    pub users: Map<UserId, UserFacts>,
    /// Limits by scope.
    pub limits: Map<Scope, Vec<Limit>>,
    /// Routes by name.
    pub policies: HashMap<String, PolicyFacts>,
}

impl Facts {
    /// Gives limits other caps; none: their own goes.
    pub fn recap(&mut self, caps: &HashMap<Meter, Option<Money>>) {
        for (meter, cap) in caps {
            let Some(limits) = self.limits.get_mut(&meter.scope) else { continue };
            match cap {
                Some(cap) => {
                    let these = limits.iter_mut().filter(|limit| limit.meter == *meter);
                    these.for_each(|limit| limit.cap = cap.0);
                }
                None => limits.retain(|limit| limit.meter != *meter),
            }
        }
    }

    /// Whether something that is decided by begins or ends by itself after one moment, and by another.
    pub fn turns_between(&self, after: DateTime<Utc>, by: DateTime<Utc>) -> bool {
        let turns = |at: DateTime<Utc>| after < at && at <= by;
        let ends = |end: Option<DateTime<Utc>>| end.is_some_and(turns);
        self.groups.values().any(|group| ends(group.ends_at))
            || self.rules.values().flat_map(|rules| rules.values()).any(|rule| ends(rule.ends_at))
            || self.grants.values().flatten().any(|grant| turns(grant.starts_at) || turns(grant.ends_at))
            || self.models.values().flat_map(|model| &model.prices).any(|prices| turns(prices.from))
            || self.users.values().flat_map(|user| &user.memberships).any(|it| ends(it.ends_at))
    }

    /// Whether groups may use what they may by the other facts, too, now and later: rules, what they are about, the
    /// tree and its grants are the same.
    pub fn opens_the_same(&self, other: &Self) -> bool {
        self.rules == other.rules
            && self.tiers == other.tiers
            && self.models == other.models
            && self.providers == other.providers
            && self.groups == other.groups
            && self.grants == other.grants
    }

    /// Whether people and programs are the same, and where they are.
    pub fn has_the_same_callers(&self, other: &Self) -> bool {
        self.users == other.users && self.applications == other.applications
    }

    /// The same without people, programs and limits: a copy to try rules on that is small however
    /// large the organization is.
    #[must_use]
    pub fn of_groups(&self) -> Self {
        Self {
            org: self.org,
            org_name: self.org_name.clone(),
            version: self.version,
            calendar: self.calendar,
            default_user_limit: self.default_user_limit,
            budget_status: self.budget_status,
            contact: self.contact.clone(),
            admins: self.admins.clone(),
            tiers: self.tiers.clone(),
            models: self.models.clone(),
            model_names: self.model_names.clone(),
            providers: self.providers.clone(),
            groups: self.groups.clone(),
            rules: self.rules.clone(),
            observed: self.observed.clone(),
            grants: self.grants.clone(),
            applications: Map::default(),
            users: Map::default(),
            limits: Map::default(),
            policies: self.policies.clone(),
        }
    }
}

/// Names as many as a sentence holds, one of whom is enough: `Ada, Bea or Cleo`.
pub fn by_name(names: &[String]) -> String {
    const NAMED: usize = 3;
    match &names[..names.len().min(NAMED)] {
        [] => "an admin".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// A class of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierFacts {
    /// What it is called.
    pub name: String,
    /// Never matched by `all`.
    pub high_cost: bool,
}

/// A catalogue entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// What callers write.
    pub name: String,
    /// Where it is.
    pub provider: ProviderId,
    /// What the provider calls it.
    pub upstream: String,
    /// What goes in and comes out.
    pub modality: Modality,
    /// Its class.
    pub tier: TierId,
    /// Tokens that fit in and out together.
    pub context_tokens: Option<u64>,
    /// The most it answers with.
    pub max_output_tokens: Option<u64>,
    /// Whether a person has looked at it.
    pub review: Review,
    /// Gone from the catalogue.
    pub archived: bool,
    /// Its prices, by the moment they start.
    pub prices: Vec<DatedPrices>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

impl ModelFacts {
    /// The prices in force, if they are complete enough to charge every call.
    pub fn prices_at(&self, now: DateTime<Utc>) -> Option<&Prices> {
        let prices = &in_force(&self.prices, now)?.prices;
        prices.complete_for(self.modality).then_some(prices)
    }
}

/// An upstream, without its credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderFacts {
    /// What it is called.
    pub name: String,
    /// The language it speaks.
    pub dialect: Dialect,
    /// Everything before the route.
    pub base_url: String,
    /// Whether it may be on this machine or in a private network.
    pub allow_private_address: bool,
    /// How long it is waited for.
    pub waits: Waits,
    /// Gone.
    pub archived: bool,
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFacts {
    /// What it is called.
    pub name: String,
    /// From the root to itself.
    pub path: Vec<GroupId>,
    /// The first moment it is no longer open.
    pub ends_at: Option<DateTime<Utc>>,
    /// Its leads' names, for "ask …".
    pub leads: Vec<String>,
    /// The policy of calls in it and below that name no model.
    pub policy: Option<PolicyId>,
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its id.
    pub id: AuthorizationId,
    /// What it says.
    pub state: State,
    /// Whether groups below cannot say otherwise.
    pub locked: bool,
    /// The first moment it no longer counts.
    pub ends_at: Option<DateTime<Utc>>,
}

/// The rules set on one group, by what they are about.
pub type RuleSet = Map<Target, Rule>;

/// An approved request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantFacts {
    /// Its id.
    pub id: GrantId,
    /// To whom.
    pub to: Grantee,
    /// From when.
    pub starts_at: DateTime<Utc>,
    /// Until just before.
    pub ends_at: DateTime<Utc>,
}

/// To whom a grant was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grantee {
    /// One person, wherever they call.
    User(UserId),
    /// One person, within a group and everything below it.
    Member(GroupId, UserId),
    /// A group and everything below it.
    Group(GroupId),
}

/// An application with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationFacts {
    /// What it is called.
    pub name: String,
    /// Where it lives.
    pub group: GroupId,
    /// Its key.
    pub key: KeyId,
    /// Whose private context it is.
    pub personal: Option<UserId>,
    /// Who answers for it: it says on whose limits they may ask for more, and nothing of what may be called.
    pub owner: Option<UserId>,
    /// What its key narrows to.
    pub models: KeyModels,
    /// What calls may use.
    pub features: Features,
    /// Groups whose members may have secrets of it.
    pub assigned: Vec<GroupId>,
    /// The policy that answers when a call names no model.
    pub policy: Option<PolicyId>,
    /// Labels it knows.
    pub use_cases: Vec<String>,
    /// What happens to its calls besides. Nothing is decided by it.
    pub handling: Handling,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserFacts {
    /// What they are called.
    pub name: String,
    /// Cannot call.
    pub suspended: bool,
    /// Groups they belong to, directly.
    pub memberships: Vec<MembershipFacts>,
}

/// Somebody's place in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembershipFacts {
    /// Which group.
    pub group: GroupId,
    /// What they are in it.
    pub standing: Standing,
    /// The first moment they no longer belong.
    pub ends_at: Option<DateTime<Utc>>,
}

/// A named route.
#[derive(Clone, Debug)]
pub struct PolicyFacts {
    /// Its id.
    pub id: PolicyId,
    /// How it chooses.
    pub routing: Routing,
    /// Models and weights, in order.
    pub steps: Vec<(ModelId, u32)>,
    /// How it deals with those of them for which not everything is usual.
    pub rules: Rules,
}

impl PolicyFacts {
    /// How it deals with a model.
    pub fn rules_of(&self, model: ModelId) -> StepRules {
        self.rules.get(&model).copied().unwrap_or_default()
    }
}

impl Facts {
    /// The nearest person to ask about a group: its leads, those above it, the organization's
    /// contact.
    pub fn contact_for(&self, group: Option<GroupId>) -> Option<String> {
        let path = group.and_then(|id| self.groups.get(&id)).map_or(&[][..], |facts| facts.path.as_slice());
        path.iter()
            .rev()
            .filter_map(|id| self.groups.get(id))
            .find(|facts| !facts.leads.is_empty())
            .map(|facts| facts.leads.join(", "))
            .or_else(|| self.contact.clone())
    }

    /// Admins and owners by name, as many as a sentence holds: `Ada, Bea or Cleo`.
    pub fn admins_by_name(&self) -> String {
        by_name(&self.admins)
    }

    /// Whom to ask how it goes on with a group that has ended: the leads of the nearest one above that is open,
    /// or else admins. Who leads what has ended can do nothing about it.
    pub fn contact_past(&self, over: GroupId, now: DateTime<Utc>) -> String {
        let path = self.groups.get(&over).map_or(&[][..], |facts| facts.path.as_slice());
        let open = |at: usize| crate::access::ended(self, path[at], now).is_none();
        let leads = (0..path.len()).rev().filter(|at| open(*at)).find_map(|at| {
            let leads = &self.groups.get(&path[at])?.leads;
            (!leads.is_empty()).then(|| leads.join(", "))
        });
        let admins = || (!self.admins.is_empty()).then(|| self.admins_by_name());
        leads.or_else(admins).or_else(|| self.contact.clone()).unwrap_or_else(|| "an admin".to_owned())
    }

    /// The nearest people to ask about a group but for some: its leads, those above it, the organization's
    /// contact.
    pub fn contact_besides(&self, group: GroupId, done: &[UserId]) -> Option<String> {
        let path = self.groups.get(&group).map_or(&[][..], |facts| facts.path.as_slice());
        let leads_of = |group: &GroupId| {
            let leads = |user: &UserFacts| {
                let leads = |of: &MembershipFacts| of.group == *group && of.standing == Standing::Lead;
                !user.suspended && user.memberships.iter().any(leads)
            };
            let others = self.users.iter().filter(|(id, user)| leads(user) && !done.contains(id));
            let mut names: Vec<&str> = others.map(|(_, user)| user.name.as_str()).collect();
            names.sort_unstable();
            (!names.is_empty()).then(|| names.join(", "))
        };
        path.iter().rev().find_map(leads_of).or_else(|| self.contact.clone())
    }

    /// What a scope is called.
    pub fn scope_name(&self, scope: Scope) -> String {
        let group = |id| self.groups.get(&id).map_or("a group", |group| &group.name).to_owned();
        let user = |id| self.users.get(&id).map_or("a person", |user| &user.name).to_owned();
        match scope {
            Scope::Organization => self.org_name.clone(),
            Scope::Group(id) => group(id),
            Scope::Application(id) => {
                self.applications.get(&id).map_or("an application", |app| &app.name).to_owned()
            }
            Scope::User(id) => user(id),
            Scope::Member(id, person) => format!("{} in {}", user(person), group(id)),
            Scope::Authorization(id) => self.rule_name(id).unwrap_or_else(|| "an authorization".to_owned()),
            Scope::Grant(id) => self.grant_name(id).unwrap_or_else(|| "a grant".to_owned()),
        }
    }

    /// `big-chat for Research`.
    fn rule_name(&self, id: AuthorizationId) -> Option<String> {
        let (place, target) = self.rules.iter().chain(&self.observed).find_map(|(place, rules)| {
            rules.iter().find(|(_, rule)| rule.id == id).map(|(target, _)| (*place, *target))
        })?;
        let place = place.and_then(|id| self.groups.get(&id)).map_or(&self.org_name, |group| &group.name);
        Some(format!("{} for {place}", self.target_name(target)))
    }

    fn grant_name(&self, id: GrantId) -> Option<String> {
        let model = self.grants.iter().find(|(_, grants)| grants.iter().any(|grant| grant.id == id))?.0;
        Some(format!("the grant for {}", self.models.get(model)?.name))
    }

    /// `big-chat`, `tier general`, `all models`.
    pub fn target_name(&self, target: Target) -> String {
        match target {
            Target::Model(id) => self.models.get(&id).map_or("a model", |model| &model.name).to_owned(),
            Target::Tier(id) => format!("tier {}", self.tiers.get(&id).map_or("?", |tier| &tier.name)),
            Target::All => "all models".to_owned(),
        }
    }
}
