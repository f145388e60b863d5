//! Words for what nodes are made of: labels, fingerprints.

use picloud_model::placement::{Labels, check_label};

/// Digits in a group of a fingerprint, as consoles show it.
const GROUP_DIGITS: usize = 4;
/// Groups that people compare.
const GROUPS_SHOWN: usize = 8;

/// `3f2a 91bc …`, as much of it as people compare: the same that the console of the machine shows.
pub(in crate::screens) fn fingerprint_words(fingerprint: &str) -> String {
    fingerprint_groups(fingerprint, GROUPS_SHOWN)
}

/// The first so many groups.
pub(super) fn fingerprint_groups(fingerprint: &str, count: usize) -> String {
    let digits: Vec<char> = fingerprint.chars().filter(char::is_ascii_hexdigit).collect();
    let groups = digits.chunks(GROUP_DIGITS).take(count).map(|group| group.iter().collect::<String>());
    groups.collect::<Vec<_>>().join(" ")
}

/// `camera, room=garage`.
pub(in crate::screens) fn labels_text(labels: &Labels) -> String {
    let shown = labels.iter().map(|(name, value)| match value.as_str() {
        "" => name.clone(),
        value => format!("{name}={value}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Reads `camera, room=garage`; none where nothing is written.
pub(in crate::screens) fn labels_from(text: &str) -> Result<Labels, String> {
    let mut labels = Labels::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        check_label(name.trim(), value.trim())?;
        labels.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_written_as_they_are_read() {
        let labels = labels_from(" camera , room=garage,").unwrap();
        assert_eq!(labels_text(&labels), "camera, room=garage");
        assert_eq!(labels_from("").unwrap(), Labels::new());
        assert!(labels_from("Camera").unwrap_err().contains("is no label"));
    }

    #[test]
    fn a_fingerprint_is_shown_in_the_groups_that_consoles_show() {
        let whole = "0123456789abcdef".repeat(4);
        assert_eq!(fingerprint_words(&whole), "0123 4567 89ab cdef 0123 4567 89ab cdef");
    }
}
