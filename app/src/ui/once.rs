//! What is shown once, and nowhere afterwards.

use domain::csv;
use leptos::{prelude::*, task::spawn_local};
use wasm_bindgen_futures::JsFuture;

use super::{context::frame, query};
use crate::frame::Once;

/// What came of a form, if it has something to show.
pub fn once_panel(once: Once) -> AnyView {
    match once {
        Once::Secret { secret, curl } => view! {
            <div class="once">
                <p><b>"This is the secret."</b>" It is shown here and nowhere afterwards: copy it now."</p>
                {copyable(secret)}
                {curl.map(|curl| view! { <p class="muted">"A call to try it with:"</p>{copyable(curl)} })}
            </div>
        }
        .into_any(),
        Once::Link { name, url } => view! {
            <div class="once">
                <p><b>"Send this link to "{name}"."</b>" It works once, for 14 days."</p>
                {copyable(url)}
            </div>
        }
        .into_any(),
        Once::Filled { sentence, .. } => {
            view! { <div class="once"><p>{sentence}</p></div> }.into_any()
        }
        Once::Read { sentence, parts } => view! {
            <div class="once">
                <p>{sentence}</p>
                {parts.into_iter().map(|(title, text)| view! { <p><b>{title}</b></p><pre class="lines" tabindex="0">{text}</pre> }).collect_view()}
            </div>
        }
        .into_any(),
        Once::Links { sentence, links } => {
            let file = as_file(&links);
            let rows = links
                .into_iter()
                .map(|(name, email, url)| view! { <li><b>{name}</b>" "<span class="muted">{email}</span>{copyable(url)}</li> })
                .collect_view();
            view! {
                <div class="once">
                    <p>{sentence}</p>
                    <p><a class="btn small" href=file download="links.csv">"Save all as a table"</a></p>
                    <ul class="once-links">{rows}</ul>
                </div>
            }
            .into_any()
        }
        // The page shows it, above the form.
        Once::Difference { .. } => ().into_any(),
        Once::Found { good, sentence, lines } => view! {
            <div class=if good { "once" } else { "once bad" }>
                <p><b>{if good { "It works. " } else { "Not yet. " }}</b>{sentence}</p>
                {(!lines.is_empty()).then(|| view! { <pre class="lines" tabindex="0">{lines.join("\n")}</pre> })}
            </div>
        }
        .into_any(),
    }
}

/// Links as a table, in an address that holds all of it: the server keeps none of them.
fn as_file(links: &[(String, String, String)]) -> String {
    let lines = links.iter().map(|(name, email, url)| csv::line([name.as_str(), email, url]));
    let table: String = std::iter::once(csv::line(["name", "email", "link"])).chain(lines).collect();
    // The mark in front tells spreadsheets that it is UTF-8.
    format!("data:text/csv;charset=utf-8,%EF%BB%BF{}", query::encoded(&table))
}

/// Text with a button that copies it. Without script it can be selected.
fn copyable(text: String) -> impl IntoView {
    let copied = ArcRwSignal::new(false);
    let copy = {
        let (text, copied) = (text.clone(), copied.clone());
        move |_| {
            let (text, copied) = (text.clone(), copied.clone());
            spawn_local(async move {
                let done = JsFuture::from(window().navigator().clipboard().write_text(&text)).await;
                copied.set(done.is_ok());
            });
        }
    };
    view! {
        <div class="copyable">
            <pre tabindex="0">{text}</pre>
            <button type="button" class="btn small scripted" on:click=copy>{move || if copied.get() { "Copied" } else { "Copy" }}</button>
        </div>
    }
}

/// What a form that is not on the page any more had to show once.
#[component]
pub fn Outcome(
    /// The address of its server function.
    of: &'static str,
) -> impl IntoView {
    let flash = frame().flash.clone().filter(|flash| flash.to == of);
    let once = flash.and_then(|flash| flash.outcome.ok()).and_then(|done| done.once);
    once.map(|once| view! { <div class="pad"><Shown once/></div> })
}

#[island]
fn Shown(once: Once) -> impl IntoView {
    once_panel(once)
}

/// Text that can be copied, in the middle of a page.
#[island]
pub fn Copyable(text: String) -> impl IntoView {
    copyable(text)
}
