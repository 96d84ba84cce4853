//! The store on a real Postgres.

mod audit;
mod batches;
mod directory;
mod edits;
mod ledger_bulk;
mod money;
mod organization;
mod people;
mod requests;
mod reviews;
mod tenancy;
