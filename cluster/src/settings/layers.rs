//! Lays the four layers over each other; [`Table::load`] is pure, [`Table::read`] fetches what it needs.

use super::{Config, ConfigError, Origin, SettingRow, Shape, Table};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// What the variables begin with that are ours.
const PREFIX: &str = "PICLOUD_";

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

/// Which configuration file is read.
#[derive(Clone, Copy, Debug)]
pub struct ConfigFile<'a> {
    /// What `--config` says; it must be there.
    pub named: Option<&'a Path>,
    /// What is read otherwise, where it is there.
    pub usual: Option<&'a Path>,
}

impl<S> Table<S> {
    /// The flags that were given, where `value_of` is the value of a flag by its row's key.
    pub fn flags<'a>(&self, value_of: impl Fn(&str) -> Option<&'a String>) -> Vec<(&'static str, String)> {
        self.rows.iter().filter_map(|row| value_of(row.key).map(|value| (row.key, value.clone()))).collect()
    }

    /// Reads file and environment and loads.
    pub fn read(
        &self,
        defaults: S,
        file: ConfigFile<'_>,
        flags: Vec<(&'static str, String)>,
    ) -> Result<Config<S>, ConfigError> {
        let file = match (file.named, file.usual) {
            (Some(named), _) => {
                let missing = || ConfigError::missing_file(named, self.named_file_expected);
                Some((named, self.text_of(named)?.ok_or_else(missing)?))
            }
            (None, Some(usual)) => self.text_of(usual)?.map(|text| (usual, text)),
            (None, None) => None,
        };
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _value)| name.starts_with(PREFIX))
            .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
            .collect();
        self.load(defaults, &Layers { file: file.map(|(path, text)| (path.to_owned(), text)), environment, flags })
    }

    /// Lays the layers over the defaults.
    pub fn load(&self, defaults: S, layers: &Layers) -> Result<Config<S>, ConfigError> {
        let mut config = Config { settings: defaults, origins: BTreeMap::new() };
        if let Some((path, text)) = &layers.file {
            self.lay_file(&mut config, path, text)?;
        }
        self.lay_environment(&mut config, &layers.environment)?;
        for (key, value) in &layers.flags {
            let row = self.row(key).expect("flags are made from the same table");
            set(&mut config, row, value, Origin::Flag(format!("--{}", row.flag())))?;
        }
        Ok(config)
    }

    fn lay_file(&self, config: &mut Config<S>, path: &Path, text: &str) -> Result<(), ConfigError> {
        let at = |offset: usize| {
            let line = text[..offset.min(text.len())].matches('\n').count() + 1;
            Origin::File(path.to_owned(), line)
        };
        let table = DeTable::parse(text)
            .map_err(|error| ConfigError::no_toml(&at(error.span().map_or(0, |span| span.start)), error.message()))?;
        // In the order of the file, so that the first fault is the one that is told.
        let mut entries: Vec<_> = table.get_ref().iter().collect();
        entries.sort_by_key(|(key, _value)| key.span().start);
        for (key, value) in entries {
            let origin = at(key.span().start);
            let Some(row) = self.row(key.get_ref()) else {
                return Err(ConfigError::unknown(self, &origin, "key", key.get_ref(), |row| row.key.to_owned()));
            };
            let text = match (value.get_ref(), row.shape) {
                (DeValue::String(text), Shape::Text) => text.to_string(),
                (DeValue::Integer(number), Shape::Number) => number.as_str().replace('_', ""),
                (DeValue::Boolean(on), Shape::Switch) => on.to_string(),
                (other, _) => return Err(ConfigError::bad_value(&origin, row, &row.told_type(other.type_str()))),
            };
            set(config, row, &text, origin)?;
        }
        Ok(())
    }

    fn lay_environment(&self, config: &mut Config<S>, environment: &[(String, String)]) -> Result<(), ConfigError> {
        for (name, value) in environment {
            if self.foreign_variables.contains(&name.as_str()) || !name.starts_with(PREFIX) {
                continue;
            }
            let origin = Origin::Environment(name.clone());
            match self.rows.iter().find(|row| row.variable() == *name) {
                Some(row) => set(config, row, value, origin)?,
                None => return Err(ConfigError::unknown(self, &origin, "variable", name, SettingRow::variable)),
            }
        }
        Ok(())
    }

    fn row(&self, key: &str) -> Option<&'static SettingRow<S>> {
        self.rows.iter().find(|row| row.key == key)
    }

    fn text_of(&self, path: &Path) -> Result<Option<String>, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ConfigError::unreadable_file(path, self.file_expected, &error)),
        }
    }
}

fn set<S>(config: &mut Config<S>, row: &SettingRow<S>, value: &str, origin: Origin) -> Result<(), ConfigError> {
    let set = (row.set)(&mut config.settings, value);
    set.ok_or_else(|| ConfigError::bad_value(&origin, row, &row.told_value(value)))?;
    config.origins.insert(row.key, origin);
    Ok(())
}
