//! A group to be chosen: from a list where all of them fit, else by writing its name or path, which
//! the server understands with and without script.

use leptos::prelude::*;

use super::{
    combo::Combobox,
    form::{Field, Select},
};

/// How many groups a list offers.
pub const LISTED: usize = 200;

/// A group.
#[component]
pub fn PickGroup(
    /// The argument of the server function.
    name: &'static str,
    /// What it is called.
    #[prop(into)]
    label: String,
    /// Id and path of each.
    groups: Vec<(String, String)>,
    /// What stands for no group, where that can be chosen.
    #[prop(optional, into)]
    none: String,
    /// The id of the one it starts with.
    #[prop(optional, into)]
    value: String,
    /// Whether the list is searched by typing.
    #[prop(optional)]
    searched: bool,
    /// What helps to choose.
    #[prop(optional, into)]
    hint: String,
) -> impl IntoView {
    if groups.len() <= LISTED {
        let first = (!none.is_empty()).then(|| (String::new(), none));
        let options: Vec<(String, String)> = first.into_iter().chain(groups).collect();
        return if searched {
            view! { <Combobox name label options value hint/> }.into_any()
        } else {
            view! { <Select name label options value hint/> }.into_any()
        };
    }
    let path = groups.into_iter().find(|(id, _)| *id == value).map(|(_, path)| path).unwrap_or_default();
    let how = if none.is_empty() {
        "Its name or path: Engineering/Platform.".to_owned()
    } else {
        format!("Its name or path: Engineering/Platform. Empty: {}.", none.to_lowercase())
    };
    let hint = if hint.is_empty() { how } else { format!("{how} {hint}") };
    view! { <Field name label value=path optional=!none.is_empty() hint/> }.into_any()
}
