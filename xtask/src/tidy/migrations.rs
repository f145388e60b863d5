//! Migrations that have landed are never edited: each has its SHA-256 in the CHECKSUMS file beside it.
//!
//! The file has the form of `sha256sum`, so `sha256sum --check CHECKSUMS` checks it too.

use super::Finding;
use super::tree::Tree;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const FOLDER: &str = "migrations/";
const SUMS: &str = "CHECKSUMS";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for folder in folders(tree) {
        let sums_path = format!("{folder}{SUMS}");
        let mut sums = parse(tree.text(&sums_path).unwrap_or_default());
        for path in migrations_in(tree, &folder) {
            let name = &path[folder.len()..];
            match (sums.remove(name), tree.text(path)) {
                (_, None) => findings.push(Finding::new(path, 0, "is no UTF-8 text")),
                (None, Some(_)) => {
                    let what = format!("is not in {sums_path}: run `cargo xtask migrations`");
                    findings.push(Finding::new(path, 0, what));
                }
                (Some(sum), Some(text)) if sum != hex(text) => findings.push(Finding::new(
                    path,
                    0,
                    format!(
                        "was changed after it landed: undo that and write a new migration \
                         (if it never landed, delete its line in {sums_path} and run `cargo xtask migrations`)"
                    ),
                )),
                (Some(_), Some(_)) => {}
            }
        }
        findings.extend(
            sums.keys().map(|name| Finding::new(&sums_path, 0, format!("`{name}` landed and is gone: put it back"))),
        );
    }
    findings
}

/// Adds a line for every migration that has none yet.
pub(crate) fn add_new(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    for folder in folders(&tree) {
        let sums_path = format!("{folder}{SUMS}");
        let mut content = tree.text(&sums_path).unwrap_or_default().to_owned();
        let known = parse(&content);
        for path in migrations_in(&tree, &folder) {
            let name = &path[folder.len()..];
            if !known.contains_key(name) {
                let text = tree.text(path).with_context(|| format!("`{path}` is no text"))?;
                writeln!(content, "{}  {name}", hex(text)).expect("a string takes everything");
                println!("added {path}");
            }
        }
        fs::write(root.join(&sums_path), content).with_context(|| format!("write `{sums_path}`"))?;
    }
    Ok(())
}

/// `migrations/sqlite/` and the like.
fn folders(tree: &Tree) -> BTreeSet<String> {
    tree.names_below(FOLDER)
        .filter_map(|path| path.rsplit_once('/').map(|(folder, _)| format!("{folder}/")))
        .filter(|folder| folder != FOLDER)
        .collect()
}

/// The migrations right in `folder`.
fn migrations_in<'a>(tree: &'a Tree, folder: &'a str) -> impl Iterator<Item = &'a str> {
    tree.names_below(folder).filter(|path| path.ends_with(".sql") && !path[folder.len()..].contains('/'))
}

/// Name → sum.
fn parse(sums: &str) -> BTreeMap<String, String> {
    sums.lines().filter_map(|line| line.split_once("  ")).map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect()
}

fn hex(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes everything");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `a\n`.
    const SUM: &str = "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7  V1__a.sql\n";

    #[test]
    fn a_changed_a_new_and_a_lost_migration_are_found() {
        for (sql, sums, what) in [
            ("a\n", SUM, ""),
            ("b\n", SUM, "migrations/sqlite/V1__a.sql: was changed after it landed"),
            ("a\n", "", "migrations/sqlite/V1__a.sql: is not in migrations/sqlite/CHECKSUMS"),
        ] {
            let tree = Tree::of(&[("migrations/sqlite/V1__a.sql", sql), ("migrations/sqlite/CHECKSUMS", sums)]);
            let found: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
            assert_eq!(found.len(), usize::from(!what.is_empty()), "{found:?}");
            assert!(found.iter().all(|found| found.starts_with(what)), "{found:?}");
        }
        let found = check(&Tree::of(&[("migrations/sqlite/CHECKSUMS", SUM)]));
        assert_eq!(found[0].to_string(), "migrations/sqlite/CHECKSUMS: `V1__a.sql` landed and is gone: put it back");
    }
}
