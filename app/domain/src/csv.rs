//! Tables as text (RFC 4180), as spreadsheets open them.

/// What a spreadsheet would take for the start of a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// One line of a table, its end included.
pub fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let cells: Vec<String> = cells.into_iter().map(cell).collect();
    format!("{}\r\n", cells.join(","))
}

/// A cell that is text and stays text: what would be a formula gets an apostrophe in front, and so
/// does what has one already, so that both can be told apart again.
fn cell(text: &str) -> String {
    let guarded = text.starts_with(FORMULA) || text.starts_with('\'');
    let text = if guarded { format!("'{text}") } else { text.to_owned() };
    let quoted = text.contains(['"', ',', ';', '\r', '\n']) || text.trim() != text;
    if quoted { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// A line of a table that was read: where it starts, and its cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// Its cells.
    pub cells: Vec<String>,
}

/// What parts the cells of a table, by its first line: spreadsheets write semicolons or tabs where commas
/// are for decimals.
fn separator(text: &str) -> char {
    let mut quoted = false;
    let first = text.trim_start_matches(['\u{feff}', '\r', '\n']).chars();
    let plain: Vec<char> = first
        .take_while(|letter| {
            quoted ^= *letter == '"';
            quoted || *letter != '\n'
        })
        .scan(false, |quoted, letter| {
            *quoted ^= letter == '"';
            Some((*quoted, letter))
        })
        .filter_map(|(quoted, letter)| (!quoted).then_some(letter))
        .collect();
    [',', ';', '\t'].into_iter().find(|mark| plain.contains(mark)).unwrap_or(',')
}

/// Reads a table whose cells are parted by commas, semicolons or tabs. Empty lines are left out.
///
/// # Errors
/// The number of the line with a quotation mark that is never closed.
pub fn read(text: &str) -> Result<Vec<Line>, usize> {
    let separator = separator(text);
    let mut lines = Vec::new();
    let mut line = Line { number: 1, cells: Vec::new() };
    let (mut cell, mut quoted, mut number) = (String::new(), false, 1);
    let mut letters = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(letter) = letters.next() {
        number += usize::from(letter == '\n');
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => cell.extend(letters.next()),
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => quoted = true,
            mark if mark == separator && !quoted => line.cells.push(plain(std::mem::take(&mut cell))),
            '\r' if !quoted && letters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                line.cells.push(plain(std::mem::take(&mut cell)));
                lines.push(std::mem::replace(&mut line, Line { number, cells: Vec::new() }));
            }
            letter => cell.push(letter),
        }
    }
    if quoted {
        return Err(line.number);
    }
    line.cells.push(plain(cell));
    lines.push(line);
    lines.retain(|line| line.cells.iter().any(|cell| !cell.is_empty()));
    Ok(lines)
}

/// A cell without the apostrophe that was put before what would be a formula.
fn plain(cell: String) -> String {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(FORMULA) || rest.starts_with('\'') => rest.to_owned(),
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_written_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "'=1"] {
            let written = line([text]);
            let shown = written.trim_start_matches('"');
            assert!(shown.starts_with('\''), "{written}");
        }
        assert_eq!(line(["Ann-Marie", "a@b.example", "1=1"]), "Ann-Marie,a@b.example,1=1\r\n");
    }

    #[test]
    fn cells_with_quotes_commas_and_breaks_are_quoted() {
        assert_eq!(
            line(["a \"b\"", "c,d", "e\nf", "", " g"]),
            "\"a \"\"b\"\"\",\"c,d\",\"e\nf\",,\" g\"\r\n"
        );
    }

    #[test]
    fn what_was_written_is_read_back_the_same() {
        let rows = [["=1+1", "'=1", "''", "-"], ["a \"b\"", "c,d", "e\nf\r\ng", ""], ["", " g ", "ü;ö", "'"]];
        let text: String = rows.iter().map(|row| line(row.iter().copied())).collect();
        let read = read(&text).expect("a table");
        assert_eq!(read.iter().map(|line| line.cells.clone()).collect::<Vec<_>>(), rows);
        assert_eq!(read.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 2, 5]);
    }

    #[test]
    fn what_others_write_is_read_too() {
        let read = |text: &str| read(text).map(|lines| lines.into_iter().map(|line| line.cells).collect());
        assert_eq!(
            read("\u{feff}a,b\n\n1,2"),
            Ok(vec![vec!["a".to_owned(), "b".into()], vec!["1".into(), "2".into()]])
        );
        let cells = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        assert_eq!(read("a;b\n1,5;\"2;3\""), Ok(vec![cells(&["a", "b"]), cells(&["1,5", "2;3"])]));
        assert_eq!(read("a\tb\n1,5\t2;3"), Ok(vec![cells(&["a", "b"]), cells(&["1,5", "2;3"])]));
        assert_eq!(read("\"a;b\",c\n1,2"), Ok(vec![cells(&["a;b", "c"]), cells(&["1", "2"])]));
        assert_eq!(read("a\nb;c"), Ok(vec![cells(&["a"]), cells(&["b;c"])]), "the first line says it");
        assert_eq!(read("a\nb,\"c\nd"), Err(2));
        assert_eq!(read(""), Ok(Vec::new()));
    }
}
