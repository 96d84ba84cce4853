//! Who holds which role. What a role may do is said by `domain::roles` alone.

use domain::{ids::UserId, users::Role};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::AppError;

/// Who holds a role: how many, and the first of them by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holders {
    /// Which role.
    pub role: Role,
    /// How many.
    pub count: i64,
    /// Some of them.
    pub first: Vec<(UserId, String)>,
}

/// Everything on the page of roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolesView {
    /// Who holds which; empty for those who do not see the whole organization.
    pub holders: Vec<Holders>,
    /// How many people lead a group.
    pub leads: i64,
}

/// Who holds which role.
#[server(prefix = "/console", endpoint = "roles")]
pub async fn load_roles() -> Result<RolesView, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        // The matrix is no secret; who holds which role is for those who see everybody.
        let own = cx.permit(Act::UseOwn)?;
        if cx.permit(Act::ReadOrganization).is_err() {
            return Ok(RolesView::default());
        }
        let holders = store::users::by_role(&cx.store, own.org()).await.known()?;
        Ok(RolesView {
            holders: holders.into_iter().map(|(role, count, first)| Holders { role, count, first }).collect(),
            leads: store::leads::count(&cx.store, own.org()).await.known()?,
        })
    })
    .await
}
