//! Accepting an invitation.

use chrono::{DateTime, Utc};
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

/// What an invitation's link leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Invited {
    /// An invitation that can be accepted.
    Open(Invitation),
    /// One that was accepted.
    Used,
    /// One that could be accepted until then.
    Expired(DateTime<Utc>),
    /// None that anybody here made, or a newer one took its place: nobody is told which.
    Nothing,
}

/// The invitation of a link, or what became of it.
#[server(prefix = "/console", endpoint = "join/invitation")]
pub async fn load_invitation(org: String, user: String, token: String) -> Result<Invited, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let (Ok(org), Ok(user)) = (org.parse(), user.parse()) else {
            answered_with(404);
            return Ok(Invited::Nothing);
        };
        if let Some(found) = store::users::invitation(&cx.store, org, user, &token).await.known()? {
            return Ok(Invited::Open(Invitation {
                name: found.name,
                email: found.email,
                organization: found.organization,
                known: found.known,
            }));
        }
        let spent = store::users::spent_invitation(&cx.store, org, user, &token).await.known()?;
        answered_with(if spent.is_some() { 410 } else { 404 });
        Ok(match spent {
            Some(store::users::Spent::Used) => Invited::Used,
            Some(store::users::Spent::Expired(until)) => Invited::Expired(until),
            None => Invited::Nothing,
        })
    })
    .await
}

/// Accepts it, and signs in. `instead`: of somebody else who is signed in here.
#[server(prefix = "/console", endpoint = "join/accept")]
pub async fn accept_invitation(
    org: String,
    user: String,
    token: String,
    name: String,
    password: String,
    #[server(default)] instead: bool,
) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let (org, user): (domain::ids::OrgId, _) = (read("org", &org)?, read("user", &user)?);
        if let Some(who) = cx.who.as_ref().filter(|_| !instead) {
            // Somebody has signed in here since the page was made, or the page was not asked.
            let invited = store::users::invitation(&cx.store, org, user, &token).await.known()?;
            if invited.is_some_and(|invited| !invited.email.eq_ignore_ascii_case(&who.account.email)) {
                let sentence = format!("You are signed in as {}. Load this page again to sign out, or to go on instead.", who.account.name);
                return Err(AppError::field("", sentence));
            }
        }
        let asked = cx.request.as_ref().map(|asked| (asked.id.as_str(), asked.address.as_deref()));
        let name = read("name", &name)?;
        let accepted = store::users::accept(&cx.store, org, user, &token, &name, password, asked).await;
        // It was used, or its time came, while the form stood there.
        if matches!(accepted, Err(store::StoreError::NotFound))
            && store::users::spent_invitation(&cx.store, org, user, &token).await.known()?.is_some()
        {
            return Err(AppError::field(
                "",
                "This invitation was used or has expired meanwhile. Sign in if you have joined, or ask for a new one.",
            ));
        }
        let account = accepted.known()?;
        cx.sign_in(account).await?;
        cx.session.insert("org", org).await.map_err(|error| AppError::Network(error.to_string()))?;
        Ok(Done { go: Some("/".to_owned()), reload: true, ..Done::default() })
    })
    .await
}
