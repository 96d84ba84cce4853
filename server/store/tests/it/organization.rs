//! A small organization, and calls made in it.

use domain::{
    access::Facts,
    groups::{GroupForm, GroupKind, Standing},
    ids::{AccountId, ApplicationId, GroupId, KeyId, ModelId, ProviderId, SecretId, TierId, UserId},
    keys::{Features, KeyModels},
    limits::{Bucket, Meter, Metric, Mode, Scope, Worst},
    models::{Modality, Review},
    money::{Money, NANOS, Price},
    prices::{PriceKey, Prices},
    providers::Dialect,
    spend::Outcome,
    usage::Usage,
    users::Role,
    window::Window,
};
use store::{
    Change, Store, access, applications, clock, groups, keys,
    leases::{self, Ask, Granted},
    ledger, limits, models, providers,
    testing::{self, Tenant},
    users,
};
use uuid::Uuid;

/// What the provider's credential is.
pub const CREDENTIAL: &str = "a provider's credential";

pub struct Organization {
    pub store: Store,
    pub tenant: Tenant,
    pub parent: GroupId,
    pub child: GroupId,
    pub user: UserId,
    pub provider: ProviderId,
    pub tier: TierId,
    pub model: ModelId,
    pub application: ApplicationId,
    pub key: KeyId,
    pub secret: SecretId,
}

pub fn group(name: &str) -> GroupForm {
    GroupForm { name: name.parse().expect("a name"), kind: GroupKind::Department, ends_on: None }
}

impl Organization {
    pub async fn new() -> Self {
        let store = testing::store().await;
        let operator = testing::operator(&store).await;
        Self::in_store(&store, operator, "Acme").await
    }

    pub async fn in_store(store: &Store, operator: AccountId, name: &str) -> Self {
        let tenant = testing::tenant(store, operator, name).await;
        let mut change = tenant.change(store).await;
        let parent = groups::insert(&mut change, None, &group("Parent")).await.expect("a group");
        let child = groups::insert(&mut change, Some(parent), &group("Child")).await.expect("a group");
        let form = users::UserForm {
            email: "uma@acme.example".parse().expect("an address"),
            name: "Uma".parse().expect("a name"),
            role: Role::Member,
        };
        let user = users::insert(&mut change, &form).await.expect("a user");
        groups::set_member(&mut change, child, user, Standing::Member, None).await.expect("a member");
        let form = providers::ProviderForm {
            name: "Provider".parse().expect("a name"),
            dialect: Dialect::OpenAi,
            base_url: "https://provider.example/v1".to_owned(),
            allow_private_address: false,
        };
        let credential = providers::Credential::Set(CREDENTIAL.to_owned());
        let provider = providers::insert(&mut change, &form, &credential).await.expect("a provider");
        let tier = models::insert_tier(&mut change, &"General".parse().expect("a name"), false).await;
        let tier = tier.expect("a tier");
        let model = models::insert(&mut change, &model_form("small", provider, tier), Review::Accepted).await;
        let model = model.expect("a model");
        let prices = Prices::default()
            .with(PriceKey::Input, Some(Price(NANOS)))
            .with(PriceKey::Output, Some(Price(NANOS)));
        models::set_prices(&mut change, model, chrono::DateTime::UNIX_EPOCH, &prices).await.expect("prices");
        let form = applications::ApplicationForm {
            name: "Assistant".parse().expect("a name"),
            description: String::new(),
            use_cases: Vec::new(),
        };
        let inserted =
            applications::insert(&mut change, child, &form, &KeyModels::All, Features::all()).await;
        let (application, key) = inserted.expect("an application");
        keys::issue_service(&mut change, key, None).await.expect("a secret");
        change.commit().await.expect("all of it");
        let secret = keys::secrets(store, tenant.org, key).await.expect("secrets")[0].id;
        let store = store.clone();
        Self { store, tenant, parent, child, user, provider, tier, model, application, key, secret }
    }

    pub async fn change(&self) -> Change {
        self.tenant.change(&self.store).await
    }

    pub async fn facts(&self) -> Facts {
        access::facts(&self.store, self.tenant.org).await.expect("the facts")
    }

    pub async fn limit(&self, meter: Meter, cap: i64) {
        let mut change = self.change().await;
        let form = limits::LimitForm { cap, mode: Mode::Enforce, thresholds: Vec::new() };
        limits::set(&mut change, meter, &form, limits::Seen::Nothing).await.expect("a limit");
        change.commit().await.expect("it");
    }

    /// A call that is being let through now.
    pub fn call(&self) -> ledger::Call {
        let worst = Worst { input_tokens: 100, output_tokens: 100, cost: Money(200_000) };
        ledger::Call {
            id: clock::id(),
            org: self.tenant.org,
            started_at: clock::now(),
            application: self.application,
            key: self.key,
            secret: self.secret,
            path: vec![self.parent, self.child],
            user: Some(self.user),
            member_of: vec![self.parent, self.child],
            model: self.model,
            provider: self.provider,
            authorization: None,
            beside: None,
            grant: None,
            policy: None,
            use_case: String::new(),
            session: String::new(),
            client_request: String::new(),
            route: "/v1/chat/completions".to_owned(),
            streamed: false,
            features: Default::default(),
            worst,
            priced_at: None,
            guarded: Vec::new(),
        }
    }

    /// A meter's current window.
    pub async fn bucket(&self, meter: Meter) -> Bucket {
        Bucket::of(meter, self.facts().await.calendar.span(meter.window, clock::now()))
    }

    /// What a replica asks for so that it may let calls through that need so much, all in flight.
    pub async fn ask(&self, meter: Meter, need: i64, cap: i64) -> Ask {
        Ask { bucket: self.bucket(meter).await, keep: 0, useful: need, need, extra: 0, reserved: need, cap }
    }

    /// What a replica then has.
    pub async fn take(&self, replica: Uuid, asks: &[Ask]) -> Vec<Granted> {
        leases::take(&self.store, self.tenant.org, replica, asks, clock::now()).await.expect("an answer")
    }

    /// What is leased of a meter's current window.
    pub async fn leased(&self, meter: Meter) -> i64 {
        self.take(Uuid::max(), &[self.ask(meter, 0, 0).await]).await[0].others
    }

    /// What a meter's current window holds.
    pub async fn level(&self, meter: Meter) -> (i64, i64) {
        let span = self.facts().await.calendar.span(meter.window, clock::now());
        let levels = limits::levels(&self.store, self.tenant.org, &[(meter, span)]).await.expect("levels");
        (levels[0].settled, levels[0].held)
    }

    pub async fn book(&self, event: &ledger::Event) -> bool {
        let calendar = self.facts().await.calendar;
        ledger::book(&self.store, calendar, event).await.expect("it is booked")
    }
}

pub fn model_form(name: &str, provider: ProviderId, tier: TierId) -> models::ModelForm {
    models::ModelForm {
        name: name.parse().expect("a name"),
        provider,
        upstream: name.to_owned(),
        modality: Modality::Chat,
        tier,
        context_tokens: None,
        max_output_tokens: None,
    }
}

/// How a call ended: ten tokens in, twenty out.
pub fn finished(call: ledger::Call) -> ledger::Event {
    ledger::Event {
        finished_at: clock::now(),
        first_byte_ms: Some(1),
        duration_ms: 2,
        outcome: Outcome::Ok,
        status: 200,
        usage: Usage { input: 10, output: 20, ..Usage::default() },
        cost: Money(30_000),
        estimated: false,
        marks: ledger::Marks::default(),
        call,
    }
}

pub const fn spend(scope: Scope) -> Meter {
    Meter { scope, metric: Metric::Spend, window: Window::Month }
}
