//! What the master key is used for: hashing secrets, sealing credentials, chaining the audit log.
//!
//! One master key, kept outside the database; every use has a key of its own derived from it, so
//! that a hash made for one purpose means nothing for another.

use std::fmt;

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit as _, Payload},
};
use domain::{
    ids::{CallId, MailId, OrgId, ProviderId, WebhookId},
    keys::PlainSecret,
};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{Result, StoreError};

type HmacSha256 = Hmac<Sha256>;

/// The installation's 32 secret bytes.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// From bytes that were read from a file.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new one.
    pub fn generate() -> Self {
        Self(rand::random())
    }

    /// The bytes, to be written to a file that nobody else can read.
    pub const fn reveal(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// What a keyed hash is for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// Secrets that clients send.
    Secret,
    /// Ids of browser sessions.
    Session,
    /// One-time tokens: set-up and invitations.
    Token,
    /// The audit chain.
    Audit,
    /// Calls whose answers are given again.
    Cache,
    /// Ids that tell of a refusal.
    Refusal,
}

/// What a sealed value is bound to: moved to another row, it does not open.
#[derive(Clone, Copy, Debug)]
pub enum SealedFor {
    /// The credential of a provider.
    Provider(OrgId, ProviderId),
    /// What a mail says.
    Mail(OrgId, MailId),
    /// What deliveries of a webhook are signed with.
    Webhook(OrgId, WebhookId),
    /// What a call said.
    Prompt(OrgId, CallId),
}

impl SealedFor {
    fn context(self) -> String {
        match self {
            Self::Provider(org, provider) => format!("{org}/{provider}/credential"),
            Self::Mail(org, mail) => format!("{org}/{mail}/letter"),
            Self::Webhook(org, webhook) => format!("{org}/{webhook}/secret"),
            Self::Prompt(org, call) => format!("{org}/{call}/prompt"),
        }
    }
}

/// Derived keys, ready for use.
pub struct Vault {
    secret: HmacSha256,
    session: HmacSha256,
    token: HmacSha256,
    audit: HmacSha256,
    cache: HmacSha256,
    refusal: HmacSha256,
    sealing: XChaCha20Poly1305,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

fn derive(master: &MasterKey, purpose: &str) -> [u8; 32] {
    let mut mac = keyed(&master.0);
    mac.update(b"bursar/1/");
    mac.update(purpose.as_bytes());
    mac.finalize().into_bytes().into()
}

fn keyed(key: &[u8; 32]) -> HmacSha256 {
    // HMAC takes keys of any length; 32 bytes cannot be refused.
    HmacSha256::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"))
}

impl Vault {
    /// Derives every key.
    pub fn new(master: MasterKey) -> Self {
        let mac = |purpose| keyed(&derive(&master, purpose));
        Self {
            secret: mac("secret"),
            session: mac("session"),
            token: mac("token"),
            audit: mac("audit"),
            cache: mac("cache"),
            refusal: mac("refusal"),
            sealing: XChaCha20Poly1305::new(&derive(&master, "sealing").into()),
        }
    }

    /// A keyed hash of some bytes.
    pub fn hash(&self, purpose: Purpose, bytes: &[u8]) -> [u8; 32] {
        let mut mac = match purpose {
            Purpose::Secret => self.secret.clone(),
            Purpose::Session => self.session.clone(),
            Purpose::Token => self.token.clone(),
            Purpose::Audit => self.audit.clone(),
            Purpose::Cache => self.cache.clone(),
            Purpose::Refusal => self.refusal.clone(),
        };
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }

    /// Encrypts, bound to its row: 24 bytes of nonce, then the sealed text.
    ///
    /// # Errors
    /// Never for texts shorter than 256 GB.
    pub fn seal(&self, bound: SealedFor, plain: &str) -> Result<Vec<u8>> {
        let nonce: [u8; 24] = rand::random();
        let context = bound.context();
        let payload = Payload { msg: plain.as_bytes(), aad: context.as_bytes() };
        let sealed = self
            .sealing
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| StoreError::Unreadable("a value could not be sealed".to_owned()))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Decrypts what [`Vault::seal`] made for the same row.
    ///
    /// # Errors
    /// When it was sealed with another master key, for another row, or was changed.
    pub fn open(&self, bound: SealedFor, sealed: &[u8]) -> Result<String> {
        let unreadable = || {
            StoreError::Unreadable(
                "a sealed value does not open: it was made with another master key, or changed".to_owned(),
            )
        };
        let (nonce, sealed) = sealed.split_first_chunk::<24>().ok_or_else(unreadable)?;
        let context = bound.context();
        let payload = Payload { msg: sealed, aad: context.as_bytes() };
        let plain = self.sealing.decrypt(&XNonce::from(*nonce), payload).map_err(|_| unreadable())?;
        String::from_utf8(plain).map_err(|_| unreadable())
    }
}

/// Base 62 in the order of ASCII.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How many characters a secret has after its prefix: 30 random (178 bits), 6 of checksum.
const RANDOM: usize = 30;
const CHECKSUM: usize = 6;

/// A new secret: prefix, 30 random characters of base 62, and a CRC-32 of those in 6 characters,
/// so that scanners and we can tell a mistyped one without asking anybody (GitHub's scheme).
pub fn new_secret() -> PlainSecret {
    let random = random_base62(RANDOM);
    PlainSecret::new(format!("{}{random}{}", PlainSecret::PREFIX, checksum(&random)))
}

/// Random characters of base 62.
pub fn random_base62(length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        // 62 × 4 = 248: larger bytes are thrown away so that every character is equally likely.
        let byte: u8 = rand::random();
        if byte < 248 {
            text.push(char::from(BASE62[usize::from(byte % 62)]));
        }
    }
    text
}

fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().map(|&digit| char::from(digit)).collect()
}

/// Whether a text has the shape of a secret, checksum included.
pub fn is_secret(text: &str) -> bool {
    let Some(body) = text.strip_prefix(PlainSecret::PREFIX) else { return false };
    body.len() == RANDOM + CHECKSUM
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && checksum(&body[..RANDOM]) == body[RANDOM..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_secret_carries_its_own_checksum_and_one_wrong_character_shows() {
        let secret = new_secret();
        assert!(is_secret(secret.reveal()));
        assert_eq!(secret.reveal().len(), 45);
        let mut wrong = secret.reveal().to_owned();
        let last = if wrong.ends_with('a') { 'b' } else { 'a' };
        wrong.pop();
        wrong.push(last);
        assert!(!is_secret(&wrong));
        assert!(!is_secret("bsr_live_"));
        assert!(!is_secret("sk-something"));
    }

    #[test]
    fn a_sealed_credential_opens_only_in_its_own_row_and_with_its_own_key() {
        let org = OrgId(Uuid::from_u128(1));
        let row = |number| SealedFor::Provider(org, ProviderId(Uuid::from_u128(number)));
        let vault = Vault::new(MasterKey::new([7; 32]));
        let sealed = vault.seal(row(1), "sk-upstream").unwrap();
        assert_eq!(vault.open(row(1), &sealed).unwrap(), "sk-upstream");
        assert!(vault.open(row(2), &sealed).is_err());
        assert!(Vault::new(MasterKey::new([8; 32])).open(row(1), &sealed).is_err());
        assert!(vault.open(row(1), &sealed[..10]).is_err());
    }

    #[test]
    fn nothing_secret_prints() {
        let secret = new_secret();
        let all = format!("{:?} {:?} {:?}", secret, MasterKey::generate(), Vault::new(MasterKey::generate()));
        assert_eq!(all, "PlainSecret(…) MasterKey(…) Vault(…)");
    }
}
