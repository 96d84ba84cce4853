//! People dragged onto groups, and the key that does the same: around a table of people and a tree.
//!
//! What is dragged is the row, or every row that is ticked when it is one of them. Without script
//! there is nothing to drag; the menu of a row and the bar under the table lead to the same form.

use std::{cell::RefCell, rc::Rc, time::Duration};

use leptos::{ev, html, prelude::*, server_fn::ServerFn, task::spawn_local};
use wasm_bindgen::JsCast;
use web_sys::{DragEvent, Element, HtmlElement, HtmlInputElement, KeyboardEvent};

use super::{
    at_once::Drawn,
    combo::typing,
    sending::{compared, numbered, post},
    toast,
    visit::{Visit, here, opened_by, visit},
};
use crate::{
    api::groups::{MovePeople, Node, load_below},
    error::AppError,
    frame::PAGE,
};

/// For so long somebody waits over a branch before it opens.
const WAITS: Duration = Duration::from_millis(600);

/// What is under way.
#[derive(Default)]
struct Drag {
    /// Who is dragged.
    users: Vec<String>,
    /// What they are over, which does not take them: why.
    refused: Option<String>,
    /// The branch they are over, and when it opens.
    over: Option<(Element, TimeoutHandle)>,
}

impl Drag {
    /// They are over this: a branch that is folded opens after a while, unless they go on before.
    fn hovers(&mut self, place: Option<&Element>, from: &str) {
        if self.over.as_ref().map(|(branch, _)| branch) == place {
            return;
        }
        if let Some((_, opens)) = self.over.take() {
            opens.clear();
        }
        let Some(branch) = place.filter(|place| place.has_attribute("data-folded")) else { return };
        let (opened, from) = (branch.clone(), from.to_owned());
        let opens = set_timeout_with_handle(move || open(opened, from), WAITS);
        self.over = opens.ok().map(|opens| (branch.clone(), opens));
    }
}

/// Shows what is below a branch.
fn open(branch: Element, from: String) {
    let Some(id) = branch.get_attribute("data-folded") else { return };
    let _ = branch.remove_attribute("data-folded");
    spawn_local(async move {
        match load_below(id.clone(), from).await {
            Ok(below) => {
                for line in below.iter().rev().filter_map(line) {
                    let _ = branch.insert_adjacent_element("afterend", &line);
                }
            }
            // It can be tried again.
            Err(_) => drop(branch.set_attribute("data-folded", &id)),
        }
    });
}

/// A line of the tree, as the page draws it.
fn line(node: &Node) -> Option<Element> {
    let document = document();
    let line = document.create_element("li").ok()?;
    line.set_class_name(&format!("members-node depth-{}", node.depth.min(8)));
    let id = node.id.to_string();
    let (name, value) = match &node.closed {
        None => ("data-into", &id),
        Some(why) => ("data-closed", why),
    };
    line.set_attribute(name, value).ok()?;
    if node.folded {
        line.set_attribute("data-folded", &id).ok()?;
    }
    let link = document.create_element("a").ok()?;
    link.set_attribute("href", &format!("/groups/{id}")).ok()?;
    link.set_attribute("draggable", "false").ok()?;
    link.set_text_content(Some(&node.name));
    let new = document.create_element("span").ok()?;
    new.set_class_name("members-new num");
    line.append_child(&link).ok()?;
    line.append_child(&new).ok()?;
    Some(line)
}

fn within(target: Option<web_sys::EventTarget>, what: &str) -> Option<Element> {
    target?.dyn_into::<Element>().ok()?.closest(what).ok()?
}

fn all(node: &Element, what: &str) -> Vec<Element> {
    let Ok(list) = node.query_selector_all(what) else { return Vec::new() };
    (0..list.length()).filter_map(|place| list.get(place)?.dyn_into().ok()).collect()
}

/// The people who are ticked.
fn ticked(node: &Element) -> Vec<String> {
    all(node, "input.members-tick")
        .into_iter()
        .filter_map(|tick| tick.dyn_into::<HtmlInputElement>().ok())
        .filter(HtmlInputElement::checked)
        .map(|tick| tick.value())
        .collect()
}

/// Those who are ticked when this row is one of them, else the one of this row.
fn meant(node: &Element, row: &Element) -> Vec<String> {
    let Some(user) = row.get_attribute("data-user") else { return Vec::new() };
    let ticked = ticked(node);
    if ticked.contains(&user) { ticked } else { vec![user] }
}

/// Whether those who are dragged stay where they are, too: Ctrl is the key for it on Linux and Windows, Option
/// on a Mac, which browsers call Alt. With Shift no drag begins in all of them.
fn copies(event: &DragEvent) -> bool {
    event.ctrl_key() || event.alt_key()
}

/// Says how many are ticked.
fn count(node: &Element) {
    let people = ticked(node).len();
    if let Some(text) = node.query_selector(".members-count").ok().flatten() {
        text.set_text_content(Some(&match people {
            1 => "1 person selected".to_owned(),
            people => format!("{people} people selected"),
        }));
    }
}

fn unmark(node: &Element) {
    for marked in all(node, ".members-over, .members-dragged") {
        let _ = marked.class_list().remove_2("members-over", "members-dragged");
    }
}

/// Shows them where they were dropped, and, unless they stay, gone from where they were.
fn arrived(node: &Element, place: &Element, users: &[String], copy: bool) -> Drawn {
    let rows = all(node, "tr[data-user]")
        .into_iter()
        .filter(|row| !copy && row.get_attribute("data-user").is_some_and(|user| users.contains(&user)));
    let drawn = Drawn::gone(rows.collect());
    let Some(count) = place.query_selector(".members-new").ok().flatten() else { return drawn };
    drawn.and(Drawn::turned(&count, &format!("+{}", users.len())))
}

/// What is sent: as the form of the dialog says it, and from its page, where there is room to ask.
fn said(from: &str, to: &str, users: &[String], copy: bool) -> String {
    let Ok(fields) = web_sys::UrlSearchParams::new() else { return String::new() };
    fields.append("from", from);
    fields.append("to", to);
    fields.append("copy", if copy { "true" } else { "false" });
    for user in users {
        fields.append("users[]", user);
    }
    if let Some(page) = dialog(users) {
        fields.append(PAGE, &page);
    }
    fields.to_string().into()
}

/// Tells the server, says what came of it, and shows the group as it is then. Where something would die with
/// it nothing is done yet: the dialog opens, and asks. `row`: where the focus returns to.
fn shift(body: String, row: Option<Element>, drawn: Drawn) {
    spawn_local(async move {
        match post(MovePeople::PATH, &body).await {
            Ok(done) => {
                toast::say_with(done.notice.unwrap_or_default(), done.undo);
                visit(here(), Visit::Again);
            }
            Err(error) => {
                drawn.take_back();
                let asks = matches!(error, AppError::Changed(_) | AppError::Meanwhile(_));
                if asks && compared(MovePeople::PATH, &body, row.as_ref()).await {
                    return;
                }
                let text = error.summary(|_| false).unwrap_or_else(|| error.sentence());
                toast::say(numbered(text, &error));
            }
        }
    });
}

/// The address of the dialog for these people.
fn dialog(users: &[String]) -> Option<String> {
    let url = web_sys::Url::new(&here()).ok()?;
    let params = url.search_params();
    params.set("dialog", "shift");
    params.set("who", &users.join(","));
    params.delete("copy");
    Some(url.href())
}

/// Around a table of people and the groups they can be moved to.
#[island]
pub fn Moving(from: String, children: Children) -> impl IntoView {
    let node = NodeRef::<html::Div>::new();
    let drag = Rc::new(RefCell::new(Drag::default()));
    let here_node = move || node.get_untracked().map(|node| -> Element { (*node).clone().into() });
    let start = {
        let drag = Rc::clone(&drag);
        move |event: DragEvent| {
            let Some(node) = here_node() else { return };
            let Some(row) = within(event.target(), "tr[draggable]") else { return };
            if let Some(why) = row.get_attribute("data-stays") {
                event.prevent_default();
                toast::say(why);
                return;
            }
            let users = meant(&node, &row);
            if let Some(data) = event.data_transfer() {
                data.set_effect_allowed("copyMove");
                let _ = data.set_data("text/plain", &row.get_attribute("data-name").unwrap_or_default());
            }
            for row in all(&node, "tr[draggable]") {
                let dragged = row.get_attribute("data-user").is_some_and(|user| users.contains(&user));
                let _ = row.class_list().toggle_with_force("members-dragged", dragged);
            }
            *drag.borrow_mut() = Drag { users, ..Drag::default() };
        }
    };
    let over = {
        let (drag, from) = (Rc::clone(&drag), from.clone());
        move |event: DragEvent| {
            let Some(node) = here_node() else { return };
            if drag.borrow().users.is_empty() {
                return;
            }
            let place = within(event.target(), ".members-node");
            for marked in all(&node, ".members-over") {
                if Some(&marked) != place.as_ref() {
                    let _ = marked.class_list().remove_1("members-over");
                }
            }
            drag.borrow_mut().hovers(place.as_ref(), &from);
            drag.borrow_mut().refused = place.as_ref().and_then(|place| place.get_attribute("data-closed"));
            let Some(place) = place.filter(|place| place.has_attribute("data-into")) else { return };
            event.prevent_default();
            let _ = place.class_list().add_1("members-over");
            if let Some(data) = event.data_transfer() {
                data.set_drop_effect(if copies(&event) { "copy" } else { "move" });
            }
        }
    };
    let drop = {
        let drag = Rc::clone(&drag);
        move |event: DragEvent| {
            let Some(place) = within(event.target(), ".members-node") else { return };
            let Some(to) = place.get_attribute("data-into") else { return };
            event.prevent_default();
            drag.borrow_mut().hovers(None, &from);
            let users = std::mem::take(&mut *drag.borrow_mut()).users;
            if !users.is_empty() {
                let copy = copies(&event);
                let node = here_node();
                let drawn = node.as_ref().map(|node| arrived(node, &place, &users, copy));
                let mut rows = node.iter().flat_map(|node| all(node, "tr[data-user]"));
                let row = rows.find(|row| row.get_attribute("data-user").as_ref() == users.first());
                shift(said(&from, &to, &users, copy), row, drawn.unwrap_or_default());
            }
        }
    };
    // Let go where they are not taken: that changes nothing, and says why.
    let end = move |_: DragEvent| {
        if let Some(node) = here_node() {
            unmark(&node);
        }
        drag.borrow_mut().hovers(None, "");
        let drag = std::mem::take(&mut *drag.borrow_mut());
        if let Some(why) = drag.refused.filter(|_| !drag.users.is_empty()) {
            toast::say(why);
        }
    };
    let keys = move |event: KeyboardEvent| {
        let plain = !event.ctrl_key() && !event.meta_key() && !event.alt_key();
        if !plain || !event.key().eq_ignore_ascii_case("m") {
            return;
        }
        let target = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok());
        if target.as_ref().is_some_and(typing) {
            return;
        }
        let (Some(node), Some(row)) = (here_node(), within(event.target(), "tr[draggable]")) else { return };
        if let Some(why) = row.get_attribute("data-stays") {
            toast::say(why);
            return;
        }
        if let Some(address) = dialog(&meant(&node, &row)) {
            event.prevent_default();
            // Back to the row, should it still be there.
            opened_by(row.query_selector("a[href]").ok().flatten().as_ref());
            visit(address, Visit::Within);
        }
    };
    let ticks = move |_: ev::Event| {
        if let Some(node) = here_node() {
            count(&node);
        }
    };
    // Ticks that were there before a page came anew are there again.
    Effect::new(move || {
        if node.get().is_some()
            && let Some(node) = here_node()
        {
            count(&node);
        }
    });
    view! {
        <div
            class="moving" node_ref=node
            on:dragstart=start on:dragover=over on:drop=drop on:dragend=end on:keydown=keys on:change=ticks
        >{children()}</div>
    }
}
