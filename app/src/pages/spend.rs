//! Spend: are we fine, who and what drives it, what changed. The same page for everything that
//! spends.

mod answers;
mod breakdown;
mod led;

use chrono::{Datelike, Months, NaiveDate};
use domain::{
    explore::{By, Explored, chosen},
    spend::{Range, SpendPage as Data, View, Whose},
    time,
};
use leptos::prelude::*;
use leptos_router::components::Redirect;

pub use self::{
    answers::{Answers, Facts},
    breakdown::overlap,
    led::LedInShort,
};
use self::{breakdown::Breakdown, led::LedGroups};
use super::{calls::LastCalls, param};
use crate::{
    api::spend::{load_led, load_spend},
    error::AppError,
    filters::Filters,
    ui::{
        Card, Head, Load, Page,
        chart::{Before, Chart, ChartView, Legend, Step, series, step_label, step_short},
        context::{frame, reads_groups},
        load::{Failed, waited},
        query,
    },
};

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
    let before = chart.before.as_ref().map(|before| before.name.clone());
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
        {odd}
        <Answers page=facts.clone()/>
        {(!explained.is_empty()).then(|| view! { <p class="lead">{explained}</p> })}
        <Facts page=facts/>
        <Card title=title_of_chart actions=ViewFn::from(move || view! { <Legend series=legend.clone() before=before.clone()/> })>
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
    let shown = format!("{}-{:02}", page.month.year(), page.month.month());
    if let Some(month) = word("month").filter(|month| page.range == Range::Month && *month != shown) {
        told.push(match NaiveDate::parse_from_str(&format!("{month}-01"), "%Y-%m-%d") {
            Ok(day) => format!("{} has not begun. This is the month that runs.", month_name(day)),
            Err(_) => format!("{}: this is the month that runs.", query::nothing_called(&month)),
        });
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
    let ahead = match page.forecast.as_ref().filter(|_| page.runs()) {
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
