//! The report of a month as a file: the groups, or every line as FOCUS 1.2 has it.

use std::collections::HashMap;

use app::backend::{current_actor, reports};
use axum::{
    body::{Body, Bytes},
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    focus,
    ids::{ApplicationId, GroupId, ModelId, OrgId, UserId},
    roles::{Act, Place, permit},
};
use futures_util::{StreamExt, stream};
use store::{
    Store, StoreError,
    reports::{Kind, Line, Lines},
};
use tower_sessions::Session;
use uuid::Uuid;

/// Who may read it, and which month is asked for.
async fn asked(
    store: &Store,
    session: &Session,
    query: &HashMap<String, String>,
) -> Result<(OrgId, NaiveDate), StatusCode> {
    let actor = current_actor(store, session).await.ok_or(StatusCode::UNAUTHORIZED)?;
    let permit =
        permit(&actor, Act::ReadOrganization, Place::Organization).map_err(|_| StatusCode::FORBIDDEN)?;
    let month = query.get("month").map(String::as_str).unwrap_or_default();
    Ok((permit.org(), reports::month(month).map_err(|_| StatusCode::NOT_FOUND)?))
}

fn broken(error: &StoreError) -> Response {
    match error {
        StoreError::NotFound => StatusCode::NOT_FOUND.into_response(),
        error => {
            tracing::warn!(%error, "a report cannot be written");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

fn file(name: &str, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, body).into_response()
}

/// `GET /reports.csv?month=2026-10`: a line for each group.
pub async fn groups(
    State(store): State<Store>,
    session: Session,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let (org, month) = match asked(&store, &session, &query).await {
        Ok(asked) => asked,
        Err(status) => return status.into_response(),
    };
    let read = async {
        let calendar = store::organizations::calendar(&store, org).await?;
        store::reports::get(&store, org, calendar, month).await
    };
    match read.await {
        Ok(report) => file(&format!("report-{}.csv", month.format("%Y-%m")), report.csv().into()),
        Err(error) => broken(&error),
    }
}

/// `GET /reports.focus.csv?month=2026-10`: a line for each group, application, person and model.
pub async fn focus(
    State(store): State<Store>,
    session: Session,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let (org, month) = match asked(&store, &session, &query).await {
        Ok(asked) => asked,
        Err(status) => return status.into_response(),
    };
    match Export::begin(&store, org, month).await {
        Ok(export) => {
            let name = format!("focus-{}.csv", month.format("%Y-%m"));
            let head = std::future::ready(Ok::<_, StoreError>(Bytes::from(focus::head())));
            let rest = stream::unfold(export, |mut export| async move {
                let piece = export.lines.next().await?;
                let text = piece.map(|lines| lines.iter().map(|line| export.line(line)).collect::<String>());
                Some((text.map(Bytes::from), export))
            });
            // What compresses it asks once more after the end.
            file(&name, Body::from_stream(stream::once(head).chain(rest).fuse()))
        }
        Err(error) => broken(&error),
    }
}

struct Export {
    lines: Lines,
    month: NaiveDate,
    org: (String, String),
}

impl Export {
    async fn begin(store: &Store, org: OrgId, month: NaiveDate) -> Result<Self, StoreError> {
        let calendar = store::organizations::calendar(store, org).await?;
        Ok(Self {
            lines: store::reports::lines(store, org, calendar, month).await?,
            month,
            org: (org.to_string(), store::organizations::get(store, org).await?.name),
        })
    }

    /// From the start of a month until before its end.
    fn span(&self, month: NaiveDate) -> (DateTime<Utc>, DateTime<Utc>) {
        self.lines.spans.get(&month).copied().unwrap_or_default()
    }

    fn name(&self, kind: Kind, id: Uuid) -> &str {
        self.lines.names.get(&(kind, id)).map_or("unknown", String::as_str)
    }

    fn line(&self, line: &Line) -> String {
        let path = self.lines.paths.get(&line.path).map(Vec::as_slice).unwrap_or_default();
        let group = GroupId(path.last().copied().unwrap_or_default()).to_string();
        let names: Vec<&str> = path.iter().map(|id| self.name(Kind::Group, *id)).collect();
        let application = ApplicationId(line.application).to_string();
        let user = UserId(line.user).to_string();
        let model = ModelId(line.model).to_string();
        focus::line(&focus::Charge {
            account: (&self.org.0, &self.org.1),
            billed: self.span(self.month),
            made: self.span(line.of_month),
            correction: line.of_month < self.month,
            group: (&group, &names.join(" / ")),
            application: (&application, self.name(Kind::Application, line.application)),
            user: (!line.user.is_nil()).then(|| (user.as_str(), self.name(Kind::User, line.user))),
            model: (&model, self.name(Kind::Model, line.model)),
            provider: self.name(Kind::Provider, line.model),
            sums: line.sums,
        })
    }
}
