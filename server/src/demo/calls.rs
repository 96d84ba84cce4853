//! The calls of three months: who, when, with what, at what cost.
//!
//! Every one is decided by the same function as a real one, so that the ledger names the rule that
//! let it through; what would have been refused is not invented here.

use std::collections::HashMap;

use chrono::{DateTime, Datelike, Duration, NaiveTime, Utc, Weekday};
use domain::{
    access::{Ask, Facts, Verdict, decide},
    guardrails::Found,
    ids::{ApplicationId, CallId, GroupId, SecretId, UserId},
    keys::{Feature, Features},
    limits::Worst,
    models::Modality,
    money::Money,
    prices::{self, PriceKey, Prices},
    providers::Dialect,
    spend::Outcome,
    usage::Usage,
};
use rand::{Rng, RngExt, rngs::Xoshiro256PlusPlus};
use store::ledger::{Call, Event};

use super::{
    acme::{self, DAYS, Hours, Program},
    stage::Stage,
};

/// Nothing is invented closer to the present than this.
const FRESH: Duration = Duration::minutes(2);

/// Something that calls: a program's secret, or a person's.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub application: ApplicationId,
    pub secret: SecretId,
    pub user: Option<UserId>,
    pub since: DateTime<Utc>,
}

/// One program with everybody who calls it.
pub struct Line {
    pub program: &'static Program,
    pub callers: Vec<Caller>,
}

/// Makes the calls, by the time they began. About `total`, a little less.
pub fn calls(
    stage: &Stage,
    facts: &Facts,
    lines: &[Line],
    total: usize,
    now: DateTime<Utc>,
    rng: &mut Xoshiro256PlusPlus,
) -> Vec<Event> {
    let mut maker = Maker { stage, facts, now: now - FRESH, rng, members: HashMap::new() };
    let weights: Vec<Vec<f64>> = lines.iter().map(|line| maker.weights(line)).collect();
    let sum: f64 = weights.iter().flatten().sum();
    let mut events = Vec::with_capacity(total);
    for (line, weights) in lines.iter().zip(&weights) {
        let mut due = 0.0;
        for (day, weight) in (0..=DAYS).zip(weights) {
            due += weight / sum * total as f64;
            while due >= 1.0 {
                due -= maker.burst(line, day, due as usize, &mut events) as f64;
            }
        }
    }
    events.sort_by_key(|event| (event.call.started_at, event.call.id));
    events
}

struct Maker<'a> {
    stage: &'a Stage,
    facts: &'a Facts,
    now: DateTime<Utc>,
    rng: &'a mut Xoshiro256PlusPlus,
    /// Whom somebody belonged to, by day.
    members: HashMap<(UserId, i64), Vec<GroupId>>,
}

impl Maker<'_> {
    /// How much a program is used on each day.
    fn weights(&mut self, line: &Line) -> Vec<f64> {
        let program = line.program;
        (0..=DAYS)
            .map(|day| {
                let Some(noon) = self.stage.moment(day, NaiveTime::MIN) else { return 0.0 };
                let callers = line.callers.iter().filter(|caller| caller.since < noon).count();
                if callers == 0 {
                    return 0.0;
                }
                let weekday = self.stage.calendar.day(noon).weekday();
                let growth = 0.55 + 0.9 * day as f64 / DAYS as f64;
                let noise = 0.8 + 0.4 * self.rng.random::<f64>();
                // A program that people call is used more the more of them there are.
                let people = if program.people { callers as f64 / line.callers.len() as f64 } else { 1.0 };
                // Once, somebody let it read a whole repository.
                let spike = if program.name == "code-review" && day == DAYS - 6 { 3.1 } else { 1.0 };
                let today = if day == DAYS { self.passed(program.hours) } else { 1.0 };
                program.share * weekly(program.hours, weekday) * growth * noise * people * spike * today
            })
            .collect()
    }

    /// How much of a day's use is behind us.
    fn passed(&self, hours: Hours) -> f64 {
        let local = self.now.with_timezone(&self.stage.calendar.zone).time();
        let hour = chrono::Timelike::hour(&local) as usize;
        let daily = daily(hours);
        let (before, all): (f64, f64) = (daily.iter().take(hour).sum(), daily.iter().sum());
        before / all
    }

    /// One call of a service, or a few of a person in one session. Returns how many were due.
    fn burst(&mut self, line: &Line, day: i64, most: usize, events: &mut Vec<Event>) -> usize {
        let program = line.program;
        let length = if program.people { (1 + self.below(7) * self.below(3)).min(most) } else { 1 };
        let caller = line.callers[self.below(line.callers.len())];
        let Some(mut at) = self.hour(program.hours).and_then(|time| self.stage.moment(day, time)) else {
            return length;
        };
        let session =
            if program.people { format!("s-{:08x}", self.rng.random::<u32>()) } else { String::new() };
        let use_case =
            program.use_cases.get(self.below(program.use_cases.len().max(1))).copied().unwrap_or_default();
        for place in 0..length {
            let inside = caller.since < at && at < self.now;
            if let Some(event) = inside.then(|| self.call(program, &caller, day, at, place > 0)).flatten() {
                let mut event = event;
                event.call.session.clone_from(&session);
                use_case.clone_into(&mut event.call.use_case);
                events.push(event);
            }
            at += Duration::milliseconds(self.rng.random_range(14_000..150_000));
        }
        length
    }

    fn below(&mut self, count: usize) -> usize {
        self.rng.random_range(0..count.max(1))
    }

    /// A moment of a day, by its hours.
    fn hour(&mut self, hours: Hours) -> Option<NaiveTime> {
        let daily = daily(hours);
        let mut left = self.rng.random::<f64>() * daily.iter().sum::<f64>();
        let hour = daily.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        let hour = u32::try_from(hour.unwrap_or(9)).ok()?;
        NaiveTime::from_hms_micro_opt(
            hour,
            self.rng.random_range(0..60),
            self.rng.random_range(0..60),
            self.rng.random_range(0..1_000_000),
        )
    }

    /// One call, if it would have been let through.
    fn call(
        &mut self,
        program: &Program,
        caller: &Caller,
        day: i64,
        at: DateTime<Utc>,
        goes_on: bool,
    ) -> Option<Event> {
        let application = self.facts.applications.get(&caller.application)?;
        let model = self.facts.model_names.get(self.pick(program.models)).copied()?;
        let ask = Ask {
            group: application.group,
            user: caller.user,
            application: Some(application),
            model,
            features: Features::default(),
        };
        let decision = decide(self.facts, &ask, at);
        if decision.verdict != Verdict::Allow {
            return None;
        }
        let facts = self.facts.models.get(&model)?;
        let dated = prices::in_force(&facts.prices, at)?;
        let dialect = self.facts.providers.get(&facts.provider)?.dialect;
        let outcome = self.outcome();
        let full = self.usage(program, &dated.prices, facts.modality, goes_on);
        let usage = if outcome == Outcome::UpstreamError { Usage::default() } else { full };
        let cost = if usage == Usage::default() { Money::ZERO } else { prices::cost(&usage, &dated.prices)? };
        let id = self.id(at);
        let features = used(program, application.features, facts.modality, dialect, id);
        let streamed = features.has(Feature::Streaming);
        let (first_byte_ms, duration_ms) = self.times(&usage, streamed);
        let short = self.rng.random_bool(0.0004);
        let mut event = Event {
            finished_at: at + Duration::milliseconds(i64::from(duration_ms)),
            first_byte_ms: (outcome != Outcome::UpstreamError).then_some(first_byte_ms),
            duration_ms,
            outcome,
            status: if outcome == Outcome::UpstreamError { [500, 503, 529][self.below(3)] } else { 200 },
            usage,
            cost,
            estimated: outcome == Outcome::HungUp && self.rng.random_bool(0.4),
            call: Call {
                id,
                org: self.facts.org,
                started_at: at,
                application: caller.application,
                key: application.key,
                secret: caller.secret,
                path: self.facts.groups.get(&application.group)?.path.clone(),
                user: caller.user,
                member_of: self.member_of(caller.user, day, at),
                model,
                provider: facts.provider,
                authorization: decision.rule,
                beside: None,
                grant: decision.grant,
                policy: None,
                use_case: String::new(),
                session: String::new(),
                client_request: String::new(),
                route: route(facts.modality, dialect).to_owned(),
                streamed,
                features,
                worst: worst(&full, &dated.prices, short)?,
                priced_at: Some(dated.from),
                guarded: found(program, id),
            },
            marks: store::ledger::Marks::default(),
        };
        if outcome == Outcome::Ok && kept(program, id) {
            from_cache(&mut event);
        }
        Some(event)
    }

    fn pick(&mut self, models: &'static [(&'static str, u32)]) -> &'static str {
        let sum: u32 = models.iter().map(|(_, weight)| weight).sum();
        let mut left = self.rng.random_range(0..sum.max(1));
        for (name, weight) in models {
            if left < *weight {
                return name;
            }
            left -= weight;
        }
        ""
    }

    fn outcome(&mut self) -> Outcome {
        match self.rng.random_range(0..1000) {
            0..11 => Outcome::UpstreamError,
            11..17 => Outcome::HungUp,
            _ => Outcome::Ok,
        }
    }

    /// Around a typical size, now and then several times that.
    fn around(&mut self, typical: f64) -> u64 {
        let normal = (0..4).map(|_| self.rng.random::<f64>()).sum::<f64>() * 1.732 - 3.464;
        (typical * (0.55 * normal).exp()).round() as u64
    }

    fn usage(&mut self, program: &Program, prices: &Prices, modality: Modality, goes_on: bool) -> Usage {
        let input = self.around(program.tokens.0).max(8);
        if modality == Modality::Embedding {
            return Usage { input, ..Usage::default() };
        }
        let output = self.around(program.tokens.1).max(3);
        let caches = prices.own(PriceKey::CacheRead).is_some() && (goes_on || !program.people);
        let cache_read = if caches { input * self.rng.random_range(20..70) / 100 } else { 0 };
        let writes = prices.own(PriceKey::CacheWrite).is_some() && program.people && !goes_on;
        let cache_write = if writes { input * self.rng.random_range(30..60) / 100 } else { 0 };
        // Models without a cache to write to are the ones that reason before they answer.
        let reasons = prices.own(PriceKey::CacheWrite).is_none() && self.rng.random_bool(0.15);
        let reasoning = if reasons { output * self.rng.random_range(40..160) / 100 } else { 0 };
        Usage {
            input: input - cache_read - cache_write,
            cache_read,
            cache_write,
            output,
            reasoning,
            ..Usage::default()
        }
    }

    /// Milliseconds to the first byte, and in all.
    fn times(&mut self, usage: &Usage, streamed: bool) -> (i32, i32) {
        let first = self.rng.random_range(180..900) + i32::try_from(usage.input_tokens() / 60).unwrap_or(0);
        let rest = usage.output_tokens() as f64 * (9.0 + 6.0 * self.rng.random::<f64>());
        let all = first + rest as i32;
        (if streamed { first } else { all }, all)
    }

    /// Version 7, of the moment it was let through.
    fn id(&mut self, at: DateTime<Utc>) -> CallId {
        let mut random = [0; 10];
        self.rng.fill_bytes(&mut random);
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
        CallId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    fn member_of(&mut self, user: Option<UserId>, day: i64, at: DateTime<Utc>) -> Vec<GroupId> {
        let Some(id) = user else { return Vec::new() };
        let facts = self.facts;
        let known = self.members.entry((id, day)).or_insert_with(|| {
            facts.users.get(&id).map(|user| store::ledger::member_of(facts, user, at)).unwrap_or_default()
        });
        known.clone()
    }
}

/// What a call used of its key. Its id ends in random bits.
fn used(program: &Program, may: Features, modality: Modality, dialect: Dialect, id: CallId) -> Features {
    if modality == Modality::Embedding {
        return Features::default().with(Feature::Embeddings);
    }
    let (_, mut bits) = id.0.as_u64_pair();
    let mut used = Features::default();
    for (feature, often) in acme::habits(program.name) {
        if bits % 100 < u64::from(*often) {
            used = used.with(*feature);
        }
        bits /= 100;
    }
    // People read along while it is written.
    if dialect == Dialect::Anthropic && program.people {
        used = used.with(Feature::Streaming);
    }
    used.and(may)
}

/// Random bits of a call that decide nothing else: asking for others would make other calls of all
/// that follow.
fn bits(id: CallId) -> u64 {
    id.0.as_u64_pair().1.rotate_right(24)
}

/// What was found in its input.
fn found(program: &Program, id: CallId) -> Vec<Found> {
    let mut bits = bits(id);
    let mut found = Vec::new();
    for (guard, action, often) in acme::guards(program.name) {
        if bits % 1000 < *often {
            found.push(Found {
                guard: *guard,
                action: *action,
                count: 1 + u32::from(bits.is_multiple_of(7)),
            });
        }
        bits /= 1000;
    }
    found
}

/// Whether an earlier answer was given again.
fn kept(program: &Program, id: CallId) -> bool {
    acme::keeps(program.name).is_some_and(|(_, often)| bits(id) % 100 < often)
}

/// Nobody was asked, so nothing was used.
fn from_cache(event: &mut Event) {
    event.marks.cached = Some(event.cost);
    (event.cost, event.usage) = (Money::ZERO, Usage::default());
    event.duration_ms = 1 + event.duration_ms % 5;
    event.first_byte_ms = Some(event.duration_ms);
    event.finished_at = event.call.started_at + Duration::milliseconds(i64::from(event.duration_ms));
}

/// What was held for a call: more than it used, but for a few.
fn worst(usage: &Usage, prices: &Prices, short: bool) -> Option<Worst> {
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    let input_tokens = if short { input * 7 / 10 } else { input * 13 / 10 + 16 };
    let output_tokens = if short { output } else { output.max(1).next_power_of_two().max(1024) };
    Some(Worst {
        input_tokens,
        output_tokens,
        cost: prices::ceiling(input_tokens, output_tokens, &Usage::default(), prices)?,
    })
}

const fn route(modality: Modality, dialect: Dialect) -> &'static str {
    match (modality, dialect) {
        (Modality::Embedding, _) => "/v1/embeddings",
        (_, Dialect::Anthropic) => "/v1/messages",
        (_, Dialect::OpenAi) => "/v1/chat/completions",
    }
}

/// Use by weekday, compared with a Tuesday.
fn weekly(hours: Hours, day: Weekday) -> f64 {
    let weekend = matches!(day, Weekday::Sat | Weekday::Sun);
    match (hours, weekend) {
        (Hours::Office, true) => 0.07,
        (Hours::Morning, true) => 0.0,
        (Hours::Always, true) => 0.62,
        (Hours::Night, true) => 0.45,
        (Hours::Office, false) => match day {
            Weekday::Mon => 0.92,
            Weekday::Fri => 0.78,
            _ => 1.0,
        },
        _ => 1.0,
    }
}

/// Use by hour of the day.
const fn daily(hours: Hours) -> [f64; 24] {
    match hours {
        Hours::Office => [
            0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.4, 2.0, 6.0, 9.0, 10.0, 9.5, 6.0, 7.5, 9.5, 9.0, 8.0, 5.5, 2.5,
            1.2, 0.8, 0.6, 0.3, 0.1,
        ],
        Hours::Always => [
            1.6, 1.2, 1.0, 1.0, 1.1, 1.5, 2.2, 3.5, 5.0, 6.0, 6.4, 6.4, 6.0, 6.0, 6.2, 6.2, 6.0, 5.6, 5.2,
            5.0, 4.8, 4.2, 3.2, 2.2,
        ],
        Hours::Night => [
            4.0, 8.0, 10.0, 10.0, 6.0, 2.0, 0.3, 0.0, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.1, 0.0,
            0.0, 0.0, 0.0, 1.0, 2.0,
        ],
        Hours::Morning => [
            0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 6.0, 9.0, 4.0, 1.0, 0.4, 0.2, 0.1, 0.1, 0.1, 0.1, 0.0, 0.0, 0.0,
            0.0, 0.0, 0.0, 0.0, 0.0,
        ],
    }
}

/// The programs of a stage with their callers, and everybody's own contexts. Only secrets that
/// still live can be named.
pub fn lines(stage: &Stage, known: &[store::keys::KnownSecret]) -> Vec<Line> {
    let by_hash: HashMap<[u8; 32], &store::keys::KnownSecret> =
        known.iter().map(|secret| (secret.hash, secret)).collect();
    let mut callers = HashMap::<ApplicationId, Vec<Caller>>::new();
    for issued in &stage.issued {
        let hash = store::keys::lookup_hash(&stage.store, issued.plain.reveal());
        let Some(secret) = hash.and_then(|hash| by_hash.get(&hash)) else { continue };
        let made = stage.programs.get(issued.program).map_or(issued.at, |made| made.at);
        // A service was called with its secret before that was rotated.
        let since = if issued.person.is_some() { issued.at } else { made };
        let caller = Caller { application: issued.application, secret: secret.id, user: secret.user, since };
        callers.entry(issued.application).or_default().push(caller);
    }
    let mut lines = Vec::new();
    for program in &acme::PROGRAMS {
        let Some(made) = stage.programs.get(program.name) else { continue };
        let mut callers = callers.remove(&made.id).unwrap_or_default();
        // What people use is called by people; anything else by its newest service secret.
        callers.retain(|caller| caller.user.is_some() == program.people);
        if !program.people {
            callers.sort_by_key(|caller| caller.secret);
            callers.truncate(1);
        }
        if !callers.is_empty() {
            lines.push(Line { program, callers });
        }
    }
    let mut own: Vec<Vec<Caller>> = callers.into_values().collect();
    own.sort_by_key(|callers| callers.first().map(|caller| (caller.since, caller.secret)));
    lines.extend(own.into_iter().map(|callers| Line { program: &acme::PERSONAL, callers }));
    lines
}
