//! Server functions: about ten lines each. Parse what came, ask for a permit, tell the store.
//!
//! The address of each is `/console/NOUN/VERB`; each has its line in the matrix of roles that the
//! server's tests walk through.

pub mod access_tests;
pub mod accounts;
pub mod alerts;
pub mod analytics;
pub mod applications;
pub mod audit;
pub mod authorizations;
pub mod batches;
pub mod call_sessions;
pub mod calls;
pub mod directory;
pub mod explore;
pub mod frame;
pub mod groups;
pub mod imports;
pub mod in_flight;
pub mod invoices;
pub mod join;
pub mod keys;
pub mod leases;
pub mod limits;
pub mod model_reviews;
pub mod models;
pub mod my_models;
pub mod notices;
pub mod observed;
pub mod offers;
pub mod organizations;
pub mod overview;
pub mod passwords;
pub mod policies;
pub mod price_lists;
pub mod prompts;
pub mod providers;
pub mod receipts;
pub mod recommendations;
pub mod rehearsals;
pub mod reports;
pub mod requests;
pub mod reviews;
pub mod roles;
pub mod setup;
pub mod spend;
pub mod users;
pub mod webhooks;
pub mod why;
