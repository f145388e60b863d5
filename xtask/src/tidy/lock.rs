//! Crates that must not come into the lock file, through whomever.

use super::Finding;
use super::tree::Tree;

/// Each with the reason.
const BANNED: &[(&str, &str)] = &[
    ("aws-lc-rs", "it needs a C toolchain with cmake for every target; take rustls with ring"),
    ("aws-lc-sys", "it needs a C toolchain with cmake for every target; take rustls with ring"),
    ("native-tls", "it brings the machine's OpenSSL; take rustls with ring"),
    ("openssl-sys", "it brings the machine's OpenSSL; take rustls with ring"),
    ("reqwest", "hyper is here already"),
    ("chrono", "jiff is the one time library"),
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let path = "Cargo.lock";
    let Some(lock) = tree.text(path) else {
        return vec![Finding::new(path, 0, "the lock file is missing: it is part of the tree")];
    };
    let mut findings = Vec::new();
    for (index, line) in lock.lines().enumerate() {
        let Some(name) = line.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"')) else { continue };
        if let Some((_, reason)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            let what = format!("`{name}` is banned: {reason}; `cargo tree -i {name}` shows who brings it");
            findings.push(Finding::new(path, index + 1, what));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_crate_is_found_in_the_lock_file() {
        let tree =
            Tree::of(&[("Cargo.lock", "[[package]]\nname = \"serde\"\n\n[[package]]\nname = \"openssl-sys\"\n")]);
        let found = check(&tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("Cargo.lock:5: `openssl-sys` is banned: "), "{}", found[0]);
        assert_eq!(check(&Tree::of(&[("Cargo.lock", "name = \"serde\"\n")])), []);
        assert_eq!(check(&Tree::of(&[])).len(), 1);
    }
}
