//! Whatever can be made can be changed afterwards and ended, by somebody with a mouse: each page has the
//! link to its dialog, and the dialog the form.

use crate::world::World;

/// What it is about, the page, the dialog (empty: it stands on the page), and the server function.
const REACH: &[(&str, &str, &str, &str)] = &[
    ("new user", "/users", "invite", "users/create"),
    ("new user", "/users/{it}", "edit", "users/edit"),
    ("new user", "/users/{it}", "invite", "users/invite"),
    ("new user", "/users/{it}", "join", "groups/add-member"),
    ("new user", "/users/{it}", "suspend", "users/suspend"),
    ("new user", "/users/{it}", "remove", "users/remove"),
    ("new member", "/users/{it}", "", "groups/remove-member"),
    ("new member", "/groups/{team}", "", "groups/remove-member"),
    ("new group", "/groups", "new", "groups/create"),
    ("new group", "/groups/{it}", "edit", "groups/edit"),
    ("new group", "/groups/{it}", "edit", "groups/default"),
    ("new group", "/groups/{it}", "move", "rehearsals/move"),
    ("new group", "/groups/{it}", "add", "groups/add-members"),
    ("new group", "/groups/{it}", "archive", "groups/archive"),
    ("new app", "/applications", "new", "applications/create"),
    ("new app", "/applications/{it}", "edit", "applications/edit"),
    ("new app", "/applications/{it}", "hand-over", "applications/hand-over"),
    ("new app", "/applications/{it}", "move", "rehearsals/move-application"),
    ("new app", "/applications/{it}", "archive", "applications/archive"),
    ("new app", "/applications/{it}", "key", "keys/edit"),
    ("new app", "/applications/{it}", "secret", "keys/issue"),
    ("new secret", "/applications/{app}", "revoke-{it}", "keys/revoke"),
    ("new group", "/groups/{it}", "new-limit", "limits/set"),
    ("new limit", "/limits", "limit-{it}", "limits/set"),
    ("new limit", "/limits", "limit-{it}", "limits/remove"),
    ("new provider", "/providers", "new", "providers/create"),
    ("new provider", "/providers/{it}", "", "providers/edit"),
    ("new provider", "/providers/{it}", "archive", "providers/archive"),
    ("new model", "/models", "new", "models/create"),
    ("new model", "/models/{it}", "edit", "models/edit"),
    ("new model", "/models/{it}", "prices", "models/price"),
    ("new model", "/models/{it}", "archive", "models/archive"),
    ("new tier", "/models", "new-tier", "models/create-tier"),
    ("new tier", "/models", "tier-{it}", "models/edit-tier"),
    ("new tier", "/models", "tier-{it}", "models/archive-tier"),
    ("new policy", "/policies", "new", "policies/save"),
    ("new policy", "/policies", "policy-{it}", "policies/save"),
    ("new policy", "/policies", "archive-{it}", "policies/archive"),
    ("new webhook", "/alerts/settings", "webhook", "webhooks/create"),
    ("new webhook", "/webhooks/{it}", "edit", "webhooks/edit"),
    ("new webhook", "/webhooks/{it}", "archive", "webhooks/archive"),
    ("new test", "/authorization/tests", "new", "access-tests/create"),
    ("new test", "/authorization/tests", "edit-{it}", "access-tests/edit"),
    ("new test", "/authorization/tests", "remove-{it}", "access-tests/remove"),
    ("new grant", "/requests/{it}", "end", "requests/end"),
    ("new review", "/reviews", "new", "reviews/open"),
    ("new review", "/reviews/{it}", "cancel", "reviews/cancel"),
    ("new invoice", "/invoices", "new", "invoices/create"),
    ("new invoice", "/invoices/{it}", "archive", "invoices/archive"),
    ("new group", "/settings", "", "organizations/edit"),
    ("new group", "/settings", "hand-over", "organizations/hand-over"),
    ("new group", "/settings", "delete", "organizations/delete"),
    ("new group", "/account", "", "accounts/sign-out"),
    ("new group", "/account", "", "accounts/password"),
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_made_is_changed_and_ended_from_its_page() {
    let mut world = World::new().await;
    let mut wrong = Vec::new();
    for (what, page, dialog, function) in REACH {
        let it = world.value(what).await;
        world.ids.insert("it", it);
        let (page, dialog) = (world.fill(page).await, world.fill(dialog).await);
        let shown = world.owner.get(&page).await.text;
        let form = format!("action=\"/console/{function}\"");
        if dialog.is_empty() {
            if !shown.contains(&form) {
                wrong.push(format!("{page} has no form of {function}"));
            }
            continue;
        }
        if !shown.contains(&format!("dialog={dialog}")) {
            wrong.push(format!("{page} does not lead to {dialog}"));
        }
        if !world.owner.get(&format!("{page}?dialog={dialog}")).await.text.contains(&form) {
            wrong.push(format!("{dialog} of {page} has no form of {function}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
