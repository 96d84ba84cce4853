//! Commands to copy.

use domain::{
    access::{Ask, Verdict, decide},
    ids::{ApplicationId, OrgId},
    keys::PlainSecret,
    models::Modality,
    providers::Dialect,
};

use super::{AppError, Cx, Known};

/// A command that makes a call with a secret, if there is a model to call.
///
/// # Errors
/// When the database does not answer.
pub async fn curl(
    cx: &Cx,
    org: OrgId,
    application: ApplicationId,
    secret: &PlainSecret,
) -> Result<Option<String>, AppError> {
    let facts = store::access::current(&cx.store, org).await.known()?;
    let Some(app) = facts.applications.get(&application) else { return Ok(None) };
    let now = store::clock::now();
    let mut callable: Vec<_> = facts
        .models
        .iter()
        .filter(|(_, model)| matches!(model.modality, Modality::Chat | Modality::Vision))
        .filter(|(id, _)| {
            let ask = Ask {
                group: app.group,
                user: None,
                application: Some(app),
                model: **id,
                features: Default::default(),
            };
            decide(&facts, &ask, now).verdict == Verdict::Allow
        })
        .collect();
    callable.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    Ok(callable.first().map(|(_, model)| {
        let (route, more) = match facts.providers.get(&model.provider).map(|provider| provider.dialect) {
            Some(Dialect::Anthropic) => ("messages", " \\\n  -H \"anthropic-version: 2023-06-01\""),
            _ => ("chat/completions", ""),
        };
        let body = serde_json::json!({ "model": model.name, "max_tokens": 64, "messages": [{ "role": "user", "content": "Say hello." }] });
        format!(
            "curl {}/v1/{route} \\\n  -H \"Authorization: Bearer {}\"{more} \\\n  -H \"Content-Type: application/json\" \\\n  -d '{body}'",
            cx.backend.public_url,
            secret.reveal(),
        )
    }))
}
