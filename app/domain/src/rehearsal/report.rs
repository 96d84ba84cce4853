//! What a replay found, in figures and words.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{Recorded, Why, is_exact};
use crate::{
    access::{Facts, Reason},
    ids::{ApplicationId, AuthorizationId, CallId, GroupId, ModelId, UserId},
    limits::{Meter, Scope},
    money::{Money, grouped},
    time,
};

/// How many lines a table has; what is left over is summed up in one.
const LINES: usize = 12;

/// How many calls are shown one by one.
const EXAMPLES: usize = 20;

/// What was replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// From when on.
    pub since: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
    /// How many days were asked for.
    pub days: u32,
    /// There were more calls than are replayed at once: the period begins later than was asked for.
    pub cut: bool,
}

/// Calls and money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Calls that would be refused.
    pub refused: u64,
    /// What those cost.
    pub saved: Money,
    /// Calls that would be let through.
    pub allowed: u64,
    /// What those would cost.
    pub costs: Money,
    /// Calls that another model would answer.
    pub moved: u64,
    /// How much more those would cost; less, below zero.
    pub dearer: Money,
}

impl Sums {
    /// Whether nothing differs.
    pub const fn is_empty(&self) -> bool {
        self.refused == 0 && self.allowed == 0 && self.moved == 0
    }

    const fn calls(&self) -> u64 {
        self.refused + self.allowed + self.moved
    }

    fn plus(&mut self, other: &Self) {
        let add = |a: Money, b: Money| Money(a.0.saturating_add(b.0));
        self.refused += other.refused;
        self.saved = add(self.saved, other.saved);
        self.allowed += other.allowed;
        self.costs = add(self.costs, other.costs);
        self.moved += other.moved;
        self.dearer = add(self.dearer, other.dearer);
    }
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The id of what it is about, where it has a page.
    pub id: Option<String>,
    /// What that is called.
    pub name: String,
    /// What it comes to.
    pub sums: Sums,
    /// The first call that would come out differently.
    pub first: Option<(CallId, DateTime<Utc>)>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Refused.
    Refused,
    /// Let through.
    Allowed,
    /// Answered by another model.
    Moved,
}

/// A call that would come out differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// Which.
    pub id: CallId,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// Who made it, where that is known.
    pub person: Option<String>,
    /// What called.
    pub application: String,
    /// Which model.
    pub model: String,
    /// What becomes of it.
    pub effect: Effect,
    /// Why, in a few words.
    pub reason: String,
    /// What it cost, or would cost.
    pub cost: Money,
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What was replayed.
    pub period: Period,
    /// How many calls that had been let through.
    pub calls: u64,
    /// How many that had been refused.
    pub refusals: u64,
    /// What differs.
    pub sums: Sums,
    /// People with a call that would be refused.
    pub people: usize,
    /// Applications with one.
    pub applications: usize,
    /// By day of the organization's calendar, every day of the period.
    pub days: Vec<(NaiveDate, Sums)>,
    /// By person; without an id, calls without a person.
    pub by_person: Vec<Row>,
    /// By application.
    pub by_application: Vec<Row>,
    /// By group.
    pub by_group: Vec<Row>,
    /// By model.
    pub by_model: Vec<Row>,
    /// By reason, of those that would be refused.
    pub by_reason: Vec<Row>,
    /// The first calls of each kind.
    pub examples: Vec<Example>,
    /// What is exact and what is estimated, in sentences.
    pub notes: Vec<String>,
}

/// What tells reasons apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct WhyKey(&'static str, Option<AuthorizationId>, Option<Meter>);

impl Why {
    const fn key(&self) -> WhyKey {
        match self {
            Self::Access(reason, rule) => WhyKey(reason.as_str(), *rule, None),
            Self::Approval(rule) => WhyKey("approval", *rule, None),
            Self::Limit(meter, _) => WhyKey("limit", None, Some(*meter)),
            Self::NoPolicy => WhyKey("policy", None, None),
        }
    }

    /// The reason for people: `big-chat for Research: closed`.
    pub fn text(&self, facts: &Facts) -> String {
        let rule = |id: &AuthorizationId| facts.scope_name(Scope::Authorization(*id));
        match self {
            Self::Access(Reason::Closed, Some(id)) => format!("{}: closed", rule(id)),
            Self::Access(reason, _) => capital(&reason.sentence()),
            Self::Approval(Some(id)) => format!("{}: by request, and nobody has agreed", rule(id)),
            Self::Approval(None) => "By request, and nobody has agreed".to_owned(),
            Self::Limit(meter, cap) => {
                format!("No room: {} of {}", meter.show_cap(*cap), facts.scope_name(meter.scope))
            }
            Self::NoPolicy => "Its policy, or every model of it, is gone".to_owned(),
        }
    }
}

/// One thing's share, while it is summed up.
#[derive(Default)]
struct Share {
    sums: Sums,
    first: Option<(CallId, DateTime<Utc>)>,
}

impl Share {
    fn add(&mut self, call: &Recorded, sums: &Sums) {
        self.sums.plus(sums);
        self.first.get_or_insert((call.id, call.at));
    }
}

/// The sums under way: as many as there are things, never as many as there are calls.
#[derive(Default)]
pub(super) struct Tally {
    pub calls: u64,
    pub refusals: u64,
    /// Calls that the rules of today would refuse, whatever the draft says.
    pub already: u64,
    /// Calls of applications that are gone.
    pub gone: u64,
    /// Calls let through whose cost is a mean.
    pub estimated: u64,
    /// Those of them that nothing can be compared with.
    pub unknown: u64,
    sums: Sums,
    days: BTreeMap<NaiveDate, Sums>,
    people: HashMap<Option<UserId>, Share>,
    applications: HashMap<ApplicationId, Share>,
    groups: HashMap<GroupId, Share>,
    models: HashMap<ModelId, Share>,
    reasons: HashMap<WhyKey, (Why, Share)>,
    examples: [Vec<Seen>; 3],
}

/// A call to show: which model it went to, why it would be refused, what it cost.
type Seen = (Recorded, ModelId, Option<Why>, Money);

impl Tally {
    /// A call that would be refused (`why`), or let through.
    pub fn add(&mut self, facts: &Facts, call: &Recorded, model: ModelId, cost: Money, why: Option<Why>) {
        let sums = match why {
            Some(_) => Sums { refused: 1, saved: cost, ..Sums::default() },
            None => Sums { allowed: 1, costs: cost, ..Sums::default() },
        };
        self.share(facts, call, model, &sums);
        if let Some(why) = why {
            self.reasons.entry(why.key()).or_insert_with(|| (why, Share::default())).1.add(call, &sums);
        }
        self.example(usize::from(why.is_none()), call, model, why, cost);
    }

    /// A call that another model would answer.
    pub fn moved(&mut self, facts: &Facts, call: &Recorded, models: (ModelId, ModelId), dearer: i64) {
        let sums = Sums { moved: 1, dearer: Money(dearer), ..Sums::default() };
        self.share(facts, call, models.0, &sums);
        self.example(2, call, models.1, None, Money(dearer));
    }

    fn share(&mut self, facts: &Facts, call: &Recorded, model: ModelId, sums: &Sums) {
        self.sums.plus(sums);
        self.days.entry(facts.calendar.day(call.at)).or_default().plus(sums);
        self.people.entry(call.user).or_default().add(call, sums);
        self.applications.entry(call.application).or_default().add(call, sums);
        self.models.entry(model).or_default().add(call, sums);
        if let Some(application) = facts.applications.get(&call.application) {
            self.groups.entry(application.group).or_default().add(call, sums);
        }
    }

    fn example(&mut self, kind: usize, call: &Recorded, model: ModelId, why: Option<Why>, cost: Money) {
        if let Some(list) = self.examples.get_mut(kind).filter(|list| list.len() < EXAMPLES) {
            list.push((call.clone(), model, why, cost));
        }
    }

    /// All of it, with names.
    pub fn report(self, before: &Facts, after: &Facts, period: Period) -> Report {
        let notes = self.notes(period);
        let refused = |share: &&Share| share.sums.refused > 0;
        let people: HashSet<UserId> = self
            .people
            .iter()
            .filter(|(_, share)| share.sums.refused > 0)
            .filter_map(|(id, _)| *id)
            .collect();
        let applications = self.applications.values().filter(refused).count();
        let model = |id: ModelId| before.models.get(&id).map_or("a model", |model| &model.name).to_owned();
        let person = |id: UserId| before.users.get(&id).map_or("somebody", |user| &user.name).to_owned();
        let program = |id: ApplicationId| {
            before.applications.get(&id).map_or("an application", |app| &app.name).to_owned()
        };
        let mut examples = Vec::new();
        for (list, effect) in self.examples.iter().zip([Effect::Refused, Effect::Allowed, Effect::Moved]) {
            examples.extend(list.iter().take(EXAMPLES).map(|(call, of, why, cost)| Example {
                id: call.id,
                at: call.at,
                person: call.user.map(person),
                application: program(call.application),
                model: model(*of),
                effect,
                reason: match (effect, why) {
                    (_, Some(why)) => why.text(after),
                    (Effect::Moved, _) => format!("answered by {}", model(*of)),
                    _ => "let through".to_owned(),
                },
                cost: *cost,
            }));
        }
        Report {
            period,
            calls: self.calls,
            refusals: self.refusals,
            sums: self.sums,
            people: people.len(),
            applications,
            days: every_day(before, period, &self.days),
            by_person: rows(self.people, |id| match id {
                Some(id) => (Some(id.to_string()), person(id)),
                None => (None, "Programs without a person".to_owned()),
            }),
            by_application: rows(self.applications, |id| (Some(id.to_string()), program(id))),
            by_group: rows(self.groups, |id| (Some(id.to_string()), crate::why::place(before, Some(id)))),
            by_model: rows(self.models, |id| (Some(id.to_string()), model(id))),
            by_reason: {
                let (whys, shares): (HashMap<_, _>, HashMap<_, _>) =
                    self.reasons.into_iter().map(|(key, (why, share))| ((key, why), (key, share))).unzip();
                rows(shares, |key| {
                    (None, whys.get(&key).map_or_else(String::new, |why: &Why| why.text(after)))
                })
            },
            examples,
            notes,
        }
    }

    /// What is exact and what is estimated.
    fn notes(&self, period: Period) -> Vec<String> {
        let mut notes = vec![
            "Every call was decided twice at the moment it was made, by the rules of today and by the draft, with the function that decides real calls.".to_owned(),
        ];
        if self.sums.refused > 0 {
            notes.push("What refused calls cost is what was booked for them: exact.".to_owned());
        }
        let limits = || {
            self.reasons.values().filter_map(|(why, _)| match why {
                Why::Limit(meter, _) => Some(meter),
                _ => None,
            })
        };
        if limits().any(|meter| !is_exact(meter.metric)) {
            notes.push("Limits are filled with what calls used. A real call also sets its worst case aside before it is made, so a real limit begins to refuse a little earlier: estimated.".to_owned());
        }
        if self.estimated > 0 {
            notes.push("What calls that were refused would have cost is the mean of such calls: estimated. Which features they used is not recorded.".to_owned());
        }
        if self.unknown > 0 {
            notes.push(format!(
                "{} have no call to compare them with and are shown without cost.",
                calls(self.unknown)
            ));
        }
        if self.sums.moved > 0 {
            notes.push("Calls that another model would answer are priced with the tokens they used and that model's prices: estimated. A balance keeps a call where it went while that model is among its steps.".to_owned());
        }
        if self.already > 0 {
            notes.push(format!(
                "{} were let through then and are refused by the rules of today already: no difference. They count in the limits with what they cost.",
                calls(self.already)
            ));
        }
        if self.gone > 0 {
            notes.push(format!(
                "{} of applications that are gone are left out. They count in the limits with what they cost.",
                calls(self.gone)
            ));
        }
        if period.cut {
            notes.push(format!(
                "There are more calls than are replayed at once: only the newest were, since {}.",
                time::date(period.since.date_naive())
            ));
        }
        notes
    }
}

/// Every day of the period, so that a quiet one shows as quiet.
fn every_day(facts: &Facts, period: Period, days: &BTreeMap<NaiveDate, Sums>) -> Vec<(NaiveDate, Sums)> {
    let (first, last) = (facts.calendar.day(period.since), facts.calendar.day(period.until));
    first
        .iter_days()
        .take_while(|day| *day <= last)
        .take(400)
        .map(|day| (day, days.get(&day).copied().unwrap_or_default()))
        .collect()
}

/// The largest shares by name, and the rest in one line.
fn rows<K: Copy>(shares: HashMap<K, Share>, name: impl Fn(K) -> (Option<String>, String)) -> Vec<Row> {
    let mut rows: Vec<Row> = shares
        .into_iter()
        .map(|(key, share)| {
            let (id, name) = name(key);
            Row { id, name, sums: share.sums, first: share.first }
        })
        .collect();
    rows.sort_by(|a, b| {
        let order = |row: &Row| (std::cmp::Reverse(row.sums.calls()), std::cmp::Reverse(row.sums.saved));
        order(a).cmp(&order(b)).then_with(|| (&a.name, &a.id).cmp(&(&b.name, &b.id)))
    });
    if rows.len() > LINES {
        let rest = rows.split_off(LINES);
        let mut sums = Sums::default();
        rest.iter().for_each(|row| sums.plus(&row.sums));
        rows.push(Row { id: None, name: format!("{} more", rest.len()), sums, first: None });
    }
    rows
}

/// The start of a sentence.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// `1 call`, `12,345 calls`.
fn calls(count: u64) -> String {
    if count == 1 { "1 call".to_owned() } else { format!("{} calls", grouped(count)) }
}

impl Report {
    /// What came of it, in a sentence or two.
    pub fn headline(&self) -> String {
        let Sums { refused, saved, allowed, costs, moved, dearer } = self.sums;
        if self.sums.is_empty() {
            let replayed = calls(self.calls);
            return match self.calls + self.refusals {
                0 => format!(
                    "Nobody called in the last {} days: there is nothing to replay.",
                    self.period.days
                ),
                _ => format!(
                    "Nothing would have come out differently: {replayed} and {} that were refused were replayed.",
                    grouped(self.refusals)
                ),
            };
        }
        let mut parts = Vec::new();
        if refused > 0 {
            let people = match self.people {
                0 => String::new(),
                1 => " of 1 person".to_owned(),
                people => format!(" of {people} people"),
            };
            let applications = match self.applications {
                1 => "1 application".to_owned(),
                count => format!("{count} applications"),
            };
            parts.push(format!("Would have refused {}{people} in {applications}, {saved}", calls(refused)));
        } else {
            parts.push("Would have refused nothing".to_owned());
        }
        parts.push(match allowed {
            0 => "nothing newly let through".to_owned(),
            _ => format!("{} newly let through, about {costs}", calls(allowed)),
        });
        if moved > 0 {
            let money = match dearer.0 {
                0 => String::new(),
                less if less < 0 => format!(", about {} less", Money(less.saturating_neg())),
                _ => format!(", about {dearer} more"),
            };
            parts.push(format!("{} answered by another model{money}", calls(moved)));
        }
        format!("{}.", parts.join("; "))
    }
}
