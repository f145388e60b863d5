//! Words that the command line and the terminal UI share: what scopes are for, labels and fingerprints, spans of time.

use picloud_model::placement::{Labels, check_label};
use picloud_model::scope::Scope;

/// Digits in a group of a fingerprint, as consoles show it.
const GROUP_DIGITS: usize = 4;
/// Groups that people compare.
const GROUPS_SHOWN: usize = 8;

/// What a scope allows.
pub(crate) fn scope_text(scope: Scope) -> &'static str {
    match scope {
        Scope::ScriptRead => "scripts, routes, stored values, runs and logs: read",
        Scope::ScriptWrite => "the same: write; and run scripts",
        Scope::Invoke => "call routes with auth = \"key\"",
        Scope::AppAdmin => "apps: create, change, delete, deploy; their secrets",
        Scope::NodeRead => "the state of appliance and nodes, and metrics",
        Scope::NodeAdmin => "nodes: approve, drain, label, remove",
        Scope::InstanceAdmin => "keys, audit log, backup",
    }
}

/// Reads `90d`, `12h`, `30m`, `45s` or `4w`.
pub(crate) fn span_ms(text: &str) -> Option<i64> {
    const UNITS: [(char, i64); 5] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400), ('w', 604_800)];
    let (number, seconds) = UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, seconds)))?;
    Some(i64::from(number.parse::<u32>().ok()?) * seconds * 1_000)
}

/// `3f2a 91bc …`, as much of it as people compare: the same that the console of the machine shows.
pub(crate) fn fingerprint_text(fingerprint: &str) -> String {
    fingerprint_groups(fingerprint, GROUPS_SHOWN)
}

/// The first so many groups.
pub(crate) fn fingerprint_groups(fingerprint: &str, count: usize) -> String {
    let digits: Vec<char> = fingerprint.chars().filter(char::is_ascii_hexdigit).collect();
    let groups = digits.chunks(GROUP_DIGITS).take(count).map(|group| group.iter().collect::<String>());
    groups.collect::<Vec<_>>().join(" ")
}

/// `camera, room=garage`.
pub(crate) fn labels_text(labels: &Labels) -> String {
    let shown = labels.iter().map(|(name, value)| match value.as_str() {
        "" => name.clone(),
        value => format!("{name}={value}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Reads `NAME` or `NAME=VALUE`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    check_label(name.trim(), value.trim())?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Reads `camera, room=garage`; none where nothing is written.
pub(crate) fn labels_from(text: &str) -> Result<Labels, String> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_number_and_a_unit() {
        for (typed, seconds) in [("45s", 45), ("30m", 1_800), ("12h", 43_200), ("90d", 7_776_000), ("4w", 2_419_200)] {
            assert_eq!(span_ms(typed), Some(seconds * 1_000), "{typed}");
        }
        for bad in ["", "d", "-1d", "90", "9999999999999d", "1y", "1 d"] {
            assert_eq!(span_ms(bad), None, "{bad}");
        }
    }

    #[test]
    fn labels_are_written_as_they_are_read() {
        let labels = labels_from(" camera , room=garage,").unwrap();
        assert_eq!(labels_text(&labels), "camera, room=garage");
        assert_eq!(labels_from("").unwrap(), Labels::new());
        assert!(labels_from("Camera").unwrap_err().contains("is no label"));
    }

    #[test]
    fn a_label_has_a_value_or_none() {
        assert_eq!(label("camera"), Ok(("camera".to_owned(), String::new())));
        assert_eq!(label("room=garage"), Ok(("room".to_owned(), "garage".to_owned())));
        for bad in ["", "=x", "Camera", "a=b=c", "a b"] {
            assert!(label(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fingerprint_is_shown_in_the_groups_that_consoles_show() {
        let whole = "0123456789abcdef".repeat(4);
        assert_eq!(fingerprint_text(&whole), "0123 4567 89ab cdef 0123 4567 89ab cdef");
        assert_eq!(fingerprint_groups(&whole, 2), "0123 4567");
    }
}
