//! What a change would have meant, against `rehearsal.txt` and against a second, naive replay.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use domain::{
    access::{Ask, Facts, PolicyFacts, Verdict, applicable, decide},
    ids::{ApplicationId, CallId, LimitId, ModelId, PolicyId},
    keys::Features,
    limits::{Limit, Meter, Metric, Mode, Scope, Subject},
    money::{Money, NANOS},
    policies::Routing,
    rehearsal::{
        Amounts, Booked, Finished, Period, Reach, Recorded, Refused, Rehearsal, Report, Then, Usual, reach,
        reach_of_application,
    },
    usage::Usage,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::world;

fn application(group: &str) -> ApplicationId {
    ApplicationId(world::id(&format!("app-{group}")))
}

/// The small organization with an application in each group.
fn quiet() -> Facts {
    let mut facts = world::silent();
    for (group, _) in world::GROUPS {
        let own = world::application(group, &["key:all"]);
        facts.applications.insert(application(group), own);
    }
    // A key of Research is for Lin, one of Marketing for Kai.
    facts
}

fn scope(place: &str) -> Scope {
    match place {
        "org" => Scope::Organization,
        "Lin" | "Kai" => Scope::User(world::user(place)),
        place => match place.strip_prefix("app-") {
            Some(group) => Scope::Application(application(group)),
            None => Scope::Group(world::group(place)),
        },
    }
}

fn meter(words: &[&str]) -> Meter {
    let [place, metric, window] = words else { panic!("PLACE:METRIC:WINDOW in {words:?}") };
    Meter {
        scope: scope(place),
        metric: metric.parse().expect("a metric"),
        window: window.parse().expect("a window"),
    }
}

fn set_limit(facts: &mut Facts, meter: Meter, cap: &str) {
    let own = facts.limits.entry(meter.scope).or_default();
    own.retain(|limit| limit.meter != meter);
    if cap != "none" {
        let mode = if cap.ends_with('?') { Mode::Observe } else { Mode::Enforce };
        let amount: i64 = cap.trim_end_matches('?').parse().expect("a cap");
        let unit = if meter.metric == Metric::Spend { NANOS } else { 1 };
        own.push(Limit {
            id: Some(LimitId(Uuid::nil())),
            meter,
            cap: amount * unit,
            mode,
            thresholds: Default::default(),
        });
    }
}

fn add(facts: &mut Facts, word: &str) {
    let parts: Vec<&str> = word.split(':').collect();
    match parts.as_slice() {
        ["limit", place, metric, window] => {
            let (window, cap) = window.split_once('=').expect("WINDOW=CAP");
            set_limit(facts, meter(&[place, metric, window]), cap);
        }
        ["policy", policy] => {
            let (name, steps) = policy.split_once('=').expect("NAME=STEPS");
            let steps = steps.split(',').map(|name| (world::model(name), 1)).collect();
            let policy = PolicyFacts {
                id: PolicyId(world::id(name)),
                routing: Routing::Fallback,
                steps,
                rules: Default::default(),
            };
            facts.policies.insert(name.to_owned(), policy);
        }
        ["move", group, parent] => {
            let mut path = facts.groups[&world::group(parent)].path.clone();
            path.push(world::group(group));
            facts.groups.get_mut(&world::group(group)).expect("a group").path = path;
        }
        ["move-application", group, to] => {
            facts.applications.get_mut(&application(group)).expect("its application").group =
                world::group(to);
        }
        ["archived", model] => {
            facts.models.get_mut(&world::model(model)).expect("a model").archived = true;
        }
        ["gone", group] => {
            facts.applications.remove(&application(group)).expect("its application");
        }
        _ => world::add(facts, word),
    }
}

fn moment(text: &str) -> DateTime<Utc> {
    let (days, hours) = text.split_once('+').unwrap_or((text, "0"));
    let number = |text: &str| text.parse::<i64>().expect("a number");
    world::now() - Duration::days(number(days)) + Duration::hours(number(hours))
}

/// What a call of a group is booked on.
fn booked(group: &str) -> Booked {
    let (_, path) = world::GROUPS.iter().find(|(name, _)| *name == group).expect("a group");
    Booked { path: world::group_facts(group, path).path.into(), ..Booked::default() }
}

/// A hundred tokens, half of them out; ten minutes.
fn finished(group: &str, model: &str, policy: Option<&str>, dollars: i64, at: DateTime<Utc>) -> Then {
    Then::Finished(Finished {
        model: world::model(model),
        policy: policy.map(|name| PolicyId(world::id(name))),
        usage: Usage { input: 50, output: 50, ..Usage::default() },
        cost: Money(dollars * NANOS),
        finished_at: at + Duration::minutes(10),
        booked: booked(group),
    })
}

fn calls(text: &str) -> Vec<Recorded> {
    let mut list = Vec::new();
    for one in text.split(';').map(str::trim).filter(|one| !one.is_empty()) {
        let mut words: Vec<&str> = one.split_whitespace().collect();
        let refused = words[0] == "x";
        if refused {
            words.remove(0);
        }
        let times = words[0].strip_suffix('×').map_or(1, |times| times.parse().expect("a number"));
        if words[0].ends_with('×') {
            words.remove(0);
        }
        let after = |word: &str| words.iter().position(|it| *it == word).map(|place| words[place + 1]);
        let (group, person) = words[0].split_once('/').map_or((words[0], None), |(g, p)| (g, Some(p)));
        let at = moment(after("at").expect("a time"));
        for _ in 0..times {
            let then = if refused {
                let by = after("by").and_then(|by| by.strip_prefix("limit:"));
                let by = by.map(|by| meter(&by.split(':').collect::<Vec<_>>()));
                Then::Refused(Refused { asked: words[1].to_owned(), by })
            } else {
                let dollars = words[2].trim_start_matches('$').parse().expect("dollars");
                finished(group, words[1], after("via"), dollars, at)
            };
            let id = CallId(Uuid::from_u128(list.len() as u128));
            list.push(Recorded {
                id,
                at,
                application: application(group),
                user: person.map(world::user),
                then,
            });
        }
    }
    list.sort_by_key(|call| call.at);
    list
}

fn usual(calls: &[Recorded]) -> Usual {
    let mut usual = Usual::new();
    for call in calls {
        if let Then::Finished(done) = &call.then {
            let one = Amounts::of_call(done.cost, &done.usage);
            let all = usual.entry((call.application, done.model)).or_default();
            *all = Amounts {
                cost: Money(all.cost.0 + one.cost.0),
                requests: all.requests + 1,
                input: all.input + one.input,
                output: all.output + one.output,
            };
        }
    }
    usual
}

fn replay(before: &Facts, after: &Facts, calls: &[Recorded]) -> Report {
    let mut rehearsal = Rehearsal::new(before, after, usual(calls), None);
    calls.iter().for_each(|call| rehearsal.call(call));
    let since = world::now() - Duration::days(30);
    rehearsal.finish(Period { since, until: world::now(), days: 30, cut: false })
}

#[test]
fn every_line_of_the_table_holds() {
    let mut lines = 0;
    for line in
        include_str!("rehearsal.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let [rules, draft, recorded, expected] = line
            .split('|')
            .map(str::trim)
            .collect::<Vec<_>>()
            .try_into()
            .unwrap_or_else(|_| panic!("{line}"));
        let mut before = quiet();
        rules.split_whitespace().for_each(|word| add(&mut before, word));
        let mut after = before.clone();
        draft.split_whitespace().for_each(|word| add(&mut after, word));
        let calls = calls(recorded);
        assert_eq!(replay(&before, &after, &calls).headline(), expected, "{line}");
        for same in [&before, &after] {
            assert!(replay(same, same, &calls).sums.is_empty(), "no change, no difference: {line}");
        }
        lines += 1;
    }
    assert!(lines > 25, "the table was read");
}

#[test]
fn a_report_says_who_where_why_and_from_which_call_on() {
    let mut before = quiet();
    add(&mut before, "org:small=open");
    let mut after = before.clone();
    add(&mut after, "limit:Research:spend:month=100");
    add(&mut after, "Marketing:small=closed");
    let calls = calls("4× Research/Lin small $40 at 5; Marketing/Kai small $3 at 4; Search small $1 at 3");
    let report = replay(&before, &after, &calls);
    let lines = |rows: &[domain::rehearsal::Row]| -> Vec<String> {
        rows.iter().map(|row| format!("{}: {} {}", row.name, row.sums.refused, row.sums.saved)).collect()
    };
    assert_eq!(lines(&report.by_person), ["Lin: 2 $80.00", "Kai: 1 $3.00"]);
    assert_eq!(lines(&report.by_group), ["Engineering/Research: 2 $80.00", "Marketing: 1 $3.00"]);
    assert_eq!(lines(&report.by_model), ["small: 3 $83.00"]);
    assert_eq!(
        lines(&report.by_reason),
        ["No room: $100.00 a month of Research: 2 $80.00", "small for Marketing: closed: 1 $3.00"]
    );
    assert_eq!(report.by_reason[0].first.map(|(id, _)| id), Some(calls[2].id), "the third no longer fits");
    assert_eq!(report.days.iter().map(|(_, sums)| sums.refused).sum::<u64>(), 3);
    assert_eq!(report.examples.len(), 3);
}

#[test]
fn only_calls_of_a_group_are_told_to_whoever_leads_it() {
    let mut before = quiet();
    add(&mut before, "org:small=open");
    let mut after = before.clone();
    add(&mut after, "org:small=closed");
    let calls = calls("Research/Lin small $2 at 5; Marketing/Kai small $1 at 4");
    let mut rehearsal =
        Rehearsal::new(&before, &after, usual(&calls), Some(vec![world::group("Engineering")]));
    calls.iter().for_each(|call| rehearsal.call(call));
    let period = Period { since: world::now(), until: world::now(), days: 30, cut: false };
    let report = rehearsal.finish(period);
    assert_eq!((report.calls, report.sums.refused, report.people), (1, 1, 1));
}

#[test]
fn a_move_says_which_models_a_group_gains_and_loses() {
    let mut before = quiet();
    for word in ["org:small=open", "Marketing:small=closed", "Marketing:big=open"] {
        add(&mut before, word);
    }
    let mut after = before.clone();
    add(&mut after, "move:Research:Marketing");
    let reach = reach(&before, &after, world::now());
    let said: Vec<String> = reach
        .iter()
        .map(|reach| {
            let names =
                |list: Vec<&(String, _, _)>| list.iter().map(|(name, ..)| name.clone()).collect::<Vec<_>>();
            format!(
                "{} ({}): +{:?} -{:?}",
                reach.name,
                reach.people,
                names(reach.gains().collect()),
                names(reach.loses().collect())
            )
        })
        .collect();
    assert_eq!(said, [r#"Marketing/Research (1): +["big"] -["small"]"#]);
}

/// `Marketing: small open → closed`, `Marketing for Lin: …`.
fn lines(reach: &[Reach]) -> Vec<String> {
    let changes = |reach: &Reach| -> Vec<String> {
        let models = reach.models.iter();
        models.map(|(name, from, to)| format!("{name} {} → {}", from.as_str(), to.as_str())).collect()
    };
    let whom = |reach: &Reach| reach.person.as_ref().map_or_else(String::new, |name| format!(" for {name}"));
    reach
        .iter()
        .map(|reach| format!("{}{}: {}", reach.name, whom(reach), changes(reach).join(", ")))
        .collect()
}

#[test]
fn what_is_granted_counts_in_what_is_gained_and_lost() {
    let mut before = quiet();
    for word in ["org:small=by_request", "org:big=by_request", "grant:Engineering:small", "grant:Lin:big"] {
        add(&mut before, word);
    }
    let mut after = before.clone();
    add(&mut after, "move:Research:Marketing");
    assert_eq!(
        lines(&reach(&before, &after, world::now())),
        ["Marketing/Research: small open → by_request"],
        "what is granted to a person goes with them"
    );
    add(&mut after, "Marketing:big=closed!");
    assert_eq!(
        lines(&reach(&before, &after, world::now())),
        [
            "Marketing: big by_request → closed",
            "Marketing for Lin: big open → closed",
            "Marketing/Research: big by_request → closed, small open → by_request",
        ]
    );
}

#[test]
fn an_application_loses_nothing_that_its_key_does_not_let_through() {
    let mut before = quiet();
    for word in ["Research:all=open", "Research:big=open", "Research:vectors=open"] {
        add(&mut before, word);
    }
    before.models.get_mut(&world::model("vectors")).expect("it").modality =
        domain::models::Modality::Embedding;
    let mut after = before.clone();
    add(&mut after, "move-application:Research:Marketing");
    let said = |before: &Facts, after: &Facts| {
        lines(&reach_of_application(before, after, application("Research"), world::now()))
    };
    assert_eq!(said(&before, &after), ["bot: big open → closed, small open → closed"]);
    for facts in [&mut before, &mut after] {
        let bot = facts.applications.get_mut(&application("Research")).expect("it");
        bot.features = bot.features.with(domain::keys::Feature::Embeddings);
    }
    assert_eq!(
        said(&before, &after),
        ["bot: big open → closed, small open → closed, vectors open → closed"],
        "with embeddings on, those too"
    );
    // What Lin has in Research for herself stays behind.
    for facts in [&mut before, &mut after] {
        add(facts, "org:big=by_request");
        add(facts, "Research:big=by_request");
        add(facts, "grant:Lin:big");
        let grants = facts.grants.get_mut(&world::model("big")).expect("it");
        grants[0].to = domain::access::Grantee::Member(world::group("Research"), world::user("Lin"));
    }
    assert_eq!(
        said(&before, &after),
        ["bot: small open → closed, vectors open → closed", "bot for Lin: big open → by_request"]
    );
}

const PLACES: [&str; 5] = ["org", "Engineering", "Research", "Search", "Marketing"];
const TARGETS: [&str; 5] = ["all", "general", "top", "small", "big"];

/// The same question asked slowly: for every call, what all calls that counted before it used is
/// summed up anew. `counts`: whether a call counts though it is refused.
fn naive(facts: &Facts, calls: &[Recorded], counts: impl Fn(usize) -> bool) -> Vec<bool> {
    let mut counted: Vec<(Scope, DateTime<Utc>, Amounts)> = Vec::new();
    let mut answers = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        let Then::Finished(done) = &call.then else { unreachable!("only such calls are made") };
        let application = &facts.applications[&call.application];
        let ask = Ask {
            group: application.group,
            user: call.user,
            application: Some(application),
            model: done.model,
            features: Features::default(),
        };
        let decision = decide(facts, &ask, call.at);
        let subject = Subject {
            path: &facts.groups[&application.group].path,
            application: call.application,
            user: call.user,
            authorization: decision.rule,
            beside: None,
            grant: decision.grant,
        };
        let amounts = Amounts::of_call(done.cost, &done.usage);
        let room = applicable(facts, &subject).iter().all(|applied| {
            let span = facts.calendar.span(applied.meter.window, call.at);
            let used: i64 = counted
                .iter()
                .filter(|(scope, at, _)| *scope == applied.meter.scope && span.contains(*at))
                .map(|(_, _, amounts)| amounts.of(applied.meter.metric))
                .sum();
            used + amounts.of(applied.meter.metric) <= applied.cap
        });
        let passes = decision.verdict == Verdict::Allow && room;
        if passes || counts(number) {
            counted.extend(subject.scopes().iter().map(|scope| (*scope, call.at, amounts)));
        }
        answers.push(passes);
    }
    answers
}

fn any_world() -> impl Strategy<Value = Vec<String>> {
    let state = prop_oneof!["open", "open", "by_request", "closed"];
    let rule = (0..PLACES.len(), 0..TARGETS.len(), state)
        .prop_map(|(place, target, state)| format!("{}:{}={state}", PLACES[place], TARGETS[target]));
    let metric = prop_oneof!["spend", "requests", "tokens"];
    let window = prop_oneof!["hour", "day", "week", "month", "total"];
    let place = prop_oneof!["org", "Engineering", "Research", "Lin", "app-Research"];
    let limit = (place, metric, window, 1..40_i64).prop_map(|(place, metric, window, cap)| {
        let cap = if metric == "tokens" { cap * 100 } else { cap };
        format!("limit:{place}:{metric}:{window}={cap}")
    });
    (proptest::collection::vec(rule, 0..6), proptest::collection::vec(limit, 0..4))
        .prop_map(|(rules, limits)| rules.into_iter().chain(limits).collect())
}

fn any_grant() -> impl Strategy<Value = String> {
    let to = prop_oneof!["Lin", "Kai", "Engineering", "Research", "Marketing"];
    (to, prop_oneof!["small", "big", "vectors"]).prop_map(|(to, model)| format!("grant:{to}:{model}"))
}

fn any_calls() -> impl Strategy<Value = Vec<Recorded>> {
    let call = (0..25_i64, 0..24_i64, 0..4_usize, 0..2_usize, 1..8_i64);
    proptest::collection::vec(call, 0..60).prop_map(|list| {
        let text: Vec<String> = list
            .into_iter()
            .map(|(day, hour, group, model, dollars)| {
                let group = ["Research/Lin", "Research", "Search", "Marketing/Kai"][group];
                format!("{group} {} ${dollars} at {day}+{hour}", ["small", "big"][model])
            })
            .collect();
        calls(&text.join(";"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_naive_replay_agrees(rules in any_world(), draft in any_world(), calls in any_calls()) {
        let mut before = quiet();
        add(&mut before, "org:all=open");
        rules.iter().for_each(|word| add(&mut before, word));
        let mut after = before.clone();
        draft.iter().for_each(|word| add(&mut after, word));
        let report = replay(&before, &after, &calls);
        let cost = |call: &Recorded| match &call.then {
            Then::Finished(done) => done.cost.0,
            Then::Refused(_) => 0,
        };
        let (mut refused, mut saved, mut allowed, mut costs) = (0, 0, 0, 0);
        // All of them were made, so all of them count; what the draft alone refuses does not in its world.
        let today = naive(&before, &calls, |_| true);
        let then = naive(&after, &calls, |number| !today[number]);
        for ((call, was), is) in calls.iter().zip(today).zip(then) {
            if was && !is {
                (refused, saved) = (refused + 1, saved + cost(call));
            }
            if !was && is {
                (allowed, costs) = (allowed + 1, costs + cost(call));
            }
        }
        prop_assert_eq!((report.sums.refused, report.sums.saved.0), (refused, saved));
        prop_assert_eq!((report.sums.allowed, report.sums.costs.0), (allowed, costs));
        prop_assert_eq!(report.calls, calls.len() as u64);
    }

    #[test]
    fn what_an_application_gains_and_loses_is_what_is_decided(
        rules in any_world(),
        grants in proptest::collection::vec(any_grant(), 0..4),
        key in prop_oneof!["key:all", "key:small", "embeddings"],
        from in 0..4_usize,
        to in 0..4_usize,
    ) {
        let mut before = quiet();
        before.models.get_mut(&world::model("vectors")).expect("it").modality = domain::models::Modality::Embedding;
        rules.iter().chain(&grants).for_each(|word| add(&mut before, word));
        let (from, to) = (world::GROUPS[from].0, world::GROUPS[to].0);
        before.applications.insert(application(from), world::application(from, &[&key]));
        let mut after = before.clone();
        add(&mut after, &format!("move-application:{from}:{to}"));
        let said = reach_of_application(&before, &after, application(from), world::now());
        for user in [None, Some("Lin"), Some("Kai")] {
            for model in ["small", "big", "vectors", "raw", "gift"] {
                let [was, is] = [&before, &after].map(|facts| {
                    let app = &facts.applications[&application(from)];
                    let ask = Ask {
                        group: app.group,
                        user: user.map(world::user),
                        application: Some(app),
                        model: world::model(model),
                        features: Features::default(),
                    };
                    domain::authorizations::State::from(decide(facts, &ask, world::now()).verdict)
                });
                let of = |person: Option<&str>| {
                    let line = said.iter().find(|line| line.person.as_deref() == person)?;
                    line.models.iter().find(|(name, ..)| name == model).map(|(_, from, to)| (*from, *to))
                };
                // Somebody has a line of their own where a grant of theirs is for the model and makes it another;
                // somebody who may not call by the key at all has none.
                let own = user.and_then(|name| of(Some(name)));
                let changes = (was != is).then_some((was, is));
                match user {
                    None => prop_assert_eq!(of(None), changes),
                    Some(_) if own.is_some() => prop_assert_eq!(own, changes),
                    Some(name) => {
                        let granted = grants.contains(&format!("grant:{name}:{model}"));
                        prop_assert!(!granted || changes.is_none() || changes == of(None));
                    }
                }
            }
        }
    }

    #[test]
    fn a_draft_that_changes_nothing_reports_nothing(rules in any_world(), calls in any_calls()) {
        let mut facts = quiet();
        rules.iter().for_each(|word| add(&mut facts, word));
        let report = replay(&facts, &facts, &calls);
        prop_assert!(report.sums.is_empty() && report.examples.is_empty() && report.by_reason.is_empty());
        prop_assert!(reach(&facts, &facts, world::now()).is_empty());
    }
}

#[test]
fn what_was_used_before_the_replay_begins_counts() {
    let mut before = quiet();
    add(&mut before, "org:small=open");
    let mut after = before.clone();
    add(&mut after, "limit:Research:spend:month=100");
    let calls = calls("Research/Lin small $40 at 5");
    let since = moment("6");
    for (used, refused) in [(0, 0), (60, 0), (61, 1)] {
        let mut rehearsal =
            Rehearsal::new(&before, &after, HashMap::<(ApplicationId, ModelId), Amounts>::new(), None);
        let sums = Amounts { cost: Money(used * NANOS), requests: 1, ..Amounts::default() };
        let scope = Scope::Group(world::group("Research"));
        rehearsal.opened(scope, domain::window::Window::Month, since, &sums);
        calls.iter().for_each(|call| rehearsal.call(call));
        let period = Period { since, until: world::now(), days: 6, cut: false };
        assert_eq!(rehearsal.finish(period).sums.refused, refused, "{used}");
    }
}
