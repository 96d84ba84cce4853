//! Money and prices as people read them.

use domain::{
    money::Money,
    prices::{PriceKey, Prices},
};

/// `$0.10 / $0.40`: input and output per million tokens. One price stands alone.
pub fn pair(prices: &Prices) -> String {
    let text = |key| prices.of(key).map(|price| price.to_string());
    match (text(PriceKey::Input), text(PriceKey::Output), text(PriceKey::Call)) {
        (Some(input), Some(output), _) => format!("{input} / {output}"),
        (Some(input), None, _) => input,
        (None, None, Some(call)) => format!("{call} per million calls"),
        _ => "no price".to_owned(),
    }
}

/// How much more or less than before: `+9.6 %`, or `new`.
pub fn change(now: Money, before: Money) -> String {
    match (now.0, before.0) {
        (0, 0) => "–".to_owned(),
        (_, 0) => "new".to_owned(),
        (now, before) => {
            // To the nearest, as sentences say it.
            let (more, whole) = (i128::from(now) - i128::from(before), i128::from(before).abs());
            let sign = if more < 0 { "−" } else { "+" };
            let tenths = (more.unsigned_abs() * 2000 + whole.unsigned_abs()) / (whole.unsigned_abs() * 2);
            if tenths >= 1000 {
                format!("{sign}{} %", (tenths + 5) / 10)
            } else {
                format!("{sign}{}.{} %", tenths / 10, tenths % 10)
            }
        }
    }
}

/// The average of a sum: `$0.0079`.
pub fn each(sum: Money, count: i64) -> String {
    if count <= 0 { "–".to_owned() } else { Money(sum.0 / count).to_string() }
}
