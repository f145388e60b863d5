//! API keys: shown once, kept as a hash.

use crate::clock::UnixMs;
use crate::hash::ContentHash;
use crate::ids::KeyId;
use crate::scope::Grant;
use serde::{Deserialize, Serialize};

/// What every key begins with, so that secret scanners and people know it.
pub const KEY_PREFIX: &str = "picloud_";
/// Random bytes of a key; with so many, a plain hash is as good as a slow one.
pub const KEY_RANDOM_BYTES: usize = 32;

/// A key as the admin API shows it: never the key itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Grant>,
    /// When it was made.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMs,
    /// Who made it.
    pub created_by: String,
    /// From when on it is refused; never where absent.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::clock::as_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<UnixMs>,
    /// When it was last used, within an hour.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::clock::as_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<UnixMs>,
}

/// What a caller gives to make a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What to call it.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// What it may do: `script:read`, `script:write@kitchen`, …
    #[schema(min_items = 1)]
    pub scopes: Vec<Grant>,
    /// Only in these apps: narrows every scope above that names none itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apps: Option<Vec<String>>,
    /// From when on it is refused (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::clock::as_rfc3339_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<UnixMs>,
}

/// The answer to making one: the only time the key itself is seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CreatedKey {
    /// What is kept of it.
    #[serde(flatten)]
    pub kept: ApiKey,
    /// The key.
    pub key: String,
}

/// What is kept of a key in place of the key.
pub fn hash_of_key(key: &str) -> ContentHash {
    ContentHash::of(key.as_bytes())
}
