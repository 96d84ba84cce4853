//! What a provider offers, when it does not say; and what becomes of models whose names are taken.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    harness::{Browser, Server, set_up},
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
    assert!(page.text.contains("It did not answer within 5 seconds."), "{}", page.text);
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
        "No price changed. All of them were in the catalogue already."
    );
    assert_eq!(
        apply(&["fresh", "last", "listed"]).await,
        "No price changed. 1 model waits for review. It stays closed until somebody decides. \
         In the catalogue already: fresh, listed."
    );
}
