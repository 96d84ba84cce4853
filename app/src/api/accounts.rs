//! Signing in and out, and one's own sign-in.

use leptos::prelude::*;

use crate::{error::AppError, frame::Done};

/// Signs in with address and password.
#[server(prefix = "/console", endpoint = "accounts/sign-in")]
pub async fn sign_in(
    email: String,
    password: String,
    #[server(default)] next: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let wrong =
            || AppError::field("", "Address and password do not belong together. Check both and try again.");
        if !crate::backend::may_try(&email) {
            return Err(AppError::field("", "Too many tries for this address. Wait a minute and try again."));
        }
        let account =
            store::accounts::by_password(&cx.store, &email, password).await.known()?.ok_or_else(wrong)?;
        cx.sign_in(account.id).await?;
        // Only pages of this console: an address of elsewhere would make the sign-in a stepping stone.
        let next = if next.starts_with('/') && !next.starts_with("//") && !next.contains('\\') {
            next
        } else {
            "/".to_owned()
        };
        Ok(Done { go: Some(next), reload: true, ..Done::default() })
    })
    .await
}

/// Signs out: the session is gone on the server.
#[server(prefix = "/console", endpoint = "accounts/sign-out")]
pub async fn sign_out() -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        cx.session.flush().await.map_err(|error| AppError::Network(error.to_string()))?;
        Ok(Done { go: Some("/sign-in".to_owned()), reload: true, ..Done::default() })
    })
    .await
}

/// Changes one's own password; every other session of the account ends.
#[server(prefix = "/console", endpoint = "accounts/password")]
pub async fn change_password(current: String, password: String, again: String) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let account = cx.who()?.account.id;
        if password != again {
            return Err(AppError::field("again", "The two passwords differ."));
        }
        let id = cx.session.id().ok_or(AppError::SignedOut)?;
        let hash = store::sessions::hash(&cx.store, &id.0.to_be_bytes());
        store::accounts::change_password(&cx.store, account, current, password, &hash).await.known()?;
        Ok(Done::said("Password changed. Other sessions were signed out."))
    })
    .await
}

/// Looks at another organization from now on.
#[server(prefix = "/console", endpoint = "accounts/enter")]
pub async fn enter_organization(org: String) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        cx.enter(read("org", &org)?).await?;
        Ok(Done { go: Some("/".to_owned()), reload: true, ..Done::default() })
    })
    .await
}
