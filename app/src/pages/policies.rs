//! Routing policies.

mod steps;

use std::collections::BTreeMap;

use domain::{
    ids::ModelId,
    policies::{DEFAULT, Policy, Routing},
    roles::Act,
};
use leptos::{prelude::*, server_fn::ServerFn};

use steps::Steps;

use super::{choices, heirs::FindHeir};
use crate::{
    api::{
        my_models::Door,
        policies::{ArchivePolicy, Policies, SavePolicy, load_policies},
        rehearsals::RehearsePolicy,
    },
    ui::{
        Badge, Card, Confirm, Dialog, Empty, Field, Form, Head, Hidden, Kind, Load, OpenDialog, Page, Select,
        Submit, TextArea, may, query,
    },
};

/// How many models are named as a help to write them.
const NAMED: usize = 30;

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
    let Policies { policies, models, gone, doors } = policies;
    let many = models.len() > NAMED;
    let looked_for = query::value("find").trim().to_lowercase();
    let fits = |name: &&String| looked_for.is_empty() || name.to_lowercase().contains(&looked_for);
    let mut fitting: Vec<String> =
        models.iter().map(|(_, name)| name).filter(|name| !many || fits(name)).cloned().collect();
    let more = fitting.len().saturating_sub(NAMED);
    fitting.truncate(NAMED);
    let names = match (fitting.is_empty(), more) {
        (true, _) if looked_for.is_empty() => "There are none yet.".to_owned(),
        (true, _) => format!("None is called like {looked_for}."),
        (false, 0) => format!("There are {}.", fitting.join(", ")),
        (false, more) => format!("There are {}, and {more} more: look for one above.", fitting.join(", ")),
    };
    let empty = policies.is_empty();
    let rows = policies
        .iter()
        .map(|policy| {
            let id = policy.id.to_string();
            let steps = steps_text(policy)
                .replace('\n', if policy.routing == Routing::Fallback { " → " } else { " · " });
            let unusual = policy.steps.iter().filter_map(|(id, name, _)| {
                let words = policy.rules.get(id)?.words();
                Some(view! { <div class="sub">{format!("{name}: {words}")}</div> })
            });
            let unusual = unusual.collect_view();
            let left: Vec<&str> = policy
                .steps
                .iter()
                .filter(|(id, ..)| gone.contains(id))
                .map(|(_, name, _)| name.as_str())
                .collect();
            let left = (!left.is_empty()).then(|| {
                let (names, all) = (left.join(", "), left.len() == policy.steps.len());
                let is = if left.len() == 1 { "is" } else { "are" };
                let then = if all { "every call to it is refused" } else { "passed over" };
                view! { <div class="sub"><Badge text=if all { "dead" } else { "archived" } kind=if all { Kind::Bad } else { Kind::Warn }/>{format!(" {names} {is} no longer in the catalogue: {then}.")}</div> }
            });
            let apart = apart(policy, &doors).map(|text| {
                // Whoever divides calls by weight did not mean that each API has its own.
                let weighs = policy.routing == Routing::Balance;
                let mark = weighs.then(|| view! { <Badge text="weights do not hold" kind=Kind::Warn/>" " });
                view! { <div class="sub">{mark}{text}</div> }
            });
            let instead = (policy.name == DEFAULT).then(|| view! { <div class="sub">"Calls to policy/default go here, whatever their key or group names."</div> });
            view! {
                <tr>
                    <td><b class="mono policy-name">{format!("policy/{}", policy.name)}</b>{instead}</td>
                    <td>{if policy.routing == Routing::Fallback { "Fallback" } else { "Balance" }}</td>
                    <td>{steps}{left}{apart}{unusual}</td>
                    <td class="beside"><div class="row end">{edit.then(|| view! {
                        <OpenDialog name=format!("policy-{id}") label="Edit" look="link"/>
                        <OpenDialog name=format!("archive-{id}") label="Archive" look="link danger"/>
                    })}</div></td>
                </tr>
            }
        })
        .collect_view();
    let dialogs = policies
        .into_iter()
        .filter(|_| edit)
        .map(|policy| {
            let fields = vec![("id", policy.id.to_string()), ("version", policy.version.to_string())];
            view! {
                <Confirm
                    name=format!("archive-{}", policy.id) title=format!("Archive policy/{}?", policy.name) to=ArchivePolicy::PATH label="Archive the policy" fields typed=policy.name.clone()
                    consequence="Calls to it are refused from now on. It can be archived only when no key and no group names it any more. This cannot be undone."
                />
                <PolicyDialog policy=Some(policy) names=names.clone() many/>
            }
        })
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
        <PolicyDialog policy=None names many/>
    }
}

/// What a policy whose models answer in several places comes to: nothing is translated from one API to
/// another, so a call goes to those of its own alone.
fn apart(policy: &Policy, doors: &[(ModelId, Door)]) -> Option<String> {
    let mut at = BTreeMap::<Door, Vec<&str>>::new();
    for (id, name, _) in &policy.steps {
        if let Some((_, door)) = doors.iter().find(|(model, _)| model == id) {
            at.entry(*door).or_default().push(name);
        }
    }
    let goes =
        |(door, names): (&Door, &Vec<&str>)| format!("calls to {} go to {}", door.called(), names.join(", "));
    let parts: Vec<String> = at.iter().map(goes).collect();
    (parts.len() > 1)
        .then(|| format!("Nothing is translated: {}, and to nothing else of it.", parts.join("; ")))
}

/// One line each: the model, and its weight in a balance.
fn steps_text(policy: &Policy) -> String {
    let line = |(_, name, weight): &(_, String, i32)| {
        if policy.routing == Routing::Balance { format!("{name} {weight}") } else { name.clone() }
    };
    policy.steps.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[component]
fn PolicyDialog(policy: Option<Policy>, names: String, many: bool) -> impl IntoView {
    let id = policy.as_ref().map(|policy| policy.id.to_string()).unwrap_or_default();
    let version = policy.as_ref().map(|policy| policy.version.to_string()).unwrap_or_default();
    let dialog = if id.is_empty() { "new".to_owned() } else { format!("policy-{id}") };
    let title = if id.is_empty() { "New policy" } else { "Edit the policy" };
    let name = policy.as_ref().map(|policy| policy.name.clone()).unwrap_or_default();
    let routing = policy.as_ref().map(|policy| policy.routing.to_string()).unwrap_or_default();
    let steps = policy.as_ref().map(steps_text).unwrap_or_default();
    view! {
        <Dialog name=dialog.clone() title>
            {many.then(|| view! {
                <FindHeir page="/policies" dialog=dialog.clone() what="Model"/>
                <p class="hint unscripted">"Look for names first: looking begins the form below anew."</p>
            })}
            <Form to=SavePolicy::PATH also=RehearsePolicy::PATH which=dialog.clone()>
                <Hidden name="id" value=id.clone()/>
                <Hidden name="version" value=version.clone()/>
                <Field name="name" label="Name" mono=true value=name.clone() placeholder="prod-chat" hint="Callers write policy/ and this. One called default takes the calls to policy/default from every key’s and group’s own."/>
                <Select name="routing" label="Chooses" options=routings() value=routing.clone()/>
                <Steps prefix=dialog.clone() policy=policy.clone()>
                    <TextArea name="steps" label="Models" value=steps.clone() rows=4 hint=format!("One a line, in order; for a balance with its weight: small-chat 3. {names}")/>
                </Steps>
                <div class="row end"><Submit label="Rehearse on 30 days" look="" to=RehearsePolicy::PATH/><Submit label="Save"/></div>
            </Form>
        </Dialog>
    }
}
