//! Addresses: every filter, tab and open dialog is in the query.

use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// One value of the query; empty when it is not there.
pub fn value(name: &str) -> String {
    use_query_map().with_untracked(|query| query.get(name)).unwrap_or_default()
}

/// Every value of that name: what ticked boxes of a form without script leave.
pub fn values(name: &str) -> Vec<String> {
    use_query_map().with_untracked(|query| query.get_all(name)).unwrap_or_default()
}

/// This page with some values of its query set or, with none, taken away: `/users?a=1&b=2`. With its
/// path: a page that answers a form without script stands at the form's address.
pub fn href(set: &[(&str, Option<&str>)]) -> String {
    let mut query: ParamsMap = use_query_map().get_untracked();
    for (name, value) in set {
        match value {
            Some(value) if !value.is_empty() => query.replace((*name).to_owned(), (*value).to_owned()),
            _ => {
                query.remove(name);
            }
        }
    }
    let pairs: Vec<String> =
        query.into_iter().map(|(name, value)| format!("{}={}", encoded(&name), encoded(&value))).collect();
    let path = leptos_router::hooks::use_location().pathname.get_untracked();
    if pairs.is_empty() { path } else { format!("{path}?{}", pairs.join("&")) }
}

/// The words of a list in the address with one more, or without one.
pub fn turned(name: &str, id: &str, there: bool) -> String {
    let now = value(name);
    let mut ids: Vec<&str> = now.split(',').filter(|part| !part.is_empty() && *part != id).collect();
    if there {
        ids.push(id);
    }
    ids.join(",")
}

/// Text as one value of a query.
pub fn encoded(text: &str) -> impl std::fmt::Display {
    /// All but letters, digits and what RFC 3986 calls unreserved: ids stay readable.
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    percent_encoding::utf8_percent_encode(text, RESERVED)
}

/// What is said of a word of an address that says nothing here, without its full stop: it goes on with
/// what is taken instead, if anything is.
pub fn nothing_called(text: &str) -> String {
    let text: String = text.chars().take(40).collect();
    format!("There is nothing called “{text}” to choose")
}
