//! Identifiers: one type per noun, so that a user can never be passed where a group is meant.
//!
//! An id is a UUID (version 7, minted on the server). People and programs see it with the prefix
//! of its noun and 26 characters of Crockford base 32: `grp_01ja3m…`. An id is not a secret.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// Crockford's alphabet in lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Why a text is not an id of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnId {
    /// The prefix that was expected, for instance `grp`.
    pub expected: &'static str,
}

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected an id like {}_01ja3m…", self.expected)
    }
}

impl std::error::Error for NotAnId {}

fn encode(prefix: &str, id: Uuid, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let bits = id.as_u128();
    let mut text = [0_u8; 26];
    for (place, slot) in text.iter_mut().enumerate() {
        // 26 places of 5 bits hold 130: the first place carries only the top three.
        let shift = 5 * (25 - place);
        *slot = ALPHABET[((bits >> shift) & 31) as usize];
    }
    let text = std::str::from_utf8(&text).map_err(|_| fmt::Error)?;
    write!(out, "{prefix}_{text}")
}

fn decode(prefix: &str, text: &str) -> Option<Uuid> {
    let digits = text.strip_prefix(prefix)?.strip_prefix('_')?;
    if digits.len() != 26 || digits.as_bytes()[0] > b'7' {
        return None;
    }
    let mut bits = 0_u128;
    for byte in digits.bytes() {
        let value = ALPHABET.iter().position(|&letter| letter == byte)?;
        bits = (bits << 5) | value as u128;
    }
    Some(Uuid::from_u128(bits))
}

/// What an id of any noun says, in the form people see or as a plain UUID.
pub fn of_any(text: &str) -> Option<Uuid> {
    let (prefix, _) = text.split_once('_').unwrap_or_default();
    let said = (prefix.len() == 3).then(|| decode(prefix, text)).flatten();
    said.or_else(|| Uuid::parse_str(text).ok())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $Id:ident = $prefix:literal;)+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $Id(pub Uuid);

        // Deciding looks dozens of ids up: half the bytes is half the hashing, and ids differ in both
        // halves.
        impl Hash for $Id {
            fn hash<H: Hasher>(&self, state: &mut H) {
                let (high, low) = self.0.as_u64_pair();
                state.write_u64(high ^ low);
            }
        }

        impl $Id {
            /// What its text form starts with.
            pub const PREFIX: &'static str = $prefix;

            /// What stands for none of them where there has to be one.
            pub const NIL: Self = Self(Uuid::nil());
        }

        impl fmt::Display for $Id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                encode($prefix, self.0, f)
            }
        }

        impl fmt::Debug for $Id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                encode($prefix, self.0, f)
            }
        }

        impl FromStr for $Id {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                decode($prefix, text).map(Self).ok_or(NotAnId { expected: $prefix })
            }
        }

        impl From<Uuid> for $Id {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl Serialize for $Id {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                // Where nobody reads it, sixteen bytes will do.
                if to.is_human_readable() { to.collect_str(self) } else { self.0.serialize(to) }
            }
        }

        impl<'de> Deserialize<'de> for $Id {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                if !from.is_human_readable() {
                    return Uuid::deserialize(from).map(Self);
                }
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )+ };
}

ids! {
    /// One sign-in of a browser.
    SessionId = "ses";
    /// A person's sign-in, across organizations.
    AccountId = "acc";
    /// The tenant.
    OrgId = "org";
    /// A person in one organization.
    UserId = "usr";
    /// A node of the group tree.
    GroupId = "grp";
    /// One person's time in one group.
    MembershipId = "mem";
    /// A service, or a person's private context.
    ApplicationId = "app";
    /// The one key of an application.
    KeyId = "key";
    /// One string a client sends.
    SecretId = "sec";
    /// An upstream.
    ProviderId = "prv";
    /// A catalogue entry.
    ModelId = "mdl";
    /// A class of models.
    TierId = "tir";
    /// A rule: who × what → open, by request, closed.
    AuthorizationId = "aut";
    /// Somebody asks for a model.
    RequestId = "ask";
    /// An approved request.
    GrantId = "grt";
    /// A cap on a scope.
    LimitId = "lim";
    /// A named route.
    PolicyId = "pol";
    /// A price list somebody brought.
    PriceListId = "lst";
    /// What a provider billed.
    InvoiceId = "inv";
    /// A change to many people, or of many authorizations, at once.
    BatchId = "bat";
    /// One line that tells a person something.
    NoticeId = "ntc";
    /// One mail.
    MailId = "mai";
    /// Something that was noticed about money.
    AlertId = "alr";
    /// Where a program is told of alerts.
    WebhookId = "whk";
    /// One message to a webhook.
    DeliveryId = "dlv";
    /// What ended with somebody's suspension or removal.
    ReceiptId = "rec";
    /// A look at who still needs what.
    ReviewId = "rev";
    /// One line of such a look.
    ReviewItemId = "rvi";
    /// A change that is tried on recorded calls before it is saved.
    RehearsalId = "reh";
    /// A pinned test of who may use what.
    AccessTestId = "tst";
    /// One call through the gateway; also its request id.
    CallId = "req";
}

impl CallId {
    /// When it was minted, in milliseconds since 1970; none for an id that does not say. One that tells
    /// of a refusal (version 8) says it where others do.
    pub const fn minted_at(self) -> Option<i64> {
        let (high, _) = self.0.as_u64_pair();
        match (high >> 12) & 0xf {
            7 | 8 => Some((high >> 16).cast_signed()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_form() {
        for bits in [0, 1, u128::MAX, 0x0193_4f00_7abc_7def_8123_4567_89ab_cdef] {
            let id = GroupId(Uuid::from_u128(bits));
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.to_string().len(), 30);
        }
    }

    #[test]
    fn an_id_of_another_noun_is_refused() {
        let user = UserId(Uuid::from_u128(7)).to_string();
        assert_eq!(user.parse::<GroupId>(), Err(NotAnId { expected: "grp" }));
    }

    #[test]
    fn text_that_would_overflow_or_uses_other_letters_is_refused() {
        for text in [
            "",
            "grp",
            "grp_",
            "grp_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "grp_0000000000000000000000000u",
            "grp_00000000000000000000000000 ",
        ] {
            assert!(text.parse::<GroupId>().is_err(), "{text}");
        }
    }
}
