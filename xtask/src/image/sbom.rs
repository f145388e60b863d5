//! What an image consists of, as CycloneDX: Debian's packages from dpkg's own records, our crates from cargo's.
//!
//! The format: <https://cyclonedx.org/docs/1.6/json/>. Same packages, same bytes.

use super::recipe::{Recipe, Variant, hex};
use super::tools;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The target whose dependencies are in the programs.
const TARGET: &str = "aarch64-unknown-linux-gnu";

/// The document for the root file system in `tar`.
pub(crate) fn write(root: &Path, recipe: &Recipe, variant: &Variant, tar: &Path) -> Result<Value> {
    let status = tools::output(Command::new("tar").arg("-xOf").arg(tar).arg("./var/lib/dpkg/status"))
        .context("read dpkg's records out of the root")?;
    let status = String::from_utf8(status).context("dpkg's records are no text")?;
    let metadata = tools::output(
        Command::new("cargo")
            .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET])
            .current_dir(root),
    )
    .context("ask cargo for the crates")?;
    let metadata: Value = serde_json::from_slice(&metadata).context("read what cargo answered")?;
    let mut components = debian(&status, recipe.suite());
    ensure!(!components.is_empty(), "dpkg's records name no package: the root is not finished");
    components.extend(crates(&metadata, &variant.packages)?);
    Ok(document(variant, &recipe.fixed.date, env!("CARGO_PKG_VERSION"), components))
}

fn document(variant: &Variant, date: &str, version: &str, components: Vec<Value>) -> Value {
    let mut hash = Sha256::new();
    for component in &components {
        hash.update(component.to_string());
    }
    // A name of the content, in the form of a random UUID, which the format asks for.
    let mut id = hex(&hash.finalize()[..16]);
    id.replace_range(12..13, "8");
    id.replace_range(16..17, "8");
    let serial = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{serial}"),
        "version": 1,
        "metadata": {
            "timestamp": date,
            "component": {
                "type": "operating-system",
                "name": format!("picloud-{}", variant.name),
                "version": version,
                "description": variant.description,
            },
        },
        "components": components,
    })
}

/// A component per installed package of dpkg's status file, in its order, which is by name.
fn debian(status: &str, suite: &str) -> Vec<Value> {
    let mut components = BTreeMap::new();
    for paragraph in status.split("\n\n") {
        let fields: BTreeMap<&str, &str> =
            paragraph.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split_once(": ")).collect();
        let field = |name| fields.get(name).copied().unwrap_or_default();
        if !field("Status").ends_with(" installed") {
            continue;
        }
        let (name, version, architecture) = (field("Package"), field("Version"), field("Architecture"));
        let purl = format!(
            "pkg:deb/debian/{}@{}?arch={architecture}&distro={suite}",
            name.replace('+', "%2B"),
            version.replace('+', "%2B").replace(':', "%3A")
        );
        let mut component = json!({
            "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl,
            "supplier": { "name": field("Maintainer") },
        });
        if let Some(source) = fields.get("Source") {
            component["properties"] = json!([{ "name": "debian:source", "value": source }]);
        }
        components.insert((name, architecture), component);
    }
    components.into_values().collect()
}

/// A component per crate that is compiled into one of the `packages`.
fn crates(metadata: &Value, packages: &[String]) -> Result<Vec<Value>> {
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let by_id: BTreeMap<String, Value> =
        list(&metadata["packages"]).into_iter().map(|package| (text(&package["id"]), package)).collect();
    let nodes: BTreeMap<String, Value> =
        list(&metadata["resolve"]["nodes"]).into_iter().map(|node| (text(&node["id"]), node)).collect();
    let mut waiting: Vec<String> = by_id
        .iter()
        .filter(|(_, package)| package["source"].is_null() && packages.contains(&text(&package["name"])))
        .map(|(id, _)| id.clone())
        .collect();
    ensure!(waiting.len() == packages.len(), "cargo does not know all of {}", packages.join(", "));
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        for dependency in list(&nodes.get(&id).with_context(|| format!("cargo resolved no `{id}`"))?["deps"]) {
            let linked = list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
            if linked {
                waiting.push(text(&dependency["pkg"]));
            }
        }
    }
    let mut components = BTreeMap::new();
    for id in seen {
        let package = by_id.get(&id).with_context(|| format!("cargo names no package `{id}`"))?;
        let (name, version) = (text(&package["name"]), text(&package["version"]));
        let purl = format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"));
        let mut component =
            json!({ "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl });
        if let Some(license) = package["license"].as_str() {
            // Older crates write MIT/Apache-2.0 for what SPDX says with OR.
            component["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
        }
        components.insert((name, version), component);
    }
    Ok(components.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "\
Package: zlib1g
Status: install ok installed
Maintainer: Mark <mark@example.org>
Architecture: arm64
Source: zlib
Version: 1:1.3.dfsg+really1.3.1-1+b1
Description: compression library
 Version: not this one

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: adduser
Status: install ok installed
Architecture: all
Version: 3.152
";

    #[test]
    fn each_installed_package_of_debian_is_a_component_in_the_order_of_names() {
        let components = debian(STATUS, "trixie");
        let purls: Vec<_> = components.iter().map(|one| one["purl"].as_str().unwrap()).collect();
        assert_eq!(
            purls,
            [
                "pkg:deb/debian/adduser@3.152?arch=all&distro=trixie",
                "pkg:deb/debian/zlib1g@1%3A1.3.dfsg%2Breally1.3.1-1%2Bb1?arch=arm64&distro=trixie"
            ]
        );
        assert_eq!(components[1]["properties"][0]["value"], "zlib");
    }

    #[test]
    fn crates_that_are_only_built_with_are_not_in_the_image() {
        let dep = |name: &str, kind: Value| json!({ "pkg": format!("{name} 1"), "dep_kinds": [{ "kind": kind }] });
        let package = |name: &str, source: Value| json!({ "id": format!("{name} 1"), "name": name, "version": "1.0.0", "source": source, "license": "MIT/Apache-2.0" });
        let metadata = json!({
            "packages": [package("picloud", Value::Null), package("used", json!("registry")), package("below", json!("registry")),
                package("cc", json!("registry")), package("insta", json!("registry"))],
            "resolve": { "nodes": [
                { "id": "picloud 1", "deps": [dep("used", Value::Null), dep("cc", json!("build")), dep("insta", json!("dev"))] },
                { "id": "used 1", "deps": [dep("below", Value::Null)] }, { "id": "below 1", "deps": [] },
            ] },
        });
        let components = crates(&metadata, &["picloud".to_owned()]).unwrap();
        let names: Vec<_> = components.iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["below", "picloud", "used"]);
        assert_eq!(components[0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert!(crates(&metadata, &["nobody".to_owned()]).is_err());
    }
}
