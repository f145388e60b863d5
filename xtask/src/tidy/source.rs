//! Splits Rust source, line by line, into code, comments and the contents of string literals.
//!
//! Only as much of the language as that needs: comments (nested ones too), strings of every kind, characters.

/// One line of a source, taken apart. What is not of a kind is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Code; a string literal is `""`, a character `' '`.
    pub(crate) code: String,
    /// What comments say.
    pub(crate) comment: String,
    /// What string literals hold, one after the other.
    pub(crate) strings: String,
}

#[derive(Clone, Copy)]
enum Inside {
    Code,
    LineComment,
    /// How deep block comments are nested.
    BlockComment(u32),
    /// A string in which a backslash escapes.
    Text,
    /// A raw string and its number of `#`.
    RawText(usize),
}

/// Takes `source` apart.
pub(crate) fn lines(source: &str) -> Vec<Line> {
    let chars: Vec<char> = source.chars().collect();
    let mut lines = vec![Line::default()];
    let mut inside = Inside::Code;
    let mut at = 0;
    while at < chars.len() {
        if chars[at] == '\n' {
            if matches!(inside, Inside::LineComment) {
                inside = Inside::Code;
            }
            lines.push(Line::default());
            at += 1;
            continue;
        }
        let line = lines.last_mut().expect("there is a line from the start");
        let (next, len) = step(inside, &chars[at..], line);
        inside = next;
        at += len;
    }
    lines
}

/// Reads one lexical piece from the front of `rest` into `line`; answers what comes after and how long it was.
fn step(inside: Inside, rest: &[char], line: &mut Line) -> (Inside, usize) {
    match inside {
        Inside::Code => code(rest, line),
        Inside::LineComment => {
            line.comment.push(rest[0]);
            (inside, 1)
        }
        Inside::BlockComment(depth) => match rest {
            ['/', '*', ..] => (Inside::BlockComment(depth + 1), 2),
            ['*', '/', ..] if depth == 1 => (Inside::Code, 2),
            ['*', '/', ..] => (Inside::BlockComment(depth - 1), 2),
            _ => {
                line.comment.push(rest[0]);
                (inside, 1)
            }
        },
        Inside::Text => match rest {
            ['\\', escaped, ..] if *escaped != '\n' => {
                line.strings.push(' ');
                (inside, 2)
            }
            ['"', ..] => {
                line.strings.push(' ');
                (Inside::Code, 1)
            }
            _ => {
                line.strings.push(rest[0]);
                (inside, 1)
            }
        },
        Inside::RawText(hashes) => {
            if rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|c| *c == '#') {
                line.strings.push(' ');
                return (Inside::Code, 1 + hashes);
            }
            line.strings.push(rest[0]);
            (inside, 1)
        }
    }
}

fn code(rest: &[char], line: &mut Line) -> (Inside, usize) {
    let after_word = line.code.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
    match rest {
        ['/', '/', ..] => return (Inside::LineComment, 2),
        ['/', '*', ..] => return (Inside::BlockComment(1), 2),
        ['"', ..] => {
            line.code.push_str("\"\"");
            return (Inside::Text, 1);
        }
        ['\'', '\\', _, tail @ ..] => {
            let close = tail.iter().position(|c| *c == '\'').unwrap_or(0);
            line.code.push_str("' '");
            return (Inside::Code, 4 + close);
        }
        ['\'', _, '\'', ..] => {
            line.code.push_str("' '");
            return (Inside::Code, 3);
        }
        ['r' | 'b' | 'c', ..] if !after_word => {
            let prefix = rest.iter().take_while(|c| matches!(c, 'r' | 'b' | 'c')).count();
            let is_raw = rest[..prefix].contains(&'r');
            let hashes = if is_raw { rest[prefix..].iter().take_while(|c| **c == '#').count() } else { 0 };
            if prefix <= 2 && rest.get(prefix + hashes) == Some(&'"') {
                line.code.push_str("\"\"");
                return (if is_raw { Inside::RawText(hashes) } else { Inside::Text }, prefix + hashes + 1);
            }
        }
        _ => {}
    }
    line.code.push(rest[0]);
    (Inside::Code, 1)
}

/// The line (from 0) where the file's tests begin: `#[cfg(test)]` before a `mod`, or the end.
pub(crate) fn tests_from(lines: &[Line]) -> usize {
    lines
        .windows(2)
        .position(|pair| pair[0].code.trim() == "#[cfg(test)]" && is_inline_module(&pair[1].code))
        .unwrap_or(lines.len())
}

fn is_inline_module(code: &str) -> bool {
    let code = code.trim();
    (code.starts_with("mod ") || code.starts_with("pub(crate) mod ")) && code.ends_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(source: &str) -> (String, String, String) {
        let lines = lines(source);
        assert_eq!(lines.len(), 1, "{source}");
        (lines[0].code.clone(), lines[0].comment.clone(), lines[0].strings.trim().to_owned())
    }

    #[test]
    fn code_comments_and_strings_are_told_apart() {
        for (source, code, comment, strings) in [
            ("let a = 1; // why", "let a = 1; ", " why", ""),
            ("f(\"// no comment\")", "f(\"\")", "", "// no comment"),
            ("f(\"a \\\" b\") // c", "f(\"\") ", " c", "a   b"),
            ("f(r#\"a \" b\"#)", "f(\"\")", "", "a \" b"),
            ("f(b\"x\", br\"y\")", "f(\"\", \"\")", "", "x y"),
            ("let q = '\"'; g(\"z\")", "let q = ' '; g(\"\")", "", "z"),
            ("let q = '\\''; g()", "let q = ' '; g()", "", ""),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}", "", ""),
            ("a /* b /* c */ d */ e", "a  e", " b  c  d ", ""),
            ("for r in rows {}", "for r in rows {}", "", ""),
            ("var\"\"", "var\"\"", "", ""),
        ] {
            assert_eq!(one(source), (code.to_owned(), comment.to_owned(), strings.to_owned()), "{source}");
        }
    }

    #[test]
    fn a_string_over_several_lines_stays_a_string() {
        let lines = lines("f(\"one\n// two\nthree\") // four");
        assert_eq!(lines[1].strings, "// two");
        assert_eq!(lines[1].comment, "");
        assert_eq!(lines[2].comment, " four");
    }

    #[test]
    fn tests_begin_at_their_module() {
        assert_eq!(tests_from(&lines("a\n#[cfg(test)]\nmod tests {\n}")), 1);
        assert_eq!(tests_from(&lines("a\n#[cfg(test)]\nmod tests;\nb")), 4);
    }
}
