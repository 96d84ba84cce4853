//! The review inbox: what is new, what it costs, and who would have it.

use domain::roles::Act;
use leptos::{prelude::*, server_fn::ServerFn};

use super::{capital, models::FindModel};
use crate::{
    api::model_reviews::{AcceptReviews, DismissReviews, Reach, ReviewInbox, Waiting, load_reviews},
    ui::{
        Badge, Card, Check, Empty, Form, Head, Kind, Load, Page, Pager, Select, ShownFor, Submit, form, may,
        money::pair, query,
    },
};

/// How many groups are named of each state.
const NAMED: usize = 12;

/// Models that wait.
#[component]
pub fn ModelReviewsPage() -> impl IntoView {
    let inbox = load_reviews(query::value("after"), query::value("q"));
    view! { <Page title="Review inbox"><Load data=inbox let(inbox)><Content inbox/></Load></Page> }
}

#[component]
fn Content(inbox: ReviewInbox) -> impl IntoView {
    let ReviewInbox { waiting, total, next } = inbox;
    let edit = may(Act::EditCatalogue);
    let note = match total {
        0 => String::new(),
        1 => "1 model waits".to_owned(),
        total => format!("{total} models wait"),
    };
    let q = query::value("q");
    let list = if waiting.is_empty() && !q.is_empty() {
        view! {
            <Card><Empty title="No model matches" text="Part of its name is enough, or of its provider's."><a class="btn" href="/models/review">"Show all"</a></Empty></Card>
        }
        .into_any()
    } else if waiting.is_empty() {
        view! {
            <Card><Empty title="Nothing waits" text="Models that are added, found at a provider or taken from a price list land here, closed to everybody until somebody decides.">
                {edit.then(|| view! { <a class="btn" href="/providers">"Ask a provider what it offers"</a><a class="btn" href="/models/import">"Import a price list"</a> })}
            </Empty></Card>
        }
        .into_any()
    } else if edit {
        view! {
            <Form to=AcceptReviews::PATH also=DismissReviews::PATH class="inbox">
                <Lines waiting edit/>
                <div class="select-bar" role="group" aria-label="Those that are ticked">
                    <p class="review-note">"Accepted into the tier chosen in its line, each model is open to the groups that its line names, or by request for them, from the next call on; without a price, once it has one. Dismissed, it leaves the catalogue."</p>
                    <div class="row">
                        <Submit label="Accept"/>
                        <Submit label="Dismiss" look="danger" to=DismissReviews::PATH/>
                    </div>
                </div>
            </Form>
        }
        .into_any()
    } else {
        view! { <Lines waiting edit/> }.into_any()
    };
    view! {
        <Head title="Review inbox" note crumbs=vec![("/models".to_owned(), "Models".to_owned())]/>
        <p class="lead">"What is new stays closed until somebody decides, and cannot be called before."</p>
        {(total > 0).then(|| view! { <FindModel page="/models/review" q=q/> })}
        {list}
        <Pager next/>
    }
}

/// The table, made where it stands: its boxes belong to the form around it.
#[component]
fn Lines(waiting: Vec<Waiting>, edit: bool) -> impl IntoView {
    let rows = waiting.into_iter().map(|waiting| view! { <Line waiting edit/> }).collect_view();
    view! {
        <Card>
            <ShownFor><div class="scroll" tabindex="0" role="region" aria-label="Waiting for review">
                <table class="table stack">
                    <thead><tr><th>"Model"</th><th>"Price"</th><th class="review-tier-head">"Tier"</th><th>"Who would have it"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div></ShownFor>
        </Card>
    }
}

#[component]
fn Line(waiting: Waiting, edit: bool) -> impl IntoView {
    let Waiting { model, origin, caution, suggestion, reaches } = waiting;
    let id = model.id.to_string();
    let tick =
        edit.then(|| view! { <Check name="ids[]" label=format!("Choose {}", model.name) value=id.clone()/><input type="hidden" name=format!("seen[{id}]") value=model.version.to_string()/> });
    let prices = model.prices.filter(|dated| dated.prices.complete_for(model.modality));
    let priced = prices.is_some();
    let nobody = match model.modality.is_served(model.dialect) {
        true => "Nobody: no rule opens it.".to_owned(),
        false => {
            format!("Nobody, whatever the rules say: models for {} are not served here.", model.modality)
        }
    };
    let price = match prices {
        Some(dated) => view! {
            <span class="num">{pair(&dated.prices)}</span><div class="sub">"per million"{origin.map(|origin| format!(" · {origin}"))}</div>
            {caution.map(|caution| view! { <div class="sub">{caution}</div> })}
        }
        .into_any(),
        None => view! {
            <Badge text="no price: cannot be called" kind=Kind::Bad/>
            {edit.then(|| view! { <div class="sub"><a class="link" href=format!("/models/{id}?dialog=prices")>"Set prices"</a></div> })}
        }
        .into_any(),
    };
    let fits = suggestion.as_ref().map(|suggestion| suggestion.tier);
    let options = reaches
        .iter()
        .map(|reach| (reach.tier.to_string(), label(reach, priced, fits == Some(reach.tier))))
        .collect::<Vec<_>>();
    let suggested = suggestion.map(|suggestion| {
        let name = reaches.iter().find(|reach| reach.tier == suggestion.tier).map(|reach| reach.name.clone());
        view! { <div class="sub">"Suggested: "{name.unwrap_or_default()}". "{suggestion.why}</div> }
    });
    let tier = if edit {
        view! { <div class="review-tier"><Select name=format!("tiers[{id}]") label=format!("Tier of {}", model.name) options value=model.tier.0.to_string()/></div> }.into_any()
    } else {
        view! { {model.tier.1.clone()} }.into_any()
    };
    // What is chosen in a form that was not taken is chosen still.
    let chosen = form::shown(&format!("tiers[{id}]"), &model.tier.0.to_string());
    let of_choice = reaches
        .iter()
        .cloned()
        .map(|reach| {
            let tier = reach.tier.to_string();
            let (away, nobody) = (tier != chosen, nobody.clone());
            view! { <div data-for=tier hidden=away><Who reach priced nobody named=false/></div> }
        })
        .collect_view();
    let each = (reaches.len() > 1).then(|| view! {
        <details class="as-table"><summary>"In each tier"</summary>{reaches.into_iter().map(|reach| view! { <Who reach priced nobody=nobody.clone() named=true/> }).collect_view()}</details>
    });
    view! {
        <tr>
            <td><div class="tick">{tick}<span><a href=format!("/models/{id}")><b class="mono">{model.name.clone()}</b></a><div class="sub">{format!("{} · {}", model.provider.1, model.upstream)}</div><div class="sub">{capital(model.modality.as_str())}</div></span></div></td>
            <td>{price}</td>
            <td>{tier}{suggested}</td>
            <td class="review-who">{of_choice}{each}</td>
        </tr>
    }
}

/// `general · 12 groups`, or `general · 12 groups once it has a price`.
fn label(reach: &Reach, priced: bool, suggested: bool) -> String {
    let groups = match (reach.open, reach.by_request) {
        (0, 0) => "nobody".to_owned(),
        (0, asked) => format!("{asked} by request"),
        (open, 0) => groups(open, reach.of),
        (open, asked) => format!("{}, {asked} by request", groups(open, reach.of)),
    };
    let once = if priced || reach.reaches_nobody() { "" } else { " once it has a price" };
    format!("{} · {groups}{once}{}", reach.name, if suggested { " (suggested)" } else { "" })
}

fn groups(count: usize, of: usize) -> String {
    match count {
        1 => "1 group".to_owned(),
        count if count == of => "every group".to_owned(),
        count => format!("{count} groups"),
    }
}

/// Which groups, in words.
#[component]
fn Who(
    reach: Reach,
    /// Whether it has a price: until then nobody can call it.
    priced: bool,
    /// What is said where nobody would have it.
    nobody: String,
    /// Whether the tier is said, too.
    named: bool,
) -> impl IntoView {
    let list = |paths: &[String]| {
        let mut named: Vec<String> = paths.iter().take(NAMED).cloned().collect();
        if paths.len() > NAMED {
            named.push(format!("{} more", paths.len() - NAMED));
        }
        named.join(", ")
    };
    let line = |word: &'static str, count: usize, paths: &[String]| {
        (count > 0).then(|| view! {
            <p><b>{word}" "</b><span class="num">{groups(count, reach.of)}</span>{(count < reach.of).then(|| view! { ": "{list(paths)} })}</p>
        })
    };
    let nobody = match (reach.reaches_nobody(), priced) {
        (true, _) => Some(nobody),
        (false, false) => Some("Nobody until it has a price. Then:".to_owned()),
        (false, true) => None,
    };
    view! {
        <div class="review-reach">
            {named.then(|| view! { <p class="review-in">{reach.name.clone()}{reach.high_cost.then_some(", high-cost")}</p> })}
            {nobody.map(|said| view! { <p class="muted">{said}</p> })}
            {line("Open to", reach.open, &reach.open_in)}
            {line("By request for", reach.by_request, &reach.by_request_in)}
        </div>
    }
}
