//! Are we fine, who and what drives it, what changed: the first screen of every spend page.

use domain::{
    directory::Standing,
    explore::{By, Explored},
    money::{Money, grouped, how_many},
    spend::{Flying, People, Range, SpendPage as Data, View, Whose},
    time,
};
use leptos::prelude::*;

use super::{
    breakdown::{share, spend_of},
    filters,
    led::verdict_badge,
    page_of,
};
use crate::{
    filters::Filters,
    ui::{
        Meter,
        context::frame,
        meter::sentence,
        money::{change, each},
        query,
    },
};

/// Are we fine, who and what drives it, what changed: in a sentence each.
#[component]
pub fn Answers(page: Data) -> impl IntoView {
    view! { <section class="card" aria-label="In short"><dl class="answers">{answers(&page)}</dl></section> }
}

pub(super) fn answers(page: &Data) -> impl IntoView + use<> {
    let table = &page.table;
    let filters = filters(page);
    let all = frame().may(domain::roles::Act::ReadOrganization);
    let total = table.total().spend;
    let fine = page.verdict(time::day).map(|(verdict, text)| {
        let who = page.people.and_then(|people| near_their_limit(page, people));
        view! { <div><dt>"Are we fine?"</dt><dd>{verdict_badge(verdict)}" "{text}{who}</dd></div> }
    });
    let first = table.rows.iter().filter(|row| row.key.is_some() && row.total.spend.0 > 0).take(2);
    let onward = |by, key: &str| explore_one(table, &filters, by, key);
    let mut drivers: Vec<AnyView> = first
        .map(|row| {
            let href = spend_of(table.by, row, all).or_else(|| Some(onward(table.by, row.key.as_deref()?)));
            driver(href, row.name.clone(), row.total.spend, total)
        })
        .collect();
    // A private context is called as its person is: once is enough.
    let listed: Vec<&str> = table.rows.iter().take(2).map(|row| row.name.as_str()).collect();
    for leader in page.leaders.iter().filter(|leader| !listed.contains(&leader.name.as_str())) {
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

/// The way to the people who are near their limit or have used it up, for those who read the directory.
fn near_their_limit(page: &Data, people: People) -> Option<AnyView> {
    let standing = match people {
        People { over: 1.., .. } => Standing::Over,
        People { near: 1.., .. } => Standing::Near,
        _ => return None,
    };
    let Whose::Group(path) = &page.whose else { return None };
    let (group, _) = path.last().filter(|_| frame().may(domain::roles::Act::ReadOrganization))?;
    let href = format!("/users?group={group}&limit={standing}");
    Some(view! { " "<a href=href>"See who"</a> }.into_any())
}

/// One thing of a page's spend, looked into: for those who have no page of it.
pub(super) fn explore_one(table: &Explored, filters: &Filters, by: By, key: &str) -> String {
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
    // Its limit counts the month, not other days.
    let spent = match page.budget.as_ref().filter(|_| running) {
        Some(limit) => {
            let text = sentence(limit);
            view! {
                <div class="big num" title=Money(limit.level.settled).in_full()>{Money(limit.level.settled).to_string()}<small>{format!(" of {}", Money(limit.limit.cap).in_full())}</small></div>
                <Meter level=limit.level cap=limit.limit.cap text=text.clone()/>
                <p class="under num">{text}{(limit.level.held > 0).then(|| view! { " · "<a href=flying>"see what is in flight"</a> })}</p>
            }
            .into_any()
        }
        None => view! {
            <div class="big num" title=total.spend.in_full()>{total.spend.to_string()}</div>
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
            let (cap, used) = (Money(above.limit.cap).in_full(), above.share());
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
    let range = if forecast.low == forecast.high {
        "every day so far was alike".to_owned()
    } else {
        format!("{} – {}", forecast.low, forecast.high)
    };
    let look = if reached.is_some() { "big num warn-text" } else { "big num" };
    let how = format!(
        "Each day to come is expected to cost what the same day of the week did in the last four weeks ({} to go by). Four times out of five the month ends within the range.",
        how_many(forecast.learned_from as u64, "day", "days")
    );
    view! {
        <div title=how.clone()>
            <h2>"Forecast, end of month"</h2>
            <div class=look title=forecast.end.in_full()>{forecast.end.to_string()}</div>
            <p class="under num">{format!("{range}{over}")}<span class="sr">{format!(" {how}")}</span></p>
        </div>
    }
    .into_any()
}
