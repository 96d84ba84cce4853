//! Live pages: a stream of events that says "something of yours changed", nothing more. Pages then
//! ask for what they show, through the same functions and permits as ever.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use domain::ids::OrgId;
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use serde::Deserialize;
use store::Store;
use tokio::sync::broadcast;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};
use tower_sessions::Session;
use uuid::Uuid;

/// Tells open pages about changes.
#[derive(Clone, Debug)]
pub struct Live {
    store: Store,
    changes: broadcast::Sender<(OrgId, &'static str)>,
    /// When something was last booked, or somebody last told something, in milliseconds of this process's
    /// clock.
    booked: Arc<Mutex<HashMap<OrgId, i64>>>,
}

/// Where a page that begins to listen stands.
#[derive(Debug, Deserialize)]
pub struct Since {
    /// When it was made, in milliseconds of the server's clock.
    since: Option<i64>,
}

impl Live {
    /// Starts to listen to the database.
    pub fn start(store: &Store) -> Self {
        let (changes, _) = broadcast::channel(256);
        let live = Self { store: store.clone(), changes, booked: Arc::default() };
        tokio::spawn(live.clone().listen());
        live
    }

    async fn listen(self) {
        loop {
            if let Ok(mut listener) = self
                .store
                .listen(&["bursar_ledger", "bursar_facts", "bursar_notices", "bursar_in_flight"])
                .await
            {
                while let Ok(notice) = listener.recv().await {
                    let what = match notice.channel() {
                        "bursar_ledger" => "ledger",
                        "bursar_notices" => "notices",
                        "bursar_in_flight" => "in-flight",
                        _ => "facts",
                    };
                    if let Ok(org) = notice.payload().parse::<Uuid>() {
                        if matches!(what, "ledger" | "notices") {
                            self.booked.lock().insert(OrgId(org), store::clock::now().timestamp_millis());
                        }
                        // Without anybody looking there is nobody to tell.
                        let _ = self.changes.send((OrgId(org), what));
                    }
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// `GET /live`: for people who are signed in, about their organization.
pub async fn serve(
    State(live): State<Live>,
    Query(Since { since }): Query<Since>,
    session: Session,
) -> Response {
    let Some(org) = app::backend::current_org(&live.store, &session).await else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let events = BroadcastStream::new(live.changes.subscribe()).filter_map(move |change| async move {
        match change {
            Ok((of, what)) if of == org => Some(Ok::<_, Infallible>(told(what))),
            Ok(_) => None,
            // Too much at once: one look at everything catches up.
            Err(BroadcastStreamRecvError::Lagged(_)) => Some(Ok(told("ledger"))),
        }
    });
    // Booked after the page was made, and before it listened: it would never hear of it.
    let missed = since.is_some_and(|since| live.booked.lock().get(&org).is_some_and(|at| *at >= since));
    let first = stream::iter(missed.then(|| Ok(told("ledger"))));
    let events = first.chain(events);
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(20))).into_response()
}

/// An event. Browsers pass none on that has no data.
fn told(what: &str) -> Event {
    Event::default().event(what).data("changed")
}
