//! Upstreams.

use domain::{
    providers::{Dialect, Provider},
    roles::Act,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{choices, param};
use crate::{
    api::providers::{
        ArchiveProvider, CreateProvider, EditProvider, TestProvider, load_provider, load_providers,
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
        <Confirm
            name="archive" title=format!("Archive {name}?") to=ArchiveProvider::PATH label="Archive the provider" fields=vec![("id", id.to_string())]
            consequence="Its credential is forgotten. It can be archived only when no model uses it any more. This cannot be undone."
        />
    }
}
