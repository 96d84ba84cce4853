//! `bursar verify`: do the books agree, and is the log whole? Exit code 1 if not.
//!
//! Ledger against windows, against sums by day, and what is set aside against the leases; then the audit
//! chain from its first line to its head. The books are read as of one moment, while the server works.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use domain::ids::OrgId;
use store::{
    Store,
    audit::{Chain, End},
    books::Drift,
};

use crate::{
    Fatal,
    apply::say,
    config::Config,
    database::{Database, Upgrade, nothing_here},
};

/// What to verify.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Only this organization.
    #[arg(long)]
    organization: Option<String>,
    /// An end of a log that was noted before, as this prints it: the log of some organization looked at has to
    /// go on from it
    #[arg(long, value_name = "NUMBER:MARK")]
    noted: Vec<End>,
}

/// What was found of one organization.
struct Found {
    name: String,
    drift: Vec<Drift>,
    chain: Chain,
    /// Where its log ends.
    end: Option<End>,
}

/// Verifies, and says what was found.
pub async fn run(config: Config, options: Options) -> Result<ExitCode, Fatal> {
    let nothing = || nothing_here("verify", &config);
    let database = Database::look(&config, Upgrade::Refuse).await?.ok_or_else(nothing)?;
    let found = verify(&database.store, &options).await;
    let first = store::ledger::kept::first_day(&database.store).await;
    let lost = lost(&database.store, &options).await;
    database.close().await;
    let (found, lost) = (found?, lost?);
    let mut text: String = found.iter().map(report).collect();
    if let Some(first) = first? {
        let _ = writeln!(
            text,
            "The ledger begins on {first}: what was before is in sums and closed months, and is not compared."
        );
    }
    for noted in &lost {
        let _ = writeln!(text, "No log goes on from {noted}: what was there has been cut off or changed.");
    }
    say(&text)?;
    Ok(if lost.is_empty() && found.iter().all(Found::agrees) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Ends that were noted and that no log goes on from.
async fn lost(store: &Store, options: &Options) -> Result<Vec<End>, Fatal> {
    let mut lost = Vec::new();
    for noted in &options.noted {
        let mut known = false;
        for org in asked(store, options).await? {
            known = known || store::audit::goes_on_from(store, org, noted).await?;
        }
        if !known {
            lost.push(noted.clone());
        }
    }
    Ok(lost)
}

async fn asked(store: &Store, options: &Options) -> Result<Vec<OrgId>, Fatal> {
    Ok(match &options.organization {
        None => store::organizations::all(store).await?,
        Some(name) => {
            let known = store::organizations::find(store, Some(name)).await?;
            vec![known.ok_or_else(|| Fatal::new("verify", format!("there is no organization {name}")))?]
        }
    })
}

async fn verify(store: &Store, options: &Options) -> Result<Vec<Found>, Fatal> {
    let mut found = Vec::new();
    for org in asked(store, options).await? {
        found.push(look_at(store, org).await?);
    }
    Ok(found)
}

async fn look_at(store: &Store, org: OrgId) -> Result<Found, Fatal> {
    if !store::audit::fits_key(store, org).await? {
        let sentence = "this is not the one of this installation; name its file with BURSAR_MASTER_KEY_FILE";
        return Err(Fatal::new("the master key", sentence));
    }
    let calendar = store::organizations::calendar(store, org).await?;
    Ok(Found {
        name: store::organizations::get(store, org).await?.name,
        drift: store::books::drift(store, org, calendar, store::clock::now()).await?,
        chain: store::audit::verify(store, org).await?,
        end: store::audit::end(store, org).await?,
    })
}

impl Found {
    fn agrees(&self) -> bool {
        self.drift.is_empty() && matches!(self.chain, Chain::Whole { .. })
    }
}

/// One line when everything agrees, else a table of what does not.
fn report(found: &Found) -> String {
    let name = &found.name;
    let end = found.end.as_ref().map(|end| format!(", its end is {end}")).unwrap_or_default();
    let mut text = match (found.drift.len(), &found.chain) {
        (0, Chain::Whole { rows }) => {
            return format!(
                "{name}: ledger, windows and sums agree; the log is whole ({rows} lines{end}).\n"
            );
        }
        (0, Chain::Broken { .. }) => format!("{name}: ledger, windows and sums agree.\n"),
        (1, _) => format!("{name}: 1 figure has drifted from the ledger.\n"),
        (count, _) => format!("{name}: {count} figures have drifted from the ledger.\n"),
    };
    let width = found.drift.iter().map(|drift| drift.what.chars().count()).max().unwrap_or(0);
    if width > 0 {
        // Writing into a string does not fail.
        let _ =
            writeln!(text, "  {:<width$}  {:>20}  {:>20}  {:>20}", "what", "written", "ledger", "difference");
    }
    for Drift { what, is, should_be } in &found.drift {
        let difference = i128::from(*is) - i128::from(*should_be);
        let _ = writeln!(text, "  {what:<width$}  {is:>20}  {should_be:>20}  {difference:>+20}");
    }
    match &found.chain {
        Chain::Whole { rows } => {
            let _ = writeln!(text, "  The log is whole ({rows} lines{end}).");
        }
        Chain::Broken { seq } => {
            let _ = writeln!(text, "  The log is broken: line {seq} was changed, removed or put elsewhere.");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(drift: Vec<Drift>, chain: Chain) -> Found {
        Found { name: "Acme".to_owned(), drift, chain, end: Some(End { seq: 3, mark: [0xab; 8] }) }
    }

    #[test]
    fn what_drifted_is_named_with_both_figures() {
        let drift = Drift { what: "days: spend of 2026-11-22".to_owned(), is: 90, should_be: 100 };
        let text = report(&found(vec![drift], Chain::Whole { rows: 3 }));
        let row: Vec<&str> = text.lines().nth(2).unwrap().split_whitespace().collect();
        assert_eq!(row, ["days:", "spend", "of", "2026-11-22", "90", "100", "-10"]);
        assert!(text.starts_with("Acme: 1 figure has drifted"), "{text}");
    }

    #[test]
    fn true_books_and_a_whole_log_are_one_line() {
        let text = report(&found(Vec::new(), Chain::Whole { rows: 3 }));
        assert_eq!(
            text,
            "Acme: ledger, windows and sums agree; the log is whole (3 lines, its end is 3:abababababababab).\n"
        );
        let text = report(&found(Vec::new(), Chain::Broken { seq: 2 }));
        assert!(text.contains("line 2"), "{text}");
    }
}
