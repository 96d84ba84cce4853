//! Charts in the browser: what a step comes to is read out under the pointer and at the arrow keys, and
//! some days are chosen by drawing over them, or with Shift and the arrow keys. What was chosen is an
//! address: the page that shows those days.

use std::cell::RefCell;

use leptos::{
    ev::{self, FocusEvent, KeyboardEvent, MouseEvent, PointerEvent},
    prelude::*,
};
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Element, EventTarget, HtmlElement};

use super::visit::{Visit, here, visit};

thread_local! {
    static DRAWN: RefCell<Option<Drawn>> = const { RefCell::new(None) };
}

/// Some steps of a chart, from where it began.
struct Drawn {
    steps: Vec<Element>,
    anchor: usize,
    at: usize,
    /// With the pointer, which is still down.
    held: bool,
}

/// Brings every chart to life, on whichever page it comes.
#[island]
pub fn Brush() -> impl IntoView {
    Effect::new(|| {
        let down = window_event_listener(ev::pointerdown, begin);
        let moved = window_event_listener(ev::pointermove, go_on);
        let up = window_event_listener(ev::pointerup, |_| finish());
        let cancel = window_event_listener(ev::pointercancel, |_| clear());
        let focused = window_event_listener(ev::focusin, |event: FocusEvent| {
            match step_of(event.target()) {
                Some(step) => {
                    read_out(&step);
                    rove(&step);
                }
                // Whoever goes elsewhere has chosen nothing: or else the page would wait for them.
                None => clear(),
            }
        });
        let pressed = window_event_listener(ev::keydown, press);
        let dragged = window_event_listener(ev::dragstart, |event| {
            if step_of(event.target()).is_some() {
                event.prevent_default();
            }
        });
        on_cleanup(move || {
            for handle in [down, moved, up, cancel, focused, pressed, dragged] {
                handle.remove();
            }
        });
        // Before the click that ends a drawing is taken for one on a link.
        let clicked = Closure::<dyn Fn(MouseEvent)>::new(|event: MouseEvent| {
            if drawn(&event) {
                event.prevent_default();
                event.stop_propagation();
                show();
            }
        });
        let _ = document().add_event_listener_with_callback_and_bool(
            "click",
            clicked.as_ref().unchecked_ref(),
            true,
        );
        // It lives as long as the page.
        clicked.forget();
    });
}

/// Whether a click is the end of a drawing.
fn drawn(event: &MouseEvent) -> bool {
    event.detail() > 0
        && DRAWN
            .with_borrow(|drawn| drawn.as_ref().is_some_and(|drawn| drawn.anchor != drawn.at && !drawn.held))
}

fn step_of(target: Option<EventTarget>) -> Option<Element> {
    target?.dyn_into::<Element>().ok()?.closest(".chart [data-step]").ok()?
}

fn all(part: &Element, what: &str) -> Vec<Element> {
    let list = part.query_selector_all(what).ok();
    list.into_iter()
        .flat_map(|list| (0..list.length()).filter_map(move |place| list.get(place)?.dyn_into().ok()))
        .collect()
}

fn steps_beside(step: &Element) -> Vec<Element> {
    step.closest("svg").ok().flatten().map(|svg| all(&svg, "[data-step]")).unwrap_or_default()
}

fn place_of(steps: &[Element], step: &Element) -> Option<usize> {
    steps.iter().position(|other| other == step)
}

/// What a step says of itself: from its title, which would otherwise cover the chart in a moment.
fn words(step: &Element) -> String {
    if let Some(title) = step.query_selector("title").ok().flatten() {
        let _ = step.set_attribute("aria-label", &title.text_content().unwrap_or_default());
        title.remove();
    }
    step.get_attribute("aria-label").unwrap_or_default()
}

fn read_out(step: &Element) {
    let text = words(step);
    if let Some(line) =
        step.closest(".chart").ok().flatten().and_then(|chart| chart.query_selector(".read-out").ok()?)
    {
        line.set_text_content(Some(&text));
    }
}

/// Tab leaves a chart; arrow keys walk through it.
fn rove(step: &Element) {
    for other in steps_beside(step) {
        let _ = other.set_attribute("tabindex", if other == *step { "0" } else { "-1" });
    }
}

fn begin(event: PointerEvent) {
    clear();
    let Some(step) = step_of(event.target()).filter(|_| event.button() == 0 && event.is_primary()) else {
        return;
    };
    if brush_of(&step).is_none() {
        return;
    }
    let steps = steps_beside(&step);
    let Some(at) = place_of(&steps, &step) else { return };
    DRAWN.set(Some(Drawn { steps, anchor: at, at, held: true }));
}

fn go_on(event: PointerEvent) {
    let (x, y) = (event.client_x() as f32, event.client_y() as f32);
    // A finger's events all go to where it came down.
    let under = document().element_from_point(x, y).map(EventTarget::from);
    let Some(step) = step_of(under) else { return };
    read_out(&step);
    DRAWN.with_borrow_mut(|drawn| {
        if let Some(drawn) = drawn.as_mut().filter(|drawn| drawn.held) {
            drawn.at = place_of(&drawn.steps, &step).unwrap_or(drawn.at);
            paint(drawn);
        }
    });
}

/// The pointer is up. What follows where it came down is a click; elsewhere there is none.
fn finish() {
    let far = DRAWN.with_borrow_mut(|drawn| {
        let drawn = drawn.as_mut().filter(|drawn| drawn.held)?;
        drawn.held = false;
        Some(drawn.anchor != drawn.at)
    });
    match far {
        Some(true) => set_timeout(show, std::time::Duration::ZERO),
        Some(false) => clear(),
        None => {}
    }
}

fn paint(drawn: &Drawn) {
    let (from, to) = (drawn.anchor.min(drawn.at), drawn.anchor.max(drawn.at));
    for (place, step) in drawn.steps.iter().enumerate() {
        let _ = if from != to && (from..=to).contains(&place) {
            step.set_attribute("data-picked", "")
        } else {
            step.remove_attribute("data-picked")
        };
    }
}

fn clear() {
    if let Some(drawn) = DRAWN.take() {
        for step in &drawn.steps {
            let _ = step.remove_attribute("data-picked");
        }
    }
}

fn brush_of(step: &Element) -> Option<String> {
    step.closest("[data-brush]").ok()??.get_attribute("data-brush")
}

/// Goes to the page that shows the chosen days.
fn show() {
    let Some(drawn) = DRAWN.take() else { return };
    let (from, to) = (drawn.anchor.min(drawn.at), drawn.anchor.max(drawn.at));
    let day = |place: usize, name| drawn.steps.get(place)?.get_attribute(name);
    let (Some(first), Some(last)) = (day(from, "data-from"), day(to, "data-to")) else { return };
    let Some(address) = brush_of(&drawn.steps[from]) else { return };
    let Ok(url) = web_sys::Url::new_with_base(&address, &here()) else { return };
    url.search_params().set("from", &first);
    url.search_params().set("to", &last);
    visit(url.href(), Visit::Within);
}

fn press(event: KeyboardEvent) {
    let Some(step) = step_of(event.target()) else { return };
    let steps = steps_beside(&step);
    let Some(at) = place_of(&steps, &step) else { return };
    let last = steps.len().saturating_sub(1);
    let next = match event.key().as_str() {
        "ArrowLeft" => at.saturating_sub(1),
        "ArrowRight" => (at + 1).min(last),
        "Home" => 0,
        "End" => last,
        "Enter"
            if DRAWN.with_borrow(|drawn| drawn.as_ref().is_some_and(|drawn| drawn.anchor != drawn.at)) =>
        {
            event.prevent_default();
            return show();
        }
        "Escape" => return clear(),
        _ => return,
    };
    event.prevent_default();
    if let Some(element) = steps[next].dyn_ref::<HtmlElement>() {
        let _ = element.focus();
    } else {
        focus(&steps[next]);
    }
    if !event.shift_key() {
        return clear();
    }
    if brush_of(&step).is_none() {
        return;
    }
    DRAWN.with_borrow_mut(|drawn| {
        let drawn = drawn.get_or_insert(Drawn { steps, anchor: at, at, held: false });
        drawn.at = next;
        paint(drawn);
    });
    say(&step);
}

/// A link of a drawing is no element of HTML, but has the same method.
fn focus(step: &Element) {
    let method = js_sys::Reflect::get(step, &"focus".into()).ok();
    if let Some(method) = method.and_then(|method| method.dyn_into::<js_sys::Function>().ok()) {
        let _ = method.call0(step);
    }
}

/// Says how many steps are chosen.
fn say(step: &Element) {
    let count =
        DRAWN.with_borrow(|drawn| drawn.as_ref().map_or(0, |drawn| drawn.anchor.abs_diff(drawn.at) + 1));
    if let Some(line) =
        step.closest(".chart").ok().flatten().and_then(|chart| chart.query_selector("[role=status]").ok()?)
    {
        line.set_text_content(Some(&format!("{count} chosen. Enter shows them.")));
    }
}
