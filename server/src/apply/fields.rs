//! One table of the file and its fields. Reading a field notes what is wrong with it and goes on,
//! so that one run finds every mistake; what was never asked for is a mistake too.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    marker::PhantomData,
    ops::RangeInclusive,
    str::FromStr,
};

use chrono::{DateTime, NaiveDate, Utc};
use domain::names::NotAWord;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    document::{Lines, Reference},
    mistakes::{Mistake, nearest, quote},
};

/// The text of a file, and the mistakes found in it.
pub struct Page<'a> {
    /// Where lines end.
    ends: Vec<usize>,
    text: PhantomData<&'a str>,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'a> Page<'a> {
    /// A page without mistakes, so far.
    pub fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        Self { ends, text: PhantomData, mistakes: RefCell::default() }
    }

    /// The line of a place in the text, counted from 1.
    pub fn line(&self, at: usize) -> usize {
        self.ends.partition_point(|end| *end < at) + 1
    }

    /// Notes a mistake.
    pub fn note(&self, mistake: Mistake) {
        self.mistakes.borrow_mut().push(mistake);
    }

    /// Everything noted.
    pub fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes.into_inner()
    }
}

/// A value and the line it is on.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    line: usize,
    value: &'a DeValue<'a>,
}

/// A table and which of its fields were asked for.
pub struct Table<'a> {
    page: &'a Page<'a>,
    entries: BTreeMap<&'a str, Value<'a>>,
    lines: Lines,
    asked: RefCell<BTreeSet<&'static str>>,
}

/// What a value is, for a person.
fn is_what(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl<'a> Table<'a> {
    /// A table at a place of the file that begins on a line.
    pub fn new(page: &'a Page<'a>, place: &str, line: usize, table: &'a DeTable<'a>) -> Self {
        let entries: BTreeMap<&str, Value<'_>> = table
            .iter()
            .map(|(key, value)| {
                let line = page.line(key.span().start);
                (key.get_ref().as_ref(), Value { line, value: value.get_ref() })
            })
            .collect();
        let fields = entries.iter().map(|(key, value)| ((*key).to_owned(), value.line)).collect();
        let lines = Lines { place: place.to_owned(), own: line, fields };
        Self { page, entries, lines, asked: RefCell::default() }
    }

    /// Where everything stands.
    pub fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// Notes a mistake in a field.
    pub fn wrong(&self, field: &str, sentence: impl Into<String>) {
        let mut mistake = self.lines.mistake(field, sentence);
        if self.lines.place.is_empty() {
            mistake.field = field.to_owned();
        }
        self.page.note(mistake);
    }

    fn expected(&self, field: &str, what: &str, found: &DeValue<'_>) {
        self.wrong(field, format!("Expected {what}, found {}.", is_what(found)));
    }

    /// Whether a field is written.
    pub fn has(&self, field: &'static str) -> bool {
        self.get(field).is_some()
    }

    /// The first of these fields that is a text, whatever is wrong with it.
    pub fn raw<const N: usize>(&self, fields: [&str; N]) -> Option<&'a str> {
        fields.iter().find_map(|field| self.entries.get(field)?.value.as_str())
    }

    /// Whether any field but this one is written.
    pub fn has_more_than(&self, field: &str) -> bool {
        self.entries.keys().any(|key| *key != field)
    }

    fn get(&self, field: &'static str) -> Option<Value<'a>> {
        self.asked.borrow_mut().insert(field);
        self.entries.get(field).copied()
    }

    /// A field that has to be there, read by one of the functions below.
    pub fn need<T>(
        &self,
        field: &'static str,
        what: &str,
        read: impl FnOnce(&Self, &'static str) -> Option<T>,
    ) -> Option<T> {
        if !self.has(field) {
            self.wrong(field, format!("This is missing. Expected {what}."));
            return None;
        }
        read(self, field)
    }

    /// A text.
    pub fn text(&self, field: &'static str) -> Option<&'a str> {
        let found = self.get(field)?;
        let text = found.value.as_str();
        if text.is_none() {
            self.expected(field, "a text in quotes", found.value);
        }
        text
    }

    /// A text that means something.
    pub fn parsed<T: FromStr<Err: Display>>(&self, field: &'static str) -> Option<T> {
        let text = self.text(field)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(field, format!("{error} This is {}.", quote(text)));
                None
            }
        }
    }

    /// A word of a closed list.
    pub fn word<T: FromStr<Err = NotAWord>>(&self, field: &'static str) -> Option<T> {
        let text = self.text(field)?;
        text.parse().map_err(|error| self.wrong(field, not_a_word(text, error))).ok()
    }

    /// An amount of money, or a price: in quotes, so that it is exact.
    pub fn amount<T: FromStr<Err: Display>>(&self, field: &'static str) -> Option<T> {
        if let Some(found @ Value { value: DeValue::Integer(_) | DeValue::Float(_), .. }) = self.get(field) {
            let what = "an amount of US dollars in quotes, for instance \"50.00\"";
            self.expected(field, what, found.value);
            return None;
        }
        self.parsed(field)
    }

    /// True or false.
    pub fn flag(&self, field: &'static str) -> Option<bool> {
        let found = self.get(field)?;
        let flag = found.value.as_bool();
        if flag.is_none() {
            self.expected(field, "true or false", found.value);
        }
        flag
    }

    /// A whole number within bounds.
    pub fn count(&self, field: &'static str, bounds: RangeInclusive<i64>) -> Option<i64> {
        let found = self.get(field)?;
        whole(found.value, &bounds).map_err(|sentence| self.wrong(field, sentence)).ok()
    }

    /// A day: `"2027-06-30"`, with or without quotes.
    pub fn day(&self, field: &'static str) -> Option<NaiveDate> {
        let found = self.get(field)?;
        let text = match found.value {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(date) => date.to_string(),
            other => {
                self.expected(field, "a day like \"2027-06-30\"", other);
                return None;
            }
        };
        let day = text.parse().ok();
        if day.is_none() {
            self.wrong(field, format!("Expected a day like \"2027-06-30\". This is {}.", quote(&text)));
        }
        day
    }

    /// A moment: `"2027-06-30T18:00:00Z"`, with or without quotes.
    pub fn moment(&self, field: &'static str) -> Option<DateTime<Utc>> {
        let found = self.get(field)?;
        let what = "a moment with its offset, like \"2027-06-30T18:00:00Z\"";
        let text = match found.value {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(date) => date.to_string(),
            other => {
                self.expected(field, what, other);
                return None;
            }
        };
        let moment = DateTime::parse_from_rfc3339(&text).ok();
        if moment.is_none() {
            self.wrong(field, format!("Expected {what}. This is {}.", quote(&text)));
        }
        moment.map(|moment| moment.to_utc())
    }

    fn elements(&self, field: &'static str, what: &str) -> Option<Vec<Value<'a>>> {
        let found = self.get(field)?;
        let Some(list) = found.value.as_array() else {
            self.expected(field, what, found.value);
            return None;
        };
        let on = |element: &'a Spanned<DeValue<'a>>| Value {
            line: self.page.line(element.span().start),
            value: element.get_ref(),
        };
        Some(list.iter().map(on).collect())
    }

    /// A list of texts, each with its line. None when it is not written.
    pub fn texts(&self, field: &'static str) -> Option<Vec<Reference>> {
        let mut texts = Vec::new();
        for element in self.elements(field, "a list of texts, for instance [\"one\", \"two\"]")? {
            match element.value.as_str() {
                Some(text) => texts.push(Reference { name: text.to_owned(), line: element.line }),
                None => self.wrong_on(
                    element.line,
                    field,
                    format!("Expected a text in quotes, found {}.", is_what(element.value)),
                ),
            }
        }
        Some(texts)
    }

    /// A list whose elements are texts, each with its line, or tables.
    pub fn texts_or_tables(&self, field: &'static str) -> Vec<Result<Reference, Table<'a>>> {
        let mut entries = Vec::new();
        for element in self.elements(field, "a list, for instance [\"one\", \"two\"]").unwrap_or_default() {
            if let Some(text) = element.value.as_str() {
                entries.push(Ok(Reference { name: text.to_owned(), line: element.line }));
            } else if let Some(table) = element.value.as_table() {
                entries.push(Err(Table::new(self.page, &self.inside(field), element.line, table)));
            } else {
                let sentence = format!("Expected a text or a table, found {}.", is_what(element.value));
                self.wrong_on(element.line, field, sentence);
            }
        }
        entries
    }

    /// A list of words of a closed list.
    pub fn words<T: FromStr<Err = NotAWord>>(&self, field: &'static str) -> Vec<T> {
        let read = |text: Reference| {
            let word = text.name.parse();
            word.map_err(|error| self.wrong_on(text.line, field, not_a_word(&text.name, error))).ok()
        };
        self.texts(field).unwrap_or_default().into_iter().filter_map(read).collect()
    }

    /// A list of whole numbers within bounds.
    pub fn counts(&self, field: &'static str, bounds: RangeInclusive<i64>) -> Vec<i64> {
        let read = |element: Value<'_>| {
            whole(element.value, &bounds)
                .map_err(|sentence| self.wrong_on(element.line, field, sentence))
                .ok()
        };
        let list = self.elements(field, "a list of numbers, for instance [50, 80, 100]");
        list.unwrap_or_default().into_iter().filter_map(read).collect()
    }

    /// Notes a mistake in an element.
    pub fn wrong_on(&self, line: usize, field: &str, sentence: impl Into<String>) {
        self.page.note(self.lines.mistake_on(line, field, sentence));
    }

    fn inside(&self, field: &str) -> String {
        if self.lines.place.is_empty() { field.to_owned() } else { format!("{}.{field}", self.lines.place) }
    }

    /// A table in this one.
    pub fn table(&self, field: &'static str) -> Option<Table<'a>> {
        let found = self.get(field)?;
        let Some(table) = found.value.as_table() else {
            self.expected(field, "a table, for instance { … }", found.value);
            return None;
        };
        Some(Table::new(self.page, &self.inside(field), found.line, table))
    }

    /// A list of tables in this one: `[[field]]`, or `field = [{ … }]`.
    pub fn tables(&self, field: &'static str) -> Vec<Table<'a>> {
        let mut tables = Vec::new();
        for element in self.elements(field, "a list of tables").unwrap_or_default() {
            match element.value.as_table() {
                Some(table) => {
                    tables.push(Table::new(self.page, &self.inside(field), element.line, table));
                }
                None => self.wrong_on(
                    element.line,
                    field,
                    format!("Expected a table, for instance {{ … }}, found {}.", is_what(element.value)),
                ),
            }
        }
        tables
    }

    /// Notes every field that nobody asked for.
    pub fn done(&self) {
        let asked = self.asked.borrow();
        for field in self.entries.keys().filter(|field| !asked.contains(**field)) {
            let near = nearest(field, asked.iter().copied());
            let known = asked.iter().copied().collect::<Vec<_>>().join(", ");
            let hint = match near {
                Some(near) => format!("Did you mean “{near}”?"),
                None => format!("Known here: {known}."),
            };
            let mut mistake =
                self.lines.mistake(field, format!("There is no field {} here. {hint}", quote(field)));
            mistake.field = self.inside(&quote(field).replace(['“', '”'], ""));
            self.page.note(mistake);
        }
    }
}

fn not_a_word(text: &str, error: NotAWord) -> String {
    let hint = match nearest(text, error.expected.iter().copied()) {
        Some(near) => format!("Did you mean “{near}”?"),
        None => format!("Expected one of {}.", error.expected.join(", ")),
    };
    format!("There is no {} {}. {hint}", error.what, quote(text))
}

fn whole(value: &DeValue<'_>, bounds: &RangeInclusive<i64>) -> Result<i64, String> {
    let what = format!("a whole number from {} to {}", bounds.start(), bounds.end());
    let Some(number) = value.as_integer() else {
        return Err(format!("Expected {what}, found {}.", is_what(value)));
    };
    let read = i64::from_str_radix(number.as_str(), number.radix()).ok();
    read.filter(|number| bounds.contains(number))
        .ok_or_else(|| format!("Expected {what}. This is {}.", quote(number.as_str())))
}
