//! The description of every query, which lets us build without a Postgres.
//!
//! `sqlx::query!` checks a query against a real database while it compiles, and can write down what
//! it learned. This does what `cargo sqlx prepare` does, without that tool.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use crate::files::{self, Inputs, Stamp};
use crate::outcome::{Outcome, Trying, fail};
use crate::workspace::Workspace;
use crate::{command, database};

/// Renews `server/store/.sqlx`, or only checks that it is up to date.
pub fn queries(workspace: &Workspace, check: bool) -> Outcome {
    let mut cargo = command::cargo(workspace, ["check", "--package", "store", "--all-targets"]);
    cargo.args(["--all-features", "--locked"]);
    queries_by(workspace, check, cargo)
}

/// The same, with another command that compiles the store.
pub fn queries_by(workspace: &Workspace, check: bool, cargo: Command) -> Outcome {
    let place = workspace.root.join("server/store/.sqlx");
    // What has been found up to date stays so until one of these changes.
    if stamp(workspace, &place)?.is_fresh() {
        return Ok(());
    }
    let fresh = workspace.scratch("sqlx");
    files::remove_folder(&fresh)?;
    fs::create_dir_all(&fresh).trying("The place for new descriptions cannot be made")?;
    describe(workspace, &fresh, cargo)?;

    let differences = differences(&contents(&place)?, &contents(&fresh)?);
    if !differences.is_empty() && check {
        return fail(format!(
            "server/store/.sqlx is out of date: {}. Run `cargo xtask prepare` and commit what it changes.",
            differences.join(", ")
        ));
    }
    if !differences.is_empty() {
        replace(&place, &fresh)?;
        eprintln!("server/store/.sqlx: {}", differences.join(", "));
    }
    files::remove_folder(&fresh)?;
    stamp(workspace, &place)?.set()
}

/// Everything the descriptions depend on, and they themselves.
fn stamp(workspace: &Workspace, place: &Path) -> Outcome<Stamp> {
    let store = workspace.root.join("server/store");
    let mut inputs = Inputs::new().files(&files::with_extension(&store, "rs")?)?;
    inputs = inputs.files(&database::migrations(workspace)?)?;
    inputs = inputs.file(&store.join("Cargo.toml"))?.file(&workspace.root.join("Cargo.lock"))?;
    Ok(Stamp::new(workspace, "sqlx", inputs.files(&files::under(place)?)?))
}

/// Compiles the store against a fresh database; every query leaves a file in the folder.
fn describe(workspace: &Workspace, folder: &Path, mut cargo: Command) -> Outcome {
    let (cluster, url) = database::migrated(workspace)?;
    cargo.env("DATABASE_URL", url).env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", folder);
    let root = workspace.root.join("server/store/src/lib.rs");
    // Cargo does not know that the macros look at a database: only a changed source makes it
    // expand them again. The time is put back afterwards, or else everything above the store
    // would be built again for nothing.
    let before = fs::metadata(&root).and_then(|found| found.modified());
    let before = before.trying(format!("Cannot read {}", root.display()))?;
    touch(&root, SystemTime::now())?;
    let checked = command::run(workspace, &mut cargo, "Mend what the compiler says.");
    touch(&root, before)?;
    cluster.stop()?;
    checked
}

fn touch(file: &Path, time: SystemTime) -> Outcome {
    let opened = File::options().append(true).open(file);
    let touched = opened.and_then(|opened| opened.set_modified(time));
    touched.trying(format!("Cannot touch {}", file.display()))
}

fn contents(folder: &Path) -> Outcome<BTreeMap<String, Vec<u8>>> {
    let files = files::with_extension(folder, "json")?;
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, files::read(path)?))
    };
    files.iter().map(read).collect()
}

/// How many descriptions are missing, different or left over, in words.
fn differences(old: &BTreeMap<String, Vec<u8>>, new: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let missing = new.keys().filter(|name| !old.contains_key(*name)).count();
    let left_over = old.keys().filter(|name| !new.contains_key(*name)).count();
    let different =
        new.iter().filter(|(name, text)| old.get(*name).is_some_and(|found| found != *text)).count();
    [(missing, "new"), (different, "changed"), (left_over, "no longer used")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect()
}

/// Puts the new folder in place of the old one in two renames, so that it is never half there.
fn replace(place: &Path, fresh: &Path) -> Outcome {
    let what = format!("Cannot replace {}", place.display());
    let new = place.with_extension("new");
    let old = place.with_extension("old");
    files::remove_folder(&new)?;
    files::remove_folder(&old)?;
    // The target folder may be on another file system, across which nothing can be renamed.
    files::copy_folder(fresh, &new)?;
    if place.exists() {
        fs::rename(place, &old).trying(&what)?;
    }
    if new.exists() {
        fs::rename(&new, place).trying(&what)?;
    }
    files::remove_folder(&old)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(entries: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        entries.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn differences_are_counted_by_kind() {
        let old = set(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let new = set(&[("a", "1"), ("b", "2"), ("d", "1"), ("e", "1")]);
        assert_eq!(differences(&old, &new), ["2 new", "1 changed", "1 no longer used"]);
        assert!(differences(&old, &old).is_empty());
    }
}
