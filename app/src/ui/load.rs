//! A page is data, then states, then view: failed, empty, and what came. (Pending is the browser's
//! own: a page that is on its way.)

use std::future::Future;

use leptos::prelude::*;

use crate::{error::AppError, frame::Asked};

/// Draws what has to be waited for. The page goes out whole: without script nothing could be put in
/// later.
pub fn waited<F, V>(view: F) -> impl IntoView
where
    F: Future<Output = V> + Send + 'static,
    V: IntoView + 'static,
{
    keep_owners();
    Suspend::new(view)
}

/// What is within reach of a part of the page hangs on a chain of owners, each of which only knows
/// the one above weakly. While a part is waited for, those around it are drawn and gone; so the
/// chain is kept until the page as a whole is done.
fn keep_owners() {
    let chain: Vec<Owner> = std::iter::successors(Owner::current(), Owner::parent).collect();
    if let Some(root) = chain.last().cloned() {
        root.with(|| Owner::on_cleanup(move || drop(chain)));
    }
}

/// Waits for what a page shows, and makes of it what `children` says; a sentence when it failed.
#[component]
pub fn Load<T, V, F>(
    /// Where it comes from.
    data: F,
    /// What is made of it.
    children: impl FnOnce(T) -> V + Send + 'static,
) -> impl IntoView
where
    F: Future<Output = Result<T, AppError>> + Send + 'static,
    V: IntoView + 'static,
{
    waited(async move {
        match data.await {
            Ok(data) => children(data).into_any(),
            Err(error) => view! { <Failed error/> }.into_any(),
        }
    })
}

/// What could not be loaded, and what to do.
#[component]
pub fn Failed(
    /// What went wrong.
    error: AppError,
) -> impl IntoView {
    let title = match &error {
        AppError::SignedOut => "Signed out",
        AppError::Forbidden(_) => "Not for your role",
        AppError::NotFound => "Not found",
        AppError::Unavailable => "Not available right now",
        _ => "This did not work",
    };
    let request = use_context::<Asked>();
    let action = match &error {
        AppError::SignedOut => {
            view! { <a class="btn go" href="/sign-in" rel="external">"Sign in"</a> }.into_any()
        }
        AppError::Forbidden(_) | AppError::NotFound => {
            view! { <a class="btn" href="/">"To the overview"</a> }.into_any()
        }
        _ => view! { <a class="btn" href="" rel="external">"Try again"</a> }.into_any(),
    };
    view! {
        <section class="card pad state" role="alert">
            <h1>{title}</h1>
            <p class="muted">{error.sentence()}</p>
            {action}
            {request.map(|Asked { id, .. }| view! { <p class="hint">"Request "<span class="mono">{id}</span></p> })}
        </section>
    }
}

/// A place where nothing is yet: what it is for, and the next step.
#[component]
pub fn Empty(
    /// What is missing, in a few words.
    #[prop(into)]
    title: String,
    /// What this place is for.
    #[prop(into)]
    text: String,
    /// The next step.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    view! {
        <div class="empty">
            <p><b>{title}</b></p>
            <p class="muted">{text}</p>
            {children.map(|children| view! { <div class="row">{children()}</div> })}
        </div>
    }
}
