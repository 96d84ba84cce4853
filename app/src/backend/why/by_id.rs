//! A call by its request id: what was refused and kept, what is in the books, and what the id itself
//! says where nothing is kept.

use chrono::{DateTime, Utc};
use domain::{
    calls::What, ids::CallId, keys::Feature, limits::Meter, refusals::Told, requests::raisable, roles::Act,
    time,
};
use store::{StoreError, refusals::Refused};

use super::{AppError, Known, Looking};
use crate::api::why::{Help, RefusedCall, ToldCall};

/// What is known of a call.
pub enum Found {
    /// It was refused, and kept.
    Refused(Box<Refused>),
    /// Nothing but this is known of it, or may be known by whoever asks.
    Told(ToldCall),
}

/// Looks a call up: among refused ones, in the books, in its id.
pub async fn find(looking: &Looking<'_>, id: CallId) -> Result<Found, AppError> {
    let (store, org) = (&looking.cx.store, looking.facts.org);
    let told = store::refusals::told(store, id).map(|(told, at)| of_id(id, told, at));
    let forbidden = || {
        let whose = "A refused call is for whoever made it, leads of its group, admins and auditors.";
        AppError::Forbidden(whose.to_owned())
    };
    match store::refusals::get(store, org, id).await {
        Ok(refused) if looking.is_own(refused.user) || looking.reads(refused.group) => {
            return Ok(Found::Refused(Box::new(refused)));
        }
        // Its id says no more than its answer did.
        Ok(_) => return told.map(Found::Told).ok_or_else(forbidden),
        Err(StoreError::NotFound) => {}
        other => {
            other.known()?;
        }
    }
    if let Some(told) = told {
        return Ok(Found::Told(told));
    }
    let call = store::calls::get(store, org, id).await.known()?;
    let group = call.path.last().map(|(group, _)| *group);
    let user = call.user.as_ref().map(|(user, _)| *user);
    if !looking.is_own(user) && !group.is_some_and(|group| looking.reads(group)) {
        return Err(forbidden());
    }
    let sentence = match &call.what {
        What::Finished(finished) => format!("It was let through, and is in the books: {}.", finished.outcome),
        What::Refused(refused) => refused.message.clone(),
    };
    let help = Help { sentence: "See the call".to_owned(), href: format!("/calls/{id}") };
    Ok(Found::Told(ToldCall { id, at: call.at, sentence, help, booked: true }))
}

/// Looks up the newest call that its caller called so, among those that whoever asks may see: of others
/// they do not learn that there are any.
pub async fn called(looking: &Looking<'_>, text: &str) -> Result<Option<Found>, AppError> {
    // So many are tried: callers may call all of theirs the same.
    const TRIED: usize = 20;
    let named = store::calls::by_request(&looking.cx.store, looking.facts.org, text).await.known()?;
    for (_, id) in named.into_iter().take(TRIED) {
        match find(looking, id).await {
            Ok(Found::Told(told)) if !told.booked => {}
            Ok(found) => return Ok(Some(found)),
            Err(AppError::Forbidden(_) | AppError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn help(told: Told) -> Help {
    let href = if told.at_my_models() { "/my-models" } else { "" };
    Help { sentence: told.help().to_owned(), href: href.to_owned() }
}

fn of_id(id: CallId, told: Told, at: DateTime<Utc>) -> ToldCall {
    ToldCall { id, at, sentence: told.sentence().to_owned(), help: help(told), booked: false }
}

/// A kept refusal as it is shown.
pub async fn told(looking: &Looking<'_>, refused: Refused) -> Result<RefusedCall, AppError> {
    // The link and the person to ask stand on the page anyway.
    const SHOWN: [&str; 12] = [
        "reason",
        "scope",
        "scope_name",
        "metric",
        "window",
        "cap",
        "used",
        "reserved",
        "needs",
        "resets_at",
        "ended_on",
        "times",
    ];
    let value = |name: &str| match refused.detail.get(name)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let wanted: Vec<&str> = refused.features.iter().map(Feature::label).collect();
    let wanted = (!wanted.is_empty()).then(|| ("wanted to use".to_owned(), wanted.join(", ")));
    let told = store::refusals::told(&looking.cx.store, refused.id).map(|(told, _)| told);
    let decided = !matches!(
        refused.code.as_str(),
        "invalid_api_key" | "invalid_request" | "request_too_large" | "unavailable" | "upstream_error"
    );
    let mut message = refused.message.clone();
    if refused.code == "invalid_api_key"
        && let Some(end) = end_of_secret(looking, &refused).await?
    {
        message = format!("{message} {end}");
    }
    Ok(RefusedCall {
        id: refused.id,
        at: refused.at,
        code: format!("{} {}", refused.status, refused.code),
        message,
        detail: SHOWN
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), value(name)?)))
            .chain(wanted)
            .collect(),
        help: told.filter(|_| !decided).map(help).or_else(|| more(looking, &refused)),
        decided,
        model: refused.model.clone(),
        observed: refused.observed,
    })
}

/// Where somebody asks for more money under the limit that had no room, as the answer said it; whoever may
/// raise it does that where it stands.
fn more(looking: &Looking<'_>, refused: &Refused) -> Option<Help> {
    let url = refused.detail.get("request_url")?.as_str()?;
    let path = url.get(url.find("/requests/raise?")?..)?;
    let scope = refused.detail.get("scope_name").and_then(|name| name.as_str()).unwrap_or("this limit");
    let named = path.split(['?', '&']).find_map(|pair| Meter::from_key(pair.strip_prefix("limit=")?));
    let asks = |meter| looking.me.is_some_and(|me| raisable(looking.facts, &meter, me, looking.now));
    if named.is_some_and(asks) {
        return Some(Help { sentence: format!("Ask for more money for {scope}"), href: path.to_owned() });
    }
    looking.cx.permit(Act::LoosenLimits).ok()?;
    Some(Help { sentence: format!("Raise the limit of {scope}"), href: "/limits".to_owned() })
}

/// How the secret of a call came to its end: when, and by whom, where that is on record.
async fn end_of_secret(looking: &Looking<'_>, refused: &Refused) -> Result<Option<String>, AppError> {
    let (store, org) = (&looking.cx.store, looking.facts.org);
    let end = match store::refusals::end_of(store, org, refused.secret).await {
        Err(StoreError::NotFound) => return Ok(None),
        end => end.known()?,
    };
    let filter = store::audit::Filter { subject: Some(refused.secret.0), ..Default::default() };
    let by = store::audit::list(store, org, &filter, 1).await.known()?.into_iter().next();
    let by = by.filter(|row| row.act != "create").map(|row| row.actor);
    let day = |at: DateTime<Utc>| time::date(looking.facts.calendar.day(at));
    let how = match (end.leaked_at, end.revoked_at, end.archived_at, end.expires_at) {
        (Some(at), ..) => format!("was reported as leaked on {}", day(at)),
        (_, Some(at), ..) => format!("was revoked on {}", day(at)),
        (_, _, Some(at), _) => format!("ended with its application on {}", day(at)),
        (.., Some(at)) if at <= looking.now => format!("was rotated, and ran out on {}", day(at)),
        _ => return Ok(None),
    };
    let by = by.map(|who| format!(" by {who}")).unwrap_or_default();
    Ok(Some(format!("The secret ending in {} {how}{by}.", end.tail)))
}
