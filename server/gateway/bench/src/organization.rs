//! An organization with everything on: five levels of groups, eight limits, a person.

use chrono::TimeDelta;
use domain::{
    audit::Door,
    authorizations::{State, Target},
    groups::{GroupForm, GroupKind, Standing},
    ids::{AccountId, OrgId, UserId},
    keys::{Features, KeyModels, PlainSecret},
    limits::{Meter, Metric, Mode, Scope},
    models::{Modality, Review},
    money::{Money, NANOS, Price},
    organizations::{BudgetStatus, WeekStart},
    prices::{PriceKey, Prices},
    providers::Dialect,
    roles::{Act, Actor, Place, permit},
    users::Role,
    window::Window,
};
use store::{
    Change, Store, applications, authorizations, groups, installation, keys, limits, models, organizations,
    providers, users,
};

use crate::Failure;

/// What is on, for those who read the figures.
pub const DESCRIPTION: &str = "a member's secret; 5 levels of groups, each with a monthly budget; \
     budgets of the organization and the person; tokens a day of the application (8 limits in all); \
     reservation, and booking before the last byte";

/// Enough for every call of a run.
const PLENTY: i64 = 50_000_000 * NANOS;

/// An organization in an empty database, and its owner.
pub async fn found(store: &Store) -> Result<(OrgId, UserId), Failure> {
    let account = set_up(store).await?;
    add(store, account, "Acme").await
}

/// Organizations in an empty database.
pub async fn found_several(store: &Store, count: usize) -> Result<Vec<OrgId>, Failure> {
    let account = set_up(store).await?;
    let mut orgs = Vec::new();
    for number in 1..=count {
        orgs.push(add(store, account, &format!("Acme {number}")).await?.0);
    }
    Ok(orgs)
}

async fn set_up(store: &Store) -> Result<AccountId, Failure> {
    store.migrate().await?;
    let token = installation::offer_token(store).await?.ok_or("the database is not empty")?;
    let (name, email) = ("Olga".parse()?, "olga@acme.example".parse()?);
    Ok(installation::set_up(store, &token, &name, &email, "no password").await?)
}

async fn add(store: &Store, account: AccountId, name: &str) -> Result<(OrgId, UserId), Failure> {
    let settings = organizations::Settings {
        name: name.parse()?,
        time_zone: "Europe/Berlin".to_owned(),
        week_start: WeekStart::Monday,
        default_user_limit: Some(Money(PLENTY)),
        budget_status: BudgetStatus::PaymentRequired,
        contact: None,
    };
    Ok(organizations::create(store, account, &settings).await?)
}

/// Makes it; returns the secret to call with.
pub async fn make(store: &Store, base_url: &str) -> Result<PlainSecret, Failure> {
    let (org, owner) = found(store).await?;
    let mut change = begin(store, org, owner, Act::ApplyFile).await?;
    let mut path = Vec::new();
    for name in ["Company", "Division", "Department", "Team", "Squad"] {
        let form = GroupForm { name: name.parse()?, kind: GroupKind::Department, ends_on: None };
        path.push(groups::insert(&mut change, path.last().copied(), &form).await?);
    }
    let group = *path.last().ok_or("no group")?;
    let form =
        users::UserForm { email: "uma@acme.example".parse()?, name: "Uma".parse()?, role: Role::Member };
    let user = users::insert(&mut change, &form).await?;
    groups::set_member(&mut change, group, user, Standing::Member, None).await?;
    make_models(&mut change, base_url).await?;
    let form = applications::ApplicationForm {
        name: "Assistant".parse()?,
        description: String::new(),
        use_cases: Vec::new(),
    };
    let (application, key) =
        applications::insert(&mut change, group, &form, &KeyModels::All, Features::all()).await?;
    let mut meters = vec![Meter { scope: Scope::Organization, metric: Metric::Spend, window: Window::Month }];
    meters.extend(path.iter().map(|&group| Meter {
        scope: Scope::Group(group),
        metric: Metric::Spend,
        window: Window::Month,
    }));
    // The eighth is the person's, by the organization's default.
    meters.push(Meter {
        scope: Scope::Application(application),
        metric: Metric::Tokens,
        window: Window::Day,
    });
    for meter in meters {
        let form = limits::LimitForm { cap: PLENTY, mode: Mode::Enforce, thresholds: Vec::new() };
        limits::set(&mut change, meter, &form, limits::Seen::Whatever).await?;
    }
    change.commit().await?;
    let assigned = keys::of_application(store, org, application).await?;
    let mut change = begin(store, org, owner, Act::ApplyFile).await?;
    let form = keys::KeyForm {
        models: KeyModels::All,
        features: Features::all(),
        policy: None,
        assigned: vec![group],
        handling: domain::keys::Handling::default(),
    };
    keys::update(&mut change, key, assigned.version, &form).await?;
    change.commit().await?;
    let mut change = begin(store, org, user, Act::UseOwn).await?;
    let secret = keys::issue_member(&mut change, key).await?;
    change.commit().await?;
    Ok(secret)
}

async fn make_models(change: &mut Change, base_url: &str) -> Result<(), Failure> {
    let form = providers::ProviderForm {
        name: "Upstream".parse()?,
        dialect: Dialect::OpenAi,
        base_url: base_url.to_owned(),
        allow_private_address: true,
    };
    let credential = providers::Credential::Set("credential".to_owned());
    let provider = providers::insert(change, &form, &credential).await?;
    let tier = models::insert_tier(change, &"General".parse()?, false).await?;
    let prices = Prices::default()
        .with(PriceKey::Input, Some(Price(NANOS)))
        .with(PriceKey::Output, Some(Price(2 * NANOS)));
    for name in ["quick", "held"] {
        let form = models::ModelForm {
            name: name.parse()?,
            provider,
            upstream: name.to_owned(),
            modality: Modality::Chat,
            tier,
            context_tokens: Some(100_000),
            max_output_tokens: Some(4_000),
        };
        let model = models::insert(change, &form, Review::Accepted).await?;
        let from = change.at() - TimeDelta::days(1);
        models::set_prices(change, model, from, &prices).await?;
    }
    let say = authorizations::Say { state: State::Open, locked: false, ends_at: None };
    authorizations::set(change, None, Target::All, Some(say)).await?;
    Ok(())
}

async fn begin(store: &Store, org: OrgId, user: UserId, act: Act) -> Result<Change, Failure> {
    let actor = Actor {
        org,
        user: Some(user),
        name: "Olga".to_owned(),
        role: Role::Owner,
        leads: Vec::new(),
        door: Door::File,
    };
    let permit = permit(&actor, act, Place::Organization).map_err(|refused| format!("{refused:?}"))?;
    Ok(Change::begin(store, permit).await?)
}
