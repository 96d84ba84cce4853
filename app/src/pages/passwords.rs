//! Choosing another password when one forgot it.

use leptos::{prelude::*, server_fn::ServerFn};

use super::param;
use crate::{
    api::passwords::{ForgotPassword, ResetPassword, load_password_link},
    ui::{
        Field, Form, Hidden, Load, Submit,
        page::{Bare, Page},
    },
};

/// Asking for a link.
#[component]
pub fn ForgotPage() -> impl IntoView {
    view! {
        <Page title="Forgot your password?">
            <Bare>
                <section class="card pad narrow">
                    <h1>"Forgot your password?"</h1>
                    <p class="muted">"You get a link to choose another one with, at the address you sign in with."</p>
                    <Form to=ForgotPassword::PATH>
                        <Field name="email" label="Email" kind="email" autocomplete="username"/>
                        <div class="row end"><Submit label="Send the link"/></div>
                    </Form>
                </section>
                <p class="muted center"><a class="link" href="/sign-in" rel="external">"Back to signing in"</a></p>
            </Bare>
        </Page>
    }
}

/// What the link leads to.
#[component]
pub fn PasswordPage() -> impl IntoView {
    let token = param("token");
    let email = load_password_link(token.clone());
    view! {
        <Page title="Choose a password">
            <Bare>
                <Load data=email let(email)>{match email {
                    Some(email) => view! { <Choose email token/> }.into_any(),
                    None => view! {
                        <section class="card pad narrow state" role="alert">
                            <h1>"This link does not work"</h1>
                            <p class="muted">"It works once and for an hour, and a newer one takes its place. Copy the newest one whole, or ask for another."</p>
                            <a class="btn go" href="/forgot" rel="external">"Ask for another link"</a>
                        </section>
                    }.into_any(),
                }}</Load>
            </Bare>
        </Page>
    }
}

#[component]
fn Choose(email: String, token: String) -> impl IntoView {
    view! {
        <section class="card pad narrow">
            <h1>"Choose a password"</h1>
            <p class="muted">{format!("For the sign-in of {email}. Every session of it ends.")}</p>
            <Form to=ResetPassword::PATH>
                <Hidden name="token" value=token/>
                // Which sign-in a password manager keeps it for.
                <input type="hidden" autocomplete="username" value=email/>
                <Field name="password" label="New password" kind="password" autocomplete="new-password" hint="At least 12 characters. A short sentence is a good password."/>
                <Field name="again" label="Again" kind="password" autocomplete="new-password"/>
                <div class="row end"><Submit label="Change it"/></div>
            </Form>
        </section>
    }
}
