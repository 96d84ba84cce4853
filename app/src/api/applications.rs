//! Applications.

use domain::{
    applications::{Application, ApplicationRow},
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
}

/// Applications by name, of everywhere or of one group and those below it. `unused`: not called for
/// long; `away`: their owner is suspended.
#[server(prefix = "/console", endpoint = "applications/list")]
pub async fn load_applications(
    search: String,
    after: String,
    #[server(default)] unused: bool,
    #[server(default)] away: bool,
    #[server(default)] group: String,
) -> Result<Applications, AppError> {
    use crate::backend::*;
    use domain::ids::GroupId;
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
        let within =
            within.and_then(|id| paths.iter().find(|(other, _)| *other == id)).map(|(_, path)| path.clone());
        let groups = paths
            .into_iter()
            .filter(|(id, _)| visible(*id, Act::EditApplications))
            .map(|(id, path)| (id.to_string(), path))
            .collect();
        let store::applications::Neglected { unused, leaked, owner_away } = neglected;
        Ok(Applications { rows, next, groups, unused, leaked, within, owner_away })
    })
    .await
}

/// Everything on an application's page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationView {
    /// The application.
    pub application: Application,
    /// Its key.
    pub key: Key,
    /// The key's secrets.
    pub secrets: Vec<SecretRow>,
    /// Its limits.
    pub limits: Vec<LimitLevel>,
    /// Limits from above: in words, and of what.
    pub above: Vec<(String, String)>,
    /// Its last calls.
    pub calls: Option<Vec<CallRow>>,
    /// The month so far.
    pub month: Sums,
    /// Models its group may use or ask for: id, name, whether the key lets it through.
    pub models: Vec<(String, String, bool)>,
    /// Every open group: id and path.
    pub groups: Vec<(String, String)>,
    /// Every policy: id and name.
    pub policies: Vec<(String, String)>,
    /// Who could answer for it: id, and name with address.
    pub heirs: Vec<(String, String)>,
}

/// An application. `find`: whom to look for to answer for it.
#[server(prefix = "/console", endpoint = "applications/get")]
pub async fn load_application(
    id: String,
    #[server(default)] find: String,
) -> Result<ApplicationView, AppError> {
    use crate::backend::*;
    use domain::ids::{ApplicationId, GroupId};
    use domain::{limits::Scope, roles::Act};
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
        Ok(ApplicationView {
            secrets: store::keys::secrets(&cx.store, org, key.id).await.known()?,
            above: groups::limits_from_above(
                &facts,
                &application.path.iter().map(|(group, _)| *group).collect::<Vec<_>>(),
            ),
            limits: store::limits::list(&cx.store, org, &facts, |scope| scope == Scope::Application(id))
                .await
                .known()?,
            calls: if mine {
                Some(Vec::new())
            } else {
                store::rollups::last_calls(&cx.store, org, &which, now, 20).await
            },
            heirs: heirs::found(&cx, &find, owner).await?,
            month: store::rollups::sums(&cx.store, org, &which, month.first, month.next).await.known()?,
            groups: pairs(store::groups::paths(&cx.store, org).await.known()?),
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
        let (id, user) = (read("id", &id)?, read("user", &user)?);
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
