//! The rules of the domain against tables that people can read.

mod access;
mod agreement;
mod observed;
mod rehearsal;
mod roles;
mod world;
