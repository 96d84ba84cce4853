//! The store on a real Postgres.

mod alerts;
mod audit;
mod batches;
mod directory;
mod edits;
mod ledger_bulk;
mod money;
mod notices;
mod organization;
mod requests;
mod tenancy;
mod webhooks;
