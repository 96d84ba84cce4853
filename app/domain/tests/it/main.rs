//! The rules of the domain against tables that people can read.

mod access;
mod agreement;
mod drafts;
mod invoices;
mod model_reviews;
mod observed;
mod organizations;
mod rehearsal;
mod reports;
mod roles;
mod sentences;
mod world;
