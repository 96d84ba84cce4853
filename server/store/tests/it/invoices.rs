//! Invoices beside the ledger: by UTC day and the provider's names.

use chrono::{TimeDelta, Timelike};
use domain::{
    invoices::{InvoiceLine, Mapping, Side, read},
    money::Money,
    roles::Act,
};
use store::{StoreError, clock, invoices, ledger, testing};

use crate::organization::{Organization, finished};

#[tokio::test]
async fn an_invoice_is_put_beside_the_ledger_day_by_day_and_again_when_more_is_booked() {
    let acme = Organization::new().await;
    let noon = clock::now().with_hour(12).expect("noon") - TimeDelta::days(3);
    let call = |at| finished(ledger::Call { started_at: at, ..acme.call() });
    for at in [noon, noon + TimeDelta::hours(1), noon + TimeDelta::days(1)] {
        assert!(acme.book(&call(at)).await);
    }
    let (first, second) = (noon.date_naive(), noon.date_naive() + chrono::Days::new(1));
    // Two thirds of the first day, a model of nobody's, and nothing about the second day but its date.
    let text = format!(
        "date,model,cost,input_tokens,output_tokens\n{first},small-2026-01-01,0.00004,20,40\n{second},other,1.5,7,8\n"
    );
    let bill = read(&text, &Mapping::default()).expect("a bill");
    let mut change = testing::begin(&acme.store, &acme.tenant.owner, Act::KeepBooks).await;
    let name = "October".parse().expect("a name");
    let id = invoices::insert(&mut change, acme.provider, &name, &bill).await.expect("kept");
    change.commit().await.expect("kept");

    let org = acme.tenant.org;
    let (invoice, lines) = invoices::get(&acme.store, org, id).await.expect("an invoice");
    assert_eq!((invoice.billed.cost, invoice.ledger.cost), (Money(1_500_040_000), Money(90_000)));
    let told: Vec<_> =
        lines.iter().map(|line| (line.day, line.model.as_str(), line.more().0, line.remark())).collect();
    assert_eq!(
        told,
        [
            (first, "small", 40_000 - 60_000, ""),
            (second, "other", 1_500_000_000, "not in the catalogue"),
            (second, "small", -30_000, "not on the invoice"),
        ]
    );
    assert_eq!(lines[0].ledger, Side { cost: Money(60_000), input: 20, output: 40 });
    assert_eq!(lines[0].more_tokens(), 0);

    assert!(acme.book(&call(noon + TimeDelta::hours(2))).await);
    let mut change = testing::begin(&acme.store, &acme.tenant.owner, Act::KeepBooks).await;
    invoices::compare(&mut change, id).await.expect("compared");
    change.commit().await.expect("kept");
    let (_, again) = invoices::get(&acme.store, org, id).await.expect("an invoice");
    assert_eq!(again[0].ledger.cost, Money(90_000));
    let billed = |lines: &[InvoiceLine]| lines.iter().map(|line| line.billed.cost.0).sum::<i64>();
    assert_eq!(billed(&again), billed(&lines), "what was billed stays");
    // A file that does not tell input from output says so in what is written of it.
    let summed =
        read(&format!("date,model,tokens\n{first},small,75\n"), &Mapping::default()).expect("a bill");
    let mut change = testing::begin(&acme.store, &acme.tenant.owner, Act::KeepBooks).await;
    let name = "Sums".parse().expect("a name");
    let sums = invoices::insert(&mut change, acme.provider, &name, &summed).await.expect("kept");
    change.commit().await.expect("kept");
    let (summed, of_it) = invoices::get(&acme.store, org, sums).await.expect("an invoice");
    assert_eq!((summed.tokens_in_one, summed.billed.tokens(), invoice.tokens_in_one), (true, 75, false));
    let written = domain::csv::read(&domain::invoices::to_csv(&summed, &of_it)).expect("a table");
    let cell = |name: &str| {
        let place = written[0].cells.iter().position(|cell| cell == name).expect("a column");
        written[1].cells[place].as_str()
    };
    assert_eq!(
        (cell("invoice_tokens"), cell("invoice_input_tokens"), cell("invoice_output_tokens")),
        ("75", "", "")
    );
    assert_eq!(cell("ledger_tokens"), "90");
    let file = domain::invoices::to_csv(&invoice, &lines);
    let sums: i64 = domain::csv::read(&file).expect("a table")[1..]
        .iter()
        .map(|line| line.cells[3].parse::<Money>().expect("money").0)
        .sum();
    assert_eq!(sums, invoice.ledger.cost.0, "the file says what the page says");
}

#[tokio::test]
async fn an_invoice_of_many_days_or_of_another_organizations_provider_leaves_nothing() {
    let acme = Organization::new().await;
    let bill =
        read("date,model,cost\n2026-01-01,x,1\n2026-08-01,x,1\n", &Mapping::default()).expect("a bill");
    let name = "Year".parse().expect("a name");
    let mut change = testing::begin(&acme.store, &acme.tenant.owner, Act::KeepBooks).await;
    let refused = invoices::insert(&mut change, acme.provider, &name, &bill).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field: "file", .. })), "{refused:?}");
    let bill = read("date,model,cost\n2026-01-01,x,1\n", &Mapping::default()).expect("a bill");
    let refused = invoices::insert(&mut change, clock::id(), &name, &bill).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    drop(change);
    assert_eq!(invoices::list(&acme.store, acme.tenant.org, None, None, 5).await.expect("a list"), []);
}

#[tokio::test]
async fn the_same_lines_are_brought_once_however_the_file_writes_them() {
    let acme = Organization::new().await;
    let name = |text: &str| text.parse().expect("a name");
    let bill = |text: &str| read(text, &Mapping::default()).expect("a bill");
    let mut change = testing::begin(&acme.store, &acme.tenant.owner, Act::KeepBooks).await;
    let first = bill("date,model,cost\n2026-01-01,x,1\n2026-01-02,x,2.50\n");
    let id = invoices::insert(&mut change, acme.provider, &name("January"), &first).await.expect("kept");
    let other = bill("cost,day,model\n$2.5,2026-01-02,x\n0.4,2026-01-01,x\n6e-1,2026-01-01,x\n");
    let refused = invoices::insert(&mut change, acme.provider, &name("Again"), &other).await;
    assert!(
        matches!(&refused, Err(StoreError::Invalid { field: "file", sentence }) if sentence.contains("as “January”")),
        "{refused:?}"
    );
    let more = bill("date,model,cost\n2026-01-01,x,1\n2026-01-02,x,2.51\n");
    invoices::insert(&mut change, acme.provider, &name("Corrected"), &more).await.expect("other figures");
    invoices::archive(&mut change, id).await.expect("put away");
    invoices::insert(&mut change, acme.provider, &name("Anew"), &other).await.expect("brought anew");
    change.commit().await.expect("all of it");
    assert_eq!(invoices::list(&acme.store, acme.tenant.org, None, None, 5).await.expect("a list").len(), 2);
}

#[tokio::test]
async fn days_to_come_are_refused_and_days_without_a_ledger_or_billed_twice_are_said() {
    let acme = Organization::new().await;
    let name = |text: &str| text.parse().expect("a name");
    let bill = |text: &str| read(text, &Mapping::default()).expect("a bill");
    let mut change = testing::begin(&acme.store, &acme.tenant.owner, Act::KeepBooks).await;
    let ahead = bill("date,model,cost\n2131-01-01,x,1\n");
    let refused = invoices::insert(&mut change, acme.provider, &name("Ahead"), &ahead).await;
    assert!(
        matches!(&refused, Err(StoreError::Invalid { field: "file", sentence }) if sentence.contains("yet to come")),
        "{refused:?}"
    );
    let days = bill("date,model,cost\n2026-01-01,x,1\n2026-01-04,x,2\n");
    let id = invoices::insert(&mut change, acme.provider, &name("First"), &days).await.expect("kept");
    // Between the days of the other, and on one of them.
    let between = bill("date,model,cost\n2026-01-02,x,1\n");
    invoices::insert(&mut change, acme.provider, &name("Between"), &between).await.expect("kept");
    let again = bill("date,model,cost\n2026-01-04,y,9\n");
    invoices::insert(&mut change, acme.provider, &name("Again"), &again).await.expect("kept");
    change.commit().await.expect("all of it");
    let org = acme.tenant.org;
    let remarks = async || {
        let (invoice, _) = invoices::get(&acme.store, org, id).await.expect("an invoice");
        invoices::remarks(&acme.store, org, &invoice).await.expect("remarks")
    };
    let told = remarks().await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("Nothing is in the ledger yet"), "{told:?}");
    assert!(told[1].starts_with("Some of the same days of Provider are on “Again” too"), "{told:?}");
    assert!(acme.book(&finished(acme.call())).await);
    assert!(remarks().await[0].starts_with("The ledger begins on "), "{told:?}");
}
