//! What providers report, taken apart and priced: a table that people can read, in
//! `golden/usage.txt`. Renewed with `BURSAR_RENEW_GOLDEN`, and then read.

use std::{fmt::Write as _, fs, path::PathBuf};

use domain::{
    prices::{self, PriceKey, Prices},
    usage::Usage,
};
use gateway::wire::{Route, answer::Seen};

/// Dollars for a million. All differ, so that no bucket can pass for another.
const PRICES: [(PriceKey, &str); 12] = [
    (PriceKey::Input, "3"),
    (PriceKey::CacheRead, "0.30"),
    (PriceKey::CacheWrite, "3.75"),
    (PriceKey::CacheWriteLong, "6"),
    (PriceKey::Output, "15"),
    (PriceKey::Reasoning, "17"),
    (PriceKey::AudioInput, "10"),
    (PriceKey::AudioOutput, "40"),
    (PriceKey::Image, "20000"),
    (PriceKey::WebSearch, "10000"),
    (PriceKey::FileSearch, "2500"),
    (PriceKey::CodeSession, "30000"),
];

fn prices() -> Prices {
    let one = |prices: Prices, (key, text): &(PriceKey, &str)| {
        prices.with(*key, Some(text.parse().expect("a price")))
    };
    PRICES.iter().fold(Prices::default(), one)
}

fn route(path: &str) -> Route {
    *Route::ALL.iter().find(|route| route.full_path() == path).unwrap_or_else(|| panic!("no route {path}"))
}

/// What an answer reports: one document, or the events of a stream.
fn reported(route: Route, answer: &[&str]) -> Option<Usage> {
    let mut seen = Seen::new(route, false);
    match answer {
        [document] if document.starts_with('{') => seen.whole(document.as_bytes()),
        events => events.iter().for_each(|event| {
            seen.event(format!("{event}\n\n").as_bytes());
        }),
    }
    seen.usage()
}

fn arithmetic(usage: Option<Usage>) -> String {
    let Some(usage) = usage else { return "  = not reported\n".to_owned() };
    let (prices, mut text, mut sum) = (prices(), String::new(), 0);
    let used = prices::priced_buckets(&usage)
        .into_iter()
        .filter(|(key, amount)| *amount > 0 && *key != PriceKey::Call);
    for (key, amount) in used {
        // Nano-dollars for a million, and all of them a whole number for one.
        let price = prices.of(key).expect("a price").0 / 1_000_000;
        sum += i64::try_from(amount).expect("a small number") * price;
        let _ = writeln!(text, "  {amount:>8} {:<18} × {price:>6}", key.as_str());
    }
    let cost = prices::cost(&usage, &prices).expect("a cost");
    assert_eq!(cost.0, sum, "the lines add up");
    let _ = writeln!(text, "  {:>8} tokens = {} nano-dollars", usage.tokens(), cost.0);
    text
}

#[test]
fn every_way_to_report_usage_comes_to_disjoint_buckets_and_an_exact_cost() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/usage.txt");
    let file = fs::read_to_string(&path).expect("the table");
    let mut renewed = String::new();
    for case in file.trim_end().split("\n\n") {
        let said: Vec<&str> = case.lines().filter(|line| !line.starts_with("  ")).collect();
        let [name, path, answer @ ..] = said.as_slice() else { panic!("{case}") };
        let _ = write!(renewed, "{name}\n{path}\n");
        for line in answer {
            let _ = writeln!(renewed, "{line}");
        }
        renewed += &arithmetic(reported(route(path), answer));
        renewed.push('\n');
    }
    let renewed = format!("{}\n", renewed.trim_end());
    if std::env::var_os("BURSAR_RENEW_GOLDEN").is_some() {
        return fs::write(&path, &renewed).expect("the file can be written");
    }
    assert_eq!(renewed, file, "{}", path.display());
}
