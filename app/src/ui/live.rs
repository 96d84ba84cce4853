//! Pages that follow the ledger: looked at again when the server says that something was booked, or
//! somebody was told something.

use std::{cell::Cell, time::Duration};

use leptos::prelude::*;
use wasm_bindgen::{JsCast, closure::Closure};

use super::visit::{Visit, here, is_busy, is_going, visit};

/// Many calls at once are one look.
const GATHER: Duration = Duration::from_millis(700);
/// How long until it is asked again whether somebody is done with what they are in the middle of.
const BUSY_FOR: Duration = Duration::from_secs(2);

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
        look_after(GATHER);
    }
}

/// Looks as soon as nobody is in the middle of something: what was told meanwhile is not lost.
fn look_after(moment: Duration) {
    set_timeout(
        || {
            if has("[data-live]") && (is_busy() || is_going()) {
                return look_after(BUSY_FOR);
            }
            WAITING.set(false);
            if has("[data-live]") {
                visit(here(), Visit::Look);
            }
        },
        moment,
    );
}

fn has(what: &str) -> bool {
    document().query_selector(what).ok().flatten().is_some()
}
