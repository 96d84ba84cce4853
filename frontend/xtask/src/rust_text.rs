//! Rust source, taken apart just far enough to look for words in the right places.

/// A source file without its comments.
pub struct Source {
    /// The code, line by line, with every string literal empty.
    pub code: Vec<String>,
    /// The string literals, each with the line it begins on, counted from one.
    pub literals: Vec<(usize, String)>,
}

/// Takes a source apart.
pub fn take_apart(text: &str) -> Source {
    let mut reader = Reader { rest: text, code: String::new(), literals: Vec::new(), line: 1 };
    while !reader.rest.is_empty() {
        reader.step();
    }
    Source { code: reader.code.lines().map(str::to_owned).collect(), literals: reader.literals }
}

struct Reader<'a> {
    rest: &'a str,
    code: String,
    literals: Vec<(usize, String)>,
    line: usize,
}

impl Reader<'_> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.skip(end);
        } else if self.rest.starts_with("/*") {
            self.skip(comment_length(self.rest));
        } else if let Some((opening, closing)) = raw_quotes(self.rest) {
            let inside = &self.rest[opening..];
            let length = inside.find(&closing).unwrap_or(inside.len());
            self.literal(opening, length, closing.len());
        } else if self.rest.starts_with('"') {
            let length = literal_length(&self.rest[1..]);
            self.literal(1, length, 1);
        } else if let Some(length) = character_length(self.rest) {
            self.code.push_str("' '");
            self.skip(length);
        } else {
            self.keep_one();
        }
    }

    /// Takes one character as code, or a whole word, so that the `r` of `for"` is not taken for
    /// the beginning of a raw string.
    fn keep_one(&mut self) {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        let word = self.rest.find(|character| !is_word(character)).unwrap_or(self.rest.len());
        let first = self.rest.chars().next().map_or(0, char::len_utf8);
        let length = word.max(first);
        self.code.push_str(&self.rest[..length]);
        self.line += self.rest[..length].matches('\n').count();
        self.rest = &self.rest[length..];
    }

    fn literal(&mut self, opening: usize, length: usize, closing: usize) {
        let text = &self.rest[opening..opening + length];
        self.literals.push((self.line, text.to_owned()));
        self.code.push_str("\"\"");
        let whole = (opening + length + closing).min(self.rest.len());
        self.skip(whole);
    }

    /// Leaves something out, but keeps its line ends, so that lines keep their numbers.
    fn skip(&mut self, length: usize) {
        let lines = self.rest[..length].matches('\n').count();
        self.code.push_str(&"\n".repeat(lines));
        self.line += lines;
        self.rest = &self.rest[length..];
    }
}

/// Comments nest.
fn comment_length(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the opening of `r"`, `r#"`, `br##"` and so on, and what closes it.
fn raw_quotes(text: &str) -> Option<(usize, String)> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        let after = text.strip_prefix(prefix).map(|rest| rest.trim_start_matches('#'));
        after.is_some_and(|rest| rest.starts_with('"'))
    })?;
    let hashes = text[prefix.len()..].chars().take_while(|character| *character == '#').count();
    Some((prefix.len() + hashes + 1, format!("\"{}", "#".repeat(hashes))))
}

/// Up to the closing quote, which a backslash before it makes an ordinary character.
fn literal_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    text.len()
}

/// The length of `'a'`, `'\n'` or `'\u{1f600}'`; none for a lifetime.
fn character_length(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    if inside.starts_with('\\') {
        let end = inside.char_indices().skip(2).find(|(_, character)| *character == '\'')?.0;
        return Some(end + 2);
    }
    let first = inside.chars().next()?;
    inside[first.len_utf8()..].starts_with('\'').then_some(first.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_told_from_code() {
        let source = take_apart(
            "fn a<'x>() { // rand\n  /* sqlx /* nested */ \"no\" */ let q = '\"';\n  say(\"it \\\" is\", r#\"raw \"x\" \"#);\n}",
        );
        let code = source.code.join("\n");
        assert_eq!(code, "fn a<'x>() { \n   let q = ' ';\n  say(\"\", \"\");\n}");
        assert_eq!(source.literals, [(3, "it \\\" is".to_owned()), (3, "raw \"x\" ".to_owned())]);
    }

    #[test]
    fn lines_keep_their_numbers() {
        let source = take_apart("let a = \"one\ntwo\";\n/* x\n */ let b = b\"three\";\n");
        assert_eq!(source.literals, [(1, "one\ntwo".to_owned()), (4, "three".to_owned())]);
        assert_eq!(source.code.len(), 4);
    }

    #[test]
    fn odd_ends_do_not_get_stuck() {
        for text in ["\"open", "/* open", "r#\"open", "'", "'\\", "b'x'", "é\"ü\"'ß'"] {
            take_apart(text);
        }
    }
}
