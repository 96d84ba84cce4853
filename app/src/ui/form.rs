//! Forms. Each works without script: the browser posts it, the server answers with a page. With
//! script the same post is sent in the background, and what was typed stays where it is.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use leptos::prelude::*;

use super::{context::frame, query, sending::Sending};
use crate::{
    error::AppError,
    frame::{Asked, Flash, ORG, Once, PAGE, WAS, WHICH},
};

/// What the fields of a form share while it is drawn. A field outside of every form has none of it.
#[derive(Clone, Default)]
struct FormState {
    /// Begins the ids of its fields.
    prefix: Arc<str>,
    /// What the last try came to.
    error: Option<AppError>,
    /// Who was first where somebody was, as the subject of a sentence; none: that is not known.
    first: Option<Arc<str>>,
    /// What was typed in that try.
    typed: Arc<Vec<(String, String)>>,
    /// Whether it comes back from a rehearsal: then it is still about what it was drafted from.
    back: bool,
    /// What the fields held when what was typed was begun, as far as it is known.
    was: Option<Arc<Vec<(String, String)>>>,
    /// Fields that show their own error.
    shown: Arc<Mutex<Vec<String>>>,
    /// Whether one of them holds something else than what somebody else saved in it.
    conflicts: Arc<AtomicBool>,
    /// What the fields start with now.
    holds: Arc<Mutex<Vec<(String, String)>>>,
}

impl FormState {
    /// That of the form around.
    fn here() -> Self {
        use_context().unwrap_or_default()
    }

    /// Whether a field was left as it was when somebody sent the form; none: that is not known.
    fn left_alone(&self, was: &str, typed: &str) -> Option<bool> {
        let compares = self.was.is_some() && self.error.is_some() && !self.back;
        compares.then_some(was == typed)
    }

    fn hold(&self, name: &str, now: &str) {
        if let Ok(mut holds) = self.holds.lock() {
            holds.push((name.to_owned(), now.to_owned()));
        }
    }

    fn held(&self, name: &str) -> Option<&str> {
        let was = self.was.as_ref()?.iter().find(|(field, _)| field == name);
        was.map(|(_, value)| value.as_str())
    }

    /// What a field shows, and what somebody else saved in it meanwhile. What was typed stays; a field that
    /// was left alone shows what they saved: who saves again changes nothing that they did not touch.
    fn merged(&self, name: &str, now: &str, say: impl Fn(&str) -> String) -> (String, Option<String>) {
        self.hold(name, now);
        self.compared(name, now, say)
    }

    fn compared(&self, name: &str, now: &str, say: impl Fn(&str) -> String) -> (String, Option<String>) {
        let Some((_, typed)) = self.typed.iter().find(|(field, _)| field == name) else {
            return (now.to_owned(), None);
        };
        let Some(was) = self.held(name) else {
            return (typed.clone(), self.theirs(&say(typed), &say(now)));
        };
        match self.left_alone(was, typed) {
            Some(true) if was != now => (now.to_owned(), Some(self.changed_to(&say(was)))),
            Some(true) => (now.to_owned(), None),
            Some(false) if was != now => (typed.clone(), self.theirs(&say(typed), &say(now))),
            Some(false) => (typed.clone(), None),
            None => (typed.clone(), self.theirs(&say(typed), &say(now))),
        }
    }

    /// The same of a part with several fields: whether what was chosen there stays.
    fn merged_part(&self, name: &str, chosen: Option<&str>, now: &str) -> (bool, Option<String>) {
        self.hold(name, now);
        let Some(chosen) = chosen else {
            return (false, None);
        };
        match self.held(name).map(|was| (was, self.left_alone(was, chosen))) {
            Some((was, Some(true))) => (false, (was != now).then(|| self.changed_to(was))),
            Some((was, Some(false))) if was == now => (true, None),
            _ => (true, self.theirs(chosen, now)),
        }
    }

    /// The same of a box.
    fn merged_box(&self, name: &str, value: &str, now: bool) -> (bool, Option<String>) {
        let plain = name.trim_end_matches("[]");
        if now {
            self.hold(plain, value);
        }
        let word = |ticked| if ticked { "ticked" } else { "not ticked" };
        let typed = self.ticked(name, value, now);
        let Some(held) = self.was.as_ref().filter(|_| !self.typed.is_empty()) else {
            return (typed, self.theirs(word(typed), word(now)));
        };
        let was = held.iter().any(|(field, held)| field == plain && held == value);
        match self.left_alone(word(was), word(typed)) {
            Some(true) if was != now => (now, Some(self.changed_to(word(was)))),
            Some(true) => (now, None),
            Some(false) if was == now => (typed, None),
            Some(false) | None => (typed, self.theirs(word(typed), word(now))),
        }
    }

    /// What the fields hold as the form is drawn, for the next try to be compared with.
    fn holds(&self) -> String {
        if self.back
            && let Some(was) = &self.was
        {
            return serde_json::to_string(&**was).unwrap_or_default();
        }
        let holds = self.holds.lock().map(|holds| holds.clone()).unwrap_or_default();
        serde_json::to_string(&holds).unwrap_or_default()
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
        (self.error == Some(AppError::Stale) && typed != now).then(|| {
            self.conflicts.store(true, Ordering::Relaxed);
            let who = self.who();
            match now {
                "" => format!("{who} left this empty."),
                now => format!("{who} saved: {now}"),
            }
        })
    }

    /// What is said of it where there is room for less, or where less is to be said: fields were changed that
    /// whoever sent the form left alone.
    fn stale(&self, narrow: bool) -> Option<String> {
        let conflicts = self.conflicts.load(Ordering::Relaxed);
        match self.error {
            Some(AppError::Stale) if narrow => {
                Some(format!("{} changed this. Save again for yours.", self.who()))
            }
            Some(AppError::Stale) if !conflicts && self.was.is_some() && self.held_version() => {
                Some(format!("{} changed other fields meanwhile; they are here too. Save again.", self.who()))
            }
            Some(AppError::Stale) => Some(AppError::stale(self.who())),
            _ => None,
        }
    }

    /// Who was first.
    fn who(&self) -> &str {
        self.first.as_deref().unwrap_or("Somebody else")
    }

    fn changed_to(&self, was: &str) -> String {
        let who = self.who();
        match was {
            "" => format!("{who} filled this in: it was empty."),
            was => format!("{who} changed this: it was {was}."),
        }
    }

    /// Whether one of its fields is the version of what it is about.
    fn held_version(&self) -> bool {
        self.holds.lock().is_ok_and(|holds| holds.iter().any(|(name, _)| name == "version"))
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

/// What a field of the form around shows, and nothing more: for what is drawn along with it.
pub fn shown(name: &str, now: &str) -> String {
    FormState::here().compared(name, now, str::to_owned).0
}

/// What a part of the form around with fields of its own shows: whether what was chosen there stays, and
/// what somebody else saved in it meanwhile. `chosen` and `now` in the same words; no `chosen`: the form
/// was not sent, or did not have that part.
pub fn merged_part(name: &str, chosen: Option<&str>, now: &str) -> (bool, Option<String>) {
    FormState::here().merged_part(name, chosen, now)
}

/// Whether the form around was refused because of its consequence, or because of what is so by now: it says
/// what that is, and asks.
pub fn asked() -> bool {
    matches!(FormState::here().error, Some(AppError::Changed(_) | AppError::Meanwhile(_)))
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
    /// Whether the answer is a page of its own, with script too: one that the form is not on any more.
    #[prop(optional)]
    whole: bool,
    /// The page that is made anew where it is refused, for a form that has no room to say why.
    #[prop(optional, into)]
    asks_on: String,
    /// What shows at once, before the server has answered, and is taken back where it refuses.
    #[prop(optional)]
    at_once: AtOnce,
    children: Children,
) -> impl IntoView {
    let flash = frame().flash.clone();
    // A page that answers a form stands at the form's address: the next one has to say where it is.
    let page = flash.as_ref().map(|flash| flash.page.clone());
    let page = if asks_on.is_empty() { page } else { Some(asks_on) };
    let flash = flash.filter(|flash| (flash.to == to || flash.to == also) && flash.form == which);
    let org = frame().here().map(|here| here.org.to_string());
    let prefix: Arc<str> = format!("{}{which}", to.trim_start_matches("/console/").replace('/', "-")).into();
    let back = flash.is_none();
    let first = flash.as_ref().and_then(|flash| flash.first.as_deref().map(Arc::from));
    let (typed, error, once) = match flash {
        Some(Flash { values, outcome: Err(error), .. }) => (values, Some(error), None),
        // It showed something, and stays as it is: a connection that was tried is added next.
        Some(Flash { values, outcome: Ok(done), .. }) => (values, None, done.once),
        None => (typed_before(&to, also), None, None),
    };
    // The page shows it, and the fields hold what was filled in: it does not stand in the page twice.
    let once = once.filter(|once| !matches!(once, Once::Difference { .. }));
    let said = typed.iter().find(|(name, _)| name == WAS);
    let was = said.and_then(|(_, json)| serde_json::from_str(json).ok()).map(Arc::new);
    let state = FormState {
        prefix,
        error,
        first,
        typed: Arc::new(typed),
        back,
        was,
        shown: Arc::default(),
        conflicts: Arc::default(),
        holds: Arc::default(),
    };
    // Of these fields alone: what comes behind the form is not in it.
    let owner = Owner::new();
    let fields = owner.with(|| {
        provide_context(state.clone());
        children()
    });
    Owner::on_cleanup(move || drop(owner));
    // Only what has a version can be changed by somebody else meanwhile.
    let holds = state.held_version().then(|| view! { <input type="hidden" name=WAS value=state.holds()/> });
    view! {
        <Sending summary=state.stale(class.contains("cell-form")).or_else(|| state.summary()) once inline=class.contains("inline")>
            <form method="post" action=to id=(!id.is_empty()).then_some(id) class=format!("form {class}") data-at-once=at_once.word() data-then=at_once.text() novalidate="" enctype=(file || whole).then_some("multipart/form-data")>
                {(!which.is_empty()).then(|| view! { <input type="hidden" name=WHICH value=which/> })}
                {page.map(|page| view! { <input type="hidden" name=PAGE value=page/> })}
                {org.map(|org| view! { <input type="hidden" name=ORG value=org/> })}
                {fields}
                {holds}
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
            {match error {
                Some(error) if error.contains('\n') => view! { <div class="error" id=error_id>{listed(&error)}</div> }.into_any(),
                error => view! { <p class="error" id=error_id>{error}</p> }.into_any(),
            }}
        </div>
    }
}

/// A sentence; what stands on lines of its own after it is a list.
pub(super) fn listed(text: &str) -> impl IntoView + use<> {
    let mut lines = text.lines().map(str::to_owned);
    let sentence = lines.next();
    let lines = lines.map(|line| view! { <li>{line}</li> }).collect::<Vec<_>>();
    view! {
        <p>{sentence}</p>
        {(!lines.is_empty()).then(|| view! { <ul class="listed">{lines}</ul> })}
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
    let (value, theirs) = match kind {
        "password" => (String::new(), None),
        _ => state.merged(name, &value, str::to_owned),
    };
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
    let (value, theirs) = state.merged(name, &value, str::to_owned);
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
    // What the browser would send of it untouched.
    let value = chosen(&value).map_or(value, |(key, _)| key.clone());
    let label_of = |key: &str| chosen(key).map(|(_, label)| label.trim().to_owned()).unwrap_or_default();
    let (value, theirs) = state.merged(&name, &value, label_of);
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
    let (checked, theirs) = state.merged_box(name, &value, checked);
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
    if name == "version" {
        state.hold(name, &value);
    }
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

/// What the last try was refused with because of its consequence: sending the form again with it says that
/// this was read, and is meant.
#[component]
pub fn Consent(
    /// The argument of the server function.
    name: &'static str,
) -> impl IntoView {
    let value = match FormState::here().error {
        Some(AppError::Changed(sentence)) => sentence,
        _ => String::new(),
    };
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
