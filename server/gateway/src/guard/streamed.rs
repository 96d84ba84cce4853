//! Looks into an answer while it streams, for a key that wants that.
//!
//! Text comes in pieces, and what is looked for may stand across any of them. So of each text (a
//! choice, a block, the arguments of a tool) the end is held back as long as something may begin there,
//! and goes on with the next event of the same text, at the latest with what ends it. What is held back
//! is bounded: the words at the end that a number or a name may go on from, [`LONGEST`] bytes at most;
//! of a private key that has begun, [`LONGEST_KEY`].
//!
//! Events stay as they came but for the texts in them, and those only where they have to change.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use domain::{
    guardrails::{Action, Found, Guard, Guardrails},
    ids::CallId,
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use smallvec::SmallVec;
use store::Store;

use super::{Hit, Looked, Text, Where, again, hits, rails_back, refusal, scan, without};
use crate::{
    authenticate::Caller,
    wire::{
        Route,
        refusal::{Kind, Refusal},
        sse,
    },
};

/// Nothing that is looked for is longer, but for private keys.
const LONGEST: usize = 512;

/// No private key is longer.
const LONGEST_KEY: usize = 16 << 10;

/// What stays of a text that has gone on: a word may go on from it.
const BEHIND: usize = 8;

/// More texts than this an answer does not have at a time.
const TEXTS: usize = 512;

/// Begins a private key.
const KEY_BEGINS: &str = "-----BEGIN";

/// Looks into one answer.
pub struct Watch {
    rails: Guardrails,
    route: Route,
    store: Store,
    caller: Caller,
    texts: Vec<Held>,
    looked: Looked,
    /// What ends the answer.
    refused: Vec<Guard>,
}

/// A text that is coming.
#[derive(Debug)]
struct Held {
    key: Key,
    /// Its last letters that have gone on, and everything that has not.
    text: String,
    /// How much of that has gone on.
    gone: usize,
    /// The last event of it, and where its text stands there, quotes included: what is held back goes on
    /// in one like it, when no other comes.
    event: Bytes,
    place: Range<usize>,
}

/// Which text of an answer: of which part, of which piece of that, in which field.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    part: u64,
    piece: u64,
    field: Cow<'static, str>,
}

/// A piece of text in an event.
struct Piece<'a> {
    key: Key,
    raw: &'a RawValue,
}

/// What an event is.
#[derive(Default)]
struct Read<'a> {
    pieces: SmallVec<[Piece<'a>; 2]>,
    /// Texts that end here, before it or with it: those of these parts.
    ends: SmallVec<[u64; 2]>,
    /// All of them.
    ends_all: bool,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("rails", &self.rails)
            .field("texts", &self.texts.len())
            .finish_non_exhaustive()
    }
}

impl Watch {
    /// For a key that looks into answers; none for any other.
    pub fn of(store: &Store, caller: &Caller, route: Route) -> Option<Box<Self>> {
        let rails = rails_back(caller)?;
        Some(Box::new(Self {
            rails,
            route,
            store: store.clone(),
            caller: caller.clone(),
            texts: Vec::new(),
            looked: Looked::default(),
            refused: Vec::new(),
        }))
    }

    /// Takes an event; adds what goes on now. Once something refuses the answer nothing goes on.
    pub fn event(&mut self, event: &[u8], out: &mut Vec<Bytes>) {
        if !self.refused.is_empty() {
            return;
        }
        let event = again::without(self.rails, Bytes::copy_from_slice(event));
        let read = self.read(&event);
        let keys: SmallVec<[Key; 2]> = read.pieces.iter().map(|piece| piece.key.clone()).collect();
        let ends = |key: &Key| read.ends_all || read.ends.contains(&key.part);
        // What another text of the same part has held back goes first: they do not run into one another.
        let over =
            |key: &Key| !keys.contains(key) && (ends(key) || keys.iter().any(|new| new.part == key.part));
        self.go_on(over, out);
        if read.pieces.is_empty() {
            self.whole(event.clone(), out);
            return;
        }
        let mut edits: SmallVec<[(Range<usize>, String); 2]> = SmallVec::new();
        for piece in &read.pieces {
            let Ok(Text(new)) = serde_json::from_str(piece.raw.get()) else { continue };
            let start = piece.raw.get().as_ptr() as usize - event.as_ptr() as usize;
            let place = start..start + piece.raw.get().len();
            let last = ends(&piece.key);
            let goes = self.text(&piece.key, &new, (&event, place.clone()), last);
            if goes != *new {
                edits.push((place, Value::String(goes).to_string()));
            }
        }
        if !self.refused.is_empty() {
            return;
        }
        out.push(spliced(&event, &mut edits));
    }

    /// Everything that is held back, as the stream ends here.
    pub fn end(&mut self, out: &mut Vec<Bytes>) {
        if self.refused.is_empty() {
            self.go_on(|_| true, out);
        }
    }

    /// An event that was too large to be looked into.
    pub fn too_large(&mut self) {
        if self.refused.is_empty() {
            self.refused = self.rails.iter().map(|(guard, _)| guard).collect();
            self.looked.names.clear();
        }
    }

    /// What ends the answer, if anything does.
    pub fn refusal(&self) -> Option<Refusal> {
        if self.refused.is_empty() {
            return None;
        }
        if self.looked.counts.is_empty() {
            let message = "An event of the answer was too large to be looked into, so it was ended there.";
            return Some(Refusal::new(Kind::GuardrailRefused, self.id(), message));
        }
        Some(refusal(&self.caller, &self.refused, self.looked.names.clone(), Where::Answer))
    }

    fn id(&self) -> CallId {
        self.caller.id
    }

    /// What was found so far.
    pub fn found(&self) -> Vec<Found> {
        let mut found = self.looked.found(self.rails).0;
        found.sort_unstable_by_key(|found| found.guard);
        found
    }

    /// Lets go what these texts hold back, each in an event like its last.
    fn go_on(&mut self, over: impl Fn(&Key) -> bool, out: &mut Vec<Bytes>) {
        let (done, rest) = std::mem::take(&mut self.texts).into_iter().partition(|held| over(&held.key));
        self.texts = rest;
        for mut held in done {
            let goes = self.take(&mut held, true);
            if !self.refused.is_empty() {
                return;
            }
            if !goes.is_empty() {
                out.push(self.another(held, goes));
            }
        }
    }

    /// An event like the last one of a text, with more of it and nothing else: some clients add up
    /// whatever comes.
    fn another(&self, held: Held, text: String) -> Bytes {
        if matches!(self.route, Route::ChatCompletions | Route::Embeddings)
            && let [data] = sse::data(&held.event).as_slice()
            && let Ok(mut chunk) = serde_json::from_slice::<Value>(data)
        {
            let Key { part, piece, field } = held.key;
            let delta = match field.as_ref() {
                "arguments" => {
                    json!({ "tool_calls": [{ "index": piece, "function": { "arguments": text } }] })
                }
                "input" => json!({ "tool_calls": [{ "index": piece, "custom": { "input": text } }] }),
                "function_call" => json!({ "function_call": { "arguments": text } }),
                "transcript" => json!({ "audio": { "transcript": text } }),
                field => json!({ field: text }),
            };
            chunk["choices"] = json!([{ "index": part, "delta": delta, "finish_reason": null }]);
            return format!("data: {chunk}\n\n").into();
        }
        let mut edit = SmallVec::new();
        edit.push((held.place, Value::String(text).to_string()));
        spliced(&held.event, &mut edit)
    }

    /// More of a text; returns what of it goes on now.
    fn text(&mut self, key: &Key, new: &str, (event, place): (&Bytes, Range<usize>), last: bool) -> String {
        let known = self.texts.iter().position(|held| held.key == *key);
        let mut held = match known {
            Some(at) => self.texts.swap_remove(at),
            None => Held { key: key.clone(), text: String::new(), gone: 0, event: Bytes::new(), place: 0..0 },
        };
        held.text.push_str(new);
        let goes = self.take(&mut held, last || self.texts.len() >= TEXTS);
        if !last {
            (held.event, held.place) = (event.clone(), place);
            self.texts.push(held);
        }
        goes
    }

    /// What of a text can go on: all of it when it is at its end, else all but what may be the beginning
    /// of something.
    fn take(&mut self, held: &mut Held, last: bool) -> String {
        let store = &self.store;
        let found =
            hits(self.rails, &held.text, &|text: &str| store::keys::lookup_hash(store, text).is_some());
        let mut found: Vec<Hit> = found.into_iter().filter(|hit| hit.start >= held.gone).collect();
        let mut until = if last { held.text.len() } else { open_end(&held.text).max(held.gone) };
        if let Some(across) = found.iter_mut().find(|hit| hit.start < until && hit.end > until) {
            if until - across.start <= LONGEST_KEY {
                until = across.start;
            } else {
                across.end = until;
            }
        }
        let certain: Vec<&Hit> = found.iter().filter(|hit| hit.end <= until).collect();
        for hit in &certain {
            self.looked.add(hit);
            if self.rails.get(hit.guard) == Some(Action::Refuse) && !self.refused.contains(&hit.guard) {
                self.refused.push(hit.guard);
            }
        }
        let hidden: Vec<Hit> = certain
            .into_iter()
            .filter(|hit| self.rails.get(hit.guard) == Some(Action::Mask))
            .map(|hit| Hit { start: hit.start - held.gone, end: hit.end - held.gone, ..*hit })
            .collect();
        let goes = without(&held.text[held.gone..until], &hidden.iter().collect::<Vec<_>>());
        let kept = held.text.floor_char_boundary(until.saturating_sub(BEHIND));
        held.text.drain(..kept);
        held.gone = until - kept;
        goes
    }

    /// An event without a piece of a text that is coming: each of its texts is whole.
    fn whole(&mut self, event: Bytes, out: &mut Vec<Bytes>) {
        let store = &self.store;
        let looked = scan(self.rails, &event, |text| store::keys::lookup_hash(store, text).is_some());
        let (_, refused) = looked.found(self.rails);
        // A response says everything again in the end: what was found is counted where it came first.
        let again = self.route == Route::Responses;
        for (guard, count) in &looked.counts {
            match self.looked.counts.iter_mut().find(|(known, _)| known == guard) {
                Some(_) if again => {}
                Some((_, known)) => *known = known.saturating_add(*count),
                None => self.looked.counts.push((*guard, *count)),
            }
        }
        for name in looked.names {
            if !self.looked.names.contains(&name) {
                self.looked.names.push(name);
            }
        }
        self.refused = refused;
        if self.refused.is_empty() {
            out.push(looked.masked.unwrap_or(event));
        }
    }

    fn read<'a>(&self, event: &'a Bytes) -> Read<'a> {
        let data = sse::data(event);
        // One document over several lines is not taken apart: it is looked at as a whole.
        let [data] = data.as_slice() else { return Read::default() };
        match self.route {
            Route::ChatCompletions | Route::Embeddings => chat(data),
            Route::Responses => response(data),
            Route::Messages | Route::CountTokens => message(data),
        }
    }
}

/// The event with other texts in these places.
fn spliced(event: &Bytes, edits: &mut SmallVec<[(Range<usize>, String); 2]>) -> Bytes {
    if edits.is_empty() {
        return event.clone();
    }
    edits.sort_by_key(|(place, _)| place.start);
    let mut text = Vec::with_capacity(event.len() + 64);
    let mut from = 0;
    for (place, new) in edits.iter() {
        text.extend_from_slice(&event[from..place.start]);
        text.extend_from_slice(new.as_bytes());
        from = place.end;
    }
    text.extend_from_slice(&event[from..]);
    text.into()
}

/// Where the words begin at the end of a text that something may go on from: the last word, and those
/// before it that numbers are written in, with spaces between. Or a private key that has begun.
fn open_end(text: &str) -> usize {
    if let Some(begun) = text.rfind(KEY_BEGINS)
        && text.len() - begun <= LONGEST_KEY
        && may_be_key(&text[begun..])
    {
        return begun;
    }
    let furthest = text.floor_char_boundary(text.len().saturating_sub(LONGEST));
    let mut from = text.len();
    let mut first = true;
    loop {
        let before = text[furthest..from].trim_end_matches(char::is_whitespace);
        let start = before
            .rfind(char::is_whitespace)
            .map_or(furthest, |at| furthest + at + before[at..].chars().next().map_or(1, char::len_utf8));
        let word = &text[start..furthest + before.len()];
        if word.is_empty() {
            return from;
        }
        let is_last = std::mem::take(&mut first) && before.len() == from - furthest;
        if !is_last && !of_number(word) {
            return from;
        }
        from = start;
        if from == furthest {
            return from;
        }
    }
}

/// Whether a number may be written with this word in it: digits, signs between them, the letters of a
/// bank account.
fn of_number(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.iter().any(u8::is_ascii_digit)
        || bytes.iter().all(u8::is_ascii_punctuation)
        || (bytes.len() <= 8 && bytes.iter().all(u8::is_ascii_uppercase))
}

/// Whether this can be a private key as far as it has come.
fn may_be_key(text: &str) -> bool {
    let in_key = |byte: &u8| byte.is_ascii_alphanumeric() || b" \t\r\n+/=:,.\\-".contains(byte);
    let head = &text.as_bytes()[..text.len().min(80)];
    let named = text.len() < 64 || memchr::memmem::find(head, b"PRIVATE KEY").is_some();
    named && text.bytes().all(|byte| in_key(&byte))
}

fn is_text(raw: &RawValue) -> bool {
    raw.get().starts_with('"')
}

fn chat(data: &[u8]) -> Read<'_> {
    #[derive(Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        choices: Option<Vec<Choice<'a>>>,
    }
    #[derive(Deserialize)]
    struct Choice<'a> {
        index: Option<u64>,
        #[serde(borrow)]
        delta: Option<Delta<'a>>,
        #[serde(borrow)]
        finish_reason: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Delta<'a> {
        #[serde(borrow)]
        content: Option<&'a RawValue>,
        #[serde(borrow)]
        reasoning_content: Option<&'a RawValue>,
        #[serde(borrow)]
        reasoning: Option<&'a RawValue>,
        #[serde(borrow)]
        refusal: Option<&'a RawValue>,
        #[serde(borrow)]
        audio: Option<Audio<'a>>,
        #[serde(borrow)]
        tool_calls: Option<Vec<ToolCall<'a>>>,
        #[serde(borrow)]
        function_call: Option<Function<'a>>,
    }
    #[derive(Deserialize)]
    struct Audio<'a> {
        #[serde(borrow)]
        transcript: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct ToolCall<'a> {
        index: Option<u64>,
        #[serde(borrow)]
        function: Option<Function<'a>>,
        #[serde(borrow)]
        custom: Option<Function<'a>>,
    }
    #[derive(Deserialize)]
    struct Function<'a> {
        #[serde(borrow)]
        arguments: Option<&'a RawValue>,
        #[serde(borrow)]
        input: Option<&'a RawValue>,
    }
    let mut read = Read::default();
    let Ok(Chunk { choices: Some(choices) }) = serde_json::from_slice::<Chunk<'_>>(data) else {
        // An error, or the mark of the end.
        read.ends_all = true;
        return read;
    };
    for choice in choices {
        let part = choice.index.unwrap_or(0);
        let mut texts: SmallVec<[(u64, &'static str, Option<&RawValue>); 8]> = SmallVec::new();
        if let Some(delta) = choice.delta {
            texts.push((0, "content", delta.content));
            texts.push((0, "reasoning_content", delta.reasoning_content));
            texts.push((0, "reasoning", delta.reasoning));
            texts.push((0, "refusal", delta.refusal));
            texts.push((0, "transcript", delta.audio.and_then(|audio| audio.transcript)));
            for call in delta.tool_calls.into_iter().flatten() {
                let index = call.index.unwrap_or(0);
                for function in [call.function, call.custom].into_iter().flatten() {
                    texts.push((index, "arguments", function.arguments));
                    texts.push((index, "input", function.input));
                }
            }
            let function = delta.function_call.and_then(|function| function.arguments);
            texts.push((0, "function_call", function));
        }
        for (piece, field, raw) in texts {
            if let Some(raw) = raw {
                push_text(&mut read.pieces, part, piece, field, raw);
            }
        }
        if choice.finish_reason.is_some_and(|raw| raw.get() != "null") {
            read.ends.push(part);
        }
    }
    read
}

fn push_text<'a>(
    pieces: &mut SmallVec<[Piece<'a>; 2]>,
    part: u64,
    piece: u64,
    field: &'static str,
    raw: &'a RawValue,
) {
    if is_text(raw) {
        pieces.push(Piece { key: Key { part, piece, field: Cow::Borrowed(field) }, raw });
    }
}

fn message(data: &[u8]) -> Read<'_> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
        index: Option<u64>,
        #[serde(borrow)]
        delta: Option<Delta<'a>>,
    }
    #[derive(Deserialize)]
    struct Delta<'a> {
        #[serde(borrow)]
        text: Option<&'a RawValue>,
        #[serde(borrow)]
        thinking: Option<&'a RawValue>,
        #[serde(borrow)]
        partial_json: Option<&'a RawValue>,
    }
    let mut read = Read::default();
    let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else { return read };
    let part = event.index.unwrap_or(0);
    match event.kind.as_deref() {
        Some("content_block_delta") => {
            let Some(Delta { text, thinking, partial_json }) = event.delta else { return read };
            for (field, raw) in [("text", text), ("thinking", thinking), ("partial_json", partial_json)] {
                if let Some(raw) = raw {
                    push_text(&mut read.pieces, part, 0, field, raw);
                }
            }
        }
        Some("content_block_stop") => read.ends.push(part),
        Some("message_delta" | "message_stop" | "error") => read.ends_all = true,
        _ => {}
    }
    read
}

fn response(data: &[u8]) -> Read<'_> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
        output_index: Option<u64>,
        content_index: Option<u64>,
        summary_index: Option<u64>,
        #[serde(borrow)]
        delta: Option<&'a RawValue>,
    }
    let mut read = Read::default();
    let Ok(event) = serde_json::from_slice::<Event<'_>>(data) else { return read };
    let kind = event.kind.unwrap_or_default();
    let part = event.output_index.unwrap_or(0);
    if let Some(raw) = event.delta.filter(|raw| kind.ends_with(".delta") && is_text(raw)) {
        let piece = event.content_index.or(event.summary_index).unwrap_or(0);
        // A sound in base 64 is data.
        if kind != "response.audio.delta" {
            let key = Key { part, piece, field: Cow::Owned(kind.into_owned()) };
            read.pieces.push(Piece { key, raw });
        }
        return read;
    }
    match kind.as_ref() {
        "response.completed" | "response.incomplete" | "response.failed" | "error" => read.ends_all = true,
        kind if kind.ends_with(".done") => read.ends.push(part),
        _ => {}
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_go_on_is_held_back_and_nothing_else() {
        for (text, held) in [
            ("", ""),
            ("hello", "hello"),
            ("hello ", ""),
            ("write to ada@math", "ada@math"),
            ("write to ada@math.org ", ""),
            ("call +49 30 ", "+49 30 "),
            ("call +49 30 12", "+49 30 12"),
            ("call +49 30 1234567 to", "+49 30 1234567 to"),
            ("call +49 30 1234567 today ", ""),
            ("GB82 WEST 1234", "GB82 WEST 1234"),
            ("in 2026 we met ", ""),
            ("a -----BEGIN RSA PRIVATE KEY-----\nMIIE abc ", "-----BEGIN RSA PRIVATE KEY-----\nMIIE abc "),
            ("a -----BEGIN (of) the end ", ""),
            ("Grüße 世界", "世界"),
        ] {
            assert_eq!(&text[open_end(text)..], held, "{text:?}");
        }
        let long = "9 ".repeat(2_000);
        assert!(long.len() - open_end(&long) <= LONGEST);
        let long = "a".repeat(2_000);
        assert_eq!(long.len() - open_end(&long), LONGEST);
    }
}
