//! Which team may use which model: the matrix, one cell of it, and drafts of several.

mod draft;
mod matrix;
mod rule;

use domain::{
    authorizations::{Edit, Say, State},
    limits::Mode,
    models::NOT_SERVED,
    roles::Act,
};
use leptos::prelude::*;

pub use self::{draft::DraftPage, matrix::AuthorizationPage, rule::RulePage};
use super::choices;
use crate::{
    api::authorizations::Line,
    ui::{Badge, Card, Empty, Kind, StateMark, context::frame, may},
};

/// What of the matrix's address goes along to where an edit leads, and comes back.
const LOOK: [&str; 7] = ["open", "unfold", "fold", "q", "after", "at", "model"];

/// How the matrix is looked at now, as one query.
fn look() -> String {
    let pairs: Vec<String> = LOOK
        .into_iter()
        .map(|name| (name, crate::ui::query::value(name)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", crate::ui::query::encoded(&value)))
        .collect();
    pairs.join("&")
}

/// What can be said in a cell.
fn says() -> Vec<(String, String)> {
    let mut says = choices(State::ALL, |state| state.label().to_owned());
    says.push(("inherit".to_owned(), "Nothing: inherit".to_owned()));
    says
}

/// `Closed, locked, until 31 Dec 2026`; `Nothing of its own`.
fn said(say: Option<Say>) -> String {
    let Some(say) = say else { return "Nothing of its own".to_owned() };
    let mut words = vec![say.state.label().to_owned()];
    if say.locked {
        words.push("locked".to_owned());
    }
    words.extend(last_day(say).map(|day| format!("until {}", domain::time::date(day))));
    words.join(", ")
}

/// The last day on which a rule counts.
fn last_day(say: Say) -> Option<chrono::NaiveDate> {
    let last = say.ends_at? - chrono::Duration::seconds(1);
    Some(frame().zone.local(last).date())
}

/// What is staged in a cell: the class of its sign, and words.
fn staged(edit: &Edit, above: State, held: bool) -> (&'static str, String) {
    crate::ui::grid::staged(edit, above.label(), held)
}

/// How a rule can stand.
fn modes() -> Vec<(String, String)> {
    choices(Mode::ALL, |mode| match mode {
        Mode::Enforce => "Decide".to_owned(),
        Mode::Observe => "Only take note of what it would refuse".to_owned(),
    })
}

/// What a group may do with each model, on the group's page.
#[component]
pub fn Lines(models: Vec<Line>, group: String) -> impl IntoView {
    let open = models.iter().filter(|line| line.state == State::Open && line.obstacle.is_none()).count();
    let (empty, all) = (models.is_empty(), may(Act::ReadOrganization));
    let why = |model: &str| super::why::href(&[("who", &group), ("model", model)]);
    let rows = models
        .into_iter()
        .map(|line| view! {
            <tr>
                <td>{if all {
                    view! { <a href=format!("/models/{}", line.model)><span class="mono">{line.name.clone()}</span></a> }.into_any()
                } else {
                    view! { <span class="mono">{line.name.clone()}</span> }.into_any()
                }}</td>
                <td class="hide">{line.tier}</td>
                <td>{match line.obstacle {
                    // What cannot be called is not open, whatever was said about it.
                    Some(why) if line.state != State::Closed => {
                        // What is not served will not be, once something was done.
                        let then = (why != NOT_SERVED).then(|| format!("then {}", line.state.label().to_lowercase()));
                        view! { <Badge text=why kind=Kind::Bad/><div class="sub">{then}</div> }.into_any()
                    }
                    why => view! { <StateMark state=line.state/>{why.map(|why| view! { " "<Badge text=why kind=Kind::Bad/> })} }.into_any(),
                }}</td>
                <td class="muted"><a href=why(&line.name)>{line.from.map_or_else(|| "nothing said".to_owned(), |from| format!("from {from}"))}</a></td>
            </tr>
        })
        .collect_view();
    view! {
        <Card title="Models" note=format!("{open} open") actions=ViewFn::from(|| view! { <a class="btn small" href="/authorization">"In the matrix"</a> })>
            {if empty {
                view! { <Empty title="No models yet" text="The catalogue is empty."/> }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Models"><table class="table" id=format!("models-of-{group}")>
                        <thead><tr><th>"Model"</th><th class="hide">"Tier"</th><th>"State"</th><th>"Why"</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table></div>
                }.into_any()
            }}
        </Card>
    }
}
