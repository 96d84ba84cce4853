//! Step 5: the answer passes, and is looked at.
//!
//! The last bytes are kept until the call is booked, so that nothing a client has seen whole is
//! missing from the books. If the client leaves, reading goes on without it, within bounds.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use domain::{in_flight::Phase, spend::Outcome};
use hyper::body::{Body, Frame, Incoming};
use tokio::time::{Instant, Sleep};

use crate::{
    Gateway,
    cache::{Keeping, Slot},
    guard::streamed::Watch,
    in_flight::Ending,
    prompts::Listener,
    settle::Books,
    wire::{
        Route,
        answer::Seen,
        last_words::{Cut, End},
        refusal::{Kind, Refusal},
        request::Request,
        said::Said,
        sse::{Pieces, Splitter, Verdict},
    },
};

/// How long is waited for what a provider says behind the end of its answer. Almost always that is
/// nothing, and only the connection is free for the next call.
const TRAILING: Duration = Duration::from_millis(250);

/// Said to a client while its provider thinks: a comment, which every reader of events leaves out.
const HEARTBEAT: &[u8] = b": still waiting for the provider\n\n";

/// How much of a stream is read after its client has left.
const READ_ON_BYTES: usize = 64 << 20;

/// A streamed answer on its way to the client.
pub struct Metered {
    gateway: Arc<Gateway>,
    stage: Stage,
    /// Pieces that can go.
    ready: VecDeque<Bytes>,
}

enum Stage {
    /// Pieces come from upstream.
    Reading(Box<Reading>),
    /// The answer is at its end and booked; what still comes behind it goes on as it is, unless somebody
    /// looks into the answer.
    Trailing(Incoming, Pin<Box<Sleep>>, bool),
    /// Nothing more.
    Ended,
}

struct Reading {
    upstream: Incoming,
    splitter: Splitter,
    seen: Seen,
    /// Of a response: what has gone to the client, which its last event says again.
    said: Option<Box<Said>>,
    books: Books,
    /// For a key that keeps what its calls say.
    listener: Option<Box<Listener>>,
    /// Rings when the client has heard nothing for a while, or the upstream has said nothing for too long.
    idle: Pin<Box<Sleep>>,
    /// How long the client may hear nothing, and the upstream say nothing.
    waits: (Duration, Duration),
    /// When the upstream has said nothing for too long.
    silent: Instant,
    /// When it has to be at its end.
    until: Instant,
    /// More events with content than this go beyond what is held.
    most: u64,
    choices: u64,
    wants_usage: bool,
    /// Where its key keeps answers: what has gone out of this one.
    keeping: Option<Keeping>,
    /// For a key that looks into what comes back.
    watch: Option<Box<Watch>>,
}

impl Reading {
    /// Takes a piece; returns what goes on, and whether the answer has come to its end.
    fn take(&mut self, piece: Bytes) -> (Pieces, bool) {
        self.books.first_byte();
        self.books.seat().passed(piece.len());
        if self.watch.is_some() {
            let pieces = self.look(piece);
            return (pieces, self.seen.finished || self.seen.failed);
        }
        if let Some(listener) = &mut self.listener {
            listener.hear(&piece);
        }
        let Self { seen, said, .. } = self;
        let pieces = self.splitter.feed(piece, |event| {
            if let Some(said) = said {
                said.hear(event);
            }
            seen.event(event)
        });
        if let Some(keeping) = &mut self.keeping {
            pieces.iter().for_each(|piece| keeping.add(piece));
        }
        (pieces, self.seen.finished || self.seen.failed)
    }

    /// The same, event by event, where somebody looks into them.
    fn look(&mut self, piece: Bytes) -> Pieces {
        let Self { seen, splitter, watch: Some(watch), .. } = self else { return Pieces::new() };
        let mut goes = Vec::new();
        let unseen = splitter.feed(piece, |event| {
            if seen.event(event) == Verdict::Pass {
                watch.event(event, &mut goes);
            }
            Verdict::Hide
        });
        if !unseen.is_empty() {
            watch.too_large();
        }
        self.tell(goes)
    }

    /// Tells those who keep it what goes on.
    fn tell(&mut self, goes: Vec<Bytes>) -> Pieces {
        for piece in &goes {
            if let Some(listener) = &mut self.listener {
                listener.hear(piece);
            }
            if let Some(keeping) = &mut self.keeping {
                keeping.add(piece);
            }
            if let Some(said) = &mut self.said {
                said.hear(piece);
            }
        }
        goes.into_iter().collect()
    }

    fn end(&mut self) -> Pieces {
        let Self { seen, splitter, watch, .. } = self;
        let Some(watch) = watch else { return splitter.end(|event| seen.event(event)).into_iter().collect() };
        let mut goes = Vec::new();
        splitter.end(|event| {
            if seen.event(event) == Verdict::Pass {
                watch.event(event, &mut goes);
            }
            Verdict::Hide
        });
        watch.end(&mut goes);
        self.tell(goes)
    }

    /// What refuses the answer, where somebody looks into it.
    fn refusal(&self) -> Option<Refusal> {
        self.watch.as_ref()?.refusal()
    }
}

impl Metered {
    /// `waits`: how long the client may hear nothing, and the upstream say nothing; `until`: when its answer
    /// has to be whole.
    pub fn new(
        gateway: Arc<Gateway>,
        upstream: Incoming,
        books: Books,
        request: &Request,
        slot: Option<Slot>,
        (waits, until): ((Duration, Duration), std::time::Instant),
    ) -> Self {
        let hides_usage = books.route() == Route::ChatCompletions && !request.wants_usage;
        let (now, until) = (Instant::now(), Instant::from_std(until));
        let silent = until.min(now + waits.1);
        let reading = Reading {
            upstream,
            splitter: Splitter::default(),
            seen: Seen::new(books.route(), hides_usage),
            said: (books.route() == Route::Responses).then(Box::default),
            most: books.most_events(),
            choices: request.choices,
            wants_usage: request.wants_usage,
            keeping: slot.map(Keeping::new),
            books,
            listener: None,
            watch: None,
            idle: Box::pin(tokio::time::sleep_until(silent.min(now + waits.0))),
            waits,
            silent,
            until,
        };
        Self { gateway, stage: Stage::Reading(Box::new(reading)), ready: VecDeque::new() }
    }

    /// Lets somebody listen who keeps what calls of this key say.
    #[must_use]
    pub fn heard_by(mut self, listener: Option<Box<Listener>>) -> Self {
        if let Stage::Reading(reading) = &mut self.stage {
            reading.listener = listener;
        }
        self
    }

    /// Lets somebody look into it for a key that wants that.
    #[must_use]
    pub fn watched_by(mut self, watch: Option<Box<Watch>>) -> Self {
        if let Stage::Reading(reading) = &mut self.stage {
            reading.watch = watch;
        }
        self
    }

    /// Closes the books; then the last pieces may go.
    fn book(&mut self, outcome: Option<Outcome>, last: VecDeque<Bytes>, trails: bool) {
        let Stage::Reading(reading) = std::mem::replace(&mut self.stage, Stage::Ended) else { return };
        let Reading { seen, mut books, upstream, mut idle, keeping, watch, .. } = *reading;
        if let Some(watch) = &watch {
            books.found(&watch.found());
        }
        let outcome = outcome.unwrap_or(if seen.failed { Outcome::UpstreamError } else { Outcome::Ok });
        let cost = books.close(&seen, outcome);
        if let Some(keeping) = keeping.filter(|_| outcome == Outcome::Ok && seen.finished) {
            keeping.done(&self.gateway.cache, cost);
        }
        self.ready.extend(last);
        if trails {
            idle.as_mut().reset(Instant::now() + TRAILING);
            self.stage = Stage::Trailing(upstream, idle, watch.is_none());
        }
    }

    /// The upstream broke off: the client is told in its dialect, behind what it has got.
    fn broken(&mut self, cause: &str) {
        let Stage::Reading(reading) = &mut self.stage else { return };
        let id = reading.books.id();
        tracing::warn!(call = %id, cause, "an answer broke off");
        let refusal =
            Refusal::new(Kind::UpstreamError, id, "The provider broke off in the middle of its answer.");
        let mut last = VecDeque::new();
        let seen = &mut reading.seen;
        if reading.splitter.abandon(|event| seen.event(event)) {
            // What the client has begun to read is ended, so that the error is an event of its own.
            last.push_back(Bytes::from_static(b"\n\n"));
        }
        last.push_back(Bytes::from(refusal.stream_event(reading.books.route(), reading.seen.events)));
        self.book(Some(Outcome::UpstreamError), last, false);
    }

    /// Ends the stream as its dialect ends one, books what was used, and lets go of the upstream.
    fn cut(&mut self, ending: Ending) {
        let Stage::Reading(reading) = &mut self.stage else { return };
        let id = reading.books.id();
        tracing::info!(call = %id, ?ending, "a stream is ended");
        self.end_as(&ending.refusal(id), End::Length, Outcome::Ended);
    }

    /// What came is not to go on: the same, as a dialect ends what its filter has stopped.
    fn refuse(&mut self, why: &Refusal) {
        let Stage::Reading(reading) = &mut self.stage else { return };
        tracing::info!(call = %reading.books.id(), "a stream is ended by what is in it");
        self.end_as(why, End::Filtered, Outcome::Ended);
    }

    fn end_as(&mut self, why: &Refusal, end: End, outcome: Outcome) {
        let Stage::Reading(reading) = &mut self.stage else { return };
        // What is held back of its texts stays here: half a secret is none, and half known.
        let mut last = VecDeque::new();
        let seen = &mut reading.seen;
        if reading.splitter.abandon(|event| seen.event(event)) {
            // Only of an endless event has the client a part.
            last.push_back(Bytes::from_static(b"\n\n"));
        }
        let cut = Cut {
            route: reading.books.route(),
            seen: &reading.seen,
            said: reading.said.as_deref(),
            usage: reading.books.usage(&reading.seen).0,
            choices: reading.choices,
            wants_usage: reading.wants_usage,
            why,
            end,
        };
        last.push_back(Bytes::from(cut.events()));
        self.book(Some(outcome), last, false);
    }

    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Stage::Reading(reading) = &mut self.stage else { return Poll::Ready(()) };
        if let Some(ending) = reading.books.seat().ending() {
            self.cut(ending);
            return Poll::Ready(());
        }
        match Pin::new(&mut reading.upstream).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let Ok(piece) = frame.into_data() else { return Poll::Ready(()) };
                // One clock for both: a stream that never pauses does not go on for ever either.
                let now = Instant::now();
                reading.silent = reading.until.min(now + reading.waits.1);
                reading.idle.as_mut().reset(reading.silent.min(now + reading.waits.0));
                let (pieces, at_end) = reading.take(piece);
                let beyond = reading.seen.written() > reading.most;
                if let Some(refusal) = reading.refusal() {
                    self.ready.extend(pieces);
                    self.refuse(&refusal);
                } else if at_end {
                    self.book(None, pieces.into_iter().collect(), true);
                } else {
                    self.ready.extend(pieces);
                    if beyond {
                        self.cut(Ending::UsedUp);
                    }
                }
                Poll::Ready(())
            }
            Poll::Ready(None) => {
                let last = reading.end();
                if let Some(refusal) = reading.refusal() {
                    self.ready.extend(last);
                    self.refuse(&refusal);
                } else if reading.seen.is_whole() || reading.seen.failed {
                    self.book(None, last.into_iter().collect(), false);
                } else {
                    // An end of the connection is no end of an answer.
                    self.ready.extend(last);
                    self.broken("it ended before its end");
                }
                Poll::Ready(())
            }
            Poll::Ready(Some(Err(error))) => {
                self.broken(&crate::forward::chain(&error));
                Poll::Ready(())
            }
            Poll::Pending => {
                if reading.books.seat().poll_ending(cx).is_ready() {
                    return Poll::Ready(());
                }
                ready!(reading.idle.as_mut().poll(cx));
                let now = Instant::now();
                if now < reading.silent {
                    reading.idle.as_mut().reset(reading.silent.min(now + reading.waits.0));
                    if !reading.splitter.within_event() {
                        self.ready.push_back(Bytes::from_static(HEARTBEAT));
                    }
                    return Poll::Ready(());
                }
                let late = reading.until <= now;
                self.broken(if late { "not whole in time" } else { "silent for too long" });
                Poll::Ready(())
            }
        }
    }
}

impl Body for Metered {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            match &mut self.stage {
                Stage::Reading(_) => ready!(self.poll_upstream(cx)),
                Stage::Trailing(upstream, until, goes_on) => {
                    // However much comes: it is not metered, so it does not go on for long.
                    let frame = match until.as_mut().poll(cx) {
                        Poll::Ready(()) => None,
                        Poll::Pending => ready!(Pin::new(upstream).poll_frame(cx)),
                    };
                    match frame {
                        Some(Ok(frame)) if *goes_on => self.ready.extend(frame.into_data()),
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => self.stage = Stage::Ended,
                    }
                }
                Stage::Ended => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for Metered {
    /// The client has left. What the provider still says is read and booked.
    fn drop(&mut self) {
        let Stage::Reading(reading) = std::mem::replace(&mut self.stage, Stage::Ended) else { return };
        let gateway = Arc::clone(&self.gateway);
        self.gateway.open.spawn(async move {
            let mut reading = *reading;
            let left = reading.until.saturating_duration_since(Instant::now());
            let within = gateway.settings.patience.read_on.min(left);
            let seat = Arc::clone(reading.books.seat());
            seat.reaches(Phase::Left);
            let outcome = tokio::select! {
                () = read_on(&mut reading, within) => Outcome::HungUp,
                _ = seat.ended() => Outcome::Ended,
            };
            let Reading { seen, mut books, watch, .. } = reading;
            if let Some(watch) = &watch {
                books.found(&watch.found());
            }
            books.close(&seen, outcome);
        });
    }
}

/// Reads to the end of the answer, or to the bounds.
async fn read_on(reading: &mut Reading, within: Duration) {
    let mut left = READ_ON_BYTES;
    let to_the_end = async {
        while let Some(Ok(frame)) = http_body_util::BodyExt::frame(&mut reading.upstream).await {
            let Ok(piece) = frame.into_data() else { continue };
            left = left.saturating_sub(piece.len());
            let (_, at_end) = reading.take(piece);
            if at_end || left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(within, to_the_end).await;
    reading.end();
}
