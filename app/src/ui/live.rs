//! Pages that follow the ledger: looked at again when the server says that something was booked, or
//! somebody was told something.
//!
//! A browser opens six connections to a host and no more, over HTTP/1.1, and a stream takes one for as
//! long as it is open. So a page listens while it is shown, and of the pages of one person that are
//! shown one has the stream, and passes on what it hears: whoever holds the lock of that name. When it is
//! hidden or closed the lock goes to the next.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use js_sys::{Date, Function, Object, Promise, Reflect};
use leptos::{prelude::*, task::spawn_local};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, BroadcastChannel, EventSource, MessageEvent};

use super::visit::{Visit, here, is_busy, is_going, visit};

/// Many calls at once are one look.
const GATHER: Duration = Duration::from_millis(700);
/// How long until it is asked again whether somebody is done with what they are in the middle of.
const BUSY_FOR: Duration = Duration::from_secs(2);
/// What the server tells, and which pages look then.
const TOLD: [(&str, &str); 3] =
    [("ledger", "[data-live]"), ("notices", "[data-live]"), ("in-flight", "[data-running]")];
/// Before the moment since when a page asks the others what it missed.
const MISSED: &str = "since ";

thread_local! {
    static WAITING: Cell<bool> = const { Cell::new(false) };
}

/// Listens while the page is shown. Only pages marked `data-live` are looked at again.
/// `since`: when the page was made, by the server's clock in milliseconds: what was booked between
/// then and now is told, too. `whose`: the organization and the person; pages of others hear nothing.
#[island]
pub fn Live(since: i64, whose: String) -> impl IntoView {
    Effect::new(move || {
        let ear = Rc::new(Ear {
            name: format!("bursar-live {whose}"),
            since,
            began: Date::now(),
            known: Cell::new(Date::now()),
            ..Ear::default()
        });
        if !document().hidden() {
            ear.open();
            // What happened since this page was asked for, if another has heard it.
            let asked = window().performance().map_or_else(Date::now, |clock| clock.time_origin());
            ear.pass_on(&format!("{MISSED}{asked}"));
        }
        let turned = Closure::<dyn Fn()>::new(move || {
            if document().hidden() {
                ear.close();
            } else if ear.channel.borrow().is_none() {
                ear.open();
                // What it did not hear meanwhile.
                look("[data-live]");
            }
        });
        let _ =
            document().add_event_listener_with_callback("visibilitychange", turned.as_ref().unchecked_ref());
        // It lives as long as the page.
        turned.forget();
    });
}

/// How a page hears of changes.
#[derive(Default)]
struct Ear {
    /// What the lock and the channel between pages are called.
    name: String,
    /// When the page was made, by the server's clock.
    since: i64,
    /// When it began to listen, by the browser's.
    began: f64,
    /// Until when it has heard everything.
    known: Cell<f64>,
    /// When it last heard something from the server.
    heard: Cell<f64>,
    /// To the other pages; none while this one is hidden.
    channel: RefCell<Option<BroadcastChannel>>,
    /// Takes back the wish for the lock.
    wish: RefCell<Option<AbortController>>,
    /// Gives the lock back.
    done: RefCell<Option<Function>>,
    /// The stream; none in pages that are told by another.
    events: RefCell<Option<EventSource>>,
}

impl Ear {
    /// Begins to listen: to the other pages, and to the server as soon as none of them does.
    fn open(self: &Rc<Self>) {
        if let Ok(channel) = BroadcastChannel::new(&self.name) {
            let ear = Rc::clone(self);
            let told = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
                if let Some(what) = event.data().as_string() {
                    ear.told(&what);
                }
            });
            channel.set_onmessage(Some(told.into_js_value().unchecked_ref()));
            self.channel.replace(Some(channel));
        }
        if self.wish_for_the_lock().is_none() {
            // Browsers have locks where the connection is safe; without them each page is on its own.
            self.listen();
        }
    }

    /// Asks to be the one that has the stream. Nothing comes back where there are no locks.
    fn wish_for_the_lock(self: &Rc<Self>) -> Option<()> {
        let locks = Reflect::get(&window().navigator(), &"locks".into()).ok()?;
        let request = Reflect::get(&locks, &"request".into()).ok()?.dyn_into::<Function>().ok()?;
        let wish = AbortController::new().ok()?;
        let options = Object::new();
        Reflect::set(&options, &"signal".into(), &wish.signal()).ok()?;
        let (ear, signal) = (Rc::clone(self), wish.signal());
        let held = Closure::once_into_js(move |_lock: JsValue| -> JsValue {
            if signal.aborted() {
                return JsValue::UNDEFINED;
            }
            ear.listen();
            // The lock is held until this promise is kept.
            Promise::new(&mut |done, _| {
                ear.done.replace(Some(done));
            })
            .into()
        });
        let promise = request.call3(&locks, &self.name.as_str().into(), &options, &held).ok()?;
        self.wish.replace(Some(wish));
        let promise = promise.dyn_into::<Promise>().ok()?;
        // A wish that is taken back fails, and that is as it should be.
        spawn_local(async move {
            let _ = JsFuture::from(promise).await;
        });
        Some(())
    }

    /// Hears it from the server.
    fn listen(self: &Rc<Self>) {
        // Its clock is not the browser's: what has passed since is the same on both.
        let since = self.since + (self.known.get() - self.began) as i64;
        let Ok(events) = EventSource::new(&format!("/live?since={since}")) else { return };
        for (what, page) in TOLD {
            let ear = Rc::clone(self);
            let heard = Closure::<dyn Fn()>::new(move || {
                ear.heard.set(Date::now());
                ear.pass_on(what);
                look(page);
            });
            let _ = events.add_event_listener_with_callback(what, heard.into_js_value().unchecked_ref());
        }
        self.events.replace(Some(events));
    }

    /// Hears it from another page, or is asked by one what it has not heard.
    fn told(&self, what: &str) {
        let asked = what.strip_prefix(MISSED).and_then(|since| since.parse::<f64>().ok());
        if asked.is_some_and(|since| self.events.borrow().is_some() && self.heard.get() >= since) {
            self.pass_on(TOLD[0].0);
        }
        if let Some((_, page)) = TOLD.iter().find(|(told, _)| *told == what) {
            look(page);
        }
    }

    fn pass_on(&self, what: &str) {
        if let Some(channel) = self.channel.borrow().as_ref() {
            let _ = channel.post_message(&what.into());
        }
    }

    /// Listens no more: another page may.
    fn close(&self) {
        self.known.set(Date::now());
        if let Some(channel) = self.channel.take() {
            channel.close();
        }
        if let Some(events) = self.events.take() {
            events.close();
        }
        if let Some(wish) = self.wish.take() {
            wish.abort();
        }
        if let Some(done) = self.done.take() {
            let _ = done.call0(&JsValue::NULL);
        }
    }
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
