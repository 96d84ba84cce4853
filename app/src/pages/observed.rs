//! Rules and limits that only observe: what each would have refused, and one button to make it so.

use domain::money::grouped;
use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    api::observed::{DropObserved, ObservedLine, PromoteObserved, RehearseObserved, Watching, load_observed},
    ui::{Badge, Card, Empty, Form, Head, Hidden, Load, Page, context::frame},
};

/// Every rule and limit that only observes.
#[component]
pub fn ObservedPage() -> impl IntoView {
    let observed = load_observed();
    view! { <Page title="Observed" live=true><Load data=observed let(lines)><Content lines/></Load></Page> }
}

#[component]
fn Content(lines: Vec<ObservedLine>) -> impl IntoView {
    let note = if lines.is_empty() { String::new() } else { lines.len().to_string() };
    let empty = lines.is_empty();
    let rows = lines.into_iter().map(|line| view! { <Line line/> }).collect_view();
    let crumbs = vec![("/authorization".to_owned(), "Authorization".to_owned())];
    view! {
        <Head title="Observed" note crumbs/>
        <p class="lead">"Rules and limits that refuse nothing and take note of what they would refuse. Counted over the last 90 days; promote one when the figures are what you meant."</p>
        <Card>
            {if empty {
                view! {
                    <Empty title="Nothing only observes" text="Choose “Only take note” for a rule or a limit, and what it would refuse is counted here until you promote it.">
                        <a class="btn" href="/authorization">"To the rules"</a><a class="btn" href="/limits">"To the limits"</a>
                    </Empty>
                }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Observed rules and limits">
                        <table class="table stack">
                            <thead><tr><th>"Rule or limit"</th><th>"Would have refused"</th><th>"Since"</th><th><span class="sr">"Actions"</span></th></tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
    }
}

#[component]
fn Line(line: ObservedLine) -> impl IntoView {
    let ObservedLine { id, kind, name, says, decides, href, calls, people, names, spend, noted, editable } =
        line;
    let was = says.clone();
    let instead = (kind == Watching::Rule).then(|| match decides.split_once(' ') {
        Some((_, says)) => format!("decides there now: {says}"),
        None => "no rule decides there now: closed".to_owned(),
    });
    let count = |number: i64| grouped(number.unsigned_abs());
    let figures = match calls {
        0 => view! { <span class="muted">"nothing so far"</span> }.into_any(),
        _ => {
            let word = if calls == 1 { "call" } else { "calls" };
            let whom = match people {
                0 => "of programs".to_owned(),
                1 => "of 1 person".to_owned(),
                people => format!("of {} people", count(people)),
            };
            let others = people - i64::try_from(names.len()).unwrap_or(people);
            let who = (!names.is_empty()).then(|| {
                let others = if others > 0 { format!(" and {} others", count(others)) } else { String::new() };
                view! { <details class="whom"><summary class="sub">"Who"</summary><p class="sub">{names.join(", ")}{others}</p></details> }
            });
            view! { <b class="num">{format!("{} {word}", count(calls))}</b><div class="sub num">{format!("{whom}, {spend}")}</div>{who} }.into_any()
        }
    };
    let since = noted.map(|(first, last)| {
        let zone = &frame().zone;
        view! { <span class="num">{zone.full(first)}</span><div class="sub num">{format!("last {}", zone.full(last))}</div> }
    });
    view! {
        <tr>
            <td><a href=href><b>{name}</b></a>" "<Badge text=kind.as_str()/><div class="sub num">{says}</div>{instead.map(|text| view! { <div class="sub num">{text}</div> })}</td>
            <td>{figures}</td>
            <td>{since}</td>
            <td class="acts"><div class="row end">{(kind == Watching::Quota).then(|| view! { <span class="muted">"goes with its rule"</span> })}{editable.then(|| view! {
                <Form to=RehearseObserved::PATH which=id.clone() class="inline" clone:id><Hidden name="id" value=id.clone()/><button class="link">"Rehearse"</button></Form>
                <Form to=PromoteObserved::PATH which=id.clone() class="inline" clone:id clone:was clone:decides><Hidden name="id" value=id.clone()/><Hidden name="was" value=was.clone()/><Hidden name="decides" value=decides.clone()/><button class="btn small">"Promote to enforced"</button></Form>
                <Form to=DropObserved::PATH which=id.clone() class="inline" clone:id clone:was><Hidden name="id" value=id.clone()/><Hidden name="was" value=was.clone()/><button class="link danger">"Drop"</button></Form>
            })}</div></td>
        </tr>
    }
}
