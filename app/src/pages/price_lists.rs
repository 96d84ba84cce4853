//! A price list somebody brings: read, put beside the catalogue, applied.

use domain::{
    models::NOT_SERVED,
    money::how_many,
    names::ModelName,
    price_lists::{Applied, Known, LeftOut, listed_name},
    prices::PriceKey,
    providers::Dialect,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{capital, param};
use crate::{
    api::price_lists::{
        ApplyPriceList, PriceListView, ReadPriceList, Unknown as NotOurs, load_book, load_price_list,
    },
    ui::{
        Badge, Card, Check, Empty, FileField, Form, Head, Hidden, Kind, Load, Page, Pager, Select, Submit,
        TextArea, When, money::pair, query,
    },
};

fn models_crumb() -> (String, String) {
    ("/models".to_owned(), "Models".to_owned())
}

/// Where a list is brought.
#[component]
pub fn ImportPage() -> impl IntoView {
    let book = load_book();
    view! {
        <Page title="Import a price list">
            <Head title="Import a price list" crumbs=vec![models_crumb()]/>
            <Load data=book let(book)>
                <p class="lead">"LiteLLM's model_prices_and_context_window.json. First you see what it would change; nothing is changed by reading it."</p>
                <Card class="pad">
                    <Form to=ReadPriceList::PATH file=true>
                        <FileField name="file" label="The file" accept=".json,application/json" hint="At most 8 MB."/>
                        <TextArea name="text" label="Or its text" rows=8 optional=true hint="All of it, or some of its entries within { }."/>
                        <div class="row end"><Submit label="Show the difference"/></div>
                    </Form>
                </Card>
                <p class="muted">{format!("The price book in this program knows {} models: {}. A newer copy of that list brings newer prices.", book.1, book.0)}</p>
            </Load>
        </Page>
    }
}

/// A list beside the catalogue.
#[component]
pub fn PriceListPage() -> impl IntoView {
    let list = load_price_list(param("id"), query::value("vendor"), query::value("q"), query::value("after"));
    view! { <Page title="Price list"><Load data=list let(list)><Content list/></Load></Page> }
}

#[component]
fn Content(list: PriceListView) -> impl IntoView {
    let PriceListView {
        id,
        listed,
        read_at,
        unreadable,
        applied,
        changed,
        same,
        vendors,
        vendor,
        unknown,
        total,
        next,
        mut providers,
        own,
        nobodys,
    } = list;
    let changes = changed.len();
    let told = match (changes, same) {
        (0, 0) => "None of your models is in it.".to_owned(),
        (0, same) => format!("It prices {} as you do: there is nothing to change.", models(same)),
        (count, 0) => format!("It prices {} otherwise than you do.", models(count)),
        (count, same) => {
            format!("It prices {} otherwise than you do, and {} as you do.", models(count), models(same))
        }
    };
    let nothing = changes == 0 && unknown.is_empty();
    let label =
        vendors.iter().find(|(id, ..)| *id == vendor).map(|(_, label, _)| label.clone()).unwrap_or_default();
    let hidden = vendor.clone();
    if !own {
        // Whose they are is not guessed.
        providers.insert(0, (String::new(), "Choose a provider".to_owned()));
    }
    let whose = if own { String::new() } else { format!("No provider here is known to be {label}. ") };
    let hint = format!("{whose}They land in the review inbox, closed to everybody until somebody decides.");
    // Made within the form: fields know which one they are in.
    let news = move || {
        (!unknown.is_empty()).then(|| view! {
        <Card title=format!("{label}: not in the catalogue") note=if total == 1 { "1 model".to_owned() } else { format!("{total} models") }>
            <Unknown unknown/>
            <div class="pad price-provider"><Select name="provider" label="Those that are ticked here are offered by" options=providers hint/></div>
        </Card>
    })
    };
    view! {
        <Head title="Price list" note=how_many(listed as u64, "model", "models") crumbs=vec![models_crumb(), ("/models/import".to_owned(), "Import a price list".to_owned())]/>
        <p class="lead">"Read "<When at=read_at/>". "{told}" New prices hold from the moment they are applied; finished calls keep theirs."</p>
        {(!nobodys.is_empty()).then(|| view! { <p class="lead">{not_compared(&nobodys)}</p> })}
        {applied.into_iter().map(|applied| view! { <WasApplied applied/> }).collect_view()}
        <Choose vendors vendor/>
        {if nothing {
            view! { <Card><Empty title="Nothing to take" text="Choose another vendor above, or look for another name."/></Card> }.into_any()
        } else {
            view! {
                <Form to=ApplyPriceList::PATH class="inbox">
                    <Hidden name="id" value=id.to_string()/>
                    <Hidden name="vendor" value=hidden/>
                    {(changes > 0).then(|| view! { <Card title="Other prices" note="those of yours that the list knows"><Changed changed/></Card> })}
                    {news()}
                    <div class="select-bar" role="group" aria-label="Those that are ticked">
                        <p class="review-note">"All that is ticked happens in one step, with one number in the audit log. A price that somebody changes meanwhile is left out, and named."</p>
                        <div class="row"><Submit label="Apply what is ticked"/></div>
                    </div>
                </Form>
            }.into_any()
        }}
        <Pager next/>
        {(!unreadable.is_empty()).then(|| view! { <Unreadable entries=unreadable/> })}
    }
}

/// What was applied of the list, when and by whom, and what was left out.
#[component]
fn WasApplied(applied: Applied) -> impl IntoView {
    let Applied { at, by, priced, taken, left_out } = applied;
    let count = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        count => Some(format!("{count} {word}s")),
    };
    let parts = [
        count(priced.len(), "new price"),
        count(taken.len(), "model").map(|models| format!("{models} to the review inbox")),
        (!left_out.is_empty()).then(|| format!("{} left out", left_out.len())),
    ];
    let summary = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let priced = priced.into_iter().map(|line| view! {
        <tr><td><a href=format!("/models/{}", line.model)><b class="mono">{line.name}</b></a></td><td>{format!("{} → {}", line.from, line.to)}</td></tr>
    }).collect_view();
    let taken = taken.into_iter().map(|line| view! {
        <tr><td><a href=format!("/models/{}", line.model)><b class="mono">{line.name}</b></a></td><td>"Taken into the review inbox"</td></tr>
    }).collect_view();
    let left = left_out.into_iter().map(|line| view! {
        <tr><td><b class="mono">{line.name}</b></td><td><Badge text="left out" kind=Kind::Warn/>" "{line.why}</td></tr>
    }).collect_view();
    view! {
        <Card title="Applied" note=summary>
            <p class="pad">"By "{by}", "<When at/>"."</p>
            <table class="table stack">
                <thead class="sr"><tr><th>"Model"</th><th>"What became of it"</th></tr></thead>
                <tbody>{priced}{taken}{left}</tbody>
            </table>
        </Card>
    }
}

/// How many entries are named that cannot be read.
const NAMED: usize = 100;

/// Entries that cannot be read, each with the reason.
#[component]
fn Unreadable(entries: Vec<LeftOut>) -> impl IntoView {
    let (all, more) = (entries.len(), entries.len().saturating_sub(NAMED));
    let note = if all == 1 { "1 entry of the list".to_owned() } else { format!("{all} entries of the list") };
    let rows = entries.into_iter().take(NAMED).map(|entry| view! {
        <tr><td><b class="mono review-name"><bdi>{short(&entry.name)}</bdi></b></td><td>{entry.why}</td></tr>
    }).collect_view();
    view! {
        <Card title="Left out: cannot be read" note>
            <table class="table stack">
                <thead><tr><th>"Entry"</th><th>"Why"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
            {(more > 0).then(|| view! { <p class="pad muted">{format!("And {more} more.")}</p> })}
        </Card>
    }
}

/// Why some models of the catalogue are not beside the list.
fn not_compared(nobodys: &[(String, usize)]) -> String {
    let each = nobodys.iter().map(|(name, count)| format!("{name} ({count})"));
    let each = each.collect::<Vec<_>>().join(", ");
    format!(
        "Not compared are models of providers whose vendor is not known: {each}. A vendor is told by its address, or by its name in that of the provider, as in “By way of Frankfurt (Anthropic)”."
    )
}

fn models(count: usize) -> String {
    if count == 1 { "1 of your models".to_owned() } else { format!("{count} of your models") }
}

/// Which vendor's models are looked at.
#[component]
fn Choose(vendors: Vec<(String, String, usize)>, vendor: String) -> impl IntoView {
    let options = vendors
        .into_iter()
        .map(|(id, label, count)| {
            let chosen = id == vendor;
            view! { <option value=id selected=chosen>{format!("{label} ({count})")}</option> }
        })
        .collect_view();
    let q = query::value("q");
    view! {
        <form method="get" class="filter-bar" role="search" aria-label="Models that are not in the catalogue">
            <label class="pick">"Vendor"<select name="vendor">{options}</select></label>
            <label class="pick">"Name"<input type="search" name="q" value=q/></label>
            <button class="btn">"Show"</button>
        </form>
    }
}

/// Side by side: what holds, what the list says. Made where it stands: its boxes belong to the form
/// around it.
#[component]
fn Changed(changed: Vec<Known>) -> impl IntoView {
    let rows = changed
        .into_iter()
        .map(|known| {
            let (now, then) = (known.now(), known.then());
            let different = PriceKey::ALL.iter().filter(|key| now.own(**key) != then.own(**key));
            let price = |price: Option<domain::money::Price>| price.map_or_else(|| "none".to_owned(), |price| price.to_string());
            let lines = different
                .map(|key| view! { <span class="nw">{key.label()}" "<s class="num muted">{price(now.own(*key))}</s>" "<b class="num">{price(then.own(*key))}</b></span> })
                .collect_view();
            let model = known.model;
            let caution = known.listed.caution().map(|caution| view! { <div class="sub">{caution}</div> });
            view! {
                <tr>
                    <td><div class="tick">
                        <Check name="models[]" label=format!("Choose {}", model.name) value=model.id.to_string() checked=true/>
                        <input type="hidden" name=format!("was[{}]", model.id) value=now.to_string()/>
                        <span><a href=format!("/models/{}", model.id)><b class="mono">{model.name.clone()}</b></a><div class="sub">{format!("{} · {}", model.provider.1, model.upstream)}</div></span>
                    </div></td>
                    <td class="r num">{pair(&now)}</td>
                    <td class="r num">{pair(&then)}</td>
                    <td><div class="changes">{lines}</div>{caution}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="Other prices">
            <table class="table stack">
                <thead><tr><th>"Model"</th><th class="r">"Now"</th><th class="r">"In the list"</th><th>"What changes"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

/// A name as there is room for it.
fn short(name: &str) -> String {
    const LENGTH: usize = 120;
    match name.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None if name.is_empty() => "(no name)".to_owned(),
        None => name.to_owned(),
    }
}

#[component]
fn Unknown(unknown: Vec<NotOurs>) -> impl IntoView {
    let rows = unknown
        .into_iter()
        .map(|NotOurs { listed, there }| {
            let price = if listed.prices.is_empty() {
                view! { <Badge text="no price" kind=Kind::Warn/> }.into_any()
            } else {
                view! { <span class="num">{pair(&listed.dearest())}</span> }.into_any()
            };
            // Whoever offers it: of such a kind nothing is called here.
            let served = Dialect::ALL.iter().any(|dialect| listed.modality.is_served(*dialect));
            let unserved = (!served).then(|| view! { <div><Badge text=NOT_SERVED kind=Kind::Bad/></div> });
            let name = listed.name;
            let there = there.map(|there| super::offers::beside(&name, &there));
            // What callers could not write is not to be had, and says why.
            let wrong = listed_name(&name).parse::<ModelName>().err().map(|error| error.to_string());
            let tick = wrong.is_none().then(|| view! { <Check name="names[]" label=format!("Choose {name}") value=name.clone()/> });
            view! {
                <tr>
                    <td><div class="tick">{tick}<span><b class="mono review-name"><bdi>{short(&name)}</bdi></b>{wrong.map(|wrong| view! { <div class="sub">"Cannot be taken. "{wrong}</div> })}{there.map(|there| view! { <div class="sub">{there}</div> })}</span></div></td>
                    <td class="beside">{capital(listed.modality.as_str())}{unserved}</td>
                    <td class="r">{price}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="Not in the catalogue">
            <table class="table stack">
                <thead><tr><th>"Name"</th><th>"Kind"</th><th class="r">"Input / output, per million"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}
