//! The navigation on the left: what people come for, with counts beside the nouns.

use domain::{money::grouped, roles::Act};
use leptos::prelude::*;
use leptos_router::hooks::use_location;

use super::{
    context::frame,
    form::{Form, Hidden},
    load::waited,
};
use crate::{
    api::{
        frame::{Counts, load_counts},
        notices::load_unread,
        requests::load_waiting,
    },
    frame::{Frame, Theme},
};

/// One place to go.
struct Place {
    href: &'static str,
    name: &'static str,
    /// Which count stands beside it.
    count: Option<Count>,
}

#[derive(Clone, Copy)]
enum Count {
    Users,
    Groups,
    Applications,
    Reviews,
    Requests,
    Access,
}

const fn place(href: &'static str, name: &'static str) -> Place {
    Place { href, name, count: None }
}

const fn counted(href: &'static str, name: &'static str, count: Count) -> Place {
    Place { href, name, count: Some(count) }
}

/// Where somebody can go. Members see a short list that starts with what they come for.
fn places(frame: &Frame) -> Vec<(&'static str, Vec<Place>)> {
    let Some(here) = frame.here() else { return Vec::new() };
    if frame.may(Act::ReadOrganization) {
        let review =
            frame.may(Act::EditCatalogue).then(|| counted("/models/review", "Review", Count::Reviews));
        return vec![
            ("", vec![place("/", "Overview"), place("/my-models", "My models")]),
            (
                "People",
                vec![
                    counted("/users", "Users", Count::Users),
                    counted("/groups", "Groups", Count::Groups),
                    counted("/reviews", "Access reviews", Count::Access),
                ],
            ),
            (
                "Access",
                [
                    place("/authorization", "Authorization"),
                    counted("/requests", "Requests", Count::Requests),
                    place("/models", "Models"),
                ]
                .into_iter()
                .chain(review)
                .chain([place("/providers", "Providers"), place("/policies", "Policies")])
                .collect(),
            ),
            (
                "Programs",
                vec![counted("/applications", "Applications", Count::Applications), place("/calls", "Calls")],
            ),
            (
                "Money",
                vec![
                    place("/spend", "Spend"),
                    place("/explore", "Explore"),
                    place("/limits", "Limits"),
                    place("/alerts", "Alerts"),
                    place("/recommendations", "Recommendations"),
                    place("/reports", "Reports"),
                ],
            ),
            ("Organization", vec![place("/audit", "Audit"), place("/settings", "Settings")]),
        ];
    }
    let mut own = vec![place("/my-models", "My models")];
    if here.leads.is_empty() {
        own.push(place("/requests", "My requests"));
    }
    own.extend([place("/spend/me", "My spend"), place("/calls", "My calls")]);
    if here.leads.is_empty() {
        own.push(place("/explore", "Explore"));
    }
    let mut places = vec![("", own)];
    if !here.leads.is_empty() {
        places.push((
            "Groups I lead",
            vec![
                place("/groups", "Groups"),
                counted("/reviews", "Access reviews", Count::Access),
                counted("/requests", "Requests", Count::Requests),
                place("/authorization", "Authorization"),
                place("/applications", "Applications"),
                place("/spend", "Spend"),
                place("/explore", "Explore"),
                place("/alerts", "Alerts"),
                place("/recommendations", "Recommendations"),
            ],
        ));
    }
    places
}

/// The navigation.
#[component]
pub fn Nav() -> impl IntoView {
    let frame = frame();
    let path = use_location().pathname.get_untracked();
    waited(async move {
        let all = frame.may(Act::ReadOrganization);
        let counts = if all { load_counts().await.ok() } else { load_waiting().await.ok() };
        let unread = load_unread().await.unwrap_or_default();
        let here = frame.here().map(|here| here.org_name.clone()).unwrap_or_default();
        let bell = bell(unread, path == "/notices");
        let sections = places(&frame)
            .into_iter()
            .map(|(head, places)| {
                let links =
                    places.into_iter().map(|place| link(place, &path, counts.as_ref(), all)).collect_view();
                view! { {(!head.is_empty()).then(|| view! { <h2>{head}</h2> })}<ul>{links}</ul> }
            })
            .collect_view();
        view! {
            <nav class="nav" aria-label="Main">
                // On a phone the navigation is folded, with script or without.
                <input type="checkbox" id="nav-toggle" class="nav-toggle" aria-label="Show the navigation"/>
                <div class="brand">
                    <Mark/><span class="org">{here}</span>{bell}
                    <label for="nav-toggle" class="btn small nav-button">"Menu"</label>
                </div>
                <div class="nav-list">{sections}<Me/></div>
            </nav>
        }
    })
}

/// How many notices are unread, and the way to them.
fn bell(unread: i64, inside: bool) -> impl IntoView {
    let count = (unread > 0).then(|| {
        let text = if unread > 99 { "99+".to_owned() } else { unread.to_string() };
        view! { <span class="pill num">{text}<span class="sr">" unread"</span></span> }
    });
    view! {
        <a class="bell" href="/notices" title="Notices" aria-current=inside.then_some("page")>
            <svg viewBox="0 0 20 20" width="18" height="18" fill="none" aria-hidden="true">
                <path class="bell-line" d="M10 3.2a4.6 4.6 0 0 0-4.6 4.6c0 3.9-1.6 5-1.6 5h12.4s-1.6-1.1-1.6-5A4.6 4.6 0 0 0 10 3.2zM8.4 15.6a1.7 1.7 0 0 0 3.2 0" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round"/>
            </svg>
            <span class="sr">"Notices"</span>{count}
        </a>
    }
}

/// `all`: whoever asks reads the organization.
fn link(place: Place, path: &str, counts: Option<&Counts>, all: bool) -> impl IntoView + use<> {
    let Place { href, name, count } = place;
    // The inbox stands under the models and has a place of its own, and so has what one spent oneself.
    let elsewhere = match (href, path) {
        ("/models", "/models/review") => true,
        ("/spend", "/spend/me") => !all,
        _ => false,
    };
    // Pages that are reached from a place, and have an address of their own.
    let reached = match href {
        "/calls" => path.starts_with("/sessions"),
        "/reports" => path.starts_with("/invoices"),
        "/alerts" => path.starts_with("/webhooks/"),
        _ => false,
    };
    let inside = path == href
        || reached
        || (href != "/" && !elsewhere && path.strip_prefix(href).is_some_and(|rest| rest.starts_with('/')));
    let beside = count.zip(counts).and_then(|(count, counts)| beside(count, counts));
    view! { <li><a href=href aria-current=inside.then_some("page")><span>{name}</span>{beside}</a></li> }
}

fn beside(count: Count, counts: &Counts) -> Option<AnyView> {
    let number = match count {
        Count::Users => counts.users,
        Count::Groups => counts.groups,
        Count::Applications => counts.applications,
        Count::Reviews => counts.reviews,
        Count::Requests => counts.requests,
        Count::Access => counts.access,
    };
    let text = grouped(number.unsigned_abs());
    match count {
        Count::Reviews | Count::Requests | Count::Access if number == 0 => None,
        Count::Reviews => Some(
            view! { <span class="pill num">{text}<span class="sr">" waiting for review"</span></span> }
                .into_any(),
        ),
        Count::Access => Some(
            view! { <span class="pill num">{text}<span class="sr">" with lines that wait"</span></span> }
                .into_any(),
        ),
        Count::Requests => Some(
            view! { <span class="pill num">{text}<span class="sr">" waiting for you"</span></span> }
                .into_any(),
        ),
        _ => Some(view! { <span class="count num">{text}</span> }.into_any()),
    }
}

/// Who I am: account, other organizations, look, sign-out.
#[component]
fn Me() -> impl IntoView {
    let frame = frame();
    let (me, theme) = (frame.me.clone(), frame.theme);
    let me = me.map(|me| {
        let current = me.here.as_ref().map(|here| here.org);
        let others = me.organizations.iter().filter(|(id, _)| Some(*id) != current).cloned().collect::<Vec<_>>();
        let switches = others
            .into_iter()
            .map(|(id, name)| view! {
                <Form to="/console/accounts/enter" class="inline"><Hidden name="org" value=id.to_string()/><button class="link">{format!("Go to {name}")}</button></Form>
            })
            .collect_view();
        let looks = [(Theme::System, "System"), (Theme::Light, "Light"), (Theme::Dark, "Dark")]
            .into_iter()
            .map(|(look, name)| view! {
                <button name="theme" value=look.as_str() aria-pressed=if look == theme { "true" } else { "false" }>{name}</button>
            })
            .collect_view();
        view! {
            <div class="me">
                <a href="/account" class="who"><b>{me.name}</b><span class="muted">{me.email}</span></a>
                {switches}
                <Form to="/console/theme" class="inline"><div class="seg" role="group" aria-label="Look">{looks}</div></Form>
                <Form to="/console/accounts/sign-out" class="inline"><button class="link">"Sign out"</button></Form>
            </div>
        }
    });
    view! { {me} }
}

/// The mark: a B like a ledger's clasp.
#[component]
pub fn Mark() -> impl IntoView {
    view! {
        <svg class="mark" viewBox="0 0 20 20" width="20" height="20" fill="none" aria-hidden="true">
            <rect class="mark-back" x="1" y="1" width="18" height="18" rx="5"/>
            <path class="mark-letter" d="M6 5.2h5.2a2.3 2.3 0 0 1 0 4.7H6zM6 9.9h5.9a2.5 2.5 0 0 1 0 4.9H6z" stroke-width="1.7"/>
        </svg>
    }
}
