//! A little live traffic, through the gateway like anybody's, so that open pages move.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, header},
};
use domain::providers::Dialect;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{
    acme::{self, Program},
    folder::Kept,
};

/// Sentences that prompts are made of.
const SENTENCES: [&str; 8] = [
    "Please read the following notes and say what matters in them.",
    "The customer writes that the parcel arrived two days late and one corner was damaged.",
    "Compare this with what we agreed last quarter and list the differences.",
    "Keep the tone friendly, the sentences short and the figures exact.",
    "The build fails on the third step with an error that was not there yesterday.",
    "Summarize the thread for somebody who has two minutes before the call.",
    "Suggest three variants, each with a different opening.",
    "If something is unclear, say so instead of guessing.",
];

/// One call every second or two, until the process ends.
pub async fn run(router: Router, kept: Kept, seed: u64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    loop {
        tokio::time::sleep(Duration::from_millis(rng.random_range(900..2200))).await;
        if let Some(request) = next(&kept, &mut rng) {
            let router = router.clone();
            tokio::spawn(async move {
                let Ok(response) = router.oneshot(request).await;
                let _ = to_bytes(response.into_body(), 1 << 20).await;
            });
        }
    }
}

/// The next call: somebody with a secret, and what they would ask.
fn next(kept: &Kept, rng: &mut Xoshiro256PlusPlus) -> Option<Request<Body>> {
    let caller = kept.secrets.get(rng.random_range(0..kept.secrets.len().max(1)))?;
    let program =
        acme::PROGRAMS.iter().find(|program| program.name == caller.program).unwrap_or(&acme::PERSONAL);
    let name = model(program, rng);
    let model = acme::MODELS.iter().find(|model| model.name == name)?;
    let prompt: String = (0..rng.random_range(2..60))
        .map(|_| SENTENCES[rng.random_range(0..SENTENCES.len())])
        .collect::<Vec<_>>()
        .join(" ");
    let (route, body) = ask(model, program, &prompt);
    let use_case = program.use_cases.get(rng.random_range(0..program.use_cases.len().max(1)));
    let mut request = Request::post(route)
        .header(header::AUTHORIZATION, format!("Bearer {}", caller.secret.reveal()))
        .header(header::CONTENT_TYPE, "application/json")
        .header("anthropic-version", "2023-06-01");
    if let Some(use_case) = use_case {
        request = request.header("x-bursar-use-case", *use_case);
    }
    request.body(Body::from(body.to_string())).ok()
}

/// One of the program's models; now and then one it may not use.
fn model(program: &Program, rng: &mut Xoshiro256PlusPlus) -> &'static str {
    if program.people && rng.random_bool(0.03) {
        return "o3";
    }
    program.models[rng.random_range(0..program.models.len())].0
}

fn ask(model: &acme::Model, program: &Program, prompt: &str) -> (&'static str, Value) {
    let messages = json!([{ "role": "user", "content": prompt }]);
    if program.tokens.1 == 0.0 {
        return ("/v1/embeddings", json!({ "model": model.name, "input": prompt }));
    }
    let streams = program.people;
    match model.dialect {
        Dialect::Anthropic => (
            "/v1/messages",
            json!({ "model": model.name, "messages": messages, "max_tokens": 160, "stream": streams }),
        ),
        Dialect::OpenAi => (
            "/v1/chat/completions",
            json!({ "model": model.name, "messages": messages, "max_completion_tokens": 160, "stream": streams }),
        ),
    }
}
