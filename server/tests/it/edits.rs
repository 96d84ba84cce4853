//! Two people edit one thing from the same page: the second is told what the first saved, beside what
//! they typed, and nothing of either is lost.

use domain::policies::Trouble;

use crate::{
    harness::Browser,
    world::{WHO, World},
};

/// A form that two people fill in.
pub struct Edit {
    /// The server function.
    pub function: &'static str,
    /// What is edited: `new group`; empty: the organization.
    pub what: &'static str,
    /// The page the form stands on; empty: none, it is a program's.
    pub page: &'static str,
    /// Fields of both.
    pub same: &'static str,
    /// What the first one says.
    pub first: &'static str,
    /// What the second one says.
    pub second: &'static str,
    /// What the second one reads of the first.
    pub theirs: &'static str,
    /// What is left of what the second one typed.
    pub mine: &'static str,
    /// Whether the second one can say it again, having seen that.
    pub again: bool,
}

const fn edit(function: &'static str, what: &'static str, page: &'static str) -> Edit {
    Edit { function, what, page, same: "", first: "", second: "", theirs: "", mine: "", again: true }
}

#[rustfmt::skip]
pub const EDITS: &[Edit] = &[
    Edit { same: "role=member&email={it}@acme.example", first: "name=First", second: "name=Second", theirs: "Olga saved: First", mine: "value=\"Second\"",
        ..edit("users/edit", "new user", "/users/{it}?dialog=edit") },
    Edit { first: "cap=10", second: "cap=20", theirs: "Olga saved: 10", mine: "value=\"20\"",
        ..edit("users/limit", "new user", "/users?cell={it}") },
    Edit { same: "kind=custom", first: "name=First", second: "name=Second", theirs: "Olga saved: First", mine: "value=\"Second\"",
        ..edit("groups/edit", "new group", "/groups/{it}?dialog=edit") },
    Edit { theirs: "Olga was here before you: new users join group-", again: false,
        ..edit("groups/default", "new group", "/groups/{it}?dialog=edit") },
    Edit { first: "policy={new policy}", second: "policy={new policy}", theirs: "Olga saved: policy/policy-",
        ..edit("groups/policy", "new group", "/groups/{it}") },
    Edit { same: "id={it}&was={team}", first: "parent={elsewhere}", second: "parent={top}", theirs: "in Marketing now", again: false,
        ..edit("groups/move", "new group", "") },
    Edit { first: "ends_on=2030-01-01", second: "ends_on=2030-02-02", theirs: "Olga saved: 2030-01-01", mine: "value=\"2030-02-02\"",
        ..edit("groups/edit-member", "new member", "/groups/{team}?dialog=membership&who={it}") },
    Edit { first: "name=first", second: "name=second", theirs: "Olga saved: first", mine: "value=\"second\"",
        ..edit("applications/edit", "new app", "/applications/{it}?dialog=edit") },
    Edit { first: "user={member}", second: "user={lead}", theirs: "Mia answers for it now", mine: "Leo",
        ..edit("applications/hand-over", "new app", "/applications/{it}?dialog=hand-over") },
    Edit { same: "id={it}&version=1&was={team}", first: "group={elsewhere}", second: "group={top}",
        theirs: "Olga changed it since it was shown to you (group: “Engineering/Research” → “Marketing”)", again: false,
        ..edit("applications/move", "new app", "") },
    Edit { first: "name=First&expected=not_open", second: "name=Second&expected=closed", theirs: "Olga saved: First", mine: "value=\"Second\"",
        ..edit("access-tests/edit", "new test", "/authorization/tests?dialog=edit-{it}") },
    Edit { same: "all_models=true&features[0]=streaming", first: "cache_seconds=600", second: "cache_seconds=3600", theirs: "Olga saved: For 10 minutes",
        ..edit("keys/edit", "new app", "/applications/{it}?dialog=key") },
    Edit { same: "metric=spend&window=day", first: "cap=10", second: "cap=20", theirs: "$10.00 a day", mine: "value=\"20\"", again: false,
        ..edit("limits/set", "new group", "/groups/{it}?dialog=new-limit") },
    Edit { first: "cap=10", second: "cap=20", theirs: "Olga saved: 10", mine: "value=\"20\"",
        ..edit("limits/set", "new limit", "/limits?dialog=limit-{it}") },
    Edit { same: "name=Acme&time_zone=Europe/Berlin&week_start=monday&default_user_limit=50&budget_status=402", first: "contact=First", second: "contact=Second",
        theirs: "Olga saved: First", mine: "value=\"Second\"", ..edit("organizations/edit", "", "/settings") },
    Edit { same: "applications=true", first: "", second: "requests=true", theirs: "Olga changed this: it was ticked.",
        ..edit("organizations/self-service", "", "/settings") },
    Edit { first: "above=100&approvers=2", second: "above=200&approvers=3", theirs: "Olga saved: 100", mine: "value=\"200\"",
        ..edit("requests/edit-rule", "", "/settings") },
    Edit { same: "kinds[0]=limit", first: "floor=15", second: "floor=20", theirs: "Olga saved: 15", mine: "value=\"20\"",
        ..edit("alerts/edit", "", "/alerts/settings") },
    Edit { same: "kinds[0]=limit", first: "url=https://hooks.example/first", second: "url=https://hooks.example/second",
        theirs: "Olga saved: https://hooks.example/first", mine: "value=\"https://hooks.example/second\"",
        ..edit("webhooks/edit", "new webhook", "/webhooks/{it}?dialog=edit") },
    Edit { same: "routing=fallback&steps={model name}", first: "name=first-route", second: "name=second-route", theirs: "Olga saved: first-route",
        mine: "value=\"second-route\"", ..edit("policies/save", "new policy", "/policies?dialog=policy-{it}") },
    Edit { same: "dialect=openai&base_url=https://models.example/v1", first: "name=First", second: "name=Second", theirs: "Olga saved: First",
        mine: "value=\"Second\"", ..edit("providers/edit", "new provider", "/providers/{it}") },
    Edit { first: "first_byte=10", second: "first_byte=20", theirs: "Olga saved: 10", mine: "value=\"20\"",
        ..edit("providers/waits", "new provider", "/providers/{it}") },
    Edit { same: "provider={provider}&upstream=x&modality=chat&tier={tier}&context_tokens=&max_output_tokens=", first: "name=first-model", second: "name=second-model",
        theirs: "Olga saved: first-model", mine: "value=\"second-model\"", ..edit("models/edit", "new model", "/models/{it}?dialog=edit") },
    Edit { first: "input=1&output=2", second: "input=3&output=4", theirs: "Olga changed it since it was shown to you", mine: "value=\"3\"",
        ..edit("models/price", "new model", "/models/{it}?dialog=prices") },
    Edit { theirs: "Olga changed it since it was shown to you (review: “pending” → “accepted”)", again: false,
        ..edit("models/accept", "new model", "/models/{it}") },
    Edit { same: "ids[0]={it}&seen[{it}]=1", theirs: "Olga changed it since it was shown to you (review: “pending” → “accepted”)", again: false,
        ..edit("model-reviews/accept", "new model", "") },
    Edit { same: "ids[0]={it}&seen[{it}]=1", theirs: "Olga has dismissed model-", again: false,
        ..edit("model-reviews/dismiss", "new model", "") },
    Edit { first: "name=first-tier", second: "name=second-tier", theirs: "Olga saved: first-tier", mine: "value=\"second-tier\"",
        ..edit("models/edit-tier", "new tier", "/models?dialog=tier-{it}") },
    Edit { first: "days=7", second: "days=9", theirs: "Olga saved: 7", mine: "value=\"9\"",
        ..edit("prompts/keep", "new app", "/applications/{it}?dialog=prompts") },
    Edit { same: "group={it}&from={lead}", first: "user={member}", second: "user={owner}", theirs: "Mia leads it now", again: false,
        ..edit("groups/hand-over", "new led", "") },
    Edit { same: "id={it}&suspended=true", first: "heir={member}", second: "heir={lead}", theirs: "the receipt on their page says who took over", again: false,
        ..edit("users/suspend", "new user", "") },
    Edit { same: "id={it}&was=Closed", theirs: "Olga promoted it since you saw it: “Closed” decides there now.", again: false,
        ..edit("observed/promote", "new observed", "") },
    Edit { same: "id={it}&was=Closed", theirs: "Olga took it away since you saw it: no rule of its own decides there.", again: false,
        ..edit("observed/drop", "new observed", "") },
    Edit { same: "ends_on={day}", first: "amount=4", second: "amount=3", theirs: "Olga has approved this already", again: false,
        ..edit("requests/approve", "new request", "/requests/{it}") },
    Edit { same: "id={it}", first: "answer=no", second: "answer=never", theirs: "Olga has refused this already", again: false,
        ..edit("requests/refuse", "new request", "") },
    Edit { same: "items[0]={line}", first: "verdict=confirm", second: "verdict=drop", theirs: "confirmed by Olga", again: false,
        ..edit("reviews/decide", "new review", "/reviews/{it}") },
];

/// What ends something for good that can be edited: as it was shown, or not at all.
const ENDS: &str = "applications/archive groups/archive groups/remove-member models/archive models/archive-tier \
    policies/archive providers/archive users/remove webhooks/archive";

/// What only reads.
pub const READS: &str = "access-tests/list accounts/sessions alerts/list alerts/settings analytics/get applications/get \
        applications/list audit/list audit/verify authorizations/draft authorizations/matrix authorizations/rule batches/get \
        calls/get calls/list counts explore/table frame groups/below groups/find groups/get groups/tree imports/check imports/columns in-flight/list \
        invoices/compare invoices/get invoices/list join/invitation leases/list limits/list model-reviews/list models/fill \
        models/fill-prices models/get models/list my-groups my-models nothing notices/list notices/preferences notices/unread \
        observed/list offers/list organizations/settings overview policies/list price-lists/book price-lists/get \
        prompts/keeping prompts/kept prompts/read providers/get providers/list providers/test receipts/get recommendations/list \
        rehearsals/get reports/get reports/months requests/askable requests/get requests/list requests/raisable requests/rule requests/waiting \
        reviews/get reviews/list roles sessions/get sessions/list setup/call setup/state setup/steps spend/page spend/places users/get \
        users/list webhooks/get why passwords/link";

/// Why nothing of anybody is lost by other forms, and which they are.
pub const OTHERWISE: &[(&str, &str)] = &[
    ("it reads", READS),
    (
        "it makes something new, and of two with one name the second is told",
        "access-tests/create applications/create \
        groups/create invoices/create keys/issue keys/issue-own keys/open-personal models/create models/create-tier \
        offers/take price-lists/read providers/create requests/create requests/raise reviews/open setup/model \
        setup/organization setup/owner users/create users/invite webhooks/create webhooks/replay webhooks/test",
    ),
    (
        "it makes a draft of one's own, which keeps what it was made from",
        "authorizations/stage authorizations/unstage \
        batches/prepare observed/rehearse rehearsals/authorization rehearsals/limit rehearsals/move rehearsals/move-application \
        rehearsals/policy",
    ),
    (
        "it saves or undoes a draft: what changed since is told of, each by itself (store: batches, drafts, imports, rehearsals)",
        "authorizations/save authorizations/undo batches/confirm batches/undo imports/run observed/restore rehearsals/save",
    ),
    (
        "what each model cost when it was shown goes along: tried in offers.rs and server/store/tests/it/catalogue.rs",
        "price-lists/apply",
    ),
    (
        "it ends for good what nobody can edit: a call, a browser, an invoice, a secret, a month, a test, a review, one's own request",
        "access-tests/remove accounts/end-session \
        in-flight/end invoices/archive keys/revoke leases/take-back reviews/cancel reports/close requests/end requests/withdraw",
    ),
    (
        "its figures as they were shown go along: tried in server/store/tests/it/recommendations.rs",
        "recommendations/dismiss recommendations/restore",
    ),
    ("it undoes, of a model as that was left: tried in ways_back.rs", "model-reviews/reopen"),
    (
        "who is in a group already is told, and who leads it is not moved",
        "groups/add-member \
        groups/add-members groups/move-people",
    ),
    ("each is decided as by itself", "requests/approve-several requests/refuse-several"),
    ("only who has it can give it, once", "organizations/hand-over"),
    ("its name as it is now has to be typed out", "organizations/delete"),
    ("it is a program's: it says what shall be, and a form stages it", "authorizations/set"),
    (
        "it is one's own",
        "accounts/enter accounts/password accounts/sign-in accounts/sign-out join/accept notices/prefer \
        notices/read notices/read-all passwords/forgot passwords/reset theme",
    ),
    (
        "its version is tried in server/store/tests/it/edits.rs and catalogue.rs",
        "limits/remove models/drop-price",
    ),
    ("it ends something for good: tried below, after somebody has edited it", ENDS),
];

/// What a form on a page sends along unseen: that of several which is about `it`.
pub fn hidden(page: &str, function: &str, it: &str) -> Vec<(String, String)> {
    let action = format!("action=\"/console/{function}\"");
    let forms: Vec<&str> = page
        .split("<form ")
        .skip(1)
        .filter_map(|form| form.split("</form>").next())
        .filter(|form| form.contains(&action))
        .collect();
    let form = forms.iter().find(|form| form.contains(it)).or(forms.first());
    let form = form.unwrap_or_else(|| panic!("no form of {function} on the page: {}", main(page)));
    let value = |input: &str, name: &str| {
        let start = input.find(&format!(" {name}=\""))? + name.len() + 3;
        let text = input[start..].split('"').next()?;
        Some(text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    };
    form.split("<input ")
        .skip(1)
        .map(|input| format!(" {}", input.split('>').next().unwrap_or_default()))
        .filter(|input| input.contains("type=\"hidden\""))
        .filter_map(|input| Some((value(&input, "name")?, value(&input, "value").unwrap_or_default())))
        .collect()
}

/// Fields of both, then of one.
pub fn fields(texts: [&str; 2]) -> Vec<(String, String)> {
    texts
        .iter()
        .flat_map(|text| serde_urlencoded::from_str::<Vec<(String, String)>>(text).expect("fields"))
        .collect()
}

pub async fn send(
    who: &Browser,
    edit: &Edit,
    page: &str,
    unseen: &[(String, String)],
    said: &[(String, String)],
) -> crate::harness::Answer {
    let path = format!("/console/{}", edit.function);
    let pairs: Vec<(&str, &str)> =
        unseen.iter().chain(said).map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if page.is_empty() {
        return who.post(&path, &pairs).await;
    }
    who.submit(page, &path, &pairs).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_edits_of_one_thing_the_second_is_told_of_the_first_and_nothing_is_lost() {
    let mut world = World::new().await;
    let name = world.name_of("model").await;
    world.ids.insert("model name", name);
    // Without one there is nothing to choose for a group.
    world.value("new policy").await;
    let second = WHO.iter().position(|who| *who == "admin").expect("an admin");
    let admin = world.people[second].clone();
    let mut wrong = Vec::new();
    for edit in EDITS {
        let it = if edit.what.is_empty() { String::new() } else { world.value(edit.what).await };
        world.ids.insert("it", it.clone());
        let page = world.fill(edit.page).await;
        let shown = if page.is_empty() { String::new() } else { world.owner.get(&page).await.text };
        if let Some(start) = shown.find("rvi_") {
            world.ids.insert("line", shown[start..start + 30].to_owned());
        }
        let unseen = if page.is_empty() { Vec::new() } else { hidden(&shown, edit.function, &it) };
        let same = world.fill(edit.same).await;
        let (first, second) = (world.fill(edit.first).await, world.fill(edit.second).await);
        let done = send(&world.owner, edit, &page, &unseen, &fields([&same, &first])).await;
        let mut note = |what: &str, answer: &crate::harness::Answer| {
            wrong.push(format!(
                "{} of {}: {what}: {} {}",
                edit.function,
                edit.what,
                answer.status,
                main(&answer.text)
            ));
        };
        if !done.status.is_success() && done.status != 303 {
            note("the first is refused", &done);
            continue;
        }
        let said = fields([&same, &second]);
        let told = send(&admin, edit, &page, &unseen, &said).await;
        if told.status != 409 {
            note("the second is not told", &told);
            continue;
        }
        if !told.text.contains(edit.theirs) {
            note("it is not said what the first saved", &told);
        }
        if !told.text.contains(edit.mine) {
            note("what was typed is lost", &told);
        }
        if edit.again {
            let unseen = hidden(&told.text, edit.function, &it);
            let again = send(&admin, edit, &page, &unseen, &said).await;
            if again.status != 303 {
                note("having seen it, it cannot be said again", &again);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_saves_again_changes_nothing_that_they_did_not_touch() {
    let mut world = World::new().await;
    let admin = world.people[WHO.iter().position(|who| *who == "admin").expect("an admin")].clone();
    let user = world.value("new user").await;
    let page = format!("/users/{user}?dialog=edit");
    let shown = world.owner.get(&page).await.text;
    let unseen = hidden(&shown, "users/edit", &user);
    let held = unseen.iter().find(|(name, _)| name == "_was").map(|(_, json)| json.as_str());
    let held: Vec<(String, String)> =
        serde_json::from_str(held.expect("what the fields hold")).expect("JSON");
    let of = |name: &str| held.iter().find(|(field, _)| field == name).expect("a field").1.clone();
    let (name, email) = (of("name"), of("email"));
    let edit = edit("users/edit", "user", "");
    let say = |name: &str, role: &str| {
        [("name", name), ("email", &email), ("role", role)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let first = send(&world.owner, &edit, &page, &unseen, &say(&name, "auditor")).await;
    assert_eq!(first.status, 303, "{}", first.text);
    // The other one has the page from before, and changes the name alone.
    let told = send(&admin, &edit, &page, &unseen, &say("Other Name", "member")).await;
    assert_eq!(told.status, 409);
    let form = told
        .text
        .split("<form ")
        .find(|form| form.contains("action=\"/console/users/edit\""))
        .expect("the form");
    let form = form.split("</form>").next().unwrap_or_default();
    assert!(form.contains("value=\"Other Name\""), "what was typed stays: {form}");
    assert!(!form.contains("Olga saved"), "nobody else saved a name: {form}");
    assert!(form.contains("Olga changed this: it was Member."), "{form}");
    let chosen = form.split("<option").find(|option| option.contains(" selected")).expect("a choice");
    assert!(chosen.contains("value=\"auditor\""), "{form}");
    let again =
        send(&admin, &edit, &page, &hidden(&told.text, "users/edit", &user), &say("Other Name", "auditor"))
            .await;
    assert_eq!(again.status, 303, "{}", again.text);
    let page = world.owner.get(&page).await.text;
    assert!(page.contains("value=\"Other Name\""), "{}", main(&page));
    // Whoever changes the same is asked.
    let unseen = hidden(&page, "users/edit", &user);
    let first =
        send(&world.owner, &edit, &format!("/users/{user}?dialog=edit"), &unseen, &say("Mine", "auditor"))
            .await;
    assert_eq!(first.status, 303, "{}", first.text);
    let told =
        send(&admin, &edit, &format!("/users/{user}?dialog=edit"), &unseen, &say("Theirs", "auditor")).await;
    assert!(
        told.text.contains("value=\"Theirs\"") && told.text.contains("Olga saved: Mine"),
        "{}",
        main(&told.text)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_when_a_model_fails_is_merged_as_fields_are() {
    let world = World::new().await;
    let admin = world.people[WHO.iter().position(|who| *who == "admin").expect("an admin")].clone();
    let model = world.name_of("model").await;
    let made = [("name", "steady"), ("routing", "fallback"), ("steps", model.as_str())];
    world.owner.must("/console/policies/save", &made).await;
    let list = world.owner.get("/policies").await.text;
    let at = list.find("dialog=policy-pol_").expect("its dialog") + "dialog=policy-".len();
    let policy: String = list[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let page = format!("/policies?dialog=policy-{policy}");
    let unseen = hidden(&world.owner.get(&page).await.text, "policies/save", &policy);
    let edit = edit("policies/save", "policy", "");
    let say = |name: &str, tries: &str| {
        let tries = format!("{model} {tries}");
        [
            ("name", name),
            ("routing", "fallback"),
            ("steps", &model),
            ("attempts[0]", &tries),
            ("first_byte[0]", &format!("{model} -")),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .chain(Trouble::ALL.iter().map(|trouble| ("after[]".to_owned(), format!("{model} {trouble}"))))
        .collect::<Vec<_>>()
    };
    let form = |page: &str| {
        let mut forms =
            page.split("<form ").filter(|form| form.contains("action=\"/console/policies/save\""));
        let form = forms.find(|form| form.contains(&policy)).expect("the form");
        form.split("</form>").next().unwrap_or_default().to_owned()
    };
    let twice = |form: &str| {
        let options = form.split("<option").filter(|option| option.contains(" selected"));
        options.filter(|option| option.contains(&format!("value=\"{model} 2\""))).count()
    };
    let first = send(&world.owner, &edit, &page, &unseen, &say("steady", "2")).await;
    assert_eq!(first.status, 303, "{}", first.text);
    // The other one changes the name alone: that a model is tried twice stays.
    let told = send(&admin, &edit, &page, &unseen, &say("steadier", "1")).await;
    assert_eq!(told.status, 409);
    let shown = form(&told.text);
    assert!(shown.contains("value=\"steadier\""), "{shown}");
    assert!(shown.contains("Olga changed this: it was what is usual."), "{shown}");
    assert_eq!(twice(&shown), 1, "{shown}");
    // Whoever changes the same is asked, and what they chose stays.
    let told = send(&admin, &edit, &page, &unseen, &say("steady", "3")).await;
    let shown = form(&told.text);
    assert!(shown.contains("Olga saved: 2 tries"), "{shown}");
    assert_eq!(twice(&shown), 0, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_edited_is_not_ended_by_somebody_who_has_not_seen_it() {
    let mut world = World::new().await;
    let model = world.name_of("model").await;
    world.ids.insert("model name", model);
    let admin = world.people[WHO.iter().position(|who| *who == "admin").expect("an admin")].clone();
    // What, how the first one edits it, and what ends it.
    let ends = [
        ("app", "applications/edit", "name=edited", "applications/archive"),
        ("group", "groups/edit", "name=edited&kind=custom", "groups/archive"),
        (
            "model",
            "models/edit",
            "name=edited&provider={provider}&upstream=x&modality=chat&tier={tier}&context_tokens=&max_output_tokens=",
            "models/archive",
        ),
        ("tier", "models/edit-tier", "name=edited", "models/archive-tier"),
        ("policy", "policies/save", "name=edited&routing=fallback&steps={model name}", "policies/archive"),
        (
            "provider",
            "providers/edit",
            "name=edited&dialect=openai&base_url=https://models.example/v1",
            "providers/archive",
        ),
        ("user", "users/edit", "name=edited&email=edited@acme.example&role=member", "users/remove"),
        ("user", "users/edit", "name=again&email=again@acme.example&role=member", "users/suspend"),
        ("webhook", "webhooks/edit", "url=https://hooks.example/edited&kinds[0]=limit", "webhooks/archive"),
    ];
    let mut wrong = Vec::new();
    for (what, edit, said, end) in ends {
        let it = world.value(&format!("new {what}")).await;
        let (edits, said) = (format!("/console/{edit}"), world.fill(said).await);
        let edited = fields([&format!("id={it}&version=1"), &said]);
        let edited: Vec<(&str, &str)> =
            edited.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        world.owner.must(&edits, &edited).await;
        let ask = async |version: &str, name: &str| {
            let name = if what == "webhook" { "https://hooks.example/edited" } else { name };
            let pairs = [("id", it.as_str()), ("version", version), ("typed", name), ("suspended", "true")];
            admin.post(&format!("/console/{end}"), &pairs).await
        };
        let told = ask("1", "edited").await;
        let known = ["Olga changed it since it was shown to you", "→ “"];
        if told.status != 409 || !known.iter().all(|words| told.text.contains(words)) {
            wrong.push(format!("{end}: {} {}", told.status, told.text));
        }
        // Having seen it, it can be said again.
        let again = ask("2", "edited").await;
        if !again.status.is_success() {
            wrong.push(format!("{end}, again: {} {}", again.status, again.text));
        }
    }
    // A membership has no version: what they were shown as goes along.
    let user = world.value("new member").await;
    let membership = [("group", world.ids["team"].clone()), ("user", user)];
    let pairs = |more: &[(&'static str, &'static str)]| -> Vec<(&'static str, String)> {
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        membership.iter().cloned().chain(more).collect()
    };
    let post = async |who: &Browser, path: &str, pairs: Vec<(&'static str, String)>| {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        who.post(path, &pairs).await
    };
    let lead = pairs(&[("was", "member"), ("lead", "true")]);
    assert_eq!(post(&world.owner, "/console/groups/edit-member", lead).await.status, 200);
    let told = post(&admin, "/console/groups/remove-member", pairs(&[("was", "member")])).await;
    assert_eq!(told.status, 409, "{}", told.text);
    assert!(told.text.contains("that of a lead now"), "{}", told.text);
    let again = post(&admin, "/console/groups/remove-member", pairs(&[("was", "lead")])).await;
    assert_eq!(again.status, 200, "{}", again.text);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What of a page is worth reading when something is wrong.
pub fn main(page: &str) -> &str {
    let start = page.find("<main").unwrap_or_default();
    page.get(start..start + 2000).unwrap_or(&page[start..])
}

#[test]
fn every_form_is_tried_or_says_why_nothing_can_be_lost() {
    let mut known: Vec<&str> = EDITS.iter().map(|edit| edit.function).collect();
    let tried = known.clone();
    known.extend(OTHERWISE.iter().flat_map(|(_, functions)| functions.split_whitespace()));
    let rows = include_str!("roles.txt").lines().filter(|line| !line.starts_with('#'));
    let mut functions = Vec::new();
    for row in rows {
        let Some((function, rest)) = row.split_once('|') else { continue };
        let function = function.trim();
        assert!(known.contains(&function), "say in the table what becomes of two who use {function}");
        let fields = rest.split('|').next().unwrap_or_default();
        let says =
            fields.split('&').map(str::trim).any(|it| it.starts_with("version=") || it.starts_with("was="));
        // A draft that was overtaken is refused when it is saved: tried in server/store/tests/it/moving.rs.
        let draft = function == "rehearsals/move-application";
        let in_the_store = ["limits/remove", "models/drop-price"].contains(&function);
        let elsewhere = draft || in_the_store || ENDS.split_whitespace().any(|ends| ends == function);
        assert!(
            !says || elsewhere || tried.contains(&function),
            "{function} says what it was made from: try it"
        );
        functions.push(function);
    }
    let gone: Vec<_> = known.iter().filter(|known| !functions.contains(known)).collect();
    assert!(gone.is_empty(), "no such functions: {gone:?}");
}
