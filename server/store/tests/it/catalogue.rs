//! Prices with where they come from, lists, and the review inbox.

use std::sync::Arc;

use domain::{
    ids::{ModelId, ProviderId, TierId},
    model_reviews::MODELS_MAX,
    models::{Modality, Review},
    price_lists::{LeftOut, Listed, compare},
    prices::{Origin, PriceKey, PriceSource, Prices},
    roles::Act,
};
use store::{
    StoreError, audit,
    model_reviews::{self, Candidate},
    models, policies,
    price_lists::{self, Choice, Chosen, litellm::Read},
    prices as model_prices, testing,
};

use crate::organization::{Organization, model_form};

fn prices(input: &str, output: &str) -> Prices {
    Prices::default()
        .with(PriceKey::Input, Some(input.parse().expect("a price")))
        .with(PriceKey::Output, Some(output.parse().expect("a price")))
}

fn listed(vendor: &str, name: &str, prices: Prices) -> Listed {
    Listed {
        vendor: vendor.to_owned(),
        name: name.to_owned(),
        modality: Modality::Chat,
        context_tokens: Some(8_000),
        max_output_tokens: None,
        prices,
        dearer: None,
    }
}

fn candidate(upstream: &str, provider: ProviderId, tier: TierId, prices: Prices) -> Candidate {
    Candidate {
        name: upstream.parse().expect("a name"),
        provider,
        upstream: upstream.to_owned(),
        modality: Modality::Chat,
        tier,
        context_tokens: None,
        max_output_tokens: None,
        prices,
    }
}

impl Organization {
    async fn pending(&self, name: &str) -> ModelId {
        let mut change = self.change().await;
        let form = model_form(name, self.provider, self.tier);
        let id = models::insert(&mut change, &form, Review::Pending).await.expect("a model");
        change.commit().await.expect("it");
        id
    }

    async fn model_now(&self, id: ModelId) -> domain::models::Model {
        models::get(&self.store, self.tenant.org, id).await.expect("the model")
    }

    async fn log(&self) -> Vec<domain::audit::AuditRow> {
        audit::list(&self.store, self.tenant.org, &audit::Filter::default(), 100).await.expect("the log")
    }
}

#[tokio::test]
async fn a_price_keeps_where_it_comes_from_and_a_future_one_waits() {
    let acme = Organization::new().await;
    let org = acme.tenant.org;
    let of = "2026-11-20".parse().ok();
    let mut change = acme.change().await;
    let later = change.at() + chrono::Duration::days(3);
    let now = change.at();
    let book = Origin { source: PriceSource::Book, of };
    model_prices::set(&mut change, acme.model, now, &prices("2", "4"), book).await.expect("a price");
    model_prices::set(&mut change, acme.model, later, &prices("3", "6"), Origin::TYPED)
        .await
        .expect("a price");
    change.commit().await.expect("both");
    let history = model_prices::history(&acme.store, org, acme.model).await.expect("prices");
    let said: Vec<String> = history.iter().map(domain::prices::Priced::origin).collect();
    assert_eq!(said, ["Typed in by Olga", "Price book of 20 Nov 2026, set by Olga", "Typed in by Olga"]);
    let model = acme.model_now(acme.model).await;
    assert_eq!(model.prices.expect("a price").prices, prices("2", "4"), "the future one does not hold yet");
    let mut change = acme.change().await;
    let again = model_prices::set(&mut change, acme.model, later, &prices("1", "1"), Origin::TYPED).await;
    assert_eq!(again.expect("what is to come is set anew"), Some(prices("3", "6")));
    let twice = model_prices::set(&mut change, acme.model, now, &prices("1", "1"), Origin::TYPED).await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))), "what holds stays: {twice:?}");
}

#[tokio::test]
async fn a_price_to_come_is_taken_back_and_one_that_holds_is_not() {
    let acme = Organization::new().await;
    let mut change = acme.change().await;
    let (now, later) = (change.at(), change.at() + chrono::Duration::days(3));
    for (from, amounts) in [(now, prices("2", "4")), (later, prices("3", "6"))] {
        model_prices::set(&mut change, acme.model, from, &amounts, Origin::TYPED).await.expect("a price");
    }
    change.commit().await.expect("both");
    let version = acme.model_now(acme.model).await.version;
    let mut change = acme.change().await;
    let begun = model_prices::drop_coming(&mut change, acme.model, version, now).await;
    assert!(matches!(begun, Err(StoreError::Invalid { .. })), "{begun:?}");
    let seen_before = model_prices::drop_coming(&mut change, acme.model, version + 1, later).await;
    assert!(matches!(seen_before, Err(StoreError::Meanwhile(_))), "{seen_before:?}");
    let gone = model_prices::drop_coming(&mut change, acme.model, version, later).await;
    assert_eq!(gone.expect("it goes"), prices("3", "6"));
    let twice = model_prices::drop_coming(&mut change, acme.model, version + 1, later).await;
    assert!(matches!(twice, Err(StoreError::Meanwhile(_))), "{twice:?}");
    change.commit().await.expect("it");
    let history = model_prices::history(&acme.store, acme.tenant.org, acme.model).await.expect("prices");
    assert!(history.iter().all(|priced| priced.dated.from <= now), "{history:?}");
    let lines = acme.log().await;
    assert!(lines.iter().any(|line| line.act == "model.drop_price"), "{lines:?}");
}

#[tokio::test]
async fn what_is_taken_waits_closed_and_is_taken_once() {
    let acme = Organization::new().await;
    let mut change = acme.change().await;
    let candidates = [
        candidate("new-chat", acme.provider, acme.tier, prices("1", "2")),
        candidate("new-chat", acme.provider, acme.tier, prices("9", "9")),
        // Called like a model of ours, and another one at the provider.
        Candidate {
            upstream: "other".to_owned(),
            ..candidate("small", acme.provider, acme.tier, Prices::default())
        },
    ];
    let origin = Origin { source: PriceSource::Book, of: None };
    let taken = model_reviews::take_together(&mut change, &candidates, origin).await.expect("models");
    change.commit().await.expect("them");
    assert_eq!(taken.len(), 2);
    let (first, second) = (acme.model_now(taken[0]).await, acme.model_now(taken[1]).await);
    assert_eq!((first.name.as_str(), first.review), ("new-chat", Review::Pending));
    assert_eq!(first.prices.expect("a price").prices, prices("1", "2"));
    assert_eq!((second.name.as_str(), second.prices), ("small-2", None));
    let facts = acme.facts().await;
    assert_eq!(facts.models[&taken[0]].review, Review::Pending);
    let batches: Vec<_> =
        acme.log().await.iter().filter(|row| row.subject == "new-chat").map(|row| row.batch).collect();
    assert!(batches.len() == 2 && batches[0].is_some() && batches[0] == batches[1], "{batches:?}");

    let mut change = acme.change().await;
    assert_eq!(model_reviews::take_together(&mut change, &candidates, origin).await.expect("nothing"), []);
    assert!(!change.commit().await.expect("nothing"), "nothing was recorded");
}

#[tokio::test]
async fn accepting_puts_a_model_into_the_chosen_tier_and_stands_in_the_log() {
    let acme = Organization::new().await;
    let (one, two) = (acme.pending("one").await, acme.pending("two").await);
    let mut change = acme.change().await;
    let top = models::insert_tier(&mut change, &"Top".parse().expect("a name"), true).await.expect("a tier");
    change.commit().await.expect("it");
    let mut change = acme.change().await;
    let accepted =
        model_reviews::accept(&mut change, &[(one, Some(top)), (two, None), (acme.model, Some(top))]).await;
    assert_eq!(accepted.expect("two"), 2, "the third was accepted long ago, and stays where it is");
    change.commit().await.expect("them");
    assert_eq!(acme.model_now(one).await.tier.0, top);
    assert_eq!(acme.model_now(two).await.tier.0, acme.tier);
    assert_eq!(acme.model_now(acme.model).await.tier.0, acme.tier);
    let log = acme.log().await;
    let row = log.iter().find(|row| row.subject == "one" && row.act == "model.accept").expect("a line");
    let after = |field: &str| {
        row.changes.iter().find(|(name, ..)| name == field).and_then(|(_, _, after)| after.clone())
    };
    assert_eq!((after("review").as_deref(), after("tier").as_deref()), (Some("accepted"), Some("Top")));
    assert!(row.batch.is_some());
}

#[tokio::test]
async fn of_accepting_and_dismissing_at_the_same_time_one_wins() {
    for _ in 0..4 {
        let acme = Arc::new(Organization::new().await);
        let model = acme.pending("one").await;
        let mut both = tokio::task::JoinSet::new();
        for accepts in [true, false] {
            let acme = Arc::clone(&acme);
            both.spawn(async move {
                let mut change = acme.change().await;
                let done = if accepts {
                    model_reviews::accept(&mut change, &[(model, None)]).await
                } else {
                    model_reviews::dismiss(&mut change, &[model]).await
                };
                match done {
                    Ok(_) => change.commit().await.map(|_| ()),
                    Err(error) => Err(error),
                }
            });
        }
        let results = both.join_all().await;
        let stale = results.iter().filter(|result| matches!(result, Err(StoreError::Stale))).count();
        assert_eq!((results.iter().filter(|result| result.is_ok()).count(), stale), (1, 1), "{results:?}");
        let now = acme.model_now(model).await;
        assert_ne!(now.review == Review::Accepted, now.archived_at.is_some(), "accepted or gone, never both");
    }
}

#[tokio::test]
async fn nobody_decides_about_what_is_not_theirs_or_without_a_permit() {
    let acme = Organization::new().await;
    let model = acme.pending("one").await;
    let mut change = testing::begin(&acme.store, &acme.tenant.owner, Act::EditUsers).await;
    let refused = |result: Result<usize, StoreError>| {
        assert!(matches!(result, Err(StoreError::NotPermitted(Act::EditCatalogue))), "{result:?}");
    };
    refused(model_reviews::accept(&mut change, &[(model, None)]).await);
    refused(model_reviews::dismiss(&mut change, &[model]).await);
    let taken = model_reviews::take(&mut change, &[], Origin::TYPED).await.map(|taken| taken.len());
    refused(taken);
    drop(change);

    let mut change = acme.change().await;
    let unknown: ModelId = store::clock::id();
    for result in [
        model_reviews::accept(&mut change, &[(model, None), (unknown, None)]).await,
        model_reviews::accept(&mut change, &[(model, Some(store::clock::id()))]).await,
        model_reviews::dismiss(&mut change, &[unknown]).await,
    ] {
        assert!(matches!(result, Err(StoreError::NotFound)), "{result:?}");
    }
    drop(change);
    let mut change = acme.change().await;
    let many = vec![(model, None); MODELS_MAX + 1];
    let refused = model_reviews::accept(&mut change, &many).await;
    assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    drop(change);
    assert_eq!(acme.model_now(model).await.review, Review::Pending, "none of it has happened");
}

#[tokio::test]
async fn a_tier_that_is_gone_takes_no_model() {
    let acme = Organization::new().await;
    let model = acme.pending("one").await;
    let mut change = acme.change().await;
    let gone =
        models::insert_tier(&mut change, &"Gone".parse().expect("a name"), false).await.expect("a tier");
    models::archive_tier(&mut change, gone).await.expect("it is empty");
    let refused = model_reviews::accept(&mut change, &[(model, Some(gone))]).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field: "tier", .. })), "{refused:?}");
}

fn chosen(model: ModelId, was: Prices) -> Chosen {
    Chosen { model, was }
}

#[tokio::test]
async fn a_price_that_somebody_changed_since_a_list_was_shown_stays_and_is_named() {
    let acme = Organization::new().await;
    let org = acme.tenant.org;
    let mut change = acme.change().await;
    let mut made = Vec::new();
    for name in ["edited", "gone", "untouched"] {
        let form = model_form(name, acme.provider, acme.tier);
        let id = models::insert(&mut change, &form, Review::Accepted).await.expect("a model");
        models::set_prices(&mut change, id, chrono::DateTime::UNIX_EPOCH, &prices("1", "2"))
            .await
            .expect("a price");
        made.push(id);
    }
    change.commit().await.expect("them");
    let (edited, gone, untouched) = (made[0], made[1], made[2]);
    let list = ["edited", "gone", "untouched"].map(|name| listed("openai", name, prices("5", "6")));
    let read = Read { listed: list.to_vec(), ..Read::default() };
    let permit = acme.change().await.permit().clone();
    let me = acme.tenant.owner.user.expect("a person");
    let id = price_lists::keep(&acme.store, &permit, &read).await.expect("a list");
    let kept = price_lists::get(&acme.store, org, me, id).await.expect("the list");
    // Meanwhile somebody changes one of them, and another one leaves the catalogue.
    let mut change = acme.change().await;
    let now = change.at();
    model_prices::set(&mut change, edited, now, &prices("3", "9"), Origin::TYPED).await.expect("a price");
    models::archive(&mut change, gone).await.expect("out of the catalogue");
    change.commit().await.expect("both");

    let vendors = [(acme.provider, "openai")].into();
    let was = prices("1", "2");
    let all = made.iter().map(|id| chosen(*id, was)).collect();
    let mut change = acme.change().await;
    let choice = Choice { prices: all, ..Choice::default() };
    let applied = price_lists::apply(&mut change, &kept, &vendors, &choice).await.expect("one of three");
    change.commit().await.expect("it");
    let left: Vec<String> =
        applied.left_out.iter().map(|line| format!("{}: {}", line.name, line.why)).collect();
    assert_eq!(
        left,
        [
            "edited: Olga changed it from input $1.00, output $2.00 to input $3.00, output $9.00 since.",
            "gone: You have archived it since.",
        ]
    );
    let now = async |id| acme.model_now(id).await.prices.expect("a price").prices;
    assert_eq!((now(edited).await, now(untouched).await), (prices("3", "9"), prices("5", "6")));
    let version = acme.model_now(untouched).await.version;

    // Where nothing is left of what was chosen, that is the answer.
    let mut change = acme.change().await;
    let choice = Choice { prices: vec![chosen(edited, was)], ..Choice::default() };
    let nothing = price_lists::apply(&mut change, &kept, &vendors, &choice).await;
    let Err(StoreError::Meanwhile(sentence)) = nothing else { panic!("{nothing:?}") };
    assert!(sentence.starts_with("Nothing was applied. edited: Olga changed it"), "{sentence}");
    drop(change);
    // A form that was open all the while knows that the price is another one now.
    let mut change = acme.change().await;
    let at = change.at();
    let stale = model_prices::edit(&mut change, untouched, version - 1, at, &was, Origin::TYPED).await;
    assert!(matches!(stale, Err(StoreError::Meanwhile(_))), "{stale:?}");
}

#[tokio::test]
async fn a_list_is_applied_in_one_step_and_applying_it_again_changes_nothing() {
    let acme = Organization::new().await;
    let org = acme.tenant.org;
    let list = [
        // Dearer for long inputs: what holds for those is taken.
        Listed {
            dearer: Some((200_000, prices("2.50", "4"))),
            ..listed("openai", "small", prices("2", "4"))
        },
        listed("openai", "fresh", prices("5", "6")),
        listed("mistral", "small", prices("7", "7")),
    ];
    let permit = acme.change().await.permit().clone();
    let me = acme.tenant.owner.user.expect("a person");
    let unreadable = vec![LeftOut { name: "odd".to_owned(), why: "That is no number.".to_owned() }];
    let read = Read { listed: list.to_vec(), unreadable, other: 0 };
    let id = price_lists::keep(&acme.store, &permit, &read).await.expect("a list");
    let kept = price_lists::get(&acme.store, org, me, id).await.expect("the list");
    assert_eq!((kept.listed.as_slice(), &kept.unreadable), (&list[..], &read.unreadable));
    let theirs = price_lists::get(&acme.store, org, acme.user, id).await;
    assert!(matches!(theirs, Err(StoreError::NotFound)), "a list is for whoever brought it: {theirs:?}");

    let vendors = [(acme.provider, "openai")].into();
    let ours = models::list(&acme.store, org).await.expect("models");
    let compared = compare(&ours, &vendors, &kept.listed);
    assert_eq!((compared.changed.len(), compared.same, compared.unknown.len()), (1, 0, 2));
    let choice = Choice {
        prices: compared.changed.iter().map(|known| chosen(known.model.id, known.now())).collect(),
        vendor: "openai".to_owned(),
        models: vec![candidate("fresh", acme.provider, acme.tier, prices("5", "6"))],
    };
    let lines = acme.log().await.len();
    for (round, priced, found) in [(1, 1, 1), (2, 0, 0)] {
        let mut change = acme.change().await;
        let applied = price_lists::apply(&mut change, &kept, &vendors, &choice).await.expect("it");
        assert_eq!((applied.priced.len(), applied.taken.len()), (priced, found), "round {round}");
        assert!(applied.left_out.is_empty(), "what is so already is not left out: {applied:?}");
        assert_eq!(change.commit().await.expect("it"), round == 1);
    }
    let log = acme.log().await;
    assert_eq!(log.len(), lines + 3, "a price, a model, and its price");
    assert!(log[0].batch.is_some() && log.iter().take(3).all(|row| row.batch == log[0].batch));
    let ours = models::list(&acme.store, org).await.expect("models");
    let compared = compare(&ours, &vendors, &kept.listed);
    assert_eq!((compared.changed.len(), compared.same, compared.unknown.len()), (0, 2, 1));
    let history = model_prices::history(&acme.store, org, acme.model).await.expect("prices");
    assert_eq!(history[0].dated.prices, prices("2.50", "4"));
    assert!(history[0].origin().starts_with("LiteLLM's price list, read "), "{}", history[0].origin());

    // Whoever looks at the list again sees what was done with it.
    let uses = price_lists::applied(&acme.store, org, id).await.expect("one");
    let [once] = uses.as_slice() else { panic!("{uses:?}") };
    assert_eq!(once.by, "Olga");
    assert_eq!(
        (once.priced[0].name.as_str(), once.priced[0].to.as_str()),
        ("small", "input $2.50, output $4.00")
    );
    assert_eq!((once.taken[0].vendor.as_str(), once.taken[0].listed.as_str()), ("openai", "fresh"));

    let read = Read { listed: list[..1].to_vec(), ..Read::default() };
    let again = price_lists::keep(&acme.store, &permit, &read).await.expect("a list");
    assert!(price_lists::get(&acme.store, org, me, again).await.is_ok());
    let replaced = price_lists::get(&acme.store, org, me, id).await;
    assert!(matches!(replaced, Err(StoreError::NotFound)), "{replaced:?}");
}

#[tokio::test]
async fn no_second_policy_differs_by_case_alone_and_none_mixes_embeddings_with_others() {
    let acme = Organization::new().await;
    let mut change = acme.change().await;
    let form = model_form("vectors", acme.provider, acme.tier);
    let form = models::ModelForm { modality: Modality::Embedding, ..form };
    let vectors = models::insert(&mut change, &form, Review::Accepted).await.expect("a model");
    change.commit().await.expect("it");
    let form = |name: &str, steps: &[ModelId]| policies::PolicyForm {
        name: name.parse().expect("a name"),
        routing: domain::policies::Routing::Fallback,
        steps: steps.iter().map(|id| (*id, 1)).collect(),
        rules: domain::policies::Rules::default(),
    };
    let insert = async |form: &policies::PolicyForm| {
        let mut change = acme.change().await;
        let id = policies::insert(&mut change, form).await?;
        change.commit().await.map(|_| id)
    };
    let update = async |id, version, form: &policies::PolicyForm| {
        let mut change = acme.change().await;
        policies::update(&mut change, id, version, form).await?;
        change.commit().await.map(|_| ())
    };
    let first = insert(&form("J-All", &[acme.model])).await.expect("a policy");
    let taken = insert(&form("J-All", &[acme.model])).await.expect_err("the very same");
    assert!(taken.to_string().contains("already a policy with this name"), "{taken}");
    let twin = insert(&form("j-all", &[acme.model])).await.expect_err("by case alone");
    assert!(twin.to_string().contains("differs from this one in upper and lower case only"), "{twin}");
    let other = insert(&form("other", &[acme.model])).await.expect("a policy");
    let twin = update(other, 1, &form("j-ALL", &[acme.model])).await.expect_err("renamed to it");
    assert!(twin.to_string().contains("upper and lower case only"), "{twin}");
    update(first, 1, &form("j-all", &[acme.model])).await.expect("its own name in other letters");

    // Two that were there before go on: whoever renames one of them names it for good.
    sqlx::query("update policies set name = 'J-ALL', differs_in_case = true where policy_id = $1")
        .bind(other.0)
        .execute(acme.store.pool())
        .await
        .expect("as an older version left it");
    update(other, 1, &form("J-ALL", &[acme.model, acme.model])).await.expect_err("each once");
    let balance = domain::policies::Routing::Balance;
    let edited = policies::PolicyForm { routing: balance, ..form("J-ALL", &[acme.model]) };
    update(other, 1, &edited).await.expect("under the name it has");
    update(other, 2, &form("apart", &[acme.model])).await.expect("renamed");
    let back = update(other, 3, &form("J-ALL", &[acme.model])).await.expect_err("and not back");
    assert!(back.to_string().contains("upper and lower case only"), "{back}");

    let mixed = insert(&form("mixed", &[acme.model, vectors])).await.expect_err("mixed");
    assert!(mixed.to_string().contains("vectors makes embeddings and "), "{mixed}");
    insert(&form("vectors", &[vectors])).await.expect("embeddings alone");
    let mixed = update(first, 2, &form("j-all", &[acme.model, vectors])).await.expect_err("mixed");
    assert!(mixed.to_string().contains("Make a policy for each"), "{mixed}");
}
