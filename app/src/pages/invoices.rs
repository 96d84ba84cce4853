//! Invoices of providers beside the ledger: where they differ, by day and model.

use std::cmp::Reverse;

use domain::{
    explore::Measure,
    invoices::{Invoice, InvoiceLine, Side, sums_by},
    money::{Money, grouped, how_many},
    roles::Act,
    time,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::param;
use crate::{
    api::invoices::{ArchiveInvoice, CompareInvoice, CreateInvoice, Invoices, load_invoice, load_invoices},
    ui::{
        Badge, Card, Confirm, Dialog, Empty, Field, FileField, Folded, Form, Head, Hidden, Kind, Load,
        OpenDialog, Page, Pager, Select, Submit, TextArea, When,
        chart::{Chart, ChartView, Legend, Series, Step},
        may, query,
    },
};

/// How many lines with a difference the page lists; the file has them all.
const LISTED: usize = 40;
/// How many models a page lists.
const MODELS: usize = 100;

/// How much more or less: `+$1.20`, `−$0.30`, `none`.
fn gap(money: Money) -> String {
    match money.0 {
        0 => "none".to_owned(),
        more if more > 0 => format!("+{money}"),
        _ => money.to_string(),
    }
}

fn tokens_gap(count: i64) -> String {
    match count {
        0 => "none".to_owned(),
        more if more > 0 => format!("+{}", grouped(more.unsigned_abs())),
        less => format!("−{}", grouped(less.unsigned_abs())),
    }
}

fn gap_of(invoice: &Invoice, billed: Side, ledger: Side) -> String {
    if invoice.has_money {
        gap(billed.cost_beyond(&ledger))
    } else {
        format!("{} tokens", tokens_gap(billed.tokens_beyond(&ledger)))
    }
}

/// Every invoice.
#[component]
pub fn InvoicesPage() -> impl IntoView {
    let invoices = load_invoices(query::value("after"));
    let keeps = may(Act::KeepBooks);
    view! {
        <Page title="Invoices">
            <Head title="Invoices" crumbs=vec![("/reports".to_owned(), "Reports".to_owned())]>{keeps.then(|| view! { <OpenDialog name="new" label="Bring an invoice" look="btn go"/> })}</Head>
            <p class="lead">"What providers bill, beside what the ledger says: by day and model, in money and tokens."</p>
            <Load data=invoices let(invoices)><List invoices/></Load>
        </Page>
    }
}

#[component]
fn List(invoices: Invoices) -> impl IntoView {
    let Invoices { invoices, next, providers } = invoices;
    let keeps = may(Act::KeepBooks);
    let empty = invoices.is_empty();
    let rows = invoices
        .into_iter()
        .map(|invoice| {
            let days = format!("{} – {}", time::day(invoice.first_day), time::date(invoice.last_day));
            let billed = if invoice.has_money { invoice.billed.cost.to_string() } else { format!("{} tokens", grouped(invoice.billed.tokens().unsigned_abs())) };
            let ledger = if invoice.has_money { invoice.ledger.cost.to_string() } else { format!("{} tokens", grouped(invoice.ledger.tokens().unsigned_abs())) };
            let gap = gap_of(&invoice, invoice.billed, invoice.ledger);
            view! {
                <tr>
                    <td><a href=format!("/invoices/{}", invoice.id)><b>{invoice.name}</b></a><div class="sub">{format!("{} · {}", invoice.provider.1, invoice.shape.label())}</div></td>
                    <td class="nw beside">{days}</td>
                    <td class="r num" data-th="Billed">{billed}</td>
                    <td class="r num" data-th="Ledger">{ledger}</td>
                    <td class="r num" data-th="Difference">{gap}</td>
                    <td class="nw" data-th="Brought"><When at=invoice.uploaded_at/></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <Card>
            {if empty {
                view! { <Empty title="No invoices yet" text="Bring the CSV that a provider's console exports: the day, the model, and money or tokens are enough."/> }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Invoices">
                        <table class="table stack">
                            <thead><tr><th>"Invoice"</th><th>"Days (UTC)"</th><th class="r">"Billed"</th><th class="r">"Ledger"</th><th class="r">"Difference"</th><th>"Brought"</th></tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
        <Pager next=next.map(|id| id.to_string())/>
        {keeps.then(|| view! { <Bring providers/> })}
    }
}

#[component]
fn Bring(providers: Vec<(String, String)>) -> impl IntoView {
    view! {
        <Dialog name="new" title="Bring an invoice">
            <Form to=CreateInvoice::PATH file=true>
                <Select name="provider" label="Provider" options=providers/>
                <Field name="name" label="What to call it" placeholder="OpenAI, October"/>
                <FileField name="file" label="The file" accept=".csv,text/csv" hint="Exports of OpenAI and Anthropic as they come, or any CSV with a day, a model, and money or tokens. At most 8 MB and 100 days."/>
                <TextArea name="text" label="Or its text" rows=4 optional=true/>
                <Folded label="Which columns to read" names=vec!["day", "model", "cost", "input", "output", "tokens"]>
                    <p class="hint">"Columns that are known by their names are found by themselves. Fill in only what is called otherwise."</p>
                    <Field name="day" label="Column of the day" optional=true/>
                    <Field name="model" label="Column of the model" optional=true/>
                    <Field name="cost" label="Column of the money, in US dollars" optional=true/>
                    <Field name="input" label="Column of input tokens" optional=true hint="Cached tokens included."/>
                    <Field name="output" label="Column of output tokens" optional=true/>
                    <Field name="tokens" label="Column of all tokens" optional=true hint="Where the file does not tell input from output."/>
                </Folded>
                <div class="row end"><Submit label="Read and compare"/></div>
            </Form>
        </Dialog>
    }
}

/// One invoice.
#[component]
pub fn InvoicePage() -> impl IntoView {
    let invoice = load_invoice(param("id"));
    view! { <Page title="Invoice"><Load data=invoice let(shown)><Content shown/></Load></Page> }
}

#[component]
fn Content(shown: (Invoice, Vec<InvoiceLine>, Vec<String>)) -> impl IntoView {
    let (invoice, lines, remarks) = shown;
    let id = invoice.id.to_string();
    let keeps = may(Act::KeepBooks);
    let crumbs =
        vec![("/reports".to_owned(), "Reports".to_owned()), ("/invoices".to_owned(), "Invoices".to_owned())];
    let chart = chart(&invoice, &lines);
    let (title, legend) = (chart.title.clone(), chart.series.clone());
    let sentence = chart.sentence.clone();
    view! {
        <Head title=invoice.name.clone() note=format!("{} – {}, UTC days", time::day(invoice.first_day), time::date(invoice.last_day)) crumbs>
            <a class="btn" href=format!("/invoices.csv?id={id}") download="">"CSV"</a>
            {keeps.then(|| view! {
                <Form to=CompareInvoice::PATH class="inline"><Hidden name="id" value=id.clone()/><Submit label="Compare again" look=""/></Form>
                <OpenDialog name="archive" label="Put away"/>
            })}
        </Head>
        {remarks.into_iter().map(|remark| view! { <p class="banner warn" role="status">{remark}</p> }).collect_view()}
        <Facts invoice=invoice.clone()/>
        <Card title=title actions=ViewFn::from(move || view! { <Legend series=legend.clone()/> })>
            <ChartView chart/>
            <p class="note-line">{sentence}</p>
        </Card>
        <Models invoice=invoice.clone() lines=lines.clone()/>
        <Differences invoice=invoice.clone() lines/>
        <Confirm
            name="archive" title="Put the invoice away?" to=ArchiveInvoice::PATH label="Put it away" fields=vec![("id", invoice.id.to_string())] typed=invoice.name.clone()
            consequence="It is not listed any more, and this cannot be undone. The ledger is as it was."
        />
    }
}

#[component]
fn Facts(invoice: Invoice) -> impl IntoView {
    let none = "The file does not say";
    let money = invoice.has_money.then_some(invoice.billed.cost);
    let tokens = invoice.has_tokens.then_some(invoice.billed.tokens());
    view! {
        <section class="facts">
            <div><h2>"Billed"</h2>
                <div class="big num">{money.map_or_else(|| "–".to_owned(), |money| money.to_string())}</div>
                <p class="under num">{tokens.map_or_else(|| format!("{none} tokens"), |tokens| format!("{} tokens", grouped(tokens.unsigned_abs())))}</p></div>
            <div><h2>"In the ledger"</h2>
                <div class="big num">{invoice.ledger.cost.to_string()}</div>
                <p class="under num">{format!("{} tokens", grouped(invoice.ledger.tokens().unsigned_abs()))}</p></div>
            <div><h2>"Billed beyond the ledger"</h2>
                <div class="big num">{money.map_or_else(|| "–".to_owned(), |money| gap(Money(money.0.saturating_sub(invoice.ledger.cost.0))))}</div>
                <p class="under num">{tokens.map_or_else(|| format!("{none} tokens"), |tokens| format!("{} tokens", tokens_gap(tokens.saturating_sub(invoice.ledger.tokens()))))}</p></div>
            <div><h2>"Compared"</h2><p class="outcome"><When at=invoice.compared_at/></p>
                <p class="under">{format!("{}, read as: {}", invoice.provider.1, invoice.shape.label())}</p></div>
        </section>
    }
}

/// Both sides day by day; what is on neither is a gap.
fn chart(invoice: &Invoice, lines: &[InvoiceLine]) -> Chart {
    let by_day = sums_by(lines, |line| line.day);
    let amount = |side: Side| if invoice.has_money { side.cost.0 } else { side.tokens() };
    let measure = if invoice.has_money { Measure::Spend } else { Measure::Tokens };
    let far = by_day
        .iter()
        .max_by_key(|(_, billed, ledger)| amount(*billed).saturating_sub(amount(*ledger)).saturating_abs());
    let sentence = match far {
        Some((_, billed, ledger)) if amount(*billed) == amount(*ledger) => {
            "Both sides agree on every day.".to_owned()
        }
        Some((day, billed, ledger)) => {
            format!("They differ most on {}: {}.", time::date(*day), gap_of(invoice, *billed, *ledger))
        }
        None => String::new(),
    };
    let steps = by_day
        .iter()
        .map(|(day, billed, ledger)| Step {
            label: format!("{} (UTC)", time::date(*day)),
            short: time::day(*day),
            parts: vec![Some(amount(*billed)), Some(amount(*ledger))],
            whole: None,
            href: format!("/calls?outcome=finished&from={day}&to={day}"),
            days: (*day, *day),
        })
        .collect();
    let series = vec![
        Series { key: "invoice".to_owned(), name: "Invoice".to_owned(), class: "s3" },
        Series { key: "ledger".to_owned(), name: "Ledger".to_owned(), class: "s1" },
    ];
    let title = if invoice.has_money { "Money by day" } else { "Tokens by day" };
    Chart {
        measure,
        title: title.to_owned(),
        sentence,
        series,
        steps,
        ahead: Vec::new(),
        stacked: false,
        before: None,
        brush: None,
        csv: None,
    }
}

#[component]
fn Models(invoice: Invoice, lines: Vec<InvoiceLine>) -> impl IntoView {
    let mut models = sums_by(&lines, |line| (line.model.clone(), line.model_id));
    models.sort_by_key(|(_, billed, ledger)| {
        Reverse((
            billed.cost_beyond(ledger).0.saturating_abs(),
            billed.cost.0.max(ledger.cost.0),
            billed.tokens(),
        ))
    });
    let (all, first) = (models.len(), query::value("after").parse::<usize>().unwrap_or_default());
    let last = first.saturating_add(MODELS).min(all);
    let next = (last < all).then(|| last.to_string());
    let note = match all {
        all if all > MODELS => format!(
            "the largest difference first: {} to {last} of {}",
            first.min(last) + 1,
            grouped(all as u64)
        ),
        _ => "the largest difference first".to_owned(),
    };
    let rows = models
        .into_iter()
        .skip(first)
        .take(MODELS)
        .map(|((model, id), billed, ledger)| {
            let name = match id {
                Some(id) => view! { <a class="mono" href=format!("/models/{id}")>{model}</a> }.into_any(),
                None => view! { <span class="mono">{model}</span>" "<Badge text="not in the catalogue" kind=Kind::Warn/> }.into_any(),
            };
            view! { <tr><td>{name}</td>{figures(&invoice, billed, ledger)}</tr> }
        })
        .collect_view();
    view! {
        <Card title="By model" note>
            <div class="scroll" tabindex="0" role="region" aria-label="By model">
                <table class="table stack">
                    <thead><tr><th>"Model"</th>{heads(&invoice)}</tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            <Pager next/>
        </Card>
    }
}

/// Columns for what the file says: money, tokens, or both.
fn heads(invoice: &Invoice) -> impl IntoView + use<> {
    let money = invoice.has_money.then(|| {
        view! { <th class="r">"Billed"</th><th class="r">"Ledger"</th><th class="r">"Difference"</th> }
    });
    let tokens = invoice.has_tokens.then(|| {
        view! { <th class="r">"Tokens billed"</th><th class="r">"In the ledger"</th><th class="r">"Difference"</th> }
    });
    view! { {money}{tokens} }
}

fn figures(invoice: &Invoice, billed: Side, ledger: Side) -> impl IntoView + use<> {
    let money = invoice.has_money.then(|| {
        view! {
            <td class="r num" data-th="Billed">{billed.cost.to_string()}</td>
            <td class="r num" data-th="Ledger">{ledger.cost.to_string()}</td>
            <td class="r num" data-th="Difference">{gap(billed.cost_beyond(&ledger))}</td>
        }
    });
    let tokens = invoice.has_tokens.then(|| {
        view! {
            <td class="r num" data-th="Tokens billed">{grouped(billed.tokens().unsigned_abs())}</td>
            <td class="r num" data-th="In the ledger">{grouped(ledger.tokens().unsigned_abs())}</td>
            <td class="r num" data-th="Difference in tokens">{tokens_gap(billed.tokens_beyond(&ledger))}</td>
        }
    });
    view! { {money}{tokens} }
}

/// Lines in which the two sides differ, the most first.
#[component]
fn Differences(invoice: Invoice, lines: Vec<InvoiceLine>) -> impl IntoView {
    let all = lines.len();
    let mut lines: Vec<InvoiceLine> = lines
        .into_iter()
        .filter(|line| {
            (invoice.has_money && line.more().0 != 0)
                || (invoice.has_tokens && line.more_tokens() != 0)
                || !line.remark().is_empty()
        })
        .collect();
    lines.sort_by_key(|line| {
        let money = if invoice.has_money { line.more().0.saturating_abs() } else { 0 };
        Reverse((money, line.more_tokens().saturating_abs()))
    });
    let differ = lines.len();
    lines.truncate(LISTED);
    let rows = lines
        .into_iter()
        .map(|line| {
            let calls = match line.model_id {
                Some(id) => view! { <a href=format!("/calls?outcome=finished&model={id}&from={0}&to={0}", line.day)>{time::day(line.day)}</a> }.into_any(),
                None => view! { {time::day(line.day)} }.into_any(),
            };
            let remark = line.remark();
            view! {
                <tr>
                    <td class="nw">{calls}</td>
                    <td><span class="mono">{line.model.clone()}</span>{(!remark.is_empty()).then(|| view! { <div class="sub">{remark}</div> })}</td>
                    {figures(&invoice, line.billed, line.ledger)}
                </tr>
            }
        })
        .collect_view();
    let note = match differ {
        0 => format!("none of {}", how_many(all as u64, "line", "lines")),
        differ if differ > LISTED => format!("the largest {LISTED} of {differ}; the file has all"),
        differ => format!("{differ} of {}", how_many(all as u64, "line", "lines")),
    };
    view! {
        <Card title="Days and models that differ" note=note>
            {if differ == 0 {
                view! { <Empty title="Both sides agree" text="Every day and model of the invoice is in the ledger with the same figures."/> }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Days and models that differ">
                        <table class="table stack">
                            <thead><tr><th>"Day (UTC)"</th><th>"Model"</th>{heads(&invoice)}</tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
    }
}
