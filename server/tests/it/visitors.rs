//! Whoever sends a form is who acts, whatever else the same threads do for others meanwhile.

use futures_util::future::join_all;
use http::StatusCode;

use crate::harness::{Server, join, set_up};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_is_of_whoever_sent_it_however_many_pages_are_drawn_for_others() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let (_, member) = join(&server, &owner, "Sam", "member").await;
    let nobody = server.browser();
    let pages = join_all((0..12).map(async |place| {
        let (who, path) = [(&member, "/my-models"), (&nobody, "/sign-in"), (&owner, "/groups")][place % 3];
        loop {
            assert_eq!(who.get(path).await.status, StatusCode::OK, "{path}");
        }
    }));
    let forms = async {
        for round in 0..40 {
            let name = format!("Group {round}");
            let fields = [("name", name.as_str()), ("kind", "custom"), ("parent", "")];
            let made = owner.post("/console/groups/create", &fields).await;
            assert_eq!(made.status, StatusCode::OK, "the owner in round {round}: {}", made.text);
            let refused = member.post("/console/groups/create", &fields).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "a member in round {round}: {}", refused.text);
            let unknown = nobody.post("/console/groups/create", &fields).await;
            assert_eq!(unknown.status, StatusCode::UNAUTHORIZED, "nobody in round {round}: {}", unknown.text);
        }
    };
    tokio::select! {
        () = forms => {}
        _ = pages => unreachable!("pages are drawn until the forms are through"),
    }
}
