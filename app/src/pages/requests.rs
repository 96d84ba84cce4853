//! Requests: what waits for me, what I asked for, and what came of it.

use domain::{
    limits::Level,
    requests::{Approval, Granted, Per, Request, RequestState, too_late},
    time,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{choices, param};
use crate::{
    api::requests::{
        ApproveRequest, ApproveRequests, Approving, Askable, CreateRequest, EditApprovalRule, EndGrant,
        Inbox, RefuseRequest, RefuseRequests, Seen, WithdrawRequest, load_approval_rule, load_askable,
        load_request, load_requests,
    },
    ui::{
        Badge, Card, Check, Confirm, Empty, Field, Form, Head, Hidden, Kind, Load, Meter, OpenDialog, Page,
        Pager, Select, Submit, TextArea, When, context::frame, query,
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
    let Inbox { requests, state, others, waiting, next } = inbox;
    let note = match waiting {
        0 if others => "none waits for you".to_owned(),
        0 => String::new(),
        1 => "1 waits for you".to_owned(),
        waiting => format!("{waiting} wait for you"),
    };
    let filtered = state.is_some() || !query::value("who").is_empty() || !query::value("model").is_empty();
    let empty = requests.is_empty();
    let choosable = requests.iter().any(Seen::waits);
    view! {
        <Head title=if others { "Requests" } else { "My requests" } note><a class="btn go" href="/requests/new">"Ask for a model"</a></Head>
        <Filters state others/>
        {if empty && filtered {
            view! { <Card><Empty title="Nothing here" text="No request matches. Choose another state, or show all of them."><a class="btn" href="/requests?state=all">"Show all"</a></Empty></Card> }.into_any()
        } else if empty {
            view! { <Card><Empty title="No requests yet" text="Some models are open by request: say why, for how much and until when, and a lead or admin agrees or does not."><a class="btn go" href="/requests/new">"Ask for a model"</a></Empty></Card> }.into_any()
        } else if choosable {
            view! {
                <Form to=ApproveRequests::PATH also=RefuseRequests::PATH class="inbox">
                    <Lines requests/>
                    <div class="select-bar" role="group" aria-label="Those that are ticked">
                        <TextArea name="answer" label="What you say to those who asked" rows=1 optional=true hint="Needed to refuse."/>
                        <div class="row">
                            <Submit label="Approve as asked"/>
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
                    <thead><tr><th>"Model"</th><th>"For"</th><th class="r">"Asked for"</th><th>"Why"</th><th>"State"</th></tr></thead>
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
                <input type="search" name="model" value=model class="find" placeholder="Model" aria-label="Model"/>
                <button class="btn">"Search"</button>
            </form>
        </div>
    }
}

/// `$40.00 a month` over `until 3 Dec 2026`.
fn asked(request: &Request) -> (String, String) {
    (request.per.show(request.asked.amount), format!("until {}", time::date(request.asked.ends_on)))
}

#[component]
fn Line(seen: Seen) -> impl IntoView {
    let waits = seen.waits();
    let Seen { request, own, agreed, .. } = seen;
    let id = request.id.to_string();
    let progress = request.progress().filter(|_| request.state == RequestState::Waiting);
    let tick = waits.then(|| {
        let name = format!("Choose {} for {}", request.model.1, request.requester.1);
        view! { <Check name="ids[]" label=name value=id.clone()/> }
    });
    let (amount, until) = asked(&request);
    let answered = request.decided.as_ref().and_then(|(at, who)| Some((*at, who.clone()?)));
    view! {
        <tr>
            <td><div class="tick">{tick}<span><a href=format!("/requests/{id}")><b class="mono">{request.model.1.clone()}</b></a><div class="sub"><When at=request.created_at/></div></span></div></td>
            <td>{if own { "Me".to_owned() } else { request.requester.1.clone() }}<div class="sub">{request.group.1.clone()}{request.for_group.then_some(", for everybody")}</div></td>
            <td class="r num">{amount}<div class="sub">{until}</div></td>
            <td class="why">{short(&request.reason)}</td>
            <td class="beside"><RequestMark state=request.state/>{progress.map(|text| view! { <div class="sub num">{text}{agreed.then_some(", you too")}</div> })}{answered.map(|(at, who)| view! { <div class="sub">{who}" "<When at/></div> })}</td>
        </tr>
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
    let has = has.map(|(request, until)| {
        let until = frame.zone.full(until);
        view! { <p class="banner good">{format!("You have a grant for this until {until}. ")}<a href=format!("/requests/{request}")>"See it"</a>". A new one would take its place."</p> }
    });
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
    let Seen { request, own, decides, agreed } = seen;
    let id = request.id.to_string();
    let waits = request.state == RequestState::Waiting;
    let lapsed = request.state == RequestState::Lapsed;
    let anew = format!("/requests/new?model={}&group={}", query::encoded(&request.model.1), request.group.0);
    let late =
        lapsed.then(|| too_late(request.asked.ends_on, if own { "You" } else { &request.requester.1 }));
    let approvals = (request.approvers > 1).then(|| view! { <Approvals request=request.clone()/> });
    let (amount, until) = asked(&request);
    let crumbs = vec![("/requests".to_owned(), "Requests".to_owned())];
    let title = format!("{} for {}", request.model.1, request.whom());
    let answer = request.decided.clone().map(|(at, who)| {
        let who = who.unwrap_or_else(|| "Somebody".to_owned());
        let said = (!request.answer.is_empty())
            .then(|| view! { <blockquote class="said">{request.answer.clone()}</blockquote> });
        view! { <dt>"Answer"</dt><dd><RequestMark state=request.state/>" "{who}", "<When at/>{said}</dd> }
    });
    let why = super::why::href(&[
        ("who", &request.requester.0.to_string()),
        ("on", &request.group.0.to_string()),
        ("model", &request.model.1),
    ]);
    let decide = (waits && decides).then(|| view! { <Decide request=request.clone() agreed/> });
    let grant = request.grant.clone().map(
        |grant| view! { <GrantCard id=id.clone() grant per=request.per state=request.state ends=decides/> },
    );
    view! {
        <Head title crumbs>
            <a class="btn" href=why>"Why"</a>
            {(own && (waits || lapsed)).then(|| view! { <Form to=WithdrawRequest::PATH class="inline"><Hidden name="id" value=id.clone()/><Submit label="Take it back" look=""/></Form> })}
        </Head>
        <div class="two">
            <Card title="What was asked for">
                <dl class="facts-list">
                    <dt>"Who"</dt><dd>{request.requester.1.clone()}</dd>
                    <dt>"For"</dt><dd>{request.whom()}</dd>
                    <dt>"Money"</dt><dd class="num">{amount}</dd>
                    <dt>"Last day"</dt><dd class="num">{until}</dd>
                    <dt>"Why"</dt><dd><blockquote class="said">{request.reason.clone()}</blockquote></dd>
                    <dt>"Asked"</dt><dd><When at=request.created_at/></dd>
                    {answer}
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
                    title="Nobody has answered yet"
                    text=if own { "A lead of the group, one above it, or an admin decides; not you yourself. You see here what comes of it, and are told." } else { "A lead of the group, one above it, or an admin decides." }
                /></Card>
            })}
        </div>
    }
}

/// Who has agreed, where several have to.
#[component]
fn Approvals(request: Request) -> impl IntoView {
    let note = request.progress().unwrap_or_default();
    let none = request.approvals.is_empty();
    let per = request.per;
    let lines = request
        .approvals
        .into_iter()
        .map(|Approval { who, terms, answer, at, counts }| {
            let said = (!answer.is_empty()).then(|| view! { <blockquote class="said">{answer}</blockquote> });
            let terms = format!("{}, until {}", per.show(terms.amount), time::date(terms.ends_on));
            view! {
                <li>
                    <div class="row between"><b>{who.1}</b><span class="muted"><When at/></span></div>
                    <p class="under num">{terms}</p>
                    {said}
                    {(!counts).then(|| view! { <p class="under">"May not decide any more, and does not count."</p> })}
                </li>
            }
        })
        .collect_view();
    view! {
        <Card title="Who agrees" note>
            {if none {
                view! { <Empty title="Nobody yet" text="A sum like this needs several people who agree to the same terms; never whoever asks."/> }.into_any()
            } else {
                view! { <ul class="list">{lines}</ul> }.into_any()
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
fn Decide(request: Request, agreed: bool) -> impl IntoView {
    let id = request.id.to_string();
    let (terms, begun) = (request.terms(), !request.approvals.is_empty());
    let note =
        if request.approvers > 1 { "it holds once enough agree" } else { "it holds from the next call on" };
    let hint =
        if begun { "Agreed to so far. Anything else begins the count anew." } else { "As asked, or less." };
    let counted = match request.per {
        Per::Month => "At most, each month",
        Per::Total => "At most, in total",
    };
    view! {
        <div>
            <Card title="Approve" note clone:id><div class="pad">
                {agreed.then(|| view! { <p class="banner good">"You agree to this already; others have to, too."</p> })}
                <Form to=ApproveRequest::PATH>
                    <Hidden name="id" value=id.clone()/>
                    <div class="pair">
                        <Field name="amount" label=counted inputmode="decimal" value=terms.amount.exact() hint=hint/>
                        <Field name="ends_on" label="Last day" kind="date" value=terms.ends_on.to_string() hint=if begun { "" } else { "As asked, or earlier." }/>
                    </div>
                    <TextArea name="answer" label="What you say" rows=2 optional=true/>
                    <div class="row end"><Submit label="Approve"/></div>
                </Form>
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

/// A grant: how much of it is left, and until when.
#[component]
pub fn GrantMeter(
    /// What was agreed to.
    grant: Granted,
    /// How its money is counted.
    per: Per,
) -> impl IntoView {
    let level = Level { settled: grant.used.0, held: grant.held.0 };
    let text = format!("{} of {} used, {}", grant.used, per.show(grant.cap), grant.share());
    let until = match grant.revoked_at {
        Some(at) => view! { " · ended "<When at/> }.into_any(),
        None => view! { " · until "<When at=grant.ends_at/> }.into_any(),
    };
    view! { <Meter level cap=grant.cap.0 text=text.clone()/><p class="under num">{text}{until}</p> }
}

#[component]
fn GrantCard(id: String, grant: Granted, per: Per, state: RequestState, ends: bool) -> impl IntoView {
    let holds = state == RequestState::Approved;
    let note = if holds { "counted for itself" } else { "over" };
    view! {
        <Card title="The grant" note actions=ViewFn::from(move || view! { {(ends && holds).then(|| view! { <OpenDialog name="end" label="End it now" look="btn small"/> })} })>
            <div class="pad"><GrantMeter grant per/></div>
        </Card>
        {(ends && holds).then(|| view! {
            <Confirm
                name="end" title="End the grant?" to=EndGrant::PATH label="End it" fields=vec![("id", id)]
                consequence="The next call is refused again until somebody agrees to a new request. Calls in flight are finished; what was spent stays on the books."
            />
        })}
    }
}

/// Requests and grants of one person or group, on its page.
#[component]
pub fn Grants(
    /// Those that wait, and those that hold.
    requests: Vec<Request>,
    /// What is said when there are none.
    empty: &'static str,
) -> impl IntoView {
    let none = requests.is_empty();
    let items = requests
        .into_iter()
        .map(|request| {
            let (amount, until) = asked(&request);
            let meter = match request.grant.clone() {
                Some(grant) => view! { <GrantMeter grant per=request.per/> }.into_any(),
                None => view! { <p class="under num">{format!("{amount} {until}")}</p> }.into_any(),
            };
            view! {
                <li>
                    <div class="row between">
                        <span><a href=format!("/requests/{}", request.id)><b class="mono">{request.model.1.clone()}</b></a><span class="sub">{format!(" for {}", request.whom())}</span></span>
                        <RequestMark state=request.state/>
                    </div>
                    {meter}
                </li>
            }
        })
        .collect_view();
    view! {
        <Card title="Requests and grants">
            {if none { view! { <Empty title="None" text=empty/> }.into_any() } else { view! { <ul class="list">{items}</ul> }.into_any() }}
        </Card>
    }
}
