//! From the text of a file to a [`Document`], and every mistake in it that the file alone shows.

mod access;
mod catalogue;
mod people;

use std::collections::HashSet;

use domain::{
    limits::{Metric, Mode},
    money::Money,
    window::Window,
};
use toml::de::DeTable;

use super::{
    document::{Document, Limit},
    fields::{Page, Table},
    mistakes::{Mistake, Mistakes},
    things::Kind,
};

/// The most bytes of a file: far above any real one, far below what would hurt.
const LONGEST: usize = 32 << 20;

/// The largest number of tokens or requests a limit may name.
const MOST: i64 = 1_000_000_000_000_000;

/// Reads the bytes of a file.
///
/// Text that is not TOML is an error. Otherwise: what could be read, and every mistake.
pub fn document(bytes: &[u8]) -> Result<(Document, Vec<Mistake>), Mistakes> {
    let whole_file = |sentence: String| Mistakes(vec![Mistake { line: 0, field: String::new(), sentence }]);
    if bytes.len() > LONGEST {
        return Err(whole_file(format!("This has {} bytes; at most {LONGEST} can be read.", bytes.len())));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            let sentence = "This is not UTF-8 text.".to_owned();
            return Err(Mistakes(vec![Mistake { line, field: String::new(), sentence }]));
        }
    };
    let page = Page::new(text);
    let (table, broken) = DeTable::parse_recoverable(text);
    if !broken.is_empty() {
        // What a broken text seems to say is not worth a mistake of its own.
        let mistakes = broken.iter().map(|error| Mistake {
            line: error.span().map_or(0, |span| page.line(span.start)),
            field: String::new(),
            sentence: format!("This is not TOML: {}.", error.message().trim_end_matches('.')),
        });
        return Err(Mistakes(mistakes.collect()));
    }
    let document = top(&Table::new(&page, "", 0, table.get_ref()));
    Ok((document, page.into_mistakes()))
}

fn top(file: &Table<'_>) -> Document {
    let mut broken = HashSet::new();
    let organization = file
        .need("organization", "a table [organization] with the name of the organization", Table::table)
        .and_then(|table| people::organization(&table));
    let document = Document {
        organization,
        tiers: each(file, "tiers", Kind::Tier, catalogue::tier, &mut broken),
        providers: each(file, "providers", Kind::Provider, catalogue::provider, &mut broken),
        models: each(file, "models", Kind::Model, catalogue::model, &mut broken),
        groups: each(file, "groups", Kind::Group, people::group, &mut broken),
        users: each(file, "users", Kind::User, people::user, &mut broken),
        authorizations: each(file, "authorizations", Kind::Authorization, access::authorization, &mut broken),
        policies: each(file, "policies", Kind::Policy, catalogue::policy, &mut broken),
        applications: each(file, "applications", Kind::Application, access::application, &mut broken),
        broken: HashSet::new(),
    };
    file.done();
    Document { broken, ..document }
}

/// Reads every table of a list. Of those that cannot be read the names are kept.
fn each<T>(
    file: &Table<'_>,
    field: &'static str,
    kind: Kind,
    read: impl Fn(&Table<'_>) -> Option<T>,
    broken: &mut HashSet<(Kind, String)>,
) -> Vec<T> {
    let mut things = Vec::new();
    for table in file.tables(field) {
        let thing = read(&table);
        table.done();
        if thing.is_none()
            && let Some(name) = table.raw(["name", "path", "email"])
        {
            broken.insert((kind, name.trim().to_owned()));
        }
        things.extend(thing);
    }
    things
}

/// The limits of a thing, each metric and window once.
fn limits(table: &Table<'_>) -> Vec<Limit> {
    let mut limits = Vec::<Limit>::new();
    for table in table.tables("limits") {
        let read = limit(&table);
        table.done();
        let Some(limit) = read else { continue };
        if limits.iter().any(|known| (known.metric, known.window) == (limit.metric, limit.window)) {
            let sentence =
                format!("There is already a limit of {} a {} in this list.", limit.metric, limit.window);
            table.wrong("metric", sentence);
            continue;
        }
        limits.push(limit);
    }
    limits
}

fn limit(table: &Table<'_>) -> Option<Limit> {
    let metric: Option<Metric> = table.need("metric", "a metric, for instance \"spend\"", Table::word);
    let window = match metric {
        Some(Metric::ConcurrentCalls) => {
            let written = table.word("window").unwrap_or(Window::Total);
            if written != Window::Total {
                table.wrong("window", "Calls at once have no window: leave it out.");
            }
            Some(Window::Total)
        }
        _ => table.need("window", "a window, for instance \"month\"", Table::word),
    };
    let cap = match metric {
        Some(Metric::Spend) => {
            let money: Option<Money> = table.need("cap", "an amount, for instance \"500.00\"", Table::amount);
            money.map(|money| money.0)
        }
        Some(_) => table.need("cap", "a number", |table, field| table.count(field, 0..=MOST)),
        None => {
            table.has("cap");
            None
        }
    };
    let mode = table.word("mode").unwrap_or(Mode::Enforce);
    let thresholds = table.counts("thresholds", 1..=100);
    if thresholds.len() > 10 {
        table.wrong("thresholds", "At most ten thresholds fit.");
    }
    let thresholds = thresholds.into_iter().filter_map(|percent| u8::try_from(percent).ok()).collect();
    Some(Limit { lines: table.lines(), metric: metric?, window: window?, cap: cap?, mode, thresholds })
}

/// What the store says of a value, without the name of its form field.
fn sentence(error: &store::StoreError) -> String {
    match error {
        store::StoreError::Invalid { sentence, .. } => sentence.clone(),
        other => other.to_string(),
    }
}
