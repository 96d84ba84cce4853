//! What pages about people, groups and reviews say is so, to its last digit, and by name.

use crate::{
    consequences::{end, hidden, refused},
    harness::{Browser, Server, join, set_up},
};

async fn group(owner: &Browser, name: &str, parent: &str) -> String {
    owner.create("/console/groups/create", &[("name", name), ("kind", "custom"), ("parent", parent)]).await
}

async fn puts(owner: &Browser, group: &str, user: &str, lead: &str) {
    owner.must("/console/groups/add-member", &[("group", group), ("user", user), ("lead", lead)]).await;
}

/// Between two marks of a page, without what is put between its texts.
fn between(page: &str, from: &str, to: &str) -> String {
    let rest = &page[page.find(from).unwrap_or_else(|| panic!("{from} is not in {page}"))..];
    rest.split(to).next().unwrap_or_default().replace("<!>", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_is_put_in_order_without_its_heads_and_rounds_no_limit() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let (mia, _) = join(&server, &owner, "Mia", "member").await;
    owner.must("/console/users/limit", &[("id", &mia), ("was", ""), ("cap", "12.345")]).await;
    let page = owner.get("/users?sort=-limit&q=a").await.text;
    let menu = between(&page, "id=\"sort-by\"", "</div>");
    for (by, label) in [
        ("", "Name"),
        ("groups", "Groups"),
        ("-spend", "Month"),
        ("-limit", "Limit"),
        ("-used", "Used"),
        ("status", "Status"),
        ("-last_call", "Last call"),
    ] {
        let link = menu.split("<a ").find(|link| link.contains(&format!(">{label}</a>")));
        let link = link.unwrap_or_else(|| panic!("{label} is not in {menu}"));
        let sort = if by.is_empty() { String::new() } else { format!("sort={by}") };
        assert!(link.contains(&sort) && link.contains("q=a"), "{label}: {link}");
        assert_eq!(link.contains("aria-current"), label == "Limit", "{label}: {link}");
        assert!(!by.is_empty() || !link.contains("sort="), "{link}");
    }
    assert!(menu.contains("Least or first on top"), "{menu}");
    let row = between(&page, &format!("/users/{mia}\""), "</tr>");
    assert!(row.contains("$12.345") && !row.contains("$12.35"), "{row}");
    assert!(row.contains("data-th=\"Limit\"") && row.contains(&format!("cell={mia}")), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_limit_for_many_comes_to_leaves_out_who_is_suspended() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let mut ids = Vec::new();
    for name in ["Ann", "Ben", "Cid"] {
        ids.push(join(&server, &owner, name, "member").await.0);
    }
    let sum = async |ids: &[String]| {
        let mut fields = vec![("action", "limit")];
        fields.extend(ids.iter().map(|id| ("users[]", id.as_str())));
        let done = owner.must("/console/batches/prepare", &fields).await;
        let id = done["go"].as_str().and_then(|go| go.split(['/', '?']).nth(3)).expect("a batch").to_owned();
        let page = owner.get(&format!("/users/batch/{id}?action=limit&cap=10.005")).await.text;
        between(&page, "<p role=\"status\">", "</p>")
    };
    assert!(sum(&ids).await.contains("3 people may spend $10.005 a month each: at most $30.015 together."));
    owner.must("/console/users/suspend", &[("id", &ids[0]), ("suspended", "true")]).await;
    let said = sum(&ids).await;
    assert!(said.contains("2 people may spend $10.005 a month each: at most $20.01 together."), "{said}");
    assert!(said.contains("1 more is suspended: it is their limit once they are let in again."), "{said}");
    let said = sum(&ids[..1]).await;
    assert!(
        said.contains("1 person is limited to $10.005 a month, and spends nothing while suspended."),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_default_group_that_has_ended_is_shown_as_that_and_takes_nobody_in() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let lab = group(&owner, "Lab", "").await;
    owner.must("/console/groups/default", &[("id", &lab), ("was", "false"), ("default", "true")]).await;
    crate::load::secret(&owner, "http://127.0.0.1:9/v1").await;
    end(&server, "Lab", "2020-02-29");
    let page = owner.get("/settings").await.text;
    let card = between(&page, "Default groups", "</section>");
    assert!(card.contains("Lab") && card.contains("Ended on 29 Feb 2020: nobody is put into it."), "{card}");
    assert!(card.contains("Stop new people from joining Lab"), "{card}");
    assert!(owner.get(&format!("/groups/{lab}")).await.text.contains("a default group that takes nobody in"));
    let (mia, _) = join(&server, &owner, "Mia", "member").await;
    assert!(!owner.get(&format!("/groups/{lab}")).await.text.contains(&mia), "she is not put into it");
    owner.must("/console/groups/default", &[("id", &lab), ("was", "true"), ("default", "false")]).await;
    let card = owner.get("/settings").await.text;
    assert!(!between(&card, "Default groups", "</section>").contains("2020"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_offers_nothing_where_nothing_that_is_shown_waits() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let lab = group(&owner, "Lab", "").await;
    for name in ["Ann", "Ben"] {
        let (id, _) = join(&server, &owner, name, "member").await;
        puts(&owner, &lab, &id, "false").await;
    }
    let due = (store::clock::now().date_naive() + chrono::Days::new(9)).to_string();
    let fields = [("group", lab.as_str()), ("due_on", &due)];
    let review = owner.create("/console/reviews/open", &fields).await;
    refused(&owner.post("/console/reviews/open", &fields).await, 422, "You have opened this review already");
    let page = format!("/reviews/{review}");
    let shown = owner.get(&page).await.text;
    assert!(shown.contains("Confirm those ticked"));
    let item = shown.split("name=\"items[]\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let item = item.expect("a line").to_owned();
    let confirm = [("id", review.as_str()), ("verdict", "confirm"), ("items[]", &item)];
    owner.must("/console/reviews/decide", &confirm).await;
    refused(&owner.post("/console/reviews/decide", &confirm).await, 409, "This is decided already: ");
    let shown = owner.get(&format!("{page}?state=confirmed")).await.text;
    assert!(!shown.contains("Confirm those ticked") && !shown.contains("Drop those ticked"), "{shown}");
    let said = "No line shown here waits, so there is nothing to tick. In the whole review 1 line waits.";
    assert!(shown.replace("<!>", "").contains(said), "{shown}");
    // The question about what is ticked, and what comes of it, stays among the lines that were shown.
    let waits = owner.get(&format!("{page}?state=waiting&kind=member")).await.text;
    let rest = waits.split("name=\"items[]\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let rest = rest.expect("the other line").to_owned();
    let asked = format!("{page}?state=waiting&kind=member&dialog=drop&items%5B%5D={rest}");
    let question = owner.get(&asked).await.text;
    assert!(question.contains("Drop this line?"), "{question}");
    let drop = [("id", review.as_str()), ("verdict", "drop"), ("items[]", &rest)];
    let done = owner.submit(&asked, "/console/reviews/decide", &drop).await;
    assert_eq!(done.status, 303);
    let to = done.headers["location"].to_str().expect("a page").to_owned();
    assert!(to.starts_with(&format!("{page}?state=waiting&kind=member")), "{to}");
    let shown = owner.get(&page).await.text;
    assert!(shown.contains("No line of this review waits any more: there is nothing to decide."), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_cannot_prolong_a_group_is_told_who_can() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let lab = group(&owner, "Lab", "").await;
    let team = group(&owner, "Team", &lab).await;
    let (leo_id, leo) = join(&server, &owner, "Leo", "member").await;
    let (eva_id, eva) = join(&server, &owner, "Eva", "member").await;
    let (mia_id, mia) = join(&server, &owner, "Mia", "member").await;
    puts(&owner, &team, &leo_id, "true").await;
    puts(&owner, &lab, &eva_id, "true").await;
    puts(&owner, &team, &mia_id, "false").await;
    join(&server, &owner, "Ada", "admin").await;
    let application =
        owner.create("/console/applications/create", &[("name", "bot"), ("group", &team)]).await;
    let dialog = eva.get(&format!("/groups/{team}?dialog=edit")).await.text;
    assert!(dialog.contains("a later one is for admins: ask Ada or Olga."), "{dialog}");
    crate::load::secret(&owner, "http://127.0.0.1:9/v1").await;
    end(&server, "Lab/Team", "2020-02-29");
    // Who leads what has ended can do nothing about it: whoever leads above is asked, or an admin.
    assert!(mia.get("/account").await.text.contains("Ask Eva whether it goes on."));
    assert!(
        leo.get("/account").await.text.contains("A later last day is for admins: ask Ada or Olga if it is")
    );
    let page = leo.get(&format!("/groups/{team}")).await.text;
    assert!(page.contains("until it has a later last day. Ask Ada or Olga for one."), "{page}");
    assert!(!owner.get(&format!("/groups/{team}")).await.text.contains("for one."));
    let page = leo.get(&format!("/applications/{application}")).await.text;
    assert!(page.contains("Ask Ada or Olga to give Team a later last day, or "), "{page}");
    let version = hidden(
        &leo.get(&format!("/groups/{team}?dialog=edit")).await.text,
        "/console/groups/edit",
        "version",
    );
    let later = [
        ("id", team.as_str()),
        ("version", &version),
        ("name", "Team"),
        ("kind", "custom"),
        ("ends_on", "2090-01-01"),
    ];
    refused(&leo.post("/console/groups/edit", &later).await, 422, "is set from above: ask Ada or Olga.");
    refused(&eva.post("/console/groups/edit", &later).await, 422, "is for admins: ask Ada or Olga.");
    end(&server, "Lab", "2020-02-29");
    assert!(mia.get("/account").await.text.contains("Ask Ada or Olga whether it goes on."));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_way_back_into_what_has_ended_is_offered_where_the_log_leads() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let lab = group(&owner, "Lab", "").await;
    let (mia, _) = join(&server, &owner, "Mia", "member").await;
    puts(&owner, &lab, &mia, "false").await;
    let done = owner.must("/console/batches/prepare", &[("action", "leave"), ("users[]", &mia)]).await;
    let id = done["go"].as_str().and_then(|go| go.split(['/', '?']).nth(3)).expect("a batch").to_owned();
    let page = format!("/users/batch/{id}?action=leave&group={lab}");
    let seen = hidden(&owner.get(&page).await.text, "/console/batches/confirm", "seen");
    let fields = [("id", id.as_str()), ("action", "leave"), ("group", &lab), ("seen", &seen)];
    owner.must("/console/batches/confirm", &fields).await;
    let page = format!("/users/batch/{id}");
    assert!(owner.get(&format!("/audit?batch={id}")).await.text.contains(&page));
    assert!(owner.get(&page).await.text.contains("/console/batches/undo"));
    crate::load::secret(&owner, "http://127.0.0.1:9/v1").await;
    end(&server, "Lab", "2020-02-29");
    let page = owner.get(&page).await.text;
    assert!(page.contains("Done: 1 person changed") && !page.contains("/console/batches/undo"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_first_is_named_and_whoever_it_was_themself_is_not_told_of_somebody() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let (_, ada) = join(&server, &owner, "Ada", "admin").await;
    let lab = group(&owner, "Lab", "").await;
    let (mia, _) = join(&server, &owner, "Mia", "member").await;
    puts(&owner, &lab, &mia, "false").await;
    let scope = format!("group:{lab}");
    let set = async |who: &Browser, cap: &str, version: &str| {
        let fields = [
            ("scope", scope.as_str()),
            ("metric", "spend"),
            ("window", "month"),
            ("cap", cap),
            ("version", version),
        ];
        who.must("/console/limits/set", &fields).await;
    };
    set(&owner, "500", "").await;
    set(&ada, "400", "1").await;
    let page = owner.get(&format!("/groups/{lab}")).await.text;
    let limit = crate::world::id_at(&page, "lim_");
    let remove = [("id", limit.as_str()), ("version", "1")];
    let late = owner.post("/console/limits/remove", &remove).await;
    refused(&late, 409, "Ada changed this limit meanwhile: it is $400.00 a month now.");
    let own = ada.post("/console/limits/remove", &remove).await;
    refused(&own, 409, "You, in another tab, changed this limit meanwhile");

    let lead = [("group", lab.as_str()), ("user", &mia), ("was", "member"), ("lead", "true")];
    ada.must("/console/groups/edit-member", &lead).await;
    let out = [("group", lab.as_str()), ("user", &mia), ("was", "member")];
    let late = owner.post("/console/groups/remove-member", &out).await;
    refused(&late, 409, "Ada changed this membership since it was shown to you: it is that of a lead now.");
    let own = ada.post("/console/groups/remove-member", &out).await;
    refused(&own, 409, "You, in another tab, changed this membership since");

    // Why a lead is not moved along stands in text beside their name.
    let page = owner.get(&format!("/groups/{lab}")).await.text.replace("<!>", "");
    let why = "Mia leads this group: hand the lead over before you move them";
    if page.contains("members-tree") {
        let beside = format!("id=\"stays-{mia}\">{why}");
        assert!(
            page.contains(&beside) && page.contains(&format!("aria-describedby=\"stays-{mia}\"")),
            "{page}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_thing_has_what_is_its_own() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let lab = group(&owner, "Lab", "").await;
    let (mia, hers) = join(&server, &owner, "Mia", "member").await;
    let (ben, _) = join(&server, &owner, "Ben", "member").await;
    puts(&owner, &lab, &mia, "false").await;
    for id in [&mia, &ben] {
        owner.must("/console/users/limit", &[("id", id), ("was", ""), ("cap", "7.125")]).await;
    }
    hers.must("/console/keys/open-personal", &[("group", &lab)]).await;
    for query in [format!("what={mia}"), format!("subject={mia}"), "what=mia@acme.example".to_owned()] {
        let page = owner.get(&format!("/audit?{query}")).await.text;
        for line in
            ["Limit created", "$7.125 a month", "Application created", "Secret created", "Membership started"]
        {
            assert!(page.contains(line), "{query}: {line} is not in {page}");
        }
        let table = owner.get(&format!("/audit.csv?{query}")).await.text;
        assert!(table.contains("secret.create") && !table.contains("Ben"), "{query}: {table}");
    }
    assert_eq!(owner.get("/audit.csv?subject=nonsense").await.status, 422, "a file of all is not asked for");
    let page = owner.get("/audit?door=bogus").await.text;
    assert!(page.contains("any door is shown. Doors are console, api, file, system."), "{page}");
    assert!(!page.contains("<b>Bogus</b>"), "it is not what is chosen");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_can_reach_somebody_is_chosen_for_mail_and_the_rest_stays_as_it_was() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let lab = group(&owner, "Lab", "").await;
    let (mia, hers) = join(&server, &owner, "Mia", "member").await;
    puts(&owner, &lab, &mia, "false").await;
    let (decides, reviews, tests) =
        ("Requests that I can decide on", "Access reviews of groups", "Pinned tests");
    let page = hers.get("/account").await.text;
    assert!(page.contains("Answers to my requests") && page.contains("Secrets that were found"), "{page}");
    assert!([decides, reviews, tests].iter().all(|kind| !page.contains(kind)), "{page}");
    hers.must("/console/notices/prefer", &[("kinds[]", "answer")]).await;
    let lead = [("group", lab.as_str()), ("user", &mia), ("was", "member"), ("lead", "true")];
    owner.must("/console/groups/edit-member", &lead).await;
    let page = hers.get("/account").await.text;
    assert!(page.contains(decides) && page.contains(reviews) && !page.contains(tests), "{page}");
    let ticked = |kind: &str| {
        let tag = page.split('<').find(|tag| tag.contains(&format!("value=\"{kind}\""))).expect("its box");
        tag.contains("checked")
    };
    assert!(ticked("request") && ticked("review"), "what could not reach her was not turned off");
    assert!(ticked("answer") && !ticked("secret"));
    assert!(owner.get("/account").await.text.contains(tests));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_a_thing_of_another_organization_says_so_and_not_that_it_does_not_exist() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let lab = group(&owner, "Lab", "").await;
    let page = format!("/groups/{lab}?dialog=edit");
    let form = owner.get(&page).await.text;
    let org = form.split_once("data-org=\"").expect("an organization").1[..30].to_owned();
    let version = hidden(&form, "/console/groups/edit", "version");
    let second = [("name", "Umbrella"), ("time_zone", "UTC"), ("default_user_limit", "50.00")];
    owner.must("/console/setup/organization", &second).await;
    let fields =
        [("id", lab.as_str()), ("version", &version), ("name", "Labs"), ("kind", "custom"), ("_org", &org)];
    let answer = owner.submit(&page, "/console/groups/edit", &fields).await;
    refused(&answer, 409, "This was made in Acme, and this browser has gone on to Umbrella since.");
    assert!(answer.text.contains("Switch back to Acme"), "{}", answer.text);
    assert!(!answer.text.contains("does not exist"), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_a_rule_decides_about_reads_who_set_it() {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    let lab = group(&owner, "Lab", "").await;
    let (mia, hers) = join(&server, &owner, "Mia", "member").await;
    puts(&owner, &lab, &mia, "false").await;
    crate::load::secret(&owner, "http://127.0.0.1:9/v1").await;
    let target = format!("model:{}", crate::world::id_at(&owner.get("/models").await.text, "mdl_"));
    let rule = [("group", lab.as_str()), ("target", &target), ("state", "closed")];
    owner.must("/console/authorizations/set", &rule).await;
    let page = hers.get("/why?model=small").await.text.replace("<!>", "");
    assert!(page.contains("Lab says that small is closed") && page.contains("Set by Olga"), "{page}");
}
