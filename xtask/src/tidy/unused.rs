//! Dependencies that nothing uses, and snapshots of tests that are gone.

use super::Finding;
use super::arrows::Use;
use super::tree::Tree;

/// Dependencies that are never named in a source of their crate, each with the reason.
const SILENT: &[(&str, &str, &str)] = &[];

/// Finds lines of manifests that no source needs.
pub(crate) fn dependencies(tree: &Tree, uses: &[Use]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for used in uses.iter().filter(|used| !used.dependency.is_empty()) {
        let folder = used.manifest.trim_end_matches("Cargo.toml");
        let name = used.dependency.replace('-', "_");
        let is_silent = SILENT
            .iter()
            .any(|(package, dependency, _reason)| *package == used.package && *dependency == used.dependency);
        let mut sources = tree.names_below(folder).filter(|path| path.ends_with(".rs"));
        if !is_silent && !sources.any(|path| tree.text(path).is_some_and(|text| text.contains(&name))) {
            let what = format!("`{}` is used nowhere in {folder}: delete its line", used.dependency);
            findings.push(Finding::new(&used.manifest, 0, what));
        }
    }
    findings.extend(workspace_dependencies(tree, uses));
    findings
}

fn workspace_dependencies(tree: &Tree, uses: &[Use]) -> Vec<Finding> {
    let manifest = tree.text("Cargo.toml").unwrap_or_default();
    let lines = manifest.lines().enumerate().skip_while(|(_, line)| line.trim() != "[workspace.dependencies]").skip(1);
    lines
        .take_while(|(_, line)| !line.starts_with('['))
        .filter_map(|(index, line)| Some((index, line.split_once(" = ")?.0.trim())))
        .filter(|(_, name)| !name.starts_with('#') && !uses.iter().any(|used| used.dependency == *name))
        .map(|(index, name)| Finding::new("Cargo.toml", index + 1, format!("no crate uses `{name}`: delete its line")))
        .collect()
}

/// Finds snapshots whose test file is gone.
pub(crate) fn snapshots(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| path.ends_with(".snap")) {
        let source = text.lines().find_map(|line| line.strip_prefix("source: ")).unwrap_or_default().trim_matches('"');
        if source.is_empty() || !tree.has(source) {
            findings.push(Finding::new(path, 0, "no test makes this snapshot any more: delete it"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(package: &str, dependency: &str) -> Use {
        Use {
            package: package.to_owned(),
            manifest: format!("{package}/Cargo.toml"),
            dependency: dependency.to_owned(),
            is_ours: false,
        }
    }

    #[test]
    fn a_dependency_that_no_source_names_is_found() {
        let tree = Tree::of(&[
            (
                "Cargo.toml",
                "[workspace.dependencies]\n# A reason.\nserde-json = \"1\"\ntoml = \"1\"\nurl = \"2\"\n\n[profile.dev]\n",
            ),
            ("a/src/lib.rs", "use serde_json::Value;"),
            ("b/src/lib.rs", "use toml::Value;"),
        ]);
        let found = dependencies(&tree, &[used("a", "serde-json"), used("a", "toml"), used("b", "toml")]);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "a/Cargo.toml: `toml` is used nowhere in a/: delete its line",
                "Cargo.toml:5: no crate uses `url`: delete its line",
            ]
        );
    }

    #[test]
    fn a_snapshot_without_its_test_file_is_found() {
        let tree = Tree::of(&[
            ("a/tests/it.rs", ""),
            ("a/tests/snapshots/one.snap", "---\nsource: a/tests/it.rs\n---\n"),
            ("a/tests/snapshots/two.snap", "---\nsource: a/tests/gone.rs\n---\n"),
        ]);
        let found = snapshots(&tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("a/tests/snapshots/two.snap: "));
    }
}
