//! Every sum that is kept is held against what it follows from, row by row.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    keys::{Feature, Features},
    limits::{Meter, Metric, Scope},
    window::Window,
};
use store::{books, clock};

use crate::organization::{Organization, finished, spend};

/// What differs: of what.
async fn drift(acme: &Organization) -> Vec<String> {
    let calendar = acme.facts().await.calendar;
    let found = books::drift(&acme.store, acme.tenant.org, calendar, clock::now()).await.expect("a look");
    found.into_iter().map(|drift| drift.what).collect()
}

/// Calls of today and of forty days ago: with and without a person, a label, a session, features.
async fn some_calls(acme: &Organization) {
    for days in [40, 1, 0] {
        for number in 0..6 {
            let mut call = acme.call();
            call.started_at -= TimeDelta::days(days);
            call.user = call.user.filter(|_| number % 2 == 0);
            call.session = if number % 3 == 0 { String::new() } else { format!("session {}", number % 3) };
            call.use_case = if number < 3 { "triage".to_owned() } else { String::new() };
            call.features = Features::default();
            if number % 3 == 1 {
                call.features = call.features.with(Feature::Streaming);
            }
            assert!(acme.book(&finished(call)).await);
        }
    }
}

/// The number columns of a table of sums.
async fn columns(acme: &Organization, table: &str) -> Vec<String> {
    let found = sqlx::query_scalar(
        "select column_name::text from information_schema.columns
         where table_schema = current_schema() and table_name = $1 and data_type = 'bigint' order by 1",
    );
    found.bind(table).fetch_all(acme.store.pool()).await.expect("columns")
}

async fn run(acme: &Organization, text: &str) -> u64 {
    let done = sqlx::query(sqlx::AssertSqlSafe(text)).execute(acme.store.pool()).await;
    done.unwrap_or_else(|error| panic!("{text}: {error}")).rows_affected()
}

#[tokio::test]
async fn a_unit_moved_from_one_row_to_another_is_found_in_every_table_and_column() {
    let acme = Organization::new().await;
    some_calls(&acme).await;
    assert_eq!(drift(&acme).await, Vec::<String>::new());

    // Whatever has a sum of money by something is looked at: a new table has to be named here. What is frozen with
    // a closed month is held against the ledger there; what observers count follows from refusals, and is not compared.
    let known: Vec<String> = sqlx::query_scalar(
        "select c.table_name::text from information_schema.columns c
         join pg_class t on t.relname = c.table_name and t.relkind in ('r', 'p') and not t.relispartition
         where c.table_schema = current_schema() and c.column_name = 'spend' order by 1",
    )
    .fetch_all(acme.store.pool())
    .await
    .expect("tables");
    let frozen = ["closed_months", "late_calls", "report_groups", "report_lines", "report_members"];
    let known: Vec<_> = known
        .into_iter()
        .filter(|table| !frozen.contains(&table.as_str()) && table != "observed_sums")
        .collect();
    assert_eq!(known, ["call_sessions", "usage_by_day", "usage_sums"]);

    let kinds = [
        ("usage_by_day", "true"),
        ("call_sessions", "true"),
        ("usage_sums_of_people", "grain = 'day'"),
        ("usage_sums_of_people", "grain = 'month'"),
        ("usage_sums_of_things", "scope = 'organization' and grain = 'day'"),
        ("usage_sums_of_things", "scope = 'organization' and grain = 'month'"),
        ("usage_sums_of_things", "scope = 'group' and grain = 'day'"),
        ("usage_sums_of_things", "scope = 'group' and grain = 'month'"),
        ("usage_sums_of_things", "scope = 'application' and grain = 'day'"),
        ("usage_sums_of_things", "scope = 'application' and grain = 'month'"),
        ("usage_sums_of_things", "scope = 'members' and grain = 'day'"),
        ("usage_sums_of_things", "scope = 'members' and grain = 'month'"),
        ("usage_sums_of_things", "scope = 'use_case' and grain = 'day'"),
        ("usage_sums_of_things", "scope = 'feature' and grain = 'day'"),
    ];
    for (place, (table, within)) in kinds.into_iter().enumerate() {
        let columns = columns(&acme, table).await;
        assert!(columns.len() >= 4, "{table}: {columns:?}");
        run(&acme, &format!("create table kept_{place} as table {table}")).await;
        for column in columns {
            // From the last row to the first: their sum is what it was.
            let row =
                |order| format!("(select ctid from {table} where {within} order by ctid {order} limit 1)");
            let (first, last) = (row("asc"), row("desc"));
            let shift = format!(
                "update {table} set {column} = {column} + case when ctid = {first} then 1 else -1 end where ctid in ({first}, {last})"
            );
            assert_eq!(run(&acme, &shift).await, 2, "{table} where {within}: two rows");
            assert_ne!(drift(&acme).await, Vec::<String>::new(), "{table}.{column} where {within}");
            run(&acme, &format!("delete from {table}")).await;
            run(&acme, &format!("insert into {table} select * from kept_{place}")).await;
        }
    }
    assert_eq!(drift(&acme).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_window_that_is_over_is_held_against_what_was_called_in_it() {
    let acme = Organization::new().await;
    let scopes = [
        Scope::Organization,
        Scope::Group(acme.parent),
        Scope::Application(acme.application),
        Scope::User(acme.user),
        Scope::Member(acme.child, acme.user),
    ];
    let windows = [Window::Minute, Window::Hour, Window::Day, Window::Week, Window::Month];
    for scope in scopes {
        for window in windows {
            acme.limit(Meter { window, ..spend(scope) }, 1_000_000).await;
            acme.limit(Meter { scope, metric: Metric::OutputTokens, window }, 1_000_000).await;
        }
    }
    // As if they had been there for long.
    let before: DateTime<Utc> = clock::now() - TimeDelta::days(100);
    sqlx::query("update limits set created_at = $1")
        .bind(before)
        .execute(acme.store.pool())
        .await
        .expect("it");
    some_calls(&acme).await;
    assert_eq!(drift(&acme).await, Vec::<String>::new());

    let over = "starts_at < now() - interval '35 days' and ends_at <= now()";
    let all: Vec<(String, String, String)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select scope_kind, metric, window_kind from windows where {over} order by 1, 2, 3"
    )))
    .fetch_all(acme.store.pool())
    .await
    .expect("windows");
    assert_eq!(all.len(), scopes.len() * windows.len() * 2, "{all:?}");
    for (scope, metric, window) in all {
        let add = |by: i64| {
            format!(
                "update windows set settled = settled + {by}
                 where {over} and scope_kind = '{scope}' and metric = '{metric}' and window_kind = '{window}'"
            )
        };
        assert_eq!(run(&acme, &add(1)).await, 1);
        let found = drift(&acme).await;
        assert!(
            matches!(found.as_slice(), [what] if what.starts_with(&format!("windows: {metric} {window} of {scope} "))),
            "{found:?}"
        );
        run(&acme, &add(-1)).await;
    }
    assert_eq!(drift(&acme).await, Vec::<String>::new());

    // A limit that is new was not there to count what is over.
    sqlx::query("update limits set created_at = $1")
        .bind(clock::now())
        .execute(acme.store.pool())
        .await
        .expect("it");
    run(&acme, &format!("update windows set settled = settled - 1 where {over} and metric <> 'spend'")).await;
    assert_eq!(drift(&acme).await, Vec::<String>::new());
}
