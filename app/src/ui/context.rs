//! What every part of a page can ask for while the page is drawn.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::roles::Act;
use leptos::prelude::*;

use crate::frame::Frame;

/// Counted, not owned: parts of a page that were waited for are drawn after their owner is gone.
#[derive(Clone)]
struct Shared(Arc<Frame>);

/// Puts the frame within reach of everything below.
pub fn provide(frame: Frame) {
    provide_context(Shared(Arc::new(frame)));
}

/// The frame.
pub fn frame() -> Arc<Frame> {
    expect_context::<Shared>().0
}

/// Whether a page may offer this in the organization as a whole.
pub fn may(act: Act) -> bool {
    frame().may(act)
}

/// When the page was made, for "2 min ago".
pub fn now() -> DateTime<Utc> {
    frame().now
}
