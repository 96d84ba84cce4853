//! The organization's settings.

use chrono::NaiveDate;
use domain::organizations::{Organization, Weight};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// Everything on the settings page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsView {
    /// The settings.
    pub organization: Organization,
    /// Groups that new users join: id and path.
    pub defaults: Vec<(String, String)>,
    /// Those that have ended, and that nobody joins any more: id, path and last day.
    pub defaults_over: Vec<(String, String, NaiveDate)>,
    /// Groups that they could join, too.
    pub groups: Vec<(String, String)>,
    /// Who could become its owner: id, and name with address.
    pub heirs: Vec<(String, String)>,
    /// What would go with it; none but for owners.
    pub weight: Option<Weight>,
}

/// The settings of the organization that is looked at. `find`: whom to look for as its next owner.
#[server(prefix = "/console", endpoint = "organizations/settings")]
pub async fn load_settings(#[server(default)] find: String) -> Result<SettingsView, AppError> {
    use crate::backend::*;
    use domain::{ids::GroupId, roles::Act};
    handle(|cx| async move {
        let permit = cx.permit(Act::ReadOrganization)?;
        let org = permit.org();
        let new = store::groups::defaults(&cx.store, org).await.known()?;
        let paths = store::groups::paths(&cx.store, org).await.known()?;
        let over = store::groups::defaults_over(&cx.store, org).await.known()?;
        let path = |id: GroupId| paths.iter().find(|(other, _)| *other == id).map(|(_, path)| path.clone());
        let defaults_over = over
            .into_iter()
            .filter_map(|over| Some((over.id.to_string(), path(over.id)?, over.ended_on)))
            .collect();
        let (defaults, others): (Vec<_>, Vec<_>) = paths.into_iter().partition(|(id, _)| new.contains(id));
        let lines = |list: Vec<(GroupId, String)>| {
            list.into_iter().map(|(id, path)| (id.to_string(), path)).collect()
        };
        let places = store::groups::places(&cx.store, org).await.known()?;
        let others = others.into_iter().filter(|(id, _)| places.iter().any(|(open, _)| open == id)).collect();
        let owner = cx.permit(Act::DeleteOrganization).is_ok();
        Ok(SettingsView {
            organization: store::organizations::get(&cx.store, org).await.known()?,
            defaults: lines(defaults),
            defaults_over,
            groups: lines(others),
            heirs: if owner { heirs::found(&cx, &find, permit.actor().user).await? } else { Vec::new() },
            weight: if owner {
                Some(store::organizations::weight(&cx.store, org).await.known()?)
            } else {
                None
            },
        })
    })
    .await
}

/// Changes them.
#[server(prefix = "/console", endpoint = "organizations/edit")]
pub async fn edit_organization(
    version: i64,
    name: String,
    time_zone: String,
    week_start: String,
    default_user_limit: String,
    budget_status: String,
    contact: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{names::Name, roles::Act};
    use store::organizations::Settings;
    handle(|cx| async move {
        let permit = cx.permit(Act::EditOrganization)?;
        let settings = Settings {
            name: read("name", &name)?,
            time_zone: time_zone.trim().to_owned(),
            week_start: read("week_start", &week_start)?,
            default_user_limit: read_some("default_user_limit", &default_user_limit)?,
            budget_status: read("budget_status", &budget_status)?,
            contact: read_some::<Name>("contact", &contact)?.map(String::from),
        };
        let before = store::organizations::get(&cx.store, permit.org()).await.known()?;
        let mut change = cx.change(permit).await?;
        store::organizations::update(&mut change, version, &settings).await.known()?;
        let saved = change.commit().await.known()?;
        Ok(Done::said("Settings saved.").undone_by(saved.then(|| ways_back::organization(&before))))
    })
    .await
}

/// Says what members may do by themselves.
#[server(prefix = "/console", endpoint = "organizations/self-service")]
pub async fn set_members_may(
    version: i64,
    #[server(default)] applications: bool,
    #[server(default)] requests: bool,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{organizations::MembersMay, roles::Act};
    handle(|cx| async move {
        let permit = cx.permit(Act::EditOrganization)?;
        let before = store::organizations::get(&cx.store, permit.org()).await.known()?;
        let mut change = cx.change(permit).await?;
        let may = MembersMay { applications, requests };
        store::organizations::set_members_may(&mut change, version, may).await.known()?;
        let saved = change.commit().await.known()?;
        Ok(Done::said("Settings saved.").undone_by(saved.then(|| ways_back::members_may(&before))))
    })
    .await
}

/// Makes somebody else an owner, and oneself what one says to be from then on. `typed` is the organization's
/// name.
#[server(prefix = "/console", endpoint = "organizations/hand-over")]
pub async fn hand_over_organization(
    user: String,
    then: String,
    #[server(default)] typed: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{roles::Act, users::Role};
    handle(|cx| async move {
        let (user, then) = (heirs::chosen("user", &user)?, read::<Role>("then", &then)?);
        let permit = cx.permit(Act::EditRoles)?;
        let organization = store::organizations::get(&cx.store, permit.org()).await.known()?;
        typed_out(&typed, &organization.name)?;
        let mut change = cx.change(permit).await?;
        store::users::hand_over_organization(&mut change, user, then).await.known()?;
        change.commit().await.known()?;
        let (name, _) = store::users::name(&cx.store, cx.org()?, user).await.known()?;
        // The settings are not for everybody they may be from now on.
        let go = match then {
            Role::Owner | Role::Admin => "/settings",
            Role::Auditor => "/",
            Role::Member => "/my-models",
        };
        Ok(said_anew(format!("{name} owns the organization now.")).then(go))
    })
    .await
}

/// Deletes the organization with everything in it. `typed` is its name.
#[server(prefix = "/console", endpoint = "organizations/delete")]
pub async fn delete_organization(#[server(default)] typed: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let change = cx.change(cx.permit(Act::DeleteOrganization)?).await?;
        store::organizations::delete(change, &typed).await.known()?;
        Ok(said_anew("The organization was deleted.".to_owned()).then("/"))
    })
    .await
}
