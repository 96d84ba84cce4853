//! What a provider offers, beside what the catalogue has.

use domain::{models::NOT_SERVED, price_lists::listed_name, providers::Dialect};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{capital, param};
use crate::{
    api::offers::{Offer, Offers, TakeOffers, There, load_offers},
    ui::{
        Badge, Card, Check, Empty, Form, Head, Hidden, Kind, Load, Page, Pager, Submit, money::pair, query,
    },
};

/// What a provider offers.
#[component]
pub fn OffersPage() -> impl IntoView {
    let offers = load_offers(param("id"), query::value("q"), query::value("after"));
    view! { <Page title="Offered models"><Load data=offers let(offers)><Content offers/></Load></Page> }
}

#[component]
fn Content(offers: Offers) -> impl IntoView {
    let Offers { provider, good, sentence, new, total, next, known, gone, book, vendor_known } = offers;
    let (id, dialect) = (provider.id.to_string(), provider.dialect);
    let here = format!("/providers/{id}");
    let crumbs =
        vec![("/providers".to_owned(), "Providers".to_owned()), (here.clone(), provider.name.clone())];
    let name = provider.name.clone();
    let q = query::value("q");
    let empty = new.is_empty();
    let (note, search) = (if good { sentence.clone() } else { String::new() }, format!("{here}/offers"));
    let again = search.clone();
    let fresh = if !good {
        view! { <Card><Empty title="No list of models" text=sentence><a class="btn go" href=again>"Ask again"</a><a class="btn" href=here>"To its connection"</a></Empty></Card> }.into_any()
    } else if empty {
        let text = if q.is_empty() {
            "Everything it offers is in the catalogue."
        } else {
            "Nothing new has such a name."
        };
        view! { <Card title="New"><Empty title="Nothing new" text/></Card> }.into_any()
    } else {
        view! {
            <Form to=TakeOffers::PATH class="inbox">
                <Hidden name="provider" value=id.clone()/>
                <Card title="New" note=format!("{total} that the catalogue does not have")>
                    <New offers=new vendor_known dialect/>
                </Card>
                <div class="select-bar" role="group" aria-label="Those that are ticked">
                    <p class="review-note">"They land in the review inbox, closed to everybody until somebody decides."</p>
                    <div class="row"><Submit label="Take into the review inbox"/></div>
                </div>
            </Form>
        }
        .into_any()
    };
    let (known_count, gone_count) = (known.len(), gone.len());
    let known = known.into_iter().map(|(id, name, obstacle)| {
        let mark = match obstacle {
            Some(why) => view! { <Badge text=why kind=Kind::Warn/> }.into_any(),
            None => view! { <Badge text="callable" kind=Kind::Good/> }.into_any(),
        };
        view! { <tr><td><a href=format!("/models/{id}")><b class="mono">{name}</b></a></td><td class="r">{mark}</td></tr> }
    }).collect_view();
    let gone = gone.into_iter().map(|(id, name)| view! {
        <tr><td><a href=format!("/models/{id}")><b class="mono">{name}</b></a></td><td class="r"><Badge text="not offered" kind=Kind::Bad/></td></tr>
    }).collect_view();
    view! {
        <Head title="What it offers" note crumbs>
            <form method="get" action=search class="row" role="search">
                <input type="search" name="q" value=q class="find" placeholder="Name" aria-label="Name"/>
                <button class="btn">"Search"</button>
            </form>
        </Head>
        <p class="lead">{if vendor_known {
            format!("Its own list, asked for just now. Kinds and prices are those of the price book: {book}.")
        } else {
            format!("Its own list, asked for just now. The price book does not know {name}, so prices are for you to enter: it tells vendors by their address, or by a vendor's name in that of a provider.")
        }}</p>
        {fresh}
        <Pager next/>
        {(good && gone_count > 0).then(|| view! {
            <Card title="In the catalogue, and not offered" note="calls to these fail, or soon will"><table class="table"><thead class="sr"><tr><th>"Model"</th><th>"State"</th></tr></thead><tbody>{gone}</tbody></table></Card>
        })}
        {(good && known_count > 0).then(|| view! {
            <Card title="In the catalogue"><table class="table"><thead class="sr"><tr><th>"Model"</th><th>"State"</th></tr></thead><tbody>{known}</tbody></table></Card>
        })}
    }
}

/// What is said beside a model that the catalogue may have already: whose, and what this one would be called.
pub fn beside(upstream: &str, there: &There) -> String {
    let There { name, by, called } = there;
    let has = match name == listed_name(upstream) {
        true => format!("The catalogue has a model of this name, of {by}."),
        false => format!("The catalogue may have it already, of {by}: {name}."),
    };
    match called {
        Some(called) => format!("{has} Taken beside that, this one is called {called}."),
        None => has,
    }
}

/// The table, made where it stands: its boxes belong to the form around it.
#[component]
fn New(offers: Vec<Offer>, vendor_known: bool, dialect: Dialect) -> impl IntoView {
    let unpriced = if vendor_known { "not in the price book" } else { "no price known" };
    let rows = offers
        .into_iter()
        .map(|offer| {
            let name = offer.upstream;
            let there = offer.there.map(|there| beside(&name, &there));
            let tick = offer
                .fits
                .then(|| view! { <Check name="names[]" label=format!("Choose {name}") value=name.clone()/> });
            // As the catalogue says it of those it has.
            let served = offer.modality.is_served(dialect);
            let unserved = (!served && offer.fits).then(|| view! { <div><Badge text=NOT_SERVED kind=Kind::Bad/></div> });
            let price = match offer.prices {
                Some(prices) if prices.complete_for(offer.modality) => {
                    view! { <span class="num">{pair(&prices)}</span><div class="sub">"per million"</div> }
                        .into_any()
                }
                // Part of a price is none: nobody could call it.
                Some(_) => view! { <span class="muted">"only in part in the price book"</span> }.into_any(),
                None => view! { <span class="muted">{unpriced}</span> }.into_any(),
            };
            view! {
                <tr>
                    <td><div class="tick">{tick}<span><b class="mono review-name">{name}</b>{there.map(|there| view! { <div class="sub">{there}</div> })}</span></div></td>
                    <td class="beside">{capital(offer.modality.as_str())}{unserved}</td>
                    <td class="r">{price}</td>
                    <td>{offer.tier}<div class="sub">{offer.why}</div></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="New models">
            <table class="table stack">
                <thead><tr><th>"Name"</th><th>"Kind"</th><th class="r">"Input / output"</th><th>"Suggested tier"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}
