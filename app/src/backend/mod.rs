//! The native side of the console: who is asking, what they may, and how the store's words become
//! the browser's. Server functions bring all of this in with `use crate::backend::*`.

pub mod batches;
pub mod call_sessions;
pub mod catalogue;
pub mod directory;
pub mod drafts;
pub mod examples;
pub mod first;
pub mod groups;
pub mod heirs;
pub mod imports;
pub mod inbox;
pub mod invitations;
pub mod matrix;
pub mod my_groups;
pub mod my_limits;
pub mod observed;
pub mod policies;
pub mod raises;
pub mod rehearsals;
pub mod reports;
pub mod rule;
pub mod secrets;
pub mod ways_back;
pub mod which;
pub mod why;

use std::{
    future::Future,
    num::NonZeroU32,
    pin::Pin,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use domain::{
    ids::{AccountId, ApplicationId, DeliveryId, GroupId, OrgId},
    limits::Metric,
    money::Money,
    roles::{Act, Actor, Permit, Place, Refused, permit, permit_between, permit_in_all},
    window::Calendar,
};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use leptos::prelude::{expect_context, use_context};
use leptos_axum::ResponseOptions;
use store::{Change, Store, StoreError};
use tokio::sync::OnceCell;
use tower_sessions::Session;

pub use self::policies::{RuleLines, nameable, read_steps};
use crate::frame::{ORG_HEADER, UNDOES_HEADER};
pub use crate::{
    error::AppError,
    frame::{Asked, Done, Once},
};

/// The session's field that says who is signed in.
pub const ACCOUNT: &str = "account";
/// The session's field that says which organization they look at.
const ORG: &str = store::sessions::ORGANIZATION;

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the gateway does for the console.
#[derive(Clone)]
pub struct Hooks {
    /// Tries a provider out: address, dialect, credential, private allowed.
    pub probe: Arc<dyn Fn(ProbeAsk) -> Later<ProbeAnswer> + Send + Sync>,
    /// Makes a call through the gateway, as any program would: method body and secret.
    pub call: Arc<dyn Fn(CallAsk) -> Later<(u16, String)> + Send + Sync>,
    /// Delivers a message to a webhook now, if nobody else is about to; a sentence about it, and
    /// whether it was taken.
    pub deliver: Deliver,
}

/// What is asked of a provider.
#[derive(Clone)]
pub struct ProbeAsk {
    /// Everything before the route.
    pub base_url: String,
    /// The language it speaks.
    pub dialect: domain::providers::Dialect,
    /// The credential to try.
    pub credential: Option<String>,
    /// Whether it may be on this machine or in a private network.
    pub allow_private: bool,
    /// How long all of its answer is waited for.
    pub patience: std::time::Duration,
}

/// What trying a provider out found.
#[derive(Clone, Debug)]
pub struct ProbeAnswer {
    /// Whether it answers and takes the credential.
    pub good: bool,
    /// One sentence.
    pub sentence: String,
    /// The models it lists.
    pub models: Vec<String>,
}

/// A call to make.
#[derive(Clone)]
pub struct CallAsk {
    /// The secret to make it with.
    pub secret: String,
    /// `/v1/chat/completions`.
    pub route: String,
    /// The body.
    pub body: String,
}

/// Sends one message to a webhook: whether it arrived, and what came back.
pub type Deliver = Arc<dyn Fn(OrgId, DeliveryId) -> Later<(bool, String)> + Send + Sync>;

/// What every request to the console has at hand.
#[derive(Clone)]
pub struct Backend {
    /// Everything that is kept.
    pub store: Store,
    /// What people and programs reach this server by.
    pub public_url: String,
    /// Whether mail is set up: what has to reach somebody is sent instead of shown.
    pub mail: bool,
    /// Addresses of the bundle's files, by name.
    pub asset: fn(&str) -> Option<String>,
    /// What the gateway does for the console.
    pub hooks: Hooks,
}

/// The organization a session looks at, if its account belongs to it.
pub async fn current_org(store: &Store, session: &Session) -> Option<OrgId> {
    let account: AccountId = session.get(ACCOUNT).await.ok()??;
    let org: OrgId = session.get(ORG).await.ok()??;
    store::users::actor(store, org, account).await.ok()?.map(|_| org)
}

/// Who a session's account is in the organization it looks at.
pub async fn current_actor(store: &Store, session: &Session) -> Option<Actor> {
    who(store, session).await.ok()??.actor
}

/// Who is asking.
#[derive(Clone)]
pub struct Who {
    /// Their sign-in.
    pub account: store::accounts::Account,
    /// Every organization they belong to.
    pub organizations: Vec<(OrgId, String)>,
    /// Who they are in the one they look at.
    pub actor: Option<Actor>,
}

/// Who is asking for a page, found out once for everything that is loaded for it.
#[derive(Clone, Default)]
pub struct Visitor(Arc<OnceCell<Option<Who>>>);

/// One request, seen from a server function.
#[derive(Clone)]
pub struct Cx {
    /// What every request has at hand.
    pub backend: Backend,
    /// Everything that is kept.
    pub store: Store,
    /// The browser's session.
    pub session: Session,
    /// Who is asking; none when nobody is signed in.
    pub who: Option<Who>,
    /// The number of the request.
    pub request: Option<Asked>,
    /// Why nothing is done where what was sent belongs to another organization.
    elsewhere: Option<String>,
}

impl Cx {
    async fn read() -> Result<Self, AppError> {
        let backend = expect_context::<Backend>();
        let session = expect_context::<Session>();
        let store = backend.store.clone();
        let who = match use_context::<Visitor>() {
            Some(Visitor(known)) => known.get_or_try_init(|| who(&store, &session)).await.cloned(),
            None => who(&store, &session).await,
        };
        let who = who.map_err(translate)?;
        let request = use_context::<Asked>();
        let elsewhere = who.as_ref().and_then(elsewhere);
        Ok(Self { backend, store, session, who, request, elsewhere })
    }

    /// Who is signed in.
    ///
    /// # Errors
    /// When nobody is.
    pub fn who(&self) -> Result<&Who, AppError> {
        self.who.as_ref().ok_or(AppError::SignedOut)
    }

    /// Who they are in the organization they look at.
    ///
    /// # Errors
    /// When nobody is signed in, they belong to none, or what was sent belongs to another one.
    pub fn actor(&self) -> Result<&Actor, AppError> {
        if let Some(why) = &self.elsewhere {
            return Err(AppError::Elsewhere(why.clone()));
        }
        self.who()?.actor.as_ref().ok_or(AppError::NotFound)
    }

    /// The organization they look at.
    ///
    /// # Errors
    /// When nobody is signed in, or they belong to none.
    pub fn org(&self) -> Result<OrgId, AppError> {
        Ok(self.actor()?.org)
    }

    /// How that organization counts time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn calendar(&self) -> Result<Calendar, AppError> {
        store::organizations::calendar(&self.store, self.org()?).await.map_err(translate)
    }

    /// The current month of that organization.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn month(&self) -> Result<store::rollups::Month, AppError> {
        Ok(store::rollups::Month::of(self.calendar().await?, store::clock::now()))
    }

    /// Proves that they may do this in the organization as a whole.
    ///
    /// # Errors
    /// When they may not.
    pub fn permit(&self, act: Act) -> Result<Permit, AppError> {
        permit(self.actor()?, act, Place::Organization).map_err(refused)
    }

    /// Proves that they may do this in a group.
    ///
    /// # Errors
    /// When they may not, or the group is not in their organization.
    pub async fn permit_in(&self, act: Act, group: GroupId) -> Result<Permit, AppError> {
        let path = store::groups::path(&self.store, self.org()?, group).await.map_err(translate)?;
        // Whoever may do it everywhere gets a permit for everywhere: changes that touch several
        // groups ask for it.
        let actor = self.actor()?;
        permit(actor, act, Place::Organization)
            .or_else(|_| permit(actor, act, Place::Group(&path)))
            .map_err(refused)
    }

    /// Proves that they may do this in two groups, for what happens between them.
    ///
    /// # Errors
    /// When they may not in one of them, or one is not in their organization.
    pub async fn permit_between(&self, act: Act, from: GroupId, to: GroupId) -> Result<Permit, AppError> {
        let actor = self.actor()?;
        let path = async |group| store::groups::path(&self.store, actor.org, group).await.map_err(translate);
        let (from, to) = (path(from).await?, path(to).await?);
        permit(actor, act, Place::Organization)
            .or_else(|_| permit_between(actor, act, &from, &to))
            .map_err(refused)
    }

    /// Proves that they may do this in each of these groups; none: there are none, which proves nothing.
    ///
    /// # Errors
    /// When they may not in one of them, or one is not in their organization.
    pub async fn permit_in_each(&self, act: Act, groups: &[GroupId]) -> Result<Option<Permit>, AppError> {
        let actor = self.actor()?;
        let mut paths = Vec::new();
        for group in groups {
            paths.push(store::groups::path(&self.store, actor.org, *group).await.map_err(translate)?);
        }
        if paths.is_empty() {
            return Ok(None);
        }
        let paths: Vec<&[GroupId]> = paths.iter().map(Vec::as_slice).collect();
        permit_in_all(actor, act, &paths).map(Some).map_err(refused)
    }

    /// Proves that they may do this in an application's group.
    ///
    /// # Errors
    /// When they may not, or the application is not in their organization.
    pub async fn permit_for(&self, act: Act, application: ApplicationId) -> Result<Permit, AppError> {
        let group =
            store::applications::group_of(&self.store, self.org()?, application).await.map_err(translate)?;
        self.permit_in(act, group).await
    }

    /// Proves that they may decide about what a recommendation is about.
    ///
    /// # Errors
    /// When they may not, or nothing like it is recommended.
    pub async fn permit_on(&self, topic: &str) -> Result<Permit, AppError> {
        let group = store::recommendations::group_of(&self.store, self.org()?, topic).await;
        match group.map_err(translate)? {
            Some(group) => self.permit_in(Act::ReviewAccess, group).await,
            None => self.permit(Act::ReviewAccess),
        }
    }

    /// Starts a change.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn change(&self, permit: Permit) -> Result<Change, AppError> {
        let change = Change::begin(&self.store, permit).await.map_err(translate)?;
        Ok(match &self.request {
            Some(Asked { id, address }) => change.asked_from(id, address.as_deref()),
            None => change,
        })
    }

    /// Signs somebody in: a new session id, so that one that was planted before is worth nothing.
    ///
    /// # Errors
    /// When the session cannot be kept.
    pub async fn sign_in(&self, account: AccountId) -> Result<(), AppError> {
        let broken =
            |error: tower_sessions::session::Error| internal("the session could not be kept", &error);
        self.session.cycle_id().await.map_err(broken)?;
        self.session.insert(ACCOUNT, account).await.map_err(broken)?;
        // So that people can tell their sessions apart.
        let agent =
            headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).map(str::to_owned);
        let agent: String = agent.unwrap_or_default().chars().take(300).collect();
        self.session.insert(store::sessions::DEVICE, agent).await.map_err(broken)?;
        let organizations = store::accounts::organizations(&self.store, account).await.map_err(translate)?;
        if let Some((org, _)) = organizations.first() {
            self.session.insert(ORG, org).await.map_err(broken)?;
        }
        Ok(())
    }

    /// The id of the session that asks.
    pub fn session_id(&self) -> Option<[u8; 16]> {
        self.session.id().map(|id| id.0.to_be_bytes())
    }

    /// Looks at an organization from now on.
    ///
    /// # Errors
    /// When they do not belong to it.
    pub async fn enter(&self, org: OrgId) -> Result<(), AppError> {
        let account = self.who()?.account.id;
        let actor = store::users::actor(&self.store, org, account).await.map_err(translate)?;
        actor.ok_or(AppError::NotFound)?;
        self.session.insert(ORG, org).await.map_err(|error| internal("the session could not be kept", &error))
    }
}

async fn who(store: &Store, session: &Session) -> Result<Option<Who>, StoreError> {
    let unreadable = |error: tower_sessions::session::Error| StoreError::Unreadable(error.to_string());
    let Some(account) = session.get::<AccountId>(ACCOUNT).await.map_err(unreadable)? else { return Ok(None) };
    let account = match store::accounts::get(store, account).await {
        Ok(account) => account,
        Err(StoreError::NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    let organizations = store::accounts::organizations(store, account.id).await?;
    let chosen = session.get::<OrgId>(ORG).await.map_err(unreadable)?;
    let org = chosen
        .filter(|org| organizations.iter().any(|(id, _)| id == org))
        .or(organizations.first().map(|(id, _)| *id));
    let actor = match org {
        Some(org) => store::users::actor(store, org, account.id).await?,
        None => None,
    };
    Ok(Some(Who { account, organizations, actor }))
}

/// Whether what was sent belongs to another organization than the one the session looks at by now.
fn elsewhere(who: &Who) -> Option<String> {
    let headers = headers();
    let said = headers.get(ORG_HEADER)?.to_str().ok()?;
    let here = who.actor.as_ref()?.org;
    if said == here.to_string() {
        return None;
    }
    let name = |wanted: &str| {
        let found = who.organizations.iter().find(|(id, _)| id.to_string() == wanted);
        found.map_or("another organization", |(_, name)| name.as_str())
    };
    Some(format!(
        "This was made in {}, and this browser has gone on to {} since. Nothing was changed. Switch back to {}, and send it again.",
        name(said),
        name(&here.to_string()),
        name(said)
    ))
}

/// Runs a server function's body: brings the request along, sets the status, logs defects.
///
/// # Errors
/// Those of the body.
pub async fn handle<T, F, Fut>(body: F) -> Result<T, AppError>
where
    F: FnOnce(Cx) -> Fut,
    Fut: Future<Output = Result<T, AppError>>,
{
    let outcome = match Cx::read().await {
        Ok(cx) => {
            let undoing = undoes().map(|request| (cx.clone(), request));
            match (body(cx).await, undoing) {
                (Err(error), Some((cx, request))) if error.is_overtaken() => {
                    Err(changed_since(&cx, &request).await.unwrap_or_else(|| not_undone(error)))
                }
                (outcome, _) => outcome,
            }
        }
        Err(error) => Err(error),
    };
    if let Err(error) = &outcome {
        answered_with(error.status());
    }
    outcome
}

/// The number of the request that did what this one is to undo.
fn undoes() -> Option<String> {
    Some(headers().get(UNDOES_HEADER)?.to_str().ok()?.to_owned())
}

/// Who changed since what somebody would undo, in a sentence; none: that is not known.
async fn changed_since(cx: &Cx, request: &str) -> Option<AppError> {
    let actor = cx.actor().ok()?;
    let since = store::seen::since(&cx.store, actor.org, actor.user?, request).await;
    since.ok()?.map(AppError::Meanwhile)
}

/// What is said of what could not be undone, where nobody is known to have changed it since. There is no form
/// that could be sent again.
fn not_undone(error: AppError) -> AppError {
    match error {
        AppError::Stale => AppError::Meanwhile("It was changed again since. Nothing was undone.".to_owned()),
        AppError::Changed(what) => AppError::Meanwhile(format!("{what} Nothing was undone.")),
        error => error,
    }
}

/// The cookie by which the next page says what was done.
pub fn notice_cookie(notice: &str) -> Option<HeaderValue> {
    let text = percent_encoding::utf8_percent_encode(notice, percent_encoding::NON_ALPHANUMERIC);
    HeaderValue::from_str(&format!("bursar_notice={text}; Path=/; Max-Age=30; SameSite=Lax; HttpOnly")).ok()
}

/// What was done, where the whole page is loaded anew for it: it says so when it is there.
pub fn said_anew(notice: String) -> Done {
    if let Some((options, cookie)) = use_context::<ResponseOptions>().zip(notice_cookie(&notice)) {
        options.append_header(header::SET_COOKIE, cookie);
    }
    // Without script the notice goes the same way, by whoever reads this answer.
    Done { reload: true, ..Done::said(notice) }
}

/// Says with which status a page answers that has something to show all the same.
pub fn answered_with(status: u16) {
    if let (Some(options), Ok(status)) = (use_context::<ResponseOptions>(), StatusCode::from_u16(status)) {
        options.set_status(status);
    }
}

/// The store's words as the browser's, once, for all of them.
pub fn translate(error: StoreError) -> AppError {
    match error {
        StoreError::NotFound => AppError::NotFound,
        StoreError::Conflict(conflict) => AppError::field(conflict.field, conflict.sentence),
        StoreError::Stale => AppError::Stale,
        StoreError::Meanwhile(now) => AppError::Meanwhile(now),
        StoreError::Invalid { field, sentence } => AppError::field(field, sentence),
        StoreError::Pinned(_) => AppError::field("", error),
        StoreError::Unavailable(cause) => {
            tracing::warn!(error = %cause, "the database does not answer");
            AppError::Unavailable
        }
        StoreError::NotPermitted(act) => AppError::Forbidden(may_not(act).to_owned()),
        StoreError::Database(_) | StoreError::Unreadable(_) => internal("the store failed", &error),
    }
}

/// A defect: logged with a number, which is all the browser learns.
fn internal(doing: &str, error: &dyn std::error::Error) -> AppError {
    let id = use_context::<Asked>()
        .map_or_else(|| store::clock::id::<domain::ids::CallId>().to_string(), |Asked { id, .. }| id);
    tracing::error!(%id, %error, "{doing}");
    AppError::Internal(id)
}

fn refused(refused: Refused) -> AppError {
    AppError::Forbidden(may_not(refused.act).to_owned())
}

/// Who could do what the asker may not.
const fn may_not(act: Act) -> &'static str {
    match act {
        Act::EditRoles | Act::DeleteOrganization => "Only an owner can do this.",
        Act::DecideRequests => {
            "An admin or owner decides on this, or a lead of the group or of one above it."
        }
        Act::RequestForGroup => "A lead of the group, or an admin or owner, asks for a whole group.",
        Act::WidenAuthorizations => {
            "Your role can narrow what this group may use, not widen it. An admin or owner can widen it."
        }
        Act::LoosenLimits => {
            "Leads lower limits in their groups. An admin or owner raises limits, and sets those of one person or of all."
        }
        _ => "Your role does not include this. An admin or owner can do it, or, for a group, its lead.",
    }
}

/// The store's results in a server function: `.await.known()?`.
pub trait Known<T> {
    /// The store's words as the browser's.
    ///
    /// # Errors
    /// Those of the store, translated.
    fn known(self) -> Result<T, AppError>;
}

impl<T> Known<T> for Result<T, StoreError> {
    fn known(self) -> Result<T, AppError> {
        self.map_err(translate)
    }
}

/// Proves that what ends for good is as it was shown, and, where `typed` is asked for, that its name
/// was typed. Its name.
///
/// # Errors
/// When somebody changed it since, or another name was typed.
pub async fn as_shown(
    change: &mut Change,
    id: store::seen::Uuid,
    version: i64,
    typed: Option<&str>,
) -> Result<String, AppError> {
    let name = store::seen::unchanged(change, id, version).await.known()?;
    if let Some(typed) = typed {
        typed_out(typed, &name)?;
    }
    Ok(name)
}

/// Proves that a name was typed out.
///
/// # Errors
/// About the field `typed`.
pub fn typed_out(typed: &str, name: &str) -> Result<(), AppError> {
    if typed.trim() == name.trim() {
        return Ok(());
    }
    Err(AppError::field("typed", format!("Type it exactly as it is written: {name}")))
}

/// Reads a form's field, with the sentence beside it when it cannot be read.
///
/// # Errors
/// About the field.
pub fn read<T>(field: &str, text: &str) -> Result<T, AppError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.trim().parse().map_err(|error| AppError::field(field, error))
}

/// Reads a form's field that may be left empty.
///
/// # Errors
/// About the field.
pub fn read_some<T>(field: &str, text: &str) -> Result<Option<T>, AppError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    if text.trim().is_empty() { Ok(None) } else { read(field, text).map(Some) }
}

/// Fields of a form that are read one by one, and told of together: whoever fills it in mends all that is wrong
/// at once.
#[derive(Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// What was read of a field; none: it cannot be taken, and why is kept.
    ///
    /// # Errors
    /// Those that are about no field.
    pub fn take<T>(&mut self, read: Result<T, AppError>) -> Result<Option<T>, AppError> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(AppError::Invalid(problems)) => {
                self.0.extend(problems);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What stands for a form that cannot be taken: everything that is wrong with it.
    pub fn problems(self) -> AppError {
        AppError::Invalid(self.0)
    }
}

/// A cookie of the request.
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// The headers of the request.
pub fn headers() -> HeaderMap {
    use_context::<Parts>().map(|parts| parts.headers).unwrap_or_default()
}

/// Reads a date that may be left empty: `2026-11-22`.
///
/// # Errors
/// About the field.
pub fn read_date(field: &str, text: &str) -> Result<Option<chrono::NaiveDate>, AppError> {
    match text.trim() {
        "" => Ok(None),
        text => chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map(Some)
            .map_err(|_| AppError::field(field, "Enter a date like 2026-11-22.")),
    }
}

/// The first moment after the last day that the field `ends_on` names; none where it is empty.
///
/// # Errors
/// About the field, when it is no day.
pub async fn end_of_day(cx: &Cx, ends_on: &str) -> Result<Option<chrono::DateTime<chrono::Utc>>, AppError> {
    let Some(after) = read_date("ends_on", ends_on)?.and_then(|day| day.succ_opt()) else { return Ok(None) };
    Ok(Some(cx.calendar().await?.midnight(after)))
}

/// JSON laid out for reading; anything else as it is.
pub fn pretty(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| text.to_owned())
}

/// Tries of one address: ten at once, then one every six seconds. Kept per process: enough to make
/// guessing pointless, without a table that everybody could fill.
pub fn may_try(email: &str) -> bool {
    static TRIES: LazyLock<DefaultKeyedRateLimiter<String>> = LazyLock::new(|| {
        let every = Quota::with_period(Duration::from_secs(6)).unwrap_or(Quota::per_minute(NonZeroU32::MIN));
        RateLimiter::keyed(every.allow_burst(NonZeroU32::MIN.saturating_add(9)))
    });
    if TRIES.len() > 10_000 {
        TRIES.retain_recent();
    }
    TRIES.check_key(&email.trim().to_lowercase()).is_ok()
}

/// Reports of leaked secrets: fifty at once, then twenty a second, from everybody together. A secret
/// cannot be guessed, so this only keeps the database from being kept busy.
pub fn may_report() -> bool {
    static REPORTS: LazyLock<DefaultDirectRateLimiter> = LazyLock::new(|| {
        let twenty = NonZeroU32::MIN.saturating_add(19);
        RateLimiter::direct(Quota::per_second(twenty).allow_burst(NonZeroU32::MIN.saturating_add(49)))
    });
    REPORTS.check().is_ok()
}

/// Reads the per cents of a cap at which somebody is told.
///
/// # Errors
/// About the field `thresholds`.
pub fn read_thresholds(text: &str) -> Result<Vec<u8>, AppError> {
    let numbers = text.split([',', ' ']).filter(|text| !text.is_empty());
    numbers.map(|text| text.trim_end_matches('%').parse::<u8>()).collect::<Result<_, _>>().map_err(|_| {
        AppError::field("thresholds", "Enter per cents separated by commas, for instance 50, 80, 100.")
    })
}

/// For how many hours old secrets may live on beside a new one.
const GRACE_HOURS_MAX: i64 = 24 * 90;

/// Reads for how many hours old secrets live on; empty: for good.
///
/// # Errors
/// About the field `grace_hours`: what cannot be read never stops them at once.
pub fn read_grace(text: &str) -> Result<Option<i64>, AppError> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    match text.trim().parse() {
        Ok(hours) if (0..=GRACE_HOURS_MAX).contains(&hours) => Ok(Some(hours)),
        _ => Err(AppError::field(
            "grace_hours",
            format!("Enter whole hours from 0 to {GRACE_HOURS_MAX}, or nothing: then they stay as they are."),
        )),
    }
}

/// Reads for how many seconds answers are kept; empty: not at all.
///
/// # Errors
/// About the field `cache_seconds`.
pub fn read_cache(text: &str) -> Result<Option<u32>, AppError> {
    use domain::keys::CACHE_MAX_SECONDS;
    if text.trim().is_empty() {
        return Ok(None);
    }
    match text.trim().parse() {
        Ok(seconds @ 1..=CACHE_MAX_SECONDS) => Ok(Some(seconds)),
        _ => Err(AppError::field(
            "cache_seconds",
            format!(
                "Enter whole seconds from 1 to {CACHE_MAX_SECONDS} (a week), or nothing: then no answer is kept."
            ),
        )),
    }
}

/// Reads a moment, with its offset from UTC; none where it is empty.
///
/// # Errors
/// About the field.
pub fn read_moment(field: &str, text: &str) -> Result<Option<chrono::DateTime<chrono::Utc>>, AppError> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let moment = chrono::DateTime::parse_from_rfc3339(text.trim());
    moment.map(|moment| Some(moment.to_utc())).map_err(|_| {
        AppError::field(
            field,
            "Enter a moment like 2027-03-31T22:00:00Z, later than now, or nothing for no end.",
        )
    })
}

/// Reads an amount in the unit of a metric.
///
/// # Errors
/// About the field `cap`.
pub fn read_amount(metric: Metric, text: &str) -> Result<i64, AppError> {
    if metric == Metric::Spend {
        return Ok(read::<Money>("cap", text)?.0);
    }
    let digits = domain::money::ungrouped(&text.trim().replace(['_', ' '], ""));
    match digits.and_then(|digits| digits.parse::<i64>().ok()) {
        Some(amount) if (0..=1_000_000_000_000_000).contains(&amount) => Ok(amount),
        None if text.contains(',') => {
            Err(AppError::field("cap", "A comma only groups thousands, as in 200,000. Enter a whole number."))
        }
        _ => Err(AppError::field("cap", "Enter a whole number, for instance 200000.")),
    }
}
