//! The store on a real Postgres.

mod access_tests;
mod audit;
mod batches;
mod directory;
mod drafts;
mod edits;
mod ledger_bulk;
mod money;
mod organization;
mod rehearsals;
mod requests;
mod tenancy;
