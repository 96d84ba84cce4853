//! A tree of rows that the keyboard walks: up and down, left and right to fold and unfold, the first
//! and the last, the next that begins with what is typed. Without script its rows are links as ever.

use std::cell::RefCell;

use leptos::{
    ev::{FocusEvent, KeyboardEvent},
    html,
    prelude::*,
};
use wasm_bindgen::JsCast;
use web_sys::{Element, EventTarget, HtmlElement};

/// Letters typed within so many milliseconds are one word.
const PAUSE: f64 = 700.0;

thread_local! {
    /// The row that is in focus again when the tree comes with it folded or unfolded.
    static RETURN_TO: RefCell<Option<String>> = const { RefCell::new(None) };
    /// What was typed, and when its last letter was.
    static TYPED: RefCell<(String, f64)> = const { RefCell::new((String::new(), 0.0)) };
}

/// Around a table whose rows have `data-row`, `data-name` and `data-level`.
#[island]
pub fn TreeKeys(children: Children) -> impl IntoView {
    let node = NodeRef::<html::Div>::new();
    Effect::new(move || {
        let Some(root) = node.get() else { return };
        let rows = rows(&root);
        for row in &rows {
            let _ = row.set_attribute("aria-level", &level(row).to_string());
        }
        let wanted = RETURN_TO.take();
        let back = rows.iter().find(|row| row.get_attribute("data-row") == wanted && wanted.is_some());
        // A page that was drawn anew gives the row back the focus before its tree is alive.
        let reached = document().active_element();
        let reached = rows.iter().find(|row| row.is_same_node(reached.as_deref()));
        if let Some(row) = back.or(reached).or(rows.first()) {
            rove(&root, row);
        }
        if let Some(row) = back {
            focus(row);
        }
    });
    let pressed = move |event: KeyboardEvent| {
        if let Some(root) = node.get_untracked() {
            press(&root, &event);
        }
    };
    let focused = move |event: FocusEvent| {
        if let (Some(root), Some(row)) = (node.get_untracked(), row_of(event.target())) {
            rove(&root, &row);
        }
    };
    view! { <div node_ref=node on:keydown=pressed on:focusin=focused>{children()}</div> }
}

fn rows(root: &Element) -> Vec<Element> {
    let Ok(list) = root.query_selector_all("tr[data-row]") else { return Vec::new() };
    (0..list.length()).filter_map(|place| list.get(place)?.dyn_into().ok()).collect()
}

fn row_of(target: Option<EventTarget>) -> Option<Element> {
    target?.dyn_into::<Element>().ok()?.closest("tr[data-row]").ok()?
}

fn focus(row: &Element) {
    if let Some(row) = row.dyn_ref::<HtmlElement>() {
        let _ = row.focus();
    }
}

fn level(row: &Element) -> u32 {
    row.get_attribute("data-level").and_then(|level| level.parse().ok()).unwrap_or(1)
}

/// Of all rows only this one and what is in it are on the way of the Tab key.
fn rove(root: &Element, here: &Element) {
    for row in rows(root) {
        let is_here = row.is_same_node(Some(here));
        let _ = row.set_attribute("tabindex", if is_here { "0" } else { "-1" });
        let Ok(links) = row.query_selector_all("a") else { continue };
        for place in 0..links.length() {
            let link = links.get(place).and_then(|link| link.dyn_into::<Element>().ok());
            if let Some(link) = link {
                let _ = if is_here {
                    link.remove_attribute("tabindex")
                } else {
                    link.set_attribute("tabindex", "-1")
                };
            }
        }
    }
}

/// Follows a link of the row.
fn follow(row: &Element, which: &str) -> bool {
    let link = row.query_selector(which).ok().flatten().and_then(|link| link.dyn_into::<HtmlElement>().ok());
    link.map(|link| link.click()).is_some()
}

/// Folds or unfolds, and comes back to this row.
fn fold(row: &Element) -> bool {
    RETURN_TO.set(row.get_attribute("data-row"));
    follow(row, "a.mx-fold")
}

fn press(root: &Element, event: &KeyboardEvent) {
    if event.ctrl_key() || event.alt_key() || event.meta_key() {
        return;
    }
    let Some(row) = row_of(event.target()) else { return };
    let rows = rows(root);
    let Some(at) = rows.iter().position(|other| other.is_same_node(Some(&row))) else { return };
    let unfolded = row.get_attribute("aria-expanded").map(|word| word == "true");
    let on_row = event
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok())
        .is_some_and(|target| target.is_same_node(Some(&row)));
    let go = |place: Option<usize>| {
        if let Some(row) = place.and_then(|place| rows.get(place)) {
            focus(row);
        }
        true
    };
    let key = event.key();
    let done = match key.as_str() {
        "ArrowDown" => go(Some(at + 1)),
        "ArrowUp" => go(at.checked_sub(1)),
        "Home" => go(Some(0)),
        "End" => go(rows.len().checked_sub(1)),
        "ArrowRight" if unfolded == Some(false) => fold(&row),
        "ArrowRight" => go(rows.get(at + 1).filter(|next| level(next) > level(&row)).map(|_| at + 1)),
        "ArrowLeft" if unfolded == Some(true) => fold(&row),
        "ArrowLeft" => go(rows[..at].iter().rposition(|above| level(above) < level(&row))),
        "Enter" if on_row => follow(&row, "a:not(.mx-fold)"),
        letter if letter.chars().count() == 1 && letter != " " => {
            go(next_called(&rows, at, letter, event.time_stamp()))
        }
        _ => false,
    };
    if done {
        event.prevent_default();
        event.stop_propagation();
    }
}

/// The next row, going round, whose name begins with what is typed.
fn next_called(rows: &[Element], at: usize, letter: &str, now: f64) -> Option<usize> {
    let typed = TYPED.with_borrow_mut(|(typed, last)| {
        if now - *last > PAUSE {
            typed.clear();
        }
        *typed += &letter.to_lowercase();
        *last = now;
        typed.clone()
    });
    // A second letter may mean the row that the first one led to.
    let from = at + usize::from(typed.chars().count() == 1);
    let fits = |place: &usize| {
        let name = rows.get(*place).and_then(|row| row.get_attribute("data-name")).unwrap_or_default();
        name.to_lowercase().starts_with(&typed)
    };
    (from..rows.len()).chain(0..from.min(rows.len())).find(fits)
}
