//! Placement: which nodes may run a script, by what they are labelled with.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a node is labelled with: a name, and a value that may be empty.
pub type Labels = BTreeMap<String, String>;

/// Longest name of a label, and longest value, in bytes.
pub const LABEL_BYTES_MAX: usize = 63;
/// Most labels that a person may give a node.
pub const LABELS_MAX: usize = 64;
/// Most entries in each list of a [`Placement`].
pub const ENTRIES_MAX: usize = 16;

/// Where something may run. An entry is `label` (there, with whatever value) or `label=value`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Placement {
    /// Only on nodes that have all of these.
    #[schema(max_items = 16)]
    pub needs: Vec<String>,
    /// On no node that has any of these.
    #[schema(max_items = 16)]
    pub avoid: Vec<String>,
    /// Rather on nodes that have more of these.
    #[schema(max_items = 16)]
    pub prefers: Vec<String>,
}

impl Placement {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.needs.is_empty() && self.avoid.is_empty() && self.prefers.is_empty()
    }

    /// Whether a node with these labels may run it.
    pub fn allows(&self, labels: &Labels) -> bool {
        self.needs.iter().all(|entry| has(labels, entry)) && !self.avoid.iter().any(|entry| has(labels, entry))
    }

    /// How many of its preferences a node with these labels meets.
    pub fn preference(&self, labels: &Labels) -> usize {
        self.prefers.iter().filter(|entry| has(labels, entry)).count()
    }

    /// Both at once: what a trigger says and what its script says.
    pub fn and(&self, other: &Self) -> Self {
        let both = |a: &[String], b: &[String]| a.iter().chain(b).cloned().collect();
        Self {
            needs: both(&self.needs, &other.needs),
            avoid: both(&self.avoid, &other.avoid),
            prefers: both(&self.prefers, &other.prefers),
        }
    }

    /// What is wrong with each entry, if anything.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let lists = [("needs", &self.needs), ("avoid", &self.avoid), ("prefers", &self.prefers)];
        let mut wrong = Vec::new();
        for (list, entries) in lists {
            if entries.len() > ENTRIES_MAX {
                wrong.push(format!("`{list}` has {} entries, more than {ENTRIES_MAX}", entries.len()));
            }
            for entry in entries {
                let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
                if let Err(error) = check_label(name, value) {
                    wrong.push(format!("`{list}`: {error}"));
                }
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

/// Whether labels have what an entry names.
fn has(labels: &Labels, entry: &str) -> bool {
    match entry.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|it| it == value),
        None => labels.contains_key(entry),
    }
}

/// What is wrong with a label, if anything: a name of `[a-z][a-z0-9._/-]*`, a value of printable characters without `=`
/// and `,`.
pub fn check_label(name: &str, value: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._/-".contains(&byte);
    if name.is_empty() || !name.as_bytes()[0].is_ascii_lowercase() || !name.bytes().all(fits) {
        return Err(format!("{name:?} is no label: begin with a letter, and use a-z, 0-9, `.`, `_`, `/` and `-`"));
    }
    if name.len() > LABEL_BYTES_MAX || value.len() > LABEL_BYTES_MAX {
        return Err(format!("the label {name:?} or its value has more than {LABEL_BYTES_MAX} bytes"));
    }
    if value.chars().any(|c| c.is_control() || c == '=' || c == ',') {
        return Err(format!("the value {value:?} of the label {name:?} has a control character, `=` or `,`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(all: &[(&str, &str)]) -> Labels {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_node_may_run_what_its_labels_allow() {
        let pi = labels(&[("camera", ""), ("arch", "aarch64")]);
        let list = |entries: &[&str]| entries.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>();
        for (needs, avoid, allowed) in [
            (&[][..], &[][..], true),
            (&["camera"], &[], true),
            (&["camera", "arch=aarch64"], &[], true),
            (&["arch=x86_64"], &[], false),
            (&["gpio"], &[], false),
            (&[], &["camera"], false),
            (&[], &["arch=x86_64"], true),
        ] {
            let placement = Placement { needs: list(needs), avoid: list(avoid), prefers: Vec::new() };
            assert_eq!(placement.allows(&pi), allowed, "{needs:?} {avoid:?}");
        }
        let prefers = Placement { prefers: list(&["camera", "gpio"]), ..Placement::default() };
        assert_eq!(prefers.preference(&pi), 1);
    }

    #[test]
    fn a_wrong_entry_is_named() {
        let placement = Placement { needs: vec!["Camera".to_owned()], ..Placement::default() };
        insta::assert_snapshot!(placement.check().unwrap_err().join("\n"), @"`needs`: \"Camera\" is no label: begin with a letter, and use a-z, 0-9, `.`, `_`, `/` and `-`");
    }
}
