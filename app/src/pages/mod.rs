//! What a person sees: one file per noun.

pub mod access_tests;
pub mod account;
mod add_people;
pub mod alerts;
pub mod analytics;
pub mod applications;
pub mod audit;
pub mod authorizations;
pub mod batches;
pub mod call;
pub mod call_sessions;
pub mod calls;
pub mod directory;
pub mod explore;
pub mod grants;
pub mod groups;
mod heirs;
pub mod imports;
pub mod in_flight;
pub mod invoices;
pub mod join;
mod leases;
pub mod limits;
mod members;
pub mod model_reviews;
pub mod models;
pub mod my_models;
pub mod not_found;
pub mod notices;
pub mod observed;
pub mod offers;
pub mod overview;
pub mod passwords;
pub mod policies;
pub mod price_lists;
mod prices;
mod prompts;
pub mod providers;
pub mod raises;
pub mod receipts;
pub mod recommendations;
pub mod rehearsals;
pub mod reports;
pub mod requests;
pub mod reviews;
pub mod roles;
pub mod settings;
pub mod setup;
pub mod sign_in;
mod snippets;
pub mod spend;
pub mod users;
pub mod webhooks;
pub mod welcome;
pub mod why;

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

/// A part of the address: `:id`.
fn param(name: &str) -> String {
    use_params_map().with_untracked(|params| params.get(name)).unwrap_or_default()
}

/// Words of a closed vocabulary as the choices of a select.
fn choices<T: Copy + ToString>(all: &[T], label: impl Fn(T) -> String) -> Vec<(String, String)> {
    all.iter().map(|word| (word.to_string(), label(*word))).collect()
}

/// The first letter in upper case: `department` → `Department`.
fn capital(text: &str) -> String {
    // Names that are written so.
    if let "api" | "scim" = text {
        return text.to_uppercase();
    }
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
        .replace('_', " ")
}
