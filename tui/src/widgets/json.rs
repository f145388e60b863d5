//! JSON as people read and write it: set out over lines, and never changed. Numbers keep their digits and objects the
//! order of their names, because the text is taken apart and not the value.

/// An array of plain things stays on one line up to this width.
const SHORT_COLUMNS_MAX: usize = 60;
/// Columns a level is indented by.
const INDENT_COLUMNS: usize = 2;
/// Deepest level that is indented further: a value that is only brackets does not become a square of blanks.
const INDENT_LEVELS_MAX: usize = 32;

/// A piece of JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    Open(&'t str),
    Close(&'t str),
    Comma,
    Colon,
    Word(&'t str),
}

/// Takes text apart; what is no JSON comes out as words.
struct Tokens<'t>(&'t str);

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        self.0 = self.0.trim_start_matches([' ', '\t', '\r', '\n']);
        let first = self.0.bytes().next()?;
        let length = match first {
            b'{' | b'[' | b'}' | b']' | b',' | b':' => 1,
            b'"' => string_bytes(self.0),
            _ => self.0.find(|c: char| "{}[],:\" \t\r\n".contains(c)).unwrap_or(self.0.len()),
        };
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(match first {
            b'{' | b'[' => Token::Open(token),
            b'}' | b']' => Token::Close(token),
            b',' => Token::Comma,
            b':' => Token::Colon,
            _ => Token::Word(token),
        })
    }
}

/// How long the string at the beginning of the text is, with its quotes; all of it where it does not end.
fn string_bytes(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The text without blanks between its parts: what is stored.
pub(crate) fn squeezed(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    for token in Tokens(text) {
        squeezed.push_str(as_text(token));
    }
    squeezed
}

/// The text over lines: what is shown and edited.
pub(crate) fn set_out(text: &str) -> String {
    let mut setter = Setter::default();
    let mut tokens = Tokens(text);
    while let Some(token) = tokens.next() {
        if let Token::Open(open) = token
            && let Some((short, rest)) = short(open, tokens.0)
        {
            setter.out.push_str(&short);
            tokens.0 = rest;
            continue;
        }
        setter.take(token);
    }
    setter.out
}

#[derive(Default)]
struct Setter {
    out: String,
    depth: usize,
}

impl Setter {
    fn take(&mut self, token: Token<'_>) {
        if let Token::Close(_) = token {
            self.depth = self.depth.saturating_sub(1);
            self.end_line();
        }
        self.out.push_str(as_text(token));
        match token {
            Token::Open(_) => {
                self.depth += 1;
                self.end_line();
            }
            Token::Comma => self.end_line(),
            Token::Colon => self.out.push(' '),
            _ => {}
        }
    }

    fn end_line(&mut self) {
        let blank = self.depth.min(INDENT_LEVELS_MAX) * INDENT_COLUMNS;
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', blank));
    }
}

/// The whole of an array of plain things, or of what is empty, where it is short; and what comes after it.
fn short<'t>(open: &str, text: &'t str) -> Option<(String, &'t str)> {
    let mut line = open.to_owned();
    let mut tokens = Tokens(text);
    loop {
        match tokens.next()? {
            Token::Close(close) => {
                line.push_str(close);
                return Some((line, tokens.0));
            }
            // An object with something in it always goes over lines.
            _ if open == "{" => return None,
            Token::Open(_) | Token::Colon => return None,
            Token::Comma => line.push_str(", "),
            Token::Word(word) => line.push_str(word),
        }
        if line.len() > SHORT_COLUMNS_MAX {
            return None;
        }
    }
}

fn as_text(token: Token<'_>) -> &str {
    match token {
        Token::Open(text) | Token::Close(text) | Token::Word(text) => text,
        Token::Comma => ",",
        Token::Colon => ":",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn a_value_is_set_out_as_people_write_it() {
        let text = r#"{"title":"a \"b\" {c}","n":12345678901234567890.10,"tags":["x","y"],"deep":{"a":[1,{"b":null}]},"e":{},"f":[]}"#;
        let shown = r#"{
  "title": "a \"b\" {c}",
  "n": 12345678901234567890.10,
  "tags": ["x", "y"],
  "deep": {
    "a": [
      1,
      {
        "b": null
      }
    ]
  },
  "e": {},
  "f": []
}"#;
        assert_eq!(set_out(text), shown);
        assert_eq!(squeezed(shown), text, "and back without a digit or the order lost");
        assert_eq!(set_out("3"), "3");
        assert_eq!(set_out(""), "");
    }

    proptest! {
        #[test]
        fn any_text_is_shown_and_none_is_lost(text in "[\\[\\]{}:,\" a1\\\\\n]{0,60}") {
            let blanks = |text: &str| text.replace([' ', '\n'], "");
            prop_assert_eq!(blanks(&set_out(&text)), blanks(&text));
        }

        #[test]
        fn a_value_means_the_same_set_out_and_squeezed(n in any::<i64>(), s in ".{0,20}", b in any::<bool>()) {
            let value = serde_json::json!({ "n": n, "s": [s.clone(), b, { s: null }], "e": [] });
            let text = value.to_string();
            prop_assert_eq!(&serde_json::from_str::<Value>(&set_out(&text)).unwrap(), &value);
            prop_assert_eq!(&serde_json::from_str::<Value>(&squeezed(&set_out(&text))).unwrap(), &value);
        }
    }
}
