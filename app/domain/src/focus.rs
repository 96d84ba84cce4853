//! FOCUS 1.2: a month's report as the FinOps Open Cost and Usage Specification writes it.
//!
//! A line gathers the calls of one application, person and model in one group and month. All of the
//! specification's mandatory columns are there, `InvoiceId`, which it recommends, those that somebody
//! with public unit prices has to have besides (`SkuPriceDetails`, and prices in the currency they are
//! set in, which here is that of billing), and our own, which start with `x_`, as the specification
//! wants of any other. No two differ in case only: most databases would take them for one.
//!
//! The specification wants letters of ASCII in its columns; names that have others stand in full in ours.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::{
    csv,
    money::{Money, NANOS},
    spend::Sums,
};

/// The columns, in the order of the lines.
pub const COLUMNS: [&str; 67] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
    "x_BillingAccountName",
    "x_ProviderName",
    "x_GroupId",
    "x_GroupPath",
    "x_ApplicationId",
    "x_ApplicationName",
    "x_UserId",
    "x_UserName",
    "x_Model",
    "x_Calls",
    "x_InputTokens",
    "x_CacheReadTokens",
    "x_CacheWriteTokens",
    "x_OutputTokens",
    "x_ReasoningTokens",
];

/// A line of the report, with its names.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// The organization: id and name.
    pub account: (&'a str, &'a str),
    /// The month it is billed in: from its start until before its end.
    pub billed: (DateTime<Utc>, DateTime<Utc>),
    /// The month the calls were made in.
    pub made: (DateTime<Utc>, DateTime<Utc>),
    /// Calls of an earlier month that is closed.
    pub correction: bool,
    /// The group: id, and names from the root to itself.
    pub group: (&'a str, &'a str),
    /// The application: id and name.
    pub application: (&'a str, &'a str),
    /// The person, where there is one: id and name.
    pub user: Option<(&'a str, &'a str)>,
    /// The model: id and name.
    pub model: (&'a str, &'a str),
    /// Who offers the model.
    pub provider: &'a str,
    /// What it comes to.
    pub sums: Sums,
}

/// The first line.
pub fn head() -> String {
    csv::line(COLUMNS)
}

/// `12` as `12.0`: a whole number is a decimal too.
fn decimal(count: i64) -> String {
    format!("{count}.0")
}

/// What one of them costs on average, with twenty digits behind the point: times their number it is
/// the cost again, to the nano-dollar.
fn average(cost: Money, count: i64) -> String {
    const DIGITS: usize = 20;
    let count = i128::from(count.max(1));
    let mut rest = i128::from(cost.0);
    let unit = count * i128::from(NANOS);
    let whole = rest / unit;
    rest %= unit;
    let mut text = format!("{whole}.");
    for _ in 0..DIGITS {
        rest *= 10;
        let digit = rest / unit;
        rest %= unit;
        text.push(char::from(b'0' + u8::try_from(digit).unwrap_or_default()));
    }
    text
}

/// A text with a question mark for each letter that is not in ASCII.
fn ascii(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii() { letter } else { '?' }).collect()
}

/// A text within a JSON text.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// A line.
pub fn line(charge: &Charge<'_>) -> String {
    let Charge { sums, correction, .. } = *charge;
    let moment = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let cost = sums.spend.exact();
    let tokens = sums.input_tokens() + sums.output_tokens();
    // Where nothing but calls or images is counted, calls are what is priced.
    let (quantity, unit) = if tokens > 0 { (tokens, "Tokens") } else { (sums.calls, "Calls") };
    let price = average(sums.spend, quantity);
    let quantity = decimal(quantity);
    let [account, provider, application, model, group] =
        [charge.account.1, charge.provider, charge.application.1, charge.model.1, charge.group.1].map(ascii);
    let told = ascii(&format!(
        "{} of {} with {}{}",
        if sums.calls == 1 { "1 call".to_owned() } else { format!("{} calls", sums.calls) },
        charge.application.1,
        charge.model.1,
        if correction { ", booked after their month was closed" } else { "" }
    ));
    let price_id = format!("{}/average", charge.model.0);
    let tags = format!(
        "{{{}: {}, {}: {}}}",
        quoted("group"),
        quoted(charge.group.1),
        quoted("application"),
        quoted(charge.application.1)
    );
    let (billed, made) = (charge.billed, charge.made);
    let user = charge.user.unwrap_or_default();
    let counts =
        [sums.calls, sums.input, sums.cache_read, sums.cache_write, sums.output, sums.reasoning].map(decimal);
    let [calls, input, cache_read, cache_write, output, reasoning] = &counts;
    let cells: [&str; COLUMNS.len()] = [
        &cost,
        charge.account.0,
        &account,
        "Organization",
        "USD",
        &moment(billed.1),
        &moment(billed.0),
        "Usage",
        if correction { "Correction" } else { "" },
        &told,
        "Usage-Based",
        &moment(made.1),
        &moment(made.0),
        "",
        "",
        "",
        "",
        "",
        &quantity,
        unit,
        &cost,
        &price,
        &cost,
        // A provider's invoice says what a day and a model cost, not what a program did.
        "",
        &provider,
        &cost,
        &price,
        "Standard",
        "USD",
        &price,
        &cost,
        &price,
        &quantity,
        unit,
        &provider,
        &provider,
        "",
        "",
        charge.application.0,
        &application,
        "Application",
        "AI and Machine Learning",
        &model,
        "Generative AI",
        charge.model.0,
        unit,
        "",
        &price_id,
        charge.group.0,
        &group,
        "Group",
        &tags,
        charge.account.1,
        charge.provider,
        charge.group.0,
        charge.group.1,
        charge.application.0,
        charge.application.1,
        user.0,
        user.1,
        charge.model.1,
        calls,
        input,
        cache_read,
        cache_write,
        output,
        reasoning,
    ];
    csv::line(cells)
}
