//! The app: the unit of isolation, deploy, quota and export.

use crate::clock::UnixMs;
use crate::ids::AppId;
use crate::limits::AppLimits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The app whose routes are at `/…` rather than `/{name}/…`.
pub const DEFAULT_APP: &str = "default";

/// An app as the admin API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// Its name, `[a-z][a-z0-9-]{0,62}`.
    pub name: String,
    /// The hosts that lead to it; where empty, it is reached at `/{name}/…`.
    pub hosts: Vec<String>,
    /// Plain values for `env::get`.
    pub env: BTreeMap<String, String>,
    /// Limits it sets for itself.
    pub limits: AppLimits,
    /// Counts its changes; the ETag of the app.
    pub revision: i64,
    /// When it was made.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMs,
    /// When it last changed.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: UnixMs,
}

/// What a caller gives to make an app.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApp {
    /// Its name.
    #[schema(pattern = "^[a-z][a-z0-9-]{0,62}$")]
    pub name: String,
    /// Its hosts.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Its plain values.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Its limits.
    #[serde(default)]
    pub limits: AppLimits,
}

/// A change of an app: what is absent stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppPatch {
    /// New hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    /// New plain values, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// New limits, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<AppLimits>,
}
