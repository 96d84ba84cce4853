//! What the explorer shows, as a file: the same server function with the same permit, written as
//! comma-separated values.

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use domain::explore::Explored;
use serde::Deserialize;

use crate::{files, http::Console};

/// The server function that answers.
const FUNCTION: &str = "/console/explore/table";

/// What the function answers, as far as it goes into the file.
#[derive(Deserialize)]
struct Answer {
    explored: Explored,
    csv: String,
}

/// Serves `/explore.csv` with the query of `/explore`.
pub async fn csv(console: &Console, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match files::ask(console, parts, FUNCTION, &[("all", "true")]).await {
        Ok(Answer { explored, csv }) => {
            let (from, last) = (explored.period.from, explored.period.last());
            let name = format!("{}-by-{}-{from}-{last}.csv", explored.measure, explored.by);
            (files::headers(&name), csv).into_response()
        }
        Err(answer) => answer,
    }
}
