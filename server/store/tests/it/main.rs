//! The store on a real Postgres.

mod audit;
mod directory;
mod edits;
mod ledger_bulk;
mod money;
mod organization;
mod tenancy;
