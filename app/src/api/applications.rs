//! Applications.

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    applications::{Application, ApplicationRow},
    ids::GroupId,
    keys::{Key, SecretRow},
    spend::{CallRow, LimitLevel, Sums},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// A page of applications.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applications {
    /// By name.
    pub rows: Vec<ApplicationRow>,
    /// Where the next page starts.
    pub next: Option<String>,
    /// Groups that could have one: id and path.
    pub groups: Vec<(String, String)>,
    /// How many have live secrets that nobody has used for long; none for leads.
    pub unused: i64,
    /// How many secrets were reported as leaked lately.
    pub leaked: i64,
    /// The path of the group they are of; none: everywhere.
    pub within: Option<String>,
    /// How many have an owner who is suspended.
    pub owner_away: i64,
    /// How many have no owner, and nobody who leads their group or one above it.
    pub unanswered: i64,
    /// Groups on this page in which nothing can call any more, and since when.
    pub over: Vec<(GroupId, DateTime<Utc>)>,
}

/// Applications by name, of everywhere or of one group and those below it. `unused`: not called for
/// long; `away`: their owner is suspended; `nobody`: nobody answers for them.
#[server(prefix = "/console", endpoint = "applications/list")]
pub async fn load_applications(
    search: String,
    after: String,
    #[server(default)] unused: bool,
    #[server(default)] away: bool,
    #[server(default)] nobody: bool,
    #[server(default)] group: String,
) -> Result<Applications, AppError> {
    use crate::backend::*;
    use domain::roles::{Act, Place, allows};
    // How many applications a page lists.
    const PAGE: i64 = 50;
    handle(|cx| async move {
        let actor = cx.actor()?.clone();
        let all = cx.permit(Act::ReadOrganization);
        if all.is_err() && actor.leads.is_empty() {
            return Err(all.err().unwrap_or(AppError::NotFound));
        }
        let facts = store::access::current(&cx.store, actor.org).await.known()?;
        let visible = |group: GroupId, act| {
            let path = facts.groups.get(&group).map(|group| group.path.as_slice()).unwrap_or_default();
            allows(&actor, act, Place::Group(path))
        };
        let after = after.split_once('~').and_then(|(id, name)| Some((name.to_owned(), id.parse().ok()?)));
        let search = Some(search.trim().to_owned()).filter(|text| !text.is_empty());
        let since = store::clock::now() - chrono::Duration::days(domain::keys::UNUSED_DAYS);
        let unused_since = unused.then_some(since);
        let within: Option<GroupId> = match group.as_str() {
            "" => None,
            id => Some(id.parse().map_err(|_| AppError::NotFound)?),
        };
        // Leads page through what they see: what is beyond it takes no place on a page.
        let among = all
            .is_err()
            .then(|| facts.groups.keys().copied().filter(|group| visible(*group, Act::ReadGroup)).collect());
        let filter = store::applications::Filter {
            search,
            group: within,
            among,
            unused_since,
            owner_away: away,
            unanswered: nobody,
            after,
        };
        let neglected = match &all {
            Ok(permit) => store::applications::neglected(&cx.store, permit.org(), since).await.known()?,
            Err(_) => Default::default(),
        };
        let month = cx.month().await?;
        let mut rows =
            store::applications::list(&cx.store, actor.org, &month, &filter, PAGE + 1).await.known()?;
        let more = rows.len() as i64 > PAGE;
        rows.truncate(PAGE as usize);
        let next = rows.last().filter(|_| more).map(|row| format!("{}~{}", row.id, row.name));
        let paths = store::groups::paths(&cx.store, actor.org).await.known()?;
        let now = store::clock::now();
        let within =
            within.and_then(|id| paths.iter().find(|(other, _)| *other == id)).map(|(_, path)| path.clone());
        let groups = paths
            .into_iter()
            .filter(|(id, _)| visible(*id, Act::EditApplications))
            .filter(|(id, _)| domain::access::ended(&facts, *id, now).is_none())
            .map(|(id, path)| (id.to_string(), path))
            .collect();
        let store::applications::Neglected { unused, leaked, owner_away, unanswered } = neglected;
        let mut of_rows: Vec<GroupId> = rows.iter().map(|row| row.group).collect();
        of_rows.sort_unstable();
        of_rows.dedup();
        let over = of_rows
            .into_iter()
            .filter_map(|group| Some((group, domain::access::ended(&facts, group, now)?.1)))
            .collect();
        Ok(Applications { rows, next, groups, unused, leaked, within, owner_away, unanswered, over })
    })
    .await
}

/// A group in which nothing can call any more, or below which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// Which.
    pub group: GroupId,
    /// What it is called.
    pub name: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Its last day; none: it was archived.
    pub ended_on: Option<NaiveDate>,
    /// Whether whoever looks may give it a later one: leads may not.
    pub edits: bool,
    /// Who may, by name.
    pub admins: String,
}

/// Everything on an application's page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationView {
    /// The application.
    pub application: Application,
    /// Its key.
    pub key: Key,
    /// The key's secrets; of people none but their own for whoever only answers for it.
    pub secrets: Vec<SecretRow>,
    /// Its limits.
    pub limits: Vec<LimitLevel>,
    /// Limits from above: in words, and of what.
    pub above: Vec<(String, String)>,
    /// Its last calls; nobody's for whoever only answers for it.
    pub calls: Option<Vec<CallRow>>,
    /// The month so far.
    pub month: Sums,
    /// Models its group may use or ask for: id, name, whether the key lets it through.
    pub models: Vec<(String, String, bool)>,
    /// Groups its key can be assigned to, and those it is: id and path.
    pub groups: Vec<(String, String)>,
    /// Whether it is assigned to some that whoever looks could not assign.
    pub foreign: bool,
    /// Every policy: id and name.
    pub policies: Vec<(String, String)>,
    /// The nearest group, from its own upwards, that somebody leads who can act: those answer for what has no owner.
    pub led_by: Option<(GroupId, String)>,
    /// Who could answer for it: id, and name with address.
    pub heirs: Vec<(String, String)>,
    /// Why nothing in its group can call; none: its group is open.
    pub over: Option<Over>,
    /// Where it could be moved: id and path.
    pub places: Vec<(String, String)>,
}

/// An application. `find`: whom to look for to answer for it; `dialog`: which of its dialogs is open.
#[server(prefix = "/console", endpoint = "applications/get")]
pub async fn load_application(
    id: String,
    #[server(default)] find: String,
    #[server(default)] dialog: String,
) -> Result<ApplicationView, AppError> {
    use crate::backend::*;
    use domain::{
        ids::ApplicationId,
        limits::Scope,
        roles::{Act, Place, allows},
    };
    handle(|cx| async move {
        let id: ApplicationId = id.parse().map_err(|_| AppError::NotFound)?;
        let me = cx.actor()?.user;
        let application = store::applications::get(&cx.store, cx.org()?, id).await.known()?;
        let owner = application.owner.as_ref().map(|(owner, _)| *owner);
        let permit = match cx.permit_for(Act::ReadGroup, id).await {
            // Who answers for it sees it, but not who calls with it.
            Err(AppError::Forbidden(_)) if me.is_some() && owner == me => cx.permit(Act::UseOwn)?,
            permit => permit?,
        };
        let org = permit.org();
        let mine = permit.act() == Act::UseOwn;
        let key = store::keys::of_application(&cx.store, org, id).await.known()?;
        let facts = store::access::current(&cx.store, org).await.known()?;
        let now = store::clock::now();
        let month = cx.month().await?;
        let which = store::rollups::Which { application: Some(id), ..Default::default() };
        let group = application.path.last().map(|(group, _)| *group);
        let lines = matrix::lines(&facts, group, now);
        let models = lines
            .iter()
            .filter(|line| line.state != domain::authorizations::State::Closed)
            .map(|line| (line.model.to_string(), line.name.clone(), key.models.allow(line.model)))
            .collect();
        let pairs = |list: Vec<(GroupId, String)>| {
            list.into_iter().map(|(id, path)| (id.to_string(), path)).collect()
        };
        let actor = cx.actor()?.clone();
        let may = |group: GroupId, act| {
            let path = facts.groups.get(&group).map(|group| group.path.as_slice()).unwrap_or_default();
            allows(&actor, act, Place::Group(path))
        };
        let over = match group.and_then(|group| domain::access::ended(&facts, group, now)) {
            Some((group, since)) => {
                let ended = store::groups::get(&cx.store, org, group).await.known()?;
                Some(Over {
                    group,
                    name: ended.name().to_owned(),
                    since,
                    ended_on: ended.ends_on.filter(|_| ended.archived_at.is_none()),
                    edits: ended.archived_at.is_none() && cx.permit(Act::EditGroup).is_ok(),
                    admins: facts.admins_by_name(),
                })
            }
            None => None,
        };
        let path: Vec<GroupId> = application.path.iter().map(|(group, _)| *group).collect();
        let led_by = store::applications::led_by(&cx.store, org, &path).await.known()?;
        let all = store::groups::paths(&cx.store, org).await.known()?;
        let open = |id: GroupId| domain::access::ended(&facts, id, now).is_none();
        let places = all
            .iter()
            .filter(|(id, _)| open(*id))
            .filter(|(id, _)| dialog == "move" && Some(*id) != group && may(*id, Act::EditApplications))
            .map(|(id, path)| (id.to_string(), path.clone()))
            .collect();
        Ok(ApplicationView {
            over,
            places,
            secrets: store::keys::secrets(&cx.store, org, key.id)
                .await
                .known()?
                .into_iter()
                .filter(|secret| !mine || secret.user.as_ref().is_none_or(|(user, _)| Some(*user) == me))
                .collect(),
            led_by: led_by.and_then(|led| application.path.iter().find(|(group, _)| *group == led).cloned()),
            above: groups::limits_from_above(&facts, &path),
            limits: store::limits::list(&cx.store, org, &facts, |scope| scope == Scope::Application(id))
                .await
                .known()?,
            calls: if mine {
                None
            } else {
                store::rollups::last_calls(&cx.store, org, &which, now, 20).await
            },
            heirs: heirs::found(&cx, &find, owner).await?,
            month: store::rollups::sums(&cx.store, org, &which, month.first, month.next).await.known()?,
            foreign: key.assigned.iter().any(|(group, _)| !may(*group, Act::EditApplications)),
            groups: pairs(
                all.into_iter()
                    .filter(|(group, _)| {
                        (may(*group, Act::EditApplications) && open(*group))
                            || key.assigned.iter().any(|(there, _)| there == group)
                    })
                    .collect(),
            ),
            policies: store::policies::list(&cx.store, org)
                .await
                .known()?
                .into_iter()
                .map(|it| (it.id.to_string(), it.name))
                .collect(),
            application,
            key,
            models,
        })
    })
    .await
}

/// Adds an application with its key, and makes its first secret.
#[server(prefix = "/console", endpoint = "applications/create")]
pub async fn create_application(
    group: String,
    name: String,
    #[server(default)] description: String,
    #[server(default)] next: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        keys::{Features, KeyModels},
        roles::Act,
    };
    use store::applications::ApplicationForm;
    handle(|cx| async move {
        let group = groups::named(&cx, "group", &group).await?;
        let form = ApplicationForm { name: read("name", &name)?, description, use_cases: Vec::new() };
        let mut change = cx.change(cx.permit_in(Act::EditApplications, group).await?).await?;
        let (id, _) =
            store::applications::insert(&mut change, group, &form, &KeyModels::All, Features::all())
                .await
                .known()?;
        change.commit().await.known()?;
        let next =
            if next == "welcome" { "/welcome/application".to_owned() } else { format!("/applications/{id}") };
        Ok(Done::said(format!("{} was created. Make a secret for it next.", form.name)).then(next))
    })
    .await
}

/// Changes an application's name, description and use cases.
#[server(prefix = "/console", endpoint = "applications/edit")]
pub async fn edit_application(
    id: String,
    version: i64,
    name: String,
    #[server(default)] description: String,
    #[server(default)] use_cases: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    use store::applications::ApplicationForm;
    handle(|cx| async move {
        let id = read("id", &id)?;
        let use_cases = use_cases
            .split([',', '\n'])
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        let form = ApplicationForm { name: read("name", &name)?, description, use_cases };
        let permit = cx.permit_for(Act::EditApplications, id).await?;
        let before = store::applications::get(&cx.store, permit.org(), id).await.known()?;
        let mut change = cx.change(permit).await?;
        store::applications::update(&mut change, id, version, &form).await.known()?;
        let saved = change.commit().await.known()?;
        let undo = saved.then(|| ways_back::application(&before));
        Ok(Done::said("Application saved.").then(format!("/applications/{id}")).undone_by(undo))
    })
    .await
}

/// Puts an application into another group. `version` and `was`: as it was shown, and the group it was in.
#[server(prefix = "/console", endpoint = "applications/move")]
pub async fn move_application(
    id: String,
    version: i64,
    was: String,
    group: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::ApplicationId, roles::Act};
    handle(|cx| async move {
        let id: ApplicationId = read("id", &id)?;
        // Whoever may not change it where it is learns of no other group.
        let org = cx.permit_for(Act::EditApplications, id).await?.org();
        let here = store::applications::group_of(&cx.store, org, id).await.known()?;
        let (was, to) = (read("was", &was)?, groups::named(&cx, "group", &group).await?);
        let permit = cx.permit_between(Act::EditApplications, here, to).await?;
        let mut change = cx.change(permit).await?;
        store::applications::move_to(&mut change, id, version, was, to).await.known()?;
        let saved = change.commit().await.known()?;
        let again = saved && groups::takes_in(&cx, Some(was)).await?;
        let undo = again.then(|| ways_back::application_place(id, version + 1, was, to));
        Ok(Done::said("Application moved. From the next call on it counts there.")
            .then(format!("/applications/{id}"))
            .undone_by(undo))
    })
    .await
}

/// Closes an application for good. `version`: as it was shown; `typed`: its name, typed out.
#[server(prefix = "/console", endpoint = "applications/archive")]
pub async fn archive_application(
    id: String,
    version: i64,
    #[server(default)] typed: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::ApplicationId, roles::Act};
    handle(|cx| async move {
        let id: ApplicationId = read("id", &id)?;
        let mut change = cx.change(cx.permit_for(Act::EditApplications, id).await?).await?;
        as_shown(&mut change, id.0, version, Some(&typed)).await?;
        store::applications::archive(&mut change, id).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Application archived. Its secrets are dead, its spend stays on the books.")
            .then("/applications"))
    })
    .await
}

/// Says who answers for an application from now on. `was`: who did when it was shown; empty: nobody.
#[server(prefix = "/console", endpoint = "applications/hand-over")]
pub async fn hand_over_application(id: String, was: String, user: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let (id, user) = (read("id", &id)?, heirs::chosen("user", &user)?);
        let permit = match cx.permit_for(Act::EditApplications, id).await {
            // One's own is handed over without anybody's leave; the store looks whose it is.
            Err(AppError::Forbidden(_)) => cx.permit(Act::UseOwn)?,
            permit => permit?,
        };
        // Whoever hands over what is their own has no say in it afterwards.
        let again = permit.act() == Act::EditApplications;
        let mut change = cx.change(permit).await?;
        let was = read_some("was", &was)?;
        store::applications::hand_over(&mut change, id, was, user).await.known()?;
        let saved = change.commit().await.known()?;
        let undo = was.filter(|_| saved && again).map(|was| ways_back::application_owner(id, was, user));
        let (name, _) = store::users::name(&cx.store, cx.org()?, user).await.known()?;
        Ok(Done::said(format!("{name} answers for it now.")).undone_by(undo))
    })
    .await
}
