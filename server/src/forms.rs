//! Forms without script: the browser posts, and gets a page back.
//!
//! With script a form's post is answered with JSON. Without it (the browser says it wants HTML) the
//! same server function runs, and then: if it worked, the browser is sent on, with one line about
//! it; if it was refused, or has something to show once, the page the form stood on is made anew
//! with everything that was typed still in it. Nothing of that is stored anywhere.

use app::{
    backend::{current_actor, first, notice_cookie},
    error::AppError,
    frame::{Asked, Done, Flash, ORG, ORG_HEADER, Once, PAGE, UNDOES, UNDOES_HEADER, WHICH, WayBack},
};
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use futures_util::StreamExt;
use tower_sessions::Session;

use crate::http::Console;

/// The largest form: a description, a policy, a few hundred ticked boxes.
const FORM_MAX: usize = 256 << 10;
/// The largest form with a file: a price list, and what is beside it.
const FILE_FORM_MAX: usize = domain::price_lists::LIST_MAX + FORM_MAX;
/// How much is read at most of what is too large.
const THROWN_AWAY: usize = 8 * FILE_FORM_MAX;
/// The largest body of a server function that script sends.
const BODY_MAX: usize = 1 << 20;
/// Those that take tables, which spreadsheets write in other encodings, too.
const WITH_TABLE: [&str; 2] = ["/console/imports/", "/console/invoices/"];
/// The form with a field of its own for the text of its file, which is kept there when it is refused.
const WITH_FIELD: (&str, &str) = ("/console/imports/", "csv");
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

/// The text of a file, and how it was read, where it is no UTF-8. A table may be what spreadsheets write:
/// UTF-16 that says so, or else Windows-1252, which any bytes are.
///
/// # Errors
/// A sentence, for what cannot be read without changing it.
fn text_of_file(bytes: &[u8], table: bool) -> Result<(String, Option<&'static str>), &'static str> {
    let whole = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned);
    let marked = Encoding::for_bom(bytes).filter(|(encoding, _)| *encoding != UTF_8);
    match (marked, whole(bytes)) {
        (None, Ok(text)) => Ok((text, None)),
        _ if !table => Err("This file is no UTF-8. Save it as UTF-8, and choose it again."),
        (Some((encoding, mark)), _) => {
            match encoding.decode_without_bom_handling_and_without_replacement(&bytes[mark..]) {
                Some(text) => Ok((text.into_owned(), Some(encoding.name()))),
                None => Err("This file says that it is UTF-16, and is not. Save it as CSV in UTF-8."),
            }
        }
        (None, Err(_)) if bytes.contains(&0) => {
            Err("This file is no text: a workbook is saved as CSV first, best in UTF-8.")
        }
        (None, Err(_)) => {
            let (text, _) = WINDOWS_1252.decode_without_bom_handling(bytes);
            Ok((text.into_owned(), Some("Windows-1252")))
        }
    }
}

/// The fields of a form with a file as those of any other form, and what is wrong with its file: the file's
/// text is its field's value, and how it was read another one's.
async fn without_file(kind: &str, body: Bytes, table: bool) -> Option<(Bytes, Option<AppError>)> {
    let whole = futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let mut parts = multer::Multipart::new(whole, multer::parse_boundary(kind).ok()?);
    let (mut pairs, mut wrong) = (Vec::new(), None);
    while let Some(part) = parts.next_field().await.ok()? {
        let name = part.name()?.to_owned();
        let is_file = part.file_name().is_some();
        let bytes = part.bytes().await.ok()?;
        if !is_file {
            pairs.push((name, String::from_utf8(bytes.to_vec()).ok()?));
            continue;
        }
        match text_of_file(&bytes, table) {
            Ok((text, read_as)) => {
                pairs.push((name, text));
                pairs.extend(read_as.map(|read_as| ("read_as".to_owned(), read_as.to_owned())));
            }
            Err(sentence) => wrong = Some(AppError::field(&name, sentence)),
        }
    }
    Some((serde_urlencoded::to_string(pairs).ok().map(Bytes::from)?, wrong))
}

/// Whether what was sent is text: what is not would be changed by reading it.
fn is_text(body: &[u8]) -> bool {
    percent_encoding::percent_decode(body).decode_utf8().is_ok()
}

/// A body as far as it may be long: whole, or, where it is longer, its beginning. The rest is taken in and
/// thrown away, as long as that is bearable: browsers read no answer before they have sent everything.
async fn as_far_as(body: Body, most: usize) -> Result<Bytes, Vec<u8>> {
    let (mut pieces, mut read, mut length) = (body.into_data_stream(), Vec::new(), 0_usize);
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else { return Err(read) };
        length = length.saturating_add(piece.len());
        if length > THROWN_AWAY {
            return Err(read);
        }
        read.extend_from_slice(&piece[..piece.len().min(most.saturating_sub(read.len()))]);
    }
    if length > most { Err(read) } else { Ok(read.into()) }
}

/// The fields of a form that go before its file, and what the field of the file is called.
async fn before_file(kind: &str, beginning: Vec<u8>) -> Option<(Vec<(String, String)>, String)> {
    let whole = futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(beginning) });
    let mut parts = multer::Multipart::new(whole, multer::parse_boundary(kind).ok()?);
    let mut pairs = Vec::new();
    while let Some(part) = parts.next_field().await.ok()? {
        let name = part.name()?.to_owned();
        if part.file_name().is_some() {
            return Some((pairs, name));
        }
        pairs.push((name, part.text().await.ok()?));
    }
    None
}

/// A file that is too large is told at its field, as any other mistake.
async fn too_large(
    console: &Console,
    parts: axum::http::request::Parts,
    kind: &str,
    beginning: Vec<u8>,
) -> Response {
    let sentence = format!(
        "This is too large: a form with a file holds {} MB. Split the file, and send its parts one after the other.",
        FILE_FORM_MAX >> 20
    );
    let Some((fields, file)) = before_file(kind, beginning).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, sentence).into_response();
    };
    let body = Bytes::from(serde_urlencoded::to_string(fields).unwrap_or_default());
    let (to, page) = (parts.uri.path().to_owned(), page_of(&body, &parts.headers));
    let outcome = Err(AppError::field(&file, sentence));
    let form = field(&body, WHICH);
    let flash = Flash { to, form, values: typed(&body), outcome, page: page.clone(), first: None };
    again(console, parts, &page, (flash, None), StatusCode::PAYLOAD_TOO_LARGE.as_u16()).await
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
    if text_of(&parts.headers, header::CONTENT_TYPE).starts_with(PLAIN) && !is_text(&body) {
        return (StatusCode::BAD_REQUEST, "What was sent is no UTF-8.").into_response();
    }
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
    let mut body = match as_far_as(body, if with_file { FILE_FORM_MAX } else { FORM_MAX }).await {
        Ok(body) => body,
        Err(beginning) if with_file => return too_large(console, parts, &kind, beginning).await,
        Err(_) => return (StatusCode::PAYLOAD_TOO_LARGE, "This form is too large.").into_response(),
    };
    let mut wrong = None;
    if !with_file && !is_text(&body) {
        return (StatusCode::BAD_REQUEST, "This form cannot be read: it is no UTF-8.").into_response();
    }
    if with_file {
        let table = WITH_TABLE.iter().any(|start| parts.uri.path().starts_with(start));
        let Some(fields) = without_file(&kind, body, table).await else {
            return (StatusCode::BAD_REQUEST, "This form cannot be read.").into_response();
        };
        (body, wrong) = fields;
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
    let (mut outcome, mut cookies) = match wrong {
        Some(wrong) => (Err(wrong), Vec::new()),
        None => match run(console, &parts, &body).await {
            Some(answered) => answered,
            None => return StatusCode::BAD_GATEWAY.into_response(),
        },
    };
    // Where the page has no form to show in what is so by now, it says who changed it since. That is asked
    // for by sending it again; should that go through after all, it is done.
    let mut since = None;
    if outcome.as_ref().err().is_some_and(AppError::is_overtaken) {
        match undone_after_all(console, &parts, &body).await {
            Some((Ok(done), anew)) => (outcome, cookies) = (Ok(done), anew),
            Some((Err(AppError::Meanwhile(sentence)), _)) => since = Some(sentence),
            _ => {}
        }
    }
    let mut response = match outcome {
        Ok(done) if done.once.is_none() => {
            let number = parts.extensions.get::<Asked>().map(|asked| asked.id.clone());
            sent_on(&done.made_in(&number.unwrap_or_default()), &page)
        }
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
            if outcome.is_err() && !elsewhere {
                keep_file(&to, &body, &mut values);
            }
            let first = match outcome {
                Err(AppError::Stale) => first(console, &parts, &to, &body).await,
                _ => None,
            };
            let flash = Flash { to, form: field(&body, WHICH), values, outcome, page: page.clone(), first };
            again(console, parts, &page, (flash, since), status).await
        }
    };
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Runs the server function of a plain form: what came of it, and the cookies it sets. None: it did not
/// answer to its end.
async fn run(
    console: &Console,
    parts: &axum::http::request::Parts,
    body: &Bytes,
) -> Option<(Result<Done, AppError>, Vec<HeaderValue>)> {
    let answer = console.server_function(Request::from_parts(parts.clone(), Body::from(body.clone()))).await;
    let cookies = answer.headers().get_all(header::SET_COOKIE).iter().cloned().collect();
    let (head, answer) = answer.into_parts();
    let answer = to_bytes(answer, ANSWER_MAX).await.ok()?;
    let outcome = if head.status.is_success() {
        let undoes = !field(body, UNDOES).is_empty();
        let done = serde_json::from_slice::<Done>(&answer).map_err(|_| unreadable());
        done.map(|done| if undoes { done.undid() } else { done })
    } else {
        Err(serde_json::from_slice(&answer).unwrap_or_else(|_| unreadable()))
    };
    Some((outcome, cookies))
}

/// A file has to be chosen again; its text stands in the field for it instead, to be mended there.
fn keep_file(to: &str, body: &Bytes, values: &mut Vec<(String, String)>) {
    let (start, name) = WITH_FIELD;
    let text = field(body, "file");
    if to.starts_with(start) && !text.trim().is_empty() {
        values.retain(|(other, _)| other != name);
        values.push((name.to_owned(), text));
    }
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
    if let Some(cookie) = done.notice.as_deref().and_then(notice_cookie) {
        headers.append(header::SET_COOKIE, cookie);
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

/// Who was first with what a form is about, as the subject of a sentence; none: that is not known.
async fn first(
    console: &Console,
    parts: &axum::http::request::Parts,
    to: &str,
    body: &Bytes,
) -> Option<String> {
    let store = console.store();
    let actor = current_actor(store, parts.extensions.get::<Session>()?).await?;
    first::with(store, &actor, to, &pairs(body)).await
}

/// A page that everybody who is signed in has.
const ANYBODYS_PAGE: &str = "/account";

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

/// A form that would undo something and was refused, once more as script sends it: the answer says who changed
/// it since. None: it undoes nothing.
async fn undone_after_all(
    console: &Console,
    parts: &axum::http::request::Parts,
    body: &Bytes,
) -> Option<(Result<Done, AppError>, Vec<HeaderValue>)> {
    let undoes = HeaderValue::from_str(&field(body, UNDOES)).ok().filter(|undoes| !undoes.is_empty())?;
    let mut parts = parts.clone();
    parts.headers.insert(UNDOES_HEADER, undoes);
    run(console, &parts, body).await
}

/// The same page once more, with what was typed and what came of it. `since`: what is said instead where the
/// page has no form to say that in.
async fn again(
    console: &Console,
    mut parts: axum::http::request::Parts,
    page: &str,
    (flash, since): (Flash, Option<String>),
    status: u16,
) -> Response {
    parts.method = Method::GET;
    parts.uri = page.parse().unwrap_or(Uri::from_static("/"));
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(ORG_HEADER);
    parts.headers.insert(header::ACCEPT, HeaderValue::from_static("text/html"));
    let said = flash.outcome.as_ref().err().map(app::error::AppError::sentence);
    let elsewhere = matches!(flash.outcome, Err(AppError::Elsewhere(_)));
    parts.extensions.insert(flash);
    let mut response = console.page(Request::from_parts(parts.clone(), Body::empty())).await;
    if elsewhere && response.status() != StatusCode::OK {
        // What the page was of is in the other organization, and is not said not to exist: one that everybody
        // has here says what was not done, and why.
        parts.extensions.remove::<Flash>();
        parts.uri = Uri::from_static(ANYBODYS_PAGE);
        response = console.page(Request::from_parts(parts.clone(), Body::empty())).await;
    }
    if let Some(said) = said {
        let instead = since.unwrap_or_else(|| said.clone());
        response = said_all_the_same(console, parts, response, (&said, &instead)).await;
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
    (said, instead): (&str, &str),
) -> Response {
    let (head, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, PAGE_MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let page = String::from_utf8_lossy(&bytes);
    // What is escaped in a page is left out of the comparison.
    let there = said.split(['&', '<', '>', '"', '\'', '\n']).all(|piece| page.contains(piece));
    if there || head.status != StatusCode::OK {
        return Response::from_parts(head, Body::from(bytes));
    }
    let text = percent_encoding::utf8_percent_encode(instead, percent_encoding::NON_ALPHANUMERIC);
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
        let read = |kind, body: &'static str| without_file(kind, Bytes::from_static(body.as_bytes()), false);
        let (fields, wrong) = read(kind, body).await.expect("fields");
        assert_eq!(wrong, None);
        assert_eq!(field(&fields, "text"), "a&b");
        assert_eq!(field(&fields, "file"), "{\"a\": 1}");
        assert_eq!(typed(&fields), [("text".to_owned(), "a&b".to_owned())]);
        for (kind, body) in [("multipart/form-data", body), (kind, "--x\r\nContent-Dispo"), (kind, "nothing")]
        {
            assert_eq!(read(kind, body).await, None, "{body}");
        }
    }

    #[test]
    fn a_table_is_read_as_spreadsheets_write_it_and_nothing_else_is_changed_by_reading_it() {
        let read = |bytes: &[u8], table| text_of_file(bytes, table);
        assert_eq!(read("Jürgen".as_bytes(), true), Ok(("Jürgen".to_owned(), None)));
        assert_eq!(read(b"J\xfcrgen \x80", true), Ok(("Jürgen €".to_owned(), Some("Windows-1252"))));
        assert_eq!(read(b"\xff\xfeJ\0\xfc\0", true), Ok(("Jü".to_owned(), Some("UTF-16LE"))));
        assert_eq!(read(b"\xfe\xff\0J\0\xfc", true), Ok(("Jü".to_owned(), Some("UTF-16BE"))));
        assert!(read(b"PK\x03\x04\0\xfc", true).is_err(), "a workbook is no table");
        assert!(read(b"\xff\xfe\0\xd8", true).is_err(), "half a letter");
        assert!(read(b"{\"J\xfcrgen\": 1}", false).is_err(), "a price list is UTF-8");
        assert!(is_text(b"name=J%C3%BCrgen") && !is_text(b"name=J%FCrgen"));
    }

    #[tokio::test]
    async fn a_form_whose_file_cannot_be_read_says_so_beside_the_file() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"l.json\"\r\n\r\n\xfc\r\n--x--\r\n";
        let read = without_file("multipart/form-data; boundary=x", Bytes::from_static(body), false).await;
        let (fields, wrong) = read.expect("fields");
        assert!(wrong.and_then(|wrong| wrong.of_field("file")).is_some_and(|said| said.contains("UTF-8")));
        assert_eq!(field(&fields, "file"), "");
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
