//! Every refusal, exactly as it goes out, in both dialects. None of them reaches the upstream.

use chrono::NaiveDate;
use domain::{
    access::Grantee,
    audit::Door,
    authorizations::State,
    groups::{GroupForm, GroupKind, Standing},
    ids::{GroupId, SecretId},
    keys::{Feature, Features, KeyModels},
    models::Review,
    prices::{PriceKey, Prices},
    providers::Dialect,
    refusals::Told,
    roles::{Act, Actor},
};
use http::{StatusCode, header};
use serde_json::json;
use store::{groups, keys, leaks, users};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::{Answer, DIALECTS, body, route, streamed},
    golden,
    world::{World, named, prices},
};

async fn nobody_called(world: &World) {
    world.quiet().await;
    assert_eq!(world.upstream.served().calls, 0, "nothing may go upstream");
}

#[tokio::test]
async fn without_a_secret_nobody_gets_in() {
    let world = World::new().await;
    let mut answers = Vec::new();
    for dialect in DIALECTS {
        let request = http::Request::post(route(dialect));
        answers.push((dialect, world.client.send(request, body("small", 16).to_string()).await));
    }
    golden::compare("no_secret", &world, &answers, &[]);
    for (_, answer) in &answers {
        assert_eq!(golden::told_by(&world, answer), Told::NoSecret);
    }
    nobody_called(&world).await;
}

#[tokio::test]
async fn an_unknown_secret_gets_nobody_in() {
    let mut world = World::new().await;
    for secret in ["bsr_live_", "sk-something-else", &format!("{}x", world.client.secret.clone())] {
        world.client = world.client.with(secret);
        golden::refused("unknown_secret", &world, "small", &[]).await;
    }
    nobody_called(&world).await;
}

#[tokio::test]
async fn a_revoked_secret_is_an_unknown_one_from_the_next_call_on() {
    let world = World::new().await;
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let secret: SecretId =
        keys::secrets(&world.store, world.tenant.org, world.key).await.expect("secrets")[0].id;
    let mut change = world.change().await;
    keys::revoke(&mut change, secret).await.expect("revoked");
    change.commit().await.expect("it");
    golden::refused("unknown_secret", &world, "small", &[]).await;
    for path in ["/v1/models", "/v1/me/limits"] {
        assert_eq!(world.client.get(Dialect::OpenAi, path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(world.upstream.served().calls, 1);
}

#[tokio::test]
async fn somebody_suspended_is_out_everywhere_at_once() {
    let mut world = World::new().await;
    let (user, secret) = world.member("Uma").await;
    world.client = world.client.with(secret.reveal());
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let mut change = world.change().await;
    users::set_suspended(&mut change, user, true).await.expect("suspended");
    change.commit().await.expect("it");
    // Their secrets are revoked, for good: who is let in again makes new ones.
    golden::refused("unknown_secret", &world, "small", &[]).await;
    for path in ["/v1/models", "/v1/models/small", "/v1/me/limits"] {
        assert_eq!(world.client.get(Dialect::OpenAi, path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let mut change = world.change().await;
    users::set_suspended(&mut change, user, false).await.expect("let in again");
    change.commit().await.expect("it");
    golden::refused("unknown_secret", &world, "small", &[]).await;
    assert_eq!(world.upstream.served().calls, 1);
}

#[tokio::test]
async fn somebody_removed_is_out_for_good() {
    let mut world = World::new().await;
    let (user, secret) = world.member("Uma").await;
    world.client = world.client.with(secret.reveal());
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let mut change = world.change().await;
    users::remove(&mut change, user, None).await.expect("removed");
    change.commit().await.expect("it");
    golden::refused("unknown_secret", &world, "small", &[]).await;
    assert_eq!(world.upstream.served().calls, 1);
}

#[tokio::test]
async fn a_member_s_secret_dies_with_the_membership_and_stays_dead() {
    let mut world = World::new().await;
    let (user, secret) = world.member("Uma").await;
    world.client = world.client.with(secret.reveal());
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let mut change = world.change().await;
    groups::remove_member(&mut change, world.platform, user).await.expect("taken out");
    change.commit().await.expect("it");
    golden::refused("unknown_secret", &world, "small", &[]).await;
    // Coming back does not bring it back.
    let mut change = world.change().await;
    groups::set_member(&mut change, world.platform, user, Standing::Member, None).await.expect("in again");
    change.commit().await.expect("it");
    golden::refused("unknown_secret", &world, "small", &[]).await;
    assert_eq!(world.upstream.served().calls, 1);
}

/// Gives a group this last day, as a file says it: for days that are over, too.
async fn last_day(world: &World, group: GroupId, name: &str, ends_on: Option<NaiveDate>) {
    let file = Actor { door: Door::File, ..world.tenant.owner.clone() };
    let mut change = store::testing::begin(&world.store, &file, Act::ApplyFile).await;
    let version = groups::version(&mut change, group).await.expect("it");
    let name = name.parse().expect("a name");
    let form = GroupForm { name, kind: GroupKind::Department, ends_on };
    groups::update(&mut change, group, version, &form).await.expect("its last day");
    change.commit().await.expect("it");
}

#[tokio::test]
async fn a_call_of_a_group_that_has_ended_says_which_and_when_whatever_it_asks_for() {
    let world = World::new().await;
    let last = store::clock::now().date_naive() - chrono::Days::new(2);
    let names = [("{last day}", domain::time::date(last)), ("{day}", last.to_string())];
    last_day(&world, world.platform, "Platform", Some(last)).await;
    // One that is unknown is answered alike: nothing is told of any model by it.
    for model in ["small", "unknown", "policy/unknown"] {
        golden::refused("group_ended", &world, model, &names).await;
    }
    for dialect in DIALECTS {
        let one = world.client.get(dialect, &format!("/v1/models/{}", named("small", dialect))).await;
        assert_eq!(one.json()["error"]["bursar"]["ended_on"], last.to_string(), "{}", one.text());
    }
    last_day(&world, world.platform, "Platform", None).await;
    last_day(&world, world.engineering, "Engineering", Some(last)).await;
    golden::refused("group_above_ended", &world, "small", &names).await;
    nobody_called(&world).await;
    last_day(&world, world.engineering, "Engineering", None).await;
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
}

#[tokio::test]
async fn a_secret_that_died_with_its_group_says_so_before_and_after_it_is_buried() {
    let mut world = World::new().await;
    let service = world.client.clone();
    let (_, leaked) = world.member("Uma").await;
    let (user, secret) = world.member("Vera").await;
    assert!(leaks::report(&world.store, leaked.reveal()).await.expect("taken"), "it was ours");
    let last = store::clock::now().date_naive() - chrono::Days::new(2);
    let names = [("{last day}", domain::time::date(last)), ("{day}", last.to_string())];
    last_day(&world, world.platform, "Platform", Some(last)).await;
    world.client = service.with(secret.reveal());
    golden::refused("secret_ended_with_its_group", &world, "small", &names).await;
    let now = store::clock::now();
    assert!(keys::bury(&world.store, keys::Look::Lapsed, now).await.expect("a round") > 0);
    golden::refused("secret_ended_with_its_group", &world, "small", &names).await;
    let answer = world.client.get(Dialect::OpenAi, "/v1/models").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.text());
    assert_eq!(golden::told_by(&world, &answer), Told::OrphanedSecret);
    assert_eq!(kept(&world, &answer).await.user, Some(user));
    // What died of something else is not known. What died with the group is told so once that goes on, too.
    world.client = service.with(leaked.reveal());
    golden::refused("unknown_secret", &world, "small", &[]).await;
    last_day(&world, world.platform, "Platform", None).await;
    world.client = service.with(secret.reveal());
    golden::refused("secret_ended_before", &world, "small", &names).await;
    nobody_called(&world).await;
}

#[tokio::test]
async fn a_reported_secret_is_dead_on_every_replica_and_nothing_else_is() {
    let mut world = World::new().await;
    let (_, secret) = world.member("Uma").await;
    let service = world.client.clone();
    world.client = world.client.with(secret.reveal());
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let elsewhere = store::testing::as_another_process(&world.store);
    assert!(leaks::report(&elsewhere, secret.reveal()).await.expect("taken"), "it was ours");
    assert!(leaks::report(&elsewhere, secret.reveal()).await.expect("taken"), "twice is once");
    let unknown = store::testing::unknown_secret();
    assert!(!leaks::report(&elsewhere, unknown.reveal()).await.expect("taken"));
    assert!(!leaks::report(&elsewhere, "not a secret at all").await.expect("taken"));
    // Said by another process: heard within a second.
    let second = std::time::Instant::now() + std::time::Duration::from_secs(1);
    while world.client.get(Dialect::OpenAi, "/v1/models").await.status != StatusCode::UNAUTHORIZED {
        assert!(std::time::Instant::now() < second, "it still lives");
    }
    golden::refused("unknown_secret", &world, "small", &[]).await;
    world.client = service;
    let answer = world.client.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
}

#[tokio::test]
async fn what_is_not_visible_is_answered_the_same_whatever_the_reason() {
    let world = World::new().await;
    let half_priced = Prices::default().with(PriceKey::Input, prices().own(PriceKey::Input));
    world.model("unpriced", None, Review::Accepted).await;
    world.model("halfpriced", Some(half_priced), Review::Accepted).await;
    world.model("unreviewed", Some(prices()), Review::Pending).await;
    let closed = world.model("closed", Some(prices()), Review::Accepted).await;
    world.say_of(closed, State::Closed).await;
    for model in ["unknown", "unpriced", "halfpriced", "unreviewed", "closed"] {
        golden::refused("model_not_found", &world, model, &[("{model}", model.to_owned())]).await;
        for dialect in DIALECTS {
            let name = named(model, dialect);
            let one = world.client.get(dialect, &format!("/v1/models/{name}")).await;
            assert_eq!(one.status, StatusCode::NOT_FOUND, "{name}");
        }
    }
    nobody_called(&world).await;
}

#[tokio::test]
async fn silence_denies() {
    let world = World::new().await;
    let mut change = world.change().await;
    let tier = domain::authorizations::Target::Tier(world.tier);
    store::authorizations::set(&mut change, None, tier, None).await.expect("taken away");
    change.commit().await.expect("it");
    golden::refused("model_not_found", &world, "small", &[("{model}", "small".to_owned())]).await;
    nobody_called(&world).await;
}

#[tokio::test]
async fn by_request_says_whom_to_ask_and_a_grant_opens_it_on_the_next_call() {
    let world = World::new().await;
    world.say_of(world.small, State::ByRequest).await;
    golden::refused("requires_approval", &world, "small", &[]).await;
    nobody_called(&world).await;
    world.grant(world.small, Grantee::Group(world.engineering)).await;
    for dialect in DIALECTS {
        let answer = world.client.call(dialect, &body(&named("small", dialect), 16)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_grant_for_one_person_opens_it_for_nobody_else() {
    let world = World::new().await;
    let (uma, hers) = world.member("Uma").await;
    let (_, his) = world.member("Vito").await;
    world.say_of(world.small, State::ByRequest).await;
    world.grant(world.small, Grantee::User(uma)).await;
    let ask = |secret: &str| {
        let client = world.client.with(secret);
        async move { client.call(Dialect::OpenAi, &body("small", 16)).await }
    };
    assert_eq!(ask(hers.reveal()).await.status, StatusCode::OK);
    assert_eq!(ask(his.reveal()).await.code(), "model_requires_approval");
    assert_eq!(ask(&world.client.secret).await.code(), "model_requires_approval");
}

#[tokio::test]
async fn a_grant_never_lifts_closed() {
    let world = World::new().await;
    world.say_of(world.small, State::Closed).await;
    world.grant(world.small, Grantee::Group(world.platform)).await;
    golden::refused("model_not_found", &world, "small", &[("{model}", "small".to_owned())]).await;
    nobody_called(&world).await;
}

#[tokio::test]
async fn a_key_that_is_narrowed_says_so() {
    let world = World::new().await;
    let other = world.model("other", Some(prices()), Review::Accepted).await;
    let mut change = world.change().await;
    world.edit_key(&mut change, |form| form.models = KeyModels::These(other.ids().to_vec())).await;
    change.commit().await.expect("it");
    golden::refused("model_not_allowed", &world, "small", &[]).await;
    let mut change = world.change().await;
    world.edit_key(&mut change, |form| form.models = KeyModels::These(Vec::new())).await;
    change.commit().await.expect("it");
    golden::refused("model_not_allowed", &world, "small", &[]).await;
    nobody_called(&world).await;
}

#[tokio::test]
async fn a_feature_that_is_off_is_refused() {
    let world = World::new().await;
    let mut change = world.change().await;
    let without = Features::all().without(Features::default().with(Feature::Streaming));
    world.edit_key(&mut change, |form| form.features = without).await;
    change.commit().await.expect("it");
    let mut answers = Vec::new();
    for dialect in DIALECTS {
        answers.push((dialect, world.client.call(dialect, &streamed(&named("small", dialect), 16)).await));
    }
    golden::compare("feature_not_allowed", &world, &answers, &[]);
    golden::written_down(&world, answers.iter().map(|(_, answer)| answer)).await;
    nobody_called(&world).await;
}

#[tokio::test]
async fn a_model_is_called_in_its_own_dialect() {
    let world = World::new().await;
    let answer = world.client.call(Dialect::OpenAi, &body("small-anthropic", 16)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    assert!(answer.text().contains("/v1/messages"), "{}", answer.text());
    nobody_called(&world).await;
}

#[tokio::test]
async fn a_body_that_is_no_call_is_refused_and_kept() {
    let world = World::new().await;
    for dialect in DIALECTS {
        for bad in
            ["", "{", "[]", "null", "{\"model\":\"small\"", "\u{0}", "{\"model\":null}", "{\"messages\":[]}"]
        {
            let answer = world.client.send(world.client.request(dialect, route(dialect)), bad).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad:?}: {}", answer.text());
            assert_eq!(answer.json()["error"]["type"], "invalid_request_error", "{bad:?}");
            assert_eq!(answer.header("x-should-retry"), Some("false"), "{bad:?}");
            assert_eq!(golden::told_by(&world, &answer), Told::BadRequest, "{bad:?}");
            golden::written_down(&world, [&answer]).await;
        }
        let not_utf8 = b"{\"model\":\"small\",\"messages\":[{\"content\":\"\xff\"}]}";
        let answer =
            world.client.send(world.client.request(dialect, route(dialect)), not_utf8.to_vec()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    }
    nobody_called(&world).await;
}

/// Waits for what is kept of a refused call.
pub async fn kept(world: &World, answer: &Answer) -> store::refusals::Refused {
    let id = answer.header("x-request-id").and_then(|id| id.parse().ok()).expect("an id");
    loop {
        match store::refusals::get(&world.store, world.tenant.org, id).await {
            Ok(refused) => return refused,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    }
}

#[tokio::test]
async fn a_secret_that_was_somebody_s_is_kept_as_theirs_and_one_that_never_was_is_nobody_s() {
    let world = World::new().await;
    let (uma, secret) = world.member("Uma").await;
    let hers = world.client.with(secret.reveal());
    let mut change = world.change().await;
    users::set_suspended(&mut change, uma, true).await.expect("suspended");
    change.commit().await.expect("it");
    let answer = hers.call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(golden::told_by(&world, &answer), Told::UnknownSecret, "its id says no more than its answer");
    let refused = kept(&world, &answer).await;
    assert_eq!((refused.user, refused.application), (Some(uma), world.application));
    assert_eq!((refused.status, refused.code.as_str()), (401, "invalid_api_key"));
    let end = store::refusals::end_of(&world.store, world.tenant.org, refused.secret).await.expect("its end");
    assert!(end.revoked_at.is_some() && secret.reveal().ends_with(&end.tail));

    // Nobody's, and none at all: only their ids say something, to whoever has them.
    let unknown = world.client.with(store::testing::unknown_secret().reveal());
    let unknown = unknown.call(Dialect::OpenAi, &body("small", 16)).await;
    let no_secret = world.client.with("sk-not-ours").call(Dialect::OpenAi, &body("small", 16)).await;
    assert_eq!(golden::told_by(&world, &unknown), Told::UnknownSecret);
    assert_eq!(golden::told_by(&world, &no_secret), Told::NotASecret);
    // What comes after them is kept, so they have been looked at.
    let answer = hers.call(Dialect::OpenAi, &body("small", 16)).await;
    kept(&world, &answer).await;
    for answer in [unknown, no_secret] {
        let id = answer.header("x-request-id").and_then(|id| id.parse().ok()).expect("an id");
        assert!(store::refusals::get(&world.store, world.tenant.org, id).await.is_err());
    }
    nobody_called(&world).await;
}

#[tokio::test]
async fn of_a_flood_of_bad_calls_a_few_are_kept_and_the_rest_is_counted() {
    const CALLS: u64 = 300;
    let world = World::new().await;
    let mut told = Vec::new();
    for _ in 0..CALLS {
        let request = world.client.request(Dialect::OpenAi, route(Dialect::OpenAi));
        let answer = world.client.send(request, "{").await;
        assert_eq!(golden::told_by(&world, &answer), Told::BadRequest, "each says why");
        told.push(answer.header("x-request-id").and_then(|id| id.parse().ok()).expect("an id"));
    }
    let counted = async {
        loop {
            let (mut rows, mut calls) = (0, 0);
            for id in &told {
                if let Ok(refused) = store::refusals::get(&world.store, world.tenant.org, *id).await {
                    rows += 1;
                    calls += refused.detail["times"].as_u64().unwrap_or(1);
                }
            }
            if calls == CALLS {
                return rows;
            }
        }
    };
    let rows = tokio::time::timeout(std::time::Duration::from_secs(60), counted).await.expect("all of them");
    assert!(rows < CALLS, "{rows} rows for {CALLS} calls");
}

#[tokio::test]
async fn a_body_of_forty_megabytes_is_too_large() {
    let world = World::new().await;
    let huge = json!({ "model": "small", "messages": [{ "role": "user", "content": "x".repeat(40 << 20) }] });
    let huge = bytes::Bytes::from(huge.to_string());
    let mut answers = Vec::new();
    for dialect in DIALECTS {
        let request = world.client.request(dialect, route(dialect));
        answers.push((dialect, world.client.send(request, huge.clone()).await));
    }
    golden::compare("too_large", &world, &answers, &[]);
    golden::written_down(&world, answers.iter().map(|(_, answer)| answer)).await;
    nobody_called(&world).await;
}

#[tokio::test]
async fn a_route_that_is_not_metered_does_not_exist() {
    let world = World::new().await;
    for path in ["/v1", "/v1/files", "/v1/chat", "/v1/chat/completions/x", "/v1/organization/users"] {
        for dialect in DIALECTS {
            let request = world.client.request(dialect, path);
            let answer = world.client.send(request, body("small", 16).to_string()).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            assert_eq!(answer.header("x-should-retry"), Some("false"), "{path}");
            assert_eq!(golden::told_by(&world, &answer), Told::UnknownRoute, "{path}");
        }
    }
    for method in ["GET", "PUT", "DELETE"] {
        let request = world.client.request(Dialect::OpenAi, "/v1/chat/completions").method(method);
        assert_eq!(world.client.send(request, "").await.status, StatusCode::NOT_FOUND, "{method}");
    }
    nobody_called(&world).await;
}

#[tokio::test]
async fn a_secret_is_taken_from_any_of_the_three_headers() {
    let world = World::new().await;
    let secret = world.client.secret.clone();
    for (name, value) in [
        (header::AUTHORIZATION.as_str(), format!("Bearer {secret}")),
        (header::AUTHORIZATION.as_str(), format!("bearer  {secret}")),
        ("x-api-key", secret.clone()),
        ("api-key", secret.clone()),
    ] {
        let request = http::Request::post("/v1/chat/completions").header(name, value);
        let answer = world.client.send(request, body("small", 16).to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}: {}", answer.text());
    }
    for asked in world.upstream.asked() {
        assert!(
            !format!("{:?} {:?}", asked.headers, asked.body).contains(&secret),
            "the secret went upstream"
        );
    }
}

/// An SDK that sends all of it before it listens.
async fn sent_whole(world: &World, head: &str, bytes: usize) -> String {
    let mut stream = TcpStream::connect(world.client.address).await.expect("the gateway listens");
    stream.write_all(head.as_bytes()).await.expect("the head goes out");
    for _ in 0..bytes >> 20 {
        stream.write_all(&[b'x'; 1 << 20]).await.expect("nobody resets it while it sends");
    }
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await.expect("nobody resets it before it has read");
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test]
async fn who_is_refused_while_still_sending_reads_why() {
    let world = World::new().await;
    let bearer = format!("authorization: Bearer {}\r\n", world.client.secret);
    for (path, who, length, status) in [
        ("/v1/chat/completions", bearer.as_str(), "content-length: 41943040", "413"),
        ("/v1/chat/completions", "", "content-length: 31457280", "401"),
        ("/v1/files", bearer.as_str(), "content-length: 41943040", "404"),
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: bursar.test\r\n{who}{length}\r\n\r\n");
        let bytes = length.rsplit(' ').next().and_then(|bytes| bytes.parse().ok()).expect("bytes");
        let answer = sent_whole(&world, &head, bytes).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
    nobody_called(&world).await;
}
