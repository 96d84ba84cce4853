//! The document, and the site map.

use leptos::{nonce::use_nonce, prelude::*};
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::{
    components::{ParentRoute, Route, Router, Routes},
    path,
};

use crate::{
    api::frame::load_frame,
    frame::{Frame, Theme},
    pages, ui,
};

/// Addresses of the bundle's files.
#[derive(Clone, Debug, Default)]
pub struct Assets {
    /// The style sheet.
    pub css: Option<String>,
    /// The script that loads the rest.
    pub js: Option<String>,
    /// The compiled console.
    pub wasm: Option<String>,
    /// The type face, to be fetched early.
    pub font: Option<String>,
    /// The icon.
    pub icon: Option<String>,
}

/// Brings the page to life. Its comments are for us, not for every page.
fn start_script() -> String {
    include_str!("start.js").lines().filter(|line| !line.starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The document around the console. Rendered on the server only.
pub fn shell(assets: Assets, theme: Theme, page: Option<String>) -> impl IntoView {
    let nonce = use_nonce();
    // Pages are drawn here and stay as they are; only islands in them come alive.
    if let Some(context) = Owner::current_shared_context() {
        context.set_is_hydrating(false);
    }
    // A form without script leaves its own address in the bar; it should say the page's.
    let address = page.map(|page| {
        let page = format!("{page:?}").replace('<', "\\u003c");
        view! { <script nonce=nonce.clone() inner_html=format!("history.replaceState(null,\"\",{page})")></script> }
    });
    let start = assets.js.clone().zip(assets.wasm.clone()).map(|(js, wasm)| {
        let script = format!("import * as islands from {js:?};\n{}", start_script());
        view! {
            <link rel="modulepreload" href=js nonce=nonce.clone()/>
            <link rel="preload" href=wasm r#as="fetch" r#type="application/wasm" crossorigin="" fetchpriority="low"/>
            <script type="module" nonce=nonce.clone() inner_html=script></script>
        }
    });
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=theme.as_str()>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <meta name="description" content="Who may use which AI model, within which limits, at whose cost."/>
                {assets.font.map(|font| view! { <link rel="preload" href=font r#as="font" r#type="font/woff2" crossorigin=""/> })}
                {assets.css.map(|css| view! { <link rel="stylesheet" href=css/> })}
                {assets.icon.map(|icon| view! { <link rel="icon" type="image/svg+xml" href=icon/> })}
                {address}
                {start}
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// The console.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    view! {
        <Title formatter=|title: String| if title.is_empty() { "Bursar".to_owned() } else { format!("{title} · Bursar") }/>
        <Router>
            {ui::load::waited(async move {
                match load_frame().await {
                    Ok(frame) => view! { <Framed frame/> }.into_any(),
                    Err(error) => view! { <ui::page::Bare><ui::load::Failed error/></ui::page::Bare> }.into_any(),
                }
            })}
        </Router>
    }
}

/// The pages, once it is known who is looking.
#[component]
fn Framed(frame: Frame) -> impl IntoView {
    ui::context::provide(frame);
    view! {
        <Routes fallback=|| ()>
            <Route path=path!("/sign-in") view=pages::sign_in::SignInPage/>
            <Route path=path!("/forgot") view=pages::passwords::ForgotPage/>
            <Route path=path!("/password/:token") view=pages::passwords::PasswordPage/>
            <Route path=path!("/setup") view=pages::setup::SetupPage/>
            <Route path=path!("/welcome/:step") view=pages::welcome::WelcomePage/>
            <Route path=path!("/join/:org/:user/:token") view=pages::join::JoinPage/>
            <ParentRoute path=path!("/") view=ui::page::Layout>
                <Route path=path!("") view=pages::overview::OverviewPage/>
                <Route path=path!("my-models") view=pages::my_models::MyModelsPage/>
                <Route path=path!("notices") view=pages::notices::NoticesPage/>
                <Route path=path!("alerts") view=pages::alerts::AlertsPage/>
                <Route path=path!("alerts/settings") view=pages::alerts::AlertSettingsPage/>
                <Route path=path!("webhooks/:id") view=pages::webhooks::WebhookPage/>
                <Route path=path!("users") view=pages::directory::DirectoryPage/>
                <Route path=path!("users/import") view=pages::imports::ImportPage/>
                <Route path=path!("users/:id") view=pages::users::UserPage/>
                <Route path=path!("users/batch/:id") view=pages::batches::BatchPage/>
                <Route path=path!("groups") view=pages::groups::GroupsPage/>
                <Route path=path!("groups/:id") view=pages::groups::GroupPage/>
                <Route path=path!("groups/:id/analytics") view=pages::analytics::AnalyticsPage/>
                <Route path=path!("authorization") view=pages::authorizations::AuthorizationPage/>
                <Route path=path!("authorization/draft/:id") view=pages::authorizations::DraftPage/>
                <Route path=path!("authorization/rule") view=pages::authorizations::RulePage/>
                <Route path=path!("authorization/observed") view=pages::observed::ObservedPage/>
                <Route path=path!("authorization/tests") view=pages::access_tests::AccessTestsPage/>
                <Route path=path!("models") view=pages::models::ModelsPage/>
                <Route path=path!("models/import") view=pages::price_lists::ImportPage/>
                <Route path=path!("models/import/:id") view=pages::price_lists::PriceListPage/>
                <Route path=path!("models/review") view=pages::model_reviews::ModelReviewsPage/>
                <Route path=path!("models/:id") view=pages::models::ModelPage/>
                <Route path=path!("providers") view=pages::providers::ProvidersPage/>
                <Route path=path!("providers/:id") view=pages::providers::ProviderPage/>
                <Route path=path!("providers/:id/offers") view=pages::offers::OffersPage/>
                <Route path=path!("policies") view=pages::policies::PoliciesPage/>
                <Route path=path!("applications") view=pages::applications::ApplicationsPage/>
                <Route path=path!("applications/:id") view=pages::applications::ApplicationPage/>
                <Route path=path!("calls") view=pages::calls::CallsPage/>
                <Route path=path!("calls/live") view=pages::in_flight::InFlightPage/>
                <Route path=path!("calls/:id") view=pages::call::CallPage/>
                <Route path=path!("sessions") view=pages::call_sessions::SessionsPage/>
                <Route path=path!("sessions/one") view=pages::call_sessions::SessionPage/>
                <Route path=path!("explore") view=pages::explore::ExplorePage/>
                <Route path=path!("spend") view=pages::spend::SpendPage/>
                <Route path=path!("receipts/:id") view=pages::receipts::ReceiptPage/>
                <Route path=path!("recommendations") view=pages::recommendations::RecommendationsPage/>
                <Route path=path!("rehearsals/:id") view=pages::rehearsals::RehearsalPage/>
                <Route path=path!("invoices") view=pages::invoices::InvoicesPage/>
                <Route path=path!("invoices/:id") view=pages::invoices::InvoicePage/>
                <Route path=path!("reports") view=pages::reports::ReportsPage/>
                <Route path=path!("reports/:month") view=pages::reports::ReportPage/>
                <Route path=path!("requests") view=pages::requests::RequestsPage/>
                <Route path=path!("requests/new") view=pages::requests::NewRequestPage/>
                <Route path=path!("requests/raise") view=pages::raises::NewRaisePage/>
                <Route path=path!("requests/:id") view=pages::requests::RequestPage/>
                <Route path=path!("roles") view=pages::roles::RolesPage/>
                <Route path=path!("reviews") view=pages::reviews::ReviewsPage/>
                <Route path=path!("reviews/:id") view=pages::reviews::ReviewPage/>
                <Route path=path!("why") view=pages::why::WhyPage/>
                <Route path=path!("spend/:of") view=pages::spend::SpendPage/>
                <Route path=path!("limits") view=pages::limits::LimitsPage/>
                <Route path=path!("audit") view=pages::audit::AuditPage/>
                <Route path=path!("settings") view=pages::settings::SettingsPage/>
                <Route path=path!("account") view=pages::account::AccountPage/>
            </ParentRoute>
            // A route like any other: what the router draws in place of one is drawn outside of what a
            // page has within reach.
            <Route path=path!("/*any") view=pages::not_found::NotFoundPage/>
        </Routes>
    }
}
