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
