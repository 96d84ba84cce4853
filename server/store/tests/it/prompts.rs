//! What calls said: kept where somebody says so, sealed, and read on the record.

use chrono::TimeDelta;
use domain::{prompts::Prompt, roles::Act};
use store::{StoreError, clock, prompts, testing};

use crate::organization::{Organization, finished};

#[tokio::test]
async fn what_is_said_is_kept_only_where_it_is_to_be_and_only_for_so_long() {
    let acme = Organization::new().await;
    let (store, org) = (&acme.store, acme.tenant.org);
    let event = finished(acme.call());
    acme.book(&event).await;
    let (call, now) = (event.call.id, clock::now());
    let prompt =
        Prompt { request: "a secret plan".into(), request_cut: false, answer: "no".into(), answer_cut: true };
    let keep = |call, at| prompts::keep(store, org, acme.application, (call, at), &prompt);
    keep(call, now).await.expect("nothing to do");
    assert_eq!(prompts::kept_until(store, org, call).await.expect("an answer"), None, "nobody said so");

    let set = async |days| {
        let mut change = testing::begin(store, &acme.tenant.owner, Act::EditOrganization).await;
        prompts::set_days(&mut change, acme.application, days).await?;
        change.commit().await
    };
    assert!(matches!(set(Some(0)).await, Err(StoreError::Invalid { field: "days", .. })));
    set(Some(7)).await.expect("kept from now on");
    keep(call, now).await.expect("kept");
    assert_eq!(
        prompts::kept_until(store, org, call).await.expect("an answer"),
        Some(now + TimeDelta::days(7))
    );
    let sealed: Vec<u8> =
        sqlx::query_scalar("select sealed from prompts").fetch_one(store.pool()).await.expect("a row");
    assert!(!sealed.windows(6).any(|part| part == b"secret"), "nothing can be read in the database");

    let read = async |act| {
        let mut change = testing::begin(store, &acme.tenant.owner, act).await;
        let read = prompts::read(&mut change, call).await?;
        change.commit().await?;
        Ok::<_, StoreError>(read)
    };
    assert!(matches!(read(Act::ReadOrganization).await, Err(StoreError::NotPermitted(Act::ReadPrompts))));
    assert_eq!(read(Act::ReadPrompts).await.expect("it opens"), prompt);
    let acts: Vec<String> = sqlx::query_scalar(
        "select act from audit where act like 'prompt%' or act like '%.prompts' order by seq",
    )
    .fetch_all(store.pool())
    .await
    .expect("the log");
    assert_eq!(acts, ["application.prompts", "prompt.read"]);

    let old = finished(acme.call()).call.id;
    keep(old, now - TimeDelta::days(8)).await.expect("kept, and over already");
    assert_eq!(prompts::kept_until(store, org, old).await.expect("an answer"), None);
    assert_eq!(prompts::sweep(store).await.expect("swept"), 1);
    set(None).await.expect("not kept any more");
    assert!(matches!(read(Act::ReadPrompts).await, Err(StoreError::NotFound)), "what was kept is deleted");
}
