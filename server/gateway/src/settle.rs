//! Step 6: what was used is booked, exactly once; the rest of what was held is free again.

use std::{sync::Arc, time::Instant};

use domain::{
    ids::CallId,
    prices::{self, Prices},
    providers::Dialect,
    spend::Outcome,
    usage::Usage,
    window::Calendar,
};
use store::ledger::{Call, Event};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{Gateway, reserve::Held, wire::answer::Seen};

/// The open books of one call.
#[derive(Debug)]
pub struct Books {
    call: Call,
    calendar: Calendar,
    prices: Prices,
    dialect: Dialect,
    status: u16,
    started: Instant,
    first_byte: Option<Instant>,
    /// A shutdown waits for it.
    _open: TaskTrackerToken,
}

impl Books {
    /// Opens them for a call that is held.
    pub fn open(gateway: &Gateway, held: &Held, started: Instant) -> Self {
        let facts = &held.authorized.caller.snapshot.facts;
        Self {
            calendar: facts.calendar,
            prices: held.authorized.prices().copied().unwrap_or_default(),
            dialect: held.authorized.provider().map_or(Dialect::OpenAi, |provider| provider.dialect),
            call: held.call.clone(),
            status: 0,
            started,
            first_byte: None,
            _open: gateway.open.token(),
        }
    }

    pub const fn id(&self) -> CallId {
        self.call.id
    }

    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The status the upstream answered with.
    pub const fn answered(&mut self, status: u16) {
        self.status = status;
    }

    /// The first byte of the answer's body is here.
    pub fn first_byte(&mut self) {
        self.first_byte.get_or_insert_with(Instant::now);
    }

    /// Books an answer by what was seen of it.
    pub async fn close(self, gateway: &Arc<Gateway>, seen: &Seen, outcome: Outcome) {
        let reported = seen.usage();
        let estimated = reported.is_none();
        let usage = reported.unwrap_or_else(|| self.within_held(seen.estimate(self.call.worst.input_tokens)));
        self.book(gateway, usage, estimated, outcome).await;
    }

    /// Books an answer that is an error: nothing was used, unless it says so.
    pub async fn close_error(self, gateway: &Arc<Gateway>) {
        self.book(gateway, Usage::default(), false, Outcome::UpstreamError).await;
    }

    /// Books a call of which nobody knows how it ended, at everything that was held for it.
    pub async fn close_doubtful(self, gateway: &Arc<Gateway>) {
        let worst = self.call.worst;
        let usage = Usage { input: worst.input_tokens, output: worst.output_tokens, ..Usage::default() };
        self.book(gateway, usage, true, Outcome::UpstreamError).await;
    }

    /// Our own figure never goes beyond what the upstream was allowed.
    fn within_held(&self, usage: Usage) -> Usage {
        let worst = &self.call.worst;
        let input = usage.input.min(worst.input_tokens);
        Usage { input, output: usage.output.min(worst.output_tokens), ..usage }
    }

    async fn book(self, gateway: &Arc<Gateway>, usage: Usage, estimated: bool, outcome: Outcome) {
        let millis = |from: Instant, to: Instant| {
            i32::try_from(to.duration_since(from).as_millis()).unwrap_or(i32::MAX)
        };
        // A cost that does not fit in an integer of nano-dollars is nine billion dollars.
        let cost = prices::cost(&usage, &self.prices).unwrap_or(self.call.worst.cost);
        let event = Event {
            finished_at: store::clock::now(),
            first_byte_ms: self.first_byte.map(|first| millis(self.started, first)),
            duration_ms: millis(self.started, Instant::now()),
            outcome,
            status: self.status,
            usage,
            cost: if outcome == Outcome::UpstreamError && usage == Usage::default() {
                domain::money::Money::ZERO
            } else {
                cost
            },
            estimated,
            call: self.call,
        };
        gateway.book(self.calendar, event).await;
    }
}

impl Gateway {
    /// Books an event, in the database or, when that does not answer, in the spool.
    pub(crate) async fn book(self: &Arc<Self>, calendar: Calendar, event: Event) {
        let Err(error) = store::ledger::book(&self.store, calendar, &event).await else { return };
        tracing::warn!(%error, call = %event.call.id, "a call could not be booked; it waits in the spool");
        if let Err(error) = self.spool.keep(&event) {
            // The hold stays in the database and is booked at its worst case when its time is over.
            tracing::error!(%error, call = %event.call.id, "a finished call could not be spooled");
        }
    }
}
