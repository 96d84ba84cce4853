//! Routing policies: a name that callers can write in place of a model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    access::{ApplicationFacts, Facts, PolicyFacts, Unnamed, policy_of, policy_of_group},
    ids::{GroupId, ModelId, PolicyId},
    words::words,
};

/// What callers write before the name of a policy.
pub const PREFIX: &str = "policy/";

/// The name after which callers ask for the policy that their key or group names, unless one is called
/// that itself.
pub const DEFAULT: &str = "default";

/// The policy that callers mean by what they write in place of a model, with its name; none: there is no such
/// policy, or what they write is no policy. `application`: what calls; none: a person, on a group's account.
pub fn meant<'a>(
    facts: &'a Facts,
    application: Option<&ApplicationFacts>,
    group: GroupId,
    text: &str,
) -> Option<(&'a str, &'a PolicyFacts)> {
    let name = text.strip_prefix(PREFIX)?;
    if let Some((name, policy)) = facts.policies.get_key_value(name) {
        return Some((name, policy));
    }
    let unnamed = match application {
        _ if name != DEFAULT => None,
        Some(application) => policy_of(facts, application),
        None => policy_of_group(facts, group),
    };
    unnamed.map(|Unnamed { name, policy, .. }| (name, policy))
}

words! {
    /// How a policy chooses.
    Routing("routing") {
        /// The first that works, in order.
        Fallback = "fallback",
        /// By weight.
        Balance = "balance",
    }
}

words! {
    /// What can go wrong with a provider before it has said anything.
    Trouble("failure") {
        /// It cannot be reached, or hangs up.
        Connection = "connection",
        /// It does not answer in time.
        Timeout = "timeout",
        /// It did not get the call in time.
        RequestTimeout = "408",
        /// It is busy with something that stands in the way.
        Conflict = "409",
        /// It has too much to do for us.
        RateLimited = "429",
        /// It failed, or is overloaded.
        ServerError = "5xx",
        /// It refuses our credential.
        Credential = "credential",
    }
}

impl Trouble {
    /// How people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connection => "It cannot be reached",
            Self::Timeout => "It does not answer in time",
            Self::RequestTimeout => "It answers 408",
            Self::Conflict => "It answers 409",
            Self::RateLimited => "It answers 429",
            Self::ServerError => "It answers 500 or more",
            Self::Credential => "It refuses our credential",
        }
    }

    /// What a status says, other than that our credential is refused. Those are the ones the official
    /// SDKs try again after. A 400 or a 404 is about the call itself, and no trouble of the provider.
    pub const fn of_status(status: u16) -> Option<Self> {
        match status {
            408 => Some(Self::RequestTimeout),
            409 => Some(Self::Conflict),
            429 => Some(Self::RateLimited),
            500.. => Some(Self::ServerError),
            _ => None,
        }
    }
}

/// A set of them, small enough to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Troubles(u8);

impl Troubles {
    /// All of them.
    pub fn all() -> Self {
        Trouble::ALL.iter().copied().collect()
    }

    /// Whether this one is in.
    pub const fn has(self, trouble: Trouble) -> bool {
        self.0 & (1 << trouble as u8) != 0
    }

    /// Each one, in order.
    pub fn iter(self) -> impl Iterator<Item = Trouble> {
        Trouble::ALL.iter().copied().filter(move |&trouble| self.has(trouble))
    }
}

impl FromIterator<Trouble> for Troubles {
    fn from_iter<I: IntoIterator<Item = Trouble>>(troubles: I) -> Self {
        Self(troubles.into_iter().fold(0, |set, trouble| set | (1 << trouble as u8)))
    }
}

/// How a policy deals with one of its models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRules {
    /// After which failures the next model is asked. Any other failure is the answer.
    pub after: Troubles,
    /// How often it is tried, from 1 to [`StepRules::ATTEMPTS_MAX`]: again only where nothing was
    /// executed.
    pub attempts: u8,
    /// How many seconds the head of its answer is waited for; none: as its provider says.
    pub first_byte: Option<u16>,
}

impl StepRules {
    /// A model is tried at most so often.
    pub const ATTEMPTS_MAX: u8 = 3;
    /// The longest wait for the head of an answer, in seconds.
    pub const FIRST_BYTE_MAX: u16 = 600;

    /// What is not usual about it: `2 tries, 20 s, after timeout, 5xx`. Empty when everything is.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        if self.attempts != 1 {
            parts.push(format!("{} tries", self.attempts));
        }
        parts.extend(self.first_byte.map(|seconds| format!("{seconds} s")));
        if self.after != Troubles::all() {
            let named: Vec<&str> = self.after.iter().map(Trouble::as_str).collect();
            parts.push(if named.is_empty() {
                "never goes on".to_owned()
            } else {
                format!("after {}", named.join(", "))
            });
        }
        parts.join(", ")
    }
}

impl Default for StepRules {
    fn default() -> Self {
        Self { after: Troubles::all(), attempts: 1, first_byte: None }
    }
}

/// The rules of those models of a policy for which not everything is usual.
pub type Rules = BTreeMap<ModelId, StepRules>;

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
    /// How it deals with those of them for which not everything is usual.
    pub rules: Rules,
    /// Counts up with every change.
    pub version: i64,
}

impl Policy {
    /// Its models, and what is said of them.
    pub fn said(self) -> (Vec<ModelId>, Rules) {
        (self.steps.into_iter().map(|(id, ..)| id).collect(), self.rules)
    }
}

/// The lines of a list of models: each with its name and its weight, 1 where none is written. Empty
/// lines are none.
pub fn written(text: &str) -> impl Iterator<Item = (&str, i32)> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
        match line.rsplit_once(char::is_whitespace) {
            Some((name, weight)) => match weight.parse() {
                Ok(weight) => (name.trim(), weight),
                Err(_) => (line, 1),
            },
            None => (line, 1),
        }
    })
}

/// Which of the lines before each line was, when a list is edited: the one of the same name, or else
/// one of another name that stood at its place and is nowhere else. None: it is new.
pub fn follow(before: &[&str], now: &[&str]) -> Vec<Option<usize>> {
    let mut taken = vec![false; before.len()];
    let mut came: Vec<Option<usize>> = now
        .iter()
        .map(|name| {
            let place = (0..before.len()).find(|place| !taken[*place] && before[*place] == *name)?;
            taken[place] = true;
            Some(place)
        })
        .collect();
    for (place, came) in came.iter_mut().enumerate() {
        if came.is_none() && taken.get(place) == Some(&false) {
            taken[place] = true;
            *came = Some(place);
        }
    }
    came
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
    fn what_is_not_usual_about_a_step_is_said() {
        let rules = StepRules::default();
        assert_eq!(rules.words(), "");
        let after = [Trouble::ServerError, Trouble::Timeout].into_iter().collect();
        let rules = StepRules { after, attempts: 2, first_byte: Some(20) };
        assert_eq!(rules.words(), "2 tries, 20 s, after timeout, 5xx");
        assert_eq!(
            StepRules { after: std::iter::empty().collect(), ..StepRules::default() }.words(),
            "never goes on"
        );
    }

    #[test]
    fn a_list_of_models_is_read_by_lines() {
        let read: Vec<_> = written(" big  3\r\n\n small\nodd one \n").collect();
        assert_eq!(read, [("big", 3), ("small", 1), ("odd one", 1)]);
    }

    #[test]
    fn what_is_said_of_a_line_goes_along_with_it() {
        for (name, before, now, expected) in [
            ("nothing changed", &["a", "b"][..], &["a", "b"][..], &[Some(0), Some(1)][..]),
            ("a name that is typed", &["smal"], &["small"], &[Some(0)]),
            ("one before them", &["a", "b"], &["new", "a", "b"], &[None, Some(0), Some(1)]),
            ("changed places", &["a", "b"], &["b", "a"], &[Some(1), Some(0)]),
            ("one is gone", &["a", "b", "c"], &["a", "c"], &[Some(0), Some(2)]),
            ("places that nothing stood at", &["#1", "#2", "#3"], &["a", "b"], &[Some(0), Some(1)]),
            ("twice the same", &["a"], &["a", "a"], &[Some(0), None]),
            ("nothing", &["a"], &[], &[]),
        ] {
            assert_eq!(follow(before, now), expected, "{name}");
        }
    }

    #[test]
    fn what_is_about_the_call_is_no_trouble_of_the_provider() {
        for (status, trouble) in [
            (400, None),
            (401, None),
            (404, None),
            (408, Some(Trouble::RequestTimeout)),
            (422, None),
            (429, Some(Trouble::RateLimited)),
            (500, Some(Trouble::ServerError)),
            (529, Some(Trouble::ServerError)),
        ] {
            assert_eq!(Trouble::of_status(status), trouble, "{status}");
        }
    }

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
