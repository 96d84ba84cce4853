//! Pinned tests: what must stay true of who may use what, and whether it is.

use domain::{access_tests::Expected, roles::Act};
use leptos::{prelude::*, server_fn::ServerFn};

use super::choices;
use crate::{
    api::access_tests::{
        CreateAccessTest, EditAccessTest, HELD_LATER, RemoveAccessTest, TestLine, Tests, load_access_tests,
    },
    ui::{
        Badge, Card, Confirm, Dialog, Empty, Field, Form, Head, Hidden, Kind, Load, OpenDialog, Page, Select,
        Submit, may,
    },
};

/// Every pinned test.
#[component]
pub fn AccessTestsPage() -> impl IntoView {
    let tests = load_access_tests();
    view! { <Page title="Pinned tests"><Load data=tests let(tests)><Content tests/></Load></Page> }
}

#[component]
fn Content(tests: Tests) -> impl IntoView {
    let Tests { tests, subjects, targets } = tests;
    let edit = may(Act::EditAccessTests);
    let failing = tests.iter().filter(|test| test.failure.is_some()).count();
    let note = match (tests.len(), failing) {
        (0, _) => String::new(),
        (count, 0) => format!("{count}, all hold"),
        (count, failing) => format!("{count}, {failing} fail"),
    };
    let empty = tests.is_empty();
    let rows = tests.into_iter().map(|test| view! { <Line test edit/> }).collect_view();
    let crumbs = vec![("/authorization".to_owned(), "Authorization".to_owned())];
    view! {
        <Head title="Pinned tests" note crumbs>{edit.then(|| view! { <OpenDialog name="new" label="Pin a test" look="btn go"/> })}</Head>
        <p class="lead">"What must stay true, whatever else changes. A change that would break one of these is refused, whether it is made here, in a file or by an import, until the test is removed. One that fails already refuses nothing until it holds. What only a date undoes (a membership, a group or a grant that ends) cannot be refused: owners and admins are told of it, and here it fails."</p>
        <Card>
            {if empty {
                view! {
                    <Empty title="Nothing is pinned" text="For instance: interns cannot use big-chat. Pin what somebody promised, and no later change undoes it unnoticed.">
                        {edit.then(|| view! { <OpenDialog name="new" label="Pin the first test" look="btn go"/> })}
                    </Empty>
                }.into_any()
            } else {
                view! {
                    <div class="scroll" tabindex="0" role="region" aria-label="Pinned tests">
                        <table class="table stack">
                            <thead><tr><th>"Test"</th><th>"Says"</th><th>"Now"</th><th><span class="sr">"Actions"</span></th></tr></thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                }.into_any()
            }}
        </Card>
        <Dialog name="new" title="Pin a test">
            <Form to=CreateAccessTest::PATH>
                <Field name="name" label="Name" placeholder="Interns cannot use big-chat"/>
                <Select name="subject" label="For" options=subjects.clone() hint="A group with everything below it; a user in every group and with every key they have; or a key."/>
                <Select name="target" label="Of" options=targets.clone() hint="A tier: every model in it, and those to come."/>
                <Select name="expected" label="Expected" options=choices(Expected::ALL, |word| word.label().to_owned()) value="not_open" hint="Open and by request are expected of the group itself, not of those below it."/>
                <div class="row end"><Submit label="Pin the test"/></div>
            </Form>
        </Dialog>
    }
}

#[component]
fn Line(test: TestLine, edit: bool) -> impl IntoView {
    let TestLine { id, name, subject, target, expected, failure, since, pinned } = test;
    let (whom, href) = subject;
    let whom = if href.is_empty() {
        view! { {whom} }.into_any()
    } else {
        view! { <a href=href>{whom}</a> }.into_any()
    };
    let now = match failure {
        None => view! { <Badge text="holds" kind=Kind::Good/> }.into_any(),
        Some(why) => view! {
            <Badge text="fails" kind=Kind::Bad/><div class="sub">{why}</div>
            <div class="sub">{HELD_LATER}</div>
            {since.map(|day| view! { <div class="sub">{format!("since {day}: a date came, no change did it")}</div> })}
        }
        .into_any(),
    };
    view! {
        <tr>
            <td><b>{name.clone()}</b><div class="sub">{pinned}</div></td>
            <td>{whom}": "<span class="mono">{target}</span>" is "{expected.label().to_lowercase()}</td>
            <td>{now}</td>
            <td class="beside"><div class="row end">{edit.then(|| view! {
                <OpenDialog name=format!("edit-{id}") label="Edit" look="link"/>
                <OpenDialog name=format!("remove-{id}") label="Remove" look="link danger"/>
                <Dialog name=format!("edit-{id}") title="Edit the test" clone:id clone:name>
                    <Form to=EditAccessTest::PATH which=id.clone() clone:id clone:name>
                        <Hidden name="id" value=id.clone()/>
                        <Hidden name="was" value=name.clone()/>
                        <Hidden name="was_expected" value=expected.to_string()/>
                        <Field name="name" label="Name" value=name.clone() hint="Whom it is about, and of what, stays: pin another test for that."/>
                        <Select name="expected" label="Expected" options=choices(Expected::ALL, |word| word.label().to_owned()) value=expected.to_string() hint="Open and by request are expected of the group itself, not of those below it."/>
                        <div class="row end"><Submit label="Save"/></div>
                    </Form>
                </Dialog>
                <Confirm
                    name=format!("remove-{id}") title="Remove the test?" to=RemoveAccessTest::PATH label="Remove it" fields=vec![("id", id.clone())] typed=name.clone()
                    consequence="What it held may change again, and nobody is told when it does. This cannot be undone."
                />
            })}</div></td>
        </tr>
    }
}
