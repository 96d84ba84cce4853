use std::fmt;
use std::path::{Path, PathBuf};

/// Why there is no private Postgres. Every variant reads as a sentence for the person who has to
/// mend it.
#[derive(Debug)]
pub enum Error {
    /// The programs of Postgres were not found, or are too old.
    Programs(String),
    /// We run as root, Postgres refuses to, and there is no user to run it as.
    NoUser,
    /// The data folder cannot be used, and the reason.
    Folder {
        /// The folder as it was asked for.
        folder: PathBuf,
        /// The rest of the sentence, beginning with a verb.
        reason: String,
    },
    /// A program of Postgres failed, with the end of what it wrote.
    Failed {
        /// What was tried, as a sentence without its full stop.
        what: String,
        /// The last lines of its output or log.
        log: String,
    },
    /// Only the program that started this Postgres may do that.
    NotOurs(PathBuf),
    /// The operating system refused something.
    Io {
        /// What was tried.
        what: String,
        /// What it answered.
        source: std::io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Programs(sentence) => f.write_str(sentence),
            Error::NoUser => f.write_str(
                "Postgres refuses to run as root and there is no user `postgres` to run it as: \
                 install Postgres from your distribution's packages, which create that user, \
                 or start this program as an ordinary user.",
            ),
            Error::Folder { folder, reason } => {
                write!(f, "The folder {} {reason}.", folder.display())
            }
            Error::Failed { what, log } if log.trim().is_empty() => write!(f, "{what}."),
            Error::Failed { what, log } => write!(f, "{what}. It said:\n{}", log.trim_end()),
            Error::NotOurs(folder) => write!(
                f,
                "The Postgres on {} was started by another program, and only that one may \
                 restart it.",
                folder.display()
            ),
            Error::Io { what, source } => write!(f, "{what}: {source}."),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Error {
    pub(crate) fn folder(folder: &Path, reason: impl Into<String>) -> Error {
        Error::Folder { folder: folder.to_path_buf(), reason: reason.into() }
    }
}

/// Says what was being tried when the operating system refused.
pub(crate) trait While<T> {
    fn while_trying(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> While<T> for std::io::Result<T> {
    fn while_trying(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { what: what(), source })
    }
}
