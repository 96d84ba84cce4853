//! A select that is searched by typing. Without script it is the browser's own; with script an input
//! that filters its choices stands in its place (WAI-ARIA's combobox with a list).

use leptos::{ev, html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, HtmlFormElement, HtmlInputElement, HtmlOptionElement, HtmlSelectElement, Node};

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
    /// What stands there while nothing is chosen, which is no choice; none where there always is one.
    #[prop(optional, into)]
    ask: String,
    /// What helps to choose.
    #[prop(optional, into)]
    hint: String,
) -> impl IntoView {
    let first = (!ask.is_empty()).then(|| (String::new(), ask.clone()));
    let options: Vec<(String, String)> = first.into_iter().chain(options).collect();
    view! { <Searched ask><Select name label options value hint/></Searched> }
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

/// The select that an input stands for, which is the one before it.
fn stands_for(input: &HtmlInputElement) -> Option<HtmlSelectElement> {
    input.closest(".combo").ok()??.query_selector("select").ok()??.dyn_into().ok()
}

/// Says what is wrong beside the input, or that nothing is.
fn say(input: &HtmlInputElement, wrong: Option<&str>) {
    let _ = match wrong {
        Some(_) => input.set_attribute("aria-invalid", "true"),
        None => input.remove_attribute("aria-invalid"),
    };
    let place = input.closest(".field").ok().flatten();
    if let Some(place) = place.and_then(|field| field.query_selector(".error").ok().flatten()) {
        place.set_text_content(wrong);
    }
}

/// Says so beside the input when it holds words that are no choice. Whether it does.
fn is_unmatched(input: &HtmlInputElement) -> bool {
    let typed = input.value().trim().to_owned();
    let nothing = stands_for(input).is_some_and(|select| select.value().is_empty());
    let unmatched = nothing && !typed.is_empty() && input.has_attribute("data-ask");
    if unmatched {
        say(input, Some(&format!("Nothing is called “{typed}”. Choose one from the list.")));
    }
    unmatched
}

/// Whether a form holds words that are no choice: it says so beside them, and is not to be sent.
pub(super) fn unmatched(form: &HtmlFormElement) -> bool {
    let Ok(list) = form.query_selector_all("input.combo-input") else { return false };
    let inputs = (0..list.length()).filter_map(|place| list.get(place)?.dyn_into::<HtmlInputElement>().ok());
    let wrong: Vec<HtmlInputElement> = inputs.filter(is_unmatched).collect();
    if let Some(first) = wrong.first() {
        let _ = first.focus();
    }
    !wrong.is_empty()
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
fn Searched(ask: String, children: Children) -> impl IntoView {
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
    let asks = !ask.is_empty();
    Effect::new({
        let all = all.clone();
        move || {
            let Some(node) = node.get() else { return };
            let (Some(select), Some(input)) = (select(), input()) else { return };
            // The input takes the place of the select, its label and the focus included.
            let id = select.id();
            let mut list = choices(&select);
            // That nothing is chosen is no choice.
            list.retain(|(value, _)| !asks || !value.is_empty());
            let now = list.iter().find(|(value, _)| *value == select.value()).map(|(_, label)| label.clone());
            select.set_id(&format!("{id}-of"));
            input.set_id(&id);
            for name in ["aria-describedby", "aria-invalid"] {
                if let Some(value) = select.get_attribute(name) {
                    let _ = input.set_attribute(name, &value);
                }
            }
            input.set_value(now.as_deref().unwrap_or_default());
            let focused =
                document().active_element().is_some_and(|active| active.is_same_node(Some(&select)));
            let _ = select.set_attribute("hidden", "");
            let _ = input.remove_attribute("hidden");
            // What is said about it stands below it, and below its choices.
            let list_below = node.query_selector(".combo-list").ok().flatten();
            if let Some(field) = select.parent_element() {
                let next = select.next_sibling();
                let _ = field.insert_before(&input, next.as_ref());
                if let Some(below) = list_below {
                    let _ = field.insert_before(&below, next.as_ref());
                }
            }
            if focused {
                let _ = input.focus();
            }
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
                say(&input, None);
            }
            open.set(false);
            typed.set(String::new());
        }
    };
    let on_input = {
        let (open, typed, active, all) = (open.clone(), typed.clone(), active.clone(), all.clone());
        move |event: ev::Event| {
            let text = event_target_value(&event);
            // What was chosen before is not what is written now; a name that is written out is a choice.
            if let (true, Some(select), Some(input)) = (asks, select(), input()) {
                let words = text.trim().to_lowercase();
                let named = all.with_untracked(|all| {
                    all.iter()
                        .find(|(_, label)| label.to_lowercase() == words)
                        .map(|(value, _)| value.clone())
                });
                select.set_value(named.as_deref().unwrap_or_default());
                say(&input, None);
            }
            typed.set(text);
            active.set(0);
            open.set(true);
        }
    };
    // Somebody has gone on: words that are no choice are not taken for one, and not for another either. Not
    // as soon as the input loses the focus: the sentence would push away what is being pressed.
    let settle = move || {
        let _ = input().is_some_and(|input| is_unmatched(&input));
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
                    } else {
                        open.set(false);
                        settle();
                    }
                }
                "Tab" => {
                    open.set(false);
                    typed.set(String::new());
                    settle();
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
    // The input says again what the select says, unless that is nothing.
    let leave = {
        let all = all.clone();
        move |_: ev::FocusEvent| {
            if let (Some(select), Some(input)) = (select(), input()) {
                let value = select.value();
                if asks && value.is_empty() {
                    return;
                }
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
            settle();
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
                placeholder=asks.then(|| ask.clone()) data-ask=asks.then_some("")
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
