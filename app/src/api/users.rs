//! People.

use chrono::{DateTime, Utc};
use domain::{
    audit::AuditRow,
    explore::Explored,
    ids::ReceiptId,
    money::Money,
    notices::Sending,
    receipts::{Departure, Handed},
    requests::Request,
    spend::{CallRow, LimitLevel},
    users::{SessionRow, UsedApplication, UserRow},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// Everything on a person's page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserView {
    /// The person.
    pub user: UserRow,
    /// Monthly spend of those without a limit of their own.
    pub default_limit: Option<Money>,
    /// Their limits.
    pub limits: Vec<LimitLevel>,
    /// Limits from above: in words, and of what.
    pub above: Vec<(String, String)>,
    /// Their last calls.
    pub calls: Option<Vec<CallRow>>,
    /// Their requests that wait, and their grants that hold.
    pub requests: Vec<Request>,
    /// Groups they could join: id and path.
    pub groups: Vec<(String, String)>,
    /// Their invitation, while they have not joined.
    pub invitation: Option<Invited>,
    /// Whether invitations go by mail.
    pub mail: bool,
    /// What would be left without anybody if they went.
    pub charges: Vec<Handed>,
    /// Who could take that over: id, and name with address.
    pub heirs: Vec<(String, String)>,
    /// Receipts about them, the newest first.
    pub receipts: Vec<Slip>,
    /// Browsers they are signed in with.
    pub sessions: Vec<SessionRow>,
    /// Their calls by day and model, of the last 30 days.
    pub days: Explored,
    /// Their spend of the same days.
    pub spent: Explored,
    /// What they answer for and call for, with their secrets.
    pub applications: Vec<UsedApplication>,
    /// The last changes that are about them.
    pub changes: Vec<AuditRow>,
}

/// An invitation that was not accepted yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// Until when it can be; it may be over.
    pub until: DateTime<Utc>,
    /// The mail it went by: what became of it, when, and why the last try failed.
    pub mail: Option<(Sending, DateTime<Utc>, Option<String>)>,
}

/// Somebody who left: what is kept of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Their name.
    pub name: String,
    /// Their address.
    pub email: String,
    /// Receipts about them, the newest first.
    pub receipts: Vec<Slip>,
}

/// A receipt in a list: which, what happened, when.
pub type Slip = (ReceiptId, Departure, DateTime<Utc>);

/// What the page of a person shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Person {
    /// Somebody who is here.
    Here(Box<UserView>),
    /// Somebody who left.
    Gone(Gone),
}

/// A person. `find`: whom to look for to take over from them.
#[server(prefix = "/console", endpoint = "users/get")]
pub async fn load_user(id: String, #[server(default)] find: String) -> Result<Person, AppError> {
    use crate::backend::*;
    use domain::ids::UserId;
    use domain::{
        explore::{By, Interval, Measure, Period},
        limits::Scope,
        roles::Act,
    };
    // How many changes about them the page lists.
    const CHANGES: i64 = 8;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let id: UserId = id.parse().map_err(|_| AppError::NotFound)?;
        let month = cx.month().await?;
        let user = store::users::rows(&cx.store, org, &month, &[id]).await.known()?;
        let receipts = store::receipts::of_user(&cx.store, org, id).await.known()?;
        let Some(user) = user.into_iter().next() else {
            let (name, email) = store::users::name(&cx.store, org, id).await.known()?;
            return Ok(Person::Gone(Gone { name, email, receipts }));
        };
        let facts = store::access::current(&cx.store, org).await.known()?;
        let asked = store::requests::Filter { user: Some(id), ..Default::default() };
        let which = store::rollups::Which { user: Some(id), ..Default::default() };
        let paths = store::groups::places(&cx.store, org).await.known()?;
        let own = |group| user.groups.iter().any(|badge| badge.group == group && !badge.inherited);
        let invitation = match store::users::invited_until(&cx.store, org, id).await.known()? {
            Some(until) => {
                let kind = domain::notices::MailKind::Invitation;
                let mail = store::mails::last(&cx.store, org, id, kind).await.known()?;
                Some(Invited { until, mail: mail.map(|fate| (fate.state, fate.at, fate.error)) })
            }
            None => None,
        };
        let here = cx.session_id();
        let here = here.as_ref().map(|id| id.as_slice());
        let today = facts.calendar.day(store::clock::now());
        let tomorrow = today.succ_opt().ok_or(AppError::NotFound)?;
        let from = tomorrow.checked_sub_days(chrono::Days::new(30)).unwrap_or(tomorrow);
        let period = Period { from, to: tomorrow };
        let question = store::explore::Question {
            measure: Measure::Calls,
            by: By::Model,
            interval: Interval::Day,
            period,
            before: period.before(),
            top: 4,
            week_start: facts.calendar.week_start,
            today,
        };
        let spent = store::explore::Question { measure: Measure::Spend, ..question };
        Ok(Person::Here(Box::new(UserView {
            sessions: store::sessions::of_user(&cx.store, org, id, here, false).await.known()?,
            days: store::explore::ask(&cx.store, org, &which, &question).await.known()?,
            spent: store::explore::ask(&cx.store, org, &which, &spent).await.known()?,
            applications: store::applications::used_by(&cx.store, org, id).await.known()?,
            changes: if cx.permit(Act::ReadAudit).is_ok() {
                let about = store::audit::Filter { subject: Some(id.0), ..Default::default() };
                store::audit::list(&cx.store, org, &about, CHANGES).await.known()?
            } else {
                Vec::new()
            },
            charges: store::heirs::would_be(&cx.store, org, id, cx.actor()?.user).await.known()?,
            heirs: heirs::found(&cx, &find, Some(id)).await?,
            receipts,
            invitation,
            mail: cx.backend.mail,
            default_limit: facts.default_user_limit,
            above: {
                let own = facts.limits.get(&Scope::User(id)).map_or(&[][..], Vec::as_slice);
                let own = own.iter().any(|limit| limit.meter.is_month_of_a_person());
                let default = facts.default_user_limit.filter(|_| !own);
                let default = default.map(|cap| {
                    (format!("{} a month", cap.in_full()), "the organization's default".to_owned())
                });
                let above = groups::limits_from_above(&facts, &[]).into_iter();
                above.chain(default).collect()
            },
            limits: store::limits::list(&cx.store, org, &facts, |scope| scope == Scope::User(id))
                .await
                .known()?,
            calls: store::rollups::last_calls(&cx.store, org, &which, store::clock::now(), 20).await,
            requests: store::requests::live(&cx.store, org, &asked).await.known()?,
            groups: paths
                .into_iter()
                .filter(|(group, _)| !own(*group))
                .map(|(group, path)| (group.to_string(), path))
                .collect(),
            user,
        })))
    })
    .await
}

/// Adds a person, to a group as well where one is named, and makes their invitation.
#[server(prefix = "/console", endpoint = "users/create")]
pub async fn create_user(
    email: String,
    name: String,
    role: String,
    #[server(default)] group: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let form = store::users::UserForm {
            email: read("email", &email)?,
            name: read("name", &name)?,
            role: read("role", &role)?,
        };
        let permit = cx.permit(Act::EditUsers)?;
        let group = groups::named_some(&cx, "group", &group).await?;
        if let Some(group) = group {
            cx.permit_in(Act::EditMembers, group).await?;
        }
        let into = match group {
            Some(group) => Some(store::groups::get(&cx.store, permit.org(), group).await.known()?),
            None => None,
        };
        let into = into.map(|group| format!(" to {}", group.name())).unwrap_or_default();
        let mut change = cx.change(permit).await?;
        let id = match group {
            Some(group) => store::users::insert_into(&mut change, &form, group).await.known()?,
            None => store::users::insert(&mut change, &form).await.known()?,
        };
        let token = store::users::invite(&mut change, id).await.known()?;
        let way = invitations::hand_over(&cx, &mut change, id, &token).await?;
        change.commit().await.known()?;
        Ok(way.done(Some(format!("{} was added{into}.", form.name)), form.name.as_str(), form.email.as_str()))
    })
    .await
}

/// Makes a new invitation; the one before stops working.
#[server(prefix = "/console", endpoint = "users/invite")]
pub async fn invite_user(id: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::ids::UserId;
    use domain::roles::Act;
    handle(|cx| async move {
        let id: UserId = read("id", &id)?;
        let mut change = cx.change(cx.permit(Act::EditUsers)?).await?;
        let token = store::users::invite(&mut change, id).await.known()?;
        let way = invitations::hand_over(&cx, &mut change, id, &token).await?;
        change.commit().await.known()?;
        Ok(way.done(None, "them", "them").then_if_said(format!("/users/{id}")))
    })
    .await
}

/// Changes a person's name, address and role.
#[server(prefix = "/console", endpoint = "users/edit")]
pub async fn edit_user(
    id: String,
    version: i64,
    email: String,
    name: String,
    role: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let id = read("id", &id)?;
        let form = store::users::UserForm {
            email: read("email", &email)?,
            name: read("name", &name)?,
            role: read("role", &role)?,
        };
        let permit = cx.permit(Act::EditUsers)?;
        let me = permit.actor().user == Some(id);
        let mut change = cx.change(permit).await?;
        let (before, _) = store::users::said(&mut change, id).await.known()?;
        let waited = store::users::is_invited(&mut change, id).await.known()?;
        store::users::update(&mut change, id, version, &form).await.known()?;
        let waits = waited && !store::users::is_invited(&mut change, id).await.known()?;
        let saved = change.commit().await.known()?;
        // Who gave up a role may not give it back to themselves.
        let undo =
            (saved && !(me && before.role != form.role)).then(|| ways_back::user(id, &before, version + 1));
        let said =
            if waits { "Saved. Invite them again: the link they have no longer works." } else { "Saved." };
        Ok(Done::said(said).then(format!("/users/{id}")).undone_by(undo))
    })
    .await
}

/// Gives a person a monthly limit of their own; left empty, the organization's default again. `was`:
/// their own limit as it was shown, empty for none.
#[server(prefix = "/console", endpoint = "users/limit")]
pub async fn set_user_limit(
    id: String,
    was: String,
    #[server(default)] cap: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        batches::{Task, Undo},
        limits::{Meter, Metric, Scope},
        money::Money,
        window::Window,
    };
    handle(|cx| async move {
        // As the form for many people has it written.
        let default = cap.trim().eq_ignore_ascii_case("default");
        let task = Task::Limit(if default { None } else { read_some::<Money>("cap", &cap)? });
        let permit = batches::permit(&cx, task).await?;
        let (id, was) = (read("id", &id)?, read_some::<Money>("was", &was)?);
        let (mut change, batch) = batches::begin_of_one(&cx, permit, id).await?;
        let meter = Meter { scope: Scope::User(id), metric: Metric::Spend, window: Window::Month };
        let raised = store::requests::raised(&mut change, &meter).await.known()?;
        let effect = batches::make_of_one(&mut change, &batch, task).await?;
        let before = match (&effect.undo, task) {
            (Some(Undo::Limit { before, raised, .. }), _) => raised.or(*before),
            (_, Task::Limit(cap)) => cap,
            _ => was,
        };
        if before != was {
            return Err(AppError::Stale);
        }
        let ends = matches!(effect.undo, Some(Undo::Limit { raised: Some(_), .. }));
        let default = change.facts().await.known()?.default_user_limit;
        let undo = change.commit().await.known()?.then(|| ways_back::batch(batch.id));
        let said = match task {
            Task::Limit(Some(cap)) => format!("Limit set: {} a month.", cap.in_full()),
            _ => "The organization's default applies again.".to_owned(),
        };
        let rest = ways_back::raise_ended(&meter, raised.as_ref().filter(|_| ends), default);
        Ok(Done::said(said + &rest).undone_by(undo))
    })
    .await
}

/// Suspends a person, or lets them in again. `heir`: who takes over what they answer for; empty: each
/// thing goes to whoever leads above it, else to an owner. `version`: as they were shown, where the
/// page shows more of them than whether they are suspended. `back`: a suspension is undone, and
/// applications come back that are still with whoever took them over.
#[server(prefix = "/console", endpoint = "users/suspend")]
pub async fn suspend_user(
    id: String,
    #[server(default)] suspended: bool,
    #[server(default)] heir: String,
    #[server(default)] version: String,
    #[server(default)] back: bool,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::UserId, roles::Act};
    handle(|cx| async move {
        let permit = cx.permit(Act::EditUsers)?;
        let (id, version): (UserId, _) = (read("id", &id)?, read_some::<i64>("version", &version)?);
        let mut change = cx.change(permit).await?;
        let org = change.org();
        if let Some(version) = version {
            as_shown(&mut change, id.0, version, None).await?;
        }
        match read_some("heir", &heir)?.filter(|_| suspended) {
            Some(heir) => store::users::suspend(&mut change, id, heir).await.known()?,
            None if back && !suspended => {
                store::users::take_back_suspension(&mut change, id).await.known()?
            }
            None => store::users::set_suspended(&mut change, id, suspended).await.known()?,
        }
        let (_, version) = store::users::said(&mut change, id).await.known()?;
        let invited = store::users::is_invited(&mut change, id).await.known()?;
        let saved = change.commit().await.known()?;
        let undo = saved.then(|| ways_back::suspension(id, suspended, version));
        if !suspended {
            let notice = if invited {
                "They can join again, by the link they were sent."
            } else {
                "They can sign in again. Their old secrets stay dead; they make new ones."
            };
            return Ok(Done::said(notice).then(format!("/users/{id}")).undone_by(undo));
        }
        let receipts = store::receipts::of_user(&cx.store, org, id).await.known()?;
        let (receipt, ..) = receipts.first().ok_or(AppError::NotFound)?;
        Ok(Done::said("Suspended. Every secret of theirs is dead.")
            .then(format!("/receipts/{receipt}"))
            .undone_by(undo))
    })
    .await
}

/// Takes a person out of the organization for good; what they answered for goes to `heir`, or as with a
/// suspension. `version`: as they were shown; `typed`: their name, typed out.
#[server(prefix = "/console", endpoint = "users/remove")]
pub async fn remove_user(
    id: String,
    version: i64,
    #[server(default)] heir: String,
    #[server(default)] typed: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::UserId, roles::Act};
    handle(|cx| async move {
        let permit = cx.permit(Act::EditUsers)?;
        let (id, org): (UserId, _) = (read("id", &id)?, permit.org());
        let mut change = cx.change(permit).await?;
        let name = as_shown(&mut change, id.0, version, Some(&typed)).await?;
        store::users::remove(&mut change, id, read_some("heir", &heir)?).await.known()?;
        change.commit().await.known()?;
        let receipts = store::receipts::of_user(&cx.store, org, id).await.known()?;
        let (receipt, ..) = receipts.first().ok_or(AppError::NotFound)?;
        Ok(Done::said(format!("{name} was removed.")).then(format!("/receipts/{receipt}")))
    })
    .await
}
