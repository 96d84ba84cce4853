//! Accepting an invitation.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// What an invitation says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Who is invited.
    pub name: String,
    /// Their address.
    pub email: String,
    /// Into what.
    pub organization: String,
    /// Whether the address has a sign-in already.
    pub known: bool,
}

/// An invitation that can still be accepted.
#[server(prefix = "/console", endpoint = "join/invitation")]
pub async fn load_invitation(org: String, user: String, token: String) -> Result<Invitation, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let (Ok(org), Ok(user)) = (org.parse(), user.parse()) else { return Err(AppError::NotFound) };
        let found = store::users::invitation(&cx.store, org, user, &token)
            .await
            .known()?
            .ok_or(AppError::NotFound)?;
        Ok(Invitation {
            name: found.name,
            email: found.email,
            organization: found.organization,
            known: found.known,
        })
    })
    .await
}

/// Accepts it, and signs in.
#[server(prefix = "/console", endpoint = "join/accept")]
pub async fn accept_invitation(
    org: String,
    user: String,
    token: String,
    name: String,
    password: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let (org, user): (domain::ids::OrgId, _) = (read("org", &org)?, read("user", &user)?);
        let account = store::users::accept(&cx.store, org, user, &token, &read("name", &name)?, password)
            .await
            .known()?;
        cx.sign_in(account).await?;
        cx.session.insert("org", org).await.map_err(|error| AppError::Network(error.to_string()))?;
        Ok(Done { go: Some("/".to_owned()), reload: true, ..Done::default() })
    })
    .await
}
