//! Filling an empty database with the story.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Duration, Utc};
use domain::{
    alerts::AlertKind,
    audit::Door,
    limits::{Meter, Metric},
    money::{Money, NANOS},
    roles::Act,
    window::Span,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
use store::{Store, limits::LimitForm, webhooks::WebhookForm};

use super::{
    Options,
    acme::{self, DAYS},
    calls, crowd,
    folder::{Kept, KeptSecret},
    observed, refusals, requests, reviews,
    script::{self, Deed, Line},
    stage::{Issued, Stage},
};
use crate::Fatal;

/// Calls booked in one transaction.
const BATCH: usize = 2_000;

/// Days that have a partition before they begin.
const AHEAD: u64 = 8;

/// Tells the whole story, from the first day to now.
pub async fn fill(store: &Store, port: u16, options: &Options) -> Result<Kept, Fatal> {
    tracing::info!(calls = options.calls, "filling the demo: three months take some seconds");
    let now = store::clock::now();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(options.seed);
    let mut stage = Stage::open(store, now, port).await?;
    let lines = script::write(&mut rng);
    stage.play(&lines, now).await?;
    tracing::info!("people, groups, programs and rules are there");
    book(&stage, options, now, &mut rng).await?;
    tracing::info!("calls are booked");
    finish(&mut stage, now).await?;
    let size = crowd::Size {
        people: usize::try_from(options.people).unwrap_or_default(),
        groups: usize::try_from(options.groups).unwrap_or_default(),
        calls: options.events,
    };
    if size.people > 0 || size.groups > 0 {
        crowd::fill(&stage, size, now, options.seed).await?;
    }
    requests::perform(&stage, now).await?;
    reviews::perform(&stage, now).await?;
    // Some died on the way, with a membership or a suspension.
    let live: HashSet<[u8; 32]> =
        store::keys::known(store, stage.org).await?.into_iter().map(|secret| secret.hash).collect();
    stage.issued.retain(|issued| {
        store::keys::lookup_hash(store, issued.plain.reveal()).is_some_and(|hash| live.contains(&hash))
    });
    listen(&stage, port, now).await?;
    Ok(Kept { org: Some(stage.org), port, secrets: keep(&stage.issued) })
}

/// The calls of three months, and the refusals among them.
async fn book(
    stage: &Stage,
    options: &Options,
    now: DateTime<Utc>,
    rng: &mut Xoshiro256PlusPlus,
) -> Result<(), Fatal> {
    let (store, org, calendar) = (&stage.store, stage.org, stage.calendar);
    let days = u64::try_from(DAYS).unwrap_or_default() + AHEAD;
    store::ledger::make_partitions(store, stage.start.date_naive(), days).await?;
    let facts = store::access::facts(store, org).await?;
    let known = store::keys::known(store, org).await?;
    let total = usize::try_from(options.calls).unwrap_or_default();
    let lines = calls::lines(stage, &known);
    let events = calls::calls(stage, &facts, &lines, total, now, rng);
    tracing::debug!(calls = events.len(), "calls are made");
    // Two at a time: while Postgres writes one, the next is made ready.
    let batches = stream::iter(events.chunks(BATCH))
        .map(|batch| store::ledger::bulk::book(store, org, calendar, batch, None))
        .buffer_unordered(2);
    batches.try_for_each(|_| async { Ok(()) }).await?;
    let refusals = refusals::refusals(stage, &facts, &lines, total, now, rng)?;
    store::ledger::bulk::refuse(store, org, calendar, &refusals).await?;
    let noted = observed::noted(stage, &facts, &events)?;
    for batch in noted.chunks(BATCH) {
        store::ledger::bulk::refuse(store, org, calendar, batch).await?;
    }
    Ok(())
}

/// What happened today: budgets follow what was spent, somebody is suspended, a model retires.
async fn finish(stage: &mut Stage, now: DateTime<Utc>) -> Result<(), Fatal> {
    let facts = store::access::facts(&stage.store, stage.org).await?;
    let mut at = now - Duration::minutes(100);
    for limit in &acme::LIMITS {
        let Some(percent) = limit.now else { continue };
        let meter = Meter { scope: stage.scope(limit.scope)?, metric: limit.metric, window: limit.window };
        let span = facts.calendar.span(limit.window, now);
        let level = store::limits::levels(&stage.store, stage.org, &[(meter, span)]).await?;
        let used = level.first().map_or(0, |level| level.settled);
        let Some(cap) = cap_for(used, percent, limit.metric) else { continue };
        if is_early(span, now) || (limit.metric == Metric::Spend && cap < LEAST.0) {
            continue;
        }
        let mut change = stage.change("marek", Door::Console, Act::LoosenLimits, None, at).await?;
        let form = LimitForm { cap, mode: limit.mode, thresholds: vec![50, 80, 100] };
        store::limits::set(&mut change, meter, &form, store::limits::Seen::Whatever).await?;
        change.commit().await?;
        at += Duration::minutes(2);
    }
    let suspended = stage.issued.iter().rev().filter(|issued| issued.program.is_empty()).nth(4);
    let suspended = suspended.and_then(|issued| issued.person.clone());
    let mut last: Vec<Deed> =
        suspended.map(|person| Deed::Suspend { person, suspended: true }).into_iter().collect();
    last.push(Deed::Retire { model: acme::RETIRED });
    let minute = (at - stage.start).num_minutes();
    let lines: Vec<Line> = last
        .into_iter()
        .map(|deed| Line { minute, by: "ada".to_owned(), door: Door::Console, deed })
        .collect();
    stage.play(&lines, now).await
}

/// A chat is told of every alert.
async fn listen(stage: &Stage, port: u16, now: DateTime<Utc>) -> Result<(), Fatal> {
    let at = now - Duration::minutes(4);
    let mut change = stage.change("olga", Door::Console, Act::EditOrganization, None, at).await?;
    let form = WebhookForm {
        url: format!("http://127.0.0.1:{port}/chat/budgets"),
        kinds: AlertKind::ALL.to_vec(),
        allow_private_address: true,
    };
    store::webhooks::insert(&mut change, &form).await?;
    change.commit().await?;
    Ok(())
}

/// Budgets do not follow what was spent down to where no call has room.
const LEAST: Money = Money::cents(100);

/// Whether a window has hardly begun: what is used of it by now says nothing of a budget for all of it.
fn is_early(span: Span, now: DateTime<Utc>) -> bool {
    span.end.is_some_and(|end| now - span.start < (end - span.start) / 10)
}

/// A round cap of which `used` is about this much; none when nothing was used.
fn cap_for(used: i64, percent: i64, metric: Metric) -> Option<i64> {
    let unit = if metric == Metric::Spend { NANOS / 100 } else { 1 };
    let exact = i64::try_from(i128::from(used) * 100 / i128::from(percent.max(1))).ok()? / unit;
    if exact < 1 {
        return None;
    }
    // Two figures that count, as people choose them.
    let digits = exact.ilog10();
    let step = 10_i64.pow(digits.saturating_sub(1));
    let round = (exact + step / 2) / step * step;
    Some(if metric == Metric::Spend { Money::cents(round).0 } else { round })
}

/// Secrets that live traffic calls with; the first of `mobile-helper` is the one to try.
fn keep(issued: &[Issued]) -> Vec<KeptSecret> {
    let of = |issued: &Issued, offered| KeptSecret {
        program: issued.program.to_owned(),
        offered,
        secret: issued.plain.clone(),
    };
    // The newest of each: the ones before were rotated away.
    let newest: BTreeMap<_, _> =
        issued.iter().map(|issued| ((issued.application, issued.person.as_deref()), issued)).collect();
    newest
        .into_values()
        .filter(|issued| {
            let people =
                acme::PROGRAMS.iter().any(|program| program.name == issued.program && program.people);
            issued.person.is_some() || !people
        })
        .map(|issued| of(issued, issued.program == "mobile-helper"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_not_guessed_from_the_first_hours_of_its_window() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a moment");
        let december = Span { start: at("2026-11-30T23:00:00Z"), end: Some(at("2026-12-31T23:00:00Z")) };
        assert!(is_early(december, at("2026-12-01T06:30:00Z")));
        assert!(!is_early(december, at("2026-12-05T06:30:00Z")));
        assert!(!is_early(Span { end: None, ..december }, at("2026-12-01T06:30:00Z")));
    }

    #[test]
    fn caps_are_round_and_close_to_what_was_asked() {
        let dollars = |amount: i64| amount * NANOS;
        assert_eq!(cap_for(dollars(379), 76, Metric::Spend), Some(dollars(500)));
        assert_eq!(cap_for(dollars(20), 107, Metric::Spend), Some(dollars(19)));
        assert_eq!(cap_for(0, 50, Metric::Spend), None);
        assert_eq!(cap_for(1234, 100, Metric::Tokens), Some(1200));
    }
}
