//! Colours of JSON.

use super::{Token, number_end, push};
use crate::theme::Ink;

/// Finds the colours of a line.
pub(super) fn lex(line: &str, tokens: &mut Vec<Token>) {
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let (end, ink) = match bytes[at] {
            b'"' => {
                let end = string_end(bytes, at);
                let is_key = line[end..].trim_start().starts_with(':');
                (end, if is_key { Ink::Call } else { Ink::Text })
            }
            b'-' | b'0'..=b'9' => (number_end(bytes, at), Ink::Number),
            b'a'..=b'z' => {
                let end = at + bytes[at..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
                (end, if matches!(&line[at..end], "true" | "false" | "null") { Ink::Keyword } else { Ink::Plain })
            }
            _ => (at + 1, Ink::Plain),
        };
        push(tokens, end, ink);
        at = end;
    }
}

/// Behind the closing `"`, or the line's end.
fn string_end(line: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while let Some(byte) = line.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    line.len()
}
