//! The gateway from outside: its routes over a real socket, on a real Postgres, in front of a
//! scripted upstream.

mod client;
mod concurrency;
mod features;
mod golden;
mod hang_ups;
mod limits;
mod lists;
mod model_reviews;
mod observed;
mod outages;
mod passing;
mod policies;
mod prompts;
mod refusals;
mod replicas;
mod routes;
mod streams;
mod upstream_errors;
mod world;
