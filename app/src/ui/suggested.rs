//! Suggestions under a field that takes the name of a group, where there are too many for a list. With
//! script what is typed is looked for on the server; without, the server takes the words as they are.

use leptos::{ev, html, prelude::*, task::spawn_local};
use wasm_bindgen::JsCast;
use web_sys::HtmlInputElement;

use super::combo::close_beside;
use crate::api::groups::find_groups;

/// Around one field.
#[island]
pub fn Suggested(children: Children) -> impl IntoView {
    let node = NodeRef::<html::Div>::new();
    let found = ArcRwSignal::new(Vec::<String>::new());
    let active = ArcRwSignal::new(0_usize);
    // Answers come in any order; only that to what was typed last is shown.
    let asked = ArcRwSignal::new(0_u32);
    let input = move || {
        let found = node.get_untracked()?.query_selector("input").ok()??;
        found.dyn_into::<HtmlInputElement>().ok()
    };
    let say = {
        let (found, active) = (found.clone(), active.clone());
        move || {
            let Some(input) = input() else { return };
            let open = !found.with_untracked(Vec::is_empty);
            let _ = input.set_attribute("aria-expanded", if open { "true" } else { "false" });
            let _ = if open {
                input.set_attribute("aria-activedescendant", &format!("suggested-{}", active.get_untracked()))
            } else {
                input.remove_attribute("aria-activedescendant")
            };
        }
    };
    Effect::new({
        let say = say.clone();
        move || {
            if node.get().is_none() {
                return;
            }
            let Some(input) = input() else { return };
            for (name, value) in [
                ("role", "combobox"),
                ("aria-autocomplete", "list"),
                ("aria-controls", "suggested-list"),
                ("autocomplete", "off"),
            ] {
                let _ = input.set_attribute(name, value);
            }
            say();
        }
    });
    let close = {
        let (found, asked, say) = (found.clone(), asked.clone(), say.clone());
        move || {
            asked.update(|asked| *asked += 1);
            found.set(Vec::new());
            say();
        }
    };
    let pick = {
        let close = close.clone();
        move |path: &str| {
            if let Some(input) = input() {
                input.set_value(path);
            }
            close();
        }
    };
    let typed = {
        let (found, active, asked, say) = (found.clone(), active.clone(), asked.clone(), say.clone());
        move |event: ev::Event| {
            let text = event_target_value(&event);
            asked.update(|asked| *asked += 1);
            let (mine, found, active, asked, say) =
                (asked.get_untracked(), found.clone(), active.clone(), asked.clone(), say.clone());
            spawn_local(async move {
                let list = if text.trim().is_empty() { Ok(Vec::new()) } else { find_groups(text).await };
                if asked.get_untracked() == mine {
                    active.set(0);
                    found.set(list.unwrap_or_default());
                    say();
                }
            });
        }
    };
    let keys = {
        let (found, active, pick, close, say) =
            (found.clone(), active.clone(), pick.clone(), close.clone(), say.clone());
        move |event: ev::KeyboardEvent| {
            let list = found.get_untracked();
            if list.is_empty() {
                return;
            }
            let now = active.get_untracked();
            match event.key().as_str() {
                "ArrowDown" => active.set((now + 1).min(list.len() - 1)),
                "ArrowUp" => active.set(now.saturating_sub(1)),
                "Enter" => pick(list.get(now).map(String::as_str).unwrap_or_default()),
                "Tab" => return close(),
                // The list closes, not the dialog around it.
                "Escape" => {
                    event.stop_propagation();
                    close();
                }
                _ => return,
            }
            event.prevent_default();
            say();
        }
    };
    close_beside(node, {
        let (found, close) = (found.clone(), close.clone());
        move || {
            if !found.with_untracked(Vec::is_empty) {
                close();
            }
        }
    });
    let rows = move || {
        let current = active.get();
        found
            .get()
            .into_iter()
            .enumerate()
            .map(|(place, path)| {
                let (pick, chosen) = (pick.clone(), path.clone());
                // Before the field loses the focus, which closes the list.
                let down = move |event: ev::MouseEvent| {
                    event.prevent_default();
                    pick(&chosen);
                };
                let selected = if place == current { "true" } else { "false" };
                view! { <li id=format!("suggested-{place}") role="option" aria-selected=selected on:mousedown=down>{path}</li> }
            })
            .collect::<Vec<_>>()
    };
    view! {
        <div class="combo" node_ref=node on:input=typed on:keydown=keys>
            {children()}
            <ul class="combo-list" id="suggested-list" role="listbox" aria-label="Groups that match">{rows}</ul>
        </div>
    }
}
