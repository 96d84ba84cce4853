//! What calls said: the card on an application that says whether it is kept, and the one on a call.

use domain::{prompts::DAYS_MAX, roles::Act};
use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    api::prompts::{KeepPrompts, ReadPrompt, load_keeping, load_kept},
    ui::{Card, Dialog, Field, Form, Hidden, OpenDialog, Submit, When, load::waited, may},
};

/// Whether an application keeps what its calls say.
#[component]
pub fn Keeping(
    /// Which.
    application: String,
) -> impl IntoView {
    let edit = may(Act::EditOrganization);
    let days = load_keeping(application.clone());
    waited(async move {
        let Ok(days) = days.await else { return ().into_any() };
        let told = match days {
            Some(1) => "Requests and answers are kept for a day, sealed. Owners and auditors can read them, every time on the record.".to_owned(),
            Some(days) => format!("Requests and answers are kept for {days} days, sealed. Owners and auditors can read them, every time on the record."),
            None => "Nothing of what its calls say is kept: only who called what, when, and at what cost.".to_owned(),
        };
        let value = days.map(|days| days.to_string()).unwrap_or_default();
        view! {
            <Card title="What is said" actions=ViewFn::from(move || view! { {edit.then(|| view! { <OpenDialog name="prompts" label="Change" look="btn small"/> })} })>
                <p class="pad">{told}</p>
            </Card>
            <Dialog name="prompts" title="Keep what is said?">
                <Form to=KeepPrompts::PATH>
                    <Hidden name="application" value=application.clone()/>
                    <Hidden name="was" value=value.clone()/>
                    <p>"From the next call on, request and answer of every call are kept: the first 64 kB of each, sealed with the master key. Tell the people who use this application. Emptied, nothing is kept from now on, and what was kept is deleted."</p>
                    <Field name="days" label="Days to keep each" inputmode="numeric" optional=true value=value hint=format!("1 to {DAYS_MAX}. Empty: keep nothing.")/>
                    {days.map(|_| view! { <Field name="typed" label="To keep less than now, type the application's name" optional=true hint="What is older is deleted, and cannot be brought back."/> })}
                    <div class="row end"><Submit label="Save"/></div>
                </Form>
            </Dialog>
        }
        .into_any()
    })
}

/// What a call said, where it is kept.
#[component]
pub fn Kept(
    /// Which call.
    call: String,
) -> impl IntoView {
    let reads = may(Act::ReadPrompts);
    let kept = may(Act::ReadOrganization).then(|| load_kept(call.clone()));
    waited(async move {
        let until = match kept {
            Some(kept) => kept.await.ok().flatten(),
            None => None,
        };
        let Some(until) = until else { return ().into_any() };
        view! {
            <Card title="What was said">
                <p class="pad">"Request and answer are kept until "<When at=until/>". "{if reads { "Reading them goes on the record." } else { "Owners and auditors can read them." }}</p>
                {reads.then(|| view! {
                    <Form to=ReadPrompt::PATH class="pad">
                        <Hidden name="call" value=call.clone()/>
                        <div class="row"><Submit label="Read what was said" look=""/></div>
                    </Form>
                })}
            </Card>
        }
        .into_any()
    })
}
