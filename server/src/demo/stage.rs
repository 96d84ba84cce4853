//! The performance: every deed of the script through the store's own functions, with a permit of
//! whoever does it, dated back to its moment.

use std::collections::HashMap;

use chrono::{DateTime, Duration, NaiveTime, Utc};
use domain::{
    access_tests::Subject,
    audit::Door,
    authorizations,
    groups::{GroupForm, Standing},
    guardrails::Guardrails,
    ids::{
        AccountId, ApplicationId, AuthorizationId, GroupId, KeyId, ModelId, OrgId, ProviderId, TierId, UserId,
    },
    keys::{Handling, KeyModels, PlainSecret},
    limits::{self, Meter, Metric},
    models::Review,
    money::{Money, NANOS, Price},
    names::Name,
    organizations::{BudgetStatus, WeekStart},
    policies::{Routing, Rules, StepRules},
    prices::{PriceKey, Prices},
    providers::Dialect,
    roles::{Act, Actor, Place, permit},
    users::Role,
    window::Calendar,
};
use store::{
    Change, Store,
    applications::ApplicationForm,
    authorizations::Say,
    keys::KeyForm,
    limits::LimitForm,
    models::ModelForm,
    organizations::Settings,
    policies::PolicyForm,
    providers::{Credential, ProviderForm},
    users::{SignIn, UserForm},
};

use super::{
    acme::{self, PASSWORD},
    script::{Deed, Line, Scope, Target},
};
use crate::Fatal;

/// How long before the present a rotated secret's forerunner still lives.
const GRACE: Duration = Duration::days(7);

/// Somebody who has been invited.
#[derive(Clone, Debug)]
struct Known {
    id: UserId,
    account: Option<AccountId>,
    name: String,
    role: Role,
    leads: Vec<GroupId>,
    /// From the invitation that has not been accepted yet.
    token: Option<String>,
}

/// An application by name.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    pub id: ApplicationId,
    pub key: KeyId,
    pub group: GroupId,
    pub at: DateTime<Utc>,
}

/// A secret that somebody was given.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The program; empty for a person's own context.
    pub program: &'static str,
    pub application: ApplicationId,
    /// The person, by key.
    pub person: Option<String>,
    pub plain: PlainSecret,
    pub at: DateTime<Utc>,
}

/// The organization as far as the story has been told.
pub struct Stage {
    pub store: Store,
    pub org: OrgId,
    pub calendar: Calendar,
    /// Midnight before the first day.
    pub start: DateTime<Utc>,
    /// The loopback port of the simulated provider.
    port: u16,
    password_hash: String,
    people: HashMap<String, Known>,
    groups: HashMap<&'static str, Vec<GroupId>>,
    providers: HashMap<&'static str, ProviderId>,
    tiers: HashMap<&'static str, TierId>,
    models: HashMap<&'static str, ModelId>,
    rules: HashMap<(&'static str, String), AuthorizationId>,
    pub programs: HashMap<&'static str, Made>,
    pub issued: Vec<Issued>,
}

impl Stage {
    /// Sets the installation up, with its owner and an organization that begins in the past.
    pub async fn open(store: &Store, now: DateTime<Utc>, port: u16) -> Result<Self, Fatal> {
        let olga = &acme::STARS[0];
        let password_hash = store::passwords::hash(PASSWORD.to_owned()).await?;
        let token = store::installation::offer_token(store)
            .await?
            .ok_or_else(|| Fatal::new("the demo", "this installation is set up already"))?;
        let name = text(olga.name)?;
        let address = text(&address(olga.key))?;
        let account = store::installation::set_up(store, &token, &name, &address, &password_hash).await?;
        let settings = Settings {
            default_user_limit: Some(Money(50 * NANOS)),
            week_start: WeekStart::Monday,
            budget_status: BudgetStatus::PaymentRequired,
            contact: Some("ai-desk@acme.example".to_owned()),
            ..Settings::named(text(acme::NAME)?, acme::TIME_ZONE)
        };
        let zone = store::organizations::time_zone(acme::TIME_ZONE)?;
        let calendar = Calendar { zone, week_start: chrono::Weekday::Mon };
        let start = calendar.midnight(calendar.day(now - Duration::days(acme::DAYS)));
        let begun = start + Duration::hours(9);
        let (org, user) = store::organizations::create_at(store, account, &settings, begun).await?;
        let owner = Known {
            id: user,
            account: Some(account),
            name: olga.name.to_owned(),
            role: olga.role,
            leads: Vec::new(),
            token: None,
        };
        Ok(Self {
            store: store.clone(),
            org,
            calendar,
            start,
            port,
            password_hash,
            people: HashMap::from([(olga.key.to_owned(), owner)]),
            groups: HashMap::new(),
            providers: HashMap::new(),
            tiers: HashMap::new(),
            models: HashMap::new(),
            rules: HashMap::new(),
            programs: HashMap::new(),
            issued: Vec::new(),
        })
    }

    /// Plays every line that lies before `until`. What one file said is one change.
    pub async fn play(&mut self, lines: &[Line], until: DateTime<Utc>) -> Result<(), Fatal> {
        let mut rest = lines;
        while let Some(line) = rest.first() {
            let at = self.start + Duration::minutes(line.minute);
            if at >= until {
                return Ok(());
            }
            let together = match line.door {
                Door::File => rest
                    .iter()
                    .take_while(|next| next.door == Door::File && next.minute == line.minute)
                    .count(),
                _ => 1,
            };
            let (now, later) = rest.split_at(together);
            self.perform(now, at)
                .await
                .map_err(|cause| Fatal::new(&format!("the demo’s story at {:?}", line.deed), cause))?;
            rest = later;
        }
        Ok(())
    }

    /// One or more deeds of one person at one moment.
    async fn perform(&mut self, lines: &[Line], at: DateTime<Utc>) -> Result<(), Fatal> {
        let Some(first) = lines.first() else { return Ok(()) };
        if let Deed::Accept { person } = &first.deed {
            return self.accept(person, at).await;
        }
        let (act, group) = match first.door {
            Door::File => (Act::ApplyFile, None),
            _ => self.act(first),
        };
        let mut change = self.change(&first.by, first.door, act, group, at).await?;
        for line in lines {
            self.apply(&mut change, line).await?;
        }
        change.commit().await?;
        Ok(())
    }

    /// Begins a change of somebody's, if they may.
    pub async fn change(
        &self,
        by: &str,
        door: Door,
        act: Act,
        group: Option<GroupId>,
        at: DateTime<Utc>,
    ) -> Result<Change, Fatal> {
        let who = self.person(by)?;
        let actor = Actor {
            org: self.org,
            user: Some(who.id),
            name: who.name.clone(),
            role: who.role,
            leads: who.leads.clone(),
            door,
        };
        let path = group.and_then(|group| self.groups.values().find(|path| path.last() == Some(&group)));
        let place = path.map_or(Place::Organization, |path| Place::Group(path));
        let permit = permit(&actor, act, place)
            .map_err(|refused| Fatal::new("the demo", format!("{by} may not: {}", refused.act)))?;
        Ok(Change::begin_at(&self.store, permit, at).await?)
    }

    /// What a deed needs a permit for, and where.
    fn act(&self, line: &Line) -> (Act, Option<GroupId>) {
        let admin = self.people.get(&line.by).is_some_and(|who| who.role != Role::Member);
        let group = |path: &str| self.groups.get(path).and_then(|path| path.last()).copied();
        match &line.deed {
            Deed::Provider { .. }
            | Deed::Tier { .. }
            | Deed::Model { .. }
            | Deed::Price { .. }
            | Deed::Retire { .. } => (Act::EditCatalogue, None),
            Deed::Group { .. } => (Act::CreateGroup, None),
            Deed::NewUsersJoin { .. } => (Act::EditOrganization, None),
            Deed::Invite { .. } | Deed::Accept { .. } | Deed::Suspend { .. } => (Act::EditUsers, None),
            Deed::Belong { group: path, standing: Standing::Lead, .. } => (Act::EditLeads, group(path)),
            Deed::Belong { group: path, .. } | Deed::Leave { group: path, .. } => {
                (Act::EditMembers, group(path))
            }
            Deed::Rule { group: path, .. } if !admin => (Act::NarrowAuthorizations, group(path)),
            Deed::Rule { .. } => (Act::WidenAuthorizations, None),
            Deed::Test { .. } => (Act::EditAccessTests, None),
            Deed::Policy { .. } => (Act::EditPolicies, None),
            Deed::Unnamed { group: path, .. } => (Act::EditGroup, group(path)),
            Deed::Program { program } => (Act::EditApplications, group(program.group)),
            Deed::ServiceSecret { program, .. } => {
                (Act::EditSecrets, self.programs.get(program).map(|made| made.group))
            }
            Deed::MemberSecret { .. } | Deed::OwnContext { .. } => (Act::UseOwn, None),
            Deed::Limit { scope: Scope::Group(path) | Scope::Member(path, _), .. } if !admin => {
                (Act::TightenLimits, group(path))
            }
            Deed::Limit { .. } => (Act::LoosenLimits, None),
        }
    }

    async fn apply(&mut self, change: &mut Change, line: &Line) -> Result<(), Fatal> {
        match &line.deed {
            Deed::Provider { name } => self.provider(change, name).await,
            Deed::Tier { name, high_cost } => {
                let id = store::models::insert_tier(change, &text(name)?, *high_cost).await?;
                self.tiers.insert(name, id);
                Ok(())
            }
            Deed::Model { model, provider, accepted } => self.model(change, model, provider, *accepted).await,
            Deed::Price { model, input, cache_read, output } => {
                let prices = prices(&[input, cache_read, "", output])?;
                let from = change.at();
                Ok(store::models::set_prices(change, self.model_id(model)?, from, &prices).await?)
            }
            Deed::Retire { model } => Ok(store::models::archive(change, self.model_id(model)?).await?),
            Deed::Group { group } => self.group(change, group).await,
            Deed::NewUsersJoin { group } => {
                Ok(store::groups::set_default(change, self.group_id(group)?, true).await?)
            }
            Deed::Belong { person, group, standing, ends } => {
                let (id, ends) = (self.group_id(group)?, ends.map(|day| self.start + Duration::days(day)));
                store::groups::set_member(change, id, self.person(person)?.id, *standing, ends).await?;
                if let Some(who) = self.people.get_mut(person).filter(|_| *standing == Standing::Lead) {
                    who.leads.push(id);
                }
                Ok(())
            }
            Deed::Leave { person, group } => {
                let (group, user) = (self.group_id(group)?, self.person(person)?.id);
                Ok(store::groups::remove_member(change, group, user).await?)
            }
            Deed::Invite { person } => {
                let form = UserForm {
                    email: text(&address(&person.key))?,
                    name: text(&person.name)?,
                    role: person.role,
                };
                let id = store::users::insert(change, &form).await?;
                let token = Some(store::users::invite(change, id).await?);
                let known = Known {
                    id,
                    account: None,
                    name: person.name.clone(),
                    role: person.role,
                    leads: Vec::new(),
                    token,
                };
                self.people.insert(person.key.clone(), known);
                Ok(())
            }
            Deed::Accept { .. } => Ok(()),
            Deed::Suspend { person, suspended } => {
                Ok(store::users::set_suspended(change, self.person(person)?.id, *suspended).await?)
            }
            Deed::Rule { group, target, state, locked, ends, observes } => {
                let ends_at = ends.map(|day| self.start + Duration::days(day));
                let say = Say { state: *state, locked: *locked, ends_at };
                let place = if group.is_empty() { None } else { Some(self.group_id(group)?) };
                let target_id = self.target(*target)?;
                if *observes {
                    store::authorizations::observe(change, place, target_id, Some(say)).await?;
                    return Ok(());
                }
                let id = store::authorizations::set(change, place, target_id, Some(say)).await?;
                self.rules.extend(id.map(|id| ((*group, format!("{target:?}")), id)));
                Ok(())
            }
            Deed::Test { name, group, target, expected } => {
                let subject = Subject::Group(self.group_id(group)?);
                let target = self.target(*target)?;
                store::access_tests::insert(change, &text(name)?, subject, target, *expected).await?;
                Ok(())
            }
            Deed::Policy { name, balance, steps } => {
                let routing = if *balance { Routing::Balance } else { Routing::Fallback };
                let steps = steps
                    .iter()
                    .map(|(model, weight)| Ok((self.model_id(model)?, *weight)))
                    .collect::<Result<_, Fatal>>()?;
                let (policy, model) = acme::IMPATIENT;
                let mut rules = Rules::new();
                if policy == *name {
                    let impatient = StepRules { attempts: 2, first_byte: Some(30), ..StepRules::default() };
                    rules.insert(self.model_id(model)?, impatient);
                }
                let form = PolicyForm { name: text(name)?, routing, steps, rules };
                store::policies::insert(change, &form).await?;
                Ok(())
            }
            Deed::Unnamed { group, policy } => {
                let id = self.group_id(group)?;
                let known = store::policies::list(&self.store, self.org).await?;
                let known = known.into_iter().find(|known| known.name == *policy).map(|known| known.id);
                let version = store::groups::version(change, id).await?;
                Ok(store::groups::set_policy(change, id, version, known).await?)
            }
            Deed::Program { program } => self.program(change, program).await,
            Deed::ServiceSecret { program, rotates } => {
                let made = self.made(program)?;
                let plain = store::keys::issue_service(change, made.key, rotates.then_some(GRACE)).await?;
                self.issue(change, program, made.id, None, plain);
                Ok(())
            }
            Deed::MemberSecret { program } => {
                let made = self.made(program)?;
                let plain = store::keys::issue_member(change, made.key).await?;
                self.issue(change, program, made.id, Some(&line.by), plain);
                Ok(())
            }
            Deed::OwnContext { group } => {
                let (id, plain) = store::keys::open_personal(change, self.group_id(group)?).await?;
                self.issue(change, "", id, Some(&line.by), plain);
                Ok(())
            }
            Deed::Limit { scope, metric, window, cap, mode } => {
                let meter = Meter { scope: self.scope(*scope)?, metric: *metric, window: *window };
                let cap = if *metric == Metric::Spend { Money::cents(*cap).0 } else { *cap };
                let form = LimitForm { cap, mode: *mode, thresholds: vec![50, 80, 100] };
                store::limits::set(change, meter, &form, store::limits::Seen::Whatever).await?;
                Ok(())
            }
        }
    }

    async fn provider(&mut self, change: &mut Change, name: &'static str) -> Result<(), Fatal> {
        let simulated = name != acme::NEWCOMER;
        let base_url = if simulated {
            format!("http://127.0.0.1:{}/v1", self.port)
        } else {
            "https://api.mistral.ai/v1".to_owned()
        };
        let dialect = if name == acme::SIMULATED_ANTHROPIC { Dialect::Anthropic } else { Dialect::OpenAi };
        let form = ProviderForm { name: text(name)?, dialect, base_url, allow_private_address: simulated };
        let id = store::providers::insert(change, &form, &Credential::Clear).await?;
        self.providers.insert(name, id);
        Ok(())
    }

    async fn model(
        &mut self,
        change: &mut Change,
        model: &'static acme::Model,
        provider: &'static str,
        accepted: bool,
    ) -> Result<(), Fatal> {
        let missing = |what: &str| Fatal::new("the demo", format!("there is no {what}"));
        let form = ModelForm {
            name: text(model.name)?,
            provider: *self.providers.get(provider).ok_or_else(|| missing(provider))?,
            upstream: model.name.to_owned(),
            modality: model.modality,
            tier: *self.tiers.get(model.tier).ok_or_else(|| missing(model.tier))?,
            context_tokens: Some(model.context),
            max_output_tokens: (model.output > 0).then_some(model.output),
        };
        let review = if accepted { Review::Accepted } else { Review::Pending };
        let id = store::models::insert(change, &form, review).await?;
        let listed = prices(&model.prices)?;
        if listed != Prices::default() {
            store::models::set_prices(change, id, change.at(), &listed).await?;
        }
        self.models.insert(model.name, id);
        Ok(())
    }

    async fn group(&mut self, change: &mut Change, group: &'static acme::Group) -> Result<(), Fatal> {
        let (above, name) = match group.path.rsplit_once('/') {
            Some((above, name)) => (Some(above), name),
            None => (None, group.path),
        };
        let path = above.and_then(|above| self.groups.get(above)).cloned().unwrap_or_default();
        let ends_on = group.ends.map(|day| self.calendar.day(self.start + Duration::days(day)));
        let form = GroupForm { name: text(name)?, kind: group.kind, ends_on };
        let id = store::groups::insert(change, path.last().copied(), &form).await?;
        self.groups.insert(group.path, path.into_iter().chain([id]).collect());
        Ok(())
    }

    async fn program(&mut self, change: &mut Change, program: &'static acme::Program) -> Result<(), Fatal> {
        let group = self.group_id(program.group)?;
        let form = ApplicationForm {
            name: text(program.name)?,
            description: program.about.to_owned(),
            use_cases: program.use_cases.iter().map(ToString::to_string).collect(),
        };
        let models = if program.narrowed {
            let ids = program.models.iter().map(|(model, _)| self.model_id(model));
            KeyModels::These(ids.collect::<Result<_, _>>()?)
        } else {
            KeyModels::All
        };
        let features = acme::features(program).into_iter().collect();
        let (id, key) = store::applications::insert(change, group, &form, &models, features).await?;
        let words: Vec<String> =
            acme::guards(program.name).iter().map(|(guard, action, _)| format!("{guard}={action}")).collect();
        let handling = Handling {
            cache_seconds: acme::keeps(program.name).map(|(seconds, _)| seconds),
            guardrails: Guardrails::from_words(&words).map_err(store::StoreError::from)?,
        };
        if program.people || handling != Handling::default() {
            let assigned = if program.people { vec![group] } else { Vec::new() };
            let form = KeyForm { models, features, policy: None, assigned, handling };
            store::keys::update(change, key, 1, &form).await?;
        }
        self.programs.insert(program.name, Made { id, key, group, at: change.at() });
        Ok(())
    }

    async fn accept(&mut self, key: &str, at: DateTime<Utc>) -> Result<(), Fatal> {
        let who = self.person(key)?.clone();
        let (Some(token), name) = (who.token, text::<Name>(&who.name)?) else { return Ok(()) };
        let sign_in = SignIn::New { password_hash: self.password_hash.clone() };
        let account =
            store::users::accept_as(&self.store, self.org, who.id, &token, &name, sign_in, at).await?;
        if let Some(who) = self.people.get_mut(key) {
            (who.account, who.token) = (Some(account), None);
        }
        Ok(())
    }

    fn issue(
        &mut self,
        change: &Change,
        program: &'static str,
        application: ApplicationId,
        person: Option<&str>,
        plain: PlainSecret,
    ) {
        let person = person.map(str::to_owned);
        self.issued.push(Issued { program, application, person, plain, at: change.at() });
    }

    fn person(&self, key: &str) -> Result<&Known, Fatal> {
        self.people.get(key).ok_or_else(|| Fatal::new("the demo", format!("there is no {key}")))
    }

    /// The id of a person who has been invited.
    pub fn user(&self, key: &str) -> Result<UserId, Fatal> {
        Ok(self.person(key)?.id)
    }

    pub fn group_id(&self, path: &str) -> Result<GroupId, Fatal> {
        let found = self.groups.get(path).and_then(|path| path.last());
        found.copied().ok_or_else(|| Fatal::new("the demo", format!("there is no group {path}")))
    }

    /// A provider by name.
    pub fn provider_id(&self, name: &str) -> Result<ProviderId, Fatal> {
        let found = self.providers.get(name).copied();
        found.ok_or_else(|| Fatal::new("the demo", format!("there is no provider {name}")))
    }

    /// The tiers, by name.
    pub fn tier_ids(&self) -> Vec<TierId> {
        let mut tiers: Vec<(&str, TierId)> = self.tiers.iter().map(|(name, id)| (*name, *id)).collect();
        tiers.sort_unstable();
        tiers.into_iter().map(|(_, id)| id).collect()
    }

    fn model_id(&self, name: &str) -> Result<ModelId, Fatal> {
        self.models
            .get(name)
            .copied()
            .ok_or_else(|| Fatal::new("the demo", format!("there is no model {name}")))
    }

    fn made(&self, program: &str) -> Result<Made, Fatal> {
        self.programs
            .get(program)
            .copied()
            .ok_or_else(|| Fatal::new("the demo", format!("there is no {program}")))
    }

    fn target(&self, target: Target) -> Result<authorizations::Target, Fatal> {
        Ok(match target {
            Target::Model(name) => authorizations::Target::Model(self.model_id(name)?),
            Target::Tier(name) => authorizations::Target::Tier(
                *self
                    .tiers
                    .get(name)
                    .ok_or_else(|| Fatal::new("the demo", format!("there is no tier {name}")))?,
            ),
            Target::All => authorizations::Target::All,
        })
    }

    /// A scope by its ids.
    pub fn scope(&self, scope: Scope) -> Result<limits::Scope, Fatal> {
        Ok(match scope {
            Scope::Organization => limits::Scope::Organization,
            Scope::Group(path) => limits::Scope::Group(self.group_id(path)?),
            Scope::Application(name) => limits::Scope::Application(self.made(name)?.id),
            Scope::User(key) => limits::Scope::User(self.user(key)?),
            Scope::Member(path, key) => limits::Scope::Member(self.group_id(path)?, self.user(key)?),
            Scope::Rule(group, target) => {
                let id = self.rules.get(&(group, format!("{target:?}")));
                let missing =
                    || Fatal::new("the demo", format!("there is no rule on {group} about {target:?}"));
                limits::Scope::Authorization(*id.ok_or_else(missing)?)
            }
        })
    }

    /// The wall clock of a day of the story.
    pub fn moment(&self, day: i64, time: NaiveTime) -> Option<DateTime<Utc>> {
        use chrono::TimeZone;
        let date = self.calendar.day(self.start) + Duration::days(day);
        let local = self.calendar.zone.from_local_datetime(&date.and_time(time)).earliest()?;
        Some(local.with_timezone(&Utc))
    }
}

/// The address somebody signs in with.
pub fn address(key: &str) -> String {
    format!("{key}@acme.example")
}

fn text<T: std::str::FromStr<Err = domain::names::NameError>>(text: &str) -> Result<T, Fatal> {
    text.parse().map_err(|error| Fatal::new(&format!("the demo’s name “{text}”"), error))
}

/// Input, cache read, cache write, output; empty: none of its own.
fn prices(list: &[&str; 4]) -> Result<Prices, Fatal> {
    let keys = [PriceKey::Input, PriceKey::CacheRead, PriceKey::CacheWrite, PriceKey::Output];
    keys.iter().zip(list).filter(|(_, text)| !text.is_empty()).try_fold(
        Prices::default(),
        |prices, (&key, text)| {
            let price: Price = text.parse().map_err(|error| Fatal::new("the demo’s prices", error))?;
            Ok(prices.with(key, Some(price)))
        },
    )
}
