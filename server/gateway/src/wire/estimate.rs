//! How many tokens a request's input has at most, without the model's tokenizer.
//!
//! Every known tokenizer of language models falls back to bytes, so a text never has more tokens
//! than bytes. Runs of ASCII letters and spaces are words in all of them: no more than one token
//! in two bytes. Everything else (digits, punctuation, other scripts) counts byte by byte. The
//! JSON around the text is counted like text: it stands for the few tokens that a chat template
//! adds around each message. Encoded images are not text: each counts [`IMAGE_TOKENS`].
//!
//! The figure only sizes a reservation; what is booked is what the provider reports.

use memchr::memmem;

/// The most tokens one image takes with the providers that publish a figure.
pub const IMAGE_TOKENS: u64 = 8192;

/// A run of base 64 this long is an encoded file, not text.
const ENCODED: usize = 2048;

/// At most so many input tokens.
pub fn input_tokens(body: &str) -> u64 {
    let bytes = body.as_bytes();
    let (mut halves, mut images, mut at) = (0_u64, 0_u64, 0_usize);
    while at < bytes.len() {
        if let Some(end) = encoded_file(bytes, at) {
            images += 1;
            at = end;
            continue;
        }
        halves += if bytes[at].is_ascii_alphabetic() || bytes[at] == b' ' { 1 } else { 2 };
        at += 1;
    }
    let linked =
        count(body, "\"image_url\"") + count(body, "\"input_audio\"") + count(body, "\"type\":\"image\"");
    halves.div_ceil(2) + images.max(linked) * IMAGE_TOKENS
}

/// Where an encoded file that starts here ends: a long unbroken run of base 64 right after the
/// marks that both dialects put before one. Text that merely looks like base 64 stays text.
fn encoded_file(bytes: &[u8], at: usize) -> Option<usize> {
    let before = &bytes[..at];
    if !matches!(before.last(), Some(b',' | b'"')) {
        return None;
    }
    let marked =
        [&b";base64,"[..], b"\"data\":\"", b"\"data\": \""].iter().any(|mark| before.ends_with(mark));
    if !marked {
        return None;
    }
    let length = bytes[at..]
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')))
        .unwrap_or(bytes.len() - at);
    (length >= ENCODED).then_some(at + length)
}

fn count(body: &str, what: &str) -> u64 {
    memmem::find_iter(body.as_bytes(), what).count() as u64
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
    use super::*;

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
