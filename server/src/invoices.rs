//! The comparison of an invoice with the ledger as a file.

use std::collections::HashMap;

use app::backend::current_actor;
use axum::{
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{
    ids::InvoiceId,
    roles::{Act, Place, permit},
};
use store::{Store, StoreError};
use tower_sessions::Session;

/// `GET /invoices.csv?id=inv_…`: a line for each day and model.
pub async fn serve(
    State(store): State<Store>,
    session: Session,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let Some(actor) = current_actor(&store, &session).await else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let Ok(permit) = permit(&actor, Act::ReadOrganization, Place::Organization) else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let Some(id) = query.get("id").and_then(|id| id.parse::<InvoiceId>().ok()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match store::invoices::get(&store, permit.org(), id).await {
        Ok((invoice, lines)) => {
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"invoice.csv\""),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (headers, domain::invoices::to_csv(&invoice, &lines)).into_response()
        }
        Err(StoreError::NotFound) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::warn!(%error, "an invoice cannot be written");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
