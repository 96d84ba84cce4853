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
    let server = Server::start().await;
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
        let fields = [("id", rule.as_str()), ("was", "Closed")];
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
}
