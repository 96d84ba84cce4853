//! Calls in flight: what runs now, what it holds, and a way to end it.

use domain::{
    in_flight::{Flight, InFlight},
    money::grouped,
    time::ago,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::calls::FilterBar;
use crate::{
    api::in_flight::{EndCall, InFlightView, load_in_flight},
    filters::Filters,
    ui::{
        Card, Confirm, Empty, Head, Load, OpenDialog, Page, When,
        context::{frame, now, reads_groups},
    },
};

/// Calls in flight, the longest first, filtered by what the address says.
#[component]
pub fn InFlightPage() -> impl IntoView {
    let filters = Filters::here();
    let view = load_in_flight(filters.clone());
    view! {
        <Page title="Calls in flight" live=true running=true>
            <Load data=view let(view)><Content view filters/></Load>
        </Page>
    }
}

#[component]
fn Content(view: InFlightView, filters: Filters) -> impl IntoView {
    let InFlightView { list, named } = view;
    let any = !named.set.is_empty();
    let narrowed = named.narrowed;
    let crumbs = vec![("/calls".to_owned(), "Calls".to_owned())];
    let confirms =
        list.flights.iter().filter(|flight| flight.may_end && !flight.ending).map(confirm).collect_view();
    view! {
        <Head title="Calls in flight" note="the longest first" crumbs/>
        {narrowed.then(|| view! { <p class="lead">{if reads_groups() { "Your own calls, and those of the groups you lead." } else { "Your own calls." }}</p> })}
        <Facts list=list.clone()/>
        <FilterBar path="/calls/live" filters named any dated=false>""</FilterBar>
        <Card><Flights list any/></Card>
        {confirms}
    }
}

#[component]
fn Facts(list: InFlight) -> impl IntoView {
    let others = list.others();
    let note = match others {
        0 => "All of them are listed".to_owned(),
        1 => "1 is not listed: it began this second".to_owned(),
        others => format!("{} are not listed: most began this second", grouped(others.unsigned_abs())),
    };
    view! {
        <section class="facts three">
            <div><h2>"In flight"</h2><div class="big num">{grouped(list.calls.unsigned_abs())}</div><p class="under">{note}</p></div>
            <div><h2>"Money they hold"</h2><div class="big num">{list.cost.to_string()}</div><p class="under">"The most they can cost. What they do not use is free when they end"</p></div>
            <div><h2>"Tokens they hold"</h2><div class="big num">{grouped(list.tokens.unsigned_abs())}</div><p class="under">"Input and output together"</p></div>
        </section>
    }
}

#[component]
fn Flights(list: InFlight, any: bool) -> impl IntoView {
    if list.flights.is_empty() {
        let text = match any {
            true => "No call that lasts matches. Take a filter away, or wait: the page follows by itself.",
            false => {
                "Calls that take longer than a second are listed here while they run, with what they hold of the limits. The page follows by itself."
            }
        };
        return view! { <Empty title="Nothing lasts right now" text=text><a class="btn" href="/calls">"Finished calls"</a></Empty> }.into_any();
    }
    let rows = list.flights.into_iter().map(row).collect_view();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="Calls in flight">
            <table class="table">
                <thead><tr>
                    <th>"Began"</th><th>"Application"</th><th class="hide">"Model"</th><th class="hide">"How far"</th><th class="r hide">"Out"</th>
                    <th class="r">"Holds"</th><th><span class="sr">"Actions"</span></th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(flight: Flight) -> impl IntoView {
    let all = frame().may(domain::roles::Act::ReadOrganization);
    let link = move |href: String, name: String| {
        if all { view! { <a href=href>{name}</a> }.into_any() } else { view! { {name} }.into_any() }
    };
    let application = if reads_groups() {
        view! { <a href=format!("/applications/{}", flight.application.0)>{flight.application.1}</a> }
            .into_any()
    } else {
        view! { {flight.application.1} }.into_any()
    };
    let user =
        flight.user.map(|(id, name)| view! { <div class="sub">{link(format!("/users/{id}"), name)}</div> });
    let action = match (flight.ending, flight.may_end) {
        (true, _) => view! { <span class="muted">"ending"</span> }.into_any(),
        (false, true) => {
            view! { <OpenDialog name=format!("end-{}", flight.id) label="End" look="link danger"/> }
                .into_any()
        }
        (false, false) => ().into_any(),
    };
    let kilobytes = grouped(flight.bytes.unsigned_abs().div_ceil(1024));
    view! {
        <tr>
            <td class="nw"><When at=flight.at/><div class="sub">{ago(flight.at, now())}</div></td>
            <td>{application}{user}</td>
            <td class="hide"><span class="nw">{link(format!("/models/{}", flight.model.0), flight.model.1)}</span><div class="sub mono">{flight.route}</div></td>
            <td class="hide">{flight.phase.label()}{flight.streamed.then(|| view! { <div class="sub">"as a stream"</div> })}</td>
            <td class="r num hide">{format!("{kilobytes} kB")}</td>
            <td class="r num">{flight.cost.to_string()}<div class="sub">{format!("{} tokens", grouped(flight.tokens.unsigned_abs()))}</div></td>
            <td class="r">{action}</td>
        </tr>
    }
}

fn confirm(flight: &Flight) -> impl IntoView + use<> {
    let end = match flight.streamed {
        true => "Its caller keeps what has come and gets the end of an answer that was cut short.",
        false => "Its caller gets no answer, and is told that the call was ended.",
    };
    let used = match flight.bytes {
        0 => format!("Nothing has come back yet, so it is booked at the most it can cost, {}.", flight.cost),
        _ => format!("It is booked at what was written until then, at most {}.", flight.cost),
    };
    view! {
        <Confirm
            name=format!("end-{}", flight.id) title=format!("End this call of {}?", flight.application.1) to=EndCall::PATH label="End the call"
            fields=vec![("call", flight.id.to_string())] consequence=format!("{end} {used} The provider is hung up on. The log says who ended it.")
        />
    }
}
