//! The browser half: prepares for the islands of the page, which the page's own script then brings
//! to life one by one.

// Islands are found by name; nothing else refers to them.
pub use app::*;
use wasm_bindgen::prelude::wasm_bindgen;

/// Called once by the page, when this module has loaded.
#[wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_islands();
}
