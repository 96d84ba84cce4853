//! What shows at once: a change is drawn before the server has answered, and taken back where it refuses
//! or cannot be reached.

use leptos::prelude::document;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlFormElement, HtmlInputElement, HtmlSelectElement};

/// A line that is gone, as far as one can see.
const GONE: &str = "gone-at-once";

/// What was drawn, and how to take it back.
#[derive(Clone)]
enum Step {
    /// These are out of sight.
    Gone(Vec<Element>),
    /// This says something else; before, it said this.
    Turned(Element, String),
    /// This was put in.
    Put(Element),
}

/// What was drawn before the server has answered.
#[derive(Clone, Default)]
pub struct Drawn(Vec<Step>);

impl Drawn {
    /// Draws what a form says it comes to.
    pub fn of(form: &HtmlFormElement, button: Option<&Element>) -> Self {
        let then = form.get_attribute("data-then").unwrap_or_default();
        match form.get_attribute("data-at-once").as_deref() {
            Some("gone") => {
                close(form);
                let line = form.closest("[data-line], tr, li.row, li").ok().flatten();
                // A menu stands in a line of its own; the line that goes is the one around it.
                let around = line.as_ref().and_then(|line| line.closest("tr, .list > li").ok().flatten());
                Self::gone(around.or(line).into_iter().collect())
            }
            Some("turned") => button.map_or_else(Self::default, |button| Self::turned(button, &then)),
            Some("listed") => {
                let name = chosen(form);
                let list = document().get_element_by_id(&then);
                list.zip(name).map_or_else(Self::default, |(list, name)| Self::listed(&list, &name))
            }
            _ => Self::default(),
        }
    }

    /// Puts lines out of sight.
    pub fn gone(lines: Vec<Element>) -> Self {
        for line in &lines {
            let _ = line.class_list().add_1(GONE);
        }
        Self(vec![Step::Gone(lines)])
    }

    /// Lets something say something else.
    pub fn turned(element: &Element, then: &str) -> Self {
        let before = element.text_content().unwrap_or_default();
        element.set_text_content(Some(then));
        Self(vec![Step::Turned(element.clone(), before)])
    }

    fn listed(list: &Element, name: &str) -> Self {
        let Ok(line) = document().create_element("li") else { return Self::default() };
        line.set_class_name("at-once");
        line.set_text_content(Some(name));
        let _ = list.append_child(&line);
        Self(vec![Step::Put(line)])
    }

    /// Both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Takes it back. Whether there was anything.
    pub fn take_back(self) -> bool {
        let any = !self.0.is_empty();
        for step in self.0.into_iter().rev() {
            match step {
                Step::Gone(lines) => {
                    for line in lines {
                        let _ = line.class_list().remove_1(GONE);
                    }
                }
                Step::Turned(element, before) => element.set_text_content(Some(&before)),
                Step::Put(line) => line.remove(),
            }
        }
        any
    }
}

/// Closes the menu around a form: out of sight it would stay open, and be so when it comes back.
fn close(form: &HtmlFormElement) -> Option<()> {
    let menu = form.closest("[popover]").ok()??;
    let hide = js_sys::Reflect::get(&menu, &"hidePopover".into()).ok()?;
    hide.dyn_into::<js_sys::Function>().ok()?.call0(&menu).ok()?;
    Some(())
}

/// What is chosen in a form, in words.
fn chosen(form: &HtmlFormElement) -> Option<String> {
    let field = form.query_selector("select, input:not([type=hidden])").ok().flatten()?;
    if let Some(select) = field.dyn_ref::<HtmlSelectElement>() {
        // The first choice of some is that nothing is chosen.
        if select.value().is_empty() {
            return None;
        }
        let index = u32::try_from(select.selected_index()).ok()?;
        return select.item(index)?.text_content().map(|text| text.trim().to_owned());
    }
    let typed = field.dyn_ref::<HtmlInputElement>()?.value();
    (!typed.trim().is_empty()).then(|| typed.trim().to_owned())
}
