//! Where a page of sessions starts, as an address says it.

use chrono::DateTime;
use domain::call_sessions::{CallSession, SessionKey};
use store::call_sessions::After;

/// The session after which a page starts. Anything else: the first page.
pub fn read_after(text: &str) -> Option<After> {
    let mut parts = text.splitn(4, '~');
    let at = DateTime::from_timestamp_micros(parts.next()?.parse().ok()?)?;
    let (application, user) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(After { at, key: SessionKey { application, user, label: parts.next()?.to_owned() } })
}

/// The same, written.
pub fn write_after(last: &CallSession) -> String {
    let SessionKey { application, user, label } = &last.key;
    format!("{}~{application}~{user}~{label}", last.last_at.timestamp_micros())
}
