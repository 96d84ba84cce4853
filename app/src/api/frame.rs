//! What every page stands in, and what belongs to no noun: theme and counts.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    error::AppError,
    frame::{Done, Frame},
};

/// Who is looking, and where.
#[server(prefix = "/console", endpoint = "frame")]
pub async fn load_frame() -> Result<Frame, AppError> {
    use crate::{
        backend::*,
        frame::{Flash, Here, Me, Theme, WayBack},
    };
    use chrono::Duration;
    use domain::time::Zone;
    handle(|cx| async move {
        let now = store::clock::now();
        let headers = headers();
        let me = cx.who.as_ref().map(|who| Me {
            name: who.actor.as_ref().map_or_else(|| who.account.name.clone(), |actor| actor.name.clone()),
            email: who.account.email.clone(),
            operator: who.account.operator,
            here: who.actor.as_ref().and_then(|actor| {
                let (org, org_name) = who.organizations.iter().find(|(id, _)| *id == actor.org)?.clone();
                Some(Here { org, org_name, user: actor.user?, role: actor.role, leads: actor.leads.clone() })
            }),
            organizations: who.organizations.clone(),
        });
        let zone = match me.as_ref().and_then(|me| me.here.as_ref()) {
            Some(_) => {
                let zone = cx.calendar().await?.zone;
                Zone::of(zone, now - Duration::days(800), now + Duration::days(800))
            }
            None => Zone::utc(),
        };
        let left = |name| {
            let text = cookie(&headers, name)?;
            percent_encoding::percent_decode_str(&text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
        };
        let notice = left("bursar_notice");
        let undo = left("bursar_undo").and_then(|text| serde_json::from_str::<WayBack>(&text).ok());
        // It is a form of this console, whoever wrote the cookie.
        let undo = undo.filter(|back| back.to.starts_with("/console/"));
        let fresh = me.is_none() && !store::installation::is_set_up(&cx.store).await.known()?;
        Ok(Frame {
            me,
            fresh,
            now,
            zone,
            theme: cookie(&headers, "bursar_theme").map_or(Theme::System, |text| Theme::from_text(&text)),
            public_url: cx.backend.public_url,
            flash: use_context::<Flash>(),
            notice,
            undo,
        })
    })
    .await
}

/// Numbers beside the nouns of the navigation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// People.
    pub users: i64,
    /// Groups.
    pub groups: i64,
    /// Applications.
    pub applications: i64,
    /// Models that wait for review.
    pub reviews: i64,
    /// Requests that wait for whoever looks.
    pub requests: i64,
    /// Access reviews in which they can decide on lines that wait.
    pub access: i64,
}

/// Numbers beside the nouns of the navigation.
#[server(prefix = "/console", endpoint = "counts")]
pub async fn load_counts() -> Result<Counts, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::ReadOrganization)?;
        let census = store::census::current(&cx.store, permit.org()).await.known()?;
        let store::census::Whole { users, groups, applications, reviews } = census.whole;
        let (requests, access) = (inbox::waiting(&cx).await?, inbox::reviews(&cx).await?);
        Ok(Counts { users, groups, applications, reviews, requests, access })
    })
    .await
}

/// Keeps how the console looks in a cookie, so that the next page is right in its first byte.
#[server(prefix = "/console", endpoint = "theme")]
pub async fn set_theme(theme: String) -> Result<Done, AppError> {
    use crate::{backend::*, frame::Theme};
    use axum::http::{HeaderValue, header};
    handle(|_| async move {
        let theme = Theme::from_text(&theme);
        let cookie =
            format!("bursar_theme={}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly", theme.as_str());
        if let (Some(options), Ok(value)) =
            (use_context::<leptos_axum::ResponseOptions>(), HeaderValue::from_str(&cookie))
        {
            options.append_header(header::SET_COOKIE, value);
        }
        Ok(Done { reload: true, ..Done::default() })
    })
    .await
}

/// What is at an address where nothing is: so that the answer's status says so too.
#[server(prefix = "/console", endpoint = "nothing")]
pub async fn load_nothing() -> Result<(), AppError> {
    use crate::backend::*;
    handle(|_| async move { Err(AppError::NotFound) }).await
}
