//! What addresses and forms say about a change to many people, and what it comes to in words.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::{
    access::Facts,
    authorizations::State,
    batches::{Action, Batch, Effect, Line, Outcome, Task, count, tally},
    groups::Standing,
    ids::{BatchId, GroupId, ModelId, OrgId, UserId},
    keys::Fallen,
    money::{Money, grouped},
    roles::Permit,
    time,
    window::Calendar,
};

use store::{Change, StoreError};

use super::{Cx, Known, Once, matrix, read_date, read_some};
use crate::{api::batches::Part, error::AppError};

/// The fields that say what exactly is to be done.
pub struct Asked<'a> {
    /// Into which group, or out of which.
    pub group: &'a str,
    /// Which monthly limit; `default`: the organization's.
    pub cap: &'a str,
    /// Which role.
    pub role: &'a str,
    /// The last day in the group.
    pub ends_on: &'a str,
}

/// What is to be done; none while that is not known.
///
/// # Errors
/// About the field that cannot be read.
pub fn task(action: Action, asked: &Asked<'_>, calendar: Calendar) -> Result<Option<Task>, AppError> {
    let group = read_some::<GroupId>("group", asked.group)?;
    Ok(match action {
        Action::Join => {
            let day = read_date("ends_on", asked.ends_on)?.and_then(|day| day.succ_opt());
            let ends_at = day.map(|day| calendar.midnight(day));
            group.map(|group| Task::Join { group, standing: Standing::Member, ends_at })
        }
        Action::Leave => group.map(Task::Leave),
        // Made where the groups are, or from a table, not by an address.
        Action::Move | Action::Import => None,
        Action::Limit if asked.cap.trim().eq_ignore_ascii_case("default") => Some(Task::Limit(None)),
        Action::Limit => read_some::<Money>("cap", asked.cap)?.map(|cap| Task::Limit(Some(cap))),
        Action::Role => read_some("role", asked.role)?.map(Task::Role),
        Action::Suspend => Some(Task::Suspend),
        Action::Reinstate => Some(Task::Reinstate),
        Action::Invite => Some(Task::Invite),
    })
}

/// Proves that they may do it.
///
/// # Errors
/// When they may not.
pub async fn permit(cx: &Cx, task: Task) -> Result<Permit, AppError> {
    match (task.permit(), task.also()) {
        ((act, Some(to)), Some(from)) => cx.permit_between(act, from, to).await,
        ((act, Some(group)), None) => cx.permit_in(act, group).await,
        ((act, None), _) => cx.permit(act),
    }
}

/// A change to one person that can be undone from where it was made, as far as before its commit: the
/// change, what it can be undone by, and what became of them.
///
/// # Errors
/// When the person is not there, or it cannot be done to them.
pub async fn of_one(
    cx: &Cx,
    permit: Permit,
    id: UserId,
    task: Task,
) -> Result<(Change, BatchId, Effect), AppError> {
    let (mut change, batch) = begin_of_one(cx, permit, id).await?;
    let effect = make_of_one(&mut change, &batch, task).await?;
    Ok((change, batch.id, effect))
}

/// The same as far as before it is made: something can be looked at in the change.
///
/// # Errors
/// When the person is not there.
pub async fn begin_of_one(cx: &Cx, permit: Permit, id: UserId) -> Result<(Change, Batch), AppError> {
    let (org, me) = (permit.org(), permit.actor().user.ok_or(AppError::NotFound)?);
    let batch = match store::batches::prepare(&cx.store, &permit, &[id]).await {
        Err(StoreError::Invalid { field: "users", .. }) => return Err(AppError::NotFound),
        batch => batch.known()?,
    };
    let batch = store::batches::get(&cx.store, org, me, batch).await.known()?;
    Ok((cx.change(permit).await?, batch))
}

/// Makes it.
///
/// # Errors
/// When it cannot be done to them.
pub async fn make_of_one(change: &mut Change, batch: &Batch, task: Task) -> Result<Effect, AppError> {
    let effects = store::batches::confirm(change, batch, task).await.known()?;
    let effect = effects.into_iter().next().ok_or(AppError::NotFound)?;
    if effect.outcome == Outcome::Refused {
        return Err(AppError::field("user", effect.text));
    }
    Ok(effect)
}

/// How many people are on a page.
const SHOWN: usize = 100;

/// Of which outcome a page is shown, and where it begins.
#[derive(Clone, Copy)]
pub struct Shown {
    outcome: Option<Outcome>,
    from: usize,
}

impl Shown {
    /// As an address says it. What cannot be read is the beginning.
    pub fn read(part: &str, from: &str) -> Self {
        Self { outcome: part.parse().ok(), from: from.parse().unwrap_or_default() }
    }

    /// The first that is shown of those with this outcome.
    fn from(self, outcome: Outcome, all: usize) -> usize {
        let from = if self.outcome == Some(outcome) { self.from } else { 0 };
        if from < all { from } else { 0 }
    }
}

/// Those that change first, then those that cannot be, then those that are so already.
const IN_ORDER: [Outcome; 3] = [Outcome::Changed, Outcome::Refused, Outcome::Already];

/// Whose secrets die with a change, and how many of each, whatever they die of.
///
/// # Errors
/// When the database does not answer.
pub async fn dead(change: &mut Change, effects: &[Effect]) -> Result<HashMap<UserId, usize>, AppError> {
    let who: Vec<UserId> = effects.iter().map(|effect| effect.user).collect();
    store::batches::dead_so_far(change, &who).await.known()
}

/// The same in all.
pub fn fallen(dead: &HashMap<UserId, usize>) -> Fallen {
    Fallen { secrets: dead.values().sum(), people: dead.len() }
}

/// A page of those with each outcome.
pub fn parts(effects: &[Effect], dead: &HashMap<UserId, usize>, shown: Shown) -> Vec<Part> {
    let line = |effect: &Effect| Line {
        user: effect.user,
        name: effect.name.clone(),
        email: effect.email.clone(),
        said: vec![(effect.text.clone(), false)],
        dead: dead.get(&effect.user).copied().unwrap_or_default(),
    };
    let part = |outcome| {
        let tally = tally(effects, outcome);
        let from = shown.from(outcome, tally.people);
        let of = effects.iter().filter(|effect| effect.outcome == outcome);
        Part { outcome, tally, from, rows: of.skip(from).take(SHOWN).map(line).collect() }
    };
    IN_ORDER.into_iter().map(part).filter(|part| part.tally.effects > 0).collect()
}

/// The same of a change that was made.
///
/// # Errors
/// When the database does not answer.
pub async fn kept_parts(cx: &Cx, org: OrgId, id: BatchId, shown: Shown) -> Result<Vec<Part>, AppError> {
    let tallies = store::batches::tallies(&cx.store, org, id).await.known()?;
    let mut parts = Vec::new();
    for outcome in IN_ORDER {
        let Some(tally) = tallies.get(&outcome).copied() else { continue };
        let from = shown.from(outcome, tally.people);
        let rows = store::batches::lines(&cx.store, org, id, outcome, from, SHOWN).await.known()?;
        parts.push(Part { outcome, tally, from, rows });
    }
    Ok(parts)
}

/// `1 person`, `37 people`.
pub fn people(count: usize) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{} people", grouped(count as u64)) }
}

/// How many of those are listed that undoing a change left alone.
pub const LEFT: i64 = 500;

/// `1 was`, `37 were`.
pub fn were(count: usize) -> String {
    if count == 1 { "1 was".to_owned() } else { format!("{} were", grouped(count as u64)) }
}

/// Links are for the moment they are made, not for a page that only says what would happen.
pub fn without_links(task: Task, effects: &mut [Effect]) {
    if task == Task::Invite {
        for effect in effects.iter_mut().filter(|effect| effect.outcome == Outcome::Changed) {
            effect.text = "is invited again; the link from before stops working".to_owned();
        }
    }
}

/// Names what was shown: another preview has another name.
pub fn digest(lines: impl Iterator<Item = String>) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for line in lines {
        line.hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// The name of what a change does to each, without links.
pub fn seen(effects: &[Effect], fallen: Fallen) -> String {
    let lines = effects.iter().map(|effect| format!("{} {} {}", effect.user, effect.outcome, effect.text));
    digest(lines.chain(fallen.in_words()))
}

/// What is confirmed is what was shown, or nothing.
///
/// # Errors
/// [`AppError::Changed`] when it would be something else by now.
pub fn as_seen(task: Task, effects: &[Effect], fallen: Fallen, shown: &str) -> Result<(), AppError> {
    let mut effects = effects.to_vec();
    without_links(task, &mut effects);
    if seen(&effects, fallen) == shown {
        return Ok(());
    }
    Err(AppError::Changed(
        "Nothing was changed: people or groups are not as they were when this was shown. Below is what would happen now. Confirm it again if that is meant."
            .to_owned(),
    ))
}

/// Sends everybody their own link.
///
/// # Errors
/// When the database does not answer.
pub async fn mail(change: &mut Change, effects: &[Effect]) -> Result<(), AppError> {
    let invited: Vec<(UserId, &str, &str)> = effects
        .iter()
        .filter(|effect| effect.outcome == Outcome::Changed)
        .map(|effect| {
            let token = effect.text.rsplit('/').next().unwrap_or_default();
            (effect.user, effect.name.as_str(), token)
        })
        .collect();
    store::users::mail_invitations(change, &invited).await.known()
}

/// The links of invitations, to be shown once.
pub fn links(public_url: &str, effects: &[Effect]) -> Once {
    let made = || effects.iter().filter(|effect| effect.outcome == Outcome::Changed);
    Once::Links {
        sentence: format!(
            "{} invited again. Send everybody their own link; each works once, for 14 days, and is shown here and nowhere afterwards.",
            were(made().count())
        ),
        links: made()
            .map(|effect| {
                let url = format!("{public_url}/join/{}", effect.text);
                (effect.name.clone(), effect.email.clone(), url)
            })
            .collect(),
    }
}

/// What a change comes to, in a sentence or two.
pub fn summary(facts: &Facts, task: Task, effects: &[Effect], now: DateTime<Utc>) -> String {
    let changed = count(effects, Outcome::Changed);
    let who = people(changed);
    let name = |group: GroupId| facts.groups.get(&group).map_or("the group", |group| group.name.as_str());
    let s = if changed == 1 { "s" } else { "" };
    match task {
        Task::Join { group, ends_at, .. } => {
            let last = ends_at.map(|end| facts.calendar.day(end - chrono::Duration::seconds(1)));
            let until = last.map(|day| format!(", through {}", time::date(day))).unwrap_or_default();
            format!("{who} join{s} {}{until}. {}", name(group), gains(facts, group, effects, now))
        }
        Task::Leave(group) => {
            let lost = losses(facts, group, &open(facts, group, now), effects, now);
            format!("{who} leave{s} {}. {lost}", name(group))
        }
        Task::Move { from, to } => {
            let there = open(facts, to, now);
            let mut left = open(facts, from, now);
            left.retain(|model| !there.contains(model));
            let (gained, lost) = (gains(facts, to, effects, now), losses(facts, from, &left, effects, now));
            format!("{who} move{s} from {} to {}. {gained} {lost}", name(from), name(to))
        }
        Task::Limit(Some(cap)) => {
            // Who is suspended spends nothing, whatever the limit.
            let suspended = |effect: &&Effect| facts.users.get(&effect.user).is_some_and(|it| it.suspended);
            let done = effects.iter().filter(|effect| effect.outcome == Outcome::Changed);
            limited(cap, changed, done.filter(suspended).count())
        }
        Task::Limit(None) => match facts.default_user_limit {
            Some(default) => {
                let default = default.in_full();
                format!("The organization's default of {default} a month applies to {who} again.")
            }
            None => format!(
                "{who} lose{s} the limit of their own; the organization has no default, so none applies."
            ),
        },
        Task::Role(role) => {
            format!("{who} become{s} {role}. Roles govern the console; they never open a model.")
        }
        Task::Suspend => format!(
            "{who} {} suspended and signed out; each gets a receipt. Groups and grants are kept for a return. What they answer for is handed over. Undo lets them in again and gives back what is still with whoever took over.",
            if changed == 1 { "is" } else { "are" }
        ),
        Task::Reinstate => format!("{who} can sign in again. Revoked secrets stay dead: they make new ones."),
        Task::Invite => format!("{who} get{s} a new link; the one before stops working."),
        Task::Import => format!("{} differences to the table.", effects.len()),
    }
}

/// What people who are given a limit may spend, of whom some are suspended.
fn limited(cap: Money, changed: usize, suspended: usize) -> String {
    let each = cap.in_full();
    let spend = changed.saturating_sub(suspended);
    let most = Money(cap.0.saturating_mul(i64::try_from(spend).unwrap_or(i64::MAX))).in_full();
    let may = match spend {
        0 => {
            return format!(
                "{} limited to {each} a month, and spend{} nothing while suspended.",
                if changed == 1 { "1 person is".to_owned() } else { format!("{} are", people(changed)) },
                if changed == 1 { "s" } else { "" }
            );
        }
        1 => format!("1 person may spend {each} a month."),
        spend => format!("{} may spend {each} a month each: at most {most} together.", people(spend)),
    };
    match suspended {
        0 => may,
        1 => format!("{may} 1 more is suspended: it is their limit once they are let in again."),
        more => format!("{may} {more} more are suspended: it is their limit once they are let in again."),
    }
}

/// The models that a group has open.
fn open(facts: &Facts, group: GroupId, now: DateTime<Utc>) -> Vec<(ModelId, String)> {
    let lines = matrix::lines(facts, Some(group), now).into_iter();
    lines
        .filter(|line| line.state == State::Open && line.obstacle.is_none())
        .map(|line| (line.model, line.name))
        .collect()
}

/// The models a group has open that those who change have open in no other group of theirs: how many
/// of them that is so for, and the names of the models.
fn only_through(
    facts: &Facts,
    group: GroupId,
    models: &[(ModelId, String)],
    effects: &[Effect],
    now: DateTime<Utc>,
) -> (usize, BTreeSet<String>) {
    let mut known = HashMap::<GroupId, HashSet<ModelId>>::new();
    let (mut who, mut which) = (0, BTreeSet::new());
    for effect in effects.iter().filter(|effect| effect.outcome == Outcome::Changed) {
        let mut only: Vec<&(ModelId, String)> = models.iter().collect();
        for membership in facts.users.get(&effect.user).into_iter().flat_map(|user| &user.memberships) {
            // Whether the facts have them in the group depends on which side of the change they are.
            if membership.group != group {
                let ids = || open(facts, membership.group, now).into_iter().map(|(id, _)| id).collect();
                let has = known.entry(membership.group).or_insert_with(ids);
                only.retain(|(id, _)| !has.contains(id));
            }
        }
        who += usize::from(!only.is_empty());
        which.extend(only.into_iter().map(|(_, name)| name));
    }
    (who, which.into_iter().cloned().collect())
}

/// `1 model`, `12 models`.
fn models(count: usize) -> String {
    if count == 1 { "1 model".to_owned() } else { format!("{count} models") }
}

/// The first of them.
fn some(names: &BTreeSet<String>) -> String {
    let first: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
    format!("{}{}", first.join(", "), if names.len() > first.len() { ", …" } else { "" })
}

/// Which models those who join have open in no group of theirs so far.
fn gains(facts: &Facts, group: GroupId, effects: &[Effect], now: DateTime<Utc>) -> String {
    let target = open(facts, group, now);
    if target.is_empty() {
        return "It has no model open, so nobody gains one.".to_owned();
    }
    let (who, which) = only_through(facts, group, &target, effects, now);
    if who == 0 {
        return format!("It has {} open; all of them have those already.", models(target.len()));
    }
    format!(
        "It has {} open: {} gain{} up to {} they had nowhere ({}).",
        models(target.len()),
        people(who),
        if who == 1 { "s" } else { "" },
        models(which.len()),
        some(&which)
    )
}

/// Which of the models that a group has open those who leave it have in no other group of theirs.
fn losses(
    facts: &Facts,
    group: GroupId,
    open: &[(ModelId, String)],
    effects: &[Effect],
    now: DateTime<Utc>,
) -> String {
    let (who, which) = only_through(facts, group, open, effects, now);
    let secrets = "Secrets that only it carried die.";
    if who == 0 {
        return format!("Nobody loses a model: what it has open they have elsewhere, too. {secrets}");
    }
    format!(
        "{} lose{} up to {} they have nowhere else ({}), from the next call on. {secrets}",
        people(who),
        if who == 1 { "s" } else { "" },
        models(which.len()),
        some(&which)
    )
}
