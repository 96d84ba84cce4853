//! Moments in the organization's time zone.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::time::ago;
use leptos::prelude::*;

use super::context::{frame, now};

/// A moment: `22 Nov 14:03`, whole on hover.
#[component]
pub fn When(
    /// Which.
    at: DateTime<Utc>,
) -> impl IntoView {
    let frame = frame();
    let text = frame.zone.brief(at, frame.now);
    let title = format!("{} {}", frame.zone.full(at), frame.zone.city());
    view! { <time class="num" datetime=at.to_rfc3339_opts(SecondsFormat::Secs, true) title=title>{text}</time> }
}

/// How long ago: `2 min ago`, the moment on hover.
#[component]
pub fn Ago(
    /// When; none: never.
    at: Option<DateTime<Utc>>,
    /// What is said when it never happened.
    #[prop(default = "never")]
    never: &'static str,
) -> impl IntoView {
    match at {
        None => view! { <span class="muted">{never}</span> }.into_any(),
        Some(at) => {
            let title = frame().zone.full(at);
            view! { <time class="num" datetime=at.to_rfc3339_opts(SecondsFormat::Secs, true) title=title>{ago(at, now())}</time> }.into_any()
        }
    }
}
