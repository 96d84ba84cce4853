//! Around tables.

use leptos::prelude::*;

use super::{menu::Menu, query};

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

/// What a whole table can be put in order by.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The word in the address.
    by: &'static str,
    /// What it is called.
    label: &'static str,
    /// Whether the table is in order by it where the address does not say.
    default: bool,
    /// Whether the greatest comes first at first.
    down: bool,
}

impl Column {
    /// By this word, the least first.
    pub const fn new(by: &'static str, label: &'static str) -> Self {
        Self { by, label, default: false, down: false }
    }

    /// The one that holds where the address does not say.
    #[must_use]
    pub const fn default(self) -> Self {
        Self { default: true, ..self }
    }

    /// The greatest comes first at first.
    #[must_use]
    pub const fn down(self) -> Self {
        Self { down: true, ..self }
    }

    /// Whether the table is in order by it now, and then whether the greatest comes first.
    fn now(self) -> Option<bool> {
        let now = query::value("sort");
        let (word, down) = now.strip_prefix('-').map_or((now.as_str(), false), |word| (word, true));
        (word == self.by || (self.default && word.is_empty())).then_some(down)
    }

    /// This page in order by it.
    fn href(self, down: bool) -> String {
        let word = match (down, self.default) {
            (false, true) => String::new(),
            (false, false) => self.by.to_owned(),
            (true, _) => format!("-{}", self.by),
        };
        query::href(&[("sort", Some(&word)), ("after", None)])
    }
}

/// The head of a column that the whole table can be put in order by, in both directions: a link, so
/// that it works without script and can be sent to somebody.
#[component]
pub fn SortHead(
    /// Which.
    column: Column,
    /// Its look.
    #[prop(optional)]
    class: &'static str,
) -> impl IntoView {
    let now = column.now();
    let sort = match now {
        Some(true) => "descending",
        Some(false) => "ascending",
        None => "none",
    };
    let href = column.href(now.map_or(column.down, |down| !down));
    view! { <th class=class aria-sort=sort><a href=href data-within="">{column.label}</a></th> }
}

/// The same for all columns in one menu, where there is no room for their heads.
#[component]
pub fn SortBy(
    /// Every order there is.
    columns: &'static [Column],
) -> impl IntoView {
    let chosen = columns.iter().find_map(|column| Some((*column, column.now()?)));
    let arrow = |down: bool| if down { "↓" } else { "↑" };
    let value = chosen.map(|(column, down)| format!("{} {}", column.label, arrow(down)));
    let links = columns
        .iter()
        .map(|column| {
            let now = column.now();
            let href = column.href(now.unwrap_or(column.down));
            view! { <li><a href=href data-within="" aria-current=now.map(|_| "true")>{column.label}</a></li> }
        })
        .collect_view();
    let turned = chosen.map(|(column, down)| {
        let text = if down { "Least or first on top" } else { "Most or last on top" };
        view! { <li><a href=column.href(!down) data-within="">{text}</a></li> }
    });
    view! { <Menu id="sort-by" label="Sort by" value=value.unwrap_or_default()><ul>{links}{turned}</ul></Menu> }
}
