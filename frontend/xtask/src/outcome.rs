//! How a task ends.

use std::fmt;

/// Nothing more to say, or why not.
pub type Outcome<T = ()> = Result<T, Failure>;

/// One or more sentences for the person at the terminal: what failed, and what to do about it.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure with these sentences.
    pub fn new(sentences: impl Into<String>) -> Failure {
        Failure(sentences.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Failure {
        Failure(error.to_string())
    }
}

/// Ends with these sentences.
pub fn fail<T>(sentences: impl Into<String>) -> Outcome<T> {
    Err(Failure::new(sentences))
}

/// Says what was tried when somebody else's error comes back.
pub trait Trying<T> {
    /// `what` begins the sentence, the error ends it.
    fn trying(self, what: impl fmt::Display) -> Outcome<T>;
}

impl<T, E: fmt::Display> Trying<T> for Result<T, E> {
    fn trying(self, what: impl fmt::Display) -> Outcome<T> {
        // The alternate form of many errors names their causes too.
        self.map_err(|error| Failure(format!("{what}: {error:#}")))
    }
}
