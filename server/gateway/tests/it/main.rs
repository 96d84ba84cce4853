//! The gateway from outside: its routes over a real socket, on a real Postgres, in front of a
//! scripted upstream.

mod bites;
mod cache;
mod client;
mod concurrency;
mod discovery;
mod features;
mod full_disks;
mod golden;
mod guardrails;
mod hang_ups;
mod in_flight;
mod kept_answers;
mod limits;
mod lists;
mod model_reviews;
mod observed;
mod odd_answers;
mod outages;
mod passing;
mod policies;
mod prompts;
mod refusals;
mod replicas;
mod routes;
mod streams;
mod tools;
mod upstream_errors;
mod usage;
mod world;
