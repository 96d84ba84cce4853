//! The catalogue.

use domain::{
    authorizations::State,
    models::{Modality, Model, Review, Tier},
    money::grouped,
    prices::PriceKey,
    roles::Act,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{
    capital, choices, param,
    prices::{InBook, PriceField, Prices},
};
use crate::{
    api::models::{
        AcceptModel, ArchiveModel, ArchiveTier, Catalogue, CreateModel, CreateTier, EditModel, EditTier,
        FillModel, FillPrices, ModelView, SetPrices, load_model, load_models,
    },
    ui::{
        Badge, Card, Check, Confirm, Consent, Dialog, Empty, Field, Folded, Form, Head, Hidden, Kind, Load,
        OpenDialog, Page, Select, StateMark, Submit, may, money::pair, query,
    },
};

/// Buckets that are a part of input or output, and those that are neither.
const OTHER_KEYS: [PriceKey; 11] = [
    PriceKey::CacheRead,
    PriceKey::Reasoning,
    PriceKey::CacheWrite,
    PriceKey::AudioInput,
    PriceKey::CacheWriteLong,
    PriceKey::AudioOutput,
    PriceKey::Image,
    PriceKey::Call,
    PriceKey::WebSearch,
    PriceKey::FileSearch,
    PriceKey::CodeSession,
];

fn modalities() -> Vec<(String, String)> {
    choices(Modality::ALL, |modality| capital(modality.as_str()))
}

/// Models and tiers.
#[component]
pub fn ModelsPage() -> impl IntoView {
    let catalogue = load_models(query::value("q"));
    view! { <Page title="Models"><Load data=catalogue let(catalogue)><CatalogueView catalogue/></Load></Page> }
}

#[component]
fn CatalogueView(catalogue: Catalogue) -> impl IntoView {
    let Catalogue { models, all, tiers, providers } = catalogue;
    let q = query::value("q");
    let narrowed = !q.is_empty();
    let edit = may(Act::EditCatalogue);
    let ready = edit && !providers.is_empty() && !tiers.is_empty();
    let (waiting, known): (Vec<_>, Vec<_>) =
        models.into_iter().partition(|model| model.review == Review::Pending);
    let tier_options: Vec<_> = tiers.iter().map(|tier| (tier.id.to_string(), tier.name.clone())).collect();
    let missing = match (providers.is_empty(), tiers.is_empty()) {
        (true, _) => Some(
            view! { <a class="btn go" href="/providers?dialog=new">"Add a provider first"</a> }.into_any(),
        ),
        (false, true) => {
            Some(view! { <OpenDialog name="new-tier" label="Add a tier first" look="btn go"/> }.into_any())
        }
        (false, false) => None,
    };
    view! {
        <Head title="Models" note=if narrowed { format!("{} of {all}", known.len() + waiting.len()) } else { all.to_string() }>
            {edit.then(|| view! { <a class="btn" href="/models/import">"Import a price list"</a> })}
            {ready.then(|| view! { <OpenDialog name="new" label="New model" look="btn go"/> })}
        </Head>
        {(all > 0).then(|| view! { <FindModel page="/models" q=q.clone()/> })}
        {(!waiting.is_empty()).then(|| view! {
            <Card title="Waiting for review" note="new models stay closed until somebody decides" actions=ViewFn::from(|| view! { <a class="btn small" href="/models/review">"To the review inbox"</a> })>
                <Table models=waiting label="Waiting for review"/>
            </Card>
        })}
        <Card title="Catalogue">
            {if known.is_empty() && narrowed {
                view! { <Empty title="No model matches" text="Part of its name is enough, or of its provider's."><a class="btn" href="/models">"Show all"</a></Empty> }.into_any()
            } else if known.is_empty() {
                view! { <Empty title="No models yet" text="A model is what callers name: where it is, what it costs, and which tier it belongs to.">{missing.filter(|_| edit)}</Empty> }.into_any()
            } else {
                view! { <Table models=known label="Catalogue"/> }.into_any()
            }}
        </Card>
        <Card title="Tiers" note="classes that are opened to groups together" actions=ViewFn::from(move || view! { {edit.then(|| view! { <OpenDialog name="new-tier" label="New tier" look="btn small"/> })} })>
            <Tiers tiers edit/>
        </Card>
        <Dialog name="new" title="New model">
            <Form to=CreateModel::PATH also=FillModel::PATH>
                <Field name="name" label="Name for callers" mono=true placeholder="small-chat"/>
                <div class="pair">
                    <Select name="provider" label="Provider" options=providers.clone()/>
                    <Field name="upstream" label="Name at the provider" mono=true optional=true hint="Empty: the same."/>
                </div>
                <div class="row"><Submit label="Fill from the price book" look="small" to=FillModel::PATH/></div>
                <div class="pair">
                    <Select name="modality" label="Modality" options=modalities()/>
                    <Select name="tier" label="Tier" options=tier_options.clone()/>
                </div>
                <div class="pair">
                    <Field name="context_tokens" label="Context, tokens" inputmode="numeric" optional=true/>
                    <Field name="max_output_tokens" label="Most output, tokens" inputmode="numeric" optional=true/>
                </div>
                <div class="pair">
                    <Field name="price_input" label="Input, $ per million" inputmode="decimal" optional=true/>
                    <Field name="price_output" label="Output, $ per million" inputmode="decimal" optional=true/>
                </div>
                <Folded label="Prices of other buckets" names=OTHER_KEYS.map(PriceKey::as_str).to_vec()>
                    <div class="pair">{OTHER_KEYS.map(|key| view! { <PriceField key current=None/> }).into_iter().collect_view()}</div>
                    <p class="hint">"An empty bucket takes the price of the one it is part of."</p>
                </Folded>
                <p class="hint">"It lands in review, closed to everybody."</p>
                <div class="row end"><Submit label="Add the model"/></div>
            </Form>
        </Dialog>
        <Dialog name="new-tier" title="New tier">
            <Form to=CreateTier::PATH>
                <Field name="name" label="Name" placeholder="general"/>
                <Check name="high_cost" label="High-cost" hint="Never opened by “all models”: only by its own name or a model's."/>
                <div class="row end"><Submit label="Add the tier"/></div>
            </Form>
        </Dialog>
    }
}

/// Looks for models by name, and by provider.
#[component]
pub fn FindModel(
    /// The page it narrows.
    page: &'static str,
    /// What is looked for now.
    q: String,
) -> impl IntoView {
    let narrowed = !q.is_empty();
    view! {
        <div class="filters row">
            <form method="get" action=page class="row" role="search" data-finds="">
                <input type="search" name="q" value=q class="find" placeholder="Model or provider" aria-label="Find a model" autocomplete="off"/>
                <button class="btn">"Search"</button>
            </form>
            {narrowed.then(|| view! { <a class="link" href=page>"Show all"</a> })}
        </div>
    }
}

#[component]
fn Table(models: Vec<Model>, label: &'static str) -> impl IntoView {
    let rows = models
        .into_iter()
        .map(|model| {
            let obstacle = model.obstacle();
            view! {
                <tr>
                    <td><a href=format!("/models/{}", model.id)><b class="mono">{model.name}</b></a><div class="sub">{format!("{} · {}", model.provider.1, model.upstream)}</div></td>
                    <td class="hide">{capital(model.modality.as_str())}</td>
                    <td>{model.tier.1}{model.high_cost.then(|| view! { " "<Badge text="high-cost" kind=Kind::Warn/> })}</td>
                    <td class="r num">{model.prices.map_or_else(|| "–".to_owned(), |dated| pair(&dated.prices))}<div class="sub">"per million"</div></td>
                    <td class="beside">{match obstacle {
                        Some(why) => view! { <Badge text=why kind=Kind::Bad/> }.into_any(),
                        None => view! { <Badge text="callable" kind=Kind::Good/> }.into_any(),
                    }}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label=label>
            <table class="table stack">
                <thead><tr><th>"Name"</th><th class="hide">"Modality"</th><th>"Tier"</th><th class="r">"Input / output"</th><th>"State"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

#[component]
fn Tiers(tiers: Vec<Tier>, edit: bool) -> impl IntoView {
    if tiers.is_empty() {
        return view! { <Empty title="No tiers yet" text="For instance general, high-performance, and specialized. Rules name tiers, so that a new model finds its place by itself."/> }.into_any();
    }
    let rows = tiers
        .iter()
        .map(|tier| {
            let id = tier.id.to_string();
            view! {
                <tr>
                    <td><b>{tier.name.clone()}</b>{tier.high_cost.then(|| view! { " "<Badge text="high-cost" kind=Kind::Warn/> })}</td>
                    <td class="r num">{tier.models}</td>
                    <td class="r nw">{edit.then(|| view! { <OpenDialog name=format!("tier-{id}") label="Edit" look="link"/> })}</td>
                </tr>
            }
        })
        .collect_view();
    let dialogs = tiers
        .iter()
        .filter(|_| edit)
        .map(|tier| {
            let tier = tier.clone();
            let (id, name) = (tier.id.to_string(), tier.name.clone());
            view! {
                <Dialog name=format!("tier-{id}") title="Edit the tier">
                    <Form to=EditTier::PATH which=id.clone() clone:id>
                        <Hidden name="id" value=id.clone()/>
                        <Hidden name="version" value=tier.version.to_string()/>
                        <Field name="name" label="Name" value=tier.name.clone()/>
                        <Check name="high_cost" label="High-cost" checked=tier.high_cost hint="Never opened by “all models”: only by its own name or a model's."/>
                        <Consent name="known"/>
                        <div class="row end"><Submit label="Save"/></div>
                    </Form>
                    {(tier.models == 0).then(|| view! {
                        <Form to=ArchiveTier::PATH which=id.clone() clone:id><Hidden name="id" value=id.clone()/><Hidden name="version" value=tier.version.to_string()/>
                            <p>"No model is in it, and none can be put into it any more. This cannot be undone."</p>
                            <Field name="typed" label=format!("Type {name} to archive it")/>
                            <div class="row"><Submit label="Archive the tier" look="danger"/></div>
                        </Form>
                    })}
                </Dialog>
            }
        })
        .collect_view();
    view! {
        <table class="table">
            <thead><tr><th>"Name"</th><th class="r">"Models"</th><th><span class="sr">"Actions"</span></th></tr></thead>
            <tbody>{rows}</tbody>
        </table>
        {dialogs}
    }
    .into_any()
}

/// What becomes of the policies that name a model when it is archived.
fn in_policies(policies: &[(String, bool)]) -> String {
    let named = |others: bool| -> Vec<String> {
        let these = policies.iter().filter(|(_, has)| *has == others);
        these.map(|(name, _)| format!("policy/{name}")).collect()
    };
    let mut words = String::new();
    let (go_on, dead) = (named(true), named(false));
    if !go_on.is_empty() {
        let verb = if go_on.len() == 1 { "passes" } else { "pass" };
        words += &format!(" {} {verb} it over.", go_on.join(", "));
    }
    if !dead.is_empty() {
        let has = if dead.len() == 1 { "has" } else { "have" };
        words += &format!(" {} {has} no other model: every call there is refused.", dead.join(", "));
    }
    words
}

/// To how many groups the rules open a model, once it can be called.
fn reached(first: &str, open: usize, asked: usize) -> String {
    let groups = |count: usize| if count == 1 { "1 group".to_owned() } else { format!("{count} groups") };
    match (open, asked) {
        (0, 0) => format!("{first}, no rule opens it to any group yet."),
        (0, asked) => format!("{first}, {} can have it by request.", groups(asked)),
        (open, 0) => format!("{first}, the rules open it to {}.", groups(open)),
        (open, asked) => {
            format!("{first}, the rules open it to {}, and to {} by request.", groups(open), groups(asked))
        }
    }
}

/// A model.
#[component]
pub fn ModelPage() -> impl IntoView {
    let id = param("id");
    let model = load_model(id);
    view! { <Page title="Model"><Load data=model let(view)><Content view/></Load></Page> }
}

#[component]
fn Content(view: ModelView) -> impl IntoView {
    let ModelView { model, prices, book, tiers, providers, policies, groups } = view;
    let edit = may(Act::EditCatalogue) && model.archived_at.is_none();
    let id = model.id;
    let pending = model.review == Review::Pending;
    let tokens = |count: Option<i64>| {
        count.map_or_else(
            || "not said".to_owned(),
            |count| format!("{} tokens", grouped(count.unsigned_abs())),
        )
    };
    let group_count = groups.len();
    let open = groups.iter().filter(|(.., state)| *state == State::Open).count();
    let asked = group_count - open;
    // Whatever the rules say: what cannot be called nobody has.
    let usable = model.obstacle().is_none();
    let group_rows = groups
        .into_iter()
        .take(50)
        .map(|(id, path, state)| view! { <tr><td class="wrap"><a href=format!("/groups/{id}")>{path}</a></td><td><StateMark state/></td></tr> })
        .collect_view();
    // The same words as in the inbox, where it is accepted as well.
    let priced = model.prices.is_some_and(|dated| dated.prices.complete_for(model.modality));
    let served = model.modality.is_served(model.dialect);
    let unserved = format!(
        "Nobody can call it, whatever the rules say: models for {} are not served here.",
        model.modality
    );
    let review = (pending && edit).then(|| {
        let first = if priced { "Once accepted" } else { "It has no price: accepted or not, it cannot be called. Once it has one" };
        let what = if served { reached(first, open, asked) } else { unserved.clone() };
        view! {
            <div class="banner warn row between">
                <span><b>"This model waits for review. "</b>{what}</span>
                <Form to=AcceptModel::PATH class="inline"><Hidden name="id" value=id.to_string()/><Hidden name="version" value=model.version.to_string()/><Submit label="Accept"/></Form>
            </div>
        }
    });
    let edited = model.clone();
    let current = model.prices.map(|dated| dated.prices);
    view! {
        <Head title=model.name.clone() crumbs=vec![("/models".to_owned(), "Models".to_owned())]>
            <a class="btn" href=format!("/calls?model={id}")>"Calls"</a>
            <a class="btn" href=format!("/spend/{id}")>"Spend"</a>
            {edit.then(|| view! { <OpenDialog name="edit" label="Edit"/> })}
            {edit.then(|| view! { <OpenDialog name="archive" label="Archive"/> })}
        </Head>
        {review}
        {model.archived_at.is_some().then(|| view! { <p class="banner bad">"This model is archived. Nobody can call it."</p> })}
        {(!served && !pending && model.archived_at.is_none()).then(|| view! { <p class="banner warn">{unserved}</p> })}
        <div class="two wide-left">
            <div>
                <Card title="Model">
                    <dl class="facts-list">
                        <dt>"Provider"</dt><dd><a href=format!("/providers/{}", model.provider.0)>{model.provider.1.clone()}</a></dd>
                        <dt>"Name there"</dt><dd class="mono">{model.upstream.clone()}</dd>
                        <dt>"Modality"</dt><dd>{capital(model.modality.as_str())}</dd>
                        <dt>"Tier"</dt><dd>{model.tier.1.clone()}{model.high_cost.then(|| view! { " "<Badge text="high-cost" kind=Kind::Warn/> })}</dd>
                        <dt>"Context"</dt><dd class="num">{tokens(model.context_tokens)}</dd>
                        <dt>"Most output"</dt><dd class="num">{tokens(model.max_output_tokens)}</dd>
                    </dl>
                </Card>
                <Card title="Prices" note="US dollars per million" actions=ViewFn::from(move || view! { {edit.then(|| view! { <OpenDialog name="prices" label="Set prices" look="btn small"/> })} })>
                    {book.map(|(listed, book)| view! { <InBook listed book current/> })}
                    <Prices prices modality=model.modality edit=edit.then_some((id, model.version))/>
                </Card>
            </div>
            <Card title="Groups" note=if usable { "that have it" } else { "that would have it" }>
                {if group_count == 0 {
                    view! { <Empty title="Closed to everybody" text="No rule opens this model or its tier."><a class="btn" href="/authorization">"To the authorizations"</a></Empty> }.into_any()
                } else {
                    view! { <table class="table"><thead><tr><th>"Group"</th><th>"State"</th></tr></thead><tbody>{group_rows}</tbody></table> }.into_any()
                }}
            </Card>
        </div>
        <Dialog name="edit" title="Edit the model" when=edit>
            <Form to=EditModel::PATH>
                <Hidden name="id" value=edited.id.to_string()/>
                <Hidden name="version" value=edited.version.to_string()/>
                <Field name="name" label="Name for callers" mono=true value=edited.name.clone() hint="Programs that use the old name stop working."/>
                <div class="pair">
                    <Select name="provider" label="Provider" options=providers.clone() value=edited.provider.0.to_string()/>
                    <Field name="upstream" label="Name at the provider" mono=true value=edited.upstream.clone()/>
                </div>
                <div class="pair">
                    <Select name="modality" label="Modality" options=modalities() value=edited.modality.to_string()/>
                    <Select name="tier" label="Tier" options=tiers.clone() value=edited.tier.0.to_string()/>
                </div>
                <div class="pair">
                    <Field name="context_tokens" label="Context, tokens" inputmode="numeric" optional=true value=edited.context_tokens.map(|count| count.to_string()).unwrap_or_default()/>
                    <Field name="max_output_tokens" label="Most output, tokens" inputmode="numeric" optional=true value=edited.max_output_tokens.map(|count| count.to_string()).unwrap_or_default()/>
                </div>
                <Consent name="known"/>
                <div class="row end"><Submit label="Save"/></div>
            </Form>
        </Dialog>
        <Dialog name="prices" title="Set prices" when=edit>
            <Form to=SetPrices::PATH also=FillPrices::PATH>
                <Hidden name="id" value=edited.id.to_string()/>
                <Hidden name="version" value=edited.version.to_string()/>
                <div class="row"><Submit label="Fill from the price book" look="small" to=FillPrices::PATH/></div>
                <Field name="from" label="From the start of" kind="date" optional=true hint="Empty: from now on. Finished calls keep the price they had."/>
                <div class="pair">
                    <PriceField key=PriceKey::Input current/><PriceField key=PriceKey::Output current/>
                    <PriceField key=PriceKey::CacheRead current/><PriceField key=PriceKey::Reasoning current/>
                    <PriceField key=PriceKey::CacheWrite current/><PriceField key=PriceKey::AudioInput current/>
                    <PriceField key=PriceKey::CacheWriteLong current/><PriceField key=PriceKey::AudioOutput current/>
                    <PriceField key=PriceKey::Image current/><PriceField key=PriceKey::Call current/>
                    <PriceField key=PriceKey::WebSearch current/><PriceField key=PriceKey::FileSearch current/>
                    <PriceField key=PriceKey::CodeSession current/>
                </div>
                <p class="hint">"US dollars per million tokens (images, calls, searches and code sessions: per million of those). An empty bucket takes the price of the one it is part of; 0 makes it free. A tool of the provider without a price here is left out of calls that merely offer it; calls that insist on it are refused."</p>
                <div class="row end"><Submit label="Save"/></div>
            </Form>
        </Dialog>
        <Confirm
            when=edit name="archive" title=format!("Archive {}?", model.name) to=ArchiveModel::PATH label="Archive the model" fields=vec![("id", id.to_string()), ("version", model.version.to_string())] typed=model.name.clone()
            consequence=format!("Calls that name it are refused from now on, in every group; {}.{} Its spend stays on the books. This cannot be undone.", match group_count {
                0 => "no group has it now".to_owned(),
                _ if !usable => "no group can call it now".to_owned(),
                1 => "1 group has it now".to_owned(),
                count => format!("{count} groups have it now"),
            }, in_policies(&policies))
        />
    }
}
