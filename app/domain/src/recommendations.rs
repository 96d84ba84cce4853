//! Recommendations: what the figures suggest, each explained by them. Nothing here is done by itself:
//! each leads to the form that would do it.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{ApplicationId, GroupId, LimitId, ModelId, SecretId, TierId, UserId},
    keys::{Feature, Features},
    limits::Scope,
    money::{Money, NANOS, grouped},
    spend::Sums,
    words::words,
};

/// How many days of use a recommendation about models goes by.
pub const MODEL_DAYS: i64 = 30;
/// How many days of calls a recommendation about people goes by.
pub const PEOPLE_DAYS: i64 = 90;
/// How many complete months a recommendation about a limit goes by.
pub const LIMIT_MONTHS: usize = 3;

words! {
    /// What is recommended.
    Kind("kind of recommendation") {
        /// A cheaper model where a dear one is asked short questions.
        Cheaper = "cheaper",
        /// A limit that is far from use.
        Limit = "limit",
        /// A secret that nobody uses.
        Secret = "secret",
        /// Somebody who works for a group without being in it.
        Join = "join",
        /// Somebody who is in a group without using what it opens.
        Leave = "leave",
    }
}

impl Kind {
    /// As a heading.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Cheaper => "Cheaper models",
            Self::Limit => "Limits far from use",
            Self::Secret => "Unused secrets",
            Self::Join => "Who should join",
            Self::Leave => "Who could leave",
        }
    }
}

/// One recommendation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recommendation {
    /// What kind.
    pub kind: Kind,
    /// Names it: what, about what. The same from one look to the next.
    pub topic: String,
    /// One line.
    pub title: String,
    /// The figures it goes by, in sentences.
    pub body: String,
    /// The same figures, coarse: when they are others, one that was dismissed comes back.
    pub figures: String,
    /// What a month would cost less.
    pub saves: Money,
    /// What the button says.
    pub action: String,
    /// The form or page where it is done.
    pub href: String,
    /// From the root to the group it is about; empty: the organization.
    pub path: Vec<GroupId>,
}

/// A figure with its first digit only: 1234 and 1999 are the same, 2001 is another.
fn coarse(figure: i64) -> i64 {
    let mut unit = 1;
    while figure / unit >= 10 {
        unit *= 10;
    }
    figure / unit * unit
}

/// Another model that a group may use, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// Which.
    pub model: (ModelId, String),
    /// Its class.
    pub tier: TierId,
    /// What the same tokens would have cost with it, by the prices in force now.
    pub cost: Money,
    /// Tokens that fit in and out together, where that is known.
    pub context: Option<u64>,
    /// The most it answers with, where that is known.
    pub answers: Option<u64>,
}

impl Alternative {
    /// Whether calls of so many tokens on average fit in it: some are a multiple of that.
    fn holds(&self, input: i64, output: i64) -> bool {
        let fits = |most: Option<u64>, tokens: i64| {
            most.is_none_or(|most| most >= tokens.unsigned_abs().saturating_mul(MARGIN))
        };
        fits(self.context, input.saturating_add(output)) && fits(self.answers, output)
    }
}

/// How many times the average call has to fit in another model.
const MARGIN: u64 = 4;
/// Calls with more tokens on average are taken for hard ones.
pub const SHORT_INPUT: i64 = 8_000;
/// Calls with longer answers on average are taken for hard ones.
pub const SHORT_OUTPUT: i64 = 600;

/// The features of calls that not every model of a kind has.
pub fn telling(features: Features) -> Features {
    let all = Features::default().with(Feature::Streaming).with(Feature::Embeddings);
    features.without(all)
}

/// What a group, with everything below it, asked of a model in the last [`MODEL_DAYS`] days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelUse {
    /// From the root to the group.
    pub path: Vec<GroupId>,
    /// What the group is called.
    pub group: String,
    /// The model.
    pub model: (ModelId, String),
    /// The sums.
    pub sums: Sums,
    /// What the calls used that not every model has.
    pub features: Features,
    /// Models of the same kind that are open to the group, and were seen to have these features.
    pub alternatives: Vec<Alternative>,
}

/// Short calls of a dear model, where one that costs at most half is open to the group: of the class next
/// below in price, not the cheapest there is.
pub fn cheaper(used: &ModelUse) -> Option<Recommendation> {
    /// Fewer calls say too little, and cheaper ones are not worth a look.
    const CALLS: i64 = 20;
    let Sums { calls, spend, .. } = used.sums;
    if calls < CALLS || spend.0 < NANOS {
        return None;
    }
    let (input, output) = (used.sums.input_tokens() / calls, used.sums.output_tokens() / calls);
    if input > SHORT_INPUT || output > SHORT_OUTPUT {
        return None;
    }
    let fits = |other: &&Alternative| {
        other.model.0 != used.model.0
            && other.cost.0.saturating_mul(2) <= spend.0
            && other.holds(input, output)
    };
    let order = |other: &&Alternative| (other.cost, other.model.0);
    let next = used.alternatives.iter().filter(fits).max_by_key(order)?.tier;
    let best = used.alternatives.iter().filter(fits).filter(|other| other.tier == next).min_by_key(order)?;
    let saves = spend.less(best.cost);
    let (group, model, other) = (&used.group, &used.model.1, &best.model.1);
    let id = used.path.last()?;
    let features: Vec<String> = used.features.iter().map(|feature| feature.label().to_lowercase()).collect();
    let seen = match features.as_slice() {
        [] => String::new(),
        features => format!(" It has answered calls here that used {}, as these do.", features.join(", ")),
    };
    Some(Recommendation {
        kind: Kind::Cheaper,
        topic: format!("cheaper {id} {}", used.model.0),
        title: format!("{group} could try {other} for what it asks of {model}"),
        body: format!(
            "In the last {MODEL_DAYS} days {group}, with everything below it, spent {spend} on {model}: {} calls of {} tokens in and {} out on average. By today's prices the same tokens cost {} with {other}, which it may use, too: {saves} less.{seen} Whether its answers are good enough, only a try shows.",
            grouped(calls.unsigned_abs()),
            grouped(input.unsigned_abs()),
            grouped(output.unsigned_abs()),
            best.cost,
        ),
        // The other's cost in tenths of this one's: both grow with the calls.
        figures: format!("{other} {} {}", coarse(spend.0), best.cost.0.saturating_mul(10) / spend.0),
        saves,
        action: "Make it by request".to_owned(),
        href: format!("/authorization/rule?of={id}~model:{}&say=by_request", used.model.0),
        path: used.path.clone(),
    })
}

/// A monthly limit on money, and what was used of it in its last complete months, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitUse {
    /// Which.
    pub id: LimitId,
    /// On what.
    pub scope: Scope,
    /// What that is called.
    pub name: String,
    /// The cap.
    pub cap: Money,
    /// What was spent in each complete month since it was made, at most [`LIMIT_MONTHS`].
    pub spent: Vec<Money>,
    /// What the month that runs has used so far, calls in flight included.
    pub running: Money,
    /// From the root to the group it is about; empty: none.
    pub path: Vec<GroupId>,
}

/// The next amount of 1, 2 or 5 times a power of ten dollars.
fn round_up(amount: Money) -> Money {
    let mut unit = NANOS;
    loop {
        for factor in [1, 2, 5] {
            if unit.saturating_mul(factor) >= amount.0 {
                return Money(unit.saturating_mul(factor));
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// A cap of which no complete month used a quarter.
pub fn limit(used: &LimitUse) -> Option<Recommendation> {
    let dearest = *used.spent.iter().take(LIMIT_MONTHS).max()?;
    let months = used.spent.len().min(LIMIT_MONTHS);
    // A month that is dearer than all before it counts before it is over.
    let most = dearest.max(used.running);
    if months < 2 || most.0.saturating_mul(4) >= used.cap.0 {
        return None;
    }
    let enough = round_up(Money(most.0.saturating_mul(2)));
    if enough.0 * 2 > used.cap.0 {
        return None;
    }
    let page = match used.scope {
        Scope::Group(id) => format!("/groups/{id}"),
        Scope::Application(id) => format!("/applications/{id}"),
        _ => "/limits".to_owned(),
    };
    let share = match most.0.saturating_mul(100) / used.cap.0.max(1) {
        0 => "less than 1".to_owned(),
        share => share.to_string(),
    };
    let each: Vec<String> = used.spent.iter().take(LIMIT_MONTHS).map(ToString::to_string).collect();
    Some(Recommendation {
        kind: Kind::Limit,
        topic: format!("limit {}", used.id),
        title: format!("{} needs less than {} a month", used.name, used.cap.in_full()),
        body: format!(
            "Its limit is {} a month. Of the last {months} complete months the dearest took {dearest} ({}, the newest first), this one {} so far: at most {share}\u{a0}% of the limit. {enough} would still be twice that and more, and stop a mistake sooner.",
            used.cap.in_full(),
            each.join(", "),
            used.running,
        ),
        figures: format!("{} {}", used.cap.0, coarse(most.0)),
        saves: Money::ZERO,
        action: format!("Lower it to {enough}"),
        href: format!("{page}?dialog=limit-{}&cap={}", used.id, enough.exact()),
        path: used.path.clone(),
    })
}

/// A secret that still lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUse {
    /// Which.
    pub id: SecretId,
    /// The end of it: `…x7Qa`.
    pub tail: String,
    /// Its application.
    pub application: (ApplicationId, String),
    /// The person it names.
    pub user: Option<String>,
    /// Since how many days nobody has used it.
    pub idle_days: i64,
    /// Whether it ever was.
    pub ever_used: bool,
    /// From the root to the group of the application.
    pub path: Vec<GroupId>,
}

/// A secret that nobody has used for long.
pub fn secret(used: &SecretUse) -> Option<Recommendation> {
    if used.idle_days < crate::keys::UNUSED_DAYS {
        return None;
    }
    let (application, days) = (&used.application.1, used.idle_days);
    let whose = used.user.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
    let told = if used.ever_used {
        format!("Its last call was {days} days ago.")
    } else {
        format!("It was made {days} days ago and never used.")
    };
    Some(Recommendation {
        kind: Kind::Secret,
        topic: format!("secret {}", used.id),
        title: format!("A secret{whose} for {application} is not used"),
        body: format!(
            "The secret ending in {} lets calls through on {application}'s account. {told} What is revoked cannot leak.",
            used.tail
        ),
        figures: if used.ever_used { "used".to_owned() } else { "never".to_owned() },
        saves: Money::ZERO,
        action: "Look at its secrets".to_owned(),
        href: format!("/applications/{}", used.application.0),
        path: used.path.clone(),
    })
}

/// Somebody and a group, by the calls of the last [`PEOPLE_DAYS`] days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belonging {
    /// Who.
    pub user: (UserId, String),
    /// From the root to the group.
    pub path: Vec<GroupId>,
    /// What the group is called.
    pub group: String,
    /// Since how many days they are a member; none: they are not, and not above or below it either.
    pub member_days: Option<i64>,
    /// Whether they lead it.
    pub leads: bool,
    /// Their calls on the account of the group and everything below.
    pub calls_here: i64,
    /// All their calls.
    pub calls_all: i64,
    /// Everybody's calls on the account of the group and everything below.
    pub group_calls: i64,
}

/// Who makes most of their calls on a group's account without being in it.
pub fn join(at: &Belonging) -> Option<Recommendation> {
    const CALLS: i64 = 30;
    if at.member_days.is_some() || at.calls_here < CALLS || at.calls_here * 2 < at.calls_all {
        return None;
    }
    let (name, group, id) = (&at.user.1, &at.group, at.path.last()?);
    Some(Recommendation {
        kind: Kind::Join,
        topic: format!("join {id} {}", at.user.0),
        title: format!("{name} works for {group} and is not in it"),
        body: format!(
            "In the last {PEOPLE_DAYS} days {} of {name}'s {} calls were on {group}'s account. As a member they would have what is open to {group}, and count in what its people spend.",
            grouped(at.calls_here.unsigned_abs()),
            grouped(at.calls_all.unsigned_abs()),
        ),
        figures: format!("{} {}", coarse(at.calls_here), coarse(at.calls_all)),
        saves: Money::ZERO,
        action: format!("Add to {group}"),
        href: format!("/groups/{id}?dialog=add&chosen={}", at.user.0),
        path: at.path.clone(),
    })
}

/// Who is in a group that others call for, and has not called for it at all.
pub fn leave(at: &Belonging) -> Option<Recommendation> {
    /// A group nobody calls for says nothing about its members.
    const GROUP_CALLS: i64 = 100;
    let days = at.member_days?;
    if days < PEOPLE_DAYS || at.leads || at.calls_here > 0 || at.group_calls < GROUP_CALLS {
        return None;
    }
    let (name, group, id) = (&at.user.1, &at.group, at.path.last()?);
    let elsewhere = match at.calls_all {
        0 => format!("{name} made no call anywhere."),
        calls => {
            format!("{name}'s {} calls were all on other groups' account.", grouped(calls.unsigned_abs()))
        }
    };
    Some(Recommendation {
        kind: Kind::Leave,
        topic: format!("leave {id} {}", at.user.0),
        title: format!("{name} does not use {group}"),
        body: format!(
            "A member for {days} days. Of the {} calls on {group}'s account in the last {PEOPLE_DAYS} days none was theirs. {elsewhere}",
            grouped(at.group_calls.unsigned_abs()),
        ),
        figures: format!("{}", coarse(at.calls_all)),
        saves: Money::ZERO,
        action: format!("Take out of {group}"),
        href: format!("/groups/{id}?dialog=leave&who={}", at.user.0),
        path: at.path.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(number: u128, tier: u128, cents: i64) -> Alternative {
        Alternative {
            model: (ModelId(uuid::Uuid::from_u128(number)), format!("m{number}")),
            tier: TierId(uuid::Uuid::from_u128(tier)),
            cost: Money::cents(cents),
            context: None,
            answers: None,
        }
    }

    #[test]
    fn the_next_class_below_is_suggested_and_only_what_holds_the_calls() {
        let used = |alternatives| ModelUse {
            path: vec![GroupId(uuid::Uuid::from_u128(1))],
            group: "Research".to_owned(),
            model: (ModelId(uuid::Uuid::from_u128(9)), "large".to_owned()),
            sums: Sums {
                calls: 100,
                spend: Money::cents(10_000),
                input: 400_000,
                output: 20_000,
                ..Sums::default()
            },
            features: Features::default().with(Feature::Tools),
            alternatives,
        };
        let tiers = vec![other(1, 1, 5_001), other(2, 2, 4_000), other(3, 2, 3_000), other(4, 3, 10)];
        let found = cheaper(&used(tiers.clone())).expect("one");
        assert_eq!(
            found.title, "Research could try m3 for what it asks of large",
            "not m4, the cheapest of all"
        );
        assert!(
            found.body.contains("It has answered calls here that used tools, as these do."),
            "{}",
            found.body
        );
        // 4,200 tokens on average: four times that have to fit.
        for (context, answers, expected) in [
            (Some(16_800), Some(800), Some("m3")),
            (Some(16_799), None, Some("m2")),
            (None, Some(799), Some("m2")),
        ] {
            let mut tiers = tiers.clone();
            (tiers[2].context, tiers[2].answers) = (context, answers);
            let found = cheaper(&used(tiers)).map(|one| one.title);
            assert_eq!(found.as_deref().and_then(|title| title.split(' ').nth(3)), expected);
        }
        assert_eq!(cheaper(&used(vec![other(1, 1, 5_001)])), None, "more than half");
    }

    #[test]
    fn a_coarse_figure_keeps_its_first_digit_and_a_round_one_is_enough() {
        for (figure, expected) in [(0, 0), (7, 7), (10, 10), (1999, 1000), (2001, 2000)] {
            assert_eq!(coarse(figure), expected, "{figure}");
        }
        for cents in 1..20_000 {
            let amount = Money::cents(cents);
            let round = round_up(amount);
            assert!(
                round >= amount && (round.0 < amount.0 * 5 / 2 + 1 || round == Money(NANOS)),
                "{amount}: {round}"
            );
        }
    }
}
