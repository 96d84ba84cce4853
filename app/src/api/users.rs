//! People.

use domain::{
    money::Money,
    requests::Request,
    spend::{CallRow, LimitLevel},
    users::UserRow,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// A page of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// People by name.
    pub users: Vec<UserRow>,
    /// How many there are.
    pub all: i64,
    /// How many match the search.
    pub matching: i64,
    /// Monthly spend of those without a limit of their own.
    pub default_limit: Option<Money>,
    /// Where the next page starts.
    pub next: Option<String>,
}

/// People by name.
#[server(prefix = "/console", endpoint = "users/list")]
pub async fn load_users(search: String, after: String) -> Result<Directory, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    // How many people a page lists.
    const PAGE: i64 = 50;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let search = Some(search.trim().to_owned()).filter(|text| !text.is_empty());
        let after = after.split_once('~').and_then(|(id, name)| Some((name.to_owned(), id.parse().ok()?)));
        let filter = store::users::Filter { search: search.clone(), only: None, after };
        let month = cx.month().await?;
        let mut users = store::users::list(&cx.store, org, &month, &filter, PAGE + 1).await.known()?;
        let more = users.len() as i64 > PAGE;
        users.truncate(PAGE as usize);
        let (all, matching) = store::users::count(&cx.store, org, search.as_deref()).await.known()?;
        let organization = store::organizations::get(&cx.store, org).await.known()?;
        Ok(Directory {
            next: users.last().filter(|_| more).map(|user| format!("{}~{}", user.id, user.name)),
            users,
            all,
            matching,
            default_limit: organization.default_user_limit,
        })
    })
    .await
}

/// Everything on a person's page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserView {
    /// The person.
    pub user: UserRow,
    /// Monthly spend of those without a limit of their own.
    pub default_limit: Option<Money>,
    /// Their limits.
    pub limits: Vec<LimitLevel>,
    /// Their last calls.
    pub calls: Vec<CallRow>,
    /// Their requests that wait, and their grants that hold.
    pub requests: Vec<Request>,
    /// Groups they could join: id and path.
    pub groups: Vec<(String, String)>,
}

/// A person.
#[server(prefix = "/console", endpoint = "users/get")]
pub async fn load_user(id: String) -> Result<UserView, AppError> {
    use crate::backend::*;
    use domain::ids::UserId;
    use domain::{limits::Scope, roles::Act};
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let id: UserId = id.parse().map_err(|_| AppError::NotFound)?;
        let month = cx.month().await?;
        let filter = store::users::Filter { only: Some(id), ..Default::default() };
        let user = store::users::list(&cx.store, org, &month, &filter, 1)
            .await
            .known()?
            .pop()
            .ok_or(AppError::NotFound)?;
        let facts = store::access::facts(&cx.store, org).await.known()?;
        let asked = store::requests::Filter { user: Some(id), ..Default::default() };
        let which = store::rollups::Which { user: Some(id), ..Default::default() };
        let paths = store::groups::paths(&cx.store, org).await.known()?;
        let own = |group| user.groups.iter().any(|badge| badge.group == group && !badge.inherited);
        Ok(UserView {
            default_limit: facts.default_user_limit,
            limits: store::limits::list(&cx.store, org, &facts, |scope| scope == Scope::User(id))
                .await
                .known()?,
            calls: store::rollups::calls(&cx.store, org, &which, store::clock::now(), 20).await.known()?,
            requests: store::requests::live(&cx.store, org, &asked).await.known()?,
            groups: paths
                .into_iter()
                .filter(|(group, _)| !own(*group))
                .map(|(group, path)| (group.to_string(), path))
                .collect(),
            user,
        })
    })
    .await
}

/// Adds a person and makes their invitation.
#[server(prefix = "/console", endpoint = "users/create")]
pub async fn create_user(email: String, name: String, role: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let form = store::users::UserForm {
            email: read("email", &email)?,
            name: read("name", &name)?,
            role: read("role", &role)?,
        };
        let mut change = cx.change(cx.permit(Act::EditUsers)?).await?;
        let org = change.org();
        let id = store::users::insert(&mut change, &form).await.known()?;
        let token = store::users::invite(&mut change, id).await.known()?;
        change.commit().await.known()?;
        let url = format!("{}/join/{org}/{id}/{token}", cx.backend.public_url);
        Ok(Done {
            notice: Some(format!("{} was added.", form.name)),
            ..Done::once(Once::Link { name: form.name.into(), url })
        })
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
        let org = change.org();
        let token = store::users::invite(&mut change, id).await.known()?;
        change.commit().await.known()?;
        let url = format!("{}/join/{org}/{id}/{token}", cx.backend.public_url);
        Ok(Done::once(Once::Link { name: "them".to_owned(), url }))
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
        let mut change = cx.change(cx.permit(Act::EditUsers)?).await?;
        store::users::update(&mut change, id, version, &form).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Saved.").then(format!("/users/{id}")))
    })
    .await
}

/// Suspends a person, or lets them in again.
#[server(prefix = "/console", endpoint = "users/suspend")]
pub async fn suspend_user(id: String, #[server(default)] suspended: bool) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let id = read("id", &id)?;
        let mut change = cx.change(cx.permit(Act::EditUsers)?).await?;
        store::users::set_suspended(&mut change, id, suspended).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said(if suspended {
            "Suspended. Every secret of theirs is dead."
        } else {
            "They can sign in and call again."
        }))
    })
    .await
}
