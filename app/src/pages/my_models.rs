//! What I can use.

use domain::{authorizations::State, ids::GroupId, requests::RequestState, time};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{
    applications::Revoke, calls::LastCalls, grants::Grants, raises::raise_href, snippets::Snippets,
    spend::LedInShort,
};
use crate::{
    api::{
        keys::{IssueOwnSecret, OpenPersonal},
        my_models::{Door, GroupOver, MyPage, MySecret, Way, load_my_models},
    },
    ui::{
        Ago, Badge, Card, Dialog, Empty, Field, Folded, Form, Head, Hidden, Kind, LimitMeter, Load,
        OpenDialog, Page, Select, StateMark, Submit, When, context::frame, money::pair, once::Outcome, query,
    },
};

/// My models, my secrets, my headroom.
#[component]
pub fn MyModelsPage() -> impl IntoView {
    let page = load_my_models();
    view! {
        <Page title="My models" live=true>
            <Load data=page let(page)>
                <Head title="My models"><a class="btn" href="/spend/me">{format!("My spend this month: {}", page.spend)}</a></Head>
                <LedInShort/>
                <Content page/>
            </Load>
        </Page>
    }
}

/// Through which groups, and what is left in each: the one my secrets call through, or the best, and the
/// others when they are asked for. `asked`: the groups in which a request for it waits.
#[component]
fn Ways(through: Vec<Way>, ask: Option<String>, asked: Vec<GroupId>, best: State) -> impl IntoView {
    let called = through.iter().any(|way| way.called);
    // Of the only one it is said beside the name of the model.
    let asked = if through.len() > 1 { asked } else { Vec::new() };
    let mut ways = through.into_iter();
    let first = ways.next().map(|way| view! { <WayLine way ask=ask.clone() asked=asked.clone() best/> });
    let more = ways.len();
    let others = ways
        .map(|way| {
            let uncalled = called && !way.called && way.state == State::Open;
            let uncalled =
                uncalled.then(|| view! { <div class="sub">"No secret of yours calls here yet"</div> });
            view! { <li><WayLine way ask=ask.clone() asked=asked.clone() best/>{uncalled}</li> }
        })
        .collect_view();
    let count = if more == 1 { "1 more group".to_owned() } else { format!("{more} more groups") };
    view! {
        <div class="through">
            {first}
            {(more > 0).then(|| view! { <details><summary class="sub">{count}</summary><ul>{others}</ul></details> })}
        </div>
    }
}

#[component]
fn WayLine(way: Way, ask: Option<String>, asked: Vec<GroupId>, best: State) -> impl IntoView {
    let Way { group, name, state, left, full, short, called: _ } = way;
    let anew = |anew: Option<chrono::DateTime<chrono::Utc>>| {
        anew.map(|end| view! { <div class="sub">"It begins anew on "<When at=end/></div> })
    };
    let rest = match (state, full, left) {
        (State::Open, Some(tight), _) => view! {
            <div class="sub"><b>"Used up"</b>{format!(", {}", tight.limit)}</div>{anew(tight.anew)}
        }
        .into_any(),
        (State::Open, None, Some((money, limit))) if short.is_some() => view! {
            <div class="sub num" title=limit.clone()><b>{format!("{money} left")}</b>{format!(", less than a usual call: {limit}")}</div>{anew(short.and_then(|tight| tight.anew))}
        }
        .into_any(),
        (State::Open, None, Some((money, limit))) => view! {
            <div class="sub num" title=limit.clone()>{format!("{money} left")}<span class="sr">{format!(" by {limit}")}</span></div>
        }
        .into_any(),
        (State::Open, None, None) => ().into_any(),
        _ if asked.contains(&group) => view! { <div class="sub">"By request · You have asked here"</div> }.into_any(),
        // Said beside the name of the model already, where it is no better anywhere.
        _ if state == best && asked.is_empty() => ().into_any(),
        _ => {
            let ask = ask.map(|href| view! { " · "<a class="link" href=format!("{href}&group={group}")>"Ask for it here"</a> });
            view! { <div class="sub">"By request"{ask}</div> }.into_any()
        }
    };
    view! { <Badge text=name/>{rest} }
}

#[component]
fn Content(page: MyPage) -> impl IntoView {
    let MyPage { models, groups, over, keys, limits, requests, calls, owned, may, spend: _ } = page;
    let waits: Vec<(String, GroupId)> = requests
        .iter()
        .filter(|request| request.state == RequestState::Waiting && !request.wish.is_raise())
        .map(|request| (request.wish.name().to_owned(), request.group.0))
        .collect();
    let callable: Vec<(String, Door)> = models
        .iter()
        .filter(|model| model.state == State::Open)
        .filter_map(|model| Some((model.name.clone(), model.door?)))
        .collect();
    let rows = models
        .iter()
        .map(|model| {
            let mut open = model.through.iter().filter(|way| way.state == State::Open);
            let used_up = model.state == State::Open && open.clone().all(|way| way.full.is_some());
            let short = model.state == State::Open
                && !used_up
                && open.all(|way| way.full.is_some() || way.short.is_some());
            let asked: Vec<GroupId> =
                waits.iter().filter(|(name, _)| *name == model.name).map(|(_, group)| *group).collect();
            let has_asked = !asked.is_empty();
            let ask = may.requests.then(|| format!("/requests/new?model={}", query::encoded(&model.name)));
            view! {
                <tr>
                    <td><b class="mono">{model.name.clone()}</b><div class="sub">{model.tier.clone()}{match model.door {
                        None => view! { " · not served here yet" }.into_any(),
                        Some(_) if model.state == State::Open => {
                            let href = query::href(&[("call", Some(&model.name))]) + "#program";
                            view! { " · "<a class="link" href=href>"Call it"<span class="sr">{format!(" {}", model.name)}</span></a> }.into_any()
                        }
                        Some(_) => ().into_any(),
                    }}</div></td>
                    <td class="beside">
                        <a href=super::why::href(&[("model", &model.name)]) title="Why"><StateMark state=model.state/></a>
                        {used_up.then(|| view! { <div><Badge text="Used up" kind=Kind::Bad/></div> })}
                        {model.usual.filter(|_| short).map(|usual| view! {
                            <div><Badge text="Little left" kind=Kind::Warn/></div>
                            <div class="sub">{format!("A typical call (≈ {}) no longer fits", usual.cost)}</div>
                        })}
                        {(model.state == State::ByRequest).then(|| if has_asked {
                            view! { <div class="sub">"You have asked"</div> }.into_any()
                        } else if !may.requests {
                            view! { <div class="sub">"Ask a lead of your group"</div> }.into_any()
                        } else {
                            view! { <div><a class="link" href=format!("/requests/new?model={}", query::encoded(&model.name))>"Ask for it"</a></div> }.into_any()
                        })}
                    </td>
                    <td data-th="Through"><Ways through=model.through.clone() ask asked best=model.state/></td>
                    <td class="r num" data-th="Input / output"><div>{model.prices.map_or_else(|| "–".to_owned(), |prices| pair(&prices))}<div class="sub">"per million tokens"</div>{model.usual.map(|usual| view! {
                        <div class="sub" title=if usual.mine { "On average, of my calls in the last 30 days" } else { "On average, of everybody's calls in the last 30 days" }>{format!("≈ {} a call", usual.cost)}</div>
                    })}</div></td>
                </tr>
            }
        })
        .collect_view();
    let tightest = limits
        .iter()
        .map(|limit| {
            let title = format!("{} · {}", limit.scope_name, limit.limit.meter.show_cap(limit.limit.cap));
            let more = (may.requests && limit.can_be_raised()).then(|| raise_href(&limit.limit.meter, None));
            view! {
                <li>
                    <div class="row between"><b>{title}</b>{more.map(|href| view! { <a class="link" href=href>"Ask for more"</a> })}</div>
                    <LimitMeter limit=limit.clone()/>
                </li>
            }
        })
        .collect_view();
    let (no_models, no_limits, no_groups) = (models.is_empty(), limits.is_empty(), groups.is_empty());
    let all_over = no_groups && !over.is_empty();
    let key_items = keys
        .into_iter()
        .map(|key| {
            let has = key.secret.is_some();
            view! {
                <li>
                    <div class="row between">
                        <span><b>{key.name.clone()}</b><span class="sub">{format!(" {}{}", key.group, if key.personal { " · personal" } else { "" })}</span></span>
                        {key.secret.as_ref().map(|secret| {
                            // It stops as its last day ends.
                            let last = secret.ends_at.map(|end| frame().zone.local(end - chrono::TimeDelta::seconds(1)).date());
                            view! {
                                <span>
                                    <span class="mono">{secret.hint.clone()}</span>
                                    <span class="sub">" last used "<Ago at=secret.last_used_at/>{last.map(|day| format!(" · stops after {}", time::date(day)))}</span>
                                </span>
                            }
                        })}
                    </div>
                    {key.policy.map(|(name, from)| view! {
                        <p class="sub">"A call that names no model goes to "<span class="mono">{format!("policy/{name}")}</span>{from.map(|group| format!(", as {group} says"))}"."</p>
                    })}
                    {key.older.iter().map(|old| view! { <Older secret=old.clone() application=key.application.clone()/> }).collect_view()}
                    {key.leaked.map(|hint| view! { <p class="banner bad">{format!("{hint} was reported as leaked and is dead. Make a new one, and look where the old one was kept.")}</p> })}
                    <div class="row first-line">
                        {match key.over {
                            Some(over) => view! { <p class="sub">{format!("{over}: every call is refused, so no secret is made.")}</p> }.into_any(),
                            None => view! {
                                <OpenDialog name=format!("secret-{}", key.key) label=if has { "Replace my secret" } else { "Make my secret" } look="btn small"/>
                                <MakeSecret key=key.key.clone() name=key.name.clone() now=key.secret.clone()/>
                            }.into_any(),
                        }}
                        {key.secret.map(|MySecret { id, hint, last_used_at, .. }| view! {
                            <OpenDialog name=format!("revoke-{id}") label="Revoke" look="link danger"/>
                            <Revoke secret=id application=key.application.clone() hint whose="Your programs".to_owned() used=last_used_at/>
                        })}
                    </div>
                </li>
            }
        })
        .collect_view();
    let open_items = groups
        .into_iter()
        .filter(|(_, _, personal)| !personal && may.applications)
        .map(|(id, path, _)| {
            view! {
                <li>
                    <Form to=OpenPersonal::PATH which=id.to_string() class="once-only">
                        <div class="row between">
                            <span>{format!("A private context in {path}")}</span>
                            <Hidden name="group" value=id.to_string()/><Submit label="Open it" look="small"/>
                        </div>
                        <LastDay/>
                    </Form>
                </li>
            }
        })
        .collect_view();
    view! {
        {over.into_iter().map(|over| view! { <p class="banner warn"><OverLine over/></p> }).collect_view()}
        <Card title="What I can use" note="by the function that enforces it" actions=ViewFn::from(|| view! { <a class="btn small" href="/why">"Why not another?"</a> })>
            {if no_models {
                let text = if all_over { "Models come through groups, and yours have ended." } else if no_groups { "You are in no group yet. Models come through groups; ask an admin to add you to one." } else { "None of your groups has a model that is open or can be asked for." };
                view! { <Empty title="Nothing yet" text/> }.into_any()
            } else {
                view! {
                    <table class="table stack">
                        <thead><tr><th>"Model"</th><th>"State"</th><th>"Through"</th><th class="r">"Input / output"</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                }.into_any()
            }}
        </Card>
        <div class="two">
            <Card title="My secrets" note="strings my programs send">
                // The form that opened a private context is gone once it is open.
                <Outcome of=OpenPersonal::PATH/>
                <ul class="list">{key_items}{open_items}</ul>
                {no_groups.then(|| view! { <Empty title="No keys for you yet" text="Keys are assigned to groups; members of a group can have a secret of their own."/> })}
            </Card>
            <Card title="My headroom" note="every limit that applies to me, the tightest first">
                {if no_limits {
                    view! { <Empty title="No limits" text="Nothing caps your spend, calls or tokens here."/> }.into_any()
                } else {
                    view! { <ul class="list">{tightest}</ul> }.into_any()
                }}
            </Card>
        </div>
        {(!owned.is_empty()).then(|| view! {
            <Card title="Applications I answer for" note="hand them on before you go">
                <ul class="list">{owned.into_iter().map(|(id, name)| view! { <li class="row between"><a href=format!("/applications/{id}")>{name}</a><a class="btn small" href=format!("/applications/{id}?dialog=hand-over")>"Hand over"</a></li> }).collect_view()}</ul>
            </Card>
        })}
        <div class="two">
            <Grants requests empty="What you asked for, and what was agreed to until when, stands here."/>
            <Snippets base=frame().public_url.clone() models=callable/>
        </div>
        <LastCalls title="My last calls" calls/>
    }
}

/// What ended with a group of mine, and the way to it for whoever may prolong it.
#[component]
pub fn OverLine(over: GroupOver) -> impl IntoView {
    let GroupOver { told, page, last: _ } = over;
    view! { {told}{page.map(|id| view! { " "<a class="link" href=format!("/groups/{id}")>"Its page"</a> })} }
}

/// A secret of mine that another one has replaced.
#[component]
fn Older(secret: MySecret, application: String) -> impl IntoView {
    let MySecret { id, hint, last_used_at, ends_at } = secret;
    view! {
        <div class="row between">
            <span><span class="mono">{hint.clone()}</span><span class="sub">" replaced"{ends_at.map(|end| view! { ", stops "<When at=end/> })}" · last used "<Ago at=last_used_at/></span></span>
            <OpenDialog name=format!("revoke-{id}") label="Revoke" look="link danger"/>
            <Revoke secret=id application hint whose="Your programs".to_owned() used=last_used_at/>
        </div>
    }
}

/// Makes a secret of mine. What programs send now goes on for the time that is chosen.
#[component]
fn MakeSecret(key: String, name: String, now: Option<MySecret>) -> impl IntoView {
    let was = now.as_ref().map_or_else(|| "none".to_owned(), |secret| secret.id.clone());
    let title = match &now {
        Some(secret) => format!("Replace {}?", secret.hint),
        None => format!("Make a secret for {name}"),
    };
    let label = if now.is_some() { "Replace it" } else { "Make my secret" };
    let grace = now.map(|secret| {
        let hours = [("24", "stops tomorrow"), ("1", "stops in an hour"), ("168", "stops in a week"), ("0", "stops now")];
        let options = hours.map(|(hours, text)| (hours.to_owned(), text.to_owned())).to_vec();
        view! { <Select name="grace_hours" label=format!("{} that is there", secret.hint) options hint="Give your programs time to take the new one."/> }
    });
    view! {
        <Dialog name=format!("secret-{key}") title>
            <Form to=IssueOwnSecret::PATH which=key.clone() class="once-only">
                <Hidden name="key" value=key.clone()/>
                <Hidden name="was" value=was/>
                {grace}
                <Field name="ends_on" label="Last day" kind="date" optional=true hint="The new one stops by itself after this day. Empty: when you revoke it."/>
                <div class="row end"><Submit label/></div>
            </Form>
        </Dialog>
    }
}

/// When a secret stops by itself, for whoever wants one that does.
#[component]
fn LastDay() -> impl IntoView {
    view! {
        <Folded label="With a last day" names=vec!["ends_on"]>
            <Field name="ends_on" label="Last day" kind="date" optional=true hint="It stops by itself after this day. Empty: when you revoke it."/>
        </Folded>
    }
}
