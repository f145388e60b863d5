//! A source cut into its top-level statements and functions, by brackets, strings and comments alone.
//!
//! Rhai's parser stops at the first thing it does not understand. Each part parsed by itself shows what is wrong in
//! the others, too, so that an author sees all of it at once.

/// Brackets, templates and comments within one another; deeper is left to the parser, which refuses it.
const NESTING_MAX: usize = 64;

/// One top-level statement or function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part<'s> {
    /// With its semicolon, and with the comments before it.
    pub(crate) text: &'s str,
    /// Where it begins, counting from 1.
    pub(crate) line: usize,
    /// Where it begins, counting from 1, in characters.
    pub(crate) column: usize,
}

/// The parts of `source` in their order; `None` where brackets or quotes do not match, for then nobody knows where
/// one ends.
pub(crate) fn parts(source: &str) -> Option<Vec<Part<'_>>> {
    let mut scan = Scan { source, at: 0 };
    let (mut parts, mut brackets) = (Vec::new(), Vec::new());
    let (mut start, mut line, mut column) = (0, 1, 1);
    let mut first_word = "";
    while let Some(letter) = scan.peek() {
        if scan.skip_text()? {
            continue;
        }
        let here = scan.at;
        scan.at += letter.len_utf8();
        if first_word.is_empty() && !letter.is_whitespace() {
            first_word = word_at(&source[here..]);
        }
        match letter {
            '(' | '[' | '{' if brackets.len() == NESTING_MAX => return None,
            '(' => brackets.push(')'),
            '[' => brackets.push(']'),
            '{' => brackets.push('}'),
            ')' | ']' | '}' if brackets.pop() != Some(letter) => return None,
            _ => {}
        }
        let ends = brackets.is_empty()
            && match letter {
                ';' => true,
                '}' => is_block(first_word) && !goes_on(&source[scan.at..]),
                _ => false,
            };
        if ends {
            let text = &source[start..scan.at];
            parts.push(Part { text, line, column });
            (line, column) = after(text, line, column);
            (start, first_word) = (scan.at, "");
        }
    }
    if !source[start..].trim().is_empty() {
        parts.push(Part { text: &source[start..], line, column });
    }
    brackets.is_empty().then_some(parts)
}

/// Whether a statement that begins so ends with its block.
fn is_block(first_word: &str) -> bool {
    matches!(first_word, "fn" | "private" | "if" | "while" | "for" | "loop" | "switch" | "try")
}

/// Whether what follows a block belongs to the same statement.
fn goes_on(rest: &str) -> bool {
    matches!(word_at(rest.trim_start()), "else" | "catch")
}

fn word_at(text: &str) -> &str {
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(text.len());
    &text[..end.max(text.chars().next().map_or(0, char::len_utf8))]
}

/// The place after `text` that begins at `line` and `column`.
fn after(text: &str, line: usize, column: usize) -> (usize, usize) {
    match text.rfind('\n') {
        Some(last) => (line + text.matches('\n').count(), text[last + 1..].chars().count() + 1),
        None => (line, column + text.chars().count()),
    }
}

struct Scan<'s> {
    source: &'s str,
    /// In bytes.
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<char> {
        self.source[self.at..].chars().next()
    }

    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    /// Skips a comment or a string if one begins here. Answers whether one did; `None` where it does not end.
    fn skip_text(&mut self) -> Option<bool> {
        let rest = self.rest();
        if rest.starts_with("//") {
            self.at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            self.skip_comment()?;
        } else if rest.starts_with(['"', '\'']) {
            self.skip_quoted();
        } else if rest.starts_with('`') {
            self.skip_template(0)?;
        } else if rest.starts_with('#') && rest.trim_start_matches('#').starts_with('"') {
            self.skip_raw()?;
        } else {
            return Some(false);
        }
        Some(true)
    }

    /// `/* … */`, which may stand within one another.
    fn skip_comment(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            let rest = self.rest();
            if rest.starts_with("/*") {
                depth += 1;
                self.at += 2;
            } else if rest.starts_with("*/") {
                depth -= 1;
                self.at += 2;
            } else {
                self.at += rest.chars().next()?.len_utf8();
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// `"…"` or `'…'`. One that is not closed ends with its line: the parser says so, and the rest is still looked at.
    fn skip_quoted(&mut self) {
        let mut letters = self.rest().char_indices();
        let quote = letters.next().map(|(_at, quote)| quote);
        let mut escaped = false;
        let mut end = self.rest().len();
        for (at, letter) in letters {
            if escaped {
                escaped = false;
            } else if letter == '\\' {
                escaped = true;
            } else if letter == '\n' {
                end = at;
                break;
            } else if Some(letter) == quote {
                end = at + 1;
                break;
            }
        }
        self.at += end;
    }

    /// Backticks, with code between `${` and `}`.
    fn skip_template(&mut self, depth: usize) -> Option<()> {
        if depth > NESTING_MAX {
            return None;
        }
        self.at += 1;
        loop {
            let rest = self.rest();
            if rest.starts_with('`') {
                self.at += 1;
                return Some(());
            }
            if rest.starts_with("${") {
                self.at += 2;
                self.skip_code(depth + 1)?;
            } else {
                self.at += rest.chars().next()?.len_utf8();
            }
        }
    }

    /// Code within a template, up to and with its `}`.
    fn skip_code(&mut self, depth: usize) -> Option<()> {
        let mut open = 0_usize;
        loop {
            if self.rest().starts_with('`') {
                self.skip_template(depth)?;
                continue;
            }
            if self.skip_text()? {
                continue;
            }
            let letter = self.peek()?;
            self.at += letter.len_utf8();
            match letter {
                '{' => open += 1,
                '}' if open == 0 => return Some(()),
                '}' => open -= 1,
                _ => {}
            }
        }
    }

    /// `#"…"#`, with as many signs at both ends.
    fn skip_raw(&mut self) -> Option<()> {
        let rest = self.rest();
        let signs = rest.len() - rest.trim_start_matches('#').len();
        let end = ["\"", &"#".repeat(signs)].concat();
        let body = signs + 1;
        self.at += body + rest[body..].find(&end)? + end.len();
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(source: &str) -> Option<Vec<&str>> {
        parts(source).map(|parts| parts.iter().map(|part| part.text.trim()).collect())
    }

    #[test]
    fn a_source_falls_into_its_statements_and_functions() {
        for (source, expected) in [
            ("let a = 1; let b = #{ x: 1; };", Some(vec!["let a = 1;", "let b = #{ x: 1; };"])),
            ("fn f() { 1; }\nf()", Some(vec!["fn f() { 1; }", "f()"])),
            ("if a { 1; } else { 2; } b", Some(vec!["if a { 1; } else { 2; }", "b"])),
            ("let x = if a { 1 } else { 2 }; y", Some(vec!["let x = if a { 1 } else { 2 };", "y"])),
            ("try { a } catch (e) { b } c;", Some(vec!["try { a } catch (e) { b }", "c;"])),
            (
                "\";\" + ';' ; // ;\n b; /* ; /* ; */ ; */ c",
                Some(vec!["\";\" + ';' ;", "// ;\n b;", "/* ; /* ; */ ; */ c"]),
            ),
            ("`;${ f(\"}\", `${1};`) };`; b", Some(vec!["`;${ f(\"}\", `${1};`) };`;", "b"])),
            ("let r = ##\"a\"#;\"##; b", Some(vec!["let r = ##\"a\"#;\"##;", "b"])),
            ("let s = \"open\nlet t = 1;", Some(vec!["let s = \"open\nlet t = 1;"])),
            ("f( ; g()", None),
            ("} a", None),
            ("`open", None),
            ("/* open", None),
            ("", Some(vec![])),
        ] {
            assert_eq!(texts(source), expected, "{source}");
        }
    }

    #[test]
    fn a_part_knows_where_it_begins() {
        let found = parts("let ä = 1; b;\n\nfn f() { 2 } c").unwrap();
        let places: Vec<_> = found.iter().map(|part| (part.line, part.column)).collect();
        assert_eq!(places, [(1, 1), (1, 11), (1, 14), (3, 13)]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail_and_the_parts_are_the_source(source in "[-a-z ;{}()\\[\\]\"'`$#/*\\\\\n]{0,80}") {
            if let Some(parts) = parts(&source) {
                let joined: String = parts.iter().map(|part| part.text).collect();
                prop_assert!(source.starts_with(&joined));
                prop_assert!(source[joined.len()..].trim().is_empty());
            }
        }
    }
}
