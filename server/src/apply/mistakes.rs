//! Mistakes in a file: which line, which field, what was expected.

use std::fmt;

/// The most mistakes that are printed: after that many something larger is wrong.
const MOST: usize = 50;

/// The most characters of a file's own text that a sentence repeats.
const QUOTED: usize = 60;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The line, counted from 1; 0 when it is about the file as a whole.
    pub line: usize,
    /// The field: `models.tier`.
    pub field: String,
    /// What is wrong and what was expected.
    pub sentence: String,
}

/// Every mistake that was found. Nothing was changed.
#[derive(Clone, Debug, Default)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    /// As lines of `file:line: field: sentence`, in the order of the file.
    pub fn print(&self, file: &str) -> String {
        let mut list = self.0.clone();
        list.sort();
        list.dedup();
        let mut text = String::new();
        for mistake in list.iter().take(MOST) {
            let line = if mistake.line == 0 { String::new() } else { format!(":{}", mistake.line) };
            let field = if mistake.field.is_empty() { String::new() } else { format!("{}: ", mistake.field) };
            text += &format!("{file}{line}: {field}{}\n", mistake.sentence);
        }
        if list.len() > MOST {
            text += &format!("… and {} more.\n", list.len() - MOST);
        }
        let count =
            if list.len() == 1 { "One mistake".to_owned() } else { format!("{} mistakes", list.len()) };
        text + &format!("{count}. Nothing was changed.")
    }
}

/// A text of the file inside a sentence: short, and with nothing invisible in it.
pub fn quote(text: &str) -> String {
    let short: String = text.chars().take(QUOTED).collect();
    let rest = if short.len() < text.len() { "…" } else { "" };
    format!("“{}{rest}”", short.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\""))
}

/// The sentence for a name that means nothing, with the nearest one that does.
pub fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let said = format!("There is no {what} {}.", quote(name));
    match nearest(name, known) {
        Some(near) => format!("{said} Did you mean {}?", quote(near)),
        None => said,
    }
}

/// The known name that was most likely meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    // Distances take time in the product of both lengths, and nobody mistypes a page.
    if length > 200 {
        return None;
    }
    let wanted = name.to_lowercase();
    let far = (length / 3).max(1);
    let distance = |known: &str| strsim::damerau_levenshtein(&wanted, &known.to_lowercase());
    let near = known.into_iter().map(|known| (distance(known), known)).min()?;
    (near.0 <= far).then_some(near.1)
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.line, self.field, self.sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_name_and_nonsense_finds_none() {
        let known = ["general", "high-performance", "specialized"];
        assert_eq!(nearest("genral", known), Some("general"));
        assert_eq!(nearest("General", known), Some("general"));
        assert_eq!(nearest("high performance", known), Some("high-performance"));
        assert_eq!(nearest("cheap", known), None);
        assert_eq!(nearest(&"x".repeat(10_000), known), None);
    }

    #[test]
    fn what_a_sentence_repeats_is_short_and_visible() {
        assert_eq!(quote("a\n\u{202e}b"), "“a\\n\\u{202e}b”");
        assert_eq!(quote(&"x".repeat(10_000)).chars().count(), QUOTED + 3);
        assert_eq!(quote("it's \"so\""), "“it's \"so\"”");
    }
}
