//! One call: who made it, what it used, and the arithmetic of what it cost.

use domain::{
    call_sessions::SessionKey,
    calls::{CallView, CostLine, Finished, Refused, What},
    explore::millis,
    guardrails::Action,
    ids::UserId,
    keys::Features,
    money::{Money, grouped},
    prices::PriceKey,
    roles::Act,
    spend::Outcome,
};
use leptos::prelude::*;

use super::{call_sessions::session_href, calls::outcome_mark, capital, param, prompts::Kept, why::Trace};
use crate::{
    api::{
        authorizations::rule_href,
        calls::{CallAnswer, load_call},
    },
    ui::{Badge, Card, Head, Kind, Load, Page, When, context::frame, query},
};

/// One call.
#[component]
pub fn CallPage() -> impl IntoView {
    let call = load_call(param("id"));
    view! { <Page title="Call"><Load data=call let(answer)><Content answer/></Load></Page> }
}

#[component]
fn Content(answer: CallAnswer) -> impl IntoView {
    let CallAnswer { call, sentence, steps, changed } = answer;
    let why = super::why::href(&[
        ("who", &call.application.0.to_string()),
        ("model", &call.model.1),
        ("on", &call.path.last().map(|(group, _)| group.to_string()).unwrap_or_default()),
    ]);
    let decision = sentence.filter(|_| !steps.is_empty()).map(|sentence| {
        view! {
            <Card title="What such a call meets now, step by step" note="by the rules of today">
                <p class="note-line">{since(changed)}</p>
                <p class="pad">{sentence}</p>
                <Trace steps/>
                <p class="note-line"><a href=why>"With every limit, and what would change it"</a></p>
            </Card>
        }
    });
    let crumbs = vec![("/calls".to_owned(), "Calls".to_owned())];
    let title = frame().zone.full(call.at);
    let then = match &call.what {
        What::Finished(finished) => Some(decided(finished)),
        What::Refused(_) => None,
    };
    let what = match &call.what {
        What::Finished(finished) => finished_parts(finished).into_any(),
        What::Refused(refused) => refused_parts(refused).into_any(),
    };
    let observed = call
        .observed
        .iter()
        .map(|refused| view! { <div class="banner warn"><b>"This would have been refused, if what only observes decided. "</b>{refused.message.clone()}</div> })
        .collect_view();
    view! {
        <Head title note=call.model.1.clone() crumbs/>
        {observed}
        {what}
        <Kept call=call.id.to_string()/>
        <Attribution call/>
        {then}
        {decision}
    }
}

/// Whether what is decided now can be told from what was decided then.
fn since(changed: bool) -> AnyView {
    if changed {
        let log = frame()
            .may(Act::ReadOrganization)
            .then(|| view! { " "<a href="/audit">"What was changed since is in the log"</a>"." });
        view! { "This is no record of what decided then. Rules, memberships and limits may have been others when the call was made."{log} }
            .into_any()
    } else {
        "Nothing has been changed in the organization since this call. What has ended by its date, and what limits had left then, may still have been different.".into_any()
    }
}

/// What decided when the call was made, as far as it was written down with it.
fn decided(finished: &Finished) -> impl IntoView + use<> {
    let all = frame().may(Act::ReadOrganization);
    let by = match (&finished.grant, &finished.authorization) {
        (Some(grant), _) => {
            view! { "It was let through by a grant: "<span class="mono">{grant.to_string()}</span>"." }
                .into_any()
        }
        (None, Some((cell, name))) if all => {
            view! { "It was let through by the rule on "<a href=rule_href(*cell)>{name.clone()}</a>"." }
                .into_any()
        }
        (None, Some((_, name))) => format!("It was let through by the rule on {name}.").into_any(),
        (None, None) => "It was let through; by which rule was not written down.".into_any(),
    };
    view! {
        <Card title="What decided then" note="written down with the call">
            <p class="pad">{by}" Every limit that refuses had room for it. How much each had left was not written down."</p>
        </Card>
    }
}

/// A fact, if there is one.
fn fact(name: &'static str, value: impl IntoView + 'static) -> AnyView {
    view! { <dt>{name}</dt><dd>{value}</dd> }.into_any()
}

fn finished_parts(finished: &Finished) -> impl IntoView + use<> {
    let Finished { usage, cost, duration_ms, first_byte_ms, .. } = *finished;
    let mark = outcome_mark(finished.outcome).unwrap_or(("Answered", Kind::Good));
    let status = match finished.status {
        _ if finished.cached.is_some() => "No provider was asked".to_owned(),
        0 => "The provider did not answer".to_owned(),
        status => format!("The provider answered {status}"),
    };
    let first = match first_byte_ms {
        Some(first) => format!("First byte after {}", millis(first)),
        None => "No byte came back".to_owned(),
    };
    view! {
        <section class="facts">
            <div>
                <h2>"Cost"</h2>
                <div class="big num">{cost.to_string()}</div>
                <p class="under num">{format!("${} exactly", cost.exact())}</p>
                <p class="row">
                    {finished.estimated.then(|| view! { <Badge text="estimated" kind=Kind::Warn/> })}
                    {finished.overage.then(|| view! { <Badge text="more than was held" kind=Kind::Warn/> })}
                    {finished.cached.map(|saved| view! { <Badge text=format!("from the cache, {saved} saved") kind=Kind::Good/> })}
                </p>
            </div>
            <div><h2>"How it ended"</h2><p class="outcome"><Badge text=mark.0 kind=mark.1/></p><p class="under">{status}</p></div>
            <div><h2>"Took"</h2><div class="big num">{millis(duration_ms)}</div><p class="under num">{first}</p></div>
            <div>
                <h2>"Tokens"</h2><div class="big num">{grouped(usage.tokens())}</div>
                <p class="under num">{format!("{} in, {} out", grouped(usage.input_tokens()), grouped(usage.output_tokens()))}</p>
            </div>
        </section>
        {marks(finished)}
        {arithmetic(finished)}
    }
}

/// What the marks of a call mean.
fn marks(finished: &Finished) -> impl IntoView + use<> {
    let estimated = finished.estimated && finished.outcome != Outcome::Lost;
    let overage = finished.overage;
    let ended = finished.outcome == Outcome::Ended;
    let cached = finished.cached.map(|saved| {
        format!("An earlier call of this application with the very same input had brought this answer, so no provider was asked. That call had cost {saved}; this one counts as a request, and costs nothing.")
    });
    let guarded: Vec<String> = finished
        .guarded
        .iter()
        .map(|found| {
            let became = match found.action {
                Action::Observe => "taken note of",
                Action::Mask => "masked before the provider saw it",
                Action::Refuse => "refused",
            };
            format!("{}: {} found, {became}", found.guard.label(), found.count)
        })
        .collect();
    view! {
        {ended.then(|| view! { <p class="banner warn">"Bursar ended this call before its answer was whole: somebody wanted it, or what it held was used up. Its caller got the end of an answer. "<a href="/audit?kind=call">"Who ended calls"</a></p> })}
        {cached.map(|text| view! { <p class="banner">{text}</p> })}
        {(!guarded.is_empty()).then(|| view! { <p class="banner">{format!("Its key looks into what is said. {}. The text itself is not kept.", guarded.join("; "))}</p> })}
        {estimated.then(|| view! { <p class="banner warn">"The provider did not say what was used. These are Bursar's own figures: they count like any other."</p> })}
        {overage.then(|| view! { <p class="banner warn">"It cost more than was held for it before it was let through, because its input was longer than estimated. All of it counts."</p> })}
    }
}

/// The arithmetic of a cost, line by line.
fn arithmetic(finished: &Finished) -> impl IntoView + use<> {
    let note = match finished.priced_at {
        Some(at) if at <= chrono::DateTime::UNIX_EPOCH => "by the first prices of the model".to_owned(),
        Some(at) => format!("by the prices in force since {}", frame().zone.full(at)),
        None => String::new(),
    };
    if finished.lines.is_empty() {
        let text = match finished.outcome {
            Outcome::Lost => {
                "Nobody knows how this call ended: the process that made it died. It counts at the most it could have cost, until proven otherwise."
            }
            _ if finished.cached.is_some() => "It was answered from the cache: nothing was used.",
            _ if finished.cost == Money::ZERO => "Nothing was used, so it costs nothing.",
            _ => "The prices it was booked by are not on record any more; the cost stands as it was booked.",
        };
        return view! { <Card title="Cost, line by line" note=note><p class="pad muted">{text}</p></Card> }
            .into_any();
    }
    let rows = finished.lines.iter().map(|line| cost_line(*line)).collect_view();
    let sum = domain::calls::total(&finished.lines);
    let agrees = sum == Some(finished.cost);
    let booked = format!("${}", finished.cost.exact());
    view! {
        <Card title="Cost, line by line" note=note>
            <div class="scroll" tabindex="0" role="region" aria-label="Cost, line by line">
                <table class="table arithmetic">
                    <thead><tr><th>"Bucket"</th><th class="r">"Used"</th><th class="r">"Price per million"</th><th class="r">"Comes to"</th></tr></thead>
                    <tbody>{rows}</tbody>
                    <tfoot>
                        <tr><th>"Together, rounded up once to a billionth of a dollar"</th><td></td><td></td><td class="r num"><b>{booked}</b></td></tr>
                    </tfoot>
                </table>
            </div>
            {(!agrees).then(|| view! { <p class="note-line warn-text">"The lines do not come to what was booked: the booked cost is what counts."</p> })}
        </Card>
    }
    .into_any()
}

fn cost_line(line: CostLine) -> impl IntoView {
    let borrowed = match line.priced_as {
        None => Some("has no price".to_owned()),
        Some(key) if key != line.bucket => Some(format!("price of {}", key.label().to_lowercase())),
        Some(_) => None,
    };
    let unit = match line.bucket {
        PriceKey::Image => " images",
        PriceKey::Call => " call",
        PriceKey::WebSearch | PriceKey::FileSearch => " searches",
        PriceKey::CodeSession => " sessions",
        _ => "",
    };
    view! {
        <tr>
            <td>{line.bucket.label()}{borrowed.map(|text| view! { <div class="sub">{text}</div> })}</td>
            <td class="r num">{format!("{}{unit}", grouped(line.amount))}</td>
            <td class="r num">{line.price.to_string()}</td>
            <td class="r num">{format!("${}", line.exact())}</td>
        </tr>
    }
}

fn refused_parts(refused: &Refused) -> impl IntoView + use<> {
    let sentence = match refused.message.as_str() {
        "" => format!("It was refused: {}.", refused.code.replace('_', " ")),
        message => message.to_owned(),
    };
    let rows = refused
        .detail
        .iter()
        .filter(|(name, _)| name != "request_id")
        .map(|(name, value)| view! { <dt>{capital(name)}</dt><dd class="wrap">{value.clone()}</dd> })
        .collect_view();
    let code = refused.code.clone();
    view! {
        <div class="banner bad"><b>{format!("Refused with {}. ", refused.status)}</b>{sentence}</div>
        <Card title="Why" note="what the caller's program was told">
            <dl class="facts-list"><dt>"Code"</dt><dd class="mono">{code}</dd>{rows}</dl>
        </Card>
    }
}

/// Who made it, and where it counts.
#[component]
fn Attribution(call: CallView) -> impl IntoView {
    let all = frame().may(Act::ReadOrganization);
    let link = move |href: String, name: String| {
        if all { view! { <a href=href>{name}</a> }.into_any() } else { view! { {name} }.into_any() }
    };
    let path: Vec<_> =
        call.path.iter().map(|(id, name)| link(format!("/groups/{id}"), name.clone())).collect();
    let path = path
        .into_iter()
        .enumerate()
        .map(|(place, part)| view! { {(place > 0).then_some(" / ")}{part} })
        .collect_view();
    let key = SessionKey {
        application: call.application.0,
        user: call.user.as_ref().map_or(UserId::NIL, |(id, _)| *id),
        label: match &call.what {
            What::Finished(finished) => finished.session.clone(),
            What::Refused(_) => String::new(),
        },
    };
    let user = match call.user {
        Some((id, name)) => link(format!("/users/{id}"), name),
        None => view! { <span class="muted">"Nobody in particular: a service secret"</span> }.into_any(),
    };
    let model = match call.model {
        (Some(id), name) => link(format!("/models/{id}"), name),
        (None, name) if name.is_empty() => {
            view! { <span class="muted">"none that was looked at"</span> }.into_any()
        }
        (None, name) => view! { <span class="mono">{name}</span> }.into_any(),
    };
    let secret = match (call.key, call.secret_tail) {
        (Some(key), Some(tail)) => format!("{key} · secret ending in {tail}"),
        (Some(key), None) => key.to_string(),
        (None, _) => "unknown".to_owned(),
    };
    let more = match call.what {
        What::Finished(finished) => more_of(*finished, session_href(&key), link),
        What::Refused(refused) => vec![fact("Wanted to use", used(refused.features))],
    };
    view! {
        <Card title="Who, and where it counts">
            <dl class="facts-list">
                {fact("Application", link(format!("/applications/{}", call.application.0), call.application.1))}
                {fact("Key", view! { <span class="mono">{secret}</span> })}
                {fact("Group then", path)}
                {fact("Person", user)}
                {fact("Model", model)}
                {more}
                {fact("Began", view! { <When at=call.at/> })}
                {(!call.client_request.is_empty()).then(|| {
                    let href = format!("/calls?request={}", query::encoded(&call.client_request));
                    fact("Its caller calls it", view! { <a class="mono wrap" href=href>{call.client_request.clone()}</a> })
                })}
                {fact("Request id", view! { <span class="mono">{call.id.to_string()}</span> })}
            </dl>
        </Card>
    }
}

/// What a call used of its key, each a way to the calls that did too.
fn used(features: Features) -> AnyView {
    if features.is_empty() {
        return view! { <span class="muted">"none of the features a key has"</span> }.into_any();
    }
    let last = features.iter().count() - 1;
    features
        .iter()
        .enumerate()
        .map(|(place, feature)| {
            let comma = if place < last { ", " } else { "" };
            view! { <a href=format!("/calls?feature={feature}")>{feature.label()}</a>{comma} }
        })
        .collect_view()
        .into_any()
}

fn more_of(finished: Finished, session: String, link: impl Fn(String, String) -> AnyView) -> Vec<AnyView> {
    let none = || view! { <span class="muted">"none named"</span> }.into_any();
    let use_case = match finished.use_case.as_str() {
        "" => none(),
        label => link(format!("/calls?use_case={}", query::encoded(label)), label.to_owned()),
    };
    let session = if finished.session.is_empty() {
        none()
    } else {
        view! { <a class="mono wrap" href=session>{finished.session}</a> }.into_any()
    };
    let mut facts = vec![
        fact("Provider", link(format!("/providers/{}", finished.provider.0), finished.provider.1)),
        fact("Use case", use_case),
        fact("Session", session),
        fact(
            "Route",
            view! { <span class="mono">{finished.route}</span>{if finished.streamed { ", streamed" } else { "" }} },
        ),
    ];
    facts.push(fact("Used", used(finished.features)));
    if let Some((_, name)) = finished.policy {
        facts.push(fact("Policy", view! { {name} }));
    }
    facts
}
