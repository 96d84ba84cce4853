//! Notices: what somebody was told, and which kinds they have by mail too.

use domain::{
    ids::NoticeId,
    notices::{Notice, NoticeKind},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// A page of notices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notices {
    /// The newest first.
    pub notices: Vec<Notice>,
    /// How many are unread in all.
    pub unread: i64,
    /// Where the next page starts.
    pub next: Option<NoticeId>,
}

/// One's own notices. `show`: `all`, or empty for those that are unread.
#[server(prefix = "/console", endpoint = "notices/list")]
pub async fn load_notices(show: String, after: String) -> Result<Notices, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    // How many a page lists.
    const PAGE: i64 = 50;
    handle(|cx| async move {
        let permit = cx.permit(Act::UseOwn)?;
        let (unread, after) = (show != "all", read_some("after", &after)?);
        let mut notices = store::notices::list(&cx.store, &permit, unread, after, PAGE + 1).await.known()?;
        let more = notices.len() as i64 > PAGE;
        notices.truncate(PAGE as usize);
        Ok(Notices {
            next: notices.last().filter(|_| more).map(|notice| notice.id),
            unread: store::notices::unread(&cx.store, &permit).await.known()?,
            notices,
        })
    })
    .await
}

/// How many of one's own notices are unread.
#[server(prefix = "/console", endpoint = "notices/unread")]
pub async fn load_unread() -> Result<i64, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move { store::notices::unread(&cx.store, &cx.permit(Act::UseOwn)?).await.known() })
        .await
}

/// Marks one as read.
#[server(prefix = "/console", endpoint = "notices/read")]
pub async fn read_notice(id: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::UseOwn)?;
        store::notices::read(&cx.store, &permit, read("id", &id)?, store::clock::now()).await.known()?;
        Ok(Done::said("Marked as read."))
    })
    .await
}

/// Marks all as read, up to the newest that was shown.
#[server(prefix = "/console", endpoint = "notices/read-all")]
pub async fn read_notices(up_to: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::UseOwn)?;
        let up_to = read("up_to", &up_to)?;
        let count = store::notices::read_all(&cx.store, &permit, up_to, store::clock::now()).await.known()?;
        Ok(Done::said(match count {
            1 => "1 marked as read.".to_owned(),
            count => format!("{count} marked as read."),
        }))
    })
    .await
}

/// Which kinds come by mail, and whether any mail is sent at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preferences {
    /// Those that can reach whoever asks.
    pub kinds: Vec<NoticeKind>,
    /// Those that come by mail, too.
    pub by_mail: Vec<NoticeKind>,
    /// Whether mail is set up on this server.
    pub mail: bool,
}

/// Which kinds one has by mail.
#[server(prefix = "/console", endpoint = "notices/preferences")]
pub async fn load_preferences() -> Result<Preferences, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let by_mail = store::notices::by_mail(&cx.store, &cx.permit(Act::UseOwn)?).await.known()?;
        let me = cx.actor()?;
        let reaches = |kind: &NoticeKind| kind.reaches(me.role, !me.leads.is_empty());
        let kinds = NoticeKind::ALL.iter().copied().filter(reaches).collect();
        Ok(Preferences { kinds, by_mail, mail: cx.backend.mail })
    })
    .await
}

/// Chooses which kinds one has by mail.
#[server(prefix = "/console", endpoint = "notices/prefer")]
pub async fn set_preferences(#[server(default)] kinds: Vec<String>) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let kinds = kinds.iter().map(|kind| read("kinds", kind)).collect::<Result<Vec<NoticeKind>, _>>()?;
        let mut change = cx.change(cx.permit(Act::UseOwn)?).await?;
        store::notices::prefer(&mut change, &kinds).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Saved. The console shows all of them as before."))
    })
    .await
}
