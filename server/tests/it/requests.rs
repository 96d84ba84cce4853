//! Requests: decided on together, with a sentence about each that was not; and named where somebody looks
//! for what would open a model.

use domain::window::Calendar;
use serde_json::Value;

use crate::{
    consequences::hidden,
    harness::Browser,
    world::{WHO, World, last_day},
};

fn who(world: &World, name: &str) -> Browser {
    world.people[WHO.iter().position(|who| *who == name).expect("somebody")].clone()
}

/// The name of the model that a request is for.
async fn wanted(owner: &Browser, id: &str) -> String {
    let seen = owner.must("/console/requests/get", &[("id", id)]).await;
    seen["request"]["wish"]["Model"]["name"].as_str().expect("its name").to_owned()
}

/// Decides on several: the status, and the sentence of the notice or of the refusal.
async fn decide(who: &Browser, what: &str, ids: &[&str]) -> (u16, String) {
    let mut fields: Vec<_> = ids.iter().map(|id| ("ids[]", *id)).collect();
    fields.push(("answer", "As agreed."));
    let answer = who.post(&format!("/console/requests/{what}-several"), &fields).await;
    let json = answer.json();
    let said = match (&json["notice"], &json["Meanwhile"], &json["Invalid"][0][1]) {
        (Value::String(said), ..) | (_, Value::String(said), _) | (.., Value::String(said)) => said.clone(),
        _ => answer.text,
    };
    (answer.status.as_u16(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn several_requests_are_decided_on_together_and_each_that_is_not_says_why() {
    let mut world = World::new().await;
    let (owner, admin, mia) = (world.owner.clone(), who(&world, "admin"), who(&world, "member"));
    assert_eq!(decide(&admin, "approve", &[]).await, (422, "Tick the requests first.".to_owned()));
    let (one, two) = (world.value("new request").await, world.value("new request").await);
    assert_eq!(decide(&admin, "approve", &[&one, &two]).await, (200, "Approved: 2 of 2.".to_owned()));
    // A second click.
    let before = "Approved: 0 of 2. You had approved 2 before: what you agreed to then holds.";
    assert_eq!(decide(&admin, "approve", &[&one, &two]).await, (200, before.to_owned()));

    // From a page on which they all still wait.
    let (three, four) = (world.value("new request").await, world.value("new request").await);
    mia.must("/console/requests/withdraw", &[("id", &four)]).await;
    let names = [wanted(&owner, &one).await, wanted(&owner, &four).await];
    let (status, said) = decide(&owner, "refuse", &[&one, &three, &four]).await;
    let expected = format!(
        "Refused: 1 of 3. What Mia asked for ({}): Adam has approved this already. Nothing was changed. \
         What Mia asked for ({}): Mia has taken this back. Nothing was changed.",
        names[0], names[1]
    );
    assert_eq!((status, said), (200, expected));
    let refused = "Refused: 0 of 2. You had refused 1 before: what you said then stands. What Mia asked for";
    let (status, said) = decide(&owner, "refuse", &[&three, &one]).await;
    assert!(status == 200 && said.starts_with(refused), "{status} {said}");
    // One alone is refused by itself.
    let (status, said) = decide(&admin, "approve", &[&three]).await;
    assert_eq!((status, said.as_str()), (409, "Olga has refused this already. Nothing was changed."));
    let own = "You asked for this yourself. Somebody else has to decide.";
    let fields = [
        ("model", world.value("new asked").await),
        ("whom", format!("group:{}", world.ids["team"])),
        ("reason", "for all".to_owned()),
        ("amount", "5".to_owned()),
        ("per", "month".to_owned()),
        ("ends_on", last_day()),
    ];
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mine = owner.create("/console/requests/create", &fields).await;
    assert_eq!(decide(&owner, "approve", &[&mine]).await, (422, own.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_requests_that_others_have_to_agree_to_it_is_said_how_far_they_are() {
    let mut world = World::new().await;
    let (owner, admin) = (world.owner.clone(), who(&world, "admin"));
    owner.must("/console/requests/edit-rule", &[("version", "0"), ("above", "1"), ("approvers", "2")]).await;
    let (one, two) = (world.value("new request").await, world.value("new request").await);
    let names = [wanted(&owner, &one).await, wanted(&owner, &two).await];
    let agreed = "Approved: 0 of 1. You agree, and others have to before it holds:";
    let expected = format!("{agreed} {} for Mia in Research.", names[0]);
    assert_eq!(decide(&admin, "approve", &[&one]).await, (200, expected));
    let both = format!(
        "Approved: 0 of 2. You agree, and others have to before it holds: {} for Mia in Research. \
         You had agreed before, and others still have to: {} for Mia in Research.",
        names[1], names[0]
    );
    assert_eq!(decide(&admin, "approve", &[&one, &two]).await, (200, both));
    let (model, today) = (wanted(&owner, &one).await, domain::time::date(today()));
    let waits =
        format!("Mia asked for {model} on {today}, and it still waits (1 of 2 agree): Leo can agree.");
    let page = owner.get(&format!("/why?who={}&model={model}", world.ids["member"])).await.text;
    assert!(page.contains(&waits), "{waits}: {page}");
    assert_eq!(decide(&owner, "approve", &[&one, &two]).await.1, "Approved: 2 of 2.");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_agrees_to_terms_that_were_not_shown_to_them() {
    let mut world = World::new().await;
    let (owner, admin, lead) = (world.owner.clone(), who(&world, "admin"), who(&world, "lead"));
    owner.must("/console/requests/edit-rule", &[("version", "0"), ("above", "1"), ("approvers", "2")]).await;
    let (one, two) = (world.value("new request").await, world.value("new request").await);
    let day = last_day();
    let (asked, less) = (format!("5.00/{day}"), format!("4.00/{day}"));
    let agree = async |who: &Browser, amount: &str, shown: &str| {
        let fields = [("id", one.as_str()), ("amount", amount), ("ends_on", &day), ("shown", shown)];
        who.post("/console/requests/approve", &fields).await
    };
    let list = owner.get("/requests").await.text;
    assert!(list.contains(&format!("value=\"{one} {asked}\"")), "{list}");
    let said = agree(&admin, "4", &asked).await.json()["notice"].as_str().expect("a line").to_owned();
    assert_eq!(said, "You agree. One more has to, then it holds.");

    // From the list and from the page as they were before that.
    let shown = [format!("{one} {asked}"), format!("{two} {asked}")];
    let fields = [("ids[]", one.as_str()), ("ids[]", &two), ("shown[]", &shown[0]), ("shown[]", &shown[1])];
    let said = owner.must("/console/requests/approve-several", &fields).await["notice"].to_string();
    let until = domain::time::date(day.parse().expect("a day"));
    let changed = format!(
        "Adam has agreed to $4.00 a month until {until} since this was shown to you: then it was $5.00 a month until {until}."
    );
    assert!(said.contains("Approved: 0 of 2. You agree, and others have to before it holds:"), "{said}");
    assert!(said.contains(&changed), "{said}");
    for (who, shown) in [(&owner, asked.as_str()), (&lead, "")] {
        let refused = agree(who, "5", shown).await;
        assert_eq!(refused.status, 409, "{}", refused.text);
        assert!(refused.text.contains(&changed), "{}", refused.text);
    }
    let page = owner.get(&format!("/requests/{one}")).await.text;
    assert!(
        page.contains(&format!("name=\"shown\" value=\"{less}\"")) && page.contains("1 of 2 agree"),
        "{page}"
    );

    // As it is now it says so, and is decided on.
    let list = owner.get("/requests").await.text;
    assert!(list.contains("agreed to so far: ") && list.contains("Approve as shown"), "{list}");
    let shown = format!("{one} {less}");
    let fields = [("ids[]", one.as_str()), ("shown[]", &shown)];
    let said = owner.must("/console/requests/approve-several", &fields).await["notice"].to_string();
    assert_eq!(said, "\"Approved: 1 of 1.\"");
    let page = owner.get(&format!("/requests/{one}")).await.text;
    assert!(page.contains("$4.00 a month"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_ends_a_grant_that_has_begun_since_the_page_was_drawn() {
    let mut world = World::new().await;
    let (owner, admin, lead) = (world.owner.clone(), who(&world, "admin"), who(&world, "lead"));
    let (model, day) = (world.value("new asked").await, last_day());
    let whom = format!("group:{}", world.ids["team"]);
    let ask = async |who: &Browser, amount: &str| {
        let fields = [("model", model.as_str()), ("whom", &whom), ("reason", "for all"), ("amount", amount)];
        let fields = [&fields[..], &[("per", "month"), ("ends_on", &day)]].concat();
        who.create("/console/requests/create", &fields).await
    };
    // Two ask for the same: they are told apart by who asked.
    let (first, second) = (ask(&owner, "5").await, ask(&lead, "4").await);
    let shown = async |id: &str| {
        let page = admin.get(&format!("/requests/{id}")).await.text;
        hidden(&page, "/console/requests/approve", "shown")
    };
    let agree = async |id: &str, amount: &str, shown: &str| {
        let fields = [("id", id), ("amount", amount), ("ends_on", &day), ("shown", shown)];
        admin.post("/console/requests/approve", &fields).await
    };
    let (one, two) = (shown(&first).await, shown(&second).await);
    assert_eq!(agree(&first, "5", &one).await.status, 200);
    let line = format!("{second} {two}");
    for refused in [
        agree(&second, "4", &two).await,
        admin
            .post("/console/requests/approve-several", &[("ids[]", second.as_str()), ("shown[]", &line)])
            .await,
    ] {
        assert_eq!(refused.status, 409, "{}", refused.text);
        let until = domain::time::date(day.parse().expect("a day"));
        let says =
            format!("to just these has begun since this was shown to you (until {until}, $5.00 a month)");
        assert!(refused.text.contains(&says), "{}", refused.text);
    }
    let now = shown(&second).await;
    assert!(now.starts_with(&two) && now.contains("/grt_"), "{now}");
    assert_eq!(agree(&second, "4", &now).await.status, 200);
    let page = admin.get(&format!("/requests/{first}")).await.text;
    assert!(page.contains("Over"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_agreeing_would_not_change_is_said_before_anybody_agrees() {
    let mut world = World::new().await;
    let owner = world.owner.clone();
    let (waits, holds) = (world.value("new request").await, world.value("new grant").await);
    let page = owner.get(&format!("/requests/{waits}")).await.text;
    assert!(page.contains("/console/requests/approve\""), "{page}");
    for id in [&waits, &holds] {
        let model = owner.must("/console/requests/get", &[("id", id)]).await;
        let model = model["request"]["wish"]["Model"]["id"].as_str().expect("its id").to_owned();
        let target = format!("model:mdl_{}", model.trim_start_matches("mdl_"));
        let closed = [("group", world.ids["team"].as_str()), ("target", &target), ("state", "closed")];
        owner.must("/console/authorizations/set", &closed).await;
    }
    let page = owner.get(&format!("/requests/{waits}")).await.text;
    assert!(page.contains("cannot be called by Research at all now: it is closed. Refuse this"), "{page}");
    assert!(!page.contains("/console/requests/approve\""), "{page}");
    for (who, path) in
        [(&owner, format!("/requests/{holds}")), (&who(&world, "member"), "/my-models".to_owned())]
    {
        let page = who.get(&path).await.text;
        assert!(page.contains("This does nothing now: it is closed."), "{path}: {page}");
    }
    let list = owner.get("/requests?state=all").await.text;
    assert!(list.contains("nothing to agree to now") && list.contains("does nothing now"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_ends_once_and_the_second_learns_who_ended_it() {
    let mut world = World::new().await;
    let (owner, admin) = (world.owner.clone(), who(&world, "admin"));
    let grant = world.value("new grant").await;
    admin.must("/console/requests/end", &[("id", &grant)]).await;
    for (who, says) in
        [(&owner, "Adam has ended this already, on "), (&admin, "You have ended this already, on ")]
    {
        let refused = who.post("/console/requests/end", &[("id", &grant)]).await;
        assert_eq!(refused.status, 409, "{}", refused.text);
        assert!(refused.text.contains(says), "{}", refused.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_grant_takes_the_place_of_one_for_the_same_and_asking_goes_on_elsewhere() {
    let mut world = World::new().await;
    let (owner, mia) = (world.owner.clone(), who(&world, "member"));
    let (below, member) = (world.ids["elsewhere"].clone(), world.ids["member"].clone());
    owner.must("/console/groups/add-member", &[("group", &below), ("user", &member)]).await;
    let request = world.value("new request").await;
    let seen = owner.must("/console/requests/get", &[("id", &request)]).await;
    let (id, name) = (&seen["request"]["wish"]["Model"]["id"], &seen["request"]["wish"]["Model"]["name"]);
    let (id, name) = (id.as_str().expect("an id"), name.as_str().expect("a name"));
    let target = format!("model:mdl_{}", id.trim_start_matches("mdl_"));
    let rule = [("group", below.as_str()), ("target", &target), ("state", "by_request")];
    owner.must("/console/authorizations/set", &rule).await;

    // It waits in one of the two groups, and can be asked for in the other.
    let page = mia.get("/my-models").await.text;
    assert!(page.contains(&format!("/requests/new?model={name}&amp;group={below}")), "{page}");
    assert!(!page.contains(&format!("/requests/new?model={name}&amp;group={}", world.ids["team"])), "{page}");
    assert!(page.contains("You have asked here"), "{page}");

    let yes = [("id", request.as_str()), ("amount", "5"), ("ends_on", &last_day())];
    owner.must("/console/requests/approve", &yes).await;
    let page = mia.get(&format!("/requests/new?model={name}&group={below}")).await.text;
    assert!(page.contains("For myself, in Engineering/Research: there is a grant for this until "), "{page}");
    assert_eq!(page.matches("would take its place").count(), 1, "none in Marketing: {page}");
    assert!(!page.contains("You have a grant for this"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_is_told_all_that_is_wrong_at_once_each_beside_its_field() {
    let mut world = World::new().await;
    let mia = who(&world, "member");
    let model = world.value("new asked").await;
    let fields = [
        ("model", model.as_str()),
        ("whom", "nobody"),
        ("reason", " "),
        ("amount", "0"),
        ("per", "month"),
        ("ends_on", "2020-02-29"),
    ];
    let refused = mia.post("/console/requests/create", &fields).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    let problems = refused.json()["Invalid"].clone();
    let named: Vec<_> = problems.as_array().expect("some").iter().map(|problem| problem[0].clone()).collect();
    assert_eq!(named, ["whom", "reason", "amount", "ends_on"], "{problems}");
    let page = mia.submit("/requests/new", "/console/requests/create", &fields).await.text;
    for sentence in
        ["Choose for whom.", "Say it in a few words.", "Enter an amount above zero.", "This day is over."]
    {
        assert!(page.contains(sentence), "{sentence}: {page}");
    }
    let limit = format!("group:{}/spend/month", world.ids["team"]);
    let fields =
        [("limit", limit.as_str()), ("group", "x"), ("reason", ""), ("amount", "-1"), ("ends_on", "")];
    let refused = mia.post("/console/requests/raise", &fields).await.json()["Invalid"].clone();
    assert_eq!(refused.as_array().map(Vec::len), Some(4), "{refused}");
}

/// Where Acme is.
fn today() -> chrono::NaiveDate {
    let (zone, week_start) = ("Europe/Berlin".parse().expect("a zone"), chrono::Weekday::Mon);
    Calendar { zone, week_start }.day(store::clock::now())
}

fn explained(world: &World, whom: &str, model: &str, more: &[&str]) -> String {
    let arguments = [&["explain", whom, model, "--organization", "Acme"][..], more].concat();
    let output = world.server.program(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_for_what_would_open_a_model_is_told_of_the_request_that_waits() {
    let mut world = World::new().await;
    let (owner, mia, lead) = (world.owner.clone(), who(&world, "member"), who(&world, "lead"));
    let asked = world.value("new asked").await;
    let ask = async |who: &Browser, whom: &str| {
        let (whom, day) = (format!("{whom}:{}", world.ids["team"]), last_day());
        let fields = [
            ("model", asked.as_str()),
            ("whom", &whom),
            ("reason", "to compare"),
            ("amount", "5"),
            ("per", "month"),
            ("ends_on", &day),
        ];
        who.create("/console/requests/create", &fields).await
    };
    let model = {
        let page = owner.get(&format!("/models/{asked}")).await.text;
        page[page.find("<h1>").map_or(0, |at| at + 4)..].split('<').next().unwrap_or_default().to_owned()
    };
    let why = format!("/why?who={}&model={model}", world.ids["member"]);
    let today = domain::time::date(today());
    let page = owner.get(&why).await.text;
    assert!(page.contains(&format!("Mia asks for {model}; Leo can agree.")), "{page}");
    assert!(page.contains("there is no grant. Ask Leo."), "{page}");

    // Of everybody: whom they see it of.
    let all = ask(&lead, "group").await;
    let page = owner.get(&why).await.text;
    let admins = format!(
        "Leo asked for {model} for everybody in Engineering/Research on {today}, and it still waits: an admin can agree."
    );
    assert!(page.contains(&admins) && page.contains(&format!("/requests/{all}\"")), "{page}");
    let page = mia.get(&format!("/why?model={model}")).await.text;
    assert!(page.contains(&admins.replace("Leo", "Somebody")), "{page}");
    assert!(!page.contains(&all), "it is not theirs to see: {page}");

    // Their own goes before it.
    let own = ask(&mia, "me").await;
    let waits = format!("asked for {model} on {today}, and it still waits: Leo can agree.");
    for (who, name) in [(&owner, "Mia"), (&lead, "Mia"), (&mia, "You")] {
        let page = who.get(&why).await.text;
        assert!(page.contains(&format!("{name} {waits}")), "{name} {waits}: {page}");
        assert!(page.contains(&format!("/requests/{own}\"")), "{page}");
        assert!(page.contains("there is no grant. It has been asked for."), "{page}");
        assert!(!page.contains("asks for") && !page.contains("Ask for"), "not once more: {page}");
    }
    let text = explained(&world, "mia@acme.example", &model, &[]);
    assert!(text.contains(&format!("To a yes Mia {waits}")), "{text}");
    assert!(text.contains("there is no grant. It has been asked for."), "{text}");
    let json: Value =
        serde_json::from_str(&explained(&world, "mia@acme.example", &model, &["--json"])).expect("JSON");
    assert_eq!(json["answers"][0]["waiting_request"], own.as_str(), "{json}");

    // What is taken back, or answered, waits no more.
    mia.must("/console/requests/withdraw", &[("id", &own)]).await;
    lead.must("/console/requests/withdraw", &[("id", &all)]).await;
    assert!(owner.get(&why).await.text.contains(&format!("Mia asks for {model}; Leo can agree.")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_allowed_and_has_no_room_says_both() {
    let world = World::new().await;
    let owner = world.owner.clone();
    let model = world.name_of("model").await;
    owner.must("/console/models/accept", &[("id", &world.ids["model"]), ("version", "1")]).await;
    let (team, target) = (world.ids["team"].as_str(), format!("model:{}", world.ids["model"]));
    owner
        .must("/console/authorizations/set", &[("group", team), ("target", &target), ("state", "open")])
        .await;
    let scope = format!("group:{team}");
    let fields = [("scope", scope.as_str()), ("metric", "requests"), ("window", "month"), ("cap", "0")];
    owner.must("/console/limits/set", &fields).await;
    let page = owner.get(&format!("/why?who={}&model={model}", world.ids["member"])).await.text;
    for text in [
        "No room",
        &format!("Mia in Engineering/Research may use {model}"),
        "But a limit has no room for such a call: it is refused for now.",
        "An admin or owner raises the limit of Research, 0 requests a month, to 1 request or more.",
        "no room",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let text = explained(&world, "mia@acme.example", &model, &[]);
    for part in [
        "says so about model",
        " But a limit has no room: a call is refused for now.",
        "Verdict: allowed, and no room for now.",
        "To a yes An admin or owner raises the limit of Research, 0 requests a month, to 1 request or more.",
        "Research: 0 requests used of 0 requests a month",
        "← no room",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json: Value =
        serde_json::from_str(&explained(&world, "mia@acme.example", &model, &["--json"])).expect("JSON");
    let answer = &json["answers"][0];
    assert_eq!((&answer["verdict"], &answer["no_room"]), (&"allow".into(), &true.into()), "{json}");
    let full = answer["limits"].as_array().expect("limits").iter().filter(|limit| limit["fits"] == false);
    assert_eq!(full.map(|limit| limit["scope_name"].clone()).collect::<Vec<_>>(), ["Research"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_approval_ends_is_said_to_whoever_decides_and_on_the_page_of_what_ended() {
    let mut world = World::new().await;
    let (owner, mia) = (world.owner.clone(), who(&world, "member"));
    let first = world.value("new grant").await;
    let model = wanted(&owner, &first).await;
    let whom = format!("me:{}", world.ids["team"]);
    let (reason, day) = ("more of it", last_day());
    let id = owner.must("/console/requests/get", &[("id", &first)]).await;
    let id = id["request"]["wish"]["Model"]["id"].as_str().expect("its id").to_owned();
    let fields = [
        ("model", id.as_str()),
        ("whom", &whom),
        ("reason", reason),
        ("amount", "7"),
        ("per", "month"),
        ("ends_on", &day),
    ];
    let second = mia.create("/console/requests/create", &fields).await;
    let says = format!("ends the running grant of {model} to Mia in Research (until ");
    let page = owner.get(&format!("/requests/{second}")).await.text;
    assert!(page.contains(&format!("Approving {says}")) && page.contains(", $5.00 a month)"), "{page}");
    assert!(page.contains(&format!("/requests/{first}")), "{page}");
    let list = owner.get("/requests").await.text;
    assert!(list.contains(&format!("approving {says}")), "{list}");
    let yes = [("id", second.as_str()), ("amount", "7"), ("ends_on", &day)];
    owner.must("/console/requests/approve", &yes).await;
    for who in [&owner, &mia] {
        let page = who.get(&format!("/requests/{first}")).await.text;
        assert!(page.contains("A newer grant took its place: "), "{page}");
        assert!(
            page.contains(&format!("/requests/{second}")) && page.contains("which Olga approved"),
            "{page}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_agreement_does_not_count_is_said_and_regained_it_can_be_completed() {
    let mut world = World::new().await;
    let (owner, admin) = (world.owner.clone(), who(&world, "admin"));
    owner.must("/console/requests/edit-rule", &[("version", "0"), ("above", "1"), ("approvers", "2")]).await;
    let id = world.value("new request").await;
    assert_eq!(decide(&admin, "approve", &[&id]).await.0, 200);
    let adam = world.id_in_page("/users?q=Adam", "usr_", "Adam").await;
    let suspend = async |suspended: &str| {
        let fields = [("id", adam.as_str()), ("suspended", suspended)];
        owner.must("/console/users/suspend", &fields).await;
    };
    suspend("true").await;
    assert_eq!(decide(&owner, "approve", &[&id]).await.0, 200);
    let page = owner.get(&format!("/requests/{id}")).await.text;
    for text in [
        "1 of 2 agree, 1 more has to",
        "Adam agreed and may not decide now: this does not count until they may again.",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    suspend("false").await;
    let page = owner.get(&format!("/requests/{id}")).await.text;
    assert!(
        page.contains("Enough agree, and may decide now.") && page.contains("requests/approve"),
        "{page}"
    );
    assert_eq!(decide(&owner, "approve", &[&id]).await, (200, "Approved: 1 of 1.".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tightest_limit_is_the_one_with_least_room_among_those_that_refuse() {
    let world = World::new().await;
    let owner = world.owner.clone();
    let model = world.name_of("model").await;
    owner.must("/console/models/accept", &[("id", &world.ids["model"]), ("version", "1")]).await;
    let (team, target) = (world.ids["team"].as_str(), format!("model:{}", world.ids["model"]));
    let open = [("group", team), ("target", &target), ("state", "open")];
    owner.must("/console/authorizations/set", &open).await;
    let scope = format!("group:{team}");
    for (metric, window, cap, mode) in [
        ("requests", "year", "900", "enforce"),
        ("requests", "day", "3", "enforce"),
        // It would have no room at all, and refuses nothing.
        ("requests", "month", "0", "observe"),
    ] {
        let fields =
            [("scope", scope.as_str()), ("metric", metric), ("window", window), ("cap", cap), ("mode", mode)];
        owner.must("/console/limits/set", &fields).await;
    }
    let why = format!("/why?who={}&model={model}", world.ids["member"]);
    let page = owner.get(&why).await.text;
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert_eq!(page.matches(">tightest<").count(), 1, "{page}");
    assert!(at("Research · 3 requests a day") < at(">tightest<"), "{page}");
    assert!(at(">tightest<") < at("Research · 900 requests a year"), "{page}");
    assert!(at("requests a year") < at("Research · 0 requests a month"), "{page}");
    assert!(at("Research · 0 requests a month") < at(">only observed<"), "{page}");
    assert!(page.contains("It would refuse this; it refuses nothing."), "{page}");
    assert!(page.contains("Allowed") && !page.contains("No room"), "{page}");
    let text = explained(&world, "mia@acme.example", &model, &[]);
    assert!(text.contains("Limits  Research: 0 requests used of 3 requests a day"), "{text}");

    // Of a moment that is over it is said what is not known any more, and nothing of what fits.
    let page = owner.get(&format!("{why}&at=2026-01-05T10:00")).await.text;
    assert!(page.contains("This moment is over, and this is no record of it."), "{page}");
    assert!(page.contains("How much was used at that moment is not kept"), "{page}");
    assert!(!page.contains("requests a day") && !page.contains("What would make it a yes"), "{page}");
    let later = (store::clock::now() + chrono::Duration::days(2)).format("%Y-%m-%dT%H:%M");
    let page = owner.get(&format!("{why}&at={later}")).await.text;
    assert!(page.contains("This moment is to come.") && page.contains("requests a day"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_called_the_same_on_the_page_and_by_the_program() {
    let mut world = World::new().await;
    let owner = world.owner.clone();
    let grant = world.value("new grant").await;
    let model = wanted(&owner, &grant).await;
    let last = domain::time::date(last_day().parse().expect("a day"));
    let says = format!("A grant to Mia in Engineering/Research lifts that, through {last}.");
    let page = owner.get(&format!("/why?who={}&model={model}", world.ids["member"])).await.text;
    assert!(page.contains(&says), "{says}: {page}");
    let text = explained(&world, "mia@acme.example", &model, &[]);
    assert!(text.contains(&format!("{says}  ← decides")), "{says}: {text}");
    assert_eq!(text.matches("← decides").count(), 1, "the grant, and no rule: {text}");
}
