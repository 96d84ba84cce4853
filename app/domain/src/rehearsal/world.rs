//! One of the two worlds a call is replayed in: its rules, and what its limits have used so far.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Finished, Recorded, Refused, Why};
use crate::{
    access::{ApplicationFacts, Applied, Ask, Decision, Facts, PolicyFacts, Verdict, applicable, decide},
    ids::{ModelId, PolicyId},
    keys::Features,
    limits::{Level, Meter, Metric, Mode, Scope, Subject},
    models::Modality,
    money::Money,
    policies::Routing,
    prices,
    usage::Usage,
    window::{Span, Window},
};

/// How much of each metric something used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Money.
    pub cost: Money,
    /// Calls.
    pub requests: i64,
    /// Input tokens, cached or not.
    pub input: i64,
    /// Output tokens, reasoning included.
    pub output: i64,
}

impl Amounts {
    /// Of one call.
    pub fn of_call(cost: Money, usage: &Usage) -> Self {
        let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
        Self { cost, requests: 1, input: count(usage.input_tokens()), output: count(usage.output_tokens()) }
    }

    /// Of one metric.
    pub const fn of(&self, metric: Metric) -> i64 {
        match metric {
            Metric::Spend => self.cost.0,
            Metric::Requests | Metric::ConcurrentCalls => self.requests,
            Metric::Tokens => self.input.saturating_add(self.output),
            Metric::InputTokens => self.input,
            Metric::OutputTokens => self.output,
        }
    }
}

/// What a meter has used of the window it is in.
#[derive(Default)]
struct Gauge {
    span: Option<Span>,
    used: i64,
}

/// The rules of a world: they do not change while calls are replayed.
pub(super) struct Rules<'a> {
    pub facts: &'a Facts,
    policies: HashMap<PolicyId, &'a PolicyFacts>,
}

impl<'a> Rules<'a> {
    pub fn new(facts: &'a Facts) -> Self {
        Self { facts, policies: facts.policies.values().map(|policy| (policy.id, policy)).collect() }
    }

    /// A limit of this world on a meter, if it refuses.
    pub fn enforced(&self, meter: &Meter) -> Option<i64> {
        let limits = self.facts.limits.get(&meter.scope).map_or(&[][..], Vec::as_slice);
        let own = limits.iter().find(|limit| limit.meter == *meter);
        let month =
            matches!(meter, Meter { scope: Scope::User(_), metric: Metric::Spend, window: Window::Month });
        match own {
            Some(limit) => (limit.mode == Mode::Enforce).then_some(limit.cap),
            None => self.facts.default_user_limit.filter(|_| month).map(|cap| cap.0),
        }
    }

    fn ask<'b>(call: &Recorded, application: &'b ApplicationFacts, model: ModelId) -> Ask<'b> {
        Ask {
            group: application.group,
            user: call.user,
            application: Some(application),
            model,
            // No draft changes what a key may use: it is the same in both worlds.
            features: Features::default(),
        }
    }

    fn allows(&self, call: &Recorded, model: ModelId) -> bool {
        self.facts.applications.get(&call.application).is_some_and(|application| {
            decide(self.facts, &Self::ask(call, application, model), call.at).verdict == Verdict::Allow
        })
    }

    /// Whether a model answers where another one did: nothing is translated between dialects.
    fn stands_in(&self, for_model: ModelId, model: ModelId) -> bool {
        let kind = |id: ModelId| {
            let model = self.facts.models.get(&id)?;
            let dialect = self.facts.providers.get(&model.provider)?.dialect;
            Some((dialect, model.modality == Modality::Embedding))
        };
        kind(for_model) == kind(model)
    }

    /// The models a recorded call would be offered, in order.
    fn offered(&self, base: &Rules<'_>, call: &Recorded, done: &Finished) -> Option<SmallVec<[ModelId; 4]>> {
        let Some(policy) = done.policy else { return Some(SmallVec::from_slice(&[done.model])) };
        let steps = &self.policies.get(&policy)?.steps;
        let mut offered: Vec<(ModelId, u32)> =
            steps.iter().copied().filter(|(model, _)| self.stands_in(done.model, *model)).collect();
        if self.policies.get(&policy)?.routing == Routing::Balance {
            // A balance draws: a call stays where it went as long as that is among the steps.
            offered.sort_by_key(|(model, weight)| (*model != done.model, Reverse(*weight)));
        } else {
            // Models that stood before the one that answered, and were open, were passed over then;
            // they are passed over again.
            let known = base.policies.get(&policy).map_or(&[][..], |policy| policy.steps.as_slice());
            let place = |model: ModelId| known.iter().position(|(step, _)| *step == model);
            let answered = place(done.model);
            offered.retain(|(model, _)| {
                let earlier = place(*model).zip(answered).is_some_and(|(place, answered)| place < answered);
                !(earlier && base.allows(call, *model))
            });
        }
        Some(offered.into_iter().map(|(model, _)| model).collect())
    }

    /// The models a name stands for, in order.
    fn named(&self, name: &str) -> Vec<ModelId> {
        match name.strip_prefix("policy/") {
            Some(policy) => {
                let policy = self.facts.policies.get(policy);
                policy.map_or_else(Vec::new, |policy| policy.steps.iter().map(|(model, _)| *model).collect())
            }
            None => self.facts.model_names.get(name).copied().into_iter().collect(),
        }
    }

    /// A call as it was booked when it was made.
    pub fn booked(&self, call: &Recorded, done: &Finished) -> Pass {
        let subject = Subject {
            path: &done.booked.path,
            application: call.application,
            user: call.user,
            authorization: done.booked.authorization,
            beside: None,
            grant: done.booked.grant,
        };
        Pass {
            model: done.model,
            amounts: Amounts::of_call(done.cost, &done.usage),
            limits: applicable(self.facts, &subject),
            ends_at: done.finished_at,
        }
    }

    fn priced(&self, call: &Recorded, done: &Finished, model: ModelId) -> Option<Amounts> {
        if model == done.model {
            return Some(Amounts::of_call(done.cost, &done.usage));
        }
        let prices = self.facts.models.get(&model)?.prices_at(call.at)?;
        Some(Amounts::of_call(prices::cost(&done.usage, prices)?, &done.usage))
    }
}

/// The limits a call has to fit into.
type Limits = SmallVec<[Applied; 12]>;

/// A call that passes.
pub(super) struct Pass {
    pub model: ModelId,
    pub amounts: Amounts,
    /// Everything it counts in.
    limits: Limits,
    /// When it is over.
    ends_at: DateTime<Utc>,
}

/// What becomes of a call in a world.
pub(super) enum Outcome {
    Passes(Box<Pass>),
    Refused(Why),
}

/// What the limits of a world have used.
#[derive(Default)]
pub(super) struct Used {
    gauges: HashMap<Meter, Gauge>,
    running: HashMap<Meter, BinaryHeap<Reverse<DateTime<Utc>>>>,
}

impl Used {
    /// Takes note of what a scope used of its windows before the replay begins.
    pub fn before(
        &mut self,
        rules: &Rules<'_>,
        scope: Scope,
        window: Window,
        since: DateTime<Utc>,
        used: &Amounts,
    ) {
        let own =
            rules.facts.limits.get(&scope).map_or(&[][..], Vec::as_slice).iter().map(|limit| limit.meter);
        let month = matches!((scope, window), (Scope::User(_), Window::Month)).then_some(Meter {
            scope,
            metric: Metric::Spend,
            window,
        });
        let mut meters: Vec<Meter> = own.chain(month).filter(|meter| meter.window == window).collect();
        meters.sort_unstable();
        meters.dedup();
        for meter in meters.into_iter().filter(|meter| meter.metric != Metric::ConcurrentCalls) {
            self.meter_before(rules, meter, since, used.of(meter.metric));
        }
    }

    /// The same for one meter.
    pub fn meter_before(&mut self, rules: &Rules<'_>, meter: Meter, since: DateTime<Utc>, used: i64) {
        let gauge = self.gauges.entry(meter).or_default();
        gauge.span = Some(rules.facts.calendar.span(meter.window, since));
        gauge.used = gauge.used.saturating_add(used);
    }

    fn level(&mut self, rules: &Rules<'_>, meter: Meter, at: DateTime<Utc>) -> Level {
        if meter.metric == Metric::ConcurrentCalls {
            let running = self.running.entry(meter).or_default();
            while running.peek().is_some_and(|Reverse(end)| *end <= at) {
                running.pop();
            }
            return Level { settled: i64::try_from(running.len()).unwrap_or(i64::MAX), held: 0 };
        }
        let gauge = self.gauges.entry(meter).or_default();
        if !gauge.span.is_some_and(|span| span.contains(at)) {
            *gauge = Gauge { span: Some(rules.facts.calendar.span(meter.window, at)), used: 0 };
        }
        Level { settled: gauge.used, held: 0 }
    }

    fn try_model(
        &mut self,
        rules: &Rules<'_>,
        call: &Recorded,
        application: &ApplicationFacts,
        model: ModelId,
        amounts: Amounts,
    ) -> Result<Pass, Why> {
        let decision = decide(rules.facts, &Rules::ask(call, application, model), call.at);
        match decision.verdict {
            Verdict::Allow => {}
            Verdict::NeedsApproval => return Err(Why::Approval(decision.rule)),
            Verdict::Deny(reason) => return Err(Why::Access(reason, decision.rule)),
        }
        let ends_at = match &call.then {
            super::Then::Finished(done) => done.finished_at,
            super::Then::Refused(_) => call.at,
        };
        let limits = applied(rules, call, application, &decision);
        let short = limits.iter().filter(|applied| {
            let amount = amounts.of(applied.meter.metric);
            let needed = amount > 0 || applied.meter.metric != Metric::Spend;
            let enforced = applied.mode == Mode::Enforce;
            enforced && needed && self.level(rules, applied.meter, call.at).fits(amount, applied.cap).is_err()
        });
        // Told of is the limit that takes longest to come back, as the gateway tells it.
        match short.max_by_key(|applied| (applied.meter.window, applied.meter.scope)) {
            Some(applied) => Err(Why::Limit(applied.meter, applied.cap)),
            None => Ok(Pass { model, amounts, limits, ends_at }),
        }
    }

    /// What becomes of a call that was answered. None: its application is gone.
    pub fn finished(
        &mut self,
        rules: &Rules<'_>,
        base: &Rules<'_>,
        call: &Recorded,
        done: &Finished,
    ) -> Option<Outcome> {
        let application = rules.facts.applications.get(&call.application)?;
        let Some(offered) = rules.offered(base, call, done) else {
            return Some(Outcome::Refused(Why::NoPolicy));
        };
        let mut why = None;
        for model in offered {
            let Some(amounts) = rules.priced(call, done, model) else { continue };
            match self.try_model(rules, call, application, model, amounts) {
                Ok(pass) => return Some(Outcome::Passes(Box::new(pass))),
                Err(reason) if why.is_none() || model == done.model => why = Some(reason),
                Err(_) => {}
            }
        }
        Some(Outcome::Refused(why.unwrap_or(Why::NoPolicy)))
    }

    /// What becomes of a call that was refused, with what such calls use. None: its application is
    /// gone, or nothing has this name.
    pub fn refused(
        &mut self,
        rules: &Rules<'_>,
        call: &Recorded,
        refused: &Refused,
        usual: impl Fn(ModelId) -> Amounts,
    ) -> Option<Outcome> {
        let application = rules.facts.applications.get(&call.application)?;
        let mut why = None;
        for model in rules.named(&refused.asked) {
            match self.try_model(rules, call, application, model, usual(model)) {
                Ok(pass) => return Some(Outcome::Passes(Box::new(pass))),
                Err(reason) => why = why.or(Some(reason)),
            }
        }
        Some(Outcome::Refused(why?))
    }

    /// Whether the rules of a world let a refused call through, whatever its limits say.
    pub fn open_to(rules: &Rules<'_>, call: &Recorded, refused: &Refused) -> bool {
        rules.named(&refused.asked).into_iter().any(|model| rules.allows(call, model))
    }

    /// Counts a call in everything it counts in.
    pub fn count(&mut self, rules: &Rules<'_>, call: &Recorded, pass: &Pass) {
        for applied in &pass.limits {
            let meter = applied.meter;
            self.level(rules, meter, call.at);
            if meter.metric == Metric::ConcurrentCalls {
                self.running.entry(meter).or_default().push(Reverse(pass.ends_at));
            } else if let Some(gauge) = self.gauges.get_mut(&meter) {
                gauge.used = gauge.used.saturating_add(pass.amounts.of(meter.metric));
            }
        }
    }
}

fn applied(
    rules: &Rules<'_>,
    call: &Recorded,
    application: &ApplicationFacts,
    decision: &Decision,
) -> Limits {
    let path = rules.facts.groups.get(&application.group).map_or(&[][..], |group| group.path.as_slice());
    let subject = Subject {
        path,
        application: call.application,
        user: call.user,
        authorization: decision.rule,
        // What only observes refuses nothing, so that its quotas need not be filled.
        beside: None,
        grant: decision.grant,
    };
    applicable(rules.facts, &subject)
}
