//! What a provider offers, when it does not say; and what becomes of models whose names are taken.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    harness::{Browser, Server, join, set_up},
    world::id_at,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_provider_that_never_answers_says_so_and_holds_nobody_else_up() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    // Takes every connection, and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let (asked, mut was_asked) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = asked.send(stream);
        }
    });
    let fields =
        [("name", "Slow"), ("dialect", "openai"), ("base_url", &base), ("allow_private_address", "true")];
    let id = owner.create("/console/providers/create", &fields).await;
    let looking = {
        let (owner, path) = (owner.clone(), format!("/providers/{id}/offers"));
        tokio::spawn(async move { owner.get(&path).await })
    };
    let _silent = was_asked.recv().await.expect("it is asked");
    // Meanwhile the same person looks at something else.
    assert_eq!(owner.get("/models").await.status, 200);
    assert!(!looking.is_finished(), "the provider is waited for");
    let page = looking.await.expect("an answer");
    assert_eq!(page.status, 200);
    assert!(
        page.text.contains("did not answer within 5 seconds. Check the base URL, or try again later."),
        "{}",
        page.text
    );
    assert!(page.text.contains("Ask again"), "{}", page.text);
}

/// A provider that lists these models, and does nothing else.
async fn listing(names: &[&str]) -> String {
    let models: Vec<_> = names.iter().map(|name| serde_json::json!({ "id": name })).collect();
    let body = serde_json::json!({ "object": "list", "data": models }).to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}/v1", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
    });
    base
}

/// Acme with two providers: one is OpenAI and offers three models, the other has one of that name in the
/// catalogue. The id of the first.
async fn two_providers(owner: &Browser, models: &[&str]) -> String {
    let base = listing(models).await;
    let provider = async |name: &str| {
        let fields = [
            ("name", name),
            ("dialect", "openai"),
            ("base_url", base.as_str()),
            ("allow_private_address", "true"),
        ];
        owner.create("/console/providers/create", &fields).await
    };
    let (openai, elsewhere) = (provider("OpenAI").await, provider("Elsewhere").await);
    owner.must("/console/models/create-tier", &[("name", "general")]).await;
    let page = owner.get("/models").await.text;
    let tier = id_at(&page[page.find(">general<").expect("the tier")..], "tir_");
    for (name, provider, upstream) in
        [("listed", &elsewhere, "other"), ("known", &openai, "known"), ("ours", &elsewhere, "theirs")]
    {
        let fields = [
            ("name", name),
            ("provider", provider),
            ("upstream", upstream),
            ("modality", "chat"),
            ("tier", &tier),
            ("context_tokens", ""),
            ("max_output_tokens", ""),
            ("price_input", "1"),
            ("price_output", "2"),
        ];
        owner.create("/console/models/create", &fields).await;
    }
    openai
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_whose_name_is_taken_says_what_it_will_be_called() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let openai = two_providers(&owner, &["listed", "fresh", "theirs", "known"]).await;
    let page = owner.get(&format!("/providers/{openai}/offers")).await.text;
    let says = |text: &str| assert!(page.contains(text), "{text}: {page}");
    says(
        "The catalogue has a model of this name, of Elsewhere. Taken beside that, this one is called listed-2.",
    );
    says("The catalogue may have it already, of Elsewhere: ours.");
    assert!(!page.contains("called theirs"), "its name is free: {page}");
    let fields = [("provider", openai.as_str()), ("names[0]", "listed"), ("names[1]", "theirs")];
    let done = owner.must("/console/offers/take", &fields).await;
    assert_eq!(
        done["notice"],
        "2 models wait for review. They stay closed until somebody decides. listed is called listed-2 here: the name was taken."
    );
    // The next one of that name finds this one there.
    let page = owner.get(&format!("/providers/{openai}/offers")).await.text;
    assert!(!page.contains("this one is called"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_list_says_which_models_it_took_under_another_name_and_which_were_there() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let openai = two_providers(&owner, &[]).await;
    let one = serde_json::json!({
        "litellm_provider": "openai", "mode": "chat",
        "input_cost_per_token": 1.5e-6, "output_cost_per_token": 6e-6,
    });
    let text = serde_json::json!({ "listed": one, "fresh": one, "known": one, "last": one }).to_string();
    let list = owner.create("/console/price-lists/read", &[("text", &text)]).await;
    let page = owner.get(&format!("/models/import/{list}?vendor=openai")).await.text;
    assert!(
        page.contains(
            "The catalogue has a model of this name, of Elsewhere. Taken beside that, this one is called listed-2."
        ),
        "{page}"
    );
    let apply = async |names: &[&str]| {
        let mut fields = vec![("id", list.as_str()), ("vendor", "openai"), ("provider", openai.as_str())];
        fields.extend(names.iter().map(|name| ("names[]", *name)));
        owner.must("/console/price-lists/apply", &fields).await["notice"].clone()
    };
    assert_eq!(
        apply(&["listed", "fresh", "known"]).await,
        "No price changed. 2 models wait for review. They stay closed until somebody decides. \
         listed is called listed-2 here: the name was taken. In the catalogue already: known."
    );
    // From a page that was open all the while.
    assert_eq!(
        apply(&["listed", "fresh"]).await,
        "No price changed. All of them were in the catalogue already. In the catalogue already: listed (called listed-2 here)."
    );
    assert_eq!(
        apply(&["fresh", "last", "listed"]).await,
        "No price changed. 1 model waits for review. It stays closed until somebody decides. \
         In the catalogue already: fresh, listed (called listed-2 here)."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_says_of_a_model_without_a_price_who_has_it_once_it_has_one_as_its_page_does() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let base = listing(&["dear", "unheard-of"]).await;
    let fields =
        [("name", "House"), ("dialect", "openai"), ("base_url", &base), ("allow_private_address", "true")];
    let provider = owner.create("/console/providers/create", &fields).await;
    owner.must("/console/models/create-tier", &[("name", "general")]).await;
    owner.must("/console/models/create-tier", &[("name", "frontier"), ("high_cost", "true")]).await;
    let page = owner.get("/models").await.text;
    let tier = |name: &str| {
        let after = page.find(&format!(">{name}<")).unwrap_or_else(|| panic!("{name} is there"));
        format!("tier:{}", id_at(&page[after..], "tir_"))
    };
    let (general, frontier) = (tier("general"), tier("frontier"));
    let group = async |name: &str| {
        let fields = [("name", name), ("kind", "custom"), ("parent", "")];
        owner.create("/console/groups/create", &fields).await
    };
    let (research, _) = (group("Research").await, group("Marketing").await);
    let take = async |name: &str| {
        let fields = [("provider", provider.as_str()), ("names[0]", name)];
        owner.must("/console/offers/take", &fields).await;
    };

    // No rule says anything yet, and that is what is said.
    take("unheard-of").await;
    let inbox = owner.get("/models/review").await.text;
    let says = |page: &str, text: &str| assert!(page.contains(text), "{text}: {page}");
    says(&inbox, "so it goes with what costs most; no rule opens frontier to any group.");
    says(&inbox, "Nobody: no rule opens it.");

    let rule = async |group: &str, target: &str| {
        let fields = [("group", group), ("target", target), ("state", "open")];
        owner.must("/console/authorizations/set", &fields).await;
    };
    rule("", &general).await;
    rule(&research, &frontier).await;
    let inbox = owner.get("/models/review").await.text;
    says(&inbox, "so it goes with what costs most; frontier is open to 1 group.");
    says(&inbox, "general · every group once it has a price");
    says(&inbox, "frontier · 1 group once it has a price (suggested)");
    says(&inbox, "Nobody until it has a price. Then:");
    let id = id_at(&inbox, "mdl_");
    let page = owner.get(&format!("/models/{id}")).await.text;
    says(&page, "Once it has one, the rules open it to 1 group.");
    says(&page, ">Research<");
    assert!(!page.contains(">Marketing<"), "{page}");
    // What is offered is suggested by the same rules.
    let offers = owner.get(&format!("/providers/{provider}/offers")).await.text;
    says(&offers, "so it goes with what costs most; frontier is open to 1 group.");

    // With a price, nothing but the decision is missing.
    let fields = [("id", id.as_str()), ("version", "1"), ("input", "1"), ("output", "2")];
    owner.must("/console/models/price", &fields).await;
    let inbox = owner.get("/models/review").await.text;
    assert!(!inbox.contains("has a price"), "{inbox}");
    says(&owner.get(&format!("/models/{id}")).await.text, "Once accepted, the rules open it to 1 group.");
}

/// The entry of a price list that says what a model of OpenAI costs a token.
fn entry(input: f64, output: f64) -> serde_json::Value {
    serde_json::json!({
        "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": input, "output_cost_per_token": output,
    })
}

/// What the page of a price list sends along for a model: which one it is, and what it cost when it was shown.
fn shown(page: &str, model: &str) -> String {
    let hidden = &page[page.find(&format!("was[{model}]")).expect("it says what it costs")..];
    hidden.split("value=\"").nth(1).expect("a value").split('"').next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_list_overwrites_nothing_that_was_changed_since_and_says_what_was_applied() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let (_, lin) = join(&server, &owner, "Lin", "admin").await;
    let openai = two_providers(&owner, &[]).await;
    let page = owner.get("/models").await.text;
    let tier = id_at(&page[page.find(">general<").expect("the tier")..], "tir_");
    let model = async |name: &str, price: &str| {
        let fields = [
            ("name", name),
            ("provider", openai.as_str()),
            ("upstream", name),
            ("modality", "chat"),
            ("tier", &tier),
            ("context_tokens", ""),
            ("max_output_tokens", ""),
            ("price_input", price),
            ("price_output", price),
        ];
        owner.create("/console/models/create", &fields).await
    };
    let (one, two) = (model("one", "2").await, model("two", "2").await);
    // One that the price book knows, and that costs nothing of its own to differ from that.
    let unpriced = owner.get(&format!("/models/{}", model("gpt-4o", "").await)).await.text;
    assert!(unpriced.contains("The price book says $2.50 / $10.00 per million"), "{unpriced}");
    assert!(!unpriced.contains("differs"), "{unpriced}");
    let dearer = owner.get(&format!("/models/{}", model("gpt-4o-mini", "2").await)).await.text;
    assert!(dearer.contains("differs") && dearer.contains("input $0.15, here $2.00"), "{dearer}");
    let text = serde_json::json!({
        "one": entry(5e-6, 6e-6), "two": entry(5e-6, 6e-6), "fresh": entry(1e-6, 2e-6),
        "negative": entry(-1e-6, 2e-6),
    });
    let read = owner.must("/console/price-lists/read", &[("text", &text.to_string())]).await;
    assert_eq!(
        read["notice"],
        "3 models read. Nothing has been changed yet. 1 entry cannot be read and is left out: below it says why."
    );
    let path = read["go"].as_str().expect("its page").to_owned();
    let list = path.rsplit('/').next().unwrap_or_default().to_owned();
    let page = owner.get(&path).await.text;
    assert!(page.contains("input_cost_per_token is -1e-6: a price is not below zero."), "{page}");
    let was = [shown(&page, &one), shown(&page, &two)];

    // Somebody sets another price while the list is looked at.
    let set = async |id: &str| {
        let fields = [("id", id), ("version", "1"), ("input", "3"), ("output", "9")];
        lin.must("/console/models/price", &fields).await;
    };
    set(&one).await;
    let keys = [format!("was[{one}]"), format!("was[{two}]")];
    let apply = async |models: &[&str], names: &[&str]| {
        let mut fields = vec![("id", list.as_str()), ("vendor", "openai"), ("provider", openai.as_str())];
        fields.extend(models.iter().map(|id| ("models[]", *id)));
        fields.extend(keys.iter().zip(&was).map(|(key, was)| (key.as_str(), was.as_str())));
        fields.extend(names.iter().map(|name| ("names[]", *name)));
        owner.post("/console/price-lists/apply", &fields).await
    };
    let left = "one: Lin changed it from input $2.00, output $2.00 to input $3.00, output $9.00 since.";
    let nothing = apply(&[&one], &[]).await;
    assert_eq!(nothing.status, 409, "{}", nothing.text);
    assert!(nothing.text.contains(&format!("Nothing was applied. {left}")), "{}", nothing.text);
    let done = apply(&[&one, &two], &["fresh"]).await.json();
    assert_eq!(
        done["notice"],
        format!(
            "1 model has a new price from now on. 1 model waits for review. It stays closed until somebody decides. Left out is {left}"
        )
    );

    // The page says so, and offers only what was not applied: with the price that holds now.
    let page = owner.get(&path).await.text;
    let says = |text: &str| assert!(page.contains(text), "{text}: {page}");
    says("1 new price, 1 model to the review inbox, 1 left out");
    says("Olga");
    says("input $2.00, output $2.00 → input $5.00, output $6.00");
    says("Lin changed it from input $2.00, output $2.00");
    assert!(!page.contains("Choose fresh") && !page.contains("Choose two"), "{page}");
    assert_eq!(shown(&page, &one), "input=3000000000 output=9000000000");
    let history = owner.get(&format!("/models/{one}")).await.text;
    assert!(history.contains("Typed in by Lin"), "it stayed: {history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_of_a_kind_that_is_not_served_says_so_as_the_catalogue_does() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let openai = two_providers(&owner, &["fresh", "dall-e-9", "rerank-1", "sora-9"]).await;
    let page = owner.get(&format!("/providers/{openai}/offers")).await.text;
    for (name, served) in [("fresh", true), ("dall-e-9", false), ("rerank-1", false), ("sora-9", false)] {
        let row = page.split("<tr").find(|row| row.contains(&format!(">{name}<")));
        let row = row.unwrap_or_else(|| panic!("{name}: {page}"));
        assert_eq!(row.contains("is not served here"), !served, "{row}");
    }
}
