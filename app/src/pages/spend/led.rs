//! What the groups somebody leads spend.

use chrono::NaiveDate;
use domain::{
    money::Money,
    spend::{Led, LedPage, SpendPage as Data, Verdict},
    time,
};
use leptos::prelude::*;

use super::{answers::answers, month_name, page_of, place};
use crate::{
    api::spend::{load_led, load_spend},
    ui::{Badge, Card, Head, Kind, Meter, context::frame, load::waited, meter::sentence, money::change},
};

/// The groups somebody leads, with what a month's budget is asked first.
#[component]
pub(super) fn LedGroups(led: LedPage) -> impl IntoView {
    view! {
        <Head title="Spend" note=month_name(led.month)><a class="btn" href="/spend/me">"Your own"</a></Head>
        <p class="lead">"What the applications of the groups you lead spent this month, with those of the groups below. What the whole organization spends is for admins, owners and auditors."</p>
        <LedTable led/>
    }
}

#[component]
fn LedTable(led: LedPage, #[prop(optional)] title: &'static str) -> impl IntoView {
    let LedPage { month, today, groups, more } = led;
    let against = month.pred_opt().unwrap_or(month).format("Against %B").to_string();
    let rows = groups.into_iter().map(|group| led_row(group, today)).collect_view();
    view! {
        <Card title>
            <div class="scroll" tabindex="0" role="region" aria-label="Groups you lead">
                <table class="table">
                    <thead><tr>
                        <th>"Group"</th><th class="r">"Month to date"</th>
                        <th class="r hide">"Forecast"</th><th class="r">{against}</th>
                    </tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            {(more > 0).then(|| view! { <p class="note-line">{format!("And {more} more. ")}<a href="/groups">"See all groups"</a></p> })}
        </Card>
    }
}

/// What somebody who leads groups is asked first, on the first page they see: of one group what it spends
/// and why, of several what each spends. Nothing where it cannot be told just now: the page is about more.
#[component]
pub fn LedInShort() -> impl IntoView {
    let leads = frame().here().map(|here| here.leads.clone()).unwrap_or_default();
    match leads.as_slice() {
        _ if frame().may(domain::roles::Act::ReadOrganization) => ().into_any(),
        [] => ().into_any(),
        [only] => {
            let none = String::new;
            let page = load_spend(only.to_string(), none(), none(), none(), none(), none(), none());
            waited(async move { page.await.ok().map(|page| view! { <OneInShort page/> }) }).into_any()
        }
        _ => {
            let led = load_led();
            waited(async move { led.await.ok().map(|led| view! { <LedTable led title="Groups you lead"/> }) })
                .into_any()
        }
    }
}

/// What one group spends, and why.
#[component]
fn OneInShort(page: Data) -> impl IntoView {
    let (title, _) = place(&page.whose, false);
    let href = page_of(&page.whose);
    let (total, before) = (page.table.total().spend, page.table.total_before().spend);
    let of = page.budget.as_ref().map(|limit| format!(" of {}", Money(limit.limit.cap).in_full()));
    let compared = (page.table.comparable() && before.0 > 0)
        .then(|| format!(" · {} against {}", change(total, before), page.table.before.from.format("%B")));
    let more = href.clone();
    view! {
        <Card title class="led" actions=ViewFn::from(move || view! { <a class="link" href=more.clone()>"What it spends"</a> })>
            <dl class="answers">
                <div><dt>"Month to date"</dt><dd class="num"><a href=href>{total.to_string()}{of}</a>{compared}</dd></div>
                {answers(&page)}
            </dl>
        </Card>
    }
}

fn led_row(led: Led, today: NaiveDate) -> impl IntoView {
    let (verdict, why) = led.verdict(today, time::day);
    let meter = led.budget.as_ref().map(|limit| {
        view! { <Meter level=limit.level cap=limit.limit.cap text=sentence(limit) small=true/> }
    });
    let of = led.budget.as_ref().map(|limit| format!(" of {}", Money(limit.limit.cap).in_full()));
    let forecast = match &led.forecast {
        Some(forecast) => view! {
            {forecast.end.to_string()}<div class="sub num">{format!("{} – {}", forecast.low, forecast.high)}</div>
        }
        .into_any(),
        None => view! { <span class="muted">"–"</span><div class="sub">"too few days to go by"</div> }.into_any(),
    };
    view! {
        <tr>
            <td><a href=format!("/spend/{}", led.group)>{led.path.clone()}</a>" "{verdict_badge(verdict)}<div class="sub hide">{why}</div></td>
            <td class="r num">{led.spent.to_string()}<span class="muted">{of}</span>{meter}</td>
            <td class="r num hide">{forecast}</td>
            <td class="r num muted">{change(led.spent, led.before)}</td>
        </tr>
    }
}

/// A verdict in a word.
pub(super) fn verdict_badge(verdict: Verdict) -> impl IntoView {
    let (kind, word) = match verdict {
        Verdict::Fine => (Kind::Good, "Fine"),
        Verdict::Near => (Kind::Warn, "Near"),
        Verdict::Over => (Kind::Bad, "Over"),
        Verdict::Open => (Kind::Plain, "No limit"),
    };
    view! { <Badge text=word kind/> }
}
