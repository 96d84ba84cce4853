//! A call is polled by the connection it came on, and goes on without it when the client leaves.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::{FutureExt, future::CatchUnwind};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

/// A future that a task takes over when nobody waits for it any more. A task for every call would
/// cost each of them two copies and a turn of the scheduler; few clients leave.
pub struct GoesOn<F: Future<Output: Send + 'static> + Send + 'static> {
    running: Option<Pin<Box<CatchUnwind<AssertUnwindSafe<F>>>>>,
    tracker: TaskTracker,
    /// A shutdown waits for it, wherever it is.
    _open: TaskTrackerToken,
}

impl<F: Future<Output: Send + 'static> + Send + 'static> GoesOn<F> {
    /// Ends with what the future ends with; none when that has panicked.
    pub fn new(tracker: &TaskTracker, future: F) -> Self {
        let running = Some(Box::pin(AssertUnwindSafe(future).catch_unwind()));
        Self { running, tracker: tracker.clone(), _open: tracker.token() }
    }
}

impl<F: Future<Output: Send + 'static> + Send + 'static> Future for GoesOn<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(running) = &mut self.running else { return Poll::Pending };
        let ended = ready!(running.as_mut().poll(cx));
        self.running = None;
        Poll::Ready(ended.ok())
    }
}

impl<F: Future<Output: Send + 'static> + Send + 'static> Drop for GoesOn<F> {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.tracker.spawn(running);
        }
    }
}
