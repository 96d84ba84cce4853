//! The log of changes as a table: everything that the filters of its page show, written as it is read.

use std::collections::HashMap;

use app::backend::current_actor;
use axum::{
    body::{Body, Bytes},
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::SecondsFormat;
use domain::{
    audit::AuditRow,
    csv,
    ids::{BatchId, OrgId},
    roles::{Act, Place, permit},
};
use futures_util::stream;
use store::{Store, StoreError, audit::Filter};
use tower_sessions::Session;

/// How many changes are read at once.
const CHUNK: i64 = 500;

const HEAD: [&str; 12] =
    ["number", "at", "who", "door", "address", "request", "act", "kind", "id", "name", "before", "after"];

/// What is being written. `before` of the filter: where it goes on.
struct Export {
    store: Store,
    org: OrgId,
    filter: Filter,
    begun: bool,
    ended: bool,
}

/// `GET /audit.csv`: for those who may read the log. Takes the filters of the page from its address.
pub async fn serve(
    State(store): State<Store>,
    session: Session,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let Some(actor) = current_actor(&store, &session).await else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let Ok(permit) = permit(&actor, Act::ReadAudit, Place::Organization) else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let text =
        |name: &str| asked.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    // What is no id is refused, as on the page: a file of everything is not what was asked for.
    let id = |name: &str| match text(name) {
        None => Ok(None),
        Some(text) => domain::ids::of_any(&text).map(Some).ok_or(text),
    };
    let (subject, batch) = match (id("subject"), id("batch")) {
        (Ok(subject), Ok(batch)) => (subject, batch.map(BatchId)),
        (Err(text), _) | (_, Err(text)) => {
            let sentence = format!("{text} is no id. Copy it from the address of a page.");
            return (StatusCode::UNPROCESSABLE_ENTITY, sentence).into_response();
        }
    };
    // A word that is none is left out, as on the page.
    let filter = Filter {
        subject,
        with_theirs: true,
        batch,
        door: text("door").and_then(|door| door.parse().ok()),
        who: text("who"),
        what: text("what"),
        kind: text("kind"),
        field: text("field"),
        request: text("request"),
        before: None,
    };
    let export = Export { store, org: permit.org(), filter, begun: false, ended: false };
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    // What goes wrong on the way breaks the transfer off: half a table does not look whole.
    (headers, Body::from_stream(stream::try_unfold(export, Export::chunk))).into_response()
}

impl Export {
    async fn chunk(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        if !self.begun {
            self.begun = true;
            return Ok(Some((csv::line(HEAD).into(), self)));
        }
        if self.ended {
            return Ok(None);
        }
        let rows = store::audit::list(&self.store, self.org, &self.filter, CHUNK).await?;
        self.ended = (rows.len() as i64) < CHUNK;
        self.filter.before = rows.last().map(|row| row.seq);
        Ok(Some((rows.iter().map(line).collect::<String>().into(), self)))
    }
}

/// What changed is one field a line, before and after in the same order.
fn line(row: &AuditRow) -> String {
    let changes = || row.changes.iter().map(|(field, before, after)| (field, before, after));
    let before = changes().filter_map(|(field, before, _)| written(field, before.as_deref()));
    let after = changes().filter_map(|(field, _, after)| written(field, after.as_deref()));
    csv::line([
        row.seq.to_string().as_str(),
        &row.at.to_rfc3339_opts(SecondsFormat::Secs, true),
        row.actor.as_str(),
        row.door.as_str(),
        row.address.as_deref().unwrap_or_default(),
        row.request.as_deref().unwrap_or_default(),
        &row.act,
        &row.subject_kind,
        &row.subject_id,
        &row.subject,
        &before.collect::<Vec<_>>().join("\n"),
        &after.collect::<Vec<_>>().join("\n"),
    ])
}

fn written(field: &str, value: Option<&str>) -> Option<String> {
    value.map(|value| format!("{field}: {value}"))
}
