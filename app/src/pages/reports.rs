//! Allocation for finance: months, and the report of one. It prints as a sheet.

use chrono::NaiveDate;
use domain::{
    money::{grouped, how_many},
    reports::{MonthRow, Node, Report, Standing, share_text},
    roles::Act,
    time,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::param;
use crate::{
    api::reports::{CloseMonth, load_months, load_report},
    ui::{
        Badge, Card, Confirm, Empty, Head, Kind, Load, OpenDialog, Page, Pager, When, context::frame, may,
        query,
    },
};

fn month_name(month: NaiveDate) -> String {
    month.format("%B %Y").to_string()
}

/// As it stands in addresses.
fn month_key(month: NaiveDate) -> String {
    month.format("%Y-%m").to_string()
}

fn mark(standing: &Standing) -> impl IntoView + use<> {
    match standing {
        Standing::Running => view! { <Badge text="running"/> },
        Standing::Open { .. } => view! { <Badge text="open" kind=Kind::Warn/> },
        Standing::Closed(_) => view! { <Badge text="closed" kind=Kind::Good/> },
    }
}

/// Every month.
#[component]
pub fn ReportsPage() -> impl IntoView {
    let months = load_months();
    view! {
        <Page title="Reports" live=true>
            <Head title="Reports"><a class="btn" href="/invoices">"Provider invoices"</a></Head>
            <p class="lead">"What every group spent, month by month, for whoever keeps the books. A closed month stays as it was closed: calls that are booked afterwards count as adjustments in the month that is next."</p>
            <Load data=months let(months)><Months months/></Load>
        </Page>
    }
}

#[component]
fn Months(months: Vec<MonthRow>) -> impl IntoView {
    if months.is_empty() {
        return view! { <Card><Empty title="Nothing has been counted yet" text="With the first call, its month stands here."><a class="btn" href="/applications">"To the applications"</a></Empty></Card> }.into_any();
    }
    let keeps = may(Act::KeepBooks);
    let next = months
        .iter()
        .find(|row| row.standing == Standing::Open { next: true })
        .map(|row| (row.month, row.spend));
    let rows = months
        .into_iter()
        .map(|row| {
            let key = month_key(row.month);
            let closed = match &row.standing {
                Standing::Closed(closed) => {
                    view! { <When at=closed.at/>{format!(" by {}", closed.by)} }.into_any()
                }
                Standing::Open { next: true } if keeps => {
                    view! { <OpenDialog name="close" label="Close" look="btn small"/> }.into_any()
                }
                Standing::Open { next: true } => {
                    view! { <span class="muted">"is next to be closed"</span> }.into_any()
                }
                Standing::Open { next: false } => {
                    view! { <span class="muted">"after the one before"</span> }.into_any()
                }
                Standing::Running => view! { <span class="muted">"is not over"</span> }.into_any(),
            };
            let adjusted = if row.adjusted.0 == 0 { "–".to_owned() } else { row.adjusted.to_string() };
            view! {
                <tr>
                    <td class="nw"><a href=format!("/reports/{key}")><b>{month_name(row.month)}</b></a></td>
                    <td class="beside">{mark(&row.standing)}</td>
                    <td class="r num" data-th="Spend">{row.spend.to_string()}</td>
                    <td class="r num" data-th="Of it adjustments">{adjusted}</td>
                    <td class="r num" data-th="Calls">{grouped(row.calls.unsigned_abs())}</td>
                    <td data-th="Closed">{closed}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card>
            <div class="scroll" tabindex="0" role="region" aria-label="Months">
                <table class="table stack">
                    <thead><tr><th>"Month"</th><th>"State"</th><th class="r">"Spend"</th><th class="r">"Of it adjustments"</th><th class="r">"Calls"</th><th>"Closed"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </Card>
        {next.map(|(month, spend)| view! { <CloseDialog month spend=spend.to_string()/> })}
    }
    .into_any()
}

#[component]
fn CloseDialog(month: NaiveDate, spend: String) -> impl IntoView {
    let name = month_name(month);
    let zone = frame().zone.name.clone();
    let consequence = format!(
        "{name} stays at {spend} for good: it cannot be opened again. Its days are those of {zone}. Calls of {name} that are booked from now on, for instance by a server that was away, count as adjustments in the month that is next."
    );
    let fields = vec![("month", month_key(month))];
    view! { <Confirm name="close" title=format!("Close {name}?") consequence to=CloseMonth::PATH label=format!("Close {name}") fields typed=name.clone()/> }
}

/// The report of one month.
#[component]
pub fn ReportPage() -> impl IntoView {
    let report = load_report(param("month"), query::value("after"), query::value("all") == "true");
    view! { <Page title="Report" live=true><Load data=report let(report)><Content report/></Load></Page> }
}

#[component]
fn Content(report: Report) -> impl IntoView {
    let (month, key) = (month_name(report.month), month_key(report.month));
    let organization = frame().here().map(|here| here.org_name.clone()).unwrap_or_default();
    let crumbs = vec![("/reports".to_owned(), "Reports".to_owned())];
    let close = (report.standing == Standing::Open { next: true } && may(Act::KeepBooks))
        .then(|| view! { <OpenDialog name="close" label="Close the month" look="btn go"/> });
    let dialog = close.is_some().then(|| {
        let spend = report.total.to_string();
        view! { <CloseDialog month=report.month spend/> }
    });
    let next = report.next().map(|next| next.to_string());
    let part = (report.groups > report.nodes.len()).then(|| {
        let (first, last) = (report.first + 1, report.first + report.nodes.len());
        let whole = format!("/reports/{key}?all=true");
        view! {
            <p class="note-line">
                {format!("Groups {} to {} of {}; totals are those of the whole month. ", grouped(count(first)), grouped(count(last)), grouped(count(report.groups)))}
                <a class="link" href=whole>"All of them, to print"</a>
            </p>
        }
    });
    view! {
        <div class="sheet">
            <Head title=month note=organization crumbs>
                <a class="btn" href=format!("/reports.csv?month={key}") download="">"CSV"</a>
                <a class="btn" href=format!("/reports.focus.csv?month={key}") download="">"FOCUS 1.2"</a>
                {close}
            </Head>
            {stand(&report)}
            <Sums report=report.clone()/>
            <Card title="Every group" note="attributed: every cent counts once">
                {part}
                <Table report/>
            </Card>
            <Pager next/>
            <p class="muted sheet-note">"Attributed spend is what the applications of a group spent; a sub-total has everything below in it, and the groups at the top add up to the month. Member spend is what the people of a group spent while they were members, wherever they called from: people belong to several groups, so it overlaps and does not add up. A group that was moved within the month stands in both places."</p>
        </div>
        {dialog}
    }
}

fn count(groups: usize) -> u64 {
    u64::try_from(groups).unwrap_or(u64::MAX)
}

/// Where the month stands, in a sentence.
fn stand(report: &Report) -> impl IntoView + use<> {
    let zone = frame().zone.name.clone();
    match report.standing.clone() {
        Standing::Running => view! { <p class="lead">{mark(&report.standing)}{format!(" The month is not over: figures still change. Days of {zone}.")}</p> }.into_any(),
        Standing::Open { .. } => view! { <p class="lead">{mark(&report.standing)}{format!(" The month is over, and not closed: figures may still change. Days of {zone}.")}</p> }.into_any(),
        Standing::Closed(closed) => view! {
            <p class="lead">{mark(&report.standing)}" Closed "<When at=closed.at/>{format!(" by {}, by the days of {}: {}.", closed.by, closed.zone, how_many(closed.lines.unsigned_abs(), "line", "lines"))}</p>
            <p class="muted">"Seal "<span class="mono wrap seal">{closed.seal}</span>"; bursar verify checks it against the lines, and the lines against the ledger."</p>
        }.into_any(),
    }
}

#[component]
fn Sums(report: Report) -> impl IntoView {
    let last = report.month.checked_add_months(chrono::Months::new(1)).and_then(|day| day.pred_opt());
    let days =
        last.map(|last| format!("{} – {}", time::day(report.month), time::date(last))).unwrap_or_default();
    let adjusted = if report.adjusted.0 == 0 { "None".to_owned() } else { report.adjusted.to_string() };
    view! {
        <section class="facts three">
            <div><h2>"The month"</h2><div class="big num">{report.total.to_string()}</div><p class="under num">{format!("${} exactly · {days}", report.total.exact())}</p></div>
            <div><h2>"Adjustments in it"</h2><div class="big num">{adjusted}</div><p class="under">"Calls of closed months, booked afterwards"</p></div>
            <div><h2>"Calls"</h2><div class="big num">{grouped(report.calls.unsigned_abs())}</div><p class="under num">{how_many(report.tokens.unsigned_abs(), "token", "tokens")}</p></div>
        </section>
    }
}

#[component]
fn Table(report: Report) -> impl IntoView {
    if report.nodes.is_empty() {
        return view! { <Empty title="Nothing was spent in this month" text="Groups stand here as soon as one of their applications has called."/> }.into_any();
    }
    let Report { nodes, total, adjusted, calls, .. } = report;
    let rows = nodes.into_iter().map(|node| view! { <Line node/> }).collect_view();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="Every group">
            <table class="table tree report-table">
                <thead><tr>
                    <th>"Group"</th><th class="r">"Own"</th><th class="r">"Sub-total"</th><th class="r">"Share"</th>
                    <th class="r">"Adjustments"</th><th class="r">"Member spend"</th><th class="r">"Calls"</th>
                </tr></thead>
                <tbody>{rows}</tbody>
                <tfoot><tr>
                    <th>"The month"</th><td class="r num"><b>{total.to_string()}</b></td><td class="r num"><b>{total.to_string()}</b></td><td class="r num">"100.0 %"</td>
                    <td class="r num">{adjusted.to_string()}</td><td class="r muted">"overlaps"</td><td class="r num">{grouped(calls.unsigned_abs())}</td>
                </tr></tfoot>
            </table>
        </div>
    }
    .into_any()
}

#[component]
fn Line(node: Node) -> impl IntoView {
    let depth = node.depth().min(8);
    let name = node.name().to_owned();
    let dash = || "–".to_owned();
    let adjusted = if node.adjusted.0 == 0 { dash() } else { node.adjusted.to_string() };
    let members = node.members.map_or_else(dash, |money| money.to_string());
    let own = if node.own.0 == 0 { dash() } else { node.own.to_string() };
    view! {
        <tr>
            <td class=format!("depth-{depth}")><a href=format!("/spend/{}", node.id)>{name}</a></td>
            <td class="r num"><data value=node.own.exact()>{own}</data></td>
            <td class="r num"><data value=node.total.exact()>{node.total.to_string()}</data></td>
            <td class="r num">{share_text(node.share)}</td>
            <td class="r num">{adjusted}</td>
            <td class="r num">{members}</td>
            <td class="r num">{grouped(node.calls.unsigned_abs())}</td>
        </tr>
    }
}
