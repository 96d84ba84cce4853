//! Signing in.

use leptos::prelude::*;
use leptos_router::components::Redirect;

use crate::{
    api::accounts::SignIn,
    ui::{
        Field, Form, Hidden, Submit,
        context::frame,
        page::{Bare, Page},
        query,
    },
};
use leptos::server_fn::ServerFn;

/// Address and password.
#[component]
pub fn SignInPage() -> impl IntoView {
    let next = query::value("next");
    if frame().me.is_some() {
        return view! { <Redirect path="/"/> }.into_any();
    }
    if frame().fresh {
        return view! { <Redirect path="/setup"/> }.into_any();
    }
    view! {
        <Page title="Sign in">
            <Bare>
                <section class="card pad narrow">
                    <h1>"Sign in"</h1>
                    <Form to=SignIn::PATH>
                        <Hidden name="next" value=next/>
                        <Field name="email" label="Email" kind="email" autocomplete="username"/>
                        <Field name="password" label="Password" kind="password" autocomplete="current-password"/>
                        <div class="row between"><a class="link" href="/forgot" rel="external">"Forgot your password?"</a><Submit label="Sign in"/></div>
                    </Form>
                </section>
                <p class="muted center">"No sign-in yet? An admin of your organization can send you an invitation."</p>
            </Bare>
        </Page>
    }
    .into_any()
}
