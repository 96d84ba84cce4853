//! A table of people: only what was shown is imported, and it is undone as one.

use crate::harness::{Browser, Server, join, set_up};

/// Shows the difference; the name it has.
async fn shown(owner: &Browser, csv: &str) -> String {
    let done = owner.must("/console/imports/check", &[("csv", csv)]).await;
    let values = done["once"]["Difference"]["values"].as_array().expect("a difference").clone();
    let seen = values.iter().find(|pair| pair[0] == "seen").expect("its name");
    seen[1].as_str().expect("a name").to_owned()
}

struct World {
    _server: Server,
    owner: Browser,
    /// Somebody who is in Research.
    mia: String,
}

async fn world() -> World {
    let server = Server::start().await;
    let owner = set_up(&server, "Acme").await;
    for name in ["Research", "Support"] {
        owner.create("/console/groups/create", &[("name", name), ("kind", "custom"), ("parent", "")]).await;
    }
    let (mia, _) = join(&server, &owner, "Mia", "member").await;
    owner.must("/console/groups/add-member", &[("group", "Research"), ("user", &mia)]).await;
    World { _server: server, owner, mia }
}

const TABLE: &str = "email,name,role,groups,monthly_limit\n\
                     mia@acme.example,Mia Berg,auditor,Support,7\n\
                     nora@acme.example,Nora,member,Research,3.50\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_undone_as_one_and_everybody_is_as_before() {
    let world = world().await;
    let before = world.owner.get("/users.csv").await.text;
    let seen = shown(&world.owner, TABLE).await;
    assert_eq!(world.owner.get("/users.csv").await.text, before, "a look changes nothing");
    let ticked = world.owner.get(&format!("/users.csv?q=olga&users[]={}", world.mia)).await.text;
    assert!(ticked.contains("mia@acme.example") && !ticked.contains("olga@"), "those alone: {ticked}");
    let batch = world.owner.create("/console/imports/run", &[("csv", TABLE), ("seen", &seen)]).await;
    let after = world.owner.get("/users.csv").await.text;
    assert!(after.contains("Mia Berg,mia@acme.example,auditor,Support,7.00"), "{after}");
    assert!(after.contains("Nora,nora@acme.example,member,Research,3.50"), "{after}");
    let page = world.owner.get(&format!("/users/batch/{batch}")).await.text;
    for said in ["Mia → Mia Berg", "leaves Research", "Is new: Nora, member"] {
        assert!(
            page.to_lowercase().contains(&said.to_lowercase()),
            "{said} is not on the page of the import"
        );
    }
    let done = world.owner.must("/console/batches/undo", &[("id", &batch)]).await;
    assert_eq!(done["notice"], "Undone for 2 people.");
    assert_eq!(world.owner.get("/users.csv").await.text, before);
    let twice = world.owner.post("/console/batches/undo", &[("id", &batch)]).await;
    assert_eq!(twice.status, 409, "{}", twice.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn undoing_an_import_leaves_alone_what_somebody_changed_since() {
    let world = world().await;
    let seen = shown(&world.owner, TABLE).await;
    let batch = world.owner.create("/console/imports/run", &[("csv", TABLE), ("seen", &seen)]).await;
    world.owner.must("/console/users/limit", &[("id", &world.mia), ("was", "7"), ("cap", "9")]).await;
    let done = world.owner.must("/console/batches/undo", &[("id", &batch)]).await;
    assert_eq!(done["notice"], "Undone for 1 person. 1 was left alone: what and why is listed.");
    let page = world.owner.get(&format!("/users/batch/{batch}")).await.text;
    assert!(
        page.contains("Olga changed Mia Berg again since (cap: “$7.00 a month” → “$9.00 a month”"),
        "{page}"
    );
    let after = world.owner.get("/users.csv").await.text;
    assert!(after.contains("Mia,mia@acme.example,member,Research,9.00"), "{after}");
    assert!(!after.contains("nora@"), "{after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_difference_than_the_one_shown_is_told_and_not_imported() {
    let world = world().await;
    let seen = shown(&world.owner, TABLE).await;
    world.owner.must("/console/users/limit", &[("id", &world.mia), ("was", ""), ("cap", "5")]).await;
    let before = world.owner.get("/users.csv").await.text;
    let late = world.owner.post("/console/imports/run", &[("csv", TABLE), ("seen", &seen)]).await;
    assert_eq!(late.status, 409, "{}", late.text);
    assert!(late.text.contains("monthly limit $5.00 → $7.00"), "both stand there: {}", late.text);
    assert_eq!(world.owner.get("/users.csv").await.text, before);

    // Of two who import what both were shown, one does, and the other is told.
    let seen = shown(&world.owner, TABLE).await;
    let run = async || world.owner.post("/console/imports/run", &[("csv", TABLE), ("seen", &seen)]).await;
    let (one, other) = tokio::join!(run(), run());
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{} {}", one.text, other.text);
    let told = if one.status == 409 { one } else { other };
    assert!(told.text.contains("there is nothing to change"), "{}", told.text);
    let after = world.owner.get("/users.csv").await.text;
    assert_eq!(after.matches("nora@acme.example").count(), 1, "{after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_more_than_two_megabytes_is_read() {
    let world = world().await;
    let line = format!("mia@acme.example,{},auditor,Support,7\n", "x".repeat(80 << 10));
    let table = [TABLE, &line.repeat(30)].concat();
    let answer = world.owner.post("/console/imports/check", &[("csv", &table)]).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert!(answer.text.contains("Line "), "its lines are looked at: {}", answer.text);
}
