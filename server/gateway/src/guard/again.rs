//! Fields that say the text of an answer a second time, in pieces of a token each: what is masked in the
//! text could be read there. Where something may be masked or refused, they go out empty.

use bytes::Bytes;
use domain::guardrails::{Action, Guardrails};
use serde::de::IgnoredAny;

/// Their names, as they stand in JSON: what tokens were likely, and reasoning beside its own text.
const NAMES: [&[u8]; 2] = [b"\"logprobs\"", b"\"reasoning_details\""];

/// An answer, or an event of one, without what these fields say.
pub fn without(rails: Guardrails, text: Bytes) -> Bytes {
    if rails.iter().all(|(_, action)| action == Action::Observe) {
        return text;
    }
    let mut places: Vec<_> = NAMES.iter().flat_map(|name| values(&text, name)).collect();
    if places.is_empty() {
        return text;
    }
    places.sort_unstable();
    let mut rest = Vec::with_capacity(text.len());
    let mut from = 0;
    // One may be within another, which is gone by then.
    for (start, end) in places {
        if start >= from {
            rest.extend_from_slice(&text[from..start]);
            rest.extend_from_slice(if text[start] == b'[' { b"[]" } else { b"null" });
            from = end;
        }
    }
    rest.extend_from_slice(&text[from..]);
    rest.into()
}

/// Where the values of a field begin and end. Within a text a quote has a stroke before it, so the name
/// with its quotes stands nowhere else.
fn values(text: &[u8], name: &[u8]) -> Vec<(usize, usize)> {
    let ends = memchr::memmem::find_iter(text, name).map(|at| at + name.len());
    let value = |end: usize| {
        let behind = text[end..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let start = text.len() - behind.len();
        let mut values = serde_json::Deserializer::from_slice(behind).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        Some((start, start + values.byte_offset()))
    };
    ends.filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use domain::guardrails::Guard;

    use super::*;

    #[test]
    fn what_says_a_text_again_is_empty_and_everything_else_stays() {
        let rails = |action| Guardrails::default().with(Guard::Email, Some(action));
        for (text, rest) in [
            (r#"{"a":1}"#, r#"{"a":1}"#),
            (r#"{"logprobs":null,"a":1}"#, r#"{"logprobs":null,"a":1}"#),
            (
                r#"{"logprobs" : {"content":[{"token":"a","top_logprobs":[]}]} ,"a":"é"}"#,
                r#"{"logprobs" : null ,"a":"é"}"#,
            ),
            (
                r#"data: {"delta":"a","logprobs":[{"token":"a","logprobs":[7]}]}"#,
                r#"data: {"delta":"a","logprobs":[]}"#,
            ),
            (
                r#"{"delta":{"reasoning":"x","reasoning_details":[{"text":"x"}]},"logprobs":{}}"#,
                r#"{"delta":{"reasoning":"x","reasoning_details":[]},"logprobs":null}"#,
            ),
            (r#"{"content":"say \"logprobs\": {\"a\"}"}"#, r#"{"content":"say \"logprobs\": {\"a\"}"}"#),
            (r#"["logprobs", {"content":"logprobs"}]"#, r#"["logprobs", {"content":"logprobs"}]"#),
        ] {
            let text = Bytes::from(text);
            assert_eq!(without(rails(Action::Mask), text.clone()), rest);
            assert_eq!(without(rails(Action::Refuse), text.clone()), rest);
            assert_eq!(without(rails(Action::Observe), text.clone()), text);
        }
    }
}
