//! `bursar demo` with a crowd: a large organization in small, with books that are true, and sums that
//! say what the days say.

use chrono::{Datelike, Days, Months, NaiveDate, Weekday};
use domain::{
    explore::{By, Explored, Interval, Measure, Period},
    ids::{GroupId, UserId},
};
use store::{
    Store,
    audit::Chain,
    explore::{Question, ask},
    rollups::{Sight, Which},
    testing::empty_database,
};

use crate::{
    demo::{Demo, master_key, only},
    harness::{Browser, TempDir},
};

const CROWD: [&str; 9] =
    ["--calls", "400", "--quiet", "--people", "260", "--groups", "90", "--events", "6000"];

#[tokio::test]
async fn a_crowd_has_true_books_and_a_tree_that_unfolds() {
    let (database, data) = (empty_database().await, TempDir::new());
    let demo = Demo::start(&database, data.path(), &CROWD);
    let store = Store::connect(&database, 4, master_key(data.path())).await.expect("it works");
    let (org, now) = (only(&store).await, store::clock::now());
    let facts = store::access::facts(&store, org).await.expect("an answer");
    assert_eq!(store::books::drift(&store, org, facts.calendar, now).await.expect("an answer"), []);
    assert!(matches!(store::audit::verify(&store, org).await.expect("an answer"), Chain::Whole { .. }));
    let today = facts.calendar.day(now);
    let year = Period { from: today - Days::new(420), to: today + Days::new(1) };
    let all = store::rollups::sums(&store, org, &Which::default(), year.from, year.to).await.expect("sums");
    assert!((6_200..=6_400).contains(&all.calls), "{all:?}");
    let census = store::census::current(&store, org).await.expect("a tree");
    assert!(census.order.iter().any(|group| group.ancestors.len() >= 2), "it is a tree");
    let root = census.order.iter().find(|group| group.ancestors.is_empty() && group.name == "Retail");
    let root = root.expect("a group of the crowd").id;
    sums_say_what_days_say(&store, org, root, today).await;

    let browser = Browser::new(&demo.base);
    browser
        .must("/console/accounts/sign-in", &[("email", "olga@acme.example"), ("password", "this-is-a-demo")])
        .await;
    let page = browser.get("/groups").await.text;
    assert!(page.contains("Unfold Retail"), "folded at first");
    assert!(!page.contains("Quality"), "what is below is not sent");
    let page = browser.get(&format!("/groups?unfold={root}")).await.text;
    assert!(page.contains("Fold Retail") && page.contains("Quality"));
    let page = browser.get("/groups?q=quality").await.text;
    assert!(page.contains("in Retail"), "what is found says where it stands");
    demo.stop();
}

/// Every question that coarse sums answer, against the same one asked as somebody who leads the group, which
/// only the sums by day and person answer.
async fn sums_say_what_days_say(store: &Store, org: domain::ids::OrgId, root: GroupId, today: NaiveDate) {
    let month = today.with_day(1).expect("a day");
    let back = |months| month - Months::new(months);
    // Whole months; parts of two; the month that runs beside a part of the one before.
    let periods = [
        (Period { from: back(5), to: back(2) }, Period { from: back(8), to: back(5) }),
        (
            Period { from: back(4) + Days::new(9), to: back(3) + Days::new(20) },
            Period { from: back(6), to: back(4) },
        ),
        (
            Period { from: month, to: today + Days::new(1) },
            Period { from: back(1), to: back(1) + Days::new(3) },
        ),
    ];
    for (period, before) in periods {
        for by in [By::Group, By::Application, By::User, By::Model, By::Tier] {
            let question = Question {
                measure: Measure::Spend,
                by,
                interval: Interval::Month,
                period,
                before,
                top: 4,
                week_start: Weekday::Mon,
                today,
            };
            let which = Which { group: Some(root), ..Which::default() };
            // Whoever leads a group sees all of it, from the sums by day and person.
            let sight = Sight::Own { led: vec![root], me: UserId(uuid::Uuid::nil()) };
            let slow = Which { sight, ..which.clone() };
            let fast = ask(store, org, &which, &question).await.expect("an answer");
            let slow = ask(store, org, &slow, &question).await.expect("an answer");
            assert_eq!(figures(&fast), figures(&slow), "{by} {period:?}");
            let whole = Which { group: None, ..Which::default() };
            let total = store::rollups::sums(store, org, &whole, period.from, period.to).await.expect("sums");
            let split = ask(store, org, &whole, &question).await.expect("an answer");
            let sum: i64 = split.rows.iter().map(|row| row.total.spend.0).sum();
            assert_eq!(sum, total.spend.0, "every cent once: {by} {period:?}");
        }
    }
}

/// Everything an answer says.
fn figures(explored: &Explored) -> Vec<String> {
    let rows = explored.rows.iter().chain(&explored.more);
    rows.map(|row| format!("{:?} {:?} {:?} {:?}", row.key, row.total, row.before, row.cells)).collect()
}
