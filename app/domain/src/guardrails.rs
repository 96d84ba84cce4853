//! What a key looks for in the input of its calls, and in answers if it wants that, and what happens
//! when it is found.
//!
//! Only kinds and counts are ever kept or said; the text that was found is not.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{names::NotAWord, words::words};

words! {
    /// What is looked for.
    Guard("guardrail") {
        /// Credentials: keys of providers and clouds, tokens, private keys, our own secrets.
        Secret = "secret",
        /// E-mail addresses.
        Email = "email",
        /// Telephone numbers in international form.
        Phone = "phone",
        /// Bank accounts, by their checksum.
        Iban = "iban",
        /// Payment cards, by their checksum.
        Card = "card",
        /// Numbers of people whose checksum makes them certain.
        NationalId = "national_id",
    }
}

words! {
    /// What happens when it is found.
    Action("action") {
        /// The call passes; kind and count are taken down.
        Observe = "observe",
        /// It is blanked out before the provider gets to see it.
        Mask = "mask",
        /// The call is refused.
        Refuse = "refuse",
    }
}

impl Guard {
    /// How people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Secret => "Secrets and keys",
            Self::Email => "E-mail addresses",
            Self::Phone => "Telephone numbers",
            Self::Iban => "Bank accounts (IBAN)",
            Self::Card => "Payment cards",
            Self::NationalId => "National id numbers",
        }
    }

    /// One of them, in a sentence.
    pub const fn one(self) -> &'static str {
        match self {
            Self::Secret => "a secret or key",
            Self::Email => "an e-mail address",
            Self::Phone => "a telephone number",
            Self::Iban => "a bank account number",
            Self::Card => "a payment card number",
            Self::NationalId => "a national id number",
        }
    }

    /// What it is looked for by.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Secret => {
                "Keys of model providers, AWS, Google, GitHub, GitLab, Slack, Stripe and others, private keys, Bursar’s own secrets."
            }
            Self::Email => "name@domain.",
            Self::Phone => "With a country code: +49 30 1234567.",
            Self::Iban => "Of a country’s length, with the right checksum.",
            Self::Card => "Of a card network’s prefix and length, with the right checksum.",
            Self::NationalId => {
                "Brazil, China, France, Italy and Sweden: those whose checksums make them certain."
            }
        }
    }
}

impl Action {
    /// How people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Observe => "Take note",
            Self::Mask => "Mask",
            Self::Refuse => "Refuse the call",
        }
    }
}

/// How many kinds there are.
const KINDS: usize = Guard::ALL.len();

/// Stands among the words of guardrails that are for answers, too.
pub const ANSWERS: &str = "answers";

/// What a key looks for. Small enough to copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guardrails {
    actions: [Option<Action>; KINDS],
    /// Whether the same is looked for in answers, those in a stream included.
    pub answers: bool,
}

impl Guardrails {
    /// What happens when this is found; none: it is not looked for.
    pub const fn get(&self, guard: Guard) -> Option<Action> {
        self.actions[guard as usize]
    }

    /// With another action for one kind.
    #[must_use]
    pub const fn with(mut self, guard: Guard, action: Option<Action>) -> Self {
        self.actions[guard as usize] = action;
        self
    }

    /// Whether nothing is looked for, wherever it may be.
    pub fn is_empty(&self) -> bool {
        self.actions.iter().all(Option::is_none)
    }

    /// Each that is looked for, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Guard, Action)> {
        Guard::ALL.iter().filter_map(|&guard| Some((guard, self.get(guard)?)))
    }

    /// `secret=refuse`, `email=mask`, …, `answers`: as they are stored.
    pub fn words(&self) -> Vec<String> {
        let answers = self.answers.then(|| ANSWERS.to_owned());
        self.iter().map(|(guard, action)| format!("{guard}={action}")).chain(answers).collect()
    }

    /// What [`Guardrails::words`] wrote.
    ///
    /// # Errors
    /// When one of them is no such word.
    pub fn from_words(words: &[String]) -> Result<Self, NotAWord> {
        words.iter().try_fold(Self::default(), |rails, word| {
            if word == ANSWERS {
                return Ok(Self { answers: true, ..rails });
            }
            let (guard, action) = word.split_once('=').unwrap_or((word, ""));
            Ok(rails.with(guard.parse()?, Some(action.parse()?)))
        })
    }
}

/// Something that was found: never what it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What it is.
    pub guard: Guard,
    /// What became of it.
    pub action: Action,
    /// How often.
    pub count: u32,
}

impl fmt::Display for Found {
    /// `email=mask=2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}={}", self.guard, self.action, self.count)
    }
}

impl FromStr for Found {
    type Err = NotAWord;

    fn from_str(text: &str) -> Result<Self, NotAWord> {
        let mut parts = text.splitn(3, '=');
        let mut part = || parts.next().unwrap_or_default();
        let (guard, action) = (part().parse()?, part().parse()?);
        Ok(Self { guard, action, count: part().parse().unwrap_or(1) })
    }
}

/// Several, as one text; empty for none.
pub fn write_found(found: &[Found]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// What was found in two places, together: those of the same kind and fate as one.
pub fn add_found(found: &mut Vec<Found>, more: &[Found]) {
    for one in more {
        match found.iter_mut().find(|known| (known.guard, known.action) == (one.guard, one.action)) {
            Some(known) => known.count = known.count.saturating_add(one.count),
            None => found.push(*one),
        }
    }
}

/// What [`write_found`] wrote. What is not known any more is left out.
pub fn read_found(text: &str) -> Vec<Found> {
    text.split(',').filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rails_and_findings_are_read_as_they_are_written() {
        let rails = Guardrails::default()
            .with(Guard::Email, Some(Action::Mask))
            .with(Guard::Secret, Some(Action::Refuse));
        assert_eq!(rails.words(), ["secret=refuse", "email=mask"]);
        assert_eq!(Guardrails::from_words(&rails.words()), Ok(rails));
        assert!(Guardrails::from_words(&["email".to_owned()]).is_err());
        let both = Guardrails { answers: true, ..rails };
        assert_eq!(both.words(), ["secret=refuse", "email=mask", "answers"]);
        assert_eq!(Guardrails::from_words(&both.words()), Ok(both));
        let found = [Found { guard: Guard::Iban, action: Action::Observe, count: 3 }];
        assert_eq!(write_found(&found), "iban=observe=3");
        assert_eq!(read_found("iban=observe=3,gone=mask=1"), found);
        assert!(read_found("").is_empty());
    }
}
