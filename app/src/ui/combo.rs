//! A select that is searched by typing. Without script it is the browser's own; with script an input
//! that filters its choices stands in its place (WAI-ARIA's combobox with a list).

use leptos::{ev, html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, HtmlInputElement, HtmlOptionElement, HtmlSelectElement, Node};

use super::form::Select;

/// How many choices are listed at once.
const LISTED: usize = 60;

/// A select that is searched by typing.
#[component]
pub fn Combobox(
    /// The argument of the server function.
    name: &'static str,
    /// What it is called.
    #[prop(into)]
    label: String,
    /// Value and label of each choice.
    options: Vec<(String, String)>,
    /// The one it starts with.
    #[prop(optional, into)]
    value: String,
    /// What helps to choose.
    #[prop(optional, into)]
    hint: String,
) -> impl IntoView {
    view! { <Searched><Select name label options value hint/></Searched> }
}

/// A choice: value and label.
type Choice = (String, String);

fn choices(select: &HtmlSelectElement) -> Vec<Choice> {
    let options = select.options();
    (0..options.length())
        .filter_map(|place| options.item(place)?.dyn_into::<HtmlOptionElement>().ok())
        .map(|option| (option.value(), option.text()))
        .collect()
}

/// Choices that have every typed word in their label, in order.
fn matching(all: &[Choice], typed: &str) -> Vec<Choice> {
    let words: Vec<String> = typed.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let fits = |label: &str| {
        let label = label.to_lowercase();
        words.iter().all(|word| label.contains(word.as_str()))
    };
    all.iter().filter(|(_, label)| fits(label)).take(LISTED).cloned().collect()
}

/// Closes a list when somebody has pressed beside it: when the press is over, not when it begins. The
/// list pushes down what stands below it; were it gone while the button is down, what was pressed would
/// no longer be under the pointer, and nothing would happen.
pub(super) fn close_beside(node: NodeRef<html::Div>, close: impl Fn() + 'static) {
    let close = std::rc::Rc::new(close);
    Effect::new(move || {
        let close = std::rc::Rc::clone(&close);
        let clicks = window_event_listener(ev::click, move |event: ev::MouseEvent| {
            let Some(node) = node.try_get_untracked().flatten() else { return };
            let target = event.target().and_then(|target| target.dyn_into::<Node>().ok());
            if !node.contains(target.as_ref()) {
                close();
            }
        });
        on_cleanup(move || clicks.remove());
    });
}

#[island]
fn Searched(children: Children) -> impl IntoView {
    let node = NodeRef::<html::Div>::new();
    let all = ArcRwSignal::new(Vec::<Choice>::new());
    let typed = ArcRwSignal::new(String::new());
    let open = ArcRwSignal::new(false);
    let active = ArcRwSignal::new(0_usize);
    let select = move || {
        let found = node.get_untracked()?.query_selector("select").ok()??;
        found.dyn_into::<HtmlSelectElement>().ok()
    };
    let input = move || {
        let found = node.get_untracked()?.query_selector("input.combo-input").ok()??;
        found.dyn_into::<HtmlInputElement>().ok()
    };
    Effect::new({
        let all = all.clone();
        move || {
            if node.get().is_none() {
                return;
            }
            let (Some(select), Some(input)) = (select(), input()) else { return };
            // The input takes the place of the select, its label included.
            let id = select.id();
            let list = choices(&select);
            let now = list.iter().find(|(value, _)| *value == select.value()).map(|(_, label)| label.clone());
            select.set_id(&format!("{id}-of"));
            let _ = select.set_attribute("hidden", "");
            input.set_id(&id);
            if let Some(described) = select.get_attribute("aria-describedby") {
                let _ = input.set_attribute("aria-describedby", &described);
            }
            input.set_value(now.as_deref().unwrap_or_default());
            let _ = input.remove_attribute("hidden");
            all.set(list);
        }
    });
    let listed = {
        let (all, typed) = (all.clone(), typed.clone());
        move || all.with(|all| matching(all, &typed.get()))
    };
    let pick = {
        let (open, typed) = (open.clone(), typed.clone());
        move |choice: Choice| {
            if let Some(select) = select() {
                select.set_value(&choice.0);
            }
            if let Some(input) = input() {
                input.set_value(&choice.1);
            }
            open.set(false);
            typed.set(String::new());
        }
    };
    let on_input = {
        let (open, typed, active) = (open.clone(), typed.clone(), active.clone());
        move |event: ev::Event| {
            typed.set(event_target_value(&event));
            active.set(0);
            open.set(true);
        }
    };
    let keys = {
        let (open, typed, active, pick, listed) =
            (open.clone(), typed.clone(), active.clone(), pick.clone(), listed.clone());
        move |event: ev::KeyboardEvent| {
            let list = untrack(&listed);
            let shown = open.get_untracked();
            match event.key().as_str() {
                "ArrowDown" | "ArrowUp" => {
                    event.prevent_default();
                    let last = list.len().saturating_sub(1);
                    let now = active.get_untracked();
                    let next = match (shown, event.key().as_str()) {
                        (false, _) => now.min(last),
                        (true, "ArrowDown") => (now + 1).min(last),
                        (true, _) => now.saturating_sub(1),
                    };
                    active.set(next);
                    open.set(true);
                }
                "Enter" if shown => {
                    event.prevent_default();
                    if let Some(choice) = list.get(active.get_untracked()) {
                        pick(choice.clone());
                    }
                }
                "Tab" => {
                    open.set(false);
                    typed.set(String::new());
                }
                // The list closes, not the dialog around it.
                "Escape" if shown => {
                    event.prevent_default();
                    event.stop_propagation();
                    open.set(false);
                }
                _ => {}
            }
        }
    };
    // What was typed and not chosen is no choice: the input says again what the select says.
    let leave = {
        let all = all.clone();
        move |_: ev::FocusEvent| {
            if let (Some(select), Some(input)) = (select(), input()) {
                let value = select.value();
                let label = all.with_untracked(|all| {
                    all.iter().find(|(it, _)| *it == value).map(|(_, label)| label.clone())
                });
                input.set_value(label.as_deref().unwrap_or_default());
            }
        }
    };
    close_beside(node, {
        let (open, typed) = (open.clone(), typed.clone());
        move || {
            if open.get_untracked() {
                open.set(false);
                typed.set(String::new());
            }
        }
    });
    let begin = {
        let open = open.clone();
        move |_: ev::MouseEvent| {
            if let Some(input) = input() {
                input.select();
            }
            open.set(true);
        }
    };
    let (is_open, is_open_too, is_active) = (open.clone(), open.clone(), active.clone());
    let rows = {
        let active = active.clone();
        move || {
            if !open.get() {
                return Vec::new();
            }
            listed()
                .into_iter()
                .enumerate()
                .map(|(place, choice)| {
                    let pick = pick.clone();
                    let label = choice.1.clone();
                    let current = active.get() == place;
                    // Before the input loses the focus, which closes the list.
                    let down = move |event: ev::MouseEvent| {
                        event.prevent_default();
                        pick(choice.clone());
                    };
                    view! { <li id=format!("combo-{place}") role="option" aria-selected=if current { "true" } else { "false" } on:mousedown=down>{label}</li> }
                })
                .collect::<Vec<_>>()
        }
    };
    view! {
        <div class="combo" node_ref=node>
            {children()}
            <input
                class="combo-input" hidden="" type="text" role="combobox" autocomplete="off" aria-autocomplete="list" aria-controls="combo-list"
                aria-expanded=move || if is_open.get() { "true" } else { "false" }
                aria-activedescendant=move || is_open_too.get().then(|| format!("combo-{}", is_active.get()))
                on:input=on_input on:keydown=keys on:blur=leave on:click=begin
            />
            <ul class="combo-list" id="combo-list" role="listbox" aria-label="Choices">{rows}</ul>
        </div>
    }
}

/// Whether an element is where somebody types.
pub fn typing(element: &HtmlElement) -> bool {
    matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
        && element.get_attribute("type").as_deref() != Some("checkbox")
}
