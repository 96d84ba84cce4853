//! The store on a real Postgres.

mod audit;
mod batches;
mod catalogue;
mod directory;
mod drafts;
mod edits;
mod ledger_bulk;
mod money;
mod organization;
mod requests;
mod tenancy;
