//! A month's report is the same wherever it stands: on its page, in both files, and in the ledger; and
//! closing it changes none of that.

use domain::{ids::OrgId, money::Money};
use store::{Store, calls, rollups::Which};

use crate::harness::Browser;

/// What the ledger has of a month.
async fn ledger(store: &Store, org: OrgId, month: chrono::NaiveDate) -> i64 {
    let calendar = store::organizations::calendar(store, org).await.expect("a calendar");
    let next = month.checked_add_months(chrono::Months::new(1)).expect("a month");
    let filter = calls::Filter {
        ended: Some(domain::calls::Ended::Finished),
        from: Some(month),
        to: Some(next),
        only: None,
        after: None,
    };
    let list =
        calls::list(store, org, calendar, &Which::default(), &filter, 1_000_000).await.expect("the ledger");
    let cost = |call: domain::calls::CallLine| match call.end {
        domain::calls::End::Finished { cost, .. } => cost.0,
        domain::calls::End::Refused { .. } => 0,
    };
    list.calls.into_iter().map(cost).sum()
}

/// The sum of a column of a file.
fn column(text: &str, name: &str) -> i64 {
    let lines = domain::csv::read(text).expect("a table");
    let place =
        lines[0].cells.iter().position(|cell| cell == name).unwrap_or_else(|| panic!("no column {name}"));
    lines[1..].iter().map(|line| line.cells[place].parse::<Money>().expect("an amount").0).sum()
}

/// Sums of a month's report as its page and its files have it.
async fn sums(browser: &Browser, month: &str) -> [i64; 4] {
    let page = browser.get(&format!("/reports/{month}")).await;
    assert_eq!(page.status, 200, "{month}");
    let (_, table) = page.text.split_once("report-table").expect("a table");
    let (table, _) = table.split_once("</tbody>").expect("its end");
    // Own and sub-total of each line; own figures add up to the month.
    let values = table.split("data value=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let own = values.step_by(2).map(|text| text.parse::<Money>().expect("an amount").0).sum();
    let groups = browser.get(&format!("/reports.csv?month={month}")).await;
    let focus = browser.get(&format!("/reports.focus.csv?month={month}")).await;
    assert_eq!((groups.status.as_u16(), focus.status.as_u16()), (200, 200), "{month}");
    [
        own,
        column(&groups.text, "own"),
        column(&focus.text, "BilledCost"),
        column(&focus.text, "EffectiveCost"),
    ]
}

/// Page, files and ledger agree for a month of the demo, before it is closed and afterwards.
pub async fn agree_with_the_ledger(browser: &Browser, store: &Store, org: OrgId) {
    let calendar = store::organizations::calendar(store, org).await.expect("a calendar");
    let months = store::reports::months(store, org, calendar).await.expect("months");
    let first = months.last().expect("a month");
    let (month, spent) = (first.month.format("%Y-%m").to_string(), ledger(store, org, first.month).await);
    assert!(spent > 0 && months.len() > 1, "{months:?}");
    assert_eq!(sums(browser, &month).await, [spent; 4], "open");
    let typed = first.month.format("%B %Y").to_string();
    browser.must("/console/reports/close", &[("month", &month), ("typed", &typed)]).await;
    assert_eq!(sums(browser, &month).await, [spent; 4], "closed");
    for file in [
        format!("/reports.csv?month={month}"),
        format!("/reports.focus.csv?month={month}"),
        "/explore.csv?by=model".to_owned(),
    ] {
        let plain = browser.get(&file).await.text;
        assert_eq!(browser.length_compressed(&file).await, plain.len(), "{file} comes whole, compressed");
    }
    let list = browser.get("/reports").await.text;
    assert!(list.contains("closed"), "the list says so");
}
