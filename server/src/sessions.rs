//! Browser sessions: `tower-sessions` over our own table, which keeps only a hash of each id.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::ids::AccountId;
use store::{Store, StoreError, sessions::StoredSession};
use time::{Duration, OffsetDateTime};
use tower_sessions::{
    Expiry, SessionManagerLayer, SessionStore,
    cookie::SameSite,
    session::{Id, Record},
    session_store,
};

/// Nobody stays signed in longer than this without coming back.
const IDLE: Duration = Duration::days(7);

/// The sessions table behind the trait.
#[derive(Clone, Debug)]
pub struct PgSessions {
    store: Store,
}

fn broken(error: &StoreError) -> session_store::Error {
    session_store::Error::Backend(error.to_string())
}

fn to_stored(record: &Record) -> session_store::Result<StoredSession> {
    let content = serde_json::to_value(&record.data)
        .map_err(|error| session_store::Error::Encode(error.to_string()))?;
    let expires_at = DateTime::<Utc>::from_timestamp(record.expiry_date.unix_timestamp(), 0)
        .ok_or_else(|| session_store::Error::Encode("an end that is not a date".to_owned()))?;
    Ok(StoredSession { content, expires_at })
}

/// The account in a session, so that all sessions of somebody can be ended at once.
fn account(record: &Record) -> Option<AccountId> {
    record.data.get(app::backend::ACCOUNT)?.as_str()?.parse().ok()
}

#[async_trait]
impl SessionStore for PgSessions {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        loop {
            let stored = to_stored(record)?;
            let bytes = record.id.0.to_be_bytes();
            let saved = store::sessions::save(&self.store, &bytes, &stored, account(record), true).await;
            if saved.map_err(|error| broken(&error))? {
                return Ok(());
            }
            record.id = Id::default();
        }
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        let bytes = record.id.0.to_be_bytes();
        let saved =
            store::sessions::save(&self.store, &bytes, &to_stored(record)?, account(record), false).await;
        saved.map(|_| ()).map_err(|error| broken(&error))
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let stored =
            store::sessions::load(&self.store, &id.0.to_be_bytes()).await.map_err(|error| broken(&error))?;
        let Some(stored) = stored else { return Ok(None) };
        let data = serde_json::from_value(stored.content)
            .map_err(|error| session_store::Error::Decode(error.to_string()))?;
        let expiry_date = OffsetDateTime::from_unix_timestamp(stored.expires_at.timestamp())
            .map_err(|error| session_store::Error::Decode(error.to_string()))?;
        Ok(Some(Record { id: *id, data, expiry_date }))
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        store::sessions::delete(&self.store, &id.0.to_be_bytes()).await.map_err(|error| broken(&error))
    }
}

/// The cookie's policy. Behind https the name's prefix makes the browser keep it to this host and
/// to encrypted connections.
pub fn layer(store: &Store, public_url: &str) -> SessionManagerLayer<PgSessions> {
    let secure = public_url.starts_with("https://");
    SessionManagerLayer::new(PgSessions { store: store.clone() })
        .with_name(if secure { "__Host-bursar" } else { "bursar" })
        .with_secure(secure)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(IDLE))
}
