//! A message to an address that somebody wrote down: webhooks. Where it may go is looked at as for
//! providers.

use std::{sync::LazyLock, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Limited};

use crate::forward::{HttpClient, Pieces, chain, client};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How much of an answer is read.
const ANSWER_MAX: usize = 16 << 10;

static PUBLIC: LazyLock<HttpClient> = LazyLock::new(|| client(false, PATIENCE));
static PRIVATE: LazyLock<HttpClient> = LazyLock::new(|| client(true, PATIENCE));

/// Posts JSON. Returns the status and the beginning of the answer. Redirections are not followed:
/// they could lead where messages may not go.
///
/// # Errors
/// A sentence, when there was no answer.
pub async fn post(
    url: &str,
    headers: &[(&'static str, String)],
    body: String,
    allow_private: bool,
) -> Result<(u16, String), String> {
    let uri: Uri = url.parse().map_err(|_| "The address cannot be read.".to_owned())?;
    let mut request = Request::new(Pieces::from_iter([Bytes::from(body)]));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static("Bursar"));
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).map_err(|_| "A header cannot be sent.".to_owned())?;
        request.headers_mut().insert(*name, value);
    }
    let client = if allow_private { &*PRIVATE } else { &*PUBLIC };
    let answer = async {
        let response = client.request(request).await.map_err(|error| chain(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
        let text = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Ok::<_, String>((status, String::from_utf8_lossy(&text).into_owned()))
    };
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(cause)) => Err(format!("It cannot be reached: {cause}.")),
        Err(_) => Err(format!("It did not answer within {} seconds.", PATIENCE.as_secs())),
    }
}
