//! Routing policies.

use domain::{
    ids::ModelId,
    policies::{Policy, Routing, StepRules, Trouble},
    roles::Act,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::choices;
use crate::{
    api::{
        policies::{ArchivePolicy, Policies, SavePolicy, load_policies},
        rehearsals::RehearsePolicy,
    },
    ui::{
        Card, Check, Dialog, Empty, Field, Form, Head, Hidden, Load, OpenDialog, Page, Select, Submit,
        TextArea, may,
    },
};

fn routings() -> Vec<(String, String)> {
    choices(Routing::ALL, |routing| match routing {
        Routing::Fallback => "The first that works, in order".to_owned(),
        Routing::Balance => "By weight".to_owned(),
    })
}

/// Every policy.
#[component]
pub fn PoliciesPage() -> impl IntoView {
    let policies = load_policies();
    let edit = may(Act::EditPolicies);
    view! {
        <Page title="Policies">
            <Load data=policies let(policies)>
                <Head title="Policies">{edit.then(|| view! { <OpenDialog name="new" label="New policy" look="btn go"/> })}</Head>
                <p class="lead">"A policy is a name that stands for several models, and how to choose among them."</p>
                <Content policies edit/>
            </Load>
        </Page>
    }
}

#[component]
fn Content(policies: Policies, edit: bool) -> impl IntoView {
    let Policies { policies, models } = policies;
    let names = models.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>().join(", ");
    let empty = policies.is_empty();
    let rows = policies
        .iter()
        .map(|policy| {
            let id = policy.id.to_string();
            let steps = steps_text(policy).replace('\n', if policy.routing == Routing::Fallback { " → " } else { " · " });
            let unusual = policy.steps.iter().filter_map(|(id, name, _)| {
                let words = policy.rules.get(id)?.words();
                Some(view! { <div class="sub">{format!("{name}: {words}")}</div> })
            });
            let unusual = unusual.collect_view();
            view! {
                <tr>
                    <td><b class="mono">{format!("policy/{}", policy.name)}</b></td>
                    <td>{if policy.routing == Routing::Fallback { "Fallback" } else { "Balance" }}</td>
                    <td>{steps}{unusual}</td>
                    <td class="beside"><div class="row end">{edit.then(|| view! {
                        <OpenDialog name=format!("policy-{id}") label="Edit" look="link"/>
                        <Form to=ArchivePolicy::PATH which=id.clone() class="inline"><Hidden name="id" value=id.clone()/><button class="link danger">"Archive"</button></Form>
                    })}</div></td>
                </tr>
            }
        })
        .collect_view();
    let dialogs = policies
        .into_iter()
        .filter(|_| edit)
        .map(|policy| view! { <PolicyDialog policy=Some(policy) names=names.clone()/> })
        .collect_view();
    view! {
        <Card>
            {if empty {
                view! { <Empty title="No policies yet" text="For instance prod-chat: the large model, and when it fails the small one."/> }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Policies">
                        <table class="table stack">
                            <thead><tr><th>"Name"</th><th>"Chooses"</th><th>"Models"</th><th><span class="sr">"Actions"</span></th></tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
        {dialogs}
        <PolicyDialog policy=None names/>
    }
}

/// One line each: the model, and its weight in a balance.
fn steps_text(policy: &Policy) -> String {
    let line = |(_, name, weight): &(_, String, i32)| {
        if policy.routing == Routing::Balance { format!("{name} {weight}") } else { name.clone() }
    };
    policy.steps.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[component]
fn PolicyDialog(policy: Option<Policy>, names: String) -> impl IntoView {
    let id = policy.as_ref().map(|policy| policy.id.to_string()).unwrap_or_default();
    let version = policy.as_ref().map(|policy| policy.version.to_string()).unwrap_or_default();
    let dialog = if id.is_empty() { "new".to_owned() } else { format!("policy-{id}") };
    let title = if id.is_empty() { "New policy" } else { "Edit the policy" };
    let name = policy.as_ref().map(|policy| policy.name.clone()).unwrap_or_default();
    let routing = policy.as_ref().map(|policy| policy.routing.to_string()).unwrap_or_default();
    let steps = policy.as_ref().map(steps_text).unwrap_or_default();
    let rules = policy.as_ref().map(|policy| {
        let of = |(place, (id, name, _)): (usize, &(ModelId, String, i32))| {
            (place, name.clone(), policy.rules.get(id).copied().unwrap_or_default())
        };
        policy.steps.iter().enumerate().map(of).collect::<Vec<_>>()
    });
    view! {
        <Dialog name=dialog.clone() title>
            <Form to=SavePolicy::PATH also=RehearsePolicy::PATH which=dialog.clone()>
                <Hidden name="id" value=id.clone()/>
                <Hidden name="version" value=version.clone()/>
                <Field name="name" label="Name" mono=true value=name.clone() placeholder="prod-chat" hint="Callers write policy/ and this."/>
                <Select name="routing" label="Chooses" options=routings() value=routing.clone()/>
                <TextArea name="steps" label="Models" value=steps.clone() rows=4 hint=format!("One a line, in order; for a balance with its weight: small-chat 3. There are {names}.")/>
                {match rules.clone() {
                    Some(rules) => rules.into_iter().map(|(place, model, rules)| view! { <StepFields place model=model.clone() called=model rules/> }).collect_view().into_any(),
                    None => {
                        let blocks = (0..PLACES.len()).map(|place| {
                            let (model, called) = (format!("#{}", place + 1), format!("the {} model of the list", PLACES[place]));
                            view! { <StepFields place model called rules=StepRules::default()/> }
                        });
                        view! {
                            <p class="hint">"Each model is tried once, and every failure leads to the next, unless you say otherwise:"</p>
                            {blocks.collect_view()}
                        }.into_any()
                    }
                }}
                <div class="row end"><Submit label="Rehearse on 30 days" look="" to=RehearsePolicy::PATH/><Submit label="Save"/></div>
            </Form>
        </Dialog>
    }
}

/// The places of a list for which something can be said while a policy is made. Those of a longer one
/// are usual at first.
const PLACES: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];

/// What is done when one of its models fails. `model`: its name, or its place in the list; `called`:
/// the same for people.
#[component]
fn StepFields(place: usize, model: String, called: String, rules: StepRules) -> impl IntoView {
    // Choices in seconds, and whatever was said elsewhere.
    const WAITS: [u16; 7] = [5, 10, 20, 30, 60, 120, 300];
    let words = rules.words();
    let attempts = (1..=StepRules::ATTEMPTS_MAX)
        .map(|times| {
            (
                format!("{model} {times}"),
                if times == 1 { "Once".to_owned() } else { format!("Up to {times} times") },
            )
        })
        .collect::<Vec<_>>();
    let mut waits: Vec<u16> = WAITS.into_iter().chain(rules.first_byte).collect();
    waits.sort_unstable();
    waits.dedup();
    let mut seconds = vec![(format!("{model} -"), "As its provider says".to_owned())];
    seconds.extend(waits.into_iter().map(|wait| (format!("{model} {wait}"), format!("{wait} seconds"))));
    let chosen = rules.first_byte.map_or_else(|| format!("{model} -"), |wait| format!("{model} {wait}"));
    let troubles = Trouble::ALL
        .iter()
        .map(|trouble| {
            let value = format!("{model} {trouble}");
            view! { <Check name="after[]" label=trouble.label() value checked=rules.after.has(*trouble)/> }
        })
        .collect_view();
    view! {
        <details class="step-rules">
            <summary>{format!("When {called} fails")}{(!words.is_empty()).then(|| view! { <span class="muted">{format!(" · {words}")}</span> })}</summary>
            <fieldset>
                <legend class="sr">{format!("When {called} fails")}</legend>
                <div class="pair">
                    <Select name=format!("attempts[{place}]") label="It is tried" options=attempts value=format!("{model} {}", rules.attempts) hint="Again only where nothing was executed: no connection, 429, 503, 529."/>
                    <Select name=format!("first_byte[{place}]") label="Its answer has to begin within" options=seconds value=chosen/>
                </div>
                <p class="label">"The next model is asked when"</p>
                <div class="checks">{troubles}</div>
                <p class="hint">"Any other failure is what the caller gets. Once an answer has begun, nobody else is asked."</p>
            </fieldset>
        </details>
    }
}
