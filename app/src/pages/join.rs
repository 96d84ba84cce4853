//! Accepting an invitation.

use domain::time;
use leptos::{prelude::*, server_fn::ServerFn};

use super::param;
use crate::{
    api::{
        accounts::SignOut,
        join::{AcceptInvitation, Invitation, Invited, load_invitation},
    },
    ui::{
        Field, Form, Hidden, Load, Submit,
        context::frame,
        page::{Bare, Page},
        query,
    },
};

/// The page an invitation's link leads to.
#[component]
pub fn JoinPage() -> impl IntoView {
    let (org, user, token) = (param("org"), param("user"), param("token"));
    let invitation = load_invitation(org.clone(), user.clone(), token.clone());
    view! {
        <Page title="Invitation">
            <Bare>
                <Load data=invitation let(invited)>{match invited {
                    Invited::Open(invitation) => match somebody_else(&invitation) {
                        Some(me) => view! { <Whose me invitation/> }.into_any(),
                        None => view! { <Accept invitation org user token/> }.into_any(),
                    },
                    Invited::Used => view! {
                        <Spent title="This invitation was used" text="It works once, and somebody has joined with it. If that was you, sign in with your address. If it was not, tell whoever invited you.".to_owned()/>
                    }.into_any(),
                    Invited::Expired(until) => view! {
                        <Spent title="This invitation has expired" text=format!("It could be accepted until {}. Ask whoever invited you for a new one: “Invite again” makes it.", time::date(until.date_naive()))/>
                    }.into_any(),
                    Invited::Nothing => view! {
                        <Spent title="This link does not work" text="An invitation works once and for 14 days, and a newer one takes its place: look for the newest you have, and copy its link whole. If you have joined already, sign in. Otherwise ask whoever invited you for a new one.".to_owned()/>
                    }.into_any(),
                }}</Load>
            </Bare>
        </Page>
    }
}

/// Who is signed in here, where that is somebody else who has not said to go on.
fn somebody_else(invitation: &Invitation) -> Option<String> {
    let me = frame().me.clone()?;
    let other = !me.email.eq_ignore_ascii_case(&invitation.email);
    (other && !instead()).then_some(me.name)
}

/// Whether whoever is signed in has said that somebody else goes on.
fn instead() -> bool {
    query::value("instead") == "1"
}

/// Asks whoever is signed in before somebody else is.
#[component]
fn Whose(me: String, invitation: Invitation) -> impl IntoView {
    view! {
        <section class="card pad narrow">
            <h1>{format!("Join {}", invitation.organization)}</h1>
            <p class="muted">{format!("This invitation is for {} ({}). You are signed in here as {me}: sign out first, or go on as {}, and {me} is signed out.", invitation.name, invitation.email, invitation.name)}</p>
            <div class="row end">
                <Form to=SignOut::PATH class="inline"><Hidden name="next" value=query::href(&[("instead", None)])/><Submit label="Sign out" look=""/></Form>
                <a class="btn go" href=query::href(&[("instead", Some("1"))]) rel="external">{format!("Go on as {}", invitation.name)}</a>
            </div>
        </section>
    }
}

/// What became of it, and what to do.
#[component]
fn Spent(title: &'static str, text: String) -> impl IntoView {
    view! {
        <section class="card pad narrow state" role="alert">
            <h1>{title}</h1>
            <p class="muted">{text}</p>
            <a class="btn go" href="/sign-in" rel="external">"Sign in"</a>
        </section>
    }
}

#[component]
fn Accept(invitation: Invitation, org: String, user: String, token: String) -> impl IntoView {
    view! {
        <section class="card pad narrow">
            <h1>{format!("Join {}", invitation.organization)}</h1>
            <p class="muted">{if invitation.known {
                format!("{} has a sign-in here already. Enter its password to join.", invitation.email)
            } else {
                format!("You will sign in as {}.", invitation.email)
            }}</p>
            <Form to=AcceptInvitation::PATH>
                <Hidden name="org" value=org/>
                <Hidden name="user" value=user/>
                <Hidden name="token" value=token/>
                {instead().then(|| view! { <Hidden name="instead" value="true"/> })}
                <Field name="name" label="Your name" value=invitation.name.clone() autocomplete="name"/>
                {if invitation.known {
                    view! { <Field name="password" label="Password" kind="password" autocomplete="current-password"/> }.into_any()
                } else {
                    view! { <Field name="password" label="Choose a password" kind="password" autocomplete="new-password" hint="At least 12 characters. A short sentence is a good password."/> }.into_any()
                }}
                <div class="row end"><Submit label="Join"/></div>
            </Form>
        </section>
    }
}
