//! Routing policies: a name that callers can write in place of a model.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{ModelId, PolicyId},
    words::words,
};

words! {
    /// How a policy chooses.
    Routing("routing") {
        /// The first that works, in order.
        Fallback = "fallback",
        /// By weight.
        Balance = "balance",
    }
}

/// A named route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its id.
    pub id: PolicyId,
    /// Callers write `policy/` and this.
    pub name: String,
    /// How it chooses.
    pub routing: Routing,
    /// The models: id, name and weight (1 in a fallback), in order.
    pub steps: Vec<(ModelId, String, i32)>,
    /// Counts up with every change.
    pub version: i64,
}

/// The steps of a policy in the order they are tried. A fallback goes as it is written; a balance
/// draws the first by weight, then the next by weight among those that are left, and so on. `draw`
/// is any number that nobody can foresee.
pub fn order<T: Copy>(routing: Routing, steps: &[(T, u32)], draw: u64) -> Vec<T> {
    if routing == Routing::Fallback {
        return steps.iter().map(|(step, _)| *step).collect();
    }
    let mut left = steps.to_vec();
    let mut ordered = Vec::with_capacity(left.len());
    let mut draw = draw;
    while !left.is_empty() {
        // Another number for each place: the mixing step of SplitMix64.
        draw = draw.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = draw;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let total: u64 = left.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut point = mixed % total.max(1);
        let place = left.iter().position(|(_, weight)| {
            let weight = u64::from(*weight);
            let here = point < weight;
            point = point.saturating_sub(weight);
            here
        });
        ordered.push(left.remove(place.unwrap_or(0)).0);
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fallback_goes_as_it_is_written() {
        assert_eq!(order(Routing::Fallback, &[('a', 1), ('b', 9), ('c', 1)], 7), ['a', 'b', 'c']);
        assert_eq!(order::<char>(Routing::Fallback, &[], 7), []);
    }

    #[test]
    fn a_balance_draws_by_weight_and_leaves_nobody_out() {
        let steps = [('a', 6), ('b', 3), ('c', 1)];
        let (mut first, mut second) = ([0_u32; 3], [0_u32; 3]);
        for draw in 0..10_000 {
            let ordered = order(Routing::Balance, &steps, draw);
            let mut sorted = ordered.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, ['a', 'b', 'c']);
            let place = |step: char| step as usize - 'a' as usize;
            first[place(ordered[0])] += 1;
            second[place(ordered[1])] += u32::from(ordered[0] == 'a');
        }
        let near = |count: u32, expected: u32| count.abs_diff(expected) < 200;
        assert!(near(first[0], 6_000) && near(first[1], 3_000) && near(first[2], 1_000), "{first:?}");
        assert!(near(second[1], 4_500) && near(second[2], 1_500), "{second:?}");
    }
}
