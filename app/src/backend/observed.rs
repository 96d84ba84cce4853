//! Rules and limits that only observe, as their page shows them, and what promoting one changes.

use domain::{
    access::{Facts, ruling_in},
    authorizations::{Cell, Edit, Say, Target},
    ids::{AuthorizationId, GroupId, LimitId},
    limits::{Limit, Mode, Scope},
    rehearsal::{Draft, RuleEdit},
    roles::{Act, Place, allows},
    why::place,
};

use store::{Change, authorizations::watching};

use super::{AppError, Cx, Known, drafts};
use crate::api::{
    authorizations::rule_href,
    observed::{ObservedLine, Watching},
};

/// All of them that whoever asks may read, those that noted most first.
///
/// # Errors
/// When nobody is signed in, or the database does not answer.
pub async fn list(cx: &Cx) -> Result<Vec<ObservedLine>, AppError> {
    let actor = cx.actor()?.clone();
    let facts = store::access::current(&cx.store, actor.org).await.known()?;
    let all = cx.permit(Act::ReadOrganization).is_ok();
    if !all && actor.leads.is_empty() {
        cx.permit(Act::ReadOrganization)?;
    }
    let path = |group: Option<GroupId>| {
        group.and_then(|id| facts.groups.get(&id)).map(|group| group.path.clone()).unwrap_or_default()
    };
    let may = |act: Act, group: Option<GroupId>| {
        let path = path(group);
        let here = if group.is_some() { Place::Group(&path) } else { Place::Organization };
        allows(&actor, act, Place::Organization) || allows(&actor, act, here)
    };
    let mut lines = Vec::new();
    for (group, rules) in &facts.observed {
        if !all && !may(Act::ReadGroup, *group) {
            continue;
        }
        for (target, rule) in rules {
            let editable = may(Act::NarrowAuthorizations, *group);
            lines.push((rule.id.0, rule_line(&facts, *group, *target, rule, editable)));
            let quotas = facts.limits.get(&Scope::Authorization(rule.id)).into_iter().flatten();
            for (quota, id) in quotas.filter_map(|quota| Some((quota, quota.id?))) {
                let cell = Cell { group: *group, target: *target };
                lines.push((id.0, quota_line(&facts, id, quota, cell)));
            }
        }
    }
    let editable = may(Act::LoosenLimits, None);
    let watched = |scope| match scope {
        Scope::Authorization(id) => {
            facts.observed.values().flat_map(|rules| rules.values()).any(|rule| rule.id == id)
        }
        _ => false,
    };
    let observes = |limit: &&Limit| limit.mode == Mode::Observe && all && !watched(limit.meter.scope);
    for limit in facts.limits.values().flatten().filter(observes) {
        if let Some(id) = limit.id {
            lines.push((id.0, limit_line(&facts, id, limit, editable)));
        }
    }
    let ids: Vec<_> = lines.iter().map(|(id, _)| *id).collect();
    let noted = store::observed::noted(&cx.store, actor.org, &ids).await.known()?;
    let mut lines: Vec<ObservedLine> = lines
        .into_iter()
        .map(|(id, line)| match noted.get(&id) {
            Some(noted) => ObservedLine {
                calls: noted.calls,
                people: noted.people,
                names: noted.names.clone(),
                spend: noted.spend,
                noted: Some((noted.first, noted.last)),
                ..line
            },
            None => line,
        })
        .collect();
    lines.sort_by(|a, b| (b.calls, &a.name, &a.says).cmp(&(a.calls, &b.name, &b.says)));
    Ok(lines)
}

fn line(
    id: String,
    kind: Watching,
    name: String,
    says: String,
    href: String,
    editable: bool,
) -> ObservedLine {
    ObservedLine {
        id,
        kind,
        name,
        says,
        decides: String::new(),
        href,
        calls: 0,
        people: 0,
        names: Vec::new(),
        spend: domain::money::Money::ZERO,
        noted: None,
        editable,
    }
}

fn rule_line(
    facts: &Facts,
    group: Option<GroupId>,
    target: Target,
    rule: &domain::access::Rule,
    editable: bool,
) -> ObservedLine {
    let whose = group.map_or_else(|| facts.org_name.clone(), |id| place(facts, Some(id)));
    let say = Say { state: rule.state, locked: rule.locked, ends_at: rule.ends_at };
    let says = say.in_words(&facts.calendar);
    let name = format!("{} for {whose}", facts.target_name(target));
    let cell = Cell { group, target };
    let line = line(rule.id.to_string(), Watching::Rule, name, says, rule_href(cell), editable);
    ObservedLine { decides: decides(facts, cell).map(|decides| decides.sent()).unwrap_or_default(), ..line }
}

fn limit_line(facts: &Facts, id: LimitId, limit: &Limit, editable: bool) -> ObservedLine {
    let name = facts.scope_name(limit.meter.scope);
    let href = match limit.meter.scope {
        Scope::Group(group) => format!("/groups/{group}"),
        Scope::Application(application) => format!("/applications/{application}"),
        Scope::User(user) => format!("/users/{user}"),
        _ => "/limits".to_owned(),
    };
    line(id.to_string(), Watching::Limit, name, limit.meter.show_cap(limit.cap), href, editable)
}

/// A quota of a rule that only observes.
fn quota_line(facts: &Facts, id: LimitId, quota: &Limit, cell: Cell) -> ObservedLine {
    let (name, says) = (facts.scope_name(quota.meter.scope), quota.meter.show_cap(quota.cap));
    line(id.to_string(), Watching::Quota, name, says, rule_href(cell), false)
}

/// What makes an observed rule or limit decide.
///
/// # Errors
/// When there is none with this id.
pub async fn draft(cx: &Cx, id: &str) -> Result<Draft, AppError> {
    let org = cx.org()?;
    let facts = store::access::current(&cx.store, org).await.known()?;
    if let Ok(id) = id.parse::<LimitId>() {
        let limit = facts
            .limits
            .values()
            .flatten()
            .find(|limit| limit.id == Some(id) && limit.mode == Mode::Observe)
            .ok_or(AppError::NotFound)?;
        let scope = limit.meter.scope;
        let levels = store::limits::list(&cx.store, org, &facts, |of| of == scope).await.known()?;
        let version = levels.iter().find(|level| level.limit.id == Some(id)).and_then(|level| level.version);
        return Ok(Draft::Limit {
            meter: limit.meter,
            cap: limit.cap,
            mode: Mode::Enforce,
            thresholds: limit.thresholds.to_vec(),
            version,
        });
    }
    let id: AuthorizationId = id.parse().map_err(|_| AppError::NotFound)?;
    let rules = || facts.observed.iter().flat_map(|(group, rules)| rules.iter().map(move |it| (*group, it)));
    let (group, (target, rule)) = rules().find(|(_, (_, rule))| rule.id == id).ok_or(AppError::NotFound)?;
    let (cell, say) = (
        Cell { group, target: *target },
        Say { state: rule.state, locked: rule.locked, ends_at: rule.ends_at },
    );
    let standing = store::authorizations::list(&cx.store, org, Some(group)).await.known()?;
    let seen = drafts::seen(&standing, cell);
    let edit = |mode, say| RuleEdit { edit: Edit { cell, say, seen }, mode };
    Ok(Draft::Authorizations(vec![edit(Mode::Enforce, Some(say)), edit(Mode::Observe, None)]))
}

/// [`draft`] of what still says what its form was made from.
///
/// # Errors
/// [`AppError::Meanwhile`] when somebody changed, promoted or dropped it since.
pub async fn as_shown(cx: &Cx, id: &str, was: &str) -> Result<Draft, AppError> {
    let draft = match draft(cx, id).await {
        Err(AppError::NotFound) => return Err(gone(cx, id).await),
        draft => draft?,
    };
    // What it says is for those who may change it.
    super::rehearsals::permit(cx, &draft).await?;
    let facts = store::access::current(&cx.store, cx.org()?).await.known()?;
    let now = says_now(&facts, &draft);
    if now == was {
        return Ok(draft);
    }
    let who = who_last(cx, id).await?.unwrap_or_else(|| "Somebody".to_owned());
    Err(AppError::Meanwhile(format!(
        "{who} changed it since you saw it: it was “{was}” then, and is “{now}” now. Nothing was changed; look at it again."
    )))
}

/// What decides where a rule only takes note.
struct Decides {
    /// Which rule.
    id: AuthorizationId,
    /// What it says, and whose it is where it is not of that very place.
    says: String,
}

impl Decides {
    /// As a form sends it along.
    fn sent(&self) -> String {
        format!("{} {}", self.id, self.says)
    }
}

/// What decides in a place now; none: no rule does, so it is closed.
fn decides(facts: &Facts, cell: Cell) -> Option<Decides> {
    let path = super::matrix::path(facts, cell.group);
    let (group, target, rule) = ruling_in(facts, path, cell.target, None, store::clock::now())?;
    let says =
        Say { state: rule.state, locked: rule.locked, ends_at: rule.ends_at }.in_words(&facts.calendar);
    let whose = || group.map_or_else(|| facts.org_name.clone(), |id| place(facts, Some(id)));
    let says = if (Cell { group, target }) == cell {
        says
    } else {
        format!("{says} ({} for {})", facts.target_name(target), whose())
    };
    Some(Decides { id: rule.id, says })
}

/// Proves that what decides in the place of a rule that is promoted is what was shown to decide there: the rule
/// takes its place, and a colleague may have set another one since.
///
/// # Errors
/// [`AppError::Meanwhile`] with both, and who changed it.
pub async fn decides_as_shown(cx: &Cx, draft: &Draft, shown: &str) -> Result<(), AppError> {
    let Draft::Authorizations(edits) = draft else { return Ok(()) };
    let Some(cell) = edits.first().map(|rule| rule.edit.cell) else { return Ok(()) };
    let facts = store::access::current(&cx.store, cx.org()?).await.known()?;
    let now = decides(&facts, cell);
    let (id, was) = shown.split_once(' ').unwrap_or_default();
    if now.as_ref().map_or("", |now| now.says.as_str()) == was {
        return Ok(());
    }
    let then = id.parse::<AuthorizationId>().ok();
    let ids: Vec<_> = then.into_iter().chain(now.as_ref().map(|now| now.id)).map(|id| id.0).collect();
    let actor = cx.actor()?;
    let who = store::seen::who_last(&cx.store, actor.org, actor.user, &ids).await.known()?;
    let who = who.unwrap_or_else(|| "Somebody".to_owned());
    let quoted = |says: &str| {
        if says.is_empty() {
            "closed, because no rule said anything,".to_owned()
        } else {
            format!("“{says}”")
        }
    };
    let now = match now {
        Some(now) => format!("“{}” decides there now", now.says),
        None => "no rule decides there now, so it is closed".to_owned(),
    };
    Err(AppError::Meanwhile(format!(
        "{who} changed what decides there since you saw it: it was {} then, and {now}. Promoting would take its place. Nothing was changed; look at it again.",
        quoted(was)
    )))
}

/// Why something could not be promoted: where somebody was faster, what holds by now.
pub async fn overtaken(cx: &Cx, error: AppError, id: &str, was: &str, decides: &str) -> AppError {
    match error {
        AppError::Stale => match as_shown(cx, id, was).await {
            Ok(draft) => decides_as_shown(cx, &draft, decides).await.err().unwrap_or(AppError::Stale),
            Err(error) => error,
        },
        error => error,
    }
}

fn says_now(facts: &Facts, draft: &Draft) -> String {
    match draft {
        Draft::Limit { meter, cap, .. } => meter.show_cap(*cap),
        Draft::Authorizations(edits) => edits
            .iter()
            .find_map(|edit| edit.edit.say)
            .map_or_else(String::new, |say| say.in_words(&facts.calendar)),
        _ => String::new(),
    }
}

/// Something that observes no more, or never was here: what became of it, and who did that.
async fn gone(cx: &Cx, id: &str) -> AppError {
    match became(cx, id).await {
        Ok(Some(became)) => AppError::Meanwhile(format!("{became} Nothing was changed.")),
        Ok(None) => AppError::NotFound,
        Err(error) => error,
    }
}

/// What became of a rule or a limit that observes no more, as a sentence. None: it never was here, or it is not
/// for whoever asks to know.
async fn became(cx: &Cx, id: &str) -> Result<Option<String>, AppError> {
    let org = cx.org()?;
    let facts = store::access::current(&cx.store, org).await.known()?;
    if let Ok(limit) = id.parse::<LimitId>() {
        let Some(who) = who_last(cx, id).await?.filter(|_| cx.permit(Act::ReadOrganization).is_ok()) else {
            return Ok(None);
        };
        let now = facts.limits.values().flatten().find(|known| known.id == Some(limit));
        return Ok(Some(match now {
            Some(now) => {
                let cap = now.meter.show_cap(now.cap);
                format!("{who} promoted it since you saw it: it refuses beyond {cap} now.")
            }
            None => format!("{who} took it away since you saw it."),
        }));
    }
    let Ok(rule) = id.parse::<AuthorizationId>() else { return Ok(None) };
    let Some(became) = watching::became(&cx.store, org, rule).await.known()? else { return Ok(None) };
    let reads = match (cx.permit(Act::ReadOrganization), became.cell.group) {
        (Ok(_), _) => true,
        (Err(_), Some(group)) => cx.permit_in(Act::ReadGroup, group).await.is_ok(),
        (Err(_), None) => false,
    };
    if !reads {
        return Ok(None);
    }
    let who = who_last(cx, id).await?.unwrap_or_else(|| "Somebody".to_owned());
    let now = became.now.map(|say| say.in_words(&facts.calendar));
    Ok(Some(match (became.promoted, now) {
        (true, Some(now)) => format!("{who} promoted it since you saw it: “{now}” decides there now."),
        (true, None) => format!("{who} promoted it since you saw it, and no rule stands there any more."),
        (false, Some(now)) => format!("{who} took it away since you saw it: “{now}” decides there."),
        (false, None) => {
            format!("{who} took it away since you saw it: no rule of its own decides there.")
        }
    }))
}

/// Who changed something last, as the subject of a sentence; none: the log knows nothing of it.
async fn who_last(cx: &Cx, id: &str) -> Result<Option<String>, AppError> {
    let subject = id.parse().map(|id: LimitId| id.0).or_else(|_| id.parse().map(|id: AuthorizationId| id.0));
    let Ok(subject) = subject else { return Ok(None) };
    let actor = cx.actor()?;
    store::seen::who_last(&cx.store, actor.org, actor.user, &[subject]).await.known()
}

/// What takes an observed rule away: of what promotes it, the half that does so.
pub fn without(draft: Draft) -> Draft {
    match draft {
        Draft::Authorizations(edits) => {
            Draft::Authorizations(edits.into_iter().filter(|edit| edit.mode == Mode::Observe).collect())
        }
        other => other,
    }
}

/// What stands where a draft makes something of a rule that only takes note, before it does; none of a
/// limit.
///
/// # Errors
/// When the database does not answer.
pub async fn before(change: &mut Change, draft: &Draft) -> Result<Option<watching::Before>, AppError> {
    let Draft::Authorizations(edits) = draft else { return Ok(None) };
    let watched = edits.iter().find(|edit| edit.mode == Mode::Observe && edit.edit.say.is_none());
    let Some(watched) = watched else { return Ok(None) };
    watching::before(change, watched.edit.cell).await.known()
}
