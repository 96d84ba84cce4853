//! What can go wrong in the store, translated once from the driver.

use domain::{names::NameError, roles::Act};

use crate::access_tests::Broken;

/// A rule of the schema that a change would have broken, as a sentence for the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The form field it is about.
    pub field: &'static str,
    /// What is wrong and what to do.
    pub sentence: &'static str,
}

/// What can go wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not there, or in another organization: the two are not told apart.
    #[error("not found")]
    NotFound,
    /// A rule of the schema says no.
    #[error("{}", .0.sentence)]
    Conflict(Conflict),
    /// Somebody changed it since it was shown.
    #[error("changed since it was shown")]
    Stale,
    /// Somebody changed it since it was shown, and no field of the form could say so: what it is now.
    #[error("{0}")]
    Meanwhile(String),
    /// A value that cannot be stored: which field, and what is wrong.
    #[error("{field}: {sentence}")]
    Invalid {
        /// The form field.
        field: &'static str,
        /// What is wrong and what to do.
        sentence: String,
    },
    /// A pinned test would break.
    #[error(
        "The pinned test “{}” would break{}: {}. Change something else, or remove the test first.",
        .0.name, .0.when(), .0.failure
    )]
    Pinned(Box<Broken>),
    /// The permit is not for this. What a change needs can depend on what is stored: raising a limit
    /// asks for more than lowering it.
    #[error("not permitted: {0}")]
    NotPermitted(Act),
    /// The database does not answer.
    #[error("the database does not answer")]
    Unavailable(#[source] Box<sqlx::Error>),
    /// Anything else the driver says: a mistake in the program, or a broken database.
    #[error("database: {0}")]
    Database(#[source] Box<sqlx::Error>),
    /// A stored value that this program cannot read.
    #[error("stored value cannot be read: {0}")]
    Unreadable(String),
}

impl StoreError {
    /// The database did not answer a moment ago, and was not asked again.
    pub fn unanswered() -> Self {
        sqlx::Error::PoolTimedOut.into()
    }

    /// A value that cannot be stored.
    pub fn invalid(field: &'static str, sentence: impl Into<String>) -> Self {
        Self::Invalid { field, sentence: sentence.into() }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::Database(from_server) => match from_server.constraint().and_then(conflict) {
                Some(conflict) => Self::Conflict(conflict),
                // Every reference carries `org_id`: what is not in the organization is not there.
                None if from_server.is_foreign_key_violation() => Self::NotFound,
                None if is_outage(from_server.code().as_deref()) => Self::Unavailable(Box::new(error)),
                None => Self::Database(Box::new(error)),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(Box::new(error)),
            _ => Self::Database(Box::new(error)),
        }
    }
}

impl From<domain::names::NotAWord> for StoreError {
    fn from(error: domain::names::NotAWord) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<NameError> for StoreError {
    fn from(error: NameError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Shutting down, starting up, out of connections, out of disk or memory.
fn is_outage(code: Option<&str>) -> bool {
    code.is_some_and(|code| code.starts_with("57P") || code.starts_with("53") || code.starts_with("08"))
}

/// Constraint names to sentences.
fn conflict(constraint: &str) -> Option<Conflict> {
    let (field, sentence) = match constraint {
        "accounts_email_key" => ("email", "There is already a sign-in with this email address."),
        "users_email_key" => ("email", "Somebody with this email address is already here."),
        "users_account_key" => ("email", "This sign-in already belongs to somebody here."),
        "groups_name_key" => {
            ("name", "There is already a group with this name beside it. Choose another name.")
        }
        "groups_no_cycle" => ("parent", "A group cannot be inside itself or inside a group below it."),
        "groups_path_matches_parent" => {
            ("parent", "The tree of groups can be 32 levels deep; this would be deeper.")
        }
        "memberships_once" => ("user", "This person is already in the group."),
        "providers_name_key" => ("name", "There is already a provider with this name. Choose another name."),
        "tiers_name_key" => ("name", "There is already a tier with this name. Choose another name."),
        "models_name_key" => ("name", "There is already a model with this name. Choose another name."),
        "access_tests_name_key" => ("name", "There is already a test with this name. Choose another name."),
        "policies_name_key" => ("name", "There is already a policy with this name. Choose another name."),
        "policies_name_in_any_case" => (
            "name",
            "There is already a policy whose name differs from this one in upper and lower case only. Choose another name.",
        ),
        "prices_pkey" => ("from", "There is already a price that starts at this moment."),
        "applications_name_key" => {
            ("name", "There is already an application with this name in the group. Choose another name.")
        }
        "authorizations_once" => {
            ("target", "There is already a rule for this on the group. Change that one.")
        }
        "limits_once" => ("window", "There is already a limit for this metric and window. Change that one."),
        "requests_waiting_once" => (
            "model",
            "You have asked for this already; it waits for an answer. Take that one back to ask anew.",
        ),
        "requests_raise_waiting_once" => {
            ("", "You have asked for this already; it waits for an answer. Take that one back to ask anew.")
        }
        "secrets_one_per_member" => {
            ("user", "This person already has a secret of this key. Revoke it first.")
        }
        _ => return None,
    };
    Some(Conflict { field, sentence })
}
