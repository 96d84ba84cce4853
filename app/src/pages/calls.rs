//! Calls one by one.

use domain::{
    calls::{CallLine, End, Ended},
    explore::{By, NONE, millis},
    keys::Feature,
    money::grouped,
    spend::{CallRow, Outcome, View},
};
use leptos::prelude::*;

use crate::{
    api::calls::{Calls, load_calls},
    filters::{AS_LINKED, Choices, Filters, Named},
    ui::{
        Badge, Card, Empty, Head, Kind, Load, Page, Pager, When,
        context::{frame, reads_groups},
        query,
    },
};

/// Calls, the newest first, filtered by what the address says.
#[component]
pub fn CallsPage() -> impl IntoView {
    let value = query::value;
    let filters = Filters::here();
    let calls = load_calls(
        filters.clone(),
        value("outcome"),
        value("from"),
        value("to"),
        value("request"),
        value("after"),
        false,
    );
    view! {
        <Page title="Calls" live=true>
            <Load data=calls let(calls)><Content calls filters/></Load>
        </Page>
    }
}

#[component]
fn Content(calls: Calls, filters: Filters) -> impl IntoView {
    let Calls { list, named, remarks } = calls;
    let any = !named.set.is_empty()
        || ["outcome", "from", "to", "request"].iter().any(|name| !query::value(name).is_empty());
    let outcomes = Ended::ALL.iter().map(|ended| (ended.to_string(), ended.label().to_owned())).collect();
    let narrowed = named.narrowed;
    let running = filters.with_everything().href("/calls/live", &[]);
    let also = ["outcome", "from", "to", "request"].map(|name| (name, query::value(name)));
    let also: Vec<(&str, &str)> = also.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let csv = (!list.calls.is_empty()).then(|| filters.href("/calls.csv", &also));
    let next = list.next.clone();
    let empty = list.calls.is_empty() && any;
    view! {
        <Head title="Calls" note="the newest first">
            <a class="btn" href="/sessions">"As sessions"</a>
            <a class="btn" href=running>"In flight"</a>
            {csv.map(|href| view! { <a class="btn" href=href download="calls.csv" title="Every call that the filters show">"Export"</a> })}
        </Head>
        {narrowed.then(|| view! { <p class="lead">{if reads_groups() { "Your own calls, and those of the groups you lead." } else { "Your own calls." }}</p> })}
        <FilterBar path="/calls" filters named any>
            <Choice name="outcome" label="Ended" choices=outcomes all="However" value=query::value("outcome")/>
            <label class="pick">"Request id"<input type="search" name="request" value=query::value("request") maxlength="200" placeholder="req_…"/></label>
        </FilterBar>
        {remarks.into_iter().map(|remark| view! { <p class="banner warn" role="status">{remark}" "<a href="/calls">"Clear the filters"</a></p> }).collect_view()}
        <Card>
            {if empty {
                view! { <Empty title="No call matches" text="Take a filter away, or look at other days."><a class="btn" href="/calls">"Show all"</a></Empty> }.into_any()
            } else {
                view! { <CallTable calls=list.calls/> }.into_any()
            }}
        </Card>
        <Pager next/>
    }
}

/// What is filtered by: chips to take away, choices to make. State is the address.
#[component]
pub fn FilterBar(
    /// Where the page is.
    path: &'static str,
    /// What is set.
    filters: Filters,
    /// What that is called, and what else there is.
    named: Named,
    /// Whether anything is set.
    any: bool,
    /// Whether days can be chosen.
    #[prop(default = true)]
    dated: bool,
    /// Choices of the page's own.
    children: Children,
) -> impl IntoView {
    let Named { set, groups, group_path, applications, models, tiers, providers, .. } = named;
    let chips = set
        .clone()
        .into_iter()
        .map(|(name, label)| {
            let what = match name.as_str() {
                "use_case" => "Use case",
                "feature" => "Used",
                "user" => "Person",
                "directly" => "Only",
                "group" => "Group",
                "application" => "Application",
                "key" => "Key of",
                "model" => "Model",
                "provider" => "Provider",
                "without" => "Without",
                _ => "Tier",
            };
            // A group's own applications are nothing without the group.
            let also = if name == "group" { "directly" } else { "after" };
            let href = query::href(&[(&name, None), (also, None), ("after", None)]);
            let spoken = format!("{what}: {label}. Take this filter away");
            view! { <a class="chip" href=href aria-label=spoken>{what}": "<b>{label}</b><span aria-hidden="true">" ×"</span></a> }
        })
        .collect_view();
    let more = more_filters(path, &filters, &set, (tiers, providers));
    // What has no choice of its own stays as it is.
    let kept = filters
        .pairs()
        .into_iter()
        .filter(|(name, _)| *name == "without")
        .map(|(name, value)| view! { <input type="hidden" name=name value=value.to_owned()/> })
        .collect_view();
    let zone = frame().zone.name.clone();
    view! {
        <form method="get" action=path class="filters filter-bar" role="search" autocomplete="off" aria-label="Filter">
            {kept}
            {(!groups.is_empty()).then(|| view! { <Choice name="group" label="Group" choices=groups all="All" value=filters.group.clone()/> })}
            {group_path.map(|path| view! { <label class="pick">"Group"<input name="group" value=path placeholder="Name or path" autocomplete="off"/></label> })}
            {(!applications.is_empty()).then(|| view! { <Choice name="application" label="Application" choices=applications all="All" value=filters.application.clone()/> })}
            {(!models.is_empty()).then(|| view! { <Choice name="model" label="Model" choices=models all="All" value=filters.model.clone()/> })}
            <Choice name="feature" label="Used" choices=features() all="Anything" value=filters.feature.clone()/>
            {children()}
            {dated.then(|| view! {
                <div class="span">
                    <label class="pick">"From"<input type="date" name="from" value=query::value("from")/></label>
                    <label class="pick">"To"<input type="date" name="to" value=query::value("to")/></label>
                </div>
            })}
            {more}
            <div class="row"><button class="btn">"Show"</button>{any.then(|| view! { <a class="link" href=path>"Clear"</a> })}</div>
        </form>
        <div class="chips">{chips}{dated.then(|| view! { <span class="hint">{format!("Days are those of {zone}.")}</span> })}</div>
    }
}

/// What is filtered by less often, folded away until something of it is set. Everything that an address can
/// say can be said here, too.
fn more_filters(
    path: &str,
    filters: &Filters,
    set: &[(String, String)],
    (tiers, providers): (Choices, Choices),
) -> impl IntoView + use<> {
    let open =
        [&filters.user, &filters.use_case, &filters.key, &filters.tier, &filters.provider, &filters.view]
            .into_iter()
            .chain([&filters.directly])
            .any(|value| !value.is_empty());
    // Who came with a link is shown by their name, where whoever asks may know it.
    let called = set.iter().find(|(name, _)| name == "user").map(|(_, label)| label.clone());
    let person = match called {
        Some(name) if filters.user.starts_with("usr_") && name != AS_LINKED => name,
        _ => filters.user.clone(),
    };
    let spend_of = vec![
        (String::new(), "Its applications".to_owned()),
        (View::Members.to_string(), "Its members".to_owned()),
    ];
    view! {
        <details class="more-filters" open=open>
            <summary>"More filters"</summary>
            <div class="filter-bar">
                {(!tiers.is_empty()).then(|| view! { <Choice name="tier" label="Tier" choices=tiers all="All" value=filters.tier.clone()/> })}
                {(!providers.is_empty()).then(|| view! { <Choice name="provider" label="Provider" choices=providers all="All" value=filters.provider.clone()/> })}
                <label class="pick">"Person"<input type="search" name="user" value=person maxlength="200" placeholder="Name or address"/></label>
                <label class="pick">"Use case"<input type="search" name="use_case" value=filters.use_case.clone() maxlength="200" placeholder="Its label"/></label>
                {(filters.application.is_empty() && path != "/sessions").then(|| view! {
                    <label class="pick">"Key"<input type="search" name="key" value=filters.key.clone() maxlength="60" placeholder="key_…"/></label>
                })}
                <Choice name="view" label="Of a group" choices=spend_of value=if filters.view == View::Members.as_str() { filters.view.clone() } else { String::new() }/>
                <label class="pick tick"><input type="checkbox" name="directly" value="true" checked=filters.directly == "true"/>"Only its own applications"</label>
            </div>
        </details>
    }
}

/// What calls can have used of their key.
fn features() -> Choices {
    let none = (NONE.to_owned(), By::Feature.none().to_owned());
    let named = |feature: &Feature| (feature.to_string(), feature.label().to_owned());
    Feature::ALL.iter().map(named).chain([none]).collect()
}

/// One of several, in a filter.
#[component]
pub fn Choice(
    /// The part of the address.
    name: &'static str,
    /// What it is called.
    label: &'static str,
    /// Value and label of each.
    choices: Choices,
    /// What stands for all of them; empty: one has to be chosen.
    #[prop(optional)]
    all: &'static str,
    /// The chosen one.
    value: String,
) -> impl IntoView {
    // What came with a link and is not in the list stays chosen.
    let known = value.is_empty() || choices.iter().any(|(key, _)| *key == value);
    let other = (!known).then(|| view! { <option value=value.clone() selected>"As linked"</option> });
    let options = choices
        .into_iter()
        .map(|(key, label)| {
            let chosen = key == value;
            view! { <option value=key selected=chosen>{label}</option> }
        })
        .collect_view();
    let none = (!all.is_empty()).then(|| view! { <option value="">{all}</option> });
    view! { <label class="pick">{label}<select name=name>{none}{other}{options}</select></label> }
}

/// How a call ended, where that needs a word.
pub fn outcome_mark(outcome: Outcome) -> Option<(&'static str, Kind)> {
    match outcome {
        Outcome::Ok => None,
        Outcome::UpstreamError => Some(("Provider failed", Kind::Bad)),
        Outcome::HungUp => Some(("Caller hung up", Kind::Warn)),
        Outcome::Lost => Some(("Lost, counted in full", Kind::Bad)),
        Outcome::Ended => Some(("Ended by Bursar", Kind::Warn)),
    }
}

/// The last calls beside other things; a sentence when the ledger cannot be read just now.
#[component]
pub fn LastCalls(
    /// Whose they are.
    title: &'static str,
    /// None: they cannot be read.
    calls: Option<Vec<CallRow>>,
) -> impl IntoView {
    let shown = match calls {
        Some(calls) => view! { <CallTable calls/> }.into_any(),
        None => view! {
            <Empty title="The calls cannot be read right now" text="What else this page shows is kept apart from them, and is complete. Load the page again in a moment."/>
        }
        .into_any(),
    };
    view! { <Card title>{shown}</Card> }
}

/// A table of calls.
#[component]
pub fn CallTable<L: Into<CallLine> + Send + 'static>(calls: Vec<L>) -> impl IntoView {
    if calls.is_empty() {
        return view! { <Empty title="No calls yet" text="Every finished call is listed here with its tokens and its cost."/> }.into_any();
    }
    let rows = calls.into_iter().map(|call| line(call.into())).collect_view();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="Calls">
            <table class="table stack calls">
                <thead><tr>
                    <th>"When"</th><th>"Application"</th><th>"Model"</th><th class="r hide">"Input"</th><th class="r hide">"Output"</th>
                    <th class="r hide">"Took"</th><th class="r">"Cost"</th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn line(call: CallLine) -> impl IntoView {
    let (application, user) = (call.application, call.user);
    let all = frame().may(domain::roles::Act::ReadOrganization);
    let model = match call.model {
        (Some(id), name) if all => view! { <a class="nw" href=format!("/models/{id}")>{name}</a> }.into_any(),
        // Refused before anybody looked which one it meant.
        (_, name) if name.is_empty() => view! { <span class="muted">"–"</span> }.into_any(),
        (_, name) => view! { <span class="nw">{name}</span> }.into_any(),
    };
    // A private context is called as its person is: once is enough.
    let user = user.filter(|(_, name)| *name != application.1).map(|(id, name)| {
        if all {
            view! { <div class="sub"><a href=format!("/users/{id}")>{name}</a></div> }.into_any()
        } else {
            view! { <div class="sub">{name}</div> }.into_any()
        }
    });
    let application = if reads_groups() {
        view! { <a href=format!("/applications/{}", application.0)>{application.1}</a> }.into_any()
    } else {
        view! { {application.1} }.into_any()
    };
    let when = if call.opens {
        view! { <a href=format!("/calls/{}", call.id)><When at=call.at/></a> }.into_any()
    } else {
        view! { <When at=call.at/><div class="sub">"on another group's account"</div> }.into_any()
    };
    let figures = match call.end {
        End::Finished { outcome, usage, cost, estimated, duration_ms, cached } => {
            let mark = outcome_mark(outcome);
            view! {
                <td class="r num hide">{grouped(usage.input_tokens())}</td>
                <td class="r num hide">{grouped(usage.output_tokens())}</td>
                <td class="r num hide">{millis(duration_ms)}</td>
                <td class="r num beside">
                    {cost.to_string()}
                    {estimated.then(|| view! { " "<Badge text="estimated" kind=Kind::Warn/> })}
                    {cached.then(|| view! { " "<Badge text="from the cache" kind=Kind::Good/> })}
                    {mark.map(|(text, kind)| view! { <div><Badge text=text kind/></div> })}
                </td>
            }
            .into_any()
        }
        End::Refused { status, code } => view! {
            <td class="r hide muted">"–"</td><td class="r hide muted">"–"</td><td class="r hide muted">"–"</td>
            <td class="r beside"><Badge text=format!("refused, {status}") kind=Kind::Bad/><div class="sub mono">{code}</div></td>
        }
        .into_any(),
    };
    view! {
        <tr>
            <td class="nw">{when}</td>
            <td>{application}{user}</td>
            <td>
                {model}
                {call.policy.map(|name| view! { <div class="sub mono">{format!("policy/{name}")}</div> })}
                {call.use_case.map(|label| view! { <div class="sub">{label}</div> })}
            </td>
            {figures}
        </tr>
    }
}
