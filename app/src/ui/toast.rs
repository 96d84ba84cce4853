//! One line about what was just done.

use std::{cell::RefCell, time::Duration};

use leptos::prelude::*;

thread_local! {
    /// The lines that are shown now, for every island of the page.
    static LINES: RefCell<Option<Lines>> = const { RefCell::new(None) };
}

#[derive(Clone)]
struct Lines {
    shown: ArcRwSignal<Vec<(u32, String)>>,
    next: u32,
}

/// How long a line stays.
const STAYS: Duration = Duration::from_secs(10);

/// Says something.
pub fn say(line: String) {
    let next = LINES.with_borrow_mut(|lines| {
        let lines = lines.as_mut()?;
        lines.next += 1;
        Some((lines.next, lines.shown.clone()))
    });
    let Some((id, shown)) = next else { return };
    shown.update(|shown| shown.push((id, line)));
    set_timeout(move || drop_line(&shown, id), STAYS);
}

fn drop_line(shown: &ArcRwSignal<Vec<(u32, String)>>, id: u32) {
    shown.update(|shown| shown.retain(|(other, _)| *other != id));
}

/// Where they are shown. `first`: what a page without script has to say.
#[island]
pub fn Toasts(first: Option<String>) -> impl IntoView {
    let shown = ArcRwSignal::new(first.into_iter().map(|line| (0, line)).collect::<Vec<_>>());
    LINES.set(Some(Lines { shown: shown.clone(), next: 0 }));
    let each = shown.clone();
    view! {
        <div class="toasts" role="status">
            <For
                each=move || each.get()
                key=|(id, _)| *id
                children=move |(id, line)| {
                    let shown = shown.clone();
                    view! {
                        <div class="toast">
                            <span>{line}</span>
                            <button type="button" class="link scripted" on:click=move |_| drop_line(&shown, id)>"Dismiss"</button>
                        </div>
                    }
                }
            />
        </div>
    }
}
