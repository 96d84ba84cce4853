//! What the kind of a model says about it is the same on every page and on the wire.

use crate::{harness::Answer, world::World};

/// A model of a kind, reviewed, with every price, in the tier that is open to everybody.
async fn model(world: &World, name: &str, modality: &str) -> String {
    let (provider, tier) = (&world.ids["provider"], &world.ids["tier"]);
    let fields = [
        ("name", name),
        ("provider", provider),
        ("upstream", name),
        ("modality", modality),
        ("tier", tier),
        ("context_tokens", ""),
        ("max_output_tokens", ""),
        ("price_input", "1"),
        ("price_output", "1"),
        ("image", "1"),
    ];
    let id = world.owner.create("/console/models/create", &fields).await;
    world.owner.must("/console/models/accept", &[("id", &id), ("version", "1")]).await;
    id
}

async fn listed(world: &World, secret: &str) -> Answer {
    let headers = [("authorization", secret)];
    world.server.browser().send(http::Method::GET, "/v1/models", &headers, String::new()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_a_kind_that_is_not_served_is_open_to_nobody() {
    let world = World::new().await;
    let tier = format!("tier:{}", world.ids["tier"]);
    let open = [("group", ""), ("target", &tier), ("state", "open")];
    world.owner.must("/console/authorizations/set", &open).await;
    let painter = model(&world, "painter", "image").await;
    model(&world, "writer", "chat").await;

    // The matrix counts what a rule of the tier opens.
    let matrix = world.owner.get("/authorization").await.text;
    assert!(matrix.contains("can be called"), "{matrix}");

    let page = world.owner.get(&format!("/models/{painter}")).await.text;
    assert!(
        page.contains("Nobody can call it, whatever the rules say: models for image are not served here.")
    );
    let group = world.owner.get(&format!("/groups/{}", world.ids["team"])).await.text;
    assert!(group.contains("is not served here"));
    let why = format!("/why?who={}&model=", world.ids["member"]);
    let told = world.owner.get(&format!("{why}painter")).await.text;
    assert!(told.contains("Models of its kind are not served here."));
    assert!(!told.contains("is allowed"));
    // Its members are told what they are told of any model that is not there for them.
    let member = &world.people[1];
    let mine = member.get("/my-models").await.text;
    assert!(mine.contains("writer") && !mine.contains("painter"));
    assert!(member.get("/why?model=writer").await.text.contains("writer"));

    let secret = format!("Bearer {}", world.secret().await);
    let list = listed(&world, &secret).await.text;
    assert!(list.contains("\"writer\"") && !list.contains("painter"), "{list}");
}
