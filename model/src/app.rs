//! The app: the unit of isolation, deploy, quota and export.

use crate::clock::UnixMs;
use crate::ids::AppId;
use crate::limits::AppLimits;
use crate::placement::Placement;
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
    /// What its scripts may reach beside the public internet.
    #[serde(default)]
    pub http: HttpPolicy,
    /// Where its scripts may run, by script; those it does not name run anywhere.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub placement: BTreeMap<String, Placement>,
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
    /// What its scripts may reach beside the public internet.
    #[serde(default)]
    pub http: HttpPolicy,
    /// Where its scripts may run, by script.
    #[serde(default)]
    pub placement: BTreeMap<String, Placement>,
}

/// `[http]` of an app: what its scripts may reach beside the public internet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpPolicy {
    /// Hosts (`printer.local`), addresses, networks (`192.168.1.0/24`), each with or without `:port`.
    #[schema(max_items = 100)]
    pub allow: Vec<String>,
}

impl HttpPolicy {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty()
    }

    /// What is wrong with each entry, if anything.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut wrong: Vec<String> =
            self.allow.iter().filter_map(|entry| crate::allowed_host::AllowedHost::parse(entry).err()).collect();
        if self.allow.len() > HTTP_ALLOW_MAX {
            wrong.push(format!("`allow` has {} entries, more than {HTTP_ALLOW_MAX}", self.allow.len()));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

/// Most entries of [`HttpPolicy::allow`].
pub const HTTP_ALLOW_MAX: usize = 100;

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
    /// What its scripts may reach, all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpPolicy>,
    /// Where its scripts may run, all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<BTreeMap<String, Placement>>,
}
