//! Forms. Each works without script: the browser posts it, the server answers with a page. With
//! script the same post is sent in the background, and what was typed stays where it is.

use std::sync::{Arc, Mutex};

use leptos::prelude::*;

use super::{context::frame, query, sending::Sending};
use crate::{
    error::AppError,
    frame::{Asked, Flash, ORG, Once, PAGE, WHICH},
};

/// What the fields of a form share while it is drawn. A field outside of every form has none of it.
#[derive(Clone, Default)]
struct FormState {
    /// Begins the ids of its fields.
    prefix: Arc<str>,
    /// What the last try came to.
    error: Option<AppError>,
    /// What was typed in that try.
    typed: Arc<Vec<(String, String)>>,
    /// Whether it comes back from a rehearsal: then it is still about what it was drafted from.
    back: bool,
    /// Fields that show their own error.
    shown: Arc<Mutex<Vec<String>>>,
}

impl FormState {
    /// That of the form around.
    fn here() -> Self {
        use_context().unwrap_or_default()
    }

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

    /// What somebody else saved meanwhile, if it is not what was typed.
    fn theirs(&self, typed: &str, now: &str) -> Option<String> {
        (self.error == Some(AppError::Stale) && typed != now).then(|| match now {
            "" => "Somebody else left this empty.".to_owned(),
            now => format!("Somebody else saved: {now}"),
        })
    }

    fn id(&self, name: &str) -> String {
        format!("{}-{}", self.prefix, name.trim_end_matches("[]"))
    }

    /// What is wrong with a field, for the field to show.
    fn error(&self, name: &str) -> Option<String> {
        let name = name.trim_end_matches("[]");
        if let Ok(mut shown) = self.shown.lock() {
            shown.push(name.to_owned());
        }
        self.error.as_ref()?.of_field(name)
    }

    /// What is wrong with the form as a whole, or with what it does not show a field for.
    fn summary(&self) -> Option<String> {
        let shown = self.shown.lock().map(|shown| shown.clone()).unwrap_or_default();
        let error = self.error.as_ref()?;
        let text = error.summary(|name| shown.iter().any(|field| field == name))?;
        Some(match use_context::<Asked>() {
            Some(Asked { id, .. }) if error.is_ours() => format!("{text} Request {id}."),
            _ => text,
        })
    }
}

/// What was typed into a field of the form around that needs another look.
pub(super) fn refused(name: &str) -> Option<String> {
    let state = FormState::here();
    state.error.as_ref()?.of_field(name)?;
    state.typed.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone())
}

/// What was typed into the form around, if it was sent before.
pub fn typed() -> Arc<Vec<(String, String)>> {
    FormState::here().typed
}

/// Whether somebody else saved what the form around is about while it was filled in.
pub fn stale() -> bool {
    FormState::here().error == Some(AppError::Stale)
}

/// What a form shows before the server has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AtOnce {
    /// Nothing.
    #[default]
    Nothing,
    /// The line it stands in is gone.
    Gone,
    /// Its button says this.
    Turned(&'static str),
    /// What is chosen in it stands in the list with this id.
    Listed(&'static str),
}

impl AtOnce {
    const fn word(&self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Gone => Some("gone"),
            Self::Turned(_) => Some("turned"),
            Self::Listed(_) => Some("listed"),
        }
    }

    const fn text(&self) -> Option<&'static str> {
        match self {
            Self::Turned(text) | Self::Listed(text) => Some(text),
            Self::Nothing | Self::Gone => None,
        }
    }
}

/// A form that tells a server function something.
#[component]
pub fn Form(
    /// The address of the server function.
    #[prop(into)]
    to: String,
    /// The other server function of a form with two ends.
    #[prop(optional)]
    also: &'static str,
    /// Which of several forms with that address on a page.
    #[prop(optional, into)]
    which: String,
    /// Its look.
    #[prop(optional, into)]
    class: String,
    /// Its id, for fields that stand elsewhere on the page.
    #[prop(optional)]
    id: &'static str,
    /// Whether a file goes along.
    #[prop(optional)]
    file: bool,
    /// What shows at once, before the server has answered, and is taken back where it refuses.
    #[prop(optional)]
    at_once: AtOnce,
    children: Children,
) -> impl IntoView {
    let flash = frame().flash.clone();
    // A page that answers a form stands at the form's address: the next one has to say where it is.
    let page = flash.as_ref().map(|flash| flash.page.clone());
    let flash = flash.filter(|flash| (flash.to == to || flash.to == also) && flash.form == which);
    let org = frame().here().map(|here| here.org.to_string());
    let prefix: Arc<str> = format!("{}{which}", to.trim_start_matches("/console/").replace('/', "-")).into();
    let back = flash.is_none();
    let (typed, error, once) = match flash {
        Some(Flash { values, outcome: Err(error), .. }) => (values, Some(error), None),
        // It showed something, and stays as it is: a connection that was tried is added next.
        Some(Flash { values, outcome: Ok(done), .. }) => (values, None, done.once),
        None => (typed_before(&to, also), None, None),
    };
    // The fields hold what was filled in: it does not stand in the page twice.
    let once = once.map(|once| match once {
        Once::Difference { sentence, lines, .. } => Once::Difference { sentence, lines, values: Vec::new() },
        once => once,
    });
    let state = FormState { prefix, error, typed: Arc::new(typed), back, shown: Arc::default() };
    // Of these fields alone: what comes behind the form is not in it.
    let owner = Owner::new();
    let fields = owner.with(|| {
        provide_context(state.clone());
        children()
    });
    Owner::on_cleanup(move || drop(owner));
    view! {
        <Sending summary=state.summary() once inline=class.contains("inline")>
            <form method="post" action=to id=(!id.is_empty()).then_some(id) class=format!("form {class}") data-at-once=at_once.word() data-then=at_once.text() novalidate="" enctype=file.then_some("multipart/form-data")>
                {(!which.is_empty()).then(|| view! { <input type="hidden" name=WHICH value=which/> })}
                {page.map(|page| view! { <input type="hidden" name=PAGE value=page/> })}
                {org.map(|org| view! { <input type="hidden" name=ORG value=org/> })}
                {fields}
            </form>
        </Sending>
    }
}

/// What was typed into a form before its draft was rehearsed: the way back brings it along. Only
/// forms whose drafts can be rehearsed take it.
fn typed_before(to: &str, also: &str) -> Vec<(String, String)> {
    if !also.starts_with("/console/rehearsals/") {
        return Vec::new();
    }
    let typed: Vec<(String, String)> = serde_json::from_str(&query::value("typed")).unwrap_or_default();
    let here = typed.iter().any(|(name, value)| name == "_to" && value == to);
    if here { typed } else { Vec::new() }
}

/// The label, the hint and the sentence around a field.
#[component]
fn Around(
    id: String,
    label: String,
    hint: String,
    error: Option<String>,
    theirs: Option<String>,
    #[prop(optional)] optional: bool,
    children: Children,
) -> impl IntoView {
    let (hint_id, error_id) = (format!("{id}-hint"), format!("{id}-error"));
    view! {
        <div class="field">
            <label for=id>{label}{optional.then(|| view! { <span class="muted">" optional"</span> })}</label>
            {children()}
            {(!hint.is_empty()).then(|| view! { <p class="hint" id=hint_id>{hint}</p> })}
            {theirs.map(|theirs| view! { <p class="theirs">{theirs}</p> })}
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
    let state = FormState::here();
    let id = state.id(name);
    let error = state.error(name);
    let invalid = error.is_some().then_some("true");
    let now = value;
    let value = if kind == "password" { String::new() } else { state.value(name, now.clone()) };
    let theirs = state.theirs(&value, &now).filter(|_| kind != "password");
    let described =
        format!("{id}-error{}", if hint.is_empty() { String::new() } else { format!(" {id}-hint") });
    view! {
        <Around id=id.clone() label hint error theirs optional>
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
    let state = FormState::here();
    let id = state.id(name);
    let error = state.error(name);
    let invalid = error.is_some().then_some("true");
    let now = value;
    let value = state.value(name, now.clone());
    let theirs = state.theirs(&value, &now);
    let described =
        format!("{id}-error{}", if hint.is_empty() { String::new() } else { format!(" {id}-hint") });
    view! {
        <Around id=id.clone() label hint error theirs optional>
            <textarea id=id name=name rows=rows.to_string() aria-describedby=described aria-invalid=invalid>{value}</textarea>
        </Around>
    }
}

/// A file to bring along.
#[component]
pub fn FileField(
    /// The argument of the server function that gets its text.
    name: &'static str,
    /// What it is called.
    #[prop(into)]
    label: String,
    /// What helps to choose.
    #[prop(optional, into)]
    hint: String,
    /// Which kinds are offered: `.json`.
    accept: &'static str,
) -> impl IntoView {
    let state = FormState::here();
    let id = state.id(name);
    let error = state.error(name);
    let invalid = error.is_some().then_some("true");
    let described =
        format!("{id}-error{}", if hint.is_empty() { String::new() } else { format!(" {id}-hint") });
    view! {
        <Around id=id.clone() label hint error theirs=None>
            <input id=id name=name type="file" accept=accept aria-describedby=described aria-invalid=invalid/>
        </Around>
    }
}

/// One of several.
#[component]
pub fn Select(
    /// The argument of the server function.
    #[prop(into)]
    name: String,
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
    let state = FormState::here();
    let id = state.id(&name);
    let error = state.error(&name);
    let invalid = error.is_some().then_some("true");
    let chosen = |key: &str| options.iter().find(|(known, _)| known == key).or(options.first());
    let now = chosen(&value).map(|(_, label)| label.trim().to_owned()).unwrap_or_default();
    let value = state.value(&name, value);
    let theirs =
        state.theirs(&chosen(&value).map(|(_, label)| label.trim().to_owned()).unwrap_or_default(), &now);
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
        <Around id=id.clone() label hint error theirs>
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
    let state = FormState::here();
    let now = checked;
    let checked = state.ticked(name, &value, now);
    let word = |ticked| if ticked { "ticked" } else { "not ticked" };
    let theirs = state.theirs(word(checked), word(now));
    view! {
        <label class="check">
            <input type="checkbox" name=name value=value checked=checked/>
            <span>
                {label}{(!hint.is_empty()).then(|| view! { <span class="hint">{hint}</span> })}
                {theirs.map(|theirs| view! { <span class="theirs">{theirs}</span> })}
            </span>
        </label>
    }
}

/// Fields that are folded away until one of them holds something or is wrong.
#[component]
pub fn Folded(
    /// What is folded away.
    label: &'static str,
    /// The names of its fields.
    names: Vec<&'static str>,
    children: Children,
) -> impl IntoView {
    let state = FormState::here();
    let holds = |name: &&str| !state.value(name, String::new()).is_empty();
    let wrong = |name: &&str| state.error.as_ref().is_some_and(|error| error.of_field(name).is_some());
    let open = names.iter().any(|name| holds(name) || wrong(name));
    view! {
        <details class="folded" open=open>
            <summary>{label}</summary>
            <div class="form">{children()}</div>
        </details>
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
    let state = FormState::here();
    let value = if state.back && name == "version" { state.value(name, value) } else { value };
    view! { <input type="hidden" name=name value=value/> }
}

/// A value that an answer fills in and the next try sends along.
#[component]
pub fn Kept(
    /// The argument of the server function.
    name: &'static str,
) -> impl IntoView {
    let value = FormState::here().value(name, String::new());
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
    /// What it says while it runs, where that takes long.
    #[prop(optional, into)]
    running: String,
) -> impl IntoView {
    let to = (!to.is_empty()).then_some(to);
    if running.is_empty() {
        return view! { <button class=format!("btn {look}") formaction=to>{label}</button> }.into_any();
    }
    view! {
        <button class=format!("btn {look}") formaction=to>
            <span class="at-rest">{label}</span><span class="while-busy">{running}</span>
        </button>
    }
    .into_any()
}
