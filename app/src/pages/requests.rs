//! Requests: what waits for me, what I asked for, and what came of it.

use domain::{
    requests::{Approval, Per, Request, RequestState, Wish, too_late},
    time,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{choices, grants::GrantCard, param, raises::raise_href};
use crate::{
    api::requests::{
        ApproveRequest, ApproveRequests, Approving, Askable, CreateRequest, EditApprovalRule, Held, Inbox,
        RefuseRequest, RefuseRequests, Reviewed, Seen, Succeeded, WithdrawRequest, load_approval_rule,
        load_askable, load_request, load_requests,
    },
    ui::{
        Badge, Card, Check, Empty, Field, Form, Head, Hidden, Kind, Load, Page, Pager, Select, Submit,
        TextArea, When, context::frame, query,
    },
};

/// A state as people read it.
const fn label(state: RequestState) -> &'static str {
    match state {
        RequestState::Waiting => "Waiting",
        RequestState::Approved => "Approved",
        RequestState::Refused => "Refused",
        RequestState::Withdrawn => "Taken back",
        RequestState::Ended => "Ended",
        RequestState::Lapsed => "Not answered",
    }
}

/// What became of a request.
#[component]
pub fn RequestMark(
    /// Which.
    state: RequestState,
) -> impl IntoView {
    let kind = match state {
        RequestState::Waiting => Kind::Warn,
        RequestState::Approved => Kind::Good,
        RequestState::Refused => Kind::Bad,
        RequestState::Withdrawn | RequestState::Ended | RequestState::Lapsed => Kind::Plain,
    };
    view! { <Badge text=label(state) kind/> }
}

/// What waits for me, and what I asked for.
#[component]
pub fn RequestsPage() -> impl IntoView {
    let of = |name| query::value(name);
    let inbox = load_requests(of("state"), of("who"), of("model"), of("after"));
    view! { <Page title="Requests"><Load data=inbox let(inbox)><Content inbox/></Load></Page> }
}

#[component]
fn Content(inbox: Inbox) -> impl IntoView {
    let Inbox { requests, state, others, waiting, asks, next } = inbox;
    let note = match waiting {
        0 if others => "none waits for you".to_owned(),
        0 => String::new(),
        1 => "1 waits for you".to_owned(),
        waiting => format!("{waiting} wait for you"),
    };
    let word = query::value("state");
    let unknown = !word.is_empty() && word != "all" && word.parse::<RequestState>().is_err();
    let unknown = unknown.then(|| format!("{}: these are all requests.", query::nothing_called(&word)));
    let filtered = state.is_some() || !query::value("who").is_empty() || !query::value("model").is_empty();
    let empty = requests.is_empty();
    let choosable = requests.iter().any(Seen::waits);
    view! {
        <Head title=if others { "Requests" } else { "My requests" } note>{asks.then(|| view! { <a class="btn" href="/requests/raise">"Ask for more money"</a><a class="btn go" href="/requests/new">"Ask for a model"</a> })}</Head>
        <Filters state others/>
        {unknown.map(|text| view! { <p class="banner warn" role="status">{text}</p> })}
        {if empty && filtered {
            view! { <Card><Empty title="Nothing here" text="No request matches. Choose another state, or show all of them."><a class="btn" href="/requests?state=all">"Show all"</a></Empty></Card> }.into_any()
        } else if empty && !asks {
            view! { <Card><Empty title="No requests" text="Members do not ask here themselves. Ask a lead of your group or an admin."/></Card> }.into_any()
        } else if empty {
            view! { <Card><Empty title="No requests yet" text="Some models are open by request, and a limit can be raised for a time: say why, for how much and until when, and whoever may decides."><a class="btn go" href="/requests/new">"Ask for a model"</a></Empty></Card> }.into_any()
        } else if choosable {
            view! {
                <Form to=ApproveRequests::PATH also=RefuseRequests::PATH class="inbox">
                    <Lines requests/>
                    <div class="select-bar" role="group" aria-label="Those that are ticked">
                        <TextArea name="answer" label="What you say to those who asked" rows=1 optional=true hint="Needed to refuse."/>
                        <div class="row">
                            <Submit label="Approve as shown"/>
                            <Submit label="Refuse" look="danger" to=RefuseRequests::PATH/>
                        </div>
                    </div>
                </Form>
            }.into_any()
        } else {
            view! { <Lines requests/> }.into_any()
        }}
        <Pager next=next.map(|id| id.to_string())/>
    }
}

/// The table, made where it stands: its boxes belong to the form around it.
#[component]
fn Lines(requests: Vec<Seen>) -> impl IntoView {
    let rows = requests.into_iter().map(|seen| view! { <Line seen/> }).collect_view();
    view! {
        <Card>
            <div class="scroll" tabindex="0" role="region" aria-label="Requests">
                <table class="table stack">
                    <thead><tr><th>"What"</th><th>"For"</th><th class="r">"Asked for"</th><th>"Why"</th><th>"State"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </Card>
    }
}

#[component]
fn Filters(state: Option<RequestState>, others: bool) -> impl IntoView {
    let all = state.is_none();
    let chip = |key: &'static str, text: &'static str, current: bool| {
        let href = query::href(&[("state", Some(key)), ("after", None)]);
        view! { <a href=href aria-current=current.then_some("true")>{text}</a> }
    };
    let chips = RequestState::ALL
        .iter()
        .map(|word| chip(word.as_str(), label(*word), state == Some(*word)))
        .collect_view();
    let (who, model) = (query::value("who"), query::value("model"));
    let kept = state.map_or("all", RequestState::as_str);
    view! {
        <div class="filters row">
            <div class="seg" role="group" aria-label="Which state">{chips}{chip("all", "All", all)}</div>
            <form method="get" action="/requests" class="row narrow-find" role="search">
                <input type="hidden" name="state" value=kept/>
                {others.then(|| view! { <input type="search" name="who" value=who class="find" placeholder="Who asked" aria-label="Who asked"/> })}
                <input type="search" name="model" value=model class="find" placeholder="Model or limit" aria-label="Model, or what the limit is on"/>
                <button class="btn">"Search"</button>
            </form>
        </div>
    }
}

/// `$40.00 a month` over `until 3 Dec 2026`.
pub(super) fn asked(request: &Request) -> (String, String) {
    (request.wish.show(request.asked.amount), format!("until {}", time::date(request.asked.ends_on)))
}

/// What a request is for, as a link says it.
#[component]
pub(super) fn What(
    /// Which.
    wish: Wish,
) -> impl IntoView {
    match wish {
        Wish::Model { name, .. } => view! { <b class="mono">{name}</b> }.into_any(),
        Wish::Raise { name, .. } => view! { <b>{format!("More money for {name}")}</b> }.into_any(),
    }
}

#[component]
fn Line(seen: Seen) -> impl IntoView {
    let waits = seen.waits();
    let Seen { request, own, agreed, .. } = seen;
    let id = request.id.to_string();
    let progress = request.progress().filter(|_| request.state == RequestState::Waiting);
    let (terms, shown, changed) = (request.terms(), request.shown(), request.terms() != request.asked);
    let standing = (changed && request.state == RequestState::Waiting).then(
        || view! { <div class="sub">"agreed to so far: "<b>{request.wish.terms_words(&terms)}</b></div> },
    );
    let tick = waits.then(|| {
        let by = if request.wish.is_raise() { ", asked for by" } else { " for" };
        let name = format!("Choose {}{by} {}", request.wish.title(), request.requester.1);
        view! { <Check name="ids[]" label=name value=id.clone()/><input type="hidden" name="shown[]" value=format!("{id} {shown}")/> }
    });
    let (amount, until) = asked(&request);
    let given = granted(&request).filter(|(_, differs)| *differs);
    let given = given.map(|(text, _)| view! { <div class="sub">"given: "<b>{text}</b></div> });
    let over = request.state == RequestState::Ended;
    let idle = request.idle.as_ref().map(|_| match request.state {
        RequestState::Waiting => "nothing to agree to now",
        _ => "does nothing now",
    });
    let answered = request.decided.as_ref().and_then(|(at, who)| Some((*at, who.clone()?)));
    let ends =
        ends_running(&request).map(|text| view! { <div class="sub">{format!("approving {text}")}</div> });
    view! {
        <tr>
            <td><div class="tick">{tick}<span><a href=format!("/requests/{id}")><What wish=request.wish.clone()/></a><div class="sub"><When at=request.created_at/></div></span></div></td>
            <td>{if own { "Me".to_owned() } else { request.requester.1.clone() }}{waiting_while_away(&request)}<div class="sub">{request.group.1.clone()}{(request.for_group && !request.wish.is_raise()).then_some(", for everybody")}</div></td>
            <td class="r num">{amount}{instead_of(&request.wish).map(|text| view! { <div class="sub">{text}</div> })}<div class="sub">{until}</div>{standing}{given}{ends}</td>
            <td class="why">{short(&request.reason)}</td>
            <td class="beside"><RequestMark state=request.state/>{idle.map(|text| view! { <div class="sub">{text}</div> })}{progress.map(|text| view! { <div class="sub num">{text}{agreed.then_some(", you too")}</div> })}{request.missing().map(|text| view! { <div class="sub num">{text}</div> })}{answered.map(|(at, who)| view! { <div class="sub">{over.then_some("approved by ")}{who}" "<When at/></div> })}</td>
        </tr>
    }
}

/// What agreeing to a request ends: `ends the running grant of big-chat to Sam in Research (until 3 Dec 2026,
/// $40.00 a month)`.
fn ends_running(request: &Request) -> Option<String> {
    let replaced = request.replaces.as_ref()?;
    let last = frame().zone.local(replaced.ends_at - chrono::Duration::seconds(1)).date();
    let limit = if replaced.limit.is_empty() { String::new() } else { format!(", {}", replaced.limit) };
    Some(format!(
        "ends the running grant of {} to {} (until {}{limit})",
        request.wish.name(),
        request.whom(),
        time::date(last)
    ))
}

/// That whoever asked is suspended, where somebody still has to answer.
fn waiting_while_away(request: &Request) -> Option<impl IntoView + use<>> {
    (request.away && request.state == RequestState::Waiting)
        .then(|| view! { " "<Badge text="suspended" kind=Kind::Bad/> })
}

/// What was agreed to: `$25.00 a month until 1 Dec 2026`.
fn granted(request: &Request) -> Option<(String, bool)> {
    let grant = request.grant.as_ref()?;
    let last = frame().zone.local(grant.ends_at - chrono::Duration::seconds(1)).date();
    let differs = (grant.cap, last) != (request.asked.amount, request.asked.ends_on);
    Some((format!("{} until {}", request.wish.show(grant.cap), time::date(last)), differs))
}

/// What a raised limit was when this was asked for.
fn instead_of(wish: &Wish) -> Option<String> {
    match wish {
        Wish::Raise { from, .. } => Some(format!("instead of {} then", from.in_full())),
        Wish::Model { .. } => None,
    }
}

/// The beginning of a text, for a line of a table.
fn short(text: &str) -> String {
    const MOST: usize = 120;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).collect::<String>() + "…"
}

/// Asking for a model.
#[component]
pub fn NewRequestPage() -> impl IntoView {
    let askable = load_askable(query::value("model"));
    view! {
        <Page title="Ask for a model">
            <Head title="Ask for a model" crumbs=vec![("/requests".to_owned(), "Requests".to_owned())]/>
            <Load data=askable let(askable)><Ask askable/></Load>
        </Page>
    }
}

#[component]
fn Ask(askable: Askable) -> impl IntoView {
    let Askable { models, whom, model, why_not, has } = askable;
    let banner = why_not.map(|sentence| view! { <p class="banner warn" role="status">{sentence}</p> });
    let options = models.iter().map(|(id, name, price)| {
        let text =
            if price.is_empty() { name.clone() } else { format!("{name} · {price} per million tokens") };
        view! { <option value=name.clone() selected=Some(*id) == model>{text}</option> }
    });
    let options = options.collect_view();
    if model.is_none() && !models.is_empty() {
        // What was named cannot be asked for: whoever came here for it chooses another one, if any.
        return view! {
            {banner}
            <Card class="pad narrow">
                <form method="get" action="/requests/new" class="row model-choice">
                    <div class="field"><label for="which-model">"Model"</label><select id="which-model" name="model"><option value="" selected="">"Choose another model"</option>{options}</select></div>
                    <button class="btn">"Choose"</button>
                </form>
            </Card>
        }
        .into_any();
    }
    let Some(model) = model else {
        return view! {
            {banner}
            <Card><Empty title="Nothing to ask for" text="Models that are open to you need no request, and closed ones cannot be asked for here. What is open by request to one of your groups would stand here."><a class="btn" href="/my-models">"To my models"</a></Empty></Card>
        }
        .into_any();
    };
    let frame = frame();
    let group = query::value("group");
    let chosen = whom.iter().find(|(key, _)| !group.is_empty() && key.ends_with(&group));
    let chosen = chosen.map(|(key, _)| key.clone()).unwrap_or_default();
    let month = frame.zone.local(frame.now).date() + chrono::Days::new(30);
    let has = has
        .into_iter()
        .map(|Held { request, whom, until }| {
            let until = frame.zone.full(until);
            view! { <p class="banner good">{format!("{whom}: there is a grant for this until {until}. ")}<a href=format!("/requests/{request}")>"See it"</a>". A new one for the same would take its place."</p> }
        })
        .collect_view();
    view! {
        {banner}
        {has}
        <Card class="pad narrow">
            <form method="get" action="/requests/new" class="row model-choice">
                <div class="field"><label for="which-model">"Model"</label><select id="which-model" name="model">{options}</select></div>
                <button class="btn">"Choose"</button>
            </form>
            <Form to=CreateRequest::PATH>
                <Hidden name="model" value=model.to_string()/>
                <Select name="whom" label="For" options=whom value=chosen/>
                <TextArea name="reason" label="Why" hint="Whoever decides reads this: what for, and why this model."/>
                <div class="pair">
                    <Field name="amount" label="Money, in US dollars" inputmode="decimal" placeholder="50.00" hint="The most it may cost."/>
                    <Select name="per" label="Counted" options=choices(Per::ALL, |per| match per { Per::Month => "each month".to_owned(), Per::Total => "in total".to_owned() })/>
                </div>
                <Field name="ends_on" label="Last day" kind="date" value=month.to_string() hint="It ends by itself after this day; a year ahead at most."/>
                <div class="row end"><Submit label="Ask"/></div>
            </Form>
        </Card>
    }
    .into_any()
}

/// One request.
#[component]
pub fn RequestPage() -> impl IntoView {
    let request = load_request(param("id"));
    view! { <Page title="Request" live=true><Load data=request let(seen)><One seen/></Load></Page> }
}

#[component]
fn One(seen: Seen) -> impl IntoView {
    let Seen { request, own, decides, agreed, reviewed, succeeded } = seen;
    let id = request.id.to_string();
    let waits = request.state == RequestState::Waiting;
    let lapsed = request.state == RequestState::Lapsed;
    let anew = match &request.wish {
        Wish::Model { name, .. } => {
            format!("/requests/new?model={}&group={}", query::encoded(name), request.group.0)
        }
        Wish::Raise { meter, .. } => raise_href(meter, Some(request.group.0)),
    };
    let late =
        lapsed.then(|| too_late(request.asked.ends_on, if own { "You" } else { &request.requester.1 }));
    let agree = request.counting();
    let so_far = match agree {
        0 if request.approvals.is_empty() => "Nobody has answered yet".to_owned(),
        0 => format!("Nobody of {} who counts has agreed", request.approvers),
        _ if request.enough_agree() => {
            format!("{agree} of {} have agreed: one of them completes it", request.approvers)
        }
        1 => format!("1 of {} has agreed", request.approvers),
        agree => format!("{agree} of {} have agreed", request.approvers),
    };
    let approvals = (request.approvers > 1).then(|| view! { <Approvals request=request.clone()/> });
    let (amount, until) = asked(&request);
    let instead = instead_of(&request.wish);
    let standing = request.now.map(|now| {
        let share = domain::spend::share(now.used.0.saturating_add(now.held.0), now.cap.0);
        format!("{}, {} used ({share})", request.wish.show(now.cap), now.used)
    });
    let needless = request.idle.clone().filter(|_| waits);
    let first = if request.wish.is_raise() { "the limit" } else { "that" };
    let wish = request.wish.clone();
    let who_decides = deciders(&wish);
    let crumbs = vec![("/requests".to_owned(), "Requests".to_owned())];
    let title = match &request.wish {
        Wish::Model { name, .. } => format!("{name} for {}", request.whom()),
        Wish::Raise { name, .. } => format!("More money for {name}"),
    };
    // What is over was agreed to once: whoever did that has not ended it.
    let answered = match request.state {
        RequestState::Ended => RequestState::Approved,
        state => state,
    };
    let over = (request.state == RequestState::Ended)
        .then(|| request.grant.as_ref().map(|grant| grant.revoked_at.unwrap_or(grant.ends_at)))
        .flatten()
        .map(|at| view! { <dt>"Over"</dt><dd><RequestMark state=RequestState::Ended/>" "<When at/>{reviewed.map(|reviewed| view! { <EndedByReview reviewed/> })}{succeeded.map(|succeeded| view! { <EndedByGrant succeeded/> })}</dd> });
    let answer = request.decided.clone().map(|(at, who)| {
        let who = who.unwrap_or_else(|| "Somebody".to_owned());
        let said = (!request.answer.is_empty())
            .then(|| view! { <blockquote class="said">{request.answer.clone()}</blockquote> });
        let what = granted(&request).map(|(text, _)| view! { " "<b class="num">{text}</b>" by" });
        view! { <dt>"Answer"</dt><dd><RequestMark state=answered/>{what}" "{who}", "<When at/>{said}</dd> }
    });
    let why = request.wish.model().map(|_| {
        super::why::href(&[
            ("who", &request.requester.0.to_string()),
            ("on", &request.group.0.to_string()),
            ("model", request.wish.name()),
        ])
    });
    let decide = (waits && decides).then(|| {
        let needless = needless.clone().map(|text| format!("{text} Refuse this, or change {first} first."));
        view! { <Decide request=request.clone() agreed needless/> }
    });
    let grant = request.grant.clone().map(
        |grant| view! { <GrantCard id=id.clone() grant wish=request.wish.clone() state=request.state idle=request.idle.clone() ends=decides/> },
    );
    view! {
        <Head title crumbs>
            {why.map(|href| view! { <a class="btn" href=href>"Why"</a> })}
            {(own && (waits || lapsed)).then(|| view! { <Form to=WithdrawRequest::PATH class="inline"><Hidden name="id" value=id.clone()/><Submit label="Take it back" look=""/></Form> })}
        </Head>
        <div class="two">
            <Card title="What was asked for">
                <dl class="facts-list">
                    <dt>"Who"</dt><dd>{request.requester.1.clone()}{waiting_while_away(&request)}</dd>
                    {match wish {
                        Wish::Model { .. } => view! { <dt>"For"</dt><dd>{request.whom()}</dd> }.into_any(),
                        Wish::Raise { name, meter, .. } => view! {
                            <dt>"Limit of"</dt><dd>{name}<span class="muted">{format!(" ({})", meter.scope.kind())}</span></dd>
                            <dt>"Paid by"</dt><dd>{request.group.1.clone()}</dd>
                        }.into_any(),
                    }}
                    <dt>"Money"</dt><dd class="num">{amount}{instead.map(|text| view! { <span class="muted">{format!(" {text}")}</span> })}</dd>
                    <dt>"Last day"</dt><dd class="num">{until}</dd>
                    {standing.map(|text| view! { <dt>"The limit now"</dt><dd class="num">{text}</dd> })}
                    <dt>"Why"</dt><dd><blockquote class="said">{request.reason.clone()}</blockquote></dd>
                    <dt>"Asked"</dt><dd><When at=request.created_at/></dd>
                    {answer}
                    {over}
                </dl>
            </Card>
            {grant}
            {approvals}
            {decide}
            {late.map(|text| view! {
                <Card title="Too late">{if own {
                    view! { <Empty title="Nobody answered in time" text><a class="btn go" href=anew>"Ask anew"</a></Empty> }.into_any()
                } else {
                    view! { <Empty title="Nobody answered in time" text/> }.into_any()
                }}</Card>
            })}
            {(waits && !decides).then(|| view! {
                <Card title="Waiting"><Empty
                    title=so_far.clone()
                    text=format!("{}{}{}", needless.clone().map(|text| format!("{text} ")).unwrap_or_default(), who_decides, if own { " Not you yourself. You see here what comes of it, and are told." } else { "" })
                /></Card>
            })}
        </div>
    }
}

/// Which review ended it.
#[component]
fn EndedByReview(reviewed: Reviewed) -> impl IntoView {
    let Reviewed { review, path, by } = reviewed;
    let name = format!("access review of {path}");
    let name = match review {
        Some(id) => view! { <a href=format!("/reviews/{id}")>{name}</a> }.into_any(),
        None => name.into_any(),
    };
    view! {
        <div class="sub">{match by {
            Some(by) => view! { {format!("{by} dropped it in the ")}{name}"." }.into_any(),
            None => view! { "Nobody confirmed it before the "{name}" closed." }.into_any(),
        }}</div>
    }
}

/// Which newer grant ended it.
#[component]
fn EndedByGrant(succeeded: Succeeded) -> impl IntoView {
    let Succeeded { request, requester, decider } = succeeded;
    let what = format!("what {requester} asked for anew");
    let what = match request {
        Some(id) => view! { <a href=format!("/requests/{id}")>{what}</a> }.into_any(),
        None => what.into_any(),
    };
    view! {
        <div class="sub">"A newer grant took its place: "{what}{decider.map(|who| format!(", which {who} approved"))}"."</div>
    }
}

/// Who may answer.
const fn deciders(wish: &Wish) -> &'static str {
    match wish {
        Wish::Model { .. } => "A lead of the group, one above it, or an admin decides.",
        Wish::Raise { .. } => "An admin or owner decides: only they raise limits.",
    }
}

/// Who has agreed, where several have to.
#[component]
fn Approvals(request: Request) -> impl IntoView {
    let parts = request.progress().into_iter().chain(request.missing());
    let note = parts.collect::<Vec<_>>().join(", ");
    let none = request.approvals.is_empty();
    let waits = request.state == RequestState::Waiting;
    let missing = request.not_counting().filter(|_| waits);
    let enough = (waits && request.enough_agree())
        .then_some("Enough agree, and may decide now. It holds once one who may decide presses Approve.");
    let wish = request.wish;
    let lines = request
        .approvals
        .into_iter()
        .map(|Approval { who, terms, answer, at, counts }| {
            let said = (!answer.is_empty()).then(|| view! { <blockquote class="said">{answer}</blockquote> });
            let terms = format!("{}, until {}", wish.show(terms.amount), time::date(terms.ends_on));
            view! {
                <li>
                    <div class="row between"><b>{who.1}</b><span class="muted"><When at/></span></div>
                    <p class="under num">{terms}</p>
                    {said}
                    {(!counts && waits).then(|| view! { <p class="under">"May not decide now: this does not count until they may again."</p> })}
                </li>
            }
        })
        .collect_view();
    view! {
        <Card title="Who agrees" note>
            {if none {
                view! { <Empty title="Nobody yet" text="A sum like this needs several people who agree to the same terms; never whoever asks."/> }.into_any()
            } else {
                view! {
                    {missing.map(|text| view! { <p class="banner warn" role="status">{text}</p> })}
                    {enough.map(|text| view! { <p class="banner good" role="status">{text}</p> })}
                    <ul class="list">{lines}</ul>
                }.into_any()
            }}
        </Card>
    }
}

/// From which sum on several have to agree, on the page of the organization's settings.
#[component]
pub fn ApprovalRuleCard() -> impl IntoView {
    let rule = load_approval_rule();
    view! {
        <Load data=rule let(approving)>
            <LargeSums approving/>
        </Load>
    }
}

#[component]
fn LargeSums(approving: Approving) -> impl IntoView {
    let Approving { rule, warning } = approving;
    let numbers = (1..=5_u8).map(|number| {
        let text = if number == 1 { "One always suffices".to_owned() } else { format!("{number} people") };
        (number.to_string(), text)
    });
    let numbers: Vec<(String, String)> = numbers.collect();
    view! {
            <Card title="Requests for large sums" class="narrow">
                {warning.map(|text| view! { <p class="banner warn">{text}</p> })}
                <Form to=EditApprovalRule::PATH class="pad">
                    <Hidden name="version" value=rule.map_or(0, |rule| rule.version).to_string()/>
                    <div class="pair">
                        <Field name="above" label="Above, in US dollars" inputmode="decimal" optional=true value=rule.map(|rule| rule.above.exact()).unwrap_or_default() hint="What a request may cost in all, to its last day."/>
                        <Select name="approvers" label="Have to agree" options=numbers value=rule.map_or(1, |rule| rule.approvers).to_string() hint="Different people, never whoever asks."/>
                    </div>
                    <div class="row end"><Submit label="Save"/></div>
                </Form>
            </Card>
    }
}

/// Approve, with less if need be, or refuse.
#[component]
fn Decide(
    request: Request,
    /// Whether whoever looks agrees already.
    agreed: bool,
    /// Why there is nothing to agree to by now.
    needless: Option<String>,
) -> impl IntoView {
    let id = request.id.to_string();
    let (terms, begun) = (request.terms(), !request.approvals.is_empty());
    let now = request.approvers <= 1 || request.counting() + 1 >= usize::from(request.approvers);
    let note = if now { "it holds from the next call on" } else { "it holds once enough agree" };
    let ends = ends_running(&request).map(|text| {
        let when = if now { "Approving" } else { "Once enough agree, this" };
        let see = request.replaces.as_ref().and_then(|replaced| replaced.request);
        let see = see.map(|id| view! { " "<a href=format!("/requests/{id}")>"See it"</a> });
        view! { <p class="banner warn" role="status">{format!("{when} {text}: the new one takes its place, and counts from nothing.")}{see}</p> }
    });
    let hint =
        if begun { "Agreed to so far. Anything else begins the count anew." } else { "As asked, or less." };
    let counted = match &request.wish {
        Wish::Model { per: Per::Month, .. } => "At most, each month".to_owned(),
        Wish::Model { per: Per::Total, .. } => "At most, in total".to_owned(),
        Wish::Raise { meter, .. } => format!("The limit, {}", meter.window.per()),
    };
    view! {
        <div>
            <Card title="Approve" note clone:id><div class="pad">
                {agreed.then(|| view! { <p class="banner good">"You agree to this already; others have to, too."</p> })}
                {match needless {
                    Some(text) => view! { <p class="banner warn" role="status">{text}</p> }.into_any(),
                    None => view! { {ends}<Form to=ApproveRequest::PATH>
                    <Hidden name="id" value=id.clone()/>
                    <Hidden name="shown" value=request.shown().to_string()/>
                    <div class="pair">
                        <Field name="amount" label=counted inputmode="decimal" value=terms.amount.exact() hint=hint/>
                        <Field name="ends_on" label="Last day" kind="date" value=terms.ends_on.to_string() hint=if begun { "" } else { "As asked, or earlier." }/>
                    </div>
                    <TextArea name="answer" label="What you say" rows=2 optional=true/>
                    <div class="row end"><Submit label="Approve"/></div>
                    </Form> }.into_any(),
                }}
            </div></Card>
            <Card title="Refuse"><div class="pad">
                <Form to=RefuseRequest::PATH>
                    <Hidden name="id" value=id/>
                    <TextArea name="answer" label="Why not" rows=2 hint="Whoever asked reads this."/>
                    <div class="row end"><Submit label="Refuse" look="danger"/></div>
                </Form>
            </div></Card>
        </div>
    }
}
