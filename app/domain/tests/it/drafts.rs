//! What drafts come to, against `drafts.txt`.

use domain::{
    access::Facts,
    authorizations::{Cell, Draft, Edit, Say},
    drafts::{effects, widenings},
    ids::{ApplicationId, LimitId},
    limits::{Limit, Meter, Metric, Mode, Scope},
    window::Window,
};
use uuid::Uuid;

use crate::world;

/// `Research:small=closed` as an edit; `Research:small=inherit` takes a rule away.
fn edit(word: &str) -> Edit {
    let (place, rule) = word.split_once(':').expect("PLACE:WHAT=STATE");
    let (what, state) = rule.split_once('=').expect("WHAT=STATE");
    let cell = Cell { group: (place != "org").then(|| world::group(place)), target: world::target(what) };
    let say = (state != "inherit").then(|| Say {
        state: state.trim_end_matches('!').parse().expect("a state"),
        locked: state.ends_with('!'),
        ends_at: None,
    });
    Edit { cell, say, seen: None }
}

/// `quota:Research:small`: what passes by the rule is capped.
fn cap(facts: &mut Facts, place: &str, what: &str) {
    let place = (place != "org").then(|| world::group(place));
    let id = facts.rules[&place][&world::target(what)].id;
    let meter = Meter { scope: Scope::Authorization(id), metric: Metric::Spend, window: Window::Day };
    let limit =
        Limit { id: Some(LimitId(id.0)), meter, cap: 1, mode: Mode::Enforce, thresholds: Default::default() };
    facts.limits.insert(meter.scope, vec![limit]);
}

fn facts(text: &str) -> Facts {
    let mut facts = world::silent();
    let bot = world::application("Research", &["key:all"]);
    facts.applications.insert(ApplicationId(Uuid::from_u128(1)), bot);
    for word in text.split_whitespace() {
        match word.split(':').collect::<Vec<_>>().as_slice() {
            ["quota", place, what] => cap(&mut facts, place, what),
            _ => world::add(&mut facts, word),
        }
    }
    facts
}

fn listed(mut words: Vec<String>) -> String {
    words.sort();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

#[test]
fn every_line_of_the_table_holds() {
    let mut lines = 0;
    for line in include_str!("drafts.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let [before, draft, refused, shifts, whom] = line
            .split('|')
            .map(str::trim)
            .collect::<Vec<_>>()
            .try_into()
            .unwrap_or_else(|_| panic!("{line}"));
        let before = facts(before);
        let words: Vec<&str> = draft.split_whitespace().collect();
        let draft = Draft { edits: words.iter().map(|word| edit(word)).collect() };
        let after = draft.on(&before);
        let found = widenings(&before, &after, &draft, world::now());
        assert_eq!(listed(found.keys().map(|place| words[*place].to_owned()).collect()), refused, "{line}");
        let effects = effects(&before, &after, &draft, world::now());
        let found = effects.shifts.iter().map(|shift| {
            let group = &before.groups[&shift.group].name;
            format!("{group}:{}:{}>{}", before.models[&shift.model].name, shift.before, shift.after)
        });
        assert_eq!(listed(found.collect()), shifts, "{line}");
        let people = effects.gain.iter().map(|user| format!("+{}", before.users[user].name));
        let people = people.chain(effects.lose.iter().map(|user| format!("-{}", before.users[user].name)));
        let bots =
            effects.applications.values().map(|starts| if *starts { "+bot" } else { "-bot" }.to_owned());
        assert_eq!(listed(people.chain(bots).collect()), whom, "{line}");
        lines += 1;
    }
    assert!(lines > 15, "the table was read");
}

#[test]
fn what_comes_after_a_rule_has_ended_counts_too() {
    let before = facts("org:small=open Research:small=closed");
    let mut stays = edit("Research:small=closed");
    let mut draft = Draft { edits: vec![stays] };
    assert!(widenings(&before, &draft.on(&before), &draft, world::now()).is_empty());
    if let Some(say) = &mut stays.say {
        say.ends_at = Some(world::now() + chrono::Duration::days(1));
    }
    draft.put(stays);
    let after = draft.on(&before);
    let found = widenings(&before, &after, &draft, world::now());
    assert_eq!(found.into_keys().collect::<Vec<_>>(), [0], "open from the day after");
    assert!(effects(&before, &after, &draft, world::now()).is_empty(), "and closed until then");
}
