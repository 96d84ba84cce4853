//! What keeps the schema fit to be distributed over several Postgres servers by `org_id`.
//!
//! A table with a column `org_id` belongs to an organization; every other table is shared by all,
//! and would become a reference table or stay local. These are the rules a look at the text can
//! check; the rest shows on a real cluster only.

use std::collections::BTreeSet;

use crate::sql_text::{Statement, parenthesized, parts, statements};

/// What two servers would not answer alike, or only one of them could know.
const VOLATILE: [&str; 5] =
    ["now()", "clock_timestamp()", "random()", "gen_random_uuid()", "current_timestamp"];

/// One file of SQL.
pub struct File {
    /// How findings call it.
    pub name: String,
    statements: Vec<Statement>,
}

impl File {
    /// Takes a file apart.
    pub fn new(name: impl Into<String>, sql: &str) -> File {
        File { name: name.into(), statements: statements(sql) }
    }
}

/// Everything in the migrations that could not be distributed.
pub fn check_migrations(files: &[File]) -> Vec<String> {
    let tenants = tenants(files);
    let mut findings = Vec::new();
    for (file, statement) in all(files) {
        let mut find = |what: String| findings.push(format!("{}:{}: {what}", file.name, statement.line));
        check_definition(&statement.text, &tenants, &mut find);
        check_statement(&statement.text, &tenants, &mut find);
    }
    findings
}

/// Everything in queries that the distributed tables of these migrations would refuse.
pub fn check_queries(migrations: &[File], queries: &[File]) -> Vec<String> {
    let tenants = tenants(migrations);
    let mut findings = Vec::new();
    for (file, statement) in all(queries) {
        check_statement(&statement.text, &tenants, &mut |what| {
            findings.push(format!("{}: {what}", file.name))
        });
    }
    findings
}

fn all(files: &[File]) -> impl Iterator<Item = (&File, &Statement)> {
    files.iter().flat_map(|file| file.statements.iter().map(move |statement| (file, statement)))
}

/// The tables that belong to an organization.
fn tenants(files: &[File]) -> BTreeSet<String> {
    let tables = all(files).filter_map(|(_, statement)| created(&statement.text));
    let tenants = tables.filter(|(_, columns)| columns.iter().any(|column| first_word(column) == "org_id"));
    tenants.map(|(name, _)| name.to_owned()).collect()
}

/// The name and the columns and constraints of `create table`. Partitions have none of their own.
fn created(text: &str) -> Option<(&str, Vec<&str>)> {
    let rest = text.strip_prefix("create table ").or_else(|| text.strip_prefix("create unlogged table "))?;
    let rest = rest.trim_start_matches("if not exists ");
    let name = first_word(rest);
    let after = rest[name.len()..].trim_start();
    after.starts_with('(').then(|| parenthesized(after).map(|inside| (name, parts(inside))))?
}

/// The table and what is added to it by `alter table`.
fn added(text: &str) -> Option<(&str, Vec<&str>)> {
    let rest = text.strip_prefix("alter table ")?;
    let rest = rest.trim_start_matches("if exists ").trim_start_matches("only ");
    let name = first_word(rest);
    let actions = parts(&rest[name.len()..]);
    let added = actions.iter().filter_map(|action| action.strip_prefix("add "));
    Some((name, added.map(|added| added.trim_start_matches("column ")).collect()))
}

fn check_definition(text: &str, tenants: &BTreeSet<String>, find: &mut impl FnMut(String)) {
    if let Some((table, elements)) = created(text) {
        let is_tenant = tenants.contains(table);
        let has_key = elements.iter().any(|element| element.contains("primary key"));
        if is_tenant && !has_key {
            find(format!("{table} has no primary key"));
        }
        elements.iter().for_each(|element| check_element(table, element, tenants, find));
    } else if let Some((table, elements)) = added(text) {
        elements.iter().for_each(|element| check_element(table, element, tenants, find));
    } else if text.starts_with("create unique index ")
        && let Some((_, on)) = text.split_once(" on ")
    {
        let table = first_word(on.trim_start_matches("only "));
        if tenants.contains(table) && !begins_with_org(on) {
            find(format!("a unique index of {table} does not begin with org_id"));
        }
    }
}

/// Checks one column or constraint.
fn check_element(table: &str, element: &str, tenants: &BTreeSet<String>, find: &mut impl FnMut(String)) {
    let constraint = match element.strip_prefix("constraint ") {
        Some(named) => named[first_word(named).len()..].trim_start(),
        None => element,
    };
    let is_constraint = ["primary key", "unique", "foreign key", "exclude", "check"]
        .iter()
        .any(|kind| constraint.starts_with(kind));
    let of_org = if is_constraint { begins_with_org(constraint) } else { first_word(element) == "org_id" };
    if tenants.contains(table) {
        if !is_constraint && of_org {
            let not_null = element.contains("not null") || element.contains("primary key");
            if !element.starts_with("org_id uuid") || !not_null {
                find(format!("{table}.org_id must be `uuid not null`"));
            }
        }
        for kind in ["primary key", "unique", "exclude"] {
            let is_one = if is_constraint { constraint.starts_with(kind) } else { says(element, kind) };
            let of_org = of_org || (kind == "exclude" && constraint.contains("org_id with ="));
            if is_one && !of_org {
                find(format!("a {kind} of {table} does not begin with org_id"));
            }
        }
    }
    check_reference(table, constraint, of_org, tenants, find);
}

fn check_reference(
    table: &str,
    element: &str,
    of_org: bool,
    tenants: &BTreeSet<String>,
    find: &mut impl FnMut(String),
) {
    let Some((_, rest)) = element.split_once("references ") else { return };
    let target = first_word(rest);
    if tenants.contains(target) && !tenants.contains(table) {
        find(format!("{table} belongs to no organization and must not refer to {target}, which does"));
    } else if tenants.contains(target) && !of_org {
        find(format!("a foreign key of {table} to {target} does not begin with org_id"));
    }
    if of_org && rest.contains("on delete set ") {
        find(format!("a foreign key of {table} sets columns on delete: set them in the same transaction"));
    }
}

/// Checks what a migration and a query may both do.
fn check_statement(text: &str, tenants: &BTreeSet<String>, find: &mut impl FnMut(String)) {
    if let Some((before, conflict)) = text.split_once(" on conflict ")
        && let Some((_, into)) = before.rsplit_once("insert into ")
        && tenants.contains(first_word(into))
    {
        check_conflict(first_word(into), conflict, find);
    }
    if text.contains("set_config(") || (text.contains("set app.") && !text.contains("set local app.")) {
        find("a setting reaches other servers only by `set local` in a transaction".to_owned());
    }
    if text.starts_with("create policy ") && text.contains("(select ") {
        find("a policy must not ask a query".to_owned());
    }
}

/// What stands before the parenthesis that closes what the text stands in: an upsert can be a part of
/// a statement.
fn within(text: &str) -> &str {
    let mut depth = 0_i32;
    for (place, letter) in text.char_indices() {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        if depth < 0 {
            return &text[..place];
        }
    }
    text
}

fn check_conflict(table: &str, conflict: &str, find: &mut impl FnMut(String)) {
    let target = if conflict.starts_with('(') { parenthesized(conflict) } else { None };
    if target.is_some_and(|target| !parts(target).contains(&"org_id")) {
        find(format!("the conflict target of an insert into {table} lacks org_id"));
    }
    let Some((_, update)) = conflict.split_once("do update set ") else { return };
    let update = update.split(" returning ").next().unwrap_or(update);
    let update = within(update);
    for volatile in VOLATILE.iter().filter(|volatile| update.contains(*volatile)) {
        find(format!("an upsert of {table} uses {volatile}: pass it as a value and use `excluded`"));
    }
    if update.split_once(" where ").is_some_and(|(_, filter)| filter.contains("select ")) {
        find(format!("an upsert of {table} asks a query in its `where`"));
    }
}

/// Whether the first parentheses begin with `org_id`.
fn begins_with_org(text: &str) -> bool {
    parenthesized(text).is_some_and(|inside| parts(inside).first() == Some(&"org_id"))
}

/// Whether a column definition says this outside parentheses.
fn says(element: &str, word: &str) -> bool {
    let mut depth = 0;
    let outside: String = element
        .chars()
        .filter(|character| {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            depth == 0
        })
        .collect();
    outside.contains(&format!(" {word}"))
}

fn first_word(text: &str) -> &str {
    let end = text.find([' ', '(']).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISTRIBUTABLE: &str = include_str!("cases/distributable.txt");
    const OFFENCES: &str = include_str!("cases/offences.txt");

    #[test]
    fn a_schema_by_organization_passes() {
        assert_eq!(check_migrations(&[File::new("good", DISTRIBUTABLE)]), Vec::<String>::new());
    }

    #[test]
    fn each_rule_finds_its_own_offence() {
        let lines: Vec<&str> = OFFENCES.lines().skip(1).collect();
        for pair in lines.chunks(2) {
            let expected = pair[0].strip_prefix("-- finds: ").unwrap();
            let found = check_migrations(&[File::new("good", DISTRIBUTABLE), File::new("more", pair[1])]);
            assert!(found.len() == 1 && found[0].contains(expected), "{}\n{found:?}", pair[1]);
            assert!(found[0].starts_with("more:1:"), "{found:?}");
        }
        assert_eq!(lines.len(), 40);
    }

    #[test]
    fn queries_are_checked_against_the_tables_of_the_migrations() {
        let query = OFFENCES.lines().find(|line| line.ends_with("do nothing;")).unwrap();
        let found = check_queries(&[File::new("good", DISTRIBUTABLE)], &[File::new("users.rs:7", query)]);
        assert_eq!(found, ["users.rs:7: the conflict target of an insert into users lacks org_id"]);
    }
}
