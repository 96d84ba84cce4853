//! The rules of the domain against tables that people can read.

mod access;
mod agreement;
mod roles;
mod world;
