//! Usage as providers report it, taken apart into buckets that do not overlap.
//!
//! Shapes: OpenAI's chat usage has cached, audio and written tokens inside `prompt_tokens`, and
//! reasoning and audio inside `completion_tokens`; its newer responses call the same
//! `input_tokens` and `output_tokens`; Anthropic's `input_tokens` already leaves out
//! the cache, thinking is inside `output_tokens`. A missing figure is not zero, and half of a report is none:
//! what an answer took is then counted here, and marked as estimated.

use domain::usage::{ToolUnits, Usage};
use serde::Deserialize;

/// OpenAI's chat usage, with the spellings of compatible servers.
#[derive(Debug, Default, Deserialize)]
pub struct OpenAiUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's way to say cached.
    prompt_cache_hit_tokens: Option<u64>,
    /// Perplexity's searches.
    num_search_queries: Option<u64>,
    /// Anthropic's, in OpenAI's dialect.
    server_tool_use: Option<ServerToolUse>,
}

/// What Anthropic's own tools did.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct ServerToolUse {
    web_search_requests: Option<u64>,
}

impl ServerToolUse {
    fn units(self) -> ToolUnits {
        ToolUnits { web_searches: self.web_search_requests.unwrap_or(0), ..ToolUnits::default() }
    }
}

#[derive(Debug, Default, Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

impl OpenAiUsage {
    /// Of vectors, which have no tokens out.
    #[must_use]
    pub fn of_vectors(self) -> Self {
        Self { completion_tokens: self.completion_tokens.or(Some(0)), ..self }
    }

    /// As disjoint buckets; none when it says too little, or what no call can have used.
    pub fn whole(&self) -> Option<Usage> {
        let said = [self.prompt_tokens, self.completion_tokens, self.total_tokens];
        let usage = self.buckets().filter(|_| said.iter().flatten().count() >= 2)?;
        usage.is_plausible().then_some(usage)
    }

    /// As disjoint buckets; none when it says nothing.
    pub fn buckets(&self) -> Option<Usage> {
        if self.prompt_tokens.is_none() && self.completion_tokens.is_none() {
            return None;
        }
        let completion = self.completion_tokens.unwrap_or(0);
        let rest = || self.total_tokens.unwrap_or(0).saturating_sub(completion);
        let prompt = self.prompt_tokens.unwrap_or_else(rest);
        // xAI and Gemini, in OpenAI's dialect, leave reasoning out of the completion and count it only
        // in the total. It is billed like the rest.
        let beside = self.total_tokens.unwrap_or(0).saturating_sub(prompt.saturating_add(completion));
        let completion = completion.saturating_add(beside);
        let input = self.prompt_tokens_details.as_ref();
        let output = self.completion_tokens_details.as_ref();
        // Parts never exceed their whole, whatever a provider says.
        let mut left = prompt;
        let mut take = |part: Option<u64>| {
            let part = part.unwrap_or(0).min(left);
            left -= part;
            part
        };
        let cache_read =
            take(input.and_then(|details| details.cached_tokens).or(self.prompt_cache_hit_tokens));
        let cache_write = take(input.and_then(|details| details.cache_write_tokens));
        let audio_input = take(input.and_then(|details| details.audio_tokens));
        let plain_input = left;
        let mut left = completion;
        let mut take = |part: Option<u64>| {
            let part = part.unwrap_or(0).min(left);
            left -= part;
            part
        };
        let reasoning = take(output.and_then(|details| details.reasoning_tokens).or(Some(beside)));
        let audio_output = take(output.and_then(|details| details.audio_tokens));
        Some(Usage {
            input: plain_input,
            cache_read,
            cache_write,
            output: left,
            reasoning,
            audio_input,
            audio_output,
            tools: match self.num_search_queries {
                Some(web_searches) => ToolUnits { web_searches, ..ToolUnits::default() },
                None => self.server_tool_use.unwrap_or_default().units(),
            },
            ..Usage::default()
        })
    }
}

/// OpenAI's usage of a response.
#[derive(Debug, Default, Deserialize)]
pub struct ResponsesUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    total_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, Default, Deserialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    cache_write_tokens_details: Option<WrittenFor>,
    audio_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct WrittenFor {
    ttl_12h_tokens: Option<u64>,
}

impl ResponsesUsage {
    /// As disjoint buckets; none when it says too little, or what no call can have used.
    pub fn whole(self) -> Option<Usage> {
        let Self { input_tokens, output_tokens, total_tokens, input_tokens_details, output_tokens_details } =
            self;
        let details = input_tokens_details.unwrap_or_default();
        let long = details.cache_write_tokens_details.and_then(|parts| parts.ttl_12h_tokens).unwrap_or(0);
        let chat = OpenAiUsage {
            prompt_tokens: input_tokens,
            completion_tokens: output_tokens,
            total_tokens,
            prompt_tokens_details: Some(PromptDetails {
                cached_tokens: details.cached_tokens,
                cache_write_tokens: details.cache_write_tokens.max(Some(long)),
                audio_tokens: details.audio_tokens,
            }),
            completion_tokens_details: output_tokens_details,
            ..OpenAiUsage::default()
        };
        let usage = chat.whole()?;
        let cache_write_long = long.min(usage.cache_write);
        Some(Usage { cache_write: usage.cache_write - cache_write_long, cache_write_long, ..usage })
    }
}

/// Anthropic's usage, of a message or of a stream's events.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct AnthropicUsage {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ServerToolUse>,
    #[serde(default, deserialize_with = "summaries")]
    iterations: Option<Summaries>,
}

/// What summing up a long conversation took: billed, and in none of the other figures.
#[derive(Clone, Copy, Debug, Default)]
struct Summaries {
    input: u64,
    cache_read: u64,
    cache_write: u64,
    output: u64,
}

fn summaries<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Summaries>, D::Error> {
    #[derive(Deserialize)]
    struct Iteration {
        #[serde(rename = "type")]
        kind: Option<String>,
        input_tokens: Option<u64>,
        cache_read_input_tokens: Option<u64>,
        cache_creation_input_tokens: Option<u64>,
        output_tokens: Option<u64>,
    }
    let Some(all) = Option::<Vec<Iteration>>::deserialize(from)? else { return Ok(None) };
    let sums = all.iter().filter(|one| one.kind.as_deref() == Some("compaction"));
    Ok(Some(sums.fold(Summaries::default(), |sum, one| Summaries {
        input: sum.input.saturating_add(one.input_tokens.unwrap_or(0)),
        cache_read: sum.cache_read.saturating_add(one.cache_read_input_tokens.unwrap_or(0)),
        cache_write: sum.cache_write.saturating_add(one.cache_creation_input_tokens.unwrap_or(0)),
        output: sum.output.saturating_add(one.output_tokens.unwrap_or(0)),
    })))
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

impl AnthropicUsage {
    /// What a later event says replaces what an earlier one said; what it leaves out stays.
    pub fn update(&mut self, later: Self) {
        let Self {
            input_tokens,
            cache_creation_input_tokens,
            cache_read_input_tokens,
            cache_creation,
            output_tokens,
            output_tokens_details,
            server_tool_use,
            iterations,
        } = later;
        self.input_tokens = input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens = cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation = cache_creation.or(self.cache_creation);
        self.output_tokens = output_tokens.or(self.output_tokens);
        self.output_tokens_details = output_tokens_details.or(self.output_tokens_details);
        self.server_tool_use = server_tool_use.or(self.server_tool_use);
        self.iterations = iterations.or(self.iterations);
    }

    /// As disjoint buckets; none when it says too little, or what no call can have used.
    pub fn whole(&self) -> Option<Usage> {
        self.input_tokens.and(self.output_tokens)?;
        self.buckets()
    }

    /// As disjoint buckets; none when it says nothing, or what no call can have used.
    pub fn buckets(&self) -> Option<Usage> {
        if self.input_tokens.is_none() && self.output_tokens.is_none() {
            return None;
        }
        let written = self.cache_creation_input_tokens.unwrap_or(0);
        let long = self.cache_creation.and_then(|parts| parts.ephemeral_1h_input_tokens).unwrap_or(0);
        let short = self.cache_creation.and_then(|parts| parts.ephemeral_5m_input_tokens).unwrap_or(0);
        let written = written.max(long.saturating_add(short));
        let output = self.output_tokens.unwrap_or(0);
        let reasoning =
            self.output_tokens_details.and_then(|parts| parts.thinking_tokens).unwrap_or(0).min(output);
        let summed = self.iterations.unwrap_or_default();
        let usage = Usage {
            input: self.input_tokens.unwrap_or(0).saturating_add(summed.input),
            cache_read: self.cache_read_input_tokens.unwrap_or(0).saturating_add(summed.cache_read),
            cache_write: (written - long.min(written)).saturating_add(summed.cache_write),
            cache_write_long: long.min(written),
            output: (output - reasoning).saturating_add(summed.output),
            reasoning,
            tools: self.server_tool_use.unwrap_or_default().units(),
            ..Usage::default()
        };
        usage.is_plausible().then_some(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openai(text: &str) -> Option<Usage> {
        serde_json::from_str::<OpenAiUsage>(text).unwrap().whole()
    }

    fn anthropic(text: &str) -> Option<Usage> {
        serde_json::from_str::<AnthropicUsage>(text).unwrap().buckets()
    }

    #[test]
    fn openai_parts_are_taken_out_of_their_wholes() {
        let usage = openai(
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
                "prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":10,"audio_tokens":5,"text_tokens":95},
                "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":2,"accepted_prediction_tokens":1}}"#,
        );
        let expected = Usage {
            input: 25,
            cache_read: 60,
            cache_write: 10,
            audio_input: 5,
            output: 18,
            reasoning: 30,
            audio_output: 2,
            ..Usage::default()
        };
        assert_eq!(usage, Some(expected));
        assert_eq!(expected.tokens(), 150);
    }

    #[test]
    fn parts_that_are_larger_than_their_whole_are_cut() {
        let usage = openai(
            r#"{"prompt_tokens":10,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":99}}"#,
        );
        assert_eq!(usage, Some(Usage { cache_read: 10, ..Usage::default() }));
    }

    #[test]
    fn zero_is_said_and_missing_is_not() {
        assert_eq!(openai(r#"{"prompt_tokens":0,"completion_tokens":0}"#), Some(Usage::default()));
        assert_eq!(openai("{}"), None);
        assert_eq!(openai(r#"{"prompt_tokens":null}"#), None);
        for half in [
            r#"{"prompt_tokens":11}"#,
            r#"{"prompt_tokens":11,"completion_tokens":null}"#,
            r#"{"completion_tokens":7}"#,
        ] {
            assert_eq!(openai(half), None, "{half}");
        }
        let rest = Usage { input: 4, output: 7, ..Usage::default() };
        assert_eq!(openai(r#"{"completion_tokens":7,"total_tokens":11}"#), Some(rest));
        let beside = openai(r#"{"prompt_tokens":4,"total_tokens":11}"#);
        assert_eq!(beside.map(|usage| usage.output_tokens()), Some(7));
        let half = serde_json::from_str::<AnthropicUsage>(r#"{"input_tokens":11}"#).unwrap();
        assert_eq!(half.whole(), None);
        let vectors = serde_json::from_str::<OpenAiUsage>(r#"{"prompt_tokens":11}"#).unwrap().of_vectors();
        assert_eq!(vectors.whole(), Some(Usage { input: 11, ..Usage::default() }));
        assert_eq!(anthropic("{}"), None);
        assert_eq!(anthropic(r#"{"output_tokens":0}"#), Some(Usage::default()));
    }

    #[test]
    fn what_no_call_can_have_used_is_no_report() {
        for many in [u64::MAX, 9_223_372_036_854_775_800, 1 << 33] {
            assert_eq!(openai(&format!(r#"{{"prompt_tokens":{many},"completion_tokens":7}}"#)), None);
            assert_eq!(openai(&format!(r#"{{"prompt_tokens":7,"total_tokens":{many}}}"#)), None);
            assert_eq!(anthropic(&format!(r#"{{"input_tokens":7,"output_tokens":{many}}}"#)), None);
            let searches =
                format!(r#"{{"prompt_tokens":1,"completion_tokens":1,"num_search_queries":{many}}}"#);
            assert_eq!(openai(&searches), None);
        }
    }

    #[test]
    fn a_response_is_taken_apart_like_a_chat() {
        let read = |text: &str| serde_json::from_str::<ResponsesUsage>(text).unwrap().whole();
        let usage = read(
            r#"{"input_tokens":100,"output_tokens":50,"total_tokens":150,
                "input_tokens_details":{"cached_tokens":60,"cache_write_tokens":10,
                    "cache_write_tokens_details":{"ttl_30m_tokens":6,"ttl_12h_tokens":4}},
                "output_tokens_details":{"reasoning_tokens":30}}"#,
        );
        let expected = Usage {
            input: 30,
            cache_read: 60,
            cache_write: 6,
            cache_write_long: 4,
            output: 20,
            reasoning: 30,
            ..Usage::default()
        };
        assert_eq!(usage, Some(expected));
        assert_eq!(expected.tokens(), 150);
        assert_eq!(read(r#"{"input_tokens":0,"output_tokens":0}"#), Some(Usage::default()));
        assert_eq!(read("{}"), None);
    }

    #[test]
    fn anthropic_cache_stays_outside_its_input() {
        let usage = anthropic(
            r#"{"input_tokens":5,"cache_creation_input_tokens":30,"cache_read_input_tokens":7,
                "cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},
                "output_tokens":50,"output_tokens_details":{"thinking_tokens":40}}"#,
        );
        let expected = Usage {
            input: 5,
            cache_read: 7,
            cache_write: 10,
            cache_write_long: 20,
            output: 10,
            reasoning: 40,
            ..Usage::default()
        };
        assert_eq!(usage, Some(expected));
    }

    #[test]
    fn the_last_event_of_an_anthropic_stream_counts() {
        let read = |text: &str| serde_json::from_str::<AnthropicUsage>(text).unwrap();
        let mut usage = read(r#"{"input_tokens":12,"cache_read_input_tokens":3,"output_tokens":1}"#);
        usage.update(read(r#"{"output_tokens":20}"#));
        usage.update(read(r#"{"output_tokens":25}"#));
        assert_eq!(usage.buckets(), Some(Usage { input: 12, cache_read: 3, output: 25, ..Usage::default() }));
    }
}
