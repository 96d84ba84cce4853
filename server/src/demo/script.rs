//! The story as a list of deeds in the order of time: who did what, when, through which door.
//!
//! Everything is named here by the names of [`super::acme`]; ids come with the performance.

use domain::{
    access_tests::Expected,
    audit::Door,
    authorizations::State,
    groups::Standing,
    limits::{Metric, Mode},
    users::Role,
    window::Window,
};
use rand::{RngExt, rngs::Xoshiro256PlusPlus};

use super::acme::{self, DAYS};

/// What a rule is about, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Model(&'static str),
    Tier(&'static str),
    All,
}

/// Whose use a limit counts, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Organization,
    Group(&'static str),
    Application(&'static str),
    User(&'static str),
    Member(&'static str, &'static str),
    Rule(&'static str, Target),
}

/// Something that is done. Changes of what exists say only what is new.
#[derive(Clone, Debug)]
pub enum Deed {
    Provider {
        name: &'static str,
    },
    Tier {
        name: &'static str,
        high_cost: bool,
    },
    Model {
        model: &'static acme::Model,
        provider: &'static str,
        accepted: bool,
    },
    Price {
        model: &'static str,
        input: &'static str,
        cache_read: &'static str,
        output: &'static str,
    },
    Retire {
        model: &'static str,
    },
    Group {
        group: &'static acme::Group,
    },
    NewUsersJoin {
        group: &'static str,
    },
    Invite {
        person: Person,
    },
    Accept {
        person: String,
    },
    Belong {
        person: String,
        group: &'static str,
        standing: Standing,
        ends: Option<i64>,
    },
    Leave {
        person: String,
        group: &'static str,
    },
    Suspend {
        person: String,
        suspended: bool,
    },
    Rule {
        group: &'static str,
        target: Target,
        state: State,
        locked: bool,
        ends: Option<i64>,
        observes: bool,
    },
    /// Pins a test.
    Test {
        name: &'static str,
        group: &'static str,
        target: Target,
        expected: Expected,
    },
    Policy {
        name: &'static str,
        balance: bool,
        steps: &'static [(&'static str, i32)],
    },
    /// Calls of a group that name no model go to a policy.
    Unnamed {
        group: &'static str,
        policy: &'static str,
    },
    Program {
        program: &'static acme::Program,
    },
    ServiceSecret {
        program: &'static str,
        rotates: bool,
    },
    MemberSecret {
        program: &'static str,
    },
    OwnContext {
        group: &'static str,
    },
    Limit {
        scope: Scope,
        metric: Metric,
        window: Window,
        cap: i64,
        mode: Mode,
    },
}

/// Somebody who is invited.
#[derive(Clone, Debug)]
pub struct Person {
    /// The part of the address before the @.
    pub key: String,
    pub name: String,
    pub role: Role,
}

/// A deed with its moment: minutes since the beginning.
#[derive(Clone, Debug)]
pub struct Line {
    pub minute: i64,
    pub by: String,
    pub door: Door,
    pub deed: Deed,
}

/// Minutes of a day.
const DAY: i64 = 24 * 60;

/// The whole story up to the present. The same generator tells the same story.
pub fn write(rng: &mut Xoshiro256PlusPlus) -> Vec<Line> {
    let mut script = Script { lines: Vec::new(), rng };
    script.foundation();
    let people = script.people();
    script.programs(&people);
    script.rules_and_limits();
    script.everyday();
    let mut lines = script.lines;
    // Stable: what is done at the same moment stays in the order it was written in.
    lines.sort_by_key(|line| line.minute);
    lines
}

/// Somebody with their home and the day they were invited.
struct Cast {
    person: Person,
    home: &'static str,
    lead: bool,
    day: i64,
}

struct Script<'a> {
    lines: Vec<Line>,
    rng: &'a mut Xoshiro256PlusPlus,
}

impl Script<'_> {
    fn line(&mut self, minute: i64, by: &str, deed: Deed) {
        self.lines.push(Line { minute, by: by.to_owned(), door: Door::Console, deed });
    }

    fn filed(&mut self, deed: Deed) {
        self.lines.push(Line { minute: 9 * 60 + 40, by: "olga".to_owned(), door: Door::File, deed });
    }

    /// A minute of the working day.
    fn office(&mut self, day: i64) -> i64 {
        day * DAY + self.rng.random_range(8 * 60 + 30..17 * 60 + 30)
    }

    /// What the first file said: catalogue, tree, and the first rules.
    fn foundation(&mut self) {
        for name in [acme::SIMULATED, acme::SIMULATED_ANTHROPIC] {
            self.filed(Deed::Provider { name });
        }
        for (name, high_cost) in acme::TIERS {
            self.filed(Deed::Tier { name, high_cost });
        }
        for model in &acme::MODELS {
            let provider = match model.dialect {
                domain::providers::Dialect::OpenAi => acme::SIMULATED,
                domain::providers::Dialect::Anthropic => acme::SIMULATED_ANTHROPIC,
            };
            self.filed(Deed::Model { model, provider, accepted: true });
        }
        for group in &acme::GROUPS {
            self.filed(Deed::Group { group });
        }
        self.filed(Deed::NewUsersJoin { group: acme::EVERYONE });
        for rule in acme::RULES.iter().filter(|rule| rule.day == 0) {
            self.filed(rule_deed(rule));
        }
    }

    /// Everybody, in waves: half of them in the first days, the others one by one.
    fn people(&mut self) -> Vec<Cast> {
        let mut cast = Vec::new();
        for star in &acme::STARS {
            let person = Person { key: star.key.to_owned(), name: star.name.to_owned(), role: star.role };
            cast.push(Cast { person, home: star.home, lead: star.lead, day: 0 });
        }
        let mut taken = std::collections::HashSet::new();
        for group in &acme::GROUPS {
            for place in 0..group.people {
                let person = self.somebody(&mut taken);
                let led = cast.iter().any(|other| other.home == group.path && other.lead);
                let lead = place == 0 && !led;
                let day = if lead || self.rng.random_bool(0.45) {
                    self.rng.random_range(1..4)
                } else {
                    self.rng.random_range(4..72)
                };
                cast.push(Cast { person, home: group.path, lead, day });
            }
        }
        for member in &cast {
            self.arrive(member);
        }
        self.late_invitations(&mut taken);
        cast
    }

    fn somebody(&mut self, taken: &mut std::collections::HashSet<String>) -> Person {
        loop {
            let first = acme::FIRST_NAMES[self.rng.random_range(0..acme::FIRST_NAMES.len())];
            let last = acme::LAST_NAMES[self.rng.random_range(0..acme::LAST_NAMES.len())];
            let name = format!("{first} {last}");
            let key = plain(&name);
            if taken.insert(key.clone()) {
                return Person { key, name, role: Role::Member };
            }
        }
    }

    /// Is invited, put into their group, and signs in a little later.
    fn arrive(&mut self, cast: &Cast) {
        let key = &cast.person.key;
        let founder = key == "olga";
        let minute = if cast.day == 0 { 10 * 60 + 30 } else { self.office(cast.day) };
        let by = if cast.day < 4 { "olga" } else { "ada" };
        if !founder {
            self.line(minute, by, Deed::Invite { person: cast.person.clone() });
        }
        let standing = if cast.lead { Standing::Lead } else { Standing::Member };
        let belong = Deed::Belong { person: key.clone(), group: cast.home, standing, ends: None };
        self.line(minute + 1, by, belong);
        if !founder {
            let later = self.rng.random_range(20..400);
            self.line(minute + later, key, Deed::Accept { person: key.clone() });
        }
    }

    /// Some have not answered yet; the oldest invitation has run out.
    fn late_invitations(&mut self, taken: &mut std::collections::HashSet<String>) {
        for (day, group) in [
            (DAYS - 24, "Sales/EMEA"),
            (DAYS - 6, "Engineering/Platform/Infrastructure"),
            (DAYS - 3, "Marketing/Content"),
            (DAYS - 2, "Data/Analytics"),
            (DAYS - 1, "Support/First Line"),
        ] {
            let person = self.somebody(taken);
            let minute = self.office(day) - 200;
            let belong =
                Deed::Belong { person: person.key.clone(), group, standing: Standing::Member, ends: None };
            self.line(minute, "ada", Deed::Invite { person });
            self.line(minute + 1, "ada", belong);
        }
    }

    /// Programs with their secrets, and the contexts of people.
    fn programs(&mut self, people: &[Cast]) {
        for (place, program) in acme::PROGRAMS.iter().enumerate() {
            let place = i64::try_from(place).unwrap_or_default();
            let minute = program.day * DAY + 11 * 60 + place * 4;
            self.line(minute, "ada", Deed::Program { program });
            self.line(minute + 2, "ada", Deed::ServiceSecret { program: program.name, rotates: false });
            if !program.people {
                continue;
            }
            for cast in people.iter().filter(|cast| is_within(cast.home, program.group)) {
                if cast.person.key == "sam" || self.rng.random_bool(0.75) {
                    let minute = self.office(cast.day.max(program.day) + 1) + 120;
                    self.line(minute, &cast.person.key, Deed::MemberSecret { program: program.name });
                }
            }
        }
        for cast in people {
            let always = matches!(cast.person.key.as_str(), "sam" | "jo" | "lin");
            if always || (cast.person.role != Role::Auditor && self.rng.random_bool(0.42)) {
                let minute = self.office(cast.day + 1) + 180;
                self.line(minute, &cast.person.key, Deed::OwnContext { group: cast.home });
            }
        }
    }

    fn rules_and_limits(&mut self) {
        for rule in acme::RULES.iter().filter(|rule| rule.day > 0) {
            let minute = self.office(rule.day);
            self.line(minute, rule.by, rule_deed(rule));
        }
        for (name, balance, steps) in acme::POLICIES {
            self.line(DAY + 15 * 60, "ada", Deed::Policy { name, balance, steps });
        }
        for (group, policy) in acme::UNNAMED {
            self.line(DAY + 16 * 60, "ada", Deed::Unnamed { group, policy });
        }
        for limit in &acme::LIMITS {
            let acme::Limit { day, by, scope, metric, window, cap, mode, .. } = *limit;
            let minute = if day == 0 { 16 * 60 } else { day * DAY + 18 * 60 };
            self.line(minute, by, Deed::Limit { scope, metric, window, cap, mode });
        }
    }

    /// What happens while an organization lives.
    fn everyday(&mut self) {
        let price = Deed::Price { model: "gpt-4.1-mini", input: "0.40", cache_read: "0.10", output: "1.60" };
        self.line(38 * DAY + 9 * 60, "marek", price);
        for (day, program) in
            [(31, "ticket-router"), (47, "code-review"), (63, "ci-triage"), (88, "query-rewriter")]
        {
            self.line(day * DAY + 14 * 60, "ada", Deed::ServiceSecret { program, rotates: true });
        }
        let helping = |person: &str, group, ends| Deed::Belong {
            person: person.to_owned(),
            group,
            standing: Standing::Member,
            ends,
        };
        self.line(
            25 * DAY + 10 * 60,
            "lin",
            helping("sam", "Engineering/Product/Search Relaunch", Some(DAYS + 220)),
        );
        self.line(40 * DAY + 10 * 60, "ada", helping("jo", "Support/Second Line", None));
        self.line(
            55 * DAY + 10 * 60,
            "ada",
            Deed::Leave { person: "jo".to_owned(), group: "Support/Second Line" },
        );
        self.line(58 * DAY + 16 * 60, "ada", helping("tomas", "Finance", Some(DAYS + 45)));
        for (minute, suspended) in [(9 * 60, true), (9 * 60 + 21, false)] {
            self.line(44 * DAY + minute, "ada", Deed::Suspend { person: "tomas".to_owned(), suspended });
        }
        for (name, group, target, expected) in acme::TESTS {
            self.line((DAYS - 14) * DAY + 11 * 60, "ada", Deed::Test { name, group, target, expected });
        }
        // A provider whose models nobody has decided about.
        self.line((DAYS - 2) * DAY + 9 * 60, "ada", Deed::Provider { name: acme::NEWCOMER });
        for model in &acme::NEW_MODELS {
            let deed = Deed::Model { model, provider: acme::NEWCOMER, accepted: false };
            self.line((DAYS - 2) * DAY + 9 * 60 + 4, "ada", deed);
        }
    }
}

fn rule_deed(rule: &acme::Rule) -> Deed {
    let acme::Rule { group, target, state, locked, ends, observes, .. } = *rule;
    Deed::Rule { group, target, state, locked, ends, observes }
}

/// Whether a group is another or below it.
fn is_within(path: &str, group: &str) -> bool {
    path.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A name as the front of an address: `zoe.moreau`.
fn plain(name: &str) -> String {
    name.to_lowercase()
        .chars()
        .filter_map(|c| match c {
            'á' | 'ã' | 'ä' | 'å' => Some('a'),
            'é' | 'è' | 'ë' => Some('e'),
            'í' | 'ı' => Some('i'),
            'ö' | 'ø' | 'ó' => Some('o'),
            'ü' => Some('u'),
            ' ' => Some('.'),
            c if c.is_ascii_alphanumeric() => Some(c),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_same_seed_tells_the_same_story() {
        let told = |seed| format!("{:?}", write(&mut Xoshiro256PlusPlus::seed_from_u64(seed)));
        assert_eq!(told(1), told(1));
        assert_ne!(told(1), told(2));
    }

    #[test]
    fn the_story_ends_before_the_present_and_goes_forward() {
        let lines = write(&mut Xoshiro256PlusPlus::seed_from_u64(7));
        assert!(lines.is_sorted_by_key(|line| line.minute));
        assert!(lines.iter().all(|line| (0..DAYS * DAY).contains(&line.minute)));
    }

    #[test]
    fn names_become_addresses() {
        assert_eq!(plain("Zoë O’Brien"), "zoe.obrien");
        assert_eq!(plain("Selin Yılmaz"), "selin.yilmaz");
    }
}
