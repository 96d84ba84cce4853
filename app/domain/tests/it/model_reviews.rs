//! Who would have a new model, before anybody has it.

use domain::{
    access::Verdict,
    model_reviews::{Opening, accept, clear_the_way, opening, reach},
};

use crate::world;

/// Rules, the tier a model that waits is accepted into, and who has it then.
const CASES: [(&str, &str, &str); 8] = [
    ("", "general", ""),
    ("org:general=open", "general", "Engineering Marketing Research Search"),
    ("org:general=open", "top", ""),
    // "All" does not match a high-cost tier.
    ("org:all=open", "special", "Engineering Marketing Research Search"),
    ("org:all=open", "top", ""),
    ("org:top=by_request Research:top=open", "top", "Engineering? Marketing? Research Search?"),
    ("Engineering:general=open Search:general=closed", "general", "Engineering Research"),
    ("org:general=open ended:Research Marketing:raw=closed", "general", "Engineering Search"),
];

#[test]
fn the_rules_give_a_new_model_to_nobody_before_it_is_accepted_and_then_to_these() {
    for (rules, tier, expected) in CASES {
        let mut facts = world::silent();
        for word in rules.split_whitespace() {
            world::add(&mut facts, word);
        }
        let model = world::model("raw");
        assert_eq!(reach(&facts, model, world::now()), [], "{rules}: it waits");
        accept(&mut facts, model, world::tier(tier));
        let reached = reach(&facts, model, world::now());
        let named = world::GROUPS.iter().filter_map(|(name, _)| {
            let (_, verdict) = reached.iter().find(|(group, _)| *group == world::group(name))?;
            Some(if *verdict == Verdict::NeedsApproval { format!("{name}?") } else { (*name).to_owned() })
        });
        let mut named: Vec<String> = named.collect();
        named.sort();
        assert_eq!(named.join(" "), expected, "{rules}, into {tier}");
    }
}

#[test]
fn a_model_without_a_price_goes_to_nobody_whatever_the_rules_say() {
    let mut facts = world::silent();
    world::add(&mut facts, "org:general=open");
    let model = world::model("gift");
    accept(&mut facts, model, world::tier("general"));
    assert_eq!(reach(&facts, model, world::now()), []);
}

#[test]
fn once_nothing_else_stands_in_the_way_the_rules_say_who_has_a_model() {
    for name in ["raw", "gift", "small"] {
        let mut facts = world::silent();
        world::add(&mut facts, "Engineering:general=open");
        let model = world::model(name);
        facts.models.get_mut(&model).expect("a model").archived = name == "small";
        assert_eq!(reach(&facts, model, world::now()), [], "{name}: it waits, has no price, or is gone");
        clear_the_way(&mut facts, model, world::now());
        let mut reached: Vec<_> = reach(&facts, model, world::now()).into_iter().map(|(id, _)| id).collect();
        reached.sort();
        let mut expected = ["Engineering", "Research", "Search"].map(world::group);
        expected.sort();
        assert_eq!(reached, expected, "{name}");
    }
}

#[test]
fn a_class_is_open_to_the_groups_that_the_rules_open_it_to() {
    for (rules, open, by_request) in [
        ("", 0, 0),
        ("org:all=open", 0, 0),
        ("org:top=open", 4, 0),
        ("org:top=by_request Research:top=open Marketing:top=closed", 1, 2),
        ("Engineering:big=open", 0, 0),
        ("Engineering:top=open ended:Research", 2, 0),
    ] {
        let mut facts = world::silent();
        rules.split_whitespace().for_each(|word| world::add(&mut facts, word));
        assert_eq!(
            opening(&facts, world::tier("top"), world::now()),
            Opening { open, by_request },
            "{rules}"
        );
    }
}
