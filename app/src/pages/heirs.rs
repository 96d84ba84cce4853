//! Choosing who takes something over: a search whose answer is the choice of a select, so that it
//! works among fifty thousand people and without script.

use leptos::prelude::*;

use crate::ui::{Hidden, query};

/// The choices of who takes something over: nobody is chosen by being the first of them.
pub fn nobody_yet(heirs: Vec<(String, String)>) -> Vec<(String, String)> {
    std::iter::once((String::new(), "Choose somebody".to_owned())).chain(heirs).collect()
}

/// The search above the form it helps to fill in.
#[component]
pub fn FindHeir(
    /// The page the dialog is on.
    #[prop(into)]
    page: String,
    /// The dialog.
    #[prop(into)]
    dialog: String,
    /// What is looked for.
    #[prop(default = "Name or email")]
    what: &'static str,
) -> impl IntoView {
    let who = query::value("who");
    view! {
        <form method="get" action=page class="row find-people" role="search" data-finds="">
            <Hidden name="dialog" value=dialog/>
            {(!who.is_empty()).then(|| view! { <Hidden name="who" value=who.clone()/> })}
            <input type="search" name="find" value=query::value("find") class="find" placeholder=what aria-label=format!("Look for: {}", what.to_lowercase())/>
            <button class="btn">"Search"</button>
        </form>
    }
}
