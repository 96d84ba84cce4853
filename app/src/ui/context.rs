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

/// Whether somebody reads more than their own: everything, or the groups they lead.
pub fn reads_groups() -> bool {
    let frame = frame();
    frame.may(Act::ReadOrganization) || frame.here().is_some_and(|here| !here.leads.is_empty())
}
