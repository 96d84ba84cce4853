//! The review inbox: into which class a new model seems to belong, and who would have it then.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    access::{Ask, Facts, Verdict, decide, ruling_for},
    authorizations::{State, Target},
    ids::{GroupId, ModelId, TierId},
    keys::Features,
    models::{Modality, Review},
    money::Price,
    prices::{DatedPrices, PriceKey, Prices},
};

/// How many models one decision is about at most.
pub const MODELS_MAX: usize = 500;

/// A class as far as a suggestion looks at it, in the order people see classes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Which.
    pub tier: TierId,
    /// What it is called.
    pub name: String,
    /// Of a class that is never matched by "all": to how many groups the rules open it.
    pub high_cost: Option<Opening>,
}

/// To how many groups the rules open a class, whatever they say about single models of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// How many may call its models.
    pub open: usize,
    /// In how many somebody has to agree first.
    pub by_request: usize,
}

impl Opening {
    /// What it is as the end of a sentence: `frontier is open to 3 groups`.
    fn words(self, class: &str) -> String {
        let groups = |count: usize| if count == 1 { "1 group".to_owned() } else { format!("{count} groups") };
        match (self.open, self.by_request) {
            (0, 0) => format!("no rule opens {class} to any group"),
            (0, asked) => format!("{class} is open to no group, and by request for {}", groups(asked)),
            (open, 0) => format!("{class} is open to {}", groups(open)),
            (open, asked) => {
                format!("{class} is open to {}, and by request for {}", groups(open), groups(asked))
            }
        }
    }
}

/// To how many of the groups that have not ended the rules open a class.
pub fn opening(facts: &Facts, tier: TierId, now: DateTime<Utc>) -> Opening {
    let mut opening = Opening::default();
    for group in facts.groups.values().filter(|group| group.ends_at.is_none_or(|end| now < end)) {
        match ruling_for(facts, &group.path, Target::Tier(tier), now).map(|(_, rule)| rule.state) {
            Some(State::Open) => opening.open += 1,
            Some(State::ByRequest) => opening.by_request += 1,
            Some(State::Closed) | None => {}
        }
    }
    opening
}

/// A model that was decided on: what a new one is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What callers write.
    pub name: String,
    /// Its class.
    pub tier: TierId,
    /// What goes in and comes out.
    pub modality: Modality,
    /// What it costs.
    pub prices: Prices,
}

/// A class, and why that one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// Which.
    pub tier: TierId,
    /// Why, as a sentence.
    pub why: String,
}

/// What a call of a model costs, as one figure to compare by: of tokens, three that go in to one that
/// comes out.
fn weight(prices: &Prices, modality: Modality) -> Option<Price> {
    if !prices.complete_for(modality) {
        return None;
    }
    let of = |key| prices.of(key);
    match modality {
        Modality::Chat | Modality::Vision => {
            let (input, output) = (of(PriceKey::Input)?.0, of(PriceKey::Output)?.0);
            Some(Price(input.checked_mul(3)?.checked_add(output)? / 4))
        }
        Modality::Embedding | Modality::Rerank | Modality::Audio => {
            of(PriceKey::Input).or_else(|| of(PriceKey::Call))
        }
        Modality::Image | Modality::Video => of(PriceKey::Image).or_else(|| of(PriceKey::Call)),
    }
}

/// Whether two kinds of models are compared: text is text, whether images may go in or not.
fn comparable(one: Modality, other: Modality) -> bool {
    let text = |modality| matches!(modality, Modality::Chat | Modality::Vision);
    one == other || (text(one) && text(other))
}

/// How many thousandths of the cheaper one the dearer one costs.
fn apart(one: Price, other: Price) -> i128 {
    let (low, high) = (one.0.min(other.0), one.0.max(other.0));
    match low {
        0 if high == 0 => 1000,
        0 => i128::MAX,
        low => i128::from(high) * 1000 / i128::from(low),
    }
}

/// Into which class a model with these prices seems to belong. None when there are no classes.
pub fn suggest(classes: &[Class], peers: &[Peer], modality: Modality, prices: &Prices) -> Option<Suggestion> {
    let first = classes.iter().find(|class| class.high_cost.is_none()).or(classes.first())?;
    let dear = classes.iter().find_map(|class| Some((class, class.high_cost?)));
    let of = |class: &Class, why: String| Some(Suggestion { tier: class.tier, why });
    let Some(mine) = weight(prices, modality) else {
        return match dear {
            Some((dear, opening)) => {
                let why = format!(
                    "Nobody knows yet what it costs, so it goes with what costs most; {}.",
                    opening.words(&dear.name)
                );
                of(dear, why)
            }
            None => of(first, "Nobody knows yet what it costs: this is the first tier there is.".to_owned()),
        };
    };
    let compared = peers.iter().filter(|peer| comparable(peer.modality, modality));
    let compared: Vec<(&Peer, &Class, Price)> = compared
        .filter_map(|peer| {
            let class = classes.iter().find(|class| class.tier == peer.tier)?;
            Some((peer, class, weight(&peer.prices, peer.modality)?))
        })
        .collect();
    let Some(dearest) = compared.iter().max_by_key(|(_, _, weight)| *weight) else {
        return of(
            first,
            format!(
                "There is no model of its kind yet whose price it could be compared with: {} is the first tier.",
                first.name
            ),
        );
    };
    if let Some((dear, _)) = dear.filter(|_| i128::from(mine.0) > 2 * i128::from(dearest.2.0)) {
        let why = format!(
            "It costs more than twice what {} does, the dearest of its kind until now.",
            dearest.0.name
        );
        return of(dear, why);
    }
    // Of two that are as near, the dearer: whoever is in doubt opens less.
    let (peer, class, _) = compared.iter().min_by(|a, b| {
        apart(a.2, mine).cmp(&apart(b.2, mine)).then(b.2.cmp(&a.2)).then(a.0.name.cmp(&b.0.name))
    })?;
    of(class, format!("Its price is nearest to that of {}, which is in {}.", peer.name, class.name))
}

/// Sees to it that these facts have a model as it would be once accepted into a class.
pub fn accept(facts: &mut Facts, model: ModelId, tier: TierId) {
    if let Some(model) = facts.models.get_mut(&model) {
        model.review = Review::Accepted;
        model.tier = tier;
    }
}

/// Sees to it that nothing but the rules stands in the way of a model: it is in the catalogue, decided on, and
/// has a price.
pub fn clear_the_way(facts: &mut Facts, model: ModelId, now: DateTime<Utc>) {
    let Some(model) = facts.models.get_mut(&model) else { return };
    model.review = Review::Accepted;
    model.archived = false;
    if model.prices_at(now).is_none() {
        let free = |prices: Prices, key: &PriceKey| prices.with(*key, Some(Price(0)));
        let prices = PriceKey::ALL.iter().fold(Prices::default(), free);
        model.prices = vec![DatedPrices { from: now, prices }];
    }
}

/// The groups that may use a model, or may once somebody agrees, by what [`decide`] says: those
/// directly there, in no order.
pub fn reach(facts: &Facts, model: ModelId, now: DateTime<Utc>) -> Vec<(GroupId, Verdict)> {
    let ask = |group| Ask { group, user: None, application: None, model, features: Features::default() };
    let decided = facts.groups.keys().map(|group| (*group, decide(facts, &ask(*group), now).verdict));
    decided.filter(|(_, verdict)| !matches!(verdict, Verdict::Deny(_))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn what_the_rules_say_about_a_class_is_said_in_words() {
        for (open, by_request, expected) in [
            (0, 0, "no rule opens frontier to any group"),
            (0, 2, "frontier is open to no group, and by request for 2 groups"),
            (1, 0, "frontier is open to 1 group"),
            (3, 1, "frontier is open to 3 groups, and by request for 1 group"),
        ] {
            assert_eq!(Opening { open, by_request }.words("frontier"), expected);
        }
    }

    const fn tier(number: u128) -> TierId {
        TierId(Uuid::from_u128(number))
    }

    fn prices(text: &str) -> Prices {
        let mut parts = text.split('/').map(|part| part.trim().parse().unwrap());
        Prices::default().with(PriceKey::Input, parts.next()).with(PriceKey::Output, parts.next())
    }

    fn peer(name: &str, of: u128, modality: Modality, text: &str) -> Peer {
        Peer { name: name.to_owned(), tier: tier(of), modality, prices: prices(text) }
    }

    /// What is suggested, as `tier: why`.
    fn said(classes: &[Class], peers: &[Peer], modality: Modality, prices: &Prices) -> String {
        let suggested = suggest(classes, peers, modality, prices).expect("a class");
        let class = classes.iter().find(|class| class.tier == suggested.tier).expect("one of them");
        format!("{}: {}", class.name, suggested.why)
    }

    #[test]
    fn a_new_model_goes_where_its_price_is_nearest() {
        let class =
            |number, name: &str, high_cost| Class { tier: tier(number), name: name.to_owned(), high_cost };
        let some = Opening { open: 3, by_request: 1 };
        let classes =
            [class(1, "general", None), class(2, "high-performance", None), class(3, "frontier", Some(some))];
        let peers = [
            peer("small", 1, Modality::Chat, "0.10/0.40"),
            peer("medium", 1, Modality::Chat, "0.50/2.00"),
            peer("large", 2, Modality::Vision, "3/15"),
            peer("vectors", 1, Modality::Embedding, "0.02"),
            peer("huge", 3, Modality::Chat, "15/75"),
        ];
        let general = "Its price is nearest to that of";
        for (modality, price, expected) in [
            (Modality::Chat, "0.15/0.60", format!("general: {general} small, which is in general.")),
            (Modality::Vision, "0.60/2.40", format!("general: {general} medium, which is in general.")),
            (
                Modality::Chat,
                "2.50/10",
                format!("high-performance: {general} large, which is in high-performance."),
            ),
            (Modality::Chat, "14/70", format!("frontier: {general} huge, which is in frontier.")),
            (
                Modality::Chat,
                "40/200",
                "frontier: It costs more than twice what huge does, the dearest of its kind until now."
                    .to_owned(),
            ),
            (Modality::Embedding, "0.03", format!("general: {general} vectors, which is in general.")),
            (
                Modality::Image,
                "1/1",
                "frontier: Nobody knows yet what it costs, so it goes with what costs most; frontier is open to 3 groups, and by request for 1 group."
                    .to_owned(),
            ),
        ] {
            assert_eq!(said(&classes, &peers, modality, &prices(price)), expected, "{modality} {price}");
        }
        assert_eq!(
            said(&classes, &[], Modality::Chat, &prices("1/2")),
            "general: There is no model of its kind yet whose price it could be compared with: general is the first tier."
        );
        assert_eq!(
            said(&classes[..2], &peers, Modality::Chat, &Prices::default()),
            "general: Nobody knows yet what it costs: this is the first tier there is."
        );
        assert_eq!(suggest(&[], &peers, Modality::Chat, &prices("1/2")), None);
        // As near to the cheaper one as to the dearer: the dearer it is.
        let pair = [peer("cheap", 1, Modality::Chat, "1/1"), peer("dear", 2, Modality::Chat, "4/4")];
        assert!(said(&classes, &pair, Modality::Chat, &prices("2/2")).starts_with("high-performance"));
    }
}
