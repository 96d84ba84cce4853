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
