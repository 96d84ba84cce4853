//! What a provider offers, when it does not say.

use tokio::net::TcpListener;

use crate::harness::{Server, set_up};

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
