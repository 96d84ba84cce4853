//! Upstreams.

use domain::{
    providers::{Dialect, Provider, Wait, Waits},
    roles::Act,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{choices, param};
use crate::{
    api::providers::{
        ArchiveProvider, CreateProvider, EditProvider, SetWaits, TestProvider, load_provider, load_providers,
    },
    ui::{
        Badge, Card, Check, Confirm, Dialog, Empty, Field, Form, Head, Hidden, Kind, Load, OpenDialog, Page,
        Select, Submit, may,
    },
};

fn dialects() -> Vec<(String, String)> {
    choices(Dialect::ALL, |dialect| format!("{}'s API", dialect.label()))
}

/// Every provider.
#[component]
pub fn ProvidersPage() -> impl IntoView {
    let providers = load_providers();
    let edit = may(Act::EditCatalogue);
    view! {
        <Page title="Providers">
            <Load data=providers let(providers)>
                <Head title="Providers">{edit.then(|| view! { <OpenDialog name="new" label="New provider" look="btn go"/> })}</Head>
                <Card><Table providers/></Card>
            </Load>
            <Dialog name="new" title="New provider">
                <Form to=CreateProvider::PATH also=TestProvider::PATH>
                    <Field name="name" label="Name" placeholder="OpenAI"/>
                    <Select name="dialect" label="Speaks" options=dialects()/>
                    <Field name="base_url" label="Address" mono=true placeholder="https://api.openai.com/v1" hint="Up to the version."/>
                    <Field name="credential" label="API key" kind="password" optional=true autocomplete="new-password" hint="Encrypted, and never shown again."/>
                    <Check name="allow_private_address" label="It is on this machine or in a private network"/>
                    <div class="row end"><Submit label="Test connection" look="" to=TestProvider::PATH/><Submit label="Add the provider"/></div>
                </Form>
            </Dialog>
        </Page>
    }
}

#[component]
fn Table(providers: Vec<Provider>) -> impl IntoView {
    if providers.is_empty() {
        return view! { <Empty title="No providers yet" text="A provider is where models are: a vendor's API, or a model server in your own network."/> }.into_any();
    }
    let rows = providers
        .into_iter()
        .map(|provider| view! {
            <tr>
                <td><a href=format!("/providers/{}", provider.id)><b>{provider.name}</b></a><div class="sub">{provider.dialect.label()}</div></td>
                <td class="mono wrap">{provider.base_url}</td>
                <td class="hide">{if provider.has_credential { view! { <Badge text="stored" kind=Kind::Good/> }.into_any() } else { view! { <span class="muted">"none"</span> }.into_any() }}</td>
                <td class="r num">{provider.models}</td>
            </tr>
        })
        .collect_view();
    view! {
        <table class="table">
            <thead><tr><th>"Name"</th><th>"Address"</th><th class="hide">"Credential"</th><th class="r">"Models"</th></tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

/// A provider.
#[component]
pub fn ProviderPage() -> impl IntoView {
    let id = param("id");
    let provider = load_provider(id);
    view! { <Page title="Provider"><Load data=provider let(provider)><Content provider/></Load></Page> }
}

#[component]
fn Content(provider: Provider) -> impl IntoView {
    let edit = may(Act::EditCatalogue) && provider.archived_at.is_none();
    let id = provider.id;
    let name = provider.name.clone();
    let (waits, version) = (provider.waits, provider.version);
    view! {
        <Head title=provider.name.clone() note=provider.dialect.label() crumbs=vec![("/providers".to_owned(), "Providers".to_owned())]>
            {edit.then(|| view! { <a class="btn" href=format!("/providers/{id}/offers")>"Which models does it offer"</a> })}
            {edit.then(|| view! { <OpenDialog name="archive" label="Archive"/> })}
        </Head>
        {provider.archived_at.is_some().then(|| view! { <p class="banner bad">"This provider is archived."</p> })}
        {if edit {
            view! {
                <Card title="Connection" class="narrow">
                    <Form to=EditProvider::PATH also=TestProvider::PATH class="pad">
                        <Hidden name="id" value=id.to_string()/>
                        <Hidden name="version" value=provider.version.to_string()/>
                        <Field name="name" label="Name" value=provider.name/>
                        <Select name="dialect" label="Speaks" options=dialects() value=provider.dialect.to_string()/>
                        <Field name="base_url" label="Address" mono=true value=provider.base_url/>
                        <Field name="credential" label="API key" kind="password" optional=true autocomplete="new-password"
                            hint=if provider.has_credential { "One is stored. Empty keeps it." } else { "None is stored." }/>
                        {provider.has_credential.then(|| view! { <Check name="clear_credential" label="Forget the stored key"/> })}
                        <Check name="allow_private_address" label="It is on this machine or in a private network" checked=provider.allow_private_address/>
                        <div class="row end"><Submit label="Test connection" look="" to=TestProvider::PATH/><Submit label="Save"/></div>
                    </Form>
                </Card>
            }.into_any()
        } else {
            view! {
                <Card title="Connection" class="narrow">
                    <dl class="facts-list">
                        <dt>"Speaks"</dt><dd>{format!("{}'s API", provider.dialect.label())}</dd>
                        <dt>"Address"</dt><dd class="mono">{provider.base_url}</dd>
                        <dt>"Credential"</dt><dd>{if provider.has_credential { "Stored" } else { "None" }}</dd>
                        <dt>"Models"</dt><dd class="num">{provider.models}</dd>
                    </dl>
                </Card>
            }.into_any()
        }}
        <Patience id=id.to_string() version waits edit/>
        <Confirm
            when=edit name="archive" title=format!("Archive {name}?") to=ArchiveProvider::PATH label="Archive the provider" fields=vec![("id", id.to_string()), ("version", version.to_string())] typed=name.clone()
            consequence="Its credential is forgotten. It can be archived only when no model uses it any more. This cannot be undone."
        />
    }
}

/// How long it is waited for.
#[component]
fn Patience(id: String, version: i64, waits: Waits, edit: bool) -> impl IntoView {
    let says = |wait: Wait| match waits.get(wait) {
        Some(seconds) => format!("{seconds} s"),
        None => format!("{} s, as usual", wait.usual()),
    };
    if !edit {
        let rows = Wait::ALL
            .iter()
            .map(|wait| view! { <dt>{wait.label()}</dt><dd class="num">{says(*wait)}</dd> })
            .collect_view();
        return view! { <Card title="How long it is waited for" class="narrow"><dl class="facts-list">{rows}</dl></Card> }
            .into_any();
    }
    let fields = move || {
        let field = |wait: &Wait| {
            let value = waits.get(*wait).map(|seconds| seconds.to_string()).unwrap_or_default();
            let hint = format!("Seconds, 1 to {}. Empty: {}.", wait.most(), wait.usual());
            view! { <Field name=wait.as_str() label=wait.label() kind="number" value optional=true hint/> }
        };
        Wait::ALL.iter().map(field).collect_view()
    };
    view! {
        <Card title="How long it is waited for" class="narrow">
            <Form to=SetWaits::PATH class="pad">
                <Hidden name="id" value=id.clone()/>
                <Hidden name="version" value=version.to_string()/>
                <div class="pair">{fields()}</div>
                <p class="hint">"A call that runs out of time is refused with 504, or goes to the next model of its policy. What it may have cost is booked. Once an answer has begun, running out of time ends it."</p>
                <div class="row end"><Submit label="Set the times" look=""/></div>
            </Form>
        </Card>
    }
    .into_any()
}
