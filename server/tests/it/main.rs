//! The binary from outside: real processes, a real Postgres, real sockets.

mod crashes;
mod demo;
mod harness;
mod roles;
mod serve;
mod setup;
