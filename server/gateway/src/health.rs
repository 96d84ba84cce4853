//! How providers have been doing lately, as this process sees it.
//!
//! A provider that does not answer several times in a row is left alone for a while: its callers
//! hear at once that it is down, and nothing is held for them. Then one call tries. What counts is
//! what no caller can bring about by what it sends: no connection, no answer in time, and the
//! statuses of a provider that is down or overloaded.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use domain::ids::{ModelId, ProviderId};
use parking_lot::Mutex;

/// So many failures in a row.
const FAILURES: u32 = 5;
/// How long a provider is left alone.
const REST: Duration = Duration::from_secs(10);
/// A provider that asks for a longer pause than this is tried again all the same.
const LONGEST: Duration = Duration::from_secs(60);

/// Failures in a row, and until when a provider is left alone.
#[derive(Debug, Default)]
struct Ailing {
    failures: u32,
    until: Option<Instant>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Health {
    /// Nobody ails almost always: then nothing is locked.
    any: AtomicBool,
    ailing: Mutex<HashMap<ProviderId, Ailing>>,
    resting: Mutex<HashMap<ModelId, Instant>>,
}

impl Health {
    /// Whether a provider may be asked.
    ///
    /// # Errors
    /// When it is left alone: for how long.
    pub fn check(&self, provider: ProviderId, now: Instant) -> Result<(), Duration> {
        if !self.any.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut ailing = self.ailing.lock();
        let Some(until) = ailing.get_mut(&provider).and_then(|one| one.until.as_mut()) else { return Ok(()) };
        if now < *until {
            return Err(*until - now);
        }
        // This one tries; the others wait for what it finds.
        *until = now + REST;
        Ok(())
    }

    /// A provider has answered.
    pub fn answered(&self, provider: ProviderId) {
        if self.any.load(Ordering::Relaxed) {
            let mut ailing = self.ailing.lock();
            ailing.remove(&provider);
            self.any.store(!ailing.is_empty(), Ordering::Relaxed);
        }
    }

    /// A provider was down.
    pub fn failed(&self, provider: ProviderId, now: Instant) {
        let mut ailing = self.ailing.lock();
        self.any.store(true, Ordering::Relaxed);
        let one = ailing.entry(provider).or_default();
        one.failures += 1;
        if one.failures >= FAILURES {
            one.until = Some(now + REST);
        }
    }

    /// A provider asks not to be asked for this model for a while.
    pub fn rest(&self, model: ModelId, pause: Duration, now: Instant) {
        let mut resting = self.resting.lock();
        resting.retain(|_, until| now < *until);
        resting.insert(model, now + pause.min(LONGEST));
    }

    /// Whether that while is not over.
    pub fn rests(&self, model: ModelId) -> bool {
        self.resting.lock().get(&model).is_some_and(|until| Instant::now() < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<T: From<uuid::Uuid>>() -> T {
        uuid::Uuid::from_u128(7).into()
    }

    #[test]
    fn a_provider_that_fails_in_a_row_is_left_alone_and_then_tried_by_one() {
        let (health, now) = (Health::default(), Instant::now());
        let provider: ProviderId = id();
        for _ in 1..FAILURES {
            health.failed(provider, now);
            assert_eq!(health.check(provider, now), Ok(()));
        }
        health.failed(provider, now);
        assert_eq!(health.check(provider, now), Err(REST));
        let later = now + REST;
        assert_eq!(health.check(provider, later), Ok(()));
        assert_eq!(health.check(provider, later), Err(REST), "one tries, the others wait");
        health.answered(provider);
        assert_eq!(health.check(provider, later), Ok(()));
    }

    #[test]
    fn an_answer_in_between_forgives() {
        let (health, now) = (Health::default(), Instant::now());
        let provider: ProviderId = id();
        for _ in 0..3 {
            for _ in 1..FAILURES {
                health.failed(provider, now);
            }
            health.answered(provider);
        }
        assert_eq!(health.check(provider, now), Ok(()));
    }

    #[test]
    fn a_pause_is_kept_and_not_for_ever() {
        let (health, now) = (Health::default(), Instant::now());
        let model: ModelId = id();
        assert!(!health.rests(model));
        health.rest(model, Duration::from_secs(86_400), now);
        assert!(health.rests(model));
        health.rest(model, Duration::ZERO, now);
        assert!(!health.rests(model));
    }
}
