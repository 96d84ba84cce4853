//! Ticking rows of a table. Without script the boxes are sent as they are; with script what was
//! ticked on other pages of the list stays ticked, the box in the head ticks the page, and the
//! number of ticks is said.

use std::{cell::RefCell, collections::BTreeSet};

use leptos::{ev, html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, HtmlInputElement};

thread_local! {
    /// What is ticked, on every page of the list, for as long as the console is open.
    static TICKED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// The box of a row.
#[component]
pub fn Tick(
    /// The form it goes along with.
    form: &'static str,
    /// The argument of the server function.
    name: &'static str,
    /// What is ticked.
    #[prop(into)]
    value: String,
    /// What it says to those who do not see it.
    #[prop(into)]
    label: String,
) -> impl IntoView {
    view! { <input type="checkbox" class="tick" form=form name=name value=value aria-label=label autocomplete="off"/> }
}

/// Around a table with ticks and the bar that does something with them.
#[island]
pub fn Ticks(children: Children) -> impl IntoView {
    let node = NodeRef::<html::Div>::new();
    Effect::new(move || {
        if let Some(node) = node.get() {
            for tick in boxes(&node) {
                tick.set_checked(TICKED.with_borrow(|ticked| ticked.contains(&tick.value())));
            }
            say(&node);
        }
    });
    let changed = move |event: Event| {
        let Some(tick) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else {
            return;
        };
        let Some(node) = node.get_untracked() else { return };
        if tick.class_list().contains("tick-page") {
            for row in boxes(&node) {
                row.set_checked(tick.checked());
                keep(&row);
            }
        } else if tick.class_list().contains("tick") {
            keep(&tick);
        }
        say(&node);
    };
    // The server is told by the form itself; afterwards the choice has been made.
    let sent = move |event: ev::SubmitEvent| {
        // A file of them is no choice: they stay ticked.
        if event.submitter().is_some_and(|button| button.has_attribute("formmethod")) {
            return;
        }
        let form = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        if form.is_some_and(|form| form.query_selector(".ticked").ok().flatten().is_some()) {
            TICKED.with_borrow_mut(BTreeSet::clear);
        }
    };
    view! { <div class="ticks" node_ref=node on:change=changed on:submit=sent>{children()}</div> }
}

fn keep(tick: &HtmlInputElement) {
    TICKED.with_borrow_mut(|ticked| {
        if tick.checked() {
            ticked.insert(tick.value());
        } else {
            ticked.remove(&tick.value());
        }
    });
}

fn boxes(node: &Element) -> Vec<HtmlInputElement> {
    let Ok(list) = node.query_selector_all("input.tick") else { return Vec::new() };
    (0..list.length()).filter_map(|place| list.get(place)?.dyn_into().ok()).collect()
}

/// Says how many are ticked, and lets those of other pages go along with the form.
fn say(node: &Element) {
    let here = boxes(node);
    let find = |what: &str| node.query_selector(what).ok().flatten();
    let elsewhere: Vec<String> = TICKED.with_borrow(|ticked| {
        ticked.iter().filter(|id| !here.iter().any(|tick| tick.value() == **id)).cloned().collect()
    });
    let on_page = here.iter().filter(|tick| tick.checked()).count();
    if let Some(page) = find("input.tick-page").and_then(|page| page.dyn_into::<HtmlInputElement>().ok()) {
        page.set_checked(on_page > 0 && on_page == here.len());
        page.set_indeterminate(on_page > 0 && on_page < here.len());
    }
    let all = find("input.tick-all").and_then(|all| all.dyn_into::<HtmlInputElement>().ok());
    let total = on_page + elsewhere.len();
    if let Some(text) = find(".ticked") {
        let more = if elsewhere.is_empty() {
            String::new()
        } else {
            format!(", {} of them on other pages", elsewhere.len())
        };
        // `All 1,234 that match`, as the box says.
        let everybody =
            all.filter(HtmlInputElement::checked).and_then(|all| all.closest("label").ok().flatten());
        let everybody = everybody.and_then(|label| label.text_content());
        let said =
            everybody.map_or_else(|| format!("{total} selected{more}"), |all| format!("{all}: selected"));
        text.set_text_content(Some(&said));
    }
    let _ = node.toggle_attribute_with_force("data-ticked", total > 0);
    if let Some(rest) = find(".ticked-elsewhere") {
        rest.set_text_content(None);
        for id in elsewhere {
            let Ok(input) = document().create_element("input") else { continue };
            let _ = input.set_attribute("type", "hidden");
            let _ = input.set_attribute("name", "users[]");
            let _ = input.set_attribute("value", &id);
            let _ = rest.append_child(&input);
        }
    }
}
