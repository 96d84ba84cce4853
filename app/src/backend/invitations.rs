//! How an invitation reaches whom it is for: by mail, or where none is set up as a link that is shown
//! once.

use domain::ids::UserId;
use store::Change;

use super::{AppError, Cx, Done, Known, Once};

/// Where an invitation goes.
pub enum Way {
    /// By mail: nobody else sees the link.
    Mail,
    /// Shown to whoever invites, to be handed over.
    Link(String),
}

/// Sends the invitation that was made in this change, or makes a link of it.
///
/// # Errors
/// When the database does not answer.
pub async fn hand_over(cx: &Cx, change: &mut Change, id: UserId, token: &str) -> Result<Way, AppError> {
    if cx.backend.mail {
        store::users::mail_invitation(change, id, token).await.known()?;
        return Ok(Way::Mail);
    }
    Ok(Way::Link(format!("{}/join/{}/{id}/{token}", cx.backend.public_url, change.org())))
}

impl Way {
    /// What is said about it.
    pub fn done(self, notice: Option<String>, name: &str, email: &str) -> Done {
        match self {
            Self::Mail => {
                let sent = format!("The invitation is on its way to {email}.");
                Done::said(notice.map_or_else(|| sent.clone(), |notice| format!("{notice} {sent}")))
            }
            Self::Link(url) => Done { notice, ..Done::once(Once::Link { name: name.to_owned(), url }) },
        }
    }
}
