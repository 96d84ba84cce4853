//! One line about what was just done, and a way back where there is one.

use std::{cell::RefCell, time::Duration};

use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use wasm_bindgen::JsCast;

use super::{
    sending::{numbered, post_undoing},
    visit::{Visit, here, visit},
};
use crate::frame::{UNDOES, WayBack};

thread_local! {
    /// The lines that are shown now, for every island of the page.
    static LINES: RefCell<Option<Lines>> = const { RefCell::new(None) };
}

/// A line: its number, what it says, what would undo it.
type Line = (u32, String, Option<WayBack>);

#[derive(Clone)]
struct Lines {
    shown: ArcRwSignal<Vec<Line>>,
    next: u32,
}

/// How long a line stays, and one that can undo something.
const STAYS: Duration = Duration::from_secs(10);
const STAYS_TO_UNDO: Duration = Duration::from_secs(20);

/// Says something.
pub fn say(line: String) {
    say_with(line, None);
}

/// Says what was done, with a way back where there is one.
pub fn say_with(line: String, undo: Option<WayBack>) {
    let next = LINES.with_borrow_mut(|lines| {
        let lines = lines.as_mut()?;
        // Said already, and nothing more.
        let said = |(_, other, back): &Line| undo.is_none() && back.is_none() && *other == line;
        if lines.shown.with_untracked(|shown| shown.iter().any(said)) {
            return None;
        }
        lines.next += 1;
        Some((lines.next, lines.shown.clone()))
    });
    let Some((id, shown)) = next else { return };
    let stays = if undo.is_some() { STAYS_TO_UNDO } else { STAYS };
    shown.update(|shown| shown.push((id, line, undo)));
    set_timeout(move || drop_line(&shown, id), stays);
}

fn drop_line(shown: &ArcRwSignal<Vec<Line>>, id: u32) {
    shown.update(|shown| shown.retain(|(other, ..)| *other != id));
}

/// The fields as a form sends them.
fn body(back: &WayBack) -> String {
    let params = web_sys::UrlSearchParams::new().ok();
    params.map_or_else(String::new, |params| {
        for (name, value) in &back.fields {
            params.append(name, value);
        }
        params.to_string().into()
    })
}

/// Undoes it, says so, and shows the page as it is then.
fn undo(back: WayBack) {
    spawn_local(async move {
        match post_undoing(&back.to, &body(&back), &back.of).await {
            Ok(done) => {
                say(done.undid().notice.unwrap_or_default());
                visit(here(), Visit::Again);
            }
            Err(error) => {
                let text = error.summary(|_| false).unwrap_or_else(|| error.sentence());
                say(numbered(text, &error));
            }
        }
        request_animation_frame(focus_last);
    });
}

/// The button that was pressed is gone: whoever works by keyboard goes on from what is said instead.
fn focus_last() {
    let last = document().query_selector(".toasts .toast:last-child > span").ok().flatten();
    if let Some(last) = last.and_then(|last| last.dyn_into::<web_sys::HtmlElement>().ok()) {
        let _ = last.focus();
    }
}

/// Where they are shown. `first`: what a page without script has to say, and what would undo that.
#[island]
pub fn Toasts(first: Option<String>, back: Option<WayBack>) -> impl IntoView {
    let first = first.map(|line| (0, line, back)).into_iter();
    let shown = ArcRwSignal::new(first.collect::<Vec<Line>>());
    LINES.set(Some(Lines { shown: shown.clone(), next: 0 }));
    let each = shown.clone();
    view! {
        <div class="toasts" role="status">
            <For
                each=move || each.get()
                key=|(id, ..)| *id
                children=move |(id, line, back)| {
                    let shown = shown.clone();
                    let back = back.map(|back| {
                        let shown = shown.clone();
                        let fields = back.fields.clone().into_iter().map(|(name, value)| view! { <input type="hidden" name=name value=value/> });
                        let fields = fields.collect_view();
                        let to = back.to.clone();
                        let of = if back.of.is_empty() { "1".to_owned() } else { back.of.clone() };
                        let submit = move |event: SubmitEvent| {
                            event.prevent_default();
                            drop_line(&shown, id);
                            undo(back.clone());
                        };
                        view! {
                            <form method="post" action=to on:submit=submit>
                                {fields}<input type="hidden" name=UNDOES value=of/>
                                <button class="link">"Undo"</button>
                            </form>
                        }
                    });
                    view! {
                        <div class="toast">
                            <span tabindex="-1">{line}</span>
                            {back}
                            <button type="button" class="link scripted" on:click=move |_| drop_line(&shown, id)>"Dismiss"</button>
                        </div>
                    }
                }
            />
        </div>
    }
}
