//! What a request id says by itself of a refusal.
//!
//! A refused call may leave no trace: nobody knows whose it was, the database does not answer, or so many
//! come that not each is kept. Its request id says why and when all the same: it is a UUID of version 8
//! with the moment in its first 48 bits, as version 7 has it, then in 12 bits why, then what keeps ids
//! apart, and in its last 32 bits a mark that only this installation can make.

use crate::ids::CallId;

const VERSION: u128 = 0xf << 76;
const REASON: u128 = 0xfff << 64;
const MARK: u128 = 0xffff_ffff;

/// Why a call was refused, as far as its id says it. The numbers stand in ids that were given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It brought no secret.
    NoSecret = 1,
    /// What it brought cannot be one of ours.
    NotASecret = 2,
    /// Well formed, and not among those that open something.
    UnknownSecret = 3,
    /// Rotated, and its grace period is over.
    RotatedSecret = 4,
    /// Its person is suspended, has left the groups it was for, or these have ended.
    OrphanedSecret = 5,
    /// The body or its parameters are wrong.
    BadRequest = 6,
    /// The body is too large.
    TooLarge = 7,
    /// There is no such route.
    UnknownRoute = 8,
    /// Closed, unknown, not reviewed, not priced; or the group has ended.
    ModelNotFound = 9,
    /// The key excludes the model.
    ModelNotAllowed = 10,
    /// Nobody has agreed yet.
    RequiresApproval = 11,
    /// The key does without a feature.
    FeatureNotAllowed = 12,
    /// Money is out.
    BudgetExceeded = 13,
    /// A day-or-longer quota is out.
    QuotaExceeded = 14,
    /// Calls in flight hold what is left.
    Busy = 15,
    /// A minute or hour quota, or calls at once.
    RateLimited = 16,
    /// Facts or reservation could not be had.
    Unavailable = 17,
    /// Bursar ended it.
    Ended = 18,
    /// The input has something in it that the key refuses.
    GuardrailRefused = 19,
    /// An answer to go on from that is not this application's.
    AnswerNotFound = 20,
    /// The provider broke, or could not be reached.
    UpstreamError = 21,
    /// The provider did not answer in time.
    UpstreamTimeout = 22,
}

impl Told {
    /// All of them, by number.
    pub const ALL: [Self; 22] = [
        Self::NoSecret,
        Self::NotASecret,
        Self::UnknownSecret,
        Self::RotatedSecret,
        Self::OrphanedSecret,
        Self::BadRequest,
        Self::TooLarge,
        Self::UnknownRoute,
        Self::ModelNotFound,
        Self::ModelNotAllowed,
        Self::RequiresApproval,
        Self::FeatureNotAllowed,
        Self::BudgetExceeded,
        Self::QuotaExceeded,
        Self::Busy,
        Self::RateLimited,
        Self::Unavailable,
        Self::Ended,
        Self::GuardrailRefused,
        Self::AnswerNotFound,
        Self::UpstreamError,
        Self::UpstreamTimeout,
    ];

    /// Why, in one sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NoSecret => "It brought no secret, so nobody knows who called.",
            Self::NotASecret => {
                "What it brought as a secret cannot be one of Bursar's: it is another service's, cut short or mistyped."
            }
            Self::UnknownSecret => {
                "Its secret is not known here: it was revoked, has run out, or belongs to another installation."
            }
            Self::RotatedSecret => "Its secret was rotated, and the grace period of the old one is over.",
            Self::OrphanedSecret => {
                "Its secret belongs to somebody who is suspended, or is in no open group any more that the key is for."
            }
            Self::BadRequest => "It was not well formed, so there was nothing to decide.",
            Self::TooLarge => "Its body is larger than Bursar takes.",
            Self::UnknownRoute => "It went to a route that does not exist here.",
            Self::ModelNotFound => {
                "There was no such model for its key: closed, unknown, not reviewed or without a price; or its group has ended."
            }
            Self::ModelNotAllowed => "Its key is narrowed to other models.",
            Self::RequiresApproval => "The model is open by request only, and nobody had agreed.",
            Self::FeatureNotAllowed => "It wanted to use something that is turned off in its key.",
            Self::BudgetExceeded => "A limit of money that applies to it was used up.",
            Self::QuotaExceeded => "A quota that applies to it was used up.",
            Self::Busy => "The money that was left was held by calls in flight.",
            Self::RateLimited => "Too many calls, or too much, within a minute or an hour, or at once.",
            Self::Unavailable => {
                "Bursar could not check its rules and limits at that moment, and lets nothing through unchecked."
            }
            Self::Ended => "Bursar ended it.",
            Self::GuardrailRefused => "Its input has something in it that its key lets nobody send.",
            Self::AnswerNotFound => "It goes on from an answer that is not its application's.",
            Self::UpstreamError => "The provider could not be reached, or refused Bursar's own credential.",
            Self::UpstreamTimeout => "The provider did not answer in time.",
        }
    }

    /// The cheapest thing that would make such a call go through.
    pub const fn help(self) -> &'static str {
        match self {
            Self::NoSecret => "Send a secret as a bearer token, in x-api-key or in api-key.",
            Self::NotASecret | Self::UnknownSecret | Self::RotatedSecret => {
                "Make a secret of your own, or ask whoever looks after the application for its new one."
            }
            Self::OrphanedSecret => "Use a secret of a group you are in.",
            Self::BadRequest => "Correct what the answer names, and call again.",
            Self::TooLarge => "Send less at once, or by a link.",
            Self::UnknownRoute => "Call one of the routes that the answer lists.",
            Self::ModelNotFound | Self::ModelNotAllowed => "Call a model of yours.",
            Self::RequiresApproval => "Ask for the model.",
            Self::FeatureNotAllowed => "Call without it, or ask whoever looks after the application.",
            Self::BudgetExceeded | Self::QuotaExceeded => {
                "Wait until the limit's window is over, or ask for more."
            }
            Self::Busy | Self::RateLimited | Self::Unavailable => "Call again in a moment.",
            Self::Ended => "Call again.",
            Self::GuardrailRefused => "Take out what the answer names, and call again.",
            Self::AnswerNotFound => "Go on from an answer of the same application, or begin anew.",
            Self::UpstreamError | Self::UpstreamTimeout => {
                "Call again later, or call a policy that goes on to another model."
            }
        }
    }

    /// Whether what would help is on one's own page of models and secrets.
    pub const fn at_my_models(self) -> bool {
        matches!(
            self,
            Self::NoSecret
                | Self::NotASecret
                | Self::UnknownSecret
                | Self::RotatedSecret
                | Self::OrphanedSecret
                | Self::ModelNotFound
                | Self::ModelNotAllowed
                | Self::RequiresApproval
                | Self::BudgetExceeded
                | Self::QuotaExceeded
        )
    }
}

/// The id of a refused call, of the id it had until then. `mark`: a keyed hash of the twelve bytes it is
/// given.
pub fn telling(id: CallId, told: Told, mark: impl FnOnce(&[u8]) -> u32) -> CallId {
    let kept = id.0.as_u128() & !(VERSION | REASON | MARK);
    let bits = kept | (8 << 76) | ((told as u128) << 64);
    let bits = bits | u128::from(mark(&bits.to_be_bytes()[..12]));
    CallId(uuid::Uuid::from_u128(bits))
}

/// Why, when an id says it and was made here.
pub fn told(id: CallId, mark: impl FnOnce(&[u8]) -> u32) -> Option<Told> {
    let bits = id.0.as_u128();
    let number = (bits & REASON) >> 64;
    let told = Told::ALL.into_iter().find(|told| *told as u128 == number)?;
    let ours = bits & VERSION == 8 << 76 && bits & MARK == u128::from(mark(&bits.to_be_bytes()[..12]));
    ours.then_some(told)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const MINTED: u128 = 0x0193_4f00_7abc_7def_8123_4567_89ab_cdef;

    fn mark(bytes: &[u8]) -> u32 {
        bytes.iter().fold(7, |sum, byte| sum.rotate_left(5) ^ u32::from(*byte))
    }

    #[test]
    fn an_id_says_why_and_when() {
        let id = CallId(Uuid::from_u128(MINTED));
        for telling_why in Told::ALL {
            let telling = telling(id, telling_why, mark);
            assert_eq!(told(telling, mark), Some(telling_why));
            assert_eq!(telling.minted_at(), id.minted_at(), "the moment stays");
            assert_eq!(telling.0.get_version_num(), 8);
        }
    }

    #[test]
    fn an_id_that_was_made_up_or_changed_says_nothing() {
        let id = CallId(Uuid::from_u128(MINTED));
        assert_eq!(told(id, mark), None, "a call that was not refused");
        let telling = telling(id, Told::UnknownSecret, mark).0.as_u128();
        for bit in 0..128 {
            let changed = CallId(Uuid::from_u128(telling ^ (1 << bit)));
            assert_eq!(told(changed, mark), None, "bit {bit}");
        }
        assert_eq!(told(CallId(Uuid::from_u128(telling)), |_| 0), None, "another installation");
    }

    #[test]
    fn calls_of_the_same_moment_keep_ids_of_their_own() {
        let ids = (0..100_u128).map(|n| CallId(Uuid::from_u128(MINTED ^ (n << 32))));
        let ids: std::collections::HashSet<u128> =
            ids.map(|id| telling(id, Told::Busy, mark).0.as_u128()).collect();
        assert_eq!(ids.len(), 100);
    }
}
