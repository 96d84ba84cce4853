//! People from a table.

use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    api::imports::{CheckImport, RunImport},
    ui::{Card, FileField, Form, Head, Kept, Page, Submit, TextArea},
};

/// The table, its difference, and the import.
#[component]
pub fn ImportPage() -> impl IntoView {
    view! {
        <Page title="Import people">
            <Head title="Import people" crumbs=vec![("/users".to_owned(), "Users".to_owned())]>
                <a class="btn" href="/users.csv" download="users.csv">"Export what there is"</a>
            </Head>
            <p class="lead">"The address tells people apart: who is new is added, who is here is changed, and nobody is removed. All of it happens at once, or nothing."</p>
            <Card class="pad">
                <Form to=CheckImport::PATH also=RunImport::PATH file=true>
                    <FileField name="file" label="A file" accept=".csv,text/csv" hint="An export, or a table with the same columns. What it says stands below once the difference is shown."/>
                    <TextArea
                        name="csv" label="Or the table itself" rows=14
                        hint="The first line names the columns: email, and any of name, role, groups, monthly_limit. Groups by path, like Engineering/Research, one a line within the cell: they become all the groups that person is in directly. An empty monthly_limit means the organization's default. What has no column stays as it is."
                    />
                    <Kept name="seen"/>
                    <div class="row end">
                        <Submit label="Show the difference" look="" running="Comparing: a large table takes seconds…"/>
                        <Submit label="Import" to=RunImport::PATH running="Importing: a large table takes seconds…"/>
                    </div>
                </Form>
            </Card>
        </Page>
    }
}
