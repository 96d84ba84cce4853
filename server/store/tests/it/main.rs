//! The store on a real Postgres.

mod access_tests;
mod alerts;
mod audit;
mod batches;
mod call_sessions;
mod catalogue;
mod directory;
mod drafts;
mod edits;
mod explore;
mod invoices;
mod leases;
mod ledger_bulk;
mod money;
mod notices;
mod organization;
mod people;
mod prompts;
mod recommendations;
mod rehearsals;
mod reports;
mod requests;
mod reviews;
mod spend;
mod tenancy;
mod webhooks;
