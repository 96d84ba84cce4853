//! A group to be chosen: from a list where all of them fit, else by writing its name or path, which
//! the server understands with and without script.

use leptos::prelude::*;

use super::{
    combo::Combobox,
    form::{Field, Select, refused},
    suggested::Suggested,
};

/// What stands there while none is chosen that has to be.
const ASK: &str = "Choose a group";

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
        if searched && none.is_empty() {
            return view! { <Combobox name label options=groups value ask=ASK hint/> }.into_any();
        }
        // Nobody is put into whichever group comes first: it begins with none.
        let first = if none.is_empty() { ASK.to_owned() } else { none };
        let options: Vec<(String, String)> = std::iter::once((String::new(), first)).chain(groups).collect();
        return if searched {
            view! { <Combobox name label options value hint/> }.into_any()
        } else {
            view! { <Select name label options value hint/> }.into_any()
        };
    }
    let optional = !none.is_empty();
    let how = if optional {
        format!("Its name or path: Engineering/Platform. Empty: {}.", none.to_lowercase())
    } else {
        "Its name or path: Engineering/Platform.".to_owned()
    };
    let hint = if hint.is_empty() { how } else { format!("{how} {hint}") };
    // Words that several paths have: they are the choice now.
    let found = refused(name).map(|typed| matching(&groups, &typed)).unwrap_or_default();
    if !found.is_empty() {
        let none = (NONE.to_owned(), "Choose one, or send this to write another".to_owned());
        let options: Vec<(String, String)> = std::iter::once(none).chain(found).collect();
        return view! { <Select name label options hint/> }.into_any();
    }
    let path = groups.into_iter().find(|(id, _)| *id == value).map(|(_, path)| path).unwrap_or_default();
    view! { <Suggested><Field name label value=path optional hint/></Suggested> }.into_any()
}

/// What no group is called: the way back from a choice to writing.
pub const NONE: &str = "?";

/// The groups whose paths have all of these words, the shortest paths first.
pub fn matching(groups: &[(String, String)], typed: &str) -> Vec<(String, String)> {
    let typed = typed.to_lowercase();
    let words: Vec<&str> = typed
        .split(|mark: char| mark == '/' || mark.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect();
    let fits = |path: &str| {
        let path = path.to_lowercase();
        !words.is_empty() && words.iter().all(|word| path.contains(word))
    };
    let mut found: Vec<_> = groups.iter().filter(|(_, path)| fits(path)).cloned().collect();
    found.sort_by_key(|(_, path)| path.len());
    found.truncate(LISTED);
    found
}
