//! Webhooks: where programs are told of alerts.

use domain::{
    alerts::AlertKind,
    notices::Sending,
    roles::Act,
    webhooks::{Delivery, Webhook},
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::param;
use crate::{
    api::webhooks::{
        ArchiveWebhook, CreateWebhook, EditWebhook, ReplayDelivery, TestWebhook, WebhookView, load_webhook,
    },
    ui::{
        Ago, Badge, Card, Check, Confirm, Dialog, Empty, Field, Form, Head, Hidden, Kind, Load, OpenDialog,
        Page, Pager, Submit, When, may,
    },
};

/// What became of a message.
#[component]
fn SendingMark(state: Sending) -> impl IntoView {
    let (text, kind) = match state {
        Sending::Due => ("Being tried", Kind::Warn),
        Sending::Sent => ("Delivered", Kind::Good),
        Sending::Failed => ("Given up", Kind::Bad),
    };
    view! { <Badge text kind/> }
}

fn words(kinds: &[AlertKind]) -> String {
    kinds.iter().map(|kind| kind.label()).collect::<Vec<_>>().join(", ")
}

/// Every webhook, on the page that says how to be told.
#[component]
pub fn Webhooks(
    /// Those there are.
    webhooks: Vec<Webhook>,
    /// Whether whoever looks may add one.
    edit: bool,
) -> impl IntoView {
    let empty = webhooks.is_empty();
    let rows = webhooks
        .into_iter()
        .map(|webhook| {
            let last = match webhook.last {
                Some((at, state)) => view! { <SendingMark state/>" "<Ago at=Some(at)/> }.into_any(),
                None => view! { <span class="muted">"nothing sent yet"</span> }.into_any(),
            };
            view! {
                <tr>
                    <td class="mono wrap"><a href=format!("/webhooks/{}", webhook.id)><b>{webhook.url}</b></a></td>
                    <td>{words(&webhook.kinds)}</td>
                    <td>{last}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="Webhooks" note="signed as the Standard Webhooks specification says" actions=ViewFn::from(move || view! { {edit.then(|| view! { <OpenDialog name="webhook" label="New webhook" look="btn small"/> })} })>
            {if empty {
                view! { <Empty title="No webhooks" text="A webhook tells a program of every alert: a chat, a ticket system, a pager."/> }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Webhooks">
                        <table class="table stack">
                            <thead><tr><th>"Address"</th><th>"Alerts"</th><th>"Last message"</th></tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
        {edit.then(|| view! {
            <Dialog name="webhook" title="New webhook">
                <Form to=CreateWebhook::PATH>
                    <Field name="url" label="Address" mono=true placeholder="https://hooks.acme.example/bursar"/>
                    <fieldset><legend>"Of which alerts"</legend>
                        {AlertKind::ALL.iter().map(|kind| view! { <Check name="kinds[]" label=kind.label() value=kind.to_string() checked=true/> }).collect_view()}
                    </fieldset>
                    <Check name="allow_private_address" label="It is on this machine or in a private network"/>
                    <p class="hint">"The secret that messages are signed with is shown once, after this."</p>
                    <div class="row end"><Submit label="Add the webhook"/></div>
                </Form>
            </Dialog>
        })}
    }
}

/// A webhook and its log.
#[component]
pub fn WebhookPage() -> impl IntoView {
    let view = load_webhook(param("id"), crate::ui::query::value("after"));
    view! { <Page title="Webhook" live=true><Load data=view let(view)><Content view/></Load></Page> }
}

#[component]
fn Content(view: WebhookView) -> impl IntoView {
    let WebhookView { webhook, deliveries, next } = view;
    let edit = may(Act::EditOrganization);
    let id = webhook.id.to_string();
    let editing = edit.then(|| webhook.clone());
    let crumbs = vec![
        ("/alerts".to_owned(), "Alerts".to_owned()),
        ("/alerts/settings".to_owned(), "How to be told".to_owned()),
    ];
    let empty = deliveries.is_empty();
    let rows = deliveries.into_iter().map(|delivery| view! { <Line delivery edit/> }).collect_view();
    let url = webhook.url.clone();
    view! {
        <Head title="Webhook" crumbs>
            {edit.then(|| view! {
                <Form to=TestWebhook::PATH class="inline"><Hidden name="id" value=id.clone()/><Submit label="Send a test" look=""/></Form>
                <OpenDialog name="edit" label="Edit"/>
                <OpenDialog name="archive" label="Remove"/>
            })}
        </Head>
        {editing.map(|webhook| view! { <EditDialog webhook/> })}
        <Card title="Connection">
            <dl class="facts-list">
                <dt>"Address"</dt><dd class="mono">{webhook.url.clone()}</dd>
                <dt>"Alerts"</dt><dd>{words(&webhook.kinds)}</dd>
                <dt>"Private address"</dt><dd>{if webhook.allow_private_address { "Allowed" } else { "Not allowed" }}</dd>
                <dt>"Since"</dt><dd><When at=webhook.created_at/></dd>
            </dl>
        </Card>
        <Card title="Deliveries" note="tried again for a day, then given up">
            {if empty {
                view! { <Empty title="Nothing sent yet" text="Every message and what came back stands here. Send a test to see whether it arrives."/> }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Deliveries">
                        <table class="table stack">
                            <thead><tr><th>"When"</th><th>"What"</th><th>"State"</th><th>"Answer"</th><th><span class="sr">"Actions"</span></th></tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
        <Pager next=next.map(|id| id.to_string())/>
        <Confirm
            name="archive" title="Remove the webhook?" to=ArchiveWebhook::PATH label="Remove it" fields=vec![("id", webhook.id.to_string()), ("version", webhook.version.to_string())] typed=url
            consequence="Nothing is sent there any more, and what waits is given up. Its secret is of no use afterwards. This cannot be undone."
        />
    }
}

#[component]
fn EditDialog(webhook: Webhook) -> impl IntoView {
    view! {
        <Dialog name="edit" title="Edit the webhook">
            <Form to=EditWebhook::PATH>
                <Hidden name="id" value=webhook.id.to_string()/>
                <Hidden name="version" value=webhook.version.to_string()/>
                <Field name="url" label="Address" mono=true value=webhook.url.clone()/>
                <fieldset><legend>"Of which alerts"</legend>
                    {AlertKind::ALL.iter().map(|kind| view! { <Check name="kinds[]" label=kind.label() value=kind.to_string() checked=webhook.kinds.contains(kind)/> }).collect_view()}
                </fieldset>
                <Check name="allow_private_address" label="It is on this machine or in a private network" checked=webhook.allow_private_address/>
                <p class="hint">"The secret stays the same. What waits to be delivered goes to the new address."</p>
                <div class="row end"><Submit label="Save"/></div>
            </Form>
        </Dialog>
    }
}

#[component]
fn Line(delivery: Delivery, edit: bool) -> impl IntoView {
    let id = delivery.id.to_string();
    let due = delivery.state == Sending::Due;
    let status = delivery.status.map(|status| format!("{status} "));
    let tries = match delivery.tries {
        1 => "once".to_owned(),
        tries => format!("{tries} times"),
    };
    let label = format!("Send again: {} {}", delivery.kind, id);
    view! {
        <tr>
            <td class="nw"><When at=delivery.created_at/>{delivery.replay.then(|| view! { <div class="sub">"played again"</div> })}</td>
            <td><details class="hook-body"><summary class="mono">{delivery.kind}</summary><pre class="lines" tabindex="0">{delivery.body}</pre></details></td>
            <td class="beside"><SendingMark state=delivery.state/><div class="sub">{if due && delivery.tries > 0 {
                view! { "tried "{tries}", next "<When at=delivery.next_at/> }.into_any()
            } else if due {
                view! { "not before "<When at=delivery.next_at/> }.into_any()
            } else {
                view! { "tried "{tries} }.into_any()
            }}</div></td>
            <td class="hook-answer mono">{status}{delivery.answer}</td>
            <td><div class="row end">{(edit && !due).then(|| view! {
                <Form to=ReplayDelivery::PATH which=id.clone() class="inline"><Hidden name="id" value=id.clone()/><button class="link" aria-label=label>"Send again"</button></Form>
            })}</div></td>
        </tr>
    }
}
