//! Choosing several people for a group. Every choice is in the address, so that it works without
//! script and survives a search.

use std::{cell::RefCell, rc::Rc};

use leptos::{
    ev::{KeyboardEvent, MouseEvent},
    prelude::*,
    server_fn::ServerFn,
};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, HtmlInputElement};

use crate::{
    api::groups::AddMembers,
    ui::{
        Check, Empty, Field, Form, Hidden, query,
        visit::{Visit, here, visit},
    },
};

/// Somebody: id, name, address.
type Person = (String, String, String);

/// Search, who is chosen, who could be.
#[component]
pub fn AddPeople(
    /// Into which group.
    group: String,
    /// Who is chosen so far.
    chosen: Vec<Person>,
    /// Who could be, too.
    found: Vec<Person>,
    /// Whether they may be made leads.
    leads: bool,
) -> impl IntoView {
    let ids: Vec<String> = chosen.iter().map(|(id, ..)| id.clone()).collect();
    let count = ids.len();
    let any = count > 0;
    let (page, so_far) = (format!("/groups/{group}"), ids.join(","));
    let (again, kept) = (page.clone(), so_far.clone());
    let href = |ids: &[String]| query::href(&[("chosen", Some(&ids.join(",")))]);
    let chips = chosen
        .iter()
        .map(|(id, name, _)| {
            let others: Vec<String> = ids.iter().filter(|other| *other != id).cloned().collect();
            let label = format!("Leave out {name}");
            view! { <li class="chip"><b>{name.clone()}</b><a href=href(&others) data-finds="" aria-label=label>"×"</a></li> }
        })
        .collect_view();
    let nobody = found.is_empty();
    let to = page.clone();
    let rows = found
        .into_iter()
        .filter(|(id, ..)| !ids.contains(id))
        .map(|(id, name, email)| {
            let one = id.clone();
            let more: Vec<String> = ids.iter().cloned().chain([id]).collect();
            // Without script the button takes along what the form below says.
            view! {
                <li>
                    <a class="scripted" href=href(&more) data-finds="" data-choose=one.clone()><b>{name.clone()}</b><span class="sub">{email.clone()}</span></a>
                    <button class="unscripted choice" form="add-people" formmethod="get" formaction=to.clone() name="chosen" value=more.join(",")><b>{name}</b><span class="sub">{email}</span></button>
                </li>
            }
        })
        .collect_view();
    let label = match count {
        0 => "Add people".to_owned(),
        1 => "Add 1 person".to_owned(),
        count => format!("Add {count} people"),
    };
    view! {
        <Finding found=query::value("find") any>
            // What the form below says so far stays.
            <form method="get" action=page class="scripted row find-people" role="search" data-finds="">
                <Hidden name="dialog" value="add"/>
                <Hidden name="chosen" value=so_far/>
                // A field of the kind “search” takes the first Escape for itself; this one is the dialog's.
                <input type="text" role="searchbox" name="find" value=query::value("find") class="find" placeholder="Name or email" aria-label="Name or email" autocomplete="off"/>
                <button class="btn">"Search"</button>
            </form>
        </Finding>
        // Without script all of it is one form: what it says besides goes along with a search and a choice.
        <div class="unscripted row find-people">
            <input type="text" role="searchbox" form="add-people" name="find" value=query::value("find") class="find" placeholder="Name or email" aria-label="Name or email" autocomplete="off"/>
            <button class="btn" form="add-people" formmethod="get" formaction=again name="chosen" value=kept>"Search"</button>
        </div>
        <div role="status" class="chosen">
            {if count == 0 {
                view! { <p class="muted">"Nobody is chosen yet."</p> }.into_any()
            } else {
                view! { <ul class="row" aria-label="Chosen">{chips}</ul> }.into_any()
            }}
        </div>
        {if nobody {
            view! { <Empty title="Nobody else matches" text="Everybody with this name is in the group already, suspended, or not in the organization."/> }.into_any()
        } else {
            view! { <Choosing chosen=ids.join(",")><ul class="choices" aria-label="People to choose from">{rows}</ul></Choosing> }.into_any()
        }}
        <Form to=AddMembers::PATH id="add-people">
            <input type="hidden" name="dialog" value="add"/>
            <Hidden name="group" value=group/>
            {ids.into_iter().map(|id| view! { <Hidden name="users[]" value=id/> }).collect_view()}
            <Field name="ends_on" label="Last day" kind="date" value=query::value("ends_on") optional=true hint="Empty: until somebody takes them out."/>
            {leads.then(|| view! { <Check name="lead" label="They lead this group" checked=query::value("lead") == "true" hint="Manages people, applications and limits here and below."/> })}
            <div class="row end">
                {(count == 0).then(|| view! { <span class="muted" id="add-why">"Choose somebody first."</span> })}
                <button class="btn go" disabled=count == 0 aria-describedby=(count == 0).then_some("add-why")>{label}</button>
            </div>
        </Form>
    }
}

/// Enter in the field searches; where those words were searched for already and somebody is chosen, it
/// confirms the choice.
#[island]
fn Finding(found: String, any: bool, children: Children) -> impl IntoView {
    let key = move |event: KeyboardEvent| {
        let field = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
        let Some(field) = field.filter(|_| any && event.key() == "Enter" && !event.is_composing()) else {
            return;
        };
        if field.value().trim() != found.trim() {
            return;
        }
        let dialog = field.closest("dialog").ok().flatten();
        let confirm =
            dialog.and_then(|dialog| dialog.query_selector("button.go:not([disabled])").ok().flatten());
        if let Some(confirm) = confirm.and_then(|button| button.dyn_into::<HtmlElement>().ok()) {
            event.prevent_default();
            confirm.click();
        }
    };
    view! { <div on:keydown=key>{children()}</div> }
}

/// Two clicks before the page has answered the first are two choices: each link leads to what is
/// chosen on this page and by the clicks so far.
#[island]
fn Choosing(chosen: String, children: Children) -> impl IntoView {
    let so_far = Rc::new(RefCell::new(
        chosen.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect::<Vec<_>>(),
    ));
    let click = move |event: MouseEvent| {
        let plain = event.button() == 0
            && !event.meta_key()
            && !event.ctrl_key()
            && !event.shift_key()
            && !event.alt_key();
        let link = event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok())
            .and_then(|element| element.closest("a[data-choose]").ok().flatten());
        let Some((link, id)) = link.and_then(|link| Some((link.clone(), link.get_attribute("data-choose")?)))
        else {
            return;
        };
        let Ok(url) = web_sys::Url::new(&here()) else { return };
        if !plain {
            return;
        }
        event.prevent_default();
        let _ = link.set_attribute("aria-disabled", "true");
        let mut so_far = so_far.borrow_mut();
        if !so_far.contains(&id) {
            so_far.push(id);
        }
        url.search_params().set("chosen", &so_far.join(","));
        // Words that are being looked for, and are not in the address yet.
        let dialog = link.closest("dialog").ok().flatten();
        let field =
            dialog.and_then(|dialog| dialog.query_selector("form[data-finds] input.find").ok().flatten());
        if let Some(field) = field.and_then(|field| field.dyn_into::<HtmlInputElement>().ok()) {
            url.search_params().set("find", field.value().trim());
        }
        visit(url.href(), Visit::Find);
    };
    view! { <div on:click=click>{children()}</div> }
}
