//! What a provider bills, read from its export.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use crate::{
    csv,
    money::{Money, NANOS, grouped},
    words::words,
};

/// The largest file that is read, in bytes.
pub const FILE_MAX: usize = 8 << 20;
/// How many mistakes are named.
const NAMED: usize = 10;
/// The most a file may bill in all, charges and credits each as they are: ten times as much still fits
/// where sums are made of it.
const COST_MAX: Money = Money(100_000_000 * NANOS);
/// The most tokens a file may have in all.
const TOKENS_MAX: i64 = 100_000_000_000_000_000;
/// The most models a file may name: more of them are no models, but the ids of something.
const MODELS_MAX: usize = 2_000;

words! {
    /// Whose shape a file has.
    Shape("shape of an invoice") {
        /// OpenAI's export of usage or costs.
        OpenAi = "openai",
        /// Anthropic's export of usage or cost.
        Anthropic = "anthropic",
        /// Anything with a day, a model, and money or tokens.
        Generic = "generic",
    }
}

impl Shape {
    /// How people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::OpenAi => "OpenAI export",
            Self::Anthropic => "Anthropic export",
            Self::Generic => "Table",
        }
    }
}

/// Which columns to read, where the person says so; empty: those that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// The day.
    pub day: String,
    /// The model.
    pub model: String,
    /// The money, in US dollars.
    pub cost: String,
    /// Input tokens, cached ones included.
    pub input: String,
    /// Output tokens.
    pub output: String,
    /// All tokens, where the file does not tell input from output.
    pub tokens: String,
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// The column, as the file calls it; empty: the line as a whole.
    pub column: String,
    /// What is wrong.
    pub sentence: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.column.is_empty() {
            write!(f, "Line {}: {}", self.line, self.sentence)
        } else {
            write!(f, "Line {}, column {}: {}", self.line, self.column, self.sentence)
        }
    }
}

/// Mistakes as one text: the first of them, and how many more there are.
pub fn told(mistakes: &[Mistake]) -> String {
    let named: Vec<String> = mistakes.iter().take(NAMED).map(ToString::to_string).collect();
    let more = mistakes.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!(" And {more} more.") } else { String::new() };
    format!("Nothing was stored. {}{rest}", named.join(" "))
}

/// What a provider bills for a day and a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Billed {
    /// Money; below zero where it is a credit.
    pub cost: Money,
    /// Input tokens, cached ones included.
    pub input: i64,
    /// Output tokens.
    pub output: i64,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Whose shape it has.
    pub shape: Shape,
    /// Whether it says money.
    pub has_money: bool,
    /// Whether it says tokens.
    pub has_tokens: bool,
    /// Whether it says them in one, and not which of them were input: then they stand with the input.
    pub tokens_in_one: bool,
    /// By day and model.
    pub lines: BTreeMap<(NaiveDate, String), Billed>,
    /// Columns that may be money, where no money was read.
    pub left_out: Vec<String>,
}

impl Bill {
    /// What somebody should know of a file that was read otherwise than it may look.
    pub fn remark(&self) -> Option<String> {
        let names: Vec<String> = self.left_out.iter().map(|name| format!("“{name}”")).collect();
        let (columns, were, they, are) = match names.len() {
            0 => return None,
            1 => ("column", "was", "it", "is"),
            _ => ("columns", "were", "they", "are"),
        };
        Some(format!(
            "No money was read: the {columns} {} {were} left out. If {they} {are} US dollars, put this invoice away and bring the file again, saying which column is the money.",
            names.join(", ")
        ))
    }
}

const DAY: &[&str] =
    &["usage_date_utc", "start_time_iso", "start_time", "date", "day", "usage_date", "timestamp", "created"];
const MODEL: &[&str] = &["model_version", "model", "line_item", "model_name", "sku"];
const COST: &[&str] =
    &["amount_value", "cost_usd", "cost", "amount", "cost_in_usd", "billed_cost", "billedcost", "total_cost"];
const INPUT: &[&str] = &[
    "input_tokens",
    "prompt_tokens",
    "usage_input_tokens_no_cache",
    "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h",
    "usage_input_tokens_cache_read",
];
const OUTPUT: &[&str] = &["output_tokens", "completion_tokens", "usage_output_tokens"];
const TOKENS: &[&str] = &["tokens", "total_tokens", "token_count", "usage_tokens", "usage_total_tokens"];
const CURRENCY: &[&str] = &["amount_currency", "currency", "billing_currency"];

/// Words in the name of a column that may be money.
const MONEY: &[&str] = &[
    "cost", "amount", "price", "charge", "spend", "spent", "billed", "total", "fee", "usd", "eur", "gbp",
    "chf", "dollar", "euro",
];

/// Whether a column that is not known may be money, by its name: `cost_eur`, not `total_tokens`.
fn may_be_money(name: &str) -> bool {
    let name = name.to_lowercase();
    let mut words = name.split(|letter: char| !letter.is_alphanumeric());
    words.any(|word| MONEY.contains(&word)) && !name.contains("token")
}

/// The places of the columns a file is read from.
struct Places {
    day: usize,
    model: usize,
    cost: Option<usize>,
    input: Vec<usize>,
    output: Vec<usize>,
    /// Input and output are one column, which stands in `input`.
    in_one: bool,
    currency: Option<usize>,
}

/// Finds the columns: those that were named, else those that are known.
fn places(head: &csv::Line, mapping: &Mapping) -> Result<Places, Vec<Mistake>> {
    let names: Vec<String> = head.cells.iter().map(|cell| cell.trim().to_lowercase()).collect();
    let mut mistakes = Vec::new();
    let mut find = |wanted: &str, known: &[&str]| -> Vec<usize> {
        let wanted = wanted.trim().to_lowercase();
        if wanted.is_empty() {
            return known.iter().filter_map(|known| names.iter().position(|name| name == known)).collect();
        }
        let place = names.iter().position(|name| *name == wanted);
        if place.is_none() {
            let sentence = format!("there is no such column. The file has: {}.", head.cells.join(", "));
            mistakes.push(Mistake { line: head.number, column: wanted, sentence });
        }
        place.into_iter().collect()
    };
    let (day, model) = (find(&mapping.day, DAY), find(&mapping.model, MODEL));
    let costs = find(&mapping.cost, COST);
    let (mut input, mut output) = (find(&mapping.input, INPUT), find(&mapping.output, OUTPUT));
    let together = find(&mapping.tokens, TOKENS);
    // A sum says no more than its parts, where both are there; else it says what one of them leaves out.
    let in_one =
        !together.is_empty() && (!mapping.tokens.trim().is_empty() || input.is_empty() || output.is_empty());
    if in_one {
        (input, output) = (together, Vec::new());
    }
    let currency = find("", CURRENCY).first().copied();
    let whole = |place: &usize| !INPUT[2..].contains(&names[*place].as_str());
    // Kinds of input are added up; two that are all of it would count twice.
    let inputs: Vec<usize> = input.iter().copied().filter(whole).collect();
    for (what, places) in [
        ("the money", &costs),
        (if in_one { "all tokens" } else { "input tokens" }, &inputs),
        ("output tokens", &output),
    ] {
        let same = |place: &&usize| names.iter().filter(|name| **name == names[**place]).count() > 1;
        if let [first, second, ..] = places.as_slice() {
            let (first, second) = (&head.cells[*first], &head.cells[*second]);
            let sentence =
                format!("both “{first}” and “{second}” may be {what}. Say below which of them it is.");
            mistakes.push(Mistake { line: head.number, column: String::new(), sentence });
        } else if let Some(place) = places.iter().find(same) {
            let sentence = "there are several columns of this name. Leave the right one in the file.";
            let column = head.cells[*place].clone();
            mistakes.push(Mistake { line: head.number, column, sentence: sentence.to_owned() });
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let cost = costs.first().copied();
    let missing = |what: &str| {
        let sentence = format!(
            "no column for {what} was found. Say below which it is; the file has: {}.",
            head.cells.join(", ")
        );
        vec![Mistake { line: head.number, column: String::new(), sentence }]
    };
    let (Some(day), Some(model)) = (day.first().copied(), model.first().copied()) else {
        return Err(missing(if day.is_empty() { "the day" } else { "the model" }));
    };
    if cost.is_none() && input.is_empty() && output.is_empty() {
        return Err(missing("money or tokens"));
    }
    Ok(Places { day, model, cost, input, output, in_one, currency })
}

/// Reads a file. Everything or nothing.
///
/// # Errors
/// What is wrong, line by line.
pub fn read(text: &str, mapping: &Mapping) -> Result<Bill, Vec<Mistake>> {
    let whole =
        |line, sentence: &str| vec![Mistake { line, column: String::new(), sentence: sentence.to_owned() }];
    let lines =
        csv::read(text).map_err(|line| whole(line, "a quotation mark is opened here and never closed."))?;
    let Some((head, rows)) = lines.split_first() else {
        return Err(whole(1, "the file is empty."));
    };
    let places = places(head, mapping)?;
    let has = |name: &str| head.cells.iter().any(|cell| cell.trim().eq_ignore_ascii_case(name));
    let shape = if has("usage_date_utc") {
        Shape::Anthropic
    } else if has("start_time_iso") || has("amount_value") || has("num_model_requests") {
        Shape::OpenAi
    } else {
        Shape::Generic
    };
    let mut bill = Bill {
        shape,
        has_money: places.cost.is_some(),
        has_tokens: !places.input.is_empty() || !places.output.is_empty(),
        tokens_in_one: places.in_one,
        lines: BTreeMap::new(),
        left_out: Vec::new(),
    };
    if places.cost.is_none() {
        let left_out = head.cells.iter().enumerate().filter(|(place, _)| Some(*place) != places.currency);
        bill.left_out = left_out
            .map(|(_, name)| name.trim())
            .filter(|name| may_be_money(name))
            .map(str::to_owned)
            .collect();
    }
    let mut mistakes = Vec::new();
    let mut room = Room { cost: COST_MAX.0, tokens: TOKENS_MAX };
    let mut models = HashSet::new();
    for row in rows {
        match read_row(head, row, &places).and_then(|read| room.take(head, row, &places, read)) {
            Ok(Some((day, model, billed))) => {
                if !models.contains(&model) && models.len() == MODELS_MAX {
                    let sentence = format!(
                        "with this line the file names more than {} models. Is this the column of the model? Say below which it is.",
                        grouped(MODELS_MAX as u64)
                    );
                    let column = head.cells.get(places.model).cloned().unwrap_or_default();
                    mistakes.push(Mistake { line: row.number, column, sentence });
                    break;
                }
                models.insert(model.clone());
                // What there is room for fits, whatever it is added to.
                let line = bill.lines.entry((day, model)).or_default();
                line.cost.0 += billed.cost.0;
                line.input += billed.input;
                line.output += billed.output;
            }
            Ok(None) => {}
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    if bill.lines.is_empty() {
        return Err(whole(
            head.number,
            "there is no line below the names of the columns that bills anything.",
        ));
    }
    Ok(bill)
}

/// What a line says; none where it bills nothing.
type Read = Option<(NaiveDate, String, Billed)>;

/// How much more a file may say.
struct Room {
    cost: i64,
    tokens: i64,
}

impl Room {
    /// Takes what a line says, if it fits.
    fn take(
        &mut self,
        head: &csv::Line,
        row: &csv::Line,
        places: &Places,
        read: Read,
    ) -> Result<Read, Mistake> {
        let Some((_, _, billed)) = &read else { return Ok(read) };
        let left = |room: i64, amounts: &[i64]| {
            amounts
                .iter()
                .try_fold(room, |room, amount| room.checked_sub(amount.checked_abs()?))
                .filter(|left| *left >= 0)
        };
        let wrong = |place: Option<&usize>, sentence: String| Mistake {
            line: row.number,
            column: place.and_then(|place| head.cells.get(*place)).cloned().unwrap_or_default(),
            sentence,
        };
        let Some(cost) = left(self.cost, &[billed.cost.0]) else {
            let sentence = format!(
                "with this line the file comes to more than {COST_MAX}, which is the most that is kept. Is this column dollars?"
            );
            return Err(wrong(places.cost.as_ref(), sentence));
        };
        let Some(tokens) = left(self.tokens, &[billed.input, billed.output]) else {
            let sentence = "with this line the file has more tokens than can be kept.".to_owned();
            return Err(wrong(places.input.first().or(places.output.first()), sentence));
        };
        *self = Self { cost, tokens };
        Ok(read)
    }
}

/// One line: none where it bills nothing, as exports have one for each quiet day.
fn read_row(head: &csv::Line, row: &csv::Line, places: &Places) -> Result<Read, Mistake> {
    let cell = |place: usize| row.cells.get(place).map(|cell| cell.trim()).unwrap_or_default();
    let wrong = |place: usize, sentence: String| Mistake {
        line: row.number,
        column: head.cells.get(place).cloned().unwrap_or_default(),
        sentence,
    };
    if row.cells.len() > head.cells.len() {
        let sentence =
            format!("it has {} cells, and there are {} columns.", row.cells.len(), head.cells.len());
        return Err(Mistake { line: row.number, column: String::new(), sentence });
    }
    // Columns without a name at the end are none.
    let columns = head.cells.iter().rposition(|name| !name.trim().is_empty()).map_or(0, |last| last + 1);
    if row.cells.len() < columns {
        let sentence = format!(
            "it has {} cells, and there are {columns} columns: the file may be cut off here.",
            row.cells.len()
        );
        return Err(Mistake { line: row.number, column: String::new(), sentence });
    }
    let mut figures = places.cost.iter().chain(&places.input).chain(&places.output).copied();
    if let Some(first) = figures.next().filter(|first| cell(*first).is_empty())
        && figures.all(|place| cell(place).is_empty())
    {
        if cell(places.model).is_empty() {
            return Ok(None);
        }
        let sentence = "it is empty, but the line names a model. Write 0 where nothing is billed.";
        return Err(wrong(first, sentence.to_owned()));
    }
    let day = day(cell(places.day)).ok_or_else(|| {
        wrong(places.day, format!("“{}” is no day. Write it like 2026-11-22.", cell(places.day)))
    })?;
    let model = cell(places.model).split(',').next().unwrap_or_default().trim().to_owned();
    if model.is_empty() {
        let sentence = "it is empty. Export the file by model (or line item), so that each line names one.";
        return Err(wrong(places.model, sentence.to_owned()));
    }
    if let Some(place) = places.currency
        && !cell(place).is_empty()
        && !cell(place).eq_ignore_ascii_case("usd")
    {
        return Err(wrong(place, format!("“{}” is not US dollars.", cell(place))));
    }
    let mut billed = Billed::default();
    if let Some(place) = places.cost {
        if cell(place).is_empty() {
            let sentence = "it is empty, but the line has tokens. Write 0 where nothing is billed.";
            return Err(wrong(place, sentence.to_owned()));
        }
        billed.cost = dollars(cell(place)).ok_or_else(|| {
            let sentence = either(cell(place));
            let plain = || format!("“{}” is no amount of dollars. Write it like 12.50.", cell(place));
            wrong(place, sentence.unwrap_or_else(plain))
        })?;
    }
    let count = |places: &[usize]| -> Result<i64, Mistake> {
        places.iter().filter(|place| !cell(**place).is_empty()).try_fold(0_i64, |sum, place| {
            let text = cell(*place);
            tokens(text).and_then(|number| sum.checked_add(number)).ok_or_else(|| {
                let plain = || format!("“{text}” is no number of tokens.");
                wrong(*place, either(text).unwrap_or_else(plain))
            })
        })
    };
    billed.input = count(&places.input)?;
    billed.output = count(&places.output)?;
    Ok(Some((day, model, billed)))
}

/// A day: `2026-11-22`, a moment of it, or seconds since 1970.
fn day(text: &str) -> Option<NaiveDate> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.with_timezone(&Utc).date_naive());
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(day);
    }
    for shape in ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S UTC"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, shape) {
            return Some(at.date());
        }
    }
    let seconds = text.parse::<i64>().ok().filter(|seconds| *seconds > 1_000_000_000)?;
    DateTime::from_timestamp(seconds, 0).map(|at| at.date_naive())
}

/// What is before the decimal point, without the commas that part its thousands; none where a comma does
/// not part thousands, or may be for decimals as well: what was written as 12,50 must not become 1250, nor
/// 12,500 twelve thousand.
fn unparted(whole: &str, has_point: bool) -> Option<String> {
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let rest: Vec<&str> = groups.collect();
    let parts = !first.is_empty() && first.len() <= 3 && rest.iter().all(|group| group.len() == 3);
    if !rest.is_empty() && (!parts || (rest.len() == 1 && !has_point)) {
        return None;
    }
    Some(format!("{first}{}", rest.concat()))
}

/// What to say of a number whose comma could be either.
fn either(text: &str) -> Option<String> {
    let number = text.trim_start_matches(['-', '−', '$']);
    let (whole, rest) = number.split_once(',')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(rest) || whole.len() > 3 || rest.len() != 3 {
        return None;
    }
    Some(format!("“{text}” may be {whole}.{rest} or {whole}{rest}. Write it without the comma."))
}

/// A number of tokens: `1200`, `1200.0`, `1,234,567`.
fn tokens(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let number = unparted(whole, fraction.is_some())?.parse::<i64>().ok()?;
    (number >= 0 && fraction.is_none_or(|fraction| fraction == "0")).then_some(number)
}

/// An amount of dollars, digit by digit, to the nearest nano-dollar: `12.50`, `$1,200.00`, `-3`, `6.5e-05`.
fn dollars(text: &str) -> Option<Money> {
    let (negative, text) = text.strip_prefix(['-', '−']).map_or((false, text), |rest| (true, rest));
    let text = text.strip_prefix('$').unwrap_or(text);
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = format!("{}{fraction}", unparted(whole, digits.contains('.'))?);
    if plain.is_empty() || plain.len() > 30 || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i128 = plain.parse().ok()?;
    // How many places the number has to be moved to be nano-dollars.
    let places = 9_i32.checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let nanos = if places >= 0 {
        number.checked_mul(10_i128.checked_pow(places.unsigned_abs())?)?
    } else {
        match 10_i128.checked_pow(places.unsigned_abs()) {
            Some(by) => (number + by / 2) / by,
            None => 0,
        }
    };
    let nanos = i64::try_from(if negative { -nanos } else { nanos }).ok()?;
    Some(Money(nanos))
}

/// Whether a provider's name of a model is another's with a date behind it: `gpt-4o` and
/// `gpt-4o-2024-08-06`.
fn is_dated(long: &str, short: &str) -> bool {
    long.strip_prefix(short).and_then(|rest| rest.strip_prefix(['-', '@'])).is_some_and(|date| {
        let digits = date.bytes().filter(u8::is_ascii_digit).count();
        digits == 8 && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    })
}

/// What the catalogue calls a billed model upstream, if it has it: the same name, else the same but for
/// a date, and then only if there is one such.
pub fn upstream<'a>(billed: &str, upstreams: &[&'a str]) -> Option<&'a str> {
    if let Some(same) = upstreams.iter().find(|name| **name == billed) {
        return Some(same);
    }
    let mut dated = upstreams.iter().filter(|name| is_dated(billed, name) || is_dated(name, billed));
    let first = dated.next()?;
    dated.next().is_none().then_some(*first)
}
