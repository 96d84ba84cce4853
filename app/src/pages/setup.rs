//! The very first page: with the one-time token from the server's log.

use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    api::setup::{CreateOwner, load_setup},
    ui::{
        Field, Form, Hidden, Load, Submit,
        page::{Bare, Page},
        query,
    },
};

/// Makes the first owner. Afterwards this page does not exist.
#[component]
pub fn SetupPage() -> impl IntoView {
    let token = query::value("token");
    let state = load_setup(token.clone());
    view! {
        <Page title="Set up">
            <Bare>
                <Load data=state let(known)>
                    {if known { view! { <Owner token=token/> }.into_any() } else { view! { <AskToken/> }.into_any() }}
                </Load>
            </Bare>
        </Page>
    }
}

#[component]
fn AskToken() -> impl IntoView {
    view! {
        <section class="card pad narrow">
            <h1>"Set Bursar up"</h1>
            <p class="muted">"The server printed a one-time token in its log when it started. It proves that you run this server."</p>
            <form method="get" action="/setup" class="form">
                <div class="field">
                    <label for="setup-token">"Token from the log"</label>
                    <input id="setup-token" name="token" class="mono" autocomplete="off" required=true/>
                </div>
                <div class="row end"><button class="btn go">"Continue"</button></div>
            </form>
        </section>
    }
}

#[component]
fn Owner(token: String) -> impl IntoView {
    view! {
        <Steps current=0/>
        <section class="card pad narrow">
            <h1>"The first owner"</h1>
            <p class="muted">"You. An owner can do everything, and can make others owners later."</p>
            <Form to=CreateOwner::PATH>
                <Hidden name="token" value=token/>
                <Field name="name" label="Your name" autocomplete="name"/>
                <Field name="email" label="Email" kind="email" autocomplete="username"/>
                <Field name="password" label="Password" kind="password" autocomplete="new-password" hint="At least 12 characters. A short sentence is a good password."/>
                <Field name="again" label="Password again" kind="password" autocomplete="new-password"/>
                <div class="row end"><Submit label="Create the owner"/></div>
            </Form>
        </section>
    }
}

/// The first steps, and where one is.
#[component]
pub fn Steps(current: usize) -> impl IntoView {
    const NAMES: [&str; 6] = ["Owner", "Organization", "Provider", "Model", "Group", "Application"];
    let items = NAMES
        .iter()
        .enumerate()
        .map(|(place, name)| {
            let class = match place {
                _ if place < current => "done",
                _ if place == current => "now",
                _ => "",
            };
            view! { <li class=class aria-current=(place == current).then_some("step")>{*name}</li> }
        })
        .collect_view();
    view! { <ol class="steps">{items}</ol> }
}
