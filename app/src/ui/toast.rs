//! One line about what was just done, and a way back where there is one.

use std::{cell::RefCell, time::Duration};

use domain::ids::BatchId;
use leptos::{prelude::*, server_fn::ServerFn, task::spawn_local};

use super::{
    sending::post,
    visit::{Visit, here, visit},
};
use crate::api::batches::UndoBatch;

thread_local! {
    /// The lines that are shown now, for every island of the page.
    static LINES: RefCell<Option<Lines>> = const { RefCell::new(None) };
}

/// A line: its number, what it says, what it can undo.
type Line = (u32, String, Option<BatchId>);

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
    add(line, None);
}

/// Says what was done, with a way back.
pub fn say_undo(line: String, batch: BatchId) {
    add(line, Some(batch));
}

fn add(line: String, undo: Option<BatchId>) {
    let next = LINES.with_borrow_mut(|lines| {
        let lines = lines.as_mut()?;
        lines.next += 1;
        Some((lines.next, lines.shown.clone()))
    });
    let Some((id, shown)) = next else { return };
    shown.update(|shown| shown.push((id, line, undo)));
    let stays = if undo.is_some() { STAYS_TO_UNDO } else { STAYS };
    set_timeout(move || drop_line(&shown, id), stays);
}

fn drop_line(shown: &ArcRwSignal<Vec<Line>>, id: u32) {
    shown.update(|shown| shown.retain(|(other, ..)| *other != id));
}

/// Undoes it, says so, and shows the page as it is then.
fn undo(batch: BatchId) {
    spawn_local(async move {
        match post(UndoBatch::PATH, &format!("id={batch}")).await {
            Ok(done) => {
                say(done.notice.unwrap_or_default());
                visit(here(), Visit::Again);
            }
            Err(error) => say(error.sentence()),
        }
    });
}

/// Where they are shown. `first`: what a page without script has to say.
#[island]
pub fn Toasts(first: Option<String>) -> impl IntoView {
    let shown = ArcRwSignal::new(first.into_iter().map(|line| (0, line, None)).collect::<Vec<_>>());
    LINES.set(Some(Lines { shown: shown.clone(), next: 0 }));
    let each = shown.clone();
    view! {
        <div class="toasts" role="status">
            <For
                each=move || each.get()
                key=|(id, ..)| *id
                children=move |(id, line, batch)| {
                    let shown = shown.clone();
                    let back = batch.map(|batch| {
                        let shown = shown.clone();
                        let click = move |_| {
                            drop_line(&shown, id);
                            undo(batch);
                        };
                        view! { <button type="button" class="link" on:click=click>"Undo"</button> }
                    });
                    view! {
                        <div class="toast">
                            <span>{line}</span>
                            {back}
                            <button type="button" class="link scripted" on:click=move |_| drop_line(&shown, id)>"Dismiss"</button>
                        </div>
                    }
                }
            />
        </div>
    }
}
