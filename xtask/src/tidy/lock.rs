//! Crates that must not come into the lock file, through whomever.

use super::Finding;
use super::tree::Tree;

/// Each with the reason; a final `*` stands for anything.
const BANNED: &[(&str, &str)] = &[
    ("aws-lc-*", "it needs a C toolchain with cmake for every target; take rustls with ring"),
    ("native-tls", "it brings the machine's OpenSSL; take rustls with ring"),
    ("openssl-sys", "it brings the machine's OpenSSL; take rustls with ring"),
    ("chrono", "jiff is the one time library"),
];

/// The fuzz targets are a workspace of their own.
const LOCKS: &[&str] = &["Cargo.lock", "fuzz/Cargo.lock"];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    LOCKS.iter().flat_map(|path| check_one(tree, path)).collect()
}

fn check_one(tree: &Tree, path: &str) -> Vec<Finding> {
    let Some(lock) = tree.text(path) else {
        return vec![Finding::new(path, 0, "the lock file is missing: it is part of the tree")];
    };
    let mut findings = Vec::new();
    for (index, line) in lock.lines().enumerate() {
        let Some(name) = line.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"')) else { continue };
        if let Some((_, reason)) = BANNED.iter().find(|(banned, _)| is_meant(banned, name)) {
            let what = format!("`{name}` is banned: {reason}; `cargo tree -i {name}` shows who brings it");
            findings.push(Finding::new(path, index + 1, what));
        }
    }
    findings
}

fn is_meant(banned: &str, name: &str) -> bool {
    banned.strip_suffix('*').map_or(banned == name, |start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(lock: &str, fuzz_lock: &str) -> Tree {
        Tree::of(&[("Cargo.lock", lock), ("fuzz/Cargo.lock", fuzz_lock)])
    }

    #[test]
    fn a_banned_crate_is_found_in_the_lock_file() {
        let bad = "[[package]]\nname = \"serde\"\n\n[[package]]\nname = \"openssl-sys\"\n";
        let found = check(&tree(bad, ""));
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("Cargo.lock:5: `openssl-sys` is banned: "), "{}", found[0]);
        assert!(check(&tree("", bad))[0].to_string().starts_with("fuzz/Cargo.lock:5: "));
        assert_eq!(check(&tree("name = \"serde\"\n", "")), []);
        assert_eq!(check(&Tree::of(&[])).len(), 2, "both lock files must be there");
        for (name, is_banned) in [("aws-lc-rs", true), ("aws-lc-fips-sys", true), ("native-tls", true), ("ring", false)]
        {
            assert_eq!(!check(&tree(&format!("name = \"{name}\""), "")).is_empty(), is_banned, "{name}");
        }
    }
}
