//! Notices: what I was told.

use domain::notices::{Notice, NoticeKind};
use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    api::notices::{Notices, ReadNotice, ReadNotices, SetPreferences, load_notices, load_preferences},
    ui::{
        Ago, AtOnce, Badge, Card, Check, Empty, Form, Head, Hidden, Kind, Load, Page, Pager, Submit, query,
    },
};

/// What I was told, the newest first.
#[component]
pub fn NoticesPage() -> impl IntoView {
    let notices = load_notices(query::value("show"), query::value("after"));
    view! { <Page title="Notices" live=true><Load data=notices let(notices)><Content notices/></Load></Page> }
}

#[component]
fn Content(notices: Notices) -> impl IntoView {
    let Notices { notices, unread, next } = notices;
    let all = query::value("show") == "all";
    let note = match unread {
        0 => "none unread".to_owned(),
        unread => format!("{unread} unread"),
    };
    let newest = notices.first().map(|notice| notice.id).filter(|_| query::value("after").is_empty());
    let chip = |key: &'static str, text: &'static str, current: bool| {
        let href = query::href(&[("show", Some(key)), ("after", None)]);
        view! { <a href=href aria-current=current.then_some("true")>{text}</a> }
    };
    let empty = notices.is_empty();
    let lines = notices.into_iter().map(|notice| view! { <Line notice/> }).collect_view();
    view! {
        <Head title="Notices" note>
            <a class="btn" href="/account#notices-by-mail">"Which come by mail"</a>
            {newest.filter(|_| unread > 0).map(|newest| view! {
                <Form to=ReadNotices::PATH class="inline"><Hidden name="up_to" value=newest.to_string()/><Submit label="Mark all as read" look=""/></Form>
            })}
        </Head>
        <div class="filters row"><div class="seg" role="group" aria-label="Which notices">{chip("", "Unread", !all)}{chip("all", "All", all)}</div></div>
        <Card>
            {if !empty {
                view! { <ul class="list">{lines}</ul> }.into_any()
            } else if all {
                view! { <Empty title="Nothing yet" text="When somebody asks you for something, answers you, or a limit you look after comes near, it stands here."/> }.into_any()
            } else {
                view! { <Empty title="Nothing unread" text="When somebody asks you for something, answers you, or a limit you look after comes near, it stands here."><a class="btn" href="/notices?show=all">"Show all"</a></Empty> }.into_any()
            }}
        </Card>
        <Pager next=next.map(|id| id.to_string())/>
    }
}

/// How a kind looks: what is waiting, and what is over, is told apart.
const fn mark(kind: NoticeKind) -> Kind {
    match kind {
        NoticeKind::Request
        | NoticeKind::Limit
        | NoticeKind::Forecast
        | NoticeKind::Charge
        | NoticeKind::Review => Kind::Warn,
        NoticeKind::Anomaly | NoticeKind::Secret | NoticeKind::Test => Kind::Bad,
        NoticeKind::Answer => Kind::Good,
        NoticeKind::Grant | NoticeKind::Unused => Kind::Plain,
    }
}

#[component]
fn Line(notice: Notice) -> impl IntoView {
    let id = notice.id.to_string();
    let unread = notice.read_at.is_none();
    let label = format!("Mark as read: {}", notice.title);
    view! {
        <li class=if unread { "notice-line unread" } else { "notice-line" }>
            <div class="notice-text">
                <div class="row"><a href=notice.href><b>{notice.title}</b></a><Badge text=notice.kind.short() kind=mark(notice.kind)/>{unread.then(|| view! { <span class="sr">"unread"</span> })}</div>
                <p class="notice-body">{notice.body}</p>
            </div>
            <div class="notice-side">
                <span class="muted"><Ago at=Some(notice.created_at)/></span>
                {unread.then(|| view! {
                    <Form to=ReadNotice::PATH which=id.clone() class="inline" at_once=AtOnce::Turned("Read")><Hidden name="id" value=id.clone()/><button class="link" aria-label=label>"Mark as read"</button></Form>
                })}
            </div>
        </li>
    }
}

/// Which kinds come by mail, on the page of one's own sign-in.
#[component]
pub fn ByMail() -> impl IntoView {
    let preferences = load_preferences();
    view! {
        <Load data=preferences let(preferences)>
            <Card title="Notices by mail" class="narrow">
                <div id="notices-by-mail"></div>
                <Form to=SetPreferences::PATH class="pad">
                    <p class="muted">{if preferences.mail {
                        "Every notice stands in the console. Those that are ticked come by mail, too."
                    } else {
                        "Every notice stands in the console. Mail is not set up on this server; once it is, those that are ticked come by mail, too."
                    }}</p>
                    {preferences.kinds.iter().map(|kind| view! {
                        <Check name="kinds[]" label=kind.label() value=kind.to_string() checked=preferences.by_mail.contains(kind)/>
                    }).collect_view()}
                    <div class="row end"><Submit label="Save"/></div>
                </Form>
            </Card>
        </Load>
    }
}
