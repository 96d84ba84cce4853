//! Sessions of calls.

use domain::call_sessions::{CallSession, SessionView};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    error::AppError,
    filters::{Filters, Named},
};

/// A page of sessions, with what it is filtered by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// The latest first.
    pub sessions: Vec<CallSession>,
    /// Where the next page starts.
    pub next: Option<String>,
    /// The filters.
    pub named: Named,
}

/// Sessions, the latest first: of everything whoever asks may see, or of what is asked for. `label`: its
/// beginning.
#[server(prefix = "/console", endpoint = "sessions/list")]
pub async fn load_sessions(
    #[server(default)] filters: Filters,
    #[server(default)] label: String,
    #[server(default)] after: String,
) -> Result<Sessions, AppError> {
    use crate::backend::{call_sessions::*, *};
    const PAGE: i64 = 50;
    handle(|cx| async move {
        // Here nothing is left out.
        let filters = filters.with_everything();
        let which = which::asked(&cx, &filters).await?;
        let named = which::named(&cx, &filters, &which).await?;
        let (org, after) = (cx.org()?, read_after(&after));
        let list = store::call_sessions::list;
        let mut sessions =
            list(&cx.store, org, &which, label.trim(), None, after.as_ref(), PAGE + 1).await.known()?;
        let more = sessions.len() as i64 > PAGE;
        sessions.truncate(PAGE as usize);
        Ok(Sessions { next: sessions.last().filter(|_| more).map(write_after), sessions, named })
    })
    .await
}

/// One session with its calls.
#[server(prefix = "/console", endpoint = "sessions/get")]
pub async fn load_session(
    application: String,
    #[server(default)] user: String,
    label: String,
    #[server(default)] after: String,
) -> Result<SessionView, AppError> {
    use crate::backend::*;
    use domain::{call_sessions::SessionKey, ids::UserId};
    const PAGE: i64 = 100;
    handle(|cx| async move {
        let filters = Filters { application: application.clone(), ..Filters::default() };
        let which = which::which(&cx, &filters).await?;
        let key = SessionKey {
            application: application.parse().map_err(|_| AppError::NotFound)?,
            user: if user.is_empty() { UserId::NIL } else { user.parse().map_err(|_| AppError::NotFound)? },
            label,
        };
        let org = cx.org()?;
        let session = store::call_sessions::get(&cx.store, org, &which, &key).await.known()?;
        let after = store::calls::cursor(&after);
        let mut calls =
            store::call_sessions::calls(&cx.store, org, &session, after, PAGE + 1).await.known()?;
        let more = calls.len() as i64 > PAGE;
        calls.truncate(PAGE as usize);
        let next =
            calls.last().filter(|_| more).map(|call| format!("{}~{}", call.at.timestamp_micros(), call.id));
        Ok(SessionView { session, calls, next })
    })
    .await
}
