//! Rules, limits and policies as pages tell them, where what is said would be easy to get wrong.

use http::StatusCode;

use crate::{
    harness::{Server, join, set_up},
    load,
    world::id_at,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_say_what_has_no_effect_what_is_used_up_and_what_is_gone() {
    let mut server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    load::secret(&owner, "http://127.0.0.1:9/v1").await;
    let (mia, member) = join(&server, &owner, "Mia", "member").await;
    let page = |path: &'static str| {
        let owner = &owner;
        async move { owner.get(path).await.text }
    };
    let team = id_at(&page("/groups").await, "grp_");
    let models = page("/models").await;
    let (model, tier) = (id_at(&models, "mdl_"), id_at(&models, "tir_"));
    let below = [("name", "Squad"), ("kind", "project"), ("parent", team.as_str())];
    let squad = owner.create("/console/groups/create", &below).await;

    // A rule does not end before it begins, whichever way it is said.
    let target = format!("model:{model}");
    let fields = [("target", target.as_str()), ("state", "open"), ("ends_on", "2020-01-01")];
    let set = owner.post("/console/authorizations/set", &[&fields[..], &[("group", &squad)]].concat()).await;
    assert_eq!(set.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", set.text);
    assert!(set.text.contains("ends_on") && set.text.contains("This day is over"), "{}", set.text);
    let lists = [("targets[0]", target.as_str()), ("groups[0]", &squad), ("state", "open")];
    let past = [&lists[..], &[("ends_on", "2020-01-01")]].concat();
    let staged = owner.post("/console/authorizations/stage", &past).await;
    assert_eq!(staged.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", staged.text);

    // What a lock swallows is said to have no effect, by the whole path.
    let rule = [("group", team.as_str()), ("target", &target), ("state", "closed"), ("locked", "true")];
    owner.must("/console/authorizations/set", &rule).await;
    let draft = owner.must("/console/authorizations/stage", &lists).await;
    let preview = owner.get(draft["go"].as_str().expect("a preview")).await.text;
    assert!(preview.contains("No effect: Team locks small, closed."), "{preview}");
    assert!(preview.contains("what you say has no effect") && preview.contains("Team/Squad"), "{preview}");
    let matrix = owner.get(&format!("/authorization?open={tier}")).await.text;
    assert!(matrix.contains("from Team, locked"), "an inherited lock has its mark: {matrix}");
    let found = page("/authorization?model=SMA").await;
    assert!(found.contains(&format!("~model:{model}")), "a model is found by its name: {found}");
    let rule = [("group", team.as_str()), ("target", &target), ("state", "open")];
    owner.must("/console/authorizations/set", &rule).await;

    // Where nothing is left it says so, group by group.
    for group in [&team, &squad] {
        owner.must("/console/groups/add-member", &[("group", group), ("user", &mia)]).await;
    }
    assert!(!member.get("/my-models").await.text.contains("Used up"));
    let scope = format!("group:{squad}");
    let limit = [("scope", scope.as_str()), ("metric", "requests"), ("window", "day"), ("cap", "0")];
    owner.must("/console/limits/set", &limit).await;
    let mine = member.get("/my-models").await.text;
    assert!(mine.contains("1 more group") && mine.contains("Used up</b>, Squad: 0 requests a day"), "{mine}");

    // Whoever asks for what cannot be asked for is not handed another model.
    let ask = member.get("/requests/new?model=small").await.text;
    assert!(ask.contains("small is open to you") && !ask.contains("name=\"reason\""), "{ask}");

    // Policies say which of their models are gone, and can still be saved.
    let policy = [("name", "only"), ("routing", "fallback"), ("steps", "small")];
    owner.must("/console/policies/save", &policy).await;
    let dialog = owner.get(&format!("/models/{model}?dialog=archive")).await.text;
    assert!(dialog.contains("policy/only has no other model"), "{dialog}");
    assert!(
        page("/models?q=SMALL").await.contains(&model) && !page("/models?q=large").await.contains(&model)
    );
    let version = &dialog[dialog.find("models/archive").expect("the form")..];
    let version: String = version[version.find("name=\"version\"").expect("its version")..]
        .split("value=\"")
        .nth(1)
        .expect("a value")
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let archive = [("id", model.as_str()), ("version", &version), ("typed", "small")];
    owner.must("/console/models/archive", &archive).await;
    let policies = page("/policies").await;
    assert!(
        policies.contains("small is no longer in the catalogue: every call to it is refused"),
        "{policies}"
    );
    let id = id_at(&policies, "pol_");
    let again = [&policy[..], &[("id", &id), ("version", "1")]].concat();
    owner.must("/console/policies/save", &again).await;
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_promotes_from_an_old_page_is_told_who_did_what_and_what_holds() {
    let mut server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let (_, adam) = join(&server, &owner, "Adam", "admin").await;
    let group = [("name", "Team"), ("kind", "custom"), ("parent", "")];
    let team = owner.create("/console/groups/create", &group).await;
    let (id, lea) = join(&server, &owner, "Lea", "member").await;
    let fields = [("group", team.as_str()), ("user", &id), ("lead", "true")];
    owner.must("/console/groups/add-member", &fields).await;
    owner.must("/console/models/create-tier", &[("name", "general")]).await;
    let tier = id_at(&owner.get("/models").await.text, "tir_");
    let target = format!("tier:{tier}");
    let cell = [("group", team.as_str()), ("target", target.as_str())];
    let watch = async |prefix: &str, fields: &[(&str, &str)]| {
        let path = if prefix == "aut_" { "authorizations" } else { "limits" };
        owner.must(&format!("/console/{path}/set"), &[fields, &[("mode", "observe")]].concat()).await;
        id_at(&owner.get("/authorization/observed").await.text, prefix)
    };
    let told = async |who: &crate::harness::Browser, id: &str, was: &str, says: &str| {
        let late = who.post("/console/observed/promote", &[("id", id), ("was", was)]).await;
        assert_eq!(late.status, StatusCode::CONFLICT, "{}", late.text);
        assert!(late.text.contains(says), "{says}: {}", late.text);
    };
    for (beside, verb, says) in [
        (
            false,
            "promote",
            "Adam promoted it since you saw it: “Closed” decides there now. Nothing was changed.",
        ),
        (true, "promote", "Adam promoted it since you saw it: “Closed” decides there now."),
        (false, "drop", "Adam took it away since you saw it: no rule of its own decides there."),
        (true, "drop", "Adam took it away since you saw it: “Open” decides there."),
    ] {
        let state = if beside { "open" } else { "inherit" };
        owner.must("/console/authorizations/set", &[&cell[..], &[("state", state)]].concat()).await;
        let rule = watch("aut_", &[&cell[..], &[("state", "closed")]].concat()).await;
        let decides = format!("{rule} {}", if beside { "Open" } else { "" });
        let mut fields = vec![("id", rule.as_str()), ("was", "Closed")];
        if verb == "promote" {
            fields.push(("decides", &decides));
        }
        adam.must(&format!("/console/observed/{verb}"), &fields).await;
        for who in [&owner, &lea] {
            told(who, &rule, "Closed", says).await;
        }
    }
    let scope = format!("group:{team}");
    let limit = [("scope", scope.as_str()), ("metric", "requests"), ("window", "day"), ("cap", "5")];
    let id = watch("lim_", &limit).await;
    let higher = [&limit[..3], &[("cap", "7"), ("mode", "observe"), ("version", "1")]].concat();
    adam.must("/console/limits/set", &higher).await;
    let was = "5 requests a day";
    told(
        &owner,
        &id,
        was,
        "Adam changed it since you saw it: it was “5 requests a day” then, and is “7 requests a day” now.",
    )
    .await;
    let fields = [("id", id.as_str()), ("was", "7 requests a day")];
    adam.must("/console/observed/promote", &fields).await;
    told(&owner, &id, was, "Adam promoted it since you saw it: it refuses beyond 7 requests a day now.")
        .await;
    adam.must("/console/limits/remove", &[("id", id.as_str()), ("version", "3")]).await;
    told(&owner, &id, was, "Adam took it away since you saw it.").await;
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promoting_takes_the_place_of_the_rule_that_was_shown_and_of_no_newer_one() {
    let mut server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let (_, adam) = join(&server, &owner, "Adam", "admin").await;
    let group = [("name", "Team"), ("kind", "custom"), ("parent", "")];
    let team = owner.create("/console/groups/create", &group).await;
    owner.must("/console/models/create-tier", &[("name", "general")]).await;
    let target = format!("tier:{}", id_at(&owner.get("/models").await.text, "tir_"));
    let cell = [("group", team.as_str()), ("target", target.as_str())];
    let set = async |who: &crate::harness::Browser, group: &str, state: &str, mode: &str| {
        let fields = [("group", group), cell[1], ("state", state), ("mode", mode)];
        who.must("/console/authorizations/set", &fields).await;
    };
    set(&owner, &team, "by_request", "enforce").await;
    set(&owner, &team, "open", "observe").await;
    let shown = || async {
        let page = owner.get("/authorization/observed").await.text;
        assert!(page.contains("decides there now"), "{page}");
        let at = page.split("name=\"decides\"").nth(1).expect("the field that says what decides");
        let value = at.split("value=\"").nth(1).and_then(|text| text.split('"').next());
        (
            id_at(page.split("observed/promote").nth(1).expect("the form"), "aut_"),
            value.unwrap_or_default().to_owned(),
        )
    };
    let promote = async |id: &str, decides: &str| {
        let fields = [("id", id), ("was", "Open"), ("decides", decides)];
        owner.post("/console/observed/promote", &fields).await
    };

    // A colleague closes it meanwhile.
    let (rule, decides) = shown().await;
    assert!(decides.ends_with(" By request"), "{decides}");
    set(&adam, &team, "closed", "enforce").await;
    let late = promote(&rule, &decides).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{}", late.text);
    let says = "Adam changed what decides there since you saw it: it was “By request” then, and “Closed” decides there now.";
    assert!(late.text.contains(says), "{}", late.text);
    // Nor does a page that shows nothing of it go through.
    assert_eq!(promote(&rule, "").await.status, StatusCode::CONFLICT);
    let (_, now) = shown().await;
    assert!(now.ends_with(" Closed"), "{now}");

    // A colleague takes it away, and then sets one above that decides here.
    set(&adam, &team, "inherit", "enforce").await;
    let gone = promote(&rule, &now).await;
    let says = "it was “Closed” then, and no rule decides there now, so it is closed.";
    assert_eq!(gone.status, StatusCode::CONFLICT, "{}", gone.text);
    assert!(gone.text.contains(says), "{}", gone.text);
    let (_, none) = shown().await;
    assert_eq!(none, "");
    set(&adam, "", "by_request", "enforce").await;
    let above = promote(&rule, &none).await;
    assert_eq!(above.status, StatusCode::CONFLICT, "{}", above.text);
    assert!(above.text.contains("“By request (tier general for Acme)” decides there now"), "{}", above.text);

    // As it is shown now it is promoted.
    let (_, now) = shown().await;
    let done = promote(&rule, &now).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_that_fails_as_it_is_pinned_says_so_and_holds_once_it_has_held() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let group = [("name", "Team"), ("kind", "custom"), ("parent", "")];
    let team = owner.create("/console/groups/create", &group).await;
    let provider = [("name", "P"), ("dialect", "openai"), ("base_url", "https://models.example/v1")];
    let provider = owner.create("/console/providers/create", &provider).await;
    owner.must("/console/models/create-tier", &[("name", "general")]).await;
    let tier = id_at(&owner.get("/models").await.text, "tir_");
    let model = accepted(&owner, "small", &provider, &tier).await;
    let (subject, target) = (format!("group:{team}"), format!("model:{model}"));
    let pin = async |name: &str, expected: &str| {
        let fields = [("name", name), ("subject", &subject), ("target", &target), ("expected", expected)];
        owner.must("/console/access-tests/create", &fields).await["notice"].clone()
    };
    assert_eq!(pin("closed", "closed").await, "Pinned. No change is made that would break it.");
    let removed =
        [("id", &*id_at(&owner.get("/authorization/tests").await.text, "tst_")), ("typed", "closed")];
    owner.must("/console/access-tests/remove", &removed).await;
    let later = "Nothing is refused because of it until it holds; from then on, no change is made that would break it.";
    assert_eq!(
        pin("open", "open").await,
        format!("Pinned, and it fails now: expected open, and small is closed for Team. {later}")
    );
    assert!(owner.get("/authorization/tests").await.text.contains(later));
    let set = async |state: &str| {
        let fields = [("group", team.as_str()), ("target", target.as_str()), ("state", state)];
        owner.post("/console/authorizations/set", &fields).await
    };
    // It holds nothing back while it fails, and does so from the moment on at which it holds.
    assert_eq!(set("by_request").await.status, StatusCode::OK);
    assert_eq!(set("open").await.status, StatusCode::OK);
    let broken = set("closed").await;
    assert!(!broken.status.is_success() && broken.text.contains("open"), "{}", broken.text);
}

/// A model that has a price and was accepted.
async fn accepted(owner: &crate::harness::Browser, name: &str, provider: &str, tier: &str) -> String {
    let fields = [
        ("name", name),
        ("provider", provider),
        ("upstream", name),
        ("modality", "chat"),
        ("tier", tier),
        ("context_tokens", ""),
        ("max_output_tokens", ""),
        ("price_input", "1"),
        ("price_output", "1"),
    ];
    let model = owner.create("/console/models/create", &fields).await;
    owner.must("/console/models/accept", &[("id", &model), ("version", "1")]).await;
    model
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gains_and_loses_by_the_catalogue_is_said_before_it_is_so() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let group = [("name", "Team"), ("kind", "custom"), ("parent", "")];
    let team = owner.create("/console/groups/create", &group).await;
    let provider = [("name", "P"), ("dialect", "openai"), ("base_url", "https://models.example/v1")];
    let provider = owner.create("/console/providers/create", &provider).await;
    owner.must("/console/models/create-tier", &[("name", "costly"), ("high_cost", "true")]).await;
    let costly = id_at(&owner.get("/models").await.text, "tir_");
    let model = accepted(&owner, "large", &provider, &costly).await;
    let all = [("group", team.as_str()), ("target", "all"), ("state", "open")];
    owner.must("/console/authorizations/set", &all).await;

    // Whoever takes the mark off is told who gains by it, and says it again.
    let page = owner.get(&format!("/models?dialog=tier-{costly}")).await.text;
    assert!(page.contains("name=\"known\""), "{page}");
    let unmark = [("id", costly.as_str()), ("version", "1"), ("name", "costly")];
    let asked = owner.post("/console/models/edit-tier", &unmark).await;
    assert_eq!(asked.status, StatusCode::CONFLICT, "{}", asked.text);
    let question = asked.json()["Changed"].as_str().expect("a question").to_owned();
    assert_eq!(
        question,
        "Nothing is saved yet. With this Team (0 people) gains large (closed → open). Save it again if that is meant."
    );
    let why = format!("/why?who={team}&model=large");
    assert!(!owner.get(&why).await.text.contains("Allowed"));
    let meant = [&unmark[..], &[("known", question.as_str())]].concat();
    let done = owner.must("/console/models/edit-tier", &meant).await;
    assert!(owner.get(&why).await.text.contains("Allowed"));
    // A new name alone is no question, and undoing the mark needs no second word.
    let undo = &done["undo"];
    let fields: Vec<(String, String)> = serde_json::from_value(undo["fields"].clone()).expect("its fields");
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    owner.must(undo["to"].as_str().expect("where"), &fields).await;
    let rename = [("id", costly.as_str()), ("version", "3"), ("name", "dear"), ("high_cost", "true")];
    owner.must("/console/models/edit-tier", &rename).await;

    // The same of a model that goes into another tier.
    owner.must("/console/models/create-tier", &[("name", "general")]).await;
    let page = owner.get(&format!("/models/{model}?dialog=edit")).await.text;
    let general = page.split("general").next().expect("its option");
    let general = id_at(&general[general.rfind("tir_").expect("its id")..], "tir_");
    let moved = [
        ("id", model.as_str()),
        ("version", "2"),
        ("name", "large"),
        ("provider", &provider),
        ("upstream", "large"),
        ("modality", "chat"),
        ("tier", &general),
        ("context_tokens", ""),
        ("max_output_tokens", ""),
    ];
    let asked = owner.post("/console/models/edit", &moved).await;
    assert_eq!(asked.status, StatusCode::CONFLICT, "{}", asked.text);
    assert!(asked.text.contains("Team (0 people) gains large (closed → open)"), "{}", asked.text);
    let question = asked.json()["Changed"].as_str().expect("a question").to_owned();
    owner.must("/console/models/edit", &[&moved[..], &[("known", question.as_str())]].concat()).await;
}
