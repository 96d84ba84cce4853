//! A table of people, read cell by cell.

use std::collections::{BTreeSet, HashMap, HashSet};

use domain::{
    batches::{Outcome, Undo, count},
    csv,
    ids::GroupId,
    money::grouped,
};
use store::imports::{Imported, Problem, Row};

use super::batches::people;
use crate::error::AppError;

/// Columns that say something.
const READ: [&str; 5] = ["name", "email", "role", "groups", "monthly_limit"];
/// Columns of an export that are figures, not settings.
const LEFT_OUT: [&str; 3] = ["status", "month_to_date", "last_call"];
/// How many people a table has at most, whether or not it changes them: all of it is in memory while it is
/// compared, and a form is not larger.
const ROWS_MAX: usize = 100_000;
/// How many problems are told at once.
const TOLD: usize = 8;

/// Reads a table.
///
/// # Errors
/// About the field `csv`: which line and column, and what is wrong.
pub fn read(text: &str, paths: &[(GroupId, String)]) -> Result<Vec<Row>, AppError> {
    let wrong = |sentence: String| AppError::field("csv", sentence);
    let lines = csv::read(text)
        .map_err(|line| wrong(format!("Line {line}: a quotation mark is opened and never closed.")))?;
    let Some((head, lines)) = lines.split_first() else {
        return Err(wrong(
            "The first line names the columns: name, email, role, groups, monthly_limit.".to_owned(),
        ));
    };
    let columns: Vec<String> = head.cells.iter().map(|cell| cell.trim().to_lowercase()).collect();
    if let Some(column) =
        columns.iter().find(|name| !READ.contains(&name.as_str()) && !LEFT_OUT.contains(&name.as_str()))
    {
        return Err(wrong(format!(
            "Line {}: there is no column {column:?}. There are {}.",
            head.number,
            READ.join(", ")
        )));
    }
    if !columns.iter().any(|name| name == "email") {
        return Err(wrong(format!(
            "Line {}: the column email is missing. It tells people apart.",
            head.number
        )));
    }
    if lines.len() > ROWS_MAX {
        return Err(wrong(format!(
            "The table has {} people; at most {} are read at once.",
            grouped(lines.len() as u64),
            grouped(ROWS_MAX as u64)
        )));
    }
    let by_path: HashMap<String, GroupId> =
        paths.iter().map(|(id, path)| (path.to_lowercase(), *id)).collect();
    let (mut rows, mut problems, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for line in lines {
        let cell = |name: &str| {
            let place = columns.iter().position(|column| column == name)?;
            Some(line.cells.get(place).map(|text| text.trim()).unwrap_or_default())
        };
        match row(line.number, cell, &by_path) {
            Ok(row) if !seen.insert(row.email.clone()) => problems.push(Problem {
                line: line.number,
                column: "email",
                sentence: "This address stands in the table twice.".to_owned(),
            }),
            Ok(row) => rows.push(row),
            Err(problem) => problems.push(problem),
        }
    }
    told(&problems).map_or(Ok(rows), Err)
}

fn row<'a>(
    line: usize,
    cell: impl Fn(&str) -> Option<&'a str>,
    by_path: &HashMap<String, GroupId>,
) -> Result<Row, Problem> {
    fn parsed<T>(line: usize, column: &'static str, text: &str) -> Result<T, Problem>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        text.parse().map_err(|error: T::Err| Problem { line, column, sentence: error.to_string() })
    }
    let some = |column| cell(column).filter(|text| !text.is_empty());
    let groups = match cell("groups") {
        None => None,
        Some(text) => {
            let mut groups = BTreeSet::new();
            for path in text.lines().map(str::trim).filter(|path| !path.is_empty()) {
                let group = by_path.get(&path.to_lowercase()).ok_or_else(|| Problem {
                    line,
                    column: "groups",
                    sentence: format!("There is no group {path:?}. Write its path, like Engineering/Research; several one a line."),
                })?;
                groups.insert(*group);
            }
            Some(groups)
        }
    };
    Ok(Row {
        line,
        email: parsed(line, "email", cell("email").unwrap_or_default())?,
        name: some("name").map(|text| parsed(line, "name", text)).transpose()?,
        role: some("role").map(|text| parsed(line, "role", &text.to_lowercase())).transpose()?,
        groups,
        limit: match cell("monthly_limit") {
            None => None,
            Some("") => Some(None),
            Some(text) => Some(Some(parsed(line, "monthly_limit", text)?)),
        },
    })
}

/// What is in the way, if anything is.
pub fn told(problems: &[Problem]) -> Option<AppError> {
    let told: Vec<String> = problems
        .iter()
        .take(TOLD)
        .map(|problem| format!("Line {}, {}: {}", problem.line, problem.column, problem.sentence))
        .collect();
    let more = match problems.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(" And {more} more."),
    };
    (!told.is_empty()).then(|| AppError::field("csv", format!("{}{more}", told.join(" "))))
}

/// What would change, or changed, in a sentence.
pub fn counted(imported: &Imported, rows: usize) -> String {
    match imported.effects.len() {
        0 => {
            format!("All {} people are as the table says: there is nothing to change.", grouped(rows as u64))
        }
        1 => "1 difference.".to_owned(),
        count => format!("{} differences.", grouped(count as u64)),
    }
}

/// How many differences are shown before the import; the page of an import that was made has all.
const SHOWN: usize = 500;

/// A line for each difference, as many as one reads: `ada@acme.example: joins Research`.
pub fn shown(imported: &Imported) -> Vec<String> {
    let mut lines: Vec<String> = imported.differences().take(SHOWN).collect();
    let more = imported.effects.len().saturating_sub(SHOWN);
    if more > 0 {
        let new = imported.effects.iter().filter(|effect| effect.undo == Some(Undo::Added)).count();
        let all = count(&imported.effects, Outcome::Changed);
        lines.push(format!(
            "… and {} more. In all {} new, {} changed. The import itself lists every one, and undoes all of them.",
            grouped(more as u64),
            people(new),
            people(all.saturating_sub(new)),
        ));
    }
    lines
}

/// Names a difference: another one has another name.
pub fn digest(imported: &Imported) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for line in imported.differences() {
        line.hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// Why nothing was imported: another difference was shown, or none. With the one it is now.
pub fn changed(imported: &Imported, rows: usize, unseen: bool) -> AppError {
    let why = if unseen {
        "Nothing was imported: look at the difference first."
    } else {
        "Nothing was imported: people or the table have changed since the difference was shown. Show it again."
    };
    let lines: Vec<String> = imported.differences().take(TOLD).collect();
    let more = match imported.effects.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(" And {more} more."),
    };
    AppError::Changed(format!("{why} It is now: {} {}{more}", counted(imported, rows), lines.join(" ")))
}
