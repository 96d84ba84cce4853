//! One's own sign-in.

use leptos::{prelude::*, server_fn::ServerFn};

use super::notices::ByMail;
use crate::{
    api::accounts::ChangePassword,
    ui::{Card, Field, Form, Head, Page, Submit, context::frame},
};

/// Name, address, notices by mail, password.
#[component]
pub fn AccountPage() -> impl IntoView {
    let me = frame().me.clone();
    let (name, email) = me.map(|me| (me.name, me.email)).unwrap_or_default();
    view! {
        <Page title="My account">
            <Head title="My account"/>
            <Card title="Sign-in" class="narrow">
                <dl class="facts-list"><dt>"Name"</dt><dd>{name}</dd><dt>"Email"</dt><dd>{email}</dd></dl>
            </Card>
            <ByMail/>
            <Card title="Password" class="narrow">
                <Form to=ChangePassword::PATH class="pad">
                    <Field name="current" label="Current password" kind="password" autocomplete="current-password"/>
                    <Field name="password" label="New password" kind="password" autocomplete="new-password" hint="At least 12 characters. Every other session of yours is signed out."/>
                    <Field name="again" label="New password again" kind="password" autocomplete="new-password"/>
                    <div class="row end"><Submit label="Change password"/></div>
                </Form>
            </Card>
        </Page>
    }
}
