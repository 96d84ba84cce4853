//! The frame of a page: navigation, head, cards.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::components::{Outlet, Redirect};

use super::{brush::Brush, context::frame, live::Live, nav::Nav, toast::Toasts, visit::Visits};

/// The console around a page, for people who are signed in and belong to an organization.
#[component]
pub fn Layout() -> impl IntoView {
    let frame = frame();
    let (notice, undo) = (frame.notice.clone(), frame.undo.clone());
    let org = frame.here().map(|here| here.org.to_string());
    let whose = frame.here().map(|here| format!("{} {}", here.org, here.user)).unwrap_or_default();
    match &frame.me {
        None if frame.fresh => view! { <Redirect path="/setup"/> }.into_any(),
        None => view! { <SignInFirst/> }.into_any(),
        Some(me) if me.here.is_none() => view! { <NowhereYet operator=me.operator/> }.into_any(),
        Some(_) => view! {
            <a class="skip" href="#main">"Skip to content"</a>
            <div class="app" data-org=org>
                <Nav/>
                <main id="main" tabindex="-1"><Outlet/></main>
            </div>
            <Toasts first=notice back=undo/>
            <Visits/>
            <Brush/>
            <Live since=frame.now.timestamp_millis() whose/>
        }
        .into_any(),
    }
}

/// Sends people who are not signed in to the sign-in page, and back afterwards.
#[component]
fn SignInFirst() -> AnyView {
    let location = leptos_router::hooks::use_location();
    let here = format!(
        "{}{}",
        location.pathname.get_untracked(),
        location.search.with_untracked(|search| match search.as_str() {
            "" => String::new(),
            search => format!("?{search}"),
        })
    );
    let next = if here == "/" { String::new() } else { format!("?next={}", super::query::encoded(&here)) };
    view! { <Redirect path=format!("/sign-in{next}")/> }.into_any()
}

/// Somebody who belongs to no organization.
#[component]
fn NowhereYet(operator: bool) -> AnyView {
    if operator {
        return view! { <Redirect path="/welcome/organization"/> }.into_any();
    }
    view! {
        <Bare>
            <section class="card pad">
                <h1>"You belong to no organization"</h1>
                <p class="muted">"You were suspended or removed, or the organization is gone. Ask an admin to invite you again."</p>
                <super::form::Form to="/console/accounts/sign-out"><super::form::Submit label="Sign out"/></super::form::Form>
            </section>
        </Bare>
    }
    .into_any()
}

/// A page without navigation: first steps, sign-in.
#[component]
pub fn Bare(children: Children) -> impl IntoView {
    view! {
        <div class="bare">
            <header class="brand"><super::nav::Mark/>"Bursar"</header>
            <main id="main" tabindex="-1">{children()}</main>
        </div>
    }
}

/// A page: its title for the tab, and its content.
#[component]
pub fn Page(
    /// What the tab says.
    #[prop(into)]
    title: String,
    /// Whether it is looked at again when something is booked.
    #[prop(optional)]
    live: bool,
    /// Whether it is also looked at again when something happens to calls in flight.
    #[prop(optional)]
    running: bool,
    children: Children,
) -> impl IntoView {
    view! {
        <Title text=title/>
        {live.then(|| view! { <span hidden="" data-live="" data-running=running.then_some("")></span> })}
        {children()}
    }
}

/// The head of a page: where it is, what it is called, what can be done.
#[component]
pub fn Head(
    /// What it is called.
    #[prop(into)]
    title: String,
    /// Beside the title, in small.
    #[prop(optional, into)]
    note: String,
    /// Where it is: address and name, from far to near.
    #[prop(optional)]
    crumbs: Vec<(String, String)>,
    /// What can be done.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let crumbs = (!crumbs.is_empty()).then(|| {
        let parts =
            crumbs.into_iter().map(|(href, name)| view! { <li><a href=href>{name}</a></li> }).collect_view();
        view! { <nav class="crumbs" aria-label="Where this is"><ol>{parts}</ol></nav> }
    });
    view! {
        {crumbs}
        <div class="head">
            <h1>{title}{(!note.is_empty()).then(|| view! { <span class="note num">{note}</span> })}</h1>
            {children.map(|children| view! { <div class="row actions">{children()}</div> })}
        </div>
    }
}

/// A card with a title.
#[component]
pub fn Card(
    /// Its title.
    #[prop(optional, into)]
    title: String,
    /// Beside the title, in small.
    #[prop(optional, into)]
    note: String,
    /// More of its look.
    #[prop(optional, into)]
    class: String,
    /// What can be done.
    #[prop(optional)]
    actions: Option<ViewFn>,
    children: Children,
) -> impl IntoView {
    let head = (!title.is_empty()).then(|| {
        let note = (!note.is_empty()).then(|| view! { <span class="muted">{note}</span> });
        let actions = actions.map(|actions| view! { <div class="row">{actions.run()}</div> });
        view! { <header><h2>{title}</h2>{note}{actions}</header> }
    });
    view! { <section class=format!("card {class}")>{head}{children()}</section> }
}
