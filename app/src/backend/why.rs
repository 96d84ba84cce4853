//! Why somebody may use a model, or may not: whom it is about, who may ask, and the answer.

use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use domain::{
    access::{
        ApplicationFacts, Applied, Ask, Decision, Facts, Reason, Step, Verdict, applicable, beside,
        decide_with,
    },
    ids::{ApplicationId, CallId, GroupId, KeyId, ModelId, UserId},
    keys::{Feature, Features},
    limits::{Level, Limit, Metric, Mode, Scope, Subject},
    money::Money,
    policies,
    requests::{Request, accounts_of},
    roles::{Act, Place, allows},
    spend::LimitLevel,
    time::Zone,
    why::{self, Fix, Gate},
};

use super::{AppError, Cx, Known, read, read_date};
use crate::api::why::{Answer, Help, Say, Time, Why, WhyStep};

mod by_id;

/// How many people and applications there are to choose from.
const CHOICES: i64 = 300;

/// Moments are typed in minutes: what is nearer than this is now.
const SAME_MOMENT: chrono::Duration = chrono::Duration::minutes(1);

/// Before the path of a group: whoever is in it.
const ANYBODY: &str = "Anybody in ";

/// What is asked.
pub struct Question {
    /// An address, an application's path, an id, or nothing.
    pub who: String,
    /// A model's name.
    pub model: String,
    /// Only on this group's account.
    pub on: Option<GroupId>,
    /// At this moment of the organization's clocks; none: now.
    pub at: Option<NaiveDateTime>,
    /// What the call would use of its key.
    pub features: Features,
    /// How large the call would be.
    pub tokens: Option<u64>,
    /// The request id of a refused call; empty for none.
    pub request: String,
    /// How much of what that call needed, where a limit had no room for it.
    pub needed: Option<(Metric, i64)>,
    /// What of it could not be read, in a sentence: it is not answered then.
    pub wrong: Option<String>,
}

/// What was typed is not one.
const NO_REQUEST_ID: &str = "That is no request id. It begins with req_ and stands in every answer: in x-request-id, and in error.bursar of a refusal. What a caller calls its own request is found, too, where the call is for you to see.";

/// Whom it is about.
struct Whom<'a> {
    name: String,
    user: Option<UserId>,
    application: Option<(ApplicationId, &'a ApplicationFacts)>,
    groups: Vec<GroupId>,
}

/// What whoever asks may look at.
struct Looking<'a> {
    cx: &'a Cx,
    facts: &'a Facts,
    now: DateTime<Utc>,
    /// Whether what is asked is about a moment that is over.
    over: bool,
    all: bool,
    me: Option<UserId>,
}

impl Looking<'_> {
    fn reads(&self, group: GroupId) -> bool {
        let path = self.facts.groups.get(&group).map_or(&[][..], |facts| facts.path.as_slice());
        let actor = self.cx.actor().ok();
        self.all || actor.is_some_and(|actor| allows(actor, Act::ReadGroup, Place::Group(path)))
    }

    fn is_own(&self, user: Option<UserId>) -> bool {
        user.is_some() && user == self.me
    }

    /// A page for those who see everything.
    fn to(&self, href: String) -> String {
        if self.all { href } else { String::new() }
    }

    /// A page of a group, for its leads, too.
    fn of_group(&self, group: Option<GroupId>, href: String) -> String {
        if self.all || group.is_some_and(|group| self.reads(group)) { href } else { String::new() }
    }
}

/// A day at noon, so that what ends with it still holds on it; or a moment: `2026-12-01T14:30`.
///
/// # Errors
/// About the field `at`.
pub fn moment(text: &str) -> Result<Option<NaiveDateTime>, AppError> {
    let moment = NaiveDateTime::parse_from_str(text.trim(), "%Y-%m-%dT%H:%M");
    match moment {
        Ok(moment) => Ok(Some(moment)),
        Err(_) => Ok(read_date("at", text)?.and_then(|day| day.and_hms_opt(12, 0, 0))),
    }
}

/// Features separated by commas.
///
/// # Errors
/// About the field `using`.
pub fn features(text: &str) -> Result<Features, AppError> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| read::<Feature>("using", word)).collect()
}

/// The facts as they will be at a later moment as far as it is known now: limits that are raised until before
/// that are lower then.
async fn as_of(
    cx: &Cx,
    facts: Arc<Facts>,
    (now, at): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Arc<Facts>, AppError> {
    if at <= now {
        return Ok(facts);
    }
    let caps = store::requests::caps_on(&cx.store, facts.org, facts.calendar.day(at)).await.known()?;
    if caps.is_empty() {
        return Ok(facts);
    }
    let mut later = Facts::clone(&facts);
    later.recap(&caps);
    Ok(Arc::new(later))
}

/// The answer.
pub async fn answer(cx: &Cx, mut question: Question) -> Result<Why, AppError> {
    let org = cx.permit(Act::UseOwn)?.org();
    let known = store::access::current(&cx.store, org).await.known()?;
    let all = cx.permit(Act::ReadOrganization).is_ok();
    let now = store::clock::now();
    let at = question.at.and_then(|at| known.calendar.zone.from_local_datetime(&at).earliest());
    let at = at.map_or(now, |moment| moment.with_timezone(&Utc));
    let facts = as_of(cx, known, (now, at)).await?;
    let mut looking = Looking { cx, facts: &facts, now, over: false, all, me: cx.actor()?.user };
    let paths = store::groups::paths(&cx.store, org).await.known()?;
    let people = if all { store::users::names(&cx.store, org, CHOICES).await.known()? } else { Vec::new() };
    let mut page = Why { people: choices(&looking, &paths, &people), ..Why::default() };
    if !question.request.is_empty() {
        let found = match question.request.parse::<CallId>() {
            Ok(id) => Some(by_id::find(&looking, id).await?),
            Err(_) => by_id::called(&looking, &question.request).await?,
        };
        let refused = match found {
            None => {
                page.models = models(&looking);
                page.problem = Some(NO_REQUEST_ID.to_owned());
                return Ok(page);
            }
            Some(by_id::Found::Refused(refused)) => refused,
            Some(by_id::Found::Told(told)) => {
                (page.models, page.told) = (models(&looking), Some(told));
                return Ok(page);
            }
        };
        let own = looking.is_own(refused.user);
        question.who = match (refused.user, own) {
            (Some(user), true) => user.to_string(),
            _ => refused.application.to_string(),
        };
        (question.model, question.on) = (refused.model.clone(), Some(refused.group));
        question.features = refused.features;
        question.needed = needed(&refused.detail);
        page.refused = Some(by_id::told(&looking, *refused).await?);
    }
    page.models = models(&looking);
    if question.wrong.is_some() {
        return Ok(Why { who: question.who, model: question.model, problem: question.wrong, ..page });
    }
    (looking.now, looking.over) = (at, at < now - SAME_MOMENT);
    page.time = match () {
        () if looking.over => Time::Over,
        () if at > now + SAME_MOMENT => Time::ToCome,
        () => Time::Now,
    };
    page.using = question.features.iter().map(Feature::as_str).collect::<Vec<_>>().join(",");
    let whom = match whom(&looking, &paths, &question).await? {
        Ok(whom) => whom,
        Err(problem) => {
            return Ok(Why { who: question.who, model: question.model, problem: Some(problem), ..page });
        }
    };
    page.who = spelled(&looking, &paths, &whom, &question.who).await?;
    (page.name, page.model) = (whom.name.clone(), question.model.clone());
    if question.model.is_empty() {
        return Ok(page);
    }
    let routed = question.model.starts_with(policies::PREFIX);
    for group in &whom.groups {
        for model in asked_for(&facts, &whom, *group, &question.model) {
            page.answers.push(on_account(&looking, &paths, &whom, *group, model, &question).await?);
        }
    }
    // Whoever sees only their own does not learn of models nobody has let in.
    let hidden = |answer: &Answer| answer.steps.is_empty() && answer.say == Say::Closed;
    if routed {
        page.answers.retain(|answer| !hidden(answer));
    } else {
        page.answers.sort_by_key(|answer| answer.say);
    }
    if page.answers.iter().all(hidden) {
        page.answers.clear();
        page.problem = Some(format!("There is no model {} here.", question.model));
    }
    Ok(page)
}

/// The model of this name, also one that is not called that any more; or those of a policy, in the
/// order they are written: each is decided for itself.
fn asked_for(facts: &Facts, whom: &Whom<'_>, group: GroupId, name: &str) -> Vec<ModelId> {
    if !name.starts_with(policies::PREFIX) {
        let left = || facts.models.iter().find(|(_, model)| model.name == name).map(|(id, _)| *id);
        return facts.model_names.get(name).copied().or_else(left).into_iter().collect();
    }
    let application = whom.application.map(|(_, application)| application);
    let found = policies::meant(facts, application, group, name);
    found.map(|(_, policy)| policy.steps.iter().map(|(model, _)| *model).collect()).unwrap_or_default()
}

fn path_of(paths: &[(GroupId, String)], group: GroupId) -> &str {
    paths.iter().find(|(id, _)| *id == group).map_or("", |(_, path)| path.as_str())
}

/// What can be typed: people for those who see all of them, applications of groups somebody reads.
fn choices(
    looking: &Looking<'_>,
    paths: &[(GroupId, String)],
    people: &[(UserId, String, String)],
) -> Vec<(String, String)> {
    let mut choices: Vec<(String, String)> =
        people.iter().map(|(_, name, email)| (email.clone(), name.clone())).collect();
    let mut applications: Vec<(String, String)> = looking
        .facts
        .applications
        .values()
        .filter(|application| application.personal.is_none() && looking.reads(application.group))
        .map(|application| {
            let path = format!("{}/{}", path_of(paths, application.group), application.name);
            (path, application.name.clone())
        })
        .collect();
    applications.sort();
    applications.truncate(CHOICES.unsigned_abs() as usize);
    choices.extend(applications);
    choices
}

/// Models to choose from: all for those who read a group, else what one could use or ask for.
fn models(looking: &Looking<'_>) -> Vec<String> {
    let facts = looking.facts;
    let own = looking.me.map(|me| accounts_of(facts, me, looking.now)).unwrap_or_default();
    let wide = looking.all || facts.groups.keys().any(|group| looking.reads(*group));
    let visible = |id: ModelId| {
        own.iter().any(|group| {
            let ask = Ask {
                group: *group,
                user: looking.me,
                application: None,
                model: id,
                features: Features::default(),
            };
            !matches!(decide_with(facts, &ask, looking.now, &mut ()).verdict, Verdict::Deny(_))
        })
    };
    let mut models: Vec<String> = facts
        .model_names
        .iter()
        .filter(|(_, id)| wide || visible(**id))
        .map(|(name, _)| name.clone())
        .collect();
    models.sort();
    models
}

/// Whom the words mean (a group: anybody in it), and on which groups' accounts whoever asks may know. What is not there and
/// what they may not know of are not told apart.
async fn whom<'a>(
    looking: &Looking<'a>,
    paths: &[(GroupId, String)],
    question: &Question,
) -> Result<Result<Whom<'a>, String>, AppError> {
    let who = question.who.as_str();
    let unknown = || Err(format!("There is no person or application {who} you may ask about."));
    let (id, key) = (who.parse::<ApplicationId>().ok(), who.parse::<KeyId>().ok());
    let known = |(found, application): &(&ApplicationId, &ApplicationFacts)| {
        let path = || format!("{}/{}", path_of(paths, application.group), application.name);
        Some(**found) == id
            || Some(application.key) == key
            || (who.contains('/') && path().eq_ignore_ascii_case(who))
    };
    if let Some((id, application)) = looking.facts.applications.iter().find(known) {
        if !looking.reads(application.group) && application.personal != looking.me {
            return Ok(unknown());
        }
        return Ok(Ok(Whom {
            name: application.name.clone(),
            user: application.personal,
            application: Some((*id, application)),
            groups: vec![application.group],
        }));
    }
    let named = who.strip_prefix(ANYBODY).and_then(|path| paths.iter().find(|(_, known)| known == path));
    if let Some(group) = who.parse::<GroupId>().ok().or(named.map(|(id, _)| *id)) {
        let known = looking.facts.groups.contains_key(&group) && looking.reads(group);
        let (user, application) = (None, None);
        let anybody = || Whom { name: "Anybody".to_owned(), user, application, groups: vec![group] };
        return Ok(if known { Ok(anybody()) } else { unknown() });
    }
    let user = match (who, who.parse::<UserId>()) {
        ("", _) => looking.me,
        (_, Ok(id)) => Some(id),
        (email, Err(_)) => {
            let people = store::users::names(&looking.cx.store, looking.facts.org, i64::MAX).await.known()?;
            people.into_iter().find(|(_, _, known)| known.eq_ignore_ascii_case(email)).map(|(id, ..)| id)
        }
    };
    let Some((user, person)) = user.and_then(|id| Some((id, looking.facts.users.get(&id)?))) else {
        return Ok(unknown());
    };
    let mut groups = accounts_of(looking.facts, user, looking.now);
    groups.extend(question.on.filter(|on| !groups.contains(on)));
    groups.retain(|group| question.on.is_none_or(|on| on == *group));
    groups.retain(|group| looking.me == Some(user) || looking.reads(*group));
    groups.sort_by_key(|group| path_of(paths, *group).to_owned());
    if groups.is_empty() {
        let own = looking.me == Some(user) || looking.all;
        let nowhere =
            format!("{} belongs to no group, and without a group nothing can be called.", person.name);
        return Ok(if own { Err(nowhere) } else { unknown() });
    }
    Ok(Ok(Whom { name: person.name.clone(), user: Some(user), application: None, groups }))
}

/// Whom it is about as a person would type it: a link came with an id.
async fn spelled(
    looking: &Looking<'_>,
    paths: &[(GroupId, String)],
    whom: &Whom<'_>,
    who: &str,
) -> Result<String, AppError> {
    if let Some((_, application)) = whom.application {
        return Ok(format!("{}/{}", path_of(paths, application.group), application.name));
    }
    if let Some(group) = who.parse::<GroupId>().ok().filter(|_| whom.user.is_none()) {
        return Ok(format!("{ANYBODY}{}", path_of(paths, group)));
    }
    match (who.parse::<UserId>(), whom.user) {
        (Ok(_), Some(user)) if looking.me != Some(user) || looking.all => {
            Ok(store::users::name(&looking.cx.store, looking.facts.org, user).await.known()?.1)
        }
        // Nothing stands for oneself.
        (Ok(_), Some(_)) => Ok(String::new()),
        _ => Ok(who.to_owned()),
    }
}

async fn on_account(
    looking: &Looking<'_>,
    paths: &[(GroupId, String)],
    whom: &Whom<'_>,
    group: GroupId,
    model: ModelId,
    question: &Question,
) -> Result<Answer, AppError> {
    let (facts, now) = (looking.facts, looking.now);
    let application = whom.application.map(|(_, application)| application);
    let features = question.features;
    let ask = Ask { group, user: whom.user, application, model, features };
    let mut trace = Vec::new();
    let decision = decide_with(facts, &ask, now, &mut trace);
    // What is over is changed by nobody.
    let fixes = if looking.over { Vec::new() } else { why::fixes(facts, &ask, now) };
    let asked = asked_already(looking, &ask, &fixes).await?;
    let who = format!("{} in {}", whom.name, path_of(paths, group));
    let sentence = why::sentence(facts, &who, &ask, &decision, (&trace, asked.is_some()), now);
    let secret = matches!(
        decision.verdict,
        Verdict::Deny(
            Reason::Unreviewed
                | Reason::Unpriced
                | Reason::NotServed
                | Reason::UnknownModel
                | Reason::GroupEnded
        )
    );
    if secret && !looking.reads(group) {
        let (steps, help, limits) = (Vec::new(), Vec::new(), Vec::new());
        return Ok(Answer { group, say: Say::Closed, sentence: String::new(), steps, help, limits });
    }
    let mut help: Vec<Help> = fixes
        .iter()
        .map(|fix| match (fix, &asked) {
            (Fix::Ask(..), Some(request)) => waits(looking, request),
            _ => Help { sentence: in_whose_words(looking, whom, fix), href: door(looking, fix, whom) },
        })
        .collect();
    // How much was used at a moment that is over is not kept.
    let limits =
        if looking.over { Vec::new() } else { limits(looking, whom, &ask, &decision, question).await? };
    let mut say = Say::from(decision.verdict);
    // Where no rule can be changed to a yes, room would help nobody.
    if say == Say::Allowed || !help.is_empty() {
        let room = limits.iter().filter_map(|(level, gate)| more_room(looking, level, gate));
        let before = help.len();
        help.extend(room);
        if say == Say::Allowed && help.len() > before {
            say = Say::NoRoom;
        }
    }
    Ok(Answer {
        group,
        say,
        sentence,
        help,
        steps: steps(looking, whom, &ask, &decision, &trace).await?,
        limits: limits.into_iter().map(|(level, gate)| (level, gate.fits())).collect(),
    })
}

/// What waits already, where it would help to ask.
async fn asked_already(
    looking: &Looking<'_>,
    ask: &Ask<'_>,
    fixes: &[Fix],
) -> Result<Option<Request>, AppError> {
    if !fixes.iter().any(|fix| matches!(fix, Fix::Ask(..))) {
        return Ok(None);
    }
    store::requests::lifting(&looking.cx.store, looking.facts, ask, looking.now).await.known()
}

/// A request that waits, for whoever looks: by its name and with its page where that is theirs to see.
fn waits(looking: &Looking<'_>, request: &Request) -> Help {
    let own = looking.is_own(Some(request.requester.0));
    let sees = own || looking.reads(request.group.0);
    let who = match (own, sees) {
        (true, _) => "You",
        (false, true) => &request.requester.1,
        (false, false) => "Somebody",
    };
    let href = if sees { format!("/requests/{}", request.id) } else { String::new() };
    Help { sentence: why::waits(looking.facts, request, who), href }
}

/// A change in words: of somebody else, that it is they who ask.
fn in_whose_words(looking: &Looking<'_>, whom: &Whom<'_>, fix: &Fix) -> String {
    let words = why::words(looking.facts, fix);
    match words.strip_prefix("Ask for ") {
        Some(rest) if whom.user.is_some() && whom.user != looking.me => {
            let name = whom.user.and_then(|id| looking.facts.users.get(&id)).map(|user| user.name.as_str());
            format!("{} asks for {rest}", name.unwrap_or(&whom.name))
        }
        _ => words,
    }
}

/// The first letter in upper case.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// The page of the cell of the matrix where a rule stands.
fn cell(group: Option<GroupId>, target: domain::authorizations::Target) -> String {
    crate::api::authorizations::rule_href(domain::authorizations::Cell { group, target })
}

async fn steps(
    looking: &Looking<'_>,
    whom: &Whom<'_>,
    ask: &Ask<'_>,
    decision: &Decision,
    trace: &[Step],
) -> Result<Vec<WhyStep>, AppError> {
    let facts = looking.facts;
    let about = |subject| store::audit::Filter { subject, ..Default::default() };
    let mut steps = Vec::new();
    for step in trace {
        match step {
            Step::Rule { group, target, state, locked, decides } => {
                let lock = if *locked { ", and locks it" } else { "" };
                let says = state.label().to_lowercase();
                let rule = why::rule_of(facts, *group, *target).map(|rule| rule.id.0);
                steps.push(WhyStep {
                    sentence: format!(
                        "{} says that {} is {says}{lock}.",
                        capitalized(&why::place(facts, *group)),
                        facts.target_name(*target)
                    ),
                    href: looking.of_group(*group, cell(*group, *target)),
                    decides: *decides && why::rule_decides(decision),
                    by: setter(looking, whom, ask.group, about(rule)).await?,
                });
            }
            Step::Grant(id) => {
                let of = store::requests::of_grants(&looking.cx.store, facts.org, &[*id]).await.known()?;
                steps.push(WhyStep {
                    sentence: why::lifts(facts, *id),
                    href: of.get(id).map(|request| format!("/requests/{request}")).unwrap_or_default(),
                    decides: true,
                    by: setter(looking, whom, ask.group, about(Some(id.0))).await?,
                });
            }
            Step::Observed(observed) => {
                let says = match observed.verdict {
                    Verdict::NeedsApproval => "by request",
                    _ => "closed",
                };
                steps.push(WhyStep {
                    sentence: format!(
                        "{} only observes: it says that {} is {says}, and would refuse this.",
                        capitalized(&why::place(facts, observed.group)),
                        facts.target_name(observed.target)
                    ),
                    href: looking.of_group(observed.group, cell(observed.group, observed.target)),
                    decides: false,
                    by: setter(looking, whom, ask.group, about(Some(observed.rule.0))).await?,
                });
            }
            Step::Verdict(_) => {}
        }
    }
    if let Verdict::Deny(reason) = decision.verdict
        && reason != Reason::Closed
    {
        let sentence = capitalized(&format!("{}.", why::why_not(facts, ask, reason, looking.now)));
        let href = match reason {
            Reason::UserSuspended | Reason::NotAMember => {
                whom.user.map(|user| looking.to(format!("/users/{user}"))).unwrap_or_default()
            }
            Reason::GroupEnded => looking.of_group(Some(ask.group), format!("/groups/{}", ask.group)),
            Reason::UnknownModel | Reason::Unreviewed | Reason::Unpriced | Reason::NotServed => {
                looking.to(format!("/models/{}", ask.model))
            }
            Reason::Closed | Reason::Silence => looking.of_group(
                Some(ask.group),
                cell(Some(ask.group), domain::authorizations::Target::Model(ask.model)),
            ),
            Reason::KeyExcludes | Reason::FeatureOff(_) => whom
                .application
                .map(|(id, _)| looking.of_group(Some(ask.group), format!("/applications/{id}")))
                .unwrap_or_default(),
        };
        steps.push(WhyStep { sentence, href, decides: true, by: None });
    }
    Ok(steps)
}

/// Who changed a thing last: for those who read the group it is about, and for the person it decides about.
async fn setter(
    looking: &Looking<'_>,
    whom: &Whom<'_>,
    group: GroupId,
    filter: store::audit::Filter,
) -> Result<Option<(String, DateTime<Utc>)>, AppError> {
    let own = whom.user.is_some() && whom.user == looking.me;
    if filter.subject.is_none() || !(own || looking.reads(group)) {
        return Ok(None);
    }
    let rows = store::audit::list(&looking.cx.store, looking.facts.org, &filter, 1).await.known()?;
    Ok(rows.into_iter().next().map(|row| (row.actor, row.at)))
}

/// Where a change that would help is made.
fn door(looking: &Looking<'_>, fix: &Fix, whom: &Whom<'_>) -> String {
    use domain::authorizations::Target;
    let facts = looking.facts;
    let key = |group: GroupId| {
        whom.application
            .map(|(id, _)| looking.of_group(Some(group), format!("/applications/{id}?dialog=key")))
    };
    let home = whom.application.map(|(_, application)| application.group);
    match fix {
        Fix::Ask(model, group) => {
            let name = facts.models.get(model).map_or("", |model| model.name.as_str());
            // The form asks for whoever is signed in: nobody asks in another person's name.
            let asks = whom.user == looking.me || (whom.user.is_none() && looking.reads(*group));
            let form = format!("/requests/new?model={}&group={group}", crate::ui::query::encoded(name));
            if asks { form } else { String::new() }
        }
        // What is proposed is filled in there, and not saved.
        Fix::Open(model, group) => {
            looking.of_group(Some(*group), cell(Some(*group), Target::Model(*model)) + "&say=open")
        }
        Fix::Unlock(_, group, target) => looking.of_group(*group, cell(*group, *target) + "&lock=no"),
        Fix::LetIn(user) => looking.to(format!("/users/{user}")),
        Fix::Join(_, group) => looking.of_group(Some(*group), format!("/groups/{group}?dialog=add")),
        Fix::Reopen(group) => looking.of_group(Some(*group), format!("/groups/{group}?dialog=edit")),
        Fix::Accept(model) | Fix::Price(model) => looking.to(format!("/models/{model}")),
        Fix::AllowInKey(_) | Fix::TurnOn(_) => home.and_then(key).unwrap_or_default(),
    }
}

/// Limits a call has to fit into, the tightest first.
async fn limits(
    looking: &Looking<'_>,
    whom: &Whom<'_>,
    ask: &Ask<'_>,
    decision: &Decision,
    question: &Question,
) -> Result<Vec<(LimitLevel, Gate)>, AppError> {
    let (facts, now) = (looking.facts, looking.now);
    let subject = Subject {
        path: facts.groups.get(&ask.group).map_or(&[], |group| &group.path),
        application: whom.application.map_or(ApplicationId(store::limits::NOBODY), |(id, _)| id),
        user: whom.user,
        authorization: decision.rule,
        beside: beside(facts, ask, decision, now)
            .filter(|rule| rule.verdict == Verdict::Allow)
            .map(|rule| rule.rule),
        grant: decision.grant,
    };
    let level = |applied: Applied| {
        let span = facts.calendar.span(applied.meter.window, now);
        LimitLevel {
            limit: Limit {
                id: None,
                meter: applied.meter,
                cap: applied.cap,
                mode: applied.mode,
                thresholds: Default::default(),
            },
            scope_name: facts.scope_name(applied.meter.scope),
            level: Level::default(),
            starts_at: span.start,
            ends_at: span.end,
            version: None,
            raised: None,
        }
    };
    let mut levels: Vec<LimitLevel> = applicable(facts, &subject).into_iter().map(level).collect();
    store::limits::fill_levels(&looking.cx.store, facts.org, &mut levels).await.known()?;
    let worst = why::worst(facts, ask.model, question.tokens, now);
    let gate = |level: &LimitLevel| {
        let Limit { meter, cap, .. } = level.limit;
        let mut gate = Gate::before(meter, cap, level.level, &worst, level.ends_at);
        if let Some((_, amount)) = question.needed.filter(|(metric, _)| *metric == meter.metric) {
            gate.amount = gate.amount.max(amount);
        }
        gate
    };
    let mut gated: Vec<(LimitLevel, Gate)> = levels
        .into_iter()
        .map(|level| {
            let gate = gate(&level);
            (level, gate)
        })
        .collect();
    gated.sort_by_key(|(level, gate)| gate.looseness(level.limit.mode));
    Ok(gated)
}

/// How much a refused call needed of the limit that had no room, and of what.
fn needed(detail: &serde_json::Value) -> Option<(Metric, i64)> {
    let metric = detail.get("metric")?.as_str()?.parse().ok()?;
    // Money is written as exact dollars, all else as a number.
    let needs = match detail.get("needs")? {
        serde_json::Value::String(dollars) => dollars.parse::<Money>().ok()?.0,
        number => number.as_i64()?,
    };
    Some((metric, needs))
}

/// What would make room in a limit that refuses a call for want of it.
fn more_room(looking: &Looking<'_>, level: &LimitLevel, gate: &Gate) -> Option<Help> {
    if level.limit.mode != Mode::Enforce {
        return None;
    }
    let (facts, now) = (looking.facts, looking.now);
    let zone = Zone::of(facts.calendar.zone, now, now + chrono::Duration::days(400));
    let sentence = why::make_room(facts, gate, |end| format!("{} {}", zone.brief(end, now), zone.city()))?;
    let href = match gate.meter.scope {
        Scope::Organization => looking.to("/limits".to_owned()),
        Scope::Group(id) | Scope::Member(id, _) => looking.of_group(Some(id), format!("/groups/{id}")),
        Scope::Application(id) => {
            let home = facts.applications.get(&id).map(|application| application.group);
            looking.of_group(home, format!("/applications/{id}"))
        }
        Scope::User(id) => looking.to(format!("/users/{id}")),
        Scope::Authorization(rule) => facts
            .rules
            .iter()
            .find_map(|(place, rules)| {
                rules.iter().find(|(_, known)| known.id == rule).map(|(target, _)| (*place, *target))
            })
            .map(|(place, target)| looking.of_group(place, cell(place, target)))
            .unwrap_or_default(),
        Scope::Grant(_) => String::new(),
    };
    Some(Help { sentence, href })
}
