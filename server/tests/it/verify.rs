//! `bursar verify`: what it says of true books, of drifted ones and of a log somebody touched.

use std::process::Output;

use store::testing::empty_database;

use crate::{
    demo::Demo,
    harness::{TempDir, command},
};

fn verify(database: &str, data: &TempDir) -> Output {
    command(database, &data.path().join("demo")).arg("verify").output().expect("bursar runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_database_with_nothing_in_it_is_not_called_true() {
    let (database, data) = (empty_database().await, TempDir::new());
    let output = command(&database, data.path()).arg("verify").output().expect("bursar runs");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing here yet"));
}

#[tokio::test]
async fn drift_and_a_touched_log_are_named_and_end_with_1() {
    let (database, data) = (empty_database().await, TempDir::new());
    Demo::start(&database, data.path(), &["--calls", "300", "--quiet"]).stop();
    let output = verify(&database, &data);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("Acme: ledger, windows and sums agree"), "{}", said(&output));

    store::testing::spoil(&database, store::testing::Spoil::Window).await;
    let output = verify(&database, &data);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("windows: spend year of organization"), "{}", said(&output));
    assert!(!said(&output).contains("days:"), "{}", said(&output));

    store::testing::spoil(&database, store::testing::Spoil::Day).await;
    assert!(said(&verify(&database, &data)).contains("days: calls of"));

    store::testing::spoil(&database, store::testing::Spoil::Feature).await;
    assert!(said(&verify(&database, &data)).contains(", with "));

    store::testing::spoil(&database, store::testing::Spoil::Audit).await;
    let output = verify(&database, &data);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("The log is broken: line 12 "), "{}", said(&output));

    // With another key nothing can be said of the log.
    std::fs::write(data.path().join("demo/master.key"), format!("{:064x}\n", 7)).expect("a file");
    let output = verify(&database, &data);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("BURSAR_MASTER_KEY_FILE"));
}
