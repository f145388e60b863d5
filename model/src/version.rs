//! Versions of a script as they are compared and gone back to.

use crate::bundle::Change;
use crate::script::{Diagnostic, Script, ScriptVersion, VersionContext};
use serde::{Deserialize, Serialize};

/// One version with its source and what it was live with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VersionWithContext {
    /// The version.
    #[serde(flatten)]
    pub version: ScriptVersion,
    /// What it was live with.
    pub context: VersionContext,
}

/// What differs between two versions of a script, read from the first to the second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VersionDiff {
    /// The first.
    pub from: i64,
    /// The second.
    pub to: i64,
    /// The unified difference of the sources; empty where they are the same.
    pub diff: String,
    /// The modules they reach.
    pub modules: Vec<Change>,
    /// The routes that led to them.
    pub routes: Vec<Change>,
    /// The triggers that started them.
    #[serde(default)]
    pub triggers: Vec<Change>,
    /// The names of the env values that were there.
    pub env: Vec<Change>,
    /// The names of the secrets that were granted.
    pub secrets: Vec<Change>,
}

/// What a rollback did, or would do: the live script afterwards (before, for a plan), and each thing that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RollbackReport {
    /// The script as it is live.
    #[serde(flatten)]
    pub script: Script,
    /// Whether it was only asked for.
    pub plan: bool,
    /// Each thing that differs; empty where nothing does.
    pub changes: Vec<Change>,
    /// What does not stop it but should be looked at.
    pub warnings: Vec<Diagnostic>,
}
