//! The processes that let calls through, and what is set aside for each.

use domain::{leases::Holder, money::grouped, roles::Act};
use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    api::leases::{TakeBack, load_holders},
    ui::{Ago, Badge, Card, Confirm, Empty, Kind, Load, OpenDialog, may},
};

/// Who has something set aside. What a process that never comes back had stays used up until
/// somebody takes it back.
#[component]
pub fn HoldersCard() -> impl IntoView {
    let holders = load_holders();
    view! { <Load data=holders let(holders)><Content holders/></Load> }
}

#[component]
fn Content(holders: Vec<Holder>) -> impl IntoView {
    let edit = may(Act::EditOrganization);
    if holders.is_empty() {
        return view! {
            <Card title="Processes" note="that let calls through">
                <Empty title="Nothing is set aside" text="Each process sets a little of every limit aside, so that it can let calls through without asking. What it does not need goes back within seconds."/>
            </Card>
        }
        .into_any();
    }
    let confirms = holders.iter().filter(|holder| edit && holder.lost).map(confirm).collect_view();
    let rows = holders
        .into_iter()
        .map(|holder| {
            let name = holder.replica.to_string();
            let short = name.get(name.len().saturating_sub(12)..).unwrap_or_default().to_owned();
            let lost = holder.lost;
            view! {
                <li class="row between">
                    <span>
                        <b class="mono" title=name.clone()>{format!("…{short}")}</b>{lost.then(|| view! { " "<Badge text="not heard of" kind=Kind::Bad/> })}
                        <span class="sub num">{format!("{} set aside, {} · heard of ", holder.money, windows(holder.leases))}<Ago at=holder.heard_at/></span>
                    </span>
                    {(edit && lost).then(|| view! { <OpenDialog name=format!("take-back-{name}") label="Take back" look="btn danger"/> })}
                </li>
            }
        })
        .collect_view();
    view! {
        <Card title="Processes" note="that let calls through"><ul class="list">{rows}</ul></Card>
        {confirms}
    }
    .into_any()
}

/// `on 7 windows`.
fn windows(count: i64) -> String {
    if count == 1 {
        "on 1 window".to_owned()
    } else {
        format!("on {} windows", grouped(count.unsigned_abs()))
    }
}

fn confirm(holder: &Holder) -> impl IntoView + use<> {
    let Holder { replica, money, held, calls, cost, .. } = holder;
    let calls_text = match *calls {
        0 => "It had told of no call in flight".to_owned(),
        1 => format!("The call in flight that it had told of is booked as lost, at {cost}"),
        calls => format!(
            "The {} calls in flight that it had told of are booked as lost, at {cost}",
            grouped(calls.unsigned_abs())
        ),
    };
    let consequence = format!(
        "{money} that is set aside for it can be used by others again. {calls_text}; its calls held up to {held} when it was last heard of. If it let more through before it went, that counts only if it comes back with its spool, and then on top of what others use: only do this when it is gone for good."
    );
    view! {
        <Confirm
            name=format!("take-back-{replica}") title="Take back what this process had set aside?" to=TakeBack::PATH label="Take it back"
            fields=vec![("replica", replica.to_string())] consequence
        />
    }
}
