//! Step 6: what was used is booked, exactly once; the rest of what was held is free again.

use std::{sync::Arc, time::Instant};

use domain::{
    guardrails::{Found, add_found},
    ids::CallId,
    in_flight::Phase,
    limits::{Metric, Worst},
    money::Money,
    prices::{self, Prices},
    spend::Outcome,
    usage::{ToolUnits, Usage},
};
use store::ledger::{Call, Event, Finish, Marks};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    Gateway,
    authorize::Authorized,
    booking::Finished,
    in_flight::Seat,
    leases::Reservation,
    spool::{Place, Written},
    wire::{Route, answer::Seen, tools::Tools},
};

/// The open books of one call. They are closed once: by how the call ended or, should nobody come
/// to that, when they are dropped, at everything that was held.
#[derive(Debug)]
pub struct Books {
    gateway: Arc<Gateway>,
    /// Until they are closed.
    open: Option<Open>,
    id: CallId,
    worst: Worst,
    prices: Prices,
    /// What its tools may have used, and used at least.
    tools: Tools,
    route: Route,
    status: u16,
    started: Instant,
    first_byte: Option<Instant>,
    /// Whether the provider keeps the answer.
    keeps_answer: bool,
    /// Where pages see it, and where it can be ended.
    seat: Arc<Seat>,
    /// A shutdown waits for it.
    _open: TaskTrackerToken,
}

/// What ends with the call.
#[derive(Debug)]
struct Open {
    call: Call,
    reservation: Reservation,
    place: Place,
}

impl Books {
    /// Opens them for a call that holds this, and is written down there.
    pub fn open(
        gateway: Arc<Gateway>,
        authorized: &Authorized,
        call: Call,
        reservation: Reservation,
        place: Place,
        started: Instant,
    ) -> Self {
        gateway.booking.opened();
        let at_once =
            reservation.held.iter().any(|(bucket, _)| bucket.meter.metric == Metric::ConcurrentCalls);
        let seat = gateway.in_flight.enter(&call, authorized.route.full_path(), at_once, started);
        Self {
            keeps_answer: authorized.request.keeps_answer,
            seat,
            _open: gateway.open.token(),
            id: call.id,
            worst: call.worst,
            tools: authorized.request.tools.clone(),
            prices: authorized.prices().copied().unwrap_or_default(),
            route: authorized.route,
            open: Some(Open { call, reservation, place }),
            gateway,
            status: 0,
            started,
            first_byte: None,
        }
    }

    pub const fn id(&self) -> CallId {
        self.id
    }

    pub const fn route(&self) -> Route {
        self.route
    }

    /// Where it can be ended.
    pub const fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// The status the upstream answered with.
    pub fn answered(&mut self, status: u16) {
        self.status = status;
        self.seat.reaches(Phase::Answering);
    }

    /// The first byte of the answer's body is here.
    pub fn first_byte(&mut self) {
        if self.first_byte.is_none() {
            self.first_byte = Some(Instant::now());
            self.seat.reaches(Phase::Streaming);
        }
    }

    /// What was found in the answer, to be kept with what was found in the input.
    pub fn found(&mut self, found: &[Found]) {
        if let Some(open) = &mut self.open {
            add_found(&mut open.call.guarded, found);
        }
    }

    /// The most tokens an answer may have that goes by events, beyond doubt: some providers write a
    /// token in several events.
    pub const fn most_events(&self) -> u64 {
        let most = self.worst.output_tokens;
        most.saturating_add(most / 4).saturating_add(64)
    }

    /// What an answer used, by what was seen of it, and whether that is our own figure.
    pub fn usage(&self, seen: &Seen) -> (Usage, bool) {
        match seen.usage() {
            Some(reported) => (self.with_unsaid(reported), false),
            None => (self.with_unsaid(self.within_held(seen.estimate(self.worst.input_tokens))), true),
        }
    }

    /// Books an answer by what was seen of it. That is on the disk when this returns with what it
    /// costs.
    pub fn close(mut self, seen: &Seen, outcome: Outcome) -> Money {
        let (usage, estimated) = self.usage(seen);
        let marks = self.marks(seen);
        self.book_with(usage, estimated, outcome, marks, false).0
    }

    /// The same for an answer that is whole. It is on the disk when this has come to its end. Returns
    /// what it costs.
    pub async fn close_whole(mut self, seen: &Seen) -> Money {
        let (usage, estimated) = self.usage(seen);
        let marks = self.marks(seen);
        let (cost, written) = self.book_with(usage, estimated, Outcome::Ok, marks, true);
        if let Err(error) = self.gateway.spool.written(written).await {
            not_written(self.id, &error);
        }
        cost
    }

    fn marks(&self, seen: &Seen) -> Marks {
        let answer = seen.id.as_deref().filter(|_| self.keeps_answer).map(str::to_owned);
        Marks { answer, ..Marks::default() }
    }

    /// Books a call that was answered from what an earlier one brought, which had cost so much.
    pub fn close_cached(mut self, saved: Money) {
        let marks = Marks { cached: Some(saved), ..Marks::default() };
        let _ = self.book_with(Usage::default(), false, Outcome::Ok, marks, false);
    }

    /// Books an answer that is an error: nothing was used, unless it says so.
    pub fn close_error(mut self) {
        self.book(Usage::default(), false, Outcome::UpstreamError);
    }

    /// Books a call of which nobody knows how it ended, at everything that was held for it.
    pub fn close_doubtful(mut self) {
        self.book_doubtful(Outcome::UpstreamError);
    }

    /// Books an answer that came whole and that nobody here can read: the same.
    pub fn close_unread(mut self) {
        self.book_doubtful(Outcome::Ok);
    }

    /// Books a call that was ended before anything was known of its answer: the same.
    pub fn close_ended(mut self) {
        self.book_doubtful(Outcome::Ended);
    }

    /// Gives everything back: the provider was never asked.
    pub fn release(mut self) {
        let Some(Open { call, reservation, place }) = self.open.take() else { return };
        self.gateway.leases.settle(call.org, &reservation, |_| 0);
        self.gateway.booking.closed(1);
        match self.gateway.spool.release(call.id) {
            Ok(()) => self.gateway.spool.booked([place]),
            Err(error) => tracing::error!(%error, call = %call.id, "a release could not be written down"),
        }
    }

    fn book_doubtful(&mut self, outcome: Outcome) {
        let worst = self.worst;
        let usage = Usage { input: worst.input_tokens, output: worst.output_tokens, ..*self.tools.most() };
        self.book(usage, true, outcome);
    }

    /// With the searches that a provider makes for every answer and does not count, and without machines
    /// that the call brought no tool for: some of the provider's own searches run code, at no cost.
    fn with_unsaid(&self, usage: Usage) -> Usage {
        let unsaid = self.tools.unsaid().web_searches;
        let machines = self.tools.most().tools.code_sessions > 0;
        let tools = ToolUnits {
            web_searches: if usage.tools.web_searches > 0 { usage.tools.web_searches } else { unsaid },
            code_sessions: if machines { usage.tools.code_sessions } else { 0 },
            ..usage.tools
        };
        Usage { tools, ..usage }
    }

    /// Our own figure never goes beyond what the upstream was allowed.
    fn within_held(&self, usage: Usage) -> Usage {
        let input = usage.input.min(self.worst.input_tokens);
        Usage { input, output: usage.output.min(self.worst.output_tokens), ..usage }
    }

    fn book(&mut self, usage: Usage, estimated: bool, outcome: Outcome) {
        let _ = self.book_with(usage, estimated, outcome, Marks::default(), false);
    }

    /// Returns what it costs, and when that is on the disk: at once, unless the last byte waits for it.
    fn book_with(
        &mut self,
        usage: Usage,
        estimated: bool,
        outcome: Outcome,
        marks: Marks,
        gathers: bool,
    ) -> (Money, Written) {
        let Some(Open { call, reservation, place }) = self.open.take() else {
            return (Money::ZERO, Written::now());
        };
        let millis = |from: Instant, to: Instant| {
            i32::try_from(to.duration_since(from).as_millis()).unwrap_or(i32::MAX)
        };
        // A cost that does not fit in an integer of nano-dollars is nine billion dollars.
        let cost = prices::cost(&usage, &self.prices).unwrap_or(self.worst.cost);
        let nothing =
            marks.cached.is_some() || (outcome == Outcome::UpstreamError && usage == Usage::default());
        let cost = if nothing { Money::ZERO } else { cost };
        if let Some(answer) = &marks.answer {
            self.gateway.kept_answers.note(call.org, answer, call.application);
        }
        let finish = Finish {
            finished_at: store::clock::now(),
            first_byte_ms: self.first_byte.map(|first| millis(self.started, first)),
            duration_ms: millis(self.started, Instant::now()),
            outcome,
            status: self.status,
            usage,
            cost,
            estimated,
            marks,
        };
        let written = self.gateway.spool.finish(call.id, &finish, gathers).unwrap_or_else(|error| {
            not_written(call.id, &error);
            Written::now()
        });
        let event = Event::of(call, finish);
        self.gateway.leases.settle(event.call.org, &reservation, |metric| event.amount(metric));
        self.gateway.booking.push(Finished { event, reservation, place });
        (cost, written)
    }
}

/// It is still booked from memory, unless this process dies first: then it counts in full.
fn not_written(call: CallId, error: &std::io::Error) {
    tracing::error!(%error, %call, "a finished call could not be written down");
}

impl Drop for Books {
    fn drop(&mut self) {
        if self.open.is_some() {
            tracing::error!(call = %self.id, "a call was dropped with its books open; it counts in full");
            self.book_doubtful(Outcome::UpstreamError);
        }
        self.gateway.in_flight.leave(self.id);
    }
}
