//! What was just changed is changed back by the form that the answer brings: as long as nobody else has
//! changed it since, and by whoever may.

use serde_json::Value;

use crate::{
    edits::{EDITS, Edit, READS, fields, hidden},
    harness::{Answer, Browser},
    world::{WHO, World},
};

/// Why there is no way back, and of what.
const ONE_WAY: &[(&str, &str)] = &[
    ("it changes nothing", READS),
    (
        "it makes something new, which has its own end",
        "access-tests/create applications/create groups/create invoices/create keys/issue keys/issue-own \
        keys/open-personal models/create models/create-tier offers/take price-lists/apply \
        price-lists/read providers/create requests/create requests/raise reviews/open setup/model setup/organization \
        setup/owner users/create users/invite webhooks/create webhooks/replay webhooks/test",
    ),
    (
        "it cannot be undone, and has a name typed out or the consequence confirmed first",
        "access-tests/remove applications/archive groups/archive in-flight/end invoices/archive keys/revoke \
        leases/take-back models/archive models/archive-tier organizations/delete organizations/hand-over \
        policies/archive providers/archive reports/close requests/end reviews/cancel reviews/decide users/remove webhooks/archive",
    ),
    (
        "somebody was answered, who may act on it: what was approved is ended, what was refused is asked for again",
        "requests/approve requests/approve-several requests/refuse requests/refuse-several requests/withdraw",
    ),
    (
        "its page has a way back for as long as nobody changed it since",
        "authorizations/save batches/confirm imports/run",
    ),
    (
        "it is a draft, or looks at one",
        "authorizations/stage authorizations/unstage batches/prepare imports/check observed/rehearse \
        rehearsals/authorization rehearsals/limit rehearsals/move rehearsals/move-application rehearsals/policy",
    ),
    (
        "it undoes",
        "authorizations/undo batches/undo model-reviews/reopen observed/restore recommendations/restore",
    ),
    ("it is a program's", "authorizations/set"),
    (
        "it is one's own, and the same form says the other thing",
        "accounts/end-session accounts/enter accounts/password accounts/sign-in accounts/sign-out join/accept \
        notices/prefer notices/read notices/read-all passwords/forgot passwords/reset theme",
    ),
];

/// What is tried elsewhere, or below.
const TRIED: &str = "groups/add-member groups/add-members groups/move-people groups/remove-member limits/remove models/drop-price \
    observed/drop observed/promote recommendations/dismiss rehearsals/save";

/// The forms of the page that are about something, as a browser would send them: each name with its value,
/// without what a form was made from.
fn said(page: &str, function: &str, it: &str) -> Vec<(String, String)> {
    let action = format!("action=\"/console/{function}\"");
    let forms = page.split("<form ").skip(1).filter_map(|form| form.split("</form>").next());
    let forms: Vec<&str> = forms.filter(|form| form.contains(&action)).collect();
    let form = forms.iter().find(|form| form.contains(it)).or(forms.first()).copied().unwrap_or_default();
    let value = |tag: &str, name: &str| {
        let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
        tag[start..].split('"').next().map(str::to_owned)
    };
    let mut pairs = Vec::new();
    for tag in form.split("<input").skip(1).filter_map(|tag| tag.split('>').next()) {
        let name = value(tag, "name").unwrap_or_default();
        let box_left = tag.contains("type=\"checkbox\"") && !tag.contains(" checked");
        if !box_left && !["version", "was", "default", "_was"].contains(&name.as_str()) {
            pairs.push((name, value(tag, "value").unwrap_or_default()));
        }
    }
    for select in form.split("<select").skip(1).filter_map(|select| select.split("</select>").next()) {
        let options =
            select.split("<option").skip(1).map(|option| option.split('>').next().unwrap_or_default());
        let chosen = options.clone().find(|option| option.contains(" selected")).or(options.clone().next());
        let chosen = chosen.and_then(|option| value(option, "value")).unwrap_or_default();
        pairs.push((value(select, "name").unwrap_or_default(), chosen));
    }
    for area in form.split("<textarea").skip(1) {
        let (tag, rest) = area.split_once('>').unwrap_or_default();
        let text = rest.split("</textarea").next().unwrap_or_default();
        pairs.push((value(tag, "name").unwrap_or_default(), text.to_owned()));
    }
    pairs.sort();
    pairs
}

/// Sends a form, as script does.
async fn send(who: &Browser, function: &str, pairs: &[(String, String)]) -> Answer {
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    who.post(&format!("/console/{function}"), &pairs).await
}

/// Sends what undoes something.
async fn back(who: &Browser, undo: &Value) -> Answer {
    let to = undo["to"].as_str().expect("an address").to_owned();
    let fields = undo["fields"].as_array().expect("fields").iter();
    let pairs: Vec<(String, String)> = fields
        .map(|pair| {
            let text = |place: usize| pair[place].as_str().expect("text").to_owned();
            (text(0), text(1))
        })
        .collect();
    send(who, to.trim_start_matches("/console/"), &pairs).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_edit_brings_the_form_that_undoes_it() {
    let mut world = World::new().await;
    let name = world.name_of("model").await;
    world.ids.insert("model name", name);
    world.value("new policy").await;
    let owner = world.owner.clone();
    let admin = world.people[WHO.iter().position(|who| *who == "admin").expect("an admin")].clone();
    let one_way =
        |function: &str| ONE_WAY.iter().any(|(_, list)| list.split_whitespace().any(|it| it == function));
    let mut wrong = Vec::new();
    for edit in EDITS.iter().filter(|edit| !one_way(edit.function)) {
        if TRIED.split_whitespace().any(|it| it == edit.function) {
            continue;
        }
        let it = if edit.what.is_empty() { String::new() } else { world.value(edit.what).await };
        world.ids.insert("it", it.clone());
        let page = world.fill(edit.page).await;
        let same = world.fill(edit.same).await;
        let (first, second) = (world.fill(edit.first).await, world.fill(edit.second).await);
        let form = async |who: &Browser, more: &str| {
            let text = if page.is_empty() { String::new() } else { who.get(&page).await.text };
            let unseen = if page.is_empty() { Vec::new() } else { hidden(&text, edit.function, &it) };
            let all: Vec<_> = unseen.into_iter().chain(fields([&same, more])).collect();
            (said(&text, edit.function, &it), all)
        };
        let (before, all) = form(&owner, &first).await;
        let done = send(&owner, edit.function, &all).await;
        let undo = if done.status.is_success() { done.json()["undo"].clone() } else { Value::Null };
        if undo.is_null() {
            wrong.push(format!("{} of {} has no way back: {}", edit.function, edit.what, done.text));
            continue;
        }
        let undone = back(&owner, &undo).await;
        let (after, _) = form(&owner, &first).await;
        if !undone.status.is_success() || before != after {
            wrong.push(format!(
                "{} of {} is not as before: {} {}\n{before:?}\n{after:?}",
                edit.function, edit.what, undone.status, undone.text
            ));
            continue;
        }
        // Once more; then somebody else changes it, and it is theirs.
        if !edit.again {
            continue;
        }
        let (_, all) = form(&owner, &first).await;
        let done = send(&owner, edit.function, &all).await;
        let undo = if done.status.is_success() { done.json()["undo"].clone() } else { Value::Null };
        let (_, all) = form(&admin, &second).await;
        let theirs = send(&admin, edit.function, &all).await;
        let refused = if undo.is_null() { done } else { back(&owner, &undo).await };
        // What is changed as a change to many is refused as such: with a sentence.
        let expected = [409, if edit.function == "users/limit" { 422 } else { 409 }];
        if !theirs.status.is_success() || !expected.contains(&refused.status.as_u16()) {
            wrong.push(format!(
                "{} of {}: theirs {} {}; undone {} {}",
                edit.function, edit.what, theirs.status, theirs.text, refused.status, refused.text
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whether somebody answers for an application.
async fn answers(owner: &Browser, user: &str, app: &str) -> bool {
    owner.get(&format!("/applications/{app}")).await.text.contains(&format!("/users/{user}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn memberships_suspensions_limits_and_saved_rehearsals_come_back() {
    let mut world = World::new().await;
    let (owner, team) = (world.owner.clone(), world.ids["team"].clone());
    let undo = async |done: Value| {
        assert!(!done["undo"].is_null(), "{done}");
        let answer = back(&owner, &done["undo"]).await;
        assert!(answer.status.is_success(), "{}", answer.text);
        // Once.
        let twice = back(&owner, &done["undo"]).await;
        assert!([404, 409, 422].contains(&twice.status.as_u16()), "{} {}", twice.status, twice.text);
    };
    let shows = async |path: String, text: &str| owner.get(&path).await.text.contains(text);

    // In and out of a group, as a member and as a lead.
    let user = world.value("new user").await;
    let of = format!("/users/{user}");
    let pair = [("group", team.as_str()), ("user", user.as_str())];
    undo(owner.must("/console/groups/add-member", &pair).await).await;
    assert!(!shows(of.clone(), "groups/remove-member").await);
    owner.must("/console/groups/add-member", &pair).await;
    undo(owner.must("/console/groups/remove-member", &[pair[0], pair[1], ("was", "member")]).await).await;
    assert!(shows(of.clone(), "groups/remove-member").await);
    owner.must("/console/groups/edit-member", &[pair[0], pair[1], ("was", "member"), ("lead", "true")]).await;
    let led = owner.must("/console/groups/remove-member", &[pair[0], pair[1], ("was", "lead")]).await;
    assert!(back(&owner, &led["undo"]).await.status.is_success());
    assert!(
        owner.post("/console/groups/remove-member", &[pair[0], pair[1], ("was", "lead")]).await.status == 200
    );

    // Out of the organization's doors and in again, with what they answer for.
    let (user, heir) = (world.ids["lead"].clone(), world.ids["member"].clone());
    let app = world.value("new app").await;
    let page = owner.get(&format!("/applications/{app}?dialog=hand-over")).await.text;
    let mut give = hidden(&page, "applications/hand-over", &app);
    give.push(("user".to_owned(), user.clone()));
    assert!(send(&owner, "applications/hand-over", &give).await.status.is_success());
    let fields = [("id", user.as_str()), ("suspended", "true"), ("heir", heir.as_str())];
    let gone = owner.must("/console/users/suspend", &fields).await;
    assert!(!answers(&owner, &user, &app).await, "it was handed over");
    undo(gone).await;
    assert!(answers(&owner, &user, &app).await, "it came back");
    owner.must("/console/users/suspend", &[("id", &user), ("suspended", "true")]).await;
    undo(owner.must("/console/users/suspend", &[("id", user.as_str())]).await).await;

    // A limit that is new, and one that is gone.
    let group = world.value("new group").await;
    let scope = format!("group:{group}");
    let limit = [("scope", scope.as_str()), ("metric", "requests"), ("window", "day"), ("cap", "7")];
    undo(owner.must("/console/limits/set", &limit).await).await;
    let of = format!("/groups/{group}");
    assert!(!shows(of.clone(), "7 requests a day").await);
    owner.must("/console/limits/set", &limit).await;
    let text = owner.get(&of).await.text;
    let id = crate::world::id_at(&text, "lim_");
    let gone = owner.must("/console/limits/remove", &[("id", id.as_str()), ("version", "1")]).await;
    undo(gone).await;
    assert!(shows(of, "7 requests a day").await);

    // What was saved from a rehearsal.
    let rehearsal = world.value("new rehearsal").await;
    let saved = owner.must("/console/rehearsals/save", &[("id", &rehearsal)]).await;
    undo(saved).await;

    // A rule that was promoted, alone or in the place of another, or dropped, takes note again.
    for (verb, beside) in [("promote", false), ("promote", true), ("drop", false), ("drop", true)] {
        let tier = world.value("new tier").await;
        let target = format!("tier:{tier}");
        let cell = [("group", team.as_str()), ("target", target.as_str())];
        if beside {
            owner.must("/console/authorizations/set", &[cell[0], cell[1], ("state", "open")]).await;
        }
        let watch = [cell[0], cell[1], ("state", "closed"), ("mode", "observe")];
        owner.must("/console/authorizations/set", &watch).await;
        let text = owner.get("/authorization/observed").await.text;
        let row = text.split("<tr").find(|row| row.contains(&tier)).expect("its line");
        let rule = crate::world::id_at(row, "aut_");
        let line = |text: &str| text.contains(&rule);
        // What the page showed of it goes along.
        let decides = format!("{rule} {}", if beside { "Open" } else { "" });
        let mut fields = vec![("id", rule.as_str()), ("was", "Closed")];
        if verb == "promote" {
            fields.push(("decides", &decides));
        }
        let done = owner.must(&format!("/console/observed/{verb}"), &fields).await;
        assert!(!line(&owner.get("/authorization/observed").await.text), "{verb}");
        for who in ["member", "other", "auditor"] {
            let who = &world.people[WHO.iter().position(|it| *it == who).expect("somebody")];
            let refused = back(who, &done["undo"]).await;
            assert_eq!(refused.status, 403, "{verb}: {}", refused.text);
        }
        undo(done).await;
        assert!(line(&owner.get("/authorization/observed").await.text), "{verb} {beside}");
    }

    // Models that were accepted or dismissed wait again.
    for verb in ["accept", "dismiss"] {
        let model = world.value("new model").await;
        let seen = format!("seen[{model}]");
        let fields = [("ids[]", model.as_str()), (seen.as_str(), "1")];
        undo(owner.must(&format!("/console/model-reviews/{verb}"), &fields).await).await;
        assert!(shows(format!("/models/{model}"), "waits for review").await, "{verb}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_to_come_are_corrected_taken_back_and_come_again() {
    let mut world = World::new().await;
    let owner = world.owner.clone();
    let model = world.value("new model").await;
    let path = format!("/models/{model}");
    let price = async |version: &str, input: &str| {
        let fields = [
            ("id", model.as_str()),
            ("version", version),
            ("from", "2099-03-01"),
            ("input", input),
            ("output", "9"),
        ];
        owner.must("/console/models/price", &fields).await
    };
    let first = price("1", "7.25").await;
    assert!(!first["undo"].is_null(), "{first}");
    let second = price("2", "8.25").await;
    assert!(second["notice"].as_str().is_some_and(|notice| notice.contains("in place of $7.25")), "{second}");
    let page = owner.get(&path).await.text;
    assert!(page.contains("$8.25") && !page.contains("$7.25") && page.contains("Take back"), "{page}");
    let stale = back(&owner, &first["undo"]).await;
    assert_eq!(stale.status, 409, "somebody has set others since: {}", stale.text);
    assert!(back(&owner, &second["undo"]).await.status.is_success());
    assert!(owner.get(&path).await.text.contains("$7.25"));
    let page = owner.get(&path).await.text;
    let asks = page.find("dialog=drop-").expect("a question") + "dialog=drop-".len();
    let asks: String = page[asks..].chars().take_while(char::is_ascii_digit).collect();
    let page = owner.get(&format!("{path}?dialog=drop-{asks}")).await.text;
    assert!(page.contains("input $7.25") && page.contains("1 Mar 2099"), "{page}");
    let fields = hidden(&page, "models/drop-price", &model);
    let gone = send(&owner, "models/drop-price", &fields).await;
    assert!(gone.status.is_success(), "{}", gone.text);
    assert!(!owner.get(&path).await.text.contains("$7.25"));
    let again = back(&owner, &gone.json()["undo"]).await;
    assert!(again.status.is_success(), "{}", again.text);
    assert!(owner.get(&path).await.text.contains("$7.25"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_does_not_come_back_and_no_way_back_makes_it_last() {
    let world = World::new().await;
    let owner = world.owner.clone();
    let (member, team) = (world.people[1].clone(), world.ids["team"].clone());
    let user = world.ids["member"].clone();
    let scope = format!("user:{user}");
    let in_days = |days| (store::clock::now() + chrono::Duration::days(days)).date_naive();
    let raise_to = async |amount: &str, days: i64| {
        let (limit, day) = (format!("{scope}/spend/month"), in_days(days).to_string());
        let ask = [
            ("limit", limit.as_str()),
            ("group", team.as_str()),
            ("reason", "more"),
            ("amount", amount),
            ("ends_on", day.as_str()),
        ];
        let id = member.create("/console/requests/raise", &ask).await;
        let yes = [("id", id.as_str()), ("amount", amount), ("ends_on", day.as_str())];
        owner.must("/console/requests/approve", &yes).await;
    };
    let raise = async || raise_to("39", 5).await;
    let set = async |cap: &str, version: &str| {
        let fields = [
            ("scope", scope.as_str()),
            ("metric", "spend"),
            ("window", "month"),
            ("cap", cap),
            ("version", version),
        ];
        owner.must("/console/limits/set", &fields).await
    };
    // Not their own page: that has what was changed about them, too.
    let shows = async |text: &str| owner.get("/limits").await.text.contains(text);
    set("20", "").await;
    let later = (store::clock::now() + chrono::Duration::days(9)).date_naive();
    let model = world.name_of("model").await;
    let why = async |at: &str| owner.get(&format!("/why?who={user}&model={model}{at}")).await.text;
    raise().await;
    // What is asked about a later moment is answered by what holds then.
    assert!(why("").await.contains("$39.00 a month"));
    let then = why(&format!("&at={later}T10:00")).await;
    assert!(then.contains("$20.00 a month") && !then.contains("$39.00 a month"), "{then}");

    let done = set("30", "2").await;
    assert!(
        done["notice"].as_str().is_some_and(|notice| notice.contains("Undo sets $20.00 a month")),
        "{done}"
    );
    assert!(back(&owner, &done["undo"]).await.status.is_success());
    assert!(shows("$20.00 a month").await && !shows("$39.00").await);

    raise().await;
    let id = crate::world::id_at(&owner.get(&format!("/users/{user}")).await.text, "lim_");
    let removed = owner.must("/console/limits/remove", &[("id", id.as_str()), ("version", "5")]).await;
    assert!(back(&owner, &removed["undo"]).await.status.is_success());
    assert!(shows("$20.00 a month").await && !shows("$39.00").await);

    // The same of a person's month set where people are, and of many at once.
    raise().await;
    let fields = [("id", user.as_str()), ("was", "39"), ("cap", "30")];
    let set_there = owner.must("/console/users/limit", &fields).await;
    let said = format!(
        "Limit set: $30.00 a month. The raise to $39.00 a month until {} ends with it: Undo sets $20.00 a month.",
        domain::time::date(in_days(5))
    );
    assert_eq!(set_there["notice"], said.as_str());
    assert!(back(&owner, &set_there["undo"]).await.status.is_success());
    assert!(shows("$20.00 a month").await && !shows("$39.00").await);

    // Of two, both are named.
    raise().await;
    raise_to("45", 3).await;
    let fields = [("id", user.as_str()), ("was", "45"), ("cap", "default")];
    let set_there = owner.must("/console/users/limit", &fields).await;
    let said = format!(
        "The organization's default applies again. The raise to $45.00 a month until {}, and a lower one, end with it: Undo sets $20.00 a month.",
        domain::time::date(in_days(3))
    );
    assert_eq!(set_there["notice"], said.as_str());
    assert!(back(&owner, &set_there["undo"]).await.status.is_success());
    assert!(shows("$20.00 a month").await && !shows("$39.00").await && !shows("$45.00").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_script_the_next_page_has_the_way_back() {
    let mut world = World::new().await;
    let (owner, group) = (world.owner.clone(), world.value("new group").await);
    let page = format!("/groups/{group}?dialog=edit");
    let name = format!("a \"b\"; c, {group}");
    let fields = [("id", group.as_str()), ("version", "1"), ("kind", "project"), ("name", &name)];
    let sent = owner.submit(&page, "/console/groups/edit", &fields).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    let next = owner.get(&format!("/groups/{group}")).await.text;
    let form = next.split("<form ").find(|form| form.contains("name=\"_undo\"")).expect("a way back");
    assert!(form.contains("action=\"/console/groups/edit\"") && form.contains(">Undo<"), "{form}");
    assert!(form.contains("name=\"version\" value=\"2\""), "{form}");
    let last = owner.get(&format!("/groups/{group}")).await.text;
    assert!(!last.contains("name=\"_undo\""), "it is offered once");
    let before = form.split("name=\"name\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let fields = [
        ("id", group.as_str()),
        ("version", "2"),
        ("kind", "custom"),
        ("name", before.expect("its name")),
        ("_undo", "1"),
    ];
    let sent = owner.submit(&format!("/groups/{group}"), "/console/groups/edit", &fields).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    let shown = owner.get(&format!("/groups/{group}")).await.text;
    assert!(shown.contains("Undone.") && !shown.contains("name=\"_undo\""), "there is no way back from it");
}

#[test]
fn every_form_has_a_way_back_or_says_why_not() {
    let mut functions: Vec<&str> = include_str!("roles.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once('|')?.0.trim()))
        .collect();
    functions.dedup();
    let listed: Vec<&str> = ONE_WAY.iter().flat_map(|(_, list)| list.split_whitespace()).collect();
    for function in &functions {
        let edited = EDITS.iter().any(|Edit { function: edited, .. }| edited == function);
        let tried = edited || TRIED.split_whitespace().any(|it| it == *function);
        assert!(tried || listed.contains(function), "say why {function} has no way back");
        assert!(
            !listed.contains(function) || !TRIED.split_whitespace().any(|it| it == *function),
            "{function} has one"
        );
    }
    let gone: Vec<_> = listed.iter().filter(|it| !functions.contains(it)).collect();
    assert!(gone.is_empty(), "no such functions: {gone:?}");
}

/// What undoes something, sent by the line that says what was done: with the number of that request.
async fn back_by_the_line(who: &Browser, done: &Answer) -> Answer {
    let (undo, of) = (&done.json()["undo"], done.headers["x-request-id"].to_str().expect("a number"));
    let pairs: Vec<(String, String)> = serde_json::from_value(undo["fields"].clone()).expect("fields");
    let headers = [
        ("accept", "application/json"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
        ("x-bursar-undoes", of),
    ];
    let body = serde_urlencoded::to_string(pairs).expect("fields");
    who.send(http::Method::POST, undo["to"].as_str().expect("an address"), &headers, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_any_more_says_who_changed_it_since_and_to_what() {
    const REST: &str = "Nothing was undone: change it as it is now, if it is to be as before.";
    let mut world = World::new().await;
    let who = |name: &str| WHO.iter().position(|who| *who == name).expect("somebody");
    let owner = world.owner.clone();
    let (admin, lead) = (world.people[who("admin")].clone(), world.people[who("lead")].clone());
    let said = async |done: &Answer| {
        let refused = back_by_the_line(&owner, done).await;
        assert_eq!(refused.status, 409, "{}", refused.text);
        refused.json()["Meanwhile"].as_str().unwrap_or_else(|| panic!("{}", refused.text)).to_owned()
    };

    // What has a version.
    let group = world.value("new group").await;
    let edit = async |who: &Browser, version: &str, name: &str| {
        let fields = [("id", group.as_str()), ("version", version), ("kind", "project"), ("name", name)];
        let done = who.post("/console/groups/edit", &fields).await;
        assert_eq!(done.status, 200, "{}", done.text);
        done
    };
    let done = edit(&owner, "1", "Mine").await;
    edit(&admin, "2", "Theirs").await;
    let expected = format!("Adam changed Theirs since (name: “Mine” → “Theirs”). {REST}");
    assert_eq!(said(&done).await, expected);
    // The number of somebody else's request says nothing to others.
    let theirs = back_by_the_line(&lead, &done).await;
    let nobody = "{\"Meanwhile\":\"It was changed again since. Nothing was undone.\"}";
    assert_eq!((theirs.status.as_u16(), theirs.text.as_str()), (409, nobody));
    // Without script, the page says it that has no form to show it in; one that has shows it there.
    let of = done.headers["x-request-id"].to_str().expect("a number");
    let fields =
        [("id", group.as_str()), ("version", "2"), ("kind", "custom"), ("name", "Before"), ("_undo", of)];
    let page = format!("/groups/{group}");
    let shown = owner.submit(&page, "/console/groups/edit", &fields).await;
    assert_eq!(shown.status, 409);
    assert!(shown.text.contains(&expected) && !shown.text.contains("What you typed is still here"));
    let shown = owner.submit(&format!("{page}?dialog=edit"), "/console/groups/edit", &fields).await;
    assert!(shown.text.contains("Adam saved: Theirs"), "{}", shown.text);

    // What is a change to people, and what is a limit.
    let user = world.value("new user").await;
    let month = async |who: &Browser, was: &str, cap: &str| {
        let fields = [("id", user.as_str()), ("was", was), ("cap", cap)];
        let done = who.post("/console/users/limit", &fields).await;
        assert_eq!(done.status, 200, "{}", done.text);
        done
    };
    let done = month(&owner, "", "7").await;
    month(&admin, "7", "9").await;
    let text = said(&done).await;
    assert!(text.starts_with("Adam changed ") && text.contains("$7.00") && text.contains("$9.00"), "{text}");
    assert!(text.ends_with(REST), "{text}");
    let done = month(&owner, "9", "5").await;
    assert_eq!(back_by_the_line(&owner, &done).await.status, 200);
    let twice = back_by_the_line(&owner, &done).await;
    assert!(
        twice.text.contains("has undone this already") || twice.text.contains("You changed"),
        "{}",
        twice.text
    );

    // Rules that were saved together.
    let draft = world.value("new saved").await;
    let page = owner.get(&format!("/authorization/draft/{draft}")).await.text;
    let cell = (crate::world::id_at(&page, "grp_"), format!("tier:{}", world.ids["tier"]));
    let fields =
        [("group", cell.0.as_str()), ("target", cell.1.as_str()), ("state", "closed"), ("locked", "true")];
    admin.must("/console/authorizations/set", &fields).await;
    let refused = owner.post("/console/authorizations/undo", &[("id", &draft)]).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert!(
        refused.text.contains("was changed again since: it is “Closed, locked” now."),
        "{}",
        refused.text
    );
}
