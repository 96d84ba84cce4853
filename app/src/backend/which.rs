//! Filters of an address as what the store is asked for: read, permitted, and narrowed to what
//! whoever asks may see.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::{
    explore::{By, NONE, Without},
    ids::{ApplicationId, CallId, GroupId, KeyId, ModelId, OrgId, ProviderId, TierId, UserId},
    keys::{Feature, Features},
    roles::{Act, Permit},
    spend::View,
};
use store::{
    rollups::{self, Sight, Which, names},
    spend::Of,
};

use super::{AppError, Cx, Known, groups};
use crate::{
    filters::{AS_LINKED, Choices, Filters, Named},
    ui::{pick_group::LISTED, query::nothing_called},
};

/// How many applications a picker lists.
const PICKED: i64 = 500;

/// Reads a filter that may say "none".
fn id<T: std::str::FromStr>(text: &str, nil: T) -> Result<Option<T>, AppError> {
    match text {
        "" => Ok(None),
        NONE => Ok(Some(nil)),
        text => text.parse().map(Some).map_err(|_| AppError::NotFound),
    }
}

/// Reads a filter by what calls used.
fn features(text: &str) -> Result<Option<Features>, AppError> {
    match text {
        "" => Ok(None),
        NONE => Ok(Some(Features::default())),
        text => Ok(Some(Features::default().with(super::read("feature", text)?))),
    }
}

/// The filters without a feature that there is not, and what to say of it.
pub fn known(mut filters: Filters) -> (Filters, Option<String>) {
    let Err(_) = features(&filters.feature) else { return (filters, None) };
    let feature = std::mem::take(&mut filters.feature);
    (filters, Some(nothing_called(&feature)))
}

/// What may be asked for, where a page is about nothing but that. Who leads groups is used to read what
/// groups spend: of one they do not lead they are told so, as its spend page does, and not that it spent
/// nothing because they called nothing there themselves. With `user` as themselves they see that.
///
/// # Errors
/// As [`which`]; and when a group or an application is not theirs to read.
pub async fn asked(cx: &Cx, filters: &Filters) -> Result<Which, AppError> {
    let which = which(cx, filters).await?;
    if let Sight::Own { me, .. } = &which.sight
        && which.user != Some(*me)
    {
        if let Some(group) = which.group {
            cx.permit_in(Act::ReadGroup, group).await?;
        }
        if let Some(application) = which.application {
            cx.permit_for(Act::ReadGroup, application).await?;
        }
    }
    Ok(which)
}

/// Whether something is permitted; an error where it is not even there.
fn may(permit: Result<Permit, AppError>) -> Result<bool, AppError> {
    match permit {
        Ok(_) => Ok(true),
        Err(AppError::Forbidden(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What may be asked for. A group or an application opens all it spent to those who may read it;
/// of everything else people see what they lead and what they did themselves.
///
/// # Errors
/// When something is not in the organization, or is somebody else's.
pub async fn which(cx: &Cx, filters: &Filters) -> Result<Which, AppError> {
    let actor = cx.actor()?.clone();
    let me = cx.permit(Act::UseOwn)?.actor().user.unwrap_or(UserId::NIL);
    let group: Option<GroupId> = match filters.group.as_str() {
        NONE => Some(GroupId::NIL),
        // Written where there are too many to choose from.
        text => groups::named_some(cx, "group", text).await?,
    };
    let application: Option<ApplicationId> = match id(&filters.application, ApplicationId::NIL)? {
        Some(application) => Some(application),
        // A key is its application's.
        None => match id(&filters.key, KeyId::NIL)? {
            Some(key) => Some(store::spend::application_of(&cx.store, cx.org()?, key).await.known()?),
            None => None,
        },
    };
    let mut all = cx.permit(Act::ReadOrganization).is_ok();
    if let Some(group) = group {
        all |= may(cx.permit_in(Act::ReadGroup, group).await)?;
    }
    if let Some(application) = application {
        all |= may(cx.permit_for(Act::ReadGroup, application).await)?;
    }
    let which = Which {
        group,
        members: group.is_some() && filters.view == View::Members.as_str(),
        directly: group.is_some() && filters.directly == "true",
        application,
        user: person(cx, &filters.user).await?,
        model: id(&filters.model, ModelId::NIL)?,
        tier: id(&filters.tier, TierId::NIL)?,
        provider: id(&filters.provider, ProviderId::NIL)?,
        use_case: match filters.use_case.as_str() {
            "" => None,
            NONE => Some(String::new()),
            label => Some(label.to_owned()),
        },
        features: features(&filters.feature)?,
        without: without(cx, &filters.without).await?,
        sight: if all { Sight::All } else { Sight::Own { led: actor.leads.clone(), me } },
    };
    // Somebody who leads nothing sees their own, and nothing else: asked for as such, it is found
    // by an index.
    match &which.sight {
        Sight::Own { led, me } if led.is_empty() => match which.user {
            Some(other) if other != *me => {
                Err(AppError::Forbidden("You see your own calls only.".to_owned()))
            }
            _ => Ok(Which { user: Some(*me), sight: Sight::All, ..which }),
        },
        _ => Ok(which),
    }
}

/// The person somebody wrote: an id, an address, or a name that only one has; none for those without one.
async fn person(cx: &Cx, text: &str) -> Result<Option<UserId>, AppError> {
    let typed = text.trim();
    if let Ok(known) = id(typed, UserId::NIL) {
        return Ok(known);
    }
    // Who reads nobody else's is told of nobody.
    let me = cx.permit(Act::UseOwn)?.actor().user;
    let mut people = store::users::names(&cx.store, cx.org()?, i64::MAX).await.known()?;
    if cx.permit(Act::ReadOrganization).is_err() {
        people.retain(|(id, ..)| Some(*id) == me);
    }
    let same = |text: &str| text.to_lowercase() == typed.to_lowercase();
    let mut found = people.iter().filter(|(_, name, email)| same(name) || same(email));
    match (found.next(), found.next()) {
        (Some((id, ..)), None) => Ok(Some(*id)),
        (None, _) => {
            let sentence = format!("{} as a person. Write a name, or an address.", nothing_called(typed));
            Err(AppError::field("user", sentence))
        }
        (Some(_), Some(_)) => {
            let sentence =
                format!("Several people are called {typed}. Write the address of the one you mean.");
            Err(AppError::field("user", sentence))
        }
    }
}

/// Reads what is left out. A key is its application's.
async fn without(cx: &Cx, text: &str) -> Result<rollups::Without, AppError> {
    let asked: Without = text.parse().map_err(|_| AppError::NotFound)?;
    let mut without = rollups::Without::default();
    for (by, keys) in asked.things() {
        for key in keys {
            match by {
                By::Group => without.groups.extend(id(key, GroupId::NIL)?.map(|id| id.0)),
                By::Application => without.applications.extend(id(key, ApplicationId::NIL)?.map(|id| id.0)),
                By::Key => {
                    let key = id(key, KeyId::NIL)?.unwrap_or(KeyId::NIL);
                    let application =
                        store::spend::application_of(&cx.store, cx.org()?, key).await.known()?;
                    without.applications.push(application.0);
                }
                By::User => without.users.extend(id(key, UserId::NIL)?.map(|id| id.0)),
                By::Model => without.models.extend(id(key, ModelId::NIL)?.map(|id| id.0)),
                By::Tier => without.tiers.extend(id(key, TierId::NIL)?.map(|id| id.0)),
                By::Provider => without.providers.extend(id(key, ProviderId::NIL)?.map(|id| id.0)),
                By::UseCase => without.use_cases.push(if key == NONE { String::new() } else { key.clone() }),
                By::Feature => return Err(AppError::NotFound),
            }
        }
    }
    Ok(without)
}

/// What is left out, in words: how many things, not which, because an id alone tells nobody a name.
fn left_out(text: &str) -> Option<String> {
    let without: Without = text.parse().ok()?;
    let words: Vec<String> = without
        .things()
        .map(|(by, keys)| {
            domain::money::how_many(keys.len() as u64, &by.one().to_lowercase(), &by.plural().to_lowercase())
        })
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// What the filters that are set are called, and what else could be chosen.
///
/// # Errors
/// When something is not in the organization.
pub async fn named(cx: &Cx, filters: &Filters, which: &Which) -> Result<Named, AppError> {
    let org = cx.org()?;
    let actor = cx.actor()?;
    let reads_all = cx.permit(Act::ReadOrganization).is_ok();
    let mut set = Vec::new();
    for (by, name, id) in [
        (By::Group, "group", which.group.map(|id| id.0)),
        (
            By::Application,
            if filters.application.is_empty() { "key" } else { "application" },
            which.application.map(|id| id.0),
        ),
        (By::User, "user", which.user.filter(|_| !filters.user.is_empty()).map(|id| id.0)),
        (By::Model, "model", which.model.map(|id| id.0)),
        (By::Tier, "tier", which.tier.map(|id| id.0)),
        (By::Provider, "provider", which.provider.map(|id| id.0)),
    ] {
        let Some(id) = id else { continue };
        if id.is_nil() {
            set.push((name.to_owned(), by.none().to_owned()));
            continue;
        }
        let known = names(&cx.store, org, by, &[id]).await.known()?.remove(&id).ok_or(AppError::NotFound)?;
        // An id alone tells nobody a name.
        let told = reads_all
            || match by {
                By::Group => may(cx.permit_in(Act::ReadGroup, GroupId(id)).await)?,
                By::Application => may(cx.permit_for(Act::ReadGroup, ApplicationId(id)).await)?,
                By::User => actor.user == Some(UserId(id)),
                By::Model | By::Tier | By::Provider | By::UseCase | By::Feature | By::Key => true,
            };
        set.push((name.to_owned(), if told { known } else { AS_LINKED.to_owned() }));
    }
    if which.directly {
        set.push(("directly".to_owned(), By::Group.none().to_owned()));
    }
    if let Some(label) = &which.use_case {
        let label = if label.is_empty() { By::UseCase.none().to_owned() } else { label.clone() };
        set.push(("use_case".to_owned(), label));
    }
    if let Some(features) = which.features {
        let used: Vec<&str> = features.iter().map(Feature::label).collect();
        let label = if used.is_empty() { By::Feature.none().to_owned() } else { used.join(", ") };
        set.push(("feature".to_owned(), label));
    }
    set.extend(left_out(&filters.without).map(|label| ("without".to_owned(), label)));
    let led = (!reads_all).then_some(actor.leads.as_slice());
    let mut pickers = store::explore::pickers(&cx.store, org, led, PICKED).await.known()?;
    let mut group_path = None;
    if pickers.groups.len() > LISTED {
        let chosen = which.group.filter(|_| !filters.group.is_empty());
        let path = pickers.groups.iter().find(|(id, _)| Some(*id) == chosen).map(|(_, path)| path.clone());
        group_path = Some(path.unwrap_or_default());
        pickers.groups.clear();
    }
    Ok(Named {
        set,
        narrowed: !reads_all && (which.sight != Sight::All || which.user == actor.user),
        groups: choices(pickers.groups),
        group_path,
        applications: choices(pickers.applications),
        // The catalogue is for those who read everything; others filter by what they come across.
        models: if reads_all { choices::<ModelId>(pickers.models) } else { Vec::new() },
        tiers: choices::<TierId>(pickers.tiers),
        providers: if reads_all { choices::<ProviderId>(pickers.providers) } else { Vec::new() },
    })
}

fn choices<Id: ToString>(list: Vec<(Id, String)>) -> Choices {
    list.into_iter().map(|(id, name)| (id.to_string(), name)).collect()
}

/// Reads the days of an address: from the first to the last, both included.
///
/// # Errors
/// When one of them is no day.
pub fn days(
    from: &str,
    to: &str,
) -> Result<(Option<chrono::NaiveDate>, Option<chrono::NaiveDate>), AppError> {
    let from = super::read_date("from", from)?;
    let to = super::read_date("to", to)?;
    Ok((from, to.and_then(|last| last.succ_opt())))
}

/// A word of an address, and what to say where there is none like it: the beginning of a sentence.
pub fn word<T: std::str::FromStr + std::fmt::Display + Copy>(text: &str, usual: T) -> (T, Option<String>) {
    match (text, text.parse()) {
        ("", _) => (usual, None),
        (_, Ok(word)) => (word, None),
        _ => (usual, Some(nothing_called(text))),
    }
}

/// Which of some calls whoever asks may read by themselves, each with when it was made and by whom: what
/// members of a group called elsewhere counts in their group, and is no more of its leads' business.
///
/// # Errors
/// When the database does not answer.
pub async fn opening(
    cx: &Cx,
    calls: impl Iterator<Item = (CallId, DateTime<Utc>, Option<UserId>)> + Clone,
) -> Result<HashSet<CallId>, AppError> {
    if cx.permit(Act::ReadOrganization).is_ok() {
        return Ok(calls.map(|(id, ..)| id).collect());
    }
    let actor = cx.actor()?;
    let on: Vec<_> = calls.clone().map(|(id, at, _)| (at.date_naive(), id)).collect();
    let mut opening = store::calls::on_account_of(&cx.store, cx.org()?, &on, &actor.leads).await.known()?;
    opening.extend(calls.filter(|(.., user)| user.is_some() && *user == actor.user).map(|(id, ..)| id));
    Ok(opening)
}

/// Whose spend an address names, for those who may see it.
///
/// # Errors
/// When it is not in the organization, or not theirs to read.
pub async fn spender(cx: &Cx, of: &str) -> Result<(OrgId, Of), AppError> {
    if of.is_empty() {
        return Ok((cx.permit(Act::ReadOrganization)?.org(), Of::Organization));
    }
    let own = cx.permit(Act::UseOwn)?;
    let me = own.actor().user;
    if let Some(me) = me.filter(|me| of == "me" || of == me.to_string()) {
        return Ok((own.org(), Of::User(me)));
    }
    if let Ok(group) = of.parse::<GroupId>() {
        return Ok((cx.permit_in(Act::ReadGroup, group).await?.org(), Of::Group(group)));
    }
    if let Ok(application) = of.parse::<ApplicationId>() {
        return Ok((cx.permit_for(Act::ReadGroup, application).await?.org(), Of::Application(application)));
    }
    if let Ok(key) = of.parse::<KeyId>() {
        let application = store::spend::application_of(&cx.store, own.org(), key).await.known()?;
        return Ok((cx.permit_for(Act::ReadGroup, application).await?.org(), Of::Key(key, application)));
    }
    let of = match (of.parse::<UserId>(), of.parse::<ModelId>()) {
        (Ok(user), _) => Of::User(user),
        (_, Ok(model)) => Of::Model(model),
        _ => return Err(AppError::NotFound),
    };
    Ok((cx.permit(Act::ReadOrganization)?.org(), of))
}
