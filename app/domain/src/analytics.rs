//! How a group uses models: what it prefers, and what it gets for its money.

use serde::{Deserialize, Serialize};

use crate::{
    explore::Explored,
    ids::{GroupId, ModelId},
    money::Money,
    spend::Sums,
};

/// What is got for the money. None: nothing to divide by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Efficiency {
    /// What a call costs on average.
    pub per_call: Option<Money>,
    /// What a thousand output tokens cost on average, input included.
    pub per_thousand_output: Option<Money>,
    /// The share of input tokens that was read from a cache, in tenths of a per cent.
    pub cache_share: Option<i64>,
}

/// What some sums say about it.
pub fn efficiency(sums: &Sums) -> Efficiency {
    let ratio = |of: i64, times: i128, by: i64| {
        (by > 0).then(|| i64::try_from(i128::from(of) * times / i128::from(by)).unwrap_or(i64::MAX))
    };
    Efficiency {
        per_call: ratio(sums.spend.0, 1, sums.calls).map(Money),
        per_thousand_output: ratio(sums.spend.0, 1000, sums.output_tokens()).map(Money),
        cache_share: ratio(sums.cache_read, 1000, sums.input_tokens()),
    }
}

/// The one in the middle; of an even number the mean of both.
fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = values[values.len() / 2 - 1];
    Some(lower + (upper - lower) / 2)
}

/// Figure by figure, the group in the middle.
pub fn medians(groups: &[Efficiency]) -> Efficiency {
    let of = |figure: fn(&Efficiency) -> Option<i64>| median(groups.iter().filter_map(figure).collect());
    Efficiency {
        per_call: of(|group| group.per_call.map(|money| money.0)).map(Money),
        per_thousand_output: of(|group| group.per_thousand_output.map(|money| money.0)).map(Money),
        cache_share: of(|group| group.cache_share),
    }
}

/// What the same tokens would have cost with a class of models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierCost {
    /// What the tier is called.
    pub tier: String,
    /// Its cheapest model for these tokens.
    pub model: (ModelId, String),
    /// What it would have cost, by the prices in force now.
    pub cost: Money,
    /// Whether that model is open to the group.
    pub open: bool,
}

/// The page of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analytics {
    /// From the root to the group: ids and names.
    pub path: Vec<(GroupId, String)>,
    /// Spend by week and model.
    pub trend: Explored,
    /// Use by model of the last days, beside the days before.
    pub models: Explored,
    /// What it gets for its money.
    pub own: Efficiency,
    /// The same of the organization's group in the middle; none: not looked for yet.
    pub median: Option<(Efficiency, i64)>,
    /// What its calls for text cost.
    pub text: Sums,
    /// What they would have cost otherwise, the cheapest first.
    pub tiers: Vec<TierCost>,
    /// For what and how it calls, of the last days: one table for each split.
    pub splits: Vec<Explored>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_in_the_middle() {
        for (values, expected) in [
            (vec![], None),
            (vec![5], Some(5)),
            (vec![9, 1], Some(5)),
            (vec![3, 9, 1], Some(3)),
            (vec![4, 1, 8, 2], Some(3)),
        ] {
            assert_eq!(median(values.clone()), expected, "{values:?}");
        }
    }

    #[test]
    fn nothing_is_not_divided_by() {
        assert_eq!(efficiency(&Sums::default()), Efficiency::default());
        let sums = Sums {
            calls: 4,
            spend: Money(2_000_000),
            input: 300,
            cache_read: 100,
            output: 500,
            ..Sums::default()
        };
        let expected = Efficiency {
            per_call: Some(Money(500_000)),
            per_thousand_output: Some(Money(4_000_000)),
            cache_share: Some(250),
        };
        assert_eq!(efficiency(&sums), expected);
    }
}
