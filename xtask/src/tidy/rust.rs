//! Rules for Rust files: a header, a bounded length, and words that belong in one place only.

use super::Finding;
use super::source::{Line, lines, tests_from};

/// Lines a file may have before its tests.
const LINES_MAX: usize = 500;
/// Files that may be longer, each with the reason.
const LONGER: &[(&str, &str)] = &[];

/// A word of code that may stand only in some places.
struct Word {
    word: &'static str,
    /// Paths that begin like this may have it.
    allowed: &'static [&'static str],
    /// Where it is forbidden; everywhere where empty.
    within: &'static [&'static str],
    /// Whether tests may have it anyway.
    in_tests: bool,
    advice: &'static str,
}

const NO_IO: &str = "the executor does no I/O: go through a port in executor/src/services.rs";

const WORDS: &[Word] = &[
    Word {
        word: "unsafe",
        allowed: &["executor/src/alloc.rs"],
        within: &[],
        in_tests: false,
        advice: "`unsafe` stands only in executor/src/alloc.rs: find a safe function or crate",
    },
    Word {
        word: "axum::",
        allowed: &["appliance/src/", "bench/"],
        within: &[],
        in_tests: false,
        advice: "axum is the appliance's: give this crate its own types",
    },
    Word {
        word: "rusqlite::",
        allowed: &["store/", "node-agent/src/spool/"],
        within: &[],
        in_tests: false,
        advice: "only the store and a node's spool speak to SQLite: add a verb there",
    },
    Word {
        word: "sqlx::",
        allowed: &["store/"],
        within: &[],
        in_tests: false,
        advice: "only the store speaks to Postgres: add a verb to its traits",
    },
    Word {
        word: "reqwest::",
        allowed: &["orchestrator/src/outbound/"],
        within: &[],
        in_tests: false,
        advice: "outbound requests are made in orchestrator/src/outbound/, where addresses are looked at",
    },
    Word { word: "tokio::", allowed: &[], within: &["executor/src/", "model/src/"], in_tests: false, advice: NO_IO },
    Word { word: "hyper::", allowed: &[], within: &["executor/src/", "model/src/"], in_tests: false, advice: NO_IO },
    Word { word: "std::fs", allowed: &[], within: &["executor/src/", "model/src/"], in_tests: true, advice: NO_IO },
    Word { word: "std::net", allowed: &[], within: &["executor/src/"], in_tests: true, advice: NO_IO },
    Word {
        word: "std::process",
        allowed: &[],
        within: &["executor/src/", "model/src/"],
        in_tests: true,
        advice: NO_IO,
    },
    Word {
        word: "#[allow(",
        allowed: &[],
        within: &[],
        in_tests: false,
        advice: "use #[expect(…, reason = \"…\")], which goes when it is not needed any more",
    },
    Word {
        word: "#![allow(",
        allowed: &[],
        within: &[],
        in_tests: false,
        advice: "use #![expect(…, reason = \"…\")], which goes when it is not needed any more",
    },
    Word {
        word: IGNORE,
        allowed: &[],
        within: &[],
        in_tests: false,
        advice: "a test that never runs proves nothing: make it run or delete it \
            (a process that another test starts may say `#[ignore = \"the child of …\"]`)",
    },
    Word { word: "dbg!(", allowed: &[], within: &[], in_tests: false, advice: "delete it" },
    Word { word: "todo!(", allowed: &[], within: &[], in_tests: false, advice: "write it, or leave the function out" },
    Word {
        word: "unimplemented!(",
        allowed: &[],
        within: &[],
        in_tests: false,
        advice: "write it, or leave the function out",
    },
];

const IGNORE: &str = "#[ignore";
/// A test that is started by another one as a process of its own.
const CHILD: &str = "the child of ";

/// Beginnings of SQL statements, in string literals.
const SQL: &[&str] = &["SELECT ", "INSERT INTO", "INSERT OR ", "DELETE FROM", "CREATE TABLE", "PRAGMA "];
/// Who may hold SQL; tidy itself names it.
const SQL_ALLOWED: &[&str] = &["store/", "node-agent/src/spool/", "xtask/src/tidy/"];
/// Marks of unfinished work in comments.
const MARKS: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

pub(crate) fn check(path: &str, text: &str) -> Vec<Finding> {
    let lines = lines(text);
    let tests = if is_test_file(path) { 0 } else { tests_from(&lines) };
    let mut findings = header_and_length(path, text, tests);
    for (index, line) in lines.iter().enumerate() {
        let what = words(path, line, index >= tests).chain(sql(path, line)).chain(marks(line));
        findings.extend(what.map(|what| Finding::new(path, index + 1, what)));
    }
    findings
}

fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

fn header_and_length(path: &str, text: &str, tests: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    if text.lines().next().is_none_or(|first| first.strip_prefix("//!").is_none_or(|words| words.trim().len() < 10)) {
        findings.push(Finding::new(
            path,
            1,
            "no header: open the file with `//!` and a sentence that says what it is for",
        ));
    }
    if tests > LINES_MAX && !is_test_file(path) && !LONGER.iter().any(|(file, _reason)| *file == path) {
        let what = format!("{tests} lines before the tests, more than {LINES_MAX}: split the file by what it holds");
        findings.push(Finding::new(path, 0, what));
    }
    findings
}

fn words<'a>(path: &'a str, line: &'a Line, in_tests: bool) -> impl Iterator<Item = String> + 'a {
    WORDS
        .iter()
        .filter(move |rule| !(in_tests && rule.in_tests))
        .filter(move |rule| rule.within.is_empty() || rule.within.iter().any(|start| path.starts_with(start)))
        .filter(move |rule| !rule.allowed.iter().any(|start| path.starts_with(start)))
        .filter(move |rule| has_word(&line.code, rule.word))
        .filter(move |rule| rule.word != IGNORE || !line.strings.starts_with(CHILD))
        .map(|rule| format!("`{}` does not belong here: {}", rule.word, rule.advice))
}

/// Whether `code` has `word` with no letter of a longer word before it or, where it ends in a letter, after it.
fn has_word(code: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(is_letter) && word.starts_with(is_letter);
        let after = code[at + word.len()..].chars().next().is_some_and(is_letter) && word.ends_with(is_letter);
        !before && !after
    })
}

fn sql<'a>(path: &'a str, line: &'a Line) -> impl Iterator<Item = String> + 'a {
    SQL.iter()
        .filter(move |_| !SQL_ALLOWED.iter().any(|start| path.starts_with(start)))
        .filter(|start| line.strings.contains(*start))
        .map(|start| format!("SQL (`{}`) outside the store: add a verb to its traits", start.trim()))
}

fn marks(line: &Line) -> impl Iterator<Item = String> + '_ {
    MARKS
        .iter()
        .filter(|mark| has_word(&line.comment, mark))
        .map(|mark| format!("`{mark}` in a comment: do it now, or write what holds today"))
}

#[cfg(test)]
mod tests {
    use super::check;

    fn findings(path: &str, body: &str) -> Vec<String> {
        check(path, &format!("//! What this file is for.\n{body}\n")).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_word_is_found_where_it_does_not_belong_and_nowhere_else() {
        for (path, body, is_bad) in [
            ("store/src/a.rs", "unsafe { f() }", true),
            ("executor/src/alloc.rs", "unsafe { f() }", false),
            ("store/src/a.rs", "let unsafe_count = 1;", false),
            ("store/src/a.rs", "// unsafe would be wrong", false),
            ("store/src/a.rs", "f(\"unsafe\")", false),
            ("orchestrator/src/a.rs", "use axum::Router;", true),
            ("appliance/src/a.rs", "use axum::Router;", false),
            ("appliance/src/a.rs", "use rusqlite::Connection;", true),
            ("store/src/a.rs", "use rusqlite::Connection;", false),
            ("executor/src/a.rs", "use std::fs;", true),
            ("executor/src/a.rs", "#[cfg(test)]\nmod tests {\n    use std::fs;\n}", false),
            ("executor/tests/a.rs", "use std::fs;", false),
            ("executor/src/a.rs", "use tokio::sync::mpsc;", true),
            ("orchestrator/src/a.rs", "use tokio::sync::mpsc;", false),
            ("tui/src/a.rs", "#[allow(dead_code)]", true),
            ("tui/src/a.rs", "#[expect(dead_code, reason = \"r\")]", false),
            ("tui/tests/a.rs", "#[ignore]\nfn t() {}", true),
            ("tui/tests/a.rs", "#[ignore = \"slow\"]\nfn t() {}", true),
            ("tui/tests/a.rs", "#[ignore = \"the child of the test below\"]\nfn t() {}", false),
            ("tui/src/a.rs", "todo!()", true),
            ("tui/src/a.rs", "dbg!(a);", true),
            ("tui/src/a.rs", "f(\"SELECT a FROM b\")", true),
            ("store/src/a.rs", "f(\"SELECT a FROM b\")", false),
            ("tui/src/a.rs", "// SELECT is said in a comment", false),
            ("tui/src/a.rs", "// TODO later", true),
            ("tui/src/a.rs", "// the TODO_LIST", false),
        ] {
            assert_eq!(!findings(path, body).is_empty(), is_bad, "{path}: {body}: {:?}", findings(path, body));
        }
    }

    #[test]
    fn a_finding_names_the_line_and_what_to_do() {
        assert_eq!(
            findings("tui/src/a.rs", "fn f() {}\ntodo!()"),
            ["tui/src/a.rs:3: `todo!(` does not belong here: write it, or leave the function out"]
        );
    }

    #[test]
    fn a_file_without_a_sentence_at_its_head_is_found() {
        for text in ["fn f() {}\n", "//! .\n", "", "// What this file is for.\n"] {
            assert_eq!(check("tui/src/a.rs", text).len(), 1, "{text:?}");
        }
    }

    #[test]
    fn a_long_file_is_found_but_its_tests_do_not_count() {
        let long = "fn f() {}\n".repeat(501);
        assert_eq!(findings("tui/src/a.rs", &long).len(), 1);
        assert_eq!(findings("tui/src/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{long}}}")), [""; 0]);
        assert_eq!(findings("tui/tests/a.rs", &long), [""; 0]);
    }
}
