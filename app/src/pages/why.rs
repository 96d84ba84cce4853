//! Why somebody may use a model, or may not, and what would change that.

use chrono::TimeDelta;
use domain::{keys::Feature, limits::Mode, roles::Act};
use leptos::prelude::*;

use super::raises::raise_href;
use crate::{
    api::why::{Answer, Help, RefusedCall, Say, Time, ToldCall, Why, WhyStep, load_why},
    ui::{Badge, Card, Empty, Head, Kind, LimitMeter, Load, Page, When, context::frame, may, query},
};

/// The page about these: names and values of its query.
pub fn href(about: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = about
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", query::encoded(value)))
        .collect();
    format!("/why?{}", pairs.join("&"))
}

/// Why.
#[component]
pub fn WhyPage() -> impl IntoView {
    let of = |name| query::value(name);
    let why = load_why(of("who"), of("model"), of("on"), of("at"), of("tokens"), of("using"), of("request"));
    view! {
        <Page title="Why">
            <Head title="Why, or why not"/>
            <p class="lead">"The gateway asks one function whether a call may be made. This asks it too, and shows what it looked at, in order."</p>
            <Load data=why let(why)><Content why/></Load>
        </Page>
    }
}

#[component]
fn Content(why: Why) -> impl IntoView {
    let Why { who, name, model, people, models, using, refused, told, time, answers, problem } = why;
    let by_id = refused.is_some() || told.is_some();
    let idle = model.is_empty() && problem.is_none() && !by_id;
    let (several, answers_none) = (answers.len() > 1, answers.is_empty());
    let answers =
        answers.into_iter().map(|answer| view! { <AnswerView answer several time/> }).collect_view();
    let as_of = (!answers_none).then(|| as_of(time)).flatten();
    view! {
        <Question who model people models using/>
        {refused.map(|refused| view! { <RefusedView refused/> })}
        {told.map(|told| view! { <ToldView told/> })}
        {problem.map(|sentence| view! { <p class="banner warn" role="status">{sentence}</p> })}
        {idle.then(|| view! {
            <Card><Empty title="Choose a model" text=format!("Then you see whether {name} may use it, what that rests on, and what would change it.")/></Card>
        })}
        {as_of.map(|text| view! { <p class="banner warn" role="status">{text}</p> })}
        {answers}
    }
}

/// Which of what an answer rests on is as of the moment that is asked about, and which of today.
const fn as_of(time: Time) -> Option<&'static str> {
    match time {
        Time::Now => None,
        Time::Over => Some(
            "This moment is over, and this is no record of it. As of then are prices, and last days that had not run out. As of today is everything else: rules, memberships, keys, groups, and which grants somebody ended. What was changed since stands in the audit log, and what decided about a call stands on its page.",
        ),
        Time::ToCome => Some(
            "This moment is to come. Last days, prices and raised limits are looked at as they will stand then; everything else is as it is today.",
        ),
    }
}

#[component]
fn Question(
    who: String,
    model: String,
    people: Vec<(String, String)>,
    models: Vec<String>,
    using: String,
) -> impl IntoView {
    let mut features: Vec<(String, String)> =
        Feature::ALL.iter().map(|feature| (feature.to_string(), feature.label().to_owned())).collect();
    // Several at once come from a call.
    if using.contains(',') {
        let labels: Vec<&str> = Feature::ALL
            .iter()
            .filter(|feature| using.split(',').any(|word| word == feature.as_str()))
            .map(|feature| feature.label())
            .collect();
        features.push((using.clone(), labels.join(", ")));
    }
    let features = features
        .into_iter()
        .map(|(value, label)| view! { <option value=value.clone() selected=value == using>{label}</option> })
        .collect_view();
    let choose = !people.is_empty();
    let people =
        people.into_iter().map(|(value, name)| view! { <option value=value>{name}</option> }).collect_view();
    let models = models.into_iter().map(|name| view! { <option value=name></option> }).collect_view();
    let (at, tokens) = (query::value("at"), query::value("tokens"));
    let at = if at.len() == 10 { at + "T12:00" } else { at };
    view! {
        <Card class="pad">
            <form method="get" action="/why" class="why-form" role="search" aria-label="A call that might be made">
                {choose.then(|| view! {
                    <div class="field"><label for="why-who">"Person or application"</label>
                        <input id="why-who" name="who" value=who list="why-people" placeholder="Me" autocomplete="off"/>
                        <datalist id="why-people">{people}</datalist></div>
                })}
                <div class="field"><label for="why-model">"Model"</label>
                    <input id="why-model" name="model" value=model list="why-models" class="mono" autocomplete="off" required=""/>
                    <datalist id="why-models">{models}</datalist></div>
                <div class="field"><label for="why-at">"At"<span class="muted">" optional"</span></label><input id="why-at" name="at" type="datetime-local" value=at/></div>
                <div class="field"><label for="why-tokens">"Tokens"<span class="muted">" optional"</span></label>
                    <input id="why-tokens" name="tokens" value=tokens inputmode="numeric" placeholder="2000" autocomplete="off"/></div>
                <div class="field"><label for="why-using">"Using"<span class="muted">" optional"</span></label>
                    <select id="why-using" name="using"><option value="">"Plain text"</option>{features}</select></div>
                <button class="btn go">"Ask"</button>
            </form>
            <form method="get" action="/why" class="why-form why-by-id" role="search" aria-label="A refused call">
                <div class="field"><label for="why-request">"Or a refused call"<span class="muted">" by its request id"</span></label>
                    <input id="why-request" name="request" value=query::value("request") class="mono" placeholder="req_… or the caller’s own" autocomplete="off" spellcheck="false" required=""/></div>
                <button class="btn">"Look it up"</button>
            </form>
        </Card>
    }
}

#[component]
fn RefusedView(refused: RefusedCall) -> impl IntoView {
    let rows = refused
        .detail
        .into_iter()
        .map(|(name, value)| view! { <dt>{super::capital(&name)}</dt><dd class="num">{value}</dd> })
        .collect_view();
    let title = if refused.observed { "A call that would have been refused" } else { "The refused call" };
    let model = match refused.model.as_str() {
        "" => view! { <dd class="muted">"none that was looked at"</dd> }.into_any(),
        name => view! { <dd class="mono">{name.to_owned()}</dd> }.into_any(),
    };
    let below = match (refused.decided, refused.model.is_empty()) {
        (true, _) => Some("Below is what holds now. Rules and limits may have changed since."),
        (false, false) => Some("No rule refused it. Below is what the rules say of that model now."),
        (false, true) => None,
    };
    view! {
        {(!refused.message.is_empty()).then(|| view! { <p class="banner bad">{refused.message}</p> })}
        <Card title=title note="as it was answered then">
            <dl class="facts-list">
                <dt>"When"</dt><dd><When at=refused.at/></dd>
                <dt>"Model"</dt>{model}
                <dt>"Answer"</dt><dd class="mono">{refused.code}</dd>
                {rows}
                <dt>"Request id"</dt><dd class="mono">{refused.id.to_string()}</dd>
            </dl>
            {below.map(|text| view! { <p class="note-line">{text}</p> })}
        </Card>
        {refused.help.map(|help| if refused.decided {
            // What holds now, and what would help with that, stands below.
            view! { <p><a class="btn" href=help.href>{help.sentence}</a></p> }.into_any()
        } else {
            view! { <HelpCard help=vec![help]/> }.into_any()
        })}
    }
}

/// A call of which only its id tells, or that is in the books.
#[component]
fn ToldView(told: ToldCall) -> impl IntoView {
    let (title, kept) = match told.booked {
        true => ("The call", None),
        false => (
            "The refused call",
            Some(if frame().now - told.at < TimeDelta::seconds(10) {
                "Its request id says this. It is a few seconds old: look again in a moment, when what is kept of it is written down."
            } else {
                "Its request id says this. Nothing else is kept of such a call, or it is not for you to see."
            }),
        ),
    };
    let look = if told.booked { "banner" } else { "banner bad" };
    let help = told.help;
    view! {
        <p class=look>{told.sentence}</p>
        <Card title>
            <dl class="facts-list">
                <dt>"When"</dt><dd><When at=told.at/></dd>
                <dt>"Request id"</dt><dd class="mono">{told.id.to_string()}</dd>
            </dl>
            {kept.map(|text| view! { <p class="note-line">{text}</p> })}
        </Card>
        {if told.booked {
            view! { <p><a class="btn" href=help.href>{help.sentence}</a></p> }.into_any()
        } else {
            view! { <HelpCard help=vec![help]/> }.into_any()
        }}
    }
}

#[component]
fn AnswerView(answer: Answer, several: bool, time: Time) -> impl IntoView {
    let Answer { group, say, sentence, steps, help, limits } = answer;
    let asks = !may(Act::LoosenLimits);
    let (word, kind, look) = match say {
        Say::Allowed if time == Time::Over => ("Allowed by the rules", Kind::Good, "good"),
        Say::Allowed => ("Allowed", Kind::Good, "good"),
        Say::NoRoom => ("No room", Kind::Bad, "bad"),
        Say::ByRequest => ("By request", Kind::Warn, "warn"),
        Say::Closed => ("Closed", Kind::Bad, "bad"),
    };
    let full =
        (say == Say::NoRoom).then_some(" But a limit has no room for such a call: it is refused for now.");
    let no_limits = limits.is_empty();
    let limits = limits
        .into_iter()
        .enumerate()
        .map(|(place, (limit, fits))| {
            let title = format!("{} · {}", limit.scope_name, limit.limit.meter.show_cap(limit.limit.cap));
            let enforces = limit.limit.mode == Mode::Enforce;
            view! {
                <li>
                    <b>{title}</b>
                    {(place == 0 && enforces).then(|| view! { " "<Badge text="tightest" kind=Kind::Warn/> })}
                    {(!enforces).then(|| view! { " "<Badge text="only observed"/> })}
                    {(!fits && !enforces).then(|| view! { <div class="sub">"It would refuse this; it refuses nothing."</div> })}
                    {(!fits && enforces).then(|| view! { " "<Badge text="no room" kind=Kind::Bad/> })}
                    <LimitMeter limit=limit.clone()/>
                    {(!fits && asks && limit.can_be_raised()).then(|| view! {
                        <a class="link" href=raise_href(&limit.limit.meter, Some(group))>"Ask for more"</a>
                    })}
                </li>
            }
        })
        .collect_view();
    view! {
        <section class=if several { "answer several" } else { "answer" }>
            <p class=format!("banner {look}")><Badge text=word kind/>" "{sentence}{full}</p>
            <div class="two wide-left">
                <div>
                    <Card title="What it rests on" note="from the organization down"><Trace steps/></Card>
                    {(!help.is_empty()).then(|| view! { <HelpCard help/> })}
                </div>
                <Card title="Limits" note=if time == Time::Over { "not known any more" } else { "a call has to fit into each that refuses" }>
                    {if time == Time::Over {
                        view! { <Empty title="Not kept" text="How much was used at that moment is not kept, so nobody can say here what still fitted."/> }.into_any()
                    } else if no_limits {
                        view! { <Empty title="No limits" text="Nothing caps spend, calls or tokens here."/> }.into_any()
                    } else {
                        view! { <ul class="list">{limits}</ul> }.into_any()
                    }}
                </Card>
            </div>
        </section>
    }
}

/// What a decision rests on, in order.
#[component]
pub fn Trace(
    /// The steps.
    steps: Vec<WhyStep>,
) -> impl IntoView {
    let steps = steps.into_iter().map(|step| view! { <Step step/> }).collect_view();
    view! { <ol class="list trace">{steps}</ol> }
}

#[component]
fn Step(step: WhyStep) -> impl IntoView {
    let sentence = if step.href.is_empty() {
        view! { {step.sentence} }.into_any()
    } else {
        view! { <a href=step.href>{step.sentence}</a> }.into_any()
    };
    view! {
        <li class=if step.decides { "decides" } else { "" }>
            {sentence}
            {step.decides.then(|| view! { " "<Badge text="decides"/> })}
            {step.by.map(|(who, at)| view! { <div class="sub">"Set by "{who}", "<When at/></div> })}
        </li>
    }
}

#[component]
fn HelpCard(help: Vec<Help>) -> impl IntoView {
    let note = if help.len() == 1 { "one change" } else { "all of these, in order" };
    let items = help
        .into_iter()
        .map(|help| {
            let (sentence, href) = (help.sentence, help.href);
            view! { <li>{if href.is_empty() { view! { {sentence} }.into_any() } else { view! { <a href=href>{sentence}</a> }.into_any() }}</li> }
        })
        .collect_view();
    view! { <Card title="What would make it a yes" note><ol class="list helps">{items}</ol></Card> }
}
