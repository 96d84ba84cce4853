//! Choosing another password when one forgot it.

use leptos::prelude::*;

use crate::{error::AppError, frame::Done};

/// Sends a link to whoever signs in with an address. The answer is the same where nobody does.
#[server(prefix = "/console", endpoint = "passwords/forgot")]
pub async fn forgot_password(email: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::names::Email;
    handle(|cx| async move {
        let email: Email = read("email", &email)?;
        if !cx.backend.mail {
            let sentence = format!(
                "No mail is set up here. Ask whoever runs this installation: “bursar password {email}” prints a link to choose another one with."
            );
            return Err(AppError::field("", sentence));
        }
        if !may_try(&format!("forgot {email}")) {
            return Err(AppError::field("", "Too many tries for this address. Wait a minute and try again."));
        }
        // Made while nobody waits: how long it takes would tell whether the address is known.
        let store = cx.store.clone();
        tokio::spawn(async move {
            if let Err(error) =
                store::password_resets::mail(&store, email.as_str(), store::clock::now()).await
            {
                tracing::warn!(%error, "a link to choose another password could not be sent");
            }
        });
        Ok(Done::said("If somebody signs in with this address, a link is on its way to it. It works once, for an hour."))
    })
    .await
}

/// The address whose password a link changes; none when it is wrong, used or too old.
#[server(prefix = "/console", endpoint = "passwords/link")]
pub async fn load_password_link(token: String) -> Result<Option<String>, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let email = store::password_resets::email(&cx.store, &token, store::clock::now()).await.known()?;
        if email.is_none() {
            answered_with(404);
        }
        Ok(email)
    })
    .await
}

/// Sets the password with a link.
#[server(prefix = "/console", endpoint = "passwords/reset")]
pub async fn reset_password(token: String, password: String, again: String) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        if password != again {
            return Err(AppError::field("again", "The two passwords differ."));
        }
        match store::password_resets::reset(&cx.store, &token, password, store::clock::now()).await {
            Err(store::StoreError::NotFound) => Err(AppError::field(
                "",
                "This link was used or has become too old meanwhile. Ask for another one.",
            )),
            outcome => {
                outcome.known()?;
                Ok(Done::said("Your password is changed, and every session has ended. Sign in with it.")
                    .then("/sign-in".to_owned()))
            }
        }
    })
    .await
}
