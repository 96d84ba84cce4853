//! Ticking rows of a table. Without script the boxes are sent as they are; with script what was
//! ticked on other pages of the list stays ticked, the box in the head ticks the page, and the
//! number of ticks is said.

use std::{cell::RefCell, collections::BTreeMap};

use leptos::{html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, HtmlInputElement};

use super::visit::here;

thread_local! {
    /// What is ticked, on every page of the list and whatever it is narrowed to, for as long as the console
    /// is open: with what it was narrowed to then.
    static TICKED: RefCell<BTreeMap<String, String>> = const { RefCell::new(BTreeMap::new()) };
}

/// What the list is narrowed to: what its address says, but for the page of it, its order and what is open.
fn narrowed() -> String {
    let Ok(url) = web_sys::Url::new(&here()) else { return String::new() };
    for name in ["after", "sort", "dialog", "cell", "who", "ticked"] {
        url.search_params().delete(name);
    }
    let _ = url.search_params().sort();
    url.search_params().to_string().into()
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
    /// Whether it is ticked at the start.
    #[prop(optional)]
    checked: bool,
) -> impl IntoView {
    view! { <input type="checkbox" class="tick" form=form name=name value=value checked=checked aria-label=label autocomplete="off"/> }
}

/// What was ticked has been done: nothing is ticked any more.
#[island]
pub fn Unticked() -> impl IntoView {
    Effect::new(|| TICKED.with_borrow_mut(BTreeMap::clear));
}

/// Around a table with ticks and the bar that does something with them. They stay ticked when the form is
/// sent: the page after it only asks, and whoever leaves that comes back to them.
#[island]
pub fn Ticks(children: Children) -> impl IntoView {
    let node = NodeRef::<html::Div>::new();
    Effect::new(move || {
        if let Some(node) = node.get() {
            for tick in boxes(&node) {
                tick.set_checked(TICKED.with_borrow(|ticked| ticked.contains_key(&tick.value())));
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
    view! { <div class="ticks" node_ref=node on:change=changed>{children()}</div> }
}

fn keep(tick: &HtmlInputElement) {
    TICKED.with_borrow_mut(|ticked| {
        if tick.checked() {
            ticked.insert(tick.value(), narrowed());
        } else {
            ticked.remove(&tick.value());
        }
    });
}

/// Where those are that are ticked and not here. Where the list has other pages, they may be there; of those
/// that were ticked before it was narrowed it is only known that they are not on this one.
fn said_of(elsewhere: &[(String, String)], paged: bool) -> String {
    let now = narrowed();
    let count = elsewhere.len();
    match (count, paged) {
        (0, _) => String::new(),
        (_, false) => format!(", {count} that this filter does not show"),
        (_, true) if elsewhere.iter().all(|(_, by)| *by == now) => {
            format!(", {count} of them on other pages")
        }
        (_, true) => format!(", {count} that are not on this page"),
    }
}

/// Of those that are ticked and not here, whom everybody who matches leaves out.
fn not_among(elsewhere: &[(String, String)], paged: bool) -> String {
    let now = narrowed();
    let before = elsewhere.iter().filter(|(_, by)| *by != now).count();
    let (others, were) = if before == 1 { ("other", "was") } else { ("others", "were") };
    match (before, paged) {
        (0, _) => String::new(),
        (_, false) => format!("; {before} {others} that {were} ticked are not taken"),
        (_, true) => format!("; {before} that {were} ticked before only go along if they match"),
    }
}

fn boxes(node: &Element) -> Vec<HtmlInputElement> {
    let Ok(list) = node.query_selector_all("input.tick") else { return Vec::new() };
    (0..list.length()).filter_map(|place| list.get(place)?.dyn_into().ok()).collect()
}

/// Says how many are ticked, and lets those of other pages go along with the form.
fn say(node: &Element) {
    let here = boxes(node);
    let find = |what: &str| node.query_selector(what).ok().flatten();
    let is_here = |id: &str| here.iter().any(|tick| tick.value() == id);
    let elsewhere: Vec<(String, String)> = TICKED.with_borrow(|ticked| {
        let away = ticked.iter().filter(|(id, _)| !is_here(id));
        away.map(|(id, by)| (id.clone(), by.clone())).collect()
    });
    let on_page = here.iter().filter(|tick| tick.checked()).count();
    if let Some(page) = find("input.tick-page").and_then(|page| page.dyn_into::<HtmlInputElement>().ok()) {
        page.set_checked(on_page > 0 && on_page == here.len());
        page.set_indeterminate(on_page > 0 && on_page < here.len());
    }
    let all = find("input.tick-all").and_then(|all| all.dyn_into::<HtmlInputElement>().ok());
    let total = on_page + elsewhere.len();
    if let Some(text) = find(".ticked") {
        let paged = document().query_selector(".pager a").ok().flatten().is_some();
        let more = said_of(&elsewhere, paged);
        // `All 1,234 that match`, as the box says.
        let everybody =
            all.filter(HtmlInputElement::checked).and_then(|all| all.closest("label").ok().flatten());
        let everybody = everybody.and_then(|label| label.text_content());
        let others = not_among(&elsewhere, paged);
        let said = everybody
            .map_or_else(|| format!("{total} selected{more}"), |all| format!("{all}: selected{others}"));
        text.set_text_content(Some(&said));
    }
    let _ = node.toggle_attribute_with_force("data-ticked", total > 0);
    if let Some(rest) = find(".ticked-elsewhere") {
        rest.set_text_content(None);
        for (id, _) in elsewhere {
            let Ok(input) = document().create_element("input") else { continue };
            let _ = input.set_attribute("type", "hidden");
            let _ = input.set_attribute("name", "users[]");
            let _ = input.set_attribute("value", &id);
            let _ = rest.append_child(&input);
        }
    }
}
