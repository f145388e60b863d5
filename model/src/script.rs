//! Scripts and modules, their versions, and what is wrong with them.

use crate::clock::UnixMs;
use crate::hash::ContentHash;
use crate::ids::ScriptId;
use crate::route::RouteSpec;
use crate::trigger::TriggerSpec;
use serde::{Deserialize, Serialize};

/// The version of the SDK that scripts see; stored with every script version.
pub const SDK_VERSION: &str = "1.1";

/// Endpoint or module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScriptKind {
    /// Answers requests and reacts to events.
    Endpoint,
    /// Holds functions and constants for others to import.
    Module,
}

impl ScriptKind {
    /// The word in tables, URLs and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Module => "module",
        }
    }
}

/// A script as the admin API shows it, without its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Script {
    /// Its id.
    pub id: ScriptId,
    /// Its name within the app.
    pub name: String,
    /// Endpoint or module.
    pub kind: ScriptKind,
    /// The live version, counting from 1.
    pub version: i64,
    /// The live version's content hash.
    pub hash: ContentHash,
    /// Bytes of source of the live version.
    pub size_bytes: i64,
    /// When the live version was made.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: UnixMs,
    /// Why it is not run, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantine>,
}

/// The answer to saving a script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SavedScript {
    /// The script with its new version.
    #[serde(flatten)]
    pub script: Script,
    /// What did not stop it but should be looked at.
    #[serde(default)]
    pub warnings: Vec<Diagnostic>,
}

/// The answer to checking a script: it could be saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CheckedScript {
    /// The modules that it imports.
    pub imports: Vec<String>,
    /// What would not stop it but should be looked at.
    pub warnings: Vec<Diagnostic>,
}

/// Why a script version is not run any more, and since when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Quarantine {
    /// The version that took its worker down.
    pub version: i64,
    /// How often it did.
    pub crashes: i64,
    /// The last run that did.
    pub execution_id: crate::ExecutionId,
    /// Since when.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub since: UnixMs,
}

/// One immutable version of a script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScriptVersion {
    /// Counting from 1 within the script.
    pub version: i64,
    /// Endpoint or module, at that version.
    pub kind: ScriptKind,
    /// SHA-256 of the source.
    pub hash: ContentHash,
    /// Who saved it.
    pub author: String,
    /// Why, in the author's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The SDK it was saved under.
    pub sdk_version: String,
    /// When.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMs,
    /// The source; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// What a version was live with: enough to bring all of it back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VersionContext {
    /// Whether anything was written down at all: not for versions that were saved before contexts were kept. Nothing
    /// below says anything then.
    #[serde(default)]
    pub recorded: bool,
    /// The modules it reaches by imports, directly or not, each at the version that was live when this one was saved.
    pub modules: Vec<ModuleVersion>,
    /// The routes that led to it when it was last live; of the live version, those that lead to it now.
    pub routes: Vec<RouteSpec>,
    /// The triggers that started it, likewise.
    #[serde(default)]
    pub triggers: Vec<TriggerSpec>,
    /// Names of the app's env values when it was saved.
    pub env: Vec<String>,
    /// Names of the secrets that were granted to it when it was saved.
    pub secrets: Vec<String>,
}

/// A module at a version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ModuleVersion {
    /// The module.
    pub name: String,
    /// Its version.
    pub version: i64,
    /// The version's content.
    pub hash: ContentHash,
}

/// What a caller gives to go back to an earlier version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackInput {
    /// The version whose source and surroundings are to be live again.
    #[schema(minimum = 1)]
    pub version: i64,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Only tell what would change.
    #[serde(default)]
    pub plan: bool,
    /// Only the source; modules and routes stay as they are.
    #[serde(default)]
    pub only_script: bool,
    /// Although env values or secrets that it had are gone.
    #[serde(default)]
    pub force: bool,
}

/// What a caller gives to save a script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptInput {
    /// Endpoint where absent.
    #[serde(default = "endpoint")]
    pub kind: ScriptKind,
    /// The source, whole.
    pub source: String,
    /// Why it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

fn endpoint() -> ScriptKind {
    ScriptKind::Endpoint
}

/// One thing wrong with a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Diagnostic {
    /// The file within the app folder (`scripts/hello.rhai`), where more than one was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Counting from 1; 0 where the whole file is meant.
    pub line: usize,
    /// Counting from 1; 0 where the whole line is meant.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
}
