//! Settings of a program: defaults, then its configuration file, then `PICLOUD_*`, then flags; the same names in all four.
//!
//! A program has a struct of its own and a [`Table`] with a [`SettingRow`] for each of its fields; file keys, variables,
//! flags, help and errors come from the rows. This is the only place that reads the environment for them.

mod error;
mod example;
mod layers;
mod row;

pub use error::ConfigError;
pub use layers::{ConfigFile, Layers};
pub use row::{Secret, SettingRow, Shape, number, path};

use std::collections::BTreeMap;
use std::path::PathBuf;

/// All settings of a program.
pub struct Table<S: 'static> {
    /// One row each, in the order in which they are shown.
    pub rows: &'static [SettingRow<S>],
    /// Variables with our prefix that are no settings of this program: of the command line, or of another one.
    pub foreign_variables: &'static [&'static str],
    /// What a configuration file must be, for errors.
    pub file_expected: &'static str,
    /// What must follow `--config`, for errors.
    pub named_file_expected: &'static str,
}

/// Settings and where each came from.
#[derive(Clone, Debug)]
pub struct Config<S> {
    /// What holds.
    pub settings: S,
    /// By key, for every setting that somebody set.
    pub origins: BTreeMap<&'static str, Origin>,
}

impl<S> Config<S> {
    /// Where the value of `key` comes from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the configuration file.
    File(PathBuf, usize),
    /// A variable of the environment.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests;
