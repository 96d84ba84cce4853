//! What undoes a change that was just made: the same form, with what it said before and the version that
//! the change made. One function for each form that has a way back; a batch is undone by its id.

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    access_tests::Expected,
    alerts::AlertSettings,
    applications::Application,
    groups::{Group, Standing, seen_as},
    ids::{AccessTestId, ApplicationId, BatchId, GroupId, LimitId, ModelId, TierId, UserId},
    keys::{Key, KeyModels},
    limits::{Meter, Metric},
    models::{Model, Tier},
    money::Money,
    organizations::Organization,
    policies::{Policy, Routing},
    prices::{PriceKey, Prices},
    providers::{Provider, Wait},
    rehearsal::Draft,
    requests::ApprovalRule,
    webhooks::Webhook,
    why::takes_in,
    window::Calendar,
};
use leptos::server_fn::ServerFn;
use store::{Change, StoreError, limits::LimitForm, requests::Raising, users::UserForm};

use crate::{
    api::{
        access_tests::EditAccessTest,
        alerts::EditWatching,
        applications::{EditApplication, HandOverApplication, MoveApplication},
        authorizations::UndoDraft,
        batches::UndoBatch,
        groups::{
            AddMember, EditGroup, EditMember, HandOverGroup, MoveGroup, SetDefaultGroup, SetGroupPolicy,
        },
        keys::EditKey,
        limits::{RemoveLimit, SetLimit},
        model_reviews::ReopenReviews,
        models::{DropPrice, EditModel, EditTier, SetPrices},
        observed::RestoreObserved,
        organizations::{EditOrganization, SetMembersMay},
        policies::SavePolicy,
        prompts::KeepPrompts,
        providers::{EditProvider, SetWaits},
        recommendations::RestoreRecommendation,
        requests::EditApprovalRule,
        users::{EditUser, SuspendUser},
        webhooks::EditWebhook,
    },
    frame::WayBack,
};

/// Of a change to one or many people.
pub fn batch(id: BatchId) -> WayBack {
    WayBack::by(UndoBatch::PATH).with("id", id)
}

/// Of a person's name, address and role.
pub fn user(id: UserId, before: &UserForm, version: i64) -> WayBack {
    WayBack::by(EditUser::PATH)
        .with("id", id)
        .with("version", version)
        .with("email", before.email.as_str())
        .with("name", before.name.as_str())
        .with("role", before.role)
}

/// Of a suspension, which gives back what was handed over, or of letting somebody in again.
pub fn suspension(id: UserId, suspended: bool, version: i64) -> WayBack {
    WayBack::by(SuspendUser::PATH)
        .with("id", id)
        .with("version", version)
        .ticked("suspended", !suspended)
        .ticked("back", suspended)
}

/// Of what a pinned test is called and expects.
pub fn access_test(id: AccessTestId, before: (&str, Expected), now: (&str, Expected)) -> WayBack {
    WayBack::by(EditAccessTest::PATH)
        .with("id", id)
        .with("was", now.0)
        .with("was_expected", now.1)
        .with("name", before.0)
        .with("expected", before.1)
}

/// Of a group's name, kind and end.
pub fn group(before: &Group) -> WayBack {
    WayBack::by(EditGroup::PATH)
        .with("id", before.id)
        .with("version", before.version + 1)
        .with("name", before.name())
        .with("kind", before.kind)
        .with_some("ends_on", before.ends_on)
}

/// Of the policy that stands for a group's calls.
pub fn group_policy(before: &Group) -> WayBack {
    WayBack::by(SetGroupPolicy::PATH)
        .with("id", before.id)
        .with("version", before.version + 1)
        .with_some("policy", before.policy)
}

/// Of putting a group elsewhere.
pub fn place(id: GroupId, from: Option<GroupId>, to: Option<GroupId>) -> WayBack {
    let place = |group: Option<GroupId>| group.map(|group| group.to_string()).unwrap_or_default();
    WayBack::by(MoveGroup::PATH).with("id", id).with("was", place(to)).with("parent", place(from))
}

/// Of whether new users join a group.
pub fn default_group(id: GroupId, default: bool) -> WayBack {
    WayBack::by(SetDefaultGroup::PATH).with("id", id).with("was", default).ticked("default", !default)
}

/// What somebody is in a group, and until when.
pub type Standings = (Standing, Option<DateTime<Utc>>);

/// The last day of what ends at a midnight.
fn last_day(calendar: Calendar, ends_at: Option<DateTime<Utc>>) -> Option<NaiveDate> {
    ends_at.and_then(|end| calendar.day(end).pred_opt())
}

/// Of what somebody is in a group.
pub fn membership(
    calendar: Calendar,
    group: GroupId,
    user: UserId,
    before: Standings,
    now: Standings,
) -> WayBack {
    WayBack::by(EditMember::PATH)
        .with("group", group)
        .with("user", user)
        .with("was", seen_as(now.0, now.1))
        .ticked("lead", before.0 == Standing::Lead)
        .with_some("ends_on", last_day(calendar, before.1))
}

/// Of taking a lead out of a group.
pub fn lead(calendar: Calendar, group: GroupId, user: UserId, until: Option<DateTime<Utc>>) -> WayBack {
    WayBack::by(AddMember::PATH)
        .with("group", group)
        .with("user", user)
        .ticked("lead", true)
        .with_some("ends_on", last_day(calendar, until))
}

/// Of handing a group over. `from`: who led it, and until when; `was`: whoever leads it now was in it
/// before, and until when.
pub fn group_lead(
    group: GroupId,
    from: (UserId, Option<DateTime<Utc>>),
    to: UserId,
    was: Option<Option<DateTime<Utc>>>,
) -> WayBack {
    let moment = |end: Option<DateTime<Utc>>| end.map(|end| end.to_rfc3339());
    WayBack::by(HandOverGroup::PATH)
        .with("group", group)
        .with("from", to)
        .with("user", from.0)
        .ticked("stays", was.is_some())
        .with_some("member_until", moment(was.flatten()))
        .with_some("lead_until", moment(from.1))
}

/// Of an application's name, description and use cases.
pub fn application(before: &Application) -> WayBack {
    WayBack::by(EditApplication::PATH)
        .with("id", before.id)
        .with("version", before.version + 1)
        .with("name", &before.name)
        .with("description", &before.description)
        .with("use_cases", before.use_cases.join("\n"))
}

/// Of who answers for an application.
pub fn application_owner(id: ApplicationId, from: UserId, to: UserId) -> WayBack {
    WayBack::by(HandOverApplication::PATH).with("id", id).with("was", to).with("user", from)
}

/// Of keeping what an application's calls say for longer. What is kept since then goes with it, so its name is
/// said as who types it would. `name`: the application's.
pub fn prompts(id: ApplicationId, name: &str, before: Option<i16>, now: Option<i16>) -> WayBack {
    let days = |days: Option<i16>| days.map(|days| days.to_string()).unwrap_or_default();
    WayBack::by(KeepPrompts::PATH)
        .with("application", id)
        .with("was", days(now))
        .with("days", days(before))
        .with("typed", name)
}

/// Of putting an application into another group, which made it `version`.
pub fn application_place(id: ApplicationId, version: i64, from: GroupId, to: GroupId) -> WayBack {
    WayBack::by(MoveApplication::PATH)
        .with("id", id)
        .with("version", version)
        .with("was", to)
        .with("group", from)
}

/// Of what a key narrows to.
pub fn key(application: ApplicationId, before: &Key) -> WayBack {
    let form = WayBack::by(EditKey::PATH)
        .with("application", application)
        .with("key", before.id)
        .with("version", before.version + 1)
        .ticked("all_models", before.models == KeyModels::All)
        .with_each("features[]", before.features.iter())
        .with_some("policy", before.policy)
        .with_each("assigned[]", before.assigned.iter().map(|(group, _)| group))
        .with_some("cache_seconds", before.handling.cache_seconds)
        .ticked("guard_answers", before.handling.guardrails.answers);
    let form = match &before.models {
        KeyModels::All => form,
        KeyModels::These(models) => form.with_each("models[]", models),
    };
    let rails = before.handling.guardrails.iter();
    rails.fold(form, |form, (guard, action)| form.with(&format!("guards[{guard}]"), action))
}

/// Of a limit that was changed, or is new. `raised`: the raise that ended with it, which does not come back.
pub fn limit(
    id: LimitId,
    meter: &Meter,
    before: Option<(LimitId, LimitForm, i64)>,
    raised: Option<&Raising>,
) -> WayBack {
    let remove = |version: i64| WayBack::by(RemoveLimit::PATH).with("id", id).with("version", version);
    match before {
        Some((_, form, version)) => match lasting(form, raised) {
            Some(form) => limit_again(meter, &form).with("version", version + 1),
            None => remove(version + 1),
        },
        None => remove(1),
    }
}

/// A limit as it was without the raise that ended; none: it had no cap of its own.
pub fn lasting(form: LimitForm, raised: Option<&Raising>) -> Option<LimitForm> {
    match raised {
        Some(raised) => raised.lasting.map(|cap| LimitForm { cap: cap.0, ..form }),
        None => Some(form),
    }
}

/// The raise of a limit that ends when somebody sets this cap, read in the change before it is set.
///
/// # Errors
/// When the database does not answer.
pub async fn raise_over(change: &mut Change, meter: &Meter, cap: i64) -> Result<Option<Raising>, StoreError> {
    let raised = store::requests::raised(change, meter).await?;
    Ok(raised.filter(|raised| raised.cap.0 != cap))
}

/// What is said of a raise that ended because somebody set the limit or took it away: what a way back comes
/// to. `default`: the organization's, which holds again where undoing takes the limit away; none: there is no
/// way back to it.
pub fn raise_ended(meter: &Meter, raised: Option<&Raising>, default: Option<Money>) -> String {
    let Some(raised) = raised else { return String::new() };
    let ends = raised.ends(meter);
    match (raised.lasting, default) {
        (Some(cap), _) => format!(" {ends}: Undo sets {}.", meter.show_cap(cap.0)),
        (None, Some(cap)) => {
            let cap = meter.show_cap(cap.0);
            format!(" {ends}: with Undo the organization's default holds again, {cap}.")
        }
        (None, None) => format!(" {ends}."),
    }
}

/// Of taking a limit away.
pub fn limit_again(meter: &Meter, form: &LimitForm) -> WayBack {
    let cap = if meter.metric == Metric::Spend { Money(form.cap).exact() } else { form.cap.to_string() };
    let thresholds: Vec<String> = form.thresholds.iter().map(ToString::to_string).collect();
    WayBack::by(SetLimit::PATH)
        .with("scope", meter.scope.key())
        .with("metric", meter.metric)
        .with("window", meter.window)
        .with("cap", cap)
        .with("mode", form.mode)
        .with("thresholds", thresholds.join(", "))
}

/// Of rules that were saved together.
pub fn rules(id: BatchId) -> WayBack {
    WayBack::by(UndoDraft::PATH).with("id", id)
}

/// Of a draft that a change is about to make true, read in it; none for rules, and for what is new.
///
/// # Errors
/// When the database does not answer.
pub async fn draft(change: &mut Change, draft: &Draft) -> Result<Option<WayBack>, StoreError> {
    let org = change.org();
    Ok(match draft {
        Draft::Limit { meter, cap, .. } => {
            let before = store::limits::said(change, meter).await?;
            let raised = raise_over(change, meter, *cap).await?;
            before.map(|before| limit(before.0, meter, Some(before), raised.as_ref()))
        }
        Draft::Policy { id: Some(id), .. } => {
            Some(policy(&store::policies::get(change.store(), org, *id).await?))
        }
        Draft::Move { group, from, parent } => {
            let open = takes_in(&*change.facts().await?, *from, store::clock::now());
            open.then(|| place(*group, *from, *parent))
        }
        Draft::MoveApplication { application, version, from, to } => {
            let open = takes_in(&*change.facts().await?, Some(*from), store::clock::now());
            open.then(|| application_place(*application, version + 1, *from, *to))
        }
        Draft::Policy { id: None, .. } | Draft::Authorizations(_) => None,
    })
}

/// Of promoting or dropping a rule that only took note, after it was done; none where whoever did it may
/// not put it back.
///
/// # Errors
/// When the database does not answer.
pub async fn watched(
    change: &mut Change,
    before: store::authorizations::watching::Before,
) -> Result<Option<WayBack>, StoreError> {
    let stood = store::authorizations::watching::stood(change, before).await?;
    let text = stood.map(|stood| serde_json::to_string(&stood)).transpose();
    let text = text.map_err(|error| StoreError::Unreadable(error.to_string()))?;
    Ok(text.map(|text| WayBack::by(RestoreObserved::PATH).with("stood", text)))
}

/// Of the organization's settings.
pub fn organization(before: &Organization) -> WayBack {
    WayBack::by(EditOrganization::PATH)
        .with("version", before.version + 1)
        .with("name", &before.name)
        .with("time_zone", &before.time_zone)
        .with("week_start", before.week_start)
        .with("default_user_limit", before.default_user_limit.map(Money::exact).unwrap_or_default())
        .with("budget_status", before.budget_status)
        .with("contact", before.contact.as_deref().unwrap_or_default())
}

/// Of what members may do by themselves.
pub fn members_may(before: &Organization) -> WayBack {
    WayBack::by(SetMembersMay::PATH)
        .with("version", before.version + 1)
        .ticked("applications", before.members.applications)
        .ticked("requests", before.members.requests)
}

/// Of how many have to agree to large sums. A rule that asks for one is none, and has no version.
pub fn approval_rule(before: Option<ApprovalRule>, approvers: u8) -> WayBack {
    let version = before.map_or(0, |rule| rule.version) + 1;
    WayBack::by(EditApprovalRule::PATH)
        .with("version", if approvers == 1 { 0 } else { version })
        .with("above", before.map(|rule| rule.above.exact()).unwrap_or_default())
        .with("approvers", before.map_or(1, |rule| rule.approvers))
}

/// Of what is watched for.
pub fn watching(before: &AlertSettings) -> WayBack {
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    WayBack::by(EditWatching::PATH)
        .with("version", before.version + 1)
        .with_each("kinds[]", &before.kinds)
        .with("floor", before.floor.exact())
        .with_some("quiet_from", before.quiet.map(|quiet| clock(quiet.from)))
        .with_some("quiet_to", before.quiet.map(|quiet| clock(quiet.to)))
}

/// Of where a webhook leads and what it tells of.
pub fn webhook(before: &Webhook) -> WayBack {
    WayBack::by(EditWebhook::PATH)
        .with("id", before.id)
        .with("version", before.version + 1)
        .with("url", &before.url)
        .with_each("kinds[]", &before.kinds)
        .ticked("allow_private_address", before.allow_private_address)
}

/// Of a policy that was changed.
pub fn policy(before: &Policy) -> WayBack {
    let steps: Vec<String> = before
        .steps
        .iter()
        .map(|(_, name, weight)| match before.routing {
            Routing::Balance => format!("{name} {weight}"),
            Routing::Fallback => name.clone(),
        })
        .collect();
    let form = WayBack::by(SavePolicy::PATH)
        .with("id", before.id)
        .with("version", before.version + 1)
        .with("name", &before.name)
        .with("routing", before.routing)
        .with("steps", steps.join("\n"));
    // What is usual is said as well: a model that no line names keeps what was saved of it.
    before.steps.iter().fold(form, |form, (id, name, _)| {
        let rules = before.rules.get(id).copied().unwrap_or_default();
        let form = form
            .with("attempts[]", format!("{name} {}", rules.attempts))
            .with_some("first_byte[]", rules.first_byte.map(|seconds| format!("{name} {seconds}")));
        form.with_each("after[]", rules.after.iter().map(|trouble| format!("{name} {trouble}")))
    })
}

/// Of where a provider is. Its credential is not in it: one that was changed has no way back.
pub fn provider(before: &Provider) -> WayBack {
    WayBack::by(EditProvider::PATH)
        .with("id", before.id)
        .with("version", before.version + 1)
        .with("name", &before.name)
        .with("dialect", before.dialect)
        .with("base_url", &before.base_url)
        .ticked("allow_private_address", before.allow_private_address)
}

/// Of how long a provider is waited for.
pub fn waits(before: &Provider) -> WayBack {
    let form = WayBack::by(SetWaits::PATH).with("id", before.id).with("version", before.version + 1);
    Wait::ALL.iter().fold(form, |form, &wait| form.with_some(wait.as_str(), before.waits.get(wait)))
}

/// Of a model's entry in the catalogue.
pub fn model(before: &Model) -> WayBack {
    let tokens = |tokens: Option<i64>| tokens.map(|tokens| tokens.to_string()).unwrap_or_default();
    WayBack::by(EditModel::PATH)
        .with("id", before.id)
        .with("version", before.version + 1)
        .with("name", &before.name)
        .with("provider", before.provider.0)
        .with("upstream", &before.upstream)
        .with("modality", before.modality)
        .with("tier", before.tier.0)
        .with("context_tokens", tokens(before.context_tokens))
        .with("max_output_tokens", tokens(before.max_output_tokens))
}

/// Of prices that hold since a moment ago: those before, from now on.
pub fn prices(id: ModelId, version: i64, before: &Prices) -> WayBack {
    let form = WayBack::by(SetPrices::PATH).with("id", id).with("version", version);
    PriceKey::ALL
        .iter()
        .fold(form, |form, &key| form.with_some(key.as_str(), before.own(key).map(|price| price.exact())))
}

/// Of prices that are to come.
pub fn coming_price(id: ModelId, version: i64, from: DateTime<Utc>) -> WayBack {
    WayBack::by(DropPrice::PATH).with("id", id).with("version", version).with("from", from.to_rfc3339())
}

/// Of a tier.
pub fn tier(before: &Tier) -> WayBack {
    WayBack::by(EditTier::PATH)
        .with("id", before.id)
        .with("version", before.version + 1)
        .with("name", &before.name)
        .ticked("high_cost", before.high_cost)
}

/// Of accepting or dismissing models: each as it was left, and the tier it was in.
pub fn reviews<'a>(models: impl IntoIterator<Item = &'a (ModelId, i64, TierId)>) -> WayBack {
    models.into_iter().fold(WayBack::by(ReopenReviews::PATH), |form, (id, version, tier)| {
        form.with("ids[]", id).with(&format!("seen[{id}]"), version + 1).with(&format!("tiers[{id}]"), tier)
    })
}

/// Of putting a recommendation aside.
pub fn recommendation(topic: &str, figures: &str) -> WayBack {
    WayBack::by(RestoreRecommendation::PATH).with("topic", topic).with("figures", figures)
}
