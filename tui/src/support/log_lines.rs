//! Lines of logs: their words stay, and of their fields those whose name is known to be harmless.

use super::LEFT_OUT;

/// Fields that stay.
const FIELDS: &[&str] = &[
    "app",
    "app.id",
    "node",
    "node.id",
    "script",
    "script.id",
    "version",
    "name",
    "execution.id",
    "run.id",
    "trigger",
    "error",
    "code",
    "file",
    "folder",
    "addr",
    "address",
    "appliance",
    "attempt",
    "bytes",
    "count",
    "duration_ms",
    "took_ms",
    "id",
    "pid",
    "revision",
    "service",
    "signal",
    "state",
    "status",
    "uptime_s",
    "hash",
    "was",
    "limit",
];

/// The text with the fields that stay.
pub(super) fn kept(text: &str) -> String {
    text.lines().map(|line| kept_line(line) + "\n").collect()
}

/// `…: message name=value other="two words"`; colours are taken out.
fn kept_line(line: &str) -> String {
    let line = plain(line);
    let mut out = String::new();
    let mut rest = line.as_str();
    while let Some(equals) = rest.find('=') {
        let before = &rest[..equals];
        let begin = before
            .rfind(|c: char| !is_of_name(c))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let name = &before[begin..];
        let value_end = equals + 1 + value_bytes(&rest[equals + 1..]);
        if name.is_empty() || FIELDS.contains(&name) {
            out += &rest[..value_end];
        } else {
            out += &rest[..=equals];
            out += LEFT_OUT;
        }
        rest = &rest[value_end..];
    }
    out + rest
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

/// How long the value is that a text begins with: up to a blank, or the end of its quotes or brackets.
fn value_bytes(text: &str) -> usize {
    let mut depth = 0_usize;
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '[' | '{' | '(' if !is_quoted => depth += 1,
            ']' | '}' | ')' if !is_quoted => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return at,
            },
            c if c.is_whitespace() && !is_quoted && depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// Without colours and other orders to a terminal.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut letters = line.chars();
    while let Some(c) = letters.next() {
        if c == '\u{1b}' {
            let _order = letters.by_ref().find(char::is_ascii_alphabetic);
        } else if !c.is_control() || c == '\t' {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_not_known_are_left_out_with_all_of_their_value() {
        for (line, shown) in [
            ("2026 picloud[1]: INFO started app=kitchen pid=7", "2026 picloud[1]: INFO started app=kitchen pid=7"),
            ("said value=hunter2 app=a", "said value=[left out] app=a"),
            ("said value=\"hunter2 and \\\" more\" app=a", "said value=[left out] app=a"),
            ("said value={\"a\": [1, hunter2]} app=a", "said value=[left out] app=a"),
            ("\u{1b}[32mINFO\u{1b}[0m \u{1b}[3mvalue\u{1b}[0m=hunter2", "INFO value=[left out]"),
            ("Gerät=hunter2", "Gerät=[left out]"),
            ("a = b", "a = b"),
            ("(value=hunter2)", "(value=[left out])"),
        ] {
            assert_eq!(kept_line(line), shown);
        }
    }
}
