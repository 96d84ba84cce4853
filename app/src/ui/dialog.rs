//! Dialogs. Which one is open is in the address, so that it can be linked to, left with Back, and
//! opened without script.

use leptos::{ev, html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use super::{
    form::{Field, Form, Hidden, Submit},
    query,
    visit::{Visit, here_without_dialog, visit},
};

/// Where the focus goes in a dialog: to a field that is wrong, else to the first one.
const FIRST_FIELD: &str = "[aria-invalid], input:not([type=hidden]), select, textarea";

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
    children: Children,
) -> impl IntoView {
    (when && query::value("dialog") == name).then(|| {
        let label = title.clone();
        view! {
            <Opened label>
                <header>
                    <h2>{title}</h2>
                    <a class="btn small" href=query::href(&[("dialog", None), ("cell", None)]) data-within="">"Close"</a>
                </header>
                {children()}
            </Opened>
        }
    })
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
            // To what is to be filled in, past the link that closes.
            let field = dialog.query_selector(FIRST_FIELD).ok().flatten();
            if let Some(field) = field.and_then(|field| field.dyn_into::<HtmlElement>().ok()) {
                let _ = field.focus();
            }
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
        <Dialog name title when>
            <Form to which>
                <p>{consequence}</p>
                {(!typed.is_empty()).then(|| view! { <Field name="typed" label=format!("Type {typed} to confirm")/> })}
                {fields.into_iter().map(|(name, value)| view! { <Hidden name value/> }).collect_view()}
                <div class="row end"><Submit label look="danger"/></div>
            </Form>
        </Dialog>
    }
}
