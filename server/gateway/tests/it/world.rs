//! An organization in front of a scripted upstream, with a gateway between them.
//!
//! Acme: Engineering (led by Lena) over Platform, where the application Assistant lives. Every
//! model is there twice, once in each dialect: `small` and `small-anthropic`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bench::upstream::{Script, Upstream};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    access::Grantee,
    authorizations::{State, Target},
    groups::{GroupForm, GroupKind, Standing},
    ids::{ApplicationId, AuthorizationId, GroupId, KeyId, ModelId, PolicyId, ProviderId, TierId, UserId},
    keys::{Feature, Features, KeyModels, PlainSecret},
    limits::{Meter, Metric, Mode, Scope},
    models::{Modality, Review},
    money::{Money, NANOS, Price},
    organizations::BudgetStatus,
    policies::{Routing, Rules, StepRules},
    prices::{PriceKey, Prices},
    providers::{Dialect, Waits},
    spend::CallRow,
    users::Role,
    window::Window,
};
use gateway::{Gateway, Patience, Settings};
use store::{
    Change, Store, applications, authorizations, groups, keys, limits, models, organizations, policies,
    providers,
    rollups::{self, Which},
    testing::{self, Tenant},
    users,
};
use tokio::{net::TcpListener, task::AbortHandle};

use crate::client::Client;

/// What the provider's credential is.
pub const CREDENTIAL: &str = "provider-credential";

/// A model in both dialects.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub openai: ModelId,
    pub anthropic: ModelId,
}

impl Pair {
    pub const fn ids(self) -> [ModelId; 2] {
        [self.openai, self.anthropic]
    }
}

pub struct World {
    pub store: Store,
    pub tenant: Tenant,
    pub upstream: Upstream,
    pub gateway: Arc<Gateway>,
    pub client: Client,
    pub engineering: GroupId,
    pub platform: GroupId,
    pub application: ApplicationId,
    pub key: KeyId,
    pub small: Pair,
    pub tier: TierId,
    providers: [ProviderId; 2],
    spool: PathBuf,
    serving: AbortHandle,
}

impl Drop for World {
    fn drop(&mut self) {
        self.serving.abort();
        let _ = std::fs::remove_dir_all(&self.spool);
    }
}

/// One dollar for a million input tokens, two for a million output tokens: a token of input is
/// 1 000 nano-dollars, one of output 2 000.
pub fn prices() -> Prices {
    Prices::default().with(PriceKey::Input, Some(Price(NANOS))).with(PriceKey::Output, Some(Price(2 * NANOS)))
}

/// What this many tokens cost at [`prices`].
pub const fn cost(input: u64, output: u64) -> Money {
    Money((input * 1_000 + output * 2_000).cast_signed())
}

/// The name of a model in a dialect.
pub fn named(name: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::OpenAi => name.to_owned(),
        Dialect::Anthropic => format!("{name}-anthropic"),
    }
}

fn group(name: &str) -> GroupForm {
    GroupForm { name: name.parse().expect("a name"), kind: GroupKind::Department, ends_on: None }
}

impl World {
    pub async fn new() -> Self {
        Self::on(testing::store().await).await
    }

    pub async fn on(store: Store) -> Self {
        Self::build(store, |_| {}).await
    }

    /// With a gateway that is set up otherwise.
    pub async fn with(edit: impl FnOnce(&mut Settings)) -> Self {
        Self::build(testing::store().await, edit).await
    }

    /// On a database of its own, with a gateway that is set up otherwise.
    pub async fn build(store: Store, edit: impl FnOnce(&mut Settings)) -> Self {
        let operator = testing::operator(&store).await;
        let tenant = testing::tenant(&store, operator, "Acme").await;
        let upstream = Upstream::start().await.expect("an upstream");
        let mut change = tenant.change(&store).await;
        let engineering = groups::insert(&mut change, None, &group("Engineering")).await.expect("a group");
        let platform =
            groups::insert(&mut change, Some(engineering), &group("Platform")).await.expect("a group");
        let lena = add_user(&mut change, "Lena").await;
        groups::set_member(&mut change, engineering, lena, Standing::Lead, None).await.expect("a lead");
        let tier = models::insert_tier(&mut change, &"General".parse().expect("a name"), false)
            .await
            .expect("a tier");
        let openai = add_provider(&mut change, Dialect::OpenAi, &upstream).await;
        let anthropic = add_provider(&mut change, Dialect::Anthropic, &upstream).await;
        let form = application("Assistant");
        let inserted =
            applications::insert(&mut change, platform, &form, &KeyModels::All, Features::all()).await;
        let (application, key) = inserted.expect("an application");
        let secret = keys::issue_service(&mut change, key, None).await.expect("a secret");
        change.commit().await.expect("all of it");
        let spool = spool_folder();
        let (gateway, address, serving) = serve(&store, &spool, edit).await;
        let client = Client { address, secret: secret.reveal().to_owned() };
        let nobody = ModelId(uuid::Uuid::nil());
        let mut world = Self {
            store,
            tenant,
            upstream,
            gateway,
            client,
            engineering,
            platform,
            application,
            key,
            small: Pair { openai: nobody, anthropic: nobody },
            tier,
            providers: [openai, anthropic],
            spool,
            serving,
        };
        world.small = world.model("small", Some(prices()), Review::Accepted).await;
        world.say(None, Target::Tier(tier), State::Open).await;
        world
    }

    /// A change that may be anything.
    pub async fn change(&self) -> Change {
        self.tenant.change(&self.store).await
    }

    /// Adds a chat model in both dialects.
    pub async fn model(&self, name: &str, prices: Option<Prices>, review: Review) -> Pair {
        self.model_for(Modality::Chat, name, prices, review).await
    }

    pub async fn model_for(
        &self,
        modality: Modality,
        name: &str,
        prices: Option<Prices>,
        review: Review,
    ) -> Pair {
        let mut change = self.change().await;
        let mut ids = Vec::new();
        for (dialect, provider) in crate::client::DIALECTS.into_iter().zip(self.providers) {
            let form = models::ModelForm {
                name: named(name, dialect).parse().expect("a name"),
                provider,
                upstream: format!("up-{name}"),
                modality,
                tier: self.tier,
                context_tokens: Some(100_000),
                max_output_tokens: Some(4_000),
            };
            let id = models::insert(&mut change, &form, review).await.expect("a model");
            if let Some(prices) = &prices {
                let from = change.at() - TimeDelta::days(1);
                models::set_prices(&mut change, id, from, prices).await.expect("prices");
            }
            ids.push(id);
        }
        change.commit().await.expect("both");
        Pair { openai: ids[0], anthropic: ids[1] }
    }

    /// Adds a policy over models with their weights, in order.
    pub async fn policy(&self, name: &str, routing: Routing, steps: &[(ModelId, i32)]) -> PolicyId {
        let mut change = self.change().await;
        let form = policies::PolicyForm {
            name: name.parse().expect("a name"),
            routing,
            steps: steps.to_vec(),
            rules: Rules::new(),
        };
        let id = policies::insert(&mut change, &form).await.expect("a policy");
        change.commit().await.expect("it");
        id
    }

    /// Says how a policy deals with some of its models.
    pub async fn rules(&self, id: PolicyId, rules: &[(ModelId, StepRules)]) {
        let now = policies::get(&self.store, self.tenant.org, id).await.expect("the policy");
        let mut change = self.change().await;
        let form = policies::PolicyForm {
            name: now.name.parse().expect("a name"),
            routing: now.routing,
            steps: now.steps.iter().map(|(model, _, weight)| (*model, *weight)).collect(),
            rules: rules.iter().copied().collect(),
        };
        policies::update(&mut change, id, now.version, &form).await.expect("the policy");
        change.commit().await.expect("it");
    }

    /// Says which policy stands for calls of a group that name no model.
    pub async fn group_policy(&self, group: GroupId, policy: Option<PolicyId>) {
        let version = groups::get(&self.store, self.tenant.org, group).await.expect("the group").version;
        let mut change = self.change().await;
        groups::set_policy(&mut change, group, version, policy).await.expect("the group");
        change.commit().await.expect("it");
    }

    /// Says how long the provider of a dialect is waited for.
    pub async fn waits(&self, dialect: Dialect, waits: Waits) {
        let id = self.providers[usize::from(dialect == Dialect::Anthropic)];
        let version = providers::get(&self.store, self.tenant.org, id).await.expect("the provider").version;
        let mut change = self.change().await;
        providers::set_waits(&mut change, id, version, &waits).await.expect("the provider");
        change.commit().await.expect("it");
    }

    /// Turns features of the application's key off; all others are on.
    pub async fn without(&self, off: &[Feature]) {
        let mut change = self.change().await;
        let off = off.iter().copied().collect();
        self.edit_key(&mut change, |form| form.features = Features::all().without(off)).await;
        change.commit().await.expect("it");
    }

    /// Leads the provider of a dialect to another port of this machine.
    pub async fn lead_to(&self, dialect: Dialect, port: u16) {
        let id = self.providers[usize::from(dialect == Dialect::Anthropic)];
        let now = providers::get(&self.store, self.tenant.org, id).await.expect("the provider");
        let form = providers::ProviderForm {
            name: now.name.parse().expect("a name"),
            dialect,
            base_url: format!("http://127.0.0.1:{port}/v1"),
            allow_private_address: true,
        };
        let mut change = self.change().await;
        let credential = providers::Credential::Set(CREDENTIAL.to_owned());
        providers::update(&mut change, id, now.version, &form, &credential).await.expect("the provider");
        change.commit().await.expect("it");
    }

    /// Says something about a target on a group, or on the organization.
    pub async fn say(&self, group: Option<GroupId>, target: Target, state: State) {
        let mut change = self.change().await;
        let say = authorizations::Say { state, locked: false, ends_at: None };
        authorizations::set(&mut change, group, target, Some(say)).await.expect("a rule");
        change.commit().await.expect("it");
    }

    /// The rule that says something about a target there.
    pub async fn rule(&self, group: Option<GroupId>, target: Target) -> AuthorizationId {
        let facts = store::access::facts(&self.store, self.tenant.org).await.expect("the facts");
        facts.rules[&group][&target].id
    }

    /// The same about a model in both dialects.
    pub async fn say_of(&self, pair: Pair, state: State) {
        for id in pair.ids() {
            self.say(None, Target::Model(id), state).await;
        }
    }

    /// Agrees to a request for a model in both dialects, for a day.
    pub async fn grant(&self, pair: Pair, to: Grantee) {
        let mut change = self.change().await;
        let (from, until) = (change.at() - TimeDelta::hours(1), change.at() + TimeDelta::days(1));
        for id in pair.ids() {
            testing::grant(&mut change, id, to, from, until).await.expect("a grant");
        }
        change.commit().await.expect("it");
    }

    /// Sets a limit that is enforced.
    pub async fn limit(&self, scope: Scope, metric: Metric, window: Window, cap: i64) {
        self.limit_in(Mode::Enforce, scope, metric, window, cap).await;
    }

    pub async fn limit_in(&self, mode: Mode, scope: Scope, metric: Metric, window: Window, cap: i64) {
        let mut change = self.change().await;
        let form = limits::LimitForm { cap, mode, thresholds: Vec::new() };
        limits::set(&mut change, Meter { scope, metric, window }, &form, limits::Seen::Whatever)
            .await
            .expect("a limit");
        change.commit().await.expect("it");
    }

    /// How a spent budget is answered.
    pub async fn answer_budgets_with(&self, budget_status: BudgetStatus) {
        let now = organizations::get(&self.store, self.tenant.org).await.expect("the organization");
        let settings = organizations::Settings {
            name: now.name.parse().expect("a name"),
            time_zone: now.time_zone.clone(),
            week_start: now.week_start,
            default_user_limit: now.default_user_limit,
            budget_status,
            contact: now.contact.clone(),
        };
        let mut change = self.change().await;
        organizations::update(&mut change, now.version, &settings).await.expect("settings");
        change.commit().await.expect("them");
    }

    /// A member of Platform with a secret of the application's key.
    pub async fn member(&self, name: &str) -> (UserId, PlainSecret) {
        let mut change = self.change().await;
        let user = add_user(&mut change, name).await;
        groups::set_member(&mut change, self.platform, user, Standing::Member, None).await.expect("a member");
        self.edit_key(&mut change, |form| form.assigned = vec![self.platform]).await;
        change.commit().await.expect("both");
        let mut change = self.tenant.change_as(&self.store, user).await;
        let secret = keys::issue_member(&mut change, self.key).await.expect("a secret");
        change.commit().await.expect("it");
        (user, secret)
    }

    /// Takes back that providers may be on this machine.
    pub async fn forbid_private_addresses(&self) {
        let mut change = self.change().await;
        for id in self.providers {
            let now = providers::get(&self.store, self.tenant.org, id).await.expect("the provider");
            let form = providers::ProviderForm {
                name: now.name.parse().expect("a name"),
                dialect: now.dialect,
                // A name, so that only looking it up shows where it leads.
                base_url: now.base_url.replace("http://127.0.0.1", "https://localhost.localdomain"),
                allow_private_address: false,
            };
            let credential = providers::Credential::Set(CREDENTIAL.to_owned());
            providers::update(&mut change, id, now.version, &form, &credential).await.expect("the provider");
        }
        change.commit().await.expect("both");
    }

    /// Changes the application's key.
    pub async fn edit_key(&self, change: &mut Change, edit: impl FnOnce(&mut keys::KeyForm)) {
        let now =
            keys::of_application(&self.store, self.tenant.org, self.application).await.expect("the key");
        let mut form = keys::KeyForm {
            models: now.models.clone(),
            features: now.features,
            policy: now.policy,
            assigned: now.assigned.iter().map(|(group, _)| *group).collect(),
            handling: now.handling,
        };
        edit(&mut form);
        keys::update(change, self.key, now.version, &form).await.expect("the key");
    }

    /// What happens upstream to calls of a model, in both dialects.
    pub fn script(&self, name: &str, script: Script) {
        self.upstream.script(&format!("up-{name}"), script);
    }

    /// Finished calls, the newest first, once nothing is in flight.
    pub async fn ledger(&self) -> Vec<CallRow> {
        self.quiet().await;
        let now = store::clock::now();
        let which = Which::default();
        rollups::calls(&self.store, self.tenant.org, &which, now, 1_000).await.expect("the ledger")
    }

    /// Ledger, windows, sums and leases agree: what `bursar verify` looks at.
    pub async fn books_agree(&self) {
        self.quiet().await;
        let org = self.tenant.org;
        let calendar = organizations::calendar(&self.store, org).await.expect("the calendar");
        let drift = store::books::drift(&self.store, org, calendar, store::clock::now()).await;
        assert_eq!(drift.expect("a look"), []);
    }

    /// How many finished calls this replica has written down.
    pub fn finished_on_disk(&self) -> usize {
        self.finished_in(&self.spool)
    }

    /// Where calls are written down.
    pub fn spool(&self) -> &Path {
        &self.spool
    }

    /// How many bytes of the spool are written.
    pub fn written(&self) -> u64 {
        let files = std::fs::read_dir(&self.spool).expect("the spool").flatten();
        files.map(|file| file.metadata().map_or(0, |known| known.len())).sum()
    }

    /// The same of a spool that is somewhere else.
    pub fn finished_in(&self, spool: &Path) -> usize {
        let files = std::fs::read_dir(spool).expect("the spool").flatten().map(|entry| entry.path());
        let logs = files.filter(|path| path.extension().is_some_and(|kind| kind == "log"));
        logs.map(|path| std::fs::read_to_string(path).expect("text").matches(" f1").count()).sum()
    }

    /// The one finished call.
    pub async fn only_call(&self) -> CallRow {
        let calls = self.ledger().await;
        assert_eq!(calls.len(), 1, "exactly once: {calls:?}");
        calls.into_iter().next().expect("one")
    }

    /// Waits until every call is booked.
    pub async fn quiet(&self) {
        let booked = async {
            while self.gateway.in_flight() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), booked).await.expect("every call is booked");
    }

    /// When the current bucket of a window ends, as refusals write it.
    pub async fn resets_at(&self, window: Window) -> DateTime<Utc> {
        let calendar = organizations::calendar(&self.store, self.tenant.org).await.expect("the calendar");
        calendar.span(window, store::clock::now()).end.expect("a window with an end")
    }

    /// What `/v1/me/limits` says of one metric: used and reserved.
    pub async fn level(&self, metric: Metric) -> (serde_json::Value, serde_json::Value) {
        let limits = self.client.get(Dialect::OpenAi, "/v1/me/limits").await.json();
        let list = limits["limits"].as_array().cloned().unwrap_or_default();
        let found = list.iter().find(|limit| limit["metric"] == metric.as_str());
        let found = found.unwrap_or_else(|| panic!("no limit of {metric}: {limits}"));
        (found["used"].clone(), found["reserved"].clone())
    }
}

/// Another process of the same installation.
pub struct Replica {
    pub client: Client,
    spool: PathBuf,
    serving: AbortHandle,
}

impl Replica {
    /// Beside the world's own gateway.
    pub async fn start(world: &World) -> Self {
        let spool = spool_folder();
        let store = testing::as_another_process(&world.store);
        let (_, address, serving) = serve(&store, &spool, |_| {}).await;
        let client = Client { address, secret: world.client.secret.clone() };
        Self { client, spool, serving }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.serving.abort();
        let _ = std::fs::remove_dir_all(&self.spool);
    }
}

/// A folder for a spool.
fn spool_folder() -> PathBuf {
    std::env::temp_dir().join(format!("bursar-spool-{:016x}", rand::random::<u64>()))
}

/// A gateway on a socket of its own.
async fn serve(
    store: &Store,
    spool: &Path,
    edit: impl FnOnce(&mut Settings),
) -> (Arc<Gateway>, SocketAddr, AbortHandle) {
    let mut settings = Settings {
        public_url: "https://bursar.acme.example".to_owned(),
        spool_dir: spool.to_owned(),
        spool_limit: gateway::SPOOL_LIMIT,
        cut_off: gateway::CUT_OFF,
        patience: Patience::default(),
    };
    edit(&mut settings);
    let gateway = Gateway::start(store.clone(), settings).await.expect("a gateway");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let router = gateway.router();
    let serving = tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    })
    .abort_handle();
    (gateway, address, serving)
}

async fn add_user(change: &mut Change, name: &str) -> UserId {
    let email = format!("{}@acme.example", name.to_lowercase());
    let form = users::UserForm {
        email: email.parse().expect("an address"),
        name: name.parse().expect("a name"),
        role: Role::Member,
    };
    users::insert(change, &form).await.expect("a user")
}

async fn add_provider(change: &mut Change, dialect: Dialect, upstream: &Upstream) -> ProviderId {
    let form = providers::ProviderForm {
        name: format!("Upstream {dialect}").parse().expect("a name"),
        dialect,
        base_url: upstream.base_url(),
        allow_private_address: true,
    };
    let credential = providers::Credential::Set(CREDENTIAL.to_owned());
    providers::insert(change, &form, &credential).await.expect("a provider")
}

fn application(name: &str) -> applications::ApplicationForm {
    applications::ApplicationForm {
        name: name.parse().expect("a name"),
        description: String::new(),
        use_cases: Vec::new(),
    }
}
