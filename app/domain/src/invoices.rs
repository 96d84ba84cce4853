//! What providers bill, read from their exports and put beside the ledger.
//!
//! Days are UTC days here, because that is how providers count.

mod bill;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

pub use self::bill::{Bill, Billed, FILE_MAX, Mapping, Mistake, Shape, read, told, upstream};
use crate::{
    csv,
    ids::{InvoiceId, ModelId, ProviderId},
    money::Money,
    time,
};

/// An invoice in the list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// Which.
    pub id: InvoiceId,
    /// What it is called.
    pub name: String,
    /// Whose it is.
    pub provider: (ProviderId, String),
    /// How it was read.
    pub shape: Shape,
    /// Its first UTC day.
    pub first_day: NaiveDate,
    /// Its last.
    pub last_day: NaiveDate,
    /// Whether it says money.
    pub has_money: bool,
    /// Whether it says tokens.
    pub has_tokens: bool,
    /// Whether it says them in one, and not which of them were input.
    pub tokens_in_one: bool,
    /// When it was brought.
    pub uploaded_at: DateTime<Utc>,
    /// When the ledger was last looked at.
    pub compared_at: DateTime<Utc>,
    /// What it bills.
    pub billed: Side,
    /// What the ledger has.
    pub ledger: Side,
}

/// One side of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Money.
    pub cost: Money,
    /// Input tokens, cached ones included.
    pub input: i64,
    /// Output tokens.
    pub output: i64,
}

impl Side {
    /// All tokens.
    pub const fn tokens(&self) -> i64 {
        self.input.saturating_add(self.output)
    }

    /// How much more money this is than another.
    pub const fn cost_beyond(&self, other: &Self) -> Money {
        Money(self.cost.0.saturating_sub(other.cost.0))
    }

    /// How many more tokens this is than another.
    pub const fn tokens_beyond(&self, other: &Self) -> i64 {
        self.tokens().saturating_sub(other.tokens())
    }
}

impl std::ops::AddAssign for Side {
    fn add_assign(&mut self, other: Self) {
        self.cost.0 = self.cost.0.saturating_add(other.cost.0);
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
    }
}

/// A day and a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceLine {
    /// The UTC day.
    pub day: NaiveDate,
    /// The model, as the provider calls it.
    pub model: String,
    /// The catalogue's, where it has it.
    pub model_id: Option<ModelId>,
    /// Whether the invoice has this line; otherwise only the ledger.
    pub is_billed: bool,
    /// What the invoice says.
    pub billed: Side,
    /// What the ledger says.
    pub ledger: Side,
    /// Calls in the ledger.
    pub calls: i64,
}

impl InvoiceLine {
    /// How much more the invoice says than the ledger, in money.
    pub const fn more(&self) -> Money {
        self.billed.cost_beyond(&self.ledger)
    }

    /// How many more tokens the invoice says than the ledger.
    pub const fn more_tokens(&self) -> i64 {
        self.billed.tokens_beyond(&self.ledger)
    }

    /// Why the two differ, where that can be told from the line alone.
    pub fn remark(&self) -> &'static str {
        match (self.is_billed, self.model_id, self.calls) {
            (false, ..) => "not on the invoice",
            (true, None, _) => "not in the catalogue",
            (true, Some(_), 0) => "not in the ledger",
            _ => "",
        }
    }
}

/// What somebody should know before they trust the comparison: `booked`, the first day of which the
/// ledger has anything, and other invoices of the same provider that speak of some of the same days.
pub fn remarks(invoice: &Invoice, booked: Option<NaiveDate>, others: &[String]) -> Vec<String> {
    let mut remarks = Vec::new();
    match booked {
        None => remarks
            .push("Nothing is in the ledger yet, so there is nothing to put beside this invoice.".to_owned()),
        // The organization's first day may begin on the UTC day before.
        Some(first) if invoice.first_day.succ_opt().is_some_and(|next| next < first) => remarks.push(format!(
            "The ledger begins on {}: for days of the invoice before that there is nothing to put beside it.",
            time::date(first)
        )),
        Some(_) => {}
    }
    if !others.is_empty() {
        let names: Vec<String> = others.iter().map(|name| format!("“{name}”")).collect();
        remarks.push(format!(
            "Some of the same days of {} are on {} too: look whether the same use is billed twice.",
            invoice.provider.1,
            names.join(", "),
        ));
    }
    remarks
}

/// Sums of lines by something, in its order.
pub fn sums_by<K: Ord>(lines: &[InvoiceLine], key: impl Fn(&InvoiceLine) -> K) -> Vec<(K, Side, Side)> {
    let mut sums = BTreeMap::<K, (Side, Side)>::new();
    for line in lines {
        let sum = sums.entry(key(line)).or_default();
        sum.0 += line.billed;
        sum.1 += line.ledger;
    }
    sums.into_iter().map(|(key, (billed, ledger))| (key, billed, ledger)).collect()
}

/// Every line as comma-separated values. What the invoice does not say is left empty.
pub fn to_csv(invoice: &Invoice, lines: &[InvoiceLine]) -> String {
    let mut out = csv::line([
        "day_utc",
        "model",
        "invoice_cost",
        "ledger_cost",
        "difference",
        "invoice_input_tokens",
        "ledger_input_tokens",
        "invoice_output_tokens",
        "ledger_output_tokens",
        "invoice_tokens",
        "ledger_tokens",
        "ledger_calls",
        "remark",
    ]);
    for line in lines {
        let money = |money: Money| {
            let sign = if money.0 < 0 { "-" } else { "" };
            format!("{sign}{}", Money(money.0.saturating_abs()).exact())
        };
        let if_money = |text: String| if invoice.has_money { text } else { String::new() };
        let if_tokens = |count: i64| if invoice.has_tokens { count.to_string() } else { String::new() };
        let if_apart = |count: i64| if invoice.tokens_in_one { String::new() } else { if_tokens(count) };
        let (billed, ledger) = (line.billed, line.ledger);
        // A figure below zero is a figure, and no formula: it is written as it is.
        let cells = [
            if_money(money(billed.cost)),
            money(ledger.cost),
            if_money(money(line.more())),
            if_apart(billed.input),
            ledger.input.to_string(),
            if_apart(billed.output),
            ledger.output.to_string(),
            if_tokens(billed.tokens()),
            ledger.tokens().to_string(),
            line.calls.to_string(),
        ];
        let text = csv::line([line.day.to_string().as_str(), &line.model]);
        out += text.trim_end();
        out.push(',');
        out += &cells.join(",");
        out.push(',');
        out += &csv::line([line.remark()]);
    }
    out
}
