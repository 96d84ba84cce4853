//! Credentials of providers: what the environment holds, and whether that is what is stored.

use std::collections::HashMap;

use store::providers::Credential;

use super::{
    document::{Document, Provider, Source},
    mistakes::{Mistake, quote},
    present::Present,
    things::{Key, Kind},
};

/// What the file's variables hold.
#[derive(Default)]
pub struct Credentials {
    /// By provider, in lower case.
    by_provider: HashMap<String, Credential>,
}

fn key_of(provider: &Provider) -> String {
    provider.name.as_str().to_lowercase()
}

/// Reads the variables the file names. One that has to be set and is not is a mistake.
pub fn read(file: &Document, variable: impl Fn(&str) -> Option<String>) -> (Credentials, Vec<Mistake>) {
    let (mut credentials, mut mistakes) = (Credentials::default(), Vec::new());
    for provider in &file.providers {
        let credential = match &provider.credential {
            None => continue,
            Some(Source::Nothing) => Credential::Clear,
            Some(Source::Variable { name, optional }) => {
                let value = variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
                if value.is_none() && !optional {
                    let sentence = format!(
                        "The environment variable {} is not set. Set it to the credential of {}, or write optional = true.",
                        quote(name),
                        quote(provider.name.as_str())
                    );
                    mistakes.push(provider.lines.mistake("credential", sentence));
                }
                if value
                    .as_ref()
                    .is_some_and(|value| !value.chars().all(|c| c.is_ascii_graphic() || c == ' '))
                {
                    let sentence = format!(
                        "What the environment variable {} holds cannot be a credential: expected visible ASCII characters.",
                        quote(name)
                    );
                    mistakes.push(provider.lines.mistake("credential", sentence));
                }
                Credential::Variable { name: name.clone(), optional: *optional, value }
            }
        };
        credentials.by_provider.insert(key_of(provider), credential);
    }
    (credentials, mistakes)
}

impl Credentials {
    /// What happens to the credential of a provider.
    pub fn of(&self, provider: &Provider) -> Credential {
        self.by_provider.get(&key_of(provider)).cloned().unwrap_or(Credential::Keep)
    }

    /// The providers whose stored credential changes, each with what there will be.
    pub fn replaced(&self, present: &Present) -> HashMap<Key, &'static str> {
        let change = |(name, credential): (&String, &Credential)| {
            let stored = present.credentials.get(name);
            let word = match credential {
                Credential::Keep => None,
                Credential::Variable { value: Some(value), .. } | Credential::Set(value) => {
                    (stored != Some(value)).then_some(if stored.is_some() { "replaced" } else { "set" })
                }
                Credential::Clear => stored.map(|_| "none"),
                Credential::Variable { name: variable, value: None, .. } => {
                    let same = present.variable_of(name) == Some(variable.as_str());
                    stored.filter(|_| !same).map(|_| "none")
                }
            };
            word.map(|word| ((Kind::Provider, name.clone()), word))
        };
        self.by_provider.iter().filter_map(change).collect()
    }
}
