//! Requests, seen from somebody: which they see, which wait for them, and what they decide.

use std::collections::HashMap;

use chrono::NaiveDate;
use domain::{
    access::Facts,
    ids::{GroupId, ModelId, RequestId, UserId},
    requests::{
        Made, NothingToAsk, Request, RequestState, Terms, Wish, Words, accounts_of, askable as check, led_by,
    },
    roles::{Act, Permit, Place, allows},
};
use store::requests::{self, Decided, Filter, Sees};

use super::{AppError, Cx, Done, Known, read_date};
use crate::api::requests::{Askable, Reviewed, Seen};

/// How many requests are decided at once.
const AT_ONCE: usize = 50;

/// Which requests whoever asks sees.
pub fn sees(cx: &Cx) -> Result<Sees, AppError> {
    if cx.permit(Act::ReadOrganization).is_ok() {
        return Ok(Sees::All);
    }
    let actor = cx.actor()?;
    Ok(Sees::Some(actor.user.ok_or(AppError::NotFound)?, actor.leads.clone()))
}

/// Whether these are others' requests, too.
pub fn others(sees: &Sees) -> bool {
    match sees {
        Sees::All => true,
        Sees::Some(_, leads) => !leads.is_empty(),
    }
}

/// How many requests wait for whoever asks.
pub async fn waiting(cx: &Cx) -> Result<i64, AppError> {
    let actor = cx.actor()?;
    let me = actor.user.ok_or(AppError::NotFound)?;
    let leads = match cx.permit(Act::DecideRequests) {
        Ok(_) => None,
        Err(_) if actor.leads.is_empty() => return Ok(0),
        Err(_) => Some(actor.leads.as_slice()),
    };
    requests::waiting(&cx.store, actor.org, me, leads).await.known()
}

/// How many access reviews there are in which whoever asks can decide on lines that wait.
pub async fn reviews(cx: &Cx) -> Result<i64, AppError> {
    let actor = cx.actor()?;
    let within = match cx.permit(Act::ReviewAccess) {
        Ok(_) => None,
        Err(_) if actor.leads.is_empty() => return Ok(0),
        Err(_) => Some(actor.leads.as_slice()),
    };
    store::reviews::waiting_in(&cx.store, actor.org, within).await.known()
}

/// Whether whoever asks may ask for something: leads and those above them for groups, members for themselves
/// where the organization lets them.
pub async fn asks(cx: &Cx) -> Result<bool, AppError> {
    let actor = cx.actor()?;
    if !actor.leads.is_empty() || cx.permit(Act::RequestForGroup).is_ok() {
        return Ok(true);
    }
    Ok(store::organizations::get(&cx.store, actor.org).await.known()?.members.requests)
}

/// Whether asking is offered to whoever looks: an auditor who is in no group calls nothing, and has nothing to
/// ask for.
pub async fn offered(cx: &Cx) -> Result<bool, AppError> {
    let actor = cx.actor()?;
    if actor.role == domain::users::Role::Auditor {
        let facts = store::access::current(&cx.store, actor.org).await.known()?;
        let user = actor.user.and_then(|me| facts.users.get(&me));
        if user.is_none_or(|user| user.memberships.is_empty()) {
            return Ok(false);
        }
    }
    asks(cx).await
}

/// The answer to members where they do not ask.
pub fn no_asking() -> AppError {
    AppError::Forbidden(
        "Members do not ask here themselves. Ask a lead of your group or an admin.".to_owned(),
    )
}

/// The access review that ended what a request led to.
pub async fn reviewed(cx: &Cx, request: &Request) -> Result<Option<Reviewed>, AppError> {
    let actor = cx.actor()?;
    let ended = request.grant.as_ref().filter(|grant| grant.revoked_at.is_some());
    let Some(Made::Grant(grant)) = ended.map(|grant| grant.made) else { return Ok(None) };
    let ending = store::reviews::that_ended(&cx.store, actor.org, grant).await.known()?;
    let reads = allows(actor, Act::ReadGroup, Place::Group(&request.path));
    Ok(ending.map(|ending| Reviewed {
        review: reads.then_some(ending.review),
        path: ending.path,
        by: ending.by,
    }))
}

/// With what whoever asks may do about each.
pub fn seen(cx: &Cx, requests: Vec<Request>) -> Result<Vec<Seen>, AppError> {
    let actor = cx.actor()?;
    let seen = |request: Request| {
        let own = actor.user == Some(request.requester.0);
        let may = match request.wish {
            Wish::Model { .. } => allows(actor, Act::DecideRequests, Place::Group(&request.path)),
            Wish::Raise { .. } => allows(actor, Act::LoosenLimits, Place::Organization),
        };
        // Ending is no answer: one may end what one asked for.
        let decides = may && (!own || request.state == RequestState::Approved);
        let waits = request.state == RequestState::Waiting;
        let agreed = waits && actor.user.is_some_and(|me| request.agreed_by(me));
        Seen { own, decides, agreed, reviewed: None, request }
    };
    Ok(requests.into_iter().map(seen).collect())
}

/// Reads the last day of a grant.
pub fn last_day(text: &str) -> Result<NaiveDate, AppError> {
    read_date("ends_on", text)?.ok_or_else(|| AppError::field("ends_on", "Choose the last day."))
}

/// A permit to decide on a request: in the group on whose account a model is asked for, or about limits.
///
/// # Errors
/// When they may not, or there is no such request.
pub async fn permit(cx: &Cx, id: RequestId) -> Result<Permit, AppError> {
    match requests::place_of(&cx.store, cx.org()?, id).await.known()? {
        requests::Place::Group(group) => cx.permit_in(Act::DecideRequests, group).await,
        requests::Place::Limits => cx.permit(Act::LoosenLimits),
    }
}

/// Agrees, in a change of its own.
pub async fn approve(
    cx: &Cx,
    id: RequestId,
    terms: Option<Terms>,
    answer: Option<Words>,
) -> Result<Decided, AppError> {
    let mut change = cx.change(permit(cx, id).await?).await?;
    let decided = requests::approve(&mut change, id, terms, answer.as_ref()).await.known()?;
    change.commit().await.known()?;
    Ok(decided)
}

/// What came of an approval, in a sentence.
pub fn said(decided: Decided) -> &'static str {
    match decided {
        Decided::Now => "Approved. It holds from the next call on.",
        Decided::Before => "You had approved this before. What you agreed to then holds.",
        Decided::More(1) => "You agree. One more has to, then it holds.",
        Decided::More(_) => "You agree. More have to, then it holds.",
        Decided::Anew(1) => {
            "You agree to other terms than before, so what others agreed to no longer counts. One more has to, then it holds."
        }
        Decided::Anew(_) => {
            "You agree to other terms than before, so what others agreed to no longer counts. More have to, then it holds."
        }
        Decided::Waits(1) => "You had agreed before. One more has to, then it holds.",
        Decided::Waits(_) => "You had agreed before. More have to, then it holds.",
    }
}

/// Says no, in a change of its own.
pub async fn refuse(cx: &Cx, id: RequestId, answer: &Words) -> Result<Decided, AppError> {
    let mut change = cx.change(permit(cx, id).await?).await?;
    let decided = requests::refuse(&mut change, id, answer).await.known()?;
    change.commit().await.known()?;
    Ok(decided)
}

/// What is said about several requests.
pub enum Verdict {
    /// As they were asked for, with a word about it.
    Approve(Option<Words>),
    /// No, because of this.
    Refuse(Words),
}

/// Decides on several, each for itself, and says of each that failed why.
pub async fn several(cx: &Cx, ids: &[RequestId], verdict: Verdict) -> Result<Done, AppError> {
    if ids.is_empty() {
        return Err(AppError::field("", "Tick the requests first."));
    }
    if ids.len() > AT_ONCE {
        return Err(AppError::field("", format!("At most {AT_ONCE} requests are decided at once.")));
    }
    let (mut well, mut before, mut more, mut waits, mut failed) = (0, 0, 0, 0, Vec::new());
    for id in ids {
        let decided = match &verdict {
            Verdict::Approve(answer) => approve(cx, *id, None, answer.clone()).await,
            Verdict::Refuse(answer) => refuse(cx, *id, answer).await,
        };
        match decided {
            Ok(Decided::Now) => well += 1,
            Ok(Decided::Before) => before += 1,
            Ok(Decided::More(_) | Decided::Anew(_)) => more += 1,
            Ok(Decided::Waits(_)) => waits += 1,
            // Without a database or a session none of the others would fare better.
            Err(error @ (AppError::Unavailable | AppError::SignedOut))
                if well + before + more + waits == 0 =>
            {
                return Err(error);
            }
            Err(error) => failed.push((*id, error)),
        }
    }
    if well + before + more + waits == 0
        && let [(_, error)] = failed.as_slice()
    {
        return Err(error.clone());
    }
    let done = match &verdict {
        Verdict::Approve(_) => "Approved",
        Verdict::Refuse(_) => "Refused",
    };
    let mut lines = vec![format!("{done}: {well} of {}.", ids.len())];
    match more {
        0 => {}
        1 => lines.push("You agree to 1 that others have to agree to, too.".to_owned()),
        more => lines.push(format!("You agree to {more} that others have to agree to, too.")),
    }
    match (before, &verdict) {
        (0, _) => {}
        (_, Verdict::Approve(_)) => {
            lines.push(format!("You had approved {before} before: what you agreed to then holds."))
        }
        (_, Verdict::Refuse(_)) => {
            lines.push(format!("You had refused {before} before: what you said then stands."))
        }
    }
    if waits > 0 {
        lines.push(format!("You had agreed to {waits} before, and others have to, too."));
    }
    for (id, error) in failed {
        let known = requests::get(&cx.store, cx.org()?, id).await.ok();
        let name = known.map_or_else(
            || "One of them".to_owned(),
            |request| format!("What {} asked for ({})", request.requester.1, request.wish.title()),
        );
        lines.push(format!("{name}: {}", error.sentence()));
    }
    Ok(Done::said(lines.join(" ")))
}

/// What whoever asks can ask for.
pub async fn askable(
    cx: &Cx,
    facts: &Facts,
    paths: &[(GroupId, String)],
    named: &str,
) -> Result<Askable, AppError> {
    let now = store::clock::now();
    let actor = cx.actor()?;
    let me = actor.user.ok_or(AppError::NotFound)?;
    let own = accounts_of(facts, me, now);
    let led = match cx.permit(Act::RequestForGroup) {
        Ok(_) => facts.groups.keys().copied().collect(),
        Err(_) => led_by(facts, me, now),
    };
    let mut models: Vec<_> = facts
        .models
        .iter()
        .filter(|(id, _)| {
            own.iter().any(|group| check(facts, *group, Some(me), **id, now).is_ok())
                || led.iter().any(|group| check(facts, *group, None, **id, now).is_ok())
        })
        .map(|(id, model)| {
            let price = model.prices_at(now).map(crate::ui::money::pair).unwrap_or_default();
            (*id, model.name.clone(), price)
        })
        .collect();
    models.sort_by(|a, b| a.1.cmp(&b.1));
    let by_name = facts.model_names.get(named).copied().or_else(|| named.parse().ok());
    let known = by_name.filter(|id| models.iter().any(|(known, ..)| known == id));
    let why_not = (!named.is_empty() && known.is_none()).then(|| why_not(facts, &own, me, by_name, named));
    // Whoever named a model that cannot be asked for did not mean another one.
    let first = || models.first().map(|(id, ..)| *id).filter(|_| named.is_empty());
    let model = known.or_else(first);
    let whom = model.map(|model| whom(facts, paths, (&own, &led), me, model)).unwrap_or_default();
    let has = match model {
        Some(model) => holds(cx, me, model).await?,
        None => None,
    };
    Ok(Askable { models, whom, model, why_not, has })
}

/// For whom a model can be asked for, by path.
fn whom(
    facts: &Facts,
    paths: &[(GroupId, String)],
    (own, led): (&[GroupId], &[GroupId]),
    me: UserId,
    model: ModelId,
) -> Vec<(String, String)> {
    let now = store::clock::now();
    let paths: HashMap<GroupId, &str> = paths.iter().map(|(id, path)| (*id, path.as_str())).collect();
    let path = |id: &GroupId| paths.get(id).copied().unwrap_or_default();
    let choices = |groups: &[GroupId], user: Option<UserId>, kind: &str, word: &str| {
        let fitting = groups.iter().filter(|group| check(facts, **group, user, model, now).is_ok());
        let mut choices: Vec<_> =
            fitting.map(|id| (format!("{kind}:{id}"), format!("{word} {}", path(id)))).collect();
        choices.sort_by(|a, b| a.1.cmp(&b.1));
        choices
    };
    let mut whom = choices(own, Some(me), "me", "For myself, in");
    whom.extend(choices(led, None, "group", "For everybody in"));
    whom
}

/// Why a model that was named cannot be asked for. That it is closed and that it is not there are
/// not told apart.
fn why_not(facts: &Facts, own: &[GroupId], me: UserId, id: Option<ModelId>, named: &str) -> String {
    let now = store::clock::now();
    let open = id.is_some_and(|id| {
        own.iter().any(|group| check(facts, *group, Some(me), id, now) == Err(NothingToAsk::Open))
    });
    if open {
        return format!("{named} is open to you: it can be called without asking.");
    }
    let shown: String = named.chars().take(100).collect();
    format!("None of your groups can ask for {shown}. Choose another model, or ask an admin.")
}

/// The grant somebody has for a model already.
async fn holds(
    cx: &Cx,
    me: UserId,
    model: ModelId,
) -> Result<Option<(RequestId, chrono::DateTime<chrono::Utc>)>, AppError> {
    let filter = Filter { user: Some(me), state: Some(RequestState::Approved), ..Filter::default() };
    let requests = requests::list(&cx.store, cx.org()?, &filter, 50).await.known()?;
    let held = requests.iter().find(|request| request.wish.model() == Some(model));
    Ok(held.and_then(|request| Some((request.id, request.grant.as_ref()?.ends_at))))
}

/// Why some requests can never be agreed to when this many people have to; none: everywhere there are
/// enough.
///
/// # Errors
/// When the database does not answer.
pub async fn too_few(cx: &Cx, approvers: u8) -> Result<Option<String>, AppError> {
    if approvers <= 1 {
        return Ok(None);
    }
    let found = requests::too_few(&cx.store, cx.org()?, approvers).await.known()?;
    let people = |count: &i64| if *count == 1 { "1 person".to_owned() } else { format!("{count} people") };
    let mut sentences = Vec::new();
    if found.all > 0 {
        let some: Vec<String> =
            found.some.iter().map(|(name, count)| format!("{name} ({})", people(count))).collect();
        let more = found.all - i64::try_from(some.len()).unwrap_or_default();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        sentences.push(format!(
            "Fewer than {approvers} people may decide in {}{more}: large requests there can never be agreed to. Name more leads or admins, or ask for fewer.",
            some.join(", ")
        ));
    }
    if found.admins < i64::from(approvers) {
        sentences.push(format!(
            "Limits are raised by owners and admins only, {} here: large raises can never be agreed to.",
            people(&found.admins)
        ));
    }
    Ok((!sentences.is_empty()).then(|| sentences.join(" ")))
}
