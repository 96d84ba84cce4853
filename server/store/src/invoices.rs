//! What providers bill, beside the ledger.
//!
//! The ledger is looked at when an invoice is brought, and again when somebody asks: the comparison is
//! kept, so that no page reads the ledger.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    ids::{InvoiceId, ModelId, OrgId, ProviderId},
    invoices::{Bill, Billed, Invoice, InvoiceLine, Side, upstream},
    money::Money,
    names::Name,
    roles::Act,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{Change, Diff, Result, Store, StoreError, Subject, change::exactly_one, clock};

/// How many days an invoice may span: each is a partition of the ledger that is read.
const DAYS_MAX: i64 = 100;

/// What the ledger has of a UTC day, by the provider's names of models.
type Ledger = BTreeMap<(NaiveDate, String), (Side, i64)>;

/// A row of `invoice_lines`, by its columns.
#[derive(Serialize)]
struct Row {
    org_id: Uuid,
    invoice_id: Uuid,
    day: NaiveDate,
    model: String,
    model_id: Uuid,
    billed: bool,
    cost: i64,
    input: i64,
    output: i64,
    ledger_calls: i64,
    ledger_cost: i64,
    ledger_input: i64,
    ledger_output: i64,
}

/// Keeps an invoice with what the ledger has beside it.
///
/// # Errors
/// [`StoreError::NotFound`] when the provider is not in the organization; [`StoreError::Invalid`] when it
/// spans too many days, has days that are yet to come, or is there already.
pub async fn insert(
    change: &mut Change,
    provider: ProviderId,
    name: &Name,
    bill: &Bill,
) -> Result<InvoiceId> {
    change.expect(Act::KeepBooks, None)?;
    let (org, at, id) = (change.org(), change.at(), clock::id::<InvoiceId>());
    let first = bill.lines.keys().map(|(day, _)| *day).min();
    let last = bill.lines.keys().map(|(day, _)| *day).max();
    let (Some(first), Some(last)) = (first, last) else {
        return Err(StoreError::invalid("file", "The file bills nothing."));
    };
    if (last - first).num_days() >= DAYS_MAX {
        let sentence =
            format!("It spans {} days. Bring at most {DAYS_MAX} at a time.", (last - first).num_days() + 1);
        return Err(StoreError::invalid("file", sentence));
    }
    if last > at.date_naive() {
        let sentence = format!(
            "Nothing was stored. It bills {}, which is yet to come. Look at the column of the day.",
            domain::time::date(last)
        );
        return Err(StoreError::invalid("file", sentence));
    }
    let actor = change.permit().actor().user;
    let digest = digest(bill);
    let there = sqlx::query_scalar!(
        "select name from invoices where org_id = $1 and provider_id = $2 and digest = $3 and archived_at is null",
        org.0,
        provider.0,
        &digest[..],
    )
    .fetch_optional(change.db())
    .await?;
    if let Some(there) = there {
        let sentence = format!(
            "Nothing was stored. The very same lines were brought before, as “{there}”. Put that one away first if it is to be brought anew."
        );
        return Err(StoreError::invalid("file", sentence));
    }
    sqlx::query!(
        "insert into invoices (org_id, invoice_id, provider_id, name, shape, first_day, last_day, has_money, has_tokens, uploaded_at, uploaded_by, compared_at, digest,
                               tokens_in_one)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $10, $12, $13)",
        org.0,
        id.0,
        provider.0,
        name.as_str(),
        bill.shape.as_str(),
        first,
        last,
        bill.has_money,
        bill.has_tokens,
        at,
        actor.map(|user| user.0),
        &digest[..],
        bill.tokens_in_one,
    )
    .execute(change.db())
    .await?;
    let models = upstreams(change.db(), org, provider).await?;
    let names: Vec<&str> = models.keys().map(String::as_str).collect();
    let mut billed = BTreeMap::<(NaiveDate, String), Side>::new();
    for ((day, model), line) in &bill.lines {
        let name = upstream(model, &names).unwrap_or(model).to_owned();
        *billed.entry((*day, name)).or_default() +=
            Side { cost: line.cost, input: line.input, output: line.output };
    }
    let ledger = ledger(change.db(), org, provider, first, last).await?;
    write(change.db(), org, id, &models, &billed, &ledger).await?;
    let diff = Diff::new().set("from", first).set("to", last).set("lines", bill.lines.len());
    change.record(Subject { kind: "invoice", id: id.0, name: name.as_str() }, "create", &diff).await?;
    Ok(id)
}

/// What somebody should know before they trust the comparison of an invoice: where the ledger does not
/// reach, and which others speak of the same days.
///
/// # Errors
/// When the database does not answer.
pub async fn remarks(store: &Store, org: OrgId, invoice: &Invoice) -> Result<Vec<String>> {
    let row = sqlx::query!(
        r#"select greatest((select min(day) from usage_by_day where org_id = $1), (select first_day from ledger_start)) as booked,
                  array(select i.name from invoices i
                        where i.org_id = $1 and i.provider_id = $2 and i.invoice_id <> $3 and i.archived_at is null
                          and i.first_day <= $5 and i.last_day >= $4
                          and exists (select from invoice_lines a
                                      join invoice_lines b on b.org_id = a.org_id and b.invoice_id = $3 and b.day = a.day and b.billed
                                      where a.org_id = i.org_id and a.invoice_id = i.invoice_id and a.billed)
                        order by i.invoice_id limit 5) as "others!""#,
        org.0,
        invoice.provider.0.0,
        invoice.id.0,
        invoice.first_day,
        invoice.last_day,
    )
    .fetch_one(store.pool())
    .await?;
    Ok(domain::invoices::remarks(invoice, row.booked, &row.others))
}

/// The lines of a bill as one figure, however its file writes them.
fn digest(bill: &Bill) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for ((day, model), Billed { cost, input, output }) in &bill.lines {
        hasher.update(format!("{day} {} {model} {} {input} {output}\n", model.len(), cost.0));
    }
    hasher.finalize().into()
}

/// Looks at the ledger again: calls may have been booked since.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn compare(change: &mut Change, id: InvoiceId) -> Result<()> {
    change.expect(Act::KeepBooks, None)?;
    let (org, at) = (change.org(), change.at());
    let row = sqlx::query!(
        "update invoices set compared_at = $3 where org_id = $1 and invoice_id = $2 and archived_at is null
         returning name, provider_id, first_day, last_day",
        org.0,
        id.0,
        at,
    )
    .fetch_one(change.db())
    .await?;
    let lines = sqlx::query!(
        "delete from invoice_lines where org_id = $1 and invoice_id = $2 returning day, model, billed, cost, input, output",
        org.0,
        id.0,
    )
    .fetch_all(change.db())
    .await?;
    let billed = lines
        .into_iter()
        .filter(|line| line.billed)
        .map(|line| {
            ((line.day, line.model), Side { cost: Money(line.cost), input: line.input, output: line.output })
        })
        .collect();
    let provider = ProviderId(row.provider_id);
    let models = upstreams(change.db(), org, provider).await?;
    let ledger = ledger(change.db(), org, provider, row.first_day, row.last_day).await?;
    write(change.db(), org, id, &models, &billed, &ledger).await?;
    let diff = Diff::new().set("compared", at);
    change.record(Subject { kind: "invoice", id: id.0, name: &row.name }, "compare", &diff).await
}

/// Puts an invoice away.
///
/// # Errors
/// [`StoreError::Stale`] when it is not there.
pub async fn archive(change: &mut Change, id: InvoiceId) -> Result<String> {
    change.expect(Act::KeepBooks, None)?;
    let (org, at) = (change.org(), change.at());
    let name = sqlx::query_scalar!(
        "select name from invoices where org_id = $1 and invoice_id = $2 and archived_at is null",
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    let done = sqlx::query!(
        "update invoices set archived_at = $3 where org_id = $1 and invoice_id = $2 and archived_at is null",
        org.0,
        id.0,
        at
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    let diff = Diff::new().set("archived", at);
    change.record(Subject { kind: "invoice", id: id.0, name: &name }, "archive", &diff).await?;
    Ok(name)
}

/// A provider's models by its own names for them.
async fn upstreams(
    db: &mut PgConnection,
    org: OrgId,
    provider: ProviderId,
) -> Result<HashMap<String, ModelId>> {
    let rows = sqlx::query!(
        "select upstream, model_id from models where org_id = $1 and provider_id = $2 order by archived_at nulls last, model_id desc",
        org.0,
        provider.0,
    )
    .fetch_all(db)
    .await?;
    let mut models = HashMap::new();
    for row in rows {
        models.entry(row.upstream).or_insert(ModelId(row.model_id));
    }
    Ok(models)
}

/// What the ledger has of a provider, by UTC day and the provider's name of the model.
async fn ledger(
    db: &mut PgConnection,
    org: OrgId,
    provider: ProviderId,
    first: NaiveDate,
    last: NaiveDate,
) -> Result<Ledger> {
    let rows = sqlx::query!(
        r#"select e.day, m.upstream, count(*) as "calls!", sum(e.cost)::bigint as "cost!",
                  sum(e.input + e.cache_read + e.cache_write + e.cache_write_long + e.audio_input)::bigint as "input!",
                  sum(e.output + e.reasoning + e.audio_output)::bigint as "output!"
           from events e join models m on m.org_id = e.org_id and m.model_id = e.model_id
           where e.org_id = $1 and e.provider_id = $2 and e.day >= $3 and e.day <= $4
           group by e.day, m.upstream"#,
        org.0,
        provider.0,
        first,
        last,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let side = Side { cost: Money(row.cost), input: row.input, output: row.output };
            ((row.day, row.upstream), (side, row.calls))
        })
        .collect())
}

/// Writes the lines of both sides.
async fn write(
    db: &mut PgConnection,
    org: OrgId,
    id: InvoiceId,
    models: &HashMap<String, ModelId>,
    billed: &BTreeMap<(NaiveDate, String), Side>,
    ledger: &Ledger,
) -> Result<()> {
    let only_ledger = ledger.keys().filter(|key| !billed.contains_key(*key));
    let rows: Vec<Row> = billed
        .keys()
        .chain(only_ledger)
        .map(|key| {
            let side = billed.get(key).copied();
            let (ledger, calls) = ledger.get(key).copied().unwrap_or_default();
            let (day, model) = key.clone();
            let own = side.unwrap_or_default();
            Row {
                org_id: org.0,
                invoice_id: id.0,
                day,
                model_id: models.get(&model).map_or(Uuid::nil(), |id| id.0),
                model,
                billed: side.is_some(),
                cost: own.cost.0,
                input: own.input,
                output: own.output,
                ledger_calls: calls,
                ledger_cost: ledger.cost.0,
                ledger_input: ledger.input,
                ledger_output: ledger.output,
            }
        })
        .collect();
    sqlx::query!(
        "insert into invoice_lines select * from jsonb_populate_recordset(null::invoice_lines, $1)",
        Json(&rows) as _,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What makes an [`Invoice`].
struct Meta {
    id: Uuid,
    name: String,
    provider: (Uuid, String),
    shape: String,
    days: (NaiveDate, NaiveDate),
    has: (bool, bool, bool),
    at: (DateTime<Utc>, DateTime<Utc>),
    sums: [i64; 6],
}

fn invoice(meta: Meta) -> Result<Invoice> {
    let [cost, input, output, ledger_cost, ledger_input, ledger_output] = meta.sums;
    Ok(Invoice {
        id: InvoiceId(meta.id),
        name: meta.name,
        provider: (ProviderId(meta.provider.0), meta.provider.1),
        shape: meta.shape.parse()?,
        first_day: meta.days.0,
        last_day: meta.days.1,
        has_money: meta.has.0,
        has_tokens: meta.has.1,
        tokens_in_one: meta.has.2,
        uploaded_at: meta.at.0,
        compared_at: meta.at.1,
        billed: Side { cost: Money(cost), input, output },
        ledger: Side { cost: Money(ledger_cost), input: ledger_input, output: ledger_output },
    })
}

/// Invoices that are not put away, the newest first, at most `limit`; or one of them.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    store: &Store,
    org: OrgId,
    only: Option<InvoiceId>,
    after: Option<InvoiceId>,
    limit: i64,
) -> Result<Vec<Invoice>> {
    let rows = sqlx::query!(
        r#"select i.invoice_id, i.name, i.provider_id, p.name as provider, i.shape, i.first_day, i.last_day, i.has_money, i.has_tokens, i.tokens_in_one,
                  i.uploaded_at, i.compared_at, s.cost as "cost!", s.input as "input!", s.output as "output!",
                  s.ledger_cost as "ledger_cost!", s.ledger_input as "ledger_input!", s.ledger_output as "ledger_output!"
           from invoices i
           join providers p on p.org_id = i.org_id and p.provider_id = i.provider_id
           cross join lateral (
               select least(coalesce(sum(l.cost), 0), 9223372036854775807)::bigint as cost, least(coalesce(sum(l.input), 0), 9223372036854775807)::bigint as input,
                      least(coalesce(sum(l.output), 0), 9223372036854775807)::bigint as output, coalesce(sum(l.ledger_cost), 0)::bigint as ledger_cost,
                      coalesce(sum(l.ledger_input), 0)::bigint as ledger_input, coalesce(sum(l.ledger_output), 0)::bigint as ledger_output
               from invoice_lines l where l.org_id = i.org_id and l.invoice_id = i.invoice_id) s
           where i.org_id = $1 and i.archived_at is null and ($2::uuid is null or i.invoice_id = $2)
             and ($3::uuid is null or i.invoice_id < $3)
           order by i.invoice_id desc limit $4"#,
        org.0,
        only.map(|id| id.0),
        after.map(|id| id.0),
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            invoice(Meta {
                id: row.invoice_id,
                name: row.name,
                provider: (row.provider_id, row.provider),
                shape: row.shape,
                days: (row.first_day, row.last_day),
                has: (row.has_money, row.has_tokens, row.tokens_in_one),
                at: (row.uploaded_at, row.compared_at),
                sums: [row.cost, row.input, row.output, row.ledger_cost, row.ledger_input, row.ledger_output],
            })
        })
        .collect()
}

/// An invoice with its lines, by day and model.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization, or put away.
pub async fn get(store: &Store, org: OrgId, id: InvoiceId) -> Result<(Invoice, Vec<InvoiceLine>)> {
    let invoice = list(store, org, Some(id), None, 1).await?.pop().ok_or(StoreError::NotFound)?;
    let rows = sqlx::query!(
        "select day, model, model_id, billed, cost, input, output, ledger_calls, ledger_cost, ledger_input, ledger_output
         from invoice_lines where org_id = $1 and invoice_id = $2 order by day, model",
        org.0,
        id.0,
    )
    .fetch_all(store.pool())
    .await?;
    let lines = rows
        .into_iter()
        .map(|row| InvoiceLine {
            day: row.day,
            model: row.model,
            model_id: (!row.model_id.is_nil()).then_some(ModelId(row.model_id)),
            is_billed: row.billed,
            billed: Side { cost: Money(row.cost), input: row.input, output: row.output },
            ledger: Side { cost: Money(row.ledger_cost), input: row.ledger_input, output: row.ledger_output },
            calls: row.ledger_calls,
        })
        .collect();
    Ok((invoice, lines))
}
