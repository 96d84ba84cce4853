//! Signing in and out, and one's own sign-in.

use domain::users::SessionRow;
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

/// Signs out: the session is gone on the server. `next`: where to afterwards; empty: to sign in.
#[server(prefix = "/console", endpoint = "accounts/sign-out")]
pub async fn sign_out(#[server(default)] next: String) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        cx.session.flush().await.map_err(|error| AppError::Network(error.to_string()))?;
        let next = if next.starts_with("/join/") { next } else { "/sign-in".to_owned() };
        Ok(Done { go: Some(next), reload: true, ..Done::default() })
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

/// One's own sessions, the one that was seen last first.
#[server(prefix = "/console", endpoint = "accounts/sessions")]
pub async fn load_sessions() -> Result<Vec<SessionRow>, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::UseOwn)?;
        let me = permit.actor().user.ok_or(AppError::NotFound)?;
        let here = cx.session_id();
        store::sessions::of_user(&cx.store, permit.org(), me, here.as_ref().map(|id| id.as_slice()), true)
            .await
            .known()
    })
    .await
}

/// Ends a session of a person, or without one every session of theirs but the one that asks: one's
/// own, or as somebody who edits people.
#[server(prefix = "/console", endpoint = "accounts/end-session")]
pub async fn end_session(user: String, #[server(default)] session: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::UserId, roles::Act};
    handle(|cx| async move {
        let user: UserId = read("user", &user)?;
        let session = read_some("session", &session)?;
        let own = cx.actor()?.user == Some(user);
        let permit = cx.permit(if own { Act::UseOwn } else { Act::EditUsers })?;
        let here = cx.session_id();
        let mut change = cx.change(permit).await?;
        let here = here.as_ref().map(|id| id.as_slice());
        let ended = store::sessions::end(&mut change, user, session, here).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said(match ended {
            0 => "There was no other session.".to_owned(),
            1 => "1 session ended.".to_owned(),
            ended => format!("{ended} sessions ended."),
        })
        .then(if own { "/account".to_owned() } else { format!("/users/{user}") }))
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
