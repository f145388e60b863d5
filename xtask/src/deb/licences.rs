//! The copyright file of a package: ours, and those of all crates that are linked into its programs.

use crate::cross::{Arch, output};
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Texts that every Debian has: named, not repeated.
const COMMON: &[(&str, &str, &str)] = &[
    ("Apache License", "Version 2.0", "Apache-2.0"),
    ("Mozilla Public License", "ersion 2.0", "MPL-2.0"),
    ("CC0 1.0 Universal", "Creative Commons", "CC0-1.0"),
];
/// What files with licences begin with, in capitals.
const NAMES: &[&str] = &["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
/// A longer file is no licence.
const TEXT_BYTES_MAX: u64 = 256 * 1024;

/// One crate that is linked.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    licence: String,
    manifest: String,
}

/// Writes it.
pub(super) fn copyright(root: &Path, arch: &Arch, package: &str) -> Result<String> {
    let metadata = output(Command::new("cargo").current_dir(root).args([
        "metadata",
        "--locked",
        "--format-version",
        "1",
        "--filter-platform",
        arch.triple,
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("read what cargo metadata prints")?;
    let crates = linked(&metadata, package)?;
    let own = fs::read_to_string(root.join("LICENSE")).context("read LICENSE")?;
    render(package, &own, &crates)
}

/// All crates that the programs of `package` are linked from, without our own.
fn linked(metadata: &Value, package: &str) -> Result<BTreeSet<Crate>> {
    let by_id = |list: &'static str, metadata: &Value| -> BTreeMap<String, Value> {
        let all = if list == "nodes" { &metadata["resolve"]["nodes"] } else { &metadata[list] };
        let all = all.as_array().into_iter().flatten();
        all.filter_map(|one| Some((one["id"].as_str()?.to_owned(), one.clone()))).collect()
    };
    let (packages, nodes) = (by_id("packages", metadata), by_id("nodes", metadata));
    let first = packages.iter().find(|(_, one)| one["name"] == package).map(|(id, _)| id.clone());
    let mut rest = vec![first.with_context(|| format!("cargo metadata knows no crate `{package}`"))?];
    let mut seen = BTreeSet::new();
    let mut crates = BTreeSet::new();
    while let Some(id) = rest.pop() {
        let Some(one) = packages.get(&id).filter(|one| !is_macro(one)) else { continue };
        if !seen.insert(id.clone()) {
            continue;
        }
        if !one["source"].is_null() {
            let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
            crates.insert(Crate {
                name: text("name"),
                version: text("version"),
                licence: text("license"),
                manifest: text("manifest_path"),
            });
        }
        let dependencies = nodes.get(&id).and_then(|node| node["deps"].as_array()).into_iter().flatten();
        // What only building or testing needs is not in the program.
        let linked = dependencies.filter(|dependency| {
            dependency["dep_kinds"].as_array().into_iter().flatten().any(|kind| kind["kind"].is_null())
        });
        rest.extend(linked.filter_map(|dependency| dependency["pkg"].as_str().map(str::to_owned)));
    }
    Ok(crates)
}

/// Macros run while building; nothing of them is linked.
fn is_macro(package: &Value) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    targets.flat_map(|target| target["kind"].as_array().into_iter().flatten()).any(|kind| kind == "proc-macro")
}

fn render(package: &str, own: &str, crates: &BTreeSet<Crate>) -> Result<String> {
    let mut text = format!(
        "{package} is part of PiCloud.\n\n{own}\n\
         SQLite, which is in picloud-appliance and picloud-node, is in the public domain.\n\n\
         The programs are linked from these crates too; each one's source is at https://crates.io under its name and\n\
         version. Where a licence below leaves a choice, that of this package is the first of MIT, ISC, Zlib, BSD,\n\
         Unicode-3.0, MPL-2.0 and Apache-2.0 that is offered.\n\n"
    );
    // The same text stands here once, below all crates that have it.
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in crates {
        text.push_str(&format!("  {} {}: {}\n", one.name, one.version, one.licence));
        let folder = Path::new(&one.manifest).parent().context("a manifest is in a folder")?;
        for found in texts_of(folder)? {
            texts.entry(found).or_default().insert(format!("{} {}", one.name, one.version));
        }
    }
    text.push_str("\nThe licences that these crates come with:\n");
    for (found, whose) in &texts {
        let whose: Vec<&str> = whose.iter().map(String::as_str).collect();
        text.push_str(&format!("\n----------------------------------------\n{}\n\n{found}\n", whose.join(", ")));
    }
    Ok(text)
}

/// What the licence files of a crate say; what every Debian has in a folder of its own is named by that.
fn texts_of(folder: &Path) -> Result<BTreeSet<String>> {
    let mut texts = BTreeSet::new();
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        let metadata = entry.metadata()?;
        if metadata.is_file() && metadata.len() <= TEXT_BYTES_MAX && NAMES.iter().any(|start| name.starts_with(start)) {
            let text = String::from_utf8_lossy(&fs::read(entry.path())?).into_owned();
            texts.insert(told(&text));
        }
    }
    Ok(texts)
}

fn told(text: &str) -> String {
    let is_full = |words: &str, version: &str| text.len() > 5_000 && text.contains(words) && text.contains(version);
    let common = COMMON.iter().find(|(words, version, _)| is_full(words, version));
    match common {
        Some((_, _, name)) => format!("The text of {name} is in /usr/share/common-licenses/{name}."),
        None => text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_matches('\n').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_listed_and_what_only_builds_is_not() {
        let package = |name: &str, kind: &str, source: Value| {
            serde_json::json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT", "source": source,
                "manifest_path": format!("/none/{name}/Cargo.toml"), "targets": [{ "kind": [kind] }] })
        };
        let depends = |name: &str, kind: Value| serde_json::json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = serde_json::json!({
            "packages": [
                package("ours", "bin", Value::Null), package("linked", "lib", "crates".into()),
                package("below", "lib", "crates".into()), package("builds", "lib", "crates".into()),
                package("derives", "proc-macro", "crates".into()), package("parses", "lib", "crates".into()),
            ],
            "resolve": { "nodes": [
                { "id": "ours", "deps": [depends("linked", Value::Null), depends("builds", "build".into()), depends("derives", Value::Null)] },
                { "id": "linked", "deps": [depends("below", Value::Null)] },
                { "id": "derives", "deps": [depends("parses", Value::Null)] },
            ] },
        });
        let crates = linked(&metadata, "ours").unwrap();
        assert_eq!(crates.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["below", "linked"]);
        assert!(linked(&metadata, "theirs").unwrap_err().to_string().contains("`theirs`"));
    }

    #[test]
    fn texts_that_debian_has_are_named_and_others_kept() {
        let apache = format!("Apache License\nVersion 2.0, January 2004\n{}", "words ".repeat(1_000));
        assert_eq!(told(&apache), "The text of Apache-2.0 is in /usr/share/common-licenses/Apache-2.0.");
        assert_eq!(told("\nMIT  \r\n\nCopyright A\n"), "MIT\n\nCopyright A");
    }
}
