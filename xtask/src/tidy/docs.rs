//! What the documentation and the headers of files name must exist: paths in backticks, and links.

use super::Finding;
use super::tree::Tree;

/// Folders at the root, also those to come: a path below one of them must exist.
const FOLDERS: &[&str] = &[
    "appliance",
    "bench",
    "docs",
    "examples",
    "executor",
    "fuzz",
    "images",
    "migrations",
    "model",
    "node-agent",
    "orchestrator",
    "store",
    "systemd",
    "tui",
    "xtask",
    ".ci",
    ".config",
    ".cargo",
];
/// Endings that make a single name a file of ours.
const ENDINGS: &[&str] = &[".rs"];

pub(crate) fn check(tree: &Tree, path: &str, text: &str) -> Vec<Finding> {
    if path.ends_with(".md") {
        let mut findings = markdown(tree, path, text);
        findings.extend(missing_tasks(path, text));
        findings
    } else if path.ends_with(".rs") {
        headers(tree, path, text)
    } else {
        Vec::new()
    }
}

fn headers(tree: &Tree, path: &str, text: &str) -> Vec<Finding> {
    let header = text.lines().enumerate().take_while(|(_, line)| line.starts_with("//!"));
    header.flat_map(|(index, line)| missing_paths(tree, path, index, line)).collect()
}

fn markdown(tree: &Tree, path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_block = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            findings.extend(missing_paths(tree, path, index, line));
            findings.extend(missing_links(tree, path, index, line));
        }
    }
    findings
}

/// `cargo xtask TASK` of a task that there is not.
fn missing_tasks(path: &str, text: &str) -> Vec<Finding> {
    let tasks = crate::USAGE.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    let tasks: Vec<&str> = tasks.collect();
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for rest in line.split("cargo xtask ").skip(1) {
            let task = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or_default();
            if task.starts_with(|c: char| c.is_ascii_lowercase()) && !tasks.contains(&task) {
                findings.push(Finding::new(path, index + 1, format!("there is no task `cargo xtask {task}`")));
            }
        }
    }
    findings
}

fn missing_paths(tree: &Tree, path: &str, index: usize, line: &str) -> Vec<Finding> {
    let spans = line.split('`').skip(1).step_by(2);
    spans
        .filter(|span| is_path(span) && !exists(tree, path, span))
        .map(|span| Finding::new(path, index + 1, format!("`{span}` does not exist: name what is there today")))
        .collect()
}

/// Whether a span in backticks means a path of the repository.
fn is_path(span: &str) -> bool {
    let is_plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "_-./*".contains(c));
    if !is_plain {
        return false;
    }
    match span.split_once('/') {
        Some((first, _)) => FOLDERS.contains(&first),
        None => ENDINGS.iter().any(|ending| span.ends_with(ending) && span.len() > ending.len()),
    }
}

/// Whether it is there: from the root, or below the crate or the folder of the file that names it.
fn exists(tree: &Tree, path: &str, span: &str) -> bool {
    let span =
        span.split_once('*').map_or(span, |(before, _)| before.rsplit_once('/').map_or("", |(folder, _)| folder));
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let first = path.split('/').next().unwrap_or_default();
    tree.has(span)
        || tree.has(&format!("{folder}/{span}"))
        || tree.has(&format!("{first}/{span}"))
        || tree.has(&format!("{first}/src/{span}"))
        || (!span.contains('/') && tree.has_tail(span))
}

fn missing_links(tree: &Tree, path: &str, index: usize, line: &str) -> Vec<Finding> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    for target in line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
        let file = target.split('#').next().unwrap_or_default();
        if file.is_empty() || target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        if resolve(folder, file).is_none_or(|file| !tree.has(&file)) {
            findings.push(Finding::new(path, index + 1, format!("the link to `{target}` leads nowhere")));
        }
    }
    findings
}

/// `target` as seen from `folder`; `None` where it leaves the repository.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree::of(&[("README.md", ""), ("docs/a.md", ""), ("store/src/lib.rs", ""), ("store/src/sqlite/kv.rs", "")])
    }

    #[test]
    fn a_path_or_link_to_nothing_is_found_in_markdown() {
        for (text, is_bad) in [
            ("see `store/src/lib.rs`", false),
            ("see `store/src/gone.rs`", true),
            ("see `store/src/*.rs`", false),
            ("see `store/gone/*.rs`", true),
            ("see `lib.rs`", false),
            ("see `gone.rs`", true),
            ("see `/api/v1/apps`, `static/`, `a/b` and `{store}/x`", false),
            ("see `cargo run -p store/x`", false),
            ("```\n`store/gone.rs`\n```", false),
            ("[a](a.md#part), [b](../README.md), [c](https://example.org/x), [d](#e)", false),
            ("[a](gone.md)", true),
            ("[a](../../README.md)", true),
        ] {
            assert_eq!(!check(&tree(), "docs/a.md", text).is_empty(), is_bad, "{text}");
        }
    }

    #[test]
    fn a_task_that_there_is_not_is_found() {
        assert_eq!(check(&tree(), "docs/a.md", "run `cargo xtask test`, or cargo xtask tidy:\n`cargo xtask TASK`"), []);
        let found = check(&tree(), "docs/a.md", "one\n`cargo xtask tets --images`");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_string(), "docs/a.md:2: there is no task `cargo xtask tets`");
    }

    #[test]
    fn a_path_to_nothing_is_found_in_a_header_but_not_in_code() {
        assert_eq!(check(&tree(), "store/src/lib.rs", "//! Like `sqlite/kv.rs` and `src/sqlite/kv.rs`.\n"), []);
        let found =
            check(&tree(), "store/src/lib.rs", "//! One.\n//! Like `store/src/gone.rs`.\nfn f() {} // `gone.rs`\n");
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].to_string(),
            "store/src/lib.rs:2: `store/src/gone.rs` does not exist: name what is there today"
        );
    }
}
