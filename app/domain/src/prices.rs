//! What a call costs: usage × prices, rounded up once.

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    models::Modality,
    money::{Money, Price},
    time,
    usage::Usage,
    words::words,
};

words! {
    /// What a price is for.
    PriceKey("price key") {
        /// Plain input tokens.
        Input = "input",
        /// Input tokens read from a cache.
        CacheRead = "cache_read",
        /// Input tokens written to a cache, short life.
        CacheWrite = "cache_write",
        /// Input tokens written to a cache, long life.
        CacheWriteLong = "cache_write_long",
        /// Output tokens.
        Output = "output",
        /// Reasoning tokens.
        Reasoning = "reasoning",
        /// Audio input tokens.
        AudioInput = "audio_input",
        /// Audio output tokens.
        AudioOutput = "audio_output",
        /// A million images.
        Image = "image",
        /// A million calls.
        Call = "call",
        /// A million searches of the web by the provider.
        WebSearch = "web_search",
        /// A million searches of files at the provider.
        FileSearch = "file_search",
        /// A million machines of the provider that run code.
        CodeSession = "code_session",
    }
}

impl PriceKey {
    /// The key whose price serves when this one has none: the bucket it is part of.
    pub const fn falls_back_to(self) -> Option<Self> {
        match self {
            Self::CacheRead | Self::CacheWrite | Self::AudioInput => Some(Self::Input),
            Self::CacheWriteLong => Some(Self::CacheWrite),
            Self::Reasoning | Self::AudioOutput => Some(Self::Output),
            Self::Input | Self::Output | Self::Image | Self::Call => None,
            Self::WebSearch | Self::FileSearch | Self::CodeSession => None,
        }
    }

    /// Whether it is billed by the piece, and not by tokens.
    pub const fn is_piece(self) -> bool {
        matches!(self, Self::Image | Self::Call | Self::WebSearch | Self::FileSearch | Self::CodeSession)
    }

    /// Whether calls of this kind of model use it without being priced for it on purpose.
    const fn counts_for(self, modality: Modality) -> bool {
        match self {
            Self::Input | Self::CacheRead | Self::CacheWrite | Self::CacheWriteLong => {
                matches!(modality, Modality::Chat | Modality::Vision)
            }
            Self::Output | Self::Reasoning => matches!(modality, Modality::Chat | Modality::Vision),
            Self::AudioInput | Self::AudioOutput => matches!(modality, Modality::Audio),
            Self::Image | Self::Call | Self::WebSearch | Self::FileSearch | Self::CodeSession => false,
        }
    }

    /// How people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Input => "Input",
            Self::CacheRead => "Cached input",
            Self::CacheWrite => "Cache write",
            Self::CacheWriteLong => "Cache write, long",
            Self::Output => "Output",
            Self::Reasoning => "Reasoning",
            Self::AudioInput => "Audio input",
            Self::AudioOutput => "Audio output",
            Self::Image => "Images",
            Self::Call => "Calls",
            Self::WebSearch => "Web searches",
            Self::FileSearch => "File searches",
            Self::CodeSession => "Code sessions",
        }
    }
}

/// The prices of a model from one moment on. A key without a price of its own takes the one of
/// the bucket it is part of; zero is a price, set on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prices([Option<Price>; PriceKey::ALL.len()]);

impl Prices {
    /// The price set for exactly this key.
    pub fn own(&self, key: PriceKey) -> Option<Price> {
        self.0[key as usize]
    }

    /// The price that applies to this key, own or from the bucket it is part of.
    pub fn of(&self, key: PriceKey) -> Option<Price> {
        self.own(key).or_else(|| self.of(key.falls_back_to()?))
    }

    /// The same prices with one of them set or taken away.
    #[must_use]
    pub fn with(mut self, key: PriceKey, price: Option<Price>) -> Self {
        self.0[key as usize] = price;
        self
    }

    /// The keys that have a price of their own.
    pub fn set(&self) -> impl Iterator<Item = (PriceKey, Price)> + '_ {
        PriceKey::ALL.iter().filter_map(|&key| Some((key, self.own(key)?)))
    }

    /// As the end of a sentence: `input $3.00, output $15.00`.
    pub fn in_words(&self) -> String {
        let each = self.set().map(|(key, price)| format!("{} {price}", key.label().to_lowercase()));
        let each = each.collect::<Vec<_>>().join(", ");
        if each.is_empty() { "no price".to_owned() } else { each }
    }

    /// Whether nothing has a price.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Every key that has a price for this kind of model, with the key whose price that is: its own, or
    /// that of the bucket it is part of.
    pub fn applied(&self, modality: Modality) -> Vec<(PriceKey, PriceKey, Price)> {
        let own = PriceKey::ALL.iter().copied().filter(|key| {
            // Vectors and rankings have no output to pay for, nor has anything sound that says none.
            self.own(*key).is_some() || key.counts_for(modality)
        });
        own.filter_map(|key| {
            let mut from = key;
            while self.own(from).is_none() {
                from = from.falls_back_to()?;
            }
            Some((key, from, self.own(from)?))
        })
        .collect()
    }

    /// Whether calls of this kind of model can be priced. What cannot be priced cannot be called.
    pub fn complete_for(&self, modality: Modality) -> bool {
        let has = |key| self.of(key).is_some();
        match modality {
            // What hears or speaks answers in words, too.
            Modality::Chat | Modality::Vision | Modality::Audio => {
                has(PriceKey::Input) && has(PriceKey::Output)
            }
            Modality::Embedding | Modality::Rerank => has(PriceKey::Input) || has(PriceKey::Call),
            Modality::Image | Modality::Video => has(PriceKey::Image) || has(PriceKey::Call),
        }
    }
}

/// In nano-dollars per million, as they are kept in a book and go along with a form:
/// `input=3000000000 output=15000000000`.
impl fmt::Display for Prices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (key, price)) in self.set().enumerate() {
            let gap = if place == 0 { "" } else { " " };
            write!(f, "{gap}{key}={}", price.0)?;
        }
        Ok(())
    }
}

/// What [`Prices`] are shown as.
impl FromStr for Prices {
    type Err = NotAPrice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(' ').filter(|pair| !pair.is_empty()).try_fold(Self::default(), |prices, pair| {
            let (key, nanos) = pair.split_once('=').ok_or(NotAPrice)?;
            let key = key.parse::<PriceKey>().map_err(|_| NotAPrice)?;
            let nanos = nanos.parse().map_err(|_| NotAPrice)?;
            Ok(prices.with(key, Some(Price(nanos))))
        })
    }
}

/// A text that is no list of prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPrice;

impl fmt::Display for NotAPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("These prices cannot be read.")
    }
}

/// Prices with the moment they start to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatedPrices {
    /// From this moment on.
    pub from: DateTime<Utc>,
    /// These prices.
    pub prices: Prices,
}

words! {
    /// Who or what said a price.
    PriceSource("source of a price") {
        /// A person.
        Typed = "typed",
        /// A file that was applied.
        File = "file",
        /// The price book in this program.
        Book = "book",
        /// A price list that somebody brought.
        List = "list",
    }
}

/// Where a price comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Who or what said it.
    pub source: PriceSource,
    /// The day of the book or list.
    pub of: Option<NaiveDate>,
}

impl Origin {
    /// A person.
    pub const TYPED: Self = Self { source: PriceSource::Typed, of: None };
}

/// Prices with where they come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priced {
    /// The prices, and from when.
    pub dated: DatedPrices,
    /// Who or what said so.
    pub origin: Origin,
    /// Who set them, by name; empty where that was not taken down.
    pub by: String,
}

impl Priced {
    /// `Price book of 20 Nov 2026, set by Ada`.
    pub fn origin(&self) -> String {
        let of = self.origin.of.map(|day| format!(" of {}", time::date(day))).unwrap_or_default();
        let by = |verb: &str| if self.by.is_empty() { String::new() } else { format!("{verb}{}", self.by) };
        match self.origin.source {
            PriceSource::Typed if self.by.is_empty() => "Typed in".to_owned(),
            PriceSource::Typed => by("Typed in by "),
            PriceSource::File => format!("Applied file{}", by(", ")),
            PriceSource::Book => format!("Price book{of}{}", by(", set by ")),
            PriceSource::List => {
                format!("LiteLLM's price list, read{}{}", of.replacen(" of", "", 1), by(" by "))
            }
        }
    }
}

/// The prices in force at `now`: the latest that have started. `dated` is sorted by `from`.
pub fn in_force(dated: &[DatedPrices], now: DateTime<Utc>) -> Option<&DatedPrices> {
    dated.iter().rev().find(|prices| prices.from <= now)
}

/// What this usage costs, rounded up to the next nano-dollar once for the whole call.
///
/// Buckets without any price cost nothing here; [`Prices::complete_for`] keeps a model with such a
/// gap from being called. None if the sum does not fit in [`Money`].
pub fn cost(usage: &Usage, prices: &Prices) -> Option<Money> {
    let millionths: i128 = priced_buckets(usage)
        .into_iter()
        .filter_map(|(key, amount)| {
            let price = prices.of(key)?;
            Some(i128::from(amount) * i128::from(price.0))
        })
        .sum();
    i64::try_from((millionths + 999_999) / 1_000_000).ok().map(Money)
}

/// Each bucket with the key that prices it: the arithmetic of a cost, line by line.
pub fn priced_buckets(usage: &Usage) -> [(PriceKey, u64); PriceKey::ALL.len()] {
    [
        (PriceKey::Input, usage.input),
        (PriceKey::CacheRead, usage.cache_read),
        (PriceKey::CacheWrite, usage.cache_write),
        (PriceKey::CacheWriteLong, usage.cache_write_long),
        (PriceKey::Output, usage.output),
        (PriceKey::Reasoning, usage.reasoning),
        (PriceKey::AudioInput, usage.audio_input),
        (PriceKey::AudioOutput, usage.audio_output),
        (PriceKey::Image, usage.images),
        (PriceKey::Call, 1),
        (PriceKey::WebSearch, usage.tools.web_searches),
        (PriceKey::FileSearch, usage.tools.file_searches),
        (PriceKey::CodeSession, usage.tools.code_sessions),
    ]
}

/// The most a call can cost: every input token at the dearest input price, every output token at
/// the dearest output price. A cached or reasoning token can cost more than a plain one, and
/// nobody knows beforehand which it will be. `pieces`: what the call can have of what is billed by the
/// piece; its tokens are not looked at.
pub fn ceiling(input_tokens: u64, output_tokens: u64, pieces: &Usage, prices: &Prices) -> Option<Money> {
    let by_the_piece: i128 = priced_buckets(pieces)
        .into_iter()
        .filter(|(key, _)| key.is_piece())
        .map(|(key, amount)| i128::from(amount) * prices.of(key).map_or(0, |price| i128::from(price.0)))
        .sum();
    let millionths = i128::from(input_tokens) * i128::from(dearest_input(prices).0)
        + i128::from(output_tokens) * i128::from(dearest_output(prices).0)
        + by_the_piece;
    i64::try_from((millionths + 999_999) / 1_000_000).ok().map(Money)
}

/// The highest price an input token can have.
pub fn dearest_input(prices: &Prices) -> Price {
    use PriceKey::{AudioInput, CacheRead, CacheWrite, CacheWriteLong, Input};
    dearest(prices, &[Input, CacheRead, CacheWrite, CacheWriteLong, AudioInput])
}

/// The highest price an output token can have.
pub fn dearest_output(prices: &Prices) -> Price {
    dearest(prices, &[PriceKey::Output, PriceKey::Reasoning, PriceKey::AudioOutput])
}

fn dearest(prices: &Prices, keys: &[PriceKey]) -> Price {
    keys.iter().filter_map(|&key| prices.of(key)).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::ToolUnits;
    use proptest::prelude::*;

    fn prices(list: &[(PriceKey, &str)]) -> Prices {
        list.iter()
            .fold(Prices::default(), |prices, (key, text)| prices.with(*key, Some(text.parse().unwrap())))
    }

    #[test]
    fn a_cost_is_rounded_up_once_for_the_whole_call() {
        let prices = prices(&[(PriceKey::Input, "0.000001"), (PriceKey::Output, "0.000001")]);
        // 1 000 nano-dollars per million: one token of each is 2 000 millionths, so one nano-dollar.
        let usage = Usage { input: 1, output: 1, ..Usage::default() };
        assert_eq!(cost(&usage, &prices), Some(Money(1)));
    }

    #[test]
    fn a_bucket_without_a_price_takes_the_one_it_is_part_of() {
        let prices =
            prices(&[(PriceKey::Input, "3"), (PriceKey::Output, "15"), (PriceKey::CacheRead, "0.30")]);
        let usage = Usage {
            input: 1_000_000,
            cache_read: 1_000_000,
            cache_write: 1_000_000,
            cache_write_long: 1_000_000,
            reasoning: 1_000_000,
            ..Usage::default()
        };
        assert_eq!(cost(&usage, &prices), Some(Money::cents(300 + 30 + 300 + 300 + 1500)));
    }

    #[test]
    fn prices_are_written_and_read_back() {
        let own = prices(&[(PriceKey::Input, "3"), (PriceKey::CacheRead, "0.30"), (PriceKey::Output, "0")]);
        assert_eq!(own.to_string(), "input=3000000000 cache_read=300000000 output=0");
        assert_eq!(own.in_words(), "input $3.00, cached input $0.30, output $0.00");
        assert_eq!(
            (Prices::default().to_string(), Prices::default().in_words().as_str()),
            (String::new(), "no price")
        );
        for prices in [own, Prices::default()] {
            assert_eq!(prices.to_string().parse(), Ok(prices));
        }
        for text in ["input", "input=", "input=a", "nonsense=1", "input=1;output=2"] {
            assert_eq!(text.parse::<Prices>(), Err(NotAPrice), "{text}");
        }
    }

    #[test]
    fn zero_is_a_price_and_silence_is_not() {
        let free = prices(&[(PriceKey::Input, "0"), (PriceKey::Output, "0")]);
        assert!(free.complete_for(Modality::Chat));
        assert!(!Prices::default().complete_for(Modality::Chat));
        assert!(!prices(&[(PriceKey::Input, "1")]).complete_for(Modality::Chat));
    }

    #[test]
    fn the_latest_price_that_has_started_applies() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let dated = [
            DatedPrices { from: at(10), prices: prices(&[(PriceKey::Input, "1")]) },
            DatedPrices { from: at(20), prices: prices(&[(PriceKey::Input, "2")]) },
        ];
        assert!(in_force(&dated, at(9)).is_none());
        assert_eq!(in_force(&dated, at(10)).unwrap().from, at(10));
        assert_eq!(in_force(&dated, at(99)).unwrap().from, at(20));
    }

    #[test]
    fn every_bucket_says_whose_price_it_takes() {
        let own = prices(&[(PriceKey::Input, "3"), (PriceKey::Output, "15"), (PriceKey::CacheRead, "0.30")]);
        let said: Vec<String> = own
            .applied(Modality::Chat)
            .into_iter()
            .map(|(key, from, price)| format!("{key} {from} {}", price.exact()))
            .collect();
        assert_eq!(
            said,
            [
                "input input 3.00",
                "cache_read cache_read 0.30",
                "cache_write input 3.00",
                "cache_write_long input 3.00",
                "output output 15.00",
                "reasoning output 15.00",
            ]
        );
        let vectors = prices(&[(PriceKey::Input, "0.02")]);
        assert_eq!(vectors.applied(Modality::Embedding).len(), 1);
    }

    #[test]
    fn a_price_says_where_it_comes_from() {
        let priced = |source, of: Option<&str>, by: &str| {
            let dated = DatedPrices { from: DateTime::UNIX_EPOCH, prices: Prices::default() };
            let of = of.map(|day| day.parse().unwrap());
            Priced { dated, origin: Origin { source, of }, by: by.to_owned() }.origin()
        };
        for (said, expected) in [
            (priced(PriceSource::Typed, None, "Ada"), "Typed in by Ada"),
            (priced(PriceSource::Typed, None, ""), "Typed in"),
            (priced(PriceSource::File, None, "bursar apply"), "Applied file, bursar apply"),
            (priced(PriceSource::Book, Some("2026-11-20"), "Ada"), "Price book of 20 Nov 2026, set by Ada"),
            (
                priced(PriceSource::List, Some("2026-11-28"), "Ada"),
                "LiteLLM's price list, read 28 Nov 2026 by Ada",
            ),
        ] {
            assert_eq!(said, expected);
        }
    }

    fn any_prices() -> impl Strategy<Value = Prices> {
        proptest::collection::vec(proptest::option::of(0_i64..200_000_000_000), PriceKey::ALL.len()).prop_map(
            |list| {
                PriceKey::ALL
                    .iter()
                    .zip(list)
                    .fold(Prices::default(), |prices, (&key, nanos)| prices.with(key, nanos.map(Price)))
            },
        )
    }

    proptest! {
        #[test]
        fn the_ceiling_is_never_below_the_cost(
            prices in any_prices(),
            buckets in proptest::array::uniform12(0_u64..2_000_000),
        ) {
            let [input, cache_read, cache_write, cache_write_long, output, reasoning, audio_input, audio_output, images, web, files, code] = buckets;
            let tools = ToolUnits { web_searches: web, file_searches: files, code_sessions: code };
            let usage = Usage { input, cache_read, cache_write, cache_write_long, output, reasoning, audio_input, audio_output, images, tools };
            let most = ceiling(usage.input_tokens(), usage.output_tokens(), &usage, &prices);
            prop_assert!(cost(&usage, &prices) <= most);
        }
    }
}
