//! Reports add up, whatever spent where.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate};
use domain::{
    focus,
    ids::GroupId,
    money::Money,
    reports::{Own, Standing, report, share},
    spend::Sums,
};
use proptest::prelude::*;
use uuid::Uuid;

fn group(number: u8) -> GroupId {
    GroupId(Uuid::from_u128(u128::from(number) + 1))
}

fn month() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 10, 1).expect("a day")
}

fn owns() -> impl Strategy<Value = Vec<Own>> {
    let own = (prop::collection::vec(0_u8..5, 1..5), any::<bool>(), 0_i64..5_000_000_000_000, 1_i64..900);
    prop::collection::vec(own, 0..40).prop_map(|owns| {
        let own = |(path, adjustment, spend, calls): (Vec<u8>, bool, i64, i64)| Own {
            path: path.into_iter().map(group).collect(),
            adjustment,
            sums: Sums { calls, spend: Money(spend), input: calls * 7, ..Sums::default() },
        };
        owns.into_iter().map(own).collect()
    })
}

proptest! {
    #[test]
    fn what_is_below_and_ones_own_is_the_sub_total_everywhere(owns in owns()) {
        let names: HashMap<GroupId, String> = (0..5).map(|n| (group(n), format!("group {}", n % 2))).collect();
        let report = report(month(), Standing::Running, &owns, &names, &HashMap::new());
        let spent: i64 = owns.iter().map(|own| own.sums.spend.0).sum();
        let adjusted: i64 = owns.iter().filter(|own| own.adjustment).map(|own| own.sums.spend.0).sum();
        prop_assert_eq!((report.total.0, report.adjusted.0), (spent, adjusted));
        prop_assert_eq!(report.nodes.iter().map(|node| node.own.0).sum::<i64>(), spent);
        let tops = report.nodes.iter().filter(|node| node.depth() == 0);
        prop_assert_eq!(tops.map(|node| node.total.0).sum::<i64>(), spent);
        for (place, node) in report.nodes.iter().enumerate() {
            let subtree = report.nodes[place + 1..].iter().take_while(|below| below.depth() > node.depth());
            let below: i64 = subtree.filter(|below| below.depth() == node.depth() + 1).map(|below| below.total.0).sum();
            prop_assert_eq!(node.total.0, node.own.0 + below);
        }
        let column: i64 = report.csv().lines().skip(1)
            .map(|line| line.split(',').nth(4).expect("own").parse::<Money>().expect("money").0)
            .sum();
        prop_assert_eq!(column, spent);
    }

    #[test]
    fn a_unit_price_times_its_quantity_is_the_cost_to_the_nano_dollar(spend in 0_i64..90_000_000_000_000, tokens in 0_i64..50_000_000_000) {
        let at = DateTime::UNIX_EPOCH;
        let sums = Sums { calls: 3, spend: Money(spend), output: tokens, ..Sums::default() };
        let charge = focus::Charge {
            account: ("org", "Acme, Inc."), billed: (at, at), made: (at, at), correction: false, group: ("g", "A / B"),
            application: ("a", "=bot"), user: None, model: ("m", "big"), provider: "P", sums,
        };
        let text = focus::head() + &focus::line(&charge);
        let read = domain::csv::read(&text).expect("a table");
        prop_assert_eq!(read[0].cells.len(), read[1].cells.len());
        let cell = |name: &str| {
            let place = read[0].cells.iter().position(|cell| cell == name).expect("a column");
            read[1].cells[place].clone()
        };
        let (whole, fraction) = (cell("ListUnitPrice"), cell("PricingQuantity"));
        let price: i128 = whole.replace('.', "").parse().expect("digits");
        let quantity: i128 = fraction.trim_end_matches(".0").parse().expect("a count");
        // Twenty digits behind the point; nine are nano-dollars.
        let nanos = (price * quantity + 50_000_000_000) / 100_000_000_000;
        prop_assert_eq!(nanos, i128::from(spend));
        prop_assert_eq!(cell("BilledCost").parse::<Money>().expect("money").0, spend);
    }
}

#[test]
fn the_specifications_columns_are_ascii_and_ours_have_the_names_in_full() {
    let at = month().and_time(chrono::NaiveTime::MIN).and_utc();
    let charge = focus::Charge {
        account: ("org", "Zürich AG"),
        billed: (at, at),
        made: (at, at),
        correction: true,
        group: ("g", "Vertrieb / Süd"),
        application: ("a", "Yılmaz"),
        user: Some(("u", "Yılmaz")),
        model: ("m", "größer"),
        provider: "Örtlich",
        sums: Sums { calls: 1, input: 3, spend: Money(7), ..Sums::default() },
    };
    let read = domain::csv::read(&(focus::head() + &focus::line(&charge))).expect("a table");
    let cells: HashMap<&str, &str> =
        read[0].cells.iter().map(String::as_str).zip(read[1].cells.iter().map(String::as_str)).collect();
    for (name, cell) in &cells {
        // Tags are JSON, and may have any letter.
        assert!(name.starts_with("x_") || *name == "Tags" || cell.is_ascii(), "{name}: {cell}");
    }
    assert_eq!((cells["ResourceName"], cells["BillingAccountName"]), ("Y?lmaz", "Z?rich AG"));
    for (name, full) in [
        ("x_BillingAccountName", "Zürich AG"),
        ("x_GroupPath", "Vertrieb / Süd"),
        ("x_ApplicationName", "Yılmaz"),
        ("x_UserName", "Yılmaz"),
        ("x_Model", "größer"),
        ("x_ProviderName", "Örtlich"),
    ] {
        assert_eq!(cells[name], full, "{name}");
    }
    let mut folded: Vec<String> = focus::COLUMNS.iter().map(|name| name.to_lowercase()).collect();
    folded.sort();
    folded.dedup();
    assert_eq!(folded.len(), focus::COLUMNS.len(), "no two columns differ in case only");
}

#[test]
fn shares_are_to_the_nearest_tenth_of_a_per_cent() {
    for (of, whole, expected) in [(1, 3, 333), (2, 3, 667), (0, 0, 0), (5, 0, 0), (1, 2000, 1), (7, 7, 1000)]
    {
        assert_eq!(share(Money(of), Money(whole)), expected, "{of} of {whole}");
    }
}
