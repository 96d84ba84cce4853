//! Dialogs. Which one is open is in the address, so that it can be linked to, left with Back, and
//! opened without script.

use std::time::Duration;

use leptos::{ev, html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{HtmlDialogElement, HtmlElement};

use super::{
    form::{Consent, Field, Form, Hidden, Submit, asked},
    query,
    visit::{Visit, here_without_dialog, visit},
};

/// Where the focus goes in a dialog: to a field that is wrong, else to the first one that can be seen, or to
/// the title where that one stands so far down that what is said before it would be out of sight.
const FIRST_FIELDS: [&str; 2] = ["[aria-invalid=true]", "input:not([type=hidden]), select, textarea"];

/// How often it is looked whether the page is alive, and how many times.
const WAIT: Duration = Duration::from_millis(40);
const WAITS: u32 = 250;

/// A link that opens a dialog of this page.
#[component]
pub fn OpenDialog(
    /// Which.
    #[prop(into)]
    name: String,
    /// What the link says.
    #[prop(into)]
    label: String,
    /// Its look.
    #[prop(default = "btn")]
    look: &'static str,
) -> impl IntoView {
    view! { <a class=look href=query::href(&[("dialog", Some(&name))]) data-within="">{label}</a> }
}

/// A dialog. Its content is made only when it is open.
#[component]
pub fn Dialog(
    /// Which: `?dialog=NAME` opens it.
    #[prop(into)]
    name: String,
    /// Its title.
    #[prop(into)]
    title: String,
    /// Whether it is for whoever looks: who may not is not shown the form by an address either.
    #[prop(default = true)]
    when: bool,
    /// What the link says that leaves it.
    #[prop(default = "Close")]
    leave: &'static str,
    children: Children,
) -> impl IntoView {
    (when && query::value("dialog") == name).then(|| {
        let label = title.clone();
        view! {
            <Opened label>
                <header>
                    <h2>{title}</h2>
                    <a class="btn small" href=query::href(&[("dialog", None), ("cell", None)]) data-within="">{leave}</a>
                </header>
                {children()}
            </Opened>
        }
    })
}

/// Whether somebody is in one of its fields.
fn is_begun(dialog: &HtmlDialogElement) -> bool {
    let active = document().active_element().filter(|active| dialog.contains(Some(active)));
    active.is_some_and(|active| matches!(active.tag_name().as_str(), "INPUT" | "SELECT" | "TEXTAREA"))
}

/// The focus goes to what is to be filled in, past the link that closes. While the page is not alive yet,
/// what is only there without script can still be seen, and the other way round: until then it stays with
/// the dialog itself, so that no key closes what has just opened.
fn begin(dialog: HtmlDialogElement, waits: u32) {
    let page = document();
    let alive = page.document_element().is_some_and(|html| html.has_attribute("data-hydrated"));
    if !alive && waits > 0 {
        if waits == WAITS && !is_begun(&dialog) {
            let _ = dialog.set_attribute("tabindex", "-1");
            let _ = dialog.focus();
        }
        set_timeout(move || begin(dialog, waits - 1), WAIT);
        return;
    }
    if waits < WAITS && is_begun(&dialog) {
        return;
    }
    let title = dialog.query_selector("h2").ok().flatten().and_then(|it| it.dyn_into::<HtmlElement>().ok());
    for fields in FIRST_FIELDS.into_iter().filter_map(|fields| dialog.query_selector_all(fields).ok()) {
        for field in (0..fields.length()).filter_map(|place| fields.get(place)) {
            let Ok(field) = field.dyn_into::<HtmlElement>() else { continue };
            let place = field.get_bounding_client_rect();
            let below = place.height() > 0.0 && place.bottom() > dialog.get_bounding_client_rect().bottom();
            if let Some(title) = title.as_ref().filter(|_| below && !field.has_attribute("aria-invalid")) {
                let _ = title.set_attribute("tabindex", "-1");
                let _ = title.focus();
                return;
            }
            let _ = field.focus();
            // What cannot be seen does not take it.
            if page.active_element().is_some_and(|active| active.is_same_node(Some(&field))) {
                return;
            }
        }
    }
}

/// Without script a dialog is simply open. With script it becomes modal: focus stays in it, and
/// Escape closes it.
#[island]
fn Opened(label: String, children: Children) -> impl IntoView {
    let node = NodeRef::<html::Dialog>::new();
    Effect::new(move || {
        if let Some(dialog) = node.get() {
            let _ = dialog.remove_attribute("open");
            let _ = dialog.show_modal();
            begin(dialog, WAITS);
        }
    });
    let leave = |event: ev::Event| {
        event.prevent_default();
        visit(here_without_dialog(), Visit::Within);
    };
    view! { <dialog class="dialog" open="" node_ref=node aria-label=label on:cancel=leave>{children()}</dialog> }
}

/// A dialog that names what will happen before it does.
#[component]
pub fn Confirm(
    /// Which: `?dialog=NAME` opens it.
    #[prop(into)]
    name: String,
    /// The question.
    #[prop(into)]
    title: String,
    /// What will happen.
    #[prop(into)]
    consequence: String,
    /// The server function that does it.
    to: &'static str,
    /// What the button says.
    #[prop(into)]
    label: String,
    /// What goes along: names and values.
    fields: Vec<(&'static str, String)>,
    /// What has to be typed out first, where it ends something for good.
    #[prop(optional, into)]
    typed: String,
    /// Whether it is for whoever looks.
    #[prop(default = true)]
    when: bool,
) -> impl IntoView {
    let which = name.clone();
    view! {
        // Where something is closed, "Close" would be taken for doing it.
        <Dialog name title when leave="Cancel">
            <Form to which>
                <p>{consequence}</p>
                {(!typed.is_empty()).then(|| view! { <Field name="typed" label=format!("Type {typed} to confirm")/> })}
                {fields.into_iter().map(|(name, value)| view! { <Hidden name value/> }).collect_view()}
                {asked().then(|| view! { <Consent name="known"/> })}
                <div class="row end"><Submit label look="danger"/></div>
            </Form>
        </Dialog>
    }
}
