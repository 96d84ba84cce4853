//! The one clock and the one source of ids. Everything else takes time and ids as arguments.

use chrono::{DateTime, SubsecRound, Utc};
use uuid::Uuid;

/// Now, to the microsecond: what Postgres keeps.
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// A new id: a UUID of version 7, in order of creation.
#[expect(clippy::disallowed_methods, reason = "this is the one source of ids")]
pub fn id<Id: From<Uuid>>() -> Id {
    Id::from(Uuid::now_v7())
}
