//! Recommendations: what the figures suggest, each one click from the form that does it.

use domain::{
    money::{Money, grouped},
    recommendations::{Kind as What, Recommendation, SHORT_INPUT, SHORT_OUTPUT},
    roles::{Act, Place},
};
use leptos::{prelude::*, server_fn::ServerFn};

use crate::ui::{Dialog, OpenDialog, Submit};
use crate::{
    api::recommendations::{DismissRecommendation, load_recommendations},
    ui::{Badge, Card, Empty, Field, Form, Head, Hidden, Kind, Load, Page, context::frame, query},
};

/// Every recommendation that concerns whoever looks.
#[component]
pub fn RecommendationsPage() -> impl IntoView {
    let found = load_recommendations();
    view! {
        <Page title="Recommendations">
            <Load data=found let(found)><Content found/></Load>
        </Page>
    }
}

#[component]
fn Content(found: Vec<Recommendation>) -> impl IntoView {
    let saves = Money(found.iter().map(|one| one.saves.0).sum());
    let note = found.len().to_string();
    let kinds = What::ALL
        .iter()
        .filter_map(|kind| {
            let some: Vec<Recommendation> = found.iter().filter(|one| one.kind == *kind).cloned().collect();
            (!some.is_empty()).then(|| view! { <Card title=kind.label() note=some.len().to_string()><Recommended found=some/>{assumption(*kind)}</Card> })
        })
        .collect_view();
    view! {
        <Head title="Recommendations" note=note/>
        <p class="lead">"What the figures suggest, each explained by them. Nothing is done by itself: a button leads to the form that does it."{(saves.0 > 0).then(|| format!(" Together they would save about {saves} a month."))}</p>
        {if found.is_empty() {
            view! { <Card><Empty title="Nothing to recommend" text="The figures are looked at a few times an hour: models, limits, secrets, and who works for which group. What is worth a look stands here."/></Card> }.into_any()
        } else {
            kinds.into_any()
        }}
    }
}

/// What a kind takes for granted, where its figures do not say it.
fn assumption(kind: What) -> impl IntoView {
    (kind == What::Cheaper).then(|| {
        let text = format!(
            "Short calls are taken for ones that a cheaper model can answer, too: those with at most {} tokens in and {} out on average. Suggested is the next class below that costs at most half, holds these calls, and has answered here with what they use: tools, schemas, images, reasoning.",
            grouped(SHORT_INPUT.unsigned_abs()),
            grouped(SHORT_OUTPUT.unsigned_abs()),
        );
        view! { <p class="note-line">{text}</p> }
    })
}

/// A list of recommendations, with dialogs to put them aside.
#[component]
pub fn Recommended(
    /// Those to list.
    found: Vec<Recommendation>,
) -> impl IntoView {
    let dialog = query::value("dialog");
    let items = found
        .into_iter()
        .map(|one| {
            let frame = frame();
            let place = if one.path.is_empty() { Place::Organization } else { Place::Group(&one.path) };
            let decides = frame.allows(Act::ReviewAccess, place);
            let name = format!("dismiss-{}", one.topic.replace(' ', "-"));
            let open = decides && dialog == name;
            let (topic, figures) = (one.topic.clone(), one.figures.clone());
            view! {
                <li class="recommendation">
                    <div>
                        <b>{one.title.clone()}</b>{(one.saves.0 > 0).then(|| view! { " "<Badge text=format!("saves {} a month", one.saves) kind=Kind::Good/> })}
                        <p class="muted">{one.body}</p>
                    </div>
                    {decides.then(|| view! {
                        <div class="row end">
                            <a class="btn small" href=one.href>{one.action}</a>
                            <OpenDialog name=name.clone() label="Dismiss" look="link"/>
                        </div>
                    })}
                    {open.then(|| view! {
                        <Dialog name=name title="Put this aside?">
                            <Form to=DismissRecommendation::PATH>
                                <p><b>{one.title.clone()}</b></p>
                                <Hidden name="topic" value=topic.clone()/><Hidden name="figures" value=figures.clone()/>
                                <Field name="reason" label="Why" placeholder="Needed again in spring" hint="It stands in the audit log. It comes back only when its figures change."/>
                                <div class="row end"><Submit label="Put it aside"/></div>
                            </Form>
                        </Dialog>
                    })}
                </li>
            }
        })
        .collect_view();
    view! { <ul class="list recommendations">{items}</ul> }
}
