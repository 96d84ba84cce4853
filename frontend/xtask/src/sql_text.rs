//! SQL, taken apart just far enough to look for words in the right places.

/// One statement, in lower case, with single spaces, without comments and with empty literals.
#[derive(Debug, PartialEq, Eq)]
pub struct Statement {
    /// The line it begins on, counted from one.
    pub line: usize,
    /// What it says.
    pub text: String,
}

/// Takes SQL apart into statements.
pub fn statements(sql: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let mut text = String::new();
    let mut begin = 1;
    let mut line = 1;
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let (length, kept) = piece(rest, first);
        if text.is_empty() && !kept.trim().is_empty() {
            begin = line;
        }
        if kept == ";" {
            finish(&mut found, &mut text, begin);
        } else if kept.trim().is_empty() {
            if !text.is_empty() && !text.ends_with(' ') {
                text.push(' ');
            }
        } else {
            text.push_str(&kept.to_lowercase());
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    finish(&mut found, &mut text, begin);
    found
}

fn finish(found: &mut Vec<Statement>, text: &mut String, line: usize) {
    let said = std::mem::take(text);
    if !said.trim().is_empty() {
        found.push(Statement { line, text: said.trim().to_owned() });
    }
}

/// The length of what begins here, and what is kept of it: a space of a comment, empty quotes of a
/// literal, anything else as it is.
fn piece(rest: &str, first: char) -> (usize, &str) {
    if rest.starts_with("--") {
        return (rest.find('\n').unwrap_or(rest.len()), " ");
    }
    if rest.starts_with("/*") {
        return (rest.find("*/").map_or(rest.len(), |end| end + 2), " ");
    }
    if first == '\'' {
        let inside = rest[1..].find('\'').map_or(rest.len(), |end| end + 2);
        return (inside, "''");
    }
    if first == '$'
        && let Some(end) = rest[1..].find('$')
        && rest[1..=end].chars().all(|character| character.is_alphabetic() || character == '_')
    {
        let tag = &rest[..end + 2];
        let length = rest[tag.len()..].find(tag).map_or(rest.len(), |at| at + 2 * tag.len());
        return (length, "''");
    }
    let length = first.len_utf8();
    (length, &rest[..length])
}

/// What stands between the first opening parenthesis and the one that closes it.
pub fn parenthesized(text: &str) -> Option<&str> {
    let open = text.find('(')?;
    let mut depth = 0;
    for (at, character) in text[open..].char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&text[open + 1..open + at]);
        }
    }
    None
}

/// The parts between the commas that are in no parentheses.
pub fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut depth = 0;
    let mut begin = 0;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[begin..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_lose_comments_and_literals() {
        let sql = "-- first; not a statement\nCREATE TABLE a (\n  b text -- a 'note'\n    default 'x;y'\n);\n\
                   do $$ begin; end $$; select $1";
        let found = statements(sql);
        let texts: Vec<&str> = found.iter().map(|statement| statement.text.as_str()).collect();
        assert_eq!(texts, ["create table a ( b text default '' )", "do ''", "select $1"]);
        assert_eq!(found[0].line, 2);
    }

    #[test]
    fn parts_are_split_at_the_outer_commas_only() {
        let inside = parenthesized("t (a numeric(1, 2), check (b in (1, 2)), c) with (d)").unwrap();
        assert_eq!(parts(inside), ["a numeric(1, 2)", "check (b in (1, 2))", "c"]);
    }
}
