//! Pages that follow the ledger: looked at again when the server says that something was booked, or
//! somebody was told something.

use std::{cell::Cell, time::Duration};

use leptos::prelude::*;
use wasm_bindgen::{JsCast, closure::Closure};

use super::visit::{Visit, here, visit};

/// Many calls at once are one look.
const GATHER: Duration = Duration::from_millis(700);

thread_local! {
    static WAITING: Cell<bool> = const { Cell::new(false) };
}

/// Listens for as long as the console is open. Only pages marked `data-live` are looked at again.
/// `since`: when the page was made, by the server's clock in milliseconds: what was booked between
/// then and now is told, too.
#[island]
pub fn Live(since: i64) -> impl IntoView {
    Effect::new(move || {
        let Ok(events) = web_sys::EventSource::new(&format!("/live?since={since}")) else { return };
        for (what, page) in
            [("ledger", "[data-live]"), ("notices", "[data-live]"), ("in-flight", "[data-running]")]
        {
            let heard = Closure::<dyn Fn()>::new(move || look(page));
            let _ = events.add_event_listener_with_callback(what, heard.as_ref().unchecked_ref());
            // It lives as long as the page.
            heard.forget();
        }
        std::mem::forget(events);
    });
}

/// Looks at the page again in a moment, if it is of this kind then.
fn look(page: &'static str) {
    if has(page) && !WAITING.replace(true) {
        set_timeout(
            || {
                WAITING.set(false);
                if may_look() {
                    visit(here(), Visit::Again);
                }
            },
            GATHER,
        );
    }
}

fn has(what: &str) -> bool {
    document().query_selector(what).ok().flatten().is_some()
}

/// What somebody is in the middle of: a dialog, a secret that is shown once, ticks, an open menu.
const BUSY: &str = "dialog[open], .once, .tick:checked, .members-tick:checked, [popover]:popover-open";

/// Not while somebody types, is in the middle of something, or looks elsewhere.
fn may_look() -> bool {
    let page = document();
    let typing = page
        .active_element()
        .is_some_and(|element| matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT"));
    has("[data-live]") && !has(BUSY) && !typing && !page.hidden()
}
