//! Sends forms in the background, as the browser would, and shows what came of it.

use std::cell::RefCell;

use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DomParser, Element, Event, FormData, Headers, HtmlElement, HtmlFormElement, RequestInit, Response,
    SupportedType, UrlSearchParams,
};

use super::{
    at_once::Drawn,
    combo::unmatched,
    form::listed,
    once::once_panel,
    toast,
    visit::{Visit, here_without_dialog, opened_by, show, visit},
};
use crate::{
    error::AppError,
    frame::{Done, ORG_HEADER, Once, UNDOES_HEADER},
};

/// Sends the form inside it in the background, marks the fields that need another look, and shows
/// what came of it.
#[island]
pub fn Sending(
    summary: Option<String>,
    once: Option<Once>,
    inline: bool,
    children: Children,
) -> impl IntoView {
    // Counted, not owned: an island inside a part of the page that was waited for is drawn after its
    // owner is gone.
    let summary = ArcRwSignal::new(summary);
    let once = ArcRwSignal::new(once);
    let pending = ArcRwSignal::new(false);
    // What a button that takes long says meanwhile.
    let running = ArcRwSignal::new(None::<String>);
    let shown_running = running.clone();
    let (shown_summary, shown_once) = (summary.clone(), once.clone());
    let submit = move |event: SubmitEvent| {
        let Some(form) = event.target().and_then(|target| target.dyn_into::<HtmlFormElement>().ok()) else {
            return;
        };
        let button = event.submitter();
        // A file goes as the browser sends it, and the answer is a page.
        if form.enctype().starts_with("multipart/") {
            // Sent twice, the second answer would come instead of the first, and it may be shown once only.
            if pending.get_untracked() {
                event.prevent_default();
                return;
            }
            pending.set(true);
            let sent = pending.clone();
            let _ = window_event_listener_untyped("pagehide", move |_| sent.set(false));
            if let Some(text) = button.as_ref().and_then(said_meanwhile) {
                busy(button.as_ref(), true);
                running.set(Some(text));
                // Who comes back to this page finds it at rest.
                let _ = window_event_listener_untyped("pagehide", move |_| busy(button.as_ref(), false));
            }
            return;
        }
        // A button that only asks for something (a file of those who are ticked) is the browser's.
        if button.as_ref().and_then(|button| button.get_attribute("formmethod")).is_some() {
            return;
        }
        event.prevent_default();
        if pending.get_untracked() || unmatched(&form) {
            return;
        }
        let body = encode(&form, button.clone().map(JsValue::from));
        let address = button
            .as_ref()
            .and_then(|button| button.get_attribute("formaction"))
            .unwrap_or_else(|| form.get_attribute("action").unwrap_or_default());
        pending.set(true);
        busy(button.as_ref(), true);
        running.set(button.as_ref().and_then(said_meanwhile));
        let drawn = Drawn::of(&form, button.as_deref().map(AsRef::as_ref));
        let (summary, once, pending, running) =
            (summary.clone(), once.clone(), pending.clone(), running.clone());
        spawn_local(async move {
            let outcome = post(&address, &body).await;
            let drew = outcome.is_err() && drawn.take_back();
            // What is open already knows where the focus returns to.
            let open = form.closest("dialog, .cell-form").ok().flatten().is_some();
            let line = form.closest("tr, li.row").ok().flatten().filter(|_| !open);
            let shown = outcome.as_ref().err().is_some_and(AppError::is_overtaken)
                && compared(&address, &body, line.as_ref()).await;
            // The message stands in the form, which may be in a menu: it is said, too, unless a dialog has
            // opened to say it.
            if let Err(error) = &outcome
                && drew
                && !(shown && asks())
            {
                let text = error.summary(|_| false).unwrap_or_else(|| error.sentence());
                toast::say(numbered(text, error));
            }
            if shown {
                return;
            }
            pending.set(false);
            busy(button.as_ref(), false);
            running.set(None);
            let beside = mark(&form, outcome.as_ref().err());
            let rest = outcome.as_ref().err().and_then(|error| {
                error.summary(|name| beside.iter().any(|it| it == name)).map(|text| numbered(text, error))
            });
            summary.set(rest);
            if let Ok(done) = outcome {
                if let Some(Once::Filled { values, .. } | Once::Difference { values, .. }) = &done.once {
                    fill(&form, values);
                }
                once.set(done.once.clone());
                after(done, &form);
            }
        });
    };
    view! {
        <div class=if inline { "sending inline" } else { "sending" } on:submit=submit on:input=outdated>
            <div class="summary" role="alert">{move || shown_summary.get().map(|text| listed(&text))}</div>
            {children()}
            <p class="sr" aria-live="polite">{move || shown_running.get()}</p>
            <div class="once-region" aria-live="polite">{move || shown_once.get().map(once_panel)}</div>
        </div>
    }
}

/// What was shown of a text holds no longer once somebody changes the text: what does it goes, and it is
/// said why.
fn outdated(event: Event) {
    let field = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    let of = field.filter(|field| field.has_attribute("name"));
    let Some(form) = of.and_then(|field| field.closest("form").ok().flatten()) else { return };
    for (what, hides) in [("[data-as-shown]", true), ("[data-outdated]", false)] {
        if let Some(part) = form.query_selector(what).ok().flatten() {
            let _ = part.toggle_attribute_with_force("hidden", hides);
        }
    }
}

fn busy(button: Option<&HtmlElement>, busy: bool) {
    if let Some(button) = button {
        let _ = if busy {
            button.set_attribute("aria-busy", "true")
        } else {
            button.remove_attribute("aria-busy")
        };
    }
}

fn said_meanwhile(button: &HtmlElement) -> Option<String> {
    button.query_selector(".while-busy").ok().flatten()?.text_content()
}

/// Fills fields in, and unfolds what they are folded into.
fn fill(form: &HtmlFormElement, values: &[(String, String)]) {
    for field in elements(form, "input[name], select[name], textarea[name]") {
        let name = field.get_attribute("name").unwrap_or_default();
        let Some((_, value)) = values.iter().find(|(of, _)| *of == name) else { continue };
        let _ = js_sys::Reflect::set(&field, &"value".into(), &value.into());
        if let Some(folded) = field.closest("details").ok().flatten().filter(|_| !value.is_empty()) {
            let _ = folded.set_attribute("open", "");
        }
    }
}

/// What happens after a change.
fn after(done: Done, form: &HtmlFormElement) {
    if done.reload {
        let location = window().location();
        let _ = match done.go {
            Some(go) => location.assign(&go),
            None => location.reload(),
        };
        return;
    }
    if let Some(notice) = done.notice {
        toast::say_with(notice, done.undo);
    }
    match done.go.filter(|_| !done.stays) {
        Some(go) => visit(go, Visit::To),
        // What is shown once stays until somebody leaves the page.
        None if done.once.is_some() => {}
        None => {
            form.reset();
            visit(here_without_dialog(), Visit::Again);
        }
    }
}

/// Marks the fields that need another look, and brings the first one into focus. Every field there is.
fn mark(form: &HtmlFormElement, error: Option<&AppError>) -> Vec<String> {
    let mut names = Vec::new();
    let fields = match error {
        Some(AppError::Invalid(fields)) => fields.as_slice(),
        _ => &[],
    };
    let mut first: Option<HtmlElement> = None;
    for field in elements(form, ".field") {
        let input = field.query_selector("input, select, textarea").ok().flatten();
        let Some(input) = input.and_then(|input| input.dyn_into::<HtmlElement>().ok()) else { continue };
        let name = input.get_attribute("name").unwrap_or_default();
        // What stands in the place of a select is what can be seen of it.
        let stands = field.query_selector(".combo-input").ok().flatten();
        let input = stands.and_then(|stands| stands.dyn_into::<HtmlElement>().ok()).unwrap_or(input);
        let sentence = fields.iter().find(|(field, _)| *field == name).map(|(_, sentence)| sentence.as_str());
        let _ = if sentence.is_some() {
            input.set_attribute("aria-invalid", "true")
        } else {
            input.remove_attribute("aria-invalid")
        };
        if let Some(place) = field.query_selector(".error").ok().flatten() {
            place.set_text_content(sentence);
        }
        if sentence.is_some() {
            first = first.or(Some(input));
        }
        names.push(name);
    }
    if let Some(first) = first {
        let _ = first.focus();
    }
    names
}

fn elements(form: &HtmlFormElement, what: &str) -> Vec<Element> {
    let Ok(list) = form.query_selector_all(what) else { return Vec::new() };
    (0..list.length()).filter_map(|place| list.get(place)?.dyn_into().ok()).collect()
}

/// The fields as a browser without script would send them.
fn encode(form: &HtmlFormElement, submitter: Option<JsValue>) -> String {
    let data = FormData::new_with_form(form);
    let Ok(data) = data else { return String::new() };
    if let Some(button) = submitter.and_then(|button| button.dyn_into::<web_sys::HtmlButtonElement>().ok())
        && !button.name().is_empty()
    {
        let _ = data.append_with_str(&button.name(), &button.value());
    }
    UrlSearchParams::new_with_str_sequence_sequence(&data)
        .map(|params| params.to_string().into())
        .unwrap_or_default()
}

/// Somebody else was first, or something has to be said before it is done: puts the page as the server makes
/// it for a form without script in place, with what was typed, what they saved beside it, and the version
/// they made. False when that fails. `line`: the line it was sent from, to which the focus returns from a
/// dialog that opens.
pub async fn compared(address: &str, body: &str, line: Option<&Element>) -> bool {
    let Ok((_, page)) = send(address, body, "text/html", "").await else { return false };
    if let Some(line) = line {
        opened_by(line.query_selector("a[href]").ok().flatten().as_ref());
    }
    let shown = show(&page, Visit::Again).is_some();
    if shown && let Some(text) = told_beside(&page) {
        toast::say(text);
    }
    shown
}

/// What a page says that has no form any more to say it in.
fn told_beside(page: &str) -> Option<String> {
    let page = DomParser::new().ok()?.parse_from_string(page, SupportedType::TextHtml).ok()?;
    page.query_selector(".toasts .toast > span").ok()??.text_content().filter(|text| !text.is_empty())
}

/// Whether a dialog is open, and says why a form was not done.
fn asks() -> bool {
    document().query_selector("dialog[open] .summary p").ok().flatten().is_some()
}

thread_local! {
    /// The number of the last request that was answered with an error.
    static FAILED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// With the number of the request, where that helps to find out why.
pub fn numbered(text: String, error: &AppError) -> String {
    match FAILED.with_borrow(Clone::clone) {
        Some(id) if error.is_ours() => format!("{text} Request {id}."),
        _ => text,
    }
}

/// Posts fields to a server function.
///
/// # Errors
/// Those of the function, and of the way there.
pub async fn post(address: &str, body: &str) -> Result<Done, AppError> {
    post_undoing(address, body, "").await
}

/// The same, to undo what was done in the request of this number.
///
/// # Errors
/// Those of the function, and of the way there.
pub async fn post_undoing(address: &str, body: &str, of: &str) -> Result<Done, AppError> {
    FAILED.take();
    let (response, text) = send(address, body, "application/json", of).await?;
    let number = response.headers().get("x-request-id").ok().flatten();
    if response.ok() {
        let done = serde_json::from_str::<Done>(&text);
        return done
            .map(|done| done.made_in(&number.unwrap_or_default()))
            .map_err(|_| AppError::Network("an answer that cannot be read".to_owned()));
    }
    FAILED.set(number);
    Err(serde_json::from_str(&text)
        .unwrap_or_else(|_| AppError::Network(format!("status {}", response.status()))))
}

/// Which organization a page is about.
pub fn org_of(page: &web_sys::Document) -> Option<String> {
    page.query_selector(".app").ok()??.get_attribute("data-org")
}

/// `undoes`: the number of the request that did what this undoes; empty for none.
async fn send(address: &str, body: &str, accept: &str, undoes: &str) -> Result<(Response, String), AppError> {
    let broken = |cause: JsValue| {
        let text =
            cause.as_string().or_else(|| js_sys::Reflect::get(&cause, &"message".into()).ok()?.as_string());
        AppError::Network(text.unwrap_or_else(|| "no connection".to_owned()))
    };
    let headers = Headers::new().map_err(broken)?;
    headers.set("Accept", accept).map_err(broken)?;
    headers.set("Content-Type", "application/x-www-form-urlencoded").map_err(broken)?;
    if let Some(org) = org_of(&document()) {
        headers.set(ORG_HEADER, &org).map_err(broken)?;
    }
    if !undoes.is_empty() {
        headers.set(UNDOES_HEADER, undoes).map_err(broken)?;
    }
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_body(&JsValue::from_str(body));
    let response = JsFuture::from(window().fetch_with_str_and_init(address, &init)).await.map_err(broken)?;
    let response: Response = response.dyn_into().map_err(broken)?;
    let text = JsFuture::from(response.text().map_err(broken)?).await.map_err(broken)?;
    Ok((response, text.as_string().unwrap_or_default()))
}
