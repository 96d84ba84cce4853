//! Small marks beside names. Colour never stands alone: a word or a shape says it too.

use domain::{authorizations::State, users::UserStatus};
use leptos::prelude::*;

/// What a badge means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A plain fact.
    #[default]
    Plain,
    /// Fine.
    Good,
    /// Near, pending.
    Warn,
    /// Over, dangerous.
    Bad,
    /// Comes from elsewhere: its text says so, too.
    Inherited,
}

impl Kind {
    const fn class(self) -> &'static str {
        match self {
            Self::Plain => "badge",
            Self::Good => "badge good",
            Self::Warn => "badge warn",
            Self::Bad => "badge bad",
            Self::Inherited => "badge inh",
        }
    }
}

/// A badge.
#[component]
pub fn Badge(
    /// What it says.
    #[prop(into)]
    text: String,
    /// What it means.
    #[prop(optional)]
    kind: Kind,
    /// Where it leads.
    #[prop(optional, into)]
    href: String,
) -> impl IntoView {
    if href.is_empty() {
        view! { <span class=kind.class()>{text}</span> }.into_any()
    } else {
        view! { <a class=kind.class() href=href>{text}</a> }.into_any()
    }
}

/// Open, by request, closed: shape, word and colour.
#[component]
pub fn StateMark(
    /// Which.
    state: State,
    /// Faded: it comes from above.
    #[prop(optional)]
    inherited: bool,
) -> impl IntoView {
    let (shape, class) = match state {
        State::Open => ("●", "open"),
        State::ByRequest => ("◐", "ask"),
        State::Closed => ("○", "shut"),
    };
    view! {
        <span class=format!("cell {class}{}", if inherited { " inh" } else { "" })>
            <span aria-hidden="true">{shape}</span>{state.label()}
        </span>
    }
}

/// Where a person stands.
#[component]
pub fn StatusMark(
    /// Which.
    status: UserStatus,
) -> impl IntoView {
    let (class, text) = match status {
        UserStatus::Active => ("dot", "Active"),
        UserStatus::Inactive => ("dot off", "Inactive"),
        UserStatus::Invited => ("dot wait", "Invited"),
        UserStatus::Suspended => ("dot bad", "Suspended"),
    };
    view! { <span class="status"><i class=class aria-hidden="true"></i>{text}</span> }
}
