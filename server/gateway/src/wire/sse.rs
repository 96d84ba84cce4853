//! Server-sent events, looked at while they pass.
//!
//! Bytes go on as they came, event by event: an incomplete one is kept until the rest of it has
//! come, because a client could not have read it anyway. When the rest never comes it is left out:
//! half a character, or half a JSON document, is an error of its own in the official SDKs, and the
//! client would not hear the dialect's.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

/// An event larger than this is passed on without being looked at.
const EVENT_MAX: usize = 16 << 20;

/// What to do with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Goes to the client.
    Pass,
    /// Stays here: the client did not ask for it.
    Hide,
}

/// Pieces for the client, in order.
pub type Pieces = SmallVec<[Bytes; 4]>;

/// Cuts a stream of bytes into events.
#[derive(Debug, Default)]
pub struct Splitter {
    partial: BytesMut,
    /// The event that is coming was too large to be kept: its beginning has gone on unseen.
    unseen: bool,
}

impl Splitter {
    /// Takes a chunk; shows each event that it completes to `look`; returns what goes on now.
    pub fn feed(&mut self, chunk: Bytes, mut look: impl FnMut(&[u8]) -> Verdict) -> Pieces {
        let mut pieces = Pieces::new();
        let mut rest = chunk;
        if !self.partial.is_empty() {
            // Only the end of the partial event and the new chunk can hold its boundary.
            let seen = self.partial.len().saturating_sub(3);
            self.partial.extend_from_slice(&rest);
            let Some(end) = boundary(&self.partial[seen..]).map(|end| seen + end) else {
                self.keep_bounded(&mut pieces);
                return pieces;
            };
            let taken = end - (self.partial.len() - rest.len());
            let event = std::mem::take(&mut self.partial).freeze().slice(..end);
            let unseen = std::mem::take(&mut self.unseen);
            let verdict = if unseen { Verdict::Pass } else { look(&event) };
            if verdict == Verdict::Pass {
                pieces.push(event);
            }
            rest = rest.slice(taken..);
        }
        let (mut start, mut from) = (0, 0);
        while let Some(end) = boundary(&rest[from..]).map(|end| from + end) {
            if look(&rest[from..end]) == Verdict::Hide {
                if start < from {
                    pieces.push(rest.slice(start..from));
                }
                start = end;
            }
            from = end;
        }
        if start < from {
            pieces.push(rest.slice(start..from));
        }
        self.partial.extend_from_slice(&rest[from..]);
        self.keep_bounded(&mut pieces);
        pieces
    }

    /// Whether the beginning of an event has gone on, and its end has not.
    pub const fn within_event(&self) -> bool {
        self.unseen
    }

    /// An endless event is passed on unseen instead of filling the memory. Only the bytes that may
    /// begin its end are kept.
    fn keep_bounded(&mut self, pieces: &mut Pieces) {
        if self.partial.len() > EVENT_MAX {
            pieces.push(self.partial.split_to(self.partial.len() - 3).freeze());
            self.partial = BytesMut::from(&self.partial[..]);
            self.unseen = true;
        }
    }

    /// The stream broke off. What was left of an event is looked at as one, for what it used, and
    /// does not go on. Whether the client has its beginning: only if it was too large to be kept.
    pub fn abandon(&mut self, look: impl FnMut(&[u8]) -> Verdict) -> bool {
        let begun = self.unseen;
        self.end(look);
        begun
    }

    /// The stream has ended: what was left of an event, looked at as one.
    pub fn end(&mut self, mut look: impl FnMut(&[u8]) -> Verdict) -> Option<Bytes> {
        let rest = std::mem::take(&mut self.partial).freeze();
        if rest.is_empty() {
            return None;
        }
        let verdict = if self.unseen { Verdict::Pass } else { look(&rest) };
        (verdict == Verdict::Pass).then_some(rest)
    }
}

/// Just behind the first empty line: `\n\n`, `\r\n\r\n` or `\r\r`, mixed as they may be.
fn boundary(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'\n', b'\r', &bytes[at..]) {
        let first = at + found;
        let after = line_end(bytes, first)?;
        match bytes.get(after)? {
            b'\n' => return Some(after + 1),
            // A carriage return at the very end may still be followed by its line feed.
            b'\r' => return line_end(bytes, after),
            _ => at = after,
        }
    }
    None
}

/// Behind the line end at `at`; none when a `\r` is the last byte and its `\n` may yet come.
fn line_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes[at] {
        b'\n' => Some(at + 1),
        _ => match bytes.get(at + 1) {
            Some(b'\n') => Some(at + 2),
            Some(_) => Some(at + 1),
            None => None,
        },
    }
}

/// The data of an event: its `data:` lines. Almost always there is one, borrowed as it is.
pub fn data(event: &[u8]) -> SmallVec<[&[u8]; 2]> {
    event
        .split(|&byte| byte == b'\n' || byte == b'\r')
        .filter_map(|line| line.strip_prefix(b"data:"))
        .map(|line| line.strip_prefix(b" ").unwrap_or(line))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds a stream in chunks of a size; returns the events seen and the bytes passed on.
    fn run(stream: &[u8], size: usize, hides: bool) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut splitter = Splitter::default();
        let (mut seen, mut passed) = (Vec::new(), Vec::new());
        let mut look = |event: &[u8]| {
            seen.push(event.to_vec());
            let hide = hides && memchr::memmem::find(event, b"hide").is_some();
            if hide { Verdict::Hide } else { Verdict::Pass }
        };
        for chunk in stream.chunks(size) {
            for piece in splitter.feed(Bytes::copy_from_slice(chunk), &mut look) {
                passed.extend_from_slice(&piece);
            }
        }
        if let Some(rest) = splitter.end(&mut look) {
            passed.extend_from_slice(&rest);
        }
        (seen, passed)
    }

    const STREAM: &[u8] = "event: a\ndata: {\"é\":1}\n\ndata: two\r\n\r\n: comment\n\ndata: hide me\n\ndata: [DONE]\n\ndata: rest".as_bytes();

    #[test]
    fn every_way_to_cut_the_stream_gives_the_same_events_and_bytes() {
        let (whole, _) = run(STREAM, STREAM.len(), true);
        assert_eq!(whole.len(), 6);
        for size in 1..STREAM.len() {
            let (seen, passed) = run(STREAM, size, false);
            assert_eq!(seen.concat(), STREAM, "chunks of {size}");
            assert_eq!(seen, whole, "chunks of {size}");
            assert_eq!(passed, STREAM, "chunks of {size}");
            let (_, without) = run(STREAM, size, true);
            let expected = String::from_utf8_lossy(STREAM).replace("data: hide me\n\n", "");
            assert_eq!(String::from_utf8_lossy(&without), expected, "chunks of {size}");
        }
    }

    #[test]
    fn what_broke_off_inside_an_event_is_seen_and_does_not_go_on() {
        let mut splitter = Splitter::default();
        let mut seen = Vec::new();
        let mut look = |event: &[u8]| {
            seen.push(event.to_vec());
            Verdict::Pass
        };
        let cut = b"data: one\n\ndata: two \xe2\x82";
        let passed = splitter.feed(Bytes::from_static(cut), &mut look).concat();
        assert_eq!(passed, b"data: one\n\n");
        assert!(!splitter.abandon(&mut look), "nothing of it has gone out");
        assert_eq!(seen, [&cut[..11], &cut[11..]]);
    }

    #[test]
    fn data_is_read_with_and_without_the_space() {
        let lines = data(b"event: x\ndata: one\r\ndata:two\n\n");
        assert_eq!(lines.as_slice(), [&b"one"[..], b"two"]);
    }
}
