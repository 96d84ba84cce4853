//! The rules of the house that a look at the text can check.
//!
//! They stand in ARCHITECTURE.md; here each is one function that returns what it found.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::citus::{self, File};
use crate::command::ask;
use crate::database;
use crate::files;
use crate::outcome::{Outcome, Trying, fail};
use crate::rust_text::{Source, take_apart};
use crate::workspace::Workspace;

/// What stands at the top: the rooms, and what every project has beside them.
const ROOMS: [&str; 9] =
    ["Cargo.toml", "Cargo.lock", "app", "server", "frontend", "style", "migrations", "end2end", "README.md"];
const BESIDE: [&str; 12] = [
    ".cargo",
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "SECURITY.md",
    "clippy.toml",
    "compose.yaml",
    "deny.toml",
    "rustfmt.toml",
];

/// Words that would bring the world into the rules.
const IMPURE: [&str; 9] =
    ["async", "await", "Utc::now", "SystemTime::now", "Instant::now", "rand", "sqlx", "axum", "leptos"];

/// Names that say nothing.
const EMPTY_NAMES: [&str; 7] = ["common", "util", "utils", "helper", "helpers", "misc", "shared"];

/// How a statement begins, and what follows before its end.
const STATEMENTS: [(&str, &str); 5] =
    [("select", " from "), ("insert", " into "), ("update", " set "), ("delete", " from "), ("with", " as ")];

/// Checks every rule and fails with everything found.
pub fn check(workspace: &Workspace) -> Outcome {
    let rules = [top_level, names, pure_domain, sql_in_its_place, one_ssr, distributable];
    let mut findings = Vec::new();
    for rule in rules {
        findings.extend(rule(workspace)?);
    }
    if findings.is_empty() {
        return Ok(());
    }
    fail(format!("The house is not in order:\n  {}", findings.join("\n  ")))
}

/// No tenth folder of code.
fn top_level(workspace: &Workspace) -> Outcome<Vec<String>> {
    let entries = top_entries(workspace)?;
    let missing = ROOMS.iter().filter(|room| !entries.iter().any(|entry| entry == *room));
    let mut findings: Vec<String> = missing.map(|room| format!("{room}: missing at the top")).collect();
    let allowed = |entry: &str| ROOMS.contains(&entry) || BESIDE.contains(&entry);
    let unknown = entries.iter().filter(|entry| !allowed(entry));
    findings.extend(unknown.map(|entry| format!("{entry}: does not belong at the top")));
    Ok(findings)
}

/// What git knows or would take; without git, what is there.
fn top_entries(workspace: &Workspace) -> Outcome<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(&workspace.root);
    let mut entries: Vec<String> = match ask(&mut git).filter(|files| !files.is_empty()) {
        Some(files) => {
            let files = files.lines().filter(|file| workspace.root.join(file).exists());
            files.filter_map(|file| file.split('/').next()).map(str::to_owned).collect()
        }
        None => {
            let entries = fs::read_dir(&workspace.root).trying("The checkout cannot be read")?;
            let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
            names.filter(|name| name != "target" && name != ".git").collect()
        }
    };
    entries.sort();
    entries.dedup();
    Ok(entries)
}

/// No file or folder whose name says nothing.
fn names(workspace: &Workspace) -> Outcome<Vec<String>> {
    let mut findings = Vec::new();
    for file in sources(workspace)? {
        let short = workspace.short(&file);
        for part in short.iter() {
            let part = part.to_string_lossy();
            let stem = part.split('.').next().unwrap_or_default();
            if EMPTY_NAMES.contains(&stem) {
                findings.push(format!("{}: `{stem}` says nothing about what is in it", short.display()));
            }
        }
    }
    Ok(findings)
}

/// The rules know no async, clock, randomness, database, HTTP or view.
fn pure_domain(workspace: &Workspace) -> Outcome<Vec<String>> {
    let domain = workspace.root.join("app/domain");
    let mut sources = Vec::new();
    for file in files::with_extension(&domain.join("src"), "rs")? {
        sources.push((read(&file)?.code, file));
    }
    // The manifest reads like code as far as this goes: names of packages and strings.
    let manifest = domain.join("Cargo.toml");
    sources.push((read(&manifest)?.code, manifest));
    let mut findings = Vec::new();
    for (code, file) in sources {
        for (number, line) in code.iter().enumerate() {
            for word in IMPURE.iter().filter(|word| has_word(line, word)) {
                let place = workspace.short(&file).display();
                findings.push(format!("{place}:{}: the domain must not know `{word}`", number + 1));
            }
        }
    }
    Ok(findings)
}

/// SQL only in the store and the migrations.
fn sql_in_its_place(workspace: &Workspace) -> Outcome<Vec<String>> {
    let places = ["server/store", "migrations"].map(|place| workspace.root.join(place));
    let mut findings = Vec::new();
    for file in sources(workspace)? {
        if places.iter().any(|place| file.starts_with(place)) {
            continue;
        }
        let short = workspace.short(&file).display();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("sql") => findings.push(format!("{short}: SQL outside server/store")),
            Some("rs") => {
                let lines = sql_lines(&read(&file)?);
                findings.extend(lines.iter().map(|line| format!("{short}:{line}: SQL outside server/store")));
            }
            _ => {}
        }
    }
    Ok(findings)
}

/// The lines of a source that name a query macro or hold a statement.
fn sql_lines(source: &Source) -> Vec<usize> {
    let code = source.code.iter().enumerate();
    let queries = code.filter(|(_, line)| line.contains("sqlx::query")).map(|(number, _)| number + 1);
    let literals = source.literals.iter().filter(|(_, text)| is_statement(text)).map(|(line, _)| *line);
    queries.chain(literals).collect()
}

/// One `cfg` tells the two halves apart.
fn one_ssr(workspace: &Workspace) -> Outcome<Vec<String>> {
    let mut places = Vec::new();
    for file in files::with_extension(&workspace.root.join("app/src"), "rs")? {
        let text = files::read_text(&file)?;
        for (number, line) in text.lines().enumerate() {
            let squeezed: String = line.chars().filter(|character| !character.is_whitespace()).collect();
            if squeezed.contains("feature=\"ssr\"") {
                places.push(format!("{}:{}", workspace.short(&file).display(), number + 1));
            }
        }
    }
    if places.len() <= 1 {
        return Ok(Vec::new());
    }
    Ok(vec![format!("{}: `feature = \"ssr\"` may stand once in app/src", places.join(", "))])
}

/// The schema and the queries could be distributed by organization.
fn distributable(workspace: &Workspace) -> Outcome<Vec<String>> {
    let mut migrations = Vec::new();
    for file in database::migrations(workspace)? {
        let name = workspace.short(&file).display().to_string();
        migrations.push(File::new(name, &files::read_text(&file)?));
    }
    let mut queries = Vec::new();
    for file in files::with_extension(&workspace.root.join("server/store/src"), "rs")? {
        let place = workspace.short(&file).display().to_string();
        for (line, text) in read(&file)?.literals {
            if is_statement(&text) {
                queries.push(File::new(format!("{place}:{line}"), &text));
            }
        }
    }
    let mut findings = citus::check_migrations(&migrations);
    findings.extend(citus::check_queries(&migrations, &queries));
    Ok(findings)
}

/// Every file people write: of the three folders of code, the tests and the style.
fn sources(workspace: &Workspace) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in ["app", "server", "frontend", "style", "end2end", "migrations"] {
        found.extend(files::under(&workspace.root.join(folder))?);
    }
    // What was installed or produced is other people's.
    let foreign = ["node_modules", ".venv", ".sqlx", "target", "test-results"];
    found.retain(|file| !workspace.short(file).iter().any(|part| foreign.iter().any(|name| part == *name)));
    Ok(found)
}

fn read(file: &Path) -> Outcome<Source> {
    Ok(take_apart(&files::read_text(file)?))
}

/// Whether the text says this as a word of its own.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Whether a literal reads like a statement. Sentences for people begin with one capital letter,
/// statements with none or with nothing else.
fn is_statement(literal: &str) -> bool {
    // A line end may be written out, or hidden by a backslash before it.
    let text = literal.replace("\\n", " ").replace('\\', " ");
    let text = text.trim_start();
    let word: String = text.chars().take_while(char::is_ascii_alphabetic).collect();
    let shouted = word.chars().all(|character| character.is_ascii_uppercase());
    let quiet = word.chars().all(|character| character.is_ascii_lowercase());
    let spaced = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let begins_like_one = STATEMENTS
        .iter()
        .any(|(first, then)| word.eq_ignore_ascii_case(first) && spaced[first.len()..].contains(then));
    begins_like_one && (shouted || quiet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_from_sentences() {
        let cases = include_str!("cases/statements.txt").lines().skip(1);
        for (verdict, text) in cases.map(|line| line.split_at(10)) {
            assert_eq!(is_statement(text), verdict.trim() == "sql", "{text}");
        }
    }

    #[test]
    fn words_are_whole_words() {
        assert!(has_word("let a = rand::random()", "rand"));
        assert!(has_word("Utc::now()", "Utc::now"));
        assert!(!has_word("operand brand rand_bits", "rand"));
        assert!(!has_word("fn asynchronous()", "async"));
    }
}
