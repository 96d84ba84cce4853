//! One call, and the list of calls.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    authorizations::Cell,
    guardrails::Found,
    ids::{ApplicationId, CallId, GrantId, GroupId, KeyId, ModelId, PolicyId, ProviderId, SecretId, UserId},
    keys::Features,
    money::{Money, Price},
    prices::{PriceKey, Prices, priced_buckets},
    spend::{CallRow, Outcome},
    usage::Usage,
    words::words,
};

words! {
    /// Which calls a list shows, by how they ended.
    Ended("outcome") {
        /// Every finished call, however it ended: what spend counts.
        Finished = "finished",
        /// Answered.
        Ok = "ok",
        /// The upstream refused or broke.
        UpstreamError = "upstream_error",
        /// The caller hung up.
        HungUp = "hung_up",
        /// Nobody knows how it ended.
        Lost = "lost",
        /// Bursar ended it.
        Ended = "ended",
        /// Answered from what an earlier call brought.
        Cached = "cached",
        /// Something was found in its input that its key looks for.
        Guarded = "guarded",
        /// Never let through.
        Refused = "refused",
    }
}

impl Ended {
    /// How people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Finished => "Finished, however",
            Self::Ok => "Answered",
            Self::UpstreamError => "Provider failed",
            Self::HungUp => "Caller hung up",
            Self::Lost => "Lost, counted in full",
            Self::Ended => "Ended by Bursar",
            Self::Cached => "Answered from the cache",
            Self::Guarded => "With something guarded in it",
            Self::Refused => "Refused",
        }
    }

    /// The one outcome of finished calls it stands for.
    pub const fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Ok => Some(Outcome::Ok),
            Self::UpstreamError => Some(Outcome::UpstreamError),
            Self::HungUp => Some(Outcome::HungUp),
            Self::Lost => Some(Outcome::Lost),
            Self::Ended => Some(Outcome::Ended),
            Self::Finished | Self::Cached | Self::Guarded | Self::Refused => None,
        }
    }
}

/// One line of the arithmetic of a cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostLine {
    /// The bucket.
    pub bucket: PriceKey,
    /// How much was used of it.
    pub amount: u64,
    /// The key whose price was taken: the bucket's own, or that of the one it is part of. None: it
    /// has no price, and costs nothing.
    pub priced_as: Option<PriceKey>,
    /// That price, for a million.
    pub price: Price,
}

impl CostLine {
    /// What it comes to in millionths of a nano-dollar: exact, not rounded.
    pub fn millionths(&self) -> i128 {
        i128::from(self.amount) * i128::from(self.price.0)
    }

    /// What it comes to in dollars, to the last digit: `0.000123456789`.
    pub fn exact(&self) -> String {
        const DOLLAR: i128 = 1_000_000_000_000_000;
        let millionths = self.millionths();
        let fraction = format!("{:015}", millionths % DOLLAR);
        let kept = fraction.trim_end_matches('0').len().max(2);
        format!("{}.{}", millionths / DOLLAR, &fraction[..kept])
    }
}

/// The arithmetic of a cost: every bucket that was used, with the price that was taken for it.
pub fn cost_lines(usage: &Usage, prices: &Prices) -> Vec<CostLine> {
    priced_buckets(usage)
        .into_iter()
        .filter_map(|(bucket, amount)| {
            let found = priced_as(prices, bucket);
            // Nothing was used of it; or it is the call itself, which mostly has no price.
            if amount == 0 || (bucket == PriceKey::Call && found.is_none()) {
                return None;
            }
            let price = found.map_or(Price::default(), |(_, price)| price);
            Some(CostLine { bucket, amount, priced_as: found.map(|(key, _)| key), price })
        })
        .collect()
}

fn priced_as(prices: &Prices, bucket: PriceKey) -> Option<(PriceKey, Price)> {
    let mut key = bucket;
    loop {
        match prices.own(key) {
            Some(price) => return Some((key, price)),
            None => key = key.falls_back_to()?,
        }
    }
}

/// What the lines come to, rounded up once to the next nano-dollar. None if it does not fit.
pub fn total(lines: &[CostLine]) -> Option<Money> {
    let millionths: i128 = lines.iter().map(CostLine::millionths).sum();
    i64::try_from((millionths + 999_999) / 1_000_000).ok().map(Money)
}

/// One line of the list of calls: finished, or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallLine {
    /// Its id, which is also the request id the caller saw.
    pub id: CallId,
    /// When it was let through or refused.
    pub at: DateTime<Utc>,
    /// By which application.
    pub application: (ApplicationId, String),
    /// By whom, where the secret names a person.
    pub user: Option<(UserId, String)>,
    /// Which model answered, or what the caller wrote.
    pub model: (Option<ModelId>, String),
    /// The policy that chose it.
    pub policy: Option<String>,
    /// The label it carried.
    pub use_case: Option<String>,
    /// How it ended.
    pub end: End,
    /// Whether whoever asks may read it by itself.
    pub opens: bool,
    /// Where it came from; none: it was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whence: Option<Whence>,
}

/// Where a call came from, as files say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whence {
    /// On which group's account.
    pub group: (GroupId, String),
    /// By which key; none where that is not known any more.
    pub key: Option<KeyId>,
    /// By which of its secrets.
    pub secret: SecretId,
    /// The session it named; empty: none, or it was refused.
    pub session: String,
}

/// How a call ended, in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It was let through.
    Finished {
        /// How it ended.
        outcome: Outcome,
        /// What it used.
        usage: Usage,
        /// What it cost.
        cost: Money,
        /// Whether the usage is an estimate.
        estimated: bool,
        /// From the first byte in to the last byte out, milliseconds.
        duration_ms: i64,
        /// Whether it was answered from what an earlier call brought.
        cached: bool,
    },
    /// It was not.
    Refused {
        /// The answer's status.
        status: i16,
        /// The answer's code.
        code: String,
    },
}

impl CallLine {
    /// The call, if it was let through.
    pub fn finished(self) -> Option<CallRow> {
        let End::Finished { outcome, usage, cost, estimated, duration_ms, cached } = self.end else {
            return None;
        };
        let model = (self.model.0?, self.model.1);
        let Self { id, at, application, user, policy, use_case, opens, .. } = self;
        Some(CallRow {
            id,
            at,
            application,
            user,
            model,
            policy,
            use_case,
            outcome,
            usage,
            cost,
            estimated,
            duration_ms,
            cached,
            opens,
        })
    }
}

impl From<CallRow> for CallLine {
    fn from(row: CallRow) -> Self {
        let CallRow {
            id,
            at,
            application,
            user,
            model,
            policy,
            use_case,
            outcome,
            usage,
            cost,
            estimated,
            duration_ms,
            cached,
            opens,
        } = row;
        let end = End::Finished { outcome, usage, cost, estimated, duration_ms, cached };
        Self {
            id,
            at,
            application,
            user,
            model: (Some(model.0), model.1),
            policy,
            use_case,
            end,
            opens,
            whence: None,
        }
    }
}

/// How long a name may be that callers give a request, in characters.
pub const CLIENT_REQUEST_MAX: usize = 128;

/// What a caller calls its request, as it is kept and looked for: visible characters, so many at most.
pub fn client_request(text: &str) -> String {
    let visible = text.trim().chars().filter(|character| !character.is_control());
    visible.take(CLIENT_REQUEST_MAX).collect()
}

/// A page of the list of calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallList {
    /// The newest first.
    pub calls: Vec<CallLine>,
    /// Where the next page starts.
    pub next: Option<String>,
}

/// Everything about one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallView {
    /// Its id, which is also the request id the caller saw.
    pub id: CallId,
    /// When it was let through or refused.
    pub at: DateTime<Utc>,
    /// By which application.
    pub application: (ApplicationId, String),
    /// By which key; none where only the refusal is known.
    pub key: Option<KeyId>,
    /// The last characters of the secret it came with.
    pub secret_tail: Option<String>,
    /// From the root to the application's group, as it was then.
    pub path: Vec<(GroupId, String)>,
    /// By whom, where the secret names a person.
    pub user: Option<(UserId, String)>,
    /// What its caller calls it; empty where it did not say.
    pub client_request: String,
    /// Which model answered, or what the caller wrote.
    pub model: (Option<ModelId>, String),
    /// What became of it.
    pub what: What,
    /// What limits that only observe would have refused.
    pub observed: Vec<Refused>,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// It was let through.
    Finished(Box<Finished>),
    /// It was not.
    Refused(Refused),
}

/// A call that was let through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// When the last byte came.
    pub finished_at: DateTime<Utc>,
    /// Milliseconds to the first byte of the answer.
    pub first_byte_ms: Option<i64>,
    /// Milliseconds in all.
    pub duration_ms: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// The status the upstream answered with; 0 when it did not.
    pub status: i16,
    /// The model's provider.
    pub provider: (ProviderId, String),
    /// Where the rule that let it pass is set, and that in words.
    pub authorization: Option<(Cell, String)>,
    /// The grant that lifted it.
    pub grant: Option<GrantId>,
    /// The policy that chose the model.
    pub policy: Option<(PolicyId, String)>,
    /// The label it carried.
    pub use_case: String,
    /// The session it named.
    pub session: String,
    /// `/v1/chat/completions`.
    pub route: String,
    /// Whether it asked for a stream.
    pub streamed: bool,
    /// What it used of its key.
    pub features: Features,
    /// What it used.
    pub usage: Usage,
    /// What was booked.
    pub cost: Money,
    /// Since when the prices it was booked by are in force.
    pub priced_at: Option<DateTime<Utc>>,
    /// The arithmetic, by those prices.
    pub lines: Vec<CostLine>,
    /// The upstream did not say; these are our figures.
    pub estimated: bool,
    /// It cost more than was held for it.
    pub overage: bool,
    /// Answered from what an earlier call brought; what that one had cost.
    pub cached: Option<Money>,
    /// What was found in its input.
    pub guarded: Vec<Found>,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The answer's status.
    pub status: i16,
    /// The answer's code.
    pub code: String,
    /// The sentence the caller read.
    pub message: String,
    /// What it would have used of its key.
    pub features: Features,
    /// The answer's `error.bursar`, field by field.
    pub detail: Vec<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{prices::cost, usage::ToolUnits};
    use proptest::prelude::*;

    fn line(bucket: PriceKey, amount: u64, priced_as: PriceKey, price: i64) -> CostLine {
        CostLine { bucket, amount, priced_as: Some(priced_as), price: Price(price) }
    }

    #[test]
    fn each_bucket_says_whose_price_it_took() {
        let prices = Prices::default()
            .with(PriceKey::Input, Some(Price(3_000_000_000)))
            .with(PriceKey::CacheWrite, Some(Price(3_750_000_000)))
            .with(PriceKey::Output, Some(Price(15_000_000_000)));
        let usage = Usage {
            input: 7,
            cache_read: 5,
            cache_write_long: 3,
            reasoning: 2,
            images: 1,
            ..Usage::default()
        };
        assert_eq!(
            cost_lines(&usage, &prices),
            [
                line(PriceKey::Input, 7, PriceKey::Input, 3_000_000_000),
                line(PriceKey::CacheRead, 5, PriceKey::Input, 3_000_000_000),
                line(PriceKey::CacheWriteLong, 3, PriceKey::CacheWrite, 3_750_000_000),
                line(PriceKey::Reasoning, 2, PriceKey::Output, 15_000_000_000),
                CostLine { bucket: PriceKey::Image, amount: 1, priced_as: None, price: Price(0) },
            ]
        );
    }

    #[test]
    fn a_line_is_told_to_its_last_digit() {
        for (amount, price, text) in [
            (1, 1, "0.000000000000001"),
            (1_000, 100_000_000, "0.0001"),
            (3, 1_500_000_000_000_000, "4.50"),
            (1_000_000, 123_456_789, "0.123456789"),
        ] {
            assert_eq!(line(PriceKey::Input, amount, PriceKey::Input, price).exact(), text);
        }
    }

    proptest! {
        #[test]
        fn the_lines_come_to_the_cost_to_the_nano_dollar(
            nanos in proptest::collection::vec(proptest::option::of(0_i64..200_000_000_000), PriceKey::ALL.len()),
            used in proptest::array::uniform12(0_u64..2_000_000),
        ) {
            let prices = PriceKey::ALL
                .iter()
                .zip(nanos)
                .fold(Prices::default(), |prices, (&key, nanos)| prices.with(key, nanos.map(Price)));
            let [input, cache_read, cache_write, cache_write_long, output, reasoning, audio_input, audio_output, images, web, files, code] = used;
            let tools = ToolUnits { web_searches: web, file_searches: files, code_sessions: code };
            let usage = Usage { input, cache_read, cache_write, cache_write_long, output, reasoning, audio_input, audio_output, images, tools };
            prop_assert_eq!(total(&cost_lines(&usage, &prices)), cost(&usage, &prices));
        }
    }
}
