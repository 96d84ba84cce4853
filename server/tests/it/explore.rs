//! What the explorer counts is the same wherever it stands: in the chart, in the table, in the
//! file, and in the ledger.

use domain::{
    calls::{CallLine, End, Ended},
    explore::{By, Interval, Measure},
    ids::OrgId,
    keys::{Feature, Features},
    money::Money,
    spend::Outcome,
};
use store::{Store, calls, rollups::Which};

use crate::harness::Browser;

/// Every call of an organization that ended so, by the ledger itself.
async fn lines(store: &Store, org: OrgId, which: &Which, ended: Ended) -> Vec<CallLine> {
    let calendar = store::organizations::calendar(store, org).await.expect("a calendar");
    let filter = calls::Filter { ended: Some(ended), ..Default::default() };
    let list = calls::list(store, org, calendar, which, &filter, 1_000_000).await.expect("the ledger");
    assert_eq!(list.next, None, "all of it");
    list.calls
}

/// What every finished call of an organization cost.
async fn ledger(store: &Store, org: OrgId, which: &Which) -> i64 {
    lines(store, org, which, Ended::Finished)
        .await
        .iter()
        .map(|call| match &call.end {
            End::Finished { cost, .. } => cost.0,
            End::Refused { .. } => panic!("a refused call is in the ledger"),
        })
        .sum()
}

/// An amount as programs read it: money to the nano-dollar, or a count.
fn amount(measure: Measure, text: &str) -> i64 {
    let amount = match measure {
        Measure::Spend | Measure::Saved => text.parse::<Money>().map(|money| money.0).ok(),
        _ => text.parse().ok(),
    };
    amount.unwrap_or_else(|| panic!("{text} is no amount of {measure}"))
}

/// The values of an attribute.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!("{attribute}=\"");
    html.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The values of an attribute, as money.
fn amounts(html: &str, attribute: &str) -> Vec<i64> {
    values(html, attribute).into_iter().map(|text| amount(Measure::Spend, text)).collect()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("there is no {start}"));
    rest.split_once(end).unwrap_or_else(|| panic!("{start} has no {end}")).0
}

/// Every split in every step of time: four ways to the same sum, to the nano-dollar.
pub async fn agrees_with_the_ledger(browser: &Browser, store: &Store, org: OrgId) {
    let spent = ledger(store, org, &Which::default()).await;
    assert!(spent > 0, "something was spent");
    let today = store::clock::now().date_naive();
    let (from, to) = (today - chrono::Days::new(200), today + chrono::Days::new(1));
    // Call by call, in as many parts as it takes.
    let file = browser.get(&format!("/calls.csv?from={from}&to={to}")).await;
    assert_eq!(file.headers["content-type"], "text/csv; charset=utf-8; header=present");
    let (head, lines) = file.text.split_once('\n').expect("a head");
    let place = |name: &str| head.trim().split(',').position(|column| column == name).expect("a column");
    let (id, cost) = (place("call_id"), place("cost"));
    let whence = ["group_id", "group", "key_id", "secret_id"].map(place);
    assert!(head.trim_end().ends_with(",session"), "{head}");
    let (mut ids, mut sum) = (std::collections::HashSet::new(), 0);
    for line in lines.lines() {
        let cells: Vec<&str> = line.split(',').collect();
        assert!(ids.insert(cells[id].to_owned()), "{line} is in the file twice");
        assert!(
            whence.iter().all(|place| !cells[*place].is_empty()),
            "{line} does not say where it came from"
        );
        sum += cells[cost].parse::<Money>().expect("an amount").0;
    }
    assert_eq!(sum, spent, "{} calls", ids.len());
    for by in By::ALL {
        for interval in Interval::ALL {
            let query = format!("by={by}&interval={interval}&from={from}&to={to}");
            let page = browser.get(&format!("/explore?{query}")).await;
            assert_eq!(page.status, 200, "{query}");
            let table = between(&page.text, "class=\"table wide-table\"", "</table>");
            let foot = amounts(between(table, "<tfoot>", "</tfoot>"), "data value");
            assert_eq!(
                (foot[0], foot[1..].iter().sum::<i64>()),
                (spent, spent),
                "foot of the table, {query}"
            );
            if by.overlaps() {
                // A call is in the row of each feature it used.
                continue;
            }
            let chart = between(&page.text, "class=\"large\"", "</svg>");
            assert_eq!(amounts(chart, "data-amount").iter().sum::<i64>(), spent, "chart, {query}");
            let mut sum = 0;
            for line in between(table, "<tbody>", "</tbody>").split("<tr>").skip(1) {
                let line = amounts(line, "data value");
                let (total, cells) = line.split_first().expect("a line has a sum");
                assert_eq!(*total, cells.iter().sum::<i64>(), "a line of the table, {query}");
                sum += total;
            }
            assert_eq!(sum, spent, "table, {query}");
            let file = browser.get(&format!("/explore.csv?{query}")).await;
            assert_eq!(file.headers["content-type"], "text/csv; charset=utf-8; header=present");
            // The chart has the largest and the rest together; the file has everything by its name.
            assert!(!file.text.contains(",other,"), "file, {query}");
            // No name of the demo has a comma in it.
            let sum: i64 = file
                .text
                .lines()
                .skip(1)
                .map(|line| line.split(',').nth(4).expect("an amount").parse::<Money>().expect("an amount").0)
                .sum();
            assert_eq!(sum, spent, "file, {query}");
        }
    }
}

/// How much of a measure a finished call is. None: its line in the list does not say.
fn counted(measure: Measure, line: &CallLine) -> Option<i64> {
    let End::Finished { outcome, usage, cost, cached, duration_ms, .. } = &line.end else { return None };
    let tokens = |count: u64| i64::try_from(count).ok();
    match measure {
        Measure::Spend => Some(cost.0),
        Measure::Calls => Some(1),
        Measure::Tokens => tokens(usage.tokens()),
        Measure::Input => tokens(usage.input + usage.audio_input),
        Measure::CacheRead => tokens(usage.cache_read),
        Measure::CacheWrite => tokens(usage.cache_write + usage.cache_write_long),
        Measure::Output => tokens(usage.output + usage.audio_output),
        Measure::Reasoning => tokens(usage.reasoning),
        Measure::Failed => Some(i64::from(*outcome == Outcome::UpstreamError)),
        Measure::Cached => Some(i64::from(*cached)),
        Measure::Latency => Some(*duration_ms),
        Measure::Refused | Measure::Saved | Measure::Median | Measure::Slow => None,
    }
}

/// Every measure, not only what was spent: in the chart, in the table, in its foot and in the file.
pub async fn every_measure_agrees_with_the_ledger(browser: &Browser, store: &Store, org: OrgId) {
    let finished = lines(store, org, &Which::default(), Ended::Finished).await;
    let refused = lines(store, org, &Which::default(), Ended::Refused).await;
    let today = store::clock::now().date_naive();
    let (from, to) = (today - chrono::Days::new(200), today + chrono::Days::new(1));
    let (mut compared, mut found) = (0, 0);
    for measure in Measure::ALL {
        let listed: Option<i64> = match measure {
            Measure::Refused => i64::try_from(refused.len()).ok(),
            _ => finished.iter().map(|line| counted(*measure, line)).sum(),
        };
        // What the list of calls does not say, the store is asked for in its own tests.
        let Some(listed) = listed else { continue };
        let query = format!("measure={measure}&by=application&interval=month&from={from}&to={to}");
        let page = browser.get(&format!("/explore?{query}")).await;
        assert_eq!(page.status, 200, "{query}");
        let table = between(&page.text, "class=\"table wide-table\"", "</table>");
        let read = |html: &str, attribute: &str| -> Vec<i64> {
            values(html, attribute).into_iter().map(|text| amount(*measure, text)).collect()
        };
        // What there is nothing of is not written as a number.
        let foot = read(between(table, "<tfoot>", "</tfoot>"), "data value");
        let all = foot.first().copied().unwrap_or_default();
        compared += 1;
        found += usize::from(listed > 0);
        if !measure.adds_up() {
            let calls = i64::try_from(finished.len()).expect("a count");
            assert_eq!(all, listed / calls, "mean, {query}");
            continue;
        }
        assert_eq!(all, listed, "foot of the table, {query}");
        assert_eq!(foot.iter().skip(1).sum::<i64>(), listed, "months of the foot, {query}");
        let mut sum = 0;
        for line in between(table, "<tbody>", "</tbody>").split("<tr>").skip(1) {
            let line = read(line, "data value");
            let Some((total, cells)) = line.split_first() else { continue };
            assert_eq!(*total, cells.iter().sum::<i64>(), "a line of the table, {query}");
            sum += total;
        }
        assert_eq!(sum, listed, "table, {query}");
        let chart = between(&page.text, "class=\"large\"", "</svg>");
        assert_eq!(read(chart, "data-amount").iter().sum::<i64>(), listed, "chart, {query}");
        let file = browser.get(&format!("/explore.csv?{query}")).await.text;
        // No name of the demo has a comma in it.
        let cells = file.lines().skip(1).map(|line| line.split(',').nth(4).expect("an amount"));
        assert_eq!(cells.map(|text| amount(*measure, text)).sum::<i64>(), listed, "file, {query}");
    }
    assert_eq!(compared, 12);
    assert!(found >= 8, "there is something of {found} measures");
}

/// Each feature has what its calls cost, by the ledger; the demo's programs use most of them.
pub async fn features_agree_with_the_ledger(browser: &Browser, store: &Store, org: OrgId) {
    let today = store::clock::now().date_naive();
    let (from, to) = (today - chrono::Days::new(200), today + chrono::Days::new(1));
    let file = browser.get(&format!("/explore.csv?by=feature&interval=month&from={from}&to={to}")).await.text;
    // What is in several lines is in one for all of it, too.
    let all = file.lines().filter(|line| line.split(',').nth(2) == Some("all"));
    let all = all.map(|line| line.split(',').nth(4).expect("an amount").parse::<Money>().expect("money").0);
    assert_eq!(all.sum::<i64>(), ledger(store, org, &Which::default()).await, "all");
    let mut used = 0;
    let named = Feature::ALL.iter().map(|feature| (feature.as_str(), Features::default().with(*feature)));
    for (name, features) in named.chain([("none", Features::default())]) {
        let which = Which { features: Some(features), ..Which::default() };
        let spent = ledger(store, org, &which).await;
        let lines = file.lines().filter(|line| line.split(',').nth(2) == Some(name));
        let told =
            lines.map(|line| line.split(',').nth(4).expect("an amount").parse::<Money>().expect("money").0);
        assert_eq!(told.sum::<i64>(), spent, "{name}");
        used += usize::from(spent > 0);
        // The same, narrowed to the feature and split otherwise.
        let key = if name == "none" { "-" } else { name };
        let query = format!("by=model&feature={key}&interval=month&from={from}&to={to}");
        let file = browser.get(&format!("/explore.csv?{query}")).await.text;
        let cost = |line: &str| line.split(',').nth(4).expect("an amount").parse::<Money>().expect("money").0;
        assert_eq!(file.lines().skip(1).map(cost).sum::<i64>(), spent, "{name} by model");
    }
    assert!(used >= 6, "{used} features are used");
}

/// What a part of a table counts.
fn amounts_of(html: &str) -> Vec<usize> {
    values(html, "data value").into_iter().filter_map(|text| text.parse().ok()).collect()
}

/// How many calls a list has, on all its pages.
async fn listed(browser: &Browser, href: &str) -> usize {
    let (mut href, mut count) = (href.to_owned(), 0);
    loop {
        let page = browser.get(&href).await;
        assert_eq!(page.status, 200, "{href}");
        count += page.text.matches("href=\"/calls/req_").count();
        let Some(next) = page.text.split("<a ").find(|link| link.contains("rel=\"next\"")) else {
            return count;
        };
        href = between(next, "href=\"", "\"").replace("&amp;", "&");
    }
}

/// Days that cannot be shown and words that are none leave the page as it is, with what was typed and what
/// is wrong with it; a file that cannot be what was asked for is none.
pub async fn says_what_is_odd_about_an_address(browser: &Browser) {
    for (query, sentence) in [
        ("from=2026-11-03&to=2026-11-01", "is after the last"),
        ("from=2021-11-03&to=2026-11-01", "at most 800 are shown"),
        ("from=nope", "“nope” is no day."),
        ("measure=nope", "There is nothing called “nope” to choose"),
    ] {
        let page = browser.get(&format!("/explore?{query}")).await;
        assert_eq!(page.status, 200, "{query}");
        assert!(page.text.contains(sentence), "{query}: {}", page.text);
        assert!(page.text.contains("aria-label=\"Filter\""), "{query}: the form is there");
        let file = browser.get(&format!("/explore.csv?{query}")).await;
        assert!(file.status.is_client_error() && file.text.contains(sentence), "{query}: {}", file.text);
        if let Some(from) = query.strip_prefix("from=").filter(|rest| rest.contains('&')) {
            let page = browser.get(&format!("/spend?range=own&{query}")).await;
            assert!(page.status == 200 && page.text.contains(sentence), "/spend {query}: {}", page.text);
            let typed = format!("value=\"{}\"", &from[..10]);
            assert!(page.text.contains(&typed), "{query}: what was typed stays");
        }
    }
}

/// A list of calls that cannot be filtered as asked says so and how to go on; a month that has not begun
/// shows the one that runs.
pub async fn leaves_nobody_at_a_dead_end(browser: &Browser) {
    let sentence = "There is nothing called “foo” to choose";
    let page = browser.get("/calls?outcome=foo").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains(sentence) && page.text.contains("Clear the filters"), "{}", page.text);
    assert!(page.text.contains("href=\"/calls/req_"), "the calls are there");
    let file = browser.get("/calls.csv?outcome=foo").await;
    assert!(file.status.is_client_error() && file.text.contains(sentence), "{}", file.text);
    for (month, sentence) in [("2099-01", "January 2099 has not begun."), ("foo", sentence)] {
        let page = browser.get(&format!("/spend?month={month}")).await;
        assert_eq!(page.status, 200, "{month}");
        assert!(
            page.text.contains(sentence) && page.text.contains("Month to date"),
            "{month}: {}",
            page.text
        );
    }
}

/// Are we fine is answered for other days than the month's, and for people by their own limits.
pub async fn says_whether_all_is_fine(browser: &Browser, group: &str) {
    for (query, sentence) in [
        ("", " of the limit"),
        ("?range=days", "This month: "),
        ("?range=year", "This month: "),
        ("?view=members", "monthly limit"),
        ("?view=members&range=year", "This month: Of "),
    ] {
        let page = browser.get(&format!("/spend/{group}{query}")).await;
        assert_eq!(page.status, 200, "{query}");
        let fine = between(&page.text, "Are we fine?", "</dd>");
        assert!(fine.contains(sentence), "{query}: {fine}");
        let (answers, figures) = (page.text.find("Are we fine?"), page.text.find("Against "));
        assert!(answers < figures, "{query}: it is what the page begins with");
    }
}

/// Whoever is meant is written as people write, and everything an address says has a place in the form.
pub async fn is_filtered_by_people_as_they_are_called(browser: &Browser) {
    for path in ["/calls", "/explore"] {
        let all = browser.get(&format!("{path}?user=sam%40acme.example")).await;
        assert_eq!(all.status, 200, "{path}");
        assert!(all.text.contains("class=\"chip\"") && all.text.contains("Sam"), "{path}: {}", all.text);
        for name in ["user", "use_case", "key", "view", "directly", "tier", "provider", "feature", "model"] {
            assert!(all.text.contains(&format!("name=\"{name}\"")), "{path}: {name} can be chosen");
        }
        let nobody = browser.get(&format!("{path}?user=nobody+in+particular")).await;
        assert!(nobody.text.contains("Write a name, or an address."), "{path}: {}", nobody.text);
    }
}

/// A number leads to as many calls as it says.
pub async fn numbers_lead_to_their_calls(browser: &Browser) {
    let today = store::clock::now().date_naive();
    let (from, to) = (today - chrono::Days::new(200), today + chrono::Days::new(1));
    let (mut followed, mut left_over) = (0, 0);
    for measure in ["calls", "refused", "failed"] {
        for by in By::ALL {
            let query = format!("measure={measure}&by={by}&interval=month&from={from}&to={to}");
            let page = browser.get(&format!("/explore?{query}")).await.text;
            let table = between(&page, "class=\"table wide-table\"", "</table>");
            // The smallest number of each table: its calls are on a page or two.
            let smallest = table
                .split("<a href=\"/calls?")
                .skip(1)
                .filter_map(|rest| {
                    let (href, rest) = rest.split_once('"')?;
                    let count: usize = between(rest, "data value=\"", "\"").parse().ok()?;
                    Some((count, href.replace("&amp;", "&")))
                })
                .min();
            // What is left over leads to the calls of none of those that are named.
            if let Some((_, line)) = table.split_once(">Other (") {
                let (total, _) = between(line, "<td", "</tr>").split_once("</td>").expect("a total");
                let href =
                    total.contains("<data").then(|| between(total, "href=\"", "\"").replace("&amp;", "&"));
                let href = href.unwrap_or_default();
                let count: usize = amounts_of(total).first().copied().unwrap_or_default();
                assert_eq!(href.contains("without="), count > 0, "{query}: {href}");
                if (1..=300).contains(&count) {
                    assert_eq!(listed(browser, &href).await, count, "{query}: {href}");
                    left_over += 1;
                }
                // Every number but the feet's of what overlaps is a way to its calls.
                let body = between(table, "<tbody>", "</tbody>");
                assert!(!body.contains("<td class=\"r num\"><data"), "{query}: a number leads nowhere");
            }
            let Some((count, href)) = smallest else { continue };
            assert_eq!(listed(browser, &format!("/calls?{href}")).await, count, "{query}: {href}");
            followed += 1;
        }
    }
    assert!(followed > 10, "{followed} numbers were followed");
    assert!(left_over > 0, "something is left over somewhere");
}
