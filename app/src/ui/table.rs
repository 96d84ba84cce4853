//! Around tables.

use leptos::prelude::*;

use super::query;

/// To the next page, and back to the first.
#[component]
pub fn Pager(
    /// Where the next page starts.
    next: Option<String>,
) -> impl IntoView {
    let later = !query::value("after").is_empty();
    let first = later.then(|| view! { <a class="btn" href=query::href(&[("after", None)])>"First page"</a> });
    let next = next.map(|next| view! { <a class="btn" href=query::href(&[("after", Some(&next))]) rel="next">"Next page"</a> });
    let any = first.is_some() || next.is_some();
    any.then(|| view! { <nav class="pager row" aria-label="Pages">{first}{next}</nav> })
}

/// The head of a column that the whole table can be put in order by, in both directions: a link, so
/// that it works without script and can be sent to somebody.
#[component]
pub fn SortHead(
    /// The word in the address.
    by: &'static str,
    /// What the column is called.
    label: &'static str,
    /// The column the table is in order by where the address does not say.
    #[prop(optional)]
    default: bool,
    /// Whether the first click puts the greatest first.
    #[prop(optional)]
    down: bool,
    /// Its look.
    #[prop(optional)]
    class: &'static str,
) -> impl IntoView {
    let now = query::value("sort");
    let (word, is_down) = now.strip_prefix('-').map_or((now.as_str(), false), |word| (word, true));
    let here = word == by || (default && word.is_empty());
    let next_down = if here { !is_down } else { down };
    let next = match (next_down, default) {
        (false, true) => String::new(),
        (false, false) => by.to_owned(),
        (true, _) => format!("-{by}"),
    };
    let sort = match (here, is_down) {
        (true, true) => "descending",
        (true, false) => "ascending",
        (false, _) => "none",
    };
    view! {
        <th class=class aria-sort=sort>
            <a href=query::href(&[("sort", Some(&next)), ("after", None)]) data-within="">{label}</a>
        </th>
    }
}
