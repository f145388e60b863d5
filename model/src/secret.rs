//! Secrets of apps: set by people, read by the scripts they are granted to, shown to nobody.

use crate::clock::UnixMs;
use serde::{Deserialize, Serialize};

/// In the list of scripts: every script of the app, also those to come.
pub const EVERY_SCRIPT: &str = "*";
/// Largest value.
pub const SECRET_VALUE_BYTES_MAX: usize = 64 * 1024;
/// Secrets of one app.
pub const SECRETS_MAX: usize = 128;

/// A secret as the admin API shows it: never its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Secret {
    /// Its name, `[A-Za-z_][A-Za-z0-9_]{0,62}`, as an env value's.
    pub name: String,
    /// The scripts it is granted to, by name; `*` for every script of the app.
    pub scripts: Vec<String>,
    /// Counts its changes; the ETag.
    pub version: i64,
    /// When it was first set.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMs,
    /// When its value or its grants last changed.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: UnixMs,
}

impl Secret {
    /// Whether `script` may read it.
    pub fn is_granted_to(&self, script: &str) -> bool {
        self.scripts.iter().any(|granted| granted == script || granted == EVERY_SCRIPT)
    }
}

/// What a caller gives to set one, or to change whom it is granted to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretInput {
    /// The value; where absent, the value stays as it is and only the grants change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The scripts it is granted to. Where absent: as before, and for a new secret every script of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scripts: Option<Vec<String>>,
}
