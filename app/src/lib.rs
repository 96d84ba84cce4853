//! The console. Compiled twice: natively (feature `ssr`), where pages are rendered and server
//! functions run against the store, and to WebAssembly (feature `hydrate`), where pages come alive.
//!
//! What must not be here: SQL, and any way to decide about models other than `domain::access`.

// Views are deeply nested types; the compiler's default depth is a little short for them.
#![recursion_limit = "256"]

mod api;
mod app;
#[cfg(feature = "ssr")]
pub mod backend;
pub mod error;
mod filters;
pub mod frame;
mod pages;
mod ui;

pub use app::{App, Assets, shell};
