//! Going to another page of the console without losing this one first: the page is fetched, and
//! its content put in place. Whatever goes wrong, the browser goes there by itself.

use std::cell::{Cell, RefCell};

use leptos::{ev, prelude::*, task::spawn_local};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DomParser, Element, HtmlAnchorElement, HtmlElement, HtmlSelectElement, MouseEvent, RequestInit, Response,
    SupportedType,
};

use super::{sending::org_of, toast};

/// Whether a link may be followed at once.
type Guard = fn(&str) -> bool;

thread_local! {
    /// Counts visits: an answer that comes after a later visit began is thrown away.
    static LATEST: Cell<u32> = const { Cell::new(0) };
    /// The visit that somebody waits for.
    static GOING: Cell<Option<u32>> = const { Cell::new(None) };
    /// What opened the dialog: where the focus returns to.
    static OPENER: RefCell<Option<Opener>> = const { RefCell::new(None) };
    /// Asks whether a link may be followed at once.
    static GUARD: Cell<Option<Guard>> = const { Cell::new(None) };
    /// How far down a page of the history was when it was left.
    static BACK_TO: Cell<f64> = const { Cell::new(0.0) };
    /// The field that something was looked for with, in a form that leads to this page seen otherwise.
    static LOOKED_BY: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on this is asked before a link is followed; if it says no, it sees to it what happens.
pub fn ask_before_leaving(guard: Guard) {
    GUARD.set(Some(guard));
}

/// How a visit leaves the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// Another page: from its top, with its heading in focus, and in the history.
    To,
    /// The same page seen otherwise (a dialog, a fold): stays where it is, and in the history.
    Within,
    /// The same page after somebody looked for something that one of its forms is to list: stays where it
    /// is, in the history, and what is filled in elsewhere on it stays, in dialogs too.
    Find,
    /// The same page anew: stays where it is.
    Again,
    /// The same page anew, as [`Visit::Again`], unless somebody is in the middle of something when it
    /// comes: then nothing changes.
    Look,
    /// A page of the history: as far down as it was when it was left.
    Back,
}

impl Visit {
    fn is_again(self) -> bool {
        matches!(self, Self::Again | Self::Look)
    }

    /// Whether what somebody is in the middle of stays.
    fn keeps(self) -> bool {
        self.is_again() || self == Self::Find
    }
}

/// What somebody is in the middle of: a dialog, a stretch of a chart, a secret that is shown once, ticks,
/// people being dragged, an open menu, a form that is being sent or was refused, what shows before the
/// server has answered.
const BUSY: &str = "dialog[open], [data-picked], .once, .tick:checked, .members-tick:checked, .members-dragged, \
    [popover]:popover-open, [aria-busy=true], .gone-at-once, .at-once, .sending .summary p, \
    .field .error:not(:empty)";

/// Forms that look for something another form is to list.
const FINDS: &str = "form[data-finds]";

/// What is looked for in them.
const FINDS_FIELD: &str = "form[data-finds] :is(input[type=search], input[role=searchbox])";

/// A form that stands in a cell, in place of what it changes.
const CELL_FORM: &str = ".cell-form";

/// What a box stands in, by itself or as a row of a table.
const LINE: &str = "tr, label.check";

/// A field that somebody has changed. They may be about to send it, wherever the focus is.
const CHANGED: &str = "[data-changed]";

/// Somebody types or has changed a field, has marked text to copy, is in the middle of something, or
/// looks elsewhere.
pub fn is_busy() -> bool {
    let page = document();
    let typing = page
        .active_element()
        .is_some_and(|element| matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT"));
    let marked = page.get_selection().ok().flatten().is_some_and(|selection| !selection.is_collapsed());
    let mut changed = folds(page.query_selector_all(CHANGED).ok());
    typing
        || marked
        || page.hidden()
        || page.query_selector(BUSY).ok().flatten().is_some()
        || changed.any(|field| Typed::of(&field).is_some())
}

/// Whether somebody is on the way to another page.
pub fn is_going() -> bool {
    GOING.get().is_some()
}

/// Goes there. Where somebody goes comes before what a page does by itself: a look neither begins while
/// they are on the way, nor takes the place of a visit that began after it.
pub fn visit(address: String, how: Visit) {
    if how == Visit::Look && is_going() {
        return;
    }
    let turn = LATEST.get() + 1;
    LATEST.set(turn);
    if how != Visit::Look {
        GOING.set(Some(turn));
    }
    spawn_local(async move {
        let fetched = fetch(&address).await;
        if GOING.get() == Some(turn) {
            GOING.set(None);
        }
        let Some((page, reached)) = fetched else {
            if !how.is_again() {
                let _ = window().location().assign(&address);
            }
            return;
        };
        if LATEST.get() != turn || (how == Visit::Look && is_busy()) {
            return;
        }
        let left_at = window().scroll_y().unwrap_or_default();
        match show(&page, how) {
            Some(Shown::Now) => {}
            Some(Shown::Elsewhere) => return,
            None => {
                let _ = window().location().assign(&address);
                return;
            }
        }
        let Ok(history) = window().history() else { return };
        let _ = match how {
            Visit::To | Visit::Within | Visit::Find => {
                // Who comes back to the page that is left finds it where it was.
                let _ = history.replace_state(&JsValue::from_f64(left_at), "");
                history.push_state_with_url(&JsValue::NULL, "", Some(&reached))
            }
            // Without the dialog that was sent off: or else the next look would open it again.
            Visit::Again | Visit::Look => history.replace_state_with_url(&JsValue::NULL, "", Some(&reached)),
            Visit::Back => Ok(()),
        };
    });
}

/// A page of the console, and where it was found after redirects.
async fn fetch(address: &str) -> Option<(String, String)> {
    let init = RequestInit::new();
    let headers = web_sys::Headers::new().ok()?;
    headers.set("Accept", "text/html").ok()?;
    init.set_headers(&headers);
    let response = JsFuture::from(window().fetch_with_str_and_init(address, &init)).await.ok()?;
    let response: Response = response.dyn_into().ok()?;
    let kind = response.headers().get("Content-Type").ok().flatten().unwrap_or_default();
    if !kind.starts_with("text/html") {
        return None;
    }
    let text = JsFuture::from(response.text().ok()?).await.ok()?.as_string()?;
    Some((text, response.url()))
}

/// What became of a fetched page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is in place.
    Now,
    /// It belongs to another organization, and what somebody is in the middle of stays.
    Elsewhere,
}

/// Another tab went on to another organization; what is staged and typed here belongs to this one.
const GONE_ON: &str = "Nothing was looked for: another tab has gone on to another organization. Go back to this one there, and look again.";

/// Puts a fetched page's content in place. None when it is not a page like this one.
pub fn show(page: &str, how: Visit) -> Option<Shown> {
    let fetched = DomParser::new().ok()?.parse_from_string(page, SupportedType::TextHtml).ok()?;
    let here = document();
    let app = here.query_selector(".app").ok()??;
    if matches!(how, Visit::Look | Visit::Find) && org_of(&here) != org_of(&fetched) {
        // This one goes there when somebody says so.
        if how == Visit::Find {
            toast::say(GONE_ON.to_owned());
        }
        return Some(Shown::Elsewhere);
    }
    let next = fetched.query_selector(".app").ok()??;
    let next = here.import_node_with_deep(&next, true).ok()?;
    let next: Element = next.dyn_into().ok()?;
    let scroll = window().scroll_y().unwrap_or_default();
    let place = how.keeps().then(|| Place::of(&here, how));
    // What is open here, and by which address: should it be closed next.
    let open = app.query_selector(OPEN).ok().flatten().map(|_| self::here());
    app.replace_with_with_node_1(&next).ok()?;
    here.set_title(&fetched.title());
    alive(&next);
    match how {
        Visit::To | Visit::Back => {
            window().scroll_to_with_x_and_y(0.0, 0.0);
            if let Some(main) = next
                .query_selector("#main")
                .ok()
                .flatten()
                .and_then(|main| main.dyn_into::<HtmlElement>().ok())
            {
                let _ = main.focus();
            }
            if how == Visit::Back {
                window().scroll_to_with_x_and_y(0.0, BACK_TO.take());
            }
        }
        Visit::Within | Visit::Find | Visit::Again | Visit::Look => {
            window().scroll_to_with_x_and_y(0.0, scroll)
        }
    }
    if let Some(place) = place {
        place.find_again(&next);
        // What has the focus again may have been left behind by the wheel.
        window().scroll_to_with_x_and_y(0.0, scroll);
    }
    if how == Visit::Find {
        let found = next.query_selector(FINDS_FIELD).ok().flatten();
        let _ = found.and_then(|field| focus(&field));
    }
    if let Some(field) = LOOKED_BY.take().filter(|_| how == Visit::Within) {
        let _ = next.query_selector(&field).ok().flatten().and_then(|field| focus(&field));
    }
    if matches!(how, Visit::Within | Visit::Again) {
        focus_cell(&next);
    }
    if how != Visit::To && next.query_selector(OPEN).ok().flatten().is_none() {
        focus_opener(&next, open);
    }
    Some(Shown::Now)
}

/// What is open on a page, and is closed again.
const OPEN: &str = "dialog, .cell-form";

/// The field that has opened in a cell is filled in next: what it holds is marked, so that typing puts
/// something else in its place.
fn focus_cell(part: &Element) -> Option<()> {
    let field = part.query_selector(&format!("{CELL_FORM} input:not([type=hidden])")).ok()??;
    let field: web_sys::HtmlInputElement = field.dyn_into().ok()?;
    field.focus().ok()?;
    field.select();
    Some(())
}

/// Where somebody is on a page: what they have reached by keyboard, what they unfolded, and what they
/// have begun to type.
struct Place {
    focus: Option<Focus>,
    unfolded: Vec<bool>,
    /// Into the field that has the focus.
    typed: Option<Typed>,
    /// Into fields elsewhere: in forms that were not sent.
    changed: Vec<Typed>,
}

/// What has the focus: a link by where it leads, a row by what it is about, anything else by its place
/// among those of its kind.
enum Focus {
    Link(String),
    Row(String),
    Other { kind: String, place: usize, of: usize },
}

impl Focus {
    fn of(page: &web_sys::Document, active: &Element) -> Option<Self> {
        if let Some(link) = active.get_attribute("href") {
            return Some(Self::Link(link));
        }
        if let Some(row) = active.get_attribute("data-row") {
            return Some(Self::Row(row));
        }
        let kind = active.tag_name().to_lowercase();
        // In a field somebody counts as typing, which holds the page back: not on account of a page that
        // came by itself.
        if matches!(kind.as_str(), "body" | "main" | "input" | "select" | "textarea") {
            return None;
        }
        let all: Vec<Element> = folds(page.query_selector_all(&format!(".app {kind}")).ok()).collect();
        let place = all.iter().position(|one| one.is_same_node(Some(active)))?;
        Some(Self::Other { kind, place, of: all.len() })
    }

    fn find_again(self, part: &Element) -> Option<()> {
        let with = |name: &str, value: &str| {
            let mut all = folds(part.query_selector_all(&format!("[{name}]")).ok());
            all.find(|one| one.get_attribute(name).as_deref() == Some(value))
        };
        let found = match self {
            Self::Link(link) => with("href", &link)?,
            Self::Row(row) => {
                let row = with("data-row", &row)?;
                // Rows take the focus only when it is their turn in the table.
                row.set_attribute("tabindex", "0").ok()?;
                row
            }
            Self::Other { kind, place, of } => {
                let all: Vec<Element> = folds(part.query_selector_all(&kind).ok()).collect();
                (all.len() == of).then(|| all.into_iter().nth(place)).flatten()?
            }
        };
        focus(&found)
    }
}

/// Gives something the focus: what is drawn in a chart, too, which is no element of HTML.
fn focus(element: &Element) -> Option<()> {
    let focus: js_sys::Function = js_sys::Reflect::get(element, &"focus".into()).ok()?.dyn_into().ok()?;
    focus.call0(element).ok().map(|_| ())
}

/// What somebody has put into a field: what it was made with, and what it holds now.
struct Typed {
    field: String,
    /// A box with what it stands in: it may not be listed where something else was looked for.
    line: Option<Element>,
    /// The property that holds it: `value`, or `checked` for a box.
    property: &'static str,
    initial: JsValue,
    value: JsValue,
    /// Whether what can be chosen is looked through: then a choice stays as long as it is listed.
    looked_through: bool,
}

impl Typed {
    /// None when it holds what it was made with.
    fn of(field: &Element) -> Option<Self> {
        let named = |name: &str| {
            let value = field.get_attribute(name)?;
            Some(format!("{}[{name}=\"{value}\"]", field.tag_name().to_lowercase()))
        };
        let (property, initial) = initial(field)?;
        let value = property_of(field, property)?;
        (initial != value).then_some(())?;
        let mut selector = named("id").or_else(|| named("name"))?;
        let is_box = property == "checked";
        // Boxes of one list have the same name.
        if is_box && let Some(value) = field.get_attribute("value") {
            selector += &format!("[value=\"{value}\"]");
        }
        let line = if is_box { field.closest(LINE).ok().flatten() } else { None };
        Some(Self { field: selector, line, property, initial, value, looked_through: false })
    }

    /// The box of the same list, with the line it stands in, put behind those that are listed.
    fn listed(&self, part: &Element) -> Option<Element> {
        let line = self.line.as_ref()?;
        let name = line.query_selector("input[type=checkbox]").ok()??.get_attribute("name")?;
        let other = part.query_selector(&format!("input[type=checkbox][name=\"{name}\"]")).ok()??;
        other.closest(LINE).ok()??.parent_element()?.append_child(line).ok()?;
        part.query_selector(&self.field).ok()?
    }

    /// Into the same field again, unless it is another one by now.
    fn put_back(self, part: &Element) -> Option<HtmlElement> {
        let field = part.query_selector(&self.field).ok()?.or_else(|| self.listed(part))?;
        let lists = |select: &HtmlSelectElement| {
            let mut options = folds(select.query_selector_all("option").ok());
            options.any(|option| property_of(&option, "value").as_ref() == Some(&self.value))
        };
        let chosen = self.looked_through && field.dyn_ref::<HtmlSelectElement>().is_some_and(lists);
        if !chosen && initial(&field)? != (self.property, self.initial) {
            return None;
        }
        js_sys::Reflect::set(&field, &self.property.into(), &self.value).ok()?;
        field.set_attribute("data-changed", "").ok()?;
        field.dyn_into().ok()
    }
}

fn property_of(field: &Element, name: &str) -> Option<JsValue> {
    js_sys::Reflect::get(field, &name.into()).ok().filter(|value| !value.is_undefined())
}

/// Which property holds what is put into a field, and what that was when the page came.
fn initial(field: &Element) -> Option<(&'static str, JsValue)> {
    if let Some(select) = field.dyn_ref::<HtmlSelectElement>() {
        let options: Vec<Element> = folds(select.query_selector_all("option").ok()).collect();
        let chosen = options.iter().find(|option| option.has_attribute("selected")).or(options.first())?;
        return Some(("value", property_of(chosen, "value")?));
    }
    let kind = field.get_attribute("type").unwrap_or_default();
    if matches!(kind.as_str(), "checkbox" | "radio") {
        return Some(("checked", property_of(field, "defaultChecked")?));
    }
    Some(("value", property_of(field, "defaultValue")?))
}

/// Notes that somebody has changed a field.
fn note(event: &web_sys::Event) -> Option<()> {
    let field: Element = event.target()?.dyn_into().ok()?;
    initial(&field)?;
    field.set_attribute("data-changed", "").ok()
}

impl Place {
    fn of(page: &web_sys::Document, how: Visit) -> Self {
        let within = |field: &Element, what: &str| field.closest(what).ok().flatten().is_some();
        // Looking for something is done with its form; a dialog whose form was sent is closed.
        let stays = |field: &Element| {
            if how == Visit::Find { !within(field, FINDS) } else { !within(field, "dialog") }
        };
        // What is gone from the page anew is gone; what was not looked for is only not listed.
        let looked_through = how == Visit::Find;
        let lines =
            |typed: Typed| Typed { line: typed.line.filter(|_| looked_through), looked_through, ..typed };
        let active = page.active_element();
        Self {
            focus: active.as_ref().and_then(|element| Focus::of(page, element)),
            typed: active.as_ref().and_then(Typed::of).map(lines),
            changed: folds(page.query_selector_all(CHANGED).ok())
                .filter(|field| active.as_ref().is_none_or(|active| !active.is_same_node(Some(field))))
                .filter(stays)
                .filter_map(|field| Typed::of(&field))
                .map(lines)
                .collect(),
            unfolded: folds(page.query_selector_all("#main details").ok())
                .map(|one| one.has_attribute("open"))
                .collect(),
        }
    }

    /// The same place on the page that was put there instead, as far as it still has it.
    fn find_again(self, part: &Element) {
        let details: Vec<Element> = folds(part.query_selector_all("#main details").ok()).collect();
        if details.len() == self.unfolded.len() {
            for (one, open) in details.iter().zip(self.unfolded) {
                let _ = if open { one.set_attribute("open", "") } else { one.remove_attribute("open") };
            }
        }
        for typed in self.changed {
            let _ = typed.put_back(part);
        }
        match (self.typed, self.focus) {
            (Some(typed), _) => typed.put_back(part).and_then(|field| field.focus().ok()),
            (None, Some(focus)) => focus.find_again(part),
            (None, None) => None,
        };
    }
}

fn folds(list: Option<web_sys::NodeList>) -> impl Iterator<Item = Element> {
    let list = list.into_iter();
    list.flat_map(|list| {
        (0..list.length()).filter_map(move |place| list.get(place)?.dyn_into::<Element>().ok())
    })
}

/// What opened a dialog: a link, and which row of the page's table it stood in.
struct Opener {
    link: String,
    row: Option<usize>,
}

const ROWS: &str = "#main tbody tr";

/// Notes what opened a dialog: where the focus returns to.
pub fn opened_by(link: Option<&Element>) {
    OPENER.set(link.and_then(|link| {
        let row = link.closest("tr").ok().flatten();
        let mut rows = folds(document().query_selector_all(ROWS).ok());
        let row = row.and_then(|row| rows.position(|one| one.is_same_node(Some(&row))));
        Some(Opener { link: link.get_attribute("href")?, row })
    }));
}

/// Whether two addresses open the same thing on the same page, whatever else they say: what was looked for
/// and chosen meanwhile is in the address, too.
fn opens_the_same(one: &str, other: &str) -> bool {
    let read = |address: &str| web_sys::Url::new_with_base(address, &here()).ok();
    let (Some(one), Some(other)) = (read(one), read(other)) else { return false };
    let same = |name: &str| one.search_params().get(name) == other.search_params().get(name);
    one.pathname() == other.pathname() && ["dialog", "cell", "who", "copy"].into_iter().all(same)
}

/// What was open is closed: back to the link that opened it, or to the button of the menu that it is in.
/// If it is gone with its row, to the row that took its place; if there is none, to the content. `open`:
/// the address that it was open at, which may have opened it by itself.
fn focus_opener(part: &Element, open: Option<String>) -> Option<()> {
    let at = || {
        Some(Opener { link: open.filter(|at| at.contains("dialog=") || at.contains("cell="))?, row: None })
    };
    let opener = OPENER.take().or_else(at)?;
    let links: Vec<Element> = folds(part.query_selector_all("#main a[href]").ok()).collect();
    let leads = |link: &&Element, same: fn(&str, &str) -> bool| {
        link.get_attribute("href").is_some_and(|href| same(&href, &opener.link))
    };
    let link = links.iter().find(|link| leads(link, |href, to| href == to));
    let link = link.or_else(|| links.iter().find(|link| leads(link, opens_the_same))).cloned();
    let link = link.map(|link| {
        let menu = link.closest("[popover]").ok().flatten();
        let button =
            menu.and_then(|menu| part.query_selector(&format!("[popovertarget=\"{}\"]", menu.id())).ok()?);
        button.unwrap_or(link)
    });
    let instead = || {
        let rows: Vec<Element> = folds(part.query_selector_all(ROWS).ok()).collect();
        let row = rows.get(opener.row?.min(rows.len().checked_sub(1)?))?;
        row.query_selector("a[href]").ok()?
    };
    let found = link.or_else(instead).or_else(|| part.query_selector("#main").ok()?)?;
    found.dyn_into::<HtmlElement>().ok()?.focus().ok()
}

/// Brings the islands of a part of the page to life.
fn alive(part: &Element) {
    let alive = js_sys::Reflect::get(&js_sys::global(), &"bursarAlive".into()).ok();
    if let Some(alive) = alive.and_then(|alive| alive.dyn_into::<js_sys::Function>().ok()) {
        let _ = alive.call1(&JsValue::NULL, part);
    }
}

/// Where this page is.
pub fn here() -> String {
    window().location().href().unwrap_or_default()
}

/// This page without an open dialog.
pub fn here_without_dialog() -> String {
    let Ok(url) = web_sys::Url::new(&here()) else { return here() };
    url.search_params().delete("dialog");
    url.search_params().delete("cell");
    url.href()
}

/// Turns plain clicks on links of the console into visits, and follows Back and Forward.
#[island]
pub fn Visits() -> impl IntoView {
    Effect::new(|| {
        let clicks = window_event_listener(ev::click, |event: MouseEvent| {
            if let Some((address, how)) = wanted(&event) {
                event.prevent_default();
                if GUARD.get().is_none_or(|guard| guard(&address)) {
                    visit(address, how);
                }
            }
        });
        let back = window_event_listener(ev::popstate, |_| {
            let state = window().history().and_then(|history| history.state()).ok();
            BACK_TO.set(state.and_then(|state| state.as_f64()).unwrap_or_default());
            visit(here(), Visit::Back);
        });
        let leaving = window_event_listener(ev::keydown, |event| {
            let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
            let within = target.and_then(|target| target.closest(CELL_FORM).ok().flatten());
            if within.is_some() && event.key() == "Escape" && !event.is_composing() {
                event.prevent_default();
                visit(here_without_dialog(), Visit::Within);
            }
        });
        let typing = window_event_listener(ev::input, |event| {
            note(&event);
        });
        let choosing = window_event_listener(ev::change, |event| {
            note(&event);
        });
        let finding = window_event_listener(ev::submit, |event| {
            if let Some((address, how)) = looked_for(&event) {
                event.prevent_default();
                visit(address, how);
            }
        });
        on_cleanup(move || {
            clicks.remove();
            leaving.remove();
            finding.remove();
            back.remove();
            typing.remove();
            choosing.remove();
        });
    });
}

/// Where a form leads that looks for something which another form of the page is to list, or that shows
/// the page otherwise.
fn looked_for(event: &web_sys::SubmitEvent) -> Option<(String, Visit)> {
    let form: web_sys::HtmlFormElement = event.target()?.dyn_into().ok()?;
    let how = if form.has_attribute("data-finds") { Visit::Find } else { Visit::Within };
    (how == Visit::Find || form.has_attribute("data-within")).then_some(())?;
    let active = document().active_element().filter(|active| form.contains(Some(active)));
    let field = active.and_then(|active| active.get_attribute("name"));
    LOOKED_BY.set(field.map(|name| format!("form[data-within] [name=\"{name}\"]")));
    let fields = web_sys::FormData::new_with_form(&form).ok()?;
    let query = web_sys::UrlSearchParams::new_with_str_sequence_sequence(&fields).ok()?;
    let address = web_sys::Url::new(&form.action()).ok()?;
    address.set_search(&String::from(query.to_string()));
    Some((address.href(), how))
}

/// The address of a link that a click means to follow here, and how.
fn wanted(event: &MouseEvent) -> Option<(String, Visit)> {
    let special = event.default_prevented()
        || event.button() != 0
        || event.meta_key()
        || event.ctrl_key()
        || event.shift_key()
        || event.alt_key();
    if special {
        return None;
    }
    let link: HtmlAnchorElement =
        event.target()?.dyn_into::<Element>().ok()?.closest("a[href]").ok()??.dyn_into().ok()?;
    let elsewhere = !link.target().is_empty()
        || link.has_attribute("download")
        || link.rel() == "external"
        || link.closest(".app").ok()?.is_none();
    let location = window().location();
    if elsewhere || link.origin() != location.origin().ok()? || !link.hash().is_empty() {
        return None;
    }
    let how = if link.has_attribute("data-finds") {
        Visit::Find
    } else if link.has_attribute("data-within") {
        Visit::Within
    } else {
        Visit::To
    };
    let opens = |href: String| href.contains("dialog=") || href.contains("cell=");
    // What is chosen in a dialog leads to the same one: it is the button before that opened it.
    if link.get_attribute("href").is_some_and(opens) && link.closest("dialog").ok()?.is_none() {
        opened_by(Some(&link));
    }
    Some((link.href(), how))
}
