//! The organization's settings.

use domain::{
    organizations::{BudgetStatus, Organization, WeekStart},
    roles::Act,
};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{capital, choices, requests::ApprovalRuleCard};
use crate::{
    api::organizations::{EditOrganization, load_settings},
    ui::{Card, Field, Form, Head, Hidden, Load, Page, Select, Submit, may},
};

/// Name, time, defaults, answers.
#[component]
pub fn SettingsPage() -> impl IntoView {
    let settings = load_settings();
    view! {
        <Page title="Settings">
            <Load data=settings let(organization)>
                <Head title="Settings"/>
                <Edit organization/>
            </Load>
        </Page>
    }
}

#[component]
fn Edit(organization: Organization) -> impl IntoView {
    if !may(Act::EditOrganization) {
        return view! { <Card class="narrow pad"><p class="muted">"Admins and owners can change these."</p></Card> }.into_any();
    }
    let limit = organization.default_user_limit.map(|limit| limit.exact()).unwrap_or_default();
    let statuses = choices(BudgetStatus::ALL, |status| match status {
        BudgetStatus::PaymentRequired => "402 Payment Required (never retried)".to_owned(),
        BudgetStatus::TooManyRequests => "429 Too Many Requests".to_owned(),
        BudgetStatus::Forbidden => "403 Forbidden".to_owned(),
    });
    view! {
        <Card title="Organization" class="narrow">
            <Form to=EditOrganization::PATH class="pad">
                <Hidden name="version" value=organization.version.to_string()/>
                <Field name="name" label="Name" value=organization.name/>
                <Field name="time_zone" label="Time zone" value=organization.time_zone hint="Days, weeks and months begin at midnight there. After a change, what is used of current windows is counted anew."/>
                <Select name="week_start" label="The week starts on" options=choices(WeekStart::ALL, |day| capital(day.as_str())) value=organization.week_start.to_string()/>
                <Field name="default_user_limit" label="Monthly limit of each person, in US dollars" value=limit inputmode="decimal" optional=true hint="For everybody without a limit of their own. Empty: no limit."/>
                <Select name="budget_status" label="A spent budget is answered with" options=statuses value=organization.budget_status.to_string() hint="Change this only for clients that cannot take a 402."/>
                <Field name="contact" label="Whom refused callers should ask" value=organization.contact.unwrap_or_default() optional=true hint="Named in refusals when no lead of a group is nearer."/>
                <div class="row end"><Submit label="Save"/></div>
            </Form>
        </Card>
        <ApprovalRuleCard/>
    }
    .into_any()
}
