//! The store on a real Postgres.

mod ledger_bulk;
