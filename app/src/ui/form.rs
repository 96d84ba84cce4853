//! Forms. Each works without script: the browser posts it, the server answers with a page. With
//! script the same post is sent in the background, and what was typed stays where it is.

use std::sync::Arc;

use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Element, FormData, Headers, HtmlElement, HtmlFormElement, RequestInit, Response, UrlSearchParams,
};

use super::{
    context::frame,
    once::once_panel,
    toast,
    visit::{Visit, here_without_dialog, visit},
};
use crate::{
    error::AppError,
    frame::{Done, Flash, Once},
};

/// The field that tells forms with the same address apart.
pub const WHICH: &str = "_form";

/// What the fields of a form share while it is drawn.
#[derive(Clone)]
struct FormState {
    /// Begins the ids of its fields.
    prefix: Arc<str>,
    /// What the last try came to.
    error: Option<AppError>,
    /// What was typed in that try.
    typed: Arc<Vec<(String, String)>>,
}

impl FormState {
    /// What was typed into a field before, or what it starts with.
    fn value(&self, name: &str, initial: String) -> String {
        self.typed.iter().find(|(field, _)| field == name).map_or(initial, |(_, value)| value.clone())
    }

    /// Whether a box was ticked before, or is at the start.
    fn ticked(&self, name: &str, value: &str, initial: bool) -> bool {
        if self.typed.is_empty() {
            return initial;
        }
        let plain = name.trim_end_matches("[]");
        self.typed.iter().any(|(field, typed)| field.split('[').next() == Some(plain) && typed == value)
    }

    fn id(&self, name: &str) -> String {
        format!("{}-{}", self.prefix, name.trim_end_matches("[]"))
    }

    fn error(&self, name: &str) -> Option<String> {
        self.error.as_ref()?.of_field(name.trim_end_matches("[]"))
    }
}

/// A form that tells a server function something.
#[component]
pub fn Form(
    /// The address of the server function.
    #[prop(into)]
    to: String,
    /// Which of several forms with that address on a page.
    #[prop(optional, into)]
    which: String,
    /// Its look.
    #[prop(optional, into)]
    class: String,
    children: Children,
) -> impl IntoView {
    let flash = frame().flash.clone().filter(|flash| flash.to == to && flash.form == which);
    let prefix: Arc<str> = format!("{}{which}", to.trim_start_matches("/console/").replace('/', "-")).into();
    let (typed, error, once) = match flash {
        Some(Flash { values, outcome: Err(error), .. }) => (values, Some(error), None),
        Some(Flash { outcome: Ok(done), .. }) => (Vec::new(), None, done.once),
        None => (Vec::new(), None, None),
    };
    provide_context(FormState { prefix, error: error.clone(), typed: Arc::new(typed) });
    view! {
        <Sending error once inline=class.contains("inline")>
            <form method="post" action=to class=format!("form {class}") novalidate="">
                {(!which.is_empty()).then(|| view! { <input type="hidden" name=WHICH value=which/> })}
                {children()}
            </form>
        </Sending>
    }
}

/// Sends the form inside it in the background, marks the fields that need another look, and shows
/// what came of it.
#[island]
fn Sending(error: Option<AppError>, once: Option<Once>, inline: bool, children: Children) -> impl IntoView {
    // Counted, not owned: an island inside a part of the page that was waited for is drawn after its
    // owner is gone.
    let summary = ArcRwSignal::new(error.as_ref().and_then(summary_of));
    let once = ArcRwSignal::new(once);
    let pending = ArcRwSignal::new(false);
    let (shown_summary, shown_once) = (summary.clone(), once.clone());
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let Some(form) = event.target().and_then(|target| target.dyn_into::<HtmlFormElement>().ok()) else {
            return;
        };
        if pending.get_untracked() {
            return;
        }
        let button = event.submitter();
        let body = encode(&form, button.clone().map(JsValue::from));
        let address = button
            .as_ref()
            .and_then(|button| button.get_attribute("formaction"))
            .unwrap_or_else(|| form.get_attribute("action").unwrap_or_default());
        pending.set(true);
        busy(button.as_ref(), true);
        let (summary, once, pending) = (summary.clone(), once.clone(), pending.clone());
        spawn_local(async move {
            let outcome = post(&address, &body).await;
            pending.set(false);
            busy(button.as_ref(), false);
            mark(&form, outcome.as_ref().err());
            summary.set(outcome.as_ref().err().and_then(summary_of));
            if let Ok(done) = outcome {
                once.set(done.once.clone());
                after(done, &form);
            }
        });
    };
    view! {
        <div class=if inline { "sending inline" } else { "sending" } on:submit=submit>
            <div class="summary" role="alert">{move || shown_summary.get().map(|text| view! { <p>{text}</p> })}</div>
            {children()}
            <div class="once-region" aria-live="polite">{move || shown_once.get().map(once_panel)}</div>
        </div>
    }
}

/// What went wrong with the form as a whole. A field's own sentence stands at the field.
fn summary_of(error: &AppError) -> Option<String> {
    match error {
        AppError::Invalid(fields) => {
            fields.iter().find(|(field, _)| field.is_empty()).map(|(_, sentence)| sentence.clone())
        }
        error => Some(error.sentence()),
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
        toast::say(notice);
    }
    match done.go {
        Some(go) => visit(go, Visit::To),
        // What is shown once stays until somebody leaves the page.
        None if done.once.is_some() => {}
        None => {
            form.reset();
            visit(here_without_dialog(), Visit::Again);
        }
    }
}

/// Marks the fields that need another look, and brings the first one into focus.
fn mark(form: &HtmlFormElement, error: Option<&AppError>) {
    let fields = match error {
        Some(AppError::Invalid(fields)) => fields.as_slice(),
        _ => &[],
    };
    let mut first: Option<HtmlElement> = None;
    for field in elements(form, ".field") {
        let input = field.query_selector("input, select, textarea").ok().flatten();
        let Some(input) = input.and_then(|input| input.dyn_into::<HtmlElement>().ok()) else { continue };
        let name = input.get_attribute("name").unwrap_or_default();
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
    }
    if let Some(first) = first {
        let _ = first.focus();
    }
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

async fn post(address: &str, body: &str) -> Result<Done, AppError> {
    let broken = |cause: JsValue| {
        let text =
            cause.as_string().or_else(|| js_sys::Reflect::get(&cause, &"message".into()).ok()?.as_string());
        AppError::Network(text.unwrap_or_else(|| "no connection".to_owned()))
    };
    let headers = Headers::new().map_err(broken)?;
    headers.set("Accept", "application/json").map_err(broken)?;
    headers.set("Content-Type", "application/x-www-form-urlencoded").map_err(broken)?;
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_body(&JsValue::from_str(body));
    let response = JsFuture::from(window().fetch_with_str_and_init(address, &init)).await.map_err(broken)?;
    let response: Response = response.dyn_into().map_err(broken)?;
    let text = JsFuture::from(response.text().map_err(broken)?)
        .await
        .map_err(broken)?
        .as_string()
        .unwrap_or_default();
    if response.ok() {
        return serde_json::from_str(&text)
            .map_err(|_| AppError::Network("an answer that cannot be read".to_owned()));
    }
    Err(serde_json::from_str(&text)
        .unwrap_or_else(|_| AppError::Network(format!("status {}", response.status()))))
}

/// The label, the hint and the sentence around a field.
#[component]
fn Around(
    id: String,
    label: String,
    hint: String,
    error: Option<String>,
    #[prop(optional)] optional: bool,
    children: Children,
) -> impl IntoView {
    let (hint_id, error_id) = (format!("{id}-hint"), format!("{id}-error"));
    view! {
        <div class="field">
            <label for=id>{label}{optional.then(|| view! { <span class="muted">" optional"</span> })}</label>
            {children()}
            {(!hint.is_empty()).then(|| view! { <p class="hint" id=hint_id>{hint}</p> })}
            <p class="error" id=error_id>{error}</p>
        </div>
    }
}

/// A line of text.
#[component]
pub fn Field(
    /// The argument of the server function.
    name: &'static str,
    /// What it is called.
    #[prop(into)]
    label: String,
    /// What it starts with.
    #[prop(optional, into)]
    value: String,
    /// What helps to fill it in.
    #[prop(optional, into)]
    hint: String,
    /// `text`, `email`, `password`, `date`, `number`.
    #[prop(default = "text")]
    kind: &'static str,
    /// Whether it may be left empty.
    #[prop(optional)]
    optional: bool,
    /// For password managers.
    #[prop(default = "off")]
    autocomplete: &'static str,
    /// An example in it.
    #[prop(optional, into)]
    placeholder: String,
    /// `decimal` or `numeric`: which keyboard a phone shows.
    #[prop(optional)]
    inputmode: &'static str,
    /// Whether it is in mono: ids, addresses, secrets.
    #[prop(optional)]
    mono: bool,
    /// The id of a list of suggestions.
    #[prop(optional)]
    list: &'static str,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    let id = state.id(name);
    let error = state.error(name);
    let invalid = error.is_some().then_some("true");
    let value = if kind == "password" { String::new() } else { state.value(name, value) };
    let described =
        format!("{id}-error{}", if hint.is_empty() { String::new() } else { format!(" {id}-hint") });
    view! {
        <Around id=id.clone() label hint error optional>
            <input
                id=id name=name type=kind value=value autocomplete=autocomplete placeholder=placeholder
                inputmode=(!inputmode.is_empty()).then_some(inputmode)
                list=(!list.is_empty()).then_some(list)
                class=if mono { "mono" } else { "" }
                required=!optional
                aria-describedby=described
                aria-invalid=invalid
            />
        </Around>
    }
}

/// Several lines of text.
#[component]
pub fn TextArea(
    /// The argument of the server function.
    name: &'static str,
    /// What it is called.
    #[prop(into)]
    label: String,
    /// What it starts with.
    #[prop(optional, into)]
    value: String,
    /// What helps to fill it in.
    #[prop(optional, into)]
    hint: String,
    /// Whether it may be left empty.
    #[prop(optional)]
    optional: bool,
    /// How many lines it shows.
    #[prop(default = 3)]
    rows: u32,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    let id = state.id(name);
    let error = state.error(name);
    let invalid = error.is_some().then_some("true");
    let value = state.value(name, value);
    let described =
        format!("{id}-error{}", if hint.is_empty() { String::new() } else { format!(" {id}-hint") });
    view! {
        <Around id=id.clone() label hint error optional>
            <textarea id=id name=name rows=rows.to_string() aria-describedby=described aria-invalid=invalid>{value}</textarea>
        </Around>
    }
}

/// One of several.
#[component]
pub fn Select(
    /// The argument of the server function.
    name: &'static str,
    /// What it is called.
    #[prop(into)]
    label: String,
    /// Value and label of each choice.
    options: Vec<(String, String)>,
    /// The one it starts with.
    #[prop(optional, into)]
    value: String,
    /// What helps to choose.
    #[prop(optional, into)]
    hint: String,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    let id = state.id(name);
    let error = state.error(name);
    let invalid = error.is_some().then_some("true");
    let value = state.value(name, value);
    let described =
        format!("{id}-error{}", if hint.is_empty() { String::new() } else { format!(" {id}-hint") });
    let options = options
        .into_iter()
        .map(|(key, label)| {
            let chosen = key == value;
            view! { <option value=key selected=chosen>{label}</option> }
        })
        .collect_view();
    view! {
        <Around id=id.clone() label hint error>
            <select id=id name=name aria-describedby=described aria-invalid=invalid>{options}</select>
        </Around>
    }
}

/// A box to tick. Several with one `name[]` make a list.
#[component]
pub fn Check(
    /// The argument of the server function.
    name: &'static str,
    /// What ticking it says.
    #[prop(into)]
    label: String,
    /// What is sent when it is ticked.
    #[prop(default = "true".to_owned(), into)]
    value: String,
    /// Whether it is ticked at the start.
    #[prop(optional)]
    checked: bool,
    /// What helps to decide.
    #[prop(optional, into)]
    hint: String,
) -> impl IntoView {
    let state = expect_context::<FormState>();
    let checked = state.ticked(name, &value, checked);
    view! {
        <label class="check">
            <input type="checkbox" name=name value=value checked=checked/>
            <span>{label}{(!hint.is_empty()).then(|| view! { <span class="hint">{hint}</span> })}</span>
        </label>
    }
}

/// A value that goes along unseen.
#[component]
pub fn Hidden(
    /// The argument of the server function.
    name: &'static str,
    /// The value.
    #[prop(into)]
    value: String,
) -> impl IntoView {
    view! { <input type="hidden" name=name value=value/> }
}

/// The button that sends a form.
#[component]
pub fn Submit(
    /// What it does.
    #[prop(into)]
    label: String,
    /// `go` for the main thing, `danger` for what cannot be undone.
    #[prop(default = "go")]
    look: &'static str,
    /// Another address, for a form with two ends.
    #[prop(optional)]
    to: &'static str,
) -> impl IntoView {
    view! { <button class=format!("btn {look}") formaction=(!to.is_empty()).then_some(to)>{label}</button> }
}
