//! People dragged onto groups, and the key that does the same: around a table of people and a tree.
//!
//! What is dragged is the row, or every row that is ticked when it is one of them. Without script
//! there is nothing to drag; the menu of a row and the bar under the table lead to the same form.

use std::{cell::RefCell, rc::Rc};

use leptos::{ev, html, prelude::*, server_fn::ServerFn, task::spawn_local};
use wasm_bindgen::JsCast;
use web_sys::{DragEvent, Element, HtmlElement, HtmlInputElement, KeyboardEvent};

use super::{
    at_once::Drawn,
    combo::typing,
    sending::{numbered, post},
    toast,
    visit::{Visit, here, opened_by, visit},
};
use crate::api::groups::MovePeople;

/// What is under way.
#[derive(Default)]
struct Drag {
    /// Who is dragged.
    users: Vec<String>,
    /// What they are over, which does not take them: why.
    refused: Option<String>,
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

/// Tells the server, says what came of it, and shows the group as it is then.
fn shift(from: String, to: String, users: &[String], copy: bool, drawn: Drawn) {
    let mut body = format!("from={from}&to={to}&copy={copy}");
    for user in users {
        body += &format!("&users[]={user}");
    }
    spawn_local(async move {
        match post(MovePeople::PATH, &body).await {
            Ok(done) => {
                toast::say_with(done.notice.unwrap_or_default(), done.undo);
                visit(here(), Visit::Again);
            }
            Err(error) => {
                drawn.take_back();
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
            let users = meant(&node, &row);
            if let Some(data) = event.data_transfer() {
                data.set_effect_allowed("copyMove");
                let _ = data.set_data("text/plain", &row.get_attribute("data-name").unwrap_or_default());
            }
            for row in all(&node, "tr[draggable]") {
                let dragged = row.get_attribute("data-user").is_some_and(|user| users.contains(&user));
                let _ = row.class_list().toggle_with_force("members-dragged", dragged);
            }
            *drag.borrow_mut() = Drag { users, refused: None };
        }
    };
    let over = {
        let drag = Rc::clone(&drag);
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
            drag.borrow_mut().refused = place.as_ref().and_then(|place| place.get_attribute("data-closed"));
            let Some(place) = place.filter(|place| place.has_attribute("data-into")) else { return };
            event.prevent_default();
            let _ = place.class_list().add_1("members-over");
            if let Some(data) = event.data_transfer() {
                data.set_drop_effect(if event.alt_key() || event.shift_key() { "copy" } else { "move" });
            }
        }
    };
    let drop = {
        let drag = Rc::clone(&drag);
        move |event: DragEvent| {
            let Some(place) = within(event.target(), ".members-node") else { return };
            let Some(to) = place.get_attribute("data-into") else { return };
            event.prevent_default();
            let users = std::mem::take(&mut *drag.borrow_mut()).users;
            if !users.is_empty() {
                let copy = event.alt_key() || event.shift_key();
                let drawn = here_node().map(|node| arrived(&node, &place, &users, copy));
                shift(from.clone(), to, &users, copy, drawn.unwrap_or_default());
            }
        }
    };
    // Let go where they are not taken: that changes nothing, and says why.
    let end = move |_: DragEvent| {
        if let Some(node) = here_node() {
            unmark(&node);
        }
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
        if let Some(address) = dialog(&meant(&node, &row)) {
            event.prevent_default();
            // Back to the row, should it still be there.
            opened_by(row.query_selector("a[href]").ok().flatten().as_ref());
            visit(address, Visit::Within);
        }
    };
    let count = move |_: ev::Event| {
        let Some(node) = here_node() else { return };
        let people = ticked(&node).len();
        if let Some(text) = node.query_selector(".members-count").ok().flatten() {
            text.set_text_content(Some(&match people {
                1 => "1 person selected".to_owned(),
                people => format!("{people} people selected"),
            }));
        }
    };
    view! {
        <div
            class="moving" node_ref=node
            on:dragstart=start on:dragover=over on:drop=drop on:dragend=end on:keydown=keys on:change=count
        >{children()}</div>
    }
}
