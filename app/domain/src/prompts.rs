//! What calls said, of keys that keep it.

use serde::{Deserialize, Serialize};

/// How many bytes are kept of a request, and of an answer; the rest is cut off.
pub const KEPT_BYTES: usize = 64 << 10;
/// For how many days at most.
pub const DAYS_MAX: i16 = 365;

/// Request and answer of one call, as they were sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// The body of the request.
    pub request: String,
    /// Whether it was longer.
    pub request_cut: bool,
    /// The body of the answer.
    pub answer: String,
    /// Whether it was longer.
    pub answer_cut: bool,
}

/// Some bytes as text, at most so many; and whether there were more. Never in the middle of a letter.
pub fn cut(bytes: &[u8], most: usize) -> (String, bool) {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(most)]);
    let whole = bytes.len() <= most;
    let text = if whole { text.into_owned() } else { text.trim_end_matches('\u{fffd}').to_owned() };
    (text, !whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_ends_with_a_whole_letter() {
        assert_eq!(cut("añb".as_bytes(), 2), ("a".to_owned(), true));
        assert_eq!(cut("añb".as_bytes(), 3), ("añ".to_owned(), true));
        assert_eq!(cut("añb".as_bytes(), 4), ("añb".to_owned(), false));
    }
}
