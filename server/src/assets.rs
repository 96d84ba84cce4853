//! The browser half and everything else that never changes: built into the binary, compressed
//! beforehand, named by its content.

use axum::{
    body::Body,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

/// One file of the bundle.
struct Asset {
    /// The name pages know it by: `app.js`.
    name: &'static str,
    /// The name in its address, with a hash of the content.
    file: &'static str,
    plain: &'static [u8],
    brotli: &'static [u8],
    gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The address of a file of the bundle, by the name pages know it by; none when the binary was
/// built without it.
pub fn address(name: &str) -> Option<String> {
    ASSETS.iter().find(|asset| asset.name == name).map(|asset| format!("/assets/{}", asset.file))
}

/// Serves one. The name changes with the content, so browsers may keep it for ever.
pub async fn serve(Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.file == file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let accepted =
        headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let accepts = |coding: &str| {
        accepted.split(',').any(|part| part.split(';').next().unwrap_or_default().trim() == coding)
    };
    let (coding, bytes) = match () {
        () if accepts("br") && !asset.brotli.is_empty() => (Some("br"), asset.brotli),
        () if accepts("gzip") && !asset.gzip.is_empty() => (Some("gzip"), asset.gzip),
        () => (None, asset.plain),
    };
    let mut response = Response::new(Body::from(Bytes::from_static(bytes)));
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(asset.name)));
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    head.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(coding) = coding {
        head.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("woff2") => "font/woff2",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        _ => "application/octet-stream",
    }
}
