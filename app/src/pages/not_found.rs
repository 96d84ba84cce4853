//! Addresses that lead nowhere.

use leptos::prelude::*;

use crate::{
    api::frame::load_nothing,
    error::AppError,
    ui::{
        load::{Failed, waited},
        page::{Bare, Page},
    },
};

/// What stands where nothing is.
#[component]
pub fn NotFoundPage() -> impl IntoView {
    // Only the server can say so in the status; a page that is already there cannot.
    view! {
        <Page title="Not found">
            <Bare>
                {waited(async { load_nothing().await.err().map(|_| ()) })}
                <Failed error=AppError::NotFound/>
            </Bare>
        </Page>
    }
}
