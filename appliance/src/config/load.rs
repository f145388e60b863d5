//! Lays the four layers over each other; [`load`] is pure, [`read`] fetches what it needs.

use super::table::{SETTINGS, SettingRow, Shape};
use super::{Config, Mode, Origin, Settings, default_file};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Variables with our prefix that belong to the command line or to nodes.
const FOREIGN_VARIABLES: &[&str] =
    &["PICLOUD_URL", "PICLOUD_SOCKET", "PICLOUD_KEY", "PICLOUD_FINGERPRINT", "PICLOUD_APP", "PICLOUD_APPLIANCE"];

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
    expected: Option<String>,
    hint: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "\n  expected: {expected}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Reads file and environment and loads; `config_file` is what `--config` says.
pub fn read(
    mode: &Mode,
    config_file: Option<&Path>,
    flags: Vec<(&'static str, String)>,
) -> Result<Config, ConfigError> {
    let file = match (config_file, default_file(mode)) {
        (Some(named), _) => Some((named, read_file(named)?.ok_or_else(|| missing(named))?)),
        (None, Some(usual)) => read_file(usual)?.map(|text| (usual, text)),
        (None, None) => None,
    };
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _value)| name.starts_with("PICLOUD_"))
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
        .collect();
    load(mode, &Layers { file: file.map(|(path, text)| (path.to_owned(), text)), environment, flags })
}

/// Lays the layers over the defaults.
pub fn load(mode: &Mode, layers: &Layers) -> Result<Config, ConfigError> {
    let mut config = Config { settings: Settings::defaults(mode), origins: BTreeMap::new() };
    if let Some((path, text)) = &layers.file {
        lay_file(&mut config, path, text)?;
    }
    lay_environment(&mut config, &layers.environment)?;
    for (key, value) in &layers.flags {
        let row = SETTINGS.iter().find(|row| row.key == *key).expect("flags are made from the same table");
        set(&mut config, row, value, Origin::Flag(format!("--{}", row.flag())))?;
    }
    Ok(config)
}

fn lay_file(config: &mut Config, path: &Path, text: &str) -> Result<(), ConfigError> {
    let line_of = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| ConfigError {
        place: format!("{}:{}", path.display(), line_of(error.span().map_or(0, |span| span.start))),
        message: error.message().to_owned(),
        expected: Some("`key = value` lines (TOML)".to_owned()),
        hint: None,
    })?;
    // In the order of the file, so that the first fault is the one that is told.
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _value)| key.span().start);
    for (key, value) in entries {
        let origin = Origin::File(path.to_owned(), line_of(key.span().start));
        let Some(row) = SETTINGS.iter().find(|row| row.key == key.get_ref().as_ref()) else {
            return Err(unknown_key(&origin, key.get_ref(), |row| row.key.to_owned()));
        };
        let text = match (value.get_ref(), row.shape) {
            (DeValue::String(text), Shape::Text) => text.to_string(),
            (DeValue::Integer(number), Shape::Number) => number.as_str().replace('_', ""),
            (DeValue::Boolean(on), Shape::Switch) => on.to_string(),
            (other, _) => return Err(bad_value(&origin, row, &format!("of type {}", other.type_str()))),
        };
        set(config, row, &text, origin)?;
    }
    Ok(())
}

fn lay_environment(config: &mut Config, environment: &[(String, String)]) -> Result<(), ConfigError> {
    for (name, value) in environment {
        if FOREIGN_VARIABLES.contains(&name.as_str()) || !name.starts_with("PICLOUD_") {
            continue;
        }
        let origin = Origin::Environment(name.clone());
        match SETTINGS.iter().find(|row| row.variable() == *name) {
            Some(row) => set(config, row, value, origin)?,
            None => return Err(unknown_key(&origin, name, SettingRow::variable)),
        }
    }
    Ok(())
}

fn set(config: &mut Config, row: &'static SettingRow, value: &str, origin: Origin) -> Result<(), ConfigError> {
    (row.set)(&mut config.settings, value).ok_or_else(|| bad_value(&origin, row, &format!("`{value}`")))?;
    config.origins.insert(row.key, origin);
    Ok(())
}

fn unknown_key(origin: &Origin, key: &str, name_of: fn(&SettingRow) -> String) -> ConfigError {
    let names: Vec<String> = SETTINGS.iter().map(name_of).collect();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let nearest = similar::get_close_matches(key, &known, 1, 0.7);
    let what = if matches!(origin, Origin::File(..)) { "key" } else { "variable" };
    ConfigError {
        place: origin.to_string(),
        message: format!("unknown {what} `{key}`"),
        expected: Some(format!("one of {}", names.join(", "))),
        hint: nearest.first().map(|name| format!("did you mean `{name}`?")),
    }
}

fn bad_value(origin: &Origin, row: &SettingRow, value: &str) -> ConfigError {
    // It may hold a password.
    let value = if row.key == "database_url" { "what was given" } else { value };
    ConfigError {
        place: origin.to_string(),
        message: format!("`{}` cannot be {value}", row.key),
        expected: Some(row.expected.to_owned()),
        hint: None,
    }
}

fn read_file(path: &Path) -> Result<Option<String>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConfigError {
            place: path.display().to_string(),
            message: format!("the configuration file cannot be read: {error}"),
            expected: Some("a TOML file in UTF-8".to_owned()),
            hint: None,
        }),
    }
}

fn missing(path: &Path) -> ConfigError {
    ConfigError {
        place: path.display().to_string(),
        message: "the configuration file does not exist".to_owned(),
        expected: Some("the path of a TOML file after --config".to_owned()),
        hint: Some("leave --config out to start with the defaults".to_owned()),
    }
}
