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
}

/// Applications by name.
#[server(prefix = "/console", endpoint = "applications/list")]
pub async fn load_applications(search: String, after: String) -> Result<Applications, AppError> {
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
        let facts = store::access::facts(&cx.store, actor.org).await.known()?;
        let visible = |group: GroupId, act| {
            let path = facts.groups.get(&group).map(|group| group.path.as_slice()).unwrap_or_default();
            allows(&actor, act, Place::Group(path))
        };
        let after = after.split_once('~').and_then(|(id, name)| Some((name.to_owned(), id.parse().ok()?)));
        let search = Some(search.trim().to_owned()).filter(|text| !text.is_empty());
        let filter = store::applications::Filter { search, group: None, after };
        let month = cx.month().await?;
        let mut rows =
            store::applications::list(&cx.store, actor.org, &month, &filter, PAGE + 1).await.known()?;
        let more = rows.len() as i64 > PAGE;
        rows.truncate(PAGE as usize);
        let next = rows.last().filter(|_| more).map(|row| format!("{}~{}", row.id, row.name));
        rows.retain(|row| visible(row.group, Act::ReadGroup));
        let paths = store::groups::paths(&cx.store, actor.org).await.known()?;
        let groups = paths
            .into_iter()
            .filter(|(id, _)| visible(*id, Act::EditApplications))
            .map(|(id, path)| (id.to_string(), path))
            .collect();
        Ok(Applications { rows, next, groups })
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
    /// Its last calls.
    pub calls: Vec<CallRow>,
    /// The month so far.
    pub month: Sums,
    /// Models its group may use or ask for: id, name, whether the key lets it through.
    pub models: Vec<(String, String, bool)>,
    /// Every open group: id and path.
    pub groups: Vec<(String, String)>,
    /// Every policy: id and name.
    pub policies: Vec<(String, String)>,
}

/// An application.
#[server(prefix = "/console", endpoint = "applications/get")]
pub async fn load_application(id: String) -> Result<ApplicationView, AppError> {
    use crate::backend::*;
    use domain::ids::{ApplicationId, GroupId};
    use domain::{limits::Scope, roles::Act};
    handle(|cx| async move {
        let id: ApplicationId = id.parse().map_err(|_| AppError::NotFound)?;
        let org = cx.permit_for(Act::ReadGroup, id).await?.org();
        let application = store::applications::get(&cx.store, org, id).await.known()?;
        let key = store::keys::of_application(&cx.store, org, id).await.known()?;
        let facts = store::access::facts(&cx.store, org).await.known()?;
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
            limits: store::limits::list(&cx.store, org, &facts, |scope| scope == Scope::Application(id))
                .await
                .known()?,
            calls: store::rollups::calls(&cx.store, org, &which, now, 20).await.known()?,
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
        let group = read("group", &group)?;
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
        let mut change = cx.change(cx.permit_for(Act::EditApplications, id).await?).await?;
        store::applications::update(&mut change, id, version, &form).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Application saved.").then(format!("/applications/{id}")))
    })
    .await
}

/// Closes an application for good.
#[server(prefix = "/console", endpoint = "applications/archive")]
pub async fn archive_application(id: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let id = read("id", &id)?;
        let mut change = cx.change(cx.permit_for(Act::EditApplications, id).await?).await?;
        store::applications::archive(&mut change, id).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Application archived. Its secrets are dead, its spend stays on the books.")
            .then("/applications"))
    })
    .await
}
