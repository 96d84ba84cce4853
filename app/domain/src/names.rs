//! Names that people and programs type, checked once at the edge.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The most characters a display name may have.
pub const NAME_MAX: usize = 100;

/// Why a text is not a usable name. `Display` is a sentence for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Nothing but white space.
    Empty,
    /// More characters than allowed: how many there were, how many may be.
    TooLong {
        /// Characters typed.
        length: usize,
        /// Characters allowed.
        max: usize,
    },
    /// A control character, a line break, or a character that reorders the text around it.
    Invisible,
    /// Not `name@host`.
    NotAnEmail,
    /// A character that callers cannot write in a model name.
    NotAModelName,
    /// A `/` in the name of a group: it separates the names of a path.
    Slash,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Enter a name."),
            Self::TooLong { length, max } => write!(
                f,
                "This has {length} characters; at most {max} fit."
            ),
            Self::Invisible => f.write_str(
                "Remove the invisible characters: line breaks, control characters and marks that change the direction of text cannot be part of a name.",
            ),
            Self::NotAnEmail => f.write_str("Enter an email address like name@example.com."),
            Self::NotAModelName => f.write_str(
                "Use letters, digits and . _ - : / @ only, without spaces, and do not start with policy/.",
            ),
            Self::Slash => f.write_str("Leave out the slash: it separates the names of a path."),
        }
    }
}

impl std::error::Error for NameError {}

/// A word that is not in its closed vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAWord {
    /// What was expected, for instance `role`.
    pub what: &'static str,
    /// Every accepted word.
    pub expected: &'static [&'static str],
}

impl fmt::Display for NotAWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected a {}: {}", self.what, self.expected.join(", "))
    }
}

impl std::error::Error for NotAWord {}

/// Characters that are there without being seen, or that turn the reading direction of what
/// surrounds them: they make two names look alike. Joiners inside emoji and scripts stay allowed.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{200b}' | '\u{00ad}')
}

/// Letters with marks in one way to write them (NFC): names that look the same are the same. The browser
/// gets names that are, and sends what is typed to a server that does it.
#[cfg(not(target_arch = "wasm32"))]
fn composed(text: &str) -> String {
    unicode_normalization::UnicodeNormalization::nfc(text).collect()
}

#[cfg(target_arch = "wasm32")]
fn composed(text: &str) -> String {
    text.to_owned()
}

/// What is looked for, as names are compared with it: in lower case, with letters and apostrophes in one way
/// to write them.
pub fn sought(text: &str) -> String {
    straight(&composed(text.trim()).to_lowercase())
}

/// Whether a name in lower case has in it what is [`sought`].
pub fn has(name: &str, sought: &str) -> bool {
    name.contains(sought) || (sought.contains('\'') && straight(name).contains(sought))
}

/// The marks that stand for an apostrophe.
pub const APOSTROPHES: [char; 5] = ['\'', '’', '‘', 'ʼ', '´'];

fn straight(text: &str) -> String {
    text.replace(APOSTROPHES, "'")
}

fn checked(text: &str, max: usize) -> Result<String, NameError> {
    let text = composed(text.trim());
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    let length = text.chars().count();
    if length > max {
        return Err(NameError::TooLong { length, max });
    }
    if text.chars().any(is_invisible) {
        return Err(NameError::Invisible);
    }
    Ok(text)
}

macro_rules! text_types {
    ($($(#[$doc:meta])* $Name:ident by $check:path;)+) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $Name(String);

        impl $Name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $Name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                $check(text).map(Self)
            }
        }

        impl TryFrom<String> for $Name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$Name> for String {
            fn from(name: $Name) -> String {
                name.0
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+ };
}

text_types! {
    /// What people call a thing: 1 to 100 characters of any script, trimmed, nothing invisible.
    Name by display_name;
    /// The name of a group: a [`Name`] without `/`.
    GroupName by group_name;
    /// An email address, in lower case.
    Email by email;
    /// What callers write as `model`: visible ASCII, no spaces, at most 100 characters.
    ModelName by model_name;
}

impl ModelName {
    /// The name itself, or with the first number that makes it free.
    ///
    /// # Errors
    /// When a number makes it too long.
    pub fn free(&self, taken: impl Fn(&str) -> bool) -> Result<Self, NameError> {
        if !taken(self.as_str()) {
            return Ok(self.clone());
        }
        let numbered = (2..).map(|number| format!("{self}-{number}")).find(|name| !taken(name));
        numbered.unwrap_or_default().parse()
    }
}

fn display_name(text: &str) -> Result<String, NameError> {
    checked(text, NAME_MAX)
}

fn group_name(text: &str) -> Result<String, NameError> {
    let name = checked(text, NAME_MAX)?;
    if name.contains('/') {
        return Err(NameError::Slash);
    }
    Ok(name)
}

fn email(text: &str) -> Result<String, NameError> {
    let text = checked(text, 254)?;
    let (local, host) = text.rsplit_once('@').ok_or(NameError::NotAnEmail)?;
    let host_ok = host.split('.').count() >= 2
        && host
            .split('.')
            .all(|label| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-'));
    if local.is_empty() || local.contains(char::is_whitespace) || local.contains('@') || !host_ok {
        return Err(NameError::NotAnEmail);
    }
    Ok(text.to_lowercase())
}

fn model_name(text: &str) -> Result<String, NameError> {
    let text = checked(text, NAME_MAX)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-:/@".contains(c);
    if !text.chars().all(allowed) || text.starts_with("policy/") {
        return Err(NameError::NotAModelName);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_script_pass_and_are_trimmed() {
        for text in ["Research", "  Forschung ", "研究", "بحث", "👩🏽‍🔬 lab", "Ünïcode & <b>"]
        {
            assert_eq!(text.parse::<Name>().map(String::from), Ok(text.trim().to_owned()));
        }
    }

    #[test]
    fn names_that_look_the_same_are_the_same() {
        let name = |text: &str| text.parse::<Name>().map(String::from);
        assert_eq!(name("Zoe\u{308}"), name("Zo\u{eb}"));
        assert_eq!(name("\u{1112}\u{1161}\u{11ab}"), name("\u{d55c}"));
        assert_eq!("e\u{301}quipe".parse::<GroupName>().map(String::from), Ok("\u{e9}quipe".to_owned()));
        // Counted as it is kept.
        assert!(name(&"e\u{301}".repeat(100)).is_ok());
    }

    #[test]
    fn whatever_apostrophe_a_name_has_it_is_found_with_any() {
        for name in ["o'brien", "o’brien", "oʼbrien"] {
            for typed in ["O'Brien", " O’BRIEN", "o´b"] {
                assert!(has(name, &sought(typed)), "{typed} in {name}");
            }
            assert!(!has(name, &sought("obrien")));
        }
    }

    #[test]
    fn ten_thousand_characters_are_refused_with_both_numbers() {
        let error = "x".repeat(10_000).parse::<Name>().unwrap_err();
        assert_eq!(error.to_string(), "This has 10000 characters; at most 100 fit.");
    }

    #[test]
    fn a_name_cannot_hide_or_reverse_text() {
        for text in ["a\nb", "a\u{202e}b", "a\u{200b}b", "\u{feff}a\u{0}"] {
            assert_eq!(text.parse::<Name>(), Err(NameError::Invisible), "{text:?}");
        }
        assert_eq!("   ".parse::<Name>(), Err(NameError::Empty));
    }

    #[test]
    fn emails_are_lowered_and_need_a_host() {
        assert_eq!("Ada@Acme.Example".parse::<Email>().map(String::from), Ok("ada@acme.example".to_owned()));
        for text in ["ada", "ada@", "@acme.example", "ada@acme", "a b@acme.example", "a@b@c.de", "a@c..de"] {
            assert_eq!(text.parse::<Email>(), Err(NameError::NotAnEmail), "{text}");
        }
    }

    #[test]
    fn a_model_name_is_what_a_caller_can_write() {
        for text in ["small-chat", "gpt-4.1", "meta/llama-3:free", "claude@2026"] {
            assert!(text.parse::<ModelName>().is_ok(), "{text}");
        }
        for text in ["small chat", "policy/prod", "modèle", "a\"b"] {
            assert!(text.parse::<ModelName>().is_err(), "{text}");
        }
    }
}
