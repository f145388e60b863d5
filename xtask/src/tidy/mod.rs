//! Tidy: the rules of the tree that no compiler knows, checked on every file.
//!
//! To add a rule: a function from a file (or the tree) to findings in the module it belongs to, a call of it in
//! [`check`], and a test that feeds it a snippet which breaks it. A finding says where, what, and what to do.

mod arrows;
mod docs;
mod lock;
pub(crate) mod migrations;
mod rust;
mod source;
mod text;
mod tree;
mod unused;

use anyhow::{Result, bail};
use std::fmt;
use std::path::Path;
use tree::Tree;

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    /// From 1; 0 speaks of the whole file.
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Reads the tree and fails with every finding.
pub(crate) fn run(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    let mut findings = check(&tree);
    let uses = arrows::read(root)?;
    findings.extend(arrows::check(&uses));
    findings.extend(unused::dependencies(&tree, &uses));
    findings.sort();
    if findings.is_empty() {
        println!("   {} files are tidy", tree.len());
        return Ok(());
    }
    for finding in &findings {
        println!("{finding}");
    }
    bail!(
        "tidy found {}",
        if findings.len() == 1 { "one thing".to_owned() } else { format!("{} things", findings.len()) }
    )
}

fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts() {
        findings.extend(text::check(path, text));
        if path.ends_with(".rs") {
            findings.extend(rust::check(path, text));
        }
        findings.extend(docs::check(tree, path, text));
    }
    findings.extend(lock::check(tree));
    findings.extend(migrations::check(tree));
    findings.extend(unused::snapshots(tree));
    findings
}
