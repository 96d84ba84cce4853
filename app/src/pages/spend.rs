//! Spend: are we fine, who and what drives it, what changed. The same page for everything that
//! spends.

use chrono::{Datelike, Months, NaiveDate};
use domain::{
    explore::{By, Explored, Row, chosen},
    money::{Money, grouped},
    reports::{share as tenths, share_text},
    spend::{Flying, Led, LedPage, Range, SpendPage as Data, Verdict, View, Whose},
    time,
};
use leptos::prelude::*;
use leptos_router::components::Redirect;

use super::{calls::LastCalls, param};
use crate::{
    api::spend::{load_led, load_spend},
    error::AppError,
    filters::Filters,
    ui::{
        Badge, Card, Empty, Head, Kind, Load, Meter, Page,
        chart::{Before, Chart, ChartView, Legend, Series, Step, Swatch, series, step_label, step_short},
        context::{frame, reads_groups},
        load::{Failed, waited},
        meter::sentence,
        money::{change, each},
        query,
    },
};

/// How many things a breakdown lists; the explorer has them all.
const LISTED: usize = 15;

/// The spend page of something, or of the organization.
#[component]
pub fn SpendPage() -> impl IntoView {
    let value = query::value;
    let of = param("of");
    let whole = of.is_empty();
    // The organization's is for few; who leads groups has theirs in one place.
    if of.is_empty() && reads_groups() && !frame().may(domain::roles::Act::ReadOrganization) {
        // A list of one is a step more to what it is about.
        if let [only] = frame().here().map(|here| here.leads.as_slice()).unwrap_or_default() {
            return view! { <Redirect path=format!("/spend/{only}")/> }.into_any();
        }
        return view! { <Page title="Spend" live=true><Load data=load_led() let(led)><LedGroups led/></Load></Page> }.into_any();
    }
    let page = load_spend(
        of,
        value("view"),
        value("range"),
        value("month"),
        value("from"),
        value("to"),
        value("by"),
    );
    let content = waited(async move {
        match page.await {
            Ok(page) => view! { <Content page/> }.into_any(),
            Err(AppError::Forbidden(_)) if whole => view! { <Elsewhere/> }.into_any(),
            Err(error) => view! { <Failed error/> }.into_any(),
        }
    });
    view! { <Page title="Spend" live=true>{content}</Page> }.into_any()
}

/// Whose spend somebody may read who reads nobody else's.
#[component]
fn Elsewhere() -> impl IntoView {
    view! {
        <section class="card pad state">
            <h1>"Spend"</h1>
            <p class="muted">"What the whole organization spends is for admins, owners and auditors. You see your own."</p>
            <ul class="ways" aria-label="Spend you may see"><li><a href="/spend/me">"What you spent yourself"</a></li></ul>
        </section>
    }
}

/// The groups somebody leads, with what a month's budget is asked first.
#[component]
fn LedGroups(led: LedPage) -> impl IntoView {
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
    let of = page.budget.as_ref().map(|limit| format!(" of {}", Money(limit.limit.cap)));
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
    let of = led.budget.as_ref().map(|limit| format!(" of {}", Money(limit.limit.cap)));
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
fn verdict_badge(verdict: Verdict) -> impl IntoView {
    let (kind, word) = match verdict {
        Verdict::Fine => (Kind::Good, "Fine"),
        Verdict::Near => (Kind::Warn, "Near"),
        Verdict::Over => (Kind::Bad, "Over"),
        Verdict::Open => (Kind::Plain, "No limit"),
    };
    view! { <Badge text=word kind/> }
}

fn month_name(month: NaiveDate) -> String {
    month.format("%B %Y").to_string()
}

/// Where the spend page of something is.
fn page_of(whose: &Whose) -> String {
    match whose {
        Whose::Organization => "/spend".to_owned(),
        Whose::Group(path) => {
            format!("/spend/{}", path.last().map(|(id, _)| id.to_string()).unwrap_or_default())
        }
        Whose::Application(id, ..) => format!("/spend/{id}"),
        Whose::Key(id, ..) => format!("/spend/{id}"),
        Whose::User(id, _) => format!("/spend/{id}"),
        Whose::Model(id, _) => format!("/spend/{id}"),
    }
}

/// What a page is about as filters of the explorer and of the list of calls.
fn filters(page: &Data) -> Filters {
    let mut filters = Filters::default();
    match &page.whose {
        Whose::Organization => {}
        Whose::Group(path) => {
            filters.group = path.last().map(|(id, _)| id.to_string()).unwrap_or_default();
            if page.view == View::Members {
                filters.view = View::Members.as_str().to_owned();
            }
        }
        Whose::Application(id, ..) | Whose::Key(_, id, ..) => filters.application = id.to_string(),
        Whose::User(id, _) => filters.user = id.to_string(),
        Whose::Model(id, _) => filters.model = id.to_string(),
    }
    filters
}

/// Where it is and what it is called.
fn place(whose: &Whose, all: bool) -> (String, Vec<(String, String)>) {
    let root = ("/spend".to_owned(), "Spend".to_owned());
    let below = |crumb: (String, String)| if all { vec![root.clone(), crumb] } else { vec![crumb] };
    match whose {
        Whose::Organization => ("Spend".to_owned(), Vec::new()),
        Whose::Group(path) => {
            let (above, own) = path.split_at(path.len().saturating_sub(1));
            let root = all.then(|| root.clone());
            // Who leads a group reads what is below it, not what is above.
            let led = |id: &domain::ids::GroupId| frame().here().is_some_and(|here| here.leads.contains(id));
            let first = if all { Some(0) } else { above.iter().position(|(id, _)| led(id)) };
            let above = above.iter().skip(first.unwrap_or(above.len()));
            let above = above.map(|(id, name)| (format!("/spend/{id}"), name.clone()));
            (
                own.first().map(|(_, name)| name.clone()).unwrap_or_default(),
                root.into_iter().chain(above).collect(),
            )
        }
        Whose::Application(id, name, _) => {
            (name.clone(), below((format!("/applications/{id}"), "Application".to_owned())))
        }
        Whose::Key(_, id, name, _) => {
            (format!("Key of {name}"), below((format!("/applications/{id}"), name.clone())))
        }
        Whose::User(id, name) if all => (name.clone(), below((format!("/users/{id}"), "Person".to_owned()))),
        Whose::User(_, name) => (format!("Spend of {name}"), Vec::new()),
        Whose::Model(id, name) => (name.clone(), below((format!("/models/{id}"), "Model".to_owned()))),
    }
}

/// Which of the true answers this is.
fn meaning(page: &Data) -> &'static str {
    match (&page.whose, page.view) {
        (Whose::Group(_), View::Members) => {
            "Member spend: what the people of this group spent while they were members, wherever they called from. People belong to several groups, so such figures overlap and do not add up to the organization's."
        }
        (Whose::Group(_), View::Attributed) => {
            "Attributed spend: what the applications of this group and the groups below spent. Every cent counts once, so groups add up to the organization."
        }
        (Whose::User(..), _) => {
            "What this person spent, wherever they called from. It is part of what their applications' groups spent."
        }
        (Whose::Key(..), _) => "An application has exactly one key: this is also what the application spent.",
        _ => "",
    }
}

#[component]
fn Content(page: Data) -> impl IntoView {
    let all = frame().may(domain::roles::Act::ReadOrganization);
    let (title, crumbs) = place(&page.whose, all);
    let filters = filters(&page);
    let views = matches!(page.whose, Whose::Group(_)).then(|| {
        let links = [(View::Attributed, "Attributed"), (View::Members, "By members")]
            .into_iter()
            .map(|(view, name)| {
                let href =
                    query::href(&[("view", (view == View::Members).then_some(view.as_str())), ("by", None)]);
                view! { <a href=href aria-current=(view == page.view).then_some("true")>{name}</a> }
            })
            .collect_view();
        view! { <div class="seg" role="group" aria-label="Which spend">{links}</div> }
    });
    let ranges = [(Range::Month, "Month"), (Range::Days, "90 days"), (Range::Year, "12 months")]
        .into_iter()
        .map(|(range, name)| {
            let href = query::href(&[
                ("range", (range != Range::Month).then_some(range.as_str())),
                ("month", None),
                ("from", None),
                ("to", None),
            ]);
            view! { <a href=href aria-current=(range == page.range).then_some("true")>{name}</a> }
        })
        .collect_view();
    let explained = meaning(&page);
    let typed = (query::value("from"), query::value("to"));
    let asked = query::value("range") == Range::Own.as_str() && page.range != Range::Own;
    let odd = asked.then(|| match &typed {
        (from, to) if from.is_empty() || to.is_empty() => "Choose the first day and the last.".to_owned(),
        (from, to) => chosen(from, to, page.today).err().unwrap_or_default(),
    });
    let odd = odd.map(|sentence| format!("{sentence} This is the month instead."));
    let odd = odd
        .into_iter()
        .chain(not_followed(&page))
        .map(|sentence| view! { <p class="banner warn" role="status">{sentence}</p> })
        .collect_view();
    let chart = spend_chart(&page, &filters);
    let table = &page.table;
    let (measure, first, last) = (table.by, table.period.from.to_string(), table.period.last().to_string());
    let explore = filters.href("/explore", &[("by", measure.as_str()), ("from", &first), ("to", &last)]);
    let calls_href = filters.href("/calls", &[("outcome", "finished"), ("from", &first), ("to", &last)]);
    let own = (page.range == Range::Own).then_some(table.period);
    let (title_of_chart, legend) = (chart.title.clone(), chart.series.clone());
    let calls = page.calls.clone();
    let months = (page.range == Range::Month).then(|| months(&page));
    let facts = page.clone();
    let series = chart.series.clone();
    let led_one = !all && matches!(page.whose, Whose::Group(_));
    view! {
        <Head title crumbs>
            {led_one.then(|| view! { <a class="btn" href="/spend/me">"Your own"</a> })}
            {views}
            <div class="seg" role="group" aria-label="How much time">{ranges}</div>
            {months}
            <a class="btn" href=explore>"Explore"</a>
        </Head>
        {(!explained.is_empty()).then(|| view! { <p class="lead">{explained}</p> })}
        {odd}
        <Facts page=facts.clone()/>
        <Answers page=facts/>
        <Card title=title_of_chart actions=ViewFn::from(move || view! { <Legend series=legend.clone()/> })>
            <ChartView chart/>
            <div class="note-line row between"><a href=calls_href>"See the calls"</a><Days own/></div>
        </Card>
        <Breakdown page series filters/>
        <LastCalls title="Last calls" calls/>
    }
}

/// What of the address could not be followed, each in a sentence.
fn not_followed(page: &Data) -> Vec<String> {
    let word = |name: &str| Some(query::value(name)).filter(|word| !word.is_empty());
    let mut told = Vec::new();
    if let Some(view) = word("view").filter(|view| view.parse::<View>().is_err()) {
        told.push(format!("{}: this is {} spend.", query::nothing_called(&view), page.view));
    }
    if let Some(range) = word("range").filter(|range| range.parse::<Range>().is_err()) {
        told.push(format!("{}: this is the month.", query::nothing_called(&range)));
    }
    let instead = page.table.by.one().to_lowercase();
    match word("by").map(|by| (by.parse::<By>(), by)) {
        Some((Err(_), by)) => told.push(format!("{}: this is by {instead}.", query::nothing_called(&by))),
        Some((Ok(by), _)) if by != page.table.by => {
            told.push(format!(
                "This is not split by {} here: this is by {instead}.",
                by.one().to_lowercase()
            ));
        }
        _ => {}
    }
    told
}

/// The month that is shown, and steps to its neighbours.
fn months(page: &Data) -> impl IntoView + use<> {
    let step = |months: i32| {
        let other = if months < 0 {
            page.month.checked_sub_months(Months::new(1))
        } else {
            page.month.checked_add_months(Months::new(1))
        };
        other.map(|month| query::href(&[("month", Some(&format!("{}-{:02}", month.year(), month.month())))]))
    };
    let earlier =
        step(-1).map(|href| view! { <a class="btn" href=href aria-label="The month before">"‹"</a> });
    let later = step(1)
        .filter(|_| page.end <= page.today)
        .map(|href| view! { <a class="btn" href=href aria-label="The month after">"›"</a> });
    view! { <div class="row">{earlier}<span class="month">{month_name(page.month)}</span>{later}</div> }
}

/// The days somebody chooses: what drawing over the chart does, for those who cannot.
#[component]
fn Days(own: Option<domain::explore::Period>) -> impl IntoView {
    let path = leptos_router::hooks::use_location().pathname.get_untracked();
    let kept = ["view", "by"]
        .into_iter()
        .map(|name| (name, query::value(name)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| view! { <input type="hidden" name=name value=value/> })
        .collect_view();
    // What was typed stays, where it could not be shown.
    let day = |name, day: Option<NaiveDate>| day.map_or_else(|| query::value(name), |day| day.to_string());
    view! {
        <form method="get" action=path class="filters days" role="search" aria-label="Choose days">
            {kept}
            <input type="hidden" name="range" value=Range::Own.as_str()/>
            <label class="pick">"From"<input type="date" name="from" required=true value=day("from", own.map(|own| own.from))/></label>
            <label class="pick">"To"<input type="date" name="to" required=true value=day("to", own.map(|own| own.last()))/></label>
            <button class="btn small">"Show"</button>
        </form>
    }
}

/// What a page's chart shows.
pub fn spend_chart(page: &Data, filters: &Filters) -> Chart {
    let ahead = match &page.forecast {
        Some(forecast) => forecast.days.iter().map(|(day, money)| (time::day(*day), Some(money.0))).collect(),
        // The rest of the month stays open.
        None => {
            let days = page.table.period.to.iter_days().take_while(|day| *day < page.end);
            days.map(|day| (time::day(day), None)).collect()
        }
    };
    let before = Before {
        name: match page.range {
            Range::Month => {
                page.month.checked_sub_months(Months::new(1)).unwrap_or(page.month).format("%B").to_string()
            }
            Range::Year => "the year before".to_owned(),
            Range::Days | Range::Own => "the time before".to_owned(),
        },
        amounts: page.before_steps.iter().map(|spend| spend.0).collect(),
    };
    let by = page.table.by.as_str();
    let place = page_of(&page.whose);
    let view = if page.view == View::Members { View::Members.as_str() } else { "" };
    let brush =
        Filters::default().href(&place, &[("range", Range::Own.as_str()), ("view", view), ("by", by)]);
    let title = format!("Spend by {}", page.table.interval);
    Chart {
        ahead,
        before: page.before_steps.iter().any(|spend| spend.0 > 0).then_some(before),
        brush: Some(brush),
        ..chart_of(&page.table, title, filters)
    }
}

/// A table of use as a chart.
pub fn chart_of(table: &Explored, title: String, filters: &Filters) -> Chart {
    let measure = table.measure;
    let steps = table
        .steps
        .iter()
        .enumerate()
        .map(|(place, (from, to))| {
            let last = to.pred_opt().unwrap_or(*to);
            Step {
                days: (*from, last),
                label: step_label(table.interval, *from, *to),
                short: step_short(table.interval, *from),
                parts: table
                    .rows
                    .iter()
                    .map(|row| row.cells.get(place).and_then(|sums| measure.of(sums)))
                    .collect(),
                whole: measure.of(&table.step(place)),
                href: filters.href(
                    "/calls",
                    &[("outcome", measure.ended()), ("from", &from.to_string()), ("to", &last.to_string())],
                ),
            }
        })
        .collect();
    Chart {
        measure,
        stacked: measure.adds_up() && !table.by.overlaps(),
        title,
        sentence: table.what_changed(),
        series: series(table),
        steps,
        ahead: Vec::new(),
        before: None,
        brush: None,
        csv: Some(filters.href(
            "/explore.csv",
            &[
                ("measure", measure.as_str()),
                ("by", table.by.as_str()),
                ("interval", table.interval.as_str()),
                ("from", &table.period.from.to_string()),
                ("to", &table.period.last().to_string()),
            ],
        )),
    }
}

/// Are we fine, who and what drives it, what changed: in a sentence each.
#[component]
pub fn Answers(page: Data) -> impl IntoView {
    view! { <section class="card" aria-label="In short"><dl class="answers">{answers(&page)}</dl></section> }
}

fn answers(page: &Data) -> impl IntoView + use<> {
    let table = &page.table;
    let filters = filters(page);
    let all = frame().may(domain::roles::Act::ReadOrganization);
    let total = table.total().spend;
    let fine = page.verdict(time::day).map(|(verdict, text)| {
        view! { <div><dt>"Are we fine?"</dt><dd>{verdict_badge(verdict)}" "{text}</dd></div> }
    });
    let first = table.rows.iter().filter(|row| row.key.is_some() && row.total.spend.0 > 0).take(2);
    let onward = |by, key: &str| explore_one(table, &filters, by, key);
    let mut drivers: Vec<AnyView> = first
        .map(|row| {
            let href = spend_of(table.by, row, all).or_else(|| Some(onward(table.by, row.key.as_deref()?)));
            driver(href, row.name.clone(), row.total.spend, total)
        })
        .collect();
    for leader in &page.leaders {
        let href = if all { format!("/spend/{}", leader.key) } else { onward(leader.by, &leader.key) };
        drivers.push(driver(Some(href), leader.name.clone(), leader.spend, total));
    }
    if let Some(people) = page.crowd.filter(|_| total.0 > 0) {
        let text = format!("Who of {} people?", grouped(people.unsigned_abs()));
        let asked: Vec<(&str, String)> =
            ["view", "range", "month", "from", "to"].map(|name| (name, query::value(name))).into();
        let asked: Vec<(&str, &str)> = asked.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let by_user = [&asked[..], &[("by", By::User.as_str())]].concat();
        let href = Filters::default().href(&page_of(&page.whose), &by_user);
        drivers.push(
            view! { <a href=href title="The split by person has everybody who spent.">{text}</a> }.into_any(),
        );
    }
    let drives = (!drivers.is_empty()).then(|| {
        let drivers: Vec<AnyView> = drivers
            .into_iter()
            .enumerate()
            .map(|(place, one)| view! { {(place > 0).then_some(" · ")}{one} }.into_any())
            .collect();
        view! { <div><dt>"Who and what drives it?"</dt><dd class="num">{drivers}</dd></div> }
    });
    let spike = table.spike().map(|spike| {
        let narrowed = filters.with(table.by, spike.row.key.as_deref().unwrap_or_default());
        let day = spike.day.to_string();
        let href = narrowed.href("/calls", &[("outcome", "finished"), ("from", &day), ("to", &day)]);
        let text = format!(
            " {} spent {} on {}, {}.",
            spike.row.name,
            table.measure.show(spike.amount),
            time::day(spike.day),
            spike.words()
        );
        view! { {text}" "<a href=href>"See these calls"</a> }
    });
    let changed = table.what_changed();
    view! { {fine}{drives}<div><dt>"What changed?"</dt><dd>{changed}{spike}</dd></div> }
}

/// One thing of a page's spend, looked into: for those who have no page of it.
fn explore_one(table: &Explored, filters: &Filters, by: By, key: &str) -> String {
    let into = if by == By::Model { By::User } else { By::Model };
    let (from, last) = (table.period.from.to_string(), table.period.last().to_string());
    filters.with(by, key).href("/explore", &[("by", into.as_str()), ("from", &from), ("to", &last)])
}

fn driver(href: Option<String>, name: String, part: Money, whole: Money) -> AnyView {
    let share = share(part, whole);
    match href {
        Some(href) => view! { <a href=href>{name}</a>" "<span class="nw">{share}</span> }.into_any(),
        None => view! { <b>{name}</b>" "<span class="nw">{share}</span> }.into_any(),
    }
}

/// The figures that answer "are we fine".
#[component]
pub fn Facts(page: Data) -> impl IntoView {
    let (total, before) = (page.table.total(), page.table.total_before());
    let running = page.runs();
    let title = match page.range {
        Range::Own => "The days you chose",
        Range::Month if running => "Month to date",
        Range::Month => "The month",
        Range::Days => "The last 90 days",
        Range::Year => "The last 12 months",
    };
    let flying = filters(&page).href("/calls/live", &[]);
    let spent = match &page.budget {
        Some(limit) => {
            let text = sentence(limit);
            view! {
                <div class="big num">{Money(limit.level.settled).to_string()}<small>{format!(" of {}", Money(limit.limit.cap))}</small></div>
                <Meter level=limit.level cap=limit.limit.cap text=text.clone()/>
                <p class="under num">{text}{(limit.level.held > 0).then(|| view! { " · "<a href=flying>"see what is in flight"</a> })}</p>
            }
            .into_any()
        }
        None => view! {
            <div class="big num">{total.spend.to_string()}</div>
            <p class="under num">{unlimited(&page, flying)}</p>
        }
        .into_any(),
    };
    let compared = match page.range {
        Range::Month => format!("Against {}", page.table.before.from.format("%B")),
        Range::Days => "Against the 90 days before".to_owned(),
        Range::Year => "Against the year before".to_owned(),
        Range::Own => match page.table.period.days() {
            1 => "Against the day before".to_owned(),
            days => format!("Against the {days} days before"),
        },
    };
    let then = match page.range {
        Range::Month if running => format!("{} by the same day, {} in all", before.spend, page.before_whole),
        Range::Month => format!("{} then", page.before_whole),
        Range::Days | Range::Year | Range::Own => format!("{} then", before.spend),
    };
    let average = each(total.spend, total.calls);
    view! {
        <section class="facts">
            <div><h2>{title}</h2>{spent}</div>
            {running.then(|| ahead(&page, total.spend))}
            <div>
                <h2>{compared}</h2>
                {if let Some(began) = page.table.began.filter(|_| !page.table.comparable()) {
                    let since = format!("Calls are counted since {}", time::date(began));
                    view! { <div class="big num muted">"–"</div><p class="under">{since}</p> }.into_any()
                } else if before.spend.0 == 0 {
                    view! { <div class="big num muted">"–"</div><p class="under">"Nothing was spent then"</p> }.into_any()
                } else {
                    view! {
                        <div class="big num">{change(total.spend, before.spend)}</div>
                        <p class="under num">{then}</p>
                    }.into_any()
                }}
            </div>
            <div>
                <h2>"Calls"</h2>
                <div class="big num">{grouped(total.calls.unsigned_abs())}</div>
                <p class="under num">{format!("{average} each · {} refused", grouped(total.refused.unsigned_abs()))}</p>
            </div>
        </section>
    }
}

/// What counts it where there is no limit of its own, and what is in flight.
fn unlimited(page: &Data, flying: String) -> AnyView {
    let limit = match (&page.whose, page.view, &page.above) {
        _ if !page.runs() => String::new(),
        (_, View::Members, _) => "Limits count attributed spend".to_owned(),
        (.., Some(above)) => {
            let (cap, used) = (Money(above.limit.cap), above.share());
            format!("No monthly limit of its own; it counts in {}’s {cap}, {used} used", above.scope_name)
        }
        _ => "No monthly limit here".to_owned(),
    };
    let flying = page.flying.filter(|flying| flying.calls > 0).map(|Flying { calls, cost }| {
        let text = format!("{cost} in flight");
        let calls =
            if calls == 1 { "1 call".to_owned() } else { format!("{} calls", grouped(calls.unsigned_abs())) };
        let lead = if limit.is_empty() { "" } else { " · " };
        view! { {lead}{text}" ("<a href=flying>{calls}</a>")" }
    });
    view! { {limit.clone()}{flying} }.into_any()
}

/// What the month comes to.
fn ahead(page: &Data, spent: Money) -> impl IntoView + use<> {
    let Some(forecast) = &page.forecast else {
        return view! {
            <div><h2>"Forecast, end of month"</h2><div class="big num muted">"–"</div><p class="under">"Too few days to go by yet"</p></div>
        }
        .into_any();
    };
    let cap = page.budget.as_ref().map(|limit| (Money(limit.limit.cap), Money(limit.level.settled)));
    let reached = cap.and_then(|(cap, settled)| forecast.reaches(cap, settled.max(spent), page.today));
    let over = reached.map(|day| format!(" · limit reached {}", time::day(day))).unwrap_or_default();
    let look = if reached.is_some() { "big num warn-text" } else { "big num" };
    let how = format!(
        "Each day to come is expected to cost what the same day of the week did in the last four weeks ({} days to go by). Four times out of five the month ends within the range.",
        forecast.learned_from
    );
    view! {
        <div title=how.clone()>
            <h2>"Forecast, end of month"</h2>
            <div class=look>{forecast.end.to_string()}</div>
            <p class="under num">{format!("{} – {}{over}", forecast.low, forecast.high)}<span class="sr">{format!(" {how}")}</span></p>
        </div>
    }
    .into_any()
}

/// Where a thing of a breakdown has a spend page of its own.
fn spend_of(by: By, row: &Row, all: bool) -> Option<String> {
    let key = row.key.as_deref().filter(|key| *key != domain::explore::NONE)?;
    match by {
        By::Group | By::Application if reads_groups() => Some(format!("/spend/{key}")),
        By::User | By::Model if all => Some(format!("/spend/{key}")),
        _ => None,
    }
}

/// What spend is made of, by one split at a time, the largest first.
#[component]
fn Breakdown(page: Data, series: Vec<Series>, filters: Filters) -> impl IntoView {
    let table = page.table;
    let by = table.by;
    let all = frame().may(domain::roles::Act::ReadOrganization);
    let tabs: Vec<(String, By)> =
        page.tabs.into_iter().map(|tab| (query::href(&[("by", Some(tab.as_str()))]), tab)).collect();
    let total = table.total().spend;
    let (from, to) = (table.period.from.to_string(), table.period.last().to_string());
    let listed: Vec<(Option<&'static str>, Row)> = table
        .rows
        .iter()
        .zip(&series)
        .filter(|(row, _)| row.key.is_some())
        .map(|(row, one)| (Some(one.class), row.clone()))
        .chain(table.more.iter().map(|row| (None, row.clone())))
        .take(LISTED)
        .collect();
    let unlisted = table.things - listed.len();
    let empty = listed.is_empty();
    let explore = filters.href("/explore", &[("by", by.as_str()), ("from", &from), ("to", &to)]);
    let comparable = table.comparable();
    let rows = listed
        .into_iter()
        .map(|(class, row)| {
            let key = row.key.as_deref().unwrap_or_default();
            let href = spend_of(by, &row, all).unwrap_or_else(|| explore_one(&table, &filters, by, key));
            let name = view! { <a href=href>{row.name.clone()}</a> };
            let narrowed = filters.with(by, row.key.as_deref().unwrap_or_default());
            let calls = |ended| narrowed.href("/calls", &[("outcome", ended), ("from", &from), ("to", &to)]);
            let refused = row.total.refused;
            view! {
                <tr>
                    <td><span class="row tight"><Swatch class=class.unwrap_or("rest")/>{name}</span></td>
                    <td class="r num"><a href=calls("finished")>{row.total.spend.to_string()}</a></td>
                    <td class="r num muted hide">{share(row.total.spend, total)}</td>
                    <td class="r num muted">{if comparable { change(row.total.spend, row.before.spend) } else { "–".to_owned() }}</td>
                    <td class="r num muted hide">{grouped(row.total.calls.unsigned_abs())}</td>
                    <td class="r num muted hide">{(refused > 0).then(|| view! { <a href=calls("refused")>{grouped(refused.unsigned_abs())}</a> })}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card title="What it is made of" actions=ViewFn::from(move || splits(&tabs, by))>
            {if empty {
                view! { <Empty title="Nothing yet" text="Once a call is made it shows up here within two seconds."/> }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="What it is made of">
                        <table class="table">
                            <thead><tr>
                                <th>{by.one()}</th><th class="r">"Spend"</th><th class="r hide">"Share"</th><th class="r">"Change"</th><th class="r hide">"Calls"</th><th class="r hide">"Refused"</th>
                            </tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
            {overlap(by).map(|text| view! { <p class="note-line">{text}</p> })}
            {(unlisted > 0).then(|| view! { <p class="note-line">{format!("And {} more, smaller ones. ", grouped(unlisted as u64))}<a href=explore>"Explore them"</a></p> })}
        </Card>
    }
}

/// Why parts come to more than the whole, where they do.
pub fn overlap(by: By) -> Option<&'static str> {
    let text = "One call may use several features and is in the row of each, so the rows come to more than the \
                whole. “None of them” are calls that used none, or that were booked or refused before features \
                were taken down.";
    by.overlaps().then_some(text)
}

/// By what it can be split.
fn splits(tabs: &[(String, By)], by: By) -> impl IntoView + use<> {
    let tabs = tabs
        .iter()
        .cloned()
        .map(|(href, tab)| view! { <a href=href data-within="" aria-current=(tab == by).then_some("true")>{tab.plural()}</a> })
        .collect_view();
    view! { <div class="seg" role="group" aria-label="Split by">{tabs}</div> }
}

/// `12.3 %` of the whole.
pub fn share(part: Money, whole: Money) -> String {
    if whole.0 <= 0 { "–".to_owned() } else { share_text(tenths(part, whole)) }
}
