//! Lays the four layers over each other; [`load`] is pure, [`read`] fetches what it needs.

use super::table::{SETTINGS, SettingRow, Shape};
use super::{CONFIG_FILE, Settings};
use std::fmt;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Variables with our prefix that belong to the command line.
const FOREIGN_VARIABLES: &[&str] =
    &["PICLOUD_URL", "PICLOUD_SOCKET", "PICLOUD_KEY", "PICLOUD_FINGERPRINT", "PICLOUD_APP"];

/// What the settings are made of.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The configuration file and its text.
    pub file: Option<(PathBuf, String)>,
    /// The environment; only `PICLOUD_*` is looked at.
    pub environment: Vec<(String, String)>,
    /// Flags that were given, by key.
    pub flags: Vec<(&'static str, String)>,
}

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

/// Reads file and environment and loads; `config_file` is what `--config` says.
pub fn read(config_file: Option<&Path>, flags: Vec<(&'static str, String)>) -> Result<Settings, ConfigError> {
    let path = config_file.unwrap_or(Path::new(CONFIG_FILE));
    let refuse = |message: String, hint: Option<&str>| ConfigError {
        place: path.display().to_string(),
        message,
        expected: "the path of a TOML file in UTF-8".to_owned(),
        hint: hint.map(str::to_owned),
    };
    let file = match std::fs::read_to_string(path) {
        Ok(text) => Some((path.to_owned(), text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if config_file.is_some() {
                let hint = "leave --config out to start with the defaults";
                return Err(refuse("the configuration file does not exist".to_owned(), Some(hint)));
            }
            None
        }
        Err(error) => return Err(refuse(format!("the configuration file cannot be read: {error}"), None)),
    };
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _value)| name.starts_with("PICLOUD_"))
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
        .collect();
    load(&Layers { file, environment, flags })
}

/// Lays the layers over the defaults.
pub fn load(layers: &Layers) -> Result<Settings, ConfigError> {
    let mut settings = Settings::default();
    if let Some((path, text)) = &layers.file {
        lay_file(&mut settings, path, text)?;
    }
    for (name, value) in &layers.environment {
        if FOREIGN_VARIABLES.contains(&name.as_str()) || !name.starts_with("PICLOUD_") {
            continue;
        }
        match SETTINGS.iter().find(|row| row.variable() == *name) {
            Some(row) => set(&mut settings, row, value, name)?,
            None => return Err(unknown(name.clone(), "variable", name, SettingRow::variable)),
        }
    }
    for (key, value) in &layers.flags {
        let row = SETTINGS.iter().find(|row| row.key == *key).expect("flags are made from the same table");
        set(&mut settings, row, value, &format!("--{}", row.flag()))?;
    }
    Ok(settings)
}

fn lay_file(settings: &mut Settings, path: &Path, text: &str) -> Result<(), ConfigError> {
    let line_of = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let place = |offset: usize| format!("{}:{}", path.display(), line_of(offset));
    let table = DeTable::parse(text).map_err(|error| ConfigError {
        place: place(error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
        expected: "`key = value` lines (TOML)".to_owned(),
        hint: None,
    })?;
    // In the order of the file, so that the first fault is the one that is told.
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _value)| key.span().start);
    for (key, value) in entries {
        let place = place(key.span().start);
        let Some(row) = SETTINGS.iter().find(|row| row.key == key.get_ref().as_ref()) else {
            return Err(unknown(place, "key", key.get_ref(), |row| row.key.to_owned()));
        };
        let text = match (value.get_ref(), row.shape) {
            (DeValue::String(text), Shape::Text) => text.to_string(),
            (DeValue::Integer(number), Shape::Number) => number.as_str().replace('_', ""),
            (DeValue::Boolean(on), Shape::Switch) => on.to_string(),
            (other, _) => return Err(bad_value(&place, row, &format!("of type {}", other.type_str()))),
        };
        set(settings, row, &text, &place)?;
    }
    Ok(())
}

fn set(settings: &mut Settings, row: &SettingRow, value: &str, place: &str) -> Result<(), ConfigError> {
    let shown = if row.secret { "what it is".to_owned() } else { format!("`{value}`") };
    (row.set)(settings, value).ok_or_else(|| bad_value(place, row, &shown))
}

fn unknown(place: String, what: &str, key: &str, name_of: fn(&SettingRow) -> String) -> ConfigError {
    let names: Vec<String> = SETTINGS.iter().map(name_of).collect();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let nearest = similar::get_close_matches(key, &known, 1, 0.7);
    ConfigError {
        place,
        message: format!("unknown {what} `{key}`"),
        expected: format!("one of {}", names.join(", ")),
        hint: nearest.first().map(|name| format!("did you mean `{name}`?")),
    }
}

fn bad_value(place: &str, row: &SettingRow, value: &str) -> ConfigError {
    ConfigError {
        place: place.to_owned(),
        message: format!("`{}` cannot be {value}", row.key),
        expected: row.expected.to_owned(),
        hint: None,
    }
}
