//! Menus that open over the page: the browser's own popovers, which need no script, close with
//! Escape and by a click beside them, and say whether they are open.

use leptos::prelude::*;

/// A button and what it opens.
#[component]
pub fn Menu(
    /// Tells it from every other on the page.
    #[prop(into)]
    id: String,
    /// What the button says.
    #[prop(into)]
    label: String,
    /// What the button says in bold: the value it has now.
    #[prop(optional, into)]
    value: String,
    /// What it says to those who do not see it, where the label is a sign only.
    #[prop(optional, into)]
    name: String,
    /// Its look.
    #[prop(default = "chip")]
    look: &'static str,
    children: Children,
) -> impl IntoView {
    let value = (!value.is_empty()).then(|| view! { <b>{value}</b> });
    view! {
        <button type="button" class=look popovertarget=id.clone() aria-label=(!name.is_empty()).then_some(name)>
            {label}{value}
        </button>
        <div class="menu" id=id popover="">{children()}</div>
    }
}
