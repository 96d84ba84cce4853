//! Changes to many people at once: chosen, looked at, confirmed, undone.

use chrono::{DateTime, Utc};
use domain::{
    batches::{Action, Alone, Line, Outcome, Tally},
    ids::BatchId,
    keys::Fallen,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// A change to many people, before it is made or after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchView {
    /// Which.
    pub id: BatchId,
    /// How many people were chosen.
    pub people: usize,
    /// What is to be done, or was.
    pub action: Action,
    /// What becomes of each, by outcome; none while it is not known what exactly is to be done.
    pub parts: Option<Vec<Part>>,
    /// What that comes to.
    pub summary: String,
    /// Names all of it: it is confirmed by this name.
    pub seen: String,
    /// Whether it was done.
    pub done: bool,
    /// When it was undone, and by whom.
    pub undone: Option<(DateTime<Utc>, String)>,
    /// Whether whoever looks could have done it, and can undo it.
    pub may_undo: bool,
    /// Secrets that died with it: nothing brings them back.
    pub died: Fallen,
    /// What undoing it left alone.
    pub left_alone: Vec<Alone>,
    /// What is wrong with a field of the address: name and sentence.
    pub problem: Option<(String, String)>,
    /// Groups to choose from: id and path.
    pub groups: Vec<(String, String)>,
}

/// Those with one outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which.
    pub outcome: Outcome,
    /// How many there are.
    pub tally: Tally,
    /// The first person who is shown, counted from zero.
    pub from: usize,
    /// A page of them.
    pub rows: Vec<Line>,
}

/// Takes note of whom a change is to be about: some people, or everybody whom a filter shows. `shown`: how
/// many of these there were.
#[server(prefix = "/console", endpoint = "batches/prepare")]
pub async fn prepare_batch(
    action: String,
    #[server(default)] users: Vec<String>,
    #[server(default)] all: bool,
    #[server(default)] q: String,
    #[server(default)] status: String,
    #[server(default)] group: String,
    #[server(default)] role: String,
    #[server(default)] limit: String,
    #[server(default)] month_over: String,
    #[server(default)] month_under: String,
    #[server(default)] limit_over: String,
    #[server(default)] limit_under: String,
    #[server(default)] shown: usize,
) -> Result<Done, AppError> {
    use crate::{backend::*, ui::query};
    use domain::{directory::Words, ids::UserId, money::grouped, roles::Act};
    // How many people an address holds.
    const TICKED: usize = 50;
    let words = Words { q, status, group, role, limit, month_over, month_under, limit_over, limit_under };
    handle(|cx| async move {
        let permit = cx.permit(Act::EditUsers)?;
        let (org, action) = (permit.org(), read::<Action>("action", &action)?);
        let ids: Vec<UserId> = if all {
            let filter = directory::read(&cx.store, cx.actor()?, words).await?.whole()?;
            let month = cx.month().await?;
            let organization = store::organizations::get(&cx.store, org).await.known()?;
            let ask = store::directory::Ask {
                month: &month,
                default_limit: organization.default_user_limit,
                filter: &filter,
                order: store::directory::BY_NAME,
            };
            let ids = store::directory::ids(&cx.store, org, &ask, usize::MAX).await.known()?;
            // Whoever chose all of them knows how many they are.
            if ids.len() != shown {
                let (were, are) = (grouped(shown as u64), grouped(ids.len() as u64));
                let sentence = format!("{were} were shown, {are} match now: look again. Nothing was done.");
                return Err(AppError::field("", sentence));
            }
            ids
        } else {
            users.iter().map(|id| read("users", id)).collect::<Result<_, _>>()?
        };
        let id = store::batches::prepare(&cx.store, &permit, &ids).await.known()?;
        // Who leaves it without doing it comes back to where they chose them.
        let back = rehearsals::referrer().map(|page| rehearsals::closed(&page));
        // As they were ticked, where an address holds them: without script nothing else keeps it.
        let back = back.map(|page| match ids.as_slice() {
            [_, ..] if !all && ids.len() <= TICKED => {
                let (glue, ids) = (if page.contains('?') { '&' } else { '?' }, users.join(","));
                format!("{page}{glue}ticked={ids}")
            }
            _ => page,
        });
        // The router unescapes values twice, and what is escaped within the address has to stay so.
        let twice = |page: &str| query::encoded(&query::encoded(page).to_string()).to_string();
        let back = back.map(|page| format!("&back={}", twice(&page))).unwrap_or_default();
        Ok(Done::default().then(format!("/users/batch/{id}?action={action}{back}")))
    })
    .await
}

/// A change as its address describes it: what it would do to each, or what it did. `part`: the outcome of
/// those of whom the page that begins at `from` is shown.
#[server(prefix = "/console", endpoint = "batches/get")]
pub async fn load_batch(
    id: String,
    action: String,
    #[server(default)] group: String,
    #[server(default)] cap: String,
    #[server(default)] role: String,
    #[server(default)] ends_on: String,
    #[server(default)] part: String,
    #[server(default)] from: String,
) -> Result<BatchView, AppError> {
    use crate::backend::*;
    use domain::{batches::Task, roles::Act};
    handle(|cx| async move {
        let actor = cx.actor()?.clone();
        let id: BatchId = id.parse().map_err(|_| AppError::NotFound)?;
        let me = actor.user.ok_or(AppError::NotFound)?;
        let batch = store::batches::get(&cx.store, actor.org, me, id).await.known()?;
        let shown = batches::Shown::read(&part, &from);
        let view = |action: Action, parts: Option<Vec<Part>>| BatchView {
            id,
            people: batch.users.len(),
            action,
            parts,
            summary: String::new(),
            seen: String::new(),
            done: false,
            undone: batch.undone_at.map(|at| (at, batch.undone_by.clone().unwrap_or_default())),
            may_undo: false,
            died: Fallen::default(),
            left_alone: Vec::new(),
            problem: None,
            groups: Vec::new(),
        };
        if let Some(task) = batch.done {
            let may_undo = batches::permit(&cx, task).await.is_ok();
            // What others did is for those who could have done it, and for those who read the log.
            if batch.actor != me && !may_undo && cx.permit(Act::ReadAudit).is_err() {
                return Err(AppError::NotFound);
            }
            let died = store::batches::died(&cx.store, actor.org, id).await.known()?;
            let left_alone =
                store::batches::left_alone(&cx.store, actor.org, id, batches::LEFT).await.known()?;
            let parts = batches::kept_parts(&cx, actor.org, id, shown).await?;
            let view = view(task.action(), Some(parts));
            // Nobody is put back into what has ended.
            let left = match task {
                Task::Leave(group) => Some(group),
                _ => task.also(),
            };
            let may_undo = may_undo && groups::takes_in(&cx, left).await?;
            return Ok(BatchView { done: true, may_undo, died, left_alone, ..view });
        }
        let unsaid = "The address does not say what is to be done. Choose the people in the directory again.";
        let action: Action = action.parse().map_err(|_| AppError::field("action", unsaid))?;
        let calendar = cx.calendar().await?;
        let groups = match action {
            Action::Join => store::groups::places(&cx.store, actor.org).await.known()?,
            Action::Leave => store::groups::paths(&cx.store, actor.org).await.known()?,
            _ => Vec::new(),
        };
        let groups = groups::places(&groups);
        // Written where there are too many to choose from.
        let group = match groups::named_some(&cx, "group", &group).await {
            Ok(id) => id.map(|id| id.to_string()).unwrap_or_default(),
            Err(AppError::Invalid(problems)) => {
                let problem = problems.into_iter().next();
                return Ok(BatchView { problem, groups, ..view(action, None) });
            }
            Err(error) => return Err(error),
        };
        let asked = batches::Asked { group: &group, cap: &cap, role: &role, ends_on: &ends_on };
        let task = match batches::task(action, &asked, calendar) {
            Ok(task) => task,
            Err(AppError::Invalid(problems)) => {
                let problem = problems.into_iter().next();
                return Ok(BatchView { problem, groups, ..view(action, None) });
            }
            Err(error) => return Err(error),
        };
        let Some(task) = task else { return Ok(BatchView { groups, ..view(action, None) }) };
        // What it would do is found out by doing it, and not keeping it.
        let mut change = cx.change(batches::permit(&cx, task).await?).await?.only_a_look();
        let mut effects = match store::batches::run(&mut change, &batch.users, task).await.known() {
            Ok(effects) => effects,
            // What is wrong with all of it stands beside its field.
            Err(AppError::Invalid(problems)) => {
                let problem = problems.into_iter().next();
                return Ok(BatchView { problem, groups, ..view(action, None) });
            }
            Err(error) => return Err(error),
        };
        let dead = batches::dead(&mut change, &effects).await?;
        let fallen = batches::fallen(&dead);
        drop(change);
        batches::without_links(task, &mut effects);
        let facts = store::access::current(&cx.store, actor.org).await.known()?;
        let summary = batches::summary(&facts, task, &effects, store::clock::now());
        let summary = secrets::and_die(&summary, fallen);
        let (parts, seen) = (batches::parts(&effects, &dead, shown), batches::seen(&effects, fallen));
        Ok(BatchView { groups, summary, seen, ..view(action, Some(parts)) })
    })
    .await
}

/// Makes the change, all of it or nothing. `seen`: what of it was shown; when it would be something else by
/// now, nothing is changed.
#[server(prefix = "/console", endpoint = "batches/confirm")]
pub async fn confirm_batch(
    id: String,
    action: String,
    #[server(default)] group: String,
    #[server(default)] cap: String,
    #[server(default)] role: String,
    #[server(default)] ends_on: String,
    #[server(default)] seen: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::batches::{Outcome, Task, count};
    handle(|cx| async move {
        // Written where there are too many to choose from.
        let group = groups::named_some(&cx, "group", &group).await?;
        let group = group.map(|id| id.to_string()).unwrap_or_default();
        let asked = batches::Asked { group: &group, cap: &cap, role: &role, ends_on: &ends_on };
        let task = batches::task(read("action", &action)?, &asked, cx.calendar().await?)?
            .ok_or_else(|| AppError::field("", "Say first what is to be done."))?;
        let permit = batches::permit(&cx, task).await?;
        let me = permit.actor().user.ok_or(AppError::NotFound)?;
        let batch = store::batches::get(&cx.store, permit.org(), me, read("id", &id)?).await.known()?;
        let mut change = cx.change(permit).await?;
        let effects = store::batches::confirm(&mut change, &batch, task).await.known()?;
        let fallen = batches::fallen(&batches::dead(&mut change, &effects).await?);
        batches::as_seen(task, &effects, fallen, &seen)?;
        let changed = count(&effects, Outcome::Changed);
        if changed == 0 {
            return Err(AppError::field("", "There is nothing to change: see below."));
        }
        let by_mail = task == Task::Invite && cx.backend.mail;
        if by_mail {
            batches::mail(&mut change, &effects).await?;
        }
        change.commit().await.known()?;
        if by_mail {
            let said = format!("{} invited again. The mails are on their way.", batches::were(changed));
            return Ok(Done::said(said).then(format!("/users/batch/{}", batch.id)));
        }
        // Shown on the page of what was done: the form that asked to be confirmed is not on it any more.
        if task == Task::Invite {
            return Ok(Done::once(batches::links(&cx.backend.public_url, &effects)));
        }
        let said = format!("{} changed.", batches::people(changed));
        Ok(Done::said(secrets::with_dead(&said, fallen, true)).then(format!("/users/batch/{}", batch.id)))
    })
    .await
}

/// Brings everybody back who is still as the change left them.
#[server(prefix = "/console", endpoint = "batches/undo")]
pub async fn undo_batch(id: String) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let actor = cx.actor()?;
        let me = actor.user.ok_or(AppError::NotFound)?;
        let batch = store::batches::get(&cx.store, actor.org, me, read("id", &id)?).await.known()?;
        let Some(task) = batch.done else { return Err(AppError::Stale) };
        let mut change = cx.change(batches::permit(&cx, task).await?).await?;
        let (back, left) = store::batches::undo(&mut change, &batch).await.known()?;
        let killed = change.fallen();
        change.commit().await.known()?;
        let died = store::batches::died(&cx.store, actor.org, batch.id).await.known()?;
        let alone =
            store::batches::left_alone(&cx.store, actor.org, batch.id, batches::LEFT).await.known()?;
        let rest = match left {
            0 => String::new(),
            left if alone.iter().all(|alone| alone.because.is_none()) => {
                format!(" {} changed again since: that was left alone.", batches::were(left))
            }
            left => format!(" {} left alone: what and why is listed.", batches::were(left)),
        };
        let said = secrets::with_dead(&format!("Undone for {}.{rest}", batches::people(back)), killed, false);
        Ok(Done::said(secrets::still_dead(&said, died)).then(format!("/users/batch/{}", batch.id)))
    })
    .await
}
