//! What can go wrong, as far as a browser may learn of it.

use leptos::server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};
use serde::{Deserialize, Serialize};

/// What can go wrong, as far as a browser may learn of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AppError {
    /// Nobody is signed in.
    SignedOut,
    /// Signed in, but not allowed: who would be.
    Forbidden(String),
    /// Not there, or somebody else's.
    NotFound,
    /// Fields that cannot be taken: name and sentence. An empty name: the whole form.
    Invalid(Vec<(String, String)>),
    /// Somebody changed it since it was shown.
    Stale,
    /// What would be saved is not what was shown: what it is now. Sent again with that, it is done.
    Changed(String),
    /// Somebody did something about it since it was shown: who and what, and that nothing was done.
    Meanwhile(String),
    /// What was sent belongs to another organization than the one the browser has gone on to.
    Elsewhere(String),
    /// The database does not answer.
    Unavailable,
    /// A defect; its number is in the log.
    Internal(String),
    /// The request or the answer did not get through.
    Network(String),
}

impl AppError {
    /// About one field of a form.
    pub fn field(name: &str, sentence: impl std::fmt::Display) -> Self {
        Self::Invalid(vec![(name.to_owned(), sentence.to_string())])
    }

    /// One sentence for the person.
    pub fn sentence(&self) -> String {
        match self {
            Self::SignedOut => "You are signed out. Sign in and try again.".to_owned(),
            Self::Forbidden(who) => who.clone(),
            Self::Changed(now) | Self::Meanwhile(now) | Self::Elsewhere(now) => now.clone(),
            Self::NotFound => "This does not exist, or it belongs to somebody else.".to_owned(),
            Self::Invalid(fields) => match fields.as_slice() {
                [(_, sentence)] => sentence.clone(),
                _ => "Some fields need another look.".to_owned(),
            },
            Self::Stale => Self::stale("Somebody else"),
            Self::Unavailable => {
                "The database does not answer right now. Nothing was changed. Try again in a moment."
                    .to_owned()
            }
            Self::Internal(id) => format!(
                "Bursar met a defect; nothing was changed. Try again; if it stays, this is its number in the log: request {id}."
            ),
            Self::Network(cause) => {
                format!("The server could not be reached ({cause}). Nothing was lost; try again.")
            }
        }
    }

    /// What is said of a form that somebody was first with. `who`: the subject of a sentence.
    pub fn stale(who: &str) -> String {
        format!(
            "{who} changed this while you were editing. What you typed is still here; what was saved meanwhile is here too, and said beside it. Save again to keep both, with yours where both changed the same."
        )
    }

    /// The sentence about one field, if there is one.
    pub fn of_field(&self, name: &str) -> Option<String> {
        match self {
            Self::Invalid(fields) => {
                fields.iter().find(|(field, _)| field == name).map(|(_, sentence)| sentence.clone())
            }
            _ => None,
        }
    }

    /// What a form says above its fields: everything but what stands beside a field.
    pub fn summary(&self, beside: impl Fn(&str) -> bool) -> Option<String> {
        let Self::Invalid(fields) = self else { return Some(self.sentence()) };
        let rest: Vec<&str> =
            fields.iter().filter(|(name, _)| !beside(name)).map(|(_, text)| text.as_str()).collect();
        (!rest.is_empty()).then(|| rest.join(" "))
    }

    /// Whether it says what is so by now: the page is shown anew as it is, with that said.
    pub const fn is_overtaken(&self) -> bool {
        matches!(self, Self::Stale | Self::Changed(_) | Self::Meanwhile(_))
    }

    /// Whether it is the server's, or the way's to it: then the request's number helps to find out why.
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::Unavailable | Self::Network(_))
    }

    /// As an HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::SignedOut => 401,
            Self::Forbidden(_) => 403,
            Self::NotFound => 404,
            Self::Stale | Self::Changed(_) | Self::Meanwhile(_) | Self::Elsewhere(_) => 409,
            Self::Invalid(_) => 422,
            Self::Internal(_) => 500,
            Self::Unavailable | Self::Network(_) => 503,
        }
    }
}

impl std::fmt::Display for AppError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence())
    }
}

impl std::error::Error for AppError {}

impl FromServerFnError for AppError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            // A form that lacks a field, or has one of another kind: what a page never sends.
            ServerFnErrorErr::Args(cause) | ServerFnErrorErr::MissingArg(cause) => Self::field("", cause),
            other => Self::Network(other.to_string()),
        }
    }
}
