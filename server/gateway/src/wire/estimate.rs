//! How many tokens a request's input has at most, without the model's tokenizer.
//!
//! Every known tokenizer of language models falls back to bytes, so a text never has more tokens
//! than bytes. Runs of ASCII letters and spaces are words in all of them: no more than one token
//! in two bytes. Everything else (digits, punctuation, other scripts) counts byte by byte. The
//! JSON around the text is counted like text: it stands for the few tokens that a chat template
//! adds around each message. Encoded images are not text: each counts [`IMAGE_TOKENS`].
//!
//! The figure only sizes a reservation; what is booked is what the provider reports.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// The most tokens one image takes with the providers that publish a figure.
pub const IMAGE_TOKENS: u64 = 8192;

/// A run of base 64 this long is an encoded file, not text.
const ENCODED: usize = 2048;

/// What both dialects write before an encoded file.
const MARKS: [&str; 3] = [";base64,", "\"data\":\"", "\"data\": \""];

static MARKED: LazyLock<[Finder<'static>; 3]> = LazyLock::new(|| MARKS.map(Finder::new));
static LINKED: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| ["\"image_url\"", "\"input_audio\"", "\"type\":\"image\""].map(Finder::new));

/// At most so many input tokens.
pub fn input_tokens(body: &str) -> u64 {
    let bytes = body.as_bytes();
    let (mut halves, mut images, mut from) = (0_u64, 0_u64, 0_usize);
    let find =
        |mark: &Finder<'_>, from: usize| mark.find(&bytes[from..]).map(|at| from + at + mark.needle().len());
    let mut next = MARKED.each_ref().map(|mark| find(mark, 0));
    while let Some(start) = next.iter().flatten().min().copied() {
        let mut behind = start;
        if let Some(end) = encoded_file(bytes, start) {
            images += 1;
            halves += text(&bytes[from..start]);
            (from, behind) = (end, end);
        }
        // Whoever is found further on need not be looked for again.
        for (next, mark) in next.iter_mut().zip(MARKED.iter()) {
            if next.is_some_and(|at| at <= behind) {
                // The last quote of one mark may be the first of another.
                *next = find(mark, behind.saturating_sub(1).max(from));
            }
        }
    }
    halves += text(&bytes[from..]);
    let linked: usize = LINKED.iter().map(|mark| mark.find_iter(bytes).count()).sum();
    halves.div_ceil(2) + images.max(linked as u64) * IMAGE_TOKENS
}

/// A text in half tokens. Without a branch, so that the compiler takes many bytes at a time.
fn text(bytes: &[u8]) -> u64 {
    let words: u64 = bytes.iter().map(|&byte| u64::from(byte.is_ascii_alphabetic() || byte == b' ')).sum();
    2 * bytes.len() as u64 - words
}

/// Where an encoded file that starts here ends, behind one of the marks: a long unbroken run of base
/// 64. Text that merely looks like base 64 stays text.
fn encoded_file(bytes: &[u8], at: usize) -> Option<usize> {
    let length = bytes[at..]
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')))
        .unwrap_or(bytes.len() - at);
    (length >= ENCODED).then_some(at + length)
}

/// At most so many tokens in the input of embeddings: texts, or tokens as numbers, which count
/// themselves.
pub fn embedded_tokens(input: &str) -> u64 {
    if memchr::memchr(b'"', input.as_bytes()).is_some() {
        return input_tokens(input);
    }
    let numbers = input.split(|character: char| !character.is_ascii_digit()).filter(|run| !run.is_empty());
    numbers.count() as u64
}

/// At most so many tokens in a text that came back without usage: for calls that have to be booked
/// by what was seen of them.
pub fn output_tokens(bytes: u64) -> u64 {
    bytes.div_ceil(2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Byte by byte, as it is meant.
    fn plainly(body: &str) -> u64 {
        let bytes = body.as_bytes();
        let (mut halves, mut images, mut at) = (0_u64, 0_u64, 0_usize);
        while at < bytes.len() {
            let marked = MARKS.iter().any(|mark| bytes[..at].ends_with(mark.as_bytes()));
            // Looking for the end of a file costs as much as the file is long.
            if marked && let Some(end) = encoded_file(bytes, at) {
                images += 1;
                at = end;
                continue;
            }
            halves += if bytes[at].is_ascii_alphabetic() || bytes[at] == b' ' { 1 } else { 2 };
            at += 1;
        }
        let count = |what: &str| body.matches(what).count() as u64;
        let linked = count("\"image_url\"") + count("\"input_audio\"") + count("\"type\":\"image\"");
        halves.div_ceil(2) + u64::max(images, linked) * IMAGE_TOKENS
    }

    fn piece() -> impl Strategy<Value = String> {
        let marks = MARKS
            .iter()
            .chain(["data\":\"", "\"image_url\"", "\"type\":\"image\"", "\"", ",", " ", "12", "é"].iter());
        prop_oneof![
            proptest::sample::select(marks.map(|mark| (*mark).to_owned()).collect::<Vec<_>>()),
            (500_usize..520).prop_map(|times| "A1b2".repeat(times)),
        ]
    }

    proptest! {
        #[test]
        fn many_bytes_at_a_time_count_as_one_by_one(pieces in proptest::collection::vec(piece(), 0..14)) {
            let body = pieces.concat();
            prop_assert_eq!(input_tokens(&body), plainly(&body));
        }
    }

    #[test]
    fn prose_counts_one_token_in_two_bytes_and_everything_else_byte_by_byte() {
        assert_eq!(input_tokens("the quick brown fox"), 10);
        assert_eq!(input_tokens("12345"), 5);
        assert_eq!(input_tokens("研究"), 6);
        assert_eq!(input_tokens(""), 0);
    }

    #[test]
    fn an_encoded_image_counts_as_an_image_not_as_text() {
        let image = "A1b2".repeat(100_000);
        let body = format!("{{\"url\":\"data:image/png;base64,{image}\"}}");
        let tokens = input_tokens(&body);
        assert!((IMAGE_TOKENS..IMAGE_TOKENS + 100).contains(&tokens), "{tokens}");
    }

    #[test]
    fn a_long_word_that_is_no_file_stays_text() {
        assert_eq!(input_tokens(&"a".repeat(10_000)), 5_000);
    }

    #[test]
    fn tokens_that_come_as_numbers_are_counted() {
        assert_eq!(embedded_tokens("[[15339, 1917], [0]]"), 3);
        assert_eq!(embedded_tokens("[]"), 0);
        assert_eq!(embedded_tokens("[\"12345\"]"), input_tokens("[\"12345\"]"));
    }

    #[test]
    fn a_linked_image_counts_as_one() {
        let body = r#"{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}"#;
        assert!(input_tokens(body) >= IMAGE_TOKENS);
    }
}
