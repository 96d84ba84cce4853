//! What a change of people, groups and keys does to others is said before it is done, and nobody does more
//! of it than is theirs.

use crate::harness::{Answer, Browser, PASSWORD, Server, join, set_up};

struct World {
    server: Server,
    owner: Browser,
    /// Engineering, Research below it, and Marketing.
    top: String,
    team: String,
    elsewhere: String,
    /// Leads Research.
    leo: Browser,
    /// Leads Engineering.
    eva: Browser,
    /// In Research.
    mia: (String, Browser),
}

async fn world() -> World {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let group = async |name: &str, parent: &str| {
        let fields = [("name", name), ("kind", "custom"), ("parent", parent)];
        owner.create("/console/groups/create", &fields).await
    };
    let top = group("Engineering", "").await;
    let (team, elsewhere) = (group("Research", &top).await, group("Marketing", "").await);
    let (leo_id, leo) = join(&server, &owner, "Leo", "member").await;
    let (eva_id, eva) = join(&server, &owner, "Eva", "member").await;
    let mia = join(&server, &owner, "Mia", "member").await;
    for (group, user, lead) in [(&team, &leo_id, "true"), (&top, &eva_id, "true"), (&team, &mia.0, "false")] {
        let fields = [("group", group.as_str()), ("user", user), ("lead", lead)];
        owner.must("/console/groups/add-member", &fields).await;
    }
    World { server, owner, top, team, elsewhere, leo, eva, mia }
}

/// A key of an application, as its form is filled in.
struct Key {
    application: String,
    key: String,
}

impl Key {
    async fn of(owner: &Browser, application: &str) -> Self {
        let page = owner.get(&format!("/applications/{application}?dialog=key")).await.text;
        Self { application: application.to_owned(), key: crate::world::id_at(&page, "key_") }
    }

    async fn new(owner: &Browser, group: &str) -> Self {
        let fields = [("name", "bot"), ("group", group)];
        Self::of(owner, &owner.create("/console/applications/create", &fields).await).await
    }

    /// Sends its form for these groups.
    async fn assign(&self, who: &Browser, version: &str, groups: &[&str], known: &str) -> Answer {
        let mut fields = vec![
            ("application", self.application.as_str()),
            ("key", self.key.as_str()),
            ("version", version),
            ("all_models", "true"),
            ("known", known),
        ];
        fields.extend(groups.iter().map(|group| ("assigned[]", *group)));
        who.post("/console/keys/edit", &fields).await
    }
}

pub fn refused(answer: &Answer, status: u16, says: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert!(answer.text.contains(says), "{says:?} is not in {}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_dies_with_the_address_it_was_made_for() {
    let world = world().await;
    let fields = [("name", "Nora"), ("email", "nora@acme.example"), ("role", "member")];
    let done = world.owner.must("/console/users/create", &fields).await;
    let link = done["once"]["Link"]["url"].as_str().expect("a link").to_owned();
    let parts: Vec<&str> = link.split('/').collect();
    let [.., org, user, token] = parts.as_slice() else { panic!("{link}") };
    let form = [
        ("id", *user),
        ("version", "1"),
        ("name", "Nora"),
        ("email", "n.ora@acme.example"),
        ("role", "member"),
    ];
    let done = world.owner.must("/console/users/edit", &form).await;
    assert!(done["notice"].as_str().is_some_and(|said| said.contains("Invite them again")), "{done}");
    let accept =
        [("org", *org), ("user", *user), ("token", *token), ("name", "Mallory"), ("password", PASSWORD)];
    let late = world.server.browser().post("/console/join/accept", &accept).await;
    assert!(!late.status.is_success(), "whoever has the old link is nobody: {}", late.text);
    let again = world.owner.must("/console/users/invite", &[("id", *user)]).await;
    let link = again["once"]["Link"]["url"].as_str().expect("a link").to_owned();
    let token = link.rsplit('/').next().expect("a token");
    let accept = [("org", *org), ("user", *user), ("token", token), ("name", "Nora"), ("password", PASSWORD)];
    world.server.browser().must("/console/join/accept", &accept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_gets_a_secret_of_a_private_context() {
    let world = world().await;
    world.mia.1.must("/console/keys/open-personal", &[("group", &world.team)]).await;
    let list = world.owner.get("/applications").await.text;
    let key = Key::of(&world.owner, &crate::world::id_at(&list, "app_")).await;
    let form = world.owner.get(&format!("/applications/{}?dialog=key", key.application)).await.text;
    assert!(!form.contains("assigned[]"), "it is not offered");
    for who in [&world.owner, &world.leo] {
        refused(&key.assign(who, "1", &[&world.team], "").await, 422, "private context");
    }
    let own = world.leo.post("/console/keys/issue-own", &[("key", &key.key)]).await;
    assert_eq!(own.status, 404, "{}", own.text);
    assert_eq!(world.mia.1.post("/console/keys/issue-own", &[("key", &key.key)]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_assigns_a_key_to_groups_below_their_own_alone() {
    let world = world().await;
    let key = Key::new(&world.owner, &world.team).await;
    let page = format!("/applications/{}?dialog=key", key.application);
    let listed = |page: &str, group: &str| page.contains(&format!("value=\"{group}\""));
    let form = world.leo.get(&page).await.text;
    assert!(listed(&form, &world.team) && !listed(&form, &world.elsewhere) && !listed(&form, &world.top));
    for group in [&world.elsewhere, &world.top] {
        refused(&key.assign(&world.leo, "1", &[group], "").await, 422, "You do not lead");
    }
    assert_eq!(key.assign(&world.leo, "1", &[&world.team], "").await.status, 200);
    // What an admin has assigned stays, and is shown.
    assert_eq!(key.assign(&world.owner, "2", &[&world.team, &world.elsewhere], "").await.status, 200);
    let form = world.leo.get(&page).await.text;
    assert!(listed(&form, &world.elsewhere) && form.contains("an admin assigned them"), "{form}");
    assert_eq!(key.assign(&world.leo, "3", &[&world.elsewhere], "").await.status, 200);
    let off = key.assign(&world.leo, "4", &[], "").await;
    assert_eq!(off.status, 200, "{}", off.text);
    assert!(off.json()["undo"].is_null(), "what is not theirs to put back has no way back");
    refused(&key.assign(&world.leo, "5", &[&world.elsewhere], "").await, 422, "You do not lead Marketing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_taken_off_a_key_once_it_is_known_whose_secrets_die() {
    let world = world().await;
    let key = Key::new(&world.owner, &world.team).await;
    assert_eq!(key.assign(&world.owner, "1", &[&world.team], "").await.status, 200);
    for who in [&world.leo, &world.mia.1] {
        who.must("/console/keys/issue-own", &[("key", &key.key)]).await;
    }
    let said = "2 secrets of 2 people die";
    let first = key.assign(&world.owner, "2", &[], "").await;
    refused(&first, 409, said);
    refused(&key.assign(&world.owner, "2", &[], "something else").await, 409, said);
    // Without script the page says it, and its form confirms it.
    let page = format!("/applications/{}?dialog=key", key.application);
    let fields = [
        ("application", key.application.as_str()),
        ("key", &key.key),
        ("version", "2"),
        ("all_models", "true"),
    ];
    let shown = world.owner.submit(&page, "/console/keys/edit", &fields).await;
    refused(&shown, 409, said);
    let form = &shown.text[shown.text.find("action=\"/console/keys/edit\"").expect("the form")..];
    let known = form.split("name=\"known\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let known = known.expect("what is known").to_owned();
    assert!(known.contains(said), "{known}");
    let secrets = world.owner.get(&page).await.text;
    assert!(!secrets.contains(">revoked<"), "so far nothing has died");
    // One more, and what was read is not what would happen.
    let (nia, hers) = join(&world.server, &world.owner, "Nia", "member").await;
    world.owner.must("/console/groups/add-member", &[("group", &world.team), ("user", &nia)]).await;
    hers.must("/console/keys/issue-own", &[("key", &key.key)]).await;
    refused(&key.assign(&world.owner, "2", &[], &known).await, 409, "3 secrets of 3 people");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_died_with_a_group_taken_off_is_said_and_stays_dead() {
    let world = world().await;
    let key = Key::new(&world.owner, &world.team).await;
    key.assign(&world.owner, "1", &[&world.team], "").await;
    world.mia.1.must("/console/keys/issue-own", &[("key", &key.key)]).await;
    let asked = key.assign(&world.owner, "2", &[], "").await;
    let known = asked.json()["Changed"].as_str().expect("a sentence").to_owned();
    assert!(known.contains("1 secret of 1 person dies"), "{known}");
    let done = key.assign(&world.owner, "2", &[], &known).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let notice = done.json()["notice"].as_str().expect("a line").to_owned();
    assert!(notice.contains("1 secret of 1 person is dead, and stays dead if you undo this"), "{notice}");
    assert_eq!(key.assign(&world.owner, "3", &[&world.team], "").await.status, 200);
    let page = world.owner.get(&format!("/applications/{}", key.application)).await.text;
    assert!(page.contains(">revoked<"), "and it does");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decimal_comma_makes_no_amount_ten_times_as_large() {
    let world = world().await;
    let scope = format!("group:{}", world.team);
    let set = async |metric: &str, cap: &str| {
        let fields = [("scope", scope.as_str()), ("metric", metric), ("window", "day"), ("cap", cap)];
        world.owner.post("/console/limits/set", &fields).await
    };
    for (metric, cap) in
        [("spend", "12,5"), ("spend", "1.250,00"), ("requests", "12,5"), ("tokens", "2000,00")]
    {
        refused(&set(metric, cap).await, 422, "A comma only groups thousands");
    }
    let of_one = [("id", world.mia.0.as_str()), ("was", ""), ("cap", "3,50")];
    refused(&world.owner.post("/console/users/limit", &of_one).await, 422, "A comma only groups");
    let csv = "email,monthly_limit\nmia@acme.example,\"3,50\"\n";
    let table = world.owner.post("/console/imports/check", &[("csv", csv)]).await;
    refused(&table, 422, "Line 2, monthly_limit: A comma only groups");
    // All that is wrong with a line is told at once; what says two things, or nothing, is no table.
    for (csv, whys) in [
        (
            "email,name,role,monthly_limit\nno address,Mia,boss,much\n",
            &["Line 2, email", "Line 2, role", "Line 2, monthly_limit", "1 line needs another look"][..],
        ),
        ("email,name,name\nmia@acme.example,Mia,Ann\n", &["two columns are called name"]),
        ("email,name\n", &["nobody to import"]),
    ] {
        let table = world.owner.post("/console/imports/check", &[("csv", csv)]).await;
        for why in whys {
            refused(&table, 422, why);
        }
    }
    // A filter that cannot be read would be everybody.
    let all = [("action", "suspend"), ("all", "true"), ("limit_over", "12,5")];
    refused(&world.owner.post("/console/batches/prepare", &all).await, 422, "no amount");
    for cap in ["1,234.56", "12.5"] {
        world
            .owner
            .must(
                "/console/limits/set",
                &[
                    ("scope", &scope),
                    ("metric", "spend"),
                    ("window", if cap == "12.5" { "week" } else { "day" }),
                    ("cap", cap),
                ],
            )
            .await;
    }
    let page = world.owner.get(&format!("/groups/{}", world.team)).await.text;
    assert!(page.contains("$1,234.56 a day") && page.contains("$12.50 a week"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_matches_is_who_was_shown() {
    let world = world().await;
    let (owner, team) = (&world.owner, &world.team);
    let prepare = async |fields: &[(&str, &str)]| {
        let mut all = vec![("action", "suspend"), ("all", "true")];
        all.extend(fields);
        owner.post("/console/batches/prepare", &all).await
    };
    // By what the group is called, as by its id.
    for group in ["Research", "research", "Engineering/Research", team] {
        let page = owner.get(&format!("/users?group={}", group.replace('/', "%2F"))).await.text;
        assert_eq!(hidden(&page, "/console/batches/prepare", "shown"), "2", "{group}");
        let done = prepare(&[("group", group), ("shown", "2")]).await;
        assert_eq!(done.status, 200, "{group}: {}", done.text);
        let go = done.json()["go"].as_str().expect("a page").to_owned();
        let batch = owner.get(&go).await.text;
        assert!(batch.contains("Confirm for 2 people"), "{group}");
        let table = owner.get(&format!("/users.csv?group={}", group.replace('/', "%2F"))).await;
        assert_eq!((table.status.as_u16(), table.text.lines().count()), (200, 3), "{group}: {}", table.text);
        refused(
            &prepare(&[("group", group), ("shown", "5")]).await,
            422,
            "5 were shown, 2 match now: look again",
        );
        refused(&prepare(&[("group", group)]).await, 422, "0 were shown, 2 match now");
    }
    // What cannot be read is never everybody.
    for (word, text, why) in [
        ("group", "Nowhere", "No group is called that"),
        ("group", "e", "Several groups match"),
        ("group", "grp_nonsense", "No group is called that"),
        ("status", "nonsense", "There is nothing called “nonsense” to choose"),
        ("status", " active", "There is nothing called"),
        ("role", "boss", "There is nothing called “boss” to choose"),
        ("limit", "nonsense", "There is nothing called “nonsense” to choose"),
        ("month_over", "much", "no amount"),
        ("month_under", "1,5", "no amount"),
        ("limit_over", "--1", "no amount"),
        ("limit_under", "$", "no amount"),
    ] {
        refused(&prepare(&[(word, text), ("shown", "4")]).await, 422, why);
        let table = owner.get(&format!("/users.csv?{word}={}", text.replace(' ', "%20"))).await;
        assert_eq!(table.status, 422, "{word}={text}: {}", table.text);
        assert!(table.text.contains(why) && !table.text.contains("acme.example"), "{word}: {}", table.text);
        // The page shows them, and says that it does.
        let page = owner.get(&format!("/users?{word}={}", text.replace(' ', "%20"))).await.text;
        assert!(page.contains("banner warn") || page.contains("Which group?"), "{word}={text}");
    }
    assert_eq!(owner.get("/users.csv?users[]=nonsense").await.status, 422);
    // Another organization's group has nobody here.
    let other = format!("grp_{}", "0".repeat(26));
    refused(&prepare(&[("group", &other), ("shown", "4")]).await, 422, "match now");
    let all = owner.get("/users").await.text;
    let shown = hidden(&all, "/console/batches/prepare", "shown");
    assert_eq!(prepare(&[("shown", &shown)]).await.status, 200);
    for (address, said) in [
        ("/users?status=nonsense", "There is nothing called “nonsense” to choose: any status is shown."),
        ("/audit?door=nonsense", "There is nothing called “nonsense” to choose: any door is shown."),
        ("/audit?kind=nonsense", "There is nothing called “nonsense” to choose."),
    ] {
        let page = owner.get(address).await.text;
        assert!(page.contains(said), "{address}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_over_by_being_the_first_of_a_list_and_who_was_ticked_is_so_again() {
    let world = world().await;
    let (owner, team) = (&world.owner, &world.team);
    let key = Key::new(owner, team).await;
    let page = owner.get(&format!("/applications/{}?dialog=hand-over", key.application)).await.text;
    let was = hidden(&page, "/console/applications/hand-over", "was");
    let (_, choices) = page.split_once("name=\"user\"").expect("a select");
    assert!(choices.find("Choose somebody") < choices.find("usr_"), "it begins with nobody");
    let give = [("id", key.application.as_str()), ("was", &was), ("user", "")];
    refused(&owner.post("/console/applications/hand-over", &give).await, 422, "Choose who takes it over");
    let give = [("user", ""), ("then", "admin"), ("typed", "Acme")];
    refused(&owner.post("/console/organizations/hand-over", &give).await, 422, "Choose who takes it over");
    let give = [("group", team.as_str()), ("from", &world.mia.0), ("user", "")];
    refused(&owner.post("/console/groups/hand-over", &give).await, 422, "Choose who takes it over");
    // Back from the page that asks, without script: those who were ticked are so again.
    let ticked = owner.get(&format!("/users?q=mia&ticked={}", world.mia.0)).await.text;
    let boxes = ticked.split("<input").filter(|input| input.contains("class=\"tick\""));
    let boxes: Vec<&str> = boxes.map(|input| input.split('>').next().unwrap_or_default()).collect();
    assert!(boxes.len() == 1 && boxes[0].contains(" checked"), "{boxes:?}");
    let fields = [("action", "limit"), ("users[]", world.mia.0.as_str())];
    let asked = owner.submit("/users?q=mia", "/console/batches/prepare", &fields).await;
    let go = asked.headers["location"].to_str().expect("an address").to_owned();
    let page = owner.get(&go).await.text;
    assert!(page.contains(&format!("ticked={}", world.mia.0)), "{page}");
    // Nothing written is told at the field.
    for (action, field, why) in [
        ("limit", "cap", "Write an amount, or default."),
        ("role", "role", "Choose a role."),
        ("join", "group", "Choose a group."),
    ] {
        let path = go.split('?').next().unwrap_or_default();
        let first = owner.get(&format!("{path}?action={action}")).await.text;
        assert!(!first.contains(why), "{action}: not before it is asked");
        let sent = owner.get(&format!("{path}?action={action}&{field}=")).await.text;
        assert!(sent.contains(why), "{action}");
    }
    let set = [("id", world.mia.0.as_str()), ("was", ""), ("cap", "default")];
    assert_eq!(owner.post("/console/users/limit", &set).await.status, 200);
}

/// The value of a hidden field of the form that goes there.
pub fn hidden(page: &str, action: &str, name: &str) -> String {
    let form = &page[page.find(&format!("action=\"{action}\"")).expect("the form")..];
    let value =
        form.split(&format!("name=\"{name}\" value=\"")).nth(1).and_then(|rest| rest.split('"').next());
    value.expect("the field").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_confirmed_for_many_is_what_was_shown() {
    let world = world().await;
    let fields = [("action", "leave"), ("users[]", world.mia.0.as_str())];
    let done = world.owner.must("/console/batches/prepare", &fields).await;
    let id = done["go"].as_str().and_then(|go| go.split(['/', '?']).nth(3)).expect("a batch").to_owned();
    let page = format!("/users/batch/{id}?action=leave&group={}", world.team);
    let shown = world.owner.get(&page).await.text;
    let seen = hidden(&shown, "/console/batches/confirm", "seen");
    // Meanwhile she leads it: she would not leave any more.
    let edit = [("group", world.team.as_str()), ("user", &world.mia.0), ("was", "member"), ("lead", "true")];
    world.owner.must("/console/groups/edit-member", &edit).await;
    let confirm = |seen: String| {
        let (id, team) = (id.clone(), world.team.clone());
        let (owner, page) = (world.owner.clone(), page.clone());
        async move {
            let fields = [("id", id.as_str()), ("action", "leave"), ("group", &team), ("seen", &seen)];
            owner.submit(&page, "/console/batches/confirm", &fields).await
        }
    };
    let late = confirm(seen).await;
    refused(&late, 409, "Nothing was changed: people or groups are not as they were");
    assert!(late.text.contains("Take the lead away"), "what would happen now is shown: {}", late.text);
    let back = [("group", world.team.as_str()), ("user", &world.mia.0), ("was", "lead")];
    world.owner.must("/console/groups/edit-member", &back).await;
    refused(&confirm(String::new()).await, 409, "Nothing was changed");
    let now = hidden(&world.owner.get(&page).await.text, "/console/batches/confirm", "seen");
    assert_eq!(confirm(now).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_moved_as_its_preview_showed_it() {
    let world = world().await;
    let limit = async |cap: &str, version: &str| {
        let scope = format!("group:{}", world.elsewhere);
        let fields = [
            ("scope", scope.as_str()),
            ("metric", "spend"),
            ("window", "month"),
            ("cap", cap),
            ("version", version),
        ];
        world.owner.must("/console/limits/set", &fields).await;
    };
    limit("500", "").await;
    let fields = [("id", world.team.as_str()), ("parent", &world.elsewhere)];
    let done = world.owner.must("/console/rehearsals/move", &fields).await;
    let page = done["go"].as_str().expect("a rehearsal").to_owned();
    let shown = world.owner.get(&page).await.text;
    assert!(shown.contains("$500.00 a month"), "{shown}");
    let id = page.split(['/', '?']).nth(2).expect("its id").to_owned();
    let seen = hidden(&shown, "/console/rehearsals/save", "seen");
    limit("5", "1").await;
    let save = async |seen: &str| {
        world.owner.submit(&page, "/console/rehearsals/save", &[("id", id.as_str()), ("seen", seen)]).await
    };
    let late = save(&seen).await;
    refused(&late, 409, "Nothing was moved");
    assert!(late.text.contains("$5.00 a month"), "with the new preview: {}", late.text);
    let seen = hidden(&late.text, "/console/rehearsals/save", "seen");
    assert_eq!(save(&seen).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_was_overtaken_says_by_whom_and_saves_nothing() {
    let world = world().await;
    let limit = |cap, version| {
        let scope = format!("group:{}", world.team);
        [
            ("scope", scope),
            ("metric", "spend".to_owned()),
            ("window", "month".to_owned()),
            ("cap", cap),
            ("version", version),
        ]
    };
    let send = async |who: &Browser, what: &str, cap: &str, version: &str| {
        let fields = limit(cap.to_owned(), version.to_owned());
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        who.must(what, &fields).await
    };
    send(&world.owner, "/console/limits/set", "500", "").await;
    let drafted = send(&world.owner, "/console/rehearsals/limit", "50", "1").await;
    let page = drafted["go"].as_str().expect("a rehearsal").to_owned();
    let id = crate::world::id_at(&page, "reh_");
    send(&world.eva, "/console/limits/set", "400", "1").await;
    let said = "Eva changed this since it was drafted, and nothing of yours was saved.";
    let shown = world.owner.get(&page).await.text;
    assert!(shown.contains(said), "{shown}");
    let late = world.owner.post("/console/rehearsals/save", &[("id", id.as_str())]).await;
    refused(&late, 409, said);
    let limits = world.owner.get(&format!("/groups/{}", world.team)).await.text;
    assert!(limits.contains("$400.00") && !limits.contains("$50.00"), "{limits}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lent_until_a_day_is_not_kept_by_whoever_leads_it() {
    let world = world().await;
    let edit = async |who: &Browser, version: &str, ends_on: &str| {
        let fields = [
            ("id", world.team.as_str()),
            ("version", version),
            ("name", "Research"),
            ("kind", "custom"),
            ("ends_on", ends_on),
        ];
        who.post("/console/groups/edit", &fields).await
    };
    assert_eq!(edit(&world.owner, "1", "2090-06-30").await.status, 200);
    for ends_on in ["2091-01-01", "", "2090-01-01"] {
        refused(&edit(&world.leo, "2", ends_on).await, 422, "set from above");
    }
    for ends_on in ["2091-01-01", ""] {
        refused(&edit(&world.eva, "2", ends_on).await, 422, "earlier");
    }
    let earlier = edit(&world.eva, "2", "2090-03-31").await;
    assert_eq!(earlier.status, 200, "{}", earlier.text);
    assert!(earlier.json()["undo"].is_null(), "she could not make it later again");
    let page = format!("/groups/{}?dialog=edit", world.team);
    assert!(!world.leo.get(&page).await.text.contains("Last day"), "it is not offered to who leads it");
    let same = edit(&world.leo, "3", "2090-03-31").await;
    assert_eq!(same.status, 200, "the rest of the form is theirs: {}", same.text);
    assert_eq!(edit(&world.owner, "3", "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_with_leaving_a_group_is_said_before_and_after_and_when_it_is_undone() {
    let world = world().await;
    let key = Key::new(&world.owner, &world.team).await;
    key.assign(&world.owner, "1", &[&world.team], "").await;
    world.mia.1.must("/console/keys/issue-own", &[("key", &key.key)]).await;
    let fields = [("action", "leave"), ("users[]", world.mia.0.as_str())];
    let done = world.owner.must("/console/batches/prepare", &fields).await;
    let id = done["go"].as_str().and_then(|go| go.split(['/', '?']).nth(3)).expect("a batch").to_owned();
    let shown = world.owner.get(&format!("/users/batch/{id}?action=leave&group={}", world.team)).await.text;
    assert!(shown.contains("1 secret of 1 person dies with it for good"), "{shown}");
    let seen = hidden(&shown, "/console/batches/confirm", "seen");
    let fields = [("id", id.as_str()), ("action", "leave"), ("group", &world.team), ("seen", &seen)];
    let done = world.owner.must("/console/batches/confirm", &fields).await;
    assert!(
        done["notice"].as_str().is_some_and(|said| said.contains("1 secret of 1 person is dead")),
        "{done}"
    );
    let done = world.owner.must("/console/batches/undo", &[("id", &id)]).await;
    assert_eq!(
        done["notice"],
        "Undone for 1 person. 1 secret of 1 person stays dead: its person makes a new one."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_a_group_with_a_secret_leaves_it_once_that_is_known() {
    let world = world().await;
    let key = Key::new(&world.owner, &world.team).await;
    key.assign(&world.owner, "1", &[&world.team], "").await;
    world.mia.1.must("/console/keys/issue-own", &[("key", &key.key)]).await;
    let mut one = vec![("group", world.team.as_str()), ("user", &world.mia.0), ("was", "member")];
    let asked = world.owner.post("/console/groups/remove-member", &one).await;
    refused(&asked, 409, "1 secret of 1 person dies with it for good, and undoing it brings none back: Mia.");
    // To another group it is the same, however it is done; who stays loses nothing.
    let to = [("from", world.team.as_str()), ("to", &world.elsewhere), ("users[]", &world.mia.0)];
    let moved = world.owner.post("/console/groups/move-people", &to).await;
    refused(&moved, 409, "1 secret of 1 person dies with it for good");
    let page = format!("/groups/{}?dialog=shift&who={}", world.team, world.mia.0);
    let shown = world.owner.submit(&page, "/console/groups/move-people", &to).await;
    refused(&shown, 409, "Move all the same");
    assert!(hidden(&shown.text, "/console/groups/move-people", "known").contains("dies with it for good"));
    let copied = [to[0], to[1], to[2], ("copy", "true")];
    world.owner.must("/console/groups/move-people", &copied).await;
    // Without script the form of the menu is answered with the question.
    let list = world.owner.get(&format!("/groups/{}", world.team)).await.text;
    let form = list.find(&format!("take-out-{}", world.mia.0));
    assert!(form.is_some(), "its form says where it asks: {list}");
    let page = format!("/groups/{}?dialog=take-out-{}", world.team, world.mia.0);
    let shown = world.owner.submit(&page, "/console/groups/remove-member", &one).await;
    refused(&shown, 409, "Take Mia out");
    let known = asked.json()["Changed"].as_str().expect("a sentence").to_owned();
    one.push(("known", &known));
    let done = world.owner.must("/console/groups/remove-member", &one).await;
    let said = "Removed from the group. 1 secret of 1 person is dead, and stays dead if you undo this.";
    assert_eq!(done["notice"], said);
    // Who has none is out at once.
    let (nia, _) = join(&world.server, &world.owner, "Nia", "member").await;
    world.owner.must("/console/groups/add-member", &[("group", &world.team), ("user", &nia)]).await;
    let one = [("group", world.team.as_str()), ("user", &nia), ("was", "member")];
    assert_eq!(
        world.owner.must("/console/groups/remove-member", &one).await["notice"],
        "Removed from the group."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_import_kills_is_in_its_difference() {
    let world = world().await;
    let key = Key::new(&world.owner, &world.team).await;
    key.assign(&world.owner, "1", &[&world.team], "").await;
    let csv = "email,groups\nmia@acme.example,Marketing\n";
    let check = async || world.owner.must("/console/imports/check", &[("csv", csv)]).await;
    let before = check().await["once"]["Difference"].clone();
    assert!(!before.to_string().contains("for good"), "{before}");
    // A secret that she makes meanwhile would die as well: that was not shown.
    world.mia.1.must("/console/keys/issue-own", &[("key", &key.key)]).await;
    let seen =
        |difference: &serde_json::Value| difference["values"][1][1].as_str().expect("a name").to_owned();
    let run =
        async |seen: String| world.owner.post("/console/imports/run", &[("csv", csv), ("seen", &seen)]).await;
    assert_eq!(run(seen(&before)).await.status, 409);
    let now = check().await["once"]["Difference"].clone();
    assert!(
        now["dying"][0]
            .as_str()
            .is_some_and(|said| said.contains("1 secret of 1 person dies with it for good")),
        "{now}"
    );
    let done = run(seen(&now)).await;
    assert!(
        done.text.contains("1 secret of 1 person is dead, and stays dead if you undo this"),
        "{}",
        done.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_undoing_left_alone_is_listed_and_every_admin_sees_and_undoes_it() {
    let world = world().await;
    let (_, ada) = join(&world.server, &world.owner, "Ada", "admin").await;
    let (nia, _) = join(&world.server, &world.owner, "Nia", "member").await;
    let users = [("group", world.elsewhere.as_str()), ("users[]", &world.mia.0), ("users[]", &nia)];
    let done = world.owner.must("/console/groups/add-members", &users).await;
    let page = done["go"].as_str().expect("its page").to_owned();
    let id = page.split(['/', '?']).nth(3).expect("a batch").to_owned();
    // The log leads there, for whoever reads it; others do not see it.
    let log = ada.get(&format!("/audit?batch={id}")).await.text;
    assert!(log.contains(&format!("href=\"/users/batch/{id}\"")), "{log}");
    assert_eq!(world.mia.1.get(&page).await.status, 404);
    assert_eq!(world.leo.get(&page).await.status, 404, "who leads another group neither");
    let edit = [("group", world.elsewhere.as_str()), ("user", &nia), ("was", "member"), ("lead", "true")];
    world.owner.must("/console/groups/edit-member", &edit).await;
    assert!(ada.get(&page).await.text.contains("/console/batches/undo"), "an admin can undo it");
    assert_eq!(world.leo.post("/console/batches/undo", &[("id", &id)]).await.status, 403);
    let undone = ada.must("/console/batches/undo", &[("id", &id)]).await;
    assert_eq!(undone["notice"], "Undone for 1 person. 1 was left alone: what and why is listed.");
    let shown = world.owner.get(&page).await.text;
    let left = &shown[shown.find("Not undone").expect("what was left alone")..];
    let left = left.split("</table>").next().unwrap_or_default();
    assert!(left.contains("Nia") && left.contains("Joins Marketing") && !left.contains("Mia"), "{left}");
    assert!(left.contains("Olga changed Nia again since (") && left.contains("“member” → “lead”"), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_archived_with_the_applications_that_were_named_and_is_found_afterwards() {
    let world = world().await;
    let key = Key::new(&world.owner, &world.team).await;
    let page = format!("/groups/{}?dialog=archive", world.team);
    let shown = world.owner.get(&page).await.text;
    assert!(shown.contains("Its application is archived with it") && shown.contains("bot"), "{shown}");
    let archive = async |version: &str, applications: &[&str]| {
        let mut fields = vec![("id", world.team.as_str()), ("version", version), ("typed", "Research")];
        fields.extend(applications.iter().map(|id| ("applications[]", *id)));
        world.owner.post("/console/groups/archive", &fields).await
    };
    refused(&archive("1", &[]).await, 422, "It still has 1 application");
    let other = [("name", "other"), ("group", world.team.as_str())];
    let other = world.owner.create("/console/applications/create", &other).await;
    refused(&archive("1", &[&key.application]).await, 409, "bot, other");
    let due_on = crate::world::last_day();
    let review = [("group", world.team.as_str()), ("due_on", &due_on)];
    let review = world.owner.create("/console/reviews/open", &review).await;
    let done = archive("1", &[&key.application, &other]).await;
    assert_eq!(done.status, 200, "{}", done.text);
    for application in [&key.application, &other] {
        let page = world.owner.get(&format!("/applications/{application}")).await.text;
        assert!(page.contains("This application is archived"), "{page}");
    }
    let review = world.owner.get(&format!("/reviews/{review}")).await.text;
    assert!(
        review.contains("Closed") && !review.contains("/console/reviews/decide"),
        "its review is closed: {review}"
    );
    // It is found, looked at, and not changed.
    assert!(!world.owner.get("/groups").await.text.contains(&world.team));
    assert!(world.owner.get("/groups?archived=1&q=resea").await.text.contains("Engineering/Research"));
    assert!(world.eva.get("/groups?archived=1").await.text.contains("Engineering/Research"));
    assert!(!world.mia.1.get("/groups?archived=1").await.text.contains("Engineering/Research"));
    let page = world.owner.get(&format!("/groups/{}", world.team)).await.text;
    for act in
        ["New group below", ">Edit<", ">Move<", ">Archive<", "Add people", "New limit", "dialog=new-limit"]
    {
        assert!(!page.contains(act), "{act} is offered");
    }
    let scope = format!("group:{}", world.team);
    let limit = [("scope", scope.as_str()), ("metric", "spend"), ("window", "day"), ("cap", "5")];
    refused(&world.owner.post("/console/limits/set", &limit).await, 422, "is archived");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_what_it_seems_is_refused_by_its_lines() {
    let world = world().await;
    let check = async |csv: &str| world.owner.post("/console/imports/check", &[("csv", csv)]).await;
    for (line, has) in [("mia@acme.example,Mia", "It has 2"), ("mia@acme.example,Mia,member,x", "It has 4")] {
        let answer = check(&format!("email,name,role\n{line}\n")).await;
        refused(&answer, 422, "Line 2, number of cells");
        refused(&answer, 422, has);
    }
    refused(&check("email,status\nmia@acme.example,suspended\n").await, 422, "A table suspends nobody");
    refused(&check("email,status\nmia@acme.example,gone\n").await, 422, "Line 2, status");
    world.owner.must("/console/users/suspend", &[("id", &world.mia.0), ("suspended", "true")]).await;
    refused(&check("email,status\nmia@acme.example,active\n").await, 422, "lets nobody in");
    for separator in [";", "\t"] {
        let csv = ["email", "name"].join(separator)
            + "\n"
            + &["mia@acme.example", "Mia Berg"].join(separator)
            + "\n";
        let answer = check(&csv).await;
        assert!(answer.text.contains("Mia → Mia Berg"), "{}", answer.text);
    }
    assert_eq!(world.leo.get("/users/import").await.status, 403);
    assert_eq!(world.owner.get("/users/import").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_took_over_is_told_that_it_was_taken_back() {
    let world = world().await;
    let key = Key::new(&world.owner, &world.team).await;
    let hand = [("id", key.application.as_str()), ("was", ""), ("user", &world.mia.0)];
    let hand = world.owner.post("/console/applications/hand-over", &hand).await;
    let hand = if hand.status == 200 {
        hand
    } else {
        // Who made it answers for it so far.
        let page = world.owner.get(&format!("/applications/{}?dialog=hand-over", key.application)).await.text;
        let was = hidden(&page, "/console/applications/hand-over", "was");
        let fields = [("id", key.application.as_str()), ("was", &was), ("user", &world.mia.0)];
        world.owner.post("/console/applications/hand-over", &fields).await
    };
    assert_eq!(hand.status, 200, "{}", hand.text);
    let done =
        world.owner.must("/console/users/suspend", &[("id", &world.mia.0), ("suspended", "true")]).await;
    let told = world.leo.get("/notices").await.text;
    assert!(told.contains("bot is yours to answer for now"), "{told}");
    let fields: Vec<(String, String)> =
        serde_json::from_value(done["undo"]["fields"].clone()).expect("a way back");
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    world.owner.must("/console/users/suspend", &fields).await;
    let told = world.leo.get("/notices").await.text;
    assert!(told.contains("bot is no longer yours to answer for"), "{told}");
    let unread = world.leo.must("/console/notices/unread", &[]).await;
    assert_eq!(unread.to_string(), "1", "the old one counts as read");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_finds_what_it_shows_whom_an_address_means_and_what_an_id_means() {
    let world = world().await;
    let of = async |query: &str| world.owner.get(&format!("/audit?{query}")).await.text;
    let form = world.owner.get(&format!("/users/{}?dialog=edit", world.mia.0)).await.text;
    let version = hidden(&form, "/console/users/edit", "version");
    let edit = [
        ("id", world.mia.0.as_str()),
        ("version", &version),
        ("name", "Mia O’Brien"),
        ("email", "mia@acme.example"),
        ("role", "member"),
    ];
    world.owner.must("/console/users/edit", &edit).await;
    for query in [
        "who=olga@acme.example",
        "what=mia@acme.example",
        &format!("what={}", world.mia.0),
        "what=o'brien",
        "field=Ends+on",
        "who=Olga",
    ] {
        let expected = if query.starts_with("field") { "No change matches" } else { "Mia O’Brien" };
        assert!(of(query).await.contains(expected), "{query}");
    }
    let settings = [
        ("version", "1"),
        ("name", "Acme"),
        ("time_zone", "Europe/Berlin"),
        ("week_start", "sunday"),
        ("default_user_limit", "50"),
        ("budget_status", "402"),
        ("contact", ""),
    ];
    world.owner.must("/console/organizations/edit", &settings).await;
    assert!(of("field=Week+start").await.contains("Week start"), "a field as it is shown");
    assert!(
        world.owner.get("/users?q=o%27brien").await.text.contains("Mia O’Brien"),
        "any apostrophe is one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_an_owner_does_is_named_and_what_cannot_be_read_is_said_in_words() {
    let world = world().await;
    let (_, ada) = join(&world.server, &world.owner, "Ada", "admin").await;
    let olga = crate::world::id_at(&world.owner.get("/users?q=olga").await.text, "usr_");
    let id = ("id", olga.as_str());
    let edit = [id, ("version", "1"), ("name", "O"), ("email", "olga@acme.example"), ("role", "owner")];
    refused(&ada.post("/console/users/edit", &edit).await, 422, "Only an owner edits somebody who is owner");
    let suspend = [id, ("suspended", "true")];
    refused(&ada.post("/console/users/suspend", &suspend).await, 422, "Only an owner suspends somebody");
    let remove = [id, ("version", "1"), ("typed", "Olga")];
    refused(&ada.post("/console/users/remove", &remove).await, 422, "Only an owner removes somebody");
    let key = Key::new(&world.owner, &world.team).await;
    for seconds in ["soon", "-1", "99999999999"] {
        let fields = [
            ("application", key.application.as_str()),
            ("key", &key.key),
            ("version", "1"),
            ("cache_seconds", seconds),
        ];
        refused(&world.owner.post("/console/keys/edit", &fields).await, 422, "from 1 to 604800");
    }
    let hand =
        [("group", world.team.as_str()), ("from", &olga), ("user", &world.mia.0), ("member_until", "soon")];
    refused(&world.owner.post("/console/groups/hand-over", &hand).await, 422, "Enter a moment like");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_person_says_until_when_they_are_where_and_changes_it() {
    let world = world().await;
    let page = format!("/users/{}?dialog=membership-{}", world.mia.0, world.team);
    let form = world.owner.get(&page).await.text;
    let was = hidden(&form, "/console/groups/edit-member", "was");
    let fields = [
        ("group", world.team.as_str()),
        ("user", &world.mia.0),
        ("was", &was),
        ("next", "user"),
        ("ends_on", "2090-03-31"),
    ];
    let sent = world.owner.submit(&page, "/console/groups/edit-member", &fields).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    assert_eq!(sent.headers["location"], format!("/users/{}", world.mia.0).as_str());
    let shown = world.owner.get(&format!("/users/{}", world.mia.0)).await.text;
    assert!(
        shown.contains("through 31 Mar 2090")
            || shown.contains("through 2090-03-31")
            || shown.contains("through March 31, 2090"),
        "{shown}"
    );
    let again = world.owner.get(&page).await.text;
    assert!(again.contains("value=\"2090-03-31\""), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_script_a_search_and_a_choice_take_along_what_the_form_says() {
    let world = world().await;
    let page = format!("/groups/{}?dialog=add&find=mia&ends_on=2090-03-31&lead=true", world.elsewhere);
    let shown = world.owner.get(&page).await.text;
    let form = &shown[shown.find("id=\"add-people\"").expect("the form")..];
    let form = form.split("</form>").next().unwrap_or_default();
    assert!(form.contains("value=\"2090-03-31\""), "{form}");
    let lead = form.split("<input").find(|input| input.contains("name=\"lead\"")).expect("the box");
    assert!(lead.contains("checked"), "{lead}");
    // The search comes first, so that Enter searches; it and each choice send the form that says the rest.
    let tag = |button: &str| button.split('>').next().unwrap_or_default().to_owned();
    let buttons: Vec<&str> =
        shown.split("<button").filter(|button| tag(button).contains("form=\"add-people\"")).collect();
    assert!(
        buttons
            .iter()
            .all(|button| button.contains("formmethod=\"get\"") && button.contains("name=\"chosen\""))
    );
    assert!(buttons[0].contains(">Search<"), "{}", buttons[0]);
    let mia = format!("value=\"{}\"", world.mia.0);
    assert!(buttons.iter().any(|button| button.contains(&mia)), "{buttons:?}");
}

/// Gives a group a last day that is over, as a file says it.
pub fn end(server: &Server, group: &str, last: &str) {
    let file = server.data().join("ended.toml");
    let text = format!(
        "[organization]\nname = \"Acme\"\n[[groups]]\npath = \"{group}\"\nkind = \"custom\"\nends_on = \"{last}\"\n\
         [[authorizations]]\ngroup = \"{group}\"\nmodel = \"small\"\nstate = \"open\"\n"
    );
    std::fs::write(&file, text).expect("a file");
    let applied = server.program(&["apply", file.to_str().expect("a path")]);
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_in_a_group_that_ended_is_told_and_its_page_offers_nothing_that_is_refused() {
    let world = world().await;
    crate::load::secret(&world.owner, "http://127.0.0.1:9/v1").await;
    let models = world.owner.get("/models").await.text;
    let target = format!("model:{}", crate::world::id_at(&models, "mdl_"));
    let rule = [("group", world.team.as_str()), ("target", &target), ("state", "open")];
    world.owner.must("/console/authorizations/set", &rule).await;
    let group = format!("/groups/{}", world.team);
    let adds = ["Add people", "New group below"];
    let page = world.owner.get(&group).await.text;
    assert!(adds.iter().all(|offer| page.contains(offer)), "{page}");
    let default = "Let new users join it";
    assert!(world.owner.get(&format!("{group}?dialog=edit")).await.text.contains(default));
    let mine = world.mia.1.get("/my-models").await.text;
    assert!(mine.contains("small") && mine.contains("A private context in Engineering/Research"), "{mine}");
    let last = store::clock::now().date_naive() - chrono::Days::new(3);
    end(&world.server, "Engineering/Research", &last.to_string());

    let told = format!(
        "Research ended on {}. Secrets you had through it no longer work. You can no longer call small.",
        domain::time::date(last)
    );
    for path in ["/my-models", "/account"] {
        let page = world.mia.1.get(path).await.text;
        assert!(page.contains(&told) && page.contains("Ask Eva whether it goes on."), "{path}: {page}");
        assert!(!page.contains(&group), "{path}: whoever cannot prolong it is not led there");
    }
    let mine = world.mia.1.get("/my-models").await.text;
    assert!(!mine.contains("A private context in"), "nothing is opened in it: {mine}");
    let theirs = world.leo.get("/my-models").await.text;
    assert!(theirs.contains("A later last day is for admins: ask Olga if it is to go on."), "{theirs}");
    let page = world.owner.get(&group).await.text;
    assert!(page.contains("Research ended on ") && page.contains(">Edit<") && page.contains(">Move<"));
    for offer in adds {
        assert!(!page.contains(offer), "{offer} is offered");
    }
    let dialog = world.owner.get(&format!("{group}?dialog=add")).await.text;
    assert!(!dialog.contains("/console/groups/add-members"), "{dialog}");
    let dialog = world.owner.get(&format!("{group}?dialog=edit")).await.text;
    assert!(dialog.contains("/console/groups/edit") && !dialog.contains(default), "{dialog}");
    // Long after, their own page still says so.
    end(&world.server, "Engineering/Research", "2020-02-29");
    assert!(!world.mia.1.get("/my-models").await.text.contains("29 Feb 2020"));
    assert!(world.mia.1.get("/account").await.text.contains("Research ended on 29 Feb 2020"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_archived_or_undone_already_is_said_to_be() {
    let world = world().await;
    let (_, ada) = join(&world.server, &world.owner, "Ada", "admin").await;
    let key = Key::new(&world.owner, &world.elsewhere).await;
    let app = [("id", key.application.as_str()), ("version", "1"), ("typed", "bot")];
    world.owner.must("/console/applications/archive", &app).await;
    let again = ada.post("/console/applications/archive", &app).await;
    refused(&again, 409, "Olga has archived bot already. Nothing was done.");
    let edit = [("id", key.application.as_str()), ("version", "1"), ("name", "robot")];
    refused(
        &ada.post("/console/applications/edit", &edit).await,
        409,
        "Olga has archived bot already. Nothing was done.",
    );
    let group = [("id", world.elsewhere.as_str()), ("version", "1"), ("typed", "Marketing")];
    world.owner.must("/console/groups/archive", &group).await;
    let again = ada.post("/console/groups/archive", &group).await;
    refused(&again, 409, "Olga has archived Marketing already. Nothing was done.");
    let edit = [("id", world.elsewhere.as_str()), ("version", "1"), ("name", "Sales"), ("kind", "custom")];
    let again = ada.post("/console/groups/edit", &edit).await;
    refused(&again, 409, "Olga has archived Marketing already. Nothing was done.");
    let to = [("id", world.elsewhere.as_str()), ("was", ""), ("parent", world.top.as_str())];
    let moved = ada.post("/console/groups/move", &to).await;
    refused(&moved, 409, "Marketing is archived. Nothing was moved.");
    let fields = [("action", "limit"), ("users[]", world.mia.0.as_str())];
    let done = world.owner.must("/console/batches/prepare", &fields).await;
    let id = done["go"].as_str().and_then(|go| go.split(['/', '?']).nth(3)).expect("a batch").to_owned();
    let shown = world.owner.get(&format!("/users/batch/{id}?action=limit&cap=7")).await.text;
    let seen = hidden(&shown, "/console/batches/confirm", "seen");
    let fields = [("id", id.as_str()), ("action", "limit"), ("cap", "7"), ("seen", &seen)];
    world.owner.must("/console/batches/confirm", &fields).await;
    world.owner.must("/console/batches/undo", &[("id", &id)]).await;
    let again = ada.post("/console/batches/undo", &[("id", &id)]).await;
    refused(&again, 409, "Olga has undone this already. Nothing was changed.");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gives_the_organization_away_is_led_to_a_page_they_may_see() {
    for script in [true, false] {
        let world = world().await;
        let (ada, _) = join(&world.server, &world.owner, "Ada", "admin").await;
        let fields = [("user", ada.as_str()), ("then", "member"), ("typed", "Acme")];
        let to = "/console/organizations/hand-over";
        let mut go = if script {
            let done = world.owner.must(to, &fields).await;
            done["go"].as_str().expect("a page").to_owned()
        } else {
            let sent = world.owner.submit("/settings?dialog=hand-over", to, &fields).await;
            assert_eq!(sent.status, 303, "{}", sent.text);
            sent.headers["location"].to_str().expect("an address").to_owned()
        };
        let page = loop {
            let page = world.owner.get(&go).await;
            let Some(next) = page.headers.get("location") else { break page };
            next.to_str().expect("an address").clone_into(&mut go);
        };
        assert_eq!((page.status.as_u16(), go.as_str()), (200, "/my-models"), "{}", page.text);
        assert!(page.text.contains("Ada owns the organization now."), "{}", page.text);
        assert_eq!(world.owner.get("/settings").await.status, 403, "it is theirs no more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leads_a_group_below_one_that_is_reviewed_decides_on_what_is_theirs() {
    let world = world().await;
    let (sue, _) = join(&world.server, &world.owner, "Sue", "member").await;
    let fields = [("group", world.top.as_str()), ("user", &sue)];
    world.owner.must("/console/groups/add-member", &fields).await;
    let due_on = crate::world::last_day();
    let fields = [("group", world.top.as_str()), ("due_on", &due_on), ("below", "true")];
    let review = world.owner.create("/console/reviews/open", &fields).await;
    let page = format!("/reviews/{review}");
    assert_eq!(world.mia.1.get(&page).await.status, 403, "who leads nothing sees nothing of it");

    // Leo leads Research, Eva all of Engineering.
    assert!(world.leo.get("/notices").await.text.contains("2 lines are to be confirmed"));
    assert!(world.eva.get("/notices").await.text.contains("4 lines are to be confirmed"));
    let list = world.leo.get("/reviews").await.text;
    assert!(list.contains(&page) && list.contains("0 of 2"), "{list}");
    let (part, whole) = (world.leo.get(&page).await.text, world.eva.get(&page).await.text);
    assert!(whole.contains("Sue") && whole.contains(">The group<"), "{whole}");
    assert!(part.contains("Mia") && part.contains("what is in the groups you lead"), "{part}");
    assert!(!part.contains("Sue") && !part.contains(">The group<"), "{part}");
    let line = |page: &str, name: &str| {
        let row = page.split("<tr").find(|row| row.contains(name) && row.contains("rvi_"));
        crate::world::id_at(row.unwrap_or_else(|| panic!("{name}: {page}")), "rvi_")
    };
    let decide = async |who: &Browser, item: &str, verdict: &str| {
        let fields = [("id", review.as_str()), ("verdict", verdict), ("items[]", item)];
        who.post("/console/reviews/decide", &fields).await
    };
    let (sues, mias, leos) = (line(&whole, "Sue"), line(&whole, "Mia"), line(&whole, "Leo"));
    assert_eq!(decide(&world.leo, &sues, "confirm").await.status, 403);
    refused(&decide(&world.leo, &leos, "confirm").await, 422, "confirmed by somebody else");
    assert_eq!(decide(&world.leo, &mias, "confirm").await.status, 200);
    assert_eq!(decide(&world.mia.1, &mias, "drop").await.status, 403);
    assert_eq!(world.leo.post("/console/reviews/cancel", &[("id", &review)]).await.status, 403);
    assert!(world.leo.get("/reviews").await.text.contains("1 of 2"));
    assert!(world.eva.get("/reviews").await.text.contains("1 of 4"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_ended_is_said_beside_its_people_and_no_way_back_leads_into_it() {
    let world = world().await;
    crate::load::secret(&world.owner, "http://127.0.0.1:9/v1").await;
    let key = Key::new(&world.owner, &world.team).await;
    let fields = [("name", "second"), ("group", world.team.as_str())];
    let second =
        Key::of(&world.owner, &world.owner.create("/console/applications/create", &fields).await).await;
    assert_eq!(second.assign(&world.owner, "1", &[&world.team], "").await.status, 200);
    let last = store::clock::now().date_naive() - chrono::Days::new(3);
    end(&world.server, "Engineering/Research", &last.to_string());

    let said = format!("ended {}", domain::time::date(last));
    let page = world.owner.get(&format!("/users/{}", world.mia.0)).await.text;
    assert!(page.contains(&said), "{page}");
    let page = world.owner.get("/users").await.text;
    assert!(page.contains(&format!("Research · ended {}", domain::time::day(last))), "{page}");

    // No secret is made of which every call would be refused.
    let page = world.owner.get(&format!("/applications/{}", key.application)).await.text;
    assert!(!page.contains("Make a secret"), "{page}");
    let fields = [("application", key.application.as_str()), ("key", &key.key)];
    refused(&world.owner.post("/console/keys/issue", &fields).await, 422, "Research ended on ");
    let theirs = world.eva.post("/console/keys/issue", &fields).await;
    refused(&theirs, 422, "Ask Olga to give it a later last day first.");

    // What leads out of it has no way back into it.
    let fields = [
        ("id", key.application.as_str()),
        ("version", "1"),
        ("was", &world.team),
        ("group", &world.elsewhere),
    ];
    let moved = world.owner.must("/console/applications/move", &fields).await;
    assert!(moved["undo"].is_null(), "{moved}");
    let taken_off = second.assign(&world.owner, "2", &[], "").await;
    assert_eq!(taken_off.status, 200, "{}", taken_off.text);
    assert!(taken_off.json()["undo"].is_null(), "{}", taken_off.text);
    let fields = [("id", second.application.as_str()), ("version", "1"), ("group", &world.elsewhere)];
    let shown = world.owner.must("/console/rehearsals/move-application", &fields).await;
    let page = shown["go"].as_str().expect("a page").to_owned();
    let id = crate::world::id_at(&page, "reh_");
    let page = world.owner.get(&page).await.text;
    let seen = hidden(&page, "/console/rehearsals/save", "seen");
    let saved = world.owner.must("/console/rehearsals/save", &[("id", &id), ("seen", &seen)]).await;
    assert!(saved["undo"].is_null(), "{saved}");
    let page = world.owner.get(&format!("/groups/{}?dialog=edit", world.team)).await.text;
    let version = page.split("name=\"version\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let fields = [
        ("id", world.team.as_str()),
        ("version", version.expect("a version")),
        ("name", "Research"),
        ("kind", "custom"),
        ("ends_on", ""),
    ];
    let goes_on = world.owner.must("/console/groups/edit", &fields).await;
    assert!(goes_on["undo"].is_null(), "{goes_on}");
}
