//! First steps after the owner: organization, provider, model, group, application and key. Each is
//! a page of its own; whoever leaves finds the rest on the overview.

use leptos::{prelude::*, server_fn::ServerFn};
use leptos_router::components::Redirect;

use super::{param, setup::Steps};
use crate::{
    api::{
        applications::CreateApplication,
        groups::CreateGroup,
        keys::IssueSecret,
        models::FillModel,
        providers::{CreateProvider, TestProvider},
        setup::{CreateFirstModel, CreateOrganization, TryCall, load_steps},
    },
    ui::{
        Check, Field, Form, Hidden, Load, Select, Submit,
        context::frame,
        page::{Bare, Page},
    },
};

/// One of the first steps.
#[component]
pub fn WelcomePage() -> impl IntoView {
    let step = param("step");
    if frame().me.is_none() {
        return view! { <Redirect path="/sign-in"/> }.into_any();
    }
    view! {
        <Page title="First steps">
            <Bare>
                {match step.as_str() {
                    "organization" => view! { <Organization/> }.into_any(),
                    "provider" => view! { <Provider/> }.into_any(),
                    "model" => view! { <Model/> }.into_any(),
                    "group" => view! { <Group/> }.into_any(),
                    "application" => view! { <Application/> }.into_any(),
                    _ => view! { <Redirect path="/"/> }.into_any(),
                }}
            </Bare>
        </Page>
    }
    .into_any()
}

/// What is left out now waits on the overview.
#[component]
fn Skip(to: &'static str) -> impl IntoView {
    view! { <a class="btn" href=to>"Skip for now"</a> }
}

#[component]
fn Organization() -> impl IntoView {
    let another = frame().me.as_ref().is_some_and(|me| me.here.is_some());
    view! {
        <Steps current=1/>
        <section class="card pad narrow">
            <h1>"Your organization"</h1>
            <p class="muted">"Everything belongs to it: people, groups, applications, money. Nothing crosses to another one."</p>
            <Form to=CreateOrganization::PATH>
                <Field name="name" label="Name" placeholder="Acme" autocomplete="organization"/>
                <Field name="time_zone" label="Time zone" value="Europe/Berlin" list="zones" hint="Days and months begin at midnight there. It can be changed until the first call."/>
                <datalist id="zones">
                    {["UTC", "Europe/Berlin", "Europe/London", "Europe/Paris", "America/New_York", "America/Los_Angeles", "Asia/Kolkata", "Asia/Singapore", "Asia/Tokyo", "Australia/Sydney"]
                        .into_iter().map(|zone| view! { <option value=zone></option> }).collect_view()}
                </datalist>
                <Field name="default_user_limit" label="Monthly limit of each person, in US dollars" value="50.00" inputmode="decimal" optional=true hint="For everybody without a limit of their own. Empty: no limit."/>
                <div class="row end">
                    {another.then(|| view! { <a class="btn" href="/account">"Cancel"</a> })}
                    <Submit label="Create the organization"/>
                </div>
            </Form>
        </section>
    }
}

#[component]
fn Provider() -> impl IntoView {
    view! {
        <Steps current=2/>
        <section class="card pad narrow">
            <h1>"A provider"</h1>
            <p class="muted">"Where models are: a vendor's API, or a model server in your own network. Credentials are encrypted and never shown again."</p>
            <Form to=CreateProvider::PATH also=TestProvider::PATH>
                <Hidden name="next" value="welcome"/>
                <Field name="name" label="Name" placeholder="OpenAI"/>
                <Select name="dialect" label="Speaks" options=vec![("openai".into(), "OpenAI's API".into()), ("anthropic".into(), "Anthropic's API".into())]/>
                <Field name="base_url" label="Address" mono=true placeholder="https://api.openai.com/v1" hint="Up to the version."/>
                <Field name="credential" label="API key" kind="password" optional=true autocomplete="new-password"/>
                <Check name="allow_private_address" label="It is on this machine or in a private network"/>
                <div class="row end"><Skip to="/welcome/model"/><Submit label="Test connection" look="" to=TestProvider::PATH/><Submit label="Add the provider"/></div>
            </Form>
        </section>
    }
}

#[component]
fn Model() -> impl IntoView {
    let steps = load_steps();
    view! {
        <Steps current=3/>
        <section class="card pad narrow">
            <h1>"A model and its price"</h1>
            <p class="muted">"What callers write, what the provider calls it, and what it costs. A model without a price cannot be called."</p>
            <Load data=steps let(steps)>
                {if steps.providers.is_empty() {
                    view! { <p>"A model needs a provider first. "<a href="/welcome/provider">"Add one"</a>"."</p> }.into_any()
                } else {
                    let last = steps.providers.last().map(|(id, _)| id.clone()).unwrap_or_default();
                    view! {
                        <Form to=CreateFirstModel::PATH also=FillModel::PATH>
                            <Select name="provider" label="Provider" options=steps.providers value=last/>
                            <Field name="name" label="Name for callers" mono=true placeholder="small-chat"/>
                            <Field name="upstream" label="Name at the provider" mono=true optional=true hint="Empty: the same."/>
                            <div class="row"><Submit label="Fill from the price book" look="small" to=FillModel::PATH/></div>
                            <Field name="tier" label="Tier" value="general" hint="Classes of models are opened to groups together. This one will be open to the whole organization."/>
                            <div class="pair">
                                <Field name="context_tokens" label="Context, tokens" inputmode="numeric" optional=true/>
                                <Field name="max_output_tokens" label="Most output, tokens" inputmode="numeric" optional=true/>
                            </div>
                            <div class="pair">
                                <Field name="price_input" label="Input, $ per million tokens" inputmode="decimal" placeholder="0.10"/>
                                <Field name="price_output" label="Output, $ per million tokens" inputmode="decimal" placeholder="0.40"/>
                            </div>
                            <div class="row end"><Skip to="/welcome/group"/><Submit label="Add the model"/></div>
                        </Form>
                    }.into_any()
                }}
            </Load>
        </section>
    }
}

#[component]
fn Group() -> impl IntoView {
    let steps = load_steps();
    view! {
        <Steps current=4/>
        <section class="card pad narrow">
            <h1>"A group"</h1>
            <p class="muted">"A department, a project, a team. Groups hold people and applications; budgets and models are given to groups."</p>
            <Load data=steps let(steps)>
                {(!steps.groups.is_empty()).then(|| view! {
                    <p>{format!("{} is there. ", steps.groups[0].1)}<a class="link" href="/welcome/application">"Go on"</a></p>
                })}
            </Load>
            <Form to=CreateGroup::PATH>
                <Hidden name="next" value="welcome"/>
                <Field name="name" label="Name" placeholder="Engineering"/>
                <Select name="kind" label="Kind" options=super::choices(domain::groups::GroupKind::ALL, |kind| super::capital(kind.as_str()))/>
                <div class="row end"><Skip to="/welcome/application"/><Submit label="Create the group"/></div>
            </Form>
        </section>
    }
}

#[component]
fn Application() -> impl IntoView {
    let steps = load_steps();
    view! {
        <Steps current=5/>
        <Load data=steps let(steps)>
            {match (steps.groups.is_empty(), steps.applications.first().cloned()) {
                (true, _) => view! {
                    <section class="card pad narrow"><p>"An application needs a group first. "<a href="/welcome/group">"Create one"</a>"."</p></section>
                }.into_any(),
                (false, None) => view! {
                    <section class="card pad narrow">
                        <h1>"An application"</h1>
                        <p class="muted">"A service that calls models. It has exactly one key; every cent is attributed to it."</p>
                        <Form to=CreateApplication::PATH>
                            <Hidden name="next" value="welcome"/>
                            <Select name="group" label="Group" options=steps.groups.clone()/>
                            <Field name="name" label="Name" placeholder="research-bot"/>
                            <div class="row end"><Skip to="/"/><Submit label="Create the application"/></div>
                        </Form>
                    </section>
                }.into_any(),
                (false, Some((id, name))) => view! { <FirstCall id name models=steps.models.clone() called=steps.called/> }.into_any(),
            }}
        </Load>
    }
}

/// The secret, and the first call with it.
#[component]
fn FirstCall(id: String, name: String, models: Vec<(String, String)>, called: bool) -> impl IntoView {
    let key = crate::api::applications::load_application(id.clone(), String::new(), String::new());
    let names: Vec<(String, String)> = models.into_iter().map(|(_, name)| (name.clone(), name)).collect();
    view! {
        <section class="card pad narrow">
            <h1>{format!("A secret for {name}")}</h1>
            <p class="muted">"The string its program sends. It is shown once; make it where you can keep it."</p>
            <Load data=key let(view)>
                <Form to=IssueSecret::PATH>
                    <Hidden name="application" value=id.clone()/>
                    <Hidden name="key" value=view.key.id.to_string()/>
                    <div class="row end"><Submit label="Make a secret"/></div>
                </Form>
            </Load>
        </section>
        <section class="card pad narrow">
            <h2>"Try it here"</h2>
            <p class="muted">"The same call as the command above, through the same gateway, with the same limits. It costs what it costs."</p>
            <Form to=TryCall::PATH>
                <Field name="secret" label="Secret" kind="password" autocomplete="off"/>
                <Select name="model" label="Model" options=names/>
                <Field name="prompt" label="Say something" value="Say hello."/>
                <div class="row end"><Submit label="Make the call"/></div>
            </Form>
        </section>
        <p class="center">{called.then_some("A call went through. ")}<a class="btn go" href="/">"To the overview"</a></p>
    }
}
