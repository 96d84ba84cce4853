//! Accepting an invitation.

use leptos::{prelude::*, server_fn::ServerFn};

use super::param;
use crate::{
    api::join::{AcceptInvitation, load_invitation},
    ui::{
        Field, Form, Hidden, Load, Submit,
        page::{Bare, Page},
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
                <Load data=invitation let(invitation)>
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
                            <Field name="name" label="Your name" value=invitation.name.clone() autocomplete="name"/>
                            {if invitation.known {
                                view! { <Field name="password" label="Password" kind="password" autocomplete="current-password"/> }.into_any()
                            } else {
                                view! { <Field name="password" label="Choose a password" kind="password" autocomplete="new-password" hint="At least 12 characters. A short sentence is a good password."/> }.into_any()
                            }}
                            <div class="row end"><Submit label="Join"/></div>
                        </Form>
                    </section>
                </Load>
            </Bare>
        </Page>
    }
}
