//! Sessions: calls that carried the same label, as one thing.

use domain::{
    call_sessions::{CallSession, Mark, SessionKey, SessionView, time_line},
    calls::{CallLine, End},
    explore::millis,
    money::grouped,
    spend::Outcome,
};
use leptos::prelude::*;

use super::calls::{CallTable, Choice};
use crate::{
    api::call_sessions::{Sessions, load_session, load_sessions},
    filters::Filters,
    ui::{
        Badge, Card, Empty, Head, Kind, Load, Page, Pager, When,
        context::{frame, reads_groups},
        query,
    },
};

/// The page of a session.
pub fn session_href(key: &SessionKey) -> String {
    let user = if key.user.0.is_nil() { String::new() } else { format!("&user={}", key.user) };
    format!("/sessions/one?application={}{user}&label={}", key.application, query::encoded(&key.label))
}

/// How long a session was, as people say it.
fn long(ms: i64) -> String {
    match ms / 1000 {
        0..120 => millis(ms),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// Every session, the latest first.
#[component]
pub fn SessionsPage() -> impl IntoView {
    let filters = Filters::here();
    let sessions = load_sessions(filters.clone(), query::value("label"), query::value("after"));
    view! {
        <Page title="Sessions" live=true>
            <Head title="Sessions" note="the latest first" crumbs=vec![("/calls".to_owned(), "Calls".to_owned())]/>
            <Load data=sessions let(sessions)><List sessions filters/></Load>
        </Page>
    }
}

#[component]
fn List(sessions: Sessions, filters: Filters) -> impl IntoView {
    let Sessions { sessions, next, named } = sessions;
    let label = query::value("label");
    let any = !label.is_empty() || !named.set.is_empty();
    let empty = sessions.is_empty();
    let rows = sessions.into_iter().map(|session| view! { <Line session/> }).collect_view();
    let narrowed = named.narrowed;
    view! {
        {narrowed.then(|| view! { <p class="lead">{if reads_groups() { "Your own sessions, and those of the groups you lead." } else { "Your own sessions." }}</p> })}
        <form method="get" action="/sessions" class="filters filter-bar" role="search" autocomplete="off" aria-label="Filter">
            {(!filters.group.is_empty()).then(|| view! { <input type="hidden" name="group" value=filters.group.clone()/> })}
            {(!filters.user.is_empty()).then(|| view! { <input type="hidden" name="user" value=filters.user.clone()/> })}
            {(!named.applications.is_empty()).then(|| view! { <Choice name="application" label="Application" choices=named.applications all="All" value=filters.application.clone()/> })}
            <label class="pick">"Label begins with"<input type="search" name="label" value=label/></label>
            <button class="btn">"Show"</button>
            {any.then(|| view! { <a class="link" href="/sessions">"Clear"</a> })}
        </form>
        <Card>
            {match (empty, any) {
                (true, true) => view! { <Empty title="No session matches" text="Take a filter away."><a class="btn" href="/sessions">"Show all"</a></Empty> }.into_any(),
                (true, false) => view! { <Empty title="No sessions yet" text="Calls that send the same x-bursar-session header, or session in their metadata, stand here as one: how many there were, how long it took, what it cost."/> }.into_any(),
                _ => view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Sessions">
                        <table class="table stack">
                            <thead><tr><th>"Session"</th><th>"Last call"</th><th class="r">"Calls"</th><th class="r">"Lasted"</th><th>"Models"</th><th class="r">"Tokens"</th><th class="r">"Cost"</th></tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any(),
            }}
        </Card>
        <Pager next/>
    }
}

#[component]
fn Line(session: CallSession) -> impl IntoView {
    let href = session_href(&session.key);
    let lasted = long(session.duration_ms());
    // A private context is called like its person.
    let other = session.user.clone().filter(|name| *name != session.application);
    let who = other.map(|name| format!(" · {name}")).unwrap_or_default();
    view! {
        <tr>
            <td class="wrap"><a class="mono" href=href>{session.key.label.clone()}</a><div class="sub">{session.application.clone()}{who}</div></td>
            <td class="nw beside"><When at=session.last_at/></td>
            <td class="r num" data-th="Calls">{grouped(session.calls.unsigned_abs())}{(session.failed > 0).then(|| view! { <div class="sub">{format!("{} failed", session.failed)}</div> })}</td>
            <td class="r num nw" data-th="Lasted">{lasted}</td>
            <td data-th="Models">{session.models.join(", ")}</td>
            <td class="r num" data-th="Tokens">{grouped(session.tokens.unsigned_abs())}</td>
            <td class="r num" data-th="Cost">{session.spend.to_string()}</td>
        </tr>
    }
}

/// One session.
#[component]
pub fn SessionPage() -> impl IntoView {
    let value = query::value;
    let view = load_session(value("application"), value("user"), value("label"), value("after"));
    view! { <Page title="Session" live=true><Load data=view let(view)><Content view/></Load></Page> }
}

#[component]
fn Content(view: SessionView) -> impl IntoView {
    let SessionView { session, calls, next } = view;
    let crumbs =
        vec![("/calls".to_owned(), "Calls".to_owned()), ("/sessions".to_owned(), "Sessions".to_owned())];
    let who = match &session.user {
        Some(name) => format!("by {name}"),
        None => "by nobody in particular: a service secret".to_owned(),
    };
    let application = if reads_groups() {
        view! { <a href=format!("/applications/{}", session.key.application)>{session.application.clone()}</a> }.into_any()
    } else {
        view! { {session.application.clone()} }.into_any()
    };
    let (listed, marked) = (calls.len() as i64, calls.clone());
    let note = if listed < session.calls {
        format!("{listed} of {} calls", grouped(session.calls.unsigned_abs()))
    } else {
        String::new()
    };
    view! {
        <Head title=session.key.label.clone() note="session" crumbs/>
        <p class="lead">{application}", "{who}". "{frame().zone.full(session.first_at)}" to "{frame().zone.full(session.ended_at)}"."</p>
        <section class="facts">
            <div><h2>"Cost"</h2><div class="big num">{session.spend.to_string()}</div><p class="under num">{format!("${} exactly", session.spend.exact())}</p></div>
            <div><h2>"Calls"</h2><div class="big num">{grouped(session.calls.unsigned_abs())}</div><p class="under num">{format!("{} failed", session.failed)}</p></div>
            <div><h2>"Lasted"</h2><div class="big num">{long(session.duration_ms())}</div><p class="under">"from the first call to the end of the last"</p></div>
            <div><h2>"Tokens"</h2><div class="big num">{grouped(session.tokens.unsigned_abs())}</div><p class="under">{session.models.join(", ")}</p></div>
        </section>
        <Card title="On a time line" note=note><TimeLine session calls=marked/></Card>
        <Card title="Its calls" note="the first first"><CallTable calls/></Card>
        <Pager next/>
    }
}

/// Calls where they lie in the session: each a bar that leads to its call.
#[component]
fn TimeLine(session: CallSession, calls: Vec<CallLine>) -> impl IntoView {
    /// The height of one call's bar, and of all of it at most.
    const ROW: usize = 18;
    let spans: Vec<_> = calls
        .iter()
        .map(|call| match &call.end {
            End::Finished { duration_ms, .. } => (call.at, *duration_ms),
            End::Refused { .. } => (call.at, 0),
        })
        .collect();
    let marks = time_line(session.first_at, session.ended_at, &spans);
    let zone = frame().zone.clone();
    let rows = calls
        .into_iter()
        .zip(marks)
        .map(|(call, Mark { from, length })| {
            let (failed, cost) = match &call.end {
                End::Finished { outcome, cost, .. } => (*outcome != Outcome::Ok, cost.to_string()),
                End::Refused { .. } => (true, String::new()),
            };
            let took = match &call.end {
                End::Finished { duration_ms, .. } => millis(*duration_ms),
                End::Refused { .. } => "refused".to_owned(),
            };
            let label = format!("{}: {}, {took}, {cost}", zone.full(call.at), call.model.1);
            let spoken = label.clone();
            // At least wide enough to be hit.
            let width = length.max(60);
            let left = from.min(10_000 - width);
            let per = |hundredths: i64| format!("{}.{:02}%", hundredths / 100, hundredths % 100);
            view! {
                <li><a href=format!("/calls/{}", call.id) aria-label=spoken>
                    <svg width="100%" height=ROW.to_string() aria-hidden="true">
                        <rect class="track" width="100%" y="8" height="1"/>
                        <rect class=if failed { "mark bad" } else { "mark" } x=per(left) y="3" width=per(width) height="11" rx="2"><title>{label}</title></rect>
                    </svg>
                    {failed.then(|| view! { <Badge text="failed" kind=Kind::Bad/> })}
                </a></li>
            }
        })
        .collect_view();
    view! { <ol class="time-line">{rows}</ol> }
}
