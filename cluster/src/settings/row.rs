//! One setting: what it is called in file, environment and flags, what it may be, and what errors tell of it.

use std::path::PathBuf;

/// How a value stands in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `"text"`
    Text,
    /// `512`
    Number,
    /// `true` or `false`
    Switch,
}

/// What errors keep to themselves of a value that they refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// Nothing.
    No,
    /// The value, for which these words stand; one of a wrong type is named by its type.
    Value(&'static str),
    /// Its type as well: these words stand for whatever was given.
    Whole(&'static str),
}

/// One setting.
pub struct SettingRow<S> {
    /// Its key in the file; `PICLOUD_` and upper case make the variable, `-` for `_` makes the flag.
    pub key: &'static str,
    /// How the value is called in help.
    pub value_name: &'static str,
    /// What a value must be, for errors.
    pub expected: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// How it stands in the file.
    pub shape: Shape,
    /// Takes a value, or refuses it.
    pub set: fn(&mut S, &str) -> Option<()>,
    /// The value as text; empty where nothing is set. Never what is secret of it.
    pub show: fn(&S) -> String,
    /// What errors do not repeat of it.
    pub secret: Secret,
}

impl<S> SettingRow<S> {
    /// A row of text that is no secret; the others are written from it.
    pub const TEXT: Self = Self {
        key: "",
        value_name: "TEXT",
        expected: "",
        doc: "",
        shape: Shape::Text,
        set: |_settings, _text| None,
        show: |_settings| String::new(),
        secret: Secret::No,
    };

    /// `PICLOUD_DATA_DIR`
    pub fn variable(&self) -> String {
        format!("PICLOUD_{}", self.key.to_uppercase())
    }

    /// `data-dir`
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// `Where data lives [PICLOUD_DATA_DIR]`
    pub fn help(&self) -> String {
        format!("{} [{}]", self.doc, self.variable())
    }

    /// The value as errors repeat it.
    pub(super) fn told_value(&self, value: &str) -> String {
        match self.secret {
            Secret::No => format!("`{value}`"),
            Secret::Value(words) | Secret::Whole(words) => words.to_owned(),
        }
    }

    /// A value of a wrong type as errors repeat it.
    pub(super) fn told_type(&self, kind: &str) -> String {
        match self.secret {
            Secret::No | Secret::Value(_) => format!("of type {kind}"),
            Secret::Whole(words) => words.to_owned(),
        }
    }
}

/// A path, for rows that hold one.
pub fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty() && !text.contains('\0')).then(|| PathBuf::from(text))
}

/// A number from 1 to `max`, for rows that hold one.
pub fn number(text: &str, max: u32) -> Option<u32> {
    text.parse().ok().filter(|n| (1..=max).contains(n))
}
