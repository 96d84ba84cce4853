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
}
