//! What rules that only observe would have made of a call that passes.

use domain::{
    access::{Ask, Step, Verdict, decide, decide_with, observe},
    access_tests::{AccessTest, Expected, Subject, run},
    authorizations::Target,
    ids::AccessTestId,
    keys::Features,
};
use uuid::Uuid;

use crate::world;

/// Rules | model asked by Lin in Research | what the observing rules say.
const TABLE: [(&str, &str, &str); 13] = [
    ("org:all=open", "small", "nothing"),
    ("org:all=open Research:small=closed?", "small", "closed by Research:small=closed?"),
    ("org:all=open Research:small=by_request?", "small", "approval by Research:small=by_request?"),
    ("org:all=open Research:small=open?", "small", "nothing"),
    // It takes the place of the rule beside it, and only of that one.
    ("org:all=open org:all=closed?", "small", "closed by org:all=closed?"),
    ("org:all=open org:all=closed? Research:small=open", "small", "nothing"),
    ("org:all=open org:all=closed!? Research:small=open", "small", "closed by org:all=closed!?"),
    ("org:all=open! Research:small=closed?", "small", "nothing"),
    ("org:all=open Research:small=closed?~", "small", "nothing"),
    // `all` matches no high-cost tier, observing or not.
    ("org:big=open org:all=closed?", "big", "nothing"),
    // A grant lifts what would only ask.
    ("org:all=open org:small=by_request? grant:Lin:small", "small", "nothing"),
    // What is refused anyway is not noted.
    ("org:all=closed Research:small=closed?", "small", "nothing"),
    ("org:all=by_request Research:small=closed?", "small", "nothing"),
];

#[test]
fn observed_rules_say_what_they_would_have_refused() {
    for (rules, model, expected) in TABLE {
        let mut facts = world::silent();
        rules.split_whitespace().for_each(|word| world::add(&mut facts, word));
        let ask = Ask {
            group: world::group("Research"),
            user: Some(world::user("Lin")),
            application: None,
            model: world::model(model),
            features: Features::default(),
        };
        let decision = decide(&facts, &ask, world::now());
        let observed = observe(&facts, &ask, &decision, world::now());
        let said = observed.map_or("nothing".to_owned(), |observed| {
            let rule = rules.split_whitespace().find(|word| world::id(word) == observed.rule.0);
            let verdict = if observed.verdict == Verdict::NeedsApproval { "approval" } else { "closed" };
            format!("{verdict} by {}", rule.unwrap_or("nobody"))
        });
        assert_eq!(said, expected, "{rules}");
        let mut steps = Vec::new();
        assert_eq!(decide_with(&facts, &ask, world::now(), &mut steps), decision);
        let named = steps.iter().any(|step| matches!(step, Step::Observed(_)));
        assert_eq!(named, expected != "nothing", "the trace names it: {rules}");
    }
}

/// Rules | whom | of what | expected | the failure, or that it holds.
const TESTS: [(&str, &str, &str, Expected, &str); 12] = [
    ("org:small=open", "Research", "small", Expected::Open, "holds"),
    (
        "org:small=open",
        "Research",
        "small",
        Expected::NotOpen,
        "expected not open, and small is open for Engineering/Research",
    ),
    ("org:small=by_request", "Research", "small", Expected::NotOpen, "holds"),
    (
        "org:small=by_request",
        "Research",
        "small",
        Expected::Closed,
        "expected closed, and small is by request for Engineering/Research",
    ),
    ("org:small=by_request", "Research", "small", Expected::ByRequest, "holds"),
    // What must not be open must not be open below either; what is open need not be.
    (
        "Search:small=open",
        "Engineering",
        "small",
        Expected::Closed,
        "expected closed, and small is open for Engineering/Search",
    ),
    ("Engineering:small=open Search:small=closed", "Engineering", "small", Expected::Open, "holds"),
    // A tier: its rule, and every model of it by its own name.
    (
        "org:small=open",
        "Research",
        "general",
        Expected::Closed,
        "expected closed, and small is open for Engineering/Research",
    ),
    (
        "org:general=open",
        "Research",
        "general",
        Expected::NotOpen,
        "expected not open, and tier general is open for Engineering/Research",
    ),
    // A person: wherever they belong.
    ("Research:small=open", "Lin", "small", Expected::Closed, "expected closed, and small is open for Lin"),
    ("Marketing:small=open", "Lin", "small", Expected::Closed, "holds"),
    (
        "org:small=by_request grant:Lin:small",
        "Lin",
        "small",
        Expected::NotOpen,
        "expected not open, and small is open for Lin",
    ),
];

#[test]
fn pinned_tests_fail_where_they_are_broken() {
    for (rules, whom, what, expected, outcome) in TESTS {
        let mut facts = world::silent();
        rules.split_whitespace().for_each(|word| world::add(&mut facts, word));
        let test = AccessTest {
            id: AccessTestId(Uuid::nil()),
            name: "a test".parse().expect("a name"),
            subject: if whom == "Lin" {
                Subject::User(world::user(whom))
            } else {
                Subject::Group(world::group(whom))
            },
            target: match world::target(what) {
                Target::All => panic!("a model or a tier"),
                target => target,
            },
            expected,
        };
        let found = run(&facts, &test, world::now())
            .map_or_else(|failure| failure.to_string(), |()| "holds".to_owned());
        assert_eq!(found, outcome, "{rules}: {whom} {what}");
    }
}
