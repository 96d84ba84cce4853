//! What is done when a model of a policy fails: a fold for each line of the list. With script there
//! are as many as lines are written, and each goes along with its line. Without it a new policy has
//! some for the places of the list, and a saved one those of its models and some for models that are
//! added.

use domain::policies::{Policy, StepRules, Trouble, follow, written};
use leptos::{html, prelude::*};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlTextAreaElement};

use super::steps_text;
use crate::ui::form;

/// The places of a list for which something can be said before anything is written.
const PLACES: [&str; 8] = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"];
/// How many models can be added to a saved policy with something said of each at once.
const ADDED: usize = 3;
/// Seconds one can choose, beside what was said elsewhere.
const WAITS: [u16; 7] = [5, 10, 20, 30, 60, 120, 300];

/// What is said of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    /// What its fields say they are about: a model's name, or `#2`, a place of the list, or `#+1`, a place
    /// among those that are new in it.
    about: String,
    /// The same for people.
    called: String,
    /// What is chosen.
    rules: StepRules,
    /// What somebody else saved meanwhile.
    theirs: Option<String>,
}

/// What the form around says of a model, if it was sent before.
fn said(typed: &[(String, String)], about: &str) -> Option<StepRules> {
    let words = |field: &'static str| {
        typed.iter().filter(move |(name, _)| name.split('[').next() == Some(field)).filter_map(
            move |(_, line)| line.rsplit_once(' ').filter(|(of, _)| *of == about).map(|(_, word)| word),
        )
    };
    Some(StepRules {
        attempts: words("attempts").next()?.parse().ok()?,
        first_byte: words("first_byte").next().and_then(|word| word.parse().ok()),
        after: words("after").filter_map(|word| word.parse().ok()).collect(),
    })
}

/// What is said of one line, for people.
fn in_words(rules: StepRules) -> String {
    Some(rules.words()).filter(|words| !words.is_empty()).unwrap_or_else(|| "what is usual".to_owned())
}

/// The list of models, and what is done when each of them fails.
#[component]
pub fn Steps(
    /// Begins the ids of its fields.
    prefix: String,
    /// None: it is being made.
    policy: Option<Policy>,
    /// The list.
    children: Children,
) -> impl IntoView {
    let typed = form::typed();
    let text = form::shown("steps", &policy.as_ref().map(steps_text).unwrap_or_default());
    let lines: Vec<&str> = written(&text).map(|(name, _)| name).collect();
    let is_saved = |name: &str| {
        policy.as_ref().is_some_and(|policy| policy.steps.iter().any(|(_, known, _)| known == name))
    };
    let added = |place: usize| lines[..place.min(lines.len())].iter().filter(|name| !is_saved(name)).count();
    let places = match policy {
        None => lines.len().max(PLACES.len()),
        Some(_) => lines.len() + ADDED.saturating_sub(added(lines.len())),
    };
    let saved = |name: &str| {
        let policy = policy.as_ref()?;
        let (id, ..) = policy.steps.iter().find(|(_, known, _)| known == name)?;
        Some(policy.rules.get(id).copied().unwrap_or_default())
    };
    let fold = |place: usize| {
        let name = lines.get(place).copied();
        let (by_place, elsewhere) = match (&policy, place.checked_sub(lines.len())) {
            (None, _) => {
                let called = PLACES.get(place).map(|place| format!("the {place} model of the list"));
                (format!("#{}", place + 1), called)
            }
            (Some(_), beyond) => {
                let place = added(lines.len().min(place)) + beyond.unwrap_or_default();
                let called = PLACES.get(place).map(|place| format!("the {place} model you add"));
                (format!("#+{}", place + 1), called)
            }
        };
        let called = name.map(str::to_owned).or(elsewhere);
        let saved = name.and_then(saved);
        let chosen = name.and_then(|name| Some((name.to_owned(), said(&typed, name)?)));
        let (stays, theirs) = match name.zip(saved) {
            Some((name, saved)) => {
                let chosen = chosen.as_ref().map(|(_, rules)| in_words(*rules));
                form::merged_part(&format!("rules of {name}"), chosen.as_deref(), &in_words(saved))
            }
            None => (true, None),
        };
        let named = chosen.filter(|_| stays);
        let new = policy.is_none() || !name.is_some_and(&is_saved);
        let placed = said(&typed, &by_place).filter(|_| new).map(|rules| (by_place.clone(), rules));
        // Before anything was sent, the fields of a new policy are about places: nothing is written yet.
        let unsaid = || (name.map_or(by_place, str::to_owned), saved.unwrap_or_default());
        let (about, rules) = named.or(placed).unwrap_or_else(unsaid);
        Fold { about, called: called.unwrap_or_default(), rules, theirs }
    };
    let folds = (0..places).map(fold).collect();
    view! { <StepFolds prefix folds>{children()}</StepFolds> }
}

/// A fold on the page.
#[derive(Clone)]
struct Live {
    id: usize,
    place: ArcRwSignal<usize>,
    about: ArcRwSignal<String>,
    called: ArcRwSignal<String>,
    rules: StepRules,
    theirs: Option<String>,
}

impl Live {
    fn new(id: usize, place: usize, fold: Fold) -> Self {
        Self {
            id,
            place: ArcRwSignal::new(place),
            about: ArcRwSignal::new(fold.about),
            called: ArcRwSignal::new(fold.called),
            rules: fold.rules,
            theirs: fold.theirs,
        }
    }

    /// Is about this line from now on. What was chosen stays.
    fn goes_to(&self, place: usize, name: &str) {
        self.place.set(place);
        self.about.set(name.to_owned());
        self.called.set(name.to_owned());
    }
}

/// Keeps the folds beside the lines that are written into the list before them.
#[island]
fn StepFolds(prefix: String, folds: Vec<Fold>, children: Children) -> impl IntoView {
    let live: Vec<Live> =
        folds.into_iter().enumerate().map(|(place, fold)| Live::new(place, place, fold)).collect();
    // Counted, not owned: an island inside a part of the page that was waited for is drawn after its
    // owner is gone.
    let next = ArcRwSignal::new(live.len());
    let shown = ArcRwSignal::new(live);
    let node = NodeRef::<html::Div>::new();
    let read = {
        let shown = shown.clone();
        move |node: &Element| {
            let list = node.query_selector("textarea").ok().flatten();
            let Some(list) = list.and_then(|list| list.dyn_into::<HtmlTextAreaElement>().ok()) else {
                return;
            };
            let text = list.value();
            let lines: Vec<&str> = written(&text).map(|(name, _)| name).collect();
            let known = shown.get_untracked();
            let names: Vec<String> = known.iter().map(|fold| fold.called.get_untracked()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let fold = |(place, (name, from)): (usize, (&&str, Option<usize>))| {
                let fold = from.and_then(|from| known.get(from)).cloned().unwrap_or_else(|| {
                    let id = next.get_untracked();
                    next.set(id + 1);
                    let fold = Fold {
                        about: String::new(),
                        called: String::new(),
                        rules: StepRules::default(),
                        theirs: None,
                    };
                    Live::new(id, place, fold)
                });
                fold.goes_to(place, name);
                fold
            };
            let now: Vec<Live> = lines.iter().zip(follow(&names, &lines)).enumerate().map(fold).collect();
            if now.iter().map(|fold| fold.id).ne(known.iter().map(|fold| fold.id)) {
                shown.set(now);
            }
        }
    };
    let at_first = read.clone();
    Effect::new(move || {
        if let Some(node) = node.get() {
            at_first(&node);
        }
    });
    let changed = move |_| {
        if let Some(node) = node.get_untracked() {
            read(&node);
        }
    };
    let (any, each) = (shown.clone(), shown);
    let hint = move || {
        if any.with(Vec::is_empty) {
            "Write a model, and what is done when it fails is said here."
        } else {
            "Each model is tried once, and every failure leads to the next, unless you say otherwise:"
        }
    };
    view! {
        <div class="step-folds" node_ref=node on:input=changed>
            {children()}
            <p class="hint">{hint}</p>
            <For each=move || each.get() key=|fold| fold.id let(fold)>{one(&prefix, fold)}</For>
        </div>
    }
}

/// One fold.
fn one(prefix: &str, fold: Live) -> impl IntoView + use<> {
    let Live { id, place, about, called, rules, theirs } = fold;
    let id = |field: &str| format!("{prefix}-{field}-{id}");
    let title = move || format!("When {} fails", called.get());
    let words = rules.words();
    let valued = |word: String| {
        let about = about.clone();
        move || format!("{} {word}", about.get())
    };
    let attempts = (1..=StepRules::ATTEMPTS_MAX).map(|times| {
        let label = if times == 1 { "Once".to_owned() } else { format!("Up to {times} times") };
        view! { <option value=valued(times.to_string()) selected=times == rules.attempts>{label}</option> }
    });
    let mut waits: Vec<u16> = WAITS.into_iter().chain(rules.first_byte).collect();
    waits.sort_unstable();
    waits.dedup();
    let waits = waits.into_iter().map(|wait| {
        let chosen = rules.first_byte == Some(wait);
        view! { <option value=valued(wait.to_string()) selected=chosen>{format!("{wait} seconds")}</option> }
    });
    let troubles = Trouble::ALL.iter().map(|trouble| {
        let ticked = rules.after.has(*trouble);
        view! {
            <label class="check">
                <input type="checkbox" name="after[]" value=valued(trouble.to_string()) checked=ticked/>
                <span>{trouble.label()}</span>
            </label>
        }
    });
    let (at, named_attempts, named_wait) = (place.clone(), id("attempts"), id("first-byte"));
    let hint = id("attempts-hint");
    view! {
        <details class="step-rules">
            <summary>{title.clone()}{(!words.is_empty()).then(|| view! { <span class="muted">{format!(" · {words}")}</span> })}</summary>
            {theirs.map(|theirs| view! { <p class="theirs">{theirs}</p> })}
            <fieldset>
                <legend class="sr">{title}</legend>
                <div class="pair">
                    <div class="field">
                        <label for=named_attempts.clone()>"It is tried"</label>
                        <select id=named_attempts name=move || format!("attempts[{}]", at.get()) aria-describedby=hint.clone()>{attempts.collect_view()}</select>
                        <p class="hint" id=hint>"Again only where nothing was executed: no connection, 429, 503, 529."</p>
                    </div>
                    <div class="field">
                        <label for=named_wait.clone()>"Its answer has to begin within"</label>
                        <select id=named_wait name=move || format!("first_byte[{}]", place.get())>
                            <option value=valued("-".to_owned()) selected=rules.first_byte.is_none()>"As its provider says"</option>
                            {waits.collect_view()}
                        </select>
                    </div>
                </div>
                <p class="label">"The next model is asked when"</p>
                <div class="checks">{troubles.collect_view()}</div>
                <p class="hint">"Any other failure is what the caller gets. Once an answer has begun, nobody else is asked."</p>
            </fieldset>
        </details>
    }
}
