//! Passwords: argon2id, off the async threads, a few at a time.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use crate::{Result, StoreError};

/// Fewest characters of a password (NIST SP 800-63B: length is what counts).
pub const PASSWORD_MIN: usize = 12;
/// Most characters: enough for any pass phrase, not enough to keep a core busy.
pub const PASSWORD_MAX: usize = 200;

/// Each hash takes 19 MiB and some 20 ms: two at a time leave the server its memory and cores.
static TURNS: Semaphore = Semaphore::const_new(2);

/// A password hash that no password has: verifying against it takes as long as a real one, so that
/// the answer to an unknown address takes no less time.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$YnVyc2FyLW5vYm9keS1zYWx0$e1Zh4pFEwLk2z1oH9hYV6f6Jk8bnfQ0w2v4kqYv3J7M";

/// Checks that a password is worth having.
///
/// # Errors
/// With a sentence for the person who chose it.
pub fn check(password: &str) -> Result<()> {
    let length = password.chars().count();
    if length < PASSWORD_MIN {
        let sentence =
            format!("Use at least {PASSWORD_MIN} characters; a short sentence is a good password.");
        return Err(StoreError::invalid("password", sentence));
    }
    if length > PASSWORD_MAX {
        return Err(StoreError::invalid("password", format!("At most {PASSWORD_MAX} characters fit.")));
    }
    let first = password.chars().next();
    if password.chars().all(|c| Some(c) == first) {
        return Err(StoreError::invalid("password", "Use more than one character over and over."));
    }
    Ok(())
}

/// Hashes a password for keeping.
///
/// # Errors
/// When it is too short or too long.
pub async fn hash(password: String) -> Result<String> {
    check(&password)?;
    in_turn(move || {
        Argon2::default()
            .hash_password(password.as_bytes())
            .map(|hash| hash.to_string())
            .map_err(|error| StoreError::Unreadable(error.to_string()))
    })
    .await?
}

/// Whether this is the password that was hashed. Without a hash it takes as long and says no.
///
/// # Errors
/// When the work could not be done at all.
pub async fn verify(password: String, hash: Option<String>) -> Result<bool> {
    if password.chars().count() > PASSWORD_MAX {
        return Ok(false);
    }
    in_turn(move || {
        let known = hash.is_some();
        let text = hash.unwrap_or_else(|| NOBODY.to_owned());
        let fits = PasswordHash::new(&text)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
        known && fits
    })
    .await
}

async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let lost = |error: &dyn std::fmt::Display| StoreError::Unreadable(error.to_string());
    let _turn = TURNS.acquire().await.map_err(|error| lost(&error))?;
    tokio::task::spawn_blocking(work).await.map_err(|error| lost(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_recognized_and_another_is_not() {
        let stored = hash("a calm green ledger".to_owned()).await.unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert!(verify("a calm green ledger".to_owned(), Some(stored.clone())).await.unwrap());
        assert!(!verify("a calm green Ledger".to_owned(), Some(stored)).await.unwrap());
        assert!(!verify("a calm green ledger".to_owned(), None).await.unwrap());
    }

    #[test]
    fn nobody_has_a_hash_that_really_is_computed() {
        assert!(PasswordHash::new(NOBODY).is_ok());
    }

    #[test]
    fn short_long_and_monotonous_passwords_are_refused() {
        assert!(check("short").is_err());
        assert!(check(&"x".repeat(13)).is_err());
        assert!(check(&"ab".repeat(200)).is_err());
        assert!(check("correct horse battery").is_ok());
    }
}
