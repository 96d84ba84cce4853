//! Parts of a line that say what a choice in the line means. Without script there is the one of what is
//! saved; with script the one of what is chosen now.

use leptos::{ev, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlSelectElement};

/// Around a table whose lines have a choice, and a part with `data-for` for each that can be chosen.
#[island]
pub fn ShownFor(children: Children) -> impl IntoView {
    let changed = move |event: ev::Event| {
        let _ = show(&event);
    };
    view! { <div on:change=changed>{children()}</div> }
}

fn show(event: &ev::Event) -> Option<()> {
    let choice: HtmlSelectElement = event.target()?.dyn_into().ok()?;
    let parts = choice.closest("tr").ok()??.query_selector_all("[data-for]").ok()?;
    let parts = (0..parts.length()).filter_map(|place| parts.get(place)?.dyn_into::<Element>().ok());
    for part in parts {
        let away = part.get_attribute("data-for") != Some(choice.value());
        part.toggle_attribute_with_force("hidden", away).ok()?;
    }
    Some(())
}
