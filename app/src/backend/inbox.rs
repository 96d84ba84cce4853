//! Requests, seen from somebody: which they see, which wait for them, and what they decide.

use std::collections::HashMap;

use chrono::NaiveDate;
use domain::{
    access::{Facts, GrantFacts, Grantee},
    ids::{GroupId, ModelId, RequestId, UserId},
    money::Money,
    requests::{
        Made, NothingToAsk, Request, RequestState, Shown, Terms, Wish, Words, accounts_of, askable as check,
        check_amount, check_last_day, led_by,
    },
    roles::{Act, Permit, Place, allows},
};
use store::requests::{self, Decided, Sees};

use super::{AppError, Cx, Done, Fields, Known, read, read_date};
use crate::api::requests::{Askable, Held, Reviewed, Seen, Succeeded};

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

/// The newer grant that took the place of what a request led to.
pub async fn succeeded(cx: &Cx, request: &Request) -> Result<Option<Succeeded>, AppError> {
    let actor = cx.actor()?;
    let ended = request.grant.as_ref().filter(|grant| grant.revoked_at.is_some());
    let Some(Made::Grant(grant)) = ended.map(|grant| grant.made) else { return Ok(None) };
    let successor = requests::successor(&cx.store, actor.org, grant).await.known()?;
    Ok(successor.map(|successor| {
        let own = actor.user == Some(successor.requester.0);
        let reads = own || allows(actor, Act::ReadGroup, Place::Group(&request.path));
        Succeeded {
            request: reads.then_some(successor.request),
            requester: successor.requester.1,
            decider: successor.decider,
        }
    }))
}

/// With what whoever asks may do about each, and what that would change.
pub async fn seen(cx: &Cx, mut requests: Vec<Request>) -> Result<Vec<Seen>, AppError> {
    let actor = cx.actor()?;
    requests::judge(&cx.store, actor.org, &mut requests).await.known()?;
    let seen = |request: Request| {
        let own = actor.user == Some(request.requester.0);
        let may = match request.wish {
            Wish::Model { .. } => allows(actor, Act::DecideRequests, Place::Group(&request.path)),
            Wish::Raise { .. } => allows(actor, Act::LoosenLimits, Place::Organization),
        };
        // Ending is no answer: one may end what one asked for.
        let decides = may && (!own || request.state == RequestState::Approved);
        let waits = request.state == RequestState::Waiting;
        // Where enough agree by now, whoever agreed can complete it, too.
        let agreed = waits && !request.enough_agree() && actor.user.is_some_and(|me| request.agreed_by(me));
        Seen { own, decides, agreed, reviewed: None, succeeded: None, request }
    };
    Ok(requests.into_iter().map(seen).collect())
}

/// Reads the last day of a grant.
pub fn last_day(text: &str) -> Result<NaiveDate, AppError> {
    read_date("ends_on", text)?.ok_or_else(|| AppError::field("ends_on", "Choose the last day."))
}

/// Reads what is asked for: how much, until when. What is wrong with either is kept in `fields`.
///
/// # Errors
/// When the database does not answer.
pub async fn read_terms(
    cx: &Cx,
    fields: &mut Fields,
    amount: &str,
    ends_on: &str,
) -> Result<Option<Terms>, AppError> {
    let today = cx.calendar().await?.day(store::clock::now());
    let money = read::<Money>("amount", amount).and_then(|money| {
        check_amount(money).map(|()| money).map_err(|sentence| AppError::field("amount", sentence))
    });
    let day = last_day(ends_on).and_then(|day| {
        check_last_day(day, today).map(|()| day).map_err(|sentence| AppError::field("ends_on", sentence))
    });
    let (money, day) = (fields.take(money)?, fields.take(day)?);
    Ok(money.zip(day).map(|(amount, ends_on)| Terms { amount, ends_on }))
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

/// Agrees, in a change of its own. `shown`: what the page said would be granted and ended; none: it showed no
/// other terms than those that were asked for. `terms`: others, where they mean them; none: those that were shown.
///
/// # Errors
/// When they may not, when a colleague agreed to other terms since, or those of [`requests::approve`].
pub async fn approve(
    cx: &Cx,
    id: RequestId,
    shown: Option<Shown>,
    terms: Option<Terms>,
    answer: Option<&Words>,
) -> Result<Decided, AppError> {
    let mut change = cx.change(permit(cx, id).await?).await?;
    let meant = terms.or(shown.map(|shown| shown.terms));
    requests::as_shown(&mut change, id, shown, meant).await.known()?;
    let decided = requests::approve(&mut change, id, meant, answer).await.known()?;
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
            "You agree to other terms than those who agreed before you, whose word no longer counts. One more has to, then it holds."
        }
        Decided::Anew(_) => {
            "You agree to other terms than those who agreed before you, whose word no longer counts. More have to, then it holds."
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
    /// Yes to what the page showed of each, with a word about it.
    Approve(HashMap<RequestId, Shown>, Option<Words>),
    /// No, because of this.
    Refuse(Words),
}

/// Reads what a page showed of each request: `req_… 700.00/2026-12-15`.
///
/// # Errors
/// About the whole form: no page sends anything else.
pub fn read_shown(shown: &[String]) -> Result<HashMap<RequestId, Shown>, AppError> {
    let read = |line: &String| {
        let (id, shown) = line.split_once(' ')?;
        Some((id.parse().ok()?, shown.parse().ok()?))
    };
    let unreadable = || AppError::field("", "What the page showed cannot be read. Load it anew.");
    shown.iter().map(read).collect::<Option<_>>().ok_or_else(unreadable)
}

/// Decides on several, each for itself, and says of each that failed why.
pub async fn several(cx: &Cx, ids: &[RequestId], verdict: Verdict) -> Result<Done, AppError> {
    if ids.is_empty() {
        return Err(AppError::field("", "Tick the requests first."));
    }
    if ids.len() > AT_ONCE {
        return Err(AppError::field("", format!("At most {AT_ONCE} requests are decided at once.")));
    }
    let mut came = Came::default();
    for id in ids {
        let decided = match &verdict {
            Verdict::Approve(shown, answer) => {
                approve(cx, *id, shown.get(id).copied(), None, answer.as_ref()).await
            }
            Verdict::Refuse(answer) => refuse(cx, *id, answer).await,
        };
        match decided {
            Ok(Decided::Now) => came.well += 1,
            Ok(Decided::Before) => came.before += 1,
            Ok(Decided::More(_) | Decided::Anew(_)) => came.more.push(*id),
            Ok(Decided::Waits(_)) => came.waits.push(*id),
            // Without a database or a session none of the others would fare better.
            Err(error @ (AppError::Unavailable | AppError::SignedOut)) if came.nothing() => {
                return Err(error);
            }
            Err(error) => came.failed.push((*id, error)),
        }
    }
    if came.nothing()
        && let [(_, error)] = came.failed.as_slice()
    {
        return Err(error.clone());
    }
    came.said(cx, ids.len(), &verdict).await.map(Done::said)
}

/// What came of deciding on several.
#[derive(Default)]
struct Came {
    /// How many are so now.
    well: usize,
    /// How many they had decided just so before.
    before: usize,
    /// Those they agree to, and others have to.
    more: Vec<RequestId>,
    /// Those they had agreed to before, and others have to.
    waits: Vec<RequestId>,
    /// Those that were not decided on, and why.
    failed: Vec<(RequestId, AppError)>,
}

impl Came {
    fn nothing(&self) -> bool {
        self.well + self.before + self.more.len() + self.waits.len() == 0
    }

    /// In sentences. What still waits for others is named, so that nobody takes it for granted.
    async fn said(self, cx: &Cx, all: usize, verdict: &Verdict) -> Result<String, AppError> {
        let (done, had, stands) = match verdict {
            Verdict::Approve(..) => ("Approved", "approved", "what you agreed to then holds"),
            Verdict::Refuse(_) => ("Refused", "refused", "what you said then stands"),
        };
        let mut lines = vec![format!("{done}: {} of {all}.", self.well)];
        if self.before > 0 {
            lines.push(format!("You had {had} {} before: {stands}.", self.before));
        }
        if !self.more.is_empty() {
            let names = names(cx, &self.more).await?;
            lines.push(format!("You agree, and others have to before it holds: {names}."));
        }
        if !self.waits.is_empty() {
            let names = names(cx, &self.waits).await?;
            lines.push(format!("You had agreed before, and others still have to: {names}."));
        }
        for (id, error) in self.failed {
            let known = requests::get(&cx.store, cx.org()?, id).await.ok();
            let name = known.map_or_else(
                || "One of them".to_owned(),
                |request| format!("What {} asked for ({})", request.requester.1, request.wish.title()),
            );
            lines.push(format!("{name}: {}", error.sentence()));
        }
        Ok(lines.join(" "))
    }
}

/// What requests are for, one after the other: `big-chat for Mia in Research, small-chat for …`.
async fn names(cx: &Cx, ids: &[RequestId]) -> Result<String, AppError> {
    // How many are named.
    const NAMED: usize = 5;
    let mut names = Vec::new();
    for id in ids.iter().take(NAMED) {
        let request = requests::get(&cx.store, cx.org()?, *id).await.known()?;
        names.push(format!("{} for {}", request.wish.title(), request.whom()));
    }
    let more = ids.len() - names.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Ok(names.join(", ") + &more)
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
        Some(model) => held(cx, facts, me, (model, &whom)).await?,
        None => Vec::new(),
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

/// Grants that hold for a model, for those it can be asked for: a new one for the same takes its place.
async fn held(
    cx: &Cx,
    facts: &Facts,
    me: UserId,
    (model, whom): (ModelId, &[(String, String)]),
) -> Result<Vec<Held>, AppError> {
    let now = store::clock::now();
    let key = |grant: &GrantFacts| match grant.to {
        Grantee::Member(group, user) => (user == me).then(|| format!("me:{group}")),
        Grantee::Group(group) => Some(format!("group:{group}")),
        Grantee::User(_) => None,
    };
    let grants = facts.grants.get(&model).map_or(&[][..], Vec::as_slice);
    let holding = grants.iter().filter(|grant| grant.starts_at <= now && now < grant.ends_at);
    let held: Vec<_> = holding
        .filter_map(|grant| {
            let key = key(grant)?;
            let (_, name) = whom.iter().find(|(known, _)| *known == key)?;
            Some((grant.id, name.clone(), grant.ends_at))
        })
        .collect();
    let ids: Vec<_> = held.iter().map(|(id, ..)| *id).collect();
    let requests = requests::of_grants(&cx.store, cx.org()?, &ids).await.known()?;
    let held = held
        .into_iter()
        .filter_map(|(id, whom, until)| Some(Held { request: *requests.get(&id)?, whom, until }));
    Ok(held.collect())
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
