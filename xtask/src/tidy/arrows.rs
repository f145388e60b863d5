//! The arrows between crates, and who may use which foreign crate, as cargo itself reports them.

use super::Finding;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// A crate of ours and those of ours that it may use. To add a crate: a line here, and docs/architecture.md.
const ARROWS: &[(&str, &[&str])] = &[
    ("picloud-model", &[]),
    ("picloud-executor", &["picloud-model"]),
    ("picloud-store", &["picloud-model"]),
    ("picloud-orchestrator", &["picloud-executor", "picloud-model"]),
    ("picloud-cluster", &["picloud-model"]),
    (
        "picloud-appliance",
        &["picloud-cluster", "picloud-executor", "picloud-model", "picloud-orchestrator", "picloud-store"],
    ),
    ("picloud-node", &["picloud-cluster", "picloud-model", "picloud-orchestrator"]),
    ("picloud", &["picloud-model"]),
    ("picloud-bench", &["picloud-model", "picloud-orchestrator", "picloud-store"]),
    ("xtask", &[]),
];

/// A foreign crate and the crates of ours that may use it.
const ONLY: &[(&str, &[&str])] = &[
    // The store, and the agent's spool.
    ("rusqlite", &["picloud-store", "picloud-node"]),
    ("refinery", &["picloud-store"]),
    ("sqlx", &["picloud-store"]),
    ("sqlx-core", &["picloud-store"]),
    ("sqlx-postgres", &["picloud-store"]),
    ("axum", &["picloud-appliance", "picloud-bench"]),
    ("rhai", &["picloud-executor"]),
    ("reqwest", &["picloud-orchestrator"]),
    ("hyper", &["picloud-orchestrator", "picloud-appliance", "picloud-node", "picloud"]),
    (
        "tokio",
        &[
            "picloud-store",
            "picloud-orchestrator",
            // Its tests only.
            "picloud-cluster",
            "picloud-appliance",
            "picloud-node",
            "picloud",
            "picloud-bench",
        ],
    ),
];

/// One `[dependencies]` line of one of our crates, of whatever kind.
#[derive(Debug)]
pub(crate) struct Use {
    pub(crate) package: String,
    /// The manifest, from the root.
    pub(crate) manifest: String,
    /// Empty on the one that stands for the crate itself.
    pub(crate) dependency: String,
    /// Whether it is a crate of this workspace.
    pub(crate) is_ours: bool,
}

/// Asks cargo for every dependency of every crate of the workspace.
pub(crate) fn read(root: &Path) -> Result<Vec<Use>> {
    let out = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .context("start cargo metadata")?;
    ensure!(out.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&out.stderr).trim());
    uses(&serde_json::from_slice(&out.stdout).context("parse cargo metadata")?, root)
}

fn uses(metadata: &Value, root: &Path) -> Result<Vec<Use>> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a text is missing in cargo metadata");
    let list = |value: &Value| value.as_array().cloned().context("a list is missing in cargo metadata");
    let mut uses = Vec::new();
    for package in list(&metadata["packages"])? {
        let manifest = text(&package["manifest_path"])?;
        let manifest =
            Path::new(&manifest).strip_prefix(root).map_or(manifest.clone(), |path| path.display().to_string());
        let name = text(&package["name"])?;
        // A crate without any dependency must be known too.
        uses.push(Use { package: name.clone(), manifest: manifest.clone(), dependency: String::new(), is_ours: false });
        for dependency in list(&package["dependencies"])? {
            uses.push(Use {
                package: name.clone(),
                manifest: manifest.clone(),
                dependency: text(&dependency["name"])?,
                is_ours: dependency["path"].is_string(),
            });
        }
    }
    Ok(uses)
}

pub(crate) fn check(uses: &[Use]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for used in uses {
        let Use { package, manifest, dependency, is_ours } = used;
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == package) else {
            if dependency.is_empty() {
                let what =
                    format!("crate `{package}` has no line in the table of arrows: add it in xtask/src/tidy/arrows.rs");
                findings.push(Finding::new(manifest, 0, what));
            }
            continue;
        };
        if *is_ours && !allowed.contains(&dependency.as_str()) {
            let what = format!("`{package}` may not use `{dependency}`: see the arrows in docs/architecture.md");
            findings.push(Finding::new(manifest, 0, what));
        }
        if let Some((_, users)) = ONLY.iter().find(|(name, _)| name == dependency)
            && !users.contains(&package.as_str())
        {
            let what = format!("`{package}` uses `{dependency}`, but only {} may", users.join(", "));
            findings.push(Finding::new(manifest, 0, what));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check_metadata(package: &str, dependencies: &Value) -> Vec<String> {
        let metadata = json!({"packages": [
            {"name": package, "manifest_path": "/r/x/Cargo.toml", "dependencies": dependencies}]});
        check(&uses(&metadata, Path::new("/r")).unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_found_whatever_its_kind() {
        let to_store = json!([{"name": "picloud-store", "path": "/r/store", "kind": "dev"}]);
        assert_eq!(
            check_metadata("picloud-orchestrator", &to_store),
            [
                "x/Cargo.toml: `picloud-orchestrator` may not use `picloud-store`: see the arrows in docs/architecture.md"
            ]
        );
        assert_eq!(check_metadata("picloud-appliance", &to_store), [""; 0]);
    }

    #[test]
    fn a_foreign_crate_in_the_wrong_crate_is_found() {
        let tokio = json!([{"name": "tokio", "path": null}]);
        assert_eq!(check_metadata("picloud-executor", &tokio).len(), 1);
        assert_eq!(check_metadata("picloud-store", &tokio), [""; 0]);
        assert_eq!(
            check_metadata("picloud", &json!([{"name": "reqwest"}])),
            ["x/Cargo.toml: `picloud` uses `reqwest`, but only picloud-orchestrator may"]
        );
    }

    #[test]
    fn a_crate_nobody_listed_is_found() {
        assert_eq!(check_metadata("picloud-extra", &json!([])).len(), 1);
    }
}
