//! Rehearsal: what a change would have meant for the calls of the last days.
//!
//! Every recorded call is put to [`crate::access::decide`] twice, at the moment it was made: by the
//! rules as they are, and by the rules as the change would have them. The limits of both worlds
//! fill up beside them, call by call in the order of time, so that a lower cap says from which call
//! on it would have refused. What differs is the report; a change that changes nothing reports
//! nothing.
//!
//! A call that the rules of today would refuse, because its model has left the catalogue for instance, was
//! made all the same: it counts in the limits of both worlds with what it cost, as what was used before the
//! replay began does. So a longer replay knows everything that a shorter one finds used.
//!
//! What it does not know: SQL, and how the draft became facts. The store makes the change in a
//! transaction that it does not keep, and reads the facts inside it.

mod draft;
mod reach;
mod report;
mod world;

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};

pub use draft::{Draft, RuleEdit};
pub use reach::{
    Budget, Reach, Rerouted, budgets, budgets_of_application, reach, reach_of_application, rerouted,
};
pub use report::{Effect, Example, Period, Report, Row, Sums};
pub use world::Amounts;

use crate::{
    access::{Facts, Reason},
    ids::{ApplicationId, AuthorizationId, CallId, GrantId, GroupId, ModelId, PolicyId, UserId},
    limits::{Meter, Metric, Scope},
    money::Money,
    usage::Usage,
    window::Window,
};
use report::Tally;
use world::{Outcome, Rules, Used};

/// A call as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Which.
    pub id: CallId,
    /// When it came.
    pub at: DateTime<Utc>,
    /// What called.
    pub application: ApplicationId,
    /// Who, where the secret named somebody.
    pub user: Option<UserId>,
    /// What became of it.
    pub then: Then,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// It was let through.
    Finished(Finished),
    /// It was refused.
    Refused(Refused),
}

/// A call that was let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// By which model it was answered.
    pub model: ModelId,
    /// The policy that chose it.
    pub policy: Option<PolicyId>,
    /// What it used.
    pub usage: Usage,
    /// What that cost.
    pub cost: Money,
    /// When it was over.
    pub finished_at: DateTime<Utc>,
    /// What it was booked on.
    pub booked: Booked,
}

/// What a call was booked on when it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Booked {
    /// The group of what called, after those above it.
    pub path: Arc<[GroupId]>,
    /// The rule that let it through.
    pub authorization: Option<AuthorizationId>,
    /// The grant that did.
    pub grant: Option<GrantId>,
}

/// A call that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the caller wrote: a model, or a policy.
    pub asked: String,
    /// The meter that had no room; none: no limit refused it.
    pub by: Option<Meter>,
}

/// Why a call would be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A rule, or something about who calls.
    Access(Reason, Option<AuthorizationId>),
    /// Somebody has to agree first.
    Approval(Option<AuthorizationId>),
    /// A limit has no room.
    Limit(Meter, i64),
    /// Its policy is gone, or none of its models is left.
    NoPolicy,
}

/// Lets every model have its first prices from the beginning: a draft that names a model which is
/// newer than a call is about what it costs, not about when it came.
pub fn priced_from_the_start(facts: &mut Facts) {
    for model in facts.models.values_mut() {
        if let Some(first) = model.prices.first_mut() {
            first.from = DateTime::UNIX_EPOCH;
        }
    }
}

/// What some calls usually use: what a refused one would have is not known.
pub type Usual = HashMap<(ApplicationId, ModelId), Amounts>;

/// A replay under way. Calls are handed in by the order of time.
pub struct Rehearsal<'a> {
    before: Rules<'a>,
    after: Rules<'a>,
    used_before: Used,
    used_after: Used,
    usual: Usual,
    usual_of_model: HashMap<ModelId, Amounts>,
    within: Option<Vec<GroupId>>,
    tally: Tally,
}

impl std::fmt::Debug for Rehearsal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rehearsal").field("within", &self.within).finish_non_exhaustive()
    }
}

impl<'a> Rehearsal<'a> {
    /// Between two sets of facts. `usual`: sums over the calls of the period. `within`: only calls
    /// on the account of these groups and those below them are told about; all of them count.
    pub fn new(before: &'a Facts, after: &'a Facts, usual: Usual, within: Option<Vec<GroupId>>) -> Self {
        let mut usual_of_model = HashMap::<ModelId, Amounts>::new();
        for ((_, model), sums) in &usual {
            let all = usual_of_model.entry(*model).or_default();
            *all = Amounts {
                cost: Money(all.cost.0.saturating_add(sums.cost.0)),
                requests: all.requests + sums.requests,
                input: all.input.saturating_add(sums.input),
                output: all.output.saturating_add(sums.output),
            };
        }
        Self {
            before: Rules::new(before),
            after: Rules::new(after),
            used_before: Used::default(),
            used_after: Used::default(),
            usual,
            usual_of_model,
            within,
            tally: Tally::default(),
        }
    }

    /// Takes note of what a scope had used of its window when the replay begins.
    pub fn opened(&mut self, scope: Scope, window: Window, since: DateTime<Utc>, used: &Amounts) {
        self.used_before.before(&self.before, scope, window, since, used);
        self.used_after.before(&self.after, scope, window, since, used);
    }

    /// The same for one meter, in its own unit.
    pub fn opened_meter(&mut self, meter: Meter, since: DateTime<Utc>, used: i64) {
        self.used_before.meter_before(&self.before, meter, since, used);
        self.used_after.meter_before(&self.after, meter, since, used);
    }

    /// Puts a call to both worlds.
    pub fn call(&mut self, call: &Recorded) {
        match &call.then {
            Then::Finished(done) => self.finished(call, done),
            Then::Refused(refused) => self.refused(call, refused),
        }
    }

    /// What came of it.
    pub fn finish(self, period: Period) -> Report {
        self.tally.report(self.before.facts, self.after.facts, period)
    }

    /// Whether whoever asks may hear of this call.
    fn told(&self, call: &Recorded) -> bool {
        let Some(within) = &self.within else { return true };
        let group =
            self.before.facts.applications.get(&call.application).map(|application| application.group);
        group
            .and_then(|id| self.before.facts.groups.get(&id))
            .is_some_and(|group| group.path.iter().any(|above| within.contains(above)))
    }

    fn finished(&mut self, call: &Recorded, done: &Finished) {
        let told = self.told(call);
        let before = self.used_before.finished(&self.before, &self.before, call, done);
        let after = self.used_after.finished(&self.after, &self.before, call, done);
        self.count(call, done, (before.as_ref(), after.as_ref()));
        let (Some(before), Some(after)) = (before, after) else {
            self.tally.gone += u64::from(told);
            return;
        };
        if !told {
            return;
        }
        self.tally.calls += 1;
        let effect = match (before, after) {
            (Outcome::Passes(pass), Outcome::Refused(why)) => {
                self.tally.add(self.before.facts, call, pass.model, pass.amounts.cost, Some(why));
                return;
            }
            (Outcome::Refused(_), Outcome::Passes(pass)) => {
                self.tally.add(self.before.facts, call, pass.model, pass.amounts.cost, None);
                return;
            }
            (Outcome::Passes(from), Outcome::Passes(to)) => (from, to),
            (Outcome::Refused(_), Outcome::Refused(_)) => {
                self.tally.already += 1;
                return;
            }
        };
        let (from, to) = effect;
        if from.model != to.model {
            let dearer = to.amounts.cost.0.saturating_sub(from.amounts.cost.0);
            self.tally.moved(self.before.facts, call, (from.model, to.model), dearer);
        }
    }

    /// Counts a call that was answered in the limits of both worlds: as it passes there, or as it was booked
    /// where it was made in spite of the rules of today. Only what the draft alone refuses counts in one.
    fn count(&mut self, call: &Recorded, done: &Finished, outcomes: (Option<&Outcome>, Option<&Outcome>)) {
        let (before, after) = outcomes;
        let refused_today = !matches!(before, Some(Outcome::Passes(_)));
        match before {
            Some(Outcome::Passes(pass)) => self.used_before.count(&self.before, call, pass),
            _ => self.used_before.count(&self.before, call, &self.before.booked(call, done)),
        }
        match after {
            Some(Outcome::Passes(pass)) => self.used_after.count(&self.after, call, pass),
            _ if refused_today => self.used_after.count(&self.after, call, &self.after.booked(call, done)),
            _ => {}
        }
    }

    fn refused(&mut self, call: &Recorded, refused: &Refused) {
        let told = self.told(call);
        self.tally.refusals += u64::from(told);
        let open_before = Used::open_to(&self.before, call, refused);
        // A limit refused it: what is there now has to be loosened before anything can be different.
        let blocked = match refused.by.filter(|_| open_before) {
            Some(meter) => !self.loosened(call, &meter),
            // The rules of today let it through already.
            None => open_before,
        };
        if blocked {
            return;
        }
        let application = call.application;
        let (usual, of_model) = (&self.usual, &self.usual_of_model);
        let mean = |model: ModelId| {
            let sums = usual.get(&(application, model)).or_else(|| of_model.get(&model));
            sums.filter(|sums| sums.requests > 0).map_or(
                Amounts { requests: 1, ..Amounts::default() },
                |sums| Amounts {
                    cost: Money(sums.cost.0 / sums.requests),
                    requests: 1,
                    input: sums.input / sums.requests,
                    output: sums.output / sums.requests,
                },
            )
        };
        let Some(Outcome::Passes(pass)) = self.used_after.refused(&self.after, call, refused, mean) else {
            return;
        };
        self.used_after.count(&self.after, call, &pass);
        if told {
            self.tally.unknown += u64::from(!self.usual_of_model.contains_key(&pass.model));
            self.tally.add(self.before.facts, call, pass.model, pass.amounts.cost, None);
            self.tally.estimated += 1;
        }
    }

    /// Whether the draft gives a meter more room, or takes a call out of what it counts.
    fn loosened(&self, call: &Recorded, meter: &Meter) -> bool {
        let Some(before) = self.before.enforced(meter) else { return false };
        let counts = |facts: &Facts| {
            let group = facts.applications.get(&call.application).map(|application| application.group);
            let path =
                group.and_then(|id| facts.groups.get(&id)).map_or(&[][..], |group| group.path.as_slice());
            match meter.scope {
                Scope::Group(id) | Scope::Member(id, _) => path.contains(&id),
                _ => true,
            }
        };
        match self.after.enforced(meter) {
            None => true,
            Some(after) => after > before || (counts(self.before.facts) && !counts(self.after.facts)),
        }
    }
}

/// Whether a limit on this metric can be replayed to the cent.
pub(crate) const fn is_exact(metric: Metric) -> bool {
    matches!(metric, Metric::Requests)
}
