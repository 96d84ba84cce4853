//! What a draft would have meant for the calls of the last days, and one button to save it.

use domain::{
    authorizations::State,
    explore::{Interval, Measure},
    money::{Money, grouped},
    rehearsal::{Budget, Effect, Example, Reach, Report, Rerouted, Row, Sums},
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::param;
use crate::{
    api::rehearsals::{RehearsalView, Replay, SaveRehearsal, load_rehearsal},
    ui::{
        Badge, Card, Form, Head, Hidden, Kind, Load, Page, Submit,
        chart::{Chart, ChartView, Legend, Series, Step, step_label, step_short},
        context::frame,
        query,
    },
};

/// The stretches that can be replayed.
const STRETCHES: [u32; 3] = [7, 30, 90];

/// How many models are named of those that a group gains or loses.
const NAMED: usize = 8;

/// A draft and what it would have meant.
#[component]
pub fn RehearsalPage() -> impl IntoView {
    let rehearsal = load_rehearsal(param("id"), query::value("days"));
    view! { <Page title="Rehearsal"><Load data=rehearsal let(view)><Content view/></Load></Page> }
}

#[component]
fn Content(view: RehearsalView) -> impl IntoView {
    let RehearsalView { id, what, observes, may_observe, seen, replay, problem, broken, back } = view;
    let crumbs = back_crumb(&back);
    let what = what.into_iter().map(|text| view! { <li>{text}</li> }).collect_view();
    let Some(replay) = replay else {
        return view! {
            <Head title="Rehearsal" crumbs/>
            <ul class="rehearsal-what">{what}</ul>
            <p class="banner bad" role="alert">{problem}</p>
            <p><a class="btn go" href=back>"Back to the form"</a></p>
        }
        .into_any();
    };
    let days = replay.days;
    let changes = !replay.report.sums.is_empty();
    view! {
        <Head title="Rehearsal" note=format!("the last {days} days") crumbs><Stretches name="days" days=Some(days)/></Head>
        <ul class="rehearsal-what">{what}</ul>
        {observes.then(|| view! { <p class="banner">"It only takes note, so it refuses nothing. Shown is what it would have done if it decided."</p> })}
        {broken.into_iter().map(|text| view! { <p class="banner bad" role="status">{text}" "<a href="/authorization/tests">"Pinned tests"</a></p> }).collect_view()}
        <Rehearsed replay/>
        <div class="rehearsal-bar">
            <Form to=SaveRehearsal::PATH class="rehearsal-save">
                <Hidden name="id" value=id/>
                <Hidden name="seen" value=seen/>
                <a class="btn" href=back>"Back"</a>
                {may_observe.then(|| view! { <button class="btn" name="observe" value="true">"Save, but only observe"</button> })}
                <Submit label=if observes { "Save as observed" } else if changes { "Save anyway" } else { "Save" }/>
            </Form>
        </div>
    }
    .into_any()
}

/// Where the draft came from.
fn back_crumb(back: &str) -> Vec<(String, String)> {
    let path = back.split('?').next().unwrap_or_default();
    let name = match path.split('/').nth(1).unwrap_or_default() {
        "authorization" => "Authorization",
        "limits" => "Limits",
        "policies" => "Policies",
        "groups" => "Group",
        "applications" => "Application",
        "users" => "User",
        "observed" => "Observed",
        _ => "Back",
    };
    vec![(path.to_owned(), name.to_owned())]
}

/// The stretches that can be replayed, one of which the address names.
#[component]
pub fn Stretches(
    /// The parameter of the address.
    name: &'static str,
    /// How many days are replayed now.
    days: Option<u32>,
) -> impl IntoView {
    let links = STRETCHES
        .map(|stretch| {
            let href = query::href(&[(name, Some(&stretch.to_string()))]);
            let current = (Some(stretch) == days).then_some("true");
            view! { <a href=href aria-current=current>{format!("{stretch} days")}</a> }
        })
        .collect_view();
    view! { <div class="seg" role="group" aria-label="How many days are replayed">{links}</div> }
}

/// What came of a replay: for any draft, wherever it was made.
#[component]
pub fn Rehearsed(
    /// What came of the replay.
    replay: Replay,
) -> impl IntoView {
    let Replay { report, reach, budgets, rerouted, .. } = replay;
    let headline = report.headline();
    let notes = report.notes.iter().map(|note| view! { <li>{note.clone()}</li> }).collect_view();
    let (none, sums) = (report.sums.is_empty(), report.sums);
    let look = if sums.refused > 0 { "banner warn" } else { "banner good" };
    view! {
        <p class=look role="status">{headline}</p>
        {(!none).then(|| view! { <Figures report=report.clone()/> })}
        {(!reach.is_empty()).then(|| view! { <ReachCard reach/> })}
        {(!budgets.is_empty()).then(|| view! { <BudgetCard budgets/> })}
        {(!rerouted.is_empty()).then(|| view! { <RoutingCard rerouted/> })}
        {(!none).then(|| view! { <Details report=report.clone()/> })}
        <Card title="What is exact, and what is estimated"><ul class="rehearsal-notes">{notes}</ul></Card>
    }
}

#[component]
fn Figures(report: Report) -> impl IntoView {
    let Sums { refused, saved, allowed, costs, moved, dearer } = report.sums;
    let who = match (report.people, report.applications) {
        (0, 0) => "nobody".to_owned(),
        (people, applications) => {
            let of =
                |count, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
            format!("{}, {}", of(people, "person", "people"), of(applications, "application", "applications"))
        }
    };
    let replayed = grouped(report.calls);
    let more = if dearer.0 < 0 {
        format!("about {} less", Money(dearer.0.saturating_neg()))
    } else {
        format!("about {dearer} more")
    };
    view! {
        <section class="facts">
            <div><h2>"Would be refused"</h2><div class="big num">{grouped(refused)}<small>{format!(" of {replayed} {}", if replayed == "1" { "call" } else { "calls" })}</small></div><p class="under num">{who}</p></div>
            <div><h2>"Money not spent"</h2><div class="big num">{saved.to_string()}</div><p class="under">"what those calls cost"</p></div>
            <div><h2>"Newly let through"</h2><div class="big num">{grouped(allowed)}</div><p class="under num">{if allowed > 0 { format!("about {costs}") } else { format!("of {} that were refused", grouped(report.refusals)) }}</p></div>
            <div><h2>"By another model"</h2><div class="big num">{grouped(moved)}</div><p class="under num">{if moved > 0 { more } else { "none".to_owned() }}</p></div>
        </section>
    }
}

#[component]
fn Details(report: Report) -> impl IntoView {
    let chart = chart(&report);
    let legend = chart.series.clone();
    let Report { by_person, by_application, by_group, by_model, by_reason, examples, .. } = report;
    view! {
        <Card title="By day" actions=ViewFn::from(move || view! { <Legend series=legend.clone()/> })><ChartView chart/></Card>
        {(!by_reason.is_empty()).then(|| view! { <Reasons rows=by_reason/> })}
        <div class="two">
            <Lines title="By person" kind="users" rows=by_person/>
            <Lines title="By application" kind="applications" rows=by_application/>
            <Lines title="By group" kind="groups" rows=by_group/>
            <Lines title="By model" kind="models" rows=by_model/>
        </div>
        <Examples examples/>
    }
}

fn chart(report: &Report) -> Chart {
    let count = |amount: u64| Some(i64::try_from(amount).unwrap_or(i64::MAX));
    let moved = report.sums.moved > 0;
    let mut series = vec![
        Series { key: "refused".to_owned(), name: "Would be refused".to_owned(), class: "s2" },
        Series { key: "allowed".to_owned(), name: "Newly let through".to_owned(), class: "s1" },
    ];
    if moved {
        series.push(Series { key: "moved".to_owned(), name: "By another model".to_owned(), class: "s3" });
    }
    let steps = report
        .days
        .iter()
        .map(|(day, sums)| {
            let next = day.succ_opt().unwrap_or(*day);
            let mut parts = vec![count(sums.refused), count(sums.allowed)];
            if moved {
                parts.push(count(sums.moved));
            }
            Step {
                label: step_label(Interval::Day, *day, next),
                short: step_short(Interval::Day, *day),
                whole: count(sums.refused + sums.allowed + if moved { sums.moved } else { 0 }),
                parts,
                href: format!("/calls?from={day}&to={day}"),
                days: (*day, *day),
            }
        })
        .collect();
    Chart {
        measure: Measure::Calls,
        stacked: true,
        title: "Calls that would come out differently, by day".to_owned(),
        sentence: report.headline(),
        series,
        steps,
        ahead: Vec::new(),
        before: None,
        brush: None,
        csv: None,
    }
}

fn money(sums: &Sums) -> String {
    if sums.refused > 0 { sums.saved.to_string() } else { "–".to_owned() }
}

#[component]
fn Reasons(rows: Vec<Row>) -> impl IntoView {
    let rows = rows
        .into_iter()
        .map(|row| {
            let first = row.first.map(|(id, at)| {
                let text = frame().zone.full(at);
                view! { <a href=format!("/calls/{id}")>{text}</a> }
            });
            view! { <tr><td>{row.name}</td><td data-th="First">{first}</td><td class="r num" data-th="Refused">{grouped(row.sums.refused)}</td><td class="r num" data-th="Not spent">{money(&row.sums)}</td></tr> }
        })
        .collect_view();
    view! {
        <Card title="Why" note="from which call on">
            <div class="scroll" tabindex="0" role="region" aria-label="Reasons">
                <table class="table stack"><thead><tr><th>"Reason"</th><th>"First"</th><th class="r">"Refused"</th><th class="r">"Not spent"</th></tr></thead><tbody>{rows}</tbody></table>
            </div>
        </Card>
    }
}

#[component]
fn Lines(title: &'static str, kind: &'static str, rows: Vec<Row>) -> impl IntoView {
    let other = |sums: &Sums| sums.allowed + sums.moved;
    let any = rows.iter().any(|row| other(&row.sums) > 0);
    let rows = rows
        .into_iter()
        .map(|row| {
            let name = match row.id {
                Some(id) => view! { <a href=format!("/{kind}/{id}")>{row.name}</a> }.into_any(),
                None => view! { <span class="muted">{row.name}</span> }.into_any(),
            };
            let more = any.then(|| view! { <td class="r num hide">{grouped(other(&row.sums))}</td> });
            view! {
                <tr><td>{name}</td><td class="r num" data-th="Refused">{grouped(row.sums.refused)}</td><td class="r num" data-th="Not spent">{money(&row.sums)}</td>{more}</tr>
            }
        })
        .collect_view();
    view! {
        <Card title=title>
            <div class="scroll" tabindex="0" role="region" aria-label=title>
                <table class="table stack"><thead><tr><th>"Name"</th><th class="r">"Refused"</th><th class="r">"Not spent"</th>{any.then(|| view! { <th class="r hide">"Otherwise"</th> })}</tr></thead><tbody>{rows}</tbody></table>
            </div>
        </Card>
    }
}

#[component]
fn Examples(examples: Vec<Example>) -> impl IntoView {
    let rows = examples
        .into_iter()
        .map(|example| {
            let (word, kind) = match example.effect {
                Effect::Refused => ("refused", Kind::Bad),
                Effect::Allowed => ("let through", Kind::Good),
                Effect::Moved => ("other model", Kind::Warn),
            };
            let person = example.person.unwrap_or_default();
            view! {
                <tr>
                    <td class="nw"><a href=format!("/calls/{}", example.id)>{frame().zone.full(example.at)}</a></td>
                    <td>{example.application}<div class="sub">{person}</div></td>
                    <td class="mono hide">{example.model}</td>
                    <td><Badge text=word kind/><div class="sub">{example.reason}</div></td>
                    <td class="r num beside">{example.cost.to_string()}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="The first calls" note="as they were made">
            <div class="scroll" tabindex="0" role="region" aria-label="The first calls">
                <table class="table stack"><thead><tr><th>"When"</th><th>"Who"</th><th class="hide">"Model"</th><th>"Would be"</th><th class="r">"Cost"</th></tr></thead><tbody>{rows}</tbody></table>
            </div>
        </Card>
    }
}

/// Models by name: the first few, and the others where one asks for them.
fn named<'a>(models: impl Iterator<Item = &'a (String, State, State)>) -> AnyView {
    let mut names: Vec<String> = models
        .map(|(name, from, to)| match (from, to) {
            (_, State::ByRequest) => format!("{name} (by request)"),
            (State::ByRequest, _) => format!("{name} (was by request)"),
            _ => name.clone(),
        })
        .collect();
    if names.is_empty() {
        return view! { <span class="muted">"none"</span> }.into_any();
    }
    let others = names.split_off(names.len().min(NAMED));
    let more = format!("and {} more", others.len());
    view! {
        {names.join(", ")}
        {(!others.is_empty()).then(|| view! { <details class="whom"><summary class="sub">{more}</summary><p class="sub">{others.join(", ")}</p></details> })}
    }
    .into_any()
}

#[component]
fn ReachCard(reach: Vec<Reach>) -> impl IntoView {
    let more = reach.len().saturating_sub(30);
    let rows = reach
        .into_iter()
        .take(30)
        .map(|reach| {
            let (gains, loses) = (named(reach.gains()), named(reach.loses()));
            let below = match reach.below {
                0 => String::new(),
                1 => " and 1 group below".to_owned(),
                count => format!(" and {count} groups below"),
            };
            let (href, whom) = match (reach.application, reach.person) {
                (Some(application), None) => {
                    (format!("/applications/{application}"), "the application, by its key".to_owned())
                }
                (Some(application), Some(person)) => (
                    format!("/applications/{application}"),
                    format!("only {person} by it, with a grant of their own"),
                ),
                (None, Some(person)) => (
                    format!("/groups/{}", reach.group),
                    format!("only {person}, with a grant of their own{below}"),
                ),
                (None, None) => {
                    let people = if reach.people == 1 {
                        "1 person".to_owned()
                    } else {
                        format!("{} people", reach.people)
                    };
                    (format!("/groups/{}", reach.group), format!("{people}{below}"))
                }
            };
            view! {
                <tr>
                    <td><a href=href>{reach.name}</a><div class="sub">{whom}</div></td>
                    <td data-th="Gains"><span>{gains}</span></td>
                    <td data-th="Loses"><span>{loses}</span></td>
                </tr>
            }
            .into_any()
        })
        .collect_view();
    view! {
        <Card title="Who gains and loses models">
            <div class="scroll" tabindex="0" role="region" aria-label="Who gains and loses models">
                <table class="table stack"><thead><tr><th>"Who"</th><th>"Gains"</th><th>"Loses"</th></tr></thead><tbody>{rows}</tbody></table>
            </div>
            {(more > 0).then(|| view! { <p class="note-line">{format!("{more} more lines like these.")}</p> })}
        </Card>
    }
}

#[component]
fn BudgetCard(budgets: Vec<Budget>) -> impl IntoView {
    let rows = budgets
        .into_iter()
        .map(|budget| {
            let used = budget.used.map(|used| budget.limit.meter.metric.show(used)).unwrap_or_default();
            let mark = match (budget.tighter, budget.looser) {
                (true, _) => ("tighter", Kind::Warn),
                (false, true) => ("looser", Kind::Good),
                (false, false) => ("refuses nothing", Kind::Plain),
            };
            let or_none = |text: Option<String>| text.unwrap_or_else(|| "does not apply".to_owned());
            view! {
                <tr>
                    <td>{budget.group}<div class="sub">{format!("limit of {}", budget.scope)}</div></td>
                    <td class="num" data-th="Before">{or_none(budget.before)}</td>
                    <td class="num" data-th="After"><span>{or_none(budget.after)}" "<Badge text=mark.0 kind=mark.1/></span></td>
                    <td class="r num hide">{used}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="Whose budgets change">
            <div class="scroll" tabindex="0" role="region" aria-label="Whose budgets change">
                <table class="table stack"><thead><tr><th>"Whose"</th><th>"Before"</th><th>"After"</th><th class="r hide">"Used now"</th></tr></thead><tbody>{rows}</tbody></table>
            </div>
        </Card>
    }
}

/// How many applications are named whose calls go another way.
const REROUTED: usize = 20;

#[component]
fn RoutingCard(rerouted: Vec<Rerouted>) -> impl IntoView {
    let policy =
        |name: Option<String>| name.map_or_else(|| "none".to_owned(), |name| format!("policy/{name}"));
    let rows = rerouted
        .into_iter()
        .map(|Rerouted { before, after, applications }| {
            let more = applications.len().saturating_sub(REROUTED);
            let mut names = applications.into_iter().take(REROUTED).collect::<Vec<_>>().join(", ");
            if more > 0 {
                names += &format!(" and {more} more");
            }
            let refused = after.is_none().then_some(" Such calls are refused then.");
            view! { <li>{format!("{} → {}: {names}.", policy(before), policy(after))}{refused}</li> }
        })
        .collect_view();
    view! { <Card title="Calls that name no model"><ul class="rehearsal-notes">{rows}</ul></Card> }
}
