//! Every refusal there is, made over a socket: its request id leads to a page that says why.

use bench::upstream::{Hold, Script, Upstream};
use http::Method;
use serde_json::json;

use crate::{
    harness::{Answer, Browser, Server, join, set_up},
    load,
    world::id_at,
};

/// A program that calls.
struct Program {
    browser: Browser,
    bearer: String,
}

impl Program {
    fn new(server: &Server, secret: &str) -> Self {
        Self { browser: server.browser(), bearer: format!("Bearer {secret}") }
    }

    async fn say(&self, path: &str, body: String) -> Answer {
        let headers = [("authorization", self.bearer.as_str()), ("content-type", "application/json")];
        self.browser.send(Method::POST, path, &headers, body).await
    }

    async fn call(&self, model: &str) -> Answer {
        let body =
            json!({ "model": model, "max_tokens": 20, "messages": [{ "role": "user", "content": "Hi" }] });
        self.say("/v1/chat/completions", body.to_string()).await
    }
}

/// Opens the page of a refused call, and waits until it says this; returns it.
async fn page_says(who: &Browser, answer: &Answer, status: u16, code: &str, says: &str) -> String {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert_eq!(answer.json()["error"]["code"], code, "{}", answer.text);
    let id = answer.headers["x-request-id"].to_str().expect("an id");
    assert_eq!(answer.json()["error"]["bursar"]["request_id"], id, "body and header agree");
    let says_so = async {
        loop {
            let page = who.get(&format!("/why?request={id}")).await;
            if page.status == 200 && page.text.contains(says) {
                assert!(page.text.contains(id), "and names the call");
                return page.text;
            }
            // Until it is written down its id alone says why.
            assert!(page.status == 200 || status >= 500, "{} for {code}: {}", page.status, page.text);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(std::time::Duration::from_secs(60), says_so).await;
    in_time.unwrap_or_else(|_| panic!("the page of {code} never says “{says}”"))
}

/// What stands on this page: the ids of what was set up.
struct Ids {
    app: String,
    key: String,
    group: String,
    model: String,
    secret: String,
}

async fn ids(owner: &Browser) -> Ids {
    let page = |path: String| async move { owner.get(&path).await.text };
    let app = id_at(&page("/applications".to_owned()).await, "app_");
    let of_app = page(format!("/applications/{app}?dialog=secret")).await;
    let model = id_at(&page("/models".to_owned()).await, "mdl_");
    Ids {
        key: id_at(&of_app, "key_"),
        group: id_at(&of_app, "grp_"),
        secret: id_at(&of_app, "sec_"),
        app,
        model,
    }
}

/// What a key narrows to; its version goes up by one.
async fn edit_key(owner: &Browser, ids: &Ids, fields: &[(&str, &str)]) {
    let page = owner.get(&format!("/applications/{}?dialog=key", ids.app)).await.text;
    let form = &page[page.find("keys/edit").expect("the form")..];
    let value = &form[form.find("name=\"version\"").expect("its version")..];
    let version: String =
        value.split("value=\"").nth(1).expect("a value").chars().take_while(char::is_ascii_digit).collect();
    let which = [("application", ids.app.as_str()), ("key", ids.key.as_str()), ("version", version.as_str())];
    owner.must("/console/keys/edit", &[&which, fields].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_leads_to_why_by_its_request_id() {
    let upstream = Upstream::start().await.expect("an upstream");
    let mut server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let secret = load::secret(&owner, &upstream.base_url()).await;
    let (_, member) = join(&server, &owner, "Mia", "member").await;
    let (ids, program) = (ids(&owner).await, Program::new(&server, &secret));

    // 401: nobody knows whose it is, and everybody who has the id sees why.
    let nobody = server.browser();
    let kind = [("content-type", "application/json")];
    let none = nobody.send(Method::POST, "/v1/chat/completions", &kind, "{}".to_owned()).await;
    let unknown = Program::new(&server, store::testing::unknown_secret().reveal()).call("small").await;
    let foreign = Program::new(&server, "sk-something").call("small").await;
    for who in [&owner, &member] {
        let page = page_says(who, &none, 401, "invalid_api_key", "It brought no secret").await;
        assert!(page.contains("Send a secret as a bearer token"), "{page}");
        page_says(who, &unknown, 401, "invalid_api_key", "Its secret is not known here").await;
        page_says(who, &foreign, 401, "invalid_api_key", "cannot be one of Bursar").await;
    }

    // 400, 413, and a route that is not there.
    let bad = program.say("/v1/chat/completions", "{".to_owned()).await;
    page_says(&owner, &bad, 400, "invalid_request", "400 invalid_request").await;
    page_says(&member, &bad, 400, "invalid_request", "It was not well formed").await;
    let large = program.say("/v1/chat/completions", "x".repeat(33 << 20)).await;
    page_says(&owner, &large, 413, "request_too_large", "The body is larger than 32 MB.").await;
    let route = program.say("/v1/files", String::new()).await;
    page_says(&member, &route, 404, "unknown_route", "a route that does not exist here").await;

    // What rules and the key say.
    let unseen = program.call("no-such").await;
    page_says(&owner, &unseen, 404, "model_not_found", "404 model_not_found").await;
    let target = format!("model:{}", ids.model);
    let rule = |state: &'static str| {
        let (owner, ids, target) = (&owner, &ids, &target);
        async move {
            let fields = [("group", ids.group.as_str()), ("target", target), ("state", state)];
            owner.must("/console/authorizations/set", &fields).await;
        }
    };
    rule("closed").await;
    let page =
        page_says(&owner, &program.call("small").await, 404, "model_not_found", "404 model_not_found").await;
    assert!(page.contains("What would make it a yes"), "{page}");
    rule("by_request").await;
    let asked = program.call("small").await;
    page_says(&owner, &asked, 403, "model_requires_approval", "is open to your group by request only").await;
    rule("open").await;
    edit_key(&owner, &ids, &[]).await;
    let narrowed = program.call("small").await;
    page_says(&owner, &narrowed, 403, "model_not_allowed", "The key of Assistant is narrowed").await;
    edit_key(&owner, &ids, &[("all_models", "true")]).await;
    let streams =
        json!({ "model": "small", "stream": true, "messages": [{ "role": "user", "content": "Hi" }] });
    let streams = program.say("/v1/chat/completions", streams.to_string()).await;
    page_says(&owner, &streams, 403, "feature_not_allowed", "turned off").await;

    // What limits say.
    let scope = format!("application:{}", ids.app);
    let limit = |metric: &'static str, window: &'static str, cap: &'static str| {
        let (owner, scope) = (&owner, &scope);
        async move {
            let fields = [("scope", scope.as_str()), ("metric", metric), ("window", window), ("cap", cap)];
            owner.must("/console/limits/set", &fields).await;
            let page = owner.get("/limits").await.text;
            id_at(&page[page.rfind("lim_").expect("it")..], "lim_")
        }
    };
    let remove = |id: String| {
        let owner = &owner;
        async move { owner.must("/console/limits/remove", &[("id", &id), ("version", "1")]).await }
    };
    for (metric, window, cap, status, code) in [
        ("spend", "day", "0.000000001", 402, "budget_exceeded"),
        ("requests", "day", "0", 402, "quota_exceeded"),
        ("requests", "minute", "0", 429, "rate_limit_exceeded"),
    ] {
        let id = limit(metric, window, cap).await;
        let answer = program.call("small").await;
        let page = page_says(&owner, &answer, status, code, &format!("{status} {code}")).await;
        let asked = owner.get(&format!("/why?model=small&who={}", ids.app)).await.text;
        for page in [&page, &asked] {
            assert!(page.contains("No room"), "a call that is refused is not “Allowed”: {page}");
            assert!(page.contains("What would make it a yes"), "{page}");
            assert!(page.contains("or owner raises"), "who may do what: {page}");
        }
        // Enough for any call, and so a yes.
        let raised = if metric == "spend" { "5" } else { "500" };
        let fields = [("scope", scope.as_str()), ("metric", metric), ("window", window), ("cap", raised)];
        owner.must("/console/limits/set", &[&fields[..], &[("version", "1")]].concat()).await;
        let page = owner.get(&format!("/why?model=small&who={}", ids.app)).await.text;
        assert!(!page.contains("No room") && !page.contains("What would make it a yes"), "{page}");
        owner.must("/console/limits/remove", &[("id", &id), ("version", "2")]).await;
    }
    // Room for one call, which is under way.
    upstream.script("small", Script { hold: Some(Hold::BeforeHeaders), ..Script::default() });
    let id = limit("spend", "day", "0.0001").await;
    let (one, two) = (Program::new(&server, &secret), Program::new(&server, &secret));
    let held = tokio::spawn(async move { one.call("small").await });
    upstream.called(1).await;
    let busy = two.call("small").await;
    upstream.release(1);
    assert_eq!(held.await.expect("an answer").status, 200);
    page_says(&owner, &busy, 429, "budget_busy", "429 budget_busy").await;
    remove(id).await;

    // What cannot be read stands beside the form, which keeps the rest.
    for (wrong, says) in [("tokens=many", "many is no size"), ("at=2026-13-40", "2026-13-40 is no moment")] {
        let page = owner.get(&format!("/why?model=small&{wrong}")).await;
        assert!(page.text.contains(says) && page.text.contains("value=\"small\""), "{}", page.text);
    }

    // What the provider does: refused there, it is in the books; not reached, it is kept.
    upstream.script("small", Script::error(401));
    let credential = program.call("small").await;
    page_says(&owner, &credential, 502, "upstream_error", "It was let through").await;
    upstream.stop().await;
    let gone = program.call("small").await;
    page_says(&owner, &gone, 502, "upstream_error", "The provider cannot be reached.").await;

    // Whose secret it was is known: to those who may see that.
    let typed = &program.bearer[program.bearer.len() - 4..];
    let fields = [("application", ids.app.as_str()), ("secret", ids.secret.as_str()), ("typed", typed)];
    owner.must("/console/keys/revoke", &fields).await;
    let dead = program.call("small").await;
    let page = page_says(&owner, &dead, 401, "invalid_api_key", "was revoked on").await;
    assert!(page.contains("by Olga"), "{page}");
    let page = page_says(&member, &dead, 401, "invalid_api_key", "Its secret is not known here").await;
    assert!(!page.contains("was revoked on"), "others learn what the answer said: {page}");

    // Nothing of an id that was made up, or of another installation.
    let id = dead.headers["x-request-id"].to_str().expect("an id").to_owned();
    let end = if id.ends_with('0') { "1" } else { "0" };
    let changed = format!("{}{end}", &id[..id.len() - 1]);
    assert_eq!(owner.get(&format!("/why?request={changed}")).await.status, 404);
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_too_little_left_for_a_typical_call_is_told_so_and_when_it_begins_anew() {
    let upstream = Upstream::start().await.expect("an upstream");
    let mut server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let secret = load::secret(&owner, &upstream.base_url()).await;
    let (mia, member) = join(&server, &owner, "Mia", "member").await;
    let (ids, program) = (ids(&owner).await, Program::new(&server, &secret));
    owner.must("/console/groups/add-member", &[("group", &ids.group), ("user", &mia)]).await;
    assert_eq!(program.call("small").await.status, 200);
    let mine = async |says: &str| {
        let there = async {
            loop {
                let page = member.get("/my-models").await.text;
                if page.contains(says) {
                    return page;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let in_time = tokio::time::timeout(std::time::Duration::from_secs(60), there).await;
        in_time.unwrap_or_else(|_| panic!("my models never say “{says}”"))
    };
    let page = mine(" a call<").await;
    assert!(!page.contains("Little left"), "{page}");
    // A token costs two millionths of a dollar at most, a call some dozens of them.
    let scope = format!("user:{mia}");
    let little = [("scope", scope.as_str()), ("metric", "spend"), ("window", "day"), ("cap", "0.000004")];
    owner.must("/console/limits/set", &little).await;
    let page = mine("Little left").await;
    for text in
        ["A typical call (≈ ", " no longer fits", "less than a usual call: Mia: ", "It begins anew on "]
    {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("Used up"), "{page}");
    assert!(server.stop().success());
}
