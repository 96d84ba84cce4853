use std::time::Duration;

/// What happens to a call.
#[derive(Clone, Debug)]
pub struct Script {
    /// The status; anything but 200 is answered with an error of the dialect.
    pub status: u16,
    /// A header of the answer, next to the usual ones.
    pub header: Option<(&'static str, &'static str)>,
    /// What the answer says.
    pub text: String,
    /// In how many events a stream says it.
    pub pieces: usize,
    /// What the call uses. The output is never more than the call's own maximum.
    pub tokens: Tokens,
    /// Whether the answer tells.
    pub reports_usage: bool,
    /// Whether the answer also calls a tool.
    pub calls_tool: bool,
    /// How often the provider searches the web for it.
    pub searches: u64,
    /// Whether a streamed response is followed by the mark that ends a chat.
    pub ends_with_done: bool,
    /// Before the answer's head.
    pub before_headers: Duration,
    /// Between the events of a stream.
    pub between: Duration,
    /// Whether a stream goes out byte by byte.
    pub byte_by_byte: bool,
    /// Where the call waits until it is released.
    pub hold: Option<Hold>,
    /// How the answer ends.
    pub ending: Ending,
}

/// Input and output tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Read.
    pub input: u64,
    /// Written.
    pub output: u64,
}

/// Where a call waits until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Before anything is said.
    BeforeHeaders,
    /// After the first half of a stream's events.
    MidStream,
    /// Before the very last piece of a stream.
    BeforeLastPiece,
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Properly.
    Whole,
    /// The connection is closed before anything is said.
    ResetBeforeHeaders,
    /// Nothing is ever said.
    StallBeforeHeaders,
    /// The connection is closed after the first half of the events.
    ResetMidStream,
    /// The connection ends properly after the first half of the events, as if that were all.
    EndMidStream,
    /// The connection is closed inside the last character that has more than one byte.
    CutInsideCharacter,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            status: 200,
            header: None,
            text: "Hello from the other side.".to_owned(),
            pieces: 4,
            tokens: Tokens { input: 10, output: 20 },
            reports_usage: true,
            calls_tool: false,
            searches: 0,
            ends_with_done: false,
            before_headers: Duration::ZERO,
            between: Duration::ZERO,
            byte_by_byte: false,
            hold: None,
            ending: Ending::Whole,
        }
    }
}

impl Script {
    /// An error of the dialect with this status.
    pub fn error(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// Uses so many tokens.
    pub fn using(input: u64, output: u64) -> Self {
        Self { tokens: Tokens { input, output }, ..Self::default() }
    }
}
