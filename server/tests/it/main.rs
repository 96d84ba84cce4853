//! The binary from outside: real processes, a real Postgres, real sockets.

mod apply;
mod crashes;
mod crowd;
mod demo;
mod explain;
mod explore;
mod harness;
mod mail;
mod roles;
mod serve;
mod setup;
mod verify;
mod webhooks;
