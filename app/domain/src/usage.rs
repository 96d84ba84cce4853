//! What a call used, in buckets that never overlap.
//!
//! Providers report overlapping figures (cached tokens inside input tokens, reasoning inside
//! output). They are taken apart once, where the answer is read; everything after that adds up.

use serde::{Deserialize, Serialize};

/// The buckets of one call. Tokens, except `images` and `tools`.
///
/// `input` excludes cached and audio input; `output` excludes reasoning and audio output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens that were neither read from nor written to a cache.
    pub input: u64,
    /// Input tokens read from the provider's cache.
    pub cache_read: u64,
    /// Input tokens written to the provider's cache, short life.
    pub cache_write: u64,
    /// Input tokens written to the provider's cache, long life.
    pub cache_write_long: u64,
    /// Output tokens that the caller sees.
    pub output: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
    /// Audio input tokens.
    pub audio_input: u64,
    /// Audio output tokens.
    pub audio_output: u64,
    /// Images made.
    pub images: u64,
    /// What the provider's own tools did.
    #[serde(default)]
    pub tools: ToolUnits,
}

/// What a provider's own tools did in a call, as far as it is billed by the piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolUnits {
    /// Searches of the web.
    pub web_searches: u64,
    /// Searches of files that the provider keeps.
    pub file_searches: u64,
    /// Machines that ran code.
    pub code_sessions: u64,
}

/// More tokens, images or uses of tools than these are no report of one call, but a defect of whoever reports
/// them: the longest contexts there are take a few million. Sums of so much stay far from what a number holds.
const PLAUSIBLE_MAX: u64 = 1 << 32;

impl Usage {
    /// Whether one call can have used so much.
    pub fn is_plausible(&self) -> bool {
        let ToolUnits { web_searches, file_searches, code_sessions } = self.tools;
        let counts = [self.tokens(), self.images, web_searches, file_searches, code_sessions];
        counts.into_iter().all(|count| count <= PLAUSIBLE_MAX)
    }

    /// All input tokens, cached or not.
    pub fn input_tokens(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_write_long)
            .saturating_add(self.audio_input)
    }

    /// All output tokens, seen or not.
    pub fn output_tokens(&self) -> u64 {
        self.output.saturating_add(self.reasoning).saturating_add(self.audio_output)
    }

    /// All tokens: what a token limit counts.
    pub fn tokens(&self) -> u64 {
        self.input_tokens().saturating_add(self.output_tokens())
    }
}
