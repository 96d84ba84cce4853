//! The price book: a trimmed, normalized copy of a public list, built into this program with the day it
//! was made. It proposes; what a model costs is what a person set.
//!
//! `cargo xtask price-book FILE` renews it from LiteLLM's list. Its licence is beside it.

use std::{collections::HashMap, fmt::Write as _, sync::LazyLock};

use chrono::NaiveDate;
use domain::{
    price_lists::{Listed, VENDORS, listed_name},
    prices::{Origin, PriceSource},
};

/// The book as it is kept: a head of `# field: value`, then a line for each model.
const TEXT: &str = include_str!("../../price-book/litellm.tsv");

/// A price book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    /// Which list it was made from.
    pub source: String,
    /// Which version of it.
    pub version: String,
    /// The day of that version.
    pub of: NaiveDate,
    listed: HashMap<(String, String), Listed>,
}

/// The book in this program.
pub fn book() -> &'static Book {
    static BOOK: LazyLock<Book> = LazyLock::new(|| read(TEXT));
    &BOOK
}

impl Book {
    /// What it says about a vendor's model.
    pub fn get(&self, vendor: &str, upstream: &str) -> Option<&Listed> {
        self.listed.get(&(vendor.to_owned(), listed_name(upstream).to_owned()))
    }

    /// Where a price of it comes from.
    pub const fn origin(&self) -> Origin {
        Origin { source: PriceSource::Book, of: Some(self.of) }
    }

    /// How many models it knows.
    pub fn len(&self) -> usize {
        self.listed.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }
}

/// Lines that cannot be read are left out; a test sees to it that there are none.
fn read(text: &str) -> Book {
    let head = |field: &str| {
        let line =
            text.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(field)?.strip_prefix(": "));
        line.unwrap_or_default().to_owned()
    };
    let listed = text.lines().filter(|line| !line.starts_with('#')).filter_map(line);
    Book {
        source: head("source"),
        version: head("version"),
        of: head("date").parse().unwrap_or_default(),
        listed: listed.map(|listed| ((listed.vendor.clone(), listed.name.clone()), listed)).collect(),
    }
}

fn line(line: &str) -> Option<Listed> {
    let mut cells = line.split('\t');
    let mut next = || cells.next();
    let tokens = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
    Some(Listed {
        vendor: next()?.to_owned(),
        name: next()?.to_owned(),
        modality: next()?.parse().ok()?,
        context_tokens: tokens(next()?)?,
        max_output_tokens: tokens(next()?)?,
        prices: next()?.parse().ok()?,
        dearer: match next()? {
            "" => None,
            tokens => Some((tokens.parse().ok()?, next()?.parse().ok()?)),
        },
    })
}

/// A book of what a list says about the vendors that providers are told by, as it is kept.
pub fn write(source: &str, version: &str, of: NaiveDate, licence: &str, list: &[Listed]) -> String {
    let mut text = format!(
        "# source: {source}\n# version: {version}\n# date: {of}\n# licence: {licence}\n\
         # vendor, name, modality, context, most output, prices in nano-dollars per million, dearer above, prices then\n"
    );
    let kept = list.iter().filter(|listed| {
        VENDORS.iter().any(|(vendor, ..)| *vendor == listed.vendor)
            && !listed.prices.is_empty()
            // Sizes of one model's pictures, which no provider lists as models.
            && !listed.name.contains("-x-")
            && !listed.name.contains(['\t', '\n', ' '])
    });
    let count = |count: Option<i64>| count.map(|count| count.to_string()).unwrap_or_default();
    for listed in kept {
        let (above, then) = listed
            .dearer
            .map_or_else(Default::default, |(above, then)| (above.to_string(), then.to_string()));
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "{}\t{}\t{}\t{}\t{}\t{}\t{above}\t{then}",
            listed.vendor,
            listed.name,
            listed.modality,
            count(listed.context_tokens),
            count(listed.max_output_tokens),
            listed.prices,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{models::Modality, prices::PriceKey};

    #[test]
    fn the_book_in_this_program_says_where_it_is_from_and_reads_whole() {
        let book = book();
        let lines = TEXT.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(book.len(), lines);
        assert!(book.len() > 1_000, "{} models", book.len());
        assert!(book.source.contains("LiteLLM"), "{}", book.source);
        assert!(book.of > NaiveDate::from_ymd_opt(2026, 1, 1).expect("a day"));
        assert!(!book.version.is_empty());
        assert!(include_str!("../../price-book/LICENSE").contains("MIT License"));
        assert!(TEXT.len() < 300_000, "it is small: {}", TEXT.len());
        for listed in book.listed.values() {
            assert!(!listed.prices.is_empty(), "{listed:?}");
        }
    }

    #[test]
    fn known_models_are_found_by_vendor_and_name() {
        let book = book();
        let sonnet = book.get("anthropic", "claude-sonnet-4-5").expect("it is listed");
        assert_eq!(sonnet.prices.own(PriceKey::Input), Some("3".parse().expect("a price")));
        assert_eq!(sonnet.prices.own(PriceKey::CacheWriteLong), Some("6".parse().expect("a price")));
        assert_eq!(sonnet.modality, Modality::Vision);
        assert!(book.get("gemini", "models/gemini-2.5-flash").is_some());
        assert!(book.get("openai", "claude-sonnet-4-5").is_none());
        assert!(book.get("openai", "gpt-4o-imagined").is_none());
    }

    #[test]
    fn a_book_that_is_written_reads_back() {
        let list =
            crate::price_lists::litellm::read(include_str!("cases/litellm.json")).expect("a list").listed;
        let of = NaiveDate::from_ymd_opt(2026, 11, 20).expect("a day");
        let again = read(&write("A list", "7", of, "MIT", &list));
        assert_eq!((again.source.as_str(), again.version.as_str(), again.of), ("A list", "7", of));
        let kept: Vec<&Listed> =
            list.iter().filter(|listed| !listed.prices.is_empty() && listed.vendor != "black").collect();
        assert_eq!(again.len(), kept.len());
        for listed in kept {
            assert_eq!(again.get(&listed.vendor, &listed.name), Some(listed));
        }
    }
}
