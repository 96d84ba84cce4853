//! Lists of models in both shapes.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::providers::Dialect;
use serde_json::{Value, json};

/// A model as it is listed.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What callers write.
    pub name: String,
    /// Its provider.
    pub owned_by: String,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// Visible, and somebody has to agree first.
    pub by_request: bool,
}

/// One model.
pub fn one(dialect: Dialect, model: &Listed) -> Value {
    let mut value = match dialect {
        Dialect::OpenAi => json!({
            "id": model.name,
            "object": "model",
            "created": model.created_at.timestamp(),
            "owned_by": model.owned_by,
        }),
        Dialect::Anthropic => json!({
            "type": "model",
            "id": model.name,
            "display_name": model.name,
            "created_at": model.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        }),
    };
    if model.by_request {
        value["access"] = json!("approval_required");
    }
    value
}

/// All of them.
pub fn list(dialect: Dialect, models: &[Listed]) -> Value {
    let data: Vec<Value> = models.iter().map(|model| one(dialect, model)).collect();
    match dialect {
        Dialect::OpenAi => json!({ "object": "list", "data": data }),
        Dialect::Anthropic => json!({
            "data": data,
            "has_more": false,
            "first_id": models.first().map(|model| &model.name),
            "last_id": models.last().map(|model| &model.name),
        }),
    }
}
