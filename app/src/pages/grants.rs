//! What was agreed to: how much of it is left, whether it does anything now, and its end.

use domain::{
    limits::Level,
    requests::{Granted, Made, Request, RequestState, Wish},
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::requests::{RequestMark, What, asked};
use crate::{
    api::requests::EndGrant,
    ui::{Card, Confirm, Empty, Meter, OpenDialog, When},
};

/// A grant: how much of it is left, and until when.
#[component]
pub fn GrantMeter(
    /// What was agreed to.
    grant: Granted,
    /// Of what.
    wish: Wish,
) -> impl IntoView {
    let level = Level { settled: grant.used.0, held: grant.held.0 };
    let text = format!("{} of {} used, {}", grant.used, wish.show(grant.cap), grant.share());
    let until = match grant.revoked_at {
        Some(at) => view! { " · ended "<When at/> }.into_any(),
        None => view! { " · until "<When at=grant.ends_at/> }.into_any(),
    };
    view! { <Meter level cap=grant.cap.0 text=text.clone()/><p class="under num">{text}{until}</p> }
}

/// What was agreed to, on the page of its request.
#[component]
pub fn GrantCard(
    /// The request it came of.
    id: String,
    /// What was agreed to.
    grant: Granted,
    /// Of what.
    wish: Wish,
    /// What became of it.
    state: RequestState,
    /// Why it does nothing now.
    idle: Option<String>,
    /// Whether whoever looks may end it.
    ends: bool,
) -> impl IntoView {
    let holds = state == RequestState::Approved;
    let raise = wish.is_raise();
    let note = match (holds, raise) {
        (true, false) if idle.is_some() => "does nothing now",
        (true, false) => "counted for itself",
        (true, true) if grant.stands() => "the limit has this cap",
        (true, true) => "a higher one holds now",
        (false, _) => "over",
    };
    let (title, ask, consequence) = if raise {
        let then = match (grant.stands(), grant.made) {
            (true, Made::Raise { before: Some(before), .. }) => {
                format!("The limit is at once {}.", wish.show(before))
            }
            (true, _) => "At once the organization's default holds.".to_owned(),
            (false, _) => "The limit stays as it is now, and does not fall back to this one.".to_owned(),
        };
        let consequence =
            format!("{then} What was used of it stays used: calls that do not fit are refused.");
        ("The raised limit", "End it before its day?", consequence)
    } else {
        (
            "The grant",
            "End the grant?",
            "The next call is refused again until somebody agrees to a new request. Calls in flight are finished; what was spent stays on the books.".to_owned(),
        )
    };
    let after = (holds && raise).then(|| afterwards(&grant, &wish));
    view! {
        <Card title=title note actions=ViewFn::from(move || view! { {(ends && holds).then(|| view! { <OpenDialog name="end" label="End it now" look="btn small"/> })} })>
            <div class="pad">{idle.filter(|_| holds && !raise).map(|text| view! { <p class="banner warn" role="status">{text}</p> })}<GrantMeter grant wish/>{after.map(|text| view! { <p class="under">{text}</p> })}</div>
        </Card>
        {(ends && holds).then(|| view! {
            <Confirm
                name="end" title=ask to=EndGrant::PATH label="End it" fields=vec![("id", id)]
                consequence=consequence
            />
        })}
    }
}

/// What holds when a raised limit ends.
fn afterwards(grant: &Granted, wish: &Wish) -> String {
    match grant.made {
        Made::Raise { now: Some(now), .. } if now != grant.cap => {
            format!(
                "It is raised to {} for now; this holds again when that is over, until its own last day.",
                wish.show(now)
            )
        }
        Made::Raise { before: Some(before), .. } => format!("Then it is {} again.", wish.show(before)),
        Made::Raise { before: None, .. } => "Then the organization's default holds again.".to_owned(),
        Made::Grant(_) => String::new(),
    }
}

/// Requests and grants of one person or group, on its page.
#[component]
pub fn Grants(
    /// Those that wait, and those that hold.
    requests: Vec<Request>,
    /// What is said when there are none.
    empty: &'static str,
) -> impl IntoView {
    let none = requests.is_empty();
    let items = requests
        .into_iter()
        .map(|request| {
            let (amount, until) = asked(&request);
            let meter = match request.grant.clone() {
                Some(grant) => view! { <GrantMeter grant wish=request.wish.clone()/> }.into_any(),
                None => view! { <p class="under num">{format!("{amount} {until}")}</p> }.into_any(),
            };
            view! {
                <li>
                    <div class="row between">
                        <span><a href=format!("/requests/{}", request.id)><What wish=request.wish.clone()/></a>{(!request.wish.is_raise()).then(|| view! { <span class="sub">{format!(" for {}", request.whom())}</span> })}</span>
                        <RequestMark state=request.state/>
                    </div>
                    {meter}
                    {request.idle.map(|text| view! { <p class="under">{text}</p> })}
                </li>
            }
        })
        .collect_view();
    view! {
        <Card title="Requests and grants">
            {if none { view! { <Empty title="None" text=empty/> }.into_any() } else { view! { <ul class="list">{items}</ul> }.into_any() }}
        </Card>
    }
}
