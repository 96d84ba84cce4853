//! The words and rules of Bursar.
//!
//! What lives here: types that mean something to the people who use the product, and pure
//! functions over them. What must not: async, a clock, randomness, SQL, HTTP, or a view. Time and
//! random bits arrive as arguments, so that every rule can be tested by a table.

pub mod access;
pub mod access_tests;
pub mod alerts;
pub mod analytics;
pub mod applications;
pub mod audit;
pub mod authorizations;
pub mod batches;
pub mod call_sessions;
pub mod calls;
pub mod csv;
pub mod directory;
pub mod drafts;
pub mod durations;
pub mod explore;
pub mod focus;
pub mod forecast;
pub mod groups;
pub mod guardrails;
pub mod ids;
pub mod in_flight;
pub mod invoices;
pub mod keys;
pub mod leases;
pub mod limits;
pub mod model_reviews;
pub mod models;
pub mod money;
pub mod names;
pub mod notices;
pub mod organizations;
pub mod policies;
pub mod price_lists;
pub mod prices;
pub mod prompts;
pub mod providers;
pub mod receipts;
pub mod recommendations;
pub mod refusals;
pub mod rehearsal;
pub mod reports;
pub mod requests;
pub mod reviews;
pub mod roles;
pub mod spend;
pub mod staging;
pub mod time;
pub mod usage;
pub mod users;
pub mod webhooks;
pub mod why;
pub mod window;
mod words;

/// A map by ids of our own making. Nobody outside can choose them so that they collide, so they need no
/// hashing that holds up against that: a call looks up some fifty of them.
pub type Map<K, V> = std::collections::HashMap<K, V, rustc_hash::FxBuildHasher>;
