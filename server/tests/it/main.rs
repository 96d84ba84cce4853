//! The binary from outside: real processes, a real Postgres, real sockets.

mod apply;
mod crashes;
mod crowd;
mod demo;
mod edits;
mod explain;
mod explore;
mod faults;
mod harness;
mod imports;
mod keys;
mod leases;
mod ledgers;
mod load;
mod mail;
mod offers;
mod proofs;
mod recommendations;
mod reports;
mod roles;
mod routes;
mod serve;
mod setup;
mod verify;
mod webhooks;
mod world;
