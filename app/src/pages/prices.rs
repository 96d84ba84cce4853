//! Prices on the pages of models: what is in force, where it comes from, what was and what will be.

use chrono::SecondsFormat;
use domain::{
    ids::ModelId,
    models::Modality,
    money::Price,
    price_lists::Listed,
    prices::{self, DatedPrices, PriceKey, Priced},
};
use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    api::models::DropPrice,
    ui::{
        Badge, Confirm, Empty, Field, Kind, OpenDialog, When,
        context::{frame, now},
        money::pair,
    },
};

/// The price of one bucket.
#[component]
pub fn PriceField(
    /// Which.
    key: PriceKey,
    /// The prices there are.
    current: Option<prices::Prices>,
) -> impl IntoView {
    let value = current.and_then(|prices| prices.own(key)).map(|price| price.exact()).unwrap_or_default();
    view! { <Field name=key.as_str() label=key.label() value inputmode="decimal" optional=true/> }
}

/// What the price book says, and where that is something else than what holds. A model without a price has
/// nothing to differ in.
#[component]
pub fn InBook(
    /// What it says.
    listed: Listed,
    /// Which book.
    book: String,
    /// What holds.
    current: Option<prices::Prices>,
) -> impl IntoView {
    let caution = listed.caution();
    let dearest = listed.dearest();
    let show = |price: Option<Price>| price.map_or_else(|| "none".to_owned(), |price| price.to_string());
    let others = current.map(|current| {
        let other = |(key, says): &(PriceKey, Price)| current.own(*key) != Some(*says);
        let words = |(key, says): (PriceKey, Price)| {
            format!("{} {says}, here {}", key.label().to_lowercase(), show(current.own(key)))
        };
        dearest.set().filter(other).map(words).collect::<Vec<_>>()
    });
    let differs = others.as_ref().is_some_and(|others| !others.is_empty());
    let sentence = match others {
        Some(others) if differs => {
            format!("The price book says otherwise per million of {}. It is {book}.", others.join("; "))
        }
        Some(_) => format!("As in the price book: {book}."),
        None => format!("The price book says {} per million: {book}.", pair(&dearest)),
    };
    view! {
        <div class="price-book">
            <p class=if differs || current.is_none() { "" } else { "muted" }>{differs.then(|| view! { <Badge text="differs" kind=Kind::Warn/>" " })}{sentence}</p>
            {caution.map(|caution| view! { <p class="muted">{caution}</p> })}
        </div>
    }
}

/// What a model costs by bucket, and every price it had, has or will have.
#[component]
pub fn Prices(
    /// The newest first.
    prices: Vec<Priced>,
    /// What goes in and comes out.
    modality: Modality,
    /// The model and its version, where whoever looks may take back what is to come.
    #[prop(optional_no_strip)]
    edit: Option<(ModelId, i64)>,
) -> impl IntoView {
    if prices.is_empty() {
        return view! { <Empty title="No price" text="A model without a price cannot be called: what cannot be charged cannot be capped."/> }.into_any();
    }
    let current = prices.iter().find(|priced| priced.dated.from <= now()).cloned();
    let buckets = current.as_ref().map(|priced| view! { <Buckets priced=priced.clone() modality/> });
    let in_force = current.map(|priced| priced.dated.from);
    let rows = prices
        .into_iter()
        .map(|priced| {
            let list = priced.dated.prices.set().enumerate().map(|(place, (key, price))| view! {
                {(place > 0).then_some(" · ")}<span class="nw">{key.label()}" "<b class="num">{price.to_string()}</b></span>
            }).collect_view();
            let from = priced.dated.from;
            let mark = match () {
                () if Some(from) == in_force => Some(view! { <Badge text="in force" kind=Kind::Good/> }),
                () if from > now() => Some(view! { <Badge text="to come" kind=Kind::Warn/> }),
                () => None,
            };
            let drop = edit.filter(|_| from > now()).map(|edit| view! { <TakeBack dated=priced.dated edit/> });
            view! { <tr><td class="nw"><When at=from/></td><td>{list}<div class="sub">{priced.origin()}</div></td><td class="beside">{mark}" "{drop}</td></tr> }
        })
        .collect_view();
    view! {
        {buckets}
        <table class="table stack" aria-label="History">
            <thead><tr><th>"From"</th><th>"Prices"</th><th><span class="sr">"State"</span></th></tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

/// Takes back what is to come, after it was said what that is.
#[component]
fn TakeBack(dated: DatedPrices, edit: (ModelId, i64)) -> impl IntoView {
    let DatedPrices { from, prices } = dated;
    let (id, version) = edit;
    let name = format!("drop-{}", from.timestamp());
    let day = domain::time::date(frame().zone.local(from).date());
    let amounts = prices.set().map(|(key, price)| format!("{} {price}", key.label().to_lowercase()));
    let consequence = format!(
        "From {day} on it was to cost per million: {}. Instead it goes on at the price that holds before that.",
        amounts.collect::<Vec<_>>().join(", ")
    );
    let fields = vec![
        ("id", id.to_string()),
        ("version", version.to_string()),
        ("from", from.to_rfc3339_opts(SecondsFormat::Micros, true)),
    ];
    view! {
        <OpenDialog name=name.clone() label="Take back" look="link danger"/>
        <Confirm name title=format!("Take back the prices from {day}?") to=DropPrice::PATH label="Take them back" fields consequence/>
    }
}

/// Each bucket with its price, or whose price it takes.
#[component]
fn Buckets(priced: Priced, modality: Modality) -> impl IntoView {
    let rows = priced
        .dated
        .prices
        .applied(modality)
        .into_iter()
        .map(|(key, from, price)| {
            let note = (key != from).then(|| format!("takes the price of {}", from.label().to_lowercase()));
            let look = if note.is_some() { "faded" } else { "" };
            view! { <tr class=look><td>{key.label()}</td><td class="r num">{price.to_string()}</td><td class="muted">{note}</td></tr> }
        })
        .collect_view();
    view! {
        <table class="table price-buckets" aria-label="In force">
            <thead><tr><th>"Bucket"</th><th class="r">"Price"</th><th>{priced.origin()}</th></tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
}
