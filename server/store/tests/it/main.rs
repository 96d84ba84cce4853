//! The store on a real Postgres.

mod access_tests;
mod alerts;
mod audit;
mod batches;
mod catalogue;
mod directory;
mod drafts;
mod edits;
mod ledger_bulk;
mod money;
mod notices;
mod organization;
mod people;
mod rehearsals;
mod reports;
mod requests;
mod reviews;
mod tenancy;
mod webhooks;
