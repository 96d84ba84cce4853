//! A table of people, read cell by cell.

use std::collections::{BTreeSet, HashMap, HashSet};

use domain::{
    batches::{Effect, Undo},
    csv,
    ids::{GroupId, UserId},
    keys::Fallen,
    money::{Money, grouped},
    names::{Email, Name},
    users::{Role, UserStatus},
};
use store::imports::{Imported, Problem, Row};

use crate::{error::AppError, frame::Differs};

/// Columns that say something.
pub const READ: [&str; 5] = ["name", "email", "role", "groups", "monthly_limit"];
/// Columns of an export that a table does not change: figures, and what somebody is, which has to be so.
const LEFT_OUT: [&str; 3] = ["status", "month_to_date", "last_call"];
/// How many people a table has at most, whether or not it changes them: all of it is in memory while it is
/// compared, and a form is not larger.
const ROWS_MAX: usize = 100_000;
/// How many problems are told at once.
const TOLD: usize = 100;

/// Reads a table: the lines that can be read, and what is wrong with the others.
///
/// # Errors
/// About the field `csv`, when it is no such table.
pub fn read(text: &str, paths: &[(GroupId, String)]) -> Result<(Vec<Row>, Vec<Problem>), AppError> {
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
    let twice = columns.iter().enumerate().find(|(place, name)| columns[..*place].contains(name));
    if let Some((_, column)) = twice {
        return Err(wrong(format!(
            "Line {}: two columns are called {column}. Leave one of them out.",
            head.number
        )));
    }
    if lines.is_empty() {
        return Err(wrong(
            "There is no line below the one that names the columns: nobody to import.".to_owned(),
        ));
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
        if line.cells.len() != columns.len() {
            problems.push(Problem {
                line: line.number,
                column: "number of cells",
                sentence: format!(
                    "It has {}, and the first line names {} columns. A cell with a comma in it stands in quotation marks.",
                    line.cells.len(),
                    columns.len()
                ),
            });
            continue;
        }
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
            Err(of_line) => problems.extend(of_line),
        }
    }
    Ok((rows, problems))
}

fn row<'a>(
    line: usize,
    cell: impl Fn(&str) -> Option<&'a str>,
    by_path: &HashMap<String, GroupId>,
) -> Result<Row, Vec<Problem>> {
    fn parsed<T>(line: usize, column: &'static str, text: &str) -> Result<T, Problem>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        text.parse().map_err(|error: T::Err| Problem { line, column, sentence: error.to_string() })
    }
    let some = |column| cell(column).filter(|text| !text.is_empty());
    // All that is wrong with a line is told at once.
    let mut problems = Vec::new();
    let mut groups = cell("groups").map(|_| BTreeSet::new());
    for path in cell("groups").unwrap_or_default().lines().map(str::trim).filter(|path| !path.is_empty()) {
        match (by_path.get(&path.to_lowercase()), &mut groups) {
            (Some(group), Some(groups)) => drop(groups.insert(*group)),
            _ => problems.push(Problem {
                line,
                column: "groups",
                sentence: format!("There is no group {path:?}. Write its path, like Engineering/Research; several one a line."),
            }),
        }
    }
    let email = kept(&mut problems, parsed::<Email>(line, "email", cell("email").unwrap_or_default()));
    let name = some("name").map(|text| parsed::<Name>(line, "name", text));
    let name = name.and_then(|name| kept(&mut problems, name));
    let role = some("role").map(|text| parsed::<Role>(line, "role", &text.to_lowercase()));
    let role = role.and_then(|role| kept(&mut problems, role));
    let status = some("status").map(|text| parsed::<UserStatus>(line, "status", &text.to_lowercase()));
    let status = status.and_then(|status| kept(&mut problems, status));
    let limit = match cell("monthly_limit") {
        None => None,
        Some("") => Some(None),
        Some(text) => kept(&mut problems, parsed::<Money>(line, "monthly_limit", text)).map(Some),
    };
    match email.filter(|_| problems.is_empty()) {
        Some(email) => {
            let suspended = status.map(|status| status == UserStatus::Suspended);
            Ok(Row { line, email, name, role, groups, suspended, limit })
        }
        None => Err(problems),
    }
}

/// What could be read; else what is wrong goes to the rest of it.
fn kept<T>(problems: &mut Vec<Problem>, read: Result<T, Problem>) -> Option<T> {
    read.map_err(|problem| problems.push(problem)).ok()
}

/// What is in the way, if anything is: a line for each, and what the others come to.
pub fn told(mut problems: Vec<Problem>, imported: &Imported) -> Option<AppError> {
    problems.extend(imported.problems.iter().cloned());
    problems.sort_by_key(|problem| problem.line);
    let lines = problems.iter().map(|problem| problem.line).collect::<HashSet<_>>().len();
    let mut text = match lines {
        0 => return None,
        1 => "Nothing is imported: 1 line needs another look.".to_owned(),
        lines => format!("Nothing is imported: {} lines need another look.", grouped(lines as u64)),
    };
    let others = Counts::of(imported).in_words();
    if !others.is_empty() {
        text += &format!(" Of the others: {others}.");
    }
    for problem in problems.iter().take(TOLD) {
        text += &format!("\nLine {}, {}: {}", problem.line, problem.column, problem.sentence.trim_end());
        if !text.ends_with(['.', '!', '?']) {
            text.push('.');
        }
    }
    match problems.len().saturating_sub(TOLD) {
        0 => {}
        more => text += &format!("\nAnd {} more, shown once these are mended.", grouped(more as u64)),
    }
    Some(AppError::field("csv", text))
}

/// Whether a difference is that somebody leaves a group.
const fn leaves(effect: &Effect) -> bool {
    matches!(effect.undo, Some(Undo::Join { .. }))
}

/// How many people a table makes what of.
struct Counts {
    new: usize,
    changed: usize,
    leave: usize,
}

impl Counts {
    fn of(imported: &Imported) -> Self {
        let people = |is: &dyn Fn(&Effect) -> bool| {
            let of = imported.effects.iter().filter(|effect| is(effect));
            of.map(|effect| effect.email.as_str()).collect::<HashSet<_>>().len()
        };
        let new = people(&|effect| effect.undo == Some(Undo::Added));
        Self { new, changed: people(&|_| true).saturating_sub(new), leave: people(&leaves) }
    }

    /// `2 new, 3 changed, 1 of whom leaves a group`.
    fn in_words(&self) -> String {
        let count = |count: usize| grouped(count as u64);
        let mut words = Vec::new();
        if self.new > 0 {
            words.push(format!("{} new", count(self.new)));
        }
        if self.changed > 0 {
            words.push(format!("{} changed", count(self.changed)));
        }
        match self.leave {
            0 => {}
            1 => words.push("1 leaves a group".to_owned()),
            leave => words.push(format!("{} leave a group", count(leave))),
        }
        words.join(", ")
    }
}

/// What would change, or changed, in a sentence.
pub fn counted(imported: &Imported, rows: usize) -> String {
    match imported.effects.len() {
        0 if rows == 1 => "The one person in it is as the table says: there is nothing to change.".to_owned(),
        0 => {
            format!("All {} people are as the table says: there is nothing to change.", grouped(rows as u64))
        }
        _ => format!("{}.", Counts::of(imported).in_words()),
    }
}

/// How many people are shown of each kind before the import; the page of an import that was made has all.
const SHOWN: usize = 500;

/// What would change, by kind: who is new, who changes, and who leaves a group.
pub fn parts(imported: &Imported) -> Vec<Differs> {
    let new: HashSet<&str> = imported
        .effects
        .iter()
        .filter(|effect| effect.undo == Some(Undo::Added))
        .map(|effect| effect.email.as_str())
        .collect();
    let is_new = |effect: &Effect| new.contains(effect.email.as_str());
    let of = |title: &str, is: &dyn Fn(&Effect) -> bool| {
        let mut lines: Vec<(String, String, Vec<String>)> = Vec::new();
        // Those of one person stand together.
        for effect in imported.effects.iter().filter(|effect| is(effect)) {
            match lines.last_mut().filter(|(_, email, _)| *email == effect.email) {
                Some((.., what)) => what.push(effect.text.clone()),
                None => lines.push((effect.name.clone(), effect.email.clone(), vec![effect.text.clone()])),
            }
        }
        let people = lines.len();
        lines.truncate(SHOWN);
        Differs { title: title.to_owned(), people, lines }
    };
    let parts = [
        of("New", &is_new),
        of("Changed", &|effect| !is_new(effect) && !leaves(effect)),
        of("Leave a group", &|effect| !is_new(effect) && leaves(effect)),
    ];
    parts.into_iter().filter(|part| part.people > 0).collect()
}

/// What would die with it for good, and how much of whose.
pub fn dying(
    imported: &Imported,
    dead: &HashMap<UserId, usize>,
    fallen: Fallen,
) -> Option<(String, Vec<String>)> {
    let sentence = super::secrets::dying(fallen)?;
    let names: HashMap<UserId, &str> =
        imported.effects.iter().map(|effect| (effect.user, effect.name.as_str())).collect();
    let named = dead.iter().map(|(user, count)| (names.get(user).copied().unwrap_or_default(), *count));
    Some((sentence, super::secrets::of_whom(named)))
}

/// Names a difference: another one has another name.
pub fn digest(imported: &Imported, fallen: Fallen) -> String {
    super::batches::digest(imported.differences().chain(fallen.in_words()))
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
        more => format!("\nAnd {} more.", grouped(more as u64)),
    };
    let lines: String = lines.iter().map(|line| format!("\n{line}")).collect();
    AppError::Changed(format!("{why} It is now: {}{lines}{more}", counted(imported, rows)))
}
