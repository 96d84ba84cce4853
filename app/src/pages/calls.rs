//! The last calls.

use domain::{
    money::grouped,
    spend::{CallRow, Outcome},
};
use leptos::prelude::*;

use crate::{
    api::calls::load_calls,
    ui::{Badge, Card, Empty, Head, Kind, Load, Page, When, query},
};

/// Finished calls, the newest first.
#[component]
pub fn CallsPage() -> impl IntoView {
    let (application, user, model) =
        (query::value("application"), query::value("user"), query::value("model"));
    let calls = load_calls(application, user, model);
    view! {
        <Page title="Calls" live=true>
            <Load data=calls let(calls)>
                <Head title="Calls" note="the last 100"/>
                <Card><CallTable calls/></Card>
            </Load>
        </Page>
    }
}

/// `840 ms`, `2.4 s`.
fn took(milliseconds: i64) -> String {
    if milliseconds < 1000 {
        format!("{milliseconds} ms")
    } else {
        format!("{:.1} s", milliseconds as f64 / 1000.0)
    }
}

/// A table of calls.
#[component]
pub fn CallTable(calls: Vec<CallRow>) -> impl IntoView {
    if calls.is_empty() {
        return view! { <Empty title="No calls yet" text="Every finished call is listed here with its tokens and its cost."/> }.into_any();
    }
    let rows = calls
        .into_iter()
        .map(|call| {
            let outcome = match call.outcome {
                Outcome::Ok => None,
                Outcome::UpstreamError => Some(("Provider failed", Kind::Bad)),
                Outcome::HungUp => Some(("Caller hung up", Kind::Warn)),
                Outcome::Lost => Some(("Lost, counted in full", Kind::Bad)),
            };
            let (application, user) = (call.application, call.user);
            view! {
                <tr>
                    <td class="nw"><When at=call.at/></td>
                    <td>
                        <a href=format!("/applications/{}", application.0)>{application.1}</a>
                        {user.map(|(id, name)| view! { <div class="sub"><a href=format!("/users/{id}")>{name}</a></div> })}
                    </td>
                    <td>
                        <a class="nw" href=format!("/models/{}", call.model.0)>{call.model.1}</a>
                        {call.policy.map(|name| view! { <div class="sub mono">{format!("policy/{name}")}</div> })}
                        {call.use_case.map(|label| view! { <div class="sub">{label}</div> })}
                    </td>
                    <td class="r num hide">{grouped(call.usage.input_tokens())}</td>
                    <td class="r num hide">{grouped(call.usage.output_tokens())}</td>
                    <td class="r num hide">{took(call.duration_ms)}</td>
                    <td class="r num">
                        {call.cost.to_string()}
                        {call.estimated.then(|| view! { " "<Badge text="estimated" kind=Kind::Warn/> })}
                        {outcome.map(|(text, kind)| view! { <div><Badge text=text kind/></div> })}
                    </td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="Calls">
            <table class="table">
                <thead><tr>
                    <th>"When"</th><th>"Application"</th><th>"Model"</th><th class="r hide">"Input"</th><th class="r hide">"Output"</th>
                    <th class="r hide">"Took"</th><th class="r">"Cost"</th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}
