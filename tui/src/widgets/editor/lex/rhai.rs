//! Colours of Rhai: enough to read by, not a parser. What is really wrong the appliance says.

use super::{DEPTH_MAX, Mode, State, Token, number_end, push};
use crate::theme::Ink;

/// Words of the language. Functions that it has built in are coloured as calls.
const KEYWORDS: &[&str] = &[
    "as", "break", "catch", "const", "continue", "do", "else", "export", "false", "fn", "for", "global", "if",
    "import", "in", "let", "loop", "private", "return", "switch", "this", "throw", "true", "try", "until", "while",
];

/// Finds the colours of a line, and what the next line begins in the middle of.
pub(super) fn lex(state: &mut State, line: &str, tokens: &mut Vec<Token>) {
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        at = match state.last().copied() {
            None | Some(Mode::Code(_)) => code(state, line, at, tokens),
            Some(Mode::Comment(depth)) => comment(state, bytes, at, depth, tokens),
            Some(Mode::Text) => {
                state.pop();
                text(state, bytes, at, tokens)
            }
            Some(Mode::Backtick) => backtick(state, bytes, at, tokens),
            Some(Mode::Raw(hashes)) => raw(state, line, at, hashes, tokens),
        };
    }
    // A string that goes on ends at an empty line.
    if bytes.is_empty() && state.last() == Some(&Mode::Text) {
        state.pop();
    }
}

/// One piece of code; answers where it ends.
fn code(state: &mut State, line: &str, at: usize, tokens: &mut Vec<Token>) -> usize {
    let bytes = line.as_bytes();
    let rest = &bytes[at..];
    match rest[0] {
        b'/' if rest.starts_with(b"//") => {
            push(tokens, bytes.len(), Ink::Comment);
            bytes.len()
        }
        b'/' if rest.starts_with(b"/*") => {
            begin(state, Mode::Comment(1));
            push(tokens, at + 2, Ink::Comment);
            at + 2
        }
        b'"' => {
            push(tokens, at + 1, Ink::Text);
            text(state, bytes, at + 1, tokens)
        }
        b'`' => {
            begin(state, Mode::Backtick);
            push(tokens, at + 1, Ink::Text);
            at + 1
        }
        b'#' => hash(state, bytes, at, tokens),
        b'\'' => {
            let end = letter_end(line, at);
            push(tokens, end, if end > at + 1 { Ink::Text } else { Ink::Plain });
            end
        }
        b'0'..=b'9' => {
            let end = number_end(bytes, at);
            push(tokens, end, Ink::Number);
            end
        }
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => word(line, at, tokens),
        b'{' | b'}' => brace(state, rest[0], at, tokens),
        _ => {
            push(tokens, at + 1, Ink::Plain);
            at + 1
        }
    }
}

fn begin(state: &mut State, mode: Mode) {
    if state.len() < DEPTH_MAX {
        state.push(mode);
    }
}

fn word(line: &str, at: usize, tokens: &mut Vec<Token>) -> usize {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let bytes = line.as_bytes();
    let end = at + bytes[at..].iter().take_while(|byte| is_part(byte)).count();
    // `map.in` is a name, `0..in` is not met.
    let is_property = at > 0 && bytes[at - 1] == b'.' && (at < 2 || bytes[at - 2] != b'.');
    let next = line[end..].trim_start();
    let ink = if !is_property && KEYWORDS.binary_search(&&line[at..end]).is_ok() {
        Ink::Keyword
    } else if next.starts_with('(') || next.starts_with("::") {
        Ink::Call
    } else {
        Ink::Plain
    };
    push(tokens, end, ink);
    end
}

/// A brace; the one that ends the code in a string is the string's.
fn brace(state: &mut State, brace: u8, at: usize, tokens: &mut Vec<Token>) -> usize {
    let mut ink = Ink::Plain;
    match (brace, state.last_mut()) {
        (b'{', Some(Mode::Code(depth))) => *depth = depth.saturating_add(1),
        (b'}', Some(Mode::Code(0))) => {
            state.pop();
            ink = Ink::Call;
        }
        (b'}', Some(Mode::Code(depth))) => *depth -= 1,
        _ => {}
    }
    push(tokens, at + 1, ink);
    at + 1
}

/// A raw string, `#"like this"#`, or the sign alone.
fn hash(state: &mut State, bytes: &[u8], at: usize, tokens: &mut Vec<Token>) -> usize {
    let hashes = bytes[at..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(at + hashes) != Some(&b'"') {
        push(tokens, at + hashes, Ink::Plain);
        return at + hashes;
    }
    begin(state, Mode::Raw(u16::try_from(hashes).unwrap_or(u16::MAX)));
    push(tokens, at + hashes + 1, Ink::Text);
    at + hashes + 1
}

fn comment(state: &mut State, bytes: &[u8], from: usize, depth: u16, tokens: &mut Vec<Token>) -> usize {
    let mut depth = depth;
    let mut at = from;
    while at < bytes.len() && depth > 0 {
        let rest = &bytes[at..];
        if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else if rest.starts_with(b"/*") {
            depth = depth.saturating_add(1);
            at += 2;
        } else {
            at += 1;
        }
    }
    state.pop();
    if depth > 0 {
        state.push(Mode::Comment(depth));
    }
    push(tokens, at, Ink::Comment);
    at
}

/// The rest of a string with `"`; it goes on in the next line after a `\` at this one's end.
fn text(state: &mut State, bytes: &[u8], from: usize, tokens: &mut Vec<Token>) -> usize {
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if at + 1 == bytes.len() => {
                begin(state, Mode::Text);
                at += 1;
            }
            b'\\' => at += 2,
            b'"' => {
                at += 1;
                break;
            }
            _ => at += 1,
        }
    }
    let at = at.min(bytes.len());
    push(tokens, at, Ink::Text);
    at
}

/// The rest of a string with backticks, up to its end or to code in it.
fn backtick(state: &mut State, bytes: &[u8], from: usize, tokens: &mut Vec<Token>) -> usize {
    let mut at = from;
    while at < bytes.len() {
        if bytes[at] == b'`' {
            state.pop();
            push(tokens, at + 1, Ink::Text);
            return at + 1;
        }
        if bytes[at..].starts_with(b"${") && state.len() < DEPTH_MAX {
            push(tokens, at, Ink::Text);
            state.push(Mode::Code(0));
            push(tokens, at + 2, Ink::Call);
            return at + 2;
        }
        at += 1;
    }
    push(tokens, at, Ink::Text);
    at
}

fn raw(state: &mut State, line: &str, from: usize, hashes: u16, tokens: &mut Vec<Token>) -> usize {
    let closing = format!("\"{}", "#".repeat(usize::from(hashes)));
    let end = line.as_bytes()[from..].windows(closing.len()).position(|window| window == closing.as_bytes());
    let at = match end {
        Some(found) => {
            state.pop();
            from + found + closing.len()
        }
        None => line.len(),
    };
    push(tokens, at, Ink::Text);
    at
}

/// Behind `'x'` or `'\n'`; behind the sign alone where it is none of these.
fn letter_end(line: &str, at: usize) -> usize {
    let rest = &line[at + 1..];
    let mut letters = rest.char_indices();
    let closing = match letters.next() {
        Some((_, '\\')) => rest[1..].char_indices().skip(1).find(|(_, letter)| *letter == '\'').map(|(at, _)| at + 1),
        Some((_, '\'')) | None => None,
        Some(_) => letters.next().filter(|(_, letter)| *letter == '\'').map(|(at, _)| at),
    };
    closing.map_or(at + 1, |closing| at + 1 + closing + 1)
}
