//! Rules for every text file: no blanks at the end of a line, a line feed at the end, no left-over snapshots.

use super::Finding;

/// Endings of the files people write here.
const WRITTEN: &[&str] = &[
    ".rs", ".toml", ".md", ".sql", ".rhai", ".css", ".html", ".js", ".service", ".socket", ".conf", ".yaml", ".json",
    ".svg",
];

pub(crate) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if path.ends_with(".snap.new") || path.ends_with(".pending-snap") {
        findings.push(Finding::new(path, 0, "a snapshot nobody accepted: read it, then accept or delete it"));
    }
    if !WRITTEN.iter().any(|ending| path.ends_with(ending)) {
        return findings;
    }
    for (index, line) in text.lines().enumerate() {
        if line.ends_with([' ', '\t']) {
            findings.push(Finding::new(path, index + 1, "blanks at the end of the line: delete them"));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        findings.push(Finding::new(path, text.lines().count(), "no line feed at the end of the file: add it"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn trailing_blanks_and_a_missing_line_feed_are_found() {
        let found: Vec<String> = check("a/b.md", "one \ntwo\nthree\t\nfour").iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "a/b.md:1: blanks at the end of the line: delete them",
                "a/b.md:3: blanks at the end of the line: delete them",
                "a/b.md:4: no line feed at the end of the file: add it",
            ]
        );
        assert_eq!(check("a/b.md", "one\n"), []);
        assert_eq!(check("a/b.snap", "one "), [], "snapshots hold what was printed");
    }

    #[test]
    fn a_snapshot_that_waits_is_found() {
        assert_eq!(check("a/b.snap.new", "").len(), 1);
    }
}
