//! Why settings are refused.

use super::{Origin, SettingRow, Table};
use std::fmt;
use std::path::Path;

/// Least likeness of a name to one that was not found, for it to be proposed: from 0 to 1.
const LIKENESS_MIN: f32 = 0.7;

/// Why the settings are refused: where, which key, and what was expected.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    place: String,
    message: String,
    expected: String,
    hint: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  expected: {}", self.place, self.message, self.expected)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// What is wrong, for whoever says himself where.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do: the hint, or what was expected.
    pub fn advice(&self) -> String {
        self.hint.clone().unwrap_or_else(|| format!("expected {}", self.expected))
    }

    /// `told` is the value as errors may repeat it.
    pub(super) fn bad_value<S>(origin: &Origin, row: &SettingRow<S>, told: &str) -> Self {
        Self::at(origin, format!("`{}` cannot be {told}", row.key), row.expected.to_owned())
    }

    /// `what` is a key or a variable, and `name_of` how such a one of a row is called.
    pub(super) fn unknown<S>(
        table: &Table<S>,
        origin: &Origin,
        what: &str,
        name: &str,
        name_of: fn(&SettingRow<S>) -> String,
    ) -> Self {
        let names: Vec<String> = table.rows.iter().map(name_of).collect();
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let nearest = similar::get_close_matches(name, &known, 1, LIKENESS_MIN);
        let hint = nearest.first().map(|name| format!("did you mean `{name}`?"));
        Self { hint, ..Self::at(origin, format!("unknown {what} `{name}`"), format!("one of {}", names.join(", "))) }
    }

    /// The file's text is no TOML.
    pub(super) fn no_toml(origin: &Origin, message: &str) -> Self {
        Self::at(origin, message.to_owned(), "`key = value` lines (TOML)".to_owned())
    }

    /// There may be a file, but it cannot be read.
    pub(super) fn unreadable_file(path: &Path, expected: &str, error: &std::io::Error) -> Self {
        let message = format!("the configuration file cannot be read: {error}");
        Self { place: path.display().to_string(), message, expected: expected.to_owned(), hint: None }
    }

    /// The file that somebody named is not there.
    pub(super) fn missing_file(path: &Path, expected: &str) -> Self {
        Self {
            place: path.display().to_string(),
            message: "the configuration file does not exist".to_owned(),
            expected: expected.to_owned(),
            hint: Some("leave --config out to start with the defaults".to_owned()),
        }
    }

    fn at(origin: &Origin, message: String, expected: String) -> Self {
        Self { place: origin.to_string(), message, expected, hint: None }
    }
}
