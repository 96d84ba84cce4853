//! The store on a real Postgres.

mod audit;
mod edits;
mod money;
mod organization;
mod tenancy;
