//! What calls said is heard for keys that keep it, byte for byte as the provider sent it, and for no
//! others.

use std::time::Duration;

use domain::{ids::CallId, prompts::Prompt, roles::Act};
use store::{prompts, testing};

use crate::{
    client::{Answer, DIALECTS, body, streamed},
    world::{World, named},
};

async fn keep(world: &World, days: Option<i16>) {
    let mut change = testing::begin(&world.store, &world.tenant.owner, Act::EditOrganization).await;
    prompts::set_days(&mut change, world.application, days).await.expect("a setting");
    change.commit().await.expect("kept");
}

fn id(answer: &Answer) -> CallId {
    answer.header("x-request-id").expect("an id").parse().expect("an id")
}

/// What a call said, once it is written down and booked.
async fn said(world: &World, call: CallId) -> Prompt {
    let org = world.tenant.org;
    while prompts::kept_until(&world.store, org, call).await.expect("an answer").is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.quiet().await;
    let mut change = testing::begin(&world.store, &world.tenant.owner, Act::ReadPrompts).await;
    prompts::read(&mut change, call).await.expect("it is kept")
}

#[tokio::test]
async fn what_is_said_is_kept_byte_for_byte_and_only_where_it_is_to_be() {
    let world = World::new().await;
    let mut silent = Vec::new();
    for dialect in DIALECTS {
        silent.push(id(&world.client.call(dialect, &body(&named("small", dialect), 100)).await));
    }
    keep(&world, Some(3)).await;
    for dialect in DIALECTS {
        let name = named("small", dialect);
        for call in [body(&name, 100), streamed(&name, 100)] {
            let answer = world.client.call(dialect, &call).await;
            let prompt = said(&world, id(&answer)).await;
            assert_eq!(prompt.request, call.to_string());
            // What the provider sent: a usage that nobody asked for is kept from the client only.
            let sent = world.upstream.asked().last().expect("a call").said();
            assert_eq!(prompt.answer.as_bytes(), sent, "{dialect}");
            assert!(!prompt.request_cut && !prompt.answer_cut);
        }
    }
    keep(&world, None).await;
    let last = id(&world.client.call(DIALECTS[0], &body(&named("small", DIALECTS[0]), 100)).await);
    world.quiet().await;
    for call in silent.into_iter().chain([last]) {
        let kept = prompts::kept_until(&world.store, world.tenant.org, call).await.expect("an answer");
        assert_eq!(kept, None, "nobody said so");
    }
}
