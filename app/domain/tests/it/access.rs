//! `decide` against `access.txt`.

use domain::{
    access::{Ask, Reason, Step, Verdict, decide, decide_with},
    keys::{Feature, Features},
    why::fixes,
};

use crate::world;

fn answer(verdict: Verdict) -> String {
    match verdict {
        Verdict::Allow => "allow".to_owned(),
        Verdict::NeedsApproval => "approval".to_owned(),
        Verdict::Deny(reason) => format!("deny {}", reason.as_str()),
    }
}

#[test]
fn every_line_of_the_table_holds() {
    let mut lines = 0;
    for line in include_str!("access.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let [facts_text, ask_text, expected] = line
            .split('|')
            .map(str::trim)
            .collect::<Vec<_>>()
            .try_into()
            .unwrap_or_else(|_| panic!("{line}"));
        let mut facts = world::silent();
        facts_text.split_whitespace().for_each(|word| world::add(&mut facts, word));

        let words: Vec<&str> = ask_text.split_whitespace().collect();
        let (of, model, rest) = (words[0], words[1], &words[2..]);
        let user = rest.iter().position(|word| *word == "as").map(|place| world::user(rest[place + 1]));
        let key: Vec<&str> = rest
            .iter()
            .copied()
            .skip_while(|word| !word.starts_with("key:"))
            .filter(|word| !word.starts_with('+'))
            .collect();
        let application = (!key.is_empty()).then(|| world::application(of, &key));
        let features: Features = rest
            .iter()
            .filter_map(|word| word.strip_prefix('+'))
            .map(|word| word.parse::<Feature>().expect("a feature"))
            .collect();
        let ask = Ask {
            group: world::group(of),
            user,
            application: application.as_ref(),
            model: world::model(model),
            features,
        };

        let decision = decide(&facts, &ask, world::now());
        assert_eq!(answer(decision.verdict), expected, "{line}");

        let mut trace = Vec::new();
        assert_eq!(
            decide_with(&facts, &ask, world::now(), &mut trace),
            decision,
            "the trace changed the answer: {line}"
        );
        let gone = decision.verdict == Verdict::Deny(Reason::UnknownModel);
        let nothing_helps = fixes(&facts, &ask, world::now()).is_empty();
        assert_eq!(nothing_helps, gone || decision.verdict == Verdict::Allow, "what would help: {line}");
        let deciding = trace.iter().filter(|step| matches!(step, Step::Rule { decides: true, .. })).count();
        assert_eq!(
            deciding,
            usize::from(decision.rule.is_some()),
            "exactly the rule that decided is marked: {line}"
        );
        lines += 1;
    }
    assert!(lines > 45, "the table was read");
}
