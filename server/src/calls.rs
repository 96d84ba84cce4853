//! The list of calls as a table: every call that the filters show, written as it is read.

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::request::Parts,
    response::{IntoResponse, Response},
};
use chrono::SecondsFormat;
use domain::{
    calls::{CallLine, CallList, End, Whence},
    csv,
    money::Money,
    usage::Usage,
};
use futures_util::stream;
use serde::Deserialize;

use crate::{files, http::Console};

/// The server function that answers.
const FUNCTION: &str = "/console/calls/list";

const HEAD: [&str; 30] = [
    "call_id",
    "at",
    "application_id",
    "application",
    "user_id",
    "user",
    "model_id",
    "model",
    "policy",
    "use_case",
    "outcome",
    "status",
    "code",
    "input",
    "cache_read",
    "cache_write",
    "output",
    "reasoning",
    "audio_input",
    "audio_output",
    "images",
    "cost",
    "estimated",
    "cached",
    "duration_ms",
    "group_id",
    "group",
    "key_id",
    "secret_id",
    "session",
];

/// What the function answers, as far as it goes into the file.
#[derive(Deserialize)]
struct Answer {
    list: CallList,
}

/// What is being written.
struct Export {
    console: Console,
    parts: Parts,
    next: Option<String>,
}

/// Serves `/calls.csv` with the query of `/calls`, from the page in the address on: times in UTC, money in
/// dollars, exactly. Whoever reads the page is asked again for each part of the file.
pub async fn csv(console: Console, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let first = match files::ask(&console, parts.clone(), FUNCTION, &[("many", "true")]).await {
        Ok(Answer { list }) => list,
        Err(answer) => return answer,
    };
    let begun = Bytes::from(csv::line(HEAD) + &lines(&first.calls));
    let export = Export { console, parts, next: first.next };
    // What goes wrong on the way breaks the transfer off: half a table does not look whole.
    let rest = stream::try_unfold(export, Export::chunk);
    let whole = futures_util::StreamExt::chain(stream::once(async { Ok(begun) }), rest);
    (files::headers("calls.csv"), Body::from_stream(whole)).into_response()
}

impl Export {
    async fn chunk(mut self) -> Result<Option<(Bytes, Self)>, std::io::Error> {
        let Some(after) = self.next.take() else { return Ok(None) };
        let page = [("many", "true"), ("after", after.as_str())];
        let Answer { list } =
            files::ask(&self.console, self.parts.clone(), FUNCTION, &page).await.map_err(|answer| {
                std::io::Error::other(format!("a part was answered with {}", answer.status()))
            })?;
        self.next = list.next;
        Ok(Some((lines(&list.calls).into(), self)))
    }
}

fn lines(calls: &[CallLine]) -> String {
    calls.iter().map(line).collect()
}

fn line(call: &CallLine) -> String {
    let finished = |of: &dyn Fn(&Usage) -> u64| match &call.end {
        End::Finished { usage, .. } => of(usage).to_string(),
        End::Refused { .. } => String::new(),
    };
    let (outcome, status, code) = match &call.end {
        End::Finished { outcome, .. } => (outcome.as_str(), String::new(), ""),
        End::Refused { status, code } => ("refused", status.to_string(), code.as_str()),
    };
    let (cost, estimated, cached, duration) = match &call.end {
        End::Finished { cost, estimated, cached, duration_ms, .. } => {
            (cost.exact(), estimated.to_string(), cached.to_string(), duration_ms.to_string())
        }
        End::Refused { .. } => (Money::default().exact(), String::new(), String::new(), String::new()),
    };
    let (user_id, user) = call.user.clone().map(|(id, name)| (id.to_string(), name)).unwrap_or_default();
    let (group, key, secret, session) = match &call.whence {
        Some(Whence { group: (id, name), key, secret, session }) => (
            (id.to_string(), name.as_str()),
            key.map(|key| key.to_string()).unwrap_or_default(),
            secret.to_string(),
            session.as_str(),
        ),
        None => Default::default(),
    };
    csv::line([
        call.id.to_string().as_str(),
        &call.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        &call.application.0.to_string(),
        &call.application.1,
        &user_id,
        &user,
        &call.model.0.map(|id| id.to_string()).unwrap_or_default(),
        &call.model.1,
        call.policy.as_deref().unwrap_or_default(),
        call.use_case.as_deref().unwrap_or_default(),
        outcome,
        &status,
        code,
        &finished(&|usage| usage.input),
        &finished(&|usage| usage.cache_read),
        &finished(&|usage| usage.cache_write.saturating_add(usage.cache_write_long)),
        &finished(&|usage| usage.output),
        &finished(&|usage| usage.reasoning),
        &finished(&|usage| usage.audio_input),
        &finished(&|usage| usage.audio_output),
        &finished(&|usage| usage.images),
        &cost,
        &estimated,
        &cached,
        &duration,
        &group.0,
        group.1,
        &key,
        &secret,
        session,
    ])
}
