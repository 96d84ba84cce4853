//! Forms without script: the browser posts, and gets a page back.
//!
//! With script a form's post is answered with JSON. Without it (the browser says it wants HTML) the
//! same server function runs, and then: if it worked, the browser is sent on, with one line about
//! it; if it was refused, or has something to show once, the page the form stood on is made anew
//! with everything that was typed still in it. Nothing of that is stored anywhere.

use app::{
    error::AppError,
    frame::{Done, Flash, ORG, ORG_HEADER, Once, PAGE, UNDOES, WHICH, WayBack},
};
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use crate::http::Console;

/// The largest form: a description, a policy, a few hundred ticked boxes.
const FORM_MAX: usize = 256 << 10;
/// The largest form with a file: a price list, and what is beside it.
const FILE_FORM_MAX: usize = domain::price_lists::LIST_MAX + FORM_MAX;
/// The largest body of a server function that script sends.
const BODY_MAX: usize = 1 << 20;
/// Those that take the text of a file, of which any byte may be sent as three.
const WITH_TEXT: [&str; 2] = ["/console/price-lists/", "/console/imports/"];
/// An answer of a server function: the text of a file may come back in it.
const ANSWER_MAX: usize = 3 * FILE_FORM_MAX;

const PLAIN: &str = "application/x-www-form-urlencoded";
const WITH_FILE: &str = "multipart/form-data";

fn text_of(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether a request is a form that a browser posts by itself.
fn is_plain_form(headers: &HeaderMap) -> bool {
    let kind = text_of(headers, header::CONTENT_TYPE);
    text_of(headers, header::ACCEPT).contains("text/html")
        && (kind.starts_with(PLAIN) || kind.starts_with(WITH_FILE))
}

/// The fields of a form with a file as those of any other form: the file's text is its field's value.
async fn without_file(kind: &str, body: Bytes) -> Option<Bytes> {
    let whole = futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let mut parts = multer::Multipart::new(whole, multer::parse_boundary(kind).ok()?);
    let mut pairs = Vec::new();
    while let Some(part) = parts.next_field().await.ok()? {
        let name = part.name()?.to_owned();
        let text = part.bytes().await.ok()?;
        pairs.push((name, String::from_utf8_lossy(&text).into_owned()));
    }
    serde_urlencoded::to_string(pairs).ok().map(Bytes::from)
}

/// Runs a server function for script, whose body is not read further than it may be long.
async fn scripted(console: &Console, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let with_text = WITH_TEXT.iter().any(|start| parts.uri.path().starts_with(start));
    let most = if with_text { 3 * FILE_FORM_MAX } else { BODY_MAX };
    let said = text_of(&parts.headers, header::CONTENT_LENGTH).parse::<usize>().ok();
    let body = match said {
        Some(length) if length > most => None,
        _ => to_bytes(body, most).await.ok(),
    };
    let Some(body) = body else {
        let sentence = format!("This is too large: at most {} kB can be sent here.", most >> 10);
        let error = app::error::AppError::field("", sentence);
        let json = serde_json::to_string(&error).unwrap_or_default();
        let kind = [(header::CONTENT_TYPE, "application/json")];
        return (StatusCode::PAYLOAD_TOO_LARGE, kind, json).into_response();
    };
    console.server_function(Request::from_parts(parts, Body::from(body))).await
}

/// Runs a server function, for script and for plain forms.
pub async fn serve(console: &Console, request: Request) -> Response {
    if request.method() != Method::POST || !is_plain_form(request.headers()) {
        return scripted(console, request).await;
    }
    let (mut parts, body) = request.into_parts();
    let kind = text_of(&parts.headers, header::CONTENT_TYPE).to_owned();
    let with_file = kind.starts_with(WITH_FILE);
    let Ok(mut body) = to_bytes(body, if with_file { FILE_FORM_MAX } else { FORM_MAX }).await else {
        let sentence = if with_file {
            format!(
                "This is too large: a form with a file holds {} MB, because all of it is in memory at once. Split the file, and send its parts one after the other.",
                FILE_FORM_MAX >> 20
            )
        } else {
            "This form is too large.".to_owned()
        };
        return (StatusCode::PAYLOAD_TOO_LARGE, sentence).into_response();
    };
    if with_file {
        let Some(fields) = without_file(&kind, body).await else {
            return (StatusCode::BAD_REQUEST, "This form cannot be read.").into_response();
        };
        body = fields;
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PLAIN));
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    let page = page_of(&body, &parts.headers);
    let to = parts.uri.path().to_owned();
    parts.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    // What leads back to the form leads to the page it stood on, not to the address it was sent to.
    if let Ok(page) = HeaderValue::from_str(&page) {
        parts.headers.insert(header::REFERER, page);
    }
    if let Ok(org) = HeaderValue::from_str(&field(&body, ORG))
        && !org.is_empty()
    {
        parts.headers.insert(ORG_HEADER, org);
    }
    let answer = console.server_function(Request::from_parts(parts.clone(), Body::from(body.clone()))).await;
    let cookies: Vec<HeaderValue> = answer.headers().get_all(header::SET_COOKIE).iter().cloned().collect();
    let (head, answer) = answer.into_parts();
    let Ok(answer) = to_bytes(answer, ANSWER_MAX).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let outcome = if head.status.is_success() {
        let undoes = !field(&body, UNDOES).is_empty();
        let done = serde_json::from_slice::<Done>(&answer).map_err(|_| unreadable());
        done.map(|done| if undoes { done.undid() } else { done })
    } else {
        Err(serde_json::from_slice(&answer).unwrap_or_else(|_| unreadable()))
    };
    let mut response = match outcome {
        Ok(done) if done.once.is_none() => sent_on(&done, &page),
        outcome => {
            let status = outcome.as_ref().err().map_or(200, app::error::AppError::status);
            // What was typed for one organization does not come to stand in a form of another.
            let elsewhere = matches!(outcome, Err(AppError::Elsewhere(_)));
            let mut values = if elsewhere { Vec::new() } else { typed(&body) };
            if let Ok(Done {
                once: Some(Once::Filled { values: filled, .. } | Once::Difference { values: filled, .. }),
                ..
            }) = &outcome
            {
                values.retain(|(name, _)| !filled.iter().any(|(other, _)| other == name));
                values.extend(filled.iter().cloned());
            }
            let flash = Flash { to, form: field(&body, WHICH), values, outcome, page: page.clone() };
            again(console, parts, &page, flash, status).await
        }
    };
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn unreadable() -> app::error::AppError {
    app::error::AppError::Network("an answer that cannot be read".to_owned())
}

/// The page a form stood on, as a path of this console: the form says so where it stood on an answer
/// to a form before; else it is the browser's referrer.
fn page_of(body: &Bytes, headers: &HeaderMap) -> String {
    let referrer = || headers.get(header::REFERER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let said = Some(field(body, PAGE)).filter(|page| !page.is_empty());
    let page = said.or_else(referrer).and_then(|text| text.parse::<Uri>().ok());
    let path = page.and_then(|uri| uri.path_and_query().map(ToString::to_string));
    // Two slashes would lead to another host, and browsers read a backslash as one.
    let stays = |path: &String| path.starts_with('/') && !path[1..].starts_with(['/', '\\']);
    path.filter(stays).unwrap_or_else(|| "/".to_owned())
}

fn pairs(body: &Bytes) -> Vec<(String, String)> {
    serde_urlencoded::from_bytes(body).unwrap_or_default()
}

fn field(body: &Bytes, name: &str) -> String {
    pairs(body).into_iter().find(|(field, _)| field == name).map(|(_, value)| value).unwrap_or_default()
}

/// What was typed, without what must not come back in a page, and without files, which cannot.
fn typed(body: &Bytes) -> Vec<(String, String)> {
    const LEFT_OUT: [&str; 7] = ["password", "again", "current", "credential", "secret", "token", "file"];
    pairs(body).into_iter().filter(|(name, _)| !LEFT_OUT.contains(&name.as_str())).collect()
}

/// It worked: on to the next page, or back to this one with its dialog closed.
fn sent_on(done: &Done, page: &str) -> Response {
    let to = done.go.clone().unwrap_or_else(|| without_dialog(page));
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_str(&to).unwrap_or(HeaderValue::from_static("/")));
    if let Some(notice) = &done.notice {
        let text = percent_encoding::utf8_percent_encode(notice, percent_encoding::NON_ALPHANUMERIC);
        let cookie = format!("bursar_notice={text}; Path=/; Max-Age=30; SameSite=Lax; HttpOnly");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
    // Where script stays, the page that one goes on to without it has the way back itself.
    if let Some(cookie) = done.undo.as_ref().filter(|_| !done.stays).and_then(way_back) {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}

/// What no cookie holds as it is.
const NOT_IN_COOKIES: &percent_encoding::AsciiSet =
    &percent_encoding::CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// The most that a cookie holds in every browser, with its name and what is said of it.
const COOKIE_MAX: usize = 3_900;

/// What undoes it, on its way to the next page. One that is too long for a cookie stays behind: a key
/// that names a hundred models is changed back on its own page.
fn way_back(undo: &WayBack) -> Option<HeaderValue> {
    let text = serde_json::to_string(undo).ok()?;
    let text = percent_encoding::utf8_percent_encode(&text, NOT_IN_COOKIES);
    let cookie = format!("bursar_undo={text}; Path=/; Max-Age=30; SameSite=Lax; HttpOnly");
    HeaderValue::from_str(&cookie).ok().filter(|cookie| cookie.len() <= COOKIE_MAX)
}

fn without_dialog(page: &str) -> String {
    let Some((path, query)) = page.split_once('?') else { return page.to_owned() };
    let kept: Vec<&str> =
        query.split('&').filter(|pair| !pair.starts_with("dialog=") && !pair.starts_with("cell=")).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

/// The same page once more, with what was typed and what came of it.
async fn again(
    console: &Console,
    mut parts: axum::http::request::Parts,
    page: &str,
    flash: Flash,
    status: u16,
) -> Response {
    parts.method = Method::GET;
    parts.uri = page.parse().unwrap_or(Uri::from_static("/"));
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(ORG_HEADER);
    parts.headers.insert(header::ACCEPT, HeaderValue::from_static("text/html"));
    let said = flash.outcome.as_ref().err().map(app::error::AppError::sentence);
    parts.extensions.insert(flash);
    let mut response = console.page(Request::from_parts(parts.clone(), Body::empty())).await;
    if let Some(said) = said {
        response = said_all_the_same(console, parts, response, &said).await;
    }
    if response.status() == StatusCode::OK
        && let Ok(status) = StatusCode::from_u16(status)
    {
        *response.status_mut() = status;
    }
    response
}

/// The largest page that is looked through for what was to be said on it.
const PAGE_MAX: usize = 5 * FILE_FORM_MAX;

/// A form that is not on its page any more, because somebody else took away what it was about, has no
/// place to say so: the page does, as it says what a form before it came to.
async fn said_all_the_same(
    console: &Console,
    mut parts: axum::http::request::Parts,
    response: Response,
    said: &str,
) -> Response {
    let (head, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, PAGE_MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let page = String::from_utf8_lossy(&bytes);
    // What is escaped in a page is left out of the comparison.
    let there = said.split(['&', '<', '>', '"', '\'']).all(|piece| page.contains(piece));
    if there || head.status != StatusCode::OK {
        return Response::from_parts(head, Body::from(bytes));
    }
    let text = percent_encoding::utf8_percent_encode(said, percent_encoding::NON_ALPHANUMERIC);
    let known = parts.headers.get(header::COOKIE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Ok(cookies) = HeaderValue::from_str(&format!("bursar_notice={text}; {known}")) {
        parts.headers.insert(header::COOKIE, cookies);
    }
    console.page(Request::from_parts(parts, Body::empty())).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_do_not_come_back_in_a_page() {
        let body = Bytes::from_static(b"email=a%40b.c&password=hunter2hunter2&credential=sk-1&name=Ada");
        let names: Vec<String> = typed(&body).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["email", "name"]);
    }

    #[tokio::test]
    async fn a_form_with_a_file_is_read_as_any_other() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\na&b\r\n--x\r\n\
                    Content-Disposition: form-data; name=\"file\"; filename=\"l.json\"\r\n\r\n{\"a\": 1}\r\n--x--\r\n";
        let kind = "multipart/form-data; boundary=x";
        let fields = without_file(kind, Bytes::from_static(body.as_bytes())).await.expect("fields");
        assert_eq!(field(&fields, "text"), "a&b");
        assert_eq!(field(&fields, "file"), "{\"a\": 1}");
        assert_eq!(typed(&fields), [("text".to_owned(), "a&b".to_owned())]);
        for (kind, body) in [("multipart/form-data", body), (kind, "--x\r\nContent-Dispo"), (kind, "nothing")]
        {
            assert_eq!(without_file(kind, Bytes::from_static(body.as_bytes())).await, None, "{body}");
        }
    }

    #[test]
    fn a_form_says_which_page_it_stands_on_and_never_leads_elsewhere() {
        let mut headers = HeaderMap::new();
        headers.insert(header::REFERER, HeaderValue::from_static("http://h/console/groups/create"));
        let page = |body: &'static str| page_of(&Bytes::from_static(body.as_bytes()), &headers);
        assert_eq!(page("name=x&_page=%2Fgroups%3Fdialog%3Dnew"), "/groups?dialog=new");
        assert_eq!(page("name=x"), "/console/groups/create");
        for hostile in ["_page=%2F%2Fevil.example", "_page=%2F%5Cevil.example", "_page=evil"] {
            assert_eq!(page(hostile), "/", "{hostile}");
        }
        assert_eq!(page("_page=https%3A%2F%2Fevil.example%2Fusers"), "/users");
    }

    #[test]
    fn a_finished_dialog_is_closed_and_other_filters_stay() {
        assert_eq!(without_dialog("/users?dialog=invite"), "/users");
        assert_eq!(without_dialog("/users?q=ada&dialog=invite"), "/users?q=ada");
        assert_eq!(without_dialog("/users"), "/users");
    }
}
