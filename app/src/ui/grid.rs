//! The matrix in the browser: a grid that the keyboard walks, ranges, a menu at a cell, and edits
//! that are staged. Without script the same cells are links to forms. What is staged stays for as
//! long as the console is open, on whichever part of the matrix it was; the rules of staging are in
//! `domain::staging`.

use std::cell::{Cell as Slot, RefCell};

use domain::{
    authorizations::{Cell, Draft, Edit, State},
    staging::{Choice, Square, Staging},
};
use leptos::{
    ev::{self, FocusEvent, KeyboardEvent, MouseEvent},
    html,
    prelude::*,
};
use wasm_bindgen::JsCast;
use web_sys::{Element, EventTarget, HtmlDialogElement, HtmlElement, HtmlInputElement};

use super::visit::{Visit, ask_before_leaving, here, visit};

/// Below this width the menu is at the foot of the screen.
const NARROW: f64 = 720.0;
/// How many rows a page key goes.
const LEAP: usize = 10;

thread_local! {
    static STAGING: RefCell<Staging> = RefCell::default();
    /// Drafts and savings of the address that were taken note of.
    static TAKEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static RANGE: RefCell<Range> = const { RefCell::new(Range { at: None, anchor: None }) };
    /// Where somebody is asked whether to go.
    static LEAVE_TO: RefCell<Option<String>> = const { RefCell::new(None) };
    static LISTENING: Slot<bool> = const { Slot::new(false) };
}

/// The cell in focus, and the one where a range began.
struct Range {
    at: Option<String>,
    anchor: Option<String>,
}

/// What is staged in a cell: the class of its sign, and words. `above`: what it would inherit.
/// `held`: a lock above decides, whatever is said here.
pub fn staged(edit: &Edit, above: &str, held: bool) -> (&'static str, String) {
    let Some(say) = edit.say else { return ("inherit", format!("Inherit: {}", above.to_lowercase())) };
    let class = match say.state {
        State::Open => "open",
        State::ByRequest => "ask",
        State::Closed => "shut",
    };
    let lock = if say.locked { ", locked" } else { "" };
    let held = if held { ", under a lock" } else { "" };
    (class, format!("{}{lock}{held}", say.state.label()))
}

/// `1 pending change`, `7 pending changes`.
pub fn pending(count: usize) -> String {
    if count == 1 { "1 pending change".to_owned() } else { format!("{count} pending changes") }
}

/// What is staged, as a field of a form. `first`: what it is without script.
#[island]
pub fn Carried(first: String) -> impl IntoView {
    let node = NodeRef::<html::Input>::new();
    Effect::new(move || {
        let text = STAGING.with_borrow(|staging| staging.draft().to_string());
        if let Some(input) = node.get().filter(|_| !text.is_empty()) {
            input.set_value(&text);
        }
    });
    view! { <input type="hidden" name="edits" class="mx-edits" value=first node_ref=node autocomplete="off"/> }
}

/// Around the matrix. `draft`: edits that the address stages; `saved`: cells that were just saved.
#[island]
pub fn Grid(
    draft_id: String,
    draft: Draft,
    saved_id: String,
    saved: Vec<Cell>,
    children: Children,
) -> impl IntoView {
    let node = NodeRef::<html::Div>::new();
    Effect::new(move || {
        let Some(root) = node.get() else { return };
        if is_new(&draft_id) {
            // A draft has everything in it that was staged when it was made.
            STAGING.with_borrow_mut(|staging| {
                staging.discard();
                staging.take_in(&draft);
            });
        }
        if is_new(&saved_id) {
            STAGING.with_borrow_mut(|staging| staging.saved(&saved));
        }
        RANGE.set(Range { at: None, anchor: None });
        for (place, link) in all(&root, ".matrix td .cell-link").iter().enumerate() {
            let _ = link.set_attribute("tabindex", if place == 0 { "0" } else { "-1" });
        }
        for link in all(&root, "[data-editable] .cell-link") {
            let _ = link.set_attribute("aria-haspopup", "menu");
        }
        paint(&root);
        listen();
    });
    let clicked = move |event: MouseEvent| {
        if let Some(root) = node.get_untracked() {
            click(&root, &event);
        }
    };
    let down = move |event: MouseEvent| {
        if let Some(root) = node.get_untracked() {
            keep_range(&root, &event);
        }
    };
    let pressed = move |event: KeyboardEvent| {
        if let Some(root) = node.get_untracked() {
            press(&root, &event);
        }
    };
    let focused = move |event: FocusEvent| {
        if let (Some(root), Some(square)) = (node.get_untracked(), closest(event.target(), "[data-cell]")) {
            rove(&root, &square);
        }
    };
    view! {
        <div class="mx" node_ref=node on:mousedown=down on:click=clicked on:keydown=pressed on:focusin=focused>
            {children()}
            <p class="sr mx-said" role="status"></p>
        </div>
    }
}

/// Whether a draft or a saving has not been taken note of yet; now it has.
fn is_new(id: &str) -> bool {
    TAKEN.with_borrow_mut(|taken| {
        let new = !id.is_empty() && !taken.iter().any(|known| known == id);
        if new {
            taken.push(id.to_owned());
        }
        new
    })
}

/// Asks before the page is left with something staged, by a link or by closing it.
fn listen() {
    ask_before_leaving(may_leave);
    if LISTENING.replace(true) {
        return;
    }
    // It lives as long as the console.
    let _ = window_event_listener(ev::beforeunload, |event| {
        if any() && find_in_page(".mx").is_some() {
            event.prevent_default();
        }
    });
}

fn any() -> bool {
    STAGING.with_borrow(|staging| !staging.is_empty())
}

/// Whether a link may be followed at once. What belongs to the matrix keeps what is staged.
fn may_leave(address: &str) -> bool {
    let path = web_sys::Url::new(address).map(|url| url.pathname()).unwrap_or_default();
    let dialog = find_in_page(".mx-leave").and_then(|dialog| dialog.dyn_into::<HtmlDialogElement>().ok());
    match dialog {
        Some(dialog) if any() && path.split('/').nth(1) != Some("authorization") => {
            LEAVE_TO.set(Some(address.to_owned()));
            dialog.show_modal().is_err()
        }
        _ => true,
    }
}

fn find_in_page(what: &str) -> Option<Element> {
    document().query_selector(what).ok().flatten()
}

fn find(node: &Element, what: &str) -> Option<Element> {
    node.query_selector(what).ok().flatten()
}

fn all(node: &Element, what: &str) -> Vec<Element> {
    let Ok(list) = node.query_selector_all(what) else { return Vec::new() };
    (0..list.length()).filter_map(|place| list.get(place)?.dyn_into().ok()).collect()
}

fn closest(target: Option<EventTarget>, what: &str) -> Option<Element> {
    target?.dyn_into::<Element>().ok()?.closest(what).ok().flatten()
}

fn focus(node: &Element, what: &str) {
    if let Some(element) = find(node, what).and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
        let _ = element.focus();
    }
}

fn key(square: &Element) -> String {
    square.get_attribute("data-cell").unwrap_or_default()
}

/// The cell of this key: in the grid, or where there is none, in the list of one group.
fn with_key(root: &Element, key: &str) -> Option<Element> {
    find(root, &format!("td[data-cell=\"{key}\"]"))
        .or_else(|| find(root, &format!("li[data-cell=\"{key}\"]")))
}

/// What the page says of a cell.
fn square(element: &Element) -> Option<Square> {
    let own = element.get_attribute("data-own").and_then(|text| text.parse::<Edit>().ok());
    let cell = key(element).parse().ok()?;
    Some(Square { cell, own: own.and_then(|edit| edit.seen.zip(edit.say)) })
}

/// The rows of the grid, cell by cell.
fn rows(root: &Element) -> Vec<Vec<Element>> {
    all(root, ".matrix tbody tr").iter().map(|row| all(row, "td[data-cell]")).collect()
}

fn place(rows: &[Vec<Element>], wanted: &str) -> Option<(usize, usize)> {
    rows.iter().enumerate().find_map(|(number, row)| {
        row.iter().position(|square| key(square) == wanted).map(|column| (number, column))
    })
}

/// The cells that a choice is for: the range, or the one in focus.
fn selected(root: &Element) -> Vec<Element> {
    let (at, anchor) = RANGE.with_borrow(|range| (range.at.clone(), range.anchor.clone()));
    let Some(at) = at else { return Vec::new() };
    let rows = rows(root);
    let corners = anchor.and_then(|anchor| place(&rows, &anchor)).zip(place(&rows, &at));
    let Some(((top, left), (bottom, right))) = corners else {
        return with_key(root, &at).into_iter().collect();
    };
    let within = |row: &Vec<Element>| row[left.min(right)..=left.max(right).min(row.len() - 1)].to_vec();
    rows[top.min(bottom)..=top.max(bottom)].iter().filter(|row| !row.is_empty()).flat_map(within).collect()
}

fn mark_range(root: &Element) {
    for square in all(root, "td[aria-selected]") {
        let _ = square.remove_attribute("aria-selected");
    }
    if RANGE.with_borrow(|range| range.anchor.is_some()) {
        let squares = selected(root);
        for square in &squares {
            let _ = square.set_attribute("aria-selected", "true");
        }
        say(root, format!("{} cells selected.", squares.len()));
    }
}

fn say(root: &Element, words: String) {
    if let Some(place) = find(root, ".mx-said") {
        place.set_text_content(Some(&words));
    }
}

/// One cell of the grid is in the order of Tab: the one that had the focus last.
fn rove(root: &Element, square: &Element) {
    RANGE.with_borrow_mut(|range| range.at = Some(key(square)));
    if square.tag_name() != "TD" {
        return;
    }
    for link in all(root, ".matrix .cell-link[tabindex=\"0\"]") {
        let _ = link.set_attribute("tabindex", "-1");
    }
    if let Some(link) = find(square, ".cell-link") {
        let _ = link.set_attribute("tabindex", "0");
    }
}

/// Shows what is staged: in its cells, in the bar, and in every form that takes it along.
fn paint(root: &Element) {
    STAGING.with_borrow(|staging| {
        for element in all(root, "[data-cell]") {
            let edit = square(&element).and_then(|square| staging.get(square.cell));
            if edit.is_none() && !element.has_attribute("data-staged") {
                continue;
            }
            let _ = element.toggle_attribute_with_force("data-staged", edit.is_some());
            let above = element.get_attribute("data-above").unwrap_or_default();
            let held = element.has_attribute("data-held");
            let (class, words) = edit.map(|edit| staged(edit, &above, held)).unwrap_or_default();
            if let Some(next) = find(&element, ".mx-next") {
                next.set_class_name(&format!("mx-next {class}"));
                next.set_text_content(Some(&words));
            }
        }
        if let Some(bar) = find(root, ".mx-bar") {
            let _ = bar.toggle_attribute_with_force("data-any", !staging.is_empty());
        }
        for count in all(root, ".mx-count") {
            count.set_text_content(Some(&pending(staging.len())));
        }
        let text = staging.draft().to_string();
        if let Some(page) = document().body() {
            for input in all(&page, "input.mx-edits") {
                if let Ok(input) = input.dyn_into::<HtmlInputElement>() {
                    input.set_value(&text);
                }
            }
        }
    });
}

/// Does something to the selected cells, and says what came of it.
fn choose(root: &Element, choice: Choice) {
    let elements = selected(root);
    let squares: Vec<Square> =
        elements.iter().filter(|square| square.has_attribute("data-editable")).filter_map(square).collect();
    let at = RANGE.with_borrow(|range| range.at.clone()).and_then(|key| with_key(root, &key));
    let focus = at.as_ref().and_then(square);
    let Some(focus) = focus.filter(|focus| squares.iter().any(|square| square.cell == focus.cell)) else {
        return say(root, "You may look at this, not change it.".to_owned());
    };
    let changed = STAGING.with_borrow_mut(|staging| staging.choose(&squares, &focus, choice));
    paint(root);
    let (count, edit) = STAGING.with_borrow(|staging| (staging.len(), staging.get(focus.cell).copied()));
    let place = at.as_ref().and_then(|at| at.get_attribute("data-place")).unwrap_or_default();
    let above = at.as_ref().and_then(|at| at.get_attribute("data-above")).unwrap_or_default();
    let held = at.as_ref().is_some_and(|at| at.has_attribute("data-held"));
    let words = match (changed, edit) {
        (0, _) if choice == Choice::Lock => {
            "Nothing to lock: say open, by request or closed first".to_owned()
        }
        (0, _) => "It is so already".to_owned(),
        (1, Some(edit)) => format!("{place}: {}, staged", staged(&edit, &above, held).1),
        (1, None) => format!("{place}: as it was"),
        (changed, Some(edit)) => format!("{changed} cells: {}, staged", staged(&edit, &above, held).1),
        (changed, None) => format!("{changed} cells changed"),
    };
    say(root, format!("{words}. {}.", pending(count)));
}

fn undo(root: &Element) {
    let changed = STAGING.with_borrow_mut(Staging::undo);
    paint(root);
    let count = STAGING.with_borrow(Staging::len);
    let words = if changed == 0 { "Nothing to take back" } else { "Taken back" };
    say(root, format!("{words}. {}.", pending(count)));
}

/// What a key means for the selected cells.
fn choice_of(key: &str) -> Option<Choice> {
    Some(match key {
        " " => Choice::Cycle,
        "o" | "O" => Choice::Say(State::Open),
        "r" | "R" => Choice::Say(State::ByRequest),
        "c" | "C" => Choice::Say(State::Closed),
        "i" | "I" | "Delete" | "Backspace" => Choice::Inherit,
        "l" | "L" => Choice::Lock,
        _ => return None,
    })
}

fn press(root: &Element, event: &KeyboardEvent) {
    if closest(event.target(), ".mx-menu").is_some() {
        return press_in_menu(root, event);
    }
    let Some(square) = closest(event.target(), "[data-cell]") else { return };
    let name = event.key();
    let control = event.ctrl_key() || event.meta_key();
    if control && name.eq_ignore_ascii_case("z") {
        event.prevent_default();
        return undo(root);
    }
    if event.alt_key() || (control && !matches!(name.as_str(), "Home" | "End")) {
        return;
    }
    if name == "Escape" {
        event.prevent_default();
        let range = RANGE.with_borrow_mut(|range| range.anchor.take());
        if range.is_none() {
            choose(root, Choice::Clear);
        }
        return mark_range(root);
    }
    if let Some(choice) = choice_of(&name) {
        event.prevent_default();
        return choose(root, choice);
    }
    if square.tag_name() == "TD" {
        walk(root, &square, event, control);
    }
}

/// Arrows, Home, End and the page keys; with Shift the range grows.
fn walk(root: &Element, square: &Element, event: &KeyboardEvent, control: bool) {
    let rows = rows(root);
    let Some((row, column)) = place(&rows, &key(square)) else { return };
    let (last_row, last_column) = (rows.len() - 1, rows[row].len() - 1);
    let to = match event.key().as_str() {
        "ArrowUp" => (row.saturating_sub(1), column),
        "ArrowDown" => ((row + 1).min(last_row), column),
        "ArrowLeft" => (row, column.saturating_sub(1)),
        "ArrowRight" => (row, (column + 1).min(last_column)),
        "Home" if control => (0, 0),
        "End" if control => (last_row, last_column),
        "Home" => (row, 0),
        "End" => (row, last_column),
        "PageUp" => (row.saturating_sub(LEAP), column),
        "PageDown" => ((row + LEAP).min(last_row), column),
        _ => return,
    };
    event.prevent_default();
    RANGE.with_borrow_mut(|range| {
        range.anchor = event.shift_key().then(|| range.anchor.take().unwrap_or_else(|| key(square)));
    });
    if let Some(next) = rows[to.0].get(to.1) {
        focus(next, ".cell-link");
    }
    mark_range(root);
}

fn press_in_menu(root: &Element, event: &KeyboardEvent) {
    let items: Vec<HtmlElement> = all(root, ".mx-menu [role=menuitem]")
        .into_iter()
        .filter_map(|item| item.dyn_into::<HtmlElement>().ok())
        .filter(|item| item.offset_height() > 0)
        .collect();
    let here = document().active_element();
    let place = items.iter().position(|item| here.as_ref().is_some_and(|here| item.is_same_node(Some(here))));
    let (place, count) = (place.unwrap_or_default(), items.len().max(1));
    let to = match event.key().as_str() {
        "ArrowDown" => (place + 1) % count,
        "ArrowUp" => (place + count - 1) % count,
        "Home" => 0,
        "End" => count - 1,
        // On an item, Space is a click.
        " " => return,
        other => {
            if let Some(choice) = choice_of(other) {
                event.prevent_default();
                close_menu(root);
                choose(root, choice);
            }
            return;
        }
    };
    event.prevent_default();
    if let Some(item) = items.get(to) {
        let _ = item.focus();
    }
}

/// A button that goes down moves the focus, and with it the corner of the range: not where the click
/// that follows is about the range.
fn keep_range(root: &Element, event: &MouseEvent) {
    let Some(square) = closest(event.target(), "td[data-cell]") else { return };
    let ranged = RANGE.with_borrow(|range| range.anchor.is_some());
    if event.shift_key() || (ranged && selected(root).iter().any(|other| other.is_same_node(Some(&square)))) {
        event.prevent_default();
    }
}

fn click(root: &Element, event: &MouseEvent) {
    let target = event.target();
    if let Some(button) = closest(target.clone(), "[data-leave]") {
        return answer_leaving(root, &button);
    }
    if let Some(item) = closest(target.clone(), "[data-do]") {
        close_menu(root);
        let choice = match item.get_attribute("data-do").as_deref() {
            Some("open") => Choice::Say(State::Open),
            Some("by_request") => Choice::Say(State::ByRequest),
            Some("closed") => Choice::Say(State::Closed),
            Some("inherit") => Choice::Inherit,
            Some("lock") => Choice::Lock,
            _ => Choice::Clear,
        };
        return choose(root, choice);
    }
    if closest(target.clone(), ".mx-discard").is_some() {
        // What was never previewed is nowhere but here: there is no other page to go to.
        if !here().contains("draft=") {
            event.prevent_default();
        }
        STAGING.with_borrow_mut(Staging::discard);
        return paint(root);
    }
    let link = closest(target.clone(), ".cell-link");
    let square = closest(target, "[data-cell]").filter(|square| square.has_attribute("data-editable"));
    let elsewhere = event.ctrl_key() || event.meta_key() || event.alt_key() || event.button() != 0;
    let (Some(square), Some(_), false) = (square, link, elsewhere) else { return };
    event.prevent_default();
    let before = RANGE.with_borrow(|range| range.anchor.clone().or_else(|| range.at.clone()));
    if event.shift_key() && square.tag_name() == "TD" {
        RANGE.with_borrow_mut(|range| range.anchor = before);
        focus(&square, ".cell-link");
        rove(root, &square);
        return mark_range(root);
    }
    let within = selected(root).iter().any(|other| other.is_same_node(Some(&square)));
    if !within {
        RANGE.with_borrow_mut(|range| range.anchor = None);
    }
    // A range is kept when its menu is opened somewhere in it.
    let ranged = RANGE.with_borrow(|range| range.anchor.is_some());
    if !ranged {
        focus(&square, ".cell-link");
        rove(root, &square);
        mark_range(root);
    }
    open_menu(root, &square);
}

fn close_menu(root: &Element) {
    if let Some(menu) = find(root, ".mx-menu").and_then(|menu| menu.dyn_into::<HtmlElement>().ok()) {
        let _ = menu.hide_popover();
    }
    let at = RANGE.with_borrow(|range| range.at.clone()).and_then(|key| with_key(root, &key));
    if let Some(square) = at {
        focus(&square, ".cell-link");
    }
}

/// The menu, beside the cell; on a narrow screen at its foot.
fn open_menu(root: &Element, square: &Element) {
    let Some(menu) = find(root, ".mx-menu").and_then(|menu| menu.dyn_into::<HtmlElement>().ok()) else {
        return;
    };
    let href = find(square, ".cell-link").and_then(|link| link.get_attribute("href")).unwrap_or_default();
    if let Some(details) = find(&menu, ".mx-details") {
        let _ = details.set_attribute("href", &href);
    }
    let place = square.get_attribute("data-place").unwrap_or_default();
    let words = match selected(root).len() {
        0 | 1 => place,
        count => format!("{count} cells"),
    };
    if let Some(what) = find(&menu, ".mx-what") {
        what.set_text_content(Some(&words));
    }
    let _ = menu.show_popover();
    let side = |value: Result<wasm_bindgen::JsValue, _>| {
        value.ok().and_then(|value| value.as_f64()).unwrap_or_default()
    };
    let (width, height) = (side(window().inner_width()), side(window().inner_height()));
    let style = menu.style();
    if width > NARROW {
        let (cell, own) = (square.get_bounding_client_rect(), menu.get_bounding_client_rect());
        let below = cell.bottom() + 4.0;
        let top =
            if below + own.height() > height { (cell.top() - own.height() - 4.0).max(8.0) } else { below };
        let left = cell.left().min(width - own.width() - 8.0).max(8.0);
        let _ = style.set_property("left", &format!("{left}px"));
        let _ = style.set_property("top", &format!("{top}px"));
    } else {
        let _ = style.remove_property("left");
        let _ = style.remove_property("top");
    }
    focus(&menu, "[role=menuitem]");
}

/// Stays, or goes where the link led, without what was staged.
fn answer_leaving(root: &Element, button: &Element) {
    let dialog = find(root, ".mx-leave").and_then(|dialog| dialog.dyn_into::<HtmlDialogElement>().ok());
    if let Some(dialog) = dialog {
        dialog.close();
    }
    let to = LEAVE_TO.take();
    if button.get_attribute("data-leave").as_deref() == Some("go") {
        STAGING.with_borrow_mut(Staging::discard);
        paint(root);
        if let Some(to) = to {
            visit(to, Visit::To);
        }
    }
}
