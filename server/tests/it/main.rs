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
mod live;
mod load;
mod mail;
mod offers;
mod proofs;
mod reach;
mod recommendations;
mod reports;
mod roles;
mod routes;
mod secrecy;
mod serve;
mod setup;
mod verify;

mod versions;
mod ways_back;
mod webhooks;
mod why;
mod world;
